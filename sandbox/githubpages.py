"""The few pages of GitHub that messages link to, as plain text from Git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sandbox.forge import Forge


def add_pages(app: web.Application, forge: Forge, slug: str, issues: Callable[[], Sequence[Any]]) -> None:
    """Serve ``/<slug>/compare/A...B``, ``/<slug>/commit/SHA``, ``/<slug>/pull/N``, ``/<slug>/issues/N`` and ``/<slug>/releases/tag/T``."""

    async def compare(request: web.Request) -> str:
        base, _, head = request.match_info["range"].partition("...")
        span = f"{await forge.resolve(base)}..{await forge.resolve(head)}"
        return await forge.git("log", "--stat", span)

    async def commit(request: web.Request) -> str:
        return await forge.git("show", "--stat", await forge.resolve(request.match_info["sha"]))

    async def pull(request: web.Request) -> str:
        found = (await forge.pulls()).get(int(request.match_info["number"]))
        return await forge.git("show", found.commit.sha) if found else ""

    async def release(request: web.Request) -> str:
        return await forge.git("show", "--stat", f"refs/tags/{request.match_info['tag']}")

    async def issue(request: web.Request) -> str:
        mine = [one for one in issues() if str(one["number"]) == request.match_info["number"]]
        return "\n\n".join(f"{one['title']}\n\n{one['body']}" for one in mine)

    app.router.add_get(f"/{slug}/issues/{{number:[0-9]+}}", _page(issue))
    app.router.add_get(f"/{slug}/compare/{{range:.+}}", _page(compare))
    app.router.add_get(f"/{slug}/commit/{{sha:[0-9a-f]+}}", _page(commit))
    app.router.add_get(f"/{slug}/pull/{{number:[0-9]+}}", _page(pull))
    app.router.add_get(f"/{slug}/releases/tag/{{tag:[0-9.]+}}", _page(release))


def _page(text: Callable[[web.Request], Awaitable[str]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            found = await text(request)
        except Unavailable:
            found = ""
        return web.Response(text=found or "Not Found", status=200 if found else 404)

    return answer
