"""A checklist in Traditional Chinese contains the same steps, values and commands as the English
one.
"""

from __future__ import annotations

import html
import re

import pytest
from deploy.walk import NOON, OLD_END, packages_of
from places import DATA
from plan.test_languages import NEVER

from lyncnb.base.shown.languages import make_translator
from lyncnb.base.shown.origin import Origin
from lyncnb.deploy.checklist import (
    CHECKLIST,
    describe_case,
    find_times,
    list_all_sheets,
    list_order,
    list_shared_steps,
    to_html,
    to_markdown,
)
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.server_steps import MissingPackage
from lyncnb.deploy.step_files import build_server_scripts
from lyncnb.deploy.steps import build_procedure
from lyncnb.errors import OptionsError
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

SAY = make_translator("zh-TW")
SAMPLES = sorted(path.name for path in DATA.glob("*.csv"))
PRODUCTS = ("lync2013", "sfb2015", "sfb2019", "sfbse")

#: Microsoft keeps these names in English in its Traditional Chinese documentation.
SAME = {
    *("Director", "Edge Server", "Windows PowerShell"),
    *("Survivable Branch Appliance", "Survivable Branch Appliance 2015"),
}

#: A pattern for values within a sentence, such as names, paths, times, commands, and thumbprints.
VALUE = re.compile(r"[\w$:\\/-]*[\d\\.$][\w$:\\/.-]*\w")
ENGLISH = re.compile(r"\b[A-Z]?[a-z]+ [a-z]+ [a-z]+\b")


def procedures():
    """Yield the deployment steps of every sample for every product, for a first deployment and for
    a renewal.
    """
    for product in PRODUCTS:
        rules = load_rules(product)
        for sample in SAMPLES:
            table = read_topology(DATA / sample).to_frame()
            plan = plan_certificates(read_topology(table[table["role"].isin(rules.roles)]), rules)
            for end in (None, OLD_END):
                yield build_procedure(packages_of(plan, end), rules, now=NOON)
            if product == "lync2013":
                yield request_scripts(plan)


def texts_of(steps, translate):
    """Return the texts that a reader of the checklist must understand to do the work, from all
    sheets.
    """
    texts = []
    sheets = list_all_sheets(steps)
    for sheet in sheets:
        page = sheet.first
        texts += [page.title, page.shell.title] if page.shell else [page.title]
        texts += [*describe_case(page), find_times(page)[1]]
        for section in sheet.sections:
            shell = page.shell.title if page.shell else ""
            texts += [section.heading, section.about.replace(shell, "PowerShell")]
            for row in section.rows:
                texts += [row.title, row.expected, row.person, *(b.lead for b in row.blocks)]
    for row in list_order(steps, sheets, translate) if steps.unit == "server" else ():
        texts += [row.who, row.what]
    for _, step in list_shared_steps(steps, translate):
        texts += [step.title, step.expected, step.step.person]
    texts += [step.step.effect for page in steps.servers for step in page.steps]
    texts += [gap.why for gap in steps.missing]
    texts += [*steps.summary(translate).split(translate("; "))]
    return [translate(text) for text in texts]


def test_every_text_of_a_sheet_is_translated():
    """In the Chinese checklist, all texts of the steps are in Chinese and contain the same values
    as the English texts.
    """
    missing, lost, never = set(), set(), set()
    for steps in procedures():
        for text, translation in zip(texts_of(steps, str), texts_of(steps, SAY), strict=True):
            if not text or text in SAME:
                continue
            never |= {word for word in NEVER if word in translation}
            # What the script prints stays in English.
            if translation == text or ENGLISH.search(re.sub("「[^」]*」", "", translation)):
                missing.add(f"{text} -> {translation}")
            lost |= {
                f"{value}: {translation}"
                for value in VALUE.findall(text)
                if value not in translation
            }
    assert missing == set()
    assert lost == set()
    assert never == set()


