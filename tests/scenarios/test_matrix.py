"""A slice of the crash matrix (`tests/matrix.py`), which moves on with CHAOS_SEED; `make chaos` runs all of it."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.checklists import shipped
from bot.steps.registry import load
from tests.chaos import rotating
from tests.engine.postgres import postgres
from tests.matrix import BEGIN, END, TABLE, Row, run, table, verdict
from tests.scenes import DATABASES, MOMENTS, cases, together

if TYPE_CHECKING:
    from tests.engine.postgres import Cluster
    from tests.scenes import Case

__all__ = ["postgres"]
HEAVY = ("reindex_before", "roll_back")  # several releases, or days of work, in one case: `make chaos` alone runs them
LIGHT = sorted({one.scene for one in cases() if one.checklist not in HEAVY})
SCENE = random.Random(os.environ.get("CHAOS_SEED", "0")).choice(LIGHT)  # noqa: S311
IN_SCENE = [one for one in cases() if one.scene == SCENE]  # one undisturbed release to compare with is enough
SLICE = rotating(together(IN_SCENE, 4), take=1)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("group", SLICE if os.environ.get("CHAOS") != "all" else [], ids=lambda group: group[0].name)
async def test_a_release_whose_bot_is_killed_there_ends_as_it_would_have(group: list[Case], postgres: Cluster) -> None:
    rows = await run(group, postgres)
    assert [(row.name, row.failures) for row in rows if row.failures] == []


def test_every_step_of_every_shipped_checklist_is_in_the_matrix_at_every_moment_on_both_databases() -> None:
    rows = {(one.checklist, one.step, one.moment, one.database) for one in cases()}
    wanted = {
        (checklist.name, item.key, moment, database)
        for checklist in shipped(load()).values()
        for item in checklist.items
        for moment in MOMENTS
        for database in DATABASES
    }
    assert wanted <= rows


def test_the_table_says_of_each_case_what_became_of_it() -> None:
    some = cases()[:2]
    known = {
        some[0].name: Row(some[0].name, killed=True, others=7),
        some[1].name: Row(some[1].name, failures=["twice"]),
    }
    assert [verdict(known.get(one.name)) for one in cases()[:3]] == ["once", "FAILED", "not run"]
    lines = table(some, known, "abc").splitlines()
    assert lines[-1] == f"| `{some[0].checklist}` | `{some[0].step}` | before the effect | once, +7 | FAILED |"


@given(st.integers(1, 9), st.sets(st.sampled_from(cases())))
def test_cases_share_a_release_only_where_each_can_be_reached(most: int, some: set[Case]) -> None:
    groups = together(some, most)
    assert sorted(one.name for group in groups for one in group) == sorted(one.name for one in some)
    for group in groups:
        assert len(group) <= most
        assert len({(one.checklist, one.scene, one.database, one.moment == "during_post") for one in group}) == 1


def test_the_documentation_has_a_table_with_its_commit() -> None:
    found = TABLE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert "Commit `" in found
