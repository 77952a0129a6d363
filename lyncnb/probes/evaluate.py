"""Evaluate the results of a probe against the plan, without connecting to servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..authorities.certificates_on_record import find_acceptances, load_issued_certificates
from ..authorities.demonstration import is_fictional
from ..authorities.evaluation.evaluation import Evaluation, Evidence
from ..authorities.survey.compare_as_is import (
    build_installed_certificate,
    evaluate_installed_certificate,
)
from ..base.planned_entry import PlannedEntry
from ..base.shown.tables import format_count
from ..pki.certificates import BadCertificate, Certificate, format_name, read_certificate
from ..pki.chain import Issuers, Path
from ..plan.acceptances import list_accepted_codes
from ..plan.model import CertificatePlan, convert_to_entry
from ..request_folder.bundle import RequestBundle
from ..request_folder.generations import list_compromised_keys
from ..rules.findings import Finding
from .ask import Answer
from .fetch import SHOWN
from .result import AS_PLANNED, DIFFERENT, NOT_VISIBLE, RESULTS, ProbeLine
from .targets import Target, Targets, Unseen

# A missing root is not a difference, because servers do not send the root.
_CHAIN_END = "chain-incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFacts:
    """The data in a request folder: certificates, expected certificates, and their CAs.

    ``requests`` describes the request of each certificate, by SHA-256. ``expected`` contains the
    newest certificate of each request, by ID. ``issuers_source`` is the file or folder with the
    CA certificates. ``accepted`` contains the accepted errors of each request.
    """

    requests: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)
    issuers: tuple[Certificate, ...] = ()
    issuers_source: str = ""
    accepted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    compromised: frozenset[str] = frozenset()


def read_folder_facts(bundle: RequestBundle) -> FolderFacts:
    """Return the data in a request folder that helps to recognize certificates."""
    requests: dict[str, str] = {}
    expected: dict[str, str] = {}
    records = bundle.manifest.requests
    for record in records:
        for part in record.generations:
            if part.issued is not None:
                package = ", packaged" if part.package is not None else ""
                text = f"request {record.id}, generation {part.generation}{package}"
                requests.setdefault(part.issued.sha256, text)
        if record.covering_certificate is not None:
            requests.setdefault(
                record.covering_certificate.sha256, f"covers the request {record.id}"
            )
        if record.issued is not None:
            expected[record.id] = record.issued.sha256
        elif record.covered is not None:
            expected[record.id] = record.covered.sha256
    issued = load_issued_certificates(bundle)
    return FolderFacts(
        requests=requests,
        expected=expected,
        issuers=tuple(
            dict.fromkeys(ca for certificate in issued.certificates for ca in certificate.path)
        ),
        issuers_source=f"{bundle.folder.resolve().name}/returned/issuers",
        accepted={record.id: find_acceptances(bundle, record) for record in records},
        compromised=list_compromised_keys(records),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The response of a port, with the certificates in its chain.

    The chain is empty if it cannot be read.
    """

    answer: Answer
    chain: tuple[Certificate, ...] = ()
    problem: str = ""


def read_sightings(answers: Iterable[Answer]) -> tuple[Sighting, ...]:
    """Read the certificates in all chains. Each certificate is read only once."""
    known: dict[bytes, Certificate] = {}

    def read_with_cache(der: bytes) -> Certificate:
        if der not in known:
            known[der] = read_certificate(der)
        return known[der]

    sightings = []
    for answer in answers:
        try:
            chain, problem = tuple(map(read_with_cache, answer.handshake.chain)), ""
        except BadCertificate as error:
            chain, problem = (), f"the certificate cannot be read: {error}"
        sightings.append(Sighting(answer=answer, chain=chain, problem=problem))
    return tuple(sightings)


@dataclass(frozen=True, slots=True)
class _Compared:
    """A presented certificate, compared with one of the certificates planned for the port."""

    entry: PlannedEntry
    evaluation: Evaluation
    remarks: tuple[str, ...]
    is_different: bool


