"""Define the commands that write a table of servers or a script."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ..base.terminal import quote_argument
from .inputs import (
    add_encoding_option,
    add_force_option,
    find_document_product,
    get_encoding,
    report_corrections,
)
from .output import write, write_next_steps, write_note

_product_option = click.option(
    "--product", metavar="NAME",
    help="Product that defines additional columns and roles. To use your own product, specify "
         "FILE.toml.",
)  # fmt: skip


def _format_plan_command(output: str, product: str | None) -> str:
    from ..plan.options import PlanOptions

    command = f"lyncnb plan {quote_argument(output)}"
    if product in (None, "", PlanOptions().product):
        return command
    return f"{command} --product {quote_argument(product)}"


def _load_product_columns(product: str | None) -> None:
    """Load a product, so that its columns and roles are known."""
    from ..rules.rule_files import load_rules

    if product:
        load_rules(product)


@click.command("convert")
@click.argument("topology", metavar="IN")
@click.argument("output", metavar="OUT")
@_product_option
@add_encoding_option
@add_force_option
def convert_command(topology: str, output: str, product: str | None, force: bool) -> int:
    """Convert any topology to a table: IN is a table, workbook or document; OUT is .csv or .xlsx.

    If lyncnb reads OUT, the result is the same topology. lyncnb does not replace a file with
    other content, because the file may contain somebody's work.

    Exit status: 0 success; 2 if IN cannot be read or OUT cannot be written.
    """
    from ..base.disk.outputs import check_output_path, write_output
    from ..base.pasted_text import shown
    from ..base.shown.spreadsheets import find_formula_cells
    from ..base.shown.tables import format_count
    from ..topology.table_files import build_output_kind
    from ..topology.topology import read_topology

    _load_product_columns(product)
    table = read_topology(topology, encoding=get_encoding())
    kind = build_output_kind(lambda suffix: table.to_csv() if suffix == ".csv" else table.to_xlsx())
    check_output_path(output, kind, force=force, inputs=(topology,))
    is_csv = Path(output).suffix.lower() == ".csv"
    data = table.to_csv() if is_csv else table.to_xlsx()
    write_output(output, data, kind, force=force, inputs=(topology,))
    report_corrections(table)
    formulas = find_formula_cells(table.columns, table.cells) if is_csv else []
    if formulas:
        row, heading, value = formulas[0]
        write_note(
            f"warning: {output} has {format_count(len(formulas), 'cell')} that a spreadsheet "
            f"program would run as a formula, for example row {row}, {heading}: {shown(value)}. "
            "Correct the source, or write an .xlsx file, where every cell is text"
        )
    write(f"written: {output}")
    # A table does not contain the product of the topology document from which it is made.
    product = product or find_document_product(table)
    write_next_steps(f"Plan the certificates: {_format_plan_command(output, product)}")
    return 0


@click.command("template")
@click.argument("output", metavar="OUT")
@_product_option
@add_force_option
def template_command(output: str, product: str | None, force: bool) -> int:
    """Write an empty table of servers to fill in: OUT is .xlsx, with drop-downs and notes, or .csv.

    lyncnb ignores the example row, so you do not have to delete it.

    Exit status: 0 success; 2 if OUT cannot be written.
    """
    from ..base.disk.outputs import check_output_path, write_output
    from ..rules.rule_files import list_products, load_rules
    from ..topology.table_files import build_output_kind, build_template

    _load_product_columns(product)
    # A custom product can list roles for which it has no rules.
    roles = load_rules(product).roles if product in list_products() else None
    build = partial(build_template, roles=roles)
    kind = build_output_kind(build)
    check_output_path(output, kind, force=force)
    write_output(output, build(Path(output).suffix.lower()), kind, force=force)
    write(f"written: {output}")
    write_next_steps(
        f"Add a row for each server, then run: {_format_plan_command(output, product)}"
    )
    return 0


@click.command("snippet")
@click.argument("what", type=click.Choice(["topology", "certificates"]))
def snippet_command(what: str) -> int:
    """Print a PowerShell script that exports data from a Lync server, for lyncnb to read.

    topology: exports the published topology and the simple URLs as topology.xml. Every
    command accepts this file instead of a table.

    certificates: exports the certificates in a server's personal store and their uses in Lync
    Server as certificates-SERVER.pem, for lyncnb asis. The file contains no private keys.

    The scripts change nothing. They were not tested on Windows: read a script before you run
    it.

    Exit status: 0 success.
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
