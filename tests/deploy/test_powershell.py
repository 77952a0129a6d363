"""PowerShell literals and scripts: no name can become a command, and Windows can read the file."""

from __future__ import annotations

from datetime import datetime

import pytest
import tree_sitter
import tree_sitter_pwsh
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.deploy.powershell import literal, quote, script
from lyncnb.errors import PackageError

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_pwsh.language()))

# PowerShell's tokenizer takes these for quotes and dashes (CharTraits.cs); the grammar does not
# know them, so they are mapped before parsing, as the tokenizer would see them.
_AS_POWERSHELL_SEES_IT = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e", '"'),
        **dict.fromkeys("\u2013\u2014\u2015", "-"),
    }
)

HOSTILE = [
    "x'; Remove-Item C:\\ -Recurse; '",
    "x\u2019; Remove-Item C:\\ -Recurse; \u2019",
    "x\u2018; Remove-Item C:\\; \u2018",
    "x\u201a; Remove-Item C:\\; \u201a",
    "x\u201b; Remove-Item C:\\; \u201b",
    "x\u201d; Remove-Item C:\\; \u201c",
    "$(Remove-Item C:\\)",
    "`$(Get-Process)`",
    "@'`n'@",
    "name # comment",
    "a;b|c&d>e<f",
    "%PATH% $env:PATH ${x}",
    "\u2013\u2014\u2015 --%",
]


def parse(text: str) -> tree_sitter.Node:
    """Parse as PowerShell reads it."""
    return _PARSER.parse(text.translate(_AS_POWERSHELL_SEES_IT).encode()).root_node


def count(node: tree_sitter.Node, kind: str) -> int:
    """Count the nodes of a kind."""
    return (node.type == kind) + sum(count(child, kind) for child in node.children)


def values(name: str) -> dict[str, object]:
    """Give values with a name in every place that takes text."""
    return {
        "Server": name,
        "Provider": name,
        "Chain": [{"Subject": name, "Store": "Root", "Thumbprint": "AB", "Der": "AAAA"}],
        "Packages": [
            {
                "File": name,
                "FriendlyName": name,
                "Thumbprint": "AB",
                "Assignments": [
                    {"Types": [name, "Default"], "Identity": name, "EffectiveDate": None}
                ],
            }
        ],
    }


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
        ([], "@()"),
        (
            datetime(2026, 12, 1, 8),
            (
                "[datetime]::ParseExact('2026-12-01T08:00:00', 's', "
                "[Globalization.CultureInfo]::InvariantCulture)"
            ),
        ),
        (["a", "b"], "@(\n    'a'\n    'b'\n)"),
        ({"k": ["a"]}, "@{\n    'k' = @(\n        'a'\n    )\n}"),
    ],
)
def test_values_are_written_as_literals(value, expected):
    """Each kind of value has one written form."""
    assert literal(value) == expected


@pytest.mark.parametrize("name", ["import", "request"])
def test_script_is_what_windows_powershell_reads(name):
    """A script is UTF-8 with BOM and CRLF, parses, and asks for PowerShell 3.0."""
    data = script(name, {"Server": "fe01.contoso.com"})
    assert data.startswith(b"\xef\xbb\xbf#requires -Version 3.0\r\n")
    assert data.count(b"\n") == data.count(b"\r\n")
    assert not parse(data.decode("utf-8-sig")).has_error


@pytest.mark.parametrize("name", ["import", "request"])
def test_script_uses_nothing_newer_than_version_3(name):
    """Nothing that Windows Server 2008 R2 with PowerShell 3.0 lacks is called."""
    text = script(name, {}).decode("utf-8-sig")
    for newer in ("Import-PfxCertificate", "::new(", "Get-FileHash", "class ", "using namespace"):
        assert newer not in text
    assert "SupportsShouldProcess" in text
    assert "$ErrorActionPreference = 'Stop'" in text


def test_no_password_is_taken_as_an_argument():
    """The script asks for passwords as secure strings and has no parameter for one."""
    text = script("import", {}).decode("utf-8-sig")
    assert "Read-Host -AsSecureString" in text
    block = text[text.index("param(") : text.index("Set-StrictMode")]
    assert "assword" not in block
