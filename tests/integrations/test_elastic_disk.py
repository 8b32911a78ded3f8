"""What the low watermark leaves, in each form that Elasticsearch takes it in."""

from __future__ import annotations

import pytest

from bot.domain.errors import Unavailable
from bot.domain.indices import Room
from integrations.elastic_disk import PREFIX, kept_free, room

GB = 1024**3


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, 150 * GB),
        ({"watermark.low": "90%"}, 100 * GB),
        ({"watermark.low": "0.9"}, 100 * GB),
        ({"watermark.low": "85%", "watermark.low.max_headroom": "20gb"}, 20 * GB),
        ({"watermark.low": "85%", "watermark.low.max_headroom": "-1"}, 150 * GB),
        ({"watermark.low": "30gb"}, 30 * GB),
        ({"watermark.low": "1.5GB"}, 3 * GB // 2),
        ({"watermark.low": "512"}, None),
        ({"watermark.low": "30gb", "threshold_enabled": "false"}, 0),
        ({"watermark.low": "30gb", "threshold_enabled": "true"}, 30 * GB),
    ],
)
def test_the_low_watermark_keeps_so_much_free(settings: dict[str, str], kept: int | None) -> None:
    named = {f"{PREFIX}{name}": value for name, value in settings.items()}
    if kept is None:
        with pytest.raises(Unavailable, match="512"):
            kept_free(1000 * GB, named)
    else:
        assert kept_free(1000 * GB, named) == kept


def test_the_fullest_data_node_counts_and_what_was_set_last() -> None:
    def node(free: int, *roles: str) -> dict[str, object]:
        return {"roles": list(roles), "fs": {"total": {"total_in_bytes": 1000 * GB, "available_in_bytes": free * GB}}}

    stats = {"nodes": {"a": node(1, "master"), "b": node(300, "data_hot"), "c": node(200, "data", "master")}}
    low = f"{PREFIX}watermark.low"
    settings = {"defaults": {low: "85%"}, "persistent": {low: "10gb"}, "transient": {low: "250gb"}}
    assert room(stats, settings) == Room(1000 * GB, 200 * GB, 0)
    assert room(stats, {**settings, "transient": {}}).until_watermark == 190 * GB
    with pytest.raises(Unavailable, match="no data node"):
        room({"nodes": {"a": node(1, "master")}}, {})
