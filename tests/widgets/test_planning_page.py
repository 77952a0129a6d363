"""The planning page lists and opens files, and shows errors about invalid files."""

from __future__ import annotations

import pytest
from panel_kit import PanelClient
from topologies import FIVE_SERVERS, TWO_SITES
from topology_documents import front_end, topology_builder
from workbooks import rows_of, spreadsheet, xlsx

import lyncnb as ln
from lyncnb.errors import TopologyError
from lyncnb.plan.scenarios import Scenarios
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.planning_page import PlanningPage


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a workspace with a table in each format, and with files that are not tables."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "five.csv").write_text(FIVE_SERVERS)
    (tmp_path / "five.xlsx").write_bytes(xlsx(rows_of(FIVE_SERVERS)))
    (tmp_path / "five.ods").write_bytes(spreadsheet(rows_of(FIVE_SERVERS)))
    (tmp_path / "one.tbxml").write_text(topology_builder([front_end("se01.contoso.com")]))
    (tmp_path / "bad.xlsx").write_bytes(xlsx([["server_fqdn", "role"], ["fe01.contoso.com", "FO"]]))
    (tmp_path / "~$five.xlsx").write_bytes(b"whoever has it open")
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "manifest.json").write_text("{}")
    (tmp_path / "requests" / "summary.csv").write_text("ID")
    return tmp_path


def test_the_page_lists_tables_of_every_format(folder):
    """The page lists workbooks and topology documents, but not the summaries in a request folder or
    the lock file of an open workbook.
    """
    answers = PanelClient(PlanningPage()._table).send("ready")
    assert answers["start"]["files"] == [
        "bad.xlsx",
        "five.csv",
        "five.ods",
        "five.xlsx",
        "one.tbxml",
    ]


@pytest.mark.parametrize("name", ["five.csv", "five.xlsx", "five.ods"])
def test_an_opened_file_has_the_same_topology(folder, name):
    """If a user opens a file on the planning page, the editor contains the topology of this file,
    in every supported format.
    """
    page = PlanningPage()
    answers = PanelClient(page._table).send("open", path=name, pasted="", folder="requests")
    assert answers["opened"]["words"] == f"Opened: {name}."
    assert page.editor.topology == read_topology(FIVE_SERVERS.encode())


@pytest.mark.parametrize(("version", "product"), [("6", "lync2013"), ("7", "sfb2015")])
def test_a_document_is_planned_by_its_product(folder, version, product):
    """If the user opens a topology document of Skype for Business, the planning page uses the rules
    of this product, as the command line does.
    """
    document = topology_builder([front_end("se01.contoso.com")], version=version)
    (folder / "one.tbxml").write_text(document)
    page = PlanningPage()
    assert "opened" in PanelClient(page._table).send(
        "open", path="one.tbxml", pasted="", folder="requests"
    )
    assert page.editor.rules.product == product
    assert page.editor.options.product == product


def test_a_problem_of_a_workbook_has_its_cell(folder):
    """If a workbook has an error, the message contains the sheet and the cell, and the page does
    not change.
    """
    page = PlanningPage()
    answers = PanelClient(page._table).send("open", path="bad.xlsx", pasted="", folder="requests")
    assert any('bad.xlsx sheet "Servers" cell B2' in line for line in answers["refused"]["lines"])
    assert page.editor is None


def test_every_problem_of_a_table_is_shown(folder):
    """If a table has errors, the page, the editor and a notebook cell show every error with its
    location and a hint.
    """
    rows = [f"fe{number},FrontEnd,contoso.com" for number in range(9)]
    (folder / "broken.csv").write_text("\n".join(["server_fqdn,role,sip_domains", *rows]))
    editor = PlanEditor(ln.read_topology("five.csv"))
    page = PanelClient(PlanningPage()._table)
    arguments = {"path": "broken.csv", "pasted": "", "folder": "requests"}
    with pytest.raises(TopologyError) as caught:
        ln.read_topology("broken.csv")
    in_cell = caught.value._render_traceback_()
    assert in_cell[-1] == (
        "lyncnb changed nothing. Correct the table, or specify a different table. "
        "Then choose Run > Run All Cells."
    )
    for lines in (
        page.send("open", **arguments)["refused"]["lines"],
        PanelClient(editor.view).send("open", path="broken.csv")["refused"]["lines"],
        in_cell,
    ):
        for row in range(2, 11):
            assert any(f"broken.csv row {row}, column server_fqdn" in line for line in lines), row
        assert sum("enter the complete name" in line for line in lines) == 9
    assert editor.topology.source == "five.csv"
    (folder / "broken.csv").write_text(FIVE_SERVERS)
    assert "opened" in page.send("open", **arguments)


