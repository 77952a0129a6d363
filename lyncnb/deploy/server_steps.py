"""What a checklist and a script are made of: packages, checks, steps, and the servers they are for.

Values only; ``steps.py`` works them out, ``fill_steps.py`` fills them in, ``step_files.py`` writes
them down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ..base.shown import tables
from ..base.shown.tables import Table, count_of
from ..pki.certificates import Certificate
from ..rules.procedure import Cmdlet, RollOver, Shell, Stage, Step

_COLUMNS = ("Server", "Step", "Role", "Package", "What to do", "Wizard", "Commands", "Source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Usages of a certificate that one ``Set-CsCertificate`` assigns together.

    ``effective`` is when a call that rolls over takes effect: naive in the servers' time, or UTC.
    """

    usages: tuple[str, ...]
    roll: RollOver | None = None
    effective: datetime | None = None

    @property
    def kind(self) -> str:
        """``roll`` or ``assign``."""
        return "roll" if self.effective else "assign"

    @property
    def effective_text(self) -> str:
        """The time as a script reads it, ``2026-12-01T08:00:00`` or with a ``Z`` for UTC."""
        zone = "Z" if self.effective and self.effective.tzinfo else ""
        return f"{self.effective:%Y-%m-%dT%H:%M:%S}{zone}" if self.effective else ""

    @property
    def effective_words(self) -> str:
        """The time as a person reads it."""
        if self.effective is None:
            return ""
        zone = "UTC" if self.effective.tzinfo else "in the server's time"
        return f"{self.effective:%Y-%m-%d %H:%M} {zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPackage:
    """One packaged certificate: where it goes, what is in it, and what it replaces.

    ``issuer`` is ``internal`` or ``public``; ``path`` the certificates above it, issuer first.
    ``in_use_until`` is the end of the certificate that it replaces, where the folder knows one.
    ``key_holder`` is the computer that has its key, if that is not in the folder: the package is
    exported there, so nobody knows its ``sha256`` yet. ``eku`` are its extended key usages, as
    planned; where the plan is not known, blank. ``san`` are its DNS names.
    ``superseded`` is the serial number and issuer of the certificate that it replaces, if known.
    """

    id: str
    role: str
    pool: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    shared_by: str
    issuer: str
    name: str
    file: str
    sha256: str
    friendly_name: str
    thumbprint: str
    not_before: datetime
    not_after: datetime
    path: tuple[Certificate, ...]
    in_use_until: datetime | None = None
    calls: tuple[Call, ...] = ()
    key_holder: str = ""
    site: str = ""
    eku: tuple[str, ...] = ()
    san: tuple[str, ...] = ()
    superseded: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPackage:
    """A request without a package: why, and which servers lack it until there is one."""

    request: str
    why: str
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledCheck:
    """A check of one server, filled in."""

    id: str
    text: str
    command: str
    shows: str
    when: str = ""
    passing: bool = False
    script_only: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledPlace:
    """A place of one server where a certificate is in use, with its commands filled in."""

    name: str
    new: str
    outside: str
    each: str
    read: str
    set: str
    roll: str
    clear: str
    staged: str
    restart: bool
    for_deployment: bool
    setting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStep:
    """One step on one server, filled in; ``package`` is "" for a step of the server as a whole.

    ``about`` tells apart the same step for several usages or certificates.
    """

    step: Step
    title: str
    text: str
    wizard: str
    commands: tuple[str, ...]
    only_if: tuple[FilledCheck, ...]
    needs: tuple[FilledCheck, ...]
    holds: tuple[FilledCheck, ...]
    package: str
    about: str
    waits: tuple[FilledCheck, ...] = ()
    confirms: tuple[FilledCheck, ...] = ()
    place: str = ""
    assigns: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[FilledCheck, ...]:
        """All checks of the step, in the order in which the script asks them."""
        return (*self.only_if, *self.holds, *self.waits, *self.needs, *self.confirms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSteps:
    """The changed procedure of one server: the day, what comes later, and the way back.

    Its page and script are called ``server`` and ``suffix``; that tells two pages of one server, or
    of one request, apart. ``issuers`` are the CA certificates that it is to trust; a server that
    does nothing but trust them is ``trust_only``.
    """

    server: str
    role: str
    title: str  # of the role
    pool: str
    shell: Shell | None
    packages: tuple[ServerPackage, ...]
    steps: tuple[ServerStep, ...]
    later: tuple[ServerStep, ...]
    back: tuple[ServerStep, ...]
    suffix: str = ""
    issuers: tuple[Certificate, ...] = ()
    places: tuple[FilledPlace, ...] = ()
    folder: str = ""
    anywhere: bool = False  # whether its script may run on any computer
    trust_only: bool = False

    @property
    def change(self) -> str:
        """The name of this change on the server: what it puts there, by thumbprint."""
        return "-".join((self.server, *sorted(p.thumbprint[:8] for p in self.packages)))

    @property
    def stem(self) -> str:
        """What its page and script are called, without an ending."""
        return f"{self.server}{self.suffix}"

    @property
    def every_step(self) -> tuple[ServerStep, ...]:
        """All of them, in the order in which a page shows them."""
        return (*self.steps, *self.later, *self.back)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeploymentSteps(Table):
    """The changed procedure of every server that has a package.

    ``missing`` are the requests without a package, ``covered`` those that need none: a certificate
    stands for them. ``order`` says which servers come first in one
    evening; ``cmdlets`` where each command is documented. ``key_holders`` has, for each request
    whose key is on another computer, what is to be done there before.
    """

    product: str
    title: str
    folder: str
    servers: tuple[ServerSteps, ...]
    missing: tuple[MissingPackage, ...]
    order: tuple[Stage, ...]
    cmdlets: tuple[Cmdlet, ...]
    unit: str = "server"  # what the steps are told for: servers, or requests
    lacking: str = "without a package"
    key_holders: tuple[ServerSteps, ...] = ()
    covered: tuple[MissingPackage, ...] = ()

    @property
    def pages(self) -> tuple[ServerSteps, ...]:
        """Every page of steps: those that come before, then those of the servers."""
        return (*self.key_holders, *self.servers)

    @property
    def exit_status(self) -> int:
        """0 if every planned certificate is in the steps, else 1."""
        return int(bool(self.missing))

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for server in self.pages:
            for number, step in enumerate(server.every_step, 1):
                yield (
                    *(server.server, f"{number}. {step.title}", server.role, step.package),
                    *(step.text, step.wizard, step.commands, step.step.source),
                )

    def _headings(self) -> tuple[str, ...]:
        return _COLUMNS

    def _summary(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        page = Table._repr_html_(self) if self.pages else tables.paragraph(self.summary())
        if self.missing:
            page += tables.rows_to_html(
                ("Request", "Why it is not in the steps"),
                [(one.request, one.why) for one in self.missing],
                caption="Not in the steps",
                limit=tables.ROWS_SHOWN,
            )
        if self.covered:
            page += tables.rows_to_html(
                ("Request", "What stands"),
                [(one.request, one.why) for one in self.covered],
                caption="Not requested",
                limit=tables.ROWS_SHOWN,
            )
        return page

    @property
    def parts(self) -> str:
        """Say that trust comes first where servers without a new certificate are to trust a CA."""
        trusting = sum(server.trust_only for server in self.servers)
        if not trusting:
            return ""
        return (
            f"Two parts, in this order. First all {len(self.servers):,} servers here trust the new "
            f"CA, also the {trusting:,} that get no certificate. Then certificates are imported "
            f"and assigned on {len(self.servers) - trusting:,}."
        )

    def summary(self) -> str:
        """Say in a sentence what there is."""
        if not self.pages and not self.missing and not self.covered:
            return f"{self.title}: nothing is new to any server"
        count = sum(len(server.steps) for server in self.servers)
        missing = count_of(len(self.missing), "certificate")
        words = f"{count_of(count, 'step')} for {count_of(len(self.servers), self.unit)}"
        if self.key_holders:
            words += f", {count_of(len(self.key_holders), 'key')} to be exported elsewhere before"
        if self.covered:
            words += f"; {count_of(len(self.covered), 'certificate')} covered by what stands"
        return f"{self.title}: {words}" + (f"; {missing} {self.lacking}" if self.missing else "")
