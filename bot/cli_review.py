"""``releasebot review`` and ``releasebot backtest``: reviews from any clone, without touching it."""

from __future__ import annotations

import gc
import json
import sys
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from bot.domain.errors import ReleaseError, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.domain.review import Review
    from integrations.history import GitHistory

_DIFFERENT, _WRONG_USE = 1, 2
_Args = ParamSpec("_Args")


def _exits(command: Callable[_Args, None]) -> Callable[_Args, None]:
    """Translate our errors once: a sentence, a hint, and 2 for wrong use or 1 for a failure."""

    @wraps(command)
    def wrapped(*args: _Args.args, **kwargs: _Args.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ReleaseError as error:
            click.echo(f"{error.message}{f' Try: {error.hint}' if error.hint else ''}", err=True)
            sys.exit(_WRONG_USE if isinstance(error, WrongUse) else _DIFFERENT)

    return wrapped


@click.command()
@click.option("--repo", required=True, type=click.Path(path_type=Path), help="A clone of METASPACE, bare or not.")
@click.option("--base", default="release", show_default=True, help="Where production stands: a tag, branch or commit.")
@click.option("--head", default="master", show_default=True, help="What is to be released.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_exits
def review(repo: Path, base: str, head: str, *, as_json: bool) -> None:
    """Say what BASE...HEAD would ship and what it needs."""
    from bot.reviewing import METASPACE_URL, review_range

    with _open(repo) as history:
        found = review_range(history, base=base, head=head, web_url=METASPACE_URL)
    if as_json:
        click.echo(_json(found.to_json()))
        return
    from bot.cli_table import page

    click.echo(page(found))


@click.command()
@click.option("--repo", required=True, type=click.Path(path_type=Path), help="A clone of METASPACE, bare or not.")
@click.option("--truth", type=click.Path(path_type=Path), help="Compare with known ranges and print each difference.")
@click.option("--json", "as_json", is_flag=True, help="Print the array of all reviews.")
@_exits
def backtest(repo: Path, truth: Path | None, *, as_json: bool) -> None:
    """Review every pair of consecutive version tags, and compare with the truth where it is known."""
    from bot.reviewing import METASPACE_URL
    from bot.reviewing import backtest as run

    known = _read_truth(truth) if truth else []
    with _open(repo) as history:
        history.prefetch(tag.sha for tag in history.version_tags())
        reviews = list(run(history, web_url=METASPACE_URL))
    if as_json:
        click.echo(_json([found.to_json() for found in reviews]))
    elif not known:
        from bot.cli_table import table

        click.echo(table(reviews))
    if truth and not _compare(reviews, known, quiet=as_json):
        sys.exit(_DIFFERENT)


@contextmanager
def _open(repo: Path) -> Iterator[GitHistory]:
    from integrations.history import GitHistory

    collecting = gc.isenabled()
    gc.disable()  # syntax trees are many small objects that stay: looking through them costs a quarter of the time
    try:
        with GitHistory(repo) as history:
            yield history
    finally:
        if collecting:
            gc.freeze()  # the process ends soon: nothing of it needs to be looked through once more
            gc.enable()


def _read_truth(path: Path) -> list[dict[str, Any]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WrongUse(
            f"{path} is no readable JSON: {error}.", hint="a file of the form of review-examples.json"
        ) from error
    if not isinstance(known, list) or not all(
        isinstance(entry, dict) and {"from", "to"} <= entry.keys() for entry in known
    ):
        raise WrongUse(f"{path} is no list of ranges.", hint="a file of the form of review-examples.json")
    return known


def _compare(reviews: list[Review], known: list[dict[str, Any]], *, quiet: bool) -> bool:
    from bot.truth import differences

    by_range = {(found.base.ref, found.head.ref): found for found in reviews}
    count = 0
    for entry in known:
        name = f"{entry['from']}..{entry['to']}"
        found = by_range.get((entry["from"], entry["to"]))
        lines = list(differences(found, entry)) if found else ["no such range in this clone"]
        count += len(lines)
        for line in lines:
            click.echo(f"{name}: {line}", err=quiet)
    click.echo(f"{len(known)} ranges compared, {count or 'no'} difference{'' if count == 1 else 's'}.", err=quiet)
    return count == 0


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1)
