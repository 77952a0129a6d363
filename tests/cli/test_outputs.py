"""No option for an output file overwrites or loses an existing file."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import click
import nbformat
import pytest
from folders import PASSPHRASE
from shell_kit import make_shell
from standing_certificates import write_all
from topologies import TWO_FRONT_ENDS

from lyncnb.base.disk.folder_lock import lock_folder
from lyncnb.base.disk.outputs import OWN_PLACES
from lyncnb.cli import main
from lyncnb.cli.app import COMMANDS

shell = pytest.fixture(make_shell)

# A call of each command that writes a file.
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
    "finding": ["finding", "--all"],
    "convert": ["convert", "contoso.csv"],
    "template": ["template"],
    "page": ["page", "contoso.csv"],
}
# The text of an argument that does not name a file.
WORDS = {
    *(
        "NAME",
        "SERVER",
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
# The names of parameters for input, or for a folder of lyncnb. All others are outputs.
READ = {
    *("topology", "options_file", "passphrase_file", "new_passphrase_file", "recovery", "folder"),
    *("with_recovery", "notebook", "notebooks", "files", "requests"),
    *("old", "new", "old_options", "new_options", "paths", "saved_plan"),
    *("only_missing", "other", "other_options", "archives"),
    "approved_by",
    "answers_file",
    *("names", "reports", "hosts"),
}
# This command writes two files and never overwrites. It is tested with the recovery keys and below.
NEVER_OVER = {("recovery", "file")}


def outputs() -> dict[str, list[str]]:
    """Return every output parameter, with the command to which it is added."""
    found = {}
    for command in COMMANDS:
        for one in command.params:
            is_text = isinstance(one.type, click.types.StringParamType)
            if not is_text or one.metavar in WORDS or one.name in READ:
                continue
            if (command.name, one.name) not in NEVER_OVER:
                option = one.opts[:1] if isinstance(one, click.Option) else []
                found[f"{command.name} {one.name}"] = [*CALLS[command.name], *option]
    return found


OUTPUTS = outputs()


def endings_of(planner, command: list[str]) -> list[str]:
    """Return the suffixes that a command accepts for its output file."""
    hint = planner(*command, "plain").err.partition("use the extension ")[2]
    endings = [f".{ending}" for ending in re.findall(r"\.(\w+)", hint.splitlines()[0])]
    assert endings
    return endings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Write a topology, a notebook, two request folders and a link to one of them."""
    place = tmp_path_factory.mktemp("planner")
    (place / "contoso.csv").write_text(TWO_FRONT_ENDS)
    write_all(TWO_FRONT_ENDS, place / "standing.pem")
    (place / "hosts").write_text("fe01.contoso.net 5061 127.0.0.1:1\n")
    (place / "passphrase").write_text(PASSPHRASE)
    nbformat.write(nbformat.v4.new_notebook(), place / "n.ipynb")
    request = ["request", "contoso.csv", "requests", "--passphrase-file", "passphrase"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(request) == 0
    for name in ("archive", "returned", "pfx", "steps"):
        (place / "requests" / name).mkdir(0o700, exist_ok=True)
        (place / "requests" / name / "old.pem").write_text("old")
    shutil.copytree(place / "requests", place / "other")
    return place


@pytest.fixture
def planner(made, shell, request):
    """Return a copy of the files in which a test can work."""
    if "page output" in request.node.name:
        request.getfixturevalue("built_page")
    shutil.copytree(made, shell.folder, dirs_exist_ok=True)
    (shell.folder / "link").symlink_to("requests")
    return shell


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder except its lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "lyncnb.lock")
    }


def refused(planner, arguments: list[str], *words: str) -> None:
    """Check that a command is rejected with a plain message, and nothing is changed."""
    before = contents(planner.folder)
    ended = planner(*arguments)
    # The exit status is also 2 for commands that work on a folder.
    assert ended.status == 2, (arguments, ended)
    assert ended.out == ""
    assert ended.err.startswith("lyncnb: ")
    assert "hint: " in ended.err
    for word in words:
        assert word in ended.err
    assert contents(planner.folder) == before, arguments


