"""What commands ask of the search indices of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from bot.domain.index_report import Compared, Deed, Selection, Standing, Started, Wish
    from bot.domain.indices import Pair, Side
    from bot.domain.readmodel import Person
    from bot.domain.reindexing import Target
    from bot.engine.index_guards import Guard

    Tell = Callable[[str], Awaitable[None]]


class IndexOffice(Protocol):
    """Both pairs of indices. Every method raises `bot.domain.errors.ReleaseError`, `Unavailable` where there is no Elasticsearch.

    What changes something is harmless when the same request (``source``) asks again, as it does after a restart: what was
    done already is found in the world, and noted once.
    """

    async def status(self, environment: str) -> Standing:
        """Return both pairs, what is wrong with their aliases, and the jobs that write to them."""

    async def compare(self, environment: str, *, ignored: Collection[str] = (), tell: Tell | None = None) -> Compared:
        """Compare both pairs with each other and with PostgreSQL; may take minutes, and tells where it is."""

    async def create(self, environment: str, *, release: str = "", by: Person, source: str) -> Pair:
        """Create the inactive pair as the code deployed makes it, or that of a release's workplace."""

    async def wish(
        self,
        deed: Deed,
        environment: str,
        *,
        by: Person,
        side: Side | None = None,
        exceptions: tuple[str, ...] = (),
        ignored: tuple[str, ...] = (),
        tell: Tell | None = None,
    ) -> tuple[Wish, Standing, list[Guard]]:
        """Look at all that a deed rests on, and return what is to be confirmed. Nothing is changed.

        Raises `Refused` where it cannot be, `Conflict` where there is nothing to do. Guards that do not hold are returned.
        """

    async def carry_out(self, wish: Wish, *, by: Person, source: str, tell: Tell | None = None) -> str:
        """Do it, after looking at everything again; return what was done, in a sentence."""

    async def index(self, environment: str, target: Target, wanted: Selection, *, by: Person, source: str) -> Started:
        """Start a job that indexes datasets into the inactive or the live pair; raises `Conflict` while another runs."""

    async def prove(self, environment: str, started: Started) -> str:
        """Wait until a job's first dataset is in the pair that is meant, and say so.

        A job that wrote elsewhere is ended, and `Refused` raised.
        """
