"""Read a document from Topology Builder or ``Get-CsTopology`` as a table of servers."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..base.pasted_text import shown
from ..base.records import RecordReader, make_named_field
from ..base.shown.tables import join_first_texts
from ..base.toml_text import NotToml, parse_toml
from ..errors import Problem, RulesError, TopologyError
from .columns import get_column
from .source_table import Note, Table, Texts, build_table, raise_problems
from .xml_tree import EXPORTED, WRAPPER, Element, parse_xml

# --- The following classes read the roles of services from document_services.toml.

_DATA = Path(__file__).with_name("document_services.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """A product version, and the version number that its services have in a topology document."""

    number: str
    product: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _ServiceMeaning:
    """The role that services in a topology document represent, or why they are omitted."""

    names: tuple[str, ...]
    role: str = ""
    left_out: str = ""
    collocated: bool = False
    single_role: str = ""
    director_role: str = ""
    branch_role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A question about a fact that documents do not contain, and the columns for the answer."""

    text: str
    roles: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meanings:
    versions: tuple[_Version, ...] = make_named_field("version")
    services: tuple[_ServiceMeaning, ...] = make_named_field("service")
    questions: tuple[_Question, ...] = make_named_field("question")

    def find_role_entry(self, name: str) -> _ServiceMeaning | None:
        """Return the role entry for the name of a service, or None for an unknown service."""
        return next((meaning for meaning in self.services if name in meaning.names), None)


@functools.cache
def _load_meanings() -> _Meanings:
    try:
        reader = RecordReader(_DATA.name)
        meanings = reader.record(_Meanings, parse_toml(_DATA.read_text(encoding="utf-8")))
    except NotToml as error:
        raise RulesError(f"{_DATA.name}: {error}", hint=error.hint) from None
    if meanings is None or reader.problems:
        raise RulesError(f"the file {_DATA.name} contains errors", problems=tuple(reader.problems))
    return meanings


# --- The following functions convert both forms of a topology document to clusters with services.


@dataclass(slots=True)
class _Service:
    """A service in a topology document: its name, its version, and its XML element."""

    name: str
    version: str
    element: Element


@dataclass(slots=True)
class _Cluster:
    """Servers in a site that have a common name (a pool in the table), and their services."""

    fqdn: str
    site: str
    is_branch: bool
    machines: tuple[str, ...]
    services: list[_Service] = field(default_factory=list)


def _make_cluster(element: Element, site: str, *, is_branch: bool) -> _Cluster:
    fqdn = element.get("Fqdn")
    # A single server has the same name as its cluster, so the document can omit the name of the
    # server.
    machines = tuple(machine.get("Fqdn") or fqdn for machine in element.find_all("Machine"))
    return _Cluster(fqdn=fqdn, site=site, is_branch=is_branch, machines=machines or (fqdn,))


def _find_site_name(site: Element) -> str:
    name = site.find("Name")
    return " ".join(name.text.split()) if name else ""


def _read_topology_builder_clusters(topology: Element) -> list[_Cluster]:
    """Return the clusters in a Topology Builder file.

    The services in the file refer to the UniqueId of a cluster.
    """
    clusters: dict[str, _Cluster] = {}
    for site in topology.find_all("CentralSite"):
        branches = {
            id(element): _find_site_name(branch)
            for branch in site.find_all("RemoteSite")
            for element in branch.find_all("Cluster")
        }
        for element in site.find_all("Cluster"):
            branch = branches.get(id(element))
            name = _find_site_name(site) if branch is None else branch
            clusters[element.get("UniqueId")] = _make_cluster(
                element, name, is_branch=branch is not None
            )
            for store in element.find_all("SqlInstance"):
                clusters[store.get("UniqueId")] = clusters[element.get("UniqueId")]
    for service in topology.find_all("Service"):
        cluster = clusters.get(service.get("InstalledOn"))
        if cluster:
            name, version = service.get("RoleName"), service.get("ServiceVersion")
            cluster.services.append(_Service(name, version, service))
    return list({id(cluster): cluster for cluster in clusters.values()}.values())


