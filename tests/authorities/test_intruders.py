"""If an attacker returns malicious files, lyncnb accepts no wrong certificate and loses no valid
certificate.

The attacker knows the public requests and the CA's certificates, has a root and every function of
OpenSSL, but no key of the CA or of the folder.
"""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from folders import (
    PASSPHRASE,
    read_entries,
)
from openssl_authority import Authority, make_root, mirror_signature, openssl
from shell_kit import Shell, make_shell
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import RequestRecord
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Return a request folder with two requests, its CA, and the attacker's CA."""
    work_folder = tmp_path_factory.mktemp("intruders")
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, work_folder / "requests", passphrase=PASSPHRASE)
    make_root(work_folder / "ca").subordinate("issuing")
    theirs = make_root(
        work_folder / "theirs"
    )  # The attacker's CA has the same name as the real CA.
    theirs.subordinate("issuing")
    return work_folder


class Folder:
    """A request folder, the CA, the attacker's CA, and the files that were returned so far."""

    def __init__(self, shell: Shell, template: Path) -> None:
        self.shell = shell
        self.place = shell.folder
        for name in ("requests", "ca", "theirs"):
            shutil.copytree(template / name, self.place / name)
        shell.write("passphrase.txt", PASSPHRASE)
        self.requests = self.place / "requests"
        self.ca = Authority(self.place / "ca", "issuing", Authority(self.place / "ca", "root"))
        root = Authority(self.place / "theirs", "root")
        self.theirs = Authority(self.place / "theirs", "issuing", root)

    @property
    def csr(self) -> Path:
        """Return the path of the server's CSR in the request folder."""
        (path,) = self.requests.glob("csr/Standard*.csr")
        return path

    def file(self, name: str, data: bytes) -> Path:
        """Write a file that the attacker or the CA returns, and return its path."""
        (self.place / name).write_bytes(data)
        return self.place / name

    def good(self, **how) -> list[Path]:
        """Have the CA sign the server's request, and return the files with the certificate and its
        chain.
        """
        leaf = self.ca.sign(self.csr, self.place / "good.pem", **how)
        return [leaf, self.file("chain.pem", self.ca.chain)]

    def receive(self, *files: Path | str) -> str:
        """Receive the given files and return the findings."""
        return self.shell("receive", "requests", *files).out

    @property
    def record(self) -> RequestRecord:
        """Return the record of the server's certificate in the manifest."""
        return next(r for r in open_requests(self.requests).requests if "Standard" in r.id)

    def package(self) -> None:
        """Run the commands that write packages and steps."""
        self.shell("pfx", "requests", "--passphrase-file", "passphrase.txt")
        self.shell("steps", "requests")

    def holds(self, certificate: Path) -> bool:
        """Return whether the given certificate is the recorded certificate."""
        issued = self.record.issued
        if issued is None:
            return False
        body = lambda data: re.sub(rb"\s", b"", data.split(b"-----")[2])  # noqa: E731
        return body((self.requests / issued.file).read_bytes()) == body(certificate.read_bytes())


@pytest.fixture
def folder(shell, template) -> Folder:
    return Folder(shell, template)


