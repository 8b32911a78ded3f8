"""What Slack sends, read once: which request it is, whose, where, and the id under which it is taken only once.

Slack repeats an event with the same ``event_id`` and, in Socket Mode, in another envelope: the envelope's own id says
nothing. A click repeats with the same ``action_ts``, a submission with the same view and hash, a slash command with the
same ``trigger_id`` (https://docs.slack.dev/apis/events-api, /apis/events-api/using-socket-mode).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bot.domain.words import storable
from bot.slack.context import Click, Form, Place, place_out

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["command", "mention", "click", "form"]
_KEPT = (
    *("command", "text", "user_id", "channel_id", "trigger_id", "response_url"),
    *("type", "user", "container", "channel", "actions", "view", "event", "event_id", "state"),
)
_VIEW = ("id", "hash", "callback_id", "private_metadata", "state")
_EVENT = ("type", "user", "channel", "ts", "thread_ts", "text")
_NAME = 64  # characters of an event's id
_MENTION = re.compile(r"^\s*(?:<@[UW][A-Z0-9]+(?:\|[^>]*)?>[\s,:]*)+")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One request. ``body`` is as much of Slack's payload as is needed to carry it out, also after a restart."""

    id: str
    kind: Kind
    body: Mapping[str, Any]

    @property
    def user(self) -> str:
        """Slack id of the person."""
        body = self.body
        if self.kind == "command":
            return str(body.get("user_id", ""))
        return str(body["event"].get("user", "") if self.kind == "mention" else _id(body.get("user")))

    @property
    def trigger(self) -> str:
        """What lets a modal be opened for 3 s; a mention has none."""
        return str(self.body.get("trigger_id") or "")

    @property
    def text(self) -> str:
        """The request as typed, without the mention."""
        if self.kind == "mention":
            return _MENTION.sub("", str(self.body["event"].get("text", "")))
        return str(self.body.get("text") or "") if self.kind == "command" else ""

    @property
    def place(self) -> Place:
        """Where the answer goes."""
        body, user = self.body, self.user
        url = str(body.get("response_url") or "")
        if self.kind == "command":
            return Place(str(body.get("channel_id", "")), user=user, response_url=url)
        if self.kind == "mention":
            event = body["event"]
            return Place(str(event.get("channel", "")), thread=str(event.get("thread_ts") or ""), user=user)
        container = body.get("container") or {}
        _, noted = _noted(body.get("view") or {})
        channel = _id(body.get("channel")) or str(container.get("channel_id") or "") or noted.channel
        thread = str(container.get("thread_ts") or "") or noted.thread
        return Place(channel, thread=thread, user=user, response_url=url)

    @property
    def message(self) -> str:
        """Slack's ts of the message that asked: the mention itself, or the one whose button was pressed."""
        if self.kind == "mention":
            return str(self.body["event"].get("ts") or "")
        return str((self.body.get("container") or {}).get("message_ts") or "")

    def click(self) -> Click:
        """Return what was pressed or chosen; only for a click."""
        action, view = self.body["actions"][0], self.body.get("view") or {}
        metadata, _ = _noted(view)
        state = (view.get("state") or self.body.get("state") or {}).get("values") or {}
        name = str(action.get("action_id", ""))
        chosen = _value(action)
        return Click(
            action=name.partition(":")[0],
            action_id=name,
            value=chosen if isinstance(chosen, str) else "",
            block_id=str(action.get("block_id", "")),
            message=str((self.body.get("container") or {}).get("message_ts") or ""),
            view=str(view.get("id", "")),
            state=state,
            metadata=metadata,
        )

    def form(self) -> Form:
        """Return what was submitted; only for a form."""
        view = self.body["view"]
        state = (view.get("state") or {}).get("values") or {}
        metadata, _ = _noted(view)
        values = {block: _value(next(iter(inputs.values()), {}) or {}) for block, inputs in state.items()}
        return Form(str(view.get("callback_id", "")), values, metadata, str(view.get("id", "")))


class Malformed(Exception):
    """A payload that is none of Slack's."""


def read(payload: Mapping[str, Any]) -> Envelope | None:
    """Read a payload of Bolt's; None for what is only to be acknowledged (a closed modal, a link button, other events).

    Raises `Malformed` for what has another form than Slack's: nothing later stumbles over it.
    """
    try:
        envelope = _read(payload)
        if envelope is not None:
            _ = envelope.user, envelope.place, envelope.trigger, envelope.text, envelope.message
            _ = envelope.click() if envelope.kind == "click" else None
            _ = envelope.form() if envelope.kind == "form" else None
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError, StopIteration) as error:
        raise Malformed(type(error).__name__) from error
    return envelope


def _read(payload: Mapping[str, Any]) -> Envelope | None:
    body = {key: storable(payload[key]) for key in _KEPT if payload.get(key) is not None}
    if "command" in body:
        return Envelope("cmd-" + _digest(body.get("trigger_id"), body["user_id"], body.get("text")), "command", body)
    match body.get("type"):
        case "event_callback" if body["event"].get("type") == "app_mention" and not body["event"].get("bot_id"):
            body["event"] = {key: value for key, value in body["event"].items() if key in _EVENT}
            name = str(body["event_id"])
            return Envelope("evt-" + (name if len(name) <= _NAME else _digest(name)), "mention", body)
        case "block_actions" if body.get("actions") and not body["actions"][0].get("url"):
            thread = (payload.get("message") or {}).get("thread_ts")  # the container does not always say it
            body["container"] = {"thread_ts": thread, **(body.get("container") or {})}
            return _interaction(body, "click", *_pressed(body))
        case "view_submission" if body.get("view"):
            view = body["view"]
            return _interaction(body, "form", view.get("id"), view.get("hash"), view.get("callback_id"))
        case _:
            return None


def _noted(view: Mapping[str, Any]) -> tuple[str, Place]:
    """Return what a view remembers: JSON inside of JSON, which may hold again what was left out around it."""
    metadata, place = place_out(view.get("private_metadata", ""))
    return storable(metadata), Place(storable(place.channel), thread=storable(place.thread))


def _interaction(body: dict[str, Any], kind: Kind, *marks: object) -> Envelope:
    mark = _digest(_id(body.get("user")), *marks)
    if "view" in body:
        body["view"] = {key: value for key, value in body["view"].items() if key in _VIEW}
    return Envelope(f"{'act' if kind == 'click' else 'sub'}-{mark}", kind, body)


def _pressed(body: Mapping[str, Any]) -> tuple[object, ...]:
    action, container = body["actions"][0], body.get("container") or {}
    where = container.get("message_ts") or (body.get("view") or {}).get("id")
    when = action.get("action_ts") or body.get("trigger_id")
    return when, action.get("action_id"), action.get("block_id"), where


def _value(element: Mapping[str, Any]) -> Any:
    """Return what an element holds, whichever its type: https://docs.slack.dev/reference/block-kit/block-elements."""
    for key in ("selected_options",):
        if element.get(key) is not None:
            return tuple(str(one.get("value", "")) for one in element[key])
    if element.get("selected_option"):
        return str(element["selected_option"].get("value", ""))
    keys = ("value", "selected_date", "selected_time", "selected_user", "selected_conversation", "selected_channel")
    return next((element[key] for key in keys if element.get(key) is not None), None)


def _id(value: object) -> str:
    return str(value.get("id", "")) if isinstance(value, dict) else ""


def _digest(*marks: object) -> str:
    return hashlib.sha256(json.dumps(marks, default=str).encode()).hexdigest()[:32]
