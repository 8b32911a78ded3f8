from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import notes
from bot.domain.changes import Commit
from bot.domain.drafting import Draft, draft, of_commits, release_note
from bot.domain.notes import Note, NoteKind
from bot.domain.review import PullRequest
from bot.domain.world import IssueInfo, PullRequestInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

TASK, BUG, DEPENDABOT = NoteKind


def drafted(
    title: str = "Feat/mono mass", *, body: str = "", labels: Sequence[str] = (), issues: Sequence[IssueInfo] = ()
) -> Draft:
    """The draft of one pull request, number 9."""
    closes = tuple(issue.number for issue in issues)
    known = {9: PullRequestInfo(9, title, "ada", tuple(labels), body, closes)}
    linked = {issue.number: issue for issue in issues}
    return draft([PullRequest(9, "As it was merged", "Ada", "a" * 40)], known=known, issues=linked)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Release note: Masses are shown", "Masses are shown"),
        ("text\n\n**Release note:** `sm` is faster\nmore", "`sm` is faster"),
        ("- release-note: One thing", "One thing"),
        ("Release notes:\nMasses are\nshown\n\nOther text", "Masses are shown"),
        (
            "## Release note\n\n* [x] See the [mass](https://x.example/1)\n* and more\n\n## Tests\nyes",
            "See the mass and more",
        ),
        ("```release-note\nMasses are shown\n```", "Masses are shown"),
        ("Release note: none", ""),
        ("### Release notes\n\nN/A", ""),
        ("## Release note\n## Tests", ""),
        ("<!-- Release note: write it here -->", None),
        ("> Release note: quoted\n\n```\nRelease note: code\n```", None),
        ("See the release notes: they are long", None),
        ("No such thing", None),
        ("", None),
    ],
)
def test_the_words_that_a_pull_request_has_for_users(body: str, said: str | None) -> None:
    assert release_note(body) == said


@given(st.text())
def test_any_body_gives_one_line_or_nothing(body: str) -> None:
    said = release_note(f"Release note: {body}")
    assert said is None or "\n" not in said


def test_its_release_note_wins_over_every_title() -> None:
    found = drafted(body="Release note: masses are shown", issues=[IssueInfo(3, "Show masses")])
    assert found.lines == (Note(TASK, "Masses are shown", 9),)


def test_a_release_note_may_say_its_kind() -> None:
    assert drafted(body="Release note: [Bug] masses were wrong").lines == (Note(BUG, "Masses were wrong", 9),)


def test_who_says_that_there_is_nothing_to_tell_is_left_out_and_not_lost() -> None:
    found = drafted(body="Release note: none")
    assert (found.lines, found.left_out) == ((), (Note(TASK, "Mono mass", 9),))


def test_the_issue_that_it_closes_gives_words_and_kind() -> None:
    assert drafted(issues=[IssueInfo(3, "[Webapp] Table is empty", ("type: bug",))]).lines == (
        Note(BUG, "Table is empty", 9),
    )


def test_with_several_issues_its_own_title_stands_and_a_bug_among_them_makes_it_a_bug() -> None:
    found = drafted(issues=[IssueInfo(3, "Masses"), IssueInfo(4, "Colours", ("bug",))])
    assert found.lines == (Note(BUG, "Mono mass", 9),)


def test_an_issue_that_two_close_names_neither() -> None:
    pulls = [PullRequest(number, "x", "Ada", "") for number in (12, 11)]
    known = {n: PullRequestInfo(n, f"Part {n}", "ada", issues=(3,)) for n in (11, 12)}
    found = draft(pulls, known=known, issues={3: IssueInfo(3, "Show masses")})
    assert [one.title for one in found.lines] == ["Part 11", "Part 12"]


def test_labels_win_over_the_issue_and_both_over_the_title() -> None:
    assert drafted("Fix a thing", labels=["enhancement"]).lines[0].kind is TASK
    assert drafted("Fix a thing", issues=[IssueInfo(3, "Thing", ("feature",))]).lines[0].kind is TASK
    assert (
        drafted("A thing", labels=["kind/bug :beetle:"], issues=[IssueInfo(3, "A", ("feature",))]).lines[0].kind is BUG
    )


def test_what_dependabot_quotes_of_others_is_not_ours() -> None:
    body = "Release note: upstream is faster\nFixes #3"
    found = drafted("build(deps): bump vite from 1 to 2", body=body, issues=[IssueInfo(3, "Ours")])
    assert found.lines == (Note(DEPENDABOT, "Bump vite from 1 to 2", 9),)


def test_without_github_the_titles_of_the_commits_stand_and_it_is_said() -> None:
    found = draft([PullRequest(2, "fix: B", "Ada", ""), PullRequest(1, "Feat/a", "Ada", "")])
    assert found == Draft((Note(TASK, "A", 1), Note(BUG, "B", 2)), (), (1, 2), titles_only=True)
    assert found.params()["titles_only"] is True


def test_one_that_github_does_not_know_keeps_its_commits_title() -> None:
    found = draft([PullRequest(7, "Feat/seven", "Ada", "")], known={})
    assert (found.lines, found.titles_only) == ((Note(TASK, "Seven", 7),), False)


def test_a_range_without_a_pull_request_is_drafted_from_its_commits() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    commits = [
        Commit("c" * 40, "Merge branch 'hotfix'", "Ada", "ada@x.example", at, ("a" * 40, "b" * 40)),
        Commit("b" * 40, "Fix the crash of the viewer", "Ada", "ada@x.example", at, ("a" * 40,)),
        Commit("a" * 40, "[Webapp] Show masses", "Ada", "ada@x.example", at, ("0" * 40,)),
    ]
    assert of_commits(commits).lines == (Note(TASK, "Show masses"), Note(BUG, "Fix the crash of the viewer"))
    assert of_commits(()) == Draft()


def test_every_pull_request_is_in_the_draft_once() -> None:
    pulls = [PullRequest(number, f"Fix {number}", "Ada", "") for number in range(300, 0, -1)]
    known = {n: PullRequestInfo(n, "T", "ada", body="Release note: none" if n % 3 else "") for n in range(1, 301)}
    found = draft(pulls, known=known)
    assert sorted(one.number or 0 for one in (*found.lines, *found.left_out)) == list(range(1, 301))
    assert found.pull_requests == tuple(range(1, 301))


numbered = st.builds(
    Note,
    st.sampled_from(NoteKind),
    st.text(min_size=1, max_size=60).map(notes.plain).filter(lambda text: bool(text) and not text.endswith("#")),
    st.integers(1, 99_999),
)


@given(st.lists(numbered, max_size=30), st.lists(numbered, max_size=9), st.sampled_from([True, False]))
def test_a_draft_survives_the_plan_that_keeps_it(lines: list[Note], left: list[Note], alone: object) -> None:
    one = Draft(tuple(lines), tuple(left), titles_only=bool(alone))
    assert Draft.read(one.params()) == one
