"""A release's first message: the live dashboard, and what remains of it once the release has ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.domain.release import FINISHED, DecisionKind, ReleaseState, StepState
from bot.domain.rollback import offered
from bot.views import ids, kit, question
from bot.views.locks import phase_line
from bot.views.plan import changes_line, facts_line, override_line
from bot.views.states import RELEASE, STEP
from bot.views.text import clock, code, count, duration, escape, mention, shorten, told, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from slack_sdk.models.blocks import Block, ButtonElement

    from bot.domain.causes import Cause
    from bot.domain.readmodel import Problem, ReleaseView, StepView

_BAR = 12
_QUESTIONS = 2  # a third waits until one of them is answered; all are in the thread
_TROUBLE = frozenset({StepState.FAILED, StepState.ERROR})
_ENDED = frozenset({StepState.DONE, StepState.SKIPPED})
_QUIET = _ENDED | {StepState.PENDING}


def dashboard(release: ReleaseView) -> kit.Message:
    """Show a release as it stands. It is drawn from the release alone, so drawing it again changes nothing."""
    head = title(release)
    top: list[Block] = [
        kit.header(head),
        *kit.lines(list(_summary(release)), room=2500),
        *_trouble(release),
        *(part for one in release.questions[:_QUESTIONS] for part in question.block(one)),
    ]
    bottom: list[Block] = [
        *_loose_ends(release),
        *kit.actions("release", controls(release)),
        kit.context(_footer(release)),
    ]
    rows = [_step(n, one, named(release)) for n, one in enumerate(release.steps, 1)]
    blocks = [*top, *kit.lines(rows, room=kit.room_beside([*top, *bottom])), *bottom]
    return kit.message(f"{escape(head)}. {headline(release)}", blocks)


def title(release: ReleaseView) -> str:
    """Name a release and its state, in plain text."""
    partial = " (partial)" if release.plan.partial else ""
    return f"{release.plan.version} to {release.environment}{partial}: {RELEASE[release.state]}"


def headline(release: ReleaseView) -> str:
    """Say in one sentence what goes on and what is next (mrkdwn)."""
    steps = count(len(release.steps), "step")
    match release.state:
        case ReleaseState.PLANNED:
            return "Nothing has been done yet."
        case ReleaseState.SUCCEEDED:
            return f"All {steps} ended in {_length(release)}."
        case ReleaseState.ABORTED:
            return f"Ended after {_length(release)} with {_done(release)} of {steps} done."
        case ReleaseState.ABORTING:
            return "No new step begins; the one in work is let finish."
        case _:
            return _at_work(release)


def _at_work(release: ReleaseView) -> str:
    if release.current is None:
        return "The last step has ended."
    name = escape(release.current.title)
    if release.waits and release.state is ReleaseState.RUNNING:
        return f"Waits for the lock of {escape(release.environment, 60)} before: {name}. It goes on by itself."
    if release.state is ReleaseState.PAUSED:
        return f"Nothing runs. Resume goes on with: {name}."
    return f"{'Stopped at' if release.state is ReleaseState.STOPPED else 'Now'}: {name}."


def controls(release: ReleaseView) -> list[ButtonElement]:
    """Give the buttons that are legal in this state and that no open question offers already."""
    step = release.current
    value = {"release": release.id, "step": step.key if step else "", "attempt": step.attempt if step else 0}
    buttons = {
        DecisionKind.RETRY: kit.button("Retry", ids.RETRY, value, style="primary"),
        DecisionKind.RESUME: kit.button("Resume", ids.RESUME, value, style="primary"),
        DecisionKind.SKIP: kit.button("Skip …", ids.SKIP, value),
        DecisionKind.PAUSE: kit.button("Pause", ids.PAUSE, value),
        DecisionKind.ROLL_BACK: kit.button("Roll back …", ids.ROLL_BACK, value),
        DecisionKind.ABORT: kit.button("Abort …", ids.ABORT, value, style="danger"),
    }
    asked = {choice.kind for one in release.questions for choice in one.question.choices}
    return [*(button for kind, button in buttons.items() if kind in _legal(release) - asked), *_edit(release)]


def _edit(release: ReleaseView) -> Iterator[ButtonElement]:
    """Offer to change the plan while a step of it is still to come."""
    going = release.state in {ReleaseState.RUNNING, ReleaseState.PAUSED, ReleaseState.STOPPED}
    if going and any(step.state is StepState.PENDING for step in release.steps):
        yield kit.button("Edit plan …", ids.PLAN_EDIT, {"release": release.id})


def _legal(release: ReleaseView) -> set[DecisionKind]:
    back = {DecisionKind.ROLL_BACK} if offered(release) else set()
    match release.state:
        case ReleaseState.RUNNING:
            return {DecisionKind.PAUSE, DecisionKind.ABORT}
        case ReleaseState.PAUSED:
            return {DecisionKind.RESUME, DecisionKind.ABORT, *back}
        case ReleaseState.STOPPED:
            skip = {DecisionKind.SKIP} if release.current and _skippable(release.current) else set()
            return {DecisionKind.RETRY, DecisionKind.ABORT, *skip, *back}
        case _:
            return back


def _skippable(step: StepView) -> bool:
    return step.skip != "never" and not (step.problem and step.problem.unskippable)


def summary_message(release: ReleaseView) -> kit.Message:
    """Tell the channel how a release ended: the milestone that is broadcast."""
    head = f"{release.plan.version} to {release.environment}: {RELEASE[release.state]}"
    lines = [f"*{escape(head)}*", headline(release), _downtime(release)]
    if release.note:
        lines.append(f"Note: {note(release.note)}")
    if release.state is ReleaseState.ABORTED:
        lines.append(_left(release))
    blocks = [kit.section("\n".join(line for line in lines if line)), *_loose_ends(release)]
    return kit.message(" ".join([f"{escape(head)}.", headline(release), _downtime(release)]), blocks)


def stopped_message(release: ReleaseView, step: StepView, problem: Problem) -> kit.Message:
    """Tell the channel that a release needs a decision; the buttons are on the dashboard."""
    text = f"{escape(release.plan.version)} to {release.environment} stopped at “{escape(step.title)}”"
    return kit.message(
        f"{mention(release.started_by)} {text}: {escape(problem.message, 600)}",
        [
            kit.section(f"{mention(release.started_by)} *{text}*"),
            *problem_blocks(problem, named(release)),
            kit.context("The buttons are on the release’s first message."),
        ],
    )


def named(release: ReleaseView) -> frozenset[str]:
    """Give the people who took part: only they are mentioned where a step's sentence names somebody."""
    return frozenset({release.started_by, *(step.decided_by for step in release.steps)})


