"""`integrations.reindexing` on a real server: OpenSSH, tmux, Git work trees, and METASPACE's script in small (docs/reindexing.md)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Conflict, StepFailed, WrongUse
from bot.domain.indices import Pair
from bot.domain.reindexing import Order, Target, Workplace
from bot.domain.world import JobState
from bot.engine.clock import SystemClock
from bot.settings import EnvironmentSettings
from integrations.reindexing import ServerReindexing
from tests.integrations.helpers import text, until
from tests.integrations.reindexing import SCRIPT, ids
from tests.integrations.workbench import Bench

if TYPE_CHECKING:
    from pathlib import Path

    from bot.domain.reindexing import Ledger
    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer

YANG = Pair("dataset-yang", "annotation-yang")
TEMPLATE = """{
  "db": {"host": "{{ pg_host }}", "password": "{{ pg_password }}"},
  "redis": {{ redis | to_json }},
{# a "comment" with {braces} #}
  "elasticsearch": {"index": "sm", "dataset_index": "dataset", "annotation_index": "annotation", "port": "{{ es_port }}"},
  "spark": {"master": "{{ spark_master | default('local[*]') }}"},
  "urls": ["https://{{ host }}/v1/{{ path }}", {{ threads }}]
}"""
LIVE = {
    "db": {"host": "db.internal", "password": 'sec"ret\\1'},
    "redis": {"port": 6379, "hosts": ["a", None]},
    "elasticsearch": {"index": "sm", "dataset_index": "dataset", "annotation_index": "annotation", "port": "9200"},
    "spark": {"master": "local[8]"},
    "urls": ["https://metaspace2020.org/v1/x/y", 4],
}
EXPORT = """
from elasticsearch import Elasticsearch
def init_es_conn(config):
    return Elasticsearch(config)
class ESIndexManager:
    def __init__(self, config):
        self._es = init_es_conn(config)
        self._ind_client = self._es.indices
    def create_dataset_index(self, index):
        if not self._ind_client.exists(index=index):
            mappings = {"properties": {"ds_id": {"type": "keyword"}}}
            print(self._ind_client.create(index=index, mappings=mappings, settings={"index": {"a": 1}}))
    def create_annotation_index(self, index):
        self._ind_client.create(index=index, body={"mappings": {"properties": {"msm": {"type": "float"}}}})
"""
OLD_EXPORT = """
from elasticsearch.client import IndicesClient
def init_es_conn(config):
    raise OSError("would connect")
class ESIndexManager:
    def __init__(self, config):
        self._ind_client = IndicesClient(init_es_conn(config))
    def create_index(self, index):
        if not self._ind_client.exists(index):
            self._ind_client.create(index=index, body={"settings": {"index": {}}, "mappings": {"dynamic": True}})
"""


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(origin: Path, template: str = TEMPLATE, export: str = EXPORT) -> str:
    engine = origin / "metaspace/engine"
    for name, content in {
        "conf/config.json.template": template,
        ".gitignore": "conf/*.json\n__pycache__\n",
        "scripts/__init__.py": "",
        "scripts/update_es_index.py": SCRIPT,
        "sm/__init__.py": "",
        "sm/engine/__init__.py": "",
        "sm/engine/es_export.py": export,
        "elasticsearch/__init__.py": "class Elasticsearch:\n    pass\n",
        "elasticsearch/client.py": "class IndicesClient:\n    pass\n",
        "unique": uuid.uuid4().hex,
    }.items():
        (engine / name).parent.mkdir(parents=True, exist_ok=True)
        (engine / name).write_text(content)
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "x")
    return git(origin, "rev-parse", "HEAD")


class Web:
    """A web server with a checkout, whose master is behind origin's."""

    def __init__(self, host: SshHost, bench: Bench, root: Path) -> None:
        self.root, self.bench, self.jobs = root, bench, bench.jobs
        self.origin, self.checkout = root / "origin", root / "checkout"
        subprocess.run(["git", "init", "-q", "-b", "master", str(self.origin)], check=True)
        self.old = commit(self.origin)
        subprocess.run(["git", "clone", "-q", str(self.origin), str(self.checkout)], check=True)
        self.engine = self.checkout / "metaspace/engine"
        (self.engine / "conf/config.json").write_text(json.dumps(LIVE))
        self.workspace = root / "workspace"
        self.host = host
        (root / "fate").mkdir()

    def reindexing(self, **changes: object) -> ServerReindexing:
        here = self.bench.settings.model_dump()
        python = ["env", f"FAKE_ROOT={self.root}", sys.executable]
        given = {
            "control": here,
            "web": here,
            "server": {"checkout": str(self.checkout)},
            "reindexing": {"workspace": str(self.workspace), "python": python, **changes},
            "site": {"url": "http://127.0.0.1", "graphql": "http://127.0.0.1/graphql"},
            "ansible": dict.fromkeys(
                ("workspace", "binaries", "repository", "configuration", "configuration_checkout"), "/nowhere"
            )
            | {"vault_password_file": "/nowhere", "known_hosts": "/nowhere"},
        }
        return ServerReindexing(self.host, self.jobs, EnvironmentSettings.model_validate(given), SystemClock())

    def diary(self) -> list[list[str]]:
        return [line.split() for line in text(self.root / "diary").splitlines()]


@pytest.fixture
def web(host: SshHost, shared: SshServer, root: Path) -> Web:
    made = root / f"r{uuid.uuid4().hex[:6]}"
    made.mkdir()
    return Web(host, Bench(host, made / "jobs", shared), made)


def an_order(place: Workplace, number: int = 3, **changes: object) -> Order:
    usual = Order(Target.INACTIVE, tuple(ids(number)), place.code, place.configuration, place.pair, probe=False)
    return replace(usual, **changes)  # type: ignore[arg-type]


async def came(reindexing: ServerReindexing, name: str, what: str) -> Ledger:
    async with asyncio.timeout(60):
        while True:
            ledger = await reindexing.ledger(name=name)
            if ledger is not None and getattr(ledger, what):
                return ledger
            await asyncio.sleep(0.05)


async def test_a_workplace_is_the_commits_work_tree_with_a_configuration_of_its_own(web: Web) -> None:
    new = TEMPLATE.replace('"index": "sm", ', '"user": "{{ pg_host }}", ').replace('"redis"', '"cache"')
    head = commit(web.origin, template=new)
    before = git(web.checkout, "for-each-ref", "refs/heads", "refs/tags"), git(web.checkout, "reflog")
    reindexing = web.reindexing()
    assert await reindexing.workplace(release="R1") is None
    place = await reindexing.make_workplace(release="R1", commit=head, pair=YANG)
    assert await reindexing.make_workplace(release="R1", commit=head, pair=YANG) == place
    assert list(await reindexing.workplaces()) == [place] == [await reindexing.workplace(release="R1")]
    made = json.loads(text(web.workspace / "releases/R1/code/metaspace/engine/conf/config.json"))
    indices = {"dataset_index": "dataset-yang", "annotation_index": "annotation-yang"}
    assert made.pop("elasticsearch") == {"user": "db.internal", "port": "9200", **indices}
    assert made == {**{k: v for k, v in LIVE.items() if k not in ("redis", "elasticsearch")}, "cache": LIVE["redis"]}
    configuration = web.workspace / "releases/R1/code/metaspace/engine/conf/config.json"
    assert (str(configuration), configuration.stat().st_mode & 0o777) == (place.configuration, 0o600)
    assert before == (git(web.checkout, "for-each-ref", "refs/heads", "refs/tags"), git(web.checkout, "reflog"))
    with pytest.raises(Conflict, match="is there for another commit"):
        await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    # what METASPACE's repo role does in the checkout at each deploy
    git(web.checkout, "fetch", "-q", "origin")
    git(web.checkout, "checkout", "-q", head)
    git(web.checkout, "branch", "-D", "master")
    git(web.checkout, "reset", "-q", "--hard", "origin/master")
    git(web.checkout, "clean", "-fdq")
    assert git(web.workspace / "releases/R1/code", "rev-parse", "HEAD") == head
    await reindexing.remove_workplace(release="R1")
    await reindexing.remove_workplace(release="R1")
    assert not (web.workspace / "releases/R1").exists()
    assert git(web.checkout, "worktree", "list").count("\n") == 0


async def test_a_workplace_half_made_is_made_anew(web: Web) -> None:
    reindexing, folder = web.reindexing(), web.workspace / "releases/R1"
    git(web.checkout, "worktree", "add", "--detach", str(folder / "code"), web.old)
    (folder / "code/metaspace/engine/scripts/update_es_index.py").unlink()
    assert await reindexing.workplace(release="R1") is None
    place = await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    assert (folder / "code/metaspace/engine/scripts/update_es_index.py").exists()
    (folder / "workplace.json").unlink()
    await reindexing.remove_workplace(release="R1")
    assert not folder.exists()
    again = await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    assert replace(again, made_at=None) == replace(place, made_at=None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '"db"',
            '"new": "{{ unheard_of }}", "more": ["{{ as_well }}"], "db"',
            "no value is known for as_well, unheard_of",
        ),
        ('"db"', '"a": {% if x %}1{% endif %}, "db"', "has a statement"),
        ('"db"', '"a": "{{ pg_host | upper }}", "db"', "a filter that is not known, at pg_host"),
        ('"db"', '"a": "{{ pg_host + \'x\' }}", "db"', "an expression that is more than a name"),
    ],
)
async def test_a_value_that_is_not_known_is_named_and_none_is_shown(web: Web, old: str, new: str, words: str) -> None:
    head = commit(web.origin, template=TEMPLATE.replace(old, new))
    with pytest.raises(StepFailed, match=words) as caught:
        await web.reindexing().make_workplace(release="R1", commit=head, pair=YANG)
    said = f"{caught.value} {caught.value.hint} {caught.value.changed}"
    assert not any(one in said for one in ("sec", "db.internal", "6379"))
    assert await web.reindexing().workplace(release="R1") is None


