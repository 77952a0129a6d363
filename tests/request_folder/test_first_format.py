"""Request folders in the first manifest format (commit cedf946) can be read and changed, and
invalid values are reported.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from first_format import digest, first_manifest, write_first_folder
from folders import PASSPHRASE, ROUNDS, TODAY, copy_folder, issue_all, make_folder, make_plan
from shell_kit import make_shell
from topologies import TWO_SITES

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.record_deployments import deployed
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.export.requests_elsewhere import request_elsewhere
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.files_on_disk import SUMMARY_NAMES
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest
from lyncnb.request_folder.recovery_key import create_recovery_key

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Write one request folder in the first manifest format."""
    before = dict(FolderCipher.__init__.__kwdefaults__)
    FolderCipher.__init__.__kwdefaults__["rounds"] = ROUNDS
    parent = tmp_path_factory.mktemp("first")
    write_first_folder(parent / "requests", parent / "returned")
    FolderCipher.__init__.__kwdefaults__.update(before)
    return parent


@pytest.fixture
def folder(original, tmp_path):
    """Return a copy of the request folder, which a test may change."""
    shutil.copytree(original / "returned", tmp_path / "first" / "returned")
    return copy_folder(original / "requests", tmp_path / "first" / "requests")


def test_missing_data_is_added_once(folder):
    """Commands that only read do not change a folder in the first format. The first command that
    writes adds the missing data, and later commands add nothing more.
    """
    before = digest(folder)
    assert [len(record.archived) for record in open_requests(folder).requests].count(1) == 1
    # Folders in the first format have no proof of their keys, so a person confirms the requests.
    assert all("has not verified" in p.message for p in folder_status(folder).problems)
    assert digest(folder) == before
    for number in range(2):
        if number:
            before = digest(folder)
        else:
            rebuild_manifest(folder, PASSPHRASE, confirmed=["*"])
        assert set(make_folder(folder, make_plan()).counts()) == {"kept"}
        assert receive(folder, folder.parent / "returned", today=TODAY).exit_status == 0
        packages = write_pfx(
            match_certificates(open_requests(folder), today=TODAY), passphrase=PASSPHRASE
        )
        assert {package.action for package in packages.packages} == {"kept", "waiting"}
        changed = {name for name, text in digest(folder).items() if before.get(name) != text}
        # The first run adds the plan, the history and a copy of the old manifest, and it updates
        # the manifest and the summary files.
        news = {"manifest.json", "manifest.v2.json", "plan.json", "history.jsonl", *SUMMARY_NAMES}
        assert changed == (set() if number else news)
    assert json.loads((folder / "manifest.json").read_bytes())["format"] == "lyncnb-requests/3"


def test_evidence_for_earlier_certificates_is_added(folder, tmp_path):
    """When another certificate is received, lyncnb also adds the missing data about the earlier
    certificates to the manifest.
    """
    before = digest(folder)
    bundle, ca = open_requests(folder), PythonCa("Fabrikam")
    issued_ids = [record.id for record in bundle.requests if record.issued]
    answers = issue_all(bundle, ca, skip=issued_ids)
    (tmp_path / "answer.pem").write_bytes(pem(*answers.values(), *ca.chain))
    came = (folder.parent / "returned", tmp_path / "answer.pem")
    accept = {"issued-under-another-root": "Fabrikam's CA issues for us too"}
    assert receive(folder, *came, accept=accept, today=TODAY).exit_status == 0
    manifest = read_manifest(folder)
    assert manifest.format == "lyncnb-requests/2"
    assert len(issued_ids) < len(manifest.requests)
    for record in manifest.requests:
        assert record.issued.judgement.chain_complete
        assert record.issued.file_sha256
        assert record.issued.chain_sha256
    # The recorded issuers are the root and the issuing CA of both certificates.
    assert len(manifest.issuers) == 4
    after = digest(folder)
    assert {name for name in before if before[name] != after[name]} == {"manifest.json"}
    assert receive(folder, *came, today=TODAY).exit_status == 0
    assert digest(folder) == after


def test_commands_work_in_a_folder_of_the_first_format(folder):
    """The commands ``deployed``, ``purge`` and ``rekey`` accept a request folder in the first
    manifest format, and convert its manifest to the next format.
    """
    deployed(folder, today=TODAY)
    purge_list = purge(folder, today=TODAY)
    assert [item.what for item in purge_list.items] == ["key and CSR"]
    purge(folder, today=TODAY, confirmed=purge_list)
    assert json.loads((folder / "manifest.json").read_bytes())["format"] == "lyncnb-requests/2"
    rekey(folder, PASSPHRASE, "another long phrase", today=TODAY)
    rebuild_manifest(folder, "another long phrase", confirmed=["*"])
    assert folder_status(folder, today=TODAY).problems == ()


