"""lyncnb can always open the files that it wrote at commit 50307b1.

``earlier/`` contains files from that commit: a saved plan with its signature, a plan as JSON, the
result of ``asis``, a scenario, and answers for the guide. ``manifest-third.json`` and its ``plan.json`` are in the format
``lyncnb-requests/3``. No key is committed: the current package creates a folder with the same
commands, and the folder gets the earlier manifest with the hashes of its files.
``manifest-converted.json`` is the packaged folder after a request by lyncnb 0.2.0, which converted
it to ``lyncnb-requests/3`` and bound the keys.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from folders import (
    PASSPHRASE,
    ROUNDS,
    TODAY,
    digest,
    issue_all,
    make_folder,
    make_plan,
    read_document,
)
from shell_kit import make_shell
from ssh_keys import needs_ssh_keygen
from topologies import TWO_SITES

import lyncnb as ln
from lyncnb.authorities.summary_files import explain_stale_summary, refresh_summary_files
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.recovery_key import create_recovery_key

EARLIER = Path(__file__).resolve().parent / "earlier"
STAGES = ("converted", "third")
# The values of a manifest that depend on the contents of other files. They differ in every folder.
_OF_FILES = {
    *("csr_sha256", "key_sha256", "spki_sha256", "sha256", "chain_sha256", "file_sha256"),
    *("thumbprint_sha1", "serial", "certificate", "chain", "friendly_name", "fingerprint"),
    *("binding", "binding_key", "files"),
    *("summary.csv", "summary.xlsx", "summary.html", "summary.md"),
}
_RETURNED = "returned/"

shell = pytest.fixture(make_shell)
pytestmark = pytest.mark.usefixtures("quick_cipher")


def _replace_file_values(earlier: object, fresh: object) -> object:
    """Copy an earlier manifest, but take the values that describe files from a new manifest."""
    if isinstance(earlier, dict):
        return {
            name: fresh[name]
            if name in _OF_FILES
            else value
            if name.endswith("_commands")  # Earlier versions wrote other commands for a file.
            else _replace_file_values(value, fresh.get(name))
            for name, value in earlier.items()
        }
    if isinstance(earlier, list):
        pairs = zip(earlier, fresh, strict=True)
        return [_replace_file_values(kept_value, other) for kept_value, other in pairs]
    of_files = isinstance(earlier, str) and earlier.startswith(("pfx/", _RETURNED))
    return fresh if of_files else earlier


def _list_problems(folder: Path) -> list[str]:
    """List the problems of a folder, but not that it has no proofs of its keys, as earlier."""
    messages = [problem.message for problem in ln.folder_status(folder, today=TODAY).problems]
    return [message for message in messages if "has not verified" not in message]


def _by_id(document: dict) -> dict:
    return document | {"requests": {request["id"]: request for request in document["requests"]}}


def _package(folder: Path) -> ln.PfxPackages:
    matched = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    return ln.write_pfx(matched, passphrase=PASSPHRASE)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """Return the request folder as it was after each command, with the manifest that lyncnb wrote
    at commit 50307b1.
    """
    before = dict(FolderCipher.__init__.__kwdefaults__)
    FolderCipher.__init__.__kwdefaults__["rounds"] = ROUNDS
    parent_folder = tmp_path_factory.mktemp("earlier")
    folder, plan, ca = parent_folder / "requests", make_plan(), PythonCa()
    create_recovery_key(parent_folder / "pair", PASSPHRASE)

    def keep(stage: str) -> None:
        shutil.copytree(folder, parent_folder / stage)
        shutil.copy(EARLIER / f"plan-{stage}.json", parent_folder / stage / "plan.json")
        path = parent_folder / stage / "manifest.json"
        earlier = json.loads((EARLIER / f"manifest-{stage}.json").read_bytes())
        fresh = read_document(parent_folder / stage)
        shutil.rmtree(parent_folder / stage / "record")
        (parent_folder / stage / ".summary.json").unlink()
        grafted = _replace_file_values(_by_id(earlier), _by_id(fresh))
        path.write_text(json.dumps(grafted | {"requests": [*grafted["requests"].values()]}))

    make_folder(folder, plan, recovery=[parent_folder / "pair.pub"])
    bundle = make_folder(folder, plan, renew=[plan.certificates[0].id], reason="again")
    answers = issue_all(bundle, ca, skip=[plan.certificates[2].id])
    (parent_folder / "all.pem").write_bytes(pem(*answers.values(), *ca.chain))
    ln.receive(folder, parent_folder / "all.pem", today=TODAY)
    _package(folder)
    keep("converted")
    keep("third")
    FolderCipher.__init__.__kwdefaults__.update(before)
    return parent_folder


@pytest.mark.parametrize("stage", STAGES)
def test_a_folder_opens_at_every_stage(stages, stage):
    """A request folder of an earlier version can be read at every stage of its requests without
    problems, and its files stay unchanged.
    """
    folder = stages / stage
    before = digest(folder)
    assert _list_problems(folder) == []
    earlier = json.loads((EARLIER / f"manifest-{stage}.json").read_bytes())
    assert [request.id for request in read_manifest(folder).requests] == [
        request["id"] for request in earlier["requests"]
    ]
    assert digest(folder) == before


@pytest.mark.parametrize("stage", STAGES)
def test_commands_work_in_an_earlier_folder(stages, stage, tmp_path):
    """The commands request, receive, pfx and rekey work as in a folder from the current version."""
    folder = tmp_path / "requests"
    shutil.copytree(stages / stage, folder)
    assert set(make_folder(folder, make_plan()).counts()) <= {"kept", "elsewhere"}
    assert ln.receive(folder, stages / "all.pem", today=TODAY).exit_status == 0
    actions = {package.action for package in _package(folder).packages}
    assert actions <= {"written", "kept", "waiting", "refused"}
    ln.rekey(folder, PASSPHRASE, "another long phrase", today=TODAY)
    assert ln.folder_status(folder, today=TODAY).problems == ()


def test_summaries_are_written_from_an_earlier_plan(stages, tmp_path):
    """lyncnb can write the summary files of a folder again, even if an earlier version of lyncnb
    wrote the folder's plan and records.
    """
    folder = tmp_path / "requests"
    shutil.copytree(stages / "third", folder)
    manifest = read_manifest(folder)
    assert explain_stale_summary(folder, manifest) == ""
    assert refresh_summary_files(folder, manifest).summary != manifest.summary


def test_a_saved_plan_opens_and_is_compared(shell):
    """A saved plan of an earlier version can be compared with its own table, and with a JSON plan
    for the same date.
    """
    assert shell("compare", EARLIER / "saved.json", EARLIER / "plan.json").status == 0
    shell.write("t.csv", TWO_SITES)
    result = shell("compare", EARLIER / "saved.json", "t.csv")
    assert result.status == 1
    assert "sha384" in result.out


@needs_ssh_keygen
def test_the_signature_of_an_earlier_plan_is_verified(shell):
    """For an earlier saved plan, lyncnb verifies the signature before it reports that the rules
    have changed.
    """
    shell.write("passphrase", PASSPHRASE)
    result = shell(
        *("request", "--plan", EARLIER / "saved.json", "--approved-by", EARLIER / "signers"),
        *("requests", "--passphrase-file", "passphrase"),
    )
    assert result.status == 1
    assert "was saved with different rules" in result.err
    assert "signature" not in result.err
    assert not (shell.folder / "requests").exists()


def test_an_earlier_asis_result_is_too_old(shell):
    """The request command rejects a result of the command asis that an earlier version of lyncnb
    wrote, because its checks were weaker.
    """
    shell.write("t.csv", TWO_SITES)
    result = shell("request", "t.csv", "requests", "--only-missing", EARLIER / "as-is.json")
    assert result.status == 2
    assert "an older version of lyncnb wrote this file without a digest" in result.err
    assert "lyncnb asis" in result.err


def test_a_scenario_opens():
    """If lyncnb opens an earlier scenario, its table, options, and note are unchanged."""
    scenario = ln.open_scenario(EARLIER / "scenarios" / "as planned")
    assert scenario.topology == ln.read_topology(TWO_SITES.encode())
    assert (scenario.options.hash, scenario.note) == (
        "sha384",
        "Why we look at it:\n\n- cheaper?",
    )


def test_the_guide_accepts_earlier_answers(shell):
    """The guide accepts every answer in a file of an earlier version."""
    result = shell("guide", "first", "--answers", EARLIER / "guide.toml")
    assert (result.status, result.err) == (0, "")
    assert "7 certificates for 5 servers" in result.out
