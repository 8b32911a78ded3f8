"""What steps and the engine need of the world, in the domain's words.

Every method raises only errors of `bot.domain.errors`: `Unavailable` when the system does not answer, `Refused` when it says
no, each with the next thing to try. Every parameter is keyword-only. Deadlines are the implementation's own, and documented there.

What changes something outside is marked: `effect` says after how many seconds it has ended, one way or the other. The engine
begins it only under a lease that lasts longer, and ends it then (`bot.engine.guard`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.effects import effect, within
from bot.search_ports import DatasetDatabase, Reindexing, SearchIndices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.domain.asking import Asked
    from bot.domain.changes import History
    from bot.domain.world import (
        Check,
        Checkout,
        Chunk,
        CommitInfo,
        ConfigurationState,
        IssueInfo,
        IssueText,
        JobReport,
        JobSpec,
        Look,
        PlaybookEvent,
        Posted,
        Program,
        PublishedRelease,
        PullRequestInfo,
        ReflogEntry,
        RefUpdate,
        RemoteTag,
        SystemHealth,
        Workflow,
        Workload,
    )

__all__ = ["DatasetDatabase", "Reindexing", "SearchIndices", "effect", "within"]


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    async def sleep(self, *, seconds: float) -> None: ...


class Repository(Protocol):
    """METASPACE's code repository: the bot's own mirror and its remote."""

    async def fetch(self) -> None:
        """Bring the mirror up to date with the remote (branches and tags; pruned)."""

    async def branch_head(self, *, branch: str) -> str:
        """Return the commit that the remote's branch is at this moment (asked of the remote, not of the mirror)."""

    async def remote_tag(self, *, name: str) -> RemoteTag | None:
        """Return the tag as the remote has it this moment, or None."""

    async def version_tags(self) -> Mapping[str, str]:
        """Return the remote's tags of the form x.y.z and the commits behind them."""

    async def is_ancestor(self, *, ancestor: str, descendant: str) -> bool:
        """Tell whether ``descendant`` contains ``ancestor`` (a commit contains itself)."""

    async def only_in(self, *, ref: str, not_in: str) -> Sequence[CommitInfo]:
        """Return the commits of ``ref`` that ``not_in`` lacks, newest first, merges whose content is there left out."""

    async def merge(self, *, ours: str, theirs: str, message: str) -> str:
        """Make (not push) the merge of two commits in the mirror and return it; `Refused` names the conflicting paths.

        The same commits and message make the same merge, wherever and whenever: its parents are ``ours`` and ``theirs``,
        author and committer are the configured one, and both dates are the later of the parents' committer dates.
        """

    @effect(within=300)
    async def push(self, *, updates: Sequence[RefUpdate]) -> None:
        """Push all or nothing, never by force, each ref only from its expected old value; then read the remote back.

        Raises `Refused` naming the ref that had moved, or the remote's own words when it rejected the push.
        """

    @effect(within=300)
    async def push_tag(self, *, name: str, target: str, message: str) -> None:
        """Make an annotated tag and push it; `Refused` if the remote has a tag of that name already."""

    def history(self) -> History:
        """Return a reader of the mirror for reviews; its methods block and belong in a thread."""


class CodeHost(Protocol):
    """GitHub, as a release sees it."""

    async def checks(self, *, sha: str) -> Sequence[Check]:
        """Return what CI reported for exactly this commit, statuses and check runs, newest report of each job."""

    async def pull_request_authors(self, *, numbers: Sequence[int]) -> Mapping[int, str]:
        """Return the GitHub login of each pull request's author; numbers that GitHub does not know are left out."""

    async def pull_requests(self, *, numbers: Sequence[int]) -> Mapping[int, PullRequestInfo]:
        """Return the pull requests of these numbers; those that GitHub does not know are left out."""

    async def issues(self, *, numbers: Sequence[int]) -> Mapping[int, IssueInfo]:
        """Return the issues of these numbers; pull requests, and those that GitHub does not know, are left out."""

    async def published(self, *, tag: str) -> PublishedRelease | None:
        """Return the release that is published for this tag, or None."""

    @effect(within=60)
    async def publish(self, *, tag: str, commit: str, title: str, body: str) -> None:
        """Publish a release for a tag that is there; `Conflict` when there is one already: never two."""

    async def comments(self, *, number: int) -> Sequence[str] | None:
        """Return the texts of all comments on a pull request, oldest first; None when GitHub does not know it."""

    @effect(within=60)
    async def comment(self, *, number: int, body: str) -> None:
        """Write a comment on a pull request; `Refused` where GitHub allows none (a locked conversation)."""

    async def find_issue(self, *, mark: str, since: datetime) -> IssueText | None:
        """Return the oldest issue, open or closed, whose text has ``mark``; only those that changed since then are looked at."""

    async def read_issue(self, *, number: int) -> IssueText | None:
        """Return an issue as it is this moment; None when GitHub does not know it (any more)."""

    @effect(within=60)
    async def open_issue(self, *, title: str, body: str) -> IssueText:
        """Open an issue. GitHub opens as many as it is asked for, so look first (`find_issue`)."""

    @effect(within=60)
    async def edit_issue(self, *, number: int, body: str) -> None:
        """Replace an issue's text; harmless when repeated."""

    def compare_url(self, *, base: str, head: str) -> str: ...


