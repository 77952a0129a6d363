"""Define ``Probe``: the certificates that servers present, compared with the plan.

This module contains only the data classes. ``evaluate.py`` creates the objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from ..authorities.survey.as_is import AsIs, InstalledCertificate
from ..base.records import JsonSerializable, list_json_values
from ..base.shown.frames import Kind
from ..base.shown.origin import UNKNOWN, Origin
from ..base.shown.report import Report, ReportTable, Sentence, build_report_kind, render_sections
from ..base.shown.tables import Table, columns, format_count, join_first_texts
from ..rules.findings import Finding, list_lines

#: The five possible results. The most urgent result comes first.
DIFFERENT, REFUSED, NO_ANSWER = "different", "refused", "no answer"
AS_PLANNED, NOT_VISIBLE = "as planned", "cannot be seen"
RESULTS = (DIFFERENT, REFUSED, NO_ANSWER, AS_PLANNED, NOT_VISIBLE)
_OWNERS_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLine(JsonSerializable):
    """The response of one address at one port, or a certificate that no port presents.

    ``result`` is one of ``RESULTS``. ``place`` is the host and port in the plan, and ``address`` is
    the address and port to which lyncnb connected. Both are "" for a certificate that no port
    presents. ``name`` is the name that was sent. ``id`` is the planned certificate, and ``owner``
    is its server or pool. ``request`` is the request in the folder whose certificate is presented.
    ``protocol`` is the TLS version, if the handshake was completed. ``condition`` describes when
    the port is open.
    """

    json_keys: ClassVar = (
        *("result", "place", "address", "name", "id", "owner", "request", "protocol"),
        *("condition", "certificate", "findings=findings.code,severity,message", "remarks"),
    )

    result: str
    place: str = ""
    address: str = ""
    name: str = ""
    id: str = ""
    owner: str = ""
    request: str = ""
    protocol: str = ""
    condition: str = ""
    certificate: InstalledCertificate | None = None
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether the line needs attention. A port that may be closed does not have to respond."""
        return self.result == DIFFERENT or (
            self.result in (REFUSED, NO_ANSWER) and not self.condition
        )

    def format_lines(self) -> Iterator[str]:
        """Yield the findings about the certificate as lines, errors first, and then the remarks."""
        return list_lines(self.findings, self.remarks)


_COLUMNS = columns(
    ("Port asked", "place"),
    ("Address", "address"),
    ("Name sent", "name"),
    ("Result", "result"),
    ("Certificate", "id"),
    ("Of", "owner"),
    ("Request", "request"),
    ("Thumbprint", lambda row: row.certificate and row.certificate.thumbprint),
    ("Valid until", lambda row: row.certificate and row.certificate.not_after[:10], Kind.DAY),
    ("TLS version", "protocol"),
    ("Condition", "condition"),
    ("Details", lambda row: tuple(row.format_lines())),
)

