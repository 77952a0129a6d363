"""PowerShell literals and scripts: no name can become a command, and Windows can read the file."""

from __future__ import annotations

import random
import re

import pytest
from deploy.walk import NOON, OLD_END, Walk, needs_pwsh, packages_of
from hypothesis import given
from hypothesis import strategies as st
from powershell_kit import HOSTILE, count, parse
from topologies import edge, front_end, plan, row

from lyncnb.deploy.powershell import ScriptBlock, literal, quote, script
from lyncnb.deploy.steps import procedure_of
from lyncnb.errors import PackageError
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import load_rules

SCRIPT = script("import", {}).decode("utf-8-sig")


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


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Give one PowerShell for the tests of this file that ask it."""
    found = Walk(tmp_path_factory.mktemp("powershell"))
    yield found
    found.close()


@needs_pwsh
def test_every_literal_is_the_text_again(walk):
    """Evaluated by PowerShell, each literal is the text that it was made of."""
    chance = random.Random("lyncnb literals")
    pool = "abc'\"`$(){}[]@#;|&<>%,.:!? \u2018\u2019\u201a\u201b\u201c\u201d\u201e\u2013\u2014\u2015\u00e9\u4f01"
    texts = [
        *HOSTILE,
        *("".join(chance.choices(pool, k=chance.randint(0, 30))) for _ in range(10_000)),
    ]
    (found,) = walk.ask({"moves": [{"literals": [quote(text) for text in texts]}]})
    assert found == texts


# What came with PowerShell 4 or later: syntax, operators, members and commands.
LATER_KINDS = {
    *("TypeDefinitionAst", "FunctionMemberAst", "UsingStatementAst", "TernaryExpressionAst"),
    *("PipelineChainAst", "ConfigurationDefinitionAst", "BaseCtorInvokeMemberExpressionAst"),
}
LATER_OPERATORS = {
    *("QuestionDot", "QuestionLBracket", "QuestionQuestion", "QuestionQuestionEquals"),
    *("AndAnd", "OrOr", "QuestionMark", "Class", "Enum"),
}
COMMANDS = {  # of Windows PowerShell 3 and Windows itself
    *("Add-Content", "ConvertFrom-Csv", "ConvertTo-Csv", "ForEach-Object", "Format-List"),
    *("Get-ChildItem", "Get-CimInstance", "Get-Command", "Get-Content", "Get-Date", "Get-Item"),
    *("Get-ItemProperty", "Get-PfxCertificate", "Get-Process", "Import-Module", "Join-Path"),
    *("Move-Item", "New-Object", "Out-Null", "Out-String", "Read-Host", "Remove-Item"),
    *("Rename-Item", "Restart-Computer", "Restart-Service", "Select-Object", "Select-String"),
    *("Set-Content", "Set-StrictMode", "Start-Sleep", "Start-Transcript", "Stop-Transcript"),
    *("Test-Path", "Where-Object", "Write-Host", "certutil", "whoami.exe", "Sort-Object"),
    *("C:\\Windows\\System32\\Inetsrv\\Appcmd.exe", "Get-Service"),
}


@needs_pwsh
@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_every_script_is_powershell_3(walk, product):
    """PowerShell's own parser finds no error in any script, and nothing newer than version 3."""
    rules = load_rules(product)
    cmdlets = {cmdlet.name for cmdlet in load_procedure(rules).cmdlets}
    rows = [front_end(1), edge(1), row("um01.contoso.com", "ExchangeUM")]
    rows += [row(f"{role.lower()}.contoso.com", role) for role in ("ExchangeOWA", "OfficeWebApps")]
    packages = packages_of(plan(*rows), OLD_END)
    for page in procedure_of(packages, rules, now=NOON).servers:
        (found,) = walk.ask({"moves": [{"parse": str(walk.script(page))}]})
        assert found["errors"] == []
        assert LATER_KINDS.isdisjoint(found["kinds"])
        assert LATER_OPERATORS.isdisjoint(found["operators"])
        assert "new" not in found["members"]
        own = {name for name in found["commands"] if f"function {name} " in SCRIPT}
        assert set(found["commands"]) - own <= COMMANDS | cmdlets


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
