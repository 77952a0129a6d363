r"""No path in the output contains both / and \, and each printed command works in cmd."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, issue_all
from places import DATA
from shell_kit import Shell, make_shell

from lyncnb.base.terminal import quote_argument
from lyncnb.request_folder.bundle import open_requests

pytestmark = pytest.mark.usefixtures("quick_cipher")

_ADDRESS = re.compile(r"https?://\S+")
_BOTH = re.compile(r"[^\s\"']*(?:\\[^\s\"']*/|/[^\s\"']*\\)[^\s\"']*|\b[A-Za-z]:/[^\s\"']+")
# The commands use absolute paths (HERE), relative paths, and paths at which no file exists.
COMMANDS = (
    *(r"plan HERE\contoso.csv", r"plan HERE\contoso.csv -v -o HERE\out\plan.html"),
    *(r"plan in\contoso.csv -o out\plan.svg", r"plan HERE\contoso.csv --save HERE\out\plan.json"),
    *(r"plan HERE\none\contoso.csv", r"plan HERE\contoso.csv -o HERE\none\plan.html"),
    *(r"plan HERE\contoso.csv -o HERE\out", r"plan HERE\contoso.csv --options HERE\none.toml"),
    *(r"check HERE\contoso.csv --json", r"check HERE\out"),
    *(r"explain HERE\contoso.csv se01.contoso.net", r"explain HERE\none.csv se01.contoso.net"),
    *(r"compare HERE\contoso.csv HERE\in\contoso.csv", r"compare HERE\none.csv in\contoso.csv"),
    *(r"convert in\contoso.csv HERE\out\table.xlsx", r"convert in\contoso.csv HERE\none\t.xlsx"),
    *(r"template HERE\out\empty.xlsx", r"trust HERE\contoso.csv -o HERE\out\trust.csv"),
    *(r"forecast HERE\contoso.csv --on 2027-01-15 -o HERE\out\f.ics", r"explain --all -o out\f.md"),
    *(r"explain --all -o out\f.html", "explain wildcard-in-subject-name"),
    *(r"request HERE\contoso.csv HERE\out\requests PASS", r"request in\contoso.csv HERE\more PASS"),
    *(r"request HERE\contoso.csv HERE\contoso.csv PASS", r"request --plan HERE\none.json r PASS"),
    r"request HERE\contoso.csv HERE\out\requests --passphrase-file HERE\none.txt",
    *(r"status HERE\out\requests", r"status out\requests --json", r"status HERE\none"),
    *(r"handover HERE\out\requests HERE\out\ca.zip", r"handover out\requests HERE\none\ca.zip"),
    *("ANSWER", r"receive HERE\out\requests HERE\back", r"receive out\requests HERE\none"),
    *(r"pfx HERE\out\requests PASS", r"pfx HERE\none PASS", r"status HERE\out\requests"),
    *(r"steps HERE\out\requests -o HERE\out\steps.html", r"steps out\requests -o out\none\s.html"),
    r"steps HERE\contoso.csv --request-on-server -o HERE\out\scripts",
    *(r"deployed HERE\out\requests", r"deployed HERE\none", r"status out\requests --rebuild PASS"),
    *(
        r"renew HERE\out\requests se01.contoso.net --reason test PASS",
        r"renew HERE\none a --reason b",
    ),
    *(r"purge HERE\out\requests PASS", r"asis HERE\back HERE\contoso.csv", r"asis none in\c.csv"),
    *(r"rekey HERE\out\requests PASS --new-passphrase-file HERE\new.txt", r"rekey HERE\none PASS"),
    *(r"recovery new HERE\out\key PASS", r"snippet topology"),
    *(r"guide HERE\first --answers HERE\guide.toml", r"guide HERE\f --answers HERE\none.toml"),
    r"guide HERE\second --answers HERE\guide.toml --json",
)


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch) -> Shell:
    """Return a shell in a folder with a table, passphrases, and a subfolder for output."""
    table = (DATA / "single-server.csv").read_bytes()
    for name in ("in", "out", "back"):
        (tmp_path / name).mkdir()
    (tmp_path / "contoso.csv").write_bytes(table)
    (tmp_path / "in" / "contoso.csv").write_bytes(table)
    (tmp_path / "passphrase.txt").write_text(PASSPHRASE)
    (tmp_path / "guide.toml").write_text(
        'sip_domains = ["contoso.com"]\n[[site]]\nname = "Taipei"\n'
    )
    (tmp_path / "new.txt").write_text("eleven brass kettles in Hualien")
    return make_shell(tmp_path, capsys, monkeypatch)


def answer(folder: Path, target: Path) -> None:
    """Write certificates for all requests to a folder."""
    ca, begins = PythonCa(), datetime.now(UTC) - timedelta(1)
    issued = issue_all(open_requests(folder), ca, begins=begins)
    for number, certificate in enumerate((*issued.values(), *ca.chain)):
        (target / f"{number}.cer").write_bytes(pem(certificate))


def test_no_path_has_both_separators(shell):
    """In the output and the errors of each command, no path contains both slashes and backslashes."""
    mixed, unknown, succeeded = {}, [], set()
    for line in COMMANDS:
        if line == "ANSWER":
            answer(shell.folder / "out" / "requests", shell.folder / "back")
            continue
        line = line.replace("PASS", r"--passphrase-file HERE\passphrase.txt")
        result = shell(*(word.replace("HERE", str(shell.folder)) for word in line.split()))
        output = _ADDRESS.sub("", result.out + result.err).replace("\\\\", "\\")
        succeeded |= {line.split()[0]} if result.status in (0, 1) else set()
        mixed.update(dict.fromkeys(_BOTH.findall(output), line))
        unknown += [line] if "internal error" in output or "No such option" in output else []
    assert mixed == {}
    assert unknown == []
    assert succeeded == {line.split()[0] for line in COMMANDS} - {"ANSWER"}


@pytest.mark.parametrize(
    "text",
    [
        "plain.csv",
        r"C:\plans\contoso.csv",
        r"C:\my plans\a&b.csv",
        "C:\\my plans\\",
        "plan (1).csv",
    ],
)
def test_a_printed_argument_is_one_argument_in_cmd(tmp_path, text):
    """A printed argument with blanks is quoted, so that cmd reads it as one argument when the user
    copies the command.
    """
    printed = quote_argument(text)
    assert printed == text or set(" &(") & set(text)
    script, echo = tmp_path / "copied.cmd", "import sys; print(ascii(sys.argv[1:]))"
    script.write_text(f'@"{sys.executable}" -c "{echo}" {printed}\n', "utf-8")
    completed = subprocess.run(
        ["cmd", "/c", str(script)], capture_output=True, text=True, check=True
    )
    assert completed.stdout.strip() == ascii([text])


def test_a_suggested_command_can_be_copied(shell):
    """The suggested next command contains the path of the table, without single quotes."""
    folder = shell.folder / "my plans"
    folder.mkdir()
    (folder / "contoso.csv").write_bytes((shell.folder / "contoso.csv").read_bytes())
    output = shell("plan", folder / "contoso.csv").out
    assert f'lyncnb request "{folder}\\contoso.csv" FOLDER' in output
    assert (
        f"lyncnb request {shell.folder}\\contoso.csv FOLDER"
        in shell("plan", shell.folder / "contoso.csv").out
    )
