"""Titles are available in Traditional Chinese: in which outputs they appear, and what stays
unchanged.
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import docx
import openpyxl
import pytest
from docx.oxml.ns import qn
from panel_kit import Talk
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.base.shown.languages import LANGUAGES, translate_title
from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import OptionsError
from lyncnb.plan import spellings
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.plan_json import plan_json
from lyncnb.plan.saved_plan_json import build_saved_plan_values
from lyncnb.reports.summary import formats, workbook
from lyncnb.reports.summary.content import SavedFile
from lyncnb.reports.summary.from_plan import summarise
from lyncnb.rules.rule_files import load_rules, products
from lyncnb.topology.columns import topology_columns, topology_roles
from lyncnb.widgets.editing.forms import describe_columns
from lyncnb.widgets.editor import PlanEditor

SERVERS = (front_end(1), edge(1), row("rp01.contoso.com", "ReverseProxy"))

#: Microsoft uses these names without translation in Traditional Chinese.
SAME = {
    *("Director", "Edge Server", "SQL Server", "Exchange Outlook Web App", "Windows"),
    *("Survivable Branch Appliance", "Survivable Branch Appliance 2015"),
    *("Access Edge FQDN", "A/V Edge FQDN"),
}

#: These words are used in other regions, but not in Taiwan.
NEVER = [
    "嚮導",
    "證書",
    "認證",
    "頒發",
    "服務器",
    "私鑰",
    "通配符",
    "默認",
    "控制器",
    "主管",
    "轉送伺服器",
    "反向代理",
    "持續聊天",
    "簡易",
]


def planned(lang):
    """Plan a table that is not a sample."""
    return plan(*SERVERS, options=PlanOptions(lang=lang))


def titles():
    """Return all English titles in the grid and in the output formats."""
    for product in products():
        yield from (role.title for role in load_rules(product).roles.values())
    yield from (role.title for role in topology_roles())
    yield from (column.title for column in topology_columns())
    for sheet in workbook.sheets_of(summarise(planned("en"), ())):
        yield from (sheet.title, *sheet.columns)
    yield spellings.HEADING
    page = Path(formats.__file__).with_name("summary.html.j2").read_text("utf-8")
    yield from re.findall(r'say\("([^"]+)"', page)
    yield from ("this page", "Notices")  # This output format shows all headings.
    yield from ("Outside", "Perimeter", "Inside", "Whole deployment", "No site named")


def test_every_heading_of_the_page_is_chinese():
    """Headings of sections and tables are Chinese.

    The heading of a certificate begins with its name.
    """
    page = formats.write_plan_table(planned("zh-TW"), check_plan(planned("zh-TW")), ".html")
    headings = re.findall(r"<(h[1-3]|th|figcaption)\b[^>]*>(.*?)</\1>", page.decode(), re.DOTALL)
    shown = [
        html.unescape(re.sub("<[^>]+>", "", text))
        for kind, text in headings
        if kind != "figcaption"
    ]
    assert len(shown) > 20
    english = [
        text
        for text in shown
        if not re.search(r"[\u4e00-\u9fff]|\.contoso\.(com|net)|^the whole", text)
    ]
    assert english == ["Edge Server"]  # This is the form on Microsoft's pages for Taiwan.


def test_a_column_is_as_wide_as_its_title_in_the_language():
    """A column with a short Chinese title is narrower, which leaves space for pool names."""
    topology, rules = planned("en").topology, load_rules("lync2013")
    least = {
        lang: {fact["name"]: fact["least"] for fact in describe_columns(topology, rules, lang)}
        for lang in LANGUAGES
    }
    assert least["en"]["strict_dns"] == round(8.4 * len("Strict DNS matching")) + 22
    # The Chinese title is 嚴格 DNS 比對.
    assert least["zh-TW"]["strict_dns"] == round(8.4 * (4 * 2 + 5)) + 22
    assert least["zh-TW"]["autologon"] == 100 < least["en"]["autologon"]


def test_every_party_with_a_task_is_named_in_chinese():
    """The planner, the approver, the CAs, the domain owners, and the server team are translated."""
    made = planned("zh-TW")
    text = formats.write_plan_table(made, check_plan(made), ".md").decode()
    for name in ("規劃人員", "核准者", "網域擁有者", "內部 CA", "公用 CA", "伺服器小組"):
        assert f"| {name} |" in text


def test_every_title_has_its_text():
    """Only names that are the same in both languages have no translation."""
    assert {title for title in titles() if translate_title(title, "zh-TW") == title} == SAME


def test_no_word_of_another_region_is_written():
    """The translations into Traditional Chinese use Microsoft's terms for Taiwan."""
    text = "\n".join(translate_title(title, "zh-TW") for title in titles())
    assert not [word for word in NEVER if word in text]
    assert translate_title("Import", "zh-TW") == "匯入"
    assert translate_title("no such title", "zh-TW") == "no such title"


