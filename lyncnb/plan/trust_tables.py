"""``TrustPlan``: the certificates that are shown and the CA certificates that are required.

Values and their tables alone; ``trust_plan.py`` works them out, ``trust_report.py`` writes files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ..base.tables import ROWS_SHOWN, Table, count_of, rows_to_html
from ..rules.model import TrustRule

FORMAT = "lyncnb-trust/2"

#: Where a CA certificate goes, as Windows calls the computer's store and as certutil does.
STORES = {
    True: "Trusted Root Certification Authorities (Root)",
    False: "Intermediate Certification Authorities (CA)",
}
_OWN_STORE = "its own store of trusted roots"

ROOT_COLUMNS = ("Server", "Role", "Pool", "Install", "Store", "Needed for", "Basis", "Source")
PRESENTATION_COLUMNS = (
    *("Who shows", "Certificate", "Shown as", "To whom", "Connection", "Names", "Root needed"),
    *("Client authentication", "Why", "Basis", "Source"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaCertificate:
    """A CA certificate that somebody needs: a real one, or what it is in words.

    ``issuer`` is ``internal``, ``public`` or ``party``, ``ca`` the name of the CA where one was
    planned. ``title`` is the subject of a known one; then ``thumbprint`` is SHA-1 as Windows shows
    it and ``sha256`` over the DER bytes, else both are blank.
    """

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

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "title": self.title,
            "issuer": self.issuer,
            "ca": self.ca,
            "is_root": self.is_root,
            "store": self.store,
            "thumbprint": self.thumbprint,
            "sha256": self.sha256,
        }


def is_inferred(source: str) -> bool:
    """Say whether no document says it: every part of the source is inferred."""
    return all(part.startswith("Inferred") for part in source.split("; "))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSide:
    """Who shows a certificate or is shown one: servers of a role, or a party.

    ``role`` is the id of either. Of servers, ``pool`` names the one pool; left blank, they are all
    of the role at ``site``, or at every site (None). ``words`` say it.
    """

    role: str
    words: str
    pool: str = ""
    site: str | None = None

    def __str__(self) -> str:
        return self.words

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {"role": self.role, "pool": self.pool, "site": self.site, "words": self.words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """A certificate that one side of a connection shows to the other.

    ``shown_as`` is ``server`` or ``client``: the side that is called, or that calls and is asked
    for a certificate as well (mutual TLS). ``certificates`` are ids of planned ones, empty where
    the presenter is nobody's server here. ``asked`` are the extended key usages that the verifier
    asks of it, ``planned`` those it is planned with. ``client_auth_ends`` is the first day on which
    its CA no longer issues client authentication, by the finding ``ending``; ``ending_disputed``
    says who says otherwise. ``statement`` is the id of the rule that says it, ``why`` its words.
    """

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
    def is_served(self) -> bool:
        """Whether the certificate is planned with all that is asked of it; a party's own is."""
        return not self.certificates or set(self.asked) <= set(self.planned)

    @property
    def client_authentication(self) -> str:
        """What there is to say of client authentication, "" of a server's side."""
        if self.shown_as == "server":
            return ""
        ends = self._ends
        if "clientAuth" not in self.asked:
            return f"not asked for{ends}"
        if not self.certificates:
            return "its certificate needs it"
        if not self.is_served:
            return f"asked for, and not planned{ends}"
        if self.issuer == "public":
            return f"planned{ends}"
        return "planned; your internal CA issues it as long as its template says so"

    @property
    def _ends(self) -> str:
        if self.client_auth_ends is None:
            return ""
        disputed = ", or sooner: sources disagree" if self.ending_disputed else ""
        return f"; its CA issues none from {self.client_auth_ends} on{disputed} [{self.ending}]"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "connection": self.connection,
            "presenter": self.presenter.to_document(),
            "verifier": self.verifier.to_document(),
            "shown_as": self.shown_as,
            "protocol": self.protocol,
            "port": self.port,
            "when": self.when,
            "certificates": list(self.certificates),
            "subject": self.subject,
            "usages": list(self.usages),
            "names": list(self.names),
            "root": self.root.to_document(),
            "asked": list(self.asked),
            "planned": list(self.planned),
            "is_served": self.is_served,
            "client_authentication": self.client_authentication,
            "client_auth_ends": self.client_auth_ends and self.client_auth_ends.isoformat(),
            "ending": self.ending,
            "ending_source": self.ending_source,
            "ending_disputed": self.ending_disputed,
            "statement": self.statement,
            "why": self.why,
            "inferred": self.is_inferred,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredCa:
    """A CA certificate that the servers of a pool need, or somebody who is none of them.

    ``role`` is the id of the role or party, ``pool`` and ``servers`` are blank of a party.
    ``reasons`` say what it is needed for, ``when`` under which condition, if only under one, and
    ``statements`` are the ids of the rules that say so.
    """

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
    def store(self) -> str:
        """Where it goes."""
        return self.ca.store if self.pool else _OWN_STORE

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "role": self.role,
            "pool": self.pool,
            "servers": list(self.servers),
            "ca": self.ca.to_document(),
            "store": self.store,
            "needed_for": list(self.reasons),
            "statements": list(self.statements),
            "when": self.when,
            "inferred": self.is_inferred,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Presentations(Table):
    """Who shows which certificate to whom, as a table."""

    rows: tuple[Presentation, ...]

    def _headings(self) -> Sequence[str]:
        return PRESENTATION_COLUMNS

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for one in self.rows:
            condition = f", {one.when}" if one.when else ""
            yield (
                str(one.presenter),
                one.subject,
                one.shown_as,
                str(one.verifier),
                f"{one.protocol} {one.port}{condition}",
                one.names,
                str(one.root),
                one.client_authentication,
                one.why,
                "inferred" if one.is_inferred else "documented",
                one.source,
            )

    def _summary(self) -> str:
        return f"{count_of(len(self.rows), 'certificate')} shown"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TrustPlan(Table):
    """Which CA certificates each server needs and why, and who shows which certificate to whom.

    Its table is that of what to install, a row for each server; ``shown()`` gives the other.
    ``source`` names the table that was planned, ``statements`` are the rules that were applied.
    """

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

    def _headings(self) -> Sequence[str]:
        return ROOT_COLUMNS

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for one in self.required:
            basis = "inferred" if one.is_inferred else "documented"
            rest = (str(one.ca), one.store, one.reasons, basis, one.source)
            for server in one.servers:
                yield (server, one.title, one.pool, *rest)
            if not one.pool:
                yield ("", one.title, "", *rest)

    def _summary(self) -> str:
        servers = {server for one in self.required for server in one.servers}
        cas = {one.ca for one in self.required}
        shown = count_of(len(self.presentations), "certificate")
        installed = count_of(len(cas), "CA certificate")
        on = count_of(len(servers), "server")
        return f"Trust for {self.title}, {self.source}: {shown} shown, {installed} on {on}"

    def _repr_html_(self) -> str:
        roots = rows_to_html(
            self._headings(), [*self._rows()], caption=self._summary(), limit=ROWS_SHOWN
        )
        return f"{roots}\n{self.shown()._repr_html_()}"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: what ``lyncnb trust --json`` prints.

        All servers of a role show the same certificates to each of many pools. Their ids are
        listed once, in ``certificate_groups``; a presentation has the index of its group.
        """
        # By identity: to hash the ids of each presentation again would be as slow as to list them.
        groups = {id(one.certificates): one.certificates for one in self.presentations}
        index = {key: number for number, key in enumerate(groups)}
        return {
            "format": FORMAT,
            "product": self.product,
            "source": self.source,
            "plan_sha256": self.plan_sha256,
            "certificate_groups": [list(ids) for ids in groups.values()],
            "presentations": [
                {
                    **replace(one, certificates=()).to_document(),
                    "certificates": index[id(one.certificates)],
                }
                for one in self.presentations
            ],
            "required": [one.to_document() for one in self.required],
        }
