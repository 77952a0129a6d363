"""When its tab opens, the editor draws a picture of the plan. The picture marks changes, and its
boxes link to rows of the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import kernel, open_editor
from panel_kit import PanelClient
from places import DATA
from playwright.sync_api import expect
from printing import axe_violations

import lyncnb as ln
from lyncnb.reports.figures import KINDS


def editor_of(sample: str = "contoso") -> ln.PlanEditor:
    return ln.PlanEditor(ln.read_topology(DATA / f"{sample}.csv"), ln.load_rules("lync2013"))


def test_pictures_match_those_of_the_public_function():
    """The pictures, texts and data in the editor's tab equal the result of ln.figure."""
    editor = editor_of("litwareinc-global")
    browser = PanelClient(editor.view)
    for kind in KINDS:
        picture = browser.send("picture", shows=kind, site="")["picture"]
        figure = ln.figure(editor.plan, kind)
        assert (picture["svg"], picture["title"], picture["kind"]) == (
            figure.svg,
            figure.title,
            kind,
        )
        assert picture["total"] == len(figure.rows)
    picture = browser.send("picture", shows="topology", site="London")["picture"]
    assert picture["svg"] == ln.figure(editor.plan, site="London").svg
    assert picture["sites"] == ["London", "Redmond", "Singapore", "Taipei"]
    fallback = browser.send("picture", shows="map", site="Paris")["picture"]
    assert (fallback["kind"], fallback["site"]) == ("topology", "")


def test_changes_are_marked_until_they_are_undone():
    """The picture marks a change in the editor until the user undoes it."""
    editor = editor_of()
    browser = PanelClient(editor.view)
    plain = browser.send("picture", shows="topology", site="")["picture"]["svg"]
    editor.edit(change=[("fe01.contoso.net", {"extra_san": "old.contoso.com"})])
    marked = browser.send("picture", shows="topology", site="")["picture"]
    assert "± 3 to be requested again" in marked["svg"]
    assert marked["headings"][-1] == "Changed"
    editor.undo()
    assert browser.send("picture", shows="topology", site="")["picture"]["svg"] == plain


@pytest.mark.parametrize("sample", ["contoso", "litwareinc-global", "single-server"])
def test_each_box_links_to_the_rows_of_its_pools(sample):
    """The boxes of the picture link to the rows of their pools, and each row has exactly one box."""
    editor = editor_of(sample)
    browser = PanelClient(editor.view)
    svg = browser.send("picture", shows="topology", site="")["picture"]["svg"]
    ids = []
    for pools in re.findall(r'data-pools="([^"]+)"', svg):
        ids += browser.send("pools", pools=pools.split())["chosen"]["ids"]
    assert sorted(ids) == sorted(editor.state.ids)
    assert browser.send("pools", pools=["Edge/nowhere.contoso.com"]) == {}


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_a_click_on_a_pool_selects_its_servers(lab, folder):
    """A click on a pool in the picture selects the rows of this pool, and so does the Enter key.
    The picture is accessible according to axe-core.
    """
    (folder / "picture.csv").write_bytes((DATA / "contoso.csv").read_bytes())
    open_editor(lab, folder, table="picture.csv")
    page = lab.page
    lab.tab("Picture").click()
    pool = page.get_by_role("button", name=re.compile("medpool01.contoso.net: select the servers"))
    pool.wait_for()
    assert axe_violations(page, inside=".lyncnb") == []
    pool.click()
    page.get_by_text("2 servers selected").wait_for()
    expect(lab.tab("Servers")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("row", selected=True)).to_have_count(2)

    kernel(lab, "editor.edit(change=[('chat01.contoso.net', {'extra_san': 'old.contoso.com'})])")
    lab.tab("Picture").click()
    marked = page.get_by_text("± 2 to be requested again")
    marked.wait_for()
    page.get_by_role("button", name=re.compile("Edge Server")).focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_text(re.compile(r"\d servers? selected")).wait_for()
    expect(lab.tab("Servers")).to_have_attribute("aria-selected", "true")

    lab.tab("Picture").click()
    page.get_by_label("Which picture").select_option("coverage")
    page.get_by_text("in rows,").wait_for()
    page.get_by_text("The picture's data as a table").click()
    page.get_by_role("table").get_by_text("webext01.contoso.com").first.wait_for()
