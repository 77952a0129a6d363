"""A secret shows nothing; a passphrase comes from a file, the environment or a prompt."""

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
from lyncnb.pki.passphrase import Secret, as_new_passphrase, as_passphrase, ask_passphrase
from lyncnb.plan.known_words import known_words

WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    """Start each test without a passphrase in the environment, in memory or at a terminal."""
    monkeypatch.delenv(passphrase.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    passphrase.forget_passphrase()
    yield
    passphrase.forget_passphrase()


@pytest.fixture
def typed(monkeypatch):
    """Type lines at a prompt that is there; give the list of prompts shown."""
    shown: list[str] = []

    def use(*lines: str) -> list[str]:
        answers = iter(lines)

        def getpass(prompt: str) -> str:
            shown.append(prompt)
            return next(answers)

        monkeypatch.setattr(passphrase.getpass, "getpass", getpass)
        monkeypatch.setattr(passphrase, "_can_ask", lambda: True)
        return shown

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
    """However it is printed, the text of a secret is not in the result."""
    assert "horse" not in SHOWN[way](Secret(WORDS))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_stars_that_are_of_no_use(protocol):
    """The text stays behind, and what comes out of the pickle refuses to be used."""
    data = pickle.dumps(Secret(WORDS), protocol)
    assert b"***" in data
    assert b"horse" not in data
    with pytest.raises(PassphraseError, match="copied from a file or another process"):
        pickle.loads(data).reveal()


def test_a_secret_is_not_in_a_log_or_traceback(caplog):
    """A logged secret and an error with a secret in it show nothing."""
    logging.getLogger("lyncnb").warning("using %s and %r", Secret(WORDS), Secret(WORDS))
    with pytest.raises(PassphraseError) as caught:
        as_passphrase(Secret("short horse"))
    assert "horse" not in caplog.text + str(caught.value) + repr(caught.value.args)


def test_secrets_compare_by_text_and_nothing_else():
    """Two secrets of one text are equal; a secret equals no text, and cannot be hashed or set."""
    assert Secret(WORDS) == Secret(WORDS)
    assert Secret(WORDS) != Secret(WORDS.upper())
    assert Secret(WORDS) != WORDS
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(WORDS))
    with pytest.raises(AttributeError, match="a secret is read-only"):
        Secret(WORDS)._text = "other"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elf letters", "has 11 characters, but at least 12 are required"),
        ("", "has 0 characters"),
        ("with a\x00in the middle", "cannot be typed"),
        ("with\ta tab in it", "cannot be typed"),
        ("a lone surrogate \udc80", "cannot be typed"),  # what an undecodable variable becomes
        ("密" * 334, "longer than 1000 bytes"),
    ],
)
def test_a_passphrase_that_will_not_do_is_told_why(text, message):
    """Too short, too long for OpenSSL, or with characters nobody can type."""
    with pytest.raises(PassphraseError, match=message):
        as_passphrase(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=12, max_size=250))
def test_any_text_of_twelve_characters_will_do(text):
    """Every passphrase of letters, signs and blanks is taken as it is."""
    assert as_passphrase(text).reveal() == text


@pytest.mark.parametrize(
    "data",
    [
        WORDS.encode(),
        WORDS.encode() + b"\n",
        WORDS.encode() + b"\r\nanother line\r\n",
        b"\xef\xbb\xbf" + WORDS.encode() + b"\n",  # Notepad's UTF-8
    ],
)
def test_the_first_line_of_a_file_is_the_passphrase(tmp_path, data):
    """Byte order mark and line end are stripped, further lines ignored."""
    (tmp_path / "pass").write_bytes(data)
    assert ask_passphrase(file=tmp_path / "pass") == Secret(WORDS)


def test_blanks_in_a_file_belong_to_the_passphrase(tmp_path):
    """Only the line end goes: a blank at the end is part of it."""
    (tmp_path / "pass").write_bytes(f" {WORDS} \n".encode())
    assert ask_passphrase(file=tmp_path / "pass").reveal() == f" {WORDS} "


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot read the file"),
        (b"", "has 0 characters"),
        (WORDS.encode("utf-16"), "not UTF-8"),
        ("密碼密碼密碼密碼密碼密碼密碼".encode("cp950"), "not UTF-8"),
        (b"x" * 70_000, "longer than 4,096 bytes"),
    ],
)
def test_a_file_that_will_not_do_is_named(tmp_path, data, message):
    """A missing, empty, wrongly encoded or huge file is an error with its name."""
    if data is not None:
        (tmp_path / "pass").write_bytes(data)
    with pytest.raises(PassphraseError, match=message) as caught:
        ask_passphrase(file=tmp_path / "pass")
    assert str(tmp_path / "pass") in caught.value.message
    assert caught.value.exit_status == 3


