"""lyncnb can write every type of report in every format, and recognizes each file that it wrote."""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache

import docx
import icalendar
import openpyxl
import pytest
from places import REPOSITORY
from printing import check_workbook
from strange import SAMPLE, Deployment

import lyncnb as ln
from lyncnb.authorities.survey.as_is import (
    AS_IS_FILE,
    AS_IS_TABLE,
    AsIs,
    InstalledCertificate,
    PlannedAsIs,
    UnplannedCertificate,
    build_as_is_report,
)
from lyncnb.authorities.trust.trust_report import TRUST_FILE, build_trust_report
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.base.disk.outputs import check_output_path
from lyncnb.base.shown.report import (
    FORMATS,
    Report,
    ReportTable,
    build_report_kind,
    write_report,
)
from lyncnb.base.shown.tables import list_headings
from lyncnb.base.shown.terminal_text import format_report
from lyncnb.errors import OutputError
from lyncnb.forecasts.compare_forecasts import FORECASTS_FILE, build_forecasts_report
from lyncnb.forecasts.forecast_files import FORECAST_FILE, build_forecast_report
from lyncnb.probes.result import PROBE_FILE, Probe, ProbeLine, build_probe_report
from lyncnb.reports import figures as pictures
from lyncnb.reports.compare import compare_plans
from lyncnb.reports.comparison_report import COMPARISON_FILE, Comparison, build_comparison_report
from lyncnb.reports.summary.columns import CSV, list_columns
from lyncnb.reports.summary.formats import PLAN_FILE, write_plan_table


def plan(deployment: Deployment = SAMPLE) -> ln.CertificatePlan:
    """Return the plan of a deployment, by default of the sample."""
    return deployment.plan()


@cache
def forecast(deployment: Deployment = SAMPLE, last: str = "2029-07-30") -> ln.Forecast:
    """Create a forecast with a change freeze of two months, which is too long."""
    freezes = {"merger": f"2029-06-01 to {last}"}
    options = ln.PlanOptions(planned_issue_date=date(2026, 11, 25), freezes=freezes)
    return ln.forecast(plan(deployment), until=date(2029, 12, 31), options=options)


def comparison(deployment: Deployment = SAMPLE) -> Comparison:
    """Compare the plan with a plan that has larger keys and different findings."""
    old = plan(deployment)
    options = replace(old.options, key=KeyParameters(bits=4096))
    other = ln.plan_certificates(old.topology, old.rules, options=options)
    findings = [ln.check_plan(planned, on=date(2026, 11, 25)) for planned in (old, other)]
    assert findings[0]
    difference = compare_plans(old, other)
    return Comparison(difference=difference, old_findings=findings[0], new_findings=findings[1])


def as_is(deployment: Deployment = SAMPLE) -> AsIs:
    """Compare the plan with one installed certificate that is planned and one that is not planned."""
    standing = InstalledCertificate(
        thumbprint="AB" * 20, sha256="cd" * 32, serial="01", subject="CN=a.contoso.com",
        issuer="CN=CA", not_before="2026-01-01T00:00:00Z", not_after="2027-01-01T00:00:00Z",
        files=("a.pem",), servers=("a.contoso.com",),
    )  # fmt: skip
    planned = plan(deployment)
    certificate, other = planned.certificates[:2]
    facts = {"subject": "CN=a", "entry_sha256": "ef" * 32}
    return AsIs(
        product=planned.rules.product,
        plan_sha256=planned.sha256,
        made_at="2026-11-24T08:00:00Z",
        judged_on=date(2026, 11, 24),
        planned=(
            PlannedAsIs(
                id=certificate.id, owner=certificate.owner, usages=certificate.usages, state="covered",
                certificate=standing, remarks=("it is used elsewhere",), **facts,
            ),
            PlannedAsIs(id=other.id, owner=other.owner, usages=(), state="none", **facts),
        ),
        unplanned=(UnplannedCertificate(certificate=standing, why="nobody planned it"),),
    )  # fmt: skip


def probe(deployment: Deployment = SAMPLE) -> Probe:
    """Compare the plan with a probe that found one certificate, a closed port and an unreadable
    certificate.
    """
    as_is_result, planned = as_is(deployment), plan(deployment)
    facts = {"place": "a.contoso.com:5061", "address": "192.0.2.1:5061", "owner": "a.contoso.com"}
    certificate = as_is_result.planned[0].certificate
    return Probe(
        product=planned.rules.product, source=deployment.table.name, plan_sha256=planned.sha256,
        zone="inside",
        made_at="2026-11-24T08:00:00Z", as_is=as_is_result, notes=("1 of 2 members seen",),
        seen=(
            ProbeLine(result="different", id="a", certificate=certificate, remarks=("old",), **facts),
            ProbeLine(result="refused", remarks=("closed",), condition="if it runs", **facts),
            ProbeLine(result="cannot be seen", id="b", owner="the deployment"),
        ),
    )  # fmt: skip


