"""``AsIs``: what the certificates that stand today do for a plan, as a table and as a document.

Values alone; ``compare_as_is.py`` finds them.
"""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ..base.outputs import OutputKind, first_line, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import Table, count_of, to_markdown
from ..rules.findings import Finding

FORMAT = "lyncnb-asis/1"
TITLE = "Certificates that stand today"

#: What can be said of a planned certificate, in the order of how near it is, and in words.
STATES: Mapping[str, str] = {
    "covered": "covered",
    "elsewhere": "on the wrong server",
    "names-missing": "names missing",
    "other-key": "of an old key",
    "not-in-force": "not in force",
    "other-ca": "from another CA than the others",
    "unproven": "without the CA certificates that prove it",
    "differs": "not as planned",
    "none": "nothing stands for it",
}

#: States of what stands as planned, wherever it is.
GOOD = ("covered", "elsewhere")

_COLUMNS = (
    *("Certificate", "Of", "Type", "Subject name", "State", "Thumbprint", "Valid until"),
    *("Found in", "On", "What there is to say"),
)
_UNPLANNED = "unplanned"

#: What an answer is written as under a name of the planner's own.
AS_IS_TABLE = OutputKind(
    what="a table of the certificates that stand",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"Certificate","Of","Type","Subject name","State",'),
        ".xlsx": packs("docProps/core.xml", mentions(f"<dc:title>{TITLE}".encode())),
        ".md": first_line(f"# {TITLE}".encode()),
    },
)
#: … and as what ``request --only-missing`` takes.
AS_IS_FILE = OutputKind(
    what="an answer of asis", is_ours={".json": mentions(f'"format": "{FORMAT}"'.encode())}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingCertificate:
    """A server's certificate that stands today.

    ``thumbprint`` is SHA-1 as Windows shows it, ``sha256`` over the DER bytes; times are UTC,
    ISO 8601. ``files`` are where it was read, ``servers`` whose store has it, as far as exports of
    servers were given.
    """

    thumbprint: str
    sha256: str
    serial: str
    subject: str
    issuer: str
    not_before: str
    not_after: str
    files: tuple[str, ...]
    servers: tuple[str, ...] = ()

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "thumbprint": self.thumbprint,
            "sha256": self.sha256,
            "serial": self.serial,
            "subject": self.subject,
            "issuer": self.issuer,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "files": list(self.files),
            "servers": list(self.servers),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAsIs:
    """One planned certificate, and what stands for it.

    ``state`` is one of ``STATES``. ``certificate`` is the one that covers it, else the nearest
    that there is; None if there is none. ``findings`` are what ``receive`` would say of it,
    ``remarks`` what servers say of where it is and what it is used for. ``entry_sha256`` is over
    what was planned.
    """

    id: str
    owner: str
    usages: tuple[str, ...]
    subject: str
    entry_sha256: str
    state: str
    certificate: StandingCertificate | None = None
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def is_covered(self) -> bool:
        """Whether its certificate stands and is where it is to be."""
        return self.state == "covered"

    @property
    def is_good(self) -> bool:
        """Whether a certificate stands that is as planned, wherever it is."""
        return self.state in GOOD

    def __str__(self) -> str:
        what = f"{self.id} ({self.owner}{': ' if self.usages else ''}{', '.join(self.usages)})"
        one = self.certificate
        if one is None:
            return f"{STATES[self.state]}: {what}"
        until = f"by {one.thumbprint} until {one.not_after[:10]}"
        if self.is_covered:
            return f"covered {until}: {what}"
        return f"{STATES[self.state]}: {what}; {one.thumbprint} until {one.not_after[:10]}"

    def told(self) -> Iterator[str]:
        """Yield what there is to say of its certificate, a line each, errors first."""
        for severity in ("error", "warning", "notice"):
            for found in self.findings:
                if found.severity == severity:
                    yield f"{severity}: {found.message} [{found.code}]"
        yield from self.remarks

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "id": self.id,
            "owner": self.owner,
            "usages": list(self.usages),
            "subject": self.subject,
            "entry_sha256": self.entry_sha256,
            "state": self.state,
            "certificate": self.certificate.to_document() if self.certificate else None,
            "findings": [
                {"code": one.code, "severity": one.severity, "message": one.message}
                for one in self.findings
            ],
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class UnplannedCertificate:
    """A certificate that no planned one needs, and why."""

    certificate: StandingCertificate
    why: str

    def __str__(self) -> str:
        one = self.certificate
        return f"{_UNPLANNED}: {one.thumbprint} ({one.subject}) until {one.not_after[:10]}"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {**self.certificate.to_document(), "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AsIs(Table):
    """What the certificates that stand today do for a plan, on one day.

    ``planned`` are in the order of the plan. ``files`` are findings about what was read, ``notes``
    what servers say that concerns no certificate here. ``made_at`` is UTC, ISO 8601.
    """

    product: str
    plan_sha256: str
    made_at: str
    judged_on: date
    planned: tuple[PlannedAsIs, ...]
    unplanned: tuple[UnplannedCertificate, ...]
    files: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 if everything planned is covered, 1 if not, 2 if a file could not be read."""
        if any(found.severity == "error" for found in self.files):
            return 2
        return 0 if all(one.is_covered for one in self.planned) else 1

    def counts(self) -> dict[str, int]:
        """Count the planned certificates of each state, e.g. ``{"covered": 12, "none": 1}``."""
        found = [one.state for one in self.planned]
        return {state: found.count(state) for state in STATES if state in found}

    def _headings(self) -> Sequence[str]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for one in self.planned:
            standing = one.certificate
            found = (standing.thumbprint, standing.not_after[:10]) if standing else ("", "")
            where = (standing.files, standing.servers) if standing else ("", "")
            what = (one.id, one.owner, one.usages, one.subject, STATES[one.state])
            yield (*what, *found, *where, tuple(one.told()))
        for other in self.unplanned:
            standing = other.certificate
            found = (standing.thumbprint, standing.not_after[:10])
            where = (standing.files, standing.servers)
            yield ("", "", "", standing.subject, _UNPLANNED, *found, *where, other.why)

    def _summary(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say in a sentence what is covered."""
        counted = [f"{number:,} {STATES[state]}" for state, number in self.counts().items()]
        counted += [f"{len(self.unplanned):,} {_UNPLANNED}"] if self.unplanned else []
        planned = count_of(len(self.planned), "planned certificate")
        return f"{planned}, judged on {self.judged_on}: {', '.join(counted) or 'nothing'}"

    def to_document(self) -> dict[str, object]:
        """Return plain JSON values: what ``lyncnb asis --json`` prints and ``--save`` keeps.

        ``sha256`` is over everything before it, so that an edited answer is noticed.
        """
        document = {
            "format": FORMAT,
            "product": self.product,
            "plan_sha256": self.plan_sha256,
            "made_at": self.made_at,
            "judged_on": self.judged_on.isoformat(),
            "planned": [one.to_document() for one in self.planned],
            "unplanned": [one.to_document() for one in self.unplanned],
            "files": [
                {"file": one.about, "code": one.code, "severity": one.severity,
                 "message": one.message}
                for one in self.files
            ],
            "notes": list(self.notes),
        }  # fmt: skip
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return {**document, "sha256": hashlib.sha256(text.encode("ascii")).hexdigest()}

    def to_json(self) -> bytes:
        """Write the document as UTF-8 JSON."""
        return json.dumps(self.to_document(), ensure_ascii=False, indent=2).encode() + b"\n"

    def to_file(self, suffix: str) -> bytes:
        """Write the table as a file.

        Parameters
        ----------
        suffix : str
            An ending of ``AS_IS_TABLE``.
        """
        if suffix == ".csv":
            return to_csv(_COLUMNS, self._rows())
        if suffix == ".xlsx":
            sheet = Sheet(title=TITLE, columns=_COLUMNS, rows=lambda: list(self._rows()))
            return to_xlsx([sheet], title=TITLE)
        table = to_markdown(_COLUMNS, self._rows())
        return f"# {TITLE}\n\n{self.summary()}\n\n{table}".encode()
