"""For each core role, the checklist contains the expected steps for a first deployment and for a
renewal.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from string import ascii_lowercase

import pytest
from deploy.walk import NOON, OLD_END, packages_of
from topologies import edge, front_end, row, topology

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.deploy.checklist import select_server_steps, to_html, to_markdown
from lyncnb.deploy.powershell import quote_literal
from lyncnb.deploy.server_script import build_import_script
from lyncnb.deploy.sheets import list_notes
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import load_rules

TABLE = [
    front_end(1),
    front_end(2),
    front_end(3),
    edge(1),
    edge(2),
    row("med01.contoso.net", "Mediation", pool_fqdn="med.contoso.net"),
    row("med02.contoso.net", "Mediation", pool_fqdn="med.contoso.net"),
    row("dir01.contoso.net", "Director", web_external_fqdn="webdir.contoso.com"),
]


@cache
def steps(product="lync2013", *, renewal=False):
    """Return the deployment steps for servers with every core role."""
    rules = load_rules(product)
    planned = plan_certificates(topology(*TABLE), rules)
    packages = packages_of(planned, OLD_END if renewal else None)
    return build_procedure(packages, rules, now=NOON, pools=planned.topology.pools)


def find_steps(server, product="lync2013", *, renewal=False):
    """Return the steps for one server by step id, including later steps."""
    (server_steps,) = [
        s for s in steps(product, renewal=renewal).servers if s.server.startswith(server)
    ]
    return {step.step.id: step for step in server_steps.every_step}


def find_step_index(server, step, product="lync2013", *, renewal=False):
    """Return the index of a step in the list of steps for a server."""
    return list(find_steps(server, product, renewal=renewal)).index(step)


@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_each_sheet_says_who_provides_the_password(server):
    """The sheet for a server tells the administrator to request the password of each package from
    the planner.
    """
    step = find_steps(server)["passwords"]
    assert "lyncnb pfx FOLDER --show-password ID" in step.text
    assert all(package in step.text for package in packages(server))
    assert "Never send a password together with its package" in step.text


def packages(server):
    """Return the packages that one server imports."""
    (server_steps,) = [s for s in steps().servers if s.server.startswith(server)]
    return [package.file for package in server_steps.packages]


def test_roots_of_partners_are_requested():
    """If gateways or partners are in the trust plan, a step tells the administrator to request
    their root certificates.
    """
    rules = load_rules("lync2013")
    by_id = {step.id: step for step in load_procedure(rules).steps}
    for step, speaker in (
        ("chain-gateways", "gateways"),
        ("chain-partners", "federation-partners"),
    ):
        called = [c.listeners for c in rules.connections if speaker in c.speakers]
        assert set(by_id[step].roles) == set().union(*called)
    assert "chain-gateways" in find_steps("ee01")
    assert "chain-gateways" in find_steps("med01")
    assert "chain-partners" in find_steps("edge01")
    assert "chain-gateways" not in find_steps("edge01")
    assert "chain-partners" not in find_steps("med01")


def test_entra_gets_the_oauth_certificate_before_its_date_and_exchange_after():
    """In a renewal, Microsoft Entra gets the OAuth certificate before it takes effect, and Exchange
    gets it afterwards.
    """
    before, after = (find_steps("ee01", renewal=True)[n] for n in ("oauth-entra", "oauth-partners"))
    assert "Before 2026-12-21 14:00 UTC" in before.text
    assert "until the old certificate expires (2026-12-22 14:00 UTC)" in before.text
    assert after.step.phase == "later"
    assert after.title.startswith("After 2026-12-21 14:00 UTC")
    assert "-RefreshAuthMetadata" in after.text


def test_first_oauth_certificate_is_sent_to_partners():
    """In a first deployment, Microsoft Entra gets the OAuth certificate before the assignment, and
    Exchange gets it afterwards.
    """
    order = list(find_steps("ee01"))
    assert "oauth-entra" not in order
    entra, assign = order.index("oauth-entra-at-once"), order.index("assign-oauth")
    assert entra < assign < order.index("oauth-partners-at-once")


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
def test_oauth_certificate_is_assigned_without_the_console(product):
    """The OAuth certificate is replicated to all servers, and the steps describe the Certificates
    console only as an alternative.
    """
    text = find_steps("ee01", product)["assign-oauth"].text
    short, long = (
        text.index("Replication then distributes the certificate"),
        text.index("import the certificate on each"),
    )
    assert short < long
    assert "mistake" not in text


def test_a_new_simple_url_host_is_published_on_front_ends_and_directors():
    """For a new host in a simple URL, only the sheets for Front End Servers and Directors contain
    Enable-CsComputer.
    """
    assert "Enable-CsComputer" in find_steps("ee01")["enable-computer"].text
    assert "enable-computer" in find_steps("dir01")
    assert "enable-computer" not in find_steps("edge01")


def test_sheets_test_services_and_assignments():
    """The sheets for Edge Servers and Mediation Servers contain tests of the services that users
    need, in addition to tests of the assignments.
    """
    assert "Test-CsFederatedPartner" in find_steps("edge01")["verify-edge"].text
    assert "Get-CsManagementStoreReplicationStatus" in find_steps("edge01")["verify-edge"].text
    assert "Test-CsPstnPeerToPeerCall" in find_steps("med01")["verify-mediation"].text


@pytest.mark.parametrize(
    ("server", "ports"),
    [
        ("ee01", {"443, 444, 4443, 5061"}),
        # Port 5061 is for federation.
        ("edge01", {"4443, 5061, 5062, 8057", "443, 5061"}),
        ("med01", {"5070"}),
        ("dir01", {"443, 444, 4443, 5061"}),
    ],
)
def test_each_sheet_says_which_ports_show_which_certificate(server, ports):
    """Each sheet lists the ports on which the server presents each certificate.

    The OAuth certificate has none.
    """
    (server_steps,) = [s for s in steps().servers if s.server.startswith(server)]
    looks = [step for step in server_steps.steps if step.step.id == "verify-ports"]
    assert {step.text.split("ports ")[1].split(". Run")[0] for step in looks} == ports
    for step in looks:
        (package,) = [p for p in server_steps.packages if p.file == step.package]
        assert package.thumbprint in step.text
        assert "OAuthTokenIssuer" not in package.usages


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_a_new_pool_of_three_is_started_once(product):
    """From Skype for Business Server 2015 on, Start-CsPool starts a new pool of three servers
    before any failback or service start.
    """
    steps_by_id = find_steps("ee01", product)
    assert ("start-pool" in steps_by_id) == (product != "lync2013")
    if product != "lync2013":
        step = steps_by_id["start-pool"]
        assert step.commands == ("Start-CsPool -PoolFqdn 'eepool.contoso.com'",)
        assert {check.id for check in step.only_if} == {"new-server", "pool-of-three"}
        order = list(steps_by_id)
        assert order.index("assign") < order.index("start-pool") < order.index("start-front-end")
        assert "Start-CsPool" in steps_by_id["start-front-end"].text
    assert "start-pool" not in find_steps("dir01", product)


@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_provider_is_checked_before_the_key_is_repaired(server):
    """On a sheet, the step that shows the provider of a key comes before the step that deletes the
    key and imports it again.
    """
    order = list(find_steps(server))
    assert order.index("provider") < order.index("provider-again")
    assert order.index("import-edge" if server == "edge01" else "import") < order.index("provider")


@pytest.mark.parametrize("server", ["edge01", "med01", "dir01"])
def test_services_are_stopped_by_one_step(server):
    """The command that drains a server appears exactly once in the server's steps and exactly once
    in its rollback steps.
    """
    (server_steps,) = [s for s in steps().servers if s.server.startswith(server)]
    for sequence in (server_steps.steps, server_steps.back):
        assert sum("Stop-CsWindowsService" in "".join(step.commands) for step in sequence) == 1


@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_script_and_sheet_number_the_same_steps(server):
    """The script and the sheet for a server use the same numbers and titles for the steps, and mark
    manual steps.
    """
    (server_steps,) = [s for s in steps().servers if s.server.startswith(server)]
    text = build_import_script(server_steps).decode("utf-8-sig")
    table = text[text.index("\n$Steps = ") : text.index("\n$BackSteps = ")]
    entries = table.split("'Number' = ")[1:]
    assert len(entries) == len(server_steps.steps)
    sheet = to_markdown(select_server_steps(steps(), server_steps))
    page = re.sub("<wbr>", "", to_html(select_server_steps(steps(), server_steps)))
    for entry, step in zip(entries, server_steps.steps):
        assert entry.startswith(f"{quote_literal(step.number)}\r\n")
        assert f"'Name' = {quote_literal(step.name)}" in entry
        assert ("'ByHand' = $true" in entry) == step.step.by_hand
        item = step.number.rstrip(ascii_lowercase)
        lines = [x for x in sheet.splitlines() if x.startswith(f"- [ ] **{item}. ")]
        assert len(lines) == 1, item
        assert f"<td>{item}</td>" in page or step.step.part == "once"


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_edge_services_restart_without_xmpp(product):
    """Edge services are restarted after the certificate changes, so that they load the new one.

    From 2019 on, no Edge step names XMPP.
    """
    steps_by_id = find_steps("edge01", product, renewal=True)
    drain = steps_by_id["drain-edge"]
    assert {check.id for check in drain.only_if} == {"services-up", "restart-ahead"}
    assert "XMPP" not in drain.text
    assert {"drain-edge", "start-services"} <= steps_by_id.keys()
    if product in ("sfb2019", "sfbse"):
        texts = [
            step.title + step.text for key, step in steps_by_id.items() if key != "verify-ports"
        ]
        assert not [text for text in texts if "XMPP" in text]


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_only_lync_server_2013_deletes_a_certificate_for_its_provider(server, product):
    """If a certificate has the wrong provider, only the steps for Lync Server 2013 delete the
    certificate.

    For later products, the script only shows the provider.
    """
    steps_by_id = find_steps(server, product)
    assert ("provider-again" in steps_by_id) == (product == "lync2013")
    assert steps_by_id["provider"].step.goes_on
    deletes = [key for key, step in steps_by_id.items() if "-DeleteKey" in "".join(step.commands)]
    assert deletes == (["provider-again"] if product == "lync2013" else [])


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA"])
def test_sheet_stops_for_a_provider_only_where_it_has_the_next_steps(product, algorithm):
    """Only a sheet for RSA keys specifies the RSA provider. The sheet tells the administrator to
    stop only if its part "Only if needed" contains the steps for a key in a different provider.
    """
    rules = load_rules(product)
    options = PlanOptions(
        key=KeyParameters(algorithm=algorithm, bits=2048 if algorithm == "RSA" else 384)
    )
    application = row("app01.contoso.net", "TrustedApplication", pool_fqdn="app.contoso.net")
    planned = plan_certificates(topology(*TABLE, application), rules, options=options)
    written = build_procedure(packages_of(planned), rules, now=NOON)
    for server_steps in written.servers:
        sheet = to_markdown(select_server_steps(written, server_steps))
        ids = {step.step.id for step in server_steps.steps}
        assert ("RSA SChannel" in sheet) == (algorithm == "RSA"), server_steps.server
        assert ("is a Key Storage Provider, stop" in sheet) == ("provider-again" in ids)
        assert ("provider-again" in ids) == (algorithm == "RSA" and product == "lync2013")
        assert len([i for i in ids if i.startswith("import-application")]) == (
            server_steps.role == "TrustedApplication"
        )


def test_text_checklist_has_the_order_of_the_page():
    """The Markdown checklist lists the stages of the change with their servers, and has the sheets
    in this order, as the HTML page does. The reverse proxy is last.
    """
    rules = load_rules("lync2013")
    table = topology(row("rp01.contoso.com", "ReverseProxy"), *TABLE)
    written = build_procedure(packages_of(plan_certificates(table, rules)), rules, now=NOON)
    text, page = to_markdown(written), to_html(written)
    order = text.split("## The order of one evening")[1].split("\n## ")[0]
    titles = re.findall(r"(?m)^### \d+\. (.*)$", order)
    assert titles == re.findall(r"<h3>\d+\. (.*?)</h3>", page)
    assert (titles[0], titles[-1]) == ("Establish trust everywhere", "Reverse proxies")
    assert "Update the reverse proxies last." in order
    boxes = re.findall(r"(?m)^- \[ \] ([\w.-]+)", order)
    sheets = re.findall(r"(?m)^## ([\w.-]+) \(", text)
    assert boxes == [*sheets, *sheets]
    assert sheets == re.findall(r'<h2 id="([\w.-]+)">', page)[: len(sheets)]
    assert (sheets[0], sheets[-1]) == ("ee01.contoso.com", "rp01.contoso.com")
    assert "The order of one evening" not in to_markdown(
        select_server_steps(written, written.servers[0])
    )


def test_note_about_several_servers_is_complete_sentences():
    """A note about several servers contains general terms that fit into its sentences."""
    rules = load_rules("lync2013")
    farms = [row(f"owas0{n}.contoso.com", "OfficeWebApps") for n in (1, 2)]
    exchange = [row(f"um0{n}.contoso.com", "ExchangeUM") for n in (1, 2)]
    planned = plan_certificates(topology(*TABLE, *farms, *exchange), rules)
    renewed = [
        replace(package, superseded=f"serial {number:02x} of CN=Contoso CA")
        for number, package in enumerate(packages_of(planned, OLD_END))
    ]
    notes = list_notes(build_procedure(renewed, rules, now=NOON))
    text = "\n".join(f"{note.title}. {note.text}" for note in notes)
    assert "The package replaces the previous certificate. The package replaces" in text
    assert "The record before-*.csv contains the previous thumbprint" in text
    assert "contains the previous value of the location on the server sheet" in text
    assert "https://NAME/hosting/discovery" in text
    assert "test the ports listed on the server sheet" in text
    for broken in ("the record the", "the previous the", "see the sheet", "its name/"):
        assert broken not in text.lower(), broken


def test_technicians_of_a_branch_appliance_are_local_administrators():
    """The sheet for a Survivable Branch Appliance requires a local administrator, because the group
    RTCSBATechnicians is not sufficient.
    """
    rules = load_rules("lync2013")
    planned = plan_certificates(topology(*TABLE, row("sba01.contoso.net", "SBA")), rules)
    procedure = build_procedure(packages_of(planned), rules, now=NOON)
    (server_steps,) = [s for s in procedure.servers if s.server.startswith("sba01")]
    (step,) = [s for s in server_steps.steps if s.step.id == "group-branch-appliance"]
    assert "RTCUniversalSBATechnicians" in step.text
    assert "local Administrators group on sba01.contoso.net" in step.text


def test_outage_of_chat_rooms_is_announced_only_if_necessary():
    """The steps tell administrators when chat rooms close: only if no other server in the
    Persistent Chat pool is running.
    """
    (text,) = [entry.text for entry in steps().order if "PersistentChat" in entry.roles]
    assert (
        "A chat room closes only if no other server of the Persistent Chat pool is running" in text
    )


def test_mediation_server_in_use_is_never_restarted():
    """The steps restart only a new Mediation Server, and the title of the restart step begins with
    "On a new server only".
    """
    step = find_steps("med01", renewal=True)["restart-mediation"]
    assert step.title.startswith("On a new server only")
    assert "Never use this step on a server with active calls" in step.text


def test_the_order_names_pairs_next_hop_and_central_management():
    """The order of servers lists paired pools, the next hop, and the Central Management Server,
    because an administrator must not stop these servers together.
    """
    text = " ".join(entry.text for entry in steps().order)
    for phrase in ("both pools in a pair", "next hop", "Central Management", "within minutes"):
        assert phrase in text
    assert "without a pause" not in text


def test_later_steps_contain_their_dates():
    """Each later step contains its own date, so the pages do not contain the general statement that
    later steps wait until the old certificate has expired.
    """
    for page in (to_html(steps(renewal=True)), to_markdown(steps(renewal=True))):
        assert "waits until the old certificate has ended" not in page


def test_title_of_a_custom_product_is_escaped():
    """If the title of a custom product contains markup, it is shown as text in the checklist and on
    the HTML page.
    """
    evil = replace(steps(renewal=True), title="<img src=x> | [a](http://x)")
    checklist = to_markdown(evil)
    assert "<img" not in checklist
    # The title of the product appears in the heading and in the summary.
    assert checklist.count("&lt;img src=x&gt;") == 2
    assert "<img src=x>" not in to_html(evil)
