"""GitHub's JSON shapes (https://docs.github.com/rest), as far as PyGithub reads them."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.forge import GitCommit, Pull, Report

Json = dict[str, Any]
LONG_AGO = "2020-01-01T00:00:00Z"
CONCLUSIONS = {"success": "success", "failure": "failure", "error": "timed_out"}


def number_of(text: str) -> int:
    """Return an id that stays the same for the same thing."""
    return zlib.crc32(text.encode())


def user(api: str, login: str) -> Json:
    """A user, or a bot when the login says so."""
    kind = "Bot" if login.endswith("[bot]") else "User"
    url = f"{api}/users/{login}"
    return {
        "login": login,
        "id": number_of(login),
        "url": url,
        "html_url": url,
        "type": kind,
        "name": login,
        "site_admin": False,
    }


def repository(api: str, slug: str) -> Json:
    """The repository."""
    owner, _, name = slug.partition("/")
    url = f"{api}/repos/{slug}"
    return {
        "id": number_of(slug),
        "name": name,
        "full_name": slug,
        "private": False,
        "owner": user(api, owner),
        "html_url": f"{api}/{slug}",
        "url": url,
        "default_branch": "master",
    }


def commit(repo: str, one: GitCommit) -> Json:
    """A commit, with its author as a GitHub user."""
    url = f"{repo}/commits/{one.sha}"
    author = user(_api(repo), one.login)
    return {
        "sha": one.sha,
        "url": url,
        "html_url": f"{_web(repo)}/commit/{one.sha}",
        "author": author,
        "committer": author,
        "parents": [{"sha": sha, "url": f"{repo}/commits/{sha}"} for sha in one.parents],
        "commit": {
            "message": one.message,
            "url": f"{repo}/git/commits/{one.sha}",
            "author": {"name": one.name, "email": one.email, "date": one.authored},
            "committer": {"name": one.name, "email": one.email, "date": one.committed},
            "tree": {"sha": one.sha, "url": f"{repo}/git/trees/{one.sha}"},
        },
    }


def file(change: tuple[str, str, int, int]) -> Json:
    """A changed file."""
    path, status_word, plus, minus = change
    return {"filename": path, "status": status_word, "additions": plus, "deletions": minus, "changes": plus + minus}


def comparison(
    repo: str,
    base: GitCommit,
    merge_base: GitCommit,
    *,
    ahead: Sequence[GitCommit],
    behind: int,
    changes: Sequence[tuple[str, str, int, int]],
) -> Json:
    """A comparison; commits stand oldest first, at most 250 of them."""
    states = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind", (False, False): "identical"}
    head = ahead[-1].sha if ahead else base.sha
    return {
        "url": f"{repo}/compare/{base.sha}...{head}",
        "html_url": f"{_web(repo)}/compare/{base.sha}...{head}",
        "base_commit": commit(repo, base),
        "merge_base_commit": commit(repo, merge_base),
        "status": states[bool(ahead), bool(behind)],
        "ahead_by": len(ahead),
        "behind_by": behind,
        "total_commits": len(ahead),
        "commits": [commit(repo, one) for one in ahead[:250]],
        "files": [file(change) for change in changes[:300]],
    }


def pull(repo: str, one: Pull) -> Json:
    """A squash-merged pull request."""
    merged = one.commit.committed
    return {
        **_issue_like(repo, one.number, one.title, one.body, one.commit.login),
        "url": f"{repo}/pulls/{one.number}",
        "html_url": f"{_web(repo)}/pull/{one.number}",
        "state": "closed",
        "labels": labels(one.labels),
        "created_at": one.commit.authored,
        "updated_at": merged,
        "closed_at": merged,
        "merged_at": merged,
        "merged": True,
        "merge_commit_sha": one.commit.sha,
        "base": {"ref": "master", "sha": one.commit.parents[0] if one.commit.parents else one.commit.sha},
        "head": {"ref": f"pull-{one.number}", "sha": one.commit.sha},
    }


def issue(repo: str, number: int, title: str, body: str = "", names: Sequence[str] = (), *, at: str = LONG_AGO) -> Json:
    """An open issue."""
    return {
        **_issue_like(repo, number, title, body, "releasebot"),
        "html_url": f"{_web(repo)}/issues/{number}",
        "state": "open",
        "created_at": at,
        "updated_at": at,
        "closed_at": None,
        "comments": 0,
        "locked": False,
        "labels": labels(names),
    }


def now() -> str:
    """This moment, as GitHub writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def labels(names: Sequence[str]) -> list[Json]:
    """Labels, by their names."""
    return [{"id": number_of(name), "name": name, "color": "0366d6"} for name in names]


