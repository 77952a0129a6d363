"""Test the help, the planning commands, and the exit status of commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib

import click
import pytest
from shell_kit import make_shell, process_environment
from topologies import TWO_FRONT_ENDS
from topology_documents import front_end, make_published_topology

from lyncnb.cli import failures
from lyncnb.cli.app import run_command
from lyncnb.cli.help import SECTIONS, build_overview
from lyncnb.errors import LyncnbError, Problem
from lyncnb.rules.rule_files import load_rules

COMMANDS = [name for _, commands in SECTIONS for name, _ in commands]
HEAVY = ("pandas", "cryptography", "jupyterlab", "IPython", "ipywidgets", "numpy", "xlsxwriter")

shell = pytest.fixture(make_shell)


@pytest.fixture
def topology(shell):
    """Write a topology with two servers whose plan has no errors."""
    return shell.write("contoso.csv", TWO_FRONT_ENDS)


# The following tests are about the help.


def test_first_page_of_help_imports_nothing():
    """The first page of the help is shown without importing click, pandas or cryptography."""
    code = (
        "import sys; from lyncnb.cli import main; main(['--help']); main(['--version']);"
        f"sys.exit(' '.join({{'click', *{HEAVY}}} & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(build_overview() + "lyncnb")


def test_help_of_every_command_imports_nothing_heavy():
    """The help of a command is shown without importing pandas or cryptography."""
    code = (
        "import sys; from lyncnb.cli import main\n"
        f"for name in {COMMANDS!r}: assert main([name, '--help']) == 0\n"
        f"sys.exit(' '.join(set({HEAVY}) & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_help_lists_exactly_the_commands_there_are():
    """The first page of the help lists a command if and only if the command exists."""
    from lyncnb.cli.app import _group

    assert sorted(COMMANDS) == sorted(_group.commands)
    for name in COMMANDS:
        assert f"\n  {name} " in build_overview()


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
def test_ways_to_ask_for_help(shell, arguments):
    """Every way to request help shows the list of commands."""
    assert shell(*arguments) == (0, build_overview(), "")


def test_version_option_prints_the_package_version(shell, repository):
    """The option --version prints the version of the Python package."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    assert shell("--version") == (0, f"lyncnb {project['version']}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_exit_statuses(shell, name):
    """The help of each command shows its usage and, if the command can fail, its exit statuses."""
    result = shell(name, "--help")
    assert result.status == 0
    assert result.out.startswith(f"Usage: lyncnb {name} ")
    assert "Exit status: 0" in result.out or name == "lab"


def test_module_runs_as_a_program(shell):
    """Running `python -m lyncnb` starts the same program as `lyncnb`."""
    assert shell.process("--help") == (0, build_overview(), "")


# The following tests use the commands plan, check, explain and finding.


def test_plan_lists_every_certificate(shell, topology):
    """The plan command shows each certificate on one line, and then the warnings, the totals and
    the next command.
    """
    result = shell("plan", topology)
    assert result.status == 0
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["Role", *["FrontEnd"] * 2, "Deployment"]
    assert lines[-2].startswith("3 certificates for 2 servers; findings: 0 errors, ")
    assert lines[-1] == f"Next: Write the requests: lyncnb request {topology} FOLDER"


def test_plan_verbose_lists_the_names(shell, topology):
    """With -v, the plan command shows the types, servers and names of each certificate below its
    id.
    """
    lines = shell("plan", topology, "-v").out.splitlines()
    names = lines[lines.index("Names:") + 1]
    planned_id, _, details = names.strip().partition(": ")
    assert planned_id.startswith("FrontEnd-fe01-contoso-net-")
    assert details.startswith(
        "Default, WebServicesInternal, WebServicesExternal on fe01.contoso.net: "
        "pool.contoso.net, fe01.contoso.net, web.contoso.com, meet.contoso.com"
    )


def test_a_table_with_many_idn_names_repeats_no_line(shell, topology):
    """For a table of internationalized names, plan -v shows one finding with each name once, and one
    note lists the encoded names.
    """
    table = TWO_FRONT_ENDS.replace("pool.contoso.net", "集區.contoso.net")
    topology.write_text(table.replace("fe0", "前端0").replace("web.", "網頁."), encoding="utf-8")
    result = shell("plan", topology, "-v")
    assert result.err.count("note: ") == 1
    assert "網頁.contoso.com as xn--zf0au25c.contoso.com" in " ".join(result.err.split())
    findings = result.out[result.out.index("warning: ") :]
    assert findings.count("[international-name]") == 1
    assert "(6 findings)" in findings
    for name in ("集區.contoso.net", "網頁.contoso.com", "前端01.contoso.net"):
        assert findings.count(name) == 1
    hint = "Test an internationalized name before you rely on it."
    assert " ".join(findings.split()).count(hint) == 1


