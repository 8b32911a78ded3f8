"""Jobs that go on on servers: the message that follows one, its milestones and its end, the list, and the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.jobs import Going, ending
from bot.domain.progress import percent
from bot.views import ids, kit, limits
from bot.views.question import people_in
from bot.views.text import code, count, duration, escape, mention, told, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.jobs import Followed, JobLog, JobView
    from bot.domain.progress import Estimate
    from bot.domain.reindexing import Failure, Ledger

_BAR, _FAILURES, _SHOWN = 12, 10, 10
_SIGN = {
    Going.AWAITED: "○ about to begin",
    Going.RUNNING: "▸ running",
    Going.WHOLE: "✓ finished whole",
    Going.FAILURES: "✗ finished, with failures",
    Going.FAILED: "✗ failed",
    Going.STOPPED: "– stopped",
    Going.LOST: "✗ lost",
}


def face(view: JobView) -> list[object]:
    """Return what is worth an edit soon: all that the message says but how far it has come."""
    one, ledger = view.one, view.one.ledger
    parts = [ledger.workers, ledger.wanted_workers, ledger.slowed, ledger.awaits_probe] if ledger else []
    stalled = view.stalled.isoformat() if view.stalled else ""
    asked = [one.stop_by, one.ask_workers, one.ask_by]
    return [str(one.state), one.failed, bool(one.problem), stalled, *asked, *parts]


def progress(view: JobView) -> kit.Message:
    """Show how a job goes: how far, how fast, how long still, and how to look at it by hand."""
    one = view.one
    sign, _, word = _SIGN[one.state].partition(" ")
    head = f"{one.job.title}: {word}"
    rows = [f"{sign} *{escape(one.job.title, 150)}* – {word}", *_rows(view)]
    blocks: list[Block] = [
        kit.section("\n".join(rows)),
        *_failures(one),
        *([] if one.state.over else [kit.section(f"*By hand:* {code(view.attach, 300)}")] if view.attach else []),
        *kit.actions("job", _buttons(one)),
        kit.context(_footer(one)),
    ]
    return kit.message(f"{escape(head)}. {_far(one.ledger)}".strip(), blocks)


def milestone(view: JobView, reached: int) -> kit.Message:
    """Say that a good part is done."""
    ledger = view.one.ledger
    failed = f" {count(view.one.failed, 'dataset')} failed so far." if view.one.failed else ""
    left = f" {_left(view.estimate)}" if view.estimate else ""
    done = f" ({ledger.done:,} of {ledger.total:,})" if ledger else ""
    text = f"{escape(view.one.job.title, 150)}: {reached} % done{done}.{failed}{left}"
    return kit.message(text, [kit.section(text)])


def ended(view: JobView) -> kit.Message:
    """Tell how a job ended, what could not be done, and what somebody may do now."""
    one = view.one
    who = f"{mention(view.starter)} " if view.starter and one.state is not Going.WHOLE else ""
    how = told(ending(one), people_in(ending(one)), 500)
    text = f"{who}{escape(one.job.title, 150)} {how}."
    took = f" It took {duration(one.seconds)}." if one.seconds else ""
    rows = [f"*{text}*{took}", *([f"Reason: {escape(one.stop_reason, 500)}"] if one.stop_reason else [])]
    if one.state is not Going.WHOLE:
        rows.append(f"Its log: {code(f'/release jobs log {one.job.name}')}")
    return kit.message(text, [kit.section("\n".join(rows)), *_failures(one)])


def listed(environment: str, views: Sequence[JobView]) -> kit.Message:
    """List the jobs of an environment, those that run first."""
    if not views:
        text = f"No job has run for {escape(environment, 60)} yet."
        how = (
            "Long work on the server (reindexing, an update of Elasticsearch) appears here with its progress, from the release that"
            f" starts it or from {code('/release es')}. What would need it: {code('/release review')}."
        )
        return kit.message(text, [kit.section(f"*{text}*\n{how}")])
    going = sum(not one.one.state.over for one in views)
    text = f"Jobs of {escape(environment, 60)}: {going} running, {len(views) - going} ended"
    blocks: list[Block] = [kit.section(f"*{text}*")]
    shown = 0
    for view in views[:_SHOWN]:
        more = _listed(view)
        if limits.visible([block.to_dict() for block in [*blocks, *more]]) > kit.ROOM:
            break
        blocks, shown = [*blocks, *more], shown + 1
    rest = f"… and {len(views) - shown} more. " if shown < len(views) else ""
    tail = f"{rest}Also: {code('/release jobs log NAME')}, {code('picture')}, {code('stop')}, {code('workers NAME N')}."
    return kit.message(text, [*blocks, kit.context(tail)])


def _listed(view: JobView) -> list[Block]:
    one = view.one
    rows = [f"{_SIGN[one.state]} · *{escape(one.job.title, 120)}* · {code(one.job.name, 100)}", *_rows(view)]
    rows += [f"By hand: {code(view.attach, 300)}"] if view.attach else []
    return [kit.section("\n".join(rows)), *kit.actions(f"job-{one.id}", _buttons(one))]


def log(view: JobView, found: JobLog) -> kit.Message:
    """Show the end of a job's log; the rest is in the file that goes with it."""
    name = code(view.one.job.name, 100)
    if not found.lines:
        text = f"The log of {name} is empty so far."
        return kit.message(text, [kit.section(f"{text}\nBy hand: {code(view.attach, 300)}")])
    text = f"The last {count(len(found.lines), 'line')} of the log of {name}"
    tail = "The file holds the last part of it." if found.cut else "The file holds all of it."
    return kit.message(
        text,
        [kit.section(f"*{text}*"), *kit.lines([code(line, 300) for line in found.lines], room=9000), kit.context(tail)],
    )


