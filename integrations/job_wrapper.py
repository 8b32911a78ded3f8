"""Runs one job on a server, inside tmux, and writes down what became of it. Standard library only; Python 3.8 and newer.

``run FOLDER`` runs the job of FOLDER/spec.json and writes there: log, heartbeat, wrapper.json and child.json (who they are)
and, last and at once, status.json, the receipt. The pane shows the log by ``tail -F``: somebody who scrolls there stalls the
tail and not the job. ``look JOBS [NAME …]`` prints what is known as JSON, ``stop FOLDER`` ends a job. See docs/jobs.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

BEAT = 2.0  # seconds between two heartbeats
BUSY = 1.0  # seconds to go on asking for a lock: the one before us may be writing its receipt
STUBBORN = 600  # seconds to go on trying to write a receipt: a full disk may be cleared
NOT_STARTED, STOPPED = 127, 128 + signal.SIGTERM
DETACHED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)  # what a terminal may send


def write(path: Path, value: Any) -> None:
    """Write a file of JSON at once: nobody sees half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    with fresh.open("w", encoding="utf-8") as file:
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


def boot() -> str:
    """Return the id of the machine's running time since it was last started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identity(pid: int) -> dict[str, Any]:
    """Say which process this is, so that nobody takes another one of the same number for it."""
    return {"pid": pid, "ticks": stat(pid)[19], "boot": boot()}


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on (proc(5)); its name may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()


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


def end_group(leader: int, grace: float) -> None:
    """Wait until nobody of the group is left; after ``grace`` seconds, KILL."""
    until = time.monotonic() + grace
    while signal_group(leader, 0):
        if time.monotonic() > until:
            signal_group(leader, signal.SIGKILL)
            return
        time.sleep(0.05)


class Job:
    """One job in its folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is to be done."""
        self.folder = folder
        self.spec: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        self.started = time.time()
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self.lock: IO[str] | None = None

    def run(self) -> None:
        """Run the job to its end and write the receipt, once ever: whoever comes second, or finds it run, goes away."""
        claim = hold(self.folder / "claim")
        if claim is None or (self.folder / "wrapper.json").exists():
            return
        if self.spec["lock"] and not self.take_lock(Path(self.spec["lock"])):
            return
        for number in DETACHED:
            signal.signal(number, lambda *_: None)  # not SIG_IGN, which the child would inherit
        signal.signal(signal.SIGTERM, self.stop)
        write(self.folder / "heartbeat", time.time())
        write(self.folder / "wrapper.json", {**identity(os.getpid()), "started": self.started, **self.told()})
        self.receipt(*self.work())
        if self.lock:
            fcntl.flock(self.lock, fcntl.LOCK_UN)  # also for what the job left behind, which inherited the file

    def take_lock(self, path: Path) -> bool:
        """Hold the lock file for as long as this process or its child lives, or say who holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + BUSY
        while (lock := hold(path)) is None:
            if time.monotonic() > until:
                write(self.folder / "refused", path.read_text(encoding="utf-8"))
                return False
            time.sleep(0.05)
        self.lock = lock
        lock.truncate(0)
        lock.write(self.spec["name"])
        lock.flush()
        return True

    def work(self) -> tuple[int, str]:
        """Run the child; return its exit status (128 + the signal that ended it) and what there is to say."""
        with (self.folder / "log").open("ab", 0) as log:
            try:
                self.child = self.begin(log)
            except (OSError, ValueError) as error:
                said = f"cannot start {self.spec['argv'][0]} in {self.spec['cwd'] or '.'}: {error}"
                log.write(f"{said}\n".encode("utf-8", "replace"))
                return NOT_STARTED, said
            status = self.wait(self.child)
        return (status if status >= 0 else 128 - status), ""

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Stay with the child to its end, or to that of its whole group if the job was stopped."""
        with contextlib.suppress(OSError):  # it has ended already
            write(self.folder / "child.json", identity(child.pid))
        threading.Thread(target=self.beat, daemon=True).start()
        with contextlib.suppress(OSError):  # a pane that shows nothing is no reason to stop
            shown = ["tail", "-n", "+1", "-F", str(self.folder / "log")]
            subprocess.Popen(shown, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # ends with the pane
        if self.stopped:
            self.stop(signal.SIGTERM, None)
        status = child.wait()
        if self.stopped:
            end_group(child.pid, self.spec["grace"])
        return status

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the child in a session of its own."""
        usual = os.umask(0o022)
        try:
            return subprocess.Popen(
                (["nice"] if self.spec["nice"] else []) + self.spec["argv"],
                cwd=self.spec["cwd"] or None,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[self.lock.fileno()]
                if self.lock
                else [],  # held on by the child, should this wrapper be killed
            )
        finally:
            os.umask(usual)

    def environment(self) -> dict[str, str]:
        """Return exactly what was given, and what every program needs: who and where it is, and an UTF-8 language."""
        me = pwd.getpwuid(os.geteuid())
        ours = {"PATH": os.defpath, "HOME": me.pw_dir, "LANG": "C.UTF-8", "USER": me.pw_name, "LOGNAME": me.pw_name}
        found = {name: os.environ[name] for name in (*ours, "SHELL", "TMPDIR") if os.environ.get(name)}
        return {**ours, **found, **self.spec["env"], "RELEASEBOT_EVENTS": str(self.folder / "events.jsonl")}

    def beat(self) -> None:
        """Show that the wrapper lives."""
        while True:
            with contextlib.suppress(OSError):  # a full disk may be cleared
                write(self.folder / "heartbeat", time.time())
            time.sleep(BEAT)

    def stop(self, _number: int, _frame: object) -> None:
        """End the child and all that it started: TERM first, KILL after a while."""
        self.stopped = True
        if self.child is None:
            return  # it is told so as soon as it is there
        signal_group(self.child.pid, signal.SIGTERM)
        timer = threading.Timer(self.spec["grace"], signal_group, [self.child.pid, signal.SIGKILL])
        timer.daemon = True
        timer.start()

    def told(self) -> dict[str, Any]:
        """Return what was told us, as this run took it."""
        return {"name": self.spec["name"], "marks": self.spec["marks"]}

    def receipt(self, status: int, said: str) -> None:
        """Write what became of the job, and go on trying."""
        times = {"started": self.started, "finished": time.time()}
        facts = {**self.told(), **times, "exit_status": status, "stopped": self.stopped, "said": said}
        until = time.monotonic() + STUBBORN
        while True:
            try:
                write(self.folder / "status.json", facts)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(1)
            else:
                return


