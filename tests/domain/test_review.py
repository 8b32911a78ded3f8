from __future__ import annotations

import json
from datetime import UTC, datetime

from bot.domain.changes import Commit
from bot.domain.review import pull_requests
from bot.domain.rules.paths import ES_EXPORT
from bot.reviewing import review_range
from tests.domain.exporters import Exporter, Layout, source
from tests.domain.memory_history import MemoryHistory


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