def test_plan_with_errors_shows_the_first_step(shell, topology):
    """If a plan has errors, the next step in the output is to fix them."""
    topology.write_text(TWO_FRONT_ENDS.replace(",FrontEnd,pool.contoso.net,", ",FrontEnd,,"))
    result = shell("plan", topology, "--product", "lync2013")
    assert result.status == 1
    assert "\nerror: " in result.out
    last = result.out.splitlines()[-1]
    next_step = f"Then check the plan again: lyncnb check {topology} --product lync2013"
    assert re.fullmatch(rf"Next: Correct \d+ errors?\. {re.escape(next_step)}", last)


def test_plan_json_is_one_document(shell, topology):
    """With --json, the plan command prints only the JSON document of the plan to standard output."""
    result = shell("plan", topology, "--json")
    document = json.loads(result.out)
    assert (result.status, result.err) == (0, "")
    assert list(document) == [
        "format",
        "product",
        "plan_sha256",
        "judged_on",
        "certificates",
        "reasons",
        "findings",
    ]
    assert document["format"] == "lyncnb-plan/1"
    assert document["certificates"][0]["servers"] == ["fe01.contoso.net"]


def test_check_json_omits_the_certificates(shell, topology):
    """The command check --json prints the JSON document of the plan without its certificates."""
    document = json.loads(shell("plan", topology, "--json").out)
    result = shell("check", topology, "--json")
    del document["certificates"]
    assert json.loads(result.out) == document


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".html", ".md", ".json", ".CSV"])
def test_plan_writes_a_file(shell, topology, suffix):
    """With -o, the plan command writes a complete file in the format of the file name extension. A
    second run writes the same bytes.
    """
    file = shell.folder / f"plan{suffix}"
    assert shell("plan", topology, "-o", file).status == 0
    first = file.read_bytes()
    assert shell("plan", topology, "-o", file).err == f"written: {file}\n"
    assert file.read_bytes() == first
    assert len(first) > 500


def test_plan_to_file_and_json_at_once(shell, topology):
    """If the options -o and --json are combined, standard output contains one JSON document."""
    result = shell("plan", topology, "-o", "plan.md", "--json")
    assert json.loads(result.out)["format"] == "lyncnb-plan/1"


