"""sm-update-daemon and sm-cluster-autostart: programs that wait for work, and say now and then that they do."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import UTC, datetime

EVERY = 10.0  # seconds between two lines in the log


def say(line: str) -> None:
    """Write a line to the log."""
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} - INFO - {line}\n")
    sys.stdout.flush()


def stopping() -> threading.Event:
    """Return an event that is set once the program is asked to end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def main() -> None:
    """Run until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    name = parser.parse_args().name
    stop = stopping()
    say(f"{name} started")
    while not stop.wait(EVERY):
        say(f"{name} waits for messages")
    say(f"{name} ends")


if __name__ == "__main__":
    main()
