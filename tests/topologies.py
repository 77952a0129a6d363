"""Topology tables as text, for the tests of planning."""

from __future__ import annotations

import csv
import io

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


def table(*rows: dict[str, str], **deployment: str) -> bytes:
    """A CSV of these rows; what is the deployment's stands on the first of them."""
    rows = [dict(r) for r in rows]
    rows[0] = DEPLOYMENT | deployment | rows[0]
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