def test_every_output_is_found():
    """Options for output files need --force too.

    The files of run, approve and guide are not such options.
    """
    assert {"plan output", "plan save", "status calendar", "handover out", "share output"} <= set(
        OUTPUTS
    )
    forced = {c.name for c in COMMANDS for p in c.params if p.name == "force"}
    assert forced == {name.split()[0] for name in OUTPUTS} | {"run", "approve", "guide"}


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_file_of_a_request_folder_is_overwritten(planner, output):
    """Keys, requests, manifest, archive and all other files of a request folder are never
    overwritten, with any flag.
    """
    command = OUTPUTS[output]
    for path in sorted((planner.folder / "requests").rglob("*")):
        if path.is_file():
            refused(
                planner, [*command, f"requests/{path.relative_to(planner.folder / 'requests')}"]
            )
            refused(planner, [*command, str(path), "--force"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_is_put_into_a_request_folders_own_places(planner, output):
    """No output is written into the subfolders of a request folder, by a link, dots or other letter
    case, even with --force.
    """
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        for place in (
            *("requests/keys/new", "other/keys/new", "link/keys/new", "link/steps/deep/new"),
            *("requests/csr/../keys/new", "nowhere/../requests/pfx/new", "requests/KEYS/new"),
            *("requests/Archive/new", "requests/returned/new", "requests/keys./new"),
        ):
            refused(planner, [*command, place + ending], "is one of lyncnb's own files")
            refused(planner, [*command, place + ending, "--force"], "is one of lyncnb's own files")


def test_the_summary_is_the_folders_own(planner):
    """The plan command does not overwrite the summary of a request folder, although both have the
    same format.
    """
    for ending in (".csv", ".xlsx", ".html", ".md"):
        refused(planner, ["plan", "contoso.csv", "-o", f"requests/summary{ending}"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_strangers_file_is_replaced_by_force_only(planner, output):
    """A file that lyncnb did not write is overwritten only with --force."""
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        planner.write(f"mine{ending}", "my own work\n")
        refused(planner, [*command, f"mine{ending}"], "already exists", "--force")
        planner(*command, f"mine{ending}", "--force")
        assert (planner.folder / f"mine{ending}").read_bytes() != b"my own work\n"


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_earlier_output_of_the_kind_is_replaced(planner, output):
    """A command overwrites its earlier output, and keeps the file's permissions."""
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        path = planner.folder / f"out{ending}"
        planner(*command, path)
        first = path.read_bytes()
        path.chmod(0o600)
        ended = planner(*command, path)
        assert "already exists" not in ended.err
        assert path.stat().st_mode & 0o777 == 0o600
        # These files contain the time at which they were written.
        is_timed = ending in (".ics", ".html") or output in ("asis save", "probe")
        assert is_timed or path.read_bytes() == first


def test_an_output_of_another_kind_is_a_strangers(planner):
    """A checklist, a plan and a notebook's page have the same suffix but do not overwrite each
    other.
    """
    # A planner page needs a built page: tests/page checks that it replaces no other page.
    others = OUTPUTS.keys() - {"page output"}
    names = [name for name in others if ".html" in endings_of(planner, OUTPUTS[name])]
    for name in names:
        planner(*OUTPUTS[name], f"{name}.html")
    for name in names:
        for other in set(names) - {name}:
            refused(planner, [*OUTPUTS[name], f"{other}.html"], "already exists")


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_ending_that_does_not_fit(planner, output):
    """A file name without a suffix, or with a wrong one, is rejected with the valid suffixes."""
    command = OUTPUTS[output]
    endings = endings_of(planner, command)
    for name in ("plain", "out.key", "out.exe", "out.ipynb"):
        refused(planner, [*command, name, "--force"], endings[0])


@pytest.mark.posix
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_is_no_file(planner, output):
    """A folder, link, pipe, blank or invalid name is rejected as output, even with --force."""
    command = OUTPUTS[output]
    ending, *_ = endings_of(planner, command)
    (planner.folder / f"folder{ending}").mkdir()
    (planner.folder / f"pointer{ending}").symlink_to("contoso.csv")
    (planner.folder / f"dangling{ending}").symlink_to("nowhere")
    os.mkfifo(planner.folder / f"pipe{ending}")
    for name in (
        "folder",
        "pointer",
        "dangling",
        "pipe",
        "nowhere/out",
        "contoso.csv/out",
        "x" * 300,
    ):
        refused(planner, [*command, name + ending, "--force"])
    for name in ("", "/", f"a\0{ending}"):
        refused(planner, [*command, name, "--force"])
    assert (planner.folder / f"dangling{ending}").is_symlink()


def test_run_leaves_strangers_files(planner):
    """Run does not start if its two output files would replace files that run did not write."""
    for name in ("n.executed.ipynb", "n.executed.html"):
        planner.write(name, "{}")
        refused(planner, ["run", "n.ipynb"], name, "already exists")
        (planner.folder / name).unlink()
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    refused(planner, ["run", "requests/steps/n.ipynb", "--force"], "is one of lyncnb's own files")


def test_clean_stays_out_of_a_request_folder(planner):
    """A notebook inside the subfolders of a request folder is not rewritten by clean."""
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    refused(planner, ["clean", "requests/steps/n.ipynb"], "is one of lyncnb's own files")
    refused(planner, ["clean", "requests/manifest.json"])


def test_no_workspace_or_folder_inside_a_request_folder(planner):
    """The commands lab, dash, request and recovery create nothing inside the subfolders of a
    request folder.
    """
    for arguments in (
        ["lab", "requests/keys", "--no-browser"],
        ["dash", "requests/archive/work", "--no-browser"],
        ["request", "contoso.csv", "requests/keys", "--passphrase-file", "passphrase"],
        ["request", "contoso.csv", "link/pfx/new", "--dry-run"],
        ["steps", "contoso.csv", "--request-on-server", "-o", "requests/keys"],
        ["steps", "contoso.csv", "--request-on-server", "-o", "link/steps/new"],
        ["recovery", "new", "requests/keys/k", "--passphrase-file", "passphrase"],
    ):
        refused(planner, arguments, "is one of lyncnb's own files")


def test_own_places_are_what_a_folder_holds(planner):
    """Every file and subfolder that lyncnb creates directly in a request folder is protected."""
    with lock_folder(planner.folder / "requests"):
        assert {path.name for path in (planner.folder / "requests").iterdir()} <= OWN_PLACES
