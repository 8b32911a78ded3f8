"""Facts that ports bring back from the world, and the requests they take. All times are aware, UTC, on the bot's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ABSENT = "0" * 40  # Git's own sign for "no such ref"


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """Move ``ref`` (full name) on the remote from ``old`` to ``new``, or not at all; ``old`` is `ABSENT` for a new ref."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RemoteTag:
    """A tag as the remote has it. ``target`` is the commit behind it; a lightweight tag has no message and no tagger."""

    name: str
    target: str
    annotated: bool
    message: str = ""
    tagger: str = ""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit for people."""

    sha: str
    subject: str
    author: str
    at: datetime


class CheckState(StrEnum):
    """What CI says of one job for one commit. ``missing``: CI never reported it, which is not a pass."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One CI job for one commit, from commit statuses or check runs; ``name`` is the bare job name (``test-webapp``)."""

    name: str
    state: CheckState
    url: str = ""


@dataclass(frozen=True, slots=True)
class PipelineJob:
    """One job as the CI system itself knows it; ``status`` is its own word ("infrastructure_fail", "queued")."""

    name: str
    state: CheckState
    status: str = ""
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """The newest run of one workflow for a commit. ``running`` also while some of its jobs have failed already."""

    id: str
    name: str
    status: str
    running: bool
    jobs: tuple[PipelineJob, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class PullRequestInfo:
    """A pull request as GitHub has it. ``issues`` are the numbers that its text says it closes."""

    number: int
    title: str
    author: str
    labels: tuple[str, ...] = ()
    body: str = ""
    issues: tuple[int, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class IssueInfo:
    """An issue as GitHub has it."""

    number: int
    title: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueText:
    """An issue with what stands in it."""

    number: int
    title: str
    body: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class PublishedRelease:
    """A release on GitHub, published for a tag; not a draft, which only its makers see."""

    tag: str
    title: str
    body: str
    url: str = ""


class JobState(StrEnum):
    """A job on a server. ``lost``: it was started, wrote no exit status, and its process is gone."""

    RUNNING = "running"
    FINISHED = "finished"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A long process for a server. ``name`` is fixed, so starting it twice is refused by the world itself.

    ``lock`` names a lock file: two jobs with the same lock never run at once. ``marks`` are written into the receipt.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)
    lock: str = ""
    nice: bool = False


@dataclass(frozen=True, slots=True)
class JobReport:
    """What the wrapper on the server wrote about a job: its receipt once finished (``exit_status`` is then set)."""

    name: str
    state: JobState
    started_at: datetime
    heartbeat_at: datetime
    marks: Mapping[str, str]
    finished_at: datetime | None = None
    exit_status: int | None = None

    @property
    def order(self) -> str:
        """The name of the order that it carries out (`bot.domain.reindexing`): several jobs may, one after another."""
        return self.marks.get("order", self.name)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes ``[offset, next_offset)`` of a file on a server, as text cut at a whole line."""

    text: str
    next_offset: int


@dataclass(frozen=True, slots=True)
class PlaybookEvent:
    """One line of the JSON-lines callback. ``status``: started, ok, changed, skipped, failed, unreachable, finished."""

    at: datetime
    status: str
    task: str
    role: str = ""
    host: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationState:
    """The Ansible configuration repository on the control host."""

    branch: str
    commit: str
    remote_commit: str
    dirty: tuple[str, ...] = ()  # paths


@dataclass(frozen=True, slots=True)
class Program:
    """One supervisor program. ``group`` equals ``name`` for a single one. ``state`` is supervisor's own word (RUNNING, FATAL …)."""

    name: str
    group: str
    state: str
    pid: int | None = None
    started_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The server's checkout of METASPACE."""

    commit: str
    branch: str  # empty when detached
    dirty: bool


@dataclass(frozen=True, slots=True)
class ReflogEntry:
    """One move of a checkout's HEAD: to which commit, when, and Git's own words for it."""

    sha: str
    at: datetime
    action: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the site from outside. ``latency`` in seconds."""

    at: datetime
    ok: bool
    latency: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """METASPACE's own switches, as `systemHealth` returns them."""

    can_mutate: bool
    can_process_datasets: bool
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """What METASPACE is working on: datasets by status, and messages waiting in each queue."""

    queued: int
    annotating: int
    queues: Mapping[str, int] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Nothing is queued, annotating or waiting in a queue."""
        return not (self.queued or self.annotating or any(self.queues.values()))


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that Slack has."""

    channel: str
    ts: str
    permalink: str = ""
