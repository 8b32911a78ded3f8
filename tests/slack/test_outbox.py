"""The outbox against a strict Slack: one message for one key, whatever happens in between."""

from __future__ import annotations

import itertools

import pytest

from bot.domain.errors import Refused, Unavailable
from bot.slack.announcements import SlackAnnouncements
from bot.slack.context import Attachment
from bot.slack.pace import Pace
from tests.slack.conftest import CHANNEL, OTHER, QUICK, OutboxMaker
from tests.slack.memory import Messages
from tests.slack.strict import StrictSlack, until


def texts(slack: StrictSlack, channel: str = CHANNEL) -> list[str]:
    return [message["text"] for message in slack.messages[channel]]


def settled(store: Messages) -> bool:
    return bool(store.rows) and all(row.sent == row.wanted for row in store.rows.values())


async def test_a_message_is_posted_once_and_then_edited(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="step 1 of 3")
        await until(lambda: settled(store))
        await outbox.put("R1", text="step 2 of 3")
        await until(lambda: settled(store))
    assert texts(slack) == ["step 2 of 3"]
    assert slack.refused == []


async def test_the_first_block_carries_the_rows_id_and_so_does_the_metadata(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="hello", blocks=[{"type": "divider"}])
        await until(lambda: settled(store))
    (message,) = slack.messages[CHANNEL]
    assert message["blocks"][0]["block_id"] == store.rows["R1"].id
    assert message["metadata"]["event_payload"] == {"id": store.rows["R1"].id, "key": "R1"}


