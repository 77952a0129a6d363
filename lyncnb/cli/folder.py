"""The commands that manage a request folder: request, renew, status, rekey, purge."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..base.shown.tables import count_same
from .failures import INTERRUPTED
from .inputs import (
    day_of,
    force_option,
    get_passphrase,
    json_option,
    load_product,
    make_plan,
    passphrase_option,
    plan_arguments,
    reasons,
)
from .output import (
    is_terminal,
    note,
    progress_bar,
    stop_on_interrupt,
    write,
    write_folder_next,
    write_json,
    write_lines,
    write_next,
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
@plan_arguments
@click.argument("folder", metavar="FOLDER", required=False)
@click.option(
    "--plan", "saved_plan", metavar="FILE",
    help="Request a saved plan instead of TOPOLOGY. lyncnb plans FILE again, and refuses it if"
    " anything differs.",
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="With --plan: FILE.sig must be a valid signature of somebody in this allowed signers file"
    " of ssh-keygen.",
)  # fmt: skip
@click.option(
    "--unapproved", default="", metavar="REASON",
    help="Reason for requesting an unapproved plan into a FOLDER whose plan was approved. FOLDER"
    " records it.",
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done and why, and change nothing."
)
@json_option
@click.option(
    "--workers", type=click.IntRange(1), metavar="N",
    help="Number of threads or processes; with --cluster, of requests at the same time.",
)  # fmt: skip
@click.option(
    "--accept", multiple=True, metavar="CODE=REASON", callback=reasons,
    help="Accept error findings with this code. The manifest records the reason. May be repeated.",
)  # fmt: skip
@click.option(
    "--renew", multiple=True, metavar="ID",
    help="Make this request again although nothing changed. Needs --reason. May be repeated.",
)  # fmt: skip
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="Reason for --renew, or for --plan with an older plan.",
)
@click.option(
    "--only-missing", metavar="FILE.json",
    help="Installed certificates (lyncnb asis --save FILE.json). Each --reuse ID is left out.",
)  # fmt: skip
@click.option(
    "--reuse", multiple=True, metavar="ID",
    help="Make no request for ID, because an installed certificate covers it and its key is"
    " available. May be repeated.",
)  # fmt: skip
@click.option(
    "--recovery", multiple=True, metavar="FILE.pub",
    help="A recovery key that can also open FOLDER. May be repeated.",
)  # fmt: skip
@click.option(
    "--team", default="", metavar="GROUP",
    help="Make FOLDER for a team: members of this group can read and write it (mode 2770, files"
    " 0660). FOLDER records the group.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="ADDRESS",
    help="Make the keys on the workers of this Dask scheduler (needs lyncnb[cluster]). This is the"
    " only option that opens a connection. Another machine needs a tls:// address.",
)  # fmt: skip
@click.option(
    "--cluster-without-tls", is_flag=True,
    help="Connect to --cluster without TLS. Anybody on the network path can then read the requests"
    " and run programs on the workers.",
)  # fmt: skip
@passphrase_option
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

    To request a saved plan (lyncnb plan --save), give --plan FILE and no TOPOLOGY. An unsigned FILE
    proves only that nobody altered it after it was saved. With --approved-by, FILE must be signed
    (lyncnb approve), and FOLDER records who signed. FOLDER then refuses any plan that is not
    approved, unless --unapproved gives the reason.

    lyncnb never overwrites or removes a key whose request may be with a CA. The same plan again
    changes nothing. A changed certificate gets a new key and request, and the old pair moves to
    archive/.

    Later runs also leave out what --only-missing and --reuse left out, until the plan of that
    certificate changes, the installed certificate expires, or --renew names it.

    Exit status: 0; 1 if the plan has errors that are not accepted, is outdated or is not approved;
    2 if a saved plan was altered, or something cannot be read; 3 if the folder or its passphrase
    needs attention.
    """
    from ..base.disk.outputs import refuse_own_place
    from ..export.executors import Making
    from ..export.write import write_requests

    topology, folder = _table_and_folder(topology, folder, options_file, saved_plan)
    _check_usage(folder, saved_plan, approved_by, choices)
    refuse_own_place(folder)
    asked: CertificatePlan | SavedPlan
    if saved_plan is not None:
        asked = _saved_plan(saved_plan, product, reworded=approved_by is not None)
        plan, findings = asked.plan, asked.findings
        _show_approval(asked, approved_by, folder, choices["accept"])
    else:
        plan, findings = make_plan(topology, product, options_file)
        asked = plan
    _refuse_unknown_codes(plan, choices["accept"])
    order = {name: choices[name] for name in ("accept", "renew", "reason", "only_missing", "reuse")}
    given = {
        "findings": None if saved_plan is not None else findings,
        "approved_by": approved_by,
        "unapproved": choices["unapproved"],
        "team": choices["team"],
    }
    if dry_run:
        bundle = write_requests(
            asked, folder, passphrase=None, dry_run=True, **given, **order,
        )  # fmt: skip
        return _show_changes(bundle, as_json=as_json)
    _look_ahead(plan, folder, findings, order)
    shown = _location_notes(folder)
    _agree_to_other_deployment(plan, folder)
    secret = _folder_passphrase(plan, folder, passphrase_file)
    progress, finish = progress_bar("requests")
    with stop_on_interrupt() as cancel, _executor(choices) as executor:
        try:
            bundle = write_requests(
                asked, folder, passphrase=secret, recovery=choices["recovery"],
                making=Making(
                    workers=choices["workers"], executor=executor, progress=progress, cancel=cancel
                ),
                **given, **order,
            )  # fmt: skip
        finally:
            finish()
    notes = tuple(text for text in bundle.notes if as_json or text not in shown)
    return _show_changes(replace(bundle, notes=notes), as_json=as_json)


