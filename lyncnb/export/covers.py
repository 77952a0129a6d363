"""Find requests that are not needed, because an installed certificate already covers them.

Two facts are required: ``asis`` reports that a certificate is installed, and the user confirms that
its key is available. A server may still lack the certificate or its key, and a note names this
server. Except for reading the file of ``asis``, this module reads and writes no files.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

from ..authorities.evaluation.evaluation import compute_entry_sha256
from ..authorities.survey.as_is import LACKING, NOT_SEEN, STATES, AsIs, PlannedAsIs
from ..authorities.survey.read_as_is import read_as_is
from ..base.shown.tables import format_count, join_first_texts
from ..base.times import convert_to_time
from ..errors import OptionsError, PlanRejected, Problem, ReturnedFileError
from ..plan.acceptances import list_accepted_codes
from ..plan.model import CertificatePlan, convert_to_entry
from ..request_folder.request_record import CoveringCertificate
from ..rules.returned_rules import list_returned_checks
from .order import NO_COVERS, Covers
from .resolve_ids import resolve_ids

_NAMED = 3
_REUSE = (
    "If you have the private key of an installed certificate, you can omit its request: specify "
    "--reuse ID"
)


def choose_covering_certificates(
    plan: CertificatePlan,
    only_missing: AsIs | str | os.PathLike[str] | None,
    reuse: Sequence[str],
    *,
    day: date,
    now: str,
    accept: Collection[str] = (),
) -> Covers:
    """Choose the installed certificates that cover requests in a plan.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    only_missing : AsIs, path or None
        The answer of ``asis``, or its file.
    reuse : sequence of str
        Ids, or their beginnings, whose key is available.
    day : date
        The day on which they must be valid.
    now : str
        The time to record, UTC, ISO 8601.
    accept : collection of str, optional
        The codes of errors to accept, besides those in the plan's options. ``not-seen`` requests
        the certificates that no port showed.

    Raises
    ------
    OptionsError
        If an id matches no planned certificate, or none that is covered on that day.
    ReturnedFileError
        If the file cannot be read, or is about another plan.
    PlanRejected
        If a probe did not see a certificate, or some of its servers lack it, and nobody decided
        what to do.
    """
    requested = (reuse,) if isinstance(reuse, str) else tuple(reuse)
    if only_missing is None:
        if requested:
            raise OptionsError(
                "reuse: lyncnb needs the list of installed certificates for "
                f"{', '.join(requested)}",
                hint="also specify the file that lyncnb asis created: --only-missing FILE.json",
            )
        return NO_COVERS
    if isinstance(only_missing, AsIs):
        as_is, name = only_missing, "the list of installed certificates"
    else:
        as_is, name = read_as_is(only_missing), str(only_missing)
    _reject_other_plan(as_is, plan, name)
    by_id = {certificate.id: certificate for certificate in as_is.planned}
    reused_ids = resolve_ids([*by_id], requested, option_name="reuse", error=OptionsError)
    for identity in sorted(reused_ids):
        _reject_uncovered_certificate(by_id[identity], day)
    decided = {*accept, *list_accepted_codes((), plan.options, day=day)}
    for state, words in _UNDECIDED.items():
        undecided = [
            certificate
            for certificate in as_is.planned
            if certificate.state == state and certificate.id not in reused_ids
        ]
        if undecided and state not in decided:
            raise _make_undecided_error(undecided, words, list_returned_checks()[state].hint)
    return Covers(
        by_id={
            identity: _record_cover(by_id[identity], as_is, now) for identity in sorted(reused_ids)
        },
        notes=tuple(_list_notes(as_is, reused_ids, day)),
    )


def _reject_other_plan(as_is: AsIs, plan: CertificatePlan, name: str) -> None:
    before = {certificate.id: certificate.entry_sha256 for certificate in as_is.planned}
    now = {
        certificate.id: compute_entry_sha256(convert_to_entry(certificate))
        for certificate in plan.certificates
    }
    parts = {
        "only the plan contains {}": now.keys() - before.keys(),
        "only the list contains {}": before.keys() - now.keys(),
        "the plan and the list contain different data for {}": {
            identity for identity in now.keys() & before.keys() if now[identity] != before[identity]
        },
    }
    differences = "; ".join(
        text.format(join_first_texts(sorted(ids), _NAMED)) for text, ids in parts.items() if ids
    )
    if (as_is.product, as_is.plan_sha256) == (plan.rules.product, plan.sha256) and not differences:
        # Both the digest and the entries are checked, because a person who edits the entries may
        # leave the digest unchanged.
        return
    raise ReturnedFileError(
        f"{name} was created for another plan: {differences or f'for {as_is.product}'}",
        hint="compare the certificates with this plan: lyncnb asis PATH… TOPOLOGY --save FILE.json",
    )


# The states in which a new certificate may not be necessary, so that the user must decide.
_UNDECIDED = {
    NOT_SEEN: "no port presented {}. These certificates may still be installed",
    LACKING: "{} must only be copied to servers, because other servers have it with its key",
}


def _make_undecided_error(
    planned: Sequence[PlannedAsIs], description: str, hint: str
) -> PlanRejected:
    """Return the error for certificates that may be installed, if nobody decided about them."""
    return PlanRejected(
        description.format(format_count(len(planned), "planned certificate")),
        problems=tuple(
            Problem(
                message=f"{certificate.id} ({certificate.owner}): "
                f"{join_first_texts(certificate.remarks, 1)}"
            )
            for certificate in planned
        ),
        hint=hint,
    )


def _is_valid_on(planned_certificate: PlannedAsIs, day: date) -> bool:
    return planned_certificate.is_good and _build_covering_certificate(
        planned_certificate
    ).is_in_force(convert_to_time(day))


def _reject_uncovered_certificate(planned_certificate: PlannedAsIs, day: date) -> None:
    if not planned_certificate.is_good:
        hint = (
            f"remove {planned_certificate.id} from --reuse, "
            "so that lyncnb requests this certificate"
        )
        raise OptionsError(
            f"reuse: no installed certificate covers {planned_certificate.id}: "
            f"{STATES[planned_certificate.state]}",
            hint=list_returned_checks()[NOT_SEEN].hint
            if planned_certificate.state == NOT_SEEN
            else hint,
        )
    if not _is_valid_on(planned_certificate, day):
        cover = _build_covering_certificate(planned_certificate)
        raise OptionsError(
            (
                f"reuse: the installed certificate for {planned_certificate.id} is valid from "
                f"{cover.not_before[:10]} to {cover.not_after[:10]}, but it must be valid on "
                f"{day}, the day on which the CA is expected to issue the certificates"
            ),
            hint=f"remove {planned_certificate.id} from --reuse, so that lyncnb requests this "
            "certificate",
        )


def _build_covering_certificate(planned_certificate: PlannedAsIs) -> CoveringCertificate:
    standing = planned_certificate.certificate
    # A planned certificate in a valid state always has an installed certificate.
    assert standing is not None
    return CoveringCertificate(
        thumbprint_sha1=standing.thumbprint,
        sha256=standing.sha256,
        serial=standing.serial,
        subject=standing.subject,
        issuer=standing.issuer,
        not_before=standing.not_before,
        not_after=standing.not_after,
        found_at="",
        recorded_at="",
        servers=standing.servers,
    )


def _record_cover(planned_certificate: PlannedAsIs, as_is: AsIs, now: str) -> CoveringCertificate:
    return replace(
        _build_covering_certificate(planned_certificate), found_at=as_is.made_at, recorded_at=now
    )


def _list_notes(as_is: AsIs, reused_ids: Collection[str], day: date) -> Iterator[str]:
    for certificate in as_is.planned:
        if certificate.id in reused_ids and not certificate.is_covered:
            yield (
                f"servers need a copy of the certificate that you reuse for {certificate.id}, with "
                f"its private key: {_join_remarks(certificate)}"
            )
    others = [
        certificate
        for certificate in as_is.planned
        if certificate.id not in reused_ids and _is_valid_on(certificate, day)
    ]
    covered = [certificate for certificate in others if certificate.is_covered]
    incomplete = [certificate for certificate in others if not certificate.is_covered]
    if covered:
        yield (
            f"installed certificates also cover {len(covered):,} of the requests, such as "
            f"{covered[0].id}. {_REUSE}"
        )
    if incomplete:
        yield (
            f"installed certificates also match {len(incomplete):,} of the requests, but servers "
            f"need a copy with the private key. For example, {incomplete[0].id}: "
            f"{_join_remarks(incomplete[0])}. {_REUSE}"
        )


def _join_remarks(planned_certificate: PlannedAsIs) -> str:
    return join_first_texts(planned_certificate.remarks, _NAMED, separator="; ")
