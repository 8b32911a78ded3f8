"""Whether a release truly went through: the world before and after, read from the world itself and not from the bot."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from bot.domain import notes
from bot.domain.errors import Unavailable
from sandbox.forge import SQUASHED
from sandbox.processes import output
from sandbox.verdict_data import data_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.world import World

VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facts that a release changes."""

    tags: frozenset[str]
    release: str
    master: str
    checkout: str
    pids: Mapping[str, str]
    states: Mapping[str, str]
    webapp: Mapping[str, str]
    health: Mapping[str, Any]


async def look(world: World) -> Snapshot:
    """Read the world as it is now."""
    lines = [line.split() for line in (await world.supervisor.ctl("status")).splitlines()]
    programs = [words for words in lines if len(words) > 1]
    return Snapshot(
        tags=frozenset((await world.git.git("tag")).split()),
        release=await world.git.head("release"),
        master=await world.git.head("master"),
        checkout=(await output(["git", "-C", str(world.git.checkout), "rev-parse", "HEAD"])).strip(),
        pids={words[0]: words[3].rstrip(",") for words in programs if words[1] == "RUNNING"},
        states={words[0]: words[1] for words in programs},
        webapp=_webapp(world),
        health=await _health(world),
    )


async def problems(world: World, before: Snapshot, messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return, in sentences, everything that is not as it must be after one whole release; none means all is well."""
    after = await look(world)
    made = sorted(tag for tag in after.tags - before.tags if VERSION.fullmatch(tag))
    if len(made) != 1:
        return [f"expected one new version tag on origin, found {made or 'none'}"]
    version, commit = made[0], await world.git.head(made[0])
    return [
        *[problem async for problem in _tag_problems(world, version)],
        *[problem async for problem in _branch_problems(world, before, after, commit)],
        *_server_problems(before, after, commit),
        *_announcement_problems(version, messages),
        *[problem async for problem in _github_problems(world, before, version)],
        *[problem async for problem in _data_problems(world)],
    ]


async def _tag_problems(world: World, version: str) -> Any:
    if await world.git.git("cat-file", "-t", version) != "tag":
        yield f"tag {version} is not annotated"
    elif not (await world.git.git("cat-file", "-p", version)).partition("\n\n")[2].startswith("> Release notes:"):
        yield f"tag {version} has no release notes in its message"


async def _branch_problems(world: World, before: Snapshot, after: Snapshot, commit: str) -> Any:
    if after.release != commit:
        yield f"origin's release is at {after.release:.8}, the tag at {commit:.8}"
    for name, old in (("release", before.release), ("master", before.master)):
        try:
            await world.git.git("merge-base", "--is-ancestor", old, commit)
        except Unavailable:
            yield f"{commit:.8} does not contain what {name} was at, {old:.8}"


def _server_problems(before: Snapshot, after: Snapshot, commit: str) -> Iterator[str]:
    if after.checkout != commit:
        yield f"the server's checkout is at {after.checkout:.8}, not {commit:.8}"
    for name, state in after.states.items():
        if state != "RUNNING":
            yield f"{name} is {state}"
        elif after.pids[name] == before.pids.get(name):
            yield f"{name} was not restarted"
    if after.webapp.get("commit") != commit:
        yield f"the webapp was built from {after.webapp.get('commit', 'nothing')[:8]}, not {commit:.8}"
    if after.health != before.health:
        yield f"the health switches were {dict(before.health)} and are {dict(after.health)}"


def _announcement_problems(version: str, messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    texts = [text_of(message) for message in messages if message.get("thread_ts") in {None, message["ts"]}]
    exact = re.escape(version)
    wanted = {"start": rf"Releasing \W*METASPACE {exact}\b", "success": rf"METASPACE {exact}\b.* is live"}
    for name, pattern in wanted.items():
        count = sum(1 for text in texts if re.search(pattern, text))
        if count != 1:
            yield f"the {name} of {version} was announced {count} times in the channel"


async def _github_problems(world: World, before: Snapshot, version: str) -> Any:
    """GitHub has one release with the lines of the tag, and each pull request of the range one comment."""
    lines = notes.parse((await world.git.git("cat-file", "-p", version)).partition("\n\n")[2])
    releases = [one for one in world.github.releases if one["tag_name"] == version]
    if len(releases) != 1:
        yield f"GitHub has {len(releases)} releases for {version}"
    for one in releases:
        shown = [
            line.removeprefix("* ") for line in html.unescape(str(one["body"])).splitlines() if line.startswith("* ")
        ]
        if shown != [notes.line(note) for note in lines]:
            yield f"GitHub's release {version} has other notes than the tag: {shown}"
    subjects = (await world.git.git("log", "--format=%s", f"{before.release}..{version}")).splitlines()
    for number in sorted(int(match["number"]) for one in subjects if (match := SQUASHED.match(one))):
        told = [one for one in world.github.comments.get(number, ()) if f"Released in {version}." in one["body"]]
        if len(told) != 1:
            yield f"#{number} was told {len(told)} times that it is in {version}"


async def _data_problems(world: World) -> Any:
    if world.data is not None:
        async for problem in data_problems(world.data, world.scenario, world.git.server):
            yield problem


def _webapp(world: World) -> Mapping[str, str]:
    try:
        found: dict[str, str] = json.loads((world.git.www / "version.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
    return found


async def _health(world: World) -> Mapping[str, Any]:
    query = {"query": "{ systemHealth { canMutate canProcessDatasets message } }"}
    async with aiohttp.ClientSession() as session, session.post(world.supervisor.graphql_url, json=query) as response:
        health: dict[str, Any] = (await response.json())["data"]["systemHealth"]
        return health


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's text as a person reads it: that of its blocks, else its fallback."""
    blocks = message.get("blocks") or ()
    parts = [part for block in blocks for part in _block_texts(block)]
    return "\n".join(part for part in parts if part) or str(message.get("text", ""))


def _block_texts(block: Mapping[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "actions":
            yield " ".join(f"[{element['text']['text']}]" for element in block["elements"] if "text" in element)
        case "context":
            yield " ".join(str(element.get("text", "")) for element in block["elements"])
        case "divider":
            yield "———"
        case _:
            texts = [block.get("text"), *(block.get("fields") or ())]
            yield from (str(text["text"]) for text in texts if isinstance(text, dict))


def transcript(messages: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Return a channel as text, replies indented under their first message."""
    threads: dict[str, list[Mapping[str, Any]]] = {}
    for message in messages:
        threads.setdefault(str(message.get("thread_ts") or message["ts"]), []).append(message)
    lines: list[str] = []
    for thread in threads.values():
        for message in thread:
            indent = "" if message is thread[0] else "    "
            private = " (only visible to one person)" if message.get("subtype") == "ephemeral" else ""
            lines.append(f"{indent}{names.get(str(message.get('user')), 'releasebot')}{private}:")
            lines += [f"{indent}  {line}" for line in text_of(message).splitlines()]
    return "\n".join(lines)
