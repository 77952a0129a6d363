"""Each command accepts any type of file as an argument without hanging, and ends with a message and
a valid exit status.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal

import click
import pytest
from folders import PASSPHRASE
from installed_certificates import write_all
from shell_kit import make_shell
from ssh_keys import make_key, sign_by_hand
from topologies import TWO_FRONT_ENDS

from lyncnb.cli import main
from lyncnb.cli.app import COMMANDS
from lyncnb.pki.pkcs8 import FolderCipher

# Windows has no alarm signal, so a command that waits forever stops the whole test run.
set_alarm = getattr(signal, "alarm", lambda seconds: None)

shell = pytest.fixture(make_shell)

PASS = ("--passphrase-file", "passphrase")
NEW = ("--new-passphrase-file", "new")
ON_SERVER = ("--request-on-server", "-o", "scripts")
# For each command, arguments with which it succeeds without any options.
CALLS = {
    "run": ["n.ipynb"],
    "share": ["n.ipynb"],
    "clean": ["n.ipynb"],
    "page": ["contoso.csv", "-o", "planner.html"],
    "guide": [],
    "plan": ["contoso.csv"],
    "check": ["contoso.csv"],
    "explain": ["contoso.csv", "fe01.contoso.net"],
    "compare": ["contoso.csv", "contoso.csv"],
    "approve": ["p.json", "--key", "key"],
    "asis": ["standing.pem", "contoso.csv"],
    "probe": ["contoso.csv", "--hosts", "hosts"],
    "trust": ["contoso.csv"],
    "forecast": ["contoso.csv", "contoso.csv", "--on", "2026-11-25"],
    "convert": ["contoso.csv", "out.csv"],
    "request": ["contoso.csv", "requests"],
    "status": ["requests"],
    "handover": ["requests", "out.zip"],
    "receive": ["requests", "answer.pem"],
    "pfx": ["requests"],
    "steps": ["requests"],
    "deployed": ["requests"],
    "renew": ["requests", "FrontEnd-fe01", "--withdraw", "--reason", "renewal"],
    "rekey": ["requests"],
    "purge": ["requests"],
}
# The names of parameters for input files or folders. Passphrase files are not included, because
# another test covers them.
READ = {
    *("topology", "options_file", "recovery", "with_recovery", "notebook", "notebooks", "files"),
    *("folder", "requests", "old", "new", "old_options", "new_options", "paths", "saved_plan"),
    *("only_missing", "other", "other_options"),
    "approved_by",
    "answers_file",
    "reports",
    "hosts",
}
# Parameters that replace other parameters of a command. READERS contains a separate call for each
# of them.
ALONE = {("request", "saved_plan"), ("request", "approved_by")}
# Parameters for a folder that the command creates.
LAID_OUT = {("lab", "folder"), ("guide", "folder")}


def readers() -> dict[str, tuple[str, ...]]:
    """Return the command-line arguments for each parameter that names an input file. FILE stands
    for the file name.
    """
    calls = {}
    for command in COMMANDS:
        arguments = [
            argument for argument in command.params if isinstance(argument, click.Argument)
        ]
        passphrase = any(option.name == "passphrase_file" for option in command.params)
        new = any(option.name == "new_passphrase_file" for option in command.params)
        options = [*(PASS if passphrase else ()), *(NEW if new else ())]
        for parameter in command.params:
            if parameter.name not in READ or (command.name, parameter.name) in LAID_OUT | ALONE:
                continue
            call = [*CALLS[command.name]]
            if isinstance(parameter, click.Option):
                call += [parameter.opts[0], "FILE"]
            else:
                call[arguments.index(parameter)] = "FILE"
            calls[f"{command.name} {parameter.name}"] = (command.name, *call, *options)
    return calls


READERS = readers() | {
    "check --json": ("check", "FILE", "--json"),
    "status --rebuild": ("status", "FILE", "--rebuild", *PASS),
    "steps of a topology": ("steps", "FILE", *ON_SERVER),
    "steps options_file": ("steps", "contoso.csv", *ON_SERVER, "--options", "FILE"),
    "request saved_plan": ("request", "--plan", "FILE", "requests", *PASS),
    "request approved_by": (
        "request",
        "--plan",
        "p.json",
        "--approved-by",
        "FILE",
        "requests",
        *PASS,
    ),
    "page archives": ("page", "--build", "--runtime", "FILE"),
    "approve key": ("approve", "p.json", "--key", "FILE"),
    "receive requests": ("receive", "requests", "--request", "FILE"),
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


@pytest.fixture(scope="module")
def input_files(tmp_path_factory):
    """Write input files and a request folder for all commands."""
    folder = tmp_path_factory.mktemp("planner")
    (folder / "contoso.csv").write_text(TWO_FRONT_ENDS)
    write_all(TWO_FRONT_ENDS, folder / "standing.pem")
    (folder / "hosts").write_text("fe01.contoso.net 5061 127.0.0.1:1\n")
    (folder / "passphrase").write_text(PASSPHRASE)
    (folder / "new").write_text(PASSPHRASE + "!")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderCipher.__init__, "__kwdefaults__", {"rounds": 1000})
        patch.chdir(folder)
        assert main(["request", "contoso.csv", "requests", *PASS]) == 0
        assert main(["plan", "contoso.csv", "--save", "p.json"]) == 0
    if shutil.which("ssh-keygen"):
        make_key(folder / "key")
        sign_by_hand(folder / "key", folder / "p.json")
    return folder


@pytest.fixture
def planner(input_files, shell):
    """Return a copy of the files that a test may change."""
    shutil.copytree(input_files, shell.folder, dirs_exist_ok=True)
    return shell


def check_refused(planner, arguments: tuple[str, ...], name: str) -> None:
    """Run a command, and check that it ends in time with a message and a valid exit status."""
    set_alarm(20)
    try:
        result = planner(*(name if part == "FILE" else part for part in arguments))
    finally:
        set_alarm(0)
    assert result.status in (1, 2, 3), (arguments, name, result)
    assert "error in lyncnb" not in result.err
    # A usage error would mean that the command did not try to read the file.
    assert "--help for the arguments" not in result.err
    # The receive command prints one line for each file.
    if arguments[:3] == ("receive", "requests", "FILE") and result.out:
        assert re.search("^(error|warning): ", result.out, re.MULTILINE), result
        return
    assert result.err.startswith("lyncnb: "), result
    # If the list of signers cannot be read, the status command still shows the folder.
    if " attention" in result.out:
        assert "--approved-by" in arguments
        assert result.status == 3
        return
    if "--json" in arguments:
        assert json.loads(result.out)["error"]["code"] != "fault"
    else:
        assert result.out == ""


@pytest.mark.posix
@pytest.mark.parametrize("reader", READERS)
def test_paths_that_are_not_regular_files(planner, reader):
    """If an argument is a pipe, a device, a folder, a broken link or a missing file, no command
    waits for input.
    """
    folder = planner.folder
    for name in ("pipe.ipynb", "pipe"):
        os.mkfifo(folder / name)
    (folder / "zero.ipynb").symlink_to("/dev/zero")
    (folder / "dangling.ipynb").symlink_to("nowhere")
    (folder / "folder.ipynb").mkdir()
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    names = ["pipe.ipynb", "pipe", "zero.ipynb", "/dev/zero", "loop.ipynb", "x" * 300]
    if reader != "request folder":  # The request command creates a missing folder.
        names += ["dangling.ipynb", "nowhere.ipynb", "nowhere/a.ipynb"]
        # The receive command accepts folders.
        names += ["folder.ipynb"] if reader != "receive files" else []
    for name in names:
        check_refused(planner, READERS[reader], name)


def test_list_of_signers_is_read_without_an_approval(planner):
    """If the file with the list of allowed signers is missing, the status command reports an error,
    even if no plan was approved.
    """
    result = planner("status", "requests", "--approved-by", "nowhere.txt")
    assert (result.status, result.out) == (2, "")
    assert "nowhere.txt" in result.err


@pytest.mark.parametrize("reader", READERS)
def test_any_content_of_a_file(planner, reader):
    """Whatever an input file contains, no command prints a traceback or reports an internal error
    of lyncnb.
    """
    for kind, content in CONTENTS.items():
        planner.write("file.ipynb", content)
        if reader.endswith(("options_file", "_options")) and kind == "empty":
            continue  # An empty options file is valid and contains no options.
        check_refused(planner, READERS[reader], "file.ipynb")


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
def test_files_that_are_not_a_notebook(planner, command, text):
    """lyncnb rejects a file that contains other JSON or a damaged notebook, with a clear message."""
    planner.write("odd.ipynb", text)
    check_refused(planner, (command, "FILE"), "odd.ipynb")
    assert (planner.folder / "odd.ipynb").read_text() == text


#: Texts that a user may enter, paste or have in an environment variable.
TYPED = (
    *(
        "",
        " ",
        "x",
        "=",
        "a=",
        "=b",
        "a=b",
        "a b=c d",
        "-1",
        "0",
        "9" * 5000,
        "--",
        "*",
        "../..",
        "/",
    ),
    *("a\nb", "a\tb", "\u202emoc", "\udcff", "\u200b", "é", "%s {} \\", "2026-02-30", "1" * 70),
    *("Edge", "FrontEnd-fe01", "FrontEnd", "2026-12-01T08:00", "[", "nul", "🔑"),
)


def text_arguments() -> dict[str, tuple[str, ...]]:
    """Return the arguments for every option that accepts text. WORDS is replaced with the text."""
    calls = {}
    for command in COMMANDS:
        for parameter in command.params:
            is_text = isinstance(parameter, click.Option) and not parameter.is_flag
            if is_text and command.name in CALLS and parameter.name not in READ:
                reason = ["--reason", "x"] if parameter.name == "renew" else []
                calls[f"{command.name} {parameter.opts[0]}"] = (
                    command.name, *CALLS[command.name], *reason, parameter.opts[0], "WORDS",
                )  # fmt: skip
    return calls


@pytest.mark.parametrize("option", text_arguments())
def test_any_text_for_an_option(planner, option):
    """For any text that is passed to an option, the command ends with a documented exit status, and
    prints a message if the status is not 0 or 1.
    """
    planner.write("answer.pem", "nothing")
    for typed in TYPED:
        call = [typed if part == "WORDS" else part for part in text_arguments()[option]]
        if "--passphrase-file" not in call and call[0] in ("request", "pfx", "rekey"):
            call += ["--dry-run"] if call[0] == "request" else [*PASS]
            call += NEW if call[0] == "rekey" and "--new-passphrase-file" not in call else ()
        set_alarm(30)
        try:
            result = planner(*call)
        finally:
            set_alarm(0)
        assert result.status in (0, 1, 2, 3), (call, result)
        assert "error in lyncnb" not in result.err, (call, result)
        if result.status in (2, 3) and not result.out:
            assert "lyncnb: " in result.err, (call, result)
