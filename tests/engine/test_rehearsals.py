"""Rehearsals from beginning to end on both databases, with a stage in place of a world."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.approval import PARAM, ApprovalPolicy, as_param
from bot.domain.errors import Conflict, Refused, Unavailable, WrongUse
from bot.domain.readmodel import Person
from bot.domain.rehearsal import RehearsalState
from bot.domain.release import Choice, DecisionKind, Question
from bot.domain.world import Posted
from bot.engine import audit
from bot.engine.codec import question_out
from bot.engine.desk import Desk
from bot.engine.rehearsing import BEAT
from bot.engine.store import Store
from bot.engine.tables import QuestionRow
from tests.engine.clock import FakeClock
from tests.engine.rehearsing import PASSED, Stage, line, rehearsals_on, step
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.plan import Plan
    from bot.engine.rehearsing import Rehearsals

PLAN = worlds.plan()
APPROVER = Person("U02APP", "Approver", frozenset({"approver"}))
ADMIN = Person("U05ADM", "Admin", frozenset({"admin"}))


class Slack:
    """Keeps what each message is to look like."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self.trouble: Unavailable | None = None
        self._said: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def said(self, key: str) -> asyncio.Event:
        return self._said[key]

    async def put(self, key: str, *, text: str, blocks: Any = None, **_: object) -> None:
        shown = [one if isinstance(one, dict) else one.to_dict() for one in blocks or ()]
        self.messages[key] = f"{text} {json.dumps(shown, ensure_ascii=False)}"
        self._said[key].set()

    async def delivered(self, key: str, *, within: float) -> Posted:
        if self.trouble:
            raise self.trouble
        return Posted("C01DEV", "1.1", f"https://slack.example/{key}")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with Store(url) as opened:
        yield opened


@pytest.fixture
def slack() -> Slack:
    return Slack()


