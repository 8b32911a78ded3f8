"""What `/release start --at` adds to a start: the time on the caller's clocks, and the confirmed plan kept until then."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from bot.domain import when
from bot.domain.errors import ReleaseError, WrongUse
from bot.views import schedule as views

if TYPE_CHECKING:
    from bot.domain.report import PreparedPlan
    from bot.slack.router import CommandContext
    from commands.start import Request

_log = structlog.get_logger()


async def timed(ctx: CommandContext, request: Request, typed: str) -> Request:
    """Read the time that was typed; raises `WrongUse` for what is none, or is over."""
    zone = await zone_of(ctx)
    found = when.meant(typed, now=ctx.office.clock.now(), zone=zone)
    return replace(request, at=found.at.isoformat(), zone=zone.key, note=found.note)


async def zone_of(ctx: CommandContext) -> ZoneInfo:
    """Return the zone of the person's profile in Slack; the settings' where Slack does not tell one that is known."""
    try:
        name: str = await ctx.office.authors.directory.zone(ctx.person.slack)
        return ZoneInfo(name)
    except ReleaseError as error:
        _log.info("time_zone_not_read", why=error.message)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # no zone in the profile, or one that is not known here
        _log.info("time_zone_unknown", person=ctx.person.slack)
    zone: ZoneInfo = ctx.office.settings.zone
    return zone


def moment(request: Request) -> datetime:
    """Return when a request is to begin; raises `WrongUse` for a button of another version."""
    try:
        ZoneInfo(request.zone)
        at = datetime.fromisoformat(request.at)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        at = None
    if at is None or at.tzinfo is None:
        raise WrongUse(
            "That message is from another version of me; nothing was scheduled.", hint="/release start --at …"
        )
    return at


def words(request: Request) -> str:
    """Say when it begins (mrkdwn); empty for what begins at once."""
    return views.at_words(moment(request), request.zone, request.note) if request.at else ""


async def keep(ctx: CommandContext, request: Request, prepared: PreparedPlan) -> str:
    """Keep what was confirmed until its time; returns what became of the preview."""
    made = await ctx.office.schedule.make(
        prepared,
        asdict(request),
        at=moment(request),
        zone=request.zone,
        by=ctx.person,
        channel=ctx.channel,
        source=ctx.source,
    )
    return f"scheduled by <@{ctx.person.slack}> as {made.name} for {words(request)}"
