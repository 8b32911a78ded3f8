"""The scripted people of a rehearsal: they answer every question of the one release that runs, and watch it in its database."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Unavailable
from bot.domain.release import ReleaseState
from bot.views import ids
from sandbox.play import POLL, Player, elements, filled
from sandbox.slack import MEMBERS, RELEASER
from sandbox.verdict import Snapshot, look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.domain.plan import Plan
    from bot.domain.readmodel import OpenQuestion, ReleaseView, StepView
    from bot.engine.desk import Desk
    from sandbox.slack import Page
    from sandbox.world import World

RELEASE = "R1"
_ENDED = frozenset({ReleaseState.SUCCEEDED, ReleaseState.ABORTED, ReleaseState.STOPPED, ReleaseState.PAUSED})
_SAID = 600  # characters of a step's evidence that go through the pipe


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: ``passed`` or ``failed``, and why."""

    state: str
    note: str = ""
    hint: str = ""


@dataclass
class Rehearser(Player):
    """Goes forward as the releaser, and gives as many other people's approvals as a step needs."""

    answered: set[tuple[str, str]] = field(default_factory=set)

    async def carry_on(self, desk: Desk, tell: Callable[[list[dict[str, object]]], None]) -> ReleaseView:
        """Play until the release has ended or stands still; tell its steps whenever one has changed."""
        told: list[dict[str, object]] = []
        async with self.world.slack.page() as page:
            while True:
                view = await desk.release(RELEASE)
                if (steps := [_step(one) for one in view.steps]) != told:
                    tell(steps)
                    told = steps
                if view.state in _ENDED:
                    return view
                self._bot_lives()
                await self._forward(page, view)

    def fill(self, modal: Mapping[str, Any]) -> dict[str, Any]:
        """Type one line where a plan has no draft of the notes: a person would have to."""
        typed = filled(modal)
        if modal["callback_id"] == f"{ids.QUESTION_FORM}notes":
            drafted = [one for name, block in typed.items() if "left-out" not in name for one in block.values()]
            if not any("#" in str(one.get("value")) for one in drafted):
                drafted[0]["value"] = "Rehearsed without notes #1"
        return typed

    async def _forward(self, page: Page, view: ReleaseView) -> None:
        if page.modals and page.modals[-1].get("submit"):
            await self._submit(page)
        elif wanted := self._wanted(view, await self.world.slack.messages()):
            opened, ts, element = wanted
            self.answered.add((opened.id, self.person))
            await self.world.slack.interact(self.person, ts, element)
        else:
            await asyncio.sleep(POLL)

    def _wanted(
        self, view: ReleaseView, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[OpenQuestion, str, Mapping[str, Any]] | None:
        """Return a question with the button that leads forward, and be the person who is to press it."""
        for opened in view.questions:
            person = _who(opened)
            if (opened.id, person) in self.answered:
                continue
            for message in messages:
                if (button := _button(message, opened.id)) is not None:
                    self.person = person
                    return opened, str(message["ts"]), button
        return None


async def play(world: World, plan: Plan, desk: Desk, tell: Callable[[list[dict[str, object]]], None]) -> Ended:
    """Carry the release out, then look at the world itself."""
    before = await look(world)
    view = await Rehearser(world).carry_on(desk, tell)
    if view.state is ReleaseState.SUCCEEDED:
        wrong = await _wrong(world, plan, before)
        return Ended("failed", "All steps passed, but: " + "; ".join(wrong)) if wrong else Ended("passed")
    problem = view.current.problem if view.current else None
    if problem:
        return Ended("failed", problem.message, problem.hint)
    return Ended("failed", view.note or f"the release is {view.state}")


async def _wrong(world: World, plan: Plan, before: Snapshot) -> list[str]:
    """Say what is not as a plan of these steps must leave it, read from the world and not from the bot."""
    steps, after, found = {one.step for one in plan.steps}, await look(world), []
    if "tag" in steps:
        try:
            tagged = await world.git.head(plan.version)
        except Unavailable:
            tagged = ""
        if tagged != plan.head:
            found.append(f"the tag {plan.version} is {f'at {tagged:.8}' if tagged else 'missing'}")
    if "deploy" in steps and after.checkout != plan.head:
        found.append(f"the server's checkout is at {after.checkout:.8}, not {plan.head:.8}")
    found += [f"{name} is {state}" for name, state in after.states.items() if state != "RUNNING"]
    if after.health != before.health:
        found.append(f"the health switches were {dict(before.health)} and are {dict(after.health)}")
    return found


def _who(opened: OpenQuestion) -> str:
    """Name who is to answer: the releaser, or of an approval the next person who has not given theirs."""
    if opened.question.approval is None:
        return RELEASER.id
    given = {one.voice for one in opened.approvals}
    return next((one.id for one in MEMBERS if one is not RELEASER and one.id not in given), RELEASER.id)


def _button(message: Mapping[str, Any], question: str) -> Mapping[str, Any] | None:
    """Return the message's button that answers the question in the way that leads forward."""
    mine = [one for one in elements(message) if str(one["action_id"]).startswith(ids.QUESTION)]
    mine = [one for one in mine if _value(one).get("question") == question]
    return next((one for one in mine if one.get("style") == "primary"), None)


def _value(element: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(str(element.get("value") or "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _step(one: StepView) -> dict[str, object]:
    took = (one.finished_at - one.started_at).total_seconds() if one.finished_at and one.started_at else None
    said = one.problem.message if one.problem else one.summary
    return {"key": one.key, "state": str(one.state), "seconds": took, "said": said[:_SAID]}
