"""Run the commands and the Python cells of documentation pages, in the order of each page.

``test_docs.py`` starts this file as a program, in one process for all pages, with the clock set to
``CLOCK``. Each page has its own folder, which contains a table and its options under the names of the
sample, ``contoso.csv`` and ``contoso.plan.toml``. The result is one JSON document.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

#: The documentation pages run on this date, so that their dates and findings do not change from day
#: to day.
CLOCK = "2026-11-24 12:00:00"
PASSPHRASE = "correct horse battery"
WIDTH = "90"

_FENCE = re.compile(
    r"(?P<notes>(?:^[ ]*<!-- [^\n]+ -->\n)*)"
    r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<source>.*?)^ *```$",
    re.M | re.S,
)
_NOTE = re.compile(r"<!-- (\w+): (.+?) -->")
#: Each entry contains a pattern for text that differs between runs or versions, and the text that
#: the pages show instead.
_RANDOM = (
    (re.compile(r"SHA256:[\w+/]{43}"), "SHA256:…"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "…"),
    (re.compile(r"\b(?:[0-9A-F]{40}|[0-9a-f]{39,40})\b"), "…"),
    (re.compile(r"(?<=-)[0-9a-f]{8}(?=\.cer)"), "…"),
    # The digest of a plan changes whenever a rule changes.
    (re.compile(r"(?<=SHA-256 )[0-9a-f]{12}(?=…)"), ""),
    (re.compile(r"\b(?:[0-9a-f]{4}-){7}[0-9a-f]{4}\b"), "…"),
    (re.compile(r"(?<=specify the token )[0-9a-f]{8}"), "…"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:…"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block of a page: its type, its source, and the notes above it."""

    kind: str
    source: str
    notes: tuple[tuple[str, str], ...]
    span: tuple[int, int]
    indent: str

    def note(self, name: str) -> str:
        """Return the value of a note, or "" if the block has no such note."""
        return dict(self.notes).get(name, "")


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the fenced code blocks of a page, each with the position of its source in the text."""
    for match in _FENCE.finditer(page):
        indent = match["indent"]
        lines = match["source"].splitlines(keepends=True)
        yield Block(
            kind=match["kind"],
            source="".join(line.removeprefix(indent) for line in lines),
            notes=tuple(_NOTE.findall(match["notes"])),
            span=match.span("source"),
            indent=indent,
        )


def without_random_text(text: str) -> str:
    """Return an output without the text that differs between runs, and without trailing spaces."""
    for pattern, replacement in _RANDOM:
        text = pattern.sub(replacement, text)
    return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())


class Page:
    """A documentation page whose blocks run in the current folder."""

    def __init__(self, servers: contextlib.ExitStack) -> None:
        self._servers = servers
        self._names: dict[str, object] = {}
        self._meanwhile: dict[str, Callable[[], object]] = {
            "the requests are written": self._request,
            "the certificates are installed": self._install,
            "the CA issues certificates": self._answer,
            "the CAs issue all certificates": self._answer_correctly,
            "Alice has an SSH key": self._make_ssh_key,
            "Alice signs the plan": self._sign,
            "the servers are running": self._start_servers,
            "the CA announces a revocation": self._announce,
        }

    def run(self, block: Block) -> tuple[int, str] | None:
        """Run a code block, and return its exit status and output, or None if the block has nothing
        to run.
        """
        for name, value in block.notes:
            if name == "date":
                os.environ["FAKETIME"] = f"@{value} 12:00:00"
            elif name == "meanwhile":
                self._meanwhile[value]()
        if block.note("file"):
            Path(block.note("file")).write_text(block.source, "utf-8")
            return None
        if block.kind == "sh":
            return self._commands(block.source)
        return self._cell(block.source) if block.kind == "python" else None

    def _commands(self, source: str) -> tuple[int, str]:
        from lyncnb.cli import main

        status, output = 0, io.StringIO()
        for line in source.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                if words[:1] == ["lyncnb"]:
                    status = max(status, main(words[1:]))
                elif words:
                    result = subprocess.run(words, capture_output=True, text=True, check=False)
                    output.write(result.stdout + result.stderr)
                    status = max(status, result.returncode)
        return status, output.getvalue()

    def _cell(self, source: str) -> tuple[int, str]:
        tree, output = ast.parse(source), io.StringIO()
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(output):
            exec(compile(tree, "<page>", "exec"), self._names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<page>", "eval"), self._names)
                print("" if value is None else repr(value))
        return 0, output.getvalue()

    def _request(self) -> None:
        self._setup("lyncnb request contoso.csv requests --options contoso.plan.toml")

    def _install(self) -> None:
        """Write the requests, and record that the certificates are issued and installed."""
        self._request()
        self._answer()  # The first response of the demonstration CA contains intentional mistakes.
        self._setup(
            f"lyncnb receive requests {max(Path('answers').glob('*.cer'))} answers/root.pem"
        )
        self._answer()
        self._setup(
            "lyncnb receive requests answers\nlyncnb pfx requests\nlyncnb deployed requests"
        )

    def _setup(self, commands: str) -> None:
        """Run commands that the page does not show."""
        status, output = self._commands(commands)
        assert status == 0, output

    def _answer(self) -> None:
        import lyncnb as ln

        shutil.rmtree("answers", ignore_errors=True)
        ln.demo.answer(ln.open_requests("requests"), "answers")

    def _answer_correctly(self) -> None:
        """Issue all certificates without mistakes, and save them in the folder ``returned``."""
        from datetime import UTC, datetime

        from cas.python_ca import PythonCa, pem
        from folders import issue_all

        import lyncnb as ln

        authority, folder = PythonCa(), Path("returned")
        folder.mkdir()
        bundle = ln.open_requests("requests")
        for name, certificate in issue_all(bundle, authority, begins=datetime.now(UTC)).items():
            (folder / f"{name}.cer").write_bytes(pem(certificate))
        (folder / "chain.pem").write_bytes(pem(*authority.chain))

    def _make_ssh_key(self) -> None:
        """Create the SSH key ``alice-key`` and the file ``signers``, which lists the people who may
        approve a plan.
        """
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "alice-key"], check=True
        )
        public = Path("alice-key.pub").read_text("ascii")
        Path("signers").write_text(f'alice@contoso.com namespaces="lyncnb-plan" {public}', "ascii")

    def _sign(self) -> None:
        """Sign ``plan.json`` in the same way as an approver who has read the digest in a terminal."""
        import lyncnb as ln

        digest = ln.read_saved_plan("plan.json").sha256
        self._setup(f"lyncnb approve plan.json --key alice-key --confirm {digest}")

    def _announce(self) -> None:
        """Write the mail of a public CA that will revoke all certificates that it issued."""
        import lyncnb as ln

        records = ln.open_requests("requests").requests
        serials = [r.issued.serial for r in records if r.plan.issuer == "public"]
        text = "We must revoke these certificates:\n"
        Path("mail.txt").write_text(text + "\n".join(f"- {serial}" for serial in serials), "ascii")

    def _start_servers(self) -> None:
        """Run servers for the ports of the sample plan. The certificate of the Director lacks a
        planned name.

        ``hosts.txt`` contains the addresses of the servers, and ``root.pem`` is the root of their
        certificates.
        """
        from cas.python_ca import pem
        from installed_certificates import authority
        from live_servers import certificate_for, run_live_servers, show_as_planned

        import lyncnb as ln

        def show(target, planned):
            correct = show_as_planned(target, planned)
            if planned.role != "Director":
                return correct
            return [certificate_for(planned, san=planned.names[:-1]), *correct[1:]]

        options = ln.PlanOptions.beside("contoso.csv")
        plan = ln.plan_certificates(
            ln.read_topology("contoso.csv"), ln.load_rules(), options=options
        )
        self._servers.enter_context(run_live_servers(plan, Path(), show=show))
        Path("root.pem").write_bytes(pem(authority().root))


def run_page(text: str) -> list[tuple[int, str] | None]:
    """Run the commands and cells of a documentation page in the current folder."""
    with contextlib.ExitStack() as servers:
        page = Page(servers)
        return [page.run(block) for block in blocks_of(text)]


def main(table: str, *names: str) -> None:
    """Run the code on each documentation page in a subfolder of the current folder, and print the
    results as JSON. ``table`` is the path of a table without its suffix.
    """
    import pandas as pd
    from folders import quick_keys

    pd.set_option("display.width", int(WIDTH), "display.max_columns", 20)
    top, results = Path.cwd(), {}
    with quick_keys():
        for name in names:
            os.environ["FAKETIME"] = f"@{CLOCK}"
            folder = top / Path(name).stem
            folder.mkdir()
            for suffix in (".csv", ".plan.toml"):
                shutil.copy(table + suffix, folder / f"contoso{suffix}")
            with contextlib.chdir(folder):
                results[name] = run_page(Path(name).read_text("utf-8"))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
