"""The proof: what runs and what is served was started and built by this release's deploy, and it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.plan import Command
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Partial
from bot.steps.deploy import Receipt
from bot.steps.waiting import until
from bot.steps.words import short, spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.domain.plan import Plan, PlannedStep
    from bot.domain.world import Program
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports

Sighting = tuple[str, str]  # open, fatal or fine, and what was seen
WEBAPP = "sm-web-app"  # the Ansible tag of the webapp: static files, no program


@dataclass(frozen=True, slots=True)
class Live:
    """The commit that was proved live; ``partial`` when only some services were deployed."""

    commit: str
    partial: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """One look at everything. ``open`` may still come right by itself, ``fatal`` will not."""

    open: tuple[str, ...]
    fatal: tuple[str, ...]
    fine: tuple[str, ...]


class ProveLive(BaseStep):
    """Checkout at head and programs running prove nothing: the checkout is first, and old programs run on till restarted."""

    id: ClassVar[str] = "prove_live"
    title: ClassVar[str] = "Proved live"
    by_hand: ClassVar[str] = (
        "Every program must have started after the deploy began (uptime), "
        "the webapp must be new, and site and GraphQL must answer."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    needs: ClassVar[frozenset[str]] = frozenset({"deploy"})
    causes: ClassVar[tuple[str, ...]] = (
        "a program does not start with the new code or configuration: supervisorctl tail NAME stderr",
        "a database migration of sm-graphql failed or still runs: its log under metaspace/graphql/logs",
        "Postgres, Elasticsearch or RabbitMQ is away, so that programs wait or end: systemctl status",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,  # noqa: ARG002
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that shows the programs and how long each has been up."""
        return (Command("web", ("supervisorctl", "status")),)

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when everything is proved; `Partial` names what is not yet."""
        found = await self._look(ctx)
        wrong = [*found.fatal, *found.open]
        if not wrong:
            return Done(_evidence(ctx, found))
        if found.fine:
            return Partial(Evidence(f"Not proved yet: {'; '.join(wrong)}.", {"open": wrong, "fine": list(found.fine)}))
        return NotDone("; ".join(wrong))

    async def run(self, ctx: StepContext) -> None:
        """Wait for programs and site to come up; raises `StepFailed` at once for a program that gave up."""
        found = await until(
            ctx,
            lambda: self._look(ctx),
            enough=lambda seen: bool(seen.fatal) or not seen.open,
            limit=ctx.environment.settle_timeout,
            say=lambda seen: f"Waiting: {'; '.join(seen.open)}",
        )
        _demand(ctx, found)

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look once more."""
        found = await self._look(ctx)
        _demand(ctx, found)
        return _evidence(ctx, found)

    async def _look(self, ctx: StepContext) -> Findings:
        if "deploy" not in ctx.outputs:
            return Findings(open=("there is no receipt of a deploy by this release",), fatal=(), fine=())
        since = datetime.fromisoformat(ctx.output("deploy", Receipt).started_at)
        programs = list(_programs(ctx, await ctx.ports.server.programs(), since))
        rest = [await self._checkout(ctx), await self._webapp(ctx, since), await self._site(ctx)]
        seen = [*programs, *(one for one in rest if one)]
        return Findings(*(tuple(text for kind, text in seen if kind == wanted) for wanted in ("open", "fatal", "fine")))

    async def _checkout(self, ctx: StepContext) -> Sighting:
        commit = (await ctx.ports.server.checkout()).commit
        if commit == ctx.plan.head:
            return "fine", f"checkout at {short(commit)}"
        return "fatal", f"the checkout is at {short(commit)}, not at {short(ctx.plan.head)}"

    async def _webapp(self, ctx: StepContext, since: datetime) -> Sighting | None:
        if ctx.plan.partial and WEBAPP not in ctx.plan.tags:
            return None
        built = await ctx.ports.server.webapp_built_at()
        if built is None:
            return "open", "no webapp is served"
        return ("fine", "webapp built") if built > since else ("open", f"the webapp is from {built:%Y-%m-%d %H:%M} UTC")

    async def _site(self, ctx: StepContext) -> Sighting:
        look = await ctx.ports.site.look()
        return ("fine", "site and GraphQL answer") if look.ok else ("open", f"the site does not answer: {look.detail}")


def watched(environment: StepEnvironment, tags: Sequence[str]) -> tuple[str, ...]:
    """Return the programs and groups to be proved: all that are watched, or those that a partial release deployed."""
    return tuple(name for name in environment.watched_programs if not tags or name in tags)


def _programs(ctx: StepContext, programs: Iterable[Program], since: datetime) -> Iterator[Sighting]:
    every = list(programs)
    for name in watched(ctx.environment, ctx.plan.tags):
        members = [one for one in every if name in (one.name, one.group)]
        if not members:
            yield "fatal", f"supervisor knows no program or group {name}"
        for member in members:
            ends = bool({member.name, member.group} & set(ctx.environment.ending_programs))
            seen = _program(member, since, ends=ends)
            yield seen if ends or seen[0] != "fine" else _steady(member, seen, ctx)


def _steady(program: Program, seen: Sighting, ctx: StepContext) -> Sighting:
    """One that has only just come up may be about to die: it must have run for a while."""
    up = (ctx.ports.clock.now() - program.started_at).total_seconds() if program.started_at else 0.0
    if up >= ctx.environment.steady_after:
        return seen
    return "open", f"{program.name} is up for {spoken(max(up, 0))} only"


def _program(program: Program, since: datetime, *, ends: bool) -> Sighting:
    """A program that ends by itself may be seen between its end and its next start, if that start was after the deploy's."""
    name = program.name if program.group in ("", program.name) else f"{program.group}:{program.name}"
    started = program.started_at
    fresh = started is not None and started > since
    detail = f" ({program.detail})" if program.detail else ""
    match program.state:
        case "RUNNING" if fresh:
            return "fine", f"{name} restarted"
        case "RUNNING" if started is None:
            return "open", f"the start time of {name} cannot be read"
        case "RUNNING":
            return "open", f"{name} still runs from before the deploy"
        case "FATAL":
            return "fatal", f"{name} is FATAL{detail}"
        case "EXITED" if ends and fresh:
            return "fine", f"{name} restarted, and ended by itself"
        case state:
            return "open", f"{name} is {state}{detail}"


def _demand(ctx: StepContext, found: Findings) -> None:
    wrong = [*found.fatal, *found.open]
    if not wrong:
        return
    waited = "" if found.fatal else f" after {spoken(ctx.environment.settle_timeout)}"
    raise StepFailed(
        f"Not proved live{waited}: {'; '.join(wrong)}.",
        hint="look at the program (supervisorctl status, supervisorctl tail NAME stderr on the web server), then retry",
        changed=f"The deploy of {short(ctx.plan.head)} is complete; nothing was undone.",
    )


def _evidence(ctx: StepContext, found: Findings) -> Evidence:
    only = f"; only {', '.join(ctx.plan.tags)} deployed" if ctx.plan.partial else ""
    summary = f"{short(ctx.plan.head)} is live on {ctx.plan.environment}: {'; '.join(found.fine)}{only}."
    return Evidence(summary, {"proved": list(found.fine)}, Live(ctx.plan.head, ctx.plan.partial))


STEP: Step = ProveLive()
