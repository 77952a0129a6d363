"""Define the command ``page``, which writes the planner as one HTML file."""

from __future__ import annotations

import click

from .inputs import (
    add_force_option,
    add_plan_options,
    find_product_file,
    list_protected_files,
    make_plan,
)
from .output import write


@click.command("page")
@click.argument("topology", metavar="[TOPOLOGY]", required=False)
@add_plan_options
@click.option("-o", "output", metavar="FILE.html", help="The HTML file to write.")
@click.option(
    "--build", is_flag=True,
    help=("First build the planner page. Do this once on each computer for each version of "
         "lyncnb. Only this option opens a network connection: npm downloads two packages."),
)  # fmt: skip
@click.option(
    "--runtime", "archives", metavar="FILE", multiple=True,
    help=("With --build: a downloaded npm package (pyodide or zxcvbn). If you specify both "
         "packages, lyncnb opens no network connection. You can repeat this option."),
)  # fmt: skip
@add_force_option
def page_command(
    topology: str | None,
    product: str | None,
    options_file: str | None,
    output: str | None,
    build: bool,
    archives: tuple[str, ...],
    force: bool,
) -> int:
    """Write the planner as one HTML file, which needs no installation, server or network.

    The file contains the plan editor, the guide and the documents. It opens from a disk or a share
    in Chromium, Edge or Firefox. With TOPOLOGY, the file opens this table, and shows its plan also
    where the planner cannot run. Without TOPOLOGY, the file asks the questions for a first plan.

    Exit status: 0 success; 2 if the page is not built, or TOPOLOGY cannot be read.
    """
    from ..base.disk.outputs import check_output_path, write_output
    from ..errors import UsageProblem
    from ..page.planner_page import PAGE_FILE, make_planner_page
    from ..page.runtime import build_runtime, find_runtime

    if archives and not build:
        raise UsageProblem("--runtime needs --build", hint="add --build")
    if output is None and (not build or topology):
        raise UsageProblem(
            "you did not specify an output file for the planner page", hint="add -o planner.html"
        )
    if topology is None and (options_file or product):
        raise UsageProblem("--options and --product need a table", hint="specify TOPOLOGY")
    inputs = list_protected_files(topology, options_file, *archives)
    if output is not None:
        check_output_path(output, PAGE_FILE, force=force, inputs=inputs)
    if build:
        write(f"built: {build_runtime(archives)}")
    if output is None:
        return 0
    if topology is None:
        page = make_planner_page(find_runtime())
    else:
        plan, findings = make_plan(topology, product, options_file)
        rules = find_product_file(product, options_file)
        page = make_planner_page(find_runtime(), plan, findings, table=topology, product=rules)
    write(f"written: {write_output(output, page, PAGE_FILE, force=force, inputs=inputs)}")
    return 0


COMMANDS = (page_command,)
