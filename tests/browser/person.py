"""A person at the local Slack's page: types, reads and presses, in Debian's Chromium."""

from __future__ import annotations

import re
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.async_api import TimeoutError as NotShown
from playwright.async_api import async_playwright, expect

from bot.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Locator, Page

QUIET = (
    "--no-sandbox",  # tests run as root in CI's containers, where Chromium has no sandbox of its own
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
ANSWER = 180_000.0  # milliseconds for the bot to answer
LOOK = 500.0  # milliseconds for which a look at the page waits for something to press


@dataclass
class Person:
    """Somebody with the page open in #metaspace_dev."""

    page: Page
    pressed: set[str] = field(default_factory=set)

    @property
    def modal(self) -> Locator:
        """The form that is open."""
        return self.page.locator(".modal")

    @property
    def dashboard(self) -> Locator:
        """The release's first message."""
        return self.message(r"^\S+ to prod.*: ")

    @property
    def thread(self) -> Locator:
        """The thread that is open beside the channel."""
        return self.page.locator(".thread-pane")

    def message(self, header: str) -> Locator:
        """Return the newest message of the channel whose title matches."""
        title = self.page.locator(".bk-header", has_text=re.compile(header))
        return self.page.locator(".messages .msg").filter(has=title).last

    async def say(self, text: str) -> None:
        """Type into the composer and send."""
        await self.page.locator(".main textarea.composer-input").fill(text)
        await self.page.locator(".main .composer-send").click()

    async def act_as(self, user: str) -> None:
        """Become somebody else of the workspace."""
        await self.page.locator(".actas select").last.select_option(user)

    async def start(self) -> None:
        """Ask for a release and confirm the plan that is shown."""
        await self.say("/release start")
        await self.submit()

    async def submit(self) -> None:
        """Send the form that is open, or opens, and wait until it has gone."""
        button = self.modal.locator(".modal-btn.primary")
        await button.click(timeout=ANSWER)
        await expect(self.modal).to_have_count(0, timeout=ANSWER)

    def field(self, label: str) -> Locator:
        """The text field of the open form under this label."""
        return self.modal.locator(".bk-input", has_text=label).locator(".bk-plain-input")

    async def press(self, label: str) -> None:
        """Press a button of the release's first message, and wait until it has been taken away."""
        button = self.dashboard.get_by_role("button", name=label)
        await button.click()
        self.pressed.add(label)
        await expect(button).to_have_count(0, timeout=ANSWER)

    async def open_thread(self) -> None:
        """Open the release's thread."""
        await self.dashboard.locator("button.thread-summary").click()
        await expect(self.thread).to_be_visible()

    async def press_forward_until(self, words: str, *, presses: int = 60) -> None:
        """Press what leads forward, each button once, until the dashboard's title has these words."""
        title = self.dashboard.locator(".bk-header", has_text=words)
        step = self.dashboard.locator("button.bk-button.bk-primary").or_(title)
        while not await title.count() and len(self.pressed) < presses:
            await expect(step.first).to_be_visible(timeout=ANSWER)
            await self._press_next()
        await expect(title).to_be_visible()

    async def _press_next(self) -> None:
        for button in await self.dashboard.locator("button.bk-button.bk-primary").all():
            try:
                label = await button.inner_text(timeout=LOOK)
                if label in self.pressed or label == "Retry":
                    continue
                await button.click(timeout=LOOK)
            except NotShown:
                return  # drawn anew meanwhile: look again
            self.pressed.add(label)
            await expect(self.dashboard.get_by_role("button", name=label)).to_have_count(0, timeout=ANSWER)
            return


def chromium() -> str:
    """Return Debian's Chromium; raises `Unavailable` where there is none."""
    found = shutil.which("chromium")
    if found is None:
        raise Unavailable("Chromium is not installed here.", hint="apt install chromium")
    return found


@asynccontextmanager
async def at_slack(url: str, *, width: int = 1200, height: int = 900) -> AsyncIterator[Person]:
    """Open the local Slack's page in a browser of its own."""
    program = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            page = await browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1)
            page.set_default_timeout(ANSWER)
            await page.goto(url)
            yield Person(page)
        finally:
            await browser.close()
