"""A METASPACE with two pairs of indices, ten datasets, and a release that reindexes before it deploys."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.checklists import shipped
from bot.domain.release import Answer, DecisionKind
from bot.steps.planner import Planner
from tests.steps.fakes import sha
from tests.steps.search_fakes import Elsewhere, FakeDatasets, FakeIndices, FakeReindexing, FakeWebJobs
from tests.steps.worlds import DRAFT, ENVIRONMENT, REGISTRY, World, yes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.phases import WentLive
    from bot.domain.plan import Plan
    from bot.engine.step import Evidence, StepContext
    from bot.ports import Ports

IDS = tuple(f"2020-01-{day:02}_10h00m00s" for day in range(1, 11))
NEWEST, OLDEST = IDS[-1], IDS[0]
BEFORE = (
    "review_acknowledged",
    "ci_green",
    "master_contains_release",
    "notes",
    "authors_answered",
    "es_ready",
    "drop_earlier",
    "workplace",
    "create_inactive",
    "reindex",
    "catch_up_first",
)
LOCKED = (
    "still_planned",
    "ci_green_again",
    "workload",
    "drain",
    "catch_up",
    "push_branches",
    "tag",
    "configuration",
    "announce_start",
    "read_only",
    "catch_up_last",
    "swap",
    "deploy",
    "prove_live",
    "catch_up_after",
    "read_write",
    "processing_back",
    "es_update",
    "announce_success",
)
AFTER = ("drop_old", "remove_workplace", "github_release", "pull_request_comments")
ORDER = (*BEFORE, *LOCKED, *AFTER)


@dataclass
class SearchWorld(World):
    """Yin is live and holds what PostgreSQL holds."""

    strategy: str = "reindex_before"
    went: list[WentLive] = field(default_factory=list)
    proofs: dict[str, Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs.duration = 6
        self.environment = replace(ENVIRONMENT, live_code="/opt/engine", live_configuration="/opt/engine/config.json")
        self.datasets, self.indices = FakeDatasets(), FakeIndices(self.clock)
        self.reindexing = FakeReindexing(self.clock, self.datasets, self.indices)
        self.web_jobs = FakeWebJobs(self.clock, reindexing=self.reindexing)
        self.reindexing.jobs = self.web_jobs
        for name in ("dataset-yin", "annotation-yin"):
            self.indices.add(name)
            self.indices.pointing[name.partition("-")[0]] = {name}
        self.people = Elsewhere(self.datasets, self.indices, self.reindexing)
        for number, one in enumerate(IDS):
            self.people.create(one, count=number)

    @property
    def ports(self) -> Ports:
        wrap = self.tap.wrap
        return replace(
            super().ports,
            web_jobs=wrap(self.web_jobs),
            indices=wrap(self.indices),
            datasets=wrap(self.datasets),
            reindexing=wrap(self.reindexing),
        )

    @property
    def planner(self) -> Planner:
        return Planner(REGISTRY, self.environment, self.ports)

    async def make_plan(self, **facts: Any) -> Plan:
        pinned = await self.planner.pin()
        known = {"version": "1.9.10", "previous_version": "1.9.9", "notes": DRAFT, "parts": ("pull_request_comments",)}
        self.plan = self.planner.plan(
            shipped(REGISTRY)[self.strategy], pinned, **{**known, "ignored": ("is_mono",), **facts}
        )
        return self.plan

    async def context(self, key: str, answer: Answer | None = None) -> StepContext:
        return replace(await super().context(key, answer), since=self._since)

    async def _since(self) -> Sequence[WentLive]:
        return self.went

    async def go(self, *keys: str, **answers: Answer) -> None:
        """Drive steps one after another; people say yes."""
        said = {"notes": yes("draft"), **answers}
        for key in keys:
            self.proofs[key] = await self.drive(key, said.get(key, yes()))

    async def until(self, key: str) -> None:
        """Drive every step of the order before this one."""
        await self.go(*ORDER[: ORDER.index(key)])

    @property
    def live(self) -> tuple[str, str]:
        """What the aliases point at."""
        return tuple("+".join(sorted(self.indices.pointing[alias])) for alias in ("dataset", "annotation"))  # type: ignore[return-value]

    def held(self, index: str) -> set[str]:
        return set(self.indices.names[index].documents)

    def facts(self) -> list[dict[str, object]]:
        """All that was reported and proved, for loose ends."""
        return [*(dict(facts) for _, facts in self.said), *(dict(one.facts) for one in self.proofs.values())]


def excuse(text: str, at: Any) -> Answer:
    return Answer(DecisionKind.APPROVE, "U01REL", at, value="excuse", reason=text)


def again(at: Any) -> Answer:
    return Answer(DecisionKind.APPROVE, "U01REL", at, value="again")


__all__ = ["AFTER", "BEFORE", "IDS", "LOCKED", "NEWEST", "OLDEST", "ORDER", "SearchWorld", "again", "excuse", "sha"]