@dataclass(slots=True)
class Evaluator:
    """An evaluator that compares chains with the planned certificates.

    The evaluator uses the same CA certificates for all chains.
    """

    plan: CertificatePlan
    folder: FolderFacts
    sightings: tuple[Sighting, ...]
    at: datetime
    #: The keys are the CA certificates that lyncnb does not have. The values are the responses
    #: whose chains need them.
    unknown_cas: dict[str, list[Answer]] = field(default_factory=dict)
    _issuers: Issuers = field(init=False)
    _entries: dict[str, PlannedEntry] = field(init=False)
    _pools: dict[str, str] = field(init=False)
    _is_fictional: bool = field(init=False)
    _accepted: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        sent = (certificate for sighting in self.sightings for certificate in sighting.chain[1:])
        self._issuers = Issuers((*self.folder.issuers, *sent))
        self._entries = {item.id: convert_to_entry(item) for item in self.plan.certificates}
        self._pools = {item.id: item.pool for item in self.plan.certificates}
        self._is_fictional = is_fictional(self._entries.values())
        self._accepted = list_accepted_codes((), self.plan.options, day=self.at.date())

    def list_lines(self, targets: Targets) -> tuple[ProbeLine, ...]:
        """Return a line for each response, and for each certificate that no port presents."""
        lines = list(dict.fromkeys(map(self._describe_response, self.sightings)))
        lines = _mark_old_certificates(lines)
        lines += [
            ProbeLine(
                result=NOT_VISIBLE,
                id=certificate.id,
                owner=certificate.owner,
                remarks=(certificate.why,),
            )
            for certificate in (*targets.unseen, *self._list_unpresented(targets, lines))
        ]
        return tuple(sorted(lines, key=lambda line: (not line.is_failure, _rank_line(line))))

    def _list_unpresented(self, targets: Targets, lines: Iterable[ProbeLine]) -> Iterator[Unseen]:
        """Yield the certificates that a name of several servers can present, but did not."""
        presented_ids = {line.id for line in lines}
        places = {
            certificate_id: target.place
            for target in targets.ports
            if target.is_balanced
            for certificate_id in target.planned
        }
        for item in self.plan.certificates:
            if item.id in places and item.id not in presented_ids:
                reason = (
                    f"Several certificates are planned for {places[item.id]}, and no response "
                    "has this one. To probe each server, use a hosts file with a line for each "
                    "address."
                )
                yield Unseen(id=item.id, owner=item.owner, usages=item.usages, why=reason)

    def list_notes(self) -> Iterator[str]:
        """Yield a note for each CA certificate that lyncnb needs to verify chains."""
        for name, answers in self.unknown_cas.items():
            ports = dict.fromkeys(answer.target.place for answer in answers)
            yield (
                f"lyncnb does not have the CA certificate {name}, so it cannot verify the "
                f"certificates on {format_count(len(ports), 'port')} up to the root. Specify a "
                "folder that contains this CA certificate: --folder FOLDER"
            )

    def _describe_response(self, sighting: Sighting) -> ProbeLine:
        answer = sighting.answer
        target, handshake = answer.target, answer.handshake
        line = ProbeLine(
            result=handshake.outcome,
            place=target.place,
            address=_format_address(answer.address, answer.port),
            name=target.name,
            id=target.planned[0] if len(target.planned) == 1 else "",
            owner=target.server or target.pool,
            protocol=handshake.protocol,
            condition=target.condition,
        )
        if handshake.outcome != SHOWN:
            return replace(line, remarks=(handshake.detail,))
        if sighting.problem:
            return replace(line, result=DIFFERENT, remarks=(sighting.problem,))
        best = min(
            (
                self._compare_certificate(sighting, self._entries[certificate_id])
                for certificate_id in target.planned
            ),
            key=lambda comparison: (comparison.is_different, comparison.evaluation.errors),
        )
        leaf = sighting.chain[0]
        return replace(
            line,
            result=DIFFERENT if best.is_different else AS_PLANNED,
            id=best.entry.id,
            owner=target.server or self._pools[best.entry.id],
            request=self.folder.requests.get(leaf.sha256, ""),
            certificate=build_installed_certificate(
                leaf, files=(target.place,), servers=(target.server,) if target.server else ()
            ),
            findings=best.evaluation.findings,
            remarks=best.remarks,
        )

    def _compare_certificate(self, sighting: Sighting, entry: PlannedEntry) -> _Compared:
        leaf, folder = sighting.chain[0], self.folder
        evidence = Evidence(
            certificate=leaf,
            entry=entry,
            issuers=self._issuers,
            accepted={**self._accepted, **folder.accepted.get(entry.id, {})},
            is_fictional=self._is_fictional,
        )
        evaluation = evaluate_installed_certificate(evidence, evaluated_at=self.at)
        wrong: list[str] = []
        remarks = [*_list_handshake_remarks(sighting.answer.target)]
        expected = folder.expected.get(entry.id, leaf.sha256)
        if expected != leaf.sha256:
            wrong.append(
                "the request folder has a different certificate for this port: "
                f"{folder.requests[expected]}. If you already assigned that certificate, "
                "restart the services that use it"
            )
        if not folder.compromised.isdisjoint((leaf.spki_sha256, leaf.sha256)):
            wrong.append(
                "the request folder records that the key of this certificate is compromised"
            )
        wrong += _find_chain_problems(sighting.chain, evaluation.path)
        if any(certificate.is_self_issued for certificate in sighting.chain[1:]):
            remarks.append("the server also sends the root certificate, which clients ignore")
        if not evaluation.path.is_complete:
            last = (leaf, *evaluation.path.issuers)[-1]
            self.unknown_cas.setdefault(format_name(last.issuer), []).append(sighting.answer)
        if is_target_name_missing(sighting.answer.target, leaf):
            wrong.append(f"the name {sighting.answer.target.name} is not in the certificate")
        evaluation = replace(evaluation, findings=tuple(_omit_missing_root(evaluation)))
        is_different = bool(wrong or evaluation.errors)
        return _Compared(entry, evaluation, (*wrong, *remarks), is_different)


