"""A plan rehearsed from Slack: a world inside a world, which leaves the outer one as it was."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.views import ids
from sandbox.counting import counted, difference
from sandbox.options import Options
from sandbox.play import ANSWER, POLL, elements
from sandbox.processes import MARK, alive, descendants, until
from sandbox.slack import APPROVER, RELEASER
from sandbox.verdict import look, text_of
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.timeout(600)
CANARY = "canary-of-production-5bd1"


@asynccontextmanager
async def a_world(**options: Any) -> AsyncIterator[World]:
    async with World(Options(build_seconds=1, **options)) as world:
        await world.start_bot()
        yield world


async def shown(world: World, words: str, *, deadline: float = 240) -> dict[str, Any]:
    """Wait for a message of the bot that says this, and return it."""
    async with asyncio.timeout(deadline):
        while True:
            for message in await world.slack.messages():
                if re.search(words, text_of(message)):
                    return message
            assert world.bot is not None
            assert world.bot.running, world.bot.last_words(30)
            await asyncio.sleep(POLL)


async def gone(pids: list[int]) -> None:
    """Wait until none of these processes is alive."""

    async def over() -> bool:
        return not any(alive(one) for one in pids)

    await until(over, what="the end of the rehearsal's processes", deadline=180)


async def test_a_rehearsal_passes_touches_nothing_and_opens_the_way_to_the_start() -> None:
    async with a_world(settings={"environments": {"prod": {"rehearsal": "required"}}}) as world:
        before, done = await look(world), await counted(world)
        async with world.slack.page() as page:
            await world.slack.command(RELEASER.id, "start")
            modal = await page.modal(deadline=ANSWER)
            assert "Not rehearsed. One that passed is required here" in str(modal)
            await page.submit(RELEASER.id, {})
        await shown(world, r"prod asks for a rehearsal that passed\. Not rehearsed\.")

        await world.slack.command(RELEASER.id, "rehearse")
        first = await shown(world, r"Rehearsal H1 of 1\.9\.3 for prod")
        await world.slack.command(RELEASER.id, "rehearse")
        await shown(world, r"H1 is rehearsing 1\.9\.3 for prod; nothing was begun")
        ended = await shown(world, r"H1 of 1\.9\.3 for prod passed after")
        assert ended["thread_ts"] == first["ts"]
        dashboard = next(one for one in await world.slack.messages() if one["ts"] == first["ts"])
        assert "✓ Ansible web deployment" in text_of(dashboard)
        assert not elements(dashboard), "nothing to stop any more"
        assert await look(world) == before
        assert difference(done, await counted(world)) == []

        async with world.slack.page() as page:
            await world.slack.command(RELEASER.id, "start")
            modal = await page.modal(deadline=ANSWER)
            assert "Rehearsed: passed (<" in str(modal)
            await page.submit(RELEASER.id, {})
        await shown(world, r"1\.9\.3 to prod.*running")


async def test_a_plan_that_would_fail_fails_in_its_rehearsal_and_names_the_step() -> None:
    async with a_world(scenario="crash") as world:
        await world.slack.command(RELEASER.id, "rehearse")
        ended = text_of(await shown(world, r"H1 of 1\.9\.3 for prod failed after"))
        assert "*First failing step:*" in ended
        assert "sm-api" in ended
        assert "Again: `/release rehearse prod`" in ended
        assert (await look(world)).states["sm-api"] == "RUNNING"


async def test_a_bot_that_is_killed_takes_the_world_with_it_and_says_so_afterwards() -> None:
    async with World(Options(build_seconds=1)) as world:
        await world.start_bot({"RELEASEBOT_REPOSITORY__GITHUB_TOKEN": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY})
        await world.slack.command(RELEASER.id, "rehearse")
        await shown(world, r"▸ .* – running")
        assert world.bot is not None
        family = descendants(world.bot.pid)
        inside = inner(family, world)
        assert len(inside) > 5, "servers, supervisord, programs, a Slack and a bot"
        assert [one for one in family if CANARY.encode() in environ(one)] == []
        (folder,) = set(inside.values())
        settings = (Path(folder) / "bot" / "settings.yml").read_text(encoding="utf-8")  # a few lines
        assert str(world.root) not in settings
        assert [one for one in ports(world) if str(one) in settings] == []
        world.bot.process.kill()
        await world.stop_bot(kill=True)
        await gone(family)
        await world.start_bot()
        said = text_of(await shown(world, r"H1 of 1\.9\.3 for prod interrupted after"))
        assert "The bot ended in the middle of it" in said
        assert "Again: `/release rehearse prod`" in said


async def test_a_rehearsal_is_stopped_by_its_button_by_whom_it_names() -> None:
    async with a_world() as world:
        await world.slack.command(RELEASER.id, "rehearse")
        await shown(world, r"▸ .* – running")
        first = await shown(world, r"Rehearsal H1 of")
        (stop,) = [one for one in elements(first) if one["action_id"] == ids.REHEARSAL_STOP]
        assert stop["confirm"]["title"]["text"] == "Stop the rehearsal?"
        assert world.bot is not None
        family = descendants(world.bot.pid)
        await world.slack.interact(APPROVER.id, first["ts"], stop)
        said = text_of(await shown(world, r"H1 of 1\.9\.3 for prod stopped after"))
        assert f"Stopped by <@{APPROVER.id}>." in said
        await gone(family)
        await world.slack.interact(APPROVER.id, first["ts"], stop)
        await shown(world, r"H1 has ended already: stopped")


def inner(family: list[int], world: World) -> dict[int, str]:
    """The processes that belong to a world inside this one, with that world's folder."""
    marks = {one: re.search(rb"\0" + MARK.encode() + rb"=([^\0]+)", b"\0" + environ(one)) for one in family}
    found = {one: mark[1].decode() for one, mark in marks.items() if mark}
    return {one: folder for one, folder in found.items() if folder != str(world.root)}


def ports(world: World) -> list[int]:
    """Where everything of the outer world listens."""
    supervisor = world.supervisor
    return [world.control.port, world.web.port, world.slack.port, supervisor.site_port, supervisor.api_port]


def environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
