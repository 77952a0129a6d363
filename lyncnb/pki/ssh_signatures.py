"""SSH signatures over a file, made and verified by OpenSSH's ``ssh-keygen -Y``.

The only file that runs it. Keys, agents and hardware tokens are its affair: no private key and no
passphrase of one passes through here. It gets copies of what was read, in a folder of their own,
so that what is verified is what was read.

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
from ..base.pasted_text import shown, visible
from ..errors import ApprovalError, BundleError, SignersUnreadable
from .passphrase import VARIABLE

_PROGRAM = "ssh-keygen"
_GOOD = re.compile(r'Good "[^"]+" signature with (\S+) key (SHA256:\S+)')
_LINE = re.compile(r"^signers:([0-9]{1,9}): ", re.MULTILINE)
_NAMES = re.compile(r'\s*"?([^"\s]+)')  # how a line of the list begins
_SECONDS = 60  # to verify; who signs may have to type a passphrase or touch a token
_FILES = ("-s", "signature", "-f", "signers")
# An armored signature has less than 1 kB, a list of signers a line for each.
_LARGEST_SIGNATURE, _LARGEST_SIGNERS = 100_000, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed: the name that a list of allowed signers gives, and the key's fingerprint."""

    name: str
    key: str


def find_ssh_keygen() -> str:
    """Find OpenSSH's program for keys and signatures.

    Raises
    ------
    ApprovalError
        If there is none.
    """
    found = find_program(_PROGRAM)
    if found is None:
        raise ApprovalError(
            f"there is no {_PROGRAM} here, and nothing else can make or verify an approval",
            hint="install OpenSSH (Debian: openssh-client; Windows: the optional feature OpenSSH "
            "Client), 8.2 or later",
        )
    return found


def read_signature(path: Path) -> bytes:
    """Read the file of a signature.

    Raises
    ------
    ApprovalError
        If it is missing or cannot be read.
    """
    if not os.path.lexists(path):
        raise ApprovalError(
            f"there is no {path}, so nobody approved {path.with_suffix('').name}",
            hint="ask for the signature and put it there",
        )
    return files.read_named(path, limit=_LARGEST_SIGNATURE, error=ApprovalError)


def read_signers(path: Path) -> bytes:
    """Read a file of allowed signers, in the form of ssh-keygen(1).

    Raises
    ------
    SignersUnreadable
        If it cannot be read.
    """
    return files.read_named(path, limit=_LARGEST_SIGNERS, error=SignersUnreadable)


def sign(content: bytes, key: str | os.PathLike[str], *, namespace: str) -> bytes:
    """Sign bytes with an SSH key; ``ssh-keygen`` asks for its passphrase where it has one.

    Parameters
    ----------
    content : bytes
        What is signed.
    key : path
        A private key, or the public half (``KEY.pub``) of one that an agent holds.
    namespace : str
        What the signature is for; it is valid for nothing else.

    Returns
    -------
    bytes
        The signature, armored.

    Raises
    ------
    ApprovalError
        If there is no such key, or it does not sign.
    """
    program, path = find_ssh_keygen(), Path(os.path.expanduser(key))
    _refuse_no_key(path)
    with tempfile.TemporaryDirectory(prefix="lyncnb-sign-") as folder:
        _lay_out(Path(folder), content=content)
        command = [program, "-q", "-Y", "sign", "-n", namespace, "-f", str(path.absolute())]
        # At a terminal its words (touch the token, another try) are for the person who signs.
        is_shown = sys.stderr is not None and sys.stderr.isatty()
        ended = _run([*command, "content"], folder, is_shown=is_shown, seconds=None)
        made = Path(folder, "content.sig")
        if ended.returncode or not made.is_file():
            raise ApprovalError(
                f"{path} did not sign{_said(ended)}",
                hint="look at the key and its passphrase; an agent's key is named by its .pub file",
            )
        return made.read_bytes()


def _refuse_no_key(path: Path) -> None:
    for place in (path, path.with_name(f"{path.name}.pub") if path.name else path):
        try:
            files.open_plain(place).close()
            return
        except (OSError, ValueError, BundleError):
            continue
    raise ApprovalError(
        f'"{path}" is no key that can be read',
        hint="name a private key, e.g. ~/.ssh/id_ed25519, or the .pub file of one in an agent",
    )


def signing_key(content: bytes, signature: bytes, *, namespace: str) -> str:
    """Give the fingerprint of the key that made a signature over these bytes, whoever has it.

    Raises
    ------
    ApprovalError
        If it is no signature over them, or not for this.
    """
    with tempfile.TemporaryDirectory(prefix="lyncnb-verify-") as folder:
        return _signing_key(find_ssh_keygen(), Path(folder), content, signature, namespace)


