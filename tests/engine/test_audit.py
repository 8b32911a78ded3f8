"""The log of events: chained, append-only, and every change made behind the database's back is found and named."""

# ruff: noqa: S608  # statements with names of columns: these tests do what nobody should
from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, event, select, text

from bot import cli
from bot.domain.audit import BEGINNING, Chain, Entry, Link, Verdict, digest, source, source_parts
from bot.domain.errors import Conflict
from bot.domain.release import DecisionKind, ReleaseState
from bot.engine import audit, schema
from bot.engine.clock import SystemClock
from bot.engine.codec import plan_out
from bot.engine.store import Store, StoreUnavailable, engine
from bot.engine.tables import DecisionRow, UtcTime
from bot.settings_example import EXAMPLE
from tests.engine.scripted import ADMIN, RELEASER, STORY, Files, opened, plan, running, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)

# Pure: the chain itself

names = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
entries = st.builds(
    Entry,
    id=st.just(0),
    release=st.none() | st.integers(1, 9),
    step=names,
    kind=names,
    at=st.datetimes(timezones=st.just(UTC)),
    by=names,
    source=names,
    data=st.dictionaries(names, values, max_size=3),
)


def chained(said: list[Entry]) -> list[Link]:
    links, previous = [], BEGINNING
    for number, one in enumerate(said, 1):
        entry = replace(one, id=number)
        links.append(Link(entry, previous, digest(entry, previous)))
        previous = links[-1].hash
    return links


def fault(links: list[Link], *, position: int, head: str) -> str:
    chain = Chain()
    found = next((found for one in links if (found := chain.fault(one))), "")
    return found or chain.end_fault(position, head)


@given(st.lists(entries, max_size=6))
def test_a_chain_that_nobody_touched_is_whole(said: list[Entry]) -> None:
    links = chained(said)
    assert fault(links, position=len(links), head=links[-1].hash if links else BEGINNING) == ""


def changed(link: Link, draw: Callable[[Any], Any]) -> Link:
    """Another value in any one field, also with a hash that fits it."""
    name = draw(st.sampled_from(["release", "step", "kind", "at", "by", "source", "data", "previous", "hash"]))
    if name in ("previous", "hash"):
        return replace(link, **{name: hashlib.sha256(getattr(link, name).encode()).hexdigest()})
    other = {
        "release": (link.entry.release or 0) + 1,
        "at": link.entry.at + timedelta(microseconds=1) if link.entry.at.year < 9999 else AT,
        "data": {**link.entry.data, "more": 1} if "more" not in link.entry.data else {},
    }.get(name, f"{getattr(link.entry, name)}x")
    entry = replace(link.entry, **{name: other})
    return replace(link, entry=entry, hash=digest(entry, link.previous) if draw(st.booleans()) else link.hash)


@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_any_single_change_is_found_at_its_place(said: list[Entry], data: st.DataObject) -> None:
    links = chained(said)
    noted = {"position": len(links), "head": links[-1].hash}
    at = data.draw(st.integers(0, len(links) - 1))
    match data.draw(st.sampled_from(["change", "delete", "swap", "insert", "move"])):
        case "change":
            links[at] = changed(links[at], data.draw)
        case "delete":
            del links[at]
        case "swap":
            other = data.draw(st.integers(0, len(links) - 1))
            if other == at:
                return
            links[at], links[other] = links[other], links[at]
        case "insert":
            entry = replace(data.draw(entries), id=at + 1)
            links.insert(at, Link(entry, links[at].previous, digest(entry, links[at].previous)))
        case "move":
            if len(links) == 1:
                return
            links.insert((at + 1) % len(links) if at + 1 < len(links) else 0, links.pop(at))
    found = fault(links, **noted)
    assert found
    assert "event" in found


def test_what_was_asked_by_which_message_comes_apart_again() -> None:
    assert dict(source_parts(source(request="act-1", channel="C1", message="1.2"))) == {
        "request": "act-1",
        "channel": "C1",
        "message": "1.2",
    }
    assert dict(source_parts(source(request="cmd-1", channel="C1"))) == {"request": "cmd-1", "channel": "C1"}
    assert dict(source_parts("")) == {}


# On both databases


async def write(url: str, number: int = 5) -> None:
    async with Store(url) as store:
        for n in range(number):
            async with store.writing() as session:
                await audit.append(
                    session, release=1, kind=f"kind{n}", at=AT + timedelta(hours=n), step="tag", by="U1",
                    source="act-1 C1/1.2", data={"n": n, "f": 0.1, "deep": {"ü": [None, True]}},
                )  # fmt: skip


