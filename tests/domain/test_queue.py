"""First come, first served; whoever lets the time go by is out, and nobody else takes what is kept for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Held
from bot.domain.queue import Ended, Waiting, demand_turn, in_line

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PEOPLE = ("U1", "U2", "U3", "U4")


def waiting(number: int, person: str, ended: Ended, claim: int | None) -> Waiting:
    until = None if claim is None else NOW + claim * MINUTE
    return Waiting(number, "prod", person, NOW - MINUTE, NOW - MINUTE if until else None, until, ended)


lines = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(Ended), st.one_of(st.none(), st.integers(-3, 3))), max_size=6
).map(lambda rows: [waiting(number, *row) for number, row in enumerate(rows, 1)])


@given(lines, st.randoms())
def test_the_line_is_those_who_still_wait_in_the_order_of_their_asking(line: list[Waiting], random: object) -> None:
    shuffled = sorted(line, key=lambda _: random.random())  # type: ignore[attr-defined]  # Hypothesis's own Random
    found = in_line(shuffled, NOW)
    assert [one.id for one in found] == sorted(one.id for one in found)
    assert {one.id for one in line} - {one.id for one in found} == {
        one.id for one in line if one.ended or (one.claim_until and one.claim_until <= NOW)
    }


@given(lines)
def test_of_all_people_exactly_the_first_in_line_may_take_it(line: list[Waiting]) -> None:
    def may(person: str) -> bool:
        try:
            demand_turn(line, environment="prod", person=person, now=NOW)
        except Held as error:
            return error.environment != "prod"
        return True

    first = in_line(line, NOW)[:1]
    assert [one for one in PEOPLE if may(one)] == ([first[0].person] if first else list(PEOPLE))


@given(lines)
def test_when_the_first_lets_it_pass_nobody_but_the_first_loses_their_place(line: list[Waiting]) -> None:
    before = in_line(line, NOW)
    if not before:
        return
    after = in_line([replace(one, ended=Ended.LEFT) if one == before[0] else one for one in line], NOW)
    assert after == before[1:]


def test_who_comes_first_is_named() -> None:
    line = [waiting(1, "U1", Ended.NOT, None)]
    with pytest.raises(Held, match="<@U1> has waited") as refused:
        demand_turn(line, environment="prod", person="U2", now=NOW)
    assert "let it pass" in refused.value.hint
