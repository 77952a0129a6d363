"""Every option that names an output: what is there already is never lost."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import click
import nbformat
import pytest
from folders import PASSPHRASE
from shell_kit import make_shell
from standing_certificates import write_all
from topologies import TWO_FRONT_ENDS

from lyncnb.base.disk.folder_lock import lock
from lyncnb.base.disk.outputs import OWN_PLACES
from lyncnb.cli import main
from lyncnb.cli.app import COMMANDS

shell = pytest.fixture(make_shell)

# Each command as it is called where it is given a file to write.
CALLS = {
    "plan": ["plan", "contoso.csv"],
    "compare": ["compare", "contoso.csv", "contoso.csv"],
    "asis": ["asis", "standing.pem", "contoso.csv"],
    "trust": ["trust", "contoso.csv"],
    "forecast": ["forecast", "contoso.csv", "--on", "2026-11-25"],
    "status": ["status", "requests"],
    "handover": ["handover", "requests"],
    "steps": ["steps", "requests"],
    "share": ["share", "n.ipynb"],
    "finding": ["finding", "--all"],
    "convert": ["convert", "contoso.csv"],
    "template": ["template"],
}
# What a text on the command line is where it names no file.
WORDS = {
    *("NAME", "SERVER", "CODE", "DATE", "KIND", "CODE=REASON", "ID", "TEXT", "ADDRESS", "OS", "X"),
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
# Names of parameters that are read, or a folder of lyncnb's; every other one is an output.
READ = {
    *("topology", "options_file", "passphrase_file", "new_passphrase_file", "recovery", "folder"),
    *("with_recovery", "notebook", "notebooks", "files", "requests"),
    *("old", "new", "old_options", "new_options", "paths", "saved_plan"),
    *("only_missing", "other", "other_options"),
    "approved_by",
    "answers_file",
    *("names", "reports"),
}
# It makes two files, never over others: tested with the recovery keys, and below.
NEVER_OVER = {("recovery", "file")}


def outputs() -> dict[str, list[str]]:
    """Find every way to name an output, each with the command that it is added to."""
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
    """Ask a command which endings the name of its output may have."""
    hint = planner(*command, "plain").err.partition("use the extension ")[2]
    endings = [f".{ending}" for ending in re.findall(r"\.(\w+)", hint.splitlines()[0])]
    assert endings
    return endings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A topology, a notebook, two request folders and a link to one, as a planner has them."""
    place = tmp_path_factory.mktemp("planner")
    (place / "contoso.csv").write_text(TWO_FRONT_ENDS)
    write_all(TWO_FRONT_ENDS, place / "standing.pem")
    (place / "passphrase").write_text(PASSPHRASE)
    nbformat.write(nbformat.v4.new_notebook(), place / "n.ipynb")
    request = ["request", "contoso.csv", "requests", "--passphrase-file", "passphrase"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(request) == 0
    for name in ("archive", "returned", "pfx", "steps"):
        (place / "requests" / name).mkdir(exist_ok=True)
        (place / "requests" / name / "old.pem").write_text("old")
    shutil.copytree(place / "requests", place / "other")
    return place


@pytest.fixture
def planner(made, shell):
    """A copy of it to work in."""
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
    """Check that a command is refused in plain words, and nothing is changed."""
    before = contents(planner.folder)
    ended = planner(*arguments)
    assert ended.status == 2, (arguments, ended)  # of commands about a folder, too
    assert ended.out == ""
    assert ended.err.startswith("lyncnb: ")
    assert "hint: " in ended.err
    for word in words:
        assert word in ended.err
    assert contents(planner.folder) == before, arguments


def test_every_output_is_found():
    """Options that name an output file need --force too; run, approve and guide name theirs."""
    assert {"plan output", "plan save", "status calendar", "handover out", "share output"} <= set(
        OUTPUTS
    )
    forced = {c.name for c in COMMANDS for p in c.params if p.name == "force"}
    assert forced == {name.split()[0] for name in OUTPUTS} | {"run", "approve", "guide"}


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_file_of_a_request_folder_is_overwritten(planner, output):
    """Keys, requests, manifest, archive and all the rest stay as they are, by no flag."""
    command = OUTPUTS[output]
    for path in sorted((planner.folder / "requests").rglob("*")):
        if path.is_file():
            refused(
                planner, [*command, f"requests/{path.relative_to(planner.folder / 'requests')}"]
            )
            refused(planner, [*command, str(path), "--force"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_is_put_into_a_request_folders_own_places(planner, output):
    """Not through a link, dots, another letter case, or into another folder; not by --force."""
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        for place in (
            *("requests/keys/new", "other/keys/new", "link/keys/new", "link/steps/deep/new"),
            *("requests/csr/../keys/new", "nowhere/../requests/pfx/new", "requests/KEYS/new"),
            *("requests/Archive/new", "requests/returned/new", "requests/keys./new"),
        ):
            refused(planner, [*command, place + ending], "belongs to lyncnb's own files")
            refused(planner, [*command, place + ending, "--force"], "belongs to lyncnb's own files")


def test_the_summary_is_the_folders_own(planner):
    """A plan does not go over the summary of what was requested, whose form it has."""
    for ending in (".csv", ".xlsx", ".html", ".md"):
        refused(planner, ["plan", "contoso.csv", "-o", f"requests/summary{ending}"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_strangers_file_is_replaced_by_force_only(planner, output):
    """A file of that name that lyncnb did not write stays, until --force is given."""
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        planner.write(f"mine{ending}", "my own work\n")
        refused(planner, [*command, f"mine{ending}"], "already exists", "--force")
        planner(*command, f"mine{ending}", "--force")
        assert (planner.folder / f"mine{ending}").read_bytes() != b"my own work\n"


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_earlier_output_of_the_kind_is_replaced(planner, output):
    """The same command writes over what it wrote before, and keeps its permissions."""
    command = OUTPUTS[output]
    for ending in endings_of(planner, command):
        path = planner.folder / f"out{ending}"
        planner(*command, path)
        first = path.read_bytes()
        path.chmod(0o600)
        ended = planner(*command, path)
        assert "already exists" not in ended.err
        assert path.stat().st_mode & 0o777 == 0o600
        # These say when they were written.
        assert path.read_bytes() == first or ending in (".ics", ".html") or output == "asis save"


def test_an_output_of_another_kind_is_a_strangers(planner):
    """A checklist, a plan and a notebook's page end alike and do not replace one another."""
    names = [name for name in OUTPUTS if ".html" in endings_of(planner, OUTPUTS[name])]
    for name in names:
        planner(*OUTPUTS[name], f"{name}.html")
    for name in names:
        for other in set(names) - {name}:
            refused(planner, [*OUTPUTS[name], f"{other}.html"], "already exists")


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_ending_that_does_not_fit(planner, output):
    """A name without ending, or with that of something else, is refused with those there are."""
    command = OUTPUTS[output]
    endings = endings_of(planner, command)
    for name in ("plain", "out.key", "out.exe", "out.ipynb"):
        refused(planner, [*command, name, "--force"], endings[0])


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX names")
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_is_no_file(planner, output):
    """A folder, a link, a pipe, a blank or a name that cannot be is refused, by force too."""
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
    """Run refuses before it runs where its two files would replace what no run wrote."""
    for name in ("n.executed.ipynb", "n.executed.html"):
        planner.write(name, "{}")
        refused(planner, ["run", "n.ipynb"], name, "already exists")
        (planner.folder / name).unlink()
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    refused(planner, ["run", "requests/steps/n.ipynb", "--force"], "belongs to lyncnb's own files")


def test_clean_stays_out_of_a_request_folder(planner):
    """A notebook that lies in a request folder's own places is not rewritten."""
    nbformat.write(nbformat.v4.new_notebook(), planner.folder / "requests/steps/n.ipynb")
    refused(planner, ["clean", "requests/steps/n.ipynb"], "belongs to lyncnb's own files")
    refused(planner, ["clean", "requests/manifest.json"])


def test_no_workspace_or_folder_inside_a_request_folder(planner):
    """lab, dash, request and recovery lay nothing out in a request folder's own places."""
    for arguments in (
        ["lab", "requests/keys", "--no-browser"],
        ["dash", "requests/archive/work", "--no-browser"],
        ["request", "contoso.csv", "requests/keys", "--passphrase-file", "passphrase"],
        ["request", "contoso.csv", "link/pfx/new", "--dry-run"],
        ["steps", "contoso.csv", "--request-on-server", "-o", "requests/keys"],
        ["steps", "contoso.csv", "--request-on-server", "-o", "link/steps/new"],
        ["recovery", "new", "requests/keys/k", "--passphrase-file", "passphrase"],
    ):
        refused(planner, arguments, "belongs to lyncnb's own files")


def test_own_places_are_what_a_folder_holds(planner):
    """Everything that lyncnb makes in the first level of a request folder is guarded."""
    with lock(planner.folder / "requests"):
        assert {path.name for path in (planner.folder / "requests").iterdir()} <= OWN_PLACES
