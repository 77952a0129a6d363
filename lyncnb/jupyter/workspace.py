"""Set up a workspace with notebooks and sample topologies, and open it in a browser.

lyncnb never overwrites existing files in a workspace, so you can set it up again at any
time.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from ..base.disk.files import write_new_file
from ..base.disk.outputs import reject_reserved_path
from ..errors import NotebookError
from .encrypted_channels import get_encryption_setting
from .run_notebook import UNATTENDED_VARIABLE

#: The default folder of a workspace.
DEFAULT_FOLDER = "work"

#: The notebook that JupyterLab opens together with the workspace.
PLANNING_NOTEBOOK = Path("notebooks", "plan.ipynb")

_PACKAGE = Path(__file__).parent.parent


def lay_out(folder: str | Path = DEFAULT_FOLDER) -> Path:
    """Copy the notebooks and the sample topologies into a folder.

    Parameters
    ----------
    folder : path, optional
        The workspace. It is created if necessary. Existing files do not change.

    Returns
    -------
    Path
        The path of the planning notebook.

    Raises
    ------
    NotebookError
        If the folder cannot be created.
    """
    reject_reserved_path(folder)
    folder = Path(folder)
    for source, path in _list_contents():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotebookError(
                f'lyncnb cannot create the folder "{target.parent}": {error.strerror}',
                hint="choose another folder",
            ) from error
        if not os.path.lexists(target):
            write_new_file(target, source.read_bytes(), 0o644)
    return folder / PLANNING_NOTEBOOK


def open_lab(
    folder: str | Path = DEFAULT_FOLDER, *, browser: bool = True, port: int | None = None
) -> None:
    """Set up a workspace and serve it in JupyterLab until the user presses Ctrl-C.

    Parameters
    ----------
    folder : path, optional
        The workspace.
    browser : bool, optional
        Whether to open the planning notebook in a browser. The address is always printed.
    port : int, optional
        TCP port on the loopback interface. The default is Jupyter's port, or the next free
        port.

    Raises
    ------
    NotebookError
        If the installed versions of Jupyter's libraries cannot encrypt the channels to kernels.
    """
    encryption = get_encryption_setting()
    lay_out(folder)
    from jupyterlab.labapp import LabApp

    _prepare_environment()
    arguments = [
        f"--ServerApp.root_dir={Path(folder).resolve()}",
        f"--LabApp.default_url=/lab/tree/{PLANNING_NOTEBOOK.as_posix()}",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.allow_remote_access=False",
        f"--KernelManager.transport_encryption={encryption}",
        f"--ServerApp.open_browser={browser}",
        # The log level at which the server prints only the address and problems.
        "--Application.log_level=WARN",
        *([f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Containers usually run as root, so --allow-root is necessary.
        arguments.append("--allow-root")
    # Users cannot act on deprecation warnings between extensions of Jupyter, so the warnings are
    # hidden.
    with warnings.catch_warnings(record=True):
        server = LabApp.initialize_server(argv=arguments)
    provider = server.identity_provider
    if not provider.auth_enabled:
        # The user's Jupyter configuration may disable the token, so lyncnb always sets a token.
        provider.token = provider.trait_defaults("token")
        provider.token_generated = True  # The address that the server prints includes the token.
    server.start()


def _list_contents() -> list[tuple[Path, Path]]:
    """Return each file in the package for a workspace, with its path in the workspace."""
    root = _PACKAGE / "_workspace"
    if not root.is_dir():
        root = _PACKAGE.parent  # An editable installation uses the files in the cloned repository.
    notebooks = [path for path in root.glob("notebooks/*.ipynb") if ".executed" not in path.name]
    files = sorted(notebooks) + sorted(path for path in root.glob("data/*") if path.is_file())
    return [(path, path.relative_to(root)) for path in files]


def _prepare_environment() -> None:
    # Kernels and terminals inherit the environment of the current process.
    os.environ.pop("LYNCNB_PASSPHRASE", None)
    # In a served workspace, a user presses the buttons, so panels must not start their work
    # automatically.
    os.environ.pop(UNATTENDED_VARIABLE, None)
    # Jupyter searches lyncnb's own folders first, so their settings apply to the JupyterLab that
    # lyncnb starts and to nbconvert in its terminals. Other servers in the same environment keep
    # their settings.
    paths = [str(_PACKAGE / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(path for path in paths if path)
