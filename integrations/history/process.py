"""A Git process that answers one question after another."""

from __future__ import annotations

import contextlib
import subprocess
from typing import IO, TYPE_CHECKING

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Object = tuple[str, str, bytes]  # name, type, contents
_END = b"=end of this pair="


class Process:
    """A Git process that answers one question after another."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover - asked for just above
            raise Unavailable("git started without pipes.")
        self._questions: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout

    def objects(self, names: Sequence[str]) -> list[Object | None]:
        """What stands behind each of some names, with one wait for all. Raises BrokenPipeError if Git died.

        Together the names must fit a pipe: else Git and we would wait for each other.
        """
        self._ask(b"".join(name.encode("utf-8", "surrogateescape") + b"\n" for name in names))
        return [self._object() for _ in names]

    def _object(self) -> Object | None:
        header = self._answers.readline()
        if not header:
            raise BrokenPipeError
        words = header.rsplit(b" ", 2)
        if len(words) != 3 or not words[2].strip().isdigit():  # noqa: PLR2004 - "name type size"
            return None
        contents = self._answers.read(int(words[2]) + 1)[:-1]
        return words[0].decode(), words[1].decode(), contents

    def ask(self, old: str, new: str) -> None:
        """Ask for the raw differences of two trees. A line that is no object name is echoed by diff-tree: the end mark."""
        self._ask(f"{old} {new}\n".encode() + _END + b"\n")

    def answer(self) -> bytes:
        """The differences of the pair that was asked for first. Raises BrokenPipeError if Git died."""
        parts: list[bytes] = []
        while True:
            part = self._answers.readline()
            if not part:
                raise BrokenPipeError
            if part.endswith(_END + b"\n"):
                parts.append(part[: -len(_END) - 1])
                break
            parts.append(part)
        return b"".join(parts).partition(b"\n")[2]  # behind the line that repeats the pair

    def _ask(self, question: bytes) -> None:
        self._questions.write(question)
        self._questions.flush()

    def close(self) -> None:
        """End it, and wait for its end."""
        with contextlib.suppress(BrokenPipeError):
            self._questions.close()
        self._answers.close()
        self._process.wait()
