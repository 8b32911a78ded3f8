"""`releasebot runbook`: what is left of a release, from the database, when Slack or the bot is down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.domain.errors import Conflict, WrongUse

if TYPE_CHECKING:
    from bot.domain.readmodel import ReleaseView
    from bot.settings import Settings


@click.command()
@click.argument("release", default="")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="RELEASEBOT_CONFIG",
    default="settings.yml",
    show_default=True,
    help="Settings file; also RELEASEBOT_CONFIG.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
def runbook(release: str, config_path: Path, output: Path | None) -> None:
    """Print what is left of RELEASE (or of the one that runs) as commands to type. Only reads; the bot may run."""
    from bot.domain.runbook import of_release
    from bot.settings import load

    text = of_release(asyncio.run(_read(load(config_path), release)))
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"Cannot write {output}: {error.strerror}.", hint="another file") from error
    click.echo(f"{output} written.")


async def _read(settings: Settings, release: str) -> ReleaseView:
    from bot.engine.clock import SystemClock
    from bot.engine.desk import Desk
    from bot.engine.store import Store

    async with Store(settings.database.url.get_secret_value(), look=True) as store:
        desk = Desk(store, clock=SystemClock())
        if release:
            return await desk.release(release)
        running = await desk.active()
        if len(running) != 1:
            names = ", ".join(one.id for one in running) or "none runs"
            raise Conflict(f"Which release? {names}.", hint="releasebot runbook R7")
        return running[0]
