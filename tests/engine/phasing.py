"""A release that needs the environment's lock for a part of its steps, carried out by a bot that may be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bot.domain.release import FINISHED
from bot.engine import failpoints
from tests.engine.scripted import RELEASER, Files, FileStep, opened, plan, running, steps

if TYPE_CHECKING:
    from bot.engine.step import Step, StepContext

LONG = replace(
    plan(("prepare", "asking"), ("still", "still"), ("deploy", "deploy"), ("prove_live", "file"), ("tell", "asking")),
    locked_from="still",
    locked_until="prove_live",
    version="2.0.0",
)


class StillStep(FileStep):
    """Writes down what went live since its release began."""

    id: ClassVar[str] = "still"

    async def run(self, ctx: StepContext) -> None:
        for one in await ctx.since():
            self.files.do("since", f"{one.release} {one.version} {one.head[:4]}")
        self.files.do(ctx.step.key, ctx.mark)


class DeployStep(FileStep):
    id: ClassVar[str] = "deploy"
    changes_live: ClassVar[bool] = True


def known(files: Files) -> dict[str, Step]:
    return {**steps(files), "still": StillStep(files), "deploy": DeployStep(files)}


def in_a_process_of_its_own(url: str, folder: Path, failpoint: str = "") -> int | None:
    """Carry the long release out, saying yes to everything, and return how the process ended (-9: killed)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.scripted"])
    child = context.Process(target=_live, args=(url, str(folder), failpoint))
    child.start()
    child.join(100)
    return child.exitcode


def _live(url: str, folder: str, failpoint: str) -> None:
    if failpoint:
        os.environ |= {"RELEASEBOT_FAILPOINT": failpoint, "RELEASEBOT_TESTING": "1"}
    failpoints.demand_sane()
    asyncio.run(_serve(url, Files(Path(folder))))


async def _serve(url: str, files: Files) -> None:
    async with opened(url, known(files), owner=f"process {os.getpid()}") as bot:
        await bot.ledger.free_all()
        before = await bot.desk.history("prod", limit=1)
        release = before[0].id if before else await bot.start(LONG)
        async with running(bot):
            while (seen := await bot.desk.release(release)).state not in FINISHED:
                for one in seen.questions:
                    yes = one.question.choices[0]
                    await bot.desk.answer(question=one.id, kind=yes.kind, by=RELEASER, value=yes.value)
                await bot.desk.bell.wait(at_most=0.05)
