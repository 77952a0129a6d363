"""A name in an untrusted file never causes lyncnb to write outside the intended folder.

Each text in a manifest, a saved plan, a saved evaluation, guided answers and a product file is
replaced, one at a time, by names that lead out of the folder or are device names of Windows. Then
the commands that create file names from such texts run.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import PASSPHRASE, TODAY, make_issued_folder, read_document, write_earlier
from installed_certificates import write_all
from shell_kit import make_shell
from topologies import STANDARD_EDITION

from lyncnb.base.disk.file_names import build_file_name
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError
from lyncnb.plan.saved_plan_json import encode_saved_plan
from lyncnb.rules import rule_files
from lyncnb.topology import columns

pytestmark = pytest.mark.usefixtures("quick_cipher")

shell = pytest.fixture(make_shell)

#: Paths to a file outside the folder, to a file inside the folder, and to a file outside the folder
#: on Windows.
PLANTED = ("../../outside/evil", "../summary", "..\\evil", "/outside/evil", "C:evil", "..")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory) -> Path:
    """Return a request folder with a request, its certificate, its package and a renewal."""
    work_folder = tmp_path_factory.mktemp("planted")
    issued = make_issued_folder(STANDARD_EDITION.encode(), work_folder)
    write_pfx(issued.match_issued(), passphrase=PASSPHRASE, today=TODAY)
    return issued.match_issued().bundle.folder


def list_string_paths(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the path of each string in a JSON document. An empty list counts as a list of one
    string.
    """
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from list_string_paths(below, (*path, name))
    elif isinstance(value, list):
        for number, below in enumerate(value[:2]):
            yield from list_string_paths(below, (*path, number))
        if not value:
            yield (*path, 0)


def replace_string(document: object, path: tuple[object, ...], text: str) -> object:
    """Return a copy of the document in which the string at the given path is replaced."""
    changed = copy.deepcopy(document)
    node = changed
    for step in path[:-1]:
        node = node[step]
    if isinstance(node, list) and not node:
        node.append(text)
    else:
        node[path[-1]] = text
    return changed


def files_below(folder: Path) -> set[str]:
    """Return every file below a folder, except those of an import into the record."""
    paths = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    own = ("/record/", "/archive/manifest-", "/.summary.json")
    return {path for path in paths if not any(part in path for part in own)}


def test_altered_manifest_never_leads_to_another_path(shell, packaged):
    """If a string in the manifest is altered, the steps and handover commands write to their usual
    paths or reject the manifest.
    """
    (shell.folder / "outside").mkdir()
    precious = shell.write("outside/evil.ps1", "precious")
    folder = Path(shutil.copytree(packaged, shell.folder / "deep" / "requests"))
    document = read_document(packaged)
    document["requests"][0]["plan"]["servers"] *= 2
    paths = [path for path in list_string_paths(document) if path[0] != "summary"]
    assert len(paths) > 60
    before = {name for name in files_below(shell.folder) if "/steps/" not in name}
    for number, path in enumerate(paths):
        is_name = {"servers", "key_holder", "issuer", "id", "file"} & set(path[-2:])
        for text in PLANTED if is_name else PLANTED[number % len(PLANTED) :][:1]:
            write_earlier(folder, replace_string(document, path, text))
            for command in ("steps", folder), ("handover", folder, "out.zip"):
                assert shell(*command).status in (0, 1, 2, 3), (path, text, command)
            package = shell.folder / "out.zip"
            if package.exists():
                names = zipfile.ZipFile(package).namelist()
                assert not [n for n in names if ".." in n or "\\" in n or n[0] == "/"], path
                package.unlink()
            after = {name for name in files_below(shell.folder) if "/steps/" not in name}
            assert after == before, (path, text)
            assert precious.read_text() == "precious"


@pytest.mark.parametrize("text", PLANTED)
def test_recorded_plan_with_a_path_as_a_server_is_rejected(shell, text):
    """lyncnb rejects a plan document in which the name of a server is a path, and the error message
    states where that name is.
    """
    shell.write("table.csv", STANDARD_EDITION)
    document = json.loads(shell("plan", "table.csv", "--json").out)
    document["certificates"][0]["servers"] = [text]
    shell.write("plan.json", json.dumps(document))
    shell.write("other.csv", STANDARD_EDITION)
    result = shell("compare", "plan.json", "other.csv")
    assert result.status == 2
    assert (
        "servers' must be a list in which each value is a host name such as fe01.contoso.com"
        in result.err
    )


@pytest.mark.parametrize("text", PLANTED)
def test_file_names_are_derived_from_valid_names(text):
    """lyncnb derives each file name from a valid host name or id, or writes no file."""
    with pytest.raises(BundleError, match="is not the name of a server or request"):
        build_file_name(text, ".ps1")


#: A Windows device name cannot be a file name or lead to another folder.
OTHERS = (*PLANTED, "con", "nul.csv")
PASS = ("--passphrase-file", "passphrase")


def run_in_folder(shell, commands, path) -> set[int]:
    """Run the commands, check that they change no file outside their folder, and return their exit
    statuses.
    """
    before = files_below(shell.folder)
    statuses = set()
    for command in commands:
        result = shell(*command)
        assert result.status in (0, 1, 2, 3), (path, command, result)
        assert result.status == 0 or result.err.startswith(("lyncnb: ", "error: ")), (path, result)
        statuses.add(result.status)
    assert not Path("/outside").exists(), path
    new_files = files_below(shell.folder) - before
    assert all(name.startswith("deep/made/") for name in new_files), (path, new_files)
    stems = {Path(name).name.partition(".")[0].casefold() for name in new_files}
    assert not stems & {"con", "nul"}, (path, new_files)
    shutil.rmtree(shell.folder / "deep", ignore_errors=True)
    return statuses


