"""Write the checklist as HTML with a sheet for each server, or as Markdown.

The checklist shows exactly the commands of the script, because both come from the same steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..base.disk import outputs
from ..base.disk.file_names import build_file_name
from ..base.shown.html_page import render_template
from ..base.shown.languages import LANGUAGES, get_html_language, make_translator, translate_title
from ..base.shown.tables import escape_markdown, format_source, join_first_texts
from ..pki.certificates import Certificate, format_name
from ..rules.procedure import Cmdlet, Stage
from .fill_steps import get_ca_store
from .powershell import quote_literal
from .server_script import build_import_script
from .server_steps import DeploymentSteps, MissingPackage, ServerPackage, ServerStep, ServerSteps
from .sheets import ONCE, Item, Line, Say, list_common_items, list_notes, list_parts

IMPORT_AND_ASSIGN = ": import and assign"


def translate_title_end(title: str, suffix: str = "") -> tuple[bytes, ...]:
    """Return the end of a page's title in each language, followed by a suffix."""
    return tuple(f"{translate_title(title, lang)}{suffix}".encode() for lang in LANGUAGES)


#: The kind of document that :func:`write_steps` writes if the output is a single file.
CHECKLIST = outputs.OutputKind(
    what="a checklist",
    is_ours={
        ".md": outputs.match_first_line(b"# ", translate_title_end(IMPORT_AND_ASSIGN)),
        ".html": outputs.match_page(translate_title_end(IMPORT_AND_ASSIGN, "</title>")),
    },
)

# The text about the script, which appears once on each page.
_SCRIPT = (
    "A script runs the steps that have commands. If a check fails, the script stops and shows "
    "what to do. First run the script with -WhatIf: the script then changes nothing and "
    "prints one line for each step. With -Verify, the script changes nothing and prints "
    "the results of the checks, with the failed checks first. With -Verify -Report "
    "FILE, the script also records which certificates the server uses. To import this "
    "record, run: lyncnb deployed FOLDER --report FILE."
)
_START = (
    "The first command shows the SHA-256 of the script. Compare this value with the value on "
    "the sheet. The second command unblocks the script if Windows marked it as downloaded from "
    "the internet. If a Group Policy allows only signed scripts, ask your organization to sign "
    "the script first."
)


# The largest number of certificates to list if they lack a package for the same reason.
_NAMED = 3


def build_start_commands(server: ServerSteps) -> tuple[str, tuple[str, ...]]:
    """Return the SHA-256 of the script for a page, and the commands that start the script.

    Sources: Microsoft, about_Execution_Policies; Microsoft, Unblock-File.
    """
    path = quote_literal("\\".join((server.folder, build_script_name(server))))
    digest = hashlib.sha256(build_import_script(server)).hexdigest()
    # Some commands exist only in the product's own shell, which loads them.
    new_shell = f"powershell.exe -NoProfile -ExecutionPolicy RemoteSigned -File {path} -WhatIf"
    needs_shell = server.shell is not None and server.shell.commands and not server.shell.modules
    start = f"& {path} -WhatIf" if needs_shell else new_shell
    return digest, (
        f"certutil -hashfile {path} SHA256",
        f"Unblock-File -LiteralPath {path}",
        start,
    )


def find_role_position(steps: DeploymentSteps, role: str) -> int:
    """Return the position of a role in the deployment order. Unknown roles come last."""
    positions = [number for number, stage in enumerate(steps.order) if role in stage.roles]
    return positions[0] if positions else len(steps.order)


def order_servers(steps: DeploymentSteps) -> DeploymentSteps:
    """Return the steps with the servers in the order in which the change reaches them."""
    ordered = sorted(steps.servers, key=lambda server: find_role_position(steps, server.role))
    return replace(steps, servers=tuple(ordered))


def list_evening(steps: DeploymentSteps) -> list[tuple[Stage, list[ServerSteps]]]:
    """Return each stage of the change that has servers, in order, with its servers."""
    stages = [
        (
            stage,
            [
                server
                for server in steps.servers
                if not stage.roles
                or (find_role_position(steps, server.role) == number and not server.trust_only)
            ],
        )
        for number, stage in enumerate(steps.order)
    ]
    return [(stage, servers) for stage, servers in stages if servers]


