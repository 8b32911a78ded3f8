"""The composition root: what serves releases, put together over the real world of every environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from typing import TYPE_CHECKING

from bot.areas import area_of, index_area, office_area, workshop
from bot.checklists import catalogue
from bot.domain.asking import Reminding
from bot.domain.reminding import Pace, Quiet
from bot.engine.author_desk import AuthorDesk
from bot.engine.authors import Authors
from bot.engine.desk import Desk
from bot.engine.exports import Exports
from bot.engine.following import Following
from bot.engine.freezes import Freezes
from bot.engine.index_log import IndexLog
from bot.engine.index_service import IndexService
from bot.engine.job_office import JobOffice
from bot.engine.lock_queue import LockQueue
from bot.engine.narrator import Narrator
from bot.engine.office_service import OfficeService
from bot.engine.plans import Plans
from bot.engine.records import Ledger
from bot.engine.rehearsal_book import RehearsalBook
from bot.engine.rehearsal_order import Orders
from bot.engine.rehearsing import Rehearsals
from bot.engine.reminders import Reminders
from bot.engine.runner import Area, Runner
from bot.engine.schedule import Schedule
from bot.engine.ticks import Ticks
from bot.engine.watch import Watch
from bot.scheduler import Chore, Scheduler
from bot.settings import DAYS
from bot.slack.announcements import SlackAnnouncements
from bot.steps import registry as steps
from integrations.rehearsal import ChildRehearser

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from bot.engine.authors import Directory
    from bot.engine.bell import Bell
    from bot.engine.step import Step, StepEnvironment
    from bot.engine.store import Store
    from bot.ports import Clock, Ports
    from bot.settings import Settings
    from bot.slack.outbox import Outbox
    from bot.slack.people import People
    from bot.slack.router import Router

REMINDERS, SOON = 60.0, 2.0  # seconds between two looks at what is due some day, and at what people wait for
REHEARSALS = 10.0  # seconds between two looks for rehearsals whose bot is gone


@dataclass(frozen=True, slots=True)
class Ground:
    """What every part stands on. ``process`` is the name under which this bot holds leases."""

    settings: Settings
    store: Store
    outbox: Outbox
    clock: Clock
    people: People
    process: str


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


async def engine_of(ground: Ground, router: Router, directory: Directory, stack: AsyncExitStack) -> Engine:
    """Put the engine together over the real world of every environment."""
    settings, store, clock, registry = ground.settings, ground.store, ground.clock, steps.load()
    freezes, book = _freezes(ground), _rehearsal_book(ground)
    desk = _desk(ground, registry, freezes, book)
    author_desk = AuthorDesk(store, clock=clock)
    areas = await _areas(ground, author_desk, stack)
    driven = _driven(ground, areas, desk.bell)
    ports = {name: of_area for name, (_, of_area) in areas.items()}
    following = _following(ground, ports, desk.bell)
    office = OfficeService(
        settings=settings,
        desk=desk,
        commands=router.commands,
        areas={
            name: office_area(name, settings.environments[name], environment, of_area, registry)
            for name, (environment, of_area) in areas.items()
        },
        freezes=freezes,
        authors=Authors(author_desk, directory, ground.outbox, settings.people, clock, _reminding(settings)),
        rehearsals=_rehearsals(ground, book, ports),
        plans=Plans(store, clock=clock, catalogue=catalogue(registry), bell=desk.bell),
        exports=_exports(ground, desk, driven, registry),
        indices=_indices(ground, desk, ports, following),
        clock=clock,
        queue=LockQueue(store, ground.outbox, clock, timedelta(seconds=settings.locks.claim)),
        reminders=_reminders(ground),
        jobs=JobOffice(following),
    )
    office.schedule = _schedule(ground, desk, office)
    lease = settings.engine.lease
    ledger = Ledger(
        store, clock=clock, owner=ground.process, lease=lease, bell=desk.bell, demand_open=freezes.demand_open
    )
    if store.sqlite:  # the lock file says that no other process drives
        await ledger.free_all()
        await office.exports.free_all()
        await office.jobs.following.free_all()
    return Engine(
        desk=desk,
        runner=Runner(ledger, registry=registry, areas=driven, clock=clock, bell=desk.bell, lease=lease),
        narrator=_narrator(ground, desk),
        office=office,
        outbox=ground.outbox,
        rehearsals=office.rehearsals,
        scheduler=Scheduler(_chores(settings, office)),
    )


def _desk(ground: Ground, registry: Mapping[str, Step], freezes: Freezes, book: RehearsalBook) -> Desk:
    def skip_of(step: str) -> str:
        return registry[step].skip if step in registry else "never"

    return Desk(
        ground.store,
        clock=ground.clock,
        skip_of=skip_of,
        demand_open=freezes.demand_open,
        demand_rehearsed=book.demand,
    )


async def _areas(
    ground: Ground, author_desk: AuthorDesk, stack: AsyncExitStack
) -> dict[str, tuple[StepEnvironment, Ports]]:
    announcements = SlackAnnouncements(ground.outbox)
    return {
        name: await area_of(
            ground.settings,
            one,
            name,
            announcements=announcements,
            authors=author_desk,
            clock=ground.clock,
            stack=stack,
        )
        for name, one in ground.settings.environments.items()
    }


def _driven(ground: Ground, areas: Mapping[str, tuple[StepEnvironment, Ports]], bell: Bell) -> dict[str, Area]:
    intervals = {name: one.site.interval for name, one in ground.settings.environments.items()}
    return {
        name: Area(environment, ports, Watch(ground.store, clock=ground.clock, interval=intervals[name], bell=bell))
        for name, (environment, ports) in areas.items()
    }


def _rehearsals(ground: Ground, book: RehearsalBook, ports: Mapping[str, Ports]) -> Rehearsals:
    return Rehearsals(
        book=book,
        rehearser=ChildRehearser(),
        outbox=ground.outbox,
        clock=ground.clock,
        channel=ground.settings.slack.channel,
        orders=Orders(ground.settings, ports).order,
        alone=ground.store.sqlite,
    )


def _exports(ground: Ground, desk: Desk, driven: Mapping[str, Area], registry: Mapping[str, Step]) -> Exports:
    return Exports(
        ground.store,
        desk=desk,
        hosts={name: one.ports.code_host for name, one in driven.items()},
        ticks=Ticks(ground.store, clock=ground.clock, registry=registry, areas=driven, bell=desk.bell),
        clock=ground.clock,
        interval=ground.settings.repository.issue_poll,
    )


def _following(ground: Ground, ports: Mapping[str, Ports], bell: Bell) -> Following:
    environments = ground.settings.environments
    workshops = {name: workshop(environments[name], of_area) for name, of_area in ports.items()}
    return Following(ground.store, ground.outbox, ground.clock, bell, workshops)


def _indices(ground: Ground, desk: Desk, ports: Mapping[str, Ports], following: Following) -> IndexService:
    """Return the search indices of every environment, as commands ask for them."""
    areas = {name: index_area(name, one, ports[name]) for name, one in ground.settings.environments.items()}
    log = IndexLog(ground.store, clock=ground.clock)
    return IndexService(areas, desk=desk, log=log, clock=ground.clock, follower=following)


def _schedule(ground: Ground, desk: Desk, office: OfficeService) -> Schedule:
    wanted = ground.settings.schedule
    return Schedule(
        ground.store,
        desk,
        ground.outbox,
        ground.clock,
        plan=office.plan,
        person=ground.people.person,
        before=timedelta(seconds=wanted.remind_before),
        grace=timedelta(seconds=wanted.grace),
    )


def _narrator(ground: Ground, desk: Desk) -> Narrator:
    return Narrator(
        ledger=desk,
        outbox=ground.outbox,
        bell=desk.bell,
        channel=ground.settings.slack.channel,
        approvers=lambda role: [one.slack for one in ground.people.with_role(role)],
    )


def _chores(settings: Settings, office: OfficeService) -> list[Chore]:
    return [
        Chore("reminders", REMINDERS, office.authors.remind),
        Chore("waiting", REMINDERS, office.reminders.turn),
        Chore("queue", SOON, office.queue.turn),
        Chore("jobs", SOON, office.jobs.following.watch),
        Chore("schedule", SOON, office.schedule.turn),
        Chore("rehearsals", REHEARSALS, office.rehearsals.look_after),
        Chore("issues", settings.repository.issue_poll / 2, office.exports.turn),
    ]


def _reminding(settings: Settings) -> Reminding:
    """Return when authors are reminded, as plain values."""
    wanted = settings.authors
    days = frozenset(DAYS.index(day) for day in wanted.working_days)
    return Reminding(time.fromisoformat(wanted.remind_at), settings.zone, days, wanted.reminders)


def _reminders(ground: Ground) -> Reminders:
    """Return the reminders of what waits for people, at the settings' pace."""
    settings = ground.settings
    wanted = settings.reminders
    hours = time.fromisoformat(wanted.quiet_from), time.fromisoformat(wanted.quiet_until)
    quiet = Quiet(*hours, settings.zone)
    return Reminders(
        ground.store, ground.outbox, ground.clock, Pace(wanted.every, quiet), Pace(settings.locks.remind, quiet)
    )


def _freezes(ground: Ground) -> Freezes:
    """Return the freezes, with the settings' weekly windows."""
    settings = ground.settings
    weekly = {
        name: [one.window(settings.zone) for one in environment.freezes]
        for name, environment in settings.environments.items()
    }
    return Freezes(ground.store, clock=ground.clock, zone=settings.zone, weekly=weekly)


def _rehearsal_book(ground: Ground) -> RehearsalBook:
    """Return the rehearsals, with what each environment asks for."""
    settings = ground.settings
    wanted = {name: one.rehearsal for name, one in settings.environments.items()}
    held = timedelta(seconds=2 * settings.engine.lease)
    return RehearsalBook(ground.store, clock=ground.clock, owner=ground.process, held=held, settings=wanted)
