"""``RecordedPlan``: the certificates in a file or folder, without their table and options.

It allows comparing a plan with an earlier one: the JSON document of a plan (``plan_json.py``) or
the entries of a request folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from ..base.certificate_fields import DistinguishedName, KeyParameters, SanEntry
from ..base.disk import files
from ..base.dns_name import DnsName
from ..base.json_text import NotJson, parse_json
from ..base.planned_entry import PlannedEntry
from ..base.records import SINCE_2, RecordReader
from ..errors import PlanError, Problem
from ..rules.findings import Finding, Findings
from ..rules.model import SEVERITIES, Rules
from ..rules.rule_files import rules_on_record
from ..topology.topology import Topology
from .model import CertificatePlan, PlannedCertificate
from .options import DEFAULT_OPTIONS
from .plan_json import FORMAT

#: The fields that neither a document nor a folder contains; they are not compared.
NOT_RECORDED = frozenset(("ca", "target_os"))

_EDITED = "write it again: lyncnb plan TOPOLOGY -o FILE.json"
_FIELDS_OF = {
    "CN": "common_name",
    "O": "organization",
    "OU": "organizational_unit",
    "L": "locality",
    "ST": "state",
    "C": "country",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordedPlan(CertificatePlan):
    """A plan from a file or folder: its certificates, without their table and options.

    ``topology`` is empty and has the name of the file or folder; ``options`` are the defaults.
    ``findings`` are the recorded ones, None if there are none.
    """

    findings: Findings | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding:
    """A finding in a plan document; see ``Finding.to_document``."""

    code: str
    severity: str
    about: str = ""
    message: str = ""
    hint: str = ""
    source: str = ""

    def finding(self, *, accepted: str = "") -> Finding:
        """Return a finding; ``accepted`` is the reason for its acceptance, if any."""
        return Finding(
            code=self.code,
            severity=self.severity,
            about=self.about,
            message=self.message,
            hint=self.hint,
            source=self.source,
            accepted=accepted,
        )


#: The rules of the names of certificates, by certificate id and name.
NameReasons = Mapping[str, Mapping[str, tuple[str, ...]]]


def recorded_certificates(
    entries: Iterable[PlannedEntry],
    rules: Rules | None,
    problems: list[Problem],
    *,
    reasons: NameReasons = MappingProxyType({}),
) -> tuple[PlannedCertificate, ...]:
    """Convert entries of a record to planned certificates.

    Parameters
    ----------
    entries : iterable of PlannedEntry
        n entries.
    rules : Rules or None
        The rules of the record's product, to find each certificate's rule; None skips this.
    problems : list of Problem
        Gets each entry that no plan can contain.
    reasons : mapping, optional
        The recorded rules of the names, if any.

    Returns
    -------
    tuple of PlannedCertificate
        The valid ones, in the given order.
    """
    by_use: dict[tuple[str, tuple[str, ...]], str] = {}
    for rule in rules.certificates if rules else ():
        by_use.setdefault((rule.role, rule.usages), rule.id)  # rules of other profiles come later
    certificates, ids = [], set()
    names: dict[str, DnsName] = {}
    for entry in entries:
        try:
            certificate = _certificate(entry, by_use, names, reasons.get(entry.id, {}))
        except ValueError as error:
            problems.append(Problem(message=f"{entry.id}: {error}"))
            continue
        if certificate.id != entry.id:
            problems.append(
                Problem(message=f"{entry.id}: its id does not match its role, usages, and server")
            )
        if certificate.id in ids:
            problems.append(Problem(message=f"{entry.id}: appears twice"))
        ids.add(certificate.id)
        certificates.append(certificate)
    return tuple(certificates)


def _certificate(
    entry: PlannedEntry,
    by_use: Mapping[tuple[str, tuple[str, ...]], str],
    names: dict[str, DnsName],
    reasons: Mapping[str, tuple[str, ...]],
) -> PlannedCertificate:
    if entry.key is None or not entry.role or not (entry.servers or entry.shared_by != "server"):
        raise ValueError("the record has only the requests, not the plan")
    subject = {name: entry.subject.get(short, "") for short, name in _FIELDS_OF.items()}
    return PlannedCertificate(
        role=entry.role,
        site=entry.site,
        pool=entry.pool,
        usages=entry.usages,
        extended_key_usage=entry.eku,
        key=KeyParameters(algorithm=entry.key.algorithm, bits=entry.key.bits),
        hash=entry.hash,
        shared_by=entry.shared_by,
        rule=by_use.get((entry.role, entry.usages), ""),
        servers=tuple(map(DnsName, entry.servers)),
        subject=DistinguishedName(**subject),
        subject_alt_name=tuple(
            SanEntry(_name(text, names), reasons.get(text, ())) for text in entry.san
        ),
        issuer=entry.issuer,
        ca="",
        target_os="",
        at_set_up=entry.at_set_up,
    )


def _name(text: str, known: dict[str, DnsName]) -> DnsName:
    name = known.get(text)
    if name is None:
        name = DnsName.parse(text, allow_wildcard=True, allow_single_label=True)
        if name != text:
            raise ValueError(f'"{text}" is not a name of a plan')
        known[text] = name
    return name


def recorded_plan(
    certificates: Sequence[PlannedCertificate],
    rules: Rules,
    *,
    source: str,
    findings: Findings | None = None,
) -> RecordedPlan:
    """Create a plan from recorded certificates; ``source`` is their file or folder."""
    return RecordedPlan(
        topology=Topology(source=source, sip_domains=(), sites=(), pools=()),
        rules=rules,
        options=DEFAULT_OPTIONS,
        certificates=tuple(certificates),
        findings=findings,
    )


# 100,000 certificates with the sources of their names have about 400 MB; lyncnb writes no larger
# plan.
_LARGEST = 1 << 30


def read_plan_file(path: Path) -> bytes:
    """Read the file of a plan.

    Raises
    ------
    PlanError
        If it cannot be read, or is too large for a plan.
    """
    return files.read_named(path, limit=_LARGEST, error=PlanError)


# The plan document, which ``lyncnb plan --json`` writes.


@dataclass(frozen=True, slots=True, kw_only=True)
class _NameReason:
    """A rule of a name; only people read its source."""

    rule: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentEntry(PlannedEntry):
    keeps_others: ClassVar = False

    reasons: Mapping[str, tuple[_NameReason, ...]] = field(default_factory=dict)
    unicode: Mapping[str, str] = field(default_factory=dict, metadata=SINCE_2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentReason:
    """The texts of a rule for people; this module uses the rules themselves."""

    rule: str
    why: str
    source: str
    clients: object = None
    without: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    format: str
    product: str
    plan_sha256: str
    certificates: tuple[_DocumentEntry, ...]
    reasons: tuple[_DocumentReason, ...] = ()
    findings: tuple[RecordedFinding, ...] = ()
    judged_on: str = ""


def read_plan_json(data: bytes, *, source: str) -> RecordedPlan:
    """Read the output of ``lyncnb plan --json`` or ``-o FILE.json``.

    Parameters
    ----------
    data : bytes
        The document.
    source : str
        Name of the file, for messages.

    Returns
    -------
    RecordedPlan
        Its certificates and findings.

    Raises
    ------
    PlanError
        If it is not such a document, or its digest does not match its certificates.
    RulesError
        If its product is not known.
    """
    try:
        document = parse_json(data)
    except NotJson as error:
        raise PlanError(f"{source}: {error}", hint=_EDITED) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PlanError(f"{source}: is not a plan that lyncnb wrote ({FORMAT})", hint=_EDITED)
    reader = RecordReader(source)
    content = reader.record(_Document, document)
    if content is None:
        raise PlanError(
            f"{source}: was edited or damaged", problems=tuple(reader.problems), hint=_EDITED
        )
    rules = rules_on_record(content.product)
    problems: list[Problem] = []
    reasons = {
        entry.id: {
            name: tuple(rule.rule for rule in given) for name, given in entry.reasons.items()
        }
        for entry in content.certificates
    }
    certificates = recorded_certificates(content.certificates, rules, problems, reasons=reasons)
    findings = Findings(items=tuple(_finding(item, problems) for item in content.findings))
    plan = recorded_plan(certificates, rules, source=source, findings=findings)
    if not problems and plan.sha256 != content.plan_sha256:
        problems.append(Problem(message="its digest does not match its certificates"))
    if problems:
        raise PlanError(f"{source}: was edited or damaged", problems=tuple(problems), hint=_EDITED)
    return plan


def _finding(recorded: RecordedFinding, problems: list[Problem]) -> Finding:
    if recorded.severity not in SEVERITIES:
        problems.append(
            Problem(message=f'{recorded.code}: "{recorded.severity}" is not a severity')
        )
    return recorded.finding()
