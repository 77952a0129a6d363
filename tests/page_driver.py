"""Use a planner page in a browser as a person does: open files, press buttons, and read downloads."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, Download


class PlannerPage:
    """A planner page that a browser opened from the disk."""

    def __init__(self, context: BrowserContext, path: Path):
        self.context = context
        self.page = context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type == "error" else None,
        )
        self.page.goto(path.as_uri())
        self.page.locator("body[data-state]").wait_for()

    @property
    def state(self) -> str:
        """Return ``ready``, or ``plan`` if the page shows only the plan."""
        return self.page.locator("body").get_attribute("data-state")

    def open(self, *files: Path) -> None:
        """Open files as the file picker does."""
        self.page.locator("#page-pick").set_input_files([str(path) for path in files])

    def download(self, press) -> Download:
        """Return the file that the browser downloads after a button was pressed."""
        with self.page.expect_download() as download:
            press()
        return download.value

    def document(self, kind: str) -> tuple[str, bytes]:
        """Return the name and content of a document."""
        self.page.get_by_label("Document", exact=True).select_option(kind)
        button = self.page.get_by_role("button", name="Download the document")
        download = self.download(button.click)
        return download.suggested_filename, Path(download.path()).read_bytes()

    def tab(self, name: str) -> None:
        """Open a tab of the plan editor."""
        self.page.get_by_role("tab", name=name).click()
