"""The new code is checked out on the web server, beside what runs, with a configuration that names the inactive pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Unknown
from bot.steps.pairs import PORTS, REPAIR, WEB, inactive_of, search
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.indices import Seen
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.reindexing import Workplace
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

OWED = "workplace"  # the name under which it is owed until it is removed


@dataclass(frozen=True, slots=True)
class Place:
    """Where the new code is, for people and later steps."""

    folder: str
    commit: str


class MakeWorkplace(BaseStep):
    """A detached work tree outside the checkout: a deploy neither sees nor removes it."""

    id: ClassVar[str] = "workplace"
    title: ClassVar[str] = "New code checked out beside what runs"
    by_hand: ClassVar[str] = (
        "On the web server add a detached git work tree at the commit, outside /opt/dev/metaspace, and give it a copy of the "
        "configuration whose dataset_index and annotation_index are the inactive pair's own names."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    ports: ClassVar[frozenset[str]] = PORTS
    after: ClassVar[frozenset[str]] = frozenset(
        {"review_acknowledged", "ci_green", "master_contains_release", "es_ready", "drop_earlier"}
    )
    causes: ClassVar[tuple[str, ...]] = (
        "the server cannot fetch the commit from origin: it must be on a branch there",
        "the folder is not writable for the SSH user, or the disk is full: `reindexing.workspace` in the settings",
        "the configuration's template needs a variable that the server's own configuration lacks",
    )

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameters
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that makes the work tree by hand."""
        return (Command(WEB, ("git", "worktree", "add", "--detach", "NEW_FOLDER", plan.head)),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when it stands at the pinned commit and names the pair that is inactive."""
        place = await search(ctx).reindexing.workplace(release=ctx.release)
        if place is None:
            return NotDone("The new code is not on the server yet.")
        seen = await search(ctx).indices.look()
        if why := _wrong(ctx, place, seen):
            return Unknown(why, hint="/release es status; remove that workplace by hand, then retry")
        return Done(_evidence(place))

    async def run(self, ctx: StepContext) -> None:
        """Make it; raises `StepFailed` while it is unclear which pair is inactive."""
        seen = await search(ctx).indices.look()
        pair, _ = inactive_of(seen)
        if pair is None:
            raise StepFailed(Look(seen).fault, hint=REPAIR, changed="Nothing.")
        await ctx.report(
            f"Checking out {short(ctx.plan.head)} beside what runs",
            {"owes": {OWED: f"the temporary checkout of {ctx.release} is on the web server"}},
        )
        await search(ctx).reindexing.make_workplace(release=ctx.release, commit=ctx.plan.head, pair=pair)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look for it."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: what is there already is not made again")
            case _:
                raise StepFailed("The workplace cannot be read.", hint="retry")


def _wrong(ctx: StepContext, place: Workplace, seen: Seen) -> str:
    if place.commit != ctx.plan.head:
        return f"{place.folder} is at {short(place.commit)}, not at {short(ctx.plan.head)}: another release's of that name."
    pair, _ = inactive_of(seen)
    if pair is None:
        return Look(seen).fault
    if place.pair != pair:
        return f"{place.folder} names {place.pair.dataset}, but {pair.dataset} is inactive now."
    return ""


def _evidence(place: Workplace) -> Evidence:
    facts: dict[str, object] = {"folder": place.folder, "code": place.code, "configuration": place.configuration}
    summary = f"{short(place.commit)} is checked out in {place.folder}; its configuration names {place.pair.dataset}."
    return Evidence(summary, {**facts, "pair": list(place.pair.names)}, Place(place.folder, place.commit))


STEP: Step = MakeWorkplace()
