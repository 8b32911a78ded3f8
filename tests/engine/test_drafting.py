from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.domain import notes
from bot.domain.errors import Refused, Unavailable
from bot.domain.review import PullRequest
from bot.domain.world import IssueInfo, PullRequestInfo
from bot.engine import drafting
from bot.engine.drafting import Drafting
from tests.steps.fakes import FakeCodeHost, Tap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PULLS = (PullRequest(12, "Feat/two", "Bo", "b" * 40), PullRequest(11, "Feat/one", "Ada", "a" * 40))


class Host(FakeCodeHost):
    """Knows two pull requests and an issue."""

    def __init__(self) -> None:
        super().__init__()
        self.pulls = {
            11: PullRequestInfo(11, "Feat/one", "ada", issues=(3,)),
            12: PullRequestInfo(12, "Feat/two", "bo", body="Release note: Two is here"),
        }
        self.linked = {3: IssueInfo(3, "One is missing", ("bug",))}


def lines(drafted: drafting.Drafted) -> list[str]:
    return [notes.line(one) for one in drafted.draft.lines]


async def test_labels_texts_and_issues_make_the_draft() -> None:
    drafted = await Drafting().draft(Host(), PULLS)
    assert lines(drafted) == ["[Task] Two is here #12", "[Bug] One is missing #11"]
    assert drafted.problem == ""


@pytest.mark.parametrize("error", [Unavailable("GitHub's rate limit is used up.", hint="wait"), Refused("No.")])
async def test_without_github_the_titles_stand_and_the_reason_is_said(error: Exception) -> None:
    tap = Tap()
    tap.fail("pull_requests", error)
    drafted = await Drafting().draft(tap.wrap(Host()), PULLS)
    assert lines(drafted) == ["[Task] One #11", "[Task] Two #12"]
    assert drafted.draft.titles_only
    assert drafted.problem == str(error)


async def test_without_issues_what_the_pull_requests_say_stands() -> None:
    tap = Tap()
    tap.fail("issues", Unavailable("GitHub does not answer.", hint="wait"))
    drafted = await Drafting().draft(tap.wrap(Host()), PULLS)
    assert lines(drafted) == ["[Task] One #11", "[Task] Two is here #12"]
    assert not drafted.draft.titles_only
    assert drafted.problem == "GitHub does not answer."


async def test_a_github_that_never_answers_does_not_hold_the_plan_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(Host):
        async def pull_requests(self, *, numbers: Sequence[int]) -> Mapping[int, PullRequestInfo]:
            await asyncio.Event().wait()
            raise AssertionError("nobody woke it")

    monkeypatch.setattr(drafting, "PATIENCE", 0.01)
    drafted = await Drafting().draft(Deaf(), PULLS)
    assert drafted.draft.titles_only
    assert "took longer" in drafted.problem


async def test_what_was_shown_is_what_is_confirmed_though_github_says_something_else_by_now() -> None:
    host, made = Host(), Drafting()
    shown = await made.draft(host, PULLS)
    host.pulls[11] = replace(host.pulls[11], title="Other", issues=())
    assert await made.draft(host, PULLS, afresh=False) == shown
    assert await made.draft(host, PULLS) != shown


async def test_what_github_did_not_tell_is_asked_again() -> None:
    tap, made = Tap(), Drafting()
    tap.fail("pull_requests", Unavailable("GitHub does not answer.", hint="wait"))
    host = tap.wrap(Host())
    assert (await made.draft(host, PULLS)).problem
    assert not (await made.draft(host, PULLS, afresh=False)).problem


async def test_a_range_without_pull_requests_asks_nobody() -> None:
    tap = Tap()
    drafted = await Drafting().draft(tap.wrap(Host()), ())
    assert (drafted.draft.lines, drafted.problem, tap.calls) == ((), "", [])


async def test_of_very_many_only_so_many_are_asked_about_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafting, "MOST", 1)
    drafted = await Drafting().draft(Host(), PULLS)
    assert lines(drafted) == ["[Task] One #11", "[Task] Two is here #12"]
    assert "oldest 1" in drafted.problem
