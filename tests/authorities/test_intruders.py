"""Somebody gives lyncnb files of his own: no wrong certificate gets a place, no right one loses it.

Whoever it is knows the requests, which are no secret, and the certificates of the CA. He has a
root of his own and everything that OpenSSL can do, and no key of the CA or of the folder.
"""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from folders import PASSPHRASE
from openssl_authority import Authority, make_root, openssl
from shell_kit import Shell, make_shell
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued
from lyncnb.authorities.receiving import receive
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.request_record import RequestRecord
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

shell = pytest.fixture(make_shell)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """Give a folder of two requests, the CA, and the intruder's."""
    place = tmp_path_factory.mktemp("intruders")
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, place / "requests", passphrase=PASSPHRASE)
    make_root(place / "ca").subordinate("issuing")
    theirs = make_root(place / "theirs")  # of the same name as the CA's
    theirs.subordinate("issuing")
    return place


class Folder:
    """A request folder with its CA, and what came back so far."""

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
        """The server's request."""
        (found,) = self.requests.glob("csr/Standard*.csr")
        return found

    def file(self, name: str, data: bytes) -> Path:
        """Write a file that comes back."""
        (self.place / name).write_bytes(data)
        return self.place / name

    def good(self, **how) -> list[Path]:
        """Have the CA answer; give the answer and its chain."""
        leaf = self.ca.sign(self.csr, self.place / "good.pem", **how)
        return [leaf, self.file("chain.pem", self.ca.chain)]

    def receive(self, *files: Path | str) -> str:
        """Receive files; give what is said."""
        return self.shell("receive", "requests", *files).out

    @property
    def record(self) -> RequestRecord:
        """The server's record."""
        return next(r for r in open_requests(self.requests).requests if "Standard" in r.id)

    def package(self) -> None:
        """Make the packages and the steps."""
        self.shell("pfx", "requests", "--passphrase-file", "passphrase.txt")
        self.shell("steps", "requests")

    def holds(self, certificate: Path) -> bool:
        """Whether this is the certificate on record."""
        held = self.record.issued
        if held is None:
            return False
        body = lambda data: re.sub(rb"\s", b"", data.split(b"-----")[2])  # noqa: E731
        return body((self.requests / held.file).read_bytes()) == body(certificate.read_bytes())


@pytest.fixture
def folder(shell, template) -> Folder:
    return Folder(shell, template)


