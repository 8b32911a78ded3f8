"""The plan of a rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.planning import GoingBack, Pinned
from bot.domain.report import PreparedPlan, ReviewReport
from bot.domain.rollback import demand_compatible, swapped, switched_off

if TYPE_CHECKING:
    from bot.domain.checklist import Checklist
    from bot.domain.readmodel import ReleaseView
    from bot.engine.office_service import Planning


def way_back(
    gone: ReleaseView,
    target: tuple[str, str],
    report: ReviewReport,
    checklist: Checklist,
    planning: Planning,
    *,
    drain: bool,
) -> PreparedPlan:
    """Plan the way from what a release deployed to the commit and version in ``target``.

    Raises `Refused` naming the migrations between them that the old code may not live with.
    """
    commit, version = target
    demand_compatible(report.review, version)
    pairs = swapped(gone)
    wished = {"drain": drain, "swap_back": pairs is not None}
    plan = planning.plan(
        checklist,
        Pinned(base=gone.plan.head, head=commit),
        version=version,
        previous_version=gone.plan.version,
        parts=[part for part, wanted in wished.items() if wanted and part in checklist.parts],
        back=GoingBack(gone.id, switched_off(gone), pairs),
    )
    return PreparedPlan(plan, checklist.text, report)
