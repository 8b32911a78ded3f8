from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import Unavailable
from bot.domain.readmodel import AskedQuestion, EventView, OpenQuestion, Problem, ReleaseView, StepView
from bot.domain.release import Answer, DecisionKind, ReleaseState, StepState
from bot.domain.world import Posted
from bot.engine.cursors import Cursor
from bot.engine.narrator import Narrator
from bot.views.limits import message_faults
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Bell:
    """Never rings, and never makes anybody wait."""

    async def wait(self, *, at_most: float) -> None:
        await asyncio.sleep(0)


@dataclass
class Ledger:
    """A log in memory, and the release as it stood after each event."""

    log: list[EventView] = field(default_factory=list)
    views: dict[str, ReleaseView] = field(default_factory=dict)
    asked: dict[str, list[AskedQuestion]] = field(default_factory=dict)
    at: int = 0
    turns: int = 0

    def happens(self, release: ReleaseView, step: str = "", kind: str = "something") -> None:
        self.views[release.id] = release
        self.log.append(EventView(len(self.log) + 1, release.id, step, kind, worlds.NOW, "", {}))

    async def events(self, *, after: int, limit: int) -> Sequence[EventView]:
        return [one for one in self.log if one.id > after][:limit]

    async def release(self, release: str, /) -> ReleaseView:
        return self.views[release]

    async def questions(self, release: str, /) -> Sequence[AskedQuestion]:
        return self.asked.get(release, [])

    async def cursor(self, name: str, /) -> Cursor:
        return Cursor(self.at, self.turns)

    async def move_cursor(self, name: str, /, *, since: Cursor, to: int) -> bool:
        if since.turns != self.turns:
            return False
        self.at, self.turns = to, self.turns + 1
        return True

    async def set_thread(self, release: str, /, *, channel: str, thread: str) -> None:
        self.views[release] = replace(self.views[release], channel=channel, thread=thread)


