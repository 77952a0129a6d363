"""A scan of a notebook finds hidden secrets of every type, and does not report other texts."""

from __future__ import annotations

import base64
import gzip
import html
import json
from functools import partial
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from growth import find_superlinear_size
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import REPOSITORY
from topologies import edge, front_end, plan

import lyncnb as ln
from lyncnb.jupyter.leak_scan import replace_paths, scan_notebook
from lyncnb.jupyter.notebook_files import WIDGET_VIEW, read_notebook, strip_widgets
from lyncnb.pki.passphrase import Secret

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PLAIN = serialization.NoEncryption()
DER = KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, PLAIN)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, PLAIN
).decode()
LOCKED = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"x"),
).decode()
OPENSSH = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, PLAIN
).decode()
PFX = pkcs12.serialize_key_and_certificates(
    b"x", KEY, None, None, serialization.BestAvailableEncryption(b"x")
)
PASSPHRASE = 'blue "horse" & staple'
# "/tmp" is defined separately, because the repository must not contain paths of a specific
# computer.
TEMPORARY = "/tmp"
# These paths are split, because the repository must not contain paths of a specific computer.
HOME = "/".join(["", "home", "alice"])
WINDOWS_HOME = "\\".join(["C:", "Users", "alice"])
STATE = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"value": "x"}}}}


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def printed(text: str, name: str = "stdout"):
    return new_code_cell("1", outputs=[new_output("stream", name=name, text=text)])


def make_cell(kind: str, content):
    return new_code_cell("1", outputs=[new_output("display_data", data={kind: content})])


