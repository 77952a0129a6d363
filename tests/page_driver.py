"""Use a planner page in a browser as a person does: open files, click buttons, and read downloads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab_driver import CHROMIUM, CHROMIUM_ARGUMENTS, loop_of
from playwright.sync_api import Browser, BrowserContext, Download, Locator, sync_playwright


def npm_archives() -> list[str]:
    """Return the paths of the npm packages in ``LYNCNB_PACKAGES``, for a machine that cannot access
    npm's registry.
    """
    return [path for path in os.environ.get("LYNCNB_PACKAGES", "").split(os.pathsep) if path]


@contextmanager
def start_browser(*arguments: str) -> Iterator[Browser]:
    """Start a second Chromium browser with additional arguments, and close it at the end."""
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*CHROMIUM_ARGUMENTS, *arguments]
    )
    try:
        yield browser
    finally:
        with loop_of(browser):
            browser.close()
            playwright.stop()


class PlannerPage:
    """A planner page that a browser has opened from the disk."""

    def __init__(self, context: BrowserContext, path: Path, *, init: str = ""):
        self.context = context
        self.page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type == "error" else None,
        )
        if init:
            self.page.add_init_script(init)
        self.page.goto(path.as_uri())
        self.page.locator("body[data-state]").wait_for()

    @property
    def state(self) -> str:
        """Return ``ready``, or ``plan`` if the page only shows the plan and cannot edit it."""
        return self.page.locator("body").get_attribute("data-state")

    def press(self, name: str) -> None:
        """Click the button whose name is exactly the given text."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def open(self, *files: Path) -> None:
        """Open files in the page, as a person does with the file dialog."""
        self.page.locator("#page-pick").set_input_files([str(path) for path in files])

    def download(self, press: Callable[[], object]) -> Download:
        """Return the file that the browser downloads after a button was clicked."""
        with self.page.expect_download() as download:
            press()
        return download.value

    def document(self, kind: str) -> tuple[str, bytes]:
        """Return the name and content of a document that the page creates."""
        self.page.get_by_label("Document", exact=True).select_option(kind)
        download = self.download(lambda: self.press("Download the document"))
        return download.suggested_filename, Path(download.path()).read_bytes()

    def tab(self, name: str) -> Locator:
        """Find a tab of the plan editor by the beginning of its title."""
        return self.page.get_by_role("tab", name=re.compile(f"^{re.escape(name)}")).first

    # -- The tests use the following methods for panels in a planner page and in a notebook. A
    # method waits at most this number of seconds for a value.
    seconds = 60

    def button(self, name: str, *, exact: bool = True) -> Locator:
        """Find a button in the panel by its label."""
        return self.page.get_by_role("button", name=name, exact=exact).first

    def field(self, label: str, *, exact: bool = True) -> Locator:
        """Find a control in the panel by its label."""
        return self.page.get_by_label(label, exact=exact).first

    def kernel(self, expression: str) -> str:
        """Evaluate an expression in the Python of the page, and return its value as text."""
        (worker,) = self.page.workers
        value = worker.evaluate(
            """(code) => { python.globals.set("editor", session.editor); return python.runPython(code); }""",
            f"str({expression})",
        )
        # Changes that were made in Python appear on the page after a short time.
        self.page.wait_for_timeout(50)
        return value
