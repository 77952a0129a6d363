"""The command `check --fix` shows fixes and asks for confirmation. It saves a backup of the old
file before it writes the fixes.
"""

from __future__ import annotations

import io
import json
import sys
from datetime import date

import pandas as pd
import pytest
from good_deployment import MED, SE, table
from places import DATA
from shell_kit import make_shell, process_environment
from topology_documents import front_end, make_exported_topology, topology_builder
from workbooks import rows_of, xlsx

import lyncnb as ln
from lyncnb.checks.fix_plan import fix_plan

shell = pytest.fixture(make_shell)

TABLE = table([(MED, "web_external_fqdn", "w.contoso.com"), (SE, "web_internal_fqdn", "x.a.com")])
OPTIONS = b"# ours\nxmpp_host_names = true  # who said so?\nwildcard = false\n"


@pytest.fixture
def files(shell):
    """Write a table with two mistakes and an options file with one mistake, each of which has a
    safe fix.
    """
    return shell.write("t.csv", TABLE), shell.write("plan.toml", OPTIONS)


@pytest.fixture
def arguments(files):
    """Return the arguments of the check command."""
    return ("check", files[0], "--options", files[1], "--on", "2026-11-25", "--fix")


def test_fixes_are_written_and_the_old_files_are_saved(shell, files, arguments):
    """With --yes, the check command fixes the table and the options, keeps comments, and saves the
    old text in FILE.bak.
    """
    result = shell(*arguments, "--yes")
    assert result.status == 0
    assert files[0].read_bytes() == TABLE.replace(b"w.contoso.com", b"").replace(b"x.a.com", b"")
    assert files[1].read_bytes() == OPTIONS.replace(b"true", b"false")
    assert (
        files[0].with_name("t.csv.bak").read_bytes(),
        files[1].with_name("plan.toml.bak").read_bytes(),
    ) == (TABLE, OPTIONS)
    assert 'row 5, column web_internal_fqdn: "x.a.com" changed to blank' in result.out
    assert "+xmpp_host_names = false  # who said so?" in result.out
    assert "0 errors" in result.out
    second_result = shell(*arguments, "--yes")
    assert (second_result.status, second_result.err) == (
        0,
        "No finding has exactly one safe fix, so lyncnb changed nothing.\n",
    )


def test_misspelled_heading_is_corrected(shell):
    """A misspelled column heading, such as `autlogon`, causes a warning, and check --fix corrects
    the heading.
    """
    wrong = table().replace(b"autologon", b"autlogon").replace(b"extra_san", b"rack")
    path = shell.write("t.csv", wrong)
    before = shell("check", path, "--on", "2026-11-25")
    assert '"autlogon" is not a known column; did you mean autologon?' in before.out
    assert '"rack"' in before.out
    plan = json.loads(shell("plan", path, "--json").out)
    assert not any(
        "sip.contoso.com" in c["san"] for c in plan["certificates"] if c["role"] == "FrontEnd"
    )
    result = shell("check", path, "--on", "2026-11-25", "--fix", "--yes")
    assert 'row 1, column autlogon: "autlogon" changed to "autologon"' in result.out
    assert path.read_bytes() == table().replace(b"extra_san", b"rack")


def test_rejected_cells_are_fixed(shell):
    """A name without a domain gets the domain of the other servers and an unknown role the role
    that it looks like, in the table's file, also if its role column has an unknown heading.
    """
    wrong = (
        "Rechner,Rolle,sip_domains,site\r\n"
        "fe01.adatum.local,Standard Edition,adatum.local,Ulm\r\n"
        "med01.adatum.local,Mediation,,Ulm\r\n"
        "dc01,Office Web App,,Ulm\r\n"
    )
    path = shell.write("servers.csv", wrong)
    strict = shell("check", path)
    assert strict.status == 2
    assert "run lyncnb check FILE --fix" in strict.err
    assert "ln.PlanEditor(FILE)" in strict.err
    listed = shell("check", path, "--fix", "--json")
    assert listed.status == 2
    assert path.read_text("utf-8") == wrong.replace("\r\n", "\n")
    result = shell("check", path, "--fix", "--yes")
    assert result.status in (0, 1), result.err
    assert 'row 4, column server_fqdn: "dc01" changed to "dc01.adatum.local"' in result.out
    assert path.read_text("utf-8").startswith("server_fqdn,role,sip_domains,site")
    assert shell("check", path).err.count("lyncnb cannot use") == 0


def test_rejected_cells_without_a_safe_fix_stay(shell):
    """A cell without a certain text keeps it, and the command lists the cell and exits 2."""
    wrong = table().replace(b"StandardEdition", b"Nonsense", 1)
    assert wrong != table()
    path = shell.write("t.csv", wrong)
    result = shell("check", path, "--fix", "--yes")
    assert result.status == 2
    assert "Nonsense" in result.err
    assert "ln.PlanEditor(FILE)" in result.err
    assert path.read_bytes() == wrong


def test_an_older_backup_is_kept(shell, files, arguments):
    """If FILE.bak exists, the check command does not overwrite it."""
    shell.write("t.csv.bak", "older")
    shell(*arguments, "--yes")
    assert files[0].with_name("t.csv.bak").read_text() == "older"
    assert files[0].with_name("t.csv.bak2").read_bytes() == TABLE


def test_without_a_terminal_fixes_need_yes(shell, files, arguments):
    """Without a terminal, check --fix shows the differences, but writes the fixes only if --yes is
    passed.
    """
    result = shell.process(*arguments)
    assert result.status == 2
    assert "add --yes" in result.err
    assert "changed to blank" in result.out
    assert (files[0].read_bytes(), files[1].read_bytes()) == (TABLE, OPTIONS)
    assert not list(shell.folder.glob("*.bak"))


