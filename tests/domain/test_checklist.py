"""Checklists: what is read, and that everything wrong is named with file, line and step."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from bot.checklists import available, load, parse, schema, shipped
from bot.domain.approval import ApprovalRules
from bot.domain.errors import BadSettings
from bot.steps.registry import load as load_steps

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = load_steps()
HEAD = "name: mine\ntitle: Mine\nsteps:\n"


def wrong(text: str) -> str:
    with pytest.raises(BadSettings) as caught:
        parse(text, "mine.yml", REGISTRY)
    assert caught.value.hint
    return caught.value.message


def test_every_shipped_checklist_fits_the_steps_there_are() -> None:
    assert set(shipped(REGISTRY)) == {"in_place", "deploy_then_es_update", "reindex_before", "roll_back"}


def test_in_place_goes_in_metaspaces_order() -> None:
    order = [item.step for item in shipped()["in_place"].items if item.step != "manual"]
    assert order == [
        "review_acknowledged",
        "ci_green",
        "master_contains_release",
        "push_branches",
        "notes",
        "tag",
        "configuration",
        "authors_answered",
        "workload",
        "drain",
        "announce_start",
        "deploy",
        "prove_live",
        "processing_back",
        "es_update",
        "announce_success",
        "github_release",
        "pull_request_comments",
    ]
    assert [item.step for item in shipped()["deploy_then_es_update"].items] == order


def test_reindex_before_goes_in_metaspaces_order() -> None:
    """The wiki's line for each; what stands between is ours."""
    order = [item.step for item in shipped()["reindex_before"].items]
    wiki = (
        "workplace",  # check out the new code into a temp directory on the server
        "create_inactive",
        "reindex",
        "drain",  # turn off dataset processing
        "catch_up",  # partial update of what was created while indexing
        "announce_start",
        "swap",
        "deploy",
        "processing_back",
        "es_update",  # full incremental update
        "announce_success",  # once the update is running
        "drop_old",
        "remove_workplace",
    )
    places = [len(order) - 1 - order[::-1].index(step) if step == "catch_up" else order.index(step) for step in wiki]
    assert [step for _, step in sorted(zip(places, wiki, strict=True)) if step != "catch_up"] == [
        step for step in wiki if step != "catch_up"
    ]
    assert order.index("drain") < places[wiki.index("catch_up")] < order.index("swap")
    assert order.index("swap") + 1 == order.index("deploy"), (
        "old code on new data, or new code on old: as short as can be"
    )


def test_the_text_is_kept_and_named_by_its_hash() -> None:
    text = f"{HEAD}  - step: ci_green\n"
    checklist = parse(text, "mine.yml", REGISTRY)
    assert checklist.text == text
    assert checklist.reference == f"mine@{hashlib.sha256(text.encode()).hexdigest()}"


def test_a_manual_item_becomes_the_manual_step() -> None:
    (item,) = parse(
        f"{HEAD}  - manual: Do it\n    key: it\n    assignee: Ada\n    note: Soon\n", "m.yml", REGISTRY
    ).items
    assert (item.key, item.step, item.title, item.assignee, item.note, item.line) == (
        "it",
        "manual",
        "Do it",
        "Ada",
        "Soon",
        4,
    )


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("  - step: ci_gren\n", "line 4, step ci_gren: there is no step 'ci_gren'. Did you mean 'ci_green'?"),
        ("  - step: zzz\n", "There are: announce_start"),
        (
            "  - step: ci_green\n    params: {speed: 3}\n",
            "line 4, step ci_green: unknown parameter 'speed'; it takes none.",
        ),
        (
            "  - step: ci_green\n  - step: ci_green\n",
            "line 5, step ci_green: the key 'ci_green' stands already in line 4",
        ),
        ("  - step: ci_green\n    stp: x\n", "line 5, step 1: unknown key 'stp'. Did you mean 'step'?"),
        ("  - step: ci_green\n    step: tag\n", "line 5, step 1: the key 'step' stands twice."),
        ("  - step: tag\n  - step: notes\n", "line 4, step tag: it must come after notes."),
        ("  - step: prove_live\n", "step prove_live: it needs deploy before it, which the checklist lacks."),
        ("  - step: deploy\n  - step: ci_green\n", "line 4, step deploy: it must come after ci_green."),
        ("  - manual: Do it\n", "line 4, step 1: a manual step needs a `key` of its own."),
        ("  - step: ci_green\n    manual: Do it\n    key: x\n", "expected either `step: id` or `manual: sentence`."),
        ("  - key: x\n", "line 4, step x: expected either"),
        ("  - step: ci_green\n    key: CI!\n", "a `key` is lower-case letters"),
        ("  - step: ci_green\n    part: es\n", "line 5, step ci_green: `part` is 'es'."),
        ("  - step: ci_green\n    unless: monday\n", "`unless` is 'monday'."),
        ("  - step: ci_green\n    params: [1]\n", "line 5, step ci_green: `params` must be keys and values."),
        ("  - step: [ci_green]\n", "line 4: `step` must be a text."),
        ("  - ci_green\n", "line 4, step 1: a step must be keys and values."),
    ],
)
def test_what_is_wrong_is_named_with_its_place(steps: str, complaint: str) -> None:
    message = wrong(HEAD + steps)
    assert message.startswith("mine.yml, line ")
    assert complaint in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        ("- a\n", "line 1: a checklist must be keys and values."),
        ("name: mine\ntitle: Mine\n", "'steps' is missing."),
        ("name: mine\ntitle: Mine\nsteps: []\n", "line 3: `steps` must be a list"),
        ("name: My List\ntitle: x\nsteps:\n  - step: ci_green\n", "line 1: the name 'My List' must be"),
        ("name: mine\n\ttitle: x\n", "line 2: this is not YAML"),
        ("name: a\0b\n", "this is not YAML"),
        ("a: !!python/object:os.system x\n", "unknown key 'a'"),
    ],
)
def test_a_file_that_is_no_checklist_is_named_with_its_line(text: str, complaint: str) -> None:
    assert complaint in wrong(text)


