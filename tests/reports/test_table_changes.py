"""lyncnb finds the differences between two tables, even if their rows are in a different order."""

from __future__ import annotations

from places import DATA
from topologies import edge, front_end, topology

import lyncnb as ln
from lyncnb.reports.table_changes import list_table_changes


def words(old: ln.Topology, new: ln.Topology) -> list[str]:
    return [change.words for change in list_table_changes(old, new)]


def test_equal_tables_have_no_differences():
    """Two equal tables have no differences, even if their rows are in a different order."""
    table = ln.read_topology(DATA / "litwareinc-global.csv")
    assert words(table, table) == []
    assert words(topology(front_end(1), edge(1)), topology(edge(1), front_end(1))) == []


def test_cells_of_each_kind():
    """A changed list is shown by the added and removed items, and any other cell by its old and new
    value.
    """
    old = topology(front_end(1, extra_san="a.contoso.com;b.contoso.com", target_os=""), edge(1))
    new = topology(
        front_end(1, extra_san="b.contoso.com;c.contoso.com", target_os="2008R2"), edge(1)
    )
    assert sorted(words(old, new)) == [
        "extra_san of pool eepool.contoso.com: c.contoso.com added, a.contoso.com removed",
        "target_os of ee01.contoso.com: blank -> 2008R2",
    ]


def test_the_order_of_a_list_counts():
    """A different order of the SIP domains is a difference, because the first domain is the
    default.
    """
    old = topology(front_end(1), sip_domains="contoso.com;fabrikam.com")
    new = topology(front_end(1), sip_domains="fabrikam.com;contoso.com")
    assert words(old, new) == [
        "sip_domains: contoso.com; fabrikam.com -> fabrikam.com; contoso.com"
    ]


def test_added_and_removed_rows():
    """If a row is added or removed, the comparison shows a single difference without the cells of
    the row. A pool's value may move to another row.
    """
    old = topology(front_end(1, extra_san="a.contoso.com"), front_end(2))
    new = topology(front_end(2, extra_san="a.contoso.com"), edge(1))
    differences = words(old, new)
    assert differences[0] == "the row for ee01.contoso.com (FrontEnd) was removed"
    assert differences[1].startswith("the row for edge01.")
    assert len(differences) == 2
