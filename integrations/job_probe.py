"""Prints, as JSON, what is known of jobs on a server. Standard library only; Python 3.8 and newer.

Its arguments: the folder of all jobs, then names of jobs; without names, all of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def read(path: Path) -> Any:
    """Return a file's JSON, or None when it is not there."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def lives(wrapper: dict[str, Any]) -> bool:
    """Tell whether the very process that wrote wrapper.json is still there."""
    try:
        if Path("/proc/sys/kernel/random/boot_id").read_text().strip() != wrapper["boot"]:
            return False
        ticks: str = Path(f"/proc/{wrapper['pid']}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return False
    return bool(ticks == wrapper["ticks"])


def job(folder: Path) -> dict[str, Any] | None:
    """Return what is known of one job, or None where there is none."""
    spec = read(folder / "spec.json")
    if spec is None:
        return None
    wrapper = read(folder / "wrapper.json")
    alive = wrapper is not None and lives(wrapper)
    return {
        "name": spec["name"],
        "marks": spec["marks"],
        "created": spec["created"],
        "wrapper": wrapper,
        "lives": alive,
        "heartbeat": read(folder / "heartbeat"),
        "receipt": read(folder / "status.json"),  # last: it may end between the two looks
    }


def main(folder: Path, names: list[str]) -> None:
    """Print all that was asked for."""
    if not names and folder.is_dir():
        names = sorted(one.name for one in folder.iterdir())
    found = [job(folder / name) for name in names]
    sys.stdout.write(json.dumps([one for one in found if one is not None]) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
