from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.findings import Finding, Kind, Severity
from bot.domain.strategy import Part, StrategyName, recommend


def finding(kind: Kind, **more: object) -> Finding:
    return Finding(kind, "subject", Severity.INFO, "path", 3, **more)  # type: ignore[arg-type]


findings = st.lists(
    st.builds(
        finding,
        st.sampled_from(Kind),
        needed_by_new_code=st.booleans(),
        downtime=st.sampled_from(["", "a table is locked"]),
        manual=st.booleans(),
    ),
    max_size=6,
)


@given(findings)
def test_every_recommendation_has_reasons(found: list[Finding]) -> None:
    assert recommend(found).reasons


@given(findings, findings)
def test_more_findings_never_make_the_strategy_lighter(some: list[Finding], more: list[Finding]) -> None:
    order = list(StrategyName)
    assert order.index(recommend([*some, *more]).recommended) >= order.index(recommend(some).recommended)


def test_nothing_special_is_done_in_place() -> None:
    assert recommend([finding(Kind.DEPENDENCY)]).recommended is StrategyName.IN_PLACE


def test_a_new_field_is_updated_after_the_deployment() -> None:
    assert recommend([finding(Kind.ES_FIELD_ADDED)]).recommended is StrategyName.DEPLOY_THEN_ES_UPDATE


def test_a_removed_field_asks_for_nothing() -> None:
    assert recommend([finding(Kind.ES_FIELD_REMOVED)]).recommended is StrategyName.IN_PLACE


def test_a_needed_field_and_a_changed_mapping_are_reindexed_before() -> None:
    for found in (finding(Kind.ES_FIELD_ADDED, needed_by_new_code=True), finding(Kind.ES_MAPPING_CHANGED)):
        assert recommend([found]).recommended is StrategyName.REINDEX_BEFORE


def test_a_fork_keeps_the_elasticsearch_update_and_the_work_by_hand_as_parts() -> None:
    found = [finding(Kind.ENGINE_MIGRATION, downtime="locked", manual=True), finding(Kind.ES_FIELD_ADDED)]
    strategy = recommend(found)
    assert strategy.recommended is StrategyName.FORK_VM
    assert strategy.parts == (Part.ES_UPDATE, Part.MANUAL_MIGRATIONS)


def test_reasons_name_their_place_and_the_heaviest_comes_first() -> None:
    strategy = recommend([finding(Kind.ES_FIELD_ADDED), finding(Kind.ENGINE_MIGRATION, downtime="a table is locked")])
    assert strategy.reasons[0] == "a table is locked (path:3)"
