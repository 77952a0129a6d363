"""Define the classes of a topology: pools of servers, and sites with their simple URLs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..base.dns_name import DnsName


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleUrl:
    """A simple URL, of which a certificate contains only the host name.

    Notes
    -----
    Source: Microsoft, Planning for simple URLs in Lync Server 2013. A check evaluates whether the
    URL
    follows the rules on this page, such as no port and no pool name.
    """

    url: str
    host: DnsName


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """A server in one role. Each row in the table is one such server.

    ``row`` is an index in ``Topology.cells``, and is ignored when objects are compared. ``issuer``
    contains pairs of a usage ("" for all) and ``internal`` or ``public``.
    """

    fqdn: DnsName
    row: int = field(compare=False)
    target_os: str = "2012R2"
    issuer: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool of servers with the same role. A single server is a pool with its own name.

    ``computers`` are sorted by name. ``flags`` contains the names of the boolean columns that are
    true
    and that the role uses (such as ``autologon``). ``extra_san`` contains pairs of a usage ("" for
    all) and a name. ``further_names`` contains the names in columns that have no field, because
    only
    rules use them.
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

    def list_names(self, column: str) -> tuple[DnsName, ...]:
        """Return the names that the pool has in a column, or no names if the cell is blank."""
        if column == "extra_san":
            return tuple(name for _, name in self.extra_san)
        value: DnsName | None = getattr(self, column, None)
        # Most columns have their own field. ``further_names`` contains only columns that a product
        # has added.
        if value or not self.further_names:
            return (value,) if value else ()
        return next((names for name, names in self.further_names if name == column), ())

    def shares_edge_name(self, column: str) -> bool:
        """Return whether an Edge service has the same name as another Edge service.

        Then all services have one address, and Topology Builder gives them different ports.
        """
        names = {other: getattr(self, other) for other in _EDGE_NAMES}
        own = names.pop(column, None)
        return own is not None and own in names.values()


_EDGE_NAMES = ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site with the simple URLs that apply to it: its own URLs, or those of the deployment."""

    name: str
    meet_urls: tuple[SimpleUrl, ...] = ()
    dialin_url: SimpleUrl | None = None
    admin_url: SimpleUrl | None = None
