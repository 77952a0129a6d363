"""Fill in the texts and commands of a deployment procedure with the values of a server.

The functions have no side effects. Values from a planner or a CA enter a command only as PowerShell
literals.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from ..base.planned_entry import PlannedEntry, list_importing_servers
from ..pki.certificates import Certificate, format_name
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


def _build_restore_commands(setting: FilledPlace, record_path: str) -> tuple[str, str]:
    """Return the commands that restore a setting from the record of the script.

    If the record has no previous value, the commands change nothing. As in the script, a usage that
    can roll over rolls back, unless the new certificate only waits for its date.
    """
    change = setting.set
    if setting.roll:
        change = (
            f"if ({setting.read} | Where-Object {{ $_ -ne {quote_literal(setting.new)} }}) "
            f"{{ {setting.set} }} else {{ $Date = (Get-Date).AddMinutes(10); {setting.roll} }}"
        )
    name = quote_literal(setting.name)
    own_name = f"({name} + ' ' + $Key).Trim()" if setting.each else name
    change = f"$Value = $Was[{own_name}]; if ($Value -match '^\\w') {{ {change} }}"
    read = f"$Was = @{{}}; Import-Csv -Path {quote_literal(record_path)}"
    return (
        f"{read} | ForEach-Object {{ $Was[$_.Place] = $_.Value }}",
        f"foreach ($Key in @({setting.each})) {{ {change} }}" if setting.each else change,
    )


def fill_commands(step: Step, values: Values) -> tuple[str, ...]:
    """Fill in the commands of a step. Commands and options whose value is blank are left out."""
    lines = [
        fill_placeholders(command, values, as_command=True)
        for command in step.commands
        if all(values[name] != "" for name in PLACEHOLDER.findall(command))
    ]
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


class Filler:
    """The values for the steps of one product. Values that servers share are computed once."""

    def __init__(
        self,
        rules: Rules,
        procedure: Procedure,
        provider: str,
        trusted: TrustOfPackages,
        hosts: Mapping[str, tuple[str, str]],
        packages: Iterable[ServerPackage] = (),
        pools: Iterable[Pool] = (),
    ):
        self.hosts = hosts
        self.pools = {(str(pool.fqdn), pool.role): pool for pool in pools}
        # The server that assigns the certificate of the deployment, for each server that needs it.
        self.first_servers = {
            server: list_importing_servers(package.servers, package.shared_by)[0]
            for package in packages
            if package.shared_by == "deployment"
            for server in package.servers
        }
        self.rules = rules
        self.procedure = procedure
        self.trusted = trusted
        self.by_id = {check.id: check for check in procedure.checks}
        self.tasks = {task.id: task for task in procedure.tasks}
        self.common: dict[str, str | int | tuple[str, ...]] = {
            "product": rules.title,
            "folder": procedure.folder,
            "provider": provider,
        }

    def build_path(self, *names: str) -> str:
        """Return the full path that a file has on a server."""
        return "\\".join((self.procedure.folder, *names))

    def build_server_steps(
        self, server: str, packages: list[ServerPackage], entries_to_request: list[PlannedEntry]
    ) -> ServerSteps:
        """Return every step for one server, including the steps that request certificates."""
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
            shell=self.procedure.find_shell(role_here),
            packages=tuple(packages),
            steps=tuple(step for step in steps if step.step.phase in ("set-up", "day", "both")),
            later=tuple(step for step in steps if step.step.phase == "later"),
            back=tuple(step for step in steps if step.step.phase in ("back", "both")),
            places=tuple(self._fill_setting(*pair) for pair in settings),
            folder=self.procedure.folder,
            issuers=tuple(issuer for issuer, _ in self.trusted.list_cas_of_server(server)),
        )

    def build_trust_steps(self, server: str, issuers: Collection[str]) -> ServerSteps:
        """Return the trust steps for a server that needs new CAs but gets no certificate."""
        role_here, pool = self.hosts[server]
        role = self.rules.roles.get(role_here)
        common = self._build_common_values(server, pool, [])
        news = [
            pair for pair in self.trusted.list_cas_of_server(server) if pair[0].sha256 in issuers
        ]
        steps = tuple(
            self.fill_step(step, common | self._build_issuer_values(issuer, reasons))
            for step in self.procedure.steps
            if step.trust and step.scope == "issuer" and step.applies(role_here, ())
            for issuer, reasons in news
        )
        return ServerSteps(
            server=server,
            role=role_here,
            title=role.title if role else role_here,
            pool=pool,
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
            if step.phase == "set-up" and step.applies(entry.role, entry.usages):
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
            if step.phase != "finish":
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
        return self.hosts.get(server, (self._find_host_role(package), server))

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
        return {
            **self.common,
            "server": server,
            "pool": pool,
            "first": self.first_servers.get(server, ""),
            "packages": tuple(package.file for package in packages),
            "record_path": self.build_path(f"before-{change}.csv"),
        }

    def _build_steps(
        self, server: str, own_package: ServerPackage, packages: list[ServerPackage]
    ) -> Iterator[ServerStep]:
        common = self._build_common_values(server, own_package.pool, packages)
        settings = self._list_certificate_settings(server, packages)
        for step in self.procedure.steps:
            if step.phase in BEFORE:
                continue
            if step.scope == "server":
                if step.does == "record":
                    reads = tuple(
                        _build_read_command(self._fill_setting(*pair)) for pair in settings
                    )
                    if reads:
                        yield replace(self.fill_step(step, common), commands=reads)
                elif step.applies(own_package.role, own_package.usages) and step.is_for(
                    server, str(common["first"])
                ):
                    yield self.fill_step(step, common)
            elif step.scope == "issuer":
                if step.applies(own_package.role, own_package.usages):
                    for issuer, reasons in self.trusted.list_cas_of_server(server):
                        yield self.fill_step(
                            step, common | self._build_issuer_values(issuer, reasons)
                        )
            elif step.scope == "place":
                for setting, values in settings:
                    if setting.id in step.places:
                        yield self._fill_setting_step(step, setting, values)
            else:
                for package in packages:
                    yield from self._fill_package_step(step, package, common)

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
            outside=fill_placeholders(setting.outside, values),
            each=fill_command(setting.each),
            read=fill_command(setting.read),
            set=fill_command(setting.set),
            roll=fill_command(setting.roll),
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
        filled = replace(
            filled,
            text=(
                f"{filled.text} To perform this check from another computer: "
                f"{filled_setting.outside}"
            ),
        )
        if step.does == "set":
            return replace(
                filled, commands=(_build_set_command(filled_setting),), place=filled_setting.name
            )
        if filled_setting.set:
            restore = _build_restore_commands(filled_setting, str(values["record_path"]))
            filled = replace(filled, commands=restore)
        return replace(filled, place=filled_setting.name)

    def _fill_package_step(
        self, step: Step, package: ServerPackage, common_values: Values
    ) -> Iterator[ServerStep]:
        values = {**common_values, **self._build_package_values(package)}
        if step.key_elsewhere and not package.key_holder:
            return
        if step.key_algorithm not in ("", package.key_algorithm):
            return
        if "{ports}" in step.title and not values["ports"]:
            return
        if step.scope == "certificate":
            first = min(package.servers, default="")
            values["first"] = first
            is_here = step.is_for(str(values["server"]), first)
            if is_here and step.applies(package.role, package.usages):
                yield self.fill_step(step, values, package=package.file)
        elif step.scope == "usage":
            for usage in package.usages:
                if step.applies(package.role, (usage,)):
                    yield self.fill_step(
                        step, values | {"type": usage}, package=package.file, topic=usage
                    )
        else:
            for call in package.calls:
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
            "superseded_path": f"Cert:\\LocalMachine\\My\\{package.replaced_thumbprint}"
            if package.replaced_thumbprint
            else "",
            "superseded": package.superseded or ("the certificate that the first command shows"),
            "ports": self._list_ports(package),
            "key_holder": package.key_holder,
            "answer": f"returned/{package.id}.cer",
            "answer_path": self.build_path(f"{package.id}.cer"),
        }

    def _list_ports(self, package: ServerPackage) -> tuple[str, ...]:
        """Return the ports of its pool on which a server always presents a certificate."""
        pool = self.pools.get((package.pool, package.role))
        flags = pool.flags if pool else frozenset()
        ports = {
            find_port(rule, pool, self.rules) if pool else rule.port
            for rule in self.rules.ports
            if package.role in rule.roles and not rule.when and not rule.also
            if rule.usage in package.usages or not (rule.usage or package.usages)
            if flags.issuperset(rule.if_all)
        }
        return tuple(map(str, sorted(ports)))

    def _build_call_values(
        self, call: Call, package: ServerPackage
    ) -> dict[str, str | int | tuple[str, ...]]:
        end = package.in_use_until
        return {
            "types": call.usages,
            "count": len(call.usages),
            "lead_hours": call.roll.lead_hours if call.roll else 0,
            "effective": call.effective_time_text,
            "effective_words": call.effective_words,
            "old_end": f"{end:%Y-%m-%d %H:%M} UTC"
            if end
            else "the NotAfter time of the old certificate",
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
            assigns=tuple(f"{usage};{values['thumbprint']}" for usage in assigned_usages),
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
