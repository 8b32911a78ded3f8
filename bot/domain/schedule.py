"""Releases that begin at a time: what they are bound to, and what makes them ask instead of starting."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.domain.approval import bound, changed
from bot.domain.errors import NotAllowed, Unavailable
from bot.domain.world import CheckState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from bot.domain.plan import Plan
    from bot.domain.readmodel import Person
    from bot.domain.report import PreparedPlan, ReviewReport

COMMIT, BASE, VERSION, CHECKLIST = "the commit", "what release has", "the version", "the checklist"
CI = "CI: "  # followed by a required job's name; only those that had passed are facts
STRATEGY, FINDINGS, LIVE = "the recommended strategy", "what the review found", "what is live"


class State(StrEnum):
    """Where a scheduled start stands. ``asking``: its time came, and it did not start by itself."""

    WAITING = "waiting"
    ASKING = "asking"
    STARTED = "started"
    CANCELLED = "cancelled"


OPEN = (State.WAITING, State.ASKING)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The scheduled start that a release begins from. ``at``: it is due then, and nobody has changed that."""

    id: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A release that begins at a time, bound to the plan and the facts that were confirmed."""

    id: int
    environment: str
    state: State
    at: datetime
    zone: str  # whose clocks the time was typed by
    request: Mapping[str, object]
    plan: Plan
    facts: Mapping[str, str]
    by: str  # Slack id
    asked: int = 0  # how often it asked
    why: str = ""  # it asks
    decided_by: str = ""
    release: str = ""
    soon: int = 0  # the time (epoch) that was reminded of before it came

    @property
    def name(self) -> str:
        """``S1``."""
        return f"S{self.id}"


def facts_of(prepared: PreparedPlan) -> dict[str, str]:
    """Name what a person confirms with a plan, one fact each: the plan's own, and what the review around it said."""
    plan, review = prepared.plan, prepared.report.review
    drift = prepared.report.drift
    found = sorted([str(one.kind), one.subject, str(one.severity), one.path] for one in review.findings)
    return {
        **bound(plan),
        BASE: plan.base,
        VERSION: plan.version,
        CHECKLIST: plan.checklist,
        STRATEGY: str(review.strategy.recommended),
        FINDINGS: hashlib.sha256(json.dumps(found).encode()).hexdigest(),
        LIVE: drift.live if drift else "",
        **{f"{CI}{job}": state for job, state in (prepared.report.ci or {}).items() if state is CheckState.PASSED},
    }


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Say which of the confirmed facts are no longer so. What is live counts only where it was seen both times.

    Another commit changes the steps as well, so that of these nothing is said then.
    """
    unseen = {LIVE} if not (then.get(LIVE) and now.get(LIVE)) else set[str]()
    before, after = ({name: one for name, one in facts.items() if name not in unseen} for facts in (then, now))
    names = [one for one in (COMMIT, BASE, LIVE, VERSION, STRATEGY) if before.get(one) != after.get(one)]
    told = [f"{one}: {_short(one, before.get(one))} then, {_short(one, after.get(one))} now" for one in names]
    if COMMIT in names:
        return tuple(told)
    told += [f"{one} had passed, and has not now" for one in before if one.startswith(CI) and one not in after]
    skipped = {*names, *(one for one in (*before, *after) if one.startswith(CI))}
    rest = ({name: one for name, one in facts.items() if name not in skipped} for facts in (before, after))
    return (*told, *changed(*rest))


def broken(report: ReviewReport) -> Iterator[str]:
    """Say which required jobs have failed for the commit; one that has not ended yet is waited for by the release itself."""
    for job, state in (report.ci or {}).items():
        if state is CheckState.FAILED:
            yield f"CI: {job} has failed"


def demand_seen(report: ReviewReport) -> None:
    """Raise `Unavailable` unless CI and the server could be looked at: nothing starts unasked on what was not seen."""
    if report.checks is None:
        raise Unavailable(f"CI could not be looked at: {report.checks_problem or 'no answer'}", hint="try again later")
    if report.drift is not None and report.drift.live_problem:
        raise Unavailable(f"The server could not be looked at: {report.drift.live_problem}", hint="try again later")


def missed(at: datetime, now: datetime, grace: timedelta) -> bool:
    """Tell whether the time has gone by so long ago that nobody expects the start any more."""
    return now - at > grace


def demand_starter(person: Person) -> None:
    """Raise `NotAllowed` for who may no longer start a release."""
    if not person.roles & {"releaser", "admin"}:
        raise NotAllowed(
            f"<@{person.slack}>, who scheduled it, may not start releases any more.",
            hint="/release start, by a releaser",
        )


def _short(name: str, value: str | None) -> str:
    return (value[:8] if name in {COMMIT, BASE, LIVE} else value) if value else "unknown"
