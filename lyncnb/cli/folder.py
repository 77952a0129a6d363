"""Define the commands that manage a request folder: request, renew, status, rekey and purge."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.shown.tables import format_count, group_statements, join_first_texts
from ..base.terminal import is_terminal
from .failures import INTERRUPTED
from .inputs import (
    WholeNumber,
    add_force_option,
    add_json_option,
    add_passphrase_option,
    add_plan_arguments,
    ask_about_other_deployment,
    get_passphrase,
    load_product,
    make_plan,
    parse_date,
    parse_reasons,
)
from .output import (
    make_progress_bar,
    mark_dry_run,
    stop_on_interrupt,
    write,
    write_file,
    write_json,
    write_lines,
    write_next_folder_step,
    write_next_steps,
    write_note,
    write_table,
)

if TYPE_CHECKING:
    from ..authorities.status import FolderStatus
    from ..checks.saved_plan import SavedPlan
    from ..pki.passphrase import Secret
    from ..plan.model import CertificatePlan
    from ..request_folder.bundle import Change, RequestBundle
    from ..request_folder.request_record import RecoveryKey
    from ..rules.findings import Findings

_LINES_SHOWN = 200
_REWORDED_SHOWN = 5
_NEEDS_ATTENTION = 3


@click.command("request")
@add_plan_arguments
@click.argument("folder", metavar="FOLDER", required=False)
@click.option(
    "--plan", "saved_plan", metavar="FILE",
    help=("Write the requests from the saved plan in FILE, instead of from TOPOLOGY. lyncnb "
         "computes the plan again, and refuses FILE if the result is different."),
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help=("With --plan: require a valid signature in FILE.sig by a signer on this list (an "
         "allowed signers file for ssh-keygen)."),
)  # fmt: skip
@click.option(
    "--unapproved", default="", metavar="REASON",
    help=("Reason for replacing the approved plan in FOLDER with a plan that is not approved. "
          "lyncnb records the reason in FOLDER."),
)  # fmt: skip
@click.option(
    "--dry-run",
    is_flag=True,
    help=("Show the changes and the reason for each change, without changing anything."),
)
@add_json_option
@click.option(
    "--workers", type=WholeNumber(1), metavar="N",
    help="Number of threads or processes. With --cluster: number of requests that are created "
         "at the same time.",
)  # fmt: skip
@click.option(
    "--accept", multiple=True, metavar="CODE=REASON", callback=parse_reasons,
    help="Accept error findings with this code. lyncnb records the reason in the "
         "manifest. You can repeat this option.",
)  # fmt: skip
@click.option(
    "--renew", multiple=True, metavar="ID",
    help=("Create this request again, even if nothing changed. You can repeat this option. Also "
         "specify --reason."),
)  # fmt: skip
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="Reason for --renew, for a plan (--plan) that is older than the plan in FOLDER, or for "
    "retiring the requests of another deployment in FOLDER.",
)
@click.option(
    "--only-missing", metavar="FILE.json",
    help=("List of installed certificates, which lyncnb asis or lyncnb probe wrote with --save "
         "FILE.json. To request a certificate that the probe did not see, specify --accept "
         "not-seen=REASON. To keep using an installed certificate, specify --reuse ID."),
)  # fmt: skip
@click.option(
    "--reuse", multiple=True, metavar="ID",
    help=("Do not create a request for ID. Use this option if you have an installed certificate "
          "and its private key. You can repeat this option."),
)  # fmt: skip
@click.option(
    "--recovery", multiple=True, metavar="FILE.pub",
    help="Public half of a recovery key that can also open FOLDER. You can repeat this option.",
)  # fmt: skip
@click.option(
    "--team", default="", metavar="GROUP",
    help=("Share FOLDER with the members of GROUP. They can read and write FOLDER (mode 2770, "
          "files 0660). lyncnb records the group in FOLDER."),
)  # fmt: skip
@click.option(
    "--cluster", metavar="ADDRESS",
    help=("Generate the keys on the workers of this Dask scheduler (requires distributed). "
         "Without this option, lyncnb opens no network connection. A scheduler on another "
         "computer needs a tls:// address."),
)  # fmt: skip
@click.option(
    "--cluster-without-tls", is_flag=True,
    help=("Connect to --cluster without TLS. Anyone on the network can then read the requests "
          "and run programs on the workers."),
)  # fmt: skip
@add_passphrase_option
def request_command(
    topology: str,
    product: str | None,
    options_file: str | None,
    folder: str | None,
    saved_plan: str | None,
    approved_by: str | None,
    dry_run: bool,
    as_json: bool,
    passphrase_file: str | None,
    **choices: Any,
) -> int:
    """Write keys, certificate signing requests and the summary for TOPOLOGY's plan into FOLDER.

    To use a saved plan (lyncnb plan --save), specify --plan FILE instead of TOPOLOGY. Without
    a signature, FILE shows accidental changes, but not who approved the plan. With
    --approved-by, FILE must be signed (lyncnb approve), and lyncnb records in FOLDER who
    signed the plan. From then on, lyncnb refuses to write a plan that is not approved to FOLDER,
    unless you specify --unapproved with a reason.

    lyncnb never overwrites or removes a key if a CA may have the request. If the plan is the
    same, nothing changes. If a planned certificate changed, lyncnb creates a new key and
    request, and moves the old key and request to archive/.

    lyncnb records the certificates that you reuse (--only-missing and --reuse), and does not
    request them later. lyncnb requests such a certificate again if its plan changes, if the
    installed certificate expires, or if you specify it with --renew.

    Exit status: 0 success; 1 if the plan has errors that are not accepted, is outdated or is
    not approved; 2 if a saved plan was altered, or something cannot be read; 3 if the folder
    or its passphrase needs attention.
    """
    from ..base.disk.outputs import reject_reserved_path
    from ..export.executors import Making
    from ..export.write import write_requests

    topology, folder = _split_arguments(topology, folder, options_file, saved_plan)
    _check_usage(folder, saved_plan, approved_by, choices)
    reject_reserved_path(folder)
    source_plan: CertificatePlan | SavedPlan
    if saved_plan is not None:
        source_plan = _read_plan(saved_plan, product, ignore_rewording=approved_by is not None)
        plan, findings = source_plan.plan, source_plan.findings
        _show_approval(source_plan, approved_by, folder, choices["accept"])
    else:
        plan, findings = make_plan(topology, product, options_file)
        source_plan = plan
    _reject_unknown_codes(plan, choices["accept"])
    order = {name: choices[name] for name in ("accept", "renew", "reason", "only_missing", "reuse")}
    extra_arguments = {
        "findings": None if saved_plan is not None else findings,
        "approved_by": approved_by,
        "unapproved": choices["unapproved"],
        "team": choices["team"],
    }
    if dry_run:
        bundle = write_requests(
            source_plan, folder, passphrase=None, dry_run=True, **extra_arguments, **order,
        )  # fmt: skip
        return show_changes(bundle, as_json=as_json)
    _show_expected_duration(plan, folder, findings, order)
    shown_notes = _warn_about_location(folder)
    reason = "" if choices["renew"] else choices["reason"].strip()
    ask_about_other_deployment(plan, folder, reason, has_purpose=saved_plan is not None)
    secret = _get_folder_passphrase(plan, folder, passphrase_file)
    progress, finish = make_progress_bar("requests")
    with stop_on_interrupt() as cancel, _open_executor(choices) as executor:
        try:
            bundle = write_requests(
                source_plan, folder, passphrase=secret, recovery=choices["recovery"],
                making=Making(
                    workers=choices["workers"], executor=executor, progress=progress, cancel=cancel
                ),
                **extra_arguments, **order,
            )  # fmt: skip
        finally:
            finish()
    notes = tuple(text for text in bundle.notes if as_json or text not in shown_notes)
    return show_changes(replace(bundle, notes=notes), as_json=as_json)


def _check_usage(
    folder: str, saved_plan: str | None, approved_by: str | None, choices: Mapping[str, Any]
) -> None:
    if approved_by is not None and saved_plan is None:
        raise click.UsageError(
            "--approved-by needs --plan, because only a saved plan can be approved"
        )
    if not folder.strip():
        # If a shell variable is not set, the path is empty. An empty path would mean the current
        # folder, so it is rejected.
        raise click.UsageError("the argument FOLDER is blank")
    if choices["reuse"] and not choices["only_missing"]:
        raise click.UsageError("--reuse needs --only-missing FILE.json")


def _warn_about_location(folder: str) -> tuple[str, ...]:
    """Warn about an unsuitable location of a new request folder, before anything is written."""
    from ..request_folder.folder_location import list_location_warnings
    from ..request_folder.manifest import NAME

    notes = () if os.path.lexists(Path(folder, NAME)) else list_location_warnings(Path(folder))
    for text in notes:
        write_note(f"note: {text}")
    return notes


def _split_arguments(
    topology: str, folder: str | None, options_file: str | None, saved_plan: str | None
) -> tuple[str, str]:
    """Return the table and the request folder from the arguments of a command.

    With a saved plan, the only argument is the folder.
    """
    if saved_plan is None:
        if folder is None:
            raise click.UsageError("Missing argument 'FOLDER'")
        return topology, folder
    if folder is not None:
        raise click.UsageError("--plan already contains the table, so specify only FOLDER")
    if options_file is not None:
        raise click.UsageError("--plan already contains the options, so omit --options")
    return "", topology


def _read_plan(path: str, product: str | None, *, ignore_rewording: bool) -> SavedPlan:
    from ..checks.saved_plan import read_saved_plan
    from ..rules.rule_files import load_rules

    if product is not None:
        # A product file from the user must be loaded before the plan, because the plan may use its
        # roles.
        load_rules(product)
    saved = read_saved_plan(path, reworded=ignore_rewording)
    load_product(product, saved.plan.rules.product, path)
    _note_new_errors(saved)
    return saved


def _note_new_errors(saved_plan: SavedPlan) -> None:
    """Report the errors that a saved plan has under today's rules, but not on its evaluation date.

    The plan's evaluation date still decides whether lyncnb writes requests.
    """
    from ..checks.check_plan import check_plan, choose_present_date
    from ..plan.acceptances import list_acceptances

    today = choose_present_date(saved_plan.plan)
    if today == saved_plan.judged_on:
        return
    before = {(error.code, error.about) for error in saved_plan.findings.of("error")}
    # An error whose acceptance has expired since the plan's evaluation date is also new.
    before -= {
        (error.code, error.about)
        for error in list_acceptances(saved_plan.findings, saved_plan.plan.options)
    }
    present = check_plan(saved_plan.plan, on=today)
    accepted = list_acceptances(present, saved_plan.plan.options)
    new_codes = [
        error.code
        for error in present.of("error")
        if (error.code, error.about) not in before and error not in accepted
    ]
    if new_codes:
        write_note(
            f"note: the evaluation date of {saved_plan.path} is {saved_plan.judged_on}. Under the "
            f"rules in force on {today}, the plan has {format_count(len(new_codes), 'new error')} "
            f"({', '.join(sorted(set(new_codes)))})"
        )


def _show_approval(
    saved_plan: SavedPlan, approved_by: str | None, folder: str, accept: Mapping[str, str]
) -> None:
    """Show who approved the plan, before lyncnb asks for a passphrase."""
    if approved_by is None:
        return
    from ..export.approve_plan import check_approval

    for approval in check_approval(saved_plan, approved_by, folder=folder, accept=accept):
        when = f" (recorded on {approval.verified_at[:10]})" if approval.verified_at else ""
        write_note(f"{approval.signer} approved the plan with the key {approval.key}{when}.")
    for text in saved_plan.reworded[:_REWORDED_SHOWN]:
        write_note(f"note: the wording of the plan changed after the approval: {text}")
    if len(saved_plan.reworded) > _REWORDED_SHOWN:
        write_note(
            f"note: lyncnb does not show {len(saved_plan.reworded) - _REWORDED_SHOWN:,} more "
            "changes in wording after the approval"
        )


@contextmanager
def _open_executor(choices: Mapping[str, Any]) -> Iterator[Executor | None]:
    """Yield the executor of the cluster, or None if ``--cluster`` is not specified."""
    if choices["cluster"] is None:
        yield None
        return
    from ..export.cluster import connect_to_cluster

    without_tls = choices["cluster_without_tls"]
    with connect_to_cluster(choices["cluster"], without_tls=without_tls) as executor:
        yield executor


def _reject_unknown_codes(plan: CertificatePlan, accept: Mapping[str, str]) -> None:
    # A misspelled code would accept no finding, and the user would not see why.
    from ..rules.returned_rules import list_all_checks

    for code in accept:
        if code not in list_all_checks(plan.rules):
            raise click.UsageError(f'--accept: no finding has the code "{code}"')


@click.command("renew")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--due", is_flag=True,
    help=("Renew all certificates that are due for renewal and have no replacement in progress. "
         "Do not specify NAME."),
)  # fmt: skip
@click.option(
    "--issuer", default="", metavar="NAME",
    help=("Renew all certificates in use or under way from this issuer: internal, public, the name "
          "of a CA in plan.toml, or the common name of an issuing certificate."),
)  # fmt: skip
@click.option(
    "--serials", metavar="FILE",
    help=("Renew the certificates whose serial numbers are in this text file, such as the list of "
          "a CA that revokes certificates."),
)  # fmt: skip
@click.option(
    "--replace-by", metavar="DATE",
    help=("The last date on which servers can use the certificates, for example the day before the "
          "CA revokes them. lyncnb records it and plans the installation before it."),
)  # fmt: skip
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help=(
        "Reason for the renewal. Each new request records this reason. Required, unless you "
        "specify --compromised."
    ),
)
@click.option(
    "--compromised", is_flag=True,
    help=("Use this option if the private key may be compromised. lyncnb then also records in "
         "FOLDER that the CA must revoke the current certificate."),
)  # fmt: skip
@click.option(
    "--withdraw", is_flag=True,
    help=("Withdraw a request that is still waiting for a certificate. On a terminal, lyncnb "
         "asks for confirmation first."),
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help=("Allowed signers file for ssh-keygen. Required if the plan in FOLDER is approved. The "
         "file must still list the signer."),
)  # fmt: skip
@click.option(
    "--dry-run",
    is_flag=True,
    help=("Show the changes and the reason for each change, without changing anything."),
)
@click.option(
    "--product",
    metavar="NAME",
    help="FILE.toml that defines your own product. Use the same file as for lyncnb request.",
)
@add_json_option
@click.option("--workers", type=WholeNumber(1), metavar="N", help="Number of threads or processes.")
@add_passphrase_option
def renew_command(
    folder: str,
    names: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    product: str | None,
    workers: int | None,
    passphrase_file: str | None,
    **choices: Any,
) -> int:
    """Create new keys and requests for certificates in FOLDER, from the plan in FOLDER.

    NAME is an ID or the beginning of an ID, a server, a pattern such as "*.contoso.com", a
    serial number or a thumbprint. Subject, names and all other fields stay as planned. lyncnb
    evaluates the plan under today's rules. The current certificates stay in use until the new
    ones are installed, and lyncnb removes no key. If the key is on another computer, lyncnb
    writes a script to steps/ that requests the certificate there, and needs no passphrase.

    Exit status: 0 success; 1 if the plan has errors under today's rules, or is not approved;
    2 if something cannot be read; 3 if the folder or its passphrase needs attention, or a
    request is already waiting for its certificate.
    """
    from ..authorities.summary_files import explain_stale_summary
    from ..deploy.request_scripts import write_renewal_scripts
    from ..export.executors import Making
    from ..export.renew import renew
    from ..request_folder.manifest import read_manifest

    _check_renewal(names, choices)
    choices["replace_by"] = parse_date(choices["replace_by"])
    load_product(product, read_manifest(Path(folder)).product, folder)
    ahead = _ask_to_withdraw(folder, names, choices)
    if dry_run or not ahead.changes:
        return show_changes(replace(ahead, dry_run=dry_run), as_json=as_json)
    # A key on another computer needs no passphrase, and the folder may not have one yet.
    # After an interruption, the keys may exist, and lyncnb compares them with their requests.
    changes = [item for item in ahead.changes if item.action != "kept"] or ahead.changes
    holders = [ahead.manifest.by_id[item.id].key_holder for item in changes]
    needs_secret = choices["compromised"] or not all(holders)
    secret = get_passphrase(passphrase_file) if needs_secret else None
    progress, finish = make_progress_bar("requests")
    with stop_on_interrupt() as cancel:
        making = Making(workers=workers, progress=progress, cancel=cancel)
        try:
            bundle = renew(folder, *names, passphrase=secret, making=making, **choices)
        finally:
            finish()
    paths = write_renewal_scripts(bundle)
    status = show_changes(bundle, as_json=as_json)
    if paths and not as_json:
        write_lines(f"written: {join_first_texts([*map(str, paths)], 1)}")
    if text := explain_stale_summary(bundle.folder, bundle.manifest):
        write_note(text)
    return status


def _check_renewal(names: tuple[str, ...], choices: Mapping[str, Any]) -> None:
    selections = [bool(names), choices["due"], bool(choices["issuer"])]
    selections.append(choices["serials"] is not None)
    if sum(selections) != 1:
        raise click.UsageError(
            "specify only one of NAME (an ID, a server or a pattern), --due, --issuer and --serials"
            if any(selections)
            else (
                "specify the certificates to renew: NAME (an ID, a server or a pattern), --issuer "
                "or --serials, or --due for all certificates that are due for renewal"
            )
        )
    if choices["compromised"] and not names:
        raise click.UsageError("--compromised needs the NAME of a certificate")
    if not (choices["reason"].strip() or choices["compromised"]):
        raise click.UsageError("a renewal needs a reason: specify --reason TEXT")


def _ask_to_withdraw(folder: str, names: tuple[str, ...], choices: dict[str, Any]) -> RequestBundle:
    """Return the changes that a renewal makes, and ask before a waiting request is withdrawn."""
    from ..errors import RequestWaits
    from ..export.renew import renew

    try:
        return renew(folder, *names, passphrase=None, dry_run=True, **choices)
    except RequestWaits as waiting:
        if not is_terminal(sys.stdin):
            raise
        write_note(waiting.message)
        for problem in waiting.problems:
            write_note(str(problem))
        answer = click.prompt("To withdraw the request, type yes", default="no", err=True)
        if answer.strip().lower() != "yes":
            raise
    choices["withdraw"] = True
    return renew(folder, *names, passphrase=None, dry_run=True, **choices)


def _show_expected_duration(
    plan: CertificatePlan, folder: str, findings: Findings, order: Mapping[str, Any]
) -> None:
    """Show the expected duration of a run before lyncnb asks for a passphrase.

    A plan with errors is rejected.
    """
    from ..errors import BundleError
    from ..export.covers import choose_covering_certificates
    from ..export.order import find_cover_date, make_order
    from ..export.write import write_requests

    if not is_terminal(sys.stderr):
        order_choices = {name: order[name] for name in ("accept", "renew", "reason")}
        day = find_cover_date(plan, "")
        covers = choose_covering_certificates(
            plan,
            order["only_missing"],
            order["reuse"],
            day=day,
            now="",
            accept=order["accept"],
        )
        make_order(plan, findings=findings, now="", covers=covers, **order_choices)
        return
    # The preview ignores problems in the folder, because the actual run reports them. The actual
    # run also waits until another process has finished writing.
    with suppress(BundleError):
        ahead = write_requests(
            plan, folder, passphrase=None, findings=findings, dry_run=True, **order
        )
        if ahead.notes and ahead.counts().keys() - {"kept"}:
            write_note(ahead.notes[-1])


def _get_folder_passphrase(
    plan: CertificatePlan, folder: str, passphrase_file: str | None
) -> Secret:
    """Return the passphrase of a request folder. For a new folder, reject a weak passphrase."""
    from ..request_folder.rebuild_manifest import has_encrypted_files

    # A folder that waits for requests from other computers has a manifest, but no key yet.
    if has_encrypted_files(folder):
        return get_passphrase(passphrase_file)
    return get_passphrase(passphrase_file, is_new=True, default=plan.known_words)


def show_changes(bundle: RequestBundle, *, as_json: bool) -> int:
    """Print what a run did to the requests of a folder, and return the exit status."""
    status = INTERRUPTED if bundle.cancelled else 0
    if as_json:
        write_json({"format": "lyncnb-result/1", **bundle.to_document()})
        return status
    changes = [change for change in bundle.ordered_changes if change.action != "kept"]
    would = "would be " if bundle.dry_run else ""
    statements = ((f"{would}{text}", subject) for text, subject in map(_describe_change, changes))
    lines = [*group_statements("request", statements)]
    with mark_dry_run(bundle.dry_run):
        write_lines(*lines[:_LINES_SHOWN])
        if len(lines) > _LINES_SHOWN:
            write(f"… and {len(lines) - _LINES_SHOWN:,} more; use --json to list all")
        write_lines(repr(bundle))
    for text in bundle.notes:
        write_note(f"note: {text}")
    if not bundle.dry_run and not bundle.cancelled:
        write_next_folder_step(bundle.folder, bundle.manifest)
    return status


def _describe_change(change: Change) -> tuple[str, str]:
    """Return the change to a request, the reasons for it, and the request's ID."""
    reasons = f" ({'; '.join(change.reasons)})" if change.reasons else ""
    return f"{change.action}, generation {change.generation}{reasons}", change.id


