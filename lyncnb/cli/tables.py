"""The commands that a table of servers begins with: convert, template, snippet."""

from __future__ import annotations

from pathlib import Path

import click

from .inputs import force_option, tell_of_clean_ups
from .output import note, write

_product_option = click.option(
    "--product", metavar="NAME",
    help="Product, or FILE.toml, whose own columns and roles the table has.",
)  # fmt: skip


def _know(product: str | None) -> None:
    """Have tables know what a product adds to their columns and roles."""
    from ..rules.rule_files import load_rules

    if product:
        load_rules(product)


@click.command("convert")
@click.argument("topology", metavar="IN")
@click.argument("output", metavar="OUT")
@_product_option
@force_option
def convert_command(topology: str, output: str, product: str | None, force: bool) -> int:
    """Write any topology as a table: IN is a table, workbook or document, OUT .csv or .xlsx.

    What OUT holds reads back to the same topology. A file that holds anything else is left alone,
    since somebody may have worked in it.

    Exit status: 0; 2 if IN cannot be read or OUT cannot be written.
    """
    from ..base.disk.outputs import check_output, write_output
    from ..base.pasted_text import shown
    from ..base.shown.spreadsheets import formula_cells
    from ..base.shown.tables import count_of
    from ..topology.table_files import table_file
    from ..topology.topology import read_topology

    _know(product)
    table = read_topology(topology)
    kind = table_file(lambda suffix: table.to_csv() if suffix == ".csv" else table.to_xlsx())
    check_output(output, kind, force=force, inputs=(topology,))
    is_csv = Path(output).suffix.lower() == ".csv"
    data = table.to_csv() if is_csv else table.to_xlsx()
    write_output(output, data, kind, force=force, inputs=(topology,))
    tell_of_clean_ups(table)
    formulas = formula_cells(table.columns, table.cells) if is_csv else []
    if formulas:
        row, heading, value = formulas[0]
        note(
            f"warning: a spreadsheet would run {count_of(len(formulas), 'cell')} of {output} as a "
            f'formula, e.g. row {row}, {heading}: "{shown(value)}". Correct the source, or write '
            ".xlsx, where cells are text"
        )
    write(f"written: {output}")
    return 0


@click.command("template")
@click.argument("output", metavar="OUT")
@_product_option
@force_option
def template_command(output: str, product: str | None, force: bool) -> int:
    """Write an empty table of servers to fill in: OUT is .xlsx, with drop-downs and notes, or .csv.

    Its one example is no server to lyncnb, so it may stay.

    Exit status: 0; 2 if OUT cannot be written.
    """
    from ..base.disk.outputs import check_output, write_output
    from ..topology.table_files import table_file, template

    _know(product)
    kind = table_file(template)
    check_output(output, kind, force=force)
    write_output(output, template(Path(output).suffix.lower()), kind, force=force)
    write(f"written: {output}")
    return 0


@click.command("snippet")
@click.argument("what", type=click.Choice(["topology", "certificates"]))
def snippet_command(what: str) -> int:
    """Print PowerShell that exports what stands on a Lync server, for lyncnb to read.

    topology: the published topology and the simple URLs, as topology.xml, which every command
    takes in place of a table. certificates: those in a server's own store and what Lync Server
    uses each for, public halves only, as certificates-SERVER.pem, which asis takes. They read and
    change nothing. No script was tried on Windows; read it before you run it.

    Exit status: 0.
    """
    from ..authorities.returned import server_export
    from ..topology import xml_tree

    scripts = {
        "topology": xml_tree.EXPORT_SCRIPT,
        "certificates": server_export.EXPORT_SCRIPT,
    }
    write(scripts[what].read_text(encoding="utf-8").rstrip("\n"))
    return 0


COMMANDS = (convert_command, template_command, snippet_command)
