"""Plans as issues: opened once whatever happens, in step with the release, and a tick counts only where the world agrees.

Against the sandbox's GitHub, over HTTP, on both databases.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.edits import Insert
from bot.domain.errors import Conflict
from bot.domain.plan import StepKind
from bot.domain.release import DecisionKind, ReleaseState, StepState
from bot.engine.clock import SystemClock
from sandbox.github import GitHub as Hub
from sandbox.gitworld import GitWorld
from sandbox.history import import_history
from sandbox.scenarios import history_of, scenario
from tests.engine.exporting import exports_of, in_a_process_of_its_own, registry
from tests.engine.scripted import RELEASER, Bot, Files, opened, plan, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.engine.exports import Exports


PLAN = plan(("first", "file"), ("second", "file"), ("third", "file"))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository for GitHub to be made of."""
    world = GitWorld(tmp_path_factory.mktemp("origin"))
    world.origin.parent.mkdir()
    asyncio.run(import_history(history_of(scenario("plain")), world.origin))
    return world.origin


@pytest.fixture
async def hub(origin: Path) -> AsyncIterator[Hub]:
    async with Hub(origin) as github:
        yield github


async def looked(exports: Exports) -> None:
    """Take the turn, once it is due."""
    async with asyncio.timeout(20):
        while not await exports.turn():
            await SystemClock().sleep(seconds=0.01)


def tick(hub: Hub, *keys: str) -> None:
    """Tick boxes as a person does in GitHub's editor."""
    for key in keys:
        line = re.compile(rf"^- \[ \](.*<!-- step:{key} -->)$", re.MULTILINE)
        hub.issues[0]["body"], count = line.subn(r"- [x]\1", hub.issues[0]["body"])
        assert count == 1


def boxes(hub: Hub) -> dict[str, bool]:
    found = re.findall(r"^- \[(.)\].*<!-- step:(\w+) -->$", hub.issues[0]["body"], re.MULTILINE)
    return {key: mark == "x" for mark, key in found}


async def paused(bot: Bot, made: Any = PLAN) -> str:
    """Start a release that stands still before its first step."""
    release = await bot.start(made)
    await bot.desk.control(release=release, kind=DecisionKind.PAUSE, by=RELEASER)
    return release


async def kinds(bot: Bot) -> list[str]:
    return [one.kind for one in await bot.desk.events(after=0, limit=200)]


async def test_a_plan_is_one_issue_however_often_it_is_asked_for(url: str, files: Files, hub: Hub) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        said = await exports.ask(release, by=RELEASER, source="E1")
        assert "R1 is issue #" in said
        assert hub.issues[0]["html_url"] in said
        assert "already" in await exports.ask(release, by=RELEASER)
        await looked(exports)
        assert len(hub.issues) == 1
        assert hub.issues[0]["title"] == "Release 1.9.10 to prod (R1)"
        assert boxes(hub) == {"first": False, "second": False, "third": False}
        assert [one for one in await kinds(bot) if "export" in one] == ["plan.export_asked", "plan.exported"]


async def test_its_boxes_follow_the_release_to_the_end_and_then_nothing_is_asked_any_more(
    url: str, files: Files, hub: Hub
) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        await exports.ask(release, by=RELEASER)
        await bot.plans.edit(release, Insert("Look", before="second"), by=RELEASER, seen=0)
        async with running(bot):
            await bot.desk.control(release=release, kind=DecisionKind.RESUME, by=RELEASER)
            question = await bot.asked(release)
            await looked(exports)
            assert boxes(hub) == {"first": True, "added_1": False, "second": False, "third": False}
            assert "version 1 of its plan" in hub.issues[0]["body"]
            await bot.desk.answer(question=question, kind=DecisionKind.DONE, by=RELEASER)
            await bot.finished(release)
        await looked(exports)
        assert all(boxes(hub).values())
        assert "succeeded" in hub.issues[0]["body"]
        asked = len(hub.requests)
        assert await exports.turn() == 0
        assert len(hub.requests) == asked
        with pytest.raises(Conflict, match="is over"):
            await exports.ask(await _aborted(bot), by=RELEASER)


async def _aborted(bot: Bot) -> str:
    release = await bot.start(PLAN)
    await bot.desk.control(release=release, kind=DecisionKind.ABORT, by=RELEASER, reason="enough")
    return release


async def test_what_was_done_by_hand_and_ticked_is_recorded_with_its_evidence(url: str, files: Files, hub: Hub) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        await exports.ask(release, by=RELEASER)
        for key in ("first", "second"):
            files.do(key, f"R1-{key}")
        tick(hub, "first", "second", "third")
        await looked(exports)
        seen = await bot.desk.release(release)
        assert [one.state for one in seen.steps] == [StepState.DONE, StepState.DONE, StepState.PENDING]
        assert f"(ticked in issue #{hub.issues[0]['number']})" in seen.steps[0].summary
        assert seen.steps[0].facts["issue"] == hub.issues[0]["number"]
        assert seen.state is ReleaseState.PAUSED, "a tick lets nothing go on"
        assert boxes(hub) == {"first": True, "second": True, "third": False}
        assert "took the tick back: its check does not agree: The line is not there." in hub.issues[0]["body"]
        assert files.all() == {"first": 1, "second": 1}, "nothing was run for it"
        async with running(bot):
            await bot.desk.control(release=release, kind=DecisionKind.RESUME, by=RELEASER)
            await bot.finished(release)
        assert files.all() == {"first": 1, "second": 1, "third": 1}


