"""Create and verify SSH signatures of files with ``ssh-keygen -Y`` from OpenSSH.

Only this module runs ``ssh-keygen``, which handles keys, agents and hardware tokens. lyncnb never
sees a private key or its passphrase. It writes the bytes that it has read to a separate folder, so
that ``ssh-keygen`` verifies exactly these bytes.

Source: PROTOCOL.sshsig of OpenSSH, and ssh-keygen(1), section ALLOWED SIGNERS.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..base.disk import files
from ..base.disk.system_calls import find_program
from ..base.pasted_text import show_invisible_characters, shown
from ..base.terminal import is_terminal
from ..errors import ApprovalError, BundleError, SignersUnreadable
from .passphrase import VARIABLE

_PROGRAM = "ssh-keygen"
_GOOD = re.compile(r'Good "[^"]+" signature with (\S+) key (SHA256:\S+)')
_LINE = re.compile(r"^signers:([0-9]{1,9}): ", re.MULTILINE)
# The pattern for the beginning of a line in the list of allowed signers.
_NAMES = re.compile(r'\s*"?([^"\s]+)')
# The time limit for verifying a signature. Signing has no time limit, because it can require a
# passphrase or a token.
_SECONDS = 60
_FILES = ("-s", "signature", "-f", "signers")
# The maximum sizes of the files to read: a signature (less than 1 kB) and a list with one line for
# each signer.
_LARGEST_SIGNATURE, _LARGEST_SIGNERS = 100_000, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A person who signs: the name in the list of allowed signers, and the key's fingerprint."""

    name: str
    key: str


def find_ssh_keygen() -> str:
    """Return the path of the program ``ssh-keygen`` from OpenSSH.

    Raises
    ------
    ApprovalError
        If ``ssh-keygen`` is not installed.
    """
    program = find_program(_PROGRAM)
    if program is None:
        raise ApprovalError(
            f"{_PROGRAM} is not installed, and lyncnb needs it to create or verify an approval",
            hint="install OpenSSH 8.2 or later (Debian: openssh-client; Windows: the optional "
            "feature OpenSSH Client)",
        )
    return program


def read_signature(path: Path) -> bytes:
    """Read a file that contains an SSH signature.

    Raises
    ------
    ApprovalError
        If the file is missing or cannot be read.
    """
    if not os.path.lexists(path):
        raise ApprovalError(
            f"{path} does not exist, so {path.with_suffix('').name} is not approved",
            hint=f"ask the approver for the signature file, and save it as {path}",
        )
    return files.read_specified_file(path, limit=_LARGEST_SIGNATURE, error_class=ApprovalError)


def read_signers(path: Path) -> bytes:
    """Read a file of allowed signers, in the format of ssh-keygen(1).

    Raises
    ------
    SignersUnreadable
        If the file cannot be read.
    """
    return files.read_specified_file(path, limit=_LARGEST_SIGNERS, error_class=SignersUnreadable)


def sign_content(content: bytes, key: str | os.PathLike[str], *, namespace: str) -> bytes:
    """Sign bytes with an SSH key. If the key has a passphrase, ``ssh-keygen`` asks for it.

    Parameters
    ----------
    content : bytes
        The bytes to sign.
    key : path
        A private key, or the public key (``KEY.pub``) of a key in an agent.
    namespace : str
        The purpose of the signature, which is not valid for other purposes.

    Returns
    -------
    bytes
        The signature in ASCII armor.

    Raises
    ------
    ApprovalError
        If the key does not exist or cannot be used to sign.
    """
    program, path = find_ssh_keygen(), Path(os.path.expanduser(key))
    _check_key_file(path)
    with tempfile.TemporaryDirectory(prefix="lyncnb-sign-") as folder:
        _write_files(Path(folder), content=content)
        command = [program, "-q", "-Y", "sign", "-n", namespace, "-f", str(path.absolute())]
        # In a terminal, the person who signs must see messages such as "touch the token".
        is_shown = is_terminal(sys.stderr)
        result = _run_program([*command, "content"], folder, is_shown=is_shown, timeout=None)
        signature_path = Path(folder, "content.sig")
        if result.returncode or not signature_path.is_file():
            raise ApprovalError(
                f"lyncnb could not sign with {path}{_format_output(result)}",
                hint=(
                    "check the key and the passphrase. If the key is in an SSH agent, "
                    "specify the .pub file of the key"
                ),
            )
        return signature_path.read_bytes()


def _check_key_file(path: Path) -> None:
    for candidate in (path, path.with_name(f"{path.name}.pub") if path.name else path):
        try:
            files.open_plain(candidate).close()
            return
        except (OSError, ValueError, BundleError):
            continue
    raise ApprovalError(
        f'"{path}" is not a readable key file',
        hint="specify a private key, such as ~/.ssh/id_ed25519, or the .pub file of a key in "
        "an SSH agent",
    )