async def test_a_commit_that_origin_does_not_have_is_refused(web: Web) -> None:
    with pytest.raises(StepFailed, match="origin has no commit"):
        await web.reindexing().make_workplace(release="R1", commit="1" * 40, pair=YANG)
    for bad in ("master", "--help", "1" * 39):
        with pytest.raises(WrongUse, match="no full commit id"):
            await web.reindexing().make_workplace(release="R1", commit=bad, pair=YANG)
    for bad in ("..", "", "a/b", "a b"):
        with pytest.raises(WrongUse):
            await web.reindexing().remove_workplace(release=bad)


async def test_the_code_itself_says_what_it_creates_and_nothing_is_sent(web: Web) -> None:
    reindexing = web.reindexing()
    now = await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    made = await reindexing.definitions(workplace=now)
    assert made.dataset.mappings == {"properties": {"ds_id": {"type": "keyword"}}}
    assert made.dataset.settings == {"index": {"a": 1}}
    assert (made.annotation.mappings, made.annotation.settings) == ({"properties": {"msm": {"type": "float"}}}, {})
    old = commit(web.origin, export=OLD_EXPORT)
    before = await reindexing.definitions(
        workplace=await reindexing.make_workplace(release="R2", commit=old, pair=YANG)
    )
    assert before.dataset == before.annotation
    assert before.dataset.mappings == {"dynamic": True}
    broken = commit(web.origin, export="import nothing_of_that_name")
    place = await reindexing.make_workplace(release="R3", commit=broken, pair=YANG)
    with pytest.raises(StepFailed, match="No module named 'nothing_of_that_name'"):
        await reindexing.definitions(workplace=place)


