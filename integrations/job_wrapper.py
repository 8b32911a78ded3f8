"""Runs one job on a server, inside tmux, and writes down what became of it. Standard library only; Python 3.8 and newer.

The folder that is its argument holds spec.json. It writes log, heartbeat, wrapper.json (who it is) and, last and at once,
status.json, the receipt. The pane shows the log by ``tail -F``: somebody who scrolls there stalls the tail and not the job.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

BEAT = 2.0  # seconds between two heartbeats
GRACE = 10.0  # seconds between TERM and KILL
LOCKED, NOT_STARTED = 75, 127


def write(path: Path, text: str) -> None:
    """Write a file at once."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def identity() -> dict[str, Any]:
    """Say which process this is, so that nobody takes another one of the same number for it."""
    ticks = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"pid": os.getpid(), "ticks": ticks, "boot": boot}


class Job:
    """One job in its folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is to be done."""
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self.started = time.time()
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = ""
        self.lock: IO[str] | None = None

    def run(self) -> None:
        """Run the job to its end and write the receipt."""
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self.stop)
        write(self.folder / "wrapper.json", json.dumps({**identity(), "started": self.started}))
        write(self.folder / "heartbeat", repr(time.time()))
        with (self.folder / "log").open("ab", 0) as log:
            status, said = self.work(log)
        self.receipt(status, said)

    def work(self, log: IO[bytes]) -> tuple[int, str]:
        """Take the lock, run the child, and return its exit status and what there is to say."""
        if self.spec["lock"] and not self.take_lock():
            return LOCKED, "another job holds the lock " + Path(self.spec["lock"]).name
        shown = ["tail", "-n", "+1", "-F", str(self.folder / "log")]
        tail = subprocess.Popen(shown, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.child = self.begin(log)
        except OSError as error:
            said = f"cannot start {self.spec['argv'][0]}: {error}"
            log.write(f"{said}\n".encode())
            return NOT_STARTED, said
        else:
            threading.Thread(target=self.beat, daemon=True).start()
            if self.stopped:
                self.stop(signal.SIGTERM, None)
            status = self.child.wait()
            return (status if status >= 0 else 128 - status), self.stopped
        finally:
            tail.kill()

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the child in a session of its own, with exactly the environment that was given and a way home."""
        kept = ("PATH", "HOME", "LANG", "USER", "LOGNAME", "SHELL", "TMPDIR")
        ours = {name: os.environ[name] for name in kept if name in os.environ}
        return subprocess.Popen(
            (["nice"] if self.spec["nice"] else []) + self.spec["argv"],
            cwd=self.spec["cwd"] or None,
            env={**ours, **self.spec["env"], "RELEASEBOT_EVENTS": str(self.folder / "events.jsonl")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[self.lock.fileno()] if self.lock else [],  # held on by the child, should this wrapper be killed
        )

    def take_lock(self) -> bool:
        """Hold the lock file for as long as this process or its child lives."""
        self.lock = Path(self.spec["lock"]).open("a+")  # noqa: SIM115  # closed by the process's end, and not before
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        self.lock.truncate(0)
        self.lock.write(self.spec["name"])
        self.lock.flush()
        return True

    def beat(self) -> None:
        """Show that the wrapper lives."""
        while True:
            write(self.folder / "heartbeat", repr(time.time()))
            time.sleep(BEAT)

    def stop(self, _number: int, _frame: object) -> None:
        """End the child and all that it started: TERM first, KILL after a while."""
        self.stopped = "stopped"
        if self.child is None:
            return
        self.signal(signal.SIGTERM)
        timer = threading.Timer(GRACE, self.signal, [signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def signal(self, number: int) -> None:
        """Signal the child's whole group, if it is still there."""
        if self.child is None:
            return
        try:
            os.killpg(self.child.pid, number)
        except OSError:
            return

    def receipt(self, status: int, said: str) -> None:
        """Write what became of the job."""
        facts = {
            "name": self.spec["name"],
            "marks": self.spec["marks"],
            "exit_status": status,
            "started": self.started,
            "finished": time.time(),
            "said": said,
        }
        write(self.folder / "status.json", json.dumps(facts))


if __name__ == "__main__":
    Job(Path(sys.argv[1])).run()
