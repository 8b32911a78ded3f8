"""Authors asked by hand: the button, the thread, the form and the menu, as people see them in the local Slack."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from sandbox.options import Options
from sandbox.slack import ADA, BO, RELEASER
from sandbox.world import World
from tests.browser.person import ANSWER, at_slack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


async def test_authors_answer_in_the_reviews_thread_and_the_unknown_one_is_chosen_from_a_menu() -> None:
    async with World(Options(scenario="migrations")) as world:
        await world.start_bot()
        async with at_slack(world.slack.url) as person:
            await person.act_as(RELEASER.id)
            await person.say("/release review")
            review = person.message("Review for prod")
            await expect(review).to_contain_text("not asked whether anything must be done by hand", timeout=ANSWER)
            await review.get_by_role("button", name="Ask authors").click()
            await review.locator("button.thread-summary").click(timeout=ANSWER)
            await expect(person.thread).to_contain_text("Asked 3 authors what must be done by hand", timeout=ANSWER)
            questions = person.thread.locator(".msg")

            await person.act_as(ADA.id)
            ada = questions.filter(has_text="fix: log the user's id")
            await ada.get_by_role("button", name="Nothing by hand").click()
            await expect(person.thread).to_contain_text("Ada Keller, #1513: nothing by hand", timeout=ANSWER)

            await person.act_as(BO.id)
            bo = questions.filter(has_text="Let people choose the isotope's colour")
            await bo.get_by_role("button", name="Yes").click()
            await person.modal.locator("input").first.fill("Tell the labs")
            await person.modal.locator("select").select_option("after")
            await person.modal.locator("input").last.fill(
                "Write to labs@example.org"
            )  # it draws no field of several lines
            await person.submit()
            await expect(person.thread).to_contain_text("after the deploy, by hand: “Tell the labs”", timeout=ANSWER)

            await person.act_as(RELEASER.id)
            await person.say("/release people")
            people = person.page.locator(".messages .msg").filter(has_text="3 authors of the pull requests").last
            await expect(people).to_contain_text("Who is chen", timeout=ANSWER)
            await people.locator("select").first.select_option(ADA.id)
            await expect(person.page.locator(".messages")).to_contain_text("chen is @", timeout=ANSWER)