#: Functions that create each type of report from the plan of a deployment.
REPORTS: dict[str, Callable[[Deployment], Report]] = {
    "trust": lambda chosen: build_trust_report(ln.trust(plan(chosen))),
    "forecast": lambda chosen: build_forecast_report(forecast(chosen)),
    "forecasts": lambda chosen: build_forecasts_report(
        ln.compare_forecasts(forecast(chosen), forecast(chosen, "2029-06-05"))
    ),
    "comparison": lambda chosen: build_comparison_report(comparison(chosen)),
    "as is": lambda chosen: build_as_is_report(as_is(chosen)),
    "probe": lambda chosen: build_probe_report(probe(chosen)),
    "kept answer": lambda chosen: build_as_is_report(as_is(chosen), AS_IS_FILE),
}


@cache
def report(name: str, deployment: Deployment = SAMPLE) -> Report:
    """Create a report once for all formats."""
    return REPORTS[name](deployment)


KINDS = {
    "trust": TRUST_FILE,
    "forecast": FORECAST_FILE,
    "forecasts": FORECASTS_FILE,
    "comparison": COMPARISON_FILE,
    "as is": AS_IS_TABLE,
    "probe": PROBE_FILE,
    "kept answer": AS_IS_FILE,
}
CASES = [(name, suffix) for name, kind in KINDS.items() for suffix in kind.is_ours]


def headings(name: str, suffix: str, deployment: Deployment = SAMPLE) -> list[list[str]]:
    """Return the headings of each table of a report in a given format."""
    tables = (part for part in report(name, deployment).parts if isinstance(part, ReportTable))
    return [table.headings() for table in tables if suffix in table.formats]


# Each reader returns the headings of the tables in a file of its format, and fails for any other
# format.


def read_csv(data: bytes) -> list[list[str]]:
    return [next(csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True))]


def read_xlsx(data: bytes) -> list[list[str]]:
    check_workbook(data)
    book = openpyxl.load_workbook(io.BytesIO(data))
    return [[str(cell.value) for cell in sheet[1]] for sheet in book.worksheets]


def read_markdown(data: bytes) -> list[list[str]]:
    lines = data.decode().splitlines()
    assert lines[0].startswith("# ")
    above = (lines[n - 1] for n, line in enumerate(lines) if re.fullmatch(r"\|( --- \|)+", line))
    return [line.strip("| ").split(" | ") for line in above]


def read_page(data: bytes) -> list[list[str]]:
    text = data.decode().replace("<wbr>", "")
    assert text.startswith("<!DOCTYPE html>")
    # The collapsed part of a long table repeats the headings.
    heads = (re.sub('<details class="lyncnb-more">.*?</details>', "", text, flags=re.DOTALL)).split(
        "<thead>"
    )[1:]
    return [re.findall(r'<th scope="col">(.*?)</th>', head.partition("\n")[0]) for head in heads]


def read_json(data: bytes) -> list[list[str]]:
    assert next(iter(json.loads(data))) == "format"
    return []


def read_picture(data: bytes) -> list[list[str]]:
    assert ET.fromstring(data).tag.endswith("}svg")
    return []


def read_calendar(data: bytes) -> list[list[str]]:
    assert icalendar.Calendar.from_ical(data).walk("VEVENT")
    return []


def read_word(data: bytes) -> list[list[str]]:
    tables = docx.Document(io.BytesIO(data)).tables
    return [[cell.text for cell in table.rows[0].cells] for table in tables]


READERS = {
    ".csv": read_csv,
    ".xlsx": read_xlsx,
    ".md": read_markdown,
    ".html": read_page,
    ".json": read_json,
    ".svg": read_picture,
    ".ics": read_calendar,
    ".docx": read_word,
}


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_a_report_has_the_format_of_its_suffix(name, suffix, tmp_path, any_deployment):
    """The format of a report matches its file suffix, and only a report of the same type may
    overwrite the file.
    """
    data = write_report(report(name, any_deployment), suffix)
    assert READERS[suffix](data) == headings(name, suffix, any_deployment)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    check_output_path(path, KINDS[name])
    for other, kind in KINDS.items():
        # All formats except pictures store the type of report, so lyncnb cannot tell the pictures
        # of different reports apart.
        if other != name and suffix in kind.is_ours and suffix != ".svg":
            with pytest.raises(OutputError, match="already exists"):
                check_output_path(path, kind)


@pytest.mark.parametrize("suffix", PLAN_FILE.is_ours)
def test_a_plan_has_the_format_of_its_suffix(suffix, tmp_path, any_deployment):
    """The summary of a plan is written in the format that the file suffix specifies, and lyncnb
    recognizes the file as its own.
    """
    planned = plan(any_deployment)
    data = (
        ln.figure(planned).to_svg()
        if suffix == ".svg"
        else write_plan_table(planned, ln.check_plan(planned), suffix)
    )
    content = READERS[suffix](data)
    if suffix == ".csv":
        assert content == [list_headings(list_columns(CSV))]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    check_output_path(path, PLAN_FILE)
    for kind in KINDS.values():
        if suffix in kind.is_ours and suffix != ".svg":
            with pytest.raises(OutputError, match="already exists"):
                check_output_path(path, kind)


