"""What `releasebot doctor` says of Elasticsearch, METASPACE's database and reindexing: seen over SSH, or a clear sentence."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import yaml

from bot.doctor import _tried
from bot.doctor_search import SCRIPTS, search_attempts
from bot.domain.indices import AliasAction, Definition
from bot.engine.clock import SystemClock
from bot.settings import parse
from bot.settings_example import EXAMPLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bot.doctor import Examined
    from bot.settings import EnvironmentSettings
    from integrations.elasticsearch import ElasticIndices
    from integrations.ssh import SshHost
    from sandbox.elasticsearch import Elasticsearch

CLOSED = 1  # a port that nothing listens on


def environment(tmp_path: Path, **parts: Mapping[str, object]) -> EnvironmentSettings:
    raw = yaml.safe_load(EXAMPLE)
    one = raw["environments"]["prod"]
    one["server"] = {**one.get("server", {}), "checkout": str(tmp_path / "checkout")}
    reindexing = {"workspace": str(tmp_path / "new" / "workspace"), "engine": "engine", "python": [sys.executable]}
    one |= {
        "elasticsearch": {"port": CLOSED},
        "metaspace_database": {"port": CLOSED},
        "reindexing": reindexing,
    }
    for name, values in parts.items():
        one[name] = {**one[name], **values}
    return parse(raw).environments["prod"]


def checkout(tmp_path: Path) -> Path:
    engine = tmp_path / "checkout" / "engine"
    for name in (*(f"scripts/{one}.py" for one in SCRIPTS), "conf/config.json", "conf/config.json.template"):
        (engine / name).parent.mkdir(parents=True, exist_ok=True)
        (engine / name).write_text("")
    for package in ("sm", "sm/engine"):
        (engine / package).mkdir(exist_ok=True)
        (engine / package / "__init__.py").write_text("")
    (engine / "sm/engine/es_export.py").write_text("")
    return engine


async def tried(host: SshHost, settings: EnvironmentSettings, *groups: str) -> dict[str, Examined]:
    async with AsyncExitStack() as stack:
        attempts: Any = search_attempts("prod", settings, host, SystemClock(), stack)
        return {
            name: await _tried(group, name, attempt)
            for group, name, attempt in attempts
            if not groups or group in groups
        }


async def test_nothing_is_tried_where_the_settings_name_nothing(host: SshHost) -> None:
    async with AsyncExitStack() as stack:
        nothing = parse(yaml.safe_load(EXAMPLE)).environments["prod"]
        nothing = nothing.model_copy(update={"elasticsearch": None, "metaspace_database": None})
        assert search_attempts("prod", nothing, host, SystemClock(), stack) == []


async def test_what_does_not_answer_and_what_is_missing_is_said(host: SshHost, tmp_path: Path) -> None:
    found = await tried(host, environment(tmp_path))
    assert not found["Elasticsearch (prod)"].ok
    assert f"127.0.0.1:{CLOSED}" in found["Elasticsearch (prod)"].detail
    assert not found["METASPACE's database (prod)"].ok
    assert found["workspace (prod)"].ok, found["workspace (prod)"]
    assert not (tmp_path / "new").exists(), "trying changes nothing"
    assert "engine/scripts/manage_es_index.py" in found["METASPACE's Python (prod)"].detail
    (tmp_path / "new").write_text("a file in the way")
    assert not (await tried(host, environment(tmp_path), "reindexing"))["workspace (prod)"].ok


async def test_metaspaces_python_must_import_its_exporter(host: SshHost, tmp_path: Path) -> None:
    engine = checkout(tmp_path)
    name = "METASPACE's Python (prod)"
    found = (await tried(host, environment(tmp_path), "reindexing"))[name]
    assert found.ok, found
    assert found.detail.startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}")
    (engine / "sm/engine/es_export.py").write_text("import no_such_module_of_theirs")
    assert "no_such_module_of_theirs" in (await tried(host, environment(tmp_path), "reindexing"))[name].detail
    wrong = environment(tmp_path, reindexing={"python": ["/nowhere/python"]})
    assert not (await tried(host, wrong, "reindexing"))[name].ok


async def test_elasticsearch_shows_which_pair_is_live_or_what_is_wrong_with_the_aliases(
    host: SshHost, elastic: Elasticsearch, indices: ElasticIndices, tmp_path: Path
) -> None:
    where = {"host": elastic.host, "port": elastic.port, "user": elastic.user, "password": elastic.password}
    settings = environment(tmp_path, elasticsearch=where)
    name = "Elasticsearch (prod)"
    broken = (await tried(host, settings, "elasticsearch"))[name]
    assert "The alias dataset is not there" in broken.detail
    for alias in ("dataset", "annotation"):
        await indices.create(index=f"{alias}-yin", definition=Definition({}, {}), made_by="test")
        await indices.change_aliases(actions=[AliasAction(add=True, alias=alias, index=f"{alias}-yin")])
    found = (await tried(host, settings, "elasticsearch"))[name]
    assert found.ok, found
    assert "dataset-yin with 0 documents and annotation-yin with 0 documents are live" in found.detail
