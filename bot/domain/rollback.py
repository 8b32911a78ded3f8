"""Going back to what was proved live before: when it is offered, and when a migration stands in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, Refused
from bot.domain.findings import Kind
from bot.domain.given import BACK, DEPLOY, IGNORED, SWAP
from bot.domain.plan import StepKind
from bot.domain.release import ReleaseState, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.domain.findings import Finding
    from bot.domain.plan import Plan
    from bot.domain.readmodel import ReleaseView
    from bot.domain.review import Review

CHECKLIST = "roll_back"
OFFERED = frozenset({ReleaseState.STOPPED, ReleaseState.PAUSED, ReleaseState.SUCCEEDED, ReleaseState.ABORTED})
_MIGRATIONS = frozenset({Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION})
_FOUND = ("how", "can_process_datasets", "can_mutate", "message", "by")  # of bot.steps.workload.Found
_PAIRS = ("old", "old_uuids", "new", "new_uuids")  # of bot.steps.pairs.Pairs
_NOT_BEGUN = frozenset({StepState.PENDING, StepState.SKIPPED})


def touched_live(plan: Plan, states: Mapping[str, StepState]) -> bool:
    """Tell whether a release has begun to change what is live: until then, aborting leaves the site as it is."""
    return any(step.step in (DEPLOY, SWAP) and states.get(step.key) not in _NOT_BEGUN | {None} for step in plan.steps)


def offered(release: ReleaseView) -> bool:
    """Tell whether going back makes sense: nothing is in work, and the release has begun to change what is live."""
    idle = all(step.state is not StepState.RUNNING for step in release.steps)
    return release.state in OFFERED and idle and touched_live(release.plan, {s.key: s.state for s in release.steps})


def in_the_way(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Name the migrations of a range that the old code may not live with; one whose source shows nothing counts as such."""
    return tuple(one.path for one in findings if one.kind in _MIGRATIONS and not one.backward_compatible)


def beyond_return(plan: Plan) -> str:
    """Return the title of the first step after which going back is no longer cheap, or nothing."""
    return next((step.title for step in plan.steps if step.costly_to_undo), "")


def confirms(plan: Plan) -> bool:
    """Tell whether the plan opens with an approval: confirming the plan answers it."""
    return bool(plan.steps) and plan.steps[0].kind is StepKind.APPROVAL


def demand_offered(release: ReleaseView) -> None:
    """Raise `Conflict` unless there is something to go back from, and nothing in work."""
    if not offered(release):
        live = touched_live(release.plan, {s.key: s.state for s in release.steps})
        why = "a step of it is in work" if live else "it has not deployed anything"
        hint = "/release pause, wait for the step, then again" if live else "/release abort is enough"
        raise Conflict(f"{release.id} is not to be rolled back: {why}.", hint=hint, changed="Nothing.")


def proved_before(release: ReleaseView, proved: tuple[str, str] | None) -> tuple[str, str]:
    """Return commit and version to go back to; raises `Refused` when none is known, `Conflict` when it is the same."""
    if proved is None:
        raise Refused(
            f"No release before {release.id} was proved live by me, so there is no commit to go back to.",
            hint="roll forward: /release start; or deploy an older commit by hand (git reflog --date=iso on the server)",
            changed="Nothing.",
        )
    if proved[0] == release.plan.head:
        raise Conflict(f"{release.id} released what was live before; nothing to go back to.", hint="/release retry")
    return proved


def demand_compatible(review: Review, version: str) -> None:
    """Raise `Refused` naming the migrations that the old code may not live with."""
    if paths := in_the_way(review.findings):
        raise Refused(
            f"Since {version} ran what its code may not live with: {', '.join(paths)}.",
            hint="roll forward with a mended release (/release start), or restore the database's snapshot by hand",
            changed="Nothing.",
        )


def switched_off(release: ReleaseView) -> Mapping[str, object] | None:
    """Return the health switches as the release found them, where it switched processing off and did not give it back."""
    steps = {release.plan.step(one.key).step: one for one in release.steps}
    seen, back = steps.get("workload"), steps.get(BACK)
    if seen is None or seen.facts.get("how") != "drain" or (back and back.state is StepState.DONE):
        return None
    return {name: seen.facts.get(name) for name in _FOUND}


def swapped(release: ReleaseView) -> Mapping[str, object] | None:
    """Return the pairs of a release that moved the aliases, or had begun to, by Elasticsearch's own ids; None for one that had not.

    Which of the two is live at the moment is for the world to say.
    """
    steps = {release.plan.step(one.key).step: one for one in release.steps}
    swap, made = steps.get(SWAP), steps.get("create_inactive")
    if swap is None or made is None or swap.state in _NOT_BEGUN:
        return None
    pairs = {name: made.facts.get(name) for name in _PAIRS}
    if not all(pairs.values()):
        return None
    caught_up = steps.get("catch_up")
    return {**pairs, "excused": (caught_up.facts if caught_up else {}).get("excused", []), IGNORED: _ignored(release)}


def _ignored(release: ReleaseView) -> object:
    return next((step.params.get(IGNORED, []) for step in release.plan.steps if step.step == SWAP), [])
