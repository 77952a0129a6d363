"""All commands report the same findings about a received file, and exit with the expected status.

Each row is a file. OpenSSL creates the certificate (or a similar file), ``receive`` reads it, and
``status``, ``pfx`` and ``steps`` run afterwards. An error that receive finds stops each of them and
is named.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from folders import PASSPHRASE
from openssl_authority import Authority, flip_signature_byte, make_root, without
from shell_kit import Shell, make_shell
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import find_request_id
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def ca(tmp_path_factory) -> Authority:
    return make_root(tmp_path_factory.mktemp("ca")).subordinate("issuing")


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Path:
    """Return a request folder with two requests and no certificates."""
    folder = tmp_path_factory.mktemp("plan") / "requests"
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, folder, passphrase=PASSPHRASE)
    return folder


@pytest.fixture
def requests(shell, empty) -> Path:
    shell.write("passphrase.txt", PASSPHRASE)
    return Path(shutil.copytree(empty, shell.folder / "requests"))


def csr_of(folder: Path, part: str) -> Path:
    (path,) = folder.glob(f"csr/{part}*.csr")
    return path


def answer(ca: Authority, requests: Path, folder: Path, **changes) -> Path:
    """Have the CA sign two requests: the server's request with the given changes, and the
    deployment's request without changes.
    """
    folder.mkdir(exist_ok=True)
    ca.sign(csr_of(requests, "Deployment"), folder / "oauth.pem")
    return ca.sign(csr_of(requests, "StandardEdition"), folder / "server.pem", **changes)


_HOUR = timedelta(hours=1)
REFUSED = {
    "an octet of the signature flipped": ({}, "chain-signature-wrong"),
    "ended an hour ago": ({"ends": -_HOUR}, "certificate-expired"),
    "no server authentication": (
        {"extensions": (*without("extended"), "extendedKeyUsage=clientAuth")},
        "eku-server-auth-absent",
    ),
    "no list of revoked ones": ({"extensions": without("crl")}, "crl-distribution-point-absent"),
    "a CA certificate": (
        {"extensions": ("basicConstraints=critical,CA:TRUE", *without("basic"))},
        "ca-certificate",
    ),
}


def run_later_commands(shell: Shell) -> dict[str, tuple[int, str]]:
    """Run the commands that usually follow the receive command, and return their outputs and exit
    statuses.
    """
    commands = {
        "status": ("status", "requests"),
        "pfx": ("pfx", "requests", "--passphrase-file", "passphrase.txt"),
        "steps": ("steps", "requests"),
    }
    results = {name: shell(*arguments) for name, arguments in commands.items()}
    return {name: (result.status, result.out + result.err) for name, result in results.items()}


@pytest.mark.parametrize(("changes", "code"), REFUSED.values(), ids=REFUSED)
def test_every_command_reports_a_rejected_certificate(shell, requests, ca, changes, code):
    """If receive rejects a certificate, every later command reports the error and still processes
    the valid certificate.
    """
    returned_folder = shell.folder / "back"
    certificate = answer(ca, requests, returned_folder, **changes)
    if not changes:
        certificate.write_bytes(flip_signature_byte(certificate.read_bytes()))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    received = shell("receive", "requests", "back")
    assert received.status == 1
    assert code in received.out
    results = run_later_commands(shell)
    # A CA certificate does not match any request, so lyncnb does not store it.
    statuses = [0, 1, 1] if code == "ca-certificate" else [1, 1, 1]
    assert [results[name][0] for name in ("status", "pfx", "steps")] == statuses
    if code == "ca-certificate":
        return
    for name, (_, text) in results.items():
        assert code in text, name
        assert "returned/refused/StandardEdition" in text, name
    assert len(list((requests / "pfx").glob("*.pfx"))) == 1
    # Running the receive command again without files gives the same result.
    assert code in shell("receive", "requests").out


@pytest.mark.parametrize("row", ["an octet of the signature flipped", "ended an hour ago"])
def test_newer_certificate_with_an_error_replaces_nothing(shell, requests, ca, row):
    """If a newer certificate has an error, it is stored separately, and the valid certificate stays
    in the package.
    """
    returned_folder = shell.folder / "back"
    good = answer(ca, requests, returned_folder, begins=timedelta(days=-2))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    assert shell("receive", "requests", "back").status == 0
    assert run_later_commands(shell)["pfx"][0] == 0
    content = good.read_bytes()
    newer = answer(ca, requests, shell.folder / "newer", **REFUSED[row][0])
    if not REFUSED[row][0]:
        newer.write_bytes(flip_signature_byte(newer.read_bytes()))
    received = shell("receive", "requests", newer)
    assert received.status == 1
    assert REFUSED[row][1] in received.out
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    assert record.state == "packaged"
    assert (requests / record.issued.file).read_bytes() == content
    assert len(record.refused) == 1
    assert (requests / record.refused[0].file).exists()
    assert REFUSED[row][1] in shell("status", "requests").out


def test_chain_that_disproves_a_recorded_certificate(shell, requests, ca):
    """If a forged certificate was received first, every command reports it as an error after the CA
    certificates are received.

    The other certificate of that CA, which the chain did sign, stays in use.
    """
    returned_folder = shell.folder / "back"
    damaged = answer(ca, requests, returned_folder)
    damaged.write_bytes(flip_signature_byte(damaged.read_bytes()))
    shell("receive", "requests", "back")
    shell("pfx", "requests", "--passphrase-file", "passphrase.txt")
    shell.write("chain.pem", ca.chain)
    received = shell("receive", "requests", "chain.pem")
    assert received.status == 1
    assert "chain-signature-wrong" in received.out
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    assert [finding.code for finding in record.issued.judgement.findings] == [
        "chain-signature-wrong"
    ]
    for name, (exit_status, text) in run_later_commands(shell).items():
        assert "chain-signature-wrong" in text, name
        assert exit_status == 1, name
    status = folder_status(requests)
    assert status.counts() == {"packaged": 1, "refused": 1}
    assert [request.state for request in status.requests if request.refused] == ["refused"]
    assert "chain-signature-wrong" in shell("receive", "requests").out


def test_newer_certificate_from_another_ca_replaces_nothing(shell, requests, ca, tmp_path_factory):
    """A newer certificate from another CA is not used until you accept the difference, even if its
    chain is complete.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder, begins=timedelta(days=-2))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    other = make_root(tmp_path_factory.mktemp("other"), subject="/CN=Fabrikam Root")
    csr = csr_of(requests, "StandardEdition")
    newer = other.sign(csr, shell.folder / "newer.pem")
    received = shell("receive", "requests", newer)
    assert received.status == 1
    assert "issued-under-another-root" in received.out
    assert "issued-under-another-root" in shell("status", "requests").out
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    before = record.issued.sha256
    received = shell("receive", "requests", other.folder / "root.pem")
    assert "chains to the root" in " ".join(received.out.split())
    assert "root-to-compare" in received.out
    assert run_later_commands(shell)["pfx"][0] == 0
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    assert record.issued.sha256 == before
    accepted = "issued-under-another-root=we moved to the CA of Fabrikam"
    received = shell("receive", "requests", "--accept", accepted)
    assert "replaces-earlier-certificate" in received.out
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    assert record.issued.sha256 != before
    assert record.refused == ()


