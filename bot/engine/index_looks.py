"""What one look at the search indices comes to: which pair is live, and how the pairs and PostgreSQL compare."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.comparing import compare
from bot.domain.layout import Sound, layout

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.domain.indices import Comparison, Pair, Seen, Side
    from bot.search_ports import DatasetDatabase, SearchIndices


@dataclass(frozen=True, slots=True)
class Look:
    """Both pairs at one look. ``side`` is None where the aliases are not in order: half swapped, doubled or missing."""

    seen: Seen

    @property
    def fault(self) -> str:
        """What is wrong with the aliases, in sentences; empty when they are in order."""
        found = layout(self.seen)
        return "" if isinstance(found, Sound) else found.said

    @property
    def side(self) -> Side | None:
        """The side that both aliases point at, and at nothing else."""
        found = layout(self.seen)
        return found.live if isinstance(found, Sound) else None

    @property
    def live(self) -> Pair | None:
        """The pair that people search in."""
        return self.seen.aliases.pair(self.side) if self.side else None

    @property
    def inactive(self) -> Pair | None:
        """The other pair, whether its indices exist or not."""
        return self.seen.aliases.pair(self.side.other) if self.side else None


async def compared(
    indices: SearchIndices,
    datasets: DatasetDatabase,
    *,
    live: Pair,
    new: Pair,
    exceptions: Collection[str] = (),
    ignored: Collection[str] = (),
) -> Comparison:
    """Compare the pairs with each other and with PostgreSQL, which is asked last: what was deleted meanwhile shows.

    A dataset that METASPACE does not index, having no molecular databases, need not be in the new pair; one that is there all the
    same, from an edit, is held against the live pair like any other.
    """
    old, fresh = await asyncio.gather(
        indices.dataset_documents(index=live.dataset, without=ignored),
        indices.dataset_documents(index=new.dataset, without=ignored),
    )
    counts = await indices.annotation_counts(index=new.annotation)
    unindexed = {one: 0 for one in await datasets.without_databases() if one in fresh}
    annotations = {**unindexed, **await datasets.annotation_counts()}
    return compare(annotations=annotations, live=old, new=fresh, counts=counts, ignored=ignored, excepted=exceptions)
