"""Hypothesis strategies and plain examples of what views show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from bot.domain.approval import bound
from bot.domain.changes import Commit, Ref, Relation
from bot.domain.findings import Finding, Kind, Severity
from bot.domain.notes import Note, NoteKind
from bot.domain.plan import Command, Edited, Plan, PlannedStep, StepKind
from bot.domain.readmodel import LockView, OpenQuestion, Problem, ReleaseView, StepView
from bot.domain.rehearsal import Rehearsal
from bot.domain.rehearsal import planned as planned_steps
from bot.domain.release import Choice, DecisionKind, Question, ReleaseState, StepState
from bot.domain.report import Drift, Following, Gap, PreparedPlan, ReviewReport
from bot.domain.review import PullRequest, Review, VersionProposal
from bot.domain.strategy import Part, Strategy, StrategyName
from bot.domain.version import Bump, Version
from bot.domain.world import Check, CheckState, PipelineJob, Workflow

NOW = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)
BASE, HEAD = "a" * 40, "b" * 40
HOSTILE = (
    "<!channel> <@U01ADMIN> <https://evil.example|click> & > quote",
    "*bold* _italic_ ~gone~ `code` ```block``` :tada: @here @channel",
    "> not a quote\nsecond line\r\n\x00\x07",
    "x" * 5000,
    "&" * 5000,
    "🦄" * 3000,
    "\u202egnirts desrever\u2066",
    "",
    "   ",
    "_" * 300,
    "|||]]))",
)
# By number: a strategy is named by its values, and Hypothesis refuses a name of tens of kilobytes.
hostile = st.integers(0, len(HOSTILE) - 1).map(HOSTILE.__getitem__)
texts = st.one_of(hostile, st.text(max_size=80))
names = st.sampled_from(["prod", "staging", "n" * 32])  # what the settings let through
shas = st.sampled_from([BASE, HEAD, "", "not a sha`"])
times = st.integers(0, 10_000_000).map(lambda n: NOW + timedelta(seconds=n))


def plan(**changes: object) -> Plan:
    steps = (
        PlannedStep("ci", "ci_green", 1, "CI is green", StepKind.AUTOMATIC),
        PlannedStep(
            "push",
            "push_branches",
            1,
            "Push the branches",
            StepKind.AUTOMATIC,
            commands=(Command("here", ("git", "push", "--atomic", "origin", f"{HEAD}:refs/heads/release")),),
            costly_to_undo=True,
        ),
        PlannedStep("notes", "tag", 1, "Tag the release", StepKind.APPROVAL),
    )
    values: dict[str, object] = {
        "environment": "prod",
        "strategy": "in_place",
        "checklist": "in_place@1a2b3c",
        "base": BASE,
        "head": HEAD,
        "version": "1.9.10",
        "previous_version": "1.9.9",
        "hotfix": False,
        "tags": (),
        "steps": steps,
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def rehearsal(planned: Plan, **changes: object) -> Rehearsal:
    values: dict[str, object] = {
        "id": "H1",
        "environment": planned.environment,
        "by": "U01REL",
        "started_at": NOW,
        "head": planned.head,
        "version": planned.version,
        "checklist": planned.checklist,
        "fingerprint": planned.fingerprint,
        "binds": bound(planned),
        "steps": planned_steps(planned),
    }
    return Rehearsal(**{**values, **changes})  # type: ignore[arg-type]


def steps(*states: StepState) -> tuple[StepView, ...]:
    names = ("CI is green", "Push the branches", "Tag the release")
    keys = ("ci", "push", "notes")
    return tuple(
        StepView(
            key,
            name,
            StepKind.AUTOMATIC,
            state,
            "releaser",
            attempt=0 if state is StepState.PENDING else 1,
            started_at=None if state is StepState.PENDING else NOW,
            finished_at=NOW + timedelta(seconds=65) if state is StepState.DONE else None,
        )
        for key, name, state in zip(keys, names, states, strict=False)
    )


def release(state: ReleaseState = ReleaseState.RUNNING, **changes: object) -> ReleaseView:
    values: dict[str, object] = {
        "id": "R7",
        "environment": "prod",
        "state": state,
        "plan": plan(),
        "started_by": "U01REL",
        "created_at": NOW,
        "finished_at": None,
        "steps": steps(StepState.DONE, StepState.RUNNING, StepState.PENDING),
    }
    return ReleaseView(**{**values, **changes})  # type: ignore[arg-type]


def review(**changes: object) -> Review:
    values: dict[str, object] = {
        "base": Ref("release", BASE),
        "head": Ref("master", HEAD),
        "merge_base": BASE,
        "relation": Relation.AHEAD,
        "compare_url": "https://github.com/metaspace2020/metaspace/compare/release...master",
        "commits": (Commit(HEAD, "Mono mass (#1388)", "Ada", "ada@example.org", NOW),),
        "pull_requests": (PullRequest(1388, "Mono mass", "Ada", HEAD),),
        "findings": (
            Finding(
                Kind.ES_FIELD_ADDED,
                "is_mono",
                Severity.ATTENTION,
                "metaspace/engine/sm/engine/es_export.py",
                470,
                index="annotation",
                detail="a new field",
                action="update the index",
            ),
        ),
        "strategy": Strategy(StrategyName.DEPLOY_THEN_ES_UPDATE, (), ("is_mono is new, and may fill over days",)),
        "version": VersionProposal(Version(1, 9, 9), Version(1, 9, 10), Bump.PATCH),
        "notes": (Note(NoteKind.TASK, "Mono mass", 1388),),
    }
    return Review(**{**values, **changes})  # type: ignore[arg-type]


def report(**changes: object) -> ReviewReport:
    values: dict[str, object] = {
        "environment": "prod",
        "review": review(),
        "made_at": NOW,
        "required_ci": ("test-engine", "test-webapp"),
        "checks": (Check("test-engine", CheckState.PASSED), Check("test-webapp", CheckState.PASSED)),
        "drift": Drift("release", BASE, "1.9.9", BASE, BASE),
    }
    return ReviewReport(**{**values, **changes})  # type: ignore[arg-type]


def prepared(**changes: object) -> PreparedPlan:
    return PreparedPlan(plan(**changes), "steps: []", report(), Version(1, 9, 9))


def opened(choices: tuple[Choice, ...] = (), **changes: object) -> OpenQuestion:
    chosen = choices or (
        Choice(DecisionKind.APPROVE, "Use these notes", form="notes"),
        Choice(DecisionKind.APPROVE, "Wait", value="wait"),
        Choice(DecisionKind.REJECT, "Stop here", danger=True),
    )
    values: dict[str, object] = {
        "title": "Which notes?",
        "detail": "The tag cannot be moved later.",
        "draft": {
            "version": "1.9.10",
            "text": "> Release notes:\n>   [Task] Mono mass #1388\n>   [Bug] Broken table #1390\n",
        },
    }
    return OpenQuestion("Q3", "R7", "notes", NOW, Question(choices=chosen, **{**values, **changes}))  # type: ignore[arg-type]


commands = st.builds(Command, host=texts, argv=st.lists(texts, min_size=1, max_size=4).map(tuple))
short = st.sampled_from(["", HOSTILE[0], "x" * 99])
planned = st.builds(
    PlannedStep,
    key=texts,
    step=texts,
    version=st.just(1),
    title=texts,
    kind=st.sampled_from(StepKind),
    commands=st.lists(commands, max_size=4).map(tuple),
    costly_to_undo=st.booleans(),
)
plans = st.builds(
    Plan,
    environment=names,
    strategy=st.one_of(st.sampled_from(StrategyName).map(str), texts),
    checklist=texts,
    base=shas,
    head=shas,
    version=texts,
    previous_version=texts,
    hotfix=st.booleans(),
    tags=st.lists(texts, max_size=4).map(tuple),
    steps=st.lists(planned, max_size=25).map(tuple),
    recommended=st.sampled_from(["", "fork_vm"]),
    because=texts,
    edits=st.lists(
        st.builds(Edited, by=st.sampled_from(["U01REL", "<!channel>"]), at=st.just(""), said=short, edit=st.just({})),
        max_size=1,
    ).map(tuple),
)
changed_plans = st.builds(
    lambda plan, marks: replace(
        plan,
        steps=tuple(
            replace(step, key=f"key_{n}", params=marks[n] if n < len(marks) else {})
            for n, step in enumerate(plan.steps)
        ),
    ),
    plans.filter(lambda one: one.steps),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "note": texts,
                "assignee": texts,
                "assignee_name": texts,
                "skipped": st.fixed_dictionaries({"by": texts, "reason": texts}),
            },
        ),
        max_size=3,
    ),
)
problems = st.builds(Problem, message=texts, hint=texts, changed=texts, ours=st.booleans())
step_views = st.builds(
    StepView,
    key=names,
    title=texts,
    kind=st.sampled_from(StepKind),
    state=st.sampled_from(StepState),
    skip=st.sampled_from(["never", "approver", "releaser"]),
    commands=st.lists(commands, max_size=3).map(tuple),
    attempt=st.integers(0, 3),
    started_at=st.none() | times,
    finished_at=st.none() | times,
    summary=texts,
    facts=st.dictionaries(texts, st.one_of(texts, st.integers(), st.lists(texts, max_size=8), st.none()), max_size=10),
    progress=texts,
    problem=st.none() | problems,
    decided_by=st.sampled_from(["", "U01REL", "<!channel>"]),
    reason=texts,
    note=short,
    assignee=st.sampled_from(["", "<@U05ADA>", "<!channel>"]),
)
choices = st.builds(
    Choice,
    kind=st.sampled_from(DecisionKind),
    label=texts.filter(str.strip),
    form=st.sampled_from(["", "notes", "reason", "typed_version", "other"]),
    danger=st.booleans(),
    value=st.sampled_from(["", "wait", "drain", "go_on"]),
)
questions = st.builds(
    OpenQuestion,
    id=st.integers(1, 10**9).map(str),
    release=st.just("R7"),
    step=names,
    asked_at=times,
    question=st.builds(
        Question,
        title=texts,
        detail=texts,
        choices=st.lists(choices, max_size=6, unique_by=lambda one: (one.kind, one.value)).map(tuple),
        basis=st.lists(texts, max_size=12).map(tuple),
        draft=st.none()
        | st.fixed_dictionaries({"version": texts, "text": texts}, optional={"left_out": texts, "message": texts}),
    ),
)
releases = st.builds(
    ReleaseView,
    id=st.just("R7"),
    environment=names,
    state=st.sampled_from(ReleaseState),
    plan=plans,
    started_by=st.sampled_from(["U01REL", "<!channel>"]),
    created_at=times,
    finished_at=st.none() | times,
    steps=st.lists(step_views, max_size=25).map(tuple),
    questions=st.lists(questions, max_size=3, unique_by=lambda one: one.id).map(tuple),
    downtime=st.none() | st.floats(0, 10**6),
    unwatched=st.floats(0, 10**6),
    note=texts,
    loose_ends=st.lists(texts, max_size=20).map(tuple),
)
findings = st.builds(
    Finding,
    kind=st.sampled_from(Kind),
    subject=texts,
    severity=st.sampled_from(Severity),
    path=texts,
    line=st.integers(0, 9999),
    detail=texts,
    action=texts,
)
commit_views = st.builds(Commit, sha=shas, subject=texts, author=texts, author_email=texts, committed_at=times)
reviews = st.builds(
    Review,
    base=st.builds(Ref, texts, shas),
    head=st.builds(Ref, texts, shas),
    merge_base=st.none() | shas,
    relation=st.sampled_from(Relation),
    compare_url=st.sampled_from(["", "https://github.com/o/r/compare/a...b|<x>", "javascript:alert(1)"]),
    commits=st.lists(commit_views, max_size=25).map(tuple),
    pull_requests=st.lists(st.builds(PullRequest, st.integers(1, 9999), texts, texts, shas), max_size=25).map(tuple),
    findings=st.lists(findings, max_size=25).map(tuple),
    strategy=st.builds(
        Strategy, st.sampled_from(StrategyName), st.just((Part.ES_UPDATE,)), st.lists(texts, max_size=30).map(tuple)
    ),
    lacking=st.lists(commit_views, max_size=8).map(tuple),
    version=st.builds(
        VersionProposal,
        st.none() | st.just(Version(1, 2, 3)),
        st.none() | st.just(Version(1, 2, 4)),
        st.sampled_from(Bump),
        st.lists(texts, max_size=5).map(tuple),
    ),
    notes=st.just(()),
    blind_spots=st.lists(texts, max_size=20).map(tuple),
    remarks=st.lists(texts, max_size=20).map(tuple),
)
gaps = st.none() | st.builds(Gap, st.integers(0, 999), st.integers(0, 999))
drifts = st.builds(
    Drift,
    branch=texts,
    branch_sha=shas,
    tag=texts,
    tag_sha=shas,
    live=shas,
    live_problem=texts,
    refs_problem=texts,
    live_branch=texts,
    live_dirty=st.booleans(),
    live_since=st.none() | times,
    before=shas,
    branch_to_tag=gaps,
    live_to_tag=gaps,
    live_to_branch=gaps,
)
urls = st.sampled_from(["", "https://ci/x?a=1&b=2"])
check_states = st.sampled_from(CheckState)
pipeline_jobs = st.builds(
    PipelineJob,
    name=texts,
    state=check_states,
    status=texts,
    started_at=st.none() | times,
    stopped_at=st.none() | times,
    url=urls,
)
workflows = st.builds(
    Workflow,
    id=texts,
    name=texts,
    status=texts,
    running=st.booleans(),
    jobs=st.lists(pipeline_jobs, max_size=4).map(tuple),
    url=urls,
)
reports = st.builds(
    ReviewReport,
    environment=names,
    review=reviews,
    made_at=times,
    required_ci=st.lists(texts, max_size=30).map(tuple),
    ignored_ci=st.lists(texts, max_size=8).map(tuple),
    checks=st.none() | st.lists(st.builds(Check, texts, check_states, urls)).map(tuple),
    checks_problem=texts,
    workflows=st.none() | st.lists(workflows, max_size=4).map(tuple),
    workflows_problem=texts,
    ci_at=st.none() | times,
    following=st.sampled_from(Following),
    followed_until=st.none() | times,
    rerun_by=st.sampled_from(["", "U01REL"]),
    drift=st.none() | drifts,
    hotfix=st.booleans(),
    merge_url=st.sampled_from(["", "https://github.com/o/r/compare/master...release?expand=1"]),
    pending=st.lists(texts, max_size=3).map(tuple),
)
locks = st.builds(
    LockView, environment=texts, owner=texts, reason=texts, since=times, release=st.sampled_from(["", "R7"])
)
