"""Words for states, the same in every view. The sign stands beside its word, never instead of it."""

from __future__ import annotations

from bot.domain.release import DecisionKind, ReleaseState, StepState

RELEASE = {
    ReleaseState.PLANNED: "planned, not started",
    ReleaseState.RUNNING: "running",
    ReleaseState.PAUSED: "paused",
    ReleaseState.STOPPED: "stopped, needs a decision",
    ReleaseState.ABORTING: "aborting",
    ReleaseState.ABORTED: "aborted",
    ReleaseState.SUCCEEDED: "finished well",
}
STEP = {
    StepState.PENDING: ("○", "to come"),
    StepState.RUNNING: ("▸", "running"),
    StepState.WAITING: ("▸", "waiting for a person"),
    StepState.FAILED: ("✗", "failed"),
    StepState.ERROR: ("✗", "error of the bot"),
    StepState.SKIPPED: ("–", "skipped"),
    StepState.DONE: ("✓", "done"),
}
STRATEGY = {
    "in_place": "deploy in place",
    "deploy_then_es_update": "deploy, then update Elasticsearch",
    "reindex_before": "reindex before deploying",
    "roll_back": "roll back to what was proved live",
    "fork_vm": "fork the machine, then switch",
}
DECIDED = {
    DecisionKind.APPROVE: "Approved",
    DecisionKind.REJECT: "Rejected",
    DecisionKind.DONE: "Confirmed as done",
    DecisionKind.RETRY: "Retry asked",
    DecisionKind.SKIP: "Skipped",
    DecisionKind.PAUSE: "Paused",
    DecisionKind.RESUME: "Resumed",
    DecisionKind.ABORT: "Abort asked",
    DecisionKind.ROLL_BACK: "Roll back asked",
}
