"""Ansible on the control host: a clean checkout of one commit, the configuration beside it, and the job that deploys it.

Its own environment runs it (``binaries``), host keys are checked whatever the repository's ansible.cfg says (the environment
wins over ansible.cfg: https://docs.ansible.com/ansible/latest/reference_appendices/config.html), and the code to deploy is
named by its full SHA.
"""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bot.domain.errors import Refused, Unavailable
from bot.domain.world import ConfigurationState, JobSpec, PlaybookEvent
from bot.telemetry import scrub
from integrations.sshcommand import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.settings import AnsibleSettings
    from integrations.ssh import SshHost

_LONG = 900.0  # seconds for a clone
_SHA = re.compile(r"[0-9a-f]{40}")
_PLUGIN = "releasebot_events"
_KEPT = 3  # checkouts of earlier releases
# $1 the workspace, then a command: one at a time. That of a bot that was killed goes on for a while, beside its successor's.
_LOCKED = 'mkdir -p "$1" && lock="$1/.lock" && shift && exec flock "$lock" "$@"'
# $1 checkout, $2 repository, $3 commit. What is half made, or in the way of the checkout, is made anew. Its time is that of
# its last use.
_CHECKOUT = """
set -eu
export GIT_TERMINAL_PROMPT=0
have() {
  cd "$1" && git rev-parse --git-dir >/dev/null && git remote set-url origin "$2" &&
  { git cat-file -e "$3^{commit}" 2>/dev/null || git fetch --quiet origin '+refs/heads/*:refs/remotes/origin/*'; } &&
  git checkout --quiet --force --detach "$3" && git clean -q -ffdx && touch .
}
if ! (have "$@") 2>/dev/null; then
  rm -rf "$1" "$1.new"
  git clone --quiet --no-checkout -- "$2" "$1.new"
  mv "$1.new" "$1"
  (have "$@")
fi
cd "$1"
test "$(git rev-parse HEAD)" = "$3"
test -z "$(git status --porcelain)"
"""
# $1 the folder to copy (with its sibling roles), $2 where to.
_COPY = 'set -eu; rm -rf "$2"; mkdir -p "$(dirname "$2")"; cp -a -- "$(dirname "$1")" "$2"'
# $1 the Ansible folder, $2 the configuration's clone, $3 the vault password file.
_BESIDE = """
set -eu
umask 077
test -d "$1"
rm -rf "$1/env"; mkdir "$1/env"
git -C "$2" archive HEAD | tar -x -C "$1/env"
cp -- "$3" "$1/vault_pass.txt.new"; mv "$1/vault_pass.txt.new" "$1/vault_pass.txt"
"""
_TIDY = 'cd "$1" && ls -1dt -- */ | tail -n +"$2" | while read -r old; do rm -rf -- "./$old"; done'
_STATE = """
set -eu
cd "$1"
export GIT_TERMINAL_PROMPT=0
git symbolic-ref --quiet --short HEAD || echo
git rev-parse HEAD
remote=$(git ls-remote --exit-code origin "refs/heads/$2") || { echo "origin has no branch $2" >&2; exit 1; }
echo "${remote%%[!0-9a-f]*}"
git -c core.quotePath=false status --porcelain
"""
_NAMES = 'set -eu; cd "$1"; git grep -hoE "^[A-Za-z_][A-Za-z0-9_]*[[:space:]]*:" -- "*.yml" "*.yaml" || [ $? -eq 1 ]'  # names only
_UPDATE = (
    'set -eu; cd "$1"; export GIT_TERMINAL_PROMPT=0; git checkout --quiet "$2"; git pull --quiet --ff-only origin "$2"'
)
_CLONE = """
set -eu
[ ! -e "$1/.git" ] || exit 0
mkdir -p "$(dirname "$1")"
rm -rf "$1.new"
GIT_TERMINAL_PROMPT=0 git clone --quiet -b "$3" -- "$2" "$1.new"
mv -T "$1.new" "$1"
"""


