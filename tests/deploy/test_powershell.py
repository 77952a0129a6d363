"""In a generated PowerShell script, no name of a server or certificate can become a command, and
Windows can read the script file.
"""

from __future__ import annotations

import os
import random
import re

import pytest
from deploy.walk import NOON, OLD_END, packages_of
from places import REPOSITORY
from powershell_kit import HOSTILE, parse, parse_all
from topologies import edge, front_end, row, topology

from lyncnb.authorities.returned.server_export import EXPORT_SCRIPT
from lyncnb.deploy.checklist import to_markdown
from lyncnb.deploy.powershell import (
    ScriptBlock,
    build_common_script,
    fill_script,
    format_literal,
    quote_literal,
)
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.server_script import build_script
from lyncnb.deploy.steps import build_procedure
from lyncnb.errors import PackageError
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology import xml_tree

TOOLS = "tools01.contoso.com"
SCRIPT = build_common_script().decode("utf-8-sig")


def values(name: str) -> dict[str, object]:
    """Return test values in which every text field contains the given name."""
    check = {
        "Text": name,
        "Ask": ScriptBlock((f"Test-Path -LiteralPath {quote_literal(name)}",)),
    }
    commands = ScriptBlock((f"Set-CsCertificate -Type {quote_literal(name)}",), is_spread=True)
    step = {"Title": name, "Needs": ["here"], "Holds": ["here"], "Commands": commands}
    checks = {"here": check}
    return {"Server": name, "Modules": [name], "Checks": checks, "Steps": [step], "BackSteps": []}


@pytest.mark.posix
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_name_adds_no_command(hostile):
    """If a name contains PowerShell code, the script has the same number of syntax elements as with
    a harmless name.
    """
    harmless = parse(fill_script("install", values("fe01.contoso.com")).decode("utf-8-sig"))
    attacked = parse(fill_script("install", values(hostile)).decode("utf-8-sig"))
    assert attacked.errors == ()
    assert attacked.kinds == harmless.kinds


@pytest.mark.posix
def test_simple_quoting_adds_commands():
    """With simple quotation marks, a malicious name would add commands. This shows that the test
    for malicious names can fail.
    """
    naive = "x\u2019; Remove-Item C:\\ -Recurse; \u2019".replace("'", "''")
    assert parse(f"$a = '{naive}'\n").kinds["CommandAst"] == 1
    assert "CommandAst" not in parse("$a = 'x'\n").kinds


@pytest.mark.posix
def test_every_literal_evaluates_to_the_original_text(walk):
    """Each PowerShell literal is parsed as one string and evaluates to the original text."""
    chance = random.Random("lyncnb literals")
    quotes = "'\"\u2018\u2019\u201a\u201b\u201c\u201d\u201e"
    pool = quotes + "abc`$(){}[]@#;|&<>%,.:!? \u2013\u2014\u2015"
    pool += "".join(filter(str.isprintable, map(chr, range(0xA0, 0x2500))))
    weights = [300 if letter < "\x80" or letter in quotes else 1 for letter in pool]
    number = int(os.environ.get("LYNCNB_LITERALS", "1000"))
    texts = ["".join(chance.choices(pool, weights, k=chance.randint(0, 30))) for _ in range(number)]
    texts += HOSTILE
    (results,) = walk.ask({"moves": [{"literals": [quote_literal(text) for text in texts]}]})
    assert results == texts
    harmless = parse("$a = 'x'\n").kinds
    for text, syntax in zip(
        texts, parse_all([f"$a = {quote_literal(t)}\n" for t in texts]), strict=True
    ):
        assert (syntax.errors, syntax.kinds) == ((), harmless), text


COMMANDS = {  # Commands that are part of Windows or of Windows PowerShell 3.
    *("Add-Content", "ConvertFrom-Csv", "ConvertTo-Csv", "ForEach-Object", "Format-List"),
    *("Get-ChildItem", "Get-CimInstance", "Get-Command", "Get-Content", "Get-Date", "Get-Item"),
    *("Get-ItemProperty", "Get-PfxCertificate", "Get-Process", "Import-Module", "Join-Path"),
    *("Move-Item", "New-Object", "Out-Null", "Out-String", "Read-Host", "Remove-Item"),
    *("Rename-Item", "Restart-Computer", "Restart-Service", "Select-Object", "Select-String"),
    *("Set-Content", "Set-StrictMode", "Start-Sleep", "Start-Transcript", "Stop-Transcript"),
    *("Test-Path", "Where-Object", "Write-Host", "certutil", "whoami.exe", "Sort-Object"),
    "Group-Object",
    *("C:\\Windows\\System32\\Inetsrv\\Appcmd.exe", "Get-Service", "ConvertTo-Json", "Get-Acl"),
}


