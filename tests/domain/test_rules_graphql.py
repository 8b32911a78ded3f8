from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.findings import Kind, Severity
from bot.reviewing import review_range
from tests.domain.memory_history import MemoryHistory

if TYPE_CHECKING:
    from bot.domain.review import Review

FOLDER = "metaspace/graphql/schemas/"
RESOLVERS = "metaspace/graphql/src/modules/annotation/controller/Annotation.ts"
BASE = "type Annotation {\n  id: ID!\n  mz: Float\n}\ntype Query { annotation(id: ID!): Annotation }\ninput Filter { name: String }\n"


def review(old: str, new: str, resolver: str = "", **others: str) -> Review:
    rest = {RESOLVERS: resolver, **{f"{FOLDER}{name}.graphql": text for name, text in others.items()}}
    path = f"{FOLDER}annotation.graphql"
    return review_range(MemoryHistory({path: old, **rest}, {path: new, **rest}), base="a", head="b")


def non_null(found: Review) -> list[str]:
    return [finding.subject for finding in found.of_kind(Kind.GRAPHQL_NON_NULL)]


def test_a_new_non_null_field_on_a_known_type_is_told_with_its_line() -> None:
    found = review(BASE, BASE.replace("  mz: Float\n", "  mz: Float\n  isMono: Boolean!\n"))
    (finding,) = found.of_kind(Kind.GRAPHQL_NON_NULL)
    assert (finding.subject, finding.line) == ("Annotation.isMono", 4)


def test_nullable_fields_new_types_inputs_and_query_roots_are_not() -> None:
    new = BASE.replace("  mz: Float\n", "  mz: Float\n  isMono: Boolean\n").replace(
        "name: String", "name: String, size: Int"
    )
    new = new.replace("type Query {", "type Query { all: [Annotation!]! ") + "type Fresh { id: ID! }\n"
    assert non_null(review(BASE, new)) == []


def test_an_extension_of_a_type_in_another_file_counts() -> None:
    found = review(
        "type Other { id: ID! }",
        "type Other { id: ID! }\nextend type Dataset { size: Int! }",
        dataset="type Dataset { id: ID! }",
    )
    assert non_null(found) == ["Dataset.size"]


def test_a_type_that_moves_to_another_file_gains_nothing() -> None:
    old = {f"{FOLDER}a.graphql": BASE + "type Moved { id: ID! }", f"{FOLDER}b.graphql": "type B { id: ID! }"}
    new = {f"{FOLDER}a.graphql": BASE, f"{FOLDER}b.graphql": "type B { id: ID! }\ntype Moved { id: ID! }"}
    assert non_null(review_range(MemoryHistory(old, new), base="a", head="b")) == []


def test_a_field_fed_from_elasticsearch_without_fallback_wants_attention() -> None:
    new = BASE.replace("  mz: Float\n", "  mz: Float\n  isMono: Boolean!\n")
    bare = review(BASE, new, "  isMono: (hit) => hit._source.is_mono,\n")
    safe = review(BASE, new, "  isMono: (hit) => hit._source.is_mono || false,\n")
    assert [found.of_kind(Kind.GRAPHQL_NON_NULL)[0].severity for found in (bare, safe)] == [
        Severity.ATTENTION,
        Severity.INFO,
    ]
    assert "not proved" in bare.findings[0].detail


def test_a_resolver_of_another_type_is_no_evidence() -> None:
    schema = "type Adduct { id: ID! }\n" + BASE
    found = review(
        schema, schema.replace("type Adduct {", "type Adduct { name: String! "), "  name: (hit) => hit._source.name,\n"
    )
    (finding,) = found.of_kind(Kind.GRAPHQL_NON_NULL)
    assert finding.severity is Severity.INFO
    assert "No resolver was seen" in finding.detail


def test_breaking_and_tightened_parts_are_remarks() -> None:
    new = (
        BASE.replace("  mz: Float\n", "  mz: Float!\n")
        .replace("(id: ID!)", "(id: ID!, size: Int!)")
        .replace("name: String", "other: Int!")
    )
    remarks = "\n".join(review(BASE, new).remarks)
    assert "Annotation.mz became non-null" in remarks
    assert "argument Query.annotation(size) is new and required" in remarks
    assert "Filter.name is gone" in remarks
    assert "input Filter.other is new and required" in remarks


def test_a_broken_file_is_a_blind_spot_and_other_files_are_still_compared() -> None:
    old = {f"{FOLDER}a.graphql": BASE, f"{FOLDER}b.graphql": "type B { id: ID! }"}
    new = {f"{FOLDER}a.graphql": BASE + "type {", f"{FOLDER}b.graphql": "type B { id: ID! size: Int! }"}
    found = review_range(MemoryHistory(old, new), base="a", head="b")
    assert non_null(found) == ["B.size"]
    assert any("a.graphql does not parse" in spot for spot in found.blind_spots)


def test_a_schema_that_does_not_build_is_a_blind_spot() -> None:
    found = review(BASE, BASE.replace("mz: Float", "mz: Flaot"))
    assert any("does not build: Flaot" in spot for spot in found.blind_spots)


def test_descriptions_that_look_like_definitions_do_not_fool_the_reader() -> None:
    described = '"""\ntype Nothing { really\n"""\ntype Annotation {\n  "its id"\n  id: ID!\n}\n'
    found = review(described, described.replace("  id: ID!\n", '  id: ID!\n  """\n  new\n  """\n  size: Int!\n'))
    assert [(finding.subject, finding.line) for finding in found.findings] == [("Annotation.size", 10)]
