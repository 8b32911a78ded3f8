"""The manifest asks Slack for what the code uses, and for nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings import SlackSettings
from bot.slack.envelope import read
from tests.slack.strict_rules import EVENT_SCOPES, SCOPES

ROOT = Path(__file__).parent.parent
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "app_manifest.yml").read_text(encoding="utf-8"))
FOLDERS = ("bot", "commands")


def methods_called() -> set[str]:
    """Every method of Slack's Web API that the code calls, by the name slack_sdk gives it."""
    from slack_sdk.web.async_client import AsyncWebClient

    names = {name for name in dir(AsyncWebClient) if re.match(r"[a-z]+_[a-zA-Z_]+$", name)}
    return {name for path in _sources() for name in _attributes(path) if name in names and "_" in name}


def _sources() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def _attributes(path: Path) -> set[str]:
    """Attributes that are called on something named a client: ``self._client.chat_update(…)``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        call.attr for call in calls if isinstance(call, ast.Attribute) and ast.unparse(call.value).endswith("client")
    }


def scopes_used() -> set[str]:
    by_name = {method.replace(".", "_"): scopes for method, scopes in SCOPES.items()}
    called = methods_called()
    assert called <= set(by_name), "tests/slack/strict_rules.py must know the scopes of each method that is called"
    return {scope for name in called for scope in by_name[name]}


def test_the_scopes_are_exactly_those_of_the_methods_events_and_commands_that_the_code_uses() -> None:
    events = {
        scope for event in MANIFEST["settings"]["event_subscriptions"]["bot_events"] for scope in EVENT_SCOPES[event]
    }
    wanted = scopes_used() | events | {"commands"}
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == wanted


def test_the_scan_sees_what_the_outbox_calls() -> None:
    assert {"chat_postMessage", "chat_update", "conversations_replies", "views_open"} <= methods_called()


def test_exactly_the_events_that_the_code_takes_are_subscribed() -> None:
    def takes(event: str) -> bool:
        body = {"type": "event_callback", "event_id": "Ev1", "event": {"type": event, "user": "U1", "channel": "C1"}}
        return read(body) is not None

    candidates = ("app_mention", "message", "app_home_opened", "reaction_added", "member_joined_channel")
    assert [one for one in candidates if takes(one)] == MANIFEST["settings"]["event_subscriptions"]["bot_events"]


def test_the_one_slash_command_is_the_one_that_help_names() -> None:
    commands = [one["command"] for one in MANIFEST["features"]["slash_commands"]]
    named = {
        match
        for path in _sources()
        for match in re.findall(r"`(/[a-z]+) ", path.read_text(encoding="utf-8"))
        if match not in ("/invite", "/opt")
    }
    assert commands == ["/release"]
    assert named == {"/release"}


def test_socket_mode_is_the_default_in_both() -> None:
    assert MANIFEST["settings"]["socket_mode_enabled"] is (SlackSettings(channel="C1").mode == "socket")
    assert MANIFEST["settings"]["interactivity"]["is_enabled"] is True


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("display_information.name", 35),
        ("display_information.description", 140),
        ("display_information.long_description", 4000),
        ("features.bot_user.display_name", 80),
    ],
)
def test_texts_keep_slacks_limits(path: str, limit: int) -> None:
    value: Any = MANIFEST
    for key in path.split("."):
        value = value[key]
    assert 0 < len(value) <= limit


def test_slacks_own_minimum_of_the_long_description_is_kept() -> None:
    assert len(MANIFEST["display_information"]["long_description"]) >= 174
