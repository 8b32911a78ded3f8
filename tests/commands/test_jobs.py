"""`/release jobs`, typed and pressed, over a real database and a server in memory."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import NotAllowed, ReleaseError, WrongUse
from bot.domain.jobs import Followed, Going, JobView, Wanted
from bot.domain.progress import Estimate
from bot.domain.reindexing import Failure, Ledger
from bot.engine.desk import Desk
from bot.engine.job_office import JobOffice
from bot.engine.store import Store
from bot.views import ids
from bot.views import jobs as views
from bot.views.limits import message_faults, modal_faults
from tests.commands.fakes import RELEASER, STRANGER, VIEWER, Office, World
from tests.engine.clock import BEGIN, FakeClock
from tests.engine.jobhost import JOB, NAME, JobHost, following
from tests.engine.test_narrator import Outbox
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VALUE = json.dumps({"environment": "prod", "job": NAME})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host() -> JobHost:
    return JobHost()


@pytest.fixture
def office(store: Store, clock: FakeClock, host: JobHost) -> JobOffice:
    desk = Desk(store, clock=clock)
    return JobOffice(following(store, clock, desk.bell, host, Outbox()))


@pytest.fixture
def world(store: Store, clock: FakeClock, office: JobOffice) -> World:
    desk: Any = Desk(store, clock=clock)
    return World(office=Office(desk=desk, jobs=office))


@pytest.fixture
async def running(world: World, office: JobOffice, host: JobHost, clock: FakeClock) -> JobHost:
    await world.desk.start(plan=worlds.plan(), checklist="", by=RELEASER.slack)  # type: ignore[attr-defined]  # the real desk
    await office.follow(JOB, environment="prod", release="R1")
    host.begin()
    host.log = b"2016-01 INFO Indexed\npassword=hunter2secret\n"
    await clock.advance(1800)
    host.at(clock, 40)
    await office.following.turn()
    return host


def newest(world: World) -> str:
    return json.dumps(world.voice.blocks[-1], ensure_ascii=False)


async def test_the_list_teaches_while_there_is_nothing(world: World) -> None:
    await world.type("jobs")
    assert "No job has run for prod yet." in newest(world)
    assert "/release es" in newest(world)


async def test_what_runs_is_listed_with_speed_time_left_and_the_line_to_attach(world: World, running: JobHost) -> None:
    world.person = VIEWER
    await world.type("jobs prod")
    shown = newest(world)
    for said in (
        "1 running, 0 ended",
        "40 %, 40 of 100 done.",
        "80 an hour over the last hour. About 45 min left.",
        "attach -r -t",
    ):
        assert said in shown


async def test_a_log_is_shown_in_part_and_sent_whole_without_secrets(world: World, running: JobHost) -> None:
    await world.type(f"jobs log {NAME} --lines 1")
    assert "password=[hidden]" in newest(world) or "hidden" in newest(world)
    assert world.voice.files[f"{NAME}.log"] == "2016-01 INFO Indexed\npassword=[hidden]\n"
    running.log = b""
    await world.press(ids.JOB_LOG, VALUE)
    assert "is empty so far" in newest(world)


async def test_a_picture_is_a_file_with_words_for_who_does_not_see_it(world: World, running: JobHost) -> None:
    await world.press(ids.JOB_PICTURE, VALUE)
    assert "40 of 100 (40 %)" in newest(world)
    assert b64decode(world.voice.files[f"{NAME}.png"]).startswith(b"\x89PNG")


async def test_a_job_is_stopped_by_a_form_that_wants_its_name_and_a_reason(world: World, running: JobHost) -> None:
    await world.type(f"jobs stop {NAME}")
    assert set(await world.submit(typed="other", reason="")) == {ids.TYPED, ids.REASON}
    assert running.stopped == []
    world.person = VIEWER
    with pytest.raises(NotAllowed, match="Only an approver"):
        await world.submit(typed=NAME, reason="the wrong commit")
    world.person = RELEASER
    assert not await world.submit(typed=NAME, reason="the wrong commit")
    assert running.stopped == [NAME]
    assert f"was stopped by <@{RELEASER.slack}>" in newest(world)
    await world.type("jobs")
    assert "0 running, 1 ended" in newest(world)


async def test_workers_are_a_releasers_to_change_typed_or_in_a_form(world: World, running: JobHost) -> None:
    await world.type(f"jobs workers {NAME} 4")
    assert running.ledgers[NAME].wanted_workers == 4
    await world.press(ids.JOB_WORKERS, VALUE)
    assert set(await world.submit(workers="many")) == {ids.WORKERS}
    assert not await world.submit(workers="0")
    assert running.ledgers[NAME].wanted_workers == 0
    assert "pauses" in newest(world)
    world.person = VIEWER
    for press in (world.type(f"jobs workers {NAME} 1"), world.press(ids.JOB_WORKERS, VALUE)):
        with pytest.raises(NotAllowed, match="releaser or approver"):
            await press


WRONG = (
    "jobs log",
    "jobs log a b",
    "jobs stop",
    "jobs picture",
    f"jobs workers {NAME}",
    f"jobs workers {NAME} x",
    "jobs dance",
)


@pytest.mark.parametrize("typed", [*WRONG, "jobs log r9", f"jobs log {NAME} --lines 0", f"jobs log {NAME} --lines ten"])
async def test_wrong_words_are_told_what_to_type(world: World, running: JobHost, typed: str) -> None:
    with pytest.raises(WrongUse) as caught:
        await world.type(typed)
    assert caught.value.hint


async def test_strangers_see_nothing_and_old_buttons_are_answered(world: World, running: JobHost) -> None:
    with pytest.raises(WrongUse):
        await world.press("job:dance", VALUE)
    with pytest.raises(ReleaseError):
        await world.press(ids.JOB_LOG, json.dumps({"environment": "moon", "job": NAME}))
    world.person = STRANGER
    with pytest.raises(NotAllowed):
        await world.type("jobs")


# views


@pytest.mark.parametrize("state", list(Going))
@pytest.mark.parametrize("long", [False, True])
def test_every_state_of_a_job_fits_into_a_message(state: Going, long: bool) -> None:  # noqa: FBT001
    size = 400 if long else 1
    failed = tuple(
        Failure("2016-01 <!channel>" * size, 3, "*KeyError* `x` @here" * size) for _ in range(60 * size // 100 + 1)
    )
    history = ((BEGIN, 0), (BEGIN, 4))
    ledger = Ledger(
        9, 4, failed, ("2016",), 1, 2, "the site is slow <!here>" * size, awaits_probe=True, history=history
    )
    job = Wanted("web", "r1-x" * (25 if long else 1), "es_update", "Update <!channel>" * size)
    one = Followed(
        1, "prod", job, state, BEGIN, "R1", ledger=ledger, failed=len(failed), seen_at=BEGIN, started_at=BEGIN,
        ended_at=BEGIN if state.over else None, exit_status=3, stop_by="U01REL", stop_reason="<!here>" * size,
        ask_workers=3, ask_by="U01REL", problem="no answer" * size,
    )  # fmt: skip
    view = JobView(one, "ssh web 'tmux attach'", Estimate(0.5, 10, measured=True), BEGIN, "U01REL")
    shown = [
        views.progress(view),
        views.milestone(view, 25),
        views.ended(view),
        views.asked(view),
        views.picture(view, "alt"),
    ]
    shown += [views.listed("prod", [replace(view, one=replace(one, id=n)) for n in range(20)])]
    for message in shown:
        assert message_faults(message.text, message.blocks) == []
        assert "<!channel>" not in json.dumps(message)
        assert "<!here>" not in json.dumps(message)
    for form in (views.stop_form(view), views.workers_form(view, 8)):
        assert modal_faults(form) == []
    assert ("job:stop" in json.dumps(views.progress(view).blocks)) == (state is Going.RUNNING and not one.stop_by)


def test_the_failed_are_named_and_a_person_who_must_act_is_mentioned() -> None:
    ledger = Ledger(9, 8, (Failure("2016-01", 3, "KeyError"),), ended=True)
    one = Followed(1, "prod", JOB, Going.FAILURES, BEGIN, "R1", ledger=ledger, failed=1)
    said = views.ended(JobView(one, starter="U01REL"))
    assert said.text.startswith("<@U01REL> Elasticsearch update ended, 8 of 9 done, and 1 failed.")
    assert "`2016-01` (3 tries): KeyError" in json.dumps(said.blocks)
