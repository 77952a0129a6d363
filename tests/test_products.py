"""From the table of a planner, lyncnb plans every certificate in Microsoft's documents.

``golden/examples.yaml`` contains 125 vectors. Vectors with enough information are planned from CSV
to ``CertificatePlan``, with the profile ``default``, and with ``doc_example`` if the printed
example is correct. The other vectors are listed below with the reason. ``--refresh`` updates
``default_profile`` and ``comparison`` of vectors whose names have changed. It never changes what
Microsoft prints.
"""

import re
import textwrap
from functools import cache
from pathlib import Path

import pytest
import yaml
from topologies import csv_of

from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

GOLDEN = Path(__file__).with_name("golden") / "examples.yaml"
WEB_ROLES = ("StandardEdition", "FrontEnd", "Director")
COMBINED = ["Default", "WebServicesInternal", "WebServicesExternal"]

# The test vectors that cannot be compared with a whole plan, each with the reason. The names in
# PRINTED_IN_PART must be in the planned certificate.
NOT_A_WHOLE_CERTIFICATE = {
    "LS13-RP-MOBILITY": "only some names are printed, and no subject",
    "SFB15-RP-MOBILITY": "only some names are printed, and no subject",
    "LS13-AD-MOB-DIR": "a pattern with <sipdomain>, no certificate",
    "LS13-AD-MOB-FE": "a pattern with <sipdomain>, no certificate",
    "LS13-AD-MOB-RP": "a pattern with <sipdomain>, no certificate",
    "LS13-AD-SUM-DIR": "a pattern with <internal domain name>; other pages have <sipdomain>",
    "LS13-AD-SUM-FE": "a pattern with <internal domain name>; other pages have <sipdomain>",
    "LS13-AD-SUM-RP": "a pattern with <sipdomain>, no certificate",
    "SFB15-AD": "a pattern with <sipdomain>, no certificate",
    "LS13-AD-CMD-INT": "argument of a command: names added to those that the cmdlet computes",
    "LS13-AD-CMD-EXT": "argument of a command: names added to those that the cmdlet computes",
    "LS13-AD-CMD-ALL": "argument of a command: names added to those that the cmdlet computes",
    "LS13-AD-EXPECT": "prose; only the two web services names have values",
    "LS13-IIS-CMD": "argument of a command: names added to those that the cmdlet computes",
    "LS13-INT-ALIASES": "a note: two names to add where they exist in DNS",
    "UCMA-POOL-CMD": "argument of a command: names added to those that the cmdlet computes",
    "UCMA-SINGLE-CMD": "a command without names; its friendly name contradicts its computer name",
    "CMD-EX4-SE": "argument of a command: names added to those that the cmdlet computes",
    "CMD-EX5-EE": "argument of a command: names added to those that the cmdlet computes",
    "CMD-EX6-EDGE-INT": "names on the Edge internal certificate, which the Edge pages leave empty",
    "CMD-EX7-EDGE-EXT": "a single-label and an internal name on a public certificate",
    "LS13-CHECK-SE": "output of a query; one name (LYNC.fabrikam.com) is unexplained",
    "SFB-HYBRID-EDGE": "one extra name for a domain of an online tenant, and no subject",
}

# The reasons why the profile doc_example does not create some certificates that Microsoft's pages
# show.
UNSOUND = {
    "contradicts_other_docs": "another page, newer or more specific, says otherwise",
    "garbled": "the row is damaged: no subject label, the pool's name missing",
    "prose_examples_not_one_certificate": "names from several sentences, not one certificate",
    "inconsistent_name": "the same page spells the name in two ways",
    "subject_or_san": "the page accepts the name in either place",
    "incomplete": "the summary leaves out names that its own requirements page lists",
}