def test_altered_saved_plan_is_rejected(shell):
    """lyncnb rejects a saved plan if any string in it was altered, even if its digest was
    recalculated.
    """
    shell.write("table.csv", STANDARD_EDITION)
    shell.write("passphrase", PASSPHRASE)
    assert shell("plan", "table.csv", "--save", "p.json").status == 0
    document = json.loads((shell.folder / "p.json").read_bytes())
    del document["sha256"]
    paths = list(list_string_paths(document["certificates"][0], ("certificates", 0)))
    paths += [("product",), ("options", "product")]
    assert len(paths) > 15
    (shell.folder / "p.json").write_bytes(encode_saved_plan(document))
    command = ("request", "--plan", "p.json", "deep/made", *PASS)
    assert run_in_folder(shell, [command], "as it is") == {0}
    for number, path in enumerate(paths):
        altered = replace_string(document, path, OTHERS[number % len(OTHERS)])
        (shell.folder / "p.json").write_bytes(encode_saved_plan(altered))
        assert run_in_folder(shell, [command], path) == {2}, path


#: Fields of an as-is file whose strings lyncnb only prints, and never uses as the name of a
#: request.
REMARKS = frozenset(
    {"owner", "usages", "subject", "issuer", "files", "servers", "remarks", "file", "message"}
    | {"notes"}
)


def save_as_is(shell, document) -> None:
    """Write an as-is file with a valid digest, as an attacker who knows the file format would."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    (shell.folder / "kept.json").write_text(json.dumps({**document, "sha256": digest}))


def test_altered_as_is_file_never_leads_to_another_path(shell):
    """If a string in an as-is file is altered, the file is rejected, or the string is used only as
    the name of a certificate or server.
    """
    shell.write("table.csv", STANDARD_EDITION)
    shell.write("passphrase", PASSPHRASE)
    write_all(STANDARD_EDITION, shell.folder / "standing.pem")
    shell("asis", "standing.pem", "table.csv", "--save", "kept.json")
    document = json.loads((shell.folder / "kept.json").read_bytes())
    del document["sha256"]
    command = ("request", "table.csv", "deep/made", "--only-missing", "kept.json", *PASS)
    save_as_is(shell, document)
    assert run_in_folder(shell, [command], "as it is") == {0}
    paths = list(list_string_paths(document))
    assert len(paths) > 30
    for number, path in enumerate(paths):
        save_as_is(shell, replace_string(document, path, OTHERS[number % len(OTHERS)]))
        expected = 0 if REMARKS & set(path[-2:]) else 2
        assert run_in_folder(shell, [command], path) == {expected}, path


ANSWERS = """product = "lync2013"
sip_domains = ["contoso.com"]
server_names = "{site}{role}{n}"
[[site]]
name = "Taipei"
code = "tpe"
"""
PRODUCT = """product = "mine_planted"
title = "Mine"
extends = "lync2013"
[[topology.role]]
id = "Recorder"
title = "Call recorder"
[[role]]
id = "Recorder"
title = "Call recorder"
source = "Contoso, Call recorders, 2026-05-01"
[[certificate]]
id = "Recorder/Default"
role = "Recorder"
usages = ["Default"]
issue_per = "computer"
subject_name = "server-name"
subject_alt_name = ["server-name"]
extended_key_usage = ["serverAuth"]
issuer = "internal"
source = "Contoso, Call recorders, 2026-05-01"
"""


#: The strings in guided answers and product files that become part of the name of a file, folder or
#: server.
NAMES = ("tpe", "lync2013", "mine_planted", "Recorder", "Default")


@pytest.fixture
def forget_products(monkeypatch):
    """Return a function that unloads custom products, as if a new process had started."""

    def forget():
        monkeypatch.setattr(rule_files, "_custom_products", {})
        columns.restore_custom_columns({})

    yield forget
    columns.restore_custom_columns({})


@pytest.mark.parametrize("text", OTHERS)
def test_altered_answers_and_products_never_lead_to_another_path(shell, forget_products, text):
    """If a string in guided answers or in a product file is altered, it never becomes the name of a
    file or folder elsewhere.
    """
    table = "server_fqdn,role,sip_domains\nrec01.contoso.com,Recorder,contoso.com\n"
    shell.write("passphrase", PASSPHRASE)
    for content, command in (
        (ANSWERS, ("guide", "deep/made", "--answers", "f.toml")),
        (PRODUCT, ("request", "table.csv", "deep/made", "--product", "f.toml", *PASS)),
    ):
        shell.write("table.csv", table)
        shell.write("f.toml", content)
        assert run_in_folder(shell, [command], "as it is") == {0}
        for old in sorted(set(re.findall(r'"([^"]+)"', content))):
            forget_products()
            shell.write("f.toml", content.replace(f'"{old}"', f"'{text}'"))
            # The table contains a role of the custom product. Without that role, lyncnb would
            # neither use nor reject the product.
            shell.write("table.csv", table.replace(old, text) if old == "Recorder" else table)
            statuses = run_in_folder(shell, [command], (old, text))
            if old in NAMES and text in PLANTED:
                assert statuses == {2}, (old, text)