def test_an_editor_of_a_workbook_saves_a_table(folder):
    """If a user edits a workbook, Save writes a CSV file with the edited topology, and does not
    change the workbook.
    """
    before = (folder / "five.xlsx").read_bytes()
    editor = PlanEditor(ln.read_topology("five.xlsx"), ln.load_rules())
    editor.edit(change=[(["fe01.contoso.com", "fe02.contoso.com"], {"site": "Tainan"})])
    table, _ = editor.save("saved")
    assert table.name == "topology.csv"
    assert read_topology(table) == editor.topology
    assert [row[3] for row in editor.topology.cells[:2]] == ["Tainan", "Tainan"]
    assert (folder / "five.xlsx").read_bytes() == before


def hide_a_row(_, sheet):
    sheet.set_row(2, None, None, {"hidden": True})


def test_hidden_rows_and_columns_are_reported(folder):
    """If a workbook has hidden sheets, rows or columns, lyncnb reports them below the table, in the
    notebook and on the page.
    """
    (folder / "hidden.xlsx").write_bytes(xlsx(rows_of(FIVE_SERVERS), hide_a_row))
    words = "lyncnb also read the hidden row 3"
    unread = 'lyncnb does not read these columns: "rack"'
    topology = ln.read_topology("hidden.xlsx")
    assert topology.remarks == (words,)
    assert repr(topology).endswith(f"\n  note: {words}\n  note: {unread}")
    assert f"<p>Note: {words}</p>" in topology._repr_html_()
    answers = PanelClient(PlanningPage()._table).send(
        "open", path="hidden.xlsx", pasted="", folder="requests"
    )
    assert answers["opened"]["words"] == f"Opened: hidden.xlsx. Note: {words}."


def test_a_workbook_in_a_notebook():
    """In a notebook, a workbook has the same table, plan and findings as a CSV file with the same
    content.
    """
    of_book, of_csv = (
        ln.read_topology(xlsx(rows_of(TWO_SITES))),
        ln.read_topology(TWO_SITES.encode()),
    )
    assert of_book._repr_html_() == of_csv._repr_html_()
    assert of_book.to_frame().equals(of_csv.to_frame())
    plans = [ln.plan_certificates(topology, ln.load_rules()) for topology in (of_book, of_csv)]
    assert plans[0] == plans[1]
    assert ln.compare_plans(*plans).is_empty


def test_a_scenario_is_opened_with_its_options(folder):
    """The page lists a scenario as a folder, and opens it with its options.

    Temporary files are not offered.
    """
    scenario = ln.Scenario(
        name="Wildcards",
        topology=read_topology(FIVE_SERVERS.encode()),
        options=ln.PlanOptions(product="sfb2015", wildcard=True),
    )
    Scenarios(folder / "scenarios").keep(scenario)
    (folder / "scenarios" / ".ipynb_checkpoints").mkdir()
    (folder / "scenarios" / ".ipynb_checkpoints" / "topology.csv").write_text(FIVE_SERVERS)
    page = PlanningPage()
    browser = PanelClient(page._table)
    offered = browser.send("ready")["start"]["files"]
    assert [file for file in offered if "scenarios" in file] == ["scenarios/Wildcards"]
    browser.send("open", path="scenarios/Wildcards", pasted="", folder="requests")
    assert page.editor.plan == scenario.plan
    assert page.editor.scenarios.current == "Wildcards"
    assert not page.editor.scenarios.has_changes
    (folder / "scenarios" / "Wildcards" / "plan.toml").write_text("wildcrad = true")
    refused = browser.send("open", path="scenarios/Wildcards", pasted="", folder="requests")[
        "refused"
    ]
    assert any("did you mean wildcard?" in line for line in refused["lines"])
    assert page.editor.plan == scenario.plan


def test_without_a_table_a_button_starts_the_guide(folder):
    """If no table is open, a button starts the guide. After the guide has written its files, the
    page shows a plan with the rules of the chosen product.
    """
    page = PlanningPage()
    answers = PanelClient(page._table).send("ask", folder="requests")
    assert answers["opened"]["words"] == "The questions are below."
    guide = page.box.children[1].channel.guide
    guide.answer("product", "sfbse")
    guide.answer("sip_domains", "contoso.com")
    assert page.editor is None
    answers = PanelClient(guide.view).send("write", folder="mine", force=False)
    assert answers["written"]["words"].startswith("Written: mine/topology.csv")
    assert answers["written"]["words"].endswith("The plan is shown below.")
    # The page has no notebook cells, so it does not show Python code.
    assert answers["written"]["python"] == ""
    assert page.editor.rules.product == "sfbse"
    assert page.editor.topology == read_topology(folder / "mine" / "topology.csv")
    assert len(page.box.children) == 4
