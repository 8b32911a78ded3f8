from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import WrongUse
from bot.domain.version import Bump, Version, accept, possible

versions = st.builds(Version, *[st.integers(0, 999)] * 3)


@given(versions)
def test_a_version_survives_being_written(version: Version) -> None:
    assert Version.parse(str(version)) == version


@given(versions, st.sampled_from(Bump))
def test_the_next_version_is_larger_and_names_its_bump(version: Version, bump: Bump) -> None:
    assert version.next(bump) > version
    assert version.bump_to(version.next(bump)) is bump


def test_numbers_are_compared_as_numbers() -> None:
    assert Version.parse("1.8.10") > Version.parse("1.8.9")


@pytest.mark.parametrize("text", ["", "1.2", "v1.2.3", "1.2.3-rc1", "1.2.3.4", "１.2.3", "rel-v0.9"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(WrongUse):
        Version.parse(text)


@pytest.mark.parametrize("text", ["1.8.11", "1.9.0", "2.0.0"])
def test_the_three_next_versions_are_accepted(text: str) -> None:
    assert str(accept(text, existing=[Version(1, 8, 9), Version(1, 8, 10)])) == text


@pytest.mark.parametrize(
    ("text", "word"), [("1.8.10", "exists"), ("1.8.12", "jumps"), ("1.10.0", "jumps"), ("1.8.8", "goes back")]
)
def test_versions_that_exist_or_jump_are_refused_with_the_choices(text: str, word: str) -> None:
    with pytest.raises(WrongUse, match=word) as caught:
        accept(text, existing=[Version(1, 8, 9), Version(1, 8, 10)])
    assert caught.value.hint == "one of 1.8.11, 1.9.0, 2.0.0"


@pytest.mark.parametrize(("word", "expected"), [("minor", "1.9.0"), (" Major ", "2.0.0"), ("patch", "1.8.11")])
def test_a_bump_may_be_named_instead_of_its_numbers(word: str, expected: str) -> None:
    assert str(accept(word, existing=[Version(1, 8, 9), Version(1, 8, 10)])) == expected


def test_the_first_version_is_named_by_its_numbers() -> None:
    assert accept("0.1.0", existing=[]) == Version(0, 1, 0)
    with pytest.raises(WrongUse, match="no version yet"):
        accept("minor", existing=[])
    assert possible(None) == {}


@pytest.mark.parametrize("text", ["1.9.11", "1.11.0", "3.0.0"])
def test_no_version_is_jumped_over(text: str) -> None:
    with pytest.raises(WrongUse, match=r"jumps from 1\.9\.9") as caught:
        accept(text, existing=[Version(1, 9, 9)])
    assert caught.value.hint == "one of 1.9.10, 1.10.0, 2.0.0"
