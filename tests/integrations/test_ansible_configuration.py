"""`integrations.ansible`: the kept clone of the configuration repository, with real Git on the control host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Refused, Unavailable
from sandbox.processes import output
from tests.integrations.control import Control
from tests.integrations.helpers import names, text

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.metaspace import Metaspace

AS_ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@pytest.fixture
async def control(host: SshHost, shared: SshServer, metaspace: Metaspace, tmp_path: Path) -> Control:
    """A control host whose configuration repository is a copy of the test's own."""
    await output(["git", "clone", "-q", "--bare", str(metaspace.git.configuration), str(tmp_path / "conf.git")])
    return Control(host, shared, metaspace, tmp_path / "c")


def origin(tmp_path: Path) -> dict[str, object]:
    return {"configuration": str(tmp_path / "conf.git")}


async def commit(folder: Path, name: str) -> str:
    git = ["git", "-C", str(folder), *AS_ADA]
    (folder / name).write_text("new\n")
    await output([*git, "add", name])
    await output([*git, "commit", "-q", "-m", f"Add {name}"])
    return (await output([*git, "rev-parse", "HEAD"])).strip()


async def push(tmp_path: Path, name: str) -> str:
    """Let somebody else push a commit."""
    other = tmp_path / f"other-{name}"
    await output(["git", "clone", "-q", str(tmp_path / "conf.git"), str(other)])
    head = await commit(other, name)
    await output(["git", "-C", str(other), "push", "-q", "origin", "HEAD:master"])
    return head


async def test_the_clone_is_made_and_brought_up_to_date(control: Control, tmp_path: Path) -> None:
    books = control.playbooks(**origin(tmp_path))
    first = await books.configuration()
    assert (first.branch, first.commit, first.dirty) == ("master", first.remote_commit, ())
    head = await push(tmp_path, "new")
    behind = await books.configuration()
    assert (behind.commit, behind.remote_commit) == (first.commit, head)
    after = await books.update_configuration()
    assert (after.branch, after.commit, after.remote_commit) == ("master", head, head)


async def test_another_branch_is_left_for_master(control: Control, tmp_path: Path) -> None:
    books = control.playbooks(**origin(tmp_path))
    await books.configuration()
    await output(["git", "-C", str(control.clone), "checkout", "-q", "--detach"])
    assert (await books.configuration()).branch == ""
    await output(["git", "-C", str(control.clone), "checkout", "-q", "-b", "trial"])
    assert (await books.configuration()).branch == "trial"
    assert (await books.update_configuration()).branch == "master"


async def test_local_changes_refuse_the_update_and_are_named(control: Control, tmp_path: Path) -> None:
    books = control.playbooks(**origin(tmp_path))
    await books.configuration()
    with (control.clone / "prod/hosts").open("a") as hosts:
        hosts.write("# tried by hand\n")
    (control.clone / "größe").touch()
    await push(tmp_path, "new")
    assert (await books.configuration()).dirty == ("prod/hosts", "größe")
    with pytest.raises(Refused, match=r"has local changes: prod/hosts, größe\.") as caught:
        await books.update_configuration()
    assert caught.value.changed == "Nothing."
    assert text(control.clone / "prod/hosts").endswith("# tried by hand\n")


async def test_a_clone_that_went_its_own_way_is_not_merged(control: Control, tmp_path: Path) -> None:
    books = control.playbooks(**origin(tmp_path))
    await books.configuration()
    mine = await commit(control.clone, "mine")
    await push(tmp_path, "theirs")
    with pytest.raises(Refused, match="cannot be fast-forwarded") as caught:
        await books.update_configuration()
    assert str(control.clone) in caught.value.hint
    assert (await books.configuration()).commit == mine


async def test_a_remote_that_does_not_answer_is_told_and_never_taken_for_a_state(
    control: Control, tmp_path: Path
) -> None:
    books = control.playbooks(**origin(tmp_path))
    await books.configuration()
    (tmp_path / "conf.git").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="could not read the configuration repository"):
        await books.configuration()


async def test_a_branch_that_the_remote_lacks_is_told(control: Control, tmp_path: Path) -> None:
    await control.playbooks(**origin(tmp_path)).configuration()
    books = control.playbooks(**origin(tmp_path), configuration_branch="nothing")
    with pytest.raises(Unavailable, match="origin has no branch nothing"):
        await books.configuration()


async def test_a_clone_that_was_left_half_made_is_made_anew(control: Control, tmp_path: Path) -> None:
    half = control.clone.with_name("env.new")
    await output(["git", "init", "-q", str(half)])
    assert (await control.playbooks(**origin(tmp_path)).configuration()).branch == "master"
    assert names(control.root) == ["env", "workspace"]  # the latter holds the lock


async def test_no_clone_is_told(control: Control) -> None:
    with pytest.raises(Unavailable, match="could not clone the configuration repository"):
        await control.playbooks(configuration="/nowhere.git").configuration()
    assert not control.clone.exists()