def _signing_key(
    program: str, folder: Path, content: bytes, signature: bytes, namespace: str
) -> str:
    _lay_out(folder, content=content, signature=signature)
    ended = _run(
        [program, "-Y", "check-novalidate", "-n", namespace, "-s", "signature"], folder, content
    )
    found = _GOOD.search(ended.stdout.decode("utf-8", "replace"))
    if ended.returncode or found is None:
        raise ApprovalError(
            f"the signature is not over this plan: it was altered after it was signed, or another "
            f"file was signed, or for something else than {namespace}{_said(ended)}",
            hint=f"have it signed as it is: {_PROGRAM} -Y sign -n {namespace} -f KEY FILE",
        )
    return found[2]


def verify(content: bytes, signature: bytes, signers: bytes, *, namespace: str) -> Signer:
    """Verify a signature against a list of allowed signers, for this moment.

    Parameters
    ----------
    content : bytes
        What was signed.
    signature : bytes
        Armored.
    signers : bytes
        A list of allowed signers, with the days within which each may sign.
    namespace : str
        What the signature must be for.

    Returns
    -------
    Signer
        Who signed, by the name in the list.

    Raises
    ------
    ApprovalError
        If the bytes are not what was signed, or the key is none of the list, expired, or not for
        this; with its fingerprint.
    """
    program = find_ssh_keygen()
    with tempfile.TemporaryDirectory(prefix="lyncnb-verify-") as name:
        folder = Path(name)
        key = _signing_key(program, folder, content, signature, namespace)
        _lay_out(folder, signers=signers)
        ended = _run([program, "-Y", "find-principals", *_FILES], folder)
        names = [line for line in ended.stdout.decode("utf-8", "replace").split("\n") if line]
        for one in names if ended.returncode == 0 else ():
            ended = _run(
                [program, "-Y", "verify", "-n", namespace, "-I", one, *_FILES],
                folder,
                content,
            )
            if ended.returncode == 0:
                _refuse_unseen(one, key)
                return Signer(name=one, key=key)
        raise _refusal(key, signers, ended)


def _refuse_unseen(name: str, key: str) -> None:
    """Refuse a name that reads otherwise than it is, or that no record can hold."""
    if set(name) & set('*?!," '):
        raise ApprovalError(
            f"the list of allowed signers gives the key {key} no single name but {shown(name)}, so "
            "who signed could not go on record",
            hint="write a line with one name for this key, such as alice@contoso.com",
        )
    if visible(name) != name:
        raise ApprovalError(
            f"the list of allowed signers calls the key {key} {shown(name)}",
            hint="have the name written there without what cannot be seen",
        )


def _refusal(key: str, signers: bytes, ended: subprocess.CompletedProcess[bytes]) -> ApprovalError:
    """Say why a good signature does not count: by whom it is, and what the list says of them."""
    said = ended.stderr.decode("utf-8", "replace")
    line = _LINE.search(said)
    lines, who = signers.split(b"\n"), ""
    if line and int(line[1]) <= len(lines):
        entry = _NAMES.match(lines[int(line[1]) - 1].decode("utf-8", "replace"))
        who = f" of {entry[1]}" if entry else ""
    if "has expired" in said:
        what = f"the key {key}{who} has expired"
    elif "not yet valid" in said:
        what = f"the key {key}{who} is not yet valid"
    elif "namespace" in said:
        what = f"the key {key}{who} is not allowed to sign plans"
    else:
        what = f"the key {key} is none of the allowed signers"
    return ApprovalError(
        f"{what}, so the plan is not approved{_said(ended)}",
        hint="have it signed by somebody who is allowed now, or see to the list of allowed signers",
    )


def _lay_out(folder: Path, **contents: bytes) -> None:
    for name, content in contents.items():
        with (folder / name).open("xb") as file:
            file.write(content)


def _run(
    command: Sequence[str],
    folder: str | Path,
    content: bytes | None = None,
    *,
    is_shown: bool = False,
    seconds: float | None = _SECONDS,
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
            timeout=seconds,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ApprovalError(
            f"{command[0]} does not run: {error}", hint="install OpenSSH 8.2 or later"
        ) from None


def _said(ended: subprocess.CompletedProcess[bytes]) -> str:
    lines = (ended.stderr or b"").decode("utf-8", "replace").splitlines()
    told = "; ".join(line.strip() for line in lines if line.strip())
    return f" (ssh-keygen says: {told[:300]})" if told else ""
