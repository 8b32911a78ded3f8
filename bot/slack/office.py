"""What commands ask of the rest of the bot. The composition root (`bot/composition.py`) provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bot.engine.office import ReleaseOffice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.engine.index_office import IndexOffice
    from bot.ports import Clock
    from bot.settings import Settings


class Office(ReleaseOffice, Protocol):
    """The services behind the commands: reviews and plans, and those below."""

    @property
    def settings(self) -> Settings:
        """The settings, as read at the start."""

    @property
    def desk(self) -> Any:
        """Releases, questions, decisions and locks (`bot.engine.desk.Desk`)."""

    @property
    def freezes(self) -> Any:
        """Windows in which no release starts (`bot.engine.freezes.Freezes`)."""

    @property
    def queue(self) -> Any:
        """Who waits for an environment (`bot.engine.lock_queue.LockQueue`)."""

    @property
    def schedule(self) -> Any:
        """Releases that begin at a time (`bot.engine.schedule.Schedule`)."""

    @property
    def reminders(self) -> Any:
        """Reminders of what waits for people (`bot.engine.reminders.Reminders`)."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def authors(self) -> Any:
        """Who authors are, and questions to them (`bot.engine.authors.Authors`)."""

    @property
    def rehearsals(self) -> Any:
        """Plans carried out in an embedded world first (`bot.engine.rehearsing.Rehearsals`)."""

    @property
    def plans(self) -> Any:
        """Plans as people change them (`bot.engine.plans.Plans`)."""

    @property
    def exports(self) -> Any:
        """Plans as issues on GitHub (`bot.engine.exports.Exports`)."""

    @property
    def jobs(self) -> Any:
        """Jobs that go on on servers (`bot.engine.job_office.JobOffice`)."""

    @property
    def indices(self) -> IndexOffice:
        """The search indices of every environment."""

    @property
    def commands(self) -> Sequence[Any]:
        """Every command there is (`bot.slack.router.Command`), for help."""
