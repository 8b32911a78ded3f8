"""Domain values to JSON and back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.domain.plan import Command, Plan, PlannedStep, StepKind
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
    return Plan(**{**raw, "tags": tuple(raw["tags"]), "steps": steps})


def question_out(question: Question) -> dict[str, Any]:
    """Write a question."""
    return asdict(question)


def question_in(raw: Mapping[str, Any]) -> Question:
    """Read a question."""
    choices = tuple(Choice(**{**one, "kind": DecisionKind(one["kind"])}) for one in raw["choices"])
    return Question(**{**raw, "choices": choices, "basis": tuple(raw["basis"])})


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
    return asdict(problem)


def problem_in(raw: Mapping[str, Any] | None) -> Problem | None:
    """Read a problem."""
    return None if raw is None else Problem(**raw)
