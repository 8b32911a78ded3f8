from __future__ import annotations

from pathlib import Path

from sandbox.scenarios import SCENARIOS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "sandbox.md"


def test_every_scenario_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in SCENARIOS if f"`{name}`" not in text] == []
