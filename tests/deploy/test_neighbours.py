"""The scripts for Exchange, Office Web Apps, reverse proxies and trusted applications run on
simulated servers.
"""

from __future__ import annotations

import pytest
from deploy.sheet_blocks import paste, render_sheet
from deploy.walk import (
    NOON,
    WEB_CONFIG,
    all_lines,
    changes_after_trust,
    join_lines,
    list_differences,
    old_thumbprint,
    packages_of,
    running,
    servers_in_order,
    world_of,
)
from powershell_kit import needs_pwsh
from topologies import front_end, row, topology

from lyncnb.deploy.checklist import to_markdown
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.options import DEFAULT_OPTIONS, PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules

pytestmark = needs_pwsh

FARM = [row(f"owas0{n}.contoso.com", "OfficeWebApps", "owas.contoso.com") for n in (1, 2, 3)]
MAIL = [row("um01.contoso.com", "ExchangeUM")]
OWA = [row(f"owa0{n}.contoso.com", "ExchangeOWA", "owapool.contoso.com") for n in (1, 2)]
APPLICATIONS = [row(f"app0{n}.contoso.com", "TrustedApplication", "apps.contoso.com") for n in (1, 2)]  # fmt: skip


def steps_of(rows, product="lync2013", options=DEFAULT_OPTIONS, joining=""):
    """Return the deployment steps for the given servers and a Front End pool."""
    rules = load_rules(product)
    planned = plan_certificates(topology(front_end(1), *rows), rules, options=options)
    packages = packages_of(planned)
    procedure = build_procedure(
        packages, rules, now=NOON, cases=running(packages) | ({joining: "join"} if joining else {})
    )
    roles = {r["role"] for r in rows}
    return procedure, [page for page in servers_in_order(procedure) if page.role in roles]


def begin(walk, procedure, **changes):
    """Start the simulation with servers that are in use. The `changes` apply to every server except
    the Front End Servers.
    """
    world = world_of(procedure, in_use=True)
    for server_state in world["servers"].values():
        if not server_state["name"].startswith("ee"):
            server_state |= changes
    walk.begin(world, procedure)
    return world


def test_certificate_of_a_farm_is_assigned_once(walk):
    """The script assigns the certificate of a farm once, after every server has it and the
    administrator answers Yes.
    """
    procedure, pages = steps_of(FARM)
    begin(walk, procedure)
    first = walk.run(pages[0], answers="N\n")
    assert first["code"] == 1
    assert "every server in the farm (" in join_lines(first)
    assert not [change for change in first["changes"] if "OfficeWebAppsFarm" in change]
    second = walk.run(pages[1], answers="N\n")
    third = walk.run(pages[2], answers="Y\n")
    assert (second["code"], third["code"], third["harm"]) == (1, 0, [])
    assert [walk.run(page)["changes"] for page in pages] == [[], [], []]
    assert [line for line in list_differences(procedure, walk.world()) if "farm" in line] == []
    rollback = walk.run(pages[1], "Back")
    assert rollback["code"] == 0, all_lines([rollback])
    assert {
        server_state["farm"]
        for server_state in walk.world()["servers"].values()
        if server_state["farm"]
    } == {f"old {pages[0].packages[0].friendly_name}"}


def test_farm_behind_a_decrypting_load_balancer_does_not_change(walk):
    """If a load balancer decrypts the traffic of a farm, the administrator installs the certificate
    on the load balancer, and the farm does not change.
    """
    procedure, pages = steps_of(FARM)
    begin(walk, procedure, offloads=True)
    run = walk.run(pages[0])
    assert (run["code"], run["harm"]) == (0, [])
    assert "Does a load balancer decrypt TLS for the farm?" in to_markdown(procedure)
    assert not [change for change in run["changes"] if "OfficeWebAppsFarm" in change]


