from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.errors import Conflict, NotAllowed, Refused, ReleaseError, Unavailable, WrongUse
from bot.domain.phases import Phase
from bot.domain.readmodel import Decided, LockView, Person
from bot.domain.release import Choice, DecisionKind, ReleaseState, StepState
from bot.domain.report import Rerun
from bot.domain.world import Check, CheckState, Workflow
from bot.slack.router import Form
from bot.views import ids
from tests.commands.fakes import RELEASER, STRANGER, VIEWER, World
from tests.views import worlds


@pytest.fixture
def world() -> World:
    return World()


def running(state: ReleaseState = ReleaseState.RUNNING, **changes: Any) -> Any:
    return worlds.release(state, thread="17.5", **changes)


def stopped() -> Any:
    first, second, third = worlds.steps(StepState.DONE, StepState.FAILED, StepState.PENDING)
    return running(ReleaseState.STOPPED, steps=(first, second, third))


async def refused(world: World, text: str) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        await world.type(text)
    return caught.value


async def attempt(world: World, text: str) -> str:
    """Type it, and return what the newest form says."""
    await world.type(text)
    return json.dumps(world.voice.views[-1])


# review


async def test_review_stands_at_once_and_fills_in_under_one_key(world: World) -> None:
    await world.type("review")
    assert list(world.voice.said) == ["review-E1"]
    assert world.office.requests == [{"environment": "prod", "base": "", "head": "", "hotfix": False}]
    shown = [json.dumps(blocks) for blocks in world.voice.blocks]
    assert "reading the repository" in shown[0]
    assert "asking" in shown[1]
    assert "green" in shown[2]


@pytest.mark.parametrize(
    ("text", "base", "head"),
    [
        ("review prod 1.9.8 1.9.9", "1.9.8", "1.9.9"),
        ("review 1.9.8..1.9.9", "1.9.8", "1.9.9"),
        ("review prod 1.9.8...1.9.9", "1.9.8", "1.9.9"),
        ("review 1.9.8..", "1.9.8", ""),
        ("review ...feature/x", "", "feature/x"),
        ("review feature/x", "", "feature/x"),
        ("review <https://github.com/o/r/compare/1.9.8...master?expand=1>", "1.9.8", "master"),
    ],
)
async def test_review_takes_an_environment_and_a_range_in_any_form(
    world: World, text: str, base: str, head: str
) -> None:
    await world.type(text)
    assert world.office.requests[0] == {"environment": "prod", "base": base, "head": head, "hotfix": False}


async def test_a_review_that_fails_replaces_its_own_placeholder(world: World) -> None:
    world.office.trouble = WrongUse("'mastr' is no tag, branch or commit here.", hint="master")
    await world.type("review mastr")
    assert "'mastr' is no tag" in world.voice.said["review-E1"]


@pytest.mark.parametrize("text", ["review a b c", "review --hotfix master", "review --what", "review --env nowhere"])
async def test_review_refuses_what_it_does_not_understand(world: World, text: str) -> None:
    assert (await refused(world, text)).hint
    assert not world.office.requests


async def test_evidence_comes_on_demand_and_in_private(world: World) -> None:
    await world.type("review")
    await world.press_shown(ids.REVIEW_FINDINGS)
    assert "1 finding in release…master" in world.voice.whispers[-1]
    await world.press_shown(ids.REVIEW_COMMITS)
    assert "1 commit in release…master" in world.voice.whispers[-1]
    assert len(world.office.requests) == 1, "evidence asks no other system"


async def test_the_review_follows_ci_in_its_own_message(world: World) -> None:
    await world.type("review")
    assert world.office.followed == [("review-E1", ("", ""), False)]


def with_failed_job(world: World, **changes: Any) -> None:
    checks = (Check("test-engine", CheckState.FAILED), Check("test-webapp", CheckState.PASSED))
    runs = (Workflow("W1", "commit", "failed", running=False),)
    world.office.report = worlds.report(checks=checks, workflows=runs, **changes)


