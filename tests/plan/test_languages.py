"""In Traditional Chinese, the titles in outputs are translated, and all values stay unchanged."""

from __future__ import annotations

import ast
import html
import io
import random
import re
import time
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import docx
import openpyxl
import pytest
from checks.test_check_plan import ALTERED_CASES, CASES, TABLE_CASES
from docs_session import run_page
from docx.oxml.ns import qn
from folders import PASSPHRASE
from good_deployment import EDGE, alter_certificates, plan_of, plan_of_case
from panel_kit import PanelClient
from places import DATA, REPOSITORY
from printing import remove_break_marks
from random_plans import random_plan
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.base.shown import languages
from lyncnb.base.shown.languages import LANGUAGES, translate_title
from lyncnb.base.shown.tables import to_markdown
from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import OptionsError
from lyncnb.plan import spellings
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.plan_json import plan_json
from lyncnb.plan.saved_plan_json import build_saved_plan_values
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary import formats, workbook
from lyncnb.reports.summary.content import SavedFile
from lyncnb.reports.summary.from_plan import build_summary
from lyncnb.rules.ca_rules import load_ca_rules
from lyncnb.rules.rule_files import list_products, load_rules
from lyncnb.topology.columns import list_topology_columns, list_topology_roles
from lyncnb.widgets.editing.forms import describe_columns
from lyncnb.widgets.editor import PlanEditor

SERVERS = (front_end(1), edge(1), row("rp01.contoso.com", "ReverseProxy"))

#: The product names that Microsoft's Chinese documentation does not translate.
SAME = {
    *("Director", "Edge Server", "SQL Server", "Exchange Outlook Web App", "Windows"),
    *("Survivable Branch Appliance", "Survivable Branch Appliance 2015"),
    *("Access Edge FQDN", "A/V Edge FQDN"),
}

#: Words that are common in other Chinese-speaking regions, but not in Taiwan.
NEVER = [
    "嚮導",
    "證書",
    "認證",
    "頒發",
    "服務器",
    "私鑰",
    "通配符",
    "默認",
    "持久聊天",
    "控制器",
    "主管",
    "轉送伺服器",
    "反向代理",
    "持續聊天",
    "簡易",
]


def plan_servers(lang):
    """Return a plan for `SERVERS` in the given language."""
    return plan(*SERVERS, options=PlanOptions(lang=lang))


def titles():
    """Return all English titles in the editor's table and in the output formats."""
    for product in list_products():
        yield from (role.title for role in load_rules(product).roles.values())
    yield from (role.title for role in list_topology_roles())
    yield from (column.title for column in list_topology_columns())
    for sheet in workbook.list_sheets(build_summary(plan_servers("en"), ())):
        yield from (sheet.title, *sheet.columns)
    yield spellings.HEADING
    page = Path(formats.__file__).with_name("summary.html.j2").read_text("utf-8")
    yield from re.findall(r'say\("([^"]+)"', page)
    # The table of tasks contains the following texts.
    yield from ("this page", "Notices")
    yield from ("Outside", "Perimeter", "Inside", "Whole deployment", "No site named")


def test_every_heading_of_the_page_is_chinese():
    """On a page in Chinese, the headings of sections and tables are Chinese.

    The heading of a certificate begins with its name.
    """
    page = formats.write_plan_table(
        plan_servers("zh-TW"), check_plan(plan_servers("zh-TW")), ".html"
    )
    headings = re.findall(r"<(h[1-3]|th|figcaption)\b[^>]*>(.*?)</\1>", page.decode(), re.DOTALL)
    texts = [
        html.unescape(re.sub("<[^>]+>", "", text))
        for kind, text in headings
        if kind != "figcaption"
    ]
    assert len(texts) > 20
    english = [
        text for text in texts if not re.search(r"[\u4e00-\u9fff]|\.contoso\.(com|net)", text)
    ]
    assert english == ["Edge Server"]  # Microsoft's pages for Taiwan also use this name.


def test_columns_with_short_chinese_titles_are_narrower():
    """If the Chinese title of a column is short, the column is narrower, so that pool names have
    more space.
    """
    topology, rules = plan_servers("en").topology, load_rules("lync2013")
    least = {
        lang: {fact["name"]: fact["least"] for fact in describe_columns(topology, rules, lang)}
        for lang in LANGUAGES
    }
    assert least["en"]["strict_dns"] == round(8.4 * len("Strict DNS matching")) + 22
    # The Chinese title of the column strict_dns is 嚴格 DNS 比對.
    assert least["zh-TW"]["strict_dns"] == round(8.4 * (4 * 2 + 5)) + 22
    assert least["zh-TW"]["autologon"] == 100 < least["en"]["autologon"]


