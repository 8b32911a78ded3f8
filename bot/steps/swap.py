"""Both aliases move to the new pair, in one request, once everything that this rests on has been looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import Refused, StepFailed
from bot.domain.layout import swap_actions
from bot.domain.plan import Command
from bot.domain.release import FAILS, HOLDS
from bot.engine.index_guards import CatchUp, Guard, failing, guards
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps import excusing
from bot.steps.catching_up import IGNORED, catch_up, ignored_of
from bot.steps.conditions import RELEASE_AT_HEAD, demand
from bot.steps.indexing import into_new, ledger_of, newest, runs
from bot.steps.pairs import (
    NEW_IS_WHOLE,
    NEW_PAIR,
    NO_CHANGES,
    OLD_IS_LIVE,
    OLD_PAIR,
    PORTS,
    REPAIR,
    STATUS,
    WEB,
    Live,
    Pairs,
    known,
    live_of,
    place_of,
    search,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


@dataclass(frozen=True, slots=True)
class Swapped:
    """The pair that went live, and the one that was live before: names of dataset index and annotation index."""

    live: list[str]
    before: list[str]


class Swap(BaseStep):
    """METASPACE's own swap is two operations, between which readers see both pairs; this one is atomic."""

    id: ClassVar[str] = "swap"
    title: ClassVar[str] = "Aliases swapped to the new pair"
    by_hand: ClassVar[str] = (
        "Send Elasticsearch one _aliases request with all four actions, each removal with must_exist. Not manage_es_index swap: "
        "it is two requests, and leaves the pair half swapped when one index is missing."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    costly_to_undo: ClassVar[bool] = True
    changes_live: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (OLD_IS_LIVE, NEW_IS_WHOLE, NO_CHANGES, RELEASE_AT_HEAD)
    needs: ClassVar[frozenset[str]] = frozenset({"create_inactive", "catch_up", "read_only"})
    after: ClassVar[frozenset[str]] = frozenset(
        {
            "review_acknowledged",
            "reindex",
            "still_planned",
            "push_branches",
            "tag",
            "configuration",
            "drain",
            "announce_start",
        }
    )
    causes: ClassVar[tuple[str, ...]] = (
        "a dataset came, went or changed since the catch-up, past the read-only switch: retry, it is caught up first",
        "the new code's mappings are not those of the new pair: it was made by another commit",
        "an index of the new pair turned red: journalctl -u elasticsearch",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the look before it and after it; the request itself stands in the message once the pairs are known."""
        return (Command(WEB, STATUS, environment.live_code),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when both aliases point at the very pair that this release made, and at nothing else."""
        pairs = known(ctx)
        if pairs is None:
            return Unknown("This release has made no inactive pair.", hint="/release abort, then start again")
        live, why = live_of(await search(ctx).indices.look(), pairs)
        match live:
            case Live.NEW:
                return Done(await _evidence(ctx, pairs))
            case Live.OLD:
                return NotDone(f"{pairs.before.dataset} is live.")
            case Live.OTHER:
                return Unknown(why, hint=REPAIR)

    async def shown(self, ctx: StepContext) -> Sequence[str]:
        """Return every guard with its evidence. `run` looks at all of them again."""
        found = await _guards(ctx, excusing.excused(ctx))
        wrong = len(failing(found))
        said = f"{wrong} of {len(found)} guards do not hold yet" if wrong else f"All {len(found)} guards hold"
        rows = [f"{HOLDS if one.holds else FAILS} {one.name}: {one.evidence}" for one in found]
        return (f"{said}; they are looked at again right before.", *rows)

    async def run(self, ctx: StepContext) -> None:
        """Catch up once more, look at every guard, and move both aliases; raises `Refused` naming each guard that fails."""
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no inactive pair.", hint="/release abort, then start again")
        but = excusing.excused(ctx)
        into = await into_new(ctx, pair=pairs.after, other=pairs.before)
        await catch_up(
            ctx, into, live=pairs.before, but=but, title=f"Catching {pairs.after.dataset} up before the swap"
        )
        found = await _guards(ctx, but)
        demand_all(found, "Nothing was swapped: the aliases are as they were.")
        await demand(ctx, *self.holds)  # the guards may have taken minutes
        seen = await search(ctx).indices.look()
        if live_of(seen, pairs)[0] is not Live.OLD:
            raise Refused(
                f"The aliases moved this moment. {Look(seen).fault}".strip(),
                hint=REPAIR,
                changed="Nothing by this step.",
            )
        kept = f"the pair {' and '.join(pairs.old)}, live before {ctx.plan.version}, is still in Elasticsearch"
        shown = {one.name: one.evidence for one in found}
        facts = {"guards": shown, "owes": {OLD_PAIR: kept}}
        await ctx.report(f"All {len(found)} guards hold; moving both aliases in one request", facts)
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


async def _guards(ctx: StepContext, but: Sequence[str]) -> list[Guard]:
    place = await place_of(ctx)
    if place is None:
        raise StepFailed("The new code's workplace is gone.", hint="/release es status", changed="Nothing was swapped.")
    caught_up = CatchUp(ctx.ports.clock.now(), ctx.environment.catch_up_fresh)
    ledger = await ledger_of(ctx, newest(await runs(ctx)))
    return await guards(
        ctx.ports,
        wanted=await search(ctx).reindexing.definitions(workplace=place),
        exceptions=but,
        ignored=ignored_of(ctx),
        failed={one.dataset: one.said for one in ledger.failed} if ledger else {},
        caught_up=caught_up,
    )


def demand_all(found: Sequence[Guard], changed: str) -> None:
    """Raise `Refused` naming every guard that does not hold, with what was seen."""
    if wrong := failing(found):
        raise Refused(
            "\n".join(
                [f"{len(wrong)} of {len(found)} guards do not hold:", *(f"• {w.name}: {w.evidence}" for w in wrong)]
            ),
            hint="/release es compare shows what differs; mend it, then retry: everything is looked at again",
            changed=changed,
        )


async def _evidence(ctx: StepContext, pairs: Pairs) -> Evidence:
    kept = f"the pair {' and '.join(pairs.old)}, live before {ctx.plan.version}, is still in Elasticsearch"
    facts: dict[str, object] = {
        **pairs.facts,
        "excused": excusing.excused(ctx),
        IGNORED: list(ignored_of(ctx)),
        "owes": {OLD_PAIR: kept},
        "settles": [NEW_PAIR],
    }
    summary = f"{' and '.join(pairs.new)} are live; {' and '.join(pairs.old)} are kept for a way back."
    return Evidence(summary, facts, Swapped(pairs.new, pairs.old))


STEP: Step = Swap()