class AnsiblePlaybooks:
    """Implements `bot.ports.Playbooks`."""

    def __init__(self, ssh: SshHost, settings: AnsibleSettings) -> None:
        """``ssh`` is the control host."""
        self._ssh, self._settings = ssh, settings

    async def configuration(self) -> ConfigurationState:
        """Say how the kept clone stands, and its remote this moment; makes the clone where there is none."""
        ours = self._settings
        checkout, branch = ours.configuration_checkout, ours.configuration_branch
        await self._sh(_CLONE, checkout, ours.configuration, branch, what="clone the configuration repository")
        lines = (await self._sh(_STATE, checkout, branch, what="read the configuration repository")).split("\n")
        dirty = tuple(line[3:] for line in lines[3:] if line)
        return ConfigurationState(branch=lines[0], commit=lines[1], remote_commit=lines[2], dirty=dirty)

    async def variables(self) -> frozenset[str]:
        """Return the names of variables in the kept clone, as it stands; encrypted files show none."""
        found = await self._sh(_NAMES, self._settings.configuration_checkout, what="read the names of variables")
        return frozenset(line.rstrip(": \t") for line in found.splitlines() if line)

    async def update_configuration(self) -> ConfigurationState:
        """Check out the branch and pull, fast-forward only; raises `Refused` naming what is changed locally."""
        state = await self.configuration()
        if state.dirty:
            raise Refused(
                f"The configuration repository on the control host has local changes: {', '.join(state.dirty[:5])}.",
                hint=f"commit or put them away in {self._settings.configuration_checkout}, then retry",
                changed="Nothing.",
            )
        try:
            branch = self._settings.configuration_branch
            await self._ssh.run(
                ["sh", "-c", _UPDATE, "update", self._settings.configuration_checkout, branch], timeout=120
            )
        except CommandFailed as error:
            raise Refused(
                f"The configuration repository cannot be fast-forwarded: {error.stderr}",
                hint=f"mend it by hand in {self._settings.configuration_checkout} on the control host, then retry",
                changed="Nothing was merged.",
            ) from error
        return await self.configuration()

    async def prepare(self, *, commit: str) -> str:
        """Make the clean checkout, with configuration, vault password and our callback in place; return the Ansible folder."""
        root, folder = self._places(commit)
        if PurePosixPath(self._settings.folder).is_absolute():
            await self._sh(_COPY, self._settings.folder, root, what="copy the playbooks")
        else:
            await self._sh(_CHECKOUT, root, self._settings.repository, commit, what=f"check out {commit:.8}")
        await self.configuration()
        files = (self._settings.configuration_checkout, self._settings.vault_password_file)
        await self._sh(_BESIDE, folder, *files, what="lay the configuration beside the playbooks")
        plugins = self._plugins
        await self._ssh.run(["mkdir", "-p", plugins])
        source = Path(__file__).with_name("ansible_callback.py").read_bytes()
        await self._ssh.put(f"{plugins}/{_PLUGIN}.py", source)
        await self._ssh.run(["sh", "-c", _TIDY, "tidy", f"{self._settings.workspace}/commits", str(_KEPT + 1)])
        return folder

    def deploy_job(self, *, name: str, folder: str, release: str, commit: str, tags: Sequence[str]) -> JobSpec:
        """Return the job that runs the playbook with ``metaspace_branch`` = the full SHA."""
        return JobSpec(
            name=name,
            argv=self.deploy_commands(commit=commit, tags=tags),
            cwd=folder,
            env=self._environment(),
            marks={"release": release, "commit": commit},
            lock="ansible-" + re.sub(r"[^A-Za-z0-9]+", "-", self._settings.inventory),
        )

    def deploy_commands(self, *, commit: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Return the argument list; raises `Refused` unless the commit is a full SHA."""
        if not _SHA.fullmatch(commit):
            raise Refused(f"{commit[:60]!r} is no full commit id; nothing else is deployed.", hint="/release review")
        ours = self._settings
        chosen = ("--tags", ",".join(tags)) if tags else ()
        playbook = (f"{ours.binaries}/ansible-playbook", "-i", ours.inventory, ours.playbook)
        return (*playbook, "-e", f"metaspace_branch={commit}", *chosen)

    def folders(self, *, commit: str) -> tuple[str, str]:
        """Return the Ansible folder of a commit's checkout, and the clone of the configuration."""
        return self._places(commit)[1], self._settings.configuration_checkout

    def parse(self, *, lines: str) -> Sequence[PlaybookEvent]:
        """Read the callback's lines; one that is no event is passed over."""
        return list(_events(lines))

    def _environment(self) -> dict[str, str]:
        known_hosts = shlex.quote(self._settings.known_hosts)
        options = (
            f"-o UserKnownHostsFile={known_hosts}",
            "-o GlobalKnownHostsFile=/dev/null",
            "-o StrictHostKeyChecking=yes",
            "-o ControlMaster=auto",
            "-o ControlPersist=60s",
            "-o ServerAliveInterval=15",
        )
        ours = {
            "ANSIBLE_HOST_KEY_CHECKING": "True",
            # Our own: a connection that somebody else left open may have been made without looking at the host's key.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": f"{self._settings.workspace}/cp",
            "ANSIBLE_SSH_ARGS": " ".join(options),
            "ANSIBLE_CALLBACK_PLUGINS": self._plugins,
            "ANSIBLE_CALLBACKS_ENABLED": _PLUGIN,
            "ANSIBLE_STDOUT_CALLBACK": "default",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "PYTHONUNBUFFERED": "1",
        }
        return ours | ({"ANSIBLE_PRIVATE_KEY_FILE": self._settings.ssh_key} if self._settings.ssh_key else {})

    @property
    def _plugins(self) -> str:
        return f"{self._settings.workspace}/callback_plugins"

    def _places(self, commit: str) -> tuple[str, str]:
        """Return the folder of a commit, and the Ansible folder in it."""
        root = f"{self._settings.workspace}/commits/{commit}"
        folder = PurePosixPath(self._settings.folder)
        return root, f"{root}/{folder.name if folder.is_absolute() else folder}"

    async def _sh(self, script: str, *words: str, what: str) -> str:
        """Run one of the scripts above; its arguments never become part of it."""
        try:
            locked = ["sh", "-c", _LOCKED, "locked", self._settings.workspace]
            return (await self._ssh.run([*locked, "sh", "-c", script, "releasebot", *words], timeout=_LONG)).stdout
        except CommandFailed as error:
            raise Unavailable(
                f"The control host could not {what}: {scrub(error.stderr)[:300] or f'status {error.status}'}",
                hint="look at it by hand on the control host, then retry",
                changed="Nothing was deployed.",
            ) from error


def _events(lines: str) -> Iterator[PlaybookEvent]:
    for line in lines.splitlines():
        try:
            raw = json.loads(line)
            at = datetime.fromtimestamp(float(raw["at"]), UTC)
            words = {name: str(raw.get(name, "")) for name in ("status", "task", "role", "host", "message")}
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            continue
        yield PlaybookEvent(at=at, **{**words, "message": scrub(words["message"])})