PLANTED = {
    "key in PEM": printed(PEM),
    "encrypted key in PEM": printed(LOCKED),
    "key in OpenSSH's form": new_markdown_cell(OPENSSH),
    "key with entities for its dashes": make_cell("text/html", PEM.replace("-", "&#45;")),
    "key with tags in it": make_cell("text/html", PEM.replace("PRIVATE", "<b>PRIVATE</b>")),
    "key file as base64, one byte off": printed("x" + coded(b"-" + PEM.encode())),
    "key coded twice": printed(coded(coded(PEM.encode()).encode())),
    "key packed": printed(coded(gzip.compress(PEM.encode()))),
    "DER in hexadecimal": printed(DER.hex()),
    "DER as a hex dump": printed(DER.hex(":")),
    "DER as Python shows it": make_cell("text/plain", repr(DER)),
    "DER as numbers": printed(str(list(DER))),
    "PFX as base64": printed(coded(PFX)),
    "PFX as Python shows it": make_cell("text/plain", repr(PFX)),
    "PFX attached": new_markdown_cell("x", attachments={"a.pfx": {"application/x-pkcs12": coded(PFX)}}),
    "key as an address": make_cell("text/html", f'<a href="data:text/plain,{quote(PEM)}">key</a>'),
    "JSON Web Key": printed(json.dumps({"kty": "RSA", "n": "x", "e": "AQAB", "d": "secret"})),
    "JSON Web Key as values": make_cell("application/json", {"kty": "EC", "crv": "P-256", "d": "x"}),
    "openssl -text": printed("Private-Key: (2048 bit, 2 primes)\nmodulus:\n    00:aa"),
    "key in XML": printed("<RSAKeyValue><Modulus>x</Modulus><D>x</D></RSAKeyValue>"),
    "answer to a question": printed("Passphrase: hunter2\n", "stdin"),
    "passphrase written": new_code_cell("ln.write_pfx(x, 'pfx', passphrase='four random words')"),
    "secret variable": new_code_cell('client_secret = "hunter2-hunter2"'),
    "secret in a dictionary": new_code_cell('login = {"user": "me", "password": "hunter2"}'),
    "secret with a type": new_code_cell('api_key: str = "hunter2-hunter2"'),
    "environment variable": new_code_cell("%env LYNCNB_PASSPHRASE=hunter2"),
    "PowerShell's secure string": new_code_cell("# ConvertTo-SecureString 'hunter2' -AsPlainText"),
    "secure string in an output": printed('(ConvertTo-SecureString "hunter2" -AsPlainText -Force)'),
    "environment in an output": printed("HOME=/root\nLYNCNB_PASSPHRASE=four random words\n"),
    "token for signing in": printed("Authorization: Bearer abcdefghijklmnopqrstuvwx.yz"),
    "token in an address": printed(f"http://127.0.0.1:8888/lab?token={'3f' * 24}"),
    "token in a link": make_cell("text/html", f'<a href="/lab?reset&amp;token={"3f" * 24}">lab</a>'),
    "token of GitHub": printed("remote: ghp_" + "a1" * 18),
    "token of AWS": new_code_cell("client = connect('AKIA" + "J7" * 8 + "')"),
    "JSON Web Token": printed(f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{'c2ln' * 8}"),
    "passphrase printed": printed(f"it is {PASSPHRASE}"),
    "passphrase on a page": make_cell("text/html", f"<p>{html.escape(PASSPHRASE)}</p>"),
    "passphrase split by markup": make_cell(
        "text/html", f"<p>{PASSPHRASE[:7]}<b>{PASSPHRASE[7:]}</b></p>"
    ),
    "passphrase coded": printed(coded(b"ab" + PASSPHRASE.encode())),
    "passphrase in UTF-16 coded": printed(coded(PASSPHRASE.encode("utf-16-le"))),
    "passphrase in hexadecimal": printed(PASSPHRASE.encode().hex()),
    "home folder": printed(f"written: {HOME}/lync/requests"),
    "home folder of Windows": printed(repr(WINDOWS_HOME + "\\requests")),
    "temporary folder": printed(f"{TEMPORARY}/tmpab12cd/requests/keys"),
    "temporary folder of macOS": new_code_cell('folder = "/private/var/folders/x1/abc/T/requests"'),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(kind):
    """The scan reports a secret with its cell, and the message does not repeat the secret."""
    notebook = new_notebook(cells=[new_markdown_cell("x"), PLANTED[kind]])
    problems = scan_notebook(
        notebook, name="a.ipynb", known_secrets=[Secret(PASSPHRASE)], paths=True
    )
    assert [problem.file for problem in problems] == ["a.ipynb cell 2"]
    message = str(problems[0])
    assert not any(
        secret in message for secret in ("hunter2", "horse", "alice", "tmpab12cd", "MII")
    )
    assert problems[0].hint


@pytest.mark.parametrize(
    "metadata", [{"widgets": STATE}, {"note": PEM}, {"note": coded(PFX)}, {"note": PASSPHRASE}]
)
def test_the_metadata_is_also_scanned(metadata):
    """The scan finds widget state, keys and passphrases in the metadata of a notebook."""
    notebook = new_notebook(cells=[new_markdown_cell("x")], metadata=metadata)
    (problem,) = scan_notebook(notebook, known_secrets=[Secret(PASSPHRASE)])
    assert problem.file == "notebook"


def work_notebook():
    """Return a notebook with the tables, pictures, requests and hashes from a day of planning."""
    planned = plan(front_end(1), front_end(2), edge(1))
    request = "-----BEGIN CERTIFICATE REQUEST-----\n" + coded(bytes(range(256)) * 3)
    return new_notebook(
        cells=[
            new_markdown_cell("# Plan\nThe private key stays in `keys/`; ask for the password."),
            new_code_cell("getpass('Passphrase: ')\nfolder = 'x'"),
            new_code_cell("passphrase = ln.ask_passphrase()\npassword_list = read(PASSWORDS)"),
            make_cell("text/html", planned._repr_html_()),
            *[make_cell("text/html", ln.figure(planned, k)._repr_html_()) for k in ("", "coverage")],
            printed(request + "\n-----END CERTIFICATE REQUEST-----\n"),
            printed("\n".join(f"{certificate.id} {planned.sha256}" for certificate in planned.certificates)),
            printed("requests/csr/FrontEnd-ee01.csr and https://learn.microsoft.com/home/lync"),
            printed("Passphrase: ········\n", "stdin"),
        ]
    )  # fmt: skip


def public_notebook():
    """Return a notebook with public keys, certificates and thumbprints in many encodings."""
    public = KEY.public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    return new_notebook(
        cells=[
            printed(pem),
            printed(der.hex(":")),
            printed(repr(der)),
            printed(str(list(der))),
            printed(coded(der)),
            printed(json.dumps({"kty": "RSA", "n": coded(der), "e": "AQAB"})),
            printed("Public-Key: (2048 bit)\nModulus:\n    00:aa:bb"),
            new_code_cell(
                'token = None\nsecret = ""\npassword_file = "list.enc"\nkey_bits = "2048"'
            ),
        ]
    )


def shipped(name):
    def read():
        notebook = read_notebook(REPOSITORY / "notebooks" / name)
        strip_widgets(notebook)
        return notebook

    return read


@pytest.mark.parametrize(
    "make",
    [
        shipped("plan.ipynb"),
        shipped("receive.ipynb"),
        shipped("explore.ipynb"),
        work_notebook,
        public_notebook,
    ],
    ids=["plan", "receive", "explore", "work", "public"],
)
def test_a_clean_notebook_passes(make):
    """The scan reports nothing in notebooks that contain no secret."""
    assert scan_notebook(make(), known_secrets=[Secret(PASSPHRASE)], paths=True) == ()


def test_paths_are_removed_from_outputs_only():
    """Cleaning a notebook replaces the path of a home folder with a tilde in outputs, but not in
    the source.
    """
    notebook = new_notebook(
        cells=[
            printed(f"{HOME}/a/b and {TEMPORARY}/tmpx1/keys\n"),
            make_cell("text/html", f"<td>{WINDOWS_HOME}\\b</td>"),
            new_code_cell(f'open("{HOME}/x")'),
        ]
    )
    assert replace_paths(notebook)
    assert notebook.cells[0].outputs[0].text == "~/a/b and (temporary)/keys\n"
    assert notebook.cells[1].outputs[0].data["text/html"] == "<td>~\\b</td>"
    assert HOME in notebook.cells[2].source
    assert not replace_paths(notebook)


def test_the_view_of_a_widget_is_not_reported():
    """The scan does not report the view of a widget, because only the widget's state contains
    values.
    """
    assert scan_notebook(new_notebook(cells=[make_cell(WIDGET_VIEW, {"model_id": "abc"})])) == ()


@pytest.mark.parametrize("piece", ["0", "a1", "b'", '"d":"', "1 "])
def test_scan_time_is_proportional_to_the_cell(piece):
    """The time to scan a cell is proportional to the length of the cell."""

    def work(size: int):
        notebook = new_notebook(cells=[new_code_cell(piece * (size // len(piece)))])
        return partial(scan_notebook, notebook, known_secrets=[Secret(PASSPHRASE)], paths=True)

    assert find_superlinear_size(work, size=25_000, most=200_000) is None
