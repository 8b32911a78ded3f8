"""A command on a server, on its way there and back: the one string that SSH takes, what was said, and lines of a stream."""

from __future__ import annotations

import codecs
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed, WrongUse
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXCERPT = 600  # characters of an error's output
_LONGEST = 1 << 20  # characters of a line that are kept while it has not ended
# OpenSSH hangs up on a command with a NUL, and a half character has no UTF-8.
_SENDABLE = re.compile(r"[^\0\ud800-\udfff]*")


@dataclass(frozen=True, slots=True)
class Result:
    """What a command said."""

    stdout: str
    stderr: str
    status: int


class CommandFailed(StepFailed):
    """A command on a server ended with another status than 0."""

    def __init__(self, host: str, argv: Sequence[str], status: int, stderr: str) -> None:
        """``stderr`` is cut and scrubbed before it is kept."""
        self.host, self.argv, self.status = host, tuple(argv), status
        self.stderr = scrub(stderr.strip())[-EXCERPT:]
        said = f": {self.stderr}" if self.stderr else ""
        super().__init__(
            f"{argv[0]} on {host} ended with status {status}{said}", hint=f"ssh {host}, then: {shlex.join(argv)[:300]}"
        )


class NoSuchFile(CommandFailed):
    """The file to read is not there."""


class Lines:
    """Makes lines of text of the pieces that a stream comes in; one that grows too long is given out as it is."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""

    def take(self, piece: bytes) -> list[str]:
        """Return the lines that this piece ends, without their ends."""
        found = (self._open + self._decoder.decode(piece)).split("\n")
        self._open = "" if len(found[-1]) > _LONGEST else found.pop()
        return found

    def rest(self) -> list[str]:
        """Return what is left at the end: a last line without an end, or nothing."""
        left = self._open + self._decoder.decode(b"", final=True)
        return [left] if left else []


def line(
    argv: Sequence[str], *, sudo: bool = False, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> str:
    """Return the one string that SSH takes. Every word is quoted here, and nowhere else."""
    given = [f"{name}={value}" for name, value in (env or {}).items()]
    # sudo takes variables itself, and says so when it may not; around it, they would be dropped silently
    words = [*(["sudo", "-n", *given, "--"] if sudo else ["env", *given] if given else []), *argv]
    if cwd:
        words = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "in", cwd, *words]
    if bad := next((word for word in words if not _SENDABLE.fullmatch(word)), None):
        raise WrongUse(f"{ascii(bad)[:60]} cannot be sent to a server.", hint="leave out the character that is none")
    return shlex.join(words)