def hold(path: Path) -> IO[str] | None:
    """Return the open file once it is locked by us, or None when another process holds it."""
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def look(folder: Path) -> dict[str, Any] | None:
    """Return what is known of one job, or None where there is none, or it was refused for its lock."""
    spec, wrapper = read(folder / "spec.json"), read(folder / "wrapper.json")
    if spec is None or (wrapper is None and (folder / "refused").exists()):
        return None
    alive = lives(wrapper)
    return {
        "name": spec["name"],
        "marks": (wrapper or spec)["marks"],
        "created": spec["created"],
        "started": wrapper and wrapper["started"],
        "lives": alive,
        "heartbeat": read(folder / "heartbeat"),
        "receipt": read(folder / "status.json"),  # last: it may end between the two looks
    }


def look_all(jobs: Path, names: list[str]) -> list[dict[str, Any]]:
    """Return what is known of the jobs of these names, or of all."""
    if not names and jobs.is_dir():
        names = sorted(one.name for one in jobs.iterdir())
    return [one for one in (look(jobs / name) for name in names) if one is not None]


def stop(folder: Path) -> None:
    """End a job and wait for its receipt. If its wrapper was killed, end what that left behind and write the receipt for it."""
    spec, wrapper, child = (read(folder / f"{name}.json") for name in ("spec", "wrapper", "child"))
    if wrapper is None or (folder / "status.json").exists():
        return
    if lives(wrapper):
        os.kill(wrapper["pid"], signal.SIGTERM)
        until = time.monotonic() + spec["grace"] * 2 + 5
        while lives(wrapper) and not (folder / "status.json").exists() and time.monotonic() < until:
            time.sleep(0.05)
    elif lives(child):
        signal_group(child["pid"], signal.SIGTERM)
        end_group(child["pid"], spec["grace"])
        job = Job(folder)
        job.started, job.stopped, job.spec["marks"] = wrapper["started"], True, wrapper["marks"]
        job.receipt(STOPPED, "its wrapper had been killed before")


def main(what: str, folder: Path, names: list[str]) -> None:
    """Do what was asked for."""
    if what == "run":
        os.umask(0o077)
        Job(folder).run()
    elif what == "stop":
        stop(folder)
    else:
        sys.stdout.write(json.dumps(look_all(folder, names)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
