"""Define ``TrustPlan``: presented certificates, and the CA certificates that servers need.

This module contains only values and tables. ``trust_plan.py`` creates them, and ``trust_report.py``
writes the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import ClassVar, NamedTuple

from ...base.records import JsonSerializable
from ...base.shown.origin import UNKNOWN, Origin
from ...base.shown.tables import (
    ROWS_SHOWN,
    PlanMark,
    Table,
    build_rows,
    columns,
    format_count,
    list_headings,
    mark_plan,
    rows_to_html,
)
from ...rules.model import TrustRule

#: The stores for CA certificates, with their names in Windows and in certutil.
STORES = {
    True: "Trusted Root Certification Authorities (Root)",
    False: "Intermediate Certification Authorities (CA)",
}
_OWN_STORE = "the other party's trusted root store"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificate(JsonSerializable):
    """A CA certificate that servers need: a known certificate, or only a description.

    ``issuer`` is ``internal``, ``public`` or ``party``, and ``ca`` is the planned name of the CA.
    ``title`` is the subject of a known certificate, or a description. ``thumbprint`` (SHA-1) and
    ``sha256`` are blank for a description.
    """

    json_keys: ClassVar = ("title", "issuer", "ca", "is_root", "store", "thumbprint", "sha256")

    issuer: str
    title: str
    ca: str = ""
    thumbprint: str = ""
    sha256: str = ""
    is_root: bool = True

    @property
    def store(self) -> str:
        """The Windows certificate store for the CA certificate.

        Only self-signed root certificates are stored in Root.
        """
        return STORES[self.is_root]

    def __str__(self) -> str:
        return f"{self.title}, thumbprint {self.thumbprint}" if self.thumbprint else self.title


@cache  # Thousands of rows share a few sources, so each source is evaluated only once.
def is_inferred(source: str) -> bool:
    """Return whether no document states a requirement. In this case, lyncnb has inferred it."""
    return all(part.startswith("Inferred") for part in source.split("; "))


def describe_basis(source: str) -> str:
    """Return ``documented`` if a document states the requirement, or else ``inferred``."""
    return "inferred" if is_inferred(source) else "documented"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSide(JsonSerializable):
    """One side of a connection: the servers of a role, or another party.

    ``role`` is the id of the role or party. ``pool`` is the only pool; if it is blank, the side
    includes all servers of the role at ``site``, or at every site (None). ``words`` is the
    description of the side.
    """

    json_keys: ClassVar = ("role", "pool", "site", "words")

    role: str
    words: str
    pool: str = ""
    site: str | None = None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement(JsonSerializable):
    """A requirement for a certificate, with its source: a document, or an inference."""

    source: str

    @property
    def is_inferred(self) -> bool:
        """Whether no document states the requirement."""
        return is_inferred(self.source)

    @property
    def basis(self) -> str:
        """The basis of the requirement: ``documented`` or ``inferred``."""
        return describe_basis(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation(Requirement):
    """A certificate that one side of a connection presents to the other.

    ``shown_as`` is ``server`` or ``client``: the side that accepts the connection, or the side that
    opens the connection and must also present a certificate (mutual TLS). ``certificates`` are ids
    of planned certificates; empty if the presenter is not a planned server. ``asked`` contains the
    extended key usages that the verifier requires, and ``planned`` are the planned ones.
    ``client_auth_ends`` is the first date on which the CA no longer issues client authentication,
    according to the finding ``ending``; ``ending_disputed`` names sources with a different date.
    ``statement`` is the id of the rule, and ``why`` is its text.
    """

    json_keys: ClassVar = (
        *("connection", "presenter", "verifier", "shown_as", "protocol", "port", "when"),
        *("subject", "usages", "names", "root", "asked", "planned", "is_served"),
        *("client_authentication", "client_auth_ends", "ending", "ending_source"),
        *("ending_disputed", "statement", "why", "inferred=is_inferred", "source"),
    )

    connection: str
    presenter: TrustSide
    verifier: TrustSide
    shown_as: str
    root: CaCertificate
    asked: tuple[str, ...]
    protocol: str
    port: int
    statement: str
    why: str
    when: str = ""
    certificates: tuple[str, ...] = ()
    subject: str = ""
    usages: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    issuer: str = ""
    client_auth_ends: date | None = None
    ending: str = ""
    ending_source: str = ""
    ending_disputed: str = ""

    @property
    def transport(self) -> str:
        """The protocol, the port and the condition of a connection. The condition can be blank."""
        return f"{self.protocol} {self.port}" + (f", {self.when}" if self.when else "")

    @property
    def is_served(self) -> bool:
        """Whether the planned certificate meets all requirements of the connection.

        This is always true for another party.
        """
        return not self.certificates or set(self.asked) <= set(self.planned)

    @property
    def client_authentication(self) -> str:
        """Describe the client authentication on a connection. For the server side, return ""."""
        if self.shown_as == "server":
            return ""
        end_text = self._client_auth_end
        if "clientAuth" not in self.asked:
            return "; ".join(filter(None, ("not required", end_text)))
        if not self.certificates:
            return "required in the other party's certificate"
        if not self.is_served:
            return "; ".join(filter(None, ("required, but not planned", end_text)))
        if self.issuer == "public":
            return "; ".join(filter(None, ("planned", end_text)))
        return (
            "planned; your internal CA includes client authentication if the template includes it"
        )

    @property
    def _client_auth_end(self) -> str:
        if self.client_auth_ends is None:
            return ""
        disputed = " (some sources specify an earlier date)" if self.ending_disputed else ""
        return (
            f"the CA stops including client authentication on {self.client_auth_ends}"
            f"{disputed} [{self.ending}]"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredCa(Requirement):
    """A CA certificate that the servers of a pool, or another party, must trust.

    ``role`` is the id of the role or party; ``pool`` and ``servers`` are blank for a party.
    ``reasons`` say why the certificate is required, ``when`` is the condition, if any, and
    ``statements`` are the ids of the rules.
    """

    json_keys: ClassVar = (
        *("role", "pool", "servers", "ca", "store", "needed_for=reasons", "statements", "when"),
        *("inferred=is_inferred", "source"),
    )

    ca: CaCertificate
    role: str
    title: str
    pool: str
    servers: tuple[str, ...]
    reasons: tuple[str, ...]
    statements: tuple[str, ...]
    when: str = ""

    @property
    def store(self) -> str:
        """The Windows certificate store for the CA certificate."""
        return self.ca.store if self.pool else _OWN_STORE


class Installation(NamedTuple):
    """A server, or another party (with a blank ``server``), that needs a CA certificate."""

    required: RequiredCa
    server: str


#: The columns of the table of CA certificates to install. The table has one row for each server.
INSTALL = columns(
    ("Server", "server"),
    ("Who installs", "required.title"),
    ("Pool", "required.pool"),
    ("Install", "required.ca"),
    ("Store", "required.store"),
    ("Needed for", "required.reasons"),
    ("Basis", "required.basis"),
    ("Source", "required.source"),
)
#: The columns of the table of presented certificates.
SHOWN = columns(
    ("Who shows", "presenter"),
    ("Subject name", "subject"),
    ("Shown as", "shown_as"),
    ("To whom", "verifier"),
    ("Connection", "transport"),
    ("Names used", "names"),
    ("Root needed", "root"),
    ("Client authentication", "client_authentication"),
    ("Why", "why"),
    ("Basis", "basis"),
    ("Source", "source"),
)


def _get_certificate_ids(presentations: Iterable[Presentation]) -> set[str]:
    """Return the IDs of the planned certificates that one side of a connection presents."""
    groups = {
        id(presentation.certificates): presentation.certificates for presentation in presentations
    }
    return {name for group in groups.values() for name in group}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Presentations(Table):
    """A table of the certificates that servers present.

    ``to_frame`` returns one row for each planned certificate, and one for each certificate of
    another party, whose id is blank. A notebook shows the certificates of a pool in one row.
    """

    _columns = (*columns(("Certificate", "certificates")), *SHOWN)

    rows: tuple[Presentation, ...]

    def _list_items(self) -> Iterator[Presentation]:
        for row in self.rows:
            yield from (replace(row, certificates=(name,)) for name in row.certificates or ("",))

    def _summarize(self) -> str:
        count_text = format_count(len(_get_certificate_ids(self.rows)), "certificate")
        return f"{count_text}, shown in {format_count(len(self.rows), 'case')}"

    def _repr_html_(self) -> str:
        headings, rows = list_headings(SHOWN), [*build_rows(SHOWN, self.rows)]
        return rows_to_html(headings, rows, caption=self._summarize(), limit=ROWS_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrustPlan(Table):
    """The CA certificates that each server needs, and the certificates that servers present.

    The table lists the CA certificates to install, one row for each server; ``shown()`` returns the
    presented certificates. ``source`` is the planned table, and ``deployment`` its name for
    readers. ``statements`` are the applied rules.
    """

    _columns = INSTALL

    product: str
    title: str
    source: str
    deployment: str
    plan_sha256: str
    presentations: tuple[Presentation, ...]
    required: tuple[RequiredCa, ...]
    statements: tuple[TrustRule, ...]
    origin: Origin = UNKNOWN

    def shown(self) -> Presentations:
        """Return the presented certificates as a table."""
        return Presentations(rows=self.presentations)

    def _list_items(self) -> Iterator[Installation]:
        for requirement in self.required:
            for server in requirement.servers if requirement.pool else (*requirement.servers, ""):
                yield Installation(requirement, server)

    def _summarize(self) -> str:
        servers = {server for requirement in self.required for server in requirement.servers}
        cas = {
            (presentation.issuer, presentation.root.ca)
            for presentation in self.presentations
            if presentation.certificates
        }
        counts = (
            format_count(len(_get_certificate_ids(self.presentations)), "presented certificate"),
            format_count(len(cas), "CA"),
            format_count(len(servers), "server"),
        )
        return f"Trust for {self.title}, {self.deployment}: {', '.join(counts)}"

    def _repr_html_(self) -> str:
        roots = rows_to_html(
            self._list_headings(), [*self._list_rows()], caption=self._summarize(), limit=ROWS_SHOWN
        )
        return mark_plan(f"{roots}\n{self.shown()._repr_html_()}", self._get_shown_plan())

    def _get_shown_plan(self) -> PlanMark:
        return PlanMark(self.plan_sha256)
