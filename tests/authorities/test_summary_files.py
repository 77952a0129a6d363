"""The summary of a folder, told anew when certificates come back."""

from __future__ import annotations

import io
from dataclasses import replace

import openpyxl
import pytest
from cas.python_ca import PythonCa, pem
from folders import TODAY, answer_all, find_id, make_folder, make_plan, snapshot

from lyncnb.authorities.receiving import receive
from lyncnb.authorities.summary_files import refresh_summary_files
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.manifest import read_manifest


@pytest.fixture(scope="module")
def returned(tmp_path_factory):
    """A folder, one of whose certificates is back, and the others as files."""
    place = tmp_path_factory.mktemp("returned")
    bundle = make_folder(place / "requests")
    certificates = answer_all(bundle, PythonCa())
    med = find_id(bundle, "med01")
    for name, certificate in certificates.items():
        (place / f"{name}.cer").write_bytes(pem(certificate))
    before = {name: (bundle.folder / name).read_bytes() for name in SUMMARY_NAMES}
    receive(bundle.folder, place / f"{med}.cer", today=TODAY)
    return place, bundle.folder, med, before


def test_receive_tells_when_to_renew(returned):
    """The sheet of renewals has the certificate that came back, from when on to renew it."""
    _, folder, med, _ = returned
    workbook = openpyxl.load_workbook(io.BytesIO((folder / "summary.xlsx").read_bytes()))
    (row,) = workbook["Renewals"].iter_rows(min_row=2, values_only=True)
    record = read_manifest(folder).by_id[med]
    assert row[0] == f"{record.issued.renew_from:%Y-%m-%d}"
    assert (row[1], row[-1]) == (record.issued.not_after[:10], med)


def test_page_and_wiki_text_follow(returned):
    """The page asks the CA only for what is missing, and the fingerprint stands in its appendix."""
    _, folder, med, before = returned
    page = (folder / "summary.html").read_text("utf-8").replace("<wbr>", "")
    assert "1 of 5 is back" in page
    assert "1 of 5 is back" not in before["summary.html"].decode().replace("<wbr>", "")
    assert read_manifest(folder).by_id[med].issued.sha256 in page
    assert "1 of 5 is back" in (folder / "summary.md").read_text("utf-8")


def test_the_same_again_changes_no_byte(returned):
    """Neither the request command nor receive finds anything to write."""
    place, folder, med, _ = returned
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    make_folder(folder, make_plan())
    receive(folder, place / f"{med}.cer", today=TODAY)
    assert {path: path.read_bytes() for path in before} == before


def test_without_a_summary_that_was_kept_nothing_is_written(returned):
    """The folder of an earlier lyncnb keeps its summary until its plan is written again."""
    _, folder, _, _ = returned
    before, manifest = snapshot(folder), read_manifest(folder)
    for kept in ({}, {"kept": "garbage", "shows": "x"}):
        assert refresh_summary_files(folder, replace(manifest, summary=kept)).summary == kept
    assert snapshot(folder) == before
