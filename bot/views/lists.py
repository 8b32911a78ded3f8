"""Answers to small questions: status, history, locks, help, who am I. Empty states say what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.release import ReleaseState
from bot.views import kit, schedule
from bot.views.dashboard import headline, note, title
from bot.views.locks import phase_line, queue_lines
from bot.views.plan import changes_line, override_line
from bot.views.states import RELEASE, STEP
from bot.views.text import by_hand, code, count, duration, escape, listing, mention, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.approval import Delegation
    from bot.domain.errors import ReleaseError
    from bot.domain.queue import Waiting
    from bot.domain.readmodel import Decided, LockView, Person, ReleaseView
    from bot.domain.schedule import Scheduled


def status(
    environment: str,
    release: ReleaseView | None,
    lock: LockView | None,
    permalink: str = "",
    *,
    line: Sequence[Waiting] = (),
    scheduled: Sequence[Scheduled] = (),
    others: Sequence[ReleaseView] = (),
) -> kit.Message:
    """Say what runs in an environment, who holds it, and where to look; one step's commands are shown in full.

    ``others``: further releases that are open there, beside the lock.
    """
    held = [*_others(others), *_lock_line(lock), *queue_lines(line), *_later(scheduled)]
    if release is None:
        text = f"Nothing is being released to {escape(environment)}."
        tail = f"See what would ship: {code('/release review')}. What was released: {code('/release history')}."
        return kit.message(text, [kit.section(f"*{text}*\n{tail}"), *held])
    head = f"*{escape(title(release))}*"
    where = f"\n<{permalink}|Open the dashboard>" if permalink.startswith("http") else ""
    phase = f"\n{line_of_lock}" if (line_of_lock := phase_line(release)) else ""
    blocks: list[Block] = [kit.section(f"{head}\n{headline(release)}{phase}{where}"), *_current(release), *held]
    return kit.message(f"{escape(title(release))}. {headline(release)}", blocks)


def history(environment: str, releases: Sequence[ReleaseView]) -> kit.Message:
    """List past releases, the newest first."""
    if not releases:
        text = f"No release to {escape(environment)} yet."
        return kit.message(text, [kit.section(f"*{text}*\nThe first one begins with {code('/release review')}.")])
    text = f"Releases to {environment}"
    rows = [_past(one) for one in releases]
    return kit.message(f"{escape(text)}: {len(releases)} shown", [kit.header(text), *kit.lines(rows, room=kit.ROOM)])


def locked(lock: LockView) -> kit.Message:
    """Say that an environment is locked."""
    text = f"{escape(lock.environment)} is locked by {mention(lock.owner)}: {escape(lock.reason, 500)}"
    how = f"No release starts there until {code(f'/release unlock {lock.environment}')}."
    return kit.message(text, [kit.section(f"*{text}*\n{how}"), kit.context(f"Since {when(lock.since)}")])


def unlocked(environment: str, by: str) -> kit.Message:
    """Say that an environment is free again."""
    text = f"{escape(environment)} is unlocked by {mention(by)}; releases may start again."
    return kit.message(text, [kit.section(f"*{text}*")])


def help_overview(entries: Sequence[tuple[str, str, str]], *, hidden: int = 0) -> kit.Message:
    """List the commands: (name, summary, usage) each; ``hidden`` others need a role that this person lacks."""
    rows = [f"{code(f'/release {usage}')}\n{escape(summary)}" for _, summary, usage in entries]
    tail = f"In a thread, mention me instead: {code('@releasebot status')}. One command in full: {code('/release help start')}."
    if hidden:
        tail += f" {count(hidden, 'more needs', 'more need')} a role that you do not have: {code('/release whoami')}."
    head = "A release begins with a review: it shows what would ship and what that needs."
    return kit.message(
        f"Commands: {listing(escape(name, 40) for name, _, _ in entries)}",
        [kit.section(f"*{head}*"), *kit.lines(rows, room=9000), kit.context(tail)],
    )


def help_command(summary: str, usage: str, detail: str, example: str, role: str) -> kit.Message:
    """Explain one command with an example."""
    shown = f"For example {code(example)}" if example else ""
    parts = [f"*{code(f'/release {usage}')}*", escape(summary), escape(detail, 1500), shown]
    needs = f"Needs the role {code(role)}." if role else "Everybody may use it."
    return kit.message(
        f"/release {escape(usage)}: {escape(summary)}",
        [kit.section("\n".join(part for part in parts if part)), kit.context(needs)],
    )


def whoami(
    person: Person,
    held: frozenset[str],
    roles: Sequence[tuple[str, str]],
    channel: str,
    *,
    delegations: Sequence[Delegation] = (),
) -> kit.Message:
    """Tell a person who they are here and what that lets them do; ``roles`` are (role, what it may) in order."""
    if not person.roles:
        text = f"You are {mention(person.slack)}, and not on the list of people who may release."
        tail = f"Ask an admin to add {code(person.slack)} under {code('people')} in the settings."
        return kit.message(text, [kit.section(f"*{text}*\n{tail}")])
    rows = [f"{'✓ yes' if role in held else '– no'} · {code(role)}: {escape(may)}" for role, may in roles]
    rows += [_stand_in(person, one) for one in delegations]
    github = f"; on GitHub {code(person.github)}" if person.github else ""
    text = f"You are {escape(person.name, 80)} with {listing(code(one) for one in sorted(person.roles))}{github}."
    where = f"Releases are made in <#{channel}>." if channel else ""
    return kit.message(
        text, [kit.section(f"*{text}*"), kit.section("\n".join(rows)), *([kit.context(where)] if where else [])]
    )


def _stand_in(person: Person, one: Delegation) -> str:
    if one.of == person.slack:
        return f"{mention(one.to)} may approve in your stead until {when(one.until)}."
    return f"You may approve in {mention(one.of)}’s stead until {when(one.until)}, though never a release of theirs or yours."


def error(problem: ReleaseError) -> kit.Message:
    """Answer a request that cannot be done: what happened, what was and was not changed, what to try."""
    parts = [f"*{escape(problem.message, 1500)}*"]
    if problem.changed:
        parts.append(f"What was changed: {escape(problem.changed, 700)}")
    if problem.hint:
        parts.append(f"Try: {escape(problem.hint, 700)}")
    return kit.message(escape(problem.message, 1500), [kit.section("\n".join(parts))])


def decided(outcome: Decided) -> kit.Message:
    """Say what became of a click or command; a late or powerless one is told so."""
    mark = "" if outcome.effective else "*Nothing was done.* "
    return sentence(f"{mark}{outcome.sentence}")


def sentence(text: str) -> kit.Message:
    """Answer with one sentence of the bot's own (already mrkdwn)."""
    return kit.message(text, [kit.section(text)])


