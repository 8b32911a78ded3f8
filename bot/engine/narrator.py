"""From the event log to Slack: the dashboard and its thread are a projection, so a restart edits and never reposts.

Every message has a key of its own (``R7``, ``R7:step:deploy``, ``R7:Q3``) and is drawn from what is stored, not from what the
narrator remembers. Telling an event twice therefore puts the same words under the same key. The cursor moves only after
everything of a batch is in the outbox. Where another replica told something meanwhile, what was put may be older than what
that one put: it is told once more, from how things stand then, until nobody else told anything in between.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from bot.domain.errors import ReleaseError
from bot.domain.plan import StepKind
from bot.domain.release import FINISHED, ReleaseState, StepState
from bot.views import alarms, dashboard, question
from bot.views import step as step_view

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from bot.domain.readmodel import AskedQuestion, EventView, OpenQuestion, ReleaseView, StepView
    from bot.domain.world import Posted
    from bot.engine.cursors import Cursor
    from bot.views.kit import Message

CURSOR = "narrator"
BATCH = 200
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)>")
POLL = 1.0  # seconds until the log is looked at without being called: another process may have written
_log = structlog.get_logger()


class Ledger(Protocol):
    """What the narrator reads, and where it notes how far it has read (`bot.engine.desk.Desk`)."""

    async def events(self, *, after: int, limit: int) -> Sequence[EventView]:
        """Return the events behind a position, oldest first."""

    async def release(self, release: str, /) -> ReleaseView:
        """Return a release as it stands."""

    async def questions(self, release: str, /) -> Sequence[AskedQuestion]:
        """Return every question of a release, answered or not."""

    async def cursor(self, name: str, /) -> Cursor:
        """Return how far this reader has read; zeros at first."""

    async def move_cursor(self, name: str, /, *, since: Cursor, to: int) -> bool:
        """Note how far this reader has read; False when another one did after ``since`` was read."""

    async def set_thread(self, release: str, /, *, channel: str, thread: str) -> None:
        """Note where Slack has the dashboard."""


class Outbox(Protocol):
    """Where messages go (`bot.slack.outbox.Outbox`): put again under its key, a message is edited."""

    async def put(
        self,
        key: str,
        *,
        text: str,
        blocks: Sequence[Mapping[str, Any]] | None = None,
        channel: str = "",
        thread_key: str = "",
        broadcast: bool = False,
        final: bool = False,
    ) -> None:
        """Store what the message of this key is to look like."""

    async def posted(self, key: str) -> Posted | None:
        """Return where Slack has the message of this key, or None while it has not."""


def _nobody(_role: str) -> Sequence[str]:
    return ()


class Bell(Protocol):
    """Rings when something was written to the log (`bot.engine.desk.Bell`)."""

    async def wait(self, *, at_most: float) -> None:
        """Return at the next ring, or after that many seconds."""


@dataclass(slots=True)
class Narrator:
    """Reads the log and keeps Slack in step with it. Every replica has one; they find each other out by the cursor."""

    ledger: Ledger
    outbox: Outbox
    bell: Bell
    channel: str
    approvers: Callable[[str], Sequence[str]] = _nobody  # Slack ids of who has a role
    _unplaced: set[str] = field(default_factory=set)  # dashboards that Slack did not have when we looked
    _again: Mapping[str, list[EventView]] = field(default_factory=dict)  # told while another replica told as well

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what happens until ``stop`` is set; what the database or the outbox refuses is tried again."""
        while not stop.is_set():
            try:
                read = await self.turn()
            except ReleaseError as error:
                _log.warning("narrator_waits", why=error.message, hint=error.hint)
                read = 0
            if not read:
                await self.bell.wait(at_most=POLL)

    async def turn(self) -> int:
        """Tell the next batch and return how many events it had."""
        since = await self.ledger.cursor(CURSOR)
        events = await self.ledger.events(after=since.position, limit=BATCH)
        by_release = defaultdict(list, {release: list(before) for release, before in self._again.items()})
        for event in events:
            if event.release:
                by_release[event.release].append(event)
        for release, happened in by_release.items():
            await self._tell(await self.ledger.release(release), happened)
        if by_release or events:
            alone = await self.ledger.move_cursor(CURSOR, since=since, to=events[-1].id if events else since.position)
            self._again = {} if alone else by_release
        await self._place([*by_release, *self._unplaced])
        return len(events) + len(self._again)

    async def _tell(self, release: ReleaseView, events: Sequence[EventView]) -> None:
        if release.state is ReleaseState.PLANNED:
            return  # nobody has confirmed it: it is a preview, not a release
        await self._put(release.id, dashboard.dashboard(release), final=release.state in FINISHED)
        for key, message in _steps(release, {event.step for event in events}):
            await self._put(key, message, under=release.id)
        for asked in await self.ledger.questions(release.id):
            message = _question(release, asked, self._must_act(release, asked.opened))
            await self._put(f"{release.id}:{asked.opened.id}", message, under=release.id)
        await self._tell_alarms(release, events)
        for key, message in _changes(release, events):
            await self._put(key, message, under=release.id)
        for key, message in _stops(release):
            await self._put(key, message, under=release.id, broadcast=True)
        for key, message in _endings(release):
            await self._put(key, message, under=release.id, broadcast=not announced(release), final=True)

    async def _tell_alarms(self, release: ReleaseView, events: Sequence[EventView]) -> None:
        """What somebody must see now has a message of its own, by the event's number."""
        for event in events:
            key, facts = f"{release.id}:alarm:{event.id}", event.data
            match event.kind:
                case "approval.reminded" | "question.reminded":
                    asked = next((one for one in release.questions if one.id == facts.get("question")), None)
                    if asked:  # nobody is reminded of what has been answered meanwhile
                        who = _assigned(release, event.step) or self._must_act(release, asked)
                        await self._put(key, alarms.reminder(release, asked, who), under=release.id)
                case "release.reminded" if release.state in {ReleaseState.PAUSED, ReleaseState.STOPPED}:
                    await self._put(key, alarms.standing(release, since=str(facts.get("since", ""))), under=release.id)
                case "approval.voided":
                    why = str(facts.get("why", ""))
                    await self._put(key, alarms.voided(release, step=event.step, why=why), under=release.id)
                case "approval.broken_glass":
                    reason = str(facts.get("reason", ""))
                    await self._put(key, alarms.broken_glass(release, step=event.step, by=event.by, reason=reason))
                case "release.trouble":
                    message = alarms.trouble(release, why=str(facts.get("why", "")))
                    await self._put(key, message, under=release.id, broadcast=True)
                case "release.warned":
                    await self._put(key, alarms.warning(release, why=str(facts.get("why", ""))), under=release.id)

    def _must_act(self, release: ReleaseView, opened: OpenQuestion) -> Sequence[str]:
        """Who is mentioned: whoever started the release, and of an approval those who may still give theirs."""
        policy = opened.question.approval
        if policy is None:
            return (release.started_by,)
        heard = {one.voice for one in opened.approvals} | {one.by for one in opened.approvals}
        out = heard if policy.starter == "may" else heard | {release.started_by}
        return tuple(one for one in self.approvers(policy.role) if one not in out) or (release.started_by,)

    async def _put(
        self, key: str, message: Message, *, under: str = "", broadcast: bool = False, final: bool = False
    ) -> None:
        await self.outbox.put(
            key,
            text=message.text,
            blocks=message.blocks,
            channel=self.channel,
            thread_key=under,
            broadcast=broadcast,
            final=final,
        )

    async def _place(self, releases: Collection[str]) -> None:
        """Note where the dashboards stand, so that mentions in their threads find the release."""
        for one in dict.fromkeys(releases):
            posted = await self.outbox.posted(one)
            if posted is None:
                self._unplaced.add(one)
                continue
            self._unplaced.discard(one)
            if (await self.ledger.release(one)).thread != posted.ts:
                await self.ledger.set_thread(one, channel=posted.channel, thread=posted.ts)


