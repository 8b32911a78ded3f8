"""Questions to authors in their thread, the form of a yes, and who authors are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.asking import Asked, Moment, Said, open_ones, yes_ones
from bot.views import ids, kit, limits
from bot.views.text import code, count, escape, listing, mention, paragraphs, size, when

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.people import Author, Link
    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import ReviewReport
    from bot.engine.authors import Matched

_MOST_PEOPLE = 20  # two blocks each, in a message of 50
_PULLS = 15
_WHEN = {Moment.BEFORE: "before the deploy", Moment.AFTER: "after the deploy"}


def question(asked: Asked) -> kit.Message:
    """Ask one author; only who must act is mentioned. Once answered the buttons are gone, and it says who answered what."""
    if asked.answer or not asked.open:
        text = f"{escape(asked.name, 80)}, {asked.numbers[:400]}: {_outcome(asked)}"
        return kit.message(text, [kit.section(text), *_instructions(asked)])
    who = mention(asked.slack) if asked.slack else f"{escape(asked.name, 80)} ({code(asked.identity, 80)})"
    text = f"{who} Must anything be done by hand when this goes to {escape(asked.environment, 40)}?"
    value = {"question": asked.id}
    blocks = [
        kit.section(text),
        *kit.lines(list(_about(asked)), room=2500),
        *kit.actions(
            f"ask-{asked.id}",
            [kit.button("Nothing by hand", ids.ASK_NOTHING, value), kit.button("Yes: …", ids.ASK_YES, value)],
        ),
        kit.context(f"Asked for {mention(asked.asked_by)} {when(asked.asked_at)}. {_whose(asked)}"),
    ]
    return kit.message(f"{text} {asked.numbers[:400]}", blocks)


def inquiry(asked: Sequence[Asked]) -> kit.Message:
    """Begin the thread, or the questions in a review's thread: who was asked, and what they said so far."""
    still = open_ones(asked)
    first = f"Asked {count(len(asked), 'author')} what must be done by hand"
    text = f"{first}: {len(asked) - len(still)} answered, {len(still)} open"
    rows = [f"• {escape(one.name, 80)} ({one.numbers[:200]}): {_outcome(one)}" for one in asked]
    return kit.message(text, [kit.section(f"*{text}*"), *kit.lines(rows, room=6000)])


def reminder(still: Sequence[Asked]) -> kit.Message:
    """Remind of what is open in a thread."""
    who = [
        f"{mention(one.slack) if one.slack else escape(one.name, 80)} ({one.numbers[:200]})"
        for one in still[:_MOST_PEOPLE]
    ]
    text = f"Still open: must anything be done by hand? {listing(who)}. Please answer above."
    return kit.message(text, [kit.section(text)])


def found(asked: Sequence[Asked]) -> kit.Message:
    """Tell somebody that questions in this thread are theirs: an edit of the question would mention nobody."""
    text = (
        f"{mention(asked[0].slack)} Above is a question for you: {listing(one.numbers[:200] for one in asked)}."
        if asked
        else ""
    )
    return kit.message(text, [kit.section(text)])


def yes_form(asked: Asked) -> dict[str, Any]:
    """Collect what must be done by hand, when, and how."""
    blocks = [
        kit.section(f"For {asked.numbers[:800]} in {code(asked.environment)}. It becomes a step of the plan."),
        kit.text_input(ids.WHAT, "What must be done by hand?", hint="One sentence, the title of the step."),
        kit.choice(ids.WHEN, "When?", [(str(one), _WHEN[one].capitalize()) for one in Moment]),
        kit.text_input(
            ids.HOW,
            "How: commands or instructions",
            multiline=True,
            optional=True,
            hint="Whoever does it reads this. Write no passwords: everybody in the channel sees it.",
        ),
    ]
    metadata = {"question": asked.id}
    return kit.modal(callback=ids.ASK_FORM, title="By hand", submit="Answer", blocks=blocks, metadata=metadata)


def taken(asked: Asked) -> str:
    """Thank for an answer."""
    by_hand = bool(asked.answer and asked.answer.said is Said.YES)
    return f"Noted for {asked.numbers[:400]}.{' It becomes a step of the plan.' if by_hand else ''}"


def late(asked: Asked) -> str:
    """Say that the question was answered, and by whom."""
    return f"{asked.numbers[:400]}: {_outcome(asked)} Your answer changed nothing."


def too_late(asked: Asked, release: ReleaseView) -> kit.Message:
    """Tell who releases of an answer that came after the plan was made."""
    what = asked.answer.what if asked.answer else ""
    text = (
        f"{mention(release.started_by)} {escape(release.id, 40)} was planned before this answer, so it has no step for "
        f"“{escape(what, 200)}” ({asked.numbers[:200]}). See to it by hand, or abort and start again."
    )
    return kit.message(text, [kit.section(text)])


