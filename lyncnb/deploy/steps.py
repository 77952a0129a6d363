"""Import and assignment, server by server, as values: what a checklist and a script show.

A pure step: packages and certificates in, filled steps out. ``step_files.py`` writes the files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from ..authorities.issued import IssuedCertificate, IssuedCertificates
from ..base.tables import Table
from ..errors import PackageError
from ..pki.certificates import Certificate, name_text
from ..plan.summary_content import count_of
from ..request_folder.request_record import PackageRecord, RequestRecord
from ..rules.model import Rules
from ..rules.procedure import (
    PLACEHOLDER,
    Cmdlet,
    Place,
    Procedure,
    RollOver,
    Shell,
    Step,
    load_procedure,
    package_rules,
)
from ..rules.rule_files import load_rules
from .powershell import quote

_COLUMNS = ("Server", "Step", "Role", "Package", "What to do", "Wizard", "Commands", "Source")

#: When what can roll over takes effect: for all usages, or for each by its name.
Effective = datetime | Mapping[str, datetime] | None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledCheck:
    """A check of one server, filled in."""

    id: str
    text: str
    command: str
    shows: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSteps:
    """The changed procedure of one server: the day, what comes later, and the way back."""

    server: str
    role: str
    title: str  # of the role
    pool: str
    shell: Shell | None
    packages: tuple[ServerPackage, ...]
    steps: tuple[ServerStep, ...]
    later: tuple[ServerStep, ...]
    back: tuple[ServerStep, ...]

    @property
    def every_step(self) -> tuple[ServerStep, ...]:
        """All of them, in the order in which a page shows them."""
        return (*self.steps, *self.later, *self.back)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeploymentSteps(Table):
    """The changed procedure of every server that has a package.

    ``missing`` holds pairs: a request without a package, and why. ``order`` says which servers
    come first in one evening; ``cmdlets`` where each command is documented.
    """

    product: str
    title: str
    folder: str
    servers: tuple[ServerSteps, ...]
    missing: tuple[tuple[str, str], ...]
    order: tuple[Place, ...]
    cmdlets: tuple[Cmdlet, ...]
    unit: str = "server"  # what the steps are told for: servers, or requests
    lacking: str = "without a package"

    @property
    def exit_status(self) -> int:
        """0 if every planned certificate is in the steps, else 1."""
        return int(bool(self.missing))

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for server in self.servers:
            for number, step in enumerate(server.every_step, 1):
                yield (
                    *(server.server, f"{number}. {step.title}", server.role, step.package),
                    *(step.text, step.wizard, step.commands, step.step.source),
                )

    def _headings(self) -> tuple[str, ...]:
        return _COLUMNS

    def _summary(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say in a sentence what there is."""
        count = sum(len(server.steps) for server in self.servers)
        missing = count_of(len(self.missing), "certificate")
        words = f"{count_of(count, 'step')} for {count_of(len(self.servers), self.unit)}"
        return f"{self.title}: {words}" + (f"; {missing} {self.lacking}" if self.missing else "")


def deployment_steps(
    issued: IssuedCertificates,
    *,
    effective: Effective = None,
    today: date | None = None,
) -> DeploymentSteps:
    """Write the changed deployment procedure: import and assign, computer by computer.

    Parameters
    ----------
    issued : IssuedCertificates
        n certificates; those that were packaged are in the steps.
    effective : datetime or Mapping, optional
        When rolled-over certificates take effect, in the servers' time: one time for every usage
        that can roll over, or one for each by its name. Where the folder knows the certificate
        in use, its end minus the lifetime of a token is taken if nothing is said.
    today : date, optional
        The day that counts as the present.

    Returns
    -------
    DeploymentSteps
        By role, pool and server; the deployment's own certificate on one server only.

    Raises
    ------
    PackageError
        If ``effective`` names a usage that cannot roll over, or leaves too little time before
        the certificate in use ends.

    Notes
    -----
    Source: each step carries its own; they are data of the product.
    """
    manifest = issued.bundle.manifest
    packages, missing = [], []
    # What a server is stays known when its own certificate is deployed and only the deployment's
    # is renewed.
    hosts = {
        server: (record.plan.role, record.plan.pool)
        for record in manifest.requests
        if record.plan.shared_by != "deployment"
        for server in record.plan.servers
    }
    for record in manifest.requests:
        if record.state == "retired" or record.deployed_at:
            continue
        one = issued.by_id.get(record.id)
        if one is None or one.has_errors:
            why = issued.why_missing(record.id) or "no certificate came back yet"
            if issued.why_refused(record.id):  # it will never be packaged: only the CA can help
                why = f"ask the CA for another certificate: {why}"
            missing.append((record.id, why))
        elif record.package is None or record.package.certificate != one.sha256:
            missing.append((record.id, "it is not packaged yet: run lyncnb pfx"))
        elif record.package.file in issued.exchanged:
            why = f"{record.package.file} is not the package that was made"
            missing.append((record.id, f"{why}: look who did that, then run lyncnb pfx"))
        else:
            packages.append(_server_package(record, record.package, one))
    now = datetime.now(UTC) if today is None else datetime(*today.timetuple()[:3], 12, tzinfo=UTC)
    return procedure_of(
        packages,
        load_rules(manifest.product),
        missing=missing,
        effective=effective,
        hosts=hosts,
        now=now,
    )


