"""The name of each file that belongs to a server is valid on Windows."""

from __future__ import annotations

import re

import pytest

from lyncnb.base.disk.file_names import build_file_name
from lyncnb.rules.rule_files import load_rules

DEVICES = load_rules("lync2013").checks["device-name-as-server"].labels


@pytest.mark.parametrize("label", [*DEVICES, "CON", "Lpt9"])
def test_file_name_is_never_a_device_name(label):
    """If a server has the name of a Windows device, its file name contains an additional character
    that server names cannot contain.
    """
    file_name = build_file_name(f"{label}.contoso.com", ".ps1")
    assert file_name == f"{label}~.contoso.com.ps1"
    assert build_file_name(label, ".ps1") == f"{label}~.ps1"
    assert file_name.partition(".")[0].casefold() not in DEVICES


@pytest.mark.parametrize("name", ["fe01.contoso.com", "cons.contoso.com", "fe.con", "com10.x.com"])
def test_allowed_file_names_are_not_changed(name):
    """A file name that Windows allows is not changed."""
    assert build_file_name(name, ".html") == f"{name}.html"


def test_long_names_have_different_file_names():
    """If two long server names have the same first 200 characters, their file names differ."""
    stem = ".".join(["a" * 60] * 4)
    com_file, net_file = (
        build_file_name(f"{stem}.com", ".html"),
        build_file_name(f"{stem}.net", ".html"),
    )
    assert com_file != net_file
    assert max(len(com_file), len(net_file)) <= 205
    assert re.fullmatch(r"[a-z.~0-9]+", com_file)
