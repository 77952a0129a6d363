"""Define the data of a checklist and a script: packages, checks, steps and servers.

The classes contain only values. ``steps.py`` computes the values, ``fill_steps.py`` inserts them,
and ``step_files.py`` writes the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from ..base.planned_entry import list_importing_servers
from ..base.shown import tables
from ..base.shown.languages import make_translator
from ..base.shown.origin import UNKNOWN, Origin
from ..base.shown.tables import Table, columns, format_count
from ..pki.certificates import Certificate
from ..plan.options import PlanOptions
from ..rules.procedure import Procedure, RollOver, Shell, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The usages of a certificate that one ``Set-CsCertificate`` command assigns together.

    ``effective`` is the time at which a call that rolls over takes effect: without a time zone in
    the time of the servers, or in UTC. ``latest`` is the last possible time.
    """

    usages: tuple[str, ...]
    roll: RollOver | None = None
    effective: datetime | None = None
    latest: datetime | None = None

    @property
    def kind(self) -> str:
        """The type of the command: ``roll`` or ``assign``."""
        return "roll" if self.effective else "assign"

    @property
    def effective_time_text(self) -> str:
        """The effective time for a script, such as ``2026-12-01T08:00:00``, with ``Z`` for UTC."""
        zone = "Z" if self.effective and self.effective.tzinfo else ""
        return f"{self.effective:%Y-%m-%dT%H:%M:%S}{zone}" if self.effective else ""

    @property
    def effective_words(self) -> str:
        """The effective time in a human-readable format."""
        return _format_moment(self.effective)

    @property
    def latest_words(self) -> str:
        """The last possible effective time in a human-readable format."""
        return _format_moment(self.latest or self.effective)


