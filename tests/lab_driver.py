"""Control a real JupyterLab, Notebook 7, or Voila in headless Chromium, as a person would.

The driver uses Playwright with the installed Chromium and downloads nothing. The server listens on
127.0.0.1 on a free port with a random token. It has separate folders for configuration, data,
settings, and IPython, so the user's settings have no effect and a test can inspect every file.

    with LabServer(folder) as server, LabBrowser(server) as lab:
        lab.open_notebook("plan.ipynb")
        lab.run_all()
        lab.save()
        assert lab.errors() == []
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from free_ports import free_port

# The headless shell renders the same pages with less memory, because it has no windows.
CHROMIUM = (
    os.environ.get("LYNCNB_CHROMIUM")
    or shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
    or "/usr/bin/chromium"
)
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

# These settings make tests repeatable: JupyterLab does not save automatically, and renders all
# cells.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

# The applications print these console messages for any notebook (JupyterLab 4.6).
BENIGN = [
    r"favicon",
    r"ERR_ABORTED",  # A request was still running when the page was closed.
    r"Download the React DevTools",
    r"service-worker",
    r"Could not restore the debugger state",  # A kernel ended while the page was still using it.
    # anywidget 0.11 reports this two seconds after a panel was closed while it was loading. A panel
    # that is open and does not load shows nothing, so the test that waits for its content fails.
    r"\[anywidget\] Failed to initialize model",
    # In JupyterLab 4.6, the shutdown_reply arrives after the session has ended.
    r"null \(reading 'kernel'\)",
    r"GPU stall due to ReadPixels",
    r"/api/contents/[^ ]*checkpoints",
    r"reading 'schema'",  # Notebook 7.6 prints this for its settings registry.
    r"npm/@fortawesome",  # Voila 0.5 requests icons from a CDN.
    r"ERR_NAME_NOT_RESOLVED$",
    r"ERR_INTERNET_DISCONNECTED$",
    # Voila 0.5 then looks for the icons in the installed notebook package, and finds them.
    r"getter for the shared module",
]


class LabServer:
    """A ``jupyter lab``, ``notebook``, or ``voila`` server on the loopback interface, as a context
    manager.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        app: str = "lab",
        save_widget_state: bool = False,
        settings: dict[str, dict] | None = None,
        environ: dict[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        seconds: float = 90,
    ):
        self.root = Path(root).resolve()
        self.app = app
        self.environ = environ or {}
        self.arguments = arguments
        self.seconds = seconds
        self.token = secrets.token_hex(16)
        self.home = Path(tempfile.mkdtemp(prefix="lyncnb-lab-"))
        self.log_path = self.home / "server.log"
        self.process: subprocess.Popen | None = None
        state = {"saveState": save_widget_state}
        self.settings = {**SETTINGS, "@jupyter-widgets/jupyterlab-manager/plugin": state}
        for plugin, values in (settings or {}).items():
            self.settings[plugin] = {**self.settings.get(plugin, {}), **values}

    def __enter__(self) -> LabServer:
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._folders(), **self.environ},
                cwd=self.root,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def _folders(self) -> dict[str, str]:
        names = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        for name in names.values():
            (self.home / name).mkdir(exist_ok=True)
        # JupyterLab's build check is off, because it blocks the server for almost a second.
        (self.home / "config" / "labconfig").mkdir(exist_ok=True)
        (self.home / "config" / "labconfig" / "page_config.json").write_text(
            json.dumps({"buildAvailable": False, "buildCheck": False})
        )
        for plugin, values in self.settings.items():
            package, name = plugin.rsplit("/", 1)
            folder = self.home / "settings" / package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.jupyterlab-settings").write_text(json.dumps(values))
        return {variable: str(self.home / name) for variable, name in names.items()}

    def _command(self) -> list[str]:
        if self.app == "voila":
            return [
                "voila",
                str(self.root),
                "--no-browser",
                f"--port={self.port}",
                "--Voila.ip=127.0.0.1",
                f"--token={self.token}",
                *self.arguments,
            ]
        # If another process has taken a TCP port of a kernel, the kernel never responds:
        # https://github.com/jupyter/jupyter_client/issues/487
        channels = [] if os.name == "nt" else ["--KernelManager.transport=ipc"]
        expose = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.app]
        command = [
            "jupyter",
            self.app,
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}",
            f"--{expose}.expose_app_in_browser=True",
            *channels,
            *self.arguments,
        ]
        return command + (["--allow-root"] if os.geteuid() == 0 else [])

    def _wait(self) -> None:
        probe = self.base + ("/voila/" if self.app == "voila" else "/api/status")
        request = urllib.request.Request(probe, headers={"Authorization": f"token {self.token}"})
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended early:\n{self.log()}")
            try:
                urllib.request.urlopen(request, timeout=2).read()
                return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"no server after {self.seconds} s:\n{self.log()}")

    def stop(self) -> None:
        """Stop the server and its kernels, but keep the folders."""
        if self.process is None or self.process.poll() is not None:
            return
        for name, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, name)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return

    def log(self) -> str:
        """Return the last lines that the server printed."""
        with contextlib.suppress(OSError):
            return self.log_path.read_text(errors="replace")[-4000:]
        return ""

    def url(self, notebook: str, *, simple: bool = True) -> str:
        """Return the address of a notebook. JupyterLab opens the notebook in single-document mode
        if `simple` is true.
        """
        path = urllib.request.pathname2url(notebook)
        if self.app == "voila":
            return f"{self.base}/voila/render/{path}?token={self.token}"
        if self.app == "notebook":
            return f"{self.base}/notebooks/{path}?token={self.token}"
        # A workspace with a new name has no open documents. (The parameter `?reset` would take a
        # second.)
        mode = "doc" if simple else "lab"
        workspace = f"{mode}/workspaces/{secrets.token_hex(8)}"
        return f"{self.base}/{workspace}/tree/{path}?token={self.token}"


