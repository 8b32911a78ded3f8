"""What a rehearsal's process gets, and how one that misbehaves is ended. A whole world is in tests/scenarios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from bot.domain.errors import Refused, Unavailable
from bot.domain.plan import PlannedStep, StepKind
from bot.engine.rehearsal_order import Orders
from bot.settings import parse, secrets
from bot.settings_example import EXAMPLE
from integrations import rehearsal
from integrations.rehearsal import ENVIRONMENT, NOWHERE, ChildRehearser, scrubbed
from tests.views import worlds

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = {
    "RELEASEBOT_SLACK__BOT_TOKEN": "canary-bot",
    "RELEASEBOT_SLACK__APP_TOKEN": "canary-app",
    "RELEASEBOT_SLACK__SIGNING_SECRET": "canary-signing",
    "RELEASEBOT_REPOSITORY__GITHUB_TOKEN": "canary-github",
    "RELEASEBOT_CIRCLECI__TOKEN": "canary-circle",
    "RELEASEBOT_ENVIRONMENTS__PROD__SITE__JWT_SECRET": "canary-jwt",
    "RELEASEBOT_DATABASE__URL": "postgresql+asyncpg://bot:canary-database@db/releasebot",
    "RELEASEBOT_CONFIG": "/etc/releasebot/canary.yml",
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "SSH_AUTH_SOCK": "/run/canary-agent",
    "GITHUB_TOKEN": "canary-actions",
    "HOME": "/home/canary",
}


def test_a_child_gets_a_few_variables_and_none_that_leads_to_production() -> None:
    given = {**SECRETS, "PATH": "/usr/bin", "LANG": "C.UTF-8", "XDG_CACHE_HOME": "/var/cache/bot"}
    left = scrubbed(given)
    assert set(left) <= {*ENVIRONMENT, "HOME", "XDG_CACHE_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT"}
    assert left["HOME"] == NOWHERE
    assert "canary" not in json.dumps(left)
    assert not [name for name in left if name.startswith(("RELEASEBOT", "AWS", "SSH"))]


async def order(monkeypatch: pytest.MonkeyPatch, plan: Any) -> tuple[Mapping[str, Any], Any]:
    for name, value in SECRETS.items():
        if name.startswith("RELEASEBOT_") and name != "RELEASEBOT_CONFIG":
            monkeypatch.setenv(name, value)
    settings = parse(yaml.safe_load(EXAMPLE))
    assert len(list(secrets(settings))) == 7, "each of them is set"
    return await Orders(settings, {}).order(plan, "the checklist"), settings


async def test_an_order_names_neither_a_secret_nor_a_place_of_production(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = worlds.plan()
    given, settings = await order(monkeypatch, plan)
    said = json.dumps(given)
    environment = settings.environments["prod"]
    places = [environment.control.host, environment.web.host, environment.site.url, environment.site.graphql]
    places += [settings.repository.url, environment.ansible.configuration, str(environment.web.key)]
    assert [one for one in (*places, *secrets(settings)) if str(one) in said] == []
    assert (given["release"], given["master"], given["live"]) == (plan.base, plan.head, plan.base)
    assert [one["commands"] for one in given["plan"]["steps"]] == [()] * 3


async def test_a_merge_begins_where_the_plan_saw_master(monkeypatch: pytest.MonkeyPatch) -> None:
    merge = {"ours": "d" * 40, "theirs": worlds.BASE}
    step = PlannedStep("m", "master_contains_release", 1, "Merge", StepKind.AUTOMATIC, params={"merge": merge})
    given, settings = await order(monkeypatch, worlds.plan(steps=(step,)))
    assert (given["release"], given["master"]) == (worlds.BASE, "d" * 40)
    named = settings.environments["prod"].model_copy(update={"master_branch": "main"})
    other = settings.model_copy(update={"environments": {"prod": named}})
    with pytest.raises(Refused, match="not called release and master"):
        await Orders(other, {}).order(worlds.plan(steps=(step,)), "")


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a program in the place of the embedded world's."""
    (folder / "stand_in.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(rehearsal, "MODULE", "stand_in")


async def carried(deadline: float = 90.0) -> list[Mapping[str, object]]:
    said: list[Mapping[str, object]] = []

    async def tell(line: Mapping[str, object]) -> None:
        said.append(line)

    await ChildRehearser().carry_out({"deadline": deadline}, tell=tell)
    return said


async def test_a_child_is_heard_to_its_end_and_has_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    text = "import json, os, sys\nsys.stdin.readline()\nprint('noise')\n"
    text += "print(json.dumps({'is': 'end', 'state': 'passed', 'environ': dict(os.environ), 'path': sys.path}))\n"
    module(tmp_path, monkeypatch, text)
    (line,) = await carried()
    given: Any = line["environ"]
    assert "canary" not in json.dumps(given)
    assert "" not in line["path"]  # type: ignore[operator]  # a list
    assert not exists(given["HOME"])


def exists(folder: str) -> bool:
    return Path(folder).exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; print('oh no'); sys.exit(3)", r"ended by itself \(status 3\)"),
        ("print('x' * 3_000_000)", "more than I can take"),
    ],
)
async def test_a_child_that_makes_no_sense_is_an_error_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    module(tmp_path, monkeypatch, text)
    with pytest.raises(Unavailable, match=words):
        await carried()


async def test_a_child_that_hangs_and_ignores_everything_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import json, os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    module(tmp_path, monkeypatch, text)
    monkeypatch.setattr(rehearsal, "_LATE", 1.0)
    monkeypatch.setattr(rehearsal, "_TIDY", 0.5)
    with pytest.raises(Unavailable, match="hung and was ended"):
        await carried(deadline=1.0)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))  # a few bytes


async def test_what_a_machine_lacks_is_a_sentence_with_the_next_thing_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import json, sys; print(json.dumps({'is': 'lacking', 'message': 'No sshd.', 'hint': 'apt install x'})); sys.exit(1)"
    module(tmp_path, monkeypatch, text)
    with pytest.raises(Unavailable, match=r"No sshd\. Nothing was rehearsed\.") as lacking:
        await ChildRehearser().demand_parts()
    assert lacking.value.hint == "apt install x"
    monkeypatch.setattr(rehearsal, "MODULE", "no_such_module")
    with pytest.raises(Unavailable, match="does not start here"):
        await ChildRehearser().demand_parts()
    monkeypatch.setattr(rehearsal, "find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match="installed without its sandbox"):
        await ChildRehearser().demand_parts()


async def test_every_part_is_on_the_machine_that_runs_these_tests() -> None:
    await ChildRehearser().demand_parts()
