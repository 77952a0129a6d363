"""Define the commands for notebooks: lab, run, share and clean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from .inputs import WholeNumber, add_force_option, add_passphrase_option, get_passphrase
from .output import make_progress_bar, write, write_note

if TYPE_CHECKING:
    from ..jupyter.notebook_files import Notebook

_no_browser = click.option(
    "--no-browser", is_flag=True, help="Print the address of the page instead of opening a browser."
)
_port = click.option(
    "--port", type=WholeNumber(1, 65535), help="TCP port on the loopback interface."
)


@click.command("lab")
@click.argument("folder", metavar="[FOLDER]", required=False)
@_no_browser
@_port
def lab_command(folder: str | None, no_browser: bool, port: int | None) -> int:
    """Set up a workspace in FOLDER (default: work) and open the planning notebook.

    lyncnb copies notebooks and sample topologies into FOLDER and overwrites nothing.
    JupyterLab listens only on the loopback interface and always requires its token. The
    printed address includes the token. To stop JupyterLab, press Ctrl-C.
    """
    from ..jupyter.workspace import DEFAULT_FOLDER, open_lab

    path = folder or DEFAULT_FOLDER
    if not os.path.exists(path):
        write_note(f"To create a table of your servers, run: lyncnb guide {path}")
    open_lab(path, browser=not no_browser, port=port)
    return 0


@click.command("run")
@click.argument("notebook", metavar="[NOTEBOOK]", required=False)
@add_force_option
@add_passphrase_option
def run_command(notebook: str | None, force: bool, passphrase_file: str | None) -> int:
    """Run NOTEBOOK from top to bottom without a browser.

    lyncnb writes the executed copy and a static page next to NOTEBOOK, and does not change NOTEBOOK
    itself. Without NOTEBOOK, lyncnb sets up a workspace in work/ and runs its planning notebook.

    Exit status: 0; 1 if a cell failed; 2 if NOTEBOOK cannot be read.
    """
    from ..jupyter.run_notebook import run_notebook
    from ..jupyter.workspace import lay_out

    progress, finish = make_progress_bar("cells")
    try:
        run = run_notebook(
            notebook or lay_out(),
            # lyncnb passes a function instead of the passphrase, so that the user is asked for the
            # passphrase only if a cell needs it. The kernel must never inherit the passphrase.
            passphrase=lambda: get_passphrase(passphrase_file),
            progress=progress,
            force=force,
        )
    finally:
        finish()
    write(f"{run.cells} cells ran")
    if run.totals:
        write(f"  {run.totals}")
    write(f"  executed copy: {run.executed}")
    write(f"  static page:   {run.page}")
    for folder in run.request_folders:
        write(
            f"  request folder: {folder} (to see the next steps, open summary.html in this folder)"
        )
    return 0


@click.command("share")
@click.argument("notebook", metavar="NOTEBOOK")
@click.option(
    "-o",
    "output",
    metavar="FILE.html",
    help="HTML file to write (default: a file in the notebook's folder).",
)
@click.option(
    "--clean", is_flag=True,
    help="First remove widget state, timings and local paths from the notebook file.",
)  # fmt: skip
@click.option(
    "--pdf",
    is_flag=True,
    help="Also write the page as a PDF file. This requires an installed Chromium browser.",
)
@click.option(
    "--no-code",
    is_flag=True,
    help=(
        "Omit the code. Without this option, the page "
        "contains the code but hides it until a reader "
        "expands it."
    ),
)
@click.option(
    "--rerun", is_flag=True,
    help=("First run the notebook in a new kernel, so that no output is outdated. The "
          "page does not include edits that you did not save. During this run, lyncnb writes "
          "no requests."),
)  # fmt: skip
@add_passphrase_option
@add_force_option
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
    """Export NOTEBOOK as a static page that you can send to others.

    The page begins with the plan's certificates, and names the planner (option planner) and
    the date. It omits cells with the tag author, and paragraphs below a line <!-- author -->.

    lyncnb refuses a notebook if a cell or an output contains a private key, a passphrase or
    another secret, widget state, or a path into a home or temporary folder. It also refuses
    outputs that show different plans, because some may be outdated. With --rerun, no output
    is outdated, so the page may show different plans, and numbers them. With
    --passphrase-file or LYNCNB_PASSPHRASE, lyncnb also searches for that passphrase in any
    encoding.

    Exit status: 0 success; 1 if lyncnb refuses NOTEBOOK; 2 if NOTEBOOK cannot be read.
    """
    from ..jupyter.shared_page import share_notebook

    is_known = passphrase_file is not None or "LYNCNB_PASSPHRASE" in os.environ
    executed = _rerun_notebook(notebook, passphrase_file) if rerun else None
    shared_files = share_notebook(
        notebook,
        output,
        clean=clean,
        pdf=pdf,
        code=not no_code,
        known_secrets=(get_passphrase(passphrase_file),) if is_known else (),
        force=force,
        executed_notebook=executed,
    )
    for path in filter(None, (shared_files.page, shared_files.clean, shared_files.pdf)):
        write(f"written: {path}")
    return 0


def _rerun_notebook(notebook: str, passphrase_file: str | None) -> Notebook:
    from ..jupyter.run_notebook import rerun_notebook

    progress, finish = make_progress_bar("cells")
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
    help=("Convert each figure to a PNG image, because some sites, such as GitHub, show only "
         "PNG images. This option requires an installed Chromium browser."),
)  # fmt: skip
def clean_command(notebooks: tuple[str, ...], png: bool) -> int:
    """Remove widget state and local paths from notebooks, and keep the static outputs.

    lyncnb refuses a notebook if a cell or an output contains a private key, or if the code
    contains a passphrase. It cleans the other notebooks.

    Exit status: 0 success; 1 if lyncnb refuses a notebook; 2 if a notebook cannot be read.
    """
    from ..errors import LyncnbError, Problem
    from ..jupyter.notebook_files import clean_notebook

    refused: list[LyncnbError] = []
    for notebook in notebooks:
        try:
            changed = clean_notebook(notebook, png=png)
        except LyncnbError as error:
            refused.append(error)
        else:
            write(f"{notebook}: {'cleaned' if changed else 'already clean'}")
    if len(refused) == 1:
        raise refused[0]
    if refused:
        worst = max(refused, key=lambda error: error.exit_status)
        raise type(worst)(
            f"lyncnb could not clean {len(refused)} notebooks",
            problems=tuple(
                problem
                for error in refused
                for problem in error.problems or (Problem(message=error.message, hint=error.hint),)
            ),
        )
    return 0


COMMANDS = (lab_command, run_command, share_command, clean_command)
