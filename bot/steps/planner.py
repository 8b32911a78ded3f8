"""Planning with the world at hand: pins the range, and fills in the commands of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.checklists import SHIPPED, catalogue
from bot.domain.errors import Conflict, Refused
from bot.domain.planning import NO_NOTES, Merge, Pinned, make_plan, merge_message
from bot.steps.words import listed, short

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bot.domain.approval import ApprovalRules
    from bot.domain.checklist import Checklist
    from bot.domain.drafting import Draft
    from bot.domain.plan import Command, Plan, PlannedStep
    from bot.domain.planning import GoingBack, ManualStep
    from bot.engine.step import Step, StepEnvironment
    from bot.ports import Ports


@dataclass(frozen=True, slots=True)
class Planner:
    """The steps there are, in one environment."""

    registry: Mapping[str, Step]
    environment: StepEnvironment
    ports: Ports
    rules: ApprovalRules = SHIPPED

    async def pin(self, *, hotfix: bool = False, proved_live: str = "") -> Pinned:
        """Read origin's branches this moment and choose exactly one commit to release.

        Normally master's head from release's. Where release has commits that master lacks, the head is the merge of both:
        made in the mirror, pushed only by the release. For a hotfix release's head, from ``proved_live``. Raises `Conflict`
        when a hotfix is live already, `Refused` when its range is unknown or, naming the paths, when the merge conflicts.
        """
        repository, environment = self.ports.repository, self.environment
        await repository.fetch()
        release = await repository.branch_head(branch=environment.release_branch)
        if hotfix:
            return await self._pin_hotfix(release, proved_live)
        master = await repository.branch_head(branch=environment.master_branch)
        if await repository.is_ancestor(ancestor=release, descendant=master):
            return Pinned(base=release, head=master)
        commits = tuple(await repository.only_in(ref=release, not_in=master))
        message = merge_message(master=environment.master_branch, release=environment.release_branch)
        head = await repository.merge(ours=master, theirs=release, message=message)
        return Pinned(base=release, head=head, merge=Merge(ours=master, theirs=release, commits=commits))

    async def _pin_hotfix(self, release: str, proved_live: str) -> Pinned:
        if not proved_live:
            raise Refused(
                "It is not known which commit was last proved live, so a hotfix has no range.",
                hint="name it, or make a full release first",
            )
        if proved_live == release:
            raise Conflict(f"release is at {short(release)}, which is live already.", hint="/release review")
        return Pinned(base=proved_live, head=release)

    def plan(
        self,
        checklist: Checklist,
        pinned: Pinned,
        *,
        version: str,
        previous_version: str,
        hotfix: bool = False,
        tags: Sequence[str] = (),
        parts: Collection[str] = (),
        manual_steps: Sequence[ManualStep] = (),
        notes: Draft = NO_NOTES,
        authors: Mapping[str, object] | None = None,
        back: GoingBack | None = None,
        ignored: Sequence[str] = (),
    ) -> Plan:
        """Make the plan (see `make_plan`) with the exact commands of each step.

        Raises `Refused` where a step needs what the environment's settings do not name.
        """
        plan = make_plan(
            checklist,
            catalogue=catalogue(self.registry, self.rules),
            commands=self._commands,
            environment=self.environment.name,
            base=pinned.base,
            head=pinned.head,
            merge=pinned.merge,
            version=version,
            previous_version=previous_version,
            hotfix=hotfix,
            tags=tags,
            parts=parts,
            manual_steps=manual_steps,
            notes=notes,
            authors=authors,
            back=back,
            ignored=ignored,
        )
        self._demand_ports(plan)
        return plan

    def _demand_ports(self, plan: Plan) -> None:
        needy = [
            step.title
            for step in plan.steps
            if any(getattr(self.ports, one) is None for one in self.registry[step.step].ports)
        ]
        if needy:
            raise Refused(
                f"{plan.strategy} works with search indices, and the settings of {plan.environment} name no Elasticsearch or no "
                f"database of METASPACE: {listed(needy)} could not be done.",
                hint=f"set environments.{plan.environment}.elasticsearch and .metaspace_database, or choose another strategy",
                changed="Nothing.",
            )

    def _commands(self, plan: Plan, step: PlannedStep) -> tuple[Command, ...]:
        return self.registry[step.step].commands(plan, step, self.environment, self.ports)
