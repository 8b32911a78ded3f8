"""Killed at named places, with nothing done twice: counted in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.release import ReleaseState
from tests.chaos import rotating
from tests.engine.scripted import STORY, Files, in_a_process_of_its_own, opened, steps

if TYPE_CHECKING:
    from pathlib import Path

ONCE = {"first": 1, "second": 1, "third-begin": 1, "third-end": 1, "fourth": 1, "last": 1}


PLACES = ("before_effect", "after_effect", "after_write")
CASES = [(place, step.key) for step in STORY.steps for place in PLACES]


@pytest.mark.parametrize(("place", "key"), rotating(CASES, take=6))
async def test_a_bot_killed_anywhere_goes_on_and_does_everything_once(
    url: str, files: Files, place: str, key: str
) -> None:
    assert in_a_process_of_its_own(url, files.folder, f"{place}:{key}") == -9
    assert in_a_process_of_its_own(url, files.folder) == 0
    assert files.all() == ONCE
    async with opened(url, steps(files)) as bot:
        release = await bot.desk.release("R1")
        assert release.state is ReleaseState.SUCCEEDED
        assert release.loose_ends == ()
        assert {step.attempt for step in release.steps} == {1}


def test_a_failpoint_outside_tests_keeps_the_bot_from_starting(tmp_path: Path) -> None:
    from bot.domain.errors import BadSettings
    from bot.engine import failpoints

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RELEASEBOT_TESTING", raising=False)
        patch.setenv("RELEASEBOT_FAILPOINT", "after_write")
        with pytest.raises(BadSettings, match="for tests"):
            failpoints.demand_sane()
        failpoints.reach("after_write", "first")  # and nothing happens
        patch.setenv("RELEASEBOT_TESTING", "1")
        failpoints.demand_sane()
        patch.setenv("RELEASEBOT_FAILPOINT", "elsewhere")
        with pytest.raises(BadSettings, match="expected one of"):
            failpoints.demand_sane()


def test_what_was_passed_and_where_the_process_died_is_noted(url: str, files: Files) -> None:
    assert in_a_process_of_its_own(url, files.folder, "after_write:fourth,after_effect:first") == -9
    noted = files.folder.with_name(f"{files.folder.name}.failpoints")
    lines = noted.read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "killed after_effect:first"
    assert lines.index("passed before_effect:first") < lines.index("passed after_effect:first")
    assert "passed after_write:first" not in lines
