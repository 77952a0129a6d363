"""The editor offers products, plans again after a choice, rejects unsuitable ones, and undoes a
choice.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from lab_panels import kernel, open_editor
from panel_kit import Talk
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
    """Return an editor of a table with the rules of a product."""
    chosen = ln.PlanOptions(**options)
    return PlanEditor(ln.read_topology(table.encode()), ln.load_rules(product), options=chosen)


def codes(editor: PlanEditor) -> set[str]:
    """Return the current codes of the findings."""
    return {finding.code for finding in editor.findings}


def test_another_product_plans_again_and_is_taken_back():
    """Rules, names and findings are those of the selected product, and undo restores the previous
    ones.
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


def test_what_the_other_product_does_not_know_is_said():
    """If the product lacks a role in the table, the plan stays, and the message names products with
    that role.
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


def test_the_form_offers_every_product_and_shows_the_one_in_force():
    """The form offers the ids and titles of all products, and shows the product in use.

    The field shows the product in use, also after a rejection.
    """
    talk = Talk(editor_of(CHAT, "sfb2015").view)
    answers = talk.say("ready")
    (field,) = [
        field
        for group in answers["start"]["groups"]
        for field in group.get("fields", ())
        if field["name"] == "product"
    ]
    assert field["choices"] == [[name, title] for name, title in list_product_titles().items()]
    assert answers["options"]["values"]["product"] == "sfb2015"
    answers = talk.say("option", name="product", value="sfb2019")
    assert "has the role" in str(answers["refused"])
    assert answers["options"]["values"]["product"] == "sfb2015"
    answers = talk.say("option", name="product", value="lync2013")
    assert answers["options"]["values"]["product"] == "lync2013"
    roles = next(c for c in answers["columns"]["columns"] if c["name"] == "role")["choices"]
    assert "VideoInterop" not in [role for role, _ in roles]


def test_the_product_is_saved_and_found_again(tmp_path):
    """plan.toml and the code contain the product of the rules."""
    editor = editor_of(CSV, "sfbse")
    _, choices = editor.save(tmp_path)
    assert ln.PlanOptions.from_toml(choices).product == "sfbse"
    other = editor_of(CSV)
    other.change_options(product="sfb2019")
    names = {"topology": other.loaded.topology, "rules": ln.load_rules("lync2013")}
    exec(other.code(), names)
    assert names["editor"].plan == other.plan


def test_options_of_an_unknown_product_say_which_there_are():
    """Options that do not fit the rules are rejected with the available products."""
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
    """In the browser, a choice plans again at once, the counts follow, and undo resets the field."""
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
