"""Modules like METASPACE's es_export.py, made from a description, in many layouts that mean the same."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

NAMES = [f"field_{letter}" for letter in "abcdefghij"]


@dataclass(frozen=True)
class Write:
    """A field that the exporter computes; ``form`` says how it gets into the document."""

    name: str
    value: str
    form: str = "plain"  # plain, tuple, nested, branch


@dataclass(frozen=True)
class Exporter:
    """What an exporter does to documents."""

    ds_columns: dict[str, str] = field(
        default_factory=lambda: {"ds_id": "d.id", "ds_name": "d.name", "ds_size": "d.size"}
    )
    columns: dict[str, str] = field(default_factory=lambda: {"msm": "m.msm", "fdr": "m.fdr", "formula": "m.formula"})
    bare: tuple[str, ...] = ("ion_formula",)
    writes: tuple[Write, ...] = (Write("mz", "doc['formula'] + 'x'"),)
    skipped: tuple[str, ...] = ("ds_size",)
    mapping: dict[str, object] = field(default_factory=lambda: {"msm": {"type": "float"}, "db": {"type": "keyword"}})


@dataclass(frozen=True)
class Layout:
    """How it is written down; no choice here means anything."""

    two_indices: bool = True
    lower_case: bool = False
    table_alias: str = "m"
    doc: str = "doc"
    query_name: str = "ANNOTATIONS_SEL"
    comments: bool = False
    unparsed: bool = False
    helper: bool = False
    locals_: bool = False
    spread_mapping: bool = False
    mapping_by_update: bool = False
    comprehension_copy: bool = False
    logging: bool = False


layouts = st.builds(
    Layout,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["m", "a", "ann"]),
    st.sampled_from(["doc", "ann_doc", "document"]),
    st.sampled_from(["ANNOTATIONS_SEL", "ANNOTATION_QUERY", "SEL_ANN"]),
    *[st.booleans() for _ in range(8)],
)
values = st.sampled_from(
    [
        "doc['formula'] + 'y'",
        "round(doc['msm'], 3)",
        "[x for x in doc['fdr']]",
        "moldb.name",
        "len(doc['formula'])",
        "doc['msm'] * 2",
    ]
)
forms = st.sampled_from(["plain", "tuple", "nested", "branch"])
writes = st.lists(
    st.builds(Write, st.sampled_from(NAMES), values, forms), max_size=4, unique_by=lambda write: write.name
)
exporters = st.builds(lambda extra: replace(Exporter(), writes=(*Exporter().writes, *extra)), writes)


def source(exporter: Exporter, layout: Layout) -> str:
    """The module's text."""
    text = "\n\n".join(
        [
            "import logging\nfrom sm.engine.db import DB\nlogger = logging.getLogger('engine')",
            _queries(exporter, layout),
            f"DS_COLUMNS_TO_SKIP_IN_ANN = {exporter.skipped!r}",
            _manager(exporter, layout),
            _exporter(exporter, layout),
        ]
    )
    return ast.unparse(ast.parse(text)) if layout.unparsed else text


def _queries(exporter: Exporter, layout: Layout) -> str:
    alias = layout.table_alias
    columns = [f"{value.replace('m.', alias + '.')} AS {name}" for name, value in exporter.columns.items()]
    columns += [f"ion.{name}" for name in exporter.bare]
    select = "SELECT"  # kept apart, so that no linter takes a test's text for a query
    ann = (
        f"{select}\n    {', '.join(columns)}\nFROM annotation {alias}\n"
        f"LEFT JOIN graphql.ion ON {alias}.ion_id = ion.id\nWHERE {alias}.job_id = %s"
    )
    inner = ",\n    ".join(f"{value} AS {name}" for name, value in exporter.ds_columns.items())
    dataset = (
        f"{select} d.*, gu.name as ds_submitter_name\nFROM (\n  {select} {inner}\n  FROM dataset as d GROUP BY d.id\n) as d\n"
        "LEFT JOIN graphql.user gu ON gu.id = d.ds_id\nWHERE d.ds_id = %s"
    )
    if layout.lower_case:
        for word in ("SELECT", "FROM", "LEFT JOIN", "WHERE", " ON ", " AS "):
            ann, dataset = ann.replace(word, word.lower()), dataset.replace(word, word.lower())
    if layout.comments:
        ann = ann.replace("\n", "  -- as stored\n", 1)
    return f"{layout.query_name} = '''{ann}'''\n\nDATASET_SEL = '''{dataset}'''"


