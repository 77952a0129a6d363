"""The run time of every function that reads external bytes is proportional to the size of its
input.

The test finds the readers: every public function that takes bytes or a file must be in one of the
two lists below. So a new function is either timed or listed as a function that does not read input.
``authorities/test_linear_reading.py`` covers files that a CA returns.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import pytest
from growth import find_superlinear_size, public_functions
from hostile import make_tar
from topologies import STANDARD_EDITION
from workbooks import pack_parts, sheet_xml, spreadsheet, workbook

from lyncnb.authorities.handover import refuse_private_keys
from lyncnb.authorities.returned.decoding import decode
from lyncnb.authorities.returned.mail_messages import is_mail, read_mail_parts
from lyncnb.authorities.returned.returned_files import read_returned_files
from lyncnb.authorities.summary_files import build_plan_on_record
from lyncnb.base.disk import tar_file
from lyncnb.base.disk.zip_file import find_archive_problem, read_zip
from lyncnb.base.json_text import has_valid_digest, may_contain_surrogates, parse_json
from lyncnb.errors import LyncnbError
from lyncnb.jupyter.notebook_files import clean_notebook, read_notebook
from lyncnb.pki import asn1, der_structures
from lyncnb.pki.certificates import BadCertificate, read_certificate
from lyncnb.pki.csr import parse_request
from lyncnb.pki.keys import read_pkcs8
from lyncnb.pki.pkcs8 import read_derivation
from lyncnb.pki.pkcs12 import PfxNotOpened, open_pfx
from lyncnb.pki.recovery_pair import read_private_key, read_public_key
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.recorded_plan import read_plan_json
from lyncnb.plan.saved_plan_json import is_saved_plan, read_saved_json
from lyncnb.request_folder.files_on_disk import compute_csr_sha256, compute_key_sha256
from lyncnb.request_folder.manifest import Manifest, read_manifest
from lyncnb.request_folder.plan_file import read_entries
from lyncnb.topology import csv_file
from lyncnb.topology.topology import open_topology, read_topology
from lyncnb.topology.workbook import is_workbook, read_workbook
from lyncnb.topology.xml_tree import is_markup, scan_xml

#: The size of the largest input in bytes. Most readers reject larger inputs, or read an input of
#: this size in less than 0.2 s.
_MOST = 1 << 18


def make_file_reader(read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    """Return a function that writes bytes to a file, and then reads this file with the given
    function.
    """

    def call(data: bytes, folder: Path) -> object:
        path = folder / "file.ipynb"
        path.write_bytes(data)
        return read(path)

    return call


def read_from_folder(data: bytes, folder: Path) -> object:
    """Read the manifest in a request folder."""
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.json").chmod(0o600)
    return read_manifest(folder)


def read_with_digest(data: bytes, _: Path) -> object:
    """Add a correct digest as the last line of a saved plan, and read the entries of the plan."""
    body = data.removesuffix(b"}") + b",\n"
    digest = hashlib.sha256(body).hexdigest().encode()
    return read_entries(body + b'"sha256": "' + digest + b'"\n}\n')


READERS: dict[str, Callable[[bytes, Path], object]] = {
    "authorities.returned.decoding.decode": lambda data, _: decode(data),
    "authorities.handover.refuse_private_keys": lambda data, _: refuse_private_keys("a", data),
    "authorities.returned.mail_messages.is_mail": lambda data, _: is_mail(data),
    "authorities.returned.mail_messages.read_mail_parts": lambda data, _: list(
        read_mail_parts(data)
    ),
    "authorities.returned.returned_files.read_returned_files": make_file_reader(
        lambda path: read_returned_files([path])
    ),
    "authorities.summary_files.build_plan_on_record": lambda data, _: build_plan_on_record(
        Manifest(product="lync2013"), data
    ),
    "base.json_text.has_valid_digest": lambda data, _: has_valid_digest(data),
    "base.json_text.may_contain_surrogates": lambda data, _: may_contain_surrogates(data),
    "base.json_text.parse_json": lambda data, _: parse_json(data),
    "base.toml_text.parse_toml": lambda data, _: PlanOptions.from_toml(data),
    "base.disk.tar_file.decompress_gzip": lambda data, _: tar_file.decompress_gzip(
        data, limit=1 << 22
    ),
    "base.disk.tar_file.is_tar_archive": lambda data, _: tar_file.is_tar_archive(data),
    "base.disk.tar_file.read_tar_entries": lambda data, _: list(tar_file.read_tar_entries(data)),
    "base.disk.zip_file.find_archive_problem": lambda data, _: find_archive_problem(data, 1000),
    "base.disk.zip_file.read_zip": lambda data, _: read_zip(data),
    "jupyter.notebook_files.clean_notebook": make_file_reader(clean_notebook),
    "jupyter.notebook_files.read_notebook": make_file_reader(read_notebook),
    "pki.asn1.list_certificates": lambda data, _: asn1.list_certificates(data),
    "pki.asn1.list_children": lambda data, _: asn1.list_children(
        data, asn1.read_element(data, 0, len(data))
    ),
    "pki.asn1.list_object_identifiers": lambda data, _: asn1.list_object_identifiers(data),
    "pki.asn1.read_element": lambda data, _: asn1.read_element(data, 0, len(data)),
    "pki.asn1.read_objects": lambda data, _: asn1.read_objects(data),
    "pki.asn1.compute_work_factor": lambda data, _: asn1.compute_work_factor(data),
    "pki.certificates.read_certificate": lambda data, _: read_certificate(data),
    "pki.csr.parse_request": lambda data, _: parse_request(data),
    "pki.der_structures.list_items": lambda data, _: der_structures.list_items(data),
    "pki.keys.read_pkcs8": lambda data, _: read_pkcs8(data, name="a"),
    "pki.pkcs12.open_pfx": lambda data, _: open_pfx(data, None),
    "pki.pkcs8.read_derivation": lambda data, _: read_derivation(data, name="a"),
    "pki.recovery_pair.read_private_key": lambda data, _: read_private_key(data, "a", name="a"),
    "pki.recovery_pair.read_public_key": lambda data, _: read_public_key(data, name="a"),
    "plan.recorded_plan.read_plan_json": lambda data, _: read_plan_json(data, source="a"),
    "plan.saved_plan_json.is_saved_plan": lambda data, _: is_saved_plan(data),
    "plan.saved_plan_json.read_saved_json": lambda data, _: read_saved_json(data, source="a"),
    "request_folder.files_on_disk.compute_csr_sha256": lambda data, _: compute_csr_sha256(data),
    "request_folder.files_on_disk.compute_key_sha256": lambda data, _: compute_key_sha256(data),
    "request_folder.manifest.read_manifest": read_from_folder,
    "request_folder.plan_file.read_entries": read_with_digest,
    "topology.csv_file.decode": lambda data, _: csv_file.decode("a.csv", data),
    "topology.topology.open_topology": lambda data, _: open_topology(data),
    "topology.topology.read_topology": lambda data, _: read_topology(data),
    "topology.workbook.is_workbook": lambda data, _: is_workbook(data),
    "topology.workbook.read_workbook": lambda data, _: read_workbook("a.xlsx", data),
    "topology.xml_tree.is_markup": lambda data, _: is_markup(data),
    "topology.xml_tree.scan_xml": lambda data, _: scan_xml(
        "a", [data], start=lambda *_: None, end=lambda *_: None, text=lambda *_: None
    ),
}

#: The test does not measure these functions separately, because another measured function passes
#: its whole input to them.
PARTS = {
    *("topology.encodings.compare_encodings", "topology.read_table.open_frame"),
    "topology.csv_file.read_rows",
    *("request_folder.earlier_folder.find_last_time", "request_folder.manifest.build_import"),
    "request_folder.earlier_folder.list_earlier_lines",
}

#: These functions do not read external data. They write bytes, compare bytes that lyncnb has
#: written, or receive objects from another reader.
NO_READERS = {
    *(
        "base.disk.files.write_temporary_file",
        "base.disk.files.write_new_file",
        "base.disk.files.replace_file",
    ),
    "base.disk.small_folder.write_folder",
    *(
        "base.disk.outputs.match_first_line",
        "base.disk.outputs.match_content",
        "base.disk.outputs.match_page",
    ),
    *("base.disk.outputs.write_output", "base.disk.zip_file.write_zip"),
    *("cli.output.write_to_stdout", "cli.output.write_file"),
    *("authorities.kept_approval.keep_approval", "plan.model.combine_digest_parts"),
    *(
        "request_folder.earlier_folder.archive_copy",
        "request_folder.entries.complete_entry",
        "request_folder.entries.write_entry",
        "request_folder.entries.write_unfinished_entry",
        "request_folder.plan_file.write_plan_file",
    ),
    *("export.changes.record_plan", "page.assemble.assemble_page", "page.in_worker.make_session"),
    # Functions that pass an SVG picture from lyncnb to a browser.
    *("base.shown.browser_print.draw_picture", "jupyter.png_pictures.split_pictures"),
    *(
        "export.key_and_csr.make_sealed_pair",
        "pki.certificates.to_pem",
        "pki.der_structures.encode_element",
    ),
    *("pki.hpke.seal", "pki.hpke.unseal"),
    # OpenSSH reads the input of these functions in a separate process. lyncnb waits for this
    # process for at most a minute.
    *(
        "pki.ssh_signatures.sign_content",
        "pki.ssh_signatures.find_signing_key",
        "pki.ssh_signatures.verify_signature",
    ),
    # The editor writes to a file that another reader has already read.
    *("checks.plan_toml_edit.edit_plan_toml", "topology.csv_edit.edit_csv"),
    *("topology.table_files.build_output_kind", "widgets.editing.choices.is_own_workbook"),
}

_TABLE = STANDARD_EDITION.encode()
_SAVED = b'{"format": "lyncnb-saved-plan/1", '
_HEADER, _ROW = _TABLE.splitlines()[0], _TABLE.splitlines()[1]


_MAIL = b"From: ca@fabrikam.com\nSubject: certificate\nMessage-ID: <1@fabrikam.com>\n"
_EXPORT = (
    b"lyncnb certificate export 1\nComputer: a.contoso.com\nTime: 2026-11-24T08:00:00Z\nLync: yes\n"
)


def repeated(piece: bytes) -> Callable[[int], bytes]:
    return lambda n: (piece * (n // len(piece) + 1))[:n]


def within(before: bytes, piece: bytes, after: bytes) -> Callable[[int], bytes]:
    return lambda n: before + piece * (n // len(piece)) + after


def make_line_generator(before: str, line: str, after: str = "") -> Callable[[int], bytes]:
    """Return a function that creates lines of text. Each line contains its number, so that all
    lines differ.
    """

    def make(n: int) -> bytes:
        count = n // (len(line) + 3)
        return (before + "".join(line.replace("#", str(i)) for i in range(count)) + after).encode()

    return make


def notebook(n: int) -> bytes:
    """Return a notebook with many cells, each of which has an output."""
    output = {"output_type": "stream", "name": "stdout", "text": ["line\n"] * 20}
    cell = {
        "cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1,
        "source": ["a = 1\n"], "outputs": [output],
    }  # fmt: skip
    cells = [{**cell, "id": f"c{number}"} for number in range(n // 400)]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def stored_workbook(body: str, *, merged: str = "") -> Callable[[int], bytes]:
    """Return an uncompressed workbook with the given number of rows. # in a cell stands for the row
    number.
    """

    def make(n: int) -> bytes:
        count = n // (len(body) + len(merged) + 3)
        rows = "".join(body.replace("#", str(i)) for i in range(2, count + 2))
        areas = "".join(merged.replace("#", str(i)) for i in range(2, count + 2))
        sheet = sheet_xml(
            rows, heading=("server_fqdn", "role"), after=f"<mergeCells>{areas}</mergeCells>"
        )
        return pack_parts(workbook({"xl/worksheets/sheet1.xml": sheet}), stored=True)

    return make


def stored_spreadsheet(cell: str) -> Callable[[int], bytes]:
    """Return an uncompressed OpenDocument spreadsheet with rows of one cell."""

    def make(n: int) -> bytes:
        rows = [("server_fqdn", "role"), *[(f"fe{i}.contoso.com", cell) for i in range(n // 150)]]
        return spreadsheet(rows, stored=True)

    return make


INPUTS: dict[str, Callable[[int], bytes]] = {
    **{
        f"{piece!r} again and again": repeated(piece)
        for piece in (
            *(b" ", b"A", b"9", b"-", b'"', b"'", b"\\", b"\n", b"\r\n", b",", b";", b"\t", b"\0"),
            *(b"[", b"{", b"[a.", b'{"a":', b"a.", b"\xff", b"=", b"# x\n", b"A ", b"- "),
            *(b"-----BEGIN CERTIFICATE-----\n", b"-----BEGIN A-----\n-----END A-----\n"),
            *(
                b"-----BEGIN",
                b"\x30\x80",
                b"\x30\x80\0\0",
                b"\x30\x00",
                b"\x04\x06\x30\x04\x04\x02",
            ),
            *(b"<", b"<br>", b"&amp;", b"&", b"> ", b">"),
            *(b"PK\x03\x04", b"PK\x05\x06", b"PK\x01\x02", b"A\0", b"\xff\xfe"),
        )
    },
    "a PEM block": within(b"-----BEGIN X-----\n", b"QUJD\n", b"-----END X-----\n"),
    "a PEM block of blanks": within(b"-----BEGIN X-----\n", b" \t", b"-----END X-----\n"),
    "TOML values": make_line_generator("", "a# = 1\n"),
    "TOML tables": make_line_generator("", "[a#]\nx = 1\n"),
    "TOML arrays of tables": make_line_generator("", "[[a]]\nx = #\n"),
    "TOML dotted keys": make_line_generator("", "a.b# = 1\n"),
    "a TOML key in quotes": repeated(b'"a" . '),
    "many long TOML keys": repeated(b"a." * 150 + b"a = 1\n"),
    "a TOML text": within(b'x = """', b"line\n", b'"""\n'),
    "a TOML list": within(b"x = [", b"1, ", b"]\n"),
    "reasons": make_line_generator("[accepted]\n", '"code-#" = "because"\n'),
    "rows": make_line_generator(
        _HEADER.decode() + "\n", _ROW.decode().replace("se01", "se#") + "\n"
    ),
    "the same row": within(_HEADER + b"\n", _ROW + b"\n", b""),
    "a wide heading": make_line_generator("computer,", "c#,", "\n"),
    "a cell with line ends": within(_HEADER + b'\n"', b"a\n", b'"\n'),
    "quotes in a cell": within(_HEADER + b'\n"', b'""', b'"\n'),
    "names in a cell": make_line_generator(_HEADER.decode() + "\n", "a#.contoso.com;", "\n"),
    "JSON": make_line_generator("{", '"a#": 1, ', '"b": 2}'),
    "a JSON text": within(b'{"a": "', b"\\n", b'"}'),
    "covers of one record": within(b'{"id": ', b'"covered": {', b""),
    "a JSON list": within(b'{"requests": [', b"{}, ", b"{}]}"),
    "rows of a saved plan": within(
        _SAVED + b'"table": {"columns": [], "rows": [', b"[1], ", b"[]]}}"
    ),
    "certificates of a saved plan": within(_SAVED + b'"certificates": [', b"{}, ", b"{}]}"),
    "keys of a saved plan": make_line_generator(_SAVED.decode(), '"a#": 1, ', '"b": 2}'),
    "a notebook": notebook,
    "an export": within(_EXPORT, b"Not in the store: Default " + b"0" * 40 + b"\n", b""),
    "an export of many": within(
        _EXPORT,
        b"Store: CA\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"",
    ),
    "an export with a type again and again": within(
        _EXPORT + b"Store: My\nKey: no\n", b"Type: A\n", b""
    ),
    "headers of a mail": within(_MAIL, b"X: y\n", b"\nhello\n"),
    "a long header of a mail": within(_MAIL + b"X: y\n", b" y\n", b"\nhello\n"),
    "the text of a mail": within(_MAIL + b"\n", b"hello\n", b""),
    "parts of a mail": within(
        _MAIL + b'Content-Type: multipart/mixed; boundary="a"\n\n', b"--a\n\nx\n", b"--a--\n"
    ),
    "parts within parts": make_line_generator(
        _MAIL.decode(), 'Content-Type: multipart/mixed; boundary="b#"\n\n--b#\n'
    ),
    "parts within one part": within(
        _MAIL, b"Content-Type: message/rfc822\n\nFrom: a\nSubject: b\n", b"\nx\n"
    ),
    "a tar archive": repeated(make_tar({"a.cer": b"x"}, "w")[:1024]),
    "a web page with a certificate": within(
        b"<html>-----BEGIN X-----", b"<br>QUJD", b"-----END X-----"
    ),
    "nested XML": repeated(b"<a>"),
    "XML attributes": make_line_generator("<a ", 'a#="1" ', "/>"),
    "XML elements": make_line_generator("<a>", "<b x='#'/>", "</a>"),
    "a workbook": stored_workbook('<row r="#"><c r="A#" t="str"><v>fe#.contoso.com</v></c></row>'),
    "blank cells of a workbook": stored_workbook('<row r="#"><c r="A#"/></row>'),
    "merged cells": stored_workbook(
        '<row r="#"><c r="A#" t="str"><v>fe#.contoso.com</v></c></row>',
        merged='<mergeCell ref="C#:C99999"/>',
    ),
    "texts of a cell": stored_workbook(
        '<row r="#"><c r="A#" t="inlineStr"><is><t>a</t></is></c></row>'
    ),
    "a spreadsheet": stored_spreadsheet("FrontEnd"),
}

# Functions that read data raise these exceptions if the input is invalid.
_REFUSALS = (
    *(LyncnbError, BadCertificate, PfxNotOpened, asn1.BadStructure, ValueError, RecursionError),
    zipfile.BadZipFile,
)


@cache
def input_of(kind: str, size: int) -> bytes:
    """Return test data of the given kind and size. The data is cached, because it is passed to
    several functions.
    """
    return INPUTS[kind](size)


def list_functions_with_bytes() -> set[str]:
    """Return the names of the public functions that accept bytes. Functions that read files accept
    a path or bytes.
    """
    return {
        name
        for name, function in public_functions()
        if any(
            word in str(p.annotation)
            for p in inspect.signature(function).parameters.values()
            for word in ("bytes", "TableSource")
        )
    }


def test_every_reader_is_listed():
    """The tests measure every function that takes bytes, either directly or through its caller. The
    table NO_READERS lists the functions that do not read their input.
    """
    by_path = {"read_returned_files", "read_notebook", "clean_notebook", "read_manifest"}
    of_bytes = {name for name in READERS if name.rpartition(".")[2] not in by_path}
    assert list_functions_with_bytes() == of_bytes | PARTS | NO_READERS
    assert not set(READERS) & (PARTS | NO_READERS)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_the_run_time_is_proportional_to_the_input(tmp_path, reader):
    """For each type of input, the run time of each reader is proportional to the size of the input."""
    read, slow = READERS[reader], {}

    def reading(data: bytes) -> None:
        with suppress(*_REFUSALS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(data, tmp_path)

    for kind in INPUTS:

        def work(size: int, kind: str = kind) -> Callable[[], object]:
            return partial(reading, input_of(kind, size))

        if (grown := find_superlinear_size(work, size=1 << 14, most=_MOST)) is not None:
            slow[kind] = grown
    assert slow == {}
