"""The editor opens workbooks and tables with problems, and never writes over a workbook."""

from __future__ import annotations

import pytest
from panel_kit import PanelClient
from topologies import FIVE_SERVERS, TWO_SITES
from workbooks import rows_of, xlsx

import lyncnb as ln
from lyncnb.errors import TopologyError
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editor import PlanEditor


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a table, the same as a workbook, and a workbook with an unknown role."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "five.csv").write_text(FIVE_SERVERS)
    (tmp_path / "five.xlsx").write_bytes(xlsx(rows_of(FIVE_SERVERS)))
    (tmp_path / "bad.xlsx").write_bytes(xlsx([["server_fqdn", "role"], ["fe01.contoso.com", "FO"]]))
    return tmp_path


def test_a_problem_of_a_workbook_has_its_cell(folder):
    """A workbook with an error opens, and the reason of the rejected cell has the sheet and the cell."""
    cell = PlanEditor("bad.xlsx").topology.rejected[0]
    assert 'bad.xlsx sheet "Servers" cell B2' in cell.problem.where


def test_every_problem_of_a_table_is_shown(folder):
    """If a table has errors, a notebook cell shows every error with its location and a hint. The
    editor opens the table, and receives every rejected cell with its reason.
    """
    rows = [f"fe{number},FrontEnd,contoso.com" for number in range(9)]
    (folder / "broken.csv").write_text("\n".join(["server_fqdn,role,sip_domains", *rows]))
    editor = PlanEditor(ln.read_topology("five.csv"))
    with pytest.raises(TopologyError) as caught:
        ln.read_topology("broken.csv")
    in_cell = caught.value._render_traceback_()
    assert in_cell[-1] == (
        "lyncnb changed nothing. Correct the table, or specify a different table. "
        "Then choose Run > Run All Cells."
    )
    for row in range(2, 11):
        assert any(f"broken.csv row {row}, column server_fqdn" in line for line in in_cell), row
    assert sum("enter the complete name" in line for line in in_cell) == 9
    client = PanelClient(editor.view)
    client.send("ready")
    client.send("open", path="broken.csv")
    (rejected,) = [message for message, _ in client.responses if message["type"] == "rejected"]
    assert [cell["cell"] for cell in rejected["cells"]] == [(n, "server_fqdn") for n in range(9)]
    assert editor.topology.source == "broken.csv"


def test_rows_without_a_plan_are_no_error(folder):
    """If the first server has an unknown role, the panel says that its row is left out. So do the
    plan and its table, as they do not contain every certificate.
    """
    (folder / "half.csv").write_text(FIVE_SERVERS.replace(",FrontEnd,", ",FroontEnd,"))
    editor = PlanEditor("half.csv")
    words = editor.topology.describe_rejected()
    assert "The plan leaves out" in words
    client = PanelClient(editor.view)
    client.send("ready")
    assert "refused" not in client.types()
    for column in ("server_fqdn", "pool_fqdn"):
        client.send("why_cell", row=0, column=column)
        assert "refused" not in client.types()
    assert client.send("explain", ids=[0], total=1)["explain"]["note"] == words
    both = client.send("explain", ids=list(range(5)), total=5)["explain"]
    assert both["certificates"] != []
    assert words in repr(editor.plan)
    assert words in editor.plan._repr_html_()


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


def test_save_says_what_it_writes_before_the_press(folder):
    """The Save tab names the file that Save writes beside a workbook, and then the line of the
    notebook to replace. This line opens the same plan.
    """
    editor = PlanEditor("five.xlsx")
    client = PanelClient(editor.view)
    client.send("ready")
    code = client.send("code")["code"]
    assert (code["target"], code["options"]) == ("five-plan.xlsx", "five-plan.plan.toml")
    assert code["has_options"] is False
    editor.change_options(wildcard=True)
    saved = client.send("save", path="", overwrite=False)["saved"]
    assert "replace the line" in saved["hint"]
    assert saved["line"] == 'topology_file = "five-plan.xlsx"'
    again = PlanEditor("five-plan.xlsx", options=ln.PlanOptions.beside("five-plan.xlsx"))
    assert again.plan.sha256 == editor.plan.sha256
    assert client.send("code")["code"]["target"] == "five-plan.xlsx"


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


def test_the_editor_asks_for_the_encoding(folder):
    """If no encoding is certain, the editor shows two rows in each one, and the cells that depend on
    it are rejected. One press reads the table again. To save it keeps the choice as UTF-8.
    """
    heading, *rows = FIVE_SERVERS.splitlines()
    text = "\n".join([f"{heading},Remark", *(f"{row},开封" for row in rows)])
    (folder / "five.csv").write_bytes(text.encode("gb18030"))
    editor = PlanEditor("five.csv")
    client = PanelClient(editor.view)
    encodings = client.send("ready")["start"]["encodings"]
    assert [e["name"] for e in encodings if e["chosen"]] == []
    assert {"cp950", "gb18030"} <= {e["name"] for e in encodings}
    assert all(len(e["lines"]) == 2 for e in encodings)
    assert {c["cell"][1] for c in client.send("ready")["rejected"]["cells"]} == {"Remark"}
    refused = client.send("save", path="five.csv", overwrite=False)["refused"]
    assert "5 rejected cells" in " ".join(refused["lines"])
    responses = client.send("open", path="", encoding="gb18030")
    assert [e["name"] for e in responses["start"]["encodings"] if e["chosen"]] == ["gb18030"]
    assert responses["saved"]["text"].startswith("Read as gb18030: five.csv.")
    assert 'encoding="gb18030"' in responses["code"]["code"]
    assert editor.topology.texts[0][-1] == "开封"
    client.send("save", path="five.csv", overwrite=False)
    assert ln.read_topology("five.csv").texts == editor.topology.texts
    assert PlanEditor("five.csv").topology.readings == ()
