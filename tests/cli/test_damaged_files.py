"""If any input file is damaged in any way, the command prints one sentence and does not crash.

Each damaged file is read by one of the commands for it. LYNCNB_DAMAGES sets how many files are
damaged, and LYNCNB_SEED the seed. A full test uses a thousand of each kind, CI three.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from cas.python_ca import PythonCa, der, p7b, pem
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from folders import (
    PASSPHRASE,
    TODAY,
    issue_all,
    lower_rounds,
    make_folder,
    make_plan,
    put_back,
    read_document,
    write_earlier,
)
from hostile import archive
from installed_certificates import Stored, export_of
from shell_kit import make_shell
from topologies import TWO_SITES
from topology_documents import front_end, topology_builder
from workbooks import rows_of, spreadsheet

import lyncnb as ln
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.plan.plan_json import plan_json
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.recovery_key import create_recovery_key

pytestmark = [
    pytest.mark.fault,
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.posix,
]

shell = pytest.fixture(make_shell)

COUNT = int(os.environ.get("LYNCNB_DAMAGES", "120"))

OPTIONS = """\
layout = "separate"
planned_issue_date = 2026-12-01

[key]
algorithm = "ECDSA"
bits = 256

[subject]
organization = "Contoso"

[accepted]
"wildcard-in-subject-name" = "the CA allows it"
"""

ASKED = ("--passphrase-file", "passphrase")
NEW = ("--new-passphrase-file", "new")
# Keys that can be created quickly and that differ from the keys in the request folder.
QUICK = (
    "--options",
    "quick.toml",
)

#: Commands that read a file outside of a request folder. In each command, {} is replaced with the
#: name of the file.
READERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "t.csv": (
        ("plan", "{}", "--json"),
        ("check", "{}"),
        ("explain", "{}", "ee01.contoso.com"),
        ("request", "{}", "requests", "--dry-run"),
        ("steps", "{}", "--request-on-server", "-o", "scripts"),
        ("compare", "{}", "t.json"),
    ),
    "t.json": (("compare", "{}", "t.csv"), ("compare", "t.csv", "{}", "--json")),
    "t.tbxml": (
        ("plan", "{}", "--json"),
        ("check", "{}"),
        ("compare", "t.csv", "{}"),
        ("request", "{}", "requests", "--dry-run"),
    ),
    "t.xlsx": (("check", "{}", "--json"), ("convert", "{}", "out.csv", "--force")),
    "t.ods": (("check", "{}"), ("compare", "t.csv", "{}", "--json")),
    "plan.toml": (
        ("check", "t.csv", "--options", "{}", "--json"),
        ("request", "t.csv", "requests", "--options", "{}", "--dry-run"),
    ),
    "n.ipynb": (("share", "{}"), ("share", "{}", "--clean"), ("clean", "{}")),
    "passphrase": (
        ("pfx", "requests", *ASKED),
        ("share", "n.ipynb", *ASKED),
        ("recovery", "new", "k", *ASKED),
        ("request", "t.csv", "new-requests", *QUICK, *ASKED),
    ),
    "new": (("rekey", "requests", *ASKED, *NEW),),
    "pair": (("rekey", "requests", "--with-recovery", "{}", *ASKED, *NEW),),
    "pair.pub": (
        ("rekey", "requests", *ASKED, "--recovery", "{}"),
        ("request", "t.csv", "requests", *QUICK, "--recovery", "{}", *ASKED),
    ),
    "export.pem": (("asis", "{}", "t.csv"), ("asis", "{}", "t.csv", "--json")),
    "kept.json": (
        ("request", "t.csv", "left-out", "--only-missing", "{}", "--reuse", "Edge", "--dry-run"),
        ("request", "t.csv", "left-out", "--only-missing", "{}", "--dry-run", "--json"),
    ),
    "one.req": (
        ("receive", "requests", "--request", "{}"),
        ("receive", "requests", "--request", "{}", "--json"),
    ),
    **{
        f"returned/{name}": (("receive", "requests", "{}"), ("receive", "requests", "{}", "--json"))
        for name in ("all.pem", "one.der", "all.p7b", "all.zip", "one.pfx", "one.txt")
    },
}

#: Commands that read a request folder. Commands that also change the folder are last.
FOLDER = (
    ("status", "requests"),
    ("status", "requests", "--json"),
    ("status", "requests", "--calendar", "c.ics", "--force"),
    ("handover", "requests", "out.zip", "--force"),
    ("request", "t.csv", "requests", "--dry-run"),
    ("compare", "requests", "t.csv", "--json"),
    ("steps", "requests", "-o", "steps.html", "--force"),
    ("steps", "requests"),
    ("pfx", "requests", "--show-password", "Edge", *ASKED),
    ("receive", "requests"),
    ("pfx", "requests", *ASKED),
    ("request", "t.csv", "requests", *QUICK, *ASKED),
    ("purge", "requests"),
    ("status", "requests", "--rebuild", "--json", *ASKED),
    ("rekey", "requests", "--with-recovery", "pair", *ASKED, *NEW),
)


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory):
    """Write a valid file of each type, and a request folder on which every command was run."""
    lower_rounds()
    work_folder, ca = tmp_path_factory.mktemp("sound"), PythonCa()
    (work_folder / "t.csv").write_bytes(TWO_SITES.encode())
    document = topology_builder(
        [front_end("p.contoso.com", ("fe1.contoso.com", "fe2.contoso.com"))]
    )
    (work_folder / "t.xlsx").write_bytes(ln.read_topology(TWO_SITES.encode()).to_xlsx())
    (work_folder / "t.ods").write_bytes(spreadsheet(rows_of(TWO_SITES)))
    (work_folder / "t.tbxml").write_text(document, encoding="utf-8")
    (work_folder / "plan.toml").write_text(OPTIONS)
    (work_folder / "quick.toml").write_text('key = { algorithm = "ECDSA", bits = 384 }')
    (work_folder / "passphrase").write_text(PASSPHRASE + "\n")
    (work_folder / "new").write_text("another long phrase\n")
    cell = nbformat.v4.new_code_cell("1 + 1")
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"})]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), work_folder / "n.ipynb")
    create_recovery_key(work_folder / "pair", PASSPHRASE)
    folder, plan = work_folder / "requests", make_plan()
    (work_folder / "t.json").write_bytes(plan_json(plan, ln.check_plan(plan)))
    make_folder(folder, plan, recovery=[work_folder / "pair.pub"])
    bundle = make_folder(folder, plan, renew=[plan.certificates[0].id], reason="again")
    answers = issue_all(bundle, ca, skip=[plan.certificates[2].id])
    returned, leaf = work_folder / "returned", next(iter(answers.values()))
    stored = [Stored(leaf, ("Default",))]
    (work_folder / "export.pem").write_bytes(export_of("ee01.contoso.com", stored, above=ca.chain))
    planned = ln.plan_certificates(ln.read_topology(TWO_SITES.encode()), ln.load_rules())
    comparison = ln.compare_as_is(planned, work_folder / "export.pem", on=TODAY)
    (work_folder / "kept.json").write_bytes(comparison.to_json())
    returned.mkdir()
    shutil.copy(next((folder / "csr").iterdir()), work_folder / "one.req")
    (returned / "all.pem").write_bytes(pem(*answers.values(), *ca.chain))
    (returned / "one.der").write_bytes(der(leaf))
    (returned / "one.txt").write_bytes(b"Dear planner,\n" + pem(leaf) + b"Regards\n")
    (returned / "all.p7b").write_bytes(p7b(*answers.values(), *ca.chain))
    (returned / "all.zip").write_bytes(archive(("a/b.cer", der(leaf)), ("c.pem", pem(*ca.chain))))
    locked = pkcs12.serialize_key_and_certificates(
        b"x", ca.key, ca.issuing, ca.chain, BestAvailableEncryption(b"portal")
    )
    (returned / "one.pfx").write_bytes(locked)
    receive(folder, returned / "all.pem", today=TODAY)
    write_pfx(match_certificates(open_requests(folder), today=TODAY), passphrase=PASSPHRASE)
    return work_folder


# The following functions each damage a file in a different way.


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    new = chance.choice(
        (b"\0", b"\xff" * 9, b"\r", b"-----BEGIN CERTIFICATE-----\n", b"\xed\xa0\x80", b"]" * 9,
         b'"', b"9" * 5000, b"{" * 3000, b"[" * 60_000, b"\x30\x80" * 500, "\u202e".encode(),
         b"1e999", b"null", b"-1", b"<?xml version='1.0'?>", b"=cmd|' /C calc'!A0")
    )  # fmt: skip
    return data[:start] + new + data[start + chance.choice((0, len(new))) :]


def _lines(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    number = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            del lines[number]
        case 1:
            lines.insert(number, lines[number])
        case 2:
            chance.shuffle(lines)
        case _:
            lines[number] = lines[number] * 3000
    return b"".join(lines)


def _another(data: bytes, chance: random.Random) -> bytes:
    return chance.choice(
        (b"", b"\0" * 5000, b"\n" * 5000, b"[]", b"{}", b"null", b"x", b"PK\x03\x04", b"\x30\x00",
         b"\x89PNG\r\n\x1a\n", chance.randbytes(3000), b"[" * 60_000, b'{"a":' * 40_000,
         b"a = [" * 20_000, data + data, data[::-1], data.decode("latin-1").encode("utf-16"),
         b"\xef\xbb\xbf" + data, b"\xff\xfe" + data, json.dumps(data.decode("latin-1")).encode(),
         b"%PDF-1.7\n", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----",
         b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", b"a,b\n1,2\n")
    )  # fmt: skip


def _no_file(path: Path, chance: random.Random) -> None:
    path.unlink()
    match chance.randrange(5):
        case 0:
            path.mkdir()
        case 1:
            path.symlink_to("nowhere")
        case 2:
            path.symlink_to(path.name)  # The path becomes a loop of symbolic links.
        case 3:
            os.mkfifo(path)


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_cut, _flip, _flip, _overwrite, _overwrite, _lines, _another),
)


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file in a random way, and return the name of the function that damaged it."""
    if chance.randrange(10) == 0:
        _no_file(path, chance)
        return "no file"
    way = chance.choice(BYTES)
    path.write_bytes(way(path.read_bytes(), chance))
    return way.__name__


