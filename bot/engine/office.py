"""What commands need from outside: a review of what would ship, and a plan to ship it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.domain.report import PreparedPlan, ReviewReport

    Tell = Callable[[ReviewReport], Awaitable[None]]


class ReleaseOffice(Protocol):
    """Reviews and plans. Every method raises `bot.domain.errors.ReleaseError` with the next thing to try."""

    async def review(
        self, *, environment: str, base: str = "", head: str = "", hotfix: bool = False, tell: Tell | None = None
    ) -> ReviewReport:
        """Review what would ship. Without names: release...master, or for a hotfix what is live...release.

        ``tell`` is given the report as it fills in: first what Git knows, then CI and the server as each answers. A
        system that does not answer becomes a sentence in the report, not an error. Raises `WrongUse` for unknown names.
        """

    async def plan(
        self,
        *,
        environment: str,
        hotfix: bool = False,
        only: Sequence[str] = (),
        strategy: str = "",
        version: str = "",
        afresh: bool = True,
    ) -> PreparedPlan:
        """Pin the head and make the plan; nothing is kept. Empty ``strategy`` and ``version`` take what the review proposes.

        ``version`` is three numbers, or the bump itself (``minor``). With ``afresh`` false the notes' draft is the one
        that was shown, though GitHub may say something else by now.

        Raises `WrongUse` for a strategy or version that cannot be, `Conflict` when there is nothing to release.
        """

    async def roll_back(self, *, release: str, drain: bool = False) -> PreparedPlan:
        """Plan to go back to what was proved live before a release; nothing is kept.

        Raises `Refused` when nothing is known to have been live, or a migration since is not backward compatible.
        """
