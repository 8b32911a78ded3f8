"""The datasets of the miniature METASPACE: ids and states in one JSON file that programs share under a lock."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

QUEUED, ANNOTATING, FINISHED = "QUEUED", "ANNOTATING", "FINISHED"


@dataclass(frozen=True, slots=True)
class Datasets:
    """The file: each dataset's status, and the number of the daemon that works on it."""

    file: Path

    def read(self) -> Mapping[str, str]:
        """Return the status of each dataset."""
        return {name: str(entry["status"]) for name, entry in self._load().items()}

    def count(self, *states: str) -> int:
        """Return how many datasets are in one of these states, or in any when none is named."""
        return sum(1 for state in self.read().values() if not states or state in states)

    def fill(self, *, queued: int = 0, annotating: int = 0, finished: int = 5) -> None:
        """Start over with so many datasets in each state."""
        states = [ANNOTATING] * annotating + [QUEUED] * queued + [FINISHED] * finished
        with self._locked() as datasets:
            datasets.clear()
            for number, state in enumerate(states, 1):
                datasets[f"2026-01-{number:02}_10h00m00s"] = {"status": state, "worker": 0}

    def submit(self, name: str) -> None:
        """Queue one more."""
        with self._locked() as datasets:
            datasets[name] = {"status": QUEUED}

    def take(self, worker: int) -> str | None:
        """Take the next queued dataset into annotation, if there is one."""
        with self._locked() as datasets:
            taken = next((name for name, entry in datasets.items() if entry["status"] == QUEUED), None)
            if taken is not None:
                datasets[taken] = {"status": ANNOTATING, "worker": worker}
            return taken

    def requeue(self, worker: int) -> None:
        """Queue again what this daemon was working on when it ended, as RabbitMQ does with an unacknowledged message."""
        with self._locked() as datasets:
            for name, entry in datasets.items():
                if entry == {"status": ANNOTATING, "worker": worker}:
                    datasets[name] = {"status": QUEUED}

    def finish(self, name: str) -> None:
        """Note that a dataset is annotated."""
        with self._locked() as datasets:
            datasets[name] = {"status": FINISHED}

    def _load(self) -> dict[str, dict[str, object]]:
        try:
            found: dict[str, dict[str, object]] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    @contextmanager
    def _locked(self) -> Iterator[dict[str, dict[str, object]]]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            datasets = self._load()
            yield datasets
            fresh = self.file.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps(datasets), encoding="utf-8")
            fresh.replace(self.file)
