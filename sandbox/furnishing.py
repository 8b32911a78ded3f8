"""What lies in the server's checkout beside the code, and the webapp as the last deploy built it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JWT_SECRET = "sandbox-jwt-secret-of-sm-graphql-0123456789"  # noqa: S105

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>METASPACE</title><meta name="version" content="{commit}"></head>
<body><h1>METASPACE</h1><p>Built {built} from {commit}.</p></body>
</html>
"""


def furnish(checkout: Path, www: Path, commit: str) -> None:
    """Put into the checkout what a server has beside the code, and the webapp as the last deploy built it."""
    ignored = ("logs/", "dist", "dist-old", "production.json", "health.json", "ansible/aws/env")
    append(checkout / ".git/info/exclude", "".join(f"{one}\n" for one in ignored))
    for part in ("engine", "graphql"):
        (checkout / "metaspace" / part / "logs").mkdir(parents=True, exist_ok=True)
    configuration = checkout / "metaspace/graphql/config/production.json"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    write_secret(configuration, json.dumps({"jwt": {"secret": JWT_SECRET}}))
    www.mkdir(parents=True, exist_ok=True)
    built = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (www / "index.html").write_text(PAGE.format(commit=commit, built=built), encoding="utf-8")
    (www / "version.json").write_text(json.dumps({"commit": commit, "built": built}), encoding="utf-8")


def render(folder: Path, values: Mapping[str, str]) -> None:
    """Render the engine's configuration as its role does. It survives `git clean -f`, because it is ignored."""
    import jinja2  # comes with Ansible

    template = (folder / "config.json.template").read_text(encoding="utf-8")
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701  # it is JSON, not HTML
    write_secret(folder / "config.json", strict.from_string(template).render(values))


def append(path: Path, text: str) -> None:
    """Add to a file, made with its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def write_secret(path: Path, text: str) -> None:
    """Write a file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def write_tree(folder: Path, tree: Mapping[str, str]) -> None:
    """Write files by their paths below a folder."""
    for name, text in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if name.endswith(".sh"):
            path.chmod(0o755)