@pytest.mark.parametrize("offloads", [False, True], ids=["decrypts", "offloaded"])
def test_farm_of_one_server_needs_no_confirmation(walk, offloads):
    """In a farm with one server, the script assigns the certificate without asking for
    confirmation.

    If the load balancer decrypts, it assigns nothing.
    """
    procedure, (page,) = steps_of(FARM[:1])
    begin(walk, procedure, offloads=offloads)
    run = walk.run(page, answers="N\n")
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    farm_changes = [change for change in run["changes"] if "OfficeWebAppsFarm" in change]
    assert len(farm_changes) == (0 if offloads else 1)
    rollback = walk.run(page, "Back")
    assert (rollback["code"], rollback["harm"]) == (0, []), all_lines([rollback])
    farm = walk.world()["servers"][page.server]["farm"]
    assert farm == f"old {page.packages[0].friendly_name}"


def test_new_server_must_join_its_farm(walk):
    """If a server belongs to no farm, the script stops, and the page shows the command that joins
    the server to the farm.
    """
    procedure, pages = steps_of(FARM, joining="owas02.contoso.com")
    begin(walk, procedure, farm="")
    run = walk.run(pages[1])
    assert run["code"] == 1
    assert "New-OfficeWebAppsMachine -MachineToJoin 'owas01.contoso.com'" in join_lines(run)


@pytest.mark.slow
@pytest.mark.parametrize("router", ["", "TCP", "TLS"], ids=["no router", "router", "router TLS"])
@pytest.mark.parametrize("mode", ["TCP", "TLS", "Dual"])
def test_only_voice_mail_services_get_the_certificate(walk, mode, router):
    """In Exchange, the script changes the certificate only for the services UM and UMCallRouter.

    A TLS mode stays, and the way back restores all values.
    """
    procedure, (page,) = steps_of(MAIL)
    before = {
        "UM": old_thumbprint(page.packages[0]),
        "SMTP": old_thumbprint(page.packages[0]),
        "IIS": "other",
    }
    if router:
        before["UMCallRouter"] = old_thumbprint(page.packages[0])
    begin(walk, procedure, ummode=mode, routermode=router, exchange=dict(before))
    run = walk.run(page)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    server_state = walk.world()["servers"][page.server]
    new = page.packages[0].thumbprint
    changed = {
        service for service, thumbprint in server_state["exchange"].items() if thumbprint == new
    }
    assert changed == ({"UM", "UMCallRouter"} if router else {"UM"})
    assert server_state["ummode"] == ("Dual" if mode == "TCP" else mode)
    assert server_state["routermode"] == {"": "", "TCP": "Dual", "TLS": "TLS"}[router]
    assert walk.run(page, "Verify")["code"] == 0
    rollback = walk.run(page, "Back")
    assert (rollback["code"], rollback["harm"]) == (0, []), all_lines([rollback])
    server_state = walk.world()["servers"][page.server]
    assert server_state["exchange"] == before
    assert (server_state["ummode"], server_state["routermode"]) == (mode, router)
    assert walk.run(page, "Back")["changes"] == []
    assert walk.run(page, "Back", "Verify")["code"] == 0


def test_without_the_commands_of_exchange_nothing_is_changed(walk):
    """If PowerShell lacks the Exchange commands, the script stops before any change and names the
    shell to use.
    """
    procedure, (page,) = steps_of(MAIL)
    begin(walk, procedure)
    for switches in ((), ("Back",), ("Verify",)):
        run = walk.run(page, *switches, without=["Get-ExchangeCertificate"])
        assert (run["code"], run["changes"], run["calls"]) == (1, [], 0)
        text = join_lines(run)
        assert "The command Get-ExchangeCertificate does not exist in this shell." in text
        assert "Run this script in Exchange Management Shell." in text
    assert walk.run(page)["code"] == 0


@pytest.mark.parametrize(
    "command", ["Get-ExchangeCertificate", "Set-UMService", "Enable-ExchangeCertificate"]
)
def test_an_error_of_an_exchange_command_stops_the_script(walk, command):
    """The script runs each Exchange command with -ErrorAction Stop, because the commands ignore the
    preference variable of the script.
    """
    procedure, (page,) = steps_of(MAIL)
    begin(walk, procedure, ummode="TCP")
    run = walk.run(page, fault={"command": command, "kind": "error"})
    assert (run["code"], run["struck"].split()[0]) == (1, command)
    assert f"{command} wrote an error as the case asks" in join_lines(run)
    assert walk.run(page)["code"] == 0


