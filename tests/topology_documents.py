"""Create topology documents in the formats of Topology Builder and Get-CsTopology."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

DEPLOY = "urn:schema:Microsoft.Rtc.Management.Deploy"
_ROLES = f'xmlns="{DEPLOY}.ServiceRoles.2008"'
_READ = f'xmlns="{DEPLOY}.Topology.2008"'

#: The XML content of services in a topology document, by the name of the service.
DIRECTOR = f'<RegistrarService IsDirector="true" {_ROLES} />'
REGISTRAR = f'<RegistrarService IsDirector="false" {_ROLES} />'


def web(external: str = "", internal: str = "") -> str:
    """Return the XML of a WebServices service with the given content."""
    settings = f"<InternalSettings Host={quoteattr(internal)} />" if internal else ""
    settings += f"<ExternalSettings Host={quoteattr(external)}><OverrideUrls /></ExternalSettings>"
    return f"<WebService {_ROLES}>{settings}<Component ComponentName='Meet' /></WebService>"


def edge(access: str, conferencing: str, media: str) -> str:
    """Return the XML of an Edge pool's ports, which specify the external FQDNs of the pool."""
    ports = [
        f'<Port Owner="urn:component:{owner}" Usage="x" InterfaceSide="{side}" Port="{number}"'
        + (f" ConfiguredFqdn={quoteattr(name)}" if side == "External" else "")
        + " />"
        for number, (owner, name) in enumerate(
            (("AccessEdge", access), ("DataEdge", conferencing), ("MediaRelayEdge", media))
        )
        for side in ("Internal", "External")
    ]
    return f"<Ports {_ROLES}>{''.join(ports)}</Ports>"


@dataclass
class Cluster:
    """A cluster of computers in a topology document. ``services`` contains the content of each
    service by RoleName.

    ``machines`` without a name have the name of the cluster. An empty tuple means no computers.
    ``databases`` are services on a SQL instance of the cluster.
    """

    fqdn: str
    services: dict[str, str] = field(default_factory=dict)
    machines: tuple[str, ...] = ("",)
    databases: tuple[str, ...] = ()
    site: str = "Taipei"
    branch: str = ""


def front_end(fqdn: str, machines: tuple[str, ...] = ("",), **options) -> Cluster:
    """Return the cluster of a Standard Edition server, or of an Enterprise Edition pool with
    several computers.
    """
    services = {
        "UserServices": "",
        "Registrar": options.pop("registrar", REGISTRAR),
        "WebServices": web(options.pop("external", f"web-{fqdn}"), options.pop("internal", "")),
        "ConfServices": "",
        "ApplicationServer": "",
        **dict.fromkeys(options.pop("beside", ()), ""),
    }
    return Cluster(fqdn, services, machines, **options)


URLS = (
    ("Dialin", "*", "https://dialin.contoso.com"),
    ("Meet", "fabrikam.com", "https://meet.fabrikam.com"),
    ("Meet", "contoso.com", "https://meet.contoso.com"),
)


def topology_builder(
    clusters: list[Cluster],
    *,
    domains: tuple[str, ...] = ("contoso.com",),
    urls: tuple[tuple[str, str, str], ...] = URLS,
    version: str = "6",
    original: list[Cluster] | None = None,
    more: str = "",
) -> str:
    """Return a Topology Builder file. `original` is the topology that was published previously."""
    parts = [
        f"<{name}>{_partial(cluster_list, domains, urls, version, more)}</{name}>"
        for name, cluster_list in (("OriginalTopology", original), ("NewTopology", clusters))
        if cluster_list is not None
    ]
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<TopologyBuilder IsFreeFromChanges="true"'
        f' xmlns="{DEPLOY}.TopologyBuilder.2008">{"".join(parts)}</TopologyBuilder>'
    )


