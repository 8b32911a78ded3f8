"""The rules: each reads a range and yields findings. To add one, write its module and name it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bot.domain.errors import ReleaseError
from bot.domain.findings import Finding, Kind
from bot.domain.rules import deployment, elasticsearch, graphql_api, migrations, paths
from bot.domain.rules.reading import Reading

__all__ = ["RULES", "Reading", "find", "paths"]

Rule = Callable[[Reading], Iterator[Finding]]


def _by_path(reading: Reading) -> Iterator[Finding]:
    """Every file of a watched place, for kinds that no other rule reads."""
    for change in reading.span.changes:
        for kind in paths.kinds(change):
            if kind not in _READ:
                yield paths.plain(kind, change)


_READ = frozenset(
    {
        Kind.ES_EXPORT_TOUCHED,
        Kind.GRAPHQL_MIGRATION,
        Kind.ENGINE_MIGRATION,
        Kind.ENGINE_SCRIPT,
        Kind.CONFIG_TEMPLATE,
        Kind.ANSIBLE,
    }
)
RULES: tuple[Rule, ...] = (
    _by_path,
    elasticsearch.findings,
    graphql_api.findings,
    migrations.findings,
    deployment.findings,
)


def find(reading: Reading) -> tuple[Finding, ...]:
    """All findings of a range, by kind and subject; of two about the same subject the earlier rule's."""
    order = list(Kind)
    read = [change for change in reading.span.changes if not _READ.isdisjoint(paths.kinds(change))]
    reading.expect(blob for change in read for blob in (change.old_blob, change.new_blob) if blob)
    found = [finding for rule in RULES for finding in _carefully(rule, reading)]
    unique = {(finding.kind, finding.subject): finding for finding in reversed(found)}
    return tuple(sorted(unique.values(), key=lambda finding: (order.index(finding.kind), finding.subject)))


def _carefully(rule: Rule, reading: Reading) -> list[Finding]:
    """One rule's fault must not take the review away: it is said at the top instead. Our own errors go on."""
    try:
        return list(rule(reading))
    except ReleaseError:
        raise
    except Exception as error:  # noqa: BLE001 - rules read code of any shape, and a review without one is worth having
        name = rule.__module__.rsplit(".", 1)[-1].replace("_", " ")
        reading.blind_spots.append(
            f"The rule about {name} failed ({type(error).__name__}: {error}): look at its files by eye."
        )
        return []
