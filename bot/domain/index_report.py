"""What people are shown of the search indices, and what they ask to be done with them: plain values, and what is allowed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, NotAllowed, Refused, WrongUse
from bot.domain.indices import Side
from bot.domain.layout import room_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from bot.domain.indices import Comparison, Index, Pair, Room, Seen
    from bot.domain.readmodel import Person

ASKED_WITHIN = timedelta(hours=1)  # how long a request for a second person stands
MOST_NAMED = 15  # datasets or fields that a person may name at once
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,39}", re.ASCII)


class Deed(StrEnum):
    """What a person asks for that is hard to undo."""

    SWAP = "swap"
    SWAP_BACK = "swap-back"
    REPAIR = "repair"
    DROP = "drop"


class Choice(StrEnum):
    """Which datasets are to be indexed."""

    ALL = "all"
    SINCE = "since"
    CHANGED = "changed"
    FAILED = "failed"
    IDS = "ids"


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that writes to an index. ``line`` is what a person types to look at it.

    ``target`` (`bot.domain.reindexing.Target`) and ``index`` (a dataset index) are empty where the job does not say.
    """

    name: str
    since: datetime
    line: str
    target: str = ""
    index: str = ""
    done: int | None = None
    total: int | None = None

    def may_write(self, pair: Pair) -> bool:
        """Tell whether it may write to a pair that is not live: what goes through the aliases does not."""
        return self.target != "live" and self.index in ("", pair.dataset)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A side that both aliases could point at: ``indices`` as they are, None for one that is not there."""

    side: Side
    pair: Pair
    indices: tuple[Index | None, Index | None]

    @property
    def whole(self) -> bool:
        """Both are there and open."""
        return all(one is not None and one.open for one in self.indices)

    @property
    def fit(self) -> bool:
        """Both could be searched in."""
        return self.whole and all(one is not None and one.health != "red" for one in self.indices)

    @property
    def uuids(self) -> tuple[str, str]:
        """Elasticsearch's ids of the two; empty for one that is not there."""
        first, second = self.indices
        return (first.uuid if first else "", second.uuid if second else "")


@dataclass(frozen=True, slots=True)
class Standing:
    """Both pairs at one moment. ``fault`` says what is wrong with the aliases, and is empty when they are in order."""

    environment: str
    seen: Seen
    live: Side | None
    fault: str
    candidates: tuple[Candidate, Candidate]
    at: datetime
    jobs: tuple[RunningJob, ...] = ()
    jobs_problem: str = ""

    def candidate(self, side: Side) -> Candidate:
        """Return one side."""
        return next(one for one in self.candidates if one.side is side)

    @property
    def inactive(self) -> Candidate | None:
        """The pair that nobody searches in; None while the aliases are out of order."""
        return self.candidate(self.live.other) if self.live else None


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found, between which pairs."""

    environment: str
    live: Pair
    new: Pair
    found: Comparison
    at: datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that one person asks for and another confirms. ``uuids`` name the very indices that are meant.

    ``side``: the one that becomes live; of a drop the one that goes. All that it rests on is looked at again right before.
    """

    deed: Deed
    environment: str
    side: Side
    names: tuple[str, str]
    uuids: tuple[str, str]
    asked_by: str
    asked_at: datetime
    exceptions: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which datasets a job is to index, and with how many workers (0: as the settings say)."""

    choice: Choice = Choice.ALL
    since: date | None = None
    ids: tuple[str, ...] = ()
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A job that was started. ``forgotten``: datasets that were deleted meanwhile, taken out of the inactive pair."""

    name: str
    pair: Pair
    datasets: int
    workers: int
    line: str
    commands: tuple[str, ...]
    forgotten: int = 0
    facts: Mapping[str, object] = field(default_factory=dict)


def mark_of(by: str, source: str, release: str = "") -> str:
    """Return what the bot writes into an index that a person asked for: who, which request, and whose code it was made with."""
    return f"{by} {source.partition(' ')[0]} {release}".strip()


