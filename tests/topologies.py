"""Topology tables as text, for the tests of planning."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from lyncnb.plan.model import CertificatePlan
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import Topology, read_topology

DEPLOYMENT = {
    "sip_domains": "contoso.com;fabrikam.com",
    "meet_urls": "https://meet.contoso.com;https://meet.fabrikam.com",
    "dialin_url": "https://dialin.contoso.com",
    "admin_url": "https://admin.contoso.com",
}

#: One Standard Edition server: its own certificate and the deployment's.
STANDARD_EDITION = """\
server_fqdn,role,sip_domains,meet_urls,dialin_url,web_external_fqdn
se01.contoso.com,StandardEdition,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
"""

#: Two Front End Servers and the deployment's certificate: three requests, no error finding.
TWO_FRONT_ENDS = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn
fe01.contoso.net,FrontEnd,pool.contoso.net,Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
fe02.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,
"""

#: A pool, a Director and two Mediation Servers at two sites, with a column of the planner's own.
FIVE_SERVERS = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,autologon,rack
fe01.contoso.com,FrontEnd,pool.contoso.com,Taipei,contoso.com;fabrikam.com,https://meet.contoso.com;https://meet.fabrikam.com,https://dialin.contoso.com,web.contoso.com,true,A1
fe02.contoso.com,FrontEnd,pool.contoso.com,Taipei,,,,,,A2
dir01.contoso.com,Director,,Taipei,,,,dir.contoso.com,,A3
med01.contoso.com,Mediation,,Hsinchu,,,,,,B1
med02.contoso.com,Mediation,,Hsinchu,,,,,,B2
"""

#: A pool, an Edge pool and a Mediation Server at two sites: what clients and partners ask of each.
TWO_SITES = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,\
access_edge_fqdn,webconf_edge_fqdn,av_edge_fqdn
ee01.contoso.com,FrontEnd,eepool.contoso.com,Taipei,contoso.com,https://meet.contoso.com,\
https://dialin.contoso.com,web.contoso.com,,,
ee02.contoso.com,FrontEnd,eepool.contoso.com,Taipei,,,,,,,
edge01.contoso.com,Edge,edgepool.contoso.com,Taipei,,,,,access.contoso.com,wc.contoso.com,av.contoso.com
edge02.contoso.com,Edge,edgepool.contoso.com,Taipei,,,,,,,
med01.contoso.com,Mediation,med01.contoso.com,Kaohsiung,,,,,,,
"""


def row(server: str, role: str, pool: str = "", **cells: str) -> dict[str, str]:
    """One row of a table; cells by column."""
    return {"server_fqdn": server, "role": role, "pool_fqdn": pool, **cells}


def front_end(number: int = 1, **cells: str) -> dict[str, str]:
    """A Front End Server of eepool.contoso.com."""
    return row(
        f"ee0{number}.contoso.com",
        "FrontEnd",
        "eepool.contoso.com",
        **{"web_external_fqdn": "webcon01.contoso.com"} | cells,
    )


def edge(number: int = 1, **cells: str) -> dict[str, str]:
    """An Edge Server of lsedge.contoso.net."""
    external = {"access_edge_fqdn": "sip.contoso.com", "webconf_edge_fqdn": "webcon.contoso.com"}
    return row(f"edge0{number}.contoso.net", "Edge", "lsedge.contoso.net", **external | cells)


#: Every other role, which the samples leave out.
OTHERS = [
    front_end(1),
    front_end(2),
    row("um01.contoso.com", "ExchangeUM"),
    row("owa01.contoso.com", "ExchangeOWA"),
    row("owas01.contoso.com", "OfficeWebApps", "owas.contoso.com"),
    row("app01.contoso.com", "TrustedApplication", "apps.contoso.com"),
    row("sba01.contoso.com", "SBA"),
    edge(1),
    edge(2),
]


def table(*rows: dict[str, str], **deployment: str) -> bytes:
    """A CSV of these rows; deployment-wide values are in the first of them."""
    return csv_of([DEPLOYMENT | deployment | rows[0], *rows[1:]])


def csv_of(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Write rows as a CSV with every column that one of them has."""
    headings = list(dict.fromkeys(heading for r in rows for heading in r))
    text = io.StringIO()
    writer = csv.DictWriter(text, headings)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def topology(*rows: dict[str, str], **deployment: str) -> Topology:
    """Read such a table."""
    return read_topology(table(*rows, **deployment))


def plan(
    *rows: dict[str, str], options: PlanOptions | None = None, **deployment
) -> CertificatePlan:
    """Plan such a table with the rules of Lync Server 2013."""
    return plan_certificates(
        topology(*rows, **deployment), load_rules("lync2013"), options=options or PlanOptions()
    )
