"""If a user edits many cells at once, lyncnb accepts the valid values and rejects the invalid ones.
If a server leaves its pool, the pool's values in the server's row stay with the pool.
"""

from __future__ import annotations

import pytest
from panel_kit import PanelClient
from topologies import FIVE_SERVERS

from lyncnb.errors import LyncnbError, TopologyError
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import Topology, read_topology
from lyncnb.widgets.editing.cell_blocks import (
    CellText,
    apply_block,
    copy_rows,
    find_next_name,
    plan_pool_moves,
)
from lyncnb.widgets.editing.edits import create_pool, duplicate_servers, leave_pool, set_cells
from lyncnb.widgets.editor import PlanEditor


@pytest.fixture
def topology() -> Topology:
    return read_topology(FIVE_SERVERS.encode())


@pytest.fixture
def editor(topology) -> PlanEditor:
    return PlanEditor(topology, load_rules())


def column(topology: Topology, name: str) -> list[str]:
    """Return the texts in a column of the table."""
    index = topology.columns.index(name)
    return [str(row[index]) for row in topology.cells]


def test_valid_cells_are_accepted_and_others_rejected(topology):
    """If one of three edited cells is invalid, the cell keeps its old value, and the edit returns
    the rejected text with the reason.
    """
    result = apply_block(
        topology,
        [
            CellText(2, "site", "Tainan"),
            CellText(3, "role", "NoSuchRole"),
            CellText(4, "target_os", "2016"),
        ],
    )
    assert column(result.topology, "site")[2] == "Tainan"
    assert column(result.topology, "target_os")[4] == "2016"
    assert column(result.topology, "role") == column(topology, "role")
    ((row, name, text, problem),) = [
        (cell.place, cell.column, cell.text, cell.problem) for cell in result.refused
    ]
    assert (row, name, text) == (3, "role", "NoSuchRole")
    assert "NoSuchRole" in problem.message


def test_a_site_that_splits_a_pool_is_rejected(topology):
    """If one of several edits would move only one server of a pool to another site, lyncnb rejects
    this edit, but still makes the other edits.
    """
    result = apply_block(
        topology, [CellText(0, "site", "Kaohsiung"), CellText(3, "site", "Kaohsiung")]
    )
    assert [cell.place for cell in result.refused] == [0]
    assert column(result.topology, "site")[3] == "Kaohsiung"


def test_two_pasted_values_for_one_pool(topology):
    """If pasted cells contain two values for the same pool, the editor saves the first value for
    the pool and rejects the second one.
    """
    name = "web_external_fqdn"
    result = apply_block(
        topology,
        [CellText(1, name, "new.contoso.com"), CellText(0, name, "other.contoso.com")],
    )
    assert column(result.topology, name)[:2] == ["new.contoso.com", ""]
    assert [(cell.place, cell.text) for cell in result.refused] == [(0, "other.contoso.com")]


def test_invalid_cells_of_new_rows_stay_blank(topology):
    """If a cell of a new row is invalid, it stays blank. A row without a server name is not added."""
    result = apply_block(
        topology,
        [],
        [
            {"server_fqdn": "med03.contoso.com", "role": "Mediation", "target_os": "1999"},
            {"server_fqdn": "", "role": "Mediation"},
            {"server_fqdn": "med04.contoso.com", "role": "Mediation"},
        ],
    )
    assert result.added == 2
    assert column(result.topology, "server_fqdn")[5:] == ["med03.contoso.com", "med04.contoso.com"]
    assert [(cell.place, cell.column) for cell in result.refused] == [(5, "target_os")]
    assert [number for number, _ in result.refused_rows] == [2]


@pytest.mark.parametrize("count", [1, 40])
def test_if_all_cells_are_rejected_nothing_changes(topology, count):
    """If all cells are rejected, the topology does not change."""
    cells = [CellText(n % 5, "target_os", f"bad{n}") for n in range(min(count, 5))]
    result = apply_block(topology, cells)
    assert result.topology is topology
    assert len(result.refused) == len(cells)


