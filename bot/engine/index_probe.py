"""The proof that a job's first dataset landed in the pair that is meant; METASPACE's scripts once wrote to the live one instead.

What the indices held before stands in the job's marks, on the server: whoever looks next, also after a restart, can judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Refused, Unavailable
from bot.domain.world import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.indices import Pair
    from bot.domain.world import JobReport
    from bot.engine.index_jobs import IndexArea
    from bot.ports import Clock
    from bot.search_ports import SearchIndices

PROBED, NEW, DOCUMENTS, OTHER = "probed", "new_before", "documents_before", "other_before"  # marks
POLL = 5.0  # seconds between two looks
BLIND = 900.0  # seconds for which a server may be out of sight


async def before(indices: SearchIndices, pair: Pair, other: Pair, dataset: str) -> dict[str, str]:
    """Return, as marks, what both pairs have heard of a dataset before a job begins with it."""
    return {
        PROBED: dataset,
        NEW: await _newest(indices, pair, dataset),
        DOCUMENTS: await _documents(indices, pair),
        OTHER: await _newest(indices, other, dataset),
    }


async def prove(area: IndexArea, clock: Clock, name: str, pair: Pair, other: Pair) -> str:
    """Wait for a job's first dataset and judge it; return in a sentence that it goes on.

    In the wrong pair, the job is ended at once and `Refused` raised; so for one that ended before anything was proved.
    """
    seen = clock.monotonic()
    while True:
        try:
            run = await area.jobs.look(name=name)
            if run is None:
                raise Refused(f"The web server knows no job {name} any more.", hint="/release es status")
            ledger = await area.reindexing.ledger(name=run.order)
            if ledger is not None and not ledger.awaits_probe and (ledger.done or ledger.ended):
                return "Its first dataset landed in the right pair, and it goes on."
            if ledger is not None and ledger.awaits_probe:
                return await _judged(area, run, pair, other)
            if run.state is not JobState.RUNNING:
                raise Refused(
                    f"{name} ended before its first dataset was there.",
                    hint=f"look at its log: {area.jobs.attach_line(name=name)}",
                    changed="Nothing is known to be.",
                )
            seen = clock.monotonic()
        except Unavailable:
            if clock.monotonic() - seen > BLIND:
                raise
        await clock.sleep(seconds=POLL)


async def _judged(area: IndexArea, run: JobReport, pair: Pair, other: Pair) -> str:
    dataset = run.marks.get(PROBED, "")
    if why := await _wrong(area.indices, run.marks, pair, other):
        await area.jobs.stop(name=run.name)
        raise Refused(
            f"{dataset} {why}, so {run.name} was ended after its first dataset.",
            hint=f"look at its log: {area.jobs.attach_line(name=run.name)}",
            changed=f"At most {dataset} was written.",
        )
    await area.reindexing.let_go_on(name=run.order)
    return f"Its first dataset, {dataset}, landed in {pair.dataset} and nothing in {other.dataset}; it goes on."


async def _wrong(indices: SearchIndices, marks: Mapping[str, str], pair: Pair, other: Pair) -> str:
    dataset = marks.get(PROBED, "")
    if await _newest(indices, other, dataset) != marks.get(OTHER):
        return f"was written to {other.dataset}, which is live"
    grew = int(await _documents(indices, pair)) > int(marks.get(DOCUMENTS) or 0)
    moved = await _newest(indices, pair, dataset) != marks.get(NEW)
    return "" if grew or moved else f"did not arrive in {pair.dataset}"


async def _newest(indices: SearchIndices, pair: Pair, dataset: str) -> str:
    return "/".join([str(await indices.newest_write(index=name, dataset=dataset)) for name in pair.names])


async def _documents(indices: SearchIndices, pair: Pair) -> str:
    return str(sum([(await indices.probe(index=name)).documents for name in pair.names]))
