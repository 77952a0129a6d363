"""The deployment rules contain every step that Microsoft documents, and lyncnb reports mistakes in
the rules.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from powershell_kit import SCRIPT_FUNCTIONS, commands, parse

from lyncnb.deploy.fill_steps import fill_placeholders
from lyncnb.errors import RulesError
from lyncnb.rules.procedure import PLACEHOLDER, QUESTIONS, load_procedure
from lyncnb.rules.returned_rules import list_all_checks
from lyncnb.rules.rule_files import list_products, load_rules

RULES = load_rules("lync2013")
PROCEDURE = load_procedure(RULES)


@pytest.fixture(params=[name for name in list_products() if "deploy" in load_rules(name).settings])
def rules(request):
    """Return the rules of each built-in product that has a deployment procedure."""
    return load_rules(request.param)


@pytest.fixture
def procedure(rules):
    return load_procedure(rules)


# The deployment steps on Microsoft's pages, and for each one the ids of the steps in lyncnb's
# procedure.
EXTERNAL = ("AccessEdgeExternal", "DataEdgeExternal")
PAGES = [
    ("check the package before the day", "Mediation", ("Default",), {"account", "record"}),
    ("import on every Front End Server", "FrontEnd", ("Default",), {"import", "assign"}),
    ("groups of a Front End Server", "FrontEnd", ("Default",), {"wizard-before", "wizard-oauth"}),
    (
        "chain, if policy does not bring it",
        "FrontEnd",
        ("Default",),
        {"chain-files", "chain", "trusted-root"},
    ),
    ("what was in use is written down", "FrontEnd", ("Default",), {"record"}),
    (
        "OAuth once, with -Identity global",
        "Deployment",
        ("OAuthTokenIssuer",),
        {"assign-oauth", "assign-oauth-renewed", "assign-oauth-unknown", "wait-oauth"},
    ),
    (
        "start services, of a new pool together",
        "FrontEnd",
        ("Default",),
        {"start-services", "start-look", "new-pool-ready"},
    ),
    ("start services", "Director", ("Default",), {"start-services"}),
    (
        "Director: no Enroll permission",
        "Director",
        ("Default",),
        {"account", "assign", "verify-director"},
    ),
    ("Mediation: groups of its own", "Mediation", ("Default",), {"account"}),
    ("Mediation: restart, green mark", "Mediation", ("Default",), {"restart-mediation"}),
    ("Edge: on the server itself", "Edge", ("Internal",), {"account", "edge-suffix"}),
    ("Edge: chain outside the domain", "Edge", ("Internal",), {"chain"}),
    (
        "Edge internal",
        "Edge",
        ("Internal",),
        {"import", "import-elliptic", "assign", "assign-look"},
    ),
    ("Edge: every server of the pool", "Edge", ("Internal",), {"import"}),
    (
        "Edge: one at a time",
        "Edge",
        EXTERNAL,
        {"drain", "drain-look", "start-services"},
    ),
    ("Edge external", "Edge", EXTERNAL, {"assign"}),
    (
        "Edge: A/V apart",
        "Edge",
        ("AudioVideoAuthentication",),
        {"assign-av", "assign-av-renewed", "assign-av-unknown", "wait-av"},
    ),
    ("trust first, everywhere", "Edge", ("Internal",), {"trust-everywhere"}),
    ("trust of gateways", "Mediation", ("Default",), {"chain-gateways"}),
    ("trust of partners", "Edge", ("Internal",), {"chain-partners"}),
    ("revocation lists", "Mediation", ("Default",), {"check"}),
    ("simple URLs", "Director", ("Default",), {"enable-computer"}),
    ("tests from outside", "Edge", ("Internal",), {"verify-edge", "verify-outside"}),
    ("a test call", "Mediation", ("Default",), {"verify-mediation"}),
    ("a test message", "PersistentChat", ("Default",), {"verify-chat"}),
    (
        "OAuth: who needs it, before its date and after it",
        "Deployment",
        ("OAuthTokenIssuer",),
        {
            *("oauth-entra", "oauth-entra-at-once"),
            *("oauth-partners", "oauth-partners-at-once"),
        },
    ),
    (
        "a pool of one server, and the way back of a pool",
        "FrontEnd",
        ("Default",),
        {"drain-front-end-alone", "back-drain-front-end"},
    ),
    ("Persistent Chat", "PersistentChat", ("Default",), {"import", "assign"}),
    (
        "branch appliance",
        "SBA",
        ("Default",),
        {"account", "branch-before", "assign", "verify-branch"},
    ),
    (
        "trusted application: every computer, account",
        "TrustedApplication",
        ("Default",),
        {
            *("trusted-application-before", "trusted-application-account"),
            *("trusted-application-set-up", "import", "import-elliptic", "assign-application"),
            "verify-application",
            "trusted-application-restart",
        },
    ),
    (
        "trusted application without a replica: its own configuration, and back",
        "TrustedApplication",
        ("Default",),
        {"application-settings", "back-application-settings"},
    ),
    ("what each port shows", "Director", ("Default",), {"verify-probe"}),
    (
        "reverse proxy: both chains",
        "ReverseProxy",
        (),
        {"import-other", "listener", "bind-reverse-proxy", "chain"},
    ),
    ("reverse proxy, back", "ReverseProxy", (), {"back-reverse-proxy", "back-listener"}),
    (
        "Office Web Apps: new farm, standing farm, restart",
        "OfficeWebApps",
        (),
        {
            "office-web-apps-new-farm",
            *("office-web-apps-join", "office-web-apps-farm", "office-web-apps-restart"),
        },
    ),
    (
        "Office Web Apps: a balancer that decrypts, verification",
        "OfficeWebApps",
        (),
        {"office-web-apps-balancer", "verify-office-web-apps"},
    ),
    ("Office Web Apps, back", "OfficeWebApps", (), {"record-other", "back-farm"}),
    (
        "Exchange UM: mode first, then the certificate, then the services",
        "ExchangeUM",
        (),
        {"exchange-um-mode", "exchange-um-enable", "exchange-um-restart", "exchange-call-router"},
    ),
    (
        "Exchange UM: the call router, verification",
        "ExchangeUM",
        (),
        {"exchange-call-router-mode", "verify-exchange-um"},
    ),
    ("Exchange: keys of a Key Storage Provider", "ExchangeUM", (), {"check"}),
    (
        "Exchange UM, back",
        "ExchangeUM",
        (),
        {"record-other", "back-exchange", "back-exchange-call-router", "back-exchange-mode"},
    ),
    (
        "Outlook Web App: web.config, pool, directories and policies",
        "ExchangeOWA",
        (),
        {
            *("exchange-owa-keys", "exchange-owa-config", "exchange-owa-recycle"),
            *("exchange-owa-enable", "back-owa"),
        },
    ),
    (
        "Outlook Web App beside Unified Messaging",
        "ExchangeUM",
        (),
        {"exchange-um-owa", "exchange-um-owa-new", "back-um-owa", "exchange-owa-recycle"},
    ),
    (
        "Outlook Web App: a trusted application pool, verification",
        "ExchangeOWA",
        (),
        {"exchange-owa-application", "verify-exchange-owa"},
    ),
    (
        "what is superseded is revoked and removed",
        "FrontEnd",
        ("Default",),
        {"revoke-superseded", "remove-superseded"},
    ),
    (
        "A/V roll-over",
        "Edge",
        ("AudioVideoAuthentication",),
        {"roll-over-av", "remove-previous-av"},
    ),
    (
        "OAuth roll-over",
        "Deployment",
        ("OAuthTokenIssuer",),
        {"roll-over-oauth", "remove-previous-oauth"},
    ),
    ("provider check", "FrontEnd", ("Default",), {"check"}),
    ("key is linked", "FrontEnd", ("Default",), {"check"}),
    ("a root that no package installs", "FrontEnd", ("Default",), {"check-root"}),
    ("verification", "FrontEnd", ("Default",), {"verify", "verify-front-end"}),
    (
        "way back",
        "FrontEnd",
        ("Default",),
        {"back-assign", "back-assign-av", "back-assign-paper", "drain-front-end"},
    ),
    (
        "way back of OAuth",
        "Deployment",
        ("OAuthTokenIssuer",),
        {"back-assign-oauth"},
    ),
    (
        "in advance, by the administrative tools",
        "FrontEnd",
        ("Default",),
        {
            *("request-where", "request-there", "request-whole", "request-exportable"),
            *("request-compare", "request-return"),
        },
    ),
    ("at set-up", "FrontEnd", ("Default",), {"request-at-set-up"}),
    ("at set-up, in other software", "ReverseProxy", (), {"request-at-set-up-there"}),
    (
        "in advance, on the Edge Server itself without -ComputerFqdn, or from there",
        "Edge",
        ("Internal",),
        {"request-where-edge", "request-edge-there", "request-edge-here"},
    ),
    (
        "in advance: the answer joins its key, which is exported with its chain",
        "FrontEnd",
        ("Default",),
        {
            *("finish-where", "finish-chain", "finish-accept", "finish-export", "finish-carry"),
            "hand-over-exported",
        },
    ),
    (
        "one Front End Server at a time, drained, while the pool can spare it",
        "FrontEnd",
        ("Default",),
        {"drain-front-end", "pair-second"},
    ),
    ("a server that is drained alone", "StandardEdition", ("Default",), {"drain"}),
    ("OAuth is no type of that page", "Deployment", ("OAuthTokenIssuer",), {"request-oauth"}),
    ("delete what travelled", "FrontEnd", ("Default",), {"delete-package"}),
]


def ids(role: str, usages: tuple[str, ...]) -> set[str]:
    """Return the ids of the deployment steps for a certificate."""
    about_role = PROCEDURE.list_facts("FrontEnd" if role == "Deployment" else role)
    contrary = {"services", "no-services", "provider", "any-provider"} - about_role
    return {
        step.id
        for step in PROCEDURE.steps
        if step.applies(role, usages) and not contrary & {*step.when}
    }


@pytest.mark.parametrize(("page", "role", "usages", "expected"), PAGES, ids=[p[0] for p in PAGES])
def test_the_procedure_has_every_documented_step(page, role, usages, expected):
    """For each role, the deployment procedure contains every step in Microsoft's documents."""
    assert expected <= ids(role, usages)


