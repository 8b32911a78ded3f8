"""A bot that exports plans, small enough to be started anew and killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from bot.domain.errors import StepFailed
from bot.engine import failpoints
from bot.engine.clock import SystemClock
from bot.engine.exports import Exports
from bot.engine.runner import Area
from bot.engine.step import CheckResult, Unknown
from bot.engine.ticks import Ticks
from bot.settings import RepositorySettings
from integrations.github import GitHub
from tests.engine.scripted import RELEASER, Bot, Files, FileStep, environment, opened, steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.engine.step import Step, StepContext


class FailingStep(FileStep):
    """Cannot be done by the bot; by hand it can."""

    id: ClassVar[str] = "failing"

    async def run(self, ctx: StepContext) -> None:
        raise StepFailed(f"{ctx.step.key} does not work.", hint="by hand")


class BlurredStep(FailingStep):
    """Cannot be looked at."""

    id: ClassVar[str] = "blurred"

    async def check(self, ctx: StepContext) -> CheckResult:
        return Unknown("There is fog.")


def registry(files: Files) -> dict[str, Step]:
    return {**steps(files), "failing": FailingStep(files), "blurred": BlurredStep(files)}


def exports_of(bot: Bot, hub_url: str, known: Mapping[str, Step], *, settled: float = 0.3) -> Exports:
    settings = RepositorySettings(
        url="x", mirror=Path("x"), github="metaspace2020/metaspace", github_api=hub_url, github_token=SecretStr("t")
    )
    ports: Any = SimpleNamespace(clock=SystemClock(), server=None, site=None)
    areas = {"prod": Area(environment("prod"), ports)}
    ticks = Ticks(bot.store, clock=SystemClock(), registry=known, areas=areas, bell=bot.desk.bell)
    return Exports(
        bot.store,
        desk=bot.desk,
        hosts={"prod": GitHub(settings)},
        ticks=ticks,
        clock=SystemClock(),
        interval=0.01,
        settled=timedelta(seconds=settled),
    )


def in_a_process_of_its_own(url: str, files: Files, hub: str, failpoint: str) -> int | None:
    """Ask for the export of R1, and return how the process ended (-9: killed)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.scripted", "tests.engine.exporting"])
    child = context.Process(target=_live, args=(url, str(files.folder), hub, failpoint))
    child.start()
    child.join(150)
    return child.exitcode


def _live(url: str, folder: str, hub: str, failpoint: str) -> None:
    os.environ |= {"RELEASEBOT_FAILPOINT": failpoint, "RELEASEBOT_TESTING": "1"}
    failpoints.demand_sane()
    asyncio.run(_ask(url, Files(Path(folder)), hub))


async def _ask(url: str, files: Files, hub: str) -> None:
    async with opened(url, registry(files), owner="another") as bot:
        await exports_of(bot, hub, registry(files)).ask("R1", by=RELEASER)
