"""The driver that runs on the web server, as a real process over METASPACE's script in small (docs/reindexing.md)."""

from __future__ import annotations

import ast
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integrations import reindex_host
from integrations.reindex_host.lines import Reading
from integrations.reindex_host.work import Pace
from tests.integrations.helpers import text
from tests.integrations.reindexing import Engine, ids, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "2026-03-02 10:00:00,123 - INFO - engine[MainThread] - update_es_index.py:59 - "


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.close()


def test_every_dataset_is_done_once_newest_first_in_few_runs(engine: Engine) -> None:
    wanted = ids(60)
    assert engine.place([*wanted, wanted[0]]) == "60\n"
    assert engine.run() == 0
    assert engine.diary() == wanted
    assert engine.counts() == Counter(wanted)
    ledger = engine.ledger()
    assert (ledger["total"], ledger["done"], ledger["ended"], ledger["failed"]) == (60, 60, True, [])
    assert ledger["history"][-1][1] == 60
    runs = {line.split()[2] for line in text(engine.root / "diary").splitlines()}
    assert len(runs) < 12
    assert {line.split()[3] for line in text(engine.root / "diary").splitlines()} == {"dataset-yang"}


def test_what_fails_is_tried_again_and_what_stays_failed_is_listed_in_metaspaces_words(engine: Engine) -> None:
    one, two, three, four, five, six = ids(6)
    engine.fate(one, "fail", 2, "x")
    engine.fate(two, "fail", 9, "a) moldb: 3): \nReindexing 2 out of 2\n(b")
    engine.fate(three, "gone", 9)
    engine.fate(four, "crash", 9)
    engine.fate(five, "loses", 1)
    engine.place(ids(6))
    assert engine.run() == 3
    ledger = engine.ledger()
    assert (ledger["done"], ledger["gone"], ledger["ended"]) == (4, [three], True)
    failed = {one["dataset"]: one for one in ledger["failed"]}
    assert set(failed) == {two, four}
    assert (failed[two]["tries"], failed[two]["said"]) == (3, "moldb: 22: 'C6H12O6'".replace("moldb: ", "moldb "))
    assert failed[four]["said"] == "the script ended with status 1: IndexError: list index out of range"
    assert engine.counts() == Counter([one, five, six])
    for dataset in (two, four):
        engine.fate(dataset, "none", 0)
    assert engine.run() == 0  # once more: what had failed gets new tries, and nothing else is done again
    assert engine.counts() == Counter([one, two, four, five, six])


def test_nothing_is_written_after_the_first_dataset_until_somebody_says_so(engine: Engine) -> None:
    one, two, *rest = ids(5)
    engine.fate(one, "gone", 9)
    engine.place(ids(5), probe=True, workers=3)
    running = engine.start()
    wait(lambda: engine.ledger().get("awaits_probe"))
    assert engine.diary() == [one, two]
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 143
    assert not engine.ledger()["awaits_probe"]
    running = engine.start()
    wait(lambda: engine.ledger().get("awaits_probe"))
    assert engine.diary() == [one, two]
    engine.say("go")
    assert running.wait(60) == 0
    assert engine.counts() == Counter([two, *rest])


def test_workers_share_the_work_and_their_number_follows_what_is_said(engine: Engine) -> None:
    engine.place(ids(300), workers=4)
    running = engine.start(each=0.2)
    wait(lambda: engine.ledger().get("workers") == 4)
    engine.say("workers", "1")
    wait(lambda: engine.ledger()["workers"] == 1)
    engine.say("allow", "0", "412 writes wait")
    wait(lambda: (engine.ledger()["workers"], engine.ledger()["slowed"]) == (0, "412 writes wait"))
    assert engine.ledger()["wanted_workers"] == 1
    assert len(engine.counts()) < 300
    (engine.root / "fast").touch()
    engine.say("allow", "-1")
    engine.say("workers", "2")
    assert running.wait(60) == 0
    assert set(engine.counts()) == set(ids(300))
    assert sum(engine.counts("began").values()) - 300 <= 4  # at most the dataset in work, for each run that was cut


