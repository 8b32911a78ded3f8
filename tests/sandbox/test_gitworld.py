from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import Unavailable, WrongUse
from sandbox.gitworld import GitWorld, Source
from sandbox.history import BO
from sandbox.processes import output
from sandbox.scenarios import SCENARIOS, scenario
from sandbox.sshd import SshServer

if TYPE_CHECKING:
    from pathlib import Path


async def world(root: Path, name: str = "plain") -> GitWorld:
    made = GitWorld(root, chosen=scenario(name))
    await made.build_code()
    return made


async def test_release_is_some_squash_merged_pull_requests_behind_master(tmp_path: Path) -> None:
    git = await world(tmp_path)
    subjects = (await git.git("log", "--format=%s", "release..master")).splitlines()
    assert len(subjects) == 5
    assert all(subject.endswith(f"(#{1514 - number})") for number, subject in enumerate(subjects))
    assert await git.git("merge-base", "release", "master") == await git.head("release")


async def test_old_tags_are_lightweight_and_later_ones_annotated(tmp_path: Path) -> None:
    git = await world(tmp_path)
    assert await git.git("cat-file", "-t", "1.8.27") == "commit"
    assert await git.git("cat-file", "-t", "1.9.2") == "tag"
    assert await git.head("1.9.2") == await git.head("release")


async def test_the_servers_checkout_is_clean_and_on_release(tmp_path: Path) -> None:
    git = await world(tmp_path)
    status = await output(["git", "-C", str(git.checkout), "status", "--porcelain", "--branch"])
    assert status.splitlines() == ["## release...origin/release"]
    assert (await git.head("release")) in (git.www / "index.html").read_text()


async def test_the_same_world_has_the_same_commits_every_time(tmp_path: Path) -> None:
    one, two = await world(tmp_path / "1"), await world(tmp_path / "2")
    assert await one.head("master") == await two.head("master")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_every_scenario_can_be_made(tmp_path: Path, name: str) -> None:
    git = await world(tmp_path, name)
    assert await git.head("master") != await git.head("release")


async def test_a_hotfix_is_on_release_and_not_on_master(tmp_path: Path) -> None:
    git = await world(tmp_path, "hotfix")
    assert await git.git("log", "--format=%s", "master..release") == "Repair the annotation table"


async def test_origin_refuses_to_be_forced(tmp_path: Path) -> None:
    git = await world(tmp_path)
    push = ["git", "-C", str(git.checkout), "push", "-q", "--force", "origin", "HEAD~1:refs/heads/release"]
    with pytest.raises(Unavailable, match="denying non-fast-forward"):
        await output(push)


async def test_somebody_else_can_push_and_origin_can_refuse_pushes(tmp_path: Path) -> None:
    git = await world(tmp_path)
    before = await git.head("master")
    after = await git.push_as(BO, "master", "Be quick (#1600)", {"docs/quick.md": "Quick.\n"})
    assert await git.head("master~1") == before
    assert await git.head("master") == after
    git.refuse_pushes("The repository is frozen.")
    with pytest.raises(Unavailable, match="The repository is frozen"):
        await output(["git", "-C", str(git.checkout), "push", "origin", "origin/master:refs/heads/master2"])
    git.refuse_pushes(None)
    await output(["git", "-C", str(git.checkout), "push", "origin", "HEAD:refs/heads/master2"])


async def test_a_copy_of_a_clone_is_set_back_to_the_day_of_the_release(tmp_path: Path) -> None:
    real = await world(tmp_path / "real")
    before = await real.git("for-each-ref")
    copy = GitWorld(tmp_path / "copy", source=Source(real.checkout, release="1.9.0", master="1.9.1"))
    await copy.build_code()
    assert await copy.head("release") == await real.head("1.9.0")
    assert await copy.head("master") == await real.head("1.9.1")
    tags = (await copy.git("tag")).split()
    assert "1.9.0" in tags
    assert "rel-v1.0" in tags
    assert "1.9.1" not in tags
    assert (copy.playbook / "ansible/aws/deploy/web.yml").exists()
    assert await real.git("for-each-ref") == before


async def test_a_ref_that_the_clone_lacks_is_named(tmp_path: Path) -> None:
    real = await world(tmp_path / "real")
    with pytest.raises(WrongUse, match=r"no commit '9\.9\.9'"):
        await GitWorld(tmp_path / "copy", source=Source(real.origin, release="9.9.9")).build_code()


async def test_the_configuration_has_a_vault_that_is_really_encrypted(tmp_path: Path) -> None:
    git = GitWorld(tmp_path)
    await git.build_configuration(SshServer(tmp_path / "web"), build_seconds=2)
    files = (await output(["git", "-C", str(git.configuration), "ls-tree", "-r", "--name-only", "master"])).split()
    assert files == ["prod/group_vars/all/vars.yml", "prod/group_vars/all/vault.yml", "prod/hosts"]
    assert (git.configuration_checkout / "prod/group_vars/all/vault.yml").read_text().startswith("$ANSIBLE_VAULT;1.1")
    assert git.vault_password_file.stat().st_mode & 0o777 == 0o600


async def test_a_clone_that_lacks_a_large_file_can_still_be_released_from(tmp_path: Path) -> None:
    real = await world(tmp_path / "real")
    await output(["git", "-C", str(real.origin), "unpack-objects", "-q"], stdin=_packs(real.origin))
    blob = await real.git("rev-parse", "master:docs/index.md")
    (real.origin / "objects" / blob[:2] / blob[2:]).unlink()
    copy = GitWorld(tmp_path / "copy", source=Source(real.origin))
    await copy.build_code()
    await output(["git", "-C", str(copy.checkout), "checkout", "-q", await copy.head("master")])
    status = await output(["git", "-C", str(copy.checkout), "status", "--porcelain"])
    assert status == ""
    assert not (copy.checkout / "docs/index.md").exists()


def _packs(origin: Path) -> bytes:
    """Take the packs away, so that their objects can be unpacked into single files."""
    packs = list((origin / "objects/pack").glob("*.pack"))
    content = b"".join(pack.read_bytes() for pack in packs)
    for pack in (origin / "objects/pack").iterdir():
        pack.unlink()
    return content
