from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.domain.errors import Refused, ReleaseError
from bot.domain.readmodel import LockView, Person, Problem
from bot.domain.release import Choice, DecisionKind, ReleaseState, StepState
from bot.domain.report import Drift, Following, Gap, PreparedPlan
from bot.domain.world import Check, CheckState, PipelineJob, Workflow
from bot.views import dashboard, edits, forms, ids, lists, plan, question, review
from bot.views import step as step_view
from bot.views.limits import message_faults, modal_faults
from tests.views import worlds

if TYPE_CHECKING:
    from bot.domain.plan import Plan
    from bot.domain.readmodel import OpenQuestion, ReleaseView, StepView
    from bot.domain.report import ReviewReport
    from bot.views.kit import Message

hostile = settings(
    max_examples=25,
    phases=(Phase.explicit, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
FORBIDDEN = re.compile(r"<!(?!date\^)|<@U01ADMIN|<https?://evil|<javascript:|@(?:here|channel|everyone)")


TEXT = "[Task] Mono mass #1388\n[Bug] Broken table #1390"


def strings(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [one for value in node.values() for one in strings(value)]
    if isinstance(node, list):
        return [one for value in node for one in strings(value)]
    return [node] if isinstance(node, str) else []


def mrkdwn(blocks: list[dict[str, Any]]) -> list[str]:
    """Every text that Slack interprets."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "mrkdwn":
                found.append(node["text"])
                assert node["verbatim"] is True
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(blocks)
    return found


def holds(message: Message) -> None:
    assert message_faults(message.text, message.blocks) == []
    for text in [message.text, *mrkdwn(message.blocks)]:
        assert not FORBIDDEN.search(re.sub(r"`[^`]*`|<https://(github\.com|ci)/[^|>]*\|", "", text)), text


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


def words(message: Message) -> str:
    return "\n".join([message.text, *strings(message.blocks)])


@hostile
@given(worlds.reports)
def test_a_review_of_anything_fits_and_mentions_nobody(report: ReviewReport) -> None:
    holds(review.review(report, key="review-" + "E" * 60))
    for view in (review.findings, review.commits, review.why):
        holds(view(report.review))


@hostile
@given(worlds.releases)
def test_a_dashboard_of_anything_fits_and_mentions_nobody_from_outside(release: ReleaseView) -> None:
    holds(dashboard.dashboard(release))
    holds(dashboard.summary_message(release))
    holds(lists.status("prod", release, None))
    holds(lists.history("prod", [release] * 30))
    assert modal_faults(forms.abort_form(release)) == []


@hostile
@given(worlds.releases, worlds.step_views, worlds.problems)
def test_a_stop_of_anything_fits(release: ReleaseView, step: StepView, problem: Problem) -> None:
    holds(dashboard.stopped_message(release, step, problem))
    holds(step_view.step_message(release, step))
    assert modal_faults(forms.skip_form(release, step)) == []


@hostile
@given(worlds.plans, worlds.reports, worlds.texts, st.none() | st.just(worlds.Version(1, 2, 3)))
def test_a_plan_of_anything_fits(one: Plan, report: ReviewReport, advice: str, newest: worlds.Version | None) -> None:
    prepared = PreparedPlan(one, "", report, newest, advice)
    holds(plan.preview_message(prepared, {"environment": "prod"}))
    assert modal_faults(plan.preview_modal(prepared, {"environment": "prod"}, because=advice)) == []
    assert modal_faults(plan.refused_modal(advice or "x", advice)) == []


@hostile
@given(worlds.changed_plans, st.integers(0, 24), worlds.texts)
def test_the_forms_that_change_any_plan_fit_and_so_does_what_was_changed(made: Plan, number: int, said: str) -> None:
    holds(plan.preview_message(PreparedPlan(made, "", worlds.report(), None, ""), {"environment": "prod"}))
    step = made.steps[number % len(made.steps)]
    target = {"start": {"because": "x" * 500, "only": ["sm-graphql"] * 5, "seen": "f" * 64}, "seen": 3}
    assert modal_faults(edits.choose_form(made, made.steps, target, export=True)) == []
    for kind in ids.EDITS:
        assert modal_faults(edits.edit_form(kind, made, made.steps, step, {**target, "step": step.key})) == []
    holds(edits.told(said, "U01REL", 3))


@hostile
@given(worlds.questions, st.sampled_from(["", "U01REL"]), worlds.texts)
def test_a_question_of_anything_fits_with_each_of_its_forms(opened: OpenQuestion, ask: str, reason: str) -> None:
    holds(question.question(opened, ask=ask))
    for kind in (None, *DecisionKind):
        holds(question.answered(opened.question, release="R7", kind=kind, by="U1", at=opened.asked_at, reason=reason))
    for index, choice in enumerate(opened.question.choices):
        assert modal_faults(forms.question_form(opened, choice, index)) == []


@hostile
@given(worlds.locks, worlds.texts, worlds.texts)
def test_small_answers_to_anything_fit(lock: LockView, one: str, two: str) -> None:
    holds(lists.locked(lock))
    holds(lists.unlocked(one, two))
    holds(lists.status(one, None, lock))
    holds(lists.error(Refused(one or "x", hint=two, changed=one)))
    holds(
        lists.whoami(Person("U1", one, frozenset({"viewer"}), two), frozenset({"viewer"}), [("viewer", "look")], "C1")
    )
    holds(lists.help_overview([(one, two, one)] * 20))
    holds(lists.help_command(one, two, one, two, "viewer"))


def test_a_review_says_first_what_could_not_be_seen() -> None:
    shown = review.review(
        worlds.report(checks=None, checks_problem="GitHub does not answer", review=worlds.review(blind_spots=("x.py",)))
    )
    assert "Not seen" in shown.blocks[1]["text"]["text"]
    assert "GitHub does not answer" in shown.blocks[1]["text"]["text"]
    assert "x.py" in shown.blocks[1]["text"]["text"]


def test_a_review_names_the_ci_jobs_that_are_not_green_and_counts_a_missing_one_as_such() -> None:
    checks = (Check("test-engine", CheckState.FAILED, "https://ci.example/1"),)
    shown = words(review.review(worlds.report(checks=checks)))
    assert "not ready – 0 of 2 required jobs passed" in shown
    assert "<https://ci.example/1|test-engine> failed" in shown
    assert "test-webapp missing" in shown


def test_a_review_names_what_ci_itself_runs_for_how_long_and_in_which_workflow() -> None:
    began = worlds.NOW - timedelta(minutes=3)
    job = PipelineJob("test-engine", CheckState.PENDING, "running", began, url="https://ci.example/7")
    run = Workflow("W1", "commit", "running", running=True, jobs=(job,), url="https://ci.example/w")
    checks = (Check("test-engine", CheckState.FAILED), Check("test-webapp", CheckState.PASSED))
    report = worlds.report(checks=checks, workflows=(run,), ci_at=worlds.NOW)
    shown = review.review(report)
    assert "<https://ci.example/7|test-engine> running for 3 min (workflow <https://ci.example/w|commit>)" in words(
        shown
    )
    assert ids.REVIEW_RERUN not in buttons(shown)


def test_jobs_that_never_block_stand_apart() -> None:
    checks = (*(worlds.report().checks or ()), Check("sci-test-on-demand", CheckState.FAILED))
    shown = words(review.review(worlds.report(checks=checks, ignored_ci=("sci-test-on-demand",))))
    assert "*CI:* green – 2 of 2 required jobs passed" in shown
    assert "*Not blocking:* sci-test-on-demand failed" in shown


def test_failed_jobs_can_be_run_again_only_where_ci_itself_was_heard() -> None:
    checks = (Check("test-engine", CheckState.FAILED),)
    run = Workflow("W1", "commit", "failed", running=False)
    offered = buttons(review.review(worlds.report(checks=checks, workflows=(run,))))[ids.REVIEW_RERUN]
    assert "test-engine" in offered["confirm"]["text"]["text"]
    assert ids.REVIEW_RERUN not in buttons(review.review(worlds.report(checks=checks)))


@pytest.mark.parametrize(
    ("following", "said"),
    [
        (Following.NO, ""),
        (Following.ON, "CI is asked again until it is decided"),
        (Following.OVER, "no longer followed"),
        (Following.ELSEWHERE, "in a newer review"),
    ],
)
def test_a_review_says_whether_it_is_followed(following: Following, said: str) -> None:
    footer = review.review(worlds.report(following=following, followed_until=worlds.NOW)).blocks[-2]["elements"][0][
        "text"
    ]
    assert said in footer
    assert said or "CI" not in footer


def test_the_three_facts_stand_together_with_their_gaps_and_the_range_since_what_is_live() -> None:
    drifted = Drift(
        "release",
        worlds.BASE,
        "2.3.1",
        "c" * 40,
        "d" * 40,
        live_branch="master",
        live_since=worlds.NOW,
        before="e" * 40,
        branch_to_tag=Gap(11, 0),
        live_to_branch=Gap(0, 3),
        live_to_tag=Gap(8, 0),
    )
    shown = review.review(worlds.report(drift=drifted))
    said = words(shown)
    assert "release is 11 commits ahead of tag 2.3.1; live is 3 commits behind release" in said
    assert "live `dddddddd` (on `master`) since <!date^" in said
    assert "before that `eeeeeeee`" in said
    value = json.loads(buttons(shown)[ids.REVIEW_LIVE]["value"])
    assert (value["base"], value["names"]) == ("d" * 40, ["live", "master"])


def test_where_live_is_the_head_the_range_since_the_tag_is_offered() -> None:
    """METASPACE's own state: release equals master, eleven commits past the last tag."""
    facts = worlds.review(relation=worlds.Relation.IDENTICAL, commits=(), base=worlds.Ref("release", worlds.HEAD))
    drifted = Drift("release", worlds.HEAD, "2.3.1", "c" * 40, worlds.HEAD, branch_to_tag=Gap(11, 0))
    shown = review.review(worlds.report(review=facts, drift=drifted))
    assert "release is 11 commits ahead of tag 2.3.1; live is release" in words(shown)
    assert buttons(shown)[ids.REVIEW_LIVE]["text"]["text"] == "Review since 2.3.1"


def test_hotfixes_are_listed_with_the_page_that_merges_them() -> None:
    hotfix = replace(worlds.review().commits[0], sha="c" * 40, subject="Repair <the> table")
    url = "https://github.com/o/r/compare/master...release?expand=1"
    shown = review.review(worlds.report(review=worlds.review(lacking=(hotfix,) * 7), merge_url=url))
    assert "*Hotfixes on release that master lacks* (7)" in words(shown)
    assert "Repair &lt;the&gt; table" in words(shown)
    assert "… and 2 more." in words(shown)
    assert "merges them into master after asking you" in words(shown)
    assert buttons(shown)[ids.REVIEW_MERGE]["url"] == url


def test_a_range_of_the_past_offers_no_release() -> None:
    assert ids.REVIEW_START in buttons(review.review(worlds.report()))
    assert ids.REVIEW_START not in buttons(review.review(worlds.report(releasable=False)))


def test_many_reasons_are_a_button_and_each_is_linked_to_its_place() -> None:
    place = "metaspace/engine/sm/engine/es_export.py:470"
    reasons = (f"is_mono is new ({place})", *(f"reason {n}" for n in range(6)))
    facts = worlds.review(strategy=replace(worlds.review().strategy, reasons=reasons))
    shown = review.review(worlds.report(review=facts))
    assert "… and 3 more reasons" in words(shown)
    assert ids.REVIEW_WHY in buttons(shown)
    assert "reason 5" in words(review.why(facts))
    page = f"https://github.com/metaspace2020/metaspace/blob/{worlds.HEAD}/metaspace/engine/sm/engine/es_export.py#L470"
    assert f"is_mono is new – <{page}|…/engine/es_export.py:470>" in words(review.why(facts))


def test_an_override_is_shown_with_its_reason_on_dashboard_and_in_history() -> None:
    chosen = worlds.plan(recommended="fork_vm", because="the table is small")
    release = worlds.release(plan=chosen)
    for shown in (dashboard.dashboard(release), lists.history("prod", [release])):
        assert "*Instead of* `fork_vm`, which the review recommends: the table is small" in words(shown)


def test_a_review_says_when_branch_tag_and_server_disagree() -> None:
    drifted = worlds.Drift("release", worlds.BASE, "1.9.9", worlds.HEAD, worlds.BASE)
    assert "different commits" in words(review.review(worlds.report(drift=drifted)))
    assert "different commits" not in words(review.review(worlds.report()))


def test_an_empty_review_teaches_and_offers_no_start() -> None:
    shown = review.review(worlds.report(review=worlds.review(relation=worlds.Relation.IDENTICAL, commits=())))
    assert "nothing to release" in words(shown)
    assert ids.REVIEW_START not in buttons(shown)


def test_a_review_links_findings_to_their_line_in_the_head() -> None:
    place = f"/blob/{worlds.HEAD}/metaspace/engine/sm/engine/es_export.py#L470"
    assert place in words(review.review(worlds.report()))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ReleaseState.RUNNING, {ids.PAUSE, ids.ABORT, ids.PLAN_EDIT}),
        (ReleaseState.PAUSED, {ids.RESUME, ids.ABORT, ids.PLAN_EDIT}),
        (ReleaseState.STOPPED, {ids.RETRY, ids.SKIP, ids.ABORT, ids.PLAN_EDIT}),
        (ReleaseState.ABORTING, set()),
        (ReleaseState.ABORTED, set()),
        (ReleaseState.SUCCEEDED, set()),
    ],
)
def test_only_legal_buttons_are_offered(state: ReleaseState, expected: set[str]) -> None:
    assert set(buttons(dashboard.dashboard(worlds.release(state)))) == expected


