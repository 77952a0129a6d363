"""Describe the next steps for a request folder as a whole and for each request in it.

``folder_status`` returns the state of each request. Its ``next_steps`` are the next steps
on the command line. The recorded certificates contain the reasons for a refusal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from ..authorities.handover import Handover
from ..authorities.next_steps import find_stage
from ..authorities.returned.issued import IssuedCertificate, IssuedCertificates
from ..authorities.status import FolderStatus, RequestStatus
from ..base.shown.tables import format_count
from ..deploy.server_steps import DeploymentSteps
from ..rules.returned_rules import is_acceptable, list_returned_checks
from .messages import NextStep, Refusal

#: The states of a request without a usable certificate. The CA must issue another one.
_WITHOUT_GOOD_ONE = ("waiting", "refused", "expired")


def describe_refusals(
    issued_certificates: IssuedCertificates, requests: Iterable[RequestStatus]
) -> dict[str, Refusal]:
    """Describe the most recently rejected certificate of each request, by request ID.

    Parameters
    ----------
    issued_certificates : IssuedCertificates
        The recorded certificates.
    requests : iterable of RequestStatus
        The requests. Requests without a refused certificate are left out.
    """
    attempts: dict[str, list[IssuedCertificate]] = {}
    faulty = filter(attrgetter("has_faults"), issued_certificates.certificates)
    for certificate in (*faulty, *issued_certificates.refused):
        attempts.setdefault(certificate.request_id, []).append(certificate)
    described = {}
    for request in requests:
        certificates = attempts.get(request.id, [])
        if request.refused and certificates and request.id not in described:
            described[request.id] = _describe_refusal(request, certificates)
    return described


def _describe_refusal(request: RequestStatus, attempts: Sequence[IssuedCertificate]) -> Refusal:
    last = max(attempts, key=lambda certificate: certificate.not_before)
    errors = [finding for finding in last.findings if finding.severity == "error"]
    label = ", ".join(request.servers[:2]) or request.id
    titles = dict.fromkeys(list_returned_checks()[error.code].title for error in errors)
    reason = "; ".join(titles) or "the certificate no longer has errors"
    return {
        "id": request.id,
        "words": f"{label}: certificate refused ({reason})",
        "file": last.source_file,
        "serial": last.serial_hex,
        "earlier": len(attempts) - 1,
        "reasons": [
            {
                "code": error.code,
                "title": list_returned_checks()[error.code].title,
                "message": error.message,
                "hint": error.hint,
                "acceptable": is_acceptable(error.code),
            }
            for error in errors
        ],
    }


_SENTENCES: Mapping[str, str] = {
    "planned": "lyncnb has not written the request yet.",
    "waiting": "The request is waiting for the CA.",
    "issued": "The certificate is issued. Package it.",
    "packaged": "The certificate is packaged. Import and assign it.",
    "covered": "An installed certificate covers this request.",
    "refused": "The recorded certificate has an error. Ask the CA for another certificate.",
    "expiring": "The certificate expires soon. Renew it.",
    "expired": "The certificate has expired. Renew it.",
    "superseded": "A newer request replaces this request.",
    "retired": "This certificate is no longer in the plan.",
}


def describe_request(request: RequestStatus, refusal: Refusal | None) -> str:
    """Describe the state of a request and the next step for it, in one or two short sentences."""
    if request.refused and request.state in _WITHOUT_GOOD_ONE:
        reasons = refusal["reasons"] if refusal is not None else []
        if refusal is not None and not reasons:
            return "The refused certificate no longer has errors. Match the files again."
        reason_text = f" ({reasons[0]['title']})" if reasons else ""
        return f"lyncnb refused the certificate{reason_text}. Ask the CA for another certificate."
    words = _SENTENCES.get(request.state, request.state)
    if request.revoke:
        words = f"Ask the CA to revoke the certificate with serial number {request.revoke[0]}."
    elif request.deployed_on and not request.under_way and not _is_due(request):
        words = (
            f"The certificate has been installed on all of its servers since {request.deployed_on}."
        )
    elif request.key_holder and request.state == "waiting":
        words = f"The request is waiting for the CA. The key is on {request.key_holder}."
    elif request.state == "expired" and request.under_way:
        words = f"The certificate has expired. The state of the renewal is {request.under_way}."
    return (
        f"{words} lyncnb also refused another certificate for this request."
        if request.refused
        else words
    )


def find_next_step(status: FolderStatus, last_result: object) -> NextStep:
    """Return the next step for a request folder, and the step of the status panel that performs it.

    Parameters
    ----------
    status : FolderStatus
        The status of the folder.
    last_result : object
        The result of the last step. After a package for the CA, the next step is the CA's
        response.
    """
    rows = status.shown
    stages = Counter(map(find_stage, rows))
    refused_rows = [row for row in rows if row.refused and row.state in _WITHOUT_GOOD_ONE]
    faulty = format_count(len(refused_rows), "certificate")
    waits = [row.id for row in refused_rows if find_stage(row) == "waiting"]
    if status.problems:
        return _build_step(
            f"Check {format_count(len(status.problems), 'file')} in the folder.", "look"
        )
    # The certificate of a retired request can also need a revocation.
    if any(row.revoke for row in status.requests):
        return _build_step(status.next_steps[0], "")
    if due := [row for row in rows if _is_due(row) and not row.under_way]:
        elsewhere = all(row.key_holder for row in due)
        return _build_step(status.next_steps[0], "" if elsewhere else "renew")
    if waits:
        return _build_step(f"Ask the CA to issue {faulty} again.", "handover", requests=waits)
    if refused_rows:
        return _build_step(
            f"When the CA has issued {faulty} again, match the new certificates.", "receive"
        )
    if number := stages["planned"]:
        words = f"To write {format_count(number, 'missing request')}, use the request panel."
        return _build_step(words, "")
    if number := stages["issued"]:
        return _build_step(
            f"Package {format_count(number, 'certificate')} for the servers.", "package"
        )
    if number := stages["waiting"]:
        return _build_step(f"Package {format_count(number, 'request')} for the CA.", "handover")
    if number := stages["sent"]:
        words = f"{format_count(number, 'request')} packaged for the CA"
        if isinstance(last_result, Handover):
            words = f"Send {last_result.path.name} to the CA"
        return _build_step(
            f"{words}. When the CA returns certificates, match the files with their requests.",
            "receive",
        )
    if stages["packaged"] and isinstance(last_result, DeploymentSteps):
        return _build_step(status.next_steps[-1], "deployed")
    if stages["packaged"]:
        return _build_step(
            "Write the deployment steps. Then import the packages and assign the certificates.",
            "steps",
        )
    return _build_step("All requests are complete. There is nothing to do.", "")


def build_step_before_requests() -> NextStep:
    """Return the next step for a folder that has no requests yet."""
    return _build_step(
        "Use the request panel to write the requests. Then refresh this panel.", "look"
    )


def _is_due(request: RequestStatus) -> bool:
    return request.state in ("expired", "expiring")


_LABELS = {
    "look": "Refresh",
    "handover": "Package the requests",
    "receive": "Match the files",
    "package": "Enter the passphrase",
    "steps": "Write checklist and scripts",
    "deployed": "Enter the date",
    "renew": "Enter the reason",
    "": "",
}


def _build_step(text: str, step: str, *, requests: Sequence[str] = ()) -> NextStep:
    return {"words": text, "step": step, "label": _LABELS[step], "requests": list(requests)}
