"""How far a job has come over time, as a picture: PNG, drawn with Pillow (docs/decisions/0004-pillow.md). Pure."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from bot.domain.progress import percent

if TYPE_CHECKING:
    from bot.domain.progress import Estimate, Point

WIDTH, HEIGHT = 1200, 640  # pixels: sharp on a phone, small in a thread
LEFT, RIGHT, TOP, BOTTOM = 120, 40, 110, 90
_INK, _SOFT, _GRID, _LINE, _AHEAD, _PAPER = "#1d1c1d", "#616061", "#dddddd", "#1f4e79", "#9a6700", "#ffffff"
_TICKS = 6
_STEPS = (
    1,
    5,
    10,
    30,
    60,
    300,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    172800,
    604800,
)  # seconds between two times
_FEW_HOURS, _MINUTES = timedelta(hours=20), timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn. ``history`` is (time, done), oldest first, two points at least; ``now`` ends the solid line."""

    title: str
    total: int
    history: tuple[Point, ...]
    now: datetime
    estimate: Estimate | None = None
    failed: int = 0


def words(drawing: Drawing) -> str:
    """Say in words what the picture shows."""
    (first, _), (_, done) = drawing.history[0], drawing.history[-1]
    failed = f", {drawing.failed:,} failed" if drawing.failed else ""
    ahead = f"; expected to end {_end(drawing):%Y-%m-%d %H:%M} UTC" if drawing.estimate and done < drawing.total else ""
    return (
        f"Datasets done over time, {first:%Y-%m-%d %H:%M} to {drawing.now:%Y-%m-%d %H:%M} UTC: "
        f"{done:,} of {drawing.total:,} ({percent(done, drawing.total)} %){failed}{ahead}."
    )


def draw(drawing: Drawing) -> bytes:
    """Draw it: time across, datasets upwards, done as a line, what is expected dashed, all of them as the upper edge."""
    image = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    pen = ImageDraw.Draw(image)
    scale = _Scale(drawing)
    _headings(pen, drawing)
    _numbers(pen, scale, drawing)
    _times(pen, scale)
    points = [scale.at(*point) for point in drawing.history]
    points.append(scale.at(drawing.now, drawing.history[-1][1]))
    pen.line(points, fill=_LINE, width=4, joint="curve")
    if scale.until > drawing.now:
        _dashed(pen, points[-1], scale.at(scale.until, drawing.total))
    pen.rectangle((LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM), outline=_SOFT, width=2)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


class _Scale:
    """From times and numbers to pixels."""

    def __init__(self, drawing: Drawing) -> None:
        self.since = drawing.history[0][0]
        left = drawing.total > drawing.history[-1][1]
        self.until = _end(drawing) if drawing.estimate and left else drawing.now
        self.until = max(self.until, self.since + timedelta(seconds=1))
        self.top = max(drawing.total, drawing.history[-1][1], 1)

    def across(self, moment: datetime) -> float:
        part = (moment - self.since) / (self.until - self.since)
        return LEFT + max(0.0, min(part, 1.0)) * (WIDTH - LEFT - RIGHT)

    def up(self, done: float) -> float:
        return HEIGHT - BOTTOM - done / self.top * (HEIGHT - TOP - BOTTOM)

    def at(self, moment: datetime, done: float) -> tuple[float, float]:
        return self.across(moment), self.up(done)


def _end(drawing: Drawing) -> datetime:
    left = drawing.estimate.left if drawing.estimate else 0.0
    return drawing.now + timedelta(seconds=min(left, 365 * 86400.0))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _headings(pen: ImageDraw.ImageDraw, drawing: Drawing) -> None:
    done = drawing.history[-1][1]
    pen.text((LEFT, 22), _fitting(drawing.title), font=_font(30), fill=_INK)
    failed = f", {drawing.failed:,} failed" if drawing.failed else ""
    ahead = "; dashed: expected" if drawing.estimate and done < drawing.total else ""
    line = f"{done:,} of {drawing.total:,} datasets done ({percent(done, drawing.total)} %){failed}{ahead}"
    pen.text((LEFT, 66), line, font=_font(22), fill=_SOFT)


def _fitting(title: str) -> str:
    """Return as much of the title as the picture is wide, of the signs that its font has."""
    plain = title.replace("–", "-").replace("→", "->")
    shown = "".join(sign if sign.isprintable() and ord(sign) < 0x250 else "?" for sign in plain)  # noqa: PLR2004  # Latin
    font = _font(30)
    while shown and font.getlength(shown) > WIDTH - LEFT - RIGHT:
        shown = f"{shown[:-2].rstrip()}…" if not shown.endswith("…") else f"{shown[:-3].rstrip()}…"
    return shown


def _numbers(pen: ImageDraw.ImageDraw, scale: _Scale, drawing: Drawing) -> None:
    step = _round(scale.top / 5)
    marks = [*range(0, scale.top, step)]
    marks = [one for one in marks if scale.top - one >= step / 2] + [scale.top]
    for one in marks:
        height = scale.up(one)
        pen.line((LEFT, height, WIDTH - RIGHT, height), fill=_GRID, width=1)
        pen.text((LEFT - 14, height), f"{one:,}", font=_font(20), fill=_INK, anchor="rm")
    pen.text((16, TOP - 34), "datasets", font=_font(18), fill=_SOFT)
    if drawing.total == 0:
        pen.text((LEFT + 20, TOP + 20), "Nothing to do.", font=_font(20), fill=_SOFT)


def _times(pen: ImageDraw.ImageDraw, scale: _Scale) -> None:
    span = scale.until - scale.since
    step = next(
        (one for one in _STEPS if span.total_seconds() / one <= _TICKS), math.ceil(span.total_seconds() / _TICKS)
    )
    form = "%H:%M:%S" if span < _MINUTES else "%H:%M" if span < _FEW_HOURS else "%d %b %H:%M"
    moment = datetime.fromtimestamp(math.ceil(scale.since.timestamp() / step) * step, UTC)
    while moment <= scale.until:
        across = scale.across(moment)
        pen.line((across, TOP, across, HEIGHT - BOTTOM + 8), fill=_GRID, width=1)
        anchor = "ra" if across > WIDTH - RIGHT - 60 else "ma"
        pen.text((across, HEIGHT - BOTTOM + 14), f"{moment:{form}}", font=_font(20), fill=_INK, anchor=anchor)
        moment += timedelta(seconds=step)
    about = f"time (UTC), from {scale.since.astimezone(UTC):%Y-%m-%d %H:%M}"
    pen.text((WIDTH - RIGHT, HEIGHT - 34), about, font=_font(18), fill=_SOFT, anchor="ra")


def _dashed(pen: ImageDraw.ImageDraw, begin: tuple[float, float], end: tuple[float, float]) -> None:
    length = math.dist(begin, end)
    pieces = max(1, round(length / 12))
    for number in range(0, pieces, 2):
        part, next_part = number / pieces, min((number + 1) / pieces, 1.0)
        pen.line((_between(begin, end, part), _between(begin, end, next_part)), fill=_AHEAD, width=3)


def _between(begin: tuple[float, float], end: tuple[float, float], part: float) -> tuple[float, float]:
    return begin[0] + part * (end[0] - begin[0]), begin[1] + part * (end[1] - begin[1])


def _round(wanted: float) -> int:
    """Return a number of 1, 2 or 5 and zeros that is not less."""
    power = 10 ** max(0, math.floor(math.log10(max(wanted, 1))))
    return next(int(power * one) for one in (1, 2, 5, 10) if power * one >= wanted)
