"""A table with texts that cannot be used is opened, and each such cell keeps its text."""

from __future__ import annotations

import os
import random

import pandas as pd
import pytest

import lyncnb as ln
from lyncnb.errors import TopologyError
from lyncnb.topology.csv_file import write_csv
from lyncnb.topology.fix_table import fix_table
from lyncnb.topology.topology import open_topology

#: The number of random tables. A test of some minutes has many more.
TABLES = int(os.environ.get("LYNCNB_TABLES", "12"))
LETTERS = "abcXYZ019 .-_;,|=:/\\\"'<>\u00e4\u524d\u7aef*?\u200b\u0301"

TABLE = """Server,Role,Pool,Site,SIP domains,Meet URLs,Dial-in URL,Web external
muc-fe01.adatum.com,FE,pool.adatum.com,Munich,adatum.com,https://meet.adatum.com,https://dialin.adatum.com,web.adatum.com
muc-fe02,FE,pool.adatum.com,Munich,,,,
muc-med01.adatum.com,Meditation,,Munich,,,,
muc-dir01.adatum.com,Director,,Munich,,,,dir adatum.com
"""


def spoil(rows, columns, seed):
    """Return a copy of rows in which one to four cells have random texts, and these cells."""
    chance, new = random.Random(seed), [list(row) for row in rows]
    places = {
        (chance.randrange(len(rows)), chance.randrange(len(columns)))
        for _ in range(chance.randint(1, 4))
    }
    for row, column in places:
        length = chance.randint(1, 12)
        new[row][column] = "".join(chance.choice(LETTERS) for _ in range(length))
    return new, places


def test_any_table_opens_and_returns_to_its_plan(any_deployment):
    """A table with random texts in some cells opens, keeps all other cells, and has the same plan
    again when the texts are put back.
    """
    good = ln.read_topology(any_deployment.table)
    expected = ln.PlanEditor(good).plan.sha256
    for seed in range(TABLES):
        rows, places = spoil(good.cells, good.columns, seed)
        editor = ln.PlanEditor(write_csv(good.columns, rows))
        opened = editor.topology
        assert editor.findings is not None
        assert len(opened.cells) == len(rows), seed
        for index, row in enumerate(opened.texts):
            for number, text in enumerate(row):
                assert (index, number) in places or text == good.cells[index][number], seed
        changes = {}
        for row, column in places:
            changes.setdefault(row, {})[good.columns[column]] = good.cells[row][column]
        restored = opened.with_cells(changes)
        assert not restored.rejected
        assert ln.PlanEditor(restored).plan.sha256 == expected, seed


def test_rejected_cells_keep_their_texts_and_reasons():
    """Each rejected cell has its text and its reason, and the other rows are planned."""
    topology = open_topology(TABLE.encode())
    assert [(cell.row, cell.column, cell.text) for cell in topology.rejected] == [
        (1, "server_fqdn", "muc-fe02"),
        (2, "role", "Meditation"),
        (3, "web_external_fqdn", "dir adatum.com"),
    ]
    assert "not a fully qualified" in topology.rejected[0].problem.message
    assert topology.left_out == (1, 2)
    assert [pool.fqdn for pool in topology.pools] == ["pool.adatum.com", "muc-dir01.adatum.com"]
    assert topology.texts[1][0] == "muc-fe02"
    assert b"muc-fe02" in topology.to_csv()


def test_read_topology_stays_strict():
    """``read_topology`` lists every problem of the same table in one error."""
    with pytest.raises(TopologyError) as caught:
        ln.read_topology(TABLE.encode())
    assert [problem.row for problem in caught.value.problems] == [3, 4, 5]