def _partial(clusters, domains, urls, version, extra_elements) -> str:
    sites: dict[str, dict[str, list[str]]] = {}
    services = []
    for number, cluster in enumerate(clusters):
        attributes = [
            "" if not name else f" Fqdn={quoteattr(name)} FaultDomain='x'"
            for name in cluster.machines
        ]
        machines = "".join(
            f'<Machine{each}><NetInterface InterfaceSide="Primary" {_READ} /></Machine>'
            for each in attributes
        )
        sites.setdefault(cluster.site, {}).setdefault(cluster.branch, []).append(
            f'<Cluster UniqueId="c{number}" Fqdn={quoteattr(cluster.fqdn)}><Machines>{machines}</Machines>'
            f'<SqlInstances><SqlInstance UniqueId="s{number}" Name="" /></SqlInstances></Cluster>'
        )
        installed = [(f"c{number}", name, content) for name, content in cluster.services.items()]
        installed += [(f"s{number}", name, "") for name in cluster.databases]
        services += [
            f'<Service UniqueId="{installed_on}{name}" RoleName="{name}" InstalledOn="{installed_on}"'
            f' ServiceVersion="{version}"><DependsOn />{content}</Service>'
            for installed_on, name, content in installed
        ]
    central = []
    for site, branches in sites.items():
        remote = "".join(
            f"<RemoteSite><Name {_READ}>{escape(branch)}</Name><Clusters>{''.join(elements)}</Clusters>"
            "</RemoteSite>"
            for branch, elements in branches.items()
            if branch
        )
        central.append(
            f"<CentralSite><Name {_READ}>{escape(site)}</Name><Clusters>"
            f"{''.join(branches.get('', []))}</Clusters><RemoteSites>{remote}</RemoteSites></CentralSite>"
        )
    simple = "".join(
        f'<SimpleUrl Component="{component}" Domain="{domain}" ActiveUrl="{url}">'
        f'<SimpleUrlEntry Url="{url}" /></SimpleUrl>'
        for component, domain, url in urls
    )
    return (
        f'<PartialTopology xmlns="{DEPLOY}.WritableTopology.2008">{_domains(domains)}{extra_elements}'
        f"<SimpleUrlConfiguration>{simple}</SimpleUrlConfiguration><CentralSites>{''.join(central)}"
        f"</CentralSites><Services>{''.join(services)}</Services></PartialTopology>"
    )


def _domains(domains: tuple[str, ...]) -> str:
    # The default SIP domain is marked as the default, and need not be the first in the list.
    elements = "".join(
        f'<InternalDomain Name="{name}" />' for name in sorted(domains, reverse=True)
    )
    return f'<InternalDomains DefaultDomain="{domains[0]}" {_READ}>{elements}</InternalDomains>'


def make_published_topology(
    clusters: list[Cluster], *, domains: tuple[str, ...] = ("contoso.com",), version: str = "6"
) -> str:
    """Return the output of ``Get-CsTopology -AsXml`` for a topology without simple URLs."""
    names = list(dict.fromkeys(cluster.site for cluster in clusters))
    names += dict.fromkeys(cluster.branch for cluster in clusters if cluster.branch)
    is_branch = {cluster.branch for cluster in clusters}
    sites = "".join(
        f'<{kind} SiteId="{number}"><Name>{escape(name)}</Name></{kind}>'
        for number, name in enumerate(names, start=1)
        for kind in ["RemoteSite" if name in is_branch else "CentralSite"]
    )
    elements, services = [], []
    for number, cluster in enumerate(clusters, start=1):
        cluster_id = f'<ClusterId SiteId="{names.index(cluster.branch or cluster.site) + 1}" Number="{number}" />'
        machines = "".join(
            f"<Machine OrdinalInCluster='1' Fqdn={quoteattr(name or cluster.fqdn)} />"
            for name in cluster.machines
        )
        elements.append(f"<Cluster Fqdn={quoteattr(cluster.fqdn)}>{cluster_id}{machines}</Cluster>")
        installed = [(cluster_id, name, content) for name, content in cluster.services.items()]
        sql = f'<SqlInstanceId Name="">{cluster_id}</SqlInstanceId>'
        installed += [(sql, name, "") for name in cluster.databases]
        services += [
            f'<Service ServiceVersion="{version}"><ServiceId SiteId="1" RoleName="{name}"'
            f' Instance="1" /><DependsOn /><InstalledOn>{installed_on}</InstalledOn>{content}</Service>'
            for installed_on, name, content in installed
        ]
    return (
        f'<Topology xmlns="{DEPLOY}.Topology.2008">{_domains(domains)}<Sites>{sites}</Sites>'
        f"<Clusters>{''.join(elements)}</Clusters><Services>{''.join(services)}</Services></Topology>"
    )


def make_exported_topology(
    clusters: list[Cluster],
    *,
    urls: tuple[tuple[str, str, str, str], ...] = tuple(("Global", *url) for url in URLS),
    **options,
) -> str:
    """Return a topology in the format of ``lyncnb snippet topology``, with the owner of each simple
    URL.
    """
    simple = "".join(
        f'<SimpleUrl Identity={quoteattr(whose)} Component="{component}" Domain="{domain}"'
        f' ActiveUrl="{url}" />'
        for whose, component, domain, url in urls
    )
    topology = make_published_topology(clusters, **options)
    return f'<Export xmlns="urn:lyncnb:topology-export:1">{topology}{simple}</Export>'
