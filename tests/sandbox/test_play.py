from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bot.views import ids
from sandbox.history import BO
from sandbox.options import Options
from sandbox.play import Player, _key, elements, filled
from sandbox.processes import output
from sandbox.slack import ADMIN, APPROVER, RELEASER
from sandbox.verdict import look, problems, transcript
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def button(label: str, action: str, value: str, style: str = "") -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action,
        "value": value,
        "text": {"type": "plain_text", "text": label},
        **({"style": style} if style else {}),
    }


def message(ts: str, *buttons: dict[str, Any]) -> dict[str, Any]:
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Go?*"}},
        {"type": "actions", "block_id": "b", "elements": list(buttons)},
    ]
    return {"ts": ts, "user": "U0BOT", "text": "Go?", "blocks": blocks}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World(Options()) as made:
        yield made


async def test_the_verdict_names_everything_that_a_release_left_undone(world: World) -> None:
    before = await look(world)
    assert await problems(world, before, []) == ["expected one new version tag on origin, found none"]

    await world.git.git("tag", "1.9.3", "master")
    found = await problems(world, before, [])
    for part in ("not annotated", "release is at", "checkout is at", "sm-api was not restarted", "webapp was built"):
        assert any(part in one for one in found), part
    assert "the start of 1.9.3 was announced 0 times in the channel" in found


async def test_the_verdict_is_clean_when_the_world_is_as_it_must_be(world: World) -> None:
    before = await look(world)
    head = await world.git.head("master")
    await world.git.git("update-ref", "refs/heads/release", head)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    await world.git.git(*identity, "tag", "-a", "-m", "> Release notes:\n>   [Task] One #1", "1.9.3", head)
    await output(["git", "-C", str(world.git.checkout), "fetch", "-q"])
    await output(["git", "-C", str(world.git.checkout), "checkout", "-q", head])
    await world.supervisor.restart("all")
    (world.git.www / "version.json").write_text(json.dumps({"commit": head}))
    said = [
        {"ts": "1", "user": "U0BOT", "text": "Releasing *METASPACE 1.9.3* to prod now."},
        {"ts": "2", "user": "U0BOT", "text": "*METASPACE 1.9.3* is live on prod."},
        {"ts": "3", "thread_ts": "1", "user": "U0BOT", "text": "*METASPACE 1.9.3* is live on prod."},
    ]
    unsaid = await problems(world, before, said)
    assert unsaid[0] == "GitHub has 0 releases for 1.9.3"
    assert unsaid[1:] == [f"#{number} was told 0 times that it is in 1.9.3" for number in range(1510, 1515)]
    world.github.releases.append({"tag_name": "1.9.3", "body": "* [Task] One #1\n\n<!-- x -->"})
    world.github.comments = {number: [{"body": "Released in 1.9.3.\n"}] for number in range(1510, 1515)}
    assert await problems(world, before, said) == []
    world.github.releases[0]["body"] = "* [Task] Two #1"
    assert "other notes than the tag" in (await problems(world, before, said))[0]
    world.github.releases[0]["body"] = "* [Task] One #1"
    twice = await problems(world, before, [*said, {**said[1], "ts": "4"}])
    assert twice == ["the success of 1.9.3 was announced 2 times in the channel"]

    await world.git.push_as(BO, "release", "Sneak in", {"x": "y"})
    assert any("origin's release" in one for one in await problems(world, before, said))


def test_the_player_presses_each_forward_button_of_a_question_once() -> None:
    yes = button("Go", f"{ids.QUESTION}approve", "q1", "primary")
    messages = [
        message("1", button("Start", ids.REVIEW_START, "r", "primary")),
        message("2", yes, button("No", f"{ids.QUESTION}reject", "q1", "danger")),
        message("3", yes),
    ]
    player = Player.__new__(Player)
    player.pressed = set()
    found = player._next_button(messages)
    assert found is not None
    assert found[0] == "2"
    assert found[1]["block_id"] == "b"
    player.pressed.add((found[1]["action_id"], found[1]["value"]))
    assert player._next_button(messages) is None


def test_an_approval_that_waits_for_others_is_given_by_one_after_another() -> None:
    yes = message("2", button("Approve", f"{ids.QUESTION}approve", "q1", "primary"))
    player = Player.__new__(Player)
    player.pressed = set()
    for given, person in (("nobody yet", APPROVER.id), (f"<@{APPROVER.id}>", ADMIN.id)):
        said = {"type": "context", "elements": [{"type": "mrkdwn", "text": f"0 of 2: {given}; waits for 1 approver"}]}
        asked = {**yes, "blocks": [*yes["blocks"], said]}
        found = player._next_button([asked])
        assert found is not None
        assert player.person == person
        player.pressed.add(_key(found[1], person))
    assert player._next_button([yes]) is not None
    assert player.person == RELEASER.id, "who answers what asks no approver"


def test_a_form_is_sent_with_what_it_already_holds() -> None:
    def text(block: str, label: str, **element: Any) -> dict[str, Any]:
        field = {"type": "plain_text_input", "action_id": "value", **element}
        return {"type": "input", "block_id": block, "label": {"type": "plain_text", "text": label}, "element": field}

    boxes = {"type": "checkboxes", "action_id": "value", "options": [], "initial_options": [{"value": "1"}]}
    modal = {
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "x"}},
            text("version", "Version to tag", initial_value="1.9.3"),
            text("typed", "Type 2.0.0 to confirm"),
            {**text("reason", "Reason"), "optional": True},
            {**text("keep-0", "Keep"), "element": boxes},
        ]
    }
    values = filled(modal)
    assert values["version"]["value"]["value"] == "1.9.3"
    assert values["typed"]["value"]["value"] == "2.0.0"
    assert values["reason"]["value"]["value"] is None
    assert values["keep-0"]["value"]["selected_options"] == [{"value": "1"}]


def test_the_thread_is_printed_as_text() -> None:
    first, reply = message("1", button("Go", "a", "1")), {**message("2"), "thread_ts": "1", "user": "U01REL"}
    printed = transcript([first, reply], {"U01REL": "Renata"})
    assert printed == "releasebot:\n  *Go?*\n  [Go]\n    Renata:\n      *Go?*"
    assert elements(first)[0]["block_id"] == "b"
