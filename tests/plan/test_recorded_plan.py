"""A plan that lyncnb reads from its JSON document is unchanged. An edited document is rejected."""

from __future__ import annotations

import json
import random

import pytest
from big_topology import big_table
from places import DATA
from random_plans import PAIRS, apply_all_changes, describe_plan, ignore_name_order, random_plan
from strange import Deployment, choose_tables

import lyncnb as ln
from lyncnb.errors import LyncnbError, PlanError
from lyncnb.plan.plan_json import plan_json
from lyncnb.plan.recorded_plan import NOT_RECORDED, RecordedPlan, read_plan_json
from lyncnb.reports.compare import compare_plans

RULES = ln.load_rules("lync2013")
# The titles of values that plan documents and request folders do not contain.
TITLES = {"ca": "CA", "target_os": "Target OS"}


def read_back(plan: ln.CertificatePlan) -> RecordedPlan:
    return read_plan_json(plan_json(plan, ln.check_plan(plan)), source="plan.json")


@pytest.mark.parametrize("sample", ["contoso", "big", *choose_tables()], ids=str)
def test_a_written_plan_is_read_unchanged(sample):
    """For any table, the certificates, reasons, and findings in the plan document are read without
    changes.
    """
    source = big_table(300) if sample == "big" else DATA / f"{sample}.csv"
    is_strange = isinstance(sample, Deployment)
    plan = sample.plan() if is_strange else ln.plan_certificates(ln.read_topology(source), RULES)
    recorded = read_back(plan)
    assert recorded.sha256 == plan.sha256
    assert [c.subject_alt_name for c in recorded.certificates] == [
        c.subject_alt_name for c in plan.certificates
    ]
    assert [c.rule for c in recorded.certificates] == [c.rule for c in plan.certificates]
    assert [f.to_document() for f in recorded.findings] == [
        f.to_document() for f in ln.check_plan(plan)
    ]
    assert compare_plans(recorded, plan).is_empty
    assert compare_plans(plan, recorded).is_empty


def without(state, titles):
    return {
        key: {name: value for name, value in fields.items() if name not in titles}
        for key, fields in state.items()
    }


@pytest.mark.slow
def test_changes_applied_to_a_recorded_plan_give_the_new_plan():
    """If all changes in a comparison are applied to the plan document, the result is exactly the
    new plan.
    """
    assert set(TITLES) == NOT_RECORDED
    chance = random.Random(17)
    old = random_plan(chance)
    for _ in range(PAIRS // 10):
        new = random_plan(chance)
        difference = compare_plans(read_back(old), new)
        assert without(
            ignore_name_order(apply_all_changes(difference)), TITLES.values()
        ) == without(ignore_name_order(describe_plan(new)), TITLES.values())
        old = new


def test_a_server_on_record_is_not_new():
    """If a server moves to another pool, the comparison with a plan document does not report it as
    a new server.
    """
    chance = random.Random(4)
    old, new = random_plan(chance), random_plan(chance)
    with_table = {c.id: c.differences[0].why for c in compare_plans(old, new).of("added")}
    recorded = compare_plans(read_back(old), new)
    assert {c.id: c.differences[0].why for c in recorded.of("added")} == with_table
    assert with_table


EDITS = {
    "a name more": lambda d: d["certificates"][0]["san"].append("new.contoso.com"),
    "a server renamed": lambda d: d["certificates"][0].update(servers=["x.contoso.com"]),
    "another issuer": lambda d: d["certificates"][0].update(issuer="public"),
    "a key of no size": lambda d: d["certificates"][0]["key"].update(bits=1024),
    "no key": lambda d: d["certificates"][0].pop("key"),
    "a name that is none": lambda d: d["certificates"][0]["san"].append("no name"),
    "a name in capitals": lambda d: d["certificates"][0]["san"].append("New.contoso.com"),
    "a field of another kind": lambda d: d["certificates"][0].update(usages="Default"),
    "a field that nobody knows": lambda d: d["certificates"][0].update(colour="red"),
    "one certificate less": lambda d: d["certificates"].pop(),
    "another severity": lambda d: d["findings"].append({"code": "x", "severity": "odd"}),
    "another digest": lambda d: d.update(plan_sha256="0" * 64),
    "no certificates": lambda d: d.pop("certificates"),
    "a list of nothing": lambda d: d.update(certificates=None),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_document_is_rejected(edit):
    """If a plan document was edited, the error message contains the file name and all problems."""
    plan = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    document = json.loads(plan_json(plan, ()))
    EDITS[edit](document)
    with pytest.raises(PlanError, match=r"p\.json was edited or damaged") as caught:
        read_plan_json(json.dumps(document).encode(), source="p.json")
    assert caught.value.problems
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"not JSON", b'{"format": "lyncnb-plan/2"}', b"[" * 100_000, b'"\\ud800"'],
)
def test_a_file_that_is_not_a_plan_is_rejected(data):
    """If a file is not a plan document, it is rejected before its fields are read."""
    with pytest.raises(PlanError, match=r"p\.json(: the content is not valid JSON| is not a plan)"):
        read_plan_json(data, source="p.json")


def test_an_unknown_product_is_reported():
    """A plan document for an unknown product is rejected, because lyncnb has no rules for the
    product.
    """
    plan = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    data = plan_json(plan, ()).replace(b'"lync2013"', b'"lync2099"', 1)
    with pytest.raises(LyncnbError, match="lync2099"):
        read_plan_json(data, source="p.json")


def test_a_recorded_plan_has_no_picture_of_connections():
    """A user can draw the picture of names from a plan document, but not the picture of
    connections, because it requires the table.
    """
    plan = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), RULES)
    recorded = read_back(plan)
    with pytest.raises(PlanError, match="contains no table"):
        ln.figure(recorded)
    with pytest.raises(PlanError, match="contains no table"):
        ln.figure(compare_plans(plan, recorded))
    assert ln.figure(recorded, "coverage").rows == ln.figure(plan, "coverage").rows
    assert "keeps" not in ln.figure(compare_plans(recorded, plan)).svg
