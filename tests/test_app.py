"""Starting the bot without what it needs."""

from __future__ import annotations

import pytest
import yaml
from pydantic import SecretStr

from bot.app import demand_secrets, serve
from bot.domain.errors import BadSettings
from bot.settings import parse
from bot.settings_example import EXAMPLE


@pytest.mark.parametrize(("mode", "other"), [("socket", "APP_TOKEN"), ("http", "SIGNING_SECRET")])
async def test_empty_secrets_of_slack_are_named_before_anything_is_begun(mode: str, other: str) -> None:
    settings = parse(yaml.safe_load(EXAMPLE))
    empty = dict.fromkeys(("bot_token", "app_token", "signing_secret"), SecretStr(""))
    bare = settings.model_copy(update={"slack": settings.slack.model_copy(update={**empty, "mode": mode})})
    wanted = f"RELEASEBOT_SLACK__BOT_TOKEN and RELEASEBOT_SLACK__{other} are not set"
    with pytest.raises(BadSettings, match=wanted) as caught:
        await serve(bare)
    assert caught.value.hint
    given = {"bot_token": SecretStr("xoxb-1"), other.lower(): SecretStr("x")}
    demand_secrets(bare.model_copy(update={"slack": bare.slack.model_copy(update=given)}))
