"""The bot's own bare mirror of a repository: making it, following the remote, asking both, merging in it. Blocks.

The mirror is made whole or not at all, follows the remote wherever that went, and is written by one thread at a time.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.errors import BadSettings, Refused, Unavailable, WrongUse
from integrations.gitcommand import ASK, FETCH, LOCAL, Answer, GitCommand, failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.settings import RepositorySettings

REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
SHA = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))[^\s\x00-\x1f\x7f~^:?*\[\\]+(?<![/.])")
_ABANDONED = 60.0  # seconds after which a lock file in the mirror was left by a process that was killed


class Mirror:
    """A bare repository beside the bot, and the remote that it mirrors."""

    def __init__(self, settings: RepositorySettings) -> None:
        self.settings = settings
        self.git = GitCommand(settings)
        self.writing = threading.RLock()
        self._ready = False

    def fetch(self) -> None:
        """Bring all branches and tags up to date at once, or none; raises `Unavailable` or `Refused` with Git's words."""
        self._make_ready()
        fetching = (
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--atomic",
            "--no-recurse-submodules",
            "origin",
            *REFSPECS,
        )
        with self.writing:
            answer = self.git.run(*fetching, deadline=FETCH)
            if answer.lock and _remove_abandoned(Path(answer.lock)):
                answer = self.git.run(*fetching, deadline=FETCH)
        if answer.status:
            raise failure(answer, doing="Fetching", deadline=FETCH)

    def fetch_object(self, ref: str) -> None:
        """Fetch what a remote ref names, without naming it here."""
        with self.writing:
            self.git.ask("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", ref, deadline=FETCH)

    def has(self, sha: str) -> bool:
        """Tell whether the mirror has an object."""
        return self.git.run("cat-file", "-e", sha).status == 0

    def commit(self, name: str) -> str:
        """Return the commit of a full SHA, else a branch, else a tag; fetches once, then raises `Refused`, if there is none."""
        self._make_ready()
        found = self._look_up(name)
        if not found:
            self.fetch()
            found = self._look_up(name)
        if not found:
            raise Refused(f"The remote's repository has no commit {name}.", hint="was it pushed to a branch?")
        return found

    def _look_up(self, name: str) -> str:
        refs = (name,) if SHA.fullmatch(name) else (f"refs/heads/{checked(name)}", f"refs/tags/{name}")
        for ref in refs:
            answer = self.git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
            if answer.status == 0:
                return answer.out.strip()
        return ""

    def remote_refs(self, *patterns: str) -> Mapping[str, str]:
        """Ask the remote this moment: full names of refs, and what they point at (``^{}``: what is behind a tag)."""
        self._make_ready()
        answer = self.git.run("ls-remote", "--quiet", "origin", *patterns, deadline=ASK)
        if answer.status:
            raise failure(answer, doing="Asking the remote", deadline=ASK)
        pairs = (line.split("\t", 1) for line in answer.out.splitlines())
        return {ref: sha for sha, ref in pairs}

    def contains(self, *, ancestor: str, descendant: str) -> bool:
        """Tell whether a commit has another in its history, or is it."""
        older, newer = self.commit(ancestor), self.commit(descendant)
        answer = self.git.run("merge-base", "--is-ancestor", older, newer)
        if answer.status not in (0, 1):
            raise failure(answer, doing="git merge-base", deadline=LOCAL)
        return answer.status == 0

    # -- merging

    def merge(self, ours: str, theirs: str, message: str) -> str:
        """Make a merge and keep it under a ref of its own, so that Git never tidies it away."""
        sides = self.commit(ours), self.commit(theirs)
        with self.writing:
            tree = self._merged_tree(*sides)
            stamps = self.git.ask("show", "--no-patch", "--format=%ct", *sides).split()
            date = f"@{max(int(stamp) for stamp in stamps)} +0000"
            parents = [word for side in sides for word in ("-p", side)]
            made = self.git.ask("commit-tree", tree, *parents, "-m", message, env=self._identity(date)).strip()
            self.git.ask("update-ref", f"refs/releasebot/merges/{made}", made)
        return made

    def is_plain_merge(self, parents: tuple[str, ...], tree: str) -> bool:
        """Tell whether a merge of two is exactly what Git makes of its parents: it brings nothing of its own."""
        if len(parents) != 2:  # noqa: PLR2004  # an octopus merge is no plain one
            return False
        answer = self._merge_tree(*parents)
        return answer.status == 0 and answer.out.partition("\0")[0] == tree

    def _merged_tree(self, ours: str, theirs: str) -> str:
        answer = self._merge_tree(ours, theirs)
        tree, *paths = answer.out.rstrip("\0").split("\0")
        if answer.status == 1:
            raise Refused(
                f"{theirs:.8} does not merge into {ours:.8} by itself; in conflict: {', '.join(paths)}.",
                hint="merge by hand, push, then try again",
                changed="Nothing was pushed.",
            )
        if answer.status:
            raise failure(answer, doing="Merging", deadline=LOCAL)
        return tree

    def _merge_tree(self, ours: str, theirs: str) -> Answer:
        return self.git.run("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)

    def _identity(self, date: str) -> Mapping[str, str]:
        who = {"NAME": self.settings.committer_name, "EMAIL": self.settings.committer_email, "DATE": date}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}

    # -- being there

    def _make_ready(self) -> None:
        with self.writing, _disk(self.settings.mirror):
            if self._ready:
                return
            if not (self.settings.mirror / "HEAD").exists():
                self._make()
            if self.git.ask("rev-parse", "--is-bare-repository").strip() != "true":
                raise _in_the_way(self.settings.mirror)
            self.git.ask("config", "remote.origin.url", self.settings.url)
            self.git.ask("config", "--replace-all", "remote.origin.fetch", REFSPECS[0])
            self.git.ask("config", "--add", "remote.origin.fetch", REFSPECS[1])
            self._ready = True

    def _make(self) -> None:
        mirror = self.settings.mirror
        mirror.parent.mkdir(parents=True, exist_ok=True)
        if mirror.exists() and (not mirror.is_dir() or any(mirror.iterdir())):
            raise _in_the_way(mirror)
        fresh = Path(tempfile.mkdtemp(prefix=f".{mirror.name}-", dir=mirror.parent))
        try:
            self.git.ask("init", "--bare", "--quiet", "--template=", env={"GIT_DIR": str(fresh)})
            fresh.rename(mirror)  # complete, or not there
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def checked(name: str) -> str:
    """Return the name of a branch or tag; raises `WrongUse` for what Git would not take as one."""
    if not _NAME.fullmatch(name):
        raise WrongUse(f"{name[:80]!r} cannot be the name of a branch or tag.", hint="letters, digits, dots, dashes")
    return name


def _in_the_way(mirror: Path) -> BadSettings:
    return BadSettings(
        f"repository.mirror: {mirror} is there, and is no bare repository; expected a folder of the bot's own.",
        hint="name a new folder",
    )


def _remove_abandoned(lock: Path) -> bool:
    """Remove a lock file that a killed Git left behind; a younger one may belong to a process that still runs."""
    try:
        abandoned = time.time() - lock.stat().st_mtime > _ABANDONED
    except FileNotFoundError:
        return True
    if abandoned:
        lock.unlink(missing_ok=True)
    return abandoned


@contextmanager
def _disk(mirror: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The mirror {mirror} cannot be made or read: {error.strerror}.", hint="look at its disk and its owner"
        ) from error
