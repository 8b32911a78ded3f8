"""What Slack refuses of messages and modals. Limits: https://docs.slack.dev/reference/block-kit/blocks and views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Method → bot scopes it needs, in each kind of channel (https://docs.slack.dev/reference/methods). Empty: none.
SCOPES: dict[str, frozenset[str]] = {
    "auth.test": frozenset(),
    "apps.connections.open": frozenset(),  # an app-level token's, connections:write
    "chat.postMessage": frozenset({"chat:write"}),
    "chat.postEphemeral": frozenset({"chat:write"}),
    "chat.update": frozenset({"chat:write"}),
    "chat.getPermalink": frozenset(),
    "conversations.history": frozenset({"channels:history", "groups:history"}),
    "conversations.replies": frozenset({"channels:history", "groups:history"}),
    "files.getUploadURLExternal": frozenset({"files:write"}),
    "files.completeUploadExternal": frozenset({"files:write"}),
    "users.info": frozenset({"users:read"}),
    "users.list": frozenset({"users:read"}),
    "users.lookupByEmail": frozenset({"users:read", "users:read.email"}),  # the latter is granted with the former only
    "usergroups.users.list": frozenset({"usergroups:read"}),
    "views.open": frozenset(),
    "views.update": frozenset(),
}
EVENT_SCOPES = {"app_mention": frozenset({"app_mentions:read"})}
ELEMENTS = {
    "button": {"text", "action_id"},
    "static_select": {"options", "action_id"},
    "multi_static_select": {"options", "action_id"},
    "radio_buttons": {"options", "action_id"},
    "checkboxes": {"options", "action_id"},
    "overflow": {"options", "action_id"},
    "plain_text_input": {"action_id"},
    "number_input": {"is_decimal_allowed"},
    "datepicker": {"action_id"},
    "timepicker": {"action_id"},
    "users_select": {"action_id"},
}


def complaints(blocks: Any, *, limit: int, modal: bool = False) -> list[str]:
    """Every reason for invalid_blocks; empty when Slack would take them."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return ["blocks is not an array of objects"]
    found = [f"no more than {limit} items allowed"] if len(blocks) > limit else []
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    found += ["block_id not unique"] if len(ids) != len(set(ids)) else []
    for at, block in enumerate(blocks):
        found += [f"/blocks/{at}: {one}" for one in _block(block, modal=modal)]
    return found


def characters(blocks: list[dict[str, Any]]) -> int:
    return sum(len(text) for block in blocks for text in _texts(block))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _block(block: dict[str, Any], *, modal: bool) -> Iterator[str]:
    if len(block.get("block_id") or "") > 255:
        yield "block_id longer than 255"
    rules = {"section": _section, "header": _header, "context": _context, "actions": _actions, "rich_text": _rich}
    kind = block.get("type")
    if kind in rules:
        yield from rules[kind](block)
    elif kind == "input":
        yield from _input(block, modal=modal)
    elif kind not in ("divider", "image"):
        yield f"unsupported block type {kind!r}"


def _section(block: dict[str, Any]) -> Iterator[str]:
    if not block.get("text") and not block.get("fields"):
        yield "section needs text or fields"
    if "text" in block:
        yield from _text(block["text"], 3000)
    if len(block.get("fields", [])) > 10:
        yield "more than 10 fields"
    for one in block.get("fields", []):
        yield from _text(one, 2000)
    if "accessory" in block:
        yield from _element(block["accessory"])


def _header(block: dict[str, Any]) -> Iterator[str]:
    yield from _text(block.get("text"), 150, plain=True)


def _context(block: dict[str, Any]) -> Iterator[str]:
    yield from _elements(block, 10, texts=True)


def _actions(block: dict[str, Any]) -> Iterator[str]:
    yield from _elements(block, 25)


def _rich(block: dict[str, Any]) -> Iterator[str]:
    if not block.get("elements"):
        yield "rich_text needs elements"


def _input(block: dict[str, Any], *, modal: bool) -> Iterator[str]:
    if not modal:
        yield "input block in a message"
    yield from _text(block.get("label"), 2000, plain=True)
    yield from _element(block.get("element") or {})


def _elements(block: dict[str, Any], limit: int, *, texts: bool = False) -> Iterator[str]:
    elements = block.get("elements") or []
    if not 1 <= len(elements) <= limit:
        yield f"needs 1 to {limit} elements, has {len(elements)}"
    ids = [one.get("action_id") for one in elements if one.get("action_id")]
    if len(ids) != len(set(ids)):
        yield "action_id not unique in its block"
    for one in elements:
        yield from _text(one, 3000) if texts and one.get("type") in ("mrkdwn", "plain_text") else _element(one)


def _element(element: dict[str, Any]) -> Iterator[str]:
    kind = element.get("type")
    if kind == "image":
        return
    if kind not in ELEMENTS:
        yield f"unsupported element {kind!r}"
        return
    missing = {key for key in ELEMENTS[kind] if key not in element}
    if missing:
        yield f"{kind} misses {sorted(missing)}"
    if len(element.get("action_id") or "") > 255:
        yield "action_id longer than 255"
    if kind == "button":
        yield from _button(element)
    yield from _options(element)


def _button(element: dict[str, Any]) -> Iterator[str]:
    yield from _text(element.get("text"), 75, plain=True)
    if len(element.get("value") or "") > 2000:
        yield "button value longer than 2000"
    if element.get("style") not in (None, "primary", "danger"):
        yield "unknown style"


def _options(element: dict[str, Any]) -> Iterator[str]:
    kind = element["type"]
    options = element.get("options", [])
    if "options" in element and not 1 <= len(options) <= (10 if kind in ("radio_buttons", "checkboxes") else 100):
        yield "wrong number of options"
    for option in options:
        yield from _text(option.get("text"), 75)
        if len(option.get("value") or "") > 150:
            yield "option value longer than 150"


def _text(text: Any, limit: int, *, plain: bool = False) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in ("mrkdwn", "plain_text") or not text.get("text"):
        yield "a text object with text is needed"
        return
    if plain and text["type"] != "plain_text":
        yield "plain_text is needed"
    if len(text["text"]) > limit:
        yield f"text longer than {limit}"


def view_complaints(view: Any) -> list[str]:
    """Every reason for invalid_arguments on a modal."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["a view of type modal is needed"]
    found = complaints(view.get("blocks"), limit=100, modal=True)
    found += [f"title: {one}" for one in _text(view.get("title"), 24, plain=True)]
    for key in ("submit", "close"):
        if view.get(key) is not None:
            found += [f"{key}: {one}" for one in _text(view[key], 24, plain=True)]
    if len(view.get("private_metadata") or "") > 3000:
        found.append("private_metadata longer than 3000")
    if len(view.get("callback_id") or "") > 255:
        found.append("callback_id longer than 255")
    if any(block.get("type") == "input" for block in view.get("blocks") or []) and not view.get("submit"):
        found.append("submit is needed where there are input blocks")
    return found