#: The type of file for the result of a probe.
PROBE_FILE = build_report_kind(
    "a probe report",
    title="Certificates of running servers",
    format_id="lyncnb-probe/1",
    columns=_COLUMNS,
    suffixes=(".csv", ".xlsx", ".html", ".md", ".json"),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Probe(Table):
    """The certificates that the planned servers present, compared with the plan.

    ``zone`` is the zone in which the probe ran: ``inside`` or ``outside``. ``made_at`` is a UTC
    time in ISO 8601. ``notes`` describes pools, and names that were not probed. ``as_is`` has the
    same certificates for ``request --only-missing``. ``cancelled`` means that the probe was
    stopped.
    """

    _columns: ClassVar = _COLUMNS

    product: str
    source: str
    plan_sha256: str
    zone: str
    made_at: str
    seen: tuple[ProbeLine, ...]
    as_is: AsIs
    notes: tuple[str, ...] = ()
    cancelled: bool = False
    origin: Origin = field(default=UNKNOWN, compare=False)

    @property
    def exit_status(self) -> int:
        """The exit status: 0 if all visible certificates match the plan, else 1."""
        return int(self.cancelled or any(line.is_failure for line in self.seen))

    def counts(self) -> dict[str, int]:
        """Return the number of lines with each result, such as ``{"as planned": 12}``."""
        results = [line.result for line in self.seen]
        return {result: results.count(result) for result in RESULTS if result in results}

    def _list_items(self) -> tuple[ProbeLine, ...]:
        return self.seen

    def _summarize(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        """Return the report as HTML: a row for each server and certificate, and the notes."""
        return "\n".join(render_sections(build_probe_report(self).parts))

    def summary(self) -> str:
        """Return a sentence that summarizes the result of the probe."""
        counts = self.counts()
        unseen = counts.pop(NOT_VISIBLE, 0)
        port_count = format_count(sum(counts.values()), "port")
        results = ", ".join(f"{number:,} {result}" for result, number in counts.items())
        text = (
            f"{port_count} probed from {self.zone} on {self.made_at[:10]}: "
            f"{results or 'no results'}"
        )
        if unseen:
            text += f"; {format_count(unseen, 'planned certificate')} cannot be seen"
        return text + ("; the probe was stopped" if self.cancelled else "")


def build_probe_report(probe: Probe) -> Report:
    """Return the result of a probe as a report. Lines that need attention come first."""
    return Report(
        kind=PROBE_FILE,
        about=probe.source,
        origin=probe.origin,
        summary=probe.summary(),
        parts=[
            Sentence(probe.summary()),
            ReportTable(
                columns=_COLUMNS,
                items=probe._list_items,
                formats={".csv": "", ".md": "", ".xlsx": PROBE_FILE.title},
            ),
            ReportTable(
                columns=_ON_PAGE,
                items=lambda: _group_lines(probe.seen),
                formats={".html": "Servers and ports"},
            ),
            *(Sentence(note) for note in probe.notes),
        ],
        document=lambda: list_json_values(
            probe,
            *("product", "source", "plan_sha256", "zone", "made_at", "cancelled", "seen", "notes"),
        ),
        text=lambda: [[*_format_lines(probe)], [*probe.notes, probe.summary()]],
    )


@dataclass(frozen=True, slots=True)
class _EqualLines:
    """Lines with the same result and certificate, such as the ports of a server."""

    lines: tuple[ProbeLine, ...]

    @property
    def result(self) -> str:
        """The result of the probe, which is the same for all lines in this group."""
        return self.lines[0].result

    @property
    def where(self) -> str:
        """The host and its ports, or the count and owners of certificates that no port presents."""
        first = self.lines[0]
        if first.result == NOT_VISIBLE:
            owners = join_first_texts(
                [*dict.fromkeys(line.owner for line in self.lines)], _OWNERS_SHOWN
            )
            return f"{format_count(len(self.lines), 'certificate')} of {owners}"
        ports = [*dict.fromkeys(sorted(int(line.place.rpartition(":")[2]) for line in self.lines))]
        text = f"{first.place.rpartition(':')[0]} port{'s' if len(ports) > 1 else ''} "
        text += ", ".join(map(str, ports))
        if len(self.lines) == 1 and first.is_failure and first.address:
            text += f" at {first.address}"
        if first.result != AS_PLANNED and first.condition:
            text += f" ({first.condition})"
        return text

    @property
    def shown(self) -> tuple[str, ...]:
        """The certificate with its thumbprint, expiration date, and request in the folder."""
        certificate, request = self.lines[0].certificate, self.lines[0].request
        if certificate is None:
            return ()
        return (
            *(certificate.thumbprint, f"valid until {certificate.not_after[:10]}"),
            *filter(None, (request,)),
        )

    @property
    def details(self) -> tuple[str, ...]:
        """The findings and remarks, which are the same for all lines in the group."""
        return tuple(self.lines[0].format_lines())


_ON_PAGE = columns(
    ("Result", "result"),
    ("Asked", "where"),
    ("Certificate", lambda group: "\n".join(group.shown)),
    ("Details", "details"),
)


def _group_lines(lines: Iterable[ProbeLine]) -> list[_EqualLines]:
    groups: dict[tuple[object, ...], list[ProbeLine]] = {}
    for line in lines:
        key: tuple[object, ...] = (line.result, line.remarks)
        if line.result != NOT_VISIBLE:
            host, address = line.place.rpartition(":")[0], line.address if line.is_failure else ""
            identity = line.certificate.thumbprint if line.certificate else line.id
            key = (line.result, host, address, identity, line.request, tuple(line.format_lines()))
        groups.setdefault(key, []).append(line)
    return [_EqualLines(tuple(group)) for group in groups.values()]


def _format_lines(probe: Probe) -> Iterator[str]:
    """Yield a line for each server and certificate, with all ports of the certificate."""
    for group in _group_lines(probe.seen):
        text = ": ".join(filter(None, (group.result, group.where, ", ".join(group.shown))))
        if group.result == NOT_VISIBLE:
            text = f"{group.where} {group.result}"
        if not group.shown and len(group.details) == 1:
            yield f"{text}: {group.details[0]}"
            continue
        yield text
        yield from (f"  {detail}" for detail in group.details)
