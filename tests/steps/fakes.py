"""Fakes written by hand, one a port. They behave like the world: what one call changes, the next one sees."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.domain.errors import Conflict, Refused
from bot.domain.world import (
    ABSENT,
    Check,
    Checkout,
    CheckState,
    Chunk,
    CommitInfo,
    ConfigurationState,
    IssueInfo,
    IssueText,
    JobReport,
    JobSpec,
    JobState,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.domain.asking import Asked
    from bot.domain.changes import History

START = datetime(2026, 8, 3, 10, 0, tzinfo=UTC)


def sha(name: str) -> str:
    """A commit id for a word."""
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


class Killed(BaseException):
    """The bot died here."""


@dataclass
class Tap:
    """Stands in front of every port: counts calls, injects failures, kills the bot before or after any call."""

    calls: list[str] = field(default_factory=list)
    failures: dict[str, list[tuple[Exception, bool]]] = field(default_factory=dict)
    kill_at: int | None = None
    kill_after_effect: bool = False

    def fail(self, method: str, error: Exception, *, times: int = 1, after_effect: bool = False) -> None:
        self.failures.setdefault(method, []).extend([(error, after_effect)] * times)

    def wrap(self, port: Any) -> Any:
        return _Tapped(port, self)

    async def call(self, method: str, effect: Callable[..., Any], **words: Any) -> Any:
        self.calls.append(method)
        mine = self.kill_at is not None and len(self.calls) == self.kill_at
        if mine and not self.kill_after_effect:
            raise Killed
        planned = self.failures.get(method)
        failure = planned.pop(0) if planned else None
        if failure and not failure[1]:
            raise failure[0]
        result = await effect(**words)
        if failure:
            raise failure[0]
        if mine:
            raise Killed
        return result


class _Tapped:
    def __init__(self, port: Any, tap: Tap) -> None:
        self._port, self._tap = port, tap

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not asyncio.iscoroutinefunction(method):
            return method

        async def tapped(**words: Any) -> Any:
            return await self._tap.call(name, method, **words)

        return tapped


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps. ``at`` runs things at a moment."""

    seconds: float = 0.0
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, *, seconds: float) -> None:
        self.seconds += seconds
        due = [plan for plan in self.plans if plan[0] <= self.seconds]
        self.plans = [plan for plan in self.plans if plan[0] > self.seconds]
        for _, action in due:
            action()
        await asyncio.sleep(0)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        self.plans.append((seconds, action))


@dataclass
class FakeRepository:
    """A commit graph, branches and tags on one remote."""

    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, RemoteTag] = field(default_factory=dict)
    pushes: list[tuple[RefUpdate, ...]] = field(default_factory=list)
    pushed_tags: list[str] = field(default_factory=list)
    rejection: str = ""

    def commit(self, name: str, *parents: str) -> str:
        self.parents[sha(name)] = parents
        return sha(name)

    def ancestors(self, commit: str) -> set[str]:
        seen: set[str] = set()
        todo = [commit]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo.extend(self.parents.get(one, ()))
        return seen

    async def fetch(self) -> None:
        return None

    async def branch_head(self, *, branch: str) -> str:
        return self.branches[branch]

    async def remote_tag(self, *, name: str) -> RemoteTag | None:
        return self.tags.get(name)

    async def version_tags(self) -> Mapping[str, str]:
        return {name: tag.target for name, tag in self.tags.items()}

    async def is_ancestor(self, *, ancestor: str, descendant: str) -> bool:
        return ancestor in self.ancestors(descendant)

    async def only_in(self, *, ref: str, not_in: str) -> Sequence[CommitInfo]:
        return [
            CommitInfo(one, f"Subject of {one[:4]}", "Ada", START)
            for one in sorted(self.ancestors(ref) - self.ancestors(not_in))
        ]

    async def merge(self, *, ours: str, theirs: str, message: str) -> str:
        return self.commit(f"{ours} {theirs} {message}", ours, theirs)

    async def push(self, *, updates: Sequence[RefUpdate]) -> None:
        if self.rejection:
            raise Refused(f"The remote rejected the push: {self.rejection}", hint="ask an administrator")
        for update in updates:
            branch = update.ref.removeprefix("refs/heads/")
            if self.branches.get(branch, ABSENT) != update.old:
                raise Refused(f"{update.ref} has moved.", hint="/release review")
            assert update.old in self.ancestors(update.new), "never by force"
        for update in updates:
            self.branches[update.ref.removeprefix("refs/heads/")] = update.new
        self.pushes.append(tuple(updates))

    async def push_tag(self, *, name: str, target: str, message: str) -> None:
        if name in self.tags:
            raise Refused(f"The remote has a tag {name} already.", hint="choose the next version")
        self.tags[name] = RemoteTag(name, target, annotated=True, message=message, tagger="releasebot")
        self.pushed_tags.append(name)

    def history(self) -> History:
        raise AssertionError("no step reads the history")


