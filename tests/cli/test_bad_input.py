"""If the input on the command line is invalid, lyncnb prints one clear message, sets the right exit
status, and leaves no incomplete file.

Every case runs the whole program. Standard error begins with ``lyncnb:`` and contains no traceback,
and the folder does not change.
"""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile

import click
import pytest
from folders import (
    PASSPHRASE,
    read_document,
    write_earlier,
)
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.cli.app import COMMANDS

shell = pytest.fixture(make_shell)

HEADER = TWO_FRONT_ENDS.splitlines()[0]
ROW = TWO_FRONT_ENDS.splitlines()[1]


def _table(**cells: str) -> str:
    """Return a table with one server, in which some cells are changed or a column with an unknown
    name is added.
    """
    columns = HEADER.split(",")
    values = dict(zip(columns, ROW.split(","), strict=True)) | cells
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(values)
    writer.writerow(values.values())
    return out.getvalue()


def _assert_refused(shell, name: str, content: str | bytes | None, *words: str) -> None:
    """Check that every command that reads a topology rejects the given file, and writes no file."""
    if content is not None:
        shell.write(name, content)
    before = sorted(path.name for path in shell.folder.iterdir())
    for arguments in (
        ("plan", name, "-o", "plan.xlsx"),
        ("check", name),
        ("explain", name, "fe01.contoso.net"),
        ("request", name, "requests", "--dry-run"),
        ("plan", name, "--json"),
    ):
        result = shell(*arguments)
        assert result.status == 2, (arguments, result)
        assert result.err.startswith("lyncnb: "), arguments
        for word in words:
            assert word in result.err, (word, result.err)
        if arguments[-1] == "--json":
            assert json.loads(result.out)["error"]["code"] in ("topology", "plan")
        else:
            assert result.out == ""
    assert sorted(path.name for path in shell.folder.iterdir()) == before


# The following tests use files that are not server tables.


def test_missing_file(shell):
    """If the input file does not exist, the error message contains the name of the file."""
    _assert_refused(shell, "nowhere.csv", None, "nowhere.csv", "hint: ")


def test_folder_instead_of_a_file(shell):
    """If a folder is passed instead of a file, the error message says that it is a folder."""
    (shell.folder / "topologies").mkdir()
    _assert_refused(shell, "topologies", None, "topologies", "folder")


def test_empty_file(shell):
    """If the input file is empty, the error message says that it is empty."""
    _assert_refused(shell, "empty.csv", b"", "empty.csv is empty")


def test_heading_without_rows(shell):
    """A table that has headings but no server is rejected."""
    _assert_refused(shell, "bare.csv", HEADER + "\n", "bare.csv")


