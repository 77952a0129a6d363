"""The headings of a table may be known, unknown, missing, blank or duplicate."""

from __future__ import annotations

import pandas as pd
import pytest

from lyncnb.errors import Problem, TopologyError
from lyncnb.topology.source_table import Note, Texts, build_table, raise_problems
from lyncnb.topology.topology import read_topology


def table(headings, rows=(("fe01.contoso.net", "FrontEnd"),), **options):
    columns = [Texts.from_cells(cells) for cells in zip(*rows)] or [Texts([], [])] * len(headings)
    return build_table("contoso.csv", headings, columns, range(2, 2 + len(rows)), **options)


def test_columns_get_their_names():
    """lyncnb replaces each heading with the name of the column and keeps the order of the columns."""
    source_table = table(["Server", "Server Role"])
    assert source_table.columns == ("server_fqdn", "role")
    assert [texts.list_cells() for texts in source_table.texts] == [
        ["fe01.contoso.net"],
        ["FrontEnd"],
    ]


@pytest.mark.parametrize(
    ("headings", "message"),
    [
        (["fqdn", "Server"], 'two headings refer to the same column: "fqdn" and "Server"'),
        (["role", "Role "], 'two headings refer to the same column: "role" and "Role "'),
        (["owner", "owner"], 'two headings refer to the same column: "owner" and "owner"'),
        (["fqdn", " "], "column 2 contains values, but has no heading"),
        (
            ["fqdn", "roll"],
            'the table has no column "role"; headings in the table: "fqdn" and "roll"',
        ),
        (
            ["a;b", "c"],
            'the table has no column "server_fqdn"; headings in the table: "a;b" and "c"',
        ),
    ],
)
def test_invalid_headings_are_rejected(headings, message):
    """If a heading is duplicate, blank or missing, the error message lists the headings of the
    table.
    """
    with pytest.raises(TopologyError) as caught:
        read_topology(pd.DataFrame([["fe01.contoso.net", "FrontEnd"]], columns=headings))
    problems = {problem.message: problem for problem in caught.value.problems}
    assert message in problems
    assert problems[message].where.startswith("DataFrame row 1")
    assert problems[message].hint


def test_a_table_without_rows_is_refused():
    """If a table has only headings, it is rejected."""
    with pytest.raises(TopologyError, match="the table has headings, but no servers"):
        table(["fqdn", "role"], rows=())


def test_reasons_for_rejected_rows_are_reported():
    """If no row can be split into cells, the error gives the reasons, and does not say that there
    are no rows.
    """
    ragged = Problem(message="the row has 1 cells", file="contoso.csv", row=2)
    assert table(["fqdn", "role"], rows=(), problems=(ragged,)).problems == (ragged,)
    with pytest.raises(TopologyError) as caught:
        table(["fqdn", "roll"], rows=(), problems=(ragged,))
    assert [problem.row for problem in caught.value.problems] == [1, 2]


def test_problems_are_sorted_without_duplicates():
    """All problems are reported together, in the order of rows and without duplicates, and the
    message contains their number.
    """
    later, earlier = (Problem(message="bad", row=row) for row in (7, 3))
    with pytest.raises(
        TopologyError, match=r"^lyncnb cannot use \"contoso\.csv\": 2 problems"
    ) as caught:
        raise_problems("contoso.csv", [later, earlier, later])
    assert caught.value.problems == (earlier, later)
    with pytest.raises(TopologyError, match="1 problem"):
        raise_problems("contoso.csv", [earlier])


def test_a_message_shows_fifty_problems():
    """The error message shows at most fifty problems. The error object contains all of them."""
    problems = [Problem(message=f"bad {row}", row=row) for row in range(1, 1201)]
    with pytest.raises(TopologyError) as caught:
        raise_problems("contoso.csv", problems)
    assert len(caught.value.problems) == 1200
    assert str(caught.value).splitlines()[50:] == ["row 50: bad 50", "… and 1,150 more problems"]


def test_each_text_is_stored_once():
    """A column of a table stores each distinct text once. For each cell, it stores the index of the
    text.
    """
    cells = ["b", "a", "b", "", "a"]
    texts = Texts.from_cells(cells)
    assert texts == (["b", "a", ""], [0, 1, 0, 2, 1])
    assert texts.list_cells() == cells
    assert Texts.from_cells(["", ""]).list_cells() == ["", ""]
    assert Texts.from_cells([]).list_cells() == []


@pytest.mark.parametrize(
    ("row", "column", "text"),
    [(7, "site", "row 7, column site: odd"), (7, "", "row 7: odd"), (0, "", "odd")],
)
def test_a_note_contains_its_location(row, column, text):
    """The text of a note is one line that contains the note's location."""
    assert str(Note(row=row, column=column, before="", after="", message="odd")) == text
