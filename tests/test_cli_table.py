"""What `releasebot review` and `backtest` print for people."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from bot.cli_table import page, table
from bot.domain.changes import Relation
from bot.domain.findings import Finding, Kind, Severity
from bot.domain.strategy import Strategy, StrategyName
from tests.views import worlds


def test_the_summary_stands_first_and_what_was_not_seen_before_it() -> None:
    lines = page(worlds.review(blind_spots=("es_export.py does not parse",)), width=100).splitlines()
    assert lines[0] == "Review of release...master"
    assert lines.index("Not seen, so look yourself") < lines.index(next(one for one in lines if "Strategy" in one))
    assert "  Changes     1 commit, 1 pull request by 1 author" in lines
    assert "  Version     1.9.10 (patch after 1.9.9)" in lines
    assert "  Findings    1 attention" in lines


def test_findings_are_grouped_the_gravest_first_each_with_its_place_and_what_to_do() -> None:
    blocking = Finding(Kind.ENGINE_SCRIPT, "scripts/x.py", Severity.BLOCKING, "scripts/x.py", action="Ask its author.")
    text = page(worlds.review(findings=(*worlds.review().findings, blocking)), width=100)
    assert text.index("Blocking (1)") < text.index("Needs attention (1)")
    assert "  engine_script      scripts/x.py\n                     => Ask its author." in text
    assert "  es_field_added     is_mono\n                     metaspace/engine/sm/engine/es_export.py:470" in text


def test_long_sentences_are_wrapped_and_paths_left_whole() -> None:
    reason = f"words {'and words ' * 30}(metaspace/{'deep/' * 20}file.py:7)"
    shown = page(worlds.review(strategy=Strategy(StrategyName.FORK_VM, (), (reason,))), width=80)
    assert all(len(line) <= 80 for line in shown.splitlines() if "/" not in line)
    assert f"(metaspace/{'deep/' * 20}file.py:7)" in shown


def test_a_range_with_nothing_in_it_says_so_and_advises_nothing() -> None:
    shown = page(worlds.review(relation=Relation.IDENTICAL, commits=()), width=100)
    assert "none: master has no commit that release lacks" in shown
    assert "Strategy" not in shown


def test_a_table_is_aligned_and_begins_with_how_it_adds_up() -> None:
    heavy = replace(worlds.review(), strategy=Strategy(StrategyName.FORK_VM, (), ("x",)), blind_spots=("y",))
    lines = table([worlds.review(), worlds.review(), heavy]).splitlines()
    assert lines[:3] == [
        "3 ranges, release to master: 3 commits, 3 pull requests",
        "Strategies: deploy_then_es_update 2, fork_vm 1",
        "Not everything could be seen in 1 range, marked with !",
    ]
    head, rule, *rows = lines[4:]
    assert (
        len({line.index(word) for line, word in ((head, "strategy"), (rows[0], "deploy"), (rows[2], "fork_vm"))}) == 1
    )
    assert set(rule) == {"-", " "}
    assert rows[2].startswith("release..master !")
    assert rows[0].endswith("+1")


def test_a_table_of_nothing_says_why() -> None:
    assert "No two version tags" in table([])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(worlds.reviews)
def test_no_title_drives_the_terminal(found: worlds.Review) -> None:
    for text in (page(found, width=80), table([found])):
        assert all(one.isprintable() or ord(one) > 127 for line in text.splitlines() for one in line)
