"""Modals that collect what a decision needs: release notes, a reason, a version typed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain import noteform
from bot.domain.drafting import Draft
from bot.domain.notes import NoteKind
from bot.views import ids, kit, limits
from bot.views.text import code, escape, exact, paragraphs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.readmodel import OpenQuestion, ReleaseView, StepView
    from bot.domain.release import Choice

GLASS = "You approve this alone. The channel is told, with your reason, and it is kept in the log."


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
        case "evidence":
            return evidence_form(callback, metadata, opened.question.title, opened.question.detail)
        case "break_glass":
            version = str(draft.get("version", ""))
            return typed_form(callback, metadata, f"{GLASS}\n{opened.question.title}", version, reason=True)
        case _:
            return reason_form(callback, metadata, choice.label, opened.question.title)


def notes_form(callback: str, metadata: Mapping[str, object], draft: Mapping[str, object]) -> dict[str, Any]:
    """Edit the release notes: one text field for each kind, and one for what is left out (`bot.domain.noteform`).

    The draft has ``version``, and as lines in METASPACE's form ``text`` and ``left_out``.
    """
    boxes = noteform.boxes(Draft.read(draft))
    blocks: list[Block] = [
        kit.section(
            f"Notes of the tag {code(str(draft.get('version', '')))}: one line for each thing that is new, and #number.\n"
            "Move a line within its box to reorder it, into another box to change its kind, into *Left out* to drop it. "
            f"Write it in your own words. {code(noteform.NOTHING)} stands for nothing.\n"
            "Nothing is tagged yet: you are shown the message first."
        ),
        *(
            kit.text_input(box.name, _label(box), initial=box.text, multiline=True, hint=_hint(box))
            for box in boxes[: limits.MODAL_BLOCKS - 1]
        ),
    ]
    opened = {**metadata, "filled": [box.name for box in boxes if box.filled]}
    return kit.modal(
        callback=callback, title="Release notes", submit="Show the message", blocks=blocks, metadata=opened
    )


def given_back(lines: Sequence[str]) -> kit.Message:
    """Hand what was typed back to its author when it could not be taken."""
    text = "Your notes were not taken. Here they are, to copy:"
    return kit.message(text, kit.lines([f"*{text}*", *(exact(one, 600) for one in lines)], room=kit.ROOM))


def reason_form(callback: str, metadata: Mapping[str, object], title: str, what: str) -> dict[str, Any]:
    """Ask for a reason, which is told to the channel and kept."""
    blocks = [
        kit.section(f"*{escape(what, 1500)}*"),
        kit.text_input(
            ids.REASON, "Reason", multiline=True, hint="Everybody in the channel sees it; it is kept with the release."
        ),
    ]
    return kit.modal(callback=callback, title=title, submit=title, blocks=blocks, metadata=metadata)


def evidence_form(callback: str, metadata: Mapping[str, object], title: str, detail: str) -> dict[str, Any]:
    """Ask for what shows that a step was done by hand."""
    blocks = [
        kit.section(f"*{escape(title, 300)}*\n{paragraphs(detail, 1500)}".strip()),
        kit.text_input(ids.REASON, "What shows that it is done", multiline=True, hint="It is kept with the release."),
    ]
    return kit.modal(callback=callback, title="Done", submit="Done", blocks=blocks, metadata=metadata)


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


def typed_form(
    callback: str, metadata: Mapping[str, object], what: str, version: str, *, reason: bool = False
) -> dict[str, Any]:
    """Have the version typed out, for what cannot be undone; ``reason``: it must be given."""
    blocks = [
        kit.section(f"*{paragraphs(what, 1500)}*"),
        kit.text_input(ids.TYPED, f"Type {version} to confirm"),
        kit.text_input(ids.REASON, "Reason", multiline=True, optional=not reason),
    ]
    return kit.modal(callback=callback, title="Confirm by typing", submit="Confirm", blocks=blocks, metadata=metadata)


def _label(box: noteform.Box) -> str:
    name = {NoteKind.TASK: "Tasks", NoteKind.BUG: "Bugs", NoteKind.DEPENDABOT: "Dependabot"}
    title = name[box.kind] if box.kind else "Left out"
    return f"{title} ({box.number} of {box.of})" if box.of > 1 else title


def _hint(box: noteform.Box) -> str:
    if box.number > 1:
        return ""
    return "Not in the tag; kept here for the next time." if box.kind is None else f"Becomes [{box.kind}] … in the tag."


def _stand(release: ReleaseView, step: StepView | None) -> dict[str, object]:
    return {"release": release.id, "step": step.key if step else "", "attempt": step.attempt if step else 0}
