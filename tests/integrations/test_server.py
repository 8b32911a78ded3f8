"""`integrations.server` and `integrations.supervisor` against real supervisord, real programs and a real checkout."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from bot.domain.errors import Refused, StepFailed, Unavailable
from bot.settings import ServerSettings
from integrations.server import WebServer
from integrations.sshcommand import CommandFailed
from integrations.supervisor import Status, parse
from sandbox.processes import output, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.ssh import SshHost
    from tests.integrations.metaspace import Metaspace

LITHOPS = "sm-lithops-daemon"


@pytest.fixture
def web(metaspace: Metaspace, connect: Callable[..., SshHost]) -> WebServer:
    return server(metaspace, connect)


def server(metaspace: Metaspace, connect: Callable[..., SshHost], **changes: object) -> WebServer:
    git = metaspace.git
    paths = {"checkout": str(git.checkout), "webapp_index": str(git.www / "index.html")}
    return WebServer(connect(metaspace.web), ServerSettings.model_validate({**paths, **changes}))


async def test_every_program_is_told_with_the_true_start_of_its_process(web: WebServer) -> None:
    programs = await web.programs()
    assert {(one.group, one.name) for one in programs} == {
        ("sm-api", "sm-api"),
        ("sm-graphql", "sm-graphql"),
        ("sm-update-daemon", "sm-update-daemon"),
        ("sm-cluster-autostart", "sm-cluster-autostart"),
        (LITHOPS, f"{LITHOPS}-0"),
        (LITHOPS, f"{LITHOPS}-1"),
    }
    for one in programs:
        assert one.state == "RUNNING"
        assert one.pid is not None
        assert one.started_at is not None
        began = datetime.fromtimestamp(psutil.Process(one.pid).create_time(), UTC)
        assert abs(one.started_at - began) < timedelta(seconds=1.5)  # psutil's boot time is cut to whole seconds


async def test_null_errors_are_counted_since_a_moment_stacks_and_all(
    metaspace: Metaspace, connect: Callable[..., SshHost]
) -> None:
    """The log's times are the server's local ones; a line without one belongs to the line before it."""
    words, log = "Cannot return null for non-nullable", metaspace.git.checkout / "graphql.log"
    web = WebServer(connect(metaspace.web), ServerSettings(checkout=str(metaspace.git.checkout)), "graphql.log")
    now = datetime.now(UTC)
    assert await web.count_in_log(words=words, since=now) is None
    early, late = ((now + timedelta(seconds=wait)).astimezone() for wait in (-60, 60))
    lines = [
        f"{early:%Y-%m-%d %H:%M:%S},123 - ERROR - {words} field Dataset.old",
        f"\t{words}, in the stack of the line before",
        f"{late:%Y-%m-%d %H:%M:%S},001 - ERROR - {words} field Annotation.isMono",
        f"\t{words}, in its stack",
        f"{late:%Y-%m-%d %H:%M:%S},002 - INFO - all is well",
    ]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        assert await web.count_in_log(words=words, since=now) == 2
        assert await web.count_in_log(words=words, since=now - timedelta(hours=1)) == 4
        assert await web.count_in_log(words="no such words; $(reboot)", since=now) == 0
    finally:
        log.unlink()


async def test_a_restarted_group_has_later_starts_and_the_others_do_not(web: WebServer) -> None:
    before = {one.name: one for one in await web.programs()}
    await web.restart(program=f"{LITHOPS}:*")
    after = {one.name: one for one in await web.programs()}
    changed = {name for name in after if after[name].pid != before[name].pid}
    assert changed == {f"{LITHOPS}-0", f"{LITHOPS}-1"}
    for name in changed:
        old, new = before[name].started_at, after[name].started_at
        assert old is not None
        assert new is not None
        assert new > old


async def test_a_stopped_program_is_told_and_started_by_a_restart(web: WebServer, metaspace: Metaspace) -> None:
    await metaspace.supervisor.ctl("stop", "sm-update-daemon")
    stopped = next(one for one in await web.programs() if one.name == "sm-update-daemon")
    assert (stopped.state, stopped.pid, stopped.started_at) == ("STOPPED", None, None)
    await web.restart(program="sm-update-daemon")
    assert {one.state for one in await web.programs()} == {"RUNNING"}


async def test_a_program_that_cannot_start_is_fatal_and_its_restart_fails(web: WebServer, metaspace: Metaspace) -> None:
    scoring = metaspace.git.checkout / "metaspace/engine/conf/scoring.json"
    kept = scoring.read_text()
    scoring.write_text("{broken")
    try:
        with pytest.raises(StepFailed, match="sm-api was not restarted: sm-api: ERROR"):
            await web.restart(program="sm-api")

        async def fatal() -> bool:
            return next(one.state for one in await web.programs() if one.name == "sm-api") == "FATAL"

        await until(fatal, what="FATAL")
        program = next(one for one in await web.programs() if one.name == "sm-api")
        assert (program.pid, program.started_at) == (None, None)
        assert "too quickly" in program.detail
        assert (await web.checkout()).dirty
    finally:
        scoring.write_text(kept)
    await web.restart(program="sm-api")
    assert {one.state for one in await web.programs()} == {"RUNNING"}


async def test_a_program_that_supervisor_does_not_know_is_told(web: WebServer) -> None:
    with pytest.raises(StepFailed, match="no such process"):
        await web.restart(program="sm-nothing")


async def test_supervisord_that_is_down_is_told(metaspace: Metaspace, connect: Callable[..., SshHost]) -> None:
    gone = metaspace.root / "gone.conf"
    gone.write_text(f"[supervisorctl]\nserverurl=unix://{metaspace.root}/gone.sock\n")
    command = [*metaspace.supervisorctl, "-c", str(gone)]
    web = server(metaspace, connect, supervisorctl=command)
    with pytest.raises(Unavailable, match=r"supervisord does not answer: .*gone.sock no such file"):
        await web.programs()
    with pytest.raises(Unavailable):
        await web.restart(program="sm-api")


async def test_a_socket_that_nobody_listens_on_is_supervisord_down(
    metaspace: Metaspace, connect: Callable[..., SshHost]
) -> None:
    left = metaspace.root / "left.conf"
    left.write_text("[supervisorctl]\nserverurl=http://127.0.0.1:9\n")
    web = server(metaspace, connect, supervisorctl=[*metaspace.supervisorctl, "-c", str(left)])
    with pytest.raises(Unavailable, match="refused connection"):
        await web.programs()


async def test_a_server_without_supervisorctl_is_told(metaspace: Metaspace, connect: Callable[..., SshHost]) -> None:
    web = server(metaspace, connect, supervisorctl=["no-such-supervisorctl"])
    with pytest.raises(CommandFailed, match="status 127"):
        await web.programs()


async def test_supervisorctl_by_sudo_needs_the_right_to_it(
    metaspace: Metaspace, plain: SshHost, connect: Callable[..., SshHost]
) -> None:
    web = WebServer(plain, ServerSettings(sudo=True))
    with pytest.raises(Refused, match="may not run supervisorctl with sudo"):
        await web.programs()


async def test_the_checkout_is_told_by_commit_and_branch(web: WebServer, metaspace: Metaspace) -> None:
    git = ["git", "-C", str(metaspace.git.checkout)]
    head = (await output([*git, "rev-parse", "HEAD"])).strip()
    found = await web.checkout()
    assert (found.commit, found.branch, found.dirty) == (head, "release", False)
    await output([*git, "checkout", "-q", "--detach", "HEAD~1"])
    (metaspace.git.checkout / "untracked").touch()
    found = await web.checkout()
    assert (found.commit, found.branch, found.dirty) == ((await output([*git, "rev-parse", "HEAD"])).strip(), "", False)
    await output([*git, "checkout", "-q", "release"])


async def test_a_server_without_a_checkout_is_told(metaspace: Metaspace, connect: Callable[..., SshHost]) -> None:
    with pytest.raises(CommandFailed, match="/nowhere"):
        await server(metaspace, connect, checkout="/nowhere").checkout()


async def test_the_webapp_was_built_when_its_index_was_written(
    web: WebServer, metaspace: Metaspace, connect: Callable[..., SshHost]
) -> None:
    index = metaspace.git.www / "index.html"
    os.utime(index, (1_700_000_000.25, 1_700_000_000.25))
    built = await web.webapp_built_at()
    assert built is not None
    assert abs(built.timestamp() - 1_700_000_000.25) < 1
    assert await server(metaspace, connect, webapp_index="/nowhere/index.html").webapp_built_at() is None


def test_supervisors_lines_are_read_in_all_their_states() -> None:
    said = """Warning: something else
sm-api                           RUNNING   pid 12, uptime 1 day, 0:00:01
lithops:lithops-0                STARTING
lithops:lithops-1                EXITED    Nov 24 01:02 PM
sm-graphql                       FATAL     Exited too quickly (process log may have details)
sm-update-daemon                 STOPPED   Not started
"""
    assert parse(said) == [
        Status("sm-api", "sm-api", "RUNNING", 12, "pid 12, uptime 1 day, 0:00:01"),
        Status("lithops-0", "lithops", "STARTING", None, ""),
        Status("lithops-1", "lithops", "EXITED", None, "Nov 24 01:02 PM"),
        Status("sm-graphql", "sm-graphql", "FATAL", None, "Exited too quickly (process log may have details)"),
        Status("sm-update-daemon", "sm-update-daemon", "STOPPED", None, "Not started"),
    ]


@pytest.mark.parametrize("said", ["unix:///run/s.sock no such file", "error: <class 'PermissionError'>, [Errno 13]"])
def test_what_holds_no_program_is_an_error_and_silence_is_none(said: str) -> None:
    with pytest.raises(Unavailable, match="supervisord does not answer"):
        parse(said)
    assert parse("\n") == []
