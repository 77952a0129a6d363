"""Define the commands that plan without writing requests: plan, check and explain."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..base.terminal import join_arguments, quote_argument
from .inputs import (
    add_evaluation_date_option,
    add_force_option,
    add_json_option,
    add_plan_arguments,
    add_plan_options,
    list_protected_files,
    make_plan,
)
from .output import (
    write,
    write_file,
    write_lines,
    write_next_steps,
    write_note,
    write_table,
    write_to_stdout,
)

if TYPE_CHECKING:
    from ..checks.saved_plan import SavedPlan
    from ..plan.model import CertificatePlan, PlannedCertificate
    from ..plan.options import PlanOptions
    from ..reports.summary.content import SavedFile
    from ..rules.findings import Findings
    from ..rules.model import CheckRule

_PLAN_COLUMNS = ("Role", "Server or pool", "Subject", "Names", "Issuer", "Key")

# The largest number of servers to list. The OAuth certificate of a deployment can be on 100,000
# servers.
_SERVERS_SHOWN = 20


@click.command("plan")
@add_plan_arguments
@add_json_option
@click.option(
    "-o", "output", metavar="FILE",
    help="Write the plan to a .csv, .xlsx, .html, .md, .json, .svg or .docx file (.docx needs"
    " python-docx).",
)  # fmt: skip
@click.option(
    "--figure", "figure_kind", metavar="KIND",
    help="Type of figure to write to FILE.svg: topology (default), coverage or timeline.",
)  # fmt: skip
@click.option(
    "--site",
    metavar="NAME",
    help="Name of a site. The figure shows each pool of this site separately.",
)
@click.option("--lang", metavar="LANG", help="Language of the headings in FILE: en or zh-TW.")
@click.option(
    "--save", metavar="FILE.json",
    help=("Save the plan together with the table, options, findings and evaluation date. You "
         "can approve a saved plan (lyncnb approve) and write its requests (lyncnb request "
         "--plan)."),
)  # fmt: skip
@click.option(
    "-v", "--verbose", is_flag=True,
    help="Show the names on each certificate, and the hint and source of each notice.",
)  # fmt: skip
@add_evaluation_date_option
@add_force_option
def plan_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    as_json: bool,
    output: str | None,
    figure_kind: str | None,
    site: str | None,
    lang: str | None,
    save: str | None,
    verbose: bool,
    on: str | None,
    force: bool,
) -> int:
    """List every certificate that TOPOLOGY needs, then the findings.

    TOPOLOGY can be a saved plan (--save). FILE.html and FILE.docx then end with its approval sheet.

    Exit status: 0 success; 1 if there are error findings; 2 if TOPOLOGY cannot be read.
    """
    from ..base.disk.outputs import check_output_path
    from ..checks.saved_plan import save_plan
    from ..errors import UsageProblem
    from ..plan.plan_json import plan_json
    from ..plan.saved_plan_json import SAVED_PLAN_FILE
    from ..reports.figures import DEFAULT, FIGURE_FILE, check_kind, figure
    from ..reports.summary.formats import PLAN_FILE, write_plan_table

    inputs = list_protected_files(topology, options_file)
    suffix = Path(output or "").suffix.lower()
    is_figure = figure_kind is not None or site is not None
    kind = FIGURE_FILE if is_figure else PLAN_FILE
    if is_figure:
        check_kind(figure_kind or DEFAULT)
        if output is None:
            raise UsageProblem("--figure and --site need a file", hint="specify -o FILE.svg")
    if output is not None:
        check_output_path(output, kind, force=force, inputs=inputs)
    if save is not None:
        check_output_path(save, SAVED_PLAN_FILE, force=force, inputs=inputs)
        if output is not None and os.path.realpath(output) == os.path.realpath(save):
            raise UsageProblem(f"-o and --save are both {save}", hint="specify two different files")
    saved = _read_plan_if_saved(topology, product, choices=(options_file, on, save))
    if saved is None:
        plan, findings = make_plan(topology, product, options_file, on=on)
    else:
        plan, findings = saved.plan, saved.findings
    plan = replace(plan, options=replace(plan.options, lang=lang or plan.options.lang))
    if save is not None:
        saved = save_plan(plan, save, findings=findings, force=force, inputs=inputs)
        _write_saved_plan_notes(saved)
    if output is not None:
        if suffix == ".svg":
            data = figure(plan, figure_kind or DEFAULT, site=site or "").to_svg()
        else:
            data = write_plan_table(plan, findings, suffix, saved=_describe_saved_plan(saved))
        write_file(output, data, kind, force=force, inputs=(*inputs, save))
    arguments = _join_arguments(topology, product, options_file)
    if as_json:
        write_to_stdout(plan_json(plan, findings))
    else:
        if output is None:
            _write_certificates(plan, verbose=verbose)
            _write_findings(findings, arguments, plan.options, verbose=verbose, is_plan=True)
        _write_totals(plan, findings, arguments, saved_path=save or (topology if saved else None))
    return 1 if findings.has_errors else 0


def _read_plan_if_saved(
    path: str, product: str | None, *, choices: tuple[str | None, ...]
) -> SavedPlan | None:
    """Return the saved plan in a file, or None if the path is not a saved plan."""
    from ..checks.saved_plan import read_saved_plan
    from ..errors import UsageProblem
    from ..rules.rule_files import load_rules
    from .inputs import is_saved_plan_file, load_product

    if not is_saved_plan_file(path):
        return None
    if any(choices):
        raise UsageProblem(
            f"{path} is a saved plan and already contains options and an evaluation date",
            hint="omit --options, --on and --save, or specify the table",
        )
    if product is not None:
        # The plan may use roles from the user's product file, so the product file is loaded first.
        load_rules(product)
    saved = read_saved_plan(path)
    load_product(product, saved.plan.rules.product, path)
    return saved


def _describe_saved_plan(saved_plan: SavedPlan | None) -> SavedFile | None:
    from ..reports.summary.content import SavedFile

    if saved_plan is None:
        return None
    return SavedFile(
        name=saved_plan.path.name, sha256=saved_plan.sha256, sign_line=saved_plan.sign_line
    )


def _write_saved_plan_notes(saved_plan: SavedPlan) -> None:
    write_note(f"saved: {saved_plan.identity}")
    write_note(
        f"to approve the plan, run {saved_plan.approval_command}; "
        "to approve the plan without lyncnb, run:"
    )
    write_note(f"  {saved_plan.sign_line}")


@click.command("check")
@add_plan_arguments
@add_json_option
@add_evaluation_date_option
@click.option(
    "--fix", "wants_fix", is_flag=True,
    help=("Apply the safe fixes to TOPOLOGY and plan.toml. lyncnb shows the changes, asks for "
         "confirmation, and keeps the previous version as FILE.bak. It does not change a workbook, "
         "but writes the fixed table to NAME-plan.xlsx. With --json, lyncnb only lists the fixes."),
)  # fmt: skip
@click.option("--yes", is_flag=True, help="With --fix: write the changes without confirmation.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Show every notice and every server that has a finding.",
)
def check_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    as_json: bool,
    on: str | None,
    wants_fix: bool,
    yes: bool,
    verbose: bool,
) -> int:
    """Check the plan for TOPOLOGY, and list its errors, warnings, and notices.

    Exit status: 0 success; 1 if there are error findings; 2 if TOPOLOGY cannot be read.
    """
    from ..errors import UsageProblem
    from ..plan.plan_json import plan_json
    from ..plan.scenarios import is_scenario

    if yes and not wants_fix:
        raise UsageProblem("--yes needs --fix", hint="omit --yes, or add --fix")
    if wants_fix and is_scenario(topology):
        raise UsageProblem(
            f"{topology} is a scenario, but --fix can change only a table and its options",
            hint=(
                f"specify the table and its options: {topology}/topology.csv --options "
                f"{topology}/plan.toml"
            ),
        )
    plan, findings = make_plan(topology, product, options_file, on=on, keeps_rejected=wants_fix)
    arguments = _join_arguments(topology, product, options_file)
    if wants_fix:
        return _apply_fixes(
            plan, findings, arguments, topology, options_file, as_json=as_json, yes=yes
        )
    if as_json:
        write_to_stdout(plan_json(plan, findings, certificates=False))
    else:
        _write_findings(findings, arguments, plan.options, verbose=verbose)
        _write_totals(plan, findings, arguments)
    return 1 if findings.has_errors else 0


def _apply_fixes(
    plan: CertificatePlan,
    findings: Findings,
    arguments: str,
    topology: str,
    options_file: str | None,
    *,
    as_json: bool,
    yes: bool,
) -> int:
    """Apply the safe fixes to the plan's files, and list the remaining findings."""
    from ..checks.fix_plan import fix_plan
    from ..plan.plan_json import plan_json
    from ..topology.fix_table import fix_table
    from .fixing import ask_for_consent, find_changes, show_changes, write_changes

    table = fix_table(plan.topology)
    if as_json:
        table.reject_incomplete()
    fixed_plan = fix_plan(plan, evaluation_date=findings.judged_on, table=table)
    if as_json:
        fixed = fixed_plan.fixed
        write_to_stdout(plan_json(plan, findings, certificates=False, fixed=fixed))
        return 1 if findings.has_errors else 0
    changes = find_changes(plan, fixed_plan, topology=topology, options_file=options_file)
    if not fixed_plan.fixed and not table.lines:
        write_note("No finding has exactly one safe fix, so lyncnb changed nothing.")
    else:
        show_changes(fixed_plan, changes)
        if changes and ask_for_consent(is_agreed_in_advance=yes):
            write_changes(changes)
            new = next((str(change.path) for change in changes if change.before is None), topology)
            arguments = arguments.replace(quote_argument(topology), quote_argument(new), 1)
            if new != topology and plan.topology.product and "--product" not in arguments:
                # A table does not contain the product of the document from which it is made.
                arguments = f"{arguments} --product {quote_argument(plan.topology.product)}"
        else:
            write_note("lyncnb wrote no files.")
            plan.topology.reject_incomplete()
            return 1 if findings.has_errors else 0
    fixed_plan.plan.topology.reject_incomplete()
    _write_findings(fixed_plan.findings, arguments, fixed_plan.plan.options)
    _write_totals(fixed_plan.plan, fixed_plan.findings, arguments)
    return 1 if fixed_plan.findings.has_errors else 0