@asynccontextmanager
async def working(rehearsals: Rehearsals) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(rehearsals.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def begun(rehearsals: Rehearsals, plan: Plan = PLAN) -> str:
    return (
        await rehearsals.begin(plan=plan, checklist="text", by="U01REL", again="/release rehearse prod", source="S")
    ).id


async def over(rehearsals: Rehearsals, slack: Slack, name: str) -> RehearsalState:
    """Wait until its thread says how it ended."""
    async with asyncio.timeout(10):
        await slack.said(f"rehearsal-{name}:end").wait()
    return (await rehearsals.book.rehearsal(name)).state


async def kinds(desk: Desk) -> list[str]:
    return [one.kind for one in await desk.events(after=0, limit=99)]


async def test_what_the_world_says_becomes_rows_events_and_an_edited_message(store: Store, slack: Slack) -> None:
    stage = Stage([
        line("world", root="/tmp/metaspace-sandbox-x"),
        line("up"),
        line("steps", steps=[step("ci", "done", "six jobs", 1.5), step("push", "running"), step("nobody", "done")]),
        line("nonsense"),
        line("steps", steps="nothing"),
        line("steps", steps=[step("ci", "done", "six jobs", 1.5), step("push", "failed", "refused by <!channel>", 2)]),
        line("end", state="failed", note="refused", hint="look"),
    ])  # fmt: skip
    rehearsals = rehearsals_on(store, slack, FakeClock(), stage=stage)
    async with working(rehearsals):
        name = await begun(rehearsals)
        assert await over(rehearsals, slack, name) is RehearsalState.FAILED
    one = await rehearsals.book.rehearsal(name)
    assert one.failing is not None
    assert (one.failing.key, one.failing.said, one.permalink) == (
        "push",
        "refused by <!channel>",
        "https://slack.example/rehearsal-H1",
    )
    assert "<!channel>" not in slack.messages["rehearsal-H1"]
    assert "✗ Push the branches" in slack.messages["rehearsal-H1"]
    assert "First failing step" in slack.messages["rehearsal-H1:end"]
    desk = Desk(store, clock=FakeClock())
    assert await kinds(desk) == ["rehearsal.started", "rehearsal.ended"]
    ended = (await desk.events(after=0, limit=9))[-1].data
    assert (ended["fingerprint"], ended["state"], ended["head"]) == (PLAN.fingerprint, "failed", PLAN.head)
    assert await rehearsals.look_after() == 0, "nothing is left to tell"


@pytest.mark.parametrize(
    ("stage", "state", "words"),
    [
        (Stage(trouble=Unavailable("The embedded world ended by itself.")), RehearsalState.BROKEN, "ended by itself"),
        (Stage(lines=()), RehearsalState.BROKEN, "without a word"),
        (Stage(lines=(line("end", state="wonderful"),)), RehearsalState.BROKEN, "without a word"),
        (Stage(), RehearsalState.PASSED, "3 steps"),
    ],
)
async def test_each_end_is_told(store: Store, slack: Slack, stage: Stage, state: RehearsalState, words: str) -> None:
    slack.trouble = Unavailable("Slack does not answer.")  # it is then named, and not linked
    rehearsals = rehearsals_on(store, slack, FakeClock(), stage=stage)
    async with working(rehearsals):
        name = await begun(rehearsals)
        assert await over(rehearsals, slack, name) is state
    assert words in slack.messages["rehearsal-H1:end"]


async def test_one_at_a_time_in_an_environment_whoever_asks(store: Store, slack: Slack) -> None:
    one = rehearsals_on(store, slack, FakeClock())
    other = rehearsals_on(store, slack, FakeClock(), owner="two")
    results = await asyncio.gather(begun(one), begun(other), return_exceptions=True)
    (refused,) = [each for each in results if isinstance(each, Conflict)]
    assert "H1 is rehearsing 1.9.10 for prod; nothing was begun" in refused.message
    assert await begun(other, worlds.plan(environment="staging")) == "H2"


async def test_what_a_machine_lacks_is_said_before_anything_is_noted(store: Store, slack: Slack) -> None:
    rehearsals = rehearsals_on(store, slack, FakeClock(), stage=Stage(missing=Unavailable("no sshd")))
    with pytest.raises(Unavailable, match="no sshd"):
        await begun(rehearsals)
    assert slack.messages == {}
    with pytest.raises(WrongUse, match="There is no rehearsal"):
        await rehearsals.book.rehearsal("H1")


async def test_a_stop_ends_the_world_and_names_who_wanted_it(store: Store, slack: Slack) -> None:
    stage, clock = Stage([], held=True), FakeClock()
    rehearsals = rehearsals_on(store, slack, clock, stage=stage)
    async with working(rehearsals):
        name = await begun(rehearsals)
        first, second = await rehearsals.stop(name, by="U02APP"), await rehearsals.stop(name, by="U05ADM")
        assert (first.effective, second.effective) == (True, False)
        await clock.until_asleep()
        await clock.advance(BEAT)
        assert await over(rehearsals, slack, name) is RehearsalState.STOPPED
        late = await rehearsals.stop(name, by="U05ADM")
    assert late.sentence == "H1 has ended already: stopped."
    assert "Stopped by <@U02APP>" in slack.messages["rehearsal-H1:end"]
    assert stage.ended == 1


async def test_a_bot_that_is_stopped_ends_its_rehearsal_and_says_so(store: Store, slack: Slack) -> None:
    stage = Stage([line("up")], held=True)
    rehearsals = rehearsals_on(store, slack, FakeClock(), stage=stage)
    async with working(rehearsals):
        await begun(rehearsals)
        async with asyncio.timeout(10):
            await stage.begun.wait()
    assert stage.ended == 1
    assert "The bot was stopped" in slack.messages["rehearsal-H1:end"]
    assert "/release rehearse prod" in slack.messages["rehearsal-H1:end"]


async def test_a_bot_that_died_is_told_of_by_the_next_one_which_ends_what_is_left(store: Store, slack: Slack) -> None:
    clock = FakeClock()
    dead = rehearsals_on(store, slack, clock, owner="dead")
    name = await begun(dead)
    await dead.book.note(name, world="/tmp/metaspace-sandbox-x")
    stage = Stage()
    replica = rehearsals_on(store, slack, clock, owner="replica", stage=stage, alone=False)
    assert await replica.look_after() == 0, "it may only be slow"
    await clock.advance(61)
    assert await replica.look_after() == 2
    assert stage.swept == ["/tmp/metaspace-sandbox-x"]
    assert "interrupted" in slack.messages[f"rehearsal-{name}:end"]
    assert await dead.book.beat(name) == (False, "")
    assert await dead.book.end(name, RehearsalState.PASSED) is None, "the late word of the dead does not count"


async def test_alone_on_a_database_what_is_not_ours_is_gone_at_once(store: Store, slack: Slack) -> None:
    await begun(rehearsals_on(store, slack, FakeClock(), owner="before"))
    assert await rehearsals_on(store, slack, FakeClock(), owner="after").look_after() == 2


async def passed(store: Store, slack: Slack, plan: Plan) -> None:
    rehearsals = rehearsals_on(store, slack, FakeClock(), stage=Stage((PASSED,)))
    async with working(rehearsals):
        assert await over(rehearsals, slack, await begun(rehearsals, plan)) is RehearsalState.PASSED


def strict(store: Store, slack: Slack) -> Desk:
    book = rehearsals_on(store, slack, FakeClock(), settings={"prod": "required"}).book
    return Desk(store, clock=FakeClock(), demand_rehearsed=book.demand)


async def test_a_start_is_refused_until_exactly_this_plan_has_passed(store: Store, slack: Slack) -> None:
    desk = strict(store, slack)
    with pytest.raises(Refused, match="Not rehearsed"):
        await desk.start(plan=PLAN, checklist="", by="U01REL")
    await passed(store, slack, worlds.plan(head="c" * 40))
    with pytest.raises(Refused, match="the commit changed from cccccccc to bbbbbbbb"):
        await desk.start(plan=PLAN, checklist="", by="U01REL")
    assert await desk.active() == ()
    await passed(store, slack, PLAN)
    assert (await desk.start(plan=PLAN, checklist="", by="U01REL")).id == "R1"


async def ask(store: Store, plan: Plan) -> None:
    """Ask for an approval as the gate does."""
    glass = Choice(DecisionKind.APPROVE, "Break glass", form="break_glass", value="break_glass")
    choices = (Choice(DecisionKind.APPROVE, "Approve"), glass)
    draft = {"version": plan.version}
    question = Question("May it be done?", "", choices, draft=draft, approval=ApprovalPolicy(break_glass=True))
    async with store.writing() as session:
        session.add(
            QuestionRow(
                id="Q1", release=1, step="push", attempt=1, question=question_out(question), purpose="approval",
                fingerprint=plan.fingerprint, asked_at=worlds.NOW,
            )
        )  # fmt: skip
        await audit.append(session, release=1, kind="step.asked", step="push", at=worlds.NOW)


async def waiting(store: Store, slack: Slack) -> tuple[Desk, Plan]:
    """A release from before a rehearsal was required, which waits for an approval; and the desk since."""
    first, push, last = PLAN.steps
    plan = worlds.plan(steps=(first, replace(push, params={PARAM: as_param(ApprovalPolicy())}), last))
    await Desk(store, clock=FakeClock()).start(plan=plan, checklist="", by="U01REL")
    await ask(store, plan)
    return strict(store, slack), plan


async def test_an_approval_is_refused_at_the_press_until_the_plan_has_passed(store: Store, slack: Slack) -> None:
    desk, plan = await waiting(store, slack)
    (shown,) = [one.opened.rehearsed for one in await desk.questions("R1") if one.opened.id == "Q1"]
    assert shown is not None
    assert not shown.passed
    with pytest.raises(Refused, match="asks for a rehearsal that passed"):
        await desk.answer(question="Q1", kind=DecisionKind.APPROVE, by=APPROVER)
    await passed(store, slack, plan)
    events = await desk.events(after=0, limit=99, release="R1")
    assert events[-1].kind == "rehearsal.ended", "so the narrator draws the question anew"
    (shown,) = [one.opened.rehearsed for one in await desk.questions("R1") if one.opened.id == "Q1"]
    assert shown is not None
    assert shown.passed
    assert (await desk.answer(question="Q1", kind=DecisionKind.APPROVE, by=APPROVER)).effective


async def test_an_admin_who_breaks_the_glass_needs_no_rehearsal(store: Store, slack: Slack) -> None:
    desk, plan = await waiting(store, slack)
    broken = await desk.answer(
        question="Q1", kind=DecisionKind.APPROVE, by=ADMIN, value="break_glass", reason="it burns", form={"typed": plan.version}
    )  # fmt: skip
    assert broken.effective