def picture(view: JobView, alt: str) -> kit.Message:
    """Introduce a picture of a job's progress; its words are what the picture shows."""
    text = f"{escape(view.one.job.title, 150)}: progress over time"
    return kit.message(text, [kit.section(f"*{text}*\n{escape(alt, 600)}")])


def elsewhere(view: JobView) -> kit.Message:
    """Say where it was put."""
    text = f"It stands in the thread of {code(view.one.release)}."
    return kit.message(text, [kit.section(text)])


def asked(view: JobView, *, workers: int | None = None) -> kit.Message:
    """Confirm that a job is being stopped, or has another number of workers."""
    name = code(view.one.job.name, 100)
    if workers is None:
        how = told(ending(view.one), people_in(ending(view.one)), 300)
        text = f"{name} {how}." if view.one.state.over else f"{name} is being stopped; what it has done stays done."
    elif workers == 0:
        text = f"{name} pauses: what is begun is ended. {code(f'/release jobs workers {view.one.job.name} 1')} goes on."
    else:
        text = f"{name} gets {count(workers, 'worker')}."
    return kit.message(text, [kit.section(text)])


def stop_form(view: JobView) -> dict[str, Any]:
    """Ask once more before a job is stopped: its name is typed, and a reason given."""
    one = view.one
    blocks = [
        kit.section(
            f"*{escape(one.job.title, 150)}*\n{_far(one.ledger)} What it has done stays done; the rest is left."
        ),
        kit.text_input(ids.TYPED, "Type the job’s name", hint=one.job.name),
        kit.text_input(ids.REASON, "Why?", hint="Its thread and the log show it."),
    ]
    metadata = {"environment": one.environment, "job": one.job.name}
    return kit.modal(
        callback=ids.STOP_JOB_FORM, title="Stop the job", submit="Stop it", blocks=blocks, metadata=metadata
    )


def workers_form(view: JobView, most: int) -> dict[str, Any]:
    """Ask how many workers are to share a job's work."""
    one, ledger = view.one, view.one.ledger
    now = f"{count(ledger.workers, 'worker')} at work, {ledger.wanted_workers} wanted." if ledger else ""
    blocks = [
        kit.section(f"*{escape(one.job.title, 150)}*\n{now} {escape(ledger.slowed, 300) if ledger else ''}".strip()),
        kit.text_input(
            ids.WORKERS,
            "How many workers?",
            initial=str(ledger.wanted_workers) if ledger else "",
            hint=f"0 pauses it; at most {most}.",
        ),
    ]
    metadata = {"environment": one.environment, "job": one.job.name}
    return kit.modal(callback=ids.WORKERS_FORM, title="Workers", submit="Change", blocks=blocks, metadata=metadata)


