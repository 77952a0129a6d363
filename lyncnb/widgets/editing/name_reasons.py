"""The reasons for a name and its purpose, for a user who selects a name or request in a panel."""

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
class _RuleUses:
    """The certificates with the names of one rule. Those of one pool and usage are one place."""

    names: dict[str, None] = field(default_factory=dict)
    places: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    servers: dict[str, None] = field(default_factory=dict)

    def add(self, name: str, certificate: PlannedCertificate) -> None:
        """Record that a certificate contains a name."""
        self.names[name] = None
        place = (certificate.pool or certificate.id, title_of(certificate), certificate.issuer)
        self.places.setdefault(place, []).append(certificate.owner)
        self.servers.update(dict.fromkeys(map(str, certificate.servers)))


def of_name(plan: CertificatePlan, name: str) -> Reasons:
    """Return the rules that add a name, the reasons, the certificates and the purpose.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    name : str
        As in certificates.

    Returns
    -------
    dict
        One reason for each rule that adds the name, or a note if no certificate contains it.
    """
    rules = _find(plan, ((certificate, name) for certificate in plan.certificates))
    note = "" if rules else "No certificate in the plan contains this name."
    return _message(name, note, rules, plan.rules.names)


def of_request(plan: CertificatePlan, request_id: str) -> Reasons:
    """Return the reasons for all names of one certificate, grouped by rule."""
    named = (
        (certificate, str(name))
        for certificate in plan.certificates
        if certificate.id == request_id
        for name in dict.fromkeys((certificate.subject.common_name, *certificate.names))
    )
    rules = _find(plan, named)
    note = "" if rules else "This certificate is no longer in the plan."
    return _message(f"Names of {request_id}", note, rules, plan.rules.names)


def of_record(
    summary: Summary | None, names: Mapping[str, NameRule], request_id: str, others: Iterable[str]
) -> Reasons:
    """Return the reasons for all names of one request, from the summary of its folder.

    Parameters
    ----------
    summary : Summary or None
        The summary of the folder, or None.
    names : mapping of str to NameRule
        The name rules of the folder's product, by id.
    request_id : str
        The id of the request.
    others : iterable of str
        The recorded names of the request, used if there is no reason on record.
    """
    title = f"Names of {request_id}"
    for block, member in summary.members if summary else ():
        if member.id != request_id:
            continue
        rules: dict[str, _RuleUses] = {}
        for group in block.names:
            for rule in group.rules:
                uses = rules.setdefault(rule, _RuleUses())
                uses.names.update(dict.fromkeys(group.names or member.servers))
                uses.servers.update(dict.fromkeys(member.servers))
        return _message(title, "", rules, names)
    listed = few([*others], _SERVERS_NAMED) or "none"
    note = f"The folder contains no reasons for the names of this request: {listed}."
    return _message(title, note, {}, names)


def _find(
    plan: CertificatePlan, named: Iterable[tuple[PlannedCertificate, str]]
) -> dict[str, _RuleUses]:
    rules: dict[str, _RuleUses] = {}
    for certificate, name in named:
        for rule in _rules_of(plan, certificate, name):
            rules.setdefault(rule, _RuleUses()).add(name, certificate)
    return rules


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
    title: str, note: str, rules: Mapping[str, _RuleUses], names: Mapping[str, NameRule]
) -> Reasons:
    reasons = [_reason(names[rule], uses) for rule, uses in rules.items() if rule in names]
    gone = [rule for rule in rules if rule not in names]
    if gone:  # the folder was written with earlier rules
        note = f"These rules no longer exist: {', '.join(gone)}."
    return {"type": "reasons", "title": title, "note": note, "reasons": reasons}


def _reason(rule: NameRule, uses: _RuleUses) -> RuleReason:
    facts = (Fact(says=rule.why, source=rule.source), rule.clients, rule.without)
    places = [
        f"{few(folded_names(dict.fromkeys(owners)))} ({use}, {issuer} CA)"
        for (_, use, issuer), owners in uses.places.items()
    ]
    left = len(places) - _PLACES_LISTED
    return {
        "rule": rule.id,
        "names": [*uses.names],
        "facts": [
            {
                "heading": heading,
                "says": fact.says if fact else NOT_DOCUMENTED,
                "source": fact.source if fact else "",
            }
            for heading, fact in zip(("Why", *EXPLANATION_COLUMNS[-2:]), facts, strict=True)
        ],
        "places": places[:_PLACES_LISTED] + ([f"and {left:,} more"] if left > 0 else []),
        "servers": few(folded_names(uses.servers), _SERVERS_NAMED),
    }
