from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from sandbox.options import Options
from sandbox.verdict import look, problems
from sandbox.world import World
from tests.browser.person import ANSWER, at_slack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


async def test_a_person_clicks_a_release_through_and_the_world_has_changed_as_shown() -> None:
    async with World(Options(build_seconds=1)) as world:
        await world.start_bot()
        before = await look(world)
        async with at_slack(world.slack.url) as person:
            await person.say("/release review")
            review = person.message("Review for prod: 5 commits towards 1.9.3")
            await expect(review).to_contain_text("green – 6 of 6 required jobs passed", timeout=ANSWER)
            await expect(review.get_by_role("link", name="#1511")).to_be_visible()

            await person.say("/release start")
            await expect(person.modal).to_contain_text("Nothing has been done yet.", timeout=ANSWER)
            await expect(person.modal).to_contain_text("git push origin refs/tags/1.9.3")
            await person.submit()

            await person.press_forward_until("finished well")
            assert person.pressed == {"Tag with these notes"}
            await expect(person.dashboard).to_contain_text("All 17 steps ended in")
            await expect(person.dashboard.locator("button.bk-button")).to_have_text(
                ["Roll back …"]
            )  # nothing else is left
            success = person.page.locator(".messages .msg").filter(has_text=re.compile(r"METASPACE 1\.9\.3 is live"))
            await expect(success).to_have_count(1)

            await person.open_thread()
            await expect(person.thread).to_contain_text("Ansible web deployment – done", timeout=ANSWER)
            await expect(person.thread).not_to_contain_text("– running", timeout=ANSWER)
            await expect(person.thread).to_contain_text("Approved (“Tag with these notes”) by @")
            await expect(person.thread.locator("button.bk-button")).to_have_text(["Roll back …"])
        assert await problems(world, before, await world.slack.messages()) == []
