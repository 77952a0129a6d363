"""The list of ports to probe, based on a plan and the rules for ports.

This module opens no connection.

lyncnb connects to a server at the server's own address. The rules for names determine the name that
is sent, and the plan determines the certificate that must be presented. lyncnb also connects to
names whose addresses can belong to a load balancer (``anchors``).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ..base.disk.files import read_specified_file
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName, shown
from ..errors import OptionsError, PlanError, Problem
from ..plan.connections import ConnectionNames, find_port, group_certificates_by_pool
from ..plan.model import CertificatePlan, PlannedCertificate
from ..rules.model import PORT_CHOICES, ZONES, PortRule
from ..topology.model import Pool

#: The zones in which you can run ``probe``.
FROM = tuple(zone for zone in ZONES if zone != "perimeter")
#: The optional checks of ``probe``: handshakes with TLS 1.0, handshakes without a server name, and
#: the ports of individual services.
TLS10, NO_SNI = "tls1.0", "no-sni"
ALSO = (TLS10, NO_SNI, *PORT_CHOICES)

_LARGEST = 1 << 22
_MOST_PORT = 65_535
_NO_NAME = "if some clients, such as certain phones, do not send a server name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A port to probe, with its host, the name to send, and the certificates to expect.

    ``host`` is the name whose addresses are probed: a server, or a name of the pool. ``server`` is
    the server, or "" for a name behind which any member can respond. ``name`` is the name that is
    sent and verified, or "" to send no name. ``planned`` contains the IDs of the certificates that
    the port may present. ``addresses`` contains the addresses in the hosts file, each with a port.
    Without them, the resolver finds the addresses. ``anchors`` and ``members`` are host names:
    another name is probed only at an address of one of these. With ``is_anchored``, the members are
    not probed at their own addresses. ``condition`` describes when the port is open. With a
    condition, a missing response is never a failure.
    """

    rule: str
    usage: str
    pool: str
    role: str
    host: str
    server: str
    port: int
    name: str
    planned: tuple[str, ...]
    members: tuple[str, ...]
    anchors: tuple[str, ...] = ()
    condition: str = ""
    is_tls10: bool = False
    is_anchor: bool = False
    is_anchored: bool = False
    addresses: tuple[tuple[str, int], ...] = ()

    @property
    def place(self) -> str:
        """The host and the port in the format ``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def is_balanced(self) -> bool:
        """Whether servers with different certificates can respond at the host."""
        return not self.server and len(self.planned) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """A planned certificate that no port in the zone presents. ``why`` contains the reason."""

    id: str
    owner: str
    usages: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The ports to probe, the certificates that no port presents, and names to resolve.

    ``lookups`` contains the names of a port to which no separate connection is made. Their
    addresses are compared with the addresses of the pool, and differences are listed.
    """

    ports: tuple[Target, ...]
    unseen: tuple[Unseen, ...]
    lookups: tuple[Target, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all hosts to probe, without duplicates."""
        return tuple(dict.fromkeys(target.host for target in self.ports))


def list_targets(
    plan: CertificatePlan,
    *,
    zone: str = "inside",
    extras: Iterable[str] = (),
    hosts: str | os.PathLike[str] | None = None,
) -> Targets:
    """Return the ports of a plan to which ``probe`` connects.

    Parameters
    ----------
    plan : CertificatePlan
        A plan with its table and the reasons for its names.
    zone : str, optional
        The zone of who asks: ``inside`` or ``outside``.
    extras : iterable of str, optional
        Of ``ALSO``: a handshake with TLS 1.0, one without a name, the ports of single services.
    hosts : path, optional
        A file with a line ``name port address`` for each port. Then only these ports are asked.

    Raises
    ------
    PlanError
        If the plan has no reasons for its names, as a plan on record.
    OptionsError
        If a choice is not known, or the hosts file has mistakes; the error lists all of them.
    """
    extra_options = (extras,) if isinstance(extras, str) else tuple(extras)
    _check_choices(zone, extra_options)
    _reject_plan_without_reasons(plan)
    every = [*_list_ports(plan)]
    if hosts is not None:
        ports = [*_find_targets_for_hosts(every, zone, read_hosts(hosts))]
        lookups: list[Target] = []
    else:
        zone_ports = [
            (rule, target)
            for rule, target in every
            if rule.zone == zone and (not rule.also or rule.also in extra_options)
        ]
        ports = [target for _, target in zone_ports if target.is_anchor or target.server]
        others = [
            (rule, target) for rule, target in zone_ports if not (target.is_anchor or target.server)
        ]
        ports += [target for rule, target in others if rule.by_name]
        # For a name without an anchor, such as an external name in the internal network, lyncnb
        # does not know the correct addresses. It looks up only the other names.
        lookups = [target for rule, target in others if rule.anchors and not rule.by_name]
    ports += [
        *_list_second_handshakes(
            ports, {rule.id for rule, _ in every if rule.by_name}, extra_options
        )
    ]
    probed_ids = {identity for target in ports for identity in target.planned}
    return Targets(
        ports=tuple(ports),
        unseen=tuple(_list_unseen_certificates(plan, probed_ids, every, zone, bool(hosts))),
        lookups=tuple(lookups),
    )


def _check_choices(zone: str, extras: Iterable[str]) -> None:
    if zone not in FROM:
        raise OptionsError(
            f"lyncnb cannot probe from the zone {shown(str(zone))}",
            hint=f"use {' or '.join(map(shown, FROM))}",
        )
    for choice in extras:
        if choice not in ALSO:
            raise OptionsError(
                f'{shown(str(choice))} is not a valid value for the option "also"',
                hint=f"use one or more of these values: {', '.join(ALSO)}",
            )


def _reject_plan_without_reasons(plan: CertificatePlan) -> None:
    entries = (entry for item in plan.certificates for entry in item.subject_alt_name)
    if not plan.topology.pools or any(not entry.reasons for entry in entries):
        raise PlanError(
            (
                "the plan does not record why it contains each name, so lyncnb cannot determine "
                "which name belongs to which port"
            ),
            hint="specify the table of servers or the request folder instead",
        )


def _list_ports(plan: CertificatePlan) -> Iterator[tuple[PortRule, Target]]:
    """Yield each port of each server, anchor, and additional name in all zones."""
    certificates, names_of = group_certificates_by_pool(plan), ConnectionNames(plan)
    pools: dict[str, list[Pool]] = {}
    for pool in plan.topology.pools:
        pools.setdefault(pool.role, []).append(pool)
    for rule in plan.rules.ports:
        for pool in (pool for role in rule.roles for pool in pools.get(role, ())):
            pool_certificates = [
                item
                for item in certificates.get((pool.fqdn, pool.role), ())
                if rule.usage in item.usages or not (rule.usage or item.usages)
            ]
            if pool_certificates and pool.flags.issuperset(rule.if_all):
                for target in _list_pool_ports(rule, pool, pool_certificates, names_of):
                    yield rule, target


def _list_pool_ports(
    rule: PortRule,
    pool: Pool,
    certificates: list[PlannedCertificate],
    connection_names: ConnectionNames,
) -> Iterator[Target]:
    # The names are in the order of the rule, so the order of the table's rows does not matter.
    names = [
        name
        for part in rule.names
        for name in connection_names.find_names(replace(rule, names=(part,)), pool, certificates)
        if not name.startswith("*.")
    ]
    names = [*dict.fromkeys(names)]
    anchors = (
        connection_names.find_names(replace(rule, names=rule.anchors), pool, certificates)
        if rule.anchors
        else ()
    )
    target = Target(
        rule=rule.id,
        usage=rule.usage,
        pool=pool.fqdn,
        role=pool.role,
        host="",
        server="",
        port=find_port(rule, pool, connection_names.plan.rules),
        name="",
        planned=(),
        members=tuple(str(computer.fqdn) for computer in pool.computers),
        anchors=tuple(anchors),
        condition=rule.when,
        is_anchored=rule.anchored,
    )
    if not names:
        return
    by_server: dict[str, list[PlannedCertificate]] = {}
    for item in certificates:
        for server_name in item.servers:
            by_server.setdefault(server_name, []).append(item)
    for server in () if rule.anchored else target.members:
        # A server with two roles may present the certificate of the other role on this port. The
        # ports of the other role are probed separately.
        if not (held_by := by_server.get(server)):
            continue
        yield replace(
            target,
            host=server,
            server=server,
            name=_find_own_name(rule, pool, server, held_by, connection_names) or names[0],
            planned=tuple(item.id for item in held_by),
        )
    planned = tuple(item.id for item in certificates)
    for name in dict.fromkeys((*anchors, *names)):
        # A single server with the same name as its pool was already probed.
        if name not in target.members or rule.anchored:
            is_anchor = name in anchors
            yield replace(target, host=name, name=name, planned=planned, is_anchor=is_anchor)


def _find_own_name(
    rule: PortRule,
    pool: Pool,
    server: str,
    certificates: Iterable[PlannedCertificate],
    connection_names: ConnectionNames,
) -> str:
    """Return the server's name if the rule lists it before the pool's name, otherwise ""."""
    first = connection_names.plan.rules.names[rule.names[0]]
    if first.parts[1] != "computer.fqdn":
        return ""
    return server if server in connection_names.find_names(rule, pool, certificates) else ""


def _list_second_handshakes(
    ports: list[Target], name_rule_ids: Collection[str], extras: Iterable[str]
) -> Iterator[Target]:
    """Yield handshakes with TLS 1.0, and handshakes without a name where the name matters."""
    if TLS10 in extras:
        for target in ports:
            yield replace(target, is_tls10=True, condition="if the server still accepts TLS 1.0")
    if NO_SNI in extras:
        for target in ports:
            if target.rule in name_rule_ids and (target.is_anchor or target.addresses):
                yield replace(target, name="", condition=_NO_NAME)


def _list_unseen_certificates(
    plan: CertificatePlan,
    targets: Collection[str],
    all_targets: Iterable[tuple[PortRule, Target]],
    zone: str,
    has_hosts: bool,
) -> Iterator[Unseen]:
    elsewhere: dict[str, str] = {}
    for rule, target in all_targets:
        for identity in target.planned:
            elsewhere.setdefault(identity, rule.zone)
    for item in plan.certificates:
        if item.id in targets:
            continue
        reason = "lyncnb has no rule that defines the port for this certificate."
        for absent in plan.rules.unseen:
            if item.role in absent.roles or (item.usages and {*item.usages} <= {*absent.usages}):
                reason = absent.why
        if item.id in elsewhere:
            other = elsewhere[item.id]
            reason = (
                f"Only a computer in the network zone {other} can see this certificate. On that "
                f"computer, run: lyncnb probe --from {other}"
            )
            if elsewhere[item.id] == zone or has_hosts:
                reason = (
                    "The list of ports to probe does not include a port that presents this "
                    "certificate."
                )
        yield Unseen(id=item.id, owner=item.owner, usages=item.usages, why=reason)


# --- The following functions read a hosts file. It has one line for each port, with the address to
# probe.


@dataclass(frozen=True, slots=True)
class Host:
    """A line in a hosts file: a name and a port in the plan, and the address to probe."""

    row: int
    name: str
    port: int
    address: str
    address_port: int


@dataclass(slots=True)
class _Lines:
    """The valid lines in a hosts file, and the problems with all other lines."""

    file: str
    hosts: list[Host] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def read_line(self, line_number: int, text: str) -> None:
        words = text.partition("#")[0].split()
        if not words:
            return
        if len(words) != 3:
            self._add_problem(
                line_number, "the line must contain a name, a port and an address", text
            )
            return
        port = _parse_port(words[1])
        address, own_port = _parse_address(words[2], port)
        if not port:
            self._add_problem(line_number, "the port is not a number from 1 to 65535", words[1])
        elif not (address and own_port):
            self._add_problem(line_number, "the address is not an IPv4 or IPv6 address", words[2])
        else:
            try:
                name = DnsName.parse(words[0], allow_wildcard=True, allow_single_label=True)
            except BadName:
                self._add_problem(line_number, "the name is not a host name", words[0])
            else:
                self.hosts.append(Host(line_number, name, port, address, own_port))

    def _add_problem(self, row: int, message: str, value: str) -> None:
        self.problems.append(Problem(message=f"{message}: {value[:80]!r}", file=self.file, row=row))


def read_hosts(path: str | os.PathLike[str]) -> tuple[Host, ...]:
    """Read a hosts file: lines such as ``fe01.contoso.com 5061 192.0.2.11``.

    The address can include a port (``127.0.0.1:45061``, ``[::1]:45061``). A number sign begins a
    comment.

    Raises
    ------
    OptionsError
        If the file cannot be read, or a line is not valid; the error lists all such lines.
    """
    lines = _Lines(os.path.basename(path))
    data = read_specified_file(path, limit=_LARGEST, error_class=OptionsError)
    for row, text in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
        lines.read_line(row, text)
    if lines.problems:
        _raise_host_problems(lines.file, lines.problems)
    return tuple(lines.hosts)


def _raise_host_problems(file: str, problems: Iterable[Problem]) -> None:
    raise OptionsError(
        f"{file} contains lines that lyncnb cannot use",
        problems=tuple(problems),
        hint=("enter each line as NAME PORT ADDRESS, such as fe01.contoso.com 5061 192.0.2.11"),
    )


def _parse_port(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return number if number <= _MOST_PORT else 0


def _parse_address(text: str, port: int) -> tuple[str, int]:
    """Return the IP address and port in a text. Without a port in the text, return `port`."""
    host, parsed_port = text, port
    if text.startswith("["):
        host, _, port_text = text[1:].partition("]")
        parsed_port = (
            _parse_port(port_text[1:]) if port_text.startswith(":") else 0 if port_text else port
        )
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
        parsed_port = _parse_port(port_text)
    try:
        return str(ipaddress.ip_address(host)), parsed_port
    except ValueError:
        return "", 0


def _find_targets_for_hosts(
    planned_ports: Iterable[tuple[PortRule, Target]], zone: str, hosts: Iterable[Host]
) -> Iterator[Target]:
    """Yield the ports in a hosts file with their addresses. An unknown port is an error.

    A name such as meet can have the same port on a pool and on a reverse proxy. In this case, the
    zone determines the port. If several pools have the name, the address can belong to each of
    them.
    """
    by_place: dict[tuple[str, int], list[Target]] = {}
    for _, target in sorted(planned_ports, key=lambda port: port[0].zone != zone):
        by_place.setdefault((target.host, target.port), []).append(target)
    problems = []
    for host in hosts:
        targets = by_place.get((host.name, host.port), [])
        if not targets:
            message = f"the plan has no TLS port {host.port} for {host.name}"
            problems.append(Problem(message=message, row=host.row))
        else:
            target = _combine_pools(targets)
            yield replace(target, addresses=((host.address, host.address_port),))
    if problems:
        _raise_host_problems("the hosts file", problems)


def _combine_pools(targets: list[Target]) -> Target:
    """Return the first target, with the certificates and members of all pools behind its name."""
    first = targets[0]
    if first.server:
        return first
    same = [target for target in targets if target.rule == first.rule and not target.server]
    return replace(
        first,
        planned=tuple(dict.fromkeys(item for target in same for item in target.planned)),
        members=tuple(dict.fromkeys(member for target in same for member in target.members)),
    )