async def behind(url: str, *statements: str) -> None:
    """Change the log as somebody would who has the database to himself."""
    opened_engine = engine(url)
    try:
        async with opened_engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                for name in ("events_follow", "events_noted", "events_kept", "events_held"):
                    kept = (
                        await connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :n"), {"n": name})
                    ).scalar_one()
                    await connection.exec_driver_sql(f"DROP TRIGGER {name}")
                    statements = (*statements, kept)
            else:
                await connection.exec_driver_sql("ALTER TABLE events DISABLE TRIGGER USER")
                statements = (*statements, "ALTER TABLE events ENABLE TRIGGER USER")
            for one in statements:
                await connection.exec_driver_sql(one)
    finally:
        await opened_engine.dispose()


async def test_an_untouched_log_is_whole_and_its_newest_hash_can_be_kept_elsewhere(url: str) -> None:
    assert await audit.verify(url) == Verdict(0, 0, BEGINNING)
    await write(url)
    first = await audit.verify(url)
    assert (first.count, first.position, first.fault) == (5, 5, "")
    await write(url, 1)
    assert (await audit.verify(url, seen=first.hash)).fault == ""
    assert "not in the log" in (await audit.verify(url, seen="f" * 64)).fault


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE events SET kind = 'else' WHERE id = 3", "event 3 was changed"),
        ("UPDATE events SET \"by\" = 'U2' WHERE id = 1", "event 1 was changed"),
        ("UPDATE events SET source = '' WHERE id = 5", "event 5 was changed"),
        ("UPDATE events SET release = NULL WHERE id = 2", "event 2 was changed"),
        ("UPDATE events SET data = '{\"n\": 7}' WHERE id = 2", "event 2 was changed"),
        ("UPDATE events SET at = '2026-11-24 12:00:01.000000' WHERE id = 4", "event 4 was changed"),
        ("UPDATE events SET hash = previous WHERE id = 4", "event 4 was changed"),
        ("DELETE FROM events WHERE id = 3", "event 3 is missing before event 4"),
        ("DELETE FROM events WHERE id = 1", "event 1 is missing before event 2"),
        ("DELETE FROM events WHERE id IN (2, 3)", "events 2 to 3 are missing before event 4"),
        ("DELETE FROM events WHERE id = 5", "event 5 is missing at the end"),
        ("DELETE FROM events", "events 1 to 5 are missing at the end"),
        ("UPDATE events SET id = 9 WHERE id = 2", "event 2 is missing before event 3"),
        ("UPDATE chain SET position = 4", "event 5 is not what was noted as the newest"),
        ("DELETE FROM chain", "note of the newest event is missing"),
        (
            ('INSERT INTO events SELECT 6, release, step, kind, at, "by", data, source, previous, hash '
            "FROM events WHERE id = 5"),
            "event 6 was changed",
        ),
    ],
)  # fmt: skip
async def test_what_was_done_behind_the_triggers_is_named(url: str, statement: str, says: str) -> None:
    await write(url)
    if "INSERT" in statement:
        columns = 'id, release, step, kind, at, "by", data, source, previous, hash'
        statement = statement.replace("INTO events", f"INTO events ({columns})")
    await behind(url, statement)
    found = (await audit.verify(url)).fault
    assert says in found


async def test_swapped_contents_are_found(url: str) -> None:
    await write(url)
    await behind(
        url,
        "UPDATE events SET id = 99 WHERE id = 2",
        "UPDATE events SET id = 2 WHERE id = 3",
        "UPDATE events SET id = 3 WHERE id = 99",
    )
    assert "event 2 was changed" in (await audit.verify(url)).fault


@pytest.mark.parametrize("column", ["at", "data", "release"])
async def test_what_cannot_even_be_read_is_named(tmp_path: Path, column: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    await write(url)
    await behind(url, f"UPDATE events SET {column} = 'nonsense {{' WHERE id = 3")
    assert "event 3 was changed" in (await audit.verify(url)).fault


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET kind = 'else' WHERE id = 3",
        "DELETE FROM events WHERE id = 5",
        "DELETE FROM events",
        (
            'INSERT INTO events (id, step, kind, at, "by", source, data, previous, hash) '
            "VALUES (6, '', 'x', '2026-11-24 12:00:00.000000', '', '', '{}', 'a', 'b')"
        ),
        (
            'INSERT INTO events (id, step, kind, at, "by", source, data, previous, hash) '
            "SELECT 3, '', 'x', '2026-11-24 12:00:00.000000', '', '', '{}', hash, 'b' FROM events WHERE id = 5"
        ),
    ],
)
async def test_the_database_itself_refuses_to_change_the_log(url: str, statement: str) -> None:
    await write(url)
    before = await audit.verify(url)
    async with Store(url) as store:

        async def attempt() -> None:
            async with store.writing() as session:
                await session.execute(text(statement))

        with pytest.raises(StoreUnavailable):
            await attempt()
    assert await audit.verify(url) == before


