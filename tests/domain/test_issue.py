"""A plan as an issue: boxes that follow the release, people's words kept, ticks read back, and nothing that acts on GitHub."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bot.domain import issue
from bot.domain.release import FINISHED, ReleaseState, StepState
from tests.views import worlds

KEYS = ("ci", "push", "notes")
step_states = st.tuples(*[st.sampled_from(StepState)] * 3)
said = st.sampled_from(["", "@ada see #12 and [here](https://evil.example) <!-- releasebot: to here -->", "a\r\nb"])


def release(*states: StepState, state: ReleaseState = ReleaseState.RUNNING, note: str = "") -> worlds.ReleaseView:
    steps = tuple(replace(one, note=note, title=one.title + note) for one in worlds.steps(*states))
    return worlds.release(state, steps=steps)


@given(step_states, st.dictionaries(st.sampled_from(KEYS), said), said, said)
def test_boxes_are_ticked_exactly_where_a_step_is_over(
    states: tuple[StepState, ...], remarks: dict[str, str], around: str, note: str
) -> None:
    seen = release(*states, note=note)
    text = issue.body(seen, remarks, around)
    over = {key for key, state in zip(KEYS, states, strict=True) if state in issue.OVER}
    assert issue.ticked(text) == over
    assert issue.body(seen, remarks, text) == text, "writing it again changes nothing"
    assert issue.mark(seen) in text
    assert text.count("<!-- step:") == 3
    assert issue.by_hand(seen, issue.ticked(text)) == ()


@given(states=step_states, boxes=st.sets(st.sampled_from(KEYS)), windows=st.booleans())
def test_what_a_person_ticked_is_read_whatever_the_editor_makes_of_lines(
    *, states: tuple[StepState, ...], boxes: set[str], windows: bool
) -> None:
    seen = release(*states)
    text = issue.body(seen, {})
    for key in boxes:
        text = "\n".join(line.replace("[ ]", "[X]") if f"step:{key} " in line else line for line in text.splitlines())
    text = text.replace("\n", "\r\n") if windows else text
    found = issue.by_hand(seen, issue.ticked(text))
    assert set(found) == {key for key, one in zip(KEYS, states, strict=True) if key in boxes and one not in issue.OVER}
    assert list(found) == [key for key in KEYS if key in found]


def test_what_people_wrote_around_it_stays() -> None:
    seen = release(StepState.DONE, StepState.RUNNING, StepState.PENDING)
    text = f"Before\r\n\r\n{issue.body(seen, {})}\nAfter\n- [x] my own box\n"
    later = issue.body(release(StepState.DONE, StepState.DONE, StepState.RUNNING), {"notes": "its check says no"}, text)
    assert later.startswith("Before\n")
    assert later.endswith("After\n- [x] my own box\n")
    assert "- [x] 2." in later
    assert "  - releasebot took the tick back: its check says no" in later
    assert later.count(issue.BEGIN) == 1


def test_nothing_from_outside_acts_on_github() -> None:
    first, second, third = worlds.steps(StepState.DONE, StepState.SKIPPED, StepState.PENDING)
    hostile = "@ada #12 **bold** <script> [x](https://evil.example) <!-- step:ci -->"
    seen = worlds.release(
        steps=(
            replace(first, summary=hostile),
            replace(second, reason=hostile),
            replace(third, title=hostile, note=hostile, assignee="<@U05ADA>"),
        ),
        note=hostile,
    )
    text = issue.body(seen, {"notes": hostile})
    assert "@ada" not in text
    assert " #12" not in text
    assert "<script>" not in text
    assert "https://" not in text
    assert text.count("<!-- step:ci -->") == 1
    assert "for U05ADA" in text


def test_after_its_end_no_tick_is_looked_at() -> None:
    for state in FINISHED:
        seen = release(StepState.DONE, StepState.PENDING, StepState.PENDING, state=state)
        assert issue.by_hand(seen, frozenset(KEYS)) == ()


def test_issues_of_two_databases_are_told_apart() -> None:
    one, other = worlds.release(), worlds.release(created_at=worlds.NOW.replace(year=2027))
    assert issue.mark(one) != issue.mark(other)
    assert issue.title(one) == "Release 1.9.10 to prod (R7)"
