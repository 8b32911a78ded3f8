from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.changes import Change, Status
from bot.domain.findings import Kind, Severity
from bot.domain.rules.paths import kinds
from bot.domain.rules.reading import Surroundings
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


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("docs/x.yml", "ansible/aws/x.yml", [(Kind.ANSIBLE, "ansible/aws/x.yml")]),
        ("notes/c.json", TEMPLATE, [(Kind.CONFIG_TEMPLATE, TEMPLATE)]),
        ("ansible/b.yml", "ansible/a.yml", [(Kind.ANSIBLE, "ansible/b.yml")]),
        ("docker/b", "tools/b", [(Kind.DOCKER, "docker/b")]),
    ],
)
def test_a_file_that_is_moved_counts_once_and_out_of_a_watched_place_under_its_old_name(
    new: str, old: str, expected: list[tuple[Kind, str]]
) -> None:
    found = review_range(MemoryHistory({old: "a"}, {new: "a"}, renames={old: new}), base="a", head="b")
    assert [(finding.kind, finding.subject) for finding in found.findings] == expected


@pytest.mark.parametrize(
    "path",
    [
        "metaspace/graphql/src/migrations/1-A.spec.ts",
        "metaspace/engine/migrations/__init__.py",
        "metaspace/engine/scripts/__init__.py",
        "metaspace/engine/scripts/README.md",
    ],
)
def test_what_lies_beside_migrations_and_scripts_is_none(path: str) -> None:
    assert list(kinds(Change(Status.ADDED, path))) == []


def with_environment(names: set[str] | None, *, defaults: str = "") -> Review:
    files = {
        "ansible/aws/templates/all/vars.yml.template": "sm_port: 1\n",
        "ansible/roles/web/defaults/main.yml": defaults,
        "ansible/roles/web/tasks/main.yml": "- command: git rev-parse HEAD\n  register: sm_revision\n",
    }
    new = '{"a": "{{ sm_port }}", "b": "{{ sm_revision }}"}'
    around = Surroundings(variables=None if names is None else frozenset(names))
    history = MemoryHistory({TEMPLATE: "{}", **files}, {TEMPLATE: new, **files})
    return review_range(history, base="a", head="b", around=around)


def test_a_variable_without_a_value_in_the_environment_blocks_and_is_named() -> None:
    (finding,) = with_environment({"other"}).findings
    assert finding.severity is Severity.BLOCKING
    assert "repository: sm_port." in finding.action
    assert "sm_revision" not in finding.action


def test_variables_that_the_environment_or_a_role_has_values_for_are_information() -> None:
    assert with_environment({"sm_port"}).findings[0].severity is Severity.INFO
    assert with_environment(set(), defaults="sm_port: 1\n").findings[0].severity is Severity.INFO


def test_without_the_environment_a_variable_that_ansible_names_wants_attention() -> None:
    assert with_environment(None).findings[0].severity is Severity.ATTENTION
