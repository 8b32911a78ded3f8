from __future__ import annotations

from bot.reviewing import review_range
from tests.domain.memory_history import MemoryHistory

SCHEMA = "metaspace/graphql/schemas/dataset.graphql"
PAGE = "metaspace/webapp/src/modules/Plots/PlotPage.vue"
MIGRATIONS = "metaspace/graphql/src/migrations/"


def signs(old: dict[str, str], new: dict[str, str]) -> tuple[str, ...]:
    return review_range(MemoryHistory(old, new), base="a", head="b").version.milestone_candidates


def test_new_pages_and_parts_of_the_schema_are_signs() -> None:
    found = signs({}, {PAGE: "<template/>", SCHEMA: "type Dataset { id: ID }"})
    assert found == (f"new part of the schema: dataset ({SCHEMA})", f"new page PlotPage ({PAGE})")


def test_new_types_in_the_schema_are_signs_and_new_inputs_are_not() -> None:
    more = "type Dataset { id: ID }\ntype Plot { id: ID }\ninput PlotInput { id: ID }\ninterface Drawn { id: ID }"
    assert signs({SCHEMA: "type Dataset { id: ID }"}, {SCHEMA: more}) == ("new types in the schema: Drawn, Plot",)
    assert signs({SCHEMA: more}, {SCHEMA: more.replace("ID", "Int")}) == ()


def test_a_schema_that_does_not_parse_hides_its_types_and_nothing_else() -> None:
    assert signs({SCHEMA: "type Dataset {"}, {SCHEMA: "type Dataset { id: ID }", PAGE: "x"}) == (
        f"new page PlotPage ({PAGE})",
    )


def test_migrations_are_named_and_many_are_counted() -> None:
    names = [f"176850000000{n}-Add{n}.ts" for n in range(5)]
    found = signs({}, {f"{MIGRATIONS}{name}": "export class A {}" for name in names})
    assert found == (f"5 migrations: {', '.join(names[:3])} and 2 more",)


def test_an_everyday_range_has_no_sign() -> None:
    assert signs({"metaspace/webapp/src/App.vue": "a"}, {"metaspace/webapp/src/App.vue": "b"}) == ()