def test_reissued_certificate_with_the_same_dates(shell, requests, ca):
    """If two certificates have the same dates, lyncnb uses the one with fewer errors. If the number
    of errors is equal, lyncnb uses the one that it received later.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder, serial=11)
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    for serial in (12, 13, 14, 15, 16):
        newer = ca.sign(
            csr_of(requests, "StandardEdition"), shell.folder / f"{serial}.pem", serial=serial
        )
        assert shell("receive", "requests", newer).status == 0
        (certificate,) = [
            candidate
            for candidate in load_issued_certificates(open_requests(requests)).certificates
            if candidate.request_id.startswith("Standard")
        ]
        assert certificate.serial == serial
    assert shell("receive", "requests", shell.folder / "12.pem", returned_folder).status in (0, 1)
    (certificate,) = [
        candidate
        for candidate in load_issued_certificates(open_requests(requests)).certificates
        if candidate.request_id.startswith("Standard")
    ]
    assert certificate.serial == 16


@pytest.mark.parametrize("chain_first", [True, False])
def test_chain_may_be_received_separately(shell, requests, ca, chain_first):
    """CA certificates may be received before or after the server certificate. lyncnb stores them,
    reports them and completes the chain.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder)
    chain = shell.write("chain.pem", ca.chain)
    if not chain_first:
        received = shell("receive", "requests", "back")
        assert "chain-incomplete" in received.out
        assert "--without-chain" in run_later_commands(shell)["pfx"][1]
    received = shell("receive", "requests", chain)
    assert received.status == 0
    assert "Contoso Root" in received.out
    assert ("chain-certificate-unused" in received.out) is chain_first
    assert ("chain-completed" in received.out) is not chain_first
    assert "root-to-compare" in received.out
    if chain_first:
        assert shell("receive", "requests", "back").status == 0
    assert [status for status, _ in run_later_commands(shell).values()] == [0, 0, 0]


