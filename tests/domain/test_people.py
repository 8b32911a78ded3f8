"""Who wrote a range, and who that is in Slack."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.changes import Commit
from bot.domain.errors import WrongUse
from bot.domain.people import (
    Author,
    How,
    Known,
    Match,
    authors_of,
    login_in,
    match,
    read_identity,
    read_slack,
    settings_of,
    suggest,
)
from bot.domain.review import PullRequest
from tests.views import worlds

AT = datetime(2026, 8, 3, tzinfo=UTC)
LOGINS = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,30}", fullmatch=True)


def commit(number: int, name: str, email: str) -> Commit:
    return Commit(f"{number:040x}", f"Something (#{number})", name, email, AT)


def report(*commits: Commit, **logins: str) -> object:
    pulls = tuple(PullRequest(int(one.sha, 16), "Something", one.author, one.sha) for one in commits)
    authors = {int(number.removeprefix("n")): login for number, login in logins.items()}
    return worlds.report(review=worlds.review(commits=commits, pull_requests=pulls), authors=authors)


@given(LOGINS, st.integers(1, 10**9))
def test_an_address_that_github_gives_tells_the_login_with_and_without_the_number(login: str, number: int) -> None:
    assert login_in(f"{number}+{login}@users.noreply.github.com") == login.lower()
    assert login_in(f"{login}@users.noreply.github.com") == login.lower()
    assert login_in(f"{login}@example.org") == ""


def test_githubs_login_wins_over_the_commits_and_a_deleted_account_is_nobody() -> None:
    found = authors_of(
        report(
            commit(1, "Ada", "12+ada-k@users.noreply.github.com"),
            commit(2, "Ada", "Ada@Example.org"),
            commit(3, "Bo", "bo@example.org"),
            commit(4, "Cy", "cy@example.org"),
            n1="Ada",
            n2="ada",
            n3="ghost",
        )  # type: ignore[arg-type]
    )
    assert [(one.identity, one.emails, [pull.number for pull in one.pulls]) for one in found] == [
        ("ada", ("ada@example.org",), [1, 2]),
        ("bo@example.org", ("bo@example.org",), [3]),
        ("cy@example.org", ("cy@example.org",), [4]),
    ]


def test_a_bot_is_nobody_to_ask() -> None:
    one = commit(1, "dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
    assert authors_of(report(one)) == ()  # type: ignore[arg-type]
    assert authors_of(report(commit(2, "x", "x@example.org"), n2="renovate[bot]")) == ()  # type: ignore[arg-type]


@given(st.sets(st.sampled_from(["link", "settings", "profile"])))
def test_a_link_wins_then_the_settings_then_the_profile_and_else_somebody_is_asked(told: set[str]) -> None:
    author = Author("ada", "Ada", ("ada@example.org",))
    known = Known(
        links={"ada": "U1"} if "link" in told else {},
        settings={"ada@example.org": "U2"} if "settings" in told else {"bo": "U9"},
        profiles={"ada@example.org": "U3"} if "profile" in told else {},
    )
    wanted = [
        ("link", Match("U1", How.LINK)),
        ("settings", Match("U2", How.SETTINGS)),
        ("profile", Match("U3", How.EMAIL)),
    ]
    assert match(author, known) == next((found for name, found in wanted if name in told), None)


def test_settings_name_people_by_login_and_by_e_mail_and_empty_ones_name_nobody() -> None:
    found = settings_of([("U1", "Ada", ""), ("U2", "", "Bo@Example.org"), ("U3", "ada", "")])
    assert found == {"ada": "U1", "bo@example.org": "U2"}


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("@Ada-K", "ada-k"),
        ("ada@Example.org", "ada@example.org"),
        ("12+ada@users.noreply.github.com", "ada"),
    ],
)
def test_a_login_or_an_address_is_read(typed: str, read: str) -> None:
    assert read_identity(typed) == read


@pytest.mark.parametrize(
    "typed", ["", "a b", "dependabot[bot]", "x'; DROP TABLE people_links; --", "<@U1>", "-ada", "a" * 40, "$(id)"]
)
def test_anything_else_is_no_author(typed: str) -> None:
    with pytest.raises(WrongUse) as caught:
        read_identity(typed)
    assert caught.value.hint


@pytest.mark.parametrize("typed", ["<@U06ADA|ada>", "<@U06ADA>", "U06ADA"])
def test_a_mention_or_an_id_is_a_person(typed: str) -> None:
    assert read_slack(typed) == "U06ADA"


@pytest.mark.parametrize("typed", ["", "@ada", "ada", "<#C01DEV>", "<!channel>", "C01DEV", "<@U1'--|x>"])
def test_a_name_a_channel_and_everybody_are_no_person(typed: str) -> None:
    with pytest.raises(WrongUse) as caught:
        read_slack(typed)
    assert caught.value.hint


def test_the_likeliest_name_comes_first_and_only_so_many() -> None:
    members = [("U1", "Zoe Zander"), ("U2", "Chen Wu"), ("U3", "Chandra Wu"), ("U4", "Bo")]
    assert [slack for slack, _ in suggest(Author("cw99", "Chen Wu"), members, most=2)] == ["U2", "U3"]
    assert suggest(Author("bo@example.org", ""), members, most=1) == (("U4", "Bo"),)
    assert suggest(Author("bo", ""), [], most=10) == ()
