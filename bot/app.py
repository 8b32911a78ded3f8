"""The composition root: the one place that knows settings, engine, Slack, commands, steps and integrations."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import time, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

import commands
from bot import http, telemetry
from bot.checklists import available, catalogue
from bot.domain.approval import ApprovalRules
from bot.domain.asking import Reminding
from bot.domain.errors import ReleaseError, Unavailable
from bot.domain.reminding import Pace, Quiet
from bot.engine import failpoints
from bot.engine.author_desk import AuthorDesk
from bot.engine.authors import Authors
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.exports import Exports
from bot.engine.freezes import Freezes
from bot.engine.lock_queue import LockQueue
from bot.engine.narrator import Narrator
from bot.engine.office_service import Area as OfficeArea
from bot.engine.office_service import OfficeService
from bot.engine.plans import Plans
from bot.engine.records import Ledger
from bot.engine.rehearsal_book import RehearsalBook
from bot.engine.rehearsal_order import Orders
from bot.engine.rehearsing import Rehearsals
from bot.engine.reminders import Reminders
from bot.engine.runner import Area, Runner
from bot.engine.schedule import Schedule
from bot.engine.step import StepEnvironment
from bot.engine.store import Store
from bot.engine.ticks import Ticks
from bot.engine.watch import Watch
from bot.ports import Ports
from bot.scheduler import Chore, Scheduler
from bot.settings import DAYS, secrets
from bot.slack.announcements import SlackAnnouncements
from bot.slack.api import web_client
from bot.slack.app import SlackApp
from bot.slack.directory import SlackDirectory
from bot.slack.outbox import Outbox
from bot.slack.people import People, SlackGroups
from bot.slack.quick import open_intake
from bot.slack.router import Router
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages
from bot.steps import registry as steps
from bot.steps.planner import Planner
from integrations.ansible import AnsiblePlaybooks
from integrations.circleci import CircleCi
from integrations.git import GitRepository
from integrations.github import GitHub
from integrations.jobs import TmuxJobs
from integrations.metaspace import MetaspacePlatform
from integrations.probe import SiteProbe
from integrations.rehearsal import ChildRehearser
from integrations.server import WebServer
from integrations.ssh import SshHost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.authors import Directory
    from bot.engine.step import Step
    from bot.ports import Announcements, AuthorQuestions, Clock
    from bot.settings import EnvironmentSettings, Settings

REMINDERS, SOON = 60.0, 2.0  # seconds between two looks at what is due some day, and at what people wait for
REHEARSALS = 10.0  # seconds between two looks for rehearsals whose bot is gone
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Engine:
    """The parts that serve releases, put together."""

    desk: Desk
    runner: Runner
    narrator: Narrator
    office: OfficeService
    outbox: Outbox
    rehearsals: Rehearsals
    scheduler: Scheduler


async def serve(settings: Settings) -> int:
    """Run the bot until SIGTERM or Ctrl-C; returns the exit status. Raises `ReleaseError` when it cannot start."""
    failpoints.demand_sane()
    telemetry.set_up_logs(settings.log_level)
    telemetry.hide(secrets(settings))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        store = await stack.enter_async_context(Store(settings.database.url.get_secret_value()))
        return await _serve(settings, store, clock, stop, stack)


async def _serve(settings: Settings, store: Store, clock: Clock, stop: asyncio.Event, stack: AsyncExitStack) -> int:
    slack = settings.slack
    client = await stack.enter_async_context(
        web_client(token=slack.bot_token.get_secret_value(), base_url=slack.base_url, dates=slack.dates)
    )
    process = uuid.uuid4().hex
    held = timedelta(seconds=2 * settings.engine.lease)
    messages = SqlMessages(store, clock=clock, process=process, held=held)
    outbox = Outbox(messages, Sender(client, clock=clock), channel=slack.channel, clock=clock)
    router = Router.discover(commands, channel=slack.channel)
    people = People(settings.people, settings.groups, members=SlackGroups(client))
    engine = await engine_of(
        settings,
        store,
        outbox,
        router,
        SlackDirectory(client, clock),
        people=people,
        clock=clock,
        process=process,
        stack=stack,
    )
    app = SlackApp(
        settings=slack,
        client=client,
        store=await stack.enter_async_context(
            open_intake(settings.database.url.get_secret_value(), store, clock=clock, held=held)
        ),
        outbox=outbox,
        router=router,
        people=people,
        office=engine.office,
    )
    served = http.application(
        metrics=telemetry.Metrics(), checks={"database": store.answers, "slack": partial(_connected, app)}
    )
    app_client = None
    if slack.mode == "http":
        app.add_route(served)
    else:
        app_client = await stack.enter_async_context(
            web_client(token=slack.app_token.get_secret_value(), base_url=slack.base_url)
        )
    port = await stack.enter_async_context(http.serve(served, host=settings.http.host, port=settings.http.port))
    _log.info("ready", port=port, process=process, mode=slack.mode, environments=list(settings.environments))
    return await _until_stopped(engine, app.run(app_client), stop)


async def _until_stopped(engine: Engine, slack: object, stop: asyncio.Event) -> int:
    """Work until asked to stop; then the runner comes to a safe point first, while Slack still hears of it."""
    tasks = [
        asyncio.ensure_future(slack),  # type: ignore[call-overload]  # a coroutine; annotated loosely for its one use
        asyncio.create_task(engine.runner.run(stop), name="runner"),
        asyncio.create_task(engine.narrator.run(stop), name="narrator"),
        asyncio.create_task(engine.scheduler.run(stop), name="scheduler"),
        asyncio.create_task(engine.rehearsals.run(stop), name="rehearsals"),
    ]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    broken = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
    stop.set()
    engine.desk.bell.ring()
    await asyncio.wait(tasks[1:], timeout=25)
    for task in (*tasks, stopping):
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in broken:
        _log.error("part_ended", part=task.get_name(), exc_info=task.exception())
    return 1 if broken else 0


async def _connected(app: SlackApp) -> None:
    if not app.ready:
        raise Unavailable("Slack's socket is not connected.")


async def engine_of(
    settings: Settings,
    store: Store,
    outbox: Outbox,
    router: Router,
    directory: Directory,
    *,
    people: People,
    clock: Clock,
    process: str,
    stack: AsyncExitStack,
) -> Engine:
    """Put the engine together over the real world of every environment."""
    registry = steps.load()

    def skip_of(step: str) -> str:
        return registry[step].skip if step in registry else "never"

    freezes, book = freezes_of(settings, store, clock), rehearsals_of(settings, store, clock, process)
    desk = Desk(store, clock=clock, skip_of=skip_of, demand_open=freezes.demand_open, demand_rehearsed=book.demand)
    lease = settings.engine.lease
    ledger = Ledger(store, clock=clock, owner=process, lease=lease, bell=desk.bell)
    if store.sqlite:
        await ledger.free_all()  # the lock file says that no other process drives
    announcements, author_desk = SlackAnnouncements(outbox), AuthorDesk(store, clock=clock)
    authors = Authors(author_desk, directory, outbox, settings.people, clock, reminding(settings))
    areas = {
        name: await area_of(
            settings, one, name, announcements=announcements, authors=author_desk, clock=clock, stack=stack
        )
        for name, one in settings.environments.items()
    }
    driven = {
        name: Area(environment, ports, Watch(store, clock=clock, interval=one.site.interval, bell=desk.bell))
        for (name, one), (environment, ports) in zip(settings.environments.items(), areas.values(), strict=True)
    }
    offices = {
        name: _office_area(name, settings.environments[name], environment, ports, registry)
        for name, (environment, ports) in areas.items()
    }
    queue = LockQueue(store, outbox, clock, timedelta(seconds=settings.locks.claim))
    rehearsals = Rehearsals(
        book=book,
        rehearser=ChildRehearser(),
        outbox=outbox,
        clock=clock,
        channel=settings.slack.channel,
        orders=Orders(settings, {name: ports for name, (_, ports) in areas.items()}).order,
        alone=store.sqlite,
    )
    exports = Exports(
        store,
        desk=desk,
        hosts={name: one.ports.code_host for name, one in driven.items()},
        ticks=Ticks(store, clock=clock, registry=registry, areas=driven, bell=desk.bell),
        clock=clock,
        interval=settings.repository.issue_poll,
    )
    if store.sqlite:
        await exports.free_all()
    office = OfficeService(
        settings=settings,
        desk=desk,
        commands=router.commands,
        areas=offices,
        freezes=freezes,
        authors=authors,
        rehearsals=rehearsals,
        plans=Plans(store, clock=clock, catalogue=catalogue(registry), bell=desk.bell),
        exports=exports,
        clock=clock,
        queue=queue,
    )
    runner = Runner(ledger, registry=registry, areas=driven, clock=clock, bell=desk.bell, lease=lease)
    office.reminders = reminders_of(settings, store, outbox, clock)
    office.schedule = Schedule(
        store,
        desk,
        outbox,
        clock,
        plan=office.plan,
        person=people.person,
        before=timedelta(seconds=settings.schedule.remind_before),
        grace=timedelta(seconds=settings.schedule.grace),
    )
    narrator = Narrator(
        ledger=desk,
        outbox=outbox,
        bell=desk.bell,
        channel=settings.slack.channel,
        approvers=lambda role: [one.slack for one in people.with_role(role)],
    )
    chores = [
        Chore("reminders", REMINDERS, authors.remind),
        Chore("waiting", REMINDERS, office.reminders.turn),
        Chore("queue", SOON, queue.turn),
        Chore("schedule", SOON, office.schedule.turn),
        Chore("rehearsals", REHEARSALS, rehearsals.look_after),
        Chore("issues", settings.repository.issue_poll / 2, exports.turn),
    ]
    return Engine(desk, runner, narrator, office, outbox, rehearsals, Scheduler(chores))


def reminding(settings: Settings) -> Reminding:
    """Return when authors are reminded, as plain values."""
    wanted = settings.authors
    days = frozenset(DAYS.index(day) for day in wanted.working_days)
    return Reminding(time.fromisoformat(wanted.remind_at), settings.zone, days, wanted.reminders)


def reminders_of(settings: Settings, store: Store, outbox: Outbox, clock: Clock) -> Reminders:
    """Return the reminders of what waits for people, at the settings' pace."""
    wanted = settings.reminders
    hours = time.fromisoformat(wanted.quiet_from), time.fromisoformat(wanted.quiet_until)
    quiet = Quiet(*hours, settings.zone)
    return Reminders(store, outbox, clock, Pace(wanted.every, quiet), Pace(settings.locks.remind, quiet))


