"""Ansible callback plugin: one JSON line an event, into the file that RELEASEBOT_EVENTS names.

It is copied to the control host and runs inside Ansible there. It keeps task and role names and, of failures, the message:
never arguments, never results, and nothing of a task that is marked ``no_log``.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: releasebot_events
    type: notification
    short_description: writes one JSON line an event
    description: Writes task starts and results to the file in RELEASEBOT_EVENTS.
    options: {}
"""
LONGEST = 500
SECRET = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key)\S*\s*[=:]\s*)\S+|-----BEGIN[^-]*PRIVATE KEY-----.*", re.DOTALL
)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """What Ansible calls."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "releasebot_events"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002, FBT001  # Ansible's signature
        """Note that a task began."""
        self._write("started", task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Note that a handler began."""
        self._write("started", task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note that a task ended well."""
        changed = result._result.get("changed")  # noqa: SLF001  # Ansible's own callbacks read it so
        self._write("changed" if changed else "ok", result._task, host=result._host)  # noqa: SLF001

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Note that a task did not apply."""
        self._write("skipped", result._task, host=result._host)  # noqa: SLF001

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: FBT001, FBT002
        """Note why a task failed."""
        self._write("ok" if ignore_errors else "failed", result._task, host=result._host, message=_why(result))  # noqa: SLF001

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note that a host could not be reached."""
        self._write("unreachable", result._task, host=result._host, message=_why(result))  # noqa: SLF001

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        """Note that the playbook is over."""
        self._write("finished", None)

    def _write(self, status: str, task: Any, *, host: Any = None, message: str = "") -> None:
        target = os.environ.get("RELEASEBOT_EVENTS")
        if not target:
            return
        role = task._role.get_name() if task is not None and task._role else ""  # noqa: SLF001
        event = {
            "at": time.time(),
            "status": status,
            "task": task.get_name().rpartition(" : ")[2] if task is not None else "",
            "role": role,
            "host": host.get_name() if host is not None else "",
            "message": message,
        }
        with open(target, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps(event) + "\n")


def _why(result: Any) -> str:
    """Return the end of what the task said: that is where programs say what is wrong."""
    if result._task.no_log:  # noqa: SLF001
        return "(not shown: the task is marked no_log)"
    said = result._result  # noqa: SLF001
    parts = [str(said.get(name) or "").strip() for name in ("msg", "stderr")]
    text = SECRET.sub(r"\1***", "\n".join(part for part in parts if part))
    return text if len(text) <= LONGEST else "…" + text[-LONGEST:]