def test_plan_with_errors_ends_with_1(shell):
    """If a plan has errors, the plan command exits with status 1 and shows the code, hint and
    source of each error.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS.replace(",web.contoso.com", ","))
    for command in ("plan", "check"):
        result = shell(command, table)
        assert result.status == 1
        title = load_rules("lync2013").checks["web-external-fqdn-missing"].title
        assert f"error: {title}: web_external_fqdn is blank in every row" in result.out
        assert "[web-external-fqdn-missing]" in result.out
        assert "  source: Microsoft" in result.out


def test_explain_names_reason_and_source(shell, topology):
    """The explain command shows the reason for a name and the document that requires it."""
    result = shell("explain", topology, "FE01.contoso.net")
    assert result.status == 0
    assert "meet.contoso.com" in result.out
    assert "fe02.contoso.net" not in result.out.replace("Deployment", "")
    assert "Microsoft, Certificate requirements for internal servers" in result.out


def test_explain_unknown_server(shell, topology):
    """If the server is unknown, the explain command lists similar names."""
    result = shell("explain", topology, "fe09.contoso.net")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        'lyncnb: the topology has no server "fe09.contoso.net"\n'
        "  hint: did you mean fe02.contoso.net or fe01.contoso.net?\n"
    )


def test_a_finding_is_explained(shell):
    """The explain command shows the severity, meaning, hint and source of a code."""
    result = shell("explain", "Wildcard_in_subject_name")
    assert result.status == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("wildcard-in-subject-name (error): ")
    assert lines[2].startswith("  hint: ")
    assert lines[3].startswith("  source: ")


def test_finding_of_a_returned_certificate(shell):
    """The explain command also explains the codes of findings about returned certificates."""
    result = shell("explain", "file-unreadable")
    assert result.status == 0
    assert result.out.startswith("file-unreadable (error): lyncnb cannot read a returned file\n")


def test_misspelled_finding_code_lists_similar_codes(shell):
    """If the code of a finding is misspelled, the explain command lists similar codes."""
    result = shell("explain", "wildcard-in-subject")
    assert result.status == 2
    assert result.err.startswith(
        'lyncnb: no finding has the code "wildcard-in-subject"\n'
        "  hint: did you mean wildcard-in-subject-name"
    )
    result = shell("explain", "qqqqqqqq")
    assert result.err.endswith(
        "hint: use a code in brackets from the output of lyncnb check or lyncnb receive\n"
    )


@pytest.mark.parametrize("name", ["plan.toml", "{table}.plan.toml"])
def test_options_file_is_used_only_if_it_is_passed(shell, topology, name):
    """If plan.toml is next to the table but the user does not pass --options, lyncnb ignores
    plan.toml and shows a note about it.
    """
    beside = topology.with_name(name.format(table=topology.stem))
    beside.write_text('layout = "separate"\n')
    without = shell("plan", topology, "--json")
    with_options = shell("plan", topology, "--json", "--options", beside)
    assert len(json.loads(without.out)["certificates"]) == 3
    assert len(json.loads(with_options.out)["certificates"]) > 3
    assert (
        f"note: lyncnb did not use {beside}. To use this file, add --options {beside}\n"
        in without.err
    )
    assert with_options.err == ""


def test_product_option_takes_precedence(shell, topology):
    """The option --product takes precedence over plan.toml. The command rejects an unknown product."""
    options = shell.write("options.toml", 'product = "nothing2099"\n')
    assert shell("check", topology, "--options", options).status == 2
    result = shell("check", topology, "--options", options, "--product", "lync2013")
    assert result.status == 0
    result = shell("check", topology, "--product", "nothing2099")
    assert 'product "nothing2099"' in result.err


def test_corrected_values_are_reported(shell):
    """If lyncnb corrects values when it reads a table, it shows the first ten corrections on
    standard error, and the number of the others.
    """
    rows = "".join(f"FE{number:02}.contoso.net.,FrontEnd,pool.contoso.net,Taipei,,,,\n"
                   for number in range(20, 40))  # fmt: skip
    table = shell.write("contoso.csv", TWO_FRONT_ENDS + rows)
    result = shell("check", table)
    notes = [line for line in result.err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 11
    assert notes[0] == (
        'note: contoso.csv row 4, column server_fqdn, "FE20.contoso.net.": changed to lowercase;'
        " trailing dot removed"
    )
    assert notes[-1].endswith(" more values in a similar way")


# The following tests are about the exit status of commands.


def test_usage_errors_have_the_same_form(shell):
    """A usage error has the same format as every other error, and its exit status is 2."""
    assert shell("plan") == (
        2,
        "",
        "lyncnb: plan: Missing argument 'TOPOLOGY'\n  hint: to show the command's arguments, run lyncnb plan --help\n",
    )
    result = shell("plna")
    assert result.status == 2
    assert result.err.startswith("lyncnb: No such command 'plna'")
    assert shell("plan", "x.csv", "--nope").status == 2


@pytest.mark.parametrize(
    ("command", "successor"),
    [
        ("dash", "lyncnb lab, or lyncnb page"),
        ("compare-topology", "lyncnb compare A B"),
        ("finding", "lyncnb explain CODE"),
    ],
)
def test_a_removed_command_names_its_successor(shell, command, successor):
    """A command that was removed answers with one line that says what to use instead."""
    result = shell(command, "work")
    assert (2, "") == (result.status, result.out)
    assert result.err.startswith(f"lyncnb: {command} was removed; use {successor}")
    assert not (shell.folder / "work").exists()


def test_usage_error_with_json(shell):
    """With --json, a usage error is also printed as one JSON document."""
    result = shell("plan", "--json")
    assert json.loads(result.out) == {
        "error": {
            "code": "usage",
            "message": "plan: Missing argument 'TOPOLOGY'",
            "hint": "to show the command's arguments, run lyncnb plan --help",
        }
    }


def test_fault_is_reported_without_a_traceback(shell, topology, monkeypatch):
    """An unexpected exception is reported as an internal error of lyncnb, with exit status 70.

    LYNCNB_DEBUG shows more.
    """

    def broken(source, **options):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("lyncnb.topology.topology.read_topology", broken)
    result = shell("plan", topology, "--json")
    assert result.status == failures.FAULT
    assert "an internal error occurred in lyncnb (test_planning.py line " in result.err
    assert "RuntimeError: two lines" in result.err
    assert json.loads(result.out)["error"]["code"] == "fault"
    monkeypatch.setenv("LYNCNB_DEBUG", "1")
    assert run_command(["plan", str(topology)]) == failures.FAULT


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            KeyboardInterrupt(),
            130,
            "lyncnb: the command was interrupted; lyncnb kept the completed work",
        ),
        (
            click.Abort(),
            130,
            "lyncnb: the command was interrupted; lyncnb kept the completed work",
        ),
        (MemoryError(), 2, "lyncnb: there is not enough memory"),
        (PermissionError(13, "Permission denied", "/x"), 2, "lyncnb: /x: Permission denied"),
        (OSError("odd"), 2, "lyncnb: odd"),
        (LyncnbError("one", hint="two"), 2, "lyncnb: one\n  hint: two"),
    ],
)
def test_each_error_has_an_exit_status_and_a_message(capsys, error, status, line):
    """Each type of error has a separate exit status, and its message is printed."""
    assert failures.report_error(error, as_json=False) == status
    assert capsys.readouterr().err.startswith(line + "\n")


def test_system_error_of_a_folder_command(capsys):
    """If the operating system denies access to a request folder, the exit status is 3."""
    assert (
        failures.report_error(OSError(28, "No space left"), as_json=True, is_about_folder=True) == 3
    )
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "No space left"


def test_many_problems_are_shortened_only_in_text(capsys):
    """On a terminal, the first hundred problems are shown. The JSON document contains all problems."""
    problems = tuple(Problem(message=f"p{n}", file="a.csv", row=n + 2) for n in range(150))
    error = LyncnbError("a.csv: 150 problems", problems=problems)
    assert failures.report_error(error, as_json=True) == 2
    out, err = capsys.readouterr()
    assert len(json.loads(out)["error"]["problems"]) == 150
    assert "a.csv row 101: p99\n" in err
    assert "a.csv row 102" not in err
    assert "… and 50 more; to list all, use --json" in err


@pytest.mark.posix
def test_closed_pipe_is_reported(shell, topology):
    """If the program that reads the output closes its pipe, the command prints a one-line error and
    exits with status 3.
    """
    command = f"{sys.executable} -m lyncnb plan {topology} --json; echo $? >status"
    result = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        env=process_environment(),
        capture_output=True,
        check=False,
    )
    assert (shell.folder / "status").read_text().strip() in ("3", "0")
    assert result.stderr in (b"", b"lyncnb: cannot write to standard output: Broken pipe\n")


@pytest.mark.posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_that_is_full(shell, topology):
    """If lyncnb cannot write to standard output because the disk is full, it shows an error."""
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "lyncnb", "plan", str(topology)],
            env=process_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 3
    assert result.stderr == "lyncnb: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp950", "cp1252"])
def test_terminal_that_cannot_show_a_character(shell, encoding):
    """If a terminal cannot show a character in the name of a site, the output contains a question
    mark instead.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS.replace("Taipei", "台北é"))
    result = shell.process("plan", table, environment={"PYTHONIOENCODING": encoding})
    assert result.status == 0
    result = shell.process("plan", table, "--json", environment={"PYTHONIOENCODING": encoding})
    assert json.loads(result.out)["certificates"][0]["site"] == "台北é"


