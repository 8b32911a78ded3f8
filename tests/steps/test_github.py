from __future__ import annotations

import pytest

from bot.domain.errors import Conflict, Refused, Unavailable
from bot.domain.world import PublishedRelease, RemoteTag
from bot.engine.step import Done, NotDone, Partial
from bot.steps.tagging import body_of_release
from tests.steps.worlds import NOTES, Stopped, World, failure

MARK = "<!-- releasebot R7 1.9.10 -->"


@pytest.fixture
async def tagged(world: World) -> World:
    await world.make_plan()
    world.repository.tags["1.9.10"] = RemoteTag("1.9.10", world.head, annotated=True, message="> Release notes:")
    world.outputs["notes"] = {"lines": NOTES.splitlines(), "by": "U01REL"}
    return world


async def test_the_release_has_the_notes_of_the_tag_and_is_found_again(tagged: World) -> None:
    assert isinstance(await tagged.check("github_release"), NotDone)
    evidence = await tagged.drive("github_release")
    made = tagged.code_host.releases["1.9.10"]
    assert made.title == "1.9.10"
    assert made.body == "* [Task] Mono mass #11\n* [Bug] Colours #12\n\n<!-- releasebot R7-github_release -->\n"
    assert evidence.facts["by_hand"] is False
    assert isinstance(await tagged.check("github_release"), Done)


async def test_somebody_elses_release_for_the_tag_is_left_as_it_is(tagged: World) -> None:
    theirs = PublishedRelease("1.9.10", "Ours", "By hand")
    tagged.code_host.releases["1.9.10"] = theirs
    evidence = await tagged.drive("github_release")
    assert "made by somebody else" in evidence.summary
    assert tagged.code_host.releases == {"1.9.10": theirs}


async def test_no_release_without_its_tag_which_github_would_make(tagged: World) -> None:
    tagged.repository.tags.clear()
    with pytest.raises(Stopped, match="the version's tag is at the pinned commit"):
        await tagged.drive("github_release")
    assert not tagged.code_host.releases


async def test_somebody_faster_is_told_and_the_next_try_finds_it(tagged: World) -> None:
    ctx = await tagged.context("github_release")
    tagged.code_host.releases["1.9.10"] = PublishedRelease("1.9.10", "Ours", "By hand")
    with pytest.raises(Conflict):
        await (await tagged.step("github_release")).run(ctx)
    assert isinstance(await tagged.check("github_release"), Done)


async def test_a_lost_answer_is_no_second_release(tagged: World) -> None:
    tagged.tap.fail("publish", Unavailable("GitHub does not answer.", hint="retry"), after_effect=True)
    await failure(tagged, "github_release")
    assert isinstance(await tagged.check("github_release"), Done)


def test_the_notes_mention_nobody_and_are_no_html() -> None:
    assert body_of_release(["[Bug] <b> & @ada"], mark="R7-x").splitlines()[0] == "* [Bug] &lt;b> &amp; @<!-- -->ada"


async def test_each_pull_request_is_told_once_whatever_else_stands_there(tagged: World) -> None:
    evidence = await tagged.drive("pull_request_comments")
    assert tagged.code_host.written == {
        11: ["Nice", f"Released in 1.9.10.\n\n{MARK}"],
        12: [f"Released in 1.9.10.\n\n{MARK}"],
    }
    assert evidence.facts["told"] == [11, 12]
    assert isinstance(await tagged.check("pull_request_comments"), Done)


async def test_those_that_know_it_are_not_told_again(tagged: World) -> None:
    tagged.code_host.written[11].append(f"Released in 1.9.10.\n\n{MARK}")
    assert isinstance(await tagged.check("pull_request_comments"), Partial)
    await tagged.drive("pull_request_comments")
    assert [len(comments) for comments in tagged.code_host.written.values()] == [2, 1]


async def test_another_releases_comment_proves_nothing(tagged: World) -> None:
    tagged.code_host.written[12].append("Released in 1.9.9.\n\n<!-- releasebot R6 1.9.9 -->")
    await tagged.drive("pull_request_comments")
    assert tagged.code_host.written[12][-1].endswith(MARK)


async def test_a_locked_conversation_is_named_and_the_others_are_told(tagged: World) -> None:
    tagged.code_host.locked.add(11)
    error = await failure(tagged, "pull_request_comments")
    assert "#11" in error.message
    assert tagged.code_host.written[12]


async def test_a_number_that_github_does_not_know_is_said(tagged: World) -> None:
    del tagged.code_host.written[12]
    evidence = await tagged.drive("pull_request_comments")
    assert "does not know #12" in evidence.summary


async def test_a_github_that_is_down_stops_at_once(tagged: World) -> None:
    tagged.tap.fail("comment", Unavailable("GitHub does not answer.", hint="retry"))
    assert isinstance(await failure(tagged, "pull_request_comments"), Unavailable)
    tagged.tap.fail("comments", Refused("GitHub does not accept our token.", hint="renew it"))
    assert isinstance(await failure(tagged, "pull_request_comments"), Refused)


async def test_without_the_setting_no_pull_request_is_told(world: World) -> None:
    plan = await world.make_plan(parts=())
    assert "pull_request_comments" not in [step.key for step in plan.steps]
