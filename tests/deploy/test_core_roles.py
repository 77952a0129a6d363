"""For each core role, the checklist contains the expected steps for a first deployment and for a
renewal.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
from deploy.sheet_blocks import select_server_steps
from deploy.walk import NOON, OLD_END, packages_of
from topologies import edge, front_end, row, topology

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.deploy.checklist import to_html, to_markdown
from lyncnb.deploy.powershell import quote_literal
from lyncnb.deploy.server_script import build_script
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
    return build_procedure(packages_of(planned, OLD_END if renewal else None), rules, now=NOON)


def find_steps(server, product="lync2013", *, renewal=False):
    """Return the steps for one server by step id, including later steps."""
    (server_steps,) = [
        s for s in steps(product, renewal=renewal).servers if s.server.startswith(server)
    ]
    return {step.step.id: step for step in server_steps.every_step}


def find_step_index(server, step, product="lync2013", *, renewal=False):
    """Return the index of a step in the list of steps for a server."""
    return list(find_steps(server, product, renewal=renewal)).index(step)


def test_order_page_says_who_keeps_the_passwords():
    """The order page tells the planner to keep the passwords apart from the packages."""
    page = to_markdown(steps())
    assert "the packages by a second. Keep the passwords for the telephone" in page


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
    assert "Before 2026-12-02 12:00 UTC" in before.title
    assert "until the old certificate expires (2026-12-22 14:00 UTC)" in before.text
    assert after.step.stage == "after"
    assert "Update-MgServicePrincipal" in before.commands[-1]
    assert "00000004-0000-0ff1-ce00-000000000000" in before.commands[2]
    assert after.title.startswith("After 2026-12-02 12:00 UTC")
    assert "-RefreshAuthMetadata" in after.text


def test_first_oauth_certificate_is_sent_to_partners():
    """In a first deployment, Microsoft Entra gets the OAuth certificate before the assignment, and
    Exchange gets it afterwards.
    """
    order = list(find_steps("ee01"))
    assert "oauth-entra" not in order
    entra, exchange = (find_steps("ee01")[f"oauth-{n}-at-once"] for n in ("entra", "partners"))
    assert (entra.step.stage, entra.step.unit) == ("before", "outside")
    assert (exchange.step.stage, exchange.step.unit) == ("after", "outside")


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
def test_oauth_certificate_is_assigned_before_the_first_start(product):
    """In a new deployment, OAuth is assigned before any service starts, and the other servers run
    Step 1 of the wizard only after it.
    """
    order = list(find_steps("ee01", product))
    assert order.index("assign-oauth") < order.index("start-services")
    assert "wizard-oauth" not in order
    assert find_steps("ee02", product)["wizard-oauth"].title.startswith(
        "When ee01.contoso.com has assigned OAuthTokenIssuer"
    )


def test_a_new_simple_url_host_is_published_on_front_ends_and_directors():
    """If the names of certificates change, only the sheets for Front End Servers and Directors ask
    for the host of a simple URL. If the names stay the same, no sheet does.
    """
    rules = load_rules()
    packages = packages_of(plan_certificates(topology(*TABLE), rules), OLD_END)

    def find_servers(renamed):
        changed = [replace(package, renamed=renamed) for package in packages]
        pages = build_procedure(changed, rules, now=NOON).servers
        return {
            page.server.partition(".")[0]
            for page in pages
            for step in page.every_step
            if "Enable-CsComputer" in step.commands
        }

    assert find_servers(False) == set()
    assert {"ee01", "dir01"} <= find_servers(True)
    assert "edge01" not in find_servers(True)


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
        ("ee01", "443, 444, 4443, 5061"),
        ("edge01", "4443, 5061, 5062, 8057"),
        ("med01", "5070"),
        ("dir01", "443, 444, 4443, 5061"),
    ],
)
def test_each_sheet_says_which_ports_the_probe_asks(server, ports):
    """Each sheet has the command that compares the ports, and lists those that always show a
    certificate. No sheet asks a port that shows none, such as XMPP or A/V.
    """
    step = find_steps(server)["verify-probe"]
    assert "lyncnb probe from inside" in step.title
    assert step.expected == f"As planned: {ports}."
    assert "5269" not in to_markdown(steps())
    assert "openssl" not in to_markdown(steps())


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
        order = list(steps_by_id)
        assert order.index("assign") < order.index("start-pool") < order.index("start-services")
    assert "start-pool" not in find_steps("dir01", product)


@pytest.mark.parametrize("server", ["edge01", "med01", "dir01"])
def test_services_are_stopped_by_one_step(server):
    """The command that drains a server appears exactly once in the server's steps and exactly once
    in its rollback steps.
    """
    every = steps(renewal=True).servers
    (server_steps,) = [s for s in every if s.server.startswith(server)]
    for sequence in (server_steps.steps, server_steps.back):
        stops = [command for step in sequence for command in step.commands]
        assert stops.count("Stop-CsWindowsService -Graceful") == 1


@pytest.mark.parametrize("renewal", [False, True])
@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_script_and_sheet_number_the_same_steps(server, renewal):
    """The script and the sheet for a server use the same numbers for the steps."""
    procedure = steps(renewal=renewal)
    (server_steps,) = [s for s in procedure.servers if s.server.startswith(server)]
    text = build_script(server_steps).decode("utf-8-sig")
    table = text[text.index("\n$Steps = ") : text.index("\n$BackSteps = ")]
    entries = table.split("'Number' = ")[1:]
    scripted = [step for step in server_steps.steps if step.step.is_scripted]
    assert len(entries) == len(scripted)
    sheet = to_markdown(select_server_steps(procedure, server_steps))
    for entry, step in zip(entries, scripted):
        title = step.name.removeprefix(f"{step.number}. ")
        assert entry.startswith(f"{quote_literal(step.number)}; 'Title' = {quote_literal(title)}")
        assert ("'ByHand' = $true" in entry) == step.step.by_hand
        assert sheet.count(f"\n- [ ] **{step.number}** ") == 1


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_edge_services_restart_without_xmpp(product):
    """Edge services are restarted after the certificate changes, so that they load the new one.

    From 2019 on, no Edge step names XMPP.
    """
    steps_by_id = find_steps("edge01", product, renewal=True)
    drain = steps_by_id["drain"]
    assert {check.id for check in drain.only_if} == {"services-up", "restart-ahead"}
    assert "XMPP" not in drain.text
    assert {"drain", "start-services"} <= steps_by_id.keys()
    if product in ("sfb2019", "sfbse"):
        texts = [
            step.title + step.text for key, step in steps_by_id.items() if key != "verify-outside"
        ]
        assert not [text for text in texts if "XMPP" in text]


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
@pytest.mark.parametrize("server", ["ee01", "edge01", "med01", "dir01"])
def test_no_certificate_is_deleted_on_the_day_of_the_change(server, product):
    """Keys are imported into the right provider from the start, so no step deletes a certificate
    before its end.
    """
    steps_by_id = find_steps(server, product, renewal=True)
    deletes = [key for key, step in steps_by_id.items() if "-DeleteKey" in "".join(step.commands)]
    assert deletes == ["remove-superseded"]
    assert steps_by_id["remove-superseded"].caution == "After 2026-12-22 14:00 UTC:"
    assert "-csp 'Microsoft RSA SChannel" in steps_by_id["import"].commands[0]


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
@pytest.mark.parametrize("algorithm", ["RSA", "ECDSA"])
def test_only_a_sheet_for_rsa_keys_names_the_provider(product, algorithm):
    """Only a sheet for RSA keys specifies the RSA provider, and only where the role needs it."""
    rules = load_rules(product)
    options = PlanOptions(
        key=KeyParameters(algorithm=algorithm, bits=2048 if algorithm == "RSA" else 384)
    )
    application = row("app01.contoso.net", "TrustedApplication", pool_fqdn="app.contoso.net")
    planned = plan_certificates(topology(*TABLE, application), rules, options=options)
    written = build_procedure(packages_of(planned), rules, now=NOON)
    for server_steps in written.servers:
        sheet = to_markdown(select_server_steps(written, server_steps))
        assert ("-csp 'Microsoft RSA SChannel" in sheet) == (algorithm == "RSA"), (
            server_steps.server
        )


def test_text_checklist_has_the_order_of_the_page():
    """The Markdown checklist lists the rows of the order page, and has the sheets in this order, as
    the HTML page does. The reverse proxy is last.
    """
    rules = load_rules("lync2013")
    table = topology(row("rp01.contoso.com", "ReverseProxy"), *TABLE)
    written = build_procedure(packages_of(plan_certificates(table, rules)), rules, now=NOON)
    text, page = to_markdown(written), to_html(written)
    order = text.split("## Who does what, and when")[1].split("\n## ")[0]
    numbers = re.findall(r"(?m)^- \[ \] \*\*(\d+)\. ", order)
    assert numbers == [*map(str, range(1, len(numbers) + 1))]
    sheets = re.findall(r"(?m)^## ([\w.-]+)", text)[1:]
    assert sheets == re.findall(r'<h2 id="([\w.-]+)">', page)
    assert (sheets[0], sheets[-1]) == ("eepool.contoso.com", "rp01.contoso.com")
    first, then = (
        order.index("ee01.contoso.com: sheet"),
        order.index("only now Step 1 of the wizard"),
    )
    together = order.index("Start ee01.contoso.com, ee02.contoso.com, ee03.contoso.com within")
    assert first < then < together < order.index("rp01.contoso.com: sheet")


def test_technicians_of_a_branch_appliance_are_local_administrators():
    """The sheet for a Survivable Branch Appliance requires a local administrator, because the group
    RTCSBATechnicians is not sufficient.
    """
    rules = load_rules("lync2013")
    planned = plan_certificates(topology(*TABLE, row("sba01.contoso.net", "SBA")), rules)
    procedure = build_procedure(packages_of(planned), rules, now=NOON)
    (server_steps,) = [s for s in procedure.servers if s.server.startswith("sba01")]
    (step,) = [s for s in server_steps.steps if s.step.id == "account"]
    assert "RTCUniversalSBATechnicians" in step.text
    assert "local Administrators group" in step.text


def test_outage_of_chat_rooms_is_announced_only_if_necessary():
    """The steps tell administrators when chat rooms close: only if no other server in the
    Persistent Chat pool is running.
    """
    (text,) = [entry.text for entry in steps().procedure.order if "PersistentChat" in entry.roles]
    assert (
        "A chat room closes only if no other server of the Persistent Chat pool is running" in text
    )


def test_mediation_server_in_use_is_never_restarted():
    """The steps restart only a new Mediation Server."""
    assert "restart-mediation" not in find_steps("med01", renewal=True)
    assert "restart-mediation" in find_steps("med01")


def test_the_order_names_next_hop_and_central_management():
    """The order of servers lists the next hop and the Central Management Server, because an
    administrator must not stop these servers together with others.
    """
    text = " ".join(entry.text for entry in steps().procedure.order)
    for phrase in ("next hop", "Central Management"):
        assert phrase in text
    assert "without a pause" not in text


def test_title_of_a_custom_product_is_escaped():
    """If the title of a custom product contains markup, it is shown as text in the checklist and on
    the HTML page.
    """
    evil = replace(steps(renewal=True), title="<img src=x> | [a](http://x)")
    checklist = to_markdown(evil)
    assert "<img" not in checklist
    assert checklist.count("&lt;img src=x&gt;") == 1
    assert "<img src=x>" not in to_html(evil)
