"""The bot pauses by itself when the site or a proved service goes bad; never inside a deploy, and once for each trouble."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.domain.release import DecisionKind, ReleaseState
from bot.domain.world import Program
from tests.engine.scripted import RELEASER, Bot, Files, opened, plan, running, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.engine.step import Step

LIMITS: dict[str, Any] = {"warn_after_down": 0.1, "pause_after_down": 0.2, "watched_programs": ("sm-api",)}


class Server:
    """One program, in the state that a test wants."""

    state = "RUNNING"

    async def programs(self) -> Sequence[Program]:
        return [Program("sm-api", "sm-api", self.state, 1, datetime(2026, 8, 3, tzinfo=UTC))]  # type: ignore[arg-type]


def registry(files: Files) -> dict[str, Step]:
    made = steps(files)
    return {**made, "deploy": made["asking"], "prove_live": made["file"]}


async def of(bot: Bot, kind: str) -> list[Any]:
    return [one.data for one in await bot.desk.events(after=0, limit=500) if one.kind == kind]


async def test_a_site_that_is_down_pauses_once_and_a_person_who_resumes_has_seen_it(url: str, files: Files) -> None:
    made = plan(("ask", "asking"), ("last", "file"))
    async with opened(url, registry(files), watched=True, server=Server(), facts=LIMITS) as bot, running(bot):
        release = await bot.start(made)
        question = await bot.asked(release)
        bot.site.up = False
        seen = await bot.until(release, lambda one: one.state is ReleaseState.PAUSED)
        assert "paused by the bot: The site has been down" in seen.note
        assert "503" in seen.note
        await bot.desk.control(release=release, kind=DecisionKind.RESUME, by=RELEASER)
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes")
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED
        assert len(await of(bot, "release.trouble")) == 1


async def test_inside_a_deploy_it_is_only_told(url: str, files: Files) -> None:
    async with opened(url, registry(files), watched=True, server=Server(), facts=LIMITS) as bot, running(bot):
        release = await bot.start(plan(("deploy", "deploy"), ("last", "file")))
        question = await bot.asked(release)
        bot.site.up = False
        async with asyncio.timeout(20):
            while not await of(bot, "release.warned"):
                await bot.desk.bell.wait(at_most=0.1)
        seen = await bot.until(release, lambda one: (one.downtime or 0) > 0.5)
        assert seen.state is ReleaseState.RUNNING
        assert len(await of(bot, "release.warned")) == 1
        bot.site.up = True
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes")
        await bot.finished(release)


async def test_a_service_that_dies_after_the_proof_pauses_and_says_which(url: str, files: Files) -> None:
    server = Server()
    made = plan(("prove", "prove_live"), ("ask", "asking"), ("last", "file"))
    async with opened(url, registry(files), watched=True, server=server, facts=LIMITS) as bot, running(bot):
        release = await bot.start(made)
        await bot.asked(release)
        server.state = "FATAL"
        seen = await bot.until(release, lambda one: one.state is ReleaseState.PAUSED)
        assert "sm-api is FATAL" in seen.note
        (told,) = await of(bot, "release.trouble")
        assert told["key"].startswith("program:sm-api:FATAL")
        await bot.desk.control(release=release, kind=DecisionKind.ABORT, by=RELEASER, reason="enough")
        await bot.finished(release)