def _read_published_clusters(topology: Element) -> list[_Cluster]:
    """Return the clusters in a published topology.

    In a published topology, each service refers to its cluster by a ClusterId.
    """
    sites: dict[str, tuple[str, bool]] = {}
    for kind in ("CentralSite", "RemoteSite"):
        for site in topology.find_all(kind):
            sites[site.get("SiteId")] = (_find_site_name(site), kind == "RemoteSite")
    clusters: dict[tuple[str, str], _Cluster] = {}
    for group in topology.find_all("Clusters"):
        for element in group.find_all("Cluster"):
            key = _find_cluster_id(element)
            name, is_branch = sites.get(key[0], ("", False))
            clusters[key] = _make_cluster(element, name, is_branch=is_branch)
    for service in topology.find_all("Service"):
        installed, identity = service.find("InstalledOn"), service.find("ServiceId")
        cluster = clusters.get(_find_cluster_id(installed)) if installed else None
        if cluster and identity:
            name, version = identity.get("RoleName"), service.get("ServiceVersion")
            cluster.services.append(_Service(name, version, service))
    return list(clusters.values())


def _find_cluster_id(element: Element) -> tuple[str, str]:
    element_id = next(element.find_all("ClusterId"), None)
    return (element_id.get("SiteId"), element_id.get("Number")) if element_id else ("", "")


# --- The following functions convert clusters to rows of the table.

# A Topology Builder file contains two topologies. The first one is preferred.
_TOPOLOGIES = ("NewTopology", "OriginalTopology")

_COLUMNS = (
    *("server_fqdn", "role", "pool_fqdn", "site", "sip_domains", "meet_urls", "dialin_url"),
    *("admin_url", "web_internal_fqdn", "web_external_fqdn", "access_edge_fqdn"),
    *("webconf_edge_fqdn", "av_edge_fqdn", "extra_san"),
)
_ALWAYS = 5  # The number of columns, counted from the first one, that the table always contains.
#: The columns for the names in a pool's web services settings, by element, and for the names of an
#: Edge pool, by the component that listens on the port.
_WEB_NAMES = {"ExternalSettings": "web_external_fqdn", "InternalSettings": "web_internal_fqdn"}
_EDGE_PORTS = {
    "urn:component:AccessEdge": "access_edge_fqdn",
    "urn:component:DataEdge": "webconf_edge_fqdn",
    "urn:component:MediaRelayEdge": "av_edge_fqdn",
}
_HOST = re.compile(r"https?://([^/:?#\s]+)", re.IGNORECASE)
# The elements that each list of sites in a topology document can contain.
_SITE_KINDS = {
    "Sites": ("CentralSite", "RemoteSite"),
    "CentralSites": ("CentralSite",),
    "RemoteSites": ("RemoteSite",),
}
_SIMPLE_URLS = {"Meet": "meet_urls", "Dialin": "dialin_url", "Cscp": "admin_url"}


def _find_roles(cluster: _Cluster) -> tuple[str, ...]:
    """Return a cluster's server roles. The first role determines the servers' certificates."""
    main, collocated = [], []
    for service in cluster.services:
        meaning = _load_meanings().find_role_entry(service.name)
        if meaning and meaning.collocated:
            collocated.append(meaning.role)
        elif meaning and meaning.role:
            main.append(_find_role(cluster, service, meaning))
    # A Survivable Branch Appliance or Server includes the Mediation role.
    if main and cluster.is_branch:
        collocated = []
    return tuple(dict.fromkeys([*main[:1], *collocated]))


def _find_role(cluster: _Cluster, service: _Service, role_entry: _ServiceMeaning) -> str:
    kind = next(service.element.find_all("RegistrarService"), None)
    if role_entry.director_role and kind and kind.get("IsDirector").casefold() == "true":
        return role_entry.director_role
    if role_entry.branch_role and cluster.is_branch:
        return role_entry.branch_role
    only = cluster.machines[0].casefold() if len(cluster.machines) == 1 else ""
    is_single = only == cluster.fqdn.casefold()
    return role_entry.single_role if role_entry.single_role and is_single else role_entry.role


