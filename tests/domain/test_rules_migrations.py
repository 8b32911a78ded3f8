from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.rules.migration_sql import Weight, effects
from bot.domain.rules.paths import ENGINE_MIGRATIONS, ENGINE_SCRIPTS, ES_EXPORT, GRAPHQL_MIGRATIONS
from bot.domain.rules.reading import Surroundings
from bot.reviewing import review_range
from tests.domain.exporters import Exporter, Layout, source
from tests.domain.memory_history import MemoryHistory

if TYPE_CHECKING:
    from bot.domain.review import Review


def typeorm(sql: str, down: str = "DROP TABLE x") -> str:
    return (
        "export class M implements MigrationInterface {\n  public async up(queryRunner: QueryRunner): Promise<any> {\n"
        f"    await queryRunner.query(`{sql}`);\n  }}\n"
        f"  public async down(queryRunner: QueryRunner): Promise<any> {{\n    await queryRunner.query(`{down}`);\n  }}\n}}\n"
    )


def review(files: dict[str, str], old: dict[str, str] | None = None) -> Review:
    return review_range(MemoryHistory(old or {}, {**(old or {}), **files}), base="a", head="b")


def automatic(sql: str) -> Finding:
    (found,) = review({f"{GRAPHQL_MIGRATIONS}1700000000000-M.ts": typeorm(sql)}).findings
    return found


@pytest.mark.parametrize(
    ("sql", "verb", "table", "weight", "breaks"),
    [
        ('ALTER TABLE "public"."dataset" ADD "roi" json', "adds a column to", "dataset", Weight.INSTANT, False),
        (
            "alter table dataset add column at timestamp not null default now()",
            "adds a column to",
            "dataset",
            Weight.INSTANT,
            False,
        ),
        (
            "ALTER TABLE annotation ADD COLUMN id SERIAL",
            "adds a column with a computed default to",
            "annotation",
            Weight.REWRITE,
            False,
        ),
        (
            "ALTER TABLE annotation ALTER COLUMN msm TYPE double precision",
            "changes a column's type in",
            "annotation",
            Weight.REWRITE,
            True,
        ),
        ('ALTER TABLE "a"."job" ALTER COLUMN "x" SET NOT NULL', "forbids null in", "job", Weight.SCAN, False),
        ("ALTER TABLE job DROP COLUMN x", "drops a column of", "job", Weight.INSTANT, True),
        ('ALTER TABLE job RENAME COLUMN "db_id" TO "moldb_id"', "renames in", "job", Weight.INSTANT, True),
        (
            'ALTER TABLE job ADD CONSTRAINT "FK_1" FOREIGN KEY (a) REFERENCES b(id)',
            "adds a foreign key to",
            "job",
            Weight.SCAN,
            False,
        ),
        ("CREATE INDEX i ON annotation (msm)", "indexes", "annotation", Weight.SCAN, False),
        ("CREATE INDEX CONCURRENTLY i ON annotation (msm)", "indexes, others go on,", "annotation", Weight.ROWS, False),
        ("CREATE TABLE IF NOT EXISTS graphql.plan (id int)", "creates", "plan", Weight.INSTANT, False),
        ("DROP TABLE old_one", "drops", "old_one", Weight.INSTANT, True),
        (
            "UPDATE molecular_db SET name = 'a=b, c=1', version = '2' WHERE x = 1",
            "back-fills",
            "molecular_db",
            Weight.ROWS,
            False,
        ),
        (
            "INSERT INTO annotation SELECT * FROM iso_image_metrics",
            "copies rows into",
            "annotation",
            Weight.ROWS,
            False,
        ),
    ],
)
def test_what_a_statement_does(sql: str, verb: str, table: str, weight: Weight, *, breaks: bool) -> None:
    (effect,) = effects(typeorm(sql), "x.ts")
    assert (effect.verb, effect.table, effect.weight, effect.breaks_old) == (verb, table, weight, breaks)


def test_the_columns_of_a_back_fill() -> None:
    (effect,) = effects(
        typeorm("UPDATE t SET a = jsonb_set(b, '{c, d}', to_jsonb(e = f)), \"g\" = 2 FROM u WHERE h = 1"), "x.ts"
    )
    assert effect.columns == ("a", "g")


