"""METASPACE takes no changes for a while, and says so: nothing may change in one pair of indices alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone, Partial
from bot.steps.drain import MESSAGE as DRAINING
from bot.steps.waiting import until
from bot.steps.words import spoken
from bot.steps.workload import described

if TYPE_CHECKING:
    from bot.domain.world import SystemHealth, Workload
    from bot.engine.step import Step, StepContext

MESSAGE = "METASPACE is being updated: you can look at everything, and change nothing for some minutes."
LOOSE_END = "read_only"  # the name under which "METASPACE is read-only" is owed and settled
UPDATES = "update"  # in the names of the queues through which edits reach the indices


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Whether this release switched it, or found it so."""

    switched: bool


class MakeReadOnly(BaseStep):
    """A message that begins with ours says that the switch is ours; what stood there before is kept behind it."""

    id: ClassVar[str] = "read_only"
    title: ClassVar[str] = "METASPACE read-only"
    by_hand: ClassVar[str] = "Turn METASPACE to read-only mode in /admin/health, with a message that says for how long."
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    changes_live: ClassVar[bool] = True
    after: ClassVar[frozenset[str]] = frozenset({"workload", "drain", "announce_start", "roll_back_agreed"})
    causes: ClassVar[tuple[str, ...]] = (
        "the update daemon hangs, so that edits wait in its queue: supervisorctl status; tail of sm-update-daemon",
        "GraphQL refuses the switch: the secret that signs the administrator's token has changed",
    )

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when nothing may be changed and no edit is on its way to the indices."""
        health = await ctx.ports.platform.health()
        if health.can_mutate:
            return NotDone("METASPACE takes changes.")
        work = await ctx.ports.platform.workload()
        if _still(health, work):
            return Done(_evidence(health))
        return Partial(Evidence(f"METASPACE is read-only, and still works: {described(work)}."))

    async def run(self, ctx: StepContext) -> None:
        """Switch, then wait for edits that were made before; raises `StepFailed` when the limit has passed."""
        health = await ctx.ports.platform.health()
        if health.can_mutate:
            await ctx.report("Making METASPACE read-only", {"owes": {LOOSE_END: "METASPACE is read-only"}})
            health = replace(health, can_mutate=False, message=_message(health.message))
            await ctx.ports.platform.set_health(health=health)
        limit = ctx.environment.drain_timeout
        work = await until(
            ctx,
            ctx.ports.platform.workload,
            enough=lambda seen: _still(health, seen),
            limit=limit,
            say=lambda seen: f"Waiting for {described(seen)}",
        )
        if not _still(health, work):
            raise StepFailed(
                f"After {spoken(limit)} edits are still on their way: {described(work)}.",
                hint="look at sm-update-daemon, then retry to wait on",
                changed="METASPACE is read-only.",
            )

    async def verify(self, ctx: StepContext) -> Evidence:
        """Read the switches back."""
        match await self.check(ctx):
            case Done(evidence):
                return evidence
            case NotDone(why):
                raise StepFailed(f"{why} Somebody switched it back.", hint="retry")
            case _:
                raise StepFailed("Edits are still on their way to the indices.", hint="retry to wait on")


def is_ours(health: SystemHealth) -> bool:
    """Tell whether the switch carries our message."""
    return not health.can_mutate and (health.message or "").startswith(MESSAGE)


def given_back(health: SystemHealth) -> SystemHealth:
    """Return the switches with read-only off, and with the message that stood there before it."""
    text = (health.message or "").removeprefix(MESSAGE).strip()
    if text == DRAINING and health.can_process_datasets:
        text = ""
    return replace(health, can_mutate=True, message=text or None)


def _message(before: str | None) -> str:
    return f"{MESSAGE} {before}" if before else MESSAGE


def _still(health: SystemHealth, work: Workload) -> bool:
    """Where processing is on, an annotation may go on: only edits on their way count."""
    if not health.can_process_datasets:
        return work.idle
    return not any(count for name, count in work.queues.items() if UPDATES in name)


def _evidence(health: SystemHealth) -> Evidence:
    switched = is_ours(health)
    how = "is read-only" if switched else "was found read-only"
    owes = {"owes": {LOOSE_END: "METASPACE is read-only"}} if switched else {}
    return Evidence(f"METASPACE {how}, and no edit is on its way.", {"switched": switched, **owes}, ReadOnly(switched))


STEP: Step = MakeReadOnly()
