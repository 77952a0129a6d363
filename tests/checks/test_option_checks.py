"""A finding reports each option that does not change the plan or its evaluation. Options with an
effect have no such finding.
"""

from __future__ import annotations

import re

import pytest
from good_deployment import plan_of

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.checks.check_plan import check_plan
from lyncnb.plan.options import OPTIONS, PlanOptions
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.returned_rules import list_returned_checks
from lyncnb.rules.rule_files import load_rules


def list_messages(options):
    """Return the messages of the findings about options that have no effect on the plan."""
    findings = check_plan(plan_of(options=PlanOptions(**options)))
    return [f.message for f in findings if f.code == "option-changes-nothing"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"xmpp_host_names": True}, "xmpp_host_names = true"),
        # Every row of the table has the same value.
        ({"target_os": "2012R2"}, "target_os = 2012R2"),
        (
            # The domain is already a SIP domain.
            {"autodiscover_internal_extra_domains": ("contoso.com",)},
            "autodiscover_internal_extra_domains = contoso.com",
        ),
        (
            {"issuer": {"SBA": "public"}},
            'issuer contains "SBA", which does not affect any certificate',
        ),
        (
            {"internal_only_sip_domains": ("litwareinc.com",)},
            'internal_only_sip_domains contains "litwareinc.com", which does not affect any certificate',
        ),
        (
            {"client_authentication": ("rp01.contoso.com",)},
            'client_authentication contains "rp01.contoso.com", which does not affect any certificate',
        ),
        (
            # The servers already share one certificate.
            {"shared_certificate": ("edge.contoso.com",)},
            'shared_certificate contains "edge.contoso.com", which does not affect any certificate',
        ),
        (
            {"ca": {"PersistentChat": "A CA"}},
            'ca contains "PersistentChat", which does not affect any certificate',
        ),
    ],
)
def test_an_option_without_effect_is_reported(options, message):
    """The finding about an option without an effect contains the option and its value."""
    assert [text[: len(message)] for text in list_messages(options)] == [message]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layout": "separate"},
        {"profile": "doc_example", "layout": "separate"},
        {"wildcard": True},
        {"title": "Every document shows this title", "planner": "Åsa Öberg"},
        {"autodiscover_https": False},
        {"edge_member_names": True},
        {"reverse_proxy_client_eku": True},
        {"autodiscover_internal_extra_domains": ("litwareinc.com",)},
        {"key": KeyParameters(bits=4096)},
        {"hash": "sha384"},
        {"organization": "Contoso", "locality": "Taipei", "country": "TW"},
        {"issuer": {"edge": "internal"}, "ca": {"": "A CA", "public": "Another"}},
        {"target_os": "2016"},
        {"validity_days": 100},
    ],
)
def test_option_with_an_effect_is_not_reported(options):
    """lyncnb does not report an option as unused if the option changes a certificate or the
    evaluation of the plan.
    """
    assert list_messages(options) == []


#: The options that resolve no finding, so no hint names them. They describe the deployment, or select
#: additional names, certificates and dates.
IN_NO_HINT = {
    *("title", "planner", "lang", "lead_days", "freezes", "windows", "at_set_up", "target_os"),
    *("edge_member_names", "xmpp_host_names", "separate_av_certificate"),
    *("autodiscover_internal_extra_domains", "client_authentication", "procedure"),
}


def test_every_other_option_is_named_in_a_hint():
    """The hint of a finding names the option that resolves the finding."""
    checks = [*load_rules("lync2013").checks.values(), *load_ca_rules().checks]
    hints = " ".join(check.hint for check in (*checks, *list_returned_checks().values()))
    words = set(re.findall(r"\w+", hints))
    unnamed = {name for name, option in OPTIONS.items() if not {name, option.key} & words}
    assert unnamed == IN_NO_HINT


def test_an_internal_sip_domain_has_its_option_as_a_hint():
    """For a SIP domain in .local on a public certificate, the hint names the option that keeps the
    domain off public certificates, and the plan with this option has no such finding.
    """
    edits = [(0, "sip_domains", "contoso.com;fabrikam.com;contoso.local")]
    code = "internal-name-on-public-certificate"
    findings = [f for f in check_plan(plan_of(edits)) if f.code == code]
    assert findings
    assert all("internal_only_sip_domains" in finding.hint for finding in findings)
    options = PlanOptions(internal_only_sip_domains=("contoso.local",))
    assert code not in {f.code for f in check_plan(plan_of(edits, options))}
