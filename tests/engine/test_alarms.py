"""What the channel is told of approvals and troubles, from the log of a real release."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.domain.approval import BREAK_GLASS
from bot.domain.release import DecisionKind
from bot.engine.narrator import Narrator
from tests.engine.scripted import ADMIN, APPROVER, RELEASER, Bot, Files, approved, opened, plan, running, steps
from tests.engine.test_narrator import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

PEOPLE = {"approver": [RELEASER.slack, APPROVER.slack, ADMIN.slack]}
PLAN = approved(plan(("hard", "file"), ("last", "file")), "hard", count=2, expires=4)


async def told(bot: Bot, slack: Outbox, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    narrator = Narrator(bot.desk, slack, bot.desk.bell, "C01DEV", approvers=lambda role: PEOPLE.get(role, []))
    async with asyncio.timeout(20):
        while not reached(slack.messages):
            await narrator.turn()
            await bot.desk.bell.wait(at_most=0.05)
    return slack.messages


def with_text(messages: dict[str, Any], words: str) -> list[str]:
    return [key for key, one in messages.items() if words in one["text"] + str(one["blocks"])]


async def test_those_who_may_approve_are_asked_reminded_and_told_what_became_of_it(url: str, files: Files) -> None:
    slack = Outbox()
    async with opened(url, steps(files), facts={"remind_every": 0.2}) as bot, running(bot):
        release = await bot.start(PLAN)
        question = await bot.asked(release)
        messages = await told(bot, slack, lambda seen: bool(with_text(seen, "still waits")))
        asked = messages[f"{release}:{question}"]["text"]
        assert APPROVER.slack in asked
        assert ADMIN.slack in asked
        assert RELEASER.slack not in asked, "the starter cannot approve"
        (reminder, *_) = with_text(messages, "still waits")
        assert reminder.startswith(f"{release}:alarm:")
        await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=APPROVER)
        messages = await told(bot, slack, lambda seen: bool(with_text(seen, "no longer count")))
        assert "has expired" in str(messages[with_text(messages, "no longer count")[0]]["blocks"])
        assert "It is asked anew" in str(messages[f"{release}:{question}"]["blocks"])
        again = (await bot.until(release, lambda seen: any(q.id != question for q in seen.questions))).questions[0].id
        glass: dict[str, Any] = {"value": BREAK_GLASS, "reason": "the site is down", "form": {"typed": "1.9.10"}}
        await bot.desk.answer(question=again, kind=DecisionKind.APPROVE, by=ADMIN, **glass)
        await bot.finished(release)
        messages = await told(bot, slack, lambda seen: bool(with_text(seen, "broke the glass for")))
        (alone,) = with_text(messages, "broke the glass for")
        assert "the site is down" in str(messages[alone]["blocks"])
        assert messages[alone]["under"] == "", "a message of its own in the channel"