def test_web_config_is_where_exchange_is_installed(walk):
    """The script gets the folder of web.config from the computer, so Exchange may be installed in
    any folder.
    """
    procedure, pages = steps_of(OWA)
    begin(walk, procedure, exchangeversion="15.0")
    walk.do_manual_steps(pages[0])
    walk.set(pages[0].server, my=[pages[0].packages[0].thumbprint])
    check_text = (
        f"IMCertificateThumbprint of Outlook Web App uses {pages[0].packages[0].thumbprint}"
    )
    assert f"yes {check_text}" in join_lines(walk.run(pages[0], "Verify"))
    walk.set(pages[0].server, exchangepath="C:\\elsewhere")
    assert f"CANNOT TELL {check_text}" in join_lines(walk.run(pages[0], "Verify"))


def test_changed_mode_stops_going_back(walk):
    """If the mode of Unified Messaging was changed after the certificates were replaced, the script
    with -Back changes nothing.
    """
    procedure, (page,) = steps_of(MAIL)
    begin(walk, procedure, ummode="TCP")
    walk.run(page)
    walk.set(page.server, ummode="TLS")
    rollback = walk.run(page, "Back")
    assert (rollback["code"], rollback["changes"]) == (1, [])
    assert "UMStartupMode of Unified Messaging: it uses TLS" in join_lines(rollback)


def test_voice_mail_without_an_earlier_certificate_keeps_the_new_one(walk):
    """Exchange cannot remove a certificate from a service, so the script with -Back keeps the new
    certificate and states that it cannot be removed.
    """
    procedure, (page,) = steps_of(MAIL)
    begin(walk, procedure, exchange={})
    walk.run(page)
    rollback = walk.run(page, "Back", answers="Y\n")
    assert rollback["code"] == 2
    assert "cannot be removed" in join_lines(rollback)


def test_override_is_changed_when_every_server_has_the_certificate(walk):
    """In Exchange 2016, the script changes only the thumbprint in the override, and -Back restores
    it.
    """
    procedure, pages = steps_of(OWA, "sfb2015")
    world = begin(walk, procedure, exchangeversion="15.1")
    new = pages[0].packages[0].thumbprint
    earlier = ["IMServerName=eepool.contoso.com", f"IMCertificateThumbprint={old_thumbprint(pages[0].packages[0])}"]  # fmt: skip
    world["overrides"] = {"IM": {"name": "IM", "server": "", "parameters": list(earlier)}}
    walk.begin(world, procedure)
    first = walk.run(pages[0], answers="N\n")
    assert first["code"] == 1
    assert "every Exchange server to which the override applies has" in join_lines(first)
    assert not [change for change in first["changes"] if "SettingOverride" in change]
    second = walk.run(pages[1], answers="Y\n")
    assert (second["code"], second["harm"]) == (0, []), all_lines([second])
    repeated_run = walk.run(pages[0])
    assert (repeated_run["code"], repeated_run["changes"]) == (0, []), all_lines([repeated_run])
    assert walk.run(pages[0], "Verify")["code"] == 0
    parameters = walk.world()["overrides"]["IM"]["parameters"]
    assert parameters == [earlier[0], f"IMCertificateThumbprint={new}"]
    rollback = walk.run(pages[1], "Back")
    assert rollback["code"] == 0, all_lines([rollback])
    assert walk.world()["overrides"]["IM"]["parameters"] == earlier


@pytest.mark.parametrize(("version", "words"), [("15.0", "web.config"), ("15.2", "override")])
def test_version_of_exchange_selects_the_steps(walk, version, words):
    """The script gets the version of Exchange as text, as in a remote session, and runs exactly one
    set of steps for it.
    """
    procedure, pages = steps_of(OWA, "sfb2019")
    begin(walk, procedure, exchangeversion=version)
    run = walk.run(pages[0])
    assert run["code"] == 1
    assert words in join_lines(run)


