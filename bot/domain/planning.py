"""From a checklist and the facts of a release to a plan. Pure: the same facts make the same plan."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.approval import PARAM, as_param, combined
from bot.domain.checklist import MANUAL, Item, suggestion
from bot.domain.drafting import Draft
from bot.domain.errors import WrongUse
from bot.domain.given import (
    AUTHORS,
    BACK,
    CI,
    COMMENTS,
    DEPLOY,
    MERGE,
    NOTES,
    PULLS,
    ROLL_BACK,
    SWAPPED,
    GoingBack,
    given,
    going_back,
)
from bot.domain.phases import resolved
from bot.domain.plan import Plan, PlannedStep

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from bot.domain.checklist import Checklist, StepFacts
    from bot.domain.plan import Command
    from bot.domain.world import CommitInfo

__all__ = ["AUTHORS", "BACK", "CI", "COMMENTS", "DEPLOY", "MERGE", "NOTES", "PULLS", "SWAPPED", "GoingBack"]

ANNOUNCE = "announce_start"
_BY_HAND_BEFORE = (
    "workload",
    "drain",
    ANNOUNCE,
)  # the first of them: by hand comes while METASPACE still works undisturbed
_DEPLOYED = ("deploy", "prove_live")
CI_OF_MERGE = "ci_green_merge"
NO_NOTES = Draft()
_SHA = re.compile(r"[0-9a-f]{40}")
_TAG = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Merge:
    """The merge of release's own commits into master that a plan begins with (docs/decisions/0003-hotfix-merge.md)."""

    ours: str  # master as the plan saw it
    theirs: str  # release as the plan saw it
    commits: tuple[CommitInfo, ...] = ()  # what release has and master lacks, newest first


@dataclass(frozen=True, slots=True)
class Pinned:
    """The range of a release. ``base`` is where origin's release is, or for a hotfix what was last proved live."""

    base: str
    head: str
    merge: Merge | None = None


@dataclass(frozen=True, slots=True)
class ManualStep:
    """Something that a person does in this one release, before anything is stopped or announced, unless it says otherwise.

    ``before``: a key of the plan. ``after_deploy``: once the deploy is proved.
    """

    text: str
    before: str = ""
    after_deploy: bool = False
    assignee: str = ""
    note: str = ""


def make_plan(
    checklist: Checklist,
    *,
    catalogue: Mapping[str, StepFacts],
    commands: Callable[[Plan, PlannedStep], tuple[Command, ...]],
    environment: str,
    base: str,
    head: str,
    version: str,
    previous_version: str,
    hotfix: bool = False,
    tags: Sequence[str] = (),
    parts: Collection[str] = (),
    manual_steps: Sequence[ManualStep] = (),
    notes: Draft = NO_NOTES,
    authors: Mapping[str, object] | None = None,
    merge: Merge | None = None,
    back: GoingBack | None = None,
    ignored: Sequence[str] = (),
) -> Plan:
    """Order the concrete steps of one release.

    A part that is not switched on is left out, and so is what a hotfix does not do. ``authors`` is what the step about
    their answers is to know. With ``merge``, CI is asked of master before it and of the merge after it. With ``back``,
    the deploy is of a commit that was live before. ``ignored`` are the documents' fields that the new code makes
    otherwise. Raises `WrongUse` for facts that make no plan.
    """
    _refuse(checklist, base=base, head=head, tags=tags, parts=parts, hotfix=hotfix, merge=merge)
    items = [item for item in checklist.items if _wanted(item, hotfix=hotfix, parts=parts)]
    items = _with_manual(items, manual_steps)
    ci_again = merge is not None and _before(items, CI, MERGE)
    told = given(notes, authors, ignored=ignored, merge=merge, ci_again=ci_again, back=going_back(head, back))
    steps = list(_planned(items, catalogue, given=told))
    planned = tuple(_with_ci_of_merge(steps) if ci_again else steps)
    locked = _locked(checklist, planned)
    plan = Plan(
        environment=environment,
        strategy=checklist.name,
        checklist=checklist.reference,
        base=base,
        head=head,
        version=version,
        previous_version=previous_version,
        hotfix=hotfix,
        tags=tuple(sorted(set(tags))),
        steps=planned,
        locked_from=locked[0],
        locked_until=locked[1],
    )
    return replace(plan, steps=tuple(replace(step, commands=commands(plan, step)) for step in plan.steps))


def _locked(checklist: Checklist, steps: Sequence[PlannedStep]) -> tuple[str, str]:
    keys = [item.key for item in checklist.items]
    there = {step.key for step in steps}
    return resolved(keys, there, first=checklist.locked_from, last=checklist.locked_until)


def merge_message(*, master: str, release: str) -> str:
    """Return the merge commit's message. Fixed words: the merge must be the same commit wherever it is made again."""
    return f"Merge branch '{release}' into {master}"


def demand_known(tags: Iterable[str], known: Sequence[str]) -> None:
    """Raise `WrongUse` for a tag that the playbook does not have: Ansible would deploy nothing, and call that a success."""
    for tag in tags:
        if tag not in known:
            raise WrongUse(
                f"The playbook has no tag {tag[:40]!r}; nothing was planned.{suggestion(tag, tuple(known))}",
                hint="name what it deploys: --only sm-graphql,sm-web-app",
            )


