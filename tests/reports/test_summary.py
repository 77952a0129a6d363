"""lyncnb writes the summary of a plan in every format."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path

import docx
import openpyxl
import pytest
from folders import issued_record, written_record
from printing import check_workbook

from lyncnb.base.dns_name import DnsName
from lyncnb.base.shown.tables import build_rows, list_headings
from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import PlanError
from lyncnb.plan import spellings
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.plan_json import plan_document, plan_json
from lyncnb.plan.planner import plan_certificates
from lyncnb.plan.totals import format_totals
from lyncnb.reports.summary import formats
from lyncnb.reports.summary.columns import CSV, list_columns
from lyncnb.reports.summary.content import SavedFile, list_cover_entries, shorten_summary
from lyncnb.reports.summary.from_plan import build_summary, list_ids_in_order
from lyncnb.reports.summary.page import group_requests
from lyncnb.reports.summary.progress import add_requests
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.request_record import RequestFiles, Revocation, build_deployments
from lyncnb.rules.findings import Finding, Findings, group_findings
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

TABLE = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,access_edge_fqdn,webconf_edge_fqdn,av_edge_fqdn
fe01.contoso.net,FrontEnd,pool.contoso.net,Taipei,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com,,,
fe02.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,,,,
edge01.contoso.net,Edge,edge01.contoso.net,Taipei,,,,,access.contoso.com,conf.contoso.com,av.contoso.com
rp01.contoso.net,ReverseProxy,,Taipei,,,,,,,
"""

HOSTILE_SITE = "=cmd|' /C calc'!A0 <script>alert(1)</script> | `x`"


@pytest.fixture(scope="module")
def plan():
    """Return the plan of two Front End Servers, an Edge Server and a reverse proxy."""
    return plan_certificates(read_topology(TABLE.encode()), load_rules("lync2013"))


@pytest.fixture(scope="module")
def findings(plan):
    """Return the findings for the plan."""
    return check_plan(plan)


@pytest.fixture(scope="module")
def hostile():
    """Return a plan and a finding that contain a malicious site name. A program that displays the
    name without escaping could run its code.
    """
    text = TABLE.replace("Taipei", '"' + HOSTILE_SITE + '"')
    plan = plan_certificates(read_topology(text.encode()), load_rules("lync2013"))
    finding = Finding(
        code="x", severity="warning", about="<b>", message=HOSTILE_SITE, hint="=1+1", source="@x"
    )
    return plan, Findings((finding,))


def _list_rows(plan, findings, requests=()):
    columns = list_columns(CSV)
    rows = build_rows(columns, add_requests(build_summary(plan, findings), requests).lines())
    return [dict(zip(list_headings(columns), row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("", "4: "),
        (
            "fe01.contoso.net,Mediation,pool.contoso.net,,,,,,,,\n",
            "4, of which 1 has more than one role: ",
        ),
        (
            "".join(f"fe0{n}.contoso.net,Mediation,pool.contoso.net,,,,,,,,\n" for n in (1, 2)),
            "4, of which 2 have more than one role: ",
        ),
    ],
)
def test_servers_with_several_roles_are_counted_once(rows, words):
    """The number of servers counts each server once. The verb agrees with the number."""
    topology = read_topology((TABLE + rows).encode())
    plan = plan_certificates(topology, load_rules("lync2013"))
    assert dict(list_cover_entries(build_summary(plan, ())))["Servers"].startswith(words)


def test_hint_in_a_document_contains_no_command(plan, findings):
    """A document lists all findings of a group, so its hint does not say how to list them."""
    text = formats.write_plan_table(plan, findings, ".md").decode()
    assert "Before you order certificates, read each finding." in text
    assert "lyncnb check" not in text


def test_one_row_per_certificate_with_every_column(plan):
    """The row for a Front End Server contains every column: the properties that are requested, and
    how the certificate is used.
    """
    row = _list_rows(plan, ())[0]
    request_id = row["Certificate"]
    assert request_id.startswith("FrontEnd-fe01-contoso-net-")
    assert row == {
        "Certificate": request_id,
        "Role": "FrontEnd",
        "Servers": ("fe01.contoso.net",),
        "Pool": "pool.contoso.net",
        "Site": "Taipei",
        "Type": ("Default", "WebServicesInternal", "WebServicesExternal"),
        "Subject": "CN=pool.contoso.net",
        "Subject alternative names": (
            "pool.contoso.net",
            "fe01.contoso.net",
            "web.contoso.com",
            "meet.contoso.com",
            "dialin.contoso.com",
            "lyncdiscoverinternal.contoso.com",
            "lyncdiscover.contoso.com",
        ),
        "SAN count": 7,
        "EKU": ("serverAuth",),
        "Issuer": "internal",
        "CA": "",
        "Key": "RSA 2048",
        "Hash": "sha256",
        "Exportable": "yes",
        "Shared by": "server",
        "CSR file": f"csr/{request_id}.csr",
        "Key file": f"keys/{request_id}.key",
        "Import": "after packaging",
        "Assign": "after packaging",
        "Warnings": (),
        "Rule": "FrontEnd/Default",
        "Source": load_rules("lync2013").certificates[0].source,
        "No.": "",
    } | {"Rule": row["Rule"], "Source": row["Source"]}
    assert row["Source"].startswith("Microsoft, Certificate requirements for internal servers")


def test_warnings_name_findings_about_certificate_pool_and_server(plan):
    """Each row of the summary contains the codes of the findings about its certificate, pool and
    servers. Each code appears once.
    """
    first = plan.certificates[0]

    def finding(code, object_name, severity="warning"):
        return Finding(
            code=code, severity=severity, about=object_name, message="m", hint="h", source="s"
        )

    findings = (
        finding("a", first.id, "error"),
        finding("b", plan.topology.pools[0].computers[0].fqdn),
        finding("c", first.servers[0]),
        finding("c", first.servers[0]),
        finding("d", "elsewhere.contoso.net"),
    )
    rows = _list_rows(plan, findings)
    assert rows[0]["Warnings"] == ("error: a", "warning: b", "warning: c")
    # The first server of a pool represents the pool, so the warning appears for each certificate of
    # the pool.
    assert {"warning: b" in r["Warnings"] for r in rows if r["Pool"] == first.pool} == {True}


def test_file_names_are_those_in_the_request_folder(plan):
    """If the requests have been written, the summary contains their file names in the request
    folder.
    """
    first = plan.certificates[0]
    (request,) = (candidate for candidate in _requests(plan) if candidate.id == first.id)
    request = replace(request, files=RequestFiles(csr="csr/x.csr", key="keys/x.key"))
    row = _list_rows(plan, (), [request])[0]
    assert (row["CSR file"], row["Key file"]) == ("csr/x.csr", "keys/x.key")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".html", ".md", ".docx"])
