"""The office over real Git, with the other systems in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.checklists import shipped
from bot.domain.errors import Conflict, Refused, Unavailable, WrongUse
from bot.domain.plan import PlannedStep, StepKind
from bot.domain.planning import rolls_back
from bot.domain.release import ReleaseState, StepState
from bot.domain.world import CheckState, PullRequestInfo
from bot.engine.office_service import Area, OfficeService
from bot.settings import parse
from bot.settings_example import EXAMPLE
from tests.steps.test_with_git import Origin, at
from tests.views import worlds

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import ReviewReport
    from tests.steps.worlds import World


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """Version 1.9.9 is on release; master is two pull requests ahead."""
    origin = Origin(tmp_path)
    origin.commit("base")
    origin("tag", "-a", "1.9.9", "-m", "> Release notes:")
    origin("branch", "release")
    for number, name in ((11, "one"), (12, "two")):
        origin.commit(name)
        origin("commit", "--quiet", "--amend", "-m", f"Add {name} (#{number})")
    origin("push", "--quiet", "--tags", "origin", "master", "release")
    return origin


@pytest.fixture
def world(origin: Origin, tmp_path: Path) -> World:
    return at(origin, tmp_path / "mirror")


class Desk:
    """Knows what was last proved live."""

    def __init__(self, live: str) -> None:
        self.live = live
        self.releases: dict[str, ReleaseView] = {}

    async def release(self, release: str) -> ReleaseView:
        return self.releases[release]

    async def last_proved(self, environment: str, *, before: str = "") -> tuple[str, str] | None:
        return (self.live, "1.9.9") if self.live else None


def office(world: World, *, live: str = "") -> OfficeService:
    settings = parse(yaml.safe_load(EXAMPLE))
    name, environment = settings.environment()
    area = Area(name, environment, world.ports, world.planner, shipped)

    return OfficeService(settings, desk=Desk(live), commands=(), areas={name: area})


async def test_git_answers_first_and_the_rest_fills_in(world: World, origin: Origin) -> None:
    passed = dict.fromkeys(
        (
            "generate_graphql_schema",
            "test_pycode_format",
            "test_postprocessing",
            "test_engine",
            "test_graphql",
            "test_webapp",
        ),
        CheckState.PASSED,
    )
    world.code_host.report(origin.head("master"), **{name.replace("_", "-"): state for name, state in passed.items()})
    world.server.commit = origin.head("release")
    told: list[ReviewReport] = []

    async def tell(report: ReviewReport) -> None:
        told.append(report)

    final = await office(world).review(environment="prod", tell=tell)
    assert told[0].pending == ("CI", "the server")
    assert [one.number for one in told[0].review.pull_requests] == [12, 11]
    assert told[-1].pending == ()
    assert final.drift is not None
    assert final.drift.agrees
    assert final.drift.tag == "1.9.9"
    assert (final.review.base.ref, final.review.head.ref) == ("release", "master")
    assert final.ci is not None
    assert set(final.ci.values()) == {CheckState.PASSED}


async def test_a_system_that_does_not_answer_becomes_a_sentence(world: World) -> None:
    silent = Unavailable("GitHub does not answer.", hint="wait")
    world.tap.fail("checks", silent)
    world.tap.fail("checkout", Unavailable("The server does not answer."))
    final = await office(world).review(environment="prod")
    assert final.checks is None
    assert final.checks_problem == "GitHub does not answer. Try: wait"
    assert final.drift is not None
    assert final.drift.live_problem == "The server does not answer."


async def test_a_remote_that_falls_silent_in_between_is_a_sentence_too(world: World) -> None:
    world.tap.fail("version_tags", Unavailable("origin does not answer."))
    final = await office(world).review(environment="prod")
    assert final.drift is not None
    assert final.drift.refs_problem == "origin does not answer."


async def test_no_older_state_of_a_review_overtakes_a_newer_one(world: World) -> None:
    shown: list[int] = []

    async def slow_at_first(report: ReviewReport) -> None:
        waiting = len(report.pending)
        for _ in range(20 * waiting):
            await asyncio.sleep(0)
        shown.append(waiting)

    await office(world).review(environment="prod", tell=slow_at_first)
    assert shown == sorted(shown, reverse=True)
    assert shown[-1] == 0


async def test_names_that_a_person_gives_are_reviewed_and_unknown_ones_refused(world: World) -> None:
    final = await office(world).review(environment="prod", base="1.9.9", head="master")
    assert len(final.review.commits) == 2
    with pytest.raises(WrongUse) as caught:
        await office(world).review(environment="prod", base="1.9.8", head="master")
    assert caught.value.hint


async def test_a_plan_pins_the_head_and_takes_what_the_review_proposes(world: World, origin: Origin) -> None:
    prepared = await office(world).plan(environment="prod")
    assert prepared.plan.head == origin.head("master")
    assert prepared.plan.version == "1.9.10"
    assert prepared.plan.previous_version == "1.9.9"
    assert "steps:" in prepared.checklist
    drafts = [step.params["draft"] for step in prepared.plan.steps if "draft" in step.params]
    assert drafts == ["[Task] Add one #11\n[Task] Add two #12"]


async def test_commits_without_a_pull_request_are_drafted_by_their_subjects(world: World, origin: Origin) -> None:
    origin("push", "--quiet", "origin", "master:release")
    origin.commit("crash fix")
    origin("push", "--quiet", "origin", "master")
    prepared = await office(world).plan(environment="prod")
    assert prepared.plan.step("notes").params["draft"] == "[Bug] Add crash fix"


async def test_the_draft_is_made_of_what_github_says_and_confirmed_as_it_was_shown(world: World) -> None:
    said = PullRequestInfo(11, "Add one", "ada", body="Release note: One is here")
    world.code_host.pulls = {11: said, 12: PullRequestInfo(12, "Add two", "bo", labels=("bug",))}
    made = office(world)
    shown = await made.plan(environment="prod")
    assert shown.plan.step("notes").params == {"draft": "[Task] One is here #11\n[Bug] Add two #12"}
    assert shown.draft_problem == ""
    world.code_host.pulls[11] = replace(said, body="")
    assert (await made.plan(environment="prod", afresh=False)).plan.fingerprint == shown.plan.fingerprint
    assert (await made.plan(environment="prod")).plan.fingerprint != shown.plan.fingerprint


async def test_a_plan_comes_without_github_too_and_says_what_that_means(world: World) -> None:
    world.tap.fail("pull_requests", Unavailable("GitHub does not answer.", hint="wait"))
    prepared = await office(world).plan(environment="prod")
    assert prepared.plan.step("notes").params["titles_only"] is True
    assert prepared.draft_problem == "GitHub does not answer."


async def test_pull_requests_are_told_only_where_the_settings_say_so(world: World) -> None:
    made = office(world)
    assert "pull_request_comments" not in [step.key for step in (await made.plan(environment="prod")).plan.steps]
    area = made.areas["prod"]
    told = replace(area, settings=area.settings.model_copy(update={"pull_request_comments": True}))
    plan = (await replace(made, areas={"prod": told}).plan(environment="prod")).plan
    assert plan.step("pull_request_comments").params == {"pull_requests": [11, 12]}


@pytest.mark.parametrize(("asked", "version"), [("minor", "1.10.0"), ("major", "2.0.0"), ("2.0.0", "2.0.0")])
async def test_a_person_raises_more_than_the_last_number(world: World, asked: str, version: str) -> None:
    prepared = await office(world).plan(environment="prod", version=asked)
    assert prepared.plan.version == version
    assert str(prepared.newest) == "1.9.9"


async def test_the_same_request_gives_the_same_fingerprint(world: World) -> None:
    one, two = office(world), office(world)
    assert (await one.plan(environment="prod")).plan.fingerprint == (
        await two.plan(environment="prod")
    ).plan.fingerprint


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        ({"version": "1.9.9"}, WrongUse, "exists already"),
        ({"version": "3.0.0"}, WrongUse, "jumps"),
        ({"version": "1.9.11"}, WrongUse, "jumps"),
        ({"strategy": "in_plce"}, WrongUse, "no checklist"),
        ({"only": ("Not A Tag",)}, WrongUse, "no tag"),
        ({"only": ("sm-grapql",)}, WrongUse, "Did you mean .sm-graphql"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_with_what_to_try(
    world: World, request_: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await office(world).plan(environment="prod", **request_)
    assert getattr(caught.value, "hint", "")


async def test_with_nothing_to_release_there_is_no_plan(world: World, origin: Origin) -> None:
    origin("push", "--quiet", "origin", "master:release")
    with pytest.raises(Conflict, match="no commit to release"):
        await office(world).plan(environment="prod")


async def test_a_hotfix_starts_from_what_was_proved_live(world: World, origin: Origin) -> None:
    origin("push", "--quiet", "origin", "master~1:release")
    prepared = await office(world, live=origin.head("1.9.9^{}")).plan(environment="prod", hotfix=True)
    assert prepared.plan.hotfix
    assert prepared.plan.head == origin.head("release")
    assert prepared.plan.base == origin.head("1.9.9^{}")


async def test_a_recommended_strategy_without_a_checklist_is_said_and_may_be_overruled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.domain.strategy import Strategy, StrategyName
    from bot.engine import reviews

    real = reviews.review_range

    def heavier(*args: Any, **words: Any) -> Any:
        return replace(real(*args, **words), strategy=Strategy(StrategyName.FORK_VM, (), ("a migration",)))

    monkeypatch.setattr(reviews, "review_range", heavier)
    with pytest.raises(Refused, match="recommends fork_vm"):
        await office(world).plan(environment="prod")
    assert (await office(world).plan(environment="prod", strategy="in_place")).plan.strategy == "in_place"


def stopped(head: str) -> ReleaseView:
    """R7 deployed this commit, and its proof failed."""
    steps = tuple(
        PlannedStep(key, key, 1, key, StepKind.AUTOMATIC) for key in ("deploy", "prove_live", "processing_back")
    )
    plan = worlds.plan(head=head, version="1.9.10", steps=steps)
    views = worlds.steps(StepState.DONE, StepState.FAILED, StepState.PENDING)
    keyed = tuple(replace(view, key=step.key) for view, step in zip(views, steps, strict=True))
    return worlds.release(ReleaseState.STOPPED, plan=plan, steps=keyed)


def going_back(world: World, origin: Origin, *, live: str) -> OfficeService:
    made = office(world, live=live)
    made.desk.releases["R7"] = stopped(origin.head("master"))
    return made


async def test_a_rollback_is_planned_to_the_commit_that_was_proved_live(world: World, origin: Origin) -> None:
    origin("push", "--quiet", "origin", "master:release")
    prepared = await going_back(world, origin, live=origin.head("1.9.9^{commit}")).roll_back(release="R7")
    plan = prepared.plan
    assert (plan.head, plan.version, plan.previous_version) == (origin.head("1.9.9^{commit}"), "1.9.9", "1.9.10")
    assert rolls_back(plan) == "R7"
    assert plan.strategy == "roll_back"
    assert plan.step("deploy").commands[0].argv


async def test_a_rollback_needs_something_that_was_live_and_no_migration_in_the_way(
    world: World, origin: Origin
) -> None:
    with pytest.raises(Refused, match="no commit to go back to"):
        await going_back(world, origin, live="").roll_back(release="R7")
    live = origin.head("1.9.9^{commit}")
    name = "metaspace/graphql/src/migrations/1768500000000-DropColour.ts"
    (origin.tree / name).parent.mkdir(parents=True)
    origin.commit(name)  # its source shows no SQL: nobody knows what the old code makes of it
    origin("push", "--quiet", "origin", "master")
    with pytest.raises(Refused, match="DropColour"):
        await going_back(world, origin, live=live).roll_back(release="R7")


async def test_a_rollback_is_no_strategy_to_start_with(world: World) -> None:
    with pytest.raises(WrongUse, match="not a way to release"):
        await office(world).plan(environment="prod", strategy="roll_back")