@click.command("status")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--on", metavar="DATE",
    help="Show which certificates the servers had on this date. With NAME, show only the "
         "certificates that NAME selects.",
)  # fmt: skip
@click.option(
    "--history", "wants_history", is_flag=True,
    help="Show the history of all certificates.",
)  # fmt: skip
@click.option(
    "--due", "due_days", metavar="DAYS", type=click.IntRange(0, 36_500),
    help="List only the certificates that are due within this number of days, for example for a "
         "mail. The exit status is then 1 if the list has an entry.",
)  # fmt: skip
@click.option(
    "-o", "output", metavar="FILE",
    help="Also write the table to a .csv, .xlsx, .html or .md file. With --on, the file has a row "
         "for each server and certificate.",
)  # fmt: skip
@add_json_option
@click.option(
    "--rebuild", is_flag=True,
    help="Decrypt every key, and adopt the keys and requests that are not on record. With NAME "
         "(an ID or a pattern), confirm that these requests are yours, if lyncnb cannot verify "
         "them; with the name of a missing entry, confirm that it is lost.",
)  # fmt: skip
@click.option(
    "--calendar", metavar="FILE.ics", help="Also write the renewal dates to a calendar file."
)
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="Verify the plan's approval with this allowed signers file (ssh-keygen format).",
)  # fmt: skip
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="Also list superseded generations and the certificates that the plan no longer contains.",
)
@click.option(
    "-v", "--verbose", is_flag=True,
    help="Also show the notes that stay the same: the plan, the team, and the recovery keys.",
)  # fmt: skip
@add_force_option
@add_passphrase_option
def status_command(
    folder: str,
    names: tuple[str, ...],
    on: str | None,
    wants_history: bool,
    due_days: int | None,
    output: str | None,
    as_json: bool,
    is_all: bool,
    verbose: bool,
    rebuild: bool,
    calendar: str | None,
    approved_by: str | None,
    force: bool,
    passphrase_file: str | None,
) -> int:
    """Show the state and validity of each certificate in FOLDER, and what is in progress.

    States: planned, waiting, issued, packaged, installed, refused, covered, expiring, expired,
    superseded, retired. A certificate is in use until its successor is recorded as installed
    on all servers (lyncnb deployed).

    Without --rebuild, lyncnb writes nothing and needs no passphrase. If other users can
    access the folder because you extracted it from an archive, lyncnb removes their
    permissions.

    With NAME (an ID, a server, a pattern, a serial number or a thumbprint), lyncnb shows the
    history of these certificates instead. The history lists each generation with its servers,
    who approved it, when it went to the CA, and who did what and why.

    Exit status: 0 success; 1 if a certificate needs attention: expired, due for renewal or
    installation, refused or to be revoked; 3 if files in the folder need attention.
    """
    from ..authorities.status import folder_status
    from ..authorities.status_report import STATUS_FILE, build_status_report
    from ..base.disk.outputs import check_output_path
    from ..base.shown.report import write_report
    from ..request_folder.files_on_disk import restrict_unpacked_files
    from ..request_folder.rebuild_manifest import has_encrypted_files, rebuild_manifest
    from ..request_folder.renewals import CALENDAR, write_renewals

    if (names and not rebuild) or on is not None or wants_history:
        if (
            *(rebuild, calendar is not None, approved_by is not None, is_all),
            *(due_days is not None, verbose),
        ) != (False,) * 6:
            raise click.UsageError(
                "you specified NAME, --on or --history, so lyncnb shows a history. The only other "
                "options for a history are --json and -o"
            )
        return _show_history(folder, names, on, output, force=force, as_json=as_json)
    for name, kind in ((calendar, CALENDAR), (output, STATUS_FILE)):
        if name is not None:
            check_output_path(name, kind, force=force)
    rebuilt = None
    if rebuild:
        secret = get_passphrase(passphrase_file) if has_encrypted_files(folder) else None
        rebuilt = rebuild_manifest(folder, secret, confirmed=names)
    for changed in restrict_unpacked_files(Path(folder)):
        write_note(changed)
    status = folder_status(folder, approved_by=approved_by)
    if due_days is not None:
        status = status.select_due(due_days)
    if calendar is not None:
        write_renewals(folder, calendar, force=force)
    if output is not None:
        data = write_report(build_status_report(status), Path(output).suffix.lower())
        write_file(output, data, STATUS_FILE, force=force)
    if as_json:
        extra_entries = {} if rebuilt is None else {"rebuilt": rebuilt.to_document()}
        write_json({"format": "lyncnb-status/1", **status.to_document(), **extra_entries})
    else:
        if rebuilt is not None:
            show_changes(rebuilt, as_json=False)
        _show_status(status, shows_all=is_all, shows_standing_notes=verbose)
    return status.exit_status


