"""lyncnb reads files, folders and archives from a CA within size limits."""

from __future__ import annotations

import gzip
import os
import random
import zipfile
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from cas.python_ca import PythonCa, der, issue, p7b, pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from hostile import archive, hostile_files, lay_out, make_tar

from lyncnb.authorities.returned import returned_files
from lyncnb.authorities.returned.returned_files import read_returned_files
from lyncnb.errors import ReturnedFileError
from lyncnb.pki.certificates import read_certificate
from lyncnb.pki.passphrase import Secret

KEY = ec.generate_private_key(ec.SECP256R1())
CA = PythonCa()
LEAF = issue(
    KEY.public_key(), CA.issuing.subject, CA.key,
    subject=[("CN", "sip.contoso.com")], san=["sip.contoso.com"],
)  # fmt: skip
HOSTILE = hostile_files(CA, LEAF, KEY)
# lyncnb reads these files as certificates. Another module tests whether they match a request.
READABLE = ("unknown-key", "chain-certificate-unused")


def test_enough_hostile_files():
    """The tests in this module read at least forty hostile files."""
    assert len(HOSTILE) >= 40


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_files_are_reported(tmp_path, name):
    """For each hostile file, lyncnb reports the file name and reads no certificate from the file."""
    data, code = HOSTILE[name]
    path = tmp_path / name.split(": ")[0]
    path.write_bytes(data)
    (file,) = read_returned_files([tmp_path])
    assert file.name == name
    if code in READABLE:
        assert file.certificates
        return
    assert file.certificates == ()
    assert [remark_code for remark_code, _ in file.remarks] == [code]
    assert sorted(tmp_path.rglob("*")) == [path]


def test_links_and_pipes(tmp_path):
    """When it reads a folder, lyncnb follows no symbolic link and opens only regular files."""
    lay_out(tmp_path, {"a.cer": (pem(LEAF), "")})
    (tmp_path / "loop").symlink_to(tmp_path)
    remarks = {file.name: file.remarks for file in read_returned_files([tmp_path])}
    assert remarks == {
        "a.cer": (),
        "link.cer": (("file-skipped", "the file is a symbolic link"),),
        "pipe.cer": (("file-unreadable", "the path is not a regular file"),),
    }


def test_named_link_is_followed(tmp_path):
    """lyncnb follows a symbolic link if the planner specifies it as an argument."""
    (tmp_path / "real.cer").write_bytes(pem(LEAF))
    (tmp_path / "link.cer").symlink_to(tmp_path / "real.cer")
    (file,) = read_returned_files([tmp_path / "link.cer"])
    assert (file.name, len(file.certificates)) == ("link.cer", 1)