def release_of(made_by: str) -> str:
    """Return the release whose code an index was made with, by its mark: a step's (``R7-create``) or a person's; else empty."""
    found = re.fullmatch(r"(R\d+)-.*|\S+ \S+ (R\d+)", made_by, re.DOTALL)
    return (found.group(1) or found.group(2)) if found else ""


def demand_second(wish: Wish, by: Person, *, now: datetime) -> None:
    """Raise `NotAllowed` for who asked themselves, whatever their role, and `Conflict` for what was asked too long ago."""
    if wish.deed is not Deed.REPAIR and by.slack == wish.asked_by:
        raise NotAllowed(
            f"You asked for this {wish.deed} yourself; a second person confirms it, and no role does both. Nothing was done.",
            hint="another approver presses the same button",
        )
    if not wish.asked_at <= now + timedelta(minutes=1) or now - wish.asked_at > ASKED_WITHIN:
        raise Conflict(
            f"That was asked for more than {ASKED_WITHIN.total_seconds() / 60:.0f} minutes ago; nothing was done.",
            hint=f"/release es {wish.deed} {wish.environment}",
        )


def demand_same(wish: Wish, found: Candidate) -> None:
    """Raise `Conflict` unless the indices are the very ones that were shown."""
    if found.uuids != wish.uuids:
        raise Conflict(
            f"{' and '.join(found.pair.names)} are not the indices any more that you were shown; nothing was done.",
            hint=f"/release es status {wish.environment}",
        )


def demand_room(seen: Seen, room: Room) -> int:
    """Return the bytes that a second pair needs; raises `Refused` where they do not fit below the watermark."""
    needed = room_needed(seen)
    if needed > room.until_watermark:
        raise Refused(
            f"A second pair needs {size(needed)} (1.3 times the live one), and {size(max(0, room.until_watermark))} "
            f"are left below Elasticsearch's watermark.",
            hint="make room on its disk, or drop what is not needed",
            changed="Nothing.",
        )
    return needed


def demand_named(text: str, what: str) -> tuple[str, ...]:
    """Read names with commas between them, each once; raises `WrongUse` for odd ones, and for more than a button can carry."""
    found = names_of((text,), what)
    if len(found) > MOST_NAMED:
        raise WrongUse(f"{len(found)} are named, {MOST_NAMED} at most; nothing was done.", hint="/release help es")
    return found


def names_of(words: Iterable[str], what: str) -> tuple[str, ...]:
    """Read names of datasets or fields out of words, each once; raises `WrongUse` for what cannot be one."""
    found = tuple(dict.fromkeys(one for word in words for one in re.split(r"[\s,]+", word) if one))
    if odd := [one for one in found if not _NAME.fullmatch(one)]:
        raise WrongUse(f"{odd[0][:60]!r} is no name of a {what}; nothing was done.", hint="/release help es")
    return found


def plain(wish: Wish) -> dict[str, object]:
    """Return it as JSON values, for a button."""
    return {
        "deed": str(wish.deed),
        "environment": wish.environment,
        "side": str(wish.side),
        "names": list(wish.names),
        "uuids": list(wish.uuids),
        "by": wish.asked_by,
        "at": wish.asked_at.isoformat(timespec="seconds"),
        "but": list(wish.exceptions),
        "without": list(wish.ignored),
    }


def read(values: Mapping[str, object]) -> Wish:
    """Read what a button carries; raises `WrongUse` for anything that `plain` did not make."""
    try:
        return Wish(
            Deed(str(values["deed"])),
            str(values["environment"]),
            Side(str(values["side"])),
            _two(values["names"]),
            _two(values["uuids"]),
            str(values["by"]),
            datetime.fromisoformat(str(values["at"])).astimezone(UTC),
            _texts(values["but"]),
            _texts(values["without"]),
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise WrongUse(
            "That button is from another version of me; nothing was done.", hint="/release es status"
        ) from error


def _two(value: object) -> tuple[str, str]:
    first, second = _texts(value)
    return first, second


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError
    return tuple(value)


def size(number: int) -> str:
    """Show bytes as people do."""
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004  # bytes
            return f"{value:.0f} {unit}" if unit in ("B", "KiB") else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
