"""Define the commands from request to installation: handover, receive, pfx, steps and deployed."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..base.pasted_text import shown
from ..base.shown.tables import format_count, group_statements, join_first_texts
from ..base.terminal import is_terminal, quote_argument
from .folder import show_changes
from .inputs import (
    add_force_option,
    add_json_option,
    add_passphrase_option,
    ask_about_other_deployment,
    ask_pfx_password,
    expand_patterns,
    get_passphrase,
    load_product,
    make_plan,
    parse_date,
    parse_reasons,
)
from .output import (
    make_progress_bar,
    mark_dry_run,
    write_json,
    write_lines,
    write_next_folder_step,
    write_note,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..authorities.returned.issued import IssuedCertificates
    from ..deploy.server_steps import DeploymentSteps
    from ..request_folder.bundle import RequestBundle


@click.command("handover")
@click.argument("folder", metavar="FOLDER")
@click.argument("out", metavar="OUT.zip")
@click.option(
    "--issuer",
    default="",
    metavar="X",
    help="Include only requests for this issuer: internal, public, or the name of a CA.",
)
@click.option("--site", metavar="X", help="Include only requests for this site.")
@click.option("--pool", default="", metavar="X", help="Include only requests for this pool.")
@click.option(
    "--template", "templates", multiple=True, metavar="[clientAuth=]NAME",
    help=("Name (not display name) of the AD CS certificate template (default: WebServer). To "
         "use another template for requests with client authentication, specify "
         "clientAuth=TEMPLATE."),
)  # fmt: skip
@click.option(
    "--sender",
    default="",
    metavar="TEXT",
    help=("Name of the sender, which the package shows to the operators of the CA."),
)
@click.option(
    "--needed-by",
    metavar="DATE",
    help="The date by which you need the certificates, such as 2026-12-01 (default: the "
    "planned issue date).",
)
@add_force_option
@add_json_option
@add_passphrase_option
def handover_command(
    folder: str,
    out: str,
    as_json: bool,
    force: bool,
    passphrase_file: str | None,
    needed_by: str | None,
    templates: tuple[str, ...],
    **choice: Any,
) -> int:
    """Package the requests for a CA, with a summary and submission commands, but without keys.

    With the passphrase in --passphrase-file or LYNCNB_PASSPHRASE, lyncnb also compares each
    request with its key. Otherwise, the page in the package says that it did not.

    Exit status: 0 success; 3 if no request is waiting for a certificate, or the folder needs
    attention.
    """
    from ..authorities.handover import hand_over
    from ..pki.passphrase import VARIABLE

    has_passphrase = passphrase_file is not None or VARIABLE in os.environ
    secret = get_passphrase(passphrase_file) if has_passphrase else None
    day = parse_date(needed_by)
    for name in templates:
        option = "client_template" if name.startswith("clientAuth=") else "template"
        choice[option] = name.removeprefix("clientAuth=")
    handover = hand_over(folder, out, force=force, needed_by=day, passphrase=secret, **choice)
    if as_json:
        write_json({"format": "lyncnb-handover/1", **handover.to_document()})
    else:
        write_lines(handover.to_text().rstrip("\n"))
    return 0


@click.command("receive")
@click.argument("folder", metavar="FOLDER")
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option(
    "--accept", multiple=True, metavar="CODE=REASON", callback=parse_reasons,
    help=("Accept a certificate although it has an error with this code. lyncnb records the "
         "reason in FOLDER. You can repeat this option."),
)  # fmt: skip
@click.option(
    "--request", "requests", multiple=True, metavar="FILE.req",
    help=("A request that was created on the computer that stores the private key. lyncnb "
         "compares the request with the plan, and adds it to FOLDER. You can repeat this "
         "option."),
)  # fmt: skip
@click.option(
    "--computer",
    default="",
    metavar="NAME",
    help=(
        "With --request: name of the computer that stores the private key, if the request "
        "does not contain this name."
    ),
)
@add_json_option
def receive_command(
    folder: str,
    files: tuple[str, ...],
    requests: tuple[str, ...],
    computer: str,
    accept: Mapping[str, str],
    as_json: bool,
) -> int:
    """Match certificates to the requests in FOLDER, and compare the certificates with the plan.

    FILE is a certificate in any format, a folder, a zip or tar.gz archive, a saved email
    (.eml) or a web page. Without FILE, lyncnb reads the files in returned/ in FOLDER. If a
    file contains a private key, lyncnb reports the key and never copies it. A certificate
    with an error goes to returned/refused/ and is not used. To evaluate a refused certificate
    again, specify --accept without FILE.

    With --request, lyncnb instead adds a request to FOLDER that was created with lyncnb steps
    --request-on-server. The key stays on the computer on which the request was created.

    Exit status: 0 success; 1 if something differs from the plan; 2 if a file cannot be read;
    3 if the folder needs attention.
    """
    if requests:
        if files:
            raise click.UsageError(
                "do not specify certificates together with --request. To receive the "
                "certificates, run the command again without --request"
            )
        return _receive_requests(folder, requests, computer, accept, as_json)
    if computer:
        raise click.UsageError("--computer needs --request")
    from ..authorities.import_certificates import receive

    issued = receive(folder, *expand_patterns(files), password=ask_pfx_password, accept=accept)
    if as_json:
        write_json(issued.to_document())
    else:
        write_lines(issued.to_text().rstrip("\n"))
        write_next_folder_step(folder, issued.bundle.manifest)
    _note_acceptable_certificates(folder, issued)
    _note_stale_summary(issued.bundle)
    return issued.exit_status


def _note_acceptable_certificates(folder: str, issued: IssuedCertificates) -> None:
    """Show how to accept the refused certificates, and which ones each command accepts.

    A command accepts a code for all refused certificates, also for those from earlier runs.
    """
    from ..rules.returned_rules import is_acceptable

    refused = [
        (record.id, {f.code for f in part.judgement.findings if f.severity == "error"})
        for record in issued.bundle.manifest.requests
        for part in record.refused
        if record.state == "waiting" and part.judgement is not None
    ]
    waiting = {request_id for request_id, _ in refused}
    choices = dict.fromkeys(
        tuple(sorted({f.code for f in certificate.findings if f.severity == "error"}))
        for certificate in issued.certificates
        if certificate.request_id in waiting
    )
    for codes in choices:
        if codes and all(map(is_acceptable, codes)):
            names = list(dict.fromkeys(name for name, errors in refused if errors <= set(codes)))
            options = " ".join(f"--accept {code}=REASON" for code in codes)
            write_note(
                f"To accept {format_count(len(names), 'certificate')} anyway "
                f"({join_first_texts(names, 20)}): lyncnb receive {quote_argument(folder)} "
                f"{options}"
            )


def _receive_requests(
    folder: str,
    requests: tuple[str, ...],
    computer: str,
    accept: Mapping[str, str],
    as_json: bool,
) -> int:
    """Add the files from ``receive FOLDER --request FILE.req`` to the request folder."""
    from ..authorities.import_requests import receive_requests

    received = receive_requests(
        folder, *expand_patterns(requests), computer=computer, accept=accept
    )
    if as_json:
        write_json(received.to_document())
    else:
        write_lines(received.to_text().rstrip("\n"))
        write_next_folder_step(folder, received.bundle.manifest)
    _note_stale_summary(received.bundle)
    return received.exit_status


def _note_stale_summary(bundle: RequestBundle) -> None:
    from ..authorities.summary_files import explain_stale_summary

    if text := explain_stale_summary(bundle.folder, bundle.manifest):
        write_note(text)


@click.command("pfx")
@click.argument("folder", metavar="FOLDER")
@click.option(
    "--target-os", default="", metavar="OS",
    help="Windows Server version of all servers, such as 2012R2, instead of the version in the "
         "plan.",
)  # fmt: skip
@click.option(
    "--without-chain", multiple=True, metavar="ID",
    help="Package this certificate even if its chain is incomplete. You can repeat this option.",
)  # fmt: skip
@click.option(
    "--show-password", metavar="ID", help="Show the password of one package on this terminal."
)
@click.option(
    "--product",
    metavar="NAME",
    help="FILE.toml that defines your own product. Use the same file as for lyncnb request.",
)
@add_passphrase_option
@add_json_option
def pfx_command(
    folder: str,
    target_os: str,
    without_chain: tuple[str, ...],
    show_password: str | None,
    product: str | None,
    passphrase_file: str | None,
    as_json: bool,
) -> int:
    """Package each issued certificate with its key and chain, for import on its servers.

    lyncnb uses the strongest encryption that the server's version of Windows can import. Each
    package has a different password. The list of passwords is encrypted with the folder's
    passphrase.

    Exit status: 0 success; 1 if a certificate cannot be packaged; 3 if the folder or its
    passphrase needs attention.
    """
    from ..authorities.certificates_on_record import load_issued_certificates
    from ..deploy.write_pfx import is_passphrase_needed, write_pfx
    from ..request_folder.bundle import open_requests

    if show_password:
        return _show_package_password(folder, show_password, passphrase_file)
    bundle = open_requests(folder)
    load_product(product, bundle.manifest.product, folder)
    issued = load_issued_certificates(bundle)
    progress, finish = make_progress_bar("packages")
    try:
        packages = write_pfx(
            issued,
            passphrase=(
                get_passphrase(passphrase_file) if is_passphrase_needed(issued.bundle) else None
            ),
            target_os=target_os,
            without_chain=without_chain,
            progress=progress,
        )
    finally:
        finish()
    if as_json:
        write_json(packages.to_document())
    else:
        write_lines(packages.to_text())
        write_next_folder_step(folder, packages.bundle.manifest)
    _note_stale_summary(packages.bundle)
    return packages.exit_status


def _show_package_password(folder: str, request_id: str, passphrase_file: str | None) -> int:
    from ..deploy.package_passwords import show_password
    from ..errors import BundleError

    if not (is_terminal(sys.stdout) and is_terminal(sys.stdin)):
        # A pipe or a log file could store the password, so it is shown only in a terminal.
        raise BundleError(
            "lyncnb shows a password only on a terminal", hint="do not redirect the output"
        )
    name = show_password(
        folder, request_id, get_passphrase(passphrase_file), show=_show_until_enter
    )
    write_note(f"The password of {name} is hidden again.")
    return 0


def _show_until_enter(password: str) -> None:
    """Show a password until the user presses Enter, and then erase it from the screen."""
    sys.stdout.write(f"{password}\n")
    sys.stdout.flush()
    click.prompt("Press Enter to hide the password", default="", show_default=False, err=True)
    # The escape sequence that moves the cursor up two lines and clears the rest of the screen.
    sys.stdout.write("\x1b[2A\x1b[J")


@click.command("steps")
@click.argument("folder", metavar="FOLDER|TOPOLOGY")
@click.option(
    "-o", "output", metavar="FILE",
    help=("Write only the checklist, to a .md or .html file. With --request-on-server: path of "
         "the request folder."),
)  # fmt: skip
@click.option(
    "--effective", multiple=True, metavar="[TYPE=]TIME",
    help=("Time at which rolled-over certificates take effect, such as 2026-12-01T08:00. To "
          "set the time for only one certificate type: "
          "AudioVideoAuthentication=2026-12-01T08:00."),
)  # fmt: skip
@click.option(
    "--changed/--all", "changed", default=None,
    help="Include only new certificates (the default after a renewal), or all certificates.",
)  # fmt: skip
@click.option(
    "--request-on-server", is_flag=True,
    help=("Write scripts that create the requests for TOPOLOGY on a computer with the Lync "
         "administrative tools."),
)  # fmt: skip
@click.option(
    "--product",
    metavar="NAME",
    help="Name of a product, or a FILE.toml that defines your own product. Use the same value "
    "as for lyncnb request.",
)
@click.option(
    "--options",
    "options_file",
    metavar="plan.toml",
    help="File with planning options, for use with --request-on-server.",
)
@click.option(
    "--template",
    default="",
    metavar="NAME",
    help="With --request-on-server: name (not display name) of the AD CS template for an internal"
    " CA.",
)
@click.option(
    "--computer",
    default="",
    metavar="NAME",
    help=(
        "With --request-on-server: the computer on which you will create the requests, if you "
        "know it."
    ),
)
@click.option(
    "--renew",
    multiple=True,
    metavar="ID",
    help=(
        "With --request-on-server: create the request with this ID again, even if nothing "
        "changed. Also specify --reason."
    ),
)
@click.option("--reason", default="", metavar="TEXT", help="Reason for --renew.")
@click.option(
    "--lang", metavar="LANG",
    help="Language of the checklists: en or zh-TW. The default is the language of the plan.",
)  # fmt: skip
@add_force_option
@add_json_option
def steps_command(
    folder: str,
    output: str | None,
    effective: tuple[str, ...],
    changed: bool | None,
    lang: str | None,
    request_on_server: bool,
    force: bool,
    product: str | None,
    as_json: bool,
    **choices: Any,
) -> int:
    """Write the deployment procedure: how to import and assign the certificates of each server.

    lyncnb writes checklists and a script for each server into steps/ in FOLDER, and removes
    the files of an earlier run. The scripts were not tested on Windows: read a script before
    you run it. If FOLDER contains the record of the certificate in use and you do not
    specify --effective, A/V and OAuth certificates roll over before that certificate expires.

    With --request-on-server, lyncnb creates no keys. Specify a request folder with -o. The
    folder then waits for requests from other computers (lyncnb receive --request). lyncnb
    writes a page, and a script for each certificate in TOPOLOGY, to steps/ in that folder.
    The keys are RSA 2048 or RSA 4096, because the cmdlet does not support other keys.

    Exit status: 0 success; 1 if a certificate is not packaged yet, or the plan has errors; 2
    if TOPOLOGY cannot be read; 3 if the folder needs attention.
    """
    if request_on_server:
        return _write_request_scripts_folder(
            folder, output, as_json, product=product, lang=lang, **choices
        )
    if any(choices.values()):
        names = [f"--{name.removesuffix('_file')}" for name in choices if choices[name]]
        raise click.UsageError(
            f"you can use {join_first_texts(names, len(names))} only together with "
            "--request-on-server"
        )
    from ..authorities.certificates_on_record import load_issued_certificates
    from ..base.disk.outputs import check_output_path
    from ..deploy.checklist import ASSUMPTION, CHECKLIST
    from ..deploy.step_files import write_steps
    from ..deploy.steps import deployment_steps
    from ..request_folder.bundle import open_requests

    if output is not None:
        check_output_path(output, CHECKLIST, force=force)
    bundle = open_requests(folder)
    load_product(product, bundle.manifest.product, folder)
    issued = load_issued_certificates(bundle)
    steps = deployment_steps(issued, effective=_parse_times(effective), changed=changed)
    written_paths = write_steps(
        steps.in_language(lang or steps.lang), folder, output=output, force=force
    )
    if steps.assumed:
        write_note(f"note: {ASSUMPTION}")
    _show_steps(steps, written_paths, as_json, "not packaged")
    if not as_json:
        write_next_folder_step(folder, bundle.manifest)
    _note_stale_summary(bundle)
    return steps.exit_status


def _write_request_scripts_folder(
    topology: str,
    output: str | None,
    as_json: bool,
    *,
    product: str | None,
    lang: str | None,
    options_file: str | None,
    template: str,
    computer: str,
    renew: tuple[str, ...],
    reason: str,
) -> int:
    """Write the folder and scripts for ``steps TOPOLOGY --request-on-server -o FOLDER``."""
    from ..base.disk.outputs import reject_reserved_path
    from ..deploy.request_scripts import request_scripts, write_request_scripts
    from ..export.requests_elsewhere import request_elsewhere

    if output is None or not output.strip():
        raise click.UsageError("--request-on-server needs -o FOLDER")
    reject_reserved_path(output)
    plan, findings = make_plan(topology, product, options_file)
    ask_about_other_deployment(plan, output, "" if renew else reason, has_purpose=bool(renew))
    # Build the scripts once before the folder is created, to reject an unknown language and keys
    # that the cmdlet cannot create.
    language = lang or plan.options.lang
    request_scripts(plan, template=template).in_language(language)
    bundle = request_elsewhere(
        plan, output, computer=computer, renew=renew, reason=reason, findings=findings
    )
    steps = request_scripts(plan, bundle, template=template).in_language(language)
    written_paths = write_request_scripts(steps, output)
    _show_steps(steps, written_paths, as_json, "not in these scripts", bundle)
    return 0


def _show_steps(
    steps: DeploymentSteps,
    paths: tuple[Path, ...],
    as_json: bool,
    missing_count: str,
    requests: RequestBundle | None = None,
) -> None:
    from ..deploy.checklist import list_all_sheets
    from ..deploy.sheets import build_sheet_document

    if as_json:
        write_json(
            {
                "format": "lyncnb-steps/1",
                "files": [str(path) for path in paths],
                "servers": [server.server for server in steps.servers],
                "sheets": {s.stem: build_sheet_document(s) for s in list_all_sheets(steps)},
                "missing": [{"id": gap.request, "why": gap.why} for gap in steps.missing],
                "covered": [{"id": gap.request, "why": gap.why} for gap in steps.covered],
                **({"changes": requests.to_document()["changes"]} if requests else {}),
            }
        )
        return
    left_out = [(gap.why, (missing_count, gap.request)) for gap in steps.missing]
    left_out += [(gap.why, ("not requested", gap.request)) for gap in steps.covered]
    requests_by_reason: dict[str, list[tuple[str, str]]] = {}
    for why, statement in left_out:
        requests_by_reason.setdefault(why, []).append(statement)
    for why, statements in requests_by_reason.items():
        write_lines(*group_statements("certificate", statements), f"  {why}")
    write_lines(steps.summary(), f"written: {join_first_texts([*map(str, paths)], 1)}")
    if requests is not None:
        show_changes(requests, as_json=False)


def _parse_times(texts: tuple[str, ...]) -> datetime | dict[str, datetime] | None:
    """Return the times in ``--effective``: one time for all usages, or one time for each usage."""
    times = {}
    for text in texts:
        usage, _, time = text.rpartition("=")
        try:
            times[usage] = datetime.fromisoformat(time)
        except ValueError:
            raise click.BadParameter(
                f"{shown(time)} is not a date and time; use the format 2026-12-01T08:00",
                param_hint="--effective",
            ) from None
    if "" in times:
        if len(times) > 1:
            raise click.BadParameter(
                "specify one time for all certificate types, or TYPE=TIME for each type",
                param_hint="--effective",
            )
        return times[""]
    return times or None


@click.command("deployed")
@click.argument("folder", metavar="FOLDER")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--on", metavar="DATE",
    help=("The installation date, such as 2027-03-15 (default: today). The date cannot be in "
          "the future. With NAME, this date replaces the recorded date."),
)  # fmt: skip
@click.option(
    "--report", "reports", multiple=True, metavar="FILE",
    help=("A server's report: the FILE that the server's script wrote with -Verify -Report "
          "FILE, or that lyncnb asis or lyncnb probe wrote with --save. You can repeat this "
          "option."),
)  # fmt: skip
@click.option(
    "--undo", is_flag=True,
    help=("Undo the newest record of each NAME. Without NAME, undo all records of the newest "
          "lyncnb deployed command, after lyncnb has listed them and you have confirmed."),
)  # fmt: skip
@click.option(
    "--gone", is_flag=True,
    help=("Record that the servers NAME left. Their certificates are no longer in use, and lyncnb "
          "purge can remove the keys."),
)  # fmt: skip
@click.option(
    "--revoked", is_flag=True,
    help=("Record that the CA revoked the certificates for NAME. If you did not request this, also "
          "specify --reason."),
)  # fmt: skip
@click.option(
    "--reason", default="", metavar="REASON",
    help=("A reason from RFC 5280: keyCompromise, cACompromise, affiliationChanged, superseded, "
          "cessationOfOperation, privilegeWithdrawn or unspecified. With --gone, lyncnb records "
          "that the CA must revoke the certificates for this reason."),
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Show what lyncnb would record, without changing anything."
)
@add_json_option
def deployed_command(
    folder: str,
    names: tuple[str, ...],
    on: str | None,
    reports: tuple[str, ...],
    undo: bool,
    as_json: bool,
    **choices: Any,
) -> int:
    """Record in FOLDER that certificates are installed on their servers.

    NAME is an ID or the beginning of an ID, a server, a pattern such as "edge*", a serial
    number or a thumbprint. If NAME is a server, lyncnb records all certificates of that
    server. A pool certificate is then recorded for that server only. Without NAME and
    --report, lyncnb records every request whose newest certificate is packaged, or whose key
    is on another computer, and names the others. A renewed certificate counts as in use only
    when it is recorded on all its servers. lyncnb changes no key, and running the same command
    again changes nothing.

    Exit status: 0 success; 1 if names or certificates were left out, or not confirmed; 2 if a
    report, the date or a reason cannot be used; 3 if nothing could be recorded, or the folder
    needs attention.
    """
    from ..authorities.record_deployments import deployed
    from ..request_folder.bundle import open_requests

    arguments = {"on": parse_date(on), "reports": expand_patterns(reports), **choices}
    confirmed: Any = undo
    if undo and not names and not choices["dry_run"]:
        confirmed = deployed(folder, undo=True, **{**arguments, "dry_run": True})
        write_note(repr(confirmed))
        if not _confirm_undo():
            if as_json:
                write_json({"format": "lyncnb-deployed/1", **confirmed.to_document()})
            return 1
    deployments = deployed(folder, *names, undo=confirmed, **arguments)
    if as_json:
        write_json({"format": "lyncnb-deployed/1", **deployments.to_document()})
    else:
        with mark_dry_run(deployments.dry_run):
            write_lines(deployments.to_text().rstrip("\n"))
        if not deployments.dry_run:
            write_next_folder_step(folder, open_requests(folder).manifest)
    return int(deployments.is_partial)


def _confirm_undo() -> bool:
    """Ask whether to undo the listed records. Without a terminal, say how to name them."""
    if not is_terminal(sys.stdin):
        write_note(
            "lyncnb undid nothing, because nobody can confirm the list. Specify the names: lyncnb "
            "deployed FOLDER NAME --undo"
        )
        return False
    answer = click.prompt("To undo these records, type yes", default="no", err=True)
    return bool(answer.strip().lower() == "yes")


COMMANDS = (handover_command, receive_command, pfx_command, steps_command, deployed_command)
