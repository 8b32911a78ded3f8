"""The command line over a real clone: METASPACE's own if METASPACE_REPO names one, else a small one made here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot.cli_review import backtest, review
from tests.integrations.test_history import Clone

EXAMPLES = Path(__file__).parent.parent / "data" / "review-examples.json"
# Where we disagree with the examples; the reasons stand in docs/strategies.md.
DISAGREEMENTS = {"1.7.8..1.8.1: es_values_changed: not in the truth: annotation_counts"}


@pytest.fixture(scope="module")
def metaspace() -> str:
    path = os.environ.get("METASPACE_REPO", "")
    if not path:
        pytest.skip("METASPACE_REPO names no clone of METASPACE")
    return path


@pytest.fixture
def small(tmp_path: Path) -> Clone:
    clone = Clone(tmp_path / "small")
    clone.commit("Begin (#1)", a="a")
    clone.git("tag", "1.0.0")
    clone.commit("Docker (#2)", docker__Dockerfile="FROM x")
    clone.git("tag", "1.0.1")
    clone.commit("fix: a <!channel> (#3)", metaspace__engine__scripts__x="1")
    clone.git("tag", "1.0.2")
    return clone


def run(command: Any, *arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_review_prints_one_object(small: Clone) -> None:
    code, out, _ = run(review, "--repo", small.path, "--base", "1.0.0", "--head", "1.0.1", "--json")
    assert code == 0
    assert json.loads(out)["findings"][0]["subject"] == "docker/Dockerfile"


def test_review_prints_a_page_for_people(small: Clone) -> None:
    code, out, _ = run(review, "--repo", small.path, "--base", "1.0.0", "--head", "1.0.2")
    assert code == 0
    assert "  Strategy    in_place" in out
    assert "docker/Dockerfile" in out


def test_backtest_reviews_consecutive_tags(small: Clone) -> None:
    code, out, _ = run(backtest, "--repo", small.path, "--json")
    assert code == 0
    assert [entry["head"]["ref"] for entry in json.loads(out)] == ["1.0.1", "1.0.2"]
    assert "1.0.0..1.0.1" in run(backtest, "--repo", small.path)[1]


def test_wrong_use_ends_with_two_and_a_hint(small: Clone, tmp_path: Path) -> None:
    code, _, err = run(review, "--repo", small.path, "--base", "1.0.9", "--head", "1.0.1")
    assert code == 2
    assert "did you mean" in err
    assert run(review, "--repo", tmp_path / "absent", "--base", "a", "--head", "b")[0] == 2
    bad = tmp_path / "bad.json"
    for text in ("{", '{"a": 1}', '[{"from": 1}]'):
        bad.write_text(text)
        assert run(backtest, "--repo", small.path, "--truth", bad)[0] == 2


def truth_of(clone: Clone) -> dict[str, Any]:
    sha = [clone.git("rev-parse", name) for name in ("1.0.0", "1.0.1")]
    return {
        "from": "1.0.0",
        "to": "1.0.1",
        "from_sha": sha[0],
        "to_sha": sha[1],
        "merge_base": sha[0],
        "relation": "linear",
        "commit_count": 1,
        "prs": [2],
        "es_export_touched": False,
        "docker_changes": ["A docker/Dockerfile"],
        "acceptable_strategies": ["in_place"],
    }


def test_a_truth_that_agrees_ends_with_zero(small: Clone, tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps([truth_of(small)]))
    code, out, _ = run(backtest, "--repo", small.path, "--truth", path)
    assert (code, out.splitlines()[-1]) == (0, "1 ranges compared, no differences.")


def test_each_difference_from_the_truth_is_a_line_and_the_end_is_one(small: Clone, tmp_path: Path) -> None:
    wrong = {
        **truth_of(small),
        "prs": [2, 5],
        "docker_changes": [],
        "es_export_touched": True,
        "commit_count": 3,
        "acceptable_strategies": ["fork_vm"],
        "es_value_semantics": ["mz differs"],
        "es_fields_added": [{"field": "x", "needed_by_new_code": False}],
        "graphql_nonnull_risks": [{"field": "A.b", "change": "added"}, {"field": "A.c", "change": "tightened"}],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps([wrong, {"from": "9.0.0", "to": "9.0.1"}]))
    code, out, _ = run(backtest, "--repo", small.path, "--truth", path)
    assert code == 1
    for text in (
        "commits: 1, not 3",
        "pull_requests: missing: 5",
        "docker: not in the truth",
        "es_export_touched",
        "mz differs",
        "es_field_added: missing: x",
        "graphql_non_null: missing: A.b",
        "strategy",
        "no such range",
    ):
        assert text in out
    assert "A.c" not in out


def test_the_known_ranges_of_metaspace_are_right(metaspace: str) -> None:
    _, out, _ = run(backtest, "--repo", metaspace, "--truth", EXAMPLES)
    assert set(out.splitlines()[:-1]) == DISAGREEMENTS


def test_every_range_of_metaspace_has_a_review_with_reasons_and_all_its_pull_requests(metaspace: str) -> None:
    code, out, _ = run(backtest, "--repo", metaspace, "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found) == 130
    assert all(entry["strategy"]["reasons"] for entry in found)
    assert [entry["blind_spots"] for entry in found if entry["blind_spots"]] == []
    for entry in found:
        command = ["git", "-C", metaspace, "log", "--format=%s", f"{entry['base']['sha']}..{entry['head']['sha']}"]
        subjects = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        assert len(subjects) == entry["commits"]
        squashed = {
            subject.rsplit("(#", 1)[1].rstrip(") ")
            for subject in subjects
            if subject.rstrip().endswith(")") and "(#" in subject
        }
        merged = {
            subject.split("#", 1)[1].split()[0] for subject in subjects if subject.startswith("Merge pull request #")
        }
        assert squashed | merged == {str(pull["number"]) for pull in entry["pull_requests"]}
