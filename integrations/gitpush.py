"""What a push was told by the remote, read from ``git push --porcelain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.errors import Refused, ReleaseError
from bot.domain.world import ABSENT
from integrations.gitcommand import PUSH, failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.domain.world import RefUpdate
    from integrations.gitcommand import Answer

_NOTHING = "Nothing was pushed."
_OTHERS_FAULT = ("atomic push failed", "atomic transaction failed")


def lease(update: RefUpdate) -> str:
    """Return the option that makes the push void when the remote's ref is elsewhere; an empty value: must not exist.

    Such an option alone would let Git push what is no fast-forward: that has to be proved before.
    """
    return f"--force-with-lease={update.ref}:{'' if update.old == ABSENT else update.old}"


def refusal(answer: Answer, updates: Sequence[RefUpdate], seen: Mapping[str, str]) -> ReleaseError:
    """Return why the remote (which now has ``seen``) is not where a push should have brought it."""
    moved = [_moved(one, seen) for one in updates if seen.get(one.ref, ABSENT) not in (one.old, one.new)]
    if moved:
        hint = "somebody was faster: look at what is there now, then make a new plan"
        return Refused(" ".join(moved), hint=hint, changed=_NOTHING if answer.status else "")
    rejected = list(_rejections(answer.out))
    if rejected:
        words = f"\n{answer.words}" if answer.words else ""
        hint = "a rule or hook of the remote forbids it: change that, or let someone push who may, then retry"
        return Refused(f"The remote rejected the push of {', '.join(rejected)}.{words}", hint=hint, changed=_NOTHING)
    if answer.status:
        return failure(answer, doing="Pushing", deadline=PUSH, changed=_NOTHING)
    return Refused("The remote took the push, but does not show it.", hint="look at the remote, then retry")


def _moved(update: RefUpdate, seen: Mapping[str, str]) -> str:
    now = seen.get(update.ref)
    was = "absent" if update.old == ABSENT else f"at {update.old:.8}"
    return f"{_short(update.ref)} was expected {was}, and is {f'at {now:.8}' if now else 'gone'}."


def _rejections(porcelain: str) -> Iterator[str]:
    """Yield ref and reason of each line ``!<TAB>from:to<TAB>[remote rejected] (reason)``."""
    for line in porcelain.splitlines():
        flag, *fields = line.split("\t")
        if flag == "!" and len(fields) > 1 and not any(fault in fields[1] for fault in _OTHERS_FAULT):
            yield f"{_short(fields[0].partition(':')[2])} {fields[1]}"


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