@click.command("explain")
@click.argument("topology", metavar="TOPOLOGY|CODE", required=False)
@click.argument("server", metavar="[SERVER]", required=False)
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="Write all findings to a page. Also specify -o FILE.html.",
)
@click.option("-o", "output", metavar="FILE.html", help="HTML file for the page that --all writes.")
@add_plan_options
@add_force_option
def explain_command(
    topology: str | None,
    server: str | None,
    product: str | None,
    options_file: str | None,
    is_all: bool,
    output: str | None,
    force: bool,
) -> int:
    """Explain why each name is on each certificate of SERVER, or the meaning of a finding's CODE.

    If you specify TOPOLOGY and SERVER, lyncnb shows the rule and the source of each name. If you
    specify the CODE of a finding about a plan or an issued certificate, lyncnb shows what the
    finding means and what to do.

    Exit status: 0 success; 2 if TOPOLOGY cannot be read, or if there is no such server or
    finding.
    """
    from ..errors import UsageProblem

    if is_all or output is not None:
        if not (is_all and output is not None and topology is None):
            raise UsageProblem(
                "--all and -o must be used together, without TOPOLOGY and CODE",
                hint="to write all findings, run: lyncnb explain --all -o findings.html",
            )
        return _write_finding_page(output, product, force=force)
    if topology is None:
        raise UsageProblem(
            "the argument is missing",
            hint=(
                "specify TOPOLOGY and SERVER, or the CODE of a finding, or write all findings: "
                "--all -o findings.html"
            ),
        )
    if server is None:
        return _explain_finding(topology, product)
    plan, _ = make_plan(topology, product, options_file)
    write_lines(*str(plan.explain(server)).split("\n"))
    return 0