@dataclass
class Outbox:
    """Slack as the outbox keeps it: one message a key, and how often each was first posted."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    slack_has: bool = True
    fail_after: int = 10**9

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
        if self.fail_after <= 0:
            raise Unavailable("The database is locked.")
        self.fail_after -= 1
        assert message_faults(text, blocks or []) == []
        wanted = {
            "text": text,
            "blocks": json.dumps(blocks),
            "under": thread_key,
            "broadcast": broadcast,
            "final": final,
        }
        if self.messages.get(key) != wanted:
            self.edits.append(key)
        self.messages[key] = wanted

    async def posted(self, key: str) -> Posted | None:
        return Posted("C01DEV", f"ts-{key}") if self.slack_has and key in self.messages else None


def narrator(ledger: Ledger, outbox: Outbox) -> Narrator:
    return Narrator(ledger, outbox, Bell(), "C01DEV")


def running(progress: str = "", **changes: Any) -> ReleaseView:
    first, second, third = worlds.steps(StepState.DONE, StepState.RUNNING, StepState.PENDING)
    return worlds.release(
        steps=(replace(first, summary="All green."), replace(second, progress=progress), third), **changes
    )


def stopped() -> ReleaseView:
    failed = replace(running().steps[1], state=StepState.FAILED, problem=Problem("The push was refused."))
    return worlds.release(ReleaseState.STOPPED, steps=(running().steps[0], failed, running().steps[2]))


def finished() -> ReleaseView:
    done = tuple(replace(one, state=StepState.DONE, finished_at=worlds.NOW) for one in running().steps)
    return worlds.release(
        ReleaseState.SUCCEEDED, steps=done, finished_at=worlds.NOW + timedelta(minutes=9), downtime=3.0
    )


def story() -> Ledger:
    """A whole release, with a question answered and a failure retried."""
    ledger = Ledger()
    opened = worlds.opened()
    ledger.happens(worlds.release(steps=worlds.steps(StepState.RUNNING, StepState.PENDING, StepState.PENDING)), "ci")
    ledger.happens(running(), "ci")
    for task in range(30):
        ledger.happens(running(f"task {task}"), "push")
    ledger.happens(stopped(), "push")
    ledger.happens(running("again"), "push")
    ledger.asked["R7"] = [AskedQuestion(opened, Answer(DecisionKind.APPROVE, "U01REL", worlds.NOW, value="wait"))]
    ledger.happens(running(), "notes")
    ledger.happens(finished(), "notes")
    return ledger


async def test_the_first_message_is_the_dashboard_and_details_go_under_it() -> None:
    ledger, outbox = Ledger(), Outbox()
    ledger.happens(running("task 3"), "push")
    await narrator(ledger, outbox).turn()
    assert list(outbox.messages) == ["R7", "R7:step:push"]
    assert outbox.messages["R7"]["under"] == ""
    assert outbox.messages["R7:step:push"]["under"] == "R7"
    assert "task 3" in outbox.messages["R7:step:push"]["blocks"]


async def test_much_progress_is_one_message() -> None:
    ledger, outbox = Ledger(), Outbox()
    for task in range(150):
        ledger.happens(running(f"task {task}"), "push")
    await narrator(ledger, outbox).turn()
    assert outbox.edits == ["R7", "R7:step:push"]


async def test_a_plan_that_nobody_confirmed_is_not_told() -> None:
    ledger, outbox = Ledger(), Outbox()
    ledger.happens(worlds.release(ReleaseState.PLANNED))
    await narrator(ledger, outbox).turn()
    assert not outbox.messages
    assert ledger.at == 1


async def test_only_milestones_are_broadcast() -> None:
    ledger, outbox = story(), Outbox()
    for cursor in range(len(ledger.log)):
        ledger.at = cursor
        await narrator(ledger, outbox).turn()
    ledger.happens(stopped(), "push")
    await narrator(ledger, outbox).turn()
    told = {key for key, message in outbox.messages.items() if message["broadcast"]}
    assert told == {"R7:end", "R7:stop:push:1"}


async def test_an_end_that_the_release_announced_itself_is_not_broadcast_again() -> None:
    ledger, outbox = Ledger(), Outbox()
    said = replace(worlds.plan().steps[2], step="announce_success")
    ledger.happens(replace(finished(), plan=worlds.plan(steps=(*worlds.plan().steps[:2], said))))
    await narrator(ledger, outbox).turn()
    assert outbox.messages["R7:end"]["broadcast"] is False


async def test_a_question_is_asked_with_buttons_and_loses_them_once_answered() -> None:
    ledger, outbox = Ledger(), Outbox()
    opened: OpenQuestion = worlds.opened()
    ledger.asked["R7"] = [AskedQuestion(opened)]
    ledger.happens(running(), "notes")
    await narrator(ledger, outbox).turn()
    assert "question:approve" in outbox.messages["R7:Q3"]["blocks"]
    ledger.asked["R7"] = [AskedQuestion(opened, Answer(DecisionKind.REJECT, "U01REL", worlds.NOW, reason="too early"))]
    ledger.happens(running(), "notes")
    await narrator(ledger, outbox).turn()
    shown = outbox.messages["R7:Q3"]
    assert '"actions"' not in shown["blocks"]
    assert "Rejected (“Stop here”) by <@U01REL>" in shown["text"]
    assert "too early" in shown["text"]


async def test_a_question_that_went_away_says_so() -> None:
    ledger, outbox = Ledger(), Outbox()
    ledger.asked["R7"] = [AskedQuestion(worlds.opened(), closed_at=worlds.NOW)]
    ledger.happens(running(), "notes")
    await narrator(ledger, outbox).turn()
    assert "No longer asked" in outbox.messages["R7:Q3"]["text"]


async def test_the_release_learns_where_its_thread_is_as_soon_as_slack_has_it() -> None:
    ledger, outbox = Ledger(), Outbox(slack_has=False)
    ledger.happens(running())
    teller = narrator(ledger, outbox)
    await teller.turn()
    assert ledger.views["R7"].thread == ""
    outbox.slack_has = True
    await teller.turn()
    assert (ledger.views["R7"].channel, ledger.views["R7"].thread) == ("C01DEV", "ts-R7")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 36), st.integers(0, 6)), max_size=6))
async def test_killed_anywhere_and_started_from_any_cursor_it_ends_with_the_same_messages(
    kills: list[tuple[int, int]],
) -> None:
    ledger, outbox = story(), Outbox()
    await narrator(ledger, outbox).turn()
    first, posted = dict(outbox.messages), list(outbox.edits)
    for cursor, writes in kills:
        ledger.at, outbox.fail_after = cursor, writes
        try:
            await narrator(ledger, outbox).turn()
        except Unavailable:
            assert ledger.at == cursor, "the cursor moves only after everything is stored"
    ledger.at, outbox.fail_after = 0, 10**9
    await narrator(ledger, outbox).turn()
    assert outbox.messages == first
    assert outbox.edits == posted, "nothing is edited, let alone posted, again"


@dataclass
class Slow(Outbox):
    """Of two replicas the one that is held up before it writes: ``meanwhile`` is awaited first, once."""

    meanwhile: Any = None

    async def put(self, key: str, **message: Any) -> None:
        waiting, self.meanwhile = self.meanwhile, None
        if waiting is not None:
            await waiting()
        await super().put(key, **message)


@pytest.mark.parametrize("ends", [False, True])
async def test_what_one_replica_tells_late_does_not_stay_over_what_another_told_since(*, ends: bool) -> None:
    ledger = Ledger()
    slow = Slow()
    other = narrator(ledger, slow)

    async def more_happens_and_is_told() -> None:
        ledger.happens(finished() if ends else running("later"), "push")
        await other.turn()

    ledger.happens(running("early"), "push")
    slow.meanwhile = more_happens_and_is_told
    held_up = narrator(ledger, slow)
    while await held_up.turn() or await other.turn():
        pass
    alone = Outbox()
    ledger.at = 0
    await narrator(ledger, alone).turn()
    assert {key: slow.messages[key] for key in alone.messages} == alone.messages


async def test_it_goes_on_when_the_outbox_fails_for_a_while() -> None:
    ledger, outbox, stop = story(), Outbox(fail_after=1), asyncio.Event()
    task = asyncio.create_task(narrator(ledger, outbox).run(stop))
    for _ in range(20):
        await asyncio.sleep(0)
    assert ledger.at == 0
    outbox.fail_after = 10**9
    for _ in range(200):
        await asyncio.sleep(0)
    stop.set()
    await task
    assert ledger.at == len(ledger.log)
    assert "R7:end" in outbox.messages


@pytest.mark.parametrize("state", list(StepState))
def test_every_state_of_a_step_can_be_told(state: StepState) -> None:
    from bot.views.step import step_message

    step: StepView = replace(
        running("half way").steps[1], state=state, problem=Problem("No."), reason="why", summary="so"
    )
    assert message_faults(*step_message(running(), step)) == []


@pytest.mark.parametrize("assignee", ["<@U06ADA>", "whoever started it", "<!channel>"])
async def test_a_question_about_work_by_hand_mentions_who_is_to_do_it(assignee: str) -> None:
    planned = replace(worlds.plan().steps[2], params={"assignee": assignee})
    release = worlds.release(plan=worlds.plan(steps=(planned,)), thread="17.5")
    opened = worlds.opened(detail=f"Run it.\nFor: {assignee} and <@U01ADMIN>", draft=None)
    ledger, slack = Ledger(), Outbox()
    ledger.happens(release, "notes")
    ledger.asked["R7"] = [AskedQuestion(opened)]
    await Narrator(ledger, slack, Bell(), "C01DEV").turn()
    shown = json.dumps(slack.messages["R7:Q3"]["blocks"])
    assert ("<@U06ADA>" in shown) is (assignee == "<@U06ADA>")
    assert "<@U01ADMIN>" not in shown
    assert "<!channel>" not in shown


async def test_whose_step_begins_is_mentioned_once_and_the_note_stands_in_the_steps_message() -> None:
    ledger, outbox = Ledger(), Outbox()
    params = {"assignee": "<@U05ADA>", "assignee_name": "Ada", "note": "slowly"}
    plan = worlds.plan()
    plan = replace(plan, steps=tuple(replace(s, params=params) if s.key == "push" else s for s in plan.steps))
    first, second, third = worlds.steps(StepState.DONE, StepState.RUNNING, StepState.PENDING)
    second = replace(second, note="slowly", assignee="Ada")
    release = worlds.release(plan=plan, steps=(first, second, third))
    for attempt in (1, 2):
        ledger.happens(replace(release, steps=(first, replace(second, attempt=attempt), third)), "push", "step.running")
        await narrator(ledger, outbox).turn()
    said = [message["text"] + message["blocks"] for message in outbox.messages.values()]
    assert [one for one in outbox.edits if one == "R7:yours:push"] == ["R7:yours:push"], "posted once, never edited"
    assert outbox.messages["R7:yours:push"]["text"].startswith("<@U05ADA> “Push the branches”")
    assert sum("<@U05ADA>" in one for one in said) == 1, "nowhere else"
    assert "Note: slowly" in outbox.messages["R7:step:push"]["blocks"]


async def test_a_change_of_the_plan_is_told_in_the_thread_unless_it_was_made_before_the_start() -> None:
    ledger, outbox = Ledger(), Outbox()
    release = worlds.release()
    ledger.views["R7"] = release
    for number, data in enumerate(
        ({"said": "moved “A” before “B”", "version": 2}, {"said": "x", "before_start": "y"}), 1
    ):
        ledger.log.append(EventView(number, "R7", "push", "plan.edited", worlds.NOW, "U01REL", data))
    await narrator(ledger, outbox).turn()
    told = {key: message for key, message in outbox.messages.items() if ":alarm:" in key}
    assert list(told) == ["R7:alarm:1"]
    assert told["R7:alarm:1"]["under"] == "R7"
    assert "<@U01REL> changed the plan of 1.9.10 to prod: moved “A” before “B”" in told["R7:alarm:1"]["text"]


async def test_the_plans_issue_is_told_once_and_a_tick_that_no_check_judges_asks_whose_step_it_is() -> None:
    ledger, outbox = Ledger(), Outbox()
    ledger.views["R7"] = worlds.release()
    for number, (kind, data) in enumerate(
        (
            ("plan.exported", {"issue": 12, "url": "https://github.test/issues/12"}),
            ("plan.ticked", {"issue": 12}),
            ("plan.ticked", {"issue": 12}),
            ("plan.export_lost", {"issue": 12}),
        ),
        1,
    ):
        ledger.log.append(EventView(number, "R7", "push", kind, worlds.NOW, "", data))
    await narrator(ledger, outbox).turn()
    assert "<https://github.test/issues/12|issue #12>" in outbox.messages["R7:issue"]["text"]
    assert outbox.messages["R7:ticked:push:1"]["text"].startswith(
        "<@U01REL> Somebody ticked “Push the branches” in issue #12"
    )
    assert [one for one in outbox.edits if one.startswith("R7:ticked")] == ["R7:ticked:push:1"]
    assert "is gone from GitHub" in outbox.messages["R7:issue-lost"]["text"]
