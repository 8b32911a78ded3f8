"""`releasebot db`: the tables, and the log of who did what."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bot.cli import CONFIG, FAILURE
from bot.domain.errors import WrongUse

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
@CONFIG
def upgrade(config_path: Path) -> None:
    """Bring the database's tables to this version (serve does it too)."""
    from bot.engine.store import revision

    click.echo(f"The database is at revision {asyncio.run(revision(_url(config_path), upgrade=True))}.")


@db.command("current")
@CONFIG
def current(config_path: Path) -> None:
    """Print the revision of the database's tables."""
    from bot.engine.store import revision

    click.echo(asyncio.run(revision(_url(config_path), upgrade=False)) or "empty")


@db.command("verify")
@CONFIG
@click.option("--seen", default="", help="A hash that an earlier verify printed: it must still be part of the log.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(config_path: Path, seen: str, *, as_json: bool) -> None:
    """Read the whole log of events; name the first that was changed, taken out, put in or moved. Exit 1 when one was."""
    from bot.engine import audit

    found = asyncio.run(audit.verify(_url(config_path), seen=seen))
    if as_json:
        click.echo(
            json.dumps({"events": found.count, "newest": found.position, "hash": found.hash, "fault": found.fault})
        )
    elif found.fault:
        click.echo(f"BROKEN: {found.fault}. {found.count} events before it are as they were written.")
    else:
        click.echo(f"{found.count} events, unbroken. The newest is {found.position}, its hash {found.hash}.")
    sys.exit(FAILURE if found.fault else 0)


@db.command("export")
@CONFIG
@click.option(
    "--since", default="", help="Only what happened since then: a date or time in ISO form, UTC unless it says so."
)
@click.option("--release", default="", help="Only what concerns this release, R7 say.")
def export(config_path: Path, since: str, release: str) -> None:
    """Print the log of events as JSON Lines: who did what, when, asked by which message."""
    from bot.engine.readings import number_of

    asyncio.run(_print(_url(config_path), _time(since), number_of(release) if release else None))


async def _print(url: str, since: datetime | None, release: int | None) -> None:
    from bot.engine import audit

    async for line in audit.export(url, since=since, release=release):
        click.echo(json.dumps(line))


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUse(f"{text[:40]!r} is no date or time.", hint="--since 2026-11-24, or 2026-11-24T12:30") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _url(config_path: Path) -> str:
    from bot.settings import load

    return load(config_path).database.url.get_secret_value()
