"""The two pairs of search indices, as a release holds on to them: by name, and by Elasticsearch's own ids."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from bot.domain.errors import BadSettings
from bot.domain.indices import Pair
from bot.engine.index_looks import Look
from bot.engine.step import Condition
from bot.steps.words import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.indices import Index, Seen
    from bot.domain.reindexing import Workplace
    from bot.engine.step import StepContext
    from bot.ports import DatasetDatabase, Jobs, Reindexing, SearchIndices

PORTS = frozenset({"indices", "datasets", "reindexing", "web_jobs"})  # what steps about indices cannot do without
USABLE = frozenset({"green", "yellow"})
STATUS = ("python", "-m", "scripts.manage_es_index", "status")
WEB = "web"
MADE_BY = "create_inactive"  # the step that makes the new pair and hands both on
OLD_PAIR, NEW_PAIR = "old_pair", "inactive_pair"  # the names under which what stays behind is owed
REPAIR = "look at them (/release es status), repair or abort; nothing is done while it is not clear which pair is live"
_CLOCKS = 300.0  # seconds that Elasticsearch's clock may differ from the bot's
_GIGABYTE = 1e9


class Search(NamedTuple):
    """The ports that steps about indices need, every one of them there."""

    indices: SearchIndices
    datasets: DatasetDatabase
    reindexing: Reindexing
    jobs: Jobs


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pair that was live when the new one was made, and the new one: dataset index first. ``excused`` is for a way back."""

    old: list[str]
    old_uuids: list[str]
    new: list[str]
    new_uuids: list[str]

    @property
    def before(self) -> Pair:
        """The pair that is live until the swap."""
        return Pair(*self.old)

    @property
    def after(self) -> Pair:
        """The pair that is live from the swap on."""
        return Pair(*self.new)

    @property
    def facts(self) -> dict[str, object]:
        """The same as JSON, for a release that goes back."""
        return asdict(self)


class Live(Enum):
    """Which of the release's pairs the aliases point at."""

    OLD = "old"
    NEW = "new"
    OTHER = "other"


def search(ctx: StepContext) -> Search:
    """Return the ports; raises `BadSettings` where the environment's settings do not name what is behind them."""
    ports = ctx.ports
    if ports.indices is None or ports.datasets is None or ports.reindexing is None or ports.web_jobs is None:
        raise BadSettings(
            f"The settings of {ctx.environment.name} name no Elasticsearch or no database of METASPACE.",
            hint="set `elasticsearch` and `metaspace_database` of the environment, then retry",
        )
    return Search(ports.indices, ports.datasets, ports.reindexing, ports.web_jobs)


def pairs_of(ctx: StepContext) -> Pairs:
    """Return the release's pairs; raises KeyError before they are made."""
    return ctx.output(MADE_BY, Pairs)


def known(ctx: StepContext) -> Pairs | None:
    """Return the release's pairs, or None before they are made."""
    return pairs_of(ctx) if MADE_BY in ctx.outputs else None


def live_of(seen: Seen, pairs: Pairs) -> tuple[Live, str]:
    """Tell which of the two is live, and why it cannot be told; an index that was made anew is another one."""
    live = Look(seen).live
    if live is None:
        return Live.OTHER, Look(seen).fault
    uuids = [index.uuid for name in live.names if (index := seen.indices.get(name))]
    if (list(live.names), uuids) == (pairs.old, pairs.old_uuids):
        return Live.OLD, ""
    if (list(live.names), uuids) == (pairs.new, pairs.new_uuids):
        return Live.NEW, ""
    return Live.OTHER, f"{' and '.join(live.names)} are live, and are not the very indices that this release knows."


def gone(seen: Seen, names: Sequence[str], uuids: Sequence[str]) -> list[str]:
    """Return the names whose very index is not there (any more), or is closed."""
    found = {name: seen.indices.get(name) for name in names}
    return [
        name
        for name, uuid in zip(names, uuids, strict=True)
        if (index := found[name]) is None or index.uuid != uuid or not index.open
    ]


def inactive_of(seen: Seen) -> tuple[Pair | None, list[Index]]:
    """Return the pair that the aliases do not point at, and which of its two indices there are; None where that is unclear."""
    pair = Look(seen).inactive
    return pair, [seen.indices[name] for name in pair.names if name in seen.indices] if pair else []


def ours(ctx: StepContext, index: Index) -> bool:
    """Tell whether an index carries this release's mark; one from before the release began belongs to another of that name."""
    begun = ctx.started_at
    late = begun is None or (index.created_at - begun).total_seconds() > -_CLOCKS
    return index.made_by.startswith(f"{ctx.release}-") and late


async def place_of(ctx: StepContext) -> Workplace | None:
    """Return the release's workplace; one of another commit is not its own."""
    place = await search(ctx).reindexing.workplace(release=ctx.release)
    return place if place and place.commit == ctx.plan.head else None


async def _old_is_live(ctx: StepContext) -> bool:
    return await _is_live(ctx, Live.OLD)


async def _new_is_live(ctx: StepContext) -> bool:
    return await _is_live(ctx, Live.NEW)


async def _is_live(ctx: StepContext, wanted: Live) -> bool:
    pairs = known(ctx)
    return pairs is not None and live_of(await search(ctx).indices.look(), pairs)[0] is wanted


async def _new_is_whole(ctx: StepContext) -> bool:
    pairs = known(ctx)
    if pairs is None:
        return False
    seen = await search(ctx).indices.look()
    healthy = all(seen.indices[name].health in USABLE for name in pairs.new if name in seen.indices)
    return healthy and not gone(seen, pairs.new, pairs.new_uuids)


async def _takes_no_changes(ctx: StepContext) -> bool:
    health = await ctx.ports.platform.health()
    return not health.can_mutate and not health.can_process_datasets


OLD_IS_LIVE = Condition("the aliases point at the pair that was live when the new one was made", _old_is_live)
NEW_IS_LIVE = Condition("the aliases point at the pair that this release made", _new_is_live)
NEW_IS_WHOLE = Condition("both new indices are the very ones that this release made, green or yellow", _new_is_whole)
NO_CHANGES = Condition("METASPACE is read-only and processes nothing", _takes_no_changes)


def sized(size: float) -> str:
    """Return bytes as people read them."""
    return f"{size / _GIGABYTE:.1f} GB"


def some(names: Sequence[str] | Mapping[str, object]) -> str:
    """Return a few names, and how many more there are."""
    return listed(names, most=5)
