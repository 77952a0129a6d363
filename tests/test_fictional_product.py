"""lyncnb can plan and deploy a fictional product that is not based on any other product.

If it works, the code does not depend on Lync Server: roles, columns, flags, names, usages,
findings, commands, and words are all from ``products/lighthouse.toml``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from folders import PASSPHRASE, make_issued_folder
from installed_certificates import MIDNIGHT
from shell_kit import make_shell

import lyncnb as ln
from lyncnb.rules import rule_files
from lyncnb.topology import columns

PRODUCT = Path(__file__).with_name("products") / "lighthouse.toml"
TABLE = """server,role,pool,sip_domains,beacon,foghorn,ships
lamp01.contoso.com,lamp,lamps.contoso.com,contoso.com,light.contoso.com,yes,
lamp02.contoso.com,lamp,lamps.contoso.com,,,,
keep01.contoso.com,keeper,,,,,
office.fabrikam.com,harbor,harbour.fabrikam.com,,,,anna.fabrikam.com;berta.fabrikam.com
"""
# The files of the steps that people read.
TEXTS = {".html", ".md", ".ps1"}
LIGHT = ["light.contoso.com", "lamp01.contoso.com", "horn.light.contoso.com"]


@pytest.fixture(autouse=True)
def _unload_custom_products(monkeypatch):
    """Unload the fictional product before and after each test."""
    monkeypatch.setattr(rule_files, "_custom_products", {})
    columns.restore_custom_columns({})
    yield
    columns.restore_custom_columns({})


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    shell = make_shell(tmp_path, capsys, monkeypatch)
    shell.write("coast.csv", TABLE)
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)
    return shell


def test_the_plan_matches_the_product_file(shell):
    """The plan contains the four types of certificates from the product file. The commands check
    and explain use the texts of this product.
    """
    plan = json.loads(shell("plan", "coast.csv", "--product", PRODUCT, "--json").out)
    by_role = {c["role"]: c for c in reversed(plan["certificates"])}
    assert plan["product"] == "lighthouse"
    assert list(by_role) == ["Coast", "Harbour", "Keeper", "Lamp"]
    assert by_role["Lamp"]["san"] == LIGHT
    assert by_role["Coast"]["subject"] == {"CN": "seal.contoso.com"}
    shell.write("full.csv", TABLE.replace("berta", "berta.fabrikam.com;clara.fabrikam.com;dora"))
    output = shell("check", "full.csv", "-v", "--product", PRODUCT).out
    assert "The harbour is full" in output
    assert "the lighthouse board requires" in output, "its own words in what CAs may issue"
    assert "Lync Server requires" not in output
    assert (
        "Ships look for the lamp"
        in shell(*("explain", "coast.csv", "lamp01.contoso.com", "--product", PRODUCT)).out
    )


def test_no_other_product_uses_its_columns(shell):
    """A table with the columns of the fictional product is rejected if the product file is not
    specified.
    """
    result = shell("plan", "coast.csv")
    assert result.status == 2
    assert "lamp" in result.err


def test_plan_toml_finds_the_product_file_in_its_folder(shell):
    """If plan.toml contains ``product = "x.toml"``, lyncnb reads the file in the folder of
    plan.toml.
    """
    (shell.folder / "choices").mkdir()
    (shell.folder / "choices" / "light.toml").write_bytes(PRODUCT.read_bytes())
    shell.write("choices/plan.toml", 'product = "light.toml"\n')
    plan = json.loads(shell("plan", "coast.csv", "--options", "choices/plan.toml", "--json").out)
    assert plan["product"] == "lighthouse"


def test_a_fictional_product_from_planning_to_deployment(shell, monkeypatch, tmp_path):
    """For a fictional product, lyncnb requests, signs, imports and packages certificates, and
    writes the deployment steps.
    """
    bundle = make_issued_folder(
        TABLE.encode(), tmp_path, product=PRODUCT, today=MIDNIGHT.date(), days=40
    )
    # The remaining steps run on a later date in another process.
    rule_files._custom_products.clear()
    folder = bundle.folder
    result = shell("pfx", folder)
    assert result.status != 0
    assert "LYNCNB_PRODUCTS" in result.err, "it says how the product is found"
    monkeypatch.setenv("LYNCNB_PRODUCTS", str(PRODUCT.parent))
    assert shell("pfx", folder).status == 0
    assert shell("steps", folder).status == 0
    (page,) = (folder / "steps").glob("lamps*.html")
    text = page.read_text("utf-8")
    assert "Light the lamp" in text
    assert "Lighthouse 7 takes" in text
    script = next((folder / "steps").glob("lamp01*/install.ps1")).read_text("utf-8-sig")
    assert "Wick" in script
    written = (path for path in (folder / "steps").rglob("*.*") if path.suffix in TEXTS)
    for path in (*written, folder / "summary.md"):
        remaining_text = re.sub(r"(?i)lyncnb", "", path.read_text("utf-8-sig"))
        assert not re.findall(r".{40}\bLync\b.{20}", remaining_text), path.name


def test_the_editor_offers_its_roles_and_columns(shell):
    """The editor offers the roles and columns of the fictional product. It rejects a change to a
    product that lacks these roles.
    """
    rules = ln.load_rules(PRODUCT)
    editor = ln.PlanEditor(ln.read_topology("coast.csv"), rules)
    assert list(editor.plan.certificates[0].names) == LIGHT
    with pytest.raises(ln.LyncnbError, match="cannot plan"):
        editor.change_options(product="sfbse")
    assert editor.rules is rules


def test_a_product_without_trust_rules(shell):
    """If a product has no trust rules, each connecting party needs the root, and each server needs
    its chain. Both are marked as inferred.
    """
    document = json.loads(shell("trust", "coast.csv", "--product", PRODUCT, "--json").out)
    (light,) = document["presentations"]
    assert (light["presenter"]["pool"], light["verifier"]["words"]) == (
        "lamps.contoso.com",
        "Ships",
    )
    assert (light["shown_as"], light["asked"]) == ("server", ["serverAuth"])
    assert all(entry["inferred"] for entry in (light, *document["required"]))
    assert {entry["role"] for entry in document["required"]} == {
        "Lamp",
        "Keeper",
        "Harbour",
        "ships",
    }