@dataclass
class FakeCodeHost:
    """CI's reports by commit; pull requests and issues; releases and comments, which it takes once and for all."""

    reports: dict[str, list[Check]] = field(default_factory=dict)
    pulls: dict[int, PullRequestInfo] = field(default_factory=dict)
    linked: dict[int, IssueInfo] = field(default_factory=dict)
    releases: dict[str, PublishedRelease] = field(default_factory=dict)
    written: dict[int, list[str]] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    opened: dict[int, IssueText] = field(default_factory=dict)
    authors: dict[int, str] = field(default_factory=dict)

    def report(self, commit: str, **states: CheckState) -> None:
        self.reports[commit] = [
            Check(name.replace("_", "-"), state, f"https://ci/{name}") for name, state in states.items()
        ]

    async def checks(self, *, sha: str) -> Sequence[Check]:
        return self.reports.get(sha, [])

    async def pull_request_authors(self, *, numbers: Sequence[int]) -> Mapping[int, str]:
        known = {number: pull.author for number, pull in self.pulls.items()} | self.authors
        return {number: known[number] for number in numbers if number in known}

    async def pull_requests(self, *, numbers: Sequence[int]) -> Mapping[int, PullRequestInfo]:
        return {number: self.pulls[number] for number in numbers if number in self.pulls}

    async def issues(self, *, numbers: Sequence[int]) -> Mapping[int, IssueInfo]:
        return {number: self.linked[number] for number in numbers if number in self.linked}

    async def published(self, *, tag: str) -> PublishedRelease | None:
        return self.releases.get(tag)

    async def publish(self, *, tag: str, commit: str, title: str, body: str) -> None:
        if tag in self.releases:
            raise Conflict(f"GitHub has a release for {tag} already.", hint="look at it there")
        self.releases[tag] = PublishedRelease(tag, title, body, f"https://github.test/releases/{tag}")

    async def comments(self, *, number: int) -> Sequence[str] | None:
        return tuple(self.written[number]) if number in self.written else None

    async def comment(self, *, number: int, body: str) -> None:
        if number in self.locked:
            raise Refused(f"GitHub does not let us write a comment on #{number}: locked.", hint="unlock it")
        self.written[number].append(body)

    async def find_issue(self, *, mark: str, since: datetime) -> IssueText | None:
        return next((one for one in self.opened.values() if mark in one.body), None)

    async def read_issue(self, *, number: int) -> IssueText | None:
        return self.opened.get(number)

    async def open_issue(self, *, title: str, body: str) -> IssueText:
        number = 2000 + len(self.opened)
        self.opened[number] = IssueText(number, title, body, f"https://github.test/issues/{number}")
        return self.opened[number]

    async def edit_issue(self, *, number: int, body: str) -> None:
        self.opened[number] = replace(self.opened[number], body=body)

    def compare_url(self, *, base: str, head: str) -> str:
        return f"https://github.test/compare/{base[:8]}...{head[:8]}"


@dataclass
class FakePipelines:
    """CI's own runs, by commit; a rerun makes its workflow run again."""

    runs: dict[str, list[Workflow]] = field(default_factory=dict)
    reruns: list[str] = field(default_factory=list)

    async def workflows(self, *, sha: str, branch: str = "") -> Sequence[Workflow]:
        return self.runs.get(sha, [])

    async def rerun_failed(self, *, workflow: str) -> None:
        self.reruns.append(workflow)


