"""Carries out an order: hands datasets to runs of METASPACE's script, and writes down what became of each."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from . import history
from .child import Child, left_behind
from .files import Wrong, read, write
from .lines import Outcome
from .order import DoneLog, OrderFolder, check_configuration, take_guard
from .work import Pace, Work

POLL, WRITE, BEAT = (
    0.1,
    0.5,
    5.0,
)  # seconds: between two looks, two ledgers when something changed, and when nothing did
FAILED, GAVE_UP, STOPPED = 3, 4, 128 + signal.SIGTERM
_LOST = 10  # failures in a row after which, and after `patience` seconds without a dataset done, it gives up
_MARKS = {"done": "+", "gone": "~", "undone": "-"}


class Drive:
    """One run of the driver over an order's folder."""

    def __init__(self, folder: OrderFolder) -> None:
        self.folder, self.order = folder, folder.order
        self.guard = take_guard(folder)
        check_configuration(self.order)
        done, gone = folder.marks()
        failed = read(folder.path / "failures.json") or {}
        self.work = Work(self.order["datasets"], done=done, gone=gone, failed=failed, tries=self.order["tries"])
        self.pace, self.log = Pace(self.order["aim"]), DoneLog(folder.path / "done.log")
        self.history = history.History((folder.ledger() or {}).get("history", []))
        self.children: list[Child] = []
        self.half: set[str] = set()  # begun by runs that were ended: perhaps deleted, and not yet indexed anew
        self.control: dict[str, Any] = folder.control()
        self.stopping, self.written, self.dirty, self.said, self.risk_at = False, 0.0, True, "", 0.0
        for hit, told in left_behind(folder.path):
            for one in told:
                self._note(one)
            if hit is not None:
                self.half.add(hit)
        self.work.first(self.half)

    def run(self) -> int:
        """Work until nothing is left, and return the exit status: 0, 3 when datasets stayed failed, 4 given up, 143 stopped."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        status: int | None = None
        while status is None:
            self.control = self.folder.control()
            self._follow()
            self._cut()
            status = self._ended()
            if status is None:
                self._hand_out()
                self._record()
                time.sleep(POLL)
        self._record(status)
        return status

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopping = True

    @property
    def waits(self) -> bool:
        """Whether the first dataset is done and nobody has said yet that it landed where it should."""
        return self.order["probe"] and bool(self.work.done) and self.control.get("verdict") != "go"

    @property
    def allowed(self) -> tuple[int, str]:
        """How many runs there may be this moment, and why fewer than wanted."""
        wanted: int = self.control["workers"]
        limits: list[tuple[int, str]] = [(wanted, "")]
        if self.control.get("allowed") is not None:
            limits.append((self.control["allowed"], self.control.get("why", "")))
        if self.work.trouble:
            limits.append((1, f"{self.work.streak} failures in a row: {self.said}"))
        if self.order["probe"] and self.control.get("verdict") != "go":
            limits.append((0 if self.waits else 1, ""))
        return min(limits, key=lambda one: one[0])

    def _hand_out(self) -> None:
        """Give every worker that has none a run, none of them a dataset that another one has."""
        workers, now = 0 if self.stopping else self.allowed[0], time.monotonic()
        alone = self.work.trouble or (self.order["probe"] and self.control.get("verdict") != "go")
        if alone and (self.children or now < self.risk_at):
            return
        while len(self.children) < workers:
            size = 1 if alone else self.pace.size(len(self.work.queue) + len(self.work.again), workers)
            datasets = self.work.take(size, now)
            if not datasets:
                return
            if not self._begin(datasets):
                return

    def _begin(self, datasets: list[str]) -> bool:
        number = min(set(range(1, len(self.children) + 2)) - {child.number for child in self.children})
        try:
            child = Child(number, datasets, self.order, self.folder.path, [self.guard.lock.fileno()])
        except OSError as error:
            self.work.give_back(datasets)
            self._stumble(f"cannot be started: {error}")
            return False
        self.children.append(child)
        self._know()
        return True

    def _follow(self) -> None:
        """Take in what the runs have said, and bury those that have ended."""
        for child in list(self.children):
            status = child.ended()
            before = child.reading.at
            self._take(child, child.listen() if status is None else child.close(status))
            if child.reading.at and not before:
                self.pace.started(time.monotonic() - child.begun)
            if child.reading.at != before:
                child.since, self.dirty = time.monotonic(), True
                if child.cut and status is None:
                    child.end()
            if status is not None:
                self.children.remove(child)
                self._bury(child, status)
                self._know()

    def _take(self, child: Child, told: list[Outcome]) -> None:
        for one in told:
            if one.kind == "done":
                self.pace.took((time.monotonic() - child.since) / len(told))
            if one.kind == "undone":
                child.outcomes.pop(one.dataset, None)
            else:
                child.outcomes[one.dataset] = one.kind
            self._note(one)

    def _note(self, one: Outcome) -> None:
        """Take in what became of a dataset, and write it down."""
        now = time.monotonic()
        self.dirty = True
        self.half.discard(one.dataset)
        if one.kind == "failed":
            self.said = one.said
            self.work.fail(one.dataset, one.said, now, self.order["rest"])
            self.risk_at = now + self.work.risk(self.order["rest"])
        else:
            self.work.settle(one.kind, one.dataset)
            self.log.add(_MARKS[one.kind], one.dataset)

    def _bury(self, child: Child, status: int) -> None:
        """Give back what a run has not done. A death that nobody asked for is a failure of the dataset in work."""
        self.dirty = True
        hit, asked = child.reading.in_work, bool(child.killed)
        if hit is not None and hit not in child.outcomes:
            self.half.add(hit)
            if not asked:
                said = f"the script ended with status {status}: {child.words}"
                self._take(child, [Outcome("failed", hit, said)])
        elif hit is None and not asked:
            self._stumble(f"the script began no dataset (status {status}): {child.words}")
        self.work.give_back([one for one in child.datasets if one not in child.outcomes])

    def _stumble(self, said: str) -> None:
        sys.stdout.write(f"{said}\n")
        now = time.monotonic()
        self.work.stumble(now)
        self.said, self.dirty = said, True
        self.risk_at = now + max(self.order["rest"] / 30, self.work.risk(self.order["rest"]))

    def _cut(self) -> None:
        """Ask the runs that are too many, the youngest first, to end with their dataset. Those on live data end by themselves.

        There a run that is cut leaves a dataset half: deleted, and not yet indexed anew.
        """
        surplus = max(0, len(self.children) - self.allowed[0])
        for rank, child in enumerate(sorted(self.children, key=lambda one: -one.begun)):
            many = rank < surplus or (self.work.trouble and len(child.datasets) > 1)
            child.cut = many and self.order["target"] == "inactive"
            if self.stopping or child.killed:
                child.end()

    def _ended(self) -> int | None:
        if self.children:
            return None
        if self.stopping:
            return STOPPED
        if not self.work.left and not self.waits:
            return FAILED if self.work.failed else 0
        lost = self.work.streak >= _LOST and time.monotonic() - self.work.streak_since > self.order["patience"]
        return GAVE_UP if lost else None

    def _know(self) -> None:
        self.guard.know([child.process.pid for child in self.children])

    def _record(self, status: int | None = None) -> None:
        """Bring to the disk what has changed, not too often; the ledger is also a sign of life."""
        now = time.monotonic()
        if status is None and now < self.written + (WRITE if self.dirty else BEAT):
            return
        sys.stdout.flush()
        self.log.sync()
        write(self.folder.path / "failures.json", self.work.failed)
        self.history.note(time.time(), self.work.finished, last=status is not None)
        write(self.folder.path / "ledger.json", self._ledger(status))
        self.written, self.dirty = now, False

    def _ledger(self, status: int | None) -> dict[str, Any]:
        work, why = self.work, self.allowed[1]
        if work.trouble and not why:
            why = f"{work.streak} failures in a row: {self.said}"
        return {
            "at": time.time(),
            "total": work.total,
            "done": work.finished,
            "gone": sorted(work.gone),
            "failed": [{"dataset": one, **said} for one, said in work.failed.items()],
            "in_work": [one for one in (child.reading.in_work for child in self.children) if one] or sorted(self.half),
            "workers": len(self.children),
            "wanted_workers": self.control["workers"],
            "slowed": why,
            "awaits_probe": self.waits and not self.children and status is None,
            "ended": status in (0, FAILED),
            "status": status,
            "history": self.history.points,
        }


def drive(folder: OrderFolder) -> int:
    """Carry out the order in a folder; raises `Wrong` (75) when somebody does already."""
    if not folder.order["datasets"]:
        raise Wrong("the order names no dataset")
    return Drive(folder).run()