def test_the_table_of_tasks_has_chinese_names():
    """The table of tasks has Chinese names for the planner, the approver, the CAs, the domain
    owners, and the server team.
    """
    plan = plan_servers("zh-TW")
    text = formats.write_plan_table(plan, check_plan(plan), ".md").decode()
    for name in ("規劃人員", "核准者", "網域擁有者", "內部 CA", "公用 CA", "伺服器小組"):
        assert f"| {name} |" in text


def test_every_title_has_a_translation():
    """Every title has a translation, except names that are the same in both languages."""
    assert {title for title in titles() if translate_title(title, "zh-TW") == title} == SAME


def test_no_word_of_another_region_is_written():
    """The translations into Traditional Chinese use Microsoft's terms for Taiwan."""
    text = "\n".join(translate_title(title, "zh-TW") for title in titles())
    assert not [word for word in NEVER if word in text]
    assert translate_title("Import", "zh-TW") == "匯入"
    assert translate_title("no such title", "zh-TW") == "no such title"


def test_digest_json_and_csv_do_not_depend_on_the_language():
    """Only titles depend on the language. The digest, the JSON document and the CSV file stay the
    same.
    """
    english, other = plan_servers("en"), plan_servers("zh-TW")
    findings = check_plan(english)
    assert english.sha256 == other.sha256
    assert plan_json(english, findings) == plan_json(other, findings)
    day = findings.judged_on
    assert build_saved_plan_values(english, findings, judged_on=day) == build_saved_plan_values(
        other, findings, judged_on=day
    )
    headers = {
        formats.write_plan_table(p, findings, ".csv").splitlines()[0] for p in (english, other)
    }
    assert len(headers) == 1
    assert {f.code for f in check_plan(other)} == {f.code for f in findings}


def test_the_page_and_the_tables_have_chinese_titles():
    """The page, Markdown, workbook, and Word document have translated headings, columns, and roles."""
    plan = plan_servers("zh-TW")
    findings = check_plan(plan)
    for suffix in (".html", ".md"):
        text = formats.write_plan_table(plan, findings, suffix).decode()
        assert "Enterprise Edition 集區的前端伺服器" in text
        assert "主體名稱" in text
        assert "憑證要求" in text
    page = formats.write_plan_table(plan, findings, ".html").decode()
    assert '<html lang="zh-Hant-TW">' in page
    assert (
        '<html lang="en">'
        in formats.write_plan_table(plan_servers("en"), findings, ".html").decode()
    )
    book = openpyxl.load_workbook(io.BytesIO(formats.write_plan_table(plan, findings, ".xlsx")))
    assert "憑證" in book.sheetnames
    assert "主體別名" in [cell.value for cell in book["憑證"][1]]


def test_each_task_refers_to_a_translated_heading():
    """In the table of tasks, the last column refers to a heading of the document in the same
    language.
    """
    plan = plan_servers("zh-TW")
    saved = SavedFile(name="p.json", sha256="ab" * 32, sign_line="ssh-keygen -Y sign")
    data = formats.write_plan_table(plan, check_plan(plan), ".docx", saved=saved)
    document = docx.Document(io.BytesIO(data))
    headings = {p.text for p in document.paragraphs if p.style.name == "Heading 1"}
    seen = {row.cells[3].text for row in document.tables[1].rows[1:]} - {"本頁"}
    assert {"核准", "通知", "伺服器"} <= seen
    assert [
        reference for reference in seen if not any(h.startswith(reference) for h in headings)
    ] == []


def test_the_picture_names_roles_in_chinese():
    """In a picture, the heading of a box is the title of its role in the language of the plan."""
    drawn = ln.figure(plan_servers("zh-TW")).svg
    for title in ("Enterprise Edition 集區的前端伺服器", "外部", "周邊網路", "內部", "整個部署"):
        assert title in drawn
    assert "集區" not in ln.figure(plan_servers("en")).svg