def test_every_format_says_whether_the_key_can_be_exported(plan, findings, suffix):
    """In every format, the summary shows whether each key can be exported.

    This is unknown if the key is on another computer. All other keys can be exported.
    """
    requests = list(_requests(plan))
    requests[1] = replace(requests[1], key_holder="tools01.contoso.com")
    data = _write(plan, findings, suffix, requests)
    text = _extract_text(data, suffix)
    assert "not verified: the key is on tools01.contoso.com" in text
    assert "Exportable" in text
    none = _write(plan, findings, suffix, list(_requests(plan)))
    assert "not verified" not in _extract_text(none, suffix)


def _extract_text(data, suffix):
    """Return the text of a summary file."""
    if suffix == ".docx":
        return "\n".join(p.text for p in docx.Document(io.BytesIO(data)).paragraphs)
    if suffix == ".xlsx":
        sheets = openpyxl.load_workbook(io.BytesIO(data)).worksheets
        return "\n".join(str(v) for s in sheets for row in s.values for v in row)
    return re.sub(r"<[^>]+>|\\|[\u200b\u2060]", "", data.decode("utf-8-sig"))


def _files(plan, findings):
    """Return the summary files that are written to a request folder, by file name."""
    return {
        name: formats.write_plan_table(plan, findings, Path(name).suffix) for name in SUMMARY_NAMES
    }


def test_the_four_summary_files_are_the_same_each_time(plan, findings):
    """For the same plan, the same four summary files are written each time, byte for byte."""
    files = _files(plan, findings)
    assert list(files) == ["summary.csv", "summary.xlsx", "summary.html", "summary.md"]
    assert _files(plan, findings) == files


def test_csv_has_every_certificate(plan, findings):
    """The CSV file is UTF-8 that Excel can open, contains every certificate, and quotes every
    field.
    """
    data = formats.write_plan_table(plan, findings, ".csv")
    assert data.startswith(b'\xef\xbb\xbf"Certificate","Role",')
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [row["Certificate"] for row in rows] == [c.id for c in plan.certificates]
    assert rows[0]["Subject alternative names"] == "; ".join(plan.certificates[0].names)


def _workbook(plan, findings, requests=()):
    data = _write(plan, findings, ".xlsx", requests)
    return openpyxl.load_workbook(io.BytesIO(data))


def test_xlsx_has_the_expected_sheets(plan, findings, hostile):
    """The workbook contains no empty sheet, and lists one certificate in each row."""
    workbook = _workbook(plan, Findings())
    assert workbook.sheetnames == [
        *("Cover", "Certificates", "Names", "Servers", "Documents", "Files"),
    ]
    cover = {row[0]: row[1:] for row in workbook["Cover"].iter_rows(values_only=True)}
    assert cover["Plan"][0].startswith("Certificates for Lync Server 2013: ")
    assert cover["Task: Server team"][1] == "when the planner sends the packages"
    assert "Findings" in _workbook(plan, findings).sheetnames
    assert workbook["Certificates"].max_row == len(plan.certificates) + 1
    assert workbook["Servers"].max_row == 5
    assert workbook.properties.title == "Certificates for Lync Server 2013"
    assert "Findings" in _workbook(*hostile).sheetnames


