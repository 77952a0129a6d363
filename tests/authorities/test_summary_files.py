"""When certificates are received, lyncnb writes the summary of the request folder again."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import openpyxl
import pytest
from cas.python_ca import PythonCa, pem
from folders import TODAY, find_id, issue_all, make_folder, make_plan, snapshot
from places import REPOSITORY
from topologies import TWO_SITES

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.summary_files import refresh_summary_files
from lyncnb.checks.check_plan import check_plan
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.renewals import list_renewals

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture(scope="module")
def returned(tmp_path_factory):
    """Return a request folder with one recorded certificate, and files with the other certificates."""
    work_folder = tmp_path_factory.mktemp("returned")
    bundle = make_folder(work_folder / "requests")
    certificates = issue_all(bundle, PythonCa())
    med = find_id(bundle, "med01")
    for name, certificate in certificates.items():
        (work_folder / f"{name}.cer").write_bytes(pem(certificate))
    before = {name: (bundle.folder / name).read_bytes() for name in SUMMARY_NAMES}
    receive(bundle.folder, work_folder / f"{med}.cer", today=TODAY)
    return work_folder, bundle.folder, med, before


def test_summary_shows_the_renewal_date_after_receive(returned):
    """After the receive command, the renewal sheet of the summary shows the issued certificate and
    its renewal date.
    """
    _, folder, med, _ = returned
    workbook = openpyxl.load_workbook(io.BytesIO((folder / "summary.xlsx").read_bytes()))
    (row,) = workbook["Renewals"].iter_rows(min_row=2, values_only=True)
    record = read_manifest(folder).by_id[med]
    (renewal,) = list_renewals(folder, today=TODAY)
    assert f"{row[0]:%Y-%m-%d}" == f"{renewal.renew_from}"
    assert (f"{row[1]:%Y-%m-%d}", row[-1]) == (record.issued.not_after[:10], med)


def test_page_and_wiki_text_are_updated(returned):
    """After a certificate is received, the page and the Markdown file state that 1 of 5
    certificates is issued, and the page contains the SHA-256 of the certificate.
    """
    _, folder, med, before = returned
    page = (folder / "summary.html").read_text("utf-8").replace("<wbr>", "")
    assert "1 of 5 is issued" in page
    assert "1 of 5 is issued" not in before["summary.html"].decode().replace("<wbr>", "")
    assert read_manifest(folder).by_id[med].issued.sha256 in page
    assert "1 of 5 is issued" in (folder / "summary.md").read_text("utf-8")


def test_repeating_a_command_changes_no_byte(returned):
    """If the request or receive command is repeated, no file of the summary changes."""
    work_folder, folder, med, _ = returned
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    make_folder(folder, make_plan())
    receive(folder, work_folder / f"{med}.cer", today=TODAY)
    assert {path: path.read_bytes() for path in before} == before


def test_without_a_recorded_plan_no_summary_is_written(returned):
    """If the manifest has no digest or a wrong digest of plan.json, the existing summary is not
    changed.
    """
    _, folder, _, _ = returned
    before, manifest = snapshot(folder), read_manifest(folder)
    for digest in ("", "0" * 64):
        other = replace(manifest, summary={}, plan_json_sha256=digest)
        assert refresh_summary_files(folder, other).summary == {}
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    ("sample", "options"),
    [
        ("contoso", {"planned_issue_date": date(2027, 3, 15), "lang": "zh-TW"}),
        ("contoso-zh-TW", {"layout": "separate", "validity_days": 199}),
        ("litwareinc-global", {"profile": "doc_example"}),
        ("single-server", {"wildcard": True}),
    ],
)
def test_recorded_plan_gives_the_same_summary(tmp_path, sample, options):
    """The summary that is written from plan.json equals the summary that the request command wrote."""
    plan = make_plan(REPOSITORY / "data" / f"{sample}.csv", **options)
    findings = check_plan(plan, on=TODAY)
    codes = {finding.code for finding in findings if finding.severity == "error"}
    accept = dict.fromkeys(codes, "agreed")
    folder = make_folder(tmp_path / "requests", plan, findings=findings, accept=accept).folder
    before = {name: (folder / name).read_bytes() for name in SUMMARY_NAMES}
    manifest = read_manifest(folder)
    new_manifest = refresh_summary_files(folder, replace(manifest, summary={}))
    assert {name: (folder / name).read_bytes() for name in SUMMARY_NAMES} == before
    assert new_manifest == manifest


def test_invisible_characters_stay_marked_on_the_page(tmp_path):
    """If the summary is refreshed, invisible characters in a name stay marked, because the manifest
    records these characters.
    """
    table = TWO_SITES.replace("med01.contoso.com", "med01\u200b.contoso.com")
    folder = make_folder(tmp_path / "requests", make_plan(table.encode())).folder
    before = (folder / "summary.md").read_bytes()
    assert b"U+200B" in before
    refresh_summary_files(folder, replace(read_manifest(folder), summary={}))
    assert (folder / "summary.md").read_bytes() == before
