"""Git's processes: their surroundings, deadlines, and the translation of what they say when they fail.

Git runs with neither system nor user configuration, never asks anything on a terminal, and over SSH accepts pinned host
keys only. Over HTTPS to the configured GitHub it shows the configured token, handed over in the environment.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.domain.errors import HostKeyChanged, Refused, ReleaseError, Unavailable
from bot.telemetry import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bot.settings import RepositorySettings

LOCAL, ASK, PUSH, FETCH = 60.0, 30.0, 120.0, 900.0  # deadlines in seconds; a first fetch brings the whole repository
_LONGEST = 1500
_NOISE = re.compile(r"^(hint:|To |error: failed to push some refs|fatal: the remote end hung up|warning: )")
_DENIED = re.compile(
    r"Permission denied|Authentication failed|could not read (Username|Password)|terminal prompts disabled"
    r"|Permission to \S+ denied|error: 40[13]|access denied|Invalid username or",
    re.IGNORECASE,
)
_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", re.IGNORECASE)
_LOCK = re.compile(r"Unable to create '([^']+\.lock)': File exists")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a Git process ended. ``late`` is set when it was killed at its deadline."""

    status: int
    out: str
    err: str
    late: bool = False

    @property
    def words(self) -> str:
        """What Git and the remote said, for people: without noise and secrets, at most 1,500 characters."""
        lines = (line.removeprefix("remote:").strip() for line in self.err.splitlines() if not _NOISE.match(line))
        text = scrub("\n".join(line for line in lines if line))
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    @property
    def lock(self) -> str:
        """The lock file that was in the way, or nothing."""
        found = _LOCK.search(self.err)
        return found[1] if found else ""


class GitCommand:
    """Runs Git on one bare repository."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._environment = {**environment(settings), "GIT_DIR": str(settings.mirror.absolute())}

    def run(
        self, *arguments: str, deadline: float = LOCAL, feed: str = "", env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run Git and return how it ended, whatever that was; raises `Unavailable` only when there is no Git.

        ``env`` are further variables, ``feed`` is its standard input; after ``deadline`` seconds it is killed.
        """
        import git

        with tempfile.TemporaryFile() as stdin:
            stdin.write(feed.encode("utf-8", "surrogateescape"))
            stdin.seek(0)
            try:
                status, out, err = git.cmd.Git().execute(
                    ["git", *arguments],
                    env={**self._environment, **(env or {})},
                    istream=stdin,
                    kill_after_timeout=deadline,
                    with_extended_output=True,
                    with_exceptions=False,
                    strip_newline_in_stdout=False,
                )
            except git.GitCommandNotFound as error:
                raise Unavailable("There is no git on this machine.", hint="install git 2.38 or newer") from error
        return Answer(status, str(out), err, late=status < 0 and err.startswith("Timeout: the command"))

    def ask(
        self, *arguments: str, deadline: float = LOCAL, feed: str = "", env: Mapping[str, str] | None = None
    ) -> str:
        """Run Git and return its output; raises what `failure` makes of its errors."""
        answer = self.run(*arguments, deadline=deadline, feed=feed, env=env)
        if answer.status:
            raise failure(answer, doing=f"git {arguments[0]}", deadline=deadline)
        return answer.out


def failure(answer: Answer, *, doing: str, deadline: float, changed: str = "") -> ReleaseError:
    """Return the error for a Git process that failed: the remote said no, another host key, or it does not answer."""
    words = answer.words or f"exit status {answer.status}"
    if answer.late:
        return Unavailable(
            f"{doing}: no answer within {deadline:.0f} s.", hint="retry when the remote answers", changed=changed
        )
    if _HOST_KEY.search(answer.err):
        return HostKeyChanged(
            f"{doing}: the remote's host key is not the pinned one.",
            hint="find out why before anything else; only then correct repository.known_hosts",
            changed=changed,
        )
    if _DENIED.search(answer.err):
        return Refused(
            f"{doing}: the remote does not let us: {words}",
            hint="look at repository.url, its key or token, and what they may do",
            changed=changed,
        )
    hint = f"if no git process is running, delete {answer.lock}" if answer.lock else "releasebot doctor, then retry"
    return Unavailable(f"{doing}: {words}", hint=hint, changed=changed)


def environment(settings: RepositorySettings) -> Mapping[str, str]:
    """Return the variables that all Git processes of a repository get."""
    return {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_SSH_COMMAND": _ssh(settings.ssh_key, settings.known_hosts),
        **_configuration(settings),
    }


def _ssh(key: Path | None, known_hosts: Path | None) -> str:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=10", "ServerAliveInterval=10"]
    if known_hosts:
        options += [f'UserKnownHostsFile="{known_hosts}"', f"GlobalKnownHostsFile={os.devnull}"]
    if key:
        options += ["IdentitiesOnly=yes", f'IdentityFile="{key}"']
    return shlex.join(["ssh", *(part for option in options for part in ("-o", option))])


def _configuration(settings: RepositorySettings) -> Mapping[str, str]:
    """No background work that outlives the bot, no hooks, nothing signed, no helper that could ask."""
    pairs = {
        "gc.autoDetach": "false",
        "maintenance.autoDetach": "false",
        "core.hooksPath": os.devnull,
        "credential.helper": "",
        "advice.pushUpdateRejected": "false",
    }
    token, url = settings.github_token.get_secret_value(), urlsplit(settings.url)
    if token and url.scheme in ("http", "https") and url.netloc == urlsplit(settings.github_web).netloc:
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        pairs[f"http.{url.scheme}://{url.netloc}/.extraHeader"] = f"Authorization: Basic {basic}"
    numbered = {f"GIT_CONFIG_{kind}_{n}": text for n, pair in enumerate(pairs.items()) for kind, text in _named(pair)}
    return {"GIT_CONFIG_COUNT": str(len(pairs)), **numbered}


def _named(pair: tuple[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("KEY", pair[0]), ("VALUE", pair[1])
