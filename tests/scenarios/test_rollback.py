"""Two people where the checklist wants two, and a release whose service does not start taken back: all through Slack."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.domain.release import ReleaseState
from bot.views import ids
from sandbox.history import CHEN
from sandbox.options import Options
from sandbox.play import ANSWER, POLL, Player, _has_action, elements, filled
from sandbox.slack import ADMIN, APPROVER, BOT, RELEASER
from sandbox.supervisor import Pace
from sandbox.verdict import look, problems, text_of
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.slack import Page

pytestmark = pytest.mark.timeout(600)  # three deploys one after another
APPROVAL = "may it be done?"


class Several(Player):
    """Presses as the releaser; where approvals are asked for, all press: who started the release, the approver and an admin."""

    async def _press(self, ts: str, element: Mapping[str, Any]) -> None:
        await super()._press(ts, element)
        message = next(m for m in await self.world.slack.messages() if m["ts"] == ts)
        if APPROVAL in text_of(message):
            for person in (RELEASER, APPROVER, ADMIN):
                await self.world.slack.interact(person.id, ts, element)


class Stopping(Player):
    """Carries a release on until it stops, and then takes it back."""

    async def _go_through(self, page: Page) -> str:
        while not _has_action(messages := await self.world.slack.messages(), ids.RETRY):
            self._bot_lives()
            assert _finished(messages) < 2, "it was to stop"
            if page.modals and page.modals[-1].get("submit"):
                await self._submit(page)
            elif (button := self._next_button(messages)) is not None:
                await self._press(*button)
            else:
                await asyncio.sleep(POLL)
        return "stopped"

    async def take_back(self) -> None:
        async with self.world.slack.page() as page:
            await self.world.slack.interact(self.person, *_button(await self.world.slack.messages(), ids.ROLL_BACK))
            modal = await page.modal(deadline=ANSWER)
            assert modal["callback_id"] == ids.ROLL_BACK_FORM, modal
            await page.submit(self.person, filled(modal))
            await page.until(lambda: page.errors or modal not in page.modals, what="the rollback", deadline=ANSWER)
            assert not page.errors
            async with asyncio.timeout(240):
                while _finished(await self.world.slack.messages()) < 2:
                    self._bot_lives()
                    await asyncio.sleep(POLL)


def _button(messages: Sequence[Mapping[str, Any]], action: str) -> tuple[str, Mapping[str, Any]]:
    """Return the newest message's button of that name, on a release that stopped."""
    shown = [m for m in messages if _has_action([m], ids.RETRY)]
    return next((str(m["ts"]), one) for m in shown for one in elements(m) if one["action_id"] == action)


def _finished(messages: Sequence[Mapping[str, Any]]) -> int:
    words = "finished well"
    return sum(m.get("user") == BOT and words in str(m.get("text", "")) and not m.get("thread_ts") for m in messages)


def customise(world: World) -> None:
    """Let `tag` need an approver and `deploy` two, in a copy of the shipped checklist."""
    folder = world.root / "checklists"
    folder.mkdir()
    text = (resources.files("bot.checklists") / "in_place.yml").read_text(encoding="utf-8")
    text = text.replace("  - step: tag\n", "  - step: tag\n    approval: {count: 1, role: approver}\n")
    text = text.replace("  - step: deploy\n", "  - step: deploy\n    approval: {count: 2, expires: 30m}\n")
    (folder / "in_place.yml").write_text(text, encoding="utf-8")
    settings = yaml.safe_load(world.settings_file.read_text(encoding="utf-8"))
    settings["environments"]["prod"]["checklists"] = str(folder)
    world.settings_file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


async def test_a_customised_checklist_waits_for_people_who_did_not_start_the_release() -> None:
    async with World(Options(build_seconds=1, pace=Pace(start=0))) as world:
        customise(world)
        await world.start_bot()
        before = await look(world)
        assert await Several(world).release() == ""
        messages = await world.slack.messages()
        assert await problems(world, before, messages) == []
        said = [text_of(message) for message in messages]
        assert any("You started this release" in one for one in said)
        (both,) = [one for one in said if "Ansible web deployment" in one and "Approved by" in one]
        assert APPROVER.id in both
        assert ADMIN.id in both


async def test_a_service_that_does_not_start_is_rolled_back_to_what_was_live() -> None:
    async with World(Options(build_seconds=1)) as world:  # a program counts as started after a second
        await world.start_bot()
        assert await Player(world).release() == ""
        live = await look(world)
        broken = {"metaspace/engine/conf/scoring.json": '{"model": "v4",\n'}
        bad = await world.git.push_as(CHEN, "master", "[Engine] New scoring model (#907)\n", broken)
        player = Stopping(world)
        assert await player.release() == "stopped"
        stopped = await look(world)
        assert (stopped.checkout, stopped.release) == (bad, bad)
        assert stopped.states["sm-api"] != "RUNNING"
        await player.take_back()
        after = await look(world)
        assert after.checkout == live.checkout
        assert after.webapp["commit"] == live.checkout
        assert set(after.states.values()) == {"RUNNING"}
        assert (after.release, after.master, after.tags) == (stopped.release, stopped.master, stopped.tags)
        assert after.health == live.health
        said = [text_of(message) for message in await world.slack.messages()]
        assert any("What happened" in one and "sm-api" in one for one in said), said
        assert any("release is ahead of what is live" in one and "Left to do" in one for one in said), said
        assert any("is live on prod again" in one for one in said), said
        assert any(f"{ReleaseState.ABORTED}" in one and "rolls it back to" in one for one in said), said
