"""Write the order page and the sheets as HTML, and all of them as one checklist in Markdown.

Sheets show exactly the commands of the scripts, because both come from the same steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..base.disk import outputs
from ..base.disk.file_names import build_file_name
from ..base.shown.html_page import render_template
from ..base.shown.languages import LANGUAGES, get_html_language, make_translator, translate_title
from ..base.shown.tables import escape_markdown, format_count, join_first_texts
from ..pki.certificates import Certificate, format_name
from ..rules.procedure import Cmdlet, Stage
from .fill_steps import get_ca_store
from .powershell import quote_literal
from .server_script import build_script
from .server_steps import DeploymentSteps, MissingPackage, ServerPackage, ServerStep, ServerSteps
from .sheets import Block, Row, Say, Sheet, list_notes, list_sheets, shorten_names

IMPORT_AND_ASSIGN = ": import and assign"


def translate_title_end(title: str, suffix: str = "") -> tuple[bytes, ...]:
    """Return the end of a page's title in each language, followed by a suffix."""
    return tuple(f"{translate_title(title, lang)}{suffix}".encode() for lang in LANGUAGES)


WHEN_TO_USE = (
    "Use this page to lead the change: it says who does what, and in which order.",
    (
        "Do not use it at a server, where the sheets lead, or after a certificate was renewed: "
        "then write the steps again."
    ),
)

#: The kind of document that :func:`write_steps` writes if the output is a single file.
CHECKLIST = outputs.OutputKind(
    what="a checklist",
    is_ours={
        ".md": outputs.match_first_line(b"# ", translate_title_end(IMPORT_AND_ASSIGN)),
        ".html": outputs.match_page(translate_title_end(IMPORT_AND_ASSIGN, "</title>")),
    },
)

# The name of each case, and what to do first where the case is wrong.
_CASES = {
    "new": ("NEW SERVER", ("For a server that has never worked. If users are signed in, or if a "
            "certificate is in use that this sheet does not name: STOP, and ask for the renewal "
            "sheet.")),
    "join": ("NEW SERVER in a running deployment", ("For a server that has never worked. If a "
             "certificate is in use that this sheet does not name: STOP. OAuthTokenIssuer may show "
             "the certificate of the deployment.")),
    "renew": ("RENEWAL, servers in use", ("If a server shows neither the old nor the new "
              "thumbprint: STOP.")),
    "request": ("", ""),
}  # fmt: skip
# The servers of other products may have worked for years before they get such a certificate.
_FIRST_CERTIFICATE = (
    "If the server already has another certificate for this purpose: STOP, and ask for the renewal "
    "sheet."
)
# The minutes for a server, and the sentence about them.
_NEW = ("20", "{} minutes a server. Clients that are disconnected: none.")
_TIMES = {
    "new": _NEW,
    "join": _NEW,
    "renew": ("70-130", ("{} minutes a server: 10 by day, then at night as long as calls last, 10 "
              "of work, 20 of waiting.")),
    "request": ("", ""),
}  # fmt: skip


#: The name of the script in the folder of its server.
SCRIPT = "install.ps1"

#: What lyncnb assumes if nothing is recorded.
ASSUMPTION = (
    "Nothing is recorded as deployed, so every server counts as new. If servers are in use, set "
    "[servers] in plan.toml."
)

# The largest number of certificates to list if they lack a package for the same reason.
_NAMED = 3


def describe_case(page: ServerSteps) -> tuple[str, str]:
    """Return the name of the case of a server, and when the sheet is the wrong one."""
    if page.case in ("new", "join") and "services" not in page.facts:
        return "FIRST CERTIFICATE", _FIRST_CERTIFICATE
    return _CASES[page.case]


def find_times(page: ServerSteps) -> tuple[str, str]:
    """Return the minutes for a server, and a sentence. Without services, nothing is drained."""
    minutes, sentence = _TIMES[
        page.case if "services" in page.facts or page.case == "request" else "new"
    ]
    return minutes, sentence.format(minutes)


def describe_servers(steps: DeploymentSteps, translate: Say) -> str:
    """Return the number of servers, and what has no package."""
    servers = format_count(len(steps.servers), "server")
    return translate("; ").join(map(translate, (servers, *steps.describe_gaps())))