def pipe_of(data: bytes, *, seconds: float = 0.0, stays_open: bool = False) -> int:
    """Give the reading end of a pipe that somebody writes to, at once or later."""
    reading, writing = os.pipe()

    def write() -> None:
        time.sleep(seconds)
        os.write(writing, data)
        if not stays_open:
            os.close(writing)

    threading.Thread(target=write, daemon=True).start()
    return reading


@pytest.mark.parametrize("stays_open", [False, True])
def test_a_pipe_hands_over_the_passphrase(stays_open):
    """As password managers do it: <(command); nobody waits for the pipe's end."""
    descriptor = pipe_of(WORDS.encode() + b"\nmore\n", seconds=0.2, stays_open=stays_open)
    assert ask_passphrase(file=f"/dev/fd/{descriptor}") == Secret(WORDS)
    os.close(descriptor)


def test_standard_input_hands_over_the_passphrase():
    """/dev/stdin and a shell's process substitution are pipes without a place of their own."""
    code = (
        "import sys; from lyncnb.pki.passphrase import ask_passphrase\n"
        "print(len(ask_passphrase(file=sys.argv[1]).reveal()))"
    )
    command = [sys.executable, "-c", code, "/dev/stdin"]
    done = subprocess.run(command, input=f"{WORDS}\n", capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(WORDS)}\n"


