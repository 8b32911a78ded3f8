"""METASPACE's code repository: the bot's own bare mirror and its remote, over GitPython.

Deadlines: asking the remote 30 s, pushing 120 s, fetching 900 s, work in the mirror 60 s. What writes to the mirror runs one
at a time; the lock is held by the working thread, so that a caller that is cancelled leaves no second writer behind.
Git 2.38 or newer is needed (``merge-tree --write-tree``).
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot import permit
from bot.domain.errors import Refused, ReleaseError, Unavailable, WrongUse
from bot.domain.world import ABSENT, CommitInfo, RefUpdate, RemoteTag
from integrations.gitcommand import PUSH, failure
from integrations.gitmirror import SHA, Mirror, checked
from integrations.gitpush import lease, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.domain.changes import History
    from bot.settings import RepositorySettings
    from integrations.gitcommand import Answer

_VERSION = re.compile(r"refs/tags/((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))")
_SIGNATURE = "-----BEGIN PGP SIGNATURE-----"
_HEADS = "refs/heads/"


class GitRepository:
    """Implements `bot.ports.Repository`."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._mirror = Mirror(settings)

    async def fetch(self) -> None:
        """Bring the mirror up to date, making it when it is not there; it follows the remote wherever that went."""
        await asyncio.to_thread(self._mirror.fetch)

    async def branch_head(self, *, branch: str) -> str:
        """Ask the remote for a branch's commit; raises `Refused` when it has no such branch."""
        ref = f"{_HEADS}{checked(branch)}"
        found = await asyncio.to_thread(self._mirror.remote_refs, ref)
        if ref not in found:
            raise Refused(f"The remote has no branch {branch}.", hint="look at the branches in the settings")
        return found[ref]

    async def remote_tag(self, *, name: str) -> RemoteTag | None:
        """Ask the remote for a tag; an annotated tag's object is fetched when the mirror lacks it."""
        return await asyncio.to_thread(self._remote_tag, checked(name))

    async def version_tags(self) -> Mapping[str, str]:
        """Ask the remote for its tags x.y.z and the commits behind them, in numeric order."""
        found = await asyncio.to_thread(self._mirror.remote_refs, "refs/tags/*")
        names = (match[1] for ref in found if (match := _VERSION.fullmatch(ref)))
        ordered = sorted(names, key=lambda name: [int(part) for part in name.split(".")])
        return {name: found.get(f"refs/tags/{name}^{{}}", found[f"refs/tags/{name}"]) for name in ordered}

    async def is_ancestor(self, *, ancestor: str, descendant: str) -> bool:
        """Look in the mirror, which is fetched once if it lacks one of the two."""
        return await asyncio.to_thread(self._mirror.contains, ancestor=ancestor, descendant=descendant)

    async def only_in(self, *, ref: str, not_in: str) -> Sequence[CommitInfo]:
        """Leave out what is there in content: picked commits, and merges that are what Git makes of their parents."""
        return await asyncio.to_thread(self._only_in, ref, not_in)

    async def merge(self, *, ours: str, theirs: str, message: str) -> str:
        """Make the merge in the mirror; `Refused` names the paths in conflict."""
        return await asyncio.to_thread(self._mirror.merge, ours, theirs, message)

    async def push(self, *, updates: Sequence[RefUpdate]) -> None:
        """Push branches, each proved to be a fast-forward; where the answer was lost, what the remote has decides."""
        for update in updates:
            _check(update)
        if updates:
            await asyncio.to_thread(self._push, updates)

    async def push_tag(self, *, name: str, target: str, message: str) -> None:
        """Push a tag object that no ref of the mirror names: what a crash left there can be in nobody's way."""
        await asyncio.to_thread(self._push_tag, checked(name), target, message)

    def history(self) -> History:
        """Return a reader for one thread; its processes end with it. Raises `Unavailable` before the first fetch."""
        from integrations.history import GitHistory

        class Reader(GitHistory):
            def __del__(self) -> None:
                if hasattr(self, "_differences"):
                    self.close()

        try:
            return Reader(self._settings.mirror)
        except WrongUse as error:
            raise Unavailable("The mirror is not there yet.", hint="it is made by the first fetch: retry") from error

    # -- the same, blocking

    def _remote_tag(self, name: str) -> RemoteTag | None:
        ref = f"refs/tags/{name}"
        found = self._mirror.remote_refs(ref, f"{ref}^{{}}")
        if ref not in found:
            return None
        if f"{ref}^{{}}" not in found:
            return RemoteTag(name, found[ref], annotated=False)
        if not self._mirror.has(found[ref]):
            self._mirror.fetch_object(ref)
        header, _, text = self._mirror.git.ask("cat-file", "tag", found[ref]).partition("\n\n")
        taggers = (line.removeprefix("tagger ") for line in header.splitlines() if line.startswith("tagger "))
        tagger = next(taggers, "").rsplit(" ", 2)[0]
        return RemoteTag(name, found[f"{ref}^{{}}"], annotated=True, message=text.split(_SIGNATURE)[0], tagger=tagger)

    def _only_in(self, ref: str, not_in: str) -> Sequence[CommitInfo]:
        span = f"{self._mirror.commit(not_in)}...{self._mirror.commit(ref)}"
        form = "--format=%H%n%P%n%T%n%ct%n%an%n%s"
        out = self._mirror.git.ask("log", "-z", "--right-only", "--cherry-pick", "--date-order", form, span)
        records = (record.strip("\n").split("\n", 5) for record in out.split("\0") if record)
        return [
            CommitInfo(sha, subject, author, datetime.fromtimestamp(int(at), UTC))
            for sha, parents, tree, at, author, subject in records
            if not self._mirror.is_plain_merge(tuple(parents.split()), tree)
        ]

    def _push(self, updates: Sequence[RefUpdate]) -> None:
        for update in updates:
            self._prove(update)
        self._send(updates)

    def _prove(self, update: RefUpdate) -> None:
        if update.old == ABSENT:
            self._mirror.commit(update.new)
        elif not self._mirror.contains(ancestor=update.old, descendant=update.new):
            raise Refused(
                f"{update.ref}: {update.new:.8} does not contain {update.old:.8}: moving it there would lose commits.",
                hint="merge first; nothing is ever pushed by force",
                changed="Nothing was pushed.",
            )

    def _send(self, updates: Sequence[RefUpdate]) -> None:
        words = [*map(lease, updates), "origin", *(f"{update.new}:{update.ref}" for update in updates)]
        with self._mirror.writing:
            permit.demand(outliving=PUSH)
            answer = self._mirror.git.run("push", "--atomic", "--porcelain", "--no-verify", *words, deadline=PUSH)
        seen = self._read_back(updates, answer)
        if any(seen.get(update.ref, ABSENT) != update.new for update in updates):
            raise refusal(answer, updates, seen)

    def _read_back(self, updates: Sequence[RefUpdate], pushed: Answer) -> Mapping[str, str]:
        try:
            return self._mirror.remote_refs(*(update.ref for update in updates))
        except ReleaseError as error:
            error.changed = "It is not known whether the push arrived."
            if pushed.status and not pushed.late:
                raise failure(pushed, doing="Pushing", deadline=PUSH, changed=error.changed) from error
            raise

    def _push_tag(self, name: str, target: str, message: str) -> None:
        commit = self._mirror.commit(target)
        there = self._remote_tag(name)
        if there is not None:
            raise Refused(
                f"The remote has a tag {name} already, at {there.target:.8}.",
                hint="take the next version: a pushed tag is never moved or deleted",
                changed="Nothing was pushed.",
            )
        self._send([RefUpdate(f"refs/tags/{name}", ABSENT, self._make_tag(name, commit, message))])

    def _make_tag(self, name: str, commit: str, message: str) -> str:
        tagger = f"{self._settings.committer_name} <{self._settings.committer_email}> {int(time.time())} +0000"
        text = message if message.endswith("\n") else f"{message}\n"
        contents = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{text}"
        with self._mirror.writing:
            return self._mirror.git.ask("mktag", feed=contents).strip()


def _check(update: RefUpdate) -> None:
    """A push moves branches from a full SHA to a full SHA, and deletes none."""
    if not update.ref.startswith(_HEADS):
        raise WrongUse(f"{update.ref} is no branch.", hint="tags are pushed by push_tag")
    checked(update.ref.removeprefix(_HEADS))
    if update.new == ABSENT or not (SHA.fullmatch(update.old) and SHA.fullmatch(update.new)):
        raise WrongUse(f"{update.ref} is moved from a full SHA to a full SHA, and never deleted.")