@pytest.mark.parametrize("with_chain", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_forged_certificate_with_a_later_start(folder, with_chain, together):
    """A certificate from the attacker's CA with later dates does not replace the valid certificate."""
    good = folder.good()
    bad = folder.theirs.sign(folder.csr, folder.place / "bad.pem", begins=timedelta(minutes=-5))
    chain_files = [folder.file("their-chain.pem", folder.theirs.chain)] if with_chain else []
    for files in [[*good, bad, *chain_files]] if together else [good, [bad, *chain_files]]:
        output = folder.receive(*files)
    folder.package()
    if together and with_chain:
        # Both certificates have a complete chain and no certificate is recorded, so neither is
        # accepted until somebody compares the roots.
        assert "[root-to-compare]" in output
        assert all(f"  {name}: " in output for name in ("chain.pem", "their-chain.pem"))
        assert "[answers-of-two-cas]" in output
        assert "2 errors" in output
        assert folder.record.state == "waiting"
        assert len(folder.record.refused) == 2
        assert "[answers-of-two-cas]" in folder.receive()
        assert folder.record.state == "waiting"
        folder.receive(*good)
        folder.receive()
        folder.package()
    assert folder.holds(good[0])
    assert folder.record.package is not None


def test_forged_certificate_received_before_its_chain(folder):
    """If a forged certificate was received before the valid one, lyncnb reports that the valid
    certificate is from another CA.
    """
    bad = folder.theirs.sign(folder.csr, folder.place / "bad.pem", begins=timedelta(minutes=-5))
    folder.receive(bad)
    good = folder.good()
    assert "[issued-under-another-root]" in folder.receive(*good)
    assert folder.holds(bad)
    folder.receive(*good, "--accept", "issued-under-another-root=compared by telephone")
    assert folder.holds(good[0])


@pytest.mark.parametrize("same_name", [True, False])
def test_forged_certificate_with_a_chain_replaces_nothing(folder, same_name):
    """A forged certificate with a complete chain does not replace a valid certificate without a
    chain.
    """
    good, chain = folder.good(begins=timedelta(days=-2))
    folder.receive(good)
    theirs = folder.theirs
    if not same_name:
        theirs = make_root(folder.place / "fabrikam", subject="/CN=Fabrikam Root")
    bad = theirs.sign(folder.csr, folder.place / "bad.pem")
    output = folder.receive(bad, folder.file("their-chain.pem", theirs.chain))
    assert "[issued-under-another-root]" in output or "[chain-signature-wrong]" in output
    assert folder.holds(good)
    folder.receive(chain)
    folder.package()
    assert folder.record.package is not None


def test_certificate_from_another_root_is_rejected(folder):
    """If a CA with another root issues the deployment's certificate a year later, lyncnb rejects
    the certificate.
    """
    folder.receive(*folder.good())
    (csr,) = folder.requests.glob("csr/Deployment*.csr")
    bad = folder.theirs.sign(csr, folder.place / "bad.pem")
    files = [bad, folder.file("their-chain.pem", folder.theirs.chain)]
    result = folder.shell("receive", "requests", *files)
    assert (result.status, "[issued-under-another-root]" in result.out) == (1, True)
    assert "issued-under-another-root" in folder.shell("status", "requests").out
    accepted = folder.receive(*files, "--accept", "issued-under-another-root=new CA, compared")
    assert "[issued-under-another-root]" in accepted
    record = next(r for r in open_requests(folder.requests).requests if "Deployment" in r.id)
    assert record.issued is not None
    # A finding that was accepted once does not need to be accepted again.
    assert folder.shell("receive", "requests", *files).status in (0, 1)
    assert "issued-under-another-root" not in folder.shell("status", "requests").out


def test_a_root_renewed_with_its_key_is_the_same(folder):
    """If the CA's root is renewed with the same key, lyncnb treats it as the recorded root."""
    folder.receive(*folder.good())
    (csr,) = folder.requests.glob("csr/Deployment*.csr")
    leaf = folder.ca.sign(csr, folder.place / "oauth.pem")
    ca_folder = folder.place / "ca"
    openssl(
        *("req", "-x509", "-new", "-key", ca_folder / "root.key", "-days", "9000"),
        *("-subj", "/CN=Contoso Root", "-out", folder.place / "renewed.pem"),
    )
    renewed = (folder.place / "renewed.pem").read_bytes()
    issuing = (ca_folder / "issuing.pem").read_bytes()
    output = folder.receive(leaf, folder.file("chain2.pem", issuing + renewed))
    assert "issued-under-another-root" not in output


def test_two_roots_in_the_first_batch(folder):
    """If two certificates with different roots are received first, lyncnb accepts neither of them
    and reports both roots.
    """
    (csr,) = folder.requests.glob("csr/Deployment*.csr")
    bad = folder.theirs.sign(csr, folder.place / "bad.pem")
    good = folder.good()
    output = folder.receive(*good, bad, folder.file("their-chain.pem", folder.theirs.chain))
    assert "2 errors" in output
    assert "[issued-under-another-root]" in output
    assert output.count("SHA-256") >= 4
    folder.receive(*good)
    assert folder.holds(good[0])


def make_cross_certificate(folder: Folder) -> list[Path]:
    """Sign the CA's key with the attacker's root, and return the resulting certificate and its
    root.
    """
    bridge = Authority(folder.place / "theirs", "root").subordinate("bridge")
    public = folder.place / "public.pem"
    public.write_bytes(openssl("x509", "-in", folder.place / "ca/issuing.pem", "-noout", "-pubkey"))
    path = folder.place / "crossed.pem"
    (folder.place / "ca.ext").write_text(
        "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid"
    )
    openssl(
        *("x509", "-new", "-force_pubkey", public, "-subj", "/CN=Contoso Issuing"),
        *("-CA", bridge.folder / "bridge.pem", "-CAkey", bridge.folder / "bridge.key"),
        *("-extfile", folder.place / "ca.ext", "-days", "2500", "-out", path),
    )
    return [path, folder.file("their-chain.pem", bridge.chain)]


def test_attackers_root_above_the_right_ca(folder):
    """If an attacker's root also certifies the key of the CA, no server gets the attacker's root,
    and the certificates are packaged again when the user has chosen the CA's root.
    """
    good = folder.good()
    folder.receive(*good)
    folder.package()
    before = folder.record
    theirs = make_cross_certificate(folder)
    roots = {
        x509.load_pem_x509_certificate(Authority(folder.place / name, "root").pem)
        .fingerprint(hashes.SHA256())
        .hex()
        for name in ("ca", "theirs")
    }
    for files in (theirs, good, [theirs[0], *good]):
        output = folder.receive(*files)
        assert "[chain-completed]" not in output
        (certificate,) = load_issued_certificates(open_requests(folder.requests)).certificates
        assert not {issuer.sha256 for issuer in certificate.path} & roots
        assert [finding.code for finding in certificate.findings] == ["chain-several-roots"]
    root = before.issued.judgement.chain[-1]
    folder.receive("--accept", f"chain-several-roots=compared: {root.upper()}")
    folder.package()
    assert folder.record.issued.judgement.chain == before.issued.judgement.chain
    assert folder.record.package is not None


def test_attackers_root_received_with_the_right_one(folder):
    """If two roots are received together, lyncnb cannot know which root belongs to the CA, so it
    reports both each time.
    """
    output = folder.receive(*folder.good(), *make_cross_certificate(folder))
    assert output.count("[chain-several-roots]") == 1
    (message,) = (line for line in output.splitlines() if line.startswith("warning"))
    for ca_name in ("ca", "theirs"):
        root = x509.load_pem_x509_certificate(Authority(folder.place / ca_name, "root").pem)
        assert root.fingerprint(hashes.SHA256()).hex() in message
    assert message in folder.receive()
    (finding,) = load_issued_certificates(open_requests(folder.requests)).findings
    assert finding.message in message


def test_forged_certificate_does_not_hide_the_renewed_one(folder):
    """If a file contains the CA's renewed certificate and a forged certificate with later dates,
    lyncnb uses the renewed one.
    """
    folder.receive(*folder.good(begins=timedelta(days=-9)))
    theirs = folder.theirs.sign(folder.csr, folder.place / "bad.pem")
    renewed = folder.ca.sign(folder.csr, folder.place / "renewed.pem", begins=timedelta(days=-5))
    output = folder.receive(theirs, renewed, folder.file("their-chain.pem", folder.theirs.chain))
    assert "[issued-under-another-root]" in output
    assert folder.holds(renewed)


def test_recorded_root_identifies_the_genuine_ca(folder):
    """If another request already has a certificate, lyncnb recognizes the genuine CA by the root of
    that certificate.
    """
    (other,) = folder.requests.glob("csr/Deployment*.csr")
    folder.ca.sign(other, folder.place / "oauth.pem")
    folder.receive(folder.place / "oauth.pem", folder.file("chain.pem", folder.ca.chain))
    theirs = folder.theirs.sign(folder.csr, folder.place / "bad.pem")
    output = folder.receive(
        *folder.good(begins=timedelta(days=-5)),
        *(theirs, folder.file("their-chain.pem", folder.theirs.chain)),
    )
    assert output.count("[issued-under-another-root]") == 1
    assert "other certificates from the internal CA chain to the root" in output
    assert folder.holds(folder.place / "good.pem")


@pytest.mark.parametrize("together", [False, True])
def test_derived_ecdsa_signature_is_not_another_certificate(folder, together):
    """A certificate with a second ECDSA signature, which anyone can derive from the first one, does
    not count as another certificate.
    """
    good = folder.good()
    twin = folder.file("a-twin.pem", mirror_signature(good[0].read_bytes()))
    output = folder.receive(*good, *([twin] if together else []))
    folder.package()
    before = folder.record
    assert before.package is not None
    if not together:
        output = folder.receive(twin)
        assert folder.record == before
    for code in ("duplicate-serial", "several-answers", "replaces-earlier-certificate"):
        assert f"[{code}]" not in output


def test_forged_certificate_for_a_superseded_request(folder):
    """A forged certificate for a superseded request does not change the recorded end date of the
    certificate in use.
    """
    good = folder.good()
    folder.receive(*good)
    folder.package()
    old = folder.file("old.csr", folder.csr.read_bytes())
    folder.file("plan.csv", STANDARD_EDITION.encode())
    result = folder.shell(
        *("request", "plan.csv", "requests", "--renew", folder.record.id, "--reason", "lost"),
        *("--passphrase-file", "passphrase.txt"),
    )
    assert result.status == 0, result
    (before,) = folder.record.archived
    forged = folder.theirs.sign(old, folder.place / "forged.pem", ends=timedelta(days=3000))
    output = folder.receive(forged, folder.file("their-chain.pem", folder.theirs.chain))
    assert "[issued-under-another-root]" in output
    assert folder.record.archived == (before,)
    later = folder.ca.sign(old, folder.place / "later.pem", begins=timedelta(minutes=-9))
    assert "[answers-superseded-request]" in folder.receive(later)
    assert folder.record.archived != (before,)


def test_hundreds_of_cas_of_the_same_name(folder):
    """Hundreds of CA certificates with the CA's name do not prevent lyncnb from finding the genuine
    one.
    """
    good, real = folder.good(), x509.load_pem_x509_certificate(folder.ca.pem)
    key = ec.generate_private_key(ec.SECP256R1())
    key_id = real.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder()
        .subject_name(real.subject)
        .issuer_name(real.issuer)
        .public_key(key.public_key())
        .not_valid_before(real.not_valid_before_utc)
        .not_valid_after(real.not_valid_after_utc + timedelta(days=1))
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(key_id, critical=False)
    )
    forged = [
        builder.serial_number(number).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        for number in range(1, 200)
    ]
    folder.receive(*good, folder.file("forged.pem", b"".join(forged)))
    assert folder.holds(good[0])
    assert folder.record.issued.judgement.chain_complete


