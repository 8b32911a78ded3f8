from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import noteform, notes
from bot.domain.drafting import Draft
from bot.domain.noteform import NOTHING, boxes, collect, complaints
from bot.domain.notes import Note, NoteKind

TASK, BUG, DEPENDABOT = NoteKind
titles = st.one_of(
    st.text(min_size=1, max_size=120).map(notes.plain).filter(bool),
    st.sampled_from(["[Webapp] Page", "> quoted", "–", "- dash", "[Bug", "#5 is odd", "🦄" * 150, "*<!channel>* `x`"]),
).filter(lambda text: notes.parse_line(f"[Task] {text} #1") == Note(TASK, text, 1))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any draft whose lines stand in the order of their kinds, each pull request once."""
    numbers = draw(st.lists(st.integers(1, 99_999), unique=True, max_size=60))
    made = [Note(draw(st.sampled_from(NoteKind)), draw(titles), number) for number in numbers]
    split = draw(st.integers(0, len(made)))
    order = list(NoteKind)
    lines = sorted(made[:split], key=lambda one: order.index(one.kind))
    return Draft(tuple(lines), tuple(made[split:]), titles_only=draw(st.booleans()))


EXAMPLE = Draft((Note(TASK, "Masses", 1), Note(TASK, "Colours", 2), Note(BUG, "Table", 3)), (Note(BUG, "Typo", 4),))


def texts(draft: Draft) -> dict[str, str | None]:
    return {box.name: box.text for box in boxes(draft)}


@given(drafts())
def test_a_form_sent_as_it_was_opened_changes_nothing(draft: Draft) -> None:
    assert collect(texts(draft), draft) == draft


@given(drafts())
def test_a_form_that_nobody_touched_changes_nothing(draft: Draft) -> None:
    assert collect(dict.fromkeys(texts(draft)), draft) == draft


@given(drafts())
def test_the_tag_says_what_the_form_said(draft: Draft) -> None:
    sent = collect(texts(draft), draft)
    assert notes.parse(notes.tag_message(sent.lines)) == list(draft.lines)


@given(drafts())
def test_every_box_has_something_in_it_and_room_to_write(draft: Draft) -> None:
    for box in boxes(draft):
        assert box.text
        assert len(box.text.encode("utf-16-le")) // 2 <= noteform.ROOM
    assert len({box.name for box in boxes(draft)}) == len(boxes(draft))


@given(drafts(), st.dictionaries(st.sampled_from(["task-0", "bug-0", "dependabot-0", "left-out-0"]), st.text()))
def test_whatever_is_typed_no_pull_request_is_lost(draft: Draft, typed: dict[str, str]) -> None:
    sent = collect({**texts(draft), **typed}, draft)
    before = {one.number for one in (*draft.lines, *draft.left_out)}
    assert before <= {one.number for one in (*sent.lines, *sent.left_out)}
    assert collect(texts(sent), sent) == sent


def test_moving_a_line_regroups_it_and_its_place_orders_it() -> None:
    sent = collect({"task-0": "Colours #2", "bug-0": "Table #3\nMasses #1"}, EXAMPLE)
    assert [notes.line(one) for one in sent.lines] == ["[Task] Colours #2", "[Bug] Table #3", "[Bug] Masses #1"]


def test_a_kind_before_the_line_regroups_it_too() -> None:
    sent = collect({"task-0": "[Bug] Masses #1\n> [Task] Colours (#2)"}, EXAMPLE)
    assert [notes.line(one) for one in sent.lines] == ["[Task] Colours #2", "[Bug] Masses #1", "[Bug] Table #3"]


def test_what_is_deleted_is_left_out_and_what_is_left_out_comes_back_where_it_is_put() -> None:
    sent = collect({"task-0": "Masses #1", "bug-0": "Table #3\nTypo #4"}, EXAMPLE)
    assert sent.left_out == (Note(TASK, "Colours", 2),)
    assert sent.lines[-1] == Note(BUG, "Typo", 4)
    assert collect({"left-out-0": NOTHING}, sent).left_out == (Note(TASK, "Colours", 2),)


def test_a_line_of_ones_own_needs_no_number() -> None:
    assert collect({"bug-0": "Table #3\nAnd more"}, EXAMPLE).lines[-1] == Note(BUG, "And more")


def test_one_text_for_everything_is_understood() -> None:
    sent = collect({"notes": "> Release notes:\n>   [Bug] One #1\nTwo"}, EXAMPLE)
    assert sent.lines == (Note(TASK, "Two"), Note(BUG, "One", 1))
    assert collect({"notes": None}, EXAMPLE) == EXAMPLE


def test_what_came_back_on_one_line_is_parted_after_the_numbers() -> None:
    sent = collect({"task-0": "– Names  #1 Hues (#2) And more", "bug-0": "Table #3 [Task] Typo #4"}, EXAMPLE)
    assert [notes.line(one) for one in sent.lines] == [
        "[Task] Names #1",
        "[Task] Hues #2",
        "[Task] And more",
        "[Task] Typo #4",
        "[Bug] Table #3",
    ]
    assert collect({"task-0": "Names #1Hues #2"}, EXAMPLE).lines[:2] == (Note(TASK, "Names", 1), Note(TASK, "Hues", 2))


def test_a_number_within_a_title_parts_nothing() -> None:
    sent = collect({"task-0": "Follow #99 and so on #1\nUndo #1 again #2", "bug-0": "Revert #1 #3"}, EXAMPLE)
    assert [one.title for one in sent.lines] == ["Follow #99 and so on", "Undo #1 again", "Revert #1"]


titled = st.text("abc xyz", min_size=1, max_size=20).map(notes.plain).filter(bool)


@given(st.lists(titled, max_size=12), st.lists(titled, max_size=5))
def test_a_form_of_fields_of_one_line_changes_nothing_either(lines: list[str], left: list[str]) -> None:
    made = [Note(TASK, text, number) for number, text in enumerate([*lines, *left], 1)]
    draft = Draft(tuple(made[: len(lines)]), tuple(made[len(lines) :]))
    flat = {name: (text or "").replace("\n", "") for name, text in texts(draft).items()}
    assert collect(flat, draft) == draft
    assert not lines or complaints(flat) == {}


@pytest.mark.parametrize(
    ("values", "filled", "box", "words"),
    [
        ({"task-0": "[Story] x #1"}, (), "task-0", "“[Story]” is none of Task, Bug, Dependabot"),
        ({"task-0": "#12"}, (), "task-0", "has no title"),
        ({"bug-0": "[Bug]"}, (), "bug-0", "has no title"),
        ({"task-0": "x" * 401}, (), "task-0", "401 characters"),
        ({"task-0": "a #1\na #1"}, (), "task-0", "twice"),
        ({"task-0": NOTHING, "bug-0": " - \n", "left-out-0": "a #1"}, (), "task-0", "empty"),
        ({"task-0": "\n".join(f"a #{n}" for n in range(1, 302)), "bug-0": "b"}, (), "task-0", "302 lines"),
        ({"notes": "\n"}, (), "notes", "empty"),
        ({"left-out-0": "[Story] x", "task-0": "a"}, (), "left-out-0", "none of"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    values: dict[str, str | None], filled: tuple[str, ...], box: str, words: str
) -> None:
    found = complaints(values, filled=filled)
    assert list(found) == [box]
    assert words in found[box]


def test_a_form_left_alone_has_nothing_wrong() -> None:
    assert complaints(dict.fromkeys(texts(EXAMPLE)), filled=["task-0", "bug-0", "left-out-0"]) == {}
    assert complaints(dict.fromkeys(texts(Draft())), filled=[]) != {}
    assert complaints({"reason": "x", "task-0": "a"}) == {}


@given(drafts())
def test_what_the_form_opens_with_is_never_wrong(draft: Draft) -> None:
    short = replace(draft, lines=draft.lines or (Note(TASK, "One", 100_000),))
    assert complaints(texts(short)) == {}


def test_a_long_range_fits_box_after_box() -> None:
    lines = tuple(Note(TASK, f"{n} {'x' * 190}", n) for n in range(1, 201))
    found = boxes(Draft(lines))
    assert [box.of for box in found if box.kind is TASK] == [18] * 18
    assert len(found) < 95
    assert collect(dict.fromkeys(box.name for box in found), Draft(lines)).lines == lines
