"""Secrets that must show up nowhere: every secret setting has a value of its own, and everything that the bot needs fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import web

from bot.settings import load, secrets
from bot.settings_example import EXAMPLE
from tests import canaries
from tests.slack import strict_web
from tests.slack.conftest import CHANNEL
from tests.slack.strict import BOT_USER, StrictSlack, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VALUES = {
    "RELEASEBOT_SLACK__BOT_TOKEN": "canary.slack.bot.5f1c90aa",
    "RELEASEBOT_SLACK__APP_TOKEN": "canary.slack.app.77aa01bc",
    "RELEASEBOT_SLACK__SIGNING_SECRET": "canary.slack.signing.3c3c19",
    "RELEASEBOT_REPOSITORY__GITHUB_TOKEN": "canary.github.91ddee02",
    "RELEASEBOT_ENVIRONMENTS__PROD__SITE__JWT_SECRET": "canary.jwt.secret.0f0f77",
    "RELEASEBOT_ENVIRONMENTS__PROD__SITE__RABBITMQ_PASSWORD": "canary.rabbitmq.4412ab",
    "RELEASEBOT_ENVIRONMENTS__PROD__ELASTICSEARCH__PASSWORD": "canary.elasticsearch.7e70c1",
    "RELEASEBOT_ENVIRONMENTS__PROD__METASPACE_DATABASE__PASSWORD": "canary.postgres.52b9d4",
}
KEY = "canary.key.of.a.host.8aa1"
DATABASE = "canary.database.password.6d6d"
EVERY = {**VALUES, "key": KEY, "database": DATABASE}


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """A server that lets nobody in and repeats what it was shown, as careless servers do."""

    async def handle(request: web.Request) -> web.Response:
        told = {
            "message": f"Bad credentials: {dict(request.headers)}",
            "errors": [{"message": f"jwt {dict(request.headers)}"}],
        }
        if request.path.endswith("/info/refs"):
            return web.Response(status=403, text=f"no entry with {dict(request.headers)}")
        return web.json_response(told, status=401)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def closed() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StrictSlack]:
    monkeypatch.setattr(strict_web, "BOT_TOKEN", VALUES["RELEASEBOT_SLACK__BOT_TOKEN"])
    monkeypatch.setattr(strict_web, "APP_TOKEN", VALUES["RELEASEBOT_SLACK__APP_TOKEN"])
    world = StrictSlack()
    world.channels = {CHANNEL: {BOT_USER, "U01REL", "U02ADM"}}
    async with world.serve():
        yield world


def settings(folder: Path, *, slack: str, web: str, port: int) -> Path:
    """Everything in place, and nothing that answers well. The keys of the hosts are files with nonsense in them."""
    raw: dict[str, Any] = yaml.safe_load(EXAMPLE)
    (folder / "key").write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\n-----END OPENSSH PRIVATE KEY-----\n")
    (folder / "key").chmod(0o600)
    (folder / "known_hosts").write_text("")
    raw["slack"] |= {"channel": CHANNEL, "base_url": slack}
    raw["http"] = {"port": 0}
    raw["log_level"] = "debug"
    raw["database"]["url"] = f"sqlite+aiosqlite:///{folder}/bot.sqlite"
    raw["repository"] |= {
        "url": f"{web}/metaspace.git",
        "mirror": str(folder / "mirror"),
        "github_api": web,
        "github_web": web,
    }
    raw["repository"] |= {"ssh_key": None, "known_hosts": None}
    prod = raw["environments"]["prod"]
    for host in ("control", "web"):
        prod[host] |= {
            "host": "127.0.0.1",
            "port": port,
            "key": str(folder / "key"),
            "known_hosts": str(folder / "known_hosts"),
        }
    prod["site"] |= {"url": f"{web}/", "graphql": f"{web}/graphql", "rabbitmq_api": f"{web}/rabbit"}
    raw["people"] = [
        {"slack": "U01REL", "name": "Ada", "roles": ["releaser"]},
        {"slack": "U02ADM", "name": "Grace", "roles": ["admin"]},
    ]
    raw["groups"] = [{"slack": "S01", "roles": ["viewer"]}]
    (folder / "settings.yml").write_text(yaml.safe_dump(raw))
    return folder / "settings.yml"


def test_there_is_a_canary_for_every_secret_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RELEASEBOT_DATABASE__URL", f"postgresql+asyncpg://bot:{DATABASE}@127.0.0.1/x")
    found = set(secrets(load(settings(tmp_path, slack="http://x/", web="http://x", port=1))))
    assert found == {*VALUES.values(), f"postgresql+asyncpg://bot:{DATABASE}@127.0.0.1/x"}


async def called(config: Path, *arguments: str, **more: str) -> bytes:
    """Run the command line as a process; return all that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", *arguments, "--config", str(config), env={**os.environ, **VALUES, **more},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    with canaries.Processes(process.pid) as seen:
        said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode in (0, 1, 2), said
    assert canaries.in_lines(seen.lines, EVERY) == []
    return said


