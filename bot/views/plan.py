"""The plan preview: every step with the exact commands, as a modal or as a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.approval import described, policy_of
from bot.domain.drafting import Draft
from bot.domain.edits import NOTE, assigned_name, left_out
from bot.domain.plan import StepKind
from bot.domain.version import possible
from bot.views import ids, kit
from bot.views.review import summary_lines
from bot.views.states import STRATEGY
from bot.views.text import by_hand, code, count, escape, listing, mention, sha

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slack_sdk.models.blocks import Block, ButtonElement

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.report import PreparedPlan

_SIGNS = 5
_WHO = {StepKind.MANUAL: "you do it and confirm", StepKind.APPROVAL: "you approve"}


def preview_modal(
    prepared: PreparedPlan, metadata: Mapping[str, object], *, because: str = "", at: str = "", rehearsed: str = ""
) -> dict[str, Any]:
    """Ask for the confirmation of a plan; the version may be edited (block ``version``). ``rehearsed`` is mrkdwn.

    Where another strategy was chosen than the review recommends, the reason is asked for (block ``reason``). ``at`` (mrkdwn)
    says when a scheduled release begins.
    """
    plan = prepared.plan
    blocks: list[Block] = [
        *_at(at),
        *_override(plan, because),
        kit.section("\n".join(_facts(plan))),
        *_rehearsed(rehearsed),
        *kit.lines(list(_versions(prepared)), room=1800),
        kit.text_input(ids.VERSION, "Version to tag", initial=plan.version, hint=_version_hint(prepared)),
        kit.divider(),
        *plan_steps(plan.steps, room=3000),
        *kit.actions("plan", [_edit(metadata)]),
        kit.divider(),
        *kit.lines(["*The review says*", *summary_lines(prepared.report)], room=2000),
        kit.divider(),
        *plan_commands(plan.steps, room=7000),
        kit.context(_fingerprint(plan)),
    ]
    return kit.modal(
        callback=ids.PREVIEW_FORM,
        title=f"Release to {plan.environment}",
        submit="Schedule it" if at else "Start the release",
        blocks=blocks,
        metadata=metadata,
    )


def _at(words: str) -> list[Block]:
    return [kit.section(f"*Begins by itself* {words}")] if words else []


def _override(plan: Plan, because: str) -> list[Block]:
    if not plan.recommended:
        return []
    told = f"The review recommends {strategy_words(plan.recommended)}; you chose {strategy_words(plan.strategy)}."
    hint = "Dashboard and history show it."
    return [kit.section(f"*{told}*"), kit.text_input(ids.REASON, "Why another strategy?", initial=because, hint=hint)]


def _rehearsed(line: str) -> list[Block]:
    return [kit.section(f"*Rehearsal:* {line}")] if line else []


def loading_modal(environment: str) -> dict[str, Any]:
    """Hold the place of the preview while the plan is made: Slack's trigger lives three seconds."""
    text = f"Reading the repository and making the plan for {code(environment)} …"
    return kit.modal(
        callback="start:loading", title=f"Release to {environment}", submit="", blocks=[kit.section(text)], metadata={}
    )


def refused_modal(message: str, hint: str) -> dict[str, Any]:
    """Say in the place of the preview why there is no plan."""
    blocks = [kit.section(f"*{escape(message, 800)}*"), *([kit.section(f"Try: {escape(hint, 800)}")] if hint else [])]
    return kit.modal(
        callback="start:refused", title="No release started", submit="", blocks=blocks, metadata={}, close="Close"
    )


def preview_message(
    prepared: PreparedPlan, value: Mapping[str, object], *, at: str = "", rehearsed: str = ""
) -> kit.Message:
    """Show the plan where no modal can open (a mention), with buttons to confirm, edit the version, or leave it."""
    plan = prepared.plan
    title = f"Plan: release {plan.version} to {plan.environment}"
    buttons = [
        kit.button("Schedule it" if at else "Start the release", ids.START_CONFIRM, value, style="primary"),
        kit.button("Edit version …", ids.START_EDIT, value),
        _edit(value),
        kit.button("Leave it", ids.START_CANCEL, value),
    ]
    blocks: list[Block] = [
        kit.header(title),
        *_at(at),
        kit.section("\n".join(_facts(plan))),
        *_rehearsed(rehearsed),
        *kit.lines(list(_versions(prepared)), room=1200),
        *plan_steps(plan.steps, room=2500),
        *kit.lines(["*The review says*", *summary_lines(prepared.report)], room=1800),
        *plan_commands(plan.steps, room=4300),
        kit.context(_fingerprint(plan)),
        *kit.actions("start", buttons),
    ]
    return kit.message(f"{escape(title)}: {count(len(plan.steps), 'step')}. Nothing has been done yet.", blocks)


def _edit(value: Mapping[str, object]) -> ButtonElement:
    return kit.button("Edit plan …", ids.PLAN_EDIT, {"start": dict(value)})


def closed_preview(plan_title: str, what: str) -> kit.Message:
    """Replace a preview whose buttons have been used; ``what`` is mrkdwn that says by whom and when."""
    text = f"{escape(plan_title)} – {what}"
    return kit.message(text, [kit.section(text)])


def facts_line(plan: Plan) -> str:
    """Give the plan in one line: strategy, version, head, how much of it."""
    words = [strategy_words(plan.strategy), f"head {sha(plan.head)}"]
    if plan.hotfix:
        words.append("hotfix from the release branch")
    if plan.partial:
        words.append(f"only {listing(code(tag) for tag in plan.tags)}")
    return " · ".join(words)


