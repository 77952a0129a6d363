"""lyncnb converts tables to other formats without loss, and reads templates that users have filled
in.
"""

from __future__ import annotations

import io

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from printing import check_workbook
from shell_kit import make_shell
from topologies import FIVE_SERVERS, TWO_FRONT_ENDS, TWO_SITES
from topology_documents import front_end, topology_builder
from workbooks import FILLED, fill_in_template

from lyncnb.base.records import RecordReader
from lyncnb.cli import main
from lyncnb.errors import TopologyError
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.columns import (
    list_topology_columns,
    list_topology_roles,
    register_custom_columns,
)
from lyncnb.topology.csv_edit import edit_csv
from lyncnb.topology.table_files import build_template, write_table_xlsx
from lyncnb.topology.topology import read_topology

shell = pytest.fixture(make_shell)

ANYTHING = st.one_of(
    st.sampled_from(
        ["", "007", "1.0", "2026-03-01", "TRUE", "=1+1", "'x", "_x000D_", "a\tb", "  a  ", "#REF!"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=9),
)
LABELS = st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True)
HEADINGS = st.lists(
    st.sampled_from(["rack", "Owner ", " note", "備註", "<b>", "Installed on"]),
    unique=True,
    max_size=3,
)


@st.composite
def tables(draw) -> tuple[list[str], list[list[str]]]:
    """Return a random table with servers in pools, and with additional columns of any content."""
    extra_headings = draw(HEADINGS)
    rows = []
    for number in range(draw(st.integers(1, 6))):
        role = draw(st.sampled_from(["FrontEnd", "Mediation", "Edge", "TrustedApplication"]))
        pool = draw(st.sampled_from(["", f"pool-{role.lower()}.contoso.com"]))
        site = draw(st.sampled_from(["Taipei", "台北"])) if not pool else "Taipei"
        rows.append(
            [f"{draw(LABELS)}{number}.contoso.com", role, pool, site, "contoso.com;fabrikam.com"]
            + [draw(ANYTHING) for _ in extra_headings]
        )
    return ["server_fqdn", "role", "pool_fqdn", "site", "sip_domains", *extra_headings], rows


@pytest.mark.slow
@settings(max_examples=60)
@given(tables())
def test_a_table_is_equal_after_conversions(table):
    """If a table is converted to .xlsx and .csv several times, its topology, columns and cells stay
    the same.
    """
    columns, rows = table
    topology = read_topology(pd.DataFrame(rows, columns=columns))
    reread = read_topology(topology.to_xlsx())
    assert reread == topology
    filled = [index for index, name in enumerate(columns) if name.strip()]
    assert reread.columns == tuple(columns[index] for index in filled)
    assert reread.cells == topology.cells
    assert reread.to_csv() == topology.to_csv()
    assert reread.to_xlsx() == topology.to_xlsx()


@pytest.mark.parametrize("text", [TWO_FRONT_ENDS, FIVE_SERVERS, TWO_SITES])
def test_edits_of_a_workbook_match_those_of_the_table(text):
    """If a cell or row is changed, a table from a workbook equals the same table from a CSV file,
    and can be saved as CSV.
    """
    plain = read_topology(text.encode())
    book = read_topology(plain.to_xlsx())
    for topology in (plain, book):
        changed = topology.with_cells({0: {"site": "Tainan"}, 1: {"site": "Tainan"}})
        assert changed.with_rows(remove=[1]).to_csv().startswith(b"\xef\xbb\xbfserver_fqdn,role,")
    assert book.with_cells({0: {"target_os": "2016"}}) == plain.with_cells(
        {0: {"target_os": "2016"}}
    )


def test_a_table_that_does_not_fit_into_a_workbook():
    """If a cell is too long for a worksheet or the table has too many rows, lyncnb reports an error
    and does not shorten anything.
    """
    with pytest.raises(TopologyError, match="does not fit in a workbook") as refused:
        write_table_xlsx(["server_fqdn", "role"], [["a" * 40_000, "FrontEnd"]])
    assert refused.value.hint == "save the table as a .csv file"
    with pytest.raises(TopologyError, match="does not fit in a workbook"):
        write_table_xlsx(["server_fqdn", "role"], [["a", "FrontEnd"]] * 1_048_576)


# --- The template.


@pytest.mark.parametrize("over_example", [False, True])
def test_a_filled_in_template_is_read(over_example):
    """A filled-in template can be read, including its headings, typed numbers and yes/no values.

    The example row is not read as a server.
    """
    topology = read_topology(fill_in_template(FILLED, over_example=over_example))
    assert [computer.fqdn for _, computer in topology.computers] == [
        "fe01.contoso.net",
        "fe02.contoso.net",
    ]
    expected = (
        [] if over_example else ["lyncnb ignored row 2, which is the example from the template"]
    )
    assert [str(note) for note in topology.notes] == expected
    (pool,) = topology.pools
    assert "autologon" in pool.flags
    assert pool.computers[1].target_os == "2012"
    assert topology.columns == tuple(column.name for column in list_topology_columns())


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_an_empty_template_has_no_server(suffix):
    """If a template contains only the example row, the error states that there are no servers."""
    with pytest.raises(TopologyError, match="the table has headings, but no servers"):
        read_topology(build_template(suffix))
    assert build_template(suffix) == build_template(suffix)


def test_the_example_row_is_a_valid_server():
    """The example row of the template becomes a valid server if the user removes its "Example"
    mark.
    """
    text = build_template(".csv").replace(b"Example: ", b"")
    (pool,) = read_topology(text).pools
    assert pool.fqdn == "pool01.contoso.com"


