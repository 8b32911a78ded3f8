"""The search indices in Slack: both pairs as they stand, how they compare, and what a swap rests on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.index_report import size
from bot.views import kit
from bot.views.text import code, count, duration, escape, mention, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.errors import ReleaseError
    from bot.domain.index_report import Candidate, Compared, RunningJob, Standing, Started
    from bot.domain.indices import Comparison, Index, Pair
    from bot.engine.index_guards import Guard

FEW = 5
_RELEASE = re.compile(r"R\d+(?=-)")  # `StepContext.mark`: R7-create_inactive
HOLDS, FAILS = "✓ holds", "✗ *does not hold*"


def status(one: Standing) -> kit.Message:
    """Show both aliases, both pairs, what is wrong, and the jobs that run."""
    name = escape(one.environment, 60)
    head = f"Search indices of {name}: {one.live or 'nobody knows which pair'} is live"
    blocks = [
        kit.section(f"*{head}*\n" + "\n".join(_pointing(one))),
        *_fault(one),
        *(kit.section("\n".join(_candidate(one, each))) for each in one.candidates),
        *_jobs(one),
        kit.context(f"Looked at {when(one.at)}. {code('/release es compare')} compares the pairs with PostgreSQL."),
    ]
    return kit.message(head, blocks)


def _pointing(one: Standing) -> Iterator[str]:
    for alias in (one.seen.aliases.dataset, one.seen.aliases.annotation):
        names = ", ".join(code(name, 80) for name in one.seen.pointing.get(alias, ())[:FEW])
        yield f"{code(alias, 80)} → {names or '*nothing*'}"


def _fault(one: Standing) -> list[Block]:
    if not one.fault:
        return []
    how = code(f"/release es repair {one.environment}", 80)
    return [kit.section(f"*Out of order:* {escape(one.fault, 700)}\n{how} offers what both aliases can point at.")]


def _candidate(standing: Standing, one: Candidate) -> Iterator[str]:
    role = "live" if standing.live is one.side else "inactive" if standing.live else "perhaps live"
    yield f"*{one.side}* – {role}"
    for name, index in zip(one.pair.names, one.indices, strict=True):
        yield index_line(index, standing) if index else f"{code(name, 80)}: not there"


def index_line(one: Index, standing: Standing) -> str:
    """Show one index: documents, size, health, definition, age and maker."""
    age = duration(max(0.0, (standing.at - one.created_at).total_seconds()))
    closed = "" if one.open else ", *closed*"
    health = escape(one.health, 20) if one.health in ("green", "yellow") else f"*{escape(one.health, 20) or 'unknown'}*"
    definition = f" · definition {code(one.definition[:8])}" if one.definition else ""
    return (
        f"{code(one.name, 80)}: {count(one.documents, 'document')}, {size(one.size)}, {health}{closed}{definition} · "
        f"{age} old, made by {maker(one.made_by)}"
    )


def maker(mark: str) -> str:
    """Name who made an index, by its mark: a person's Slack id, or release and step."""
    if release := _RELEASE.match(mark):
        return f"{code(release[0])} ({escape(mark[release.end() + 1 :], 60)})"
    return mention(mark.partition(" ")[0]) if mark else "somebody without the bot"


def _jobs(one: Standing) -> list[Block]:
    if one.jobs_problem:
        return [kit.section(f"Whether a job runs is not known: {escape(one.jobs_problem, 500)}")]
    return [kit.section(job_line(job)) for job in one.jobs[:FEW]] or [kit.context("No job indexes at the moment.")]


def job_line(job: RunningJob) -> str:
    """Show a job that runs, with the line to look at it by hand."""
    done = f", {job.done:,} of {count(job.total, 'dataset')}" if job.total is not None and job.done is not None else ""
    where = f" into {code(job.index, 80)}" if job.index else ""
    return f"*Job* {code(job.name, 80)}{where} since {when(job.since)}{done}\nTo look at it: {code(job.line)}"


def progress(title: str, text: str) -> kit.Message:
    """Say what is being done at the moment."""
    said = f"*{escape(title, 200)}* … {escape(text, 300)}"
    return kit.message(f"{escape(title, 200)} …", [kit.section(said)])


