from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.changes import Change, Status
from bot.domain.findings import Kind, Severity
from bot.domain.rules.paths import kinds
from bot.reviewing import review_range
from tests.domain.memory_history import MemoryHistory

if TYPE_CHECKING:
    from bot.domain.review import Review

TEMPLATE = "metaspace/engine/conf/config.json.template"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (TEMPLATE, {Kind.CONFIG_TEMPLATE}),
        ("metaspace/graphql/config/default.js", {Kind.CONFIG_TEMPLATE}),
        ("metaspace/graphql/config/test.js", set()),
        ("metaspace/webapp/src/clientConfig.json.template", {Kind.CONFIG_TEMPLATE}),
        ("metaspace/python-client/config.json.template", set()),
        ("metaspace/engine/conf/test_config.json", set()),
        ("docker/sm-engine/requirements.txt", {Kind.DEPENDENCY, Kind.DOCKER}),
        ("metaspace/engine/requirements-dev.txt", {Kind.DEPENDENCY}),
        ("metaspace/webapp/package.json", {Kind.DEPENDENCY}),
        ("metaspace/webapp/yarn.lock", set()),
        ("metaspace/mol-db/environment.yml", {Kind.DEPENDENCY}),
        ("ansible/roles/miniconda/tasks/environment.yml", {Kind.ANSIBLE}),
        ("ansible/aws/README.md", {Kind.ANSIBLE}),
        ("docker/README.md", {Kind.DOCKER}),
        ("metaspace/engine/docker/lithops_aws_ec2/Dockerfile", set()),
        (".circleci/config.yml", {Kind.CI}),
        (".github/workflows/pythonpublish.yml", {Kind.CI}),
        ("metaspace/engine/scripts/fill.py", {Kind.ENGINE_SCRIPT}),
        ("metaspace/engine/migrations/.gitignore", set()),
        ("metaspace/graphql/src/migrations/1-A.ts", {Kind.GRAPHQL_MIGRATION}),
    ],
)
def test_the_kind_of_an_added_file(path: str, expected: set[Kind]) -> None:
    assert set(kinds(Change(Status.ADDED, path))) == expected


@pytest.mark.parametrize("status", [Status.MODIFIED, Status.DELETED])
def test_changed_and_deleted_migrations_and_scripts_are_none(status: Status) -> None:
    for path in (
        "metaspace/engine/scripts/a.py",
        "metaspace/engine/migrations/a.py",
        "metaspace/graphql/src/migrations/1-A.ts",
    ):
        assert list(kinds(Change(status, path))) == []


def review(path: str, old: str, new: str, **others: str) -> Review:
    return review_range(MemoryHistory({path: old, **others}, {path: new, **others}), base="a", head="b")


def test_a_template_variable_that_nothing_defines_blocks() -> None:
    found = review(TEMPLATE, '{"db": "{{ sm_db }}"}', '{"db": "{{ sm_db }}",\n "key": "{{ sm_api_key }}"}')
    (finding,) = found.findings
    assert finding.severity is Severity.BLOCKING
    assert "sm_api_key" in finding.action
    assert "new secrets" in finding.detail


def test_a_template_variable_that_ansible_defines_wants_attention() -> None:
    defined = {"ansible/aws/templates/all/vars.yml.template": "sm_port: 1\n"}
    found = review_range(
        MemoryHistory({TEMPLATE: "{}", **defined}, {TEMPLATE: '{"port": "{{ sm_port }}"}', **defined}),
        base="a",
        head="b",
    )
    assert found.findings[0].severity is Severity.ATTENTION


def test_committed_keys_are_named_and_never_quoted() -> None:
    secret = "-----BEGIN PRIVATE KEY-----\nMIIabcdef\n"
    found = review("ansible/aws/files/site.key", "old", secret)
    assert "MIIabcdef" not in str(found.to_json())
    assert "not looked into" in found.findings[0].detail


def test_values_of_configuration_are_never_quoted() -> None:
    found = review(TEMPLATE, "{}", '{\n"password": "hunter2"\n}')
    assert "hunter2" not in str(found.to_json())
    assert "password" in found.findings[0].detail


def test_a_new_role_is_named() -> None:
    found = review_range(
        MemoryHistory({}, {"ansible/roles/off_sample_api/tasks/main.yml": "- name: x\n"}), base="a", head="b"
    )
    assert "a new role, off_sample_api" in found.findings[0].detail
