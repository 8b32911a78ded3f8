"""Questions and controls: the buttons of the dashboard and of questions, their modals, and `/release answer` for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain import noteform
from bot.domain.drafting import Draft
from bot.domain.errors import Conflict, WrongUse
from bot.slack.router import Click, Command, CommandContext, Form
from bot.views import forms, ids
from commands import control
from commands.common import answer, number, tell, the_release, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.readmodel import Decided, OpenQuestion, ReleaseView
    from bot.domain.release import Choice


async def answer_question(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Answer the open question of the release in this thread: by the number of the choice, or by its first word."""
    release, words = await the_release(ctx, args)
    if not release.questions:
        raise Conflict(f"{release.id} asks nothing just now; nothing was done.", hint="/release status")
    opened = release.questions[0]
    index = _meant(opened, words)
    await _take(ctx, opened, index, reason=" ".join(words[1:]))


async def press_question(ctx: CommandContext, click: Click) -> None:
    """Take an answer, or open the form that it needs first."""
    value = unpacked(click.value)
    opened = await _open(ctx, value)
    await _take(ctx, opened, number(value.get("choice"), -1))


async def submit_question(ctx: CommandContext, form: Form) -> None:
    """Take an answer together with what its form collected."""
    value = unpacked(form.metadata)
    try:
        opened = await _open(ctx, value)
    except Conflict:
        await _give_back(ctx, form)
        raise
    choice = _choice(opened, number(value.get("choice"), -1))
    collected = _collected(opened, choice, form)
    decided = await _decide(ctx, opened, choice, reason=form.text(ids.REASON), form=collected)
    if not decided.effective:
        await _give_back(ctx, form)


def wrong_notes(form: Form) -> Mapping[str, str]:
    """Keep the notes' form open while it holds what cannot be tagged."""
    filled = unpacked(form.metadata).get("filled")
    return noteform.complaints(form.texts(), filled=filled if isinstance(filled, list) else ())


def incomplete(form: Form) -> Mapping[str, str]:
    """Keep a form open that says nothing where something must be said."""
    missing = {}
    if form.values.get(ids.REASON) is not None and not form.text(ids.REASON):
        missing[ids.REASON] = "Please say something here."
    if form.callback in {ids.SKIP_FORM, ids.ABORT_FORM, f"{ids.QUESTION_FORM}reason"} and not form.text(ids.REASON):
        missing[ids.REASON] = "Please give a reason; everybody in the channel sees it."
    if form.callback == f"{ids.QUESTION_FORM}evidence" and not form.text(ids.REASON):
        missing[ids.REASON] = "Please say what shows that it is done."
    if form.callback in {f"{ids.QUESTION_FORM}typed_version", f"{ids.QUESTION_FORM}break_glass"}:
        if not form.callback.endswith("break_glass"):
            missing.pop(ids.REASON, None)
        elif not form.text(ids.REASON):
            missing[ids.REASON] = "Please give a reason; the channel is told."
        if not form.text(ids.TYPED):
            missing[ids.TYPED] = "Please type the version."
    return missing


async def _take(ctx: CommandContext, opened: OpenQuestion, index: int, *, reason: str = "") -> None:
    choice = _choice(opened, index)
    if choice.form and not (choice.form in {"reason", "evidence"} and reason):
        await ctx.open_modal(forms.question_form(opened, choice, index))
        return
    await _decide(ctx, opened, choice, reason=reason)


async def _decide(
    ctx: CommandContext,
    opened: OpenQuestion,
    choice: Choice,
    *,
    reason: str = "",
    form: Mapping[str, object] | None = None,
) -> Decided:
    decided: Decided = await ctx.office.desk.answer(
        question=opened.id,
        kind=choice.kind,
        by=ctx.person,
        value=choice.value,
        reason=reason,
        form=form,
        source=ctx.origin,
    )
    await tell(ctx, decided)
    return decided


async def _give_back(ctx: CommandContext, form: Form) -> None:
    """Hand notes that came too late back to who typed them."""
    if lines := noteform.typed(form.texts()):
        await answer(ctx, forms.given_back(lines))


async def _open(ctx: CommandContext, value: Mapping[str, object]) -> OpenQuestion:
    """Find the question behind a button; raises `Conflict` that says what became of one already answered."""
    release: ReleaseView = await ctx.office.desk.release(str(value.get("release", "")))
    for one in release.questions:
        if one.id == value.get("question"):
            return one
    raise Conflict(
        f"{release.id} does not ask this any more; nothing was done.", hint="/release status shows where it is."
    )


def _choice(opened: OpenQuestion, index: int) -> Choice:
    if 0 <= index < len(opened.question.choices):
        return opened.question.choices[index]
    raise WrongUse("That is none of the answers to this question; nothing was done.", hint=_offered(opened))


def _meant(opened: OpenQuestion, words: tuple[str, ...]) -> int:
    asked = words[0].lower() if words else ""
    for index, one in enumerate(opened.question.choices):
        names = {
            str(index + 1),
            str(one.kind),
            one.value.lower(),
            one.label.split()[0].lower() if one.label.split() else "",
        }
        if asked and asked in names:
            return index
    raise WrongUse(f"{opened.release} asks: {opened.question.title} Nothing was decided.", hint=_offered(opened))


def _offered(opened: OpenQuestion) -> str:
    return "; ".join(f"/release answer {n}: {one.label}" for n, one in enumerate(opened.question.choices, 1))


def _collected(opened: OpenQuestion, choice: Choice, form: Form) -> Mapping[str, object] | None:
    draft = opened.question.draft or {}
    match choice.form:
        case "notes":
            sent = noteform.collect(form.texts(), Draft.read(draft)).params()
            return {"text": sent["draft"], "left_out": sent.get("left_out", "")}
        case "typed_version" | "break_glass":
            return _typed(form, str(draft.get("version", "")))
        case _:
            return {"reason": form.text(ids.REASON)}


def _typed(form: Form, version: str) -> Mapping[str, object]:
    if form.text(ids.TYPED) != version:
        raise WrongUse(
            f"You typed {form.text(ids.TYPED)[:40]!r}, not {version}; nothing was decided.",
            hint="press the button again",
        )
    return {"typed": version}


COMMAND = Command(
    name="answer",
    summary="Answer the release's open question, for threads",
    place=30,
    handler=answer_question,
    usage="[RELEASE] CHOICE [REASON]",
    example="/release answer 1",
    role="releaser",
    # What a person may decide, the desk knows: an approver, or who stands in for one, is no releaser.
    roles={"question": "viewer", **{f"{ids.QUESTION_FORM}{name}": "viewer" for name in ids.FORMS}},
    buttons={"question": press_question, "release": control.press},
    views={
        **{f"{ids.QUESTION_FORM}{name}": submit_question for name in ids.FORMS},
        ids.SKIP_FORM: control.submit_skip,
        ids.ABORT_FORM: control.submit_abort,
    },
    checks={
        **{f"{ids.QUESTION_FORM}{name}": incomplete for name in ids.FORMS},
        f"{ids.QUESTION_FORM}notes": wrong_notes,
        ids.SKIP_FORM: incomplete,
        ids.ABORT_FORM: incomplete,
    },
)