@pytest.mark.posix
@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_every_script_is_powershell_3(product):
    """The PowerShell parser finds no error in any generated script, and no syntax that is newer
    than version 3.
    """
    rules = load_rules(product)
    cmdlets = {cmdlet.name for cmdlet in load_procedure(rules).cmdlets}
    rows = [front_end(1), edge(1), row("um01.contoso.com", "ExchangeUM")]
    rows += [row(f"{role.lower()}.contoso.com", role) for role in ("ExchangeOWA", "OfficeWebApps")]
    rows += [row(f"{role.lower()}.contoso.com", role) for role in ("ReverseProxy", "Mediation")]
    planned = plan_certificates(topology(*rows), rules)
    steps = build_procedure(packages_of(planned, OLD_END, key_holder=TOOLS), rules, now=NOON)
    pages = (*steps.pages, *request_scripts(planned).pages)
    texts = [SCRIPT, *(build_script(page).decode("utf-8-sig") for page in pages)]
    for text, syntax in zip(texts, parse_all(texts), strict=True):
        assert (syntax.errors, syntax.newer) == ((), set())
        functions = {*re.findall(r"^function ([\w-]+)", SCRIPT + text, re.M)}
        functions.add("([scriptblock]::Create($Text))")  # install.ps1 runs the common script
        command_names = {c.name for c in syntax.commands if not c.name.startswith("$")}
        assert command_names - functions <= COMMANDS | cmdlets
    printed = blocks(to_markdown(steps)) + blocks(to_markdown(request_scripts(planned)))
    for text, syntax in zip(printed, parse_all(printed), strict=True):
        assert (syntax.errors, syntax.newer) == ((), set()), text


def blocks(document):
    """Return the PowerShell code blocks in a Markdown document."""
    return re.findall(r"^ *```powershell\n(.*?)^ *```", document, re.S | re.M)


@pytest.mark.posix
def test_every_snippet_is_powershell_3():
    """The PowerShell commands in snippets and documents use no syntax that is newer than version 3."""
    texts = [path.read_text("utf-8") for path in (EXPORT_SCRIPT, xml_tree.EXPORT_SCRIPT)]
    for path in (REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")):
        texts += blocks(path.read_text("utf-8"))
    assert len(texts) > 2
    for text, syntax in zip(texts, parse_all(texts), strict=True):
        assert (syntax.errors, syntax.newer) == ((), set()), text


@pytest.mark.posix
def test_newer_syntax_is_detected():
    """The parser detects PowerShell syntax that version 3 does not support. Otherwise, the tests
    for version 3 could never fail.
    """
    newer = [
        "$a ? 1 : 2",
        "$a ?? 1",
        "Get-Item x && Get-Item y",
        "class A {}",
        "[string]::new('a')",
    ]
    assert all(syntax.newer for syntax in parse_all(newer))


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "a\0b", "a\x1bb", "a\u2028b", "a\u202eb"])
def test_control_characters_are_refused(text):
    """A text with line breaks or control characters cannot become a PowerShell literal, and the
    error shows the escaped text.
    """
    with pytest.raises(PackageError, match="which PowerShell scripts cannot contain"):
        quote_literal(text)


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
        (
            ScriptBlock(("Get-Date", "Get-Item 'x'"), is_spread=True),
            "{\n    Get-Date\n    Get-Item 'x'\n}",
        ),
        (ScriptBlock((), is_spread=True), "{}"),
        (["a", "b"], "@('a', 'b')"),
        ({"k": ["a"]}, "@{ 'k' = @('a') }"),
    ],
)
def test_values_are_written_as_literals(value, expected):
    """Each type of value has exactly one form as a PowerShell literal."""
    assert format_literal(value) == expected


@pytest.mark.posix
def test_windows_powershell_can_read_the_script():
    """A generated script is UTF-8 with a byte order mark and CRLF line endings, can be parsed, and
    requires PowerShell 3.0.
    """
    data = fill_script("install", {"Server": "fe01.contoso.com"})
    assert data.startswith(b"\xef\xbb\xbf#requires -Version 3.0\r\n")
    assert data.count(b"\n") == data.count(b"\r\n")
    assert parse(data.decode("utf-8-sig")).errors == ()


def test_password_is_not_an_argument():
    """A generated script has no parameter for a password. The step that needs a password prompts
    for it.
    """
    text = fill_script("install", {}).decode("utf-8-sig")
    block = text[text.index("param(") : text.index("Set-StrictMode")]
    assert "assword" not in block


def test_code_that_writes_scripts_names_no_product():
    """The Python code that writes scripts contains no cmdlet, module or product name.

    They are in the product's rules.
    """
    text = fill_script("install", {}).decode("utf-8-sig") + SCRIPT
    for word in ("Lync", "Skype", "-Cs[A-Z]", "Exchange", "OfficeWebApps"):
        assert not re.search(word, text)
