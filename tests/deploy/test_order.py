"""The order page: which pool waits for which, and what nobody must be asked."""

from __future__ import annotations

import pytest
from deploy.sheet_blocks import read_rows
from deploy.walk import NOON, OLD_END, packages_of
from folders import PASSPHRASE, TODAY, make_issued_folder
from strange import COMPLETE, SAMPLE, choose_deployments
from topologies import STANDARD_EDITION

from lyncnb.deploy.checklist import find_times, list_all_sheets, list_order, to_html
from lyncnb.deploy.steps import build_procedure, deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.plan.options import PlanOptions
from lyncnb.rules.procedure import ANSWERS

FIFTY = next(deployment for deployment in COMPLETE if deployment.name == "fifty-servers")


def build(plan, end=OLD_END, **answers):
    """Return the deployment steps of a plan, in which all CAs are trusted already."""
    packages = packages_of(plan, end)
    trusted = {issuer.sha256 for package in packages for issuer in package.path}
    return build_procedure(
        packages,
        plan.rules,
        now=NOON,
        pools=plan.topology.pools,
        trusted_ca_hashes=trusted if end else None,
        answers=answers,
    )


def list_question_texts(steps):
    """Return the text of each row that asks a person."""
    return [row.text for row in read_rows(to_html(steps)) if "(yes / no)" in row.text]


@pytest.mark.parametrize("end", [None, OLD_END], ids=["new", "renewal"])
def test_order_and_sheet_say_the_same_minutes(end):
    """The minutes of a pool on the order page are those of its sheet, for each server."""
    steps = build(SAMPLE.plan(), end)
    sheets = list_all_sheets(steps)
    minutes = {page.server: find_times(sheet.first) for sheet in sheets for page in sheet.pages}
    rows = [r for r in list_order(steps, sheets, str) if r.servers and "×" in r.minutes]
    assert {server for row in rows for server in row.servers} == minutes.keys()
    for row in rows:
        number, sentence = minutes[row.servers[0]]
        assert row.minutes == f"{len(row.servers)} × {number}"
        assert sentence.startswith(f"{number} minutes a server")


def test_the_second_pool_of_a_pair_waits_for_the_first():
    """On the order page, one of two paired pools waits for the other, directly or not. Its sheet
    shows with which commands it waits.
    """
    plan = FIFTY.plan()
    steps = build(plan)
    sheets = list_all_sheets(steps)
    rows = {row.number: row for row in list_order(steps, sheets, str)}

    def list_before(number):
        own = set(rows[number].after)
        return own.union(*(list_before(other) for other in own))

    def find(pool):
        servers = {page.server for page in steps.servers if page.pool == pool}
        return next(r.number for r in rows.values() if servers and servers <= {*r.servers})

    pairs = {
        frozenset((str(pool.fqdn), str(name)))
        for pool in plan.topology.pools
        for name in pool.list_names("backup_pool")
    }
    assert pairs
    for pair in pairs:
        one, other = pair
        first, second = (one, other) if find(one) in list_before(find(other)) else (other, one)
        assert find(first) in list_before(find(second))
        (sheet,) = (s for s in sheets if s.name == second)
        commands = [c for s in sheet.sections for r in s.rows for b in r.blocks for c in b.commands]
        assert f"Get-CsBackupServiceStatus -PoolFqdn '{first}'" in commands
        assert f"Get-CsPoolBackupRelationship -PoolFqdn '{second}'" in commands


@pytest.mark.parametrize("end", [None, OLD_END], ids=["new", "renewal"])
@pytest.mark.parametrize("table", [SAMPLE, *choose_deployments()], ids=str)
def test_what_plan_toml_answers_is_asked_on_no_sheet(table, end):
    """A question that plan.toml answers with no is on no sheet, and neither is its row. With yes,
    the row is there without the question.
    """
    plan = table.plan()
    asked = list_question_texts(build(plan, end))
    no = {name: "no" for name, answers in ANSWERS.items() if "no" in answers}
    without = build(plan, end, **no, proxy_product="wap")
    yes = build(plan, end, **dict.fromkeys(no, "yes"), proxy_product="wap")
    gone = [text for text in asked if text not in list_question_texts(without)]
    assert any("Exchange Server or SharePoint Server" in text for text in gone)
    for text in gone:
        title = text.partition("(yes / no) ")[2]
        assert title not in to_html(without)
        assert not any(title in question for question in list_question_texts(yes))
    assert "Microsoft 365?" not in to_html(yes)
    assert "Get-WebBinding" not in to_html(yes)
    assert "Forefront TMG" not in to_html(yes).partition('class="off-paper"><summary')[0]


@pytest.mark.usefixtures("quick_cipher")
def test_the_answers_are_those_in_the_plan_of_the_folder(tmp_path):
    """The steps of a request folder use the answers of its plan.toml, without another option."""
    questions = {}
    for answer in ("", "no"):
        options = PlanOptions(procedure={"exchange_partner": answer} if answer else {})
        folder = tmp_path / (answer or "open")
        folder.mkdir()
        issued = make_issued_folder(STANDARD_EDITION.encode(), folder, options).match_issued()
        write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)
        texts = list_question_texts(deployment_steps(issued, today=TODAY))
        questions[answer] = [text for text in texts if "partner application" in text]
    assert len(questions[""]) == 1
    assert questions["no"] == []
