"""``RecordedPlan``: certificates as a file or a folder has them, without the table they came from.

So that a plan can be compared with what was written down earlier: the plan's JSON document
(``plan_json.py``), or the entries of a request folder.
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

#: What neither document nor folder keeps of a certificate: it is not compared.
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
    """A plan as it was written down: its certificates, not the table and options they came from.

    ``topology`` names the file or folder and is empty, ``options`` are the defaults; of neither is
    known what they were. ``findings`` are those on record, None where there are none on record.
    """

    findings: Findings | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding:
    """A finding as the plan document has it; see ``Finding.to_document``."""

    code: str
    severity: str
    about: str = ""
    message: str = ""
    hint: str = ""
    source: str = ""

    def finding(self, *, accepted: str = "") -> Finding:
        """Give it as a finding; ``accepted`` is why it was accepted, if it was."""
        return Finding(
            code=self.code,
            severity=self.severity,
            about=self.about,
            message=self.message,
            hint=self.hint,
            source=self.source,
            accepted=accepted,
        )


#: The rules that gave the names of certificates, by the certificates' ids and the names.
NameReasons = Mapping[str, Mapping[str, tuple[str, ...]]]


def recorded_certificates(
    entries: Iterable[PlannedEntry],
    rules: Rules | None,
    problems: list[Problem],
    *,
    reasons: NameReasons = MappingProxyType({}),
) -> tuple[PlannedCertificate, ...]:
    """Read entries of a record as planned certificates.

    Parameters
    ----------
    entries : iterable of PlannedEntry
        n entries.
    rules : Rules or None
        Those of the record's product, by which each certificate is found its rule; None: of none
        it is asked.
    problems : list of Problem
        Each entry that can be none of a plan is added.
    reasons : mapping, optional
        Rules of the names, where they are on record.

    Returns
    -------
    tuple of PlannedCertificate
        Those that are sound, in the order given.
    """
    by_use: dict[tuple[str, tuple[str, ...]], str] = {}
    for rule in rules.certificates if rules else ():
        by_use.setdefault((rule.role, rule.usages), rule.id)  # other profiles' rules come later
    found, ids = [], set()
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
        found.append(certificate)
    return tuple(found)


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
    """Put certificates on record together as a plan; ``source`` is where they are from."""
    return RecordedPlan(
        topology=Topology(source=source, sip_domains=(), sites=(), pools=()),
        rules=rules,
        options=DEFAULT_OPTIONS,
        certificates=tuple(certificates),
        findings=findings,
    )


# 100,000 certificates with the sources of their names are some 400 MB; more is no plan of ours.
_LARGEST = 1 << 30


def read_plan_file(path: Path) -> bytes:
    """Read the bytes of a plan that a planner named.

    Raises
    ------
    PlanError
        If they cannot be read, or are more than a plan can have.
    """
    return files.read_named(path, limit=_LARGEST, error=PlanError)


# The plan document: what ``lyncnb plan --json`` writes.


@dataclass(frozen=True, slots=True, kw_only=True)
class _NameReason:
    """A rule that gave a name; its source is for people to read."""

    rule: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentEntry(PlannedEntry):
    keeps_others: ClassVar = False

    reasons: Mapping[str, tuple[_NameReason, ...]] = field(default_factory=dict)
    unicode: Mapping[str, str] = field(default_factory=dict, metadata=SINCE_2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentReason:
    """What a rule says; for people to read, here the rules themselves are asked."""

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
    """Read what ``lyncnb plan --json`` or ``-o FILE.json`` wrote.

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
        If it is no such document, or was edited: its digest does not match its certificates.
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
    said = reader.record(_Document, document)
    if said is None:
        raise PlanError(
            f"{source}: was edited or damaged", problems=tuple(reader.problems), hint=_EDITED
        )
    rules = rules_on_record(said.product)
    problems: list[Problem] = []
    reasons = {
        one.id: {name: tuple(rule.rule for rule in given) for name, given in one.reasons.items()}
        for one in said.certificates
    }
    certificates = recorded_certificates(said.certificates, rules, problems, reasons=reasons)
    findings = Findings(items=tuple(_finding(item, problems) for item in said.findings))
    plan = recorded_plan(certificates, rules, source=source, findings=findings)
    if not problems and plan.sha256 != said.plan_sha256:
        problems.append(Problem(message="its digest does not match its certificates"))
    if problems:
        raise PlanError(f"{source}: was edited or damaged", problems=tuple(problems), hint=_EDITED)
    return plan


def _finding(said: RecordedFinding, problems: list[Problem]) -> Finding:
    if said.severity not in SEVERITIES:
        problems.append(Problem(message=f'{said.code}: "{said.severity}" is not a severity'))
    return said.finding()
