from __future__ import annotations

import pytest

from bot.domain.world import CommitInfo
from bot.steps.words import commit_lines, listed, plain, spoken
from tests.steps.fakes import START


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (250, "4 min 10 s"), (7325, "2 h 2 min")]
)
def test_durations_have_at_most_two_units(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_long_lists_end_in_a_number() -> None:
    assert listed(["a", "b", "c"], most=2) == "a, b and 1 more"


def test_markup_and_mentions_are_escaped() -> None:
    assert plain("<!channel> & <@U1> *b* :tada:") == "&lt;!channel&gt; &amp; &lt;@\u2060U1&gt; ∗b∗ ∶tada:"


def test_many_commits_are_shortened() -> None:
    lines = commit_lines([CommitInfo(str(n) * 40, "<b>", "Ada", START) for n in range(10)] * 2).splitlines()
    assert len(lines) == 11
    assert lines[0] == "• 00000000 <b> (Ada)"
    assert lines[-1] == "• and 10 more"
