"""Reading the three facts that should agree: the release branch, the newest version tag, and what is live."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ReleaseError
from bot.domain.reflog import stays
from bot.domain.report import Drift, Gap
from bot.domain.version import Version

if TYPE_CHECKING:
    from bot.ports import Ports, Repository


async def read(ports: Ports, *, branch: str) -> Drift:
    """Ask remote and server side by side. Neither raises: who does not answer leaves a sentence in the result."""
    named, live = await asyncio.gather(_named(ports.repository, branch), _live(ports))
    found = Drift(**{"branch": branch, "branch_sha": "", **named, **live})
    repository = ports.repository
    return replace(
        found,
        branch_to_tag=await _gap(repository, found.branch_sha, found.tag_sha),
        live_to_tag=await _gap(repository, found.live, found.tag_sha),
        live_to_branch=await _gap(repository, found.live, found.branch_sha),
    )


def sentence(error: ReleaseError) -> str:
    """Say what is wrong and what to try, in one line."""
    return f"{error.message} Try: {error.hint}" if error.hint else error.message


async def _named(repository: Repository, branch: str) -> dict[str, Any]:
    try:
        tags = {Version.parse(name): sha for name, sha in (await repository.version_tags()).items()}
        head = await repository.branch_head(branch=branch)
    except ReleaseError as error:
        return {"refs_problem": sentence(error)}
    newest = max(tags, default=None)
    return {"branch_sha": head, **({"tag": str(newest), "tag_sha": tags[newest]} if newest else {})}


async def _live(ports: Ports) -> dict[str, Any]:
    try:
        checkout = await ports.server.checkout()
        found: dict[str, Any] = {
            "live": checkout.commit,
            "live_branch": checkout.branch,
            "live_dirty": checkout.dirty,
        }
        past = stays(await ports.server.reflog())
    except ReleaseError as error:
        return {"live_problem": sentence(error)}
    if past and past[0].sha == checkout.commit:
        found |= {"live_since": past[0].since, "before": past[1].sha if past[1:] else ""}
    return found


async def _gap(repository: Repository, one: str, other: str) -> Gap | None:
    """Count both ways; None where there is nothing to count, or one of them is not in the repository."""
    if not one or not other or one == other:
        return None
    try:
        ahead = await repository.only_in(ref=one, not_in=other)
        behind = await repository.only_in(ref=other, not_in=one)
    except ReleaseError:  # such as a commit that was made on the server: "cannot be compared" says it
        return None
    return Gap(len(ahead), len(behind))
