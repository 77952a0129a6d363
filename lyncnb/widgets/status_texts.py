"""Write the texts of the status panel: refusals, the state of each request, and the next step.

``reports.tasks`` determines the steps and their words. The panel adds the buttons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from ..authorities.handover import Handover
from ..authorities.returned.issued import IssuedCertificate, IssuedCertificates
from ..authorities.status import FolderStatus, RequestStatus
from ..base.shown.tables import format_count
from ..deploy.server_steps import DeploymentSteps
from ..reports.tasks import OpenStep, group_steps, tell_one_step, tell_steps
from ..rules.returned_rules import is_acceptable, list_returned_checks
from .messages import NextStep, Refusal


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


_STATES: Mapping[str, str] = {
    "covered": "An installed certificate covers this request.",
    "superseded": "A newer request replaces this request.",
    "retired": "This certificate is no longer in the plan.",
}


def describe_request(request: RequestStatus, refusal: Refusal | None) -> str:
    """Describe the state of a request and the next step for it, in one or two short sentences."""
    kinds = {step.kind: step for step in request.steps}
    if request.refused and "refused" in kinds:
        reasons = refusal["reasons"] if refusal is not None else []
        if refusal is not None and not reasons:
            return "The refused certificate no longer has errors. Match the files again."
        reason_text = f" ({reasons[0]['title']})" if reasons else ""
        return f"lyncnb refused the certificate{reason_text}. Ask the CA for another certificate."
    words = " ".join(f"{tell_one_step(step)}." for step in request.steps)
    if not words and request.deployed_on:
        words = (
            f"The certificate has been installed on all of its servers since {request.deployed_on}."
        )
    words = words or _STATES.get(request.state, "Nothing is to be done now.")
    if request.key_holder and request.state == "waiting":
        words = f"{words} The key is on {request.key_holder}."
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
    if status.problems:
        return _build_step(
            f"Check {format_count(len(status.problems), 'file')} in the folder.", "look"
        )
    open_steps = (step for row in status.requests for step in row.steps)
    # The step after an outage is the next one that somebody can take.
    groups = group_steps(step for step in open_steps if step.kind != "outage")
    if not groups:
        return _build_step("All requests are complete. There is nothing to do.", "")
    (kind, _), steps = next(iter(groups.items()))
    button = _find_button(kind, steps, last_result)
    sentence = tell_steps(status.folder, steps)
    if kind == "planned" and not steps[0].life.held:
        words = f"{sentence.words}: use the request panel."
    else:
        # The panel has no button for a step without a label, so it shows the command.
        words = f"{sentence.words if button else sentence}."
    if isinstance(last_result, Handover):
        words = f"Send {last_result.path.name} to the CA. {words}"
    again = [step.life.record.id for step in steps if step.life.record.state == "waiting"]
    return _build_step(words, button, requests=again if kind == "refused" else ())


def _find_button(kind: str, steps: Sequence[OpenStep], last_result: object) -> str:
    """Return the step of the panel for a kind of step, or "" if the panel has none."""
    records = [step.life.record for step in steps]
    if kind in ("replace", "expired", "expiring"):
        is_possible = any(
            not (step.life.under_way or step.life.record.key_holder) for step in steps
        )
        return "renew" if is_possible else ""
    if kind == "refused":
        return "handover" if any(record.state == "waiting" for record in records) else "receive"
    if kind == "packaged" and isinstance(last_result, DeploymentSteps):
        return "deployed"
    return _BUTTONS.get(kind, "")


_BUTTONS = {"issued": "package", "waiting": "handover", "packaged": "steps", "sent": "receive"}


def build_step_before_requests() -> NextStep:
    """Return the next step for a folder that has no requests yet."""
    return _build_step(
        "Use the request panel to write the requests. Then refresh this panel.", "look"
    )


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
