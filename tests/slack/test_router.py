"""Words, roles and where a request goes, with a voice that only listens."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import NotAllowed, WrongUse
from bot.domain.readmodel import Person
from bot.slack.context import place_in, place_out
from bot.slack.router import Click, Command, CommandContext, Place, Router, TriggerExpired, may, options
from bot.slack.words import split

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = "C01DEV"


@dataclass
class Listener:
    """A voice that keeps what is said."""

    whispers: list[str] = field(default_factory=list)
    views: list[Mapping[str, Any]] = field(default_factory=list)
    expired: bool = False

    async def whisper(self, *, place: Place, text: str, blocks: Any) -> None:
        self.whispers.append(text)

    async def say(self, *, key: str, place: Place, text: str, blocks: Any, file: Any) -> None:
        raise AssertionError(text)

    async def open_view(self, *, trigger: str, view: Mapping[str, Any]) -> str:
        if self.expired:
            raise TriggerExpired("too late")
        self.views.append(view)
        return "V1"

    async def update_view(self, *, view_id: str, view: Mapping[str, Any]) -> None:
        self.views.append(view)


def context(*roles: str, voice: Listener | None = None, channel: str = HERE) -> CommandContext:
    person = Person("U1", "One", frozenset(roles))
    office: Any = None
    return CommandContext(person, Place(channel, "171.1", "U1"), "cmd-1", office, voice or Listener(), text="form")


async def _nothing(ctx: CommandContext, _: Any) -> None:
    ctx.answered = True


def router(*commands: Command) -> Router:
    return Router(commands or (Command("status", "Look.", _nothing),), channel=HERE)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("lock prod 'ES is being upgraded'", ("lock", "prod", "ES is being upgraded")),
        ("lock “smart quotes” now", ("lock", "smart quotes", "now")),
        ("lock it's Lisa's turn", ("lock", "it's", "Lisa's", "turn")),
        ('say "never closed', ("say", '"never', "closed")),
        ('--reason="two words"', ("--reason=two words",)),
        ("review <https://github.com/a/b|github.com/a/b> &lt;3", ("review", "github.com/a/b", "<3")),
        ("who <@U1|lisa> <#C1|dev>", ("who", "<@U1>", "<#C1>")),
        ("  ", ()),
    ],
)
def test_words_are_split_as_people_mean_them(typed: str, words: tuple[str, ...]) -> None:
    assert split(typed) == words


@given(st.text())
def test_splitting_never_fails(typed: str) -> None:
    assert all(isinstance(word, str) for word in split(typed))


def test_options_are_told_from_words_also_behind_a_long_dash() -> None:
    found = options(
        ("prod", "—hotfix", "--only=a,b", "--version", "1.2.3"), switches={"hotfix"}, values={"only", "version"}
    )
    assert found.words == ("prod",)
    assert found.switches == {"hotfix"}
    assert found.values == {"only": "a,b", "version": "1.2.3"}


@pytest.mark.parametrize(
    "typed",
    [
        ("prod", "--at", "tomorrow", "7am", "--hotfix"),
        ("--hotfix", "prod", "--at=tomorrow", "7am"),
        ("prod", "—at", "tomorrow 7am", "—hotfix"),
    ],
)
def test_a_phrase_has_all_words_up_to_the_next_option(typed: tuple[str, ...]) -> None:
    found = options(typed, switches={"hotfix"}, phrases={"at"})
    assert (found.words, found.switches, found.values) == (("prod",), {"hotfix"}, {"at": "tomorrow 7am"})
    with pytest.raises(WrongUse, match="--at needs a value"):
        options(("--at", "--hotfix"), switches={"hotfix"}, phrases={"at"})


@pytest.mark.parametrize("typed", [("--nope",), ("--only",), ("--only=",), ("--hotfix=yes",)])
def test_an_option_that_cannot_be_says_which_can(typed: tuple[str, ...]) -> None:
    with pytest.raises(WrongUse):
        options(typed, switches={"hotfix"}, values={"only"})


@pytest.mark.parametrize(
    ("roles", "role", "allowed"),
    [
        ((), "viewer", False),
        ((), "", True),
        (("viewer",), "releaser", False),
        (("releaser",), "viewer", True),
        (("releaser",), "approver", False),
        (("approver",), "releaser", False),
        (("admin",), "approver", True),
    ],
)
def test_what_is_not_given_by_name_is_denied(roles: tuple[str, ...], role: str, *, allowed: bool) -> None:
    assert may(Person("U1", "One", frozenset(roles)), role) is allowed


async def test_a_typo_is_told_the_nearest_command() -> None:
    with pytest.raises(WrongUse) as refused:
        await router().command(context("viewer"), "statsu prod")
    assert "/release status" in refused.value.hint


async def test_names_are_known_in_any_case() -> None:
    ctx = context("viewer")
    await router().command(ctx, "Status")
    assert ctx.answered


async def test_another_channel_is_told_the_right_one_and_strangers_nothing_about_channels() -> None:
    with pytest.raises(NotAllowed, match=HERE):
        await router().command(context("viewer", channel="C9"), "status")
    with pytest.raises(NotAllowed, match="do not know you"):
        await router().command(context(channel="C9"), "status")


async def test_a_button_needs_its_own_role_where_it_has_one() -> None:
    command = Command("status", "Look.", _nothing, buttons={"abort": _nothing}, roles={"abort": "releaser"})
    click = Click("abort", "abort:1", "R1")
    with pytest.raises(NotAllowed, match="releaser"):
        await router(command).click(context("viewer"), click)
    await router(command).click(context("releaser"), click)


def test_two_commands_with_one_button_are_a_bug_found_at_the_start() -> None:
    one, two = (Command(name, "x", _nothing, buttons={"go": _nothing}) for name in ("one", "two"))
    with pytest.raises(ValueError, match="'go' belongs to two"):
        router(one, two)


def test_a_role_that_does_not_exist_is_a_bug_found_at_the_start() -> None:
    with pytest.raises(ValueError, match="boss"):
        Command("one", "x", _nothing, role="boss")


def test_commands_are_found_by_looking_into_the_package() -> None:
    import commands

    found = Router.discover(commands, channel=HERE)
    assert all(isinstance(one, Command) for one in found.commands)
    assert isinstance(commands, types.ModuleType)


async def test_a_form_remembers_where_it_was_opened() -> None:
    voice = Listener()
    ctx = context("viewer", voice=voice)
    await ctx.open_modal({"type": "modal", "private_metadata": "R7"})
    assert place_out(voice.views[0]["private_metadata"]) == ("R7", Place(HERE, "171.1"))


async def test_a_click_too_old_to_open_a_form_says_so() -> None:
    ctx = context("viewer", voice=Listener(expired=True))
    ctx.text = ""
    with pytest.raises(TriggerExpired):
        await ctx.open_modal({"type": "modal"})


@given(st.text(max_size=500), st.text(max_size=20))
def test_a_place_survives_the_way_through_slack(metadata: str, channel: str) -> None:
    assert place_out(place_in(metadata, Place(channel, "1.2"))) == (metadata, Place(channel, "1.2"))


@given(st.text())
def test_foreign_metadata_is_left_alone(metadata: str) -> None:
    found, _ = place_out(metadata)
    assert found in (metadata, "")
