"""Who may do what. Nobody may anything unless a role of theirs says so; an admin may everything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.release import DecisionKind

if TYPE_CHECKING:
    from datetime import datetime

    from bot.domain.readmodel import Person

LONGEST_DELEGATION = timedelta(days=14)
DECIDES: dict[DecisionKind, frozenset[str]] = {
    DecisionKind.APPROVE: frozenset({"releaser", "approver"}),
    DecisionKind.REJECT: frozenset({"releaser", "approver"}),
    DecisionKind.DONE: frozenset({"releaser", "approver"}),
    DecisionKind.RETRY: frozenset({"releaser"}),
    DecisionKind.SKIP: frozenset({"releaser", "approver"}),  # and the step says which (demand_skip)
    DecisionKind.PAUSE: frozenset({"releaser", "approver"}),
    DecisionKind.RESUME: frozenset({"releaser"}),
    DecisionKind.ABORT: frozenset({"releaser", "approver"}),
    DecisionKind.ROLL_BACK: frozenset({"releaser"}),
}


def may_decide(person: Person, kind: DecisionKind) -> bool:
    """Tell whether one of the person's roles lets them decide so."""
    return bool(person.roles & (DECIDES[kind] | {"admin"}))


def demand(person: Person, kind: DecisionKind) -> None:
    """Raise `NotAllowed`, naming the roles that may, unless the person may decide so."""
    if not may_decide(person, kind):
        roles = " or ".join(sorted(DECIDES[kind] | {"admin"}))
        raise NotAllowed(
            f"To {kind.replace('_', ' ')} needs the role {roles}; nothing was done.", hint="/release whoami"
        )


def demand_skip(person: Person, *, skip: str) -> None:
    """Raise `NotAllowed` unless the step may be skipped, and by this person: ``skip`` is never, approver or releaser."""
    if skip == "never":
        raise NotAllowed("This step is never skipped; nothing was done.", hint="retry, or abort the release")
    _demand_role(person, skip)


def _demand_role(person: Person, role: str) -> None:
    if not person.roles & {role, "admin"}:
        raise NotAllowed(
            f"Only who has the role {role} or admin skips this step; nothing was done.",
            hint="ask one of them, or retry",
        )


def demand_takeable(environment: str, owner: str, release: str, *, by: str) -> None:
    """Raise `Conflict` unless a lock is somebody else's, by hand; ``release`` names the release that has it, if one does."""
    if release:
        raise Conflict(
            f"{release} holds {environment}, and a release's own lock is never taken from under it; nothing was done.",
            hint=f"/release pause {release}, then /release rollback {release} or /release abort {release} REASON: the lock goes with it",
        )
    if owner == by:
        raise Conflict(f"{environment} is yours already; nothing was done.", hint=f"/release unlock {environment}")


def demand_delegable(of: Person, to: Person, *, until: datetime, now: datetime) -> frozenset[str]:
    """Return the roles in which ``to`` may approve in ``of``'s stead.

    Raises `NotAllowed` unless ``of`` approves themselves and ``to`` is known, `WrongUse` for a time that is over or too far.
    """
    roles = of.roles & {"approver", "admin"}
    if not roles:
        raise NotAllowed("Only who approves lets somebody stand in; nothing was done.", hint="/release whoami")
    if not to.roles:
        raise NotAllowed(f"{to.name} is not on the list of people; nothing was done.", hint="ask an admin to add them")
    if to.slack == of.slack:
        raise WrongUse("Nobody stands in for themselves; nothing was done.", hint="/release delegate @somebody")
    if not now < until <= now + LONGEST_DELEGATION:
        raise WrongUse(
            f"Somebody stands in for {LONGEST_DELEGATION.days} days at most, from now on; nothing was done.",
            hint="/release delegate @somebody until 2d",
        )
    return frozenset({"approver"})
