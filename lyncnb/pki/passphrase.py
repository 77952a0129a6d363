"""Get the passphrase of a folder, and store it as a secret that is never printed."""

from __future__ import annotations

import getpass
import hmac
import os
import sys
import unicodedata
import warnings
from collections.abc import Sequence

from ..base.arguments import check_type
from ..base.disk import files
from ..base.terminal import ask_for_passphrase, is_terminal
from ..errors import BundleError, PassphraseError
from .passphrase_strength import (
    ESTIMATED_CHARACTERS,
    LEAST_SCORE,
    LITTLE_REMAINS,
    WITHIN_A_WORD,
    find_weakness,
)

VARIABLE = "LYNCNB_PASSPHRASE"
MIN_CHARACTERS = 12
# The longest passphrase that the command-line tool of OpenSSL can read (APP_PASS_LEN 1024).
MAX_BYTES = 1000
#: The number of rounds of PBKDF2-HMAC-SHA256 for a new file. Source: OWASP, Password Storage Cheat
#: Sheet.
ROUNDS = 600_000
SALT_BYTES, DERIVED_BYTES = 16, 32
#: The rules for a new passphrase, with the text for each violation. The page that creates keys in
#: a browser uses the same rules. It replaces ``{count}`` with the number, and ``{why}`` with the
#: reason from zxcvbn.
NEW_RULES = {
    "least_characters": MIN_CHARACTERS,
    "most_bytes": MAX_BYTES,
    "too_short": f"has {{count}} characters, but at least {MIN_CHARACTERS} are required",
    "not_typed": "contains a character that cannot be typed",
    "too_long": f"is longer than {MAX_BYTES} bytes",
    "too_easy": "is too easy to guess. {why}",
    "estimated_characters": ESTIMATED_CHARACTERS,
    "least_score": LEAST_SCORE,
    "within_a_word": WITHIN_A_WORD,
    "little_remains": LITTLE_REMAINS,
    "hint": "use four or five random words, and no names from the deployment",
}
#: The two hidden prompts: one for a passphrase, and one to repeat the passphrase.
PROMPTS = (
    f"Passphrase (at least {MIN_CHARACTERS} characters): ",
    "Repeat the passphrase: ",
)
_ATTEMPTS = 3
# The maximum size and the time limit for a passphrase that is read from a pipe, for example from a
# password manager.
_LINE_BYTES, _LINE_SECONDS = 4096, 10.0