def test_archive_with_the_name_of_a_csv(shell):
    """If an archive has the suffix .csv, lyncnb rejects the file and says that it is an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    _assert_refused(
        shell, "renamed.csv", buffer.getvalue(), "a ZIP archive without a workbook", "hint: "
    )


def test_file_of_201_megabytes(shell):
    """lyncnb checks the size of a file before reading it, and rejects a file that is too large."""
    with open(shell.folder / "huge.csv", "wb") as file:
        file.truncate(201_000_000)
    _assert_refused(shell, "huge.csv", None, "huge.csv is 201 MB")


@pytest.mark.posix
def test_endless_device(shell):
    """A device file is rejected and not read."""
    result = shell("check", "/dev/zero")
    assert result.status == 2
    assert "not a regular file" in result.err


def test_bytes_that_are_not_text(shell):
    """lyncnb rejects binary data instead of reading it as text."""
    _assert_refused(shell, "rubbish.csv", bytes(range(256)) * 20, "rubbish.csv")


def test_latin_1(shell):
    """Letters that no language has there are not a certain encoding. The message names the
    possible encodings. With --encoding, the table is read.
    """
    data = _table(site="Zü\u00b1\u00b3\u00b5").encode("latin-1")
    _assert_refused(shell, "latin1.csv", data, "latin1.csv", "not certain", "cp1252")
    assert shell("plan", "latin1.csv", "--encoding", "cp1252").err.count("cp1252") == 1


# The following tests use invalid tables.


def test_ragged_row(shell):
    """If a row has too many or too few cells, the error message contains its line, and no cell
    moves to another column.
    """
    _assert_refused(
        shell, "ragged.csv", TWO_FRONT_ENDS + "fe03.contoso.net,FrontEnd\n", "ragged.csv row 4"
    )


def test_row_with_a_cell_too_many(shell):
    """If a row has one cell too many, lyncnb reports an error, and does not use the first column as
    an index.
    """
    _assert_refused(
        shell, "long.csv", f"{HEADER}\n{ROW},extra\n", "long.csv row 2", ": 1 problem\n"
    )


def test_duplicate_heading(shell):
    """If a column appears twice, even under different names, lyncnb reports an error."""
    _assert_refused(
        shell, "twice.csv", f"{HEADER},site\n{ROW},Taipei\n", "twice.csv", "site"
    )  # fmt: skip
    _assert_refused(shell, "alias.csv", f"{HEADER},Computer\n{ROW},x.contoso.net\n", "alias.csv")


def test_column_missing(shell):
    """lyncnb rejects a table that has no column with server names."""
    _assert_refused(shell, "none.csv", "role,site\nFrontEnd,Taipei\n", "none.csv", "server_fqdn")


def test_line_break_in_a_cell(shell):
    """If a cell contains a line break, an error is reported, unless the column contains lists."""
    _assert_refused(shell, "break.csv", _table(site="Tai\npei"), "row 2", "site")


def test_nul_in_a_cell(shell):
    """If a cell contains a NUL character, lyncnb rejects the table, and the error message names the
    file.
    """
    _assert_refused(shell, "nul.csv", _table(site="Tai\x00pei"), "nul.csv")


def test_all_problems_at_once(shell):
    """All problems in a table are reported together, each with its row, column, value and a hint."""
    text = TWO_FRONT_ENDS + (
        "http://fe03.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,\n"
        "fe 04.contoso.net,Nonsense,pool.contoso.net,Taipei,,,,\n"
    )
    shell.write("bad.csv", text)
    result = shell("check", "bad.csv", "--json")
    problems = json.loads(result.out)["error"]["problems"]
    assert [(p["row"], p["column"], p["value"]) for p in problems] == [
        (4, "server_fqdn", "http://fe03.contoso.net"),
        (5, "server_fqdn", "fe 04.contoso.net"),
        (5, "role", "Nonsense"),
    ]
    assert all(problem["hint"] and problem["message"] for problem in problems)


def test_two_values_for_one_pool(shell):
    """If two rows of the same pool contain different values, the error message contains both
    values.
    """
    text = TWO_FRONT_ENDS.replace(
        "fe02.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,",
        "fe02.contoso.net,FrontEnd,pool.contoso.net,Taipei,,,,other.contoso.com",
    )
    _assert_refused(
        shell, "two.csv", text, "web_external_fqdn", "other.contoso.com", "web.contoso.com"
    )


def test_no_sip_domain(shell):
    """If the table contains no SIP domain, no plan is created."""
    _assert_refused(shell, "none.csv", _table(sip_domains=""), "sip_domains")


@pytest.mark.parametrize("value", ["maybe", "2", "ja"])
def test_not_a_truth_value(shell, value):
    """A yes/no column accepts only the known values."""
    _assert_refused(shell, "bool.csv", _table(autologon=value), "autologon", value)


# The following tests use invalid names.


@pytest.mark.parametrize(
    "name",
    [
        "a..contoso.net",  # The name contains an empty label.
        ".contoso.net",
        "fe 01.contoso.net",
        "http://fe01.contoso.net",
        "fe01.contoso.net/meet",
        "fe01.contoso.net:443",
        "192.0.2.7",
        "2001:db8::7",
        # The full-width digits become an IP address when they are converted to ASCII.
        "\uff11\uff19\uff12.0.2.7",
        "f*.contoso.net",
        "*.*.contoso.net",
        "*",
        "-fe01.contoso.net",
        "fe01-.contoso.net",
        "x" * 64 + ".contoso.net",
        ".".join(["x" * 60] * 5),
        "xn--zz--.contoso.net",
        "\u2603.contoso.net",  # A snowman symbol is not allowed in a host name.
        "fe01\x00.contoso.net",
        "admin@contoso.net",
    ],
)
def test_text_that_is_not_a_name(shell, name):
    """Text that is not a valid host name is rejected, and the message contains the row, column,
    value and a hint.
    """
    _assert_refused(shell, "names.csv", _table(server_fqdn=name), "names.csv", "server_fqdn")


def test_unknown_role(shell):
    """If a role is unknown, the error message lists the known roles."""
    _assert_refused(shell, "role.csv", _table(role="Mailbox"), "row 2", '"Mailbox"', "FrontEnd")


def test_url_that_is_not_https(shell):
    """A simple URL is rejected if it does not start with https."""
    _assert_refused(shell, "url.csv", _table(meet_urls="http://meet.contoso.com"), "meet_urls")


def test_common_name_over_64_characters(shell):
    """If the common name of a subject is too long, lyncnb does not shorten the name, but reports an
    error and rejects the plan.
    """
    name = f"{'x' * 60}.contoso.net"
    shell.write("long.csv", _table(server_fqdn=name, pool_fqdn=name))
    result = shell("check", "long.csv", "--json")
    codes = {f["code"] for f in json.loads(result.out)["findings"] if f["severity"] == "error"}
    assert result.status == 1
    assert "common-name-too-long" in codes
    shell.write("passphrase", PASSPHRASE)
    result = shell("request", "long.csv", "requests", "--passphrase-file", "passphrase")
    assert result.status == 1
    assert not (shell.folder / "requests").exists()


# The following tests use invalid options.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 'blue'\n", ("colour",)),
        ("layout = 'both'\n", ("layout", "both", "combined")),
        ("layout = \n", ("options.toml",)),
        ("[key]\nalgorithm = 'RSA'\nbits = 1024\n", ("1024",)),
        ("hash = 'sha1'\n", ("sha1",)),
        ("wildcard = 'yes'\n", ("wildcard",)),
        ("[subject]\ncountry = 'Taiwan'\n", ("Taiwan",)),
        ("[issuer]\nNonsense = 'public'\n", ("Nonsense",)),
        ("\x00", ("options.toml",)),
    ],
)
def test_invalid_options(shell, text, words):
    """If plan.toml is invalid, the error message contains the key and the value."""
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    shell.write("options.toml", text)
    result = shell("plan", "contoso.csv", "--options", "options.toml")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("lyncnb: ")
    for word in words:
        assert word in result.err


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_options_that_cannot_be_read(shell, name):
    """If the options file is missing or is a folder, the command prints no plan and exits with
    status 2.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    result = shell("plan", "contoso.csv", "--options", name)
    assert (result.status, result.out) == (2, "")


