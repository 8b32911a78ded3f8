"""`releasebot doctor`: every system that a release needs is tried for real, without changing anything."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.doctor_search import search_attempts
from bot.domain.errors import Refused, ReleaseError, Unavailable
from bot.domain.rehearsal import REQUIRED
from bot.engine.clock import SystemClock
from bot.engine.store import revision
from bot.slack.api import told, web_client
from bot.slack.people import SlackGroups
from integrations.ansible import AnsiblePlaybooks
from integrations.circleci import CircleCi
from integrations.git import GitRepository
from integrations.github import GitHub
from integrations.metaspace import MetaspacePlatform
from integrations.probe import SiteProbe
from integrations.rehearsal import ChildRehearser
from integrations.server import WebServer
from integrations.ssh import SshHost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.settings import EnvironmentSettings, Settings

GROUPS = (
    *("database", "slack", "git", "github", "circleci", "ssh", "ansible", "server", "site", "graphql", "rehearsal"),
    *("elasticsearch", "metaspace_database", "reindexing"),
)


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was tried: ``detail`` says what was seen, ``fix`` what to do where it failed."""

    group: str
    name: str
    ok: bool
    detail: str
    fix: str = ""

    def line(self) -> str:
        """Return it for people."""
        mark = "ok    " if self.ok else "FAILED"
        return f"{mark} {self.name}: {self.detail}" + (f"\n         try: {self.fix}" if self.fix else "")

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {"group": self.group, "name": self.name, "ok": self.ok, "detail": self.detail, "fix": self.fix}


async def examine(settings: Settings, *, only: frozenset[str] = frozenset()) -> list[Examined]:
    """Try everything, or the groups that are named; raises `Refused` for a group that is not known."""
    if unknown := only - set(GROUPS):
        raise Refused(
            f"There is nothing called {', '.join(sorted(unknown))} to try.", hint=f"one of {', '.join(GROUPS)}"
        )
    found: list[Examined] = []
    async with AsyncExitStack() as stack:
        for group, name, attempt in [*_shared(settings), *_environments(settings, stack)]:
            if not only or group in only:
                found.append(await _tried(group, name, attempt))
    return found


async def _tried(group: str, name: str, attempt: Callable[[], Awaitable[str]]) -> Examined:
    try:
        return Examined(group, name, ok=True, detail=await attempt())
    except ReleaseError as error:
        # The advice of a failed try must not be to run this command again.
        fix = "" if "releasebot doctor" in error.hint else error.hint
        return Examined(group, name, ok=False, detail=error.message, fix=fix)


Attempt = tuple[str, str, "Callable[[], Awaitable[str]]"]


def _shared(settings: Settings) -> list[Attempt]:
    repository, github = GitRepository(settings.repository), GitHub(settings.repository)

    async def database() -> str:
        return f"tables at revision {await revision(settings.database.url.get_secret_value(), upgrade=False) or 'none yet'}"

    async def slack() -> str:
        token = settings.slack.bot_token.get_secret_value()
        async with web_client(token=token, base_url=settings.slack.base_url) as client:
            with told("read who I am"):
                me = await client.auth_test()
            with told("read the release channel"):
                await client.conversations_history(channel=settings.slack.channel, limit=1)
            for group in settings.groups:
                await SlackGroups(client).members(group.slack)
        return f"{me['user']}, in the release channel"

    async def git() -> str:
        await repository.fetch()
        return f"fetched; {len(await repository.version_tags())} version tags"

    async def forge() -> str:
        name, environment = settings.environment()
        sha = await repository.branch_head(branch=environment.master_branch)
        return f"{len(await github.checks(sha=sha))} reports of CI for {environment.master_branch} ({name})"

    async def circle() -> str:
        name, environment = settings.environment()
        branch = environment.master_branch
        runs = await CircleCi(settings).workflows(sha=await repository.branch_head(branch=branch), branch=branch)
        return f"{len(runs)} workflows of {branch} ({name})"

    async def parts() -> str:
        try:
            await ChildRehearser().demand_parts()
        except Unavailable as error:
            if any(one.rehearsal == REQUIRED for one in settings.environments.values()):
                raise
            return f"not possible here, and not required: {error.message} To have it: {error.hint}"
        return "every part of an embedded world is here"

    found: list[Attempt] = [
        ("database", "database", database),
        ("slack", "Slack", slack),
        ("git", "Git", git),
        ("github", "GitHub", forge),
        ("rehearsal", "rehearsal", parts),
    ]
    return [*found, ("circleci", "CircleCI", circle)] if settings.circleci.token.get_secret_value() else found


def _environments(settings: Settings, stack: AsyncExitStack) -> list[Attempt]:
    return [one for name, each in settings.environments.items() for one in _environment(name, each, stack)]


def _environment(name: str, settings: EnvironmentSettings, stack: AsyncExitStack) -> list[Attempt]:
    clock = SystemClock()
    control = SshHost(f"{name}-control", settings.control, clock)
    web = SshHost(f"{name}-web", settings.web, clock)
    for host in (control, web):
        stack.push_async_callback(host.close)
    playbooks, server = AnsiblePlaybooks(control, settings.ansible), WebServer(web, settings.server)

    async def reach(host: SshHost) -> str:
        await host.run(["tmux", "-V"] if host is control else ["true"])
        ahead = await host.offset()
        return f"reached; its clock differs by {abs(ahead):.1f} s"

    async def ansible() -> str:
        said = (await control.run([f"{settings.ansible.binaries}/ansible-playbook", "--version"])).stdout
        await control.run(["test", "-r", settings.ansible.vault_password_file])
        state = await playbooks.configuration()
        return f"{said.splitlines()[0]}; configuration on {state.branch}, {len(state.dirty)} local changes"

    async def services() -> str:
        states = {one.state for one in await server.programs()}
        return f"checkout at {(await server.checkout()).commit:.8}; programs {', '.join(sorted(states))}"

    async def site() -> str:
        async with SiteProbe(settings.site, clock) as probe:
            look = await probe.look()
        if not look.ok:
            raise Refused(f"The site is down: {look.detail}", hint=f"open {settings.site.url}")
        return f"answers in {look.latency * 1000:.0f} ms"

    async def graphql() -> str:
        platform = MetaspacePlatform(settings.site)
        work = await platform.workload()  # only an administrator may count everybody's datasets
        health = await platform.health()
        return f"administrator; {work.queued} queued, {work.annotating} annotating; processing {health.can_process_datasets}"

    return [
        ("ssh", f"SSH to {control.name}", lambda: reach(control)),
        ("ssh", f"SSH to {web.name}", lambda: reach(web)),
        ("ansible", f"Ansible ({name})", ansible),
        ("server", f"server ({name})", services),
        ("site", f"site ({name})", site),
        ("graphql", f"GraphQL ({name})", graphql),
        *search_attempts(name, settings, web, clock, stack),
    ]
