"""Messages that somebody must see now: a reminder, a broken glass, a release that the bot paused by itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from bot.domain.phases import Phase
from bot.views import kit
from bot.views.locks import holder_told
from bot.views.question import people_in, standing_line
from bot.views.text import escape, link, mention, told, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.readmodel import EventView, OpenQuestion, ReleaseView, StepView

_MENTIONED = 5
LOCK = frozenset({"lock.awaited", "lock.taken", "lock.released"})  # kinds of events, where a release did it


def reminder(release: ReleaseView, opened: OpenQuestion, must_act: Sequence[str]) -> kit.Message:
    """Mention those who must approve, and say what is still missing."""
    who = "".join(f"{mention(one)} " for one in must_act[:_MENTIONED])
    text = f"{who}{escape(_name(release))} still waits: {escape(opened.question.title, 200)}"
    return kit.message(text, [kit.section(f"*{text}*"), kit.context(standing_line(opened) or "Nobody has answered.")])


def standing(release: ReleaseView, *, since: str) -> kit.Message:
    """Remind whoever started a release that it stands still; ``since`` is ISO."""
    waits = f"{release.state} since {when(datetime.fromisoformat(since))}"
    kept = ", and keeps the environment" if release.phase in {Phase.WHOLE, Phase.LOCKED} else ""
    text = f"{mention(release.started_by)} {escape(_name(release))} is {waits}{kept}."
    tail = "What may be done is on the release’s first message: go on, roll back or abort."
    return kit.message(text, [kit.section(f"*{text}*\n{tail}")])


def broken_glass(release: ReleaseView, *, step: str, by: str, reason: str) -> kit.Message:
    """Tell the channel that an admin approved alone, and why."""
    title = next((one.title for one in release.steps if one.key == step), step)
    text = f"{mention(by)} broke the glass for {escape(_name(release))}: “{escape(title, 150)}” was approved by one person alone."
    return kit.message(text, [kit.section(f"*{text}*\nReason: {escape(reason, 800)}")])


def voided(release: ReleaseView, *, step: str, why: str) -> kit.Message:
    """Say which fact took approvals away."""
    title = next((one.title for one in release.steps if one.key == step), step)
    text = f"{escape(_name(release))}: approvals of “{escape(title, 150)}” no longer count: {told(why, people_in(why), 600)}."
    return kit.message(text, [kit.section(f"{text}\nIt is asked anew.")])


def trouble(release: ReleaseView, *, why: str) -> kit.Message:
    """Say why the bot paused a release by itself, and what may be done about it."""
    text = f"{mention(release.started_by)} I paused {escape(_name(release))}: {escape(why, 600)}"
    tail = "Nothing new is begun. Resume, Roll back and Abort are on the release’s first message."
    return kit.message(text, [kit.section(f"*{text}*\n{tail}")])


def warning(release: ReleaseView, *, why: str) -> kit.Message:
    """Say that the site has been away for long in a deploy, which goes on."""
    text = f"{mention(release.started_by)} {escape(_name(release))}: {escape(why, 600)}"
    beside = release.phase in {Phase.BEFORE, Phase.AFTER}
    why_not = "It works beside the lock" if beside else "A deploy is at work"
    return kit.message(text, [kit.section(f"{text}\n{why_not}, so it is not paused.")])


def of_lock(release: ReleaseView, event: EventView) -> tuple[str, kit.Message]:
    """Tell what happened to the environment's lock at a step, by key: waiting for it becomes having it, in one message."""
    if event.kind == "lock.released":
        return f"{release.id}:unlock:{event.step}", lock_moved(release, taken=False)
    if event.kind == "lock.taken":
        return f"{release.id}:lock:{event.step}", lock_moved(release, taken=True)
    return f"{release.id}:lock:{event.step}", awaits_lock(release, why=str(event.data.get("why", "")))


def awaits_lock(release: ReleaseView, *, why: str) -> kit.Message:
    """Say that a release waits for its environment's lock, and for whom."""
    text = f"{escape(_name(release))} waits for the lock of {escape(release.environment, 60)}: {holder_told(why)}"
    return kit.message(
        text, [kit.section(f"{text}\nIt goes on by itself when its turn comes; nobody need press anything.")]
    )


def lock_moved(release: ReleaseView, *, taken: bool) -> kit.Message:
    """Say that a release took its environment's lock, or has given it back while it goes on."""
    place = escape(release.environment, 60)
    what = f"has the lock of {place} now" if taken else f"has given the lock of {place} back, and goes on beside it"
    text = f"{escape(_name(release))} {what}."
    return kit.message(text, [kit.section(text)])


def changed(release: ReleaseView, *, by: str, said: str, version: object) -> kit.Message:
    """Say who changed the plan, and how."""
    text = f"{mention(by)} changed the plan of {escape(_name(release))}: {escape(said, 700)}"
    return kit.message(text, [kit.section(text), kit.context(f"Version {escape(str(version), 10)} of the plan.")])


def exported(release: ReleaseView, *, issue: object, url: str) -> kit.Message:
    """Say where the plan is an issue now."""
    text = f"The plan of {escape(_name(release))} is {link(url, f'issue #{issue}')} now. Its boxes follow the release."
    return kit.message(text, [kit.section(text)])


def export_lost(release: ReleaseView, *, issue: object) -> kit.Message:
    """Say that an issue is gone; nothing of the release depended on it."""
    text = f"Issue #{escape(str(issue), 20)} of {escape(_name(release))} is gone from GitHub. The release goes on without it."
    return kit.message(text, [kit.section(text)])


def ticked(release: ReleaseView, step: StepView, who: str, *, issue: object) -> kit.Message:
    """Ask whoever may know about a box that somebody ticked on GitHub and that no check can judge."""
    number = escape(str(issue), 20)
    text = f"{mention(who)} Somebody ticked “{escape(step.title, 150)}” in issue #{number} of {escape(_name(release))}. Is it done?"
    tail = "I cannot see it myself, so a tick there counts for nothing: confirm it here, at the step’s question, once it is asked."
    return kit.message(text, [kit.section(f"*{text}*\n{tail}")])


def yours(release: ReleaseView, step: StepView, who: str) -> kit.Message:
    """Mention the person to whom somebody gave a step, when it comes."""
    text = f"{mention(who)} “{escape(step.title, 150)}” of {escape(_name(release))} has begun; it was given to you."
    note = f"\nNote: {escape(step.note, 800)}" if step.note else ""
    return kit.message(text, [kit.section(f"{text}{note}")])


def _name(release: ReleaseView) -> str:
    return f"{release.plan.version} to {release.environment}"
