"""What a handler of a command, click or submission gets: who, where, with what, and how to answer."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from slack_sdk.models.views import View

from bot.domain.audit import source
from bot.domain.errors import Conflict, WrongUse
from bot.views.text import code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.readmodel import Person
    from bot.slack.office import Office

OPEN_ACTION = "router_open"  # the button that repeats a request where Slack gave no way to open a modal
_NESTED = 3000  # Slack's limit of private_metadata


class TriggerExpired(Conflict):
    """The 3 s in which Slack lets a request open a modal are over, or the request came without that right."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer goes. ``response_url`` is Slack's own way back: 5 uses, 30 minutes."""

    channel: str
    thread: str = ""  # ts of the thread's first message
    user: str = ""
    response_url: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message. ``content`` is its text, or with ``base64`` its bytes in that form.

    ``alt`` says what a picture shows, for who does not see it.
    """

    filename: str
    content: str
    title: str = ""
    base64: bool = False
    alt: str = ""

    @property
    def data(self) -> bytes:
        """What is uploaded; Slack takes no empty file."""
        return b64decode(self.content) if self.base64 else self.content.encode() or b"\n"

    @classmethod
    def picture(cls, filename: str, data: bytes, *, title: str, alt: str) -> Attachment:
        """Return a picture as a file."""
        return cls(filename, b64encode(data).decode(), title, base64=True, alt=alt)


@dataclass(frozen=True, slots=True)
class Click:
    """A press of a button, or a choice in a menu. ``action`` is what stands before the first colon of its action_id."""

    action: str
    action_id: str
    value: str  # the button's value, the chosen option's value, or what was typed
    block_id: str = ""
    message: str = ""  # ts of the message that it sits in
    view: str = ""  # id of the modal that it sits in
    state: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A modal that was submitted. ``values`` by block_id: text, option value, options' values, date or None when left alone."""

    callback: str
    values: Mapping[str, Any]
    metadata: str = ""  # the private_metadata that the view was opened with
    view: str = ""

    def text(self, block: str) -> str:
        """Return what was typed or chosen, without spaces around it; empty when left alone."""
        value = self.values.get(block)
        return value.strip() if isinstance(value, str) else ""

    def texts(self) -> dict[str, str | None]:
        """Return every field's text; one that holds no text counts as left alone."""
        return {block: value if isinstance(value, str) else None for block, value in self.values.items()}

    def many(self, block: str) -> tuple[str, ...]:
        """Return every value chosen in a list of boxes or a menu of several."""
        value = self.values.get(block)
        return tuple(value) if isinstance(value, list | tuple) else ()


class Voice(Protocol):
    """How the bot answers in Slack. Every method raises `bot.domain.errors.Unavailable` or `Refused`."""

    async def whisper(self, *, place: Place, text: str, blocks: Sequence[Block | Mapping[str, Any]] | None) -> None:
        """Say it to one person only."""

    async def say(
        self,
        *,
        key: str,
        place: Place,
        text: str,
        blocks: Sequence[Block | Mapping[str, Any]] | None,
        file: Attachment | None,
    ) -> None:
        """Say it to everybody there, once for this key (through the outbox)."""

    async def open_view(self, *, trigger: str, view: Mapping[str, Any]) -> str:
        """Open a modal and return its id; raises `TriggerExpired` when the 3 s are over."""

    async def update_view(self, *, view_id: str, view: Mapping[str, Any]) -> None:
        """Replace an open modal's contents."""


