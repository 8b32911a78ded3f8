"""Everything that is shown of search indices fits into Slack, whatever stands in it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import Refused
from bot.domain.index_report import (
    MOST_NAMED,
    Candidate,
    Compared,
    Deed,
    RunningJob,
    Standing,
    Started,
    Wish,
    plain,
    read,
)
from bot.domain.indices import Aliases, Comparison, Index, Pair, Seen, Side
from bot.engine.index_guards import Guard
from bot.slack.context import Place, place_in
from bot.views import es, es_forms
from bot.views.limits import message_faults, modal_faults
from tests.views import worlds

PAIR = Pair("dataset-yang", "annotation-yang")
texts, names = worlds.texts, st.text("abcdefghij-", min_size=1, max_size=50)
indices = st.builds(
    Index,
    name=texts,
    uuid=texts,
    health=st.sampled_from(["green", "yellow", "red"]) | texts,
    documents=st.integers(0, 10**12),
    size=st.integers(0, 10**15),
    created_at=worlds.times,
    definition=texts,
    made_by=texts,
    open=st.booleans(),
)
seen = st.builds(
    Seen,
    aliases=st.builds(Aliases, texts, texts),
    indices=st.just({}),
    pointing=st.dictionaries(texts, st.lists(texts, max_size=9).map(tuple), max_size=3),
)
jobs = st.builds(
    RunningJob,
    name=texts,
    since=worlds.times,
    line=texts,
    target=texts,
    index=texts,
    done=st.none() | st.integers(0, 10**6),
    total=st.none() | st.integers(0, 10**6),
)


def candidates(side: Side) -> st.SearchStrategy[Candidate]:
    two = st.tuples(st.none() | indices, st.none() | indices)
    return st.builds(Candidate, side=st.just(side), pair=st.builds(Pair, texts, texts), indices=two)


standings = st.builds(
    Standing,
    environment=worlds.names,
    seen=seen,
    live=st.none() | st.sampled_from(Side),
    fault=texts,
    candidates=st.tuples(candidates(Side.YIN), candidates(Side.YANG)),
    at=worlds.times,
    jobs=st.lists(jobs, max_size=9).map(tuple),
    jobs_problem=texts,
)
many = st.lists(texts, max_size=40).map(tuple)
comparisons = st.builds(
    Comparison,
    missing=many,
    surplus=many,
    differing=many,
    visibility=many,
    counts=st.dictionaries(texts, st.tuples(st.integers(0, 9**9), st.integers(0, 9**9)), max_size=20),
    datasets=st.integers(0, 10**6),
    annotations=st.integers(0, 10**12),
    ignored=many,
)
named = st.lists(names.map(lambda one: one[:40]), max_size=MOST_NAMED).map(tuple) | st.just(("x" * 40,) * MOST_NAMED)
wishes = st.builds(
    Wish,
    deed=st.sampled_from(Deed),
    environment=worlds.names,
    side=st.sampled_from(Side),
    names=st.tuples(names, names),
    uuids=st.tuples(names, names),
    asked_by=st.sampled_from(["U01REL", "<!channel>"]),
    asked_at=worlds.times,
    exceptions=named,
    ignored=named,
)
guards = st.lists(st.builds(Guard, texts, st.booleans(), texts), max_size=14)


@settings(deadline=None)
@given(standings, comparisons, texts)
def test_what_is_shown_of_indices_fits(one: Standing, found: Comparison, text: str) -> None:
    compared = Compared(one.environment, Pair(text, text), PAIR, found, worlds.NOW)
    started = Started(text, PAIR, 7, 2, text, (text, text), 3)
    for shown in (
        es.status(one),
        es.comparison(compared),
        es.progress(text, text),
        es.created(text, PAIR, text),
        es.started(text, started, text, live=False, proved=text),
        es.started(text, started, text, live=True),
        es.unproved(started, Refused(text, hint=text, changed=text)),
    ):
        assert message_faults(shown.text, shown.blocks) == []


@settings(deadline=None)
@given(standings, wishes, guards, texts)
def test_what_is_asked_before_a_deed_fits_and_comes_back_as_it_was(
    one: Standing, wish: Wish, found: list[Guard], text: str
) -> None:
    key = f"es-{'E' * 90}"
    for shown in (
        es_forms.request(wish, one, found, key),
        es_forms.request(wish, one, [], key),
        es_forms.repair(one, [wish, replace(wish, side=wish.side.other)][: 1 if wish.side is Side.YIN else 2], key),
        es_forms.closed(wish, text),
    ):
        assert message_faults(shown.text, shown.blocks) == []
    form = es_forms.typed_form(wish, key)
    assert modal_faults(form) == []
    place_in(form["private_metadata"], Place("C0123456789", "1234567890.123456"))
    again = read(plain(wish))
    assert again == replace(wish, asked_at=again.asked_at)


def test_a_guard_that_does_not_hold_is_said_in_words_and_leaves_no_button() -> None:
    wish = Wish(Deed.SWAP, "prod", Side.YANG, PAIR.names, ("a", "b"), "U01REL", worlds.NOW)
    standing = Standing(
        "prod", Seen(Aliases(), {}, {}), Side.YIN, "", (_empty(Side.YIN), _empty(Side.YANG)), worlds.NOW
    )
    held = es_forms.request(wish, standing, [Guard("All is well", holds=True, evidence="3")], "k")
    assert "✓ holds – All is well: 3" in str(held.blocks)
    assert "es:confirm" in str(held.blocks)
    refused = es_forms.request(wish, standing, [Guard("All is well", holds=False, evidence="2")], "k")
    assert "✗ *does not hold* – All is well: 2" in str(refused.blocks)
    assert "es:confirm" not in str(refused.blocks)


def _empty(side: Side) -> Candidate:
    return Candidate(side, Aliases().pair(side), (None, None))