def _check_usage(
    folder: str, saved_plan: str | None, approved_by: str | None, choices: Mapping[str, Any]
) -> None:
    if approved_by is not None and saved_plan is None:
        raise click.UsageError("--approved-by needs --plan: only a saved plan can be approved")
    if not folder.strip():  # A shell variable that is not set. The current folder is ".".
        raise click.UsageError("FOLDER is blank")
    if choices["reason"] and not choices["renew"] and saved_plan is None:
        raise click.UsageError("--reason needs --renew: it is the reason for renewing")
    if choices["reuse"] and not choices["only_missing"]:
        raise click.UsageError("--reuse needs --only-missing FILE.json")


def _location_notes(folder: str) -> tuple[str, ...]:
    """Warn about the location of a new folder, while it is still easy to choose another one."""
    from ..request_folder.folder_location import location_notes
    from ..request_folder.manifest import NAME

    notes = () if os.path.lexists(Path(folder, NAME)) else location_notes(Path(folder))
    for text in notes:
        note(f"note: {text}")
    return notes


def _table_and_folder(
    topology: str, folder: str | None, options_file: str | None, saved_plan: str | None
) -> tuple[str, str]:
    """Return the table and the folder; with a saved plan, the only argument is the folder."""
    if saved_plan is None:
        if folder is None:
            raise click.UsageError("Missing argument 'FOLDER'")
        return topology, folder
    if folder is not None:
        raise click.UsageError("--plan contains the table: give only FOLDER")
    if options_file is not None:
        raise click.UsageError("--plan contains the options: leave --options out")
    return "", topology


def _saved_plan(path: str, product: str | None, *, reworded: bool) -> SavedPlan:
    from ..checks.saved_plan import read_saved_plan
    from ..rules.rule_files import load_rules

    if product is not None:
        load_rules(product)  # lyncnb knows a planner's own product from then on.
    saved = read_saved_plan(path, reworded=reworded)
    load_product(product, saved.plan.rules.product, path)
    _note_new_errors(saved)
    return saved


def _note_new_errors(saved: SavedPlan) -> None:
    """Report errors by the rules of today; the evaluation date of the plan decides."""
    from ..checks.check_plan import check_plan, present_day

    today = present_day(saved.plan)
    if today == saved.judged_on:
        return
    before = {(error.code, error.about) for error in saved.findings.of("error")}
    new_codes = {
        error.code
        for error in check_plan(saved.plan, on=today).of("error")
        if (error.code, error.about) not in before
    }
    if new_codes:
        note(
            f"note: the evaluation date of {saved.path} is {saved.judged_on}; by the rules of"
            f" {today} it has new errors: {', '.join(sorted(new_codes))}"
        )


def _show_approval(
    saved: SavedPlan, approved_by: str | None, folder: str, accept: Mapping[str, str]
) -> None:
    """Show who approved the plan, before lyncnb asks for a passphrase."""
    if approved_by is None:
        return
    from ..export.approve_plan import check_approval

    for approval in check_approval(saved, approved_by, folder=folder, accept=accept):
        when = f", on record since {approval.verified_at[:10]}" if approval.verified_at else ""
        note(f"approved by {approval.signer} with the key {approval.key}{when}")
    for text in saved.reworded[:_REWORDED_SHOWN]:
        note(f"note: as approved, {text}")
    if len(saved.reworded) > _REWORDED_SHOWN:
        note(f"note: … and {len(saved.reworded) - _REWORDED_SHOWN:,} more texts have new wording")


