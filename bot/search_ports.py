"""What steps and the engine need of METASPACE's search indices, its database, and the long jobs that fill the one from the other.

Part of `bot.ports`, whose rules hold here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.effects import effect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from bot.domain.indices import (
        AliasAction,
        DatasetDocument,
        Definition,
        Definitions,
        Pair,
        Pressure,
        Probe,
        Room,
        Seen,
    )
    from bot.domain.reindexing import Ledger, Order, Workplace
    from bot.domain.world import JobSpec


class SearchIndices(Protocol):
    """Elasticsearch, through the web server. Every write looks first whether the concrete index is there."""

    async def look(self) -> Seen:
        """Return both pairs and both aliases as they are this moment."""

    async def room(self) -> Room:
        """Return the disk of the data node with the least room."""

    async def pressure(self) -> Pressure:
        """Return how busy it is, over all nodes."""

    async def definition(self, *, index: str) -> Definition:
        """Return an index's mappings and settings as Elasticsearch has them, dynamic fields included."""

    async def probe(self, *, index: str) -> Probe:
        """Refresh an index and return what it holds and has taken; `Conflict` when it is not there."""

    async def newest_write(self, *, index: str, dataset: str) -> int:
        """Return the highest sequence number among the documents of one dataset; -1 when there are none."""

    async def dataset_documents(self, *, index: str, without: Collection[str] = ()) -> Mapping[str, DatasetDocument]:
        """Return every dataset document by dataset id, each digest without the fields named (dotted). Refreshes first."""

    async def annotation_counts(self, *, index: str, datasets: Collection[str] = ()) -> Mapping[str, int]:
        """Return the annotation documents of each dataset (all datasets when none is named). Refreshes first."""

    async def sample(self, *, pair: Pair, without: Collection[str] = ()) -> Mapping[str, str]:
        """Ask a fixed handful of queries as METASPACE does; return each query's name and a digest of its answer."""

    @effect(within=90)
    async def create(self, *, index: str, definition: Definition, made_by: str) -> None:
        """Create one index, with ``made_by`` and the time in its ``_meta``; `Conflict` when it is there already."""

    @effect(within=90)
    async def drop(self, *, index: str, uuid: str) -> None:
        """Delete the very index of that uuid; `Conflict` when another one has its name, or an alias points at it.

        Both are looked at right before.
        """

    @effect(within=60)
    async def change_aliases(self, *, actions: Sequence[AliasAction]) -> None:
        """Apply all actions in one request (each removal with ``must_exist``), then read back; `Refused` when none was applied."""

    @effect(within=300)
    async def forget(self, *, pair: Pair, datasets: Collection[str]) -> int:
        """Delete these datasets' documents from both indices of a pair, by id; return how many documents went."""


class DatasetDatabase(Protocol):
    """METASPACE's PostgreSQL, read in read-only transactions by parameterised queries alone."""

    async def dataset_ids(self, *, since: date | None = None) -> Sequence[str]:
        """Return the ids of the datasets that METASPACE indexes, newest first (an id begins with its date).

        Only those since a date where one is given.
        """

    async def without_databases(self) -> Sequence[str]:
        """Return the ids of the others: without molecular databases, so that reindexing gives them no document."""

    async def annotation_counts(self, *, datasets: Collection[str] = ()) -> Mapping[str, int]:
        """Return how many annotations each dataset has (all datasets when none is named), zero included."""

    async def databases_of(self, *, datasets: Collection[str]) -> Mapping[str, int]:
        """Return with how many molecular databases each dataset was annotated: METASPACE indexes one after another."""


class Reindexing(Protocol):
    """Long work with METASPACE's own scripts on the web server, as jobs under the wrapper (docs/reindexing.md)."""

    async def workplace(self, *, release: str) -> Workplace | None:
        """Return the release's workplace, or None: a detached work tree outside the checkout, with a configuration of its own."""

    async def workplaces(self) -> Sequence[Workplace]:
        """Return all that there are, oldest first: what a release left behind."""

    @effect(within=300)
    async def make_workplace(self, *, release: str, commit: str, pair: Pair) -> Workplace:
        """Make it: a detached `git worktree` at the commit, its configuration rendered with the concrete names of ``pair``. Repeatable."""

    @effect(within=300)
    async def remove_workplace(self, *, release: str) -> None:
        """Remove work tree and configuration; harmless when there is none. `Conflict` while a job of it runs."""

    async def definitions(self, *, workplace: Workplace) -> Definitions:
        """Return what the code in the workplace would create, asked of that very code without touching Elasticsearch."""

    @effect(within=90)
    async def order(self, *, name: str, order: Order) -> JobSpec:
        """Write what is to be done (dataset ids, workers) to the server and return the job that does it. Repeatable.

        The job has the mark ``order`` with this name. Its own name is the same, with a number (``-2``) from the second on: when
        the last one was lost, stopped or ended with failures, the next one goes on where it ended.
        """

    async def ledger(self, *, name: str) -> Ledger | None:
        """Return how far the order of that name has come, or None where nothing was written yet."""

    @effect(within=60)
    async def set_workers(self, *, name: str, workers: int) -> None:
        """Let so many workers share the work from now on (0: pause; what is begun is ended)."""

    @effect(within=60)
    async def throttle(self, *, name: str, allowed: int | None, why: str) -> None:
        """Let no more than so many run, whatever is wanted; None takes it back. It lapses when not renewed for a quarter of an hour."""

    @effect(within=60)
    async def let_go_on(self, *, name: str) -> None:
        """Say that the first dataset landed in the right pair: the job waits for this where the order has ``probe``."""

    def commands(self, *, order: Order) -> tuple[str, ...]:
        """Return the argument list by which a person would do the same without the bot."""