def test_a_step_that_may_never_be_skipped_has_no_skip_button() -> None:
    step = worlds.StepView("ci", "CI", worlds.StepKind.AUTOMATIC, StepState.FAILED, "never")
    shown = dashboard.dashboard(worlds.release(ReleaseState.STOPPED, steps=(step,)))
    assert set(buttons(shown)) == {ids.RETRY, ids.ABORT}


def test_a_stopped_release_says_what_happened_what_changed_and_what_to_try() -> None:
    problem = Problem("The push was refused.", hint="Fetch and retry.", changed="Nothing was pushed.")
    step = worlds.StepView("p", "Push", worlds.StepKind.AUTOMATIC, StepState.FAILED, "never", problem=problem)
    shown = words(dashboard.dashboard(worlds.release(ReleaseState.STOPPED, steps=(step,))))
    for part in ("What happened:* The push", "What was changed:* Nothing", "Try next:* Fetch"):
        assert part in shown


def test_every_state_stands_in_the_title_as_a_word() -> None:
    titles = {dashboard.title(worlds.release(state)) for state in ReleaseState}
    assert len(titles) == len(ReleaseState)
    assert all(any(c.isalpha() for c in one.split(":")[-1]) for one in titles)


def test_a_finished_release_tells_duration_and_downtime() -> None:
    ended = worlds.NOW + worlds.timedelta(minutes=14, seconds=3)
    shown = words(dashboard.summary_message(worlds.release(ReleaseState.SUCCEEDED, finished_at=ended, downtime=4.2)))
    assert "14 min 3 s" in shown
    assert "Downtime measured: 4 s" in shown


