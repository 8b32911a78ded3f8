"""When the bot pauses a release by itself: the site is away for too long, or a proved service is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.release import ReleaseState, StepState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from bot.domain.world import Program

DEPLOY, PROOF = "deploy", "prove_live"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went bad. ``key`` is the same while it is the same trouble; ``pause`` is False where it is only told."""

    key: str
    why: str
    pause: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """The site is down at this moment; ``id`` is that of its row."""

    id: int
    seconds: float
    detail: str


def of_site(
    outage: Outage | None,
    *,
    state: ReleaseState,
    step: str,
    warn_after: float,
    pause_after: float,
    beside: bool = False,
) -> Trouble | None:
    """A short outage is expected in a deploy, and while it is being proved: there it is only told.

    Outside of it the release is paused, so that nothing more is changed on a site that is down. ``step``: the id of the step
    in work. ``beside``: it works beside the lock, so another release may be deploying: it is told, and nothing is paused.
    """
    if outage is None or state is not ReleaseState.RUNNING:
        return None
    down = f"The site has been down for {outage.seconds:.0f} s ({outage.detail})."
    if step in (DEPLOY, PROOF):
        return Trouble(f"warning:{outage.id}", down, pause=False) if outage.seconds >= warn_after else None
    return Trouble(f"outage:{outage.id}", down, pause=not beside) if outage.seconds >= pause_after else None


def watched_now(*, state: ReleaseState, steps: Iterable[tuple[str, StepState]]) -> bool:
    """Tell whether services are looked at: the release has proved them, and goes on."""
    return state is ReleaseState.RUNNING and any(step == PROOF and at is StepState.DONE for step, at in steps)


def of_programs(programs: Sequence[Program], *, watched: Collection[str], ending: Collection[str]) -> Trouble | None:
    """A watched program that does not run. One that ends by itself may be seen between its end and its next start."""
    for program in programs:
        names = {program.name, program.group}
        if not names & set(watched) or program.state in ("RUNNING", "STARTING"):
            continue
        if program.state == "EXITED" and names & set(ending):
            continue
        since = program.started_at.isoformat() if program.started_at else ""
        detail = f" ({program.detail})" if program.detail else ""
        return Trouble(
            f"program:{program.name}:{program.state}:{since}",
            f"{program.name} is {program.state}{detail}, after it was proved to run.",
            pause=True,
        )
    return None
