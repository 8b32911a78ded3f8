"""Files that are written whole, locks, and processes known by more than their number."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TERM_TO_KILL = 3.0  # seconds


class Wrong(Exception):
    """Cannot go on: a sentence for whoever reads the log, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def write(path: Path, value: Any, mode: int = 0o600) -> None:
    """Write a file of JSON at once: nobody sees half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def read(path: Path) -> Any:
    """Return a file's JSON, or None when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def hold(path: Path) -> IO[str] | None:
    """Return the open file once it is locked by us, or None when another process holds it."""
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock for a moment; whoever else has it has it for a moment too."""
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (proc(5)); its name may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()


def boot() -> str:
    """Return the id of the machine's running time since it was last started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identity(pid: int) -> dict[str, Any] | None:
    """Say which process this is, so that nobody takes another one of the same number for it; None when it has ended."""
    try:
        return {"pid": pid, "ticks": stat(pid)[19], "boot": boot()}
    except OSError:
        return None


def lives(process: dict[str, Any] | None) -> bool:
    """Tell whether this very process still runs. One that has ended and that nobody has buried yet does not."""
    if process is None:
        return False
    try:
        fields = stat(process["pid"])
        return fields[0] not in "ZX" and fields[19] == process["ticks"] and boot() == process["boot"]
    except OSError:
        return False


def signal_group(leader: int, number: int) -> bool:
    """Signal a whole group; tell whether there was anyone in it."""
    try:
        os.killpg(leader, number)
    except OSError:
        return False
    return True


def inheritors(lock: Path, sessions: set[int]) -> list[int]:
    """Return the processes of these sessions that have inherited a lock file. Others may have opened it to try it."""
    place = os.path.realpath(lock)
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _inherited(pid, place, sessions)]  # noqa: PTH208


def _inherited(pid: int, place: str, sessions: set[int]) -> bool:
    try:
        if int(stat(pid)[3]) not in sessions:
            return False
        return any(os.path.realpath(one) == place for one in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


class Guard:
    """One driver for each target, ever: whoever holds the lock file, with the processes that it started.

    The lock is inherited by METASPACE's processes, so a driver that was killed opens the way only once they have ended. Who
    they are stands beside it; the next driver ends what the last one left behind.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.family = path, path.with_name(f"{path.name}.family")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = self._take()
        self.know([])

    def _take(self) -> IO[str]:
        until = time.monotonic() + 2 * TERM_TO_KILL
        while True:
            lock = hold(self.path)
            if lock is not None:
                return lock
            known = read(self.family) or {}
            if lives(known.get("driver")) and known["driver"]["pid"] != os.getpid():
                raise Wrong(f"process {known['driver']['pid']} is at work already ({self.path})", 75)
            late = time.monotonic() > until - TERM_TO_KILL
            for pid in inheritors(self.path, {child["pid"] for child in known.get("children", [])}):
                with contextlib.suppress(OSError):  # it has ended just now
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            if time.monotonic() > until:
                raise Wrong(f"somebody holds {self.path}: fuser {self.path}", 75)
            time.sleep(0.05)

    def know(self, children: list[int]) -> None:
        """Write down who works under this lock."""
        known = [one for one in map(identity, children) if one is not None]
        write(self.family, {"driver": identity(os.getpid()), "children": known})
