"""A secret that does not show itself, and how a planner gives the passphrase of a folder."""

from __future__ import annotations

import getpass
import hmac
import os
import sys
import unicodedata
import warnings
from collections.abc import Sequence

from ..base.disk import files
from ..errors import BundleError, PassphraseError
from .passphrase_strength import weakness

VARIABLE = "LYNCNB_PASSPHRASE"
MIN_CHARACTERS = 12
# OpenSSL's command line reads no longer passphrase (APP_PASS_LEN 1024); keys stay readable there.
MAX_BYTES = 1000
#: The two hidden questions of this package: for a passphrase, and for the same once more.
PROMPTS = (
    f"Passphrase (at least {MIN_CHARACTERS} characters): ",
    "The same passphrase again: ",
)
_ATTEMPTS = 3
# What a password manager hands over through a pipe: so much, and within that time.
_LINE_BYTES, _LINE_SECONDS = 4096, 10.0


class Secret:
    """Text that shows as ``***`` wherever it is printed, formatted, logged or pickled.

    Two secrets compare in constant time. A pickle holds ``***`` in place of the text: what comes
    out of it refuses to be used, so no passphrase travels with a job to another machine.

    Notes
    -----
    Python cannot erase text from memory; drop the object when done and keep its life short.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets from others
    _text: str | None

    def __init__(self, text: str):
        object.__setattr__(self, "_text", text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a secret cannot be changed")

    def reveal(self) -> str:
        """Give the text itself. Call it as late as possible, and keep no copy."""
        if self._text is None:
            raise PassphraseError(
                "this secret came through a file or another process; its text stayed behind",
                hint="ask for the passphrase where it is needed",
            )
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = (s.reveal().encode("utf-8", "surrogatepass") for s in (self, other))
        return hmac.compare_digest(mine, theirs)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _shadow, ("***",)


def _shadow(_: str) -> Secret:
    return Secret(None)  # type: ignore[arg-type]


def as_passphrase(text: Secret | str, *, source: str = "the passphrase") -> Secret:
    """Check that a passphrase will do, and wrap it.

    Raises
    ------
    PassphraseError
        If it has fewer than 12 characters, more than 1,000 bytes, or one that cannot be typed.
        The message never holds the passphrase.
    """
    secret = text if isinstance(text, Secret) else Secret(text)
    value = secret.reveal()
    if len(value) < MIN_CHARACTERS:
        raise PassphraseError(
            f"{source} has {len(value)} characters; it needs at least {MIN_CHARACTERS}",
            hint="take four or five random words",
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise PassphraseError(
            f"{source} holds a character that cannot be typed",
            hint="is the file UTF-8 text with the passphrase on its first line?",
        )
    if len(value.encode()) > MAX_BYTES:
        raise PassphraseError(
            f"{source} is longer than {MAX_BYTES} bytes",
            hint="OpenSSL could not read the keys; take a shorter one",
        )
    return secret


def as_new_passphrase(
    text: Secret | str, *, source: str = "the new passphrase", known: Sequence[str] = ()
) -> Secret:
    """Check a passphrase that is to protect something from now on: it must not be easy to guess.

    What an earlier version took stays good for opening what it protects. The estimate can take
    seconds, so nothing calls this for each key that somebody presses.

    Parameters
    ----------
    text : Secret or str
        The passphrase.
    source : str, optional
        What a message calls it.
    known : sequence of str, optional
        Words that an attacker would try first, such as the names of the plan.

    Raises
    ------
    PassphraseError
        As :func:`as_passphrase`, or if it is easy to guess.
    """
    secret = as_passphrase(text, source=source)
    why = weakness(secret.reveal(), known)
    if why is not None:
        raise PassphraseError(
            f"{source} is too easy to guess. {why}".strip(),
            hint="use four or five random words, none of them a name of the deployment",
        )
    return secret


def ask_passphrase(
    *,
    confirm: bool = False,
    file: str | os.PathLike[str] | None = None,
    environ: bool = True,
    known: Sequence[str] = (),
) -> Secret:
    """Get the passphrase of a request folder from a file, the environment or the planner.

    The first of these that there is: the first line of `file`; the variable
    ``LYNCNB_PASSPHRASE``, which is taken out of the environment so that no child process gets it,
    and remembered for this process; a prompt that shows nothing, in a terminal or a notebook.

    Parameters
    ----------
    confirm : bool, optional
        Ask twice for one that is not easy to guess, as for a new folder. Only for the prompt.
    file : path, optional
        UTF-8 text; byte order mark and line end are stripped.
    environ : bool, optional
        Whether to look at ``LYNCNB_PASSPHRASE``.
    known : sequence of str, optional
        Words that an attacker would try first. Only for the prompt, with `confirm`.

    Returns
    -------
    Secret
        At least 12 characters.

    Raises
    ------
    PassphraseError
        If there is none and nobody to ask, or it will not do.
    """
    if file is not None:
        return as_passphrase(_from_file(file), source=f"the passphrase in {file}")
    if environ and (found := _from_environment()) is not None:
        return as_passphrase(found, source=f"the passphrase in {VARIABLE}")
    if not _can_ask():
        raise PassphraseError(
            "no passphrase, and nobody to ask: standard input is no terminal",
            hint=f"give --passphrase-file, or set {VARIABLE}",
        )
    return _from_prompt(confirm=confirm, known=known)


def _from_file(path: str | os.PathLike[str]) -> Secret:
    try:
        line = files.read_first_line(path, limit=_LINE_BYTES, seconds=_LINE_SECONDS)
    except BundleError as error:
        raise PassphraseError(error.message, hint=error.hint) from None
    first = line.removeprefix(b"\xef\xbb\xbf")
    try:
        return Secret(first.decode("utf-8"))
    except UnicodeDecodeError:
        raise PassphraseError(
            f"{path}: the first line is not UTF-8 text", hint="save the file as UTF-8"
        ) from None


_remembered: Secret | None = None


def forget_passphrase() -> None:
    """Drop what was read from the environment; the next one to ask has to give it again."""
    global _remembered
    _remembered = None


def _from_environment() -> Secret | None:
    # A notebook or command asks more than once (keys, then packages), but the variable goes at
    # the first time: only this process still knows it.
    global _remembered
    if (text := os.environ.pop(VARIABLE, None)) is not None:
        _remembered = Secret(text)
    return _remembered


def _can_ask() -> bool:
    """Tell whether there is a terminal or a notebook to ask in."""
    return _in_kernel() or (sys.stdin is not None and sys.stdin.isatty())


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def _from_prompt(*, confirm: bool, known: Sequence[str]) -> Secret:
    complaint = ""
    for _ in range(_ATTEMPTS):
        first = Secret(_prompt(f"{complaint}{PROMPTS[0]}"))
        try:
            if confirm:
                as_new_passphrase(first, source="the passphrase", known=known)
            else:
                as_passphrase(first)
        except PassphraseError as error:
            complaint = f"{error.message.rstrip('.')}. "
            continue
        if not confirm or first == Secret(_prompt(PROMPTS[1])):
            return first
        complaint = "These two differ. "
    raise PassphraseError(
        f"no passphrase after {_ATTEMPTS} attempts: {complaint.strip()}", hint="run it again"
    )


def _prompt(text: str) -> str:
    with warnings.catch_warnings():
        # Without a terminal that can hide typing, getpass would show the passphrase and warn.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(text)
        except (EOFError, OSError, NotImplementedError, getpass.GetPassWarning):
            raise PassphraseError(
                "the passphrase cannot be asked for here without showing it",
                hint=f"give --passphrase-file, or set {VARIABLE}",
            ) from None
