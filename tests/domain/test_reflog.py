from __future__ import annotations

import itertools
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from bot.domain import reflog
from bot.domain.reflog import PASSING, Stay, stays
from bot.domain.world import ReflogEntry

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
OLD, NEW, STALE = "a" * 40, "b" * 40, "c" * 40


def at(minutes: float, sha: str) -> ReflogEntry:
    return ReflogEntry(sha, NOON + timedelta(minutes=minutes), "checkout")


def test_git_prints_what_is_parsed(tmp_path: Path) -> None:
    """A deploy as the repo role makes it: a stay on stale master, the commit that is meant, release's own reflog gone."""
    git = ["git", "-C", str(tmp_path)]

    def run(*words: str, at: str = "2026-08-03T14:00:00+02:00") -> str:
        who = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            [*git, *words], env={**os.environ, **who, **dates}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run("init", "-q", "-b", "master")
    run("commit", "-q", "--allow-empty", "-m", "stale")
    run("checkout", "-q", "-b", "release", at="2026-08-03T14:30:00+02:00")
    run("commit", "-q", "--allow-empty", "-m", "live", at="2026-08-03T14:31:00+02:00")
    live = run("rev-parse", "HEAD")
    run("checkout", "-q", "master", at="2026-08-04T10:00:00+02:00")
    run("checkout", "-q", "-b", "fresh", live, at="2026-08-04T10:00:05+02:00")
    run("commit", "-q", "--allow-empty", "-m", "new", at="2026-08-04T10:00:06+02:00")
    run("branch", "-q", "-D", "release")
    new = run("rev-parse", "HEAD")
    entries = reflog.parse(run(*reflog.COMMAND))
    assert entries[0] == ReflogEntry(new, datetime(2026, 8, 4, 8, 0, 6, tzinfo=UTC), "commit: new")
    assert [one.sha for one in stays(entries)[:2]] == [new, live]
    assert stays(entries)[0].since == datetime(2026, 8, 4, 8, 0, 6, tzinfo=UTC)


def test_lines_of_another_form_are_passed_over() -> None:
    text = f"fatal: no\n{OLD} HEAD@{{2026-13-45T10:00:00+00:00}}: x\n{OLD[:8]} HEAD@{{0}}: checkout\n\n"
    assert reflog.parse(text) == ()


def test_a_short_stay_on_stale_master_was_never_live() -> None:
    moves = [at(60.1, NEW), at(60, STALE), at(0, OLD)]
    assert stays(moves) == (Stay(NEW, NOON + timedelta(minutes=60.1)), Stay(OLD, NOON))


def test_deploying_the_same_commit_again_does_not_begin_a_new_stay() -> None:
    moves = [at(60.1, NEW), at(60, STALE), at(0, NEW)]
    assert stays(moves) == (Stay(NEW, NOON),)


def test_the_newest_move_counts_however_short_it_has_lasted() -> None:
    assert stays([at(0, STALE)]) == (Stay(STALE, NOON),)
    assert stays([]) == ()


@given(st.lists(st.tuples(st.sampled_from([OLD, NEW, STALE]), st.floats(0.0, 10.0)), max_size=20))
def test_stays_are_newest_first_differ_from_their_neighbours_and_begin_with_the_newest_move(
    moves: list[tuple[str, float]],
) -> None:
    entries, minutes = [], 0.0
    for sha, wait in moves:
        minutes += wait
        entries.insert(0, at(minutes, sha))
    found = stays(entries)
    assert all(one.sha != other.sha for one, other in itertools.pairwise(found))
    assert all(one.since - other.since > PASSING or one is found[0] for one, other in itertools.pairwise(found))
    assert [one.sha for one in found[:1]] == [one.sha for one in entries[:1]]