async def test_truncating_is_refused_too(url: str) -> None:
    if url.startswith("sqlite"):
        return  # SQLite has no TRUNCATE; DELETE without WHERE stands above
    await write(url)
    async with Store(url) as store:

        async def attempt() -> None:
            async with store.writing() as session:
                await session.execute(text("TRUNCATE events"))

        with pytest.raises(StoreUnavailable):
            await attempt()


async def test_missing_guards_are_named(url: str) -> None:
    await write(url)
    sqlite = url.startswith("sqlite")
    opened_engine = engine(url)
    async with opened_engine.begin() as connection:
        await connection.exec_driver_sql(
            "DROP TRIGGER events_kept" if sqlite else "ALTER TABLE events DISABLE TRIGGER events_kept"
        )
    await opened_engine.dispose()
    assert (await audit.verify(url)).fault == "the database no longer refuses changes: events_kept missing"


async def test_many_writers_make_one_chain(url: str) -> None:
    """On PostgreSQL by two replicas at once."""
    async with Store(url) as one:
        two = one if one.sqlite else await Store(url).open()

        async def add(store: Store, n: int) -> None:
            async with store.writing() as session:
                for m in range(3):
                    await audit.append(session, release=n, kind="x", at=AT, data={"m": m})
                if n % 5 == 0:
                    raise ZeroDivisionError  # what is not committed leaves no gap

        ended = await asyncio.gather(*(add((one, two)[n % 2], n) for n in range(20)), return_exceptions=True)
        if two is not one:
            await two.close()
    assert sum(isinstance(end, ZeroDivisionError) for end in ended) == 4
    found = await audit.verify(url)
    assert (found.count, found.position, found.fault) == (48, 48, "")


async def test_every_decision_says_who_when_and_from_which_message(url: str, files: Files) -> None:
    async with opened(url, steps(files)) as bot, running(bot):
        asked = plan(("second", "asking"))
        release = (await bot.desk.start(plan=asked, checklist="", by="U01REL", source="cmd-1 C1")).id
        question = await bot.asked(release)
        for by, message in ((RELEASER, "act-2 C1/5.5"), (ADMIN, "act-3 C1/5.5")):
            await bot.desk.answer(
                question=question, kind=DecisionKind.APPROVE, by=by, value="yes", reason="fine", source=message
            )
        await bot.finished(release)
        await bot.desk.lock("prod", by=RELEASER, reason="mine", source="cmd-4 C1")
        await bot.desk.unlock("prod", by=RELEASER, source="cmd-5 C1")
        async with bot.store.reading() as session:
            kept = [(one.by, one.source) for one in (await session.scalars(select(DecisionRow))).all()]
    assert kept == [("U01REL", "act-2 C1/5.5"), ("U03ADM", "act-3 C1/5.5")]
    lines = [one async for one in audit.export(url)]
    people = [(one["who"], one["what"], one["from"].get("request"), one["from"].get("message")) for one in lines]
    assert [one for one in people if one[0] != "releasebot"] == [
        ("U01REL", "release.started", "cmd-1", None),
        ("U01REL", "step.answered", "act-2", "5.5"),
        ("U03ADM", "step.answered_late", "act-3", "5.5"),
        ("U01REL", "lock.taken", "cmd-4", None),
        ("U01REL", "lock.released", "cmd-5", None),
    ]
    (answered,) = [one for one in lines if one["what"] == "step.answered"]
    assert answered["data"] | {"question": "", "fingerprint": ""} == {
        "question": "", "fingerprint": "", "kind": "approve", "value": "yes", "reason": "fine", "form": None,
    }  # fmt: skip
    assert (await audit.verify(url)).fault == ""


async def test_an_export_can_be_verified_by_itself_and_be_limited(url: str) -> None:
    await write(url)
    lines = [one async for one in audit.export(url)]
    previous = BEGINNING
    for one in map(json.loads, map(json.dumps, lines)):
        entry = Entry(
            one["id"], int(one["release"][1:]), one["step"], one["what"], datetime.fromisoformat(one["at"]), one["who"],
            source(request=one["from"]["request"], channel="C1", message="1.2"), one["data"],
        )  # fmt: skip
        assert (one["previous"], one["hash"]) == (previous, digest(entry, previous))
        previous = one["hash"]
    assert [one["id"] async for one in audit.export(url, since=AT + timedelta(hours=3))] == [4, 5]
    assert [one["id"] async for one in audit.export(url, release=2)] == []


