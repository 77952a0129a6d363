"""A planner page sends no data: a listener on the same computer receives nothing during a whole
session.

Chromium sends every name and address to the listener, which records what arrives by TCP and UDP.
The counter-tests show that the listener hears a page without the policy.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from folders import PASSPHRASE
from lab_driver import CHROMIUM
from page_driver import PlannerPage, start_browser
from places import DATA

from lyncnb.page.session import DOCUMENTS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason=f"no Chromium at {CHROMIUM}"),
]

TABS = ("Servers", "Deployment", "Certificates", "By name", "Picture", "Findings", "Changes")
# All ways in which code in a web worker can send data. Python runs in the worker, so it can use
# only these ways.
FROM_A_WORKER = """async (address) => {
  const ways = {
    XMLHttpRequest: () => { const r = new XMLHttpRequest(); r.open("GET", address); r.send(); },
    synchronous: () => { const r = new XMLHttpRequest(); r.open("GET", address, false); r.send(); },
    WebSocket: () => new WebSocket(address.replace("http", "ws")),
    EventSource: () => new EventSource(address),
    importScripts: () => importScripts(address),
    import: () => import(address),
    Worker: () => new Worker(address),
    Request: () => WorkerGlobalScope.prototype.fetch?.call(self, address),
    python: () => python.runPython(`
import urllib.request
urllib.request.urlopen("${address}")`),
    js: () => python.runPython(`
from js import XMLHttpRequest
request = XMLHttpRequest.new()
request.open("GET", "${address}", False)
request.send()`),
    WebTransport: () => new WebTransport(address.replace("http:", "https:")),
    caches: () => caches.open("a").then((cache) => cache.add(address)),
  };
  for (const way of Object.values(ways)) { try { await way(); } catch { /* refused */ } }
  await new Promise((resolve) => setTimeout(resolve, 300));
  return Object.keys(ways).length;
}"""
BY_UDP = """(port) => new Promise((resolve) => {
  const peer = new RTCPeerConnection({ iceServers: [{ urls: `stun:127.0.0.1:${port}` }] });
  peer.createDataChannel("a");
  peer.onicegatheringstatechange = () => {
    if (peer.iceGatheringState === "complete") resolve(true);
  };
  peer.createOffer().then((offer) => peer.setLocalDescription(offer));
  setTimeout(() => resolve(false), 3000);
})"""


class Listener:
    """A server that records the first bytes of each TCP connection and UDP datagram on one port."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        for work in (self._accept, self._receive):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                try:
                    self.messages.append(b"TCP " + connection.recv(200))
                except OSError:
                    self.messages.append(b"TCP")

    def _receive(self) -> None:
        while True:
            try:
                self.messages.append(b"UDP " + self._udp.recv(200))
            except OSError:
                return

    def close(self) -> None:
        """Stop listening on the port."""
        for server in (self._tcp, self._udp):
            server.close()


@pytest.fixture(scope="module")
def listener():
    """Return a listener that receives everything that the browser of these tests sends."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def browser(listener):
    """Start a browser that resolves every name and address to the listener."""
    with start_browser(f"--host-resolver-rules=MAP * 127.0.0.1:{listener.port}") as browser:
        yield browser


def test_the_listener_receives_data_of_a_page(browser, listener, tmp_path):
    """The listener receives data from a page without the security policy, both by HTTP and by UDP."""
    (tmp_path / "sends.html").write_text("<!DOCTYPE html><title>sends</title>")
    page = browser.new_page()
    page.goto((tmp_path / "sends.html").as_uri())
    page.evaluate("fetch('http://www.contoso.com/secret', { mode: 'no-cors' }).catch(() => {})")
    page.evaluate(BY_UDP, listener.port)
    page.close()
    assert any(b"GET /secret" in message for message in listener.messages)
    assert any(message.startswith(b"UDP ") for message in listener.messages)
    listener.messages.clear()


def test_a_whole_session_sends_nothing(browser, listener, contoso, tmp_path):
    """A session that uses every tool and tab sends no data, and no method of the web worker can
    send data.
    """
    planner = PlannerPage(browser.new_context(accept_downloads=True), contoso)
    page = planner.page
    for tab in TABS:
        planner.tab(tab).click()
    for document in DOCUMENTS:
        planner.document(document)
    planner.tab("Deployment").click()
    page.get_by_label("Organization (O)").fill("Contoso")
    page.keyboard.press("Tab")
    page.locator(".lc-saved", has_text="not saved").wait_for()
    planner.download(lambda: planner.press("Download a draft"))
    planner.open(DATA / "single-server.csv")
    page.get_by_role("heading", name="Plan of single-server.csv").wait_for()
    page.locator("#page-requests summary").click()
    page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
    page.get_by_label("Repeat the passphrase").fill(PASSPHRASE)
    planner.press("Create requests")
    planner.download(lambda: planner.press("Download single-server-requests.zip"))
    planner.press("Start with questions")
    page.get_by_label("SIP domains").first.wait_for()
    (worker,) = page.workers
    assert worker.evaluate(FROM_A_WORKER, "http://www.contoso.com/secret") == 12
    planner.context.close()
    assert listener.messages == []
