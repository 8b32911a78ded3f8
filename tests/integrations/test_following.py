"""Jobs in real tmux over real SSH, followed to their end: what is said, what is read of their logs, and how they are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.jobs import Going, Wanted
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.following import Following, Workshop
from bot.engine.job_office import JobOffice
from bot.engine.store import Store
from tests.engine.scripted import ADMIN
from tests.engine.test_narrator import Outbox
from tests.integrations.helpers import text, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.integrations.workbench import Bench


@pytest.fixture
def slack() -> Outbox:
    return Outbox()


@pytest.fixture
async def office(bench: Bench, tmp_path: Path, slack: Outbox) -> AsyncIterator[JobOffice]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as store:
        clock = SystemClock()
        workshops = {"prod": Workshop({"web": bench.jobs})}
        yield JobOffice(Following(store, slack, clock, Desk(store, clock=clock).bell, workshops, interval=0.0))


async def began(office: JobOffice, name: str) -> None:
    await office.follow(Wanted("web", name, "es_update", "Update"), environment="prod", by=ADMIN.slack)
    await office.following.turn()


async def test_it_is_told_to_its_end_and_its_long_log_is_read_from_the_end(
    bench: Bench, office: JobOffice, slack: Outbox
) -> None:
    script = "i=0; while [ $i -lt 120000 ]; do echo line $i ünïcödé; i=$((i+1)); done; echo token=abcdef123456"
    await bench.start("one", "sh", "-c", script)
    await began(office, "one")
    await bench.ended("one")
    await office.following.turn()
    view = await office.one("prod", "one")
    assert (view.one.state, view.one.exit_status) == (Going.WHOLE, 0)
    assert view.attach == bench.jobs.attach_line(name="one")
    assert slack.messages["job:one:end"]["text"] == "Update finished."
    found = await office.log("prod", "one", lines=2)
    assert found.lines == ("line 119999 ünïcödé", "token=[hidden]")
    assert found.cut
    assert len(found.whole.encode()) > 900_000


async def test_one_that_a_person_stops_says_who_and_one_that_is_killed_is_lost(
    bench: Bench, office: JobOffice, slack: Outbox
) -> None:
    for name in ("stopped", "killed"):
        await bench.start(name, "sh", "-c", "echo on; sleep 600")
        await began(office, name)
    await until(lambda: text(bench.folder / "killed" / "log") == "on\n")
    view = await office.stop("prod", "stopped", by=ADMIN, typed="stopped", reason="enough")
    assert view.one.state is Going.STOPPED
    assert f"was stopped by <@{ADMIN.slack}>" in slack.messages["job:stopped:end"]["text"]
    for who in ("wrapper", "child"):
        bench.process("killed", who).kill()
    while not (await office.one("prod", "killed")).one.state.over:
        await office.following.turn()
    assert "is lost" in slack.messages["job:killed:end"]["text"]
    assert "nobody knows how it ended" in slack.messages["job:killed:end"]["text"]
