"""`releasebot checklists`: strategies as files, which a team may copy, change and check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.domain.errors import Conflict, WrongUse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.checklist import Checklist
    from bot.engine.step import Step

FINDING = 1
FOLDER = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A team's own checklists, which win over shipped ones of the same name.",
)


@click.group()
def checklists() -> None:
    """List, show, check, compare and copy checklists."""


@checklists.command("list")
@FOLDER
def show_all(folder: Path | None) -> None:
    """List the checklists there are."""
    for name, checklist in _known(folder).items():
        own = f"   ({checklist.file})" if folder and checklist.file.startswith(str(folder)) else ""
        click.echo(f"{name:24} {checklist.title}{own}")


@checklists.command()
@click.argument("name")
@FOLDER
def show(name: str, folder: Path | None) -> None:
    """Print one as YAML; NAME may be a file."""
    click.echo(_find(name, folder).text, nl=False)


@checklists.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(files: Sequence[Path]) -> None:
    """Say whether checklist files are right; names file, line and step of what is not."""
    from bot.checklists import load

    for file in files:
        checklist = load(file, _registry())
        click.echo(f"{file}: {checklist.name}, {len(checklist.items)} steps{_locked(checklist)}.")


@checklists.command()
@click.argument("old")
@click.argument("new")
@FOLDER
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, folder: Path | None) -> None:
    """Say what sets NEW apart from OLD, step by step (each a name or a file); exit status 1 when anything does."""
    from bot.domain.checklist_diff import differences

    found = differences(_find(old, folder), _find(new, folder))
    for line in found:
        click.echo(line)
    if not found:
        click.echo("Both mean the same.")
    ctx.exit(FINDING if found else 0)


@checklists.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "new_name", default="", help="The copy's name; a copy of the same name replaces the shipped one.")
def copy(name: str, file: Path, new_name: str) -> None:
    """Write a copy of NAME to FILE, to be changed; put it into the folder of the environment's `checklists` setting."""
    from bot.checklists import parse, renamed

    text = _find(name, None).text
    text = renamed(text, new_name) if new_name else text
    checklist = parse(text, str(file), _registry())
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise Conflict(f"{file} is there already; nothing was written.", hint="another file, or remove it") from error
    except OSError as error:
        raise WrongUse(f"Cannot write {file}: {error.strerror}.", hint="another file") from error
    click.echo(
        f"{file}: {checklist.name}, {len(checklist.items)} steps. Check it after a change: releasebot checklists check {file}"
    )


@checklists.command()
def schema() -> None:
    """Print the JSON Schema of a checklist, for editors."""
    from bot.checklists import schema as schema_of

    click.echo(json.dumps(schema_of(_registry()), indent=2))


@checklists.command()
def steps() -> None:
    """List the steps that a checklist may name."""
    for step in sorted(_registry().values(), key=lambda one: one.id):
        needs = f"   needs {', '.join(sorted(step.needs))}" if step.needs else ""
        click.echo(f"{step.id:24} {step.title}{needs}")


def _locked(checklist: Checklist) -> str:
    """Say which part of it needs the environment's lock, where not all does."""
    first = f" from {checklist.locked_from}" if checklist.locked_from else ""
    last = f" until {checklist.locked_until}" if checklist.locked_until else ""
    return f", locked{first}{last}" if first or last else ""


def _registry() -> Mapping[str, Step]:
    from bot.steps.registry import load

    return load()


def _known(folder: Path | None) -> Mapping[str, Checklist]:
    from bot.checklists import available

    return available(folder, _registry())


def _find(name: str, folder: Path | None) -> Checklist:
    """Return the checklist of that name, or that a file of that name holds."""
    from bot.checklists import load

    known = _known(folder)
    if name in known:
        return known[name]
    if Path(name).is_file():
        return load(Path(name), _registry())
    raise WrongUse(f"There is no checklist {name[:40]!r}, nor such a file.", hint=f"one of {', '.join(known)}")
