"""What the sandbox can be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sandbox.history import MASTER, RELEASE
from sandbox.supervisor import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """A world to bring up.

    ``repo`` is a real clone to work on a copy of, with ``release`` and ``master`` as the refs that its branches are set to.
    ``state`` is a file for addresses, ids and key paths (JSON), there while the world is. ``play`` carries out one release
    and ends. ``build_seconds`` is how long the webapp build of a deploy takes. ``mode`` is how Slack reaches the
    bot; without ``bot`` the world is there alone, for a bot that is started by hand. ``database`` is the bot's, empty for a
    SQLite file in the world's folder; ``settings`` are put over the bot's settings, nested as they are. ``environment`` is what
    the bot calls its one environment. With ``repo``, the server has ``live`` checked out (without it: release), and a tag
    ``untagged`` is not there yet. ``datasets`` is how many METASPACE has, in scenarios with a search.
    """

    repo: Path | None = None
    release: str = RELEASE
    master: str = MASTER
    scenario: str = "plain"
    state: Path | None = None
    play: bool = False
    build_seconds: int = 5
    mode: Literal["socket", "http"] = "socket"
    bot: bool = True
    pace: Pace = field(default_factory=Pace)
    slack_port: int = 0
    play_deadline: float = 600.0
    database: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: str = "prod"
    live: str = ""
    untagged: str = ""
    datasets: int = 300
