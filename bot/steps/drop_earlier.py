"""An earlier inactive pair makes way: shown with age and maker, and dropped only once its name has been typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.index_jobs import OWN
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Unknown
from bot.steps.answers import agreed, demand_yes
from bot.steps.pairs import PORTS, REPAIR, STATUS, WEB, inactive_of, ours, search, sized
from bot.steps.words import spoken

if TYPE_CHECKING:
    from bot.domain.indices import Index
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.release import Answer
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

DAY = 86400.0


class DropEarlier(BaseStep):
    """The answer is bound to the very indices that were shown. One that an alias points at is never dropped."""

    id: ClassVar[str] = "drop_earlier"
    title: ClassVar[str] = "Earlier inactive pair dropped"
    by_hand: ClassVar[str] = (
        "Look with manage_es_index status which pair is inactive, ask whose it is, and drop it with "
        "manage_es_index --inactive drop. Never while the aliases point at different sides."
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    irreversible: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged", "es_ready"})
    causes: ClassVar[tuple[str, ...]] = (
        "the pair is kept for a way back of the release before: ask who made it",
        "somebody works with the inactive pair at this moment: /release jobs",
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
        """Done when nothing stands on the inactive side but what this release made."""
        seen = await search(ctx).indices.look()
        pair, there = inactive_of(seen)
        if pair is None:
            return Unknown(Look(seen).fault, hint=REPAIR)
        earlier = [one for one in there if not ours(ctx, one)]
        if earlier:
            return NotDone(f"There is an inactive pair already: {'; '.join(_shown(ctx, one) for one in earlier)}.")
        return Done(_evidence(list(pair.names), agreed(ctx)))

    async def ask(self, ctx: StepContext) -> Question | None:
        """Show what would be gone, and have its name typed."""
        there = await self._earlier(ctx)
        if not there:
            return None
        shown = "\n".join(f"• {_shown(ctx, one)}" for one in there)
        return Question(
            title=f"Drop the inactive {' and '.join(one.name for one in there)}?",
            detail=f"{shown}\nWhat is dropped cannot be brought back; type the first name to confirm.",
            choices=(
                Choice(DecisionKind.APPROVE, "Drop it", form="typed_version", danger=True, value=_bound(there)),
                Choice(DecisionKind.REJECT, "Keep it, stop here", form="reason"),
            ),
            basis=("no alias points at it",),
            draft={"version": there[0].name},
        )

    async def run(self, ctx: StepContext) -> None:
        """Drop exactly what was shown, each by its id; raises `StepFailed` when something else stands there by now."""
        answer = demand_yes(ctx)
        there = await self._earlier(ctx)
        if not there:
            return
        if answer.value and not set(_bound(there).split(",")) <= set(answer.value.split(",")):
            raise StepFailed(
                f"Other indices stand there now than were shown: {'; '.join(_shown(ctx, one) for one in there)}.",
                hint="retry to be shown these, and asked again",
                changed="Nothing was dropped.",
            )
        await self._remove_workplaces(ctx)
        for one in there:
            await ctx.report(f"Dropping {one.name}", {"index": one.name, "uuid": one.uuid})
            await search(ctx).indices.drop(index=one.name, uuid=one.uuid)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why) | Unknown(why):
                raise StepFailed(why, hint="retry: what is gone already is not dropped again")
            case _:
                raise StepFailed("It cannot be told what stands on the inactive side.", hint="/release es status")

    async def _remove_workplaces(self, ctx: StepContext) -> None:
        """Remove the code that the pair was judged by outside of any release (`/release es`), as `/release es drop` does.

        Before the indices go: a step that is killed in between finds them, and comes here again.
        """
        pair, reindexing = inactive_of(await search(ctx).indices.look())[0], search(ctx).reindexing
        for place in await reindexing.workplaces():
            if place.pair == pair and place.release.startswith(OWN):
                await reindexing.remove_workplace(release=place.release)

    async def _earlier(self, ctx: StepContext) -> list[Index]:
        seen = await search(ctx).indices.look()
        return [one for one in inactive_of(seen)[1] if not ours(ctx, one)]


def _bound(indices: list[Index]) -> str:
    return ",".join(one.uuid for one in indices)


def _shown(ctx: StepContext, one: Index) -> str:
    age = max((ctx.ports.clock.now() - one.created_at).total_seconds(), 0.0)
    old = f"{age / DAY:.0f} days" if age >= 2 * DAY else spoken(age)
    maker = one.made_by or "somebody, not by the bot"
    return f"{one.name}: {one.documents:,} documents, {sized(one.size)}, made {old} ago by {maker}"


def _evidence(names: list[str], answer: Answer | None) -> Evidence:
    by = f" Dropped by <@{answer.by}>'s word." if answer else ""
    facts: dict[str, object] = {"inactive": names, **({"by": answer.by} if answer else {})}
    return Evidence(f"Nothing earlier stands on the inactive side ({' and '.join(names)}).{by}", facts)


STEP: Step = DropEarlier()