COLUMNS = ("id", "release", "step", "kind", "at", "by", "source", "data", "previous", "hash")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("log") / "bot.sqlite"
    asyncio.run(write(f"sqlite+aiosqlite:///{file}", 6))
    with sqlite3.connect(file) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@dataclass(frozen=True)
class Change:
    what: str
    number: int
    other: int
    column: str
    value: object

    def make(self, raw: sqlite3.Connection) -> None:
        number, other, column = self.number, self.other, self.column
        match self.what:
            case "edit":
                raw.execute(f'UPDATE events SET "{column}" = ? WHERE id = ?', (self.value, number))
            case "delete":
                raw.execute("DELETE FROM events WHERE id = ?", (number,))
            case "insert":
                rest = ", ".join(f'"{one}"' for one in COLUMNS[1:])
                copy = f"INSERT INTO events (id, {rest}) SELECT ?, {rest} FROM events WHERE id = ?"
                raw.execute(copy, (self.value, number))
            case "swap":
                for old, new in ((number, 1000), (other, number), (1000, other)):
                    raw.execute("UPDATE events SET id = ? WHERE id = ?", (new, old))
            case "swap a column" if column != "id":
                query = f'SELECT "{column}" FROM events WHERE id = ?'
                (mine,), (theirs,) = (raw.execute(query, (one,)).fetchone() for one in (number, other))
                raw.execute(f'UPDATE events SET "{column}" = ? WHERE id = ?', (theirs, number))
                raw.execute(f'UPDATE events SET "{column}" = ? WHERE id = ?', (mine, other))


changes = st.builds(
    Change,
    what=st.sampled_from(["edit", "delete", "swap", "swap a column", "insert"]),
    number=st.integers(1, 6),
    other=st.integers(1, 6),
    column=st.sampled_from(COLUMNS),
    value=st.none() | st.integers(-9, 99) | st.text("az09{}[]\"' -:", max_size=40) | st.binary(max_size=4),
)


