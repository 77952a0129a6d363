"""Write scripts that request certificates with the administrative tools of the product.

Each certificate has only one script, no matter how many servers share it, because two keys for one
certificate would be an error. This module creates only text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from ..authorities.submission import check_template_name
from ..authorities.summary_files import build_plan_on_record
from ..base.arguments import check_type
from ..base.disk import files, outputs
from ..base.disk.folder_access import share_folder
from ..errors import BundleError, OptionsError, Problem
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.totals import build_origin
from ..request_folder.bundle import RequestBundle
from ..request_folder.manifest import format_timestamp
from ..request_folder.plan_file import read_plan_bytes
from ..request_folder.request_record import RequestRecord
from ..rules.procedure import Procedure, load_procedure
from .checklist import build_script_name, to_html, translate_title_end
from .fill_steps import Filler, Situation, Values, format_requested_name
from .server_script import build_script
from .server_steps import DeploymentSteps, MissingPackage, ServerSteps
from .sheets import number_steps
from .step_files import FOLDER
from .trusted_cas import TrustOfPackages

_PAGE = "requests.html"
_TITLE = ": requests on a server"

#: What :func:`write_request_scripts` writes.
REQUESTS = outputs.OutputKind(
    what="requests on a server",
    is_ours={
        ".html": outputs.match_page(translate_title_end(_TITLE, "</title>")),
        ".ps1": outputs.match_first_line(b"\xef\xbb\xbf#requires -Version 3.0"),
    },
)
_NO_USAGE = (
    "Request-CsCertificate does not support the usages of this certificate. To create the key "
    "and the request in the request folder, run lyncnb request TOPOLOGY FOLDER"
)
_AT_SET_UP = (
    "you request this certificate when you set up the server. For more "
    "information, see at_set_up in plan.toml"
)
_KEY_HERE = "the request folder already contains the key"
_REQUEST_HERE = (
    "the request folder already contains the request. To request the certificate again, run "
    "lyncnb renew FOLDER ID --reason TEXT"
)


def request_scripts(
    plan: CertificatePlan,
    bundle: RequestBundle | None = None,
    *,
    template: str = "",
    today: date | None = None,
) -> DeploymentSteps:
    """Return the steps that request each certificate with the administrative tools.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates with final names; nothing needs to be issued.
    bundle : RequestBundle, optional
        The request folder that waits for the requests. Requests whose keys it has are left out,
        and a renewed request gets its own file name.
    template : str, optional
        Name (not display name) of the AD CS template, for requests to an internal CA.
    today : date, optional
        The evaluation date; the names of the requests carry it.

    Returns
    -------
    DeploymentSteps
        The steps of each certificate with a usage, under its id; ``missing`` lists the others,
        which the cmdlet cannot request.

    Raises
    ------
    RulesError
        If the product's procedure is wrong.
    OptionsError
        If the template cannot be part of a command line, or the cmdlet cannot make a planned key.

    Notes
    -----
    Source: Microsoft, Request certificates in advance (optional) for Lync Server 2013, 2014-07-23.
    """
    check_type("request_scripts: plan", plan, CertificatePlan)
    if template:
        check_template_name(template)
    procedure = load_procedure(plan.rules)
    filler = Filler(plan.rules, procedure, "", TrustOfPackages((), plan.rules), Situation())
    steps = [step for step in procedure.steps if step.stage == "request"]
    records = bundle.manifest.by_id if bundle else {}
    requests, others, day = [], [], format_timestamp(today)[:10]
    no_such_key: list[PlannedCertificate] = []
    for certificate in plan.certificates:
        record = records.get(certificate.id)
        if reason := _explain_omission(certificate, record):
            others.append(MissingPackage(request=certificate.id, why=reason))
        elif not procedure.can_create_key(str(certificate.key)):
            no_such_key.append(certificate)
        else:
            generation = record.generation if record else 1
            values = _build_values(filler, certificate, generation, template, day)
            role = plan.rules.roles.get(certificate.role)
            requests.append(
                ServerSteps(
                    server=certificate.id,
                    role=certificate.role,
                    title=role.title if role else certificate.role,
                    pool=certificate.pool or certificate.id,
                    case="request",
                    shell=procedure.find_shell(certificate.role) or procedure.shells[0],
                    packages=(),
                    steps=tuple(
                        filler.fill_step(step, values)
                        for step in steps
                        if step.applies(certificate.role, certificate.usages)
                    ),
                    later=(),
                    back=(),
                    folder=procedure.folder,
                    anywhere=True,
                )
            )
    if no_such_key:
        raise _build_key_error(procedure, no_such_key)
    return DeploymentSteps(
        product=plan.rules.product,
        title=plan.rules.title,
        folder=procedure.folder,
        servers=number_steps(requests, procedure),
        missing=tuple(others),
        procedure=procedure,
        origin=build_origin(plan),
        unit="request",
        lacking="not in these scripts",
    )


def _explain_omission(certificate: PlannedCertificate, record: RequestRecord | None) -> str:
    """Return the reason why the scripts omit a certificate, or "" if they include it."""
    if not certificate.usages:
        return _NO_USAGE
    if certificate.at_set_up:
        return _AT_SET_UP
    if record is not None and record.covered:
        return f"no request is needed, because it is {record.covered}"
    if record is None:
        return ""
    if not record.key_holder:
        return _KEY_HERE
    return _REQUEST_HERE if record.is_written else ""


def _build_key_error(procedure: Procedure, certificates: list[PlannedCertificate]) -> OptionsError:
    """Return the error for keys that the administrative tools cannot create."""
    limits = [cmdlet for cmdlet in procedure.cmdlets if cmdlet.keys]
    takes = "; ".join(f"{cmdlet.name} supports {' or '.join(cmdlet.keys)}" for cmdlet in limits)
    return OptionsError(
        f"the administrative tools cannot generate the planned keys: {takes}",
        problems=tuple(
            Problem(
                message=f"{certificate.id}: the planned key is {certificate.key}",
                value=str(certificate.key),
            )
            for certificate in certificates
        ),
        hint=(
            f"set the option key in plan.toml to {' or '.join(limits[0].keys)}. You can also "
            "let lyncnb create these keys and requests: lyncnb request TOPOLOGY FOLDER"
        ),
    )


def _build_values(
    filler: Filler, certificate: PlannedCertificate, generation: int, template: str, day: str
) -> Values:
    subject = dict(certificate.subject.fields())
    key = certificate.key
    # A file from an earlier day or generation does not prove anything about the current request.
    suffix = f"-g{generation}" if generation > 1 else ""
    name = f"{certificate.id}{suffix}-{day}.req"
    return {
        **filler.common,
        "server": min(certificate.servers),
        "servers": certificate.servers,
        "pool": certificate.pool,
        "types": certificate.usages,
        "friendly_name": format_requested_name(certificate, subject.get("CN", ""), generation),
        "name": subject.get("CN", ""),
        "names": ",".join(certificate.names),
        "san": tuple(certificate.names) or ("none",),
        "hash": certificate.hash,
        "issuer": certificate.issuer,
        "key_bits": key.bits,
        "key_algorithm": key.algorithm,
        "client_eku": "clientAuth" in certificate.extended_key_usage,
        "request": name,
        "request_path": filler.build_path(name),
        "new_path": filler.build_path(f"{name}.new"),
        "template": template if certificate.issuer == "internal" else "",
        "organization": subject.get("O", ""),
        "unit": subject.get("OU", ""),
        "city": subject.get("L", ""),
        "state": subject.get("ST", ""),
        "country": subject.get("C", ""),
    }


def write_request_scripts(
    steps: DeploymentSteps, folder: str | os.PathLike[str], *, force: bool = False
) -> tuple[Path, ...]:
    """Write a page with all requests, and a script for each request.

    Parameters
    ----------
    steps : DeploymentSteps
        From :func:`request_scripts`.
    folder : path
        A request folder, whose ``steps`` receives the files, or another folder, which is created
        if needed. Other files in it are kept.
    force : bool, optional
        Whether to replace a file of this name that lyncnb did not write.

    Returns
    -------
    tuple of Path
        The page and one script for each request.

    Raises
    ------
    OutputError
        If the folder is a reserved part of a request folder, or a file is not lyncnb's.
    BundleError
        If a file cannot be written.
    """
    check_type("write_request_scripts: steps", steps, DeploymentSteps)
    folder_path = Path(folder)
    contents = dict(_build_request_script_files(steps))
    outputs.reject_reserved_path(folder_path / _PAGE)
    if outputs.is_request_folder(folder_path):
        with share_folder(folder_path):
            files.make_folder(folder_path / FOLDER, 0o755)
            for name, data in contents.items():
                files.replace_file(folder_path / FOLDER / name, data, 0o644)
        for path in (folder_path / FOLDER).glob("*.ps1"):
            # Scripts are removed if their certificates are no longer planned, or if their keys are
            # now in the folder.
            if path.name not in contents and _is_request_script(path):
                files.remove_file(path)
        return tuple(folder_path / FOLDER / name for name in contents)
    files.make_folder(folder_path, 0o755)
    for name in contents:
        outputs.check_output_path(folder_path / name, REQUESTS, force=force)
    return tuple(
        outputs.write_output(folder_path / name, data, REQUESTS, force=force)
        for name, data in contents.items()
    )


def write_renewal_scripts(bundle: RequestBundle) -> tuple[Path, ...]:
    """Write the scripts for the requests that other computers must create, from the folder's plan.

    Parameters
    ----------
    bundle : RequestBundle
        A folder in which certificates were renewed whose keys are on other computers.

    Returns
    -------
    tuple of Path
        The page and the scripts in ``steps``; empty if the folder waits for no such request.
    """
    waiting = (record.key_holder and not record.is_written for record in bundle.requests)
    if not any(waiting):
        return ()
    plan, _ = build_plan_on_record(bundle.manifest, read_plan_bytes(bundle.folder, bundle.manifest))
    steps = request_scripts(plan, bundle).in_language(plan.options.lang)
    return write_request_scripts(steps, bundle.folder)


def _is_request_script(path: Path) -> bool:
    try:
        with files.open_plain(path, follow_links=False) as file:
            return outputs.match_content(b"\r\n$Server = ''\r\n", b"Request-CsCertificate -New ")(
                file
            )
    except (OSError, BundleError):
        return False  # A file that cannot be read may belong to another program.


def _build_request_script_files(steps: DeploymentSteps) -> Iterator[tuple[str, bytes]]:
    # Any computer with the administrative tools may run a script, so the script does not contain a
    # computer name.
    yield _PAGE, to_html(steps, title=_TITLE).encode()
    for request in steps.servers:
        yield build_script_name(request), build_script(request)
