"""Every reader of a file that a planner names: whatever is there, words and a status, in time."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
from folders import PASSPHRASE
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX devices and pipes")

shell = pytest.fixture(make_shell)

PASS = ("--passphrase-file", "passphrase")
# Each reader, with FILE where the file stands.
READERS = {
    "plan": ("plan", "FILE"),
    "check": ("check", "FILE", "--json"),
    "explain": ("explain", "FILE", "fe01.contoso.net"),
    "request": ("request", "FILE", "requests", *PASS),
    "check --options": ("check", "contoso.csv", "--options", "FILE"),
    "request --options": ("request", "contoso.csv", "requests", *PASS, "--options", "FILE"),
    "run": ("run", "FILE"),
    "share": ("share", "FILE"),
    "clean": ("clean", "FILE"),
    "status": ("status", "FILE"),
    "status --rebuild": ("status", "FILE", "--rebuild", *PASS),
    "handover": ("handover", "FILE", "out.zip"),
    "receive": ("receive", "FILE"),
    "pfx": ("pfx", "FILE", *PASS),
    "steps": ("steps", "FILE"),
    "rekey": ("rekey", "FILE", *PASS, "--new-passphrase-file", "new"),
    "purge": ("purge", "FILE"),
    "request into": ("request", "contoso.csv", "FILE", *PASS),
}
CONTENTS = {
    "empty": b"",
    "rubbish": bytes(range(256)) * 40,
    "brackets": b"[" * 50_000,
    "braces": b'{"a":' * 50_000,
    "tables": b"[a." + b"a." * 20_000 + b"a]\nx = 1\n",
    "a long number": b"x = " + b"9" * 5_000,
    "a list": b"[]",
    "half a pair": b'{"cells": [], "metadata": {"a": "\\ud800"}, "nbformat": 4, "nbformat_minor": 5}',
    "zeros": b"\0" * 100_000,
}


@pytest.fixture
def planner(shell):
    """A folder with what the commands are given besides."""
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    shell.write("new", PASSPHRASE + "!")
    return shell


def refused(planner, arguments: tuple[str, ...], name: str) -> None:
    """Check that a command ends in time, in words, with a status of its own."""
    signal.alarm(20)
    try:
        ended = planner(*(name if part == "FILE" else part for part in arguments))
    finally:
        signal.alarm(0)
    assert ended.status in (1, 2, 3), (arguments, name, ended)
    assert ended.err.startswith("lyncnb: "), ended
    assert "fault of lyncnb" not in ended.err
    if "--json" in arguments:
        assert json.loads(ended.out)["error"]["code"] != "fault"
    else:
        assert ended.out == ""


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_ordinary_file(planner, reader):
    """A pipe, a device, a folder in a file's place, a dangling link or nothing is never waited for."""
    folder = planner.folder
    for name in ("pipe.ipynb", "pipe"):
        os.mkfifo(folder / name)
    (folder / "zero.ipynb").symlink_to("/dev/zero")
    (folder / "dangling.ipynb").symlink_to("nowhere")
    (folder / "folder.ipynb").mkdir()
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    names = ["pipe.ipynb", "pipe", "zero.ipynb", "/dev/zero", "loop.ipynb", "x" * 300]
    if reader != "request into":  # where nothing is, a new folder is made
        names += ["dangling.ipynb", "nowhere.ipynb", "folder.ipynb", "nowhere/a.ipynb"]
    for name in names:
        refused(planner, READERS[reader], name)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_in_it(planner, reader):
    """Nothing that a file may hold ends in a traceback or is called a fault of lyncnb."""
    for what, content in CONTENTS.items():
        planner.write("file.ipynb", content)
        if reader.endswith("--options") and what == "empty":
            continue  # no option is chosen there, which is a choice
        refused(planner, READERS[reader], "file.ipynb")


NOTEBOOKS = [
    '"x"',
    "5",
    "{}",
    '{"nbformat": 1e999}',
    '{"nbformat": true, "nbformat_minor": 0}',
    '{"nbformat": 4}',
    '{"nbformat": 4, "nbformat_minor": "x", "metadata": {}, "cells": []}',
    '{"nbformat": 99, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 5}',
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [5]}',
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": [], "cells": []}',
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
    '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [5]}',
    '{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [{}]}]}',
    '{"nbformat": 2, "worksheets": []}',
]


@pytest.mark.parametrize("text", NOTEBOOKS)
@pytest.mark.parametrize("command", ["run", "share", "clean"])
def test_what_is_no_notebook(planner, command, text):
    """JSON that is no notebook, or a damaged one, is refused in plain words."""
    planner.write("odd.ipynb", text)
    refused(planner, (command, "FILE"), "odd.ipynb")
    assert (planner.folder / "odd.ipynb").read_text() == text
