"""A trust plan as a report: what to install, who shows which certificate, and the sources."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ...base.records import told_values
from ...base.shown.report import Part, Report, ReportTable, Sentence, report_kind
from ...base.shown.tables import Chip, columns, first_of
from .trust_tables import (
    INSTALL,
    SHOWN,
    CaCertificate,
    Presentation,
    RequiredCa,
    TrustPlan,
    basis_of,
)

#: What a trust plan is written as under a name of the planner's own.
TRUST_FILE = report_kind(
    "a trust plan",
    title="Trust plan",
    form="lyncnb-trust/2",
    columns=INSTALL,
    suffixes=(".csv", ".xlsx", ".html", ".md", ".json"),
)

_SERVERS_SHOWN = 20

_STORES = (
    "Root: the computer's store Trusted Root Certification Authorities, for self-signed ones only. "
    "CA: its store Intermediate Certification Authorities."
)


def trust_report(trust: TrustPlan) -> Report:
    """Return a trust plan as a report; CSV holds what to install, all other formats both tables."""
    parts: list[Part] = [
        Sentence(repr(trust)),
        Sentence(_STORES, (".html",)),
        ReportTable(
            columns=INSTALL,
            items=trust._items,
            formats={".csv": "", ".xlsx": "Install", ".md": "Install these"},
        ),
        ReportTable(
            columns=SHOWN,
            items=lambda: trust.presentations,
            formats={".xlsx": "Shown", ".md": "Who shows which certificate to whom"},
        ),
        *_page_tables(trust),
    ]
    return Report(
        kind=TRUST_FILE,
        about=trust.source,
        summary=repr(trust),
        parts=parts,
        document=lambda: _by_group(trust),
        text=lambda: _text(trust),
    )


# A page has fewer columns: several facts share a cell, and statements refer to their sources.


def _page_tables(trust: TrustPlan) -> Iterator[ReportTable]:
    chips = {
        one.id: Chip(
            one.id if basis == "documented" else f"{one.id} ({basis})", target=one.id, title=one.why
        )
        for one in trust.statements
        for basis in [basis_of(one.source)]
    }
    yield ReportTable(
        columns=columns(
            *_INSTALL_ON_PAGE,
            ("Statement", lambda one: tuple(chips[name] for name in one.statements)),
        ),
        items=lambda: trust.required,
        formats={".html": "Install these"},
    )
    yield ReportTable(
        columns=columns(*_SHOWN_ON_PAGE, ("Statement", lambda one: (chips[one.statement],))),
        items=lambda: trust.presentations,
        formats={".html": "Who shows which certificate to whom"},
    )
    known = dict.fromkeys(one.ca for one in trust.required if one.ca.thumbprint)
    if known:
        yield ReportTable(
            columns=_KNOWN,
            items=lambda: known,
            formats={".html": "CA certificates received"},
        )
    yield ReportTable(
        columns=_STATEMENTS,
        items=lambda: trust.statements,
        formats={".html": "Statements and sources"},
        anchor=lambda one: one.id,
    )


def _named(ca: CaCertificate) -> str:
    """Name a CA certificate; the whole thumbprint of a known one stands in a table of its own."""
    return f"{ca.title}\n{ca.thumbprint[:8]}…" if ca.thumbprint else ca.title


def _store(one: RequiredCa) -> str:
    if not one.pool:
        return "its own"
    return "Root" if one.ca.is_root else "CA"


def _root(shown: Presentation) -> str:
    told = shown.client_authentication
    return _named(shown.root) + (f"\nclient authentication: {told}" if told else "")


_INSTALL_ON_PAGE = columns(
    ("Who", lambda one: f"{one.title}\n{one.pool}".rstrip()),
    ("Servers", "servers"),
    ("Install", lambda one: _named(one.ca)),
    ("Store", _store),
    ("Needed for", lambda one: "\n".join(one.reasons)),
)
_SHOWN_ON_PAGE = columns(
    ("Who shows", lambda one: str(one.presenter)),
    ("Certificate", lambda one: "\n".join(filter(None, (one.subject, f"as a {one.shown_as}")))),
    ("Known by", "names"),
    ("To whom", lambda one: str(one.verifier)),
    ("Connection", "transport"),
    ("Root needed, client authentication", _root),
)
_KNOWN = columns(
    ("CA certificate", "title"),
    ("Above certificates of", lambda ca: f"{ca.issuer} CA {ca.ca}".rstrip()),
    ("Store", "store"),
    ("Thumbprint (SHA-1)", "thumbprint"),
)
_STATEMENTS = columns(
    ("Statement", "id"),
    ("What is said", "why"),
    ("Basis", lambda one: basis_of(one.source)),
    ("Source", "source"),
)


def _by_group(trust: TrustPlan) -> dict[str, object]:
    """Return what the JSON tells: each list of certificate ids once, and an index to it.

    All servers of a role show the same certificates to each of many pools.
    """
    # By identity: to hash the ids of each presentation again would be as slow as to list them.
    groups = {id(one.certificates): one.certificates for one in trust.presentations}
    index = {key: number for number, key in enumerate(groups)}
    return {
        **told_values(trust, "product", "source", "plan_sha256"),
        "certificate_groups": list(groups.values()),
        "presentations": [
            {**one.to_document(), "certificates": index[id(one.certificates)]}
            for one in trust.presentations
        ],
        "required": trust.required,
    }


def _text(trust: TrustPlan) -> Iterator[list[str]]:
    """Yield a paragraph for each pool or party, then one of client authentication."""
    for who, group in groupby(trust.required, key=_who):
        lines = [who]
        for one in group:
            mark = " [inferred]" if one.is_inferred else ""
            lines += [f"  {one.ca} -> {one.store}{mark}", *(f"    {why}" for why in one.reasons)]
        yield lines
    clients = [
        one
        for one in trust.presentations
        if one.client_auth_ends or (one.certificates and "clientAuth" in one.asked)
    ]
    if clients:
        yield [
            "Client authentication, where a server presents its certificate as a client:",
            *map(_client_line, clients),
        ]
    yield [repr(trust)]


def _who(one: RequiredCa) -> str:
    who = f"{one.title} {one.pool}".rstrip()
    return f"{who}: {first_of(one.servers, _SERVERS_SHOWN)}" if one.servers else who


def _client_line(shown: Presentation) -> str:
    mark = " [inferred]" if shown.is_inferred else ""
    condition = f", {shown.when}" if shown.when else ""
    return (
        f"  {shown.presenter} ({shown.subject}) to {shown.verifier}{condition}: "
        f"{shown.client_authentication}{mark}"
    )
