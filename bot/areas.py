"""The environments: each one's ports to its real systems, and its settings as steps and the office see them."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.checklists import available
from bot.domain.approval import ApprovalRules
from bot.domain.errors import ReleaseError
from bot.engine.following import Workshop
from bot.engine.index_jobs import IndexArea
from bot.engine.office_service import Area as OfficeArea
from bot.engine.step import StepEnvironment
from bot.ports import Ports
from bot.steps.planner import Planner
from integrations.ansible import AnsiblePlaybooks
from integrations.circleci import CircleCi
from integrations.elasticsearch import ElasticIndices
from integrations.git import GitRepository
from integrations.github import GitHub
from integrations.jobs import TmuxJobs
from integrations.metaspace import MetaspacePlatform
from integrations.metaspace_db import MetaspaceDatabase
from integrations.probe import SiteProbe
from integrations.reindexing import ServerReindexing
from integrations.server import WebServer
from integrations.ssh import SshHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from bot.engine.step import Step
    from bot.ports import Announcements, AuthorQuestions, Clock
    from bot.settings import EnvironmentSettings, Settings


def office_area(
    name: str, settings: EnvironmentSettings, environment: StepEnvironment, ports: Ports, registry: Mapping[str, Step]
) -> OfficeArea:
    """Return what the office knows of an environment."""
    rules = ApprovalRules(settings.approvals.weaker, settings.approvals.no_break_glass)
    return OfficeArea(
        name=name,
        settings=settings,
        ports=ports,
        planning=Planner(registry, environment, ports, rules),
        checklists=partial(available, settings.checklists, registry, rules),
    )


def index_area(name: str, settings: EnvironmentSettings, ports: Ports) -> IndexArea:
    """Return what the search indices' commands know of an environment."""
    reindexing = settings.reindexing
    code = f"{settings.server.checkout}/{reindexing.engine}"
    configuration = f"{code}/{reindexing.configuration}"
    return IndexArea(name, ports, code, configuration, reindexing.workers, reindexing.most_workers)


async def area_of(
    settings: Settings,
    environment: EnvironmentSettings,
    name: str,
    *,
    announcements: Announcements,
    authors: AuthorQuestions,
    clock: Clock,
    stack: AsyncExitStack,
) -> tuple[StepEnvironment, Ports]:
    """Open one environment: its settings as steps see them, and its ports."""
    control = SshHost(f"{name}-control", environment.control, clock)
    web = SshHost(f"{name}-web", environment.web, clock)
    for host in (control, web):
        stack.push_async_callback(_closed, host)
    web_jobs = TmuxJobs(web, environment.web, clock)
    ports = Ports(
        clock=clock,
        repository=GitRepository(settings.repository),
        code_host=GitHub(settings.repository),
        control_jobs=TmuxJobs(control, environment.control, clock),
        playbooks=AnsiblePlaybooks(control, environment.ansible),
        server=WebServer(web, environment.server, environment.reindexing.log),
        site=await stack.enter_async_context(SiteProbe(environment.site, clock)),
        platform=MetaspacePlatform(environment.site),
        announcements=announcements,
        authors=authors,
        pipelines=CircleCi(settings) if settings.circleci.token.get_secret_value() else None,
        web_jobs=web_jobs,
        **search_ports(environment, web, web_jobs, clock, stack),
    )
    return step_environment(name, environment), ports


def search_ports(
    settings: EnvironmentSettings, web: SshHost, web_jobs: TmuxJobs, clock: Clock, stack: AsyncExitStack
) -> dict[str, Any]:
    """Return the ports to the search indices, METASPACE's database and reindexing, by their names in `Ports`.

    There are none where the settings do not name both Elasticsearch and the database.
    """
    if settings.elasticsearch is None or settings.metaspace_database is None:
        return {}
    indices, datasets = (
        ElasticIndices(web, settings.elasticsearch, clock),
        MetaspaceDatabase(web, settings.metaspace_database),
    )
    for one in (indices, datasets):
        stack.push_async_callback(_closed, one)
    return {
        "indices": indices,
        "datasets": datasets,
        "reindexing": ServerReindexing(web, web_jobs, settings, clock),
    }


def workshop(environment: EnvironmentSettings, ports: Ports) -> Workshop:
    """Return an environment's servers by name, as far as jobs on them are followed."""
    hosts = {"control": ports.control_jobs, **({"web": ports.web_jobs} if ports.web_jobs else {})}
    return Workshop(hosts, ports.reindexing, environment.reindexing.most_workers)


def step_environment(name: str, settings: EnvironmentSettings) -> StepEnvironment:
    """Return the settings that steps need, as plain values."""
    engine = f"{settings.server.checkout}/{settings.reindexing.engine}"
    return StepEnvironment(
        name=name,
        master_branch=settings.master_branch,
        release_branch=settings.release_branch,
        required_ci=settings.required_ci,
        ending_programs=settings.server.ending_programs,
        watched_programs=settings.server.programs,
        ci_timeout=settings.ci_timeout,
        drain_timeout=settings.drain_timeout,
        settle_timeout=settings.settle_timeout,
        steady_after=settings.steady_after,
        poll=settings.poll,
        configuration_branch=settings.ansible.configuration_branch,
        remind_every=settings.approvals.remind,
        warn_after_down=settings.warn_after_down,
        pause_after_down=settings.pause_after_down,
        reindex_workers=settings.reindexing.workers,
        reindex_tries=settings.reindexing.tries,
        most_queued=settings.reindexing.most_queued,
        most_latency=settings.reindexing.most_latency,
        catch_up_fresh=settings.reindexing.fresh,
        live_code=engine,
        live_configuration=f"{engine}/{settings.reindexing.configuration}",
    )


async def _closed(one: SshHost | ElasticIndices | MetaspaceDatabase) -> None:
    with contextlib.suppress(ReleaseError):
        await one.close()
