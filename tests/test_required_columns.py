"""Every picture and every document can be made for a table that has no optional column.

Only server and role are required, and the SIP domains in one row. Most tables of the tests have
sites, external names and simple URLs, and so few pools that a picture fits on one sheet.
"""

from __future__ import annotations

import os
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strange import COMPLETE, SHORTEST, Deployment
from test_reports import READERS
from topologies import csv_of, front_end, plan, row

import lyncnb as ln
from lyncnb.authorities.trust.trust_report import TRUST_FILE, build_trust_report
from lyncnb.base.shown.report import write_report
from lyncnb.forecasts.forecast_files import FORECAST_FILE, build_forecast_report
from lyncnb.reports import topology_boxes
from lyncnb.reports.compare import compare_plans
from lyncnb.reports.comparison_report import COMPARISON_FILE, Comparison, build_comparison_report
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary.formats import PLAN_FILE, write_plan_table
from lyncnb.widgets.editor import PlanEditor

# CI tries a few topologies. A full test sets a thousand.
EXAMPLES = int(os.environ.get("LYNCNB_SHORTEST_TABLES", "8"))
PRODUCTS = ("lync2013", "sfb2015", "sfb2019", "sfbse")
DAY = date(2026, 12, 1)


@st.composite
def shortest_plans(draw) -> ln.CertificatePlan:
    """Return the plan of a table with random pools and only the required columns."""
    rules = ln.load_rules(draw(st.sampled_from(PRODUCTS)))
    pools = draw(
        st.lists(
            st.tuples(st.sampled_from(sorted(rules.roles)), st.integers(1, 4)),
            min_size=1,
            max_size=draw(st.sampled_from([2, 12, 40])),
        )
    )
    rows = [
        {
            "server_fqdn": f"srv{number}-{server}.contoso.net",
            "role": role,
            "pool_fqdn": f"pool{number}.contoso.net" if servers > 1 else "",
        }
        for number, (role, servers) in enumerate(pools)
        for server in range(servers)
    ]
    domains = draw(st.integers(1, 9))
    rows[0]["sip_domains"] = ";".join(f"d{number}.contoso.com" for number in range(domains))
    options = ln.PlanOptions(
        lang=draw(st.sampled_from(["en", "zh-TW"])),
        layout=draw(st.sampled_from(["combined", "separate"])),
        planned_issue_date=draw(st.sampled_from([None, DAY])),
    )
    return ln.plan_certificates(ln.read_topology(csv_of(rows)), rules, options=options)


def write_all(planned: ln.CertificatePlan) -> None:
    """Write every picture and every document of a plan, and read each in its format."""
    findings = ln.check_plan(planned, on=DAY)
    for kind in KINDS:
        READERS[".svg"](ln.figure(planned, kind).to_svg())
        for site in planned.topology.sites:
            if site.name:
                READERS[".svg"](ln.figure(planned, kind, site=site.name).to_svg())
    for suffix in set(PLAN_FILE.is_ours) - {".svg"}:
        READERS[suffix](write_plan_table(planned, findings, suffix))
    empty = ln.plan_certificates(
        planned.topology.with_cells({0: {"sip_domains": "fabrikam.com"}}),
        planned.rules,
        options=planned.options,
    )
    difference = compare_plans(planned, empty)
    comparison = Comparison(
        difference=difference, old_findings=findings, new_findings=ln.check_plan(empty, on=DAY)
    )
    forecast = ln.forecast(planned, start=DAY, until=date(2029, 12, 31))
    for report, kind in (
        (build_trust_report(ln.trust(planned)), TRUST_FILE),
        (build_forecast_report(forecast), FORECAST_FILE),
        (build_comparison_report(comparison), COMPARISON_FILE),
    ):
        for suffix in set(kind.is_ours) - {".ics"}:
            READERS[suffix](write_report(report, suffix))


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(planned=shortest_plans())
def test_every_document_of_a_shortest_table_is_written(planned):
    """A table without optional columns has every picture and every document, however large it is."""
    write_all(planned)


@pytest.mark.slow
def test_every_document_of_a_strange_deployment_is_written(any_deployment: Deployment):
    """A deployment that is not like the sample has every picture, of each site too, and every
    document.
    """
    write_all(any_deployment.plan())


def test_a_picture_that_fills_a_sheet_says_that_no_site_is_named():
    """If eleven pools without a site do not fit on one sheet, the picture shows their roles under
    the words that no site is named.
    """
    for deployment in (COMPLETE[1], SHORTEST):
        figure = ln.figure(deployment.plan())
        assert "No site named" in figure.svg
        assert "0 sites" not in figure.svg


def test_a_site_is_drawn_beside_pools_without_a_site():
    """The picture of the only named site shows a reverse proxy without a site in another band."""
    planned = plan(front_end(site="Taipei"), row("rp01.contoso.com", "ReverseProxy"))
    svg = ln.figure(planned, site="Taipei").svg
    assert svg.index("Site Taipei") < svg.index("No site named") < svg.index("rp01.contoso.com")


def test_a_picture_that_fails_leaves_the_editor(monkeypatch):
    """If the picture of the plan cannot be drawn, the cell of the plan editor still shows the
    editor and the plan, and a sentence that the picture is missing.
    """

    def fail(*_: object) -> str:
        raise IndexError("list index out of range")

    planned = COMPLETE[0].plan()
    editor = PlanEditor(planned.topology, planned.rules, options=planned.options)
    monkeypatch.setattr(topology_boxes, "fit_names", fail)
    bundle, _ = editor._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "lyncnb could not draw the picture of the plan." in bundle["text/html"]
    assert "IndexError in test_required_columns.py" not in bundle["text/html"]
    assert "front-end-pool-of-the-communicati01.contoso.net" in bundle["text/html"].replace(
        "<wbr>", ""
    )
