"""Define ``RecordedPlan``: certificates from a file or folder, without the table and options.

lyncnb compares a plan with an earlier plan, which is a plan document in JSON (``plan_json.py``) or
the entries in a request folder.
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
from ..rules.rule_files import load_recorded_rules
from ..topology.topology import Topology
from .model import CertificatePlan, PlannedCertificate
from .options import DEFAULT_OPTIONS
from .plan_json import FORMAT

#: The fields that neither a plan document nor a request folder contains. lyncnb does not compare
#: them.
NOT_RECORDED = frozenset(("ca", "target_os"))

_EDITED = "create the file again: lyncnb plan TOPOLOGY -o FILE.json"
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
    """A plan from a file or folder: the certificates, without the table and options.

    ``topology`` is empty, and its source is the name of the file or folder. ``options`` are the
    defaults. ``findings`` are the recorded findings, or None if the record has none.
    """

    findings: Findings | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding:
    """A finding in a plan document (see ``Finding.to_document``)."""

    code: str
    severity: str
    about: str = ""
    message: str = ""
    hint: str = ""
    source: str = ""
    accepted: str = ""  # The reason for accepting the finding, or "".

    def build_finding(self) -> Finding:
        """Convert the record to a finding."""
        return Finding(
            code=self.code,
            severity=self.severity,
            about=self.about,
            message=self.message,
            hint=self.hint,
            source=self.source,
            accepted=self.accepted,
        )


#: The rules for the names on certificates, by certificate ID and name.
NameReasons = Mapping[str, Mapping[str, tuple[str, ...]]]


def build_recorded_certificates(
    entries: Iterable[PlannedEntry],
    rules: Rules | None,
    problems: list[Problem],
    *,
    reasons: NameReasons = MappingProxyType({}),
) -> tuple[PlannedCertificate, ...]:
    """Convert recorded entries to planned certificates.

    Parameters
    ----------
    entries : iterable of PlannedEntry
        The n entries.
    rules : Rules or None
        The rules of the recorded product, to find the rule for each certificate; None skips this.
    problems : list of Problem
        The list to which every invalid entry is added.
    reasons : mapping, optional
        The recorded rules for the names, if any.

    Returns
    -------
    tuple of PlannedCertificate
        The valid certificates, in the same order.
    """
    by_use: dict[tuple[str, tuple[str, ...]], str] = {}
    for rule in rules.certificates if rules else ():
        # For each role and its usages, the first rule is used. Rules for other profiles come later
        # in the list.
        by_use.setdefault((rule.role, rule.usages), rule.id)
    certificates, ids = [], set()
    names: dict[str, DnsName] = {}
    for entry in entries:
        try:
            certificate = _convert_entry(entry, by_use, names, reasons.get(entry.id, {}))
        except ValueError as error:
            problems.append(Problem(message=f"{entry.id}: {error}"))
            continue
        if certificate.id != entry.id:
            problems.append(
                Problem(
                    message=f"the id {entry.id} does not match the role, usages, and server "
                    "of the certificate"
                )
            )
        if certificate.id in ids:
            problems.append(Problem(message=f"the id {entry.id} appears twice"))
        ids.add(certificate.id)
        certificates.append(certificate)
    return tuple(certificates)


def _convert_entry(
    entry: PlannedEntry,
    rules_by_use: Mapping[tuple[str, tuple[str, ...]], str],
    names: dict[str, DnsName],
    reasons: Mapping[str, tuple[str, ...]],
) -> PlannedCertificate:
    if entry.key is None or not entry.role or not (entry.servers or entry.shared_by != "server"):
        raise ValueError("the file contains only the requests, not the plan")
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
        rule=rules_by_use.get((entry.role, entry.usages), ""),
        servers=tuple(map(DnsName, entry.servers)),
        subject=DistinguishedName(**subject),
        subject_alt_name=tuple(
            SanEntry(_check_name(text, names), reasons.get(text, ())) for text in entry.san
        ),
        issuer=entry.issuer,
        ca="",
        target_os="",
        at_set_up=entry.at_set_up,
    )


def _check_name(text: str, known_names: dict[str, DnsName]) -> DnsName:
    name = known_names.get(text)
    if name is None:
        name = DnsName.parse(text, allow_wildcard=True, allow_single_label=True)
        if name != text:
            raise ValueError(f'"{text}" is not a valid name in a plan')
        known_names[text] = name
    return name


def build_recorded_plan(
    certificates: Sequence[PlannedCertificate],
    rules: Rules,
    *,
    source: str,
    findings: Findings | None = None,
) -> RecordedPlan:
    """Create a plan from recorded certificates. ``source`` is the name of the file or folder."""
    return RecordedPlan(
        topology=Topology(source=source, sip_domains=(), sites=(), pools=()),
        rules=rules,
        options=DEFAULT_OPTIONS,
        certificates=tuple(certificates),
        findings=findings,
    )


# The maximum size of a plan document in bytes. A plan with 100,000 certificates and the sources of
# their names takes about 400 MB. lyncnb does not write larger documents.
_LARGEST = 1 << 30


def read_plan_file(path: Path) -> bytes:
    """Read a plan file.

    Raises
    ------
    PlanError
        If the file cannot be read, or is too large for a plan.
    """
    return files.read_specified_file(path, limit=_LARGEST, error_class=PlanError)


# --- The following functions read the plan document that ``lyncnb plan --json`` writes.


@dataclass(frozen=True, slots=True, kw_only=True)
class _NameReason:
    """A rule for a name in a plan document. The source of the rule is not read."""

    rule: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentEntry(PlannedEntry):
    keeps_others: ClassVar = False

    reasons: Mapping[str, tuple[_NameReason, ...]] = field(default_factory=dict)
    unicode: Mapping[str, str] = field(default_factory=dict, metadata=SINCE_2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentReason:
    """The texts about a rule in a plan document. lyncnb does not use these texts."""

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
    """Read the output of ``lyncnb plan --json`` or ``lyncnb plan -o FILE.json``.

    Parameters
    ----------
    data : bytes
        The document.
    source : str
        The name of the file, for messages.

    Returns
    -------
    RecordedPlan
        The certificates and findings in the document.

    Raises
    ------
    PlanError
        If the document is not valid, or its digest does not match the certificates.
    RulesError
        If the product is unknown.
    """
    try:
        document = parse_json(data)
    except NotJson as error:
        raise PlanError(f"{source}: {error}", hint=_EDITED) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise PlanError(f"{source} is not a plan that lyncnb created ({FORMAT})", hint=_EDITED)
    reader = RecordReader(source)
    content = reader.record(_Document, document)
    if content is None:
        raise PlanError(
            f"{source} was edited or damaged", problems=tuple(reader.problems), hint=_EDITED
        )
    rules = load_recorded_rules(content.product)
    problems: list[Problem] = []
    reasons = {
        entry.id: {
            name: tuple(rule.rule for rule in name_rules)
            for name, name_rules in entry.reasons.items()
        }
        for entry in content.certificates
    }
    certificates = build_recorded_certificates(
        content.certificates, rules, problems, reasons=reasons
    )
    findings = Findings(items=tuple(_convert_finding(item, problems) for item in content.findings))
    plan = build_recorded_plan(certificates, rules, source=source, findings=findings)
    if not problems and plan.sha256 != content.plan_sha256:
        problems.append(Problem(message="the digest in the file does not match the certificates"))
    if problems:
        raise PlanError(f"{source} was edited or damaged", problems=tuple(problems), hint=_EDITED)
    return plan


def _convert_finding(recorded: RecordedFinding, problems: list[Problem]) -> Finding:
    if recorded.severity not in SEVERITIES:
        problems.append(
            Problem(message=f'{recorded.code}: "{recorded.severity}" is not a valid severity')
        )
    return recorded.build_finding()
