"""What authors were asked: who has not answered, and who answered too late for the plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.asking import open_ones, yes_ones
from bot.domain.errors import StepFailed
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.answers import agreed, demand_yes
from bot.steps.waiting import until
from bot.steps.words import listed, spoken

if TYPE_CHECKING:
    from bot.domain.asking import Asked
    from bot.engine.step import Step, StepContext

WAIT, GO_ON = "wait", "go_on"
LIMIT = 24 * 3600.0  # seconds; a releaser may end the wait by answering in an author's place


@dataclass(frozen=True, slots=True)
class _Seen:
    """Open questions, and what is to be done by hand that the plan does not have."""

    open: tuple[Asked, ...]
    late: tuple[Asked, ...]
    every: int

    def sentence(self) -> str:
        """Say it for people."""
        parts = [f"not answered: {listed(f'{one.name} ({one.numbers})' for one in self.open)}"] if self.open else []
        late = (f"{one.name} ({one.numbers}): {one.answer.what}" for one in self.late if one.answer)
        parts += [f"answered since the plan was made: {listed(late)}"] if self.late else []
        return "; ".join(parts) or (f"all answered ({self.every})" if self.every else "nobody was asked")


class AuthorsAnswered(BaseStep):
    """Open questions hold a release up only where the checklist says ``blocking: true``. A late yes is always asked about."""

    id: ClassVar[str] = "authors_answered"
    title: ClassVar[str] = "Authors' answers looked at"
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    params: ClassVar[frozenset[str]] = frozenset({"blocking"})
    by_hand: ClassVar[str] = (
        "Ask the authors of the pull requests what must be done by hand. What they name must be a step of this release, or done."
    )

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when nothing holds the release up, or when a person said to go on."""
        seen = await self._look(ctx)
        if not _holding(ctx, seen):
            return Done(_evidence(seen))
        answer = agreed(ctx)
        if answer and answer.value != WAIT:
            return Done(_evidence(seen, by=answer.by, reason=answer.reason))
        return NotDone(seen.sentence())

    async def ask(self, ctx: StepContext) -> Question:
        """Offer to wait while somebody has to answer, to go on by name, or to stop."""
        seen = await self._look(ctx)
        wait = Choice(DecisionKind.APPROVE, f"Wait, at most {spoken(LIMIT)}", value=WAIT)
        late = "The plan has no step for what was answered since: do it by hand now, or stop here and start again."
        return Question(
            title="Authors were asked what must be done by hand: go on?",
            detail="\n".join([seen.sentence(), *([late] if seen.late else [])]),
            choices=(
                *(() if seen.late else (wait,)),
                Choice(DecisionKind.APPROVE, "Go on, in my name", form="reason", value=GO_ON),
                Choice(DecisionKind.REJECT, "Stop here"),
            ),
        )

    async def run(self, ctx: StepContext) -> None:
        """Wait where that was chosen; raises `StepFailed` when the limit has passed."""
        if demand_yes(ctx).value != WAIT:
            return
        seen = await until(
            ctx,
            lambda: self._look(ctx),
            enough=lambda seen: not seen.open or bool(seen.late),
            limit=LIMIT,
            say=lambda seen: f"Waiting: {seen.sentence()}",
        )
        if _holding(ctx, seen):
            raise StepFailed(f"Still {seen.sentence()}.", hint="retry to be asked again", changed="Nothing.")

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again; raises `StepFailed` when something new came in."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                seen = await self._look(ctx)
                raise StepFailed(f"Still {seen.sentence()}.", hint="retry to be asked again", changed="Nothing.")

    async def _look(self, ctx: StepContext) -> _Seen:
        pulls, planned = ctx.step.params.get("pulls"), ctx.step.params.get("planned")
        numbers = [one for one in pulls if isinstance(one, int)] if isinstance(pulls, list | tuple) else []
        asked = await ctx.ports.authors.asked(environment=ctx.plan.environment, pulls=numbers)
        known = set(planned) if isinstance(planned, list | tuple) else set()
        return _Seen(open_ones(asked), tuple(one for one in yes_ones(asked) if one.id not in known), len(asked))


def _holding(ctx: StepContext, seen: _Seen) -> bool:
    return bool(seen.late) or (bool(seen.open) and ctx.step.params.get("blocking") not in (None, False))


def _evidence(seen: _Seen, *, by: str = "", reason: str = "") -> Evidence:
    chosen = f" <@{by}> went on: {reason}" if by else ""
    facts = {"open": [one.numbers for one in seen.open], "late": [one.numbers for one in seen.late], "by": by}
    sentence = seen.sentence()
    return Evidence(f"{sentence[:1].upper()}{sentence[1:]}.{chosen}", facts)


STEP: Step = AuthorsAnswered()
