"""The back-test of every pair of version tags, against plain git; and one single review."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Figure, ratio, show

RUNS = 3


async def run() -> None:
    repo = os.environ.get("METASPACE_REPO")
    if not repo:
        print("Back-test: METASPACE_REPO names no clone of METASPACE, so there is nothing to measure.")
        return
    releasebot = [sys.executable, "-m", "bot.cli"]
    tags = version_tags(repo)
    ours, git, single = [], [], []
    for _ in range(RUNS):
        ours.append(timed([*releasebot, "backtest", "--repo", repo, "--json"]))
        began = time.perf_counter()
        for base, head in itertools.pairwise(tags):
            quiet(["git", "-C", repo, "diff", "--name-status", f"{base}...{head}"])
            quiet(["git", "-C", repo, "log", "--format=%H %an %s", f"{base}..{head}"])
        git.append(time.perf_counter() - began)
        single.append(timed([*releasebot, "review", "--repo", repo, "--base", tags[-2], "--head", tags[-1], "--json"]))
    print(f"Reviews of METASPACE, {len(tags) - 1} ranges:")
    figures = Figure("releasebot backtest", ours, "s"), Figure("git diff and git log for each", git, "s")
    show([*figures, Figure("one releasebot review", single, "s")])
    ratio("back-test to plain git, median", figures[0].median, figures[1].median, goal=3)
    ratio("one review to one second, median", Figure("", single).median, 1.0, goal=1)


def version_tags(repo: str) -> list[str]:
    names = subprocess.run(["git", "-C", repo, "tag"], capture_output=True, text=True, check=True).stdout.split()
    found = [name for name in names if re.fullmatch(r"\d+\.\d+\.\d+", name)]
    return sorted(found, key=lambda name: tuple(map(int, name.split("."))))


def timed(argv: list[str]) -> float:
    began = time.perf_counter()
    quiet(argv)
    return time.perf_counter() - began


def quiet(argv: list[str]) -> None:
    subprocess.run(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent.parent, check=False
    )
