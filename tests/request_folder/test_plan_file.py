"""``plan.json`` in a request folder is written with the requests, compared with the manifest, and
read as untrusted input.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from failing import failing
from folders import (
    PASSPHRASE,
    TODAY,
    assert_complete,
    certify,
    make_folder,
    make_plan,
    numbered,
    snapshot,
    with_extra,
    write,
)
from tampering import tampered

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.status import folder_status
from lyncnb.authorities.summary_files import explain_stale_summary
from lyncnb.base.disk.folder_lock import LOCK_NAME, OLD_LOCK_NAME
from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.saved_plan import read_saved_plan, save_plan
from lyncnb.errors import BundleError
from lyncnb.plan.saved_plan_json import encode_saved_plan
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.manifest import read_manifest, save_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture
def folder(tmp_path):
    """Return a folder for two sites, as the request command writes it."""
    plan = make_plan()
    return make_folder(tmp_path / "requests", plan, findings=None, accept=OAUTH).folder


OAUTH = {"oauth-key-too-small": "only a test"}


def put(folder, data):
    """Write another plan.json into a folder, and its digest into the manifest."""
    (folder / "plan.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    save_manifest(folder, replace(read_manifest(folder), plan_json_sha256=digest, summary={}))


def altered(folder, change):
    """Write a complete saved plan with one value altered."""
    document = json.loads((folder / "plan.json").read_bytes())
    del document["sha256"]
    change(document)
    put(folder, encode_saved_plan(document))


def summaries(folder):
    """Return the contents of the summary files."""
    return {name: (folder / name).read_bytes() for name in SUMMARY_NAMES}


def test_it_is_the_saved_plan_of_the_same_table(folder, tmp_path):
    """The request command reads plan.json as a saved plan and finds that nothing has changed."""
    saved = read_saved_plan(folder / "plan.json")
    assert saved.plan.sha256 == read_manifest(folder).plan_sha256
    shutil.copy(folder / "plan.json", tmp_path / "copy.json")
    again = read_saved_plan(tmp_path / "copy.json")
    assert set(write(again, folder, findings=None, accept=OAUTH).counts()) == {"kept"}
    assert (folder / "plan.json").read_bytes() == again.data


def test_a_saved_plan_is_kept_as_it_is(tmp_path):
    """A saved plan is kept byte for byte, so that its digest and its signature stay valid."""
    plan = make_plan()
    saved = save_plan(plan, tmp_path / "p.json", findings=check_plan(plan, on=TODAY))
    folder = write(saved, tmp_path / "requests", findings=None, accept=OAUTH).folder
    assert (folder / "plan.json").read_bytes() == saved.data
    assert read_manifest(folder).plans[-1].shown_sha256 == saved.sha256


def test_the_same_plan_on_another_day_changes_no_byte(folder, tmp_path):
    """plan.json keeps its evaluation date, whatever the current date and the name of the table are."""
    before = snapshot(folder)
    table = tmp_path / "other name.csv"
    table.write_bytes(make_plan().topology.to_csv())
    plan = make_plan(table)
    later = TODAY + timedelta(days=2)
    for day in (TODAY, later):
        findings = check_plan(plan, on=day)
        make_folder(folder, plan, findings=findings, accept=OAUTH, today=later)
    assert snapshot(folder) == before


def test_a_file_of_that_name_that_is_somebodys_goes_to_the_archive(tmp_path):
    """If ``plan.json`` is a file from another person, it may be a signed plan, so it is moved to
    the archive.
    """
    folder = tmp_path / "requests"
    folder.mkdir(0o700)
    (folder / "plan.json").write_bytes(b"somebody's")
    make_folder(folder)
    (kept,) = (folder / "archive").iterdir()
    assert (kept.name[:5], kept.read_bytes()) == ("plan-", b"somebody's")
    assert folder_status(folder, today=TODAY).problems == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "plan.json is missing"),
        (
            b"{}",
            "plan.json differs from the plan on record in manifest.json: its SHA-256 is 44136fa355b3",
        ),
    ],
)
def test_a_plan_that_is_not_the_one_on_record_is_reported(folder, tmp_path, data, message):
    """If plan.json differs from the manifest, it is reported.

    Other commands work, the summary stays, and a request run restores plan.json.
    """
    before = summaries(folder)
    if data is None:
        (folder / "plan.json").unlink()
    else:
        (folder / "plan.json").write_bytes(data)
    certify(folder, *read_manifest(folder).by_id)
    assert summaries(folder) == before
    status = folder_status(folder, today=TODAY)
    (problem,) = status.problems
    assert f"{problem.file} {problem.message}".startswith(message)
    assert problem.hint.endswith("lyncnb request TOPOLOGY FOLDER")
    note = explain_stale_summary(folder, read_manifest(folder))
    assert note.startswith(f"lyncnb did not update the summary files: {message}")
    make_folder(folder, findings=None, accept=OAUTH)
    assert folder_status(folder, today=TODAY).problems == ()
    assert summaries(folder) != before


def test_a_handover_does_not_need_it(folder, tmp_path):
    """A handover without plan.json states that the plan's date is missing."""
    (folder / "plan.json").unlink()
    assert "the date (--needed-by)" in hand_over(folder, tmp_path / "out.zip").missing


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["certificates"][0].update(servers=["../../outside/evil"]),
        lambda d: d["certificates"][0].update(issuer="../evil"),
        lambda d: d["certificates"][0].update(id="../../x"),
        lambda d: d["certificates"][0].update(san=["<script>alert(1)</script>"]),
        lambda d: d.update(product="../../evil"),
        lambda d: d["table"]["rows"][0].reverse(),
        lambda d: d["options"].update(planned_issue_date="soon"),
        lambda d: d.update(certificates=[5]),
    ],
)
def test_what_no_plan_can_have_is_not_shown(folder, change):
    """If plan.json and its digests were altered to impossible values, no page is written and the
    summary stays.
    """
    before = summaries(folder)
    altered(folder, change)
    manifest = replace(read_manifest(folder), product=json.loads(
        (folder / "plan.json").read_bytes())["product"])  # fmt: skip
    save_manifest(folder, manifest)
    certify(folder, *(one.id for one in manifest.requests if not one.plan.at_set_up))
    assert summaries(folder) == before
    (note,) = [one for one in folder_status(folder, today=TODAY).notes if "summary" in one]
    assert "lyncnb did not update the summary files: " in note


