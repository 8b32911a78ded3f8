"""Named places where a test kills the process, the same for every step. Outside tests, naming one is refused at the start.

``RELEASEBOT_FAILPOINT=name[:where]`` with ``RELEASEBOT_TESTING=1``: the process is killed (SIGKILL) the first time that it
passes there. Names: before_effect, after_effect, after_write (where: the step's key), and during_post, after Slack took a
message or an edit and before that is noted (where: the message's key, or a step's: the first message or edit after that one was begun).
"""

from __future__ import annotations

import os
import signal

from bot.domain.errors import BadSettings

NAMES = ("before_effect", "after_effect", "after_write", "during_post")


def demand_sane() -> None:
    """Raise `BadSettings` when a failpoint is set outside tests, or has an unknown name."""
    wanted = os.environ.get("RELEASEBOT_FAILPOINT", "")
    if not wanted:
        return
    if os.environ.get("RELEASEBOT_TESTING") != "1":
        raise BadSettings(
            "RELEASEBOT_FAILPOINT is set: it kills the bot, and is for tests.", hint="unset RELEASEBOT_FAILPOINT"
        )
    if wanted.partition(":")[0] not in NAMES:
        raise BadSettings(f"RELEASEBOT_FAILPOINT names {wanted!r}; expected one of {', '.join(NAMES)}.")


_begun: set[str] = set()


def begin(key: str) -> None:
    """Note that a step was begun."""
    _begun.add(key)


def begun() -> frozenset[str]:
    """Return every step that this process began."""
    return frozenset(_begun)


def reach(name: str, *where: str) -> None:
    """Pass a place."""
    wanted = os.environ.get("RELEASEBOT_FAILPOINT", "")
    if wanted and wanted in (name, *(f"{name}:{one}" for one in where)) and os.environ.get("RELEASEBOT_TESTING") == "1":
        os.kill(os.getpid(), signal.SIGKILL)