def build_bring_block(pages: Sequence[ServerSteps]) -> Block:
    """Return the block that closes the folder and compares the script of a server with its SHA-256.

    Sources: Microsoft, about_Execution_Policies; Microsoft, Unblock-File; Microsoft, icacls.
    """
    first = pages[0]
    name = first.folder + "\\" + find_script_name(first)
    digests = ",".join(quote_literal(hash_script(page)) for page in pages)
    # Only Administrators and SYSTEM: without this, users who sign in can change a new folder of the
    # disk, and with it the script or its record.
    grants = "'*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F'"
    return Block(
        commands=(
            f"icacls {first.folder} /inheritance:r /grant {grants} | Out-Null",
            (f"if ({digests} -contains ((certutil -hashfile {name} SHA256) -replace ' ')[1]) "
             f"{{ Unblock-File {first.folder}\\*.ps1; 'True' }} else {{ 'STOP' }}"),
        )
    )  # fmt: skip


def hash_script(page: ServerSteps) -> str:
    """Return the SHA-256 of the script for a page."""
    return hashlib.sha256(build_script(page)).hexdigest()


def find_script_name(server: ServerSteps) -> str:
    """Return the name of a script on the computer that runs it."""
    return build_file_name(server.stem, ".ps1") if server.anywhere else SCRIPT


def build_script_name(server: ServerSteps) -> str:
    """Return the file of the script that runs the steps of a page, in the folder ``steps``."""
    if server.anywhere:
        return find_script_name(server)
    return f"{build_file_name(server.stem, '')}/{find_script_name(server)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """A row of the order page: who does what, after which rows, and for which servers."""

    number: str
    who: str
    what: str
    after: tuple[str, ...]
    minutes: str
    servers: tuple[str, ...]
    stage: Stage


def find_role_position(steps: DeploymentSteps, role: str) -> int:
    """Return the position of a role in the deployment order. Unknown roles come last."""
    order = steps.procedure.order
    positions = [number for number, stage in enumerate(order) if role in stage.roles]
    return positions[0] if positions else len(order)


def order_servers(steps: DeploymentSteps) -> DeploymentSteps:
    """Return the steps with the servers in the order in which the change reaches them."""
    ordered = sorted(steps.servers, key=lambda server: find_role_position(steps, server.role))
    return replace(steps, servers=tuple(ordered))


def _list_oauth_servers(sheet: Sheet) -> list[str]:
    """Return the server of a new pool that assigns the certificate of the deployment."""
    return [
        page.server
        for page in sheet.pages
        if page.case == "new" and any(p.shared_by == "deployment" for p in page.packages)
    ]


class _Order:
    """Collect the rows of the order page, numbered, each with the rows that come first."""

    def __init__(self, steps: DeploymentSteps, translate: Say):
        self.steps = steps
        self.translate = translate
        self.rows: list[OrderRow] = []
        self.numbers: dict[str, list[str]] = {}
        self.first_rows: list[str] = []
        self.pools: dict[str, list[str]] = {}

    def add(
        self, stage: Stage, what: str, after: Iterable[str], servers: Sequence[str], each: str = ""
    ) -> str:
        """Add a row, and return its number. ``each`` contains the minutes for a server."""
        number = str(len(self.rows) + 1)
        self.numbers.setdefault(stage.id, []).append(number)
        row = OrderRow(
            number=number,
            who=self.translate(stage.who),
            what=what,
            after=tuple(sorted({*after}, key=int)),
            minutes=f"{len(servers)} × {each}" if each else str(stage.minutes or ""),
            servers=tuple(servers),
            stage=stage,
        )
        self.rows.append(row)
        return number

    def add_stage(self, stage: Stage, sheets: Iterable[Sheet]) -> None:
        """Add the rows of a stage: for each pool, or one for the deployment."""
        after = [n for name in stage.after for n in self.numbers.get(name, ())]
        if stage.roles:
            own = [s for s in sheets if s.first.role in stage.roles and not s.first.trust_only]
            # The pool that assigns the certificate of the deployment comes first.
            # So does the first pool of a pair.
            own.sort(key=lambda s: (not _list_oauth_servers(s), "pair-second" in s.first.facts))
            for sheet in own:
                backup = self.pools.get(sheet.first.backup_pool, ())
                paired = backup if "pair-second" in sheet.first.facts else ()
                self.add_sheet(stage, sheet, [*after, *self.first_rows, *paired])
            return
        servers = self.steps.servers
        trusts = any("new-ca" in server.facts or server.trust_only for server in servers)
        cases = {server.case for server in servers}
        if (trusts or "new-ca" not in stage.when) and (not stage.cases or cases & {*stage.cases}):
            self.add(stage, self.translate(stage.title), after, self._list_trusting(stage))

    def _list_trusting(self, stage: Stage) -> list[str]:
        servers = self.steps.servers if stage.cases else ()
        return [s.server for s in servers if "new-ca" in s.facts or s.trust_only]

    def add_sheet(self, stage: Stage, sheet: Sheet, after: list[str]) -> None:
        """Add the rows of a pool. The server that assigns the deployment's certificate is first."""
        names = [page.server for page in sheet.pages]
        assigns = _list_oauth_servers(sheet)
        translate = self.translate
        each, _ = find_times(sheet.first)
        if not assigns or len(names) == 1:
            what = translate("{}: sheet {}").format(", ".join(names), sheet.name)
            number = self.add(stage, what, after, names, each)
            self.pools.setdefault(sheet.first.pool, []).append(number)
            self.first_rows = [number] if assigns else self.first_rows
            return
        only_first = translate("{}: sheet {}, without the start").format(assigns[0], sheet.name)
        self.first_rows = [self.add(stage, only_first, after, assigns, each)]
        others = [name for name in names if name not in assigns]
        what = translate("{}: only now Step 1 of the wizard; sheet {}, without the start")
        what = what.format(", ".join(others), sheet.name)
        second = self.add(stage, what, self.first_rows, others, each)
        del self.numbers[stage.id][-2:]
        together = translate("Start {} within 5 minutes").format(", ".join(names))
        self.add(stage, together, [second], names)


