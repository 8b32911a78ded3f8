"""What GitHub would know about a bare repository: commits, squash-merged pull requests, CI. No HTTP here."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sandbox.history import Talk
from sandbox.processes import output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

JOBS = (
    "generate-graphql-schema",
    "test-pycode-format",
    "test-postprocessing",
    "test-engine",
    "test-graphql",
    "test-webapp",
)
DEFAULT_CI = {**dict.fromkeys(JOBS, "success"), "sci-test-on-demand": "failure"}
SQUASHED = re.compile(r"^(?P<title>.*) \(#(?P<number>\d+)\)$")
NOREPLY = re.compile(r"^(?:\d+\+)?(?P<login>[^@]+)@users\.noreply\.github\.com$")
SILENT = Talk()
_FORMAT = "%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cI%x1f%s%x1f%b%x1e"


@dataclass(frozen=True, slots=True)
class GitCommit:
    """A commit as ``git log`` prints it; dates are ISO 8601."""

    sha: str
    parents: tuple[str, ...]
    name: str
    email: str
    authored: str
    committed: str
    subject: str
    body: str

    @property
    def login(self) -> str:
        """The author's GitHub login: from the address where it is one of GitHub's, else made of the name."""
        known = NOREPLY.match(self.email)
        return known["login"] if known else re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "ghost"

    @property
    def message(self) -> str:
        """Subject and body."""
        return f"{self.subject}\n\n{self.body}".strip()


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request that was squash-merged as ``commit``."""

    number: int
    title: str
    commit: GitCommit
    talk: Talk = SILENT

    @property
    def labels(self) -> tuple[str, ...]:
        """Dependabot labels its own."""
        own = ("dependencies",) if self.commit.login.startswith("dependabot") else ()
        return (*own, *self.talk.labels)

    @property
    def body(self) -> str:
        """What its author wrote, else what went into the commit."""
        return self.talk.body or self.commit.body


@dataclass(frozen=True, slots=True)
class Report:
    """What CI reported of one job, and when. ``kind`` is ``status`` or ``check``."""

    job: str
    state: str
    kind: str = "status"
    since: datetime | None = None


@dataclass
class Ci:
    """The state of every job for every commit: green by default; ``missing`` takes a job's report away."""

    default: dict[str, str] = field(default_factory=lambda: dict(DEFAULT_CI))
    changed: dict[tuple[str, str], Report] = field(default_factory=dict)
    _coming: list[tuple[float, str, Report]] = field(default_factory=list)

    def set(self, sha: str, job: str, state: str, *, kind: str = "status") -> None:
        """Let CI report ``success``, ``failure``, ``error``, ``pending`` or ``missing`` for one job of one commit."""
        self.changed[sha, job] = Report(job, state, kind, datetime.now(UTC))

    def later(self, seconds: float, sha: str, job: str, state: str) -> None:
        """Let CI report that once so much time has gone by."""
        kind = self.changed[sha, job].kind if (sha, job) in self.changed else "status"
        self._coming.append((time.monotonic() + seconds, sha, Report(job, state, kind)))

    def all(self, sha: str) -> Sequence[Report]:
        """Return every job of a commit, those that were not reported as ``missing``."""
        due = [one for one in self._coming if one[0] <= time.monotonic()]
        self._coming = [one for one in self._coming if one not in due]
        for _, commit, report in due:
            self.set(commit, report.job, report.state, kind=report.kind)
        jobs = {job: Report(job, state) for job, state in self.default.items()}
        return list((jobs | {job: one for (commit, job), one in self.changed.items() if commit == sha}).values())

    def reports(self, sha: str, kind: str) -> Sequence[Report]:
        """Return the reports of one kind for a commit."""
        return [report for report in self.all(sha) if report.kind == kind and report.state != "missing"]


@dataclass
class Forge:
    """Reads the bare repository, again whenever its refs have changed."""

    bare: Path
    talk: Mapping[int, Talk] = field(default_factory=dict)  # by pull request
    _refs: str = ""
    _commits: dict[str, GitCommit] = field(default_factory=dict)
    _pulls: dict[int, Pull] = field(default_factory=dict)

    async def git(self, *arguments: str) -> str:
        """Run Git in the bare repository; `Unavailable` when it fails."""
        return await output(["git", "-C", str(self.bare), *arguments])

    async def commits(self) -> Mapping[str, GitCommit]:
        """Return every commit that a branch or tag holds."""
        await self._refresh()
        return self._commits

    async def pulls(self) -> Mapping[int, Pull]:
        """Return every pull request, read from the subjects of master and release."""
        await self._refresh()
        return self._pulls

    async def resolve(self, ref: str) -> str:
        """Return the commit that a branch, tag or (short) id means; `Unavailable` when it means none."""
        for name in (f"refs/heads/{ref}", ref):
            listed = await self.git("for-each-ref", "--format=%(objectname)", name)
            if listed.strip():
                return listed.strip()
        return (await self.git("rev-parse", "--verify", "-q", f"{ref}^{{commit}}")).strip()

    async def log(self, *range_: str) -> list[GitCommit]:
        """Return the commits of a range, newest first."""
        return parse_log(await self.git("log", f"--format={_FORMAT}", *range_, "--"))

    async def names(self, kind: str) -> Mapping[str, str]:
        """Return the ``heads`` or ``tags`` and the commits behind them."""
        form = "%(refname:strip=2) %(objectname) %(*objectname)"
        lines = (await self.git("for-each-ref", f"--format={form}", f"refs/{kind}")).splitlines()
        return {words[0]: words[-1] for words in (line.split() for line in lines)}

    async def changes(self, base: str, head: str) -> Sequence[tuple[str, str, int, int]]:
        """Return path, GitHub's word for what happened to it, and lines added and deleted."""
        words = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "T": "changed"}
        states = (await self.git("diff", "--no-renames", "--name-status", "-z", base, head)).split("\0")
        happened = dict(zip(states[1::2], states[0::2], strict=False))
        rows = [
            row.split("\t")
            for row in (await self.git("diff", "--no-renames", "--numstat", "-z", base, head)).split("\0")
        ]
        return [
            (path, words.get(happened[path], "modified"), _number(plus), _number(minus))
            for plus, minus, path in rows[:-1]
        ]

    async def _refresh(self) -> None:
        refs = await self.git("for-each-ref", "--format=%(objectname) %(refname)")
        if refs == self._refs:
            return
        self._commits = {commit.sha: commit for commit in await self.log("--all")}
        squashed = [(match, commit) for commit in self._commits.values() if (match := SQUASHED.match(commit.subject))]
        pulls = [(int(match["number"]), match["title"], commit) for match, commit in squashed]
        self._pulls = {number: Pull(number, title, one, self.talk.get(number, SILENT)) for number, title, one in pulls}
        self._refs = refs


def parse_log(text: str) -> list[GitCommit]:
    """Read what ``git log`` printed in our format."""
    found = []
    for entry in text.split("\x1e"):
        if entry.strip():
            sha, parents, *rest = entry.strip("\n").split("\x1f")
            found.append(GitCommit(sha, tuple(parents.split()), *rest))
    return found


def _number(count: str) -> int:
    return int(count) if count.isdigit() else 0