async def test_failed_jobs_are_run_again_by_a_releaser_and_followed_in_the_same_message(world: World) -> None:
    with_failed_job(world)
    await world.type("review")
    await world.press_shown(ids.REVIEW_RERUN)
    assert {"rerun": worlds.HEAD} in world.office.requests
    assert "run again" in world.voice.whispers[-1]
    assert world.office.followed[-1] == ("review-E1", ("release", "master"), True)
    assert list(world.voice.said) == ["review-E1"]
    assert "run again by <@U01REL>" in json.dumps(world.voice.blocks[-1])


async def test_a_second_click_on_rerun_is_told_so_and_changes_nothing(world: World) -> None:
    with_failed_job(world)
    world.office.rerun = Rerun(running=("commit",))
    await world.type("review")
    await world.press_shown(ids.REVIEW_RERUN)
    assert "nothing was started twice" in world.voice.whispers[-1]
    world.office.rerun = Rerun()
    await world.press_shown(ids.REVIEW_RERUN)
    assert "nothing was started" in world.voice.whispers[-1]
    assert len(world.office.followed) == 1


async def test_who_may_only_look_runs_nothing_again(world: World) -> None:
    with_failed_job(world)
    world.person = VIEWER
    await world.type("review")
    with pytest.raises(NotAllowed, match="needs the role releaser"):
        await world.press_shown(ids.REVIEW_RERUN)
    assert {"rerun": worlds.HEAD} not in world.office.requests
    await world.press_shown(ids.REVIEW_COMMITS)


async def test_the_range_since_what_is_live_is_a_review_of_its_own(world: World) -> None:
    world.office.report = worlds.report(drift=worlds.Drift("release", worlds.BASE, "1.9.9", worlds.BASE, "c" * 40))
    await world.type("review")
    await world.press_shown(ids.REVIEW_LIVE)
    assert list(world.voice.said) == ["review-E1", "review-E2"]
    assert world.office.requests[-1] == {
        "environment": "prod",
        "base": "c" * 40,
        "head": worlds.HEAD,
        "hotfix": False,
    }
    assert world.office.followed[-1][:2] == ("review-E2", ("live", "master"))


async def test_the_button_that_opens_the_merge_is_answered_with_its_address(world: World) -> None:
    url = "https://github.test/compare/master...release?expand=1"
    lacking = worlds.review().commits
    world.office.report = worlds.report(merge_url=url, review=worlds.review(lacking=lacking))
    await world.type("review")
    await world.press_shown(ids.REVIEW_MERGE)
    assert f"<{url}|on GitHub>" in world.voice.whispers[-1]


async def test_a_button_of_another_version_is_answered(world: World) -> None:
    with pytest.raises(WrongUse, match="another version"):
        await world.press("review:later", "{}")


# runbook


async def test_a_runbook_is_what_is_left_of_the_release_that_runs(world: World) -> None:
    world.desk.releases["R7"] = running()
    await world.type("runbook")
    assert "### 2. Push the branches" in world.voice.files["runbook-R7.md"]
    assert "- [x] 1. CI is green" in world.voice.files["runbook-R7.md"]


async def test_a_runbook_before_a_release_is_the_plan_that_start_would_show(world: World) -> None:
    await world.type("runbook")
    assert "### 1. CI is green" in world.voice.files["runbook-prod-1.9.10.md"]
    assert not world.desk.asked
    with pytest.raises(WrongUse):
        await world.type("runbook R7 now")


# start


async def test_start_opens_a_place_holder_first_then_the_plan_and_starts_nothing(world: World) -> None:
    await world.type("start --hotfix --only sm-graphql,sm-web-app --version 1.9.11")
    assert [view["callback_id"] for view in world.voice.views] == ["start:loading", ids.PREVIEW_FORM]
    asked = world.office.requests[0]
    assert asked["only"] == ("sm-graphql", "sm-web-app")
    assert (asked["hotfix"], asked["strategy"], asked["version"]) == (True, "", "1.9.11")
    assert not world.desk.asked


async def test_another_strategy_than_the_recommended_one_asks_for_a_reason_and_keeps_it(world: World) -> None:
    await world.type("start --strategy in_place")
    shown = json.dumps(world.voice.views[-1])
    assert "The review recommends deploy, then update Elasticsearch (`deploy_then_es_update`)" in shown
    assert '"block_id": "reason"' in shown
    await world.submit(version="1.9.10", reason="the field is not read yet")
    started = world.desk.releases["R8"].plan
    assert (started.strategy, started.recommended) == ("in_place", "deploy_then_es_update")
    assert started.because == "the field is not read yet"
    assert started.fingerprint == world.office.prepared.plan.fingerprint


