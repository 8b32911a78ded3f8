"""A release's folder on the web server: a detached work tree at its commit, with a configuration that names concrete indices.

It lies outside of the checkout, so the deploy's ``git reset --hard``, ``git clean`` and ``git branch -D`` there do not reach it.
``workplace.json`` is written last: a folder without it is half made, and is made anew.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, StepFailed, WrongUse
from bot.domain.indices import Pair
from bot.domain.reindexing import Workplace
from bot.telemetry import scrub
from integrations.sshcommand import EXCERPT, CommandFailed, NoSuchFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.ports import Clock
    from bot.settings import EnvironmentSettings
    from integrations.ssh import SshHost
    from integrations.sshcommand import Result

_SHA = re.compile(r"[0-9a-f]{40}")
_RELEASE = re.compile(r"[A-Za-z0-9_-]{1,80}")
_LONG = 200.0  # seconds for a fetch and a work tree
# $1 the workspace, then a command: one at a time. That of a bot that was killed goes on for a while, beside its successor's.
_LOCKED = 'umask 077; mkdir -p "$1" && lock="$1/.lock" && shift && exec flock "$lock" "$@"'
# $1 checkout, $2 folder, $3 commit. Only remote-tracking branches are fetched: no branch, no tag, no HEAD of the checkout moves.
_MAKE = """
set -eu
export GIT_TERMINAL_PROMPT=0
in_checkout() { git -c core.hooksPath=/dev/null -C "$checkout" "$@"; }
checkout=$1 folder=$2 commit=$3
[ ! -e "$folder/workplace.json" ] || exit 0
have() { in_checkout cat-file -e "$commit^{commit}" 2>/dev/null; }
have || in_checkout fetch --quiet --no-tags origin "$commit" 2>/dev/null || true
have || in_checkout fetch --quiet --no-tags origin '+refs/heads/*:refs/remotes/origin/*'
have || { echo "origin has no commit $commit" >&2; exit 1; }
rm -rf -- "$folder"
in_checkout worktree prune
mkdir -p -- "$folder"
umask 022
in_checkout worktree add --force --detach "$folder/code" "$commit"
[ "$(git -C "$folder/code" rev-parse HEAD)" = "$commit" ]
"""
# $1 checkout, $2 folder.
_REMOVE = """
set -eu
[ ! -d "$2" ] || mv -fT -- "$2" "$2.old"
rm -rf -- "$2.old"
[ ! -d "$1" ] || git -C "$1" worktree prune
"""
_ALL = (
    'cd "$1" 2>/dev/null || exit 0; for one in */workplace.json; do [ ! -e "$one" ] || { cat -- "$one"; echo; }; done'
)
# $1 the workspace. Status 1: somebody holds the lock of a target.
_BUSY = (
    'for lock in "$1"/.*.lock; do [ ! -e "$lock" ] || [ "$lock" = "$1/.lock" ] || flock -n "$lock" true || exit 1; done'
)


class Workplaces:
    """The workplaces of one web server."""

    def __init__(
        self, ssh: SshHost, settings: EnvironmentSettings, clock: Clock, host: Callable[..., Awaitable[Result]]
    ) -> None:
        """``host`` runs a command of our program there."""
        self._ssh, self._clock, self._host = ssh, clock, host
        self._settings, self._checkout = settings.reindexing, settings.server.checkout

    def code(self, release: str) -> str:
        """Return the folder that METASPACE's scripts run in."""
        return f"{self._folder(release)}/code/{self._settings.engine}"

    async def read(self, release: str) -> Workplace | None:
        """Return the release's workplace, or None where there is none that is whole."""
        try:
            data = await self._ssh.read(f"{self._folder(release)}/workplace.json")
        except NoSuchFile:
            return None
        return self._workplace(json.loads(data))

    async def all(self) -> Sequence[Workplace]:
        """Return all whole ones, oldest first."""
        said = (await self._ssh.run(["sh", "-c", _ALL, "all", f"{self._settings.workspace}/releases"])).stdout
        found = [self._workplace(json.loads(line)) for line in said.splitlines() if line]
        return sorted(found, key=lambda one: (one.made_at or datetime.min.replace(tzinfo=UTC), one.release))

    async def make(self, release: str, commit: str, pair: Pair) -> Workplace:
        """Make it, or return the one that is there."""
        if not _SHA.fullmatch(commit):
            raise WrongUse(f"{commit[:60]!r} is no full commit id.")
        there = await self.read(release)
        if there is None:
            await self._make(release, commit, pair)
            there = await self.read(release)
        if there is None or (there.commit, there.pair) != (commit, pair):
            raise Conflict(
                f"The workplace of {release} is there for another commit or other indices.",
                hint="remove it first",
                changed="Nothing.",
            )
        return there

    async def _make(self, release: str, commit: str, pair: Pair) -> None:
        folder, code, ours = self._folder(release), self.code(release), self._settings
        await self._locked(_MAKE, self._checkout, folder, commit, what=f"check out {commit:.8} beside the checkout")
        live = f"{self._checkout}/{ours.engine}"
        where = ("--old", f"{live}/{ours.template}", "--live", f"{live}/{ours.configuration}")
        made = ("--new", f"{code}/{ours.template}", "--target", f"{code}/{ours.configuration}")
        done = await self._host("render", *where, *made, "--dataset", pair.dataset, "--annotation", pair.annotation)
        if done.status:
            raise StepFailed(
                f"No configuration can be made for {commit:.8}: {scrub(done.stderr.strip())[-EXCERPT:]}.",
                hint=f"write {code}/{ours.configuration} by hand as docs/reindexing.md says, or deploy the template's values first",
                changed=f"{folder} is there, without a configuration.",
            )
        facts = {"release": release, "commit": commit, "dataset": pair.dataset, "annotation": pair.annotation}
        marked = json.dumps({**facts, "made": self._clock.now().timestamp()}).encode()
        await self._ssh.put(f"{folder}/workplace.json", marked, 0o600)

    async def remove(self, release: str) -> None:
        """Remove it, whole or half; harmless when there is none."""
        await self._locked(_REMOVE, self._checkout, self._folder(release), what=f"remove the workplace of {release}")

    async def busy(self) -> bool:
        """Tell whether anything works under the lock of a target."""
        return bool((await self._ssh.run(["sh", "-c", _BUSY, "busy", self._settings.workspace], check=False)).status)

    def _workplace(self, said: Any) -> Workplace:
        release = str(said["release"])
        code = self.code(release)
        return Workplace(
            release=release,
            commit=said["commit"],
            folder=self._folder(release),
            code=code,
            configuration=f"{code}/{self._settings.configuration}",
            pair=Pair(said["dataset"], said["annotation"]),
            made_at=datetime.fromtimestamp(said["made"], UTC),
        )

    def _folder(self, release: str) -> str:
        if not _RELEASE.fullmatch(release):
            raise WrongUse(f"{release[:60]!r} is no name of a release.")
        return f"{self._settings.workspace}/releases/{release}"

    async def _locked(self, script: str, *words: str, what: str) -> None:
        argv = ["sh", "-c", _LOCKED, "locked", self._settings.workspace, "sh", "-c", script, "releasebot", *words]
        try:
            await self._ssh.run(argv, timeout=_LONG)
        except CommandFailed as error:
            raise StepFailed(
                f"{self._ssh.name} could not {what}: {error.stderr[:300] or f'status {error.status}'}",
                hint=f"look at it by hand in {self._checkout}, then retry",
                changed="The checkout and what is live are as they were.",
            ) from error
