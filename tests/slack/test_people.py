"""Roles from ids and user groups: what is not known gives no right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import BadSettings
from bot.settings import GroupSettings, PersonSettings
from bot.slack import people
from bot.slack.api import SlackSilent, web_client
from bot.slack.people import People, SlackGroups
from tests.slack.bot import running_bot
from tests.slack.conftest import CHANNEL
from tests.slack.strict import BOT_TOKEN, StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import Callable

ADA = PersonSettings(slack="U01ADA", name="Ada", roles=("viewer",))
RELEASERS = GroupSettings(slack="S01", roles=("releaser",))
APPROVERS = GroupSettings(slack="S02", roles=("approver", "releaser"))


class Told:
    """Who is in which group, until it is silent."""

    def __init__(self, **groups: set[str]) -> None:
        self.groups, self.silent, self.asked = groups, False, 0

    async def members(self, group: str, /) -> frozenset[str]:
        self.asked += 1
        if self.silent:
            raise SlackSilent("Slack does not answer.")
        return frozenset(self.groups[group])


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(people.time, "monotonic", lambda: now[0])

    def let(seconds: float) -> None:
        now[0] += seconds

    return let


async def test_roles_of_id_and_groups_add_up() -> None:
    known = People([ADA], [RELEASERS, APPROVERS], members=Told(S01={"U01ADA", "U02"}, S02={"U02"}))
    ada, other, stranger = [await known.person(one) for one in ("U01ADA", "U02", "U03")]
    assert (ada.name, ada.roles) == ("Ada", {"viewer", "releaser"})
    assert (other.name, other.roles) == ("<@U02>", {"approver", "releaser"})
    assert stranger.roles == frozenset()
    assert (await known.person("")).roles == frozenset()


async def test_members_are_kept_for_minutes_and_then_asked_for_again(passes: Callable[[float], None]) -> None:
    told = Told(S01={"U02"})
    known = People([], [RELEASERS], members=told)
    assert (await known.person("U02")).roles == {"releaser"}
    told.groups["S01"] = set()
    passes(people.KEPT - 1)
    assert (await known.person("U02")).roles == {"releaser"}
    assert told.asked == 1
    passes(2)
    assert (await known.person("U02")).roles == frozenset(), "who left the group has lost its roles"


async def test_when_slack_is_silent_groups_give_nothing_and_ids_still_count(passes: Callable[[float], None]) -> None:
    told = Told(S01={"U01ADA", "U02"})
    known = People([ADA], [RELEASERS], members=told)
    assert (await known.person("U02")).roles == {"releaser"}
    passes(people.KEPT + 1)
    told.silent = True
    assert (await known.person("U02")).roles == frozenset(), "an old answer is not believed"
    assert (await known.person("U01ADA")).roles == {"viewer"}
    asked = told.asked
    passes(people.FAILED - 1)
    await known.person("U02")
    assert told.asked == asked, "a silent Slack is not asked at every click"
    told.silent = False
    passes(2)
    assert (await known.person("U02")).roles == {"releaser"}


async def test_without_groups_slack_is_not_asked() -> None:
    told = Told()
    await People([ADA], members=told).person("U01ADA")
    assert told.asked == 0


async def test_slack_is_asked_by_its_own_method(slack: StrictSlack) -> None:
    slack.groups = {"S01": {"U02"}}
    async with web_client(token=BOT_TOKEN, base_url=slack.api) as client:
        known = People([], [RELEASERS, APPROVERS], members=SlackGroups(client))
        assert (await known.person("U02")).roles == {"releaser"}, "S02 does not exist"
    assert slack.count("usergroups.users.list") == 2


@pytest.mark.parametrize("trouble", ["scope", "down", "limited"])
async def test_a_member_may_and_with_slack_in_trouble_may_not(slack: StrictSlack, trouble: str) -> None:
    """U09STRANGER is in no settings, only in the group."""
    slack.groups = {"S01": {"U09STRANGER"}}
    async with running_bot(slack, groups=[RELEASERS]) as bot:
        await slack.command("U09STRANGER", "ping in", channel=CHANNEL)
        await until(lambda: bot.office.done == ["ping in"])
    async with running_bot(slack, groups=[RELEASERS]) as bot:
        match trouble:
            case "scope":
                slack.scopes -= {"usergroups:read"}
            case "down":
                slack.trouble.errors["usergroups.users.list"] = ["internal_error"]
            case "limited":
                slack.trouble.limited["usergroups.users.list"] = (1, 1)
        await slack.command("U09STRANGER", "ping out", channel=CHANNEL)
        await until(lambda: any("I do not know you" in one["text"] for one in slack.whispers))
        await slack.command("U01REL", "ping", channel=CHANNEL)
        await until(lambda: bot.office.done == ["ping"])


def test_a_group_listed_twice_is_refused() -> None:
    import yaml

    from bot.settings import parse
    from bot.settings_example import EXAMPLE

    raw = yaml.safe_load(EXAMPLE)
    raw["groups"] *= 2
    with pytest.raises(BadSettings, match="groups lists S0123456789 twice"):
        parse(raw)
