"""Test the commands that work with a request folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from folders import (
    PASSPHRASE,
    lose_record,
    read_document,
    record_deployed,
    snapshot,
)
from shell_kit import make_shell, process_environment
from topologies import TWO_FRONT_ENDS

from lyncnb.authorities.status import STATES
from lyncnb.cli.folder import status_command
from lyncnb.request_folder.request_record import find_request_id

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)


@pytest.fixture
def topology(shell):
    """Write a table with two servers, which results in a plan without errors."""
    return shell.write("contoso.csv", TWO_FRONT_ENDS)


@pytest.fixture
def passphrase(shell):
    """Write a file that contains the passphrase of the request folder."""
    return shell.write("passphrase.txt", PASSPHRASE + "\r\nnot this line\n")


@pytest.fixture
def written_folder(shell, topology, passphrase):
    """Write the folder `requests` once, and return the arguments of the command that writes it."""
    arguments = (
        *("request", topology, "requests"),
        *("--passphrase-file", passphrase),
    )
    assert shell(*arguments).status == 0
    return arguments


def _snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_request_writes_the_folder(shell, written_folder):
    """The request command writes keys, requests and the summary, and lists them in its output."""
    folder = shell.folder / "requests"
    names = {path.name for path in folder.iterdir() if path.name[0] != "."}
    # On Windows, the lock file is removed when the last process ends.
    assert names - {"lyncnb.lock"} == {
        *("csr", "keys", "manifest.json", "plan.json", "record"),
        *("summary.csv", "summary.html", "summary.md", "summary.xlsx"),
    }
    assert len(list(folder.glob("csr/*.csr"))) == len(list(folder.glob("keys/*.key"))) == 3


def test_location_is_shown_before_the_passphrase_is_asked(shell, topology, passphrase):
    """Before it asks for the passphrase, the request command shows the location of a new folder, so
    that you can choose another one.
    """
    (shell.folder / ".git").mkdir()
    result = shell("request", topology, "requests", "--passphrase-file", shell.folder / "none")
    assert result.status == 3
    assert "is in the git working tree" in result.err
    assert not (shell.folder / "requests").exists()
    result = shell("request", topology, "requests", "--passphrase-file", passphrase)
    assert result.status == 0
    assert result.err.count("is in the git working tree") == 1
    result = shell("request", topology, "requests", "--passphrase-file", passphrase)
    assert "git" not in result.err


def test_request_again_changes_nothing(shell, written_folder):
    """If the request command is repeated, no file and no time stamp changes."""
    before = _snapshot(shell.folder / "requests")
    result = shell(*written_folder)
    assert result.status == 0
    assert result.out.startswith("3 requests in the folder requests: 3 kept\n")
    assert _snapshot(shell.folder / "requests") == before


def test_request_dry_run_changes_nothing(shell, topology):
    """The command request --dry-run needs no passphrase, shows the changes, and creates no folder."""
    result = shell("request", topology, "requests", "--dry-run")
    assert result.status == 0
    assert "\n3 requests would be created, generation 1 (new in the plan): FrontEnd-" in result.out
    assert "3 requests in the folder requests: 3 would be created\n" in result.out
    assert not (shell.folder / "requests").exists()


def test_request_shows_the_reason_for_a_renewal(shell, written_folder, topology):
    """If the plan changes, the request command renews the changed requests and shows the name of
    the changed field.
    """
    topology.write_text(TWO_FRONT_ENDS.replace("dialin.contoso.com", "dial.contoso.com"))
    result = shell(*written_folder)
    assert (
        "2 requests renewed, generation 2 (san: + dial.contoso.com, - dialin.contoso.com)"
        in result.out
    )
    assert len(list((shell.folder / "requests" / "archive").iterdir())) == 4


def test_request_renew(shell, written_folder):
    """The command request --renew renews one request and records the given reason."""
    result = shell(*written_folder, "--renew", "FrontEnd-fe01", "--reason", "key lost")
    assert result.out.startswith(
        '1 request renewed, generation 2 (reason: "key lost"): FrontEnd-fe01-contoso-net-'
    )
    result = shell(*written_folder, "--renew", "FrontEnd-fe01")
    assert result.status == 2
    assert "needs a reason" in result.err


def test_request_json(shell, written_folder):
    """The command request --json prints one JSON document with an entry for each request."""
    result = shell(*written_folder, "--json")
    document = json.loads(result.out)
    assert (result.status, document["format"]) == (0, "lyncnb-result/1")
    assert [change["action"] for change in document["changes"]] == ["kept"] * 3


def test_request_rejects_a_plan_with_errors(shell, passphrase):
    """The request command rejects a plan with errors that the user has not accepted. It exits with
    status 1 before it asks for the passphrase.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS.replace(",web.contoso.com", ","))
    arguments = ("request", table, "requests")
    refused = shell(*arguments)
    assert refused.status == 1
    assert "web-external-fqdn-missing" in refused.err
    assert not (shell.folder / "requests").exists()
    accepted = shell(
        *(*arguments, "--passphrase-file", passphrase),
        *("--accept", "web-external-fqdn-missing=no users outside"),
    )
    assert accepted.status == 0
    manifest = read_document(shell.folder / "requests")
    assert manifest["accepted"] == [
        {"code": "web-external-fqdn-missing", "reason": "no users outside"}
    ]


