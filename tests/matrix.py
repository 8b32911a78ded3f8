"""The crash matrix: for every shipped checklist, step, moment and database one release whose bot is killed there.

Each case is a whole release in a world of its own, with the bot as a process that kills itself (SIGKILL) at a named failpoint
and is started again. It must end as the undisturbed release of the same scene did, and have done the same to the world.

``python -m tests.matrix`` runs what is not yet in ``.cache/chaos/<commit>.jsonl``; ``--render`` writes the table of that file
into docs/reliability.md; ``--only WORDS`` takes the cases whose names contain all of the words.
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

from bot.checklists import shipped
from bot.domain.checklist import MANUAL
from bot.domain.errors import ReleaseError
from bot.steps.announcing import Announcing
from bot.steps.registry import load
from sandbox.counting import counted, difference
from sandbox.history import BO
from sandbox.options import Options
from sandbox.processes import output, until
from sandbox.programs.datasets import QUEUED
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems
from sandbox.world import World
from tests.engine.postgres import running_cluster
from tests.scenarios.player import Persistent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tests.engine.postgres import Cluster

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/chaos"
TABLE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- crash matrix: begin -->", "<!-- crash matrix: end -->"
MOMENTS = {
    "before_effect": "before the effect",
    "after_effect": "right after it",
    "after_write": "after the database write",
    "during_post": "during the Slack post",
}
DATABASES = ("sqlite", "postgresql")
LEASE = 6.0  # seconds: a killed bot's releases are taken up again after it


async def _nothing(_: World) -> None:
    """Leave the world as it is."""


async def _new_configuration(world: World) -> None:
    """Somebody pushes to the configuration repository: the kept clone on the control host is behind."""
    clone = world.root / "somebody"
    identity = ["-c", f"user.name={BO.name}", "-c", f"user.email={BO.email}"]
    await output(["git", "clone", "-q", str(world.git.configuration), str(clone)])
    (clone / "prod/note.yml").write_text("---\n", encoding="utf-8")
    await output(["git", "-C", str(clone), "add", "."])
    await output(["git", "-C", str(clone), *identity, "commit", "-q", "-m", "Note"])
    await output(["git", "-C", str(clone), "push", "-q", "origin", "HEAD"])


async def _busy_until_asked(world: World) -> None:
    """People go on submitting datasets until the bot asks what to do about the work in hand."""
    number = 0

    async def asked() -> bool:
        nonlocal number
        if world.supervisor.datasets.count(QUEUED) < 3:  # more than the two daemons take at once
            number += 1
            world.supervisor.datasets.submit(f"2026-02-01_{number:05}")
        return any("METASPACE is working" in str(one.get("text")) for one in await world.slack.messages())

    await until(asked, what="the question", deadline=200)


async def _ci_ends_green(world: World) -> None:
    """The job that is pending ends well, a while after the release began: long enough to be killed and to come back."""
    head = await world.git.head("master")

    async def begun() -> bool:
        return any("R1" in str(one.get("text")) for one in await world.slack.messages())

    await until(begun, what="the release", deadline=120)
    await asyncio.sleep(12)
    world.github.ci.set(head, "test-graphql", "success")


@dataclass(frozen=True, slots=True)
class Scene:
    """A world in which some steps have an effect. ``before`` sets it up, ``beside`` goes on while the release does."""

    scenario: str
    steps: frozenset[str] = frozenset()
    prefer: str = ""
    before: Callable[[World], Awaitable[None]] = _nothing
    beside: Callable[[World], Awaitable[None]] = _nothing


SCENES = {
    "plain": Scene("plain"),
    "busy": Scene(
        "plain", frozenset({"workload", "drain", "processing_back"}), prefer="drain", beside=_busy_until_asked
    ),
    "diverged": Scene("hotfix", frozenset({"master_contains_release"})),
    "configuration": Scene("plain", frozenset({"configuration"}), before=_new_configuration),
    "pending CI": Scene("pending_ci", frozenset({"ci_green"}), beside=_ci_ends_green),
    "migrations": Scene("migrations", frozenset({"migrations_before", "migrations_after"})),
    "new field": Scene("es_fields", frozenset({"es_update"})),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One row. ``where`` is what the failpoint is bound to: a step's key, or the key of its message."""

    checklist: str
    step: str
    moment: str
    database: str
    scene: str
    where: str

    @property
    def name(self) -> str:
        own = "" if self.where == self.step else f" ({self.where})"
        return f"{self.checklist} {self.step} {self.moment}{own} {self.database}"


@dataclass
class Row:
    """What became of a case. ``killed``: the failpoint was reached; a step without an effect there has nothing to kill."""

    name: str
    killed: bool = False
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def cases() -> list[Case]:
    """Return every case there is: new checklists, steps and moments come by themselves."""
    registry = load()
    found = []
    for checklist in shipped(registry).values():
        for item in checklist.items:
            step = item.key
            scene = next((name for name, one in SCENES.items() if step in one.steps), "plain")
            places = [(moment, step) for moment in MOMENTS]
            if item.step != MANUAL and isinstance(registry[item.step], Announcing):
                places.append(("during_post", f"say-R1-{step}"))
            found += [
                Case(checklist.name, step, moment, database, scene, where)
                for moment, where in places
                for database in DATABASES
            ]
    return found


