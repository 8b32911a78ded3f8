"""A Git history of METASPACE's size, made up: its commits, tags, files and how often the watched ones change; none of its contents."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING

from tests.domain.exporters import Exporter, Layout, Write, source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS, COMMITS_A_RANGE, FILES = 131, 25, 1900
EXPORTER_EVERY, SCHEMA_EVERY, MIGRATION_EVERY, TEMPLATE_EVERY = 7, 3, 3, 4  # ranges; as in METASPACE's 130
SCHEMAS, RESOLVERS = 14, 110
ENGINE, GRAPHQL = "metaspace/engine", "metaspace/graphql"


def make(path: Path) -> None:
    """Write the history into a bare repository."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=master", str(path)], check=True)
    command = ["git", "-C", str(path), "fast-import", "--quiet"]
    subprocess.run(command, input="".join(_stream(random.Random(7))).encode(), check=True)  # noqa: S311 - no secret, but the same each time


def _stream(chance: random.Random) -> Iterator[str]:
    yield _commit(0, "Begin", list(_first(chance)))
    number = 0
    for tag in range(TAGS):
        for place in range(COMMITS_A_RANGE if tag else 1):
            number += 1
            files = list(_watched(tag, chance)) if place == 0 else []
            files += [_plain(chance.randrange(FILES), number) for _ in range(chance.randrange(1, 8))]
            yield _commit(number, f"Change number {number} (#{number})", files)
        yield f"tag 1.{tag // 10}.{tag % 10}\nfrom refs/heads/master\ntagger A <a@example.org> {1_600_000_000 + number} +0000\ndata 1\nx\n"


def _commit(number: int, subject: str, files: list[tuple[str, str]]) -> str:
    changes = "".join(f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n" for path, text in files)
    return (
        f"commit refs/heads/master\ncommitter A <a@example.org> {1_600_000_000 + number} +0000\n"
        f"data {len(subject)}\n{subject}\n{changes}\n"
    )


def _first(chance: random.Random) -> Iterator[tuple[str, str]]:
    yield from (_plain(number, 0) for number in range(FILES))
    yield from (_schema(number, 0) for number in range(SCHEMAS))
    yield from (_resolver(number, chance) for number in range(RESOLVERS))
    yield f"{ENGINE}/sm/engine/es_export.py", _exporter(0)


def _watched(tag: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    yield _resolver(chance.randrange(RESOLVERS), chance)
    if tag % EXPORTER_EVERY == 0:
        yield f"{ENGINE}/sm/engine/es_export.py", _exporter(tag)
    if tag % SCHEMA_EVERY == 0:
        yield _schema(chance.randrange(SCHEMAS), tag)
    if tag % MIGRATION_EVERY == 0:
        sql = f'ALTER TABLE "public"."dataset" ADD "field_{tag}" json'
        up = f"export class M{tag} {{ async up(queryRunner) {{ await queryRunner.query(`{sql}`) }} }}\n"
        yield f"{GRAPHQL}/src/migrations/{1_600_000_000_000 + tag}-M{tag}.ts", up
        yield f"{ENGINE}/scripts/script_{tag}.py", "print(1)\n"
    if tag % TEMPLATE_EVERY == 0:
        yield f"{ENGINE}/conf/config.json.template", f'{{"a": "{{{{ sm_value_{tag} }}}}"}}\n'
        yield f"ansible/roles/role_{tag % 9}/tasks/main.yml", f"- name: task {tag}\n  command: x\n"


def _plain(number: int, version: int) -> tuple[str, str]:
    return f"metaspace/webapp/src/folder_{number % 60}/file_{number}.ts", f"export const it = {version}\n" * 60


def _schema(number: int, version: int) -> tuple[str, str]:
    fields = "".join(f"  field_{each}: String\n" for each in range(40 + version))
    return f"{GRAPHQL}/schemas/part_{number}.graphql", f"type Part{number} {{\n{fields}}}\n"


def _resolver(number: int, chance: random.Random) -> tuple[str, str]:
    lines = "".join(f"  field{each}: (hit) => hit._source.field_{each} || {chance.random()},\n" for each in range(80))
    return f"{GRAPHQL}/src/modules/module_{number % 12}/controller/Part{number}.ts", f"const Part = {{\n{lines}}}\n"


def _exporter(version: int) -> str:
    writes = tuple(
        Write(f"field_{each}", "doc['formula'] + 'x'", "nested" if each % 4 == 0 else "plain")
        for each in range(30 + version // 7)
    )
    return source(Exporter(writes=writes), Layout(comments=True, helper=True))