# The following functions check the messages of a command.

#: Python names and internal library messages, which do not help a planner.
_DEBUG = re.compile(
    r"\b[A-Z][A-Za-z]*(Error|Exception|Warning)\b|ParseError|NoneType|<class|object at 0x|codec can"
    r"|argument must be|unhashable|not subscriptable|kind: |asn1|__\w+__"
)


def complaints(result, arguments: tuple[str, ...]) -> list[str]:
    """Return the problems in the output and the exit status of a command."""
    problems = []
    if result.status not in (0, 1, 2, 3):
        problems.append(f"status {result.status}")
    if "error in lyncnb" in result.err + result.out:
        problems.append("a fault")
    if result.status in (2, 3) and not result.out and "lyncnb: " not in result.err:
        problems.append("nothing said")
    if word := _DEBUG.search(result.err):
        problems.append(f"debug text {word[0]!r}")
    if "--json" in arguments:
        json.loads(result.out)
    return problems


def files_of(work_folder: Path) -> list[str]:
    """Return one file of each type that the commands read."""
    kinds = dict.fromkeys(READERS, "")
    names = [
        str(path.relative_to(work_folder)) for path in sorted((work_folder / "requests").rglob("*"))
    ]
    for name in names:
        if (work_folder / name).is_file():
            folder, _, file_name = name.rpartition("/")
            is_kind = folder != "requests" and Path(file_name).suffix
            kinds.setdefault(f"{folder}/*{Path(file_name).suffix}" if is_kind else name, name)
    return [name or kind for kind, name in kinds.items()]