def test_application_account_must_be_able_to_read_the_key(walk):
    """Before the script assigns a certificate, it asks on each computer whether the account of the
    application can read the key.
    """
    procedure, pages = steps_of(APPLICATIONS)
    begin(walk, procedure)
    run = walk.run(pages[0], answers="N\n")
    assert run["code"] == 1
    assert "the application's service account can read the key" in join_lines(run)
    assert not [change for change in run["changes"] if "Set-CsCertificate" in change]
    assert walk.run(pages[0], answers="Y\n")["code"] == 0
    # After the certificate is assigned, the script does not ask again.
    assert walk.run(pages[0])["code"] == 0


def test_application_without_a_replica_needs_an_answer(walk):
    """If a trusted application has no replica, the script asks whether the application is manually
    provisioned.

    After No it installs only trust, and with a replica it assigns.
    """
    procedure, pages = steps_of(APPLICATIONS)
    begin(walk, procedure, replica=False)
    run = walk.run(pages[0], "TrustInstalled", answers="N\n")
    assert (run["code"], changes_after_trust(run), run["harm"]) == (1, [], [])
    assert "You answered No. Not confirmed: the application is manually provisioned" in join_lines(
        run
    )
    assert "before-" not in " ".join(walk.read(pages[0].server))
    # The administrator of the application uses automatic provisioning.
    walk.set(pages[0].server, replica=True)
    run = walk.run(pages[0], "TrustInstalled", answers="Y\n" * 4)
    assert run["code"] == 0
    assert [change for change in run["changes"] if "Set-CsCertificate" in change]


def test_manually_provisioned_application(walk):
    """For a manually provisioned application, the script installs the CA certificates, the
    certificate, and the key, and the administrator changes the configuration.
    """
    procedure, pages = steps_of(APPLICATIONS)
    begin(walk, procedure, replica=False)
    page, thumbprint = pages[0], pages[0].packages[0].thumbprint
    run = walk.run(page, "TrustInstalled", answers="Y\n" * 4)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    text = join_lines(run)
    assert text.index("Import TrustedApplication") < text.index("account read access to the key")
    sheet = to_markdown(procedure)
    assert sheet.index("in the application's own configuration") < sheet.index(
        "Restart the application"
    )
    assert not [change for change in run["changes"] if "Set-CsCertificate" in change]
    server_state = walk.world()["servers"][page.server]
    assert thumbprint in server_state["my"]
    assert server_state["root"]
    repeated_run = walk.run(page, "TrustInstalled", answers="Y\n" * 4)
    assert (repeated_run["code"], repeated_run["changes"]) == (0, []), all_lines([repeated_run])
    assert walk.run(page, "Verify")["code"] == 0
    rollback = walk.run(page, "Back")
    assert (rollback["code"], rollback["changes"]) == (0, []), all_lines([rollback])
    assert "Specify the previous certificate in the application's own configuration" in sheet


# The following tests are about reverse proxies.


PROXY = [row("rp01.contoso.com", "ReverseProxy")]


def test_listener_with_another_certificate_is_reported(walk):
    """If another product presents a different certificate on port 443, the script reports this at
    the end of a run and with -Verify.
    """
    procedure, (page,) = steps_of(PROXY)
    begin(walk, procedure, bindings={}, listener=old_thumbprint(procedure.servers[-1].packages[0]))
    walk.set(page.server, listener=old_thumbprint(page.packages[0]))
    run = walk.run(page)
    assert run["code"] == 2, all_lines([run])
    assert "port 443 on this server presents" in join_lines(run)
    assert f"meet.contoso.com: {old_thumbprint(page.packages[0])}" in join_lines(
        walk.run(page, "Verify")
    )
    assert walk.run(page, "Verify")["code"] == 1
    walk.set(page.server, listener=page.packages[0].thumbprint)
    assert walk.run(page)["code"] == 0
    assert walk.run(page, "Verify")["code"] == 0
    walk.set(page.server, listener="")
    assert "CANNOT TELL" in join_lines(walk.run(page, "Verify"))


