"""What people see of approvals, causes and alarms, within Slack's limits whatever stands in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.approval import Approval, ApprovalPolicy
from bot.domain.causes import Cause
from bot.domain.plan import PlannedStep, StepKind
from bot.domain.readmodel import OpenQuestion, Problem
from bot.domain.release import Choice, DecisionKind, ReleaseState, StepState
from bot.views import alarms, dashboard, forms, ids, plan, question, rollback
from bot.views.limits import message_faults, modal_faults
from bot.views.text import clock
from tests.views import worlds

CHOICES = (
    Choice(DecisionKind.APPROVE, "Approve", form="typed_version"),
    Choice(DecisionKind.REJECT, "Do not do this", form="reason", danger=True),
    Choice(DecisionKind.APPROVE, "Break glass", form="break_glass", danger=True, value="break_glass"),
)
DEPLOYED = worlds.plan(steps=(PlannedStep("ci", "deploy", 1, "Deploy", StepKind.AUTOMATIC), *worlds.plan().steps[1:]))
policies = st.builds(
    ApprovalPolicy,
    count=st.integers(1, 5),
    role=st.just("approver"),
    expires=st.floats(60, 600_000),
    typed=st.booleans(),
)
given_approvals = st.lists(
    st.builds(
        Approval,
        id=st.integers(),
        by=st.sampled_from(["U01A", "U01B", "U01C"]),
        voice=st.sampled_from(["U01A", "U01B", "U01D"]),
        at=worlds.times,
        glass=st.booleans(),
        reason=worlds.texts,
    ),
    max_size=5,
).map(tuple)

endings = st.lists(worlds.texts, max_size=3).map(tuple)
causes = st.builds(Cause, worlds.texts, st.integers(0, 9), st.none() | worlds.times, endings)


def asked(policy: ApprovalPolicy, *approvals: Approval, title: str = "Deploy: may it be done?") -> OpenQuestion:
    opened = worlds.opened(CHOICES, title=title, approval=policy, draft={"version": "1.9.10"})
    return replace(opened, approvals=approvals)


def one(by: str, voice: str = "", *, glass: bool = False) -> Approval:
    return Approval(1, by, voice or by, worlds.NOW, glass)


def test_how_approvals_stand_is_said_live() -> None:
    two = ApprovalPolicy(count=2, expires=3 * 3600)
    at = clock(worlds.NOW + timedelta(hours=3))
    assert question.standing_line(asked(two)) == "0 of 2: nobody yet; waits for 2 approvers"
    assert (
        question.standing_line(asked(two, one("U01A"))) == f"1 of 2: <@U01A>; waits for one more approver; expires {at}"
    )
    stood_in = question.standing_line(asked(two, one("U01A"), one("U01B", "U01C")))
    assert stood_in == f"2 of 2: <@U01A> and <@U01B> for <@U01C>; expires {at}"
    assert question.standing_line(worlds.opened()) == ""
    shown = json.dumps(dashboard.dashboard(worlds.release(questions=(asked(two, one("U01A")),))).blocks)
    assert "1 of 2: <@U01A>; waits for one more approver" in shown


@settings(deadline=None)  # eight messages and three forms an example
@given(policies, given_approvals, worlds.texts, worlds.texts)
def test_every_message_about_approvals_fits(
    policy: ApprovalPolicy, approvals: tuple[Approval, ...], title: str, why: str
) -> None:
    opened = asked(policy, *approvals, title=title)
    release = worlds.release(questions=(opened,))
    messages = [
        question.question(opened, ask=["U01A", "U01B"]),
        question.answered(
            opened.question, release="R7", kind=None, by="", at=worlds.NOW, void=why, approvals=approvals
        ),
        dashboard.dashboard(release),
        alarms.reminder(release, opened, ["U01A"] * 9),
        alarms.broken_glass(release, step="ci", by="U01A", reason=why),
        alarms.voided(release, step=title, why=why),
        alarms.trouble(release, why=why),
        alarms.warning(release, why=why),
        alarms.standing(release, since=worlds.NOW.isoformat()),
    ]
    for message in messages:
        assert message_faults(message.text, message.blocks) == []
    for index, choice in enumerate(opened.question.choices):
        assert modal_faults(forms.question_form(opened, choice, index)) == []


def test_nobody_is_mentioned_because_a_reason_names_them() -> None:
    told = alarms.broken_glass(worlds.release(), step="ci", by="U01A", reason="<!channel> <@U01EVIL> said so")
    assert "<!channel>" not in json.dumps(told.blocks)
    assert "<@U01EVIL>" not in json.dumps(told.blocks)


def test_a_void_names_the_fact_and_its_buttons_are_gone() -> None:
    opened = asked(ApprovalPolicy())
    gone = question.answered(
        opened.question, release="R7", kind=None, by="", at=worlds.NOW, void="no longer true: CI is green"
    )
    shown = json.dumps(gone.blocks)
    assert "no longer true: CI is green" in shown
    assert "asked anew" in shown
    assert "actions" not in shown


@given(st.lists(causes, max_size=3))
def test_causes_fit_into_the_message_of_a_stop(seen: list[Cause]) -> None:
    problem = Problem("It failed.", causes=tuple(seen))
    first, *rest = worlds.steps(StepState.FAILED, StepState.PENDING, StepState.PENDING)
    release = worlds.release(ReleaseState.STOPPED, steps=(replace(first, problem=problem), *rest))
    for message in (dashboard.dashboard(release), dashboard.stopped_message(release, release.steps[0], problem)):
        assert message_faults(message.text, message.blocks) == []


def test_a_cause_that_was_seen_says_how_often_and_what_ended_it_and_a_general_one_that_it_was_not() -> None:
    seen = Problem("x", causes=(Cause("sm-api is FATAL", 3, worlds.NOW, ("retry worked after 5 minutes",)),))
    shown = json.dumps([block.to_dict() for block in dashboard.problem_blocks(seen)])
    assert "Seen before at this step" in shown
    assert "3 times" in shown
    assert "ended by: retry worked after 5 minutes" in shown
    usual = Problem("x", causes=(Cause("a program does not start"),))
    assert "Not seen here before" in json.dumps([block.to_dict() for block in dashboard.problem_blocks(usual)])


def test_roll_back_stands_on_a_stopped_and_on_an_ended_release_that_deployed() -> None:
    def buttons(state: ReleaseState, first: StepState, plan: object = DEPLOYED) -> list[str]:
        steps = worlds.steps(first, StepState.FAILED, StepState.PENDING)
        return [button.action_id or "" for button in dashboard.controls(worlds.release(state, plan=plan, steps=steps))]

    for state in (ReleaseState.STOPPED, ReleaseState.PAUSED, ReleaseState.SUCCEEDED, ReleaseState.ABORTED):
        assert ids.ROLL_BACK in buttons(state, StepState.DONE)
        assert ids.ROLL_BACK not in buttons(state, StepState.PENDING)
        assert ids.ROLL_BACK not in buttons(state, StepState.DONE, worlds.plan())
    assert ids.ROLL_BACK not in buttons(ReleaseState.RUNNING, StepState.DONE)


@given(worlds.plans)
def test_the_preview_of_a_rollback_fits_and_names_the_version_to_type(made: object) -> None:
    prepared = replace(worlds.prepared(), plan=made)  # type: ignore[arg-type]
    assert modal_faults(rollback.preview_modal(worlds.release(), prepared, {"release": "R7"})) == []


def test_the_plan_says_whose_approval_a_step_needs() -> None:
    policy = {"count": 2, "role": "approver", "starter": "never", "expires": 60.0, "typed": True, "break_glass": True}
    step = replace(worlds.plan().steps[0], params={"approval": policy})
    shown = json.dumps([one.to_dict() for one in plan.plan_steps([step], room=3000)])
    assert "2 approvers approve, never the starter, the version is typed" in shown
