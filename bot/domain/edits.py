"""What people may change in the plan of one release: a step by hand, one left out, another order, a note, a person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import PlannedStep

SKIPPED, NOTE, ASSIGNEE, NAME = "skipped", "note", "assignee", "assignee_name"  # parameters of a planned step
TITLE, TEXT, EVIDENCE = "title", "text", "evidence"  # and of one that was put in


@dataclass(frozen=True, slots=True)
class Insert:
    """A step that a person does and confirms, before the step ``before``, or at the end where that is empty.

    ``person`` is the Slack id of who does it; ``evidence`` says what whoever confirms it has to give.
    """

    title: str
    before: str = ""
    text: str = ""
    person: str = ""
    name: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """A step that is not done in this release, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """A step that comes right before ``before``, or last where that is empty."""

    key: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Words that stand with a step when it comes; they replace those that it had."""

    key: str
    note: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Whom a step mentions when it comes: a Slack id, and the name that people read elsewhere."""

    key: str
    person: str
    name: str = ""


Edit = Insert | LeaveOut | Move | Note | Assign
KINDS: dict[str, type[Edit]] = {"insert": Insert, "skip": LeaveOut, "move": Move, "note": Note, "assign": Assign}


def left_out(step: PlannedStep) -> tuple[str, str] | None:
    """Return who left a step out of this release, and why; None for one that is done."""
    said = step.params.get(SKIPPED)
    return (str(said.get("by", "")), str(said.get("reason", ""))) if isinstance(said, dict) else None


def assigned_name(step: PlannedStep) -> str:
    """Return whose a step is, as people read it; empty where it is nobody's in particular."""
    return str(step.params.get(NAME) or step.params.get(ASSIGNEE) or "")


def concerned(edit: Edit) -> str:
    """Return the key of the step that an edit changes; empty for one that puts a step in."""
    return "" if isinstance(edit, Insert) else edit.key


def edit_out(edit: Edit) -> dict[str, object]:
    """Write an edit as JSON values."""
    kind = next(name for name, one in KINDS.items() if isinstance(edit, one))
    return {"kind": kind, **asdict(edit)}


def edit_in(raw: Mapping[str, object]) -> Edit:
    """Read what `edit_out` wrote."""
    return KINDS[str(raw["kind"])](**{name: str(value) for name, value in raw.items() if name != "kind"})
