"""The inactive pair is made, with the definitions of the new code and this release's mark."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Partial, Unknown
from bot.steps.pairs import (
    NEW_PAIR,
    PORTS,
    REPAIR,
    STATUS,
    USABLE,
    WEB,
    Pairs,
    inactive_of,
    ours,
    place_of,
    search,
)

if TYPE_CHECKING:
    from bot.domain.indices import Index, Pair, Seen
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class CreateInactive(BaseStep):
    """Hands on both pairs by Elasticsearch's own ids: from here on an index that was made anew is another one."""

    id: ClassVar[str] = "create_inactive"
    title: ClassVar[str] = "Inactive pair created"
    by_hand: ClassVar[str] = (
        "With the new code: manage_es_index --inactive create. Never create --drop, which deletes the live indices."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    ports: ClassVar[frozenset[str]] = PORTS
    needs: ClassVar[frozenset[str]] = frozenset({"workplace"})
    after: ClassVar[frozenset[str]] = frozenset({"es_ready", "drop_earlier"})
    causes: ClassVar[tuple[str, ...]] = (
        "the new code's definition is refused by this Elasticsearch: its words stand in the message",
        "an inactive index of somebody else came up meanwhile: /release es status",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return METASPACE's own way, which is typed in the new code's engine folder."""
        create = ("python", "-m", "scripts.manage_es_index", "--inactive", "create")
        return tuple(Command(WEB, argv) for argv in (STATUS, create, STATUS))

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when both carry this release's mark; a foreign one on that side stops the release."""
        seen = await search(ctx).indices.look()
        live, (pair, there) = Look(seen).live, inactive_of(seen)
        if live is None or pair is None:
            return Unknown(Look(seen).fault, hint=REPAIR)
        if foreign := [one.name for one in there if not ours(ctx, one)]:
            return Unknown(
                f"{' and '.join(foreign)} exist already and are not this release's.",
                hint="/release es status shows who made them; drop them there once nobody needs them, then retry",
            )
        if len(there) == len(pair.names):
            return Done(_evidence(seen, live, pair))
        return Partial(Evidence(f"{there[0].name} is there.")) if there else NotDone("There is no inactive pair.")

    async def run(self, ctx: StepContext) -> None:
        """Make those that are missing; raises `StepFailed` where the workplace is gone."""
        place, seen = await place_of(ctx), await search(ctx).indices.look()
        pair, there = inactive_of(seen)
        if place is None or place.pair != pair:
            raise StepFailed(
                "The new code's workplace is gone, or names another pair than the inactive one.",
                hint="/release es status; abort and start again if somebody removed it",
                changed="Nothing was created.",
            )
        wanted = await search(ctx).reindexing.definitions(workplace=place)
        owed = f"the inactive pair {' and '.join(pair.names)}, made by {ctx.release}, is in Elasticsearch"
        await ctx.report(f"Creating {' and '.join(pair.names)}", {"owes": {NEW_PAIR: owed}})
        made = {one.name for one in there}
        for name, definition in ((pair.dataset, wanted.dataset), (pair.annotation, wanted.annotation)):
            if name not in made:
                await search(ctx).indices.create(index=name, definition=definition, made_by=ctx.mark)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look at both; raises `StepFailed` for a red one."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: what is there already is not made again")
            case _:
                raise StepFailed("One of the two inactive indices is missing.", hint="retry: it is made then")


def _evidence(seen: Seen, live: Pair, new: Pair) -> Evidence:
    old, made = ([seen.indices[name] for name in pair.names if name in seen.indices] for pair in (live, new))
    pairs = Pairs(list(live.names), [one.uuid for one in old], list(new.names), [one.uuid for one in made])
    facts = {**pairs.facts, "health": [one.health for one in made], "made_by": [one.made_by for one in made]}
    return Evidence(f"{' and '.join(_said(one) for one in made)}, beside {live.dataset} which is live.", facts, pairs)


def _said(one: Index) -> str:
    return one.name if one.health in USABLE else f"{one.name} ({one.health})"


STEP: Step = CreateInactive()
