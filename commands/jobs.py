"""`/release jobs`: long work on servers – how far it is, its log, a picture, its workers, and how to stop it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.errors import NotAllowed, WrongUse
from bot.slack.router import Attachment, Click, Command, CommandContext, Form, may, options
from bot.views import ids
from bot.views import jobs as views
from commands.common import answer, environment_first, no_more, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.jobs import JobView
    from bot.views.kit import Message

USAGE = "jobs [ENVIRONMENT] | log NAME [--lines N] | picture NAME | workers NAME N | stop NAME"
LONGEST = 500
_LINES = 20
_DIGITS = 3


async def jobs(ctx: CommandContext, args: tuple[str, ...]) -> None:
    """List what works on the servers: progress, speed, time left, and the line to look at it by hand; what runs comes first.

    log shows the end of a job's log here and gives the rest as a file; picture draws its progress over time. workers lets
    another number of workers share the work, 0 pauses it (releaser). stop asks for the job's name (approver, or who started it).
    """
    given = options(args, values=("env", "lines"))
    environment, words = environment_first(ctx, given.words, given.values.get("env", ""))
    what = words[0].lower() if words else ""
    if what == "workers":
        name, number = _named(words[1:], 2)
        await _workers(ctx, environment, name, number)
        return
    if what not in {"log", "picture", "stop"}:
        no_more(words, USAGE)
        await answer(ctx, views.listed(environment, await ctx.office.jobs.listed(environment)))
        return
    (name,) = _named(words[1:], 1)
    if what == "log":
        await _log(ctx, environment, name, _number(given.values.get("lines", str(_LINES))))
    elif what == "picture":
        await _picture(ctx, environment, name)
    else:
        await _ask_stop(ctx, environment, name)


async def press(ctx: CommandContext, click: Click) -> None:
    """Answer the buttons of a job's message."""
    value = unpacked(click.value)
    environment, _ = ctx.office.settings.environment(str(value.get("environment", "")))
    name = str(value.get("job", ""))
    match click.action_id:
        case ids.JOB_LOG:
            await _log(ctx, environment, name, _LINES)
        case ids.JOB_PICTURE:
            await _picture(ctx, environment, name)
        case ids.JOB_STOP:
            await _ask_stop(ctx, environment, name)
        case ids.JOB_WORKERS:
            _demand_releaser(ctx)
            view: JobView = await ctx.office.jobs.one(environment, name)
            await ctx.open_modal(views.workers_form(view, ctx.office.jobs.most_workers(view)))
        case _:
            raise WrongUse("That button is from another version of me; nothing was done.", hint="/release jobs")


def unnamed(form: Form) -> Mapping[str, str]:
    """Keep the form open until the job's name is typed exactly, and a reason given that is not too long."""
    wanted, reason = str(unpacked(form.metadata).get("job", "")), form.text(ids.REASON)
    wrong = {} if form.text(ids.TYPED) == wanted else {ids.TYPED: f"Please type {wanted}."}
    if not reason or len(reason) > LONGEST:
        wrong[ids.REASON] = f"At most {LONGEST} characters." if reason else "Please say why; its thread shows it."
    return wrong


def uncounted(form: Form) -> Mapping[str, str]:
    """Keep the form open until a number stands in it."""
    typed = form.text(ids.WORKERS)
    return {} if _counts(typed) else {ids.WORKERS: "Please type a number; 0 pauses the job."}


async def stop(ctx: CommandContext, form: Form) -> None:
    """Stop the job that the form named, with its reason."""
    environment, name = _meant(ctx, form)
    view = await ctx.office.jobs.stop(
        environment, name, by=ctx.person, typed=form.text(ids.TYPED), reason=form.text(ids.REASON), source=ctx.origin
    )
    await answer(ctx, views.asked(view))


async def change_workers(ctx: CommandContext, form: Form) -> None:
    """Change the workers of the job that the form named."""
    environment, name = _meant(ctx, form)
    await _workers(ctx, environment, name, form.text(ids.WORKERS))


async def _log(ctx: CommandContext, environment: str, name: str, lines: int) -> None:
    view: JobView = await ctx.office.jobs.one(environment, name)
    found = await ctx.office.jobs.log(environment, name, lines=lines)
    file = Attachment(f"{view.one.job.name}.log", found.whole, f"Log of {view.one.job.name}") if found.lines else None
    await _post(ctx, view, f"job-log-{ctx.source}", views.log(view, found), file)


async def _picture(ctx: CommandContext, environment: str, name: str) -> None:
    view: JobView = await ctx.office.jobs.one(environment, name)
    drawn = await ctx.office.jobs.picture(environment, name)
    file = Attachment.picture(f"{view.one.job.name}.png", drawn.png, title=view.one.job.title, alt=drawn.alt)
    await _post(ctx, view, f"job-picture-{ctx.source}", views.picture(view, drawn.alt), file)


async def _post(ctx: CommandContext, view: JobView, key: str, message: Message, file: Attachment | None) -> None:
    """Put it where it was asked for, or from outside of a thread into that of the job's release."""
    thread = ctx.thread or ((await ctx.office.desk.release(view.one.release)).thread if view.one.release else "")
    place = replace(ctx.place, thread=thread)
    await ctx.voice.say(key=key, place=place, text=message.text, blocks=message.blocks, file=file)
    ctx.answered = True
    if thread != ctx.thread:
        await answer(ctx, views.elsewhere(view))


async def _ask_stop(ctx: CommandContext, environment: str, name: str) -> None:
    await ctx.open_modal(views.stop_form(await ctx.office.jobs.one(environment, name)))


async def _workers(ctx: CommandContext, environment: str, name: str, number: str) -> None:
    _demand_releaser(ctx)
    workers = _number(number)
    view = await ctx.office.jobs.workers(environment, name, workers, by=ctx.person, source=ctx.origin)
    await answer(ctx, views.asked(view, workers=workers))


def _demand_releaser(ctx: CommandContext) -> None:
    if not (may(ctx.person, "releaser") or may(ctx.person, "approver")):
        raise NotAllowed(
            "To change a job's workers needs the role releaser or approver; nothing was changed.",
            hint="/release whoami",
        )


def _meant(ctx: CommandContext, form: Form) -> tuple[str, str]:
    value = unpacked(form.metadata)
    environment, _ = ctx.office.settings.environment(str(value.get("environment", "")))
    return environment, str(value.get("job", ""))


def _named(words: tuple[str, ...], wanted: int) -> tuple[str, ...]:
    if len(words) != wanted:
        raise WrongUse("Which job? Nothing was done.", hint=f"/release {USAGE}")
    return words


def _counts(typed: str) -> bool:
    return typed.isascii() and typed.isdecimal() and len(typed) <= _DIGITS


def _number(typed: str) -> int:
    if not _counts(typed.strip()):
        raise WrongUse(f"{typed[:20]!r} is no number; nothing was done.", hint=f"/release {USAGE}")
    return int(typed)


COMMAND = Command(
    name="jobs",
    summary="Long work on the servers: progress, log, picture, workers; stop it",
    place=21,
    handler=jobs,
    usage=USAGE.removeprefix("jobs "),
    example="/release jobs",
    buttons={"job": press},
    views={ids.STOP_JOB_FORM: stop, ids.WORKERS_FORM: change_workers},
    checks={ids.STOP_JOB_FORM: unnamed, ids.WORKERS_FORM: uncounted},
)
