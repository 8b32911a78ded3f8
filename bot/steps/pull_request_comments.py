"""Each pull request of the range says in which version it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import Refused, StepFailed
from bot.domain.planning import COMMENTS, PULLS
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Partial
from bot.steps.conditions import TAG_AT_HEAD
from bot.steps.tagging import hidden_mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.engine.step import Step, StepContext

PAUSE = 1.0  # seconds between two comments (https://docs.github.com/rest/using-the-rest-api/best-practices)


class PullRequestComments(BaseStep):
    """Each comment carries the release's hidden mark and is looked for before it is written, so that none comes twice."""

    id: ClassVar[str] = COMMENTS
    title: ClassVar[str] = "Pull requests told"
    by_hand: ClassVar[str] = "Comment on each pull request of the range in which version it is released."
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "releaser"
    holds: ClassVar[tuple[Condition, ...]] = (TAG_AT_HEAD,)
    needs: ClassVar[frozenset[str]] = frozenset({"tag", "prove_live"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Look at the comments of every pull request."""
        told, unknown, missing = await _looked(ctx)
        evidence = _evidence(told, unknown)
        if not missing:
            return Done(evidence)
        return Partial(evidence) if told else NotDone("No pull request says in which version it is.")

    async def run(self, ctx: StepContext) -> None:
        """Tell those that do not know it yet; raises `StepFailed` naming those where GitHub allows no comment."""
        refused: list[str] = []
        _, _, missing = await _looked(ctx)
        for place, number in enumerate(missing):
            if place:
                await ctx.report(f"{place} of {len(missing)} pull requests told.", {})
                await ctx.ports.clock.sleep(seconds=PAUSE)
            try:
                await ctx.ports.code_host.comment(number=number, body=_body(ctx))
            except Refused as error:
                refused.append(f"#{number} ({error.message})")
        if refused:
            raise StepFailed(
                f"Not told: {'; '.join(refused)}.", hint="skip: the others are told, and the release is live"
            )

    async def verify(self, ctx: StepContext) -> Evidence:
        """Find every comment."""
        told, unknown, missing = await _looked(ctx)
        if missing:
            names = ", ".join(f"#{number}" for number in missing)
            raise StepFailed(
                f"GitHub does not show the comments on {names}.", hint="retry: what is there is not repeated"
            )
        return _evidence(told, unknown)


async def _looked(ctx: StepContext) -> tuple[list[int], list[int], list[int]]:
    """Return the pull requests that are told, those that GitHub does not know, and those that are not told."""
    told, unknown, missing = [], [], []
    for number in _numbers(ctx):
        comments = await ctx.ports.code_host.comments(number=number)
        if comments is None:
            unknown.append(number)
        elif any(_mark(ctx) in one for one in comments):
            told.append(number)
        else:
            missing.append(number)
    return told, unknown, missing


def _numbers(ctx: StepContext) -> Sequence[int]:
    given = ctx.step.params.get(PULLS)
    return [int(one) for one in given] if isinstance(given, list | tuple) else []


def _mark(ctx: StepContext) -> str:
    return hidden_mark(f"{ctx.release} {ctx.plan.version}")


def _body(ctx: StepContext) -> str:
    return f"Released in {ctx.plan.version}.\n\n{_mark(ctx)}"


def _evidence(told: Sequence[int], unknown: Sequence[int]) -> Evidence:
    more = f" GitHub does not know {', '.join(f'#{one}' for one in unknown)}." if unknown else ""
    facts = {"told": list(told), "unknown": list(unknown)}
    return Evidence(
        f"{len(told)} pull request{'' if len(told) == 1 else 's'} told in which version they are.{more}", facts
    )


STEP: Step = PullRequestComments()
