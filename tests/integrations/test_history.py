"""The history reader against real Git: work trees, bare, shallow, diverged and damaged clones."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bot.domain.changes import Relation, Status
from bot.domain.errors import WrongUse
from bot.domain.version import Version
from integrations.history import GitHistory

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = [
    "-c",
    "user.name=Ada Lovelace",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "tag.gpgsign=false",
]
LONG = "".join(f"line {number}\n" for number in range(40))


class Clone:
    """A small repository under construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=master")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.path), *IDENTITY, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, subject: str, **files: str | None) -> str:
        for name, text in files.items():
            path = self.path / name.replace("__", "/")
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")


def partial_clone(clone: Clone, folder: Path) -> Path:
    """A bare clone without any file's contents."""
    clone.git("config", "uploadpack.allowFilter", "true")
    partial = folder / "partial.git"
    command = ["git", "clone", "--quiet", "--bare", "--filter=blob:none", f"file://{clone.path}", str(partial)]
    subprocess.run(command, check=True)
    return partial


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = Clone(tmp_path / "clone")
    made.commit("Begin (#1)", a="a\n", folder__long=LONG)
    made.git("tag", "1.8.9")
    made.commit("Second (#2)", a="b\n", new="n\n")
    made.commit("Third (#3)", folder__long=None, folder__moved=LONG + "more\n")
    made.git("tag", "--annotate", "--message", "> Release notes:", "1.8.10")
    return made


def test_a_range_has_commits_newest_first_and_changes(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        span = history.compare(base="1.8.9", head="1.8.10")
    assert [commit.subject for commit in span.commits] == ["Third (#3)", "Second (#2)"]
    assert span.commits[0].author == "Ada Lovelace"
    assert (span.relation, span.merge_base) == (Relation.AHEAD, span.base.sha)
    changes = {change.path: (change.status, change.old_path) for change in span.changes}
    assert changes == {
        "a": (Status.MODIFIED, ""),
        "new": (Status.ADDED, ""),
        "folder/moved": (Status.RENAMED, "folder/long"),
    }


def test_what_is_read_later_stands_before_what_was_known(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        assert len(history.compare(base="1.8.9", head="1.8.10").commits) == 2
        clone.commit("Fourth (#4)", a="c\n")
        clone.commit("Fifth (#5)", a="d\n")
        commits = history.compare(base="1.8.9", head="master").commits
        nothing = history.compare(base="master", head="1.8.10")
    assert [commit.subject[-3:-1] for commit in commits] == ["#5", "#4", "#3", "#2"]
    assert (nothing.commits, nothing.relation) == ((), Relation.BEHIND)
    assert [commit.subject[-3:-1] for commit in nothing.lacking] == ["#5", "#4"]


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 2, 1), (2,)])
def test_what_is_asked_ahead_is_what_is_asked_alone(
    clone: Clone, tmp_path: Path, order: tuple[int, ...], *, partial: bool
) -> None:
    for number in range(11, 14):
        clone.commit(f"Change ({number})", a=f"{number}\n", folder__moved=LONG + f"{number}\n", **{f"n{number}": LONG})
        clone.git("tag", f"1.8.{number}")
    path = partial_clone(clone, tmp_path) if partial else clone.path
    with GitHistory(path) as alone, GitHistory(path) as ahead:
        tags = alone.version_tags()
        ahead.prefetch(tag.sha for tag in tags)
        for place in order:
            base, head = str(tags[place].version), str(tags[place + 1].version)
            span = ahead.compare(base=base, head=head)
            assert span == alone.compare(base=base, head=head)
            for under in ("", "folder", "folder/moved", "folder/none", "a"):
                files = ahead.files(commit=span.head.sha, under=under)
                assert files == alone.files(commit=span.head.sha, under=under)
                ahead.expect(blobs=files.values())
                assert [ahead.blob(blob=blob) for blob in files.values()] == [
                    None if partial else clone.git("cat-file", "blob", blob) + "\n" for blob in files.values()
                ]