class Pipelines(Protocol):
    """The CI system itself: what runs right now, which GitHub's statuses do not tell, and running it again."""

    async def workflows(self, *, sha: str, branch: str = "") -> Sequence[Workflow]:
        """Return the newest run of each workflow for exactly this commit, with its jobs; empty when there is none."""

    @effect(within=60)
    async def rerun_failed(self, *, workflow: str) -> None:
        """Run a workflow's failed jobs, and those that wait for them, once more. Not harmless when repeated."""


class Jobs(Protocol):
    """Long processes on one host, inside tmux, under a wrapper that writes log, heartbeat and, atomically, exit status."""

    @effect(within=150)
    async def start(self, *, spec: JobSpec) -> None:
        """Start it; harmless when a job of that name already exists; `Conflict` when its lock is held by another."""

    async def look(self, *, name: str) -> JobReport | None:
        """Return what is known of the job, or None if it was never started."""

    async def find(self, *, marks: Mapping[str, str]) -> Sequence[JobReport]:
        """Return every job whose marks include these, oldest first."""

    async def read(self, *, name: str, file: str, offset: int, limit: int = 65536) -> Chunk:
        """Return whole lines of the job's ``log`` or of another file in its folder (``events.jsonl``), from a byte offset."""

    @effect(within=120)
    async def stop(self, *, name: str) -> None:
        """End the job's processes: TERM, then KILL; its receipt then says so."""

    def attach_line(self, *, name: str) -> str:
        """Return the line that a person types to look at the job by hand."""


class Playbooks(Protocol):
    """Ansible on the control host: its own environment, a clean checkout of one commit, the configuration beside it."""

    async def configuration(self) -> ConfigurationState: ...

    async def variables(self) -> frozenset[str]:
        """Return the names of the variables that the kept configuration defines; values are never read."""

    @effect(within=300)
    async def update_configuration(self) -> ConfigurationState:
        """Check out master of the configuration repository and pull, fast-forward only; `Refused` when it is dirty."""

    @effect(within=1000)
    async def prepare(self, *, commit: str) -> str:
        """Make the clean checkout with configuration and vault password in place, and return its folder; repeatable."""

    def deploy_job(self, *, name: str, folder: str, release: str, commit: str, tags: Sequence[str]) -> JobSpec:
        """Return the job that runs ``deploy/web.yml`` with ``metaspace_branch`` = the full SHA."""

    def deploy_commands(self, *, commit: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Return the argument list for people, the same that `deploy_job` runs."""

    def folders(self, *, commit: str) -> tuple[str, str]:
        """Return where a person types the commands: the Ansible folder of a commit's checkout, and the configuration's clone."""

    def parse(self, *, lines: str) -> Sequence[PlaybookEvent]:
        """Read the JSON-lines callback's output; a line that is no event is passed over."""


class Server(Protocol):
    """The web server that is released to."""

    async def checkout(self) -> Checkout: ...

    async def reflog(self) -> Sequence[ReflogEntry]:
        """Return where the checkout's HEAD has been, newest first; empty where Git has kept nothing."""

    async def webapp_built_at(self) -> datetime | None:
        """Return when the webapp that is being served was built, or None when there is none."""

    async def programs(self) -> Sequence[Program]:
        """Return every supervisor program, with the start time read from the process itself."""

    async def count_in_log(self, *, words: str, since: datetime) -> int | None:
        """Return how many lines of sm-graphql's log have these words since then; None where there is no log."""

    @effect(within=90)
    async def restart(self, *, program: str) -> None: ...


class Site(Protocol):
    """METASPACE from outside."""

    async def look(self) -> Look:
        """Ask front page and GraphQL once. Never raises for a site that is down: that is an answer."""


class Platform(Protocol):
    """METASPACE's GraphQL, as an administrator sees it."""

    async def health(self) -> SystemHealth: ...

    @effect(within=30)
    async def set_health(self, *, health: SystemHealth) -> None:
        """Replace the whole state (both booleans are always sent) and read it back."""

    async def workload(self) -> Workload: ...


class Announcements(Protocol):
    """Messages for people that belong to a release, each known by its key and posted once."""

    async def post(self, *, key: str, text: str) -> Posted:
        """Post (or, for a key already posted, edit) and return once Slack has it."""

    async def find(self, *, key: str) -> Posted | None:
        """Look in Slack itself for the message of this key."""


class AuthorQuestions(Protocol):
    """What authors were asked, and who they are: rows of ours."""

    async def asked(self, *, environment: str, pulls: Sequence[int]) -> Sequence[Asked]:
        """Return every question about these pull requests, answered or not, oldest first."""

    async def links(self) -> Mapping[str, str]:
        """Return who was linked: GitHub login or e-mail → Slack id."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The world of one environment."""

    clock: Clock
    repository: Repository
    code_host: CodeHost
    control_jobs: Jobs
    playbooks: Playbooks
    server: Server
    site: Site
    platform: Platform
    announcements: Announcements
    authors: AuthorQuestions
    pipelines: Pipelines | None = None  # without a token there is none
    web_jobs: Jobs | None = None
    indices: SearchIndices | None = None  # these three only where the settings name Elasticsearch and PostgreSQL
    datasets: DatasetDatabase | None = None
    reindexing: Reindexing | None = None
