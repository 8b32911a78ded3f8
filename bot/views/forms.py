"""Modals that collect what a decision needs: release notes, a reason, a version typed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain import notes
from bot.views import ids, kit, limits
from bot.views.text import code, escape, one_line, paragraphs, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.readmodel import OpenQuestion, ReleaseView, StepView
    from bot.domain.release import Choice

_GROUPS = 6  # of ten boxes each: more are not a choice but a wall


def question_form(opened: OpenQuestion, choice: Choice, index: int) -> dict[str, Any]:
    """Open the form that a choice names; an unknown form asks for a reason."""
    metadata = {"question": opened.id, "release": opened.release, "choice": index}
    callback = f"{ids.QUESTION_FORM}{choice.form if choice.form in ids.FORMS else 'reason'}"
    draft = opened.question.draft or {}
    match choice.form:
        case "notes":
            return notes_form(callback, metadata, draft)
        case "typed_version":
            return typed_form(callback, metadata, opened.question.title, str(draft.get("version", "")))
        case _:
            return reason_form(callback, metadata, choice.label, opened.question.title)


def notes_form(callback: str, metadata: Mapping[str, object], draft: Mapping[str, object]) -> dict[str, Any]:
    """Edit the release notes. The text counts; ticked boxes, if any, say which of its pull requests are kept.

    The draft has ``version`` and ``text`` (a tag message in METASPACE's form).
    """
    text, version = str(draft.get("text", "")), str(draft.get("version", ""))
    numbered = [note for note in notes.parse(text) if note.number is not None]
    blocks: list[Block] = [
        kit.section(f"Annotated tag {code(version)}: these lines become its message, in METASPACE's form."),
        kit.text_input(
            ids.NOTES,
            "Release notes",
            initial=fitting(text),
            multiline=True,
            hint="One line each: [Task], [Bug] or [Dependabot], a title, #number. Reword or remove lines freely.",
        ),
        *_boxes(numbered),
    ]
    if len(numbered) > _GROUPS * limits.OPTIONS:
        blocks.append(
            kit.context(
                f"Boxes for the first {_GROUPS * limits.OPTIONS} of {len(numbered)} lines; edit the text for others."
            )
        )
    return kit.modal(
        callback=callback, title="Release notes", submit="Use these notes", blocks=blocks, metadata=metadata
    )


def reason_form(callback: str, metadata: Mapping[str, object], title: str, what: str) -> dict[str, Any]:
    """Ask for a reason, which is told to the channel and kept."""
    blocks = [
        kit.section(f"*{escape(what, 1500)}*"),
        kit.text_input(
            ids.REASON, "Reason", multiline=True, hint="Everybody in the channel sees it; it is kept with the release."
        ),
    ]
    return kit.modal(callback=callback, title=title, submit=title, blocks=blocks, metadata=metadata)


def skip_form(release: ReleaseView, step: StepView) -> dict[str, Any]:
    """Ask why a step is left out."""
    what = f"Skip “{step.title}” of {release.plan.version} to {release.environment}? The bot goes on as if it were done, without proof."
    return reason_form(ids.SKIP_FORM, _stand(release, step), "Skip this step", what)


def abort_form(release: ReleaseView) -> dict[str, Any]:
    """Ask why a release is given up, and say what that does and does not undo."""
    done = sum(step.state == "done" for step in release.steps)
    what = (
        f"Abort {release.plan.version} to {release.environment}? The step in work is let finish, no other begins. "
        f"What {done} finished steps changed stays as it is: a pushed branch or tag is not taken back."
    )
    return reason_form(ids.ABORT_FORM, _stand(release, release.current), "Abort the release", what)


def typed_form(callback: str, metadata: Mapping[str, object], what: str, version: str) -> dict[str, Any]:
    """Have the version typed out, for what cannot be undone."""
    blocks = [
        kit.section(f"*{paragraphs(what, 1500)}*"),
        kit.text_input(ids.TYPED, f"Type {version} to confirm"),
        kit.text_input(ids.REASON, "Reason", multiline=True, optional=True),
    ]
    return kit.modal(callback=callback, title="Confirm by typing", submit="Confirm", blocks=blocks, metadata=metadata)


def fitting(text: str) -> str:
    """Cut a draft at a whole line so that it fits into a text field; what is cut is said in the last line."""
    if len(text) <= limits.INITIAL - 300:
        return text
    kept: list[str] = []
    for line in text.splitlines():
        if sum(len(one) + 1 for one in kept) + len(line) > limits.INITIAL - 300:
            break
        kept.append(line)
    return "\n".join(kept)


def kept_notes(text: str, keep: Sequence[str]) -> str:
    """Apply the boxes: with none ticked the text stands as it is; else lines of pull requests not ticked are left out."""
    if not keep:
        return text
    lines = text.splitlines()
    return "\n".join(
        line for line in lines if not (note := notes.parse(line)) or str(note[0].number or "") in {*keep, ""}
    )


def _boxes(numbered: Sequence[notes.Note]) -> list[Block]:
    groups = [numbered[at : at + limits.OPTIONS] for at in range(0, len(numbered), limits.OPTIONS)][:_GROUPS]
    found: list[Block] = []
    for place, group in enumerate(groups):
        options = [(str(one.number), shorten(one_line(f"#{one.number} {one.title}"), limits.OPTION)) for one in group]
        label = "Keep only these lines" if place == 0 else "… or these"
        hint = "Tick some to leave out all others; tick none to keep the text as it is." if place == 0 else ""
        found.append(kit.checkboxes(f"{ids.KEEP}{place}", label, options, hint))
    return found


def _stand(release: ReleaseView, step: StepView | None) -> dict[str, object]:
    return {"release": release.id, "step": step.key if step else "", "attempt": step.attempt if step else 0}
