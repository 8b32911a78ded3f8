"""What people see of a rehearsal, within Slack's limits whatever stands in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.approval import ApprovalPolicy
from bot.domain.rehearsal import Rehearsal, RehearsalState, RehearsedStep, Standing, planned, told
from bot.domain.release import StepState
from bot.views import ids, plan, question, rehearsal
from bot.views.limits import message_faults, modal_faults
from bot.views.text import when
from tests.views import worlds

PLAN = worlds.plan()
END = worlds.NOW + timedelta(seconds=48)
DONE = tuple(replace(one, state=StepState.DONE, seconds=3.0, said="seen") for one in planned(PLAN))
steps = st.lists(
    st.builds(
        RehearsedStep,
        key=worlds.texts,
        title=worlds.texts,
        state=st.sampled_from(StepState),
        seconds=st.none() | st.floats(0, 1e6),
        said=worlds.texts,
    ),
    max_size=60,
).map(tuple)
rehearsals = st.builds(
    worlds.rehearsal,
    st.just(PLAN),
    id=st.sampled_from(["H1", "H999999999"]),
    environment=worlds.names,
    state=st.sampled_from(RehearsalState),
    finished_at=st.none() | worlds.times,
    version=worlds.texts,
    head=worlds.shas,
    checklist=worlds.texts,
    steps=steps,
    note=worlds.texts,
    hint=worlds.texts,
    again=worlds.texts,
    permalink=worlds.texts,
    release=st.sampled_from(["", "R7"]),
    by=worlds.texts,
)


def ended(state: RehearsalState, **changes: object) -> Rehearsal:
    values: dict[str, object] = {"finished_at": END, "permalink": "https://slack.example/p1"}
    return worlds.rehearsal(PLAN, state=state, **{**values, **changes})


def texts(blocks: object) -> list[str]:
    found = [block.get("text", {}).get("text", "") for block in json.loads(json.dumps(blocks))]
    return [one for one in found if one]


def test_a_running_rehearsal_shows_where_it_is_and_can_be_stopped() -> None:
    one = worlds.rehearsal(
        PLAN,
        steps=told(
            planned(PLAN), [{"key": "ci", "state": "done", "seconds": 1.2}, {"key": "push", "state": "running"}]
        ),
    )
    shown = rehearsal.message(one)
    assert shown.text == "Rehearsal H1 of 1.9.10 for prod: running"
    title, facts, listed = texts(shown.blocks)
    assert title == "Rehearsal H1 of 1.9.10 for prod"
    assert facts == f"*Running* · commit `bbbbbbbb`\nBegun {when(worlds.NOW)}. In work: Push the branches"
    assert listed == "✓ CI is green, 1 s\n▸ Push the branches – running\n○ Tag the release"
    (button,) = [
        one for block in json.loads(json.dumps(shown.blocks)) for one in block.get("elements", []) if "value" in one
    ]
    assert button["action_id"] == ids.REHEARSAL_STOP
    assert json.loads(button["value"]) == {"rehearsal": "H1"}
    assert button["confirm"]["title"]["text"] == "Stop the rehearsal?"


def test_a_failure_names_its_first_failing_step_with_the_evidence_and_how_to_go_on() -> None:
    failed = told(DONE, [{"key": "push", "state": "failed", "said": "origin refused it <!here>"}])
    shown = rehearsal.ending(ended(RehearsalState.FAILED, steps=failed, note="n", hint="/release retry"))
    assert texts(shown.blocks) == [
        "*Rehearsal H1 of 1.9.10 for prod failed after 48 s.*",
        (
            "*First failing step:* Push the branches\n> origin refused it &lt;!here&gt;\nTry: /release retry\n"
            "Again: `/release rehearse`"
        ),
    ]


def test_what_ended_has_nothing_to_press_and_says_who_stopped_it() -> None:
    shown = rehearsal.message(ended(RehearsalState.STOPPED, note="Stopped by <@U02APP>."))
    assert "Stopped by <@U02APP>." in texts(shown.blocks)[1]
    assert ids.REHEARSAL_STOP not in json.dumps(shown.blocks)
    well = rehearsal.ending(ended(RehearsalState.PASSED, steps=DONE))
    assert texts(well.blocks)[1] == "3 steps, and the world is as the plan must leave it."


def test_plan_and_approval_link_the_rehearsal_that_counts() -> None:
    passed = Standing(ended(RehearsalState.PASSED))
    linked = f"Rehearsed: passed (<https://slack.example/p1|thread>, {when(END)})."
    assert rehearsal.line(passed) == linked
    assert rehearsal.line(Standing()) == "Not rehearsed."
    assert rehearsal.line(Standing(), required=True) == (
        "Not rehearsed. One that passed is required here: `/release rehearse`."
    )
    void = Standing(ended(RehearsalState.PASSED, permalink=""), ("the commit changed from abc to def",))
    assert rehearsal.line(void).startswith("The rehearsal H1 was of another plan: the commit changed from abc to def;")
    asked = replace(worlds.opened(approval=ApprovalPolicy()), rehearsed=passed)
    assert linked in json.dumps(question.question(asked).blocks, ensure_ascii=False)
    modal = plan.preview_modal(worlds.prepared(), {}, rehearsed=linked)
    assert f"*Rehearsal:* {linked}" in json.dumps(modal, ensure_ascii=False)


@settings(deadline=None)
@given(rehearsals, st.lists(worlds.texts, max_size=5).map(tuple), st.booleans())
def test_every_message_about_a_rehearsal_fits(one: Rehearsal, differs: tuple[str, ...], required: bool) -> None:  # noqa: FBT001  # Hypothesis gives it
    for shown in (rehearsal.message(one), rehearsal.ending(one)):
        assert message_faults(shown.text, shown.blocks) == []
    said = rehearsal.line(Standing(one, differs), required=required)
    prepared = worlds.prepared()
    shown = plan.preview_message(prepared, {}, rehearsed=said)
    assert message_faults(shown.text, shown.blocks) == []
    assert modal_faults(plan.preview_modal(prepared, {}, rehearsed=said)) == []
    asked = question.question(replace(worlds.opened(approval=ApprovalPolicy()), rehearsed=Standing(one, differs)))
    assert message_faults(asked.text, asked.blocks) == []
