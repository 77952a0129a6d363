"""The command `lyncnb guide` asks questions on a terminal or reads a file of answers, and writes
all files or none.
"""

from __future__ import annotations

import json
import os
import re
import sys

import pytest
from shell_kit import make_shell, process_environment

import lyncnb as ln
from lyncnb.base.terminal import quote_argument

shell = pytest.fixture(make_shell)

ANSWERS = 'sip_domains = ["contoso.com"]\nfederation = true\n\n[[site]]\nname = "Taipei"\n'
FILES = {"topology.csv", "plan.toml", "guide.toml"}


def files(folder):
    return {path.name for path in folder.iterdir()}


def test_guide_reads_a_file_of_answers(shell):
    """If the guide command reads answers from a file, it writes the table and prints counts, Python
    code, and the next two commands.
    """
    shell.write("given.toml", ANSWERS)
    result = shell("guide", "first plan", "--answers", "given.toml")
    assert (result.status, result.err) == (0, "")
    assert files(shell.folder / "first plan") == FILES
    assert "fe03.contoso.com    FrontEnd      fepool.contoso.com  Taipei\n" in result.out
    assert "7 certificates for 5 servers; findings: 0 errors, 0 warnings" in result.out
    first = ln.guided_plan(ln.GuideAnswers.from_toml(shell.folder / "given.toml"))
    names = {name for certificate in first.plan.certificates for name in certificate.names}
    assert f"The certificates contain {len(names)} different names." in result.out
    assert "questions and results of Microsoft's Planning Tool" in result.out
    plan, request = re.findall(r"^Next: .*: (lyncnb .*)$", result.out, re.M)
    table, options, requests = (
        quote_argument(os.path.join("first plan", name))
        for name in ("topology.csv", "plan.toml", "requests")
    )
    assert plan == f"lyncnb plan {table} --options {options}"
    assert request == f"lyncnb request {table} {requests} --options {options}"
    second_result = shell("plan", "first plan/topology.csv", "--options", "first plan/plan.toml")
    assert (second_result.status, "7 certificates" in second_result.out) == (0, True)
    python = result.out.partition("To create the same plan in Python:\n")[2].partition(
        "\nlyncnb guide does not include"
    )[0]
    namespace = {}
    exec("\n".join(line[2:] for line in python.splitlines()), namespace)
    assert namespace["topology"] == ln.read_topology(shell.folder / "first plan" / "topology.csv")


def test_edited_answers_can_be_used_again(shell):
    """With --force, the guide command writes its files again after the user edits guide.toml. The
    command does not change guide.toml.
    """
    shell.write("given.toml", ANSWERS)
    assert shell("guide", "--answers", "given.toml").status == 0
    original = (shell.folder / "guide.toml").read_text("utf-8")
    assert shell("guide", "--answers", "guide.toml").status == 0
    changed = "# by hand\n" + original.replace("front_end_pools = [3]", "front_end_pools = [2]")
    shell.write("guide.toml", changed)
    refused = shell("guide", "--answers", "guide.toml")
    assert refused.status == 2
    assert "topology.csv already exists, so lyncnb did not change it" in refused.err
    assert shell("guide", "--answers", "guide.toml", "--force").status == 0
    assert len(ln.read_topology(shell.folder / "topology.csv").cells) == 4
    assert (shell.folder / "guide.toml").read_text("utf-8") == changed


def test_as_json(shell):
    """The command guide --json prints one document with the files, answers, table, Python code,
    plan and omitted values.
    """
    shell.write("given.toml", ANSWERS)
    result = shell("guide", "--answers", "given.toml", "--json")
    document = json.loads(result.out)
    assert document["format"] == "lyncnb-guide/1"
    assert document["written"] == ["topology.csv", "plan.toml", "guide.toml"]
    assert ln.GuideAnswers.of(document["answers"]) == ln.GuideAnswers.from_toml(ANSWERS.encode())
    assert (len(document["servers"]), len(document["plan"]["certificates"])) == (5, 7)
    assert all(omission["source"] for omission in document["left_out"])


def test_invalid_answers_write_no_file(shell):
    """If answers are wrong, or if there are neither answers nor a terminal, guide exits with status
    2, and an empty folder stays empty.
    """
    shell.write("given.toml", ANSWERS.replace("true", '"perhaps"') + "directors = 1\nx = 1\n")
    wrong = shell("guide", "new", "--answers", "given.toml")
    assert wrong.status == 2
    assert 'federation: "perhaps" is neither yes nor no\n    hint: answer yes or no' in wrong.err
    assert "Unknown key: 'site[0].x'" in wrong.err
    assert shell("guide", "new", "--answers", "nowhere.toml").status == 2
    nobody = shell.process("guide", "new")
    assert nobody.status == 2
    assert "so it needs a terminal" in nobody.err
    assert "--answers FILE.toml" in nobody.err
    assert files(shell.folder) == {"given.toml"}


def test_file_of_answers_is_not_overwritten(shell):
    """If the answers file has the same name as an output file, the guide command does not overwrite
    it, even with --force.
    """
    shell.write("plan.toml", ANSWERS)
    result = shell("guide", ".", "--answers", "plan.toml", "--force")
    assert (result.status, result.out) == (2, "")
    assert "plan.toml" in result.err
    assert files(shell.folder) == {"plan.toml"}
    assert (shell.folder / "plan.toml").read_text() == ANSWERS


