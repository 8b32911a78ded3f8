"""The back-test of every pair of version tags, against plain git and against git-cliff; and one single review."""

from __future__ import annotations

import itertools
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.history import make
from bench.measure import Figure, ratio, show
from bot.reviewing import review_range
from integrations.history import GitHistory

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 3
ROOT = Path(__file__).parent.parent
# Python keeps what it has compiled, as in every installation; where that is forbidden, each start compiles 300 modules.
INSTALLED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# git-cliff leaves out what is no conventional commit, which METASPACE's are not: here it has to write them all.
CLIFF = "[git]\nconventional_commits = false\nfilter_unconventional = false\n"


@dataclass
class Timed:
    """Seconds on the clock, and seconds of processors: on a busy machine the second tells more."""

    clock: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, work: Callable[[], None]) -> None:
        began, used = time.perf_counter(), _cpu()
        work()
        self.clock.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - used)


async def run() -> None:
    repo = os.environ.get("METASPACE_REPO")
    if repo:
        measure(repo, "METASPACE's own history")
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "made-up.git")
        measure(f"{folder}/made-up.git", "a made-up history of the same size, for METASPACE_REPO names no clone")


def measure(repo: str, what: str) -> None:
    tags = version_tags(repo)
    releasebot = [sys.executable, "-m", "bot.cli"]
    review = [*releasebot, "review", "--repo", repo, "--base", tags[-2], "--head", tags[-1], "--json"]
    ours, git, cliff, single, inside = Timed(), Timed(), Timed(), Timed(), Timed()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "cliff.toml"
        config.write_text(CLIFF, encoding="utf-8")
        changelog = [
            _cliff(),
            "--offline",
            "--config",
            str(config),
            "--repository",
            repo,
            "--output",
            f"{folder}/CHANGELOG.md",
        ]
        for _ in range(RUNS):
            ours.run(lambda: quiet([*releasebot, "backtest", "--repo", repo, "--json"]))
            git.run(lambda: plain_git(repo, tags))
            cliff.run(lambda: quiet(changelog))
            single.run(lambda: quiet(review))
            inside.run(lambda: in_process(repo, tags[-2], tags[-1]))
    print(f"Reviews, {len(tags) - 1} ranges of {what}:")
    names = (
        ("releasebot backtest", ours),
        ("git diff and git log for each", git),
        ("git-cliff, its changelog of all", cliff),
        ("one releasebot review, a process", single),
        ("one review in a running process", inside),
    )
    show([Figure(name, timed.clock, "s") for name, timed in names])
    show([Figure(f"{name}, processors", timed.cpu, "s") for name, timed in names])
    for on, pick in (("clock", _clock), ("processors", _processors)):
        ratio(f"back-test to plain git, {on}", pick(ours), pick(git), goal=3)
        ratio(f"back-test to git-cliff, {on}", pick(ours), pick(cliff), goal=2)
        ratio(f"one review to one second, a process, {on}", pick(single), 1.0, goal=1)
        ratio(f"one review to one second, running, {on}", pick(inside), 1.0, goal=1)


def plain_git(repo: str, tags: list[str]) -> None:
    for base, head in itertools.pairwise(tags):
        quiet(["git", "-C", repo, "diff", "--name-status", f"{base}...{head}"])
        quiet(["git", "-C", repo, "log", "--format=%H %an %s", f"{base}..{head}"])


def in_process(repo: str, base: str, head: str) -> None:
    with GitHistory(repo) as history:
        review_range(history, base=base, head=head)


def version_tags(repo: str) -> list[str]:
    names = subprocess.run(["git", "-C", repo, "tag"], capture_output=True, text=True, check=True).stdout.split()
    found = [name for name in names if re.fullmatch(r"\d+\.\d+\.\d+", name)]
    return sorted(found, key=lambda name: tuple(map(int, name.split("."))))


def quiet(argv: list[str]) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=INSTALLED, check=False)


def _cliff() -> str:
    return str(Path(sys.executable).parent / "git-cliff")


def _clock(timed: Timed) -> float:
    return Figure("", timed.clock).median


def _processors(timed: Timed) -> float:
    return Figure("", timed.cpu).median


def _cpu() -> float:
    """Seconds of processors that this process and those it has waited for have used."""
    parts = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in parts)
