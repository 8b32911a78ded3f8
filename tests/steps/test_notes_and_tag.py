from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.domain import notes
from bot.domain.drafting import Draft
from bot.domain.errors import Refused, StepFailed
from bot.domain.world import RemoteTag
from bot.engine.step import Done, NotDone, Unknown
from tests.steps.worlds import DRAFT, NOTES, Stopped, World, failure, no, yes

if TYPE_CHECKING:
    from bot.domain.release import Question


@pytest.fixture
async def pushed(world: World) -> World:
    await world.make_plan()
    world.repository.branches["release"] = world.head
    return world


def tag(world: World, *, message: str = "", target: str = "", annotated: bool = True) -> None:
    world.repository.tags["1.9.10"] = RemoteTag("1.9.10", target or world.head, annotated, message, tagger="Ada")


async def asked(world: World) -> Question:
    question = await (await world.step("notes")).ask(await world.context("notes"))
    assert question is not None
    return question


async def test_the_draft_can_be_taken_or_edited(pushed: World) -> None:
    question = await asked(pushed)
    assert [(choice.value, choice.form) for choice in question.choices] == [
        ("draft", ""),
        ("edited", "notes"),
        ("", ""),
    ]
    assert question.draft is not None
    assert (question.draft["version"], question.draft["text"], question.draft["left_out"]) == ("1.9.10", NOTES, "")


async def test_the_very_message_of_the_tag_is_shown_before(pushed: World) -> None:
    with pytest.raises(Stopped, match="asked again"):
        await pushed.drive("notes", yes("edited", text="[Task] In our words #11", left_out="[Bug] Colours #12"))
    draft = (await asked(pushed)).draft
    assert draft is not None
    await pushed.drive("notes", yes("draft"))
    await pushed.drive("tag")
    assert draft["message"] == pushed.repository.tags["1.9.10"].message
    assert "[Task] In our words #11" in str(draft["message"])


async def test_an_empty_draft_can_only_be_edited(world: World) -> None:
    await world.make_plan(notes=Draft())
    assert [choice.value for choice in (await asked(world)).choices] == ["edited", ""]


async def test_far_too_many_lines_cannot_be_taken_as_they_are(world: World) -> None:
    await world.make_plan(notes=Draft(tuple(notes.Note(notes.NoteKind.TASK, "x", n) for n in range(1, 302))))
    question = await asked(world)
    assert [choice.value for choice in question.choices] == ["edited", ""]
    assert "301 lines are too many" in question.detail


async def test_a_draft_from_titles_alone_says_so_until_somebody_edited_it(world: World) -> None:
    await world.make_plan(notes=replace(DRAFT, titles_only=True))
    assert "titles of the commits alone" in (await asked(world)).detail
    world.typed = {"text": NOTES}
    assert "titles of the commits alone" not in (await asked(world)).detail


async def test_what_is_left_out_is_named(world: World) -> None:
    left = tuple(notes.Note(notes.NoteKind.TASK, f"No {n}", n) for n in range(1, 6))
    await world.make_plan(notes=replace(DRAFT, left_out=left))
    assert (await asked(world)).detail == "Left out: [Task] No 1 #1; [Task] No 2 #2; [Task] No 3 #3 and 2 more."


async def test_the_draft_as_it_is(pushed: World) -> None:
    await pushed.drive("notes", yes("draft"))
    assert pushed.outputs["notes"] == {"lines": NOTES.splitlines(), "by": "U01REL"}


async def test_an_edit_is_no_approval_however_often(pushed: World) -> None:
    for text in ("[Task] One #11", "[Task] Two #11"):
        with pytest.raises(Stopped, match="asked again"):
            await pushed.drive("notes", yes("edited", text=text))
        assert "notes" not in pushed.outputs
    assert [choice.label for choice in (await asked(pushed)).choices][1] == "Edit again…"
    await pushed.drive("notes", yes("draft"))
    assert pushed.outputs["notes"]["lines"] == ["[Task] Two #11"]


async def test_what_was_typed_outlives_a_no_and_a_retry(pushed: World) -> None:
    with pytest.raises(Stopped, match="asked again"):
        await pushed.drive("notes", yes("edited", text="[Task] In our words #11"))
    await failure(pushed, "notes", no())
    pushed.attempt = 2
    draft = (await asked(pushed)).draft
    assert draft is not None
    assert draft["text"] == "[Task] In our words #11"


async def test_empty_notes_are_refused(pushed: World) -> None:
    pushed.typed = {"text": "", "left_out": NOTES}
    error = await failure(pushed, "notes", yes("draft"))
    assert "empty" in error.message


async def test_a_no_to_the_notes_stops(pushed: World) -> None:
    await failure(pushed, "notes", no())
    assert not pushed.repository.tags


async def test_the_confirmation_rests_on_release_being_at_the_commit(pushed: World) -> None:
    pushed.repository.branches["release"] = pushed.base
    result = await pushed.check("notes", yes("draft"))
    assert isinstance(result, NotDone)
    assert "pinned commit" in result.reason


async def test_the_tag_has_metaspaces_form_and_our_mark_last(pushed: World) -> None:
    await pushed.drive("notes", yes("draft"))
    await pushed.drive("tag")
    message = pushed.repository.tags["1.9.10"].message
    assert message.splitlines()[:2] == ["> Release notes:", ">   [Task] Mono mass #11"]
    assert message.splitlines()[-1] == "Released-by: R7-tag"
    assert [notes.line(note) for note in notes.parse(message)] == NOTES.splitlines()


async def test_our_own_tag_is_done_for_both(pushed: World) -> None:
    tag(pushed, message="> Release notes:\n>   [Task] Mono mass #11\n\nReleased-by: R7-tag")
    assert isinstance(await pushed.check("tag"), Done)
    await pushed.drive("notes")
    assert pushed.outputs["notes"]["lines"] == ["[Task] Mono mass #11"]


async def test_an_annotated_tag_made_by_hand_at_the_commit_is_done(pushed: World) -> None:
    tag(pushed, message="> Release notes:\n>   [Bug] By hand #1")
    result = await pushed.check("tag")
    assert isinstance(result, Done)
    assert "by hand by Ada" in result.evidence.summary


@pytest.mark.parametrize("key", ["notes", "tag"])
@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"target": "e" * 40}, "at eeeeeeee"),
        ({"annotated": False}, "lightweight"),
        ({"message": "x\n\nReleased-by: R6-tag"}, "belongs to R6"),
    ],
)
async def test_a_foreign_tag_stops_clearly(pushed: World, key: str, facts: dict[str, object], why: str) -> None:
    tag(pushed, **facts)  # type: ignore[arg-type]
    result = await pushed.check(key)
    assert isinstance(result, Unknown)
    assert why in result.why
    assert "next version" in result.hint


async def test_somebody_faster_between_look_and_push_is_refused(pushed: World) -> None:
    await pushed.drive("notes", yes("draft"))
    ctx = await pushed.context("tag")
    tag(pushed, target=pushed.base)
    with pytest.raises(Refused):
        await (await pushed.step("tag")).run(ctx)
    with pytest.raises(StepFailed, match="exists already"):
        await (await pushed.step("tag")).verify(ctx)


async def test_no_tag_while_release_is_elsewhere(world: World) -> None:
    world.outputs["notes"] = {"lines": ["[Task] x"], "by": "U01REL"}
    with pytest.raises(Stopped, match="release is at the pinned commit"):
        await world.drive("tag")
