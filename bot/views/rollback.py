"""The preview of a rollback: what is gone back to, each step with its exact commands, and the version to type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.views import ids, kit
from bot.views.plan import plan_commands, plan_steps
from bot.views.text import code, count, escape, sha

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.domain.readmodel import ReleaseView
    from bot.domain.report import PreparedPlan


def preview_modal(release: ReleaseView, prepared: PreparedPlan, metadata: Mapping[str, object]) -> dict[str, Any]:
    """Ask for the version that is gone back to, and the reason."""
    plan = prepared.plan
    migrations = [one.path for one in prepared.report.review.findings if "migration" in one.kind.value]
    ran = f"{count(len(migrations), 'migration')} since then, all of them backward compatible" if migrations else "none"
    facts = [
        f"*Nothing has been done yet.* This deploys {sha(plan.head)} ({escape(plan.version)}), which was proved live before.",
        f"*Taken back:* {escape(plan.previous_version)} ({code(release.id)}), {sha(plan.base)}",
        "*Branches and tags* stay where they are: release is then ahead of what is live, and the cluster takes its newest code.",
        f"*Migrations that ran since:* {ran}",
    ]
    blocks = [
        kit.section("\n".join(facts)),
        kit.text_input(ids.TYPED, f"Type {plan.version} to roll back to it"),
        kit.text_input(ids.REASON, "Reason", multiline=True, hint="Everybody in the channel sees it."),
        kit.divider(),
        *plan_steps(plan.steps, room=3000),
        kit.divider(),
        *plan_commands(plan.steps, room=7000),
        kit.context(f"Plan {code(plan.fingerprint[:12])}"),
    ]
    return kit.modal(
        callback=ids.ROLL_BACK_FORM,
        title=f"Roll back {plan.environment}",
        submit="Roll back",
        blocks=blocks,
        metadata=metadata,
    )
