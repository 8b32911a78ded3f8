"""Looks for secrets where none may be: in files, in what was said, and in the command lines of processes."""

from __future__ import annotations

import base64
import re
import threading
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

TOKEN = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")  # what is signed with a secret counts as one


def forms(secrets: Mapping[str, str]) -> dict[str, bytes]:
    """Return each secret as it is and as HTTP writes logins."""
    found = {name: value.encode() for name, value in secrets.items()}
    for name, value in secrets.items():
        for user in ("x-access-token", "guest", "bot"):
            found[f"{name}, as {user}'s login"] = base64.b64encode(f"{user}:{value}".encode()).rstrip(b"=")
    return found


def shown(where: str, content: bytes, secrets: Mapping[str, str]) -> list[str]:
    """Name the secrets that stand in some bytes."""
    found = [f"{name} in {where}" for name, value in forms(secrets).items() if value in content]
    return found + ([f"a signed token in {where}"] if TOKEN.search(content) else [])


def in_files(folder: Path, secrets: Mapping[str, str], *, but: Collection[Path] = ()) -> list[str]:
    """Look into every file below a folder: a database's columns stand in its file as they are."""
    files = (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink() and one not in but)
    return [found for one in files for found in shown(str(one.relative_to(folder)), one.read_bytes(), secrets)]


class Processes(threading.Thread):
    """Notes the command lines of a process and all its children while the block runs."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.lines, self._over = root, set[str](), threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                parent = psutil.Process(self.root)
                self.lines.update("\0".join(one.cmdline()) for one in [parent, *parent.children(recursive=True)])
            except psutil.Error:
                continue  # it ended between two looks

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def in_lines(lines: Iterable[str], secrets: Mapping[str, str]) -> list[str]:
    return [found for line in lines for found in shown(f"the command line {line!r}", line.encode(), secrets)]
