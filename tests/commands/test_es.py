"""`/release es`, over indices in memory: what is shown, what is refused, and that a deed is done once, by two people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.errors import Conflict, Held, NotAllowed, Refused, ReleaseError, Unavailable, WrongUse
from bot.domain.indices import Definition, Side
from bot.domain.readmodel import LockView
from bot.domain.reindexing import Failure, Ledger
from bot.domain.release import ReleaseState
from bot.domain.world import JobReport, JobState
from tests.commands.es_world import ADMIN, ANA, BEN, DATASETS, MIB, NAMES, EsWorld, KilledError
from tests.commands.fakes import RELEASER, VIEWER
from tests.views import worlds

YIN = (("dataset-yin",), ("annotation-yin",))
YANG = (("dataset-yang",), ("annotation-yang",))
NEWEST = max(DATASETS)


@pytest.fixture
def world() -> EsWorld:
    return EsWorld()


def job(name: str = "J1", **marks: str) -> JobReport:
    return JobReport(name, JobState.RUNNING, worlds.NOW, worlds.NOW, marks)


async def test_status_shows_both_pairs_with_all_that_is_known_of_them(world: EsWorld) -> None:
    world.fill("yang", "U02ANA E1")
    world.person = VIEWER
    await world.type("es")
    for said in ("yin is live", "`dataset-yang`: 3 documents, 100.0 MiB, green", "2 d", "<@U02ANA>", "`dddddddd`"):
        assert said in world.shown, said
    assert "without the bot" in world.shown
    assert "No job indexes" in world.shown


@pytest.mark.parametrize(
    ("pointing", "said"),
    [
        ({"dataset": ("dataset-yang",), "annotation": ("annotation-yin",)}, "Half swapped"),
        (
            {"dataset": ("dataset-yin", "dataset-yang"), "annotation": ("annotation-yin",)},
            "readers see both",
        ),
        ({"dataset": ("dataset-yin",)}, "alias annotation is not there"),
        ({"dataset": ("old",), "annotation": ("annotation-yin",)}, "not at dataset-yin or dataset-yang alone"),
    ],
)
async def test_aliases_out_of_order_are_said_and_repaired_by_one_request(
    world: EsWorld, pointing: dict[str, tuple[str, ...]], said: str
) -> None:
    world.indices.pointing = pointing
    await world.type("es status prod")
    assert said in world.shown
    assert "/release es repair prod" in world.shown
    with pytest.raises(Refused, match="nobody knows which pair is live"):
        await world.type("es create")
    await world.type("es repair")
    await world.press_shown("es:repair:yang")
    assert await world.submit(typed="yin")
    assert await world.submit(typed="yang") == {}
    assert world.live == YANG
    assert len(world.indices.requests) == 1
    assert world.log.kinds == ["indices.begun", "indices.repaired"]


async def test_only_a_whole_side_is_offered_for_a_repair(world: EsWorld) -> None:
    world.indices.pointing = {"dataset": ("dataset-yang",), "annotation": ("annotation-yin",)}
    del world.indices.content["annotation-yang"]
    await world.type("es repair")
    assert "cannot be chosen" in world.shown
    with pytest.raises(AssertionError):
        await world.press_shown("es:repair:yang")


async def test_compare_names_every_kind_of_difference_and_gives_long_lists_as_a_file(world: EsWorld) -> None:
    world.person = VIEWER
    await world.type("es compare")
    assert "They agree: 3 datasets, 10 annotations" in world.shown
    content = world.indices.content
    world.datasets.rows |= {f"2026-02-{day:02}": 1 for day in range(1, 9)}
    content["dataset-yang"].documents |= {NEWEST: ("b", False), "gone": ("a", True)}
    content["annotation-yang"].documents[NEWEST] = 2
    await world.type("es compare prod --without ds_new")
    for said in (
        "8 missing",
        "1 deleted from PostgreSQL",
        "1 visible to others",
        "1 with another doc",
        "2 in the index, 3",
    ):
        assert said in world.shown, said
    assert world.voice.files["comparison-prod.txt"].startswith(
        "# 8 missing in the inactive pair\n2026-02-01\n2026-02-02\n"
    )


async def test_a_swap_takes_two_people_and_one_request(world: EsWorld) -> None:
    await world.type("es swap")
    assert "✓ holds" in world.shown
    assert "does not hold" not in world.shown
    with pytest.raises(NotAllowed, match="second person"):
        await world.press_shown("es:confirm")
    world.person = BEN
    await world.press_shown("es:confirm")
    assert await world.submit(typed="yin")
    assert await world.submit(typed="yang") == {}
    assert world.live == YANG
    assert [len(one) for one in world.indices.requests] == [4]
    assert world.log.kinds == ["indices.begun", "indices.swapped"]
    _, by, source, data = world.log.events[-1]
    assert (by, data["asked_by"]) == (BEN.slack, ANA.slack)
    assert source.startswith("E")
    assert "prod" not in world.desk.locks
    assert "swap-back" in world.shown


async def test_an_admin_does_not_do_both(world: EsWorld) -> None:
    world.person = ADMIN
    for what in ("swap", "swap-back", "drop"):
        await world.type(f"es {what}")
        with pytest.raises(NotAllowed, match="no role does both"):
            await world.press_shown("es:confirm")


async def test_swap_back_asks_for_the_same_and_says_nothing_of_what_the_code_creates(world: EsWorld) -> None:
    world.reindexing.code = Definition({"properties": {"new": {"type": "long"}}}, {})
    await world.type("es swap")
    assert "field new is missing" in world.shown
    await world.asks("es swap-back")
    await world.submit(typed="yang")
    assert world.live == YANG


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "1 missing"),
        ("surplus", "1 would come back"),
        ("counts", "has 2, not 3"),
        ("document", "1 differ"),
        ("hidden", "No dataset is more or less visible than in the live pair: 1 differ"),
        ("red", "dataset-yang is red"),
        ("closed", "no inactive pair"),
        ("mapping", "field ds_id is"),
        ("failed", "1 failed"),
    ],
)
async def test_a_swap_is_refused_unless_everything_holds(world: EsWorld, change: str, said: str) -> None:
    spoil(world, change)
    await world.type("es swap")
    assert said in world.shown
    assert "*Refused:*" in world.shown or change == "closed"
    with pytest.raises(AssertionError, match="no button"):
        await world.press_shown("es:confirm")


@pytest.mark.parametrize("change", ["missing", "surplus", "counts", "document", "hidden", "red", "mapping", "failed"])
async def test_what_went_wrong_between_the_request_and_its_confirmation_stops_the_swap(
    world: EsWorld, change: str
) -> None:
    await world.asks("es swap")
    spoil(world, change)
    with pytest.raises(Refused, match="Not so any more"):
        await world.submit(typed="yang")
    assert world.live == YIN
    assert "prod" not in world.desk.locks
    assert world.log.kinds == []
    assert "not done" in world.shown


def spoil(world: EsWorld, change: str) -> None:
    content = world.indices.content
    dataset, annotation = content["dataset-yang"], content["annotation-yang"]
    match change:
        case "missing":
            del dataset.documents[NEWEST]
        case "surplus":
            dataset.documents["gone"] = ("a", True)
        case "counts":
            annotation.documents[NEWEST] = 2
        case "document":
            dataset.documents[NEWEST] = ("b", True)
        case "hidden":
            dataset.documents[NEWEST] = ("a", False)
        case "red":
            dataset.index = replace(dataset.index, health="red")
        case "closed":
            del content["annotation-yang"]
        case "mapping":
            dataset.definition = Definition({"properties": {"ds_id": {"type": "text"}}}, {})
        case "failed":
            world.jobs.reports["J0"] = JobReport(
                "J0", JobState.FINISHED, worlds.NOW, worlds.NOW, {"index": "dataset-yang"}, worlds.NOW, 0
            )
            world.reindexing.ledgers["J0"] = Ledger(3, 2, (Failure(NEWEST, 3, "boom"),), ended=True)


async def test_a_person_may_excuse_a_dataset_that_is_missing_but_none_that_is_hidden(world: EsWorld) -> None:
    spoil(world, "missing")
    await world.asks(f"es swap --except {NEWEST}")
    assert "Excused by <@U02ANA>" in world.shown
    await world.submit(typed="yang")
    assert world.live == YANG
    assert world.log.events[-1][3]["exceptions"] == [NEWEST]
    other = EsWorld()
    spoil(other, "hidden")
    await other.type(f"es swap --except {NEWEST}")
    assert "does not hold" in other.shown


async def test_a_dataset_that_is_not_indexed_need_not_be_there_and_is_compared_where_it_is(world: EsWorld) -> None:
    world.datasets.unindexed = ("bare", "absent")
    for side in ("yin", "yang"):
        world.indices.content[f"dataset-{side}"].documents["bare"] = ("a", True)
    await world.type("es compare")
    assert "They agree" in world.shown
    world.indices.content["dataset-yin"].documents["bare"] = ("b", False)
    await world.type("es compare")
    assert "1 visible to others" in world.shown


async def test_an_index_made_anew_is_another_one(world: EsWorld) -> None:
    await world.asks("es swap")
    world.fill("yang")
    with pytest.raises(Conflict, match="not the indices any more"):
        await world.submit(typed="yang")
    assert world.live == YIN


async def test_a_request_does_not_stand_for_ever(world: EsWorld) -> None:
    await world.asks("es swap")
    world.clock.at += timedelta(hours=2)
    with pytest.raises(Conflict, match="60 minutes ago"):
        await world.submit(typed="yang")
    assert world.live == YIN


async def test_a_bot_killed_in_the_middle_of_a_swap_begins_it_again_and_swaps_once(world: EsWorld) -> None:
    await world.asks("es swap")
    world.indices.dies = True
    request = world.requests
    with pytest.raises(KilledError):
        await world.submit(typed="yang")
    left = LockView("prod", BEN.slack, f"es swap (E{request + 1})", worlds.NOW)  # a killed process gives nothing back
    world.desk.locks["prod"] = left
    world.open()
    world.requests = request  # the intake begins the very same request again
    await world.submit(typed="yang")
    assert world.live == YANG
    assert len(world.indices.requests) == 1
    assert world.log.kinds == ["indices.begun", "indices.swapped"]
    assert "already" in world.shown
    assert "prod" not in world.desk.locks


async def test_a_second_confirmation_finds_it_done_and_is_noted_as_nobodys_deed(world: EsWorld) -> None:
    await world.asks("es swap")
    await world.submit(typed="yang")
    await world.submit(typed="yang")
    assert len(world.indices.requests) == 1
    assert world.log.kinds == ["indices.begun", "indices.swapped"]


async def test_a_swap_needs_the_lock_and_no_job(world: EsWorld) -> None:
    world.held("U09OTHER")
    await world.type("es swap")
    assert "is not free" in world.shown
    world.held(ANA.slack)
    await world.asks("es swap")
    world.held("U09OTHER", release="R7")
    with pytest.raises(Held, match="R7 holds it"):
        await world.submit(typed="yang")
    world.held(ANA.slack)
    world.jobs.reports["J1"] = job(target="live")
    with pytest.raises(Conflict, match="J1 is indexing"):
        await world.submit(typed="yang")
    world.jobs.reports.clear()
    await world.submit(typed="yang")
    assert world.live == YANG
    assert world.desk.locks["prod"].owner == ANA.slack


async def test_create_makes_what_the_code_makes_and_nothing_twice(world: EsWorld) -> None:
    world.person = RELEASER
    with pytest.raises(Conflict, match=r"dataset-yang is there already, made 2026-08-01 .* somebody without the bot"):
        await world.type("es create")
    for name in ("dataset-yang", "annotation-yang"):
        del world.indices.content[name]
    world.indices.free = 200 * MIB
    with pytest.raises(Refused, match=r"needs 260.0 MiB .* 200.0 MiB"):
        await world.type("es create")
    world.indices.free = 300 * MIB
    await world.type("es create")
    made = world.indices.content["annotation-yang"].index
    assert made.made_by.startswith("U01REL E")
    assert [one.commit for one in world.reindexing.places.values()] == ["c" * 40]
    world.requests -= 1  # begun again after a restart
    await world.type("es create")
    assert world.indices.content["annotation-yang"].index.uuid == made.uuid
    assert world.log.kinds == ["indices.created"]


async def test_a_pair_made_with_a_releases_code_is_filled_and_judged_by_it(world: EsWorld) -> None:
    for name in ("dataset-yang", "annotation-yang"):
        del world.indices.content[name]
    world.reindexing.code = Definition({"properties": {"new": {"type": "long"}}}, {})
    place = await world.reindexing.make_workplace(release="R7", commit="d" * 40, pair=NAMES.pair(Side.YANG))
    await world.type("es create --release r7")
    await world.type("es reindex")
    (order,) = world.reindexing.orders.values()
    assert order.code == place.code
    assert list(world.reindexing.places) == ["R7"]
    other = await world.reindexing.make_workplace(release="R8", commit="d" * 40, pair=NAMES.pair(Side.YIN))
    for name in ("dataset-yang", "annotation-yang"):
        del world.indices.content[name]
    with pytest.raises(Refused, match=f"made for {other.pair.dataset}"):
        await world.type("es create --release R8")


async def test_drop_takes_the_inactive_pair_once_its_name_is_typed(world: EsWorld) -> None:
    for release in ("R6", "es-yang-cccccccccccc"):
        await world.reindexing.make_workplace(release=release, commit="c" * 40, pair=NAMES.pair(Side.YANG))
    await world.asks("es drop")
    assert "2 d old" in world.shown
    assert await world.submit(typed="dataset-yin")
    assert await world.submit(typed="dataset-yang") == {}
    assert set(world.indices.content) == {"dataset-yin", "annotation-yin"}
    assert world.log.kinds == ["indices.begun", "indices.dropped"]
    assert list(world.reindexing.places) == ["R6"]
    await world.type("es drop")
    assert "no inactive index" in world.shown


async def test_drop_never_takes_what_became_live_nor_what_a_job_or_a_release_needs(world: EsWorld) -> None:
    await world.asks("es drop")
    world.indices.pointing = dict(zip(("dataset", "annotation"), YANG, strict=True))
    with pytest.raises(Refused, match="not the inactive pair"):
        await world.submit(typed="dataset-yang")
    world.indices.pointing = dict(zip(("dataset", "annotation"), YIN, strict=True))
    world.jobs.reports["J1"] = job(target="inactive", index="dataset-yang")
    with pytest.raises(Conflict, match="not dropped under it"):
        await world.submit(typed="dataset-yang")
    world.jobs.reports["J1"] = job(target="live")
    release = worlds.release(ReleaseState.RUNNING)
    world.desk.releases["R7"] = release
    await world.reindexing.make_workplace(release="R7", commit="c", pair=NAMES.pair(Side.YANG))
    with pytest.raises(Conflict, match=r"R7 .* needs dataset-yang"):
        await world.submit(typed="dataset-yang")
    assert len(world.indices.content) == 4


async def test_reindex_goes_on_once_its_first_dataset_is_in_the_right_pair(world: EsWorld) -> None:
    world.indices.content["dataset-yang"].documents.clear()
    await world.type("es reindex --workers 4")
    (name, order), *_ = world.reindexing.orders.items()
    assert order.datasets == tuple(sorted(DATASETS, reverse=True))
    assert order.pair.dataset == "dataset-yang"
    assert order.configuration == "config.json"
    assert order.workers == 4
    assert not world.reindexing.ledgers[name].awaits_probe
    assert f"tmux attach -r -t {name}" in world.shown
    assert [(where, job.name, job.kind) for where, job in world.search.follower.asked] == [("prod", name, "reindex")]
    assert "it goes on" in world.shown
    with pytest.raises(Conflict, match=f"{name} is indexing"):
        await world.type("es reindex --all")
    world.requests -= 2  # the first request, begun again after a restart, finds its own job
    await world.type("es reindex --workers 4")
    assert len(world.reindexing.orders) == 1


async def test_a_job_that_writes_to_the_live_pair_is_ended_at_once(world: EsWorld) -> None:
    world.reindexing.lands = "dataset-yin"
    await world.type("es reindex")
    assert world.jobs.stopped == list(world.reindexing.orders)
    assert "was written to dataset-yin, which is live" in world.shown


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("--since 2026-01-02", ("2026-01-03_10h", "2026-01-02_10h")),
        ("--ids 2026-01-01_10h,2026-01-02_10h", ("2026-01-02_10h", "2026-01-01_10h")),
        ("--changed", (NEWEST,)),
        ("--failed", (NEWEST,)),
    ],
)
async def test_reindex_chooses_datasets_newest_first(world: EsWorld, words: str, chosen: tuple[str, ...]) -> None:
    spoil(world, "failed")
    spoil(world, "document")
    world.indices.content["dataset-yang"].documents["gone"] = ("a", True)
    await world.type(f"es reindex {words}")
    (order,) = world.reindexing.orders.values()
    assert order.datasets == chosen
    assert ("gone" in world.indices.content["dataset-yang"].documents) is ("--changed" not in words)


async def test_update_renews_the_live_pair_through_the_aliases(world: EsWorld) -> None:
    world.person = RELEASER
    await world.type("es update --since 2026-01-03")
    (order,) = world.reindexing.orders.values()
    assert (order.code, order.configuration) == ("/opt/engine", "/opt/engine/conf/config.json")
    assert not order.probe


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("es explode", WrongUse),
        ("es reindex --all --changed", WrongUse),
        ("es reindex --since yesterday", WrongUse),
        ("es reindex --workers 99", WrongUse),
        ("es reindex --workers ²", WrongUse),
        ("es reindex --ids ;rm", WrongUse),
        ("es reindex --ids 1999-01-01", WrongUse),
        ("es create --release R9", WrongUse),
        (f"es swap --except {','.join(map(str, range(30)))}", WrongUse),
    ],
)
async def test_odd_requests_are_answered_and_change_nothing(
    world: EsWorld, text: str, error: type[ReleaseError]
) -> None:
    if "create" in text:
        for name in ("dataset-yang", "annotation-yang"):
            del world.indices.content[name]
    with pytest.raises(error):
        await world.type(text)
    assert world.reindexing.orders == {}
    assert world.log.kinds == []


async def test_reindex_needs_both_indices_for_writing_would_make_them(world: EsWorld) -> None:
    del world.indices.content["annotation-yang"]
    with pytest.raises(Refused, match="guessed mappings"):
        await world.type("es reindex")


async def test_roles_are_asked_for_each_part(world: EsWorld) -> None:
    world.person = VIEWER
    for part in ("create", "reindex", "update", "swap", "swap-back", "repair", "drop"):
        with pytest.raises(NotAllowed):
            await world.type(f"es {part}")
    world.person = RELEASER
    for part in ("swap", "swap-back", "repair", "drop"):
        with pytest.raises(NotAllowed):
            await world.type(f"es {part}")


async def test_an_environment_without_elasticsearch_says_which_setting_is_missing(world: EsWorld) -> None:
    world.search.indices = None
    world.open()
    with pytest.raises(Unavailable, match="name no elasticsearch for prod"):
        await world.type("es status")
