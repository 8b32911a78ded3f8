"""METASPACE's script in small: the same log lines in the same form, the same swallowed failures, and a diary of what it did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from integrations.reindexing import packed
from tests.integrations.helpers import alive, text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What is to happen to a dataset stands in a file of its name below ``fate``: a word, and how often. ``began`` and ``ended`` are
# written to the diary with the process's id. While a file ``hold.<dataset>`` is there,
# the dataset takes as long; once there is a file ``fast``, no other takes longer than it must.
SCRIPT = r"""
import argparse, json, logging, os, sys, time
from pathlib import Path

root = Path(os.environ["FAKE_ROOT"])
parser = argparse.ArgumentParser()
parser.add_argument("--config")
parser.add_argument("--ds-file", type=argparse.FileType("r"))
parser.add_argument("--update-fields")
given = parser.parse_args()
indices = json.loads(Path(given.config).read_text())["elasticsearch"]
if (root / "no_start").exists():
    sys.exit("psycopg2.OperationalError: could not connect to server")
form = "%(asctime)s - %(levelname)s - %(name)s[%(threadName)s] - %(filename)s:%(lineno)d - %(message)s"
logging.basicConfig(stream=sys.stderr, level="INFO", format=form)
logger = logging.getLogger("engine")
ids = [line.strip() for line in given.ds_file.readlines()]
verb = "Updating" if given.update_fields else "Reindexing"


def diary(what, dataset):
    with (root / "diary").open("a") as file:
        file.write(f"{what} {dataset} {os.getpid()} {indices['dataset_index']}\n")


def work(dataset):
    diary("began", dataset)
    logger.info(f"Deleting or updating dataset document in ES: {dataset}, None")
    fate = root / "fate" / dataset
    word, times, more = (fate.read_text().split(" ", 2) + [""])[:3] if fate.exists() else ("", "0", "")
    if int(times):
        fate.write_text(f"{word} {int(times) - 1} {more}")
    if not (root / "fast").exists():
        time.sleep(float(os.environ.get("FAKE_EACH", "0")))
    while (root / f"hold.{dataset}").exists():
        time.sleep(0.01)
    if not int(times):
        return diary("ended", dataset)
    if word == "gone":
        logger.warning(f"Dataset does not exist(ds_id={dataset})")
    elif word == "crash":
        raise IndexError("list index out of range")
    elif word == "stop":
        sys.exit(0)
    elif word == "loses":
        logger.warning("Annotation deletion failed: ConflictError(409)")
    else:
        try:
            raise KeyError("C6H12O6")
        except KeyError as error:
            logger.error(f"Failed to reindex(ds_id={dataset}, ds_name={more}, moldb: 22): {error}", exc_info=True)


logger.info(f"{verb} {len(ids)} dataset(s)")
for number, one in enumerate(ids, 1):
    logger.info(f"{verb} {number} out of {len(ids)}")
    work(one)
"""


@dataclass
class Engine:
    """A folder like METASPACE's engine, and an order for it."""

    root: Path
    order: dict[str, Any] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "engine/scripts").mkdir(parents=True)
        (self.root / "fate").mkdir()
        (self.root / "engine/scripts/__init__.py").touch()
        (self.root / "engine/scripts/update_es_index.py").write_text(SCRIPT)
        (self.root / "reindex.pyz").write_bytes(packed())
        pair = {"dataset": "dataset-yang", "annotation": "annotation-yang"}
        named = {f"{kind}_index": index for kind, index in pair.items()}
        (self.root / "config.json").write_text(json.dumps({"elasticsearch": named}))
        paces = {"workers": 1, "tries": 3, "aim": 0.2, "rest": 0.02, "patience": 0.0}
        where = {"code": str(self.root / "engine"), "configuration": str(self.root / "config.json")}
        rest = {"target": "inactive", "pair": pair, "probe": False, "fields": [], "python": [sys.executable]}
        self.order = {**where, **rest, **paces, "guard": str(self.root / ".inactive.lock"), "datasets": []}

    @property
    def folder(self) -> Path:
        return self.root / "order"

    def fate(self, dataset: str, word: str, times: int = 1, more: str = "") -> None:
        (self.root / "fate" / dataset).write_text(f"{word} {times} {more}")

    def hold(self, dataset: str) -> Path:
        file = self.root / f"hold.{dataset}"
        file.touch()
        return file

    def call(self, *words: str, stdin: str = "", status: int = 0) -> str:
        done = subprocess.run(
            ["python3", str(self.root / "reindex.pyz"), *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done
        return done.stdout or done.stderr

    def place(self, datasets: Sequence[str], *, status: int = 0, **changes: object) -> str:
        order = {**self.order, "datasets": list(datasets), **changes}
        return self.call("order", str(self.folder), stdin=json.dumps(order), status=status)

    def say(self, command: str, *words: str) -> None:
        self.call(command, "--", str(self.folder), *words)

    def start(self, each: float = 0.0) -> subprocess.Popen[str]:
        given = {**os.environ, "FAKE_ROOT": str(self.root), "FAKE_EACH": str(each)}
        argv = ["python3", str(self.root / "reindex.pyz"), "run", str(self.folder)]
        with (self.root / "log").open("a") as log:
            self.started.append(subprocess.Popen(argv, stdout=log, stderr=log, env=given, text=True))
        return self.started[-1]

    def run(self, each: float = 0.0) -> int:
        return self.start(each).wait(60)

    def ledger(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(text(self.folder / "ledger.json") or "{}")
        return found

    def diary(self, what: str = "began") -> list[str]:
        return [line.split()[1] for line in text(self.root / "diary").splitlines() if line.startswith(f"{what} ")]

    def counts(self, what: str = "ended") -> Counter[str]:
        return Counter(self.diary(what))

    def scripts(self) -> list[psutil.Process]:
        """METASPACE's processes that still run."""
        pids = {int(line.split()[2]) for line in text(self.root / "diary").splitlines()}
        found = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        return [one for one in found if alive(one)]

    def close(self) -> None:
        for one in self.started:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
                one.wait(20)


def wait(true: Any, deadline: float = 60.0) -> None:
    until = time.monotonic() + deadline
    while not true():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def ids(number: int) -> list[str]:
    return [f"2026-01-{31 - one // 24:02}_{23 - one % 24:02}h00m00s" for one in range(number)]
