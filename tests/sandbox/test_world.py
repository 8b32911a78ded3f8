from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.settings import load
from sandbox.gitworld import VAULT_PASSWORD
from sandbox.options import Options
from sandbox.processes import marked, output
from sandbox.rendering import bot_environment
from sandbox.supervisor import Pace
from sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(Options(state=tmp_path / "state.json", build_seconds=1)) as made:
        yield made


async def test_everything_is_there_and_nothing_is_left(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    started = time.monotonic()
    async with World(Options(state=state)) as world:
        took = time.monotonic() - started
        root, facts = world.root, json.loads(state.read_text())
        assert await output(world.control.ssh("tmux", "-V"))
        await output(world.control.ssh("tmux", "-L", "releasebot", "new-session", "-d", "-s", "job", "sleep", "600"))
        statuses = await output(world.web.ssh("supervisorctl", "status"))
        assert statuses.count("RUNNING") == 6
        for url in (facts["slack"]["url"], facts["github"]["url"] + "/rate_limit", facts["site"]["url"]):
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                assert response.status == 200
        running = marked(root)
        assert running
    assert took < 20, "ten seconds are the aim, on a machine that does nothing else"
    assert not root.exists()
    assert not state.exists()
    assert marked(root) == []


async def test_the_settings_are_what_the_bot_expects(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bot_environment().items():
        monkeypatch.setenv(name, value)
    settings = load(world.settings_file)
    name, prod = settings.environment()
    assert name == "prod"
    assert prod.web.port == world.web.port != prod.control.port
    assert (
        prod.site.jwt_secret.get_secret_value() == bot_environment()["RELEASEBOT_ENVIRONMENTS__PROD__SITE__JWT_SECRET"]
    )


async def test_the_playbook_deploys_one_commit_over_ssh(world: World) -> None:
    head = await world.git.head("master")
    code = world.git.control / "code"
    await output(["git", "clone", "-q", str(world.git.origin), str(code)])
    folder = code / "ansible/aws"
    (folder / "env").symlink_to(world.git.configuration_checkout)
    (folder / "vault_pass.txt").write_text(VAULT_PASSWORD)
    before = await world.supervisor.ctl("pid", "sm-graphql")
    facts = json.loads(world.options.state.read_text()) if world.options.state else {}
    ansible = f"{Path(facts['bot']['argv'][0]).parent}/ansible-playbook"
    play = [ansible, "-i", "env/prod", "deploy/web.yml", "-e", f"metaspace_branch={head}"]
    key = ["--private-key", str(world.web.client_key)]
    said = await output(world.control.ssh("cd", str(folder), "&&", *play, *key), deadline=100)
    assert "failed=0" in said
    assert (await output(["git", "-C", str(world.git.checkout), "rev-parse", "HEAD"])).strip() == head
    assert json.loads((world.git.www / "version.json").read_text())["commit"] == head
    assert await world.supervisor.ctl("pid", "sm-graphql") != before
    assert set((await world.supervisor.states()).values()) == {"RUNNING"}


async def test_a_scenario_sets_ci_and_datasets() -> None:
    async with World(Options(scenario="busy", pace=Pace(annotate=600))) as world:
        assert world.supervisor.datasets.count("QUEUED", "ANNOTATING") == 4
    async with World(Options(scenario="broken_ci")) as world:
        head = await world.git.head("master")
        states = {report.job: report.state for report in world.github.ci.reports(head, "status")}
        assert states["test-webapp"] == "failure"