@pytest.mark.timeout(600)
async def test_no_secret_is_in_any_word_of_the_command_line(slack: StrictSlack, tmp_path: Path, closed: int) -> None:
    async with echoing() as web_address:
        config = settings(tmp_path, slack=slack.api, web=web_address, port=closed)
        said = await called(config, "doctor")
        for failed in ("GitHub", "Git", "SSH", "site", "GraphQL"):
            assert f"FAILED {failed}".encode() in said, said.decode()
        away = f"postgresql+asyncpg://bot:{DATABASE}@127.0.0.1:{closed}/releasebot"
        for command in (("serve",), ("db", "verify")):
            told = await called(config, *command, RELEASEBOT_DATABASE__URL=away)
            assert b"database does not answer" in told, told.decode()
            said += told
        said += await called(config, "serve", RELEASEBOT_DATABASE__URL=f"mysql://bot:{DATABASE}@h/x")
        said += await called(config, "config", "check", RELEASEBOT_HTTP__PORT="no number")
    assert canaries.shown("the command line's words", said, EVERY) == []
    assert canaries.in_files(tmp_path, EVERY, but={tmp_path / "key"}) == []


def _lasting_git(folder: Path) -> Path:
    """Return a folder with a Git that stays for a moment, so that its command line is seen also on a busy machine."""
    made = folder / "bin"
    made.mkdir(exist_ok=True)
    script = made / "git"
    script.write_text(f'#!/bin/sh\nsleep 0.3\nexec {shutil.which("git")} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return made


@contextlib.asynccontextmanager
async def serving(config: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the bot as a process of its own."""
    with log.open("wb") as file:
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot.cli", "serve", "--config", str(config)),
            env={**os.environ, **VALUES, "PATH": f"{_lasting_git(config.parent)}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield bot
    finally:
        if bot.returncode is None:
            bot.kill()
            await bot.wait()


async def make_trouble(slack: StrictSlack, log: Path) -> None:
    """Ask for everything that fails, and let Slack fail too."""
    asked = ("review", "start", "review 1.9.9 master", "lock everything", "status", "unlock")
    for number, text in enumerate(asked, 1):
        await (await slack.command("U01REL", text, channel=CHANNEL)).acknowledged()
        await until(lambda n=number: _answers(slack) >= n, within=60)
    slack.trouble.errors["chat.postMessage"] = ["invalid_auth", "fatal_error", "not_in_channel"]
    slack.trouble.lost["chat.postMessage"] = 1
    await (await slack.command("U02ADM", "lock once more", channel=CHANNEL)).acknowledged()
    await until(lambda: len(slack.trouble.errors["chat.postMessage"]) < 3, within=60)
    await slack.deliver("interactive", {"type": "block_actions", "actions": ["?"], "user": 7})
    slack.trouble.down = True
    await slack.cut()
    await until(lambda: b"slack_not_connected" in log.read_bytes(), within=60)


@pytest.mark.timeout(600)
async def test_no_secret_is_in_logs_messages_database_or_processes_of_a_bot_in_trouble(
    slack: StrictSlack, tmp_path: Path, closed: int
) -> None:
    async with echoing() as web_address:
        config = settings(tmp_path, slack=slack.api, web=web_address, port=closed)
        async with serving(config, tmp_path / "log") as bot:
            with canaries.Processes(bot.pid) as seen:
                await until(lambda: slack.sockets, within=120)
                await make_trouble(slack, tmp_path / "log")
                bot.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(bot.wait(), 60) == 0
    assert len(seen.lines) > 1, "Git was seen at work"
    assert canaries.in_lines(seen.lines, EVERY) == []
    said = json.dumps([slack.messages, slack.whispers, slack.views, [call[2] for call in slack.calls]]).encode()
    apart = {name: one for name, one in EVERY.items() if "APP_TOKEN" not in name}  # it is an argument of one call
    assert canaries.shown("Slack", said, apart) == []
    assert canaries.in_files(tmp_path, EVERY, but={tmp_path / "key"}) == []


def _answers(slack: StrictSlack) -> int:
    shown = [one for one in slack.messages[CHANNEL] if one["user"] == BOT_USER]
    return len(shown) + len(slack.whispers) + len(slack.views)
