"""What waits for its time is shown within Slack's limits, whatever is in it, and never acts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.queue import Ended, Waiting
from bot.domain.readmodel import LockView
from bot.domain.schedule import Scheduled, State, facts_of
from bot.views import lists, locks, schedule
from bot.views.limits import message_faults, modal_faults
from tests.views import worlds

environments = st.sampled_from(["prod", "a" * 32])  # the settings let names be no longer
waits = st.lists(
    st.builds(
        Waiting,
        id=st.integers(1, 99),
        environment=environments,
        person=worlds.texts,
        asked_at=worlds.times,
        told_at=st.none() | worlds.times,
        claim_until=st.none() | worlds.times,
        ended=st.sampled_from(Ended),
    ),
    max_size=15,
)


@st.composite
def starts(draw: st.DrawFn) -> Scheduled:
    prepared = worlds.prepared()
    return Scheduled(
        id=draw(st.integers(1, 9999)),
        environment=draw(worlds.texts),
        state=draw(st.sampled_from(State)),
        at=worlds.NOW,
        zone="Europe/Berlin",
        request={},
        plan=replace(prepared.plan, version=draw(worlds.texts)),
        facts=facts_of(prepared),
        by=draw(worlds.texts),
        asked=draw(st.integers(0, 2)),
        why=draw(worlds.texts),
        decided_by=draw(worlds.texts),
        release=draw(st.sampled_from(["", "R7"])),
        soon=draw(st.sampled_from([0, int(worlds.NOW.timestamp())])),
    )


@settings(deadline=None)
@given(worlds.locks, environments, waits, worlds.texts)
def test_locks_and_lines_fit(lock: LockView, environment: str, line: list[Waiting], text: str) -> None:
    lock = replace(lock, environment=environment)
    shown = [
        locks.shown(environment, None, line, text),
        locks.shown(environment, lock, line, text),
        locks.joined(environment, line, text),
        locks.left(text),
        locks.taken_over(lock, text),
        locks.needed(lock, "lock-needed"),
        locks.settled(text, text, kept=True),
        lists.status(text, None, lock, line=line),
        *(locks.turn(one, worlds.NOW) for one in line),
    ]
    for message in shown:
        assert message_faults(message.text, message.blocks) == []
    assert modal_faults(locks.take_over_form(replace(lock, owner="U01OWN"), text)) == []


@settings(deadline=None)
@given(st.lists(starts(), max_size=20, unique_by=lambda one: one.id), worlds.texts)
def test_scheduled_starts_fit(found: list[Scheduled], text: str) -> None:
    shown = [
        schedule.listed(text, found),
        lists.status(text, None, None, scheduled=found),
        *(schedule.outcome(one) for one in found),
        *(message for one in found for _, message in schedule.messages(one)),
    ]
    for message in shown:
        assert message_faults(message.text, message.blocks) == []


@given(starts())
def test_each_message_has_a_key_of_its_own_and_only_what_is_open_has_buttons(one: Scheduled) -> None:
    found = dict(schedule.messages(one))
    assert len(found) == 1 + bool(one.soon) + bool(one.asked)
    if one.state in {State.STARTED, State.CANCELLED}:
        assert "action_id" not in json.dumps([message.blocks for message in found.values()])


def test_a_reason_mentions_nobody_but_whom_the_bot_names() -> None:
    waiting = Waiting(1, "prod", "U01A", worlds.NOW, worlds.NOW, worlds.NOW + timedelta(minutes=5))
    lock = LockView("prod", "U01A", "<!channel> *now*", worlds.NOW)
    for message in (
        locks.shown("prod", lock, [waiting], "U02"),
        locks.needed(lock, "k"),
        locks.taken_over(lock, "U03"),
    ):
        assert "<!channel>" not in json.dumps(message.blocks) + message.text
