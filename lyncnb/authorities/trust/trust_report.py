"""Write a trust plan as a report: certificates to install, presented certificates, and sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from ...base.records import list_json_values
from ...base.shown.report import Part, Report, ReportTable, Sentence, build_report_kind
from ...base.shown.tables import Chip, Folded, columns, format_count, join_first_texts
from .trust_tables import (
    INSTALL,
    SHOWN,
    CaCertificate,
    Presentation,
    RequiredCa,
    TrustPlan,
    describe_basis,
)

#: The type of file for a trust plan.
TRUST_FILE = build_report_kind(
    "a trust plan",
    title="Trust plan",
    format_id="lyncnb-trust/2",
    columns=INSTALL,
    suffixes=(".csv", ".xlsx", ".html", ".md", ".json"),
)

_SERVERS_SHOWN = 20

_STORES = (
    "Root: the Trusted Root Certification Authorities store of the computer, for self-signed "
    "certificates only. CA: the Intermediate Certification Authorities store of the computer."
)


def build_trust_report(trust_plan: TrustPlan) -> Report:
    """Return a trust plan as a report. In CSV format, it lists only the certificates to install."""
    parts: list[Part] = [
        Sentence(repr(trust_plan)),
        Sentence(_STORES, (".html",)),
        ReportTable(
            columns=INSTALL,
            items=trust_plan._list_items,
            formats={".csv": "", ".xlsx": "Install", ".md": "Certificates to install"},
        ),
        ReportTable(
            columns=SHOWN,
            items=lambda: trust_plan.presentations,
            formats={".xlsx": "Shown", ".md": "Presented certificates"},
        ),
        *_build_page_tables(trust_plan),
    ]
    return Report(
        kind=TRUST_FILE,
        about=trust_plan.source,
        origin=trust_plan.origin,
        summary=repr(trust_plan),
        parts=parts,
        document=lambda: _build_document(trust_plan),
        text=lambda: _format_text(trust_plan),
    )


# --- The page has a section for each role. Its CA certificates come first, and its reasons are
# collapsed.


@dataclass(frozen=True, slots=True)
class _RequiredByRole:
    """A CA certificate that all pools with the same role require, as one line on the page."""

    required: tuple[RequiredCa, ...]
    servers: str  # The value is either "all" or a list of server names.
    chips: Mapping[str, Chip]

    @property
    def install(self) -> str:
        first = self.required[0]
        return _format_ca(first.ca) + (f"\n{first.when}" if first.when else "")

    @property
    def store(self) -> str:
        return _format_store(self.required[0])

    @property
    def reasons(self) -> Folded:
        lines = tuple(
            dict.fromkeys(line for requirement in self.required for line in requirement.reasons)
        )
        names = dict.fromkeys(
            name for requirement in self.required for name in requirement.statements
        )
        chips = tuple(self.chips[name] for name in names)
        return Folded(format_count(len(lines), "reason"), lines, chips)


@dataclass(frozen=True, slots=True)
class _PresentedByRole:
    """A certificate that the servers of one role use as a TLS server or as a TLS client."""

    shown: tuple[Presentation, ...]
    chips: Mapping[str, Chip]

    @property
    def certificate(self) -> str:
        first = self.shown[0]
        return "\n".join(filter(None, (first.subject, f"as a {first.shown_as}")))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(name for presentation in self.shown for name in presentation.names)
        )

    @property
    def connections(self) -> Folded:
        lines = tuple(
            dict.fromkeys(
                f"{presentation.verifier}, {presentation.transport}" for presentation in self.shown
            )
        )
        names = dict.fromkeys(presentation.statement for presentation in self.shown)
        return Folded(
            format_count(len(lines), "connection"), lines, tuple(self.chips[name] for name in names)
        )

    @property
    def root(self) -> str:
        lines = dict.fromkeys(
            filter(None, (presentation.client_authentication for presentation in self.shown))
        )
        return "\n".join((_format_ca(self.shown[0].root), *lines))


def _build_page_tables(trust: TrustPlan) -> Iterator[Part]:
    chips = {
        statement.id: Chip(
            statement.id if basis == "documented" else f"{statement.id} ({basis})",
            target=statement.id,
            title=statement.why,
        )
        for statement in trust.statements
        for basis in [describe_basis(statement.source)]
    }
    roles = dict.fromkeys(requirement.role for requirement in trust.required if requirement.pool)
    for role in roles:
        yield from _build_role_tables(trust, role, chips)
    yield ReportTable(
        columns=_OTHERS,
        items=lambda: [
            _RequiredByRole((requirement,), requirement.title, chips)
            for requirement in trust.required
            if not requirement.pool
        ],
        formats={".html": "Others: clients, partners, and gateways"},
    )
    other_presentations = [
        presentation
        for presentation in trust.presentations
        if presentation.presenter.role not in roles
    ]
    if other_presentations:
        yield _build_presentation_table(
            other_presentations, chips, "Certificates that other parties present"
        )
    affected_clients = [
        presentation
        for presentation in trust.presentations
        if presentation.client_auth_ends or not presentation.is_served
    ]
    if affected_clients:
        yield ReportTable(
            columns=_CLIENTS,
            items=lambda: affected_clients,
            formats={".html": "Missing or expiring client authentication"},
        )
    known = dict.fromkeys(
        requirement.ca for requirement in trust.required if requirement.ca.thumbprint
    )
    if known:
        yield ReportTable(
            columns=_KNOWN,
            items=lambda: known,
            formats={".html": "Received CA certificates"},
        )
    yield ReportTable(
        columns=_STATEMENTS,
        items=lambda: trust.statements,
        formats={".html": "Statements and sources"},
        anchor=lambda item: item.id,
    )


def _build_role_tables(trust: TrustPlan, role: str, chips: Mapping[str, Chip]) -> Iterator[Part]:
    """Yield the tables for a role: CA certificates to install, then presented certificates."""
    required = [
        requirement
        for requirement in trust.required
        if requirement.role == role and requirement.pool
    ]
    servers = dict.fromkeys(server for requirement in required for server in requirement.servers)
    by_ca: dict[tuple[CaCertificate, str], list[RequiredCa]] = {}
    for requirement in required:
        by_ca.setdefault((requirement.ca, requirement.when), []).append(requirement)

    def group_requirements(group: list[RequiredCa]) -> _RequiredByRole:
        group_servers = dict.fromkeys(
            server for requirement in group for server in requirement.servers
        )
        return _RequiredByRole(
            tuple(group),
            "all" if len(group_servers) == len(servers) else ", ".join(group_servers),
            chips,
        )

    # Root certificates come first, because an intermediate certificate is useless without its root.
    lines = sorted(
        map(group_requirements, by_ca.values()), key=lambda line: not line.required[0].ca.is_root
    )
    title = f"{required[0].title}: {', '.join(servers)}"
    yield ReportTable(columns=_INSTALL_ON_PAGE, items=lambda: lines, formats={".html": title})
    presentations = [
        presentation for presentation in trust.presentations if presentation.presenter.role == role
    ]
    if presentations:
        yield _build_presentation_table(
            presentations, chips, f"Certificates that these servers present ({required[0].title})"
        )


def _build_presentation_table(
    presentations: Iterable[Presentation], chips: Mapping[str, Chip], caption: str
) -> ReportTable:
    groups: dict[tuple[object, ...], list[Presentation]] = {}
    for presentation in presentations:
        key = (
            id(presentation.certificates),
            presentation.subject,
            presentation.shown_as,
            presentation.root,
            presentation.presenter.words,
        )
        groups.setdefault(key, []).append(presentation)
    lines = [_PresentedByRole(tuple(group), chips) for group in groups.values()]
    return ReportTable(
        columns=_SHOWN_ON_PAGE, items=lambda: lines, formats={".html": caption}, is_folded=True
    )


def _format_ca(ca: CaCertificate) -> str:
    """Return the title of a CA certificate and the start of its thumbprint."""
    return f"{ca.title}\n{ca.thumbprint[:8]}…" if ca.thumbprint else ca.title


def _format_store(requirement: RequiredCa) -> str:
    if not requirement.pool:
        return "its own store"
    return "Root" if requirement.ca.is_root else "CA"


_INSTALL_ON_PAGE = columns(
    ("Install first", "install"),
    ("Store", "store"),
    ("On", "servers"),
    ("Needed for", "reasons"),
)
_OTHERS = columns(
    ("Who", "servers"),
    ("Must trust", "install"),
    ("Needed for", "reasons"),
)
_SHOWN_ON_PAGE = columns(
    ("Certificate", "certificate"),
    ("Known by", "names"),
    ("To whom", "connections"),
    ("Root and client authentication", "root"),
)
_CLIENTS = columns(
    ("Who shows", lambda presentation: str(presentation.presenter)),
    ("Certificate", "subject"),
    ("To whom", lambda presentation: str(presentation.verifier)),
    ("Client authentication", "client_authentication"),
)
_KNOWN = columns(
    ("CA certificate", "title"),
    ("Issues certificates for", lambda ca: f"{ca.issuer} CA {ca.ca}".rstrip()),
    ("Store", "store"),
    ("Thumbprint (SHA-1)", "thumbprint"),
)
_STATEMENTS = columns(
    ("Statement", "id"),
    ("Requirement", "why"),
    ("Basis", lambda row: describe_basis(row.source)),
    ("Source", "source"),
)


def _build_document(trust: TrustPlan) -> dict[str, object]:
    """Return the data of a trust plan for JSON. Each list of certificate IDs is written only once.

    All servers of a role present the same certificates to each of many pools.
    """
    # The identity of the tuple is used as the key, because computing a hash of all its IDs would be
    # as slow as writing them.
    groups = {
        id(presentation.certificates): presentation.certificates
        for presentation in trust.presentations
    }
    index = {key: number for number, key in enumerate(groups)}
    return {
        **list_json_values(trust, "product", "source", "plan_sha256"),
        "certificate_groups": list(groups.values()),
        "presentations": [
            {**presentation.to_document(), "certificates": index[id(presentation.certificates)]}
            for presentation in trust.presentations
        ],
        "required": trust.required,
    }


def _format_text(trust: TrustPlan) -> Iterator[list[str]]:
    """Yield a paragraph for each pool or other party, then one about client authentication."""
    for party, group in groupby(trust.required, key=_format_party):
        lines = [party]
        for member in group:
            mark = " [inferred]" if member.is_inferred else ""
            lines += [
                f"  {member.ca} -> {member.store}{mark}",
                *(f"    {reason}" for reason in member.reasons),
            ]
        yield lines
    clients = [
        presentation
        for presentation in trust.presentations
        if presentation.client_auth_ends
        or (presentation.certificates and "clientAuth" in presentation.asked)
    ]
    if clients:
        yield [
            "Client authentication for servers that act as TLS clients:",
            *map(_format_client_line, clients),
        ]
    yield [repr(trust)]


def _format_party(requirement: RequiredCa) -> str:
    party = f"{requirement.title} {requirement.pool}".rstrip()
    return (
        f"{party}: {join_first_texts(requirement.servers, _SERVERS_SHOWN)}"
        if requirement.servers
        else party
    )


def _format_client_line(presentation: Presentation) -> str:
    mark = " [inferred]" if presentation.is_inferred else ""
    condition = f", {presentation.when}" if presentation.when else ""
    return (
        f"  {presentation.presenter} ({presentation.subject}) to {presentation.verifier}"
        f"{condition}: {presentation.client_authentication}{mark}"
    )
