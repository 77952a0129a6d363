"""The issuer of a certificate is set by an option, a cell, or a rule. An option overrides a cell,
and a cell overrides a rule.

Target CAs are found too.
"""

from __future__ import annotations

import pytest
from topologies import edge, front_end, plan, row

from lyncnb.errors import OptionsError
from lyncnb.plan.issuers import find_requested_issuers
from lyncnb.plan.options import PlanOptions


def issuers(planned):
    """Return the planned issuer for each set of usages, or for each role without usages."""
    return {c.usages or (c.role,): c.issuer for c in planned.certificates}


EXTERNAL = ("AccessEdgeExternal", "DataEdgeExternal", "AudioVideoAuthentication")
COMBINED = ("Default", "WebServicesInternal", "WebServicesExternal")


def test_default_issuers():
    """By default, external Edge and reverse proxy certificates have a public issuer. All other
    certificates have an internal issuer.
    """
    planned = plan(edge(), front_end(), row("rp01.contoso.com", "ReverseProxy"))
    assert issuers(planned) == {
        EXTERNAL: "public",
        ("Internal",): "internal",
        COMBINED: "internal",
        ("ReverseProxy",): "public",
        ("OAuthTokenIssuer",): "internal",
    }


@pytest.mark.parametrize(
    ("cell", "option", "expected"),
    [
        ("", {}, "internal"),
        ("public", {}, "public"),
        ("WebServicesExternal=public", {}, "public"),
        ("Default=internal; WebServicesExternal=public", {}, "public"),
        ("OAuthTokenIssuer=public", {}, "internal"),
        ("public", {"": "internal"}, "internal"),
        ("public", {"Default": "internal"}, "internal"),
        ("", {"FrontEnd": "public"}, "public"),
        ("", {"FrontEnd": "public", "": "internal"}, "public"),
        ("", {"Edge": "public"}, "internal"),
    ],
)
def test_an_issuer_for_a_usage_overrides_the_general_issuer(cell, option, expected):
    """If the table or the options set an issuer for a usage or a role, it overrides the general
    issuer.
    """
    planned = plan(front_end(issuer=cell), options=PlanOptions(issuer=option))
    assert issuers(planned)[COMBINED] == expected


def test_servers_of_a_pool_can_have_different_issuers():
    """The certificates of servers in the same pool can have different issuers."""
    planned = plan(front_end(1, issuer="public"), front_end(2))
    by_server = {c.servers: c.issuer for c in planned.certificates if c.usages == COMBINED}
    assert by_server == {("ee01.contoso.com",): "public", ("ee02.contoso.com",): "internal"}


def test_servers_that_specify_different_issuers():
    """If the servers of a pool request different issuers, their shared certificate is public, and
    lyncnb finds both requested issuers.
    """
    planned = plan(edge(1, issuer="internal"), edge(2, issuer="public"))
    assert issuers(planned) == {EXTERNAL: "public", ("Internal",): "public"}
    (pool,) = planned.topology.pools
    rules = {rule.id: rule for rule in planned.rules.certificates}
    assert find_requested_issuers(rules["Edge/Internal"], pool.computers) == {"internal", "public"}
    assert find_requested_issuers(rules["Edge/Internal"], pool.computers[:1]) == {"internal"}
    assert find_requested_issuers(rules["Edge/Internal"], ()) == frozenset()


@pytest.mark.parametrize(
    ("ca", "expected"),
    [
        ({}, ""),
        ({"internal": "dc01\\ours"}, "dc01\\ours"),
        ({"": "any", "internal": "dc01\\ours"}, "dc01\\ours"),
        ({"": "any", "public": "other"}, "any"),
        ({"FrontEnd": "role", "internal": "dc01\\ours"}, "role"),
        ({"WebServicesInternal": "usage", "FrontEnd": "role"}, "usage"),
    ],
)
def test_the_ca_is_set_by_usage_role_or_issuer(ca, expected):
    """The name of the CA is taken from the setting for the usage, the role, the issuer, or all
    certificates, in this order.
    """
    planned = plan(front_end(), options=PlanOptions(ca=ca))
    assert {c.ca for c in planned.certificates if c.usages == COMBINED} == {expected}


@pytest.mark.parametrize("setting", ["issuer", "ca"])
def test_an_issuer_for_an_unknown_usage_is_rejected(setting):
    """If an issuer is set for an unknown usage or role, the error message lists the known ones."""
    options = PlanOptions(**{setting: {"WebServicesExternl": "public"}})
    message = (
        f'the option "{setting}" has a value for "WebServicesExternl", which is not a usage or role'
    )
    with pytest.raises(OptionsError, match=message) as caught:
        plan(front_end(), options=options)
    assert "WebServicesExternal" in caught.value.hint


def test_a_finding_that_does_not_exist_cannot_be_accepted():
    """lyncnb rejects an acceptance whose finding code is misspelled. The hint shows the correct
    code.
    """
    options = PlanOptions(accepted={"underscore-in-names": "a lab"})
    with pytest.raises(
        OptionsError, match='the option "accepted" contains "underscore-in-names"'
    ) as caught:
        plan(front_end(), options=options)
    assert "underscore-in-name" in caught.value.hint