def test_each_binding_of_iis_gets_the_certificate(walk):
    """The script assigns the new certificate to the IIS bindings for its names, and -Back restores
    the earlier certificate of each binding.
    """
    procedure, (page,) = steps_of(PROXY)
    package = page.packages[0]
    before = {
        "*:443:": old_thumbprint(package),
        "*:443:meet.contoso.com": old_thumbprint(package),
        "*:443:dialin.contoso.com": old_thumbprint(procedure.servers[0].packages[0]),
        "*:443:shop.fabrikam.com": old_thumbprint(package),
        "10.0.0.9:443:": old_thumbprint(procedure.servers[0].packages[0]),
    }
    world = begin(walk, procedure, bindings=dict(before))
    server_state = world["servers"][page.server]
    server_state["my"] += [old_thumbprint(procedure.servers[0].packages[0])]
    server_state["keys"] += [old_thumbprint(procedure.servers[0].packages[0])]
    other = world["certificates"][old_thumbprint(procedure.servers[0].packages[0])]
    other["name"] = "portal.contoso.com 1"
    walk.begin(world, procedure)
    run = walk.run(page)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    after = walk.world()["servers"][page.server]["bindings"]
    changed = {key for key, thumbprint in after.items() if thumbprint == package.thumbprint}
    assert changed == {"*:443:", "*:443:meet.contoso.com", "*:443:dialin.contoso.com"}
    assert {key: before[key] for key in before if key not in changed} == {
        key: after[key] for key in after if key not in changed
    }
    assert walk.run(page)["changes"] == []
    assert walk.run(page, "Verify")["code"] == 0
    rollback = walk.run(page, "Back")
    assert (rollback["code"], rollback["harm"]) == (0, []), all_lines([rollback])
    assert walk.world()["servers"][page.server]["bindings"] == before
    assert walk.run(page, "Back")["changes"] == []


@pytest.mark.parametrize("kind", ["break", "fail", "error"])
def test_failure_of_any_command_loses_no_binding(walk, kind):
    """If any command fails, each IIS binding still has a certificate, and the next run completes
    the change.
    """
    procedure, (page,) = steps_of(PROXY)
    package = page.packages[0]
    before = dict.fromkeys(("*:443:", "*:443:meet.contoso.com"), old_thumbprint(package))
    for position in (2, 7, 12, 13, 15, 16):
        begin(walk, procedure, bindings=dict(before))
        broken = walk.run(page, fault={"at": position, "kind": kind})
        assert broken["struck"], position
        middle = walk.world()["servers"][page.server]["bindings"]
        assert middle.keys() == before.keys()
        assert set(middle.values()) <= {old_thumbprint(package), package.thumbprint}
        next_run = walk.run(page)
        assert (next_run["code"], next_run["harm"]) == (0, []), all_lines([broken, next_run])
        after = walk.world()["servers"][page.server]["bindings"]
        assert set(after.values()) == {package.thumbprint}
        assert walk.run(page, "Back")["code"] == 0
        assert walk.world()["servers"][page.server]["bindings"] == before


def test_each_application_of_web_application_proxy_gets_the_certificate(walk):
    """Each application that Web Application Proxy publishes gets the certificate that contains its
    host, and -Back restores the earlier one.
    """
    procedure, (page,) = steps_of(PROXY)
    package = page.packages[0]
    before = {
        "1a": {"url": "https://meet.contoso.com/", "thumbprint": old_thumbprint(package)},
        "2b": {"url": "https://webcon01.contoso.com/", "thumbprint": old_thumbprint(package)},
        "3c": {"url": "https://shop.fabrikam.com/", "thumbprint": old_thumbprint(package)},
    }
    begin(walk, procedure, bindings={}, applications={k: dict(v) for k, v in before.items()})
    run = walk.run(page)
    # If no application publishes a name in the certificate, the script lists this name as a
    # remaining task.
    assert (run["code"], run["harm"]) == (2, []), all_lines([run])
    after = walk.world()["servers"][page.server]["applications"]
    changed = {
        key for key, application in after.items() if application["thumbprint"] == package.thumbprint
    }
    assert changed == {"1a", "2b"}
    rollback = walk.run(page, "Back")
    assert rollback["code"] == 0, all_lines([rollback])
    assert walk.world()["servers"][page.server]["applications"] == before