def _find_names(cluster: _Cluster, role: str) -> dict[str, str]:
    """Return the additional names of a pool, by column."""
    names: dict[str, str] = {}
    for service in cluster.services:
        for element, name in _WEB_NAMES.items():
            for settings in service.element.find_all(element):
                names.setdefault(name, settings.get("Host"))
        for port in service.element.find_all("Port"):
            name = _EDGE_PORTS.get(port.get("Owner"), "")
            if name and port.get("InterfaceSide") == "External" and port.get("ConfiguredFqdn"):
                names.setdefault(name, port.get("ConfiguredFqdn"))
    if farm := _find_farm_host(cluster):
        names["extra_san"] = farm
    pool_name = cluster.fqdn.casefold()
    return {
        name: text
        for name, text in names.items()
        if get_column(name).is_used_by(role)
        and not (get_column(name).or_pool_name and text.casefold() == pool_name)
    }


def _find_farm_host(cluster: _Cluster) -> str:
    """Return the host in a farm's DiscoveryUrl, or "" if it is the name of the cluster.

    A farm runs Office Web Apps Server.
    """
    farms = (
        farm for service in cluster.services for farm in service.element.find_all("WacService")
    )
    hosts = (_HOST.match(farm.get("DiscoveryUrl")) for farm in farms)
    host = next((match[1] for match in hosts if match), "")
    return host if host.casefold() != cluster.fqdn.casefold() else ""


def _find_sip_domains(topology: Element) -> list[str]:
    """Return the SIP domains in a topology document. The default domain comes first."""
    domains = next(topology.find_all("InternalDomains"), None)
    names = [domains.get("DefaultDomain")] if domains else []
    names += [domain.get("Name") for domain in topology.find_all("InternalDomain")]
    by_name: dict[str, str] = {}
    for name in filter(None, names):
        by_name.setdefault(name.casefold(), name)
    return list(by_name.values())


def _find_simple_urls(
    elements: Iterable[Element], site: str, sip_domains: Sequence[str]
) -> dict[str, str]:
    """Return the simple URLs of a site, or of all sites, by table column.

    The URLs in each column are in the order of the SIP domains.
    """
    urls: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for url in elements:
        name = _SIMPLE_URLS.get(url.get("Component"))
        entry = next(url.find_all("SimpleUrlEntry"), None)
        active = url.get("ActiveUrl") or (entry.get("Url") if entry else "")
        domain = url.get("Domain").casefold()
        # Only simple URLs that were exported separately include the site. A topology document
        # contains the URLs of all sites.
        _, _, whose = url.get("Identity").partition("Site:")
        if name and active and whose == site:
            urls[name].append(
                (sip_domains.index(domain) if domain in sip_domains else len(sip_domains), active)
            )
    return {
        name: ";".join(
            dict.fromkeys(active for _, active in sorted(elements, key=lambda entry: entry[0]))
        )
        for name, elements in urls.items()
    }


def _add_shared_values(topology: Element, rows: list[dict[str, str]]) -> None:
    """Add the values of each site and of the deployment to the first row for the site."""
    domains = _find_sip_domains(topology)
    order = [name.casefold() for name in domains]
    urls = list(topology.find_all("SimpleUrl"))
    common = _find_simple_urls(urls, "", order)
    first: dict[str, dict[str, str]] = {}
    for row in rows:
        first.setdefault(row["site"], row)
    urls_by_site = {site: _find_simple_urls(urls, site, order) for site in first if site}
    rows[0]["sip_domains"] = ";".join(domains)
    if not any(urls_by_site.values()):
        rows[0].update(common)
        return
    for site, row in first.items():  # If one site has its own URLs, every site must have URLs.
        mine = urls_by_site.get(site, {})
        row.update({**common, **mine})
        if mine.keys() & {"meet_urls", "dialin_url"} and "admin_url" not in mine:
            # The admin URL is optional. A site with its own URLs does not inherit the admin URL.
            row.pop("admin_url", None)


