"""A rollback takes over: one transaction, one lock, and nobody drives the release that it takes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, NotAllowed, ReleaseError, StepFailed, WrongUse
from bot.domain.plan import StepKind
from bot.domain.readmodel import Person
from bot.domain.release import DecisionKind, ReleaseState, StepState
from tests.engine.scripted import ADMIN, APPROVER, RELEASER, Bot, Files, FileStep, opened, plan, running, steps

if TYPE_CHECKING:
    from bot.domain.plan import Plan
    from bot.domain.readmodel import ReleaseView
    from bot.engine.step import Step, StepContext

PLAN = plan(("first", "file"), ("deploy", "deploy"), ("prove_live", "file"))
OTHER = Person("U04REL", "Other", frozenset({"releaser"}))


class Deploying(FileStep):
    """Fails as long as the file ``broken`` says so."""

    async def run(self, ctx: StepContext) -> None:
        await super().run(ctx)
        if self.files.done("broken"):
            raise StepFailed("sm-api is FATAL after 12 s.")


def registry(files: Files) -> dict[str, Step]:
    return {**steps(files), "deploy": Deploying(files)}


def back(release: str, version: str = "1.9.9", head: str = "a" * 40) -> Plan:
    """Plan to take a release back."""
    made = replace(plan(("agreed", "asking"), ("deploy", "deploy"), ("prove_live", "file")), version=version, head=head)
    params = {"deploy": {"roll_back": {"commit": head, "release": release}}}
    kinds = {"agreed": StepKind.APPROVAL}
    return replace(
        made,
        steps=tuple(replace(s, params=params.get(s.key, {}), kind=kinds.get(s.key, s.kind)) for s in made.steps),
    )


async def go_back(bot: Bot, release: str, by: Person = RELEASER, **changes: str) -> ReleaseView:
    said = {"reason": "sm-api does not start", "typed": "1.9.9", **changes}
    return await bot.desk.roll_back(release=release, plan=back(release), checklist="text", by=by, **said)


async def stopped(bot: Bot, files: Files) -> str:
    files.do("broken")
    release = await bot.start(PLAN)
    await bot.until(release, lambda seen: seen.state is ReleaseState.STOPPED)
    (files.folder / "broken").unlink()
    return release


async def test_it_ends_the_stopped_release_and_takes_its_lock_and_debts_in_one(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await stopped(bot, files)
        owed = (await bot.desk.release(release)).loose_ends
        assert owed
        new = await go_back(bot, release, by=OTHER)
        assert new.rolls_back == release
        gone = await bot.desk.release(release)
        assert gone.state is ReleaseState.ABORTED
        assert f"{new.id} rolls it back to 1.9.9" in gone.note
        assert "sm-api does not start" in gone.note
        assert gone.questions == ()
        assert gone.loose_ends == ()
        lock = await bot.desk.lock_of("prod")
        assert lock is None or lock.release == new.id
        end = await bot.finished(new.id)
        assert end.state is ReleaseState.SUCCEEDED
        assert end.steps[0].decided_by == OTHER.slack
        assert await bot.desk.lock_of("prod") is None
        assert f"{new.id}-deploy" in files.done("deploy")
        kinds = [one.kind for one in await bot.desk.events(after=0, limit=200) if one.release == release]
        assert kinds[-1] == "release.roll_back", "nobody drives it any more"


async def test_of_two_rollbacks_at_once_one_begins(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await stopped(bot, files)
        tried = await asyncio.gather(
            *(go_back(bot, release, by=one) for one in (RELEASER, OTHER, ADMIN)), return_exceptions=True
        )
        assert sum(not isinstance(one, BaseException) for one in tried) == 1
        assert all(isinstance(one, Conflict) for one in tried if isinstance(one, BaseException)), tried
        assert len(await bot.desk.history("prod", limit=9)) == 2


async def test_it_needs_version_reason_role_and_the_plan_for_that_very_release(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await stopped(bot, files)
        for changes, error in (({"typed": "1.9.10"}, WrongUse), ({"reason": " "}, WrongUse)):
            with pytest.raises(error):
                await go_back(bot, release, **changes)
        with pytest.raises(NotAllowed):
            await go_back(bot, release, by=APPROVER)
        with pytest.raises(WrongUse, match="does not roll"):
            await bot.desk.roll_back(
                release=release, plan=PLAN, checklist="", by=RELEASER, reason="x", typed=PLAN.version
            )
        with pytest.raises(WrongUse, match="plan of its own"):
            await bot.desk.control(release=release, kind=DecisionKind.ROLL_BACK, by=RELEASER, reason="x")
        assert (await bot.desk.release(release)).state is ReleaseState.STOPPED


async def test_nothing_is_taken_back_that_runs_or_never_deployed_or_is_not_the_last(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot:
        release = await bot.start(PLAN)
        with pytest.raises(Conflict, match="running"):
            await go_back(bot, release)
        await bot.desk.control(release=release, kind=DecisionKind.PAUSE, by=RELEASER)
        with pytest.raises(Conflict, match="not deployed"):
            await go_back(bot, release)
        await bot.desk.control(release=release, kind=DecisionKind.ABORT, by=RELEASER, reason="no")
        async with running(bot):
            first = await bot.start(PLAN)
            await bot.finished(first)
            second = await bot.start(PLAN)
            await bot.finished(second)
            with pytest.raises(Conflict, match=second):
                await go_back(bot, first)
            new = await go_back(bot, second)
            assert (await bot.desk.release(second)).state is ReleaseState.SUCCEEDED, "what has ended stays as it ended"
            assert (await bot.finished(new.id)).state is ReleaseState.SUCCEEDED


async def test_what_was_proved_live_before_is_found(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        first = await bot.start(replace(PLAN, head="c" * 40, version="1.9.8"))
        await bot.finished(first)
        second = await bot.start(PLAN)
        await bot.finished(second)
        assert await bot.desk.last_proved("prod") == (PLAN.head, PLAN.version)
        assert await bot.desk.last_proved("prod", before=second) == ("c" * 40, "1.9.8")
        assert await bot.desk.last_proved("prod", before=first) is None


async def test_a_failure_names_what_was_behind_it_before_and_what_ended_it(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await stopped(bot, files)
        seen = await bot.desk.release(release)
        assert seen.current is not None
        assert seen.current.problem is not None
        assert seen.current.problem.causes == (), "nothing was seen yet, and this step says nothing in general"
        await bot.desk.control(release=release, kind=DecisionKind.RETRY, by=RELEASER)
        await bot.finished(release)
        again = await stopped(bot, files)
        problem = (await bot.desk.release(again)).current
        assert problem is not None
        assert problem.problem is not None
        (cause,) = problem.problem.causes
        assert (cause.what, cause.count) == ("sm-api is FATAL after 12 s.", 1)
        assert cause.endings == ("retry worked after about a minute",)
        assert cause.last is not None
        new = await go_back(bot, again)
        await bot.finished(new.id)
        third = await stopped(bot, files)
        last = (await bot.desk.release(third)).current
        assert last is not None
        assert last.problem is not None
        (cause,) = last.problem.causes
        assert cause.count == 2
        assert "rolled back: sm-api does not start" in cause.endings


async def test_a_release_that_was_paused_with_its_step_in_work_is_not_taken_over(url: str, files: Files) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    class Slow(Deploying):
        async def run(self, ctx: StepContext) -> None:
            begun.set()
            await let_go.wait()
            await super().run(ctx)

    async with opened(url, {**steps(files), "deploy": Slow(files)}) as bot, running(bot):
        release = await bot.start(PLAN)
        await begun.wait()
        await bot.desk.control(release=release, kind=DecisionKind.PAUSE, by=RELEASER)
        with pytest.raises(ReleaseError, match="still in work"):
            await go_back(bot, release)
        let_go.set()
        await bot.until(release, lambda seen: seen.steps[1].state is StepState.DONE)
        assert (await go_back(bot, release)).rolls_back == release
