"""Firefox can open a planner page from the disk. The documents from the page are identical to those
that lyncnb writes outside a browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from marionette import FIREFOX, Firefox
from page.documents import expected_documents, plan_of
from places import DATA

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(FIREFOX).is_file(), reason="no Firefox on PATH"),
]


def test_documents_and_start_in_firefox(contoso, tmp_path):
    """In Firefox, the page starts, opens another table, and writes each document as CPython does."""
    with Firefox(tmp_path) as firefox:
        firefox.open(contoso)
        assert firefox.wait("return document.body.dataset.state") == "ready"
        assert firefox.js("return document.querySelector('.lc-name').textContent") == (
            "Plan of contoso.csv"
        )
        table = DATA / "litwareinc-global.csv"
        firefox.choose_file("#page-pick", table)
        firefox.wait(
            "return document.querySelector('.lc-name').textContent.includes('litwareinc-global')"
        )
        expected = expected_documents(plan_of(table))
        for kind, data in expected.items():
            firefox.js(
                "document.getElementById('page-document').value = arguments[0];"
                "document.getElementById('page-download').click();",
                kind,
            )
            name = (
                f"{table.stem}-plan{kind}" if kind.startswith(".") else f"{table.stem}-{kind}.svg"
            )
            assert firefox.wait_for_download(name) == data, kind
        assert firefox.js("return [localStorage.length, document.cookie]") == [0, ""]
        firefox.js("for (const tab of document.querySelectorAll('[role=tab]')) tab.click();")
        assert firefox.js("return document.getElementById('page-problem').textContent") == ""
