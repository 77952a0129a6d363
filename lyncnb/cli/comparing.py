"""Define the commands that compare plans and certificates: compare and asis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import (
    add_encoding_option,
    add_evaluation_date_option,
    add_force_option,
    add_json_option,
    add_plan_arguments,
    ask_pfx_password,
    expand_patterns,
    list_protected_files,
    make_plan,
    parse_date,
)
from .output import (
    find_line_width,
    show_report,
    write_file,
    write_lines,
    write_note,
    write_to_stdout,
)

if TYPE_CHECKING:
    from ..plan.model import CertificatePlan
    from ..rules.findings import Findings

_FILES_SHOWN = 200


@click.command("compare")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--options", "options_file", metavar="plan.toml",
    help="Planning options for OLD and NEW, if OLD and NEW are tables. If omitted, the default "
         "options apply.",
)  # fmt: skip
@click.option("--old-options", metavar="plan.toml", help="Planning options that apply only to OLD.")
@click.option("--new-options", metavar="plan.toml", help="Planning options that apply only to NEW.")
@click.option("--product", metavar="NAME", help="Product whose rules apply to the tables.")
@add_encoding_option
@add_json_option
@click.option(
    "-o",
    "output",
    metavar="FILE",
    help="Write the comparison to a .html, .csv, .md, .json or .svg file.",
)
@add_evaluation_date_option
@add_force_option
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
    """Show the differences between the plans of OLD and NEW, and their causes.

    OLD and NEW can each be a table of servers, a topology document, a scenario folder, a saved
    plan (lyncnb plan --save FILE), a request folder, or a plan in JSON (lyncnb plan -o
    FILE.json). A request folder and a plan in JSON contain only the certificates. If both sides
    contain a table, lyncnb also compares the rows, without columns that only one table has.

    Exit status: 0 if both plans need the same certificates, or if one side is a topology
    document and the rows are the same; 1 otherwise; 2 if a plan cannot be read; 3 if a request
    folder needs attention.
    """
    from ..base.disk.outputs import check_output_path
    from ..errors import UsageProblem
    from ..plan.scenarios import is_scenario
    from ..reports.compare import compare_plans
    from ..reports.comparison_report import COMPARISON_FILE, Comparison, build_comparison_report
    from ..reports.find_causes import find_causes

    sides = ((old, old_options), (new, new_options))
    inputs = list_protected_files(old, new, options_file, old_options, new_options)
    if output is not None:
        check_output_path(output, COMPARISON_FILE, force=force, inputs=inputs)
    plans = []
    for path, own_options in sides:
        if own_options and _contains_plan(path):
            raise UsageProblem(
                f"{path} already contains a plan, so you cannot specify options",
                hint="omit the options",
            )
        choices = own_options or (None if is_scenario(path) else options_file)
        plans.append(load_plan(path, product, choices, on))
    (before, old_findings), (after, new_findings) = plans
    compared = Comparison(
        difference=find_causes(compare_plans(before, after)),
        old_findings=old_findings,
        new_findings=new_findings,
    )
    report = build_comparison_report(compared)
    show_report(report, output, as_json=as_json, force=force, inputs=inputs)
    return 1 if compared.is_different else 0


def _contains_plan(path: str) -> bool:
    from ..authorities.read_plan import is_plan_path

    return is_plan_path(path)


def load_plan(
    path: str, product: str | None, options_file: str | None, evaluation_date: str | None = None
) -> tuple[CertificatePlan, Findings | None]:
    """Return the plan and findings of a table, saved plan, request folder, or plan in JSON.

    Raises
    ------
    LyncnbError
        If the path is none of these.
    """
    from ..authorities.read_plan import read_plan
    from ..checks.saved_plan import read_saved_plan
    from ..errors import PlanOutdated
    from ..plan.recorded_plan import read_plan_file
    from ..plan.saved_plan_json import is_saved_plan, read_saved_json
    from ..rules.rule_files import load_rules

    if _contains_plan(path):
        if product is not None:
            # A product file from the user must be loaded before the plan, because the plan may use
            # its roles.
            load_rules(product)
        if not Path(path).is_dir() and is_saved_plan(read_plan_file(Path(path))):
            try:
                saved = read_saved_plan(path)
                return saved.plan, saved.findings
            except PlanOutdated:
                record = read_saved_json(read_plan_file(Path(path)), source=Path(path).name)
                recorded = record.build_recorded_plan()
                write_note(
                    f"note: {path} was planned with different rules, so lyncnb does not plan "
                    "the certificates again. The comparison uses the certificates that the "
                    "file records"
                )
                return recorded, recorded.findings
        recorded = read_plan(path)
        return recorded, recorded.findings
    return make_plan(path, product, options_file, on=evaluation_date)


@click.command("asis")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@add_plan_arguments
@click.option(
    "--on", metavar="DATE",
    help="The date on which the certificates must be valid, for example 2027-03-15 (default: the "
         "planned issue date or today, whichever is later).",
)  # fmt: skip
@add_json_option
@click.option("-o", "output", metavar="FILE", help="Write the table to a .csv, .xlsx or .md file.")
@click.option(
    "--save",
    metavar="FILE.json",
    help="Save the result to FILE.json, for lyncnb request --only-missing.",
)
@click.option(
    "--folder", metavar="FOLDER",
    help=("Request folder. If the key of an installed certificate is recorded in FOLDER as "
          "compromised, this certificate does not cover a planned certificate."),
)  # fmt: skip
@add_force_option
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
    """Compare the installed certificates with the plan of TOPOLOGY.

    PATH is a certificate, a folder or zip archive with certificates, a file that lyncnb asis
    --save or lyncnb probe --save wrote for this plan, or a file that the script from lyncnb
    snippet certificates exported on a server. Only an exported file shows where a certificate
    is installed. lyncnb evaluates each certificate as if a CA had just issued it. This
    command does not change any request.

    Exit status: 0 if the installed certificates cover the plan; 1 if they do not; 2 if
    something cannot be read.
    """
    from ..authorities.survey.as_is import AS_IS_FILE, AS_IS_TABLE, build_as_is_report
    from ..authorities.survey.compare_as_is import compare_as_is
    from ..base.disk.outputs import check_output_path
    from ..base.shown.report import write_report
    from ..base.shown.terminal_text import format_report

    expanded_paths = expand_patterns(paths)
    inputs = list_protected_files(topology, options_file, *expanded_paths)
    outputs = [(output, AS_IS_TABLE), (save, AS_IS_FILE)]
    for name, kind in outputs:
        if name is not None:
            check_output_path(name, kind, force=force, inputs=inputs)
    plan, _ = make_plan(topology, product, options_file)
    as_is = compare_as_is(
        plan, *expanded_paths, on=parse_date(on), password=ask_pfx_password, folder=folder
    )
    for name, kind in outputs:
        if name is not None:
            data = write_report(build_as_is_report(as_is, kind), Path(name).suffix.lower())
            write_file(name, data, kind, force=force, inputs=inputs)
    if as_json:
        write_to_stdout(as_is.to_json())
        return as_is.exit_status
    if output is None:
        write_lines(*format_report(build_as_is_report(as_is), width=find_line_width()))
    write_lines(*as_is.notes)
    for finding in as_is.files[:_FILES_SHOWN]:
        write_note(f"{finding.severity}: {finding.about}: {finding.message} [{finding.code}]")
    write_lines(as_is.summary())
    return as_is.exit_status


COMMANDS = (compare_command, asis_command)
