from __future__ import annotations

import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from bot.domain.errors import BadSettings, Refused, Unavailable
from bot.domain.world import SystemHealth
from bot.settings import SiteSettings
from integrations.metaspace import MetaspacePlatform
from sandbox.programs.datasets import Datasets
from sandbox.programs.graphql import application
from sandbox.rabbitmq import RabbitMq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.ports import Platform

SECRET = "a secret of sm-graphql that is long enough"


@dataclass
class World:
    """The sandbox's sm-graphql, and what it was asked."""

    url: str
    datasets: Datasets
    health_file: Path
    tokens: list[str] = field(default_factory=list)

    def platform(self, **more: Any) -> MetaspacePlatform:
        return platform_at(self.url, **more)


def platform_at(url: str, **more: Any) -> MetaspacePlatform:
    given = {"url": url, "graphql": f"{url}/graphql", "admin_email": "releasebot@example.org", "jwt_secret": SECRET}
    return MetaspacePlatform(SiteSettings.model_validate({**given, **more}))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    home = tmp_path / "checkout/metaspace/graphql"
    (home / "config").mkdir(parents=True)
    (home / "config/production.json").write_text(json.dumps({"jwt": {"secret": SECRET}}))
    datasets = Datasets(tmp_path / "datasets.json")
    app = application(tmp_path / "checkout", tmp_path / "www", tmp_path / "datasets.json")
    made = World("", datasets, home / "health.json")

    async def note(request: web.Request, _: web.StreamResponse) -> None:
        made.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))

    app.on_response_prepare.append(note)
    async with TestServer(app) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made


async def test_the_switches_are_read_without_a_token(world: World) -> None:
    port: Platform = world.platform(jwt_secret="")
    assert await port.health() == SystemHealth(can_mutate=True, can_process_datasets=True)
    assert world.tokens == [""]


async def test_setting_the_switches_replaces_the_whole_state(world: World) -> None:
    platform = world.platform()
    for health in (
        SystemHealth(can_mutate=True, can_process_datasets=False, message='Updating: "soon" back\n✓'),
        SystemHealth(can_mutate=False, can_process_datasets=False),
        SystemHealth(can_mutate=True, can_process_datasets=True),
    ):
        await platform.set_health(health=health)
        assert await platform.health() == health
    assert not world.health_file.exists()


async def test_the_token_has_metaspaces_shape_and_lives_a_minute(world: World) -> None:
    await world.platform().set_health(health=SystemHealth(can_mutate=True, can_process_datasets=False))
    token = next(filter(None, world.tokens))
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["iss"] == "METASPACE2020"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["user"]["role"] == "admin"
    assert claims["user"]["email"] == "releasebot@example.org"
    assert claims["user"]["id"]


async def test_a_token_of_another_secret_is_refused_and_nothing_changes(world: World) -> None:
    with pytest.raises(Refused, match="Not authorized") as caught:
        await world.platform(jwt_secret="x" * 32).set_health(
            health=SystemHealth(can_mutate=False, can_process_datasets=False)
        )
    assert "jwt_secret" in caught.value.hint
    assert (await world.platform().health()).can_mutate


@pytest.mark.parametrize("missing", ["jwt_secret", "admin_email"])
async def test_without_secret_or_administrator_nothing_is_asked(world: World, missing: str) -> None:
    platform = world.platform(**{missing: ""})
    with pytest.raises(BadSettings, match=missing):
        await platform.set_health(health=SystemHealth(can_mutate=True, can_process_datasets=True))
    with pytest.raises(BadSettings, match=missing):
        await platform.workload()
    assert world.tokens == []


async def test_the_workload_is_datasets_by_status(world: World) -> None:
    assert (await world.platform().workload()).idle
    world.datasets.fill(queued=3, annotating=2, finished=7)
    work = await world.platform().workload()
    assert (work.queued, work.annotating, work.queues) == (3, 2, {})
    assert not work.idle
    assert all(world.tokens)