def test_workbook_and_word_have_the_links_of_the_page(plan, findings):
    """If the page links to a document about a name or finding, the workbook and the Word document
    have the same link.
    """
    page = formats.write_plan_table(plan, findings, ".html").decode()
    on_page = {
        (html.unescape(title), html.unescape(address))
        for address, title in re.findall(r'<a href="(https:[^"]+)"[^>]*>([^<]+)</a>', page)
    }
    sheet = _workbook(plan, findings)["Documents"]
    rows = list(sheet.iter_rows(min_row=2))
    in_book = [(title.value, address.hyperlink.target) for title, address in rows]
    assert {title for title, _ in in_book} >= {
        "Certificate requirements for internal servers in Lync Server 2013"
    }
    document = docx.Document(io.BytesIO(formats.write_plan_table(plan, findings, ".docx")))
    links = (link for paragraph in document.paragraphs for link in paragraph.hyperlinks)
    assert [(link.text, link.address) for link in links] == in_book
    assert set(in_book) <= on_page


def test_xlsx_lists_every_name_with_its_reason(plan, findings):
    """The sheet of names lists every name in every certificate, with the source of the name."""
    rows = list(_workbook(plan, findings)["Names"].iter_rows(min_row=2, values_only=True))
    expected = {name for c in plan.certificates for name in (*c.names, c.subject.common_name)}
    assert expected == {row[1] for row in rows}
    assert all(row[3] and row[4] and row[5] for row in rows)


def test_xlsx_lists_notices_once(plan):
    """In the workbook, each notice is listed once on a separate sheet. Each warning also appears in
    the row of its certificate.
    """
    finding = Finding(code="x", severity="warning", about="", message="m", hint="h", source="s")
    identity = plan.certificates[0].id
    findings = (
        replace(finding, about=identity),
        replace(finding, about=identity, code="y", severity="notice"),
    )
    workbook = _workbook(plan, Findings(findings))
    assert [row[-1] for row in workbook["Certificates"].iter_rows(values_only=True)][1] == (
        "warning: x"
    )
    assert {row[1] for row in workbook["Findings"].iter_rows(min_row=2, values_only=True)} == {
        *"xy"
    }


def test_a_subject_name_may_break_between_its_parts(hostile):
    """A subject name is shown with a space after each comma between its fields. The values are not
    changed.
    """
    organization = PlanOptions(organization="Contoso, Ltd.", country="TW")
    plan = plan_certificates(hostile[0].topology, hostile[0].rules, options=organization)
    block = build_summary(plan, Findings()).blocks[0]
    assert block.subject_words.endswith(", O=Contoso\\, Ltd., C=TW")
    assert block.subject_words.replace(", ", ",") == block.subject.replace(", ", ",")


def test_xlsx_can_be_read_on_paper(plan, findings):
    """Every sheet has repeated headings, text of at least 8 points on paper, and cells with the
    types date and number.
    """
    requests = list(_requests(plan))
    check_workbook(_write(plan, findings, ".xlsx", requests))
    for sheet in _workbook(plan, findings):
        assert sheet.freeze_panes == "B2"
        assert {cell.alignment.wrap_text for cell in sheet[2]} == {True}


ISSUED = issued_record(
    not_before="2026-03-20T00:00:00Z",
    not_after="2026-10-05T23:59:59Z",
    received_at="2026-03-21T08:00:00Z",
)
AT = "2026-03-21T08:00:00Z"


def _requests(plan):
    """Return the requests of a folder. The certificate for the first request has been issued."""
    numbers = {name: number for number, name in enumerate(list_ids_in_order(plan), start=1)}
    records = [written_record(part, numbers[part.id]) for part in plan.certificates]
    records[0] = records[0].with_issued_certificate(ISSUED, at=AT)
    return records


def _write(plan, findings, suffix, requests):
    """Write the summary of a request folder in one format."""
    summary = build_summary(plan, findings, pictures=suffix == ".html", table_only=suffix == ".csv")
    return formats.write_summary(add_requests(summary, requests), suffix)


def test_xlsx_of_a_folder_lists_issued_certificates(plan, findings):
    """The workbook of a request folder has a sheet of issued certificates, ordered by end date."""
    workbook = _workbook(plan, findings, list(_requests(plan)))
    rows = list(workbook["Renewals"].iter_rows(min_row=2, values_only=True))
    assert [row[:3] for row in rows] == [
        (datetime(2026, 7, 31), datetime(2026, 10, 5), datetime(2026, 3, 20))
    ]
    assert rows[0][-1] == plan.certificates[0].id