@dataclass(slots=True)
class CommandContext:
    """One request of one person. ``source`` is the envelope's id: the same however often Slack repeats it."""

    person: Person
    place: Place
    source: str
    office: Office
    voice: Voice
    trigger: str = ""
    text: str = ""  # the request as typed, "status prod"; empty for clicks and forms
    message: str = ""  # ts of the message that asked, where there is one
    view: str = ""  # id of the modal that is open
    answered: bool = False
    said: int = 0

    @property
    def channel(self) -> str:
        """Slack id of the channel."""
        return self.place.channel

    @property
    def thread(self) -> str:
        """The thread's first message, by its ts; empty outside threads."""
        return self.place.thread

    @property
    def origin(self) -> str:
        """Which message asked, as the audit log keeps it."""
        return source(request=self.source, channel=self.channel, message=self.message)

    @property
    def desk(self) -> Any:
        """Releases, questions, decisions and locks: `bot.engine.desk.Desk`."""
        return self.office.desk

    async def reply(
        self,
        text: str,
        blocks: Sequence[Block | Mapping[str, Any]] | None = None,
        *,
        ephemeral: bool = True,
        file: Attachment | None = None,
    ) -> None:
        """Answer: to this person alone, or to everybody there. A file is always for everybody."""
        self.said += 1
        if ephemeral and file is None:
            await self.voice.whisper(place=self.place, text=text, blocks=blocks)
        else:
            key = f"reply-{self.source}-{self.said}"
            await self.voice.say(key=key, place=self.place, text=text, blocks=blocks, file=file)
        self.answered = True

    async def post(
        self,
        key: str,
        text: str,
        blocks: Sequence[Block | Mapping[str, Any]] | None = None,
        *,
        file: Attachment | None = None,
    ) -> None:
        """Post a message of this key for everybody here, or edit the one that is already there."""
        await self.voice.say(key=key, place=self.place, text=text, blocks=blocks, file=file)
        self.answered = True

    async def upload(self, filename: str, content: str, *, title: str = "", text: str = "") -> None:
        """Put a text file into the channel or thread."""
        await self.reply(text or title or filename, file=Attachment(filename, content, title), ephemeral=False)

    async def open_modal(self, view: View | Mapping[str, Any]) -> None:
        """Open a modal, within 3 s of the request; then `update_modal` may take its time.

        Where Slack gives no way to open one (a mention, or a request picked up again after a restart), the person gets
        a button that asks again.
        """
        try:
            self.view = await self.voice.open_view(trigger=self.trigger, view=self._placed(view))
        except TriggerExpired:
            if not self.text:
                raise
            await self.reply("Slack needs a click to open the form.", open_button(self.text))
        self.answered = True

    async def update_modal(self, view: View | Mapping[str, Any]) -> None:
        """Replace the contents of the modal that this request opened or sits in; nothing when there is none."""
        if self.view:
            await self.voice.update_view(view_id=self.view, view=self._placed(view))
        self.answered = True

    def _placed(self, view: View | Mapping[str, Any]) -> Mapping[str, Any]:
        """Note in the view where it was opened: a submission does not say it."""
        raw = view.to_dict() if isinstance(view, View) else dict(view)
        return {**raw, "private_metadata": place_in(raw.get("private_metadata") or "", self.place)}


def place_in(metadata: str, place: Place) -> str:
    """Wrap a view's own metadata together with the place where the modal was opened."""
    wrapped = json.dumps({"c": place.channel, "t": place.thread, "d": metadata}, separators=(",", ":"))
    if len(wrapped) > _NESTED:
        raise WrongUse("The form remembers more than Slack lets it.", hint="Keep the long part in the database.")
    return wrapped


def place_out(metadata: str) -> tuple[str, Place]:
    """Take apart what `place_in` made; anything else comes back as it is, with no place."""
    try:
        found = json.loads(metadata or "{}")
    except (RecursionError, ValueError):
        return metadata, Place(channel="")
    if not isinstance(found, dict) or set(found) != {"c", "t", "d"}:
        return metadata, Place(channel="")
    return str(found["d"]), Place(channel=str(found["c"]), thread=str(found["t"]))


def open_button(text: str) -> list[Mapping[str, Any]]:
    """Return blocks with the button that repeats the request ``text`` (see `CommandContext.open_modal`)."""
    label = {"type": "plain_text", "text": "Open the form"}
    button = {"type": "button", "action_id": OPEN_ACTION, "text": label, "value": text[:2000]}
    sentence = {"type": "mrkdwn", "text": f"Slack needs a click to open the form of {code(text, 200)}."}
    return [{"type": "section", "text": sentence}, {"type": "actions", "elements": [button]}]
