"""The site is watched while a release is open; what was seen survives the bot."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bot.domain.release import DecisionKind, ReleaseState
from bot.engine.watch import Watch
from tests.engine.clock import FakeClock
from tests.engine.scripted import RELEASER, Bot, FakeSite, Files, opened, plan, running, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.world import Look

PLAN = plan(("first", "file"), ("ask", "asking"))


@asynccontextmanager
async def watched(url: str, files: Files) -> AsyncIterator[tuple[Bot, Watch, FakeClock]]:
    clock = FakeClock()
    async with opened(url, steps(files), clock=clock) as bot:
        await bot.start(PLAN)
        yield bot, Watch(bot.store, clock=clock, interval=1.0, bell=bot.desk.bell), clock


async def pass_(seconds: int, clock: FakeClock) -> None:
    """Let time go by, one look a second, each written before the next."""
    for _ in range(seconds):
        await clock.until_asleep()
        await clock.advance(1)
    await clock.until_asleep()


async def test_an_outage_is_measured_from_the_first_bad_look_to_the_next_good_one(url: str, files: Files) -> None:
    async with watched(url, files) as (bot, watch, clock), watch.during(1, bot.site):
        await pass_(5, clock)
        bot.site.up = False
        await pass_(7, clock)
        bot.site.up = True
        await pass_(5, clock)
        release = await bot.desk.release("R1")
        assert release.downtime == 7
        assert release.unwatched == 0
        events = [(one.kind, one.data) for one in await bot.desk.events(after=0, limit=100)]
        assert [kind for kind, _ in events if kind.startswith("probe")] == ["probe.down", "probe.up"]
        assert ("probe.down", {"detail": "503"}) in events


async def test_a_bot_killed_in_an_outage_keeps_what_it_saw_and_says_what_it_did_not(url: str, files: Files) -> None:
    async with watched(url, files) as (bot, watch, clock):
        async with watch.during(1, bot.site):
            await pass_(4, clock)
            bot.site.up = False
            await pass_(4, clock)
        await clock.advance(60)
        async with watch.during(1, bot.site):
            await pass_(3, clock)
            bot.site.up = True
            await pass_(10, clock)
        release = await bot.desk.release("R1")
        assert release.downtime is not None
        assert 5 <= release.downtime <= 8, "at least what was seen, and nothing that was not"
        assert 58 <= release.unwatched <= 64


async def test_a_probe_with_a_bug_does_not_end_the_watch(url: str, files: Files) -> None:
    class Broken(FakeSite):
        looks = 0

        async def look(self) -> Look:
            self.looks += 1
            if self.looks == 2:
                raise ZeroDivisionError
            return await super().look()

    async with watched(url, files) as (bot, watch, clock):
        site = Broken(clock)
        async with watch.during(1, site):
            await pass_(6, clock)
        assert site.looks >= 6
        assert (await bot.desk.release("R1")).downtime == 0


async def test_a_release_is_watched_from_its_start_to_its_end_also_while_it_waits(url: str, files: Files) -> None:
    async with opened(url, steps(files), watched=True) as bot, running(bot):
        number = await bot.start(PLAN)
        question = await bot.asked(number)
        bot.site.up = False
        seen = await bot.until(number, lambda release: bool(release.downtime))
        assert seen.unwatched == 0
        bot.site.up = True
        await bot.desk.control(release=number, kind=DecisionKind.PAUSE, by=RELEASER)
        bot.site.up = False
        longer = await bot.until(number, lambda release: (release.downtime or 0) > (seen.downtime or 0) + 0.05)
        assert longer.state is ReleaseState.PAUSED
        bot.site.up = True
        await bot.desk.control(release=number, kind=DecisionKind.RESUME, by=RELEASER)
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes")
        release = await bot.finished(number)
        assert release.state is ReleaseState.SUCCEEDED
        assert release.unwatched == 0
