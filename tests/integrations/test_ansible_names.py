"""The names that the configuration repository gives values to, read by the very script, in a real repository."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.ansible import _NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping


async def names(folder: Path, files: Mapping[str, str]) -> list[str]:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run(["git", "-C", str(folder), "add", "--all"], check=True)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", _NAMES, "releasebot", str(folder), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().split()


async def test_names_are_read_and_no_values(tmp_path: Path) -> None:
    files = {
        "prod/group_vars/all/vars.yml": 'sm_port: 1\nsm_key : "{{ vault_key }}"\n# gone: 1\nnested:\n  inner: secret-value\n',
        "prod/group_vars/all/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162636465\n",
        "prod/hosts": "[web]\nother: 1\n",
    }
    assert await names(tmp_path, files) == ["sm_port:", "sm_key", ":", "nested:"]


async def test_a_repository_without_names_has_none(tmp_path: Path) -> None:
    assert await names(tmp_path, {"README.md": "nothing: here\n"}) == []