def test_an_editor_corrects_rejected_cells(tmp_path):
    """Correct texts give the same plan as a correct table, and each step can be undone."""
    editor = ln.PlanEditor(TABLE.encode())
    editor.edit(change=[("muc-fe02", {"server_fqdn": "muc-fe02.adatum.com"})])
    editor.edit(change=[("muc-med01.adatum.com", {"role": "Mediation"})])
    with pytest.raises(TopologyError, match="contains white space|space"):
        editor.edit(change=[("muc-dir01.adatum.com", {"web_external_fqdn": "x y"})])
    assert len(editor.topology.rejected) == 1
    editor.edit(change=[("muc-dir01.adatum.com", {"web_external_fqdn": "dir.adatum.com"})])
    good = TABLE.replace("muc-fe02,", "muc-fe02.adatum.com,").replace("Meditation", "Mediation")
    good = ln.read_topology(good.replace("dir adatum", "dir.adatum").encode())
    assert editor.plan.sha256 == ln.PlanEditor(good).plan.sha256
    while editor.undo():
        pass
    assert len(editor.topology.rejected) == 3


def test_the_plan_of_a_table_with_rejected_cells_is_not_written(tmp_path):
    """No requests and no summary are written, and the error has the number of rejected cells."""
    editor = ln.PlanEditor(TABLE.encode())
    with pytest.raises(TopologyError, match="3 rejected cells") as caught:
        ln.write_requests(editor.plan, tmp_path / "requests", passphrase="correct horse battery")
    assert len(caught.value.problems) == 3
    assert not (tmp_path / "requests").exists()


def test_no_finding_needs_a_row_that_is_left_out():
    """While rows are left out, lyncnb reports no finding about the deployment or their pools."""
    findings = ln.PlanEditor(TABLE.encode()).findings
    assert not [f for f in findings if f.about in ("pool.adatum.com", "muc-dir01.adatum.com", "")]


def test_headings_and_long_rows_do_not_prevent_opening():
    """A table without a role heading, and with a row that is too long, opens with all rows."""
    text = "Server,Rolle 2,Site\nfe01.contoso.com,FE,Taipei\nfe02.contoso.com,FE,Taipei,x,y\n"
    topology = open_topology(text.encode())
    assert topology.columns == ("server_fqdn", "Rolle 2", "site", "role")
    assert topology.texts[1][0] == "fe02.contoso.com, FE, Taipei, x, y"
    assert topology.left_out == (0, 1)


@pytest.mark.parametrize("source", [b"just a letter\nto somebody\n", pd.DataFrame(), b"%PDF-1.7"])
def test_what_is_not_a_table_is_refused(source):
    """A source without a table of servers is refused with a hint."""
    with pytest.raises(TopologyError) as caught:
        open_topology(source)
    assert caught.value.hint or all(problem.hint for problem in caught.value.problems)


def test_fixes_come_from_the_table_itself():
    """Proposed texts and hints have the domain of the other rows, never the domain of a sample."""
    topology = open_topology(TABLE.encode())
    fixed = fix_table(topology)
    assert [line.partition(": ")[2] for line in fixed.lines] == [
        '"muc-fe02" -> "muc-fe02.adatum.com"',
        '"Meditation" -> "Mediation"',
    ]
    assert [cell.text for cell in fixed.topology.rejected] == ["dir adatum.com"]
    assert not [cell for cell in topology.rejected if "contoso" in cell.problem.hint]
    with pytest.raises(TopologyError) as caught:
        ln.read_topology(TABLE.encode())
    assert "contoso" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "role"),
    [("FE Servers", "FrontEnd"), ("SE-server", "StandardEdition"), ("OWA Server", "ExchangeOWA")],
)
def test_word_server_says_nothing_about_the_role(text, role):
    """A role word with the word "server" is the role that it is without it. The hint of an error
    and the fix of an editor name the same role.
    """
    topology = open_topology(TABLE.replace(",FE,", f",{text},").encode())
    (fixed,) = {row[1] for row in fix_table(topology).topology.cells[:1]}
    assert fixed == role
    with pytest.raises(TopologyError, match=f"did you mean {role}"):
        ln.read_topology(TABLE.replace(",FE,", f",{text},").encode())
