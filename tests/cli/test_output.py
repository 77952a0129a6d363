"""The commands print text and tables correctly on a terminal."""

from __future__ import annotations

import json
import re
import sys

import pytest
from shell_kit import make_shell, process_environment
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import output

shell = pytest.fixture(make_shell)


@pytest.fixture
def topology(shell):
    """Write a topology with two servers whose plan has no errors."""
    return shell.write("contoso.csv", TWO_FRONT_ENDS)


def _terminal(arguments, *, columns, folder):
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(
        sys.executable,
        ["-m", "lyncnb", *map(str, arguments)],
        dimensions=(40, columns),
        env=process_environment(),
        cwd=str(folder),
        encoding="utf-8",
        timeout=60,
    )
    text = child.read().replace("\r\n", "\n")
    child.close()
    return child.exitstatus, text


@pytest.mark.posix
@pytest.mark.parametrize("columns", [40, 60, 100, 200])
def test_plan_fits_the_terminal(shell, topology, columns):
    """Except for a command to copy, no line of the plan is wider than the terminal, and no name is
    split.
    """
    status, text = _terminal(["plan", topology, "-v"], columns=columns, folder=shell.folder)
    assert status == 0
    lines = [line for line in text.splitlines() if "lyncnb " not in line]
    assert max(map(len, lines)) <= columns
    assert "lyncdiscoverinternal.contoso.com" in text
    assert text.startswith("FrontEnd: Server or pool" if columns < 80 else "Role ")


def test_plan_in_a_pipe(shell, topology):
    """If the output is a pipe, the plan command shows one line for each certificate and at most 100
    columns.
    """
    # The test uses a file name without a folder, because lyncnb does not wrap a long path in a
    # command.
    text = shell.process("plan", topology.name, environment={"COLUMNS": ""}).out
    first, *certificates = text[: text.index("\n\n")].splitlines()
    assert re.split(r"  +", first) == [
        *("Role", "Server or pool", "Subject", "Names", "Issuer", "Key"),
    ]
    assert [line.split()[0] for line in certificates] == ["FrontEnd", "FrontEnd", "Deployment"]
    assert max(map(len, text.splitlines())) <= 100
    assert " ".join(text.split()).endswith(
        f"Next: Write the requests: lyncnb request {topology.name} FOLDER"
    )


def test_notices_are_counted_and_listed_on_request(shell, topology):
    """The plan command shows the number of notices, and plan -v shows each notice with its hint and
    source.
    """
    short, full = shell.process("plan", topology).out, shell.process("plan", topology, "-v").out
    notices = [
        f
        for f in json.loads(shell("check", topology, "--json").out)["findings"]
        if f["severity"] == "notice"
    ]
    assert f"{len(notices)} notices. To read the notices, run: lyncnb plan {topology} -v" in short
    assert not re.search("^notice: ", short, re.M)
    assert len(notices) == len(re.findall("^notice: ", full, re.M))
    words = " ".join(full.split())
    for notice in notices:
        assert {f"[{notice['code']}]", *notice["hint"].split(), *notice["source"].split()} <= {
            *words.split()
        }


def test_a_command_in_a_sentence_is_not_wrapped(capsys, monkeypatch):
    """A command in a sentence is not wrapped, so that users can copy it."""
    monkeypatch.setenv("COLUMNS", "40")
    output.write_next_steps(
        "Package a and b: lyncnb pfx requests --passphrase-file secret.txt. Then go on."
    )
    assert capsys.readouterr().out.splitlines() == [
        "Next: Package a and b:",
        "  lyncnb pfx requests --passphrase-file secret.txt.",
        "  Then go on.",
    ]


@pytest.mark.posix
@pytest.mark.parametrize("command", ["explain", "compare", "trust"])
def test_text_fits_the_terminal(shell, topology, command):
    """lyncnb indents the wrapped lines of a list item like the item, and never splits a host name."""
    other = shell.write("other.csv", TWO_FRONT_ENDS.replace("fe02", "fe03"))
    second = {"explain": ["fe01.contoso.net"], "trust": []}.get(command, [other])
    status, text = _terminal([command, topology, *second], columns=70, folder=shell.folder)
    assert status == (1 if other in second else 0)
    assert max(map(len, text.splitlines())) <= 70
    assert re.search(r"\bfe0[123]\.contoso\.net\b", text)


def test_control_characters_do_not_reach_a_terminal(capsys):
    """Escape sequences and marks for the text direction are replaced with visible text, and line
    breaks are kept.
    """
    output.write("a\x1b[31mb\u202ec\u200bd\n\te\x7f 台")
    assert capsys.readouterr().out == "a\\x1b[31mb\\u202ec\\u200bd\n\te\\x7f 台\n"


def test_progress_is_silent_without_a_terminal():
    """lyncnb shows no progress bar if standard error is not a terminal."""
    progress, finish = output.make_progress_bar("requests")
    assert progress is None
    finish()
