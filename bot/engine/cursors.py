"""How far readers have read the log. Every turn of a reader is counted: of two that read at once, one finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.engine.tables import CursorRow

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Cursor(NamedTuple):
    """The number of the last event read, and how many turns the readers of this name took so far."""

    position: int = 0
    turns: int = 0


async def cursor(session: AsyncSession, name: str) -> Cursor:
    """Return where it stands; zeros at first."""
    names = (name, _turns(name))
    query = select(CursorRow.name, CursorRow.position).where(CursorRow.name.in_(names))
    found = {row.name: row.position for row in await session.execute(query)}
    return Cursor(*(found.get(one, 0) for one in names))


async def move(session: AsyncSession, name: str, *, since: Cursor, to: int) -> bool:
    """Note a turn that read up to ``to``; False, and nothing noted, when another one was noted after ``since`` was read."""
    for one in (_turns(name), name):
        await _there(session, one)
    ours = update(CursorRow).where(CursorRow.name == _turns(name), CursorRow.position == since.turns)
    counted: Any = await session.execute(ours.values(position=since.turns + 1).execution_options(**_PLAIN))
    if counted.rowcount:
        await session.execute(
            update(CursorRow).where(CursorRow.name == name).values(position=to).execution_options(**_PLAIN)
        )
    return bool(counted.rowcount)


_PLAIN: dict[str, Any] = {"synchronize_session": False}


def _turns(name: str) -> str:
    return f"{name}:turns"


async def _there(session: AsyncSession, name: str) -> None:
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    await session.execute(insert(CursorRow).values(name=name, position=0).on_conflict_do_nothing())
