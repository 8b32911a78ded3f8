"""sm-lithops-daemon: annotates queued datasets, and ends by itself after a while, as METASPACE's does every six hours."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sandbox.programs.daemon import say, stopping
from sandbox.programs.datasets import Datasets

IDLE = 0.5  # seconds between two looks into the queue


def main() -> None:
    """Run until asked to end, or until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", required=True, type=Path)
    parser.add_argument("--number", required=True, type=int)
    parser.add_argument("--exit-after", required=True, type=float, help="seconds")
    parser.add_argument("--annotate-seconds", required=True, type=float)
    options = parser.parse_args()
    datasets, stop = Datasets(options.datasets), stopping()
    ends_at = time.monotonic() + options.exit_after
    say("lithops daemon started")
    datasets.requeue(options.number)
    while time.monotonic() < ends_at and not stop.wait(IDLE):
        name = datasets.take(options.number)
        if name is not None:
            say(f"annotating {name}")
            if stop.wait(options.annotate_seconds):
                break
            datasets.finish(name)
            say(f"finished {name}")
    say("lithops daemon ends")


if __name__ == "__main__":
    main()
