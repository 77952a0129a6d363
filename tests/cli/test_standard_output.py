"""If standard output is closed, is on a full disk, or is a pipe that nothing reads, every command
prints one line to standard error and exits with status 3.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from folders import PASSPHRASE
from installed_certificates import write_all
from shell_kit import make_shell, process_environment
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import main
from lyncnb.cli.app import COMMANDS

pytestmark = [
    pytest.mark.posix,
    pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full and fork"),
    pytest.mark.usefixtures("quick_cipher"),
]

shell = pytest.fixture(make_shell)

# For each command, a call that succeeds and a call that fails, with --json if the command supports
# it.
PASS = ("--passphrase-file", "passphrase")
CALLS = {
    "run": (("n.ipynb",), ("nowhere.ipynb",)),
    "share": (("n.ipynb",), ("nowhere.ipynb",)),
    "clean": (("n.ipynb",), ("nowhere.ipynb",)),
    "page": (("contoso.csv", "-o", "planner.html"), ("nowhere.csv", "-o", "planner.html")),
    "guide": (("first", "--answers", "answers.toml"), ("first", "--answers", "nowhere.toml")),
    "plan": (("contoso.csv",), ("nowhere.csv",)),
    "check": (("contoso.csv",), ("nowhere.csv",)),
    "explain": (("contoso.csv", "fe01.contoso.net"), ("contoso.csv", "nowhere.contoso.net")),
    "compare": (("contoso.csv", "contoso.csv"), ("contoso.csv", "nowhere.csv")),
    "approve": (
        ("saved.json", "--key", "signer", "--confirm", "DIGEST"),
        ("nowhere.json", "--key", "signer"),
    ),
    "asis": (("standing.pem", "contoso.csv"), ("nowhere.pem", "contoso.csv")),
    "probe": (("contoso.csv", "--hosts", "hosts"), ("nowhere.csv",)),
    "trust": (("contoso.csv",), ("nowhere.csv",)),
    "forecast": (("contoso.csv", "--on", "2026-11-25"), ("nowhere.csv", "--on", "2026-11-25")),
    "convert": (("contoso.csv", "out.xlsx"), ("nowhere.csv", "out.xlsx")),
    "template": (("out.xlsx",), ("contoso.csv",)),
    "snippet": (("topology",), ("nothing",)),
    "request": (("contoso.csv", "requests", *PASS), ("contoso.csv", "requests")),
    "status": (("requests",), ("nowhere",)),
    "handover": (("requests", "out.zip"), ("nowhere", "out.zip")),
    "receive": (("requests",), ("nowhere",)),
    "pfx": (("requests", *PASS), ("nowhere", *PASS)),
    "steps": (("requests",), ("nowhere",)),
    "deployed": (("requests", "--on", "2026-11-25"), ("nowhere",)),
    "renew": (
        ("requests", "FrontEnd-fe01", "--withdraw", "--reason", "renewal", *PASS),
        ("nowhere", "FrontEnd-fe01", "--withdraw", "--reason", "renewal", *PASS),
    ),
    "rekey": (
        ("requests", *PASS, "--new-passphrase-file", "new"),
        ("nowhere", *PASS, "--new-passphrase-file", "new"),
    ),
    "purge": (("requests",), ("nowhere",)),
    "recovery": (("new", "k.recovery", *PASS), ("new", "passphrase", *PASS)),
}
SERVES_UNTIL_STOPPED = {"lab"}
TAKES_JSON = {c.name for c in COMMANDS if any(p.name == "as_json" for p in c.params)}
STATES = {
    "closed": "the stream is closed",
    "full": "No space left on device",
    "cut": "Broken pipe",
}


@pytest.fixture(scope="module")
def input_files(tmp_path_factory):
    """Write the input files that the commands need."""
    folder = tmp_path_factory.mktemp("planner")
    (folder / "contoso.csv").write_text(TWO_FRONT_ENDS)
    write_all(TWO_FRONT_ENDS, folder / "standing.pem")
    (folder / "answers.toml").write_text('sip_domains = "contoso.com"')
    (folder / "hosts").write_text("fe01.contoso.net 5062 127.0.0.1:1\n")
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "new").write_text(PASSPHRASE + "!")
    nbformat.write(nbformat.v4.new_notebook(), folder / "n.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["request", "contoso.csv", "requests", *PASS]) == 0
        assert main(["plan", "contoso.csv", "--save", "saved.json"]) == 0
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "signer"], check=True)
    return folder


@pytest.fixture
def copied_files(input_files, tmp_path, monkeypatch):
    """Copy the files to a new folder, change to the folder, and return its path."""
    shutil.copytree(input_files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_in_child(arguments: list[str], state: str, folder: Path) -> tuple[int, str]:
    """Run a command in a child process whose standard output is closed, full, or a pipe, depending
    on `state`.
    """
    error_file = folder / "told"
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = _run(arguments, state, error_file)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), error_file.read_text("utf-8")


def _run(arguments: list[str], state: str, error_file: Path) -> int:
    os.dup2(os.open(error_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.close(1)
    if state == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    elif state == "cut":
        # The child process closed standard output, so the next file that it opens gets the file
        # descriptor 1.
        reading, writing = os.pipe()
        os.dup2(writing, 9)
        os.close(reading)
        os.dup2(9, 1)
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = None if state == "closed" else open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115
    status = main(arguments)
    sys.stderr.flush()
    return status


def test_every_command_is_in_the_table():
    """``CALLS`` contains all commands except those that run until the user stops them."""
    assert set(CALLS) | SERVES_UNTIL_STOPPED == {command.name for command in COMMANDS}


@pytest.mark.slow
@pytest.mark.parametrize("command", CALLS)
def test_completed_work_is_kept_if_standard_output_fails(copied_files, command, request):
    """If standard output fails after a command has completed its work, the results of the work are
    kept, and the error describes the failure.
    """
    if command == "page":
        request.getfixturevalue("built_page")
    digest = json.loads((copied_files / "saved.json").read_bytes())["sha256"]
    arguments = [digest if argument == "DIGEST" else argument for argument in CALLS[command][0]]
    for state, words in STATES.items():
        for options in [(), ("--json",)] if command in TAKES_JSON else [()]:
            status, error_output = run_in_child(
                [command, *arguments, *options], state, copied_files
            )
            if command == "rekey":  # After this command, the folder has another passphrase.
                old, new = ((copied_files / name).read_text() for name in ("passphrase", "new"))
                (copied_files / "passphrase").write_text(new)
                (copied_files / "new").write_text(old)
            # The command never overwrites an existing recovery key.
            for key_file in copied_files.glob("k.recovery*"):
                key_file.unlink()
            last = error_output.splitlines()[-1]
            assert (status, last[:36]) == (3, "lyncnb: cannot write to standard out"), (
                state,
                error_output,
            )
            assert words in last
            assert "Traceback" not in error_output
            # The commands asis and receive also print notes about a root to compare manually.
            others = error_output.splitlines()[:-1]
            assert [x for x in others if not x.startswith(("note: ", "notice: "))] == [], (
                error_output
            )


@pytest.mark.parametrize("command", sorted(TAKES_JSON & set(CALLS)))
def test_json_error_without_standard_output(copied_files, command):
    """If an error cannot be written to standard output as JSON, one line on standard error reports
    both problems.
    """
    _, arguments = CALLS[command]
    for state, words in STATES.items():
        status, error_output = run_in_child([command, *arguments, "--json"], state, copied_files)
        assert status == 3
        (line,) = error_output.splitlines()
        assert line.startswith("lyncnb: cannot write to standard output: ")
        assert words in line
        assert "; earlier error: " in line


@pytest.mark.parametrize("command", sorted(CALLS))
def test_error_without_json_needs_no_standard_output(copied_files, command):
    """If a command writes nothing to standard output, it works even if standard output is closed or
    full.
    """
    _, arguments = CALLS[command]
    results = {
        run_in_child([command, *arguments], state, copied_files)
        for state in ("closed", "full", "cut")
    }
    (status, error_output) = results.pop()
    assert not results
    assert status in (1, 2, 3)
    assert error_output.startswith("lyncnb: ")
    assert "standard output" not in error_output.splitlines()[0]


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("plan", "--help"), ("check", "contoso.csv")]
)
def test_separate_process_prints_no_additional_message(copied_files, arguments):
    """If standard output fails in a separate process, Python prints no additional message when it
    exits.
    """
    for state, words in STATES.items():
        redirection = {"closed": ">&-", "full": ">/dev/full", "cut": "| true"}[state]
        wait = "sleep 0.3;" if state == "cut" else ""
        script = f'({wait} "$0" -m lyncnb "$@"; echo $? >status) {redirection}'
        result = subprocess.run(
            ["bash", "-c", script, sys.executable, *arguments],
            env=process_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (copied_files / "status").read_text() == "3\n", (state, result.stderr)
        (line,) = result.stderr.splitlines()
        assert words in line


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_stream_keeps_its_descriptor_in_a_child(tmp_path, closed):
    """If standard output is closed, no other file in a child process gets the file descriptor of
    standard output.

    Otherwise a notebook kernel would open a socket with it and lose it.
    """
    child = "import os; told = [os.fstat(number) for number in range(3)]"
    code = (
        "import subprocess, sys; from lyncnb.cli.output import prepare_streams; prepare_streams();"
        f"raise SystemExit(subprocess.call([sys.executable, '-c', {child!r}]))"
    )
    result = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, code],
        env=process_environment(),
        check=False,
    )
    assert result.returncode == 0


def test_closed_standard_error_keeps_the_exit_status(copied_files):
    """If standard error is full or closed, the messages are lost, but the exit status stays the
    same.
    """
    for redirection in ("2>/dev/full", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full"):
        for arguments, expected in (("check contoso.csv", 0), ("check nowhere.csv", 2)):
            script = f'"$0" -m lyncnb {arguments} {redirection}'
            result = subprocess.run(
                ["bash", "-c", script, sys.executable],
                env=process_environment(),
                capture_output=True,
                check=False,
            )
            status = 3 if expected == 0 and ">" in redirection.split("2>")[0] else expected
            assert result.returncode == status, (redirection, arguments)