def answers_line(report: ReviewReport) -> Iterator[str]:
    """Sum the answers up in a line of the review and of the plan's preview; each yes has a line of its own."""
    pulls = report.review.pull_requests
    if not pulls or report.asked is None:
        return
    if not report.asked:
        yield "*Authors:* not asked whether anything must be done by hand"
        return
    still = open_ones(report.asked)
    asked = {number for one in report.asked for number, _ in one.pulls}
    rest = sum(pull.number not in asked for pull in pulls)
    nothing = sum(one.answer is not None and one.answer.said is Said.NOTHING for one in report.asked)
    parts = [f"{nothing} of {count(len(report.asked), 'question')} answered “nothing by hand”"]
    parts += [f"open: {listing(f'{escape(one.name, 40)} ({one.numbers[:80]})' for one in still[:8])}"] if still else []
    parts += [f"{count(rest, 'pull request')} not asked about"] if rest else []
    yield f"*Authors:* {'; '.join(parts)}"
    for one in yes_ones(report.asked)[:5]:
        if one.answer:
            yield f"By hand {_WHEN[one.answer.moment]}: “{escape(one.answer.what, 160)}” ({one.numbers[:80]}, {escape(one.name, 40)})"


def people(matched: Matched, links: Sequence[Link], *, may_link: bool) -> kit.Message:
    """List the authors of a range and who they are; who may link has menus below each unknown one."""
    text = f"{count(len(matched.people), 'author')} of the pull requests that would ship"
    if not matched.people:
        text = "No pull request by a person would ship"
    rows = [f"• {_author(author)} → {mention(found.slack)} ({found.how})" for author, found in matched.people if found]
    blocks: list[Block] = [kit.section(f"*{text}*"), *(kit.lines(rows, room=3000) if rows else [])]
    blocks += who_is(matched, may_link=may_link)
    here = {author.identity for author, _ in matched.people}
    others = [f"{code(one.identity, 80)} → {mention(one.slack)}" for one in links if one.identity not in here]
    blocks += kit.lines([f"*Linked besides*: {', '.join(others)}"], room=1000) if others else []
    blocks += [kit.context(f"Slack could not be asked: {escape(matched.problem, 300)}")] if matched.problem else []
    return kit.message(f"{text}; {len(matched.unknown)} unknown", blocks)


def who_is(matched: Matched, *, may_link: bool = True) -> list[Block]:
    """Ask a releaser, in private, who authors are: the likeliest people in one menu, everybody in the other."""
    unknown = matched.unknown
    blocks: list[Block] = []
    for number, author in enumerate(unknown[:_MOST_PEOPLE]):
        blocks.append(kit.section(f"Who is {_author(author)}?"))
        if may_link and size(ids.PEOPLE_ELSE + author.identity) <= limits.NAME:
            likely = matched.suggested.get(author.identity, ())
            menus = [kit.menu(f"{ids.PEOPLE_WHO}{author.identity}", "Perhaps …", likely)] if likely else []
            anybody = kit.person_menu(f"{ids.PEOPLE_ELSE}{author.identity}", "Somebody else …")
            blocks += kit.actions(f"people-{number}", [*menus, anybody])
    if unknown[_MOST_PEOPLE:]:
        how = code("/release people link LOGIN @person")
        blocks.append(kit.context(f"… and {len(unknown) - _MOST_PEOPLE} more: {how}"))
    return blocks


def unknown_message(matched: Matched) -> kit.Message:
    """Ask who some authors are, after they were asked without anybody being mentioned."""
    unknown = len(matched.unknown)
    text = f"I do not know who {count(unknown, 'author')} in Slack {'is' if unknown == 1 else 'are'}"
    return kit.message(text, [kit.section(f"*{text}*"), *who_is(matched)])


def _author(author: Author) -> str:
    name = f" {escape(author.name, 60)}" if author.name.lower() != author.identity else ""
    numbers = listing(f"#{pull.number}" for pull in author.pulls[:8])
    return f"{code(author.identity, 80)}{name} ({numbers}{' …' if author.pulls[8:] else ''})"


def _about(asked: Asked) -> Iterator[str]:
    for number, title in asked.pulls[:_PULLS]:
        yield f"• #{number} {escape(title, 120)}"
    if asked.pulls[_PULLS:]:
        yield f"… and {len(asked.pulls) - _PULLS} more"
    if asked.paths:
        yield f"They bring {listing(code(path, 120) for path in asked.paths[:6])}: how and when is it run?"


def _whose(asked: Asked) -> str:
    if asked.slack:
        return "A releaser may answer in the author's place."
    return (
        f"Nobody here is known as {code(asked.identity, 80)}: {code(f'/release people link {asked.identity} @person')}."
    )


def _outcome(asked: Asked) -> str:
    answer = asked.answer
    if answer is None:
        return "open" if asked.open else "released without an answer."
    place = " in the author's place" if answer.on_behalf else ""
    who = f"({mention(answer.by)}{place}, {when(answer.at)})."
    if answer.said is Said.NOTHING:
        return f"nothing by hand {who}"
    return f"{_WHEN[answer.moment]}, by hand: “{escape(answer.what, 200)}” {who}"


def _instructions(asked: Asked) -> list[Block]:
    how = asked.answer.how if asked.answer else ""
    return kit.lines(paragraphs(how, limits.INITIAL).splitlines(), room=limits.INITIAL) if how.strip() else []