def test_digest_json_and_csv_stay():
    """Only titles depend on the language, so the digest, the JSON and the CSV file stay the same."""
    one, other = planned("en"), planned("zh-TW")
    found = check_plan(one)
    assert one.sha256 == other.sha256
    assert plan_json(one, found) == plan_json(other, found)
    day = found.judged_on
    assert build_saved_plan_values(one, found, judged_on=day) == build_saved_plan_values(
        other, found, judged_on=day
    )
    written = {formats.write_plan_table(p, found, ".csv").splitlines()[0] for p in (one, other)}
    assert len(written) == 1
    assert {f.code for f in check_plan(other)} == {f.code for f in found}


def test_the_page_and_the_tables_have_chinese_titles():
    """The page, Markdown, workbook, and document have translated headings, columns, and roles."""
    made = planned("zh-TW")
    found = check_plan(made)
    for suffix in (".html", ".md"):
        text = formats.write_plan_table(made, found, suffix).decode()
        assert "Enterprise Edition 集區的前端伺服器" in text
        assert "主體名稱" in text
        assert "憑證要求" in text
    page = formats.write_plan_table(made, found, ".html").decode()
    assert '<html lang="zh-Hant-TW">' in page
    assert '<html lang="en">' in formats.write_plan_table(planned("en"), found, ".html").decode()
    book = openpyxl.load_workbook(io.BytesIO(formats.write_plan_table(made, found, ".xlsx")))
    assert "憑證" in book.sheetnames
    assert "主體別名" in [cell.value for cell in book["憑證"][1]]


def test_an_ask_names_the_heading_that_the_document_has():
    """The last column in the table of tasks refers to a heading in the reader's language."""
    made = planned("zh-TW")
    saved = SavedFile(name="p.json", sha256="ab" * 32, sign_line="ssh-keygen -Y sign")
    data = formats.write_plan_table(made, check_plan(made), ".docx", saved=saved)
    document = docx.Document(io.BytesIO(data))
    headings = {p.text for p in document.paragraphs if p.style.name == "Heading 1"}
    seen = {row.cells[3].text for row in document.tables[1].rows[1:]} - {"本頁"}
    assert {"核准", "通知", "伺服器"} <= seen
    assert [one for one in seen if not any(h.startswith(one) for h in headings)] == []


def test_the_picture_names_roles_in_chinese():
    """The heading of a box is the title of its role in the plan's language."""
    drawn = ln.figure(planned("zh-TW")).svg
    for title in ("Enterprise Edition 集區的前端伺服器", "外部", "周邊網路", "內部", "整個部署"):
        assert title in drawn
    assert "集區" not in ln.figure(planned("en")).svg


def test_word_has_an_east_asian_font():
    """The Word document has an East Asian font.

    Without this setting, Word often uses a Japanese font.
    """
    made = planned("zh-TW")
    data = formats.write_plan_table(made, check_plan(made), ".docx")
    document = docx.Document(io.BytesIO(data))
    fonts = document.styles["Normal"].element.rPr.rFonts
    assert fonts.get(qn("w:eastAsia")) == "Microsoft JhengHei"
    language = document.styles.element.find(f".//{qn('w:rPrDefault')}//{qn('w:lang')}")
    assert language.get(qn("w:eastAsia")) == "zh-TW"
    assert "各方的工作" in "\n".join(p.text for p in document.paragraphs)


def test_the_grid_follows_the_option():
    """The titles of columns and roles in the editor change with the language."""
    made = planned("en")
    editor = PlanEditor(made.topology, made.rules)
    talk = Talk(editor.view)
    talk.say("ready")
    for lang, wanted in (("zh-TW", "伺服器"), ("en", "Server")):
        columns = talk.say("option", name="lang", value=lang)["columns"]["columns"]
        assert next(c for c in columns if c["name"] == "server_fqdn")["title"] == wanted
    assert editor.plan.sha256 == made.sha256


def test_an_unknown_language_is_refused():
    """An unknown language is rejected with the supported languages."""
    with pytest.raises(OptionsError) as refused:
        PlanOptions(lang="fr")
    assert ", ".join(LANGUAGES) in refused.value.hint
