"""Fill in the texts and commands of a deployment procedure with the values of a server.

The functions have no side effects. Values from a planner or a CA enter a command only as PowerShell
literals.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..base.planned_entry import PlannedEntry
from ..pki.certificates import Certificate, format_name
from ..plan.certificate_names import BACKUP_POOL
from ..plan.connections import find_port
from ..plan.model import PlannedCertificate
from ..rules.model import Rules
from ..rules.procedure import BEFORE, CALLS, PLACEHOLDER, Place, Procedure, Step
from ..topology.model import Pool
from .powershell import quote_literal
from .roll_over_times import describe_outage
from .server_steps import Call, FilledCheck, FilledPlace, ServerPackage, ServerStep, ServerSteps
from .trusted_cas import TrustOfPackages, list_issuers

#: The expected result of a step for which no other result is specified.
_NO_ERROR = "The commands finish without errors."

#: The file-name suffix of the page and the script that complete a request on the computer with its
#: key.
FINISH = "-finish"


def format_requested_name(
    entry: PlannedCertificate | PlannedEntry, common_name: str, generation: int
) -> str:
    """Return the friendly name of a certificate that the administrative tools request.

    Friendly names in a Windows store must be unique. One computer may request the certificates of a
    whole deployment, in which two Edge pools can have the same common name, and a server can have
    two roles. Therefore, the name contains the server or pool, the role and usages, and the
    generation of a renewed request.

    Source: Microsoft, Certificate requirements for internal servers in Lync Server 2013.
    """
    is_per_server = entry.shared_by == "server" and entry.servers
    whose = min(entry.servers) if is_per_server else entry.pool or common_name
    name = " ".join(filter(None, (whose, entry.role, "+".join(entry.usages))))
    return f"{name} {generation}" if generation > 1 else name


def get_ca_store(issuer: Certificate) -> str:
    """Return the Windows store for a CA certificate. Only self-signed ones are stored in Root."""
    return "Root" if issuer.is_self_issued else "CA"


Values = Mapping[str, str | int | tuple[str, ...]]


def _build_read_command(setting: FilledPlace) -> str:
    """Return the command that shows which certificate a setting of a server refers to."""
    if not setting.read:
        return f"# in the settings of {setting.name}"
    return (
        f"foreach ($Key in @({setting.each})) {{ $Key; {setting.read} }}"
        if setting.each
        else setting.read
    )


def _build_set_command(setting: FilledPlace) -> str:
    """Return the command that assigns a certificate to one or more settings of a server."""
    command = setting.set.replace("$Value", quote_literal(setting.new))
    return f"foreach ($Key in @({setting.each})) {{ {command} }}" if setting.each else command


def fill_commands(step: Step, values: Values) -> tuple[str, ...]:
    """Fill in the commands of a step. Options whose value is blank are left out."""
    lines = [fill_placeholders(command, values, as_command=True) for command in step.commands]
    for option in step.options:
        if all(values[name] for name in PLACEHOLDER.findall(option)):
            lines[-1] += " " + fill_placeholders(option, values, as_command=True)
    return tuple(lines)


def fill_placeholders(text: str, values: Values, *, as_command: bool = False) -> str:
    """Replace placeholders with values: as text, or as PowerShell literals in a command."""

    def get_value(match: re.Match[str]) -> str:
        value = values[match[1]]
        if isinstance(value, bool):
            return ("$true" if value else "$false") if as_command else ("yes" if value else "no")
        if isinstance(value, int):
            return str(value)
        many = value if isinstance(value, tuple) else (value,)
        return ",".join(map(quote_literal, many)) if as_command else ", ".join(many)

    return PLACEHOLDER.sub(get_value, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the plan knows about the servers: their cases, their pools, and the trusted CAs.

    ``hosts`` contains the role and pool of servers. ``cases`` contains the case of each server.
    ``pools`` contains the servers of each pool in order. ``trusted_ca_hashes`` is None if no CA is
    trusted yet. ``oauth_server`` is the server that assigns the certificate of the deployment, and
    ``registrar`` is a pool of the deployment that registers users. ``planned_pools`` contains the
    pools of the plan by name and role, and ``changing`` the pools that get certificates.
    """

    hosts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cases: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trusted_ca_hashes: Collection[str] | None = None
    oauth_server: str = ""
    registrar: str = ""
    planned_pools: Mapping[tuple[str, str], Pool] = field(default_factory=dict)
    changing: frozenset[str] = frozenset()

    def find_backup_pool(self, pool: str, role: str) -> str:
        """Return the pool with which a pool is paired, or ""."""
        planned = self.planned_pools.get((pool, role))
        return str(next(iter(planned.list_names(BACKUP_POOL)), "")) if planned else ""

    def is_second_of_pair(self, pool: str, backup: str) -> bool:
        """Return whether the paired pool changes first. The one with the OAuth server is first."""
        first = self.hosts.get(self.oauth_server, ("", ""))[1]
        return (
            bool(backup)
            and backup in self.changing
            and first != pool
            and (first == backup or backup < pool)
        )

    def list_members(self, server: str, pool: str) -> tuple[str, ...]:
        """Return the servers of a pool. Those that are in use come first."""
        members = self.pools.get(pool, (server,))
        return tuple(sorted(members, key=lambda name: self.cases.get(name) != "renew"))

    def list_facts(self, server: str, pool: str) -> frozenset[str]:
        """Return the facts that the plan decides about a server, of ``FACTS``."""
        members = self.list_members(server, pool)
        facts = {"several" if len(members) > 1 else "alone"}
        facts |= {"three"} if len(members) > 2 else set()
        facts.add("first" if server == members[0] else "not-first")
        return frozenset(facts)

    def is_new_ca(self, server: str, issuer: Certificate) -> bool:
        """Return whether a server does not trust a CA yet. A new server trusts none."""
        if self.cases.get(server) != "renew" or self.trusted_ca_hashes is None:
            return True
        return issuer.sha256 not in self.trusted_ca_hashes