def test_incomplete_chain_is_packaged_only_on_request(shell, requests, ca):
    """A certificate with an incomplete chain is packaged only if its id is specified with `pfx
    --without-chain ID`.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder)
    shell("receive", "requests", "back")
    (record, other) = sorted(open_requests(requests).requests, key=lambda r: r.id, reverse=True)
    result = shell(
        *("pfx", "requests", "--without-chain", record.id),
        *("--passphrase-file", "passphrase.txt"),
    )
    assert result.status == 1
    assert [find_request_id(path.stem) for path in (requests / "pfx").glob("*.pfx")] == [record.id]
    assert "1 package not created (" in result.out
    assert f"): {other.id}\n" in result.out


def test_policy_is_accepted_with_a_reason(shell, requests, ca):
    """You can accept a rejected certificate later with a reason, without receiving its file again.

    The reason is recorded.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder, extensions=without("crl"))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    reason = "crl-distribution-point-absent=the lab has no list"
    received = shell("receive", "requests", "--accept", reason)
    assert received.status == 0
    assert "accepted: crl-distribution-point-absent: the lab has no list" in received.out
    assert [status for status, _ in run_later_commands(shell).values()] == [0, 0, 0]
    assert list((requests / "returned" / "refused").iterdir()) == []
    (record,) = [r for r in open_requests(requests).requests if r.id.startswith("Standard")]
    assert [
        (acceptance.code, acceptance.reason) for acceptance in record.issued.judgement.accepted
    ] == [("crl-distribution-point-absent", "the lab has no list")]


def test_command_to_accept_names_every_certificate(shell, requests, ca):
    """The command to accept an error is shown with all certificates that it accepts, also those
    from earlier runs.
    """
    (shell.folder / "chain.pem").write_bytes(ca.chain)
    names = [record.id for record in open_requests(requests).requests]
    shown = []
    for name in names:
        path = ca.sign(csr_of(requests, name), shell.folder / "a.pem", extensions=without("crl"))
        received = shell("receive", "requests", path, "chain.pem")
        shown.append(" ".join(received.err.split()))
    for text, expected in zip(shown, (names[:1], names), strict=True):
        count = f"{len(expected)} certificate{'s' if len(expected) > 1 else ''}"
        assert (
            f"To accept {count} anyway ({' and '.join(expected)}): lyncnb receive requests "
            "--accept crl-distribution-point-absent=REASON"
        ) in text
    reason = "crl-distribution-point-absent=the lab has no list"
    assert shell("receive", "requests", "--accept", reason).status == 0
    assert {record.state for record in open_requests(requests).requests} == {"issued"}


