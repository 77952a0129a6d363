"""lyncnb reads a passphrase from a file, the environment or a prompt, and never shows it."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lyncnb as ln
from lyncnb.errors import PassphraseError
from lyncnb.pki import passphrase
from lyncnb.pki.passphrase import Secret, ask_passphrase, check_new_passphrase, check_passphrase

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    """Start each test without a terminal, and without a passphrase in the environment or in memory."""
    monkeypatch.delenv(passphrase.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    passphrase.forget_passphrase()
    yield
    passphrase.forget_passphrase()


@pytest.fixture
def typed(monkeypatch):
    """Simulate a prompt at which the given lines are typed. Return the list of prompts that were
    shown.
    """
    prompts: list[str] = []

    def use(*lines: str) -> list[str]:
        answers = iter(lines)

        def getpass(prompt: str) -> str:
            prompts.append(prompt)
            return next(answers)

        monkeypatch.setattr(passphrase.getpass, "getpass", getpass)
        monkeypatch.setattr(passphrase, "_can_prompt", lambda: True)
        return prompts

    return use


SHOWN = {
    "repr": repr,
    "str": str,
    "format": "{}".format,
    "format width": "{:>30}".format,
    "f-string": lambda secret: f"{secret!r} {secret!s} {secret}",
    "percent": lambda secret: f"%s %r {secret}" % (secret, secret),
    "in a list": lambda secret: str([secret, {"a": secret}]),
    "copy": lambda secret: repr(copy.copy(secret)),
    "deep copy": lambda secret: repr(copy.deepcopy({"a": secret})),
    "attributes": lambda secret: str(getattr(secret, "__dict__", "")),
    "json": lambda secret: json.dumps(secret, default=repr),
    "exception": lambda secret: str(ValueError(secret)),
}


@pytest.mark.parametrize("way", SHOWN)
def test_a_secret_shows_stars(way):
    """If a secret is printed in any way, stars appear instead of its text."""
    assert "horse" not in SHOWN[way](Secret(WORDS))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_secret_cannot_be_used(protocol):
    """A pickled secret does not contain the text, and the unpickled secret cannot be used."""
    data = pickle.dumps(Secret(WORDS), protocol)
    assert b"***" in data
    assert b"horse" not in data
    with pytest.raises(
        PassphraseError, match="a copy of a secret from a file or from another process"
    ):
        pickle.loads(data).reveal()


def test_a_secret_is_not_in_a_log_or_traceback(caplog):
    """If a secret, or an error that contains a secret, is logged, the text of the secret is not
    shown.
    """
    logging.getLogger("lyncnb").warning("using %s and %r", Secret(WORDS), Secret(WORDS))
    with pytest.raises(PassphraseError) as caught:
        check_passphrase(Secret("short horse"))
    assert "horse" not in caplog.text + str(caught.value) + repr(caught.value.args)


def test_secrets_are_equal_if_their_texts_are_equal():
    """Two secrets are equal if their texts are equal. A secret does not equal a string, and cannot
    be hashed or changed.
    """
    assert Secret(WORDS) == Secret(WORDS)
    assert Secret(WORDS) != Secret(WORDS.upper())
    assert Secret(WORDS) != WORDS
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(WORDS))
    with pytest.raises(AttributeError, match="you cannot change a Secret object"):
        Secret(WORDS)._text = "other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elf letters", "has 11 characters, but at least 12 are required"),
        ("", "has 0 characters"),
        ("with a\x00in the middle", "cannot be typed"),
        ("with\ta tab in it", "cannot be typed"),
        (
            "a lone surrogate \udc80",
            "cannot be typed",
        ),  # For a byte that cannot be decoded, Python uses a lone surrogate.
        ("密" * 334, "longer than 1000 bytes"),
    ],
)
def test_invalid_passphrases_are_rejected_with_the_reason(text, message):
    """lyncnb rejects a passphrase that is too short, that is too long for OpenSSL, or that contains
    control characters, and reports the reason.
    """
    with pytest.raises(PassphraseError, match=message):
        check_passphrase(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=12, max_size=250))
def test_any_text_of_twelve_characters_is_accepted(text):
    """Any passphrase of at least twelve letters, symbols and spaces is accepted without changes."""
    assert check_passphrase(text).reveal() == text


@pytest.mark.parametrize(
    "data",
    [
        WORDS.encode(),
        WORDS.encode() + b"\n",
        WORDS.encode() + b"\r\nanother line\r\n",
        # Notepad writes this byte order mark in UTF-8 files.
        b"\xef\xbb\xbf" + WORDS.encode() + b"\n",
    ],
)
def test_the_first_line_of_a_file_is_the_passphrase(tmp_path, data):
    """The passphrase is the first line of the file, without the byte order mark and the line
    ending.
    """
    (tmp_path / "pass").write_bytes(data)
    assert ask_passphrase(file=tmp_path / "pass") == Secret(WORDS)


def test_blanks_in_a_file_belong_to_the_passphrase(tmp_path):
    """Spaces at the end of the first line are part of the passphrase. Only the line ending is
    removed.
    """
    (tmp_path / "pass").write_bytes(f" {WORDS} \n".encode())
    assert ask_passphrase(file=tmp_path / "pass").reveal() == f" {WORDS} "


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot read the file"),
        (b"", "has 0 characters"),
        (WORDS.encode("utf-16")[:-1], "not UTF-8"),  # half a letter
        ("密碼密碼密碼密碼密碼密碼密碼".encode("cp950"), "not UTF-8"),
        (b"x" * 70_000, "longer than 4,096 bytes"),
    ],
)
def test_the_error_contains_the_name_of_an_invalid_file(tmp_path, data, message):
    """If the passphrase file is missing, empty, wrongly encoded or very large, the error contains
    its name.
    """
    if data is not None:
        (tmp_path / "pass").write_bytes(data)
    with pytest.raises(PassphraseError, match=message) as caught:
        ask_passphrase(file=tmp_path / "pass")
    assert str(tmp_path / "pass") in caught.value.message
    assert caught.value.exit_status == 3


def pipe_of(data: bytes, *, seconds: float = 0.0, stays_open: bool = False) -> int:
    """Return the file descriptor of a pipe's reading end. A thread writes the data to the pipe,
    immediately or after a delay.
    """
    reading, writing = os.pipe()

    def write() -> None:
        time.sleep(seconds)
        os.write(writing, data)
        if not stays_open:
            os.close(writing)

    threading.Thread(target=write, daemon=True).start()
    return reading


@pytest.mark.parametrize("stays_open", [False, True])
def test_a_passphrase_is_read_from_a_pipe(stays_open):
    """A passphrase can be read from a pipe, as in <(command), without waiting for the end of the
    pipe.
    """
    descriptor = pipe_of(WORDS.encode() + b"\nmore\n", seconds=0.2, stays_open=stays_open)
    assert ask_passphrase(file=f"/dev/fd/{descriptor}") == Secret(WORDS)
    os.close(descriptor)


def test_a_passphrase_is_read_from_standard_input():
    """A passphrase can be read from /dev/stdin and from the process substitution of a shell."""
    code = (
        "import sys; from lyncnb.pki.passphrase import ask_passphrase\n"
        "print(len(ask_passphrase(file=sys.argv[1]).reveal()))"
    )
    command = [sys.executable, "-c", code, "/dev/stdin"]
    result = subprocess.run(command, input=f"{WORDS}\n", capture_output=True, text=True, check=True)
    assert result.stdout == f"{len(WORDS)}\n"


def test_a_named_pipe_without_a_writer_causes_an_error(tmp_path, monkeypatch):
    """If no program writes to a named pipe, lyncnb stops waiting after a time limit and raises an
    error.
    """
    monkeypatch.setattr(passphrase, "_LINE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PassphraseError, match="no data arrived within the time limit"):
        ask_passphrase(file=tmp_path / "pipe")


def test_endless_input_is_not_read_to_the_end():
    """If the input never ends, at most four kilobytes are read to find the end of the first line."""
    with pytest.raises(PassphraseError, match="longer than 4,096 bytes"):
        ask_passphrase(file="/dev/zero")
    descriptor = pipe_of(b"x" * 5000)
    with pytest.raises(PassphraseError, match="longer than 4,096 bytes"):
        ask_passphrase(file=f"/dev/fd/{descriptor}")
    os.close(descriptor)


TWO_SITES = b"""server_fqdn,role,site,sip_domains,web_external_fqdn
se01.litwareinc.com,StandardEdition,Hamburg,litwareinc.com,web.litwareinc.com
se02.litwareinc.com,StandardEdition,Munich,,
"""
GUESSED = (
    *("a" * 12, " " * 20, "password1234", "P@ssw0rd2026", "123456789012", "qwertyuiop12"),
    *("abcdefghijkl", "盧" * 12, "x" * 900),
)


@pytest.mark.parametrize("text", GUESSED, ids=[text[:12] for text in GUESSED])
def test_a_weak_passphrase_is_rejected_for_a_new_folder(text):
    """A passphrase that is easy to guess is accepted for an existing folder, but rejected for a new
    folder.

    The error does not contain the passphrase.
    """
    assert check_passphrase(text).reveal() == text
    with pytest.raises(PassphraseError, match="too easy to guess") as caught:
        check_new_passphrase(text)
    assert text not in str(caught.value) + caught.value.hint


def test_a_name_of_the_plan_is_not_a_passphrase():
    """A name from the plan is rejected as a passphrase, however long it is."""
    name = "lyncpool-taipei.contoso.com"
    assert check_new_passphrase(name).reveal() == name
    with pytest.raises(PassphraseError, match="too easy to guess"):
        check_new_passphrase(name, known_words=("contoso.com", name))


@pytest.mark.parametrize(
    "text",
    ["litwareinc Hamburg Munich 2026", "Hamburg-LitwareInc-Munich!", "litwareincHamburgMunich"],
)
def test_several_names_of_the_plan_are_not_a_passphrase(text):
    """lyncnb rejects a passphrase that consists of names from the plan, but accepts a name that is
    combined with random words.
    """
    planned = ln.plan_certificates(ln.read_topology(TWO_SITES), ln.load_rules("lync2013"))
    known = planned.known_words
    with pytest.raises(
        PassphraseError, match="Names from the plan do not make the passphrase stronger"
    ) as caught:
        check_new_passphrase(text, known_words=known)
    assert text not in str(caught.value)
    words = f"Hamburg {WORDS} Munich"
    assert check_new_passphrase(words, known_words=known) == Secret(words)
    assert check_new_passphrase(WORDS, known_words=known) == Secret(WORDS)


def test_random_words_of_any_length_are_accepted():
    """Passphrases of random words are accepted, from 12 characters to the maximum length."""
    words = "lamp orbit canyon fiddle maple "
    for count in (1, 3, 30):
        assert check_new_passphrase(words * count) == Secret(words * count)


def test_a_weak_passphrase_is_asked_for_again(typed):
    """If a user types a weak passphrase for a new folder, the prompt shows the reason and asks
    again.

    For an existing folder, a weak passphrase is accepted.
    """
    prompts = typed("a" * 12, "contoso.com.", WORDS, WORDS)
    assert ask_passphrase(confirm=True, known=("contoso.com",)) == Secret(WORDS)
    assert [prompt.count("too easy to guess") for prompt in prompts] == [0, 1, 1, 0]
    assert ".." not in "".join(prompts)
    typed("a" * 12)
    assert ask_passphrase() == Secret("a" * 12)


def test_the_variable_is_removed_from_the_environment(monkeypatch):
    """The environment variable is removed after it is read, so that no child process receives it."""
    monkeypatch.setenv(passphrase.VARIABLE, WORDS)
    assert ask_passphrase() == Secret(WORDS)
    child = [sys.executable, "-c", "import os; print(os.environ.get('LYNCNB_PASSPHRASE'))"]
    assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "None\n"
    assert passphrase.VARIABLE not in os.environ
    assert ask_passphrase(confirm=True) == Secret(WORDS)
    monkeypatch.setenv(passphrase.VARIABLE, WORDS * 2)
    assert ask_passphrase() == Secret(WORDS * 2)


def test_the_error_contains_the_name_of_the_variable(monkeypatch):
    """If the passphrase in the environment variable is invalid, the error contains the name of the
    variable, but not its value.
    """
    monkeypatch.setenv(passphrase.VARIABLE, "short")
    with pytest.raises(PassphraseError, match="in LYNCNB_PASSPHRASE has 5 characters"):
        ask_passphrase()


def test_order_of_the_sources_of_a_passphrase(tmp_path, monkeypatch, typed):
    """lyncnb prefers the passphrase in the file to the passphrase in the environment, and asks for
    a passphrase only if both are missing.
    """
    prompts = typed("typed by the planner")
    (tmp_path / "pass").write_text("from the given file")
    monkeypatch.setenv(passphrase.VARIABLE, WORDS)
    assert ask_passphrase(file=tmp_path / "pass").reveal() == "from the given file"
    assert ask_passphrase().reveal() == WORDS
    assert prompts == []
    assert ask_passphrase(environ=False).reveal() == "typed by the planner"


def test_without_terminal_and_passphrase_there_is_a_hint():
    """If a script has no passphrase, the error lists the possible sources, and the exit status is
    3.
    """
    with pytest.raises(PassphraseError, match="lyncnb cannot prompt for it") as caught:
        ask_passphrase()
    assert caught.value.hint == "use --passphrase-file, or set LYNCNB_PASSPHRASE"
    assert caught.value.exit_status == 3


def test_the_prompt_asks_again_when_the_two_differ(typed):
    """If the passphrase and its repetition differ, the prompt shows a message and asks for both
    again.
    """
    prompts = typed(WORDS, "correct horse batterie", WORDS, WORDS)
    assert ask_passphrase(confirm=True) == Secret(WORDS)
    beginnings = [" ".join(prompt.split()[:2]) for prompt in prompts]
    assert beginnings == ["Passphrase (at", "Repeat the", "The two", "Repeat the"]


def test_the_prompt_gives_up_after_three_attempts(typed):
    """After three passphrases that are too short, the prompt ends with an error that does not
    contain the typed texts.
    """
    prompts = typed("horse", "horse", "horse")
    with pytest.raises(
        PassphraseError, match="you did not enter a valid passphrase in 3 attempts.*5 characters"
    ):
        ask_passphrase()
    assert "horse" not in "".join(prompts)


@pytest.mark.parametrize("error", [EOFError, OSError, NotImplementedError])
def test_a_prompt_that_cannot_ask_is_an_error_with_a_hint(monkeypatch, error):
    """If no passphrase can be typed, because there is no terminal or the input is closed, the error
    has a hint and exit status 3.
    """

    def getpass(_prompt):
        raise error

    monkeypatch.setattr(passphrase, "_can_prompt", lambda: True)
    monkeypatch.setattr(passphrase.getpass, "getpass", getpass)
    with pytest.raises(PassphraseError, match="this terminal would display the passphrase"):
        ask_passphrase()


ASK = "from lyncnb.pki.passphrase import ask_passphrase as a; print(len(a(confirm=True).reveal()))"


@pytest.mark.posix
def test_a_terminal_does_not_show_the_passphrase(repository):
    """In a real terminal, the user must type the passphrase twice, and the terminal does not show
    the typed text.
    """
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(sys.executable, ["-c", ASK], cwd=str(repository), timeout=60)
    child.logfile_read = seen = io.BytesIO()
    child.expect_exact("characters): ")
    child.sendline(WORDS)
    child.expect_exact("Repeat the passphrase: ")
    child.sendline(WORDS)
    child.expect_exact(f"{len(WORDS)}\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert b"horse" not in seen.getvalue()


@pytest.mark.slow
@pytest.mark.kernel
def test_a_notebook_cell_shows_a_password_field(repository):
    """In a notebook, the kernel asks for the passphrase in a password field, and no output shows
    it.
    """
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(repository))
    try:
        client.execute(textwrap.dedent(ASK.replace("confirm=True", "")), allow_stdin=True)
        prompt = client.get_stdin_msg(timeout=60)["content"]
        client.input(WORDS)
        reply = client.get_shell_msg(timeout=60)["content"]
        seen = []
        while not seen or seen[-1].get("execution_state") != "idle":
            seen.append(client.get_iopub_msg(timeout=60)["content"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert (prompt["password"], reply["status"]) == (True, "ok")
    assert f"{len(WORDS)}\n" in [content.get("text") for content in seen]
    assert "horse" not in str(seen)
