"""A finding reports each option that does not change the plan or its evaluation. Options with an
effect have no such finding.
"""

from __future__ import annotations

import pytest
from good_deployment import plan_of

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.checks.check_plan import check_plan
from lyncnb.plan.options import PlanOptions


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
