"""Elasticsearch can take a second pair of indices: the layout is sound, the indices are well, and the disk has room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from bot.domain.errors import StepFailed
from bot.domain.layout import room_needed
from bot.domain.plan import Command
from bot.engine.index_looks import Look
from bot.engine.step import BaseStep, CheckResult, Done, Evidence, NotDone
from bot.steps.pairs import PORTS, STATUS, USABLE, WEB, inactive_of, search, sized

if TYPE_CHECKING:
    from bot.domain.indices import Seen
    from bot.domain.plan import Plan, PlannedStep
    from bot.engine.step import Step, StepContext, StepEnvironment
    from bot.ports import Ports


@dataclass(frozen=True, slots=True)
class Ready:
    """What was live when the release began to prepare: the commit that the server had, and the indices."""

    commit: str
    live: list[str]
    size: int  # bytes of the live pair
    datasets: int


class EsReady(BaseStep):
    """Changes nothing. An earlier inactive pair counts as room: it is dropped before the new one is made."""

    id: ClassVar[str] = "es_ready"
    title: ClassVar[str] = "Elasticsearch ready for a second pair"
    by_hand: ClassVar[str] = (
        "Look at the indices with manage_es_index status: both aliases must point at the same side, green or yellow, "
        "and the disk must take 1.3 times their size below Elasticsearch's watermark."
    )
    scope: ClassVar[Literal["world", "this_release"]] = "this_release"
    on_interrupt: ClassVar[Literal["rerun", "attach", "ask"]] = "rerun"
    skip: ClassVar[Literal["never", "approver", "releaser"]] = "approver"
    ports: ClassVar[frozenset[str]] = PORTS
    after: ClassVar[frozenset[str]] = frozenset({"review_acknowledged", "ci_green"})
    causes: ClassVar[tuple[str, ...]] = (
        "an earlier swap was left in the middle: the two aliases point at different sides",
        "an index is red since a restart: journalctl -u elasticsearch; its log in /var/log/elasticsearch",
        "logs, snapshots or an earlier pair fill the disk: df -h; manage_es_index status",
    )

    def commands(
        self,
        plan: Plan,  # noqa: ARG002  # the contract's parameters
        step: PlannedStep,  # noqa: ARG002
        environment: StepEnvironment,
        ports: Ports,  # noqa: ARG002
    ) -> tuple[Command, ...]:
        """Return the line that shows both pairs."""
        return (Command(WEB, STATUS, environment.live_code), Command(WEB, ("df", "-h"), ""))

    async def check(self, ctx: StepContext) -> CheckResult:
        """Done when nothing stands in the way."""
        seen = await search(ctx).indices.look()
        if wrong := await _wrong(ctx, seen):
            return NotDone(" ".join(wrong))
        return Done(await self._evidence(ctx, seen))

    async def run(self, ctx: StepContext) -> None:
        """Change nothing; raises `StepFailed` with all that stands in the way."""
        _demand(await _wrong(ctx, await search(ctx).indices.look()))

    async def verify(self, ctx: StepContext) -> Evidence:
        """Look once more."""
        seen = await search(ctx).indices.look()
        _demand(await _wrong(ctx, seen))
        return await self._evidence(ctx, seen)

    async def _evidence(self, ctx: StepContext, seen: Seen) -> Evidence:
        ids = await search(ctx).datasets.dataset_ids()
        room = await search(ctx).indices.room()
        commit = (await ctx.ports.server.checkout()).commit
        live = Look(seen).live
        names = list(live.names) if live else []
        size = _size(seen)
        ready = Ready(commit, names, size, len(ids))
        free = f"{sized(room.until_watermark)} may be written before the watermark"
        summary = f"{' and '.join(names)} are live, {sized(size)} with {len(ids):,} datasets; {free}."
        facts: dict[str, object] = {"live": names, "size": size, "until_watermark": room.until_watermark}
        return Evidence(summary, {**facts, "datasets": len(ids), "commit": commit}, ready)


async def _wrong(ctx: StepContext, seen: Seen) -> list[str]:
    live = Look(seen).live
    if live is None:
        return [Look(seen).fault]
    found = [(name, seen.indices.get(name)) for name in live.names]
    wrong = [f"{name} is not open." for name, one in found if one is None or not one.open]
    wrong += [f"{one.name} is {one.health}." for _, one in found if one and one.open and one.health not in USABLE]
    room = await search(ctx).indices.room()
    freed = sum(one.size for one in inactive_of(seen)[1])
    needed = room_needed(seen)
    if room.until_watermark + freed < needed:
        after = f", {sized(freed)} more once the inactive pair is dropped" if freed else ""
        wrong.append(
            f"The disk takes {sized(room.until_watermark)} before its watermark{after}; "
            f"1.3 times the live pair is {sized(needed)}."
        )
    return wrong


def _size(seen: Seen) -> int:
    live = Look(seen).live
    return sum(one.size for name in live.names if (one := seen.indices.get(name))) if live else 0


def _demand(wrong: list[str]) -> None:
    if wrong:
        raise StepFailed(
            " ".join(wrong),
            hint="/release es status shows both pairs; mend what is named, then retry",
            changed="Nothing was changed.",
        )


STEP: Step = EsReady()