@pytest.mark.parametrize("suffix", ["", "/api", "/api/"])
async def test_queue_lengths_come_from_rabbitmq_where_it_is_configured(world: World, suffix: str) -> None:
    async with RabbitMq(world.datasets) as rabbit:
        rabbit.extra["sm_update"] = 4
        work = await world.platform(rabbitmq_api=rabbit.url + suffix, rabbitmq_password="guest").workload()
    assert work.queues["sm_update"] == 4
    assert work.queues["sm_annotate"] == 0
    assert not work.idle


async def test_rabbitmqs_refusal_and_absence_are_told_apart(world: World) -> None:
    async with RabbitMq(world.datasets) as rabbit:
        with pytest.raises(Refused, match="RabbitMQ does not let us in"):
            await world.platform(rabbitmq_api=rabbit.url, rabbitmq_password="wrong").workload()
    with pytest.raises(Unavailable, match="RabbitMQ does not answer"):
        await world.platform(rabbitmq_api=f"http://127.0.0.1:{unused_port()}").workload()


async def test_queues_that_live_as_long_as_a_connection_are_no_work(world: World) -> None:
    rows = [{"name": "amq.gen-x", "messages": 5}, {"name": "sm_lithops"}, {"name": "sm_update", "messages": 1}]
    async with answering(rows) as url:
        work = await world.platform(rabbitmq_api=url).workload()
    assert work.queues == {"sm_lithops": 0, "sm_update": 1}


# -- answers that METASPACE gives when something is wrong


@asynccontextmanager
async def answering(body: Any, status: int = 200) -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return (
            web.Response(text=body, status=status) if isinstance(body, str) else web.json_response(body, status=status)
        )

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def error(message: str) -> dict[str, Any]:
    return {"errors": [{"message": message}], "data": None}


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        (
            error('{"type":"unauthorized","message":"This mutation cannot be called by API Key"}'),
            200,
            Refused,
            "API Key",
        ),
        (error("Internal Error: 1234"), 500, Unavailable, "Internal Error: 1234"),
        (error('Cannot query field "systemHealth"'), 400, Unavailable, "Cannot query field"),
        ("<html>502 Bad Gateway</html>", 502, Unavailable, "answers 502"),
        ("Error: invalid signature", 500, Refused, "does not accept our token"),
        ("JsonWebTokenError: jwt expired", 401, Refused, "does not accept our token"),
        ("", 301, Unavailable, "answers 301"),
        ({"data": None}, 200, Unavailable, "without data"),
        ([], 200, Unavailable, "without data"),
        ({"data": {"updateSystemHealth": None, "systemHealth": {"canMutate": 1}}}, 200, Unavailable, "unknown form"),
    ],
)
async def test_what_goes_wrong_becomes_a_sentence_with_a_hint(
    body: Any, status: int, kind: type[Exception], words: str
) -> None:
    async with answering(body, status) as url:
        with pytest.raises(kind, match=words) as caught:
            await platform_at(url).set_health(health=SystemHealth(can_mutate=True, can_process_datasets=True))
    assert getattr(caught.value, "hint", "")


async def test_switches_that_do_not_stay_are_noticed() -> None:
    shown = {"systemHealth": {"canMutate": True, "canProcessDatasets": True, "message": None}}
    async with answering({"data": {"updateSystemHealth": None, **shown}}) as url:
        with pytest.raises(Refused, match="but now shows"):
            await platform_at(url).set_health(health=SystemHealth(can_mutate=True, can_process_datasets=False))


async def test_counts_in_an_unknown_form_are_no_idle_platform() -> None:
    async with answering({"data": {"queued": None, "annotating": "0"}}) as url:
        with pytest.raises(Unavailable, match="unknown form"):
            await platform_at(url).workload()


async def test_nobody_there_and_nobody_answering_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match="METASPACE does not answer"):
        await platform_at(f"http://127.0.0.1:{unused_port()}").health()
    monkeypatch.setattr("integrations.metaspace.TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(Unavailable, match="does not answer within"):
        await platform_at(f"http://127.0.0.1:{deaf.getsockname()[1]}").health()