def test_forged_certificate_with_the_same_serial_number(folder):
    """If a forged certificate has the same serial number as the genuine one, the genuine
    certificate is still accepted as soon as the CA's chain is received.
    """
    (other,) = folder.requests.glob("csr/Deployment*.csr")
    good = folder.ca.sign(folder.csr, folder.place / "good.pem", serial=4711)
    forged = folder.theirs.sign(other, folder.place / "forged.pem", serial=4711)
    folder.receive(good, forged)
    output = folder.receive(folder.file("chain.pem", folder.ca.chain))
    assert "[duplicate-serial]" not in output
    assert folder.holds(good)
    folder.package()
    assert folder.record.package is not None


def test_duplicate_serial_number_before_the_chain_is_received(folder):
    """If the CA issued two certificates with the same serial number, lyncnb reports both of them as
    soon as it receives the CA's certificate.
    """
    (other,) = folder.requests.glob("csr/Deployment*.csr")
    for csr in (folder.csr, other):
        folder.ca.sign(csr, folder.place / f"{csr.stem}.pem", serial=4711)
    folder.receive(*folder.place.glob("*.pem"))
    output = folder.receive(folder.file("chain.pem", folder.ca.chain))
    assert "2 errors" in output
    assert "[duplicate-serial]" in output
    result = folder.shell("pfx", "requests", "--passphrase-file", "passphrase.txt")
    assert result.status == 1
    assert "duplicate-serial" in result.out + result.err
    assert folder.record.package is None


