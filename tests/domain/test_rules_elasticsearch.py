from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.findings import Kind, Severity
from bot.domain.rules.paths import ES_EXPORT
from bot.reviewing import review_range
from tests.domain.exporters import Exporter, Layout, Write, source
from tests.domain.memory_history import MemoryHistory

if TYPE_CHECKING:
    from bot.domain.review import Review

RESOLVERS = "metaspace/graphql/src/modules/annotation/controller/Annotation.ts"
SCHEMA = "metaspace/graphql/schemas/annotation.graphql"


def review(old: str, new: str, **files: str) -> Review:
    extra = {RESOLVERS: files.get("resolver", ""), SCHEMA: files.get("schema", "type Annotation { id: ID! }")}
    return review_range(MemoryHistory({ES_EXPORT: old, **extra}, {ES_EXPORT: new, **extra}), base="a", head="b")


def subjects(found: Review, *kinds: Kind) -> list[str]:
    return [finding.subject for finding in found.of_kind(*kinds)]


BASE = source(Exporter(), Layout())
WITH_IS_MONO = source(Exporter(writes=(*Exporter().writes, Write("is_mono", "doc['mz'] > 0"))), Layout())


def test_only_comments_and_layout() -> None:
    found = review(BASE, "# a comment\n" + BASE)
    (touched,) = found.findings
    assert touched.kind is Kind.ES_EXPORT_TOUCHED
    assert "only comments and layout" in touched.detail
    assert found.strategy.recommended == "in_place"


def test_only_imports() -> None:
    found = review(BASE, BASE.replace("from sm.engine.db", "from sm.engine.database.db"))
    assert "only imports" in found.findings[0].detail


def test_a_new_field_names_its_line_index_and_action() -> None:
    (added,) = review(BASE, WITH_IS_MONO).of_kind(Kind.ES_FIELD_ADDED)
    assert added.subject == "is_mono"
    assert added.index == "annotation"
    assert WITH_IS_MONO.splitlines()[added.line - 1].strip().startswith("doc['is_mono']")
    assert added.action


@pytest.mark.parametrize(
    ("resolver", "needed"),
    [
        ("  isMono: (hit) => hit._source.is_mono,", True),
        ("  isMono: (hit) => hit._source.is_mono || false,", False),
        ("  isMono: (hit) => hit._source.is_mono ?? false,", False),
        ("  isMono: (hit) => hit._source.is_mono == null ? false : hit._source.is_mono,", False),
        ("  other: (hit) => hit._source.is_mono,", False),
        ("  other: (hit) => hit._source.is_mono.toString(),", True),
        ("  other(hit) {\n    const { is_mono, mz } = hit._source\n    return is_mono.length\n  },", True),
        (
            "  other(hit) {\n    const { is_mono, mz } = hit._source\n    if (is_mono != null) {\n      return is_mono.length\n    }\n  },",
            False,
        ),
        ("  filters.push({ term: { is_mono: true } })", True),
        ("  if (args.mono != null) { filters.push({ term: { is_mono: args.mono } }) }", False),
        ("  nothing: 1,", False),
    ],
)
def test_new_code_needs_a_field_when_no_fallback_is_in_sight(resolver: str, *, needed: bool) -> None:
    found = review(BASE, WITH_IS_MONO, resolver=resolver, schema="type Annotation { isMono: Boolean!  other: Boolean }")
    (added,) = found.of_kind(Kind.ES_FIELD_ADDED)
    assert added.needed_by_new_code is needed
    assert found.strategy.recommended == ("reindex_before" if needed else "deploy_then_es_update")
    assert (added.severity is Severity.BLOCKING) is needed


def test_a_field_that_is_popped_again_is_no_field() -> None:
    new = WITH_IS_MONO.replace(
        "            to_index.append", "            doc.pop('is_mono')\n            to_index.append"
    )
    assert subjects(review(BASE, new), Kind.ES_FIELD_ADDED) == []


def test_a_nested_part_of_a_known_field_is_told_dotted() -> None:
    one = source(Exporter(writes=(Write("counts", "1", "nested"),)), Layout())
    two = one.replace("'other': 2", "'other': 2, 'db': {'id': moldb.id}")
    assert subjects(review(one, two), Kind.ES_FIELD_ADDED) == ["counts.db.id"]


def test_a_new_fallback_changes_no_existing_value() -> None:
    one = BASE.replace("doc['formula'] + 'x'", "moldb.mzs[0]")
    two = BASE.replace("doc['formula'] + 'x'", "moldb.mzs[0] if moldb is not None else 0")
    assert subjects(review(one, two), Kind.ES_VALUES_CHANGED) == []


def test_a_changed_condition_changes_the_value() -> None:
    one = source(Exporter(writes=(Write("mz", "1", "branch"),)), Layout())
    assert subjects(review(one, one.replace("moldb.targeted", "moldb.archived")), Kind.ES_VALUES_CHANGED) == ["mz"]


