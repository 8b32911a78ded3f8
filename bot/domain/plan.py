"""A plan: ordered, concrete steps for one commit in one environment, and the fingerprint that an approval names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class StepKind(StrEnum):
    """Who makes a step true: the bot, a person who confirms, or a person who approves before the bot goes on."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Command:
    """One command as a person would type it. ``host`` is a name from the settings, ``here`` for the bot's own machine.

    ``folder`` is where it is typed; empty where that does not matter.
    """

    host: str
    argv: tuple[str, ...]
    folder: str = ""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of one plan. ``key`` is unique in the plan; ``step`` and ``version`` name the code that carries it out."""

    key: str
    step: str
    version: int
    title: str
    kind: StepKind
    params: Mapping[str, object] = field(default_factory=dict)
    commands: tuple[Command, ...] = ()
    costly_to_undo: bool = False  # the first such step is where going back stops being cheap
    by_hand: str = ""  # how a person makes it true without the bot; told, and no part of the fingerprint


@dataclass(frozen=True, slots=True)
class Edited:
    """One change that a person made to the plan of one release: who, when (ISO), what in a sentence, and the change itself.

    ``source`` is the request that asked for it: told again, it is not made twice.
    """

    by: str
    at: str
    said: str
    edit: Mapping[str, object]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one release will do. ``head`` is pinned: exactly this commit is released, however far master has moved."""

    environment: str
    strategy: str
    checklist: str  # name and SHA-256 of the checklist's text, "in_place@1a2b…"
    base: str
    head: str
    version: str  # the version to tag
    previous_version: str
    hotfix: bool
    tags: tuple[str, ...]  # Ansible tags of a partial release; empty deploys everything
    steps: tuple[PlannedStep, ...]
    recommended: str = ""  # the strategy that the review recommends, where a person chose another
    because: str = ""  # why they did
    edits: tuple[
        Edited, ...
    ] = ()  # what people changed in it, oldest first (bot.domain.edits); no part of the fingerprint
    locked_from: str = ""  # key of the first step that needs the environment's lock; empty: from the start
    locked_until: str = ""  # key of the step after which the lock is given back; empty: at the end

    @property
    def revision(self) -> int:
        """The plan's version number: forms and buttons carry it, so that a late one is known."""
        return len(self.edits)

    @property
    def partial(self) -> bool:
        """Only some services are deployed; the release is recorded as such."""
        return bool(self.tags)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over head commit, steps and parameters, nothing else (DESIGN.md, Words)."""
        facts: dict[str, object] = {
            "head": self.head,
            "steps": [[s.key, s.step, s.version, s.params] for s in self.steps],
        }
        if self.locked_from or self.locked_until:
            facts["locked"] = [self.locked_from, self.locked_until]
        return hashlib.sha256(
            json.dumps(facts, sort_keys=True, separators=(",", ":"), default=dict).encode()
        ).hexdigest()

    def step(self, key: str) -> PlannedStep:
        """Return the step of that key; raises KeyError."""
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(key)
