"""Approvers sign saved plans with the real program ssh-keygen, and lyncnb verifies and records the
approvals.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from cas.python_ca import pem
from folders import (
    PASSPHRASE,
    csr_path,
    lose_record,
    read_document,
    read_entries,
)
from installed_certificates import MIDNIGHT, authority, issue_planned
from shell_kit import make_shell, process_environment
from ssh_keys import make_key, needs_ssh_keygen, sign_by_hand
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.authorities.kept_approval import PLAN, SIGNATURE
from lyncnb.plan.saved_plan_json import SIGN_LINE, encode_saved_plan

shell = pytest.fixture(make_shell)
pytestmark = [
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.tools,
    needs_ssh_keygen,
]

PASS = ("--passphrase-file", "passphrase")
ALICE = "alice@contoso.com"


@pytest.fixture
def planner(shell):
    """Return a saved plan, Alice's SSH key with its fingerprint, and a list of allowed signers that
    contains Alice.
    """
    shell.write("t.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    assert shell("plan", "t.csv", "--save", "p.json").status == 0
    shell.public = make_key(shell.folder / "alice")
    shell.write("signers", f"{ALICE} {shell.public}\n")
    result = subprocess.run(
        ["ssh-keygen", "-l", "-f", "alice.pub"], cwd=shell.folder, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    shell.fingerprint = result.stdout.split()[1]
    return shell


def digest(planner) -> str:
    """Return the digest of the saved plan, as sha256sum prints it."""
    return hashlib.sha256((planner.folder / "p.json").read_bytes()).hexdigest()


def approve(planner, *options):
    """Approve the saved plan with its digest, as a script would."""
    return planner("approve", "p.json", "--confirm", digest(planner), *options)


def request(planner, *options, signers="signers", folder="requests"):
    return planner("request", "--plan", "p.json", "--approved-by", signers, folder, *options, *PASS)


def assert_refused(planner, *words, signers="signers", more=(), status=1):
    """Check that no request was written, and that the error message contains the given reason."""
    for arguments in (more, (*more, "--dry-run")):
        result = request(planner, *arguments, signers=signers)
        assert (result.status, result.out) == (status, ""), result
        for word in words:
            assert word in result.err, result
        assert not (planner.folder / "requests").exists()


def test_approved_plan_can_be_requested(planner):
    """The approve command shows the plan before it asks for a signature. After that, a user can
    create requests from the signed plan.

    The manifest and status name the approver once.
    """
    result = approve(planner, "--key", "alice")
    assert (result.status, result.err) == (0, "")
    assert "3 certificates for 2 servers" in result.out
    assert (
        f"you approved the plan with the key {planner.fingerprint}; the signature is in p.json.sig"
        in result.out
    )
    result = request(planner)
    assert result.status == 0, result
    assert f"{ALICE} approved the plan with the key {planner.fingerprint}" in result.err
    manifest = read_entries(planner.folder / "requests")
    plans = read_document(planner.folder / "requests")["plans"]
    ((approval,),) = [plan["approvals"] for plan in plans]
    assert (approval["signer"], approval["key"]) == (ALICE, planner.fingerprint)
    assert request(planner).status == 0
    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    assert read_entries(planner.folder / "requests") == manifest
    assert f"approved by {ALICE} ({planner.fingerprint})" in planner("status", "requests", "-v").err
    saved_plan = json.loads(planner("status", "requests", "--json").out)["saved_plan"]
    assert saved_plan["approvals"][0]["signer"] == ALICE


def test_status_verifies_the_signature_in_the_folder(planner):
    """The status command verifies the signature that is kept in the request folder.

    Only a list of allowed signers shows who the key belongs to.
    """
    approve(planner, "--key", "alice")
    assert request(planner).status == 0
    folder = planner.folder / "requests"
    (planner.folder / "p.json").unlink()
    (planner.folder / "p.json.sig").unlink()
    result = planner("status", "requests")
    assert result.status == 0
    assert "the signature matches the key that was recorded on 20" in result.err
    assert "lets" not in result.err
    result = planner("status", "requests", "--approved-by", "signers")
    assert result.status == 0
    assert f"{ALICE} is on the list of allowed signers and can now approve plans" in result.err
    planner.write("others", f"bob@contoso.com {make_key(planner.folder / 'bob')}\n")
    result = planner("status", "requests", "--approved-by", "others")
    assert result.status == 3
    assert f"the key {planner.fingerprint} does not belong to an allowed signer" in result.err
    contents = {name: (folder / name).read_bytes() for name in (PLAN, SIGNATURE)}
    sign_by_hand(planner.folder / "bob", folder / PLAN)
    assert "the manifest has no approval with this key" in planner("status", "requests").err
    (folder / SIGNATURE).write_bytes(contents[SIGNATURE])
    (folder / PLAN).write_bytes(contents[PLAN].replace(b"fe02", b"fe03"))
    result = planner("status", "requests")
    assert result.status == 3
    assert "the signature is not valid for this plan" in result.err
    (folder / PLAN).unlink()
    assert "contains no signature for the plan" in planner("status", "requests").err
    assert planner("status", "requests", "--approved-by", "signers").status == 3


def test_summary_shows_the_plan_and_its_approver(planner):
    """The page, Markdown file and workbook of the summary name the saved plan and its approver.

    After a request from a table, only the table is named.
    """
    folder = planner.folder / "requests"
    day = json.loads((planner.folder / "p.json").read_text())["judged_on"]

    def read_approval() -> list[str]:
        sheet = openpyxl.load_workbook(folder / "summary.xlsx")["Approval"]
        cells = " ".join(str(cell) for row in sheet.iter_rows(values_only=True) for cell in row)
        page = re.sub(r"<wbr>|<[^>]+>", "", (folder / "summary.html").read_text("utf-8"))
        plain = (folder / "summary.md").read_text("utf-8").replace("\\", "")
        return [cells, page, plain]

    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    for text in read_approval():
        assert f"SHA-256 {digest(planner)}, evaluation date {day}, requested on" in text
        assert "nobody; no signature of the plan was verified" in text
    assert approve(planner, "--key", "alice").status == 0
    assert request(planner).status == 0
    by_alice = f"{ALICE}, with the key {planner.fingerprint}, verified on "
    assert [by_alice in text for text in read_approval()] == [True] * 3
    before = (folder / "summary.xlsx").read_bytes()
    assert request(planner).status == 0
    assert (folder / "summary.xlsx").read_bytes() == before
    planner.write("t.csv", TWO_FRONT_ENDS.replace("fe02", "fe03"))
    another = ("request", "t.csv", "requests", *PASS, "--unapproved", "fe02 was replaced")
    assert planner(*another).status == 0
    assert ["a different plan, which is not approved" in text for text in read_approval()] == [
        True
    ] * 3


def test_digest_inside_the_file_is_accepted(planner):
    """Scripts for earlier versions can confirm a plan with the digest in the last line of the saved
    file.
    """
    inner_digest = json.loads((planner.folder / "p.json").read_bytes())["sha256"]
    assert planner("approve", "p.json", "--key", "alice", "--confirm", inner_digest).status == 0


@pytest.mark.parametrize("extension", ["html", "docx"])
def test_digest_on_the_approval_sheet_is_accepted(planner, extension):
    """With the digest on the approval sheet, the approver can confirm the plan. After the approval,
    the planner can request the plan with this digest.
    """
    sheet = planner.folder / f"sheet.{extension}"
    result = planner("plan", "p.json", "-o", sheet)
    assert result.status == 0, result.err
    assert "lyncnb request --plan p.json FOLDER" in result.out
    (printed,) = set(re.findall(r"\b[0-9a-f]{64}\b", text_of(sheet))) - {plan_sha256(planner)}
    signed = planner("approve", "p.json", "--key", "alice", "--confirm", printed)
    assert signed.status == 0, signed.err
    summary = planner.folder / "requests/summary.html"
    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    assert "Approver" in text_of(summary)
    assert request(planner).status == 0
    assert "Approver" not in text_of(summary)
    assert f"SHA-256 {printed}" in text_of(summary)
    assert "Approved by" in text_of(summary)


def test_saved_plan_keeps_its_options_and_date(planner):
    """The plan command rejects --on, --save and --options for a saved plan, which already contains
    options and an evaluation date.
    """
    for options in (("--on", "2027-03-20"), ("--save", "again.json"), ("--options", "plan.toml")):
        result = planner("plan", "p.json", *options)
        assert result.status == 2
        assert "already contains options and an evaluation date" in result.err


def plan_sha256(planner) -> str:
    """Return the digest of the planned certificates from the plan's JSON summary."""
    return json.loads((planner.folder / "p.json").read_bytes())["plan_sha256"]