async def test_a_reason_that_was_typed_stands_in_the_form_and_may_be_left_alone(world: World) -> None:
    await world.type('start --strategy in_place --because "not read yet"')
    assert "not read yet" in json.dumps(world.voice.views[-1])
    await world.submit(version="1.9.10", reason="not read yet")
    assert world.desk.releases["R8"].plan.because == "not read yet"


async def test_the_recommended_strategy_needs_no_reason(world: World) -> None:
    world.office.prepared = worlds.prepared(strategy="deploy_then_es_update")
    await world.type("start --strategy deploy_then_es_update")
    assert '"block_id": "reason"' not in json.dumps(world.voice.views[-1])
    await world.submit(version="1.9.10")
    assert world.desk.releases["R8"].plan.recommended == ""


async def test_without_a_form_another_strategy_needs_its_reason_typed(world: World) -> None:
    world.trigger = ""
    with pytest.raises(WrongUse, match="needs a reason") as caught:
        await world.type("start --strategy in_place")
    assert "--because" in caught.value.hint
    await world.type('start --strategy in_place --because "not read yet"')
    await world.press_shown(ids.START_CONFIRM)
    assert world.desk.releases["R8"].plan.because == "not read yet"


async def test_an_override_without_a_reason_starts_nothing(world: World) -> None:
    await world.type("start --strategy in_place")
    with pytest.raises(WrongUse, match="nothing was started"):
        await world.submit(version="1.9.10", reason=None)
    assert not world.desk.asked


async def test_a_reason_of_any_length_fits_into_form_and_buttons(world: World) -> None:
    await world.type(f"start --strategy in_place --because {'🦄' * 2000}")
    world.trigger = ""
    await world.type(f"start --strategy in_place --because {'🦄' * 2000}")
    await world.press_shown(ids.START_CONFIRM)
    assert world.desk.releases["R8"].plan.because.endswith("…")


async def test_confirming_starts_with_the_version_in_the_field(world: World) -> None:
    await world.type("start")
    assert await world.submit(version="2.0.0") == {}
    assert world.desk.asked == [("start", "2.0.0", "U01REL")]


async def test_a_version_field_left_alone_keeps_the_proposal(world: World) -> None:
    await world.type("start")
    await world.submit(version=None)
    assert world.desk.asked == [("start", "1.9.10", "U01REL")]


async def test_a_bad_version_keeps_the_modal_open(world: World) -> None:
    await world.type("start")
    wrong = await world.submit(version="v2")
    assert "is not a version" in wrong[ids.VERSION]
    assert not world.desk.asked


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.9.9", "exists already"),
        ("1.9.8", "goes back behind 1.9.9"),
        ("1.9.11", "jumps from 1.9.9"),
        ("1.11.0", "jumps from 1.9.9"),
        ("3.0.0", "jumps from 1.9.9"),
    ],
)
async def test_a_version_that_cannot_come_next_keeps_the_modal_open(world: World, version: str, words: str) -> None:
    await world.type("start")
    wrong = await world.submit(version=version)
    assert words in wrong[ids.VERSION]
    assert "1.9.10, 1.10.0, 2.0.0" in wrong[ids.VERSION]
    assert not world.desk.asked


async def test_a_bump_may_be_typed_instead_of_a_version(world: World) -> None:
    await world.type("start --version Minor")
    assert world.office.requests[-1]["version"] == "minor"
    assert not await world.submit(version="major")
    assert world.office.requests[-1]["version"] == "major"


async def test_a_confirmed_plan_takes_the_draft_that_was_shown(world: World) -> None:
    await world.type("start")
    await world.submit(version=None)
    assert [request["afresh"] for request in world.office.requests] == [True, False]


async def test_a_plan_that_changed_since_it_was_seen_is_shown_again_and_not_started(world: World) -> None:
    await world.type("start")
    world.office.prepared = worlds.prepared(head="c" * 40)
    await world.submit(version="1.9.10")
    assert not world.desk.asked
    assert "changed since you saw the plan" in world.voice.whispers[-1]
    await world.press_shown(ids.START_CONFIRM)
    assert world.desk.asked == [("start", "1.9.10", "U01REL")]