def test_who_aborted_is_named_and_the_reason_cannot_name_others() -> None:
    note = "aborted by <@U01REL>: <@U01ADMIN> said so"
    shown = words(dashboard.summary_message(worlds.release(ReleaseState.ABORTED, note=note)))
    assert "Note: aborted by <@U01REL>: &lt;@" in shown
    assert "<@U01ADMIN>" not in shown


def test_what_an_open_question_offers_is_not_offered_twice() -> None:
    asked = worlds.opened((Choice(DecisionKind.RETRY, "Try again"), Choice(DecisionKind.ABORT, "Give up")))
    shown = buttons(dashboard.dashboard(worlds.release(ReleaseState.STOPPED, questions=(asked,))))
    assert set(shown) == {"question:retry", "question:abort", ids.SKIP, ids.PLAN_EDIT}


def test_a_changed_host_key_is_never_skipped() -> None:
    problem = Problem("The host key changed.", unskippable=True)
    step = worlds.StepView("d", "Deploy", worlds.StepKind.AUTOMATIC, StepState.FAILED, "releaser", problem=problem)
    shown = dashboard.dashboard(worlds.release(ReleaseState.STOPPED, steps=(step,)))
    assert set(buttons(shown)) == {ids.RETRY, ids.ABORT}


def test_an_unmeasured_downtime_is_not_called_none() -> None:
    shown = words(dashboard.summary_message(worlds.release(ReleaseState.SUCCEEDED, downtime=None)))
    assert "not measured" in shown