def _server_package(
    record: RequestRecord, package: PackageRecord, one: IssuedCertificate
) -> ServerPackage:
    plan = record.plan
    # A certificate that was never packaged is on no server.
    was_used = any(old.package for old in record.archived)
    return ServerPackage(
        id=record.id,
        role=plan.role,
        pool=plan.pool,
        servers=plan.servers,
        usages=plan.usages,
        shared_by=plan.shared_by,
        issuer=plan.issuer,
        name=plan.common_name,
        file=package.file.rpartition("/")[2],
        sha256=package.sha256,
        friendly_name=package.friendly_name,
        thumbprint=one.thumbprint,
        not_before=one.not_before,
        not_after=one.not_after,
        path=one.path,
        in_use_until=one.earlier.not_after if one.earlier and was_used else None,
    )


def procedure_of(
    packages: Iterable[ServerPackage],
    rules: Rules,
    *,
    now: datetime,
    missing: Iterable[tuple[str, str]] = (),
    effective: Effective = None,
    hosts: Mapping[str, tuple[str, str]] | None = None,
) -> DeploymentSteps:
    """Fill in a product's procedure for packages, whatever folder they come from.

    Parameters
    ----------
    packages : iterable of ServerPackage
        n of them; their ``calls`` are worked out here.
    rules : Rules
        Of the product.
    now : datetime
        The present, UTC.
    missing : iterable of pairs
        Requests without a package, and why.
    effective : datetime or Mapping, optional
        See :func:`deployment_steps`.
    hosts : Mapping, optional
        Role and pool of servers, for one that gets the deployment's certificate alone.

    Raises
    ------
    PackageError
        See :func:`deployment_steps`.
    """
    procedure = load_procedure(rules)
    times = _times(effective, procedure)
    packed = [_with_calls(package, procedure, times, now) for package in packages]
    by_server: dict[str, list[ServerPackage]] = defaultdict(list)
    for package in packed:
        servers = sorted(package.servers)
        for server in servers[:1] if package.shared_by == "deployment" else servers:
            by_server[server].append(package)
    inside = _issuers(package for package in packed if package.issuer == "internal")
    filler = Filler(rules, procedure, package_rules(rules).provider, inside, hosts or {})
    return DeploymentSteps(
        product=rules.product,
        title=rules.title,
        folder=procedure.folder,
        servers=tuple(filler.server_steps(name, own) for name, own in by_server.items()),
        missing=tuple(missing),
        order=procedure.order,
        cmdlets=procedure.cmdlets,
    )


def _times(effective: Effective, procedure: Procedure) -> dict[str, datetime]:
    """Give the time of each usage that can roll over, as far as it was said."""
    known = tuple(usage for roll in procedure.rolls for usage in roll.usages)
    if effective is None:
        return {}
    if isinstance(effective, datetime):
        return dict.fromkeys(known, effective)
    for usage in effective:
        if usage not in known:
            raise PackageError(
                f'"{usage}" is no usage that can roll over', hint=f"use one of: {', '.join(known)}"
            )
    return dict(effective)


def _with_calls(
    package: ServerPackage, procedure: Procedure, times: Mapping[str, datetime], now: datetime
) -> ServerPackage:
    """Split a certificate's usages into calls: those that can roll over go by themselves."""
    rest = tuple(usage for usage in package.usages if procedure.roll_of(usage) is None)
    calls = [Call(usages=rest)] if rest else []
    for roll in procedure.rolls:
        rolled = tuple(usage for usage in package.usages if usage in roll.usages)
        if rolled:
            said = next((times[usage] for usage in rolled if usage in times), None)
            calls.append(
                Call(usages=rolled, roll=roll, effective=_effective(package, roll, said, now))
            )
    return replace(package, calls=tuple(calls))


