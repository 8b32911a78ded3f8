"""What one look at the search indices comes to: which pair is live, and how the pairs and PostgreSQL compare."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.indices import AliasAction, Comparison, Side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bot.domain.indices import DatasetDocument, Definition, Pair, Seen
    from bot.search_ports import DatasetDatabase, SearchIndices


@dataclass(frozen=True, slots=True)
class Look:
    """Both pairs at one look. ``side`` is None where the aliases are not in order: half swapped, doubled or missing."""

    seen: Seen

    @property
    def side(self) -> Side | None:
        """The side that both aliases point at, and at nothing else."""
        for side in Side:
            pair = self.seen.aliases.pair(side)
            if self.seen.pointing.get(self.seen.aliases.dataset, ()) == (pair.dataset,) and self.seen.pointing.get(
                self.seen.aliases.annotation, ()
            ) == (pair.annotation,):
                return side
        return None

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

    A dataset that is excused counts neither as missing, nor as differing, nor by its annotations; its visibility always does.
    """
    old, fresh = await asyncio.gather(
        indices.dataset_documents(index=live.dataset, without=ignored),
        indices.dataset_documents(index=new.dataset, without=ignored),
    )
    found = await indices.annotation_counts(index=new.annotation)
    wanted, due = await datasets.dataset_ids(), await datasets.annotation_counts()
    there, excused = set(wanted), set(exceptions)
    both = [one for one in fresh if one in old and one in there]
    counts = {
        one: (due.get(one, 0), found.get(one, 0))
        for one in wanted
        if one in fresh and one not in excused and due.get(one, 0) != found.get(one, 0)
    }
    stray = {one for one in found if found[one] and one not in there}
    return Comparison(
        missing=tuple(one for one in wanted if one not in fresh and one not in excused),
        surplus=tuple(sorted({one for one in fresh if one not in there} | stray)),
        differing=tuple(sorted(one for one in both if _differ(old[one], fresh[one]) and one not in excused)),
        visibility=tuple(sorted(one for one in both if old[one].public != fresh[one].public)),
        counts=counts,
        datasets=len(wanted),
        annotations=sum(due.values()),
        ignored=tuple(sorted(ignored)),
    )


def _differ(first: DatasetDocument, second: DatasetDocument) -> bool:
    return first.digest != second.digest


def definition_differences(wanted: Definition, found: Definition) -> tuple[list[str], list[str]]:
    """Return what an index lacks or has otherwise than the code makes it, and the fields that it has besides."""
    due, there = dict(_fields(wanted.mappings)), dict(_fields(found.mappings))
    faults = [
        f"{name} is {'missing' if name not in there else 'mapped otherwise'}"
        for name, how in due.items()
        if there.get(name) != how
    ]
    parts = ("dynamic_templates", "dynamic")
    faults += [f"{one} differ" for one in parts if _plain(wanted.mappings.get(one)) != _plain(found.mappings.get(one))]
    if _plain(_analysis(wanted)) != _plain(_analysis(found)):
        faults.append("analysis settings differ")
    return faults, sorted(there.keys() - due.keys())


def _fields(mappings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field by its dotted name with how it is mapped, inner fields apart."""
    properties = mappings.get("properties")
    for name, how in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(how, Mapping):
            own = {key: value for key, value in how.items() if key != "properties"}
            if own or "properties" not in how:
                yield f"{prefix}{name}", _plain({"type": "object", **own} if "properties" in how else own)
            yield from _fields(how, f"{prefix}{name}.")


def _analysis(one: Definition) -> object:
    index = one.settings.get("index")
    inside = index.get("analysis") if isinstance(index, Mapping) else None
    return inside or one.settings.get("analysis") or one.settings.get("index.analysis") or {}


def _plain(value: object) -> str:
    """Return it in one form: Elasticsearch answers numbers and booleans of settings as text."""
    return json.dumps(_text(value), sort_keys=True, separators=(",", ":"))


def _text(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_text(one) for one in value]
    return str(value).lower() if isinstance(value, bool | int | float) else value


def fault_of(seen: Seen) -> str:
    """Say what is wrong with the aliases, in a sentence; empty when they are in order."""
    said = []
    for alias in (seen.aliases.dataset, seen.aliases.annotation):
        names = seen.pointing.get(alias, ())
        if not names:
            said.append(f"{alias} points at nothing")
        elif len(names) > 1:
            said.append(f"{alias} points at {len(names)} indices at once ({', '.join(names)})")
        elif names[0] not in {f"{alias}-{side}" for side in Side}:
            said.append(f"{alias} points at {names[0]}, which is neither yin nor yang")
    if said:
        return f"{' and '.join(said)}."
    if Look(seen).side is None:
        both = " and ".join(f"{alias} at {names[0]}" for alias, names in sorted(seen.pointing.items()))
        return f"The pair is half swapped: {both}."
    return ""


def alias_actions(seen: Seen, side: Side) -> tuple[AliasAction, ...]:
    """Return the one request that makes both aliases point at one side alone: four actions for a swap, fewer or more for a repair."""
    wanted, actions = seen.aliases.pair(side), []
    for alias, index in ((seen.aliases.dataset, wanted.dataset), (seen.aliases.annotation, wanted.annotation)):
        names = seen.pointing.get(alias, ())
        actions += [AliasAction(add=False, alias=alias, index=one) for one in names if one != index]
        actions += [] if index in names else [AliasAction(add=True, alias=alias, index=index)]
    return tuple(actions)