def test_a_changed_helper_changes_the_value_of_what_it_feeds() -> None:
    helper = "    def _limit(self, moldb):\n        names = moldb.names[:50]\n        names.append('x')\n        return names\n\n"
    one = source(Exporter(writes=(Write("names", "self._limit(moldb)"),)), Layout())
    one = one.replace("    def _select_ds_by_id", helper + "    def _select_ds_by_id")
    assert subjects(review(one, one.replace("[:50]", "[:100]")), Kind.ES_VALUES_CHANGED) == ["names"]


def test_a_changed_analyzer_concerns_the_fields_that_use_it() -> None:
    mapping = {"ds_name": {"type": "text", "analyzer": "names"}, "msm": {"type": "float"}}
    one = source(Exporter(mapping=mapping, columns={"ds_name": "m.name", "msm": "m.msm"}), Layout(two_indices=False))
    analysis = {
        "analyzer": {"names": {"filter": ["lowercase", "split"]}},
        "filter": {"split": {"type": "word_delimiter"}},
    }
    settings = f'body = {{"settings": {{"index": {{"analysis": {analysis!r}}}}}, '
    one = one.replace("body = {", settings)
    found = review(one, one.replace("word_delimiter", "word_delimiter_graph"))
    assert subjects(found, Kind.ES_MAPPING_CHANGED) == ["ds_name"]
    assert found.strategy.recommended == "reindex_before"


def test_a_setting_that_can_change_live_is_no_mapping_change() -> None:
    one = BASE.replace(
        "index=index, mappings=annotation_mappings",
        "index=index, settings={'number_of_replicas': 0}, mappings=annotation_mappings",
    )
    assert (
        subjects(
            review(one, one.replace("'number_of_replicas': 0", "'number_of_replicas': 1")), Kind.ES_MAPPING_CHANGED
        )
        == []
    )


def test_an_exporter_that_does_not_parse_is_a_blind_spot_and_the_review_still_comes() -> None:
    found = review(BASE, "def broken(:\n")
    assert [finding.kind for finding in found.findings] == [Kind.ES_EXPORT_TOUCHED]
    assert found.findings[0].severity is Severity.ATTENTION
    assert any("does not parse" in spot for spot in found.blind_spots)


def test_an_exporter_that_the_clone_lacks_is_a_blind_spot() -> None:
    history = MemoryHistory({ES_EXPORT: BASE}, {ES_EXPORT: WITH_IS_MONO}, lacking=[ES_EXPORT])
    found = review_range(history, base="a", head="b")
    assert subjects(found, Kind.ES_EXPORT_TOUCHED) == [ES_EXPORT]
    assert found.blind_spots


UNUSUAL = {
    "spread": ("            doc = {**doc, 'fresh': 1}\n", ["fresh"]),
    "merged": ("            doc |= {'fresh': 1}\n", ["fresh"]),
    "updated": ("            doc.update(fresh=1)\n", ["fresh"]),
    "defaulted": ("            doc.setdefault('fresh', 1)\n", ["fresh"]),
    "looped": ("            for name in ('fresh', 'other'):\n                doc[name] = 1\n", ["fresh", "other"]),
    "composed": (
        "            for name in ('fresh', 'other'):\n                doc[f'{name}_count'] = 1\n",
        ["fresh_count", "other_count"],
    ),
    "paired": ("            for name, value in {'fresh': 1}.items():\n                doc[name] = value\n", ["fresh"]),
    "chained": ("            known = doc['fresh'] = 1\n", ["fresh"]),
    "annotated": ("            doc['fresh']: int = 1\n", ["fresh"]),
    "constant": ("            doc[FRESH] = 1\n", ["fresh"]),
    "handed": ("            self._put(doc, 'fresh', 1)\n", ["fresh"]),
}


@pytest.mark.parametrize("form", UNUSUAL)
def test_unusual_forms_of_writing_a_field_are_seen(form: str) -> None:
    code, expected = UNUSUAL[form]
    base = BASE.replace(
        "class ESExporter:",
        "FRESH = 'fresh'\n\n\nclass ESExporter:\n    def _put(self, doc, name, value):\n        doc[name] = value\n",
    )
    new = base.replace("            to_index.append", f"{code}            to_index.append")
    assert subjects(review(base, new), Kind.ES_FIELD_ADDED) == expected


def test_a_document_built_where_it_is_sent_is_seen() -> None:
    new = BASE.replace("'_source': doc", "'_source': {**doc, 'fresh': 1}")
    assert subjects(review(BASE, new), Kind.ES_FIELD_ADDED) == ["fresh"]