def _manager(exporter: Exporter, layout: Layout) -> str:
    mapping = json.dumps(exporter.mapping).replace("true", "True").replace("false", "False")
    if layout.spread_mapping:
        first, *rest = exporter.mapping.items()
        mapping = f"{{**shared, **{dict(rest)!r}}}"
        before = [f"shared = {dict([first])!r}"]
    elif layout.mapping_by_update:
        before = ["properties = {}", f"properties.update({mapping})"]
        mapping = "properties"
    else:
        before = []
    ds = '{"ds_id": {"type": "keyword"}}'
    if layout.two_indices:
        lines = [
            "class ESIndexManager:",
            "    def create_dataset_index(self, index):",
            f'        dataset_mappings = {{"properties": {ds}}}',
            "        self._client.create(index=index, mappings=dataset_mappings)",
            "",
            "    def create_annotation_index(self, index):",
            *(f"        {line}" for line in before),
            f'        annotation_mappings = {{"properties": {mapping}}}',
            "        self._client.create(index=index, mappings=annotation_mappings)",
        ]
    else:
        lines = [
            "class ESIndexManager:",
            "    def create_index(self, index):",
            *(f"        {line}" for line in before),
            f'        body = {{"mappings": {{"dataset": {{"properties": {ds}}}, "annotation": {{"properties": {mapping}}}}}}}',
            "        self._client.create(index=index, body=body)",
        ]
    return "\n".join(lines)


def _exporter(exporter: Exporter, layout: Layout) -> str:
    doc = layout.doc
    body = [line for number, write in enumerate(exporter.writes) for line in _write(write, layout, number)]
    if layout.helper:
        loop = [f"            self._compute({doc}, moldb)"]
        helper = [f"    def _compute(self, {doc}, moldb):", *(f"        {line}" for line in body or ["pass"]), ""]
    else:
        loop, helper = [f"            {line}" for line in body], []
    if layout.comprehension_copy:
        copy = ["        ann_doc.update({f: v for f, v in ds_doc.items() if f not in DS_COLUMNS_TO_SKIP_IN_ANN})"]
    else:
        copy = [
            "        for column in ds_doc:",
            "            if column not in DS_COLUMNS_TO_SKIP_IN_ANN:",
            "                ann_doc[column] = ds_doc[column]",
        ]
    if layout.logging:
        loop.append(f"            logger.info('indexing %s', {doc})")
    return "\n".join(
        [
            "class ESExporter:",
            "    def _select_ds_by_id(self, ds_id):",
            "        return self._db.select_with_fields(DATASET_SEL, params=(ds_id,))[0]",
            "",
            *helper,
            "    def _add_ds_fields_to_ann(self, ann_doc, ds_doc):",
            *copy,
            "",
            "    def index_ds(self, ds_id, moldb):",
            "        # documents of one dataset" if layout.comments else "",
            "        ds_doc = self._select_ds_by_id(ds_id)",
            f"        annotation_docs = self._db.select_with_fields({layout.query_name}, params=(ds_id,))",
            "        to_index = []",
            f"        for {doc} in annotation_docs:",
            f"            self._add_ds_fields_to_ann({doc}, ds_doc)",
            *loop,
            f"            to_index.append({{'_index': self.annotation_index, '_source': {doc}}})",
            "        self._es.index(index=self.dataset_index, document=ds_doc, id=ds_id)",
        ]
    )


def _write(write: Write, layout: Layout, number: int) -> list[str]:
    doc, value = layout.doc, write.value.replace("doc[", f"{layout.doc}[")
    before = []
    if layout.locals_:
        before, value = [f"value_{number} = {value}"], f"value_{number}"
    match write.form:
        case "tuple":
            return [*before, f"{doc}[{write.name!r}], {doc}['{write.name}_2'] = {value}, 1"]
        case "nested":
            return [*before, f"{doc}[{write.name!r}] = {{'inner': {value}, 'other': 2}}"]
        case "branch":
            return [
                *before,
                "if moldb.targeted:",
                f"    {doc}[{write.name!r}] = -1",
                "else:",
                f"    {doc}[{write.name!r}] = {value}",
            ]
        case _:
            return [*before, f"{doc}[{write.name!r}] = {value}"]
