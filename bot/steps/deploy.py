"""The Ansible web deployment, as a job on the control host; what counts is one completed deploy of this release."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.domain.planning import rolls_back
from bot.domain.world import JobState
from bot.engine.step import BaseStep, CheckResult, Condition, Done, Evidence, NotDone, Partial, Running, Unknown
from bot.steps.conditions import DEPLOYABLE, demand
from bot.steps.playbook_watch import follow, why_ended
from bot.steps.push_branches import AHEAD, OWED
from bot.steps.words import short, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.world import JobReport
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

ATTEMPT = "attempt"  # the mark that says for which attempt of the step a job was started


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the wrapper wrote about the completed deploy. Times are ISO 8601, on the bot's clock."""

    job: str
    commit: str
    started_at: str
    finished_at: str
    runs: int  # how many times the playbook was started for this release


class Deploy(BaseStep):
    """Never a child of the bot: it runs on while the bot is away, and the bot comes back to it by its name."""

    id: ClassVar[str] = "deploy"
    title: ClassVar[str] = "Ansible web deployment"
    changes_live: ClassVar[bool] = True
    by_hand: ClassVar[str] = (
        "Run the playbook on the control host, in tmux, with host keys checked; nobody else may deploy meanwhile."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "attach"
    holds: ClassVar[tuple[Condition, ...]] = (DEPLOYABLE,)
    after: ClassVar[frozenset[str]] = frozenset(
        {
            "review_acknowledged",
            "roll_back_agreed",
            "ci_green",
            "push_branches",
            "tag",
            "configuration",
            "drain",
            "announce_start",
            "catch_up",
            "swap",
            "swap_back",
        }
    )
    causes: ClassVar[tuple[str, ...]] = (
        "the webapp or a package did not build or download: the failed task's last lines name it",
        "the control host could not reach the server, or lacks the vault password: releasebot doctor",
        "the Ansible configuration or a role changed and does not fit this server: git log in ansible/aws",
    )

    def commands(
        self,
        plan: Plan,
        step: PlannedStep,  # noqa: ARG002  # the contract's parameter
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,
    ) -> tuple[Command, ...]:
        """Return the very argument list that the job runs, and where."""
        folder, _ = ports.playbooks.folders(commit=plan.head)
        return (Command("control", ports.playbooks.deploy_commands(commit=plan.head, tags=plan.tags), folder),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done by a receipt of this release and commit with exit status 0; a checkout at the head alone is `Partial`."""
        runs = _own(ctx, await self._jobs(ctx))
        if running := next((run for run in runs if run.state is JobState.RUNNING), None):
            return Running(running.name)
        commit = (await ctx.ports.server.checkout()).commit
        completed = _completed(runs)
        if completed and commit != ctx.plan.head:
            return Unknown(
                f"{completed.name} deployed {short(ctx.plan.head)}, but the server's checkout is at {short(commit)} now: "
                "somebody deployed something else after it.",
                hint="find out who did and why (git reflog --date=iso on the server), then abort or deploy by a new release",
            )
        if completed:
            return Done(_evidence(ctx, completed, len(runs)))
        if commit == ctx.plan.head:
            how = "the playbook has not completed" if runs else "not by this release"
            facts = {"checkout": commit, "runs": [run.name for run in runs]}
            return Partial(Evidence(f"The checkout is at {short(commit)}, {how}.", facts))
        return NotDone(f"The server's checkout is at {short(commit)}.")

    async def run(self, ctx: StepContext) -> None:
        """Attach to a running playbook, else start one, and watch it; raises `StepFailed` with the tasks that failed.

        A playbook that failed in this same attempt is reported, not run again: that is for a person to say (retry). One
        that died without an exit status (a reboot, say) is run again; one that completed meanwhile is not.
        """
        jobs = await self._jobs(ctx)
        runs = _own(ctx, jobs)
        if _completed(runs):
            return
        running = next((run.name for run in runs if run.state is JobState.RUNNING), None)
        ended = runs[-1] if runs else None
        if running is None and ended and _failed_in(ended, ctx.attempt):
            report = ended
        else:
            report = await follow(ctx, running or await self._start(ctx, len(jobs) + 1))
        if report.exit_status != 0:
            raise StepFailed(
                await why_ended(ctx, report),
                hint=f"look at it: {ctx.ports.control_jobs.attach_line(name=report.name)}; then retry, or abort",
                changed="The server may be half deployed: its checkout, and some services, may be new.",
            )

    async def _start(self, ctx: StepContext, number: int) -> str:
        """Start the playbook once: the next number makes a name that only one starter can have."""
        await demand(ctx, DEPLOYABLE)
        folder = await ctx.ports.playbooks.prepare(commit=ctx.plan.head)
        name = f"{ctx.mark}-{number}"
        spec = ctx.ports.playbooks.deploy_job(
            name=name, folder=folder, release=ctx.release, commit=ctx.plan.head, tags=ctx.plan.tags
        )
        await demand(ctx, DEPLOYABLE)
        await ctx.ports.control_jobs.start(spec=replace(spec, marks={**spec.marks, ATTEMPT: str(ctx.attempt)}))
        await ctx.report(f"Playbook started as {name}", {"job": name})
        return name

    async def verify(self, ctx: StepContext) -> Evidence:
        """Find the receipt, and the checkout at the head."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case Unknown(why, hint):
                raise StepFailed(why, hint=hint)
            case _:
                raise StepFailed("There is no receipt of a completed deploy.", hint="retry: the playbook is run again")

    async def _jobs(self, ctx: StepContext) -> Sequence[JobReport]:
        """Return every job that ever had a name of this step, oldest first: their number makes the next name."""
        found = await ctx.ports.control_jobs.find(marks={"release": ctx.release})
        return [job for job in found if job.name.startswith(f"{ctx.mark}-")]


def _own(ctx: StepContext, jobs: Sequence[JobReport]) -> Sequence[JobReport]:
    """Leave out other commits, and receipts from before the release began: a lost database may give an id twice."""
    since = ctx.started_at
    return [
        job for job in jobs if job.marks.get("commit") == ctx.plan.head and (since is None or job.started_at >= since)
    ]


def _completed(runs: Sequence[JobReport]) -> JobReport | None:
    return next((run for run in reversed(runs) if run.state is JobState.FINISHED and run.exit_status == 0), None)


def _failed_in(run: JobReport, attempt: int) -> bool:
    return run.state is JobState.FINISHED and run.exit_status != 0 and run.marks.get(ATTEMPT) == str(attempt)


def _evidence(ctx: StepContext, run: JobReport, runs: int) -> Evidence:
    finished = run.finished_at or run.heartbeat_at
    receipt = Receipt(run.name, ctx.plan.head, run.started_at.isoformat(), finished.isoformat(), runs)
    took = spoken((finished - run.started_at).total_seconds())
    only = f" (only {', '.join(ctx.plan.tags)})" if ctx.plan.partial else ""
    facts: dict[str, object] = {"job": run.name, "commit": ctx.plan.head, "exit_status": 0, "runs": runs, "took": took}
    facts.update({"owes": OWED} if rolls_back(ctx.plan) else {"settles": [AHEAD]})
    return Evidence(f"{run.name} deployed {short(ctx.plan.head)}{only} in {took}.", facts, receipt)


STEP: Step = Deploy()