def test_the_way_down_and_comments_do_not_count() -> None:
    assert [str(effect) for effect in effects(typeorm("ALTER TABLE a ADD x int", "DROP TABLE a"), "x.ts")] == [
        "adds a column to a (x)"
    ]
    assert effects(typeorm("-- DROP TABLE a\nSELECT 1").replace("await", "// await"), "x.ts") == []
    assert effects("Update all datasets in Elasticsearch", "x.py") == []


def test_calls_of_typeorm_are_read_too() -> None:
    code = "public async up(queryRunner: QueryRunner) {\n await queryRunner.addColumn('graphql.project', new TableColumn({}));\n}"
    assert [str(effect) for effect in effects(code, "x.ts")] == ["adds a column to project"]


@pytest.mark.parametrize(
    ("call", "said", "weight"),
    [
        (
            "addColumn('annotation', new TableColumn({name: 'x', default: 0}))",
            "adds a column to annotation (x)",
            Weight.INSTANT,
        ),
        (
            "addColumn('annotation', new TableColumn({name: 'x', type: 'serial'}))",
            "adds a column with a computed default to annotation (x)",
            Weight.REWRITE,
        ),
        ("createTable(new Table({schema: 'graphql', name: 'fresh', columns: []}))", "creates fresh", Weight.INSTANT),
        ("createIndex('annotation', new TableIndex({columnNames: ['a']}))", "indexes annotation", Weight.SCAN),
        ("renameTable('a', 'b')", "renames a (b)", Weight.INSTANT),
    ],
)
def test_what_a_call_of_typeorm_does(call: str, said: str, weight: Weight) -> None:
    (effect,) = effects(f"async up(queryRunner) {{ await queryRunner.{call}; }}", "x.ts")
    assert (str(effect), effect.weight) == (said, weight)


@pytest.mark.parametrize(
    ("sql", "weight"),
    [
        ("VACUUM FULL annotation", Weight.REWRITE),
        ("CLUSTER annotation USING i", Weight.REWRITE),
        ("REINDEX TABLE annotation", Weight.SCAN),
        ("ALTER TABLE annotation SET LOGGED", Weight.REWRITE),
        ("ALTER TABLE annotation VALIDATE CONSTRAINT c", Weight.ROWS),
        ("DO $$ BEGIN UPDATE annotation SET x = 1; END $$", Weight.ROWS),
    ],
)
def test_what_works_on_a_large_table_by_itself_means_downtime(sql: str, weight: Weight) -> None:
    assert [effect.weight for effect in effects(typeorm(sql), "x.ts")] == [weight]
    assert automatic(sql).downtime


def test_a_table_named_by_a_constant_is_known() -> None:
    code = typeorm("UPDATE ${table} SET x = 1").replace("await", "const table = 'annotation';\n await", 1)
    assert [effect.table for effect in effects(code, "x.ts")] == ["annotation"]


def test_a_light_automatic_migration_is_information() -> None:
    found = automatic('ALTER TABLE "public"."dataset" ADD "roi" json')
    assert (found.severity, found.downtime) == (Severity.INFO, "")


def test_an_automatic_migration_that_works_on_a_large_table_means_downtime() -> None:
    found = automatic('ALTER TABLE "public"."annotation" ADD CONSTRAINT "FK" FOREIGN KEY ("a") REFERENCES "b"("id")')
    assert found.severity is Severity.BLOCKING
    assert found.downtime


def test_a_table_made_by_the_same_range_is_empty_and_never_slow() -> None:
    assert automatic('CREATE TABLE "ion" ("id" int); CREATE INDEX "i" ON "ion" ("id")').downtime == ""


def test_scripts_and_engine_migrations_are_work_by_hand() -> None:
    found = review({f"{ENGINE_SCRIPTS}fill.py": "print(1)", f"{ENGINE_MIGRATIONS}r2_0_20260101_x.py": "print(1)"})
    assert all(finding.manual for finding in found.findings)
    assert found.strategy.parts == ("manual_migrations",)
    assert found.strategy.recommended == "in_place"


def test_a_migration_by_hand_that_breaks_the_old_code_asks_for_a_fork() -> None:
    found = review(
        {f"{ENGINE_MIGRATIONS}r2_0_20260101_x.sql": "ALTER TABLE optical_image RENAME COLUMN zoom TO scale;"}
    )
    assert found.strategy.recommended == "fork_vm"
    assert "optical_image" in found.strategy.reasons[0]