class Filler:
    """The values for the steps of one product. Values that servers share are computed once."""

    def __init__(
        self,
        rules: Rules,
        procedure: Procedure,
        provider: str,
        trusted: TrustOfPackages,
        situation: Situation,
    ):
        self.situation = situation
        self.rules = rules
        self.procedure = procedure
        self.trusted = trusted
        self.by_id = {check.id: check for check in procedure.checks}
        self.tasks = {task.id: task for task in procedure.tasks}
        self.common: dict[str, str | int | tuple[str, ...]] = {
            "product": rules.title,
            "folder": procedure.folder,
            "chain_folder": self.build_path("chain"),
            "provider": provider,
        }

    def build_path(self, *names: str) -> str:
        """Return the full path that a file has on a server."""
        return "\\".join((self.procedure.folder, *names))

    def build_server_steps(
        self, server: str, packages: list[ServerPackage], entries_to_request: list[PlannedEntry]
    ) -> ServerSteps:
        """Return every step for one server, including the steps that request certificates."""
        case = self.situation.cases[server]
        if case != "renew":
            packages = [package.without_old() for package in packages]
        of_server: list[ServerPackage | PlannedEntry] = [*packages, *entries_to_request]
        own_item = next(
            (item for item in of_server if item.shared_by != "deployment"),
            None,
        )
        role_here, pool = (
            (own_item.role, own_item.pool)
            if own_item
            else self._find_role_and_pool(server, of_server[0])
        )
        role = self.rules.roles.get(role_here)
        steps = [
            step for entry in entries_to_request for step in self._build_setup_steps(server, entry)
        ]
        settings = self._list_certificate_settings(server, packages)
        facts = self._list_facts(server, role_here, pool, packages)
        if packages:
            first = next(
                (package for package in packages if package.shared_by != "deployment"), packages[0]
            )
            own_package = replace(first, role=role_here, pool=pool)
            steps += self._build_steps(server, own_package, packages)
        return ServerSteps(
            server=server,
            role=role_here,
            title=role.title if role else role_here,
            pool=pool,
            case=case,
            shell=self.procedure.find_shell(role_here),
            packages=tuple(packages),
            steps=tuple(
                step
                for step in steps
                if step.step.stage not in ("after", "back") and step.step.is_in_case(case)
            ),
            later=tuple(step for step in steps if step.step.stage == "after"),
            back=tuple(s for s in steps if s.step.stage == "back" or s.step.way_back),
            places=tuple(self._fill_setting(*pair) for pair in settings),
            folder=self.procedure.folder,
            facts=facts,
            backup_pool=self.situation.find_backup_pool(pool, role_here),
            issuers=tuple(issuer for issuer, _ in self.trusted.list_cas_of_server(server)),
        )

    def build_trust_steps(self, server: str, issuers: Collection[str]) -> ServerSteps:
        """Return the trust steps for a server that needs new CAs but gets no certificate."""
        role_here, pool = self.situation.hosts[server]
        role = self.rules.roles.get(role_here)
        common = self._build_common_values(server, pool, [])
        news = [
            pair for pair in self.trusted.list_cas_of_server(server) if pair[0].sha256 in issuers
        ]
        steps = tuple(
            self.fill_step(step, common | self._build_issuer_values(issuer, reasons))
            for step in self.procedure.steps
            if step.stage == "trust" and step.scope == "issuer" and step.applies(role_here, ())
            for issuer, reasons in news
        )
        return ServerSteps(
            server=server,
            role=role_here,
            title=role.title if role else role_here,
            pool=pool,
            case="renew",
            shell=self.procedure.find_shell(role_here),
            packages=(),
            steps=steps,
            later=(),
            back=(),
            folder=self.procedure.folder,
            issuers=tuple(
                issuer
                for issuer, _ in self.trusted.list_cas_of_server(server)
                if issuer.sha256 in issuers
            ),
            trust_only=True,
        )

    def _build_setup_steps(self, server: str, entry: PlannedEntry) -> Iterator[ServerStep]:
        """Yield the steps for requesting a certificate on the server that needs it."""
        key = entry.key
        values: Values = {
            **self.common,
            "server": server,
            "servers": entry.servers,
            "pool": entry.pool,
            "types": entry.usages,
            "friendly_name": format_requested_name(entry, entry.common_name, 1),
            "name": entry.common_name,
            "san": entry.san or ("none",),
            "hash": entry.hash,
            "issuer": entry.issuer,
            "key_bits": key.bits if key else 0,
            "key_algorithm": key.algorithm if key else "",
            "request": entry.id,
        }
        for step in self.procedure.steps:
            if step.stage == "set-up" and step.applies(entry.role, entry.usages):
                yield self.fill_step(step, values, topic=", ".join(entry.usages))

    def build_key_holder_steps(self, package: ServerPackage) -> ServerSteps:
        """Return the steps on the computer that has a key, before its package is created."""
        role = self.rules.roles.get(package.role)
        values = {
            **self.common,
            "server": package.key_holder,
            "pool": package.pool,
            "packages": (package.file,),
            "record_path": "",
            **self._build_package_values(package),
        }
        steps: list[ServerStep] = []
        for step in self.procedure.steps:
            if step.stage != "finish":
                continue
            if step.scope == "issuer":
                steps += [
                    self.fill_step(
                        step,
                        values | self._build_issuer_values(issuer, ("the chain in the package",)),
                    )
                    for issuer in list_issuers([package])
                ]
            else:
                steps.append(self.fill_step(step, values, topic=package.name))
        return ServerSteps(
            server=package.id,
            role=package.role,
            title=role.title if role else package.role,
            pool=package.pool,
            case="request",
            shell=self.procedure.find_shell(package.role) or self.procedure.shells[0],
            packages=(package,),
            steps=tuple(steps),
            later=(),
            back=(),
            folder=self.procedure.folder,
            anywhere=True,
            # Without this suffix, the script has the same name as the script that created the
            # request.
            suffix=FINISH,
        )

    def _find_role_and_pool(
        self, server: str, package: ServerPackage | PlannedEntry
    ) -> tuple[str, str]:
        """Return the role and pool of a server that has only the deployment's certificate."""
        return self.situation.hosts.get(server, (self._find_host_role(package), server))

    def _find_host_role(self, package: ServerPackage | PlannedEntry) -> str:
        """Return a role whose servers have the certificate of the whole deployment."""
        roles = (
            role
            for rule in self.rules.certificates
            if rule.needed_by and set(rule.usages) & set(package.usages)
            for role in rule.needed_by
        )
        return next(roles, package.role)

    def _build_common_values(
        self, server: str, pool: str, packages: list[ServerPackage]
    ) -> dict[str, str | int | tuple[str, ...]]:
        change = "-".join((server, *sorted(p.thumbprint[:8] for p in packages)))
        role = next((p.role for p in packages if p.pool == pool), "")
        usages = {usage for package in packages for usage in package.usages}
        return {
            **self.common,
            "server": server,
            "pool": pool,
            "packages": tuple(package.file for package in packages),
            "oauth_server": self.situation.oauth_server,
            "registrar": self.situation.registrar,
            "ports": self._list_ports(pool, role, usages, "inside"),
            "outside_ports": self._list_ports(pool, role, usages, "outside"),
            "backup_pool": self.situation.find_backup_pool(pool, role),
            "first_server": self.situation.list_members(server, pool)[0],
            "record_path": self.build_path(f"before-{change}.csv"),
        }

    def _build_steps(
        self, server: str, own_package: ServerPackage, packages: list[ServerPackage]
    ) -> Iterator[ServerStep]:
        common = self._build_common_values(server, own_package.pool, packages)
        settings = self._list_certificate_settings(server, packages)
        facts = self._list_facts(server, own_package.role, own_package.pool, packages)
        issuers = [
            pair
            for pair in self.trusted.list_cas_of_server(server)
            if self.situation.is_new_ca(server, pair[0])
        ]
        for step in self.procedure.steps:
            # The way back has the step that stops the services in every case.
            is_in_case = step.way_back or step.is_in_case(self.situation.cases[server])
            if step.stage in BEFORE or not is_in_case:
                continue
            is_of_server = step.scope in ("server", "issuer", "place")
            if is_of_server and not facts.issuperset(step.when):
                continue
            if step.scope == "server":
                if step.applies(own_package.role, own_package.usages):
                    yield from self._fill_server_step(step, common, settings)
            elif step.scope == "issuer":
                if step.applies(own_package.role, own_package.usages):
                    for issuer, reasons in issuers:
                        yield self.fill_step(
                            step, common | self._build_issuer_values(issuer, reasons)
                        )
            elif step.scope == "place":
                for setting, values in settings:
                    if setting.id in step.places:
                        yield self._fill_setting_step(step, setting, values)
            else:
                for package in packages:
                    old = {"old-known" if package.old else "old-unknown"}
                    old |= set() if package.rolls else {"at-once"}
                    if (facts | old).issuperset(step.when):
                        yield from self._fill_package_step(step, package, common)

    def _list_facts(
        self, server: str, role: str, pool: str, packages: Iterable[ServerPackage]
    ) -> frozenset[str]:
        situation = self.situation
        is_needed = any(role in rule.needed_by for rule in self.rules.certificates)
        is_elsewhere = situation.oauth_server not in ("", server)
        waits = is_needed and is_elsewhere and situation.cases.get(situation.oauth_server) == "new"
        facts = {"oauth-first" if waits else "oauth-here"}
        cas = self.trusted.list_cas_of_server(server)
        facts.add("new-ca" if any(situation.is_new_ca(server, c) for c, _ in cas) else "known-ca")
        if any(package.renamed for package in packages):
            facts.add("renamed")
        if situation.is_second_of_pair(pool, situation.find_backup_pool(pool, role)):
            facts.add("pair-second")
        return situation.list_facts(server, pool) | self.procedure.list_facts(role) | facts

    def _fill_server_step(
        self, step: Step, common: Values, settings: Sequence[tuple[Place, Values]]
    ) -> Iterator[ServerStep]:
        """Yield a step of a server. The step that records the settings needs at least one."""
        if step.does != "record":
            yield self.fill_step(step, common)
        elif settings:
            known = [pair for pair in settings if not pair[0].option]
            reads = tuple(_build_read_command(self._fill_setting(*pair)) for pair in known)
            filled = self.fill_step(step, common)
            yield replace(filled, commands=filled.commands or reads)

    def _list_certificate_settings(
        self, server: str, packages: list[ServerPackage]
    ) -> list[tuple[Place, Values]]:
        """Return the settings that refer to the certificates of a server, with their values."""
        settings: list[tuple[Place, Values]] = []
        for package in packages:
            common = self._build_common_values(server, package.pool, packages)
            values = {**common, **self._build_package_values(package), "type": ""}
            for setting in self.procedure.places:
                if setting.scope == "certificate" and setting.applies(package.role, package.usages):
                    settings.append(
                        (setting, values | {"place": fill_placeholders(setting.title, values)})
                    )
                for usage in package.usages if setting.scope == "usage" else ():
                    if setting.applies(package.role, (usage,)):
                        usage_values = values | {"type": usage}
                        (call,) = (c for c in package.calls if usage in c.usages)
                        usage_values |= {
                            "effective": call.effective_time_text,
                            "effective_words": call.effective_words,
                        }
                        settings.append(
                            (
                                setting,
                                usage_values
                                | {"place": fill_placeholders(setting.title, usage_values)},
                            )
                        )
        return settings

    def _fill_setting(self, setting: Place, values: Values) -> FilledPlace:
        def fill_command(text: str) -> str:
            return fill_placeholders(text, values, as_command=True)

        return FilledPlace(
            name=str(values["place"]),
            new=fill_placeholders(setting.new, values),
            old=str(values["old"]) if setting.new == "{thumbprint}" else "",
            each=fill_command(setting.each),
            read=fill_command(setting.read),
            set=fill_command(setting.set),
            roll=fill_command(setting.roll),
            effective=str(values.get("effective", "")) if setting.roll else "",
            clear=fill_command(setting.clear),
            staged=fill_command(setting.staged),
            restart=setting.restart,
            for_deployment=setting.for_deployment,
            setting=setting.setting,
        )

    def _fill_setting_step(self, step: Step, setting: Place, values: Values) -> ServerStep:
        """Return a step for one setting of a server, with the commands that a person runs."""
        filled_setting = self._fill_setting(setting, values)
        values = {**values, "new": filled_setting.new}
        filled = self.fill_step(
            step, values, package=str(values["package"]), topic=filled_setting.name
        )
        # Which product a server has is not known yet, so paper does not list all of them.
        if setting.option:
            return replace(filled, place=filled_setting.name)
        if step.does == "set":
            return replace(
                filled, commands=(_build_set_command(filled_setting),), place=filled_setting.name
            )
        # Without a time, an assignment would break valid tokens: only the script goes back.
        is_unsafe = filled_setting.roll and not values["effective_words"]
        if step.does != "restore" or not filled_setting.old or is_unsafe:
            return replace(filled, place=filled_setting.name)
        command = _build_set_command(replace(filled_setting, new=filled_setting.old))
        return replace(filled, commands=(command,), place=filled_setting.name)

    def _fill_package_step(
        self, step: Step, package: ServerPackage, common_values: Values
    ) -> Iterator[ServerStep]:
        values = {**common_values, **self._build_package_values(package)}
        if step.key_elsewhere and not package.key_holder:
            return
        if step.key_algorithm not in ("", package.key_algorithm):
            return
        if step.scope == "certificate":
            if step.applies(package.role, package.usages):
                yield self.fill_step(step, values, package=package.file)
        elif step.scope == "usage":
            for usage in package.usages:
                if step.applies(package.role, (usage,)):
                    yield self.fill_step(
                        step, values | {"type": usage}, package=package.file, topic=usage
                    )
        else:
            is_in_use = self.situation.cases.get(str(values["server"])) == "renew"
            for planned_call in package.calls:
                # Without a certificate in use, nothing can roll over.
                call = planned_call if is_in_use else replace(planned_call, effective=None)
                if step.applies(package.role, call.usages) and step.call in ("", call.kind):
                    yield self.fill_step(
                        step,
                        values | self._build_call_values(call, package),
                        package=package.file,
                        topic=", ".join(call.usages),
                        assigned_usages=call.usages if step.does in CALLS else (),
                    )

    def _build_package_values(
        self, package: ServerPackage
    ) -> dict[str, str | int | tuple[str, ...]]:
        return {
            "package": package.file,
            "package_path": self.build_path(package.file),
            "thumbprint": package.thumbprint,
            "certificate_path": f"Cert:\\LocalMachine\\My\\{package.thumbprint}",
            "friendly_name": package.friendly_name,
            "name": package.name,
            "types": package.usages,
            "count": len(package.usages),
            "servers": package.servers,
            "san": package.san or (package.name,),
            "superseded": package.superseded or package.old,
            "old": package.old,
            "old_end": package.old_end,
            "old_path": f"Cert:\\LocalMachine\\My\\{package.old}",
            "root_path": self.build_path(
                "chain", *(f"{root.thumbprint}.cer" for root in package.path[-1:])
            ),
            "ports": self._list_ports(package.pool, package.role, package.usages),
            "key_holder": package.key_holder,
            "answer": f"returned/{package.id}.cer",
            "answer_path": self.build_path(f"{package.id}.cer"),
            "answer_file": f"{package.id}.cer",
        }

    def _list_ports(
        self, pool: str, role: str, usages: Collection[str], zone: str = ""
    ) -> tuple[str, ...]:
        """Return the ports on which a pool always presents a certificate with these usages.

        The rules are those of ``lyncnb probe``. A port with a condition is left out.
        """
        planned = self.situation.planned_pools.get((pool, role))
        flags = planned.flags if planned else frozenset()
        ports = {
            find_port(rule, planned, self.rules) if planned else rule.port
            for rule in self.rules.ports
            if role in rule.roles and (rule.usage in usages or not rule.usage)
            if not rule.when and not rule.also and (not zone or rule.zone == zone)
            if flags.issuperset(rule.if_all)
        }
        return tuple(map(str, sorted(ports)))

    def _build_call_values(
        self, call: Call, package: ServerPackage
    ) -> dict[str, str | int | tuple[str, ...]]:
        return {
            "types": call.usages,
            "count": len(call.usages),
            "lead_hours": call.roll.lead_hours if call.roll else 0,
            "effective": call.effective_time_text,
            "effective_words": call.effective_words,
            "outage": describe_outage(package, call),
        }

    def _build_issuer_values(
        self, issuer: Certificate, reasons: tuple[str, ...]
    ) -> dict[str, str | int | tuple[str, ...]]:
        store = get_ca_store(issuer)
        return {
            "subject": format_name(issuer.subject),
            "issuer_thumbprint": issuer.thumbprint,
            "issuer_sha256": issuer.sha256,
            "store": store,
            "chain_path": self.build_path("chain", f"{issuer.thumbprint}.cer"),
            "issuer_path": f"Cert:\\LocalMachine\\{store}\\{issuer.thumbprint}",
            "needed_for": "; ".join(reasons),
        }

    def fill_step(
        self,
        step: Step,
        values: Values,
        *,
        package: str = "",
        topic: str = "",
        assigned_usages: tuple[str, ...] = (),
    ) -> ServerStep:
        """Fill in the texts, commands and checks of one step."""
        task = self.tasks.get(step.task)
        holds = self._fill_checks(step.holds, values)
        seen = f"{holds[0].text[:1].upper()}{holds[0].text[1:]}." if holds else _NO_ERROR
        return ServerStep(
            step=step,
            task=fill_placeholders(task.title, values) if task else "",
            expected=fill_placeholders(task.expected if task else step.expected, values) or seen,
            caution=fill_placeholders(step.caution, values).strip(),
            values=values,
            title=fill_placeholders(step.title, values),
            text=fill_placeholders(step.text, values),
            wizard=fill_placeholders(step.wizard, values),
            commands=fill_commands(step, values),
            only_if=self._fill_checks(step.only_if, values),
            needs=self._fill_checks(step.needs, values),
            holds=holds,
            waits=self._fill_checks(step.waits, values),
            confirms=self._fill_checks(step.confirms, values),
            assigns=tuple(
                ";".join((usage, str(values["thumbprint"]), str(values["effective"]))).rstrip(";")
                for usage in assigned_usages
            ),
            package=package,
            about=topic or package or str(values.get("subject", "")),
        )

    def _fill_checks(self, names: tuple[str, ...], values: Values) -> tuple[FilledCheck, ...]:
        checks = [self.by_id[name] for name in names]
        return tuple(
            FilledCheck(
                id=check.id,
                text=fill_placeholders(check.text, values),
                command=fill_placeholders(check.command, values, as_command=True),
                shows=fill_placeholders(check.shows, values, as_command=True),
                when=fill_placeholders(check.when, values, as_command=True),
                passing=check.passing,
                script_only=check.script_only,
                after=fill_placeholders(self.by_id[check.after].text, values)
                if check.after
                else "",
            )
            for check in checks
        )
