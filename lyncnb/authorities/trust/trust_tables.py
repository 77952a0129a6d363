"""``TrustPlan``: the certificates that are shown and the CA certificates that are required.

Values and their tables alone; ``trust_plan.py`` works them out, ``trust_report.py`` writes files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import ClassVar, NamedTuple

from ...base.records import Told
from ...base.shown.tables import (
    ROWS_SHOWN,
    PlanMark,
    Table,
    columns,
    count_of,
    marked,
    rows_to_html,
)
from ...rules.model import TrustRule

#: Where a CA certificate goes, as Windows calls the computer's store and as certutil does.
STORES = {
    True: "Trusted Root Certification Authorities (Root)",
    False: "Intermediate Certification Authorities (CA)",
}
_OWN_STORE = "its own trusted root store"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificate(Told):
    """A CA certificate that somebody needs: a real one, or what it is in words.

    ``issuer`` is ``internal``, ``public`` or ``party``, ``ca`` the name of the CA where one was
    planned. ``title`` is the subject of a known one; then ``thumbprint`` is SHA-1 as Windows shows
    it and ``sha256`` over the DER bytes, else both are blank.
    """

    told: ClassVar = ("title", "issuer", "ca", "is_root", "store", "thumbprint", "sha256")

    issuer: str
    title: str
    ca: str = ""
    thumbprint: str = ""
    sha256: str = ""
    is_root: bool = True

    @property
    def store(self) -> str:
        """Which of the computer's stores it goes to: only self-signed roots go to Root."""
        return STORES[self.is_root]

    def __str__(self) -> str:
        return f"{self.title}, thumbprint {self.thumbprint}" if self.thumbprint else self.title


@cache  # thousands of rows have few sources
def is_inferred(source: str) -> bool:
    """Whether a source is inferred in every part, so that no document states it."""
    return all(part.startswith("Inferred") for part in source.split("; "))