def test_values_of_a_pool_stay_with_the_pool(topology):
    """If the server whose row contains the values of a pool leaves the pool, the values move to the
    row of another server in the pool.
    """
    changes = plan_pool_moves(topology, {0: "other.contoso.com"})
    moved = topology.with_cells(changes)
    assert column(moved, "web_external_fqdn")[:2] == ["", "web.contoso.com"]
    assert column(moved, "autologon")[:2] == ["", "true"]
    moved_pool = topology.with_cells(
        plan_pool_moves(topology, {0: "n.contoso.com", 1: "n.contoso.com"})
    )
    assert column(moved_pool, "web_external_fqdn")[0] == "web.contoso.com"


def test_a_server_that_joins_a_pool_uses_its_values(topology):
    """If a server joins another pool, the values of this pool apply to it."""
    rows = FIVE_SERVERS + "fe09.contoso.com,FrontEnd,,Taipei,,,,nine.contoso.com,,\n"
    topology = read_topology(rows.encode())
    joined = topology.with_cells(plan_pool_moves(topology, {5: "pool.contoso.com"}))
    assert column(joined, "web_external_fqdn")[5] == ""
    assert len([p for p in joined.pools if p.role == "FrontEnd"]) == 1


def test_leaving_a_pool_and_changing_the_role_is_one_step(editor):
    """A server can leave its pool and get another role in a single step, and one undo reverts both."""
    with pytest.raises(TopologyError):
        editor.apply(set_cells, ids=[1], column="role", value="Mediation")
    editor.apply(leave_pool, ids=[1], column="role", value="Mediation")
    assert editor.topology.cells[1][1:3] == ("Mediation", "")
    editor.undo()
    assert not editor.has_changes


def test_a_new_pool_requires_an_unused_name(editor):
    """If the name of a new pool is blank or already exists, it is rejected, and nothing changes."""
    for name, words in [
        (" ", "no name"),
        ("pool.contoso.com", "already"),
        ("bad name", "bad name"),
    ]:
        with pytest.raises(LyncnbError, match=words):
            editor.apply(create_pool, ids=[0], pool=name)
        assert not editor.has_changes
    editor.apply(create_pool, ids=[1], pool="Pool02.contoso.com")
    assert column(editor.topology, "pool_fqdn")[1] == "pool02.contoso.com"


def test_copies_have_the_next_unused_number(topology, editor):
    """Two copies of a server in a pool are called fe03 and fe04, and the pool's values are not
    repeated in their rows.
    """
    rows = copy_rows(topology, [0, 1])
    assert [row["server_fqdn"] for row in rows] == ["fe03.contoso.com", "fe04.contoso.com"]
    assert rows[0]["pool_fqdn"] == "pool.contoso.com"
    assert "web_external_fqdn" not in rows[0]
    ids = editor.apply(duplicate_servers, ids=[0, 3])
    assert ids == (5, 6)
    assert column(editor.topology, "server_fqdn")[5:] == ["fe03.contoso.com", "med03.contoso.com"]
    editor.undo()
    assert not editor.has_changes


@pytest.mark.parametrize(
    ("name", "used_names", "expected"),
    [
        ("fe09.contoso.com", (), "fe10.contoso.com"),
        ("fe1.contoso.com", ("fe2.contoso.com",), "fe3.contoso.com"),
        ("fe01a.contoso.com", (), "fe02a.contoso.com"),
        ("tw2-fe01", (), "tw2-fe02"),
    ],
)
def test_the_next_server_name(name, used_names, expected):
    """The next server name keeps the number of digits and the text after them. Names that are in
    use are skipped.
    """
    assert find_next_name(name, used_names) == expected


def test_a_name_without_a_number_gives_an_error():
    """If a server name contains no number, lyncnb cannot find the next name and raises an error."""
    with pytest.raises(
        LyncnbError, match=r"edge\.contoso\.com, because the name contains no number"
    ):
        find_next_name("edge.contoso.com", ())