def test_wildcard_selects_only_names_that_it_covers(walk):
    """A wildcard name selects the IIS bindings and published applications whose name has exactly
    one label in its place, as clients match names (RFC 6125, section 6.4.3).
    """
    procedure, (page,) = steps_of(PROXY, options=PlanOptions(wildcard=True))
    package = page.packages[0]
    assert "*.contoso.com" in package.san
    hosts = ("meet.contoso.com", "MEET.contoso.com", "mail.intern.contoso.com", "contoso.com")
    other = old_thumbprint(package)
    applications = {
        str(number): {"url": f"https://{host}/", "thumbprint": other}
        for number, host in enumerate(hosts)
    }
    bindings = {f"10.0.0.{number}:443:{host}": other for number, host in enumerate(hosts)}
    begin(walk, procedure, bindings=bindings, applications=applications)
    run = walk.run(page)
    assert run["harm"] == [], all_lines([run])
    after = walk.world()["servers"][page.server]
    for number, host in enumerate(hosts):
        expected = package.thumbprint if host.lower() == "meet.contoso.com" else other
        assert after["bindings"][f"10.0.0.{number}:443:{host}"] == expected, host
        assert after["applications"][str(number)]["thumbprint"] == expected, host


def test_later_binding_keeps_the_new_certificate(walk):
    """If an IIS binding is added after the script saved the earlier assignments, -Back does not
    change the certificate of this binding, and shows a message about it.
    """
    procedure, (page,) = steps_of(PROXY)
    package = page.packages[0]
    begin(walk, procedure, bindings={"*:443:": old_thumbprint(package)})
    assert walk.run(page)["code"] == 0
    later = {"*:443:": package.thumbprint, "*:443:meet.contoso.com": package.thumbprint}
    walk.set(page.server, bindings=later)
    rollback = walk.run(page, "Back")
    assert rollback["code"] == 2, all_lines([rollback])
    assert (
        "https binding of IIS *:443:meet.contoso.com: no certificate was in use before"
        in join_lines(rollback)
    )
    assert walk.world()["servers"][page.server]["bindings"] == {
        **later,
        "*:443:": old_thumbprint(package),
    }


def test_what_if_lists_the_bindings(walk):
    """With -WhatIf, the script lists the IIS bindings that it would set, but changes none of them."""
    procedure, (page,) = steps_of(PROXY)
    begin(walk, procedure)
    run = walk.run(page, "WhatIf")
    assert (run["code"], run["changes"]) == (0, []), all_lines([run])
    assert "would be done" in join_lines(run)


# The following tests are about the file web.config of Exchange 2013.


@pytest.mark.parametrize("product", ["lync2013", "sfb2015"])
def test_one_attribute_in_web_config_is_changed_and_restored(walk, product):
    """The script changes only the thumbprint in web.config. If an administrator runs it with -Back,
    it restores the old thumbprint.
    """
    procedure, pages = steps_of(OWA, product)
    begin(walk, procedure, exchangeversion="15.0")
    page, package = pages[0], pages[0].packages[0]
    walk.configure(page.server, old_thumbprint(package))
    before = walk.file(page.server, WEB_CONFIG)
    run = walk.run(page)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    after = walk.file(page.server, WEB_CONFIG)
    assert (
        after.replace(package.thumbprint, old_thumbprint(package)).split()
        == before.replace("'", '"').split()
    )
    assert walk.run(page)["changes"] == []
    assert walk.file(page.server, WEB_CONFIG) == after
    assert walk.run(page, "Verify")["code"] == 0
    rollback = walk.run(page, "Back")
    assert rollback["code"] == 0, all_lines([rollback])
    assert walk.file(page.server, WEB_CONFIG).split() == before.replace("'", '"').split()