# The following tests are about pictures.


@pytest.mark.parametrize("kind", ["topology", "coverage", "timeline"])
def test_plan_draws_a_picture(shell, topology, kind):
    """If the suffix of the output file is .svg, plan -o writes the picture, and may overwrite a
    picture that it wrote earlier.
    """
    assert shell("plan", topology, "-o", "plan.svg", "--figure", kind).status == 0
    first = (shell.folder / "plan.svg").read_text("utf-8")
    assert "<svg" in first
    assert shell("plan", topology, "-o", "plan.svg", "--figure", kind).status == 0
    assert (shell.folder / "plan.svg").read_text("utf-8") == first


def test_picture_shows_the_topology_by_default(shell, topology):
    """Without --figure, the picture shows the connections in the topology. With --site, it shows
    the pools of one site.

    With --site, it shows the pools of one site.
    """
    assert shell("plan", topology, "-o", "plan.svg").status == 0
    assert ": connections" in (shell.folder / "plan.svg").read_text("utf-8")
    assert shell("plan", topology, "-o", "site.svg", "--site", "Taipei").status == 0
    refused = shell("plan", topology, "-o", "site.svg", "--site", "Tainan")
    assert (refused.status, "Taipei" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "plan.svg", "--figure", "map"), "topology, coverage, timeline"),
        (("-o", "plan.csv", "--figure", "topology"), ".svg"),
        (("-o", "plan.png"), ".docx, .json, .svg"),
        (("--figure", "topology"), "-o FILE.svg"),
    ],
)
def test_invalid_options_for_a_picture_are_rejected(shell, topology, arguments, message):
    """lyncnb rejects an unknown figure, a picture file with the wrong extension, and a figure
    without a file. It writes nothing.
    """
    result = shell("plan", topology, *arguments)
    assert result.status == 2
    assert message in result.err
    assert not (shell.folder / "plan.csv").exists()


