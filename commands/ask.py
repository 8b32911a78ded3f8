"""`/release ask`: what must be done by hand, asked of the authors themselves; their buttons and the form of a yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.asking import Moment, Said
from bot.domain.errors import Conflict, NotAllowed
from bot.engine.authors import demand_author
from bot.slack.router import Click, Command, CommandContext, Form, may, options
from bot.views import authors, ids, lists
from commands.common import answer, environment_first, no_more, tell, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.asking import Asked
    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import ReviewReport

USAGE = "ask [ENVIRONMENT] [--hotfix]"


async def ask(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Post each author of what would ship a short question in a thread. Nobody is asked twice about a pull request.

    In the thread of a review, mention me instead: the questions then stand in it.
    """
    given = options(args, switches=("hotfix",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    no_more(words, USAGE)
    report = await ctx.office.review(environment=environment, hotfix="hotfix" in given.switches)
    await ask_authors(ctx, report, thread=ctx.thread)


async def ask_authors(ctx: CommandContext, report: ReviewReport, *, thread: str) -> None:
    """Ask the authors of a review, and tell in private what that came to."""
    if not may(ctx.person, "releaser"):
        raise NotAllowed("Asking authors needs the role releaser; nobody was asked.", hint="/release whoami")
    if not report.review.pull_requests:
        raise Conflict("There is no pull request in this range, so there is nobody to ask.", hint="/release review")
    done = await ctx.office.authors.ask(
        report, by=ctx.person.slack, channel=ctx.channel, thread=thread, source=ctx.origin
    )
    still = sum(one.open for one in done.every)
    fresh = f"Asked {len(done.new)} of them now." if done.new else "Everybody has been asked already."
    await answer(ctx, lists.sentence(f"{fresh} Open: {still} of {len(done.every)}."))
    if done.matched.unknown:
        await answer(ctx, authors.unknown_message(done.matched))


async def press(ctx: CommandContext, click: Click) -> None:
    """Take "nothing by hand", or open the form of a yes."""
    question = str(unpacked(click.value).get("question", ""))
    if click.action_id == ids.ASK_NOTHING:
        await tell(ctx, await ctx.office.authors.answer(question, by=ctx.person, said=Said.NOTHING, source=ctx.origin))
        return
    asked = await ctx.office.authors.desk.question(question)
    demand_author(asked, ctx.person)
    if asked.open:
        await ctx.open_modal(authors.yes_form(asked))
    else:
        await answer(ctx, lists.sentence(authors.late(asked)))


async def submit(ctx: CommandContext, form: Form) -> None:
    """Take a yes with what its form collected, and warn where a release is under way that was planned without it."""
    question = str(unpacked(form.metadata).get("question", ""))
    decided = await ctx.office.authors.answer(
        question,
        by=ctx.person,
        said=Said.YES,
        source=ctx.origin,
        what=form.text(ids.WHAT),
        moment=form.text(ids.WHEN) or Moment.BEFORE,
        how=form.text(ids.HOW),
    )
    await tell(ctx, decided)
    if decided.effective:
        await _warn(ctx, await ctx.office.authors.desk.question(question))


async def _warn(ctx: CommandContext, asked: Asked) -> None:
    """Tell who releases that this came too late for the plan, where one that ships these pull requests is under way."""
    for release in await ctx.office.desk.active():
        if release.environment == asked.environment and _ships(release, asked):
            await ctx.post(f"{asked.id}:{release.id}", *authors.too_late(asked, release))


def _ships(release: ReleaseView, asked: Asked) -> bool:
    """Tell whether the plan has these pull requests; a checklist without the step about authors does not say, so perhaps."""
    listed = [pulls for step in release.plan.steps if isinstance(pulls := step.params.get("pulls"), list | tuple)]
    numbers = {number for number, _ in asked.pulls}
    return not listed or any(numbers & set(pulls) for pulls in listed)


def incomplete(form: Form) -> Mapping[str, str]:
    """Keep the form open while it does not say what is to be done."""
    return {} if form.text(ids.WHAT) else {ids.WHAT: "Please say what must be done by hand."}


COMMAND = Command(
    name="ask",
    summary="Ask authors what must be done by hand",
    handler=ask,
    usage=USAGE.removeprefix("ask "),
    example="/release ask",
    role="releaser",
    buttons={"ask": press},
    views={ids.ASK_FORM: submit},
    checks={ids.ASK_FORM: incomplete},
    roles={"ask": "", ids.ASK_FORM: ""},  # an author need not be on the list; whose a question is, is looked at above
)