@contextmanager
def _executor(choices: Mapping[str, Any]) -> Iterator[Executor | None]:
    """Yield the executor of the cluster, or None without --cluster."""
    if choices["cluster"] is None:
        yield None
        return
    from ..export.cluster import cluster_executor

    without_tls = choices["cluster_without_tls"]
    with cluster_executor(choices["cluster"], without_tls=without_tls) as executor:
        yield executor


def _refuse_unknown_codes(plan: CertificatePlan, accept: Mapping[str, str]) -> None:
    # A misspelled code accepts nothing, and the planner would look for the cause elsewhere.
    from ..rules.returned_rules import every_check

    for code in accept:
        if code not in every_check(plan.rules):
            raise click.UsageError(f'--accept: there is no finding "{code}"')


@click.command("renew")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--due", is_flag=True,
    help="Instead of NAME: renew every certificate that is due and has no replacement under way.",
)  # fmt: skip
@click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="Reason for the renewal; each request records it. Required.",
)
@click.option(
    "--compromised", is_flag=True,
    help="The key may be compromised: also record that the CA must revoke the certificate in use.",
)  # fmt: skip
@click.option(
    "--withdraw", is_flag=True,
    help="Withdraw a request that waits for its certificate. On a terminal, lyncnb asks.",
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="If the plan of FOLDER was approved: the allowed signers file of ssh-keygen, in which its"
    " signer must still be valid.",
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Show what would be done and why, and change nothing."
)
@click.option(
    "--product", metavar="NAME", help="FILE.toml with your own product, as for lyncnb request."
)
@json_option
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Number of threads or processes."
)
@passphrase_option
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
    """Make new keys and requests for certificates of FOLDER, from the plan that it keeps.

    NAME is an id or its beginning, a server, a pattern such as "*.contoso.com", a serial number or
    a thumbprint. Subject, names and all other fields stay as planned. lyncnb evaluates the plan by
    the rules of today. The certificates in use stay in use until the new ones are installed, and
    lyncnb removes no key.

    Exit status: 0; 1 if the plan has errors by the rules of today, or is not approved; 2 if
    something cannot be read; 3 if the folder or its passphrase needs attention, or a request
    already waits for its certificate.
    """
    from ..authorities.summary_files import stale_note
    from ..export.executors import Making
    from ..export.renew import renew
    from ..request_folder.manifest import read_manifest

    _check_renewal(names, choices)
    load_product(product, read_manifest(Path(folder)).product, folder)
    ahead = _ask_to_withdraw(folder, names, choices)
    if dry_run or not ahead.changes:
        return _show_changes(replace(ahead, dry_run=dry_run), as_json=as_json)
    secret = get_passphrase(passphrase_file)
    progress, finish = progress_bar("requests")
    with stop_on_interrupt() as cancel:
        making = Making(workers=workers, progress=progress, cancel=cancel)
        try:
            bundle = renew(folder, *names, passphrase=secret, making=making, **choices)
        finally:
            finish()
    status = _show_changes(bundle, as_json=as_json)
    if text := stale_note(bundle.folder, bundle.manifest):
        note(text)
    return status


def _check_renewal(names: tuple[str, ...], choices: Mapping[str, Any]) -> None:
    if choices["due"] == bool(names):
        raise click.UsageError(
            "give NAME (an id, a server or a pattern) or --due, not both"
            if names
            else "name what to renew: NAME (an id, a server or a pattern), or --due for"
            " everything that is due"
        )
    if choices["due"] and choices["compromised"]:
        raise click.UsageError(
            "--compromised needs NAME, the certificate of the key, instead of --due"
        )
    if not (choices["reason"].strip() or choices["compromised"]):
        raise click.UsageError("the reason is missing: --reason TEXT")


def _ask_to_withdraw(folder: str, names: tuple[str, ...], choices: dict[str, Any]) -> RequestBundle:
    """Return what would be done; if a request waits, ask whether to withdraw it."""
    from ..errors import RequestWaits
    from ..export.renew import renew

    try:
        return renew(folder, *names, passphrase=None, dry_run=True, **choices)
    except RequestWaits as waiting:
        if sys.stdin is None or not sys.stdin.isatty():
            raise
        note(waiting.message)
        for problem in waiting.problems:
            note(str(problem))
        answer = click.prompt("Withdraw it? Type yes", default="no", err=True)
        if answer.strip().lower() != "yes":
            raise
    choices["withdraw"] = True
    return renew(folder, *names, passphrase=None, dry_run=True, **choices)


