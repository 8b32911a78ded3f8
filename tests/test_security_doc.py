"""What docs/security.md claims is proved by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_attack_names_a_proof_that_is_there() -> None:
    rows = [line for line in TEXT.split("## Attacks")[1].split("\n## ")[0].splitlines() if line.startswith("|")][2:]
    assert len(rows) > 10
    for row in rows:
        proofs = re.findall(r"`([\w/-]+(?:\.py)?)`", row.rsplit("|", 2)[1])
        assert proofs, row
        assert [one for one in proofs if not (TESTS / one).exists() and not (TESTS.parent / one).exists()] == []


def test_it_is_found_from_the_readme_and_the_architecture() -> None:
    assert "(docs/security.md)" in (TESTS.parent / "README.md").read_text(encoding="utf-8")
    assert "(security.md)" in (TESTS.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