@dataclass
class FakeJob:
    """One job of the fake control host: how long it takes and how it ends (None: it dies without a word)."""

    spec: JobSpec
    started_at: datetime
    ends_at: datetime
    exit_status: int | None
    events: str
    ended: bool = False


@dataclass
class FakeJobs:
    """A control host. ``outcomes`` are the exit statuses of the coming jobs; None dies without leaving one."""

    clock: FakeClock
    outcomes: list[int | None] = field(default_factory=list)
    duration: float = 60.0
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    on_start: Callable[[JobSpec], None] = lambda spec: None
    on_success: Callable[[JobSpec], None] = lambda spec: None

    async def start(self, *, spec: JobSpec) -> None:
        if spec.name in self.jobs:
            return
        if spec.lock and any(job.spec.lock == spec.lock and not self._over(job) for job in self.jobs.values()):
            raise Conflict(f"Another job holds {spec.lock}.", hint="wait for it")
        status = self.outcomes.pop(0) if self.outcomes else 0
        now = self.clock.now()
        bad = "failed|sm-graphql|Build|web|npm: out of memory\n" if status else ""
        events = f"started|checkout|Check out|web|\nstarted|sm-graphql|Build|web|\n{bad}"
        self.jobs[spec.name] = FakeJob(spec, now, now + timedelta(seconds=self.duration), status, events)
        self.on_start(spec)

    def _over(self, job: FakeJob) -> bool:
        if not job.ended and self.clock.now() >= job.ends_at:
            job.ended = True
            if job.exit_status == 0:
                self.on_success(job.spec)
        return job.ended

    def _report(self, job: FakeJob) -> JobReport:
        over = self._over(job)
        lost = over and job.exit_status is None
        state = JobState.LOST if lost else JobState.FINISHED if over else JobState.RUNNING
        return JobReport(
            name=job.spec.name,
            state=state,
            started_at=job.started_at,
            heartbeat_at=min(self.clock.now(), job.ends_at),
            marks=job.spec.marks,
            finished_at=job.ends_at if state is JobState.FINISHED else None,
            exit_status=job.exit_status if state is JobState.FINISHED else None,
        )

    async def look(self, *, name: str) -> JobReport | None:
        return self._report(self.jobs[name]) if name in self.jobs else None

    async def find(self, *, marks: Mapping[str, str]) -> Sequence[JobReport]:
        jobs = [job for job in self.jobs.values() if marks.items() <= job.spec.marks.items()]
        return [self._report(job) for job in sorted(jobs, key=lambda job: job.started_at)]

    async def read(self, *, name: str, file: str, offset: int, limit: int = 65536) -> Chunk:
        text = self.jobs[name].events[offset : offset + limit]
        return Chunk(text, offset + len(text))

    async def stop(self, *, name: str) -> None:
        self.jobs[name].ends_at = self.clock.now()

    def attach_line(self, *, name: str) -> str:
        return f"tmux -L releasebot attach -t {name}"


@dataclass
class FakePlaybooks:
    """The configuration repository and the folder for a commit."""

    clock: FakeClock
    state: ConfigurationState = field(
        default_factory=lambda: ConfigurationState("master", sha("config"), sha("config"))
    )
    prepared: list[str] = field(default_factory=list)
    pulls: int = 0

    async def configuration(self) -> ConfigurationState:
        return self.state

    async def variables(self) -> frozenset[str]:
        return frozenset()

    async def update_configuration(self) -> ConfigurationState:
        if self.state.dirty:
            raise Refused("The configuration repository is dirty.", hint="commit it")
        self.pulls += 1
        self.state = replace(self.state, branch="master", commit=self.state.remote_commit)
        return self.state

    async def prepare(self, *, commit: str) -> str:
        self.prepared.append(commit)
        return f"/srv/{commit}"

    def deploy_job(self, *, name: str, folder: str, release: str, commit: str, tags: Sequence[str]) -> JobSpec:
        argv = self._argv(commit, tags)
        return JobSpec(name, argv, folder, marks={"release": release, "commit": commit}, lock="deploy-prod")

    def deploy_commands(self, *, commit: str, tags: Sequence[str]) -> tuple[str, ...]:
        return self._argv(commit, tags)

    def folders(self, *, commit: str) -> tuple[str, str]:
        return f"/srv/{commit}", "/srv/env"

    def _argv(self, commit: str, tags: Sequence[str]) -> tuple[str, ...]:
        only = ("--tags", ",".join(tags)) if tags else ()
        return ("ansible-playbook", "-i", "env/prod", "deploy/web.yml", "-e", f"metaspace_branch={commit}", *only)

    def parse(self, *, lines: str) -> Sequence[PlaybookEvent]:
        parts = [line.split("|") for line in lines.splitlines()]
        return [
            PlaybookEvent(self.clock.now(), status, task, role, host, text) for status, role, task, host, text in parts
        ]


