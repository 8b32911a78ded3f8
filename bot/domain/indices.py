"""Two pairs of search indices behind two aliases: the values by which they are spoken of. Decisions are in `layout` and `comparing`.

METASPACE reads through two aliases, ``dataset`` and ``annotation``. Behind each is one of two indices, ``<alias>-yin`` or
``<alias>-yang``. The two that the aliases point at are the live pair, the other two the inactive one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Side(StrEnum):
    """One of the two indices behind an alias."""

    YIN = "yin"
    YANG = "yang"

    @property
    def other(self) -> Side:
        """Return the one that this one is not."""
        return Side.YANG if self is Side.YIN else Side.YIN


@dataclass(frozen=True, slots=True)
class Pair:
    """Two concrete indices that belong together."""

    dataset: str
    annotation: str

    @property
    def names(self) -> tuple[str, str]:
        """Return both, the dataset index first."""
        return (self.dataset, self.annotation)


@dataclass(frozen=True, slots=True)
class Aliases:
    """The two aliases, as METASPACE's configuration names them."""

    dataset: str = "dataset"
    annotation: str = "annotation"

    def pair(self, side: Side) -> Pair:
        """Return the two indices of one side."""
        return Pair(f"{self.dataset}-{side}", f"{self.annotation}-{side}")


@dataclass(frozen=True, slots=True)
class Index:
    """One index that exists. ``documents`` is `_count`'s (no nested ones); ``size`` in bytes, of the primaries and their copies.

    ``uuid`` is Elasticsearch's own id: an index that was dropped and made again has another one. ``made_by`` is the mark
    (release and step) or the person that the bot wrote into ``_meta``; empty for an index that the bot did not make.
    ``definition`` is `comparing.fingerprint`'s: the same for two indices of the same code, whatever is in them.
    """

    name: str
    uuid: str
    health: str  # Elasticsearch's own word: green, yellow, red
    documents: int
    size: int
    created_at: datetime
    definition: str = ""
    made_by: str = ""
    open: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was seen at one look. ``pointing``: alias → the indices that it points at, sorted; empty where it is not there.

    ``indices`` holds those of the four that exist, and any other that an alias points at, by name.
    """

    aliases: Aliases
    indices: Mapping[str, Index]
    pointing: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class AliasAction:
    """One action of an ``_aliases`` request: add an alias to an index, or remove it (``must_exist``)."""

    add: bool
    alias: str
    index: str


@dataclass(frozen=True, slots=True)
class Definition:
    """How an index is made: ``mappings`` and ``settings`` as the code gives them to Elasticsearch."""

    mappings: Mapping[str, object]
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Definitions:
    """What the new code creates: one definition for each index of a pair."""

    dataset: Definition
    annotation: Definition


@dataclass(frozen=True, slots=True)
class DatasetDocument:
    """One document of a dataset index: a digest over all its fields, and whether it is public (None: it does not say)."""

    digest: str
    public: bool | None


@dataclass(frozen=True, slots=True)
class Room:
    """The disk that the indices are on, in bytes. ``until_watermark`` is what may be written before the low watermark."""

    total: int
    free: int
    until_watermark: int


@dataclass(frozen=True, slots=True)
class Pressure:
    """How busy Elasticsearch is: writes waiting in its queues, and writes refused since it started."""

    queued: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What an index holds and has taken: to prove that one grew and another did not.

    ``documents`` after a refresh; ``writes`` is the highest sequence number over its shards, summed: it grows with every
    index, update and delete operation, and with nothing else.
    """

    uuid: str
    documents: int
    writes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Live pair, new pair and PostgreSQL against each other, by dataset id. Everything empty: the new pair may go live.

    ``missing``: in PostgreSQL, not in the new pair. ``surplus``: in the new pair, not in PostgreSQL: deleted meanwhile.
    ``differing``: the dataset's documents differ. ``visibility``: among those, the ones whose ``ds_is_public`` differs.
    ``counts``: dataset → (annotations in PostgreSQL, documents in the new annotation index), where they differ.
    ``ignored``: fields left out of the comparison of documents, because the new code adds, removes or changes them.
    """

    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    datasets: int = 0  # in PostgreSQL
    annotations: int = 0
    ignored: tuple[str, ...] = ()