def test_folder_in_order(tmp_path):
    """lyncnb reads a folder and its subfolders in the order of the file names, and skips hidden
    files.
    """
    for name in ("b/2.cer", "a.p7b", "b/1.cer", ".hidden/x.cer", "b/.y.cer", "Thumbs.db"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(p7b(LEAF) if name.endswith("p7b") else pem(LEAF))
    assert [file.name for file in read_returned_files([tmp_path])] == [
        "a.p7b",
        "b/1.cer",
        "b/2.cer",
    ]


def test_archive(tmp_path):
    """lyncnb reads an archive in memory. It skips folders, and files that operating systems add."""
    path = tmp_path / "answers.zip"
    path.write_bytes(
        archive(
            ("certs/", b""),
            ("certs/sip.cer", pem(LEAF)),
            ("__MACOSX/._sip.cer", b"junk"),
            # Old versions of .NET write paths with a backslash into an archive.
            ("chain\\ca.p7b", p7b(*CA.chain)),
        )
    )
    files = read_returned_files([path])
    assert [(file.name, len(file.certificates)) for file in files] == [
        ("answers.zip: certs/sip.cer", 1),
        ("answers.zip: chain\\ca.p7b", 2),
    ]


def test_archive_sum_is_bounded(tmp_path, monkeypatch):
    """lyncnb limits the size of each entry in an archive, and also the total size of all entries."""
    monkeypatch.setattr(returned_files, "MAX_UNPACKED_BYTES", 3000)
    path = tmp_path / "sum.zip"
    path.write_bytes(archive(*((f"{n}.bin", os.urandom(1000)) for n in range(9))))
    files = read_returned_files([path])
    assert len(files) == 4
    message = (
        "the unpacked archive is larger than 3,000 bytes; lyncnb ignored the remaining entries"
    )
    assert files[-1].remarks == (("file-unreadable", message),)


def test_archive_with_wrong_sizes(tmp_path):
    """If an entry in an archive is larger than the archive states, lyncnb stops reading the entry."""
    data = archive(("a.cer", bytes(100_000)), method=zipfile.ZIP_DEFLATED)
    honest, lie = (100_000).to_bytes(4, "little"), (500).to_bytes(4, "little")
    path = tmp_path / "lie.zip"
    path.write_bytes(data.replace(honest, lie))
    (file,) = read_returned_files([path])
    assert file.certificates == ()
    assert [code for code, _ in file.remarks] == ["file-unreadable"]


def test_folder_is_bounded(tmp_path, monkeypatch):
    """If a folder contains too many files, lyncnb ignores the remaining files and adds a remark."""
    monkeypatch.setattr(returned_files, "MAX_FOLDER_FILES", 3)
    for number in range(9):
        (tmp_path / f"{number}.cer").write_bytes(pem(LEAF))
    files = read_returned_files([tmp_path])
    assert len(files) == 4
    assert files[-1].remarks[0][1] == (
        "the folder has more than 3 files; lyncnb ignored the remaining files"
    )


@pytest.mark.parametrize("password", ["portal", Secret("portal"), lambda name: name[:-4]])
def test_password(tmp_path, password):
    """You can pass the password of a PFX file as an argument. Otherwise lyncnb asks for it and
    shows the name of the file.
    """
    path = tmp_path / "portal.pfx"
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"x", KEY, LEAF, None, BestAvailableEncryption(b"portal")
        )
    )
    (file,) = read_returned_files([path], password=password)
    assert [certificate.der for certificate in file.certificates] == [der(LEAF)]


def test_missing_paths_are_reported_together(tmp_path):
    """Before it reads any file, lyncnb reports all specified paths that do not exist."""
    with pytest.raises(ReturnedFileError, match=r"no such file or folder: .*a\.cer, .*b\.cer"):
        read_returned_files([tmp_path / "a.cer", tmp_path, tmp_path / "b.cer"])


def test_file_without_read_permission_is_reported(tmp_path):
    """If the operating system cannot open a file, lyncnb reports the file with the reason."""
    if os.geteuid() == 0:
        path = tmp_path / "gone"
        path.mkdir()
        assert read_returned_files([path]) == ()
        return
    path = tmp_path / "locked.cer"
    path.write_bytes(pem(LEAF))
    path.chmod(0)
    (file,) = read_returned_files([path])
    assert file.remarks[0][0] == "file-unreadable"


def test_zip64(tmp_path):
    """lyncnb rejects a ZIP64 archive (for more than four gigabytes), because no CA sends such an
    archive.
    """
    data = archive(("a.cer", pem(LEAF)))
    end = data.rindex(b"PK\x05\x06")
    path = tmp_path / "big.zip"
    path.write_bytes(data[:end] + b"PK\x06\x07" + bytes(16) + data[end:])
    (file,) = read_returned_files([path])
    assert file.remarks == (
        ("file-unreadable", "the archive uses ZIP64, the format for archives larger than 4 GB"),
    )


def test_archive_with_a_damaged_directory(tmp_path):
    """lyncnb reports an archive whose central directory is damaged."""
    data = archive(("a.cer", pem(LEAF)))
    path = tmp_path / "list.zip"
    path.write_bytes(data.replace(b"PK\x01\x02", b"PK\x01\x09"))
    (file,) = read_returned_files([path])
    assert file.remarks[0][0] == "file-unreadable"
    assert file.remarks[0][1].startswith("the archive is damaged: ")


@pytest.mark.parametrize("name", ["notes.txt", "page.cer", "list.crl", "empty.zip"])
def test_specified_file_without_a_certificate_is_reported(tmp_path, name):
    """If the planner specifies a file without a certificate, lyncnb reports it as unreadable. In a
    folder, such a file is ignored.
    """
    path = tmp_path / name
    path.write_bytes(HOSTILE[name][0])
    assert [code for file in read_returned_files([path]) for code, _ in file.remarks] == [
        "file-unreadable"
    ]
    assert [code for file in read_returned_files([tmp_path]) for code, _ in file.remarks] == [
        "file-without-certificate"
    ]