def test_everything_is_said_at_once() -> None:
    message = wrong(f"{HEAD}  - step: zzz\n  - step: ci_green\n    params: {{a: 1, b: 2}}\n")
    assert len(message.splitlines()) == 3


def test_params_are_data_never_objects() -> None:
    assert "cannot be read" in wrong(f"{HEAD}  - step: ci_green\n    params: {{a: !!python/name:os.system x}}\n")


def test_a_teams_own_checklist_wins_over_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("name: in_place\ntitle: Ours\nsteps:\n  - step: ci_green\n")
    assert available(tmp_path, REGISTRY)["in_place"].title == "Ours"
    assert available(None, REGISTRY)["in_place"].title == "Deploy in place"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="Cannot read the checklist"):
        load(tmp_path / "none.yml", REGISTRY)


def test_the_schema_knows_every_step() -> None:
    text = str(schema(REGISTRY))
    assert all(f"'const': '{step}'" in text for step in REGISTRY if step != "manual")


APPROVAL = "name: mine\ntitle: Mine\nsteps:\n  - step: ci_green\n    approval: {said}\n"


def test_a_step_may_be_given_approvals_and_the_fingerprint_covers_them() -> None:
    text = APPROVAL.format(said="{count: 2, role: admin, starter: may, expires: 30m, typed: true}")
    (item,) = parse(text, "mine.yml", REGISTRY).items
    assert item.approval == {"count": 2, "role": "admin", "starter": "may", "expires": 1800.0, "typed": True}


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("{count: 9}", "`count` is 9"),
        ("{count: true}", "`count` is True"),
        ("{role: boss}", "`role` is 'boss'; expected releaser or approver or admin"),
        ("{starter: perhaps}", "`starter` is 'perhaps'; expected never or may"),
        ("{expires: soon}", "'soon' is no duration"),
        ("{typed: 1}", "`typed` is 1"),
        ("{cuont: 2}", "unknown key 'cuont'. Did you mean 'count'?"),
        ("yes", "`approval` must be keys and values"),
    ],
)
def test_a_wrong_approval_is_named_with_file_line_and_step(said: str, complaint: str) -> None:
    message = wrong(APPROVAL.format(said=said))
    assert message.startswith("mine.yml, line 5, step ci_green: ")
    assert complaint in message


def test_less_than_a_step_asks_for_is_refused_unless_the_settings_name_it() -> None:
    class Swap(REGISTRY["ci_green"].__class__):  # type: ignore[misc]  # a step that cannot be undone
        irreversible = True

    registry: dict[str, Any] = {"ci_green": Swap()}
    text = APPROVAL.format(said="{starter: may}")
    with pytest.raises(BadSettings, match="line 4, step ci_green: its approval asks for too little: whoever started"):
        parse(text, "mine.yml", registry)
    assert parse(text, "mine.yml", registry, ApprovalRules(weaker=("ci_green",))).items
    assert parse(APPROVAL.format(said="{count: 2}"), "mine.yml", registry).items
