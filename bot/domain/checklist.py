"""A checklist: the steps of a strategy in order, as a team may customise them, and what can be wrong with one."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bot.domain.approval import weakened
from bot.domain.phases import outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.approval import ApprovalPolicy
    from bot.domain.plan import StepKind

Part = Literal["es_update", "manual_migrations", "pull_request_comments", "drain", "swap_back"]
# The first two are switched on by findings (docs/strategies.md), comments by the environment's settings, drain by whoever
# rolls back, and swap_back by what the release that is rolled back had done.
PARTS: tuple[Part, ...] = ("es_update", "manual_migrations", "pull_request_comments", "drain", "swap_back")
LOCK_KEYS = ("locked_from", "locked_until")
MANUAL = "manual"  # the step that a checklist's own sentence becomes


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What a checklist and a plan need to know of a step, without its code."""

    id: str
    version: int
    title: str
    kind: StepKind
    skip: str
    costly_to_undo: bool = False
    changes_live: bool = False  # it is done under the environment's lock alone
    params: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()  # must stand before it
    after: frozenset[str] = frozenset()  # must stand before it, where they stand at all
    by_hand: str = ""  # how a person makes it true without the bot
    approval: ApprovalPolicy | None = None  # what its class asks for before its effect
    may_weaken: bool = False  # the environment's settings let a checklist ask for less
    break_glass: bool = True  # an admin may approve it alone


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a checklist. ``part``: only where findings switch it on. ``unless_hotfix``: left out of a hotfix."""

    key: str
    step: str
    line: int
    title: str = ""
    params: Mapping[str, object] = field(default_factory=dict)
    part: str = ""
    unless_hotfix: bool = False
    assignee: str = ""
    note: str = ""
    approval: Mapping[str, object] = field(default_factory=dict)  # what it says over the step's own policy


@dataclass(frozen=True, slots=True)
class Checklist:
    """A named checklist and the very text it was read from, which a release keeps."""

    name: str
    title: str
    description: str
    items: tuple[Item, ...]
    text: str
    file: str = ""
    locked_from: str = ""  # keys of the first and the last step that need the environment's lock; empty: all do
    locked_until: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)  # where these two stand

    @property
    def sha256(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def reference(self) -> str:
        """Name and SHA-256: what a plan is said to be made from."""
        return f"{self.name}@{self.sha256}"

    @property
    def parts(self) -> frozenset[str]:
        """The optional parts that it has."""
        return frozenset(item.part for item in self.items if item.part)


def complaints(checklist: Checklist, catalogue: Mapping[str, StepFacts]) -> list[str]:
    """Say everything that is wrong with a checklist, one sentence each, with file, line and step. Empty: nothing is."""
    return [
        f"{checklist.file or checklist.name}, line {line}, step {key}: {what}"
        for line, key, what in sorted(
            [
                *_twice(checklist),
                *_unknown(checklist, catalogue),
                *_misplaced(checklist, catalogue),
                *_weakened(checklist, catalogue),
                *_unlocked(checklist, catalogue),
            ]
        )
    ]


Complaint = tuple[int, str, str]


def _twice(checklist: Checklist) -> Iterator[Complaint]:
    first: dict[str, int] = {}
    for item in checklist.items:
        if item.key in first:
            yield (
                item.line,
                item.key,
                f"the key {item.key!r} stands already in line {first[item.key]}; give one another `key`.",
            )
        first.setdefault(item.key, item.line)


def _unknown(checklist: Checklist, catalogue: Mapping[str, StepFacts]) -> Iterator[Complaint]:
    for item in checklist.items:
        facts = catalogue.get(item.step)
        if facts is None:
            yield item.line, item.key, f"there is no step {item.step!r}.{suggestion(item.step, catalogue)}"
            continue
        for name in sorted(set(item.params) - facts.params):
            takes = f"it takes {', '.join(sorted(facts.params))}" if facts.params else "it takes none"
            yield item.line, item.key, f"unknown parameter {name!r}; {takes}."


def _misplaced(checklist: Checklist, catalogue: Mapping[str, StepFacts]) -> Iterator[Complaint]:
    anywhere = {item.step for item in checklist.items}
    before: set[str] = set()
    for item in checklist.items:
        facts = catalogue.get(item.step)
        for other in sorted((facts.needs | facts.after) - before if facts else ()):
            if other in anywhere:
                yield item.line, item.key, f"it must come after {other}."
            elif facts and other in facts.needs:
                yield item.line, item.key, f"it needs {other} before it, which the checklist lacks."
        before.add(item.step)


def _weakened(checklist: Checklist, catalogue: Mapping[str, StepFacts]) -> Iterator[Complaint]:
    """A checklist may ask for more than a step's class does; for less only where the settings let it."""
    for item in checklist.items:
        facts = catalogue.get(item.step)
        for what in weakened(facts.approval, item.approval) if facts and not facts.may_weaken else ():
            yield item.line, item.key, f"its approval asks for too little: {what} (settings: approvals.weaker)."


def _unlocked(checklist: Checklist, catalogue: Mapping[str, StepFacts]) -> Iterator[Complaint]:
    """The lock's marks name steps, in order, and whatever changes what is live lies between them."""
    keys = [item.key for item in checklist.items]
    for name in LOCK_KEYS:
        key = getattr(checklist, name)
        if key and key not in keys:
            yield checklist.lines.get(name, 1), key, f"`{name}` names no step.{suggestion(key, tuple(keys))}"
    first, last = checklist.locked_from, checklist.locked_until
    if first in keys and last in keys and keys.index(last) < keys.index(first):
        yield checklist.lines.get("locked_until", 1), last, f"`locked_until` comes before `locked_from` ({first})."
        return
    free = outside(keys, first, last)
    for item in checklist.items:
        facts = catalogue.get(item.step)
        if facts and facts.changes_live and item.key in free:
            yield (
                item.line,
                item.key,
                "it changes what is live, so it must lie within the lock (locked_from, locked_until).",
            )


def suggestion(word: str, known: Mapping[str, object] | frozenset[str] | tuple[str, ...]) -> str:
    """Return `` Did you mean 'x'?`` or the words there are, for the end of a complaint."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(sorted(known))}."
