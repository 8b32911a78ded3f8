from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from bot.domain.errors import BadSettings, Refused, Unavailable, WrongUse
from bot.domain.world import ABSENT, RefUpdate
from bot.settings import RepositorySettings
from integrations import gitcommand
from integrations.git import GitRepository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.ports import Repository

MASTER, RELEASE = "refs/heads/master", "refs/heads/release"
NOTES = "> Release notes:\n>   [Task] Mono mass #1388\n# no comment to Git\n\nReleased-by: r7-tag\n"


class Remote:
    """A bare remote, and a work tree from which its branches are moved by hand."""

    def __init__(self, root: Path) -> None:
        self.root, self.bare, self.work = root, root / "origin.git", root / "work"
        self.clock = 1_700_000_000
        root.mkdir(exist_ok=True)
        self.run("init", "--quiet", "--bare", "--initial-branch=master", str(self.bare), at=root)
        self.run("init", "--quiet", "--initial-branch=master", str(self.work), at=root)
        self.base = self.commit("master", "Begin (#1)", base="content\n")
        self.branch("release", self.base)

    def run(self, *arguments: str, at: Path | None = None) -> str:
        self.clock += 60
        who = {f"GIT_{role}_{key}": text for role in ("AUTHOR", "COMMITTER") for key, text in self._who().items()}
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["git", *arguments], cwd=at or self.work, env={**quiet, **who}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def _who(self) -> dict[str, str]:
        return {"NAME": "Vitja", "EMAIL": "v@example.org", "DATE": f"{self.clock} +0000"}

    def commit(self, branch: str, subject: str, **files: str) -> str:
        """Commit on top of the remote's branch and push it."""
        if self.run("ls-remote", str(self.bare), f"refs/heads/{branch}"):
            self.run("fetch", "--quiet", str(self.bare), f"+refs/heads/{branch}:refs/remotes/o/{branch}")
            self.run("checkout", "--quiet", "-B", branch, f"refs/remotes/o/{branch}")
        for name, text in files.items():
            (self.work / name).write_text(text)
        self.run("add", "--all")
        self.run("commit", "--quiet", "--allow-empty", "-m", subject)
        self.run("push", "--quiet", str(self.bare), f"HEAD:refs/heads/{branch}")
        return self.run("rev-parse", "HEAD")

    def branch(self, name: str, commit: str) -> None:
        self.run("push", "--quiet", "--force", str(self.bare), f"{commit}:refs/heads/{name}")

    def at(self, ref: str) -> str:
        return self.run("rev-parse", ref, at=self.bare)

    def hook(self, name: str, script: str) -> None:
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def settings(self, mirror: str = "mirror.git", url: str = "", **more: object) -> RepositorySettings:
        given = {"url": url or str(self.bare), "mirror": self.root / mirror, "github": "metaspace2020/metaspace"}
        return RepositorySettings.model_validate({**given, **more})


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "git")


@pytest.fixture
def repository(remote: Remote) -> GitRepository:
    return GitRepository(remote.settings())


async def test_implements_the_port(repository: GitRepository) -> None:
    port: Repository = repository
    assert port


async def test_a_fetch_makes_the_mirror_and_follows_what_was_moved_and_deleted(
    remote: Remote, repository: GitRepository
) -> None:
    topic = remote.commit("topic", "Topic")
    await repository.fetch()
    assert remote.run("rev-parse", "topic", at=remote.root / "mirror.git") == topic
    remote.branch("topic", remote.base)
    remote.run("tag", "1.0.0", remote.base, at=remote.bare)
    remote.run("branch", "-D", "release", at=remote.bare)
    await repository.fetch()
    refs = remote.run("for-each-ref", "--format=%(refname) %(objectname)", at=remote.root / "mirror.git").splitlines()
    assert refs == [f"{MASTER} {remote.base}", f"refs/heads/topic {remote.base}", f"refs/tags/1.0.0 {remote.base}"]


async def test_a_folder_that_is_no_mirror_is_left_alone(remote: Remote) -> None:
    (remote.root / "mirror.git").mkdir()
    (remote.root / "mirror.git/thesis.txt").write_text("mine")
    with pytest.raises(BadSettings, match="is no bare repository"):
        await GitRepository(remote.settings()).fetch()
    with pytest.raises(BadSettings, match="is no bare repository"):
        await GitRepository(remote.settings(mirror="work/.git")).fetch()
    assert [file.name for file in (remote.root / "mirror.git").iterdir()] == ["thesis.txt"]