def test_on_live_data_a_run_is_not_cut(engine: Engine) -> None:
    engine.place(ids(300), workers=3, target="live", fields=["name", "submitter_id"], aim=1.0)
    running = engine.start(each=0.2)
    wait(lambda: engine.ledger().get("workers") == 3)
    engine.say("workers", "0")
    wait(lambda: engine.ledger()["workers"] == 0)
    assert engine.counts("began") == engine.counts()
    assert len(engine.counts()) < 300
    (engine.root / "fast").touch()
    engine.say("workers", "2")
    assert running.wait(60) == 0
    assert engine.counts("began") == Counter(ids(300))


def test_killed_at_random_it_goes_on_and_does_at_most_the_datasets_in_work_again(engine: Engine) -> None:
    chance = random.Random(6)  # noqa: S311  # only to choose signals
    engine.place(ids(60), workers=3)
    kills = 0
    while (running := engine.start(each=0.03)) and kills < 4:
        before = len(engine.diary("ended"))
        wait(lambda seen=before: len(engine.diary("ended")) > seen + 4 or running.poll() is not None)
        if running.poll() is not None:
            break
        kills += 1
        running.send_signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
        running.wait(20)
        wait(lambda: not engine.scripts())  # nobody outlives it
    assert running.wait(60) == 0
    assert kills >= 3
    assert set(engine.counts()) == set(ids(60))
    assert engine.ledger()["done"] == 60
    assert sum(engine.counts("began").values()) - 60 <= 3 * kills


def test_two_never_work_for_one_target(engine: Engine) -> None:
    held = engine.hold(ids(1)[0])
    engine.place(ids(3))
    running = engine.start()
    wait(lambda: engine.ledger().get("in_work") == ids(1))
    assert engine.start().wait(20) == 75
    assert engine.place(ids(4), status=17).startswith("an order of that name is there, and may be in work")
    assert engine.place(ids(3)) == "3\n"
    held.unlink()
    assert running.wait(60) == 0
    assert engine.place(ids(4)) == "1\n"
    assert engine.run() == 0
    assert engine.counts() == Counter(ids(4))
    said = engine.place(ids(4), fields=["name"], status=17)
    assert said.startswith("an order of that name is there, and writes elsewhere")


def test_what_a_killed_driver_left_behind_is_ended_before_the_next_one_works(engine: Engine) -> None:
    """Its processes die with it; one that was started by another that did not hand the wish on does not."""
    held = engine.hold(ids(1)[0])
    engine.place(ids(3), python=["sh", "-c", '"$@" & wait', "sh", "python3"])
    running = engine.start()
    wait(engine.diary)
    running.kill()
    running.wait(20)
    [left] = engine.scripts()
    again = engine.start()
    wait(lambda: len(engine.diary()) == 2)
    assert left not in engine.scripts()
    held.unlink()
    assert again.wait(60) == 0
    assert engine.counts() == Counter(ids(3))


def test_when_nothing_can_start_it_waits_and_goes_on_or_gives_up(engine: Engine) -> None:
    (engine.root / "no_start").touch()
    engine.place(ids(3), patience=600.0)
    running = engine.start()
    wait(lambda: "could not connect to server" in engine.ledger().get("slowed", ""))
    (engine.root / "no_start").unlink()
    assert running.wait(60) == 0
    engine.place(ids(4), code=str(engine.root / "gone"), guard=str(engine.root / "other.lock"), status=17)
    engine.root.joinpath("engine").rename(engine.root / "away")
    engine.place(ids(4))
    assert engine.run() == 4
    assert (engine.ledger()["ended"], engine.ledger()["done"]) == (False, 3)
    assert "cannot be started" in engine.ledger()["slowed"]


def test_when_everything_fails_it_does_not_burn_through_the_list(engine: Engine) -> None:
    for one in ids(200):
        engine.fate(one, "fail", 1)
    engine.place(ids(200), workers=2, rest=30.0, patience=600.0)
    running = engine.start(each=0.01)
    wait(lambda: "failures in a row: moldb 22: 'C6H12O6'" in engine.ledger().get("slowed", ""))
    wait(lambda: engine.ledger()["workers"] == 0)
    assert len(engine.diary()) < 40
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 143


