"""Approval: the release notes, drafted from the pull requests, edited as often as wanted, and approved before the tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain import notes
from bot.domain.drafting import Draft
from bot.domain.noteform import MOST_LINES
from bot.domain.plan import StepKind
from bot.domain.release import Choice, DecisionKind, Question
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.answers import agreed, demand_yes
from bot.steps.conditions import CI_GREEN, RELEASE_READY, broken, demand
from bot.steps.tagging import (
    NEXT_VERSION,
    Notes,
    Whose,
    demand_lines,
    lines_of,
    mark_of_tag,
    message,
    whose,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.release import Answer
    from bot.engine.step import Step, StepContext

EDITED = "edited"


class ReleaseNotes(BaseStep):
    """What goes into the tag. METASPACE's notes are a hand-picked digest, so a person has the last word.

    An edit decides nothing: the message that it makes is shown, and only what was shown is approved. What was typed is
    kept with the question, so a restart, a no and a retry all come back to it.
    """

    id: ClassVar[str] = "notes"
    title: ClassVar[str] = "Release notes confirmed"
    by_hand: ClassVar[str] = (
        "Write down what is new: one line for each pull request, [Task] or [Bug], a title, #number."
    )
    kind: ClassVar[StepKind] = StepKind.APPROVAL
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_READY, CI_GREEN)
    after: ClassVar[frozenset[str]] = frozenset({"ci_green"})
    again: ClassVar[frozenset[str]] = frozenset({EDITED})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once somebody approved them, or when the tag is there with its notes."""
        tag = await ctx.ports.repository.remote_tag(name=ctx.plan.version)
        match whose(ctx, tag):
            case Whose.FOREIGN, why:
                return Unknown(why, hint=NEXT_VERSION)
            case ((Whose.OURS | Whose.BY_HAND), _) if tag is not None:
                return Done(_evidence(lines_of(tag.message), by=tag.tagger or "tag", what="The tag has them already"))
        answer = agreed(ctx)
        if answer is None or answer.value == EDITED:
            return NotDone("Nobody has approved the notes yet.")
        if gone := await broken(ctx, self.holds):
            return NotDone(f"The approval no longer counts: not true any more: {'; '.join(gone)}.")
        return Done(_confirmed(ctx, answer))

    async def ask(self, ctx: StepContext) -> Question:
        """Show the very message that the tag would get: take it, or edit it (again) in a form."""
        draft = current(ctx)
        lines = [notes.line(one) for one in draft.lines]
        takeable = 0 < len(lines) <= MOST_LINES
        as_is = (Choice(DecisionKind.APPROVE, "Tag with these notes", value="draft"),) if takeable else ()
        edit = "Edit again…" if ctx.typed else "Edit them…"
        return Question(
            title=f"This becomes the message of the tag {ctx.plan.version}. Is it right?",
            detail="\n".join(_remarks(ctx, draft)),
            choices=(
                *as_is,
                Choice(DecisionKind.APPROVE, edit, form="notes", value=EDITED),
                Choice(DecisionKind.REJECT, "Do not tag", danger=True),
            ),
            basis=tuple(one.name for one in self.holds),
            draft={
                "version": ctx.plan.version,
                "text": draft.text,
                "left_out": "\n".join(notes.line(one) for one in draft.left_out),
                "message": message(lines, mark=mark_of_tag(ctx)) if lines else "",
            },
        )

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` for a no or for empty notes, `Refused` when the basis is gone."""
        demand_yes(ctx)
        _lines(ctx)
        await demand(ctx, *self.holds)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Return the approved lines."""
        return _confirmed(ctx, demand_yes(ctx))


def current(ctx: StepContext) -> Draft:
    """Return the draft as it stands: what somebody sent last, else what the plan drafted."""
    return Draft.read(ctx.typed if "text" in ctx.typed else ctx.step.params)


def _remarks(ctx: StepContext, draft: Draft) -> Iterator[str]:
    if ctx.step.params.get("titles_only") and "text" not in ctx.typed:
        yield "GitHub was not there to ask: this is drafted from the titles of the commits alone."
    if not draft.lines:
        yield "No pull request gave a line: write at least one."
    if len(draft.lines) > MOST_LINES:
        yield f"{len(draft.lines)} lines are too many for a tag: at most {MOST_LINES}."
    if draft.left_out:
        shown = [notes.line(one) for one in draft.left_out[:3]]
        more = f" and {len(draft.left_out) - 3} more" if len(draft.left_out) > 3 else ""  # noqa: PLR2004  # as shown
        yield f"Left out: {'; '.join(shown)}{more}."


def _lines(ctx: StepContext) -> list[str]:
    return demand_lines([notes.line(one) for one in current(ctx).lines])


def _confirmed(ctx: StepContext, answer: Answer) -> Evidence:
    return _evidence(_lines(ctx), by=answer.by, what=f"Approved by <@{answer.by}>")


def _evidence(lines: list[str], *, by: str, what: str) -> Evidence:
    return Evidence(f"{what}: {len(lines)} line(s).", {"lines": lines, "by": by}, Notes(lines, by))


STEP: Step = ReleaseNotes()