async def test_a_tick_before_its_turn_is_taken_back_with_the_reason(url: str, files: Files, hub: Hub) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        await exports.ask(release, by=RELEASER)
        files.do("third", "R1-third")
        tick(hub, "third")
        await looked(exports)
        assert boxes(hub) == {"first": False, "second": False, "third": False}
        assert "its turn has not come: “Step first” comes first" in hub.issues[0]["body"]
        assert (await bot.desk.release(release)).steps[2].state is StepState.PENDING


async def test_a_stopped_release_whose_step_was_done_by_hand_waits_for_somebody_in_slack(
    url: str, files: Files, hub: Hub
) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        exports = exports_of(bot, hub.url, registry(files))
        release = await bot.start(plan(("hard", "failing"), ("last", "file")))
        await bot.until(release, lambda one: one.state is ReleaseState.STOPPED)
        await exports.ask(release, by=RELEASER)
        files.do("hard", "R1-hard")
        tick(hub, "hard")
        await looked(exports)
        seen = await bot.desk.release(release)
        assert (seen.state, seen.steps[0].state) == (ReleaseState.PAUSED, StepState.DONE)
        assert "its check agrees; Resume goes on" in seen.note
        assert files.done("last") == []
        await bot.desk.control(release=release, kind=DecisionKind.RESUME, by=RELEASER)
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED


@pytest.mark.parametrize("code", ["manual", "blurred"])
async def test_what_no_check_can_know_is_asked_in_slack(url: str, files: Files, hub: Hub, code: str) -> None:
    kind = StepKind.MANUAL if code == "manual" else StepKind.AUTOMATIC
    made = plan(("word", code))
    made = replace(made, steps=tuple(replace(step, kind=kind) for step in made.steps))
    async with opened(url, registry(files)) as bot, running(bot):
        exports = exports_of(bot, hub.url, registry(files))
        release = await bot.start(made)
        await bot.until(release, lambda one: bool(one.questions) or one.state is ReleaseState.STOPPED)
        await exports.ask(release, by=RELEASER)
        tick(hub, "word")
        await looked(exports)
        assert boxes(hub) == {"word": False}
        assert "Slack" in hub.issues[0]["body"].split("took the tick back")[1]
        asked = [one for one in await bot.desk.events(after=0, limit=200) if one.kind == "plan.ticked"]
        assert [(one.step, one.data["issue"]) for one in asked] == [("word", hub.issues[0]["number"])]
        assert (await bot.desk.release(release)).steps[0].state in {StepState.WAITING, StepState.FAILED}


async def test_while_github_is_down_the_release_goes_on_and_the_issue_catches_up(
    url: str, files: Files, hub: Hub
) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        hub.fail(502, count=1000)
        said = await exports.ask(release, by=RELEASER)
        assert "no issue of R1 yet; it is made as soon as it can be. GitHub answers 502" in said
        async with running(bot):
            await bot.desk.control(release=release, kind=DecisionKind.RESUME, by=RELEASER)
            await bot.finished(release)
        hub.trouble = None
        await looked(exports)
        assert all(boxes(hub).values())
        assert len(hub.issues) == 1


async def test_an_issue_that_somebody_deleted_is_told_and_not_made_again(url: str, files: Files, hub: Hub) -> None:
    async with opened(url, registry(files)) as bot:
        release, exports = await paused(bot), exports_of(bot, hub.url, registry(files))
        await exports.ask(release, by=RELEASER)
        hub.issues.clear()
        await looked(exports)
        assert await exports.turn() == 0
        assert "plan.export_lost" in await kinds(bot)
        assert hub.issues == []


async def test_of_several_that_look_after_it_at_once_one_does(url: str, files: Files, hub: Hub) -> None:
    async with opened(url, registry(files)) as bot:
        release = await paused(bot)
        several = [exports_of(bot, hub.url, registry(files)) for _ in range(4)]
        await asyncio.gather(*(one.ask(release, by=RELEASER) for one in several))
        await asyncio.gather(*(looked(several[0]), *(one.turn() for one in several[1:])))
        assert len(hub.issues) == 1


@pytest.mark.parametrize("place", ["before_effect", "after_effect", "after_write"])
async def test_a_bot_killed_around_the_opening_opens_one_issue(url: str, files: Files, hub: Hub, place: str) -> None:
    async with opened(url, registry(files)) as bot:
        release = await paused(bot)
    assert await asyncio.to_thread(in_a_process_of_its_own, url, files, hub.url, f"{place}:issue") == -9
    assert len(hub.issues) == (0 if place == "before_effect" else 1)
    async with opened(url, registry(files)) as bot:
        exports = exports_of(bot, hub.url, registry(files))
        assert await exports.turn() == 0, "the killed one's hold lasts on"
        await exports.free_all()
        async with asyncio.timeout(20):
            while "already" not in await exports.ask(release, by=RELEASER):
                await exports.turn()
        assert len(hub.issues) == 1
        assert (await kinds(bot)).count("plan.exported") == 1