@pytest.mark.parametrize("kind", KINDS)
def test_the_title_and_the_legend_of_a_picture_are_chinese(kind):
    """In each picture of a plan in Chinese, the title, the legend, and the headings are Chinese."""
    options = PlanOptions(lang="zh-TW", planned_issue_date=date(2027, 1, 15))
    figure = ln.figure(plan(*SERVERS, options=options), kind)
    assert re.search(r"連線|憑證上的名稱|重要日期", figure.title)
    english = (
        *("connections", "names on certificates", "Important dates", "Limits of public CAs"),
        *("External clients", "Site ", "Deployment<", ">certificate, public CA", "an arrow points"),
        *("on all certificates", "as subject only", "from first day", "one day", "Planned, "),
        *("at most ", "date of issue", " from "),
    )
    texts = "".join(re.findall(r"<text[^>]*>[^<]*<", figure.svg))
    assert [words for words in english if words in texts] == []


def test_formats_agree_on_the_language_of_titles():
    """The title, the tasks, and the page numbers are in the same language in each format."""
    plan = plan_servers("zh-TW")
    data = {
        suffix: formats.write_plan_table(plan, check_plan(plan), suffix)
        for suffix in (".html", ".md", ".docx", ".xlsx")
    }
    title = "Lync Server 2013 的憑證: contoso.com"
    assert f"<h1>{title}</h1>" in remove_break_marks(data[".html"].decode())
    assert data[".md"].decode().startswith(f"# {title}\n")
    # lyncnb recognizes the file as its own, so that the next run can replace it.
    assert formats.PLAN_FILE.is_ours[".md"](io.BytesIO(data[".md"]))
    # A note by a user can have the form of a Chinese title.
    for text in ("# 憑證\n", "# 台北機房 的憑證：我的筆記\n\n請勿刪除\n"):
        assert not formats.PLAN_FILE.is_ours[".md"](io.BytesIO(text.encode()))
    document = docx.Document(io.BytesIO(data[".docx"]))
    assert document.paragraphs[0].text == title
    footer = document.sections[0].footer.paragraphs[0].text
    assert re.search("第 .*頁，共 .*頁$", footer)
    cover = openpyxl.load_workbook(io.BytesIO(data[".xlsx"]))["封面"]
    assert [cell.value for cell in cover[2]][:2] == ["計畫", title]
    names = [row[0].value for row in cover.iter_rows()]
    assert {"工作：規劃人員", "工作：伺服器小組"} <= {*names}
    assert cover.oddFooter.right.text == "第 &P 頁，共 &N 頁"


@pytest.mark.parametrize("suffix", [".html", ".md", ".docx"])
def test_facts_of_a_certificate_are_in_one_language(suffix):
    """The block of a certificate names its CA, its severities, and its owner in Chinese."""
    options = PlanOptions(lang="zh-TW", ca={"internal": "Contoso CA"})
    made = plan(*SERVERS[1:], front_end(1, web_external_fqdn="例.contoso.com"), options=options)
    data = formats.write_plan_table(made, check_plan(made), suffix)
    if suffix == ".docx":
        text = "\n".join(p.text for p in docx.Document(io.BytesIO(data)).paragraphs)
    else:
        text = html.unescape(re.sub("<[^>]+>", "", data.decode()))
    assert re.search(r"簽發者:\s*公用 CA", text)
    assert re.search(r"簽發者:\s*Contoso CA（內部 CA）", text)
    assert "Contoso CA（內部 CA）：" in text
    assert re.search(r"私密金鑰可匯出:\s*是", text)
    assert "警告：international-name" in text
    assert "整個部署（OAuth）" in text
    assert "，外部（AccessEdgeExternal" in text


def test_word_has_an_east_asian_font():
    """A Word document in Chinese has a Chinese font.

    Without this setting, Word often uses a Japanese font.
    """
    plan = plan_servers("zh-TW")
    data = formats.write_plan_table(plan, check_plan(plan), ".docx")
    document = docx.Document(io.BytesIO(data))
    fonts = document.styles["Normal"].element.rPr.rFonts
    assert fonts.get(qn("w:eastAsia")) == "Microsoft JhengHei"
    language = document.styles.element.find(f".//{qn('w:rPrDefault')}//{qn('w:lang')}")
    assert language.get(qn("w:eastAsia")) == "zh-TW"
    assert "各方的工作" in "\n".join(p.text for p in document.paragraphs)


def test_the_editor_follows_the_language_option():
    """If the user changes the language, the titles of columns and roles in the editor change."""
    plan = plan_servers("en")
    editor = PlanEditor(plan.topology, plan.rules)
    client = PanelClient(editor.view)
    client.send("ready")
    for lang, expected in (("zh-TW", "伺服器"), ("en", "Server")):
        columns = client.send("option", name="lang", value=lang)["columns"]["columns"]
        assert next(c for c in columns if c["name"] == "server_fqdn")["title"] == expected
    assert editor.plan.sha256 == plan.sha256


