"""Making one pair of indices as the other and PostgreSQL are: what differs is indexed again, what is gone is deleted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.errors import StepFailed
from bot.domain.world import JobState
from bot.engine.index_looks import compared
from bot.steps.indexing import TODO, complete, digest, follow, index, ledger_of, newest, runs, words_of
from bot.steps.pairs import search, some

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bot.domain.indices import Comparison, Pair
    from bot.domain.world import JobReport
    from bot.engine.step import StepContext
    from bot.steps.indexing import Into

IGNORED = "ignored"  # the parameter with the fields that the new code adds, removes or changes
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """When the pairs were seen equal (ISO 8601, on the bot's clock), and the datasets that a person excused by name."""

    at: str
    excused: list[str]


def ignored_of(ctx: StepContext) -> tuple[str, ...]:
    """Return the fields that are left out where documents are compared."""
    raw = ctx.step.params.get(IGNORED)
    return tuple(str(one) for one in raw) if isinstance(raw, list | tuple) else ()


async def compare(ctx: StepContext, *, live: Pair, new: Pair, but: Collection[str]) -> Comparison:
    """Compare the pairs with each other and with PostgreSQL. Reads alone, however long they take."""
    found = search(ctx)
    return await compared(found.indices, found.datasets, live=live, new=new, exceptions=but, ignored=ignored_of(ctx))


def behind(found: Comparison) -> list[str]:
    """Return what has to be indexed (again), newest first."""
    return sorted({*found.missing, *found.differing, *found.visibility, *found.counts}, reverse=True)


def excusable(found: Comparison) -> list[str]:
    """Return what a person may leave out by name: not what would be seen by others than may see it, nor what was deleted."""
    return sorted({*found.missing, *found.differing, *found.counts} - set(found.visibility))


def without(found: Comparison, names: Collection[str]) -> Comparison:
    """Return the same, but for datasets that were excused."""
    return replace(
        found,
        missing=tuple(one for one in found.missing if one not in names),
        differing=tuple(one for one in found.differing if one not in names),
        counts={one: both for one, both in found.counts.items() if one not in names},
    )


def equal(found: Comparison) -> bool:
    """Tell whether nothing is left to do."""
    return not behind(found) and not found.surplus


def said(found: Comparison) -> str:
    """Say what differs, the most dangerous first."""
    parts = (
        (found.visibility, "of another visibility than in the live pair"),
        (found.surplus, "there though PostgreSQL has them no more"),
        (found.missing, "missing"),
        (sorted(set(found.differing) - set(found.visibility)), "otherwise than in the live pair"),
        (sorted(set(found.counts) - set(found.missing)), "with another number of annotations than in PostgreSQL"),
    )
    told = [f"{len(names)} {what}: {some(names)}" for names, what in parts if names]
    return "; ".join(told) or f"all {found.datasets:,} datasets agree"


def stuck(found: Comparison, last: JobReport | None) -> bool:
    """Tell whether the very datasets that are behind were indexed already by the last job: doing it again changes nothing."""
    todo = behind(found)
    return bool(todo) and last is not None and last.marks.get(TODO) == digest(todo)


async def done_in_vain(ctx: StepContext, found: Comparison) -> str:
    """Return why indexing again is of no use: what differs still, or failed; empty where it has not been tried."""
    last = newest(await runs(ctx))
    ledger = await ledger_of(ctx, last)
    if not stuck(found, last) or not complete(last, ledger) or ledger is None:
        return ""
    failed = words_of(ledger)
    return (
        f"{said(found)}. They were indexed again by {last.name if last else ''}, and it is still so. {failed}".strip()
    )


async def catch_up(
    ctx: StepContext, into: Into, *, live: Pair, but: Collection[str], title: str, again: bool = False
) -> Comparison:
    """Compare, delete and index until nothing differs; return what was seen last.

    Attaches to a job that runs. Raises `StepFailed` when a job did not complete, or when what differs was indexed
    already: then a person must decide. ``again``: a person has said to index it once more.
    """
    last = newest(await runs(ctx))
    if last and last.state is JobState.RUNNING:
        await follow(ctx, into, last.name, title=title)
    for _ in range(MOST_ROUNDS):
        found = await compare(ctx, live=live, new=into.pair, but=but)
        if equal(found):
            return found
        if not again and (why := await done_in_vain(ctx, found)):
            raise StepFailed(
                why,
                hint="retry: you are asked whether to leave them out by name",
                changed="The swap has not been touched.",
            )
        again = False
        await _forget(ctx, into.pair, found.surplus)
        if todo := behind(found):
            await index(ctx, into, todo, title=title)
    found = await compare(ctx, live=live, new=into.pair, but=but)
    if not equal(found):
        raise StepFailed(
            f"After {MOST_ROUNDS} rounds {said(found)}.",
            hint="somebody edits them all the time: retry, once METASPACE is read-only",
            changed="What was indexed stays.",
        )
    return found


async def _forget(ctx: StepContext, pair: Pair, datasets: Sequence[str]) -> None:
    if datasets:
        went = await search(ctx).indices.forget(pair=pair, datasets=datasets)
        text = f"{len(datasets)} datasets that PostgreSQL has no more are gone from {pair.dataset}: {some(datasets)}"
        await ctx.report(text, {"forgotten": list(datasets), "documents": went})
