"""Panels use nothing from the page of JupyterLab. Therefore, they also work in a separate output
frame, as in VS Code.

VS Code itself cannot run here: its extension for notebooks comes from another registry. According
to its source (webviewPreloads.ts), it shows all outputs of a notebook in one sandboxed frame,
without the cells of the notebook, and with a content security policy.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from lab_driver import CHROMIUM
from panel_kit import PanelClient
from places import REPOSITORY
from playwright.sync_api import expect
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.widgets.panel import Panel

WIDGETS = REPOSITORY / "lyncnb" / "widgets"
SCRIPTS = sorted((WIDGETS / "js").glob("*.js"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_uses_only_what_every_frame_allows(script):
    """No script of the panels loads code, opens a dialog or a connection, or accesses another
    frame.
    """
    code = re.sub(r"^\s*(?://|\*|/\*).*$", "", script.read_text("utf-8"), flags=re.M)
    forbidden = (
        r"\bimport\b|\brequire\(|\beval\(|new Function|fetch\(|XMLHttpRequest|WebSocket|\bWorker\("
        r"|(?<![.\w])(?:alert|confirm|prompt)\(|window\.(?:open|parent|top)\b|document\.cookie"
    )
    assert re.findall(forbidden, code) == []
    # Only one script uses elements of JupyterLab's page, and it also works without them.
    assert ("jp-" in code) == (script.name == "older_outputs.js")


def test_the_style_sheet_needs_no_front_end():
    """The style sheet loads no other files, and each color and font of JupyterLab has a default
    value.
    """
    css = (WIDGETS / "panel.css").read_text("utf-8")
    assert re.findall(r"@import|url\(", css) == []
    assert re.findall(r"var\(--jp-[\w-]+\)", css) == []


class Frame:
    """An output frame like the one in VS Code. It shows a panel next to its static copy, and
    connects the panel to its kernel.
    """

    POLICY = (
        "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; "
        "img-src data:"
    )
    SANDBOX = "allow-scripts allow-same-origin allow-forms allow-downloads"
    OUTPUTS = """<div id="container"><div class="cell_container">
        <div class="output_container"><div class="output" id="panel"></div></div>
        <div class="output_container"><div class="output" id="copy">{copy}</div></div>
        </div></div>"""
    LOAD = """async ([esm, css]) => {
        const listeners = new Set();
        const model = { on: (_, f) => listeners.add(f), off: (_, f) => listeners.delete(f),
          send: (message) => window.toKernel(message) };
        window.fromKernel = (message, buffers) => listeners.forEach((f) => f(message, buffers.map(
          (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer))));
        const style = document.head.appendChild(document.createElement("style"));
        style.textContent = css;
        const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
        const panel = (await import(url)).default;
        panel.render({ model, el: document.getElementById("panel") });
    }"""

    def __init__(self, page, panel: Panel):
        self.page, self.panel, self.talk = page, panel, PanelClient(panel)
        self.asked: list[dict] = []
        page.expose_binding("toKernel", lambda _, message: self.asked.append(message))
        head = f'<meta http-equiv="Content-Security-Policy" content="{self.POLICY}">'
        copy, _, _ = panel.channel.make_static_output()
        outputs = self.OUTPUTS.replace("{copy}", f'<div class="lyncnb-static">{copy}</div>')
        page.set_content(f'<iframe sandbox="{self.SANDBOX}" width="1200" height="800"></iframe>')
        element = page.locator("iframe")
        element.evaluate("(e, text) => { e.srcdoc = text; }", f"{head}{outputs}")
        self.frame = element.element_handle().content_frame()
        self.frame.wait_for_selector("#panel", state="attached")

    def load(self) -> None:
        """Load the panel in the same way as anywidget, as a module from memory."""
        self.frame.evaluate(self.LOAD, [self.panel._esm, self.panel._css])

    def wait(self, text: str) -> None:
        """Pass messages between the page and the kernel until the page shows the given text."""
        element = self.frame.get_by_text(text).first
        for _ in range(500):
            if element.is_visible():
                return
            questions, self.asked = self.asked, []
            for message in questions:
                self.panel._receive(self.panel, message, [])
            answers, self.talk.responses = self.talk.responses, []
            for message, buffers in answers:
                texts = [base64.b64encode(buffer).decode() for buffer in buffers]
                self.frame.evaluate("([m, b]) => window.fromKernel(m, b)", [message, texts])
            self.page.wait_for_timeout(20)
        raise TimeoutError(self.frame.locator("body").inner_text())


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}")
def test_the_editor_works_in_a_frame_as_in_vs_code(chromium, tmp_path):
    """In a sandboxed frame without a notebook, the editor replaces its static copy, accepts an
    edit, and lists outputs with an older plan.
    """
    (tmp_path / "small.csv").write_text(FIVE_SERVERS, "utf-8")
    topology = ln.read_topology(tmp_path / "small.csv")
    editor = ln.PlanEditor(topology, ln.load_rules("lync2013"))
    context = chromium.new_context(offline=True)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda message: faults.append(message.text) if message.type == "error" else None
    )
    frame = Frame(page, editor.view)
    copy = frame.frame.locator("#copy")
    expect(copy).to_be_visible()
    frame.load()
    frame.wait("5 of 5 servers shown")
    expect(copy).to_be_hidden()
    row = frame.frame.get_by_role("row").filter(has_text="dir01.contoso.com")
    row.get_by_role("gridcell", name="Director").dblclick()
    roles = frame.frame.get_by_label("Role of dir01.contoso.com")
    roles.select_option("Mediation")
    roles.press("Enter")
    frame.wait("1 change, not saved")
    editor.view.channel.send({"type": "older", "cells": [3, 7]})
    frame.wait("These outputs show an older plan: [3], [7].")
    assert faults == []
    context.close()