def test_a_dashboard_shows_the_open_question_with_its_buttons() -> None:
    shown = dashboard.dashboard(worlds.release(questions=(worlds.opened(),)))
    assert {"question:approve", "question:approve:wait", "question:reject"} <= set(buttons(shown))
    value = json.loads(buttons(shown)["question:approve:wait"]["value"])
    assert value == {"question": "Q3", "release": "R7", "choice": 1}


def test_an_answered_question_has_no_buttons_and_names_who_and_when() -> None:
    shown = question.answered(
        worlds.opened().question, release="R7", kind=DecisionKind.APPROVE, by="U01REL", at=worlds.NOW, value="wait"
    )
    assert not buttons(shown)
    assert "Approved (“Wait”) by <@U01REL>, <!date^" in words(shown)


def test_a_dangerous_choice_without_a_form_asks_again() -> None:
    shown = buttons(question.question(worlds.opened()))
    assert "confirm" in shown["question:reject"]
    assert "confirm" not in shown["question:approve"]


def test_a_plan_shows_the_exact_commands_and_where_going_back_stops_being_cheap() -> None:
    shown = words(plan.preview_message(worlds.prepared(), {}))
    assert f"`here` `git push --atomic origin {worlds.HEAD}:refs/heads/release`" in shown
    assert "Push the branches – *costly to undo*" in shown
    assert "Costly to undo from:* Push the branches" in shown


