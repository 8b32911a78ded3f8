"""What the world writes down: the bot's settings, the environment that holds its secrets, and the state file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sandbox.circleci import PROJECT
from sandbox.circleci import TOKEN as CIRCLE_TOKEN
from sandbox.furnishing import JWT_SECRET
from sandbox.github import SLUG
from sandbox.metaspace_data import PACE
from sandbox.postgres import DATABASE
from sandbox.postgres import PASSWORD as POSTGRES_PASSWORD
from sandbox.postgres import USER as DATABASE_USER
from sandbox.rabbitmq import PASSWORD, USER
from sandbox.slack import (
    ADA,
    ADMIN,
    APP_TOKEN,
    APPROVER,
    BOT,
    BOT_TOKEN,
    CHANNELS,
    DEV_CHANNEL,
    MEMBERS,
    RELEASER,
    SIGNING_SECRET,
    VIEWER,
)

if TYPE_CHECKING:
    from sandbox.metaspace_data import Data
    from sandbox.sshd import SshServer
    from sandbox.world import World

ROLES = {
    RELEASER: ["viewer", "releaser"],
    APPROVER: ["viewer", "releaser", "approver"],
    VIEWER: ["viewer"],
    ADMIN: ["viewer", "releaser", "approver", "admin"],
    ADA: ["viewer"],
}
"""Who is not here (the stranger, Bo) may do nothing, but answer what they are asked as an author."""


def bot_environment(environment: str = "prod", *, search_password: str = "") -> dict[str, str]:
    """Return the variables that hold the bot's secrets. ``search_password`` is that of an Elasticsearch that somebody gave."""
    prefix = f"RELEASEBOT_ENVIRONMENTS__{environment.upper()}__"
    site = f"{prefix}SITE__"
    given = {f"{prefix}ELASTICSEARCH__PASSWORD": search_password} if search_password else {}
    return {
        "RELEASEBOT_SLACK__BOT_TOKEN": BOT_TOKEN,
        "RELEASEBOT_SLACK__APP_TOKEN": APP_TOKEN,
        "RELEASEBOT_SLACK__SIGNING_SECRET": SIGNING_SECRET,
        "RELEASEBOT_REPOSITORY__GITHUB_TOKEN": "sandbox-github-token",
        "RELEASEBOT_CIRCLECI__TOKEN": CIRCLE_TOKEN,
        f"{site}JWT_SECRET": JWT_SECRET,
        f"{site}RABBITMQ_PASSWORD": PASSWORD,
        f"{prefix}METASPACE_DATABASE__PASSWORD": POSTGRES_PASSWORD,
        **given,
    }


def settings_yaml(world: World, *, replica: int = 0) -> str:
    """Return the bot's settings for this world. A further replica has a port and a mirror of its own."""
    made = settings(world)
    if replica:
        made["http"]["port"] = world.http_ports[replica]
        made["repository"]["mirror"] = str(world.settings_file.parent / f"metaspace-{replica}.git")
    return yaml.safe_dump(over(made, world.options.settings), sort_keys=False)


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put one nested mapping over another."""
    merged = dict(below)
    for key, value in above.items():
        there = merged.get(key)
        merged[key] = over(there, value) if isinstance(value, Mapping) and isinstance(there, Mapping) else value
    return merged


def settings(world: World) -> dict[str, Any]:
    """Return the same as values."""
    folder = world.settings_file.parent
    people = [
        {"slack": one.id, "name": one.name, "roles": roles, "email": one.email, "github": one.name}
        for one, roles in ROLES.items()
    ]
    return {
        "slack": {"mode": world.options.mode, "channel": DEV_CHANNEL, "base_url": world.slack.api_url, "dates": False},
        "http": {"host": "127.0.0.1", "port": world.http_port},
        "database": {"url": world.options.database or f"sqlite+aiosqlite:///{folder}/releasebot.sqlite"},
        "repository": {
            "url": str(world.git.origin),
            "mirror": str(folder / "metaspace.git"),
            "github": SLUG,
            "github_api": world.github.url,
            "issue_poll": 2,
            "github_web": "https://github.com" if world.options.repo else world.github.url,
        },
        "circleci": {"api": f"{world.circleci.url}/api/v2", "web": world.circleci.url, "project": PROJECT},
        "default_environment": world.options.environment,
        "environments": {world.options.environment: _environment(world)},
        "people": people,
    }


def secrets_of(world: World) -> dict[str, str]:
    """Return the variables that hold the secrets of this world's bot."""
    password = world.data.search.password if world.data else ""
    return bot_environment(world.options.environment, search_password=password)


