"""The chain of events: each carries the hash of the one before it, so that no change of the log goes unseen.

The form that is hashed never changes: the hashes in everybody's database rest on it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

BEGINNING = "0" * 64  # what the first event follows


@dataclass(frozen=True, slots=True)
class Entry:
    """What an event says: who did what, when, to what, asked by which message. ``by`` is empty for the bot itself."""

    id: int
    release: int | None
    step: str
    kind: str
    at: datetime
    by: str
    source: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
    """An event as it is kept: ``previous`` is the hash of the event before it, ``hash`` that of itself and ``previous``."""

    entry: Entry
    previous: str
    hash: str


def digest(entry: Entry, previous: str) -> str:
    """Return the SHA-256 over the previous event's hash and this event's canonical JSON: sorted keys, ASCII, no spaces."""
    return hashlib.sha256(f"{previous}\n{canonical(entry)}".encode()).hexdigest()


def canonical(entry: Entry) -> str:
    """Return the one way to write an event. Its data count as they come back from JSON: keys are text, tuples are lists."""
    said = {**asdict(entry), "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds")}
    said["data"] = json.loads(json.dumps(entry.data))
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


class Chain:
    """Reads events in the order of their numbers, and says what is wrong with the first that does not fit."""

    def __init__(self) -> None:
        """At the beginning: no event was read."""
        self.position, self.hash, self.count = 0, BEGINNING, 0

    def fault(self, link: Link) -> str:
        """Take the next event; return why it breaks the chain, or nothing."""
        entry = link.entry
        if not _genuine(link):
            return f"event {entry.id} was changed: its content does not have its hash"
        if link.previous != self.hash:
            if entry.id > self.position + 1:
                return f"{_span(self.position + 1, entry.id - 1)} missing before event {entry.id}"
            return f"event {entry.id} does not follow event {self.position}: one was put in, taken out or moved here"
        self.position, self.hash, self.count = entry.id, link.hash, self.count + 1
        return ""

    def end_fault(self, position: int, head: str) -> str:
        """Compare the end with what was noted of the newest event; return what is wrong, or nothing."""
        if position > self.position:
            return f"{_span(self.position + 1, position)} missing at the end"
        if (position, head) != (self.position, self.hash):
            return f"event {self.position} is not what was noted as the newest: event {position}"
        return ""


def _genuine(link: Link) -> bool:
    try:
        return digest(link.entry, link.previous) == link.hash
    except (AttributeError, TypeError, ValueError):
        return False  # SQLite keeps whatever somebody writes into a column


def _span(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `bot.engine.audit.verify` found: ``fault`` names the first event that is wrong, and is empty when none is."""

    count: int
    position: int
    hash: str
    fault: str = ""


def source(*, request: str, channel: str = "", message: str = "") -> str:
    """Name the message that asked for something: the request's id, and where it was said or pressed."""
    where = "/".join(part for part in (channel, message) if part)
    return f"{request} {where}".strip()[:200]


def source_parts(text: str) -> Iterator[tuple[str, str]]:
    """Take apart what `source` made."""
    request, _, where = text.partition(" ")
    channel, _, message = where.partition("/")
    for name, value in (("request", request), ("channel", channel), ("message", message)):
        if value:
            yield name, value