def build_script_name(server: ServerSteps) -> str:
    """Return the file name of the script that runs the steps of a page."""
    return build_file_name(server.stem, ".ps1")


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
    return tuple(c for c in steps.cmdlets if any(c.name in text for text in texts))


def list_new_cas(steps: DeploymentSteps) -> tuple[tuple[Certificate, int], ...]:
    """Return the CA certificates that servers must trust, each with its number of servers."""
    servers: dict[str, int] = {}
    issuers: dict[str, Certificate] = {}
    for server in steps.servers:
        for issuer in server.issuers:
            issuers[issuer.sha256] = issuer
            servers[issuer.sha256] = servers.get(issuer.sha256, 0) + 1
    return tuple((issuer, servers[sha256]) for sha256, issuer in issuers.items())


def to_markdown(steps: DeploymentSteps) -> str:
    """Return the checklist as Markdown, with a section for each server and a box for each item."""
    steps = order_servers(steps)
    translate = make_translator(steps.lang)
    lines = [f"# {escape_markdown(steps.title)}{translate(IMPORT_AND_ASSIGN)}", ""]
    lines += (
        [f"{escape_markdown(steps.origin.one_line_text)}\n"] if steps.origin.one_line_text else []
    )
    lines += [escape_markdown(steps.summary(translate)), ""]
    lines += [steps.parts, ""] if steps.parts else []
    lines += _format_missing_packages(steps, translate)
    if once := list_common_items(steps, translate):
        lines += ["", f"## {translate('Once for all servers')}", ""]
        for common_item in once:
            title = f"- [ ] **{common_item.step.number}. {escape_markdown(common_item.title)}**"
            lines += [f"{title} ({escape_markdown(translate(', ').join(common_item.roles))})  ", ""]
            lines += _format_step(common_item.step)
            lines += [
                f"  {translate('Expected result: ')}{escape_markdown(common_item.expected)}",
                "",
            ]
    if len(steps.pages) > 1:
        lines += _format_evening(steps, translate)
    for server in steps.pages:
        lines += _format_server(steps, server, translate)
    lines += ["", f"## {translate('Notes: how, why, and sources')}", "", f"{_SCRIPT} {_START}"]
    for note in list_notes(steps, translate):
        wizard = f" Wizard: {note.wizard}" if note.wizard else ""
        lines += ["", f"**{escape_markdown(note.title)}**: {escape_markdown(note.text + wizard)}  "]
        lines += [f"{translate('Source')}{translate(': ')}{format_source(note.source)}"]
    lines += ["", f"## {translate('Where each command is documented')}", ""]
    for cmdlet in list_documented_commands(steps):
        names = " ".join((cmdlet.name, *cmdlet.parameters))
        lines.append(f"- `{names}`{translate(': ')}{format_source(cmdlet.source)}")
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


def _format_evening(steps: DeploymentSteps, translate: Say) -> list[str]:
    """Return the stages of the change, each with a box for each server."""
    lines = ["", f"## {translate('The order of one evening')}"]
    for number, (stage, servers) in enumerate(list_evening(steps), 1):
        title = escape_markdown(translate(stage.title))
        lines += ["", f"### {number}. {title}", "", escape_markdown(translate(stage.text)), ""]
        issuers = () if stage.roles else list_new_cas(steps)
        if issuers:
            text = (
                "CA certificates to trust. Compare each SHA-256 with the value that the CA "
                "publishes"
            )
            lines += [f"{translate(text)}{translate(': ').rstrip()}", ""]
            lines += [
                f"- {escape_markdown(format_name(issuer.subject))}"
                f" ({get_ca_store(issuer)}, SHA-256 `{issuer.sha256}`)"
                for issuer, _ in issuers
            ]
            lines.append("")
        for server in servers:
            pool = (
                translate(", pool {}").format(server.pool) if server.pool != server.server else ""
            )
            lines.append(f"- [ ] {escape_markdown(server.server + pool)}")
        lines += ["", f"{translate('Source')}{translate(': ')}{format_source(stage.source)}"]
    return lines


