"""The manifest contains the records of the requests, and untrustworthy values are rejected."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from folders import (
    encode_earlier,
    issued_record,
    package_record,
    read_document,
    snapshot,
)

import lyncnb as ln
from lyncnb.errors import BundleError
from lyncnb.request_folder.manifest import Manifest, read_manifest, save_manifest
from lyncnb.request_folder.request_record import (
    Acceptance,
    ArchivedGeneration,
    EvaluationFinding,
    KeptFile,
    LogEntry,
    NameNote,
    PlannedEntry,
    RecordedEvaluation,
    RecoveryKey,
    RequestRecord,
    TableNote,
    TableOnRecord,
    list_archived_files,
    list_current_files,
)

ID = "Mediation-med01-contoso-com-0123abcd"
OTHER = "Mediation-med02-contoso-com-4567abcd"
AT = "2026-11-24T08:00:00Z"


def record(request_id: str = ID, **changes: object) -> RequestRecord:
    """Return the record of a request that was written."""
    fields = {
        "state": "waiting",
        "files": list_current_files(request_id),
        "csr_sha256": "a" * 64,
        "spki_sha256": "b" * 64,
        "key_sha256": "c" * 64,
        "planned_at": AT,
        "written_at": AT,
        "plan": PlannedEntry(id=request_id, san=("med01.contoso.com",)),
    }
    return RequestRecord(id=request_id, **{**fields, **changes})


def archived(generation: int = 1) -> ArchivedGeneration:
    """Return a superseded generation of a request."""
    return ArchivedGeneration(
        generation=generation,
        files=list_archived_files(f"{ID}-g{generation}"),
        csr_sha256="d" * 64,
        spki_sha256="e" * 64,
        key_sha256="f" * 64,
        superseded_at=AT,
        reasons=("san: + sip.contoso.com",),
        plan=PlannedEntry(id=ID),
    )


FULL = Manifest(
    product="lync2013",
    plan_sha256="0" * 64,
    accepted=(Acceptance(code="subject-name-too-long", reason="renamed next week, 下週"),),
    summary={"made_of": "1" * 64},
    plan_json_sha256="2" * 64,
    table=TableOnRecord(
        name="contoso.csv",
        lang="zh-TW",
        notes=(TableNote(place="row 2, site", written="a<U+200B>", requested="a", what="removed"),),
    ),
    encrypted=("pfx/passwords.enc",),
    log=(LogEntry(at=AT, event="purged", about=OTHER),),
    requests=(record(generation=2, archived=(archived(),), reasons=("x",)), record(OTHER)),
)


def test_a_saved_manifest_is_read_unchanged(tmp_path):
    """A manifest that is saved and read again is equal to the original."""
    assert save_manifest(tmp_path, FULL) is True
    assert read_manifest(tmp_path) == FULL


def test_an_unchanged_manifest_is_not_written(tmp_path):
    """If an unchanged manifest is saved, the file is not written, and its time stays the same."""
    save_manifest(tmp_path, FULL)
    before = snapshot(tmp_path)
    assert save_manifest(tmp_path, read_manifest(tmp_path)) is False
    assert snapshot(tmp_path) == before


def test_with_records_keeps_the_order():
    """The method with_records returns a changed copy of the manifest, and keeps the order of the
    requests.
    """
    new = record("Edge-edge01-contoso-com-89abcdef")
    changed = FULL.with_records([new, replace(record(OTHER), state="retired")])
    assert [item.id for item in changed.requests] == [ID, OTHER, new.id]
    assert changed.by_id[OTHER].state == "retired"
    assert FULL.by_id[OTHER].state == "waiting"


def test_an_encrypted_file_is_recorded_once():
    """The method with_encrypted does not add a path that is already recorded."""
    assert FULL.with_encrypted_file("pfx/passwords.enc") is FULL
    assert FULL.with_encrypted_file("pfx/more.pem").encrypted == (
        "pfx/passwords.enc",
        "pfx/more.pem",
    )


def edit_document(change) -> bytes:
    """Return the JSON document of a manifest with edited values."""
    document = json.loads(encode_earlier(FULL))
    change(document)
    return json.dumps(document).encode()


def set_files(document):
    """Change the path of a request's key file to a path outside the folder."""
    document["requests"][0]["files"]["key"] = "../other/keys/a.key"


