"""Tests of lyncnb.cli.output: text and tables on a terminal."""

from __future__ import annotations

import re
import sys

import pytest
from shell_kit import make_shell, process_environment
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import output

shell = pytest.fixture(make_shell)


@pytest.fixture
def topology(shell):
    """A topology of two servers that has no error finding."""
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


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_plan_fits_the_terminal(shell, topology, columns):
    """No line of the table is wider than the terminal, and every name stays whole."""
    status, text = _terminal(["plan", topology], columns=columns, folder=shell.folder)
    table = text[: text.index("warning: ")] if "warning: " in text else text
    assert status == 0
    assert max(map(len, table.splitlines())) <= columns
    assert "lyncdiscoverinternal.contoso.com" in table
    start = {40: "Role\n  FrontEnd\n", 80: "Role          FrontEnd\n", 200: "Role        Servers "}
    assert table.startswith(start[columns])


@pytest.mark.parametrize("command", ["explain", "compare", "compare-topology", "trust"])
def test_words_fit_the_terminal(shell, topology, command):
    """What is told in lines is wrapped below its own indentation, and names stay whole."""
    other = shell.write("other.csv", TWO_FRONT_ENDS.replace("fe02", "fe03"))
    second = {"explain": ["fe01.contoso.net"], "trust": []}.get(command, [other])
    status, text = _terminal([command, topology, *second], columns=70, folder=shell.folder)
    assert status == (1 if other in second else 0)
    assert max(map(len, text.splitlines())) <= 70
    assert re.search(r"\bfe0[123]\.contoso\.net\b", text)


def test_control_characters_do_not_reach_a_terminal(capsys):
    """Escape sequences and text direction marks are spelled out; line breaks stay."""
    output.write("a\x1b[31mb\u202ec\u200bd\n\te\x7f 台")
    assert capsys.readouterr().out == "a\\x1b[31mb\\u202ec\\u200bd\n\te\\x7f 台\n"


def test_progress_is_silent_without_a_terminal():
    """Where standard error is no terminal there is no bar."""
    progress, finish = output.progress_bar("requests")
    assert progress is None
    finish()
