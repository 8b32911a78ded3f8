"""The command line. Each command imports what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from bot.domain.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.settings import Settings

FINE, FAILURE, WRONG_USE = 0, 1, 2
CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="RELEASEBOT_CONFIG",
    default="settings.yml",
    show_default=True,
    help="Settings file; also RELEASEBOT_CONFIG.",
)


class LazyGroup(click.Group):
    """A group that imports the modules of some of its commands only when they are called or listed."""

    lazy: ClassVar[dict[str, str]] = {
        "review": "bot.cli_review:review",
        "backtest": "bot.cli_review:backtest",
        "checklists": "bot.cli_checklists:checklists",
        "runbook": "bot.cli_runbook:runbook",
        "db": "bot.cli_db:db",
        "sandbox": "bot.cli_sandbox:sandbox",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, importing it if need be."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        from importlib import import_module

        module, _, attribute = self.lazy[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="metaspace-releasebot", prog_name="releasebot")
def cli() -> None:
    """Release METASPACE to production from Slack."""


@cli.command()
@CONFIG
def serve(config_path: Path) -> None:
    """Run the bot until SIGTERM or Ctrl-C."""
    import asyncio

    from bot.app import serve as run

    sys.exit(asyncio.run(run(_settings(config_path))))


@cli.group()
def config() -> None:
    """Check, describe or start a settings file."""


@config.command("check")
@CONFIG
def config_check(config_path: Path) -> None:
    """Say whether the settings file is right."""
    settings = _settings(config_path)
    click.echo(f"{config_path} is right: {', '.join(settings.environments)}; {len(settings.people)} people.")


@config.command("schema")
def config_schema() -> None:
    """Print the settings' JSON Schema, for editors."""
    from bot.settings import Settings

    click.echo(json.dumps(Settings.model_json_schema(), indent=2))


@config.command("example")
def config_example() -> None:
    """Print a settings file to start from."""
    from bot.settings_example import EXAMPLE

    click.echo(EXAMPLE, nl=False)


@cli.command()
@CONFIG
@click.option(
    "--only", multiple=True, help="Try only these (ssh, git, github, slack, ansible, site, database, rehearsal)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(config_path: Path, only: Sequence[str], *, as_json: bool) -> None:
    """Try every system that a release needs, and say how to mend what fails."""
    import asyncio

    from bot.doctor import examine

    findings = asyncio.run(examine(_settings(config_path), only=frozenset(only)))
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(finding.line())
    sys.exit(FINE if all(finding.ok for finding in findings) else FAILURE)


def _settings(path: Path) -> Settings:
    from bot.settings import load

    return load(path)


def main(argv: list[str] | None = None) -> Any:
    """Run the command line; a `ReleaseError` becomes its sentence and its hint, never a traceback."""
    try:
        return cli.main(args=argv, prog_name="releasebot", standalone_mode=True)
    except ReleaseError as error:
        click.echo(f"releasebot: {error.message}", err=True)
        if error.hint:
            click.echo(f"  try: {error.hint}", err=True)
        sys.exit(WRONG_USE if type(error).__name__ in {"WrongUse", "BadSettings"} else FAILURE)


if __name__ == "__main__":
    main()
