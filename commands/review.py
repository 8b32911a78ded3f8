"""`/release review`: what would ship, and what it will need."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.domain.changes import Ref
from bot.domain.errors import ReleaseError, WrongUse
from bot.slack.router import Click, Command, CommandContext, options
from bot.views import ids, lists, review
from commands import start
from commands.ask import ask_authors
from commands.common import answer, environment_first, no_more, unpacked

if TYPE_CHECKING:
    from bot.domain.report import ReviewReport
    from bot.domain.review import Review

USAGE = "review [ENVIRONMENT] [BASE..HEAD | BASE HEAD] [--hotfix]"
EVIDENCE = {ids.REVIEW_COMMITS: review.commits, ids.REVIEW_FINDINGS: review.findings, ids.REVIEW_WHY: review.why}
_RANGE = re.compile(r"(?P<base>.*?)\.{2,3}(?P<head>.*)")  # no name of Git's has two dots in a row


@dataclass(frozen=True, slots=True)
class Span:
    """A range of one environment. ``names`` are what people call its ends, where ``base`` and ``head`` are commits."""

    environment: str
    base: str = ""
    head: str = ""
    hotfix: bool = False
    names: tuple[str, str] = ("", "")

    @classmethod
    def read(cls, values: dict[str, object]) -> Span:
        """Read what a button of a review carries."""
        names = values.get("names")
        first, second = names if isinstance(names, list) and len(names) == 2 else ("", "")  # noqa: PLR2004  # base, head
        return cls(
            str(values.get("environment", "")),
            str(values.get("base", "")),
            str(values.get("head", "")),
            hotfix=bool(values.get("hotfix")),
            names=(str(first), str(second)),
        )

    def named(self, facts: Review) -> Review:
        """Call the ends by their names again."""
        base, head = self.names
        return replace(
            facts,
            base=Ref(base or facts.base.ref, facts.base.sha),
            head=Ref(head or facts.head.ref, facts.head.sha),
        )


async def show_review(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """Show commits, pull requests, findings, CI, the version and the strategy to take. Without BASE and HEAD: release...master.

    While required CI jobs are undecided the message goes on following them, 45 minutes at most.
    """
    given = options(args, switches=("hotfix",), values=("env",))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    base, head = _ends(words)
    hotfix = "hotfix" in given.switches
    if hotfix and words:
        raise WrongUse(
            "A hotfix has its own range: what is live...release; nothing was done.", hint="/release review --hotfix"
        )
    await _show(ctx, Span(environment, base, head, hotfix=hotfix), key=f"review-{ctx.source}")


async def press(ctx: CommandContext, click: Click) -> None:
    """Answer the review's buttons: evidence in private, another range for everybody, failed jobs again, its authors, or a release."""
    asked = unpacked(click.value)
    span, key = Span.read(asked), str(asked.get("key", ""))
    match click.action_id:
        case ids.REVIEW_START:
            await start.open_preview(ctx, start.Request(span.environment, hotfix=span.hotfix))
        case ids.REVIEW_LIVE:
            await _show(ctx, span, key=f"review-{ctx.source}")
        case ids.REVIEW_RERUN:
            await _rerun(ctx, span, key)
        case ids.REVIEW_ASK:
            report = await ctx.office.review(
                environment=span.environment, base=span.base, head=span.head, names=span.names, hotfix=span.hotfix
            )
            await ask_authors(ctx, report, thread=ctx.thread or click.message)
        case ids.REVIEW_MERGE:
            await answer(ctx, review.merge(str(asked.get("url", ""))))
        case evidence if evidence in EVIDENCE:
            facts = await ctx.office.facts(environment=span.environment, base=span.base, head=span.head)
            await answer(ctx, EVIDENCE[evidence](span.named(facts)))
        case _:
            raise WrongUse("That button is from another version of me; nothing was done.", hint="/release review")


def _ends(words: tuple[str, ...]) -> tuple[str, str]:
    """Take BASE..HEAD (or three dots, or GitHub's page of it), BASE HEAD, or HEAD alone; an empty end is the usual one."""
    if words and (found := _RANGE.fullmatch(re.sub(r"^https?://.*/compare/|\?.*$", "", words[0]))):
        no_more(words[1:], USAGE)
        if not any(found.groups()):
            raise WrongUse("A range needs at least one end; nothing was done.", hint="/release review 1.9.9..master")
        return found["base"], found["head"]
    no_more(words[2:], USAGE)
    return (words[0], words[1]) if len(words) == 2 else ("", words[0] if words else "")  # noqa: PLR2004  # BASE HEAD


async def _show(ctx: CommandContext, span: Span, *, key: str, rerun_by: str = "") -> None:
    """Post the message of this key, and go on editing it as facts arrive and CI goes on. After a rerun it is there already."""
    if not rerun_by:
        await ctx.post(key, *review.asking(span.environment))

    async def fill(report: ReviewReport) -> None:
        await ctx.post(key, *review.review(replace(report, rerun_by=rerun_by), key=key))

    try:
        await ctx.office.review(
            environment=span.environment,
            base=span.base,
            head=span.head,
            names=span.names,
            hotfix=span.hotfix,
            tell=fill,
            follow=key,
            expecting=bool(rerun_by),
        )
    except ReleaseError as error:
        if rerun_by:
            raise
        await ctx.post(key, *lists.error(error))


async def _rerun(ctx: CommandContext, span: Span, key: str) -> None:
    """Run the failed jobs again, say so in private, and let the review's message follow them."""
    done = await ctx.office.rerun_ci(environment=span.environment, commit=span.head)
    await answer(ctx, review.rerun(done))
    if done.started and key:
        await _show(ctx, span, key=key, rerun_by=ctx.person.slack)


COMMAND = Command(
    name="review",
    summary="What would ship, and what it will need",
    place=10,
    handler=show_review,
    usage=USAGE.removeprefix("review "),
    example="/release review 1.9.9..master",
    buttons={"review": press},
    roles={ids.REVIEW_RERUN: "releaser"},
)
