"""Renew certificates in a request folder: create keys and requests from the saved plan.

Only keys and dates change. lyncnb evaluates the plan with today's rules, as if the
certificates were issued today. ``write.py`` writes the files, as for any request.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..authorities.kept_approval import read_approved_plan
from ..authorities.named_requests import find_named_requests
from ..authorities.summary_files import build_plan_on_record
from ..base.arguments import check_type
from ..base.shown.tables import join_first_texts
from ..base.terminal import quote_argument
from ..checks.check_plan import check_plan
from ..errors import ApprovalError, ArgumentError, BundleError, OptionsError, PlanRejected
from ..pki.passphrase import Secret
from ..plan.model import CertificatePlan
from ..request_folder.bundle import RequestBundle
from ..request_folder.generations import find_generations, is_due, list_certificates_to_revoke
from ..request_folder.manifest import Manifest, format_timestamp, read_manifest
from ..request_folder.plan_file import PLAN_NAME, read_plan_bytes, read_renewal_terms
from ..request_folder.request_record import RequestRecord
from .changes import is_waiting
from .executors import Making
from .issued_by import find_issued_by, find_listed, list_used_certificates
from .order import Order, Wanted, make_order
from .requests_elsewhere import announce_order
from .write import execute_order

_NAMED = 5
_STOLEN = "the key is compromised"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The requests that get a new generation, and the requests with a compromised key.

    ``kept`` contains requests that already have another key. ``at_set_up`` contains requests that
    are created on their servers during setup. ``ending`` contains the certificates to replace, by
    SHA-256.
    """

    renewed: tuple[RequestRecord, ...]
    compromised: tuple[RequestRecord, ...] = ()
    kept: tuple[RequestRecord, ...] = ()
    at_set_up: tuple[RequestRecord, ...] = ()
    ending: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def needs_passphrase(self) -> bool:
        """Whether lyncnb creates a key, or records a compromised key.

        A date by which the CA requires a replacement needs no passphrase.
        """
        return bool(self.compromised) or not all(record.key_holder for record in self.renewed)


