"""Builders for the few Block Kit parts that every view is made of; whatever does not fit is cut, never refused by Slack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from slack_sdk.models.blocks import (
    ActionsBlock,
    ButtonElement,
    CheckboxesElement,
    ConfirmObject,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    InputBlock,
    MarkdownTextObject,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    SectionBlock,
    StaticSelectElement,
    UserSelectElement,
)
from slack_sdk.models.views import View

from bot.views import limits
from bot.views.text import cut, one_line, shorten, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slack_sdk.models.blocks import Block, InteractiveElement

ROOM = 11_500  # characters of a message's body; the rest of Slack's 13,200 is left for headers and buttons

NOTHING = "–"  # Slack refuses empty text


class Message(NamedTuple):
    """What is posted: the fallback text, and the blocks."""

    text: str
    blocks: list[dict[str, Any]]


def message(text: str, blocks: Iterable[Block]) -> Message:
    """Put a message together; ``text`` is what notifications and screen readers get (mrkdwn)."""
    return Message(
        cut(text, limits.TEXT) if text.strip() else NOTHING,
        [block.to_dict() for block in list(blocks)[: limits.BLOCKS]],
    )


def modal(
    *,
    callback: str,
    title: str,
    submit: str,
    blocks: Sequence[Block],
    metadata: Mapping[str, object],
    close: str = "Cancel",
) -> dict[str, Any]:
    """Put a modal together; an empty ``submit`` makes one that is only read."""
    view = View(
        type="modal",
        callback_id=callback,
        title=_plain(title, limits.TITLE),
        submit=_plain(submit, limits.TITLE) if submit else None,
        close=PlainTextObject(text=close),
        private_metadata=packed(metadata),
        blocks=list(blocks)[: limits.MODAL_BLOCKS],
    )
    done: dict[str, Any] = view.to_dict()
    return done


def packed(values: Mapping[str, object]) -> str:
    """Return the values as compact JSON for a button or a modal."""
    return json.dumps(values, separators=(",", ":"), sort_keys=True)


def header(text: str) -> Block:
    """Return a title."""
    return HeaderBlock(text=_plain(text, limits.HEADER))


def section(text: str, accessory: InteractiveElement | None = None, block_id: str | None = None) -> Block:
    """Return a paragraph of mrkdwn."""
    return SectionBlock(text=_mrkdwn(cut(text, limits.SECTION)), accessory=accessory, block_id=block_id)


def context(text: str) -> Block:
    """Return a small grey line."""
    return ContextBlock(elements=[_mrkdwn(cut(text, 2000))])


def divider() -> Block:
    """Return a thin rule."""
    return DividerBlock()


def fields(pairs: Iterable[tuple[str, str]]) -> Block:
    """Return up to ten pairs of label and mrkdwn, in two columns (one on a phone)."""
    return SectionBlock(
        fields=[_mrkdwn(cut(f"*{name}*\n{value}", limits.FIELD)) for name, value in pairs][: limits.FIELDS]
    )


def lines(items: Sequence[str], *, room: int, rest: str = "… and {n} more.") -> list[Block]:
    """Return as few sections as hold the lines; those that do not fit into ``room`` are counted in a last line."""
    chunks: list[list[str]] = [[]]
    left, used = room, 0
    for index, item in enumerate(items):
        line = cut(item, limits.SECTION)
        if size(line) + 1 > left:
            chunks[-1].append(rest.format(n=len(items) - index))
            break
        if used + size(line) + 1 > limits.SECTION - 100:
            chunks.append([])
            used = 0
        chunks[-1].append(line)
        left -= size(line) + 1
        used += size(line) + 1
    return [section("\n".join(chunk)) for chunk in chunks if chunk]


def room_beside(blocks: Sequence[Block]) -> int:
    """Say how many characters a message still has room for beside these blocks, at least a few lines."""
    return max(1000, ROOM - limits.visible([block.to_dict() for block in blocks]))


def actions(block_id: str, buttons: Sequence[InteractiveElement]) -> list[Block]:
    """Return a row of buttons, or nothing when there is none."""
    return [ActionsBlock(block_id=block_id, elements=list(buttons)[: limits.ELEMENTS])] if buttons else []


def button(
    label: str,
    action: str,
    value: Mapping[str, object],
    *,
    style: str = "",
    confirm: tuple[str, str, str] | None = None,
) -> ButtonElement:
    """Return a button; ``confirm`` is title, sentence and label of the dialog that asks again."""
    return ButtonElement(
        text=_plain(label, limits.BUTTON),
        action_id=action,
        value=packed(value),
        style=style or None,
        confirm=_confirm(*confirm) if confirm else None,
    )


def url_button(label: str, action: str, url: str) -> ButtonElement:
    """Return a button that opens a web page. Slack sends its press like any other, with the address as its value."""
    return ButtonElement(text=_plain(label, limits.BUTTON), action_id=action, url=url, value=packed({"url": url}))


def text_input(
    block: str, label: str, *, initial: str = "", hint: str = "", multiline: bool = False, optional: bool = False
) -> Block:
    """Return a text field; its value arrives under ``state.values[block]["value"]["value"]``."""
    return InputBlock(
        block_id=block,
        label=_plain(label, 150),
        hint=_plain(hint, 300) if hint else None,
        optional=optional,
        element=PlainTextInputElement(
            action_id="value", multiline=multiline, initial_value=shorten(initial, limits.INITIAL) or None
        ),
    )


def checkboxes(block: str, label: str, options: Sequence[tuple[str, str]], hint: str = "") -> Block:
    """Return up to ten boxes to tick, (value, label) each; those ticked arrive under ``selected_options``."""
    return InputBlock(
        block_id=block,
        label=_plain(label, 150),
        hint=_plain(hint, 300) if hint else None,
        optional=True,
        element=CheckboxesElement(
            action_id="value",
            options=[
                Option(value=value, text=_plain(name, limits.OPTION)) for value, name in options[: limits.OPTIONS]
            ],
        ),
    )


def choice(block: str, label: str, options: Sequence[tuple[str, str]], hint: str = "", *, chosen: str = "") -> Block:
    """Return a menu of (value, label) each, the first one chosen, or ``chosen``; left alone, its value may arrive as nothing."""
    made = [Option(value=value, text=_plain(name, limits.OPTION)) for value, name in options[: limits.MENU]]
    return InputBlock(
        block_id=block,
        label=_plain(label, 150),
        hint=_plain(hint, 300) if hint else None,
        element=StaticSelectElement(
            action_id="value",
            options=made,
            initial_option=next((one for one in made if one.value == chosen), made[0]),
        ),
    )


def person_input(block: str, label: str, *, hint: str = "", optional: bool = False) -> Block:
    """Return a menu of the workspace's people in a form; the Slack id arrives as the block's value."""
    return InputBlock(
        block_id=block,
        label=_plain(label, 150),
        hint=_plain(hint, 300) if hint else None,
        optional=optional,
        element=UserSelectElement(action_id="value"),
    )


def menu(action: str, placeholder: str, options: Sequence[tuple[str, str]]) -> InteractiveElement:
    """Return a menu of up to ten (value, label) each; the value chosen arrives as the click's."""
    return StaticSelectElement(
        action_id=action,
        placeholder=_plain(placeholder, limits.PLACEHOLDER),
        options=[Option(value=value, text=_plain(name, limits.OPTION)) for value, name in options[: limits.OPTIONS]],
    )


def person_menu(action: str, placeholder: str) -> InteractiveElement:
    """Return a menu of the workspace's people; the Slack id of who is chosen arrives as the click's value."""
    return UserSelectElement(action_id=action, placeholder=_plain(placeholder, limits.PLACEHOLDER))


def _mrkdwn(text: str) -> MarkdownTextObject:
    # verbatim: Slack is not to make links and mentions of its own from what it finds
    return MarkdownTextObject(text=text if text.strip() else NOTHING, verbatim=True)


def _plain(text: str, limit: int) -> PlainTextObject:
    return PlainTextObject(text=shorten(one_line(text), limit) or NOTHING, emoji=False)


def _confirm(title: str, text: str, label: str) -> ConfirmObject:
    return ConfirmObject(
        title=_plain(title, 100),
        text=_plain(text, 300),
        confirm=_plain(label, 30),
        deny=PlainTextObject(text="Go back"),
    )
