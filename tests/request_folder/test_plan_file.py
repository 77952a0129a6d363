"""A run writes ``plan.json`` to the request folder. Later commands compare this file with the
manifest, and do not trust the content of the file.
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
from failing import fail_one_call
from folders import (
    TODAY,
    assert_complete,
    certify,
    make_folder,
    make_plan,
    plan_of_servers,
    snapshot,
    with_extra_names,
    write,
)
from tampering import tamper_with_plan

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.status import folder_status
from lyncnb.authorities.summary_files import explain_stale_summary
from lyncnb.checks.check_plan import check_plan
from lyncnb.checks.saved_plan import read_saved_plan, save_plan
from lyncnb.errors import BundleError
from lyncnb.plan.saved_plan_json import encode_saved_plan
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.manifest import read_manifest, save_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture
def folder(tmp_path):
    """Return a request folder for two sites, as the request command writes it."""
    plan = make_plan()
    return make_folder(tmp_path / "requests", plan, findings=None, accept=OAUTH).folder


OAUTH = {"oauth-key-too-small": "only a test"}


def replace_plan_file(folder, data):
    """Write another plan.json to a folder, and write its digest to the manifest."""
    (folder / "plan.json").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    save_manifest(folder, replace(read_manifest(folder), plan_json_sha256=digest, summary={}))


def write_altered_plan(folder, change):
    """Write a complete saved plan in which one value is changed."""
    document = json.loads((folder / "plan.json").read_bytes())
    del document["sha256"]
    change(document)
    replace_plan_file(folder, encode_saved_plan(document))


def summaries(folder):
    """Return the contents of the summary files."""
    return {name: (folder / name).read_bytes() for name in SUMMARY_NAMES}


def test_plan_json_is_the_saved_plan_of_the_table(folder, tmp_path):
    """The request command accepts the plan.json of a request folder as a saved plan. If it runs
    again with this plan, it keeps all requests.
    """
    saved = read_saved_plan(folder / "plan.json")
    assert saved.plan.sha256 == read_manifest(folder).plan_sha256
    shutil.copy(folder / "plan.json", tmp_path / "copy.json")
    copied_plan = read_saved_plan(tmp_path / "copy.json")
    assert set(write(copied_plan, folder, findings=None, accept=OAUTH).counts()) == {"kept"}
    assert (folder / "plan.json").read_bytes() == copied_plan.data


def test_a_saved_plan_is_kept_byte_for_byte(tmp_path):
    """If a user writes requests from a saved plan, lyncnb copies the plan to plan.json byte for
    byte, so that its digest and signature remain valid.
    """
    plan = make_plan()
    saved = save_plan(plan, tmp_path / "p.json", findings=check_plan(plan, on=TODAY))
    folder = write(saved, tmp_path / "requests", findings=None, accept=OAUTH).folder
    assert (folder / "plan.json").read_bytes() == saved.data
    assert read_manifest(folder).plans[-1].shown_sha256 == saved.sha256


def test_plan_json_does_not_depend_on_the_date(folder, tmp_path):
    """If the same plan is requested on a later date, or its table has another name, plan.json does
    not change.
    """
    before = snapshot(folder)
    table = tmp_path / "other name.csv"
    table.write_bytes(make_plan().topology.to_csv())
    plan = make_plan(table)
    later = TODAY + timedelta(days=2)
    for day in (TODAY, later):
        findings = check_plan(plan, on=day)
        make_folder(folder, plan, findings=findings, accept=OAUTH, today=later)
    assert snapshot(folder) == before


def test_an_existing_plan_json_is_moved_to_the_archive(tmp_path):
    """If the folder already contains a different ``plan.json``, it is moved to the archive, because
    it may be a signed plan.
    """
    folder = tmp_path / "requests"
    folder.mkdir(0o700)
    (folder / "plan.json").write_bytes(b"somebody's")
    make_folder(folder)
    (archived_plan,) = (folder / "archive").iterdir()
    assert (archived_plan.name[:5], archived_plan.read_bytes()) == ("plan-", b"somebody's")
    assert folder_status(folder, today=TODAY).problems == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "plan.json is missing"),
        (
            b"{}",
            ("plan.json differs from the plan on record: the SHA-256 of the file is 44136fa355b3"),
        ),
    ],
)
def test_a_plan_json_that_differs_from_the_manifest_is_reported(folder, tmp_path, data, message):
    """If plan.json is missing or differs from the manifest, the status command reports the problem,
    and the next run restores the file.

    Until then, other commands work, but do not update the summary.
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