def test_every_step_is_in_the_documents():
    """The table ``PAGES``, which refers to Microsoft's pages, lists each deployment step of the
    product.
    """
    documented = set().union(*(expected for *_, expected in PAGES))
    assert {step.id for step in PROCEDURE.steps} == documented


def test_every_check_is_used(procedure):
    """Every check belongs to at least one deployment step."""
    check_ids = {name for s in procedure.steps for key in QUESTIONS for name in getattr(s, key)}
    assert check_ids == {check.id for check in procedure.checks}


# Commands that only read data. All other commands change something.
READS = re.compile(
    r"(Get|Test|Select|Sort|Group|Where|ForEach|Format|Out|New|Import|Read|Join|ConvertTo)-[A-Z]|certutil$"
)


def test_checks_change_nothing(procedure):
    """The commands of a check only read data. They do not set, remove, or start anything."""
    for check in procedure.checks:
        text = PLACEHOLDER.sub("'x'", f"{check.command}\n{check.shows}\n{check.when}\n")
        for command in commands(text):
            assert READS.match(command.name), (check.id, command.name)
            assert command.name not in ("Import-CsCertificate", "New-OfficeWebAppsFarm")
            if command.name == "certutil":
                assert {*command.parameters} == {"-verifystore"}


def test_certificates_are_not_removed_on_the_date_of_the_change(procedure):
    """Certificates are removed only after the date of the change, or when the change is rolled
    back.
    """
    for step in procedure.steps:
        if any("Remove-Cs" in command for command in step.commands):
            assert step.stage == "after", step.id
            assert step.by_hand, step.id


