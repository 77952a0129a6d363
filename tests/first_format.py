"""Create a request folder in the format ``lyncnb-requests/1``, as commit cedf946 wrote it.

The current package creates the keys, CSRs, certificates, and packages. The code that writes the
manifest is a copy from that commit and never changes. No key is committed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, TODAY, issue_all, make_folder, make_plan

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.request_folder.bundle import open_requests

# The fields of the first manifest format in commit cedf946, in the order of the dataclasses.
_HEAD = ("product", "plan_sha256", "accepted", "summary", "encrypted", "rekeying", "log")
_REQUEST = (
    *("id", "generation", "state", "files", "csr_sha256", "spki_sha256", "key_sha256"),
    *("planned_at", "written_at", "issued_at", "packaged_at", "retired_at", "deployed_at"),
    *("reasons", "ca", "target_os", "rule", "validity_days", "plan", "issued", "package"),
    "archived",
)
_ARCHIVED = (
    *("generation", "files", "csr_sha256", "spki_sha256", "key_sha256", "superseded_at"),
    *("reasons", "purged_at", "plan", "issued", "package"),
)
_PLAN = (
    *("id", "role", "site", "pool", "servers", "usages", "subject", "san", "eku", "issuer"),
    *("key", "hash", "shared_by", "exportable"),
)
_ISSUED = (
    *("file", "chain", "serial", "thumbprint_sha1", "sha256", "not_before", "not_after"),
    *("received_at", "findings"),
)
_PACKAGE = (
    *("file", "target_os", "encryption", "friendly_name", "certificate", "sha256"),
    "packaged_at",
)


def _fields(values: dict | None, names: tuple[str, ...]) -> dict | None:
    return None if values is None else {name: values[name] for name in names}


def first_manifest(document: dict) -> bytes:
    """Return the values of a manifest in the order in which the first format stored them."""
    dump = json.JSONEncoder(ensure_ascii=False).encode
    lines = ["{\n" + dump("format") + ": " + dump("lyncnb-requests/1")]
    lines += [f",\n{dump(name)}: {dump(document[name])}" for name in _HEAD]
    lines.append(',\n"requests": [')
    for number, request in enumerate(document["requests"]):
        entry = _fields(request, _REQUEST)
        entry["archived"] = [_fields(old, _ARCHIVED) for old in entry["archived"]]
        for part in (entry, *entry["archived"]):
            part["plan"] = _fields(part["plan"], _PLAN)
            part["issued"] = _fields(part["issued"], _ISSUED)
            part["package"] = _fields(part["package"], _PACKAGE)
        lines.append(("\n" if number == 0 else ",\n") + dump(entry))
    lines.append("\n]}\n")
    return "".join(lines).encode()


def write_first_folder(folder: Path, returned: Path) -> None:
    """Create a request folder in the first format, which contains renewed, open, and packaged
    requests.

    Parameters
    ----------
    folder : Path
        The request folder to create.
    returned : Path
        The folder to create for the issued certificates.
    """
    ca, plan = PythonCa(), make_plan()
    make_folder(folder, plan)
    bundle = make_folder(folder, plan, renew=[plan.certificates[0].id], reason="again")
    answers = issue_all(bundle, ca, skip=[plan.certificates[2].id])
    returned.mkdir()
    (returned / "all.pem").write_bytes(pem(*answers.values(), *ca.chain))
    receive(folder, returned, today=TODAY)
    write_pfx(match_certificates(open_requests(folder), today=TODAY), passphrase=PASSPHRASE)
    path = folder / "manifest.json"
    document = json.loads(path.read_bytes())
    document["summary"]["of"] = document["summary"].pop("made_of")
    path.write_bytes(first_manifest(document))
    for later in ("plan.json", "history.jsonl"):
        (folder / later).unlink()


def digest(folder: Path) -> dict[str, str]:
    """Return the hash and modification time of every file in a folder."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mtime_ns} "
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", "lyncnb.lock")
    }