def find_signing_key(content: bytes, signature: bytes, *, namespace: str) -> str:
    """Return the fingerprint of the signing key, even if this key is not allowed to sign.

    Raises
    ------
    ApprovalError
        If the signature does not belong to these bytes or to this namespace.
    """
    with tempfile.TemporaryDirectory(prefix="lyncnb-verify-") as folder:
        return _find_signing_key(find_ssh_keygen(), Path(folder), content, signature, namespace)


def _find_signing_key(
    program: str, folder: Path, content: bytes, signature: bytes, namespace: str
) -> str:
    _write_files(folder, content=content, signature=signature)
    result = _run_program(
        [program, "-Y", "check-novalidate", "-n", namespace, "-s", "signature"], folder, content
    )
    match = _GOOD.search(result.stdout.decode("utf-8", "replace"))
    if result.returncode or match is None:
        raise ApprovalError(
            (
                "the signature is not valid for this plan. Either the plan was changed "
                "after it was signed, or the signature is for a different file, or for a "
                f'purpose other than "{namespace}"{_format_output(result)}'
            ),
            hint=f"sign the unchanged plan: {_PROGRAM} -Y sign -n {namespace} -f KEY FILE",
        )
    return match[2]


def verify_signature(content: bytes, signature: bytes, signers: bytes, *, namespace: str) -> Signer:
    """Verify a signature with a list of allowed signers, at the current time.

    Parameters
    ----------
    content : bytes
        The signed bytes.
    signature : bytes
        The signature in ASCII armor.
    signers : bytes
        The list of allowed signers, with the period in which each signer may sign.
    namespace : str
        The required purpose of the signature.

    Returns
    -------
    Signer
        The signer, with the name in the list.

    Raises
    ------
    ApprovalError
        If the signature is for other bytes, or the key is not in the list, has expired, or is not
        for this namespace. The message contains the fingerprint.
    """
    program = find_ssh_keygen()
    with tempfile.TemporaryDirectory(prefix="lyncnb-verify-") as name:
        folder = Path(name)
        key = _find_signing_key(program, folder, content, signature, namespace)
        _write_files(folder, signers=signers)
        result = _run_program([program, "-Y", "find-principals", *_FILES], folder)
        names = [line for line in result.stdout.decode("utf-8", "replace").split("\n") if line]
        for signer in names if result.returncode == 0 else ():
            result = _run_program(
                [program, "-Y", "verify", "-n", namespace, "-I", signer, *_FILES],
                folder,
                content,
            )
            if result.returncode == 0:
                _reject_unclear_name(signer, key)
                return Signer(name=signer, key=key)
        raise _build_refusal(key, signers, result)


def _reject_unclear_name(name: str, key: str) -> None:
    """Raise an error if a signer's name has invisible characters or cannot be recorded."""
    if set(name) & set('*?!," '):
        raise ApprovalError(
            (
                f"the list of allowed signers has {shown(name)} for the key {key}. This entry "
                "is not a single name, so lyncnb cannot record who signed the plan"
            ),
            hint="add a line with one name for this key, such as alice@contoso.com",
        )
    if show_invisible_characters(name) != name:
        raise ApprovalError(
            f"the list of allowed signers has the name {shown(name)} for the key {key}",
            hint="enter the name without invisible characters",
        )


def _build_refusal(
    key: str, signers: bytes, result: subprocess.CompletedProcess[bytes]
) -> ApprovalError:
    """Return the error for a valid signature with a key that is not allowed to sign."""
    output = result.stderr.decode("utf-8", "replace")
    line = _LINE.search(output)
    lines, of_signer = signers.split(b"\n"), ""
    if line and int(line[1]) <= len(lines):
        entry = _NAMES.match(lines[int(line[1]) - 1].decode("utf-8", "replace"))
        of_signer = f" of {entry[1]}" if entry else ""
    if "has expired" in output:
        reason = f"the key {key}{of_signer} has expired"
    elif "not yet valid" in output:
        reason = f"the key {key}{of_signer} is not yet valid"
    elif "namespace" in output:
        reason = f"the key {key}{of_signer} is not allowed to sign plans"
    else:
        reason = f"the key {key} does not belong to an allowed signer"
    return ApprovalError(
        f"{reason}, so the plan is not approved{_format_output(result)}",
        hint="ask an allowed signer to sign the plan, or correct the list of allowed signers",
    )


def _write_files(folder: Path, **contents: bytes) -> None:
    for name, content in contents.items():
        with (folder / name).open("xb") as file:
            file.write(content)


def _run_program(
    command: Sequence[str],
    folder: str | Path,
    content: bytes | None = None,
    *,
    is_shown: bool = False,
    timeout: float | None = _SECONDS,
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
    environment["LC_ALL"] = "C"
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            input=content,
            stdout=subprocess.PIPE,
            stderr=None if is_shown else subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ApprovalError(
            f"lyncnb cannot run {command[0]}: {error}", hint="install OpenSSH 8.2 or later"
        ) from None


def _format_output(result: subprocess.CompletedProcess[bytes]) -> str:
    lines = (result.stderr or b"").decode("utf-8", "replace").splitlines()
    text = "; ".join(line.strip() for line in lines if line.strip())
    return f" (output of ssh-keygen: {text[:300]})" if text else ""
