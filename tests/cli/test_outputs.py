"""If the user specifies an existing file for output, lyncnb overwrites or deletes it only if lyncnb
wrote it.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click
import nbformat
import pytest
from folders import PASSPHRASE
from installed_certificates import write_all
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.base.disk.outputs import OWN_PLACES
from lyncnb.cli import main
from lyncnb.cli.app import COMMANDS

shell = pytest.fixture(make_shell)

# For each command that writes a file, the arguments of a call.
CALLS = {
    "plan": ["plan", "contoso.csv"],
    "compare": ["compare", "contoso.csv", "contoso.csv"],
    "asis": ["asis", "standing.pem", "contoso.csv"],
    "probe": ["probe", "contoso.csv", "--hosts", "hosts"],
    "trust": ["trust", "contoso.csv"],
    "forecast": ["forecast", "contoso.csv", "--on", "2026-11-25"],
    "status": ["status", "requests"],
    "handover": ["handover", "requests"],
    "steps": ["steps", "requests"],
    "share": ["share", "n.ipynb"],
    "explain": ["explain", "--all"],
    "convert": ["convert", "contoso.csv"],
    "template": ["template"],
    "page": ["page", "contoso.csv"],
}
# In a usage line, these names stand for arguments that are not file names.
WORDS = {
    *(
        "NAME",
        "[SERVER]",
        "CODE",
        "DATE",
        "KIND",
        "CODE=REASON",
        "ID",
        "TEXT",
        "ADDRESS",
        "OS",
        "X",
        "LIST",
    ),
    *(
        "FINGERPRINT",
        "TOKEN",
        "[TYPE=]TIME",
        "DIGEST",
        "REASON",
        "LANG",
        "GROUP",
        "[clientAuth=]NAME",
    ),
}
# The parameters for input files, request folders and archives. All other file parameters are for
# output files.
READ = {
    *("topology", "options_file", "passphrase_file", "new_passphrase_file", "recovery", "folder"),
    *("with_recovery", "notebook", "notebooks", "files", "requests"),
    *("old", "new", "old_options", "new_options", "paths", "saved_plan"),
    *("only_missing", "other", "other_options", "archives"),
    *("approved_by", "serials"),
    "answers_file",
    *("names", "reports", "hosts"),
}
# The recovery command writes two files and never overwrites a file. Other tests cover it.
NEVER_OVER = {("recovery", "file")}
# Besides .ics and .html files, these outputs contain the time at which they were written.
TIMED = {"asis save", "probe save", "probe output"}


def outputs() -> dict[str, list[str]]:
    """Map each output parameter to the arguments of its command."""
    calls = {}
    for command in COMMANDS:
        for parameter in command.params:
            is_text = isinstance(parameter.type, click.types.StringParamType)
            if not is_text or parameter.metavar in WORDS or parameter.name in READ:
                continue
            if (command.name, parameter.name) not in NEVER_OVER:
                option = parameter.opts[:1] if isinstance(parameter, click.Option) else []
                calls[f"{command.name} {parameter.name}"] = [*CALLS[command.name], *option]
    return calls


OUTPUTS = outputs()
#: The command ``page`` needs npm, so its output is tested only on POSIX systems. Wine is slow, so
#: on Wine, tests that read a folder repeatedly cover only the output of ``plan``.
EACH = [
    pytest.param(name, marks=pytest.mark.posix if name == "page output" else ()) for name in OUTPUTS
]
LINKED = [
    ["request", "contoso.csv", "link/pfx/new", "--dry-run"],
    ["steps", "contoso.csv", "--request-on-server", "-o", "link/steps/new"],
][: 0 if os.name == "nt" else None]
FOR_FOLDERS = [
    pytest.param(name, marks=() if name == "plan output" else pytest.mark.posix) for name in OUTPUTS
]


def endings_of(planner, command: list[str]) -> list[str]:
    """Return the file name suffixes that a command accepts for its output file."""
    hint = re.split("use .* extensions? ", planner(*command, "plain").err)[1]
    endings = [f".{extension}" for extension in re.findall(r"\.(\w+)", hint.splitlines()[0])]
    assert endings
    return endings


@pytest.fixture(scope="module")
def input_files(tmp_path_factory):
    """Write a topology, a notebook, two request folders, and a link to one of these folders."""
    folder = tmp_path_factory.mktemp("planner")
    (folder / "contoso.csv").write_text(TWO_FRONT_ENDS)
    write_all(TWO_FRONT_ENDS, folder / "standing.pem")
    (folder / "hosts").write_text("fe01.contoso.net 5061 127.0.0.1:1\n")
    (folder / "passphrase").write_text(PASSPHRASE)
    nbformat.write(nbformat.v4.new_notebook(), folder / "n.ipynb")
    request = ["request", "contoso.csv", "requests", "--passphrase-file", "passphrase"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(request) == 0
    for name in ("archive", "returned", "pfx", "steps"):
        (folder / "requests" / name).mkdir(0o700, exist_ok=True)
        (folder / "requests" / name / "old.pem").write_text("old")
    shutil.copytree(folder / "requests", folder / "other")
    return folder


@pytest.fixture
def planner(input_files, shell, request):
    """Return a shell in a folder with copies of the files, which a test may change."""
    if "page output" in request.node.name:
        request.getfixturevalue("built_page")
    shutil.copytree(input_files, shell.folder, dirs_exist_ok=True)
    if os.name != "nt":
        (shell.folder / "link").symlink_to("requests")
    return shell


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder except the lock file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "lyncnb.lock")
    }


def assert_refused(planner, arguments: list[str], *words: str) -> None:
    """Check that a command is rejected with a clear message and changes nothing."""
    before = contents(planner.folder)
    result = planner(*arguments)
    # If an output file is rejected, even the commands for request folders exit with status 2.
    assert result.status == 2, (arguments, result)
    assert result.out == ""
    assert result.err.startswith("lyncnb: ")
    assert "hint: " in result.err
    for word in words:
        assert word in result.err
    assert contents(planner.folder) == before, arguments


def test_every_output_option_comes_with_force():
    """Every command that has an option for an output file also has the option --force.

    The files of run, approve and guide are not such options.
    """
    assert {"plan output", "plan save", "status calendar", "handover out", "share output"} <= set(
        OUTPUTS
    )
    forced = {c.name for c in COMMANDS for p in c.params if p.name == "force"}
    assert forced == {name.split()[0] for name in OUTPUTS} | {"run", "approve", "guide"}


@pytest.mark.parametrize("output", FOR_FOLDERS)
def test_no_file_of_a_request_folder_is_overwritten(planner, output):
    """No command overwrites a file of a request folder, such as a key or the manifest, not even
    with --force.
    """
    command = OUTPUTS[output]
    for path in sorted((planner.folder / "requests").rglob("*")):
        if path.is_file():
            assert_refused(
                planner, [*command, f"requests/{path.relative_to(planner.folder / 'requests')}"]
            )
            assert_refused(planner, [*command, str(path), "--force"])


@pytest.mark.parametrize("output", FOR_FOLDERS)
def test_no_output_is_written_to_the_subfolders_of_a_request_folder(planner, output):
    """No command writes output to a subfolder of a request folder, even with --force, or if the
    path contains a symbolic link or "..".
    """
    command = OUTPUTS[output]
    for suffix in endings_of(planner, command):
        for path in (
            *("requests/keys/new", "other/keys/new", "link/keys/new", "link/steps/deep/new"),
            *("requests/csr/../keys/new", "nowhere/../requests/pfx/new", "requests/KEYS/new"),
            *("requests/Archive/new", "requests/returned/new", "requests/keys./new"),
        ):
            if os.name == "nt" and ("keys." in path or path.startswith("link")):
                continue  # On Windows, these paths cannot exist in this test.
            assert_refused(planner, [*command, path + suffix], "is one of lyncnb's own files")
            assert_refused(
                planner, [*command, path + suffix, "--force"], "is one of lyncnb's own files"
            )


def test_summary_of_a_request_folder_is_not_overwritten(planner):
    """The plan command does not overwrite the summary of a request folder, although both files have
    the same format.
    """
    for suffix in (".csv", ".xlsx", ".html", ".md"):
        assert_refused(planner, ["plan", "contoso.csv", "-o", f"requests/summary{suffix}"])


@pytest.mark.parametrize("output", EACH)
def test_unknown_file_is_replaced_only_with_force(planner, output):
    """If lyncnb did not write a file, a command overwrites it only with --force."""
    command = OUTPUTS[output]
    for suffix in endings_of(planner, command):
        planner.write(f"mine{suffix}", "my own work\n")
        assert_refused(planner, [*command, f"mine{suffix}"], "already exists", "--force")
        planner(*command, f"mine{suffix}", "--force")
        assert (planner.folder / f"mine{suffix}").read_bytes() != b"my own work\n"


@pytest.mark.parametrize("output", EACH)
def test_earlier_output_is_replaced(planner, output):
    """A command overwrites its earlier output and keeps the permissions of the file."""
    command = OUTPUTS[output]
    for suffix in endings_of(planner, command):
        path = planner.folder / f"out{suffix}"
        planner(*command, path)
        first = path.read_bytes()
        path.chmod(0o600)
        result = planner(*command, path)
        assert "already exists" not in result.err
        assert path.stat().st_mode & 0o777 == 0o600 or os.name == "nt"
        is_timed = suffix in (".ics", ".html") or output in TIMED
        assert is_timed or path.read_bytes() == first


@pytest.mark.posix
def test_output_of_another_command_is_not_replaced(planner):
    """A checklist, a plan and a notebook page have the same file name suffix, but they do not
    overwrite each other.
    """
    # The planner page is omitted, because it must be built first. The tests in tests/page check
    # that it does not replace another page.
    others = OUTPUTS.keys() - {"page output"}
    names = [name for name in others if ".html" in endings_of(planner, OUTPUTS[name])]
    for name in names:
        planner(*OUTPUTS[name], f"{name}.html")
    for name in names:
        for other in set(names) - {name}:
            assert_refused(planner, [*OUTPUTS[name], f"{other}.html"], "already exists")


@pytest.mark.parametrize("output", EACH)
def test_wrong_suffix_is_rejected(planner, output):
    """If the path of an output file has no suffix or the wrong suffix, lyncnb rejects the path with
    a message that lists the valid suffixes.
    """
    command = OUTPUTS[output]
    endings = endings_of(planner, command)
    for name in ("plain", "out.key", "out.exe", "out.ipynb"):
        assert_refused(planner, [*command, name, "--force"], endings[0])


@pytest.mark.posix
@pytest.mark.parametrize("output", OUTPUTS)
def test_output_must_be_a_file(planner, output):
    """lyncnb rejects an output path that is blank, invalid, a folder, a link, or a pipe, even with
    --force.
    """
    command = OUTPUTS[output]
    suffix, *_ = endings_of(planner, command)
    (planner.folder / f"folder{suffix}").mkdir()
    (planner.folder / f"pointer{suffix}").symlink_to("contoso.csv")
    (planner.folder / f"dangling{suffix}").symlink_to("nowhere")
    os.mkfifo(planner.folder / f"pipe{suffix}")
    for name in (
        "folder",
        "pointer",
        "dangling",
        "pipe",
        "nowhere/out",
        "contoso.csv/out",
        "x" * 300,
    ):
        assert_refused(planner, [*command, name + suffix, "--force"])
    for name in ("", "/", f"a\0{suffix}"):
        assert_refused(planner, [*command, name, "--force"])
    assert (planner.folder / f"dangling{suffix}").is_symlink()


def test_run_does_not_replace_unknown_files(planner):
    """If the run command would replace files that it did not write, it does not start."""
    for name in ("n.executed.ipynb", "n.executed.html"):
        planner.write(name, "{}")
        assert_refused(planner, ["run", "n.ipynb"], name, "already exists")
        (planner.folder / name).unlink()
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    assert_refused(
        planner, ["run", "requests/steps/n.ipynb", "--force"], "is one of lyncnb's own files"
    )


def test_clean_does_not_change_a_request_folder(planner):
    """The clean command rejects notebooks in a request folder."""
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    assert_refused(planner, ["clean", "requests/steps/n.ipynb"], "is one of lyncnb's own files")
    assert_refused(planner, ["clean", "requests/manifest.json"])


def test_no_workspace_or_folder_inside_a_request_folder(planner):
    """The commands lab, request and recovery create nothing in the subfolders of a request
    folder.
    """
    for arguments in (
        ["lab", "requests/keys", "--no-browser"],
        ["request", "contoso.csv", "requests/keys", "--passphrase-file", "passphrase"],
        ["steps", "contoso.csv", "--request-on-server", "-o", "requests/keys"],
        ["recovery", "new", "requests/keys/k", "--passphrase-file", "passphrase"],
        *LINKED,
    ):
        assert_refused(planner, arguments, "is one of lyncnb's own files")


def test_files_and_subfolders_of_a_request_folder_are_protected(planner):
    """lyncnb protects every file and subfolder that it creates directly in a request folder."""
    with lock_folder(planner.folder / "requests"):
        assert {path.name for path in (planner.folder / "requests").iterdir()} <= OWN_PLACES