class Secret:
    """Text that appears as ``***`` if it is printed, formatted, logged or pickled.

    Comparisons take constant time. A pickle contains ``***`` instead of the text, and an object
    from a pickle cannot be used. So a job for another computer never contains the passphrase.

    Notes
    -----
    Python cannot erase text from memory. Delete the object as soon as you do not need it.
    """

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]  # a hash would show which secrets are equal
    _text: str | None

    def __init__(self, text: str):
        object.__setattr__(self, "_text", text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("you cannot change a Secret object")

    def reveal(self) -> str:
        """Return the secret text. Call the method as late as possible, and do not keep a copy."""
        if self._text is None:
            raise PassphraseError(
                (
                    "you cannot use a copy of a secret from a file or from another process, "
                    "because the copy does not contain the value"
                ),
                hint="prompt for the passphrase again in this process",
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
        return _build_unusable_secret, ("***",)


def _build_unusable_secret(_: str) -> Secret:
    return Secret(None)  # type: ignore[arg-type]


def check_passphrase(text: Secret | str, *, source: str = "the passphrase") -> Secret:
    """Check a passphrase, and return it as a secret.

    Raises
    ------
    PassphraseError
        If the passphrase has fewer than 12 characters, more than 1,000 bytes, or a character that
        cannot be typed. The message never contains the passphrase.
    """
    check_type(source, text, Secret, str)
    secret = text if isinstance(text, Secret) else Secret(text)
    value = secret.reveal()
    if len(value) < MIN_CHARACTERS:
        raise PassphraseError(
            f"{source} {NEW_RULES['too_short']}".replace("{count}", str(len(value))),
            hint="use four or five random words",
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise PassphraseError(
            f"{source} {NEW_RULES['not_typed']}",
            hint="make sure that the file is UTF-8 text with the passphrase on the first line",
        )
    if len(value.encode()) > MAX_BYTES:
        raise PassphraseError(
            f"{source} {NEW_RULES['too_long']}",
            hint=(
                "use a shorter passphrase, because OpenSSL cannot read keys that are "
                "encrypted with a longer passphrase"
            ),
        )
    return secret


def check_new_passphrase(
    text: Secret | str, *, source: str = "the new passphrase", known_words: Sequence[str] = ()
) -> Secret:
    """Check that a new passphrase is not easy to guess, and return it as a secret.

    A passphrase that an earlier version accepted can still open existing files. The estimate can
    take seconds, so do not call this function for each key press.

    Parameters
    ----------
    text : Secret or str
        The passphrase.
    source : str, optional
        The name of the passphrase in messages.
    known_words : sequence of str, optional
        Words that an attacker would try first, such as names in the plan.

    Raises
    ------
    PassphraseError
        As for :func:`check_passphrase`, or if the passphrase is easy to guess.
    """
    secret = check_passphrase(text, source=source)
    weakness = find_weakness(secret.reveal(), known_words)
    if weakness is not None:
        raise PassphraseError(
            f"{source} {NEW_RULES['too_easy']}".replace("{why}", weakness).strip(),
            hint=str(NEW_RULES["hint"]),
        )
    return secret


def ask_passphrase(
    *,
    confirm: bool = False,
    file: str | os.PathLike[str] | None = None,
    environ: bool = True,
    known: Sequence[str] = (),
) -> Secret:
    """Get the passphrase of a request folder from a file, the environment, or a prompt.

    The function uses the first line of `file`, the variable ``LYNCNB_PASSPHRASE``, or a hidden
    prompt in a terminal or notebook, in this order. It removes the variable from the environment,
    so that no child process gets the value, and remembers the value for this process.

    Parameters
    ----------
    confirm : bool, optional
        Whether the prompt asks twice and rejects a passphrase that is easy to guess, as for a new
        folder.
    file : path, optional
        A file with UTF-8 text. The byte order mark and the line end are removed.
    environ : bool, optional
        Whether to use ``LYNCNB_PASSPHRASE``.
    known : sequence of str, optional
        Words that an attacker would try first. They are used only at the prompt, with `confirm`.

    Returns
    -------
    Secret
        A passphrase with at least 12 characters.

    Raises
    ------
    PassphraseError
        If there is no passphrase and no prompt is possible, or the passphrase is not valid.
    """
    if file is not None:
        return check_passphrase(_read_file(file), source=f"the passphrase in the file {file}")
    if environ and (value := _read_environment()) is not None:
        return check_passphrase(value, source=f"the passphrase in {VARIABLE}")
    if runs_without_user():
        raise PassphraseError(
            ("you did not specify a passphrase, and nobody can enter one while this notebook runs"),
            hint=f"run the notebook with lyncnb run NOTEBOOK, or set {VARIABLE}",
        )
    if not _can_prompt():
        raise PassphraseError(
            (
                "you did not specify a passphrase, and lyncnb cannot prompt for it, because "
                "standard input is not a terminal"
            ),
            hint=f"use --passphrase-file, or set {VARIABLE}",
        )
    return _read_prompt(confirm=confirm, known_words=known)


def _read_file(path: str | os.PathLike[str]) -> Secret:
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
    """Clear the remembered passphrase, so that the next call reads the passphrase again."""
    global _remembered
    _remembered = None


def _read_environment() -> Secret | None:
    # A notebook or command needs the passphrase more than once: for keys, and then for packages.
    # The first call removes the environment variable, so its value is kept in the process.
    global _remembered
    if (text := os.environ.pop(VARIABLE, None)) is not None:
        _remembered = Secret(text)
    return _remembered


def runs_without_user() -> bool:
    """Return whether the notebook runs without a user, in a program such as papermill.

    Such a program does not answer prompts, and nobody can press a button.
    """
    kernel = _find_kernel()
    return kernel is not None and not getattr(kernel, "_allow_stdin", True)


def _can_prompt() -> bool:
    """Return whether lyncnb can ask for input: in a terminal or in a notebook."""
    return _find_kernel() is not None or is_terminal(sys.stdin)


def _find_kernel() -> object:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


def _read_prompt(*, confirm: bool, known_words: Sequence[str]) -> Secret:
    complaint = ""
    for _ in range(_ATTEMPTS):
        first = Secret(_prompt_for_text(f"{complaint}{PROMPTS[0]}"))
        try:
            if confirm:
                check_new_passphrase(first, source="the passphrase", known_words=known_words)
            else:
                check_passphrase(first)
        except PassphraseError as error:
            complaint = f"{error.message.rstrip('.')}. "
            continue
        if not confirm or first == Secret(_prompt_for_text(PROMPTS[1])):
            return first
        complaint = "The two passphrases are different."
    raise PassphraseError(
        f"you did not enter a valid passphrase in {_ATTEMPTS} attempts: {complaint.strip()}",
        hint="run the command again",
    )


def _prompt_for_text(text: str) -> str:
    with warnings.catch_warnings():
        # If the terminal cannot hide the input, getpass would show a warning and then the
        # passphrase.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            if sys.platform == "win32" and is_terminal(sys.stdin) and _find_kernel() is None:
                return ask_for_passphrase(text)
            return getpass.getpass(text)
        except (EOFError, OSError, NotImplementedError, getpass.GetPassWarning):
            raise PassphraseError(
                ("this terminal would display the passphrase, so lyncnb does not prompt for it"),
                hint=f"use --passphrase-file, or set {VARIABLE}",
            ) from None
