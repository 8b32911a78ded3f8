"""Which pair is live, what repairs the aliases, and what makes a new pair unfit to go live."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.comparing import compare, differences, dynamic_fields, fingerprint
from bot.domain.errors import Refused
from bot.domain.indices import Aliases, DatasetDocument, Definition, Index, Seen, Side
from bot.domain.layout import Broken, Fault, Sound, back_actions, layout, repair_actions, room_needed, swap_actions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.domain.indices import AliasAction

ALIASES = Aliases()
OURS = [name for side in Side for name in ALIASES.pair(side).names]


def index(name: str, *, size: int = 10, health: str = "green", opened: bool = True) -> Index:
    return Index(name, f"uuid-{name}", health, 7, size, datetime(2026, 1, 1, tzinfo=UTC), open=opened)


def seen(dataset: Sequence[str], annotation: Sequence[str], there: Sequence[str] = tuple(OURS)) -> Seen:
    pointing = {"dataset": tuple(sorted(dataset)), "annotation": tuple(sorted(annotation))}
    return Seen(ALIASES, {name: index(name) for name in there}, pointing)


def applied(before: Seen, actions: Sequence[AliasAction]) -> Seen:
    """What Elasticsearch makes of one request: a removal must find its alias, an addition its index, or nothing happens."""
    pointing = {alias: set(names) for alias, names in before.pointing.items()}
    for action in actions:
        if action.add:
            assert action.index in before.indices
            pointing[action.alias].add(action.index)
        else:
            assert action.index in pointing[action.alias]
            pointing[action.alias].remove(action.index)
    return replace(before, pointing={alias: tuple(sorted(names)) for alias, names in pointing.items()})


@st.composite
def worlds(draw: st.DrawFn) -> Seen:
    """Anything that a look may show: some indices, each alias at some of them; an alias's index is there, or was just now."""
    there = [*draw(st.sets(st.sampled_from(OURS))), *draw(st.sampled_from([(), ("sm-old",), ("dataset",)]))]
    targets = {
        alias: draw(
            st.lists(st.sampled_from([f"{alias}-yin", f"{alias}-yang", "sm-old"]), unique=True, max_size=3)
            if alias not in there
            else st.just([])
        )
        for alias in ("dataset", "annotation")
    }
    unwell = draw(st.sets(st.sampled_from(OURS), max_size=1))
    made = seen(targets["dataset"], targets["annotation"], there)
    healths = {name: replace(one, health="red" if name in unwell else "green") for name, one in made.indices.items()}
    return replace(made, indices=healths)


@given(worlds())
def test_a_pair_is_live_only_when_both_aliases_name_it_alone(world: Seen) -> None:
    found = layout(world)
    targets = [world.pointing[alias] for alias in ("dataset", "annotation")]
    sides = [{name.rpartition("-")[2] for name in names} for names in targets]
    whole = all(len(names) == 1 and names[0] in world.indices and names[0] in OURS for names in targets)
    assert isinstance(found, Sound) == (whole and sides[0] == sides[1])
    if isinstance(found, Broken):
        assert found.faults
        assert found.said.endswith(".")


@given(worlds())
def test_each_repair_offered_makes_its_side_live_in_one_request(world: Seen) -> None:
    found = layout(world)
    if isinstance(found, Broken):
        for candidate in found.candidates:
            after = layout(applied(world, candidate.actions))
            assert isinstance(after, Sound)
            assert after.live is candidate.side
            assert all(world.indices[name].health == "green" for name in after.pair.names)


@given(worlds())
def test_a_swap_has_four_actions_and_two_swaps_are_none(world: Seen) -> None:
    try:
        actions = swap_actions(world)
    except Refused:
        found = layout(world)
        unfit = isinstance(found, Sound) and any(
            name not in world.indices or world.indices[name].health == "red" for name in found.inactive.names
        )
        assert isinstance(found, Broken) or unfit
        return
    assert len(actions) == 4
    after = applied(world, actions)
    before_swap, after_swap = layout(world), layout(after)
    assert isinstance(before_swap, Sound)
    assert isinstance(after_swap, Sound)
    assert after_swap.live is before_swap.live.other
    assert back_actions(world, to=before_swap.live) == ()
    if all(world.indices[name].health == "green" for name in before_swap.pair.names):
        assert applied(after, back_actions(after, to=before_swap.live)) == world


@pytest.mark.parametrize(
    ("world", "faults", "words", "candidates"),
    [
        (
            seen(["dataset-yang"], ["annotation-yin"]),
            [Fault.HALF_SWAPPED],
            "dataset points at dataset-yang and annotation",
            2,
        ),
        (seen(["dataset-yin", "dataset-yang"], ["annotation-yin"]), [Fault.DOUBLED], "at once: readers see both", 2),
        (seen([], ["annotation-yin"]), [Fault.MISSING], "The alias dataset is not there", 2),
        (seen(["sm"], ["annotation-yin"], [*OURS, "sm"]), [Fault.FOREIGN], "points at sm, not at dataset-yin or", 2),
        (
            seen(["dataset-yin"], ["annotation-yin"], OURS[1:]),
            [Fault.LOST],
            "points at dataset-yin, which is not there",
            1,
        ),
        (seen([], ["annotation-yin"], [*OURS, "dataset"]), [Fault.SQUATTED], "An index is called dataset", 0),
        (seen([], []), [Fault.MISSING], "The alias annotation is not there", 2),
        (seen([], [], []), [Fault.MISSING], "The alias annotation is not there", 0),
    ],
)
def test_each_fault_has_a_sentence_and_the_sides_that_are_whole(
    world: Seen, faults: list[Fault], words: str, candidates: int
) -> None:
    found = layout(world)
    assert isinstance(found, Broken)
    assert list(found.faults) == faults
    assert words in found.said
    assert len(found.candidates) == candidates
    with pytest.raises(Refused):
        swap_actions(world)