@dataclass
class FakeServer:
    """The web server: a checkout, programs and a webapp; `deploy` does to it what the playbook does."""

    clock: FakeClock
    commit: str = ""
    built_at: datetime | None = START - timedelta(days=1)
    running: list[Program] = field(default_factory=list)
    moves: list[ReflogEntry] = field(default_factory=list)
    null_errors: int | None = 0  # in sm-graphql's log
    flapping: str = ""  # a program that dies and is started again all the time

    async def checkout(self) -> Checkout:
        return Checkout(self.commit, "", dirty=False)

    async def reflog(self) -> Sequence[ReflogEntry]:
        return self.moves

    async def webapp_built_at(self) -> datetime | None:
        return self.built_at

    async def programs(self) -> Sequence[Program]:
        if self.flapping:
            self.alter(self.flapping, started_at=self.clock.now())
        return self.running

    async def count_in_log(self, *, words: str, since: datetime) -> int | None:
        return self.null_errors

    async def restart(self, *, program: str) -> None:
        self.alter(program, started_at=self.clock.now())

    def alter(self, name: str, **changes: Any) -> None:
        self.running = [replace(one, **changes) if name in (one.name, one.group) else one for one in self.running]

    def deploy(self, tags: Sequence[str] = ()) -> None:
        for one in self.running:
            if not tags or one.name in tags or one.group in tags:
                self.alter(one.name, started_at=self.clock.now(), state="RUNNING", pid=4711)
        if not tags or "sm-web-app" in tags:
            self.built_at = self.clock.now()


@dataclass
class FakeSite:
    """METASPACE from outside."""

    clock: FakeClock
    ok: bool = True

    async def look(self) -> Look:
        return Look(self.clock.now(), self.ok, 0.05, "" if self.ok else "502 Bad Gateway")


@dataclass
class FakePlatform:
    """The health switches and the work in hand."""

    state: SystemHealth = field(default_factory=lambda: SystemHealth(can_mutate=True, can_process_datasets=True))
    work: Workload = field(default_factory=lambda: Workload(0, 0))
    switched: list[SystemHealth] = field(default_factory=list)

    async def health(self) -> SystemHealth:
        return self.state

    async def set_health(self, *, health: SystemHealth) -> None:
        self.state = health
        self.switched.append(health)

    async def workload(self) -> Workload:
        return self.work


@dataclass
class FakeAnnouncements:
    """Slack's channel, by key."""

    posted: dict[str, str] = field(default_factory=dict)
    posts: int = 0

    async def post(self, *, key: str, text: str) -> Posted:
        self.posts += key not in self.posted
        self.posted[key] = text
        return self._message(key)

    async def find(self, *, key: str) -> Posted | None:
        return self._message(key) if key in self.posted else None

    def _message(self, key: str) -> Posted:
        return Posted("C01DEV", "1700000000.000100", f"https://slack.test/{key}")


@dataclass
class FakeAuthors:
    """Questions to authors, and links, as the database has them."""

    questions: list[Asked] = field(default_factory=list)
    linked: dict[str, str] = field(default_factory=dict)

    async def asked(self, *, environment: str, pulls: Sequence[int]) -> Sequence[Asked]:
        return [
            one
            for one in self.questions
            if one.environment == environment and {number for number, _ in one.pulls} & set(pulls)
        ]

    async def links(self) -> Mapping[str, str]:
        return self.linked
