"""The gate before a step that needs approvals: asks, looks at what they rest on, voids what no longer counts.

A press only writes who said yes. The runner, which alone has the world, evaluates the basis right away and again right
before the effect (docs/architecture.md, "Approvals").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.domain.approval import BREAK_GLASS, assess, bound, changed, described, policy_of
from bot.domain.errors import Refused, ReleaseError
from bot.domain.release import Answer, Choice, DecisionKind, Question
from bot.engine import approvals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.domain.approval import Approval, ApprovalPolicy, Standing
    from bot.engine.approvals import AskedApproval
    from bot.engine.records import Book, Situation
    from bot.engine.step import Step, StepContext
    from bot.engine.tables import ReleaseRow


class Gate:
    """One step's gate, in one turn."""

    def __init__(self, book: Book, now: Situation, step: Step, ctx: StepContext) -> None:
        self._book, self._now, self._step, self._ctx = book, now, step, ctx
        self.policy = policy_of(ctx.step)
        retried = now.step is None or now.step.attempt not in (0, ctx.attempt)
        self._asked = None if retried else now.approval  # what an earlier attempt was given has lapsed

    async def passed(self) -> bool:
        """Tell whether the step may go on; False once people have been asked, or are still being waited for.

        Raises `Refused` with the words of who said no.
        """
        if self.policy is None:
            return True
        asked = self._asked
        if asked is None or asked.void:
            await self._ask(self.policy, why=asked.void if asked else "")  # asked anew in the same breath, as a rule
            return False
        if asked.answer and asked.answer.kind is DecisionKind.REJECT:
            why = f": {asked.answer.reason}" if asked.answer.reason else ""
            raise Refused(f"<@{asked.answer.by}> said no{why}.", hint="/release abort, or retry to be asked again")
        if self._now.fingerprint != asked.fingerprint:
            facts = changed(asked.asked.binds, bound(self._ctx.plan)) or ("the plan changed",)
            await self.void(asked, "; ".join(facts))
            return False
        return await self._counted(asked)

    async def _counted(self, asked: AskedApproval) -> bool:
        standing = assess(asked.policy, asked.given, self._book.now())
        if standing.expired:
            await self.void(asked, _expired(standing), keep=standing.valid)
            return False
        if asked.fresh and (gone := await self.broken()):
            await self.void(asked, gone)
            return False
        if not standing.complete:
            await self._wait(asked)
            return False
        if not asked.closed:
            await self._close(asked, standing)
        return True

    async def broken(self) -> str:
        """Return the names of the conditions that do not hold at this moment, as one fact."""
        gone = [one.name for one in self._step.holds if not await one.holds(self._ctx)]
        return f"no longer true: {'; '.join(gone)}" if gone else ""

    async def void_before_effect(self) -> bool:
        """Look at the basis once more, right before the effect; True when it took the approvals away."""
        asked = self._asked
        if self.policy is None or asked is None:
            return False
        gone = await self.broken()
        if gone:
            await self.void(asked, gone)
        return bool(gone)

    async def _ask(self, policy: ApprovalPolicy, *, why: str = "") -> None:
        shown = await self._shown()
        async with self._book.writing() as (session, row):
            await self._put(session, row, policy, why, shown)

    async def _shown(self) -> Sequence[str]:
        """Return what approvers should see. What cannot be seen now is said: it keeps nobody from being asked, or unasked."""
        try:
            return await self._step.shown(self._ctx)
        except ReleaseError as error:
            return (f"What it rests on was not seen this moment: {error.message}",)

    async def void(self, asked: AskedApproval, why: str, *, keep: tuple[Approval, ...] = ()) -> None:
        """Take the approvals away, name the fact, and ask afresh; ``keep`` go on counting."""
        kept, shown = [one.id for one in keep], await self._shown()
        async with self._book.writing() as (session, row):
            await approvals.void(session, asked.question, why, at=self._book.now(), keep=kept)
            facts = {"question": asked.question, "why": why}
            await self._book.event(session, "approval.voided", self._ctx.step.key, facts)
            identity = await self._put(session, row, self.policy or asked.policy, why, shown)
            await session.flush()
            await approvals.carry(session, kept, to=identity)

    async def _put(
        self, session: AsyncSession, row: ReleaseRow, policy: ApprovalPolicy, why: str, shown: Sequence[str]
    ) -> str:
        question = self._question(policy, why, shown)
        return await self._book.put_question(
            session,
            row,
            self._ctx.step.key,
            question,
            purpose=approvals.PURPOSE,
            fingerprint=self._ctx.plan.fingerprint,
        )

    async def _wait(self, asked: AskedApproval) -> None:
        """Go on waiting; remind those who must act when it is time."""
        remind = not asked.waits(
            now=self._book.now(), every=self._ctx.environment.remind_every, fingerprint=asked.fingerprint
        )
        async with self._book.writing() as (session, _):
            await approvals.looked_at(session, asked.given)
            await self._book.wait_on(session, self._ctx.step.key)
            if remind and not asked.fresh:
                await self._book.remind(session, asked.question, self._ctx.step.key)

    async def _close(self, asked: AskedApproval, standing: Standing) -> None:
        last = max(standing.valid, key=lambda one: one.at)
        glass = any(one.glass for one in standing.valid)
        said = Answer(DecisionKind.APPROVE, last.by, last.at, BREAK_GLASS if glass else "", last.reason)
        async with self._book.writing() as (session, _):
            await approvals.looked_at(session, asked.given)
            if not await self._book.close(session, asked.question, said):
                raise Refused("It was answered otherwise this moment.", hint="retry to be asked again")
            await self._book.event(
                session,
                "approval.complete",
                self._ctx.step.key,
                {"question": asked.question, "by": [one.by for one in standing.valid], "glass": glass},
            )

    def _question(self, policy: ApprovalPolicy, why: str, shown: Sequence[str]) -> Question:
        plan, step = self._ctx.plan, self._ctx.step
        form = "typed_version" if policy.typed else ""
        choices = [
            Choice(DecisionKind.APPROVE, "Approve", form=form),
            Choice(DecisionKind.REJECT, "Do not do this", form="reason", danger=True),
        ]
        if policy.break_glass:
            choices.append(
                Choice(DecisionKind.APPROVE, "Break glass", form=BREAK_GLASS, danger=True, value=BREAK_GLASS)
            )
        again = f"Asked again: {why}.\n" if why else ""
        cost = " After it, going back is no longer cheap." if step.costly_to_undo else ""
        what = f"{plan.version} to {plan.environment}, commit {plan.head[:8]}. Needed: {described(policy)}.{cost}"
        return Question(
            title=f"{step.title}: may it be done?",
            detail="\n".join([f"{again}{what}", *shown]),
            choices=tuple(choices),
            basis=("the plan is as it was shown", *(one.name for one in self._step.holds)),
            draft={"version": plan.version},
            approval=policy,
            binds=bound(plan),
        )


def _expired(standing: Standing) -> str:
    return "; ".join(f"the approval of <@{one.by}> has expired" for one in standing.expired)
