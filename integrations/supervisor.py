"""What `supervisorctl status` says. Only parsing: the words are supervisor's own (http://supervisord.org/subprocess.html)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

STATES = frozenset({"STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN"})
_LINE = re.compile(r"^(?P<name>\S+)\s+(?P<state>[A-Z]+)(?:\s+(?P<detail>.*\S))?\s*$")
_PID = re.compile(r"\bpid (\d+)")


@dataclass(frozen=True, slots=True)
class Status:
    """One line of it."""

    name: str
    group: str
    state: str
    pid: int | None
    detail: str


def parse(text: str) -> Sequence[Status]:
    """Return one `Status` a program; other chatter beside them is passed over. Raises `Unavailable` for chatter alone: an error.

    ``supervisorctl status`` ends with 3 when a program does not run, so its exit status says nothing.
    """
    found = [_status(match) for line in text.splitlines() if (match := _LINE.match(line)) and match["state"] in STATES]
    if not found and text.strip():
        raise Unavailable(
            f"supervisord does not answer: {text.strip()[:200]}",
            hint="on the server: supervisord -c /etc/supervisor/supervisord.conf",
        )
    return found


def _status(match: re.Match[str]) -> Status:
    group, _, name = match["name"].rpartition(":")
    detail = match["detail"] or ""
    pid = _PID.search(detail) if match["state"] == "RUNNING" else None
    return Status(name or match["name"], group or name, match["state"], int(pid[1]) if pid else None, detail)
