"""A step that a person does and confirms: a checklist's own sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.edits import ASSIGNEE, EVIDENCE, NOTE, TEXT
from bot.domain.plan import StepKind
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.answers import agreed, demand_yes

if TYPE_CHECKING:
    from bot.engine.step import Step, StepContext


class Manual(BaseStep):
    """The world cannot be asked: a person's word is the evidence, with who and when."""

    id: ClassVar[str] = "manual"
    title: ClassVar[str] = "By hand"
    by_hand: ClassVar[str] = "Do what the sentence says, and confirm it."
    kind: ClassVar[StepKind] = StepKind.MANUAL
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once a person said so."""
        return NotDone("Nobody has confirmed it yet.") if agreed(ctx) is None else Done(self._evidence(ctx))

    async def ask(self, ctx: StepContext) -> Question:
        """Show the sentence and wait for its confirmation."""
        names = (TEXT, NOTE, EVIDENCE, ASSIGNEE)
        text, note, evidence, assignee = (str(ctx.step.params.get(name, "")) for name in names)
        wanted = f"To be given as evidence: {evidence}" if evidence else ""
        lines = [text, note, wanted, f"For: {assignee}" if assignee else ""]
        return Question(
            title=ctx.step.title,
            detail="\n".join(line for line in lines if line),
            choices=(
                Choice(DecisionKind.DONE, "Done", form="evidence" if evidence else ""),
                Choice(DecisionKind.REJECT, "It cannot be done", form="reason", danger=True),
            ),
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` when the person said that it cannot be done."""
        demand_yes(ctx)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Name who confirmed it."""
        return self._evidence(ctx)

    def _evidence(self, ctx: StepContext) -> Evidence:
        answer = demand_yes(ctx)
        shown = f" Evidence: {answer.reason}" if answer.reason else ""
        facts = {"by": answer.by, "at": answer.at.isoformat(), **({"evidence": answer.reason} if shown else {})}
        return Evidence(f"Done by <@{answer.by}>.{shown}", facts)


STEP: Step = Manual()
