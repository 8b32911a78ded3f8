"""Reviews through the local Slack, with everything behind them real: what CI does meanwhile, and what is wrong with the input."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.views import ids
from sandbox.circleci import TOKEN
from sandbox.history import CHEN
from sandbox.options import Options
from sandbox.play import POLL, elements
from sandbox.slack import BOT, RELEASER, VIEWER
from sandbox.world import World
from tests.scenarios.player import repeated

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(600)
ANSWER = 180.0  # seconds
HOSTILE = "<!channel> <@U05ADM> *bold* `code` <https://evil.example|click> " + "x" * 1000
EXPORT, SCHEMA = "metaspace/engine/sm/engine/es_export.py", "metaspace/graphql/schemas/annotation.graphql"


async def shown(world: World, ready: Callable[[str], bool], *, after: int = 0) -> dict[str, Any]:
    """Wait for a message of the bot behind the first ``after`` whose text and blocks are as wanted."""
    async with asyncio.timeout(ANSWER):
        while True:
            for message in (await world.slack.messages())[after:]:
                if message.get("user") == BOT and ready(words(message)):
                    return message
            await asyncio.sleep(POLL)


def words(message: dict[str, Any]) -> str:
    return json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)


def complete(text: str) -> bool:
    return "Review for prod" in text and not any(one in text for one in ("still asking", "reading the repository"))


async def reviewed(world: World, request: str = "review") -> dict[str, Any]:
    """Ask for a review, and wait until it has all its facts or says why there are none."""
    before = len(await world.slack.messages())
    await world.slack.command(RELEASER.id, request)
    return await shown(
        world, lambda text: complete(text) or ("Try: " in text and "Review for" not in text), after=before
    )


async def press(world: World, message: dict[str, Any], action: str, *, user: str = RELEASER.id) -> None:
    button = next(one for one in elements(message) if one["action_id"] == action)
    await world.slack.interact(user, message["ts"], button)


async def test_a_failed_job_is_run_again_once_from_the_review_which_follows_it_until_it_is_green() -> None:
    async with World(Options(scenario="broken_ci")) as world:
        await world.start_bot()
        review = await reviewed(world)
        assert "5 of 6 required jobs passed" in words(review)
        assert "*Not blocking:*" in words(review)
        await press(world, review, ids.REVIEW_RERUN, user=VIEWER.id)
        await shown(world, lambda text: "needs the role releaser" in text)
        assert not [one for one in world.circleci.requests if one.startswith("POST")]
        for _ in range(2):
            await press(world, review, ids.REVIEW_RERUN)
        await shown(world, lambda text: "nothing was started twice" in text)
        green = await shown(world, lambda text: "green – 6 of 6" in text and f"run again by <@{RELEASER.id}>" in text)
        assert green["ts"] == review["ts"]
        assert ids.REVIEW_RERUN not in {one["action_id"] for one in elements(green)}
        assert len([one for one in world.circleci.requests if one.startswith("POST")]) == 1
        log = (world.root / "logs" / "bot.log").read_text(encoding="utf-8")
        assert TOKEN not in log + json.dumps(await world.slack.messages())


async def test_a_review_follows_ci_through_a_restart_in_the_same_message() -> None:
    async with World(Options(scenario="pending_ci")) as world:
        await world.start_bot()
        await world.slack.command(RELEASER.id, "review")
        review = await shown(world, lambda text: "CI is asked again until it is decided" in text and complete(text))
        assert "(workflow <" in words(review)
        bot = world.bot
        assert bot is not None
        await world.stop_bot()
        assert bot.process.returncode == 0
        world.github.ci.set(await world.git.head("master"), "test-graphql", "success")
        await world.start_bot()
        green = await shown(world, lambda text: "green – 6 of 6" in text)
        assert green["ts"] == review["ts"]
        assert repeated(await world.slack.messages()) == []


async def test_names_ranges_and_branches_that_are_not_as_usual_are_answered() -> None:
    async with World(Options(scenario="hotfix")) as world:
        await world.start_bot()
        assert "'nope' is no tag, branch or commit here" in words(await reviewed(world, "review nope..master"))
        assert "nothing to release" in words(await reviewed(world, "review 1.9.2..1.9.2"))
        past = await reviewed(world, "review 1.9.1...1.9.2")
        assert "|1.9.1…1.9.2>" in words(past)
        assert ids.REVIEW_START not in {one["action_id"] for one in elements(past)}
        diverged = await reviewed(world)
        assert "release has commits that master lacks" in words(diverged)
        assert "*Hotfixes on release that master lacks* (1)" in words(diverged)
        assert "release is 1 commit ahead of tag 1.9.2; live is release" in words(diverged)
        merge = next(one for one in elements(diverged) if one["action_id"] == ids.REVIEW_MERGE)
        assert merge["url"].endswith("/compare/master...release?expand=1")
        before = len(await world.slack.messages())
        await press(world, diverged, ids.REVIEW_LIVE)
        since = await shown(world, complete, after=before)
        assert "|1.9.2…master>" in words(since)


async def test_a_github_and_a_circleci_that_are_down_leave_a_review_that_says_so_first() -> None:
    async with World(Options()) as world:
        await world.start_bot()
        for status, sign in ((502, "GitHub"), (429, "until")):
            world.github.fail(status, count=1000, retry_after=60)
            world.circleci.fail(status, count=1000, retry_after=60)
            review = await reviewed(world)
            first = review["blocks"][1]["text"]["text"]
            assert first.startswith("*Not seen, so look yourself*")
            assert sign in first
            assert "CircleCI" in first
            assert "*Strategy:*" in words(review)
            assert "5 pull requests" in words(review)


async def test_files_that_do_not_parse_and_titles_that_would_act_do_no_harm() -> None:
    async with World(Options()) as world:
        changes = {EXPORT: "def broken(:\n", SCHEMA: "type Annotation {{{\n"}
        await world.git.push_as(CHEN, "master", f"{HOSTILE} (#1600)\n", changes)
        await world.start_bot()
        review = await reviewed(world)
        first = review["blocks"][1]["text"]["text"]
        assert EXPORT in first
        assert SCHEMA.rpartition("/")[2] in first or "schema" in first
        for action in (None, ids.REVIEW_COMMITS, ids.REVIEW_FINDINGS):
            before = len(await world.slack.messages())
            if action:
                await press(world, review, action)
                review_ = await shown(world, lambda text: "release…master" in text, after=before)
            else:
                review_ = review
            text = words(review_)
            assert "<!channel>" not in text
            assert "<@U05ADM>" not in text
            assert "<https://evil" not in text
            assert "x" * 300 not in text