def test_missing_crl_is_accepted_once_for_a_ca(shell, requests, ca):
    """If you accept a certificate without a CRL URL and give a reason, the next certificate from
    the same CA is accepted too.
    """
    returned_folder, without_list = shell.folder / "back", without("crl")
    returned_folder.mkdir()
    ca.sign(csr_of(requests, "Standard"), returned_folder / "server.pem", extensions=without_list)
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    reason = "crl-distribution-point-absent=the lab has no list"
    assert shell("receive", "requests", "back", "--accept", reason).status == 0
    later = ca.sign(
        csr_of(requests, "Deployment"), shell.folder / "oauth.pem", extensions=without_list
    )
    received = shell("receive", "requests", later)
    assert received.status == 0, received.out
    assert [status for status, _ in run_later_commands(shell).values()] == [0, 0, 0]
    records = open_requests(requests).requests
    reasons = {
        acceptance.reason for record in records for acceptance in record.issued.judgement.accepted
    }
    assert reasons == {"the lab has no list"}


def test_steps_after_a_rejection_name_the_ca(shell, requests, ca):
    """After a certificate is rejected, the steps explain what to request from which CA, and do not
    mention packages.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder, extensions=without("crl"))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    result = shell("steps", "requests")
    assert result.status == 1
    (message,) = [line for line in result.out.splitlines() if "was refused" in line]
    assert "ask the CA for another certificate" in message
    assert "crl-distribution-point-absent" in message
    assert "lyncnb pfx" not in message
    assert "ask the CA" in (requests / "steps" / "checklist.md").read_text("utf-8")


def test_rejected_certificate_is_reported_until_it_is_replaced(shell, requests, ca):
    """Every command reports a rejected certificate until a valid certificate for the same request
    replaces it.
    """
    returned_folder, second_folder = shell.folder / "back", shell.folder / "again"
    answer(ca, requests, returned_folder, extensions=without("crl"), begins=-48 * _HOUR)
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    assert "1 certificate refused" in shell("receive", "requests", "back").out
    assert "was refused" in shell("status", "requests").out
    answer(ca, requests, second_folder)
    assert shell("receive", "requests", "again").status == 0
    assert "was refused" not in shell("status", "requests").out


TABLE = STANDARD_EDITION


def test_findings_can_be_accepted_before_certificates_are_received(shell, ca):
    """Findings that plan.toml lists under [accepted] are accepted when certificates are received,
    and every summary shows the reason.
    """
    reason = "the lab has no list"
    shell.write("topology.csv", TABLE)
    shell.write("passphrase.txt", PASSPHRASE)
    shell.write("plan.toml", f'[accepted]\ncrl-distribution-point-absent = "{reason}"\n')
    request = (
        *("request", "topology.csv", "requests", "--options", "plan.toml"),
        *("--passphrase-file", "passphrase.txt"),
    )
    assert shell(*request).status == 0
    requests, returned_folder = shell.folder / "requests", shell.folder / "back"
    answer(ca, requests, returned_folder, extensions=without("crl"))
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    received = shell("receive", "requests", "back")
    assert received.status == 0
    assert f"accepted: {reason}" in received.out
    assert [status for status, _ in run_later_commands(shell).values()] == [0, 0, 0]
    note = f"accepted: crl-distribution-point-absent ({reason})"
    assert note in (requests / "summary.csv").read_text(encoding="utf-8")
    for name in ("summary.md", "summary.html"):
        assert reason in (requests / name).read_text(encoding="utf-8"), name
    workbook = openpyxl.load_workbook(requests / "summary.xlsx")
    cells = {str(c.value) for sheet in workbook for row in sheet.iter_rows() for c in row}
    assert any(note in cell for cell in cells)
    assert any(f"(accepted: {reason})" in cell for cell in cells)
    before = {path: path.read_bytes() for path in requests.rglob("*") if path.is_file()}
    assert shell(*request).status == 0
    assert {path: path.read_bytes() for path in requests.rglob("*") if path.is_file()} == before


def test_invalid_signature_cannot_be_accepted_in_advance(shell):
    """The request command rejects a plan.toml that accepts an invalid signature."""
    shell.write("topology.csv", TABLE)
    shell.write("plan.toml", '[accepted]\nchain-signature-wrong = "because"\n')
    result = shell("request", "topology.csv", "requests", "--options", "plan.toml")
    assert result.status == 2
    assert (
        'the option "accepted" contains "chain-signature-wrong", which you cannot accept'
        in result.err
    )
    assert not (shell.folder / "requests").exists()


@pytest.mark.parametrize("code", ["chain-signature-wrong", "names-missing", "no-such-code"])
def test_invalid_signatures_and_keys_are_never_accepted(shell, requests, code):
    """The receive command rejects the option --accept for invalid signatures, wrong keys, wrong
    names, and misspelled codes.
    """
    result = shell("receive", "requests", "--accept", f"{code}=because")
    assert result.status == 3
    assert code in result.err


@pytest.mark.parametrize("subfolder", ["returned", "pfx"])
@pytest.mark.parametrize("names", [("Standard", "Deploy"), ("Deploy", "Standard")])
def test_files_that_were_exchanged_are_found(shell, requests, ca, subfolder, names):
    """If a certificate or package in the folder differs from the record, lyncnb reports the file
    and its hash.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder)
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    run_later_commands(shell)
    suffix = "cer" if subfolder == "returned" else "pfx"
    exchanged, other = (next((requests / subfolder).glob(f"{name}*.{suffix}")) for name in names)
    exchanged.write_bytes(other.read_bytes())
    result = shell("status", "requests")
    assert result.status == 3
    assert f"{subfolder}/{exchanged.name}" in result.out + result.err
    assert "differs from the file" in result.out + result.err
    received = shell("receive", "requests")
    assert received.status == 1
    code = {"returned": "file-exchanged", "pfx": "package-exchanged"}[subfolder]
    assert code in received.out
    result = shell("steps", "requests")
    assert result.status == 1
    problem = {"returned": "differs from the file", "pfx": "is not the package"}[subfolder]
    assert f"{subfolder}/{exchanged.name} {problem}" in result.out
    scripts = "".join(path.read_text("utf-8-sig") for path in (requests / "steps").rglob("*.ps1"))
    assert exchanged.stem + ".pfx" not in scripts
    if (
        subfolder == "pfx"
    ):  # After the certificate is packaged again, the package matches the record.
        assert [status for status, _ in run_later_commands(shell).values()] == [3, 0, 0]
        assert shell("receive", "requests").status == 0


