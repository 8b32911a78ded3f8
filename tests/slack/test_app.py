"""People ask, click and submit; a strict Slack repeats and refuses. The same in both modes."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.slack.bot import running_bot
from tests.slack.conftest import CHANNEL, OTHER
from tests.slack.memory import Messages, Requests
from tests.slack.strict import StrictSlack, until

pytestmark = pytest.mark.parametrize("mode", ["socket", "http"])


def whispers(slack: StrictSlack, user: str = "U01REL") -> list[str]:
    return [one["text"] for one in slack.whispers if one["user"] == user]


async def question(slack: StrictSlack, user: str = "U01REL") -> dict[str, Any]:
    await slack.command(user, "ask", channel=CHANNEL)
    return dict(await until(lambda: next((one for one in slack.messages[CHANNEL] if one["text"] == "Go?"), None)))


async def test_a_command_is_acknowledged_and_answered_in_private(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode):
        delivery = await slack.command("U01REL", 'ping "two words"', channel=CHANNEL)
        assert await delivery.acknowledged() == {}
        await until(lambda: whispers(slack) == ["pong two words"])
    assert slack.refused == []


async def test_an_envelope_delivered_three_times_has_one_effect_and_three_acknowledgements(
    slack: StrictSlack, mode: str
) -> None:
    async with running_bot(slack, mode=mode) as bot:
        first = await slack.command("U01REL", "ping", channel=CHANNEL, times=3)
        await first.acknowledged(3)
        said = await slack.mention("U01REL", "say hello", channel=CHANNEL, times=3)
        await said.acknowledged(3)
        message = await question(slack)
        click = await slack.press("U02APP", "decide:go", channel=CHANNEL, message=message, times=3)
        await click.acknowledged(3)
        await until(lambda: len(bot.requests.done) == 4)
        await until(lambda: "hello" in [one["text"] for one in slack.messages[CHANNEL]])
    assert bot.office.done == ["ping", "decided Q1"]
    assert whispers(slack, "U02APP") == ["Decided."]
    assert [one["text"] for one in slack.messages[CHANNEL]].count("hello") == 1


async def test_two_people_clicking_at_once_have_one_effect_and_both_are_answered(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode) as bot:
        message = await question(slack)
        clicks = await asyncio.gather(
            *(slack.press(user, "decide:go", channel=CHANNEL, message=message) for user in ("U02APP", "U04APP"))
        )
        for click in clicks:
            await click.acknowledged()
        await until(lambda: whispers(slack, "U02APP") and whispers(slack, "U04APP"))
    said = {whispers(slack, "U02APP")[0], whispers(slack, "U04APP")[0]}
    winner = bot.office.decided["Q1"]
    assert said == {"Decided.", f"<@{winner}> has already decided.\nNothing was done."}
    assert bot.office.done == ["decided Q1"]


async def test_a_strangers_click_gets_a_private_sentence_and_does_nothing(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode) as bot:
        message = await question(slack)
        await slack.press("U09STRANGER", "decide:go", channel=CHANNEL, message=message)
        await until(lambda: whispers(slack, "U09STRANGER"))
    assert "I do not know you" in whispers(slack, "U09STRANGER")[0]
    assert bot.office.decided == {}
    assert slack.messages[CHANNEL][0]["text"] == "Go?"


async def test_a_click_that_needs_another_role_is_refused_by_name(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode) as bot:
        message = await question(slack)
        await slack.press("U01REL", "decide:go", channel=CHANNEL, message=message)
        await until(lambda: whispers(slack))
    assert "needs the role approver; yours: releaser" in whispers(slack)[0]
    assert bot.office.decided == {}


async def test_every_click_is_answered_also_one_whose_handler_says_nothing_or_is_gone(
    slack: StrictSlack, mode: str
) -> None:
    async with running_bot(slack, mode=mode):
        message = await question(slack)
        await slack.press("U01REL", "quiet", channel=CHANNEL, message=message)
        await until(lambda: whispers(slack) == ["Taken."])
        await slack.press("U01REL", "from_before", channel=CHANNEL, message=message)
        await until(lambda: "older version" in whispers(slack)[-1])


async def test_who_finds_an_environment_taken_is_offered_to_be_told_when_it_is_free(
    slack: StrictSlack, mode: str
) -> None:
    async with running_bot(slack, mode=mode) as bot:
        await slack.command("U01REL", "taken", channel=CHANNEL)
        await until(lambda: whispers(slack))
        await until(lambda: bot.requests.done)
    (said,) = [one for one in slack.whispers if one["user"] == "U01REL"]
    assert said["text"] == "prod is locked by <@U02APP>: import &lt;!channel&gt;\n→ ask them"
    (button,) = said["blocks"][1]["elements"]
    assert (button["action_id"], button["value"]) == ("lock:wait", '{"environment":"prod"}')
    assert slack.refused == []


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("U01REL", CHANNEL, "pin"), "Did you mean `/release ping`?"),
        (("U01REL", CHANNEL, "xyzzy"), "/release help"),
        (("U01REL", OTHER, "ping"), f"Releases are made in <#{CHANNEL}>"),
        (("U03VIEW", CHANNEL, "ask"), "needs the role releaser"),
        (("U09STRANGER", CHANNEL, "ping"), "I do not know you"),
        (("U09STRANGER", CHANNEL, ""), "ping"),
        (("U01REL", CHANNEL, "ping --help"), "Answer."),
        (("U01REL", CHANNEL, 'ping "never closed'), 'pong "never closed'),
    ],
)
async def test_what_cannot_be_done_is_said_in_private(
    slack: StrictSlack, mode: str, asked: tuple[str, str, str], says: str
) -> None:
    user, channel, text = asked
    async with running_bot(slack, mode=mode):
        await slack.command(user, text, channel=channel)
        await until(lambda: whispers(slack, user))
    assert says in whispers(slack, user)[0]


async def test_a_bug_is_an_apology_with_a_number_and_no_detail(
    slack: StrictSlack, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_bot(slack, mode=mode):
        await slack.command("U01REL", "boom", channel=CHANNEL)
        await until(lambda: whispers(slack))
        await slack.command("U01REL", "ping", channel=CHANNEL)
        await until(lambda: len(whispers(slack)) == 2)
    assert "went wrong inside me (error " in whispers(slack)[0]
    assert "secret detail" not in whispers(slack)[0]
    assert "secret detail" in capsys.readouterr().out


async def test_the_same_by_mention_in_a_thread_is_answered_in_that_thread(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode):
        root = slack.add(CHANNEL, text="root")
        await slack.mention("U01REL", "ping x", channel=CHANNEL, thread=root["ts"])
        await until(lambda: slack.whispers)
    assert (slack.whispers[0]["text"], slack.whispers[0]["thread_ts"]) == ("pong x", root["ts"])


async def test_a_modal_opens_complains_and_is_submitted(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode) as bot:
        await slack.command("U01REL", "edit", channel=CHANNEL)
        (view,) = await until(lambda: list(slack.views))
        empty = await slack.submit("U01REL", view, {"text": "  "})
        assert await empty.acknowledged() == {"response_action": "errors", "errors": {"text": "Say something."}}
        full = await slack.submit("U01REL", view, {"text": "All of it"}, times=2)
        assert await full.acknowledged(2) == {}
        await until(lambda: whispers(slack) == ["Saved."])
    assert bot.office.done == ["saved All of it of R7"]
    assert slack.whispers[0]["channel"] == CHANNEL, "a submission is answered where the form was opened"


async def test_where_slack_gives_no_way_to_open_a_form_a_button_does(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode):
        await slack.mention("U01REL", "edit", channel=CHANNEL)
        whisper = await until(lambda: slack.whispers and slack.whispers[0])
        message = {"ts": "1.0", "blocks": whisper["blocks"]}
        await slack.press("U01REL", "router_open", channel=CHANNEL, message=message)
        await until(lambda: slack.views)


async def test_a_trigger_that_expired_becomes_a_button_too(slack: StrictSlack, mode: str) -> None:
    slack.trigger_life = -1
    async with running_bot(slack, mode=mode):
        await slack.command("U01REL", "edit", channel=CHANNEL)
        await until(lambda: slack.whispers)
    assert "needs a click" in slack.whispers[0]["text"]


async def test_a_request_that_was_being_worked_on_is_worked_on_again_after_the_restart(
    slack: StrictSlack, mode: str
) -> None:
    requests, messages = Requests(), Messages()
    async with running_bot(slack, mode=mode, requests=requests, messages=messages) as bot:
        bot.office.hold = asyncio.Event()
        delivery = await slack.command("U01REL", "ping", channel=CHANNEL)
        await delivery.acknowledged()
        await until(lambda: bot.office.done == ["ping"])
    assert whispers(slack) == []
    async with running_bot(slack, mode=mode, requests=requests, messages=messages):
        await until(lambda: requests.done == set(requests.rows))  # noted after the answer has gone out
    assert whispers(slack) == ["pong"]


async def test_a_request_that_ended_the_bot_three_times_is_given_up_with_a_word(slack: StrictSlack, mode: str) -> None:
    requests = Requests()
    for _ in range(3):
        async with running_bot(slack, mode=mode, requests=requests) as bot:
            bot.office.hold = asyncio.Event()
            if not requests.rows:
                await slack.command("U01REL", "ping", channel=CHANNEL)
            await until(lambda bot=bot: bot.office.done == ["ping"])
    async with running_bot(slack, mode=mode, requests=requests) as bot:
        await until(lambda: whispers(slack))
    assert "could not carry out" in whispers(slack)[0]
    assert bot.office.done == []


async def test_when_the_database_does_not_answer_it_says_so_and_does_not_acknowledge(
    slack: StrictSlack, mode: str
) -> None:
    async with running_bot(slack, mode=mode) as bot:
        bot.app.intake._deadline = 0.1
        bot.requests.stuck = asyncio.Event()
        delivery = await slack.command("U01REL", "ping", channel=CHANNEL)
        await until(lambda: whispers(slack))
        assert "database does not answer" in whispers(slack)[0]
        assert delivery.acks == []
        bot.requests.stuck.set()
        again = await slack.deliver("slash_commands", delivery.payload)
        await again.acknowledged()
        await until(lambda: whispers(slack)[-1] == "pong")


async def test_other_events_and_closed_modals_are_acknowledged_and_nothing_more(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode) as bot:
        closed = await slack.deliver(
            "interactive", {"type": "view_closed", "user": {"id": "U01REL"}, "view": {"id": "V"}}
        )
        await closed.acknowledged()
    assert bot.requests.rows == {}


@pytest.mark.parametrize("fault", ["secret", "age", "none"])
async def test_only_requests_that_slack_signed_are_taken(slack: StrictSlack, mode: str, fault: str) -> None:
    if mode == "socket":
        return
    async with running_bot(slack, mode=mode) as bot, aiohttp.ClientSession() as session:
        body = "command=%2Frelease&text=ping&user_id=U01REL&channel_id=C01DEV&trigger_id=1"
        headers = {
            "secret": slack.signature(body, secret="another"),
            "age": slack.signature(body, age=3600),
            "none": {},
        }[fault]
        headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(slack.http, data=body, headers=headers) as answer:
            assert answer.status == 401
    assert bot.requests.rows == {}


async def test_slacks_challenge_is_answered(slack: StrictSlack, mode: str) -> None:
    if mode == "socket":
        return
    async with running_bot(slack, mode=mode):
        challenge = {"type": "url_verification", "challenge": "abc", "token": "x"}
        delivery = await slack.deliver("events_api", challenge)
        assert await delivery.acknowledged() in ({"challenge": "abc"}, {})
        assert slack.count("auth.test") == 0


async def test_a_private_answer_waits_as_long_as_slack_asks(slack: StrictSlack, mode: str) -> None:
    slack.trouble.limited["chat.postEphemeral"] = (2, 0.1)
    async with running_bot(slack, mode=mode):
        await slack.mention("U01REL", "ping", channel=CHANNEL)
        await until(lambda: whispers(slack) == ["pong"])


async def test_where_the_bot_may_not_speak_the_answer_is_a_direct_message(slack: StrictSlack, mode: str) -> None:
    async with running_bot(slack, mode=mode):
        slack.channels[CHANNEL].discard("U0BOT")
        slack.urls.clear()
        delivery = await slack.command("U01REL", "ping", channel=CHANNEL)
        slack.urls.clear()
        await delivery.acknowledged()
        await until(
            lambda: whispers(slack) == ["pong"] or [one["text"] for one in slack.messages["U01REL"]] == ["pong"]
        )


async def test_a_payload_that_makes_no_sense_is_not_acknowledged_and_harms_nobody(
    slack: StrictSlack, mode: str
) -> None:
    async with running_bot(slack, mode=mode) as bot:
        odd = await slack.deliver("interactive", {"type": "block_actions", "actions": ["?"], "user": 7})
        await slack.command("U01REL", "ping", channel=CHANNEL)
        await until(lambda: whispers(slack) == ["pong"])
    assert odd.acks == []
    assert len(bot.requests.rows) == 1
