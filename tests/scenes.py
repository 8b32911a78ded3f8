"""What the crash matrix is made of: every step of every shipped checklist at every moment, and a world where it has an effect."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from bot.checklists import shipped
from bot.domain.checklist import MANUAL
from bot.steps.announcing import Announcing
from bot.steps.registry import load
from sandbox.history import BO, CHEN
from sandbox.processes import output, until
from sandbox.programs.datasets import QUEUED
from sandbox.scenarios import ES_EXPORT, history_of, scenario

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from sandbox.world import World

MOMENTS = {
    "before_effect": "before the effect",
    "after_effect": "right after it",
    "after_write": "after the database write",
    "during_post": "during the Slack post",
}
DATABASES = ("sqlite", "postgresql")
ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Trace:
    """What the bots of one release noted of failpoints, in the order of time (`bot.engine.failpoints`)."""

    file: Path

    def passed(self) -> frozenset[str]:
        """Return each place that was passed, with and without where."""
        return frozenset(self._lines("passed "))

    def killed(self) -> list[str]:
        """Return where the bots died."""
        return list(self._lines("killed "))

    def _lines(self, word: str) -> Iterator[str]:
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        return (line.removeprefix(word) for line in lines if line.startswith(word))


async def _nothing(_: World) -> None:
    """Leave the world as it is."""


async def _nothing_beside(_: World, __: Trace) -> None:
    """Let the release go on alone."""


async def _new_configuration(world: World) -> None:
    """Somebody pushes to the configuration repository: the kept clone on the control host is behind."""
    clone = world.root / "somebody"
    identity = ["-c", f"user.name={BO.name}", "-c", f"user.email={BO.email}"]
    await output(["git", "clone", "-q", str(world.git.configuration), str(clone)])
    (clone / "prod/note.yml").write_text("---\n", encoding="utf-8")
    await output(["git", "-C", str(clone), "add", "."])
    await output(["git", "-C", str(clone), *identity, "commit", "-q", "-m", "Note"])
    await output(["git", "-C", str(clone), "push", "-q", "origin", "HEAD"])


async def _pending_and_new_configuration(world: World) -> None:
    """A required job still runs, too."""
    await _new_configuration(world)
    world.github.ci.set(await world.git.head("master"), "test-graphql", "pending")


async def _behind(world: World) -> None:
    """Release has what master lacks, too."""
    repaired = {"metaspace/webapp/src/Hotfix.vue": "<template><p>Repaired</p></template>\n"}
    await world.git.push_as(BO, "release", "Repair the annotation table", repaired)
    await _pending_and_new_configuration(world)


async def _forced_in_place(world: World) -> None:
    """A new search field, and a migration that wants a fork of the machine: so the plan has the search update as a part."""
    old, new = "    m.fdr AS fdr\n", "    m.fdr AS fdr,\n    m.is_mono AS is_mono\n"
    export = await world.git.git("show", f"master:{ES_EXPORT}")
    if old not in export:
        raise LookupError(f"{ES_EXPORT} has no {old!r}")
    name = "metaspace/engine/migrations/r1_9_20260130_type_of_score.sql"
    migration = "ALTER TABLE annotation ALTER COLUMN msm TYPE numeric;\n"
    await world.git.push_as(
        CHEN, "master", "[Engine] Store scores exactly\n", {ES_EXPORT: export.replace(old, new), name: migration}
    )


async def _second_page(world: World) -> None:
    """Somebody merges something harmless."""
    page = {"metaspace/webapp/src/Second.vue": "<template><p>Second</p></template>\n"}
    await world.git.push_as(BO, "master", "[Webapp] Add a second page (#907)\n", page)


async def _needed_field(world: World) -> None:
    """Somebody merges a search field that the new code needs: what the scenario `es_required` has from the beginning."""
    without, having = (
        history_of(scenario("indices")).files["master"],
        history_of(scenario("es_required")).files["master"],
    )
    change = {name: text for name, text in having.items() if without.get(name) != text}
    await world.git.push_as(CHEN, "master", "[Engine] Score isotope patterns (#908)\n", change)


async def _busy_until_asked(world: World, _: Trace) -> None:
    """People go on submitting datasets until the bot asks what to do about the work in hand."""
    number = 0

    async def asked() -> bool:
        nonlocal number
        if world.supervisor.datasets.count(QUEUED) < 3:  # more than the two daemons take at once
            number += 1
            world.supervisor.datasets.submit(f"2026-02-01_{number:05}")
        return any("METASPACE is working" in str(one.get("text")) for one in await world.slack.messages())

    await until(asked, what="the question", deadline=400)


async def _ci_ends_green(world: World, trace: Trace) -> None:
    """The job that is pending ends well, a while after it is waited for: long enough to be killed and to come back."""
    head = await world.git.head("master")

    async def waited_for() -> bool:
        return "before_effect:ci_green" in trace.passed()

    await until(waited_for, what="the release", deadline=400)
    await asyncio.sleep(12)
    world.github.ci.set(head, "test-graphql", "success")


@dataclass(frozen=True, slots=True)
class Scene:
    """A world in which some steps have an effect.

    ``steps`` are those of ``checklist`` that need it, none for the scene of all others. ``start`` is what is typed; ``prefer``
    the words of the choice that is taken; ``before`` sets the world up, ``beside`` goes on while the release does. What is taken
    back released what ``second`` merges, and was paused where it asked about ``left_at``, or ended well.
    """

    scenario: str
    steps: frozenset[str] = frozenset()
    checklist: str = "in_place"
    start: str = "start"
    prefer: str = ""
    before: Callable[[World], Awaitable[None]] = _nothing
    second: Callable[[World], Awaitable[None]] = _second_page
    left_at: str = ""
    beside: Callable[[World, Trace], Awaitable[None]] = _nothing_beside


_BUSY = frozenset({"workload", "drain", "processing_back"})
_BEHIND = frozenset({"ci_green", "master_contains_release", "configuration"})


def _scenes() -> Iterator[tuple[str, Scene]]:
    """The busy ones have a scene of their own where a person is asked; `reindex_before` always lets the work in hand end."""
    anyhow = "start --strategy in_place --because matrix"
    yield "in_place", Scene("plain")
    yield "in_place, busy", Scene("plain", _BUSY, prefer="drain", beside=_busy_until_asked)
    pending = _pending_and_new_configuration
    yield "in_place, behind", Scene("hotfix", _BEHIND, before=pending, beside=_ci_ends_green)
    yield "in_place, new field", Scene("plain", frozenset({"es_update"}), start=anyhow, before=_forced_in_place)

    name = "deploy_then_es_update"
    yield name, Scene("es_fields", checklist=name)
    yield f"{name}, busy", Scene("es_fields", _BUSY, name, prefer="drain", beside=_busy_until_asked)
    yield f"{name}, behind", Scene("es_fields", _BEHIND, name, before=_behind, beside=_ci_ends_green)

    name = "reindex_before"
    yield name, Scene("es_required", checklist=name)
    yield f"{name}, behind", Scene("es_required", _BEHIND, name, before=_behind, beside=_ci_ends_green)

    yield ROLL_BACK, Scene("plain", checklist=ROLL_BACK, start="rollback")
    drain = "rollback --drain"
    swapped = frozenset({"read_only", "swap_back", "read_write"})
    yield (
        f"{ROLL_BACK}, swapped",
        Scene("indices", swapped, ROLL_BACK, "rollback", second=_needed_field, left_at="Old pair dropped"),
    )
    yield f"{ROLL_BACK}, busy", Scene("plain", _BUSY, ROLL_BACK, drain, prefer="drain", beside=_busy_until_asked)


SCENES = dict(_scenes())


def scene_of(checklist: str, step: str) -> str:
    """Return the name of the scene that a step is killed in; `LookupError` when its checklist has none."""
    own = {name: one for name, one in SCENES.items() if one.checklist == checklist}
    special = [name for name, one in own.items() if step in one.steps]
    for name in (*special, *(name for name, one in own.items() if not one.steps)):
        return name
    raise LookupError(f"tests/scenes.py has no scene for checklist {checklist!r}")


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

    @property
    def failpoint(self) -> str:
        return f"{self.moment}:{self.where}"


def cases() -> list[Case]:
    """Return every case there is: new checklists, steps and moments come by themselves."""
    registry = load()
    found = []
    for checklist in shipped(registry).values():
        release = "R3" if checklist.name == ROLL_BACK else "R1"
        for item in checklist.items:
            step = item.key
            places = [(moment, step) for moment in MOMENTS]
            if item.step != MANUAL and isinstance(registry[item.step], Announcing):
                places.append(("during_post", f"say-{release}-{step}"))
            found += [
                Case(checklist.name, step, moment, database, scene_of(checklist.name, step), where)
                for moment, where in places
                for database in DATABASES
            ]
    return found


def together(chosen: Iterable[Case], most: int) -> list[list[Case]]:
    """Return the cases by the release that they share, in the order of the plan, at most so many each.

    The moments of a step's effect come one after another by themselves. What is posted after a step was begun depends on what
    happens to that step meanwhile, so posts share releases with posts.
    """

    def kind(case: Case) -> tuple[str, str, str, bool]:
        return case.checklist, case.scene, case.database, case.moment == "during_post"

    groups = []
    for _, one in groupby(sorted(chosen, key=kind), key=kind):  # a stable sort: in the order of the plan
        cases_of_kind = list(one)
        number = -(-len(cases_of_kind) // most)
        size = -(-len(cases_of_kind) // number)
        groups += [cases_of_kind[at : at + size] for at in range(0, len(cases_of_kind), size)]
    return groups