@pytest.mark.parametrize("product", ["lync2013", "sfb2015"])
def test_web_config_without_the_keys_is_changed_by_the_block_on_the_sheet(walk, product):
    """If web.config lacks both keys, the script stops. The block on the sheet adds them, also if it
    is pasted twice, and -Back does not remove them.
    """
    procedure, pages = steps_of(OWA, product)
    begin(walk, procedure, exchangeversion="15.0")
    page, package = pages[0], pages[0].packages[0]
    run = walk.run(page)
    assert run["code"] == 1
    assert "This is not true: the web.config file of Outlook Web App contains" in join_lines(run)
    blocks = [block for row in render_sheet(procedure, page.stem) for block in row.blocks]
    (block,) = (block for block in blocks if "CreateElement" in "".join(block))
    registrar = next(server.pool for server in procedure.servers if server.role == "FrontEnd")
    for _ in range(2):
        run = paste(walk, page.server, block)
        assert "ERROR" not in all_lines([run])
        assert run["harm"] == []
    config = walk.file(page.server, WEB_CONFIG)
    for key, value in (
        ("IMCertificateThumbprint", package.thumbprint),
        ("IMServerName", registrar),
    ):
        assert config.count(f'<add key="{key}" value="{value}" />') == 1
    run = walk.run(page)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    rollback = walk.run(page, "Back")
    assert rollback["code"] == 2, all_lines([rollback])
    assert (
        "no certificate was in use before, and the new certificate cannot be removed"
        in join_lines(rollback)
    )


@pytest.mark.parametrize("product", ["lync2013", "sfb2015"])
def test_outlook_web_app_uses_the_certificate_of_unified_messaging(walk, product):
    """If web.config contains the earlier certificate of Unified Messaging, the script changes it to
    the new one, and -Back restores it.
    """
    procedure, (page,) = steps_of(MAIL, product)
    begin(walk, procedure, exchangeversion="15.0")
    package = page.packages[0]
    walk.configure(page.server, old_thumbprint(package))
    before = walk.file(page.server, WEB_CONFIG).replace("'", '"').split()
    run = walk.run(page)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    assert package.thumbprint in walk.file(page.server, WEB_CONFIG)
    assert walk.run(page)["changes"] == []
    rollback = walk.run(page, "Back")
    assert rollback["code"] == 0, all_lines([rollback])
    assert walk.file(page.server, WEB_CONFIG).split() == before


def test_override_with_another_certificate_is_not_changed(walk):
    """In Exchange 2016, the script changes an override only if it contains the previous certificate
    of the server.
    """
    procedure, (page,) = steps_of(MAIL, "sfb2015")
    world = begin(walk, procedure, exchangeversion="15.1")
    package = page.packages[0]
    foreign = old_thumbprint(procedure.servers[0].packages[0])

    def override(thumbprint, server=""):
        return {"name": "IM", "server": server, "parameters": [f"IMCertificateThumbprint={thumbprint}"]}  # fmt: skip

    world["overrides"] = {"IM": override(foreign)}
    walk.begin(world, procedure)
    run = walk.run(page)
    assert run["code"] == 0, all_lines([run])
    assert walk.world()["overrides"]["IM"] == override(foreign)
    world["overrides"] = {"IM": override(old_thumbprint(package), "um01")}
    walk.begin(world, procedure)
    assert walk.run(page)["code"] == 0
    new_override = walk.world()["overrides"]["IM"]
    assert new_override == override(package.thumbprint, "um01")
    assert walk.run(page, "Back")["code"] == 0
    assert walk.world()["overrides"]["IM"] == override(old_thumbprint(package), "um01")


def test_video_interop_server_has_the_steps_of_internal_servers(walk):
    """The script for a Video Interop Server contains the same steps as the scripts for internal
    servers: trust, import, drain, assign and start.
    """
    procedure, (page,) = steps_of(
        [row("vis01.contoso.com", "VideoInterop", "vis.contoso.com")], "sfb2015"
    )
    begin(walk, procedure)
    run = walk.run(page, "DrainServices", "StartServices", "TrustInstalled")
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    assert [line for line in list_differences(procedure, walk.world()) if page.server in line] == []
    rollback = walk.run(page, "Back", "DrainServices", "StartServices")
    assert rollback["code"] == 0, all_lines([rollback])