def _effective(
    package: ServerPackage, roll: RollOver, said: datetime | None, now: datetime
) -> datetime | None:
    """Settle when a new certificate takes effect; None: it is assigned at once.

    Source: the roll's own: the end of the certificate in use minus the lifetime of a token. How
    near the time is to the present does not count.
    """
    end, lead = package.in_use_until, timedelta(hours=roll.lead_hours)
    if said is None:
        return end - lead if end is not None and end - lead > now else None
    # Naive: the servers' time zone is taken to be this computer's; the server checks it again.
    moment = said.astimezone(UTC)
    names = ", ".join(roll.usages)
    if end is not None and moment + lead > end:
        latest = (end - lead).astimezone(said.tzinfo)
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the certificate in use ends at "
            f"{end:%Y-%m-%d %H:%M} UTC, and tokens live {roll.lead_hours} hours",
            hint=f"choose {latest:%Y-%m-%dT%H:%M} or earlier",
        )
    if not package.not_before <= moment < package.not_after:
        raise PackageError(
            f"{names} cannot take effect at {said:%Y-%m-%d %H:%M}: the new certificate is valid "
            f"from {package.not_before:%Y-%m-%d %H:%M} to {package.not_after:%Y-%m-%d %H:%M} UTC",
            hint="choose a time in between",
        )
    return said


def _issuers(packages: Iterable[ServerPackage]) -> tuple[Certificate, ...]:
    """Give the CA certificates above packages, each once, the roots first."""
    found = {issuer.sha256: issuer for package in packages for issuer in package.path}
    return tuple(sorted(found.values(), key=lambda one: not one.is_self_issued))


def store_of(issuer: Certificate) -> str:
    """Name the computer's store of a CA certificate: only a self-signed one may go to Root."""
    return "Root" if issuer.is_self_issued else "CA"


Values = Mapping[str, str | int | tuple[str, ...]]


def filled_command(step: Step, values: Values) -> tuple[str, ...]:
    """Fill in a step's commands; an option whose value is blank is left out."""
    lines = [fill(command, values, as_command=True) for command in step.commands]
    for option in step.options:
        if all(values[name] for name in PLACEHOLDER.findall(option)):
            lines[-1] += " " + fill(option, values, as_command=True)
    return tuple(lines)


def fill(text: str, values: Values, *, as_command: bool = False) -> str:
    """Put values in for placeholders: as they read, or as PowerShell literals in a command."""

    def value(match: re.Match[str]) -> str:
        found = values[match[1]]
        if isinstance(found, bool):
            return ("$true" if found else "$false") if as_command else ("yes" if found else "no")
        if isinstance(found, int):
            return str(found)
        many = found if isinstance(found, tuple) else (found,)
        return ",".join(map(quote, many)) if as_command else ", ".join(many)

    return PLACEHOLDER.sub(value, text)


