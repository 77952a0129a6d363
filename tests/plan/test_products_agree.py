"""Products with the same documentation have the same plan for every deployment."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from random_plans import random_plan

from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules


def get_properties(certificate) -> tuple[object, ...]:
    """Return the role, usages, servers, subject, names, EKU and issuer of a certificate."""
    return (
        *(certificate.role, certificate.usages, certificate.servers, certificate.subject),
        *(certificate.names, certificate.extended_key_usage, certificate.issuer),
    )


@pytest.mark.slow
@pytest.mark.parametrize("product", ["sfb2015", "sfb2019", "sfbse"])
def test_all_products_plan_the_same_certificates(product):
    """For 300 random deployments, each product plans the same subjects, names and usages as Lync
    Server 2013.
    """
    chance, rules = random.Random(product), load_rules(product)
    for _ in range(300):
        plan = random_plan(chance)
        options = replace(plan.options, product=product)
        other = plan_certificates(plan.topology, rules, options=options)
        assert list(map(get_properties, other.certificates)) == list(
            map(get_properties, plan.certificates)
        )
