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
    logging: bool = False
    query: str = "text"  # text, fstring, joined, formatted, concatenated
    skips: str = "tuple"  # tuple, list, set, frozenset, annotated
    copying: str = "loop"  # loop, continue, difference, names, comprehension
    writing: str = "plain"  # plain, update, keywords, merged, local, function, pairs, method
    branching: str = "if"  # if, turned, expression, named
    classes_turned: bool = False
    mapping_function: bool = False


layouts = st.builds(
    Layout,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["m", "a", "ann"]),
    st.sampled_from(["doc", "ann_doc", "document"]),
    st.sampled_from(["ANNOTATIONS_SEL", "ANNOTATION_QUERY", "SEL_ANN"]),
    *[st.booleans() for _ in range(7)],
    st.sampled_from(["text", "fstring", "joined", "formatted", "concatenated"]),
    st.sampled_from(["tuple", "list", "set", "frozenset", "annotated"]),
    st.sampled_from(["loop", "continue", "difference", "names", "comprehension"]),
    st.sampled_from(["plain", "update", "keywords", "merged", "local", "function", "pairs", "method"]),
    st.sampled_from(["if", "turned", "expression", "named"]),
    st.booleans(),
    st.booleans(),
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
    manager, writer = _manager(exporter, layout), _exporter(exporter, layout)
    text = "\n\n".join(
        [
            "import logging\nfrom sm.engine.db import DB\nlogger = logging.getLogger('engine')",
            _queries(exporter, layout),
            _skips(exporter, layout),
            *((writer, manager) if layout.classes_turned else (manager, writer)),
        ]
    )
    return ast.unparse(ast.parse(text)) if layout.unparsed else text


def _skips(exporter: Exporter, layout: Layout) -> str:
    name, names = "DS_COLUMNS_TO_SKIP_IN_ANN", exporter.skipped
    match layout.skips:
        case "list":
            return f"{name} = {list(names)!r}"
        case "set":
            return f"{name} = {set(names)!r}"
        case "frozenset":
            return f"{name} = frozenset({names!r})"
        case "annotated":
            return f"{name}: tuple = {names!r}"
        case _:
            return f"{name} = {names!r}"


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
    return f"{_query(layout, columns[0], ann)}\n\nDATASET_SEL = '''{dataset}'''"


def _query(layout: Layout, column: str, text: str) -> str:
    """The query as one text, or put together from a first column and the rest."""
    name = layout.query_name
    if layout.lower_case:
        column = column.replace(" AS ", " as ")
    before, _, after = text.partition(column)
    match layout.query:
        case "fstring":
            return f"FIRST = {column!r}\n{name} = f'''{before}{{FIRST}}{after}'''"
        case "joined":
            return f"FIRST = [{column!r}]\n{name} = '''{before}''' + ', '.join(FIRST) + '''{after}'''"
        case "formatted":
            return f"{name} = '''{before}{{first}}{after}'''.format(first={column!r})"
        case "concatenated":
            return f"FIRST = {column!r}\n{name} = '''{before}''' + FIRST + '''{after}'''"
        case _:
            return f"{name} = '''{text}'''"


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
    if layout.mapping_function:
        body = "\n".join(f"    {line}" for line in [*before, f"return {mapping}"])
        head, before, mapping = f"def _annotation_properties():\n{body}\n\n\n", [], "_annotation_properties()"
    else:
        head = ""
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
    return head + "\n".join(lines)


