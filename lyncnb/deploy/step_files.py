"""Write the deployment procedure: checklists in ``steps/``, and a script for each server.

The checklist shows exactly the commands of the script, because both come from the same steps.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from ..base.arguments import check_type
from ..base.disk import files, outputs
from ..base.disk.folder_lock import lock_folder
from ..errors import BundleError
from ..request_folder.manifest import NAME as MANIFEST
from ..request_folder.manifest import read_manifest
from .checklist import CHECKLIST, SCRIPT, build_pages, build_script_name, to_html, to_markdown
from .fill_steps import FINISH
from .powershell import build_common_script
from .recorded_commands import record_commands
from .server_script import build_script
from .server_steps import DeploymentSteps

FOLDER = "steps"

_CERTIFICATE_BYTES = 1 << 20


#: The script that every ``install.ps1`` runs.
COMMON = "lyncnb.ps1"


def write_steps(
    steps: DeploymentSteps,
    folder: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    lock_seconds: float = 10.0,
) -> tuple[Path, ...]:
    """Write the checklists and scripts, and add their commands to the folder's summary.

    Parameters
    ----------
    steps : DeploymentSteps
        Of m servers.
    folder : path
        The request folder; the files go to ``steps`` in it.
    output : path, optional
        One file instead, the checklist as ``.md`` or ``.html``.
    force : bool, optional
        Whether to replace a file named ``output`` that lyncnb did not write.
    lock_seconds : float, optional
        How long to wait for another writer of the folder, in seconds.

    Returns
    -------
    tuple of Path
        The written files: the order page, all sheets as one text, a sheet for each pool and for
        each request that is finished on another computer, a folder with a script for each of the m
        servers, and the CA certificates in ``chain``; or one file. Files that only an earlier run
        wrote are removed, so that nobody runs them.

    Raises
    ------
    OutputError
        If the name ``output`` is refused.
    BundleError
        If a file cannot be written, another run writes the folder, or the steps are for
        certificates of another folder or for certificates that are not recorded yet.
    """
    check_type("write_steps: steps", steps, DeploymentSteps)
    forms = {".md": to_markdown, ".html": to_html}
    if output is not None:
        outputs.check_output_path(output, CHECKLIST, force=force)
        data = forms[Path(output).suffix.lower()](steps).encode()
        return (outputs.write_output(output, data, CHECKLIST, force=force),)
    steps_folder = Path(folder) / FOLDER
    contents = {"checklist.md": to_markdown(steps).encode()}
    contents |= {name: page.encode() for name, page in build_pages(steps).items()}
    contents |= build_server_scripts(steps) | _build_chain_files(steps)
    is_request_folder = (Path(folder) / MANIFEST).is_file()
    if is_request_folder:
        _check_certificates(steps, Path(folder))
    with lock_folder(folder, wait_seconds=lock_seconds):
        files.make_folder(steps_folder, 0o755)
        for name in sorted({str(Path(name).parent) for name in contents} - {"."}):
            files.make_folder(steps_folder / name, 0o755)
        for name, data in contents.items():
            files.replace_file(steps_folder / name, data, 0o644)
        for name in sorted(_list_earlier_files(steps_folder) - contents.keys()):
            files.remove_file(steps_folder / name)
    if steps.servers and is_request_folder:
        record_commands(Path(folder), steps, lock_seconds=lock_seconds)
    return tuple(steps_folder / name for name in contents)


def _check_certificates(steps: DeploymentSteps, folder: Path) -> None:
    """Raise BundleError if the steps install a certificate that the folder has never recorded."""
    manifest = read_manifest(folder)
    thumbprints = {
        issued.thumbprint_sha1
        for record in manifest.requests
        for issued in (record.issued, *(old.issued for old in record.archived))
        if issued is not None
    }
    unknown = [p for page in steps.pages for p in page.packages if p.thumbprint not in thumbprints]
    # Requests with the same ID can be in several folders. Only a certificate whose key is on
    # another computer has steps before lyncnb records it, because it needs no package.
    key_holders = {record.id: record.key_holder for record in manifest.requests}
    foreign = [p for p in unknown if not p.key_holder or key_holders.get(p.id) != p.key_holder]
    for package in foreign[:1]:
        raise BundleError(
            f"these steps are not for the folder {folder}: they install the certificate "
            f"{package.thumbprint} for {package.id}, which is not in this folder",
            hint="create the steps for this folder: issued = ln.match_certificates("
            'ln.open_requests("FOLDER")), then ln.deployment_steps(issued)',
        )
    for package in unknown[:1]:
        raise BundleError(
            f"the certificate {package.thumbprint} for {package.id} is not recorded in the folder "
            f"{folder} yet",
            hint="to record the certificate, run: lyncnb receive FOLDER (in Python: issued = "
            'ln.receive("FOLDER")). Then create the steps again',
        )


def _list_earlier_files(folder: Path) -> set[str]:
    """Return the names of files whose content shows that :func:`write_steps` wrote them."""
    names = {
        path.name for path in folder.glob("*.html") if _passes_content_test(path, _is_checklist)
    }
    names |= {
        path.relative_to(folder).as_posix()
        for pattern in ("*.ps1", f"*/{SCRIPT}")
        for path in folder.glob(pattern)
        if _passes_content_test(path, _build_script_test(_find_owner(path)))
    }
    common = outputs.match_first_line(build_common_script().split(b"\r\n", 1)[0])
    if (folder / COMMON).is_file() and _passes_content_test(folder / COMMON, common):
        names.add(COMMON)
    issuers = folder.glob("chain/*.cer")
    return names | {
        f"chain/{p.name}"
        for p in issuers
        if _passes_content_test(p, _build_thumbprint_test(p.stem))
    }


def _find_owner(script: Path) -> str:
    """Return the server or request that a script is for: the name of its folder, or its own."""
    return script.parent.name if script.name == SCRIPT else script.stem


def _passes_content_test(path: Path, test: outputs.Test) -> bool:
    try:
        with files.open_plain(path, follow_links=False) as file:
            return test(file)
    except (OSError, BundleError):
        return False  # A file that cannot be read may belong to another program.


_is_checklist = CHECKLIST.is_ours[".html"]


def _build_script_test(stem: str) -> outputs.Test:
    # The name of the file can differ from the name of the server: long names are shortened, and
    # reserved device names get an additional character. A script for the computer with a key does
    # not contain a server name.
    server = "" if stem.endswith(FINISH) else stem.replace("~", "", 1)[:150]
    if not server:
        return outputs.match_content(b"\r\n$Server = ''\r\n")
    return outputs.match_content(f"\r\n$Server = '{server}".encode())


def _build_thumbprint_test(stem: str) -> outputs.Test:
    def has_thumbprint(file: IO[bytes]) -> bool:
        digest = hashlib.sha1(file.read(_CERTIFICATE_BYTES), usedforsecurity=False)
        return digest.hexdigest().casefold() == stem.casefold()

    return has_thumbprint


def _build_chain_files(steps: DeploymentSteps) -> dict[str, bytes]:
    """Return the CA certificates as the files that the steps install."""
    return {
        f"chain/{issuer.thumbprint}.cer": issuer.der
        for server in steps.servers
        for issuer in (
            *(certificate for p in server.packages for certificate in p.path),
            *server.issuers,
        )
    }


def build_server_scripts(steps: DeploymentSteps) -> dict[str, bytes]:
    """Return the scripts for all servers, by file name."""
    scripts = {build_script_name(page): build_script(page) for page in steps.pages}
    return scripts | ({COMMON: build_common_script()} if steps.servers else {})
