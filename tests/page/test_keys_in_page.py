"""The JavaScript of the planner page creates the same requests, keys and folder as the command
``request``.

``keys.js`` runs in Node.js, which has the same WebCrypto as a browser. OpenSSL, the cryptography
library, and the commands of lyncnb check the result.
"""

from __future__ import annotations

import base64
import io
import os
import random
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from folders import (
    P256,
    PASSPHRASE,
    TODAY,
    issue_all,
    make_plan,
    plan_of,
    planned_certificate,
    read_entries,
    write,
)
from page.page_requests import NOW, RefusedByPage, find_problems, make_archive
from places import DATA
from random_plans import random_plan
from shell_kit import make_shell

import lyncnb as ln
from lyncnb.authorities.status import folder_status
from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.errors import BundleError, PassphraseError, PlanError, PlanRejected
from lyncnb.page.request_folder_of import prepare_folder
from lyncnb.pki.csr import build_request, parse_request
from lyncnb.pki.passphrase import check_new_passphrase
from lyncnb.pki.pkcs8 import FolderCipher, read_derivation
from lyncnb.plan.model import CertificatePlan, build_request_content
from lyncnb.plan.options import PlanOptions
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import Manifest, read_manifest, save_manifest
from lyncnb.request_folder.request_record import build_file_stem, list_current_files

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("error")]

shell = pytest.fixture(make_shell)

#: The number of random plans in this test. CI uses only a few.
PLANS = int(os.environ.get("LYNCNB_PAGE_PLANS", "3"))

# A plan with every type of key and hash, every field of a subject, and characters of several
# alphabets.
KINDS = plan_of(
    planned_certificate("a.contoso.com", *(f"n{number}.contoso.com" for number in range(40)), bits=2048),
    planned_certificate("b.contoso.com", "*.contoso.com", bits=4096, hash="sha512", country="TW"),
    planned_certificate("c.contoso.com", bits=3072, hash="sha384", usages=("serverAuth", "clientAuth")),
    planned_certificate("d.contoso.com", algorithm="ECDSA", bits=256, organization="Contoso, Ltd \"+\" 株式会社"),
    planned_certificate("e.contoso.com", algorithm="ECDSA", bits=384, hash="sha384", locality="Zürich"),
    planned_certificate("f.contoso.com", algorithm="ECDSA", bits=521, hash="sha512", state="Ελλάδα"),
    planned_certificate(
        *("g.contoso.com", "xn--55q8nz3c.contoso.com"),
        algorithm="ECDSA",
        organization="O" * 64,
        organizational_unit="臺北",
        locality="L" * 128,
        state="S" * 128,
        country="DE",
    ),
)  # fmt: skip


# The bytes that precede the IV in data encrypted with AES-256-CBC: the algorithm identifier, and
# the header of the 16-byte IV.
AES_HEAD = bytes.fromhex("060960864801650304012a 0410")
# The default key parameters of a plan.
RSA = {"key": KeyParameters()}
# ECDSA keys can be generated quickly, but the OAuth certificate requires an RSA key. The tests
# accept the resulting finding.
ACCEPT = {"oauth-key-too-small": "a test"}


def sample(name: str, **options: object) -> CertificatePlan:
    """Return the plan of a sample table, with keys that can be generated quickly."""
    return make_plan(DATA / name, **options)


def check_requests(folder: Path, plan: CertificatePlan) -> None:
    """Check that each request equals the request that lyncnb builds from the same key, and that
    OpenSSL can verify its signature.
    """
    manifest = read_manifest(folder)
    cipher = FolderCipher(PASSPHRASE)
    salts, vectors = set(), set()
    for certificate in plan.certificates:
        record = manifest.by_id[certificate.id]
        request, sealed = ((folder / path).read_bytes() for path in record.files)
        key = cipher.decrypt(sealed, name=record.files.key)
        actual = parse_request(request)
        expected = build_request(build_request_content(certificate), key)
        assert actual.has_valid_signature()
        if certificate.key.algorithm == "RSA":
            assert request == expected.pem
        else:
            assert actual._parsed.tbs_certrequest_bytes == expected._parsed.tbs_certrequest_bytes
        assert (record.csr_sha256, record.spki_sha256) == (actual.csr_sha256, actual.spki_sha256)
        salts.add(read_derivation(sealed, name=record.files.key))
        der = base64.b64decode(b"".join(sealed.splitlines()[1:-1]))
        vectors.add(der.partition(AES_HEAD)[2][:16])
        command = ["openssl", "req", "-verify", "-noout", "-in", folder / record.files.csr]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        command = ["openssl", "pkey", "-check", "-noout", "-passin", "stdin"]
        command += ["-in", folder / record.files.key]
        result = subprocess.run(
            command, capture_output=True, check=False, input=PASSPHRASE.encode()
        )
        assert (result.returncode, result.stdout) == (0, b"Key is valid\n")
    # The run derives one key from the passphrase, and each private key has its own IV.
    ((_, rounds, hash_, length),) = salts
    assert (rounds, hash_, length) == (600_000, "sha256", 32)
    assert len(vectors) == len(plan.certificates)