# --- The following functions create notes about data that is left out.


def _report_omissions(clusters: Iterable[_Cluster]) -> Iterator[str]:
    """Yield notes about services that get no row in the table, and about unknown services."""
    left_out: dict[str, list[str]] = defaultdict(list)
    unknown: dict[str, list[str]] = defaultdict(list)
    other_roles: dict[str, list[str]] = defaultdict(list)
    for cluster in clusters:
        roles = _find_roles(cluster)
        for service in cluster.services:
            meaning = _load_meanings().find_role_entry(service.name)
            if meaning is None:
                unknown[service.name].append(cluster.fqdn)
            elif meaning.left_out and not roles:
                left_out[meaning.left_out].append(cluster.fqdn)
            elif _has_no_row(meaning, cluster, roles):
                other_roles[meaning.role].append(cluster.fqdn)
    for reason, names in left_out.items():
        yield f"lyncnb added no row for {_join_names(names)}: {reason}"
    for name, names in unknown.items():
        yield (
            f"lyncnb does not support the service {shown(name[:60])} on "
            f"{_join_names(names)}. If the service needs a certificate, add a row to the "
            "table"
        )
    for role, names in other_roles.items():
        yield (
            f"lyncnb added no row with the role {role} for {_join_names(names)}, because the "
            "servers already have another role"
        )


def _report_farms(clusters: Iterable[_Cluster]) -> Iterator[str]:
    """Yield a note for each Office Web Apps farm that has an additional name."""
    for cluster in clusters:
        if host := _find_farm_host(cluster):
            yield (
                f"{shown(cluster.fqdn)} uses the name {shown(host)} (DiscoveryUrl); lyncnb "
                "added the name to extra_san"
            )


#: The ports that Topology Builder proposes for two Edge services: if each service has its own name,
#: and if the services share one name.
_CLIENT_PORTS = {"SipClient": ("443", "5061"), "PsomClient": ("443", "444")}


def _report_edge_ports(clusters: Iterable[_Cluster]) -> Iterator[str]:
    """Yield a note for each Edge service whose port differs from Topology Builder's proposal."""
    for cluster in clusters:
        ports = [
            port
            for service in cluster.services
            for port in service.element.find_all("Port")
            if port.get("InterfaceSide") == "External" and port.get("Usage") in _CLIENT_PORTS
        ]
        is_shared = len({port.get("ConfiguredFqdn").casefold() for port in ports}) < len(ports)
        for port in ports:
            usual, actual = _CLIENT_PORTS[port.get("Usage")][is_shared], port.get("Port")
            if actual != usual:
                yield (
                    f"{shown(cluster.fqdn)} uses port {shown(actual)} "
                    f"({shown(port.get('ConfiguredFqdn'))}) for clients, but pictures, "
                    f"the trust plan and lyncnb probe assume port {usual}"
                )


def _reject_unknown_sites(source: str, topology: Element) -> None:
    """Raise an error for a site of an unknown type. The type determines the servers' roles."""
    problems = [
        Problem(
            file=source,
            message=f"the site {shown(_find_site_name(site))} has the type {shown(site.name)}, but "
            f"lyncnb supports only {' and '.join(kinds)}",
            hint=(
                "create a table of servers instead, because lyncnb cannot determine the server "
                "roles for this type of site"
            ),
        )
        for group, kinds in _SITE_KINDS.items()
        for sites in topology.find_all(group)
        for site in sites.children
        if site.name not in kinds
    ]
    if problems:
        raise_problems(source, problems)


def _has_no_row(role_entry: _ServiceMeaning, cluster: _Cluster, roles: tuple[str, ...]) -> bool:
    """Return whether the servers with a given service do not get a row in the table."""
    kinds = {
        role_entry.role,
        role_entry.single_role,
        role_entry.director_role,
        role_entry.branch_role,
    }
    is_part = role_entry.collocated and cluster.is_branch
    return bool(role_entry.role) and not is_part and not kinds.intersection(roles)