def test_unknown_picture_is_not_overwritten(shell, topology):
    """If lyncnb did not write an existing .svg file, the plan command overwrites the file only with
    --force.
    """
    shell.write("plan.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert shell("plan", topology, "-o", "plan.svg").status != 0
    assert shell("plan", topology, "-o", "plan.svg", "--force").status == 0


@pytest.mark.parametrize("command", ["plan", "check"])
def test_evaluation_date_can_be_specified(shell, topology, command):
    """With --on, the plan is evaluated with the rules that apply on that date, and the JSON
    document contains the date.
    """
    result = shell(command, topology, "--json", "--on", "2026-03-14")
    assert json.loads(result.out)["judged_on"] == "2026-03-14"
    wrong = shell(command, topology, "--on", "tomorrow")
    assert (wrong.status, wrong.out) == (2, "")
    assert '"tomorrow" is not a date' in wrong.err
    assert "2027-03-15" in wrong.err


def test_all_findings_can_be_written_to_a_page(shell, tmp_path):
    """The command explain --all writes a page of all findings, and overwrites an earlier page but
    no other file.
    """
    path = tmp_path / "findings.html"
    for _ in range(2):
        assert shell("explain", "--all", "-o", str(path)).status == 0
        assert "validity-asked-over-limit" in path.read_text("utf-8")
    path.write_text("mine", encoding="utf-8")
    assert shell("explain", "--all", "-o", str(path)).status != 0
    assert path.read_text("utf-8") == "mine"


def test_page_of_findings_requires_a_file_and_no_code(shell, tmp_path):
    """The explain command rejects four calls: without arguments, with --all but no file, with a
    file but without --all, and with a code in combination with --all or a file.
    """
    page = str(tmp_path / "f.html")
    for arguments in (("--all",), ("-o", page), ("--all", "-o", page, "meet-url-count"), ()):
        result = shell("explain", *arguments)
        assert result.status == 2
        assert "--all -o findings.html" in result.err
    assert not (tmp_path / "f.html").exists()


def test_notices_about_orders_are_grouped(shell, data):
    """The check command shows eight notices about orders under one heading, and check -v shows
    each of them separately.
    """
    path = data / "contoso.csv"
    short = shell("check", path, "--on", "2026-11-25").out
    assert short.count("notice: ") == 2  # The second notice is about names outside the SIP domains.
    assert "notice: Before you order from a public CA (8 points)" in short
    listing = f"To list the findings, run: lyncnb check {path} -v"
    assert listing in " ".join(short.split())
    long = shell("check", path, "--on", "2026-11-25", "-v").out
    assert long.count("notice: ") == 9
    about_lines = [line for line in long.splitlines() if line.startswith("  about ")]
    alike = [line.partition(" [")[0] for line in about_lines]
    assert len(set(alike[:8])) == 1  # The notices with the same heading are listed together.
    codes = [f["code"] for f in json.loads(shell("check", path, "--json").out)["findings"]]
    assert "caa-of-zones" in codes
    assert len(set(codes)) >= 9


def test_convert_warns_about_formulas(shell):
    """The convert command warns about cells that a spreadsheet program would run as formulas.

    CSV keeps them unchanged, and a workbook stores them as text.
    """
    table = TWO_FRONT_ENDS.replace("Taipei", '"=HYPERLINK(""http://x"")"')
    shell.write("t.csv", table)
    result = shell("convert", "t.csv", "out.csv")
    assert result.status == 0
    assert "would run as a formula, for example row 2, site: " in result.err
    assert "would run" not in shell("convert", "t.csv", "out.xlsx").err
    shell.write("good.csv", TWO_FRONT_ENDS)
    assert "would run" not in shell("convert", "good.csv", "good-out.csv").err


@pytest.mark.parametrize(
    ("version", "arguments", "command"),
    [
        ("7", (), "lyncnb plan out.csv --product sfb2015"),
        ("6", (), "lyncnb plan out.csv"),
        # The product that the user specifies replaces the product in the document.
        ("7", ("--product", "sfb2019"), "lyncnb plan out.csv --product sfb2019"),
    ],
)
def test_next_step_after_convert_plans_the_same_product(shell, version, arguments, command):
    """A table does not contain the product, so the next step after convert specifies the product
    of the topology document.
    """
    document = make_published_topology([front_end("pool01.contoso.net")], version=version)
    result = shell("convert", shell.write("t.xml", document), "out.csv", *arguments)
    assert result.status == 0
    assert result.out.splitlines()[-1] == f"Next: Plan the certificates: {command}"
