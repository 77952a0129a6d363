"""The commands that work on a request folder: request, renew, status, rekey, purge."""

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
_REWORDED_TOLD = 5
_NEEDS_ATTENTION = 3


@click.command("request")
@plan_arguments
@click.argument("folder", metavar="FOLDER", required=False)
@click.option(
    "--plan", "saved_plan", metavar="FILE",
    help="Request a saved plan, instead of a table: FILE is planned again, and refused if anything"
    " differs. Give FOLDER alone.",
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="With --plan: FILE.sig must be the signature of somebody whom this file of allowed signers"
    " (ssh-keygen's) lets sign now.",
)  # fmt: skip
@click.option(
    "--unapproved", default="", metavar="REASON",
    help="Why this plan is requested into a FOLDER whose plan was approved; goes on record.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done and why, touch nothing.")
@json_option
@click.option(
    "--workers", type=click.IntRange(1), metavar="N",
    help="Threads or processes; with --cluster, requests under way at once.",
)  # fmt: skip
@click.option(
    "--accept", multiple=True, metavar="CODE=REASON", callback=reasons,
    help="Accept error findings of this code; goes into the manifest. May be repeated.",
)  # fmt: skip
@click.option(
    "--renew", multiple=True, metavar="ID",
    help="Make this request anew although nothing changed. May be repeated; needs --reason.",
)  # fmt: skip
@click.option(
    "--reason", default="", metavar="TEXT", help="Why --renew, or --plan with an older plan."
)
@click.option(
    "--only-missing", metavar="FILE.json",
    help="What stands, as lyncnb asis --save FILE.json kept it: leave out each --reuse ID.",
)  # fmt: skip
@click.option(
    "--reuse", multiple=True, metavar="ID",
    help="What stands covers this one and its key is at hand: make no request. May be repeated.",
)  # fmt: skip
@click.option(
    "--recovery", multiple=True, metavar="FILE.pub",
    help="A recovery key that shall open FOLDER too. May be repeated.",
)  # fmt: skip
@click.option(
    "--team", default="", metavar="GROUP",
    help="Make FOLDER for a team: the members of this group can read and write it (mode 2770, files"
    " 0660). Goes on record.",
)  # fmt: skip
@click.option(
    "--cluster", metavar="ADDRESS",
    help="Let the workers of this Dask scheduler make the keys (extra lyncnb[cluster]); the one"
    " option that opens a connection. Another machine is reached by tls:// alone.",
)  # fmt: skip
@click.option(
    "--cluster-without-tls", is_flag=True,
    help="Reach --cluster without TLS: whoever is on the way can read the requests and run programs"
    " on the workers.",
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
    """Write keys, certification requests and the summary of TOPOLOGY's plan into FOLDER.

    With --plan FILE and no TOPOLOGY: of a saved plan (lyncnb plan --save). Unsigned, FILE proves
    that nothing was altered since it was saved, not who approved it; with --approved-by it must be
    signed (lyncnb approve). Who signed goes on record in FOLDER; another plan is then refused there
    unless it is approved too, or --unapproved says why not.

    No key whose request may be with a CA is overwritten or removed. The same plan again changes
    nothing; what changed gets a new key and request, and the old pair moves to archive/.

    What is left out by --only-missing and --reuse stays left out in later runs, until the plan asks
    for something else there, the certificate that covers it ends, or --renew names it.

    Exit status: 0; 1 if the plan has errors that are not accepted, or is outdated or not
    approved; 2 if a saved plan was altered, or something cannot be read; 3 if the folder
    or its passphrase needs attention.
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
        raise click.UsageError("--approved-by goes with --plan: only a saved plan is approved")
    if not folder.strip():  # a shell variable that is not set; the present folder is "."
        raise click.UsageError("FOLDER is blank")
    if choices["reason"] and not choices["renew"] and saved_plan is None:
        raise click.UsageError("--reason says why --renew is given, and it is not")
    if choices["reuse"] and not choices["only_missing"]:
        raise click.UsageError("--reuse goes with --only-missing FILE.json")


def _location_notes(folder: str) -> tuple[str, ...]:
    """Warn about where a new folder is, while another one is still easy to choose."""
    from ..request_folder.folder_location import location_notes
    from ..request_folder.manifest import NAME

    notes = () if os.path.lexists(Path(folder, NAME)) else location_notes(Path(folder))
    for text in notes:
        note(f"note: {text}")
    return notes


def _table_and_folder(
    topology: str, folder: str | None, options_file: str | None, saved_plan: str | None
) -> tuple[str, str]:
    """Tell the two arguments apart: with a saved plan the first and only one is the folder."""
    if saved_plan is None:
        if folder is None:
            raise click.UsageError("Missing argument 'FOLDER'")
        return topology, folder
    if folder is not None:
        raise click.UsageError("--plan holds the table: give FOLDER alone")
    if options_file is not None:
        raise click.UsageError("--plan holds the options: leave --options out")
    return "", topology


def _saved_plan(path: str, product: str | None, *, reworded: bool) -> SavedPlan:
    from ..checks.saved_plan import read_saved_plan
    from ..rules.rule_files import load_rules

    if product is not None:  # a product of one's own is known once its file was read
        load_rules(product)
    saved = read_saved_plan(path, reworded=reworded)
    load_product(product, saved.plan.rules.product, path)
    _tell_of_today(saved)
    return saved


def _tell_of_today(saved: SavedPlan) -> None:
    """Say what would be an error by the rules of today; the plan's own day is what counts."""
    from ..checks.check_plan import check_plan, present_day

    today = present_day(saved.plan)
    if today == saved.judged_on:
        return
    before = {(one.code, one.about) for one in saved.findings if one.severity == "error"}
    news = {
        one.code
        for one in check_plan(saved.plan, on=today)
        if one.severity == "error" and (one.code, one.about) not in before
    }
    if news:
        note(
            f"note: {saved.path} is judged by the rules of {saved.judged_on}; by those of {today}"
            f" there would be new errors: {', '.join(sorted(news))}"
        )


def _show_approval(
    saved: SavedPlan, approved_by: str | None, folder: str, accept: Mapping[str, str]
) -> None:
    """Say who approved the plan, before anybody is asked for a passphrase."""
    if approved_by is None:
        return
    from ..export.approve_plan import check_approval

    for one in check_approval(saved, approved_by, folder=folder, accept=accept):
        when = f", as on record since {one.verified_at[:10]}" if one.verified_at else ""
        note(f"approved by {one.signer} with the key {one.key}{when}")
    for words in saved.reworded[:_REWORDED_TOLD]:
        note(f"note: as approved, {words}")
    if len(saved.reworded) > _REWORDED_TOLD:
        note(f"note: … and {len(saved.reworded) - _REWORDED_TOLD:,} texts more are others now")


@contextmanager
def _executor(choices: Mapping[str, Any]) -> Iterator[Executor | None]:
    """Give the cluster's executor where one was asked for."""
    if choices["cluster"] is None:
        yield None
        return
    from ..export.cluster import cluster_executor

    without_tls = choices["cluster_without_tls"]
    with cluster_executor(choices["cluster"], without_tls=without_tls) as executor:
        yield executor


def _refuse_unknown_codes(plan: CertificatePlan, accept: Mapping[str, str]) -> None:
    # A misspelt code would accept nothing, and the planner would look for the reason elsewhere.
    from ..rules.returned_rules import every_check

    for code in accept:
        if code not in every_check(plan.rules):
            raise click.UsageError(f'--accept: there is no finding "{code}"')


@click.command("renew")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--due", is_flag=True,
    help="Instead of NAME: everything that is due by now and that nothing is under way to replace.",
)  # fmt: skip
@click.option(
    "--reason", default="", metavar="TEXT", help="Why; recorded with each request. Required."
)
@click.option(
    "--compromised", is_flag=True,
    help="The key may be in other hands: record that the CA is to revoke what is in use, too.",
)  # fmt: skip
@click.option(
    "--withdraw", is_flag=True,
    help="Give up a request that waits for its certificate. On a terminal you are asked.",
)  # fmt: skip
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="Where the plan of FOLDER was approved: the file of allowed signers (ssh-keygen's) that"
    " must still let its signer sign.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be done and why, touch nothing.")
