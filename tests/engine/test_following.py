"""Jobs that go on on servers, on both databases: one message each, told to the end, whatever becomes of release and bot."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bot.domain.errors import Conflict, NotAllowed, Unavailable, WrongUse
from bot.domain.jobs import Going
from bot.domain.readmodel import Person
from bot.domain.release import DecisionKind, ReleaseState
from bot.engine import followed
from bot.engine.job_office import JobOffice
from bot.engine.step import Evidence
from bot.engine.tables import ReleaseRow
from tests.engine.clock import FakeClock
from tests.engine.jobhost import JOB, NAME, JobHost, following
from tests.engine.scripted import APPROVER, RELEASER, STRANGER, Files, FileStep, opened, plan, running, steps
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.engine.following import Following
    from bot.engine.step import StepContext
    from tests.engine.scripted import Bot

KEY = f"R1:job:{NAME}"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def bot(url: str, files: Files, clock: FakeClock) -> AsyncIterator[Bot]:
    async with opened(url, steps(files), clock=clock) as one:
        yield one


@pytest.fixture
def host() -> JobHost:
    return JobHost()


@pytest.fixture
def slack() -> Outbox:
    return Outbox()


@pytest.fixture
def watcher(bot: Bot, clock: FakeClock, host: JobHost, slack: Outbox) -> Following:
    return following(bot.store, clock, bot.desk.bell, host, slack)


async def after(watcher: Following, clock: FakeClock, seconds: float = 60) -> int:
    await clock.advance(seconds)
    return await watcher.turn()


async def released(bot: Bot) -> None:
    """A release that is over: what it started goes on."""
    await bot.start(plan(("first", "file")))
    await bot.desk.control(release="R1", kind=DecisionKind.ABORT, by=RELEASER, reason="it is over")


async def kinds(bot: Bot) -> list[str]:
    return [one.kind for one in await bot.desk.events(after=0, limit=500) if one.kind.startswith("job.")]


class HandingStep(FileStep):
    """Starts a job, and is done once that runs."""

    id: ClassVar[str] = "handing"

    async def verify(self, ctx: StepContext) -> Evidence:
        facts = {"host": JOB.host, "name": JOB.name, "kind": JOB.kind, "title": JOB.title}
        return Evidence("It runs.", {"follows": facts, "settles": [ctx.step.key]})


async def test_a_job_outlives_its_release_as_a_loose_end_until_it_has_ended(
    url: str, files: Files, host: JobHost, slack: Outbox, clock: FakeClock
) -> None:
    known = {**steps(files), "handing": HandingStep(files)}
    async with opened(url, known) as bot:
        async with running(bot):
            release = await bot.finished(await bot.start(plan(("es_update", "handing"), ("last", "file"))))
        assert release.state is ReleaseState.SUCCEEDED
        assert release.loose_ends == (f"Elasticsearch update: goes on by itself as {NAME} (/release jobs)",)
        watcher = following(bot.store, bot.desk._clock, bot.desk.bell, host, slack)
        assert await watcher.turn() == 1
        assert slack.messages == {}, "it is not on the server yet"
        host.begin()
        host.at(clock, 100)
        host.end(clock, 0)
        watcher.pause *= 0
        await _due(watcher)
        assert (await bot.desk.release("R1")).loose_ends == ()
        assert "finished, 100 of 100 done" in slack.messages[f"{KEY}:end"]["text"]
        assert slack.messages[f"{KEY}:end"]["broadcast"] is True
        assert slack.messages[KEY]["under"] == "R1"
        assert await watcher.turn() == 0, "it is over, and told"


async def _due(watcher: Following) -> None:
    await watcher.free_all()
    await watcher.turn()


async def test_its_message_follows_and_milestones_are_told_once(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    await bot.start(plan(("first", "file")))
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    for done in (10, 30, 30, 55, 99):
        host.at(clock, done)
        await after(watcher, clock, 600)
    assert [one for one in slack.edits if one != KEY] == [f"{KEY}:25", f"{KEY}:50", f"{KEY}:75"]
    assert slack.edits.count(KEY) == 4, "what did not change is not edited"
    shown = slack.messages[KEY]["blocks"]
    assert "99 %, 99 of 100 done" in shown
    assert "an hour over the last hour. About" in shown
    assert "tmux -L releasebot attach" in shown
    await watcher.follow(JOB, environment="prod", release="R1")
    assert len((await bot.desk.release("R1")).loose_ends) == 1, "it is followed once"


async def test_edits_come_seconds_apart_and_what_matters_first(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    await bot.start(plan(("first", "file")))
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin(total=10_000)
    for second in range(120):
        host.at(clock, second)
        await after(watcher, clock, 1)
    assert slack.edits.count(KEY) <= 120 / 16 + 1
    host.ledgers[NAME] = replace(host.ledgers[NAME], slowed="the site answers in 3 s")
    before = slack.edits.count(KEY)
    await after(watcher, clock, 6)
    assert slack.edits.count(KEY) == before + 1
    assert "slowed: the site answers in 3 s" in slack.messages[KEY]["blocks"]


ENDINGS: dict[str, tuple[Any, Going, str, str]] = {
    "whole": ((100, 0, 0), Going.WHOLE, "finished, 100 of 100 done", ""),
    "failures": ((98, 2, 0), Going.FAILURES, "ended, 98 of 100 done, and 2 failed", "2 failed"),
    "nothing proved": ((40, 0, 0), Going.FAILED, "ended with exit status 0 before its work was done", "exit status 0"),
    "failed": ((40, 0, 3), Going.FAILED, "ended with exit status 3 before its work was done", "exit status 3"),
    "on the server": ((40, 0, 143), Going.STOPPED, "was stopped on the server, with 40 of 100 done", ""),
    "lost": ((40, 0, None), Going.LOST, "is lost, with 40 of 100 done: its tmux was killed", "is lost"),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_however_it_ends_that_is_told_and_what_is_left_stays_with_the_release(
    bot: Bot, watcher: Following, host: JobHost, slack: Outbox, how: str
) -> None:
    clock: Any = bot.desk._clock
    (done, failed, status), going, said, left = ENDINGS[how]
    await released(bot)
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    await watcher.turn()
    host.at(clock, done, failed=failed)
    host.end(clock, status)
    await after(watcher, clock)
    assert said in slack.messages[f"{KEY}:end"]["text"]
    ends = (await bot.desk.release("R1")).loose_ends
    assert (left in "".join(ends)) if left else ends == ()
    assert '"job:stop"' not in slack.messages[KEY]["blocks"]
    (view,) = await JobOffice(watcher).listed("prod")
    assert view.one.state is going
    assert ("KeyError" in slack.messages[f"{KEY}:end"]["blocks"]) == (failed > 0)
    assert await kinds(bot) == ["job.ended"]


async def test_one_that_never_began_is_lost_once_nobody_can_start_it_any_more(
    bot: Bot, watcher: Following, clock: FakeClock, slack: Outbox
) -> None:
    await bot.start(plan(("first", "file")))
    await watcher.follow(JOB, environment="prod", release="R1")
    await after(watcher, clock, 7200)
    assert slack.messages == {}
    await bot.desk.control(release="R1", kind=DecisionKind.ABORT, by=RELEASER, reason="over")
    await after(watcher, clock)
    assert "never began on the server" in slack.messages[f"{KEY}:end"]["text"]


async def test_of_several_bots_one_looks_and_a_dead_ones_turn_is_taken_over(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    other = following(bot.store, clock, bot.desk.bell, host, slack)
    await watcher.follow(JOB, environment="prod")
    host.begin()
    await asyncio.gather(watcher.turn(), other.turn())
    assert host.looks == 1
    await clock.advance(60)
    assert await watcher._claimed(1) is not None, "and then its bot is killed"
    assert await other.turn() == 0
    assert await after(other, clock, 181) == 1
    assert list(slack.messages) == [f"job:{NAME}"], "one that no release started has a message of its own"


async def test_a_database_or_slack_that_fails_in_the_middle_tells_nothing_twice_and_loses_nothing(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    await released(bot)
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    await watcher.turn()
    host.at(clock, 100)
    host.end(clock, 0)
    slack.fail_after = 1
    await clock.advance(60)
    with pytest.raises(Unavailable):
        await watcher.turn()
    assert f"{KEY}:end" not in slack.messages
    slack.fail_after = 10**9
    assert await after(watcher, clock, 200) == 1
    assert f"{KEY}:end" in slack.messages
    assert await kinds(bot) == ["job.ended"]
    assert slack.edits.count(f"{KEY}:end") == 1


async def test_a_server_that_is_away_is_said_and_the_job_is_not_given_up(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    await bot.start(plan(("first", "file")))
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    await watcher.turn()
    host.away = True
    await after(watcher, clock)
    assert "Not seen at the last look: web does not answer." in slack.messages[KEY]["blocks"]
    host.away = False
    host.at(clock, 5)
    await after(watcher, clock)
    assert "Not seen" not in slack.messages[KEY]["blocks"]


async def test_a_rollback_owes_what_its_release_left_running(
    bot: Bot, watcher: Following, clock: FakeClock, host: JobHost
) -> None:
    await released(bot)
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    await watcher.turn()
    await bot.start(plan(("first", "file")))
    async with bot.store.writing() as session:  # as `bot.engine.beginning.take_over` does
        old, new = await session.get_one(ReleaseRow, 1), await session.get_one(ReleaseRow, 2)
        new.debts, old.debts = list(old.debts), []
        await followed.hand_on(session, 1, 2)
    assert len((await bot.desk.release("R2")).loose_ends) == 1
    host.at(clock, 100)
    host.end(clock, 0)
    await after(watcher, clock)
    assert (await bot.desk.release("R2")).loose_ends == ()


# what people ask of a job


@pytest.fixture
async def office(bot: Bot, watcher: Following, host: JobHost) -> JobOffice:
    await bot.start(plan(("first", "file")))
    await watcher.follow(JOB, environment="prod", release="R1")
    host.begin()
    await watcher.turn()
    return JobOffice(watcher)


async def test_it_is_stopped_by_who_may_once_its_name_is_typed(
    bot: Bot, office: JobOffice, host: JobHost, slack: Outbox
) -> None:
    other = Person("U07OTH", "Other", frozenset({"releaser"}))
    for person, typed, error in ((STRANGER, NAME, NotAllowed), (other, NAME, NotAllowed), (APPROVER, "all", WrongUse)):
        with pytest.raises(error):
            await office.stop("prod", NAME, by=person, typed=typed, reason="x")
    with pytest.raises(WrongUse, match="There is no job 'r9'"):
        await office.stop("prod", "r9", by=APPROVER, typed="r9", reason="x")
    assert host.stopped == []
    view = await office.stop("prod", NAME, by=RELEASER, typed=NAME, reason="the wrong commit")
    assert host.stopped == [NAME]
    assert view.one.state is Going.STOPPED
    end = slack.messages[f"{KEY}:end"]
    assert f"was stopped by <@{RELEASER.slack}>" in end["text"]
    assert "the wrong commit" in end["blocks"]
    assert (await bot.desk.release("R1")).loose_ends == ()
    assert await kinds(bot) == ["job.stop_asked", "job.ended"]
    with pytest.raises(Conflict, match="was stopped"):
        await office.stop("prod", NAME, by=RELEASER, typed=NAME, reason="again")


async def test_a_stop_that_the_server_did_not_hear_is_carried_out_when_it_is_back(
    office: JobOffice, watcher: Following, clock: FakeClock, host: JobHost, slack: Outbox
) -> None:
    host.away = True
    view = await office.stop("prod", NAME, by=APPROVER, typed=NAME, reason="now")
    assert (view.one.state, host.stopped) == (Going.RUNNING, [])
    await clock.advance(60)
    host.away = False
    await watcher.turn()
    assert host.stopped == [NAME]
    assert f"was stopped by <@{APPROVER.slack}>" in slack.messages[f"{KEY}:end"]["text"]


async def test_workers_are_changed_and_zero_pauses(
    office: JobOffice, host: JobHost, slack: Outbox, clock: FakeClock
) -> None:
    for wrong in (-1, 9):
        with pytest.raises(WrongUse, match="not possible here"):
            await office.workers("prod", NAME, wrong, by=RELEASER)
    await clock.advance(60)
    view = await office.workers("prod", NAME, 0, by=RELEASER)
    assert host.ledgers[NAME].wanted_workers == 0
    assert view.one.ask_workers is None, "it is done"
    assert "*Paused*: no worker." in slack.messages[KEY]["blocks"]


async def test_the_end_of_a_long_log_is_found_in_few_looks_and_has_no_secrets(office: JobOffice, host: JobHost) -> None:
    host.log = b"".join(b"%07d INFO indexed dataset\n" % n for n in range(200_000)) + b"password=hunter2secret\nlast\n"
    found = await office.log("prod", NAME, lines=3)
    assert found.lines == ("0199999 INFO indexed dataset", "password=[hidden]", "last")
    assert found.cut
    assert 990_000 < len(found.whole) <= 1_000_100
    assert found.whole.partition("\n")[0].endswith("INFO indexed dataset")
    assert host.reads < 60
    host.log = b"one\ntwo\n"
    found = await office.log("prod", NAME)
    assert (found.lines, found.whole, found.cut) == (("one", "two"), "one\ntwo\n", False)
    host.log = b""
    assert (await office.log("prod", NAME)).lines == ()
    with pytest.raises(WrongUse, match="not shown at once"):
        await office.log("prod", NAME, lines=1000)


async def test_a_picture_shows_what_is_done_and_says_so_in_words(
    office: JobOffice, host: JobHost, clock: FakeClock
) -> None:
    with pytest.raises(Conflict, match="too little to draw"):
        await office.picture("prod", NAME)
    await clock.advance(1800)
    host.at(clock, 40)
    drawn = await office.picture("prod", NAME)
    assert drawn.png.startswith(b"\x89PNG")
    assert "40 of 100 (40 %)" in drawn.alt


async def test_earlier_jobs_of_a_kind_tell_how_long_a_new_one_takes(
    bot: Bot, office: JobOffice, watcher: Following, clock: FakeClock, host: JobHost
) -> None:
    await clock.advance(1000)
    host.at(clock, 100)
    host.end(clock, 0)
    await watcher.turn()
    new = replace(JOB, name="r2-es_update-1")
    await watcher.follow(new, environment="prod", by=RELEASER.slack)
    host.begin(new.name, total=50)
    host.ledgers[new.name] = replace(host.ledgers[new.name], history=((clock.now(), 0),))
    await watcher.turn()
    running_one, ended = await office.listed("prod")
    assert (running_one.one.job.name, ended.one.job.name) == (new.name, NAME)
    assert running_one.estimate is not None
    assert not running_one.estimate.measured
    assert running_one.estimate.left == pytest.approx(500)
