"""The commands about notebooks: lab, run, dash, share, clean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from .inputs import force_option, get_passphrase, passphrase_option
from .output import note, progress_bar, write

if TYPE_CHECKING:
    from ..jupyter.notebook_files import Notebook

_no_browser = click.option("--no-browser", is_flag=True, help="Only print the address.")
_port = click.option(
    "--port", type=click.IntRange(1, 65535), help="TCP port on the loopback interface."
)


@click.command("lab")
@click.argument("folder", metavar="[FOLDER]", required=False)
@_no_browser
@_port
def lab_command(folder: str | None, no_browser: bool, port: int | None) -> int:
    """Lay out a workspace in FOLDER (default: work) and open the planning notebook.

    Notebooks and sample topologies are copied; nothing that is there is overwritten. JupyterLab
    listens on the loopback interface only and always asks for its token, which is part of the
    address that it prints. It runs until you stop it with Ctrl-C.
    """
    from ..jupyter.workspace import DEFAULT_FOLDER, open_lab

    place = folder or DEFAULT_FOLDER
    if not os.path.exists(place):
        note(f"no table of your own yet? lyncnb guide {place} asks what you know and lays one out")
    open_lab(place, browser=not no_browser, port=port)
    return 0


@click.command("run")
@click.argument("notebook", metavar="[NOTEBOOK]", required=False)
@force_option
@passphrase_option
def run_command(notebook: str | None, force: bool, passphrase_file: str | None) -> int:
    """Run NOTEBOOK from top to bottom without a browser.

    The executed copy and a static page are left beside it; NOTEBOOK itself is not changed.
    Without NOTEBOOK a workspace is laid out in work/ and its planning notebook runs.

    Exit status: 0; 1 if a cell failed; 2 if NOTEBOOK cannot be read.
    """
    from ..jupyter.run_notebook import run_notebook
    from ..jupyter.workspace import lay_out

    progress, finish = progress_bar("cells")
    try:
        done = run_notebook(
            notebook or lay_out(),
            # Asked for only if a cell asks; a kernel must never inherit it.
            passphrase=lambda: get_passphrase(passphrase_file),
            progress=progress,
            force=force,
        )
    finally:
        finish()
    write(f"{done.cells} cells ran")
    write(f"  executed copy: {done.executed}")
    write(f"  static page:   {done.page}")
    for folder in done.request_folders:
        write(f"  request folder: {folder} (summary.html in it says what to do next)")
    return 0


@click.command("dash")
@click.argument("folder", metavar="[FOLDER]", required=False)
@_no_browser
@_port
def dash_command(folder: str | None, no_browser: bool, port: int | None) -> int:
    """Lay out a workspace in FOLDER (default: work) and open a page that plans a table.

    For planners who want no notebook: the page takes a table and shows its servers, certificates,
    findings, pictures, and the panel that writes the requests. Voila serves it, on the loopback
    interface only and for whoever has the address with its token. It runs until you stop it with
    Ctrl-C.
    Needs the extra: pip install "lyncnb[dash]".

    Exit status: 0; 1 if Voila is not installed.
    """
    from ..jupyter.workspace import DEFAULT_FOLDER, open_page

    open_page(folder or DEFAULT_FOLDER, browser=not no_browser, port=port)
    return 0


@click.command("share")
@click.argument("notebook", metavar="NOTEBOOK")
@click.option("-o", "output", metavar="FILE.html", help="The page (default: beside the notebook).")
@click.option(
    "--clean", is_flag=True,
    help="Take out widget state, timings and paths of this machine first, and write the notebook "
    "without them as well.",
)  # fmt: skip
@click.option("--pdf", is_flag=True, help="Print the page too, by a Chromium that is there.")
@click.option("--no-code", is_flag=True, help="Leave the code out; without it, it is folded.")
@click.option(
    "--rerun", is_flag=True,
    help="Run the notebook from its files first, in a kernel of its own: its outputs then show one"
    " plan. Edits that are not saved are not in it, and no request is written.",
)  # fmt: skip
@passphrase_option
@force_option
def share_command(
    notebook: str,
    output: str | None,
    clean: bool,
    pdf: bool,
    no_code: bool,
    rerun: bool,
    passphrase_file: str | None,
    force: bool,
) -> int:
    """Write NOTEBOOK as a static page that can be sent to others.

    Cells with the tag author stay out, and so does a paragraph below a line <!-- author -->.

    Refused if a cell or an output holds a private key, a passphrase or another secret, the state
    of widgets, or a path into somebody's home or a temporary folder; or if its outputs show two
    plans. With the folder's passphrase
    (--passphrase-file or LYNCNB_PASSPHRASE) that is looked for too, in whatever coding.

    Exit status: 0; 1 if it was refused; 2 if NOTEBOOK cannot be read.
    """
    from ..jupyter.shared_page import share_notebook

    is_known = passphrase_file is not None or "LYNCNB_PASSPHRASE" in os.environ
    executed = _run_again(notebook, passphrase_file) if rerun else None
    written = share_notebook(
        notebook,
        output,
        clean=clean,
        pdf=pdf,
        code=not no_code,
        known=(get_passphrase(passphrase_file),) if is_known else (),
        force=force,
        executed=executed,
    )
    for path in filter(None, (written.page, written.clean, written.pdf)):
        write(f"written: {path}")
    return 0


def _run_again(notebook: str, passphrase_file: str | None) -> Notebook:
    from ..jupyter.run_notebook import rerun_notebook

    progress, finish = progress_bar("cells")
    try:
        return rerun_notebook(
            notebook, passphrase=lambda: get_passphrase(passphrase_file), progress=progress
        )
    finally:
        finish()


@click.command("clean")
@click.argument("notebooks", metavar="NOTEBOOK…", nargs=-1, required=True)
@click.option(
    "--png", is_flag=True,
    help="Make each picture a PNG output, drawn by a Chromium that is there: pages such as GitHub "
    "show no other.",
)  # fmt: skip
def clean_command(notebooks: tuple[str, ...], png: bool) -> int:
    """Take widget state and paths of this machine out of notebooks; leave their static form.

    Refused if a cell or an output holds a private key or a passphrase; the other notebooks are
    cleaned all the same.

    Exit status: 0; 1 if one was refused; 2 if one cannot be read.
    """
    from ..errors import NotebookError, Problem
    from ..jupyter.notebook_files import clean_notebook

    refused: list[NotebookError] = []
    for notebook in notebooks:
        try:
            changed = clean_notebook(notebook, png=png)
        except NotebookError as error:
            refused.append(error)
        else:
            write(f"{notebook}: {'cleaned' if changed else 'nothing to clean'}")
    if len(refused) == 1:
        raise refused[0]
    if refused:
        worst = max(refused, key=lambda error: error.exit_status)
        raise type(worst)(
            f"{len(refused)} notebooks were left as they are",
            problems=tuple(
                problem
                for error in refused
                for problem in error.problems or (Problem(message=error.message, hint=error.hint),)
            ),
        )
    return 0


COMMANDS = (lab_command, run_command, dash_command, share_command, clean_command)