@pytest.mark.parametrize("name", ["kinds", "contoso.csv", "contoso-zh-TW.csv"])
def test_requests_match_those_of_python(tmp_path, name):
    """A request from the page has the same bytes as the one that Python builds from the same key.

    ECDSA signatures are random, so in these requests only the signed content is the same.
    """
    plan = KINDS if name == "kinds" else sample(name, **RSA if name == "contoso.csv" else {})
    folder = make_archive(plan).unpack(tmp_path)
    check_requests(folder, plan)
    assert folder_status(folder, today=TODAY).problems == ()


def test_the_folder_matches_that_of_the_command(tmp_path):
    """The web page and the request command write the same files, except for keys, CSRs, and the
    name of the program.
    """
    plan = sample("contoso.csv")
    findings = ln.check_plan(plan, on=TODAY)
    folder = make_archive(plan, findings=findings, accept=ACCEPT).unpack(tmp_path)
    expected = write(plan, tmp_path / "expected", findings=findings, accept=ACCEPT).folder
    names, others = (
        {
            re.sub(r"-[0-9a-f]{8}(\.csr|\.key)$", r"\1", path.relative_to(parent).as_posix())
            for path in parent.rglob("*")
            if path.is_file() and path.parent.name != "record"
        }
        for parent in (folder, expected)
    )
    assert others - names == {"lyncnb.lock"}
    assert names <= others
    for name in ("plan.json", ".gitignore"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes()
    assert _without_hashes(read_manifest(folder)) == _without_hashes(read_manifest(expected))
    lines = [read_entries(request_folder)[0] for request_folder in (folder, expected)]
    assert lines[0].keys() == lines[1].keys()
    assert (lines[0]["user"], lines[0]["host"]) == ("somebody", "planner page")
    for key in ("at", "command", "number"):
        assert lines[0][key] == lines[1][key]
    hashes = re.compile(r"[0-9a-f]{64}|[0-9A-Fa-f:]{95}|-[0-9a-f]{8}(?=[.]csr)")
    summaries = [
        (request_folder / "summary.md").read_text() for request_folder in (folder, expected)
    ]
    assert len({hashes.sub("", text) for text in summaries}) == 1


def _without_hashes(manifest: Manifest) -> Manifest:
    names = ("csr_sha256", "spki_sha256", "key_sha256", "binding", "files")
    return replace(
        manifest,
        summary=dict.fromkeys(manifest.summary),
        binding_key=replace(manifest.binding_key, salt=""),
        requests=tuple(replace(record, **dict.fromkeys(names, "")) for record in manifest.requests),
    )


def test_the_next_run_keeps_every_request_and_changes_nothing(tmp_path):
    """If the command requests the same plan again with the same passphrase, it keeps all requests
    and changes nothing.
    """
    plan = sample("contoso.csv")
    findings = ln.check_plan(plan, on=TODAY)
    folder = make_archive(plan, findings=findings, accept=ACCEPT).unpack(tmp_path)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    bundle = write(plan, folder, findings=findings, accept=ACCEPT)
    assert bundle.counts() == {"kept": len(plan.certificates)}
    assert bundle.is_quiet
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_wrong_passphrase_is_rejected(tmp_path):
    """The command rejects a wrong passphrase before it changes anything in the folder."""
    plan = plan_of(planned_certificate("a.contoso.com", algorithm="ECDSA"))
    folder = make_archive(plan).unpack(tmp_path)
    with pytest.raises(PassphraseError, match="does not match this key"):
        write(plan, folder, passphrase="another long passphrase")


def test_a_key_is_bound_to_its_request(tmp_path):
    """If two requests in a folder were exchanged, the command detects the exchange, even if the
    hashes in the manifest were exchanged too.
    """
    plan = plan_of(
        *(planned_certificate(f"{name}.contoso.com", algorithm="ECDSA") for name in "ab")
    )
    folder = make_archive(plan).unpack(tmp_path)
    manifest = read_manifest(folder)
    first, second = manifest.requests
    names = ("csr_sha256", "spki_sha256", "key_sha256")
    stems = {
        record.id: build_file_stem(record.id, other.spki_sha256)
        for record, other in ((first, second), (second, first))
    }
    for record, other in ((first, second), (second, first)):
        paths = list_current_files(stems[record.id])
        for path, source in zip(paths, other.files, strict=True):
            (folder / source).rename(folder / path)
    exchanged = [
        replace(
            record,
            files=list_current_files(stems[record.id]),
            **{name: getattr(other, name) for name in names},
        )
        for record, other in ((first, second), (second, first))
    ]
    save_manifest(folder, manifest.with_records(exchanged))
    with pytest.raises(BundleError) as refused:
        write(plan, folder)
    messages = [problem.message for problem in refused.value.problems]
    assert messages.count("differs from the record that lyncnb wrote for this key") == 2


def test_no_secret_is_sent_to_the_worker(tmp_path):
    """The page sends its web worker two hashes for each request, and no passphrase or key."""
    result = make_archive(
        plan_of(*(planned_certificate(f"{name}.contoso.com", algorithm="ECDSA") for name in "abc"))
    )
    kinds = [tuple(message) for message in result.messages]
    assert kinds == [("done", "total")] * 3 + [("hashes",), ("size",)]
    hashes = result.messages[-2]["hashes"]
    for digests in hashes.values():
        assert digests.keys() == {"csr_sha256", "spki_sha256"}
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())
    manifest = read_manifest(result.unpack(tmp_path))
    assert {
        record.id: {"csr_sha256": record.csr_sha256, "spki_sha256": record.spki_sha256}
        for record in manifest.requests
    } == hashes