def _show_history(
    folder: str,
    names: tuple[str, ...],
    history_date: str | None,
    output: str | None,
    *,
    force: bool,
    as_json: bool,
) -> int:
    from ..authorities.certificate_history import certificate_history
    from ..authorities.status_report import build_history_report, find_history_kind
    from ..base.disk.outputs import check_output_path
    from ..base.shown.report import write_report

    kind = find_history_kind(is_for_date=history_date is not None)
    if output is not None:
        check_output_path(output, kind, force=force)
    history = certificate_history(folder, *names, history_date=parse_date(history_date))
    if output is not None:
        data = write_report(build_history_report(history), Path(output).suffix.lower())
        write_file(output, data, kind, force=force)
    if as_json:
        write_json({"format": "lyncnb-history/1", **history.to_document()})
    else:
        write_lines(history.to_text().rstrip("\n"))
    return 0


def _show_status(status: FolderStatus, *, shows_all: bool, shows_standing_notes: bool) -> None:
    # Requests that have no number yet, and superseded ones, follow at the end.
    visible_requests = sorted(
        status.requests if shows_all else status.shown, key=lambda row: row.number or math.inf
    )
    if visible_requests:
        columns = ("Servers", "No.", "State", "Due on", "Valid until", "Deployed", "Type")
        rows = [
            (
                join_first_texts(item.servers, 1) or item.id,
                item.number or "",
                item.state_text,
                *(item.due_on, item.usable_until[:10], item.deployed_on),
                join_first_texts(item.usages, 1) or item.role,
            )
            for item in visible_requests
        ]
        # While all requests wait for certificates, most columns are empty and are left out.
        used = [i for i in range(len(columns)) if any(row[i] not in ("", None) for row in rows)]
        # On a narrow terminal, only the first three columns are always there.
        write_table(
            [columns[i] for i in used],
            [[row[i] for i in used] for row in rows],
            optional=len(used) - 3,
        )
        write()
    write_lines(repr(status).splitlines()[0])
    if hidden_count := len(status.requests) - len(visible_requests):
        write_lines(
            f"lyncnb does not show {format_count(hidden_count, 'request')}, superseded, not "
            "planned any more, or on servers that left. To list all requests: lyncnb status "
            f"{status.folder} --all"
        )
    for problem in status.problems:
        write_note(f"lyncnb: {problem}")
    for item in [item for item in visible_requests if item.refused][:_LINES_SHOWN]:
        write_lines(f"{item.id}: {item.refused}")
    hidden_notes = () if shows_standing_notes else status.standing_notes
    for text in status.notes:
        if text not in hidden_notes:
            write_note(f"note: {text}")
    write_next_steps(*status.next_steps)