async def test_an_unreachable_remote_is_unavailable_and_says_why(remote: Remote) -> None:
    gone = GitRepository(remote.settings(url=str(remote.root / "nowhere")))
    for asking in (gone.fetch(), gone.branch_head(branch="master"), gone.version_tags()):
        with pytest.raises(Unavailable, match="nowhere") as caught:
            await asking
        assert caught.value.hint
    with pytest.raises(Unavailable, match="Connection refused"):
        await GitRepository(remote.settings(url="ssh://git@127.0.0.1:1/x.git")).branch_head(branch="master")


async def test_the_remote_is_asked_and_not_the_mirror(remote: Remote, repository: GitRepository) -> None:
    await repository.fetch()
    moved = remote.commit("master", "More (#2)", more="more")
    assert await repository.branch_head(branch="master") == moved
    with pytest.raises(Refused, match="no branch hotfix"):
        await repository.branch_head(branch="hotfix")


async def test_a_branch_is_never_mistaken_for_one_whose_name_ends_alike(
    remote: Remote, repository: GitRepository
) -> None:
    remote.branch("old/refs/heads/next", remote.base)
    with pytest.raises(Refused):
        await repository.branch_head(branch="next")


@pytest.mark.parametrize("name", ["--upload-pack=touch", "a b", "a..b", "", "x.lock", "a:b", "*", "-", "a/"])
async def test_names_that_git_would_misread_are_refused(repository: GitRepository, name: str) -> None:
    for asking in (repository.branch_head(branch=name), repository.remote_tag(name=name)):
        with pytest.raises(WrongUse):
            await asking


async def test_version_tags_come_in_numeric_order_with_the_commits_behind_them(
    remote: Remote, repository: GitRepository
) -> None:
    for name in ("1.10.0", "1.9.9", "1.0", "rel-v1.2.3", "01.2.3"):
        remote.run("tag", name, remote.base, at=remote.bare)
    remote.run("tag", "-a", "1.9.10", "-m", "notes", remote.base, at=remote.bare)
    assert list((await repository.version_tags()).items()) == [(n, remote.base) for n in ("1.9.9", "1.9.10", "1.10.0")]


async def test_a_commit_contains_itself_and_its_ancestors_even_if_the_mirror_never_saw_them(
    remote: Remote, repository: GitRepository
) -> None:
    head = remote.commit("master", "More (#2)", more="more")
    assert await repository.is_ancestor(ancestor=remote.base, descendant=head)
    assert await repository.is_ancestor(ancestor=head, descendant=head)
    assert not await repository.is_ancestor(ancestor="master", descendant="release")
    with pytest.raises(Refused, match="no commit 1111"):
        await repository.is_ancestor(ancestor="1" * 40, descendant=head)


# -- what only one side has, and merging


async def test_only_in_shows_what_is_missing_newest_first_without_picked_commits_and_plain_merges(
    remote: Remote, repository: GitRepository
) -> None:
    one = remote.commit("release", "Hotfix one", one="1\n")
    before = remote.commit("master", "Feature (#2)", feature="f\n")
    remote.run("cherry-pick", one)
    remote.branch("master", remote.run("rev-parse", "HEAD"))
    two = remote.commit("release", "Hotfix two\n\nWith a body", two="2\n")
    remote.run("merge", "--quiet", "--no-edit", before)
    remote.branch("release", remote.run("rev-parse", "HEAD"))
    found = await repository.only_in(ref="release", not_in="master")
    assert [(commit.sha, commit.subject, commit.author) for commit in found] == [(two, "Hotfix two", "Vitja")]


async def test_only_in_shows_a_merge_that_brings_something_of_its_own(
    remote: Remote, repository: GitRepository
) -> None:
    remote.commit("master", "Feature (#2)", feature="f\n")
    remote.commit("release", "Hotfix", hotfix="h\n")
    remote.run("merge", "--quiet", "--no-commit", "master")
    (remote.work / "base").write_text("changed in the merge\n")
    remote.run("commit", "--quiet", "--all", "-m", "Merge with a change")
    remote.branch("release", remote.run("rev-parse", "HEAD"))
    found = await repository.only_in(ref="release", not_in="master")
    assert [commit.subject for commit in found] == ["Merge with a change", "Hotfix"]


