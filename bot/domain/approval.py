"""Approvals: how many people, of which role, for how long; whose voice counts; and which facts an approval is bound to."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, NotAllowed, WrongUse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.readmodel import Person

PARAM = "approval"  # the parameter of a planned step that holds its policy, so that the plan's fingerprint covers it
BREAK_GLASS = "break_glass"  # the value of the choice by which an admin approves alone
ROLES = ("releaser", "approver", "admin")  # weakest first
STARTER = ("never", "may")
KEYS = ("count", "role", "starter", "expires", "typed")
MOST, LONGEST = 5, 7 * 86400.0
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([1-9]\d{0,3})([mhd])")


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """What one step needs before its effect. ``expires`` in seconds. ``break_glass``: an admin may approve alone."""

    count: int = 1
    role: str = "approver"
    starter: str = "never"  # or "may": whoever started the release approves it too
    expires: float = 4 * 3600.0
    typed: bool = False  # the version is typed out
    break_glass: bool = True


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """What an environment's settings say: for which steps less is enough than their class asks, and where no glass is broken.

    A name means the step of that id, and every step whose id begins with it and an underscore.
    """

    weaker: tuple[str, ...] = ()
    no_break_glass: tuple[str, ...] = ("drop", "terminate")

    def may_weaken(self, step: str) -> bool:
        """Tell whether a checklist may ask less for this step than its class does."""
        return _named(step, self.weaker)

    def may_break_glass(self, step: str) -> bool:
        """Tell whether an admin may approve this step alone."""
        return not _named(step, self.no_break_glass)


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes. ``voice`` is whose it counts as: their own, or that of whom they stand in for."""

    id: int
    by: str
    voice: str
    at: datetime
    glass: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Delegation:
    """``of`` lets ``to`` approve in their stead, with the roles that ``of`` had when saying so."""

    of: str
    to: str
    roles: frozenset[str]
    since: datetime
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the approvals of one question stand at a moment."""

    valid: tuple[Approval, ...]
    expired: tuple[Approval, ...]
    missing: int

    @property
    def complete(self) -> bool:
        """Enough people have said yes, or an admin broke the glass."""
        return self.missing == 0


def default_policy(*, irreversible: bool, costly: bool) -> ApprovalPolicy | None:
    """A second person wherever going back is no longer cheap; where it is impossible, with the version typed out."""
    return ApprovalPolicy(typed=irreversible) if irreversible or costly else None


def assess(policy: ApprovalPolicy, given: Sequence[Approval], now: datetime) -> Standing:
    """Count what still counts. An approval older than its expiry does not; one voice counts once."""
    old = tuple(one for one in given if (now - one.at).total_seconds() > policy.expires)
    valid = tuple(one for one in given if one not in old)
    voices = {one.voice for one in valid}
    missing = 0 if any(one.glass for one in valid) else max(0, policy.count - len(voices))
    return Standing(valid, old, missing)


def voice_of(
    policy: ApprovalPolicy,
    person: Person,
    *,
    starter: str,
    given: Iterable[Approval],
    delegations: Iterable[Delegation],
    now: datetime,
) -> str:
    """Return whose voice this person's yes would be.

    Raises `NotAllowed` for the starter (also through somebody who stands in for them) and for who lacks the role,
    `Conflict` for a person or a voice that has been heard already.
    """
    own = policy.starter == "may"
    if person.slack == starter and not own:
        raise NotAllowed(
            "You started this release, so somebody else must approve this step; nothing was done.",
            hint=f"ask somebody with the role {policy.role}",
        )
    heard = {one.voice: one for one in given}
    if any(one.by == person.slack for one in heard.values()):
        raise Conflict("You have approved this already; it needs another person.", hint="/release status")
    if person.roles & {policy.role, "admin"}:
        if person.slack in heard:
            raise Conflict(
                f"<@{heard[person.slack].by}> has approved this in your stead already; nothing was done.",
                hint="/release status",
            )
        return person.slack
    lent = [one for one in delegations if one.to == person.slack and one.since <= now < one.until]
    for one in lent:
        if one.roles & {policy.role, "admin"} and (own or one.of != starter) and one.of not in heard:
            return one.of
    if lent:
        raise NotAllowed(
            "Whom you stand in for cannot approve this, or has been heard already; nothing was done.",
            hint=f"ask somebody with the role {policy.role}",
        )
    raise NotAllowed(
        f"To approve this needs the role {policy.role} or admin; nothing was done.",
        hint="/release whoami; an approver may let you stand in: /release delegate",
    )


def demand_glass(policy: ApprovalPolicy, person: Person, *, reason: str) -> None:
    """Raise unless this person may approve alone: an admin, with a reason, where the policy lets glass be broken."""
    if not policy.break_glass:
        raise NotAllowed("Nobody approves this step alone; nothing was done.", hint="ask a second person")
    if "admin" not in person.roles:
        raise NotAllowed("Only an admin approves alone; nothing was done.", hint="ask an approver, or an admin")
    if not reason.strip():
        raise WrongUse("To approve alone needs a reason; nothing was done.", hint="press the button again")


def demand_typed(typed: object, version: str) -> None:
    """Raise `WrongUse` unless the version was typed out exactly."""
    if str(typed or "").strip() != version:
        raise WrongUse(f"The version {version} must be typed out; nothing was done.", hint="press the button again")


def reminder_due(*, asked_at: datetime, reminded_at: datetime | None, every: float, now: datetime) -> bool:
    """Tell whether those who must act are to be reminded: at most once in ``every`` seconds. 0 never reminds."""
    return every > 0 and (now - (reminded_at or asked_at)).total_seconds() >= every


def bound(plan: Plan) -> dict[str, str]:
    """Name the facts that an approval of this plan is bound to: what its fingerprint covers, one by one."""
    facts = {"the commit": plan.head, "the order of the steps": _digest([step.key for step in plan.steps])}
    return {**facts, **{f"step {step.key}": _digest([step.step, step.version, step.params]) for step in plan.steps}}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name the facts that are no longer as they were approved."""
    gone = [f"{name} is gone" for name in before if name not in now]
    other = [
        f"{name} changed from {before[name][:8]} to {now[name][:8]}" if name == "the commit" else f"{name} changed"
        for name in before
        if name in now and now[name] != before[name]
    ]
    return (*other, *gone, *(f"{name} is new" for name in now if name not in before))