async def test_without_a_way_to_open_a_modal_the_plan_is_a_message_with_buttons(world: World) -> None:
    world.trigger, world.thread = "", "17.5"
    await world.type("start")
    assert not world.voice.views
    await world.press_shown(ids.START_CONFIRM)
    assert world.desk.asked == [("start", "1.9.10", "U01REL")]
    assert "started by <@U01REL> as R8" in world.voice.said["plan-E1"]


async def test_a_plan_may_be_left(world: World) -> None:
    world.trigger = ""
    await world.type("start")
    await world.press_shown(ids.START_CANCEL)
    assert not world.desk.asked
    assert "nothing was started" in world.voice.said["plan-E1"]


async def test_when_slacks_three_seconds_are_over_a_button_asks_again_and_no_plan_is_made(world: World) -> None:
    world.voice.expired = True
    await world.type("start")
    assert not world.office.requests
    assert world.voice.whispers


async def test_a_plan_that_cannot_be_made_says_why_in_the_open_modal(world: World) -> None:
    world.office.trouble = Conflict("There is no commit to release to prod.", hint="merge something")
    await world.type("start")
    assert "There is no commit to release" in json.dumps(world.voice.views[-1])
    assert "merge something" in json.dumps(world.voice.views[-1])


async def test_start_is_refused_while_a_release_runs_or_somebody_else_holds_the_lock(world: World) -> None:
    world.desk.locks["prod"] = LockView("prod", "U01OTHER", "moving the database", worlds.NOW)
    error = await refused(world, "start")
    assert "moving the database" in error.message
    world.desk.releases["R7"] = running()
    error = await refused(world, "start")
    assert "1.9.10 (R7) is being released to prod already" in error.message
    assert "is being released to prod already" in json.dumps(world.voice.views[-1]), "in the form's place as well"
    prepared = world.office.prepared
    last = prepared.plan.steps[-1].key
    world.office.prepared = replace(prepared, plan=replace(prepared.plan, locked_from=last, locked_until=last))
    await world.type("start")
    assert "Start the release" in json.dumps(world.voice.views[-1]), "what needs the lock later begins beside it"
    assert "taken at" in json.dumps(world.voice.views[-1])
    world.desk.releases["R7"] = running(plan=world.office.prepared.plan)
    assert "R7 (1.9.10) prepares prod beside its lock already" in (await attempt(world, "start"))


async def test_where_two_releases_are_open_a_command_wants_to_know_which(world: World) -> None:
    plan = replace(worlds.plan(), locked_from=worlds.plan().steps[-1].key)
    beside = running(plan=plan, phase=Phase.BEFORE)
    world.desk.releases |= {"R7": beside, "R8": replace(running(), id="R8", thread="17.8")}
    error = await refused(world, "pause")
    assert "R7 (1.9.10) and R8 (1.9.10) are being released to prod" in error.message
    await world.type("pause R8")
    world.thread = "17.8"
    await world.type("resume")
    assert [one[:2] for one in world.desk.asked] == [("pause", "R8"), ("resume", "R8")]
    world.desk.locks["prod"] = LockView("prod", "U01REL", "release 1.9.10", worlds.NOW, "R8")
    for typed in ("status", "lock"):
        await world.type(typed)
        shown = json.dumps(world.voice.blocks[-1], ensure_ascii=False)
        assert "`R7`" in shown
        assert "not needed yet, so others may release to prod; taken at" in shown
    waiting = replace(beside, phase=Phase.LOCKED, waits="prod is held by R8, started by <@U01REL>.")
    world.desk.releases["R7"] = waiting
    await world.type("lock")
    assert "waits for prod: prod is held by R8, started by <@U01REL>." in json.dumps(world.voice.blocks[-1])


@pytest.mark.parametrize("text", ["start --version 1.9", "start now", "start --only", "start --env moon"])
async def test_start_refuses_wrong_words_before_anything_is_asked(world: World, text: str) -> None:
    assert (await refused(world, text)).hint
    assert not world.office.requests
    assert not world.voice.views


# questions and controls


