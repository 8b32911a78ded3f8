"""The embedded world: everything that a release touches, on 127.0.0.1, below one temporary folder that goes with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from bot.domain.errors import ReleaseError, WrongUse
from sandbox.circleci import CircleCi
from sandbox.github import GitHub
from sandbox.gitworld import CHECKOUT, GitWorld, Source
from sandbox.metaspace_data import PACE, Data
from sandbox.options import Options
from sandbox.processes import Child, Processes, free_port, until
from sandbox.rabbitmq import RabbitMq
from sandbox.rendering import secrets_of, settings_yaml, state_of
from sandbox.scenarios import history_of, scenario
from sandbox.slack import LocalSlack
from sandbox.sshd import SshServer
from sandbox.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from sandbox.elasticsearch import Elasticsearch
    from sandbox.httpserver import HttpServer
    from sandbox.people import People
    from sandbox.postgres import Postgres

BOT_READY = 180.0  # seconds, on a busy machine
DEEP = 24  # characters
PREFIX = "metaspace-sandbox-"  # of every world's folder
MOST_BOTS = 4
SETTLED = 10.0  # seconds for the bot to end by itself when asked to


class World:
    """One world. The bot itself is no part of it until `start_bot` is called."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.scenario = scenario(self.options.scenario)
        self.root = _temporary_folder()
        self.processes = Processes(self.root)
        self.bot: Child | None = None
        self.replicas: dict[int, Child] = {}
        """Further bots beside `bot`, by their numbers (from 1)."""
        self.http_ports = [free_port() for _ in range(MOST_BOTS)]
        self.http_port = self.http_ports[0]
        self.settings_file = self.root / "bot" / "settings.yml"
        session = {"LANG": "C.UTF-8", "TMPDIR": str(self.root / "tmp"), "TMUX_TMPDIR": str(self.root / "tmp")}
        self.control = SshServer(self.root / "control-ssh", environment=session, mark=self.root)
        asked = self.options
        source = _source(asked)
        self.data = self._data() if self.scenario.search and not source else None
        """METASPACE's database and search indices, in scenarios that have them (a real history's code cannot fill them)."""
        on_web = {**session, PACE: str(self.data.pace)} if self.data else session
        self.web = SshServer(self.root / "web-ssh", environment=on_web, mark=self.root)
        engine = self.data.variables if self.data else {}
        self.git = GitWorld(self.root, chosen=self.scenario, source=source, engine=engine)
        self.supervisor = Supervisor(
            self.processes,
            self.root / "supervisor",
            checkout=self.git.checkout,
            www=self.git.www,
            bin_folder=self.web.bin,
            pace=asked.pace,
            search=self.data is not None,
        )
        self.rabbitmq = RabbitMq(self.supervisor.datasets)
        self.github = GitHub(self.git.origin)
        self.circleci = CircleCi(self.github.forge, self.github.ci)
        request_url = f"http://127.0.0.1:{self.http_port}/slack/events" if asked.mode == "http" else ""
        self.slack = LocalSlack(self.processes, self.root / "slack", request_url=request_url, port=asked.slack_port)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self.root, ignore_errors=True)
        await self._stack.enter_async_context(self.processes)
        try:
            await self._bring_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.options.state is not None:
            self.options.state.unlink(missing_ok=True)
        await self._stack.aclose()

    @property
    def search(self) -> Elasticsearch:
        """The search's server; `WrongUse` in a scenario without."""
        return self._there().search

    @property
    def postgres(self) -> Postgres:
        """METASPACE's database; `WrongUse` in a scenario without."""
        return self._there().postgres

    @property
    def people(self) -> People:
        """METASPACE's own people, who go on working; `WrongUse` in a scenario without."""
        return self._there().people

    async def start_bot(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the bot as a process of its own, with this world's settings, and wait until it says that it is ready.

        ``environment`` is added to what it gets.
        """
        self.bot = await self._start("bot", self.settings_file, environment or {})
        await until(self.bot_ready, what="the bot", deadline=BOT_READY, child=self.bot)
        self._write_state()

    async def start_replica(self, number: int, environment: Mapping[str, str] | None = None) -> None:
        """Start a further bot on the same database (PostgreSQL), with a port, a mirror and a log of its own."""
        file = self.settings_file.with_name(f"settings-{number}.yml")
        file.write_text(settings_yaml(self, replica=number), encoding="utf-8")
        child = await self._start(f"bot-{number}", file, environment or {})
        self.replicas[number] = child
        await until(lambda: self.bot_ready(number), what=child.name, deadline=BOT_READY, child=child)

    async def _start(self, name: str, settings: Path, environment: Mapping[str, str]) -> Child:
        argv = [sys.executable, "-m", "bot.cli", "serve", "--config", str(settings)]
        own = {**secrets_of(self), **environment}
        return await self.processes.start(name, argv, env=own, cwd=self.settings_file.parent)

    async def stop_bot(self, *, kill: bool = False) -> None:
        """End the bot as a system would (SIGTERM), or with ``kill`` as a power cut would (SIGKILL)."""
        if kill:
            await self.kill(0)
        bot, self.bot = self.bot, None
        if bot is not None:
            await self.processes.stop(bot, grace=SETTLED)

    async def kill(self, replica: int) -> None:
        """End a bot as a power cut would, also one that is stopped (SIGSTOP)."""
        child = self.bot if replica == 0 else self.replicas.pop(replica, None)
        self.bot = None if replica == 0 else self.bot
        if child is not None and child.running:
            child.process.kill()
            await child.process.wait()
        if child is not None:
            await self.processes.stop(child)

    async def bot_ready(self, replica: int = 0) -> bool:
        """Ask the bot, or a replica, whether it is ready."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.http_ports[replica]}/readyz") as response,
            ):
                return response.status == 200  # noqa: PLR2004  # HTTP's OK
        except aiohttp.ClientError:
            return False

    def state(self) -> dict[str, Any]:
        """Return every address, id and key path, as JSON knows them."""
        return state_of(self)

    async def _bring_up(self) -> None:
        (self.root / "tmp").mkdir()
        await _together(
            self._enter(self.control),
            self._enter(self.web),
            self._enter(self.rabbitmq),
            self._enter(self.github),
            self._enter(self.circleci),
            self._enter(self.slack),
            self._server(),
            self.git.build_configuration(self.web, build_seconds=self.options.build_seconds),
        )
        await self._set_scene()
        self.settings_file.parent.mkdir(mode=0o700)
        await self.git.seed_mirror(self.settings_file.parent / "metaspace.git")
        self.settings_file.write_text(settings_yaml(self), encoding="utf-8")
        self._write_state()

    async def _enter(self, part: SshServer | HttpServer | LocalSlack | Supervisor | Data) -> None:
        await self._stack.enter_async_context(part)

    async def _server(self) -> None:
        if self.data is None:
            await self.git.build_code()
        else:
            if os.geteuid() == 0:
                self.root.chmod(0o711)  # PostgreSQL's account has to reach its own folder in it
            await _together(self.git.build_code(), self._enter(self.data))
            await self.data.fill()
        await self._enter(self.supervisor)

    def _data(self) -> Data:
        checkout = self.root / CHECKOUT
        return Data(self.processes, self.root, checkout=checkout, datasets=self.options.datasets)

    def _there(self) -> Data:
        if self.data is None:
            raise WrongUse(f"Scenario {self.scenario.name} has no search indices.", hint="one with search=True")
        return self.data

    async def _set_scene(self) -> None:
        if not self.git.source:
            self.github.tell(history_of(self.scenario))
        head = await self.git.head("master")
        for job, state in self.scenario.ci.items():
            self.github.ci.set(head, job, state)
        if self.scenario.queued or self.scenario.annotating:
            self.supervisor.datasets.fill(queued=self.scenario.queued, annotating=self.scenario.annotating)

    def _write_state(self) -> None:
        target = self.options.state
        if target is not None:
            fresh = target.with_name(f".{target.name}.new")
            fresh.write_text(json.dumps(self.state(), indent=2), encoding="utf-8")
            fresh.chmod(0o600)
            fresh.replace(target)


def _source(asked: Options) -> Source | None:
    return Source(asked.repo, asked.release, asked.master, asked.live, asked.untagged) if asked.repo else None


def _temporary_folder() -> Path:
    """Make the world's folder. Sockets lie in it, whose paths may have 107 characters, so it must not be deep."""
    base = Path(tempfile.gettempdir()).resolve()
    deep = len(str(base)) > DEEP
    return Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp" if deep else base)).resolve()  # noqa: S108


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all at once; the first that fails ends the others, and its error is the one that is told."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except BaseExceptionGroup as errors:
        known, _ = errors.split(ReleaseError)
        if known is None:
            raise
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from errors