def _explain_finding(code: str, product: str | None) -> int:
    from ..rules.finding_page import format_period

    rule = _find_rule(code, product)
    write_lines(f"{rule.code} ({rule.severity}): {rule.title}")
    write_lines(f"  {rule.meaning}", f"  hint: {rule.hint}")
    days = format_period(rule)
    if days:
        write_lines(f"  when: {days}")
    if rule.disagreement:
        write_lines(f"  conflict: {rule.disagreement}")
    write_lines(f"  source: {rule.source}")
    return 0


def _write_finding_page(output: str, product: str | None, *, force: bool) -> int:
    from ..base.disk.outputs import check_output_path
    from ..rules.finding_page import FINDING_PAGE, build_finding_page
    from ..rules.rule_files import load_rules

    check_output_path(output, FINDING_PAGE, force=force)
    page = build_finding_page(load_rules(product or "lync2013")).encode("utf-8")
    write_file(output, page, FINDING_PAGE, force=force)
    return 0


def _find_rule(code: str, product: str | None) -> CheckRule:
    import difflib

    from ..errors import LyncnbError, UsageProblem
    from ..rules.returned_rules import list_all_checks
    from ..rules.rule_files import load_rules

    known = list_all_checks(load_rules(product or "lync2013"))
    rule_code = code.strip().lower().replace("_", "-")
    if rule_code in known:
        return known[rule_code]
    if Path(code).exists():
        raise UsageProblem(
            f"the argument SERVER is missing after {code}",
            hint=f"specify a server of the table, or list all certificates: lyncnb plan {code} -v",
        )
    similar = difflib.get_close_matches(rule_code, known, n=3, cutoff=0.4)
    raise LyncnbError(
        f'no finding has the code "{code}"',
        hint=f"did you mean {' or '.join(similar)}?"
        if similar
        else "use a code in brackets from the output of lyncnb check or lyncnb receive",
    )