def test_notes_of_submit_cmd_are_skipped(tmp_path):
    """lyncnb skips the notes that submit.cmd writes. If a file with such a name contains a
    certificate, lyncnb reads it.
    """
    names = ["ca.txt", "Edge-pool-0a1b2c3d.txt", "Edge-pool-0a1b2c3d.failed.txt"]
    for name in names:
        (tmp_path / name).write_text("RequestId: 12\r\n")
    (tmp_path / "readme.txt").write_text("hello")
    assert [file.name for file in read_returned_files([tmp_path])] == ["readme.txt"]
    (tmp_path / names[1]).write_bytes(pem(*PythonCa().chain))
    assert [file.name for file in read_returned_files([tmp_path])] == [names[1], "readme.txt"]
    assert [file.remarks[0][0] for file in read_returned_files([tmp_path / "ca.txt"])] == [
        "file-unreadable"
    ]


# Files in the formats in which mail programs and CAs send them.


def mail(*parts: tuple[str, str, bytes], attachment: EmailMessage | None = None) -> EmailMessage:
    """Return an e-mail with the given text and attachments (name, type and bytes)."""
    message = EmailMessage()
    message["From"], message["To"] = "ca@fabrikam.com", "pki@contoso.com"
    message["Subject"], message["Date"] = "Your certificate", "Tue, 24 Nov 2026 08:00:00 +0000"
    message["Message-ID"] = "<1@fabrikam.com>"
    message.set_content("Please find the certificate attached.")
    for title, kind, data in parts:
        main, _, sub = kind.partition("/")
        message.add_attachment(data, maintype=main, subtype=sub, filename=title)
    if attachment is not None:
        message.add_attachment(attachment)
    return message


def quoted_printable(data: bytes) -> bytes:
    """Return an e-mail whose text contains PEM, encoded as quoted-printable."""
    message = EmailMessage()
    message["From"], message["Subject"] = "ca@fabrikam.com", "Your certificate"
    message["MIME-Version"] = "1.0"
    message.set_content(data.decode(), cte="quoted-printable")
    return message.as_bytes(policy=SMTP)


def page(data: bytes) -> bytes:
    """Return a web page that shows PEM line by line with HTML entities."""
    lines = "<br>".join(data.decode().replace("+", "&#43;").replace("=", "&#x3D;").splitlines())
    return f"<html><body><p>Dear&nbsp;planner,<br>{lines}</p></body></html>".encode()


def quoted(data: bytes, mark: str) -> bytes:
    return "".join(f"{mark}{line}\n" for line in data.decode().splitlines()).encode()


def html_mail(data: bytes) -> bytes:
    message = mail()
    message.add_alternative(page(data).decode(), subtype="html")
    return message.as_bytes()


WHOLE = pem(LEAF, *CA.chain)
SENT = {
    "PEM attached, base64": mail(("sip.pem", "application/octet-stream", WHOLE)).as_bytes(),
    "CRLF": mail(("sip.cer", "application/x-x509-ca-cert", WHOLE)).as_bytes(policy=SMTP),
    "PKCS #7 attached": mail(("sip.p7b", "application/x-pkcs7-certificates", p7b(LEAF, *CA.chain))).as_bytes(),
    "zip attached": mail(("answer.zip", "application/zip", archive(("sip.cer", WHOLE)))).as_bytes(),
    "tar.gz attached": mail(("answer.tar.gz", "application/gzip", make_tar({"sip.cer": WHOLE}))).as_bytes(),
    "forwarded": mail(attachment=mail(("sip.pem", "text/plain", WHOLE))).as_bytes(),
    "quoted-printable text": quoted_printable(WHOLE),
    "HTML in a mail": html_mail(WHOLE),
    "from an mbox": b"From ca@fabrikam.com Tue Nov 24 08:00:00 2026\n" + mail(("a", "text/plain", WHOLE)).as_bytes(),
    "a saved page": page(WHOLE),
    "quoted by >": quoted(WHOLE, "> "),
    "quoted twice": quoted(WHOLE, ">> "),
    "quoted, forwarded": quoted(WHOLE, "> > "),
    "tar.gz": make_tar({"answer/sip.cer": pem(LEAF), "answer/chain.pem": pem(*CA.chain)}),
    "tar": make_tar({"a" * 120 + "/sip.cer": WHOLE}, "w"),
    "pax": make_tar({"\u4e2d" * 60 + ".cer": WHOLE}, "w:gz"),
    "gzip of one file": gzip.compress(WHOLE),
}  # fmt: skip