def test_a_side_that_is_closed_red_or_absent_is_never_made_live() -> None:
    world = seen(["dataset-yin"], ["annotation-yin"])
    for unwell, words in (
        (index("dataset-yang", health="red"), "is red"),
        (index("dataset-yang", opened=False), "is closed"),
    ):
        with pytest.raises(Refused, match=words):
            swap_actions(replace(world, indices={**world.indices, "dataset-yang": unwell}))
    with pytest.raises(Refused, match="annotation-yang is not there"):
        repair_actions(seen(["dataset-yin"], ["annotation-yin"], OURS[:3]), Side.YANG)


def test_a_new_pair_needs_the_live_pair_and_a_third_again() -> None:
    assert room_needed(seen(["dataset-yin"], ["annotation-yin"])) == 26
    with pytest.raises(Refused, match="Half swapped"):
        room_needed(seen(["dataset-yin"], ["annotation-yang"]))


def document(digest: str, *, public: bool | None = True) -> DatasetDocument:
    return DatasetDocument(digest, public)


def test_pairs_are_compared_by_id_both_ways() -> None:
    old = {one: document(one) for one in ("same", "edited", "hidden", "deleted", "lacking")}
    new = {**old, "edited": document("other"), "hidden": document("hidden", public=False), "fresh": document("fresh")}
    del new["lacking"]
    found = compare(
        annotations={"same": 3, "edited": 1, "hidden": 0, "lacking": 2, "fresh": 5},
        live=old,
        new=new,
        counts={"same": 4, "edited": 1, "fresh": 5, "left": 1},
        ignored={"ds_new", "ds_added"},
    )
    assert found.missing == ("lacking",)
    assert found.surplus == ("deleted", "left")
    assert found.differing == ("edited", "hidden")
    assert found.visibility == ("hidden",)
    assert found.counts == {"same": (3, 4), "lacking": (2, 0)}
    assert (found.datasets, found.annotations, found.ignored) == (5, 11, ("ds_added", "ds_new"))


def test_what_a_person_excepts_may_lack_but_never_be_seen_or_come_back() -> None:
    found = compare(
        annotations={"lacking": 1, "hidden": 1},
        live={"hidden": document("a")},
        new={"hidden": document("b", public=False), "gone": document("c")},
        counts={},
        excepted={"lacking", "hidden", "gone"},
    )
    assert (found.missing, found.counts) == ((), {})
    assert found.differing == found.visibility == ("hidden",)
    assert found.surplus == ("gone",)


TEMPLATES = [{"strings": {"match_mapping_type": "string", "mapping": {"type": "keyword", "normalizer": "default"}}}]
ANALYSIS = {"normalizer": {"default": {"type": "custom", "filter": ["lowercase"], "preserve": True}}}


def wanted() -> Definition:
    properties: dict[str, Any] = {"ds_id": {"type": "keyword"}, "msm": {"type": "float"}}
    properties["isobars"] = {"properties": {"ion": {"type": "keyword"}}}
    return Definition(
        {"dynamic_templates": TEMPLATES, "properties": properties},
        {"index": {"number_of_shards": 1, "number_of_replicas": 0, "analysis": ANALYSIS}},
    )


def found() -> Definition:
    """The same as Elasticsearch says it back: text for numbers, values of its own, and fields that data brought."""
    mappings: dict[str, Any] = {**wanted().mappings, "_meta": {"made_by": "somebody"}}
    mappings["properties"] = {**mappings["properties"], "ds_status": TEMPLATES[0]["strings"]["mapping"]}
    mappings["properties"]["isobars"] = {"properties": {"ion": {"type": "keyword"}, "n": {"type": "long"}}}
    analysis = {"normalizer": {"default": {"type": "custom", "filter": ["lowercase"], "preserve": "true"}}}
    settings = {"number_of_shards": "1", "number_of_replicas": "2", "uuid": "x", "analysis": analysis}
    return Definition(mappings, {"index": settings})


def test_an_index_of_this_code_differs_in_nothing_but_fields_of_its_data() -> None:
    assert differences(wanted(), found()) == ()
    assert dynamic_fields(wanted(), found()) == ("ds_status", "isobars.n")
    assert fingerprint(wanted()) == fingerprint(found())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it.mappings["properties"].pop("ds_id"), "field ds_id is missing"),
        (
            lambda it: it.mappings["properties"].update(msm={"type": "double"}),
            'field msm is {"type": "double"} in place of {"type": "float"}',
        ),
        (lambda it: it.mappings["properties"]["isobars"]["properties"].pop("ion"), "field isobars.ion is missing"),
        (lambda it: it.mappings.update(dynamic_templates=[]), "dynamic_templates is []"),
        (lambda it: it.mappings.update(dynamic="strict"), 'dynamic is "strict" in place of nothing'),
        (
            lambda it: it.settings["index"].update(number_of_shards="5"),
            'setting number_of_shards is "5" in place of "1"',
        ),
        (lambda it: it.settings["index"].update(analysis={}), "setting analysis.normalizer.default.filter is nothing"),
        (
            lambda it: it.settings["index"]["analysis"].update(filter={"more": {"type": "x"}}),
            "setting analysis.filter.more.type",
        ),
    ],
)
def test_each_difference_is_named(change: Any, words: str) -> None:
    one = found()
    change(one)
    assert words in "\n".join(differences(wanted(), one))
    if "number_of_shards" not in words:
        assert fingerprint(one) != fingerprint(found())
