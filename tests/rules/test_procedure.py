"""The changed procedure as data: which step goes where, and mistakes in the rule file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lyncnb.deploy.steps import fill
from lyncnb.errors import RulesError
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import load_rules

RULES = load_rules("lync2013")
PROCEDURE = load_procedure(RULES)

# Each step of the changed procedure as Microsoft's pages describe it, and the ids that carry it.
PAGES = [
    ("check the package before the day", "Mediation", ("Default",), {"hand-over"}),
    ("import on every Front End Server", "FrontEnd", ("Default",), {"import", "assign"}),
    ("chain, if policy does not bring it", "FrontEnd", ("Default",), {"chain-internal"}),
    ("OAuth once, with -Identity global", "Deployment", ("OAuthTokenIssuer",), {"assign-oauth"}),
    ("start services", "FrontEnd", ("Default",), {"start-services"}),
    ("Director: no Enroll permission", "Director", ("Default",), {"group-director", "assign"}),
    ("Mediation: groups of its own", "Mediation", ("Default",), {"group-mediation"}),
    ("Mediation: restart, green mark", "Mediation", ("Default",), {"start-mediation"}),
    ("Edge: on the server itself", "Edge", ("Internal",), {"group-edge"}),
    ("Edge: chain outside the domain", "Edge", ("Internal",), {"chain-edge"}),
    ("Edge internal", "Edge", ("Internal",), {"import-edge", "assign-edge-internal"}),
    ("Edge external", "Edge", ("AccessEdgeExternal",), {"assign-edge-external"}),
    ("Edge: XMPP restart", "Edge", ("AccessEdgeExternal",), {"start-edge"}),
    ("Persistent Chat", "PersistentChat", ("Default",), {"import", "assign"}),
    ("branch appliance", "SBA", ("Default",), {"group-branch-appliance", "assign"}),
    (
        "trusted application: every computer, account",
        "TrustedApplication",
        ("Default",),
        {"trusted-application-account", "repeat"},
    ),
    ("reverse proxy", "ReverseProxy", (), {"import-other", "bind-reverse-proxy"}),
    ("Office Web Apps", "OfficeWebApps", (), {"office-web-apps-farm"}),
    ("Exchange", "ExchangeUM", (), {"exchange"}),
    ("A/V roll-over", "Edge", ("AudioVideoAuthentication",), {"roll-over-av"}),
    ("OAuth roll-over", "Deployment", ("OAuthTokenIssuer",), {"roll-over-oauth"}),
    ("provider check", "FrontEnd", ("Default",), {"provider"}),
    ("key is linked", "FrontEnd", ("Default",), {"key-linked"}),
    ("verification", "FrontEnd", ("Default",), {"verify"}),
    ("way back", "FrontEnd", ("Default",), {"way-back"}),
    ("delete what travelled", "FrontEnd", ("Default",), {"delete-package"}),
]


def ids(role: str, usages: tuple[str, ...]) -> set[str]:
    """Give the ids of the steps for a certificate."""
    return {step.id for step in PROCEDURE.steps if step.applies(role, usages)}


@pytest.mark.parametrize(("page", "role", "usages", "wanted"), PAGES, ids=[p[0] for p in PAGES])
def test_step_of_the_documents_is_there(page, role, usages, wanted):
    """Every step of the documents stands in the procedure of the role it is for."""
    assert wanted <= ids(role, usages)


def test_no_step_is_without_a_place_in_the_documents():
    """Each step of the product is named by a line of the table above, or is common to all."""
    named = set().union(*(wanted for *_, wanted in PAGES))
    common = {"group-internal", "wizard-before", "bring-package"}
    assert {step.id for step in PROCEDURE.steps} == named | common


def test_every_step_has_a_source_and_an_id_of_its_own():
    """A step without a source is no rule."""
    assert all(step.source for step in PROCEDURE.steps)
    assert len({step.id for step in PROCEDURE.steps}) == len(PROCEDURE.steps)


def test_usages_that_roll_over_are_assigned_apart():
    """A/V Authentication goes in a call of its own, OAuth with -Identity global."""
    edge = ("AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication")
    first, second = PROCEDURE.assignments(edge)
    assert (first.usages, first.roll) == (edge[:2], None)
    assert (second.usages, second.roll.lead_hours, second.identity) == (edge[2:], 8, "")
    (oauth,) = PROCEDURE.assignments(("OAuthTokenIssuer",))
    assert (oauth.identity, oauth.roll.lead_hours) == ("global", 24)
    assert PROCEDURE.assignments(()) == ()


def test_values_are_quoted_in_commands_only():
    """In a command a value is a literal, a list of types a list of literals."""
    shown = {"types": ("Default", "WebServicesInternal"), "friendly_name": "it's"}
    assert fill("{types}: {friendly_name}", shown) == "Default, WebServicesInternal: it's"
    filled = fill("x {types} {friendly_name}", shown, as_command=True)
    assert filled == "x 'Default','WebServicesInternal' 'it''s'"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "sometimes"}, r"'deploy.step\[0\].scope' is \"sometimes\""),
        ({"text": "{nothing}"}, r"'deploy.step\[0\]' has the placeholder {nothing}"),
        ({"colour": "blue"}, r"'deploy.step\[0\]' is not complete.*colour"),
        ({"text": None}, r"'deploy.step\[0\]' is not complete"),
    ],
)
def test_mistake_in_a_step_names_its_place(change, message):
    """A mistake in a rule file is told with its place."""
    entry = {"id": "a", "title": "b", "scope": "server", "text": "c", "source": "d"} | change
    entry = {key: value for key, value in entry.items() if value is not None}
    rules = replace(RULES, settings={"deploy": {"step": [entry]}})
    with pytest.raises(RulesError, match=message):
        load_procedure(rules)


def test_product_without_a_procedure_is_told():
    """A product file without steps says which table is missing."""
    with pytest.raises(RulesError, match="Missing required table 'deploy' in lync2013.toml"):
        load_procedure(replace(RULES, settings={}))