# The following tests use invalid output files and request folders.


def _unwritable(shell) -> list[str]:
    (shell.folder / "folder.csv").mkdir()
    names = ["nowhere/plan.csv", "folder.csv", "/proc/plan.csv", "plan", "plan.pdf"]
    if os.name == "nt":
        return names
    (shell.folder / "link.csv").symlink_to(shell.folder / "elsewhere.csv")
    return [*names, "link.csv"]


def test_output_that_cannot_be_written(shell):
    """If the path for -o is a folder or a link, is in a missing folder, or has an unknown format,
    it is rejected with exit status 2.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    for name in _unwritable(shell):
        before = sorted(path.name for path in shell.folder.iterdir())
        result = shell("plan", "contoso.csv", "-o", name)
        assert (result.status, result.out) == (2, ""), name
        assert result.err.startswith("lyncnb: ")
        assert sorted(path.name for path in shell.folder.iterdir()) == before


def test_output_over_the_input(shell):
    """If the path for -o is the path of the topology file, the command is rejected, so that the
    planner's table is not overwritten.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    result = shell("plan", "contoso.csv", "-o", "./contoso.csv")
    assert (result.status, result.out) == (2, "")
    assert "is also an input, so lyncnb cannot use it" in result.err
    assert (shell.folder / "contoso.csv").read_text() == TWO_FRONT_ENDS
    shell.write("n.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    assert shell("share", "n.ipynb", "-o", "n.ipynb").status == 2
    assert (shell.folder / "n.ipynb").read_text().startswith("{")


def test_output_over_a_manifest(shell):
    """lyncnb rejects the manifest of a request folder as an output file, because the manifest
    records the keys.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    (shell.folder / "requests" / "keys").mkdir(parents=True)
    result = shell("plan", "contoso.csv", "-o", "requests/manifest.json")
    assert (result.status, result.out) == (2, "")
    assert "requests/manifest.json is one of lyncnb's own files" in result.err
    assert "is one of lyncnb's own files" in result.err


@pytest.mark.posix
def test_request_folder_that_cannot_be_used(shell):
    """If the request folder is a file, a link, or a folder that other users can open, the command
    is rejected with exit status 3.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    shell.write("file", "x")
    (shell.folder / "real").mkdir()
    (shell.folder / "link").symlink_to(shell.folder / "real")
    (shell.folder / "open").mkdir()
    (shell.folder / "open").chmod(0o777)
    for name in ("file", "link", "open", "/proc/requests"):
        result = shell("request", "contoso.csv", name, "--passphrase-file", "passphrase")
        assert (result.status, result.out) == (3, ""), name
        assert "hint: " in result.err
    assert list((shell.folder / "real").iterdir()) == []
    assert list((shell.folder / "open").iterdir()) == []


@pytest.mark.parametrize("command", ["status", "rekey", "purge", "receive", "pfx", "steps"])
def test_no_request_folder(shell, command):
    """If a request folder is missing or has no manifest, every command rejects it with exit status
    3.
    """
    (shell.folder / "other").mkdir()
    shell.write("old", PASSPHRASE)
    shell.write("new", PASSPHRASE + "!")
    extra_options = {
        "rekey": ("--passphrase-file", "old", "--new-passphrase-file", "new"),
        "pfx": ("--passphrase-file", "old"),
    }
    for name in ("other", "nowhere"):
        result = shell(command, name, *extra_options.get(command, ()))
        assert result.status == 3, result
        assert "hint: " in result.err
    assert list((shell.folder / "other").iterdir()) == []


def test_edited_manifest_is_rejected(shell):
    """If the manifest of a request folder was edited, commands reject the folder with exit status 3
    and a hint.
    """
    shell.write("contoso.csv", TWO_FRONT_ENDS)
    shell.write("passphrase", PASSPHRASE)
    request = ("request", "contoso.csv", "requests", "--passphrase-file", "passphrase")
    assert shell(*request).status == 0
    document = read_document(shell.folder / "requests")
    for change in ({"requests": 5}, {"product": 5}, {"accepted": [{}]}, {"plans": [{"a": 1}]}):
        write_earlier(shell.folder / "requests", document | change)
        for arguments in (("status", "requests"), request, ("handover", "requests", "o.zip")):
            result = shell(*arguments)
            assert result.status == 3, (change, arguments)
            assert "--rebuild" in result.err


# The following tests are about passphrases.


@pytest.fixture
def topology(shell):
    """Write a topology whose plan has no errors."""
    return shell.write("contoso.csv", TWO_FRONT_ENDS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"short", "5 characters"),
        (b"", "0 characters"),
        (b"\nsecond line is long enough\n", "0 characters"),
        (b"\xff\xfec\x00o\x00r\x00r\x00e\x00c\x00t", "UTF-8"),
        (b"correct\thorse battery", "cannot be typed"),
        (b"x" * 2000, "longer than"),
    ],
)
def test_invalid_passphrase(shell, topology, content, words):
    """lyncnb rejects a passphrase that is too short, too long or not text, and never shows it in a
    message.
    """
    shell.write("passphrase", content)
    result = shell("request", topology, "requests", "--passphrase-file", "passphrase")
    assert (result.status, result.out) == (3, "")
    assert words in result.err
    assert "xxxx" not in result.err
    assert not (shell.folder / "requests").exists()


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_passphrase_file_that_cannot_be_read(shell, topology, name):
    """If the passphrase file is missing or is a folder, the exit status is 3."""
    result = shell("request", topology, "requests", "--passphrase-file", name)
    assert (result.status, result.out) == (3, "")
    assert not (shell.folder / "requests").exists()