def _format_server(steps: DeploymentSteps, server: ServerSteps, translate: Say) -> list[str]:
    lines = [
        "",
        f"## {escape_markdown(server.server)} ({escape_markdown(translate(server.title))})",
        "",
    ]
    for package in server.packages:
        purpose = escape_markdown(", ".join(package.usages) or package.role)
        text = translate("Package `{}` for {}, thumbprint `{}`, valid {}").format(
            package.file, purpose, package.thumbprint, format_validity(package, translate)
        )
        lines.append(f"- {format_package_number(package, translate)}{text}")
    if len(steps.pages) > 1:
        lines += _format_missing_packages(select_server_steps(steps, server), translate)
    if server.shell:
        text = translate("Run the commands as an administrator in {}.")
        lines += ["", text.format(escape_markdown(translate(server.shell.title)))]
    digest, commands = build_start_commands(server)
    lines += [
        "",
        translate("The script `{}` has the SHA-256 `{}`.").format(
            build_script_name(server), digest
        ),
    ]
    lines += ["", "```powershell", *commands, "```"]
    for part in list_parts(server, translate):
        lines += ["", f"### {part.heading}", ""] if part.heading else [""]
        lines += [part.about, ""] if part.about else []
        for item in part.items:
            lines += _format_item(item, translate)
    return lines


def _format_item(item: Item, translate: Say) -> list[str]:
    by_hand = translate(" (by hand)") if item.by_hand else ""
    lines = [f"- [ ] **{item.number}. {escape_markdown(item.title)}**{by_hand}  ", ""]
    lines += [
        f"  {translate('Only if: {}.').format(escape_markdown(text))}  " for text in item.only_if
    ]
    for line in item.lines:
        lines += [f"  {escape_markdown(text)}  " for text in (line.title, *line.conditions) if text]
        lines += _format_step(line)
    return [*lines, f"  {translate('Expected result: ')}{escape_markdown(item.expected)}", ""]


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


def _format_step(step: ServerStep | Line) -> list[str]:
    lines = [f"  **{escape_markdown(step.caution)}**"] if step.caution else []
    if step.commands:
        lines += ["", "  ```powershell", *(f"  {c}" for c in step.commands), "  ```", ""]
    return lines


def to_html(steps: DeploymentSteps, *, title: str = IMPORT_AND_ASSIGN) -> str:
    """Return the checklist as one self-contained page, with a sheet for each server."""
    steps = order_servers(steps)
    translate = make_translator(steps.lang)
    return render_template(
        "deploy/checklist.html.j2",
        say=translate,
        page_language=get_html_language(steps.lang),
        title=f"{steps.title}{translate(title)}",
        steps=steps,
        pages=steps.pages,
        servers=steps.servers,
        evening=list_evening(steps),
        once=list_common_items(steps, translate),
        issuers=list_new_cas(steps),
        parts_of=lambda server: list(list_parts(server, translate)),
        notes=list_notes(steps, translate),
        store_of=get_ca_store,
        format_name=format_name,
        once_of=lambda server: [s.number for s in server.steps if s.step.part == ONCE],
        cmdlets=list_documented_commands(steps),
        together=partial(group_missing_packages, translate=translate),
        running=steps.origin.one_line_text,
        script=f"{_SCRIPT} {_START}",
        start_of=build_start_commands,
        script_of=build_script_name,
        valid_of=partial(format_validity, translate=translate),
        number_of=partial(format_package_number, translate=translate),
    )


def select_server_steps(steps: DeploymentSteps, server: ServerSteps) -> DeploymentSteps:
    """Return the steps for only one server, or for one key on another computer."""
    if server in steps.key_holders:
        return replace(steps, servers=(), key_holders=(server,), missing=(), covered=())
    missing, covered = (
        tuple(package for package in gaps if server.server in package.servers)
        for gaps in (steps.missing, steps.covered)
    )
    return replace(steps, servers=(server,), key_holders=(), missing=missing, covered=covered)