@pytest.mark.parametrize("data", SENT.values(), ids=SENT)
def test_files_of_mail_programs_and_cas_are_read(tmp_path, data):
    """lyncnb reads server certificates, intermediates and roots in e-mails and web pages without
    any remark.
    """
    path = tmp_path / "answer"
    path.write_bytes(data)
    files = read_returned_files([path])
    digests = {certificate.sha256 for file in files for certificate in file.certificates}
    assert digests == {
        read_certificate(der(certificate)).sha256 for certificate in (LEAF, *CA.chain)
    }
    assert [file.remarks for file in files if file.remarks] == []


def test_a_mail_without_its_attachment_says_what_to_save(tmp_path):
    """If an e-mail lacks its attachment or is in the Outlook format, lyncnb explains what to save."""
    (tmp_path / "a.eml").write_bytes(mail(("photo.png", "image/png", b"\x89PNG" * 9)).as_bytes())
    (tmp_path / "b.msg").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    for name in ("a.eml", "b.msg"):
        (file,) = read_returned_files([tmp_path / name])
        ((code, message),) = file.remarks
        assert code == "file-unreadable"
        assert "save the attachment" in message


BAD_ARCHIVES = {
    "cut off": (make_tar({"a.cer": WHOLE}, "w")[:900], "file-unreadable"),
    "compressed and cut off": (make_tar({"a.cer": WHOLE})[:-9], "file-unreadable"),
    "a bomb": (gzip.compress(bytes(50_000_000)), "file-unreadable"),
    "outside": (make_tar({"../../a.cer": WHOLE}), "file-skipped"),
    "absolute": (make_tar({"/etc/a.cer": WHOLE}), "file-skipped"),
    "an archive inside": (make_tar({"a.tar.gz": make_tar({"b.cer": WHOLE})}), "file-skipped"),
}


@pytest.mark.parametrize(("data", "code"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES)
def test_invalid_archives_are_reported_and_not_extracted(tmp_path, data, code):
    """lyncnb reports an invalid archive, extracts nothing to the disk, and reads no file outside
    the archive.
    """
    (tmp_path / "answer.tar.gz").write_bytes(data)
    (file,) = read_returned_files([tmp_path])
    assert [remark_code for remark_code, _ in file.remarks] == [code]
    assert file.certificates == ()
    assert sorted(os.listdir(tmp_path)) == ["answer.tar.gz"]


def test_damaged_header_in_an_archive_is_reported(tmp_path):
    """If a header in an archive is damaged, lyncnb reads the certificates before it and reports the
    damage.
    """
    data = bytearray(make_tar({"a.cer": WHOLE, "b.cer": WHOLE}, "w"))
    second = data.index(b"b.cer")
    data[second + 257 : second + 262] = b"\xff" * 5
    (tmp_path / "answer.tar").write_bytes(data)
    first, damaged = read_returned_files([tmp_path])
    assert len(first.certificates) == 3
    message = f"the archive is damaged at byte {second:,}"
    assert damaged.remarks == (("file-unreadable", message),)


@pytest.mark.parametrize("name", SENT)
def test_damaged_mails_cause_remarks(tmp_path, name):
    """If an e-mail is damaged or truncated, lyncnb adds remarks and raises no exception.

    CI uses a tenth of the thousand cases.
    """
    chance, count = random.Random(name), int(os.environ.get("LYNCNB_MUTATIONS", "100"))
    path = tmp_path / "answer"
    for _ in range(count):
        data = bytearray(SENT[name])
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(1, len(data))])])
        files = read_returned_files([path])
        assert any(file.certificates or file.remarks for file in files)