# The server's settings expose the application object, which contains the notebook panel.
_PANEL = (
    "(() => { const app = window.jupyterapp; if (!app) return null;"
    " const here = app.shell.currentWidget;"
    " if (here && here.content && here.sessionContext) return here;"
    " for (const one of app.shell.widgets('main'))"
    "   if (one.content && one.sessionContext) return one;"
    " return null; })()"
)


class LabBrowser:
    """A browser page that shows a Jupyter server, in the given Playwright browser or in a new one."""

    def __init__(
        self,
        server: LabServer,
        *,
        browser: object = None,
        viewport: tuple[int, int] = (1400, 1000),
        scale: float = 1,
        dark: bool = False,
        seconds: float = 30,
    ):
        self.server = server
        self.seconds = seconds
        self.viewport = viewport
        self.scale = scale
        self.dark = dark
        self.notebook = ""
        self._loaded = ""
        self.console: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self._browser = browser
        self._playwright = None

    def __enter__(self) -> LabBrowser:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> LabBrowser:
        """Open the page in the browser."""
        if self._browser is None:
            self._playwright, self._browser = start_chromium()
        self.context = self._browser.new_context(
            viewport={"width": self.viewport[0], "height": self.viewport[1]},
            device_scale_factor=self.scale,
            color_scheme="dark" if self.dark else "light",
        )
        self.page = self.context.new_page()
        self._listen()
        return self

    def stop(self) -> None:
        """Close the page in the browser."""
        self.context.close()
        if self._playwright is not None:
            self._browser.close()
            self._playwright.stop()

    def _listen(self) -> None:
        page = self.page
        page.set_default_timeout(self.seconds * 1000)
        page.on("console", lambda message: self.console.append((message.type, message.text)))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", lambda r: self.failed.append((r.url, r.failure or "failed")))
        page.on(
            "response",
            lambda r: r.status >= 400 and self.failed.append((r.url, str(r.status))),
        )

    # -- These methods open and run notebooks.
    def open_notebook(self, name: Path | str, *, simple: bool = True) -> None:
        """Open a notebook, and wait until it is displayed and its kernel is idle.

        The path is absolute, or relative to the server's folder. After ``shut_down``, the page still
        has the application loaded, which saves seconds.
        """
        name = Path(self.server.root, name).resolve().relative_to(self.server.root).as_posix()
        self.notebook = name
        mode = f"{self.server.app} {simple}"
        if self._loaded == mode and self.server.app == "lab":
            self.command("docmanager:open", path=name)
        else:
            self.page.goto(self.server.url(name, simple=simple), wait_until="domcontentloaded")
        self._loaded = mode
        if self.server.app == "voila":
            self.page.wait_for_selector(".lyncnb, .jp-OutputArea", state="visible")
            return
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="visible")
        dialog = self.page.locator(".jp-Dialog", has_text="Select Kernel")
        if dialog.count():
            dialog.locator("button.jp-mod-accept").first.click()
        self.wait_idle()

    def reload(self) -> None:
        """Reload the page. The kernel continues to run."""
        self.page.goto(self.server.url(self.notebook), wait_until="domcontentloaded")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="visible")

    def js(self, body: str, argument: object = None) -> object:
        """Run the body of a JavaScript function, which can use ``panel``, ``app``, and ``arg``."""
        return self.page.evaluate(
            "async (arg) => { const app = window.jupyterapp; const panel = "
            + _PANEL
            + "; "
            + body
            + " }",
            argument,
        )

    def command(self, name: str, **arguments: object) -> None:
        """Run a JupyterLab command by its id."""
        self.js("await app.commands.execute(arg[0], arg[1]);", [name, arguments])

    def run_all(self, *, wait: bool = True) -> None:
        """Choose Run > Run All Cells."""
        menu = self.page.locator(".lm-MenuBar-item", has_text=re.compile(r"^Run$"))
        if menu.count() and menu.first.is_visible():
            menu.first.click()
            self.page.locator(
                ".lm-Menu-item[data-command='runmenu:run-all'],"
                ".lm-Menu-item[data-command='notebook:run-all-cells']"
            ).first.click()
        else:
            # This JupyterLab command ends only after all cells have run, so the test does not wait
            # for the end of the command.
            self.js("app.commands.execute('notebook:run-all-cells');")
        if wait:
            self.wait_idle()

    def wait_idle(self, *, settle: float = 0.3) -> None:
        """Wait until no cell is queued and the kernel has been idle for `settle` seconds."""
        busy = self.page.evaluate(
            "async ([seconds, settle]) => { const find = () => "
            + _PANEL
            + """;
              const state = () => {
                const panel = find();
                if (!panel) return "no notebook";
                const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
                if (!kernel || kernel.connectionStatus !== "connected") return "no kernel";
                if (kernel.status !== "idle") return kernel.status;
                const waiting = [...panel.node.querySelectorAll(".jp-InputPrompt")]
                  .filter(e => e.textContent.includes("[*]")).length;
                return waiting ? waiting + " cells waiting" : "";
              };
              const start = performance.now();
              let busy, calm = start;
              do {
                if ((busy = state())) calm = performance.now();
                else if (performance.now() - calm >= settle * 1000) return "";
                await new Promise(resolve => setTimeout(resolve, 50));
              } while (performance.now() - start < seconds * 1000);
              return busy || "not idle for long enough"; }""",
            [self.seconds, settle],
        )
        if busy:
            raise TimeoutError(f"after {self.seconds} s: {busy}")

    def save(self) -> Path:
        """Save the document repeatedly until it has no unsaved changes.

        The static content of a panel may change while the document is saved.
        """
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.command("docmanager:save")
            if not self.js("return panel.context.model.dirty;"):
                return self.server.root / self.notebook
            time.sleep(0.2)
        raise TimeoutError(f"after {self.seconds} s {self.notebook} still has changes")

    def shut_kernel_down(self) -> None:
        """Shut down the notebook's kernel, because closing the page does not stop it."""
        self.js("await panel.sessionContext.shutdown();")

    def shut_down(self) -> None:
        """Shut down the kernel, close all documents without saving, and clear the list of errors."""
        self.shut_kernel_down()
        self.js("for (const one of [...app.shell.widgets('main')]) one.dispose();")
        # Also clear the browser's storage, because it keeps the table layout for the next notebook.
        self.page.evaluate(
            "for (const key of Object.keys(localStorage))"
            " if (key.startsWith('lyncnb')) localStorage.removeItem(key);"
        )
        for log in (self.console, self.faults, self.failed):
            log.clear()

    # -- The following methods use the panels and read their content.
    def button(self, name: str, *, exact: bool = True):
        """Find a button in the panel by its name."""
        return self.page.get_by_role("button", name=name, exact=exact).first

    def field(self, label: str, *, exact: bool = True):
        """Find a control in the panel by its label."""
        return self.page.get_by_label(label, exact=exact).first

    def tab(self, name: str):
        """Find a tab in the panel by the beginning of its title."""
        return self.page.get_by_role("tab", name=re.compile(f"^{re.escape(name)}")).first

    def wait_text(self, text: str, *, selector: str = ".lyncnb") -> None:
        """Wait until a text is visible in a panel."""
        self.page.locator(selector).filter(has_text=text).first.wait_for(state="visible")

    def cell_count(self) -> int:
        """Return the number of cells in the notebook."""
        return self.js("return panel.content.model.cells.length;")

    def cell_errors(self) -> list[tuple[str, str]]:
        """Return the tracebacks that the notebook shows."""
        return self.js(
            "const found = []; const cells = panel.content.model.cells;"
            "for (let i = 0; i < cells.length; i++)"
            " for (const o of (cells.get(i).toJSON().outputs || []))"
            "  if (o.output_type === 'error') found.push([o.ename, o.evalue]);"
            "return found;"
        )

    def screenshot(self, path: Path | str, *, selector: str = "") -> None:
        """Take a screenshot of the page, or of the first element that matches a selector."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if selector:
            self.page.locator(selector).first.screenshot(path=str(path))
        else:
            self.page.screenshot(path=str(path))

    def errors(self) -> list[tuple[str, str]]:
        """Return the exceptions, console errors, and failed requests that the browser reported."""
        errors = [("exception", text) for text in self.faults]
        errors += [("console", text) for kind, text in self.console if kind == "error"]
        errors += [("request", f"{reason} {url.split('?')[0]}") for url, reason in self.failed]
        skip = [re.compile(pattern) for pattern in BENIGN]
        return [(kind, text) for kind, text in errors if not any(p.search(text) for p in skip)]


@contextlib.contextmanager
def loop_of(browser):
    """Register the browser's event loop as the running loop of this thread within the ``with``
    block.

    Otherwise, Playwright leaves its loop registered between calls, and ``asyncio.run`` fails.
    """
    asyncio._set_running_loop(browser._loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


def start_chromium():
    """Start Playwright and the installed Chromium. The caller must close both."""
    from playwright.sync_api import expect, sync_playwright

    # The time limit for the start of a browser also applies to all other waits in the page.
    expect.set_options(timeout=60_000)
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS, headless=True
    )
    return playwright, browser