def policy_of(step: PlannedStep) -> ApprovalPolicy | None:
    """Read a planned step's policy."""
    raw: Any = step.params.get(PARAM)
    return ApprovalPolicy(**raw) if isinstance(raw, dict) else None


def as_param(policy: ApprovalPolicy) -> dict[str, object]:
    """Write a policy into a planned step's parameters."""
    return asdict(policy)


def combined(default: ApprovalPolicy | None, asked: Mapping[str, object], *, glass: bool) -> ApprovalPolicy | None:
    """Return the policy of one step: its class's default, with what the checklist says over it; None where nobody approves."""
    if default is None and not asked:
        return None
    said: dict[str, Any] = dict(asked)
    return replace(default or ApprovalPolicy(), **said, break_glass=glass)


def weakened(default: ApprovalPolicy | None, asked: Mapping[str, object]) -> tuple[str, ...]:
    """Say where a checklist asks less of a step than the step's class does."""
    wished = combined(default, asked, glass=True)
    if default is None or wished is None:
        return ()
    less = {
        f"at least {default.count} must approve": wished.count < default.count,
        f"the role {default.role} is needed": ROLES.index(wished.role) < ROLES.index(default.role),
        "whoever started the release never approves it": wished.starter == "may" and default.starter == "never",
        "the version is typed out": default.typed and not wished.typed,
        f"an approval lasts {default.expires / 3600:g}h at most": wished.expires > default.expires,
    }
    return tuple(what for what, true in less.items() if true)


def read(raw: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Read what a checklist says of a step's approval: the values, and by key what is wrong with the others."""
    good: dict[str, object] = {}
    wrong: dict[str, str] = {}
    for key, value in raw.items():
        try:
            good[key] = _value(key, value)
        except ValueError as error:
            wrong[key] = str(error)
    return good, wrong


def _value(key: str, value: object) -> object:
    match key:
        case "count":
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
                raise ValueError(f"`count` is {value!r}; expected a number from 1 to {MOST}.")
        case "role" | "starter":
            words = ROLES if key == "role" else STARTER
            if value not in words:
                raise ValueError(f"`{key}` is {value!r}; expected {' or '.join(words)}.")
        case "expires":
            return seconds(str(value))
        case "typed":
            if value is not True and value is not False:
                raise ValueError(f"`typed` is {value!r}; expected true or false.")
        case _:
            raise ValueError(f"unknown key {key!r} of `approval`; it takes {', '.join(KEYS)}.")
    return value


def seconds(text: str) -> float:
    """Read a duration such as 30m, 4h or 2d; raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    length = int(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < length <= LONGEST:
        raise ValueError(f"{text[:20]!r} is no duration; expected one such as 30m, 4h or 2d, 7d at most.")
    return length


def described(policy: ApprovalPolicy) -> str:
    """Say in words what a policy asks for, in plain text."""
    who = f"{policy.count} {policy.role}{'s' if policy.count > 1 else ''}"
    parts = [f"{who} approve{'' if policy.count > 1 else 's'}"]
    parts.append("the starter may be one" if policy.starter == "may" else "never the starter")
    if policy.typed:
        parts.append("the version is typed")
    return ", ".join(parts)


def _named(step: str, names: Iterable[str]) -> bool:
    return any(step == name or step.startswith(f"{name}_") for name in names)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict).encode()).hexdigest()
