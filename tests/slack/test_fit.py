"""Whatever is to be said, Slack takes it, and nothing of it is lost unsaid."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.slack.fit import fit
from tests.slack.strict_rules import characters, complaints

WORDS = st.integers(1, 9000).map(lambda n: ("word " * n)[:n].strip() or "w")


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(number: int) -> dict[str, Any]:
    return {"type": "button", "action_id": f"go:{number}", "text": {"type": "plain_text", "text": "Go"}}


BLOCKS = st.one_of(
    WORDS.map(section),
    WORDS.map(lambda text: {"type": "header", "text": {"type": "plain_text", "text": text}}),
    st.integers(1, 60).map(lambda n: {"type": "actions", "block_id": "row", "elements": [button(i) for i in range(n)]}),
    st.integers(1, 30).map(
        lambda n: {"type": "context", "elements": [{"type": "mrkdwn", "text": f"c{i}"} for i in range(n)]}
    ),
    st.integers(1, 25).map(
        lambda n: {"type": "section", "fields": [{"type": "mrkdwn", "text": f"f{i}"} for i in range(n)]}
    ),
    st.just({"type": "divider"}),
)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=6000), st.lists(BLOCKS, max_size=70))
def test_what_was_fitted_is_never_refused(text: str, blocks: list[dict[str, Any]]) -> None:
    rows = 0
    for at, block in enumerate(blocks):
        if "block_id" in block:
            rows += 1
            block["block_id"] = f"row{at}"
    if rows > 5:
        return
    fitted = fit(text, blocks, name="rb-1")
    assert complaints(fitted.blocks, limit=50) == []
    assert characters(fitted.blocks) <= 13_200
    assert fitted.text.strip()
    assert len(fitted.text) <= 4000
    assert fitted.blocks[0]["block_id"] == "rb-1"
    assert _buttons(fitted.blocks) == _buttons(blocks)


def _buttons(blocks: list[dict[str, Any]]) -> int:
    return sum(len(block["elements"]) for block in blocks if block["type"] == "actions")


def test_what_fits_is_left_as_it_is() -> None:
    blocks = [section("one"), {"type": "divider"}, section("two")]
    assert fit("text", blocks).blocks == blocks
    assert fit("text", blocks).rest == ""


def test_a_long_section_becomes_several_that_break_at_line_ends() -> None:
    text = "\n".join(f"line {number}" for number in range(600))
    fitted = fit("text", [section(text)])
    assert "".join(block["text"]["text"] for block in fitted.blocks) == text
    assert fitted.rest == ""


def test_what_is_cut_says_so_and_comes_whole_as_text() -> None:
    fitted = fit("text", [section(f"part {number}") for number in range(80)])
    assert "31 blocks" in fitted.blocks[-1]["elements"][0]["text"]
    assert all(f"part {number}\n" in fitted.rest for number in range(80))