Keyed = tuple[str, "Message"]


def _steps(release: ReleaseView, touched: Collection[str]) -> Iterator[Keyed]:
    for one in release.steps:
        if one.key in touched and step_view.worth_telling(one):
            yield f"{release.id}:step:{one.key}", step_view.step_message(release, one)
    if message := step_view.together_message(release):
        yield f"{release.id}:proved", message


def _stops(release: ReleaseView) -> Iterator[Keyed]:
    """A release that needs a decision is a milestone: one message for each attempt that failed."""
    step: StepView | None = release.current
    if release.state is ReleaseState.STOPPED and step and step.problem:
        yield f"{release.id}:stop:{step.key}:{step.attempt}", dashboard.stopped_message(release, step, step.problem)


def _endings(release: ReleaseView) -> Iterator[Keyed]:
    if release.state in FINISHED:
        yield f"{release.id}:end", dashboard.summary_message(release)


def announced(release: ReleaseView) -> bool:
    """Tell whether the release's own last announcement has told the channel of its end already."""
    proved = {one.key for one in release.steps if one.state is StepState.DONE}
    return any(one.step == "announce_success" and one.key in proved for one in release.plan.steps)


def _question(release: ReleaseView, asked: AskedQuestion, must_act: Sequence[str]) -> Message:
    answer = asked.answer
    if answer is None and asked.closed_at is None:
        return question.question(asked.opened, ask=must_act, people=_assigned(release, asked.opened.step))
    return question.answered(
        asked.opened.question,
        release=release.id,
        kind=answer.kind if answer else None,
        by=answer.by if answer else "",
        at=answer.at if answer else asked.closed_at or asked.opened.asked_at,
        value=answer.value if answer else "",
        reason=answer.reason if answer else "",
        void=asked.void,
        approvals=asked.opened.approvals,
    )


