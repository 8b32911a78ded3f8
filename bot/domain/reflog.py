"""A server's reflog: which commits have been live, and since when. Pure; `git reflog` prints it, newest move first.

Ansible checks out in two moves or more: first the server's own stale master, then, seconds later, the commit that is meant.
A stay as short as that was never live. Only HEAD's reflog is read: a deploy deletes release's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.domain.world import ReflogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMAND = ("reflog", "--no-abbrev", "--date=iso-strict", "-n", "300", "HEAD")
PASSING = timedelta(minutes=2)
_LINE = re.compile(r"^(?P<sha>[0-9a-f]{40,64})(?: \([^)]*\))? HEAD@\{(?P<at>\d{4}-\d\d-\d\dT[^}]+)\}: ?(?P<action>.*)$")


@dataclass(frozen=True, slots=True)
class Stay:
    """A commit that was checked out without a break since ``since``."""

    sha: str
    since: datetime


def parse(text: str) -> tuple[ReflogEntry, ...]:
    """Read the lines of `COMMAND`; a line of another form, or with an impossible date, is passed over."""
    return tuple(entry for line in text.splitlines() if (entry := _entry(line)))


def stays(entries: Sequence[ReflogEntry]) -> tuple[Stay, ...]:
    """Return what has been live, newest first: moves that others followed at once are left out, repetitions joined."""
    found: list[Stay] = []
    for entry in _lasting(entries):
        if found and found[-1].sha == entry.sha:
            found[-1] = Stay(entry.sha, entry.at)
        else:
            found.append(Stay(entry.sha, entry.at))
    return tuple(found)


def _lasting(entries: Sequence[ReflogEntry]) -> Iterator[ReflogEntry]:
    """Yield the newest move, and each older one that lasted for longer than `PASSING`."""
    newer: ReflogEntry | None = None
    for entry in entries:
        if newer is None or newer.at - entry.at > PASSING:
            yield entry
        newer = entry


def _entry(line: str) -> ReflogEntry | None:
    found = _LINE.match(line)
    if found is None:
        return None
    try:
        at = datetime.fromisoformat(found["at"])
    except ValueError:
        return None
    return ReflogEntry(found["sha"], at.astimezone(UTC), found["action"].strip())
