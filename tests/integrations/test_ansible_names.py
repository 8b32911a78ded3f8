"""The names that the configuration repository gives values to, read by the very script, in a real repository."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from integrations.ansible import _NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def names(folder: Path, files: Mapping[str, str]) -> list[str]:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run(["git", "-C", str(folder), "add", "--all"], check=True)
    script = ["sh", "-c", _NAMES, "releasebot", str(folder)]
    out = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    return [line.rstrip(": ") for line in out.splitlines()]


def test_names_are_read_and_no_values(tmp_path: Path) -> None:
    text = 'sm_port: 1\nsm_key : "{{ vault_key }}"\n# gone: 1\nnested:\n  inner: secret-value\n'
    files = {
        "prod/group_vars/all/vars.yml": text,
        "prod/group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162636465\n",
        "prod/hosts": "[web]\nother: 1\n",
    }
    assert names(tmp_path, files) == ["sm_port", "sm_key", "nested"]


def test_a_repository_without_names_has_none(tmp_path: Path) -> None:
    assert names(tmp_path, {"README.md": "nothing: here\n"}) == []
