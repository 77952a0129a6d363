"""Define the command ``probe``: which certificates the planned servers show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .comparing import plan_of
from .inputs import (
    add_force_option,
    add_json_option,
    load_product,
    plan_arguments,
    read_from,
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
@plan_arguments
@click.option(
    "--folder", metavar="FOLDER",
    help="Request folder. lyncnb then recognizes its certificates, and verifies chains with its "
         "CA certificates. Without a request folder: a file or folder with your CA certificates.",
)  # fmt: skip
@click.option(
    "--from", "zone", type=click.Choice(("inside", "outside")), default="inside",
    show_default=True,
    help="The zone from which this computer asks. The zone decides which ports lyncnb asks.",
)  # fmt: skip
@click.option(
    "--hosts", metavar="FILE",
    help="Ask only the ports in FILE, with a line such as fe01.contoso.com 5061 192.0.2.11 for "
         "each port. The address can have a port of its own (127.0.0.1:45061).",
)  # fmt: skip
@click.option(
    "--parallel", metavar="N", type=int, default=16, show_default=True,
    help="How many addresses lyncnb asks at the same time, each by one connection.",
)  # fmt: skip
@click.option(
    "--also", metavar="LIST", default="",
    help="Ask more, as a list with commas: tls1.0 (a second handshake with TLS 1.0), no-sni (one "
         "without a name, at reverse proxies), services (the ports of single services).",
)  # fmt: skip
@click.option(
    "--save",
    metavar="FILE.json",
    help="Save the certificates that were seen to FILE.json, for lyncnb request --only-missing.",
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
    """Ask the servers of TOPOLOGY which certificates they show, and compare with the plan.

    TOPOLOGY is a table of servers, a saved plan or a request folder. lyncnb connects to the
    TLS ports of the planned servers, reads the certificates in the handshake, and closes the
    connection. It sends no data and no credentials. It connects only to addresses of the plan's
    own names, or to those in FILE. Certificates that no port shows, such as the OAuth
    certificate, cannot be seen.

    Exit status: 0 if everything that lyncnb saw is as planned; 1 if a certificate is different,
    or a port that must be open refused the connection or did not answer; 2 if something cannot
    be read; 3 if a request folder needs attention.
    """
    from ..authorities.survey.as_is import AS_IS_FILE, as_is_report
    from ..base.disk.outputs import check_output
    from ..base.shown.report import write_report
    from ..probes.probe import probe
    from ..probes.result import PROBE_FILE, probe_report

    inputs = read_from(topology, options_file, hosts)
    for name, kind in ((output, PROBE_FILE), (save, AS_IS_FILE)):
        if name is not None:
            check_output(name, kind, force=force, inputs=inputs)
    plan, own_folder = _read_plan(topology, product, options_file)
    progress, finish = make_progress_bar("connections")
    with stop_on_interrupt("lyncnb stops, and shows what it saw until now") as stop:
        try:
            found = probe(
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
        data = write_report(as_is_report(found.as_is, AS_IS_FILE), Path(save).suffix.lower())
        write_file(save, data, AS_IS_FILE, force=force, inputs=inputs)
    report = probe_report(found)
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return found.exit_status


def _read_plan(
    topology: str, product: str | None, options_file: str | None
) -> tuple[CertificatePlan, str | None]:
    """Return the plan of a table, a saved plan or a request folder, and the request folder."""
    from ..authorities.read_plan import is_record, plan_again
    from ..errors import UsageProblem
    from ..request_folder.manifest import read_manifest

    if is_record(topology) and options_file:
        raise UsageProblem(
            f"{topology} already contains a plan, so you cannot specify options",
            hint="omit the options",
        )
    if is_record(topology) and Path(topology).is_dir():
        load_product(product, read_manifest(Path(topology)).product, topology)
        return plan_again(topology), topology
    return plan_of(topology, product, options_file)[0], None


COMMANDS = (probe_command,)
