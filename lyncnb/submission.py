r"""The submission lines for AD CS, as a batch file that can be read before it is run.

The boundary for text on its way to a Windows command line: certreq splits ``-attrib`` at a
literal ``\n``, so a template's name could smuggle in attributes of its own, and cmd expands
``%`` even between quotes. Only plain letters, digits and a few signs pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .base.pasted_text import shown
from .errors import OptionsError

_TEMPLATE = re.compile(r"[A-Za-z0-9 ._-]{1,64}")
_CONFIG = re.compile(r"[A-Za-z0-9.-]{1,255}\\[A-Za-z0-9 ._()-]{1,64}")
_STEM = re.compile(r"[A-Za-z0-9-]{1,200}")


def check_template(template: str) -> None:
    """Refuse a template's name that could be anything else on a command line.

    Raises
    ------
    OptionsError
        Unless it is made of letters, digits, blanks, dots, underscores and hyphens.
    """
    if not _TEMPLATE.fullmatch(template) or template != template.strip():
        raise OptionsError(
            f"{shown(template)} cannot be the name of a certificate template",
            hint="give the template's name (not its display name), e.g. WebServer",
        )


def check_config(config: str) -> None:
    r"""Refuse a CA's configuration string that is not ``host\CA name``; empty is good.

    Raises
    ------
    OptionsError
        If a sign in it means something to cmd or certreq.
    """
    if config and not _CONFIG.fullmatch(config):
        raise OptionsError(
            f"{shown(config)} is no configuration string of an AD CS CA",
            hint=r"write it as certutil shows it, e.g. ca01.contoso.com\Contoso Issuing CA 1",
        )


def submit_script(stems: Iterable[str], *, template: str, config: str = "") -> bytes:
    """Write ``submit.cmd``: one certreq line per request, to be run again without harm.

    Parameters
    ----------
    stems : iterable of str
        n names of files in ``csr`` without ``.csr``; the answers are called the same.
    template, config : str
        Checked by :func:`check_template` and :func:`check_config`. Without a configuration
        string certreq asks for the CA.

    Returns
    -------
    bytes
        ASCII with CRLF. Each request is submitted only while it has no answer.

    Notes
    -----
    Source: Microsoft, certreq (-submit, -attrib, -config). The names travel inside the CSR, so
    there is no ``SAN:`` attribute.
    """
    check_template(template)
    check_config(config)
    ca = f' -config "{config}"' if config else ""
    lines = [
        "@echo off",
        "rem Submits each request in csr to an AD CS CA, once. Answers go to the folder answers.",
        'cd /d "%~dp0"',
        "if not exist answers mkdir answers",
    ]
    for stem in stems:
        if not _STEM.fullmatch(stem):
            raise OptionsError(
                f"{shown(stem)} is no name of a request file",
                hint="take the files of a request folder",
            )
        lines.append(
            f'if not exist "answers\\{stem}.cer" certreq -submit{ca} '
            f'-attrib "CertificateTemplate:{template}" '
            f'"csr\\{stem}.csr" "answers\\{stem}.cer" "answers\\{stem}.p7b"'
        )
    return ("\r\n".join(lines) + "\r\n").encode("ascii")