def text_of(path) -> str:
    """Return the text of an HTML page or a Word document."""
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as archive:
            return re.sub(r"<[^>]+>", " ", archive.read("word/document.xml").decode())
    return re.sub(r"<wbr>|<[^>]+>", "", path.read_text("utf-8").partition("</style>")[2])


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_approver_does_not_need_lyncnb(planner, kind):
    """An approver who does not have lyncnb can sign with the command that lyncnb shows, using any
    type of key.
    """
    public = make_key(planner.folder / "bob", kind=kind)
    planner.write("signers", f"bob@contoso.com,bob {public}\n{ALICE} {planner.public}\n")
    text = (planner.folder / "p.json").read_text()
    assert SIGN_LINE in text
    line = SIGN_LINE.replace("KEY", "bob").replace("FILE", "p.json").split()
    subprocess.run(line, cwd=planner.folder, check=True, capture_output=True)
    result = request(planner)
    assert result.status == 0
    assert "bob@contoso.com approved the plan" in result.err


def test_a_plan_needs_a_valid_signature(planner):
    """If the signature file is missing, empty or invalid, the plan is not approved."""
    assert_refused(planner, "p.json.sig does not exist, so p.json is not approved")
    for text in ("", "approved, Alice\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n"):
        planner.write("p.json.sig", text)
        assert_refused(planner, "the signature is not valid for this plan")


