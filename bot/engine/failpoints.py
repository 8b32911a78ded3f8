"""Named places where a test kills the process, the same for every step. Outside tests, naming one is refused at the start.

``RELEASEBOT_FAILPOINT=name[:where],…`` with ``RELEASEBOT_TESTING=1``: the process is killed (SIGKILL) the first time that it
passes one of these. Names: before_effect, after_effect, after_write (where: the step's key), and during_post, after Slack took a
message or an edit and before that is noted (where: the message's key, or a step's: the first message or edit after that one was begun).

``RELEASEBOT_FAILPOINTS_PASSED=file``: a line ``passed name:where`` for each place that is passed, and ``killed name:where``
for each that the process died at.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = ("before_effect", "after_effect", "after_write", "during_post")
WANTED, PASSED, TESTING = "RELEASEBOT_FAILPOINT", "RELEASEBOT_FAILPOINTS_PASSED", "RELEASEBOT_TESTING"


def demand_sane() -> None:
    """Raise `BadSettings` when a failpoint is set outside tests, or has an unknown name."""
    found = [one for one in (WANTED, PASSED) if os.environ.get(one)]
    if found and not _testing():
        raise BadSettings(f"{found[0]} is set: it is for tests, which kill the bot.", hint=f"unset {found[0]}")
    for one in _wanted():
        if one.partition(":")[0] not in NAMES:
            raise BadSettings(f"{WANTED} names {one!r}; expected one of {', '.join(NAMES)}.")


_begun: set[str] = set()
_noted: set[str] = set()


def begin(key: str) -> None:
    """Note that a step was begun."""
    _begun.add(key)


def begun() -> frozenset[str]:
    """Return every step that this process began."""
    return frozenset(_begun)


def reach(name: str, *where: str) -> None:
    """Pass a place."""
    if not _testing():
        return
    places = (name, *(f"{name}:{one}" for one in where))
    deadly = [one for one in _wanted() if one in places]
    _note([f"passed {one}" for one in places if one not in _noted] + [f"killed {one}" for one in deadly])
    _noted.update(places)
    if deadly:
        os.kill(os.getpid(), signal.SIGKILL)


def _testing() -> bool:
    return os.environ.get(TESTING) == "1"


def _wanted() -> list[str]:
    return [one for one in os.environ.get(WANTED, "").split(",") if one]


def _note(lines: Iterable[str]) -> None:
    """Write in one go: two bots of a test may have the same file."""
    if file := os.environ.get(PASSED, ""):
        with open(file, "ab", buffering=0) as stream:  # noqa: PTH123  # a bare write, that a kill cannot tear
            stream.write("".join(f"{one}\n" for one in lines).encode())
