"""Git's commands on one repository, which they never write."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable, WrongUse
from integrations.history.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")


class Git:
    """Runs Git in the clone at ``path``. Raises WrongUse where there is none."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._environment = {
            name: value for name, value in {**os.environ, **_ENVIRONMENT}.items() if name not in _ELSEWHERE
        }
        self.directory = _git_directory(Path(path), self._environment)

    def start(self, *arguments: str) -> Process:
        """A process that answers questions until it is closed."""
        return Process(self._command(arguments), self._environment)

    def run(self, *arguments: str, feed: str = "") -> str:
        """What a command prints. Raises Unavailable where it fails."""
        done = subprocess.run(
            self._command(arguments), input=feed.encode(), capture_output=True, check=False, env=self._environment
        )
        if done.returncode:
            reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Unavailable(
                f"git {arguments[0]} failed: {reason[-1] if reason else done.returncode}", hint="git fsck on the clone"
            )
        return done.stdout.decode("utf-8", "surrogateescape" if arguments[0] == "diff-tree" else "replace")

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return ["git", f"--git-dir={self.directory}", *arguments]


def _git_directory(path: Path, environment: Mapping[str, str]) -> Path:
    """Where the objects are, for work trees, linked work trees and bare clones alike.

    Git is asked itself: importing GitPython costs more than a whole review. Folders above ``path`` are not searched.
    """
    if not path.is_dir():
        raise WrongUse(f"{path} is no folder.", hint="--repo takes the folder of a clone, bare or not")
    ceiling = {**environment, "GIT_CEILING_DIRECTORIES": str(path.resolve().parent)}
    command = ["git", "-C", str(path), "rev-parse", "--absolute-git-dir"]
    done = subprocess.run(command, capture_output=True, check=False, env=ceiling)
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise WrongUse(
            f"{path} is no Git repository that can be read: {reason[0] if reason else ''}.",
            hint="--repo takes the folder of a clone, bare or not",
        )
    return Path(done.stdout.decode("utf-8", "surrogateescape").strip())
