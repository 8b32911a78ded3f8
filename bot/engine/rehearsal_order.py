"""What a rehearsal is told: the plan, the commits, and nothing that leads to production."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Refused
from bot.domain.planning import planned_merge
from bot.engine.codec import plan_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.plan import Plan
    from bot.ports import Ports
    from bot.settings import EnvironmentSettings, Settings

_BRANCHES = ("master", "release")  # of the embedded world


@dataclass(frozen=True, slots=True)
class Orders:
    """Makes orders. Of the settings an order has the mirror's folder, the committer and the names of required jobs, no more."""

    settings: Settings
    ports: Mapping[str, Ports]

    async def order(self, plan: Plan, checklist: str) -> Mapping[str, Any]:
        """Return the order of one rehearsal; raises `Refused` for what the embedded world cannot make again."""
        environment = self.settings.environments[plan.environment]
        repository = self.settings.repository
        release, master = await self._branches(plan, environment)
        return {
            "plan": plan_out(_bare(plan)),
            "checklist": checklist,
            "repository": str(repository.mirror.resolve()),
            "release": release,
            "master": master,
            "live": plan.base,
            "required_ci": list(environment.required_ci),
            "committer": [repository.committer_name, repository.committer_email],
            "deadline": environment.rehearsal_timeout,
            "memory": environment.rehearsal_memory,
        }

    async def _branches(self, plan: Plan, environment: EnvironmentSettings) -> tuple[str, str]:
        """Return where release and master are before the release: as the plan saw them."""
        merge = planned_merge(plan)
        if plan.hotfix:
            ports = self.ports[plan.environment].repository
            await ports.fetch()
            return plan.head, await ports.branch_head(branch=environment.master_branch)
        if merge and (environment.master_branch, environment.release_branch) != _BRANCHES:
            raise Refused(
                "This plan merges branches that are not called release and master, which the embedded world cannot make again.",
                hint="merge release into master by hand; then rehearse the new plan",
                changed="Nothing.",
            )
        return plan.base, merge.ours if merge else plan.head


def _bare(plan: Plan) -> Plan:
    """Take the commands away: they name production's hosts and folders, and are no part of what is approved."""
    return replace(plan, steps=tuple(replace(one, commands=(), by_hand="") for one in plan.steps))
