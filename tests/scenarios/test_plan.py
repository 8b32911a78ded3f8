"""A plan changed before the start and while it runs, and exported as an issue: through the local Slack, over a kill, on real hosts."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.release import ReleaseState
from bot.engine.clock import SystemClock
from bot.views import ids
from sandbox.options import Options
from sandbox.play import POLL, Player, _has_action, _says, elements, filled
from sandbox.slack import ADA, BOT, RELEASER
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems, text_of
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.slack import Page

pytestmark = pytest.mark.timeout(600)
NOTES = "question:approve:draft"


class Editor(Player):
    """Changes the plan by its forms; answers what the release asks."""

    async def shown(self, action: str, words: str = "") -> tuple[str, dict[str, Any]]:
        """Wait for the newest message with this button and these words; return where it is, and the button."""

        def having(messages: Sequence[Mapping[str, Any]]) -> Any:
            mine = [one for one in messages if words in json.dumps(one, ensure_ascii=False)]
            found = [(str(m["ts"]), e) for m in mine for e in elements(m) if e["action_id"] == action]
            return found[-1] if found else None

        await self._until_shown(having, f"{action} with {words!r}")
        found: tuple[str, dict[str, Any]] = having(await self.world.slack.messages())
        return found

    async def changes(self, page: Page, *, what: str, step: str, **words: Mapping[str, Any]) -> None:
        """Fill in the first form and the second one."""
        await self.sends(page, ids.PLAN_CHOOSE, what=option(what), step=option(step))
        await self.sends(page, f"{ids.PLAN_FORM}{what}", **words)

    async def sends(self, page: Page, callback: str, **words: Mapping[str, Any]) -> None:
        def open_now() -> bool:
            return bool(page.modals) and page.modals[-1]["callback_id"] == callback

        await page.until(open_now, what=callback, deadline=180)
        modal = page.modals[-1]
        values = filled(modal) | {block: {"value": dict(value)} for block, value in words.items()}
        await page.submit(self.person, values)
        await page.until(lambda: page.errors or modal not in page.modals, what="answer to the form", deadline=180)
        assert not page.errors

    async def goes_through(self) -> None:
        """Answer every question with its first choice until the release has ended, as `Player` does."""
        async with self.world.slack.page() as page, asyncio.timeout(300):
            assert await self._go_through(page) == ""


def option(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"value": value, "text": {"type": "plain_text", "text": "x"}}}


def typed(text: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": text}


def boxes(world: World) -> dict[str, bool]:
    (issue,) = world.github.issues
    found = re.findall(r"^- \[(.)\].*<!-- step:(\w+) -->$", issue["body"], re.MULTILINE)
    return {key: mark == "x" for mark, key in found}


async def until_boxes(world: World, *keys: str) -> None:
    async with asyncio.timeout(180):
        while not all(boxes(world)[key] for key in keys):
            await SystemClock().sleep(seconds=POLL)


async def test_a_plan_is_changed_before_and_while_it_runs_and_its_issue_follows_over_a_kill() -> None:
    async with World(Options(build_seconds=1, pace=Pace(start=0))) as world:
        await world.start_bot()
        before = await look(world)
        editor, slack = Editor(world), world.slack

        await slack.message(RELEASER.id, f"<@{BOT}> start")
        async with slack.page() as page:
            ts, button = await editor.shown(ids.PLAN_EDIT, "Start the release")
            await slack.interact(RELEASER.id, ts, button)
            person = {"type": "users_select", "selected_user": ADA.id}
            await editor.changes(
                page,
                what="insert",
                step="announce_start",
                title=typed("Tell the labs"),
                person=person,
                evidence=typed("the mail"),
            )
        ts, button = await editor.shown(ids.START_CONFIRM, "Tell the labs")
        await slack.interact(RELEASER.id, ts, button)

        await editor.shown(NOTES)  # it waits for the notes: now the plan is changed once more
        async with slack.page() as page:
            ts, button = await editor.shown(ids.PLAN_EDIT, "Pause")
            await slack.interact(RELEASER.id, ts, button)
            reason = typed("nobody was asked this time")
            await editor.changes(page, what="skip", step="authors_answered", reason=reason)
            ts, button = await editor.shown(ids.PLAN_EDIT, "nobody was asked this time")
            await slack.interact(RELEASER.id, ts, button)
            await editor.changes(page, what="note", step="deploy", note=typed("with an eye on the queue"))
        await slack.command(RELEASER.id, "plan export")
        await editor._until_shown(lambda _: world.github.issues, "the issue")
        await world.stop_bot(kill=True)
        await world.start_bot()

        await editor.goes_through()
        await until_boxes(world, *boxes(world))
        messages = await slack.messages()
        assert await problems(world, before, messages) == []
        (issue,) = world.github.issues
        assert "~~" in issue["body"]
        assert "nobody was asked this time" in issue["body"]
        assert str(ReleaseState.SUCCEEDED) in issue["body"]
        said = [text_of(message) for message in messages]
        assert any("changed the plan" in one and "with an eye on the queue" in one for one in said)
        assert any("Tell the labs" in one and "Evidence: played by the sandbox" in one for one in said), said
        assert any("Note: with an eye on the queue" in one for one in said)
        assert any("Tell the labs" in one and "Confirmed as done" in one for one in said), said
        assert not _has_action(messages, ids.PLAN_EDIT), "the buttons have left"
        assert _says(messages, ReleaseState.SUCCEEDED)
