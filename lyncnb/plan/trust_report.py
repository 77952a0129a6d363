"""A trust plan as files and as lines: table, workbook, Markdown, page and JSON. Pure."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import Chip, first_of, paragraph, rows_to_html, to_markdown
from .trust_tables import (
    PRESENTATION_COLUMNS,
    ROOT_COLUMNS,
    CaCertificate,
    Presentation,
    TrustPlan,
    is_inferred,
)

TITLE = "Trust plan"

#: What a trust plan is written as under a name of the planner's own.
TRUST_FILE = OutputKind(
    what="a trust plan",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"Server","Role","Pool","Install","Store",'),
        ".xlsx": packs("docProps/core.xml", mentions(f"<dc:title>{TITLE}".encode())),
        ".html": is_page(f"<title>{TITLE}".encode()),
        ".md": first_line(f"# {TITLE}".encode()),
        ".json": mentions(b'"format": "lyncnb-trust/'),
    },
)

_STATEMENT_COLUMNS = ("Statement", "What is said", "Basis", "Source")
_SERVERS_SHOWN = 20


def write_trust(trust: TrustPlan, suffix: str) -> bytes:
    """Write a trust plan in one format.

    Parameters
    ----------
    trust : TrustPlan
        Of a plan.
    suffix : str
        An ending of ``TRUST_FILE``.

    Returns
    -------
    bytes
        The file; CSV holds what to install, a row for each server, all others both tables.
    """
    if suffix == ".csv":
        return to_csv(ROOT_COLUMNS, trust._rows())
    if suffix == ".json":
        return trust_json(trust)
    if suffix == ".xlsx":
        shown = trust.shown()
        sheets = [
            Sheet(title="Install", columns=ROOT_COLUMNS, rows=lambda: list(trust._rows())),
            Sheet(title="Shown", columns=PRESENTATION_COLUMNS, rows=lambda: list(shown._rows())),
        ]
        return to_xlsx(sheets, title=TITLE)
    if suffix == ".md":
        return _markdown(trust).encode("utf-8", "replace")
    return _page(trust).encode("utf-8", "replace")


def trust_json(trust: TrustPlan) -> bytes:
    """Write :meth:`TrustPlan.to_document` as JSON; the same plan gives the same bytes."""
    return f"{json.dumps(trust.to_document(), ensure_ascii=False, indent=1)}\n".encode()


def trust_lines(trust: TrustPlan) -> Iterator[str]:
    """Say what to install where in lines of text: a paragraph for each pool or party."""
    told = ""
    for one in trust.required:
        who = f"{one.title} {one.pool}".rstrip()
        if who != told:
            yield from (("",) if told else ())
            yield f"{who}: {first_of(one.servers, _SERVERS_SHOWN)}" if one.servers else who
            told = who
        mark = " [inferred]" if one.is_inferred else ""
        yield f"  {one.ca} -> {one.store}{mark}"
        for reason in one.reasons:
            yield f"    {reason}"
    asked = [
        shown
        for shown in trust.presentations
        if shown.client_auth_ends or (shown.certificates and "clientAuth" in shown.asked)
    ]
    if asked:
        yield ""
        yield "Client authentication, where a server's certificate is shown to whom it calls:"
    for shown in asked:
        mark = " [inferred]" if shown.is_inferred else ""
        condition = f", {shown.when}" if shown.when else ""
        yield (
            f"  {shown.presenter} ({shown.subject}) to {shown.verifier}{condition}: "
            f"{shown.client_authentication}{mark}"
        )


def _statements(trust: TrustPlan) -> list[tuple[str, str, str, str]]:
    """Give what is said, once each, with its basis and source."""
    return [
        (one.id, one.why, "inferred" if is_inferred(one.source) else "documented", one.source)
        for one in trust.statements
    ]


def _page(trust: TrustPlan) -> str:
    statements = _statements(trust)
    chips = {
        name: Chip(name if basis == "documented" else f"{name} ({basis})", target=name, title=why)
        for name, why, basis, _ in statements
    }
    install = [
        (
            f"{one.title}\n{one.pool}".rstrip(),
            one.servers,
            _named(one.ca),
            ("Root" if one.ca.is_root else "CA") if one.pool else "its own",
            "\n".join(one.reasons),
            tuple(chips[name] for name in one.statements),
        )
        for one in trust.required
    ]
    shown = [
        (
            str(one.presenter),
            "\n".join(filter(None, (one.subject, f"as a {one.shown_as}"))),
            one.names,
            str(one.verifier),
            f"{one.protocol} {one.port}" + (f", {one.when}" if one.when else ""),
            f"{_named(one.root)}{_authentication(one)}",
            (chips[one.statement],),
        )
        for one in trust.presentations
    ]
    parts = [
        paragraph(trust._summary()),
        paragraph(_STORES_SAID),
        rows_to_html(_INSTALL, install, caption="Install these"),
        rows_to_html(_SHOWN, shown, caption="Who shows which certificate to whom"),
        *_known(trust),
        rows_to_html(
            _STATEMENT_COLUMNS,
            statements,
            caption="What is said, and who says it",
            ids=[name for name, *_ in statements],
        ),
    ]
    return to_page(f"{TITLE}: {trust.source}", parts)


_STORES_SAID = (
    "Root: the computer's store Trusted Root Certification Authorities, for self-signed ones only. "
    "CA: its store Intermediate Certification Authorities."
)
_INSTALL = ("Who", "Servers", "Install", "Store", "Needed for", "Statement")
_SHOWN = (
    *("Who shows", "Certificate", "Known by", "To whom", "Connection"),
    *("Root needed, client authentication", "Statement"),
)


_KNOWN = ("CA certificate", "Above certificates of", "Store", "Thumbprint (SHA-1)")


def _named(ca: CaCertificate) -> str:
    """Name a CA certificate; the whole thumbprint of a known one stands in a table of its own."""
    return f"{ca.title}\n{ca.thumbprint[:8]}…" if ca.thumbprint else ca.title


def _known(trust: TrustPlan) -> Iterator[str]:
    """Yield the table of the CA certificates that are known."""
    known = dict.fromkeys(one.ca for one in trust.required if one.ca.thumbprint)
    if known:
        rows = [
            (ca.title, f"{ca.issuer} CA {ca.ca}".rstrip(), ca.store, ca.thumbprint) for ca in known
        ]
        yield rows_to_html(_KNOWN, rows, caption="CA certificates that came back")


def _authentication(shown: Presentation) -> str:
    told = shown.client_authentication
    return f"\nclient authentication: {told}" if told else ""


def _markdown(trust: TrustPlan) -> str:
    return "\n".join(
        (
            f"# {TITLE}\n",
            f"{trust._summary()}\n",
            "## Install these\n",
            to_markdown(ROOT_COLUMNS, trust._rows()),
            "## Who shows which certificate to whom\n",
            to_markdown(PRESENTATION_COLUMNS, trust.shown()._rows()),
        )
    )
