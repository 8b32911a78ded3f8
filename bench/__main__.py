"""`make bench`: every measurement, or those named in ARGS."""

from __future__ import annotations

import asyncio
import importlib
import sys

from bench.measure import machine

NAMES = ("acknowledge", "ssh", "startup", "review", "recovery", "reindex", "following")


def main() -> int:
    chosen = sys.argv[1:] or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        print(f"There is no measurement called {unknown[0]!r}; one of {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    print(f"{machine()}. Figures are of this run alone; the ratios are what to compare.")
    for name in chosen:
        print()
        asyncio.run(importlib.import_module(f"bench.{name}").run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
