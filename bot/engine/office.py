"""What commands need from outside: a review of what would ship, and a plan to ship it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.domain.report import PreparedPlan, Rerun, ReviewReport
    from bot.domain.review import Review

    Tell = Callable[[ReviewReport], Awaitable[None]]


class ReleaseOffice(Protocol):
    """Reviews and plans. Every method raises `bot.domain.errors.ReleaseError` with the next thing to try."""

    async def review(
        self,
        *,
        environment: str,
        base: str = "",
        head: str = "",
        names: tuple[str, str] = ("", ""),
        hotfix: bool = False,
        tell: Tell | None = None,
        follow: str = "",
        expecting: bool = False,
    ) -> ReviewReport:
        """Review what would ship. Without names: release...master, or for a hotfix what is live...release.

        ``tell`` is given the report as it fills in: first what Git knows, then CI and the server as each answers. A
        system that does not answer becomes a sentence in the report, not an error. Raises `WrongUse` for unknown names.
        ``names`` are what to call the ends, where they are given as commits.

        With ``follow``, the key of the message that ``tell`` writes, CI is asked again until it is decided (45 min at most)
        and this returns only then; a commit's CI is followed in its newest message alone. ``expecting``: jobs were asked to
        run again, and may not have begun.
        """

    async def facts(self, *, environment: str, base: str, head: str) -> Review:
        """Review two commits by Git alone: at once, asking no other system."""

    async def rerun_ci(self, *, environment: str, commit: str) -> Rerun:
        """Run the failed required jobs of a commit again. Raises `Refused` where CI cannot be asked that."""

    async def plan(
        self,
        *,
        environment: str,
        hotfix: bool = False,
        only: Sequence[str] = (),
        strategy: str = "",
        version: str = "",
        draft: str = "",
        afresh: bool = True,
    ) -> PreparedPlan:
        """Pin the head and make the plan; nothing is kept. Empty ``strategy`` and ``version`` take what the review proposes.

        ``version`` is three numbers, or the bump itself (``minor``). ``draft`` names changes that people
        made to the plan. With ``afresh`` false the notes' draft is the one that was shown, though GitHub may say something
        else by now.

        Raises `WrongUse` for a strategy or version that cannot be, `Conflict` when there is nothing to release.
        """

    async def roll_back(self, *, release: str, drain: bool = False) -> PreparedPlan:
        """Plan to go back to what was proved live before a release; nothing is kept.

        Raises `Refused` when nothing is known to have been live, or a migration since is not backward compatible.
        """
