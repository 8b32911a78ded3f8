"""Ways of writing the same exporter, and of changing it: each edit of one small module, and what it must be told as."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from bot.domain.findings import Kind
from bot.domain.rules.elasticsearch import compare, understand

if TYPE_CHECKING:
    from collections.abc import Callable

ADDED, REMOVED, VALUES, MAPPING = (
    Kind.ES_FIELD_ADDED,
    Kind.ES_FIELD_REMOVED,
    Kind.ES_VALUES_CHANGED,
    Kind.ES_MAPPING_CHANGED,
)
SELECT = "SELECT"  # kept apart, so that no linter takes a test's text for a query
EXPORTER = f'''
import logging

from sm.engine.formulas import ion_of, masses

logger = logging.getLogger('engine')

ANNOTATIONS_SEL = """{SELECT}
    m.id AS annotation_id,
    m.msm AS msm,
    m.formula,
    m.stats AS stats,
    m.adduct AS adduct
FROM annotation m
JOIN job j ON j.id = m.job_id
WHERE j.ds_id = %s"""

DATASET_SEL = """{SELECT} d.*, gp.ds_projects
FROM (
  {SELECT} d.id AS ds_id, d.name AS ds_name, d.geometry AS ds_geometry FROM dataset AS d GROUP BY d.id
) AS d
LEFT JOIN (
  {SELECT} p.dataset_id, array_agg(p.name) AS ds_projects FROM graphql.project p WHERE p.approved GROUP BY p.dataset_id
) gp ON gp.dataset_id = d.ds_id
WHERE d.ds_id = %s"""

DS_COLUMNS_TO_SKIP_IN_ANN = ('ds_geometry',)


class ESIndexManager:
    def create_dataset_index(self, index):
        mappings = {{"properties": {{"ds_id": {{"type": "keyword"}}}}}}
        self._client.create(index=index, mappings=mappings)

    def create_annotation_index(self, index):
        mappings = {{
            "properties": {{
                "msm": {{"type": "float"}},
                "fdr": {{"type": "float"}},
                "peaks": {{"properties": {{"mz": {{"type": "float"}}}}}},
            }}
        }}
        self._client.create(index=index, mappings=mappings)


class ESExporter:
    def _select_ds(self, ds_id):
        return self._db.select_with_fields(DATASET_SEL, params=(ds_id,))[0]

    @staticmethod
    def _add_ds_fields(ann_doc, ds_doc):
        for field in ds_doc:
            if field not in DS_COLUMNS_TO_SKIP_IN_ANN:
                ann_doc[field] = ds_doc[field]

    def index_ds(self, ds_id, moldb, isocalc):
        ds_doc = self._select_ds(ds_id)
        docs = self._db.select_with_fields(ANNOTATIONS_SEL, params=(ds_id,))
        for doc in docs:
            self._add_ds_fields(doc, ds_doc)
            stats = doc.pop('stats')
            doc['chaos'] = stats.get('chaos')
            doc['db_id'] = moldb.id
            doc['db_name'] = moldb.name
            doc['ion'] = ion_of(doc['formula'], doc['adduct'])
            doc['ids'], doc['names'] = moldb.molecules[doc['formula']]
            doc['peaks'] = [{{'mz': mz, 'n': n}} for n, mz in enumerate(masses(doc['ion']))]
            if moldb.targeted and moldb.version == 1:
                doc['fdr'] = -1
            else:
                doc['fdr'] = doc['msm'] / 2
        actions = []
        for doc in docs:
            actions.append({{'_index': self.annotation_index, '_source': doc}})
        self._bulk(actions)
        ds_doc['counts'] = {{'db': {{'id': moldb.id}}, 'n': len(docs)}}
        self._es.index(index=self.dataset_index, document=ds_doc, id=ds_id)
'''
DB = "            doc['db_id'] = moldb.id\n            doc['db_name'] = moldb.name\n"
SEND = "        actions = []\n"
COPY = (
    "        for field in ds_doc:\n            if field not in DS_COLUMNS_TO_SKIP_IN_ANN:\n"
    "                ann_doc[field] = ds_doc[field]\n"
)
BRANCHES = (
    "            if moldb.targeted and moldb.version == 1:\n                doc['fdr'] = -1\n"
    "            else:\n                doc['fdr'] = doc['msm'] / 2\n"
)
METHOD = "    def index_ds("


def told(*edits: tuple[str, str] | Callable[[str], str], back: bool = False) -> set[tuple[Kind, str]]:
    text = EXPORTER
    for edit in edits:
        if isinstance(edit, tuple):
            assert edit[0] in text
            text = text.replace(*edit)
        else:
            text = edit(text)
    versions = understand(EXPORTER), understand(text)
    return {(finding.kind, finding.subject) for finding in compare(*(reversed(versions) if back else versions))}


def helper(code: str) -> tuple[str, str]:
    return METHOD, f"{code}\n\n{METHOD}"


SAME = {
    "laid out anew": (lambda text: ast.unparse(ast.parse(text)),),
    "a comment in the query": (("    m.msm AS msm,", "    -- m.x AS y\n    m.msm AS msm,"),),
    "another order": (("    m.msm AS msm,\n    m.formula,", "    m.formula,\n    m.msm AS msm,"),),
    "annotations of types": (("ds_id, moldb, isocalc)", "ds_id: str, moldb: MolecularDB = None, *, isocalc)"),),
    "another table alias": (
        lambda text: (
            text.replace(" m.", " ann.").replace("annotation m\n", "annotation ann\n").replace("= m.", "= ann.")
        ),
    ),
    "other constants": (lambda text: text.replace("ANNOTATIONS_SEL", "QUERY").replace("DS_COLUMNS_TO", "COLUMNS_TO"),),
    "an alias left out": (("m.adduct AS adduct", "m.adduct"),),
    "a query from parts": (
        ("    m.msm AS msm,", "    {MSM},"),
        ('ANNOTATIONS_SEL = """', 'MSM = "m.msm AS msm"\nANNOTATIONS_SEL = f"""'),
    ),
    "a query filled in by format": (
        ("    m.msm AS msm,", "    {column} AS msm,"),
        ('WHERE j.ds_id = %s"""', 'WHERE j.ds_id = %s""".format(column="m.msm")'),
    ),
    "a query filled in by percent": (
        ("    m.msm AS msm,", "    %(column)s AS msm,"),
        ('WHERE j.ds_id = %s"""', 'WHERE j.ds_id = %s""" % {"column": "m.msm"}'),
    ),
    "a query joined of columns": (
        (
            f'ANNOTATIONS_SEL = """{SELECT}\n    m.id AS annotation_id,\n    m.msm AS msm,\n',
            f'COLUMNS = ["m.id AS annotation_id", "m.msm AS msm"]\nANNOTATIONS_SEL = "{SELECT} " + ", ".join(COLUMNS) + """,\n',
        ),
    ),
    "a query in a class": (
        ("select_with_fields(ANNOTATIONS_SEL", "select_with_fields(self.SEL"),
        ("class ESExporter:\n", "class ESExporter:\n    SEL = ANNOTATIONS_SEL\n\n"),
    ),
    "update with keywords": ((DB, "            doc.update(db_id=moldb.id, db_name=moldb.name)\n"),),
    "update with a dictionary": ((DB, "            doc.update({'db_id': moldb.id, 'db_name': moldb.name})\n"),),
    "a merged dictionary": ((DB, "            doc |= {'db_id': moldb.id, 'db_name': moldb.name}\n"),),
    "a tuple": ((DB, "            doc['db_id'], doc['db_name'] = moldb.id, moldb.name\n"),),
    "a loop over pairs": (
        (DB, "            for k, v in [('db_id', moldb.id), ('db_name', moldb.name)]:\n                doc[k] = v\n"),
    ),
    "a function that writes": (
        (DB, "            self._db_fields(doc, moldb)\n"),
        helper("    def _db_fields(self, one, db):\n        one['db_id'] = db.id\n        one['db_name'] = db.name"),
    ),
    "a function that returns a dictionary": (
        (DB, "            doc.update(self._db_fields(moldb))\n"),
        helper("    def _db_fields(self, moldb):\n        return {'db_id': moldb.id, 'db_name': moldb.name}"),
    ),
    "a function that builds a dictionary": (
        (DB, "            doc.update(self._db_fields(moldb))\n"),
        helper(
            "    def _db_fields(self, moldb):\n        found = {'db_id': moldb.id}\n"
            "        found['db_name'] = moldb.name\n        return found"
        ),
    ),
    "a nested dictionary under a name": (
        (
            "        ds_doc['counts'] = {'db': {'id': moldb.id},",
            "        db = {'id': moldb.id}\n        ds_doc['counts'] = {'db': db,",
        ),
    ),
    "a nested dictionary from a function": (
        ("{'db': {'id': moldb.id},", "{'db': self._db_of(moldb),"),
        helper("    def _db_of(self, moldb):\n        return {'id': moldb.id}"),
    ),
    "parts under names": (
        ("doc['ids'], doc['names'] = moldb", "ids, names = moldb"),
        (
            "            doc['peaks'] =",
            "            doc['ids'] = ids\n            doc['names'] = names\n            doc['peaks'] =",
        ),
    ),
    "parts by number": (
        (
            "doc['ids'], doc['names'] = moldb.molecules[doc['formula']]",
            "doc['ids'] = moldb.molecules[doc['formula']][0]\n            doc['names'] = moldb.molecules[doc['formula']][1]",
        ),
    ),
    "a value under a name": (
        (
            "doc['ion'] = ion_of(doc['formula'], doc['adduct'])",
            "ion = ion_of(doc['formula'], doc['adduct'])\n            doc['ion'] = ion",
        ),
        ("masses(doc['ion'])", "masses(ion)"),
    ),
    "a module imported whole": (
        ("from sm.engine.formulas import ion_of, masses", "from sm.engine import formulas"),
        ("ion_of(", "formulas.ion_of("),
        ("masses(", "formulas.masses("),
    ),
    "a walrus": (
        ("ion_of(doc['formula'],", "ion_of((formula := doc['formula']),"),
        ("molecules[doc['formula']]", "molecules[formula]"),
    ),
    "a condition under a name": (
        (
            "            if moldb.targeted and moldb.version == 1:",
            "            old = moldb.targeted and moldb.version == 1\n            if old:",
        ),
    ),
    "branches the other way round": (
        (
            BRANCHES,
            (
                "            if not (moldb.targeted and moldb.version == 1):\n                doc['fdr'] = doc['msm'] / 2\n"
                "            else:\n                doc['fdr'] = -1\n"
            ),
        ),
    ),
    "branches as one expression": (
        (BRANCHES, "            doc['fdr'] = -1 if moldb.targeted and moldb.version == 1 else doc['msm'] / 2\n"),
    ),
    "nested conditions": (
        (
            (
                "            if moldb.targeted and moldb.version == 1:\n                doc['fdr'] = -1\n"
                "            else:\n                doc['fdr'] = doc['msm'] / 2\n"
            ),
            "            doc['fdr'] = doc['msm'] / 2 if not (moldb.version == 1 and moldb.targeted) else -1\n",
        ),
    ),
    "copying by comprehension": (
        (COPY, "        ann_doc.update({k: v for k, v in ds_doc.items() if k not in DS_COLUMNS_TO_SKIP_IN_ANN})\n"),
    ),
    "copying what is left of a set": (
        (
            COPY,
            "        for field in set(ds_doc) - set(DS_COLUMNS_TO_SKIP_IN_ANN):\n            ann_doc[field] = ds_doc[field]\n",
        ),
    ),
    "copying with continue": (
        (
            COPY,
            (
                "        for field in ds_doc:\n            if field in DS_COLUMNS_TO_SKIP_IN_ANN:\n                continue\n"
                "            ann_doc[field] = ds_doc[field]\n"
            ),
        ),
    ),
    "copying names found before": (
        (
            COPY,
            (
                "        names = [f for f in ds_doc if f not in DS_COLUMNS_TO_SKIP_IN_ANN]\n        for field in names:\n"
                "            ann_doc[field] = ds_doc[field]\n"
            ),
        ),
    ),
    "skipped names in a set": (("('ds_geometry',)", "frozenset({'ds_geometry'})"),),
    "actions in a comprehension": (
        (
            (
                "        actions = []\n        for doc in docs:\n"
                "            actions.append({'_index': self.annotation_index, '_source': doc})\n"
            ),
            "        actions = [dict(_index=self.annotation_index, _source=one) for one in docs]\n",
        ),
    ),
    "a JSON entry by the database": (
        ("    m.stats AS stats,", "    (m.stats -> 'chaos'::text) AS chaos,"),
        ("            stats = doc.pop('stats')\n            doc['chaos'] = stats.get('chaos')\n", ""),
    ),
    "mappings by a function": (
        ('"msm": {"type": "float"},', '"msm": _float(),'),
        ("class ESIndexManager:", "def _float():\n    return {'type': 'float'}\n\n\nclass ESIndexManager:"),
    ),
    "mappings by a comprehension": (
        (
            '"msm": {"type": "float"},\n                "fdr": {"type": "float"},',
            '**{name: {"type": "float"} for name in ("msm", "fdr")},',
        ),
    ),
    "mappings from keys": (
        (
            '"msm": {"type": "float"},\n                "fdr": {"type": "float"},',
            '**dict.fromkeys(["msm", "fdr"], {"type": "float"}),',
        ),
    ),
    "creation with packed arguments": (
        (
            "        self._client.create(index=index, mappings=mappings)",
            "        given = {'mappings': mappings}\n        self._client.create(index=index, **given)",
        ),
    ),
    "another function's dictionary": (
        helper("    def count(self):\n        doc = {}\n        doc['fresh'] = 1\n        return len(doc)"),
    ),
    "another function's query": (
        helper(
            f"    def count(self):\n"
            f"        doc = self._db.select_one('{SELECT} count(*) AS fresh FROM annotation')\n        return doc['fresh']"
        ),
    ),
    "a private function that nothing calls": (helper("    def _unused(self, ann_doc):\n        ann_doc['fresh'] = 1"),),
    "a column that stays inside": (
        ("array_agg(p.name) AS ds_projects", "array_agg(p.name) AS ds_projects, max(p.id) AS last"),
    ),
    "logging": ((SEND, "        logger.info({**docs[0], 'fresh': 1})\n" + SEND),),
}
NEW = {
    "an alias": (("    m.msm AS msm,", "    m.msm AS msm,\n    m.x AS fresh,"),),
    "an alias without AS": (("    m.msm AS msm,", "    m.msm AS msm,\n    m.x fresh,"),),
    "a bare column": (("    m.formula,", "    m.formula,\n    m.fresh,"),),
    "a subquery": (("    m.formula,", f"    m.formula,\n    ({SELECT} count(*) FROM t WHERE t.a = m.id) AS fresh,"),),
    "a window": (
        ("    m.formula,", "    m.formula,\n    row_number() OVER (PARTITION BY m.formula ORDER BY m.msm) AS fresh,"),
    ),
    "a cast": (("    m.formula,", "    m.formula,\n    m.msm::text AS fresh,"),),
    "a case": (("    m.formula,", "    m.formula,\n    CASE WHEN m.msm > 0 THEN 'a, b' ELSE 'c' END AS fresh,"),),
    "a replaced part of the query": (
        (
            "select_with_fields(ANNOTATIONS_SEL,",
            "select_with_fields(ANNOTATIONS_SEL.replace('m.formula,', 'm.formula, m.x AS fresh,'),",
        ),
    ),
    "a column by format": (
        ("    m.formula,", "    m.formula,\n    {extra},"),
        ('WHERE j.ds_id = %s"""', 'WHERE j.ds_id = %s""".format(extra="m.x AS fresh")'),
    ),
    "a joined list of columns": (
        (
            f'ANNOTATIONS_SEL = """{SELECT}',
            f'EXTRA = ["m.x AS fresh"]\nANNOTATIONS_SEL = "{SELECT} " + ", ".join(EXTRA) + """,',
        ),
    ),
    "a write": ((DB, DB + "            doc['fresh'] = 1\n"),),
    "a tuple's part": (("doc['ids'], doc['names'] =", "doc['ids'], doc['names'], doc['fresh'] ="),),
    "a local dictionary": ((DB, DB + "            extra = {'fresh': 1}\n            doc.update(extra)\n"),),
    "a dictionary filled by and by": (
        (DB, DB + "            extra = {}\n            extra['fresh'] = 1\n            doc.update(extra)\n"),
    ),
    "a function's dictionary": (
        (DB, DB + "            doc.update(more(doc))\n"),
        ("class ESExporter:", "def more(one):\n    return dict(fresh=one['msm'])\n\n\nclass ESExporter:"),
    ),
    "a spread function": (
        (DB, DB + "            doc = {**doc, **self._more()}\n"),
        helper("    def _more(self):\n        return {'fresh': 1}"),
    ),
    "a comprehension": ((DB, DB + "            doc.update({name: 1 for name in ('fresh',)})\n"),),
    "zipped names": ((DB, DB + "            doc.update(zip(('fresh',), (1,)))\n"),),
    "a loop over zipped names": (
        (DB, DB + "            for k, v in zip(('fresh',), (1,)):\n                doc[k] = v\n"),
    ),
    "a named list": (
        ("class ESExporter:\n", "EXTRA = ['fresh']\n\n\nclass ESExporter:\n"),
        (DB, DB + "            for k in EXTRA:\n                doc[k] = moldb.x\n"),
    ),
    "__setitem__": ((DB, DB + "            doc.__setitem__('fresh', 1)\n"),),
    "documents built anew": ((SEND, "        docs = [{**one, 'fresh': 1} for one in docs]\n" + SEND),),
    "the document that is sent": (("'_source': doc}", "'_source': dict(doc, fresh=1)}"),),
    "one document of many": ((SEND, "        docs[0]['fresh'] = 1\n" + SEND),),
    "a function inside": (
        (DB, DB + "            def put(one):\n                one['fresh'] = 1\n            put(doc)\n"),
    ),
    "a case of match": (
        (DB, DB + "            match moldb.kind:\n                case 'a':\n                    doc['fresh'] = 1\n"),
    ),
    "try": (
        (
            DB,
            DB
            + "            try:\n                doc['fresh'] = 1\n            except ValueError:\n                doc['fresh'] = None\n",
        ),
    ),
    "another loop's variable": (
        (SEND, "        for n, one in enumerate(docs):\n            one['fresh'] = n\n" + SEND),
    ),
}
OTHER = {
    "a nested part": (
        ("{'db': {'id': moldb.id},", "{'db': {'id': moldb.id, 'name': moldb.name},"),
        {(ADDED, "counts.db.name")},
    ),
    "a new object": (
        (DB, DB + "            doc['fresh'] = {'a': 1, 'b': {'c': 2}}\n"),
        {(ADDED, "fresh.a"), (ADDED, "fresh.b.c")},
    ),
    "an object under a name": (
        (DB, DB + "            peaks = doc['peaks']\n            peaks['fresh'] = 1\n"),
        {(ADDED, "peaks.fresh")},
    ),
    "a part of a list's objects": (("'n': n}", "'n': n, 'ion': doc['ion']}"), {(ADDED, "peaks.ion")}),
    "a deleted field": ((DB, DB + "            del doc['adduct']\n"), {(REMOVED, "adduct")}),
    "popped in a loop": (
        (DB, DB + "            for k in ('adduct', 'annotation_id'):\n                doc.pop(k)\n"),
        {(REMOVED, "adduct"), (REMOVED, "annotation_id")},
    ),
    "popped after it was copied": (
        (
            "            self._add_ds_fields(doc, ds_doc)\n",
            "            self._add_ds_fields(doc, ds_doc)\n            doc.pop('ds_name')\n",
        ),
        {(REMOVED, "ds_name")},
    ),
    "names made of numbers": (
        (DB, DB + "            for level in (5, 10):\n                doc[f'n_{level}'] = 1\n"),
        {(ADDED, "n_5"), (ADDED, "n_10")},
    ),
    "popped if there": (
        (DB, DB + "            if 'adduct' in doc:\n                del doc['adduct']\n"),
        {(REMOVED, "adduct")},
    ),
    "popped under a condition": (
        (DB, DB + "            if moldb.targeted:\n                del doc['adduct']\n"),
        {(VALUES, "adduct")},
    ),
    "filtered out": (
        (SEND, "        docs = [{k: v for k, v in one.items() if k not in ('adduct',)} for one in docs]\n" + SEND),
        {(REMOVED, "adduct")},
    ),
    "popped after a function wrote it": (
        (DB, "            self._db_fields(doc)\n            doc.pop('fresh')\n" + DB),
        helper("    def _db_fields(self, one):\n        one['fresh'] = 1"),
        set(),
    ),
    "copied no more": (
        ("            self._add_ds_fields(doc, ds_doc)\n", ""),
        {(REMOVED, "ds_id"), (REMOVED, "ds_name"), (REMOVED, "ds_projects")},
    ),
    "copied as well": (("('ds_geometry',)", "()"), {(ADDED, "ds_geometry")}),
    "skipped as well": (("('ds_geometry',)", "('ds_geometry', 'ds_name')"), {(REMOVED, "ds_name")}),
    "a renamed field": (
        ("m.adduct AS adduct", "m.adduct AS shift"),
        ("doc['adduct']", "doc['shift']"),
        {(REMOVED, "adduct"), (ADDED, "shift")},
    ),
    "another column": (("m.msm AS msm", "m.msm_v2 AS msm"), {(VALUES, "msm")}),
    "another condition of a join": (("WHERE p.approved", "WHERE p.public"), {(VALUES, "ds_projects")}),
    "another default": (("stats.get('chaos')", "stats.get('chaos', 0)"), {(VALUES, "chaos")}),
    "another condition": (("moldb.version == 1", "moldb.version == 2"), {(VALUES, "fdr")}),
    "overwritten below": (
        (BRANCHES, BRANCHES + "            doc['db_name'] = doc['db_name'].lower()\n"),
        {(VALUES, "db_name")},
    ),
    "an expression that becomes a field too": (
        (DB, DB + "            doc['fresh'] = moldb.molecules[doc['formula']]\n"),
        {(ADDED, "fresh")},
    ),
    "another type": (('"msm": {"type": "float"}', '"msm": {"type": "double"}'), {(MAPPING, "msm")}),
    "another type inside": (('{"mz": {"type": "float"}}', '{"mz": {"type": "double"}}'), {(MAPPING, "peaks.mz")}),
    "a new part with its mapping": (
        ("'n': n}", "'n': n, 'ion': doc['ion']}"),
        ('{"mz": {"type": "float"}}', '{"mz": {"type": "float"}, "ion": {"type": "keyword"}}'),
        {(ADDED, "peaks.ion")},
    ),
    "a first mapping of a known part": (
        ('{"mz": {"type": "float"}}', '{"mz": {"type": "float"}, "n": {"type": "long"}}'),
        {(MAPPING, "peaks.n")},
    ),
}


@pytest.mark.parametrize("edit", SAME)
def test_the_same_in_another_form_is_told_as_nothing(edit: str) -> None:
    assert told(*SAME[edit]) == set()
    assert told(*SAME[edit], back=True) == set()


@pytest.mark.parametrize("edit", NEW)
def test_a_field_is_seen_however_it_enters_and_leaves(edit: str) -> None:
    assert told(*NEW[edit]) == {(ADDED, "fresh")}
    assert told(*NEW[edit], back=True) == {(REMOVED, "fresh")}


@pytest.mark.parametrize("edit", OTHER)
def test_each_other_change_is_told_as_what_it_is(edit: str) -> None:
    *edits, expected = OTHER[edit]
    assert told(*edits) == expected  # type: ignore[arg-type]
