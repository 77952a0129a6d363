"""Damaged and malicious files do not change a request folder that has a valid certificate.

``LYNCNB_HOSTILE`` sets the number of files. Each file depends only on its number, so it can be
created again.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from folders import PASSPHRASE
from openssl_authority import Authority, make_root, openssl, without
from topologies import STANDARD_EDITION

from lyncnb.authorities.certificates_on_record import load_issued_certificates
from lyncnb.authorities.import_certificates import receive
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

COUNT = int(os.environ.get("LYNCNB_HOSTILE", "40"))

#: Values that ASN.1 parsers often mishandle, such as wrong lengths and tags.
_ODD = (
    0x00,
    0x01,
    0x7F,
    0x80,
    0x81,
    0x82,
    0x84,
    0x88,
    0xFF,
    0x30,
    0x31,
    0x04,
    0x06,
    0x13,
    0xA0,
    0xA3,
)


@pytest.fixture(scope="module")
def answered_folder(tmp_path_factory) -> tuple[Path, list[bytes]]:
    """Return a request folder with packages, and valid files of every format for a test to damage."""
    work_folder = tmp_path_factory.mktemp("hostile")
    plan = plan_certificates(read_topology(STANDARD_EDITION.encode()), load_rules())
    write_requests(plan, work_folder / "requests", passphrase=PASSPHRASE)
    ca = make_root(work_folder / "ca").subordinate("issuing")
    returned_folder = work_folder / "back"
    returned_folder.mkdir()
    for path in (work_folder / "requests" / "csr").iterdir():
        ca.sign(path, returned_folder / f"{path.stem}.pem")
    (returned_folder / "chain.pem").write_bytes(ca.chain)
    assert receive(work_folder / "requests", returned_folder).exit_status == 0
    bundle = open_requests(work_folder / "requests")
    write_pfx(load_issued_certificates(bundle), passphrase=PASSPHRASE)
    return work_folder / "requests", forms(ca, work_folder)


def forms(ca: Authority, work_folder: Path) -> list[bytes]:
    """Have the CA issue valid and faulty certificates for the server's request, and return them in
    every file format.
    """
    (csr,) = (work_folder / "requests" / "csr").glob("Standard*.csr")
    right = ca.sign(csr, work_folder / "again.pem").read_bytes()
    theirs = make_root(work_folder / "theirs")
    leaves = [
        right,
        theirs.sign(csr, work_folder / "theirs.pem").read_bytes(),
        ca.sign(csr, work_folder / "policy.pem", extensions=without("crl")).read_bytes(),
        ca.sign(csr, work_folder / "copied.pem", subject="/CN=SE01.contoso.com").read_bytes(),
    ]
    files = []
    for leaf in leaves:
        der = x509.load_pem_x509_certificate(leaf).public_bytes(Encoding.DER)
        (work_folder / "one.pem").write_bytes(leaf + ca.chain)
        packed = openssl(
            "crl2pkcs7", "-nocrl", "-certfile", work_folder / "one.pem", "-outform", "DER"
        )
        answer = {"success": True, "result": {"certificate": leaf.decode()}}
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a/one.cer", der)
            file.writestr("chain.pem", ca.chain)
        files += [
            *(der, leaf, leaf + ca.chain, packed, base64.encodebytes(packed)),
            *(json.dumps(answer).encode(), archive.getvalue(), leaf.decode().encode("utf-16")),
            *(b"<html><pre>" + leaf + b"</pre>", b"Bag Attributes\n    a: b\n" + leaf),
        ]
    openssl(
        *("pkcs12", "-export", "-nokeys", "-in", work_folder / "one.pem", "-passout", "pass:"),
        *("-out", work_folder / "one.pfx"),
    )
    return [*files, (work_folder / "one.pfx").read_bytes(), csr.read_bytes()]


def damage_file(number: int, sound_files: list[bytes]) -> bytes:
    """Damage one of the files in the way that the given number selects."""
    chance = random.Random(number)
    data = bytearray(chance.choice(sound_files))
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        offset = chance.randrange(len(data))
        length = chance.choice((1, 2, 4, 32, 200))
        kind = chance.randrange(8)
        if kind == 0:
            data[offset] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[offset] = chance.choice(_ODD)
        elif kind == 2:
            del data[offset : offset + length]
        elif kind == 3:
            data[offset:offset] = bytes(chance.choice(_ODD) for _ in range(length))
        elif kind == 4:
            data[offset:offset] = data[chance.randrange(len(data)) :][:length]
        elif kind == 5:
            del data[offset:]
        elif kind == 6:
            data += chance.choice(sound_files)[: chance.randrange(2000)]
        else:
            data[offset:offset] = chance.choice(
                (b"\r\n", b"\0", b"-----", b"=", b" " * length, b"\xff\xfe")
            )
        if not data:
            break
    return bytes(data)


def facts(folder: Path) -> list[tuple[str, str, str]]:
    """Return the values that must not change in each request: its certificate, chain and package."""
    return [
        (
            record.id,
            *(record.issued.judgement.chain[-1:]),
            record.package.sha256 if record.package else "",
        )
        for record in open_requests(folder).requests
    ]


def test_damaged_files_do_no_harm(tmp_path, answered_folder, capfd):
    """If a file is damaged, lyncnb raises no exception, shows no warnings of libraries, and stores
    only files that the CA returned.
    """
    original, sound_files = answered_folder
    folder = Path(shutil.copytree(original, tmp_path / "requests"))
    roots = {chain for _, chain, _ in facts(folder)}
    beside = sorted(path.name for path in tmp_path.iterdir())
    accepted_count = 0
    for number in range(COUNT):
        damaged_path = tmp_path / "requests-odd.cer"
        damaged_path.write_bytes(damage_file(number, sound_files))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            issued = receive(folder, damaged_path)
        assert issued.exit_status in (0, 1, 2), number
        assert not any("ParseError" in finding.message for finding in issued.findings), number
        damaged_path.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == beside
        assert {chain for _, chain, _ in facts(folder)} == roots, number
        for certificate in load_issued_certificates(open_requests(folder)).certificates:
            assert not certificate.has_errors, number
        accepted_count += bool(issued.certificates)
    assert accepted_count < COUNT
    assert "Traceback" not in "".join(capfd.readouterr())