async def test_the_same_merge_comes_out_everywhere_and_its_dates_are_the_later_parents(
    remote: Remote, repository: GitRepository
) -> None:
    theirs = remote.commit("release", "Hotfix", hotfix="h\n")
    ours = remote.commit("master", "Feature (#2)", feature="f\n")
    made = await repository.merge(ours=ours, theirs=theirs, message="Merge branch 'release'")
    again = await GitRepository(remote.settings(mirror="other.git")).merge(
        ours=ours, theirs=theirs, message="Merge branch 'release'"
    )
    assert made == again
    shown = remote.run("show", "-s", "--format=%P|%an|%ce|%at|%ct|%B", made, at=remote.root / "mirror.git")
    at = remote.run("show", "-s", "--format=%ct", ours)
    assert shown == f"{ours} {theirs}|releasebot|releasebot@metaspace2020.org|{at}|{at}|Merge branch 'release'"
    assert set(remote.run("ls-tree", "--name-only", made, at=remote.root / "mirror.git").split()) == {
        "base",
        "feature",
        "hotfix",
    }
    assert made not in remote.run("for-each-ref", at=remote.bare)


async def test_a_conflict_names_the_paths_and_changes_nothing(remote: Remote, repository: GitRepository) -> None:
    theirs = remote.commit("release", "Hotfix", base="hotfix\n", other="ähnlich\n")
    ours = remote.commit("master", "Feature (#2)", base="feature\n")
    with pytest.raises(Refused, match=r"in conflict: base\.") as caught:
        await repository.merge(ours=ours, theirs=theirs, message="m")
    assert "Nothing was pushed" in caught.value.changed


async def test_a_merge_in_the_mirror_can_be_pushed(remote: Remote, repository: GitRepository) -> None:
    theirs = remote.commit("release", "Hotfix", hotfix="h\n")
    ours = remote.commit("master", "Feature (#2)", feature="f\n")
    made = await repository.merge(ours=ours, theirs=theirs, message="Merge")
    await repository.fetch()
    await repository.push(updates=[RefUpdate(MASTER, ours, made), RefUpdate(RELEASE, theirs, made)])
    assert remote.at(MASTER) == remote.at(RELEASE) == made


# -- pushing


async def test_a_fast_forward_is_pushed_and_pushing_it_again_is_harmless(
    remote: Remote, repository: GitRepository
) -> None:
    head = remote.commit("master", "More (#2)", more="m\n")
    for _ in range(2):
        await repository.push(updates=[RefUpdate(RELEASE, remote.base, head)])
        assert remote.at(RELEASE) == head


async def test_what_is_no_fast_forward_is_refused_though_the_remote_would_take_it(
    remote: Remote, repository: GitRepository
) -> None:
    hotfix = remote.commit("release", "Hotfix", hotfix="h\n")
    head = remote.commit("master", "Feature (#2)", feature="f\n")
    with pytest.raises(Refused, match="would lose commits") as caught:
        await repository.push(updates=[RefUpdate(RELEASE, hotfix, head)])
    assert remote.at(RELEASE) == hotfix
    assert caught.value.hint


async def test_a_ref_that_moved_in_between_is_named_and_nothing_is_pushed(
    remote: Remote, repository: GitRepository
) -> None:
    head = remote.commit("master", "Feature (#2)", feature="f\n")
    await repository.fetch()
    between = remote.commit("release", "Hotfix", hotfix="h\n")
    updates = [RefUpdate("refs/heads/other", ABSENT, head), RefUpdate(RELEASE, remote.base, head)]
    with pytest.raises(Refused, match=rf"release was expected at {remote.base:.8}, and is at {between:.8}") as caught:
        await repository.push(updates=updates)
    assert caught.value.changed == "Nothing was pushed."
    assert remote.at(RELEASE) == between
    assert "other" not in remote.run("for-each-ref", at=remote.bare)


async def test_a_ref_expected_absent_must_be_absent(remote: Remote, repository: GitRepository) -> None:
    head = remote.commit("master", "Feature (#2)", feature="f\n")
    with pytest.raises(Refused, match="release was expected absent"):
        await repository.push(updates=[RefUpdate(RELEASE, ABSENT, head)])
    assert remote.at(RELEASE) == remote.base


async def test_the_remotes_own_words_reach_the_person(remote: Remote, repository: GitRepository) -> None:
    head = remote.commit("master", "Feature (#2)", feature="f\n")
    remote.hook("pre-receive", "echo 'GH006: Protected branch update failed for refs/heads/release.' >&2; exit 1")
    with pytest.raises(Refused, match="GH006: Protected branch update failed") as caught:
        await repository.push(updates=[RefUpdate(RELEASE, remote.base, head)])
    assert "pre-receive hook declined" in str(caught.value)
    assert caught.value.changed == "Nothing was pushed."
    assert remote.at(RELEASE) == remote.base


