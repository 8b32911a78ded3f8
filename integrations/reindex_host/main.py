"""The commands: what the bot asks for over SSH, and a person may type."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from .drive import drive
from .files import Wrong
from .order import OrderFolder, place
from .render import render

_HELP = {
    "order": "write the order on standard input (JSON) to its folder; print how many datasets are left",
    "run": "carry out the order in a folder; end with 0 when all is done, 3 when datasets stayed failed",
    "show": "print how far an order has come (JSON), or null",
    "workers": "let so many share the work from now on; 0: pause",
    "allow": "let no more than so many for a quarter of an hour, and say why; -1: take that back",
    "go": "the first dataset landed where it should: go on",
    "render": "make a configuration of a new template, with the values of the live one",
}


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    top = argparse.ArgumentParser(prog="reindex", description="Reindex METASPACE's datasets (docs/reindexing.md).")
    commands = top.add_subparsers(dest="command", required=True)
    for name, said in _HELP.items():
        one = commands.add_parser(name, help=said)
        if name == "render":
            for what in ("old", "live", "new", "target"):
                one.add_argument(f"--{what}", type=Path, required=True)
            for what in ("dataset", "annotation"):
                one.add_argument(f"--{what}", required=True)
            continue
        one.add_argument("folder", type=Path)
        if name in ("workers", "allow"):
            one.add_argument("number", type=int)
        if name == "allow":
            one.add_argument("why", nargs="?", default="")
    return top


def main() -> int:
    """Do what was asked for; say what was wrong in one line."""
    os.umask(0o077)
    given = parser().parse_args()
    try:
        return _do(given)
    except Wrong as error:
        sys.stderr.write(f"{error}\n")
        return error.status


def _do(given: argparse.Namespace) -> int:
    if given.command == "render":
        render(
            given.old, given.live, given.new, given.target, {"dataset": given.dataset, "annotation": given.annotation}
        )
        return 0
    if given.command == "order":
        try:
            order = json.load(sys.stdin)
        except ValueError as error:
            raise Wrong("the order did not come whole", 65) from error
        place(given.folder, order)
        sys.stdout.write(f"{OrderFolder(given.folder).left()}\n")
        return 0
    if given.command == "show" and not (given.folder / "order.json").exists():
        sys.stdout.write("null\n")
        return 0
    folder = OrderFolder(given.folder)
    if given.command == "run":
        return drive(folder)
    if given.command == "show":
        sys.stdout.write(json.dumps(folder.ledger()) + "\n")
    elif given.command == "workers":
        folder.say(workers=max(0, given.number))
    elif given.command == "go":
        folder.say(verdict="go")
    else:
        folder.allow(given.number, given.why)
    return 0