def _current(release: ReleaseView) -> list[Block]:
    step = release.current
    if step is None:
        return []
    word = STEP[step.state][1]
    rows = [f"*Step:* {escape(step.title)} – {word}", *([escape(step.progress, 300)] if step.progress else [])]
    rows += [f"Note: {escape(step.note, 300)}"] if step.note else []
    if step.commands:
        rows.append("*By hand:*")
        rows += [by_hand(one) for one in step.commands]
    return kit.lines(rows, room=3500)


def _past(release: ReleaseView) -> str:
    plan = release.plan
    end = release.finished_at
    took = f", {duration((end - release.created_at).total_seconds())}" if end else ""
    down = f", down {duration(release.downtime)}" if release.downtime else ""
    marks = [word for word, true in (("hotfix", plan.hotfix), ("partial", plan.partial)) if true]
    extra = f" ({', '.join(marks)})" if marks else ""
    why = f" – {note(release.note)}" if release.note and release.state is ReleaseState.ABORTED else ""
    override = f"\n      {line}" if (line := override_line(plan)) else ""
    changed = f"\n      {line}" if (line := changes_line(plan)) else ""
    return (
        f"*{escape(plan.version)}*{extra} {RELEASE[release.state]} · {when(release.created_at)}{took}{down} · "
        f"{mention(release.started_by)} · {code(release.id)}{why}{override}{changed}"
    )


def _others(releases: Sequence[ReleaseView]) -> list[Block]:
    return [
        kit.section("\n".join([f"*{escape(title(one))}* ({code(one.id)})", headline(one), phase_line(one)]).rstrip())
        for one in releases
    ]


def _later(scheduled: Sequence[Scheduled]) -> list[Block]:
    rows = [schedule.line(one) for one in scheduled[:5]]
    more = [f"… and {len(scheduled) - 5} more"] if scheduled[5:] else []
    return [kit.context("\n".join(["Scheduled:", *rows, *more]))] if rows else []


def _lock_line(lock: LockView | None) -> list[Block]:
    if lock is None or lock.release:
        return []
    return [kit.context(f"Locked by {mention(lock.owner)} since {when(lock.since)}: {escape(lock.reason, 300)}")]
