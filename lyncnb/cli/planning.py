"""The commands that plan and write no request: plan, check, explain, finding."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .inputs import force_option, json_option, make_plan, on_option, plan_arguments, read_from
from .output import indented, note, write, write_bytes_out, write_file, write_lines, write_table

if TYPE_CHECKING:
    from ..checks.saved_plan import SavedPlan
    from ..plan.model import CertificatePlan, PlannedCertificate
    from ..rules.findings import Findings
    from ..rules.model import CheckRule

_PLAN_COLUMNS = ("Role", "Servers", "Type", "Subject name", "Issuer", "Key", "SAN")

# A deployment's certificate may be for 100,000 servers; the documents list them all.
_SERVERS_SHOWN = 20


whole_option = click.option(
    "-v", "--verbose", "whole", is_flag=True, help="List each place and each point of a finding."
)


@click.command("plan")
@plan_arguments
@json_option
@click.option(
    "-o", "output", metavar="FILE",
    help="Write .csv, .xlsx, .html, .md, .json, .svg, or .docx (extra lyncnb[docx]).",
)  # fmt: skip
@click.option(
    "--figure", "figure_kind", metavar="KIND",
    help="Picture that FILE.svg shows: topology (default), coverage or timeline.",
)  # fmt: skip
@click.option("--site", metavar="NAME", help="Site that the picture shows pool by pool.")
@click.option("--lang", metavar="LANG", help="Language of titles in FILE: en, or zh-TW.")
@click.option(
    "--save", metavar="FILE.json",
    help="Save the plan with its table, options, findings and day: it can be approved, and"
    " requested by request --plan.",
)  # fmt: skip
@whole_option
@on_option
@force_option
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
    whole: bool,
    on: str | None,
    force: bool,
) -> int:
    """List every certificate that TOPOLOGY needs, then the findings.

    Exit status: 0; 1 if there are error findings; 2 if it cannot be read.
    """
    from ..base.disk.outputs import check_output
    from ..checks.saved_plan import save_plan
    from ..errors import UsageProblem
    from ..plan.plan_json import plan_json
    from ..plan.saved_plan_json import SAVED_PLAN_FILE
    from ..plan.totals import totals
    from ..reports.figures import DEFAULT, FIGURE_FILE, check_kind, figure
    from ..reports.summary.formats import PLAN_FILE, write_plan_table

    inputs = read_from(topology, options_file)
    suffix = Path(output or "").suffix.lower()
    wants_picture = figure_kind is not None or site is not None
    kind = FIGURE_FILE if wants_picture else PLAN_FILE
    if wants_picture:
        check_kind(figure_kind or DEFAULT)
        if output is None:
            raise UsageProblem("--figure and --site need a file", hint="name it: -o FILE.svg")
    if output is not None:
        check_output(output, kind, force=force, inputs=inputs)
    if save is not None:
        check_output(save, SAVED_PLAN_FILE, force=force, inputs=inputs)
        if output is not None and os.path.realpath(output) == os.path.realpath(save):
            raise UsageProblem(f"-o and --save both name {save}", hint="give each its own name")
    plan, findings = make_plan(topology, product, options_file, on=on)
    plan = replace(plan, options=replace(plan.options, lang=lang or plan.options.lang))
    saved_as = sign_line = ""
    if save is not None:
        saved = save_plan(plan, save, findings=findings, force=force, inputs=inputs)
        _tell_of_saved(saved)
        saved_as, sign_line = saved.identity, saved.sign_line
    if output is not None:
        if suffix == ".svg":
            data = figure(plan, figure_kind or DEFAULT, site=site or "").to_svg()
        else:
            data = write_plan_table(plan, findings, suffix, saved_as=saved_as, sign_line=sign_line)
        write_file(output, data, kind, force=force, inputs=(*inputs, save))
    if as_json:
        write_bytes_out(plan_json(plan, findings))
    elif output is None:
        write_table(_PLAN_COLUMNS, [_plan_row(certificate) for certificate in plan.certificates])
        write()
        _write_findings(findings, whole=whole)
    if not as_json:
        write(indented(totals(plan, findings), ""))
    return 1 if findings.has_errors else 0


def _tell_of_saved(saved: SavedPlan) -> None:
    note(f"saved: {saved.identity}")
    note(f"to approve it: {saved.approve_line}; without lyncnb:")
    note(f"  {saved.sign_line}")


@click.command("check")
@plan_arguments
@json_option
@on_option
@click.option(
    "--fix", "wants_fix", is_flag=True,
    help="Mend what has one safe answer in TOPOLOGY (CSV) and plan.toml: the difference is shown,"
    " then you are asked. The old file stays as FILE.bak. With --json fixes are only listed.",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="With --fix: write without asking.")
@whole_option
def check_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    as_json: bool,
    on: str | None,
    wants_fix: bool,
    yes: bool,
    whole: bool,
) -> int:
    """List what is wrong or odd about the plan of TOPOLOGY.

    Exit status: 0; 1 if there are error findings; 2 if it cannot be read.
    """
    from ..errors import UsageProblem
    from ..plan.plan_json import plan_json
    from ..plan.scenarios import is_scenario
    from ..plan.totals import totals

    if yes and not wants_fix:
        raise UsageProblem("--yes goes with --fix", hint="leave it out, or add --fix")
    if wants_fix and is_scenario(topology):
        raise UsageProblem(
            f"{topology} is a scenario, and --fix mends a table and its options",
            hint=f"name them: {topology}/topology.csv --options {topology}/plan.toml",
        )
    plan, findings = make_plan(topology, product, options_file, on=on)
    if wants_fix:
        return _fix(plan, findings, topology, options_file, as_json=as_json, yes=yes)
    if as_json:
        write_bytes_out(plan_json(plan, findings, certificates=False))
    else:
        _write_findings(findings, whole=whole)
        write(indented(totals(plan, findings), ""))
    return 1 if findings.has_errors else 0


def _fix(
    plan: CertificatePlan,
    findings: Findings,
    topology: str,
    options_file: str | None,
    *,
    as_json: bool,
    yes: bool,
) -> int:
    """Mend what can be mended, and list what is left."""
    from ..checks.mend_plan import mend_plan
    from ..plan.plan_json import plan_json
    from ..plan.totals import totals
    from .fixing import changes_of, is_agreed, show, write_changes

    mended = mend_plan(plan, on=findings.judged_on)
    if as_json:
        fixed = mended.fixed
        write_bytes_out(plan_json(plan, findings, certificates=False, fixed=fixed))
        return 1 if findings.has_errors else 0
    changes = changes_of(plan, mended, topology=topology, options_file=options_file)
    if not mended.fixed:
        note("nothing here has one safe answer")
    else:
        show(mended, changes)
        if changes.files and is_agreed(yes=yes):
            write_changes(changes)
        else:
            note("nothing was written")
            return 1 if findings.has_errors else 0
    left = mended.findings if not changes.by_hand else findings
    _write_findings(left)
    write(indented(totals(mended.plan, left), ""))
    return 1 if left.has_errors else 0


@click.command("explain")
@plan_arguments
@click.argument("server", metavar="SERVER")
def explain_command(
    topology: str, product: str | None, options_file: str | None, server: str
) -> int:
    """Say why each name is on each certificate of SERVER, with its source.

    Exit status: 0; 2 if TOPOLOGY cannot be read or has no such server.
    """
    plan, _ = make_plan(topology, product, options_file)
    write_lines(str(plan.explain(server)).split("\n"))
    return 0


@click.command("finding")
@click.argument("code", metavar="CODE", required=False)
@click.option("--all", "every", is_flag=True, help="Write every finding to a page, -o FILE.html.")
@click.option("-o", "output", metavar="FILE.html", help="Where the page of every finding goes.")
@click.option(
    "--product", metavar="NAME", default="lync2013", show_default=True,
    help="Product whose rules are used, or FILE.toml of your own.",
)  # fmt: skip
@force_option
def finding_command(
    code: str | None, every: bool, output: str | None, product: str, force: bool
) -> int:
    """Say what a finding of a plan or a returned certificate means, and what to do.

    Exit status: 0; 2 if there is no such finding.
    """
    from ..errors import UsageProblem
    from ..rules.finding_page import days_in_words

    if every or output is not None:
        if not (every and output is not None and code is None):
            raise UsageProblem(
                "--all and -o go together and without a code",
                hint="lyncnb finding --all -o findings.html",
            )
        return _write_finding_page(output, product, force=force)
    if code is None:
        raise UsageProblem(
            "which finding?", hint="name its code, or write them all: --all -o findings.html"
        )
    rule = _find_rule(code, product)
    write(f"{rule.code} ({rule.severity}): {rule.title}")
    write(indented(rule.meaning))
    write(indented(f"hint: {rule.hint}"))
    days = days_in_words(rule)
    if days:
        write(indented(f"when: {days}"))
    if rule.disagreement:
        write(indented(f"conflict: {rule.disagreement}"))
    write(indented(f"source: {rule.source}"))
    return 0


def _write_finding_page(output: str, product: str, *, force: bool) -> int:
    from ..base.disk.outputs import check_output
    from ..rules.finding_page import FINDING_PAGE, finding_page
    from ..rules.rule_files import load_rules

    check_output(output, FINDING_PAGE, force=force)
    page = finding_page(load_rules(product)).encode("utf-8")
    write_file(output, page, FINDING_PAGE, force=force)
    return 0


def _find_rule(code: str, product: str) -> CheckRule:
    import difflib

    from ..errors import LyncnbError
    from ..rules.returned_rules import every_check
    from ..rules.rule_files import load_rules

    known = every_check(load_rules(product))
    wanted = code.strip().lower().replace("_", "-")
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=5, cutoff=0.4)
    raise LyncnbError(
        f'there is no finding "{code}"',
        hint=f"did you mean {', '.join(near)}?"
        if near
        else "take a code that check or receive shows in brackets",
    )


def _plan_row(certificate: PlannedCertificate) -> tuple[object, ...]:
    servers = ", ".join(certificate.servers[:_SERVERS_SHOWN])
    if len(certificate.servers) > _SERVERS_SHOWN:
        servers += f" … and {len(certificate.servers) - _SERVERS_SHOWN:,} more"
    return (
        certificate.role,
        servers,
        ", ".join(certificate.usages),
        certificate.subject.common_name,
        certificate.issuer,
        str(certificate.key),
        ", ".join(certificate.names),
    )


def _write_findings(findings: Findings, *, whole: bool = False) -> None:
    """Write one entry for each finding, with a count; whole: one for each place."""
    from ..rules.findings import FindingGroup, grouped

    groups = grouped(findings)
    if whole:  # the points of one subject stay together
        groups = tuple(FindingGroup(findings=(f,)) for group in groups for f in group.findings)
    for group in groups:
        if group.subject:
            write(indented(f"{group.severity}: {group.title} ({len(group.points)} points)", ""))
            for point in group.points:
                write(indented(f"- {point.title} [{point.codes[0]}]"))
        else:
            write(indented(f"{group.severity}: {group.words}", ""))
            write(indented(f"about {group.places} [{group.codes[0]}]"))
        if group.hint:
            write(indented(f"hint: {group.hint}"))
        if not group.subject:
            write(indented(f"source: {group.source}"))
        write()


COMMANDS = (plan_command, check_command, explain_command, finding_command)