def test_texts_of_an_altered_plan_are_no_markup(folder):
    """HTML in a finding or a site name of an altered plan appears as text on the page."""

    def change(document):
        document["findings"][0]["message"] = "<script>alert(1)</script>"
        for one in document["certificates"]:
            one["site"] = "<script>alert(2)</script>"

    altered(folder, change)
    certify(folder, *read_manifest(folder).by_id)
    page = (folder / "summary.html").read_bytes()
    assert b"&lt;script&gt;alert(1)" in page
    assert b"<script>alert" not in page


def test_no_altered_plan_ends_a_command_in_a_fault(folder):
    """No altered value in plan.json crashes a command.

    LYNCNB_EDITS sets the number of altered values.
    """
    chance, data = random.Random(3), (folder / "plan.json").read_bytes()
    for _ in range(int(os.environ.get("LYNCNB_EDITS", "40"))):
        put(folder, tampered(chance, data)[1])
        folder_status(folder, today=TODAY)
        certify(folder, *read_manifest(folder).by_id)


def test_a_lost_manifest_is_filled_in_from_the_plan(folder):
    """A rebuild restores servers, sites, issuers and the order of requests from plan.json."""
    before = read_manifest(folder)
    (folder / "manifest.json").unlink()
    bundle = rebuild_manifest(folder, PASSPHRASE, today=TODAY)
    assert "lyncnb read the servers, site and issuer of 6 requests from plan.json" in bundle.notes
    assert [one.plan for one in bundle.requests] == [one.plan for one in before.requests]
    assert [one.ca for one in bundle.requests] == [one.ca for one in before.requests]
    for name in ("product", "plan_sha256", "plan_json_sha256"):
        assert getattr(bundle.manifest, name) == getattr(before, name)
    assert folder_status(folder, today=TODAY).problems == ()
    assert set(make_folder(folder, findings=None, accept=OAUTH).counts()) == {"kept"}


def test_a_lost_manifest_is_not_filled_in_from_another_plan(folder):
    """An altered plan, or a plan with other requests, is not used to rebuild a lost manifest."""
    data = (folder / "plan.json").read_bytes()
    others = [data.replace(b"Taipei", b"Tainan"), b"{}"]
    other = write(numbered(2), folder.parent / "other").folder
    others.append((other / "plan.json").read_bytes())
    for text in others:
        (folder / "manifest.json").unlink()
        (folder / "plan.json").write_bytes(text)
        bundle = rebuild_manifest(folder, PASSPHRASE, today=TODAY)
        assert bundle.manifest.plan_json_sha256 == ""
        assert [one for one in bundle.notes if "lyncnb did not use this" in one]
    assert set(make_folder(folder, findings=None, accept=OAUTH).counts()) == {"kept"}


@pytest.mark.posix  # On Windows, the last process removes its lock file.
def test_one_file_is_the_lock(tmp_path):
    """A lock file is written only to folders that an earlier version can also write."""
    folder = write(numbered(1), tmp_path / "requests").folder
    assert LOCK_NAME in os.listdir(folder)
    assert OLD_LOCK_NAME not in os.listdir(folder)
    save_manifest(folder, replace(read_manifest(folder), plan_json_sha256=""))
    certify(folder, *read_manifest(folder).by_id)
    assert OLD_LOCK_NAME in os.listdir(folder)


@pytest.mark.fault
def test_interrupted_at_any_call_the_next_run_completes(tmp_path):
    """If a run with a changed plan fails at any call, the next run completes plan, manifest and
    summary.
    """
    start, plan = tmp_path / "start", numbered(1)
    changed = with_extra(plan, 0, "sip.contoso.com")
    write(plan, start)
    (start / "plan.json").unlink()
    earlier = replace(read_manifest(start), plan_json_sha256="", table=None)
    save_manifest(start, earlier)
    second = (start / "manifest.json").read_bytes()
    with failing(None, OSError) as counted:
        write(changed, shutil.copytree(start, tmp_path / "counted"))
    for number in range(counted.count):
        folder = shutil.copytree(start, tmp_path / "requests")
        with failing(number, lambda name: KeyboardInterrupt(name)) as calls:
            try:
                write(changed, folder)
            except (BundleError, KeyboardInterrupt):
                pass
        folder_status(folder, today=TODAY)
        write(changed, folder)
        assert_complete(folder, changed)
        assert (folder / "manifest.v2.json").read_bytes() == second, calls.failed
        assert folder_status(folder, today=TODAY).problems == (), calls.failed
        before = snapshot(folder)
        write(changed, folder)
        assert snapshot(folder) == before, calls.failed
        shutil.rmtree(folder)
