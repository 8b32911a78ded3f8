"""Random exporters, random edits: what changes documents is told, what does not is not."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bot.domain.findings import Kind
from bot.domain.rules.elasticsearch import compare, reason, understand
from tests.domain.exporters import NAMES, Exporter, Layout, Write, exporters, forms, layouts, source, values

if TYPE_CHECKING:
    from collections.abc import Callable

Told = set[tuple[Kind, str]]
MORE = int(os.environ.get("RULES_EXAMPLES", "60"))
relaxed = settings(max_examples=MORE, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def told(old: Exporter, new: Exporter, *, first: Layout, second: Layout) -> Told:
    before, after = understand(source(old, first)), understand(source(new, second))
    return {(finding.kind, finding.subject) for finding in compare(before, after)}


@relaxed
@given(exporters, layouts, layouts)
def test_layout_renames_and_moves_change_no_document(exporter: Exporter, first: Layout, second: Layout) -> None:
    assert told(exporter, exporter, first=first, second=second) == set()


@relaxed
@given(exporters, layouts, layouts)
def test_a_change_that_does_not_matter_is_given_a_reason(exporter: Exporter, first: Layout, second: Layout) -> None:
    assert reason(understand(source(exporter, first)), understand(source(exporter, second)))


def with_column(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, columns={**exporter.columns, "prob": "m.off_sample->'prob'"}), {
        (Kind.ES_FIELD_ADDED, "prob")
    }


def without_column(exporter: Exporter) -> tuple[Exporter, Told]:
    kept = {name: value for name, value in exporter.columns.items() if name != "fdr"}
    return replace(exporter, columns=kept), {(Kind.ES_FIELD_REMOVED, "fdr")}


def with_bare_column(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, bare=(*exporter.bare, "charge")), {(Kind.ES_FIELD_ADDED, "charge")}


def with_dataset_column(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, ds_columns={**exporter.ds_columns, "ds_new": "d.new"}), {(Kind.ES_FIELD_ADDED, "ds_new")}


def with_other_expression(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, columns={**exporter.columns, "msm": "m.msm * 100"}), {(Kind.ES_VALUES_CHANGED, "msm")}


def with_other_value(exporter: Exporter) -> tuple[Exporter, Told]:
    changed = tuple(
        replace(write, value="doc['fdr'] / 7") if write.name == "mz" else write for write in exporter.writes
    )
    return replace(exporter, writes=changed), {(Kind.ES_VALUES_CHANGED, "mz")}


def copying_all(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, skipped=("ds_nothing",)), {(Kind.ES_FIELD_ADDED, "ds_size")}


def copying_less(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, skipped=(*exporter.skipped, "ds_name")), {(Kind.ES_FIELD_REMOVED, "ds_name")}


def with_other_mapping(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, mapping={**exporter.mapping, "msm": {"type": "keyword"}}), {
        (Kind.ES_MAPPING_CHANGED, "msm")
    }


def with_first_mapping(exporter: Exporter) -> tuple[Exporter, Told]:
    return replace(exporter, mapping={**exporter.mapping, "fdr": {"type": "float"}}), {(Kind.ES_MAPPING_CHANGED, "fdr")}


def with_new_mapped_field(exporter: Exporter) -> tuple[Exporter, Told]:
    new = replace(
        exporter,
        columns={**exporter.columns, "prob": "m.prob"},
        mapping={**exporter.mapping, "prob": {"type": "float"}},
    )
    return new, {(Kind.ES_FIELD_ADDED, "prob")}


def with_other_condition(exporter: Exporter) -> tuple[Exporter, Told]:
    branch = Write("level", "doc['msm'] * 3", "branch")
    return replace(exporter, writes=(*exporter.writes, branch)), {(Kind.ES_FIELD_ADDED, "level")}


def with_nested_part(exporter: Exporter) -> tuple[Exporter, Told]:
    new = Write("summary", "{'deep': doc['msm']}", "nested")
    told = {(Kind.ES_FIELD_ADDED, "summary.inner.deep"), (Kind.ES_FIELD_ADDED, "summary.other")}
    return replace(exporter, writes=(*exporter.writes, new)), told


def with_renamed_column(exporter: Exporter) -> tuple[Exporter, Told]:
    kept = {("adduct" if name == "fdr" else name): value for name, value in exporter.columns.items()}
    writes = tuple(replace(each, value=each.value.replace("doc['fdr']", "doc['adduct']")) for each in exporter.writes)
    told = {(Kind.ES_FIELD_REMOVED, "fdr"), (Kind.ES_FIELD_ADDED, "adduct")}
    return replace(exporter, columns=kept, writes=writes), told


def without_mapping(exporter: Exporter) -> tuple[Exporter, Told]:
    kept = {name: value for name, value in exporter.mapping.items() if name != "msm"}
    return replace(exporter, mapping=kept), {(Kind.ES_MAPPING_CHANGED, "msm")}


def without_write(exporter: Exporter) -> tuple[Exporter, Told]:
    kept = tuple(write for write in exporter.writes if write.name != "mz")
    return replace(exporter, writes=kept), {(Kind.ES_FIELD_REMOVED, "mz")}


EDITS = [
    with_other_condition,
    with_nested_part,
    with_renamed_column,
    without_mapping,
    without_write,
    with_column,
    without_column,
    with_bare_column,
    with_dataset_column,
    with_other_expression,
    with_other_value,
    copying_all,
    copying_less,
    with_other_mapping,
    with_first_mapping,
    with_new_mapped_field,
]


@settings(relaxed, max_examples=MORE * 2)
@given(exporters, layouts, layouts, st.sampled_from(EDITS))
def test_an_edit_that_matters_is_told_however_the_module_is_rearranged(
    exporter: Exporter, first: Layout, second: Layout, edit: Callable[[Exporter], tuple[Exporter, Told]]
) -> None:
    new, expected = edit(exporter)
    seen = told(exporter, new, first=first, second=second)
    assert seen == expected


@relaxed
@given(exporters, st.tuples(layouts, layouts), st.builds(Write, st.sampled_from(NAMES), values, forms))
def test_every_form_of_writing_a_new_field_is_seen(
    exporter: Exporter, both: tuple[Layout, Layout], write: Write
) -> None:
    (first, second), name, form = both, write.name, write.form
    assume(name not in {each.name for each in exporter.writes})
    new = replace(exporter, writes=(*exporter.writes, write))
    expected = {(Kind.ES_FIELD_ADDED, name)} | ({(Kind.ES_FIELD_ADDED, f"{name}_2")} if form == "tuple" else set())
    seen = told(exporter, new, first=first, second=second)
    outer = {(kind, subject.split(".")[0]) for kind, subject in seen}
    assert outer == expected
    removed = told(new, exporter, first=first, second=second)
    assert {(kind, subject.split(".")[0]) for kind, subject in removed} == {
        (Kind.ES_FIELD_REMOVED, each) for _, each in expected
    }


@relaxed
@given(st.text(max_size=300))
def test_no_text_that_parses_makes_the_reader_fall_over(text: str) -> None:
    try:
        compile(text, "x", "exec")
    except (SyntaxError, ValueError):
        return
    understand(text)
