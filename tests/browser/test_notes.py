from __future__ import annotations

import pytest
from playwright.async_api import expect

from sandbox.options import Options
from sandbox.world import World
from tests.browser.person import ANSWER, at_slack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


async def test_a_person_chooses_the_version_rewords_the_notes_and_sees_what_becomes_of_them() -> None:
    async with World(Options(build_seconds=1)) as world:
        await world.start_bot()
        async with at_slack(world.slack.url) as person:
            await person.say("/release start")
            await expect(person.modal).to_contain_text("1.10.0 (minor) or 2.0.0 (major)", timeout=ANSWER)
            await person.field("Version to tag").fill("1.9.5")
            await person.modal.locator(".modal-btn.primary").click()
            await expect(person.modal).to_contain_text("1.9.5 jumps from 1.9.2.", timeout=ANSWER)
            await person.field("Version to tag").fill("minor")
            await person.submit()

            await expect(person.dashboard).to_contain_text("> [Bug] It does not say who can see", timeout=ANSWER)
            await person.dashboard.get_by_role("button", name="Edit them").click()
            await expect(person.field("Left out")).to_have_value("Log the user's id with every request #1513")
            bugs = await person.field("Bugs").input_value()
            await person.field("Tasks").fill("[Story] Names in titles #1510")
            await person.modal.locator(".modal-btn.primary").click()
            await expect(person.modal).to_contain_text("none of Task, Bug, Dependabot", timeout=ANSWER)
            await person.field("Tasks").fill("Names in titles #1510")
            await person.field("Bugs").fill(f"{bugs} Export lacks a button #1511")
            await person.field("Dependabot").fill("–")
            await person.submit()

            await expect(person.dashboard).to_contain_text("> [Bug] Export lacks a button #1511", timeout=ANSWER)
            await expect(person.dashboard).not_to_contain_text("> [Dependabot]")
            await expect(person.dashboard).to_contain_text("Left out: [Bug] Log the user's id")
            await person.dashboard.get_by_role("button", name="Edit again").click()
            await expect(person.field("Tasks")).to_have_value("Names in titles #1510")
            await person.modal.get_by_role("button", name="Cancel").click()
            await person.press("Tag with these notes")
            await expect(person.dashboard).to_contain_text("6. Annotated tag pushed – done", timeout=ANSWER)
        message = (await world.git.git("cat-file", "-p", "1.10.0")).partition("\n\n")[2]
        assert message.splitlines()[:4] == [
            "> Release notes:",
            ">   [Task] Names in titles #1510",
            ">   [Bug] It does not say who can see a private project #1514",
            ">   [Bug] Export lacks a button #1511",
        ]
