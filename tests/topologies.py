"""Define tables of servers as text, for tests of planning."""

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

#: One Standard Edition server. The plan has its certificate and the certificate of the whole
#: deployment.
STANDARD_EDITION = """\
server_fqdn,role,sip_domains,meet_urls,dialin_url,web_external_fqdn
se01.contoso.com,StandardEdition,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
"""

#: Two Front End Servers. The plan has three requests, one of them for the whole deployment, and no
#: errors.
TWO_FRONT_ENDS = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn
fe01.contoso.net,FrontEnd,pool.contoso.net,Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com
fe02.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,
"""

#: A Front End pool, a Director, and two Mediation Servers in two sites. lyncnb does not read one of
#: the columns.
FIVE_SERVERS = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,autologon,rack
fe01.contoso.com,FrontEnd,pool.contoso.com,Taipei,contoso.com;fabrikam.com,https://meet.contoso.com;https://meet.fabrikam.com,https://dialin.contoso.com,web.contoso.com,true,A1
fe02.contoso.com,FrontEnd,pool.contoso.com,Taipei,,,,,,A2
dir01.contoso.com,Director,,Taipei,,,,dir.contoso.com,,A3
med01.contoso.com,Mediation,,Hsinchu,,,,,,B1
med02.contoso.com,Mediation,,Hsinchu,,,,,,B2
"""

#: A Front End pool, an Edge pool, and a Mediation Server in two sites, to which clients and
#: partners connect.
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
    """Return one row of a table as a dictionary of column names and cells."""
    return {"server_fqdn": server, "role": role, "pool_fqdn": pool, **cells}


def front_end(number: int = 1, **cells: str) -> dict[str, str]:
    """Return the row of a Front End Server in eepool.contoso.com."""
    return row(
        f"ee0{number}.contoso.com",
        "FrontEnd",
        "eepool.contoso.com",
        **{"web_external_fqdn": "webcon01.contoso.com"} | cells,
    )


def edge(number: int = 1, **cells: str) -> dict[str, str]:
    """Return the row of an Edge Server in lsedge.contoso.net."""
    external = {"access_edge_fqdn": "sip.contoso.com", "webconf_edge_fqdn": "webcon.contoso.com"}
    return row(f"edge0{number}.contoso.net", "Edge", "lsedge.contoso.net", **external | cells)


#: Rows for the roles that do not occur in the samples.
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
    """Return the given rows as CSV. The first row contains the values for the whole deployment."""
    return csv_of([DEPLOYMENT | deployment | rows[0], *rows[1:]])


def csv_of(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Return the given rows as CSV, with every column that any row has."""
    headings = list(dict.fromkeys(heading for r in rows for heading in r))
    text = io.StringIO()
    writer = csv.DictWriter(text, headings)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def topology(*rows: dict[str, str], **deployment: str) -> Topology:
    """Return the topology of a table with the given rows."""
    return read_topology(table(*rows, **deployment))


def plan(
    *rows: dict[str, str], options: PlanOptions | None = None, **deployment
) -> CertificatePlan:
    """Plan a table with the given rows, with the rules for Lync Server 2013."""
    return plan_certificates(
        topology(*rows, **deployment), load_rules("lync2013"), options=options or PlanOptions()
    )