def _look_ahead(
    plan: CertificatePlan, folder: str, findings: Findings, order: Mapping[str, Any]
) -> None:
    """Refuse a plan with errors, and show how long it takes, before asking for a passphrase."""
    from ..errors import BundleError
    from ..export.changes import covering_day, make_order
    from ..export.covers import find_covers
    from ..export.write import write_requests

    if not is_terminal(sys.stderr):
        own = {name: order[name] for name in ("accept", "renew", "reason")}
        day = covering_day(plan, "")
        covers = find_covers(plan, order["only_missing"], order["reuse"], on=day, now="")
        make_order(plan, findings=findings, now="", covers=covers, **own)
        return
    # The run itself reports problems of the folder, and waits for another writer to end.
    with suppress(BundleError):
        ahead = write_requests(
            plan, folder, passphrase=None, findings=findings, dry_run=True, **order
        )
        if ahead.notes and ahead.counts().keys() - {"kept"}:
            note(ahead.notes[-1])


def _agree_to_other_deployment(plan: CertificatePlan, folder: str) -> None:
    """Ask for consent if the folder belongs to another deployment; a script gets a note."""
    from ..errors import BundleError
    from ..export.other_deployment import other_deployment

    other = other_deployment(plan, folder)
    if other is None:
        return
    note(f"note: {other.words}")
    is_asked = sys.stdin is not None and sys.stdin.isatty()
    if is_asked and not click.confirm(f"{other.consent}?", err=True):
        raise BundleError("nothing was written", hint="choose another folder for this plan")


def _folder_passphrase(plan: CertificatePlan, folder: str, passphrase_file: str | None) -> Secret:
    """Return the passphrase; a new folder refuses a weak one."""
    from ..plan.known_words import known_words
    from ..request_folder.rebuild_manifest import has_secrets

    # A folder that waits for requests from other computers has a manifest and no key yet.
    if has_secrets(folder):
        return get_passphrase(passphrase_file)
    return get_passphrase(passphrase_file, is_new=True, known=known_words(plan))


def _show_changes(bundle: RequestBundle, *, as_json: bool) -> int:
    status = INTERRUPTED if bundle.cancelled else 0
    if as_json:
        write_json({"format": "lyncnb-result/1", **bundle.to_document()})
        return status
    changes = [change for change in bundle.changes if change.action != "kept"]
    lines = [*count_same("request", map(_statement, changes))]
    write_lines(*lines[:_LINES_SHOWN])
    if len(lines) > _LINES_SHOWN:
        write(f"… and {len(lines) - _LINES_SHOWN:,} more; with --json all are listed")
    write_lines(repr(bundle))
    for text in bundle.notes:
        note(f"note: {text}")
    if not bundle.dry_run and not bundle.cancelled:
        write_folder_next(bundle.folder, bundle.manifest)
    return status


def _statement(change: Change) -> tuple[str, str]:
    """Return what was done with a request and why, and its id."""
    why = f" ({'; '.join(change.reasons)})" if change.reasons else ""
    return f"{change.action}, generation {change.generation}{why}", change.id