def problem_blocks(problem: Problem, people: Iterable[str] = ()) -> list[Block]:
    """Say what happened, what was and was not changed, and what to try."""
    parts = [f"*What happened:* {told(problem.message, people, 900)}"]
    if problem.ours:
        parts[0] += " This is an error of the bot itself, not of what it releases."
    parts.append(
        f"*What was changed:* {told(problem.changed, people, 700) or 'this step proved nothing; steps before it stand.'}"
    )
    parts.append(f"*Try next:* {told(problem.hint, people, 700) or 'look at the step’s commands, then Retry.'}")
    return [*kit.lines(parts, room=2600), *_causes(problem)]


def _causes(problem: Problem) -> list[Block]:
    """Say what was behind it before, the very same failure first; or what usually is, and that it was not seen here."""
    if not problem.causes:
        return []
    seen = any(one.count for one in problem.causes)
    head = "*Seen before at this step:*" if seen else "*Not seen here before. In general it is one of these:*"
    return kit.lines([head, *(f"• {_cause(one)}" for one in problem.causes)], room=1500)


def _cause(cause: Cause) -> str:
    if not cause.count:
        return escape(cause.what, 250)
    last = f", last {when(cause.last)}" if cause.last else ""
    ended = f" – ended by: {escape('; '.join(cause.endings), 250)}" if cause.endings else ""
    return f"{escape(cause.what, 200)} ({'once' if cause.count == 1 else f'{cause.count} times'}{last}){ended}"


