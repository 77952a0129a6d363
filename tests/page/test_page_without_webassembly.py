"""If WebAssembly is disabled, the planner page shows the plan, and explains why the user cannot
edit the plan.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from page_driver import PlannerPage, start_browser
from playwright.sync_api import expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]


def test_a_browser_without_a_compiler_shows_the_plan(contoso):
    """In Chromium's strict mode (--jitless), which has no WebAssembly, the page shows the plan and
    a message.
    """
    with start_browser("--js-flags=--jitless") as browser:
        stopped = PlannerPage(browser.new_context(), contoso)
        assert stopped.state == "plan"
        alert = stopped.page.get_by_role("alert")
        expect(alert).to_contain_text("This browser cannot run WebAssembly")
        expect(alert).to_contain_text("The plan below is complete")
        expect(stopped.page.get_by_role("heading", name="Certificates").first).to_be_visible()
        assert stopped.errors == []


def test_a_browser_without_scripts_shows_the_plan(contoso):
    """If scripts are disabled, the page shows a sentence with the reason, and the plan below it."""
    with start_browser() as browser:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(contoso.as_uri())
        expect(page.locator("noscript .why")).to_be_visible()
        expect(page.get_by_role("heading", name="Certificates").first).to_be_visible()
        expect(page.locator("#page-bar")).to_be_hidden()
