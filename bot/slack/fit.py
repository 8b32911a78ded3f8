"""Makes a message fit into Slack's limits: splits what can be split, cuts the rest and says so, with all of it as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slack_sdk.models.blocks import Block

from bot.views import limits
from bot.views.text import cut, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Json = dict[str, Any]
_ROOM = limits.TOTAL - 400  # left for the sentence that says what was cut, and for Slack's own counting


@dataclass(frozen=True, slots=True)
class Fitted:
    """What Slack takes. ``rest`` is the whole message as plain text when something of it had to be left out."""

    text: str
    blocks: list[Json]
    rest: str = ""


def as_dicts(blocks: Sequence[Block | Mapping[str, Any]] | None) -> list[Json]:
    """Return blocks as Slack's JSON."""
    return [one.to_dict() if isinstance(one, Block) else dict(one) for one in blocks or ()]


def fit(text: str, blocks: Sequence[Json], *, name: str = "", file: bool = True) -> Fitted:
    """Fit a message; what is left out follows as a file, or with ``file`` false does not.

    ``name`` becomes the first block's block_id, and makes a block of the text where there is none.
    Rows of buttons are never left out: a person must be able to decide. The fallback text is never empty.
    """
    fallback = text.strip() or next(_texts(list(blocks)), "") or "…"
    whole = [piece for block in blocks or _paragraph(fallback, named=name) for piece in _pieces(block)]
    kept = _kept(whole)
    rest = "" if len(kept) == len(whole) and len(fallback) <= limits.TEXT else _plain(fallback, whole)
    if len(kept) < len(whole):
        kept.insert(_last_rows(kept), _note(len(whole) - len(kept), file=file))
    if name and kept:
        kept[0] = {**kept[0], "block_id": name}
    return Fitted(cut(fallback, limits.TEXT), kept, rest)


def _paragraph(text: str, *, named: str) -> list[Json]:
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}] if named else []


def _pieces(block: Json) -> Iterator[Json]:
    """Yield the block, or several that say the same within the limits of each."""
    match block.get("type"):
        case "section":
            yield from _sections(block)
        case "header":
            words = cut(block["text"]["text"], limits.HEADER)
            yield {**block, "text": {**block["text"], "text": words}}
        case "actions":
            yield from _chunks(block, "elements", limits.ELEMENTS)
        case "context":
            yield from _chunks(block, "elements", limits.CONTEXT)
        case _:
            yield block


def _sections(block: Json) -> Iterator[Json]:
    text = block.get("text")
    fields = [{**one, "text": cut(one["text"], limits.FIELD)} for one in block.get("fields") or []]
    parts = _parts(text["text"]) if text else []
    for at, part in enumerate(parts):
        piece: Json = {"type": "section", "text": {**text, "text": part}} if text else {}
        yield (
            ({**block, **piece, "fields": fields[: limits.FIELDS]} if fields else {**block, **piece})
            if not at
            else piece
        )
    rest = fields[limits.FIELDS :] if parts else fields
    for at in range(0, len(rest), limits.FIELDS):
        some = rest[at : at + limits.FIELDS]
        yield {**block, "fields": some} if not parts and not at else {"type": "section", "fields": some}


def _parts(text: str) -> list[str]:
    """Split at line ends where that is possible."""
    parts: list[str] = [""]
    for line in text.splitlines(keepends=True):
        for piece in _lengths(line):
            if size(parts[-1]) + size(piece) > limits.SECTION:
                parts.append("")
            parts[-1] += piece
    return [part for part in parts if part.strip()] or ["…"]


def _lengths(line: str) -> Iterator[str]:
    step = limits.SECTION // 2 if size(line) > limits.SECTION else limits.SECTION
    yield from (line[at : at + step] for at in range(0, len(line), step))


def _chunks(block: Json, key: str, limit: int) -> Iterator[Json]:
    items = block.get(key) or []
    for at in range(0, max(len(items), 1), limit):
        piece = {**block, key: items[at : at + limit]}
        if at:
            piece.pop("block_id", None)
        yield piece


def _kept(blocks: list[Json]) -> list[Json]:
    """Keep as many blocks from the top as fit, and every row of buttons."""
    rows = sum(1 for one in blocks if one.get("type") == "actions")
    room = _ROOM - sum(_weight(one) for one in blocks if one.get("type") == "actions")
    if len(blocks) <= limits.BLOCKS and sum(map(_weight, blocks)) <= limits.TOTAL:
        return list(blocks)
    places, kept, full = limits.BLOCKS - 1 - rows, [], False
    for block in blocks:
        if block.get("type") == "actions":
            kept.append(block)
            continue
        room, places = room - _weight(block), places - 1
        full = full or room < 0 or places < 0
        if not full:
            kept.append(block)
    return kept[: limits.BLOCKS - 1]


def _last_rows(blocks: list[Json]) -> int:
    at = len(blocks)
    while at > 0 and blocks[at - 1].get("type") == "actions":
        at -= 1
    return at


def _note(missing: int, *, file: bool) -> Json:
    where = "follows in a file" if file else "does not fit into a Slack message"
    words = f"… cut here: the rest of this message ({missing} blocks) {where}."
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": words}]}


def _weight(block: Json) -> int:
    return sum(size(one) for one in _texts(block))


def _plain(text: str, blocks: Sequence[Json]) -> str:
    return "\n".join([text, "", *(line for block in blocks for line in _texts(block))]) + "\n"


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _texts(inner)