def test_the_notes_form_has_a_box_for_each_kind_and_one_for_what_is_left_out() -> None:
    opened = worlds.opened(draft={"version": "1.9.10", "text": TEXT, "left_out": "[Bug] Typo #7"})
    view = forms.question_form(opened, opened.question.choices[0], 0)
    boxes = {block["block_id"]: block["element"]["initial_value"] for block in view["blocks"] if "element" in block}
    assert view["callback_id"] == "question:form:notes"
    assert boxes == {
        "task-0": "Mono mass #1388",
        "bug-0": "Broken table #1390",
        "dependabot-0": "–",
        "left-out-0": "Typo #7",
    }
    assert json.loads(view["private_metadata"])["filled"] == ["task-0", "bug-0", "left-out-0"]


def test_the_notes_of_a_long_range_are_all_in_the_form() -> None:
    lines = [f"[Task] Something of which much is to be told in a line, number {n} #{n}" for n in range(1, 151)]
    opened = worlds.opened(draft={"version": "1.9.10", "text": "\n".join(lines)})
    view = forms.question_form(opened, opened.question.choices[0], 0)
    assert modal_faults(view) == []
    shown = [line for block in view["blocks"] if "element" in block for line in _initial(block).splitlines()]
    assert [f"[Task] {line.strip()}" for line in shown if line != "–"] == lines
    assert "Tasks (2 of 5)" in strings(view["blocks"])


def _initial(block: dict[str, Any]) -> str:
    return str(block["element"].get("initial_value", ""))


def test_the_message_of_the_tag_is_shown_line_by_line_as_it_is() -> None:
    message = "> Release notes:\n>   [Task] <b> & `x` #1\n\nReleased-by: R7-tag\n"
    opened = worlds.opened(draft={"version": "1.9.10", "text": TEXT, "message": message})
    for shown in (question.question(opened), dashboard.dashboard(worlds.release(questions=(opened,)))):
        assert "`> Release notes:`\n`>   [Task] &lt;b> &amp; ʼxʼ #1`\n\n`Released-by: R7-tag`" in words(shown)


def test_a_message_that_does_not_fit_says_how_much_is_missing() -> None:
    message = "\n".join(f">   [Task] {'x' * 190} #{n}" for n in range(1, 201))
    opened = worlds.opened(draft={"version": "1.9.10", "text": TEXT, "message": message})
    shown = question.question(opened)
    holds(shown)
    assert "more lines; the form has them all." in words(shown)


def test_a_message_of_a_hundred_pull_requests_is_shown_whole() -> None:
    message = "\n".join(f">   [Task] {'Something of which a line tells much'} #{n}" for n in range(1, 101))
    shown = question.question(worlds.opened(draft={"version": "1.9.10", "message": message}))
    holds(shown)
    assert all(f"#{n}`" in words(shown) for n in range(1, 101))