def set_archived(document):
    """Set the paths of a superseded generation's files to a path outside the folder."""
    document["requests"][0]["archived"][0]["files"]["csr"] = "/etc/passwd"


def set_id(document):
    """Change the ID of the first request in the document to a path outside the folder."""
    document["requests"][0]["id"] = document["requests"][0]["plan"]["id"] = "../../x"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not valid JSON"),
        # The JSON document is truncated.
        (b'{"format": "lyncnb-requests/3", "reque', "is not valid JSON"),
        (b"\xff\xfe{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "does not specify a format"),
        (b'{"format": "lyncnb-requests/5"}', "is newer than the format of this lyncnb version"),
        (b'{"format": "lyncnb-requests/0"}', 'but has "lyncnb-requests/0"'),
        (b'{"format": "lyncnb-plan/1"}', 'but has "lyncnb-plan/1"'),
        (b'{"format": 7}', "does not specify a format"),
        (b'{"format": "lyncnb-requests/3"}', "Missing required value: 'requests'"),
        (edit_document(set_files), f"'{ID}.files' does not match this request"),
        (edit_document(set_archived), rf"'{ID}.archived\[0\].files' does not match this"),
        (edit_document(set_id), r"'requests\[0\].id' must be a request id"),
        (edit_document(lambda d: d["requests"].append(d["requests"][0])), f"'{ID}' appears twice"),
        (
            edit_document(lambda d: d["requests"][0].update(state="sent")),
            f"'{ID}.state' must be one of planned",
        ),
        (
            edit_document(lambda d: d["requests"][0].update(csr_sha256="A" * 64)),
            "csr_sha256. must be a SHA-256",
        ),
        # If the value is missing, its default is used.
        (edit_document(lambda d: d["requests"][1].pop("generation")), None),
        (
            edit_document(lambda d: d["requests"][0].pop("plan")),
            f"Missing required value: '{ID}.plan'",
        ),
        (
            edit_document(lambda d: d["requests"][0]["plan"].update(id=OTHER)),
            "plan.id' does not match",
        ),
        (
            edit_document(lambda d: d["requests"][0]["plan"].update(san="x")),
            "plan.san' must be a list",
        ),
        (
            edit_document(lambda d: d["requests"][0]["plan"].update(san=["\ud800"])),
            "unpaired surrogate",
        ),
        (
            edit_document(lambda d: d["requests"][0].update(generation=True)),
            "must be a whole number",
        ),
        (
            edit_document(lambda d: d["requests"][0].update(planned_at="x")),
            "planned_at. must be a time",
        ),
        (
            edit_document(lambda d: d.update(encrypted=["../secret"])),
            "encrypted' must be a list in which each value is a file in a",
        ),
        (edit_document(lambda d: d.update(requests=None)), "'requests' must be a list, not None"),
        (
            edit_document(lambda d: d["requests"].append(7)),
            "'requests.2.' must be an object, not 7",
        ),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(tmp_path, data, message):
    """lyncnb rejects a manifest that is damaged, has a newer format, or contains paths outside the
    folder, and shows a hint.
    """
    (tmp_path / "manifest.json").write_bytes(data)
    if message is None:
        assert read_manifest(tmp_path).requests[1].generation == 1
        return
    with pytest.raises(BundleError, match=message) as caught:
        read_manifest(tmp_path)
    assert caught.value.hint
    assert caught.value.exit_status == 3


def test_every_wrong_field_is_reported_with_its_request(tmp_path):
    """For each invalid field, the error contains the request, the name of the field and the value."""

    def change(document):
        document["rekeying"] = 5
        document["requests"][0]["state"] = "sent"
        document["requests"][1]["plan"]["key"] = {"algorithm": "RSA", "bits": "2048"}

    (tmp_path / "manifest.json").write_bytes(edit_document(change))
    with pytest.raises(BundleError) as caught:
        read_manifest(tmp_path)
    assert [problem.message for problem in caught.value.problems] == [
        "'rekeying' must be a time such as 2026-11-24T08:00:00Z or blank, not 5",
        f"'{ID}.state' must be one of planned, waiting, issued, packaged, retired, not \"sent\"",
        f"'{OTHER}.plan.key.bits' must be a whole number from 0 to 1,048,576, not \"2048\"",
    ]


def test_fields_of_a_later_version_are_kept(tmp_path):
    """Fields that a later version of lyncnb has added are kept at every level of the manifest."""

    def change(document):
        request = document["requests"][0]
        levels = (document, request, request["plan"], request["archived"][0], document["log"][0])
        for number, level in enumerate(levels):
            level["colour"] = {"shade": number}

    (tmp_path / "manifest.json").write_bytes(edit_document(change))
    save_manifest(tmp_path, read_manifest(tmp_path).with_event("purged", "x", now=AT))
    document = read_document(tmp_path)
    request = document["requests"][0]
    records = (document, request, request["plan"], request["archived"][0], document["log"][0])
    assert [record["colour"]["shade"] for record in records] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("number", [1, 2])
def test_the_first_formats_are_refused(tmp_path, number):
    """A folder in the first or second format is not changed, and the hint names the command of
    lyncnb 0.2.0 that converts it.
    """
    path = tmp_path / "manifest.json"
    path.write_bytes(encode_earlier(FULL).replace(b"requests/3", b"requests/%d" % number))
    before = path.read_bytes()
    for command in (read_manifest, lambda folder: ln.rebuild_manifest(folder, None)):
        (tmp_path / "csr").mkdir(exist_ok=True)
        (tmp_path / "csr" / f"{ID}.csr").write_bytes(b"")
        with pytest.raises(BundleError, match=f"requests/{number}") as caught:
            command(tmp_path)
        assert "lyncnb 0.2.0" in caught.value.hint
    assert path.read_bytes() == before


def test_fields_of_later_versions_are_read(tmp_path):
    """lyncnb can read the fields that later versions added: evidence, rejected certificates,
    recovery keys and issuers.
    """
    judgement = RecordedEvaluation(
        certificate="1" * 64,
        chain=("2" * 64,),
        rejected=("3" * 64,),
        entry_sha256="4" * 64,
        rules="returned_rules 2026-11-24",
        judged_at=AT,
        findings=(EvaluationFinding(code="signature-wrong", severity="error", message="x"),),
        accepted=(Acceptance(code="crl-distribution-point-absent", reason="no CRL here"),),
    )
    refused = issued_record(judgement=judgement, file=f"returned/refused/{ID}-00000000.cer")
    note = NameNote(name="xn--a", written="\u4e2d", note="its Unicode form")
    manifest = replace(
        FULL,
        recovery=(RecoveryKey(fingerprint="ab cd", added_at=AT),),
        issuers=(KeptFile(file="returned/issuers/ca.cer", sha256="5" * 64, received_at=AT),),
        requests=(
            record(refused=(refused,), key_holder="edge01", name_notes=(note,)),
            record(OTHER, issued=issued_record(file_sha256="6" * 64, chain_sha256="7" * 64)),
        ),
    )
    save_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_accepts_the_same_names_as_a_plan(tmp_path):
    """The names of sites and CAs in a manifest can contain Chinese characters, special spaces, and
    tabs, as in a plan.
    """
    entry = PlannedEntry(
        id=ID, site="台北\u3000分公司", subject={"CN": "a.contoso.com", "O": "Contoso\xa0Ltd"}
    )
    changed = record(plan=entry, ca="CA\twith a tab")
    packaged = changed.with_package(package_record("pfx/a.pfx"), at=AT)
    save_manifest(tmp_path, replace(FULL, requests=(packaged,)))
    assert read_manifest(tmp_path).requests == (packaged,)


def test_a_missing_manifest_has_a_hint(tmp_path):
    """If the manifest is missing, the hint of the error contains the command that creates it."""
    with pytest.raises(BundleError, match="does not exist") as caught:
        read_manifest(tmp_path)
    assert "lyncnb status FOLDER --rebuild" in caught.value.hint


DOORS = (
    *("open_requests", "folder_status", "list_renewals", "forecast", "read_plan"),
    *("read_saved_plan", "open_scenario", "read_topology", "read_as_is", "load_rules"),
)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"], ids=["too long", "with a zero"])
@pytest.mark.parametrize("door", DOORS)
def test_invalid_paths_raise_an_error_of_lyncnb(door, name):
    """If a path is too long, or contains a zero byte, the functions that read files raise an error
    of lyncnb.
    """
    with pytest.raises(ln.LyncnbError):
        getattr(ln, door)(name)