class Filler:
    """Fills in the steps of one product; what holds for all servers is worked out once."""

    def __init__(
        self,
        rules: Rules,
        procedure: Procedure,
        provider: str,
        inside: tuple[Certificate, ...],
        hosts: Mapping[str, tuple[str, str]],
    ):
        self.hosts = hosts
        self.rules = rules
        self.procedure = procedure
        self.inside = inside
        self.by_id = {check.id: check for check in procedure.checks}
        self.common: dict[str, str | int | tuple[str, ...]] = {
            "product": rules.title,
            "folder": procedure.folder,
            "provider": provider,
        }

    def path(self, *names: str) -> str:
        """Give the full path of a file as it lies on a server."""
        return "\\".join((self.procedure.folder, *names))

    def server_steps(self, server: str, packages: list[ServerPackage]) -> ServerSteps:
        """Fill in every step of one server."""
        own = next((p for p in packages if p.shared_by != "deployment"), None)
        if own is None:
            role_here, pool = self.hosts.get(server, (self._host_role(packages[0]), server))
            own = replace(packages[0], role=role_here, pool=pool)
        role = self.rules.roles.get(own.role)
        steps = list(self._steps(server, own, packages))
        return ServerSteps(
            server=server,
            role=own.role,
            title=role.title if role else own.role,
            pool=own.pool,
            shell=self.procedure.shell_of(own.role),
            packages=tuple(packages),
            steps=tuple(step for step in steps if step.step.phase == "day"),
            later=tuple(step for step in steps if step.step.phase == "later"),
            back=tuple(step for step in steps if step.step.phase == "back"),
        )

    def _host_role(self, package: ServerPackage) -> str:
        """Give a role whose servers have the deployment's certificate."""
        roles = (
            role
            for rule in self.rules.certificates
            if rule.needed_by and set(rule.usages) & set(package.usages)
            for role in rule.needed_by
        )
        return next(roles, package.role)

    def _steps(
        self, server: str, own: ServerPackage, packages: list[ServerPackage]
    ) -> Iterator[ServerStep]:
        common = {
            **self.common,
            "server": server,
            "pool": own.pool,
            "packages": tuple(package.file for package in packages),
            "note_path": self.path(f"before-{server}.csv"),
        }
        issuers = {"issuer": _issuers(packages), "internal-issuer": self.inside}
        for step in self.procedure.steps:
            if step.scope == "request":
                continue
            if step.scope == "server":
                if step.applies(own.role, own.usages):
                    yield self.filled(step, common)
            elif step.scope in issuers:
                if step.applies(own.role, own.usages):
                    for issuer in issuers[step.scope]:
                        if step.scope == "internal-issuer" and issuer in issuers["issuer"]:
                            continue  # its own chain has it already
                        yield self.filled(step, common | self._of_issuer(issuer))
            else:
                for package in packages:
                    yield from self._of_package(step, package, common)

    def _of_package(
        self, step: Step, package: ServerPackage, common: Values
    ) -> Iterator[ServerStep]:
        values = {**common, **self._values_of(package)}
        if step.scope == "certificate":
            if step.applies(package.role, package.usages):
                yield self.filled(step, values, package=package.file)
        elif step.scope == "usage":
            for usage in package.usages:
                if step.applies(package.role, (usage,)):
                    yield self.filled(
                        step, values | {"type": usage}, package=package.file, about=usage
                    )
        else:
            for call in package.calls:
                if step.applies(package.role, call.usages) and step.call in ("", call.kind):
                    yield self.filled(
                        step,
                        values | self._of_call(call, package),
                        package=package.file,
                        about=", ".join(call.usages),
                    )

    def _values_of(self, package: ServerPackage) -> dict[str, str | int | tuple[str, ...]]:
        return {
            "package": package.file,
            "package_path": self.path(package.file),
            "thumbprint": package.thumbprint,
            "certificate_path": f"Cert:\\LocalMachine\\My\\{package.thumbprint}",
            "friendly_name": package.friendly_name,
            "name": package.name,
            "types": package.usages,
            "count": len(package.usages),
        }

    def _of_call(
        self, call: Call, package: ServerPackage
    ) -> dict[str, str | int | tuple[str, ...]]:
        end = package.in_use_until
        return {
            "types": call.usages,
            "count": len(call.usages),
            "lead_hours": call.roll.lead_hours if call.roll else 0,
            "effective": call.effective_text,
            "effective_words": call.effective_words,
            "old_end": f"{end:%Y-%m-%d %H:%M} UTC" if end else "its NotAfter says when",
        }

    def _of_issuer(self, issuer: Certificate) -> dict[str, str | int | tuple[str, ...]]:
        store = store_of(issuer)
        return {
            "subject": name_text(issuer.subject),
            "store": store,
            "chain_path": self.path("chain", f"{issuer.thumbprint}.cer"),
            "issuer_path": f"Cert:\\LocalMachine\\{store}\\{issuer.thumbprint}",
        }

    def filled(
        self, step: Step, values: Values, *, package: str = "", about: str = ""
    ) -> ServerStep:
        """Fill in one step."""
        return ServerStep(
            step=step,
            title=fill(step.title, values),
            text=fill(step.text, values),
            wizard=fill(step.wizard, values),
            commands=filled_command(step, values),
            only_if=self._checks(step.only_if, values),
            needs=self._checks(step.needs, values),
            holds=self._checks(step.holds, values),
            package=package,
            about=about or package or str(values.get("subject", "")),
        )

    def _checks(self, names: tuple[str, ...], values: Values) -> tuple[FilledCheck, ...]:
        found = [self.by_id[name] for name in names]
        return tuple(
            FilledCheck(
                id=check.id,
                text=fill(check.text, values),
                command=fill(check.command, values, as_command=True),
                shows=fill(check.shows, values, as_command=True),
            )
            for check in found
        )
