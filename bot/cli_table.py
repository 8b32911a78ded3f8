"""Reviews for a person at a terminal: the summary first, then the advice, then its evidence."""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from bot.domain.changes import Relation
from bot.domain.findings import Kind, Severity
from bot.views.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.domain.findings import Finding
    from bot.domain.review import Review

_NARROW, _WIDE = 60, 120
_LABEL, _KIND = 10, 19
_WORDS = {Severity.BLOCKING: "Blocking", Severity.ATTENTION: "Needs attention", Severity.INFO: "Good to know"}
_COLUMNS = (
    "range",
    "commits",
    "pulls",
    "strategy",
    "ES fields",
    "non-null",
    "migrations",
    "scripts",
    "config",
    "other",
)
_LEFT = {"range", "strategy", "ES fields"}
_CHANGED = (Kind.ES_MAPPING_CHANGED, Kind.ES_VALUES_CHANGED)
_MIGRATIONS = (Kind.GRAPHQL_MIGRATION, Kind.ENGINE_MIGRATION)
_OTHER = (Kind.ES_EXPORT_TOUCHED, Kind.ANSIBLE, Kind.DEPENDENCY, Kind.DOCKER, Kind.CI)


def page(found: Review, *, width: int = 0) -> str:
    """Lay one review out, as wide as the terminal within reason."""
    width = width or min(max(shutil.get_terminal_size().columns, _NARROW), _WIDE)
    lines = [one_line(f"Review of {found.base.ref}...{found.head.ref}")]
    lines += _block("Not seen, so look yourself", found.blind_spots, width, mark="! ")
    lines += ["", *(line for label, text in _summary(found) for line in _labelled(label, text, width))]
    if found.relation in (Relation.IDENTICAL, Relation.BEHIND):
        return "\n".join(lines)
    lines += _block(f"Why {found.strategy.recommended}", found.strategy.reasons, width)
    for severity in reversed(Severity):
        lines += _group(severity, [one for one in found.findings if one.severity is severity], width)
    lines += _block("Besides", found.remarks, width)
    lines += _block("Notes", [f"[{one.kind}] {one.title} #{one.number}" for one in found.notes], width, mark="")
    return "\n".join(lines)


def table(reviews: Sequence[Review]) -> str:
    """Lay many reviews out, a line each; how they add up stands first."""
    rows = [_COLUMNS, *(_row(one) for one in reviews)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    cells = [
        "  ".join(
            text.ljust(widths[at]) if _COLUMNS[at] in _LEFT else text.rjust(widths[at]) for at, text in enumerate(row)
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*map(one_line, _totals(reviews)), "", cells[0], rule, *cells[1:]])


def _summary(found: Review) -> Iterator[tuple[str, str]]:
    yield "Range", f"{_end(found.base.ref, found.base.sha)} to {_end(found.head.ref, found.head.sha)}, {found.relation}"
    if found.relation in (Relation.IDENTICAL, Relation.BEHIND):
        yield "Changes", f"none: {found.head.ref} has no commit that {found.base.ref} lacks"
        return
    authors = {one.author for one in found.pull_requests or found.commits}
    pulls = _count(len(found.pull_requests), "pull request")
    yield "Changes", f"{_count(len(found.commits), 'commit')}, {pulls} by {_count(len(authors), 'author')}"
    if found.lacking:
        yield "Lacking", f"{_count(len(found.lacking), 'commit')} of {found.base.ref} that {found.head.ref} lacks"
    if found.version.proposed:
        yield "Version", f"{found.version.proposed} ({found.version.bump} after {found.version.current})"
    if found.version.milestone_candidates:
        yield "Milestone?", "; ".join(found.version.milestone_candidates)
    yield "Strategy", " with ".join(filter(None, [found.strategy.recommended, ", ".join(found.strategy.parts)]))
    counts = Counter(one.severity for one in found.findings)
    yield "Findings", ", ".join(f"{counts[one]} {one}" for one in reversed(Severity) if counts[one]) or "none"
    if found.compare_url:
        yield "Compare", found.compare_url


def _end(name: str, sha: str) -> str:
    return sha[:8] if sha.startswith(name) else f"{name} ({sha:.8})"


def _labelled(label: str, text: str, width: int) -> list[str]:
    return _wrapped(text, width, first=f"  {label:<{_LABEL}}  ", then=" " * (_LABEL + 4))


def _block(title: str, items: Sequence[str], width: int, *, mark: str = "- ") -> list[str]:
    if not items:
        return []
    rows = (line for one in items for line in _wrapped(one, width, first=f"  {mark}", then=" " * (4 + len(mark))))
    return ["", title, *rows]


def _group(severity: Severity, group: Sequence[Finding], width: int) -> list[str]:
    if not group:
        return []
    return ["", f"{_WORDS[severity]} ({len(group)})", *(line for one in group for line in _finding(one, width))]


def _finding(one: Finding, width: int) -> Iterator[str]:
    place = one_line(f"{one.path}:{one.line}" if one.line else one.path)
    indent = " " * (_KIND + 2)
    subject = [] if one.subject == one.path else [one_line(one.subject)]
    first, *rest = [*subject, place]
    yield f"  {one.kind.value:<{_KIND}}{first}"
    for line in rest:
        yield f"{indent}{line}"
    yield from _wrapped(one.detail, width, first=indent, then=indent)
    yield from _wrapped(one.action, width, first=f"{indent}=> ", then=f"{indent}   ")


def _wrapped(text: str, width: int, *, first: str, then: str) -> list[str]:
    """Wrap at spaces; an address or a path is left whole, so that it can be clicked."""
    return textwrap.wrap(
        one_line(text),  # what a title or path holds is not to drive the terminal
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _totals(reviews: Sequence[Review]) -> Iterator[str]:
    if not reviews:
        yield "No two version tags here, so there is no range to review."
        return
    span = f"{reviews[0].base.ref} to {reviews[-1].head.ref}"
    commits, pulls = (
        sum(len(one) for one in each) for each in zip(*((r.commits, r.pull_requests) for r in reviews), strict=True)
    )
    yield f"{_count(len(reviews), 'range')}, {span}: {_count(commits, 'commit')}, {_count(pulls, 'pull request')}"
    strategies = Counter(one.strategy.recommended for one in reviews)
    yield "Strategies: " + ", ".join(f"{name} {number}" for name, number in strategies.most_common())
    if blind := sum(bool(one.blind_spots) for one in reviews):
        yield f"Not everything could be seen in {_count(blind, 'range')}, marked with !"


def _row(found: Review) -> tuple[str, ...]:
    kinds = Counter(one.kind for one in found.findings)
    fields = {
        "+": kinds[Kind.ES_FIELD_ADDED],
        "-": kinds[Kind.ES_FIELD_REMOVED],
        "~": sum(kinds[one] for one in _CHANGED),
    }
    numbers = (
        kinds[Kind.GRAPHQL_NON_NULL],
        sum(kinds[one] for one in _MIGRATIONS),
        kinds[Kind.ENGINE_SCRIPT],
        kinds[Kind.CONFIG_TEMPLATE],
        sum(kinds[one] for one in _OTHER),
    )
    return (
        one_line(f"{found.base.ref}..{found.head.ref}{' !' if found.blind_spots else ''}"),
        str(len(found.commits)),
        str(len(found.pull_requests)),
        found.strategy.recommended,
        " ".join(f"{sign}{number}" for sign, number in fields.items() if number),
        *(str(number or "") for number in numbers),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
