"""RabbitMQ's management API, as far as queue lengths go: the datasets' queue is as long as there are datasets in work."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.httpserver import HttpServer
from sandbox.programs.datasets import ANNOTATING, QUEUED, Datasets

if TYPE_CHECKING:
    from collections.abc import Mapping

USER = PASSWORD = "guest"  # noqa: S105  # RabbitMQ's own default
VHOST = "/"


class RabbitMq(HttpServer):
    """``GET /api/queues`` (and ``/api/queues/<vhost>``), with basic authentication."""

    def __init__(self, datasets: Datasets) -> None:
        super().__init__()
        self.datasets = datasets
        self.extra: dict[str, int] = {"sm_update": 0, "sm_lithops": 0, "image_segmentation": 0}
        """Messages that wait in the other queues; tests change it."""
        self.app.router.add_get("/api/queues", self._queues)
        self.app.router.add_get("/api/queues/{vhost}", self._queues)

    async def _queues(self, request: web.Request) -> web.Response:
        expected = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            return web.json_response({"error": "not_authorised", "reason": "Login failed"}, status=401)
        queues = [_queue("sm_annotate", self.datasets.count(QUEUED), self.datasets.count(ANNOTATING))]
        queues += [_queue(name, waiting, 0) for name, waiting in self.extra.items()]
        return web.json_response(queues)


def _queue(name: str, ready: int, unacknowledged: int) -> Mapping[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "durable": True,
        "state": "running",
        "consumers": 2,
        "messages": ready + unacknowledged,
        "messages_ready": ready,
        "messages_unacknowledged": unacknowledged,
    }