def _summary(release: ReleaseView) -> Iterator[str]:
    done, total = _done(release), len(release.steps)
    if release.state is not ReleaseState.SUCCEEDED:
        filled = round(_BAR * done / total) if total else 0
        yield f"{'■' * filled}{'□' * (_BAR - filled)} {done} of {count(total, 'step')}"
    yield f"*{headline(release)}*"
    current = release.current
    if current and release.state not in FINISHED:
        if current.progress:
            yield f"Progress: {escape(current.progress, 200)}"
        following = release.steps[release.steps.index(current) + 1 :]
        if following:
            yield f"Next: {escape(following[0].title, 120)}"
    if line := phase_line(release):
        yield line
    yield facts_line(release.plan)
    if line := override_line(release.plan):
        yield line
    if line := changes_line(release.plan):
        yield line
    if line := _downtime(release):
        yield line
    if release.note and not _trouble(release):  # which says the same, and what to do about it
        yield f"Note: {note(release.note)}"


def _trouble(release: ReleaseView) -> list[Block]:
    current = release.current
    if current is None or current.problem is None or current.state not in _TROUBLE:
        return []
    return problem_blocks(current.problem, named(release))


def _step(number: int, step: StepView, people: Iterable[str]) -> str:
    sign, word = STEP[step.state]
    parts = [word, *took(step)]
    if step.attempt > 1:
        parts.append(f"attempt {step.attempt}")
    if step.decided_by:
        parts.append(mention(step.decided_by))
    elif step.assignee and step.state not in _ENDED:
        parts.append(f"for {told(step.assignee, question.people_in(step.assignee), 80)}")
    name = escape(step.title, 100)
    row = f"{sign} {number}. {name if step.state in _QUIET else f'*{name}*'} – {', '.join(parts)}"
    why = told(step.reason, people, 160) if step.state is StepState.SKIPPED else ""
    if step.note and step.state not in _ENDED:  # what proved those that ended is in the thread
        why = f"Note: {escape(step.note, 160)}"
    return f"{row}\n      {why}" if why else row


def took(step: StepView) -> Iterator[str]:
    """Say how long a step took, if that is worth a word, or since when it is at work."""
    if step.started_at and step.finished_at:
        seconds = (step.finished_at - step.started_at).total_seconds()
        if seconds >= 1:
            yield duration(seconds)
    elif step.started_at and step.state is not StepState.PENDING:
        yield f"since {clock(step.started_at)}"


def _downtime(release: ReleaseView) -> str:
    if release.downtime is None:
        return "Downtime: not measured." if release.state is ReleaseState.SUCCEEDED else ""
    if not release.downtime and release.unwatched < 1 and release.state not in FINISHED:
        return ""
    seen = f"Downtime measured: {duration(release.downtime) if release.downtime else 'none'}"
    blind = f"; nobody watched for {duration(release.unwatched)}" if release.unwatched >= 1 else ""
    return f"{seen}{blind}."


def note(text: str) -> str:
    """Show why it is paused or aborted, "aborted by <@U1>: reason": who it was is mentioned, whoever the reason names is not."""
    by = re.match(r"\w+ by <@([UW][A-Z0-9]+)>", text)
    return f"{by[0]}{escape(text[by.end() :], 500)}" if by else escape(text, 500)


def _left(release: ReleaseView) -> str:
    done = [step.title for step in release.steps if step.state is StepState.DONE]
    if not done:
        return "Nothing was changed."
    return f"What was done stays done: {escape(shorten('; '.join(done), 600), 600)}."


def _loose_ends(release: ReleaseView) -> list[Block]:
    if not release.loose_ends or release.state is ReleaseState.RUNNING:  # what it still owes itself is its next steps
        return []
    return kit.lines(["*Left to do*", *(f"• {escape(one, 250)}" for one in release.loose_ends)], room=1500)


def _footer(release: ReleaseView) -> str:
    ended: datetime | None = release.finished_at
    end = f" · ended {when(ended)}" if ended else ""
    return (
        f"{code(release.id)} · started by {mention(release.started_by)} {when(release.created_at)}{end} · "
        "details in the thread"
    )


def _done(release: ReleaseView) -> int:
    return sum(step.state in _ENDED for step in release.steps)


def _length(release: ReleaseView) -> str:
    if release.finished_at is None:
        return "an unknown time"
    return duration((release.finished_at - release.created_at).total_seconds())