@click.option(
    "--product", metavar="NAME", help="FILE.toml of your own product, as given to request."
)
@json_option
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Threads or processes.")
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
    a thumbprint. Subject, names and all else stay as planned; the plan is evaluated by the rules of
    today. The certificates in use stay in use until the new ones are on their servers, and no key
    is removed.

    Exit status: 0; 1 if the plan has errors by the rules of today, or is not approved; 2 if
    something cannot be read; 3 if the folder or its passphrase needs attention, or a request waits
    for its certificate already.
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
            "give NAME (an id, a server or a pattern) or --due, and not both"
            if names
            else "say what to renew: NAME (an id, a server or a pattern), or --due for all that"
            " is due"
        )
    if choices["due"] and choices["compromised"]:
        raise click.UsageError("--compromised: give NAME of what the key belongs to, not --due")
    if not (choices["reason"].strip() or choices["compromised"]):
        raise click.UsageError("say why: --reason TEXT")


def _ask_to_withdraw(folder: str, names: tuple[str, ...], choices: dict[str, Any]) -> RequestBundle:
    """Say what would be done; where a request waits, ask at a terminal whether to give it up."""
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
    """Refuse a plan with errors before anybody is asked for a passphrase; say how long it takes."""
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
    # Trouble with the folder is told by the run itself, which waits for another writer to end.
    with suppress(BundleError):
        ahead = write_requests(
            plan, folder, passphrase=None, findings=findings, dry_run=True, **order
        )
        if ahead.notes and ahead.counts().keys() - {"kept"}:
            note(ahead.notes[-1])


