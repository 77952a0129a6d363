"""The commands that put two side by side: compare, compare-topology, asis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import (
    day_of,
    expanded,
    force_option,
    json_option,
    make_plan,
    on_option,
    pfx_password,
    plan_arguments,
    read_from,
)
from .output import (
    line_width,
    note,
    show_report,
    write,
    write_bytes_out,
    write_file,
    write_json,
    write_lines,
)

if TYPE_CHECKING:
    from ..plan.model import CertificatePlan
    from ..rules.findings import Findings

_DIFFERENCES_SHOWN = 200
_FILES_SHOWN = 200


@click.command("compare")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--options", "options_file", metavar="plan.toml",
    help="Choices for both, where OLD and NEW are tables. Without it the defaults are used.",
)  # fmt: skip
@click.option("--old-options", metavar="plan.toml", help="Choices for OLD alone.")
@click.option("--new-options", metavar="plan.toml", help="Choices for NEW alone.")
@click.option("--product", metavar="NAME", help="Product whose rules are used for tables.")
@json_option
@click.option("-o", "output", metavar="FILE", help="Write .html, .csv, .md, .json or .svg.")
@on_option
@force_option
def compare_command(
    old: str,
    new: str,
    options_file: str | None,
    old_options: str | None,
    new_options: str | None,
    product: str | None,
    as_json: bool,
    output: str | None,
    on: str | None,
    force: bool,
) -> int:
    """Say what the plan of NEW has otherwise than that of OLD, and why.

    Each is a table of servers, a scenario's folder, a saved plan (lyncnb plan --save FILE), a
    request folder, or a plan's JSON (lyncnb plan -o FILE.json). The last two hold certificates
    alone, not the table they came from.

    Exit status: 0 if both ask for the same certificates; 1 if not; 2 if one cannot be read; 3 if
    it is a folder that needs attention.
    """
    from ..base.disk.outputs import check_output
    from ..errors import UsageProblem
    from ..plan.scenarios import is_scenario
    from ..reports.compare import compare_plans
    from ..reports.comparison_report import COMPARISON_FILE, Comparison, comparison_report
    from ..reports.find_causes import find_causes

    sides = ((old, old_options), (new, new_options))
    inputs = read_from(old, new, options_file, old_options, new_options)
    if output is not None:
        check_output(output, COMPARISON_FILE, force=force, inputs=inputs)
    plans = []
    for path, own in sides:
        if own and _is_record(path):
            raise UsageProblem(
                f"{path} is planned already: it takes no options", hint="leave its options out"
            )
        choices = own or (None if is_scenario(path) else options_file)
        plans.append(plan_of(path, product, choices, on))
    (before, old_findings), (after, new_findings) = plans
    compared = Comparison(
        difference=find_causes(compare_plans(before, after)),
        old_findings=old_findings,
        new_findings=new_findings,
    )
    report = comparison_report(compared)
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return 0 if compared.difference.is_empty else 1


def _is_record(path: str) -> bool:
    from ..authorities.read_plan import is_record

    return is_record(path)


def plan_of(
    path: str, product: str | None, options_file: str | None, on: str | None = None
) -> tuple[CertificatePlan, Findings | None]:
    """Give the plan of a table, a saved plan, a request folder or a plan's JSON, and its findings.

    Raises
    ------
    LyncnbError
        If it can be read as none of them.
    """
    from ..authorities.read_plan import read_plan
    from ..checks.saved_plan import read_saved_plan
    from ..errors import PlanOutdated
    from ..plan.recorded_plan import read_plan_file
    from ..plan.saved_plan_json import is_saved_plan, read_saved_json
    from ..rules.rule_files import load_rules

    if _is_record(path):
        if product is not None:
            load_rules(product)  # a product of one's own is known from then on
        if not Path(path).is_dir() and is_saved_plan(read_plan_file(Path(path))):
            try:
                saved = read_saved_plan(path)
                return saved.plan, saved.findings
            except PlanOutdated:
                said = read_saved_json(read_plan_file(Path(path)), source=Path(path).name)
                recorded = said.recorded()
                note(
                    f"note: {path} names other rules than those here, so it cannot be planned again"
                    " and is taken as it stands"
                )
                return recorded, recorded.findings
        recorded = read_plan(path)
        return recorded, recorded.findings
    return make_plan(path, product, options_file, on=on)


@click.command("compare-topology")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@json_option
def compare_topology_command(old: str, new: str, as_json: bool) -> int:
    """Say where A and B disagree: servers, roles, pools and names, value by value.

    Each is a table of servers or a topology document, e.g. your table and what Topology Builder
    holds. What only one of them has a column for is not compared, but named.

    Exit status: 0 if they agree; 1 if not; 2 if one cannot be read.
    """
    from ..topology.topology import read_topology

    found = read_topology(old).compare(read_topology(new))
    if as_json:
        write_json(found.to_document())
    else:
        for one in found.differences[:_DIFFERENCES_SHOWN]:
            write_lines(str(one))
        if found.differences[_DIFFERENCES_SHOWN:]:
            left = len(found.differences) - _DIFFERENCES_SHOWN
            write(f"… and {left:,} more; with --json all are listed")
        write_lines(found.summary())
    return 0 if found.is_empty else 1


@click.command("asis")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@plan_arguments
@click.option(
    "--on", metavar="DATE",
    help="The day on which they must be in force, e.g. 2027-03-15 (default: the planned issue "
    "date or today, whichever is later).",
)  # fmt: skip
@json_option
@click.option("-o", "output", metavar="FILE", help="Write the table: .csv, .xlsx or .md.")
@click.option("--save", metavar="FILE.json", help="Keep the answer.")
@click.option(
    "--folder", metavar="FOLDER",
    help="Request folder: what it has on record as compromised covers nothing.",
)  # fmt: skip
@force_option
def asis_command(
    paths: tuple[str, ...],
    topology: str,
    product: str | None,
    options_file: str | None,
    on: str | None,
    as_json: bool,
    output: str | None,
    save: str | None,
    folder: str | None,
    force: bool,
) -> int:
    """Hold the certificates that stand today against the plan of TOPOLOGY.

    PATH is a certificate, a folder or a zip archive of them, or what the PowerShell of lyncnb
    snippet certificates exports on a server, which alone says where a certificate is. Each is
    judged as one that comes back from a CA. No request is left out by this.

    Exit status: 0 if everything planned is covered; 1 if not; 2 if something cannot be read.
    """
    from ..authorities.survey.as_is import AS_IS_FILE, AS_IS_TABLE, as_is_report
    from ..authorities.survey.compare_as_is import compare_as_is
    from ..base.disk.outputs import check_output
    from ..base.shown.report import write_report
    from ..base.shown.terminal_text import report_lines

    given = expanded(paths)
    inputs = read_from(topology, options_file, *given)
    outputs = [(output, AS_IS_TABLE), (save, AS_IS_FILE)]
    for name, kind in outputs:
        if name is not None:
            check_output(name, kind, force=force, inputs=inputs)
    plan, _ = make_plan(topology, product, options_file)
    found = compare_as_is(plan, *given, on=day_of(on), password=pfx_password, folder=folder)
    for name, kind in outputs:
        if name is not None:
            data = write_report(as_is_report(found, kind), Path(name).suffix.lower())
            write_file(name, data, kind, force=force, inputs=inputs)
    if as_json:
        write_bytes_out(found.to_json())
        return found.exit_status
    if output is None:
        write_lines(*report_lines(as_is_report(found), width=line_width()))
    write_lines(*found.notes)
    for told in found.files[:_FILES_SHOWN]:
        note(f"{told.severity}: {told.about}: {told.message} [{told.code}]")
    write_lines(found.summary())
    return found.exit_status


COMMANDS = (compare_command, compare_topology_command, asis_command)