def list_order(steps: DeploymentSteps, sheets: Sequence[Sheet], translate: Say) -> list[OrderRow]:
    """Return the rows of the order page, numbered, each with the rows that come first."""
    order = _Order(steps, translate)
    for stage in steps.procedure.order:
        order.add_stage(stage, sheets)
    return order.rows


def list_shared_steps(steps: DeploymentSteps, translate: Say) -> list[tuple[str, ServerStep]]:
    """Return the steps done once for the deployment or by another team, with their servers."""
    found: dict[tuple[str, str, tuple[str, ...]], tuple[ServerStep, list[str]]] = {}
    for page in steps.servers:
        for step in (*page.steps, *page.later):
            if step.step.unit in ("deployment", "outside"):
                title = step.title.replace(page.server, "{}")
                commands = tuple(c.replace(page.server, "{}") for c in step.commands)
                kept = step if step.title == title else replace(step, title=title)
                entry = found.setdefault((step.step.id, title, commands), (kept, []))
                entry[1].append(page.server)
    rows = []
    for step, servers in found.values():
        names = ", ".join(dict.fromkeys(servers))
        whole = (
            translate(step.title).replace("{}", names)
            if "{}" in step.title
            else translate(step.title)
        )
        rows.append((names, replace(step, title=whole)))
    return rows


def format_validity(package: ServerPackage, translate: Say) -> str:
    """Describe the validity of a certificate. The end includes the time of day."""
    begin, end = f"{package.not_before:%Y-%m-%d}", f"{package.not_after:%Y-%m-%d %H:%M} UTC"
    return translate("{} to {}").format(begin, end)


def format_package_number(package: ServerPackage, translate: Say) -> str:
    """Return the number that a certificate has in every document of the folder, or ""."""
    return translate("No. {}: ").format(package.number) if package.number else ""


def list_documented_commands(steps: DeploymentSteps) -> tuple[Cmdlet, ...]:
    """Return the documented commands that appear in the steps."""
    texts = [
        text
        for server in steps.pages
        for step in server.every_step
        for text in (*step.commands, *(check.command for check in step.checks))
    ]
    return tuple(c for c in steps.procedure.cmdlets if any(c.name in text for text in texts))


def list_new_cas(steps: DeploymentSteps) -> tuple[Certificate, ...]:
    """Return the CA certificates that servers do not trust yet."""
    trusting = [s for s in steps.servers if "new-ca" in s.facts or s.trust_only]
    return tuple({i.sha256: i for server in trusting for i in server.issuers}.values())


def list_packages(sheet: Sheet) -> list[tuple[ServerPackage, tuple[str, ...]]]:
    """Return each package of a sheet with its servers."""
    servers: dict[str, list[str]] = {}
    packages: dict[str, ServerPackage] = {}
    for page in sheet.pages:
        for package in page.packages:
            packages[package.id] = package
            servers.setdefault(package.id, []).append(page.server)
    return [(package, tuple(servers[name])) for name, package in packages.items()]


def find_old_serial(package: ServerPackage) -> str:
    """Return the serial number of a replaced certificate that the CA may revoke, or ""."""
    return "" if package.rolls else package.superseded.partition(" of ")[0]


