"""Repositories of the sandbox: the bare origin, the configuration, the server's checkout, and what Ansible needs beside them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.domain.errors import Unavailable, WrongUse
from sandbox.furnishing import JWT_SECRET, append, furnish, render, write_secret, write_tree
from sandbox.history import ADA, MASTER, RELEASE, History, Person, import_history, playbook
from sandbox.processes import output
from sandbox.scenarios import Scenario, history_of, scenario

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.sshd import SshServer

PUSHES = "pushes.log"
CHECKOUT = "server/opt/dev/metaspace"  # below the world's folder
VERSION = re.compile(r"\d+\.\d+\.\d+")
VAULT_PASSWORD = "sandbox-vault"  # noqa: S105  # the vault of a world that lives for minutes


@dataclass(frozen=True, slots=True)
class Source:
    """A real clone to take a copy of, and what its release and master shall be in the sandbox.

    ``live`` is what the server has checked out, empty for release; a tag ``untagged`` is left out.
    """

    repo: Path
    release: str = RELEASE
    master: str = MASTER
    live: str = ""
    untagged: str = ""


class GitWorld:
    """Everything in Git. ``server`` stands for the web server's disk, ``control`` for the control host's."""

    def __init__(
        self,
        root: Path,
        *,
        chosen: Scenario | None = None,
        source: Source | None = None,
        engine: Mapping[str, str] | None = None,
    ) -> None:
        self.scenario = chosen or scenario("plain")
        self.source = source
        self.engine = dict(engine or {})
        """What the engine's configuration is rendered with, by the template's names; empty for no such configuration."""
        self.origin = root / "origin" / "metaspace.git"
        self.configuration = root / "origin" / "configuration.git"
        self.server = root / "server"
        self.checkout = root / CHECKOUT
        self.www = self.server / "opt/www"
        self.control = root / "control"
        self.configuration_checkout = self.control / "env"
        self.vault_password_file = self.control / "vault_pass"
        self.playbook = self.control / "playbook"
        self.absent: list[str] = []
        """Paths whose content the copied clone lacks; the server's checkout leaves them out."""

    @property
    def ansible_folder(self) -> str:
        """Where the bot's settings find the Ansible folder: in the checkout, or the sandbox's own beside a real history."""
        return str(self.playbook / "ansible/aws") if self.source else "ansible/aws"

    async def build_code(self) -> None:
        """Make origin, checkout, served webapp and (beside a real history) the sandbox's own playbook."""
        self._make_folders()
        if self.source:
            await copy_clone(self.source, self.origin)
            write_tree(self.playbook, playbook())
        else:
            await import_history(history_of(self.scenario), self.origin)
        _count_pushes(self.origin)
        for key in ("receive.denyNonFastForwards", "receive.denyDeletes"):
            await self.git("config", key, "true")
        await self._check_out_on_server()

    async def build_configuration(self, web: SshServer, *, build_seconds: int) -> None:
        """Make the configuration repository for that web server, and its kept clone on the control host."""
        self._make_folders()
        write_secret(self.vault_password_file, f"{VAULT_PASSWORD}\n")
        history = History()
        history.commit(ADA, "Configuration of production\n", await self._configuration_files(web, build_seconds))
        await import_history(history, self.configuration)
        await output(["git", "clone", "-q", str(self.configuration), str(self.configuration_checkout)])
        if self.scenario.dirty_configuration:
            append(self.configuration_checkout / "prod/hosts", "# tried by hand\n")

    async def seed_mirror(self, mirror: Path) -> None:
        """Put the bot's mirror in place, from a clone that lacks files: it could not be fetched whole over Git's protocol."""
        if self.absent:
            await output(["git", "clone", "-q", "--bare", str(self.origin), str(mirror)], deadline=300)

    async def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run Git in origin and return what it printed, stripped."""
        return (await output(["git", "-C", str(self.origin), *arguments], stdin=stdin)).strip()

    async def head(self, ref: str) -> str:
        """Return the commit that a branch, tag or id of origin means."""
        return await self.git("rev-parse", "--verify", f"{ref}^{{commit}}")

    async def push_as(self, author: Person, branch: str, message: str, changes: Mapping[str, str | None]) -> str:
        """Put a commit on a branch of origin, as if somebody else had pushed it, and return it."""
        history = History(base=await self.head(branch))
        history.commit(author, message, changes, branch=branch, at=datetime.now(UTC))
        await self.git("fast-import", "--quiet", stdin=history.stream())
        return await self.head(branch)

    def refuse_pushes(self, words: str | None) -> None:
        """Let origin refuse every push with these words; None lets them through again."""
        hook = self.origin / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.unlink(missing_ok=True)
        if words is not None:
            hook.write_text(f"#!/bin/sh\ncat <<'WORDS' >&2\n{words}\nWORDS\nexit 1\n", encoding="utf-8")
            hook.chmod(0o755)

    def pushes(self) -> list[str]:
        """Return the refs that were pushed to origin, one for each time."""
        log = self.origin / PUSHES
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [line.split()[2] for line in lines]

    def _make_folders(self) -> None:
        self.origin.parent.mkdir(parents=True, exist_ok=True)
        self.control.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.checkout.parent.mkdir(parents=True, exist_ok=True)

    async def _check_out_on_server(self) -> None:
        git = ["git", "-C", str(self.checkout)]
        await output(["git", "clone", "-q", "--no-checkout", "--branch", RELEASE, str(self.origin), str(self.checkout)])
        if self.source:
            self.absent = await absent_files(self.origin, (RELEASE, MASTER, self.source.live or RELEASE))
        if self.absent:
            patterns = "/*\n" + "".join(f"!/{_literal(path)}\n" for path in self.absent)
            await output([*git, "sparse-checkout", "set", "--no-cone", "--stdin"], stdin=patterns.encode())
        await output([*git, "checkout", "-q", RELEASE])
        if self.source and self.source.live:
            await output([*git, "reset", "-q", "--hard", self.source.live])
        await output([*git, "branch", "-q", MASTER, "HEAD"])
        commit = (await output([*git, "rev-parse", "HEAD"])).strip()
        furnish(self.checkout, self.www, commit)
        if self.engine:
            render(self.checkout / "metaspace/engine/conf", self.engine)

    async def _configuration_files(self, web: SshServer, build_seconds: int) -> dict[str, str]:
        secrets = {"sm_graphql_jwt_secret": JWT_SECRET} | {
            name: value for name, value in self.engine.items() if name.endswith("_password")
        }
        vault = "".join(f"vault_{name}: {json.dumps(value)}\n" for name, value in secrets.items())
        encrypt = ["encrypt", "--vault-password-file", str(self.vault_password_file), "--output", "-", "-"]
        program = [sys.executable, "-m", "ansible", "vault", *encrypt]
        environment = {**os.environ, "ANSIBLE_HOME": str(self.control / "ansible")}  # not the user's own
        host = {
            "ansible_host": web.host,
            "ansible_port": web.port,
            "ansible_user": web.user,
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": web.home / ".ansible/tmp",
        }
        line = " ".join(f"{name}={value}" for name, value in host.items())
        return {
            "prod/hosts": f"[web]\nweb-1 {line}\n",
            "prod/group_vars/all/vars.yml": self._vars(build_seconds),
            "prod/group_vars/all/vault.yml": await output(program, stdin=vault.encode(), env=environment),
        }

    def _vars(self, build_seconds: int) -> str:
        values = {
            "stage": "prod",
            "metaspace_repo_url": str(self.origin),
            "metaspace_branch": "master",
            "metaspace_home": str(self.checkout),
            "sm_home": "{{ metaspace_home }}/metaspace/engine",
            "sm_graphql_home": "{{ metaspace_home }}/metaspace/graphql",
            "sm_webapp_home": "{{ metaspace_home }}/metaspace/webapp",
            "sm_webapp_www": str(self.www),
            "sm_graphql_jwt_secret": "{{ vault_sm_graphql_jwt_secret }}",
            "webapp_build_seconds": build_seconds,
            **{
                name: f"{{{{ vault_{name} }}}}" if name.endswith("_password") else value
                for name, value in self.engine.items()
            },
        }
        return "---\n\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


async def copy_clone(source: Source, bare: Path) -> None:
    """Copy a clone, which stays untouched, and set the world back to the day when its release was ``source.release``.

    Branches other than release and master go, and version tags later than the last one that release contains.
    Raises `WrongUse` when a ref names no commit there.
    """
    release = await _commit_of(source.repo, source.release)
    master = await _commit_of(source.repo, source.master)
    await output(["git", "clone", "-q", "--bare", str(source.repo), str(bare)], deadline=300)
    git = ["git", "-C", str(bare)]
    listed = (await output([*git, "for-each-ref", "--format=%(refname)"])).split()
    merged = (await output([*git, "tag", "--merged", release])).split()
    latest = max((_numbers(tag) for tag in merged if VERSION.fullmatch(tag)), default=())
    wanted = {f"refs/heads/{RELEASE}": release, f"refs/heads/{MASTER}": master}
    left_out = f"refs/tags/{source.untagged}"
    stale = [ref for ref in listed if ref not in wanted and (ref == left_out or not _kept(ref, latest))]
    commands = [f"update {ref} {commit}" for ref, commit in wanted.items()] + [f"delete {ref}" for ref in stale]
    await output([*git, "update-ref", "--stdin"], stdin="".join(f"{one}\n" for one in commands).encode())
    await output([*git, "symbolic-ref", "HEAD", f"refs/heads/{MASTER}"])
    await output([*git, "remote", "remove", "origin"])


async def absent_files(bare: Path, refs: tuple[str, ...]) -> list[str]:
    """Return the paths whose content a clone lacks (snapshots and partial clones leave large files out)."""
    git = ["git", "-C", str(bare)]
    blobs: set[tuple[str, str]] = set()
    for ref in refs:
        for line in (await output([*git, "-c", "core.quotePath=false", "ls-tree", "-r", ref])).splitlines():
            facts, _, path = line.partition("\t")
            blobs.add((path, facts.split()[2]))
    asked = "".join(f"{blob}\n" for _, blob in blobs).encode()
    answers = (await output([*git, "cat-file", "--batch-check"], stdin=asked)).splitlines()
    missing = {line.split()[0] for line in answers if line.endswith(" missing")}
    return sorted({path for path, blob in blobs if blob in missing})


def _count_pushes(bare: Path) -> None:
    """Let a repository write down every ref that a push moved."""
    hook = bare / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec cat >> '{bare}/{PUSHES}'\n", encoding="utf-8")
    hook.chmod(0o755)


def _literal(path: str) -> str:
    """Return a sparse-checkout pattern that means this path alone."""
    return re.sub(r"([\\*?\[ ])", r"\\\1", path)


async def _commit_of(repo: Path, ref: str) -> str:
    for name in (ref, f"refs/remotes/origin/{ref}"):
        with contextlib.suppress(Unavailable):
            found = await output(["git", "-C", str(repo), "rev-parse", "-q", "--verify", f"{name}^{{commit}}"])
            return found.strip()
    raise WrongUse(f"{repo} has no commit {ref!r}.", hint=f"git -C {repo} branch -a; git -C {repo} tag")


def _kept(ref: str, latest: tuple[int, ...]) -> bool:
    kind, _, name = ref.removeprefix("refs/").partition("/")
    return kind == "tags" and not (VERSION.fullmatch(name) and _numbers(name) > latest)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