def test_a_handover_does_not_need_plan_json(folder, tmp_path):
    """If plan.json is missing, the files for the CA can still be written, and the result states
    that the date on which the certificates are needed is missing.
    """
    (folder / "plan.json").unlink()
    assert "(--needed-by)" in hand_over(folder, tmp_path / "out.zip").missing


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
def test_invalid_values_of_plan_json_are_not_shown(folder, change):
    """If someone replaces values in plan.json with invalid ones and adjusts the digests, lyncnb
    does not write the summary again.
    """
    before = summaries(folder)
    write_altered_plan(folder, change)
    manifest = replace(read_manifest(folder), product=json.loads(
        (folder / "plan.json").read_bytes())["product"])  # fmt: skip
    save_manifest(folder, manifest)
    certify(folder, *(record.id for record in manifest.requests if not record.plan.at_set_up))
    assert summaries(folder) == before
    (note,) = [
        candidate
        for candidate in folder_status(folder, today=TODAY).notes
        if "summary" in candidate
    ]
    assert "lyncnb did not update the summary files: " in note


def test_texts_of_a_changed_plan_are_not_markup(folder):
    """If a finding or a site name in a changed plan.json contains HTML, the page shows it as text."""

    def change(document):
        document["findings"][0]["message"] = "<script>alert(1)</script>"
        for certificate in document["certificates"]:
            certificate["site"] = "<script>alert(2)</script>"

    write_altered_plan(folder, change)
    certify(folder, *read_manifest(folder).by_id)
    page = (folder / "summary.html").read_bytes()
    assert b"&lt;script&gt;alert(1)" in page
    assert b"<script>alert" not in page


def test_no_changed_plan_crashes_a_command(folder):
    """If any value in plan.json is changed, no command crashes.

    LYNCNB_EDITS sets the number of changed values.
    """
    chance, data = random.Random(3), (folder / "plan.json").read_bytes()
    for _ in range(int(os.environ.get("LYNCNB_EDITS", "40"))):
        replace_plan_file(folder, tamper_with_plan(chance, data)[1])
        folder_status(folder, today=TODAY)
        certify(folder, *read_manifest(folder).by_id)


@pytest.mark.fault
def test_the_next_run_completes_an_interrupted_change_of_plan(tmp_path):
    """If a run with a changed plan fails at any system call, the next run completes the plan, the
    manifest and the summary.
    """
    start, plan = tmp_path / "start", plan_of_servers(1)
    changed = with_extra_names(plan, 0, "sip.contoso.com")
    write(plan, start)
    with fail_one_call(None, OSError) as counted:
        write(changed, shutil.copytree(start, tmp_path / "counted"))
    for number in range(counted.count):
        folder = shutil.copytree(start, tmp_path / "requests")
        with fail_one_call(number, lambda name: KeyboardInterrupt(name)) as calls:
            try:
                write(changed, folder)
            except (BundleError, KeyboardInterrupt):
                pass
        folder_status(folder, today=TODAY)
        write(changed, folder)
        assert_complete(folder, changed)
        assert folder_status(folder, today=TODAY).problems == (), calls.failed
        before = snapshot(folder)
        write(changed, folder)
        assert snapshot(folder) == before, calls.failed
        shutil.rmtree(folder)