async def test_the_same_contents_again_are_not_sent(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        for _ in range(5):
            await outbox.put("R1", text="same")
        await until(lambda: settled(store))
    assert (slack.count("chat.postMessage"), slack.count("chat.update")) == (1, 0)


async def test_edits_are_coalesced_and_the_last_one_wins(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="0")
        await until(lambda: settled(store))
        for number in range(1, 60):
            await outbox.put("R1", text=str(number))
        await until(lambda: settled(store))
    assert texts(slack) == ["59"]
    assert slack.count("chat.update") <= 2


async def test_a_final_state_does_not_wait_for_the_next_edit(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store, Pace(post=0.01, edit=60, edits=0.01)) as outbox:
        await outbox.put("R1", text="running")
        await until(lambda: settled(store))
        await outbox.put("R1", text="step 2")
        await outbox.put("R1", text="succeeded", final=True)
        await until(lambda: texts(slack) == ["succeeded"], within=3)


async def test_posts_in_one_channel_keep_their_distance_and_their_order(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store, pace = Messages(), Pace(post=0.1, edit=0.1, edits=0.01)
    async with make_outbox(store, pace) as outbox:
        for number in range(4):
            await outbox.put(f"m{number}", text=str(number))
        await until(lambda: settled(store))
    times = [at for name, at, _ in slack.calls if name == "chat.postMessage"]
    assert texts(slack) == ["0", "1", "2", "3"]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.09


async def test_a_reply_waits_for_the_message_it_replies_to(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1/1", text="detail", thread_key="R1", broadcast=True)
        await outbox.put("R1", text="dashboard")
        await until(lambda: settled(store))
    dashboard, detail = slack.messages[CHANNEL]
    assert (dashboard["text"], detail["thread_ts"], detail["reply_broadcast"]) == ("dashboard", dashboard["ts"], True)


async def test_retry_after_is_honoured_and_nothing_is_lost(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    slack.trouble.limited["chat.postMessage"] = (2, 0.3)
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="one")
        await until(lambda: settled(store))
    times = [at for name, at, _ in slack.calls if name == "chat.postMessage"]
    assert texts(slack) == ["one"]
    assert len(times) == 3
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.29
    assert slack.count("conversations.history") == 0, "after a plain no there is nothing to look for"


async def test_a_post_whose_answer_was_lost_is_found_and_not_repeated(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.lost["chat.postMessage"] = 1
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="once")
        await until(lambda: settled(store))
    assert texts(slack) == ["once"]
    assert slack.count("chat.postMessage") == 1


async def test_a_lost_reply_is_found_in_its_thread_behind_many_others(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    root = slack.add(CHANNEL, text="root")
    for number in range(450):
        slack.add(CHANNEL, text=str(number), thread_ts=root["ts"])
    slack.trouble.lost["chat.postMessage"] = 1
    async with make_outbox(store) as outbox:
        await outbox.put("R1/1", text="once", thread=root["ts"])
        await until(lambda: settled(store))
    assert texts(slack).count("once") == 1


async def test_a_post_that_never_arrived_is_posted_after_two_looks(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.lost_before["chat.postMessage"] = 1
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="once")
        await until(lambda: settled(store))
    assert texts(slack) == ["once"]
    assert slack.count("conversations.history") == 2


async def test_killed_between_intent_and_confirmation_it_finds_its_message_after_the_restart(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.lost["chat.postMessage"] = 1
    async with make_outbox(store, Pace(post=0.01, retry=60)) as outbox:
        await outbox.put("R1", text="before")
        await until(lambda: slack.count("chat.postMessage") == 1 and store.rows["R1"].intended_at)
    assert store.rows["R1"].ts == ""
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="after")
        await until(lambda: settled(store))
    assert texts(slack) == ["after"]
    assert slack.count("chat.postMessage") == 1


async def test_killed_between_intent_and_post_it_posts_after_the_restart(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.lost_before["chat.postMessage"] = 1
    async with make_outbox(store, Pace(post=0.01, retry=60)) as outbox:
        await outbox.put("R1", text="once")
        await until(lambda: slack.count("chat.postMessage") == 1)
    async with make_outbox(store) as outbox:
        await until(lambda: settled(store))
    assert texts(slack) == ["once"]


async def test_while_slack_is_down_everything_is_kept_and_follows(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    slack.trouble.down = True
    async with make_outbox(store) as outbox:
        for number in range(3):
            await outbox.put(f"m{number}", text=str(number))
        await until(lambda: len(slack.calls) >= 3)
        slack.trouble.down = False
        await until(lambda: settled(store))
    assert texts(slack) == ["0", "1", "2"]


async def test_while_the_database_is_away_nothing_is_posted_twice(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="once")
        await until(lambda: settled(store))
        store.gone = True
        with pytest.raises(Unavailable):
            await outbox.put("R1", text="more")
        store.gone = False
        await outbox.put("R1", text="more")
        await until(lambda: settled(store))
    assert texts(slack) == ["more"]


async def test_a_message_that_somebody_deleted_is_posted_again(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="one")
        await until(lambda: settled(store))
        slack.messages[CHANNEL].clear()
        await outbox.put("R1", text="two")
        await until(lambda: settled(store))
    assert texts(slack) == ["two"]


async def test_a_channel_without_the_bot_holds_up_no_other(slack: StrictSlack, make_outbox: OutboxMaker) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        await outbox.put("lost", text="here?", channel=OTHER)
        await outbox.put("R1", text="there")
        await until(lambda: texts(slack) == ["there"])
        with pytest.raises(Refused, match="not_in_channel"):
            await outbox.delivered("lost", within=3)
        slack.channels[OTHER].add("U0BOT")
        await until(lambda: settled(store))
    assert texts(slack, OTHER) == ["here?"]


async def test_more_than_slack_takes_is_cut_with_all_of_it_in_a_file_and_buttons_kept(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    lines = [{"type": "section", "text": {"type": "mrkdwn", "text": f"line {n} " + "x" * 2500}} for n in range(70)]
    label = {"type": "plain_text", "text": "Go"}
    row = {"type": "actions", "elements": [{"type": "button", "text": label, "action_id": "go"}]}
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="t" * 9000, blocks=[*lines, row])
        await until(lambda: settled(store))
    message, file = slack.messages[CHANNEL]
    assert slack.refused == []
    assert len(message["text"]) <= 4000
    assert message["blocks"][-1]["type"] == "actions"
    assert "follows in a file" in message["blocks"][-2]["elements"][0]["text"]
    assert b"line 69" in slack.uploads[file["files"][0]["id"]]["content"]
    assert file["files"][0]["name"].startswith(store.rows["R1"].id)


async def test_a_file_is_uploaded_once_also_when_the_answer_was_lost(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.lost["files.completeUploadExternal"] = 1
    async with make_outbox(store) as outbox:
        await outbox.put("R1", text="log", file=Attachment("log.txt", "many\nlines\n"))
        await until(lambda: settled(store))
    files = [file["name"] for message in slack.messages[CHANNEL] for file in message.get("files", [])]
    assert files == [f"{store.rows['R1'].id}-log.txt"]
    assert slack.messages[CHANNEL][1]["thread_ts"] == slack.messages[CHANNEL][0]["ts"]


async def test_a_picture_is_uploaded_as_it_is_with_words_for_who_does_not_see_it(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store, data = Messages(), bytes(range(256))
    async with make_outbox(store) as outbox:
        await outbox.put(
            "R1", text="progress", file=Attachment.picture("p.png", data, title="Progress", alt="40 of 100")
        )
        await until(lambda: settled(store))
    (file,) = slack.uploads.values()
    assert (file["content"], file["alt"]) == (data, "40 of 100")
    assert file["name"].endswith("-p.png")


async def test_an_announcement_returns_when_slack_has_it_and_is_found_in_slack_itself(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    async with make_outbox(store) as outbox:
        announcements = SlackAnnouncements(outbox)
        assert await announcements.find(key="R1-start") is None
        posted = await announcements.post(key="R1-start", text="Release 1.9.10 starts")
        assert posted.ts == slack.messages[CHANNEL][0]["ts"]
        assert posted.permalink
        assert await announcements.find(key="R1-start") == posted
        again = await announcements.post(key="R1-start", text="Release 1.9.10 starts")
        assert again == posted
        slack.messages[CHANNEL].clear()
        assert await announcements.find(key="R1-start") is None


async def test_an_announcement_that_slack_does_not_take_in_time_says_that_it_follows(
    slack: StrictSlack, make_outbox: OutboxMaker
) -> None:
    store = Messages()
    slack.trouble.down = True
    async with make_outbox(store, QUICK) as outbox:
        with pytest.raises(Unavailable, match="has not taken"):
            await SlackAnnouncements(outbox, within=0.2).post(key="R1-start", text="starts")
        slack.trouble.down = False
        await until(lambda: settled(store))