def test_missing_passphrase(shell, topology):
    """If no passphrase can be read from a terminal, file or variable, the exit status is 3, and the
    message shows what to set.
    """
    result = shell.process("request", topology, "requests")
    assert (result.status, result.out) == (3, "")
    assert result.err == (
        "lyncnb: you did not specify a passphrase, and lyncnb cannot prompt for it, because standard input "
        "is not a terminal\n  hint: use --passphrase-file, or set LYNCNB_PASSPHRASE\n"
    )
    assert not (shell.folder / "requests").exists()


def test_passphrase_in_the_environment(shell, topology):
    """lyncnb reads the passphrase from the environment variable, rejects one that is too short, and
    never shows it in a message.
    """
    result = shell.process("request", topology, "r", environment={"LYNCNB_PASSPHRASE": "tooshort"})
    assert result.status == 3
    assert "tooshort" not in result.err
    result = shell.process("request", topology, "r", environment={"LYNCNB_PASSPHRASE": PASSPHRASE})
    assert result.status == 0
    assert shell("request", topology, "r", "--passphrase", PASSPHRASE).status == 2


def test_wrong_passphrase_changes_nothing(shell, topology):
    """Every command that opens keys rejects a wrong passphrase with exit status 3, and changes
    nothing.
    """
    shell.write("right", PASSPHRASE)
    shell.write("wrong", "wrong horse battery")
    shell.write("new", "another horse battery")
    assert shell("request", topology, "requests", "--passphrase-file", "right").status == 0
    folder = shell.folder / "requests"
    before = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    topology.write_text(TWO_FRONT_ENDS.replace("dialin.contoso.com", "dial.contoso.com"))
    for arguments in (
        ("request", topology, "requests"),
        ("status", "requests", "--rebuild"),
        ("rekey", "requests", "--new-passphrase-file", "new"),
        ("pfx", "requests"),
    ):
        result = shell(*arguments, "--passphrase-file", "wrong")
        assert result.status == 3, arguments
        assert "passphrase" in result.err
        assert "wrong horse" not in result.err
    after = {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    assert {p: data for p, data in after.items() if p.name not in (".lock", "lyncnb.lock")} == {
        p: data for p, data in before.items() if p.name not in (".lock", "lyncnb.lock")
    }


# The following tests use malicious text.


HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\uff1dHYPERLINK(1)",
    "@SUM(1)",
    '"><img src=x onerror=alert(1)>',
    "| a | b |",
    "$(Remove-Item C:\\)",
]