async def test_one_refused_ref_stops_them_all(remote: Remote, repository: GitRepository) -> None:
    head = remote.commit("topic", "Feature", feature="f\n")
    remote.hook("update", 'test "$1" != refs/heads/master || { echo "master is protected" >&2; exit 1; }')
    updates = [RefUpdate(RELEASE, remote.base, head), RefUpdate(MASTER, remote.base, head)]
    with pytest.raises(Refused, match=r"rejected the push of master .remote rejected. .hook declined.") as caught:
        await repository.push(updates=updates)
    assert "master is protected" in str(caught.value)
    assert remote.at(RELEASE) == remote.at(MASTER) == remote.base


async def test_of_two_pushes_at_once_one_wins_and_the_other_hears_of_it(remote: Remote) -> None:
    heads = []
    for name in ("one", "two"):
        remote.branch(name, remote.base)
        heads.append(remote.commit(name, name, **{name: name}))
    repositories = [GitRepository(remote.settings(mirror=f"{name}.git")) for name in ("one", "two")]
    await asyncio.gather(*(one.fetch() for one in repositories))
    pushes = [
        one.push(updates=[RefUpdate(RELEASE, remote.base, head)]) for one, head in zip(repositories, heads, strict=True)
    ]
    ended = await asyncio.gather(*pushes, return_exceptions=True)
    losers = [(head, error) for head, error in zip(heads, ended, strict=True) if error is not None]
    assert len(losers) == 1
    assert isinstance(losers[0][1], Refused)
    assert remote.at(RELEASE) != losers[0][0]