def test_rejected_certificate_that_became_valid_is_reported(requests, ca, tmp_path):
    """If a rejected certificate becomes valid later, lyncnb recommends receiving the stored file
    again.
    """
    soon = Authority(ca.folder, "root").subordinate("soon", begins=_HOUR)
    returned_folder = tmp_path / "back"
    answer(soon, requests, returned_folder)
    (returned_folder / "chain.pem").write_bytes(soon.chain)
    assert "chain-issuer-not-in-force" in {
        finding.code for finding in receive(requests, returned_folder).findings
    }
    later = datetime.now(UTC) + 2 * _HOUR
    (waiting, _) = folder_status(requests, today=later).requests
    assert waiting.state == "waiting"
    assert waiting.refused.endswith(
        "but the certificate no longer has errors. To accept the certificate, run: lyncnb receive FOLDER"
    )
    assert load_issued_certificates(open_requests(requests), today=later).why_missing(waiting.id)
    assert receive(requests, today=later).waiting == ()
    assert {request.state for request in folder_status(requests, today=later).requests} == {
        "issued"
    }


def test_status_and_evaluation_write_nothing(shell, requests, ca):
    """The status command and an evaluation of recorded certificates change no file and no time
    stamp.
    """
    returned_folder = shell.folder / "back"
    answer(ca, requests, returned_folder, ends=-_HOUR)
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    shell("receive", "requests", "back")
    before = {path: path.stat().st_mtime_ns for path in requests.rglob("*")}
    shell("status", "requests")
    load_issued_certificates(open_requests(requests))
    assert {path: path.stat().st_mtime_ns for path in requests.rglob("*")} == before
