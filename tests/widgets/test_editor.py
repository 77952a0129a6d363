"""The panels process messages in Python without a browser: they validate each message and store the
new state.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import date
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
from panel_kit import INHERITED, PanelClient
from topologies import FIVE_SERVERS
from workbooks import rows_of, xlsx

import lyncnb as ln
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import (
    FileOccupied,
    LyncnbError,
    OptionsError,
    OutputError,
    TopologyError,
)
from lyncnb.widgets.editing.choices import find_edits
from lyncnb.widgets.editing.edits import set_cells
from lyncnb.widgets.editing.scenarios import EditorScenarios
from lyncnb.widgets.editor import PlanEditor
from lyncnb.widgets.request_panel import RequestPanel

CSV = """server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,rack
fe01.contoso.com,FrontEnd,pool.contoso.com,Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com,A1
fe02.contoso.com,FrontEnd,pool.contoso.com,Taipei,,,,,A2
dir01.contoso.com,Director,,Taipei,,,,dir.contoso.com,A3
med01.contoso.com,Mediation,,Hsinchu,,,,,B1
med02.contoso.com,Mediation,,Hsinchu,,,,,B2
"""


@pytest.fixture(scope="module")
def rules():
    return ln.load_rules("lync2013")


@pytest.fixture
def topology():
    return ln.read_topology(CSV.encode())


@pytest.fixture
def editor(topology, rules):
    return PlanEditor(topology, rules)


@pytest.fixture
def client(editor):
    browser = PanelClient(editor.view)
    browser.send("ready")
    return browser


# -- These tests use the editor without a browser.


def test_a_new_editor_has_the_values_of_its_arguments(editor, topology):
    """The topology, options and plan of a new editor are equal to the values that were passed to
    it.
    """
    assert editor.topology is topology
    assert editor.options == ln.PlanOptions()
    assert editor.plan == ln.plan_certificates(topology, editor.rules)
    assert list(editor.findings) == list(ln.check_plan(editor.plan))
    assert editor.is_saved
    assert len(editor.changes()) == 0


def test_edit_changes_adds_and_removes_in_one_step(editor):
    """In one step, the method ``edit`` can change, add and remove servers by name. One undo reverts
    the whole step.
    """
    editor.edit(
        change=[(["dir01.contoso.com"], {"site": "Kaohsiung"})],
        add=[{"server_fqdn": "med03.contoso.com", "role": "Mediation"}],
        remove=["med01.contoso.com"],
    )
    assert [row[0] for row in editor.topology.cells] == [
        "fe01.contoso.com",
        "fe02.contoso.com",
        "dir01.contoso.com",
        "med02.contoso.com",
        "med03.contoso.com",
    ]
    sites = {pool.fqdn: pool.site for pool in editor.topology.pools}
    assert sites["dir01.contoso.com"] == "Kaohsiung"
    assert editor.plan == ln.plan_certificates(editor.topology, editor.rules)
    assert editor.undo() == "changed servers with Python code"
    assert editor.topology == editor.loaded.topology


def test_edit_rejects_unknown_servers(editor):
    """If a server does not exist, the method edit rejects the change, and the error contains the
    server name.
    """
    with pytest.raises(TopologyError, match="no row for the server 'fe09.contoso.com'"):
        editor.edit(change=[("fe09.contoso.com", {"site": "x"})])
    assert editor.is_saved


def test_a_server_with_two_roles_needs_its_role(rules):
    """If a server has two roles, lyncnb rejects an edit that specifies only the server's name. The
    hint lists both rows.

    The name together with the role identifies one row.
    """
    text = CSV + "fe01.contoso.com,Mediation,pool.contoso.com,Taipei,,,,,\n"
    editor = PlanEditor(ln.read_topology(text.encode()), rules)
    with pytest.raises(TopologyError, match=r"'fe01.contoso.com', 'FrontEnd'"):
        editor.edit(change=[("fe01.contoso.com", {"rack": "Z"})])
    editor.edit(change=[([("fe01.contoso.com", "Mediation")], {"rack": "Z"})])
    assert editor.topology.cells[5][-1] == "Z"


def test_options_can_be_text(editor):
    """The values of a key, a date and a list can be passed to the editor as text."""
    editor.change_options(
        key="RSA 3072",
        planned_issue_date="2026-12-01",
        autodiscover_internal_extra_domains="litwareinc.com; fabrikam.com",
        issuer={"Default": "public", "Internal": ""},
    )
    assert editor.options.key == KeyParameters(algorithm="RSA", bits=3072)
    assert editor.options.planned_issue_date.isoformat() == "2026-12-01"
    assert editor.options.autodiscover_internal_extra_domains == ("litwareinc.com", "fabrikam.com")
    assert editor.options.issuer == {"Default": "public"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"key": "RSA"}, 'option "key": "RSA" is not a valid key algorithm and size'),
        ({"key": "RSA 1024"}, "1024"),
        ({"planned_issue_date": "tomorrow"}, '"tomorrow" is not a date'),
        ({"validity_days": "two"}, '"two" is not a whole number'),
        ({"layuot": "separate"}, '"layuot" is not a known option'),
        ({"issuer": {"Default": "verisign"}}, "verisign"),
        ({"ca": {"Nonsense": "CA1"}}, "Nonsense"),
    ],
)
def test_invalid_options_are_rejected(editor, values, words):
    """If an option is invalid, the message contains the value, and the editor's options and plan do
    not change.
    """
    before = editor.options, editor.plan
    with pytest.raises(OptionsError, match=words):
        editor.change_options(**values)
    assert (editor.options, editor.plan) == before


def test_undo_and_redo_restore_the_same_states(editor):
    """Undo and redo restore exactly the earlier states of the editor.

    A new change removes the states that could be redone.
    """
    states = [(editor.topology, editor.options)]
    editor.apply(set_cells, ids=[2], column="site", value="A")
    states.append((editor.topology, editor.options))
    editor.change_options(layout="separate")
    states.append((editor.topology, editor.options))
    for topology, options in reversed(states[:-1]):
        editor.undo()
        assert editor.topology is topology
        assert editor.options is options
        assert editor.plan == ln.plan_certificates(topology, editor.rules, options=options)
    assert editor.undo() == ""
    assert editor.redo() == "Site of dir01.contoso.com: A"
    assert editor.topology is states[1][0]
    editor.apply(set_cells, ids=[2], column="site", value="B")
    assert editor.redo() == ""


def test_reset_restores_the_file_and_can_be_undone(editor):
    """Reset restores the table from the file. This is one step, which the user can undo."""
    editor.apply(set_cells, ids=[2], column="site", value="A")
    editor.reset()
    assert len(editor.changes()) == 0
    editor.undo()
    assert len(editor.changes()) == 1


def test_the_code_creates_the_same_plan(editor, topology, rules):
    """The Python code in ``code`` creates an editor with the same topology, options and plan."""
    editor.edit(
        change=[
            (["fe01.contoso.com", "fe02.contoso.com"], {"site": 'Tai"pei', "rack": "C1"}),
            (["dir01.contoso.com"], {"server_fqdn": "dir02.contoso.com", "autologon": "true"}),
        ],
        add=[{"server_fqdn": "edge01.contoso.com", "role": "Edge", "extra_san": "a.contoso.com"}],
        remove=["med02.contoso.com"],
    )
    editor.change_options(
        layout="separate",
        key="ECDSA 384",
        organization='O\'Neil "Co"\\',
        issuer={"": "internal", "Default": "public"},
        planned_issue_date="2027-01-31",
        accepted={"edge-name-missing": "to be settled"},
    )
    names = {"topology": topology, "rules": rules}
    exec(editor.code(), names)
    second_editor = names["editor"]
    assert second_editor.topology == editor.topology
    assert second_editor.topology.cells == editor.topology.cells
    assert second_editor.options == editor.options
    assert second_editor.plan.sha256 == editor.plan.sha256
    assert second_editor.code() == editor.code()


def test_code_for_another_product_runs():
    """The code creates the editor with the product, because other roles exist in other products."""
    table = "server_fqdn,role,sip_domains\nvis01.contoso.com,VideoInterop,contoso.com\n"
    options = ln.PlanOptions(product="sfb2019", wildcard=True)
    editor = PlanEditor(ln.read_topology(table.encode()), options=options)
    names = {"topology": editor.topology}
    exec(editor.code().replace("topology = ", "# "), names)
    assert names["editor"].options == editor.options


def test_code_after_save_contains_only_the_later_edits(tmp_path):
    """After the editor saved its table, the code reads this table and repeats only later edits."""
    path = tmp_path / "plan.csv"
    path.write_text(CSV)
    editor = PlanEditor(ln.read_topology(path))
    editor.edit(add=[{"server_fqdn": "owas.contoso.com", "role": "OfficeWebApps"}])
    for target in (path, tmp_path / "copy.csv"):
        editor.edit(remove=[editor.topology.cells[-2][0]])
        editor.save(target)
        for site in ("Tainan", "Hsinchu"):
            names: dict[str, object] = {}
            exec(editor.code(), names)
            second_editor = names["editor"]
            assert second_editor.topology.cells == editor.topology.cells
            assert second_editor.plan.sha256 == editor.plan.sha256
            assert second_editor.path == str(target)
            editor.edit(change=[("owas.contoso.com", {"site": site})])


@pytest.mark.parametrize("column", ["server_os", "sites"])
def test_code_repeats_a_new_column_with_a_similar_name(tmp_path, column):
    """The code also runs if a table that was opened as a scenario has a column with a name that is
    similar to a known column.
    """
    path, other = tmp_path / "plan.csv", tmp_path / "other.csv"
    path.write_text(CSV)
    rows = [f"{line},Tainan" for line in CSV.splitlines()]
    rows[0] = rows[0].removesuffix("Tainan") + column
    other.write_text(
        "\n".join([*rows, "owas.contoso.com,OfficeWebApps" + "," * rows[0].count(",")])
    )
    EditorScenarios(PlanEditor(ln.read_topology(other)), tmp_path / "kept").keep("B", "")
    editor = PlanEditor(ln.read_topology(path))
    EditorScenarios(editor, tmp_path / "kept").open("B")
    names: dict[str, object] = {}
    exec(editor.code(), names)
    assert names["editor"].topology.columns == editor.topology.columns
    assert names["editor"].topology.cells == editor.topology.cells


def test_code_for_a_dataframe_says_what_is_missing(editor):
    """If the table is not in a file, a comment in the code asks for the topology."""
    assert '# The table is not in a file. Assign it to "topology"' in editor.code()


@pytest.mark.parametrize("target", ["", "plan.csv", "absolute"])
def test_a_repeated_cell_keeps_edits_that_follow_a_save(tmp_path, monkeypatch, target):
    """If a cell runs again after the table was saved, only edits after the save are repeated. The
    path in `save` can be absolute, and the path in the cell relative.
    """
    monkeypatch.chdir(tmp_path)
    path = Path("plan.csv")
    path.write_text(CSV)
    editor = PlanEditor(ln.read_topology(path))
    editor.edit(add=[{"server_fqdn": "owas.contoso.com", "role": "OfficeWebApps"}])
    editor.save(path.absolute() if target == "absolute" else target)
    editor.edit(remove=["med01.contoso.com"])
    second_editor = PlanEditor(ln.read_topology(path))
    assert second_editor.repeat_changes_of(editor)
    assert second_editor.topology.cells == editor.topology.cells
    assert len(second_editor.changes()) == 1
    second_editor.undo()
    assert second_editor.is_saved


@pytest.mark.parametrize("has_later_edit", [False, True])
@pytest.mark.parametrize("reads_options", [False, True])
def test_a_repeated_cell_keeps_saved_options(tmp_path, has_later_edit, reads_options):
    """If a cell runs again after a save, the saved options are kept. The cell can read the options
    file or only the table.
    """
    path = tmp_path / "plan.csv"
    path.write_text(CSV)

    def run_cell() -> PlanEditor:
        options = ln.PlanOptions.beside(path) if reads_options else ln.PlanOptions()
        return PlanEditor(ln.read_topology(path), options=options)

    editor = run_cell()
    editor.change_options(wildcard=True)
    editor.save()
    if has_later_edit:
        editor.edit(remove=["med01.contoso.com"])
    second_editor = run_cell()
    assert second_editor.find_base_state(editor).is_same(second_editor.loaded)
    assert second_editor.repeat_changes_of(editor)
    assert second_editor.options.wildcard
    assert second_editor.topology.cells == editor.topology.cells
    assert second_editor.is_saved != has_later_edit


def test_a_repeated_cell_does_not_restore_an_option_that_was_set_back(tmp_path):
    """If somebody sets an option back in the options file after a save, the file counts."""
    path = tmp_path / "plan.csv"
    path.write_text(CSV)
    editor = PlanEditor(ln.read_topology(path), options=ln.PlanOptions.beside(path))
    editor.change_options(wildcard=True)
    options_file = editor.save()[1]
    options_file.write_bytes(ln.PlanOptions().to_toml().encode())
    second_editor = PlanEditor(ln.read_topology(path), options=ln.PlanOptions.beside(path))
    second_editor.repeat_changes_of(editor)
    assert not second_editor.options.wildcard
    second_editor.save()
    assert not ln.PlanOptions.beside(path).wildcard


def test_a_repeated_cell_keeps_an_option_from_the_file(tmp_path):
    """If the options file was edited after a save, only later changes are repeated."""
    path = tmp_path / "plan.csv"
    path.write_text(CSV)
    editor = PlanEditor(ln.read_topology(path), options=ln.PlanOptions.beside(path))
    editor.change_options(wildcard=True, country="TW")
    options_file = editor.save()[1]
    editor.change_options(wildcard=False)
    options_file.write_bytes(ln.PlanOptions(wildcard=True, country="DE").to_toml().encode())
    second_editor = PlanEditor(ln.read_topology(path), options=ln.PlanOptions.beside(path))
    assert not second_editor.repeat_changes_of(editor)
    assert not second_editor.options.wildcard
    assert second_editor.options.country == "DE"


def test_code_of_ten_thousand_changes_is_one_call(rules):
    """In the generated code, all servers with the same new values are in one list."""
    rows = "".join(f"s{n}.contoso.com,Mediation,contoso.com\n" for n in range(10_000))
    topology = ln.read_topology(f"server_fqdn,role,sip_domains\n{rows}".encode())
    editor = PlanEditor(topology, rules)
    editor.apply(set_cells, ids=range(10000), column="target_os", value="2016")
    assert editor.code().count("target_os") == 1


def test_changes_list_cells_rows_and_options(editor):
    """The method `changes` returns one row for each changed cell, added or removed server, and
    changed option.
    """
    editor.edit(
        change=[("dir01.contoso.com", {"site": "Kaohsiung"})],
        add=[{"server_fqdn": "med03.contoso.com", "role": "Mediation"}],
        remove=["med01.contoso.com"],
    )
    editor.change_options(wildcard=True)
    assert editor.changes().values.tolist() == [
        ["dir01.contoso.com", "Site", "Taipei", "Kaohsiung"],
        ["med03.contoso.com", "(whole row)", "", "added: Mediation"],
        ["med01.contoso.com", "(whole row)", "in the table", "removed"],
        ["(options)", "Wildcards for simple URLs", "no", "yes"],
    ]


def test_edit_rejects_a_misspelled_column(editor):
    """A name that is almost a known column is rejected. Another new column is added, and also one
    that has a similar name and is set together with the known column.
    """
    for edits in (
        {"change": [("med01.contoso.com", {"sitee": "Tainan"})]},
        {"add": [{"server_fqdn": "med03.contoso.com", "rolle": "Mediation"}]},
    ):
        with pytest.raises(TopologyError, match="the table has no column") as raised:
            editor.edit(**edits)
        assert raised.value.hint in ("did you mean site?", "did you mean role?")
    assert editor.is_saved
    editor.edit(change=[("med01.contoso.com", {"owner": "Ana Li", "target_os": "2016"})])
    assert editor.topology.columns[-2:] == ("owner", "target_os")
    editor.edit(change=[("med01.contoso.com", {"server_os": "2016", "server_id": "7"})])
    editor.edit(change=[("med01.contoso.com", {"site": "Tainan", "sites": "Tainan, Hsinchu"})])
    assert editor.topology.columns[-3:] == ("server_os", "server_id", "sites")


def test_edit_removes_one_server_by_its_name(editor):
    """The argument `remove` can be the name of one server."""
    editor.edit(remove="med01.contoso.com")
    assert editor.texts("server_fqdn")[-2:] == ["dir01.contoso.com", "med02.contoso.com"]


# -- files


def test_save_keeps_unknown_columns_and_every_option(editor, tmp_path, rules):
    """The saved table and options produce the same plan, and the table keeps the columns that the
    planner added.
    """
    editor.apply(set_cells, ids=[2], column="site", value="Kaohsiung")
    editor.change_options(layout="separate", country="TW")
    assert not editor.is_saved
    table, choices = editor.save(tmp_path / "new" / "plan")
    assert editor.is_saved
    topology = ln.read_topology(table)
    options = ln.PlanOptions.from_toml(choices)
    assert topology.cells == editor.topology.cells
    assert "rack" in topology.columns
    assert ln.plan_certificates(topology, rules, options=options).sha256 == editor.plan.sha256


def test_save_does_not_replace_another_table(editor, topology, rules, tmp_path):
    """Without the argument overwrite, save does not overwrite a file that the editor neither loaded
    nor saved.
    """
    editor.save(tmp_path)
    editor.apply(set_cells, ids=[2], column="site", value="A")
    editor.save(tmp_path)  # The editor may overwrite the file that it saved.
    other = PlanEditor(topology, rules)
    with pytest.raises(
        LyncnbError, match=r"topology.csv already exists, so lyncnb did not change it"
    ):
        other.save(tmp_path)
    assert ln.read_topology(tmp_path / "topology.csv").cells == editor.topology.cells
    other.save(tmp_path, overwrite=True)
    assert ln.read_topology(tmp_path / "topology.csv").cells == topology.cells


def test_save_does_not_replace_other_options(editor, tmp_path):
    """If the editor neither loaded nor saved plan.toml, Save reports that the file exists, and
    writes nothing without `overwrite`.
    """
    (tmp_path / "plan.toml").write_text('[subject]\norganization = "Fabrikam"\n')
    with pytest.raises(FileOccupied, match=r"plan.toml already exists"):
        editor.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]
    editor.save(tmp_path, overwrite=True)
    assert ln.PlanOptions.from_toml(tmp_path / "plan.toml") == editor.options


@pytest.mark.parametrize("subfolder", ["keys", "steps/new", "nowhere/../csr"])
def test_save_writes_nothing_to_request_subfolders(editor, tmp_path, subfolder):
    """Save writes no file to the subfolders of a request folder, even with the argument overwrite,
    and creates no folder there.
    """
    for name in ("keys", "csr", "steps"):
        (tmp_path / "requests" / name).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="is one of lyncnb's own files"):
        editor.save(tmp_path / "requests" / subfolder, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_save_does_not_write_to_links_or_pipes(editor, tmp_path):
    """Save never overwrites a path that is not a regular file, such as a symbolic link or a pipe."""
    (tmp_path / "topology.csv").symlink_to("elsewhere.csv")
    with pytest.raises(OutputError, match="is a symbolic link"):
        editor.save(tmp_path, overwrite=True)
    (tmp_path / "topology.csv").unlink()
    os.mkfifo(tmp_path / "plan.toml")
    with pytest.raises(OutputError, match="is not a regular file"):
        editor.save(tmp_path, overwrite=True)
    assert not (tmp_path / "topology.csv").exists()


# -- messages


def test_the_response_to_ready_is_complete(client):
    """When the page sends "ready", the editor responds with its start data, all rows, the options,
    and the counts.

    Rows are not stored in a trait.
    """
    # The editor has not sent the findings yet.
    assert client.types() == ["start", "rows", "options", "rows", "state"]
    rows = client.rows()
    assert rows[1]["server_fqdn"] == "fe02.contoso.com"
    assert rows[1]["rack"] == "A2"
    assert rows[1]["web_external_fqdn"] == INHERITED + "web.contoso.com"
    assert rows[1]["sip_domains"] == INHERITED + "contoso.com"
    # A Mediation Server does not use the column web_external_fqdn.
    assert rows[3]["web_external_fqdn"] == ""
    assert rows[3]["target_os"] == INHERITED + "2012R2"
    assert "contoso" not in json.dumps(client.panel.get_state(), default=str).replace(
        client.panel._esm, ""
    )


def test_the_response_to_an_edit(client, editor):
    """When a role is changed, the page receives the changed row, its mark and the counts."""
    answers = client.send("edit", ids=[2], column="role", value="Mediation")
    assert client.rows()[2]["role"] == "Mediation"
    assert "role" in client.rows()[2]["_changed"].split()
    assert answers["state"]["changes"] == 1
    assert answers["state"]["undo"] == "Role of dir01.contoso.com: Mediation"
    assert answers["state"]["counts"]["certificate"] == len(editor.plan.certificates)
    assert editor.topology.cells[2][1] == "Mediation"


def test_a_rejected_edit_returns_the_reason(client, editor):
    """If an edit is rejected, the page receives the reason, the cell and a hint, and the topology
    does not change.
    """
    before = editor.topology
    for ids, column, value, words in [
        ([0], "role", "Director", "role"),
        ([0], "server_fqdn", "no name", "no name"),
        ([0], "server_fqdn", "fe02.contoso.com", "fe02.contoso.com"),
        ([0], "nonsense", "x", "nonsense"),
        ([0], "role", "Chef", "Chef"),
        ([99], "role", "Director", "no server is selected"),
    ]:
        answers = client.send("edit", ids=ids, column=column, value=value)
        assert list(answers) == ["refused"]
        lines = answers["refused"]["lines"]
        assert words in " ".join(lines)
        assert lines[0].startswith("Not done: ")
        assert len(lines) <= 4
        assert editor.topology is before


def test_a_pool_value_is_set_for_the_pool(client, editor):
    """If a value belongs to a pool, an edit on any server of the pool changes the row that contains
    the value, so that rows do not contradict each other.
    """
    client.send("edit", ids=[1], column="web_external_fqdn", value="new.contoso.com")
    column = editor.topology.columns.index("web_external_fqdn")
    assert [row[column] for row in editor.topology.cells[:2]] == ["new.contoso.com", ""]
    assert client.rows()[1]["web_external_fqdn"] == INHERITED + "new.contoso.com"
    client.send("edit", ids=[0, 1], column="web_external_fqdn", value="")
    assert editor.topology.cells[0][column] == ""


def test_many_rows_change_at_once(client, editor):
    """An edit of many rows is a single undo step."""
    answers = client.send("edit", ids=[0, 1, 2, 3, 4], column="site", value="Tainan")
    assert {pool.site for pool in editor.topology.pools} == {"Tainan"}
    assert answers["state"]["undo"] == "Site of 5 servers: Tainan"
    assert client.send("undo")["state"]["changes"] == 0


def test_changes_of_certificates_have_their_causes(client, editor):
    """Each change to certificates and names is shown with its cause and the earlier value."""
    client.send("edit", ids=[0], column="dialin_url", value="https://call.contoso.com")
    editor.change_options(autodiscover_internal_extra_domains=("contoso.net",))
    effects = client.send("changes")["changes"]["effects"]
    rows = [dict(zip(effects["headings"], row, strict=True)) for row in effects["rows"]]
    causes = {(row["Change"], row["Before"] or row["After"]): row["Cause"] for row in rows}
    assert "dialin_url" in causes["name added", "call.contoso.com"]
    assert "dialin_url" in causes["name removed", "dialin.contoso.com"]
    added = causes["name added", "lyncdiscoverinternal.contoso.net"]
    assert added.startswith("option autodiscover_internal_extra_domains")


def test_a_bulk_edit_is_all_or_nothing(client, editor):
    """If one row of a bulk edit cannot be changed, the whole edit is rejected."""
    answers = client.send("edit", ids=[0, 2], column="role", value="Edge")
    assert list(answers) == ["refused"]
    assert editor.is_saved


def test_row_ids_never_change(client, editor):
    """The id of a row never changes, and undo restores a removed row with its id."""
    answers = client.send(
        "add", values={"server_fqdn": "med03.contoso.com", "role": "Mediation", "site": ""}
    )
    assert answers["done"]["added"] == [5]
    assert client.rows()[5]["server_fqdn"] == "med03.contoso.com"
    client.send("remove", ids=[0, 3])
    assert sorted(client.rows()) == [1, 2, 4, 5]
    # The deployment's values from the removed row were moved to another row.
    assert editor.topology.sip_domains == ("contoso.com",)
    client.send("undo")
    assert sorted(client.rows()) == [0, 1, 2, 3, 4, 5]
    assert client.send("remove", ids=[0, 1, 2, 3, 4, 5])["refused"]["lines"]


def test_a_list_has_one_entry_per_line(rules):
    """The form shows each item of a list on its own line. The Undo button uses the same option
    names as the form.
    """
    table = CSV.replace("Taipei,contoso.com,", 'Taipei,"contoso.com,fabrikam.com",')
    editor = PlanEditor(ln.read_topology(table.encode()), rules)
    browser = PanelClient(editor.view)
    values = browser.send("ready")["options"]["values"]
    assert values["column:sip_domains"] == "contoso.com\nfabrikam.com"
    browser.send("option", name="column:sip_domains", value="contoso.com, litwareinc.com")
    assert editor.topology.sip_domains == ("contoso.com", "litwareinc.com")
    undo = browser.send("option", name="layout", value="separate")["state"]["undo"]
    assert undo == "Default and web certificates: separate"
    undo = browser.send("option", name="wildcard", value="true")["state"]["undo"]
    assert undo == "Wildcards for simple URLs: on"


def test_deployment_fields_write_the_table(client, editor):
    """If the user changes the SIP domains in the form, the cell of the SIP domains changes. If the
    user changes a yes/no value, the value changes for every pool whose role uses it.
    """
    client.send("option", name="column:sip_domains", value="contoso.com\nfabrikam.com")
    assert editor.topology.sip_domains == ("contoso.com", "fabrikam.com")
    answers = client.send("option", name="column:strict_dns", value="false")
    heeding = [p for p in editor.topology.pools if p.role in ("FrontEnd", "Director")]
    assert all("strict_dns" not in pool.flags for pool in heeding)
    assert answers["options"]["values"]["column:strict_dns"] == "false"
    client.send("edit", ids=[2], column="strict_dns", value="true")
    answers = client.send("option", name="column:autodiscover", value="true")
    assert answers["options"]["values"]["column:strict_dns"] == "mixed"


def test_a_rejected_option_restores_the_form(client, editor):
    """If an option is rejected, the response contains the reason and the current values for the
    form.
    """
    answers = client.send("option", name="country", value="Taiwan")
    assert "Taiwan" in answers["refused"]["lines"][0]
    assert answers["options"]["values"]["country"] == ""
    assert client.send("option", name="issuer", key="Default", value="public")["state"]
    assert editor.options.issuer == {"Default": "public"}
    client.send("option", name="issuer", key="Default", value="")
    assert editor.options.issuer == {}


def test_explain_returns_the_reason_for_each_name(client):
    """The explanation of a server contains its certificates, and each name with its reason and
    source.
    """
    answer = client.send("explain", ids=[0], total=1)["explain"]
    assert answer["title"] == "Certificates of fe01.contoso.com"
    names = {entry["name"]: entry for entry in answer["certificates"][0]["names"]}
    assert names["pool.contoso.com"]["place"] == "subject and SAN"
    assert names["pool.contoso.com"]["why"]
    assert names["pool.contoso.com"]["source"].startswith("Microsoft")
    many = client.send("explain", ids=[0, 1], total=500)["explain"]
    assert many["note"] == "Showing the first 2 of 500 servers."
    assert client.send("explain", ids=[], total=0)["explain"]["certificates"] == []


def test_live_findings_equal_a_fresh_check(client, editor):
    """After each edit and undo, the findings, counts and texts of the editor equal those of a new
    evaluation.
    """
    wishes = [
        ("edit", {"ids": [2], "column": "role", "value": "Edge"}),
        ("edit", {"ids": [0], "column": "web_external_fqdn", "value": ""}),
        ("edit", {"ids": [3], "column": "role", "value": "ReverseProxy"}),
        ("option", {"name": "column:dialin_url", "value": ""}),
        ("edit", {"ids": [3], "column": "site", "value": "Taipei"}),
        ("add", {"values": {"server_fqdn": "se.contoso.local", "role": "StandardEdition"}}),
        ("option", {"name": "issuer", "key": "Default", "value": "public"}),
        ("remove", {"ids": [4]}),
        ("undo", {}),
        ("undo", {}),
        ("redo", {}),
        ("reset", {}),
    ]
    client.send("ready")
    shown = client.rows()
    for kind, arguments in wishes:
        answers = client.send(kind, **arguments)
        assert "refused" not in answers, answers
        plan = ln.plan_certificates(editor.topology, editor.rules, options=editor.options)
        findings = ln.check_plan(plan)
        assert editor.plan == plan
        assert list(editor.findings) == list(findings)
        counts = answers["state"]["counts"]
        assert counts == {
            "certificate": len(plan.certificates),
            "public certificate": sum(c.issuer == "public" for c in plan.certificates),
            "name": sum(len(c.names) for c in plan.certificates),
            **findings.counts(),
            "accepted": 0,
        }
        shown = client.rows_after(shown)
        fresh = PanelClient(PlanEditor(editor.topology, editor.rules, options=editor.options).view)
        fresh.send("ready")
        expected = [row["_findings"] for row in fresh.rows().values()]
        assert [shown[row_id]["_findings"] for row_id in editor.state.ids] == expected


_NAMES = ("a.contoso.com", "b.contoso.com", "pool.contoso.com", "web.contoso.local")
_EDITS = st.one_of(
    st.tuples(
        st.just("edit"),
        st.lists(st.integers(0, 7), min_size=1, max_size=5),
        st.sampled_from(
            [
                *(("role", role) for role in ("Director", "Mediation", "Edge", "ReverseProxy")),
                *(("pool_fqdn", name) for name in ("", *_NAMES)),
                *(("site", site) for site in ("", "Taipei", "Tainan")),
                *(("web_external_fqdn", name) for name in ("", *_NAMES)),
                ("sip_domains", "fabrikam.com"),
                ("meet_urls", "https://meet.fabrikam.com"),
                ("autologon", "true"),
                ("issuer", "public"),
                ("target_os", "2016"),
                ("rack", "Z"),
            ]
        ),
    ),
    st.tuples(
        st.just("add"),
        st.sampled_from(_NAMES),
        st.sampled_from(["Mediation", "Edge", "FrontEnd"]),
        st.sampled_from(
            [
                {},
                {"site": "Taipei", "pool_fqdn": "pool.contoso.com"},
                {"site": "Tainan", "meet_urls": "https://meet.tainan.contoso.com"},
                {"site": "Hsinchu", "dialin_url": "https://dialin.hsinchu.contoso.com"},
                {"sip_domains": "fabrikam.com", "rack": "C1"},
                {"target_os": "2016", "pool_fqdn": "pool.contoso.com"},
            ]
        ),
    ),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 7), min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["undo", "redo", "reset"])),
    st.tuples(st.just("option"), st.sampled_from(["combined", "separate"])),
)


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    edits=st.lists(st.tuples(_EDITS, st.integers(0, 4)), max_size=8),
    at_once=st.sampled_from([0, 99]),
)
def test_the_browser_has_the_current_rows_after_any_edits(edits, at_once):
    """After any sequence of edits, the browser has the same rows, findings and counts as a newly
    opened editor.

    Many rows are sent in small batches: a planner's edits can arrive between any two batches.
    """
    editor = PlanEditor(ln.read_topology(CSV.encode()), ln.load_rules("lync2013"))
    view = editor.view
    channel = view.channel
    channel.at_once, channel.first, channel.until_sent = at_once, 2, 0
    shown, state = asyncio.run(_edited(PanelClient(view), edits))
    second_editor = PlanEditor(editor.topology, editor.rules, options=editor.options)
    fresh = PanelClient(second_editor.view)
    expected = fresh.send("ready")["state"]["counts"]
    assert state["counts"] == expected
    assert editor.plan == second_editor.plan
    assert list(editor.findings) == list(second_editor.findings)
    sent_rows = [dict(shown[row_id]) for row_id in editor.state.ids]
    fresh_rows = list(fresh.rows().values())
    for row in (*sent_rows, *fresh_rows):
        # Do not compare the change marks of rows, because the two editors loaded different files.
        row.pop("_changed")
    assert sent_rows == fresh_rows
    changed = [row for row in editor.changes()["Server"] if row != "(options)"]
    assert state["changes"] == len(changed) + ("(options)" in set(editor.changes()["Server"]))
    assert find_edits(editor.loaded, editor.state).count == len(changed)


async def _edited(browser, edits):
    """Make edits with pauses between them, and return the rows and the state that the page
    received.
    """
    shown, state = {}, {}

    def hear():
        nonlocal shown
        shown = browser.rows_after(shown)
        for message, _ in browser.responses:
            if message["type"] in ("state", "checked"):
                state.update(message)

    browser.send("ready")
    for (kind, *arguments), turns in [*edits, (("look",), 9)]:
        for _ in range(turns):
            await asyncio.sleep(0.001)
        hear()
        if kind == "edit":
            browser.send(kind, ids=arguments[0], column=arguments[1][0], value=arguments[1][1])
        elif kind == "add":
            browser.send(
                kind, values={"server_fqdn": arguments[0], "role": arguments[1], **arguments[2]}
            )
        elif kind == "remove":
            browser.send(kind, ids=arguments[0])
        elif kind == "option":
            browser.send(kind, name="layout", value=arguments[0])
        else:
            browser.send(kind)
    return shown, state


def test_rows_are_sent_before_counts_and_findings(rules):
    """The editor sends the beginning of the table at once, then the rest, then the counts, and
    finally the findings.
    """
    lines = [f"med{n:04}.contoso.com,Mediation,contoso.com" for n in range(1200)]
    topology = ln.read_topology("\n".join(["server_fqdn,role,sip_domains", *lines]).encode())
    editor = PlanEditor(topology, rules)
    browser = PanelClient(editor.view)

    async def start():
        browser.send("ready")
        first = list(browser.rows())
        end = time.monotonic() + 60
        while "checked" not in browser.types() and time.monotonic() < end:
            await asyncio.sleep(0.01)
        return first

    assert asyncio.run(start()) == list(range(200))
    assert browser.responses[1][0]["total"] == 1200
    assert browser.types() == ["start", "rows", "rows", "state", "options", "checked"]
    assert len(browser.rows()) == 1200
    assert browser.responses[3][0]["counts"].keys() < browser.responses[-1][0]["counts"].keys()
    assert browser.responses[-1][0]["counts"].items() >= ln.check_plan(editor.plan).counts().items()
    # The error is raised at once, before the editor plans the table.
    with pytest.raises(OptionsError, match="not a usage or role"):
        PlanEditor(topology, rules, options=ln.PlanOptions(issuer={"Nothing": "public"}))


def test_findings_are_accepted_with_a_reason(client, editor):
    """To accept a finding, the user enters a reason, which becomes an option in plan.toml. A blank
    reason removes the acceptance.
    """
    client.send("edit", ids=[2], column="role", value="Edge")
    groups = client.send("findings")["findings"]["groups"]
    code = groups[0]["code"]
    assert groups[0]["severity"] == "error"
    before = editor.live.count_all()
    count = groups[0]["count"]
    counts = client.send("option", name="accepted", key=code, value="names follow in May")["state"][
        "counts"
    ]
    assert editor.options.accepted == {code: "names follow in May"}
    assert counts == {**before, "error": before["error"] - count, "accepted": count}
    assert client.rows()[2]["_findings"].endswith(f"{count} accepted")
    assert f"{count} accepted finding" in editor._repr_html_()
    group = next(g for g in client.send("findings")["findings"]["groups"] if g["code"] == code)
    assert (group["accepted"], group["open"]) == ("names follow in May", 0)
    editor.change_options(accepted_until={code: date(2030, 1, 31)}, accepted_for={code: ("SBA-",)})
    # A blank reason removes the acceptance together with its limits.
    client.send("option", name="accepted", key=code, value="")
    assert editor.options == PlanEditor(editor.topology, editor.rules).options
    assert editor.live.count_all() == before


@pytest.mark.parametrize(
    ("until", "only", "words", "is_open"),
    [
        (None, "", "", False),
        (date(2030, 1, 31), "", "until 2030-01-31", False),
        (date(2030, 1, 31), "(its own)", "until 2030-01-31; for (its own)", False),
        (None, "SBA-", "for SBA-", True),
        (date(2026, 1, 31), "", "until 2026-01-31", True),
    ],
)
def test_an_acceptance_is_shown_with_its_limits(
    client, editor, tmp_path, until, only, words, is_open
):
    """The editor and the request panel show the end date and the limits of an accepted finding.

    Findings beyond these limits are not accepted.
    """
    client.send("edit", ids=[2], column="role", value="Edge")
    code = client.send("findings")["findings"]["groups"][0]["code"]
    entity = next(finding.about for finding in editor.findings if finding.code == code)
    only, words = only.replace("(its own)", entity), words.replace("(its own)", entity)
    editor.change_options(
        planned_issue_date=date(2026, 11, 25),
        accepted={code: "names follow"},
        accepted_until={code: until} if until else {},
        accepted_for={code: (only,)} if only else {},
    )
    panel = RequestPanel(editor.plan, tmp_path / "requests")
    panel_findings = PanelClient(panel.view).send("ready")["findings"]
    for groups in (client.send("findings")["findings"]["groups"], panel_findings["groups"]):
        (group,) = [group for group in groups if group["code"] == code]
        assert group["limits"] == words
        assert group["over"] is (until == date(2026, 1, 31))
        assert group["open"] == (group["count"] if is_open else 0)
    assert group["accepted"] == ("" if is_open else "names follow")
    assert (code in panel_findings["open"]) is is_open
    client.send("option", name="accepted", key=code, value="the partner agreed")
    assert (code not in RequestPanel(editor.plan, tmp_path).unaccepted) is (words != "for SBA-")


def test_findings_with_one_safe_fix_can_be_fixed(client, editor):
    """If every finding with the same code has exactly one safe fix, the editor can fix all of them
    in one step. The user can undo this step.
    """
    before = editor.state
    server = next(p for p in editor.topology.pools if p.role == "Mediation").computers[0].row
    editor.apply(
        set_cells,
        ids=[editor.state.ids[server]],
        column="web_external_fqdn",
        value="w.contoso.com",
    )
    editor.change_options(xmpp_host_names=True)
    groups = {g["code"]: g["fixes"] for g in client.send("findings")["findings"]["groups"]}
    assert groups["option-changes-nothing"] == ["option xmpp_host_names -> default"]
    (fix,) = groups["value-not-heeded"]
    assert fix.endswith('"w.contoso.com" -> blank'), fix
    answers = client.send("fix", codes=["value-not-heeded"])
    assert "Fixed: value-not-heeded" in answers["state"]["done"]
    assert editor.topology.cells == before.topology.cells
    assert editor.options.xmpp_host_names
    assert [finding.code for finding in editor.apply_fixes()] == ["option-changes-nothing"]
    assert editor.options == before.options
    editor.undo()
    assert editor.options.xmpp_host_names
    assert list(editor.findings) == list(ln.check_plan(editor.plan))
    assert "lyncnb applied no fix" in str(client.send("fix", codes=["value-not-heeded"]))


def test_one_of_several_answers_is_applied(client, editor):
    """If a finding has several possible answers, the panel shows the changes for each of them.
    Applying an answer is one step that can be undone, and an outdated answer is rejected.
    """
    rows = [row for row, cells in enumerate(editor.topology.cells) if "Director" in cells]
    used_fqdn = next(p.web_external_fqdn for p in editor.topology.pools if p.role == "FrontEnd")
    ids = [editor.state.ids[row] for row in rows]
    editor.apply(set_cells, ids=ids, column="web_external_fqdn", value=used_fqdn)
    groups = {g["code"]: g["items"] for g in client.send("findings")["findings"]["groups"]}
    item = next(i for i in groups["web-external-fqdn-shared"] if i["about"].startswith("dir"))
    assert f'"{used_fqdn}" -> ' in item["choices"][0]
    choice = {"code": "web-external-fqdn-shared", "about": item["about"], "answer": 0}
    answers = client.send("choose", **choice)
    assert "state" in answers, answers
    assert "Fixed: web-external-fqdn-shared" in answers["state"]["done"]
    assert choice["code"] not in {finding.code for finding in editor.findings}
    assert "no longer has this fix" in str(client.send("choose", **choice))
    editor.undo()
    assert choice["code"] in {finding.code for finding in editor.findings}


def test_save_by_message_offers_to_replace(client, editor, tmp_path):
    """If the folder contains another plan, Save is rejected, and the response offers to replace the
    files.
    """
    (tmp_path / "topology.csv").write_text(
        "server_fqdn,role,sip_domains\na.contoso.com,SBA,x.com\n"
    )
    answers = client.send("save", path=str(tmp_path), overwrite=False)
    assert answers["refused"]["occupied"] is True
    answers = client.send("save", path=str(tmp_path), overwrite=True)
    assert answers["saved"]["text"] == (
        f"Saved: {tmp_path / 'topology.csv'} and {tmp_path / 'plan.toml'}."
    )
    assert answers["saved"]["line"] == f'topology_file = "{tmp_path / "topology.csv"}"'
    assert answers["code"]["target"] == (tmp_path / "topology.csv").as_posix()


def test_one_line_of_code_loads_the_saved_table(client, editor, tmp_path):
    """One line of code in the notebook loads a saved table and its options."""
    editor.change_options(organization="Contoso", key="RSA 4096")
    answers = client.send("save", path=str(tmp_path / "mine.csv"), overwrite=False)
    assert (tmp_path / "mine.plan.toml").is_file()
    names = {}
    exec(answers["saved"]["line"], names)
    options = ln.PlanOptions.beside(names["topology_file"])
    later = ln.PlanEditor(ln.read_topology(names["topology_file"]), options=options)
    assert later.plan.sha256 == editor.plan.sha256
    assert later.options == editor.options


def test_save_does_not_overwrite_changes_of_others(tmp_path):
    """Save overwrites the loaded file, unless another person has changed the file."""
    path = tmp_path / "mine.csv"
    path.write_text(FIVE_SERVERS)
    editor = ln.PlanEditor(ln.read_topology(path))
    editor.change_options(wildcard=True)
    assert editor.save() == (path, tmp_path / "mine.plan.toml")
    editor.change_options(wildcard=False)
    editor.save()
    assert not ln.PlanOptions.beside(path).wildcard
    # Another person changes the file.
    path.write_text(FIVE_SERVERS.replace("A3", "A4"))
    with pytest.raises(FileOccupied, match=r"mine\.csv changed since you opened it") as raised:
        editor.save()
    assert "to keep your edits, save them under a different name" in raised.value.hint
    with pytest.raises(FileOccupied, match=r"mine\.csv changed since you opened it"):
        editor.save(os.path.relpath(path))
    assert "A4" in path.read_text()
    editor.save(overwrite=True)
    assert "A4" not in path.read_text()
    # Another person changes the options.
    (tmp_path / "mine.plan.toml").write_text("wildcard = true\n")
    with pytest.raises(FileOccupied, match=r"mine\.plan\.toml contains other options"):
        editor.save()


def test_a_workbook_is_never_written_over(tmp_path):
    """Save never writes over a workbook of the planner, also if it is asked to replace files. It
    writes NAME-plan.xlsx, which it can write again, until somebody else changes this file.
    """
    path = tmp_path / "mine.xlsx"
    path.write_bytes(xlsx(rows_of(FIVE_SERVERS)))
    before = path.read_bytes()
    editor = ln.PlanEditor(ln.read_topology(path))
    assert editor.save_path == tmp_path / "mine-plan.xlsx"
    with pytest.raises(LyncnbError, match=r"mine\.xlsx exists already") as raised:
        editor.save(path, overwrite=True)
    assert str(tmp_path / "mine-plan.xlsx") in raised.value.hint
    assert editor.save(tmp_path / "mine.csv")[0] == tmp_path / "mine.csv"
    editor = ln.PlanEditor(path)
    new = (tmp_path / "mine-plan.xlsx", tmp_path / "mine-plan.plan.toml")
    for site in ("Tainan", "Hsinchu"):
        editor.edit(
            change=[("fe01.contoso.com", {"site": site}), ("fe02.contoso.com", {"site": site})]
        )
        assert editor.save() == new
        assert ln.read_topology(new[0]) == editor.topology
    later = ln.PlanEditor(new[0], options=ln.PlanOptions.beside(new[0]))
    later.change_options(wildcard=True)
    assert later.save() == new
    new[0].write_bytes(before)
    assert later.save_path == tmp_path / "mine-plan-2.xlsx"
    with pytest.raises(LyncnbError, match="never writes over a workbook"):
        later.save(new[0], overwrite=True)
    assert path.read_bytes() == new[0].read_bytes() == before


def test_another_table_is_opened_in_the_same_editor(client, editor, tmp_path, monkeypatch):
    """The message "open" loads another table and its options. If there are unsaved edits, lyncnb
    rejects the message.
    """
    path = tmp_path / "other.csv"
    path.write_text(FIVE_SERVERS)
    (tmp_path / "other.plan.toml").write_text('layout = "separate"\n')
    editor.change_options(wildcard=True)
    answers = client.send("open", path=str(path))
    assert "unsaved edits" in answers["refused"]["lines"][0]
    editor.save(tmp_path / "kept.csv")
    answers = client.send("open", path=str(path))
    assert answers["start"]["source"] == "other.csv"
    assert answers["state"]["saved_words"] == "as loaded"
    assert answers["saved"]["line"] == f'topology_file = "{path}"'
    assert editor.options.layout == "separate"
    assert not editor.past
    assert len(editor.topology.cells) == 5
    # A message shortens long paths, so this test uses a file in the current folder.
    monkeypatch.chdir(tmp_path)
    answers = client.send("open", path="none.csv")
    assert "none.csv" in answers["refused"]["lines"][0]
    assert len(editor.topology.cells) == 5


@pytest.mark.parametrize(
    "message",
    [
        {"type": "edit"},
        {"type": "edit", "ids": "x", "column": 3, "value": None},
        {"type": "edit", "ids": [{}], "column": "role", "value": "Edge"},
        {"type": "add", "values": "x"},
        {"type": "option", "name": "no_such", "value": 1},
        {"type": "save", "path": 5},
    ],
)
def test_the_panel_shows_an_invalid_message_as_an_error(client, editor, message):
    """If a message from the page is invalid, the panel shows a plain error message without a stack
    trace.
    """
    answers = client.send(**{"kind" if key == "type" else key: v for key, v in message.items()})
    if "refused" in answers:
        lines = answers["refused"]["lines"]
        assert lines[0].startswith("Not done: ")
        assert not any("Traceback" in line or 'File "' in line for line in lines)
    assert len(editor.topology.cells) == 5


def test_messages_of_other_kinds_are_ignored(client):
    """The editor does not respond to messages of an unknown type."""
    assert client.send("nonsense") == {}
    client.panel._receive(client.panel, "text", [])
    client.panel._receive(client.panel, {"no": "type"}, [])
    assert client.responses == []


# -- static forms


def test_the_static_form_is_the_current_table(editor):
    """Without a kernel, the saved output shows the current servers and the changes as escaped text."""
    editor.apply(set_cells, ids=[2], column="site", value="<b>x</b>")
    data, _ = editor._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"].startswith("PlanEditor(")
    assert "&lt;b&gt;x&lt;/b&gt;" in data["text/html"]
    assert "<b>x</b>" not in data["text/html"]
    assert "fe02.contoso.com" in data["text/html"]
    assert "<caption>1 change since the table was loaded</caption>" in data["text/html"]


def test_a_check_box_leaves_requests_to_server_setup(client, editor):
    """A check box excludes identical certificates from the requests, because server setup requests
    these certificates. Undo restores the requests.
    """
    groups = client.send("certificates")["certificates"]["groups"]
    group = next(entry for entry in groups if entry["count"] > 1)
    client.send("set_up", id=group["id"], is_chosen=True)
    assert len(editor.options.at_set_up) == group["count"]
    assert {c.id for c in editor.plan.certificates if c.at_set_up} == set(editor.options.at_set_up)
    updated_groups = client.send("certificates")["certificates"]["groups"]
    assert [entry["at_set_up"] for entry in updated_groups if entry["id"] == group["id"]] == [True]
    assert "at_set_up" in editor.code()
    client.send("set_up", id=group["id"], is_chosen=False)
    assert editor.options.at_set_up == ()