def test_every_place_can_be_read_and_set(procedure):
    """For each place that uses a certificate, the rules contain commands that read and set the
    certificate, or manual steps.
    """
    by_hand = {manual_setting.id for manual_setting in procedure.places if not manual_setting.read}
    by_router = ("exchange-call-router", "exchange-call-router-mode")
    assert by_hand == {"listener", "application-settings"}
    for setting in procedure.places:
        assert bool(setting.read) == bool(setting.set), setting.id
        # These exist once or not at all, so their key is blank.
        is_single = setting.id in ("application-usage", *by_router)
        assert bool(setting.each) == ("$Key" in setting.read) or is_single
        steps = [step for step in procedure.steps if setting.id in step.places]
        assert "back" in {step.stage for step in steps}, setting.id
        if setting.id in by_hand:
            assert {step.by_hand for step in steps} == {True}, setting.id


def test_oauth_commands_specify_the_global_scope(procedure):
    """Every command that changes the OAuthTokenIssuer certificate specifies the global scope."""
    for step in procedure.steps:
        if "OAuthTokenIssuer" in step.usages:
            for command in commands(PLACEHOLDER.sub("'x'", "\n".join(step.commands))):
                if command.name in ("Set-CsCertificate", "Remove-CsCertificate"):
                    assert command.parameters.get("-Identity") == "global", step.id


