"""Settings: what is right loads, what is wrong is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.domain.errors import BadSettings
from bot.settings import Settings, load, parse
from bot.settings_example import EXAMPLE

if TYPE_CHECKING:
    from pathlib import Path


def example() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(EXAMPLE)
    return raw


def test_the_example_is_right() -> None:
    name, production = parse(example()).environment()
    assert (name, production.server.checkout) == ("prod", "/opt/dev/metaspace")


def test_an_unknown_key_is_named() -> None:
    raw = example()
    raw["slack"]["chanel"] = "C1"
    with pytest.raises(BadSettings, match=r"slack\.chanel is not a known key"):
        parse(raw)


def test_a_missing_key_is_named() -> None:
    raw = example()
    del raw["environments"]["prod"]["web"]["key"]
    with pytest.raises(BadSettings, match=r"environments\.prod\.web\.key is missing"):
        parse(raw)


def test_a_wrong_value_is_shown_with_what_is_expected() -> None:
    raw = example()
    raw["http"] = {"port": 123456}
    with pytest.raises(BadSettings, match=r"http\.port: .*65535.* Found 123456"):
        parse(raw)


def test_every_mistake_is_told_at_once() -> None:
    raw = example()
    raw["log_level"], raw["sp"] = "loud", 1
    with pytest.raises(BadSettings) as caught:
        parse(raw)
    assert caught.value.message.count("\n") == 1


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELEASEBOT_SLACK__BOT_TOKEN", "xoxb-canary")
    settings = parse(example())
    assert settings.slack.bot_token.get_secret_value() == "xoxb-canary"
    assert "canary" not in repr(settings)


def test_a_wrong_secret_is_not_quoted() -> None:
    raw = example()
    raw["slack"]["bot_token"] = ["xoxb-canary"]
    with pytest.raises(BadSettings) as caught:
        parse(raw)
    assert "canary" not in str(caught.value)


def test_a_file_that_is_not_there_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        load(tmp_path / "none.yml")
    assert "config example" in caught.value.hint


def test_a_file_that_is_not_yaml_says_where(tmp_path: Path) -> None:
    file = tmp_path / "settings.yml"
    file.write_text("slack: [1, 2", encoding="utf-8")
    with pytest.raises(BadSettings, match="line 1"):
        load(file)


def test_an_unknown_environment_names_those_there_are() -> None:
    with pytest.raises(BadSettings) as caught:
        parse(example()).environment("staging")
    assert "prod" in caught.value.hint


def test_a_person_listed_twice_is_refused() -> None:
    raw = example()
    raw["people"].append({"slack": "U0123456789", "name": "Ada again"})
    with pytest.raises(BadSettings, match="twice"):
        parse(raw)


def test_every_setting_is_described_in_the_schema() -> None:
    assert "environments" in Settings.model_json_schema()["properties"]


@pytest.mark.parametrize("text", ["remind_at: 10:00", 'remind_at: "24:00"', "remind_at: noon"])
def test_a_time_of_day_is_hours_and_minutes_and_no_number_of_seconds(text: str) -> None:
    with pytest.raises(BadSettings, match=r"authors\.remind_at"):
        parse({**example(), "authors": yaml.safe_load(text)})
    assert parse({**example(), "authors": {"remind_at": "09:30"}}).authors.remind_at == "09:30"