@pytest.mark.parametrize("value", ["web-external-fqdn-missing", "=x", "a=", "nonsense=because"])
def test_accept_requires_a_known_code_and_a_reason(shell, topology, value):
    """If the value of --accept has no reason or an unknown code, the request command ends with a
    usage error.
    """
    result = shell("request", topology, "requests", "--accept", value)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("lyncnb: request: ")


def test_passphrase_is_removed_from_the_environment(shell, topology, monkeypatch):
    """The request command uses LYNCNB_PASSPHRASE and then removes it from the environment that
    child processes inherit.
    """
    monkeypatch.setattr("lyncnb.pki.passphrase._remembered", None)
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)
    assert shell("request", topology, "requests").status == 0
    assert "LYNCNB_PASSPHRASE" not in os.environ
    monkeypatch.setattr("lyncnb.pki.passphrase._remembered", None)


def test_status_lists_requests(shell, written_folder):
    """The status command shows the state of each request without a passphrase."""
    result = shell("status", "requests")
    assert result.status == 0
    assert result.out.count("  waiting  ") == 3
    document = json.loads(shell("status", "requests", "--json").out)
    assert document["format"] == "lyncnb-status/1"
    assert document["counts"] == {"waiting": 3}


def test_status_writes_a_calendar(shell, written_folder):
    """The command status --calendar writes an iCalendar file, even if no renewal is due."""
    assert shell("status", "requests", "--calendar", "renewals.ics").status == 0
    text = (shell.folder / "renewals.ics").read_text("utf-8")
    assert text.startswith("BEGIN:VCALENDAR")
    assert "BEGIN:VEVENT" not in text


def test_status_of_a_damaged_folder(shell, written_folder):
    """If a key is missing, the status command exits with status 3 and prints the name of the key to
    standard error.
    """
    key = sorted((shell.folder / "requests" / "keys").iterdir())[0]
    key.rename(shell.folder / "elsewhere.key")
    result = shell("status", "requests")
    assert result.status == 3
    assert f"keys/{key.name}" in result.err


