"""Check that Jupyter can encrypt the channels to a kernel, because they can carry a passphrase.

The channels are sockets on the loopback interface. Without encryption, they transfer plain text.
Older versions of Jupyter's libraries ignore the setting without a message.
"""

from __future__ import annotations

import re
from importlib.metadata import version

from ..errors import NotebookError

#: The value of ``KernelManager.transport_encryption`` with which Jupyter does not start a kernel
#: that cannot encrypt its channels.
REQUIRED = "required"

#: The first versions with which nbclient and JupyterLab can start kernels with encrypted channels.
#: In jupyter-client 8.9, the asynchronous client rejects the kernel's key. All other functions of
#: lyncnb work with older versions.
NEEDED = {"jupyter-client": "8.10", "ipykernel": "7.3"}


def get_encryption_setting() -> str:
    """Return the value of the setting that encrypts the kernel's channels.

    Raises
    ------
    NotebookError
        If one of the libraries is too old.
    """
    installed = {library: version(library) for library in NEEDED}
    old = [
        f"{library} {release}"
        for library, release in installed.items()
        if _parse_version(release) < _parse_version(NEEDED[library])
    ]
    if old:
        needed = " ".join(f'"{library}>={first}"' for library, first in NEEDED.items())
        raise NotebookError(
            (
                f"{' and '.join(old)} cannot encrypt the channels between Jupyter and the "
                "kernel. A passphrase may pass through these channels"
            ),
            hint=f"run: pip install {needed}",
        )
    return REQUIRED


def _parse_version(text: str) -> tuple[int, ...]:
    """Return the first two numbers of a version, such as (2, 12)."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