def test_an_annotated_tag_means_its_commit(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        assert history.compare(base="1.8.9", head="1.8.10").head.sha == clone.git("rev-parse", "1.8.10^{commit}")


def test_version_tags_are_in_numeric_order_and_others_are_left_out(clone: Clone) -> None:
    for name in ("v1.2.3", "1.0", "rel-v0.9", "01.2.3", "1.9.0-rc1"):
        clone.git("tag", name)
    with GitHistory(clone.path) as history:
        assert [str(tag.version) for tag in history.version_tags()] == ["1.8.9", "1.8.10"]


def test_the_version_at_a_commit(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        assert history.version_at(commit=clone.git("rev-parse", "1.8.9")) == Version(1, 8, 9)
        assert history.version_at(commit=clone.git("rev-parse", "1.8.10~1")) == Version(1, 8, 9)


def test_contents_and_files_of_both_sides(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        span = history.compare(base="1.8.9", head="1.8.10")
        change = next(change for change in span.changes if change.path == "a")
        assert (history.blob(blob=change.old_blob), history.blob(blob=change.new_blob)) == ("a\n", "b\n")
        assert set(history.files(commit=span.head.sha, under="folder")) == {"folder/moved"}
        assert set(history.files(commit=span.head.sha, under="a")) == {"a"}
        assert history.files(commit=span.head.sha, under="nowhere") == {}
        assert history.blob(blob="0" * 40) is None


def test_paths_with_strange_names_are_read(clone: Clone) -> None:
    clone.commit("Strange", **{'tab\tline\nquote"ü': "x\n"})
    with GitHistory(clone.path) as history:
        (change,) = history.compare(base="1.8.10", head="master").changes
    assert change.path == 'tab\tline\nquote"ü'


def test_diverged_branches_are_compared_from_their_merge_base(clone: Clone) -> None:
    base = clone.git("rev-parse", "1.8.9")
    clone.git("checkout", "--quiet", "-b", "release", "1.8.9")
    clone.commit("Hotfix (#9)", hot="fix\n")
    with GitHistory(clone.path) as history:
        span = history.compare(base="release", head="master")
    assert (span.relation, span.merge_base) == (Relation.DIVERGED, base)
    assert "hot" not in {change.path for change in span.changes}
    assert len(span.commits) == 2
    assert [commit.subject for commit in span.lacking] == ["Hotfix (#9)"]


def test_identical_and_backward_ranges_are_empty(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        same, back = history.compare(base="master", head="1.8.10"), history.compare(base="1.8.10", head="1.8.9")
    assert (same.relation, same.commits, same.changes) == (Relation.IDENTICAL, (), ())
    assert (back.relation, back.commits, back.changes) == (Relation.BEHIND, (), ())


def test_unrelated_histories_are_compared_and_said(clone: Clone) -> None:
    clone.git("checkout", "--quiet", "--orphan", "other")
    clone.commit("Other", other="o\n")
    with GitHistory(clone.path) as history:
        span = history.compare(base="1.8.9", head="other")
    assert span.merge_base is None
    assert any("share no commit" in spot for spot in span.blind_spots)


def test_a_bare_clone_is_read_without_being_touched(clone: Clone, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(clone.path), str(bare)], check=True)
    before = {path: path.stat().st_mtime_ns for path in bare.rglob("*")}
    with GitHistory(bare) as history:
        assert len(history.compare(base="1.8.9", head="1.8.10").commits) == 2
    assert {path: path.stat().st_mtime_ns for path in bare.rglob("*")} == before


def test_a_linked_work_tree_is_read(clone: Clone, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), "1.8.9")
    with GitHistory(tmp_path / "linked") as history:
        assert len(history.compare(base="HEAD", head="1.8.10").commits) == 2


def test_a_shallow_clone_says_so(clone: Clone, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{clone.path}", str(shallow)], check=True)
    with GitHistory(shallow) as history:
        assert any("shallow" in spot for spot in history.compare(base="HEAD", head="master").blind_spots)
        with pytest.raises(WrongUse) as caught:
            history.compare(base="1.8.9", head="master")
    assert "shallow" in caught.value.hint


def test_a_partial_clone_is_never_made_to_fetch(clone: Clone, tmp_path: Path) -> None:
    partial = partial_clone(clone, tmp_path)
    before = sorted(path.name for path in (partial / "objects").rglob("*"))
    with GitHistory(partial) as history:
        span = history.compare(base="1.8.9", head="1.8.10")
        assert {change.path for change in span.changes} >= {"a", "new"}
        assert len(history.compare(base="1.8.9", head="1.8.10").commits) == 2
        assert history.blob(blob=next(change.new_blob for change in span.changes if change.path == "a")) is None
    assert sorted(path.name for path in (partial / "objects").rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["", "-n", "--all", "a b", "a\nHEAD", ":/x", "x" * 300, "nowhere", "1.8.9..1.8.10", "HEAD:a"]
)
def test_what_is_no_commit_is_wrong_use(clone: Clone, name: str) -> None:
    with GitHistory(clone.path) as history, pytest.raises(WrongUse):
        history.compare(base=name, head="master")


def test_a_typo_gets_a_suggestion(clone: Clone) -> None:
    with GitHistory(clone.path) as history, pytest.raises(WrongUse) as caught:
        history.compare(base="1.8.11", head="mastre")
    assert "1.8.10" in caught.value.hint


def test_a_folder_that_is_no_repository_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(WrongUse):
            GitHistory(path)


def test_the_web_address_comes_from_origin(clone: Clone) -> None:
    clone.git("remote", "add", "origin", "git@github.com:example/metaspace.git")
    with GitHistory(clone.path) as history:
        assert history.web_url() == "https://github.com/example/metaspace"


def test_a_clone_without_origin_has_no_web_address(clone: Clone) -> None:
    with GitHistory(clone.path) as history:
        assert history.web_url() == ""