def test_forged_serial_number_is_ignored(folder):
    """lyncnb searches for duplicate serial numbers only among certificates that the CA really
    signed.
    """
    good = folder.good(serial=4711)
    forged = folder.place / "forged.pem"
    openssl(
        *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", folder.place / "x.key"),
        *("-subj", "/CN=x.contoso.com", "-out", folder.place / "x.csr"),
    )
    folder.theirs.sign(folder.place / "x.csr", forged, serial=4711)
    output = folder.receive(*good, forged)
    assert "[duplicate-serial]" not in output
    assert folder.holds(good[0])
    genuine = folder.ca.sign(folder.place / "x.csr", folder.place / "genuine.pem", serial=4711)
    assert "[duplicate-serial]" in folder.receive(genuine)
    folder.package()
    assert folder.record.package is not None


def test_a_ca_that_renewed_its_key(folder):
    """If only the CA's old certificate is known, lyncnb keeps a certificate that the CA signed with
    its renewed key.

    With the new CA certificate, it is accepted.
    """
    folder.receive(*folder.good(begins=timedelta(days=-9)))
    root = Authority(folder.place / "ca", "root")
    renewed = root.subordinate("renewed")
    newer = renewed.sign(folder.csr, folder.place / "newer.pem")
    output = folder.receive(newer)
    assert "[issued-under-another-root]" in output
    assert "whose CA certificate is missing" in output
    assert not folder.holds(newer)
    output = folder.receive(folder.file("renewed.pem", renewed.pem))
    assert "[replaces-earlier-certificate]" in output
    assert folder.holds(newer)
    assert folder.record.refused == ()


