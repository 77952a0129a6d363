"""A name from somebody else's file never leads to another folder.

Each text of a manifest is exchanged, one at a time, for names that lead out of the folder. Then the
commands run that name files after what the manifest says.
"""

from __future__ import annotations

import copy
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import PASSPHRASE, TODAY, answered_by_openssl
from shell_kit import make_shell
from topologies import STANDARD_EDITION

from lyncnb.base.file_names import file_name
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError

shell = pytest.fixture(make_shell)

#: Out of the folder, to a file of the folder itself, and out of it on Windows.
PLANTED = ("../../outside/evil", "../summary", "..\\evil", "/outside/evil", "C:evil", "..")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory) -> Path:
    """Give a folder with a request, its certificate, its package and a renewal."""
    place = tmp_path_factory.mktemp("planted")
    issued = answered_by_openssl(STANDARD_EDITION.encode(), place)
    write_pfx(issued.matched(), passphrase=PASSPHRASE, today=TODAY)
    return issued.matched().bundle.folder


def texts(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the place of each text in a JSON document, and of each list that could hold one."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from texts(below, (*path, name))
    elif isinstance(value, list):
        for number, below in enumerate(value[:2]):
            yield from texts(below, (*path, number))
        if not value:
            yield (*path, 0)


def planted(document: object, path: tuple[object, ...], text: str) -> object:
    """Give the document with another text at one place."""
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if isinstance(place, list) and not place:
        place.append(text)
    else:
        place[path[-1]] = text
    return changed


def files_below(folder: Path) -> set[str]:
    """List every file of a folder."""
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_no_text_of_a_manifest_becomes_a_path(shell, packaged):
    """Steps and handover write where they always do, or refuse the manifest."""
    (shell.folder / "outside").mkdir()
    precious = shell.write("outside/evil.ps1", "precious")
    folder = Path(shutil.copytree(packaged, shell.folder / "deep" / "requests"))
    document = json.loads((packaged / "manifest.json").read_bytes())
    document["requests"][0]["plan"]["servers"] *= 2
    places = [one for one in texts(document) if one[0] != "summary"]
    assert len(places) > 60
    before = {name for name in files_below(shell.folder) if "/steps/" not in name}
    for number, path in enumerate(places):
        is_name = {"servers", "key_holder", "issuer", "id", "file"} & set(path[-2:])
        for text in PLANTED if is_name else PLANTED[number % len(PLANTED) :][:1]:
            (folder / "manifest.json").write_text(json.dumps(planted(document, path, text)))
            for command in ("steps", folder), ("handover", folder, "out.zip"):
                assert shell(*command).status in (0, 1, 2, 3), (path, text, command)
            package = shell.folder / "out.zip"
            if package.exists():
                names = zipfile.ZipFile(package).namelist()
                assert not [n for n in names if ".." in n or "\\" in n or n[0] == "/"], path
                package.unlink()
            there = {name for name in files_below(shell.folder) if "/steps/" not in name}
            assert there == before, (path, text)
            assert precious.read_text() == "precious"


@pytest.mark.parametrize("text", PLANTED)
def test_no_server_of_a_plan_on_record_is_a_path(shell, text):
    """A plan document whose server leads elsewhere is refused, by its place."""
    shell.write("table.csv", STANDARD_EDITION)
    document = json.loads(shell("plan", "table.csv", "--json").out)
    document["certificates"][0]["servers"] = [text]
    shell.write("plan.json", json.dumps(document))
    shell.write("other.csv", STANDARD_EDITION)
    ended = shell("compare", "plan.json", "other.csv")
    assert ended.status == 2
    assert "is not a host name as a plan has it" in ended.err


@pytest.mark.parametrize("text", PLANTED)
def test_no_name_names_a_file_elsewhere(text):
    """The last line of defence: a file is named after a host name or an id, or not at all."""
    with pytest.raises(BundleError, match="is not the name of a server or of a request"):
        file_name(text, ".ps1")