@pytest.mark.parametrize("site", HOSTILE)
def test_hostile_site_in_every_format(shell, site):
    """If the name of a site contains malicious text, every output format contains it as plain text."""
    shell.write("contoso.csv", _table(site=site))
    for suffix in ("html", "md", "csv", "xlsx"):
        assert shell("plan", "contoso.csv", "-o", f"plan.{suffix}").status == 0
    page = (shell.folder / "plan.html").read_text("utf-8")
    assert "<script" not in page
    # Every image on the page is the picture of the plan, which contains no script.
    assert page.count("<img") == page.count('<img src="data:image/svg+xml;base64,')
    markdown = (shell.folder / "plan.md").read_text("utf-8")
    assert "<script" not in markdown
    with open(shell.folder / "plan.csv", encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    with zipfile.ZipFile(shell.folder / "plan.xlsx") as archive:
        xml = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "<f>" not in xml
    assert "<f " not in xml


def test_escape_sequences_in_a_message(shell):
    """If an error message quotes text with escape sequences, the text cannot control the terminal."""
    shell.write("esc.csv", _table(role="\x1b]0;owned\x07"))
    result = shell("check", "esc.csv")
    assert result.status == 2
    assert "\x1b" not in result.err
    assert "\x07" not in result.err


@pytest.mark.parametrize(
    "name",
    [
        *("-o", "--json", "~root"),
        *(
            pytest.param(name, marks=pytest.mark.posix)
            for name in ("contoso.csv\n.csv", "*", "CON")
        ),
    ],
)
def test_odd_file_names(shell, name):
    """If a file name looks like an option or a pattern, it is still used as a file name."""
    shell.write(name, TWO_FRONT_ENDS)
    result = shell("check", "--", name)
    assert result.status == 0


@pytest.mark.posix  # The tests on Windows (.ci/windows) install no libraries for notebooks.
def test_missing_and_invalid_notebooks_are_rejected(shell):
    """If a file is missing or is not a notebook, the notebook commands exit with status 2."""
    shell.write("text.ipynb", "no notebook")
    shell.write("empty.ipynb", b"")
    for command in ("run", "clean", "share"):
        for name in ("text.ipynb", "empty.ipynb", "nowhere.ipynb"):
            result = shell(command, name)
            assert (result.status, result.out) == (2, ""), (command, name)
    assert sorted(path.name for path in shell.folder.iterdir()) == ["empty.ipynb", "text.ipynb"]


def test_repeated_option_is_rejected(shell):
    """If an option that accepts one value is passed twice, every command rejects it.

    Lists and flags may be repeated.
    """
    refused = 0
    for command in COMMANDS:
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag or option.multiple:
                continue
            name = max(option.opts, key=len)
            result = shell(
                command.name, name, "one", f"{name}=two" if "--" in name else f"{name}two"
            )
            assert (result.status, result.out) == (2, ""), (command.name, name)
            message = f"lyncnb: {command.name}: you specified {name} 2 times, but it takes only one value\n"
            assert result.err.startswith(message), result.err
            refused += 1
    assert refused > 50
    shell.write("t.csv", TWO_FRONT_ENDS)
    result = shell(
        "request", "t.csv", "r", "--accept", "a=b", "--accept", "c=d", "--dry-run", "--dry-run"
    )
    assert "takes only one value" not in result.err
