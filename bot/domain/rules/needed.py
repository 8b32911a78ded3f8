"""Whether new code cannot do without a new document field."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.domain.findings import Finding
    from bot.domain.rules.reading import Reading


def judge(finding: Finding, reading: Reading) -> Finding:
    return finding