async def test_an_order_is_carried_out_by_a_job_that_the_bot_probes_slows_and_watches(web: Web) -> None:
    reindexing = web.reindexing()
    place = await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    order = an_order(place, 30, probe=True, workers=2, marks={"release": "R1", "step": "reindex"})
    assert await reindexing.ledger(name="r1-reindex") is None
    spec = await reindexing.order(name="r1-reindex", order=order)
    assert await reindexing.order(name="r1-reindex", order=order) == spec
    assert (spec.name, spec.nice, spec.marks["order"]) == ("r1-reindex", True, "r1-reindex")
    await web.jobs.start(spec=spec)
    ledger = await came(reindexing, "r1-reindex", "awaits_probe")
    assert (ledger.total, ledger.done, ledger.workers) == (30, 1, 0)
    with pytest.raises(Conflict, match="r1-reindex works with the workplace of R1"):
        await reindexing.remove_workplace(release="R1")
    with pytest.raises(Conflict, match="may be in work"):
        await reindexing.order(name="r1-reindex", order=an_order(place, 31, probe=True, workers=2))
    with pytest.raises(WrongUse, match="9 workers are too many"):
        await reindexing.set_workers(name="r1-reindex", workers=9)
    await reindexing.throttle(name="r1-reindex", allowed=0, why="-412 'writes' wait")
    await reindexing.set_workers(name="r1-reindex", workers=3)
    await reindexing.let_go_on(name="r1-reindex")
    ledger = await came(reindexing, "r1-reindex", "slowed")
    assert (ledger.slowed, ledger.wanted_workers) == ("-412 'writes' wait", 3)
    await reindexing.throttle(name="r1-reindex", allowed=None, why="")
    ledger = await came(reindexing, "r1-reindex", "ended")
    assert (ledger.done, ledger.failed, ledger.history[-1][1]) == (30, (), 30)
    assert ledger.at is not None
    assert abs((SystemClock().now() - ledger.at).total_seconds()) < 60
    report = await web.bench.ended("r1-reindex")
    assert (report.state, report.exit_status) == (JobState.FINISHED, 0)
    assert sorted(line[1] for line in web.diary() if line[0] == "ended") == sorted(ids(30))
    assert {line[3] for line in web.diary()} == {"dataset-yang"}
    assert (await reindexing.order(name="r1-reindex", order=order)).name == "r1-reindex"


