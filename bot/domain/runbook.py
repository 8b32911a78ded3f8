"""A runbook: what is left of a release, as a person would do it without the bot. Markdown, for a file."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Protocol

from bot.domain.edits import EVIDENCE, NOTE, assigned_name, left_out
from bot.domain.release import StepState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.plan import Command, Plan
    from bot.domain.readmodel import ReleaseView, StepView

_OVER = frozenset({StepState.DONE, StepState.SKIPPED})


class Line(Protocol):
    """A step, as far as a runbook needs one: planned, or of a release that runs."""

    @property
    def key(self) -> str:
        """Its name in the plan."""

    @property
    def title(self) -> str:
        """What people read."""

    @property
    def by_hand(self) -> str:
        """How a person makes it true."""

    @property
    def commands(self) -> tuple[Command, ...]:
        """What is typed, and on which host."""


def of_plan(plan: Plan) -> str:
    """Return the whole plan: nothing of it is done yet."""
    wanted = [step for step in plan.steps if not left_out(step)]
    return "\n".join([*_head(plan, ""), *_lines(plan, wanted, first=1)])


def of_release(release: ReleaseView) -> str:
    """Return what a release has done, in a line each, and what is left of it in full, with what it owes."""
    done = [step for step in release.steps if step.state in _OVER]
    left = [step for step in release.steps if step.state not in _OVER]
    lines = [*_head(release.plan, f"{release.id}, {release.state}")]
    if done:
        lines += ["", "## Done", ""]
        lines += [f"- [x] {number}. {_said(step.title, _ended(step))}" for number, step in enumerate(done, start=1)]
    lines += [*_lines(release.plan, left, first=len(done) + 1)] if left else ["", "Nothing is left to do."]
    if release.loose_ends:
        lines += ["", "## Owed", "", *(f"- [ ] {one}" for one in release.loose_ends)]
    return "\n".join([*lines, ""])


def _head(plan: Plan, standing: str) -> Iterator[str]:
    yield f"# {plan.version} to {plan.environment}: by hand"
    yield ""
    yield f"- commit: {plan.head}, after {plan.base}"
    words = [
        plan.strategy,
        *(["hotfix"] if plan.hotfix else []),
        *([f"only {' and '.join(plan.tags)}"] if plan.tags else []),
    ]
    yield f"- strategy: {', '.join(words)}"
    if plan.locked_from or plan.locked_until:
        first, last = plan.locked_from or "its first step", plan.locked_until or "its last step"
        yield f"- lock of {plan.environment}: from {first} until {last}; nobody else releases in between"
    if standing:
        yield f"- release: {standing}"
    for number, one in enumerate(plan.edits, start=1):
        yield f"- change {number}, by {one.by}, {one.at[:16]}: {one.said}"
    yield ""
    yield "The bot looks at the world before each step: what you do by hand while it is paused or down is found and not repeated."


def _lines(plan: Plan, steps: Sequence[Line], *, first: int) -> Iterator[str]:
    yield ""
    yield "## To do"
    for number, step in enumerate(steps, start=first):
        yield ""
        yield f"### {number}. {step.title}"
        params = plan.step(step.key).params
        note, evidence = (str(params.get(name, "")) for name in (NOTE, EVIDENCE))
        labelled = (("Evidence wanted: ", evidence), ("For: ", assigned_name(plan.step(step.key))))
        yield from (line for line in (step.by_hand, note) if line)
        yield from (f"{label}{words}" for label, words in labelled if words)
        yield from _commands(step.commands)


def _commands(commands: Sequence[Command]) -> Iterator[str]:
    """Give a block of shell for each host and folder, in order."""
    place: tuple[str, str] | None = None
    for one in commands:
        if (one.host, one.folder) != place:
            if place:
                yield "```"
            place = one.host, one.folder
            yield from ("", f"On `{one.host}`:" if one.host != "here" else "In a clone of the code:", "", "```sh")
            if one.folder:
                yield f"cd {shlex.quote(one.folder)}"
        yield shlex.join(one.argv)
    if place:
        yield "```"


def _ended(step: StepView) -> str:
    if step.state is not StepState.SKIPPED or not step.reason:
        return step.summary
    return f"skipped by {step.decided_by or 'somebody'}, {step.reason}"


def _said(title: str, summary: str) -> str:
    return f"{title}: {' '.join(summary.split())}" if summary else title
