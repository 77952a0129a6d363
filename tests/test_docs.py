"""The documentation pages about tasks are short, and each command and cell in them prints the
output that is shown below it.

With ``--refresh``, the outputs in the pages are written again. A note above an output selects its
lines: ``<!-- lines: first 3, from error: 4, last 1 -->``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from docs_session import CLOCK, PASSPHRASE, WIDTH, blocks_of, without_random_text
from places import DATA, REPOSITORY
from shell_kit import process_environment

import lyncnb as ln
from lyncnb.base.shown.tables import to_markdown
from lyncnb.plan.options import OPTIONS

DOCS = REPOSITORY / "docs"
TEXTS = {path.name: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}
PAGES = [name for name, text in TEXTS.items() if "<!-- run by tests -->" in text]
#: The pages with commands that this file does not run, with the reasons.
NOT_RUN = {
    "one-file.md": "test_build_page.py runs its commands, because they need Node.js",
    "other-environments.md": ".ci/page runs .ci/release; the rest installs packages on two computers",
    "windows.md": "its commands are for PowerShell on Windows, which no test has",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, list]:
    """Run all documentation pages with the sample, and return the results by page."""
    return run_pages(PAGES, DATA / "contoso", tmp_path_factory.mktemp("docs"))


def run_pages(names, table, folder) -> dict[str, list]:
    """Run documentation pages with a table in one process, with a fixed clock."""
    environment = {
        "COLUMNS": WIDTH,
        "TZ": "UTC",
        "LYNCNB_PASSPHRASE": PASSPHRASE,
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(REPOSITORY / "tests"),
    }
    program = REPOSITORY / "tests" / "docs_session.py"
    completed = subprocess.run(
        ["faketime", "-f", f"@{CLOCK}", sys.executable, program, table]
        + [DOCS / name for name in names],
        cwd=folder,
        env=process_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    by_path = json.loads(completed.stdout.splitlines()[-1])
    return {path.rpartition("/")[2]: result for path, result in by_path.items()}


def select_lines(output: str, note: str) -> str:
    """Return the lines of an output that ``note`` selects. Each gap is replaced with one line "…"."""
    lines = without_random_text(output).splitlines()
    line_numbers = set() if note else set(range(len(lines)))
    for part in note.split(", ") if note else ():
        position, _, count = part.rpartition(" ")
        first_line = {"first": 0, "last": len(lines) - int(count)}.get(position)
        # With the note "from TEXT", the page shows the output from the first line that begins with
        # TEXT.
        if first_line is None:
            prefix = position.removeprefix("from ")
            starts = [line.strip().startswith(prefix) for line in lines]
            assert any(starts), (part, output)
            first_line = starts.index(True)
        line_numbers |= set(range(max(first_line, 0), min(first_line + int(count), len(lines))))
    excerpt = []
    for number, line in enumerate(lines):
        if number in line_numbers:
            excerpt.append(line)
        elif excerpt[-1:] != ["…"]:
            excerpt.append("…")
    return "".join(f"{line}\n" for line in excerpt)


@pytest.mark.tools
@pytest.mark.posix
@pytest.mark.parametrize("name", PAGES)
def test_pages_show_the_output_of_their_commands(request, results, name):
    """Every command and cell in a documentation page prints the output that the page shows below
    it.

    With the option --refresh, the test updates the page instead.
    """
    # When files are refreshed, another test may have changed this page since it was read.
    text, output = (DOCS / name).read_text("utf-8"), ""
    outputs, pieces, end = [], [], 0
    for block, result in zip(blocks_of(text), results[name], strict=True):
        if result is not None:
            status, output = result
            assert status == int(block.note("exit") or 0), (block.source, output)
        elif block.kind == "text" and not block.note("file"):
            now = select_lines(output, block.note("lines"))
            outputs.append((block.source, now))
            start, stop = block.span
            indented = "".join(f"{block.indent}{line}" for line in now.splitlines(keepends=True))
            pieces += [text[end:start], indented]
            end = stop
    if request.config.getoption("--refresh"):
        (DOCS / name).write_text("".join([*pieces, text[end:]]), "utf-8")
    else:
        assert outputs
        assert [before for before, _ in outputs] == [now for _, now in outputs]


@pytest.mark.tools
@pytest.mark.posix
def test_pages_without_a_name_of_the_sample_work_for_another_deployment(tmp_path):
    """Pages whose commands contain no name of the sample have the same exit statuses with the table
    of a deployment in Chinese, and their outputs contain no name of the sample.
    """
    topology = ln.read_topology(DATA / "contoso.csv")
    servers = {name.partition(".")[0] for name in topology.to_frame()["server_fqdn"]}
    of_the_sample = re.compile(rf"\b({'|'.join(servers)})\b|contoso\.(net|com)")
    names = [
        name
        for name in PAGES
        if not any(
            of_the_sample.search(block.source)
            for block in blocks_of(TEXTS[name])
            if block.kind in {"sh", "python"} or block.note("file")
        )
    ]
    assert len(names) >= 5
    table = REPOSITORY / "tests" / "strange" / "zh-TW"
    for name, results in run_pages(names, table, tmp_path).items():
        for block, result in zip(blocks_of(TEXTS[name]), results, strict=True):
            if result is not None:
                status, output = result
                assert status == int(block.note("exit") or 0), (name, block.source, output)
                assert re.search(r"(?<!@)contoso\.(net|com)", output) is None, (name, output)


def test_every_page_with_commands_is_run():
    """Each page with commands or cells is run by a test, or is in the list of pages that cannot be
    run.
    """
    with_code = {
        name for name, text in TEXTS.items() if re.search(r"^ *```(sh|python|power)", text, re.M)
    }
    assert with_code == {*PAGES, *NOT_RUN}


def count_words(text: str) -> int:
    """Return the number of words in the text of a page, without generated tables."""
    text = re.sub(r"<!-- (planning tool|keys) -->.+<!-- end of \1 -->", "", text, flags=re.S)
    return len(re.sub(r"^ *```.+?^ *```|<!--.+?-->", "", text, flags=re.S | re.M).split())


@pytest.mark.parametrize("name", PAGES)
def test_a_task_page_is_short_and_says_what_to_expect(name):
    """A task page has 150 to 700 words and short table cells, and explains what to do if a step
    fails.
    """
    text = TEXTS[name]
    assert 150 <= count_words(text) <= 700
    cells = [
        cell.strip() for row in re.findall(r"^ *\|(.+)\|$", text, re.M) for cell in row.split("|")
    ]
    assert max(map(len, cells), default=0) <= 200
    has_steps = re.search(r"^1\. [A-Z]", text, re.M) is not None
    assert has_steps or name == "explore.md"
    assert "\n## If it fails\n" in text or name == "request-folder.md"


def test_each_task_page_begins_with_when_to_use_it():
    """Each page in the table of tasks begins with when to use it and when not."""
    tasks = re.findall(
        r"^\| .+\]\((.+)\) \|$", TEXTS["README.md"].partition("## Reference")[0], re.M
    )
    begin = re.compile(
        r"# .+\n(<!-- run by tests -->\n)?\n- \*\*Use this page\*\* .+(\n  .+)*\n"
        r"- \*\*Do not use it\*\* .+(\n  .+)*\n\n"
    )
    assert [name for name in tasks if not begin.match(TEXTS[name])] == []
    assert {*PAGES, *NOT_RUN} - {*tasks} == {"plan-toml.md", "request-folder.md"}


def test_the_page_of_options_describes_every_key(request):
    """docs/plan-toml.md lists all keys of plan.toml, and --refresh updates the list."""
    values, rows = ln.PlanOptions(), []
    for name, option in OPTIONS.items():
        key = f"{option.section}.{option.key}" if option.section and option.key else option.key
        default = getattr(values, name) if option.key else ""
        default_text = "" if default in ("", (), None) else f"; default: {str(default).lower()}"
        rows.append((key or f"[{option.section}]", f"{option.comment}{default_text}"))
    # On a narrow page, a long key breaks after "_", so that both columns are visible.
    table = to_markdown(("Key", "Value"), rows).replace("\\_", "\\_<wbr>")
    text = TEXTS["plan-toml.md"]
    before, mark, rest = text.partition("<!-- keys -->\n")
    page_table, end, after = rest.partition("<!-- end of keys -->")
    if request.config.getoption("--refresh"):
        page = DOCS / "plan-toml.md"
        text = page.read_text("utf-8")  # The previous test may have written outputs into this page.
        before, mark, rest = text.partition("<!-- keys -->\n")
        _, end, after = rest.partition("<!-- end of keys -->")
        page.write_text(f"{before}{mark}{table}{end}{after}", "utf-8")
    else:
        assert page_table == table


def test_the_page_of_options_has_an_example_of_every_key():
    """The example in docs/plan-toml.md is valid, and sets each option to a value that is not the
    default.
    """
    examples = [block.source for block in blocks_of(TEXTS["plan-toml.md"])
                if block.note("file") == "every-key.plan.toml"]  # fmt: skip
    options, default = ln.PlanOptions.from_toml(examples[0].encode()), ln.PlanOptions()
    assert [name for name in OPTIONS if getattr(options, name) == getattr(default, name)] == []


def test_the_page_about_renewals_does_not_delay_a_revocation():
    """If a key may be compromised, the page about renewals and the page for the CA agree.

    The CA revokes the certificate immediately, and not only after the new one is installed.
    """
    template = (REPOSITORY / "lyncnb/authorities/handover.html.j2").read_text("utf-8")
    section = TEXTS["renew.md"].partition("## A key may be compromised")[2].partition("\n## ")[0]
    (heading,) = re.findall(r"<h2>(Revoke [a-z]+)</h2>", template)
    assert f'"{heading}"' in section
    assert "Do not delay the" in section
    assert "Install the new certificates first" not in section
