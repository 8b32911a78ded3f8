"""An edit decides nothing: it is asked again with what was typed, which outlives restarts and retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from bot.domain.errors import StepFailed
from bot.domain.release import Choice, DecisionKind, Question, ReleaseState, StepState
from bot.engine.step import CheckResult, Evidence, NotDone, StepContext
from tests.engine.scripted import RELEASER, Bot, Files, FileStep, Interrupt, opened, plan, running

if TYPE_CHECKING:
    from bot.engine.step import Step

APPROVE, REJECT = DecisionKind.APPROVE, DecisionKind.REJECT


class Editable(FileStep):
    """Writes the text that was typed last, once somebody approved it."""

    id: ClassVar[str] = "editable"
    on_interrupt: ClassVar[Interrupt] = "rerun"
    again: ClassVar[frozenset[str]] = frozenset({"edited"})

    async def check(self, ctx: StepContext) -> CheckResult:
        return NotDone()

    async def ask(self, ctx: StepContext) -> Question:
        choices = (
            Choice(APPROVE, "Take it", value="take"),
            Choice(APPROVE, "Edit…", form="notes", value="edited"),
            Choice(REJECT, "No"),
        )
        return Question(f"Is it right: {ctx.typed.get('text', 'draft')}?", "", choices)

    async def run(self, ctx: StepContext) -> None:
        if ctx.answer is None or ctx.answer.kind is REJECT:
            raise StepFailed("Somebody said no.", hint="retry")
        self.files.do(ctx.step.key, str(ctx.typed.get("text", "draft")))

    async def verify(self, ctx: StepContext) -> Evidence:
        return Evidence("Written.")


MADE = plan(("edit", "editable"))


def registry(files: Files) -> dict[str, Step]:
    step: Any = Editable(files)
    return {"editable": step}


async def edit(bot: Bot, release: str, text: str) -> None:
    """Send the form, and wait for the question that follows."""
    question = await bot.asked(release)
    form = {"text": text}
    await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER, value="edited", form=form)
    await bot.until(release, lambda seen: bool(seen.questions) and seen.questions[0].id != question)


async def title(bot: Bot, release: str) -> str:
    await bot.asked(release)
    return (await bot.desk.release(release)).questions[0].question.title


async def test_each_edit_is_asked_about_and_only_an_approval_counts(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await bot.start(MADE)
        assert await title(bot, release) == "Is it right: draft?"
        for text in ("one", "two"):
            await edit(bot, release, text)
            assert await title(bot, release) == f"Is it right: {text}?"
            assert files.all() == {}
        seen = await bot.desk.release(release)
        assert (seen.steps[0].state, seen.steps[0].attempt) == (StepState.WAITING, 1)
        await bot.desk.answer(question=await bot.asked(release), kind=APPROVE, by=RELEASER, value="take")
        await bot.finished(release)
        assert files.done("edit") == ["two"]
        assert len(await bot.desk.questions(release)) == 3


async def test_an_edit_that_came_too_late_changes_nothing(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await bot.start(MADE)
        old = await bot.asked(release)
        await edit(bot, release, "one")
        late = await bot.desk.answer(question=old, kind=APPROVE, by=RELEASER, value="edited", form={"text": "late"})
        assert not late.effective
        assert await title(bot, release) == "Is it right: one?"


async def test_what_was_typed_outlives_the_bot(url: str, files: Files) -> None:
    async with opened(url, registry(files), owner="first") as bot:
        release = await bot.start(MADE)
        async with running(bot):
            question = await bot.asked(release)
        form = {"text": "typed"}
        await bot.desk.answer(question=question, kind=APPROVE, by=RELEASER, value="edited", form=form)
    async with opened(url, registry(files), owner="second") as bot, running(bot):
        assert await title(bot, release) == "Is it right: typed?"
        await bot.desk.answer(question=await bot.asked(release), kind=APPROVE, by=RELEASER, value="take")
        assert (await bot.finished(release)).state is ReleaseState.SUCCEEDED
        assert files.done("edit") == ["typed"]


async def test_what_was_typed_outlives_a_no_and_its_retry(url: str, files: Files) -> None:
    async with opened(url, registry(files)) as bot, running(bot):
        release = await bot.start(MADE)
        await edit(bot, release, "typed")
        await bot.desk.answer(question=await bot.asked(release), kind=REJECT, by=RELEASER)
        await bot.until(release, lambda seen: seen.state is ReleaseState.STOPPED)
        await bot.desk.control(release=release, kind=DecisionKind.RETRY, by=RELEASER)
        assert await title(bot, release) == "Is it right: typed?"
        assert (await bot.desk.release(release)).steps[0].attempt == 2
