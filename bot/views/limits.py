"""Slack's limits, as a checker for tests and for the outbox (docs.slack.dev/reference/block-kit, chat.update)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bot.views.text import size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TEXT, BLOCKS, MODAL_BLOCKS, TOTAL = 4000, 50, 100, 13_200
SECTION, FIELD, HEADER, VALUE, METADATA, NAME, TITLE = 3000, 2000, 150, 2000, 3000, 255, 24
LABEL, BUTTON, PLACEHOLDER, OPTION, INITIAL = 2000, 75, 150, 75, 3000
ELEMENTS, FIELDS, CONTEXT, OPTIONS, MENU = 25, 10, 10, 10, 100
CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}

Json = dict[str, Any]


def message_faults(text: str, blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what Slack would refuse in a message; an empty list means that it fits."""
    faults = [] if text.strip() else ["the fallback text is empty"]
    faults += _over("fallback text", text, TEXT)
    if len(blocks) > BLOCKS:
        faults.append(f"{len(blocks)} blocks, at most {BLOCKS}")
    total = visible(blocks)
    if total > TOTAL:
        faults.append(f"{total} characters in all, at most {TOTAL}")
    return faults + _block_faults(blocks)


def visible(blocks: Sequence[Mapping[str, Any]]) -> int:
    """Count the characters that a reader sees, which Slack limits for a message as a whole."""
    return sum(size(one) for one in _texts(list(blocks)))


def modal_faults(view: Mapping[str, Any]) -> list[str]:
    """Say what Slack would refuse in a modal; an empty list means that it fits."""
    blocks = view.get("blocks", [])
    faults = [] if len(blocks) <= MODAL_BLOCKS else [f"{len(blocks)} blocks, at most {MODAL_BLOCKS}"]
    for part in ("title", "submit", "close"):
        faults += _over(f"modal {part}", view.get(part, {}).get("text", "x"), TITLE)
    faults += _over("private_metadata", view.get("private_metadata", ""), METADATA)
    faults += _over("callback_id", view.get("callback_id", ""), NAME)
    if any(block["type"] == "input" for block in blocks) and not view.get("submit"):
        faults.append("a modal with inputs needs a submit button")
    return faults + _block_faults(blocks)


def _block_faults(blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    faults = [fault for block in blocks for fault in _of_block(block)]
    ids = Counter(block["block_id"] for block in blocks if block.get("block_id"))
    faults += [f"block_id {one!r} is used {n} times" for one, n in ids.items() if n > 1]
    return faults + [fault for one in ids for fault in _over("block_id", one, NAME)]


def _of_block(block: Mapping[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "section":
            yield from _section(block)
        case "header":
            yield from _filled("header", block["text"]["text"], HEADER)
        case "context":
            yield from _many("context elements", block["elements"], CONTEXT)
            for element in block["elements"]:
                yield from _filled("context text", element.get("text", "x"), SECTION)
        case "actions":
            yield from _many("actions", block["elements"], ELEMENTS)
            ids = Counter(element["action_id"] for element in block["elements"])
            yield from (f"action_id {one!r} is used {n} times in one block" for one, n in ids.items() if n > 1)
            for element in block["elements"]:
                yield from _element(element)
        case "input":
            yield from _filled("label", block["label"]["text"], LABEL)
            yield from _over("hint", block.get("hint", {}).get("text", ""), LABEL)
            yield from _element(block["element"])
        case "divider":
            return
        case other:
            yield f"unknown block type {other!r}"


def _section(block: Mapping[str, Any]) -> Iterator[str]:
    if "text" in block:
        yield from _filled("section text", block["text"]["text"], SECTION)
    elif not block.get("fields"):
        yield "a section needs text or fields"
    for field in block.get("fields", []):
        yield from _filled("field", field["text"], FIELD)
    if len(block.get("fields", [])) > FIELDS:
        yield f"{len(block['fields'])} fields, at most {FIELDS}"
    if "accessory" in block:
        yield from _element(block["accessory"])


def _element(element: Mapping[str, Any]) -> Iterator[str]:
    yield from _over("action_id", element.get("action_id", ""), NAME)
    yield from _over("placeholder", element.get("placeholder", {}).get("text", ""), PLACEHOLDER)
    yield from _over("initial_value", element.get("initial_value") or "", element.get("max_length", INITIAL))
    if element["type"] == "button":
        yield from _filled("button text", element["text"]["text"], BUTTON)
        yield from _over("button value", element.get("value", ""), VALUE)
        yield from _over("button url", element.get("url", ""), SECTION)
    for part, limit in CONFIRM.items():
        yield from _over(f"confirm {part}", element.get("confirm", {}).get(part, {}).get("text", ""), limit)
    if "options" in element:
        most = MENU if element["type"].endswith("select") else OPTIONS  # boxes and buttons show all that they have
        yield from _many("options", element["options"], most)
        for option in element["options"]:
            yield from _filled("option", option["text"]["text"], OPTION)
            yield from _over("option value", option["value"], OPTION)


def _many(what: str, items: Sequence[object], limit: int) -> Iterator[str]:
    if not 1 <= len(items) <= limit:
        yield f"{len(items)} {what}, from 1 to {limit}"


def _filled(what: str, text: str, limit: int) -> list[str]:
    return _over(what, text, limit) if text.strip() else [f"{what} is empty"]


def _over(what: str, text: str, limit: int) -> list[str]:
    return [f"{what} has {size(text)} characters, at most {limit}"] if size(text) > limit else []


def _texts(node: object) -> Iterator[str]:
    """Yield everything that a reader sees."""
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
