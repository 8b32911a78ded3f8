"""`/release <subcommand>`: which handler answers, and who may ask. The only module of bot/slack that commands import."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.domain.errors import NotAllowed, WrongUse
from bot.slack.context import (
    OPEN_ACTION,
    Attachment,
    Click,
    CommandContext,
    Form,
    Place,
    TriggerExpired,
    Voice,
)
from bot.slack.office import Office
from bot.slack.words import Options, options, split

if TYPE_CHECKING:
    from types import ModuleType

    from bot.domain.readmodel import Person

__all__ = [
    "Attachment",
    "Click",
    "Command",
    "CommandContext",
    "Form",
    "Office",
    "Options",
    "Place",
    "Router",
    "TriggerExpired",
    "Voice",
    "may",
    "options",
]

Handler = Callable[[CommandContext, tuple[str, ...]], Awaitable[None]]
ClickHandler = Callable[[CommandContext, Click], Awaitable[None]]
FormHandler = Callable[[CommandContext, Form], Awaitable[None]]
FormCheck = Callable[[Form], Mapping[str, str]]
ROLES = ("", "viewer", "releaser", "approver", "admin")


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand, its buttons and its modals. A module of `commands` offers it as ``COMMAND``.

    ``role`` is what a person needs; an empty one lets everybody in. ``buttons`` go by what stands before the first
    colon of the action_id (Slack wants action_ids unique in a block: ``decide:retry``, ``decide:abort`` are both
    ``decide``). ``checks`` look at a submitted modal before it is taken, without asking anybody (pure, block_id →
    complaint), so that the modal stays open. ``roles`` names buttons (all of an action, or one action_id) and views that
    need another role than the command.
    """

    name: str
    summary: str
    handler: Handler
    usage: str = ""  # what follows the name: "[ENVIRONMENT] [--hotfix]"
    example: str = ""
    place: int = 50  # where it stands in the help: what begins a release first
    role: str = "viewer"
    anywhere: bool = False  # answers in every channel, not in the release channel alone
    buttons: Mapping[str, ClickHandler] = field(default_factory=dict)
    views: Mapping[str, FormHandler] = field(default_factory=dict)
    checks: Mapping[str, FormCheck] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = {self.role, *self.roles.values()} - set(ROLES)
        named = {one for one in self.roles if one.partition(":")[0] not in self.buttons}
        strangers = (named - set(self.views)) | (set(self.checks) - set(self.views))
        if unknown or strangers:
            raise ValueError(f"command {self.name}: unknown {sorted(unknown | strangers)}")


def may(person: Person, role: str) -> bool:
    """An admin may everything; any role lets look; nobody else may what is not theirs by name."""
    if not role:
        return True
    return "admin" in person.roles or role in person.roles or (role == "viewer" and bool(person.roles))


def usage_text(command: Command) -> str:
    """Return how one subcommand is used."""
    role = f" · needs the role {command.role}" if command.role else ""
    lines = [f"`{_line(command)}`{role}", command.summary]
    return "\n".join([*lines, *([f"For example `{command.example}`"] if command.example else [])])


class Router:
    """Finds the handler. Raises `WrongUse` and `NotAllowed` with what to try instead; handlers raise what they must."""

    def __init__(self, commands: Sequence[Command], *, channel: str) -> None:
        """``channel`` is the release channel's id. Two commands of one name, or one action twice, are a bug."""
        self.commands = tuple(sorted(commands, key=lambda one: (one.place, one.name)))
        self._channel = channel
        self._by_name = _index((one.name, one) for one in self.commands)
        self._by_action = _index((action, one) for one in self.commands for action in one.buttons)
        self._by_view = _index((view, one) for one in self.commands for view in one.views)

    @classmethod
    def discover(cls, package: ModuleType, *, channel: str) -> Router:
        """Collect the ``COMMAND`` of every module of the package (`commands`): a new one needs no other change."""
        names = sorted(one.name for one in pkgutil.iter_modules(package.__path__))
        modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
        return cls([module.COMMAND for module in modules if hasattr(module, "COMMAND")], channel=channel)

    async def command(self, ctx: CommandContext, text: str) -> None:
        """Carry out ``/release text``, or the same by mention."""
        name, *args = split(text) or ("help",)
        command = self._named(name)
        self._admit(ctx, command.role, f"`/release {command.name}`")
        if ctx.channel != self._channel and not command.anywhere:
            raise NotAllowed(
                f"Releases are made in <#{self._channel}>, not here; nothing was done.",
                hint=f"Type `/release {text.strip()}` in <#{self._channel}>.",
            )
        if {"--help", "-h"} & set(args):
            await ctx.reply(usage_text(command))
        else:
            await command.handler(ctx, tuple(args))

    async def click(self, ctx: CommandContext, click: Click) -> None:
        """Carry out a press of a button; one that no handler answered is answered here."""
        if click.action == OPEN_ACTION:
            ctx.text = click.value
            await self.command(ctx, click.value)
            return
        command = self._by_action.get(click.action)
        if command is None:
            raise WrongUse("That button is from an older version of me; nothing was done.", hint="/release status")
        role = command.roles.get(click.action_id, command.roles.get(click.action, command.role))
        self._admit(ctx, role, "this button")
        await command.buttons[click.action](ctx, click)
        if not ctx.answered and not click.view:
            await ctx.reply("Taken.")

    def complaints(self, form: Form) -> Mapping[str, str]:
        """Return what is wrong with a form before it is taken, by block_id; empty when nothing is.

        A form that no check can read is taken: its handler tells the person so.
        """
        command = self._by_view.get(form.callback)
        check = command.checks.get(form.callback) if command else None
        try:
            return check(form) if check else {}
        except WrongUse:
            return {}

    async def submit(self, ctx: CommandContext, form: Form) -> None:
        """Carry out a modal that was submitted."""
        command = self._by_view.get(form.callback)
        if command is None:
            raise WrongUse("That form is from an older version of me; nothing was done.", hint="/release status")
        self._admit(ctx, command.roles.get(form.callback, command.role), "this form")
        await command.views[form.callback](ctx, form)

    def _named(self, name: str) -> Command:
        found = self._by_name.get(name.lower())
        if found:
            return found
        near = difflib.get_close_matches(name.lower(), self._by_name, n=1, cutoff=0.6)
        hint = f"Did you mean `/release {near[0]}`?" if near else "/release help"
        raise WrongUse(f"I do not know `{name[:40]}`; nothing was done.", hint=hint)

    @staticmethod
    def _admit(ctx: CommandContext, role: str, what: str) -> None:
        if may(ctx.person, role):
            return
        if not ctx.person.roles:
            raise NotAllowed(
                f"I do not know you, so {what} is not yours to use; nothing was done.",
                hint=f"Ask an admin to list {ctx.person.slack} under people in the settings.",
            )
        raise NotAllowed(
            f"{what[0].upper()}{what[1:]} needs the role {role}; yours: {', '.join(sorted(ctx.person.roles))}.",
            hint="Ask somebody who has it, or an admin to give it to you. Nothing was done.",
        )


def _line(command: Command) -> str:
    return f"/release {command.name} {command.usage}".strip()


def _index(pairs: Any) -> dict[str, Command]:
    found: dict[str, Command] = {}
    for key, command in pairs:
        if key in found:
            raise ValueError(f"{key!r} belongs to two commands: {found[key].name} and {command.name}")
        found[key] = command
    return found