def test_a_named_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, monkeypatch):
    """After ten seconds it is told; a test does not wait that long."""
    monkeypatch.setattr(passphrase, "_LINE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PassphraseError, match="no data arrived within the time limit"):
        ask_passphrase(file=tmp_path / "pipe")


def test_what_never_ends_is_not_read_without_end():
    """Four kilobytes are enough for a first line."""
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
def test_what_is_easy_to_guess_protects_nothing_new(text):
    """It still opens what it protects; a refusal for anything new does not repeat it."""
    assert as_passphrase(text).reveal() == text
    with pytest.raises(PassphraseError, match="too easy to guess") as caught:
        as_new_passphrase(text)
    assert text not in str(caught.value) + caught.value.hint


def test_names_of_the_plan_are_guessed_first():
    """A name that the attacker can look up is no passphrase, however long it is."""
    name = "lyncpool-taipei.contoso.com"
    assert as_new_passphrase(name).reveal() == name
    with pytest.raises(PassphraseError, match="too easy to guess"):
        as_new_passphrase(name, known=("contoso.com", name))


@pytest.mark.parametrize(
    "text",
    ["litwareinc Hamburg Munich 2026", "Hamburg-LitwareInc-Munich!", "litwareincHamburgMunich"],
)
def test_names_of_the_plan_in_a_row_are_guessed(text):
    """Names count for nothing, together as alone; random words beside a name are enough."""
    known = known_words(
        ln.plan_certificates(ln.read_topology(TWO_SITES), ln.load_rules("lync2013"))
    )
    with pytest.raises(PassphraseError, match="Without the names from the plan") as caught:
        as_new_passphrase(text, known=known)
    assert text not in str(caught.value)
    words = f"Hamburg {WORDS} Munich"
    assert as_new_passphrase(words, known=known) == Secret(words)
    assert as_new_passphrase(WORDS, known=known) == Secret(WORDS)


def test_random_words_are_taken_whatever_their_length():
    """Between 12 characters and the longest, no passphrase of random words is refused."""
    words = "lamp orbit canyon fiddle maple "
    for count in (1, 3, 30):
        assert as_new_passphrase(words * count) == Secret(words * count)


def test_a_weak_passphrase_is_asked_for_again(typed):
    """A person who types one for a new folder hears why; for an open folder it is taken."""
    prompts = typed("a" * 12, "contoso.com.", WORDS, WORDS)
    assert ask_passphrase(confirm=True, known=("contoso.com",)) == Secret(WORDS)
    assert [prompt.count("too easy to guess") for prompt in prompts] == [0, 1, 1, 0]
    assert ".." not in "".join(prompts)
    typed("a" * 12)
    assert ask_passphrase() == Secret("a" * 12)


def test_the_variable_is_taken_out_of_the_environment(monkeypatch):
    """No child process gets it, and the same process may ask again."""
    monkeypatch.setenv(passphrase.VARIABLE, WORDS)
    assert ask_passphrase() == Secret(WORDS)
    child = [sys.executable, "-c", "import os; print(os.environ.get('LYNCNB_PASSPHRASE'))"]
    assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "None\n"
    assert passphrase.VARIABLE not in os.environ
    assert ask_passphrase(confirm=True) == Secret(WORDS)
    monkeypatch.setenv(passphrase.VARIABLE, WORDS * 2)
    assert ask_passphrase() == Secret(WORDS * 2)


def test_a_variable_that_will_not_do_is_named(monkeypatch):
    """The message names the variable, not its value."""
    monkeypatch.setenv(passphrase.VARIABLE, "short")
    with pytest.raises(PassphraseError, match="in LYNCNB_PASSPHRASE has 5 characters"):
        ask_passphrase()


def test_a_file_goes_before_the_variable_and_the_variable_before_the_prompt(
    tmp_path, monkeypatch, typed
):
    """The order is file, environment, prompt; the environment can be left out."""
    prompts = typed("typed by the planner")
    (tmp_path / "pass").write_text("from the given file")
    monkeypatch.setenv(passphrase.VARIABLE, WORDS)
    assert ask_passphrase(file=tmp_path / "pass").reveal() == "from the given file"
    assert ask_passphrase().reveal() == WORDS
    assert prompts == []
    assert ask_passphrase(environ=False).reveal() == "typed by the planner"


def test_without_terminal_and_passphrase_there_is_a_hint():
    """In a script without any source the error says what to give, exit status 3."""
    with pytest.raises(PassphraseError, match="lyncnb cannot prompt for it") as caught:
        ask_passphrase()
    assert caught.value.hint == "use --passphrase-file, or set LYNCNB_PASSPHRASE"
    assert caught.value.exit_status == 3


def test_the_prompt_asks_again_when_the_two_differ(typed):
    """A slip at the second time is told, and both are asked again."""
    prompts = typed(WORDS, "correct horse batterie", WORDS, WORDS)
    assert ask_passphrase(confirm=True) == Secret(WORDS)
    beginnings = [" ".join(prompt.split()[:2]) for prompt in prompts]
    assert beginnings == ["Passphrase (at", "Repeat the", "The two", "Repeat the"]


def test_the_prompt_gives_up_after_three_attempts(typed):
    """Too short three times is an error, and no prompt shows what was typed."""
    prompts = typed("horse", "horse", "horse")
    with pytest.raises(
        PassphraseError, match="no valid passphrase was entered in 3 attempts.*5 characters"
    ):
        ask_passphrase()
    assert "horse" not in "".join(prompts)


@pytest.mark.parametrize("error", [EOFError, OSError, NotImplementedError])
def test_a_prompt_that_cannot_ask_is_an_error_with_a_hint(monkeypatch, error):
    """Closed input, no terminal, or a kernel without input: no traceback, exit status 3."""

    def getpass(_prompt):
        raise error

    monkeypatch.setattr(passphrase, "_can_ask", lambda: True)
    monkeypatch.setattr(passphrase.getpass, "getpass", getpass)
    with pytest.raises(PassphraseError, match="cannot prompt for the passphrase in this terminal"):
        ask_passphrase()


ASK = "from lyncnb.pki.passphrase import ask_passphrase as a; print(len(a(confirm=True).reveal()))"


@pytest.mark.skipif(os.name == "nt", reason="a terminal of one's own is POSIX's")
def test_a_terminal_shows_nothing_of_what_is_typed(repository):
    """In a real terminal the passphrase is asked twice and never echoed."""
    pexpect = pytest.importorskip("pexpect")
    child = pexpect.spawn(sys.executable, ["-c", ASK], cwd=str(repository), timeout=30)
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
def test_a_notebook_cell_asks_by_a_password_field(repository):
    """In a kernel the request for input says password, and outputs show nothing of it."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(repository))
    try:
        client.execute(textwrap.dedent(ASK.replace("confirm=True", "")), allow_stdin=True)
        asked = client.get_stdin_msg(timeout=30)["content"]
        client.input(WORDS)
        reply = client.get_shell_msg(timeout=30)["content"]
        seen = []
        while not seen or seen[-1].get("execution_state") != "idle":
            seen.append(client.get_iopub_msg(timeout=30)["content"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert (asked["password"], reply["status"]) == (True, "ok")
    assert f"{len(WORDS)}\n" in [content.get("text") for content in seen]
    assert "horse" not in str(seen)