def test_a_new_table_that_only_hands_fill_asks_for_a_fork() -> None:
    found = review(
        {
            f"{GRAPHQL_MIGRATIONS}1700000000000-M.ts": typeorm('CREATE TABLE "public"."molecular_db" ("id" int)'),
            f"{ENGINE_MIGRATIONS}r2_0_20260101_x.py": "db.alter('UPDATE molecular_db SET public = %s')",
        }
    )
    assert found.strategy.recommended == "fork_vm"


def test_a_migration_that_rewrites_a_column_makes_documents_stale() -> None:
    exporter = {ES_EXPORT: source(Exporter(), Layout())}
    found = review(
        {f"{GRAPHQL_MIGRATIONS}1700000000000-M.ts": typeorm("UPDATE dataset SET name = trim(name)")}, exporter
    )
    (stale,) = found.of_kind(Kind.ES_VALUES_CHANGED)
    assert (stale.subject, stale.index) == ("ds_name", "dataset")
    assert found.strategy.recommended == "deploy_then_es_update"


def test_edited_and_renamed_migrations_are_remarks_not_findings() -> None:
    old = {f"{GRAPHQL_MIGRATIONS}1-A.ts": "a", f"{ENGINE_MIGRATIONS}r1.py": "b", f"{GRAPHQL_MIGRATIONS}2-B.ts": "c"}
    new = {
        f"{GRAPHQL_MIGRATIONS}1-A.ts": "changed",
        f"{ENGINE_MIGRATIONS}r2.py": "b",
        f"{GRAPHQL_MIGRATIONS}3-B.ts": "c",
    }
    renames = {
        f"{ENGINE_MIGRATIONS}r1.py": f"{ENGINE_MIGRATIONS}r2.py",
        f"{GRAPHQL_MIGRATIONS}2-B.ts": f"{GRAPHQL_MIGRATIONS}3-B.ts",
    }
    found = review_range(MemoryHistory(old, new, renames=renames), base="a", head="b")
    assert found.findings == ()
    assert len(found.remarks) == 3
    assert any("may run again" in remark for remark in found.remarks)


def test_a_script_that_becomes_an_engine_migration_counts() -> None:
    renames = {f"{ENGINE_SCRIPTS}x.py": f"{ENGINE_MIGRATIONS}x.py"}
    found = review_range(
        MemoryHistory({f"{ENGINE_SCRIPTS}x.py": "a"}, {f"{ENGINE_MIGRATIONS}x.py": "a"}, renames=renames),
        base="a",
        head="b",
    )
    assert [finding.kind for finding in found.findings] == [Kind.ENGINE_MIGRATION]


def test_which_tables_are_large_is_a_setting() -> None:
    files = {f"{GRAPHQL_MIGRATIONS}1700000000000-M.ts": typeorm("CREATE INDEX i ON project (name)")}
    plain, told = (
        review_range(MemoryHistory({}, files), base="a", head="b", around=around)
        for around in (Surroundings(), Surroundings(large_tables=frozenset({"project"})))
    )
    assert (plain.strategy.recommended, told.strategy.recommended) == ("in_place", "fork_vm")
    assert "[large]" in told.findings[0].detail


@pytest.mark.parametrize(
    ("sql", "compatible"),
    [
        ("ALTER TABLE dataset ADD roi json", True),
        ("ALTER TABLE dataset ADD roi json; UPDATE dataset SET roi = '{}'", True),
        ("CREATE TABLE plan (id int); ALTER TABLE plan DROP COLUMN id", True),
        ("CREATE INDEX i ON dataset (name)", True),
        ("INSERT INTO perm (id) VALUES (1)", True),
        ("UPDATE dataset SET name = lower(name)", False),
        ("ALTER TABLE dataset DROP COLUMN roi", False),
        ("ALTER TABLE dataset RENAME COLUMN roi TO region", False),
        ("ALTER TABLE dataset ALTER COLUMN roi SET NOT NULL", False),
        ("DROP TABLE job", False),
        ("DELETE FROM job WHERE old", False),
        ("SELECT 1", False),
    ],
)
def test_only_what_adds_lets_the_old_code_live(sql: str, compatible: bool) -> None:  # noqa: FBT001
    assert automatic(sql).backward_compatible is compatible