def override_line(plan: Plan) -> str:
    """Say that a person chose another strategy than the review recommends, and why; empty when nobody did."""
    if not plan.recommended:
        return ""
    return f"*Instead of* {code(plan.recommended, 60)}, which the review recommends: {escape(plan.because, 500) or 'no reason given'}"


def changes_line(plan: Plan) -> str:
    """Say how often people changed the plan, and the last change; empty where nobody did."""
    if not plan.edits:
        return ""
    last = plan.edits[-1]
    times = "" if len(plan.edits) == 1 else f" {len(plan.edits)} times, last"
    return f"*Plan changed*{times} by {mention(last.by)}, who {escape(last.said, 300)}."


def strategy_words(strategy: str) -> str:
    """Name a strategy for people, with the name used in commands behind it."""
    words = STRATEGY.get(strategy)
    return f"{words} ({code(strategy)})" if words else code(strategy)


def _facts(plan: Plan) -> Iterator[str]:
    yield f"*Nothing has been done yet.* This releases exactly {sha(plan.head)}, whatever is merged meanwhile."
    yield f"*Strategy:* {strategy_words(plan.strategy)}"
    if plan.because:
        yield override_line(plan)
    if plan.edits:
        yield f"{changes_line(plan)} This is version {plan.revision} of the plan."
    yield f"*Version:* {escape(plan.version)} after {escape(plan.previous_version) or 'none'}"
    if plan.hotfix:
        yield "*Hotfix:* taken from the release branch; master is not touched, and the merge back stays a loose end."
    if plan.partial:
        yield f"*Partial:* only {listing(code(tag) for tag in plan.tags)} is deployed, and recorded as such."
    if plan.locked_from or plan.locked_until:
        yield f"*Lock of {escape(plan.environment, 60)}:* {_locked(plan)}"
    costly = next((step for step in plan.steps if step.costly_to_undo), None)
    if costly:
        yield f"*Costly to undo from:* {escape(costly.title)}. Until then, aborting leaves the site as it is."


def _locked(plan: Plan) -> str:
    first = f"taken at “{escape(plan.step(plan.locked_from).title)}”" if plan.locked_from else "taken at the start"
    last = (
        f"given back after “{escape(plan.step(plan.locked_until).title)}”" if plan.locked_until else "kept to the end"
    )
    return f"{first}, {last}. Others may release while it is not taken; then what is left is looked at again."


def _versions(prepared: PreparedPlan) -> Iterator[str]:
    """Say which versions may come next, what speaks for a milestone, and what the notes are drafted from."""
    if prepared.newest:
        patch, minor, major = possible(prepared.newest).values()
        yield (
            f"*Which version?* {code(str(patch))} is the patch after {code(str(prepared.newest))}; for a milestone or an "
            f"incompatible API change you raise it to {code(str(minor))} (minor) or {code(str(major))} (major)."
        )
    signs = prepared.report.review.version.milestone_candidates
    shown = [f"• {escape(one, 160)}" for one in signs[:_SIGNS]]
    more = [f"• … and {len(signs) - _SIGNS} more"] if signs[_SIGNS:] else []
    yield from (
        ["Signs of a milestone, for you to judge:", *shown, *more] if signs else ["No sign of a milestone was seen."]
    )
    notes = next((Draft.read(step.params) for step in prepared.plan.steps if "draft" in step.params), None)
    if notes:
        left = f", {len(notes.left_out)} left out" if notes.left_out else ""
        yield f"*Notes:* {count(len(notes.lines), 'line')} drafted{left}; you edit them before the tag is pushed."
    if prepared.draft_problem:
        alone = " from titles alone" if notes and notes.titles_only else ""
        yield f"Drafted{alone}, because GitHub did not tell all: {escape(prepared.draft_problem, 300)}"


def _version_hint(prepared: PreparedPlan) -> str:
    if not prepared.newest:
        return "Three numbers, as in 1.0.0."
    return f"One of {listing(map(str, possible(prepared.newest).values()), 'or')}; the words patch, minor and major do as well."


def plan_steps(steps: Sequence[PlannedStep], *, room: int) -> list[Block]:
    """List the steps, and who acts in each."""
    rows: list[str] = [f"*{count(len(steps), 'step')}, done by the bot where nothing else is said*"]
    for number, step in enumerate(steps, 1):
        marks = [f"*{_WHO[step.kind]}*"] if step.kind in _WHO else []
        marks += ["*costly to undo*"] if step.costly_to_undo else []
        policy = policy_of(step)
        marks += [f"*{described(policy)}*"] if policy else []
        marks += list(_changed(step))
        rows.append(" – ".join([f"{number}. {escape(step.title, 120)}", *marks]))
    return kit.lines(rows, room=room, rest="… and {n} more; `/release status` shows each step as it comes.")


def _changed(step: PlannedStep) -> Iterator[str]:
    """Say what a person, or the checklist, said of this one step."""
    if said := left_out(step):
        yield f"*left out* by {mention(said[0])}: {escape(said[1], 200)}"
    if name := assigned_name(step):
        yield f"for {escape(name, 80)}"
    if note := str(step.params.get(NOTE, "")):
        yield f"note: {escape(note, 160)}"


def plan_commands(steps: Sequence[PlannedStep], *, room: int) -> list[Block]:
    """List the commands, by step and host."""
    rows = [f"{number}. {by_hand(one)}" for number, step in enumerate(steps, 1) for one in step.commands]
    if not rows:
        return []
    heading = "*The commands, by step and host*"
    return kit.lines([heading, *rows], room=room, rest="… and {n} more; each step shows its own as it comes.")


def _fingerprint(plan: Plan) -> str:
    name, _, digest = plan.checklist.partition("@")
    return f"Plan {code(plan.fingerprint[:12])} · checklist {code('@'.join(filter(None, [name[:40], digest[:8]])))}"
