"""Users can select another product in the editor and undo the selection. The editor rejects
products that do not match the table.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import kernel, open_editor
from panel_kit import PanelClient
from playwright.sync_api import expect

import lyncnb as ln
from lyncnb.errors import LyncnbError, OptionsError, RulesError
from lyncnb.rules.rule_files import list_product_titles
from lyncnb.widgets.editor import PlanEditor

CSV = """server_fqdn,role,pool_fqdn,sip_domains,meet_urls,dialin_url,web_external_fqdn,access_edge_fqdn,webconf_edge_fqdn,aol_pic
se01.contoso.com,StandardEdition,,contoso.com,https://meet.contoso.com,https://dialin.contoso.com,web.contoso.com,,,
edge01.contoso.com,Edge,,,,,,sip.contoso.com,wc.contoso.com,true
"""
CHAT = CSV + "chat01.contoso.com,PersistentChat,,,,,,,,\n"


def editor_of(table: str, product: str = "lync2013", **options: object) -> PlanEditor:
    """Return an editor for a table, with the rules of a product."""
    plan_options = ln.PlanOptions(**options)
    return PlanEditor(
        ln.read_topology(table.encode()), ln.load_rules(product), options=plan_options
    )


def codes(editor: PlanEditor) -> set[str]:
    """Return the codes of the current findings."""
    return {finding.code for finding in editor.findings}


def test_another_product_is_selected_and_undone():
    """If a user selects another product, its rules are used for the names and findings. Undo
    restores the previous product.
    """
    editor = editor_of(CSV, "sfbse")
    assert "column-of-other-product" in codes(editor), "the table is for an earlier product"
    editor.change_options(product="lync2013")
    assert editor.rules is editor.plan.rules is ln.load_rules("lync2013")
    assert editor.plan == ln.plan_certificates(
        editor.topology, ln.load_rules("lync2013"), options=editor.options
    )
    assert "clientAuth" in {eku for c in editor.plan.certificates for eku in c.extended_key_usage}
    assert "column-of-other-product" not in codes(editor)
    editor.undo()
    assert (editor.rules.product, editor.options.product) == ("sfbse", "sfbse")
    assert editor.plan == editor.loaded_plan


def test_a_product_that_lacks_a_role_is_rejected():
    """If the selected product lacks a role in the table, the plan does not change, and the message
    lists the products with this role.
    """
    editor = editor_of(CHAT, "sfb2015")
    before = editor.plan
    with pytest.raises(LyncnbError) as caught:
        editor.change_options(product="sfb2019")
    assert "chat01.contoso.com" in caught.value.problems[0].message
    assert "sfb2015 (Skype for Business Server 2015)" in caught.value.hint
    assert editor.plan is before
    assert editor.options.product == "sfb2015"
    with pytest.raises(RulesError, match="the products are|no rules"):
        editor.change_options(product="lync2010")


def test_the_form_lists_every_product():
    """The form lists all products by id and title, and shows the product in use, even after another
    one was rejected.
    """
    browser = PanelClient(editor_of(CHAT, "sfb2015").view)
    answers = browser.send("ready")
    (field,) = [
        field
        for group in answers["start"]["groups"]
        for field in group.get("fields", ())
        if field["name"] == "product"
    ]
    assert field["choices"] == [[name, title] for name, title in list_product_titles().items()]
    assert answers["options"]["values"]["product"] == "sfb2015"
    answers = browser.send("option", name="product", value="sfb2019")
    assert "has the role" in str(answers["refused"])
    assert answers["options"]["values"]["product"] == "sfb2015"
    answers = browser.send("option", name="product", value="lync2013")
    assert answers["options"]["values"]["product"] == "lync2013"
    roles = next(c for c in answers["columns"]["columns"] if c["name"] == "role")["choices"]
    assert "VideoInterop" not in [role for role, _ in roles]


def test_the_selected_product_is_saved(tmp_path):
    """Both plan.toml and the Python code contain the product that the user selected."""
    editor = editor_of(CSV, "sfbse")
    _, choices = editor.save(tmp_path)
    assert ln.PlanOptions.from_toml(choices).product == "sfbse"
    other = editor_of(CSV)
    other.change_options(product="sfb2019")
    names = {"topology": other.loaded.topology, "rules": ln.load_rules("lync2013")}
    exec(other.code(), names)
    assert names["editor"].plan == other.plan


def test_code_for_a_custom_product_runs_in_a_new_kernel(tmp_path):
    """The Python code loads the file of a custom product. A hint names the required function."""
    (tmp_path / "own.toml").write_text('product = "own"\ntitle = "Own"\nextends = "lync2013"\n')
    (tmp_path / "own.csv").write_text(CSV)
    code = (
        "import lyncnb as ln; from pathlib import Path; "
        "editor = ln.PlanEditor(ln.read_topology('own.csv'), ln.load_rules('own.toml')); "
        "editor.save(); Path('code.py').write_text(editor.code())"
    )
    again = "exec(open('code.py').read()); print(editor.plan.rules.product)"
    without = (
        "import lyncnb as ln; "
        "ln.PlanEditor(ln.read_topology('own.csv'), options=ln.PlanOptions.beside('own.csv'))"
    )
    results = [
        subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True)
        for text in (code, again, without)
    ]
    assert [result.returncode for result in results] == [0, 0, 1], results
    assert results[1].stdout == "own\n"
    assert 'In Python, first run ln.load_rules("FILE.toml")' in results[2].stderr


def test_unknown_products_list_the_available_products():
    """If options do not match the rules, the error message lists the available products."""
    with pytest.raises(OptionsError) as caught:
        ln.plan_certificates(
            ln.read_topology(CSV.encode()),
            ln.load_rules("sfbse"),
            options=ln.PlanOptions(product="lync2010"),
        )
    assert "the products are" in caught.value.hint
    assert "sfbse" in caught.value.hint


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_the_product_is_chosen_in_the_browser(lab, folder):
    """In the browser, selecting a product updates the counts at once, and Undo resets the field."""
    open_editor(lab, folder)
    lab.tab("Deployment").click()
    expect(lab.field("Product")).to_have_value("lync2013")
    lab.field("Product").select_option("sfbse")
    lab.page.get_by_text("1 change, not saved").wait_for()
    assert kernel(lab, "editor.plan.rules.title") == ln.load_rules("sfbse").title
    expect(lab.field("Product")).to_have_value("sfbse")
    lab.button("Undo").click()
    lab.page.get_by_text("as loaded", exact=True).wait_for()
    expect(lab.field("Product")).to_have_value("lync2013")
