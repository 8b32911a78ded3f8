"""One run of METASPACE's script over some datasets: a process of its own, followed by what it writes to its standard error.

That goes to a file and not to a pipe: what a run said to a driver that was killed is read by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from .files import TERM_TO_KILL, signal_group
from .lines import Outcome, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)
_LONGEST = 1 << 16  # bytes of a line; what comes after is cut
_PIECE = 1 << 16
_LIBC = ctypes.CDLL(None)


class Child:
    """A run. ``number`` is the worker's, ``cut`` asks it to end when the dataset in work does."""

    def __init__(
        self, number: int, datasets: Sequence[str], order: dict[str, Any], folder: Path, keep: Sequence[int]
    ) -> None:
        """``keep``: file descriptors that it inherits. Raises `OSError` when it cannot be started."""
        self.number, self.datasets, self.cut, self.killed = number, list(datasets), False, 0.0
        self.reading, self.outcomes = Reading(self.datasets), {}  # type: Reading, dict[str, str]
        self.begun = self.since = time.monotonic()
        self.files = _files(folder, number)
        self.files[0].write_text("".join(f"{one}\n" for one in datasets), encoding="ascii")
        with self.files[1].open("wb") as said:
            self.process = subprocess.Popen(
                script(order, str(self.files[0])),
                cwd=order["code"],
                stdin=subprocess.DEVNULL,
                stdout=sys.stdout.fileno(),
                stderr=said,
                start_new_session=True,
                pass_fds=keep,
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509  # this process has one thread
            )
        self._said = self.files[1].open("rb")
        self._rest = b""

    def listen(self) -> list[Outcome]:
        """Read what has come and return what it tells; it is passed on to our own log."""
        told: list[Outcome] = []
        while True:
            piece = self._said.read(_PIECE)
            if not piece:
                return told
            *lines, self._rest = (self._rest + piece).split(b"\n")
            self._rest = self._rest[:_LONGEST]
            for line in lines:
                told += self._line(line)

    def _line(self, line: bytes) -> list[Outcome]:
        text = _text(line)
        sys.stdout.write(f"{self.number}| {text}\n")
        return self.reading.line(text)

    def ended(self) -> int | None:
        """Return its exit status once it has ended, or None."""
        return self.process.poll()

    def close(self, status: int) -> list[Outcome]:
        """Read the rest after its end."""
        told = self.listen()
        if self._rest:
            told += self._line(self._rest)
        self._said.close()
        _forget(self.files)
        return told + self.reading.ended(status)

    def end(self) -> None:
        """End it: TERM, and KILL when that was a while ago."""
        if not self.killed:
            self.killed = time.monotonic()
            signal_group(self.process.pid, signal.SIGTERM)
        elif time.monotonic() > self.killed + TERM_TO_KILL:
            signal_group(self.process.pid, signal.SIGKILL)

    @property
    def words(self) -> str:
        """Its last line."""
        return self.reading.last[-1] if self.reading.last else "nothing"


def left_behind(folder: Path) -> Iterator[tuple[str | None, list[Outcome]]]:
    """Give what the runs of a driver that was killed had said: the dataset in work, and what became of those before it."""
    for said in sorted(folder.glob("run.*.log")):
        files = (said.with_suffix(".txt"), said)
        reading = Reading(files[0].read_text(encoding="ascii", errors="replace").split() if files[0].exists() else [])
        told = [one for line in said.read_bytes().split(b"\n")[:-1] for one in reading.line(_text(line))]
        yield reading.in_work, told
        _forget(files)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    """Return where a run's datasets stand, and what it says."""
    return folder / f"run.{number}.txt", folder / f"run.{number}.log"


def _forget(files: tuple[Path, Path]) -> None:
    for file in reversed(files):
        with contextlib.suppress(FileNotFoundError):
            file.unlink()


def _text(line: bytes) -> str:
    return line[:_LONGEST].decode("utf-8", "replace").rstrip("\r")


def script(order: dict[str, Any], file: str) -> list[str]:
    """Return the argument list. Never ``--inactive``, which writes to the live pair, nor ``--ds-name``, which is pasted into SQL."""
    fields = ["--update-fields", ",".join(order["fields"])] if order["fields"] else []
    given = ["--config", order["configuration"], "--ds-file", file, *fields]
    return [*order["python"], "-m", "scripts.update_es_index", *given]


def _dying_with(parent: int) -> Any:
    """Return what the new process does first: it shall not outlive us, whatever ends us."""

    def first() -> None:
        _LIBC.prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.umask(0o022)

    return first