def test_an_edit_is_told_as_one_and_not_as_an_approval() -> None:
    shown = question.answered(
        worlds.opened((Choice(DecisionKind.APPROVE, "Edit them…", form="notes", value="edited"),)).question,
        release="R7",
        kind=DecisionKind.APPROVE,
        by="U01REL",
        at=worlds.NOW,
        value="edited",
    )
    assert "Edited by <@U01REL>" in words(shown)
    assert "Approved" not in words(shown)


def test_what_came_too_late_is_handed_back_whole() -> None:
    shown = forms.given_back(["<!channel> one #1", "two"])
    holds(shown)
    assert "`&lt;!channel> one #1`\n`two`" in words(shown)


def test_a_plan_shows_which_versions_may_come_next_and_the_signs_of_a_milestone() -> None:
    proposal = worlds.VersionProposal(
        worlds.Version(1, 9, 9), worlds.Version(1, 9, 10), worlds.Bump.PATCH, ("new page PlotPage (x.vue)",)
    )
    report = worlds.report(review=worlds.review(version=proposal))
    notes = worlds.PlannedStep(
        "notes", "notes", 1, "Notes", worlds.StepKind.APPROVAL, {"draft": TEXT, "left_out": TEXT, "titles_only": True}
    )
    prepared = PreparedPlan(worlds.plan(steps=(notes,)), "", report, worlds.Version(1, 9, 9), "GitHub does not answer.")
    modal = plan.preview_modal(prepared, {})
    for shown in ("\n".join(strings(modal)), words(plan.preview_message(prepared, {}))):
        assert "`1.9.10` is the patch after `1.9.9`" in shown
        assert "`1.10.0` (minor) or `2.0.0` (major)" in shown
        assert "• new page PlotPage (x.vue)" in shown
        assert "2 lines drafted, 2 left out" in shown
        assert "Drafted from titles alone, because GitHub did not tell all: GitHub does not answer." in shown


def test_an_unknown_form_asks_for_a_reason() -> None:
    choice = Choice(DecisionKind.SKIP, "Leave out", form="something new")
    assert forms.question_form(worlds.opened((choice,)), choice, 0)["callback_id"] == "question:form:reason"


def test_every_error_type_is_shown_with_its_hint() -> None:
    for kind in [ReleaseError, *ReleaseError.__subclasses__()]:
        shown = words(lists.error(kind("It did not work.", hint="Do that.", changed="Nothing.")))
        assert "It did not work." in shown
        assert "Try: Do that." in shown


def quick(title: str, **changes: object) -> worlds.StepView:
    step = worlds.StepView(title, title, worlds.StepKind.AUTOMATIC, StepState.DONE, "never", attempt=1)
    ended = worlds.NOW + worlds.timedelta(seconds=1)
    return replace(step, **{"started_at": worlds.NOW, "finished_at": ended, **changes})


def test_steps_that_ended_at_once_share_one_message_and_others_have_their_own() -> None:
    slow = quick("Deploy", finished_at=worlds.NOW + worlds.timedelta(seconds=40))
    asked = quick("Notes", kind=worlds.StepKind.APPROVAL, decided_by="U01REL")
    again = quick("Push", attempt=2)
    steps = (quick("CI", summary="6 jobs passed."), slow, asked, again, quick("Tag", summary="Pushed."))
    shown = step_view.together_message(worlds.release(steps=steps))
    assert shown is not None
    assert "1. *CI*: 6 jobs passed.\n✓ 5. *Tag*: Pushed." in words(shown)
    assert [one.title for one in steps if step_view.worth_telling(one)] == ["Deploy", "Push"]


def test_nothing_is_told_together_before_a_step_has_ended() -> None:
    assert step_view.together_message(worlds.release(steps=worlds.steps(StepState.RUNNING))) is None


def test_what_to_do_about_a_failure_is_told_once_and_the_step_shows_its_commands() -> None:
    problem = Problem("The build failed.", hint="Mend it.")
    failed = quick("Deploy", state=StepState.FAILED, problem=problem, commands=(worlds.Command("web", ("ls",)),))
    release = worlds.release(ReleaseState.STOPPED, steps=(failed,))
    assert "Mend it." not in words(step_view.step_message(release, failed))
    assert "`web` `ls`" in words(step_view.step_message(release, failed))
    assert "Mend it." in words(dashboard.stopped_message(release, failed, problem))
