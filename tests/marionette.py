"""Control an installed Firefox through its own remote protocol, Marionette, without a client
library.

A message is its length in decimal digits, a colon, and JSON. A command is ``[0, id, name,
parameters]``, and its answer ``[1, id, error, result]``.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from itertools import count
from pathlib import Path

from free_ports import free_port

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox") or "firefox-esr"
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
# With these preferences, Firefox opens no connections on its own, and downloads files without
# asking.
_PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """A headless Firefox browser with its own profile, as a context manager."""

    def __init__(self, folder: Path, *, seconds: float = 60):
        self.downloads = folder / "downloads"
        self._profile, self._seconds, self._numbers = folder / "profile", seconds, count(1)
        for new_folder in (self.downloads, self._profile):
            new_folder.mkdir()
        self._port = free_port()
        settings = {
            **_PREFERENCES,
            "marionette.port": self._port,
            "browser.download.dir": str(self.downloads),
        }
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in settings.items()]
        (self._profile / "user.js").write_text("".join(lines))

    def __enter__(self) -> Firefox:
        self._process = subprocess.Popen(
            [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", self._profile],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + self._seconds
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", self._port), 1)
                break
            except OSError:
                assert self._process.poll() is None, "Firefox ended"
                assert time.monotonic() < end, "Firefox does not answer"
                time.sleep(0.1)
        self._socket.settimeout(self._seconds)
        self._stream = self._socket.makefile("rb")
        self._read()
        self.ask("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(30)

    def _read(self) -> object:
        digits = b""
        while (character := self._stream.read(1)) != b":":
            assert character, "Firefox ended"
            digits += character
        return json.loads(self._stream.read(int(digits)))

    def ask(self, command: str, **parameters: object) -> dict:
        """Send a Marionette command, and return its result."""
        data = json.dumps([0, next(self._numbers), command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self._read()
        assert error is None, error
        return result

    def open(self, path: Path) -> None:
        """Open a page from the disk in the browser."""
        self.ask("WebDriver:Navigate", url=path.as_uri())

    def js(self, script: str, *arguments: object) -> object:
        """Run a script with arguments, and return its value. The page's content security policy
        does not apply.
        """
        result = self.ask("WebDriver:ExecuteScript", script=script, args=list(arguments))
        return result["value"]

    def wait(self, script: str) -> object:
        """Wait until a script returns a true value, and return this value."""
        end = time.monotonic() + self._seconds
        while not (value := self.js(script)):
            assert time.monotonic() < end, script
            time.sleep(0.05)
        return value

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file for a file input, as a person does in the file dialog."""
        response = self.ask("WebDriver:FindElement", using="css selector", value=selector)
        element = response["value"][_ELEMENT]
        self.ask("WebDriver:ElementSendKeys", id=element, text=str(path))

    def wait_for_download(self, name: str) -> bytes:
        """Wait until a download is complete, and return its content."""
        path, end = self.downloads / name, time.monotonic() + self._seconds
        while (
            not path.is_file() or not path.stat().st_size or path.with_name(f"{name}.part").exists()
        ):
            assert time.monotonic() < end, f"no {name} in {[*self.downloads.iterdir()]}"
            time.sleep(0.05)
        return path.read_bytes()
