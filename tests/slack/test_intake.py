"""The intake by itself: what a slow or absent database does to a request."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import Unavailable
from bot.slack.envelope import Envelope, read
from bot.slack.intake import Intake
from tests.slack.memory import Requests
from tests.slack.strict import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONE = Envelope("cmd-1", "command", {"user_id": "U1", "text": "status"})


class StoresAndHangs(Requests):
    """Commits the first request, and does not come back to say so."""

    async def take(self, envelope: Envelope) -> bool:
        new = await super().take(envelope)
        if new:
            await asyncio.Event().wait()
        return new


@contextlib.asynccontextmanager
async def running(store: Requests, worked: list[str], told: list[str]) -> AsyncIterator[Intake]:
    async def work(envelope: Envelope) -> None:
        worked.append(envelope.id)

    async def complain(envelope: Envelope, text: str) -> None:
        told.append(text)

    intake = Intake(store, work=work, complain=complain, deadline=0.05, sweep=0.05)
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_request_stored_after_all_is_worked_on_once_when_slack_repeats_it() -> None:
    worked: list[str] = []
    told: list[str] = []
    async with running(StoresAndHangs(), worked, told) as intake:
        with pytest.raises(Unavailable):
            await intake.take(ONE)
        await until(lambda: told)
        assert worked == []
        for _ in range(3):
            await intake.take(ONE)
        await until(lambda: worked)
    assert worked == ["cmd-1"]
    assert "did not take your request" in told[0]


async def test_what_another_process_left_is_found_by_the_sweep() -> None:
    worked: list[str] = []
    store = Requests()
    async with running(store, worked, []):
        store.rows["cmd-9"], store.tries["cmd-9"] = Envelope("cmd-9", "command", {"user_id": "U1"}), 1
        await until(lambda: worked == ["cmd-9"])
        await until(lambda: store.done == {"cmd-9"})


def test_a_repetition_has_the_same_id_and_another_request_has_not() -> None:
    click = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "trigger_id": "1.a",
        "container": {"message_ts": "17.1", "channel_id": "C1"},
        "actions": [
            {"action_id": "decide:go", "block_id": "b", "value": "Q1", "action_ts": "18.000001", "type": "button"}
        ],
    }
    again = {**click, "trigger_id": "2.b"}
    later = {**click, "actions": [{**click["actions"][0], "action_ts": "18.000002"}]}
    other = {**click, "user": {"id": "U2"}}
    ids = [envelope.id for body in (click, again, later, other) if (envelope := read(body))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_what_is_kept_of_a_request_holds_no_message_and_no_token() -> None:
    body = {
        "type": "block_actions",
        "token": "verification",
        "user": {"id": "U1"},
        "message": {"text": "much"},
        "actions": [{"action_id": "a", "action_ts": "1"}],
    }
    envelope = read(body)
    assert envelope is not None
    assert set(envelope.body) == {"type", "user", "actions", "container"}


def test_link_buttons_and_what_bots_say_are_nobodys_request() -> None:
    link = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "actions": [{"action_id": "a", "url": "https://example.org"}],
    }
    bot = {"type": "event_callback", "event_id": "E", "event": {"type": "app_mention", "bot_id": "B1", "user": "U1"}}
    assert read(link) is None
    assert read(bot) is None


def test_a_click_in_a_thread_is_answered_in_that_thread() -> None:
    body = {
        "type": "block_actions",
        "user": {"id": "U1"},
        "container": {"message_ts": "17.2", "channel_id": "C1"},
        "message": {"ts": "17.2", "thread_ts": "17.1"},
        "actions": [{"action_id": "a", "action_ts": "1"}],
    }
    envelope = read(body)
    assert envelope is not None
    assert (envelope.place.channel, envelope.place.thread) == ("C1", "17.1")


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ({"type": "users_select", "selected_user": "U06ADA"}, "U06ADA"),
        ({"type": "static_select", "selected_option": {"value": "U08CHE", "text": {"type": "plain_text"}}}, "U08CHE"),
        ({"type": "users_select", "selected_user": None}, ""),
    ],
)
def test_a_choice_in_a_menu_is_a_click_with_what_was_chosen(element: dict[str, Any], value: str) -> None:
    action = {"action_id": "people:else:chen", "block_id": "people-0", "action_ts": "18.1", **element}
    body = {"type": "block_actions", "user": {"id": "U01REL"}, "channel": {"id": "C01DEV"}, "actions": [action]}
    envelope = read(body)
    assert envelope is not None
    click = envelope.click()
    assert (click.action, click.action_id, click.value) == ("people", "people:else:chen", value)