def test_the_archive_is_uncompressed_and_private():
    """The entries of the archive have a fixed order, no compression, and file modes that allow
    access only to the owner.
    """
    plan = plan_of(
        *(planned_certificate(f"{name}.contoso.com", algorithm="ECDSA") for name in "ab")
    )
    archive = zipfile.ZipFile(io.BytesIO(make_archive(plan).archive))
    assert archive.testzip() is None
    entries = archive.infolist()
    assert {entry.external_attr >> 16 for entry in entries} == {0o40700, 0o100600}
    assert all(entry.is_dir() == (entry.external_attr >> 16 == 0o40700) for entry in entries)
    assert {(entry.compress_type, entry.date_time) for entry in entries} == {
        (zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))
    }
    ids = [certificate.id for certificate in plan.certificates]
    names = [entry.filename.removeprefix("requests/") for entry in entries]
    names = [re.sub("record/.+", "record/entry", name) for name in names]
    assert [re.sub(r"-[0-9a-f]{8}(\.csr|\.key)$", r"\1", name) for name in names] == [
        *("", ".gitignore", ".summary.json", "manifest.json", "record/", "record/entry"),
        "plan.json",
        *(f"summary.{suffix}" for suffix in ("csv", "xlsx", "html", "md")),
        *("csr/", *(f"csr/{name}.csr" for name in ids)),
        *("keys/", *(f"keys/{name}.key" for name in ids)),
    ]


@pytest.fixture(scope="module")
def archive() -> bytes:
    """Return the archive with the requests of a small plan."""
    return make_archive(ln.plan_certificates(_small(), ln.load_rules()), findings=()).archive


def _small() -> ln.Topology:
    return ln.read_topology(SMALL)


SMALL = b"server_fqdn,role,sip_domains\nmed.contoso.com,Mediation,contoso.com\n"


@pytest.mark.parametrize("command", ["status", "request"])
@pytest.mark.parametrize("program", ["unzip", "zipfile", "umask"])
def test_commands_accept_an_unpacked_folder(shell, archive, program, command):
    """The commands accept the unpacked folder. If the permissions of its files are too broad, the
    commands restrict the permissions and report the change.
    """
    (shell.folder / "requests.zip").write_bytes(archive)
    if program == "unzip":
        subprocess.run(["unzip", "-q", "requests.zip"], check=True, cwd=shell.folder)
    else:
        with zipfile.ZipFile(shell.folder / "requests.zip") as packed:
            packed.extractall(shell.folder)
    folder = shell.folder / "requests"
    if program == "umask":
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    table = shell.write("small.csv", SMALL.decode())
    secret = shell.write("passphrase.txt", PASSPHRASE)
    arguments = {
        "status": ("status", "requests"),
        "request": ("request", table, "requests", "--passphrase-file", secret),
    }[command]
    result = shell(*arguments)
    # The requests were written on an earlier day, so the status says that they are late.
    assert result.status == (1 if command == "status" else 0), result.err
    if command == "request":
        assert "1 kept" in result.out
    note = "lyncnb changed the permissions, so that only you have access (modes 700 and 600)"
    words = " ".join((result.out + result.err).split())
    assert words.count(note) == (program != "unzip")
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}
    assert note not in " ".join((shell(*arguments).err).split())


