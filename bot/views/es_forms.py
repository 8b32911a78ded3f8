"""What is asked of people before aliases move or an index goes: a second person, and something typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.domain.index_report import ASKED_WITHIN, Deed, plain
from bot.views import ids, kit
from bot.views.es import guard_blocks, index_line
from bot.views.text import code, escape, mention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slack_sdk.models.blocks import Block

    from bot.domain.index_report import Candidate, Standing, Wish
    from bot.engine.index_guards import Guard

_TITLE = {
    Deed.SWAP: "Swap the search indices",
    Deed.SWAP_BACK: "Swap the indices back",
    Deed.REPAIR: "Repair the aliases",
    Deed.DROP: "Drop the inactive pair",
}
_EFFECT = {
    Deed.SWAP: "Both aliases point at {names} from then on, by one request: no reader sees half of it.",
    Deed.SWAP_BACK: "Both aliases point at {names} again, by one request: no reader sees half of it.",
    Deed.REPAIR: "Both aliases point at {names} and at nothing else from then on, by one request.",
    Deed.DROP: "{names} are deleted. That cannot be undone; only a new reindexing makes them again.",
}


def request(wish: Wish, standing: Standing, found: Sequence[Guard], key: str) -> kit.Message:
    """Show what a deed rests on; once everything holds, with the button for a second person."""
    title = f"{_TITLE[wish.deed]} of {wish.environment}"
    text = f"{escape(title, 200)}: asked by {mention(wish.asked_by)}"
    holds = all(one.holds for one in found)
    blocks: list[Block] = [kit.section(f"*{text}*"), *guard_blocks(found), *_excused(wish)]
    if wish.deed is Deed.DROP:
        blocks += [kit.section("\n".join(_indices(standing.candidate(wish.side), standing)))]
    if holds:
        blocks += [kit.section(_effect(wish)), *_button(wish, key)]
    else:
        blocks += [
            kit.section("*Refused:* not everything holds. Nothing was changed, and nobody need confirm anything.")
        ]
    return kit.message(f"{text} – {'to be confirmed' if holds else 'refused'}", blocks)


def _button(wish: Wish, key: str) -> list[Block]:
    label = f"{'Drop' if wish.deed is Deed.DROP else 'Make live:'} {wish.side} …"
    style = "danger" if wish.deed is Deed.DROP else "primary"
    button = kit.button(label, ids.ES_CONFIRM, {"wish": plain(wish), "key": key}, style=style)
    hour = f"within {ASKED_WITHIN.total_seconds() / 60:.0f} minutes"
    return [*kit.actions("es", [button]), kit.context(f"For another approver than {mention(wish.asked_by)}, {hour}.")]


def repair(standing: Standing, wishes: Sequence[Wish], key: str) -> kit.Message:
    """Say what is wrong, and offer each side that both aliases could point at, with what it holds."""
    text = f"Aliases of {escape(standing.environment, 60)} are out of order: {escape(standing.fault, 700)}"
    blocks: list[Block] = [kit.section(f"*{text}*")]
    for one in standing.candidates:
        whole = "" if one.fit else " – cannot be chosen: an index is missing, closed or red"
        blocks.append(kit.section("\n".join([f"*{one.side}*{whole}", *_indices(one, standing)])))
    buttons = [
        kit.button(f"Point both at {one.side} …", f"{ids.ES_REPAIR}{one.side}", {"wish": plain(one), "key": key})
        for one in wishes
    ]
    hint = "Choose the side that people searched in last; documents, age and maker tell."
    return kit.message(text, [*blocks, *kit.actions("es", buttons), kit.context(hint)])


def typed_form(wish: Wish, key: str) -> dict[str, Any]:
    """Ask for what must be typed: the side, or the index that goes."""
    blocks = [
        kit.section(f"{_effect(wish)}\nEverything is looked at again right before."),
        *_excused(wish),
        kit.text_input(ids.TYPED, f"Type {wanted(wish)}", hint="Exactly as it stands here."),
    ]
    return kit.modal(
        callback=ids.ES_FORM,
        title=_TITLE[wish.deed],
        submit="Drop it" if wish.deed is Deed.DROP else "Make it live",
        blocks=blocks,
        metadata={"wish": plain(wish), "key": key},
    )


def wanted(wish: Wish) -> str:
    """Return what a person types: the side, or of a drop the dataset index."""
    return wish.names[0] if wish.deed is Deed.DROP else str(wish.side)


def closed(wish: Wish, what: str) -> kit.Message:
    """Replace a request that was used, or that came to nothing (``what`` is mrkdwn)."""
    text = f"{_TITLE[wish.deed]} of {escape(wish.environment, 60)}: {what}"
    return kit.message(text, [kit.section(f"*{text}*"), *_excused(wish), *_next(wish, what)])


def _next(wish: Wish, what: str) -> list[Block]:
    if wish.deed is not Deed.SWAP or "is live" not in what:
        return []
    back, drop = code("/release es swap-back"), code("/release es drop")
    return [kit.context(f"While the old pair is there and caught up, {back} goes back; {drop} ends that.")]


def _effect(wish: Wish) -> str:
    return _EFFECT[wish.deed].format(names=" and ".join(code(one, 80) for one in wish.names))


def _excused(wish: Wish) -> list[Block]:
    said = [f"Excused by {mention(wish.asked_by)}: {', '.join(code(one, 60) for one in wish.exceptions)}"] * bool(
        wish.exceptions
    )
    said += [f"Fields left out: {', '.join(code(one, 60) for one in wish.ignored)}"] * bool(wish.ignored)
    return [kit.context("\n".join(said))] if said else []


def _indices(one: Candidate, standing: Standing) -> list[str]:
    pairs = zip(one.pair.names, one.indices, strict=True)
    return [index_line(index, standing) if index else f"{code(name, 80)}: not there" for name, index in pairs]