def planned_merge(plan: Plan) -> Merge | None:
    """Return the merge that the plan begins with, if it has one."""
    for step in plan.steps:
        merge = step.params.get("merge")
        if step.step == MERGE and isinstance(merge, dict):
            return Merge(ours=str(merge["ours"]), theirs=str(merge["theirs"]))
    return None


def loose_ends(facts: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """What a release still owes, from the facts that its steps reported and proved, oldest first.

    ``owes`` maps a name to a sentence; ``settles`` lists names. A step reports ``owes`` right before the effect, so that
    an abort in the middle leaves it known.
    """
    open_ends: dict[str, str] = {}
    for one in facts:
        owes, settles = one.get("owes"), one.get("settles")
        if isinstance(owes, dict):
            open_ends.update({str(name): str(sentence) for name, sentence in owes.items()})
        for name in settles if isinstance(settles, list | tuple) else ():
            open_ends.pop(str(name), None)
    return tuple(open_ends.values())


def _wanted(item: Item, *, hotfix: bool, parts: Collection[str]) -> bool:
    return (not item.part or item.part in parts) and not (hotfix and item.unless_hotfix)


def _refuse(
    checklist: Checklist,
    *,
    base: str,
    head: str,
    tags: Sequence[str],
    parts: Collection[str],
    hotfix: bool,
    merge: Merge | None,
) -> None:
    if not _SHA.fullmatch(head) or not _SHA.fullmatch(base):
        raise WrongUse("A plan needs full commit ids.", hint="/release review")
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise WrongUse(f"{tag[:64]!r} is no Ansible tag.", hint="for example: --only sm-graphql,sm-web-app")
    if missing := sorted(set(parts) - checklist.parts):
        raise WrongUse(
            f"The checklist {checklist.name} has no part {', '.join(missing)}.", hint="choose another strategy"
        )
    if merge and (hotfix or MERGE not in {item.step for item in checklist.items}):
        raise WrongUse(
            f"release has commits that master lacks, and {checklist.name} does not merge them.",
            hint=f"put the step {MERGE} into the checklist, or merge by hand and start again",
        )


def _with_manual(items: list[Item], manual_steps: Sequence[ManualStep]) -> list[Item]:
    keys, told = {item.key for item in items}, set[str]()
    for number, manual in enumerate(manual_steps, start=1):
        if manual.before and manual.before not in keys:
            raise WrongUse(
                f"There is no step {manual.before!r} to put {manual.text!r} before.", hint=", ".join(sorted(keys))
            )
        key = next(key for key in _keys(f"by_hand_{number}") if key not in keys)
        keys.add(key)
        new = Item(key, MANUAL, 0, title=manual.text, assignee=manual.assignee, note=manual.note)
        items.insert(_place(items, manual, told), new)
        told.add(key)
    return items


def _place(items: Sequence[Item], manual: ManualStep, told: Collection[str]) -> int:
    """Where it goes, behind those of ``told`` that go to the same place; a checklist without a deploy ends with it."""
    if manual.before:
        return next(place for place, item in enumerate(items) if item.key == manual.before)
    if not manual.after_deploy:
        first = (place for place, item in enumerate(items) if item.step in _BY_HAND_BEFORE)
        return next(first, len(items))
    deployed = [place for place, item in enumerate(items) if item.step in _DEPLOYED]
    at = deployed[-1] + 1 if deployed else len(items)
    while at < len(items) and items[at].key in told:
        at += 1
    return at


def _keys(wish: str) -> Iterator[str]:
    while True:
        yield wish
        wish += "_"


def _before(items: Sequence[Item], first: str, second: str) -> bool:
    order = [item.step for item in items]
    return first in order and second in order and order.index(first) < order.index(second)


def rolls_back(plan: Plan) -> str:
    """Return the release that the plan rolls back, or nothing: only the deploy of a rollback has the parameter."""
    for step in plan.steps:
        back = step.params.get(ROLL_BACK)
        if step.step == DEPLOY and isinstance(back, dict) and back.get("commit") == plan.head:
            return str(back["release"])
    return ""


def _planned(
    items: Iterable[Item], catalogue: Mapping[str, StepFacts], *, given: Mapping[str, Mapping[str, object]]
) -> Iterator[PlannedStep]:
    merged = False
    for item in items:
        facts = catalogue[item.step]
        told = (
            {} if merged and item.step == CI else given.get(item.step, {})
        )  # after the merge CI is asked of what came of it
        merged = merged or item.step == MERGE
        said: dict[str, object] = {
            name: value for name, value in (("assignee", item.assignee), ("note", item.note)) if value
        }
        if policy := combined(facts.approval, item.approval, glass=facts.break_glass):
            said[PARAM] = as_param(policy)
        yield PlannedStep(
            key=item.key,
            step=item.step,
            version=facts.version,
            title=item.title or facts.title,
            kind=facts.kind,
            params={**item.params, **said, **told},
            costly_to_undo=facts.costly_to_undo,
            by_hand=facts.by_hand,
        )


def _with_ci_of_merge(steps: list[PlannedStep]) -> Iterator[PlannedStep]:
    ci = next((step for step in steps if step.step == CI), None)
    for step in steps:
        yield step
        if step.step == MERGE and ci:
            params = {name: value for name, value in ci.params.items() if name != "commit"}
            yield replace(ci, key=CI_OF_MERGE, title=f"{ci.title}, for the merge", params=params)
