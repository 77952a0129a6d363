"""Write a table of servers, or an empty template, as a CSV file or a workbook.

If lyncnb reads a file that it wrote, the result is the same table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import count
from pathlib import Path
from typing import IO

from ..base.disk.outputs import OutputKind
from ..base.shown.spreadsheets import CELL_LENGTH, SHEET_ROWS, Form, Sheet, to_xlsx
from ..errors import TopologyError
from .columns import Column, get_example_server, list_topology_columns, list_topology_roles
from .csv_file import write_csv
from .workbook import OWN_SHEETS

_TITLE = "Table of servers"
_SERVERS = "Servers"
# Descriptions of the servers to which a value applies, by the scope of the column.
_HOLDS_FOR = {
    "server": "only this server",
    "pool": "all servers in the pool. Enter the value in only one row",
    "site": "the site or the deployment. Enter the value in only one row",
    "deployment": "the whole deployment. Enter the value in only one row",
}
_WIDTHS = {"bool": 12, "choice": 12, "role": 18, "text": 14, "issuer": 14}
_WIDTH, _LONGEST = 26, 44


def write_table_xlsx(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table of servers as a workbook.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences of str
        n rows of m texts, which are written unchanged.

    Returns
    -------
    bytes
        A workbook with a sheet of text cells, comments that explain the headings, and drop-down
        lists.

    Raises
    ------
    TopologyError
        If the table does not fit into a sheet.
    """
    if len(rows) >= SHEET_ROWS or any(len(text) > CELL_LENGTH for row in rows for text in row):
        raise TopologyError(
            (
                "the table does not fit in a workbook. A sheet can have at most 1,048,576 "
                f"rows, and a cell at most {CELL_LENGTH:,} characters"
            ),
            hint="save the table as a .csv file",
        )
    return to_xlsx([_make_servers_sheet(columns, rows)], title=_TITLE)


def build_template(suffix: str, *, roles: Collection[str] | None = None) -> bytes:
    """Return an empty table of servers that users can fill in.

    Parameters
    ----------
    suffix : str
        ``.csv``, or ``.xlsx`` with comments, drop-down lists, and sheets about columns and roles.
    roles : collection of str, optional
        The roles of a product. By default, the roles of all products are listed.

    Returns
    -------
    bytes
        The headings, and an example row that lyncnb ignores.
    """
    columns = [column.title for column in list_topology_columns()]
    rows = [[column.example for column in list_topology_columns()]]
    if suffix == ".csv":
        return write_csv(columns, rows)
    of_columns, of_roles = OWN_SHEETS
    listed = [role for role in list_topology_roles() if roles is None or role.id in roles]
    return to_xlsx(
        [
            _make_servers_sheet(columns, rows, roles=f"={of_roles}!$A$2:$A${len(listed) + 1}"),
            Sheet(
                title=of_columns,
                columns=(
                    "Column",
                    "Heading in a CSV file",
                    "Applies to",
                    "Values",
                    "For",
                ),
                rows=lambda: [
                    (c.title, c.name, _HOLDS_FOR[c.scope], c.help, ", ".join(c.roles))
                    for c in list_topology_columns()
                ],
            ),
            Sheet(
                title=of_roles,
                columns=("Role", "Description", "Needs certificates"),
                rows=lambda: [
                    (role.id, role.title, "yes" if role.certificates else "no") for role in listed
                ],
            ),
        ],
        title=_TITLE,
    )


def build_output_kind(write_function: Callable[[str], bytes]) -> OutputKind:
    """Return the type of the output file for a table of servers.

    Parameters
    ----------
    write_function : callable
        A function that returns the content for ``.csv`` or ``.xlsx``. lyncnb does not replace a
        file with other content, because a user may have filled it in.
    """

    def build_table_test(suffix: str) -> Callable[[IO[bytes]], bool]:
        def is_same_table(file: IO[bytes]) -> bool:
            expected = write_function(suffix)
            return file.read(len(expected) + 1) == expected

        return is_same_table

    return OutputKind(
        what="a copy of this table",
        is_ours={suffix: build_table_test(suffix) for suffix in (".csv", ".xlsx")},
    )


def choose_new_workbook(path: Path) -> Path:
    """Return the name of a new workbook beside a table that lyncnb does not write over.

    It is NAME-plan.xlsx, or with a number if this file exists.
    """
    stem = re.sub(r"-plan(-\d+)?\Z", "", path.stem)
    names = (f"{stem}-plan{f'-{number}' if number > 1 else ''}.xlsx" for number in count(1))
    return next(new for name in names if not (new := path.with_name(name)).exists())


# --- The following functions create the sheet with the servers.


def _make_servers_sheet(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, roles: str = ""
) -> Sheet:
    """Return the sheet with the servers. `roles` is the range of cells that contains the roles."""
    by_heading = {
        text: column for column in list_topology_columns() for text in (column.name, column.title)
    }
    columns = [by_heading.get(heading) for heading in headings]
    return Sheet(
        title=_SERVERS,
        columns=tuple(headings),
        rows=lambda: rows,
        widths=tuple(_find_width(column, heading) for column, heading in zip(columns, headings)),
        form=Form(
            notes=tuple(_describe_column(column) if column else "" for column in columns),
            choices=tuple(_list_choices(column, roles) if column else () for column in columns),
            open_choices=tuple(
                index for index, column in enumerate(columns) if column and column.kind == "issuer"
            ),
            muted=get_example_server(),
        ),
    )


def _find_width(column: Column | None, heading: str) -> int:
    wide = _WIDTHS.get(column.kind, _LONGEST if column.is_list else _WIDTH) if column else _WIDTH
    return max(wide, min(len(heading) + 3, _LONGEST))


def _describe_column(column: Column) -> str:
    lines = [column.help + ".", f"Applies to {_HOLDS_FOR[column.scope]}."]
    if column.roles:
        lines.append(f"Only for: {', '.join(column.roles)}.")
    if column.is_list:
        lines.append("Use semicolons between values.")
    if column.default:
        lines.append(f"If blank: {column.default}.")
    return "\n".join(lines)


def _list_choices(column: Column, roles: str) -> tuple[str, ...] | str:
    if column.kind == "role":
        return roles or tuple(role.id for role in list_topology_roles())
    return ("true", "false") if column.kind == "bool" else column.choices