def _rows(view: JobView) -> Iterator[str]:
    one, ledger = view.one, view.one.ledger
    if ledger:
        filled = _BAR * ledger.done // ledger.total if ledger.total else _BAR
        yield f"{'■' * min(filled, _BAR)}{'□' * max(_BAR - filled, 0)} {_far(ledger)}"
    if one.state.over:
        yield f"It {told(ending(one), people_in(ending(one)), 300)}."
        return
    if view.estimate:
        yield _speed(view.estimate)
    yield from _workers(one, ledger)
    if view.stalled:
        yield f"*Nothing was finished since {when(view.stalled)}*; look at its log."
    if one.stop_by:
        yield f"Being stopped by {mention(one.stop_by)}."
    if one.problem:
        yield f"Not seen at the last look: {escape(one.problem, 300)} I look again."


def _workers(one: Followed, ledger: Ledger | None) -> Iterator[str]:
    if ledger is None:
        return
    if ledger.awaits_probe:
        yield "Waits until it is proved that its first dataset landed in the right index."
    if one.ask_workers is not None:
        yield f"{mention(one.ask_by)} asks for {count(one.ask_workers, 'worker')}."
    if ledger.workers == 0 and ledger.wanted_workers == 0:
        yield "*Paused*: no worker."
        return
    wanted = f" of {ledger.wanted_workers} wanted" if ledger.workers != ledger.wanted_workers else ""
    slowed = f" – slowed: {escape(ledger.slowed, 300)}" if ledger.slowed else ""
    yield f"{count(ledger.workers, 'worker')}{wanted} at work{slowed}"


def _far(ledger: Ledger | None) -> str:
    if ledger is None:
        return ""
    return f"{percent(ledger.done, ledger.total)} %, {ledger.done:,} of {ledger.total:,} done."


def _speed(estimate: Estimate) -> str:
    source = "over the last hour" if estimate.measured else "as earlier jobs of its kind did"
    return f"{_per(estimate.rate)} {source}. {_left(estimate)}"


def _per(rate: float) -> str:
    hourly = rate * 3600
    return f"{hourly:,.0f} an hour" if hourly < 6000 else f"{rate * 60:,.0f} a minute"  # noqa: PLR2004  # a readable figure


def _left(estimate: Estimate) -> str:
    return f"About {duration(estimate.left)} left."


def _failures(one: Followed) -> list[Block]:
    failed: Sequence[Failure] = one.ledger.failed if one.ledger else ()
    if not failed:
        return []
    rows = [
        f"• {code(each.dataset, 60)} ({count(each.tries, 'try', 'tries')}): {escape(each.said, 150)}"
        for each in failed[:_FAILURES]
    ]
    more = [f"… and {one.failed - _FAILURES:,} more"] if one.failed > _FAILURES else []
    return kit.lines([f"*{count(one.failed, 'dataset')} failed*", *rows, *more], room=2500)


def _buttons(one: Followed) -> list[Any]:
    value = {"environment": one.environment, "job": one.job.name}
    buttons = [kit.button("Log", ids.JOB_LOG, value)]
    if one.ledger and one.ledger.history:
        buttons.append(kit.button("Picture", ids.JOB_PICTURE, value))
    if one.state is Going.RUNNING and not one.stop_by:
        buttons += [kit.button("Workers …", ids.JOB_WORKERS, value)] if one.ledger else []
        buttons.append(kit.button("Stop …", ids.JOB_STOP, value, style="danger"))
    return buttons


def _footer(one: Followed) -> str:
    facts = [code(one.job.name, 100)]
    facts += [f"of {code(one.release)}"] if one.release else [f"started by {mention(one.by)}"] if one.by else []
    facts += [f"since {when(one.started_at)}"] if one.started_at else []
    facts += [f"ended {when(one.ended_at)}"] if one.ended_at else []
    return " · ".join(facts)
