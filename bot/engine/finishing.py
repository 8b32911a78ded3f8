"""A step is over: its evidence goes into its row, and what it owes or settles into the release's."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING

from bot.domain.release import StepState, move_step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bot.engine.step import Evidence
    from bot.engine.tables import ReleaseRow, StepRow


def conclude(row: ReleaseRow, step: StepRow, evidence: Evidence, *, at: datetime) -> None:
    """Note that a step is done; raises `Conflict` where it cannot be."""
    step.state = move_step(StepState(step.state), StepState.DONE)
    step.finished_at, step.summary, step.facts = at, evidence.summary, dict(evidence.facts)
    output = evidence.output
    step.output = asdict(output) if is_dataclass(output) and not isinstance(output, type) else {}
    step.in_effect, step.problem = False, None
    note_debts(row, evidence.facts)


def note_debts(row: ReleaseRow, facts: Mapping[str, object]) -> None:
    """Keep what facts say that the release owes, or has settled (`bot.domain.planning.loose_ends`)."""
    kept = {name: facts[name] for name in ("owes", "settles") if name in facts}
    if kept:
        row.debts = [*row.debts, kept]