def test_usages_that_roll_over(procedure):
    """The roll-over period is 8 hours for A/V Authentication, and 24 hours for OAuth."""
    hours = {usage: roll.lead_hours for roll in procedure.rolls for usage in roll.usages}
    assert hours == {"AudioVideoAuthentication": 8, "OAuthTokenIssuer": 24}
    assert procedure.find_roll_over("Default") is None


def test_every_command_and_parameter_is_documented(procedure):
    """The table of commands contains exactly the commands and parameters that the steps and checks
    use.
    """
    printed: dict[str, set[str]] = {}
    texts = [c for record in (*procedure.steps, *procedure.runs) for c in record.commands]
    texts += [" ".join((s.commands[-1], *s.options)) for s in procedure.steps if s.options]
    for check in procedure.checks:
        texts += [check.command, check.shows, check.when]
    for setting in procedure.places:
        texts += [
            setting.each,
            setting.read,
            setting.set,
            setting.roll,
            setting.clear,
            setting.staged,
        ]
    for shell in procedure.shells:
        texts += [shell.services, shell.start_service]
    for text in texts:
        assert parse(PLACEHOLDER.sub("'x'", text)).errors == (), text
        for command in commands(PLACEHOLDER.sub("'x'", text)):
            if command.name not in SCRIPT_FUNCTIONS:
                printed.setdefault(command.name, set()).update(command.parameters)
    documented = {cmdlet.name: set(cmdlet.parameters) for cmdlet in procedure.cmdlets}
    assert printed == documented


def test_server_times_are_shown_in_utc(procedure):
    """The function Get-Utc shows a server's time in UTC, regardless of the server's time format and
    time zone.
    """
    time_displays = [
        c.shows for c in procedure.checks if re.search(r"\$_\.Not(After|Before)", c.shows)
    ]
    assert len(time_displays) == 4
    for text in time_displays:
        assert not re.search(r"\$_\.Not(After|Before)", re.sub(r"\(Get-Utc [^)]*\)", "", text)), (
            text
        )


# Each source must contain a date, unless it is marked as inferred or as lyncnb's own decision.
DATED = re.compile(r"\d{4}-\d{2}(-\d{2})?|^Inferred(:| from )|^lyncnb[:,] ")