async def release(scene: Scene, *, database: str = "", failpoint: str = "") -> tuple[Counter[str], list[str], int]:
    """Carry out one release; return what was done to the world, what is wrong, and how often the bot died."""
    options = Options(
        scenario=scene.scenario,
        build_seconds=0,
        pace=Pace(start=0, annotate=1),
        database=database,
        settings={"engine": {"lease": LEASE}},
        play_deadline=240,
    )
    async with World(options) as world:
        await scene.before(world)
        armed = {"RELEASEBOT_TESTING": "1", "RELEASEBOT_FAILPOINT": failpoint} if failpoint else {}
        await world.start_bot(armed)
        before = await look(world)
        player = Persistent(world, prefer=scene.prefer)
        beside = asyncio.ensure_future(scene.beside(world))
        try:
            failure = await player.release()
        except (ReleaseError, TimeoutError) as error:
            failure = str(error) or type(error).__name__
        finally:
            beside.cancel()
        wrong = [failure] if failure else await problems(world, before, await world.slack.messages())
        if wrong and world.bot:
            wrong.append(world.bot.last_words(6))
        return await counted(world), wrong, player.deaths


_references: dict[str, Counter[str]] = {}


async def reference(name: str) -> Counter[str]:
    """Return what the undisturbed release of a scene does to the world."""
    if name not in _references:
        found, wrong, _ = await release(SCENES[name])
        if wrong:
            raise AssertionError(f"the undisturbed release of {name!r} did not end well: {wrong}")
        _references[name] = found
    return _references[name]


async def run(case: Case, cluster: Cluster) -> Row:
    """Run one case."""
    expected = await reference(case.scene)
    began = time.monotonic()
    database = cluster.fresh() if case.database == "postgresql" else ""
    found, wrong, deaths = await release(SCENES[case.scene], database=database, failpoint=f"{case.moment}:{case.where}")
    failures = [*wrong, *difference(expected, found)]
    if deaths > 1:
        failures.append(f"the bot died {deaths} times")
    return Row(case.name, deaths > 0, failures, round(time.monotonic() - began, 1))


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


async def run_all(chosen: Sequence[Case], name: str) -> int:
    """Run what has no good result yet, and keep each row as soon as it is known."""
    CACHE.mkdir(parents=True, exist_ok=True)
    known = results(name)
    left = [one for one in chosen if one.name not in known or known[one.name].failures]
    print(f"{len(chosen)} cases at {name}, {len(chosen) - len(left)} of them done already", flush=True)
    bad = 0
    with ExitStack() as stack, (CACHE / f"{name}.jsonl").open("a", encoding="utf-8") as file:
        cluster = stack.enter_context(running_cluster())
        for number, case in enumerate(left, 1):
            row = await run(case, cluster)
            file.write(json.dumps(asdict(row)) + "\n")
            file.flush()
            bad += bool(row.failures)
            print(f"{number}/{len(left)} {row.seconds:6.1f} s {verdict(row):12} {row.name}", flush=True)
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


def table(chosen: Iterable[Case], known: dict[str, Row], name: str) -> str:
    """Return the table as it stands in the documentation."""
    chosen = list(chosen)
    rows = [known.get(one.name) for one in chosen]
    counts = Counter(verdict(row) for row in rows)
    seconds = sorted(row.seconds for row in rows if row)
    middle = f", {seconds[len(seconds) // 2]:.0f} s a case (median)" if seconds else ""
    lines = [
        f"Commit `{name}`: " + ", ".join(f"{count} × {word}" for word, count in sorted(counts.items())) + middle + ".",
        "",
        "| checklist | step | killed | SQLite | PostgreSQL |",
        "|---|---|---|---|---|",
    ]
    pairs: dict[tuple[str, str, str], dict[str, str]] = {}
    for one, row in zip(chosen, rows, strict=True):
        moment = MOMENTS[one.moment] + ("" if one.where == one.step else ", its own message")
        pairs.setdefault((one.checklist, one.step, moment), {})[one.database] = verdict(row)
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="run the cases whose names contain all of these words")
    parser.add_argument("--render", action="store_true", help="write the table into docs/reliability.md, run nothing")
    parser.add_argument("--commit", default="", help="with --render: the results of this commit")
    given = parser.parse_args()
    chosen = [one for one in cases() if all(word in one.name for word in given.only.split())]
    name = given.commit or commit()
    if given.render:
        render(cases(), name)
        return 0
    return asyncio.run(run_all(chosen, name))


if __name__ == "__main__":
    sys.exit(main())