@click.command("rekey")
@click.argument("folder", metavar="FOLDER")
@add_passphrase_option
@click.option(
    "--new-passphrase-file",
    metavar="FILE",
    help=("File whose first line is the new passphrase."),
)
@click.option(
    "--recovery", multiple=True, metavar="FILE.pub",
    help=("Public half of a recovery key that can also open FOLDER. The passphrase does not "
         "change, unless you specify --new-passphrase-file. You can repeat this option."),
)  # fmt: skip
@click.option(
    "--without-recovery", multiple=True, metavar="FINGERPRINT",
    help=("Fingerprint of a recovery key to remove. The key can then no longer open FOLDER. This "
         "also needs a new passphrase. You can repeat this option."),
)  # fmt: skip
@click.option(
    "--with-recovery", metavar="FILE",
    help=("Open FOLDER with this recovery key and its passphrase, instead of with the folder's "
         "passphrase."),
)  # fmt: skip
@add_json_option
def rekey_command(
    folder: str,
    passphrase_file: str | None,
    new_passphrase_file: str | None,
    recovery: tuple[str, ...],
    without_recovery: tuple[str, ...],
    with_recovery: str | None,
    as_json: bool,
) -> int:
    """Encrypt every key and password list in FOLDER with a new passphrase.

    lyncnb opens and checks every file before it replaces the first one. If the command is
    interrupted, run it again with the same two passphrases. A recovery key that you remove
    still opens older copies of the folder.

    Exit status: 0 success; 3 if the folder or a passphrase needs attention.
    """
    from ..errors import PassphraseError
    from ..pki.passphrase import ask_passphrase
    from ..request_folder.change_passphrase import rekey
    from ..request_folder.manifest import read_manifest
    from ..request_folder.recovery_key import name_recovery_key, open_recovery_key

    # If lyncnb cannot read the folder, it reports the error before it asks for a passphrase.
    read_manifest(Path(folder))
    is_asked = is_terminal(sys.stdin)
    # If the user only adds a recovery key, the passphrase stays the same.
    is_new_needed = bool(without_recovery) or not recovery
    if is_new_needed and new_passphrase_file is None and not is_asked:
        raise PassphraseError(
            (
                "you did not specify a new passphrase, and lyncnb cannot prompt for it without a "
                "terminal"
            ),
            hint="specify a file that contains the new passphrase: --new-passphrase-file FILE",
        )
    if is_asked and passphrase_file is None:
        whose = "Enter the recovery key's passphrase." if with_recovery else ""
        write_note(whose or "Enter the folder's current passphrase.")
    passphrase = get_passphrase(passphrase_file)
    old = open_recovery_key(with_recovery, passphrase) if with_recovery else passphrase
    if recovery and with_recovery:
        raise click.UsageError(
            "--recovery needs the folder's passphrase. First run the command with "
            "--with-recovery alone"
        )
    for public_file in recovery:
        recovery_keys = name_recovery_key(folder, passphrase, public_file)
    if new_passphrase_file is None and not is_new_needed:
        return _show_recovery_keys(recovery_keys, as_json=as_json)
    if is_asked and new_passphrase_file is None:
        write_note("Enter the folder's new passphrase.")
    # The environment variable contains the current passphrase and not the new one.
    new = ask_passphrase(confirm=True, file=new_passphrase_file, environ=False)
    progress, finish = make_progress_bar("files")
    try:
        result = rekey(folder, old, new, take_out=without_recovery, progress=progress)
    finally:
        finish()
    if as_json:
        write_json({"format": "lyncnb-rekey/1", **result.to_document()})
    else:
        write_lines(repr(result))
    return _NEEDS_ATTENTION if result.not_opened else 0


