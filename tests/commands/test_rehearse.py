"""`/release rehearse`, its button, and the line that it adds to a plan."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.domain.errors import Conflict, NotAllowed, Unavailable
from bot.domain.rehearsal import RehearsalState
from bot.domain.release import ReleaseState
from bot.slack.context import Place
from bot.views import ids
from tests.commands.fakes import VIEWER, World
from tests.views import worlds


async def test_the_plan_of_a_start_is_rehearsed_with_the_same_words() -> None:
    world = World()
    await world.type("rehearse --hotfix --only sm-graphql,sm-web-app --version 1.9.10")
    request = world.office.requests[-1]
    assert (request["environment"], request["hotfix"], request["only"], request["version"]) == (
        "prod",
        True,
        ("sm-graphql", "sm-web-app"),
        "1.9.10",
    )
    again = "/release rehearse prod --hotfix --only sm-graphql,sm-web-app --version 1.9.10"
    assert world.office.rehearsals.asked == [("1.9.10", "U01REL", again, "")]
    assert world.voice.whispers == ["H1 rehearses 1.9.10 for prod; its message in the channel follows the steps."]


async def test_an_open_release_that_has_not_deployed_is_what_is_rehearsed() -> None:
    world = World()
    world.desk.releases["R7"] = worlds.release(state=ReleaseState.PAUSED)
    for typed in ("rehearse", "rehearse r7"):
        await world.type(typed)
        assert world.office.rehearsals.asked[-1] == ("1.9.10", "U01REL", "/release rehearse R7", "R7")
    assert world.office.requests == [], "no other plan is made"


async def test_only_a_releaser_in_the_release_channel_rehearses() -> None:
    with pytest.raises(NotAllowed, match="needs the role releaser"):
        await World(person=VIEWER).type("rehearse")
    world = World()
    with pytest.raises(NotAllowed, match="Releases are made in"):
        await world.router.command(world.ctx("rehearse", Place("C02GEN", "", "U01REL")), "rehearse")
    with pytest.raises(NotAllowed, match="needs the role releaser"):
        await World(person=VIEWER).press(ids.REHEARSAL_STOP, json.dumps({"rehearsal": "H1"}))


async def test_what_is_missing_or_in_the_way_is_said() -> None:
    world = World()
    for trouble in (Conflict("H1 is rehearsing."), Unavailable("no sshd", hint="apt install openssh-server")):
        world.office.rehearsals.trouble = trouble
        with pytest.raises(type(trouble), match=trouble.message):
            await world.type("rehearse")


async def test_the_button_stops_it() -> None:
    world = World()
    await world.press(ids.REHEARSAL_STOP, json.dumps({"rehearsal": "H3"}))
    assert world.office.rehearsals.asked == [("stop", "H3", "U01REL")]
    assert world.voice.whispers == ["H3 is being stopped."]


async def test_a_preview_says_whether_this_very_plan_was_rehearsed() -> None:
    world = World()
    world.office.rehearsals.wanted = True
    await world.type("start")
    assert "One that passed is required here" in json.dumps(world.voice.views[-1])
    await world.type("rehearse")
    made = world.office.rehearsals.made
    made[0] = replace(made[0], state=RehearsalState.PASSED, permalink="https://slack.example/p1")
    await world.type("start")
    assert "Rehearsed: passed (<https://slack.example/p1|thread>" in json.dumps(world.voice.views[-1])
    world.trigger = ""
    await world.type("start --version 1.10.0")
    assert "the version changed from 1.9.10 to 1.10.0" in json.dumps(world.voice.blocks[-1])
