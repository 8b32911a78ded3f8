"""`integrations.ansible` and its callback: real ansible-core runs a playbook over real SSH, as a job on the control host."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import Refused, Unavailable
from bot.domain.world import PlaybookEvent
from integrations.ansible import AnsiblePlaybooks
from sandbox.gitworld import VAULT_PASSWORD
from sandbox.history import ADA, playbook
from sandbox.processes import output
from tests.integrations.control import Control
from tests.integrations.helpers import names, text

if TYPE_CHECKING:
    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.metaspace import Metaspace

WEBAPP = ("sm-web-app",)
SHA = "a" * 40
TASKS = """
- hosts: web
  gather_facts: false
  handlers:
    - name: Handle the change
      ansible.builtin.command: "true"
  tasks:
    - name: Skip this
      ansible.builtin.command: "true"
      when: false
    - name: Fail and go on
      ansible.builtin.command: "false"
      ignore_errors: true
    - name: Change something
      ansible.builtin.command: "true"
      notify: Handle the change
    - ansible.builtin.meta: flush_handlers
    - name: Keep this to yourself
      ansible.builtin.shell: echo vault_secret_words >&2; exit 1
      no_log: true
      ignore_unreachable: true
      when: hidden | default(true) | bool
"""


@pytest.fixture
def control(host: SshHost, shared: SshServer, metaspace: Metaspace, root: Path) -> Control:
    return Control(host, shared, metaspace, root / f"c{uuid.uuid4().hex[:6]}")


@pytest.fixture
async def head(metaspace: Metaspace) -> str:
    return await metaspace.git.head("master")


async def test_a_clean_checkout_of_exactly_the_commit_has_the_configuration_beside_it(
    control: Control, head: str
) -> None:
    folder = Path(await control.playbooks().prepare(commit=head))
    assert folder == control.root / "workspace/commits" / head / "ansible/aws"
    git = ["git", "-C", str(folder)]
    assert (await output([*git, "rev-parse", "HEAD"])).strip() == head
    changed = (await output([*git, "status", "--porcelain"])).splitlines()
    assert {line for line in changed if not line.startswith("?? ")} == set()
    assert names(folder / "env/prod") == ["group_vars", "hosts"]
    assert not (folder / "env/.git").exists()
    assert text(folder / "vault_pass.txt") == f"{VAULT_PASSWORD}\n"
    assert (folder / "vault_pass.txt").stat().st_mode & 0o077 == 0
    assert (folder / "env").stat().st_mode & 0o077 == 0
    assert names(control.root / "workspace/callback_plugins") == ["releasebot_events.py"]


async def test_what_somebody_changed_in_a_checkout_is_gone_when_it_is_prepared_again(
    control: Control, head: str
) -> None:
    books = control.playbooks()
    folder = Path(await books.prepare(commit=head))
    (folder / "deploy/web.yml").write_text("changed")
    (folder / "env/prod/hosts").write_text("changed")
    (folder / "left").touch()
    assert Path(await books.prepare(commit=head)) == folder
    assert "changed" not in text(folder / "deploy/web.yml") + text(folder / "env/prod/hosts")
    assert not (folder / "left").exists()


@pytest.mark.parametrize("state", ["no remote", "index.lock", "no repository"])
async def test_a_checkout_that_was_left_half_made_is_made_anew(control: Control, head: str, state: str) -> None:
    root = control.root / "workspace/commits" / head
    root.mkdir(parents=True)
    if state != "no repository":
        await output(["git", "init", "-q", str(root)])
    if state == "index.lock":
        await output(["git", "-C", str(root), "remote", "add", "origin", "/nowhere"])
        (root / ".git/index.lock").touch()
    folder = Path(await control.playbooks().prepare(commit=head))
    assert (await output(["git", "-C", str(folder), "rev-parse", "HEAD"])).strip() == head


async def test_a_commit_that_came_after_the_clone_is_fetched(control: Control, metaspace: Metaspace, head: str) -> None:
    books = control.playbooks()
    await books.prepare(commit=head)
    (control.root / "workspace/commits" / head).rename(control.root / "clone")
    newer = await metaspace.git.push_as(ADA, "master", "Later\n", {"later": "later\n"})
    (control.root / "clone").rename(control.root / "workspace/commits" / newer)
    folder = await books.prepare(commit=newer)
    assert (await output(["git", "-C", folder, "rev-parse", "HEAD"])).strip() == newer


async def test_a_commit_that_nobody_knows_is_told(control: Control) -> None:
    with pytest.raises(Unavailable, match=f"could not check out {SHA[:8]}") as caught:
        await control.playbooks().prepare(commit=SHA)
    assert caught.value.changed == "Nothing was deployed."


async def test_the_checkouts_used_last_are_kept(control: Control, metaspace: Metaspace) -> None:
    books = control.playbooks()
    commits = (await metaspace.git.git("rev-list", "--max-count=4", "master")).split()
    for commit in [*commits[:3], commits[0], commits[3]]:
        await books.prepare(commit=commit)
    assert set(names(control.root / "workspace/commits")) == {commits[0], commits[2], commits[3]}


async def test_a_vault_password_that_is_not_there_is_told(control: Control, head: str) -> None:
    with pytest.raises(Unavailable, match=r"could not lay the configuration beside the playbooks: .*nowhere"):
        await control.playbooks(vault_password_file="/nowhere").prepare(commit=head)


async def test_a_part_is_deployed_by_its_tags_and_told_task_by_task(control: Control, head: str) -> None:
    status, events = await control.run(control.playbooks(), head, WEBAPP)
    assert status == 0, control.log
    web = control.metaspace.git
    assert (await output(["git", "-C", str(web.checkout), "rev-parse", "HEAD"])).strip() == head
    assert json.loads(text(web.www / "version.json"))["commit"] == head
    assert {one.role for one in events if one.role} == {"supervisorctl", "metaspace_repo", "sm_web_app"}
    assert {one.host for one in events if one.status in ("ok", "changed")} == {"web-1"}
    started = [one.task for one in events if one.status == "started"]
    assert started[0] == "Check that supervisord answers"
    assert f"Check out {head}" in started
    assert events[-1].status == "finished"
    assert all(abs((datetime.now(UTC) - one.at).total_seconds()) < 100 for one in events)
    assert sorted(events, key=lambda one: one.at) == events
    await output(["git", "-C", str(web.checkout), "checkout", "-q", "release"])


async def test_a_failing_task_is_told_with_the_end_of_its_words(
    control: Control, head: str, metaspace: Metaspace
) -> None:
    command = metaspace.web.bin / "supervisorctl"
    kept = command.read_text()
    command.write_text("#!/bin/sh\necho 'no supervisord today' >&2; exit 4\n")
    try:
        status, events = await control.run(control.playbooks(), head, WEBAPP)
    finally:
        command.write_text(kept)
    assert status == 2
    failed = [one for one in events if one.status == "failed"]
    assert [(one.role, one.task, one.host) for one in failed] == [
        ("supervisorctl", "Check that supervisord answers", "web-1")
    ]
    assert failed[0].message.endswith("no supervisord today")


async def test_a_web_host_with_another_key_is_unreachable_for_ansible(
    control: Control, head: str, shared: SshServer, metaspace: Metaspace, tmp_path: Path
) -> None:
    other = shared.known_hosts.read_text().split(" ", 1)[1]
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{metaspace.web.port} {other}")
    books = control.playbooks(known_hosts=str(tmp_path / "known_hosts"))
    status, events = await control.run(books, head, WEBAPP)
    assert status == 4
    assert [one.host for one in events if one.status == "unreachable"] == ["web-1"]
    assert "Host key verification failed" in next(one.message for one in events if one.status == "unreachable")


async def test_a_web_host_that_does_not_accept_the_key_is_unreachable(
    control: Control, head: str, shared: SshServer
) -> None:
    status, events = await control.run(control.playbooks(ssh_key=str(shared.client_key)), head, WEBAPP)
    assert status == 4
    assert "Permission denied" in next(one.message for one in events if one.status == "unreachable")


async def test_every_kind_of_end_is_an_event_and_what_is_secret_is_none(control: Control, head: str) -> None:
    own = control.root / "own/aws"
    for name, content in {**playbook(), "ansible/aws/deploy/web.yml": TASKS}.items():
        path = own.parent / name.removeprefix("ansible/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    status, events = await control.run(control.playbooks(folder=str(own)), head, ())
    assert status == 2, control.log
    assert [(one.task, one.status) for one in events] == [
        ("Skip this", "started"),
        ("Skip this", "skipped"),
        ("Fail and go on", "started"),
        ("Fail and go on", "ok"),
        ("Change something", "started"),
        ("Change something", "changed"),
        ("ansible.builtin.meta", "started"),
        ("Handle the change", "started"),
        ("Handle the change", "changed"),
        ("Keep this to yourself", "started"),
        ("Keep this to yourself", "failed"),
        ("", "finished"),
    ]
    assert events[-2].message == "(not shown: the task is marked no_log)"
    assert "vault_secret_words" not in text(control.root / "jobs/deploy/events.jsonl") + control.log


async def test_only_a_full_commit_id_is_deployed(control: Control) -> None:
    books = control.playbooks()
    for name in ("master", SHA[:12], f"{SHA} -e x=y", f"{SHA}\n"):
        with pytest.raises(Refused, match="is no full commit id"):
            books.deploy_commands(commit=name, tags=())
    argv = books.deploy_commands(commit=SHA, tags=("sm-api", "sm-graphql"))
    assert argv[1:] == (
        *("-i", "env/prod", "deploy/web.yml", "-e", f"metaspace_branch={SHA}", "--tags", "sm-api,sm-graphql"),
    )


async def test_all_deploys_of_an_inventory_have_one_lock_and_check_host_keys(control: Control) -> None:
    spec = control.playbooks().deploy_job(name="d", folder="/f", release="R1", commit=SHA, tags=())
    assert spec.lock == "ansible-env-prod"
    assert spec.env["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert "-o StrictHostKeyChecking=yes" in spec.env["ANSIBLE_SSH_ARGS"]


EVENT = {"at": 1700000000.5, "status": "ok", "task": "T", "role": "r", "host": "h", "message": "token=abcdefgh1234"}


async def test_lines_that_are_no_events_are_passed_over_and_secrets_hidden(control: Control) -> None:
    bad = ["", "{", "[]", "1", "null", '{"at": "noon"}', '{"at": Infinity}', '{"at": 1e300}', '{"status": "ok"}']
    found = control.playbooks().parse(lines="\n".join([*bad, json.dumps(EVENT), *bad]))
    assert [(one.status, one.task, one.role, one.host) for one in found] == [("ok", "T", "r", "h")]
    assert found[0].at == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)
    assert "abcdefgh1234" not in found[0].message


@given(st.text())
def test_no_line_is_ever_an_error(line: str) -> None:
    books = AnsiblePlaybooks(None, None)  # type: ignore[arg-type]  # parsing needs neither host nor settings
    assert all(isinstance(one, PlaybookEvent) for one in books.parse(lines=line))