@pytest.mark.parametrize("suffix", [".html", ".md", ".docx"])
def test_cover_never_shows_the_current_date(plan, findings, suffix):
    """The cover shows the planned issue date and the date of the folder's last change, or states
    that no date is set yet.

    It never shows the current date.
    """
    options = replace(plan.options, planned_issue_date=date(2026, 4, 1), validity_days=200)
    dated = replace(plan, options=options)
    without = _text_of(formats.write_plan_table(plan, findings, suffix), suffix)
    text = _text_of(_write(dated, findings, suffix, list(_requests(plan))), suffix)
    assert "no date is set yet" in without
    # The sources on the page may contain dates. The current date appears only as the evaluation
    # date, on the cover and on each printed sheet.
    remainder = re.sub(r"Evaluated for[^\w]*(3a )?[^\w]*[\d-]{10}", "", without)
    assert date.today().isoformat() not in remainder
    assert (
        f"{findings.judged_on}: the findings are based on the rules in force on this date"
        in without
    )
    assert "2026-04-01" in text
    assert "200 days, if the CA allows this period" in text
    assert "if the CA allows this" not in without
    apart = replace(plan, options=replace(plan.options, validity={"internal": 365}))
    by_issuer = _text_of(formats.write_plan_table(apart, findings, suffix), suffix)
    words = "internal: 365 days, if the CA allows this period; public: as long as the CA allows"
    assert words in by_issuer
    assert "2026-03-21 08:00 UTC" in text


def _text_of(data, suffix):
    if suffix == ".docx":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("word/document.xml")
    page = _Page()
    page.feed(data.decode().replace("\\", ""))
    return page.text


@pytest.mark.parametrize("suffix", [".html", ".md", ".docx"])
def test_every_name_and_fingerprint_is_reported(plan, findings, suffix):
    """The summary contains each name, and each request with its SHA-256 hash."""
    requests = list(_requests(plan))
    data = _write(plan, findings, suffix, requests)
    text = _text_of(data, suffix)
    expected = {name for c in plan.certificates for name in (*c.names, c.subject.common_name)}
    expected |= {request.files.csr for request in requests}
    expected |= {request.csr_sha256 for request in requests}
    assert [name for name in sorted(expected) if name not in text] == []


def test_similar_certificates_are_one_block(plan, findings):
    """If two certificates differ only in the host names of their servers, the summary shows them in
    one block.
    """
    blocks = build_summary(plan, findings).blocks
    assert [len(block.members) for block in blocks if block.role == "FrontEnd"] == [2]
    assert sum(len(block.members) for block in blocks) == len(plan.certificates)


def test_a_different_name_has_its_own_block(plan, findings):
    """If a certificate has an additional name, the summary shows the certificate in a separate
    block.
    """
    first, *others = plan.certificates
    entry = replace_name(first.subject_alt_name[-1], "more.contoso.com")
    changed = first._replace(subject_alt_name=(*first.subject_alt_name, entry))
    blocks = build_summary(replace(plan, certificates=(changed, *others)), findings).blocks
    assert [len(block.members) for block in blocks if block.role == "FrontEnd"] == [1, 1]


def replace_name(entry, name):
    return type(entry)(name=DnsName.parse(name), reasons=entry.reasons)


def test_a_shortened_page_makes_no_claims_about_servers(plan, findings):
    """If a shortened page omits a server's certificates, it does not state that the server needs
    none.
    """
    lines = shorten_summary(build_summary(plan, findings), 1).servers
    assert [line.server for line in lines if line.why_none] == []
    assert all(line.certificates for line in lines)


def test_the_cover_lists_tasks_by_person(hostile):
    """The cover lists tasks for the planner, the approver, each CA and the server team. The first
    task is to resolve the errors.
    """
    plan, _ = hostile
    error = Finding(code="x", severity="error", about="", message="", hint="", source="")
    options = replace(plan.options, planned_issue_date=date(2026, 4, 1))
    asks = add_requests(build_summary(replace(plan, options=options), (error,))).asks
    expected = [
        "Planner",
        "Planner",
        "Approver",
        "Planner",
        "Internal CA",
        "Public CA",
        "Server team",
    ]
    assert [ask.who for ask in asks] == expected
    assert asks[0].what.startswith("Resolve 1 error")
    assert asks[4].when == "by 2026-04-01"
    assert (
        asks[4].what == "Issue 4 certificates as requested, with all names."
    )  # In this plan, the requests have no numbers yet.


@pytest.mark.parametrize("suffix", [".html", ".md", ".docx", ".xlsx"])
def test_a_finding_is_shown_with_its_title(plan, findings, suffix):
    """In every format, the title of a finding precedes its message."""
    titles = {finding.title for finding in findings}
    text = _source(formats.write_plan_table(plan, findings, suffix)).replace("\\", "")
    assert "" not in titles
    assert [title for title in titles if f"{title}:" not in text.replace("&amp;", "&")] == []


def test_a_list_of_requests_begins_with_common_properties(plan, findings):
    """The list of requests for a CA begins with the date, and with the properties that all the
    requests have.
    """
    dated = replace(plan, options=replace(plan.options, planned_issue_date=date(2026, 12, 1)))
    page = _text_of(formats.write_plan_table(dated, findings, ".html"), ".html")
    heads = re.findall(r"When:\s*by\s*2026-12-01\.\s*For each:\s*Issuer:", page)
    assert len(heads) == sum(
        group.common != () for group in group_requests(build_summary(dated, findings))
    )
    assert heads


