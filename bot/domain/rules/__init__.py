"""The rules: each reads a range and yields findings. To add one, write its module and name it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.domain.findings import Finding, Kind
from bot.domain.rules import elasticsearch, graphql_api, paths
from bot.domain.rules.reading import Reading

__all__ = ["RULES", "Reading", "find", "paths"]

Rule = Callable[[Reading], Iterator[Finding]]


def _by_path(reading: Reading) -> Iterator[Finding]:
    """Every file of a watched place, for kinds that no other rule reads."""
    for change in reading.span.changes:
        for kind in paths.kinds(change):
            if kind not in _READ:
                yield paths.plain(kind, change)


_READ = frozenset({Kind.ES_EXPORT_TOUCHED})
RULES: tuple[Rule, ...] = (_by_path, elasticsearch.findings, graphql_api.findings)


def find(reading: Reading) -> tuple[Finding, ...]:
    """All findings of a range, by kind and subject."""
    order = list(Kind)
    found = [finding for rule in RULES for finding in rule(reading)]
    return tuple(sorted(found, key=lambda finding: (order.index(finding.kind), finding.subject)))