def test_renewed_ca_key_without_any_recorded_certificate(folder):
    """If a CA renewed its key and lyncnb does not know the new CA certificate, the chain of a
    certificate that was signed with this key is incomplete. The new CA certificate completes it.
    """
    folder.receive(folder.file("old.pem", folder.ca.chain))
    renewed = Authority(folder.place / "ca", "root").subordinate("renewed")
    leaf = renewed.sign(folder.csr, folder.place / "leaf.pem")
    assert "[chain-incomplete]" in folder.receive(leaf)
    assert folder.record.state == "issued"
    assert "[chain-completed]" in folder.receive(folder.file("renewed.pem", renewed.pem))
    assert folder.holds(leaf)
    folder.package()
    assert folder.record.package is not None


def test_accepted_finding_has_the_same_text_each_time(folder):
    """An accepted finding about several certificates has the same text after every evaluation."""
    good = folder.good(serial=99)
    (other,) = folder.requests.glob("csr/Deployment*.csr")
    twin = folder.ca.sign(other, folder.place / "twin.pem", serial=99)
    folder.receive(*good, twin)
    accept = ("--accept", "duplicate-serial=the lab counts by hand")
    for _ in range(3):
        receive(folder.requests, *good, twin)
        folder.receive(*accept)
    text = str(read_entries(folder.requests))
    before = read_entries(folder.requests)
    assert "(accepted: the lab counts by hand) (accepted:" not in text
    folder.receive(*accept)
    assert read_entries(folder.requests) == before