@cache
def vectors() -> dict[str, dict]:
    document = yaml.load(GOLDEN.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {vector["id"]: vector for vector in document["examples"]}


def is_whole(vector: dict) -> bool:
    return vector["kind"] in ("documented", "derived")


def has_reliable_certificate(vector: dict) -> bool:
    """Return whether the document of a test vector contains a reliable certificate, which the
    profile doc_example copies. Internal certificates are reliable unless their text is garbled.
    """
    quality = vector.get("doc_quality")
    internal_row = "-INT-" in vector["id"] and vector["id"].startswith(("LS13-INT", "SFB15-INT"))
    if vector["kind"] != "documented" or quality == "garbled":
        return False
    return internal_row or quality == "consistent"


def rows_for(vector: dict) -> list[dict]:
    """Return the inputs of a test vector as the rows of a table, as a planner would enter them."""
    inputs, role = vector["inputs"], vector["role"]
    shared = {
        "sip_domains": inputs.get("sip_domains", ["contoso.com"]),
        "meet_urls": inputs.get("meet_urls", ""),
        "dialin_url": inputs.get("dialin_url", ""),
        "admin_url": inputs.get("admin_url", ""),
    }
    column_names = (
        "strict_dns", "autologon", "sip_dns_aliases", "web_internal_fqdn", "web_external_fqdn",
        "access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn", "xmpp_domains", "federation",
        "client_autoconfig", "aol_pic", "owas_external_fqdn", "tenant_sip_domains",
    )  # fmt: skip
    own = {name: inputs[name] for name in column_names if name in inputs}
    # In a test vector, a missing value for autodiscover means false. In a table, a blank cell means
    # true.
    own["autodiscover"] = inputs.get("autodiscover", False)
    pool = inputs.get("pool_fqdn") or inputs.get("farm_fqdn") or inputs.get("server_fqdn")
    servers = inputs.get("pool_servers") or [inputs.get("server_fqdn") or pool or "rp.contoso.com"]
    rows = [
        {"server_fqdn": name, "role": role, "pool_fqdn": pool or name} | own | shared
        for name in servers
    ]
    for index, name in enumerate(inputs.get("web_external_fqdns", ())):
        # The reverse proxy publishes a Front End pool in the first case, and a Director in the
        # second one.
        role = ("FrontEnd", "Director")[index]
        rows.append(
            {"server_fqdn": f"web{index}.contoso.net", "role": role, "web_external_fqdn": name}
        )
    if vector["usages"] == ["OAuthTokenIssuer"] and vector["role"] == "Director":
        # The test vector contains only a Director, but every deployment needs a pool for its users.
        rows.append({"server_fqdn": "se01.contoso.net", "role": "StandardEdition"})
    return rows


def as_csv(rows: list[dict]) -> bytes:
    return csv_of(
        [
            {
                key: ";".join(value) if isinstance(value, list) else value
                for key, value in row.items()
            }
            for row in rows
        ]
    )


#: The rules of this product determine the certificate of the test vector.
RULES_OF = {"sfb2015": "sfb2015", "sfb_hybrid": "sfbse"}
#: The certificate on each of these pages also applies to other products, according to the page or
#: by inference.
REPEATED = {"Skype/SfBServer2019/plan/system-requirements.md": ("sfb2019", "sfbse")}
#: Test vectors whose source page specifies the same certificate for several product versions.
OF_EVERY_VERSION = ("SFB15-EDGE-EXT", "SFB15-EDGE-INT", "SFB15-RP-MOBILITY")


def plan_vector(vector: dict, *, profile: str = "default", product: str = ""):
    """Plan the table of a test vector, and return the only certificate to which the test vector
    applies.
    """
    product = product or RULES_OF.get(vector.get("product", ""), "lync2013")
    inputs = vector["inputs"]
    options = PlanOptions(
        profile=profile,
        layout="combined" if vector["usages"] == COMBINED else "separate",
        wildcard=inputs.get("wildcard", False),
        autodiscover_https=inputs.get("autodiscover_https", True),
    )
    topology = read_topology(as_csv(rows_for(vector)))
    plan = plan_certificates(topology, load_rules(product), options=options)
    server = topology.pools and rows_for(vector)[0]["server_fqdn"].lower()
    usages = set(vector["usages"])
    if vector["role"] not in ("ReverseProxy", "OfficeWebApps", "ExchangeOWA"):
        matches = [c for c in plan.certificates if usages <= set(c.usages)]
    # The commands for these certificates have no -Type parameter, so the test vectors describe the
    # usage in their own words.
    else:
        matches = [c for c in plan.certificates if c.role == vector["role"]]
    if usages != {"OAuthTokenIssuer"}:
        matches = [c for c in matches if server in c.servers]
    (certificate,) = matches
    return certificate


def names(values) -> set[str]:
    return {value.lower() for value in values}


def test_every_vector_is_covered_or_listed():
    """The tests plan and compare each of the 125 test vectors, or list the reason why they cannot."""
    covered = {name for name, vector in vectors().items() if is_whole(vector)}
    assert covered | NOT_A_WHOLE_CERTIFICATE.keys() == vectors().keys()
    assert not covered & NOT_A_WHOLE_CERTIFICATE.keys()
    assert (len(covered), len(NOT_A_WHOLE_CERTIFICATE)) == (102, 23)


def test_every_omitted_certificate_has_a_reason():
    """``UNSOUND`` contains a reason for each printed certificate that these tests leave out."""
    printed = [vector for vector in vectors().values() if vector["kind"] == "documented"]
    left_out = [vector for vector in printed if not has_reliable_certificate(vector)]
    assert {vector["doc_quality"] for vector in left_out} <= UNSOUND.keys()
    assert (len(printed), len(left_out)) == (79, 18)


def describe_differences(documented: dict, expected: dict) -> dict:
    """Describe how the names from the recommended rules differ from the names in Microsoft's
    document.
    """
    printed, recommended = names(documented["san"]), names(expected["san"])
    relation = "documented_subset_of_default" if printed < recommended else "differs"
    return {
        "sn_equal": documented["sn"].lower() == expected["sn"].lower(),
        "relation": "equal" if printed == recommended else relation,
        "only_in_documented": sorted(printed - recommended),
        "only_in_default": sorted(recommended - printed),
    }


def refresh(name: str, certificate) -> None:
    """Update the current results in the golden file, and keep all other lines."""
    vector = vectors()[name]
    san = list(map(str, certificate.names))
    if names(san) == names(vector["default_profile"]["san"]):
        return
    tables = {"default_profile": {"sn": str(certificate.subject.common_name), "san": san}}
    if "comparison" in vector:
        tables["comparison"] = describe_differences(vector["documented"], tables["default_profile"])
    text = GOLDEN.read_text("utf-8")
    start = text.index(f"- id: {name}\n")
    head, entry, rest = re.split(
        r"(- id: .+?(?=\n- id: |\Z))", text[start:], maxsplit=1, flags=re.S
    )
    for key, table in tables.items():
        lines = yaml.safe_dump({key: table}, default_flow_style=None, sort_keys=False, width=10_000)
        block = textwrap.indent(lines, "  ")
        entry = re.sub(rf"  {key}:\n(    .*\n)+", lambda _, block=block: block, entry)
    GOLDEN.write_text(text[:start] + head + entry + rest, "utf-8", newline="\n")
    vectors.cache_clear()


@pytest.mark.parametrize("name", [n for n, v in vectors().items() if is_whole(v)])
def test_default_profile(name, request):
    """The recommended rules result in exactly the expected subject and names."""
    certificate = plan_vector(vectors()[name])
    if request.config.getoption("--refresh"):
        refresh(name, certificate)
    vector = vectors()[name]
    expected = vector["default_profile"]
    assert certificate.subject.common_name == expected["sn"].lower()
    assert names(certificate.names) == names(expected["san"])
    if "comparison" in vector:
        comparison = describe_differences(vector["documented"], expected)
        recorded = {
            k: sorted(names(v)) if isinstance(v, list) else v
            for k, v in vector["comparison"].items()
        }
        assert recorded == comparison


@pytest.mark.parametrize("name", [n for n, v in vectors().items() if has_reliable_certificate(v)])
def test_doc_example_profile(name):
    """The profile doc_example results in exactly the certificate that Microsoft's document shows."""
    vector = vectors()[name]
    certificate = plan_vector(vector, profile="doc_example")
    assert certificate.subject.common_name == vector["documented"]["sn"].lower()
    assert names(certificate.names) == names(vector["documented"]["san"])


def list_repeated_vectors() -> list[tuple[str, str]]:
    """Return each complete test vector that also applies to another product, together with the id
    of that product.
    """
    products_by_name = {
        name: [p for page in vector.get("also_in", ()) for p in REPEATED.get(page, ())]
        for name, vector in vectors().items()
    }
    products_by_name |= {name: ["sfb2019", "sfbse"] for name in OF_EVERY_VERSION}
    return [
        (name, p)
        for name, products in products_by_name.items()
        for p in products
        if is_whole(vectors()[name])
    ]


def test_skype_for_business_is_counted():
    """For Skype for Business 2015, 2019, and hybrid, Microsoft publishes 26 test vectors, 23 of
    which are complete.
    """
    skype = {n: v for n, v in vectors().items() if v.get("product", "").startswith("sfb")}
    assert (len(skype), sum(map(is_whole, skype.values()))) == (26, 23)
    assert sum(map(has_reliable_certificate, skype.values())) == 19
    assert len(list_repeated_vectors()) == 2 * 22


@pytest.mark.parametrize(("name", "product"), list_repeated_vectors())
def test_a_page_for_2019_repeats_the_tables_for_2015(name, product):
    """Microsoft's page for 2019 repeats the tables for 2015, so the subjects and names are the
    same.
    """
    vector = vectors()[name]
    for profile, expected in (
        ("default", vector["default_profile"]),
        *([("doc_example", vector["documented"])] if has_reliable_certificate(vector) else []),
    ):
        certificate = plan_vector(vector, profile=profile, product=product)
        assert certificate.subject.common_name == expected["sn"].lower()
        assert names(certificate.names) == names(expected["san"])


@pytest.mark.parametrize(
    ("name", "extra_inputs"),
    [
        ("LS13-RP-MOBILITY", {}),
        ("SFB15-RP-MOBILITY", {}),
        ("LS13-INT-ALIASES", {}),
        ("LS13-AD-EXPECT", {}),
        # Microsoft's commands also contain contoso.net, the domain of the servers. lyncnb adds this
        # domain only if an option requests it.
        ("LS13-IIS-CMD", {"sip_domains": ["contoso.com"], "autodiscover": True}),
        ("UCMA-POOL-CMD", {"pool_fqdn": "trustedapps.contoso.com"}),
        (
            "SFB-HYBRID-EDGE",
            {"access_edge_fqdn": "sip.AcquiredCompany.com", "webconf_edge_fqdn": "wc.contoso.com"},
        ),
        ("CMD-EX4-SE", {"web_external_fqdn": "atl-ext.litwareinc.com"}),
    ],
)
def test_partly_printed_names_are_planned(name, extra_inputs):
    """If a document prints only some of the names, these names are in the planned certificate."""
    vector = dict(vectors()[name])
    base = {"server_fqdn": "ee01.contoso.com"} if vector["role"] == "FrontEnd" else {}
    vector["inputs"] = base | vector["inputs"] | extra_inputs
    if name == "UCMA-POOL-CMD":
        vector["inputs"]["pool_servers"] = vector["documented"]["san"]
    assert names(plan_vector(vector).names) >= names(vector["documented"]["san"])


def test_autodiscover_patterns():
    """The certificates of Front End Servers and Directors contain both Autodiscover names for every
    SIP domain.
    """
    domains = ["contoso.com", "fabrikam.com"]
    expected = {
        f"{label}.{d}" for d in domains for label in ("lyncdiscover", "lyncdiscoverinternal")
    }
    for role in WEB_ROLES:
        vector = {
            "role": role,
            "usages": COMBINED,
            "inputs": {
                "server_fqdn": "a.contoso.com",
                "sip_domains": domains,
                "autodiscover": True,
            },
        }
        assert names(plan_vector(vector).names) >= expected
