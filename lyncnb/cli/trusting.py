"""Define the command ``trust``, which lists the root certificates that servers need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .comparing import load_plan
from .inputs import add_force_option, add_json_option, add_plan_arguments, list_protected_files
from .output import show_report

if TYPE_CHECKING:
    from ..authorities.trust.trust_tables import TrustPlan


@click.command("trust")
@add_plan_arguments
@click.option(
    "--folder", metavar="FOLDER",
    help="Request folder. If the folder contains the CA certificates, lyncnb shows the subject "
         "and thumbprint of each root.",
)  # fmt: skip
@add_json_option
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help="Write the report to a .csv, .xlsx, .html, .md or .json file.",
)
@add_force_option
def trust_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    folder: str | None,
    as_json: bool,
    output: str | None,
    force: bool,
) -> int:
    """Show which roots each server needs, and which certificates are presented in each connection.

    TOPOLOGY is a table of servers, a saved plan, a request folder or a plan in JSON. A
    request folder and a plan in JSON have no table. For them, lyncnb also lists connections
    that the table could exclude. Each line has its source, or is marked as inferred. The
    report includes partners and clients if they need one of your roots, or if you need one of
    their roots.

    Exit status: 0 success; 2 if TOPOLOGY cannot be read; 3 if a request folder needs
    attention.
    """
    from ..authorities.trust.trust_report import TRUST_FILE, build_trust_report
    from ..base.disk.outputs import check_output_path

    inputs = list_protected_files(topology, options_file)
    if output is not None:
        check_output_path(output, TRUST_FILE, force=force, inputs=inputs)
    planned = _create_trust_plan(topology, product, options_file, folder)
    show_report(build_trust_report(planned), output, as_json=as_json, force=force, inputs=inputs)
    return 0


def _create_trust_plan(
    topology: str, product: str | None, options_file: str | None, folder: str | None
) -> TrustPlan:
    from ..authorities.certificates_on_record import load_issued_certificates
    from ..authorities.read_plan import is_plan_path
    from ..authorities.trust.trust_plan import trust
    from ..errors import UsageProblem
    from ..request_folder.bundle import open_requests

    if is_plan_path(topology) and options_file:
        raise UsageProblem(
            f"{topology} already contains a plan, so you cannot specify options",
            hint="omit the options",
        )
    plan, _ = load_plan(topology, product, options_file)
    if folder is None and is_plan_path(topology) and Path(topology).is_dir():
        folder = topology
    return trust(
        plan, chains=load_issued_certificates(open_requests(folder)).chains if folder else None
    )


COMMANDS = (trust_command,)