@pytest.mark.parametrize("suffix", [".html", ".md", ".docx"])
def test_each_task_refers_to_an_existing_heading(plan, findings, suffix):
    """In each document, a task refers to a heading that exists in the document."""
    identity = next(c.id for c in plan.certificates if c.issuer == "public")
    finding = Finding(
        code="x", severity="notice", about=identity, message="m", hint="h", source="s"
    )
    all_findings = (*findings, finding)
    text = _text_of(formats.write_plan_table(plan, Findings(all_findings), suffix), suffix)
    assert "Domain owners" in text
    # "Notices" appears twice: in the task, and in the heading to which the task refers.
    assert text.count("Notices") == 2


def test_word_document_ends_with_a_page_to_sign(plan, findings):
    """The last page of the Word document identifies the plan to approve, and has lines for three
    signatures.
    """
    saved = SavedFile(name="p.json", sha256="ab" * 32, sign_line="ssh-keygen -Y sign")
    text = _text_of(formats.write_plan_table(plan, findings, ".docx", saved=saved), ".docx")
    assert text.rindex("Approval") > text.index("the whole deployment")
    assert "ab" * 32 in text
    assert "Approved by" in text
    without = _text_of(formats.write_plan_table(plan, findings, ".docx"), ".docx")
    assert "Approved by" not in without


def test_the_task_for_the_approver_refers_to_the_last_page(plan, findings):
    """In the Word document, the task for the approver refers to the last page, and states the date
    by which approval is needed.
    """
    dated = replace(plan, options=replace(plan.options, planned_issue_date=date(2026, 12, 1)))
    saved = SavedFile(name="p.json", sha256="ab" * 32, sign_line="ssh-keygen -Y sign")
    data = formats.write_plan_table(dated, findings, ".docx", saved=saved)
    tables = docx.Document(io.BytesIO(data)).tables
    rows = [[cell.text for cell in row.cells] for table in tables for row in table.rows]
    (task,) = [row for row in rows if row[0] == "Approver"]
    assert task[2:] == ["before the requests are sent, in time for issue on 2026-12-01", "Approval"]
    assert task[1] == "Approve this plan: sign the approval sheet."


def test_word_document_without_its_library(plan, findings, monkeypatch):
    """Without python-docx, the error message suggests installing it or printing the page."""
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(PlanError, match="need python-docx") as caught:
        formats.write_plan_table(plan, findings, ".docx")
    assert "pip install python-docx" in caught.value.hint


def test_markdown_is_rendered_as_headings_and_tables(plan, findings):
    """A wiki renders the Markdown summary with headings and complete tables. No text outside the
    tables contains a vertical bar.
    """
    from markdown_it import MarkdownIt

    text = formats.write_plan_table(plan, findings, ".md").decode()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    opened = [token.tag for token in tokens if token.type.endswith("_open")]
    assert opened.count("h3") == 5
    assert opened.count("table") >= 2 * 5
    assert "|" not in "".join(t.content for t in tokens if t.type == "paragraph")


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_hostile_names_stay_text_everywhere(hostile):
    """If the name of a site looks like a formula, a script or a table cell, every format shows it
    as text.
    """
    files = _files(*hostile)
    page = _Page()
    page.feed(files["summary.html"].decode())
    assert "script" not in page.tags
    assert HOSTILE_SITE in page.text
    with zipfile.ZipFile(io.BytesIO(files["summary.xlsx"])) as archive:
        xml = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "<f>" not in xml
    for row in csv.reader(io.StringIO(files["summary.csv"].decode("utf-8-sig"), newline="")):
        assert not any(cell.startswith(tuple("=+-@\t\r\n＝＋－＠")) for cell in row)
    markdown = files["summary.md"].decode()
    assert "<script>" not in markdown
    line = next(line for line in markdown.splitlines() if line.startswith("| warning"))
    assert line.replace("\\|", "").count("|") == 5


def test_the_page_loads_no_other_files(plan, findings):
    """The HTML summary is complete in one file: it loads no scripts and no other files."""
    text = formats.write_plan_table(plan, findings, ".html").decode()
    assert "<script" not in text
    assert text.count("src=") == text.count('src="data:image/svg+xml;base64,') == 1
    assert "6 certificates for 4 servers" in text


def test_each_name_links_to_its_rule(plan, findings):
    """In the HTML summary, each name links to its rule, which shows the clients, the effect if the
    name is missing, and a source.
    """
    page = formats.write_summary(build_summary(plan, findings), ".html").decode()
    meet = plan.rules.names["meet"]
    assert '<a class="name" href="#why-meet">' in page
    row = page.partition('<tr id="why-meet">')[2].partition("</tr>")[0]
    numbers = re.findall(r'href="#s(\d+)"', row)
    reasons = [
        (meet.why, meet.source),
        *((statement.says, statement.source) for statement in (meet.clients, meet.without)),
    ]
    for number, (says, source) in zip(numbers, reasons, strict=True):
        assert html.escape(says, quote=True).replace("&#x27;", "&#39;") in row
        entry = page.partition(f'<li id="s{number}"')[2].partition("</li>")[0]
        assert re.sub(r"^[^>]*>|<[^>]+>", "", entry) == source
    targets = set(re.findall(r'href="#(why-[^"]+)"', page))
    # A name with two reasons links to both of them.
    assert targets == set(re.findall(r'id="(why-[^"]+)"', page))
    assert ">unknown (not documented)<" in page.partition('<tr id="why-oauth-sip-domain">')[2]


