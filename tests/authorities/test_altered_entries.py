"""lyncnb detects altered entries in the manifest of a request folder."""

from __future__ import annotations

import pytest
from folders import (
    PASSPHRASE,
    lose_record,
    make_folder,
    make_plan,
    plan_of,
    put_back,
    read_document,
    with_extra_names,
    write,
)

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.status import folder_status
from lyncnb.errors import BundleError
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")


def _change_internal_request(folder, change):
    """Change the record of the first request to the internal CA, and return the id
    of that request.
    """
    document = read_document(folder)
    record = next(
        request for request in document["requests"] if request["plan"]["issuer"] == "internal"
    )
    change(record, document, folder)
    put_back(folder, document)
    return record["id"]


def _issuer(record, document, folder):
    record["plan"]["issuer"] = "public"


def _issuer_without_plan(record, document, folder):
    record["plan"]["issuer"] = "public"
    document["plan_json_sha256"] = ""


def _issuer_and_digest(record, document, folder):
    record["plan"]["issuer"] = "public"
    document["plan_sha256"] = ""


def _names(record, document, folder):
    record["plan"]["san"] = [*record["plan"]["san"], "evil.fabrikam.com"]
    document["plan_sha256"] = ""


def _public_key(record, document, folder):
    stem = f"{record['id']}-00000000"
    old = record["files"]["csr"].removeprefix("csr/").removesuffix(".csr")
    for subfolder, suffix in (("csr", ".csr"), ("keys", ".key")):
        (folder / subfolder / f"{old}{suffix}").rename(folder / subfolder / f"{stem}{suffix}")
    record["files"] = {"csr": f"csr/{stem}.csr", "key": f"keys/{stem}.key"}
    record["spki_sha256"] = "0" * 64


ALTERED = {
    "issuer": (
        _issuer,
        "the issuer on record is public, but the issuer in plan.json is internal",
    ),
    "issuer, and no plan": (
        _issuer_without_plan,
        "the plan digest computed from the entries on record is",
    ),
    "issuer, and no digest": (_issuer_and_digest, "the issuer on record is public"),
    "names": (_names, "evil.fabrikam.com"),
    "public key": (
        _public_key,
        "the public key on record differs from the public key in csr/",
    ),
}


@pytest.mark.parametrize(("change", "message"), ALTERED.values(), ids=ALTERED)
def test_an_altered_entry_is_found_and_not_handed_over(tmp_path, change, message):
    """If an entry in the manifest was altered, the status command reports it, and no package is
    written for the CA.
    """
    folder = make_folder(tmp_path / "requests").folder
    assert not folder_status(folder).problems
    request_id = _change_internal_request(folder, change)
    problems = folder_status(folder).problems
    assert {problem.file for problem in problems} == {"record/"}
    assert any(message in problem.message for problem in problems)
    assert any(request_id in problem.message for problem in problems) or "entries" in message
    for issuer in ("public", "internal", ""):
        with pytest.raises(BundleError) as raised:
            hand_over(folder, tmp_path / "out.zip", issuer=issuer)
        assert not (tmp_path / "out.zip").exists(), issuer
        if issuer == "":
            assert message in str(raised.value)


def test_changes_by_lyncnb_are_not_alterations(tmp_path):
    """After a changed plan, a renewal, or a rebuild of the manifest, the status command reports no
    problem.
    """
    plan = make_plan()
    folder = make_folder(tmp_path / "requests", plan).folder
    write(with_extra_names(plan, 1, "sip.contoso.com"), folder)
    write(plan_of(*plan.certificates[2:], *plan.certificates[:1]), folder)
    write(plan, folder, renew=[plan.certificates[0].id], reason="x")
    assert not folder_status(folder).problems
    lose_record(folder)
    rebuild_manifest(folder, PASSPHRASE, confirmed=["*"])
    assert not folder_status(folder).problems
