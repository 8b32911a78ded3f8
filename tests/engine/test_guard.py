"""Before each effect outside, the lease outlives that effect's own deadline; who lost it sends nothing more."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest

from bot import permit
from bot.domain.errors import Unavailable
from bot.engine.guard import guarded
from bot.engine.records import LeaseLost
from bot.ports import Ports, within
from tests.engine.test_leases import LEASE, PLAN, two

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.engine.scripted import Files

READS = {
    "Clock": {"now", "monotonic", "sleep"},
    "Repository": {
        *("fetch", "branch_head", "remote_tag", "version_tags", "is_ancestor", "only_in"),
        *("merge", "history"),  # in the bot's own mirror
    },
    "CodeHost": {
        *("checks", "pull_request_authors", "pull_requests", "issues", "published", "comments"),
        *("find_issue", "read_issue"),
        "compare_url",
    },
    "Jobs": {"look", "find", "read", "attach_line"},
    "Playbooks": {"configuration", "deploy_job", "deploy_commands", "folders", "parse", "variables"},
    "Server": {"count_in_log", "checkout", "webapp_built_at", "programs", "reflog"},
    "Pipelines": {"workflows"},
    "Site": {"look"},
    "Platform": {"health", "workload"},
    "AuthorQuestions": {"asked", "links"},
    "SearchIndices": {
        *("look", "room", "pressure", "definition", "probe", "newest_write", "dataset_documents"),
        *("annotation_counts", "sample"),
    },
    "DatasetDatabase": {"dataset_ids", "without_databases", "annotation_counts", "databases_of"},
    "Reindexing": {"workplace", "workplaces", "definitions", "ledger", "commands"},
    "Announcements": {"post", "find"},  # a row first; the outbox has a guard of its own
}


@pytest.mark.parametrize("port", [one.name for one in fields(Ports)])
def test_every_method_of_a_port_changes_nothing_or_says_when_it_has_ended(port: str) -> None:
    hint = get_type_hints(Ports)[port]
    protocol = next(
        (one for one in get_args(hint) if one is not type(None)), hint
    )  # an optional port is one all the same
    methods = {name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"}
    unmarked = {name for name in methods if within(getattr(protocol, name)) is None}
    assert unmarked <= READS.get(protocol.__name__, set()), "mark it with @effect(within=…), or name it in READS"


class Host:
    """A `Jobs` whose start may hang, and which looks at the lease while it works."""

    def __init__(self) -> None:
        self.left: float | None = None
        self.book: Any = None
        self.hangs = False

    async def start(self, *, spec: object) -> None:
        self.left = self.book.left
        if self.hangs:
            await asyncio.Event().wait()

    async def look(self, *, name: str) -> None:
        self.left = self.book.left

    async def stop(self, *, name: str) -> None:
        self.left = self.book.left


async def test_an_effect_longer_than_the_lease_prolongs_it_while_it_lasts(url: str, files: Files) -> None:
    async with two(url, files) as (bot, other, clock):
        await bot.start(PLAN)
        ((_, fence),) = await bot.ledger.claim(("prod",), but=())
        book = bot.ledger.book(1, fence)
        host = Host()
        host.book = book
        ports = _ports(host, book)
        await ports.control_jobs.look(name="x")
        assert host.left == pytest.approx(LEASE * 0.9)
        await ports.control_jobs.start(spec=None)
        assert host.left is not None
        assert host.left > 150
        await ports.control_jobs.stop(name="x")
        assert book.left == pytest.approx(LEASE * 0.9), "afterwards it is as usual: a dead bot's release is soon taken"
        async with book.outliving(150):
            await clock.advance(LEASE * 2)
            await book.renew()  # the heartbeat, meanwhile
            await clock.advance(LEASE * 1.5)
            assert await other.claim(("prod",), but=()) == []
            book.demand(outliving_left := 150 - LEASE * 3.5)
            assert outliving_left > 0


async def test_a_bot_that_was_stopped_and_replaced_begins_no_effect(url: str, files: Files) -> None:
    async with two(url, files) as (bot, other, clock):
        await bot.start(PLAN)
        ((_, fence),) = await bot.ledger.claim(("prod",), but=())
        book = bot.ledger.book(1, fence)
        host = Host()
        host.book = book
        clock.seconds += LEASE + 1
        assert await other.claim(("prod",), but=()) == [(1, 2)]
        with pytest.raises(LeaseLost):
            await _ports(host, book).control_jobs.start(spec=None)
        assert host.left is None
        with permit.under(book.demand), pytest.raises(LeaseLost):
            permit.demand()  # what an integration asks right before it sends


async def test_a_permit_reaches_threads_and_tasks_and_is_gone_after_the_block() -> None:
    def no(_: float = 0.0, /) -> None:
        raise LeaseLost("gone")

    with permit.under(no):
        with pytest.raises(LeaseLost):
            await asyncio.to_thread(permit.demand)
        task = asyncio.create_task(_demanding())
    with pytest.raises(LeaseLost):
        await task
    permit.demand()


async def _demanding() -> None:
    permit.demand()


async def test_an_effect_that_does_not_end_within_its_own_deadline_is_ended() -> None:
    host = Host()
    host.hangs = True
    host.book = SimpleNamespace(left=1.0)

    @asynccontextmanager
    async def outliving(_: float) -> AsyncIterator[None]:
        yield

    lease: Any = SimpleNamespace(outliving=outliving)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.engine.guard.within", lambda _: 0.01)
        with pytest.raises(Unavailable, match="no end within"):
            await _ports(host, lease).control_jobs.start(spec=None)


def _ports(host: Host, lease: Any) -> Any:
    world: Any = SimpleNamespace(control_jobs=host)
    return guarded(world, lease)