def test_a_plan_altered_after_it_was_approved(planner):
    """If the saved plan is replaced with the plan of another table, the new plan is valid, but its
    signature is not.
    """
    assert approve(planner, "--key", "alice").status == 0
    planner.write("t.csv", TWO_FRONT_ENDS.replace("web.", "www."))
    assert planner("plan", "t.csv", "--save", "p.json").status == 0
    assert_refused(planner, "the signature is not valid for this plan. Either the plan was changed")
    path = planner.folder / "p.json"
    path.write_text(path.read_text().replace("www.", "web."))
    assert_refused(planner, "changed after it was saved", status=2)
    result = approve(planner, "--key", "alice")
    assert (result.status, result.out) == (2, "")


def date_from_today(days: int) -> str:
    """Return the date that is a given number of days after today, in the format of a list of
    allowed signers.
    """
    return f"{datetime.now(UTC) + timedelta(days=days):%Y%m%d}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (f'valid-before="{date_from_today(-2)}"', f"of {ALICE} has expired"),
        (f'valid-after="{date_from_today(2)}"', f"of {ALICE} is not yet valid"),
        ('namespaces="git"', f"of {ALICE} is not allowed to sign plans"),
    ],
)
def test_signer_without_a_current_permission_is_rejected(planner, options, words):
    """A signer whose permission has ended, has not started, or applies only to other files is
    rejected by name.
    """
    approve(planner, "--key", "alice")
    planner.write("signers", f"# who may\n{ALICE} {options} {planner.public}\n")
    assert_refused(planner, words, planner.fingerprint)
    valid_options = f'valid-after="{date_from_today(-2)}",valid-before="{date_from_today(2)}",namespaces="lyncnb-plan"'
    planner.write("signers", f"{ALICE} {valid_options} {planner.public}\n")
    assert request(planner).status == 0


