"""The program ssh-keygen rejects altered plans and altered signatures."""

from __future__ import annotations

import base64
import os
import random
from datetime import date

import pytest
from places import DATA
from ssh_keys import make_key, needs_ssh_keygen, sign_by_hand
from tampering import tamper_with_plan

import lyncnb as ln
from lyncnb.errors import ApprovalError, ArgumentError
from lyncnb.export.approve_plan import check_approval

pytestmark = [pytest.mark.tools, needs_ssh_keygen]

# In CI, the test makes only a tenth of the alterations.
COUNT = int(os.environ.get("LYNCNB_TAMPERED", "100"))
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def armored(blob: bytes) -> bytes:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join([_BEGIN, *lines, _END, ""]).encode()


def altered_signature(chance: random.Random, signature: bytes) -> bytes:
    """Change a bit, a byte or the length of the data in a signature."""
    blob = bytearray(base64.b64decode(b"".join(signature.splitlines()[1:-1])))
    position, kind = chance.randrange(len(blob)), chance.randrange(3)
    if kind == 0:
        blob[position] ^= 1 << chance.randrange(8)
    elif kind == 1:
        blob[position] = (blob[position] + chance.randrange(1, 256)) % 256
    else:
        blob = blob[:position]
    return armored(bytes(blob))


@pytest.fixture
def approved(tmp_path):
    """Return a sample plan that was approved with a key that may sign plans."""
    public = make_key(tmp_path / "key")
    (tmp_path / "signers").write_text(f"alice@contoso.com {public}\n")
    planned = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules())
    findings = ln.check_plan(planned, on=date(2026, 11, 25))
    saved = ln.save_plan(planned, tmp_path / "p.json", findings=findings)
    approval = ln.approve_plan(saved.path, key=tmp_path / "key")
    (signature,) = check_approval(saved, tmp_path / "signers")
    assert (signature.signer, signature.key) == ("alice@contoso.com", approval.key)
    return saved


def test_tampered_plan_or_signature_is_rejected(approved, tmp_path):
    """A plan with an altered value or signature, or with the signature of another plan, is
    rejected, even if its digest is correct.
    """
    chance, signers = random.Random(int(os.environ.get("LYNCNB_SEED", "21"))), tmp_path / "signers"
    signature = (tmp_path / "p.json.sig").read_bytes()
    make_key(tmp_path / "mallory")
    sign_by_hand(tmp_path / "mallory", approved.path)
    other_key = (tmp_path / "p.json.sig").read_bytes()
    sign_by_hand(tmp_path / "key", approved.path, namespace="git")
    other_use = (tmp_path / "p.json.sig").read_bytes()
    tried = readable = 0
    while tried < COUNT:
        data, sig = approved.data, signature
        kind = chance.randrange(10)
        if kind < 5:
            _, data = tamper_with_plan(chance, approved.data)
        elif kind < 8:
            sig = altered_signature(chance, signature)
        else:
            sig = other_key if kind == 8 else other_use
        if (data, sig) == (approved.data, signature):
            continue
        tried += 1
        approved.path.write_bytes(data)
        (tmp_path / "p.json.sig").write_bytes(sig)
        # If the altered value does not affect any result, lyncnb can still read the plan, so the
        # signature check must reject the plan.
        try:
            saved = ln.read_saved_plan(approved.path)
        except ln.LyncnbError:
            continue
        readable += 1
        with pytest.raises(ApprovalError):
            check_approval(saved, signers)
    assert readable >= COUNT // 3


def test_python_call_records_the_approver(approved, tmp_path):
    """If requests are created with the Python functions, the manifest of the folder records the
    approver of the plan.

    A plan that was not saved cannot be approved.
    """
    bundle = ln.write_requests(
        ln.read_saved_plan(approved.path), tmp_path / "r", passphrase=None, dry_run=True,
        approved_by=tmp_path / "signers",
    )  # fmt: skip
    ((approval,),) = [plan.approvals for plan in bundle.manifest.plans]
    assert approval.signer == "alice@contoso.com"
    with pytest.raises(ArgumentError, match="a saved plan already contains findings"):
        ln.write_requests(approved, tmp_path / "r", passphrase=None, dry_run=True, findings=())
    with pytest.raises(ApprovalError, match="only a saved plan"):
        ln.write_requests(
            approved.plan, tmp_path / "r", passphrase=None, dry_run=True,
            approved_by=tmp_path / "signers",
        )  # fmt: skip


@pytest.mark.parametrize("name", ["a\x1b[31m@contoso.com", "a\u202e@contoso.com", "a\x85b"])
def test_signer_with_an_unreadable_name_is_not_recorded(approved, tmp_path, name):
    """lyncnb does not record a signer whose name contains control characters or other characters
    that would make the folder unreadable.
    """
    _, public = (tmp_path / "signers").read_text().split(" ", 1)
    (tmp_path / "signers").write_text(f"{name} {public}")
    with pytest.raises(ApprovalError, match=r"<U\+") as caught:
        check_approval(approved, tmp_path / "signers")
    assert caught.value.message.isprintable()
