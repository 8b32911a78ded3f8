"""A plan as an issue on GitHub: its body with a box for each step, and which boxes a person ticked.

The bot writes between two marks and leaves everything around them as people wrote it. A box says how a step stands: one that a
person ticked says nothing before the step's own check agrees.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from bot.domain.release import FINISHED, StepState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.readmodel import ReleaseView, StepView

BEGIN, END = "<!-- releasebot: from here -->", "<!-- releasebot: to here -->"
OVER = frozenset({StepState.DONE, StepState.SKIPPED})
_BOX = re.compile(r"^\s*[-*+] \[(?P<tick>[ xX])\] .*<!-- step:(?P<key>[a-z0-9_]+) -->\s*$")
_SECTION = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
_MARKUP = re.compile(r"([\\`*_{}\[\]()+!|~])")
_READ = re.compile(r"[@#]|:(?=//)")  # GitHub makes links of these also where they are escaped: a joiner parts them
_TITLE, _SAID = 150, 300
_ABOUT = (
    "The boxes follow the release. Tick one when you have done a step by hand: it counts once the bot has looked at the world "
    "and agrees; else the bot takes the tick back and says why."
)


def mark(release: ReleaseView) -> str:
    """Return what is hidden in the issue of a release, and in no other one: by it the issue is found."""
    return f"<!-- releasebot plan {release.id} {release.environment} {release.created_at:%Y%m%dT%H%M%S%f} -->"


def title(release: ReleaseView) -> str:
    """Return the issue's title."""
    return f"Release {release.plan.version} to {release.environment} ({release.id})"


def body(release: ReleaseView, remarks: Mapping[str, str], before: str = "") -> str:
    """Return the body: what people wrote around the bot's part of ``before`` stays. ``remarks``: why a tick was taken back."""
    part = "\n".join([BEGIN, mark(release), *_lines(release, remarks), END])
    old = before.replace("\r\n", "\n")
    if _SECTION.search(old):
        return _SECTION.sub(lambda _: part, old, count=1)
    return f"{old.rstrip()}\n\n{part}\n" if old.strip() else f"{part}\n"


def ticked(text: str) -> frozenset[str]:
    """Return the keys of the steps whose boxes are ticked."""
    found = (_BOX.match(line) for line in text.splitlines())
    return frozenset(one["key"] for one in found if one and one["tick"] != " ")


def by_hand(release: ReleaseView, boxes: frozenset[str]) -> tuple[str, ...]:
    """Return the keys of the steps that a person ticked: those that are not over, in the plan's order."""
    if release.state in FINISHED:
        return ()
    return tuple(step.key for step in release.steps if step.key in boxes and step.state not in OVER)


def _lines(release: ReleaseView, remarks: Mapping[str, str]) -> Iterator[str]:
    plan = release.plan
    changed = f", version {plan.revision} of its plan" if plan.edits else ""
    yield f"**{_plain(f'{plan.version} to {release.environment}: {release.state}')}**{changed}. Commit {plan.head}."
    if release.note:
        yield f"Note: {_plain(release.note)}"
    yield ""
    yield _ABOUT
    yield ""
    for number, step in enumerate(release.steps, start=1):
        yield f"- [{'x' if step.state in OVER else ' '}] {number}. {_step(step)} <!-- step:{step.key} -->"
        if step.note and step.state not in OVER:
            yield f"  - note: {_plain(step.note)}"
        if (why := remarks.get(step.key)) and step.state not in OVER:
            yield f"  - releasebot took the tick back: {_plain(why)}"


def _step(step: StepView) -> str:
    name = _plain(step.title, _TITLE)
    match step.state:
        case StepState.SKIPPED:
            return f"~~{name}~~ skipped: {_plain(step.reason) or 'no reason given'}"
        case StepState.DONE:
            return f"{name}{f' – {_plain(step.summary)}' if step.summary else ''}"
        case StepState.PENDING:
            return f"{name}{f' – for {_plain(step.assignee)}' if step.assignee else ''}"
        case _:
            return f"{name} – **{step.state}**"


def _plain(text: str, most: int = _SAID) -> str:
    """Make outside text harmless on GitHub, on one line: no markup, no mention, no reference comes of it."""
    line = " ".join(html.unescape(re.sub(r"<@([UW][A-Z0-9]+)>", r"\1", text)).split())
    short = line if len(line) <= most else f"{line[: most - 1]}…"
    kept = _MARKUP.sub(r"\\\1", html.escape(short, quote=False))
    return _READ.sub("\\g<0>\u2060", kept)