def paste_block(
    browser: PanelClient, cells: list[tuple[int, str, str]], add: list[dict[str, str]]
) -> dict:
    """Send pasted cells as the page does, and return the last response of each type."""
    return browser.send(
        "block",
        cells=[{"row": row, "column": name, "text": text} for row, name, text in cells],
        add=[{"row": n, "values": values} for n, values in enumerate(add, start=7)],
        said="pasted",
    )


def test_a_paste_lists_added_and_replaced_servers(editor):
    """The description of a paste contains the names of added and replaced servers, and the number
    of other cells.
    """
    browser = PanelClient(editor.view)
    browser.send("ready")
    new = [{"server_fqdn": f"new{n}.contoso.com", "role": "Mediation"} for n in range(5)]
    answers = paste_block(
        browser, [(4, "server_fqdn", "med09.contoso.com"), (3, "site", "Tainan")], new
    )
    assert answers["state"]["undo"] == (
        "pasted: added 5 servers (new0.contoso.com, new1.contoso.com, new2.contoso.com and 2 more)"
        "; replaced med02.contoso.com with med09.contoso.com; changed 1 cell of 1 server"
    )
    assert answers["refused_cells"]["added"] == [5, 6, 7, 8, 9]
    answers = paste_block(browser, [(0, "site", "Yilan"), (1, "site", "Yilan")], [])
    assert answers["state"]["undo"] == "pasted 2 cells of 2 servers"


def test_a_rejected_row_keeps_its_number_and_changes_nothing(editor):
    """If a pasted row is not valid, lyncnb reports the row number and the column that the user
    sees, and changes nothing.
    """
    browser = PanelClient(editor.view)
    browser.send("ready")
    refused_cells = paste_block(browser, [], [{"server_fqdn": "new 1", "role": "Mediation"}])[
        "refused_cells"
    ]
    assert (refused_cells["changed"], refused_cells["added"]) == (False, [])
    assert [(row["row"], row["column"]) for row in refused_cells["rows"]] == [(7, "server_fqdn")]
    assert "new 1" in refused_cells["rows"][0]["lines"][0]
    assert editor.past == []


def test_undo_names_the_cell_and_both_values(editor):
    """If Undo reverts one cell, its message contains the cell with the value before and after Undo.
    Otherwise, its message describes the step.
    """
    browser = PanelClient(editor.view)
    browser.send("ready")
    browser.send("edit", ids=[3], column="site", value="Tainan")
    state = browser.send("undo")["state"]
    assert state["said"] == "Undone: Site of med01.contoso.com: Tainan -> Hsinchu"
    assert state["cell"] == (3, "site")
    assert browser.send("redo")["state"]["said"].endswith("Hsinchu -> Tainan")
    # The original table did not have this column.
    browser.send("edit", ids=[2], column="issuer", value="public")
    assert browser.send("undo")["state"]["cell"] == (2, "issuer")
    browser.send("edit", ids=[0, 1], column="site", value="Yilan")
    state = browser.send("undo")["state"]
    assert (state["said"], state["cell"]) == (
        "Undone: Site of pool pool.contoso.com: Yilan",
        (0, "site"),
    )
    browser.send("remove", ids=[4])
    assert browser.send("undo")["state"]["cell"] == (4, "server_fqdn")
    assert browser.send("edit", ids=[3], column="site", value="Yilan")["state"]["cell"] is None