def test_status_rebuild(shell, written_folder, passphrase):
    """The command status --rebuild restores a lost record from the keys and requests."""
    lose_record(shell.folder / "requests")
    assert shell("status", "requests").status == 3
    command = ("--rebuild", "--passphrase-file", passphrase)
    result = shell("status", "requests", *command, "--json")
    document = json.loads(result.out)
    assert result.status == 3
    assert document["counts"] == {"waiting": 3}
    assert [change["action"] for change in document["rebuilt"]["changes"]] == ["adopted"] * 3
    # The proofs of the keys were in the manifest, so a person confirms the requests.
    notes = document["rebuilt"]["notes"]
    assert len([note for note in notes if note.startswith("not verified: ")]) == 3
    assert shell("status", "requests", "*", *command).status == 0
    assert shell("status", "requests").status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("contoso.csv", ""), "the argument FOLDER is blank"),
        (("contoso.csv", "requests", "--reason", "leaked"), "--reason is the reason for a renewal"),
    ],
)
def test_request_rejects_incomplete_arguments(shell, passphrase, arguments, message):
    """The ``request`` command rejects an empty folder name, and also rejects ``--reason`` without
    ``--renew``.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    result = shell("request", *arguments, "--passphrase-file", passphrase)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"lyncnb: request: {message}")
    assert not list(shell.folder.glob("*/keys"))
    assert not (shell.folder / "keys").exists()


def test_rekey(shell, written_folder, passphrase):
    """The rekey command encrypts the keys in the folder with the new passphrase, and the old
    passphrase can no longer open them.
    """
    new = shell.write("new.txt", "another horse battery\n")
    arguments = ("rekey", "requests", "--passphrase-file", passphrase)
    result = shell(*arguments, "--new-passphrase-file", new, "--json")
    assert json.loads(result.out)["changed"] == 3
    assert shell(*written_folder).status == 3
    passphrase.write_bytes(new.read_bytes())
    assert shell(*written_folder).out.startswith("3 requests in the folder requests: 3 kept\n")


@pytest.mark.parametrize("taken_out", [(), ("--recovery", "a.pub", "--without-recovery", "1234")])
def test_rekey_without_a_new_passphrase(shell, written_folder, passphrase, taken_out):
    """If the rekey command cannot ask for the new passphrase, the error message contains the name
    of the option, and nothing changes.
    """
    before = snapshot(shell.folder / "requests")
    result = shell.process("rekey", "requests", "--passphrase-file", passphrase, *taken_out)
    assert (result.status, result.out) == (3, "")
    assert result.err == (
        "lyncnb: you did not specify a new passphrase, and lyncnb cannot prompt for it without a terminal\n"
        "  hint: specify a file that contains the new passphrase: --new-passphrase-file FILE\n"
    )
    assert snapshot(shell.folder / "requests") == before


def test_rekey_checks_the_folder_first(shell):
    """The rekey command checks the request folder before it asks for the two passphrases."""
    result = shell("rekey", "nowhere", "--json")
    assert (result.status, json.loads(result.out)["error"]["code"]) == (3, "folder")
    assert result.err.startswith(
        "lyncnb: this folder is not a request folder, because "
        f"{Path('nowhere', 'manifest.json')} does not exist"
    )


def test_help_of_status_explains_every_state():
    """The help of the status command explains each state, in the order in which a request passes
    through the states.
    """
    states = status_command.help.partition("States: ")[2].partition(".")[0]
    assert " ".join(states.split()).split(", ") == list(STATES)


def test_purge_lists_first(shell, written_folder):
    """The purge command removes nothing without the token of the list that it shows. The list never
    contains a request that a CA may still be processing.
    """
    result = shell("purge", "requests")
    assert (result.status, result.out) == (0, "requests: nothing to remove\n")
    document = json.loads(shell("purge", "requests", "--json").out)
    assert (document["format"], document["done"], document["items"]) == (
        "lyncnb-purge/1",
        False,
        [],
    )


@pytest.mark.posix
def test_interrupted_run_keeps_complete_pairs(shell, passphrase):
    """After Ctrl+C, the command exits with status 130 and keeps each key that has its CSR, and the
    next run completes the folder.
    """
    rows = "".join(f"fe{number:02}.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,\n"
                   for number in range(3, 31))  # fmt: skip
    table = shell.write("contoso.csv", TWO_FRONT_ENDS + rows)
    arguments = ["request", str(table), "requests", "--passphrase-file", str(passphrase)]
    process = subprocess.Popen(
        [sys.executable, "-m", "lyncnb", *arguments],
        cwd=shell.folder,
        env=process_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    requests = shell.folder / "requests" / "csr"
    give_up = time.monotonic() + 60
    while not list(requests.glob("*.csr")) and time.monotonic() < give_up:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "lyncnb stops as soon as the keys in progress" in err
    assert "canceled; run the command again to complete" in out
    assert "Traceback" not in err
    finished = {path.name: path.read_bytes() for path in requests.glob("*.csr")}
    assert 0 < len(finished) < 31
    result = shell(*arguments)
    assert result.status == 0
    assert len(list(requests.glob("*.csr"))) == 31
    assert finished.items() <= {p.name: p.read_bytes() for p in requests.glob("*.csr")}.items()


@pytest.mark.posix
def test_new_folder_asks_for_the_passphrase_twice(shell, topology):
    """On a terminal, lyncnb asks for the passphrase of a new folder twice and never shows it."""
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "lyncnb", "request", str(topology), "requests"],
        dimensions=(40, 120),
        env=process_environment(),
        cwd=str(shell.folder),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("generating 3 keys takes")
    child.expect("at least 12 characters")
    child.sendline(PASSPHRASE)
    child.expect("Repeat the passphrase")
    child.sendline(PASSPHRASE)
    output = child.read()
    child.close()
    assert child.exitstatus == 0, output
    assert "3 created" in output
    assert PASSPHRASE not in output


def test_new_folder_rejects_a_weak_passphrase(shell, topology, written_folder):
    """For a new folder, lyncnb rejects a weak passphrase in a passphrase file with exit status 3.
    An existing folder still accepts its weak passphrase.
    """
    weak = shell.write("weak.txt", "fe01.contoso.net\n")
    result = shell("request", topology, "new", "--passphrase-file", weak)
    assert result.status == 3
    assert "too easy to guess" in result.err
    assert "fe01" not in result.err
    assert not (shell.folder / "new").exists()


@pytest.mark.posix
def test_folder_of_another_deployment_needs_confirmation(shell, topology, written_folder):
    """If the request folder belongs to another deployment, lyncnb shows the names of both
    deployments and asks whether to continue.

    The default is no.
    """
    pexpect = pytest.importorskip("pexpect")
    other = shell.write("other.csv", TWO_FRONT_ENDS.replace("contoso", "fabrikam"))
    result = shell.process("request", other, *written_folder[2:], "--dry-run")
    # The folder does not exist yet, because nothing was written.
    assert "another deployment" not in result.err
    before = _snapshot(shell.folder / "requests")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "lyncnb", "request", str(other), "requests"],
        dimensions=(40, 200),
        env=process_environment(),
        cwd=str(shell.folder),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("This folder contains the requests of another deployment: ")
    child.expect("write the requests for .*fabrikam")
    child.sendline("")
    child.expect("no files were written")
    child.read()
    child.close()
    assert child.exitstatus == 3
    assert _snapshot(shell.folder / "requests") == before


def test_folder_of_another_deployment_is_refused_without_a_terminal(
    shell, topology, written_folder
):
    """Without a terminal, lyncnb retires no request of another deployment without a reason, and
    the reason is kept in the folder.
    """
    other = shell.write("other.csv", TWO_FRONT_ENDS.replace("contoso", "fabrikam"))
    before = _snapshot(shell.folder / "requests")
    result = shell.process("request", other, *written_folder[2:])
    assert result.status == 3
    assert "This folder contains the requests of another deployment: " in result.err
    assert "--reason TEXT" in result.err
    assert _snapshot(shell.folder / "requests") == before
    reason = "the sample was replaced"
    result = shell.process("request", other, *written_folder[2:], "--reason", reason)
    assert result.status == 0, result.err
    manifest = read_document(shell.folder / "requests")
    assert [entry["about"] for entry in manifest["log"]] == [reason]
    states = {entry["state"] for entry in manifest["requests"] if "contoso" in entry["id"]}
    assert states == {"retired"}
    result = shell.process("request", other, *written_folder[2:], "--reason", reason)
    assert result.status == 2
    assert "it needs --renew" in result.err


# The following tests use the commands handover, receive and pfx.


@pytest.fixture
def answered_folder(shell, written_folder):
    """Write a request folder, and a folder `back` with a certificate for each request, and return
    the arguments of the request command.
    """
    authority = PythonCa()
    (shell.folder / "back").mkdir()
    for path in (shell.folder / "requests" / "csr").iterdir():
        request = x509.load_pem_x509_csr(path.read_bytes())
        leaf = authority.issue_for(request, begins=datetime.now(UTC) - timedelta(days=1))
        (shell.folder / "back" / f"{path.stem}.pem").write_bytes(pem(leaf, *authority.chain))
    return written_folder


def test_handover_packs_requests_without_keys(shell, written_folder):
    """The handover package contains every waiting CSR, and repeating the command does not change
    the package.
    """
    result = shell("handover", "requests", "out.zip", "--json")
    document = json.loads(result.out)
    assert (result.status, document["format"]) == (0, "lyncnb-handover/1")
    with zipfile.ZipFile(shell.folder / "out.zip") as archive:
        names = archive.namelist()
    assert len([name for name in names if name.endswith(".csr")]) == 3
    assert not [name for name in names if "key" in name.lower()]
    assert shell("handover", "requests", "out.zip").status == 0


def test_handover_accepts_a_template_for_each_usage(shell, written_folder):
    """In the handover command, a template without a prefix applies to server authentication, and
    clientAuth=TEMPLATE applies to the other requests.
    """
    result = shell("handover", "requests", "out.zip", "--template", "LyncWeb",
                  "--template", "clientAuth=LyncBoth")  # fmt: skip
    assert result.status == 0
    with zipfile.ZipFile(shell.folder / "out.zip") as archive:
        assert b'set "TEMPLATE=LyncWeb"' in archive.read("internal/submit.cmd")
    result = shell("handover", "requests", "out.zip", "--template", "clientAuth=a&b")
    assert result.status == 2
    assert "is not a valid certificate template name" in result.err


def test_handover_without_a_matching_request(shell, written_folder):
    """If no request matches a filter of the handover command, the error message lists the values
    that the filter accepts.
    """
    result = shell("handover", "requests", "out.zip", "--site", "Nowhere")
    assert result.status == 3
    assert "Taipei" in result.err
    assert not (shell.folder / "out.zip").exists()


def test_table_is_not_a_request_folder(shell):
    """If a table is passed instead of a request folder, the error message says that it is a table
    and not a damaged folder.
    """
    table = shell.write("table.csv", b"server_fqdn,role\n")
    for command in ("status", "steps"):
        result = shell(command, table)
        assert result.status == 3
        assert "is a file, not a" in result.err
        assert "backup" not in result.err


def test_receive_and_package(shell, answered_folder, passphrase):
    """lyncnb matches, stores and packages returned certificates, and the status command shows their
    state.
    """
    result = shell("receive", "requests", "back", "--json")
    document = json.loads(result.out)
    assert result.status == 0, document["findings"]
    assert len(document["certificates"]) == 3
    assert json.loads(shell("status", "requests", "--json").out)["counts"] == {"issued": 3}
    result = shell("pfx", "requests", "--passphrase-file", passphrase, "--json")
    assert result.status == 0
    assert [package["action"] for package in json.loads(result.out)["packages"]] == ["written"] * 3
    assert json.loads(shell("status", "requests", "--json").out)["counts"] == {"packaged": 3}
    result = shell("pfx", "requests", "--passphrase-file", passphrase)
    assert result.out.startswith("3 packages kept (")
    assert "\nPackages: 0 written, 3 kept, 0 refused" in result.out


def test_receive_reports_differences_and_unreadable_files(shell, answered_folder):
    """The receive command exits with status 1 if a certificate differs from the plan, and with 2 if
    a file is unreadable or missing.
    """
    wrong = shell.write("wrong.cer", b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    assert shell("receive", "requests", wrong).status == 2
    assert shell("receive", "requests", "nowhere.cer").status == 2
    request = next((shell.folder / "requests" / "csr").glob("FrontEnd-fe01*"))
    csr = x509.load_pem_x509_csr(request.read_bytes())
    authority = PythonCa()
    begins = datetime.now(UTC) - timedelta(days=1)
    leaf = authority.issue_for(csr, begins=begins, san=["pool.contoso.net"])
    shell.write("short.pem", pem(leaf, *authority.chain))
    result = shell("receive", "requests", "short.pem")
    assert result.status == 1
    assert "fe01.contoso.net" in result.out


def test_pfx_without_certificates(shell, written_folder, passphrase):
    """If some certificates cannot be packaged, the pfx command exits with status 1 and shows the
    reason for each one.
    """
    result = shell("pfx", "requests", "--passphrase-file", passphrase)
    assert result.status == 1
    assert result.out.startswith("3 packages not created (no certificate has been issued yet; ")


def test_steps(shell, answered_folder, passphrase):
    """The steps command writes the steps, and exits with status 1 until every certificate is
    packaged.
    """
    result = shell("steps", "requests")
    assert result.status == 1
    assert result.out.startswith("3 certificates not packaged: ")
    assert shell("receive", "requests", "back").status == 0
    assert shell("pfx", "requests", "--passphrase-file", passphrase).status == 0
    result = shell("steps", "requests", "--json")
    document = json.loads(result.out)
    assert (result.status, document["missing"]) == (0, [])
    assert document["servers"] == ["fe01.contoso.net", "fe02.contoso.net"]
    assert all(Path(name).is_file() for name in document["files"])
    script = Path("requests/steps/fe01.contoso.net/install.ps1").read_bytes()
    chinese = shell("steps", "requests", "--lang", "zh-TW", "--json")
    assert json.loads(chinese.out) == document
    assert "預期結果" in next(Path("requests/steps").glob("*pool*.html")).read_text("utf-8")
    assert Path("requests/steps/fe01.contoso.net/install.ps1").read_bytes() == script
    assert '"en", "zh-TW"' in shell("steps", "requests", "--lang", "fr").err
    assert "written: list.html\n" in shell("steps", "requests", "-o", "list.html").out
    assert shell("steps", "requests", "-o", "list.docx").status == 2
    assert shell("steps", "requests", "--effective", "tomorrow").status == 2


def test_requests_on_a_server(shell):
    """The command steps --request-on-server writes a page and a script for each request, or nothing
    if the plan has errors.
    """
    good = "server_fqdn,role,sip_domains\nmed01.contoso.com,Mediation,contoso.com\n"
    (shell.folder / "good.csv").write_text(good)
    result = shell("steps", "good.csv", "--request-on-server", "-o", "out")
    assert result.status == 0
    assert (shell.folder / "out" / "steps" / "requests.html").is_file()
    assert len(list((shell.folder / "out" / "steps").glob("Mediation-*.ps1"))) == 1
    (shell.folder / "bad.csv").write_text(good.replace("Mediation", "FrontEnd"))
    result = shell("steps", "bad.csv", "--request-on-server", "-o", "bad")
    assert result.status == 1
    assert not (shell.folder / "bad").exists()
    assert shell("steps", "good.csv", "--request-on-server").status == 2
    assert shell("steps", "requests", "--options", "plan.toml").status == 2


@pytest.mark.posix
def test_password_is_shown_only_on_a_terminal(shell, answered_folder, passphrase):
    """The pfx command shows the password of a package on a terminal and then clears it, but does
    not write it to a pipe.

    It writes no password to a pipe.
    """
    assert shell("receive", "requests", "back").status == 0
    assert shell("pfx", "requests", "--passphrase-file", passphrase).status == 0
    arguments = ["pfx", "requests", "--passphrase-file", str(passphrase), "--show-password"]
    refused = shell.process(*arguments, "FrontEnd-fe01")
    assert (refused.status, refused.out) == (3, "")
    assert "only on a terminal" in refused.err
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "lyncnb", *arguments, "FrontEnd-fe01"],
        env=process_environment(),
        cwd=str(shell.folder),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("([A-Za-z0-9]{22,})\r\n")
    password = child.match[1]
    child.expect("Press Enter")
    child.sendline("")
    output = child.read()
    child.close()
    assert child.exitstatus == 0, output
    assert "\x1b[2A\x1b[J" in output
    package = next((shell.folder / "requests" / "pfx").glob("FrontEnd-fe01*.pfx"))
    assert pkcs12.load_pkcs12(package.read_bytes(), password.encode()).key is not None


# The following tests use the purge command.


@pytest.fixture
def superseded(shell, answered_folder, passphrase):
    """Return a folder whose first request was renewed and deployed, so that its old key and CSR can
    be removed.
    """
    assert shell(*answered_folder, "--renew", "FrontEnd-fe01", "--reason", "test").status == 0
    authority = PythonCa()
    [answer] = (shell.folder / "back").glob("FrontEnd-fe01*")
    answer.unlink()
    path = next((shell.folder / "requests" / "csr").glob("FrontEnd-fe01*"))
    request = x509.load_pem_x509_csr(path.read_bytes())
    leaf = authority.issue_for(request, begins=datetime.now(UTC) - timedelta(days=1))
    shell.write("back/new.pem", pem(leaf, *authority.chain))
    accept = ("--accept", "issued-under-another-root=the CA is made anew for each test")
    assert shell("receive", "requests", "back", *accept).status in (0, 1)
    record_deployed(shell.folder / "requests", find_request_id(path.stem))
    return shell.folder / "requests" / "archive"


def test_purge_asks_for_the_passphrase_if_passwords_exist(shell, superseded, passphrase):
    """If packages have passwords, the purge command asks for the passphrase, because it also
    removes passwords from the encrypted list.
    """
    options = ("--passphrase-file", passphrase)
    assert shell("pfx", "requests", *options).status in (0, 1)
    result = shell("purge", "requests")
    assert result.status == 3
    assert "passphrase" in result.err
    result = shell("purge", "requests", *options)
    assert result.status == 0
    assert "Version histories, snapshots, recycle bins, and backups keep copies" in result.out


def test_purge_with_its_token(shell, superseded):
    """With the token of a list, the purge command removes exactly the files on this list. With
    another token, it removes nothing.
    """
    listing = json.loads(shell("purge", "requests", "--json").out)
    assert [item["why"] for item in listing["items"]] == [
        "superseded: the servers already use generation 2"
    ]
    assert shell("purge", "requests", "--confirm", "00000000").status == 3
    assert len(list(superseded.glob("*.key"))) == 1
    result = shell("purge", "requests", "--confirm", listing["token"])
    assert result.status == 0
    assert "1 item removed" in result.out
    assert list(superseded.glob("*.key")) == []
    assert shell("purge", "requests", "--deployed", "nothing").status == 3


@pytest.mark.posix
@pytest.mark.parametrize(("answer", "keys"), [("no", 1), ("", 1), ("yes", 0)])
def test_purge_asks_on_a_terminal(shell, superseded, answer, keys):
    """On a terminal, the purge command lists the files and removes them only if the user answers
    yes.
    """
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "lyncnb", "purge", "requests"],
        dimensions=(40, 200),
        env=process_environment(),
        cwd=str(shell.folder),
        encoding="utf-8",
        timeout=60,
    )
    child.expect("superseded: the servers already use generation 2")
    child.expect("type yes")
    child.sendline(answer)
    output = child.read()
    child.close()
    assert child.exitstatus == 0, output
    assert len(list(superseded.glob("*.key"))) == keys


def test_recovery_key_opens_a_folder(shell, written_folder, passphrase):
    """A recovery key can be created, added, identified by its fingerprint, used without the
    passphrase, and removed.
    """
    key_passphrase = shell.write("own.txt", "the words of the key\n")
    new = shell.write("new.txt", "another long phrase\n")
    created = shell("recovery", "new", "keep", "--passphrase-file", key_passphrase, "--json")
    fingerprint = json.loads(created.out)["fingerprint"]
    options = ("--passphrase-file", passphrase)
    for name in ("keep", "written-before"):
        (shell.folder / "written-before.pub").write_text("another's")
        repeated = shell("recovery", "new", name, "--passphrase-file", key_passphrase)
        assert (repeated.status, "already exists" in repeated.err) == (2, True)
    assert not (shell.folder / "written-before").exists()
    added = shell("rekey", "requests", "--recovery", "keep.pub", *options)
    assert (added.status, fingerprint in added.out) == (0, True)
    assert fingerprint in shell("status", "requests", "-v").err
    opened = shell(
        *("rekey", "requests", "--with-recovery", "keep", "--passphrase-file", key_passphrase),
        *("--new-passphrase-file", new),
    )
    assert opened.status == 0, opened.err
    assert shell("request", *written_folder[1:3], "--passphrase-file", new).status == 0
    third = shell.write("third.txt", "a third long phrase\n")
    out = shell(
        *("rekey", "requests", "--without-recovery", fingerprint, "--passphrase-file", new),
        *("--new-passphrase-file", third),
    )
    assert out.status == 0, out.err
    assert fingerprint not in shell("status", "requests", "-v").err
    refused = shell("rekey", "requests", "--recovery", "keep", "--passphrase-file", third)
    assert "is the private half of a recovery key. Never share this file" in refused.err
    assert refused.status == 3
