"""A table's cells: each distinct text once, problems and clean-ups with their rows."""

from __future__ import annotations

import pytest

from lyncnb.base.dns_name import DnsName
from lyncnb.cells import Cells, Report, read_cells
from lyncnb.errors import TopologyError
from lyncnb.headings import Note, Table, Texts


def cells_of(columns: dict[str, list[str]]) -> tuple[Cells, Report]:
    report = Report("contoso.csv")
    count = len(next(iter(columns.values())))
    table = Table(
        source="contoso.csv",
        columns=tuple(columns),
        texts=tuple(map(Texts.of, columns.values())),
        rows=range(2, count + 2),
    )
    return read_cells(table, report), report


def test_names_are_names_and_others_have_values():
    """Host names come as such; lists, URLs and truth values stand beside their texts."""
    cells, report = cells_of(
        {
            "server_fqdn": ["fe01.contoso.net", "fe02.contoso.net"],
            "autologon": ["Yes", ""],
            "owner": [" Kim ", ""],
        }
    )
    assert cells.texts == {
        "server_fqdn": ["fe01.contoso.net", "fe02.contoso.net"],
        "autologon": ["true", ""],
        "owner": [" Kim ", ""],
    }
    assert all(type(name) is DnsName for name in cells.column("server_fqdn"))
    assert cells.values == {"autologon": {"true": True}}
    assert cells.value("autologon", "true") is True
    assert cells.value("server_fqdn", "fe01.contoso.net") == "fe01.contoso.net"
    assert cells.column("site") == ["", ""]
    assert cells.tuples() == (
        ("fe01.contoso.net", "true", " Kim "),
        ("fe02.contoso.net", "", ""),
    )
    assert (report.problems, report.notes) == ([], [])


def test_every_bad_cell_is_a_problem_of_its_row():
    """The same bad text in three rows is three problems, each with row, column and value."""
    cells, report = cells_of(
        {"server_fqdn": ["pool01", "fe.contoso.net", "pool01"], "site": ["a", "b\nc", "d"]}
    )
    assert [(p.file, p.row, p.column, p.value) for p in report.problems] == [
        ("contoso.csv", 2, "server_fqdn", "pool01"),
        ("contoso.csv", 4, "server_fqdn", "pool01"),
        ("contoso.csv", 3, "site", "b\nc"),
    ]
    assert cells.column("server_fqdn") == ["", "fe.contoso.net", ""]
    with pytest.raises(TopologyError, match="3 problems") as caught:
        report.raise_if_any()
    assert [problem.row for problem in caught.value.problems] == [2, 3, 4]


def test_a_clean_up_is_told_once():
    """A clean-up of many rows is one note with the first of them and their number."""
    _, report = cells_of({"pool_fqdn": ["a.contoso.net", "B.contoso.net", "B.contoso.net"]})
    assert report.notes == [
        Note(
            row=3,
            column="pool_fqdn",
            before="B.contoso.net",
            after="b.contoso.net",
            message="written in lower case (2 rows)",
        )
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_line_breaks_are_refused_in_columns_that_are_only_kept(text):
    """A line break or NUL is an error in a column that lyncnb does not know, too."""
    _, report = cells_of({"owner": ["Kim", text, text]})
    assert [(p.row, p.column, p.value) for p in report.problems] == [
        (3, "owner", text),
        (4, "owner", text),
    ]
