"""The command line as somebody types it: what it prints, and its exit status."""

from __future__ import annotations

import asyncio
import fcntl
import json
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml

from bot.cli import main
from bot.engine.clock import SystemClock
from bot.engine.desk import Desk
from bot.engine.store import Store
from bot.settings_example import EXAMPLE
from tests.views import worlds

if TYPE_CHECKING:
    from pathlib import Path

Said = tuple[int, str, str]


class Run(Protocol):
    def __call__(self, *words: str) -> Said: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line; return exit status, standard output and standard error."""

    def typed(*words: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return typed


def settings(folder: Path) -> Path:
    raw = yaml.safe_load(EXAMPLE) | {"database": {"url": f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}"}}
    path = folder / "settings.yml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


@pytest.mark.parametrize("words", [["--help"], ["checklists", "--help"], ["db", "-h"], ["runbook", "--help"]])
def test_help_is_there_and_fine(run: Run, words: list[str]) -> None:
    status, said, _ = run(*words)
    assert status == 0
    assert "Usage: releasebot" in said


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["checklists", "show", "in_plce"], 2, "no checklist 'in_plce'"),
        (["config", "check", "--config", "nowhere.yml"], 2, "Cannot read nowhere.yml"),
        (["runbook", "R1", "--config", "nowhere.yml"], 2, "Cannot read nowhere.yml"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(run: Run, words: list[str], status: int, sentence: str) -> None:
    found, _, complaint = run(*words)
    assert found == status
    assert sentence in complaint
    assert "Traceback" not in complaint


# checklists


def test_a_copied_checklist_means_the_same_until_it_is_changed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ours.yml"
    assert run("checklists", "copy", "in_place", str(file), "--as", "ours")[0] == 0
    assert run("checklists", "check", str(file))[0] == 0
    assert run("checklists", "diff", "in_place", str(file))[:2] == (0, "Both mean the same.\n")
    file.write_text(file.read_text(encoding="utf-8").replace("  - step: drain\n", ""), encoding="utf-8")
    assert run("checklists", "diff", "in_place", str(file))[:2] == (1, "- drain: drain\n")
    assert "ours" in run("checklists", "list", "--folder", str(tmp_path))[1]


def test_the_phases_of_the_lock_are_said_when_a_file_is_checked_and_compared(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ours.yml"
    assert run("checklists", "copy", "in_place", str(file), "--as", "ours")[0] == 0
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("\nsteps:", "\nlocked_until: es_update\nsteps:"), encoding="utf-8")
    status, said, _ = run("checklists", "check", str(file))
    assert (status, said.rstrip().endswith("steps, locked until es_update.")) == (0, True)
    assert run("checklists", "diff", "in_place", str(file))[1] == "~ locked until its end → es_update\n"


def test_a_copy_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ours.yml"
    file.write_text("mine", encoding="utf-8")
    status, _, complaint = run("checklists", "copy", "in_place", str(file))
    assert (status, file.read_text(encoding="utf-8")) == (1, "mine")
    assert "nothing was written" in complaint


def test_the_schema_accepts_what_is_shipped_by_its_keys(run: Run) -> None:
    schema = json.loads(run("checklists", "schema")[1])
    shown = yaml.safe_load(run("checklists", "show", "in_place")[1])
    assert set(shown) <= set(schema["properties"])
    known = {one["properties"].get("step", {}).get("const") for one in schema["properties"]["steps"]["items"]["oneOf"]}
    assert {step["step"] for step in shown["steps"] if "step" in step} <= known


def test_every_step_is_listed(run: Run) -> None:
    assert "prove_live               Proved live   needs deploy" in run("checklists", "steps")[1]


# runbook


async def _released(folder: Path) -> None:
    async with Store(f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}") as store:
        await Desk(store, clock=SystemClock()).start(plan=worlds.plan(), checklist="", by="U01REL")


def test_a_runbook_comes_from_the_database_also_while_the_bot_has_it(run: Run, tmp_path: Path) -> None:
    asyncio.run(_released(tmp_path))
    config = settings(tmp_path)
    with (tmp_path / "bot.sqlite.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        status, said, _ = run("runbook", "--config", str(config))
    assert status == 0
    assert "# 1.9.10 to prod: by hand" in said
    assert f"git push --atomic origin {worlds.HEAD}:refs/heads/release" in said
    output = tmp_path / "runbook.md"
    assert run("runbook", "r1", "--config", str(config), "--output", str(output))[0] == 0
    assert output.read_text(encoding="utf-8").strip() == said.strip()


def test_a_runbook_of_nothing_is_a_sentence(run: Run, tmp_path: Path) -> None:
    config = settings(tmp_path)
    status, _, complaint = run("runbook", "--config", str(config))
    assert (status, "There is no database" in complaint) == (1, True)
    assert run("db", "upgrade", "--config", str(config))[0] == 0
    assert "Which release? none runs" in run("runbook", "--config", str(config))[2]
    assert "There is no release R9" in run("runbook", "R9", "--config", str(config))[2]