def test_unknown_signer_is_rejected(planner):
    """If the key of a signature is unknown, the error message contains the key's fingerprint.
    lyncnb also rejects a list of allowed signers that it cannot read.
    """
    approve(planner, "--key", "alice")
    planner.write("others", f"bob@contoso.com {make_key(planner.folder / 'bob')}\n")
    planner.write("empty", "")
    planner.write("rubbish", bytes(range(256)))
    for signers in ("others", "empty", "rubbish"):
        assert_refused(
            planner, f"the key {planner.fingerprint} does not belong to an allowed signer",
            signers=signers,
        )  # fmt: skip
    assert_refused(planner, "cannot read", signers="nowhere", status=2)
    assert_refused(planner, '"." is a folder, not a file', signers=".", status=2)


def test_signature_for_another_purpose_is_rejected(planner):
    """A signature that was made for another purpose, such as a commit or an e-mail, does not
    approve a plan.
    """
    sign_by_hand(planner.folder / "alice", planner.folder / "p.json", namespace="file")
    assert_refused(planner, 'purpose other than "lyncnb-plan"')


def test_later_runs_use_the_recorded_approval(planner):
    """If you specify a list of allowed signers, later runs verify the approval again. Otherwise,
    they rely on the recorded approval.
    """
    approve(planner, "--key", "alice")
    assert request(planner).status == 0
    assert "(recorded on " in request(planner).err
    planner.write("signers", f'{ALICE} valid-before="{date_from_today(-2)}" {planner.public}\n')
    assert "has expired" in request(planner).err
    assert planner("request", "--plan", "p.json", "requests", *PASS).status == 0
    planner.write("o.toml", "wildcard = true\n")
    planner("plan", "t.csv", "--options", "o.toml", "--save", "p.json")
    approve(planner, "--key", "alice")
    assert request(planner).status == 1
    assert request(planner, folder="new").status == 1


def test_another_plan_needs_a_reason_in_an_approved_folder(planner):
    """If the plan of a folder is approved, a table or another saved plan can be requested only with
    a reason.
    """
    approve(planner, "--key", "alice")
    assert request(planner).status == 0
    before = read_entries(planner.folder / "requests")
    planner.write("o.toml", "wildcard = true\n")
    table = ("request", "t.csv", "requests", "--options", "o.toml", *PASS)
    planner("plan", "t.csv", "--options", "o.toml", "--save", "o.json")
    for arguments in (table, ("request", "--plan", "o.json", "requests", *PASS)):
        result = planner(*arguments)
        assert result.status == 1
        assert f"{ALICE} approved the plan for the folder requests" in result.err
        assert "--unapproved REASON" in result.err
        assert planner(*arguments, "--dry-run").status == 1
    assert read_entries(planner.folder / "requests") == before
    assert planner("request", "t.csv", "requests", *PASS).status == 0, "the approved plan itself"
    assert planner(*table, "--unapproved", "Alice is on leave").status == 0
    manifest = read_document(planner.folder / "requests")
    events = [(entry["event"], entry["about"]) for entry in manifest["log"]]
    assert events == [("unapproved-plan", "Alice is on leave")]
    assert planner(*table).status == 0, "the same again changes nothing"


@pytest.mark.parametrize("name", ["*", "*@contoso.com", "*,!bob@contoso.com", "?lice@contoso.com"])
def test_pattern_is_not_a_signer(planner, name):
    """The name of a signer must be a single name, so a pattern or a list of names is rejected."""
    approve(planner, "--key", "alice")
    planner.write("signers", f"{name} {planner.public}\n")
    assert_refused(planner, "not a single name")