@pytest.mark.parametrize("with_chain", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_one_that_begins_later(folder, with_chain, together):
    """A root of the intruder's, and dates after the right one's: the right one is not displaced."""
    good = folder.good()
    bad = folder.theirs.sign(folder.csr, folder.place / "bad.pem", begins=timedelta(minutes=-5))
    more = [folder.file("their-chain.pem", folder.theirs.chain)] if with_chain else []
    for files in [[*good, bad, *more]] if together else [good, [bad, *more]]:
        said = folder.receive(*files)
    folder.package()
    if together and with_chain:
        # Two whole chains and nothing on record: none is taken until the roots were compared.
        assert said.count("[root-to-compare]") == 2
        assert said.count("[answers-of-two-cas]") == 2
        assert folder.record.state == "waiting"
        assert len(folder.record.refused) == 2
        assert "[answers-of-two-cas]" in folder.receive()
        assert folder.record.state == "waiting"
        folder.receive(*good)
        folder.receive()
        folder.package()
    assert folder.holds(good[0])
    assert folder.record.package is not None


def test_one_that_came_before_its_chain(folder):
    """A certificate that nothing proves came first and begins later: the right one takes its place."""
    bad = folder.theirs.sign(folder.csr, folder.place / "bad.pem", begins=timedelta(minutes=-5))
    folder.receive(bad)
    good = folder.good()
    folder.receive(*good)
    assert folder.holds(good[0])


def test_a_root_of_theirs_above_the_right_ca(folder):
    """A certificate for the CA's own key under another root leads no package to that root."""
    good = folder.good()
    folder.receive(*good)
    folder.package()
    before = folder.record
    bridge = Authority(folder.place / "theirs", "root").subordinate("bridge")
    public = folder.place / "public.pem"
    public.write_bytes(openssl("x509", "-in", folder.place / "ca/issuing.pem", "-noout", "-pubkey"))
    crossed = folder.place / "crossed.pem"
    (folder.place / "ca.ext").write_text("basicConstraints=critical,CA:TRUE")
    openssl(
        *("x509", "-new", "-force_pubkey", public, "-subj", "/CN=Contoso Issuing"),
        *("-CA", bridge.folder / "bridge.pem", "-CAkey", bridge.folder / "bridge.key"),
        *("-extfile", folder.place / "ca.ext", "-days", "2500", "-out", crossed),
    )
    for files in ([crossed, folder.file("their-chain.pem", bridge.chain)], good, [crossed, *good]):
        said = folder.receive(*files)
        assert "[chain-completed]" not in said
        record = folder.record
        assert record.issued.judgement.chain == before.issued.judgement.chain
        assert record.package == before.package
    (one,) = (c for c in load_issued(open_requests(folder.requests)).certificates)
    assert one.path[-1].sha256 == before.issued.judgement.chain[-1]


def test_a_serial_number_that_somebody_wrote(folder):
    """What the CA did not sign gives none of its numbers twice."""
    good = folder.good(serial=4711)
    forged = folder.place / "forged.pem"
    openssl(
        *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", folder.place / "x.key"),
        *("-subj", "/CN=x.contoso.com", "-out", folder.place / "x.csr"),
    )
    folder.theirs.sign(folder.place / "x.csr", forged, serial=4711)
    said = folder.receive(*good, forged)
    assert "[duplicate-serial]" not in said
    assert folder.holds(good[0])
    genuine = folder.ca.sign(folder.place / "x.csr", folder.place / "genuine.pem", serial=4711)
    assert "[duplicate-serial]" in folder.receive(genuine)
    folder.package()
    assert folder.record.package is not None


def test_a_ca_that_renewed_its_key(folder):
    """With the old CA certificate alone the new one is kept; with the CA's new one it is taken."""
    folder.receive(*folder.good(begins=timedelta(days=-9)))
    root = Authority(folder.place / "ca", "root")
    renewed = root.subordinate("renewed")
    newer = renewed.sign(folder.csr, folder.place / "newer.pem")
    said = folder.receive(newer)
    assert "[chain-signature-wrong]" in said
    assert "perhaps the CA has another certificate" in said
    assert not folder.holds(newer)
    said = folder.receive(folder.file("renewed.pem", renewed.pem))
    assert "[replaces-earlier-certificate]" in said
    assert folder.holds(newer)
    assert folder.record.refused == ()


def test_a_ca_that_renewed_its_key_before_anything_came(folder):
    """Only the CA's old certificate is known, nothing is on record: the right one is not lost."""
    folder.receive(folder.file("old.pem", folder.ca.chain))
    renewed = Authority(folder.place / "ca", "root").subordinate("renewed")
    leaf = renewed.sign(folder.csr, folder.place / "leaf.pem")
    folder.receive(leaf)
    assert folder.record.state == "waiting"
    folder.receive(folder.file("renewed.pem", renewed.pem))
    assert folder.holds(leaf)
    folder.package()
    assert folder.record.package is not None


def test_a_reason_stands_once(folder):
    """What showed beside others and was accepted reads the same however often it is judged."""
    good = folder.good(serial=99)
    (other,) = folder.requests.glob("csr/Deployment*.csr")
    twin = folder.ca.sign(other, folder.place / "twin.pem", serial=99)
    folder.receive(*good, twin)
    accept = ("--accept", "duplicate-serial=the lab counts by hand")
    for _ in range(3):
        receive(folder.requests, *good, twin)
        folder.receive(*accept)
    text = (folder.requests / "manifest.json").read_text()
    before = (folder.requests / "manifest.json").read_bytes()
    assert "(accepted: the lab counts by hand) (accepted:" not in text
    folder.receive(*accept)
    assert (folder.requests / "manifest.json").read_bytes() == before