def test_the_first_format_matches_commit_cedf946(folder):
    """Reading a manifest in the first format and writing it again in that format does not change
    any byte.
    """
    from lyncnb.request_folder.manifest import encode_manifest

    data = (folder / "manifest.json").read_bytes()
    assert encode_manifest(read_manifest(folder), format_id="lyncnb-requests/1") == data
    assert first_manifest(json.loads(data)) == data


ODD = (
    *(None, True, 5, -1, 1.5, 10**400, "", "x", "../../etc/passwd", "\ud800", "a\nb"),
    *("2026-11-24", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "returned/a.cer", "f" * 64),
    *([], ["x"], [None], [[]], {}, {"x": 1}, {"CN": None}),
)
_GONE = object()


def list_paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a JSON document."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, child in value.items():
            yield from list_paths(child, (*path, name))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from list_paths(child, (*path, number))


def replace_value(document: dict, path: tuple[str | int, ...], value: object) -> bytes:
    """Return a copy of the document in which one value is replaced or removed."""
    document = copy.deepcopy(document)
    container = document
    for step in path[:-1]:
        container = container[step]
    if value is _GONE:
        del container[path[-1]]
    else:
        container[path[-1]] = value
    return json.dumps(document).encode()


def commands(parent: Path) -> list[tuple[str, ...]]:
    """Return every command that reads a manifest. Those that change the folder are last."""
    options = ("--passphrase-file", str(parent / "passphrase"))
    return [
        ("status", "requests"),
        ("status", "requests", "--json"),
        ("status", "requests", "--calendar", "c.ics", "--force"),
        ("handover", "requests", "out.zip", "--force"),
        ("request", "t.csv", "requests", "--dry-run", "--json"),
        ("steps", "requests", "-o", "steps.html", "--force"),
        ("receive", "requests"),
        ("pfx", "requests", *options),
        ("pfx", "requests", "--show-password", "Edge", *options),
        ("purge", "requests", "--deployed", "Mediation"),
        ("receive", "requests", "--request", "one.req"),
        ("steps", "t.csv", "--request-on-server", "-o", "requests"),
        ("rekey", "requests", *options, "--new-passphrase-file", str(parent / "other")),
        ("status", "requests", "--rebuild", "--json", *options),
    ]


def convert_to_current_format(parent: Path) -> None:
    """Run commands that add to a manifest every field that the first format does not have."""
    create_recovery_key(parent / "pair", PASSPHRASE)
    make_folder(parent / "requests", make_plan(), recovery=[parent / "pair.pub"])
    receive(parent / "requests", parent / "returned", today=TODAY)
    elsewhere = next(
        certificate.id
        for certificate in make_plan().certificates
        if certificate.role == "Deployment"
    )
    request_elsewhere(
        make_plan(), parent / "requests", computer="tools01.contoso.com", renew=[elsewhere],
        reason="x", findings=(),
    )  # fmt: skip
    path = parent / "requests" / "manifest.json"
    document = json.loads(path.read_bytes())
    issued_request = next(request for request in document["requests"] if request["issued"])
    assert document["issuers"]
    assert document["recovery"]
    assert issued_request["issued"]["judgement"]
    assert [request["id"] for request in document["requests"] if "key_holder" in request] == [
        elsewhere
    ]
    issued_request["refused"] = [issued_request["issued"]]
    issued_request["name_notes"] = [
        {"name": "a.contoso.com", "written": "a<U+200B>", "note": "removed"}
    ]
    path.write_bytes(json.dumps(document).encode())
    assert read_manifest(parent / "requests").format == "lyncnb-requests/3"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["first", "present"])
def test_invalid_values_do_not_crash_a_command(original, shell, tmp_path, form):
    """If any field of the manifest is invalid, no command crashes, and the manifest can be rebuilt
    without this field.

    LYNCNB_EDITS sets the number of edits. Half of them are made in each format. A full test uses a
    thousand, and CI a tenth.
    """
    count = int(os.environ.get("LYNCNB_EDITS", "100")) // 2
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    if form == "present":
        convert_to_current_format(tmp_path)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    (tmp_path / "other").write_text("another long phrase")
    (tmp_path / "t.csv").write_bytes(TWO_SITES.encode())
    shutil.copy(next((tmp_path / "requests" / "csr").iterdir()), tmp_path / "one.req")
    document = json.loads((tmp_path / "requests" / "manifest.json").read_bytes())
    edits = [(path, value) for path in list_paths(document) for value in (*ODD, _GONE)]
    faults = []
    for path, value in random.Random(1).sample(edits, min(count, len(edits))):
        data = replace_value(document, path, value)
        for command in commands(tmp_path):
            (tmp_path / "requests" / "manifest.json").write_bytes(data)
            result = shell(*command)
            if result.status not in (0, 1, 3) or "error in lyncnb" in result.err:
                faults.append((path, value, command[0], result.err[-300:]))
            if command[0] == "rekey" and result.status == 0:
                rekey(tmp_path / "requests", "another long phrase", PASSPHRASE)
        if "error" in json.loads(result.out) and "newer" not in result.err:
            faults.append((path, value, "rebuild", result.err[-300:]))
    assert faults == []
