"""``lyncnb renew`` needs a selection and a reason, asks for confirmation, and checks the approval."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta

import click
import pytest
from folders import PASSPHRASE, certify, make_folder, make_plan, snapshot
from shell_kit import make_shell
from ssh_keys import make_key, needs_ssh_keygen, sign_by_hand
from topologies import TWO_FRONT_ENDS

from lyncnb.authorities.kept_approval import PLAN, SIGNATURE
from lyncnb.checks.check_plan import check_plan
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")
shell = pytest.fixture(make_shell)

PASS = ("--passphrase-file", "passphrase")
WHY = ("--reason", "renewal")
ALICE, BOB = "alice@contoso.com", "bob@contoso.com"


@pytest.fixture
def planner(shell):
    """Return a folder of three requests whose certificates are due today."""
    shell.write("passphrase", PASSPHRASE)
    plan, midnight = make_plan(TWO_FRONT_ENDS.encode()), datetime.now(UTC).replace(hour=0)
    long_ago = midnight - timedelta(days=70)
    bundle = make_folder(
        shell.folder / "requests", plan, today=long_ago.date(),
        findings=check_plan(plan, on=long_ago.date()), accept={"oauth-key-too-small": "a test"},
    )  # fmt: skip
    ids = (one.id for one in bundle.requests)
    certify(bundle.folder, *ids, today=long_ago.date(), begins=long_ago, days=90)
    return shell


def test_one_cycle_needs_no_id(planner):
    """Renew renews all due certificates, without an id. If it is repeated, nothing is due."""
    ended = planner("renew", "requests", "--due", *WHY, *PASS)
    assert ended.status == 0, ended.err
    assert "3 renewed" in ended.out
    assert "generation 2 (renewed: renewal)" in ended.out
    ended = planner("renew", "requests", "--due", *WHY)  # Without a passphrase, nothing is written.
    assert (ended.status, "no certificate is due for renewal on" in ended.err) == (0, True), ended
    assert "dry run" not in ended.out


def test_a_dry_run_asks_nothing(planner):
    """A dry run prints one JSON document, asks no question, and changes nothing."""
    before = snapshot(planner.folder / "requests")
    ended = planner("renew", "requests", "fe01.contoso.net", *WHY, "--dry-run", "--json")
    assert ended.status == 0
    told = json.loads(ended.out)
    assert [one["action"] for one in told["changes"]].count("renewed") == 2
    assert snapshot(planner.folder / "requests") == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (WHY, "specify the certificates to renew: NAME (an ID, a server or a pattern), or --due"),
        (("--due", "fe01.contoso.net", *WHY), ", not both"),
        (("--due",), "a renewal needs a reason: specify --reason TEXT"),
        (("--due", "--compromised"), "--compromised needs the NAME"),
    ],
)
def test_renew_needs_a_selection_and_a_reason(planner, arguments, words):
    """Without a selection or a reason, the renew command renews nothing."""
    ended = planner("renew", "requests", *arguments, *PASS)
    assert ended.status == 2
    assert words in ended.err


def test_the_second_person_is_asked(planner, monkeypatch):
    """On a terminal, the renew command asks before it withdraws a waiting request.

    Otherwise, it names the option. The answer no changes nothing.
    """
    one = ("renew", "requests", "FrontEnd-fe01", *PASS)
    assert planner(*one, "--reason", "first").status == 0
    before = snapshot(planner.folder / "requests")
    ended = planner(*one, "--reason", "second")
    assert (ended.status, "--withdraw" in ended.err) == (3, True), ended
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda text, **_: "no")
    ended = planner(*one, "--reason", "second")
    assert (ended.status, "renewed: first" in ended.err) == (3, True), ended
    assert snapshot(planner.folder / "requests") == before
    monkeypatch.setattr(click, "prompt", lambda text, **_: "yes")
    ended = planner(*one, "--reason", "second")
    assert (ended.status, "withdrawn: the request of generation 2" in ended.out) == (0, True), ended
    assert planner(*one, "--reason", "third", "--withdraw").status == 0


def test_a_stolen_key_is_reported_with_its_serial(planner):
    """For a compromised key, the output says what to request from the CA."""
    record = open_requests(planner.folder / "requests").requests[0]
    ended = planner("renew", "requests", record.id, "--compromised", *PASS)
    assert ended.status == 0, ended.err
    words = (
        f"Revoke the certificate with serial number {record.issued.serial}, reason "
        "keyCompromise (RFC 5280 section 5.3.1)"
    )
    assert words in ended.err
    assert "lyncnb handover requests OUT.zip" in ended.err


# --- In these tests, the plan is approved.


@pytest.fixture
def approved(shell):
    """Return a folder with a plan that Alice approved, and lists that allow her and Bob to sign."""
    shell.write("t.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    day = date.today() - timedelta(days=1)
    assert shell("plan", "t.csv", "--on", str(day), "--save", "p.json").status == 0
    alice, bob = make_key(shell.folder / "alice"), make_key(shell.folder / "bob")
    shell.write("signers", f"{ALICE} {alice}\n")
    shell.write("others", f"{BOB} {bob}\n")
    shell.write("both", f"{ALICE} {alice}\n{BOB} {bob}\n")
    sign_by_hand(shell.folder / "alice", shell.folder / "p.json")
    assert request(shell).status == 0
    return shell


def request(shell, signers="signers", *more):
    """Request the saved plan with a list of allowed signers."""
    arguments = ("request", "--plan", "p.json", "--approved-by", signers, "requests")
    return shell(*arguments, *more, *PASS)


def renew(shell, *more):
    """Renew one request, which is waiting."""
    return shell("renew", "requests", "FrontEnd-fe01", "--withdraw", *WHY, *more, *PASS)


def refused(ended, shell, before, *words):
    """Check that a rejected renewal changed nothing, and the reason in its message."""
    assert (ended.status, ended.out) == (1, ""), ended
    for word in words:
        assert word in ended.err, ended
    assert snapshot(shell.folder / "requests") == before


@pytest.mark.tools
@needs_ssh_keygen
def test_every_generation_names_the_approved_plan(approved):
    """Both the first and the second generation belong to the plan that Alice approved."""
    manifest = read_manifest(approved.folder / "requests")
    (plan,) = manifest.plans
    assert {one.approved_plan for one in manifest.requests} == {plan.sha256}
    assert renew(approved, "--approved-by", "signers").status == 0
    manifest = read_manifest(approved.folder / "requests")
    (record,) = [one for one in manifest.requests if one.archived]
    assert [one.approved_plan for one in record.generations] == [plan.sha256] * 2
    assert manifest.plans == (plan,)


@pytest.mark.tools
@needs_ssh_keygen
def test_a_renewal_asks_for_the_list(approved):
    """Without a list of allowed signers, or if it no longer contains the signer, no request is
    renewed.
    """
    before = snapshot(approved.folder / "requests")
    refused(renew(approved), approved, before, f"{ALICE} approved the plan", "--approved-by")
    ended = renew(approved, "--approved-by", "others")
    refused(ended, approved, before)


@pytest.mark.tools
@needs_ssh_keygen
def test_no_list_of_signers_is_needed_if_nothing_is_due(approved):
    """If no renewal is due, no list of allowed signers is needed."""
    ended = approved("renew", "requests", "--due", *WHY)
    assert (ended.status, "no certificate is due" in ended.err) == (0, True), ended


@pytest.mark.tools
@needs_ssh_keygen
@pytest.mark.parametrize("name", [PLAN, SIGNATURE])
@pytest.mark.parametrize("change", ["removed", "altered"])
def test_what_was_approved_must_be_kept(approved, name, change):
    """If the plan or its signature is missing or altered, nothing is renewed."""
    path = approved.folder / "requests" / name
    data = path.read_bytes()
    path.unlink()
    if change == "altered":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    before = snapshot(approved.folder / "requests")
    ended = renew(approved, "--approved-by", "signers")
    refused(ended, approved, before, "approved-plan.json")


@pytest.mark.tools
@needs_ssh_keygen
def test_the_approved_plan_is_renewed_from(approved):
    """If the plan next to the approval was changed in the folder, it is not used."""
    document = json.loads((approved.folder / "requests/manifest.json").read_text("utf-8"))
    document["plans"][-1]["approvals"] = []
    (approved.folder / "requests/manifest.json").write_text(json.dumps(document), "utf-8")
    before = snapshot(approved.folder / "requests")
    ended = renew(approved, "--approved-by", "signers")
    refused(ended, approved, before, "has no approval")


@pytest.mark.tools
@needs_ssh_keygen
def test_the_same_plan_requested_again_is_verified_again(approved):
    """If the signer is no longer in the list, or if the signature is missing, the same plan cannot
    be requested again.
    """
    before = snapshot(approved.folder / "requests")
    refused(request(approved, "others"), approved, before)
    (approved.folder / "p.json.sig").unlink()
    refused(request(approved), approved, before, "p.json is not approved")


@pytest.mark.tools
@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["another approver", "the same key again"])
def test_a_new_signature_goes_on_record(approved, kind):
    """A new signature of the same or another approver is recorded and kept in the folder."""
    if kind == "another approver":
        sign_by_hand(approved.folder / "bob", approved.folder / "p.json")
        signers = ("both", [ALICE, BOB])
    else:
        # Ed25519 signatures of the same data are identical, but ECDSA signatures are not.
        carol = make_key(approved.folder / "carol", kind="ecdsa")
        approved.write("carols", f"carol@contoso.com {carol}\n")
        for _ in range(2):
            sign_by_hand(approved.folder / "carol", approved.folder / "p.json")
            assert request(approved, "carols").status == 0
        signers = ("carols", [ALICE, "carol@contoso.com", "carol@contoso.com"])
    assert request(approved, signers[0]).status == 0
    (plan,) = read_manifest(approved.folder / "requests").plans
    assert [one.signer for one in plan.approvals] == signers[1]
    assert len({one.signature_sha256 for one in plan.approvals}) == len(signers[1])
    kept = (approved.folder / "requests" / SIGNATURE).read_bytes()
    assert kept == (approved.folder / "p.json.sig").read_bytes()
    assert approved("status", "requests", "--approved-by", signers[0]).status == 0
    assert renew(approved, "--approved-by", signers[0]).status == 0


def test_a_summary_that_cannot_be_written_is_no_reason_to_renew_again(planner):
    """If the summary cannot be written, the error explains that the renewal is recorded, and its
    advice writes the summary without a new request.
    """
    folder = planner.folder / "requests"
    (folder / "summary.html").unlink()
    (folder / "summary.html").mkdir()
    ended = planner("renew", "requests", "--due", *WHY, *PASS)
    assert ended.status == 3
    assert "summary.html: cannot replace the file" in ended.err
    assert "complete and recorded, so do not repeat the change" in ended.err
    renewed = read_manifest(folder).requests
    assert [(one.generation, one.state) for one in renewed] == [(2, "waiting")] * 3
    again = planner("renew", "requests", "--due", *WHY, *PASS)
    assert (again.status, "no certificate is due for renewal on" in again.err) == (0, True), again
    (folder / "summary.html").rmdir()
    ended = planner(
        "request",
        "--plan",
        folder / "plan.json",
        folder,
        *PASS,
        "--accept",
        "oauth-key-too-small=a test",
    )
    assert ended.status == 0, ended.err
    assert "3 kept" in ended.out
    assert "<html" in (folder / "summary.html").read_text("utf-8")
    assert read_manifest(folder).requests == renewed


def test_the_command_of_an_interrupted_renewal_completes_it(planner):
    """The same ``request --renew`` as before writes only the missing summary."""
    folder = planner.folder / "requests"
    name = read_manifest(folder).requests[0].id
    again = ("request", "--plan", folder / "plan.json", folder, *PASS, "--renew", name)
    again += (*WHY, "--accept", "oauth-key-too-small=a test")
    (folder / "summary.html").unlink()
    (folder / "summary.html").mkdir()
    assert planner(*again).status == 3
    renewed = read_manifest(folder).requests
    assert renewed[0].generation == 2
    (folder / "summary.html").rmdir()
    ended = planner(*again)
    assert ended.status == 0, ended.err
    assert read_manifest(folder).requests == renewed
    assert "<html" in (folder / "summary.html").read_text("utf-8")
    assert planner(*again).status == 0  # From here on, it is another renewal.
    assert read_manifest(folder).requests[0].generation == 3
