from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain import rules
from bot.domain.changes import Commit
from bot.domain.review import pull_requests
from bot.domain.rules.paths import ES_EXPORT
from bot.reviewing import review_range
from tests.domain.exporters import Exporter, Layout, source
from tests.domain.memory_history import MemoryHistory

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from bot.domain.findings import Finding
    from bot.domain.rules import Reading


def commit(subject: str, number: int = 0) -> Commit:
    return Commit(f"{number:040}", subject, "Ada", "ada@example.org", datetime(2026, 1, 1, tzinfo=UTC))


def numbers(*subjects: str) -> list[int]:
    return [pull.number for pull in pull_requests(commit(subject) for subject in subjects)]


def test_squashed_and_merged_pull_requests_are_found() -> None:
    assert numbers("Mono mass (#1388)", "Merge pull request #303 from org/feature/x", "Merge branch 'release'") == [
        1388,
        303,
    ]


def test_the_last_of_several_numbers_is_the_pull_request() -> None:
    assert numbers("Remove Spark (#261) (#262)") == [262]


def test_numbers_inside_a_title_are_none() -> None:
    assert numbers("Revert (#5) of yesterday", "Fix #7", "(#x)") == []


def test_a_pull_request_counts_once_even_when_merged_twice() -> None:
    assert numbers("A (#1)", "A (#1)") == [1]


def test_a_title_full_of_mrkdwn_survives() -> None:
    (pull,) = pull_requests([commit("<!channel> *x* `y` " + "z" * 1000 + " (#4)")])
    assert pull.number == 4
    assert pull.title.startswith("<!channel>")


def test_the_json_has_exactly_the_promised_keys() -> None:
    exporter = Exporter()
    more = Exporter(columns={**exporter.columns, "prob": "m.prob"})
    history = MemoryHistory(
        {ES_EXPORT: source(exporter, Layout())},
        {ES_EXPORT: source(more, Layout()), ".circleci/config.yml": "x"},
        subjects=["Add probability (#7)"],
    )
    data = json.loads(json.dumps(review_range(history, base="1.0.0", head="master").to_json()))
    assert list(data) == [
        "base",
        "head",
        "merge_base",
        "relation",
        "compare_url",
        "commits",
        "pull_requests",
        "findings",
        "strategy",
        "version",
        "notes",
        "blind_spots",
        "remarks",
    ]
    assert data["base"] == {"ref": "1.0.0", "sha": "old"}
    assert data["commits"] == 1
    assert data["compare_url"] == "https://github.com/example/metaspace/compare/1.0.0...master"
    assert list(data["pull_requests"][0]) == ["number", "title", "author", "sha"]
    added = next(finding for finding in data["findings"] if finding["kind"] == "es_field_added")
    assert list(added) == [
        "kind",
        "subject",
        "severity",
        "path",
        "line",
        "index",
        "needed_by_new_code",
        "detail",
        "action",
    ]
    assert "index" not in next(finding for finding in data["findings"] if finding["kind"] == "ci")
    assert list(data["strategy"]) == ["recommended", "parts", "reasons"]
    assert data["version"] == {"current": "1.0.0", "proposed": "1.0.1", "bump": "patch", "milestone_candidates": []}
    assert data["notes"] == [{"kind": "Task", "title": "Add probability", "number": 7}]


def test_an_empty_range_is_a_review_too() -> None:
    found = review_range(MemoryHistory({}, {}), base="a", head="b")
    assert (found.findings, found.pull_requests, found.notes) == ((), (), ())
    assert found.strategy.reasons


def test_a_rule_that_fails_is_a_blind_spot_and_the_others_still_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(reading: Reading) -> Iterator[Finding]:
        raise KeyError("surprise")

    monkeypatch.setattr(rules, "RULES", (broken, *rules.RULES))
    found = review_range(MemoryHistory({}, {".circleci/config.yml": "x"}), base="a", head="b")
    assert [finding.subject for finding in found.findings] == [".circleci/config.yml"]
    assert any("surprise" in spot for spot in found.blind_spots)


def test_hotfixes_that_head_lacks_are_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    history = MemoryHistory({}, {})
    plain = history.compare(base="release", head="master")
    lacking = tuple(commit(f"Hotfix {number}", number) for number in range(7))
    monkeypatch.setattr(history, "compare", lambda **_: replace(plain, lacking=lacking))
    found = review_range(history, base="release", head="master")
    assert found.lacking == lacking
    assert found.remarks[0] == "master lacks 00000000 of release: Hotfix 0"
    assert found.remarks[-1] == "master lacks 2 more commits of release"
