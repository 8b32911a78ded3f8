"""The pair that was live before is dropped, once the team is satisfied."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Partial, Unknown
from bot.steps.pairs import NEW_IS_LIVE, OLD_PAIR, PORTS, REPAIR, STATUS, WEB, Live, known, live_of, search

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.indices import Index
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports
    from bot.steps.pairs import Pairs


class DropOld(BaseStep):
    """Only the very indices that were live before, by their ids; one that was made anew under such a name stays."""

    id: ClassVar[str] = "drop_old"
    title: ClassVar[str] = "Old pair dropped"
    by_hand: ClassVar[str] = (
        "Look with manage_es_index status that the old pair is inactive, then manage_es_index --inactive drop. "
        "After that the swap cannot be taken back."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    irreversible: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    holds: ClassVar[tuple[Condition, ...]] = (NEW_IS_LIVE,)
    needs: ClassVar[frozenset[str]] = frozenset({"create_inactive", "swap"})
    after: ClassVar[frozenset[str]] = frozenset({"prove_live", "catch_up_after", "announce_success", "read_write"})
    causes: ClassVar[tuple[str, ...]] = (
        "somebody swapped back, or repaired the aliases, meanwhile: /release es status",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the look that comes first, and METASPACE's own way to drop."""
        drop = ("python", "-m", "scripts.manage_es_index", "--inactive", "drop")
        return tuple(Command(WEB, argv, environment.live_code) for argv in (STATUS, drop))

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when neither of the two is there any more."""
        pairs = known(ctx)
        if pairs is None:
            return Unknown("This release has made no new pair, so none is old.", hint="/release es status")
        seen = await search(ctx).indices.look()
        there = _there(seen.indices.values(), pairs)
        if not there:
            facts: dict[str, object] = {"dropped": pairs.old, "settles": [OLD_PAIR]}
            return Done(Evidence(f"{' and '.join(pairs.old)}, live before, are gone.", facts))
        live, why = live_of(seen, pairs)
        if live is not Live.NEW:
            return Unknown(why or f"{pairs.before.dataset} is live: it is not dropped.", hint=REPAIR)
        if len(there) < len(pairs.old):
            return Partial(Evidence(f"{there[0].name} is still there."))
        return NotDone(f"{' and '.join(pairs.old)} are still there.")

    async def run(self, ctx: StepContext) -> None:
        """Drop them by name and id; Elasticsearch is asked right before each whether an alias points at it."""
        pairs = known(ctx)
        if pairs is None:
            raise StepFailed("This release has made no new pair, so none is old.", hint="/release es status")
        for one in _there((await search(ctx).indices.look()).indices.values(), pairs):
            await ctx.report(f"Dropping {one.name}", {"index": one.name, "uuid": one.uuid})
            await search(ctx).indices.drop(index=one.name, uuid=one.uuid)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                raise StepFailed("The old pair is still there.", hint="retry: what is gone is not dropped again")


def _there(indices: Iterable[Index], pairs: Pairs) -> list[Index]:
    return [one for one in indices if one.uuid in pairs.old_uuids and one.name in pairs.old]


STEP: Step = DropOld()
