"""`/release plan` and *Edit plan …*: two forms, one change, and what is shown of it; before the start and while it runs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.edits import left_out
from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.plan import Edited, PlannedStep, StepKind
from bot.domain.release import ReleaseState, StepState
from bot.views import dashboard, edits, ids
from tests.commands.fakes import STRANGER, VIEWER, World
from tests.views import worlds

KEYS = ("ci_green", "announce_start", "deploy", "github_release")
PLAN = worlds.plan(steps=tuple(PlannedStep(key, key, 1, f"The {key}", StepKind.AUTOMATIC) for key in KEYS))


@pytest.fixture
def world() -> World:
    made = World()
    first, *others = (
        worlds.StepView(key, f"The {key}", StepKind.AUTOMATIC, StepState.PENDING, "releaser") for key in KEYS
    )
    steps = (replace(first, state=StepState.RUNNING), *others)
    made.desk.releases["R7"] = worlds.release(plan=PLAN, steps=steps)
    made.office.prepared = worlds.prepared(steps=PLAN.steps)
    return made


def block(view: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in view["blocks"] if one.get("block_id") == name)


def offered(view: dict[str, Any], name: str) -> list[str]:
    return [one["value"] for one in block(view, name)["element"]["options"]]


async def test_only_steps_that_have_not_begun_are_offered(world: World) -> None:
    await world.type("plan")
    (view,) = world.voice.views
    assert view["callback_id"] == ids.PLAN_CHOOSE
    assert offered(view, ids.STEP) == list(KEYS[1:])
    assert "Version 0 of the plan: 4 steps, 3 of them still to come" in json.dumps(view)


async def test_a_step_is_put_in_by_two_forms(world: World) -> None:
    await world.press(ids.PLAN_EDIT, json.dumps({"release": "R7"}))
    await world.submit(what="insert", step="deploy")
    view = world.voice.views[-1]
    assert view["callback_id"] == "plan:form:insert"
    assert block(view, ids.BEFORE)["element"]["initial_option"]["value"] == "deploy"
    assert offered(view, ids.BEFORE) == [*KEYS[1:], edits.END]
    assert await world.submit(title="") == {ids.TITLE: "Please say what is to be done."}
    await world.submit(title="Tell the labs", before="deploy", text="By mail.", person="U01REL", evidence="the mail")
    plan = world.desk.releases["R7"].plan
    assert [step.key for step in plan.steps] == ["ci_green", "announce_start", "added_1", "deploy", "github_release"]
    assert plan.step("added_1").params["assignee"] == "<@U01REL>"
    assert "put in “Tell the labs” before “The deploy”. The plan is at version 1." in world.voice.whispers[-1]


async def test_fields_left_alone_mean_what_they_show(world: World) -> None:
    """Some Slacks send nothing for a menu that nobody touched."""
    await world.type("plan R7")
    await world.submit(what=None, step=None)
    await world.submit(title="Look", before=None, text=None, person=None, evidence=None)
    assert [step.key for step in world.desk.releases["R7"].plan.steps][1] == "added_1"


@pytest.mark.parametrize(
    ("what", "step", "words", "said"),
    [
        (
            "skip",
            "announce_start",
            {"reason": "told them yesterday"},
            "left out “The announce_start”: told them yesterday",
        ),
        ("move", "github_release", {"before": "deploy"}, "moved “The github_release” before “The deploy”"),
        ("move", "announce_start", {"before": "-"}, "“The deploy” must come after “The announce_start”"),
        ("note", "deploy", {"note": "slowly"}, "wrote a note at “The deploy”: slowly"),
        ("assign", "deploy", {"person": "U0123456789"}, "gave “The deploy” to Ada"),
        ("skip", "deploy", {"reason": "not needed today"}, "never skipped"),
    ],
)
async def test_each_kind_of_change_has_its_form(
    world: World, what: str, step: str, words: dict[str, str], said: str
) -> None:
    await world.type("plan")
    await world.submit(what=what, step=step)
    assert world.voice.views[-1]["callback_id"] == f"plan:form:{what}"
    try:
        await world.submit(**words)
    except (Conflict, NotAllowed) as error:
        assert said in error.message  # noqa: PT017  # which of both outcomes it is, the case says
    else:
        assert said in world.voice.whispers[-1]


@pytest.mark.parametrize(
    ("what", "words"),
    [("skip", {"reason": "because"}), ("note", {"note": " "}), ("assign", {"person": None}), ("insert", {"title": ""})],
)
async def test_a_form_that_lacks_something_stays_open(world: World, what: str, words: dict[str, Any]) -> None:
    await world.type("plan")
    await world.submit(what=what, step="announce_start")
    assert len(await world.submit(**words)) == 1
    assert world.desk.releases["R7"].plan == PLAN


async def test_a_late_form_is_told_what_came_between(world: World) -> None:
    await world.type("plan")
    await world.submit(what="note", step="deploy")
    late = world.voice.views[-1]
    await world.submit(note="slowly")
    world.voice.views.append(late)
    with pytest.raises(Conflict, match="you saw version 0 of this plan, and it is at version 1"):
        await world.submit(note="fast")
    world.voice.views.append(world.voice.views[0])
    with pytest.raises(Conflict, match="you saw version 0"):
        await world.submit(what="note", step="deploy")
    assert world.desk.releases["R7"].plan.step("deploy").params["note"] == "slowly"


async def test_who_may_not_change_a_plan_is_told_so(world: World) -> None:
    world.person = STRANGER
    with pytest.raises(NotAllowed):
        await world.press(ids.PLAN_EDIT, json.dumps({"release": "R7"}))
    world.person = VIEWER
    with pytest.raises(NotAllowed):
        await world.type("plan")
    await world.press(ids.PLAN_EDIT, json.dumps({"release": "R7"}))
    await world.submit(what="note", step="deploy")
    with pytest.raises(NotAllowed, match="role releaser or approver"):
        await world.submit(note="hm")


async def test_a_release_that_ended_or_has_nothing_to_come_is_not_changed(world: World) -> None:
    done = [replace(one, state=StepState.DONE) for one in world.desk.releases["R7"].steps]
    world.desk.releases["R7"] = replace(world.desk.releases["R7"], steps=tuple(done))
    with pytest.raises(Conflict, match="Every step of this plan has begun"):
        await world.type("plan")
    world.desk.releases["R7"] = replace(world.desk.releases["R7"], state=ReleaseState.SUCCEEDED)
    with pytest.raises(Conflict, match="is not changed any more"):
        await world.press(ids.PLAN_EDIT, json.dumps({"release": "R7"}))


async def test_a_form_from_nowhere_is_refused(world: World) -> None:
    await world.type("plan")
    with pytest.raises(WrongUse, match="none of the changes"):
        await world.submit(what="drop", step="deploy")


async def test_the_plan_that_is_not_started_is_changed_shown_again_and_started_so(world: World) -> None:
    world.desk.releases.clear()
    await world.type("start")
    (element,) = [e for b in world.voice.views[-1]["blocks"] if b["type"] == "actions" for e in b["elements"]]
    assert element["action_id"] == ids.PLAN_EDIT
    await world.press(ids.PLAN_EDIT, element["value"])
    assert offered(world.voice.views[-1], ids.STEP) == list(KEYS)
    await world.submit(what="skip", step="announce_start")
    await world.submit(reason="told them yesterday")
    preview = world.voice.views[-1]
    assert preview["callback_id"] == ids.PREVIEW_FORM
    assert "left out* by <@U01REL>: told them yesterday" in json.dumps(preview)
    assert "This is version 1 of the plan." in json.dumps(preview)
    assert not world.desk.asked
    await world.submit(version="1.9.10")
    started = world.desk.releases["R8"].plan
    assert left_out(started.step("announce_start")) == ("U01REL", "told them yesterday")


async def test_a_plan_shown_as_a_message_is_changed_in_place(world: World) -> None:
    world.desk.releases.clear()
    world.trigger = ""
    await world.type("start")
    world.trigger = "T1"
    await world.press_shown(ids.PLAN_EDIT)
    await world.submit(what="note", step="deploy")
    await world.submit(note="slowly")
    assert list(world.voice.said) == ["plan-E1"]
    assert "note: slowly" in json.dumps(world.voice.blocks[-1])
    await world.press_shown(ids.START_CONFIRM)
    assert world.desk.releases["R8"].plan.step("deploy").params["note"] == "slowly"


async def test_a_plan_becomes_an_issue_by_word_and_by_the_form(world: World) -> None:
    await world.type("plan export")
    await world.type("plan export R7")
    await world.type("plan")
    await world.submit(what="export", step="deploy")
    assert world.office.exports.asked == ["R7"] * 3
    assert "R7 is issue #12 now: https://github.test/issues/12" in world.voice.whispers[-1]
    world.person = VIEWER
    await world.press(ids.PLAN_EDIT, json.dumps({"release": "R7"}))
    with pytest.raises(NotAllowed, match="role releaser"):
        await world.submit(what="export", step="deploy")


async def test_before_the_start_there_is_nothing_to_export(world: World) -> None:
    world.desk.releases.clear()
    await world.type("start")
    (element,) = [e for b in world.voice.views[-1]["blocks"] if b["type"] == "actions" for e in b["elements"]]
    await world.press(ids.PLAN_EDIT, element["value"])
    assert edits.EXPORT not in offered(world.voice.views[-1], ids.WHAT)
    with pytest.raises(WrongUse):
        await world.submit(what="export", step="deploy")
    with pytest.raises(Conflict, match="Nothing is being released"):
        await world.type("plan export")


def test_the_dashboard_shows_changes_notes_and_whose_a_step_is() -> None:
    first, second, third = worlds.steps(StepState.DONE, StepState.SKIPPED, StepState.PENDING)
    steps = (first, replace(second, reason="not needed today"), replace(third, note="slowly", assignee="Ada"))
    plan = replace(worlds.plan(), edits=(Edited("U01REL", worlds.NOW.isoformat(), "moved “A” before “B”", {}),))
    shown = json.dumps(dashboard.dashboard(worlds.release(plan=plan, steps=steps)).blocks, ensure_ascii=False)
    assert "Plan changed* by <@U01REL>, who moved “A” before “B”." in shown
    assert "to come, for Ada" in shown
    assert "Note: slowly" in shown
    assert "not needed today" in shown