async def test_what_was_stopped_lost_or_failed_goes_on_as_a_job_of_a_new_name(web: Web) -> None:
    reindexing = web.reindexing(tries=1)
    place = await reindexing.make_workplace(release="R1", commit=web.old, pair=YANG)
    one, two, three = ids(3)
    held = web.root / f"hold.{two}"
    held.touch()
    (web.root / "fate" / three).write_text("fail 1 name")
    order = an_order(place)
    spec = await reindexing.order(name="r1", order=order)
    await web.jobs.start(spec=spec)
    await until(lambda: len(web.diary()) == 3)
    await web.jobs.stop(name="r1")
    assert (await web.bench.ended("r1")).exit_status == 143
    ledger = await reindexing.ledger(name="r1")
    assert ledger is not None
    assert (ledger.done, ledger.in_work, ledger.ended) == (1, (two,), False)
    again = await reindexing.order(name="r1", order=order)
    assert again.name == "r1-2"
    await web.jobs.start(spec=again)
    await until(lambda: len(web.diary()) == 4)
    web.bench.process("r1-2", "wrapper").kill()
    web.bench.process("r1-2", "child").kill()
    assert (await web.bench.ended("r1-2")).state is JobState.LOST
    held.unlink()
    third = await reindexing.order(name="r1", order=order)
    assert third.name == "r1-3"
    await web.jobs.start(spec=third)
    assert (await web.bench.ended("r1-3")).exit_status == 3
    ledger = await reindexing.ledger(name="r1")
    assert ledger is not None
    assert [(one.dataset, one.tries, one.said) for one in ledger.failed] == [(three, 1, "moldb 22: 'C6H12O6'")]
    fourth = await reindexing.order(name="r1", order=order)
    await web.jobs.start(spec=fourth)
    assert (await web.bench.ended("r1-4")).exit_status == 0
    assert [line[1] for line in web.diary() if line[0] == "ended"] == [one, two, three]


async def test_live_data_is_updated_by_the_checkouts_own_code_whatever_the_order_says(web: Web) -> None:
    reindexing = web.reindexing()
    order = Order(Target.LIVE, tuple(ids(2)), "/elsewhere", "/elsewhere", YANG, probe=False, fields=("name",))
    spec = await reindexing.order(name="update", order=order)
    await web.jobs.start(spec=spec)
    assert (await web.bench.ended("update")).exit_status == 0
    assert {line[3] for line in web.diary()} == {"dataset"}
    assert "Updating 1 out of" in web.bench.log("update")
    words = reindexing.commands(order=order)
    assert words[-6:] == (
        "--config",
        f"{web.engine}/conf/config.json",
        "--ds-file",
        "ids.txt",
        "--update-fields",
        "name",
    )
    live = str(web.engine / "conf/config.json")
    with pytest.raises(StepFailed, match=r"names \['annotation', 'dataset'\], not"):
        await reindexing.order(name="wrong", order=replace(order, target=Target.INACTIVE, configuration=live))
    for bad in ("../x", "", "a b"):
        with pytest.raises(WrongUse):
            await reindexing.order(name=bad, order=order)
