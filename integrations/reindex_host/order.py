"""An order's folder: what is to be done, what a person or the bot says meanwhile, and what has become of it.

``order.json``, ``control.json``, ``failures.json`` and ``ledger.json`` are JSON, written whole. ``done.log`` has a line for each
dataset that needs nothing more (``+`` done, ``~`` gone, ``-`` not done after all), is only ever added to, and is what a run that
comes after a stop, a crash or a reboot goes on from.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from .files import Guard, Wrong, held, hold, read, write

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_SAME = ("target", "pair", "code", "configuration", "fields")
_LAPSE = 900.0  # seconds after which a limit that nobody renews is none: the bot that set it may be gone
CONFLICT = 17


class OrderFolder:
    """A folder with an order in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.order: dict[str, Any] = read(path / "order.json")
        if self.order is None:
            raise Wrong(f"there is no order in {path}", 66)

    @property
    def guard(self) -> Path:
        """The lock file of the order's target."""
        return Path(self.order["guard"])

    def marks(self) -> tuple[set[str], set[str]]:
        """Return which datasets are done and which are gone. Half a line, written when the machine stopped, says nothing."""
        found: dict[str, str] = {}
        text = _text(self.path / "done.log")
        for line in text.split("\n")[:-1]:
            found[line[1:]] = line[:1]
        return {one for one, mark in found.items() if mark == "+"}, {one for one, mark in found.items() if mark == "~"}

    def left(self) -> int:
        """Return how many datasets of the order need something yet."""
        done, gone = self.marks()
        return len(set(self.order["datasets"]) - done - gone)

    def control(self) -> dict[str, Any]:
        """Return what was said meanwhile: ``workers``, ``verdict``, ``allowed`` and ``why`` (nothing once it has lapsed)."""
        said: dict[str, Any] = read(self.path / "control.json") or {}
        if said.get("until", 0) < time.time():
            said.pop("allowed", None)
        return {"workers": self.order["workers"], **said}

    def say(self, **what: Any) -> None:
        """Add to what was said."""
        with held(self.path / "control.lock"):
            write(self.path / "control.json", {**(read(self.path / "control.json") or {}), **what})

    def allow(self, workers: int, why: str) -> None:
        """Let no more than so many workers run for a while; -1 takes a limit back."""
        limit = {"allowed": workers, "why": why, "until": time.time() + _LAPSE}
        self.say(**(limit if workers >= 0 else {"allowed": None, "why": "", "until": 0}))

    def ledger(self) -> Any:
        """Return how far it has come, or None before anything was written."""
        return read(self.path / "ledger.json")


class DoneLog:
    """Adds to ``done.log``, and brings it to the disk now and then."""

    def __init__(self, path: Path) -> None:
        whole = _text(path).endswith("\n") or not _text(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._dirty = not whole
        if not whole:
            os.write(self._file, b"\n")

    def add(self, mark: str, dataset: str) -> None:
        """Write a line; a process that is killed right after it has written it."""
        os.write(self._file, f"{mark}{dataset}\n".encode("ascii"))
        self._dirty = True

    def sync(self) -> None:
        """Bring it to the disk: a machine that stops has it then."""
        if self._dirty:
            os.fsync(self._file)
            self._dirty = False


def place(path: Path, order: dict[str, Any]) -> None:
    """Write an order to its folder, or find the same one there.

    The list of datasets may be another one while nobody works on it: what is done of it stays done. Raises `Wrong` (17) for
    an order that writes elsewhere, or to change one in work.
    """
    wrong = next((one for one in order["datasets"] if not _ID.fullmatch(one)), None)
    if wrong is not None:
        raise Wrong(f"{wrong[:60]!r} is no dataset id")
    check_configuration(order)
    path.mkdir(parents=True, exist_ok=True)
    with held(path / "order.lock"):
        before = read(path / "order.json")
        if before == order:
            return
        if before is not None and any(before[key] != order[key] for key in _SAME):
            raise Wrong("an order of that name is there, and writes elsewhere or from other code", CONFLICT)
        if before is not None and not _free(Path(order["guard"])):
            raise Wrong("an order of that name is there, and may be in work", CONFLICT)
        write(path / "order.json", order)


def check_configuration(order: dict[str, Any]) -> None:
    """Raise `Wrong` unless the configuration writes where the order says: to exactly the pair's two indices, or live."""
    try:
        given = json.loads(Path(order["configuration"]).read_text(encoding="utf-8"))["elasticsearch"]
        named = {"dataset": given["dataset_index"], "annotation": given["annotation_index"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Wrong(f"{order['configuration']} names no indices ({type(error).__name__})") from error
    if order["target"] == "inactive" and named != order["pair"]:
        raise Wrong(f"{order['configuration']} names {sorted(named.values())}, not {sorted(order['pair'].values())}")


def take_guard(folder: OrderFolder) -> Guard:
    """Return the lock of the order's target, once nothing that was started under it is left."""
    return Guard(folder.guard)


def _free(guard: Path) -> bool:
    """Tell whether nobody works under a lock this moment."""
    guard.parent.mkdir(parents=True, exist_ok=True)
    lock = hold(guard)
    if lock is not None:
        lock.close()
    return lock is not None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return ""
