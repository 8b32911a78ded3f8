"""Answers in GitHub's manner: pages of a list, errors, numbers in a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Sequence


def page(request: web.Request, rows: Sequence[Any]) -> web.Response:
    """Return the page that was asked for, with the addresses of the next and the last one."""
    size = min(int(request.query.get("per_page", 30)), 100)
    asked = int(request.query.get("page", 1))
    last = max(1, -(-len(rows) // size))
    links = {"next": asked + 1, "last": last} if asked < last else {}
    named = [f'<{request.url.update_query(page=number)}>; rel="{name}"' for name, number in links.items()]
    headers = {"Link": ", ".join(named)} if named else {}
    return web.json_response(rows[(asked - 1) * size : asked * size], headers=headers)


def number_in(request: web.Request) -> int:
    """Return the number in the path; 404 for anything else."""
    text = request.match_info["number"]
    if not text.isdigit():
        raise web.HTTPNotFound
    return int(text)


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    """Return an error with GitHub's words."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status), **more}
    return web.json_response(body, status=status, headers=headers)