def _changes(release: ReleaseView, events: Sequence[EventView]) -> Iterator[Keyed]:
    """What people changed in the plan while it was carried out, and whose the step is that begins."""
    for event in events:
        if event.kind == "plan.edited" and "before_start" not in event.data:
            said, version = str(event.data.get("said", "")), event.data.get("version", "")
            yield f"{release.id}:alarm:{event.id}", alarms.changed(release, by=event.by, said=said, version=version)
        if event.kind in alarms.LOCK:
            yield alarms.of_lock(release, event)
        if event.kind == "step.running":
            yield from _given(release, event.step)
        if event.kind in {"plan.exported", "plan.export_lost", "plan.ticked"}:
            yield from _issue(release, event)


def _issue(release: ReleaseView, event: EventView) -> Iterator[Keyed]:
    """What happened to the plan's issue on GitHub. Of one attempt of a step it is asked once, however often it is ticked."""
    number = event.data.get("issue", "")
    if event.kind == "plan.exported":
        yield f"{release.id}:issue", alarms.exported(release, issue=number, url=str(event.data.get("url", "")))
    if event.kind == "plan.export_lost":
        yield f"{release.id}:issue-lost", alarms.export_lost(release, issue=number)
    for step in release.steps if event.kind == "plan.ticked" else ():
        if step.key == event.step:
            who = next(iter(_assigned(release, step.key)), release.started_by)
            yield f"{release.id}:ticked:{step.key}:{step.attempt}", alarms.ticked(release, step, who, issue=number)


def _given(release: ReleaseView, key: str) -> Iterator[Keyed]:
    """Mention, once, whose step has begun; a step by hand does so with its question."""
    who = _assigned(release, key)
    for step in release.steps:
        if step.key == key and who and step.kind is not StepKind.MANUAL:
            yield f"{release.id}:yours:{key}", alarms.yours(release, step, who[0])


def _assigned(release: ReleaseView, key: str) -> tuple[str, ...]:
    """Return the Slack id of who is to do a step by hand, where its plan names one: the question mentions them."""
    said = (str(one.params.get("assignee", "")) for one in release.plan.steps if one.key == key)
    return tuple(found[1] for one in said if (found := _MENTION.fullmatch(one)))