async def test_an_answer_is_pressed_and_taken(world: World) -> None:
    opened = worlds.opened()
    world.desk.releases["R7"] = running(questions=(opened,))
    await world.press("question:approve:wait", json.dumps({"question": "Q3", "release": "R7", "choice": 1}))
    assert world.desk.asked == [("answer", "Q3", "approve", "U01REL", "wait", "", None)]
    assert world.voice.whispers == ["It goes on."]


async def test_a_choice_with_a_form_opens_it_and_sends_what_was_written(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))
    assert not world.desk.asked
    wrong = await world.submit(**{"task-0": "–", "bug-0": "Broken table, mended #1390", "left-out-0": None})
    assert not wrong
    assert world.desk.asked[0][-1] == {
        "text": "[Bug] Broken table, mended #1390",
        "left_out": "[Task] Mono mass #1388",
    }


async def test_notes_left_alone_are_the_draft(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))
    assert not await world.submit(**dict.fromkeys(("task-0", "bug-0", "dependabot-0", "left-out-0")))
    assert world.desk.asked[0][-1] == {"text": "[Task] Mono mass #1388\n[Bug] Broken table #1390", "left_out": ""}


async def test_notes_that_cannot_be_tagged_keep_the_form_open(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))
    assert "empty" in (await world.submit(**{"task-0": "–", "bug-0": "–"}))["task-0"]
    assert "none of Task" in (await world.submit(**{"task-0": "[Story] x", "bug-0": None}))["task-0"]
    assert not world.desk.asked


async def test_notes_that_come_too_late_are_handed_back(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))
    world.desk.verdict = Decided(effective=False, sentence="<@U01OTHER> was first.")
    await world.submit(**{"task-0": "In my words #1388"})
    assert "In my words #1388" in json.dumps(world.voice.blocks[-1])
    world.desk.releases["R7"] = running()
    with pytest.raises(Conflict, match="does not ask this any more"):
        await world.submit(**{"task-0": "Once more #1388"})
    assert "Once more #1388" in json.dumps(world.voice.blocks[-1])


async def test_a_typed_version_must_be_the_version(world: World) -> None:
    opened = worlds.opened((Choice(DecisionKind.APPROVE, "Swap", form="typed_version", danger=True),))
    world.desk.releases["R7"] = running(questions=(opened,))
    await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))
    with pytest.raises(WrongUse, match=r"not 1\.9\.10"):
        await world.submit(typed="1.9.1", reason=None)
    assert not world.desk.asked
    await world.submit(typed="1.9.10", reason=None)
    assert world.desk.asked[0][-1] == {"typed": "1.9.10"}


async def test_a_late_click_on_a_question_is_told_so(world: World) -> None:
    world.desk.releases["R7"] = running()
    with pytest.raises(Conflict, match="does not ask this any more"):
        await world.press("question:approve", json.dumps({"question": "Q3", "release": "R7", "choice": 0}))


