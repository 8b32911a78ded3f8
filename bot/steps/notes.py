"""Approval: the release notes, drafted from the pull requests, edited by a person, and confirmed before the tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import StepKind
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.answers import agreed, demand_yes
from bot.steps.conditions import CI_GREEN, RELEASE_AT_HEAD, broken, demand
from bot.steps.tagging import NEXT_VERSION, Notes, Whose, lines_of, note_lines, whose

if TYPE_CHECKING:
    from bot.domain.release import Answer
    from bot.engine.step import Step, StepContext

SHOWN_LINES = 20


class ReleaseNotes(BaseStep):
    """What goes into the tag. METASPACE's notes are a hand-picked digest, so a person has the last word."""

    id: ClassVar[str] = "notes"
    title: ClassVar[str] = "Release notes confirmed"
    by_hand: ClassVar[str] = (
        "Write down what is new: one line for each pull request, [Task] or [Bug], a title, #number."
    )
    kind: ClassVar[StepKind] = StepKind.APPROVAL
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_AT_HEAD, CI_GREEN)
    after: ClassVar[frozenset[str]] = frozenset({"ci_green", "push_branches"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once somebody confirmed them, or when the tag is there with its notes."""
        tag = await ctx.ports.repository.remote_tag(name=ctx.plan.version)
        match whose(ctx, tag):
            case Whose.FOREIGN, why:
                return Unknown(why, hint=NEXT_VERSION)
            case ((Whose.OURS | Whose.BY_HAND), _) if tag is not None:
                return Done(_evidence(lines_of(tag.message), by=tag.tagger or "tag", what="The tag has them already"))
        answer = agreed(ctx)
        if answer is None:
            return NotDone("Nobody has confirmed the notes yet.")
        if gone := await broken(ctx, self.holds):
            return NotDone(f"The confirmation no longer counts: not true any more: {'; '.join(gone)}.")
        return Done(_confirmed(ctx, answer))

    async def ask(self, ctx: StepContext) -> Question:
        """Show the draft: take it as it is, or edit it in a form."""
        draft = str(ctx.step.params.get("draft") or "")
        lines = draft.splitlines()
        more = [f"… and {len(lines) - SHOWN_LINES} more lines"] if len(lines) > SHOWN_LINES else []
        as_is = (Choice(DecisionKind.APPROVE, "Tag with these notes", value="draft"),) if lines else ()
        return Question(
            title=f"Release notes of {ctx.plan.version}: as they are?",
            detail="\n".join(lines[:SHOWN_LINES] + more) or "No pull request gave a line.",
            choices=(
                *as_is,
                Choice(DecisionKind.APPROVE, "Edit them…", form="notes", value="edited"),
                Choice(DecisionKind.REJECT, "Do not tag", danger=True),
            ),
            basis=tuple(one.name for one in self.holds),
            draft={"version": ctx.plan.version, "text": draft},
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` for a no or for empty notes, `Refused` when the basis is gone."""
        answer = demand_yes(ctx)
        _lines(ctx, answer)
        await demand(ctx, *self.holds)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Return the confirmed lines."""
        return _confirmed(ctx, demand_yes(ctx))


def _lines(ctx: StepContext, answer: Answer) -> list[str]:
    form = answer.form or {}
    edited = form.get("text", form.get("notes"))
    if answer.value == "edited" and not isinstance(edited, str):
        raise StepFailed("The form came back without notes.", hint="retry, and send the form again")
    return note_lines(edited if isinstance(edited, str) else str(ctx.step.params.get("draft") or ""))


def _confirmed(ctx: StepContext, answer: Answer) -> Evidence:
    return _evidence(_lines(ctx, answer), by=answer.by, what=f"Confirmed by <@{answer.by}>")


def _evidence(lines: list[str], *, by: str, what: str) -> Evidence:
    return Evidence(f"{what}: {len(lines)} line(s).", {"lines": lines, "by": by}, Notes(lines, by))


STEP: Step = ReleaseNotes()
