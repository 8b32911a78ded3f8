from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.notes import Note, NoteKind, clean, draft_all, kind_of, parse, tag_message
from bot.domain.review import PullRequest

EXAMPLES = json.loads((Path(__file__).parent.parent / "data" / "review-examples.json").read_text())
titles = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Feat/mono mass (#1388)", "Mono mass"),
        ("[sm-api] Molecular databases endpoint (#551)", "Molecular databases endpoint"),
        ("feat(graphql): Set FDR to null (#649)", "Set FDR to null"),
        ("fix: share link for reprocessed datasets", "Share link for reprocessed datasets"),
        ("Remove Spark codepath (#261) (#262)", "Remove Spark codepath (#261)"),
        ("Fixed subclass disabled.", "Fixed subclass disabled"),
        ("a\tb\nc", "A b c"),
    ],
)
def test_titles_are_cleaned(title: str, expected: str) -> None:
    assert clean(title) == expected


@pytest.mark.parametrize(
    ("title", "labels", "kind"),
    [
        ("Bump word-wrap from 1.2.3 to 1.2.4 in /metaspace/graphql", (), NoteKind.DEPENDABOT),
        ("build(deps): bump vite from 1 to 2", (), NoteKind.DEPENDABOT),
        ("Anything", ("dependencies",), NoteKind.DEPENDABOT),
        ("Fixed share link", (), NoteKind.BUG),
        ("fix: a thing", (), NoteKind.BUG),
        ("Anything", ("bug",), NoteKind.BUG),
        ("Mono mass", (), NoteKind.TASK),
        ("Bump version of python-client", (), NoteKind.TASK),
        ("feat: error pages", (), NoteKind.TASK),
        ("Fix pages", ("type: enhancement",), NoteKind.TASK),
        ("Pages", ("kind/bug :beetle:",), NoteKind.BUG),
        ("Pages", ("debugging",), NoteKind.TASK),
    ],
)
def test_the_kind_of_a_line(title: str, labels: tuple[str, ...], kind: NoteKind) -> None:
    assert kind_of(title, labels) is kind


def test_a_thousand_characters_and_mrkdwn_do_no_harm() -> None:
    assert len(clean("x" * 1000)) == 200
    assert clean("*<!channel>* `x`") == "*<!channel>* `x`"


def test_tasks_come_first_and_the_oldest_first_within() -> None:
    pulls = [PullRequest(3, "Fix c", "", ""), PullRequest(2, "B", "", ""), PullRequest(1, "A", "", "")]
    assert [note.number for note in draft_all(pulls)] == [1, 2, 3]


def test_the_tag_message_has_metaspaces_form() -> None:
    notes = [Note(NoteKind.TASK, "Task name", 921), Note(NoteKind.BUG, "Free line")]
    assert tag_message(notes) == "> Release notes:\n>   [Task] Task name #921\n>   [Bug] Free line\n"


@given(st.lists(st.builds(Note, st.sampled_from(NoteKind), titles, st.none() | st.integers(1, 99999))))
def test_what_was_written_is_read_again(notes: list[Note]) -> None:
    plain = [note for note in notes if not note.title.rsplit("#", 1)[-1].isdigit()]
    assert parse(tag_message(plain)) == plain


def test_older_vocabulary_is_understood() -> None:
    assert parse("> Release notes:\n> [Deps] Bump x #1\n[Story] no\n") == [Note(NoteKind.DEPENDABOT, "Bump x", 1)]


def test_the_forms_of_newer_tags_are_understood() -> None:
    message = "> Release notes:\n>[Bug] [ES] fixed phrase filter (#1393)\n>   [Fix] x (#2)\n>   [Feat] Support C#5\n>   [Task] #7\n"
    assert parse(message) == [
        Note(NoteKind.BUG, "[ES] fixed phrase filter", 1393),
        Note(NoteKind.BUG, "x", 2),
        Note(NoteKind.TASK, "Support C#5"),
    ]


def test_most_kinds_agree_with_what_people_wrote() -> None:
    """People see the issue behind a title; of those that say in their title what they are, all should agree."""
    known = [note for entry in EXAMPLES for note in entry["notes"]]
    agreed = [
        note for note in known if kind_of(note["title"]).value == {"Deps": "Dependabot"}.get(note["kind"], note["kind"])
    ]
    assert len(agreed) / len(known) > 0.7