def describe_roll_over(sheet: Sheet, translate: Say) -> list[str]:
    """Return a sentence for each certificate that takes effect at a set time.

    A server that joins a pool during a rollover has the new certificate from the start.
    """
    is_joining = sheet.first.case == "join"
    sentences = []
    for package, _ in list_packages(sheet):
        for call in package.calls:
            sentence = "{} takes effect at {}; the last possible time is {}."
            if call.effective == call.latest or call.latest is None:
                sentence = "{} takes effect at {}."
            if is_joining:
                sentence = "{} differs on the other servers until {}. Do not start before."
            if call.effective:
                words = ", ".join(call.usages), call.effective_words, call.latest_words
                sentences.append(translate(sentence).format(*words))
    return sentences


def list_effects(sheet: Sheet, translate: Say) -> str:
    """Return the sentences about the users who are disconnected."""
    effects = dict.fromkeys(s.step.effect for page in sheet.pages for s in page.steps)
    return " ".join(map(translate, filter(None, effects)))


def group_missing_packages(
    missing_packages: Sequence[MissingPackage], translate: Say
) -> tuple[MissingPackage, ...]:
    """Return each reason for missing packages once, with the number of requests."""
    requests: dict[str, list[str]] = {}
    for package in missing_packages:
        requests.setdefault(package.why, []).append(package.request)
    return tuple(
        MissingPackage(
            request=names[0]
            if len(names) == 1
            else translate("{} certificates ({})").format(
                f"{len(names):,}", join_first_texts(names, _NAMED)
            ),
            why=translate(reason),
        )
        for reason, names in requests.items()
    )


def list_all_sheets(steps: DeploymentSteps) -> list[Sheet]:
    """Return the sheets of the steps in the order of the change."""
    return list_sheets(order_servers(steps), build_bring_block)


def to_markdown(steps: DeploymentSteps) -> str:
    """Return the order page and all sheets as Markdown, with a box for each row."""
    translate = make_translator(steps.lang)
    sheets = list_all_sheets(steps)
    lines = [f"# {escape_markdown(steps.title)}{translate(IMPORT_AND_ASSIGN)}", ""]
    lines += (
        [f"{escape_markdown(steps.origin.one_line_text)}\n"] if steps.origin.one_line_text else []
    )
    lines += [escape_markdown(describe_servers(steps, translate)), ""]
    lines += [steps.parts, ""] if steps.parts else []
    lines += _format_missing_packages(steps, translate)
    if steps.unit == "server":
        lines += _format_order(steps, sheets, translate)
    for sheet in sheets:
        lines += _format_sheet(sheet, translate)
    return "\n".join(lines) + "\n"


def _format_missing_packages(steps: DeploymentSteps, translate: Say) -> list[str]:
    """Return a line for each reason why requests have no package or need no package."""
    kinds = (("Not packaged", steps.missing), ("Not requested", steps.covered))
    return [
        f"- **{translate(kind)}**{translate(': ')}{escape_markdown(package.request)}"
        f"{translate(': ')}{escape_markdown(package.why)}"
        for kind, gaps in kinds
        for package in group_missing_packages(gaps, translate)
    ]


def _format_order(steps: DeploymentSteps, sheets: Sequence[Sheet], translate: Say) -> list[str]:
    lines = ["", f"## {translate('Who does what, and when')}", ""]
    lines += [*(f"- {translate(line)}" for line in WHEN_TO_USE), ""]
    for row in list_order(steps, sheets, translate):
        after = translate(" (after {})").format(", ".join(row.after)) if row.after else ""
        lines.append(
            f"- [ ] **{row.number}. {escape_markdown(row.who)}**{after}: "
            f"{escape_markdown(row.what)} ({translate('by: ____')})"
        )
    for servers, step in list_shared_steps(steps, translate):
        person = (
            translate("If yes: {}").format(translate(step.step.person)) if step.step.person else ""
        )
        lines += [
            f"- [ ] {escape_markdown(person)} {escape_markdown(step.title)} "
            f"({escape_markdown(servers)}; {translate('by: ____')})".replace("]  ", "] ")
        ]
        lines += _format_commands(step.commands)
    if issuers := list_new_cas(steps):
        lines += ["", f"{translate('CA certificates to trust')}{translate(': ').rstrip()}", ""]
        lines += [
            f"- {escape_markdown(format_name(issuer.subject))}"
            f" ({get_ca_store(issuer)}, SHA-256 `{issuer.sha256}`)"
            for issuer in issuers
        ]
    return lines