@pytest.fixture(scope="module")
def steps():
    """Return the deployment steps of a sample in which one certificate has no package."""
    rules = load_rules("lync2013")
    plan = plan_certificates(read_topology(DATA / "contoso.csv"), rules)
    reason = "to create packages, run lyncnb pfx FOLDER"
    return build_procedure(
        packages_of(plan, None),
        rules,
        now=NOON,
        missing_packages=[MissingPackage(request="X-1", why=reason, servers=("fe01.contoso.net",))],
        origin=Origin(deployment="Contoso", planner="Ana Li"),
    )


def test_every_heading_of_the_page_is_chinese(steps):
    """In the Chinese checklist, all headings are in Chinese, and the HTML page declares its
    language.
    """
    page = to_html(steps.in_language("zh-TW"))
    assert '<html lang="zh-Hant-TW">' in page
    assert "<title>Lync Server 2013：匯入與指派</title>" in page
    assert "規劃人員：Ana Li" in page
    assert "X-1：若要建立套件，請執行 lyncnb pfx FOLDER" in re.sub(
        "</?(?:wbr|span)[^>]*>", "", page
    )
    headings = re.findall(r"<(h[1-3]|th|caption|summary)\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    heading_texts = {html.unescape(re.sub("<[^>]+>", " ", text)) for _, text in headings}
    english = {text for text in heading_texts if not re.search(r"[\u4e00-\u9fff]", text)}
    servers = {server.server for server in steps.servers}
    pools = {server.pool for server in steps.servers}
    assert {text.strip() for text in english} - servers - pools <= {"", "SHA-256"}
    for word in ("Expected result", "yes / no", "By hand", "Not packaged"):
        assert word not in page


def test_a_checklist_in_markdown_is_chinese(steps):
    """In the Chinese Markdown checklist, all headings are in Chinese, except for servers and roles."""
    text = to_markdown(steps.in_language("zh-TW"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert len(headings) > 20
    assert all(re.search(r"[\u4e00-\u9fff]", heading) for heading in headings)
    assert "- **尚未封裝**：X-1：若要建立套件" in text
    assert "都是 Running" in text


def test_commands_and_scripts_are_not_translated(steps):
    """The Chinese checklist contains the same commands, scripts, SHA-256 hashes, thumbprints and
    printed summary as the English one.
    """
    chinese = steps.in_language("zh-TW")
    assert build_server_scripts(chinese) == build_server_scripts(steps)
    for write in (to_html, to_markdown):
        english, other = write(steps), write(chinese)
        if write is to_html:
            blocks = [
                re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL) for text in (english, other)
            ]
        else:
            blocks = [
                re.findall(r"```powershell\n(.*?)```", text, re.DOTALL) for text in (english, other)
            ]
        assert len(blocks[0]) > 100
        assert blocks[0] == blocks[1]
        hashes = [re.findall(r"\b[0-9A-Fa-f]{40,64}\b", text) for text in (english, other)]
        assert sorted(hashes[0]) == sorted(hashes[1])
    assert chinese.summary() == steps.summary()
    assert repr(chinese) == repr(steps)


def test_a_checklist_is_recognized_in_every_language(steps, tmp_path):
    """lyncnb replaces its own checklist in any language."""
    for lang in ("en", "zh-TW"):
        for suffix, write in ((".html", to_html), (".md", to_markdown)):
            path = tmp_path / f"checklist{suffix}"
            path.write_text(write(steps.in_language(lang)), "utf-8")
            with path.open("rb") as file:
                assert CHECKLIST.is_ours[suffix](file)
            path.write_text("# something else\n", "utf-8")
            with path.open("rb") as file:
                assert not CHECKLIST.is_ours[suffix](file)


def test_an_unknown_language_is_refused(steps):
    """A request for a checklist in an unknown language is rejected, and the message lists the
    supported languages.
    """
    with pytest.raises(OptionsError) as refused:
        steps.in_language("fr")
    assert "zh-TW" in refused.value.hint
