"""The files in ``docs/sample``, which the planning notebook writes, match the plan of the sample.

``--refresh`` writes the files again.
"""

from __future__ import annotations

import re
import subprocess
from importlib import import_module

import pytest
from folders import PASSPHRASE
from places import DATA, REPOSITORY

import lyncnb as ln
from lyncnb.reports.summary.formats import write_summary
from lyncnb.reports.summary.from_plan import build_summary

SAMPLE = REPOSITORY / "docs" / "sample"
OPTIONS = ln.PlanOptions.beside(DATA / "contoso.csv")


@pytest.fixture(scope="module")
def plan() -> ln.CertificatePlan:
    """Return the plan that the planning notebook creates."""
    return ln.plan_certificates(
        ln.read_topology(DATA / "contoso.csv"), ln.load_rules("lync2013"), options=OPTIONS
    )


@pytest.mark.parametrize("name", ["summary.md", "summary.csv"])
def test_the_sample_summary_matches_the_plan(request, plan, name):
    """The summary in docs/sample matches the summary of the plan."""
    findings = ln.check_plan(plan, on=OPTIONS.planned_issue_date)
    now = write_summary(build_summary(plan, findings), f".{name.rpartition('.')[2]}")
    if request.config.getoption("--refresh"):
        (SAMPLE / name).write_bytes(now)
    assert (SAMPLE / name).read_bytes() == now


def test_the_drawing_of_a_name_matches_the_plan(request, monkeypatch):
    """The README has a drawing that explains the parts of a certificate name. The drawing matches
    the plan of the sample deployment.
    """
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    drawing = import_module("draw_anatomy").draw()
    path = REPOSITORY / "docs" / "anatomy.svg"
    if request.config.getoption("--refresh"):
        path.write_text(drawing, "utf-8")
    assert path.read_text("utf-8") == drawing


def content_of(text: str) -> tuple[set[str], dict[str, str], str]:
    """Return the names, subject, and key size of a request, as OpenSSL prints them."""
    subject = re.findall(r"(CN|O|L|C) ?= ?([\w.]+)", text.split("Subject Public Key")[0])
    (bits,) = re.findall(r"Public-Key: \((\d+) bit\)", text)
    return set(re.findall(r"DNS:([\w.-]+)", text)), dict(subject), bits


def test_request_of_the_sample_has_the_planned_names(request, plan, tmp_path):
    """The CSR in docs/sample has the planned subject, names, and key size."""
    edge = next(c for c in plan.certificates if "AccessEdgeExternal" in c.usages)
    planned = set(map(str, edge.names)), dict(edge.subject.fields()), str(edge.key.bits)
    path = SAMPLE / "request.txt"
    is_stale = not path.exists() or content_of(path.read_text("ascii")) != planned
    if (
        request.config.getoption("--refresh") and is_stale
        # If the content is correct, skip the update, because each update creates a new key.
    ):
        ln.write_requests(plan, tmp_path / "requests", passphrase=PASSPHRASE)
        (csr,) = (tmp_path / "requests" / "csr").glob(f"{edge.id}*.csr")
        command = ["openssl", "req", "-in", csr, "-text"]
        completed = subprocess.run(command, capture_output=True, check=True)
        path.write_bytes(completed.stdout)
    text = path.read_text("ascii")
    assert content_of(text) == planned
    assert "-----BEGIN CERTIFICATE REQUEST-----" in text
    assert "PRIVATE KEY" not in text