def test_findings_cannot_be_accepted_after_the_approval(planner):
    """The options --accept and --approved-by cannot be combined, because the approver did not see
    the accepted findings.
    """
    approve(planner, "--key", "alice")
    assert_refused(
        planner, "does not contain the reason why wildcard-in-subject-name is accepted",
        more=("--accept", "wildcard-in-subject-name=because"),
    )  # fmt: skip
    result = planner("request", "t.csv", "requests", "--approved-by", "signers", *PASS)
    assert (result.status, "--plan" in result.err) == (2, True)


def test_signature_of_another_approver_is_kept(planner):
    """Alice's signature does not replace Bob's signature of the same plan, but replaces a signature
    of an earlier plan.
    """
    make_key(planner.folder / "bob")
    assert approve(planner, "--key", "bob").status == 0
    before = (planner.folder / "p.json.sig").read_bytes()
    result = approve(planner, "--key", "alice")
    assert (result.status, result.out) == (2, "")
    assert "contains an approval of this plan with a different key" in result.err
    assert (planner.folder / "p.json.sig").read_bytes() == before
    assert approve(planner, "--key", "alice", "--force").status == 0
    planner("plan", "t.csv", "--on", "2027-01-01", "--save", "p.json")
    assert approve(planner, "--key", "bob").status == 0
    planner.write("p.json.sig", "my own notes\n")
    assert approve(planner, "--key", "bob").status == 2


def test_without_ssh_keygen(planner, monkeypatch):
    """If ssh-keygen is missing, the error message says where to get it, and no request is created."""
    approve(planner, "--key", "alice")
    monkeypatch.setenv("PATH", str(planner.folder))
    assert_refused(planner, "ssh-keygen is not installed", "openssh-client")
    result = approve(planner, "--key", "alice", "--json")
    assert (result.status, json.loads(result.out)["error"]["code"]) == (1, "approval")


@pytest.mark.parametrize("key", ["nowhere", "", "p.json", "lone.pub", ".", "passphrase"])
def test_invalid_keys_are_rejected(planner, key, monkeypatch):
    """A missing key, a file of another type, or a public key without an agent cannot be used to
    sign a plan.
    """
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    planner.write("lone.pub", planner.public)
    result = approve(planner, "--key", key)
    assert (result.status, result.out) == (1, "")
    assert "could not sign" in result.err or "is not a readable key" in result.err
    assert not (planner.folder / "p.json.sig").exists()


@pytest.mark.posix
def test_ssh_keygen_asks_for_the_passphrase_of_the_key(planner):
    """The program ssh-keygen itself asks for the key's passphrase. lyncnb does not pass the
    passphrase in an argument or an environment variable.
    """
    import pexpect

    make_key(planner.folder / "locked", passphrase="long enough")
    for typed, status in (("wrong", 1), ("long enough", 0)):
        child = pexpect.spawn(
            sys.executable, ["-m", "lyncnb", "approve", "p.json", "--key", "locked", "--confirm", digest(planner)],
            cwd=str(planner.folder), env=process_environment(), timeout=60,
        )  # fmt: skip
        child.expect("Enter passphrase")
        child.sendline(typed)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == status
    assert request(planner, signers="signers").status == 1
    planner.write("signers", f"{ALICE} {(planner.folder / 'locked.pub').read_text()}")
    assert request(planner).status == 0


@pytest.mark.posix
def test_ssh_keygen_gets_no_passphrase_of_a_folder(planner, monkeypatch):
    """The environment of ssh-keygen and its helpers does not contain LYNCNB_PASSPHRASE."""
    make_key(planner.folder / "locked", passphrase="long enough")
    helper = planner.write("helper", '#!/bin/sh\nenv > seen\necho "long enough"\n')
    helper.chmod(0o700)
    helper.write_text(helper.read_text().replace("seen", str(planner.folder / "seen")))
    monkeypatch.setenv("SSH_ASKPASS", str(helper))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)
    assert approve(planner, "--key", "locked").status == 0
    seen = (planner.folder / "seen").read_text()
    assert "SSH_ASKPASS" in seen
    assert PASSPHRASE not in seen
    # After it runs ssh-keygen, lyncnb may still read the environment variable.
    assert os.environ["LYNCNB_PASSPHRASE"] == PASSPHRASE


