from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bot.steps
from bot.domain.errors import BadSettings
from bot.steps import registry

if TYPE_CHECKING:
    from bot.engine.step import Step

DOCS = Path(__file__).parents[2] / "docs"


def test_every_module_with_a_step_is_found_under_its_own_name() -> None:
    modules = {path.stem for path in Path(bot.steps.__path__[0]).glob("*.py") if "STEP: Step" in path.read_text()}
    assert set(registry.load()) == modules - {"registry"}


def test_two_steps_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    step = registry.load()["tag"]
    monkeypatch.setattr(registry, "_steps", lambda: iter([step, step]))
    with pytest.raises(BadSettings, match="Two steps are called 'tag'"):
        registry.load()


@pytest.mark.parametrize("step", registry.load().values(), ids=lambda step: step.id)
def test_a_step_is_documented_and_orders_itself_after_steps_that_exist(step: Step) -> None:
    assert f"`{step.id}`" in (DOCS / "checklists.md").read_text(encoding="utf-8")
    assert f"`{step.id}`" in (DOCS / "reliability.md").read_text(encoding="utf-8")
    assert step.by_hand.endswith("."), "a runbook says in a sentence how it is done without the bot"
    assert (step.needs | step.after) <= set(registry.load())
    assert step.id not in step.needs | step.after


@pytest.mark.parametrize("step", registry.load().values(), ids=lambda step: step.id)
def test_only_a_deploy_is_attached_to_and_no_step_of_ours_asks_after_an_interruption(step: Step) -> None:
    assert step.on_interrupt == ("attach" if step.id == "deploy" else "rerun")


def test_what_proves_a_release_is_never_skipped_lightly() -> None:
    skips = {step.id: step.skip for step in registry.load().values()}
    never = {
        "review_acknowledged",
        "roll_back_agreed",
        "master_contains_release",
        "push_branches",
        "notes",
        "tag",
        "deploy",
        "workplace",
        "create_inactive",
        "reindex",
        "still_planned",
        "catch_up",
        "read_only",
        "swap",
    }
    assert {one for one, skip in skips.items() if skip == "never"} == never
    assert skips["prove_live"] == skips["ci_green"] == "approver"
