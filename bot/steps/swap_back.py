"""A release that is rolled back had swapped: the aliases go back to the pair before, while that is there and caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import Refused, StepFailed
from bot.domain.layout import swap_actions
from bot.domain.plan import Command
from bot.domain.planning import SWAPPED
from bot.engine.index_guards import failing, guards
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.catching_up import IGNORED
from bot.steps.conditions import RELEASE_CONTAINS_HEAD, demand
from bot.steps.pairs import (
    NEW_PAIR,
    OLD_PAIR,
    PORTS,
    REPAIR,
    STATUS,
    WEB,
    Live,
    Pairs,
    gone,
    live_of,
    search,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.index_guards import Guard
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class SwapBack(BaseStep):
    """Nobody keeps the old pair current after the swap: once people have edited, going back would undo what they did."""

    id: ClassVar[str] = "swap_back"
    title: ClassVar[str] = "Aliases swapped back to the old pair"
    by_hand: ClassVar[str] = (
        "Only while the old pair's documents are as the live one's: one _aliases request with all four actions back. "
        "Else leave the new pair live, where the old code can work with it, or roll forward."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    changes_live: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_CONTAINS_HEAD,)
    needs: ClassVar[frozenset[str]] = frozenset({"roll_back_agreed", "read_only"})
    after: ClassVar[frozenset[str]] = frozenset({"workload", "drain", "announce_start"})
    causes: ClassVar[tuple[str, ...]] = (
        "datasets came, went or changed since the swap, and the old pair has not heard of it",
        "somebody has dropped the old pair, or made a new one of its name",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the look before it and after it."""
        return (Command(WEB, STATUS, environment.live_code),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when the old pair is live; stops where it is gone, or where a third one is live."""
        pairs = _pairs(ctx)
        if pairs is None:
            return Done(Evidence("The release that is taken back had not swapped."))
        seen = await search(ctx).indices.look()
        live, why = live_of(seen, pairs)
        if live is Live.OLD:
            return Done(_evidence(pairs))
        if live is Live.OTHER:
            return Unknown(why, hint=REPAIR)
        if missing := gone(seen, pairs.old, pairs.old_uuids):
            return Unknown(
                f"{' and '.join(missing)} is not the very index that was live before: there is no way back for the aliases.",
                hint="roll forward; or an approver skips this step, where the old code can work with the new pair",
            )
        return NotDone(f"{pairs.after.dataset} is live.")

    async def run(self, ctx: StepContext) -> None:
        """Look at every guard, then move both aliases; raises `Refused` saying how many datasets the old pair lacks."""
        pairs = _pairs(ctx)
        if pairs is None:
            return
        found = await guards(
            ctx.ports, wanted=None, exceptions=_list(ctx, "excused"), ignored=_list(ctx, IGNORED), failed=None
        )
        _demand_all(found)
        await demand(ctx, *self.holds)
        seen = await search(ctx).indices.look()
        if live_of(seen, pairs)[0] is not Live.NEW or gone(seen, pairs.old, pairs.old_uuids):
            raise Refused(
                f"The aliases moved this moment. {Look(seen).fault}".strip(),
                hint=REPAIR,
                changed="Nothing by this step.",
            )
        facts: dict[str, object] = {"guards": {one.name: one.evidence for one in found}, "owes": _owed(pairs)}
        await ctx.report(f"All {len(found)} guards hold; moving both aliases back in one request", facts)
        await search(ctx).indices.change_aliases(actions=swap_actions(seen))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the aliases back."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: everything is looked at again first")
            case _:
                raise StepFailed("It cannot be told where the aliases point.", hint=REPAIR)


def _pairs(ctx: StepContext) -> Pairs | None:
    raw = ctx.step.params.get(SWAPPED)
    names = ("old", "old_uuids", "new", "new_uuids")
    return Pairs(**{name: list(raw[name]) for name in names}) if isinstance(raw, dict) else None


def _list(ctx: StepContext, name: str) -> list[str]:
    raw = ctx.step.params.get(SWAPPED)
    return [str(one) for one in raw.get(name, ())] if isinstance(raw, dict) else []


def _demand_all(found: Sequence[Guard]) -> None:
    if wrong := failing(found):
        raise Refused(
            "\n".join(["The old pair is not caught up:", *(f"• {one.name}: {one.evidence}" for one in wrong)]),
            hint="index into the old pair what differs (/release es compare), and retry; or roll forward",
            changed="Nothing: the new pair is live.",
        )


def _owed(pairs: Pairs) -> dict[str, str]:
    return {NEW_PAIR: f"the inactive pair {' and '.join(pairs.new)} is in Elasticsearch"}


def _evidence(pairs: Pairs) -> Evidence:
    facts: dict[str, object] = {"live": pairs.old, "owes": _owed(pairs), "settles": [OLD_PAIR]}
    return Evidence(f"{' and '.join(pairs.old)} are live again; {' and '.join(pairs.new)} are kept.", facts)


STEP: Step = SwapBack()