def _write_certificates(plan: CertificatePlan, *, verbose: bool) -> None:
    """Write one line for each certificate. With ``-v``, also write usages, servers and names."""
    write_table(_PLAN_COLUMNS, list(map(_build_plan_row, plan.certificates)))
    write()
    if not verbose:
        return
    write("Names:")
    for planned in plan.certificates:
        write_lines(f"  {planned.id}: {_describe_names(planned)}")
    write()


def _build_plan_row(planned: PlannedCertificate) -> tuple[object, ...]:
    holder = planned.servers[0] if len(planned.servers) == 1 else planned.pool
    return (
        planned.role,
        holder or f"{len(planned.servers):,} servers",
        planned.subject.common_name,
        len(planned.names),
        planned.issuer,
        str(planned.key),
    )


def _describe_names(planned: PlannedCertificate) -> str:
    from ..base.shown.tables import join_first_texts

    servers = join_first_texts([*map(str, planned.servers)], _SERVERS_SHOWN)
    types = f"{', '.join(planned.usages)} on " if planned.usages else ""
    names = ", ".join(map(str, planned.names)) or "no subject alternative names"
    return f"{types}{servers}: {names}"


def _write_findings(
    findings: Findings,
    arguments: str,
    options: PlanOptions,
    *,
    verbose: bool = False,
    is_plan: bool = False,
) -> None:
    """Write one entry for each group of findings. With ``-v``, it lists all of them.

    The short output of a plan only counts the notices.
    """
    from ..base.shown.tables import format_count
    from ..plan.acceptances import list_acceptances
    from ..rules.findings import group_findings

    accepted = list_acceptances(findings, options)

    groups = group_findings(findings)
    if verbose:
        # With ``-v``, each code has its entry, but in the order of the groups.
        groups = tuple(
            entry
            for group in groups
            for entry in group_findings(group.findings, is_by_subject=False)
        )
    for group in groups:
        if is_plan and not verbose and group.severity == "notice":
            continue
        if group.subject:
            write_lines(f"{group.severity}: {group.title} ({len(group.points)} points)")
            write_lines(*(f"  - {point.title} [{point.codes[0]}]" for point in group.points))
        else:
            if verbose and len(group.findings) > 1:
                count = format_count(len(group.findings), "finding")
                write_lines(f"{group.severity}: {group.title} ({count}) [{group.codes[0]}]")
                for message, subjects in group.subjects_by_message.items():
                    write_lines(f"  - {message}: about {', '.join(subjects)}")
            else:
                write_lines(f"{group.severity}: {group.words}")
                write_lines(f"  about {group.places} [{group.codes[0]}]")
            if reasons := {accepted.get(finding, "") for finding in group.findings} - {""}:
                write_lines(f"  accepted in plan.toml: {'; '.join(sorted(reasons))}")
        # Only the terminal shortens a group to the titles of its findings.
        listing = f" To list the findings, run: lyncnb check {arguments} -v"
        if group.hint:
            write_lines(f"  hint: {group.hint}{listing if group.subject else ''}")
        if not group.subject:
            write_lines(f"  source: {group.source}")
        write()
    notices = findings.counts()["notice"]
    if is_plan and notices and not verbose:
        write_lines(
            f"{format_count(notices, 'notice')}. To read the notices, run: lyncnb plan {arguments} "
            "-v"
        )


def _write_totals(
    plan: CertificatePlan, findings: Findings, arguments: str, *, saved_path: str | None = None
) -> None:
    """Write the totals of a plan, and suggest the next command."""
    from ..base.shown.tables import format_count
    from ..plan.acceptances import list_acceptances
    from ..plan.totals import format_totals

    write_lines(format_totals(plan, findings))
    accepted = list_acceptances(findings, plan.options)
    if count := sum(error not in accepted for error in findings.of("error")):
        again = (
            f"save the plan again: lyncnb plan TOPOLOGY --save {quote_argument(saved_path)}"
            if saved_path
            else f"check the plan again: lyncnb check {arguments}"
        )
        write_next_steps(f"Correct {format_count(count, 'error')}. Then {again}")
    elif plan.certificates:
        source = f"--plan {quote_argument(saved_path)}" if saved_path else arguments
        write_next_steps(f"Write the requests: lyncnb request {source} FOLDER")


def _join_arguments(topology: str, product: str | None, options_file: str | None) -> str:
    """Return the arguments with which another command creates the same plan."""
    options = (("--product", product), ("--options", options_file))
    option_arguments = [part for name, value in options if value for part in (name, value)]
    return join_arguments([topology, *option_arguments])


COMMANDS = (plan_command, check_command, explain_command)
