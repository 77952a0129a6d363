"""Products with the same documentation have the same plan for every deployment."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from random_plans import random_plan

from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules


def said(certificate) -> tuple[object, ...]:
    """Return the properties of a certificate that a CA sees, and its servers."""
    return (
        *(certificate.role, certificate.usages, certificate.servers, certificate.subject),
        *(certificate.names, certificate.extended_key_usage, certificate.issuer),
    )


@pytest.mark.slow
@pytest.mark.parametrize("product", ["sfb2015", "sfb2019", "sfbse"])
def test_repeated_tables_give_the_same_certificates(product):
    """In 300 random deployments, the subjects, names, and usages are the same as for Lync Server
    2013.
    """
    chance, rules = random.Random(product), load_rules(product)
    for _ in range(300):
        plan = random_plan(chance)
        options = replace(plan.options, product=product)
        other = plan_certificates(plan.topology, rules, options=options)
        assert list(map(said, other.certificates)) == list(map(said, plan.certificates))