def test_an_unknown_language_is_refused():
    """If a language is unknown, the error message lists the supported languages."""
    with pytest.raises(OptionsError) as refused:
        PlanOptions(lang="fr")
    assert ", ".join(f'"{name}"' for name in LANGUAGES) in refused.value.hint


# -- Error findings


def error_checks():
    """Return every check of a plan that reports an error, from all products and CAs."""
    days = [date(year, 7, 1) for year in range(2014, 2032)]
    checks = [
        check
        for rules in map(load_rules, list_products())
        for check in (
            *rules.checks.values(),
            *(
                rules.adapt_check(check)
                for day in days
                for check in load_ca_rules().list_plan_checks(day)
            ),
        )
    ]
    return [check for check in checks if check.severity == "error"]


def plans_with_errors():
    """Yield plans with errors from the test cases of all checks, each with its evaluation date."""
    for product, check in (*CASES, *(("lync2013", check) for check in load_ca_rules().checks)):
        if check.severity == "error" and check.fires:
            yield plan_of_case(check.fires, rules=load_rules(product)), check.fires.on
    for _, _, _, edits, options in TABLE_CASES:
        yield plan_of(edits, options), None
    for _, usage, changes in ALTERED_CASES:
        yield alter_certificates(plan_of([(EDGE, "aol_pic", "true")]), usage, **changes), None
    shared = [
        part
        for c in plan_of().certificates
        for part in (c._replace(shared_by="server", servers=(server,)) for server in ("a", "b"))
    ]
    yield replace(plan_of(), certificates=tuple(shared)), None
    chance = random.Random(47)
    yield from ((random_plan(chance), None) for _ in range(20))


#: A pattern for a name, a number, or another value in a text.
VALUE = re.compile(r"[\w*=-]*[\d._=][\w*.=-]*\w")
ENGLISH = re.compile(r"\b[A-Z]?[a-z]+ [a-z]+ [a-z]+\b")


def test_titles_and_hints_of_errors_are_translated():
    """The title and the hint of each error are translated into Chinese. Values in them, such as
    column names, are not changed.
    """
    texts = {text for check in error_checks() for text in (check.title, check.hint)}
    assert len(texts) > 90
    translations = {text: translate_title(text, "zh-TW") for text in texts}
    assert {
        text for text, other in translations.items() if text == other or ENGLISH.search(other)
    } == set()
    lost = {
        text: [v for v in VALUE.findall(text) if v not in other]
        for text, other in translations.items()
    }
    assert {text: values for text, values in lost.items() if values} == {}
    assert [word for word in NEVER if word in "".join(translations.values())] == []


def test_messages_of_errors_are_translated_with_their_values():
    """The message of each error is Chinese, keeps all values, and uses words that are common in
    Taiwan.
    """
    missing, lost, codes = set(), set(), set()
    for faulty_plan, day in plans_with_errors():
        for finding in check_plan(faulty_plan, on=day).of("error"):
            codes.add(finding.code)
            translation = finding.in_language("zh-TW")
            for text, other in (
                (finding.message, translation.message),
                (finding.hint, translation.hint),
            ):
                # The titles of documents stay in English.
                words = re.sub("此規則根據 .* 指出：", "", other)
                if text == other or ENGLISH.search(words) or any(word in other for word in NEVER):
                    missing.add(f"{text} -> {other}")
                lost |= {f"{v}: {other}" for v in VALUE.findall(text) if v not in other}
    assert missing == set()
    assert lost == set()
    assert {check.code for check in error_checks()} - codes == set()


