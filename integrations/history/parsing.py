"""What Git prints, as domain types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.changes import Change, Commit, Status, Tag
from bot.domain.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_FORMAT = "%H%n%T%n%P%n%ct%n%an%n%ae%n%s"


Entry = tuple[str, bool]  # an object of a tree, and whether it is a folder


@dataclass(frozen=True, slots=True)
class Node:
    """A commit with its tree."""

    commit: Commit
    tree: str


def node(record: str) -> Node:
    """A record of the log, in the form of `LOG_FORMAT`."""
    sha, tree, parents, seconds, author, email, subject = record.lstrip("\n").split("\n", 6)
    when = datetime.fromtimestamp(int(seconds), UTC)
    return Node(Commit(sha, subject, author, email, when, tuple(parents.split())), tree)


def parse_tags(lines: str) -> Iterator[Tag]:
    """Lines of for-each-ref: name, peeled object, object."""
    for line in lines.splitlines():
        name, peeled, direct = line.split("\t")
        version = Version.try_parse(name)
        if version is not None and str(version) == name:
            yield Tag(version, peeled or direct)


def parse_raw(raw: bytes) -> Iterator[Change]:
    """The output of diff-tree --raw -z."""
    fields = iter(raw.decode("utf-8", "surrogateescape").split("\0"))
    for header in fields:
        if not header.startswith(":"):
            continue
        _, _, old, new, letter = header[1:].split(" ")
        first = next(fields)
        renamed = letter[0] in "RC"
        path = next(fields) if renamed else first
        yield Change(
            Status(letter[0]), path, first if renamed else "", old if int(old, 16) else "", new if int(new, 16) else ""
        )


def parse_tree(contents: bytes, width: int) -> Iterator[tuple[str, Entry]]:
    """Names and what they stand for, from a tree object; ``width`` is the length of an object name in bytes."""
    start = 0
    while start < len(contents):
        space, end = contents.index(b" ", start), contents.index(b"\0", start)
        name = contents[space + 1 : end].decode("utf-8", "surrogateescape")
        sha = contents[end + 1 : end + 1 + width].hex()
        if contents[start:space] != b"160000":  # a submodule's commit is not in this repository
            yield name, (sha, contents[start:space] == b"40000")
        start = end + 1 + width
