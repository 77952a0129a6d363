"""At each stage of a request folder, all documents contain the same values as the manifest.

The documents are read as their readers get them: page, Markdown, workbook, Word, CSV, the package
for each CA, status, and steps. Numbers, names, dates and digests are extracted and compared.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import docx
import openpyxl
import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, issue_all, quick_cipher  # noqa: F401  (a fixture)
from openpyxl.worksheet.worksheet import Worksheet
from printing import check_workbook, remove_break_marks
from shell_kit import make_shell
from topologies import TWO_SITES

from lyncnb.base.shown.languages import LANGUAGES, translate_title
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import Manifest, read_manifest
from lyncnb.request_folder.request_record import find_request_id

shell = pytest.fixture(make_shell)
pytestmark = [pytest.mark.usefixtures("quick_cipher"), pytest.mark.slow]

PASS = ("--passphrase-file", "passphrase")
STAGES = ("requested", "partly returned", "returned", "packaged", "deployed")


@pytest.fixture
def planner(shell):
    """Return a shell whose folder contains a server table and a passphrase file. Its ``ca`` issues
    the requested certificates.
    """
    shell.write("t.csv", TWO_SITES)
    shell.write("passphrase", PASSPHRASE)
    shell.ca = PythonCa()
    return shell


@pytest.fixture
def strange_planner(shell, deployment):
    """Return a shell as `planner` does, for a strange deployment with its options."""
    shell.write("t.csv", deployment.table.read_bytes())
    if deployment.options:
        shell.write("o.toml", deployment.options.read_bytes())
    shell.write("passphrase", PASSPHRASE)
    shell.ca = PythonCa()
    return shell


def advance(planner, stage: str) -> None:
    """Bring the request folder to a stage. The CA returns the public certificate of the Edge pool
    last.
    """
    if stage == "requested":
        options = ("--options", "o.toml") if (planner.folder / "o.toml").is_file() else ()
        assert planner("request", "t.csv", "requests", *options, *PASS).status == 0
        return
    if stage in ("partly returned", "returned"):
        bundle = open_requests(planner.folder / "requests")
        last = [record.id for record in bundle.requests if record.plan.issuer == "public"]
        is_last = stage == "returned"
        skip = {record.id for record in bundle.requests if (record.id in last) != is_last}
        issued = issue_all(bundle, planner.ca, skip=skip)
        planner.write("issued.pem", pem(*issued.values(), *planner.ca.chain))
        result = planner("receive", "requests", "issued.pem")
        assert result.status == 0, result.err
        return
    commands = {
        "packaged": (("pfx", "requests", *PASS), ("steps", "requests")),
        "deployed": (("deployed", "requests"),),
    }
    for command in commands[stage]:
        result = planner(*command)
        assert result.status == 0, result.err


# The functions below return the values that a reader finds in each document.


def text_of(data: bytes, name: str) -> str:
    """Return the text of a document without its formatting."""
    if name.endswith(".html"):
        body = remove_break_marks(data.decode("utf-8").partition("</style>")[2])
        return re.sub(r"<wbr>|&#\d+;", "", re.sub(r"<(?!wbr)[^>]+>", "\n", body))
    if name.endswith(".docx"):
        document = docx.Document(io.BytesIO(data))
        cells = [c.text for t in document.tables for r in t.rows for c in r.cells]
        return "\n".join([*(p.text for p in document.paragraphs), *cells])
    if name.endswith(".xlsx"):
        book = openpyxl.load_workbook(io.BytesIO(data))
        rows = (row for sheet in book for row in sheet.iter_rows(values_only=True))
        return "\n".join(str(cell) for row in rows for cell in row if cell is not None)
    return data.decode("utf-8-sig").replace("\\", "")


def numbers_of_rows(rows: Iterator[dict[str, str]], key: str) -> dict[str, str]:
    """Read a table that has a column of request IDs or file names. Return the number of each
    certificate by this ID, or by the ID in this name.
    """
    names = ((Path(str(row[key])), str(row["No."])) for row in rows)
    return {
        find_request_id(path.stem) if path.suffix == ".csr" else path.name: number
        for path, number in names
    }


def table(data: bytes) -> Iterator[dict[str, str]]:
    """Read a CSV file that lyncnb has written."""
    return csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))


# The headings that the tests read, which a workbook may have in another language.
_HEADINGS = (
    *("ID", "No.", "CSR file", "Server", "Type", "Thumbprint", "Serial number", "Issuer"),
    *("Valid until", "On the server since"),
)


def sheets_of(data: bytes, title: str) -> list[Worksheet]:
    """Return the sheets with this title in any language."""
    titles = {translate_title(title, lang) for lang in LANGUAGES}
    return [sheet for sheet in openpyxl.load_workbook(io.BytesIO(data)) if sheet.title in titles]


def sheet_rows(data: bytes, title: str) -> Iterator[dict[str, str]]:
    """Return the rows of a workbook's sheet as dictionaries. The keys are the headings.

    `title` is English, and the sheet may have its title in another language.
    """
    (sheet,) = sheets_of(data, title)
    headings, *rows = sheet.iter_rows(values_only=True)
    english = {translate_title(name, lang): name for name in _HEADINGS for lang in LANGUAGES}
    headings = [english.get(heading, heading) for heading in headings]
    return (dict(zip(headings, row, strict=True)) for row in rows)


def numbers_in(planner) -> dict[str, dict[str, str]]:
    """For each document that shows certificate numbers, return the number of each certificate."""
    folder = planner.folder / "requests"
    workbook = (folder / "summary.xlsx").read_bytes()
    numbers = {
        "summary.csv": numbers_of_rows(table((folder / "summary.csv").read_bytes()), "Certificate"),
        "summary.xlsx": numbers_of_rows(sheet_rows(workbook, "Files"), "ID"),
        "summary.xlsx, certificates": numbers_of_rows(
            sheet_rows(workbook, "Certificates"), "CSR file"
        ),
        "status": {
            request["id"]: str(request["number"])
            for request in json.loads(planner("status", "requests", "--json").out)["requests"]
        },
        "summary.md": {
            m[2]: m[1]
            for m in re.finditer(
                r"^\| (\d+) \| [^|]+ \| csr/([\w-]+?)-[0-9a-f]{8}\.csr",
                text_of((folder / "summary.md").read_bytes(), ".md"),
                re.MULTILINE,
            )
        },
    }
    page = text_of((folder / "summary.html").read_bytes(), ".html")
    single = re.finditer(
        r"^(\d+) · .*?^csr/([\w-]+?)-[0-9a-f]{8}\.csr$", page, re.MULTILINE | re.DOTALL
    )
    several = re.finditer(r"^(\d+)\s+[\w.-]+\s+csr/([\w-]+?)-[0-9a-f]{8}\.csr$", page, re.MULTILINE)
    numbers["summary.html"] = {m[2]: m[1] for m in (*single, *several)}
    if (folder / "steps").is_dir():
        numbers["steps"] = numbers_in_steps(folder)
    return numbers | numbers_for_cas(planner)


def numbers_in_steps(folder: Path) -> dict[str, str]:
    """Return the numbers of the PFX packages on the checklists of all servers."""
    pattern = re.compile(
        r"^- (?:No\.|編號) (\d+)(?:: Package|：套件) `([\w-]+?)-[0-9a-f]{8}\.pfx`", re.MULTILINE
    )
    texts = (path.read_text("utf-8") for path in (folder / "steps").rglob("*.md"))
    return {m[2]: m[1] for text in texts for m in pattern.finditer(text)}


def numbers_for_cas(planner) -> dict[str, dict[str, str]]:
    """Return the certificate numbers in the documents for the CAs, or {} if all certificates are
    issued.
    """
    result = planner("handover", "requests", "out.zip", "--force")
    if result.status:
        return {}
    numbers = {}
    with zipfile.ZipFile(planner.folder / "out.zip") as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith("names.txt"):
                lines = re.findall(
                    r"^No\. (\d+): csr/([\w-]+?)-[0-9a-f]{8}\.csr", data.decode(), re.MULTILINE
                )
                numbers[name] = {stem: number for number, stem in lines}
            elif name.endswith("README.html"):
                page = text_of(data, ".html")
                rows = re.findall(r"^(\d+)\s+csr/([\w-]+?)-[0-9a-f]{8}\.csr$", page, re.MULTILINE)
                numbers[name] = {stem: number for number, stem in rows}
            elif name.endswith("summary.csv"):
                numbers[name] = numbers_of_rows(table(data), "Certificate")
    return numbers


def recorded_numbers(manifest: Manifest) -> dict[str, str]:
    """Return the number that is recorded for each request."""
    return {record.id: str(record.number) for record in manifest.requests}


def test_every_document_has_the_same_numbers(strange_planner):
    """In every document and at every stage, each certificate has the same number."""
    before: dict[str, str] = {}
    for stage in STAGES:
        advance(strange_planner, stage)
        recorded = recorded_numbers(read_manifest(strange_planner.folder / "requests"))
        assert sorted(map(int, recorded.values())) == list(range(1, len(recorded) + 1))
        assert before in ({}, recorded), stage
        before = recorded
        numbers_by_file = numbers_in(strange_planner)
        for name, numbers in numbers_by_file.items():
            assert numbers, (stage, name)
            assert numbers.items() <= recorded.items(), (stage, name)
        assert numbers_by_file["summary.html"] == numbers_by_file["summary.csv"] == recorded, stage


def test_a_new_certificate_continues_the_count(planner):
    """If a user adds a second server, its request gets the next number, and the other requests keep
    their numbers.
    """
    advance(planner, "requested")
    before = recorded_numbers(read_manifest(planner.folder / "requests"))
    planner.write("t.csv", TWO_SITES + "med02.contoso.com,Mediation,med02.contoso.com,,,,,,,,\n")
    assert planner("request", "t.csv", "requests", *PASS).status == 0
    after = recorded_numbers(read_manifest(planner.folder / "requests"))
    (new,) = after.keys() - before.keys()
    assert (after.pop(new), after) == (str(len(before) + 1), before)
    numbers_by_file = numbers_in(planner)
    assert (
        numbers_by_file["summary.html"]
        == numbers_by_file["summary.csv"]
        == {**before, new: str(len(before) + 1)}
    )


def test_a_plan_without_a_folder_has_no_numbers(planner):
    """A plan that has no request folder may still change, so no document shows numbers."""
    for suffix in ("html", "md", "docx", "xlsx", "csv"):
        planner("plan", "t.csv", "-o", f"p.{suffix}")
        text = text_of((planner.folder / f"p.{suffix}").read_bytes(), f"p.{suffix}")
        assert not re.search(r"^\d+(\.\d+)? ·|certificates? \d|^No\.$", text, re.MULTILINE), suffix
    assert "No." not in planner("plan", "t.csv").out


def test_the_inventory_has_a_row_for_each_server_and_usage(strange_planner):
    """The inventory contains the recorded server, usage, thumbprint, serial number, issuer and end
    date of each certificate.
    """
    for stage in STAGES:
        advance(strange_planner, stage)
        folder = strange_planner.folder / "requests"
        issued = [record for record in read_manifest(folder).requests if record.issued]
        data = (folder / "summary.xlsx").read_bytes()
        check_workbook(data)
        if not issued:
            assert sheets_of(data, "Inventory") == []
            continue
        inventory_rows = {
            (row["Server"], row["Type"], row["Thumbprint"], row["Serial number"], row["Issuer"],
             f"{row['Valid until']:%Y-%m-%d}")
            for row in sheet_rows(data, "Inventory")
        }  # fmt: skip
        assert inventory_rows == {
            (server, usage, record.issued.thumbprint_sha1, record.issued.serial, record.issued.issuer,
             record.issued.not_after[:10])
            for record in issued
            for server in record.plan.servers
            for usage in record.plan.usages or (record.plan.role,)
        }, stage  # fmt: skip
        assert all(issuer for *_, issuer, _ in inventory_rows)
        recorded = {row["On the server since"] for row in sheet_rows(data, "Inventory")}
        assert (recorded == {None}) == (stage != "deployed")


def test_documents_for_a_public_ca_list_domains_to_validate(planner):
    """The documents for a public CA list each domain to validate once, with its names and the
    possible validation methods.
    """
    advance(planner, "requested")
    assert planner("handover", "requests", "out.zip").status == 0
    with zipfile.ZipFile(planner.folder / "out.zip") as archive:
        public = text_of(archive.read("public/README.html"), ".html")
        internal = text_of(archive.read("internal/README.html"), ".html")
    assert "Domains to validate" not in internal
    table_text = public.partition("Domains to validate")[2].partition("SHA-256")[0]
    lines = [line.strip() for line in table_text.splitlines() if line.strip()]
    assert lines.count("contoso.com") == 1
    assert any(line.startswith("DNS; ") for line in lines)
    assert "to validate each name separately: " in table_text
    names = {n for request in read_manifest(planner.folder / "requests").requests
             if request.plan.issuer == "public" for n in request.plan.san}  # fmt: skip
    assert names <= set(lines)


OPTIONS = """\
title = "Contoso <Taipei> & co"
planner = "Ana Li, ana@contoso.com"
planned_issue_date = 2027-03-15
"""
LINE = "Contoso <Taipei> & co · Planner: Ana Li, ana@contoso.com · Table: t.csv"


def margin_of(page: str) -> str:
    """Return the text that a browser prints in the left margin of each printed page."""
    (text,) = re.findall(r'@bottom-left\{content:"([^"]*)"', page)
    return re.sub(r"\\([0-9a-f]+) ", lambda match: chr(int(match[1], 16)), text)


def test_every_document_has_planner_table_and_dates(planner, monkeypatch):
    """Each printed page and the properties of each file contain the deployment, the planner, the
    table and the dates.
    """
    planner.write("o.toml", OPTIONS)
    request_command = ("request", "t.csv", "requests", "--options", "o.toml", *PASS)
    assert planner(*request_command).status == 0
    folder = planner.folder / "requests"
    changed = max(request.written_at for request in read_manifest(folder).requests)
    created = f"{changed[:10]} {changed[11:16]} UTC"
    margin_text = f"{LINE} · Created: {created} · Evaluated for: 2027-03-15"
    assert margin_of((folder / "summary.html").read_text("utf-8")) == margin_text
    book = openpyxl.load_workbook(folder / "summary.xlsx")
    assert book.properties.creator == "Ana Li, ana@contoso.com"
    assert f"{book.properties.created:%Y-%m-%d %H:%M} UTC" == created
    assert all("Page &P of &N" == sheet.oddFooter.right.text for sheet in book)
    assert planner("handover", "requests", "out.zip").status == 0
    with zipfile.ZipFile(planner.folder / "out.zip") as archive:
        for issuer in ("internal", "public"):
            page = archive.read(f"{issuer}/README.html").decode()
            assert margin_of(page) == margin_text
            assert ">From</th><td>Ana Li, ana@contoso.com<" in page
    assert planner("plan", "requests/plan.json", "-o", "sheet.html").status in (0, 1)
    sheet = margin_of((planner.folder / "sheet.html").read_text("utf-8"))
    assert sheet == f"{LINE.rpartition(' · ')[0]} · Evaluated for: 2027-03-15"
    # The expected time is 2027-01-01 in seconds since 1970.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1798761600")
    options = ("--options", "o.toml", "-o")
    for command, name in (("plan", "p.docx"), ("plan", "p.html"), ("trust", "trust.html"),
                          ("forecast", "f.html")):  # fmt: skip
        extra_options = ("--until", "2030-01-01") if command == "forecast" else ()
        result = planner(command, "t.csv", *options, name, *extra_options)
        assert result.status in (0, 1), result.err
        path = planner.folder / name
        if name.endswith(".html"):
            assert margin_of(path.read_text("utf-8")).startswith(f"{LINE} · Created: 2027-01-01")
    document = docx.Document(planner.folder / "p.docx")
    assert document.core_properties.author == "Ana Li, ana@contoso.com"
    assert f"{document.core_properties.created:%Y-%m-%d}" == "2027-01-01"
    footer = document.sections[0].footer.paragraphs[0].text
    assert footer.startswith(f"{LINE} · Created: 2027-01-01 · Evaluated for: 2027-03-15")


def tasks(planner) -> dict[str, list[tuple[str, str]]]:
    """Return the tasks in the Markdown page of the request folder, each with its person and date."""
    text = text_of((planner.folder / "requests/summary.md").read_bytes(), ".md")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    tasks_by_person: dict[str, list[tuple[str, str]]] = {}
    for person, task, when in rows:
        tasks_by_person.setdefault(person, []).append((task, when))
    return tasks_by_person


def test_each_stage_has_its_tasks(planner):
    """At each stage, the page of the request folder lists the planner's next command, and no
    completed task.
    """
    next_commands = {
        "requested": ("lyncnb handover", "lyncnb receive"),
        "partly returned": ("lyncnb handover", "lyncnb receive", "lyncnb pfx"),
        "returned": ("lyncnb pfx",),
        "packaged": ("lyncnb steps", "lyncnb deployed"),
        "deployed": (),
    }
    commands = {command for some in next_commands.values() for command in some}
    summaries = []
    for stage in STAGES:
        advance(planner, stage)
        summaries.append((planner.folder / "requests/summary.html").read_bytes())
        tasks_by_person = tasks(planner)
        planner_tasks = " ".join(task for task, _ in tasks_by_person.get("Planner", []))
        assert {command for command in commands if command in planner_tasks} == set(
            next_commands[stage]
        ), stage
        installs = [
            when for task, when in tasks_by_person.get("Server team", []) if "Install" in task
        ]
        assert ("now" in installs) == (stage == "packaged"), stage
        assert ("Domain owners" in tasks_by_person) == (
            stage in ("requested", "partly returned")
        ), stage
        assert ("Public CA" in tasks_by_person) == (stage in ("requested", "partly returned")), (
            stage
        )
        assert ("Internal CA" in tasks_by_person) == (stage == "requested"), stage
        assert ("Approver" in tasks_by_person) == (stage == "requested"), stage
    assert len(set(summaries)) == len(STAGES)


def test_every_document_has_the_same_digests_and_days(strange_planner):
    """All documents contain the recorded plan_sha256, evaluation date and end dates of
    certificates.
    """
    for stage in STAGES:
        advance(strange_planner, stage)
        folder = strange_planner.folder / "requests"
        manifest = read_manifest(folder)
        saved = json.loads((folder / "plan.json").read_bytes())
        assert saved["plan_sha256"] == manifest.plan_sha256
        for name in ("summary.html", "summary.md", "summary.xlsx"):
            text = text_of((folder / name).read_bytes(), name)
            assert (
                f"{saved['judged_on']}: the findings are based on the rules in force on this date"
                in text
            ), name
            if name != "summary.xlsx":
                assert manifest.plan_sha256 in text, (stage, name)
            end_dates = {
                request.issued.not_after[:10] for request in manifest.requests if request.issued
            }
            assert all(end in text for end in end_dates), (stage, name)
            for request in manifest.requests:
                names = (*request.plan.san, request.plan.common_name)
                assert [each for each in names if each not in text] == [], (stage, name)
            assert date.fromisoformat(saved["judged_on"])
