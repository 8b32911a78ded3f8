"""Domain values to JSON and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.domain.approval import ApprovalPolicy
from bot.domain.causes import Cause
from bot.domain.plan import Command, Edited, Plan, PlannedStep, StepKind
from bot.domain.readmodel import Problem
from bot.domain.release import Answer, Choice, DecisionKind, Question

if TYPE_CHECKING:
    from collections.abc import Mapping


def plan_out(plan: Plan) -> dict[str, Any]:
    """Write a plan."""
    return asdict(plan)


def plan_in(raw: Mapping[str, Any]) -> Plan:
    """Read a plan; its fingerprint is that of the one written."""
    steps = tuple(
        PlannedStep(
            **{
                **one,
                "kind": StepKind(one["kind"]),
                "commands": tuple(Command(**{**c, "argv": tuple(c["argv"])}) for c in one["commands"]),
            }
        )
        for one in raw["steps"]
    )
    edits = tuple(Edited(**one) for one in raw.get("edits", ()))
    return Plan(**{**raw, "tags": tuple(raw["tags"]), "steps": steps, "edits": edits})


def question_out(question: Question) -> dict[str, Any]:
    """Write a question."""
    return asdict(question)


def question_in(raw: Mapping[str, Any]) -> Question:
    """Read a question."""
    choices = tuple(Choice(**{**one, "kind": DecisionKind(one["kind"])}) for one in raw["choices"])
    approval = ApprovalPolicy(**raw["approval"]) if raw.get("approval") else None
    return Question(**{**raw, "choices": choices, "basis": tuple(raw["basis"]), "approval": approval})


def answer_out(answer: Answer) -> dict[str, Any]:
    """Write an answer."""
    return {**asdict(answer), "at": answer.at.isoformat()}


def answer_in(raw: Mapping[str, Any] | None) -> Answer | None:
    """Read an answer."""
    if raw is None:
        return None
    return Answer(**{**raw, "kind": DecisionKind(raw["kind"]), "at": datetime.fromisoformat(raw["at"])})


def problem_out(problem: Problem) -> dict[str, Any]:
    """Write a problem."""
    causes = [{**asdict(one), "last": one.last.isoformat() if one.last else None} for one in problem.causes]
    return {**asdict(problem), "causes": causes}


def problem_in(raw: Mapping[str, Any] | None) -> Problem | None:
    """Read a problem."""
    if raw is None:
        return None
    causes = tuple(_cause_in(one) for one in raw.get("causes", ()))
    return Problem(**{**raw, "causes": causes})


def _cause_in(raw: Mapping[str, Any]) -> Cause:
    last = datetime.fromisoformat(raw["last"]) if raw["last"] else None
    return Cause(**{**raw, "endings": tuple(raw["endings"]), "last": last})
