"""The in-place update of all datasets runs, newest first, and its first write is right. It goes on when the release ends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed, Unavailable
from bot.domain.plan import Command
from bot.domain.world import JobState
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Partial, Running
from bot.steps.deploy import Receipt
from bot.steps.indexing import (
    BLIND_LIMIT,
    Job,
    complete,
    ended_now,
    follow,
    followed,
    into_live,
    ledger_of,
    looked,
    newest,
    prove_write,
    runs,
    start,
)
from bot.steps.pairs import PORTS, REPAIR, WEB, search
from bot.steps.waiting import until

if TYPE_CHECKING:
    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.reindexing import Ledger
    from bot.domain.world import JobReport
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports
    from bot.steps.indexing import Into

NULL_ERROR = "Cannot return null for non-nullable"  # how GraphQL says that a resolver had nothing to fall back to


class EsUpdate(BaseStep):
    """The job is a loose end until it has ended: that is told by a second note."""

    id: ClassVar[str] = "es_update"
    title: ClassVar[str] = "Update of all datasets running"
    by_hand: ClassVar[str] = (
        "In tmux and under nice, with the deployed code: update_es_index with --ds-file naming all ids, newest first. See that it "
        "runs. Until it ends watch sm-graphql's log for null errors, which are resolvers without a fallback."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    changes_live: ClassVar[bool] = True
    ports: ClassVar[frozenset[str]] = PORTS
    needs: ClassVar[frozenset[str]] = frozenset({"deploy"})
    after: ClassVar[frozenset[str]] = frozenset({"prove_live", "swap", "catch_up_after", "processing_back"})
    causes: ClassVar[tuple[str, ...]] = (
        "another job indexes at this moment: /release jobs",
        "the deployed code cannot start: the conda environment lacks a package; the job's log says which",
        "the newest dataset cannot be indexed: METASPACE's words stand in the job's log",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return how it is done by hand, and the look at the log."""
        script = ("nice", "python", "-m", "scripts.update_es_index", "--ds-file", "IDS")
        return (
            Command(WEB, script, environment.live_code),
            Command(WEB, ("grep", "-c", NULL_ERROR, "sm-graphql.log")),
        )

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done once a job of this step runs, has done a dataset and passed its probe; also when it has ended meanwhile."""
        last = newest(await runs(ctx))
        ledger = await ledger_of(ctx, last)
        if last is None:
            return NotDone("The update is not started.")
        if complete(last, ledger) or (last.state is JobState.RUNNING and _moves(ledger)):
            return Done(await self._evidence(ctx, last, ledger))
        if last.state is JobState.RUNNING:
            return Running(last.name)
        return Partial(Evidence(f"{last.name} has ended and was not complete.", {"job": last.name}))

    async def run(self, ctx: StepContext) -> None:
        """Attach to a running job, else start one over all datasets, and wait until its first write is proved."""
        into, last = await self._into(ctx), newest(await runs(ctx))
        if last and ended_now(ctx, last):
            await follow(ctx, into, last.name, title=_title(ctx))  # says how it ended
            return
        if last and last.state is JobState.RUNNING:
            name = last.name
        else:
            ids = await search(ctx).datasets.dataset_ids()
            name = await start(ctx, into, ids, title=_title(ctx), goes_on=True)
        run, ledger = await until(
            ctx,
            lambda: self._step(ctx, into, name),
            enough=lambda seen: seen[0].state is not JobState.RUNNING or _moves(seen[1]),
            limit=BLIND_LIMIT,
            say=lambda _: f"Waiting for the first dataset of {name}",
        )
        if run.state is not JobState.RUNNING:
            await follow(ctx, into, name, title=_title(ctx))
        elif not _moves(ledger):
            raise StepFailed(
                f"{name} runs, and has done no dataset yet.",
                hint=f"look at it: {search(ctx).jobs.attach_line(name=name)}; retry to wait on",
                changed="The job goes on.",
            )

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look at job and ledger."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case _:
                raise StepFailed("The update does not run.", hint="retry: it is started again")

    async def _step(self, ctx: StepContext, into: Into, name: str) -> tuple[JobReport, Ledger | None]:
        """Look once, and let it go on where it waits for its probe."""
        run, ledger = await looked(ctx, name)
        await prove_write(ctx, into, run, ledger)
        return run, ledger

    async def _into(self, ctx: StepContext) -> Into:
        seen = await search(ctx).indices.look()
        live = Look(seen).live
        if live is None:
            raise StepFailed(Look(seen).fault, hint=REPAIR, changed="Nothing.")
        return into_live(ctx, pair=live)

    async def _evidence(self, ctx: StepContext, run: JobReport, ledger: Ledger | None) -> Evidence:
        runs_on = run.state is JobState.RUNNING
        done, total = (ledger.done, ledger.total) if ledger else (0, 0)
        facts: dict[str, object] = {"job": run.name, "host": WEB, "title": _title(ctx), "done": done, "total": total}
        facts["attach"] = search(ctx).jobs.attach_line(name=run.name)
        nulls, said = await null_errors(ctx)
        facts["null_errors"] = nulls
        facts["follows"] = followed(run.name, _title(ctx))
        state = "runs" if runs_on else "has ended"
        summary = f"{run.name} {state}: {done:,} of {total:,} datasets. {said}"
        return Evidence(summary, facts, Job(run.name, WEB, _title(ctx)))


async def null_errors(ctx: StepContext) -> tuple[int | None, str]:
    """Count GraphQL's null errors since the deploy began, and say it; None where the log cannot be read."""
    since = datetime.fromisoformat(ctx.output("deploy", Receipt).started_at)
    try:
        count = await ctx.ports.server.count_in_log(words=NULL_ERROR, since=since)
    except Unavailable as error:
        return None, f"sm-graphql's log was not read: {error.message}"
    if count is None:
        return None, "There is no log of sm-graphql to read."
    if not count:
        return 0, "No null error in sm-graphql's log since the deploy."
    return count, f"{count} null errors in sm-graphql's log since the deploy: fields that nothing falls back for yet."


def _moves(ledger: Ledger | None) -> bool:
    return ledger is not None and ledger.done > 0 and not ledger.awaits_probe


def _title(ctx: StepContext) -> str:
    return f"Updating all datasets for {ctx.plan.version}"


STEP: Step = EsUpdate()
