"""What is to be reindexed where, and how far it has come. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.domain.indices import Pair


class Target(StrEnum):
    """Which pair a job writes to. ``inactive``: the concrete inactive pair. ``live``: through the aliases, as METASPACE runs."""

    INACTIVE = "inactive"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Workplace:
    """A release's folder on the server. ``code`` is the work tree's ``metaspace/engine``; ``configuration`` names concrete indices."""

    release: str
    commit: str
    folder: str
    code: str
    configuration: str
    pair: Pair
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What one job is to do. ``datasets`` newest first; an id stands in it once.

    ``code`` is the folder that METASPACE's scripts run in, ``configuration`` the file that they are given. ``probe``: stop
    after the first dataset and wait until the bot says that it landed in the right pair. ``fields``: update only these in
    place (``--update-fields``), empty for whole documents.
    """

    target: Target
    datasets: tuple[str, ...]
    code: str
    configuration: str
    pair: Pair
    workers: int = 1
    probe: bool = True
    fields: tuple[str, ...] = ()
    marks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One dataset that could not be indexed: how often it was tried, and METASPACE's own words for the last time."""

    dataset: str
    tries: int
    said: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """How far a job has come, by its own checkpoint. Times on the bot's clock. ``ended`` only when nothing is left to do.

    ``done`` counts ``gone`` too: datasets that METASPACE's database has no more. ``in_work`` of a job that was stopped are those
    that were cut: their old documents may be deleted, and the new ones not there yet. ``at`` is when it was written: a sign of life.

    ``history`` holds (time, datasets done) now and then, oldest first: the rate of the last hour and a picture come from it.
    """

    total: int
    done: int
    failed: tuple[Failure, ...] = ()
    in_work: tuple[str, ...] = ()
    workers: int = 0
    wanted_workers: int = 0
    slowed: str = ""  # why fewer workers run than wanted
    awaits_probe: bool = False
    ended: bool = False
    history: tuple[tuple[datetime, int], ...] = ()
    gone: tuple[str, ...] = ()
    at: datetime | None = None