def _show_recovery_keys(recovery_keys: Sequence[RecoveryKey], *, as_json: bool) -> int:
    fingerprints = [key.fingerprint for key in recovery_keys]
    if as_json:
        write_json({"format": "lyncnb-rekey/1", "recovery": fingerprints})
        return 0
    for fingerprint in fingerprints:
        write_lines(
            f"The recovery key {fingerprint} can now open the folder. The folder's "
            "passphrase still works."
        )
    return 0


@click.command("purge")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--deployed", multiple=True, metavar="ID",
    help=("Also remove the key and the package of the request with this ID. Specify a request only "
         "if its package is installed on all its servers. You can repeat this option."),
)  # fmt: skip
@click.option(
    "--confirm",
    metavar="TOKEN",
    help=("Remove exactly the files in the list that lyncnb purge showed with this TOKEN."),
)
@add_json_option
@add_passphrase_option
def purge_command(
    folder: str,
    deployed: tuple[str, ...],
    confirm: str | None,
    as_json: bool,
    passphrase_file: str | None,
) -> int:
    """Remove the files of superseded, expired, or deployed requests that FOLDER no longer needs.

    lyncnb keeps the key of a certificate in use until its successor is recorded as installed
    on all servers (lyncnb deployed). lyncnb first lists the files to remove. On a terminal,
    lyncnb then asks for confirmation. Without a terminal, specify the token below the list
    with --confirm. Otherwise, lyncnb removes nothing. You need the passphrase if the folder
    contains packages, or files that may be copies of keys.

    Exit status: 0 success; 3 if the folder needs attention.
    """
    from ..deploy.purge_keys import needs_passphrase, purge

    secret = get_passphrase(passphrase_file) if needs_passphrase(folder) else None
    purge_list = purge(folder, deployed=deployed, confirmed=confirm, passphrase=secret)
    if purge_list.is_done or purge_list.is_empty or as_json:
        _show_purge(purge_list, as_json=as_json)
        return 0
    _show_purge(purge_list, as_json=False)
    if is_terminal(sys.stdin):
        answer = click.prompt("To permanently remove these files, type yes", default="no", err=True)
        if answer.strip().lower() != "yes":
            write_note("nothing was removed")
            return 0
        result = purge(folder, deployed=deployed, confirmed=purge_list, passphrase=secret)
        write_lines(repr(result).splitlines()[0])
    return 0


def _show_purge(purge_list: Any, *, as_json: bool) -> None:
    if as_json:
        write_json({"format": "lyncnb-purge/1", **purge_list.to_document()})
        return
    write_lines(repr(purge_list))


COMMANDS = (request_command, status_command, renew_command, rekey_command, purge_command)
