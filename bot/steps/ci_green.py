"""CI is green for exactly the commit that is released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.world import Check, CheckState
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.conditions import required
from bot.steps.waiting import until
from bot.steps.words import listed, short, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.step import Step, StepContext


@dataclass(frozen=True, slots=True)
class GreenCommit:
    """The commit whose required jobs were seen green."""

    commit: str


class CiGreen(BaseStep):
    """Required jobs only: others are shown elsewhere and never block. What CI never reported is not passed."""

    id: ClassVar[str] = "ci_green"
    title: ClassVar[str] = "CI green for this commit"
    by_hand: ClassVar[str] = "Open the commit on GitHub: every required job must have passed for exactly this commit."
    causes: ClassVar[tuple[str, ...]] = (
        "a test that fails now and then: run the job again in CircleCI",
        "a pull request that was green alone and is not together with another: the first failed commit on master",
        "CircleCI never started the job for this commit: push again, or run the pipeline by hand",
    )
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged"})

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when every required job passed."""
        jobs = await self._jobs(ctx)
        return Done(self._evidence(ctx, jobs)) if _green(jobs) else NotDone(_sentence(jobs))

    async def run(self, ctx: StepContext) -> None:
        """Wait for pending and unreported jobs; raises `StepFailed` at once for a failed one."""
        limit = ctx.environment.ci_timeout
        jobs = await until(ctx, lambda: self._jobs(ctx), enough=_settled, limit=limit, say=_sentence)
        if not _green(jobs):
            raise self._failure(ctx, jobs)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the reports again."""
        jobs = await self._jobs(ctx)
        if not _green(jobs):
            raise self._failure(ctx, jobs)
        return self._evidence(ctx, jobs)

    async def _jobs(self, ctx: StepContext) -> Mapping[str, Check]:
        return required(await ctx.ports.code_host.checks(sha=_commit(ctx)), ctx.environment.required_ci)

    def _evidence(self, ctx: StepContext, jobs: Mapping[str, Check]) -> Evidence:
        commit = _commit(ctx)
        return Evidence(
            f"{len(jobs)} required jobs passed for {short(commit)}.",
            {"commit": commit, "jobs": {name: check.url for name, check in jobs.items()}},
            GreenCommit(commit),
        )

    def _failure(self, ctx: StepContext, jobs: Mapping[str, Check]) -> StepFailed:
        failed = any(check.state is CheckState.FAILED for check in jobs.values())
        waited = (
            ""
            if failed
            else f" Waited {spoken(ctx.environment.ci_timeout)}; a job that CI never reported is not passed."
        )
        urls = [
            f"{check.name}: {check.url}" for check in jobs.values() if check.state is CheckState.FAILED and check.url
        ]
        return StepFailed(
            "\n".join([f"CI of {short(_commit(ctx))}: {_sentence(jobs)}.{waited}", *urls]),
            hint="run the jobs again in CircleCI and retry; a fix on master needs a new review and start",
            changed="Nothing was changed.",
        )


def _commit(ctx: StepContext) -> str:
    return str(ctx.step.params.get("commit") or ctx.plan.head)


def _green(jobs: Mapping[str, Check]) -> bool:
    return all(check.state is CheckState.PASSED for check in jobs.values())


def _settled(jobs: Mapping[str, Check]) -> bool:
    return _green(jobs) or any(check.state is CheckState.FAILED for check in jobs.values())


def _sentence(jobs: Mapping[str, Check]) -> str:
    words = {CheckState.FAILED: "failed", CheckState.PENDING: "still running", CheckState.MISSING: "not reported"}
    groups = [
        f"{word}: {listed(names)}"
        for state, word in words.items()
        if (names := [check.name for check in jobs.values() if check.state is state])
    ]
    return "; ".join(groups) or "all required jobs passed"


STEP: Step = CiGreen()