@click.command("status")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--on", metavar="DATE",
    help="Show which certificates the servers of NAME, or all servers, had on this day.",
)  # fmt: skip
@json_option
@click.option(
    "--rebuild", is_flag=True,
    help="Open every key, and make the manifest again from keys and requests.",
)  # fmt: skip
@click.option("--calendar", metavar="FILE.ics", help="Also write the renewals as a calendar.")
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="Verify who approved the plan, with this allowed signers file of ssh-keygen.",
)  # fmt: skip
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="Also list superseded generations and certificates that left the plan.",
)
@force_option
@passphrase_option
def status_command(
    folder: str,
    names: tuple[str, ...],
    on: str | None,
    as_json: bool,
    is_all: bool,
    rebuild: bool,
    calendar: str | None,
    approved_by: str | None,
    force: bool,
    passphrase_file: str | None,
) -> int:
    """Show the state of each certificate of FOLDER, how long it is valid, and what is under way.

    States: planned, waiting, issued, packaged, refused, covered, expiring, expired, superseded,
    retired. A certificate is in use until its successor is recorded on all servers (lyncnb
    deployed).
    Without --rebuild, lyncnb writes nothing and needs no passphrase.

    With NAME (an id, a server, a pattern, a serial number or a thumbprint), lyncnb shows the
    history of these certificates instead: each generation with its servers, who approved it, when
    it went to the CA, and who did what and why.

    Exit status: 0; 1 if a certificate needs attention: expired, due for renewal, refused or to be
    revoked; 3 if files of the folder do.
    """
    from ..authorities.status import folder_status
    from ..base.disk.outputs import check_output
    from ..request_folder.rebuild_manifest import has_secrets, rebuild_manifest
    from ..request_folder.renewals import CALENDAR, write_renewals

    if names or on is not None:
        if rebuild or calendar is not None or approved_by is not None or is_all:
            raise click.UsageError(
                "NAME and --on show a history, and take no other option except --json"
            )
        return _show_history(folder, names, on, as_json=as_json)
    if calendar is not None:
        check_output(calendar, CALENDAR, force=force)
    rebuilt = None
    if rebuild:
        secret = get_passphrase(passphrase_file) if has_secrets(folder) else None
        rebuilt = rebuild_manifest(folder, secret)
    status = folder_status(folder, approved_by=approved_by)
    if calendar is not None:
        write_renewals(folder, calendar, force=force)
    if as_json:
        more = {} if rebuilt is None else {"rebuilt": rebuilt.to_document()}
        write_json({"format": "lyncnb-status/1", **status.to_document(), **more})
    else:
        if rebuilt is not None:
            _show_changes(rebuilt, as_json=False)
        _show_status(status, is_all=is_all)
    return status.exit_status


def _show_history(folder: str, names: tuple[str, ...], on: str | None, *, as_json: bool) -> int:
    from ..authorities.certificate_history import certificate_history

    history = certificate_history(folder, *names, on=day_of(on))
    if as_json:
        write_json({"format": "lyncnb-history/1", **history.to_document()})
    else:
        write_lines(history.to_text().rstrip("\n"))
    return 0


def _show_status(status: FolderStatus, *, is_all: bool) -> None:
    shown = status.requests if is_all else status.shown
    if shown:
        columns = (
            "No.",
            "Certificate",
            "State",
            "Valid until",
            "Days left",
            "Under way",
            "Deployed",
        )
        rows = [
            (
                *(item.number or "", item.id, item.state, item.not_after[:10], item.days_left),
                *(item.under_way_words, item.deployed_on),
            )
            for item in shown
        ]
        # If all requests wait, most columns are empty.
        used = [i for i in range(len(columns)) if any(row[i] not in ("", None) for row in rows)]
        write_table([columns[i] for i in used], [[row[i] for i in used] for row in rows])
        write()
    write_lines(repr(status).splitlines()[0])
    if left := len(status.requests) - len(shown):
        write_lines(
            f"{left:,} superseded or no longer planned: lyncnb status {status.folder} --all"
        )
    for problem in status.problems:
        note(f"lyncnb: {problem}")
    for item in [item for item in shown if item.refused][:_LINES_SHOWN]:
        write_lines(f"{item.id}: {item.refused}")
    for text in status.notes:
        note(f"note: {text}")
    write_next(*status.next_steps)


