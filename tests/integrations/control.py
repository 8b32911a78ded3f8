"""The control host: where Ansible runs, as a job."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from bot.domain.world import JobState, PlaybookEvent
from bot.engine.clock import SystemClock
from bot.settings import AnsibleSettings
from integrations.ansible import AnsiblePlaybooks
from integrations.jobs import TmuxJobs
from sandbox.processes import until
from tests.integrations.helpers import settings_of, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integrations.ssh import SshHost
    from sandbox.sshd import SshServer
    from tests.integrations.metaspace import Metaspace


class Control:
    """The control host, with a configuration's clone and a workspace of the test's own."""

    def __init__(self, host: SshHost, control: SshServer, metaspace: Metaspace, root: Path) -> None:
        self.host, self.metaspace, self.root = host, metaspace, root
        self.clone = root / "env"
        jobs = settings_of(control, jobs=str(root / "jobs"), tmux_socket=f"t-{root.name}")
        self.jobs = TmuxJobs(host, jobs, SystemClock())

    def playbooks(self, **changes: object) -> AnsiblePlaybooks:
        git, web = self.metaspace.git, self.metaspace.web
        usual = {
            "workspace": str(self.root / "workspace"),
            "binaries": str(Path(shlex.quote(self.metaspace.supervisorctl[0])).parent),
            "repository": str(git.origin),
            "configuration": str(git.configuration),
            "configuration_checkout": str(self.clone),
            "vault_password_file": str(git.vault_password_file),
            "known_hosts": str(web.known_hosts),
            "ssh_key": str(web.client_key),
        }
        return AnsiblePlaybooks(self.host, AnsibleSettings.model_validate({**usual, **changes}))

    async def run(self, books: AnsiblePlaybooks, commit: str, tags: Sequence[str]) -> tuple[int, list[PlaybookEvent]]:
        """Run the playbook to its end; return its exit status and events."""
        folder = await books.prepare(commit=commit)
        spec = books.deploy_job(name="deploy", folder=folder, release="R1", commit=commit, tags=tags)
        await self.jobs.start(spec=spec)

        async def ended() -> bool:
            report = await self.jobs.look(name="deploy")
            return report is not None and report.state is not JobState.RUNNING

        await until(ended, what="the playbook", deadline=90)
        report = await self.jobs.look(name="deploy")
        assert report is not None
        assert report.exit_status is not None, self.log
        assert report.marks == {"release": "R1", "commit": commit}
        return report.exit_status, list(books.parse(lines=text(self.root / "jobs/deploy/events.jsonl")))

    @property
    def log(self) -> str:
        return text(self.root / "jobs/deploy/log")
