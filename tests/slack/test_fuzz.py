"""Ten thousand requests that nobody should send, against the whole bot: its commands, database, runner, narrator and Git.

No error of the bot's, no shell and no SQL text with anything of theirs in it, nothing that Slack would act on, no secret.
A slice in every run; all of them by `make chaos`. The seed is printed, and ``CHAOS_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import io
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest
import structlog
import yaml
from aiohttp import web
from sqlalchemy import event

import commands
from bot import telemetry
from bot.checklists import catalogue, shipped
from bot.domain.asking import Reminding
from bot.domain.errors import ReleaseError, Unavailable
from bot.domain.readmodel import Person
from bot.domain.reminding import Pace, Quiet
from bot.engine import audit
from bot.engine.author_desk import AuthorDesk
from bot.engine.authors import Authors
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.exports import Exports
from bot.engine.freezes import Freezes
from bot.engine.index_log import IndexLog
from bot.engine.job_office import JobOffice
from bot.engine.lock_queue import LockQueue
from bot.engine.narrator import Narrator
from bot.engine.office_service import Area as OfficeArea
from bot.engine.office_service import OfficeService
from bot.engine.plans import Plans
from bot.engine.records import Ledger
from bot.engine.reminders import Reminders
from bot.engine.runner import Area, Runner
from bot.engine.schedule import Schedule
from bot.engine.store import Store
from bot.engine.ticks import Ticks
from bot.settings import PersonSettings, Settings, SlackSettings, parse
from bot.settings_example import EXAMPLE
from bot.slack.api import web_client
from bot.slack.app import EVENTS_PATH, SlackApp
from bot.slack.directory import SlackDirectory
from bot.slack.outbox import Outbox
from bot.slack.people import People
from bot.slack.quick import open_intake
from bot.slack.router import Router
from bot.slack.sender import Sender
from bot.slack.store import SqlMessages
from tests.commands.es_world import indices_of
from tests.engine.jobhost import JOB, JobHost, following
from tests.engine.rehearsing import Stage, rehearsals_on
from tests.slack.conftest import CHANNEL, QUICK
from tests.slack.fuzz import MARK, Case, Fuzz
from tests.slack.strict import BOT_TOKEN, SIGNING_SECRET, StrictSlack
from tests.steps.test_with_git import Origin, at
from tests.steps.worlds import ENVIRONMENT, REGISTRY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.steps.worlds import World

ALL, SLICE, BATCH = 10_000, 300, 25
ADMIN = Person("U05ADM", "Admin", frozenset({"admin"}))
CASES = ALL if os.environ.get("CHAOS") == "all" else SLICE
SEED = os.environ.get("CHAOS_SEED", "0")
COMMANDS = tuple(one.name for one in Router.discover(commands, channel=CHANNEL).commands)
CANARIES = {
    "jwt": "canary-jwt-5f1c90aa", "github": "canary-github-77aa01", "password": "canary-rabbit-3c3c19", "app": "canary-app-91ddee",
    "bot": BOT_TOKEN, "signing": SIGNING_SECRET,
}  # fmt: skip
ACTS = re.compile(r"<!(?:channel|here|everyone|subteam)|<[^<>]*" + MARK, re.IGNORECASE)
HANDLED = {"person_not_told", "message_refused", "request_not_answered"}  # where a case made its person or place up
MINUTES = dt.timedelta(minutes=5)
PATIENCE = 240  # seconds for a batch, on a machine that is busy
LATELY = 300  # messages of a channel; a batch changes fewer
NOWHERE = re.compile(r"thread_not_found|channel_not_found|user_not_in_channel|not_in_channel")
SHELLS = {"sh", "bash", "dash", "zsh", "env"}


@dataclass
class Seen:
    """What the bot did where a text must not get to be more than a text."""

    statements: set[str] = field(default_factory=set)
    processes: list[list[str]] = field(default_factory=list)
    executed: int = 0
    on: bool = True

    def statement(self, *args: Any) -> None:
        self.executed += 1
        self.statements.add(args[2])

    def audited(self, name: str, args: tuple[Any, ...]) -> None:
        if self.on and name == "subprocess.Popen":
            words = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
            self.processes.append([os.fsdecode(one) if not isinstance(one, str) else one for one in words])
        elif self.on and name in ("os.system", "os.exec"):
            self.processes.append(["sh", str(args)])

    def faults(self) -> list[str]:
        found = [f"SQL with a text of theirs: {one}" for one in self.statements if MARK.lower() in one.lower()]
        for argv in self.processes:
            theirs = [one for one in argv if MARK.lower() in one.lower()]
            if theirs and Path(argv[0]).name in SHELLS:
                found.append(f"a shell with a text of theirs: {argv}")
            found += [f"an option of theirs: {argv}" for one in theirs if one.startswith("-")]
        return found


@cache
def watched() -> Seen:
    """Audit hooks stay for the life of a process, so there is one."""
    seen = Seen(on=False)
    sys.addaudithook(seen.audited)
    return seen


@dataclass
class Bot:
    """The whole bot in HTTP mode, over real Git and a real database; the other systems are in memory."""

    app: SlackApp
    desk: Desk
    office: OfficeService
    store: Store
    origin: Origin
    world: World
    url: str
    log: io.StringIO

    async def keep_busy(self, fuzz: Fuzz) -> None:
        """See that there is a release to aim at, and let the cases know of it."""
        active = await self.desk.active()
        if not active:
            self.origin.commit(f"change-{fuzz.number}")
            self.origin("push", "--quiet", "origin", "master")
            self.world.green(self.origin.head("master"))
            for one in await self.office.queue.line("prod"):  # somebody of the cases waits for prod
                await self.office.queue.leave(one.id, by=ADMIN)
            with contextlib.suppress(ReleaseError):  # or has locked it
                await self.desk.unlock("prod", by=ADMIN)
            for freeze in await self.office.freezes.current("prod"):
                await self.office.freezes.lift("prod", number=freeze.id, by=ADMIN, reason="for the next release")
            prepared = await self.office.plan(environment="prod")
            started = await self.desk.start(
                plan=prepared.plan, checklist=prepared.checklist, by="U01REL", channel=CHANNEL
            )
            active = (started,)
        current = active[0].current
        fuzz.questions = [(one.id, one.release) for release in active for one in release.questions]
        fuzz.releases = [(active[0].id, current.key if current else "tag", current.attempt if current else 1)]

    async def drained(self) -> None:
        """Wait until everything that was taken is answered."""
        left, deadline = await self._left(), time.monotonic() + PATIENCE
        while left:
            assert time.monotonic() < deadline, f"not answered within {PATIENCE} s, seed {SEED}: {left[0]}"
            await asyncio.sleep(0.01)
            left = await self._left()

    async def _left(self) -> list[Any]:
        store: Any = self.app.intake._store
        return list(await (await store._do("SELECT id, body FROM intake WHERE finished IS NULL")).fetchall())


def settings(url: str) -> Settings:
    raw = yaml.safe_load(EXAMPLE)
    raw["slack"] |= {"channel": CHANNEL, "mode": "http", "bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET}
    raw["slack"]["app_token"] = CANARIES["app"]
    raw["database"]["url"] = url
    raw["repository"]["github_token"] = CANARIES["github"]
    site = raw["environments"]["prod"]["site"]
    site |= {"jwt_secret": CANARIES["jwt"], "rabbitmq_password": CANARIES["password"]}
    roles = {"U01REL": ("releaser",), "U02APP": ("approver", "releaser"), "U05ADM": ("admin",), "U03VIEW": ("viewer",)}
    raw["people"] = [{"slack": slack, "name": f"*{slack}*", "roles": list(held)} for slack, held in roles.items()]
    return parse(raw)


@contextlib.asynccontextmanager
async def whole_bot(slack: StrictSlack, folder: Path, log: io.StringIO) -> AsyncIterator[Bot]:
    url, clock = f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}", SystemClock()
    chosen = settings(url)
    telemetry.hide(CANARIES.values())
    origin = Origin(folder)
    origin.commit("base")
    origin("tag", "-a", "1.9.9", "-m", "> Release notes:")
    origin("branch", "release")
    origin("push", "--quiet", "--tags", "origin", "master", "release")
    world = at(origin, folder / "mirror")
    router = Router.discover(commands, channel=CHANNEL)
    async with (
        Store(url) as store,
        web_client(token=BOT_TOKEN, base_url=slack.api) as client,
        open_intake(url, store, clock=clock) as intake,
    ):
        event.listen(store.engine.sync_engine, "before_cursor_execute", watched().statement)
        outbox = Outbox(
            SqlMessages(store, clock=clock),
            Sender(client, clock=clock, settle=0.02),
            channel=CHANNEL,
            clock=clock,
            pace=QUICK,
        )
        freezes = Freezes(store, clock=clock, zone=chosen.zone)
        desk = Desk(store, clock=clock, skip_of=lambda step: REGISTRY[step].skip, demand_open=freezes.demand_open)
        area = OfficeArea("prod", chosen.environments["prod"], world.ports, world.planner, shipped)
        remind = Reminding(dt.time(10), chosen.zone, frozenset(range(5)), 5)
        asking = Authors(
            AuthorDesk(store, clock=clock), SlackDirectory(client, clock), outbox, chosen.people, clock, remind
        )
        people = People([PersonSettings(slack=one.slack, name=one.name, roles=one.roles) for one in chosen.people])
        driven = {"prod": Area(ENVIRONMENT, world.ports, None)}
        office = OfficeService(chosen, desk, router.commands, {"prod": area}, freezes, clock, asking)
        office.plans = Plans(store, clock=clock, catalogue=catalogue(REGISTRY), bell=desk.bell)
        office.exports = Exports(
            store,
            desk=desk,
            hosts={"prod": world.ports.code_host},
            ticks=Ticks(store, clock=clock, registry=REGISTRY, areas=driven, bell=desk.bell),
            clock=clock,
            interval=60,
        )
        office.indices = indices_of(desk, IndexLog(store, clock=clock), clock)
        office.queue = LockQueue(store, outbox, clock, MINUTES)
        pace = Pace(3600, Quiet(dt.time(20), dt.time(8), chosen.zone))
        office.reminders = Reminders(store, outbox, clock, pace, pace)
        office.schedule = Schedule(
            store, desk, outbox, clock, office.plan, people.person, before=MINUTES, grace=MINUTES
        )
        office.jobs = JobOffice(following(store, clock, desk.bell, JobHost(log=b"one\ntwo\n"), outbox))  # type: ignore[arg-type]
        await office.jobs.follow(JOB, environment="prod", by="U01REL")
        stage = Stage(missing=Unavailable("This machine has no sandbox."))
        office.rehearsals = rehearsals_on(store, outbox, clock, stage=stage)
        ledger = Ledger(store, clock=clock, owner="fuzzed", lease=30, bell=desk.bell)
        runner = Runner(
            ledger,
            registry=REGISTRY,
            areas=driven,
            clock=clock,
            bell=desk.bell,
            lease=30,
        )
        narrator = Narrator(ledger=desk, outbox=outbox, bell=desk.bell, channel=CHANNEL)
        app = SlackApp(
            settings=SlackSettings.model_validate(chosen.slack.model_dump() | {"base_url": slack.api}), client=client,
            store=intake, outbox=outbox, router=router, people=people, office=office,
        )  # fmt: skip
        stop = asyncio.Event()
        async with _served(app) as slack.http:
            tasks = [asyncio.ensure_future(one) for one in (app.run(None), runner.run(stop), narrator.run(stop))]
            try:
                yield Bot(app, desk, office, store, origin, world, url, log)
            finally:
                stop.set()
                desk.bell.ring()
                await asyncio.wait(tasks[1:], timeout=30)
                tasks[0].cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _served(app: SlackApp) -> AsyncIterator[str]:
    served = web.Application()
    app.add_route(served)
    runner = web.AppRunner(served, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{EVENTS_PATH}"
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    telemetry.set_up_logs("info", stream=stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


async def send(slack: StrictSlack, session: aiohttp.ClientSession, case: Case) -> int:
    body = case.raw
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if case.via == "events_api":
        body, headers["Content-Type"] = json.dumps(case.payload).encode(), "application/json"
    elif case.via == "slash_commands":
        fields = {key: value if isinstance(value, str) else json.dumps(value) for key, value in case.payload.items()}
        body = urlencode(fields, errors="replace").encode()
    elif case.via == "interactive":
        body = urlencode({"payload": json.dumps(case.payload)}).encode()
    if case.signed:
        headers |= slack.signature(body.decode("utf-8", "surrogateescape")) if _utf8(body) else {}
    async with session.post(slack.http, data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


def _utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def said(slack: StrictSlack) -> Iterator[str]:
    """Everything that the bot said since the last look, as Slack would read it."""
    for channel in slack.messages.values():
        for one in channel[-LATELY:]:
            if one["user"] == "U0BOT":
                yield from _texts(one)
    for one in [*slack.whispers, *slack.views.values()]:
        yield from _texts(one)
    slack.whispers.clear()
    slack.views.clear()


def _texts(value: Any) -> Iterator[str]:
    """Texts that Slack reads as mrkdwn: the message's own and those of text objects, not plain ones nor values."""
    if isinstance(value, dict):
        if value.get("type") == "plain_text":
            return
        if isinstance(value.get("text"), str):
            yield value["text"]
        for key, inner in value.items():
            if key not in ("value", "private_metadata", "initial_value", "metadata"):
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@dataclass
class Tally:
    """What came of the cases; `faults` names the first that went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    texts: int = 0

    def faults(self, slack: StrictSlack, log: io.StringIO, answered: list[tuple[Case, int]]) -> Iterator[str]:
        """Look at all that a batch left behind."""
        self.counts.update(f"{case.kind} {status}" for case, status in answered)
        yield from watched().faults()
        words, lines = list(said(slack)), log.getvalue().splitlines()
        log.seek(0)
        log.truncate()
        self.texts += len(words)
        yield from (f"Slack would act on: {text}" for text in words if ACTS.search(text))
        latest = [channel[-LATELY:] for channel in slack.messages.values()]
        everything = "\n".join([*lines, *words, json.dumps(latest)])
        yield from (f"the {name} secret was shown" for name, one in CANARIES.items() if one in everything)
        yield from (f"an error of ours: {line}" for line in lines if _is_error(line))
        yield from (f"answered {status}: {case}" for case, status in answered if status not in (200, 400, 401))


def _is_error(line: str) -> bool:
    entry = json.loads(line)
    made_up = entry["event"] in HANDLED and NOWHERE.search(entry["why"])
    return "exception" in entry or (entry["level"] in ("error", "critical") and not made_up)


@pytest.mark.timeout(7200)
async def test_nothing_that_people_send_is_more_than_text(
    slack: StrictSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(telemetry, "_scrubber", telemetry.Scrubber())
    slack.channels[CHANNEL] |= {"U05ADM"}
    fuzz, tally, seen = Fuzz(SEED, COMMANDS), Tally(), watched()
    seen.statements, seen.processes, seen.executed, seen.on = set(), [], 0, True
    with logged() as log:
        async with whole_bot(slack, tmp_path, log) as bot, aiohttp.ClientSession() as session:
            while fuzz.number < CASES:
                await bot.keep_busy(fuzz)
                cases = [fuzz.case() for _ in range(min(BATCH, CASES - fuzz.number))]
                statuses = await asyncio.gather(*(send(slack, session, case) for case in cases))
                await bot.drained()
                answered = list(zip(cases, statuses, strict=True))
                for fault in tally.faults(slack, log, answered):
                    pytest.fail(f"seed {SEED}, cases {fuzz.number - len(cases) + 1} to {fuzz.number}: {fault[:5000]}")
            tally.counts["releases"] = len(await bot.desk.history("prod", limit=ALL))
            verdict = await audit.verify(bot.url)
    seen.on = False
    assert verdict.fault == ""
    assert tally.counts["command 200"] > CASES // 5
    with capsys.disabled():
        sys.stdout.write(
            f"\nfuzz: CHAOS_SEED={SEED}, {CASES} cases: {dict(sorted(tally.counts.items()))}; "
            f"SQL statements: {seen.executed}, {len(seen.statements)} different; processes: {len(seen.processes)}; "
            f"texts said: {tally.texts}; events in the log: {verdict.count}\n"
        )