def basis_of(source: str) -> str:
    """Return whether a document states it, in one word."""
    return "inferred" if is_inferred(source) else "documented"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSide(Told):
    """A side of a connection: servers of a role, or another party.

    ``role`` is the id of either. Of servers, ``pool`` names the one pool; left blank, they are all
    of the role at ``site``, or at every site (None). ``words`` say it.
    """

    told: ClassVar = ("role", "pool", "site", "words")

    role: str
    words: str
    pool: str = ""
    site: str | None = None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation(Told):
    """A certificate that one side of a connection shows to the other.

    ``shown_as`` is ``server`` or ``client``: the side that is called, or that calls and is asked
    for a certificate as well (mutual TLS). ``certificates`` are ids of planned ones, empty where
    the presenter is nobody's server here. ``asked`` are the extended key usages that the verifier
    asks of it, ``planned`` those it is planned with. ``client_auth_ends`` is the first day on which
    its CA no longer issues client authentication, by the finding ``ending``; ``ending_disputed``
    says who says otherwise. ``statement`` is the id of the rule that says it, ``why`` its words.
    """

    told: ClassVar = (
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
    source: str
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
    def is_inferred(self) -> bool:
        """Whether no document says it."""
        return is_inferred(self.source)

    @property
    def basis(self) -> str:
        """Whether a document says it, in a word."""
        return basis_of(self.source)

    @property
    def transport(self) -> str:
        """The protocol, the port, and under which condition, if only under one."""
        return f"{self.protocol} {self.port}" + (f", {self.when}" if self.when else "")

    @property
    def is_served(self) -> bool:
        """Whether the planned certificate meets all requirements; a party's own one does."""
        return not self.certificates or set(self.asked) <= set(self.planned)

    @property
    def client_authentication(self) -> str:
        """Describe client authentication; "" for the server side."""
        if self.shown_as == "server":
            return ""
        ends = self._ends
        if "clientAuth" not in self.asked:
            return f"not required{ends}"
        if not self.certificates:
            return "required in the presented certificate"
        if not self.is_served:
            return f"required, but not planned{ends}"
        if self.issuer == "public":
            return f"planned{ends}"
        return "planned; your internal CA issues it if the template includes it"

    @property
    def _ends(self) -> str:
        if self.client_auth_ends is None:
            return ""
        disputed = " (some sources give an earlier date)" if self.ending_disputed else ""
        return (
            f"; the CA no longer issues it on {self.client_auth_ends} or later{disputed} "
            f"[{self.ending}]"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredCa(Told):
    """A CA certificate that the servers of a pool need, or somebody who is none of them.

    ``role`` is the id of the role or party, ``pool`` and ``servers`` are blank of a party.
    ``reasons`` say what it is needed for, ``when`` under which condition, if only under one, and
    ``statements`` are the ids of the rules that say so.
    """

    told: ClassVar = (
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
    source: str
    when: str = ""

    @property
    def is_inferred(self) -> bool:
        """Whether no document says it."""
        return is_inferred(self.source)

    @property
    def basis(self) -> str:
        """Whether a document says it, in a word."""
        return basis_of(self.source)

    @property
    def store(self) -> str:
        """Where it goes."""
        return self.ca.store if self.pool else _OWN_STORE


class Installation(NamedTuple):
    """One server that needs a CA certificate; ``server`` is blank of a party."""

    required: RequiredCa
    server: str


#: What to install, a row for each server.
INSTALL = columns(
    ("Server", "server"),
    ("Role", "required.title"),
    ("Pool", "required.pool"),
    ("Install", "required.ca"),
    ("Store", "required.store"),
    ("Needed for", "required.reasons"),
    ("Basis", "required.basis"),
    ("Source", "required.source"),
)
#: Who shows which certificate to whom.
SHOWN = columns(
    ("Who shows", "presenter"),
    ("Certificate", "subject"),
    ("Shown as", "shown_as"),
    ("To whom", "verifier"),
    ("Connection", "transport"),
    ("Names", "names"),
    ("Root needed", "root"),
    ("Client authentication", "client_authentication"),
    ("Why", "why"),
    ("Basis", "basis"),
    ("Source", "source"),
)


def _certificates(shown: Iterable[Presentation]) -> set[str]:
    """Return the ids of the planned certificates that are shown."""
    groups = {id(one.certificates): one.certificates for one in shown}
    return {name for group in groups.values() for name in group}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Presentations(Table):
    """Who shows which certificate to whom, as a table."""

    _columns = SHOWN

    rows: tuple[Presentation, ...]

    def _items(self) -> tuple[Presentation, ...]:
        return self.rows

    def _summary(self) -> str:
        shown = count_of(len(_certificates(self.rows)), "certificate")
        return f"{shown}, shown in {count_of(len(self.rows), 'case')}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrustPlan(Table):
    """Which CA certificates each server needs and why, and who shows which certificate to whom.

    Its table is that of what to install, a row for each server; ``shown()`` gives the other.
    ``source`` names the table that was planned, ``statements`` are the rules that were applied.
    """

    _columns = INSTALL

    product: str
    title: str
    source: str
    plan_sha256: str
    presentations: tuple[Presentation, ...]
    required: tuple[RequiredCa, ...]
    statements: tuple[TrustRule, ...]

    def shown(self) -> Presentations:
        """Give who shows which certificate to whom, as a table."""
        return Presentations(rows=self.presentations)

    def _items(self) -> Iterator[Installation]:
        for one in self.required:
            for server in one.servers if one.pool else (*one.servers, ""):
                yield Installation(one, server)

    def _summary(self) -> str:
        servers = {server for one in self.required for server in one.servers}
        cas = {(one.issuer, one.root.ca) for one in self.presentations if one.certificates}
        counts = (
            count_of(len(_certificates(self.presentations)), "certificate"),
            count_of(len(cas), "CA"),
            count_of(len(servers), "server"),
        )
        return f"Trust for {self.title}, {self.source}: {', '.join(counts)}"

    def _repr_html_(self) -> str:
        roots = rows_to_html(
            self._headings(), [*self._rows()], caption=self._summary(), limit=ROWS_SHOWN
        )
        return marked(f"{roots}\n{self.shown()._repr_html_()}", self._shown_plan())

    def _shown_plan(self) -> PlanMark:
        return PlanMark(self.plan_sha256)