async def test_a_second_click_gets_the_desks_sentence(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    world.desk.verdict = Decided(effective=False, sentence="<@U01OTHER> was first.")
    await world.press("question:reject", json.dumps({"question": "Q3", "release": "R7", "choice": 2}))
    assert world.voice.whispers == ["*Nothing was done.* <@U01OTHER> was first."]


@pytest.mark.parametrize(
    "value", ["", "not json", "[]", "3", '{"release": 7}', '{"release":"R7","question":"Q3","choice":99}']
)
async def test_a_damaged_button_is_answered_with_a_sentence(world: World, value: str) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    with pytest.raises(ReleaseError) as caught:
        await world.press("question:approve", value)
    assert caught.value.message
    assert not world.desk.asked


async def test_a_question_is_answered_in_words_in_its_thread(world: World) -> None:
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    world.thread = "17.5"
    await world.type("answer wait")
    await world.type("answer 3")
    assert [asked[2:5] for asked in world.desk.asked] == [("approve", "U01REL", "wait"), ("reject", "U01REL", "")]
    error = await refused(world, "answer perhaps")
    assert "/release answer 2: Wait" in error.hint


@pytest.mark.parametrize("verb", ["retry", "pause", "resume"])
async def test_controls_act_at_once_pressed_or_typed(world: World, verb: str) -> None:
    world.desk.releases["R7"] = stopped()
    await world.press(f"release:{verb}", json.dumps({"release": "R7", "step": "push", "attempt": 1}))
    await world.type(verb)
    assert world.desk.asked == [(verb, "R7", "U01REL", "")] * 2


@pytest.mark.parametrize("verb", ["skip", "abort"])
async def test_what_needs_a_reason_asks_for_it(world: World, verb: str) -> None:
    world.desk.releases["R7"] = stopped()
    await world.press(f"release:{verb}", json.dumps({"release": "R7", "step": "push", "attempt": 1}))
    assert not world.desk.asked
    assert ids.REASON in await world.submit(reason="  ")
    await world.submit(reason="checked by hand")
    await world.type(f"{verb} R7 checked by hand")
    assert world.desk.asked == [(verb, "R7", "U01REL", "checked by hand")] * 2


async def test_a_retry_of_an_attempt_that_is_over_is_refused(world: World) -> None:
    world.desk.releases["R7"] = stopped()
    with pytest.raises(Conflict, match="has gone on"):
        await world.press("release:retry", json.dumps({"release": "R7", "step": "push", "attempt": 0}))
    assert not world.desk.asked


async def test_the_thread_tells_which_release_is_meant(world: World) -> None:
    world.desk.releases["R6"] = replace(running(), id="R6", thread="16.0")
    world.desk.releases["R7"] = running()
    world.thread = "17.5"
    await world.type("pause waiting for Ada")
    assert world.desk.asked == [("pause", "R7", "U01REL", "waiting for Ada")]


@pytest.mark.parametrize("verb", ["retry", "skip", "abort", "pause", "resume", "answer 1"])
async def test_controls_say_when_nothing_runs(world: World, verb: str) -> None:
    assert "Nothing is being released" in (await refused(world, verb)).message


# small answers


async def test_status_shows_the_step_in_work_with_its_commands(world: World) -> None:
    await world.type("status")
    assert "Nothing is being released to prod" in world.voice.whispers[-1]
    step = replace(running().steps[1], commands=worlds.plan().steps[1].commands)
    world.desk.releases["R7"] = running(steps=(running().steps[0], step, running().steps[2]))
    await world.type("status prod")
    assert "git push --atomic" in json.dumps(world.voice.blocks[-1])


async def test_history_lists_or_teaches(world: World) -> None:
    await world.type("history")
    assert "No release to prod yet" in world.voice.whispers[-1]
    world.desk.releases["R7"] = running(ReleaseState.SUCCEEDED, finished_at=worlds.NOW)
    await world.type("history 5")
    assert "finished well" in json.dumps(world.voice.blocks[-1])
    assert (await refused(world, "history many")).hint


async def test_a_lock_has_a_reason_and_is_told_to_everybody(world: World) -> None:
    await world.type("lock")
    assert "prod is free" in world.voice.whispers[-1], "without a reason nothing is locked"
    assert not world.desk.locks
    await world.type("lock prod Database is being moved")
    assert "Database is being moved" in next(iter(world.voice.said.values()))
    await world.type("unlock")
    assert not world.desk.locks


async def test_help_lists_what_this_person_may_and_explains_one_with_an_example(world: World) -> None:
    world.person = VIEWER
    await world.type("help")
    shown = json.dumps(world.voice.blocks[-1])
    assert "/release review" in shown
    assert "/release start" not in shown.replace("/release help start", "")
    await world.type("help start")
    assert "For example `/release start" in json.dumps(world.voice.blocks[-1])
    assert "Did you mean /release help start" in (await refused(world, "help strat")).hint


async def test_every_command_has_an_example_and_help_that_fits(world: World) -> None:
    for command in world.office.commands:
        assert command.example.startswith(f"/release {command.name}")
        assert command.handler.__doc__
        await world.type(f"help {command.name}")


async def test_whoami_tells_a_stranger_whom_to_ask(world: World) -> None:
    world.person = STRANGER
    await world.type("whoami")
    assert "not on the list" in world.voice.whispers[-1]


async def test_a_viewer_starts_decides_and_locks_nothing(world: World) -> None:
    world.person = VIEWER
    world.desk.releases["R7"] = running(questions=(worlds.opened(),))
    for text in ("start", "retry", "skip x", "abort x", "pause", "resume", "lock x", "unlock", "answer 1"):
        with pytest.raises(NotAllowed):
            await world.type(text)
    for action in (ids.ABORT, ids.PAUSE, ids.START_CONFIRM):
        with pytest.raises(NotAllowed):
            await world.press(action, "{}")
    assert not world.desk.asked


async def test_every_action_id_and_form_that_views_make_has_a_handler(world: World) -> None:
    actions = {one for command in world.office.commands for one in command.buttons}
    views = {one for command in world.office.commands for one in command.views}
    named = {value for name, value in vars(ids).items() if name.isupper() and isinstance(value, str)}
    forms = {ids.PREVIEW_FORM, ids.SKIP_FORM, ids.ABORT_FORM, ids.ROLL_BACK_FORM, ids.ASK_FORM, ids.TAKE_OVER_FORM}
    forms |= {
        ids.ES_FORM,
        ids.STOP_JOB_FORM,
        ids.WORKERS_FORM,
        ids.PLAN_CHOOSE,
        *(f"{ids.PLAN_FORM}{one}" for one in ids.EDITS),
    }
    assert {one.partition(":")[0] for one in named if ":" in one} <= actions
    assert forms | {f"{ids.QUESTION_FORM}{one}" for one in ids.FORMS} == views


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        ["review", "start", "status", "history", "lock", "unlock", "help", "whoami", "retry", "skip", "answer"]
    ),
    worlds.texts,
)
async def test_whatever_is_typed_is_answered_within_slacks_limits(name: str, rest: str) -> None:
    world = World()
    complaint = ""
    try:
        await world.type(f"{name} {rest}")
    except ReleaseError as error:
        complaint = error.message
    assert complaint or world.voice.whispers or world.voice.said or world.voice.views


