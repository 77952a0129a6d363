"""The parts of a topology: pools of computers, and sites with their simple URLs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..base.dns_name import DnsName


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleUrl:
    """A simple URL; only its host matters to a certificate.

    Notes
    -----
    Source: Microsoft, Planning for simple URLs in Lync Server 2013. The checks evaluate whether the
    URL follows the rules of that page (no port, no pool name …).
    """

    url: str
    host: DnsName


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """One server in one role: one row of the table.

    ``row`` is an index into ``Topology.cells``; it does not count when computers are compared.
    ``issuer`` holds pairs of usage ("" for all) and ``internal`` or ``public``.
    """

    fqdn: DnsName
    row: int = field(compare=False)
    target_os: str = "2012R2"
    issuer: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Computers of one role that act as one; a single server is a pool with its own name.

    ``computers`` are sorted by name. ``flags`` holds the names of the boolean columns that are
    true and that the role uses (``autologon``, ``strict_dns`` …). ``extra_san`` holds pairs of
    usage ("" for all) and name. A column of names that only rules use has no field:
    ``further_names`` contains its names by column.
    """

    fqdn: DnsName
    role: str
    site: str
    computers: tuple[Computer, ...]
    flags: frozenset[str]
    web_internal_fqdn: DnsName | None = None
    web_external_fqdn: DnsName | None = None
    access_edge_fqdn: DnsName | None = None
    webconf_edge_fqdn: DnsName | None = None
    av_edge_fqdn: DnsName | None = None
    edge_internal_fqdn: DnsName | None = None
    extra_san: tuple[tuple[str, DnsName], ...] = ()
    further_names: tuple[tuple[str, tuple[DnsName, ...]], ...] = ()

    def names_in(self, column: str) -> tuple[DnsName, ...]:
        """Return the names in a column, which may be a field or not; empty for a blank cell."""
        if column == "extra_san":
            return tuple(name for _, name in self.extra_san)
        value: DnsName | None = getattr(self, column, None)
        if value or not self.further_names:  # nearly always
            return (value,) if value else ()
        return next((names for name, names in self.further_names if name == column), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site and the simple URLs in force there (its own, or the deployment's)."""

    name: str
    meet_urls: tuple[SimpleUrl, ...] = ()
    dialin_url: SimpleUrl | None = None
    admin_url: SimpleUrl | None = None
