"""People looked up by e-mail: asked once, nobody is an answer too, and a missing scope says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Refused, Unavailable
from bot.slack.api import web_client
from bot.slack.directory import SlackDirectory
from tests.engine.clock import FakeClock
from tests.slack.strict import BOT_TOKEN, StrictSlack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

METHOD = "users.lookupByEmail"


@pytest.fixture
async def directory(slack: StrictSlack) -> AsyncIterator[SlackDirectory]:
    slack.profiles = {
        "ada@example.org": {"id": "U06ADA"},
        "left@example.org": {"id": "U0LEFT", "deleted": True},
        "robot@example.org": {"id": "U0ROB", "is_bot": True},
    }
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        yield SlackDirectory(client, FakeClock())


async def test_somebody_is_found_in_any_spelling_and_asked_for_once(
    slack: StrictSlack, directory: SlackDirectory
) -> None:
    assert {await directory.by_email(one) for one in ("ada@example.org", " Ada@Example.org ")} == {"U06ADA"}
    assert slack.count(METHOD) == 1


@pytest.mark.parametrize("email", ["nobody@example.org", "left@example.org", "robot@example.org"])
async def test_nobody_is_an_answer_and_kept_too(slack: StrictSlack, directory: SlackDirectory, email: str) -> None:
    assert [await directory.by_email(email) for _ in range(2)] == ["", ""]
    assert slack.count(METHOD) == 1


async def test_after_an_hour_slack_is_asked_again(slack: StrictSlack, directory: SlackDirectory) -> None:
    clock = directory.clock
    assert isinstance(clock, FakeClock)
    assert await directory.by_email("new@example.org") == ""
    slack.profiles["new@example.org"] = {"id": "U0NEW"}
    await clock.advance(3600)
    assert await directory.by_email("new@example.org") == "U0NEW"


async def test_a_missing_scope_is_named_and_nothing_is_kept(slack: StrictSlack, directory: SlackDirectory) -> None:
    whole, slack.scopes = slack.scopes, slack.scopes - {"users:read.email"}
    with pytest.raises(Refused) as caught:
        await directory.by_email("ada@example.org")
    assert "app_manifest.yml" in caught.value.hint
    slack.scopes = whole
    assert await directory.by_email("ada@example.org") == "U06ADA"


async def test_a_slack_that_does_not_answer_is_no_answer(slack: StrictSlack, directory: SlackDirectory) -> None:
    slack.trouble.down = True
    with pytest.raises(Unavailable):
        await directory.by_email("ada@example.org")


async def test_the_people_are_read_page_by_page_without_bots_and_who_has_left_and_kept(
    slack: StrictSlack, directory: SlackDirectory
) -> None:
    slack.profiles |= {f"{n}@x.org": {"id": f"U{n:04}", "real_name": f"Person {n}"} for n in range(450)}
    slack.profiles["slackbot"] = {"id": "USLACKBOT", "real_name": "Slackbot"}
    found = [await directory.members() for _ in range(2)][1]
    assert len(found) == 451
    assert ("U0449", "Person 449") in found
    assert ("U06ADA", "U06ADA") in found
    assert slack.count("users.list") == 3


async def test_the_time_zone_is_that_of_the_profile_and_asked_for_once_an_hour(
    slack: StrictSlack, directory: SlackDirectory
) -> None:
    slack.profiles["ada@example.org"]["tz"] = "Asia/Kathmandu"
    assert {await directory.zone("U06ADA") for _ in range(3)} == {"Asia/Kathmandu"}
    assert slack.count("users.info") == 1
    assert await directory.zone("U0ROB") == "", "a profile without a zone"
    with pytest.raises(Refused):
        await directory.zone("U0NOBODY")