def test_every_format_has_a_reader():
    """The tests in this file can read every report format."""
    assert FORMATS.keys() == READERS.keys()


@pytest.mark.parametrize("name", REPORTS)
def test_an_unknown_suffix_writes_nothing(name):
    """If a file suffix is not supported, lyncnb writes nothing, and the message lists the supported
    suffixes.
    """
    for suffix in (".tsv", "", ".HTML"):
        with pytest.raises(OutputError) as refused:
            write_report(report(name), suffix)
        suffixes = list(KINDS[name].is_ours)
        words = "use the extension" if len(suffixes) == 1 else "use one of the extensions"
        assert refused.value.hint == f"{words} {', '.join(suffixes)}"


def test_a_report_cannot_offer_a_suffix_without_a_writer():
    """If a report claims to support ``.tsv``, for which there is no writer, importing its module
    fails.
    """
    with pytest.raises(KeyError, match=r"\.tsv"):
        build_report_kind(
            "a list", title="List", format_id="list/1", columns=(), suffixes=(".csv", ".tsv")
        )


#: A text that a format could read as markup, as a formula, or as another column of a table.
HOSTILE = "=1+1|<img src=x onerror=alert(1)>&\"'`"


@pytest.fixture(scope="module")
def hostile(any_deployment, tmp_path_factory) -> Deployment:
    """Return a deployment whose sites, title and planner are a hostile text."""
    table = tmp_path_factory.mktemp("hostile") / any_deployment.table.name
    frame = ln.read_topology(any_deployment.table).to_frame(filled=False)
    frame["site"] = [f"{HOSTILE}{site}" for site in frame.get("site", [""] * len(frame))]
    table.write_bytes(ln.read_topology(frame).to_csv())
    options = replace(plan(any_deployment).options, title=HOSTILE, planner=HOSTILE)
    table.with_suffix(".plan.toml").write_text(options.to_toml(), "utf-8")
    return Deployment(f"hostile {any_deployment}", "a hostile text", table)


def check_escaped(data: bytes, suffix: str) -> None:
    """Check that a document shows the hostile text as text."""
    READERS[suffix](data)
    if suffix in (".html", ".svg", ".md"):
        text = data.decode()
        assert "<img src=x" not in text.replace("<wbr>", "")
    if suffix == ".md":
        for rows in re.findall(r"(?m)^\|.*\n(?:\|.*\n?)+", text):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()}) == 1
    if suffix == ".csv":
        rows = csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        assert not [cell for row in rows for cell in row if cell.startswith("=")]
    if suffix == ".xlsx":
        book = openpyxl.load_workbook(io.BytesIO(data))
        cells = itertools.chain(*(row for sheet in book for row in sheet.iter_rows()))
        assert {cell.data_type for cell in cells} <= {"s", "n", "d", "b"}


def test_text_of_any_deployment_is_escaped(hostile):
    """Sites, title and planner of any deployment are shown as text in each document and picture."""
    planned = plan(hostile)
    for suffix in set(PLAN_FILE.is_ours) - {".svg"}:
        data = write_plan_table(planned, ln.check_plan(planned), suffix)
        check_escaped(data, suffix)
        assert (b"&lt;img src=x" in data) is (suffix in (".html", ".md"))
    for kind in pictures.KINDS:
        check_escaped(ln.figure(planned, kind).to_svg(), ".svg")
    for name in REPORTS:
        for suffix in KINDS[name].is_ours:
            check_escaped(write_report(REPORTS[name](hostile), suffix), suffix)


@pytest.mark.parametrize("name", REPORTS)
def test_the_short_form_has_no_line_breaks_in_a_line(name, any_deployment):
    """No line in the short form of a report has a line break."""
    lines = list(format_report(report(name, any_deployment), width=100))
    assert lines
    assert all(line.splitlines() == [line] for line in lines if line)


def test_headings_are_defined_with_their_values():
    """The code defines each heading of a table together with its value, and not in a separate list
    of headings.
    """
    tables = {tuple(row[:3]) for name, suffix in CASES for row in headings(name, suffix)}
    tables |= {tuple(list_headings(list_columns(table))[:3]) for table in range(5)}
    joined = {",".join(f'"{heading}"' for heading in first) for first in tables if len(first) > 2}
    repetitions = []
    for path in sorted((REPOSITORY / "lyncnb").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Tuple, ast.List)):
                texts = tuple(getattr(element, "value", None) for element in node.elts[:3])
                is_same = len(texts) == 3 and texts in tables
            else:
                is_same = isinstance(node, ast.Constant) and any(
                    text in str(node.value) for text in joined
                )
            repetitions += [f"{path.name}:{node.lineno}"] if is_same else []
    assert repetitions == []