def freezes_of(settings: Settings, store: Store, clock: Clock) -> Freezes:
    """Return the freezes, with the settings' weekly windows."""
    weekly = {
        name: [one.window(settings.zone) for one in environment.freezes]
        for name, environment in settings.environments.items()
    }
    return Freezes(store, clock=clock, zone=settings.zone, weekly=weekly)


def rehearsals_of(settings: Settings, store: Store, clock: Clock, process: str) -> RehearsalBook:
    """Return the rehearsals, with what each environment asks for."""
    wanted = {name: one.rehearsal for name, one in settings.environments.items()}
    held = timedelta(seconds=2 * settings.engine.lease)
    return RehearsalBook(store, clock=clock, owner=process, held=held, settings=wanted)


def _office_area(
    name: str, settings: EnvironmentSettings, environment: StepEnvironment, ports: Ports, registry: Mapping[str, Step]
) -> OfficeArea:
    rules = ApprovalRules(settings.approvals.weaker, settings.approvals.no_break_glass)
    return OfficeArea(
        name=name,
        settings=settings,
        ports=ports,
        planning=Planner(registry, environment, ports, rules),
        checklists=partial(available, settings.checklists, registry, rules),
    )


async def area_of(
    settings: Settings,
    environment: EnvironmentSettings,
    name: str,
    *,
    announcements: Announcements,
    authors: AuthorQuestions,
    clock: Clock,
    stack: AsyncExitStack,
) -> tuple[StepEnvironment, Ports]:
    """Open one environment: its settings as steps see them, and its ports."""
    control = SshHost(f"{name}-control", environment.control, clock)
    web = SshHost(f"{name}-web", environment.web, clock)
    for host in (control, web):
        stack.push_async_callback(_closed, host)
    ports = Ports(
        clock=clock,
        repository=GitRepository(settings.repository),
        code_host=GitHub(settings.repository),
        control_jobs=TmuxJobs(control, environment.control, clock),
        playbooks=AnsiblePlaybooks(control, environment.ansible),
        server=WebServer(web, environment.server),
        site=await stack.enter_async_context(SiteProbe(environment.site, clock)),
        platform=MetaspacePlatform(environment.site),
        announcements=announcements,
        authors=authors,
        pipelines=CircleCi(settings) if settings.circleci.token.get_secret_value() else None,
    )
    return step_environment(name, environment), ports


def step_environment(name: str, settings: EnvironmentSettings) -> StepEnvironment:
    """Return the settings that steps need, as plain values."""
    return StepEnvironment(
        name=name,
        master_branch=settings.master_branch,
        release_branch=settings.release_branch,
        required_ci=settings.required_ci,
        ending_programs=settings.server.ending_programs,
        watched_programs=settings.server.programs,
        ci_timeout=settings.ci_timeout,
        drain_timeout=settings.drain_timeout,
        settle_timeout=settings.settle_timeout,
        steady_after=settings.steady_after,
        poll=settings.poll,
        configuration_branch=settings.ansible.configuration_branch,
        remind_every=settings.approvals.remind,
        warn_after_down=settings.warn_after_down,
        pause_after_down=settings.pause_after_down,
    )


async def _closed(host: SshHost) -> None:
    with contextlib.suppress(ReleaseError):
        await host.close()