@given(changes)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_one_change_somebody_makes_to_the_file_is_found(written: Path, tmp_path: Path, change: Change) -> None:
    shutil.copy(written, tmp_path / "bot.sqlite")
    with contextlib.closing(sqlite3.connect(tmp_path / "bot.sqlite", isolation_level=None)) as raw:
        guards = [one for (one,) in raw.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
        for guard in guards:
            raw.execute(f"DROP TRIGGER {guard.split()[2]}")
        before = list(raw.execute("SELECT * FROM events ORDER BY id"))
        try:
            change.make(raw)
        except sqlite3.IntegrityError:
            return  # NOT NULL, or a number that is taken: refused even without the triggers
        same = list(raw.execute("SELECT * FROM events ORDER BY id")) == before
        for guard in guards:
            raw.execute(guard)
    found = asyncio.run(audit.verify(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"))
    assert bool(found.fault) is not same, found


# Upgrades


async def old(url: str) -> None:
    """A database of the first revision, in the middle of a release, as that version of the bot left it."""
    opened_engine = engine(url)
    await schema.upgrade(opened_engine, "0001")
    made, now = STORY, AT
    async with opened_engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO releases (number, environment, state, plan, fingerprint, checklist, started_by, created_at, note, "
                "debts, channel, thread, lease_owner, fence) VALUES (1, 'prod', 'running', :plan, :print, '', 'U01REL', :now, '', "
                "'[]', '', '', '', 3)"
            ).bindparams(bindparam("now", type_=UtcTime())),
            {"plan": json.dumps(plan_out(made)), "print": made.fingerprint, "now": now},
        )
        for position, step in enumerate(made.steps):
            await connection.execute(
                text(
                    "INSERT INTO steps (release, key, position, state, attempt, in_effect, summary, facts, progress, "
                    "decided_by, reason) VALUES (1, :key, :at, :state, 0, :no, '', '{}', '', '', '')"
                ),
                {"key": step.key, "at": position, "state": "pending", "no": False},
            )
        for number in (1, 2, 4):  # PostgreSQL leaves gaps where a transaction was rolled back
            await connection.execute(
                text(
                    'INSERT INTO events (id, release, step, kind, at, "by", data) '
                    "VALUES (:id, 1, '', 'release.started', :now, 'U01REL', :data)"
                ).bindparams(bindparam("now", type_=UtcTime())),
                {"id": number, "now": now + timedelta(microseconds=number), "data": json.dumps({"version": "1.9.10"})},
            )
    await opened_engine.dispose()


async def test_a_release_that_runs_goes_on_after_the_upgrade_and_its_old_events_are_chained(
    empty_url: str, files: Files
) -> None:
    await old(empty_url)
    with pytest.raises(Conflict, match="at revision 0001"):
        await audit.verify(empty_url)
    async with opened(empty_url, steps(files)) as bot:
        before = await audit.verify(empty_url)
        assert (before.count, before.position, before.fault) == (3, 4, "")
        async with running(bot):
            question = await bot.asked("R1")
            await bot.desk.answer(question=question, kind=DecisionKind.APPROVE, by=RELEASER, value="yes")
            assert (await bot.finished("R1")).state is ReleaseState.SUCCEEDED
        assert files.all() == {"first": 1, "second": 1, "third-begin": 1, "third-end": 1, "fourth": 1, "last": 1}
    after = await audit.verify(empty_url, seen=before.hash)
    assert after.fault == ""
    assert after.position == after.count + 1, "no new gap"
    await behind(empty_url, "UPDATE events SET \"by\" = 'U2' WHERE id = 2")
    assert "event 2 was changed" in (await audit.verify(empty_url)).fault


async def test_a_downgrade_and_an_upgrade_make_the_same_chain(empty_url: str) -> None:
    await old(empty_url)
    opened_engine = engine(empty_url)
    try:
        await schema.upgrade(opened_engine)
        first = await audit.verify(empty_url)
        await schema.downgrade(opened_engine, "0001")
        await schema.upgrade(opened_engine)
        assert await audit.verify(empty_url) == first
    finally:
        await opened_engine.dispose()


# The command line


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out = capsys.readouterr()
    return int(ended.value.code or 0), out.out + out.err


@pytest.fixture
def config(tmp_path: Path) -> Path:
    raw = yaml.safe_load(EXAMPLE)
    raw["database"]["url"] = f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"
    (tmp_path / "settings.yml").write_text(yaml.safe_dump(raw))
    return tmp_path / "settings.yml"


def test_verify_and_export_on_the_command_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(write(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"))
    status, said = called(capsys, "db", "verify", "--config", str(config))
    assert status == 0
    assert said.startswith("5 events, unbroken. The newest is 5, its hash ")
    status, said = called(
        capsys, "db", "export", "--config", str(config), "--since", "2026-11-24T15:00", "--release", "R1"
    )
    lines = [json.loads(line) for line in said.splitlines()]
    assert status == 0
    assert [(one["id"], one["who"], one["what"], one["from"]) for one in lines] == [
        (n, "U1", f"kind{n - 1}", {"request": "act-1", "channel": "C1", "message": "1.2"}) for n in (4, 5)
    ]
    asyncio.run(behind(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}", "DELETE FROM events WHERE id = 2"))
    status, said = called(capsys, "db", "verify", "--config", str(config))
    assert (status, said) == (
        1,
        "BROKEN: event 2 is missing before event 3. 1 events before it are as they were written.\n",
    )
    status, said = called(capsys, "db", "verify", "--json", "--config", str(config))
    assert (status, json.loads(said)["fault"]) == (1, "event 2 is missing before event 3")


@pytest.mark.parametrize(
    "arguments", [("--since", "yesterday"), ("--release", "seven"), ("--release", "R1; DROP TABLE events")]
)
def test_wrong_use_is_a_sentence(config: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, said = called(capsys, "db", "export", "--config", str(config), *arguments)
    assert status == 2
    assert said.startswith("releasebot: ")


async def test_a_bookkeeping_step_costs_little_more_with_the_chain(tmp_path: Path) -> None:
    """Counted in statements, which do not depend on the machine: the newest event is read, the new one written."""
    counted: list[str] = []
    async with Store(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}") as store:
        event.listen(
            store.engine.sync_engine, "before_cursor_execute", lambda *args: counted.append(args[2].split()[0])
        )
        async with store.writing() as session:
            await audit.append(session, release=1, kind="x", at=SystemClock().now())
    assert counted == ["BEGIN", "SELECT", "INSERT"]


def test_sqlite_itself_refuses_whatever_program_asks(tmp_path: Path) -> None:
    """The guard is in the file: not only the bot's own connections have it."""
    asyncio.run(write(f"sqlite+aiosqlite:///{tmp_path / 'bot.sqlite'}"))
    with sqlite3.connect(tmp_path / "bot.sqlite") as other:
        for statement in (
            "UPDATE events SET kind = 'x'",
            "DELETE FROM events",
            "INSERT OR REPLACE INTO events SELECT * FROM events",
        ):
            with pytest.raises(sqlite3.IntegrityError, match=r"events are never|must follow"):
                other.execute(statement)
