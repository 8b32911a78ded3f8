"""`/release people`, `/release ask` and the button of the review, over real questions in a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.checklists import shipped
from bot.domain.asking import Said
from bot.domain.errors import Conflict, NotAllowed, WrongUse
from bot.domain.readmodel import Person
from bot.domain.release import ReleaseState
from bot.engine.desk import Desk
from bot.engine.freezes import Freezes
from bot.engine.lock_queue import LockQueue
from bot.engine.office_service import Area, OfficeService
from bot.engine.store import Store
from bot.settings import parse
from bot.settings_example import EXAMPLE
from bot.slack.router import Click
from bot.views import ids
from commands.start import CHANGED
from tests.commands.fakes import STRANGER, VIEWER, World
from tests.engine.clock import FakeClock
from tests.engine.rehearsing import rehearsals_on
from tests.engine.test_authors import ADA, PEOPLE, Replica, report
from tests.steps.test_with_git import Origin, at
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BO = Person("U07BOL", "<@U07BOL>")
MIGRATION = "metaspace/engine/migrations/r1_9_20260120_add_colour.sql"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Replica]:
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as store:
        yield Replica(store, FakeClock())


@pytest.fixture
def world(bot: Replica) -> World:
    world = World()
    world.office.report = report()
    world.office.authors = bot.authors
    return world


async def texts(bot: Replica) -> dict[str, str]:
    return {row.wish.text: key for key, row in (await bot.messages.every()).items()}


async def question_of(bot: Replica, identity: str) -> Any:
    every = await bot.desk.asked(environment="prod", pulls=[11, 12, 13, 14])
    return next(one for one in every if one.identity == identity)


async def press(world: World, person: Person, action: str, question: Any) -> None:
    world.person = person
    await world.press(action, json.dumps({"question": question.id}))


# people


async def test_people_are_listed_with_how_they_are_known_and_a_menu_for_whom_nobody_knows(world: World) -> None:
    await world.type("people")
    shown = json.dumps(world.voice.blocks[-1])
    assert "<@U06ADA> (settings)" in shown
    assert "<@U07BOL> (e-mail)" in shown
    assert f"{ids.PEOPLE_WHO}chen" in shown
    assert world.voice.whispers[-1] == "3 authors of the pull requests that would ship; 1 unknown"


async def test_a_viewer_may_look_and_not_link(world: World) -> None:
    world.person = VIEWER
    await world.type("people")
    assert ids.PEOPLE_WHO not in json.dumps(world.voice.blocks[-1])
    for text in ("people link chen U08CHE", "people unlink chen"):
        with pytest.raises(NotAllowed):
            await world.type(text)
    with pytest.raises(NotAllowed):
        await world.press(f"{ids.PEOPLE_WHO}chen", "U08CHE")
    world.person = STRANGER
    with pytest.raises(NotAllowed):
        await world.type("people")


@pytest.mark.parametrize("typed", ["link chen <@U08CHE|chen.wu>", "link @Chen U08CHE", "link chen <@U08CHE>"])
async def test_a_link_is_typed_with_a_mention_or_an_id(world: World, bot: Replica, typed: str) -> None:
    await world.type(f"people {typed}")
    assert await bot.desk.links() == {"chen": "U08CHE"}
    assert "<@U08CHE>" in world.voice.whispers[-1]
    await world.type("people unlink chen")
    assert await bot.desk.links() == {}


async def test_an_e_mail_that_slack_made_a_link_is_read(world: World, bot: Replica) -> None:
    await world.type("people link <mailto:Bo@example.org|Bo@example.org> U08CHE")
    assert await bot.desk.links() == {"bo@example.org": "U08CHE"}


@pytest.mark.parametrize(
    "typed",
    [
        "link",
        "link chen",
        "link chen U1 U2",
        "unlink",
        "unlink a b",
        "link chen @chen",
        "link $(id) U08CHE",
        "who",
        "link chen <!channel>",
    ],
)
async def test_what_is_no_link_is_refused_with_how_it_is_done(world: World, bot: Replica, typed: str) -> None:
    with pytest.raises(WrongUse) as caught:
        await world.type(f"people {typed}")
    assert caught.value.hint
    assert await bot.desk.links() == {}


async def test_choosing_somebody_from_the_menu_links_them(world: World, bot: Replica) -> None:
    await world.type("people")
    await world.press(f"{ids.PEOPLE_WHO}chen", "U08CHE")
    assert await bot.desk.links() == {"chen": "U08CHE"}


# asking


async def test_asking_says_how_many_and_asks_the_releaser_who_the_unknown_are(world: World, bot: Replica) -> None:
    await world.type("ask")
    assert world.voice.whispers[-2] == "Asked 3 of them now. Open: 3 of 3."
    assert f"{ids.PEOPLE_WHO}chen" in json.dumps(world.voice.blocks[-1])
    await world.type("ask")
    assert world.voice.whispers[-2] == "Everybody has been asked already. Open: 3 of 3."
    assert len(await bot.messages.every()) == 4


async def test_the_reviews_button_asks_in_its_thread(world: World, bot: Replica) -> None:
    await world.type("review")
    value = json.dumps({"environment": "prod", "base": worlds.BASE, "head": worlds.HEAD, "hotfix": False})
    assert ids.REVIEW_ASK in json.dumps(world.voice.blocks[-1])
    await world.router.click(world.ctx(), Click("review", ids.REVIEW_ASK, value, message="17.5"))
    assert {row.wish.thread for row in (await bot.messages.every()).values()} == {"17.5"}
    assert world.office.requests[-1]["base"] == worlds.BASE


async def test_a_mention_in_a_thread_asks_there(world: World, bot: Replica) -> None:
    world.thread, world.trigger = "19.5", ""
    await world.type("ask")
    assert {row.wish.thread for row in (await bot.messages.every()).values()} == {"19.5"}


async def test_a_viewer_asks_nobody_also_by_the_reviews_button(world: World, bot: Replica) -> None:
    world.person = VIEWER
    with pytest.raises(NotAllowed):
        await world.type("ask")
    with pytest.raises(NotAllowed):
        await world.press(ids.REVIEW_ASK, json.dumps({"environment": "prod"}))
    assert await bot.messages.every() == {}


async def test_a_range_without_pull_requests_has_nobody_to_ask(world: World) -> None:
    world.office.report = worlds.report(review=worlds.review(pull_requests=()))
    with pytest.raises(Conflict, match="nobody to ask"):
        await world.type("ask")


# answering


async def test_an_author_whom_the_settings_do_not_know_answers_nothing_by_hand(world: World, bot: Replica) -> None:
    await world.type("ask")
    question = await question_of(bot, "bo@example.org")
    await press(world, BO, ids.ASK_NOTHING, question)
    assert world.voice.whispers[-1] == "Noted for #12."
    await press(world, BO, ids.ASK_NOTHING, question)
    assert "changed nothing" in world.voice.whispers[-1]
    await press(world, BO, ids.ASK_YES, question)
    assert "changed nothing" in world.voice.whispers[-1]
    assert not world.voice.views


async def test_a_yes_is_collected_by_a_form_that_wants_a_sentence(world: World, bot: Replica) -> None:
    await world.type("ask")
    await press(world, ADA, ids.ASK_YES, await question_of(bot, "ada"))
    assert await world.submit(what="  ", when="after", how=None) == {ids.WHAT: "Please say what must be done by hand."}
    assert not await world.submit(what="Fill the colours", when="after", how="one\ntwo")
    assert "becomes a step of the plan" in world.voice.whispers[-1]
    answer = (await question_of(bot, "ada")).answer
    assert (answer.what, answer.moment, answer.how) == ("Fill the colours", "after", "one\ntwo")


async def test_a_menu_left_alone_means_before_the_deploy(world: World, bot: Replica) -> None:
    await world.type("ask")
    await press(world, ADA, ids.ASK_YES, await question_of(bot, "ada"))
    await world.submit(what="Fill the colours", when=None, how=None)
    assert (await question_of(bot, "ada")).answer.moment == "before"


@pytest.mark.parametrize("action", [ids.ASK_NOTHING, ids.ASK_YES])
@pytest.mark.parametrize("person", [VIEWER, STRANGER, ADA])
async def test_another_persons_question_is_not_answered(
    world: World, bot: Replica, action: str, person: Person
) -> None:
    await world.type("ask")
    with pytest.raises(NotAllowed, match="This question is for Bo"):
        await press(world, person, action, await question_of(bot, "bo@example.org"))
    assert not world.voice.views
    assert (await question_of(bot, "bo@example.org")).open


async def test_a_yes_while_a_release_is_under_way_is_told_to_who_releases(world: World, bot: Replica) -> None:
    await world.type("ask")
    world.desk.releases["R7"] = worlds.release(ReleaseState.RUNNING, environment="prod")
    await press(world, ADA, ids.ASK_YES, await question_of(bot, "ada"))
    await world.submit(what="Fill the colours", when="before", how=None)
    question = await question_of(bot, "ada")
    assert "<@U01REL> R7 was planned before this answer" in world.voice.said[f"{question.id}:R7"]


# the plan


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """Version 1.9.9 is on release; master has an engine migration and an everyday change besides."""
    origin = Origin(tmp_path)
    origin.commit("base")
    origin("tag", "-a", "1.9.9", "-m", "> Release notes:")
    origin("branch", "release")
    (origin.tree / MIGRATION).parent.mkdir(parents=True)
    (origin.tree / MIGRATION).write_text("ALTER TABLE dataset ADD colour text;\n")
    origin("add", "--all")
    origin("commit", "--quiet", "-m", "[Engine] Store the colour (#11)")
    origin.commit("page")
    origin("commit", "--quiet", "--amend", "-m", "Add a page (#12)")
    origin("push", "--quiet", "--tags", "origin", "master", "release")
    return origin


@pytest.fixture
def real(origin: Origin, tmp_path: Path, bot: Replica) -> World:
    """A whole office over Git and the database."""
    parts = at(origin, tmp_path / "mirror")
    parts.code_host.authors = {11: "ada", 12: "chen"}
    settings = parse(yaml.safe_load(EXAMPLE)).model_copy(update={"people": PEOPLE})
    name, environment = settings.environment()
    area = Area(name, environment, replace(parts.ports, authors=bot.desk), parts.planner, shipped)
    desk = Desk(bot.store, clock=bot.clock)
    world = World()
    freezes = Freezes(bot.store, clock=bot.clock, zone=settings.zone, weekly={})
    office = OfficeService(
        settings,
        desk=desk,
        commands=world.router.commands,
        areas={name: area},
        freezes=freezes,
        authors=bot.authors,
        rehearsals=rehearsals_on(bot.store, bot.authors.outbox, bot.clock),
        clock=bot.clock,
        queue=LockQueue(bot.store, bot.authors.outbox, bot.clock, timedelta(minutes=5)),
    )
    world.office = office  # type: ignore[assignment]
    return world


async def test_a_plan_has_the_migration_and_each_yes_as_steps_for_their_authors(real: World, bot: Replica) -> None:
    plan = (await real.office.plan(environment="prod")).plan
    (step,) = [one for one in plan.steps if one.step == "manual"]
    assert step.title == "Run the migration r1_9_20260120_add_colour.sql (#11)"
    assert step.params["assignee"] == "<@U06ADA>"
    await real.type("ask")
    await bot.authors.answer(
        (await question_of(bot, "chen")).id, by=real.person, said=Said.YES, source="S", what="Tell the labs", moment="after"
    )  # fmt: skip
    prepared = await real.office.plan(environment="prod")
    titles = [one.title for one in prepared.plan.steps]
    assert titles.index("Tell the labs (#12)") > [one.step for one in prepared.plan.steps].index("prove_live")
    (looked,) = [one for one in prepared.plan.steps if one.step == "authors_answered"]
    assert looked.params["pulls"] == [12, 11]
    assert len(looked.params["planned"]) == 1


async def test_an_answer_between_preview_and_confirmation_starts_nothing_and_shows_the_new_plan(
    real: World, bot: Replica
) -> None:
    await real.type("ask")
    await real.type("start")
    await bot.authors.answer(
        (await question_of(bot, "chen")).id, by=real.person, said=Said.YES, source="S", what="Tell the labs", how="by e-mail"
    )  # fmt: skip
    await real.submit(version=None)
    assert CHANGED in real.voice.whispers
    assert await real.office.desk.active() == ()
    shown = json.dumps(real.voice.blocks[-1])
    assert "Tell the labs" in shown
    await real.press_shown(ids.START_CONFIRM)
    (release,) = await real.office.desk.active()
    assert "Tell the labs (#12)" in [step.title for step in release.steps]


async def test_the_preview_says_what_authors_answered_and_who_has_not(real: World, bot: Replica) -> None:
    await real.type("ask")
    await bot.authors.answer((await question_of(bot, "ada")).id, by=ADA, said=Said.NOTHING, source="S")
    await real.type("start")
    shown = json.dumps(real.voice.views[-1], ensure_ascii=False)
    assert "1 of 2 questions answered “nothing by hand”" in shown
    assert "open:" in shown
    await real.type("review")
    assert "1 of 2 questions answered" in json.dumps(real.voice.blocks[-1], ensure_ascii=False)