def shown_strings():
    """Yield every text of the package that may be shown, except the translations."""

    def texts_in(value):
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from texts_in(item)

    for path in (REPOSITORY / "lyncnb").rglob("*.*"):
        if path.suffix == ".py":
            nodes = ast.walk(ast.parse(path.read_text("utf-8")))
            yield from (
                node.value
                for node in nodes
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
        elif path.suffix == ".j2":
            yield path.read_text("utf-8")
        elif path.suffix == ".toml" and path.name not in ("languages.toml", "sentences.toml"):
            yield from texts_in(tomllib.loads(path.read_text("utf-8")))


def test_every_translated_text_exists_in_the_package():
    """Each translated English text also exists in the package. If a text is reworded, this test
    finds the old translation.
    """
    known = "\n".join(shown_strings()).lower()
    tables = tomllib.loads(Path(languages.__file__).with_name("sentences.toml").read_text("utf-8"))
    old = {}
    for key in (key for table in tables.values() for key in table):
        for piece in re.split(r'\{\w*\}|""|\. ', key):
            text = piece.strip(" .()").lower()
            # The first word after a number can be singular or plural, as in "2 certificates without
            # a package", so it is ignored.
            if text not in known and text.partition(" ")[2] not in known:
                old[key] = piece
    assert len(tables["zh-TW"]) > 300
    assert old == {}


def test_spaces_around_values_in_chinese_texts():
    """In a Chinese text, a Chinese value, such as the name of a site, has no spaces around it, and
    a Latin value has spaces.
    """
    message = 'site "台北 一館" has no pool with an external web name'
    assert "「台北 一館」" in translate_title(message, "zh-TW")
    assert translate_title("Import 憑證 甲 with its password", "zh-TW") == "使用密碼匯入憑證 甲"
    assert translate_title("Import a.pfx with its password", "zh-TW") == "使用密碼匯入 a.pfx"


def test_a_message_without_a_translation_stays_english():
    """Warnings, notices, and unknown texts are shown in English."""
    plan = plan_servers("zh-TW")
    others = [f for f in check_plan(plan) if f.severity != "error"]
    assert others
    assert all(f.in_language("zh-TW") is f for f in others)
    assert translate_title('"a" has no translation', "zh-TW") == '"a" has no translation'


def test_a_long_text_that_nearly_matches_takes_linear_time():
    """lyncnb translates a text of 150,000 characters in less than a second, even if the text
    repeats a part of a known message.
    """
    text = "Install " + "x in the store " * 10_000
    start = time.perf_counter()
    assert translate_title(f"{text}\n", "zh-TW").startswith("將")
    assert translate_title(f"{text[:-1]}", "zh-TW").startswith("將")
    assert translate_title(f'"{text}', "zh-TW") == f'"{text}'
    assert time.perf_counter() - start < 1


def plan_with_errors(lang):
    """Plan a table with errors: pools have the same external web name, and an Edge name is blank."""
    servers = (
        front_end(n, pool_fqdn=f"pool{n}.contoso.net", web_external_fqdn="w.contoso.com")
        for n in (1, 2)
    )
    return plan(*servers, edge(1, webconf_edge_fqdn=""), options=PlanOptions(lang=lang))


@pytest.mark.parametrize("suffix", [".html", ".md", ".xlsx", ".docx"])
def test_errors_in_a_summary_are_chinese(suffix):
    """If the language is Chinese, the page, Markdown, workbook, and Word document show errors and
    hints in Chinese.
    """
    plan = plan_with_errors("zh-TW")
    text = shown_text(formats.write_plan_table(plan, check_plan(plan), suffix), suffix)
    assert "錯誤" in text
    assert "兩個集區有相同的外部 Web 名稱" in text
    assert (
        "「w.contoso.com」是 2 個集區的外部 Web 名稱：pool1.contoso.net (FrontEnd) 和 pool2" in text
    )
    assert "請為每個前端集區、Standard Edition 伺服器和 Director 集區輸入唯一的" in text
    for english in ("Two pools have", "Enter a unique"):
        assert english not in text


def shown_text(data, suffix):
    """Return the text that a reader sees in an Excel, Word, HTML or Markdown document."""
    if suffix == ".xlsx":
        sheets = openpyxl.load_workbook(io.BytesIO(data)).worksheets
        cells = (cell for sheet in sheets for row in sheet.iter_rows() for cell in row)
        return "\n".join(str(cell.value) for cell in cells)
    if suffix == ".docx":
        tables = docx.Document(io.BytesIO(data)).tables
        return "\n".join(cell.text for table in tables for row in table.rows for cell in row.cells)
    return re.sub("<wbr>|</?b>", "", html.unescape(data.decode())).replace("\\", "")


def test_errors_in_json_and_csv_stay_english():
    """The language does not affect the JSON document or the CSV file, so errors in them are in
    English.
    """
    findings = check_plan(plan_with_errors("en"))
    assert findings.has_errors
    assert plan_json(plan_with_errors("en"), findings) == plan_json(
        plan_with_errors("zh-TW"), check_plan(plan_with_errors("zh-TW"))
    )
    assert repr(findings) == repr(check_plan(plan_with_errors("zh-TW")))
    tables = {
        formats.write_plan_table(plan_with_errors(lang), findings, ".csv").split(b"\r\n", 1)[1]
        for lang in LANGUAGES
    }
    assert len(tables) == 1


def test_an_accepted_error_is_chinese():
    """The reason for accepting an error follows the Chinese message."""
    error = check_plan(plan_with_errors("en")).of("error")[0]
    translation = error.accepted_because("in a lab").in_language("zh-TW")
    assert translation.message == f"{error.in_language('zh-TW').message}（已接受：in a lab）"
    assert translation.hint == "您不需要執行任何動作，因為此發現事項已接受。"


def test_errors_in_the_editor_are_chinese():
    """The editor shows errors in the language of the plan, with translated column titles."""
    plan = plan_with_errors("zh-TW")
    client = PanelClient(PlanEditor(plan.topology, plan.rules, options=plan.options).view)
    client.send("ready")
    groups = {g["code"]: g for g in client.send("findings")["findings"]["groups"]}
    missing = groups["edge-name-missing"]
    assert missing["title"] == "缺少 Edge 集區的外部名稱"
    heading = translate_title("Web Conferencing Edge FQDN", "zh-TW")
    assert missing["items"][0]["message"].endswith(f"的每一列中 “{heading}” 都是空白")
    assert missing["items"][0]["heading"] == heading
    assert missing["items"][0]["row"] is not None
    assert "請在集區的其中一列填入" in missing["hint"]


# -- README.zh-TW.md

PAGE = REPOSITORY / "README.zh-TW.md"


def chinese_headings(title, aliases):
    """Return the Traditional Chinese titles that a table can use as headings, which are those that
    Windows in Taiwan can encode.
    """
    names = dict.fromkeys([translate_title(title, "zh-TW"), *aliases])
    return [
        name
        for name in names
        if re.search(r"[\u4e00-\u9fff]", name)
        and name.encode("cp950", "ignore").decode("cp950") == name
        and not any(word in name for word in NEVER)
    ]


@pytest.mark.parametrize(
    ("mark", "heading", "facts"),
    [
        ("columns", "欄", [(c.name, c.title, c.aliases) for c in list_topology_columns()]),
        ("roles", "角色", [(r.id, r.title, r.aliases) for r in list_topology_roles()]),
    ],
)
def test_the_readme_lists_the_chinese_headings_and_roles(request, mark, heading, facts):
    """README.zh-TW.md lists the Chinese titles that a table can use. --refresh updates the list."""
    rows = [
        (name, "、".join(chinese_headings(title, aliases)) or title)
        for name, title, aliases in facts
    ]
    table = to_markdown((heading, "可以使用的寫法"), rows)
    before, begin, rest = PAGE.read_text("utf-8").partition(f"<!-- {mark} -->\n")
    current_table, end, after = rest.partition(f"<!-- end of {mark} -->")
    if request.config.getoption("--refresh"):
        PAGE.write_text(f"{before}{begin}{table}{end}{after}", "utf-8")
    else:
        assert current_table == table


def test_the_readme_uses_the_words_of_taiwan():
    """README.zh-TW.md contains no words that are used only in other Chinese-speaking regions."""
    assert [word for word in NEVER if word in PAGE.read_text("utf-8")] == []


@pytest.mark.slow
@pytest.mark.usefixtures("quick_cipher")
def test_the_commands_of_the_readme_write_chinese_files(tmp_path, monkeypatch):
    """The commands in README.zh-TW.md succeed, and write files in Chinese."""
    sample = "contoso-zh-TW.csv"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / sample).write_bytes((DATA / sample).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)
    results = [result for result in run_page(PAGE.read_text("utf-8")) if result is not None]
    assert [status for status, _ in results] == [0, 0, 0], results
    assert "各方的工作" in Path("plan.html").read_text("utf-8")
    assert "預期結果" in Path("requests/steps/order.html").read_text("utf-8")


@pytest.mark.usefixtures("quick_cipher")
def test_a_folder_keeps_the_language_of_its_plan(tmp_path):
    """If no other language is specified, the deployment steps are in the language of the plan."""
    for lang in LANGUAGES:
        ln.write_requests(plan_servers(lang), tmp_path / lang, passphrase=PASSPHRASE)
        assert ln.deployment_steps(ln.receive(tmp_path / lang)).lang == lang