def _format_sheet(sheet: Sheet, translate: Say) -> list[str]:
    first = sheet.first
    case, stop = describe_case(first)
    names = f" ({escape_markdown(shorten_names(page.server for page in sheet.pages))})"
    title = translate(", ").join(filter(None, (translate(first.title), translate(case))))
    lines = [
        "",
        (
            f"## {escape_markdown(sheet.name)}{names if len(sheet.pages) > 1 else ''}"
            f"{translate(': ')}{escape_markdown(title)}"
        ),
        "",
    ]
    lines += [f"**{translate(stop)}**", ""] if stop else []
    for package, servers in list_packages(sheet):
        purpose = escape_markdown(", ".join(package.usages) or translate(first.title))
        text = translate("Package `{}` for {}, thumbprint `{}`, valid {}").format(
            package.file, purpose, package.thumbprint, format_validity(package, translate)
        )
        old = translate("; in use now: `{}`").format(package.old) if package.old else ""
        old += f" ({find_old_serial(package)})" if find_old_serial(package) else ""
        where = f" ({shorten_names(servers)})" if len(servers) < len(sheet.pages) else ""
        lines.append(f"- {format_package_number(package, translate)}{text}{old}{where}")
    lines += [f"- {text}" for text in describe_roll_over(sheet, translate)]
    for section in sheet.sections:
        lines += ["", f"### {translate(section.heading)}", ""]
        for row in section.rows:
            lines += _format_row(row, translate)
    return lines


def _format_row(row: Row, translate: Say) -> list[str]:
    person = translate("If yes: {}").format(translate(row.person)) + " " if row.person else ""
    person += f"{shorten_names(row.servers)}{translate(': ')}" if row.servers else ""
    lines = [
        (
            f"- [ ] **{row.number}** {escape_markdown(person + translate(row.title))} "
            f"→ {escape_markdown(translate(row.expected))}"
        )
    ]
    lines[0] += "" if row.blocks else f" ({translate('by: ____')})"
    for block in row.blocks:
        lead = " ".join(filter(None, (shorten_names(block.servers), translate(block.lead))))
        lines += ["", f"  {escape_markdown(lead)}"] if lead else []
        lines += _format_commands(block.commands)
    return lines


def _format_commands(commands: Sequence[str]) -> list[str]:
    if not commands:
        return []
    return ["", "  ```powershell", *(f"  {command}" for command in commands), "  ```", ""]


def to_html(steps: DeploymentSteps, *, title: str = IMPORT_AND_ASSIGN) -> str:
    """Return the order page and all sheets as one self-contained page."""
    sheets = list_all_sheets(steps)
    return _render(steps, sheets, title=title, has_order=steps.unit == "server")


def build_pages(steps: DeploymentSteps) -> dict[str, str]:
    """Return the order page and a page for each sheet, by file name."""
    sheets = list_all_sheets(steps)
    pages = {
        build_file_name(sheet.stem, ".html"): _render(_select_gaps(steps, sheet), [sheet])
        for sheet in sheets
    }
    return {"order.html": _render(steps, [], order_of=sheets, has_order=True)} | pages


def _select_gaps(steps: DeploymentSteps, sheet: Sheet) -> DeploymentSteps:
    """Return the steps with only the missing packages of the servers on a sheet."""
    servers = {page.server for page in sheet.pages}
    missing, covered = (
        tuple(package for package in gaps if servers & {*package.servers})
        for gaps in (steps.missing, steps.covered)
    )
    return replace(steps, missing=missing, covered=covered)


def _render(
    steps: DeploymentSteps,
    sheets: Sequence[Sheet],
    *,
    title: str = IMPORT_AND_ASSIGN,
    has_order: bool = False,
    order_of: Sequence[Sheet] = (),
) -> str:
    translate = make_translator(steps.lang)
    ordered = order_of or sheets
    return render_template(
        "deploy/checklist.html.j2",
        say=translate,
        page_language=get_html_language(steps.lang),
        title=f"{steps.title}{translate(title)}",
        steps=steps,
        sheets=sheets,
        all_sheets=ordered,
        order=list_order(steps, ordered, translate) if has_order else [],
        shared=list_shared_steps(steps, translate) if has_order else [],
        issuers=list_new_cas(steps) if has_order else (),
        assumption=ASSUMPTION,
        when_to_use=WHEN_TO_USE,
        case_of=describe_case,
        times_of=find_times,
        summary=describe_servers(steps, translate),
        packages_of=list_packages,
        rolls_of=partial(describe_roll_over, translate=translate),
        effects_of=partial(list_effects, translate=translate),
        short=shorten_names,
        notes=list_notes(sheets),
        store_of=get_ca_store,
        format_name=format_name,
        cmdlets=list_documented_commands(steps),
        together=partial(group_missing_packages, translate=translate),
        running=steps.origin.one_line_text,
        hash_of=hash_script,
        file_of=lambda sheet: build_file_name(sheet.stem, ".html"),
        valid_of=partial(format_validity, translate=translate),
        serial_of=find_old_serial,
        number_of=partial(format_package_number, translate=translate),
    )