def _format_moment(moment: datetime | None) -> str:
    if moment is None:
        return ""
    zone = "UTC" if moment.tzinfo else "in the server's time zone"
    return f"{moment:%Y-%m-%d %H:%M} {zone}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPackage:
    """A packaged certificate: its servers, its content, and the certificate that it replaces.

    ``issuer`` is ``internal`` or ``public``. ``path`` contains the certificates above the
    certificate, starting with the issuer. ``key_algorithm`` is ``RSA`` or ``ECDSA``.
    ``in_use_until`` is the end of the certificate that it replaces, if this date is known.
    ``key_holder`` is the computer that has the key, if the key is not in the folder. In this case,
    the package is exported on that computer, so its ``sha256`` is not known yet. ``eku`` contains
    the planned extended key usages, and is blank if the plan is not known. ``san`` contains the DNS
    names. ``number`` is the number of the certificate in the folder, or 0. ``superseded`` is the
    serial number and issuer of the certificate that it replaces, and ``old`` its thumbprint, if
    known. ``done`` contains the servers that use this certificate already. ``renamed``
    is true if the certificate that it replaces has other names.
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
    key_algorithm: str
    in_use_until: datetime | None = None
    calls: tuple[Call, ...] = ()
    key_holder: str = ""
    site: str = ""
    eku: tuple[str, ...] = ()
    san: tuple[str, ...] = ()
    superseded: str = ""
    old: str = ""
    number: int = 0
    renamed: bool = False
    done: frozenset[str] = frozenset()

    @property
    def importing(self) -> tuple[str, ...]:
        """The servers that import the package."""
        servers = list_importing_servers(self.servers, self.shared_by)
        return tuple(server for server in servers if server not in self.done)

    def without_old(self) -> ServerPackage:
        """Return the package for a server on which it replaces nothing."""
        return replace(self, old="", superseded="", in_use_until=None)

    @property
    def rolls(self) -> bool:
        """Whether a usage stays with the old certificate until a set time."""
        return any(call.effective for call in self.calls)

    @property
    def old_end(self) -> str:
        """The end of the old certificate in a human-readable format."""
        end = self.in_use_until
        return f"{end:%Y-%m-%d %H:%M} UTC" if end else "the NotAfter time of the old certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPackage:
    """A request without a package, with the reason and the servers that need the package."""

    request: str
    why: str
    servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledCheck:
    """A check that runs on one server, with the server's values filled in."""

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
    """A setting of a server that refers to a certificate, with the commands for the setting."""

    name: str
    new: str
    old: str  # The value in use, or "" if it is not known.
    each: str
    read: str
    set: str
    roll: str
    effective: str  # The time from which a new certificate signs tokens, or "".
    clear: str
    staged: str
    restart: bool
    for_deployment: bool
    setting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStep:
    """A step on one server, with the server's values filled in.

    ``about`` distinguishes the same step for several usages or certificates. ``number`` is the
    number of the row on the sheet, which the script shows too. ``task`` is the title of a row that
    has several steps, and ``expected`` is the result of the row. ``values`` contains the values of
    the placeholders.
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
    number: str = ""
    task: str = ""
    expected: str = ""
    caution: str = ""
    values: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The name of the step in a script: number, title, and what the step is about."""
        suffix = f" ({self.about})" if self.about and self.about not in self.title else ""
        return f"{self.number}. {self.title}{suffix}"

    @property
    def checks(self) -> tuple[FilledCheck, ...]:
        """All checks of the step, in the order in which the script runs them."""
        return (*self.only_if, *self.holds, *self.waits, *self.needs, *self.confirms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSteps:
    """The procedure for one server: the change, the later steps, and the steps to go back.

    ``case`` is one of ``CASES``, or "" for a request. ``facts`` are what the plan decides about
    the server and its pool. ``backup_pool`` is the pool with which it is paired. The page and the
    script are named after ``server`` and ``suffix``, which distinguishes two pages for one server
    or request. ``issuers`` contains the CA certificates that the server must trust.
    ``trust_only`` is true for a server that has only trust steps.
    """

    server: str
    role: str
    title: str  # of the role
    pool: str
    case: str
    shell: Shell | None
    packages: tuple[ServerPackage, ...]
    steps: tuple[ServerStep, ...]
    later: tuple[ServerStep, ...]
    back: tuple[ServerStep, ...]
    suffix: str = ""
    issuers: tuple[Certificate, ...] = ()
    places: tuple[FilledPlace, ...] = ()
    folder: str = ""
    facts: frozenset[str] = frozenset()
    backup_pool: str = ""
    anywhere: bool = False  # Whether the script may run on any computer.
    trust_only: bool = False

    @property
    def change(self) -> str:
        """An identifier for the change: the server and the new thumbprints, shortened."""
        return "-".join((self.server, *sorted(p.thumbprint[:8] for p in self.packages)))

    @property
    def stem(self) -> str:
        """The name of the page and the script, without extension."""
        return f"{self.server}{self.suffix}"

    @property
    def every_step(self) -> tuple[ServerStep, ...]:
        """All steps for the server, in the order of the page."""
        return (*self.steps, *self.later, *self.back)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeploymentSteps(Table):
    """The deployment procedure for every server that has a package.

    ``missing`` contains the requests without a package, and ``covered`` the requests that need none
    because of an installed certificate. ``procedure`` contains the order of the servers, and where
    each command is documented. ``assumed`` is true if nothing is recorded and no option says
    whether the servers are new. ``key_holders`` contains the earlier steps for
    each request whose key is on another computer.
    """

    _columns: ClassVar = columns(
        ("Server", lambda row: row[0].server),
        ("Step", lambda row: f"{row[1].number}. {row[1].title}"),
        ("Server role", lambda row: row[0].role),
        ("Certificate", 2),
        ("Package on the server", lambda row: row[1].package),
        ("What to do", lambda row: row[1].text),
        ("Wizard", lambda row: row[1].wizard),
        ("Commands", lambda row: row[1].commands),
        ("Source", lambda row: row[1].step.source),
    )

    product: str
    title: str
    folder: str
    servers: tuple[ServerSteps, ...]
    missing: tuple[MissingPackage, ...]
    procedure: Procedure
    unit: str = "server"  # Whether the steps belong to a "server" or to a "request".
    lacking: str = "without a package"
    key_holders: tuple[ServerSteps, ...] = ()
    covered: tuple[MissingPackage, ...] = ()
    origin: Origin = UNKNOWN
    assumed: bool = False

    @property
    def lang(self) -> str:
        """The language of the checklists. Scripts are always in English."""
        return self.origin.lang

    def in_language(self, lang: str) -> DeploymentSteps:
        """Return the same steps for checklists in another language, ``en`` or ``zh-TW``.

        Raises
        ------
        OptionsError
            If the language is unknown.
        """
        return replace(self, origin=replace(self.origin, lang=PlanOptions(lang=lang).lang))

    @property
    def pages(self) -> tuple[ServerSteps, ...]:
        """All pages of steps: first the pages for all servers, then the pages of each server."""
        return (*self.key_holders, *self.servers)

    @property
    def exit_status(self) -> int:
        """The exit status: 0 if the steps include every planned certificate, else 1."""
        return int(bool(self.missing))

    def _list_items(self) -> Iterator[tuple[ServerSteps, ServerStep, str]]:
        for server in self.pages:
            ids = {package.file: package.id for package in server.packages}
            # A step for a request has the ID of the certificate instead of a server name.
            default_id = server.server if self.unit == "request" else ""
            yield from (
                (server, step, ids.get(step.package, default_id)) for step in server.every_step
            )

    def _summarize(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        page = Table._repr_html_(self) if self.pages else tables.format_paragraph(self.summary())
        if self.missing:
            page += tables.rows_to_html(
                ("Request", "Why there are no steps"),
                [(package.request, package.why) for package in self.missing],
                caption="Certificates without steps",
                limit=tables.ROWS_SHOWN,
            )
        if self.covered:
            page += tables.rows_to_html(
                ("Request", "Installed certificate"),
                [(package.request, package.why) for package in self.covered],
                caption="Not requested",
                limit=tables.ROWS_SHOWN,
            )
        return page

    @property
    def parts(self) -> str:
        """A paragraph about the two parts of the procedure: first trust the new CA, then assign.

        This includes servers that get no certificate. The text is empty if all servers get one.
        """
        trusting = sum(server.trust_only for server in self.servers)
        if not trusting:
            return ""
        return make_translator(self.lang)(
            f"The procedure has two parts, in this order. First make all {len(self.servers):,} "
            f"servers trust the new CA, including the {trusting:,} that get no certificate. "
            f"Then import and assign certificates on {len(self.servers) - trusting:,}."
        )

    def summary(self, translate: Callable[[str], str] = str) -> str:
        """Return one sentence with the counts. ``translate`` converts the English texts."""
        if not self.pages and not self.missing and not self.covered:
            return f"{self.title}{translate(': ')}{translate('no server needs a change')}"
        count = sum(len(server.steps) for server in self.servers)
        steps = f"{format_count(count, 'step')} for {format_count(len(self.servers), self.unit)}"
        words = map(translate, (steps, *self.describe_gaps()))
        return f"{self.title}{translate(': ')}{translate('; ').join(words)}"

    def describe_gaps(self) -> list[str]:
        """Return the numbers of keys to export first, and of certificates without steps."""
        words = []
        if self.key_holders:
            keys = format_count(len(self.key_holders), "key")
            words.append(f"{keys} to export from other computers first")
        if self.covered:
            covered = format_count(len(self.covered), "request")
            words.append(f"{covered} covered by installed certificates")
        if self.missing:
            words.append(f"{format_count(len(self.missing), 'certificate')} {self.lacking}")
        return words