def _exporter(exporter: Exporter, layout: Layout) -> str:
    doc = layout.doc
    body = [line for number, write in enumerate(exporter.writes) for line in _write(write, layout, number)]
    if layout.helper:
        loop = [f"            self._compute({doc}, moldb)"]
        helper = [f"    def _compute(self, {doc}, moldb):", *(f"        {line}" for line in body or ["pass"]), ""]
    else:
        loop, helper = [f"            {line}" for line in body], []
    copy = _COPIES[layout.copying]
    more = _writing_function(exporter, layout)
    if layout.logging:
        loop.append(f"            logger.info('indexing %s', {doc})")
    return "\n".join(
        [
            "class ESExporter:",
            "    def _select_ds_by_id(self, ds_id):",
            "        return self._db.select_with_fields(DATASET_SEL, params=(ds_id,))[0]",
            "",
            *helper,
            *more,
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


_COPIES = {
    "loop": [
        "        for column in ds_doc:",
        "            if column not in DS_COLUMNS_TO_SKIP_IN_ANN:",
        "                ann_doc[column] = ds_doc[column]",
    ],
    "continue": [
        "        for column, value in ds_doc.items():",
        "            if column in DS_COLUMNS_TO_SKIP_IN_ANN:",
        "                continue",
        "            ann_doc[column] = value",
    ],
    "difference": [
        "        for column in set(ds_doc) - set(DS_COLUMNS_TO_SKIP_IN_ANN):",
        "            ann_doc[column] = ds_doc[column]",
    ],
    "names": [
        "        columns = [one for one in ds_doc if one not in DS_COLUMNS_TO_SKIP_IN_ANN]",
        "        for column in columns:",
        "            ann_doc[column] = ds_doc[column]",
    ],
    "comprehension": [
        "        ann_doc.update({f: v for f, v in ds_doc.items() if f not in DS_COLUMNS_TO_SKIP_IN_ANN})",
    ],
}


def _write(write: Write, layout: Layout, number: int) -> list[str]:
    doc, value = layout.doc, write.value.replace("doc[", f"{layout.doc}[")
    before = []
    if layout.locals_ and layout.writing != "function":
        before, value = [f"value_{number} = {value}"], f"value_{number}"
    match write.form:
        case "tuple":
            return [*before, f"{doc}[{write.name!r}], {doc}['{write.name}_2'] = {value}, 1"]
        case "nested":
            return [*before, *_plain(write.name, f"{{'inner': {value}, 'other': 2}}", layout, number)]
        case "branch":
            return [*before, *_branch(f"{doc}[{write.name!r}]", value, layout, number)]
        case _:
            return [*before, *_plain(write.name, value, layout, number)]


def _plain(name: str, value: str, layout: Layout, number: int) -> list[str]:  # noqa: PLR0911 - one return a form
    doc = layout.doc
    match layout.writing:
        case "update":
            return [f"{doc}.update({{{name!r}: {value}}})"]
        case "keywords":
            return [f"{doc}.update({name}={value})"]
        case "merged":
            return [f"{doc} |= {{{name!r}: {value}}}"]
        case "local":
            return [f"extra_{number} = {{{name!r}: {value}}}", f"{doc}.update(extra_{number})"]
        case "function":
            return [f"{doc}.update(self._part_{number}({doc}, moldb))"]
        case "pairs":
            return [f"for key, item in [({name!r}, {value})]:", f"    {doc}[key] = item"]
        case "method":
            return [f"{doc}.__setitem__({name!r}, {value})"]
        case _:
            return [f"{doc}[{name!r}] = {value}"]


def _writing_function(exporter: Exporter, layout: Layout) -> list[str]:
    """Functions that return what the loop merges into its document."""
    lines = []
    for number, write in enumerate(exporter.writes):
        if layout.writing == "function" and write.form in ("plain", "nested"):
            value = write.value.replace("doc[", f"{layout.doc}[")
            value = f"{{'inner': {value}, 'other': 2}}" if write.form == "nested" else value
            lines += [
                f"    def _part_{number}(self, {layout.doc}, moldb):",
                f"        return {{{write.name!r}: {value}}}",
                "",
            ]
    return lines


def _branch(target: str, value: str, layout: Layout, number: int) -> list[str]:
    match layout.branching:
        case "turned":
            return ["if not moldb.targeted:", f"    {target} = {value}", "else:", f"    {target} = -1"]
        case "expression":
            return [f"{target} = -1 if moldb.targeted else {value}"]
        case "named":
            asked = f"targeted_{number}"
            return [
                f"{asked} = moldb.targeted",
                f"if {asked}:",
                f"    {target} = -1",
                "else:",
                f"    {target} = {value}",
            ]
        case _:
            return ["if moldb.targeted:", f"    {target} = -1", "else:", f"    {target} = {value}"]