def test_a_pfx_package_is_created_from_a_key_of_the_page(tmp_path):
    """A PFX package can be created from the issued certificate and the key that the page created."""
    plan = plan_of(
        planned_certificate("a.contoso.com"),
        planned_certificate("b.contoso.com", algorithm="ECDSA"),
    )
    folder = make_archive(plan).unpack(tmp_path)
    ca = PythonCa()
    answers = issue_all(open_requests(folder), ca)
    answer_folder = tmp_path / "answers"
    answer_folder.mkdir()
    (answer_folder / "answers.pem").write_bytes(pem(*answers.values(), *ca.chain))
    assert ln.receive(folder, answer_folder, today=TODAY).exit_status == 0
    issued = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    packages = ln.write_pfx(issued, passphrase=PASSPHRASE, today=TODAY)
    assert len(list((folder / "pfx").glob("*.pfx"))) == 2, packages


@pytest.mark.parametrize("seed", range(PLANS))
def test_random_plans(tmp_path, seed):
    """For random plans with random options, the page creates the same requests as Python."""
    chance = random.Random(seed)
    plan = random_plan(chance)
    key = chance.choice([P256, KeyParameters(algorithm="ECDSA", bits=384), KeyParameters()])
    certificates = tuple(certificate._replace(key=key) for certificate in plan.certificates)
    nameless = [certificate for certificate in certificates if not certificate.subject.common_name]
    if nameless:
        with pytest.raises(PlanError, match="the request has no common name"):
            make_archive(replace(plan, certificates=certificates))
    certificates = tuple(certificate for certificate in certificates if certificate not in nameless)
    plan = replace(plan, certificates=certificates)
    folder = make_archive(plan).unpack(tmp_path)
    check_requests(folder, plan)
    assert write(plan, folder).counts() == {"kept": len(certificates)}


PIECES = (
    *("contoso", "fe01", "Passw0rd", "qwertyuiop", "correct", "unicorn", "magnet", "dwarf", "2026"),
    *("!", "-", " ", "1", "aaaa", "ß", "臺北", "Contoso.com", "lync", "😀", "Zürich", "abcdefgh"),
)


def test_page_and_python_reject_the_same_passphrases():
    """The page and Python reject the same passphrases for the same reasons."""
    plan = sample("contoso.csv")
    chance = random.Random(1)
    tried = ["", "short", "a" * 12, "x" * 1001, "no\ttab in this", "a\u0085b" * 6]
    tried += ["".join(chance.choices(PIECES, k=chance.randint(2, 6))) for _ in range(300)]
    tried += ["".join(chance.choices("abcdefghijklmnop0123456789", k=12)) for _ in range(20)]
    problems = find_problems(plan, tried)
    expected = [_find_problem(text, plan.known_words) for text in tried]
    # The JavaScript and Python versions of zxcvbn return the same sentences with different
    # punctuation.
    plain = [[re.sub('[."]', "", text) for text in texts] for texts in (problems, expected)]
    assert list(zip(tried, plain[0], strict=True)) == list(zip(tried, plain[1], strict=True))
    assert 50 < problems.count("") < 250


def _find_problem(text: str, known: tuple[str, ...]) -> str:
    try:
        check_new_passphrase(text, source="it", known_words=known)
    except PassphraseError as error:
        return error.message.removeprefix("it ")
    return ""


def test_a_weak_passphrase_makes_no_key():
    """If a passphrase is weak, the page creates no key, and the message does not contain the
    passphrase.
    """
    plan = plan_of(planned_certificate("a.contoso.com", algorithm="ECDSA"))
    with pytest.raises(RefusedByPage, match="^the passphrase is too easy to guess") as refused:
        make_archive(plan, passphrase="contosocontoso")
    assert "contosocontoso" not in str(refused.value)


def test_a_plan_with_errors_makes_no_request():
    """If a plan has an error that is not accepted, the page creates no request."""
    plan = ln.plan_certificates(_small(), ln.load_rules(), options=PlanOptions(wildcard=True))
    (finding, *_) = ln.check_plan(plan, on=TODAY)
    errors = [replace(finding, severity="error")]
    with pytest.raises(PlanRejected):
        prepare_folder(plan, NOW, findings=errors)
    accepted = prepare_folder(plan, NOW, findings=errors, accept={finding.code: "a test"})
    assert len(accepted["requests"]) == len(plan.certificates)
