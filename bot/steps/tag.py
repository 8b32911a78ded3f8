"""The version's annotated tag is on the remote, at the pinned commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Unknown
from bot.steps.conditions import RELEASE_AT_HEAD
from bot.steps.tagging import NEXT_VERSION, Notes, Whose, message, tag_commands, whose
from bot.steps.words import short

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.world import RemoteTag
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


class Tag(BaseStep):
    """The remote refuses a tag that is there, so pushing twice is harmless; the message's last line says whose it is."""

    id: ClassVar[str] = "tag"
    title: ClassVar[str] = "Annotated tag pushed"
    changes_live: ClassVar[bool] = True
    by_hand: ClassVar[str] = "Tag the commit with the notes as message, and push the tag."
    causes: ClassVar[tuple[str, ...]] = (
        "the version is taken by a tag of somebody else: abort and start with the next version",
        "the remote's rules refuse the tag, or the key may not push: GitHub's words stand in the message",
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    holds: ClassVar[tuple[Condition, ...]] = (RELEASE_AT_HEAD,)
    needs: ClassVar[frozenset[str]] = frozenset({"notes"})
    after: ClassVar[frozenset[str]] = frozenset({"push_branches"})

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the two lines that make and push it by hand."""
        return tuple(Command("here", argv) for argv in tag_commands(plan.version, plan.head))

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done for an annotated tag at the head that is ours or a person's; a foreign one stops the release."""
        tag = await ctx.ports.repository.remote_tag(name=ctx.plan.version)
        owner, why = whose(ctx, tag)
        if owner is Whose.FOREIGN:
            return Unknown(why, hint=NEXT_VERSION)
        return Done(_evidence(tag, owner)) if tag else NotDone(f"There is no tag {ctx.plan.version}.")

    async def run(self, ctx: StepContext) -> None:
        """Push the tag; raises `Refused` when somebody was faster."""
        text = message(ctx.output("notes", Notes).lines, mark=ctx.mark)
        await ctx.ports.repository.push_tag(name=ctx.plan.version, target=ctx.plan.head, message=text)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the tag back from the remote."""
        tag = await ctx.ports.repository.remote_tag(name=ctx.plan.version)
        owner, why = whose(ctx, tag)
        if tag is None or owner is Whose.FOREIGN:
            raise StepFailed(why or f"The remote has no tag {ctx.plan.version} after the push.", hint="retry")
        return _evidence(tag, owner)


def _evidence(tag: RemoteTag, owner: Whose) -> Evidence:
    by = f", made by hand by {tag.tagger or 'somebody'}" if owner is Whose.BY_HAND else ""
    facts = {"tag": tag.name, "commit": tag.target, "by_hand": owner is Whose.BY_HAND}
    return Evidence(f"Tag {tag.name} is on {short(tag.target)}{by}.", facts)


STEP: Step = Tag()