def test_every_source_is_dated(rules, procedure):
    """Every check and every record of the deployment procedure has a source with a date, unless the
    source is inferred or a decision of lyncnb.
    """
    records = [
        *procedure.steps,
        *procedure.checks,
        *procedure.rolls,
        *procedure.cmdlets,
        *procedure.order,
        *list_all_checks(rules).values(),
    ]
    without = [
        (record, part)
        for record in records
        for part in record.source.split("; ")
        if not DATED.search(part)
    ]
    assert without == []


def test_every_role_with_a_certificate_has_a_place_and_a_shell(rules, procedure):
    """Each role with deployment steps has a shell, and a position in the order of the maintenance
    window.
    """
    roles = {rule.role for rule in rules.certificates} - {"", "Deployment"}
    placed = [role for stage in procedure.order for role in stage.roles]
    assert sorted(placed) == sorted(roles)
    assert {role for shell in procedure.shells for role in shell.roles} == roles


def test_values_are_quoted_in_commands_only():
    """In a command, a value is written as a PowerShell literal, as a list of literals, or as a
    number.
    """
    values = {"types": ("Default", "WebServicesInternal"), "friendly_name": "it's", "count": 2}
    assert (
        fill_placeholders("{types}: {friendly_name}", values)
        == "Default, WebServicesInternal: it's"
    )
    filled = fill_placeholders("x {types} {friendly_name} {count}", values, as_command=True)
    assert filled == "x 'Default','WebServicesInternal' 'it''s' 2"


STEP = {"id": "a", "title": "b", "scope": "server", "stage": "change", "source": "d"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "sometimes"}, r"Unknown scope \"sometimes\" in 'deploy.step\[0\].scope'"),
        ({"stage": "night"}, r"Unknown stage \"night\" in 'deploy.step\[0\].stage'"),
        ({"cases": ["hope"]}, r"Unknown case \"hope\" in 'deploy.step\[0\].cases'"),
        ({"when": ["hope"]}, r"Unknown fact \"hope\" in 'deploy.step\[0\].when'"),
        ({"text": "{nothing}"}, r"Unknown placeholder \"nothing\" in 'deploy.step\[0\]'"),
        ({"text": "{thumbprint}"}, r"Unknown placeholder \"thumbprint\" in 'deploy.step\[0\]'"),
        ({"colour": "blue"}, r"Unknown key: 'deploy.step\[0\].colour'"),
        ({"source": None}, r"Missing required value: 'deploy.step\[0\].source'"),
        ({"commands": "x"}, r"'deploy.step\[0\].commands' must be a list"),
        ({"holds": ["nowhere"]}, r"Unknown check \"nowhere\" in 'deploy.step\[0\].holds'"),
    ],
)
def test_a_mistake_in_a_step_has_its_location(change, message):
    """If a deployment step in a rule file has a mistake, the error message states where the mistake
    is.
    """
    entry = {key: value for key, value in (STEP | change).items() if value is not None}
    rules = replace(RULES, settings={"deploy": {"folder": r"C:\x", "step": [entry]}})
    with pytest.raises(RulesError, match=message):
        load_procedure(rules)


def test_every_mistake_is_reported_at_once():
    """If a rule file contains two errors, such as a path without a drive and a duplicate ID, lyncnb
    reports both.
    """
    table = {"folder": "x", "step": [STEP, STEP]}
    with pytest.raises(RulesError) as caught:
        load_procedure(replace(RULES, settings={"deploy": table}))
    assert len(caught.value.problems) == 2


def test_product_without_a_procedure_is_reported():
    """If a product file has no deployment steps, the error message contains the name of the missing
    table.
    """
    with pytest.raises(
        RulesError, match="The required table 'deploy' is missing in the rules for lync2013"
    ):
        load_procedure(replace(RULES, settings={}))
