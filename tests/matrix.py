"""The crash matrix: for every shipped checklist, step, moment and database a release whose bot is killed there.

The bot is a process that kills itself (SIGKILL) at a named failpoint and is started again. The release must end as the
undisturbed one of the same scene did, and have done the same to the world. Some cases of one checklist, scene and database
share a release, whose bot dies at one place after the other. What does not end right there is taken apart: each of its cases
is run alone, and only that counts.

``python -m tests.matrix`` runs what is not yet in ``.cache/chaos/<commit>.jsonl``; ``--render`` writes the table of that file
into docs/reliability.md; ``--only WORDS`` takes the cases whose names contain all of the words; ``--together N`` lets at most
so many share a release; ``--shard K/N`` takes every n-th release, for several processes side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.engine.postgres import running_cluster
from tests.killing import carried_out, failures_of, undisturbed
from tests.scenes import MOMENTS, SCENES, cases, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.engine.postgres import Cluster
    from tests.scenes import Case

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/chaos"
TABLE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- crash matrix: begin -->", "<!-- crash matrix: end -->"
TOGETHER = 8


@dataclass
class Row:
    """What became of a case. ``killed``: the failpoint was reached; a step without an effect there has nothing to kill.

    ``seconds`` are those of the whole release, which it shared with ``others``.
    """

    name: str
    killed: bool = False
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    others: int = 0


async def run(group: Sequence[Case], cluster: Cluster, name: str = "") -> list[Row]:
    """Run cases in one release, and each by itself if that does not end as it should. ``name``: the commit, to keep references."""
    rows = await _run(group, cluster, name)
    if len(group) == 1 or not any(row.failures for row in rows):
        return rows
    print(f"taken apart: {rows[0].failures}", flush=True)
    return [row for case in group for row in await _run([case], cluster, name)]


async def _run(group: Sequence[Case], cluster: Cluster, name: str) -> list[Row]:
    scene = group[0].scene
    kept = CACHE / f"{name}.{scene.replace(', ', '-').replace(' ', '-')}.json" if name else None
    expected = await undisturbed(scene, kept)
    began = time.monotonic()
    database = cluster.fresh() if group[0].database == "postgresql" else ""
    failpoints = [one.failpoint for one in group]
    outcome = await carried_out(SCENES[scene], database=database, failpoints=failpoints)
    failures = failures_of(outcome, expected, failpoints)
    seconds = round(time.monotonic() - began, 1)
    return [Row(one.name, one.failpoint in outcome.killed, failures, seconds, len(group) - 1) for one in group]


def commit() -> str:
    """Return the commit that is tested, with a mark where files were changed since."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def results(name: str) -> dict[str, Row]:
    """Return what is known of a commit's cases, the last run of each."""
    file = CACHE / f"{name}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    rows = [Row(**json.loads(line)) for line in lines]
    return {row.name: row for row in rows}


async def run_all(groups: Sequence[Sequence[Case]], name: str) -> int:
    """Run what has no good result yet, and keep each row as soon as it is known."""
    CACHE.mkdir(parents=True, exist_ok=True)
    known = results(name)
    left = [[one for one in group if one.name not in known or known[one.name].failures] for group in groups]
    left = [group for group in left if group]
    bad, number, count = 0, sum(map(len, groups)), sum(map(len, left))
    print(f"{number} cases at {name}, {number - count} done already, {len(left)} releases to come", flush=True)
    with ExitStack() as stack, (CACHE / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        cluster = stack.enter_context(running_cluster())
        for at, group in enumerate(left, 1):
            for row in await run(group, cluster, "" if name.endswith("-dirty") else name):
                file.write(json.dumps(asdict(row)) + "\n")
                file.flush()
                bad += bool(row.failures)
                print(f"{at}/{len(left)} {row.seconds:6.1f} s {verdict(row):12} {row.name}", flush=True)
                for one in row.failures:
                    print(f"    {one}", flush=True)
    return 1 if bad else 0


def verdict(row: Row | None) -> str:
    """Say in a word or two how a case went."""
    if row is None:
        return "not run"
    if row.failures:
        return "FAILED"
    return "once" if row.killed else "no effect"


def _cell(row: Row | None) -> str:
    return verdict(row) + (f", +{row.others}" if row and row.others else "")


def table(chosen: Iterable[Case], known: dict[str, Row], name: str) -> str:
    """Return the table as it stands in the documentation."""
    chosen = list(chosen)
    rows = [known.get(one.name) for one in chosen]
    counts = Counter(verdict(row) for row in rows)
    releases = sum(1 / (row.others + 1) for row in rows if row)
    spent = sum(row.seconds / (row.others + 1) for row in rows if row)
    sharing = "*+7*: the bot was killed at seven more places of the same release"
    lines = [
        f"Commit `{name}`: " + ", ".join(f"{count} × {word}" for word, count in sorted(counts.items())) + ".",
        f"{len(rows) - counts['not run']} cases in {releases:.0f} releases of {spent / 60:.0f} minutes in all. {sharing}.",
        "",
        "| checklist | step | killed | SQLite | PostgreSQL |",
        "|---|---|---|---|---|",
    ]
    pairs: dict[tuple[str, str, str], dict[str, str]] = {}
    for one, row in zip(chosen, rows, strict=True):
        moment = MOMENTS[one.moment] + ("" if one.where == one.step else ", its own message")
        pairs.setdefault((one.checklist, one.step, moment), {})[one.database] = _cell(row)
    lines += [
        f"| `{checklist}` | `{step}` | {moment} | {found['sqlite']} | {found['postgresql']} |"
        for (checklist, step, moment), found in pairs.items()
    ]
    return "\n".join(lines)


def render(chosen: Sequence[Case], name: str) -> None:
    """Put the table between its marks in docs/reliability.md."""
    text = TABLE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    TABLE.write_text(f"{head}{BEGIN}\n{table(chosen, results(name), name)}\n{END}{tail}", encoding="utf-8")


def shard(text: str) -> tuple[int, int]:
    """Read ``K/N``."""
    which, _, of = text.partition("/")
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, not {text!r}")
    return int(which), int(of)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="run the cases whose names contain all of these words")
    parser.add_argument(
        "--together", type=int, default=TOGETHER, metavar="N", help=f"cases a release (default {TOGETHER})"
    )
    parser.add_argument(
        "--shard", type=shard, default=(1, 1), metavar="K/N", help="run every n-th release, from the k-th on"
    )
    parser.add_argument("--render", action="store_true", help="write the table into docs/reliability.md, run nothing")
    parser.add_argument("--commit", default="", help="with --render: the results of this commit")
    given = parser.parse_args()
    chosen = [one for one in cases() if all(word in one.name for word in given.only.split())]
    name = given.commit or commit()
    if given.render:
        render(cases(), name)
        return 0
    which, of = given.shard
    return asyncio.run(run_all(together(chosen, given.together)[which - 1 :: of], name))


if __name__ == "__main__":
    sys.exit(main())