def test_json_lists_fixes_and_writes_nothing(shell, files, arguments):
    """With --json, check --fix prints one document that lists each fix with its edits, and writes
    no file, not even with --yes.
    """
    result = shell(*arguments, "--json", "--yes")
    document = json.loads(result.out)
    assert {fix["code"]: fix["edits"] for fix in document["fixes"]} == {
        "web-internal-fqdn-overridden": [
            {"server": "se01.contoso.com", "role": "StandardEdition",
             "column": "web_internal_fqdn", "text": ""}
        ],
        "value-not-heeded": [
            {"server": "med01.contoso.com", "role": "Mediation",
             "column": "web_external_fqdn", "text": ""}
        ],
        "option-changes-nothing": [{"option": "xmpp_host_names", "value": None}],
    }  # fmt: skip
    assert result.status == 1
    assert files[0].read_bytes() == TABLE
    assert "fixes" not in json.loads(shell(*arguments[:-1], "--json").out)


@pytest.mark.parametrize("name", ["t.tbxml", "t.xml"])
def test_a_topology_document_is_not_written(shell, name):
    """The command check --fix does not change a topology document, but writes the fixed table to a
    new workbook, and names it in the next command.
    """
    clusters = [front_end("se01.contoso.com", internal="x.contoso.com")]
    form = topology_builder if name == "t.tbxml" else make_exported_topology
    document = shell.write(name, form(clusters))
    before = document.read_bytes()
    result = shell("check", document, "--on", "2026-11-25", "--fix", "--yes")
    assert 'web_internal_fqdn: "x.contoso.com" -> blank' in result.out
    assert "t-plan.xlsx --product lync2013 FOLDER" in result.out
    assert result.status == 0
    assert document.read_bytes() == before
    assert sorted(path.name for path in shell.folder.iterdir()) == ["t-plan.xlsx", name]


def test_the_fixes_of_a_workbook_are_written_to_a_new_one(shell):
    """The command check --fix never changes a workbook of the planner. It writes NAME-plan.xlsx, and
    the next run a file with a number.
    """
    text = (DATA / "contoso.csv").read_text("utf-8-sig")
    rows = rows_of(
        text.replace(",FrontEnd,", ",FE Servers,").replace("dir01.contoso.net", "dir01", 1)
    )
    book = shell.write("planner.xlsx", xlsx(rows))
    before = book.read_bytes()
    result = shell("check", book, "--fix", "--yes")
    assert '"FE Servers" -> "FrontEnd"' in result.out
    assert '"dir01" -> "dir01.contoso.net"' in result.out
    assert "planner-plan.xlsx; the original table did not change" in result.err
    assert book.read_bytes() == before
    fixed = ln.read_topology(shell.folder / "planner-plan.xlsx")
    assert fixed.pools == ln.read_topology(DATA / "contoso.csv").pools
    shell("check", book, "--fix", "--yes")
    names = sorted(path.name for path in shell.folder.iterdir())
    assert names == ["planner-plan-2.xlsx", "planner-plan.xlsx", "planner.xlsx"]


def test_a_table_in_memory_is_not_written():
    """The function fix_plan does not change a DataFrame, but lists the row and column to edit."""
    frame = pd.read_csv(io.BytesIO(TABLE), dtype=str, keep_default_na=False)
    before = frame.copy()
    plan = ln.plan_certificates(ln.read_topology(frame), ln.load_rules("lync2013"))
    fixed_plan = fix_plan(plan, evaluation_date=date(2026, 11, 25))
    assert fixed_plan.cells == {
        MED: {"web_external_fqdn": ""},
        SE: {"web_internal_fqdn": ""},
    }
    assert frame.equals(before)


def test_yes_requires_fix(shell, files):
    """The option --yes is rejected unless --fix is also passed."""
    result = shell("check", files[0], "--yes")
    assert (result.status, "add --fix" in result.err) == (2, True)


@pytest.mark.posix
@pytest.mark.parametrize(("answer", "is_written"), [("n", False), ("", False), ("y", True)])
def test_terminal_asks_before_fixes_are_written(shell, files, arguments, answer, is_written):
    """On a terminal, check --fix writes the fixes only if the user answers yes."""
    import pexpect

    child = pexpect.spawn(
        sys.executable, ["-m", "lyncnb", *map(str, arguments)],
        cwd=str(shell.folder), env=process_environment(), timeout=60,
    )  # fmt: skip
    child.expect("Write these changes")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert (files[0].read_bytes() != TABLE) is is_written
    assert child.exitstatus == (0 if is_written else 1)


def test_fix_adds_a_missing_column(shell):
    """If a new user's table lacks columns, check --fix adds them to the file, and the next check
    reports no error.
    """
    path = shell.write(
        "own.csv",
        b"server_fqdn,role,pool_fqdn,site,sip_domains\n"
        b"fe01.litware.local,FrontEnd,pool01.litware.local,Hamburg,litware.com\n"
        b"edge01.litware.local,Edge,edgepool.litware.local,Hamburg,\n"
        b"rp01.litware.local,ReverseProxy,,Hamburg,\n",
    )
    assert shell("check", path).status == 1
    result = shell("check", path, "--fix", "--yes")
    assert (result.status, result.err.count("written:")) == (0, 1), result.err
    lines = path.read_text("utf-8").splitlines()
    assert {line.count(",") for line in lines} == {4 + 6}
    assert shell("check", path).status == 0