def _environment(world: World) -> dict[str, Any]:
    return {
        **(_data(world, world.data) if world.data else {}),
        "title": "production",
        "pull_request_comments": True,  # off by default; here it is shown
        "poll": 1,
        "steady_after": 2,
        "control": _host(world.control) | {"jobs": str(world.git.control / "jobs")},
        "web": _host(world.web) | {"jobs": str(world.git.server / "jobs")},
        "server": {"checkout": str(world.git.checkout), "webapp_index": str(world.git.www / "index.html")},
        "ansible": _ansible(world),
        "site": {
            "url": world.supervisor.site_url,
            "graphql": world.supervisor.graphql_url,
            "contains": "METASPACE",
            "interval": 0.5,
            "admin_email": ADMIN.email,
            "rabbitmq_api": f"{world.rabbitmq.url}/api/",
            "rabbitmq_user": USER,
        },
    }


def _data(world: World, data: Data) -> dict[str, Any]:
    """Return what METASPACE's search, its database and its scripts are. Where they run they are reached without SSH."""
    login = {"user": data.search.user} if data.search.user else {}
    return {
        "elasticsearch": {"host": data.search.host, "port": data.search.port, **login},
        "metaspace_database": {
            "host": data.postgres.host,
            "port": data.postgres.port,
            "name": DATABASE,
            "user": DATABASE_USER,
        },
        # A job sees no environment but its own, so the script's pace is given with the program.
        "reindexing": {
            "workspace": str(world.git.server / "reindexing"),
            "python": ["env", f"{PACE}={data.pace}", sys.executable],
        },
    }


def _ansible(world: World) -> dict[str, Any]:
    return {
        "workspace": str(world.git.control / "workspace"),
        "folder": world.git.ansible_folder,
        "inventory": "env/prod",
        "binaries": str(Path(sys.executable).parent),
        "repository": str(world.git.origin),
        "configuration": str(world.git.configuration),
        "configuration_checkout": str(world.git.configuration_checkout),
        "vault_password_file": str(world.git.vault_password_file),
        "known_hosts": str(world.web.known_hosts),
        "ssh_key": str(world.web.client_key),
    }


def _host(server: SshServer) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "key": str(server.client_key),
        "known_hosts": str(server.known_hosts),
    }


def state_of(world: World) -> dict[str, Any]:
    """Return every address, id and key path of a world."""
    return {
        "pid": os.getpid(),
        "root": str(world.root),
        "scenario": world.scenario.name,
        "slack": _slack(world),
        "bot": _bot(world),
        "ssh": {
            name: _host(server) | {"pid": server.pid, "home": str(server.home)}
            for name, server in (("control", world.control), ("web", world.web))
        },
        "git": {
            "origin": str(world.git.origin),
            "configuration": str(world.git.configuration),
            "configuration_checkout": str(world.git.configuration_checkout),
            "checkout": str(world.git.checkout),
            "www": str(world.git.www),
            "ansible_folder": world.git.ansible_folder,
            "vault_password_file": str(world.git.vault_password_file),
        },
        "github": {"url": world.github.url, "repository": SLUG, "control": f"{world.github.url}/_control/"},
        "circleci": {"url": world.circleci.url, "control": f"{world.circleci.url}/_control/"},
        "site": {
            "url": world.supervisor.site_url,
            "graphql": world.supervisor.graphql_url,
            "jwt_secret": JWT_SECRET,
            "datasets": str(world.supervisor.datasets.file),
        },
        "supervisor": {
            "configuration": str(world.supervisor.configuration),
            "supervisorctl": str(world.supervisor.bin / "supervisorctl"),
        },
        "rabbitmq": {"url": world.rabbitmq.url, "user": USER, "password": PASSWORD},
        **(_data_state(world.data) if world.data else {}),
        "logs": str(world.root / "logs"),
    }


def _data_state(data: Data) -> dict[str, Any]:
    return {
        "elasticsearch": {"url": data.search.url, "user": data.search.user, "password": data.search.password},
        "metaspace_database": {"url": data.postgres.url},
        "pace": str(data.pace),
    }


def _slack(world: World) -> dict[str, Any]:
    return {
        "url": world.slack.url,
        "api_url": world.slack.api_url,
        "control": f"{world.slack.url}/_control/",
        "channel": DEV_CHANNEL,
        "channels": {name: key for key, name in CHANNELS.items()},
        "users": {one.name: one.id for one in MEMBERS},
        "bot_user": BOT,
        "bot_token": BOT_TOKEN,
        "app_token": APP_TOKEN,
        "signing_secret": SIGNING_SECRET,
    }


def _bot(world: World) -> dict[str, Any]:
    return {
        "settings": str(world.settings_file),
        "environment": secrets_of(world),
        "argv": [sys.executable, "-m", "bot.cli", "serve", "--config", str(world.settings_file)],
        "http": f"http://127.0.0.1:{world.http_port}",
        "pid": world.bot.pid if world.bot else None,
        "log": str(world.root / "logs" / "bot.log"),
    }
