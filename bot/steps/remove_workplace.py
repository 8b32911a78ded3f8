"""The temporary checkout is removed from the web server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.pairs import PORTS, WEB, search
from bot.steps.workplace import OWED

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class RemoveWorkplace(BaseStep):
    """Refused by the world while a job of it runs."""

    id: ClassVar[str] = "remove_workplace"
    title: ClassVar[str] = "Temporary checkout removed"
    by_hand: ClassVar[str] = "Remove the release's git work tree and its copy of the configuration from the web server."
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    ports: ClassVar[frozenset[str]] = PORTS
    after: ClassVar[frozenset[str]] = frozenset({"workplace", "reindex", "catch_up", "swap", "catch_up_after"})
    causes: ClassVar[tuple[str, ...]] = (
        "a job still runs with its code: /release jobs",
        "files in it belong to another user: sudo ls -l in the folder that the message names",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the lines that show and remove it by hand."""
        lines = (("git", "worktree", "list"), ("git", "worktree", "remove", "--force", "FOLDER"))
        return tuple(Command(WEB, line) for line in lines)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when it is not there."""
        place = await search(ctx).reindexing.workplace(release=ctx.release)
        if place is None:
            return Done(Evidence("The temporary checkout is gone.", {"settles": [OWED]}))
        return NotDone(f"{place.folder} is still there.")

    async def run(self, ctx: StepContext) -> None:
        """Remove it; raises `Conflict` while a job of it runs."""
        await search(ctx).reindexing.remove_workplace(release=ctx.release)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look again."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                raise StepFailed("The temporary checkout is still there.", hint="retry")


STEP: Step = RemoveWorkplace()