async def test_a_system_that_does_not_answer_is_not_hidden(world: World) -> None:
    world.office.trouble = Unavailable("GitHub does not answer.", hint="try again")
    await world.type("review")
    assert "GitHub does not answer" in world.voice.said["review-E1"]


def test_forms_from_nowhere_do_not_break_the_check() -> None:
    world = World()
    assert world.router.complaints(Form(ids.PREVIEW_FORM, {})) == {}


# freezes


ADMIN = replace(VIEWER, roles=frozenset({"admin"}))


async def test_in_a_freeze_nothing_starts_until_it_is_lifted(world: World) -> None:
    await world.type("freeze from 15:00 until fri 18:00 because until we meet again")
    await world.type("freeze until tomorrow 9:00 because of the fair")
    assert [one.reason for one in world.office.freezes.given] == ["until we meet again", "of the fair"]
    assert "until tomorrow" not in (await refused(world, "start")).message
    assert "is frozen until Tuesday 2026-08-04 09:00 CEST: of the fair" in (await refused(world, "start")).message
    admin = World(person=ADMIN, office=world.office)
    await admin.type("thaw F2 it is over")
    await world.type("start")
    assert "Nothing has been done yet." in json.dumps(world.voice.views)


async def test_freezes_are_listed_with_the_weekly_ones(world: World) -> None:
    await world.type("freeze")
    assert "every week: fri 16:00 to 00:00 (Europe/Berlin)" in json.dumps(world.voice.blocks[-1])


async def test_only_an_admin_thaws(world: World) -> None:
    assert isinstance(await refused(world, "thaw F1 please"), NotAllowed)


@pytest.mark.parametrize(
    "text",
    [
        "freeze until fri 18:00",
        "freeze because no",
        "freeze until yesterday because no",
        "freeze from fri until wed because no",
        "freeze now until fri because no",
        "freeze until fri because " + "x" * 501,
    ],
)
async def test_a_freeze_that_makes_no_sense_is_refused(world: World, text: str) -> None:
    assert (await refused(world, text)).hint
    assert not world.office.freezes.given


@pytest.mark.parametrize("text", ["thaw", "thaw F1", "thaw until fri", "thaw F9 because"])
async def test_a_thaw_that_makes_no_sense_is_refused(text: str) -> None:
    assert isinstance(await refused(World(person=ADMIN), text), WrongUse | Conflict)


# rollbacks, delegations, broken glass


