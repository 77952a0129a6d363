"""The command `lyncnb renew` requires a selection and a reason, asks for confirmation, and checks
the approval.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, timedelta

import click
import pytest
from folders import (
    PASSPHRASE,
    certify,
    make_folder,
    make_plan,
    put_back,
    read_document,
    snapshot,
)
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
    """Return a request folder with three requests, whose certificates are due for renewal today."""
    shell.write("passphrase", PASSPHRASE)
    plan, midnight = make_plan(TWO_FRONT_ENDS.encode()), datetime.now(UTC).replace(hour=0)
    long_ago = midnight - timedelta(days=70)
    bundle = make_folder(
        shell.folder / "requests", plan, today=long_ago.date(),
        findings=check_plan(plan, on=long_ago.date()), accept={"oauth-key-too-small": "a test"},
    )  # fmt: skip
    ids = (record.id for record in bundle.requests)
    certify(bundle.folder, *ids, today=long_ago.date(), begins=long_ago, days=90)
    return shell


def test_renewal_needs_no_id(planner):
    """With --due, the renew command needs no id and renews all due certificates. A second run
    renews nothing.
    """
    result = planner("renew", "requests", "--due", *WHY, *PASS)
    assert result.status == 0, result.err
    assert "3 renewed" in result.out
    assert 'generation 2 (reason: "renewal")' in result.out
    # The command gets no passphrase, so it cannot write anything.
    result = planner("renew", "requests", "--due", *WHY)
    assert (result.status, "no certificate is due for renewal on" in result.err) == (0, True), (
        result
    )
    assert "dry run" not in result.out


def test_dry_run_asks_no_question(planner):
    """With --dry-run, the renew command prints one JSON document, asks no question, and changes
    nothing.
    """
    before = snapshot(planner.folder / "requests")
    result = planner("renew", "requests", "fe01.contoso.net", *WHY, "--dry-run", "--json")
    assert result.status == 0
    document = json.loads(result.out)
    assert [change["action"] for change in document["changes"]].count("renewed") == 2
    assert snapshot(planner.folder / "requests") == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (WHY, "specify the certificates to renew: NAME (an ID, a server or a pattern), --issuer"),
        (("--due", "fe01.contoso.net", *WHY), "specify only one of NAME"),
        (("--due",), "a renewal needs a reason: specify --reason TEXT"),
        (("--due", "--compromised"), "--compromised needs the NAME"),
    ],
)
def test_renew_requires_a_selection_and_a_reason(planner, arguments, words):
    """If the selection or the reason is missing, the renew command renews nothing."""
    result = planner("renew", "requests", *arguments, *PASS)
    assert result.status == 2
    assert words in result.err


def test_withdrawal_needs_confirmation(planner, monkeypatch):
    """On a terminal, the renew command asks for confirmation before it withdraws a waiting request.
    The answer "no" changes nothing. Without a terminal, the command names the required option.
    """
    arguments = ("renew", "requests", "FrontEnd-fe01", *PASS)
    assert planner(*arguments, "--reason", "first").status == 0
    before = snapshot(planner.folder / "requests")
    result = planner(*arguments, "--reason", "second")
    assert (result.status, "--withdraw" in result.err) == (3, True), result
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", lambda text, **_: "no")
    result = planner(*arguments, "--reason", "second")
    assert (result.status, 'reason: "first"' in result.err) == (3, True), result
    assert snapshot(planner.folder / "requests") == before
    monkeypatch.setattr(click, "prompt", lambda text, **_: "yes")
    result = planner(*arguments, "--reason", "second")
    assert (result.status, "withdrawn: the CSR of generation 2" in result.out) == (0, True), result
    assert planner(*arguments, "--reason", "third", "--withdraw").status == 0


def test_a_stolen_key_is_reported_with_its_serial(planner):
    """If a key is compromised, the output shows the serial number of the certificate that the CA
    must revoke.
    """
    record = open_requests(planner.folder / "requests").requests[0]
    result = planner("renew", "requests", record.id, "--compromised", *PASS)
    assert result.status == 0, result.err
    words = (
        f"Revoke the certificate with serial number {record.issued.serial} "
        "for the reason keyCompromise (RFC 5280 section 5.3.1)"
    )
    assert words in result.err
    assert "lyncnb handover requests OUT.zip" in result.err


# In the following tests, the plan in the folder is approved.


@pytest.fixture
def approved(shell):
    """Return a request folder with a plan that Alice approved, and a list of signers that allows
    Alice and Bob to sign.
    """
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


def request(shell, signers="signers", *options):
    """Create requests from the saved plan with a list of allowed signers."""
    arguments = ("request", "--plan", "p.json", "--approved-by", signers, "requests")
    return shell(*arguments, *options, *PASS)


def renew(shell, *options):
    """Renew a request that is waiting for its certificate."""
    return shell("renew", "requests", "FrontEnd-fe01", "--withdraw", *WHY, *options, *PASS)


def assert_refused(result, shell, before, *words):
    """Check that a renewal was rejected with the given reason and changed nothing."""
    assert (result.status, result.out) == (1, ""), result
    for word in words:
        assert word in result.err, result
    assert snapshot(shell.folder / "requests") == before


@pytest.mark.tools
@needs_ssh_keygen
def test_every_generation_belongs_to_the_approved_plan(approved):
    """The first and the second generation of a request both belong to the plan that Alice approved."""
    manifest = read_manifest(approved.folder / "requests")
    (plan,) = manifest.plans
    assert {request_record.approved_plan for request_record in manifest.requests} == {plan.sha256}
    assert renew(approved, "--approved-by", "signers").status == 0
    manifest = read_manifest(approved.folder / "requests")
    (record,) = [request_record for request_record in manifest.requests if request_record.archived]
    assert [generation.approved_plan for generation in record.generations] == [plan.sha256] * 2
    assert manifest.plans == (plan,)


@pytest.mark.tools
@needs_ssh_keygen
def test_renewal_requires_the_list_of_signers(approved):
    """lyncnb renews no request if the list of allowed signers is missing or no longer contains the
    signer.
    """
    before = snapshot(approved.folder / "requests")
    assert_refused(renew(approved), approved, before, f"{ALICE} approved the plan", "--approved-by")
    result = renew(approved, "--approved-by", "others")
    assert_refused(result, approved, before)


@pytest.mark.tools
@needs_ssh_keygen
def test_no_list_of_signers_is_needed_if_nothing_is_due(approved):
    """If no renewal is due, the renew command does not need a list of allowed signers."""
    result = approved("renew", "requests", "--due", *WHY)
    assert (result.status, "no certificate is due" in result.err) == (0, True), result


@pytest.mark.tools
@needs_ssh_keygen
@pytest.mark.parametrize("name", [PLAN, SIGNATURE])
@pytest.mark.parametrize("change", ["removed", "altered"])
def test_approved_plan_must_be_unchanged(approved, name, change):
    """Nothing is renewed if the approved plan or its signature in the folder is missing or altered."""
    path = approved.folder / "requests" / name
    data = path.read_bytes()
    path.unlink()
    if change == "altered":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    before = snapshot(approved.folder / "requests")
    result = renew(approved, "--approved-by", "signers")
    assert_refused(result, approved, before, "approved-plan.json")


@pytest.mark.tools
@needs_ssh_keygen
def test_renewal_requires_a_recorded_approval(approved):
    """If the record of the approval is removed from the manifest, the renew command with
    --approved-by renews nothing.
    """
    document = read_document(approved.folder / "requests")
    document["plans"][-1]["approvals"] = []
    put_back(approved.folder / "requests", document)
    before = snapshot(approved.folder / "requests")
    result = renew(approved, "--approved-by", "signers")
    assert_refused(result, approved, before, "is not approved")


@pytest.mark.tools
@needs_ssh_keygen
def test_repeated_request_verifies_the_approval_again(approved):
    """If the signer is no longer in the list of allowed signers, or if the signature is missing,
    the request command rejects a second run for the same plan.
    """
    before = snapshot(approved.folder / "requests")
    assert_refused(request(approved, "others"), approved, before)
    (approved.folder / "p.json.sig").unlink()
    assert_refused(request(approved), approved, before, "p.json is not approved")


@pytest.mark.tools
@needs_ssh_keygen
@pytest.mark.parametrize("kind", ["another approver", "the same key again"])
def test_new_signature_is_recorded(approved, kind):
    """If the same or another approver signs the plan again, the new signature is recorded and kept
    in the folder.
    """
    if kind == "another approver":
        sign_by_hand(approved.folder / "bob", approved.folder / "p.json")
        signers = ("both", [ALICE, BOB])
    else:
        # Repeated Ed25519 signatures of the same data are identical, but repeated ECDSA signatures
        # differ.
        carol = make_key(approved.folder / "carol", kind="ecdsa")
        approved.write("carols", f"carol@contoso.com {carol}\n")
        for _ in range(2):
            sign_by_hand(approved.folder / "carol", approved.folder / "p.json")
            assert request(approved, "carols").status == 0
        signers = ("carols", [ALICE, "carol@contoso.com", "carol@contoso.com"])
    assert request(approved, signers[0]).status == 0
    (plan,) = read_manifest(approved.folder / "requests").plans
    assert [approval.signer for approval in plan.approvals] == signers[1]
    assert len({approval.signature_sha256 for approval in plan.approvals}) == len(signers[1])
    signature = (approved.folder / "requests" / SIGNATURE).read_bytes()
    assert signature == (approved.folder / "p.json.sig").read_bytes()
    assert approved("status", "requests", "--approved-by", signers[0]).status == 0
    assert renew(approved, "--approved-by", signers[0]).status == 0


def test_unwritable_summary_does_not_repeat_the_renewal(planner):
    """If the summary cannot be written, the error explains that the renewal is recorded, and shows
    a command that only writes the summary.
    """
    folder = planner.folder / "requests"
    (folder / "summary.html").unlink()
    (folder / "summary.html").mkdir()
    result = planner("renew", "requests", "--due", *WHY, *PASS)
    assert result.status == 3
    assert "summary.html: cannot replace the file" in result.err
    assert "complete and recorded, so do not repeat the change" in result.err
    renewed = read_manifest(folder).requests
    assert [(record.generation, record.state) for record in renewed] == [(2, "waiting")] * 3
    second_result = planner("renew", "requests", "--due", *WHY, *PASS)
    assert (second_result.status, "no certificate is due for renewal on" in second_result.err) == (
        0,
        True,
    ), second_result
    (folder / "summary.html").rmdir()
    result = planner(
        "request",
        "--plan",
        folder / "plan.json",
        folder,
        *PASS,
        "--accept",
        "oauth-key-too-small=a test",
    )
    assert result.status == 0, result.err
    assert "3 kept" in result.out
    assert "<html" in (folder / "summary.html").read_text("utf-8")
    assert read_manifest(folder).requests == renewed


def test_interrupted_renewal_is_completed_by_the_same_request_command(planner):
    """After an interrupted renewal, the same command `request --renew` writes only the missing
    summary.
    """
    folder = planner.folder / "requests"
    name = read_manifest(folder).requests[0].id
    command = ("request", "--plan", folder / "plan.json", folder, *PASS, "--renew", name)
    command += (*WHY, "--accept", "oauth-key-too-small=a test")
    (folder / "summary.html").unlink()
    (folder / "summary.html").mkdir()
    assert planner(*command).status == 3
    renewed = read_manifest(folder).requests
    assert renewed[0].generation == 2
    (folder / "summary.html").rmdir()
    result = planner(*command)
    assert result.status == 0, result.err
    assert read_manifest(folder).requests == renewed
    assert "<html" in (folder / "summary.html").read_text("utf-8")
    # The previous run completed the summary, so the same command now renews the request again.
    assert planner(*command).status == 0
    assert read_manifest(folder).requests[0].generation == 3


@pytest.mark.parametrize("command", ["renew", "request"])
def test_dry_run_says_so_first_and_last(planner, command):
    """The first and the last line of a dry run say that nothing was changed, and the changes are in
    the conditional.
    """
    table = planner.write("contoso.csv", TWO_FRONT_ENDS)
    arguments = {
        "renew": ("renew", "requests", "fe01.contoso.net", *WHY),
        "request": ("request", table, "new", "--accept", "oauth-key-too-small=a test"),
    }[command]
    result = planner(*arguments, "--dry-run")
    first, *changes, last = result.out.splitlines()
    assert result.status == 0, result.err
    assert first.startswith("Dry run: nothing was changed.")
    assert last == "Dry run: nothing was changed"
    done = {"renew": "renewed", "request": "created"}[command]
    assert any(f"would be {done}, generation" in line for line in changes)
