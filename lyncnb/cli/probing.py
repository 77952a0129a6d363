"""Define the command ``probe``, which shows the certificates that planned servers present."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .comparing import load_plan
from .inputs import (
    add_force_option,
    add_json_option,
    add_plan_arguments,
    list_protected_files,
    load_product,
)
from .output import (
    make_progress_bar,
    show_report,
    stop_on_interrupt,
    write_file,
)

if TYPE_CHECKING:
    from ..plan.model import CertificatePlan


@click.command("probe")
@add_plan_arguments
@click.option(
    "--folder", metavar="FOLDER",
    help=("Request folder. lyncnb recognizes the certificates in this folder, and verifies "
         "chains with its CA certificates. If you have no request folder, specify a file or "
         "folder with your CA certificates."),
)  # fmt: skip
@click.option(
    "--from", "zone", type=click.Choice(("inside", "outside")), default="inside",
    show_default=True,
    help=("Network zone of this computer. lyncnb probes only the ports that computers in this "
         "zone use."),
)  # fmt: skip
@click.option(
    "--hosts", metavar="FILE",
    help=("Probe only the ports in FILE. Enter each port on a separate line as NAME PORT "
          "ADDRESS, such as fe01.contoso.com 5061 192.0.2.11. To connect to a different port, "
          "add it to the address (127.0.0.1:45061)."),
)  # fmt: skip
@click.option(
    "--parallel", metavar="N", type=int, default=16, show_default=True,
    help=("Number of addresses that lyncnb probes at the same time. lyncnb opens one connection "
         "to each address."),
)  # fmt: skip
@click.option(
    "--also", metavar="LIST", default="",
    help=("More checks, separated by commas: tls1.0 (connect again with TLS 1.0), no-sni "
         "(connect to reverse proxies again without a server name), services (also probe the "
         "ports of individual services)."),
)  # fmt: skip
@click.option(
    "--save",
    metavar="FILE.json",
    help="Save the servers' certificates to FILE.json for the option --only-missing of lyncnb "
    "request.",
)
@add_json_option
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help="Write the report to a .csv, .xlsx, .html, .md or .json file.",
)
@add_force_option
def probe_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    folder: str | None,
    zone: str,
    hosts: str | None,
    parallel: int,
    also: str,
    save: str | None,
    as_json: bool,
    output: str | None,
    force: bool,
) -> int:
    """Show which certificates the servers in TOPOLOGY present, and compare them with the plan.

    TOPOLOGY is a table of servers, a saved plan or a request folder. lyncnb connects to the
    TLS ports of the planned servers, reads the certificates in the handshake, and closes the
    connection. lyncnb sends no data and no credentials. It connects only to the addresses of
    names in the plan, or to the addresses in FILE. lyncnb cannot see certificates that no
    port shows, such as the OAuth certificate.

    Exit status: 0 if everything that lyncnb saw is as planned; 1 if a certificate is different,
    or a port that must be open refused the connection or did not answer; 2 if something cannot
    be read; 3 if a request folder needs attention.
    """
    from ..authorities.survey.as_is import AS_IS_FILE, build_as_is_report
    from ..base.disk.outputs import check_output_path
    from ..base.shown.report import write_report
    from ..probes.probe import probe
    from ..probes.result import PROBE_FILE, build_probe_report

    inputs = list_protected_files(topology, options_file, hosts)
    for name, kind in ((output, PROBE_FILE), (save, AS_IS_FILE)):
        if name is not None:
            check_output_path(name, kind, force=force, inputs=inputs)
    plan, own_folder = _read_plan(topology, product, options_file)
    progress, finish = make_progress_bar("connections")
    with stop_on_interrupt("lyncnb stops, and shows the results so far") as stop:
        try:
            result = probe(
                plan,
                zone=zone,
                hosts=hosts,
                folder=folder or own_folder,
                also=tuple(filter(None, (choice.strip() for choice in also.split(",")))),
                parallel=parallel,
                progress=progress,
                stop=stop,
            )
        finally:
            finish()
    if save is not None:
        data = write_report(build_as_is_report(result.as_is, AS_IS_FILE), Path(save).suffix.lower())
        write_file(save, data, AS_IS_FILE, force=force, inputs=inputs)
    report = build_probe_report(result)
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return result.exit_status


def _read_plan(
    topology: str, product: str | None, options_file: str | None
) -> tuple[CertificatePlan, str | None]:
    """Return the plan from a table, a saved plan or a request folder.

    The second value is the path of the request folder, or None.
    """
    from ..authorities.read_plan import is_plan_path, recreate_plan
    from ..errors import UsageProblem
    from ..request_folder.manifest import read_manifest

    if is_plan_path(topology) and options_file:
        raise UsageProblem(
            f"{topology} already contains a plan, so you cannot specify options",
            hint="omit the options",
        )
    if is_plan_path(topology) and Path(topology).is_dir():
        load_product(product, read_manifest(Path(topology)).product, topology)
        return recreate_plan(topology), topology
    return load_plan(topology, product, options_file)[0], None


COMMANDS = (probe_command,)