@pytest.mark.parametrize(
    ("row", "name", "note"),
    [
        (1, "web_external_fqdn", "belongs to the pool pool.contoso.com. The value is in the row of fe01"),
        (0, "web_external_fqdn", "belongs to the pool pool.contoso.com. The value is specified in this server"),
        (3, "site", "The value is specified in this server's row."),
        (2, "target_os", "The cell is blank, so the default value 2012R2 applies."),
        (3, "web_external_fqdn", "Servers with the role Mediation do not use this column."),
        (2, "issuer", "The cell is blank, and there is no default value."),
        (0, "backup_pool", "The cell is blank, and there is no default value."),
        (4, "rack", "The value is specified in this server's row."),
    ],
)  # fmt: skip
def test_the_origin_of_a_value_is_shown(editor, row, name, note):
    """The editor shows whether a value is from the row itself, from another row of the pool, or a
    default.
    """
    browser = PanelClient(editor.view)
    browser.send("ready")
    reasons = browser.send("why_cell", row=row, column=name)["reasons"]
    assert note in reasons["note"]
    assert bool(reasons["reasons"]) == (name == "web_external_fqdn" and row < 2)


def test_a_pool_name_that_splits_a_pool_is_reported(editor):
    """If only some servers of a pool get another pool name, the message states that the pool is
    split.
    """
    browser = PanelClient(editor.view)
    browser.send("ready")
    answers = browser.send("edit", ids=[1], column="pool_fqdn", value="pool02.contoso.com")
    assert answers["state"]["done"].startswith(
        "Pool of fe02.contoso.com: pool02.contoso.com; this change splits the pool, because pool.contoso.com keeps 1 row"
    )
    answers = browser.send("edit", ids=[1], column="pool_fqdn", value="pool.contoso.com")
    assert "split" not in answers["state"]["undo"]
    answers = browser.send("edit", ids=[0, 1], column="pool_fqdn", value="pool03.contoso.com")
    assert "split" not in answers["state"]["undo"]


def test_the_page_receives_rejected_cells_with_their_fixes():
    """The page gets each rejected text with its reason and fixes, and one press corrects them."""
    lines = FIVE_SERVERS.splitlines()
    lines[2] = lines[2].replace("fe02.contoso.com", "fe02", 1)
    lines[3] = lines[3].replace("Director", "Directr", 1)
    editor = PlanEditor("\n".join(lines).encode())
    client = PanelClient(editor.view)
    rejected = client.send("ready")["rejected"]
    assert rejected["words"].startswith("2 rejected cells are not in the plan.")
    assert [(cell["cell"], cell["text"], cell["choices"]) for cell in rejected["cells"]] == [
        ((1, "server_fqdn"), "fe02", ["fe02.contoso.com"]),
        ((2, "role"), "Directr", ["Director"]),
    ]
    assert [line.partition(": ")[2] for line in rejected["fixes"]] == [
        '"fe02" -> "fe02.contoso.com"',
        '"Directr" -> "Director"',
    ]
    after = client.send("edit", ids=[1], column="server_fqdn", value="fe02 contoso")
    assert "white space" in " ".join(after["refused"]["lines"])
    assert client.send("fix_cells")["rejected"]["words"] == ""
    assert editor.topology == read_topology(FIVE_SERVERS.encode())
    assert len(client.send("undo")["rejected"]["cells"]) == 2


def test_a_heading_is_chosen_by_its_values():
    """A heading in an unknown language becomes the column that its values look like."""
    table = (
        "Serveur;Rôle;Pool;Domaines SIP\n"
        "fe01.adatum.com;FE;pool.adatum.com;adatum.com\n"
        "fe02.adatum.com;FE;pool.adatum.com;\n"
    )
    editor = PlanEditor(table.encode())
    client = PanelClient(editor.view)
    headings = client.send("ready")["rejected"]["headings"]
    assert [(heading, column) for heading, column, _ in headings] == [
        ("Serveur", "server_fqdn"),
        ("Rôle", "role"),
        ("Domaines SIP", "sip_domains"),
    ]
    for heading, column, _ in headings:
        client.send("name_column", heading=heading, column=column)
    assert editor.topology.columns == ("server_fqdn", "role", "pool_fqdn", "sip_domains")
    assert not editor.topology.rejected
    assert editor.plan.certificates