@click.command("rekey")
@click.argument("folder", metavar="FOLDER")
@passphrase_option
@click.option(
    "--new-passphrase-file", metavar="FILE", help="File whose first line is the new passphrase."
)
@click.option(
    "--recovery", multiple=True, metavar="FILE.pub",
    help="A recovery key that can also open FOLDER. The passphrase stays the same, unless you give"
    " --new-passphrase-file. May be repeated.",
)  # fmt: skip
@click.option(
    "--without-recovery", multiple=True, metavar="FINGERPRINT",
    help="A recovery key that can no longer open FOLDER. May be repeated.",
)  # fmt: skip
@click.option(
    "--with-recovery", metavar="FILE",
    help="Open FOLDER with this recovery key and its own passphrase, instead of the folder's"
    " passphrase.",
)  # fmt: skip
@json_option
def rekey_command(
    folder: str,
    passphrase_file: str | None,
    new_passphrase_file: str | None,
    recovery: tuple[str, ...],
    without_recovery: tuple[str, ...],
    with_recovery: str | None,
    as_json: bool,
) -> int:
    """Encrypt every key and password list of FOLDER with a new passphrase.

    lyncnb opens and checks every file before it replaces the first one. After an interruption, give
    the same two passphrases again. A removed recovery key still opens older copies of the folder.

    Exit status: 0; 3 if the folder or a passphrase needs attention.
    """
    from ..errors import PassphraseError
    from ..pki.passphrase import ask_passphrase
    from ..request_folder.change_passphrase import rekey
    from ..request_folder.manifest import read_manifest
    from ..request_folder.recovery_key import name_recovery_key, open_recovery_key

    read_manifest(Path(folder))  # Fails before lyncnb asks for a passphrase.
    is_asked = is_terminal(sys.stdin)
    # To add only a recovery key, the passphrase stays the same.
    is_new_needed = bool(without_recovery) or not recovery
    if is_new_needed and new_passphrase_file is None and not is_asked:
        raise PassphraseError(
            "the new passphrase is missing, and there is no terminal to ask on",
            hint="give its file: --new-passphrase-file",
        )
    if is_asked and passphrase_file is None:
        whose = "The recovery key's own passphrase." if with_recovery else ""
        note(whose or "The folder's current passphrase.")
    given = get_passphrase(passphrase_file)
    old = open_recovery_key(with_recovery, given) if with_recovery else given
    if recovery and with_recovery:
        raise click.UsageError(
            "--recovery needs the folder's passphrase: first run --with-recovery alone"
        )
    for public_file in recovery:
        named = name_recovery_key(folder, given, public_file)
    if new_passphrase_file is None and not is_new_needed:
        return _show_recovery(named, as_json=as_json)
    if is_asked and new_passphrase_file is None:
        note("Its new passphrase.")
    # Not from the environment, which has the current passphrase.
    new = ask_passphrase(confirm=True, file=new_passphrase_file, environ=False)
    progress, finish = progress_bar("files")
    try:
        done = rekey(folder, old, new, take_out=without_recovery, progress=progress)
    finally:
        finish()
    if as_json:
        write_json({"format": "lyncnb-rekey/1", **done.to_document()})
    else:
        write_lines(repr(done))
    return _NEEDS_ATTENTION if done.not_opened else 0


def _show_recovery(named: Sequence[RecoveryKey], *, as_json: bool) -> int:
    fingerprints = [key.fingerprint for key in named]
    if as_json:
        write_json({"format": "lyncnb-rekey/1", "recovery": fingerprints})
        return 0
    for fingerprint in fingerprints:
        write_lines(f"recovery key {fingerprint} can open the folder, as can its passphrase")
    return 0


@click.command("purge")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--deployed", multiple=True, metavar="ID",
    help="Also remove the key and package of this request, because they are installed on all its"
    " servers. May be repeated.",
)  # fmt: skip
@click.option(
    "--confirm", metavar="TOKEN", help="Remove exactly the list that an earlier run showed."
)
@json_option
@passphrase_option
def purge_command(
    folder: str,
    deployed: tuple[str, ...],
    confirm: str | None,
    as_json: bool,
    passphrase_file: str | None,
) -> int:
    """Remove from FOLDER what no server uses any more: superseded, expired, deployed.

    The key of a certificate in use stays until its successor is recorded on all servers (lyncnb
    deployed). lyncnb first lists what it would remove. On a terminal, it then asks. Without a
    terminal, pass the token below the list to --confirm; otherwise nothing is removed. You need the
    passphrase if the folder has packages, or files that may be copies of keys.

    Exit status: 0; 3 if the folder needs attention.
    """
    from ..deploy.purge_keys import needs_passphrase, purge

    secret = get_passphrase(passphrase_file) if needs_passphrase(folder) else None
    listed = purge(folder, deployed=deployed, confirmed=confirm, passphrase=secret)
    if listed.is_done or listed.is_empty or as_json:
        _show_purge(listed, as_json=as_json)
        return 0
    _show_purge(listed, as_json=False)
    if sys.stdin is not None and sys.stdin.isatty():
        answer = click.prompt("Remove these for good? Type yes", default="no", err=True)
        if answer.strip().lower() != "yes":
            note("nothing was removed")
            return 0
        done = purge(folder, deployed=deployed, confirmed=listed, passphrase=secret)
        write_lines(repr(done).splitlines()[0])
    return 0


def _show_purge(listed: Any, *, as_json: bool) -> None:
    if as_json:
        write_json({"format": "lyncnb-purge/1", **listed.to_document()})
        return
    write_lines(repr(listed))


COMMANDS = (request_command, status_command, renew_command, rekey_command, purge_command)