def _join_names(names: Iterable[str]) -> str:
    return join_first_texts([shown(name[:253]) for name in dict.fromkeys(names)], 3)


def _list_questions(rows: list[dict[str, str]], columns: Iterable[str]) -> Iterator[str]:
    """Yield the questions for the user that no topology document answers."""
    roles = {row["role"] for row in rows}
    for question in _load_meanings().questions:
        is_asked = not question.roles or not roles.isdisjoint(question.roles)
        if is_asked and set(question.unless).isdisjoint(columns):
            yield question.text


# --- The following functions read a topology document.


_HOW_TO_ANSWER = (
    "to answer these questions, create a table with lyncnb convert and fill in the "
    "columns in parentheses, or use the plan editor"
)


def read_topology_xml(source: str, text: str) -> Table:
    """Read a topology document as a table of servers.

    Parameters
    ----------
    source : str
        The file name, for messages.
    text : str
        XML from Topology Builder (``.tbxml``; lyncnb reads the newer of its two topologies) or from
        ``Get-CsTopology -AsXml``.

    Returns
    -------
    Table
        A row for each server and role, in the order in the document. The first row contains the
        values for the deployment. ``notes`` lists services without a row, unknown services, and
        missing facts.

    Raises
    ------
    TopologyError
        If the text is not a topology document, is damaged, or contains no server.

    Notes
    -----
    Source: Microsoft, Get-CsTopology and Get-CsService (Lync Server 2013 cmdlet help).
    """
    tree = parse_xml(source, text)
    topology: Element | None = tree.root
    if tree.form == WRAPPER:
        # OriginalTopology is the topology that was published when the file was saved, and
        # NewTopology is the planned topology. Both contain the same servers.
        topology = next(
            filter(None, (tree.root.find(name, "PartialTopology") for name in _TOPOLOGIES)), None
        )
    elif tree.form == EXPORTED:
        topology = tree.root if tree.root.find("Topology", "Clusters") else None
    cluster_reader = (
        _read_topology_builder_clusters if tree.form == WRAPPER else _read_published_clusters
    )
    if topology:
        _reject_unknown_sites(source, topology)
    clusters = cluster_reader(topology) if topology else []
    rows = [row for cluster in clusters for row in _make_rows(cluster)]
    if topology is None or not rows:
        raise TopologyError(
            f"{source} contains no server that needs a certificate",
            hint="add the servers in Topology Builder, then save or publish the topology",
        )
    _add_shared_values(topology, rows)
    columns = [
        name
        for index, name in enumerate(_COLUMNS)
        if index < _ALWAYS or any(row.get(name) for row in rows)
    ]
    version = _find_version(clusters)
    messages = [f"the topology document is for {version.title}"] if version else []
    messages += [
        *_report_omissions(clusters),
        *_report_farms(clusters),
        *_report_edge_ports(clusters),
        *map(
            "the topology document does not contain the answer to this question: {}".format,
            _list_questions(rows, columns),
        ),
        _HOW_TO_ANSWER,
    ]
    return build_table(
        source,
        columns,
        [Texts.from_cells(row.get(name, "") for row in rows) for name in columns],
        range(2, len(rows) + 2),
        notes=tuple(Note(row=0, column="", before="", after="", message=text) for text in messages),
        product=version.product if version else "",
        single_labels=True,
    )


def _make_rows(cluster: _Cluster) -> Iterator[dict[str, str]]:
    """Yield the table rows for a cluster. Each role's first row has the additional names."""
    for role in _find_roles(cluster):
        names = _find_names(cluster, role)
        for machine in cluster.machines:
            pool = {"pool_fqdn": cluster.fqdn, "site": cluster.site}
            yield {"server_fqdn": machine, "role": role, **pool, **names}
            names = {}


def _find_version(clusters: Iterable[_Cluster]) -> _Version | None:
    """Return the product version that most services have."""
    counted = Counter(service.version for cluster in clusters for service in cluster.services)
    number = counted.most_common(1)[0][0] if counted else ""
    return next(
        (version for version in _load_meanings().versions if version.number == number), None
    )
