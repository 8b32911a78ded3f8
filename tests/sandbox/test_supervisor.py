from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest

from sandbox.gitworld import JWT_SECRET, GitWorld
from sandbox.processes import Processes, until
from sandbox.supervisor import Pace, Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UPDATE = "mutation($health: UpdateSystemHealthInput!) { updateSystemHealth(health: $health) }"
HEALTH = "{ systemHealth { canMutate canProcessDatasets message } }"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Supervisor]:
    git = GitWorld(tmp_path)
    await git.build_code()
    async with (
        Processes(tmp_path) as processes,
        Supervisor(
            processes,
            tmp_path / "supervisor",
            checkout=git.checkout,
            www=git.www,
            bin_folder=tmp_path / "bin",
            pace=Pace(lithops=300, annotate=0.1),
        ) as supervisor,
    ):
        yield supervisor


def token(role: str, *, secret: str = JWT_SECRET, age: float = 0) -> str:
    now = int(time.time() - age)
    user = {"id": "1", "email": "admin@example.org", "role": role}
    return jwt.encode({"iss": "METASPACE2020", "user": user, "iat": now, "exp": now + 60}, secret, "HS256")


async def ask(server: Supervisor, query: str, authorization: str = "", **variables: Any) -> dict[str, Any]:
    headers = {"Authorization": authorization} if authorization else {}
    async with aiohttp.ClientSession() as session:
        body = {"query": query, "variables": variables}
        async with session.post(server.graphql_url, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            return answer


async def test_the_programs_run_under_metaspaces_names(server: Supervisor) -> None:
    states = await server.states()
    assert set(states) == {
        "sm-api",
        "sm-graphql",
        "sm-update-daemon",
        "sm-cluster-autostart",
        "sm-lithops-daemon:sm-lithops-daemon-0",
        "sm-lithops-daemon:sm-lithops-daemon-1",
    }
    assert (server.checkout / "metaspace/graphql/logs/sm-graphql.log").exists()
    assert (server.checkout / "metaspace/engine/logs/sm-api.log").exists()


async def test_health_follows_the_real_rules(server: Supervisor) -> None:
    off = {"canMutate": True, "canProcessDatasets": False, "message": "Back soon"}
    on = {"canMutate": True, "canProcessDatasets": True}
    expired = f"Bearer {token('admin', age=120)}"
    forged = f"Bearer {token('admin', secret='another secret of the same length 0123')}"
    for refused in ("", f"Bearer {token('user')}", expired, forged):
        answer = await ask(server, UPDATE, refused, health=off)
        assert answer["errors"][0]["message"] == "Not authorized"
    answer = await ask(server, UPDATE, "Api-Key anything", health=off)
    assert "cannot be called by API Key" in answer["errors"][0]["message"]

    admin = f"Bearer {token('admin')}"
    assert await ask(server, UPDATE, admin, health=off) == {"data": {"updateSystemHealth": None}}
    await server.restart("sm-graphql")
    assert await ask(server, HEALTH) == {"data": {"systemHealth": off}}

    await ask(server, UPDATE, admin, health=on)
    assert await ask(server, HEALTH) == {"data": {"systemHealth": {**on, "message": None}}}
    assert not (server.checkout / "metaspace/graphql/health.json").exists()


async def test_it_serves_the_built_webapp_and_counts_datasets_until_they_are_done(server: Supervisor) -> None:
    async with aiohttp.ClientSession() as session, session.get(server.site_url) as response:
        assert response.status == 200
        assert "METASPACE" in await response.text()

    server.datasets.fill(queued=2, annotating=1)
    query = '{ countDatasets(filter: {status: "QUEUED|ANNOTATING"}) }'
    assert (await ask(server, query))["data"]["countDatasets"] > 0
    await server.ctl("restart", "sm-lithops-daemon:")

    async def drained() -> bool:
        return bool((await ask(server, query))["data"]["countDatasets"] == 0)

    await until(drained, what="the queue", deadline=60)


async def test_a_program_that_cannot_start_becomes_fatal(server: Supervisor) -> None:
    (server.checkout / "metaspace/engine/conf/scoring.json").write_text("{broken")
    await server.ctl("restart", "sm-api")

    async def fatal() -> bool:
        return (await server.states())["sm-api"] == "FATAL"

    await until(fatal, what="FATAL", deadline=60)