def renew(
    folder: str | os.PathLike[str],
    *names: str,
    passphrase: Secret | str | None,
    reason: str = "",
    due: bool = False,
    issuer: str = "",
    serials: str | os.PathLike[str] | None = None,
    replace_by: date | None = None,
    compromised: bool = False,
    withdraw: bool = False,
    approved_by: str | os.PathLike[str] | None = None,
    making: Making | None = None,
    dry_run: bool = False,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RequestBundle:
    """Create new keys and requests for certificates according to the folder's saved plan.

    The subject, the names and all other values remain as planned. The certificates in use remain in
    use, and the old keys remain in ``archive/``. The plan is evaluated with today's rules. If the
    key is on another computer, the folder then waits for the request from this computer, which
    the scripts of ``write_renewal_scripts`` create.

    Parameters
    ----------
    folder : path
        A request folder with its saved plan (``plan.json``).
    names : str
        Each an id or its beginning, a server, a pattern such as ``*.contoso.com``, or a serial
        number or thumbprint.
    passphrase : Secret or str
        The folder's. None for a dry run, or if the keys are only on other computers.
    reason : str
        Why; recorded with each request.
    due : bool, optional
        Renew all certificates that are due instead: those in :func:`list_renewals` by now that
        have no renewal under way.
    issuer : str, optional
        Renew all certificates in use or under way from this issuer instead: ``internal``,
        ``public``, the name of a CA in ``plan.toml``, or the common name of an issuing certificate.
    serials : path, optional
        Renew the certificates instead whose serial numbers are in this text file.
    replace_by : date, optional
        The last date on which servers can use the certificates, because the CA revokes them
        afterwards. lyncnb records it and plans the installation before it.
    compromised : bool, optional
        Whether the key of the certificates in use may be compromised. lyncnb records that the CA
        must revoke them. It makes no new request if one with another key is under way.
    withdraw : bool, optional
        Whether to withdraw a request that waits for its certificate.
    approved_by : path, optional
        A list of allowed signers. It is required if the folder's plan was approved, and must
        still allow the signer to approve plans.
    making : Making, optional
        How keys are made, with progress and cancellation
        (``from lyncnb.export.executors import Making``).
    dry_run : bool, optional
        Report what would be done, and change nothing.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds; negative waits without end.

    Returns
    -------
    RequestBundle
        With what was done for each request, and why.

    Raises
    ------
    ArgumentError
        If not exactly one of names, `due`, `issuer` and `serials` is given.
    OptionsError
        If there is no reason, or `replace_by` is in the past.
    PlanRejected
        If today's rules find an error that is not accepted.
    ApprovalError
        If the plan was approved and the list is missing or does not allow its signer.
    RequestWaits
        If a request waits for its certificate, and `withdraw` is false.
    PassphraseError, BundleError
        If the folder or the passphrase needs attention.
    """
    check_type("renew: folder", folder, str, os.PathLike)
    recorded_reason = reason.strip() or (_STOLEN if compromised else "")
    path, now = Path(folder), format_timestamp(today)
    day = date.fromisoformat(now[:10])
    selections = (bool(names), due, bool(issuer), serials is not None)
    _check_arguments(selections, recorded_reason, compromised=compromised)
    _check_deadline(replace_by, day)
    manifest = read_manifest(path)
    if not manifest.plan_json_sha256:
        raise BundleError(
            f"{path} has no {PLAN_NAME}, so lyncnb cannot find the certificates to renew",
            hint=(
                "run lyncnb request TOPOLOGY FOLDER once. This command does not change the "
                "existing requests"
            ),
        )
    choice = _choose_requests(path, manifest, names, day, compromised=compromised)
    if issuer or serials is not None:
        choice = _choose_by_certificate(manifest, issuer, serials)
    elif replace_by is not None:
        used = list_used_certificates(choice.renewed)
        choice = replace(choice, ending=frozenset(item.sha256 for item in used))
    deadline = replace_by.isoformat() if replace_by is not None else ""
    order = _make_renewal_order(
        path, manifest, choice, reason=recorded_reason, evaluation_date=day, now=now,
        withdraw=withdraw or compromised,
        approved_by=approved_by,
    )  # fmt: skip
    order = replace(order, ending=choice.ending, replace_by=deadline)
    if not (choice.renewed or choice.compromised or (choice.ending and deadline)):
        return RequestBundle(folder=path, manifest=manifest, notes=order.notes, dry_run=dry_run)
    if dry_run or choice.needs_passphrase:
        bundle = execute_order(
            path, order, passphrase, options=making, dry_run=dry_run, lock_seconds=lock_seconds
        )
    else:
        bundle = announce_order(path, order, lock_seconds=lock_seconds)
    records = (bundle.manifest.by_id[record.id] for record in choice.compromised)
    return replace(bundle, notes=(*bundle.notes, *_list_revocations(path, records)))


def _check_arguments(selections: Sequence[bool], reason: str, *, compromised: bool) -> None:
    if sum(selections) != 1:
        raise ArgumentError(
            "renew: specify either the requests to renew, due=True, issuer= or serials=, but not "
            "several of them",
            hint="specify a request by its ID, by a server, or by a pattern (*.contoso.com)",
        )
    if compromised and not selections[0]:
        raise ArgumentError(
            "renew: do not use compromised=True together with due=True, issuer= or serials=",
            hint="specify the requests with the compromised keys",
        )
    if not reason:
        raise OptionsError(
            "renew: the reason is missing",
            hint='specify the reason, for example reason="yearly renewal"',
        )


def _check_deadline(replace_by: date | None, day: date) -> None:
    check_type("renew: replace_by", replace_by, date, None)
    if replace_by is not None and replace_by < day:
        raise OptionsError(
            f"renew: {replace_by} has passed, so no certificate can be replaced by then",
            hint="if the CA has already revoked the certificates: lyncnb deployed FOLDER NAME "
            "--revoked --reason REASON",
        )


def _list_revocations(folder: Path, records: Iterable[RequestRecord]) -> Iterator[str]:
    certificates = [
        certificate for record in records for certificate in list_certificates_to_revoke(record)
    ]
    for certificate in certificates:
        generation_text = (
            f"generation {certificate.generation}"
            if certificate.generation
            else "installed before the request was created"
        )
        yield f"{certificate}: {certificate.request_id}, {generation_text}"
    if certificates:
        folder_argument = quote_argument(str(folder))
        yield (
            "ask the CA to revoke the certificate immediately. To write a page for the CA that "
            f"lists the certificates to revoke: lyncnb handover {folder_argument} OUT.zip"
        )


def _choose_requests(
    folder: Path, manifest: Manifest, names: Sequence[str], day: date, *, compromised: bool
) -> _Choice:
    planned = [record for record in manifest.requests if record.state != "retired"]
    # A certificate that is no longer in the plan can also have a compromised key.
    known = manifest.requests if compromised else planned
    selected_records = (
        _find_named_requests(known, names) if names else _find_due_requests(folder, manifest, day)
    )
    at_set_up = tuple(record for record in selected_records if record.plan.at_set_up)
    if not compromised and names and at_set_up == selected_records:
        raise BundleError(_describe_set_up(at_set_up), hint=_AT_SET_UP)
    renewable = tuple(
        record
        for record in selected_records
        if record.state != "retired" and not record.plan.at_set_up
    )
    if not compromised:
        return _Choice(renewed=renewable, at_set_up=at_set_up)
    return _Choice(
        renewed=tuple(record for record in renewable if not _has_waiting_key(record)),
        compromised=tuple(
            record for record in selected_records if find_generations(record).held is not None
        ),
        kept=tuple(record for record in renewable if _has_waiting_key(record)),
        at_set_up=at_set_up,
    )


def _choose_by_certificate(
    manifest: Manifest, issuer: str, serials: str | os.PathLike[str] | None
) -> _Choice:
    """Return the requests whose certificates a CA will revoke.

    A request that already waits for another certificate, or has one from another run, is kept.
    """
    notes: tuple[str, ...] = ()
    if serials is not None:
        certificates, notes = find_listed(manifest.requests, serials)
    else:
        certificates = find_issued_by(manifest.requests, issuer)
    ending = frozenset(item.sha256 for item in certificates)
    ids = {item.request_id for item in certificates}
    selected = [record for record in manifest.requests if record.id in ids]
    kept = tuple(record for record in selected if _is_replaced_already(record, ending))
    others = [record for record in selected if record not in kept]
    return _Choice(
        renewed=tuple(record for record in others if not record.plan.at_set_up),
        kept=kept,
        at_set_up=tuple(record for record in others if record.plan.at_set_up),
        ending=ending,
        notes=notes,
    )


def _is_replaced_already(record: RequestRecord, ending: Set[str]) -> bool:
    """Return whether a request or certificate is under way that the CA does not revoke."""
    life = find_generations(record)
    if life.held is None or life.under_way is None or life.under_way is life.in_use:
        return False
    issued = life.under_way.issued
    # After a first run with the same issuer, the new certificates are from this issuer, too.
    is_repeated = bool(life.held.replace_by)
    return issued is None or is_repeated or issued.sha256 not in ending


def _find_due_requests(folder: Path, manifest: Manifest, day: date) -> tuple[RequestRecord, ...]:
    terms = read_renewal_terms(folder, manifest)
    return tuple(record for record in manifest.requests if is_due(record, day, terms))


def _find_named_requests(
    records: Sequence[RequestRecord], names: Sequence[str]
) -> tuple[RequestRecord, ...]:
    matches, problems = find_named_requests(records, names)
    if problems:
        raise BundleError(
            ("lyncnb renewed nothing, because some names do not match any request in the folder"),
            problems=problems,
        )
    matching_ids = {match.record.id for match in matches}
    return tuple(record for record in records if record.id in matching_ids)


def _has_waiting_key(record: RequestRecord) -> bool:
    life = find_generations(record)
    if life.in_use is None or life.under_way is None:
        return False
    return life.under_way.spki_sha256 != life.in_use.spki_sha256


_AT_SET_UP = (
    "request the certificate again on its server, as during setup. Then receive the request: "
    "lyncnb receive FOLDER --request FILE"
)


def _describe_set_up(records: Sequence[RequestRecord]) -> str:
    ids = join_first_texts([record.id for record in records], _NAMED)
    return (
        f"you request {ids} during the setup of the server (at_set_up in plan.toml), so lyncnb "
        "cannot renew the certificate"
    )


def _make_renewal_order(
    folder: Path,
    manifest: Manifest,
    choice: _Choice,
    *,
    reason: str,
    evaluation_date: date,
    now: str,
    withdraw: bool,
    approved_by: str | os.PathLike[str] | None,
) -> Order:
    """Return the task for a renewal: the folder's saved plan, and the requests to create again."""
    present = read_plan_bytes(folder, manifest)
    ids = [record.id for record in choice.renewed]
    if ids:
        plan, approval = _find_plan(folder, manifest, present, approved_by)
    else:  # A revocation does not require an approval.
        plan, approval = build_plan_on_record(manifest, present)[0], ""
    # The plan is evaluated as if its certificates were issued today. Its planned issue date applies
    # only to the first requests.
    judged = replace(plan, options=replace(plan.options, planned_issue_date=evaluation_date))
    others = {certificate.id for certificate in plan.certificates} - set(ids)
    findings = [
        finding for finding in check_plan(judged, on=evaluation_date) if finding.about not in others
    ]
    accept = {
        acceptance.code: acceptance.reason
        for acceptance in manifest.accepted
        if acceptance.code not in plan.options.accepted and not approval
    }
    try:
        order = make_order(
            judged,
            findings=findings if ids else (),
            accept=accept,
            renew=ids,
            reason=reason,
            now=now,
            key_holders={record.id: record.key_holder for record in choice.renewed},
        )
    except PlanRejected as error:
        raise PlanRejected(
            error.message,
            problems=error.problems,
            hint="correct the table and create the requests again, or accept each code with a "
            "reason: lyncnb request TOPOLOGY FOLDER --accept CODE=REASON",
        ) from None
    return replace(
        order,
        plan=plan,
        wanted=tuple(_restore_notes(request, manifest) for request in order.wanted),
        is_own_plan=True,
        saved_file=present,
        approved_plan=approval,
        covered_on=None,
        withdrawn=frozenset(
            record.id for record in choice.renewed if withdraw and is_waiting(record)
        ),
        compromised=frozenset(record.id for record in choice.compromised),
        notes=tuple(_list_notes(folder, choice, evaluation_date)),
    )


def _restore_notes(planned_requests: Wanted, manifest: Manifest) -> Wanted:
    """Copy the notes about names from the manifest, because the saved plan has no notes."""
    record = manifest.by_id.get(planned_requests.id)
    return replace(planned_requests, name_notes=record.name_notes) if record else planned_requests


def _find_plan(
    folder: Path,
    manifest: Manifest,
    current_plan_file: bytes,
    approved_by: str | os.PathLike[str] | None,
) -> tuple[CertificatePlan, str]:
    """Return the plan for a renewal, and the SHA-256 of the plan if it is approved."""
    if approved_by is None:
        last = manifest.plans[-1] if manifest.plans else None
        if last and last.approvals and last.plan_sha256 == manifest.plan_sha256:
            signer = last.approvals[-1]
            raise ApprovalError(
                (
                    f"{signer.signer} approved the plan in the folder {folder} on "
                    f"{signer.verified_at[:10]}. To check this approval, lyncnb needs a list "
                    "of allowed signers"
                ),
                hint="specify the list of approvers: --approved-by SIGNERS",
            )
        return build_plan_on_record(manifest, current_plan_file)[0], ""
    data, record = read_approved_plan(folder, manifest, approved_by)
    plan = build_plan_on_record(manifest, data)[0]
    if plan.sha256 != record.plan_sha256:
        raise ApprovalError(
            "the approved plan in the folder and the record contain different certificates",
            hint="run this command again: lyncnb request --plan PLAN --approved-by SIGNERS FOLDER",
        )
    return plan, record.sha256


def _list_notes(folder: Path, choice: _Choice, day: date) -> Iterator[str]:
    folder_argument = quote_argument(str(folder))
    if not (choice.renewed or choice.compromised or choice.at_set_up or choice.ending):
        yield f"no certificate is due for renewal on {day}"
    if choice.at_set_up:
        yield f"{_describe_set_up(choice.at_set_up)}; {_AT_SET_UP}"
    yield from choice.notes
    if choice.kept and choice.ending:
        ids = join_first_texts([record.id for record in choice.kept], _NAMED)
        yield f"the replacement is already under way: {ids}"
    for record in choice.kept if choice.compromised else ():
        yield (
            f"{record.id}: generation {record.generation} already has a new key, so "
            "lyncnb did not create another request. If the new key is also compromised, "
            f"first record that the certificate is installed: lyncnb deployed {folder_argument} "
            f"{record.id}"
        )