def issue_of(repo: str, one: Pull) -> Json:
    """A pull request, seen as an issue."""
    facts = pull(repo, one)
    kept = {
        key: facts[key]
        for key in ("id", "number", "title", "body", "user", "state", "labels", "created_at", "closed_at")
    }
    return {
        **kept,
        "url": f"{repo}/issues/{one.number}",
        "html_url": facts["html_url"],
        "pull_request": {"url": facts["url"]},
    }


def comment(repo: str, number: int, body: str) -> Json:
    """A comment that the bot wrote."""
    author = user(_api(repo), "releasebot")
    return {
        "id": number,
        "url": f"{repo}/issues/comments/{number}",
        "body": body,
        "user": author,
        "created_at": LONG_AGO,
    }


def branch(repo: str, name: str, sha: str) -> Json:
    """A branch or a tag."""
    return {"name": name, "commit": {"sha": sha, "url": f"{repo}/commits/{sha}"}, "protected": False}


def release(repo: str, number: int, body: Mapping[str, Any]) -> Json:
    """A release, made from what the request asked for."""
    url = f"{repo}/releases/{number}"
    asked = {key: body.get(key) for key in ("tag_name", "name", "body", "target_commitish")}
    flags = {key: bool(body.get(key, False)) for key in ("draft", "prerelease")}
    page = f"{_web(repo)}/releases/tag/{body['tag_name']}"
    return {
        **asked,
        **flags,
        "id": number,
        "url": url,
        "html_url": page,
        "created_at": LONG_AGO,
        "published_at": LONG_AGO,
    }


def status(repo: str, sha: str, report: Report) -> Json:
    """A commit status, named as CircleCI names its own."""
    target = f"{_web(repo)}/circleci/{report.job}/{sha[:8]}"
    return {
        "id": number_of(sha + report.job),
        "url": f"{repo}/statuses/{sha}",
        "state": report.state,
        "context": f"ci/circleci: {report.job}",
        "description": f"The job is in state {report.state}",
        "target_url": target,
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
        "creator": user(_api(repo), "circleci"),
    }


def combined(repo: str, sha: str, reports: Sequence[Report]) -> Json:
    """The combined status: failure wins over pending, and nothing reported is pending."""
    states = {report.state for report in reports}
    whole = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    statuses = [status(repo, sha, report) for report in reports]
    url = f"{repo}/commits/{sha}/status"
    return {
        "sha": sha,
        "state": whole,
        "statuses": statuses,
        "total_count": len(statuses),
        "url": url,
        "commit_url": url,
    }


def check_run(repo: str, sha: str, report: Report) -> Json:
    """A check run of CircleCI's GitHub application."""
    number = number_of(f"check {sha} {report.job}")
    done = report.state in CONCLUSIONS
    return {
        "id": number,
        "name": report.job,
        "head_sha": sha,
        "status": "completed" if done else "in_progress",
        "conclusion": CONCLUSIONS.get(report.state),
        "started_at": LONG_AGO,
        "completed_at": LONG_AGO if done else None,
        "url": f"{repo}/check-runs/{number}",
        "html_url": f"{_web(repo)}/runs/{number}",
        "details_url": f"{_web(repo)}/runs/{number}",
        "app": {"id": 18001, "slug": "circleci-checks", "name": "CircleCI Checks"},
    }


def check_suite(repo: str, sha: str) -> Json:
    """The suite that a commit's check runs belong to."""
    number = number_of(f"suite {sha}")
    return {
        "id": number,
        "head_sha": sha,
        "status": "completed",
        "conclusion": None,
        "url": f"{repo}/check-suites/{number}",
    }


def rate_limit() -> Json:
    """A rate limit that is far away."""
    core = {"limit": 5000, "used": 1, "remaining": 4999, "reset": int(time.time()) + 3600}
    return {"resources": {"core": core, "search": core}, "rate": core}


def _issue_like(repo: str, number: int, title: str, body: str, login: str) -> Json:
    url = f"{repo}/issues/{number}"
    author = user(_api(repo), login)
    return {
        "id": number_of(url),
        "number": number,
        "url": url,
        "html_url": url,
        "title": title,
        "body": body,
        "user": author,
    }


def _api(repo: str) -> str:
    return repo.split("/repos/", maxsplit=1)[0]


def _web(repo: str) -> str:
    return repo.replace("/repos/", "/", 1)