def test_long_pages_state_how_many_rows_they_omit(plan, findings, monkeypatch):
    """In HTML and Markdown, a long summary states how many rows it omits. CSV and XLSX files
    contain all rows.
    """
    monkeypatch.setattr(formats, "PAGE_ROWS", 2)
    sentence = "This page shows the first 2 of 6 certificates. The CSV and XLSX files contain all certificates."
    assert sentence in formats.write_plan_table(plan, findings, ".html").decode()
    assert sentence in formats.write_plan_table(plan, findings, ".md").decode()
    assert formats.write_plan_table(plan, findings, ".csv").count(b"\r\n") == 7


def test_json_is_the_plan_document(plan, findings):
    """The JSON summary is the plan document. If the certificates are left out, the rest of the
    document stays the same.
    """
    document = plan_document(plan, findings)
    assert json.loads(formats.write_plan_table(plan, findings, ".json")) == document
    short = json.loads(plan_json(plan, findings, certificates=False))
    assert "certificates" not in short
    assert short["findings"] == document["findings"]


def test_unknown_format_is_refused(plan, findings):
    """If the format of a summary is unknown, the error message lists the known formats."""
    with pytest.raises(PlanError, match=r"cannot write a plan as a \.pdf file") as caught:
        formats.write_plan_table(plan, findings, ".pdf")
    assert caught.value.hint == "use one of the file extensions .csv .xlsx .html .md .docx .json"


def test_too_many_rows_for_a_sheet(plan, findings, monkeypatch):
    """If a plan has too many rows for a sheet, the error message suggests another format."""
    from lyncnb.base.shown import spreadsheets

    monkeypatch.setattr(spreadsheets, "SHEET_ROWS", 3)
    with pytest.raises(PlanError, match="a sheet can have at most 2 rows"):
        formats.write_plan_table(plan, findings, ".xlsx")


def test_totals_use_singular_and_plural(plan):
    """The totals of a summary use the singular for one item, and otherwise the plural."""
    finding = Finding(code="a", severity="error", about="", message="", hint="", source="")
    assert format_totals(plan, (finding,)) == (
        "6 certificates for 4 servers; findings: 1 error, 0 warnings, 0 notices."
    )


def test_totals_list_servers_without_certificates():
    """The totals list the servers without a certificate, with their role and the reason."""
    text = TABLE + "sql01.contoso.net,Database,,Taipei,,,,,,,\n"
    plan = plan_certificates(read_topology(text.encode()), load_rules("lync2013"))
    assert format_totals(plan, ()) == (
        "6 certificates for 4 servers; findings: 0 errors, 0 warnings, 0 notices. "
        "1 further server needs no certificate: sql01.contoso.net (Database). Reason: Lync Server "
        "2013 requires no certificate for its role."
    )


def test_subject_fields_and_ca_are_shown():
    """The summary contains the subject fields and the name of the CA from the options."""
    options = PlanOptions(organization="Contoso, Ltd.", ca={"": "pki\\Contoso Issuing"})
    plan = plan_certificates(read_topology(TABLE.encode()), load_rules("lync2013"), options=options)
    row = _list_rows(plan, ())[0]
    assert row["Subject"] == "CN=pool.contoso.net,O=Contoso\\, Ltd."
    assert row["CA"] == "pki\\Contoso Issuing"


def _source(data: bytes) -> str:
    if not data.startswith(b"PK"):
        return data.decode()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [archive.read(name) for name in archive.namelist() if name.endswith(".xml")]
    return b" ".join(parts).decode()


@pytest.mark.parametrize("suffix", [".html", ".md", ".xlsx", ".docx"])
def test_requested_spellings_of_names_are_shown(plan, findings, suffix):
    """If a name contains invisible or international characters, every file format shows the
    spelling of the name in the request.
    """
    heading = "Spellings" if suffix == ".xlsx" else spellings.HEADING
    table = TABLE.replace("web.contoso.com", "分公司.contoso.com").replace("conf.", "co\u200bnf.")
    unusual_plan = plan_certificates(read_topology(table.encode()), load_rules("lync2013"))
    text = _source(formats.write_plan_table(unusual_plan, check_plan(unusual_plan), suffix))
    text = text.replace("\\", "").replace("<wbr>", "").replace("&lt;", "<").replace("&gt;", ">")
    for part in (heading, "分公司.contoso.com", "xn--55q8nz3c.contoso.com", "co<U+200B>nf.contoso"):
        assert part in text
    assert heading not in _source(formats.write_plan_table(plan, findings, suffix))


