from __future__ import annotations

import io
import json
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from bot import telemetry
from bot.telemetry import Metrics, Scrubber, about, scrub, set_up_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJNRVRBU1BBQ0UyMDIwIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAA\n-----END OPENSSH PRIVATE KEY-----"


@contextmanager
def logs(level: str = "info") -> Iterator[io.StringIO]:
    """Logs of this test alone, in a stream."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, old = root.handlers[:], root.level
    set_up_logs(level, stream=stream)
    try:
        yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(old)
        structlog.reset_defaults()


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("token xoxb-123-456-abcDEF sent", "token [hidden] sent"),
        ("xapp-1-A0-9-deadbeef", "[hidden]"),
        ("ghp_" + "a1" * 18, "[hidden]"),
        ("github_pat_" + "a1_" * 9, "[hidden]"),
        (f"Bearer {JWT}", "Bearer [hidden]"),
        (f"payload {JWT} end", "payload [hidden] end"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id [hidden]."),
        (f"key:\n{KEY}\nend", "key:\n[hidden]\nend"),
        (KEY[:60], "[hidden]"),
        ("https://bot:hunter2@github.com/x.git", "https://bot:[hidden]@github.com/x.git"),
        ("postgresql+asyncpg://u:p%40ss@db:5432/x", "postgresql+asyncpg://u:[hidden]@db:5432/x"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [hidden]"),
        ('{"authorization": "token abc123"}', '{"authorization": "token [hidden]"}'),
        ("-e sm_password=hunter2 -v", "-e sm_password=[hidden] -v"),
        ('"jwt_secret": "abcdef"', '"jwt_secret": "[hidden]"'),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[hidden]"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/[hidden]"),
    ],
)
def test_what_has_the_shape_of_a_secret_is_hidden_and_the_rest_stays_readable(text: str, kept: str) -> None:
    assert scrub(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "commit 1111111111111111111111111111111111111111 is live",
        "git push origin refs/tags/1.9.10",
        "https://github.com/metaspace2020/metaspace/compare/1.9.9...1.9.10",
        "ssh://git@host:22/x.git and scp user@host:/path",
        "TASK [sm-graphql : restart] ok=12 changed=3 at 10:42:11",
        "Basic understanding of tokens: 512 tokens a second, bearer of good news",
        "the password is asked for, and the token expired",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert scrub(text) == text


def test_named_values_are_hidden_wherever_they_stand_and_short_ones_are_not() -> None:
    scrubber = Scrubber()
    scrubber.learn(["correct horse", "correct horse battery", "", "abc"])
    assert scrubber.scrub("a correct horse battery, abc") == "a [hidden], abc"


def test_long_lines_take_no_long_time() -> None:
    started = time.process_time()
    for text in ("a-" * 100_000, "x" * 200_000, "a.b+c" * 40_000, "://" * 60_000, "token" * 40_000, "eyJ" * 60_000):
        scrub(text)
    assert time.process_time() - started < 5


def test_logs_are_json_lines_with_release_and_step_also_from_libraries() -> None:
    with logs() as stream:
        with about(release="r7", step="deploy"):
            structlog.get_logger("bot.x").info("step started", attempt=2)
            logging.getLogger("asyncssh").warning("lost %s", "connection")
        structlog.get_logger("bot.x").info("later")
    first, second, third = entries(stream)
    assert (first["event"], first["release"], first["step"], first["attempt"]) == ("step started", "r7", "deploy", 2)
    assert (first["level"], first["logger"]) == ("info", "bot.x")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["release"], second["logger"]) == ("lost connection", "r7", "asyncssh")
    assert "release" not in third


def test_the_level_holds_and_chatty_libraries_are_kept_quiet() -> None:
    with logs("warning") as stream:
        structlog.get_logger("bot.x").info("not this")
        logging.getLogger("urllib3.connectionpool").warning("this")
    assert [entry["event"] for entry in entries(stream)] == ["this"]
    with logs("debug") as stream:
        logging.getLogger("git.cmd").info("not this")
        structlog.get_logger("bot.x").debug("this")
    assert [entry["event"] for entry in entries(stream)] == ["this"]


def test_even_at_debug_no_library_logs_statements_with_their_values() -> None:
    with logs("debug") as stream:
        for name in ("aiosqlite", "sqlalchemy.engine", "botocore.hooks", "slack_sdk.web", "github.Requester"):
            logging.getLogger(name).debug("not this")
    assert entries(stream) == []


def test_no_secret_reaches_the_log_by_any_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_scrubber", Scrubber())
    telemetry.hide(["tops3cret"])
    nested = {"deep": [{"argv": ("x", "--password=hunter22")}], "api_token": "anything", "n": 5, "none": None}
    with logs() as stream:
        structlog.get_logger("a").info("tops3cret", url="https://u:hunter22@h", settings=nested, token="anything")
        logging.getLogger("b").warning("header %s", {"Authorization": f"Bearer {JWT}"})
        try:
            int("tops3cret")
        except ValueError:
            structlog.get_logger("a").exception("failed")
    text = stream.getvalue()
    for secret in ("tops3cret", "hunter22", "anything", JWT):
        assert secret not in text
    first, _, third = entries(stream)
    assert first["settings"]["n"] == 5
    assert first["settings"]["none"] is None
    assert "ValueError" in third["exception"]


def test_metrics_of_two_processes_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.outbox_depth.set(3)
    assert two.registry.get_sample_value("releasebot_outbox_depth") == 0


def test_every_metric_is_named_for_the_bot() -> None:
    names = Metrics().names()
    assert "releasebot_slack_calls_total" in names
    assert len(names) == len(set(names)) >= 11
    assert all(name.startswith("releasebot_") for name in names)