def test_agent_can_sign(planner, monkeypatch):
    """If an SSH agent holds the private key, the public key is sufficient to sign a plan."""
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True)
    variables = dict(
        part.split("=", 1) for part in started.stdout.replace(";", "\n").split() if "=" in part
    )
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", variables["SSH_AUTH_SOCK"])
        subprocess.run(["ssh-add", "-q", "alice"], cwd=planner.folder, check=True)
        (planner.folder / "alice").unlink()
        assert approve(planner, "--key", "alice.pub").status == 0
        assert request(planner).status == 0
    finally:
        os.kill(int(variables["SSH_AGENT_PID"]), 15)


def test_lost_record_of_an_approval_still_locks_the_folder(planner):
    """If the record of an approval is lost and rebuilt, another plan still needs a reason."""
    approve(planner, "--key", "alice")
    assert request(planner).status == 0
    planner.write("other.csv", TWO_FRONT_ENDS.replace("meet.", "meeting."))
    command = ("request", "other.csv", "requests", *PASS)
    assert planner(*command).status == 1
    lose_record(planner.folder / "requests")
    planner("status", "requests", "--rebuild", *PASS)
    refused = planner(*command)
    assert refused.status == 1
    assert "contains an approved plan and its signature, but no record" in refused.err
    assert planner(*command, "--unapproved", "an emergency").status == 0
    assert planner(*command).status == 0


def test_fewer_requests_than_approved_are_reported(planner):
    """If the planner omits requests of an approved plan because installed certificates cover them,
    the run, the status command, and the summary list each omitted request.
    """
    plan = ln.read_saved_plan(planner.folder / "p.json").plan
    certificate = plan.certificates[0]
    estate = planner.folder / "estate"
    estate.mkdir()
    (estate / "one.pem").write_bytes(pem(issue_planned(certificate, begins=MIDNIGHT)))
    (estate / "chain.pem").write_bytes(pem(*authority().chain))
    (planner.folder / "kept.json").write_bytes(
        ln.compare_as_is(plan, estate, on=datetime.now(UTC).date()).to_json()
    )
    assert approve(planner, "--key", "alice").status == 0
    result = request(planner, "--only-missing", "kept.json", "--reuse", certificate.id)
    assert result.status == 0, result.err
    note = "approved, but not requested, because you specified that an installed certificate covers the request"
    assert f"{note}: {certificate.id}" in result.err
    assert not list((planner.folder / "requests/csr").glob(f"{certificate.id}*"))
    text = (planner.folder / "requests/summary.md").read_text("utf-8").replace("\\", "")
    assert f"- Approved, not requested: {certificate.id}; installed certificates are reused" in text
    assert "(plus 1 that installed certificates cover)" in planner("status", "requests", "-v").err
    renewal = request(planner, "--renew", certificate.id, "--reason", "its key is lost")
    assert renewal.status == 0
    assert "not requested on your word" not in renewal.err
    assert csr_path(planner.folder / "requests", certificate.id).exists()


def test_approved_plan_may_have_earlier_texts(planner):
    """If texts in an approved plan are from an earlier version of lyncnb, the command request still
    accepts the plan, and shows the earlier and the current texts.
    """
    path = planner.folder / "p.json"
    document = json.loads(path.read_text("utf-8"))
    del document["sha256"]
    now, document["findings"][0]["message"] = document["findings"][0]["message"], "in old words"
    path.write_bytes(encode_saved_plan(document))
    # The text of a finding differs from the text in the product's rules.
    assert approve(planner, "--key", "alice").status == 2
    sign_by_hand(planner.folder / "alice", path)
    result = planner("request", "--plan", "p.json", "requests", *PASS)
    assert (result.status, (planner.folder / "requests").exists()) == (2, False)
    assert "only the descriptive texts differ" in result.err
    result = request(planner)
    assert result.status == 0, result.err
    assert (
        "note: the wording of the plan changed after the approval: the text of the finding "
        f"{document['findings'][0]['code']} for " in result.err
    )
    assert f'was "in old words" and is now "{now[:40]}' in result.err