def test_a_table_keeps_the_order_of_the_plan():
    """In the CSV file, certificates are in the order of the plan. In a summary page, they are
    grouped by usage.
    """
    options = PlanOptions(layout="separate")
    plan = plan_certificates(read_topology(TABLE.encode()), load_rules("lync2013"), options=options)
    blocks = [member.id for _, member in build_summary(plan, ()).members]
    assert (
        [row["Certificate"] for row in _list_rows(plan, ())]
        == [c.id for c in plan.certificates]
        != blocks
    )
    assert [row["Subject alternative names"] for row in _list_rows(plan, ())] == [
        c.names for c in plan.certificates
    ]


def test_accepted_findings_are_reported(plan):
    """All formats show the accepted findings about the plan and its certificates, with the reasons."""
    finding = Finding(code="x-y", severity="error", about="a", message="m", hint="h", source="s")
    first = plan.certificates[0].id
    returned_finding = replace(finding, code="no-crl", about=first).accepted_because(
        "no such CRL here"
    )
    summary = build_summary(plan, (finding.accepted_because("as agreed"),))
    summary = add_requests(summary, _requests(plan), [returned_finding])
    for suffix in (".html", ".md", ".docx", ".xlsx"):
        text = _source(formats.write_summary(summary, suffix)).replace("\\", "")
        for part in ("accepted: as agreed", "accepted: no-crl (no such CRL here)"):
            assert part in text.replace("<wbr>", ""), (suffix, part)
    data = formats.write_summary(summary, ".csv").decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(data, newline=""))
    assert [row["Certificate"] for row in rows if "no such CRL here" in row["Warnings"]] == [first]


def test_issued_certificates_are_no_longer_tasks_of_a_ca(plan, findings):
    """The tasks of a CA include only the certificates that have not been issued.

    If none is missing, the server team has the next task.
    """
    plan_summary = build_summary(plan, findings)
    some = add_requests(plan_summary, _requests(plan)).asks
    assert [ask.what for ask in some if ask.who == "Internal CA"] == [
        "Issue certificates 2 to 4, 3 in all, as requested, with all names. 1 of 4 is issued."
    ]
    requests = [request.with_issued_certificate(ISSUED, at=AT) for request in _requests(plan)]
    every = add_requests(plan_summary, requests).asks
    assert [(ask.who, ask.when) for ask in every] == [
        ("Planner", "now"),
        ("Server team", "when the planner sends the packages"),
        ("Planner", "from 2026-07-31"),
    ]
    assert every[0].what == "Package certificates 1 to 6: lyncnb pfx FOLDER."
    assert every[2].what.startswith("Renew certificates 1 to 6, valid until 2026-10-05")


def test_due_certificates_are_ordered_by_end_date(plan, findings):
    """The tasks list all certificates that are due for renewal, ordered by end date."""
    requests = list(_requests(plan))
    lives = [
        # Renewal of this certificate is due on 2026-07-02. The following certificate expires
        # earlier.
        ("2025-11-01", "2026-10-31"),
        ("2026-04-01", "2026-07-29"),  # Renewal of this certificate is due on 2026-06-20.
        ("2026-04-01", "2026-07-29"),
        # Renewal of this certificate is due on 2026-07-31, after the certificates above have
        # expired on 2026-07-29.
        ("2026-03-20", "2026-10-05"),
    ]
    lives += lives[-1:] * (len(requests) - len(lives))
    requests = [
        request.with_issued_certificate(
            issued_record(not_before=f"{first}T00:00:00Z", not_after=f"{last}T23:59:59Z"), at=AT
        )
        for request, (first, last) in zip(requests, lives, strict=True)
    ]
    asks = add_requests(build_summary(plan, findings), requests).asks
    renewals = [(ask.what.split(":")[0], ask.when) for ask in asks if ask.what.startswith("Renew")]
    assert renewals == [
        ("Renew certificates 2 and 5, valid until 2026-07-29", "from 2026-06-20"),
        ("Renew certificate 1, valid until 2026-10-31", "from 2026-07-02"),
    ]


def test_a_renewal_keeps_the_validity_of_the_certificate_in_use(plan, findings):
    """During a renewal, the page shows the validity of the certificate in use, and states that the
    CA has the next request.
    """
    requests = list(_requests(plan))
    following = requests[0].build_next_generation(at=AT, reasons=("renewed",))
    requests[0] = replace(following, state="waiting", csr_sha256="e" * 64)
    summary = add_requests(build_summary(plan, findings), requests)
    member = summary.blocks[0].members[0]
    assert (member.valid_until, member.is_waiting) == ("2026-10-05", True)
    assert summary.blocks[0].validity[0] == (
        "no. 1: 2026-03-20 to 2026-10-05, waiting for the CA to process the next request"
    )
    assert not any("Renew certificate" in ask.what for ask in summary.asks)


