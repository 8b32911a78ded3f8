"""METASPACE's GraphQL as an administrator sees it, and RabbitMQ's queues. Every question has 10 s.

Facts from METASPACE's repository: ``updateSystemHealth`` replaces the whole state and returns null
(metaspace/graphql/src/modules/system/controller.ts); an administrator is who shows a JWT, HS256 with ``jwt.secret``, whose
``user`` has an id and the role admin (modules/auth/controller.ts); only administrators count everybody's datasets
(esConnector.ts); a dataset's status is QUEUED, ANNOTATING, FINISHED or FAILED (schemas/dataset.graphql).
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt

from bot import permit
from bot.domain.errors import BadSettings, Refused, ReleaseError, Unavailable
from bot.domain.world import SystemHealth, Workload
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.settings import SiteSettings

TIMEOUT = 10.0
TOKEN_LIFE = 60  # seconds, as METASPACE's own tokens
_HEALTH = "query { systemHealth { canMutate canProcessDatasets message } }"
_SET_HEALTH = "mutation ($health: UpdateSystemHealthInput!) { updateSystemHealth(health: $health) }"
_COUNT = """query ($queued: DatasetFilter!, $annotating: DatasetFilter!) {
  queued: countDatasets(filter: $queued)
  annotating: countDatasets(filter: $annotating)
}"""
_REFUSALS = ("not authorized", "unauthorized", "unauthenticated", "read_only_mode", "access denied")
_BAD_TOKEN = ("jwt", "invalid signature", "invalid token")
_LONGEST = 300


class MetaspacePlatform:
    """Implements `bot.ports.Platform`."""

    def __init__(self, settings: SiteSettings) -> None:
        self._settings = settings

    async def health(self) -> SystemHealth:
        """Read the switches; everybody may."""
        data = await self._graphql(_HEALTH, {})
        match data.get("systemHealth"):
            case {"canMutate": bool(mutate), "canProcessDatasets": bool(process), "message": str() | None as message}:
                return SystemHealth(mutate, process, message)
        raise _nonsense("systemHealth")

    async def set_health(self, *, health: SystemHealth) -> None:
        """Replace the switches and read them back; raises `Refused` when METASPACE says something else afterwards."""
        new = {
            "canMutate": health.can_mutate,
            "canProcessDatasets": health.can_process_datasets,
            "message": health.message or None,
        }
        permit.demand(outliving=TIMEOUT)
        await self._graphql(_SET_HEALTH, {"health": new}, token=self._token())
        now = await self.health()
        if (now.can_mutate, now.can_process_datasets, now.message or None) != tuple(new.values()):
            raise Refused(
                f"METASPACE took the health switches, but now shows {now}.",
                hint="somebody else may be switching: look at the health page, then retry",
            )

    async def workload(self) -> Workload:
        """Count everybody's datasets in work, and the messages of every lasting queue where RabbitMQ is configured."""
        states = {name: {"status": name.upper()} for name in ("queued", "annotating")}
        data = await self._graphql(_COUNT, states, token=self._token())
        match data:
            case {"queued": int(queued), "annotating": int(annotating)}:
                return Workload(queued, annotating, await self._queues())
        raise _nonsense("countDatasets")

    def _token(self) -> str:
        secret = self._settings.jwt_secret.get_secret_value()
        if not secret or not self._settings.admin_email:
            missing = "admin_email" if secret else "jwt_secret"
            raise BadSettings(
                f"site.{missing} is not set, so METASPACE cannot be asked as an administrator.",
                hint="site.admin_email in the settings, RELEASEBOT_ENVIRONMENTS__<NAME>__SITE__JWT_SECRET in the environment",
            )
        now = int(time.time())
        # The id names nobody in METASPACE's database: an administrator's is only looked at for being there.
        user = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{self._settings.admin_email}")),
            "email": self._settings.admin_email,
            "role": "admin",
        }
        claims = {"iss": "METASPACE2020", "user": user, "iat": now, "exp": now + TOKEN_LIFE}
        return jwt.encode(claims, secret, algorithm="HS256")

    async def _graphql(self, query: str, variables: Mapping[str, Any], *, token: str = "") -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": dict(variables)}
        status, text = await _ask("POST", str(self._settings.graphql), what="METASPACE", headers=headers, json=body)
        answer = _parsed(text)
        match answer:
            case {"errors": [{"message": str(message)}, *_]}:
                raise _said(message)
            case {"data": dict(data)}:
                return data
        if status in (401, 403) or (token and any(word in text.lower() for word in _BAD_TOKEN)):
            raise Refused(
                "METASPACE does not accept our token.",
                hint="is jwt_secret the one that sm-graphql runs with? And the clock?",
            )
        raise Unavailable(
            f"METASPACE's GraphQL answers {status}, without data.", hint="supervisorctl status sm-graphql"
        )

    async def _queues(self) -> Mapping[str, int]:
        if self._settings.rabbitmq_api is None:
            return {}
        base = str(self._settings.rabbitmq_api).rstrip("/").removesuffix("/api")
        login = f"{self._settings.rabbitmq_user}:{self._settings.rabbitmq_password.get_secret_value()}"
        headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
        status, text = await _ask("GET", f"{base}/api/queues", what="RabbitMQ", headers=headers)
        if status in (401, 403):
            raise Refused("RabbitMQ does not let us in.", hint="look at site.rabbitmq_user, its password and its tags")
        found = _parsed(text)
        if status != 200 or not isinstance(found, list):  # noqa: PLR2004  # HTTP's number
            raise Unavailable(f"RabbitMQ's management API answers {status}.", hint="look at site.rabbitmq_api")
        lasting = (one for one in found if not str(one.get("name", "amq.")).startswith("amq."))
        return {str(one["name"]): int(one.get("messages") or 0) for one in lasting}


async def _ask(method: str, url: str, *, what: str, headers: Mapping[str, str], **body: Any) -> tuple[int, str]:
    """Ask once, on a connection of its own: a kept one may have been cut by a restart in between."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
            session.request(method, url, headers=headers, allow_redirects=False, **body) as answer,
        ):
            return answer.status, await answer.text(errors="replace")
    except TimeoutError as error:
        raise Unavailable(f"{what} does not answer within {TIMEOUT:g} s.", hint="retry; /release status") from error
    except (aiohttp.ClientError, OSError) as error:
        reason = scrub(str(error))[:_LONGEST] or type(error).__name__
        raise Unavailable(f"{what} does not answer: {reason}", hint="look at its service and at the address") from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _said(message: str) -> ReleaseError:
    words = scrub(message)[:_LONGEST]
    if any(word in message.lower() for word in _REFUSALS):
        hint = (
            "the health page of METASPACE shows the switches; site.admin_email and jwt_secret make us an administrator"
        )
        return Refused(f"METASPACE refuses: {words}", hint=hint)
    return Unavailable(f"METASPACE's GraphQL fails: {words}", hint="the log of sm-graphql on the web server")


def _nonsense(field: str) -> Unavailable:
    return Unavailable(f"METASPACE answers {field} in an unknown form.", hint="was METASPACE's GraphQL schema changed?")