def comparison(one: Compared) -> kit.Message:
    """Show what a comparison found, by kind, with the first few datasets of each."""
    found = one.found
    title = f"{escape(one.new.dataset, 80)} compared with {escape(one.live.dataset, 80)} and PostgreSQL"
    rows = [_kind(what, ids) for what, ids in kinds(found) if ids]
    agree = f"They agree: {count(found.datasets, 'dataset')}, {count(found.annotations, 'annotation')}."
    without = (
        f" Fields left out: {', '.join(code(field, 80) for field in found.ignored[:20])}." if found.ignored else ""
    )
    blocks = [
        kit.section(f"*{title}*"),
        *kit.lines(rows or [agree], room=6000),
        kit.context(f"{count(found.datasets, 'dataset')} in PostgreSQL, {when(one.at)}.{without}"),
    ]
    return kit.message(f"{title}: {'they differ' if rows else 'they agree'}", blocks)


def kinds(found: Comparison) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return each kind of difference in words, with its datasets."""
    counts = tuple(f"{one} ({there:,} in the index, {due:,} due)" for one, (due, there) in sorted(found.counts.items()))
    return (
        ("missing in the inactive pair", found.missing),
        ("deleted from PostgreSQL, and still in the inactive pair", found.surplus),
        ("visible to others than in the live pair", found.visibility),
        ("with another document than in the live pair", found.differing),
        ("with another number of annotations", counts),
    )


def _kind(what: str, ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - FEW:,} more" if len(ids) > FEW else ""
    return f"*{len(ids):,} {what}:* {', '.join(code(one, 80) for one in ids[:FEW])}{more}"


def listed(found: Comparison) -> str:
    """Return the whole lists as a file's text; empty where the message shows all."""
    if all(len(ids) <= FEW for _, ids in kinds(found)):
        return ""
    parts = [f"# {len(ids)} {what}\n" + "\n".join(ids) for what, ids in kinds(found) if ids]
    return "\n\n".join(parts) + "\n"


def guard_blocks(found: Sequence[Guard]) -> list[Block]:
    """List what a swap rests on, in words, with the evidence of each."""
    rows = [f"{HOLDS if one.holds else FAILS} – {escape(one.name, 150)}: {escape(one.evidence, 350)}" for one in found]
    return kit.lines(rows, room=8000)


def created(environment: str, pair: Pair, by: str) -> kit.Message:
    """Tell that the inactive pair is there, empty."""
    text = f"{mention(by)} created {code(pair.dataset, 80)} and {code(pair.annotation, 80)} on {escape(environment, 60)}, empty."
    return kit.message(text, [kit.section(text), kit.context(f"To fill them: {code('/release es reindex')}")])


def started(environment: str, one: Started, by: str, *, live: bool, proved: str = "") -> kit.Message:
    """Tell that a job was started, how to look at it by hand, and whether its first dataset is where it belongs."""
    pair = f"the {'live' if live else 'inactive'} pair of {escape(environment, 60)}, {code(one.pair.dataset, 80)}"
    text = f"{mention(by)} started indexing {count(one.datasets, 'dataset')} into {pair}."
    rows = [
        f"*{text}*",
        f"Job {code(one.name, 80)}, {count(one.workers, 'worker')}.",
        f"To look at it: {code(one.line)}",
    ]
    if one.forgotten:
        rows.append(f"{count(one.forgotten, 'dataset')} deleted meanwhile went from the inactive pair.")
    rows += [escape(proved or "Once its first dataset is proved to be in the right pair, it goes on.", 300)] * (
        not live
    )
    by_hand = " ".join(one.commands)
    blocks = [kit.section("\n".join(rows)), *([kit.context(f"By hand: {code(by_hand, 600)}")] if by_hand else [])]
    return kit.message(text, blocks)


def unproved(one: Started, problem: ReleaseError) -> kit.Message:
    """Tell everybody that a job was ended, for its first dataset is not where it belongs."""
    text = f"{escape(one.name, 80)} was not let go on: {escape(problem.message, 900)}"
    hint = [kit.context(f"{escape(problem.changed, 300)} Try: {escape(problem.hint, 400)}")] * bool(problem.hint)
    return kit.message(text, [kit.section(f"*{text}*"), *hint])
