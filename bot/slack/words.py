"""The words of a request as people type them in Slack: quotes of any kind, dashes that a phone made long, links, entities."""

from __future__ import annotations

import html
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.domain.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“”", "«": "»", "‘": "’", "’": "’", "`": "`"}
_LINK = re.compile(r"<(?:https?|mailto|ssh)[^|>]*\|([^>]*)>|<((?:https?|ssh)://[^|>]*)>|<([@#][A-Z0-9]+)(?:\|[^>]*)?>")


def split(text: str) -> tuple[str, ...]:
    """Split like a shell would, but never raise: a quote that is not closed is a letter like any other.

    Links become their text, mentions of people and channels stay as ``<@U1>`` and ``<#C1>``, entities are decoded
    (Slack escapes &, < and >: https://docs.slack.dev/messaging/formatting-message-text).
    """
    plain = html.unescape(_LINK.sub(_shown, text))
    words, at = [], 0
    while at < len(plain):
        if plain[at].isspace():
            at += 1
            continue
        word, at = _word(plain, at)
        words.append(word)
    return tuple(words)


def _shown(link: re.Match[str]) -> str:
    label, url, mention = link.groups()
    return label or url or f"<{mention}>"


def _word(text: str, at: int) -> tuple[str, int]:
    letters: list[str] = []
    while at < len(text) and not text[at].isspace():
        end = _closing(text, at) if _opens(text, at) else -1
        if end > 0:
            letters.append(text[at + 1 : end])
            at = end + 1
        else:
            letters.append(text[at])
            at += 1
    return "".join(letters), at


def _opens(text: str, at: int) -> bool:
    """A quote opens at the start of a word or after a sign such as =; inside a word it is an apostrophe."""
    return text[at] in _QUOTES and (at == 0 or not text[at - 1].isalnum())


def _closing(text: str, at: int) -> int:
    ends = [found for sign in _QUOTES[text[at]] if (found := text.find(sign, at + 1)) > 0]
    return min(ends, default=-1)


@dataclass(frozen=True, slots=True)
class Options:
    """What `options` found: words without dashes, switches that were given, and values by their option's name."""

    words: tuple[str, ...] = ()
    switches: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)


def options(
    args: tuple[str, ...],
    *,
    switches: Collection[str] = (),
    values: Collection[str] = (),
    phrases: Collection[str] = (),
) -> Options:
    """Sort words into ``--switch``, ``--name value`` (or ``--name=value``) and the rest; long dashes count as two.

    A value of ``phrases`` has all words up to the next option. Raises `WrongUse` for an option that is in none of them, and
    for one whose value is missing.
    """
    words: list[str] = []
    on: set[str] = set()
    given: dict[str, str] = {}
    rest = deque(args)
    while rest:
        word = rest.popleft()
        name, sign, value = _option(word)
        if not name:
            words.append(word)
        elif name in values or name in phrases:
            said = [value] if sign else []
            while rest and ((name in phrases and not _option(rest[0])[0]) or (name in values and not said)):
                said.append(rest.popleft())
            given[name] = " ".join(said)
            if not given[name]:
                raise WrongUse(f"--{name} needs a value.", hint=f"--{name}=…")
        elif name in switches and not sign:
            on.add(name)
        else:
            known = ", ".join(f"--{one}" for one in sorted({*switches, *values, *phrases})) or "none"
            raise WrongUse(f"I do not know the option {word}.", hint=f"Options here: {known}")
    return Options(tuple(words), frozenset(on), given)


def _option(word: str) -> tuple[str, str, str]:
    plain = re.sub(r"^[—–]", "--", word)  # macOS and phones join two dashes into one long one
    if not plain.startswith("--") or plain == "--":
        return "", "", ""
    name, sign, value = plain[2:].partition("=")
    return name, sign, value
