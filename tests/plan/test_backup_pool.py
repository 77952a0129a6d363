"""The certificates of a pool also contain the simple URL hosts of its backup pool."""

from __future__ import annotations

from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.fix_plan import fix_plan
from lyncnb.plan.planner import plan_certificates, plan_changed_topology
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

HEAD = (
    "server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,backup_pool"
)
TAIPEI = "Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web1.contoso.com"
TOKYO = "Tokyo,,https://meet-tokyo.contoso.com,https://dialin-tokyo.contoso.com,web2.contoso.com"


def plan_with_paired_pools(backup="", other=""):
    """Return the plan of two pools in two sites, and of a reverse proxy in the first site."""
    rows = [
        f"fe01.contoso.com,FrontEnd,pool1.contoso.com,{TAIPEI},{backup}",
        f"fe02.contoso.com,FrontEnd,pool2.contoso.com,{TOKYO},{other}",
        "rp01.contoso.com,ReverseProxy,,Taipei,,,,,",
    ]
    topology = read_topology("\n".join([HEAD, *rows]).encode())
    return plan_certificates(topology, load_rules("lync2013"))


def names(plan, server):
    """Return the names in the certificate that only the given server uses."""
    certificates = (
        c for c in plan.certificates if c.servers == (server,) and c.role != "Deployment"
    )
    return set(next(certificates).names)


def test_a_backup_pool_adds_its_hosts_to_pool_and_proxy():
    """If a pool has a backup pool, its certificates and the reverse proxy's certificate contain the
    simple URL hosts of the backup pool.
    """
    before, after = plan_with_paired_pools(), plan_with_paired_pools("pool2.contoso.com")
    added_names = {"meet-tokyo.contoso.com", "dialin-tokyo.contoso.com"}
    for server in ("fe01.contoso.com", "rp01.contoso.com"):
        assert names(after, server) - names(before, server) == added_names
    assert names(after, "fe02.contoso.com") == names(before, "fe02.contoso.com")


def test_a_pair_entered_for_one_pool_is_reported_and_fixed():
    """If the table has a backup pool for only one pool of a pair, lyncnb warns, and the fix enters
    the other one.
    """
    both = plan_with_paired_pools("pool2.contoso.com", "pool1.contoso.com")
    assert {"meet.contoso.com", "dialin.contoso.com"} <= names(both, "fe02.contoso.com")
    assert "backup-pool-one-sided" not in {finding.code for finding in check_plan(both)}
    for cells in (("pool2.contoso.com", ""), ("", "pool1.contoso.com")):
        plan = plan_with_paired_pools(*cells)
        (finding,) = (f for f in check_plan(plan) if f.code == "backup-pool-one-sided")
        assert finding.severity == "warning"
        fixed = fix_plan(plan, codes=[finding.code])
        assert fixed.plan.certificates == both.certificates


def test_a_pair_is_fixed_only_if_one_pool_of_its_kind_names_the_other():
    """If two pools name the same pool, or a pool names a Director, no fix guesses a pair."""
    head = "server_fqdn,role,pool_fqdn,sip_domains,backup_pool"
    for backups, role in ((("pool3", "pool3"), "FrontEnd"), (("pool3", ""), "Director")):
        rows = [
            f"fe{n}.contoso.com,FrontEnd,pool{n}.contoso.com,contoso.com,"
            + (f"{backup}.contoso.com" if backup else "")
            for n, backup in enumerate(backups, 1)
        ]
        rows.append(f"last.contoso.com,{role},pool3.contoso.com,contoso.com,")
        plan = plan_certificates(
            read_topology("\n".join([head, *rows]).encode()), load_rules("lync2013")
        )
        assert "backup-pool-one-sided" not in {finding.code for finding in check_plan(plan)}