def test_an_end_with_status_0_proves_nothing(engine: Engine) -> None:
    one, two, three = ids(3)
    engine.fate(two, "stop", 1)
    engine.place(ids(3))
    assert engine.run() == 0
    assert engine.counts() == Counter([one, two, three])
    quiet = engine.root / "engine/scripts/update_es_index.py"
    quiet.write_text("print('all is well')")
    engine.place(ids(4))
    assert engine.run() == 4
    assert "began no dataset (status 0)" in engine.ledger()["slowed"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"pair": {"dataset": "dataset-yin", "annotation": "annotation-yin"}},
            "names ['annotation-yang', 'dataset-yang'], not",
        ),
        ({"configuration": "/nowhere"}, "/nowhere names no indices"),
    ],
)
def test_an_order_that_would_write_elsewhere_is_refused(engine: Engine, changes: dict[str, object], words: str) -> None:
    assert words in engine.place(ids(2), status=1, **changes)


def test_an_id_that_is_none_is_refused(engine: Engine) -> None:
    for bad in ("a\nb", "--help", "", "ä", "a b"):
        assert "is no dataset id" in engine.place([*ids(1), bad], status=1)


def test_half_a_line_of_a_stopped_machine_says_nothing(engine: Engine) -> None:
    engine.place(ids(4))
    engine.folder.joinpath("done.log").write_text(f"+{ids(1)[0]}\n+{ids(2)[1]}\n-{ids(2)[1]}\n+{ids(3)[2]}")
    assert engine.run() == 0
    assert engine.diary() == ids(4)[1:]


def test_what_a_run_had_said_to_a_driver_that_was_killed_is_not_done_again(engine: Engine) -> None:
    one, two, three, four, five = ids(5)
    engine.place(ids(5), target="live")
    said = [f"{HEAD}Reindexing 4 dataset(s)", *(f"{HEAD}Reindexing {number} out of 4" for number in (1, 2, 3))]
    engine.folder.joinpath("run.2.txt").write_text(f"{two}\n{three}\n{four}\n{five}\n")
    engine.folder.joinpath("run.2.log").write_text("\n".join([*said, f"{HEAD}Reindexing 4 out"]))
    assert engine.run() == 0
    assert engine.diary() == [four, one, five]  # first the one that was cut
    assert not list(engine.folder.glob("run.*"))


def test_a_name_that_holds_log_lines_marks_nothing_done() -> None:
    datasets = ids(4)
    reading, told = Reading(datasets), []
    begin = [f"{HEAD}Reindexing 4 dataset(s)", f"{HEAD}Reindexing 1 out of 4"]
    name = f"x\n{HEAD}Reindexing 2 out of 4\n{HEAD}Reindexing 3 out of 4\n{HEAD}Reindexing 4 out of 4\ny"
    failed = f"{HEAD}Failed to reindex(ds_id={datasets[0]}, ds_name={name}, moldb: 7): boom".split("\n")
    rest = [f"{HEAD}Reindexing {number} out of 4" for number in (2, 3, 4)]
    for line in [*begin, *failed]:
        told += reading.line(line)
    assert {one.kind: one.dataset for one in told}["failed"] == datasets[0]
    for line in rest[:1]:
        told += reading.line(line)
    standing = {dataset: kind for kind, dataset, _ in told}
    assert standing == {datasets[0]: "failed", datasets[1]: "undone", datasets[2]: "undone"}
    told = [one for line in rest[1:] for one in reading.line(line)] + reading.ended(0)
    assert [(one.kind, one.dataset) for one in told] == [("done", one) for one in datasets[1:]]


def test_a_run_is_worth_its_start_and_workers_end_together() -> None:
    pace = Pace(20.0)
    assert pace.size(1000, 4) == 1
    pace.started(5.0)
    pace.took(1.0)
    assert pace.size(10_000, 4) == 8
    for _ in range(100):
        pace.took(1.0)
    assert pace.size(10_000, 4) == 50
    assert pace.size(80, 4) == 10
    assert pace.size(8, 4) == 2
    assert pace.size(1, 4) == 1


def test_the_program_is_written_in_python_3_8() -> None:
    for file in Path(reindex_host.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 8))
        imported = {one.module or "" for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) and not one.level}
        assert not {one for one in imported if one.split(".")[0] in {"bot", "integrations"}}, file


def test_what_was_said_is_readable_by_its_owner_alone(engine: Engine) -> None:
    engine.place(ids(2))
    engine.say("workers", "3")
    assert engine.run() == 0
    assert {path.stat().st_mode & 0o077 for path in [engine.folder, *engine.folder.iterdir()]} == {0}
    assert json.loads(engine.call("show", str(engine.folder)))["wanted_workers"] == 3
    assert engine.call("show", str(engine.root / "none")) == "null\n"