def test_damaged_file_never_crashes_a_command(valid_files, shell, record_property):
    """With any damaged file, a command ends within seconds with an exit status from 0 to 3, and
    prints a clear sentence or JSON.
    """
    warnings.simplefilter("error")
    chance, faults = random.Random(int(os.environ.get("LYNCNB_SEED", "11"))), []
    names = files_of(valid_files)
    for number in range(COUNT):
        name = names[number % len(names)]
        shutil.copytree(valid_files, shell.folder, dirs_exist_ok=True, symlinks=True)
        way = damage(shell.folder / name, chance)
        content = (shell.folder / name).read_bytes() if (shell.folder / name).is_file() else b""
        call = chance.choice(READERS.get(name, FOLDER))
        arguments = tuple(part.replace("{}", name) for part in call)
        try:
            result = shell(*arguments)
            problems = complaints(result, arguments)
        except Exception as error:
            problems, result = [repr(error)], None
        if problems:
            faults.append(
                (name, way, arguments, problems, result and result.err[-300:], content[:30])
            )
        for path in shell.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    record_property("damages", COUNT)
    assert not faults, "\n".join(map(str, faults))


EDITS = {
    # The CSR contains a key that is not in the manifest.
    "no public key": (lambda d: d["requests"][0].update(spki_sha256=""), 3),
    "no server": (lambda d: d["requests"][0]["plan"].update(servers=[]), 3),
    "an empty chain": (lambda d: d["requests"][0]["issued"]["judgement"].update(chain=[]), 1),
    "an unpaired surrogate": (None, 3),
}


@pytest.mark.parametrize("edit", EDITS)
def test_manually_edited_manifest(shell, edit):
    """If a user edited the manifest incorrectly, every command that reads it prints a clear error
    message, and exits with the same status as ``status``.
    """
    change, status = EDITS[edit]
    bundle = make_folder(shell.folder / "requests", make_plan())
    ca = PythonCa()
    shell.write("all.pem", pem(*issue_all(bundle, ca).values(), *ca.chain))
    receive(bundle.folder, "all.pem", today=TODAY)
    document = read_document(bundle.folder)
    if change is None:
        write_earlier(bundle.folder, document)
        path = bundle.folder / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b'"FrontEnd"', b'"Front\xed\xa0\x80End"', 1))
    else:
        change(document)
        put_back(bundle.folder, document)
    shell.write("passphrase", PASSPHRASE)
    assert shell("status", "requests").status == status
    for command in (("receive",), ("pfx", *ASKED), ("steps",), ("forecast",), ("compare",)):
        words = [command[0], "requests", *command[1:]]
        if command[0] == "compare":
            words.append("requests")
        assert shell(*words).status in (0, 1, 2, 3), command