def test_a_query_that_a_function_returns_is_seen() -> None:
    query = "\n\ndef query():\n    return ANNOTATIONS_SEL\n\n\nclass ESExporter:"
    new = BASE.replace("class ESExporter:", query, 1).replace(
        "select_with_fields(ANNOTATIONS_SEL", "select_with_fields(query()"
    )
    assert [finding.kind for finding in review(BASE, new).findings] == [Kind.ES_EXPORT_TOUCHED]


def test_mappings_created_in_a_loop_are_the_same() -> None:
    one = BASE[: BASE.index("class ESIndexManager:")]
    rest = BASE[BASE.index("class ESExporter:") :]
    loop = (
        "class ESIndexManager:\n    def create(self):\n"
        "        for name, mapping in (('dataset', {'properties': {'ds_id': {'type': 'keyword'}}}),\n"
        "                              ('annotation', {'properties': {'msm': {'type': 'float'}, 'db': {'type': 'keyword'}}})):\n"
        "            self._client.create(index=name, mappings=mapping)\n\n\n"
    )
    assert subjects(review(BASE, one + loop + rest), Kind.ES_MAPPING_CHANGED) == []
    assert subjects(review(BASE, one + loop.replace("float", "double") + rest), Kind.ES_MAPPING_CHANGED) == ["msm"]


def test_another_query_that_is_never_sent_gives_no_fields() -> None:
    new = BASE.replace(
        "class ESExporter:",
        "CONFIG_SEL = 'SELECT config AS fresh FROM dataset WHERE id = %s'\n\n\nclass ESExporter:",
        1,
    )
    assert subjects(review(BASE, new), Kind.ES_FIELD_ADDED) == []


def over(old: dict[str, str], new: dict[str, str], **renames: str) -> Review:
    return review_range(MemoryHistory(old, new, renames=renames), base="a", head="b")


MOVED = "metaspace/engine/sm/engine/search/es_export.py"
QUERIES = "metaspace/engine/sm/engine/es_queries.py"


def test_an_exporter_that_moves_is_still_the_exporter() -> None:
    history = MemoryHistory({ES_EXPORT: BASE}, {MOVED: WITH_IS_MONO}, renames={ES_EXPORT: MOVED})
    found = review_range(history, base="a", head="b")
    assert subjects(found, Kind.ES_EXPORT_TOUCHED) == [MOVED]
    assert [(each.subject, each.path) for each in found.of_kind(Kind.ES_FIELD_ADDED)] == [("is_mono", MOVED)]


def test_an_exporter_that_git_takes_for_a_new_file_is_compared_with_the_deleted_one() -> None:
    assert subjects(over({ES_EXPORT: BASE}, {MOVED: WITH_IS_MONO}), Kind.ES_FIELD_ADDED) == ["is_mono"]
    assert subjects(over({MOVED: BASE}, {MOVED: WITH_IS_MONO}), Kind.ES_FIELD_ADDED) == ["is_mono"]


def split(text: str) -> dict[str, str]:
    start, end = text.index("ANNOTATIONS_SEL ="), text.index("DS_COLUMNS_TO_SKIP_IN_ANN =")
    rest = f"from sm.engine.es_queries import ANNOTATIONS_SEL, DATASET_SEL\n{text[:start]}{text[end:]}"
    return {ES_EXPORT: rest, QUERIES: text[start:end]}


def test_queries_that_move_to_a_module_of_their_own_change_nothing() -> None:
    found = over({ES_EXPORT: BASE}, split(BASE))
    assert [finding.kind for finding in found.findings] == [Kind.ES_EXPORT_TOUCHED]


def test_a_module_that_holds_the_queries_is_read_too() -> None:
    new = split(BASE.replace("m.msm AS msm", "m.msm AS msm, m.prob AS prob"))
    found = over(split(BASE), new)
    (added,) = found.findings
    assert (added.kind, added.subject, added.path) == (Kind.ES_FIELD_ADDED, "prob", QUERIES)


def test_documents_that_go_to_another_index_need_it_before_the_deployment() -> None:
    init = "class ESExporter:\n    def __init__(self, conf):\n        self.annotation_index = conf['index']\n\n"
    old = BASE.replace("class ESExporter:\n", init)
    found = review(old, old.replace("conf['index']", "conf['annotation_index']"))
    assert "index → annotation_index" in found.findings[0].detail
    assert found.strategy.recommended == "reindex_before"


def test_another_condition_of_a_query_is_said_and_its_order_is_not() -> None:
    narrowed = review(BASE, BASE.replace("m.job_id = %s", "m.job_id = %s AND m.msm > 0.1"))
    assert "other annotation documents" in narrowed.findings[0].detail
    assert narrowed.findings[0].severity is Severity.ATTENTION
    ordered = review(BASE, BASE.replace("m.job_id = %s", "m.job_id = %s ORDER BY m.msm"))
    assert "Nothing that matters" in ordered.findings[0].detail