def test_revocations_are_the_first_task(plan, findings):
    """If a certificate must be revoked, the revocation is the first task of the CA and of the
    planner.
    """
    requests = list(_requests(plan))
    revocation = Revocation(reason="keyCompromise", asked_at=AT)
    requests[0] = replace(requests[0], revocation=revocation)
    asks = add_requests(build_summary(plan, findings), requests).asks
    first, second = asks[:2]
    assert (first.what, first.when, second.who) == (
        (
            "Revoke the certificate with serial number 01 for the reason keyCompromise (RFC 5280 "
            "section 5.3.1)."
        ),
        "now",
        "Planner",
    )
    # The certificate is not packaged or installed any more.
    assert not [ask for ask in asks if "certificate 1" in ask.what and ask.who == "Server team"]
    assert second.what.startswith("Ask the CA to revoke certificate 1.")


def test_installed_certificates_are_not_installed_again(plan, findings):
    """If certificates are recorded as installed on all servers, the server team has no task."""
    requests = list(_requests(plan))
    for number, request in enumerate(requests):
        request = request.with_issued_certificate(ISSUED, at=AT)
        installed = build_deployments(
            ISSUED, request.plan.servers, date_text="2026-03-21", recorded_at=AT
        )
        requests[number] = replace(request, deployments=installed)
    asks = add_requests(build_summary(plan, findings), requests).asks
    assert {ask.who for ask in asks} == {"Planner"}


def test_overdue_certificates_are_due_now(plan, findings):
    """The summary lists an overdue order and an expired certificate as due now. It compares their
    dates with the date of the folder's last change, not with the current date.
    """
    options = replace(plan.options, planned_issue_date=date(2026, 3, 20))
    requests = list(_requests(plan))
    requests[1] = replace(requests[1], planned_at="2026-10-06T00:00:00Z", refused=(ISSUED,))
    summary = add_requests(
        build_summary(replace(plan, options=options), findings, pictures=True), requests
    )
    asks = {ask.what: ask.when for ask in summary.asks}
    (ca,) = (ask for ask in summary.asks if ask.who == "Internal CA")
    assert ca.when == "now: due by 2026-03-20"
    assert ca.what.endswith(
        "lyncnb rejected the certificate that the CA returned for certificate 2. Issue the certificate again. Ask the planner for the reason."
    )
    assert (
        asks[
            "Renew certificate 1, expired on 2026-10-05: create new requests, and send them to the CA."
        ]
        == "now"
    )
    assert "Approver" not in {ask.who for ask in summary.asks}
    (expiry_fact,) = (fact for fact in summary.facts if fact.ends == date(2026, 10, 5))
    assert (expiry_fact.what, expiry_fact.needs_a_look) == ("ended: no. 1", True)
    # The dates of issued certificates are actual dates, so the planned dates are not shown.
    first = [fact.kind for fact in summary.facts if fact.about == plan.certificates[0].id]
    assert first == ["Issued certificates"]


def test_a_block_shows_the_number_of_a_single_certificate(plan, findings):
    """If a block contains several certificates, a validity period or finding that concerns only one
    of them is shown with the number of this certificate.
    """
    requests = list(_requests(plan))
    requests[1] = replace(requests[1], refused=(ISSUED,))
    block = add_requests(build_summary(plan, findings), requests).blocks[0]
    assert block.validity == (
        "no. 1: 2026-03-20 to 2026-10-05, renew from 2026-07-31",
        "no. 2: lyncnb rejected the CA's response",
    )
    block = replace(
        block,
        members=tuple(
            replace(member, warnings=("warning: a",) + ("error: b",) * (member.number == "2"))
            for member in block.members
        ),
    )
    assert block.list_concerns(str) == ("warning: a", "no. 2: error: b")


def test_a_finding_about_several_objects_is_reported_once(plan):
    """The page shows each finding once, with all the objects to which it applies."""
    finding = Finding(code="x", severity="warning", about="a", message="m", hint="h", source="s")
    other = replace(finding, about="b")
    (group,) = group_findings((finding, other))
    assert (group.about, group.findings) == (("a", "b"), (finding, other))
    page = formats.write_plan_table(plan, (finding, other), ".html").decode()
    assert page.count('<span class="warning">2 × warning</span>') == 1


def test_dates_are_not_split(plan, findings):
    """On the cover of a summary, dates are not split at their hyphens."""
    options = replace(plan.options, planned_issue_date=date(2026, 4, 1))
    page = formats.write_plan_table(replace(plan, options=options), findings, ".html").decode()
    assert 'by <span class="whole day">2026-04-01</span>' in page


def test_blocks_of_one_pool_have_different_headings(plan, findings):
    """The two certificates of an Edge pool have different headings, because each heading contains
    the usages of its certificate.
    """
    headings = [block.build_heading(str) for block in build_summary(plan, findings).blocks]
    assert len(set(headings)) == len(headings)
    assert "edge01.contoso.net, Internal" in headings
    summary = add_requests(build_summary(plan, findings), _requests(plan))
    headings = [block.build_heading(str) for block in summary.blocks]
    assert "3 · edge01.contoso.net, Internal" in headings