def test_names_change_with_the_backup_pool():
    """If a simple URL of the backup pool's site changes, replanning the changed pools has the same
    result as planning all pools.
    """
    plan = plan_with_paired_pools("pool2.contoso.com")
    index = next(n for n, row in enumerate(plan.topology.cells) if row[0] == "fe02.contoso.com")
    edited = plan.topology.with_cells({index: {"dialin_url": "https://call-tokyo.contoso.com"}})
    new_plan = plan_changed_topology(plan, edited)
    assert new_plan == plan_certificates(edited, plan.rules)
    assert "call-tokyo.contoso.com" in names(new_plan, "fe01.contoso.com")
    assert "call-tokyo.contoso.com" in names(new_plan, "rp01.contoso.com")


def test_a_missing_backup_pool_is_an_error():
    """lyncnb reports an error if the backup pool of a pool does not exist, or if a pool is its own
    backup pool.
    """
    for name in ("pool9.contoso.com", "pool1.contoso.com"):
        severities = {f.code: f.severity for f in check_plan(plan_with_paired_pools(name))}
        assert severities["backup-pool-unknown"] == "error"


def test_a_chain_or_triangle_of_pairs_is_reported():
    """A pool has only one partner. Microsoft describes pairs as one to one and reciprocal."""
    head = "server_fqdn,role,pool_fqdn,sip_domains,backup_pool"
    for backups, subjects in (
        (("pool2", "pool1", ""), []),
        (("pool2", "pool3", ""), ["fe2"]),
        (("", "", "pool3"), []),
        (("pool3", "pool3", ""), ["fe3"]),
        (("pool2", "pool3", "pool1"), ["fe1", "fe2", "fe3"]),
    ):
        rows = [
            f"fe{n}.contoso.com,FrontEnd,pool{n}.contoso.com,contoso.com,"
            + (f"{backup}.contoso.com" if backup else "")
            for n, backup in enumerate(backups, 1)
        ]
        plan = plan_certificates(
            read_topology("\n".join([head, *rows]).encode()), load_rules("lync2013")
        )
        found = [f for f in check_plan(plan) if f.code == "pool-in-several-pairs"]
        assert sorted(f.about.partition(".")[0] for f in found) == subjects
        assert {f.severity for f in found} <= {"warning"}


def test_a_pair_of_different_roles_is_reported_once():
    """lyncnb reports an Enterprise Edition pool that is paired with a Standard Edition server."""
    head = "server_fqdn,role,pool_fqdn,sip_domains,backup_pool"
    rows = [
        "fe1.contoso.com,FrontEnd,pool1.contoso.com,contoso.com,se1.contoso.com",
        "se1.contoso.com,StandardEdition,,,pool1.contoso.com",
    ]
    plan = plan_certificates(
        read_topology("\n".join([head, *rows]).encode()), load_rules("lync2013")
    )
    (finding,) = (f for f in check_plan(plan) if f.code == "paired-pools-differ")
    assert (finding.severity, finding.message) == (
        "warning",
        "pool1.contoso.com (FrontEnd) is paired with se1.contoso.com (StandardEdition)",
    )


def test_a_pool_and_its_backup_pool_count_as_one_for_sign_in():
    """Automatic sign-in can be enabled for two paired pools. If a third pool also has automatic
    sign-in, lyncnb reports a finding.
    """
    head = "server_fqdn,role,pool_fqdn,site,sip_domains,backup_pool,autologon"
    rows = [
        f"fe0{n}.contoso.com,FrontEnd,pool{n}.contoso.com,Taipei,{domain},{{}},{{}}"
        for n, domain in ((1, "contoso.com"), (2, ""), (3, ""))
    ]

    def list_messages(*cells):
        filled = [line.format(*values) for line, values in zip(rows, cells, strict=True)]
        table = read_topology("\n".join([head, *filled]).encode())
        findings = check_plan(plan_certificates(table, load_rules("lync2013")))
        return [f.message for f in findings if f.code == "several-autologon-pools"]

    alone, backed = ("", "true"), ("pool1.contoso.com", "true")
    assert list_messages(alone, backed, ("", "")) == []
    assert list_messages(alone, alone, ("", "")) != []
    assert list_messages(alone, backed, alone) != []
