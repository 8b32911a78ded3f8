"""The release's tag: whose it is, and what its message says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed
from bot.domain.noteform import MOST_LINES
from bot.domain.notes import HEADING
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.world import RemoteTag
    from bot.engine.step import StepContext

_MARK = re.compile(r"^Released-by: (?P<mark>\S+)\s*$", re.MULTILINE)
NEXT_VERSION = "/release abort, then /release start with the next version: a pushed tag is never moved or deleted"


class Whose(StrEnum):
    """Whose tag the remote has under this release's version."""

    NOBODYS = "nobody's"  # there is none
    OURS = "ours"
    BY_HAND = "by hand"  # annotated, at the pinned commit, without any release's mark
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes as a person confirmed them: lines such as ``[Task] Mono mass #1388``. ``by`` is who did."""

    lines: list[str]
    by: str


def whose(ctx: StepContext, tag: RemoteTag | None) -> tuple[Whose, str]:
    """Tell whose the tag is, with the reason for people when it is `Whose.FOREIGN`."""
    if tag is None:
        return Whose.NOBODYS, ""
    mark = mark_of(tag.message)
    if tag.target != ctx.plan.head:
        return Whose.FOREIGN, f"{tag.name} exists already, at {short(tag.target)}, not at {short(ctx.plan.head)}."
    if mark and mark.startswith(f"{ctx.release}-"):
        return Whose.OURS, ""
    if mark:
        return (
            Whose.FOREIGN,
            f"{tag.name} exists already: it belongs to {mark.split('-')[0]}, and its version is spent.",
        )
    if not tag.annotated:
        return Whose.FOREIGN, f"{tag.name} exists already as a lightweight tag, without notes."
    return Whose.BY_HAND, ""


def mark_of(message: str) -> str:
    """Return the mark that a release of ours left in a tag's message, or nothing."""
    found = _MARK.search(message)
    return found["mark"] if found else ""


def message(lines: list[str], *, mark: str) -> str:
    """Return METASPACE's form of a tag message, and the mark by which the release finds its tag again."""
    return "\n".join([HEADING, *(f">   {line}" for line in lines), "", f"Released-by: {mark}", ""])


def lines_of(text: str) -> list[str]:
    """Read the lines of notes, from a form or from a tag's message."""
    printable = ("".join(char if char.isprintable() else " " for char in line) for line in text.splitlines())
    lines = [stripped for line in printable if (stripped := line.strip().removeprefix(">").strip())]
    return [line for line in lines if f"> {line}" != HEADING and not line.startswith("Released-by:")]


def demand_lines(lines: list[str]) -> list[str]:
    """Return the lines that go into a tag; raises `StepFailed` when there is none, or far too many."""
    if not lines:
        raise StepFailed(
            "The release notes are empty.", hint="retry, and write at least one line: [Task] What is new #123"
        )
    if len(lines) > MOST_LINES:
        raise StepFailed(f"The release notes have {len(lines)} lines.", hint=f"retry with at most {MOST_LINES} lines")
    return lines


def mark_of_tag(ctx: StepContext) -> str:
    """Return the mark that the tag of this release will have (`StepContext.mark` of the step that pushes it)."""
    keys = [step.key for step in ctx.plan.steps if step.step == "tag"]
    return f"{ctx.release}-{keys[0] if keys else 'tag'}"


def hidden_mark(mark: str) -> str:
    """Return a mark that GitHub keeps and does not show: by it a release finds its own texts again."""
    return f"<!-- releasebot {mark} -->"


def body_of_release(lines: list[str], *, mark: str) -> str:
    """Return the notes as Markdown, the same lines as in the tag. Nobody is mentioned, and nothing is taken for HTML."""
    shown = (line.replace("&", "&amp;").replace("<", "&lt;").replace("@", "@<!-- -->") for line in lines)
    return "\n".join([*(f"* {line}" for line in shown), "", hidden_mark(mark), ""])


def tag_commands(version: str, head: str) -> tuple[tuple[str, ...], ...]:
    """Return the two lines that make and push the tag by hand."""
    return (
        ("git", "tag", "--annotate", version, head, "-m", f"{HEADING}\n>   [Task] …"),
        ("git", "push", "origin", f"refs/tags/{version}"),
    )
