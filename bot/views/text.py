"""Slack's mrkdwn: what comes from outside is shown as it was written and never acts (no mention, link, formatting or emoji)."""

from __future__ import annotations

import html
import re
import shlex
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bot.domain.plan import Command

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LOOKALIKES = {"*": "∗", "~": "∼", "`": "ʼ", "@": "@\u2060"}  # drawn the same, mean nothing to Slack
_EMOJI = re.compile(r":(?=[\w+'-]+:)")
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_UNIT = re.compile(r"<[^<>\n]*>|&(?:amp|lt|gt);|`[^`\n]*`|.", re.DOTALL)
_BARE_AND = re.compile(r"&(?!(?:amp|lt|gt);)")
_OWN = re.compile(r"(<@[UW][A-Z0-9]+>|<#[CG][A-Z0-9]+>|<!date\^\d+\^[^<>|]*\|[^<>|]*>)")
_MENTION = re.compile(r"(<@[UW][A-Z0-9]+>)")
_ADDRESS = re.compile(r"https?://[^\s<>|`]+")
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MINUTE, HOUR, DAY = 60, 3600, 86400


def size(text: str) -> int:
    """Return the length as Slack may count it at worst, in UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def one_line(text: str) -> str:
    """Return the text on one line, without control and direction-changing characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = (" " if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} else c for c in text)
    return " ".join("".join(c for c in kept if unicodedata.bidirectional(c) not in _BIDI).split())


def shorten(text: str, limit: int) -> str:
    """Cut plain text to at most ``limit`` units, with an ellipsis."""
    if size(text) <= limit:
        return text
    while size(text) > limit - 1:
        text = text[: -max(1, (size(text) - limit + 1) // 2)]
    return text.rstrip() + "…"


def escape(text: str, limit: int = 300) -> str:
    """Make outside text harmless in mrkdwn, on one line, cut to ``limit`` characters before escaping."""
    plain = _plain(text, limit)
    if plain.startswith(">"):
        plain = "›" + plain[1:]
    plain = _EMOJI.sub("∶", plain)
    plain = _EDGE_UNDERSCORE.sub("ˍ", plain)
    return "".join(_ENTITIES.get(c) or _LOOKALIKES.get(c, c) for c in plain)


def _plain(text: str, limit: int) -> str:
    start = text[: 4 * limit]  # enough, and a text of megabytes costs nothing
    return shorten(one_line(start) + ("…" if len(start) < len(text) else ""), limit)


def paragraphs(text: str, limit: int = 2000, people: Iterable[str] = ()) -> str:
    """Show a step's text of several lines, keeping the lines; an address that has a line of its own is a link."""
    lines = [line.strip() for line in shorten(text, limit).splitlines() if line.strip()]
    return "\n".join(link(one, one) if _ADDRESS.fullmatch(one) else told(one, people, limit) for one in lines)


def told(text: str, people: Iterable[str] = (), limit: int = 900) -> str:
    """Show a sentence of a step, which may name people and escape what it quotes: those named in ``people`` are mentioned."""
    known = {f"<@{one}>" for one in people}
    parts = _MENTION.split(shorten(text, limit))
    return "".join(part if part in known else _within(html.unescape(part), limit) for part in parts)


def own(text: str, typed: str = "") -> str:
    """Show a sentence of the bot's own that may quote what somebody ``typed``.

    People, channels and times that the bot names act; nothing else does, nor what was typed just so.
    """
    parts = _OWN.split(text)
    return "".join(part if n % 2 and part[:-1] not in typed else _entities(part) for n, part in enumerate(parts))


def _entities(text: str) -> str:
    """Escape what Slack reads as a mention or link; what is escaped already stays."""
    return _BARE_AND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _within(text: str, limit: int) -> str:
    """Escape a part of a sentence, keeping the spaces around it."""
    before = " " if text[:1].isspace() else ""
    after = " " if text.strip() and text[-1:].isspace() else ""
    return f"{before}{escape(text, limit)}{after}"


def code(text: str, limit: int = 400) -> str:
    """Show outside text as inline code, on one line."""
    plain = _plain(text, limit).replace("`", "ʼ")
    return f"`{''.join(_ENTITIES.get(c, c) for c in plain) or ' '}`"


def by_hand(one: Command, limit: int = 600) -> str:
    """Show a command as a person would type it into a shell, behind the host and with the folder where that is done."""
    typed = shlex.join(one.argv)
    return f"{code(one.host, 40)} {code(f'cd {shlex.quote(one.folder)} && {typed}' if one.folder else typed, limit)}"


def exact(text: str, limit: int = 400) -> str:
    """Show a line of outside text as inline code, with every space that it has. A ">" in there means nothing to Slack."""
    kept = "".join(c if c.isprintable() and unicodedata.bidirectional(c) not in _BIDI else " " for c in text)
    plain = shorten(kept, limit).replace("`", "ʼ")
    return f"`{''.join(c if c == '>' else _ENTITIES.get(c, c) for c in plain)}`" if plain.strip() else ""


def link(url: str, label: str, limit: int = 150) -> str:
    """Link to a web page; an address that is none is left out and only the label shown."""
    shown = escape(label, limit).replace("|", "¦")
    if not re.match(r"https?://", url):
        return shown
    return f"<{quote(url, safe=_URL_SAFE).replace('&', '&amp;')}|{shown}>"


_URL_SAFE = "%:/?#[]@!$&'()+,;=~-._"


def mention(slack_id: str) -> str:
    """Mention a person, if it is a Slack id; anything else is shown as text."""
    return f"<@{slack_id}>" if re.fullmatch(r"[UW][A-Z0-9]+", slack_id) else escape(slack_id, 80)


def sha(commit: str) -> str:
    """Show a commit, eight digits of it."""
    return code(commit[:8]) if commit else "unknown"


def when(at: datetime, form: str = "{date_short_pretty} {time}") -> str:
    """Show a time in the reader's own zone; UTC where Slack cannot."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%Y-%m-%d %H:%M} UTC>"


def clock(at: datetime) -> str:
    """Show a time of day in the reader's zone."""
    return f"<!date^{int(at.timestamp())}^{{time}}|{at:%H:%M} UTC>"


def duration(seconds: float) -> str:
    """Show a length of time with its two largest units: ``48 s``, ``3 min 20 s``, ``2 h 5 min``, ``1 d 4 h``."""
    whole = max(0, round(seconds))
    if 0 < seconds < 1:
        return "under 1 s"
    for unit, name, below, below_name in (
        (DAY, "d", HOUR, "h"),
        (HOUR, "h", MINUTE, "min"),
        (MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name} {rest} {below_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def count(number: int, noun: str, plural: str = "") -> str:
    """Count things: ``1 commit``, ``2 commits``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listing(parts: Iterable[str], last: str = "and") -> str:
    """Join words as in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    items = list(parts)
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def cut(text: str, limit: int) -> str:
    """Cut mrkdwn without halving a link, a mention, an entity or a piece of code."""
    if size(text) <= limit:
        return text
    kept, room = [], limit - 1
    for unit in _UNIT.findall(text):
        room -= size(unit)
        if room < 0:
            break
        kept.append(unit)
    return "".join(kept).rstrip() + "…"
