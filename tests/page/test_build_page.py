"""The page is built once, from packages that are pinned, and every build gives the same bytes."""

from __future__ import annotations

import os
import shutil

import pytest
from page_driver import npm_archives
from places import DATA
from shell_kit import make_shell

from lyncnb.page import runtime

shell = pytest.fixture(make_shell)


@pytest.mark.slow
def test_two_builds_are_equal(built_page, tmp_path, monkeypatch):
    """A second build of the same installation gives the same bytes."""
    first = built_page.read_bytes()
    monkeypatch.setenv(runtime.VARIABLE, str(tmp_path))
    second = runtime.build_runtime(npm_archives())
    assert second.name == built_page.name
    assert second.read_bytes() == first


def test_a_page_that_is_not_built_names_the_command(shell, monkeypatch):
    """Without a built page, the command names the command that builds it, and writes nothing."""
    monkeypatch.setenv(runtime.VARIABLE, str(shell.folder / "cache"))
    ended = shell("page", DATA / "contoso.csv", "-o", "p.html")
    assert ended.status == 2
    assert "hint: build the page once: lyncnb page --build" in ended.err
    assert not (shell.folder / "p.html").exists()


def test_another_package_is_refused(shell):
    """Only exactly the pinned npm packages become a page."""
    shell.write("pyodide-314.0.7.tgz", "another package")
    ended = shell("page", "--build", "--runtime", "pyodide-314.0.7.tgz")
    assert ended.status == 2
    assert "pyodide-314.0.7.tgz is not the npm package pyodide@314.0.7 or zxcvbn@4.4.2" in ended.err
    assert "the SHA-512 digest differs" in ended.err


def test_without_node_the_extra_is_named(shell, monkeypatch):
    """Where Node.js is missing, the message says how to install it."""
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    ended = shell("page", "--build")
    assert ended.status == 2
    assert 'hint: install Node.js, or run: pip install "lyncnb[page]"' in ended.err


def test_a_page_replaces_only_a_planner_page(built_page, shell):
    """A planner page replaces an earlier one, but not another page of lyncnb."""
    shutil.copy(DATA / "single-server.csv", shell.folder / "a.csv")
    assert shell("page", "a.csv", "-o", "p.html").status == 0
    assert shell("page", "a.csv", "-o", "p.html").status == 0
    assert "already exists" in shell("plan", "a.csv", "-o", "p.html").err
    assert shell("plan", "a.csv", "-o", "plan.html").status == 0
    assert "already exists" in shell("page", "a.csv", "-o", "plan.html").err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.csv",), "you did not specify a file for the page"),
        (("-o", "p.html", "--product", "sfb2019"), "--options and --product need a table"),
        (("-o", "p.html", "--runtime", "x.tgz"), "--runtime needs --build"),
    ],
)
def test_arguments_that_do_not_fit(shell, arguments, words):
    """Arguments that have no effect together are refused, with what to add."""
    ended = shell("page", *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert "hint: " in ended.err
