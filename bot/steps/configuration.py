"""The Ansible configuration repository is on its branch and up to date, without local changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Unknown
from bot.steps.words import listed, short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.world import ConfigurationState
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class Configuration(BaseStep):
    """``ansible/aws/env``: a clone of its own, so nothing of it is in the release's commit."""

    id: ClassVar[str] = "configuration"
    title: ClassVar[str] = "Ansible configuration up to date"
    by_hand: ClassVar[str] = (
        "Bring the configuration repository on the control host up to date; nothing may be changed locally."
    )
    causes: ClassVar[tuple[str, ...]] = (
        "somebody left local changes in the configuration's clone: commit or revert them there",
        "the control host cannot reach the configuration repository: its key or the network",
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,
        ports: Ports,
    ) -> tuple[Command, ...]:
        """Return the lines of METASPACE's own process, to be typed in the clone of ``ansible/aws/env``."""
        _, folder = ports.playbooks.folders(commit=plan.head)
        branch = environment.configuration_branch
        lines = (("git", "switch", branch), ("git", "pull", "--ff-only", "origin", branch))
        return tuple(Command("control", line, folder) for line in lines)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when branch and commit are as the remote has them and nothing is changed locally."""
        state = await ctx.ports.playbooks.configuration()
        if state.dirty:
            return Unknown(
                f"The configuration repository on the control host has local changes: {listed(state.dirty)}.",
                hint="commit and push them, or put them away, on the control host; then retry",
            )
        why = _behind(state, ctx.environment.configuration_branch)
        return NotDone(why) if why else Done(_evidence(state))

    async def run(self, ctx: StepContext) -> None:
        """Check out and pull, fast-forward only; raises `Refused` when it has become dirty."""
        await ctx.ports.playbooks.update_configuration()

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        state = await ctx.ports.playbooks.configuration()
        why = (
            f"local changes: {listed(state.dirty)}"
            if state.dirty
            else _behind(state, ctx.environment.configuration_branch)
        )
        if why:
            raise StepFailed(f"The configuration is not up to date after the pull: {why}", hint="retry")
        return _evidence(state)


def _behind(state: ConfigurationState, branch: str) -> str:
    if state.branch != branch:
        return f"It is on {state.branch or 'no branch'}, not on {branch}."
    if state.commit != state.remote_commit:
        return f"It is at {short(state.commit)}, the remote at {short(state.remote_commit)}."
    return ""


def _evidence(state: ConfigurationState) -> Evidence:
    facts = {"branch": state.branch, "commit": state.commit}
    return Evidence(f"Configuration on {state.branch} at {short(state.commit)}, nothing changed locally.", facts)


STEP: Step = Configuration()
