"""Create random plans for tests, and apply the differences between two plans one by one."""

from __future__ import annotations

import os
import random
from collections import Counter

from topologies import plan, row

import lyncnb as ln
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.reports.compare import PlanChange

# CI compares only a tenth of the plans that a full test run compares.
PAIRS = int(os.environ.get("LYNCNB_COMPARE_PAIRS", "1000"))

_POOLS = {
    "fe1.contoso.com": ("FrontEnd", {"web_external_fqdn": "web1.contoso.com"}),
    "fe2.contoso.com": ("FrontEnd", {"web_external_fqdn": "web2.contoso.com"}),
    "edge.contoso.com": ("Edge", {"access_edge_fqdn": "sip.contoso.com"}),
    "med.contoso.com": ("Mediation", {}),
    "app.contoso.com": ("TrustedApplication", {}),
    "proxy.contoso.com": ("ReverseProxy", {}),
    "": ("SBA", {}),
}
_CELLS = {
    "extra_san": ["", "old.contoso.com", "AccessEdgeExternal=x.contoso.com"],
    "issuer": ["", "public", "OAuthTokenIssuer=public"],
    "target_os": ["", "2008R2"],
}


def random_rows(chance: random.Random) -> list[dict[str, str]]:
    """Return the rows of a topology with up to nine servers in random pools."""
    rows = []
    settled = {pool: chance.choice(["", "Taipei", "Osaka"]) for pool in _POOLS}
    cells = {
        pool: {name: chance.choice(values) for name, values in _CELLS.items()} for pool in _POOLS
    }
    for number in range(1, chance.randint(2, 10)):
        pool = chance.choice([*_POOLS])
        role, fixed = _POOLS[pool]
        fields = fixed | cells[pool] | {"site": settled[pool]}
        rows.append(row(f"srv{number}.contoso.com", role, pool, **fields))
    return rows


def random_plan(chance: random.Random) -> ln.CertificatePlan:
    """Return a plan with random servers, domains, URLs, and options."""
    domains = chance.sample(["contoso.com", "fabrikam.com", "litwareinc.com"], chance.randint(1, 3))
    options = ln.PlanOptions(
        layout=chance.choice(["combined", "separate"]),
        wildcard=chance.random() < 0.3,
        edge_member_names=chance.random() < 0.3,
        organization=chance.choice(["", "Contoso, Ltd"]),
        key=KeyParameters(bits=chance.choice([2048, 4096])),
        hash=chance.choice(["sha256", "sha384"]),
        ca={"internal": chance.choice(["CA 1", "CA 2"])},
    )
    meet = ";".join(f"https://meet.{domain}" for domain in domains[: chance.randint(1, 3)])
    rows = random_rows(chance)
    return plan(*rows, options=options, sip_domains=";".join(domains), meet_urls=meet)


def describe_certificate(certificate: ln.PlannedCertificate) -> dict[str, object]:
    """Return the properties of a certificate as text. The keys are the labels in the list of
    changes.
    """
    return {
        "Subject name": certificate.subject.to_rfc4514(),
        "EKU": "; ".join(certificate.extended_key_usage),
        "Key": str(certificate.key),
        "Hash": certificate.hash,
        "Issuer": certificate.issuer,
        "CA": certificate.ca,
        "Servers": "; ".join(certificate.servers),
        "Site": certificate.site,
        "Target OS": certificate.target_os,
        "names": list(map(str, certificate.names)),
    }


def describe_plan(planned: ln.CertificatePlan) -> dict[str, dict[str, object]]:
    """Return the properties of every certificate in a plan, by certificate id."""
    return {
        certificate.id: describe_certificate(certificate) for certificate in planned.certificates
    }


def apply_change(state: dict[str, dict[str, object]], change: PlanChange) -> None:
    """Apply one change to the certificates of a plan.

    Fail if it was applied before or has nothing to change.
    """
    assert change.why, change
    assert change.source, change
    if change.change == "certificate added":
        assert change.certificate not in state
        state[change.certificate] = {"names": []}
        return
    certificate = state[change.certificate]
    names = certificate["names"]
    if change.change == "certificate removed":
        certificate["gone"] = True
    elif change.change == "name added":
        assert change.after not in names
        assert not change.before
        names.append(change.after)
    elif change.change == "name removed":
        assert not change.after
        names.remove(change.before)
    elif change.what == "Order of names":
        after = change.after.split("; ")
        names.sort(key=lambda name: after.index(name) if name in after else 99)
        assert change.before != change.after
    else:
        assert certificate[change.what] == change.before != change.after
        certificate[change.what] = change.after


def apply_all_changes(difference: ln.PlanDifference) -> dict[str, dict[str, object]]:
    """Apply all changes to the earlier plan, one by one, and return the result."""
    state = describe_plan(difference.old)
    for item in difference.certificates:
        for change in item.differences:
            apply_change(state, change)
        if item.change == "removed":
            assert (
                state[item.id]["names"] == []
            )  # The reason for a name is removed together with the name.
            assert state.pop(item.id)["gone"]
        elif item.change == "added":  # A new certificate is added with all its properties at once.
            assert state[item.id]["names"] == list(item.new.names)
            state[item.id] = describe_certificate(item.new)
    return state


def ignore_name_order(state: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Return the properties with the names as sets, because the order of the names may differ."""
    return {key: value | {"names": Counter(value["names"])} for key, value in state.items()}