class Terminal:
    """A simulated planner at a terminal with 100 columns."""

    def __init__(self, shell, *arguments):
        pexpect = pytest.importorskip("pexpect")
        self.eof, self.late, self.told = pexpect.EOF, pexpect.TIMEOUT, ""
        self.child = pexpect.spawn(
            sys.executable, ["-m", "lyncnb", "guide", *arguments], encoding="utf-8",
            cwd=str(shell.folder), env=process_environment(), timeout=60, dimensions=(40, 100),
        )  # fmt: skip

    def answer(self, question, *texts):
        """Enter the given answers to a question of the guide one after the other.

        Press Enter at all questions before it.
        """
        for text in texts:
            while True:
                self.child.expect_exact("\n> ")
                prompt = self.child.before.rpartition("\n")[2]
                self.told += self.child.before
                self.child.sendline(text if question in prompt else "")
                if question in prompt:
                    break

    def leave(self, end):
        """Press a control key until the command ends, and return all output after the first key
        press.

        If Ctrl-C arrives just before Python reads the terminal, Python handles it only with the
        next Enter. A person would press it again.
        """
        for _ in range(20):
            self.child.sendcontrol(end)
            if self.child.expect_exact([self.eof, self.late], timeout=3) == 0:
                break
        output = self.child.before
        self.child.close()
        return output

    def press_enter_to_end(self):
        """Press Enter until the command ends, and return its output."""
        output = ""
        while self.child.expect_exact(["\n> ", self.eof]) == 0:
            output += self.child.before + self.child.after
            self.child.sendline("")
        self.child.close()
        return output + self.child.before


@pytest.mark.posix
def test_questions_in_a_terminal(shell):
    """In a terminal, the guide reports wrong answers and asks again. The keys ?, < and Enter show
    help, go back, and accept the default.
    """
    terminal = Terminal(shell)
    terminal.answer("Which product", "sfb2020", "")
    terminal.answer("SIP domains", "con toso", "?", "contoso.local")
    terminal.answer("[contoso.local]", "contoso.net")
    terminal.answer("Names of the central sites", "Taipei")
    terminal.answer("Which version of Windows", "<")
    terminal.answer("Names of the central sites", "Taipei;Tainan")
    terminal.answer("Which version of Windows", "")
    terminal.answer("from outside the organization", "")
    terminal.answer("SIP domains", "contoso.com")
    assert "not a domain that you can register" in terminal.told
    terminal.answer("federate with other", "y")
    terminal.answer("for use in server names [tai]", "tp")
    terminal.answer("names of servers [{site}-{role}{n:02}]", "{site}-fe{n:02}")
    terminal.answer("names of servers [{site}-fe{n:02}]", "{site}-{role}{n}")
    assert (
        "tp-fe01.contoso.net would be the name of both fe 1 in Taipei and edge 1" in terminal.told
    )
    output = terminal.press_enter_to_end()
    assert terminal.child.exitstatus == 0, output
    assert files(shell.folder) == FILES
    answers = ln.GuideAnswers.from_toml(shell.folder / "guide.toml")
    assert answers.sites == ("Taipei", "Tainan")
    assert answers.value("federation") is True
    assert "tp-fe1.contoso.net" in output
    assert '    "sip_domains": ["contoso.com"],\r\n' in output


@pytest.mark.posix
def test_two_answers_are_enough(shell):
    """If the user accepts the defaults for the remaining questions, the guide asks only questions
    that have no default.
    """
    terminal = Terminal(shell)
    terminal.answer("Which product", ">")
    terminal.answer("SIP domains", "contoso.local")
    terminal.answer("DNS domain of the servers", ">")
    terminal.answer("SIP domains", "contoso.com;fabrikam.com")
    output = terminal.press_enter_to_end()
    assert terminal.child.exitstatus == 0, output
    assert "\n> " not in output, "nothing more was asked"
    assert "not a domain that you can register" in terminal.told
    expected = ln.GuideAnswers.of({"sip_domains": "contoso.com;fabrikam.com"})
    assert ln.GuideAnswers.from_toml(shell.folder / "guide.toml") == expected


@pytest.mark.posix
@pytest.mark.parametrize("end", ["c", "d"])
def test_interrupted_guide_writes_nothing(shell, end):
    """If the user presses Ctrl+C or the input ends, the guide writes nothing, and its exit status
    shows the interruption.
    """
    terminal = Terminal(shell, "new")
    terminal.answer("Which product", "")
    terminal.child.expect_exact("SIP domains")
    terminal.child.expect_exact("> ")
    output = terminal.leave(end)
    assert (terminal.child.exitstatus, files(shell.folder)) == (130, set())
    assert "lyncnb wrote no files" in output
    assert "Traceback" not in output


@pytest.mark.posix
def test_existing_table_is_reported_before_the_first_question(shell):
    """If the table already exists, the guide reports it before the first question."""
    shell.write("topology.csv", "mine")
    output = Terminal(shell).press_enter_to_end()
    assert "topology.csv already exists, so lyncnb did not change it" in output
    assert "Which product" not in output
    assert (shell.folder / "topology.csv").read_text() == "mine"
