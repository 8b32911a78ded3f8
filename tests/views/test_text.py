from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views import limits, text
from bot.views.kit import lines
from tests.views import worlds

RAW = re.compile(r"[<>*~`]|&(?!amp;|lt;|gt;)")


@given(worlds.texts)
def test_outside_text_has_no_character_that_slack_acts_on(raw: str) -> None:
    shown = text.escape(raw)
    assert not RAW.search(shown)
    assert "\n" not in shown
    assert not re.search(r"@(?!\u2060)", shown)
    assert not re.search(r":[\w+'-]+:", shown)
    assert not re.search(r"(?:^|[^a-zA-Z0-9])_\S", shown, re.ASCII) or not re.search(r"(?<![^\W_])_", shown)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("<@U1> & <!here>", "&lt;@\u2060U1&gt; &amp; &lt;!here&gt;"),
        ("es_field_added", "es_field_added"),
        ("_slanted_", "ˍslantedˍ"),
        ("*b* ~s~ `c`", "∗b∗ ∼s∼ ʼcʼ"),
        (":bug: fix: it", "∶bug: fix: it"),
        ("> quoted", "› quoted"),
        ("two\nlines", "two lines"),
    ],
)
def test_escape_keeps_what_can_be_read(raw: str, shown: str) -> None:
    assert text.escape(raw) == shown


@given(worlds.texts, worlds.texts)
def test_a_sentence_that_quotes_what_was_typed_lets_nothing_of_it_act(typed: str, more: str) -> None:
    hostile = f"{typed}<!channel><@U02OTHER><#C02|x><https://evil.example|click>{more}"
    shown = text.own(f"<@U01ADA> has locked prod, not {hostile}", hostile)
    assert re.findall(r"<[^<>]*>", shown) == ["<@U01ADA>"]


def test_a_sentence_keeps_the_bots_own_people_channels_times_and_entities() -> None:
    said = "<@U01ADA> in <#C01DEV> at <!date^1^{time}|00:00 UTC>: a &lt; b & c"
    assert text.own(said) == said.replace(" & ", " &amp; ")


@given(worlds.texts)
def test_code_cannot_be_left_from_inside(raw: str) -> None:
    shown = text.code(raw)
    assert shown.count("`") == 2
    assert not re.search(r"[<>]", shown)


@given(worlds.texts, st.integers(1, 50))
def test_shortened_text_is_never_longer(raw: str, limit: int) -> None:
    assert text.size(text.shorten(raw, limit)) <= limit


@given(
    st.lists(st.sampled_from(["<@U01>", "&amp;", "`code it`", "word ", "<https://a.example|b>"])).map("".join),
    st.integers(1, 80),
)
def test_cutting_never_halves_a_link_an_entity_or_code(raw: str, limit: int) -> None:
    shown = text.cut(raw, limit)
    assert text.size(shown) <= max(limit, 1)
    assert shown.count("<") == shown.count(">")
    assert shown.count("`") % 2 == 0
    assert not re.search(r"&(?!amp;)", shown)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (0.4, "under 1 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (100_800, "1 d 4 h")],
)
def test_durations_use_their_two_largest_units(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_times_are_in_the_readers_zone_with_utc_behind() -> None:
    at = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
    assert text.when(at) == f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|2026-08-03 12:00 UTC>"


def test_an_address_that_is_none_is_not_linked() -> None:
    assert text.link("javascript:alert(1)", "here") == "here"
    assert text.link("https://a.example/x y>|<z", "he>re|x") == "<https://a.example/x%20y%3E%7C%3Cz|he&gt;re¦x>"


def test_lines_that_do_not_fit_are_counted() -> None:
    blocks = lines(["x" * 100] * 50, room=1010)
    assert blocks[-1].to_dict()["text"]["text"].endswith("… and 40 more.")


def test_the_checker_finds_what_slack_would_refuse() -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    assert "section text has 3001 characters, at most 3000" in limits.message_faults("t", [section])
    assert "the fallback text is empty" in limits.message_faults(" ", [])
    assert any("51 blocks" in fault for fault in limits.message_faults("t", [{"type": "divider"}] * 51))
    twice = {"type": "divider", "block_id": "a"}
    assert "block_id 'a' is used 2 times" in limits.message_faults("t", [twice, twice])
    full = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}
    assert any("in all" in fault for fault in limits.message_faults("t", [full] * 5))
    box = {"type": "button", "text": {"text": "x"}, "action_id": "a", "value": "v" * 2001}
    assert len(limits.message_faults("t", [{"type": "actions", "elements": [box, box]}])) == 3
    entry = {"type": "input", "label": {"text": "L"}, "element": {"type": "plain_text_input"}}
    assert limits.modal_faults({"title": {"text": "x" * 25}, "blocks": [entry]}) == [
        "modal title has 25 characters, at most 24",
        "a modal with inputs needs a submit button",
    ]