def _agree_to_other_deployment(plan: CertificatePlan, folder: str) -> None:
    """Have a person agree where the folder belongs to another deployment; a script is told."""
    from ..errors import BundleError
    from ..export.other_deployment import other_deployment

    other = other_deployment(plan, folder)
    if other is None:
        return
    note(f"note: {other.words}")
    is_asked = sys.stdin is not None and sys.stdin.isatty()
    if is_asked and not click.confirm(f"{other.consent}?", err=True):
        raise BundleError("nothing was written", hint="name another folder for this plan")


def _folder_passphrase(plan: CertificatePlan, folder: str, passphrase_file: str | None) -> Secret:
    """Get the passphrase; a person who chooses one for a new folder learns if it is weak."""
    from ..plan.known_words import known_words
    from ..request_folder.rebuild_manifest import has_secrets

    # A folder that waits for requests of other computers has a manifest and no key yet.
    if has_secrets(folder):
        return get_passphrase(passphrase_file)
    return get_passphrase(passphrase_file, is_new=True, known=known_words(plan))


def _show_changes(bundle: RequestBundle, *, as_json: bool) -> int:
    status = INTERRUPTED if bundle.cancelled else 0
    if as_json:
        write_json({"format": "lyncnb-result/1", **bundle.to_document()})
        return status
    news = [change for change in bundle.changes if change.action != "kept"]
    lines = [*count_same("request", map(_statement, news))]
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
    help="Open every key and make the manifest anew from keys and requests.",
)  # fmt: skip
@click.option("--calendar", metavar="FILE.ics", help="Write the renewals as a calendar, too.")
@click.option(
    "--approved-by", metavar="SIGNERS",
    help="Verify who approved the plan, by this file of allowed signers (ssh-keygen's).",
)  # fmt: skip
@click.option(
    "--all", "is_all", is_flag=True, help="List superseded generations and what left the plan, too."
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
    """Say of each certificate of FOLDER until when its servers are covered, and what is under way.

    planned, waiting, issued, packaged, refused, covered, expiring, expired, superseded or retired.
    What is on the servers counts from what was recorded (lyncnb deployed): a certificate is in use
    until its successor is on all of them. Without --rebuild nothing is written and no passphrase
    is needed.

    With NAME, an id, a server, a pattern, a serial number or a thumbprint, lyncnb shows the history
    of these certificates instead: each generation with its servers, who approved it, when it went
    to the CA, and who did what and why.

    Exit status: 0; 1 if a certificate needs attention: expired, due for renewal, refused or to be
    revoked; 3 if files of the folder do.
    """
    from ..authorities.status import folder_status
    from ..base.disk.outputs import check_output
    from ..request_folder.rebuild_manifest import has_secrets, rebuild_manifest
    from ..request_folder.renewals import CALENDAR, write_renewals

    if names or on is not None:
        if rebuild or calendar is not None or approved_by is not None or is_all:
            raise click.UsageError("NAME and --on show a history: give no other option but --json")
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
        columns = ("Certificate", "State", "Valid until", "Days left", "Under way", "Deployed")
        rows = [
            (
                *(item.id, item.state, item.not_after[:10], item.days_left),
                *(item.under_way_words, item.deployed_on),
            )
            for item in shown
        ]
        # A folder whose requests wait has nothing to say in most of them.
        told = [at for at in range(len(columns)) if any(row[at] not in ("", None) for row in rows)]
        write_table([columns[at] for at in told], [[row[at] for at in told] for row in rows])
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
    help="A recovery key that shall open FOLDER too; the passphrase stays as it is, unless"
    " --new-passphrase-file is given. May be repeated.",
)  # fmt: skip
@click.option(
    "--without-recovery", multiple=True, metavar="FINGERPRINT",
    help="A recovery key that shall open FOLDER no longer. May be repeated.",
)  # fmt: skip
@click.option(
    "--with-recovery", metavar="FILE",
    help="Open FOLDER with this recovery key, whose own passphrase is asked for, instead of the"
    " folder's.",
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
    """Put every key and password list of FOLDER under another passphrase.

    Every file is opened and checked before the first one is replaced. After an interruption give
    the same two passphrases again. A recovery key that is taken out still opens copies of the
    folder that were made before.

    Exit status: 0; 3 if the folder or a passphrase needs attention.
    """
    from ..errors import PassphraseError
    from ..pki.passphrase import ask_passphrase
    from ..request_folder.change_passphrase import rekey
    from ..request_folder.manifest import read_manifest
    from ..request_folder.recovery_key import name_recovery_key, open_recovery_key

    read_manifest(Path(folder))  # nobody is asked for passphrases of a folder that is none
    is_asked = is_terminal(sys.stdin)
    # Before anything is done: to name a recovery key alone, the passphrase stays as it is.
    is_new_needed = bool(without_recovery) or not recovery
    if is_new_needed and new_passphrase_file is None and not is_asked:
        raise PassphraseError(
            "no new passphrase, and nobody to ask: standard input is no terminal",
            hint="give its file: --new-passphrase-file",
        )
    if is_asked and passphrase_file is None:
        whose = "The recovery key's own passphrase." if with_recovery else ""
        note(whose or "The folder's present passphrase.")
    given = get_passphrase(passphrase_file)
    old = open_recovery_key(with_recovery, given) if with_recovery else given
    if recovery and with_recovery:
        raise click.UsageError("--recovery needs the folder's passphrase: first --with-recovery")
    for public_file in recovery:
        named = name_recovery_key(folder, given, public_file)
    if new_passphrase_file is None and not is_new_needed:
        return _show_recovery(named, as_json=as_json)
    if is_asked and new_passphrase_file is None:
        note("Its new passphrase.")
    # Not from the environment: that is where the present one comes from.
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
    help="Key and certificate of this request are on all its servers: its key and package here"
    " can go. May be repeated.",
)  # fmt: skip
@click.option(
    "--confirm", metavar="TOKEN", help="Remove exactly the list that an earlier call showed."
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
    deployed). What goes is listed first. On a terminal you are then asked; elsewhere give the
    token that stands below the list with --confirm. Without it nothing is removed. The passphrase
    is needed where the folder has packages, or files that may be copies of keys.

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
