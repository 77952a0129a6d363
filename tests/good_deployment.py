"""Define a small deployment without mistakes, and create plans that differ from it in a single
detail.
"""

from __future__ import annotations

from dataclasses import replace

from lyncnb.base.certificate_fields import SanEntry
from lyncnb.base.dns_name import DnsName
from lyncnb.checks.public_ca_checks import PUBLIC_CA_TESTS
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

RULES = load_rules("lync2013")

COLUMNS = [
    "server_fqdn",
    "role",
    "pool_fqdn",
    "site",
    "sip_domains",
    "meet_urls",
    "dialin_url",
    "admin_url",
    "web_internal_fqdn",
    "web_external_fqdn",
    "autologon",
    "extra_san",
    "access_edge_fqdn",
    "webconf_edge_fqdn",
    "av_edge_fqdn",
    "issuer",
]

# The deployment has one server of each role that the checks treat differently.
GOOD = (
    {
        "server_fqdn": "fe01.contoso.com",
        "role": "FrontEnd",
        "pool_fqdn": "fepool.contoso.com",
        "sip_domains": "contoso.com;fabrikam.com",
        "meet_urls": "https://meet.contoso.com;https://meet.fabrikam.com",
        "dialin_url": "https://dialin.contoso.com",
        "admin_url": "https://admin.contoso.com",
        "web_internal_fqdn": "webint.contoso.com",
        "web_external_fqdn": "webext.contoso.com",
        "autologon": "true",
    },
    {"server_fqdn": "fe02.contoso.com", "role": "FrontEnd", "pool_fqdn": "fepool.contoso.com"},
    {
        "server_fqdn": "dir01.contoso.com",
        "role": "Director",
        "web_external_fqdn": "webdirext.contoso.com",
    },
    {
        "server_fqdn": "se01.contoso.com",
        "role": "StandardEdition",
        "web_external_fqdn": "webse.contoso.com",
    },
    {
        "server_fqdn": "edge01.contoso.com",
        "role": "Edge",
        "pool_fqdn": "edgepool.contoso.com",
        "access_edge_fqdn": "sip.contoso.com",
        "webconf_edge_fqdn": "webcon.contoso.com",
        "av_edge_fqdn": "av.contoso.com",
    },
    {"server_fqdn": "edge02.contoso.com", "role": "Edge", "pool_fqdn": "edgepool.contoso.com"},
    {"server_fqdn": "med01.contoso.com", "role": "Mediation"},
    {"server_fqdn": "app01.contoso.com", "role": "TrustedApplication"},
    {"server_fqdn": "rp01.contoso.com", "role": "ReverseProxy"},
)
FE, FE2, DIR, SE, EDGE, EDGE2, MED, APP, RP = range(len(GOOD))


def table(edits=(), drop=(), add=()):
    """Return the deployment table as CSV, with some cells changed and rows removed or added."""
    rows = [dict(row) for row in GOOD]
    for row, column, value in edits:
        rows[row][column] = value
    final_rows = [row for number, row in enumerate(rows) if number not in drop] + list(add)
    columns = list(dict.fromkeys((*COLUMNS, *(column for row in final_rows for column in row))))
    lines = [columns, *([row.get(column, "") for column in columns] for row in final_rows)]
    return "\n".join(",".join(line) for line in lines).encode()


def plan_of(edits=(), options=None, *, rules=RULES, **kwargs):
    """Return the plan of the sample deployment with the given edits to its table."""
    topology = read_topology(table(edits, **kwargs))
    return plan_certificates(topology, rules, options=options or PlanOptions())


def alter_certificates(plan, usage, **changes):
    """Change every planned certificate with the given usage. For certificates without usages,
    `usage` is their role.
    """
    certificates = tuple(
        c._replace(**{k: v(c) if callable(v) else v for k, v in changes.items()})
        if usage in (*c.usages, c.role)
        else c
        for c in plan.certificates
    )
    return replace(plan, certificates=certificates)


def plan_of_case(case, *, rules=RULES):
    """Return the plan of the good deployment with the changes that a test case specifies.

    A changed cell is in the first row of its role. If the table has no row for a role, one is
    added.
    """
    edits = []
    add = [{"server_fqdn": server, **cells} for server, cells in case.rows.items()]
    roles = [row["role"] for row in GOOD]
    drop = [number for number, role in enumerate(roles) if role in case.without]
    for role, cells in case.cells.items():
        if role in roles:
            edits += [(roles.index(role), column, value) for column, value in cells.items()]
        else:
            add.append({"server_fqdn": f"{role.lower()}01.contoso.com", "role": role, **cells})
    plan = plan_of(
        edits, PlanOptions.from_toml(case.options.encode()), add=add, drop=drop, rules=rules
    )
    for usage, names in case.names.items():
        entries = tuple(SanEntry(DnsName(name), ()) for name in names)
        plan = alter_certificates(plan, usage, subject_alt_name=entries)
    for usage, name in case.subject_names.items():
        plan = alter_certificates(
            plan, usage, subject=lambda c, name=name: replace(c.subject, common_name=name)
        )
    return plan


#: Notices that appear for every plan with public certificates, even if it has no mistakes.
ADVICE = frozenset(
    check.code
    for check in load_ca_rules().checks
    if (check.test or check.code.replace("-", "_")) in PUBLIC_CA_TESTS
)


def mistakes(findings):
    """Return the findings about mistakes, without the general notices about public CAs."""
    return [finding for finding in findings if finding.code not in ADVICE]