def test_nothing_is_signed_without_confirmation(planner):
    """Without a terminal, lyncnb signs a plan only if the user passes the digest of the plan file."""
    result = planner("approve", "p.json", "--key", "alice")
    assert (result.status, "you did not confirm the plan" in result.err) == (1, True), result
    assert f"--confirm {digest(planner)}" in result.err
    for wrong in ("0" * 64, digest(planner)[:11]):
        result = planner("approve", "p.json", "--key", "alice", "--confirm", wrong)
        assert (result.status, "does not belong to this plan" in result.err) == (1, True), result
    assert not (planner.folder / "p.json.sig").exists()
    result = planner("approve", "p.json", "--key", "alice", "--confirm", digest(planner)[:12])
    assert result.status == 0, result


@pytest.mark.posix
@pytest.mark.parametrize(("answer", "is_signed"), [("yes", True), ("no", False), ("", False)])
def test_plan_is_shown_before_it_is_signed(planner, answer, is_signed):
    """On a terminal, the approve command shows the certificates, the date and the digest before it
    asks for confirmation.
    """
    screen = run_at_terminal(planner, ["approve", "p.json", "--key", "alice"], answer)
    assert digest(planner) in screen
    assert "FrontEnd-fe01-contoso-net" in screen
    assert screen.index(digest(planner)) < screen.index("type yes")
    assert (planner.folder / "p.json.sig").exists() == is_signed


def run_at_terminal(planner, arguments, answer) -> str:
    """Run a command on a pseudo-terminal, enter an answer, and return the output."""
    import pexpect

    child = pexpect.spawn(
        sys.executable, ["-m", "lyncnb", *arguments],
        cwd=str(planner.folder), env=process_environment(), timeout=60, encoding="utf-8",
    )  # fmt: skip
    child.expect("type yes")
    prompt = child.before + child.after
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return prompt + child.before


def test_earlier_approved_plan_needs_a_reason(planner):
    """If an approved plan is older than the last plan of the folder, the request command accepts it
    only with a reason.
    """

    def save(day: str) -> None:
        assert planner("plan", "t.csv", "--on", day, "--save", "p.json", "--force").status in (0, 1)
        assert approve(planner, "--key", "alice", "--force").status == 0

    save("2026-11-20")
    old = [(planner.folder / name).read_bytes() for name in ("p.json", "p.json.sig")]
    assert request(planner).status == 0
    planner.write("t.csv", TWO_FRONT_ENDS.replace("meet.", "meeting."))
    save("2026-11-25")
    assert request(planner).status == 0
    before = read_entries(planner.folder / "requests")
    for name, data in zip(("p.json", "p.json.sig"), old, strict=True):
        (planner.folder / name).write_bytes(data)
    result = request(planner)
    assert (
        result.status,
        "the folder contains a newer plan that replaced this plan" in result.err,
    ) == (1, True), result
    planner.write("t.csv", TWO_FRONT_ENDS.replace("meet.", "join."))
    save("2026-11-24")
    result = request(planner)
    assert (result.status, "2026-11-24 is earlier than 2026-11-25" in result.err) == (1, True), (
        result
    )
    assert read_entries(planner.folder / "requests") == before
    assert request(planner, "--reason", "the newer plan had the wrong name").status == 0
    plans = read_document(planner.folder / "requests")["plans"]
    assert [plan.get("reason", "") for plan in plans] == [
        "", "", "the newer plan had the wrong name",
    ]  # fmt: skip
    assert request(planner).status == 0