async def test_a_push_whose_answer_was_lost_counts_by_what_the_remote_has(
    remote: Remote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = remote.commit("master", "More (#2)", more="m\n")
    remote.hook("post-receive", "exec sleep 30 >/dev/null 2>&1 <&-")
    await repository.fetch()
    monkeypatch.setattr("integrations.git.PUSH", 1.0)
    await repository.push(updates=[RefUpdate(RELEASE, remote.base, head)])
    assert remote.at(RELEASE) == head


@pytest.mark.parametrize(
    "update",
    [
        RefUpdate("refs/tags/1.0.0", ABSENT, "1" * 40),
        RefUpdate(RELEASE, "1" * 40, ABSENT),
        RefUpdate(RELEASE, "HEAD", "1" * 40),
        RefUpdate("refs/heads/+x:y", "1" * 40, "2" * 40),
    ],
)
async def test_a_push_only_moves_branches_between_full_shas(repository: GitRepository, update: RefUpdate) -> None:
    with pytest.raises(WrongUse):
        await repository.push(updates=[update])


# -- tags


async def test_a_tag_is_annotated_ours_and_keeps_its_message_to_the_letter(
    remote: Remote, repository: GitRepository
) -> None:
    assert await repository.remote_tag(name="1.9.10") is None
    await repository.push_tag(name="1.9.10", target=remote.base, message=NOTES)
    tag = await GitRepository(remote.settings(mirror="fresh.git")).remote_tag(name="1.9.10")
    assert tag
    assert (tag.target, tag.annotated, tag.message) == (remote.base, True, NOTES)
    assert tag.tagger == "releasebot <releasebot@metaspace2020.org>"
    assert remote.run("fsck", "--strict", at=remote.bare) == ""


async def test_a_tag_that_the_remote_has_is_refused_whoever_made_it(remote: Remote, repository: GitRepository) -> None:
    remote.run("tag", "1.9.10", remote.base, at=remote.bare)
    head = remote.commit("master", "More (#2)", more="m\n")
    with pytest.raises(Refused, match=r"has a tag 1\.9\.10 already") as caught:
        await repository.push_tag(name="1.9.10", target=head, message=NOTES)
    assert "next version" in caught.value.hint
    tag = await repository.remote_tag(name="1.9.10")
    assert tag
    assert (tag.target, tag.annotated, tag.message) == (remote.base, False, "")


async def test_a_tag_left_in_the_mirror_by_a_crash_does_not_matter(remote: Remote, repository: GitRepository) -> None:
    await repository.fetch()
    remote.run("tag", "-a", "-m", "left", "1.9.10", remote.base, at=remote.root / "mirror.git")
    assert await repository.remote_tag(name="1.9.10") is None
    await repository.push_tag(name="1.9.10", target=remote.base, message=NOTES)
    tag = await repository.remote_tag(name="1.9.10")
    assert tag
    assert tag.message == NOTES


async def test_of_two_tags_at_once_one_wins_and_stays(remote: Remote) -> None:
    repositories = [GitRepository(remote.settings(mirror=f"{name}.git")) for name in ("one", "two")]
    await asyncio.gather(*(one.fetch() for one in repositories))
    pushes = [
        one.push_tag(name="1.9.10", target=remote.base, message=f"by {n}\n") for n, one in enumerate(repositories)
    ]
    ended = await asyncio.gather(*pushes, return_exceptions=True)
    assert [type(error) for error in ended if error] == [Refused]
    tag = await repositories[0].remote_tag(name="1.9.10")
    assert tag
    assert tag.message == f"by {ended.index(None)}\n"


# -- the surroundings


async def test_history_reads_the_mirror_and_ends_its_processes(remote: Remote, repository: GitRepository) -> None:
    with pytest.raises(Unavailable, match="not there yet"):
        repository.history()
    head = remote.commit("master", "More (#2)", more="m\n")
    await repository.fetch()
    span = await asyncio.to_thread(lambda: repository.history().compare(base="release", head="master"))
    assert [commit.sha for commit in span.commits] == [head]


async def test_a_lock_file_of_a_killed_git_is_removed_and_a_fresh_one_is_not(
    remote: Remote, repository: GitRepository
) -> None:
    await repository.fetch()
    remote.run("branch", "-D", "release", at=remote.bare)
    lock = remote.root / "mirror.git/packed-refs.lock"
    lock.write_text("")
    with pytest.raises(Unavailable, match=r"packed-refs\.lock") as caught:
        await repository.fetch()
    assert "delete" in caught.value.hint
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    await repository.fetch()
    assert not lock.exists()


async def test_neither_the_users_configuration_nor_hooks_of_the_mirror_change_anything(
    remote: Remote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text(f"[commit]\n gpgsign = true\n[url '/nowhere']\n insteadOf = {remote.bare}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    head = remote.commit("master", "More (#2)", more="m\n")
    await repository.push(updates=[RefUpdate(RELEASE, remote.base, head)])
    assert remote.at(RELEASE) == head


def test_ssh_is_pinned_asks_nothing_and_copes_with_spaces() -> None:
    settings = RepositorySettings(
        url="ssh://git@host/x.git",
        mirror=Path("m"),
        github="a/b",
        ssh_key=Path("/k e/y"),
        known_hosts=Path("/k/known hosts"),
    )
    line = gitcommand.environment(settings)["GIT_SSH_COMMAND"]
    host = ["sh", "-c", f"{line} -G git@host"]
    told = subprocess.run(host, check=True, capture_output=True, text=True).stdout.lower().splitlines()
    for expected in (
        "batchmode yes",
        "stricthostkeychecking true",
        "identitiesonly yes",
        "identityfile /k e/y",
        "globalknownhostsfile /dev/null",
    ):
        assert expected in told
    assert any(re.fullmatch(r'userknownhostsfile "?/k/known hosts"?', one) for one in told)


class Closed(BaseHTTPRequestHandler):
    """A Git server that notes who asks, and lets nobody in."""

    seen: list[str]

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization", ""))  # type: ignore[attr-defined]
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


@pytest.fixture
def closed() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_github_is_shown_the_token_and_nobody_else_is(remote: Remote, closed: ThreadingHTTPServer) -> None:
    web = f"http://127.0.0.1:{closed.server_port}"
    token = SecretStr("ghp_" + "a" * 36)
    for github_web in (web, "https://github.com"):
        settings = remote.settings(url=f"{web}/x.git", github_web=github_web, github_token=token)
        with pytest.raises(Refused, match="does not let us") as caught:
            await GitRepository(settings).branch_head(branch="master")
        assert "aaaa" not in str(caught.value)
    mine, others = closed.seen  # type: ignore[attr-defined]
    assert mine.startswith("Basic ")
    assert others == ""


async def test_a_remote_that_never_answers_is_given_up(
    remote: Remote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await repository.fetch()
    monkeypatch.setattr("integrations.gitmirror.ASK", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        silent = GitRepository(remote.settings(url=f"git://127.0.0.1:{deaf.getsockname()[1]}/x.git"))
        with pytest.raises(Unavailable, match="no answer within"):
            await silent.branch_head(branch="master")
