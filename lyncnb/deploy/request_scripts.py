"""Requests by the administrative tools, from the plan alone: the key is born on that computer.

One script for each certificate, however many servers share it: two keys for one certificate would
be an error. Nothing is made here but text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..base import files, outputs
from ..base.file_names import file_name
from ..plan.model import CertificatePlan, PlannedCertificate
from ..rules.procedure import load_procedure
from .step_files import import_script, to_html
from .steps import DeploymentSteps, Filler, ServerSteps, Values

_PAGE = "requests.html"
_TITLE = ": requests on a server"

#: What :func:`write_request_scripts` writes.
REQUESTS = outputs.OutputKind(
    what="requests on a server",
    is_ours={
        ".html": outputs.is_page(f"{_TITLE}</title>".encode()),
        ".ps1": outputs.first_line(b"\xef\xbb\xbf#requires -Version 3.0"),
    },
)
# ECDSA is named by its curve.
_CURVES = {256: "ECDH_P256", 384: "ECDH_P384", 521: "ECDH_P521"}


def request_scripts(plan: CertificatePlan) -> DeploymentSteps:
    """Write how each certificate is requested where the administrative tools are installed.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates; their names need to be settled, nothing needs to be issued.

    Returns
    -------
    DeploymentSteps
        For each certificate with a usage its steps, under its id; ``missing`` names the others,
        which that cmdlet cannot request.

    Raises
    ------
    RulesError
        If the product's procedure is wrong.

    Notes
    -----
    Source: Microsoft, Request certificates in advance (optional) for Lync Server 2013, 2014-07-23.
    """
    procedure = load_procedure(plan.rules)
    filler = Filler(plan.rules, procedure, "", (), {})
    steps = [step for step in procedure.steps if step.scope == "request"]
    requests = []
    for certificate in plan.certificates:
        if certificate.usages:
            values = _values(filler, certificate)
            role = plan.rules.roles.get(certificate.role)
            requests.append(
                ServerSteps(
                    server=certificate.id,
                    role=certificate.role,
                    title=role.title if role else certificate.role,
                    pool=certificate.pool or certificate.id,
                    shell=procedure.shell_of(certificate.role) or procedure.shells[0],
                    packages=(),
                    steps=tuple(filler.filled(step, values) for step in steps),
                    later=(),
                    back=(),
                )
            )
    others = (c.id for c in plan.certificates if not c.usages)
    why = "it has no usage that the cmdlet knows; make its request with lyncnb request"
    return DeploymentSteps(
        product=plan.rules.product,
        title=plan.rules.title,
        folder=procedure.folder,
        servers=tuple(requests),
        missing=tuple((request, why) for request in others),
        order=(),
        cmdlets=procedure.cmdlets,
        unit="request",
        lacking="not by this route",
    )


def _values(filler: Filler, certificate: PlannedCertificate) -> Values:
    subject = dict(certificate.subject.fields())
    key = certificate.key
    return {
        **filler.common,
        "server": min(certificate.servers),
        "servers": certificate.servers,
        "pool": certificate.pool,
        "types": certificate.usages,
        "friendly_name": f"{subject.get('CN', '')} {'+'.join(certificate.usages)}",
        "name": subject.get("CN", ""),
        "names": ",".join(certificate.names),
        "hash": certificate.hash,
        "issuer": certificate.issuer,
        "key_bits": key.bits,
        "key_algorithm": _CURVES.get(key.bits, "") if key.algorithm == "ECDSA" else "RSA",
        "client_eku": "clientAuth" in certificate.extended_key_usage,
        "request_path": filler.path(f"{certificate.id}.req"),
        "answer_path": filler.path(f"{certificate.id}.cer"),
        "organization": subject.get("O", ""),
        "unit": subject.get("OU", ""),
        "city": subject.get("L", ""),
        "state": subject.get("ST", ""),
        "country": subject.get("C", ""),
    }


def write_request_scripts(
    steps: DeploymentSteps, folder: str | os.PathLike[str], *, force: bool = False
) -> tuple[Path, ...]:
    """Write a page with all requests and a script for each.

    Parameters
    ----------
    steps : DeploymentSteps
        From :func:`request_scripts`.
    folder : path
        Where they go; made if it is not there. What is in it under other names stays.
    force : bool, optional
        Whether another's file of such a name is replaced.

    Returns
    -------
    tuple of Path
        The page and one script for each request.

    Raises
    ------
    OutputError
        If the folder is one that a request folder keeps for itself, or a file is another's.
    BundleError
        If a file cannot be written.
    """
    place = Path(folder)
    contents = dict(_contents(steps))
    outputs.refuse_own_place(place / _PAGE)
    files.make_folder(place, 0o755)
    for name in contents:
        outputs.check_output(place / name, REQUESTS, force=force)
    return tuple(
        outputs.write_output(place / name, data, REQUESTS, force=force)
        for name, data in contents.items()
    )


def _contents(steps: DeploymentSteps) -> Iterator[tuple[str, bytes]]:
    yield _PAGE, to_html(steps, title=_TITLE).encode()
    for request in steps.servers:
        # Any computer with the tools may run it, so it names none.
        yield file_name(request.server, ".ps1"), import_script(request, anywhere=True)