def is_target_name_missing(target: Target, certificate: Certificate) -> bool:
    """Return whether a certificate does not cover the name that was sent in the handshake."""
    name = target.name.casefold()
    present = certificate.dns_names or certificate.common_names
    parent = f"*.{name.partition('.')[2]}"
    return bool(name) and not {name, parent} & {present_name.casefold() for present_name in present}


def _omit_missing_root(evaluation: Evaluation) -> Iterator[Finding]:
    for finding in evaluation.findings:
        if finding.code != _CHAIN_END or evaluation.path.is_complete:
            yield finding


def _find_chain_problems(chain: tuple[Certificate, ...], path: Path) -> Iterator[str]:
    """Yield the problems with the chain that the server sent after its own certificate."""
    sent = chain[1:]
    for issuer in path.issuers:
        if not issuer.is_self_issued and issuer not in sent:
            name = format_name(issuer.subject)
            yield f"the server does not send the intermediate certificate {name}"
    ordered = [issuer for issuer in path.issuers if issuer in sent]
    if [certificate for certificate in sent if certificate in ordered] != ordered:
        yield "the server sends its certificates in the wrong order"


def _list_handshake_remarks(target: Target) -> Iterator[str]:
    """Yield remarks about a second handshake, for example that the server accepts TLS 1.0."""
    if target.is_tls10:
        yield "the server still accepts TLS 1.0"
    if not target.name:
        yield "the server presents this certificate to clients that do not send a server name"


def _rank_line(line: ProbeLine) -> int:
    return RESULTS.index(line.result)


def _format_address(address: str, port: int) -> str:
    if not address:
        return ""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _mark_old_certificates(lines: list[ProbeLine]) -> list[ProbeLine]:
    """Mark ports that present an older certificate than another port of the same server."""
    newest: dict[tuple[str, str], ProbeLine] = {}
    for line in lines:
        if line.certificate is not None and line.certificate.servers and line.result == AS_PLANNED:
            key = (line.certificate.servers[0], line.id)
            if key not in newest or _get_not_before(line) > _get_not_before(newest[key]):
                newest[key] = line
    marked = []
    for line in lines:
        if line.certificate is not None and line.certificate.servers:
            other = newest.get((line.certificate.servers[0], line.id))
            if other is not None and _get_not_before(line) < _get_not_before(other):
                remark = (
                    f"{other.place} shows a newer certificate. Restart the service that listens "
                    f"on {line.place}"
                )
                line = replace(line, result=DIFFERENT, remarks=(remark, *line.remarks))
        marked.append(line)
    return marked


def _get_not_before(line: ProbeLine) -> str:
    return line.certificate.not_before if line.certificate is not None else ""