async def test_a_rollback_is_previewed_with_its_commands_and_typed(world: World) -> None:
    world.desk.releases["R7"] = running(state=ReleaseState.STOPPED)
    await world.type("rollback")
    shown = json.dumps(world.voice.views[-1])
    assert "Type 1.9.9 to roll back to it" in shown
    assert "git push" in shown, "the exact commands"
    assert await world.submit(typed="1.9.1", reason="") == {
        "typed": "Please type 1.9.9.",
        "reason": "Please give a reason; everybody in the channel sees it.",
    }
    assert not world.desk.asked
    assert await world.submit(typed="1.9.9", reason="sm-api does not start") == {}
    assert world.desk.asked == [("roll back", "R7", "1.9.9", RELEASER.slack, "sm-api does not start", "1.9.9")]
    assert "R8 rolls R7 back to 1.9.9" in world.voice.whispers[-1]


async def test_a_rollback_that_changed_since_it_was_shown_is_not_started(world: World) -> None:
    world.desk.releases["R7"] = running(state=ReleaseState.STOPPED)
    await world.type("rollback R7 --drain")
    assert world.office.requests[-1] == {"release": "R7", "drain": True}
    plan = replace(world.office.prepared.plan, head="c" * 40)
    world.office.prepared = replace(world.office.prepared, plan=plan)
    await world.submit(typed="1.9.9", reason="because")
    assert not world.desk.asked
    assert "changed since you saw" in world.voice.whispers[-1]


async def test_the_dashboards_button_opens_the_same_and_a_running_release_is_refused(world: World) -> None:
    world.desk.releases["R7"] = running(state=ReleaseState.STOPPED)
    await world.press(ids.ROLL_BACK, json.dumps({"release": "R7"}))
    assert world.voice.views[-1]["callback_id"] == ids.ROLL_BACK_FORM
    world.desk.releases["R7"] = running()
    with pytest.raises(Conflict, match="running"):
        await world.type("rollback")
    world.office.trouble = Refused("Since 1.9.9 ran what its code may not live with: m.ts.", hint="roll forward")
    world.desk.releases["R7"] = running(state=ReleaseState.STOPPED)
    await world.type("rollback")
    assert "may not live with" in json.dumps(world.voice.views[-1])


async def test_an_approver_lets_somebody_stand_in_and_takes_it_back(world: World) -> None:
    ada, grace = (one.slack for one in world.office.settings.people)
    world.person = Person(ada, "Ada", frozenset({"approver"}))
    for text in ("delegate", "delegate nobody", "delegate @grace until tomorrow", f"delegate @grace {'x' * 400}"):
        with pytest.raises(WrongUse, match=r"[nN]othing was done"):
            await world.type(text)
    await world.type(f"delegate <@{grace}> until 2d on holiday")
    (said,) = world.voice.said.values()
    assert f"<@{grace}> may approve in <@{ada}>’s stead" in said
    assert world.desk.lent[-1].reason == "on holiday"
    await world.type("whoami")
    assert "may approve in your stead" in json.dumps(world.voice.blocks[-1], ensure_ascii=False)
    await world.type("delegate off @Grace")
    assert world.desk.lent == []
    await world.type("delegate off")
    assert "nothing was changed" in world.voice.whispers[-1]
    world.person = RELEASER
    with pytest.raises(NotAllowed):
        await world.type("delegate @grace")


async def test_glass_is_broken_in_a_form_with_version_and_reason(world: World) -> None:
    glass = Choice(DecisionKind.APPROVE, "Break glass", form="break_glass", danger=True, value="break_glass")
    opened = worlds.opened((Choice(DecisionKind.APPROVE, "Approve"), glass), draft={"version": "1.9.10"})
    world.desk.releases["R7"] = running(questions=(opened,))
    world.person = VIEWER  # who may, the desk says
    await world.press("question:approve:break_glass", json.dumps({"release": "R7", "question": "Q3", "choice": 1}))
    assert set(await world.submit(typed="", reason="")) == {"typed", "reason"}
    with pytest.raises(WrongUse, match="nothing was decided"):
        await world.submit(typed="1.9.9", reason="down")
    await world.submit(typed="1.9.10", reason="the site is down")
    (asked,) = world.desk.asked
    assert asked[4:] == ("break_glass", "the site is down", {"typed": "1.9.10"})