def test_the_template_of_a_product_has_only_its_roles(tmp_path, monkeypatch):
    """With --product, the drop-down list offers only the roles that the product has."""
    monkeypatch.chdir(tmp_path)
    assert main(["template", "t.xlsx", "--product", "sfb2019"]) == 0
    book = openpyxl.load_workbook("t.xlsx")
    roles = [row[0] for row in book["Roles"].iter_rows(min_row=2, values_only=True)]
    assert set(roles) == load_rules("sfb2019").roles.keys()
    assert "PersistentChat" not in roles


def test_help_and_choices_of_the_template():
    """The template has every column and role, a note on each heading, and drop-down lists in all
    rows. All columns are formatted as text.
    """
    check_workbook(build_template(".xlsx"))
    book = openpyxl.load_workbook(io.BytesIO(build_template(".xlsx")))
    sheet = book["Servers"]
    assert [cell.value for cell in sheet[1]] == [column.title for column in list_topology_columns()]
    for cell, column in zip(sheet[1], list_topology_columns()):
        assert cell.comment.text.startswith(f"{column.help}.\n")
    # In a workbook, the format @ means text.
    assert {dimension.number_format for dimension in sheet.column_dimensions.values()} == {"@"}
    drop_down_lists = {
        sheet.cell(1, next(iter(rule.sqref.ranges)).min_col).value: (
            rule.formula1.strip('"').split(","),
            rule.showErrorMessage,
        )
        for rule in sheet.data_validations.dataValidation
    }
    assert set(drop_down_lists) == {
        column.title for column in list_topology_columns()
        if column.kind in ("bool", "role", "choice", "issuer")
    }  # fmt: skip
    assert drop_down_lists["Role"][0] == [f"Roles!$A$2:$A${len(list_topology_roles()) + 1}"]
    assert [row[0] for row in book["Roles"].iter_rows(min_row=2, values_only=True)] == [
        role.id for role in list_topology_roles()
    ]
    assert drop_down_lists["Target OS"][0] == [
        "2008R2",
        "2012",
        "2012R2",
        "2016",
        "2019",
        "2022",
        "2025",
    ]
    # The drop-down list for the issuer also allows other text, so that users can enter a value for
    # each usage.
    assert (drop_down_lists["Role"][1], drop_down_lists["Issuer"][1]) == (True, False)
    assert book["Columns"].max_row == len(list_topology_columns()) + 1


# --- Commands.


def test_convert_and_back(shell):
    """If a topology document is converted to a workbook and then to CSV, the topology does not
    change, and lyncnb shows notes about the conversion.
    """
    shell.write("contoso.tbxml", topology_builder([front_end("se01.contoso.com")]))
    for old, new in (("contoso.tbxml", "a.xlsx"), ("a.xlsx", "b.csv"), ("b.csv", "c.xlsx")):
        result = shell("convert", old, new)
        assert result.status == 0
        assert result.out == f"written: {new}\nNext: Plan the certificates: lyncnb plan {new}\n"
        assert ("the topology document is for Lync Server 2013" in result.err) == (
            old == "contoso.tbxml"
        )
        assert shell("compare", "contoso.tbxml", new).status == 0
    assert (shell.folder / "a.xlsx").read_bytes() == (shell.folder / "c.xlsx").read_bytes()


OWN_PRODUCT = """
extends = "lync2013"
product = "own"
title = "With a recorder"

[[topology.role]]
id = "Recorder"
title = "Recording server"

[[topology.column]]
name = "recorder_fqdn"
title = "Name of the recorder"
scope = "pool"
kind = "fqdn"
roles = ["Recorder"]
help = "The name that the recorder is called by"
"""


def test_the_template_has_the_columns_of_a_custom_product(shell):
    """The template contains the columns and roles of a custom product, and the convert command
    accepts tables with these columns and roles.
    """
    shell.write("own.toml", OWN_PRODUCT)
    rows = b"server_fqdn,role,sip_domains,recorder_fqdn\nr1.contoso.com,Recorder,contoso.com,r.contoso.com\n"
    shell.write("t.csv", rows)
    try:
        assert shell("template", "t.xlsx", "--product", "own.toml").status == 0
        book = openpyxl.load_workbook(shell.folder / "t.xlsx")
        assert "Name of the recorder" in [cell.value for cell in book["Servers"][1]]
        assert "Recorder" in [row[0].value for row in book["Roles"]]
        assert shell("convert", "t.csv", "o.xlsx", "--product", "own.toml").status == 0
        assert read_topology(shell.folder / "o.xlsx") == read_topology(rows)
    finally:
        register_custom_columns(RecordReader("own"), "own", (), ())


def test_a_filled_in_template_is_never_written_over(shell):
    """lyncnb overwrites a filled-in template only with --force or if the new file is identical."""
    assert shell("template", "t.xlsx").status == 0
    assert shell("template", "t.xlsx").status == 0
    shell.write("t.xlsx", fill_in_template(FILLED))
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    for command in (("template", "t.xlsx"), ("convert", "contoso.csv", "t.xlsx")):
        result = shell(*command)
        assert result.status == 2
        assert "already exists" in result.err
    assert len(read_topology(shell.folder / "t.xlsx").cells) == 2
    assert shell("convert", "contoso.csv", "contoso.csv", "--force").status == 2
    assert shell("convert", "contoso.csv", "t.xlsx", "--force").status == 0


def test_a_fix_in_a_csv_template_changes_the_right_row(shell):
    """If a user fixes a cell in a CSV template, lyncnb changes the right row, although the
    template's example row precedes it.
    """
    text = (
        build_template(".csv") + b"se01.contoso.com,StandardEdition,,Taipei" + b"," * 23 + b"\r\n"
    )
    after, changes = edit_csv("t.csv", text, {0: {"site": "Tainan"}})
    assert b"se01.contoso.com,StandardEdition,,Tainan" in after
    assert [change.row for change in changes] == [3]
