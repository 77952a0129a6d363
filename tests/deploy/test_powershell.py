"""PowerShell literals and scripts: no name can become a command, and Windows can read the file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from powershell_kit import HOSTILE, count, parse

from lyncnb.deploy.powershell import ScriptBlock, literal, quote, script
from lyncnb.errors import PackageError


def values(name: str) -> dict[str, object]:
    """Give values with a name in every place that takes text."""
    question = {
        "Text": name,
        "Ask": ScriptBlock((f"Test-Path -LiteralPath {quote(name)}",)),
    }
    step = {
        "Title": name,
        "Needs": [question],
        "Holds": [question],
        "Commands": ScriptBlock((f"Set-CsCertificate -Type {quote(name)}",)),
    }
    return {"Server": name, "Modules": [name], "Steps": [step], "BackSteps": []}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_name_adds_no_command(hostile):
    """A hostile name leaves the number of commands and the structure of the script unchanged."""
    harmless = parse(script("import", values("fe01.contoso.com")).decode("utf-8-sig"))
    attacked = parse(script("import", values(hostile)).decode("utf-8-sig"))
    assert not attacked.has_error
    for kind in ("command", "statement_block", "pipeline", "sub_expression", "variable"):
        assert count(attacked, kind) == count(harmless, kind), kind


def test_the_trick_itself_can_fail():
    """Naive quoting shows extra commands, so the test above would notice."""
    naive = "x\u2019; Remove-Item C:\\ -Recurse; \u2019".replace("'", "''")
    assert count(parse(f"$a = '{naive}'\n"), "command") > count(parse("$a = 'x'\n"), "command")


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=40))
def test_quoted_text_is_one_literal(text):
    """Any printable text becomes exactly one literal, and nothing else."""
    if not text.isprintable():
        return
    tree = parse(f"$a = {quote(text)}\n")
    assert not tree.has_error
    assert count(tree, "command") == 0
    assert count(tree, "verbatim_string_characters") == 1


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\0b", "a\x1bb", "a\u2028b", "a\u202eb"])
def test_control_characters_are_refused(text):
    """A line break or control character is refused, with the text escaped in the message."""
    with pytest.raises(PackageError, match="no script may contain"):
        quote(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("it's", "'it''s'"),
        ("\u2019", "'\u2019\u2019'"),
        (True, "$true"),
        (False, "$false"),
        (None, "$null"),
        (2048, "2048"),
        (ScriptBlock(("Get-Date",)), "{ Get-Date }"),
        ([], "@()"),
        (ScriptBlock(("Get-Date", "Get-Item 'x'")), "{\n    Get-Date\n    Get-Item 'x'\n}"),
        (ScriptBlock(()), "{}"),
        (["a", "b"], "@(\n    'a'\n    'b'\n)"),
        ({"k": ["a"]}, "@{\n    'k' = @(\n        'a'\n    )\n}"),
    ],
)
def test_values_are_written_as_literals(value, expected):
    """Each kind of value has one written form."""
    assert literal(value) == expected


def test_script_is_what_windows_powershell_reads():
    """A script is UTF-8 with BOM and CRLF, parses, and asks for PowerShell 3.0."""
    data = script("import", {"Server": "fe01.contoso.com"})
    assert data.startswith(b"\xef\xbb\xbf#requires -Version 3.0\r\n")
    assert data.count(b"\n") == data.count(b"\r\n")
    assert not parse(data.decode("utf-8-sig")).has_error


def test_script_uses_nothing_newer_than_version_3():
    """Nothing that Windows Server 2008 R2 with PowerShell 3.0 lacks is called."""
    text = script("import", {}).decode("utf-8-sig")
    for newer in ("Import-PfxCertificate", "::new(", "Get-FileHash", "class ", "using namespace"):
        assert newer not in text
    assert "SupportsShouldProcess" in text
    assert "$ErrorActionPreference = 'Stop'" in text


def test_no_password_is_taken_as_an_argument():
    """The script has no parameter for a password; the step that needs one asks for it."""
    text = script("import", {}).decode("utf-8-sig")
    block = text[text.index("param(") : text.index("Set-StrictMode")]
    assert "assword" not in block


def test_script_itself_knows_no_product():
    """Cmdlets, modules and names of a product come from its rules, none from the script."""
    text = script("import", {}).decode("utf-8-sig")
    for word in ("Lync", "Skype", "-Cs[A-Z]", "Exchange", "OfficeWebApps"):
        assert not re.search(word, text)
