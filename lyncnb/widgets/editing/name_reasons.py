"""Why a name is there and what for, as the panels tell it to whoever clicks a name or request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ...plan.model import EXPLANATION_COLUMNS, CertificatePlan, PlannedCertificate
from ...reports.summary.content import Summary
from ...rules.model import NOT_DOCUMENTED, Fact, NameRule
from .messages import Reasons, RuleReason
from .plan_views import few, folded_names, title_of

_SERVERS_NAMED = 12
_PLACES_LISTED = 12


@dataclass(slots=True)
class _Found:
    """Where the names of one rule stand: certificates of a pool and use are one place."""

    names: dict[str, None] = field(default_factory=dict)
    places: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    servers: dict[str, None] = field(default_factory=dict)

    def add(self, name: str, certificate: PlannedCertificate) -> None:
        """Keep that a name stands on a certificate."""
        self.names[name] = None
        place = (certificate.pool or certificate.id, title_of(certificate), certificate.issuer)
        self.places.setdefault(place, []).append(certificate.owner)
        self.servers.update(dict.fromkeys(map(str, certificate.servers)))


def of_name(plan: CertificatePlan, name: str) -> Reasons:
    """Tell of a name by which rules it is there, why, on whose certificates, and what for.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    name : str
        As it stands on certificates.

    Returns
    -------
    dict
        One reason for each rule that gives the name; none, and a note, where no certificate has it.
    """
    found = _find(plan, ((certificate, name) for certificate in plan.certificates))
    note = "" if found else "It stands on no certificate of the plan."
    return _message(name, note, found, plan.rules.names)


def of_request(plan: CertificatePlan, request_id: str) -> Reasons:
    """Tell of every name of one certificate the same, names of one rule together."""
    named = (
        (certificate, str(name))
        for certificate in plan.certificates
        if certificate.id == request_id
        for name in dict.fromkeys((certificate.subject.common_name, *certificate.names))
    )
    found = _find(plan, named)
    note = "" if found else "It is not in the plan any more."
    return _message(f"Names of {request_id}", note, found, plan.rules.names)


def of_record(
    summary: Summary | None, names: Mapping[str, NameRule], request_id: str, others: Iterable[str]
) -> Reasons:
    """Tell of every name of one request of a folder the same, as its summary has it on record.

    Parameters
    ----------
    summary : Summary or None
        What the folder keeps of it; None if it keeps none.
    names : mapping of str to NameRule
        Of the folder's product, by id.
    request_id : str
        Of a request.
    others : iterable of str
        Its names as they are on record, for a request of which no reason is.
    """
    title = f"Names of {request_id}"
    for block, member in summary.members if summary else ():
        if member.id != request_id:
            continue
        found: dict[str, _Found] = {}
        for group in block.names:
            for rule in group.rules:
                told = found.setdefault(rule, _Found())
                told.names.update(dict.fromkeys(group.names or member.servers))
                told.servers.update(dict.fromkeys(member.servers))
        return _message(title, "", found, names)
    said = few([*others], _SERVERS_NAMED) or "none"
    note = f"The folder keeps no reasons for the names of this request: {said}."
    return _message(title, note, {}, names)


def _find(
    plan: CertificatePlan, named: Iterable[tuple[PlannedCertificate, str]]
) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    for certificate, name in named:
        for rule in _rules_of(plan, certificate, name):
            found.setdefault(rule, _Found()).add(name, certificate)
    return found


def _rules_of(plan: CertificatePlan, certificate: PlannedCertificate, name: str) -> Iterator[str]:
    is_alternative = False
    for entry in certificate.subject_alt_name:
        if entry.name == name:
            is_alternative = True
            yield from entry.reasons
    if not is_alternative and name and certificate.subject.common_name == name:
        yield from (
            rule.subject_name for rule in plan.rules.certificates if rule.id == certificate.rule
        )


def _message(
    title: str, note: str, found: Mapping[str, _Found], names: Mapping[str, NameRule]
) -> Reasons:
    reasons = [_reason(names[rule], one) for rule, one in found.items() if rule in names]
    gone = [rule for rule in found if rule not in names]
    if gone:  # the folder was written by rules that are others now
        note = f"No longer among the rules: {', '.join(gone)}."
    return {"type": "reasons", "title": title, "note": note, "reasons": reasons}


def _reason(rule: NameRule, found: _Found) -> RuleReason:
    facts = (Fact(says=rule.why, source=rule.source), rule.clients, rule.without)
    places = [
        f"{few(folded_names(dict.fromkeys(owners)))} ({use}, {issuer} CA)"
        for (_, use, issuer), owners in found.places.items()
    ]
    left = len(places) - _PLACES_LISTED
    return {
        "rule": rule.id,
        "names": [*found.names],
        "facts": [
            {
                "heading": heading,
                "says": fact.says if fact else NOT_DOCUMENTED,
                "source": fact.source if fact else "",
            }
            for heading, fact in zip(("Why", *EXPLANATION_COLUMNS[-2:]), facts, strict=True)
        ],
        "places": places[:_PLACES_LISTED] + ([f"and {left:,} more"] if left > 0 else []),
        "servers": few(folded_names(found.servers), _SERVERS_NAMED),
    }
