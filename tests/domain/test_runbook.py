from __future__ import annotations

import shlex
from dataclasses import replace

from bot.domain import runbook
from bot.domain.plan import Command, PlannedStep, StepKind
from bot.domain.release import ReleaseState, StepState
from tests.views import worlds


def test_a_plan_is_all_to_do_with_every_command_as_it_is_typed() -> None:
    plan = worlds.plan()
    text = runbook.of_plan(plan)
    assert "## Done" not in text
    for step in plan.steps:
        assert f". {step.title}" in text
        for one in step.commands:
            assert shlex.join(one.argv) in text.splitlines()


def test_commands_stand_under_their_host_and_folder() -> None:
    commands = (
        Command("control", ("git", "switch", "master"), "/srv/our env"),
        Command("control", ("git", "pull"), "/srv/our env"),
        Command("web", ("supervisorctl", "status")),
    )
    step = PlannedStep("a", "configuration", 1, "Configuration", StepKind.AUTOMATIC, commands=commands)
    lines = runbook.of_plan(worlds.plan(steps=(step,))).splitlines()
    at = lines.index("On `control`:")
    block = ["", "```sh", "cd '/srv/our env'", "git switch master", "git pull", "```", "", "On `web`:", "", "```sh"]
    assert lines[at + 1 : at + 11] == block
    assert lines[-2:] == ["supervisorctl status", "```"]


def test_what_is_done_is_a_line_and_what_is_left_is_told_in_full() -> None:
    first, second, third = worlds.steps(StepState.DONE, StepState.SKIPPED, StepState.FAILED)
    third = replace(third, by_hand="Tag it yourself.")
    release = worlds.release(
        ReleaseState.STOPPED, steps=(replace(first, summary="6 jobs\npassed."), second, third), loose_ends=("a tag",)
    )
    text = runbook.of_release(release)
    assert "- [x] 1. CI is green: 6 jobs passed." in text
    assert "- [x] 2. Push the branches" in text
    assert "### 3. Tag the release\nTag it yourself." in text
    assert "- [ ] a tag" in text


def test_a_note_and_its_person_stand_with_the_step() -> None:
    params = {"note": "In tmux.", "assignee": "Ada"}
    step = PlannedStep("m", "manual", 1, "Run the script", StepKind.MANUAL, params=params)
    assert "### 1. Run the script\nIn tmux.\nFor: Ada" in runbook.of_plan(worlds.plan(steps=(step,)))


def test_a_finished_release_leaves_nothing_to_do() -> None:
    done = worlds.steps(StepState.DONE, StepState.DONE, StepState.DONE)
    assert "Nothing is left to do." in runbook.of_release(worlds.release(ReleaseState.SUCCEEDED, steps=done))
