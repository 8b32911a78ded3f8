"""`/release review`: what would ship, and what it will need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import ReleaseError, WrongUse
from bot.slack.router import Click, Command, CommandContext, options
from bot.views import ids, lists, review
from commands import start
from commands.ask import ask_authors
from commands.common import answer, environment_first, no_more, unpacked

if TYPE_CHECKING:
    from bot.domain.report import ReviewReport

USAGE = "review [ENVIRONMENT] [BASE HEAD] [--hotfix]"


async def show_review(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show commits, pull requests, findings, CI, the version and the strategy to take. Without BASE and HEAD: release...master."""
    given = options(args, switches=("hotfix",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words[2:], USAGE)
    base, head = (words[0], words[1]) if len(words) == 2 else ("", words[0] if words else "")  # noqa: PLR2004  # BASE HEAD
    hotfix = "hotfix" in given.switches
    if hotfix and words:
        raise WrongUse(
            "A hotfix has its own range: what is live...release; nothing was done.", hint="/release review --hotfix"
        )
    key = f"review-{ctx.source}"
    await ctx.post(key, *review.asking(environment))

    async def fill(report: ReviewReport) -> None:
        await ctx.post(key, *review.review(report))

    try:
        await ctx.office.review(environment=environment, base=base, head=head, hotfix=hotfix, tell=fill)
    except ReleaseError as error:
        await ctx.post(key, *lists.error(error))


async def press(ctx: CommandContext, click: Click) -> None:
    """Answer the review's buttons: all commits, all findings, ask authors, or start a release of this environment."""
    asked = unpacked(click.value)
    environment, hotfix = str(asked.get("environment", "")), bool(asked.get("hotfix"))
    if click.action_id == ids.REVIEW_START:
        await start.open_preview(ctx, start.Request(environment, hotfix=hotfix))
        return
    if click.action_id == ids.REVIEW_ASK:
        report = await ctx.office.review(
            environment=environment, base=str(asked.get("base", "")), head=str(asked.get("head", "")), hotfix=hotfix
        )
        await ask_authors(ctx, report, thread=ctx.thread or click.message)
        return
    view = review.commits if click.action_id == ids.REVIEW_COMMITS else review.findings
    base, head = str(asked.get("base", "")), str(asked.get("head", ""))
    await answer(ctx, view(await ctx.office.review(environment=environment, base=base, head=head)))


COMMAND = Command(
    name="review",
    summary="What would ship, and what it will need",
    place=10,
    handler=show_review,
    usage=USAGE.removeprefix("review "),
    example="/release review",
    buttons={"review": press},
)
