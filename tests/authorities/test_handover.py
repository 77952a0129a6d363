"""The package for a CA contains requests and instructions for the CA's administrators, and no
private key.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import zipfile
from datetime import date, timedelta

import pytest
import topologies
from cas.python_ca import PythonCa, p7b
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from folders import (
    PASSPHRASE,
    TODAY,
    find_id,
    issue_all,
    make_folder,
    make_plan,
    put_back,
    read_document,
)
from printing import remove_break_marks

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.status import folder_status
from lyncnb.errors import BundleError, OptionsError, OutputError
from lyncnb.export.renew import renew
from lyncnb.export.write import write_requests
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.rules.rule_files import load_rules

pytestmark = pytest.mark.usefixtures("quick_cipher")

LATER = TODAY + timedelta(days=2)
CAS = {"internal": r"ca01.contoso.com\Contoso Issuing CA 1", "public": "Litware <Public> CA"}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("t") / "requests", make_plan(ca=CAS)).folder


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "requests")


def contents(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_package(folder, tmp_path):
    """The package has a folder for each CA with an instruction page, a summary, a list of names,
    and the CSRs.

    AD CS also gets a batch file.
    """
    package = hand_over(folder, tmp_path / "out.zip")
    entries = contents(tmp_path / "out.zip")
    folders = ("internal-ca01-contoso-com-contoso-issuing-ca-1", "public-litware-public-ca")
    assert tuple(part.folder for part in package.parts) == folders
    for part in package.parts:
        csr_names = {record.files.csr for record in part.requests}
        extra = {"README.html", "summary.csv", "names.txt"}
        extra |= {"submit.cmd"} if part.issuer == "internal" else set()
        entry_names = {name.partition("/")[2] for name in entries if name.startswith(part.folder)}
        assert entry_names == csr_names | extra
    assert len(package.requests) == len(open_requests(folder).requests)


def test_requests_are_those_of_the_folder(folder, tmp_path):
    """The CSRs in the package have the same content as those in the request folder, and their
    signatures are valid.
    """
    package = hand_over(folder, tmp_path / "out.zip")
    entries = contents(tmp_path / "out.zip")
    for part in package.parts:
        for record in part.requests:
            data = entries[f"{part.folder}/{record.files.csr}"]
            assert data.replace(b"\r\n", b"\n") == (folder / record.files.csr).read_bytes()
            assert x509.load_pem_x509_csr(data).is_signature_valid


def test_submission(folder, tmp_path):
    """The batch file for AD CS contains the name of the CA and the name of the template.

    A CA name that certreq cannot use is left out.
    """
    hand_over(folder, tmp_path / "out.zip", template="LyncWeb")
    script = contents(tmp_path / "out.zip")[
        "internal-ca01-contoso-com-contoso-issuing-ca-1/submit.cmd"
    ].decode("ascii")
    assert 'set "CA=ca01.contoso.com\\Contoso Issuing CA 1"' in script
    assert 'set "TEMPLATE=LyncWeb"' in script


def test_page(folder, tmp_path):
    """The page for the CA lists the tasks, explains why no SAN attribute is needed, and escapes
    special characters in the CA's name.
    """
    hand_over(folder, tmp_path / "out.zip")
    entries = contents(tmp_path / "out.zip")
    internal = remove_break_marks(
        entries["internal-ca01-contoso-com-contoso-issuing-ca-1/README.html"].decode()
    )
    public = remove_break_marks(entries["public-litware-public-ca/README.html"].decode())
    assert "Do not enable EDITF_ATTRIBUTESUBJECTALTNAME2" in internal
    assert "Enroll permission for the template WebServer" in internal
    assert "Litware &lt;Public&gt; CA" in public
    assert "server platform Microsoft, version IIS" in public
    # The requests in this folder have ECDSA keys.
    assert "a common name and, for RSA keys, key encipherment" in public
    assert "{" not in public.split("</style>")[-1]


@pytest.mark.parametrize(
    ("ca", "wildcards", "lifetimes"),
    [
        (
            "Litware CA",
            "DNS, domain registration with the CA, e-mail until 2028-03-14 or phone until 2027-03-14.",
            "at most 200 days, or at most 100 days if it is issued on 2027-03-15 or later, or at most 47",
        ),
        (
            "DigiCert",
            "DNS, domain registration with the CA, e-mail until 2028-03-14 or phone until 2027-03-14.",
            "at most 199 days, or at most 100 days if it is issued on 2027-03-15 or later, or at most 47",
        ),
        (
            "Let's Encrypt",
            "DNS only.",
            "at most 90 days, or at most 64 days if it is issued on 2027-02-10 or later, or at most 45",
        ),
    ],
)
def test_page_shows_lifetime_limit_and_validation_end(tmp_path, ca, wildcards, lifetimes):
    """The page for the CA shows the strictest lifetime limit, and the methods that can validate a
    wildcard, with their last day.
    """
    folder = make_folder(tmp_path / "requests", make_plan(ca={"public": ca})).folder
    hand_over(folder, tmp_path / "out.zip", issuer="public", today=date(2026, 11, 28))
    (page,) = (remove_break_marks(data.decode()) for name, data in contents(tmp_path / "out.zip").items()
               if name.endswith("README.html"))  # fmt: skip
    assert f"A certificate is valid for {lifetimes} days if it is issued on" in page
    assert f"The CA can validate a wildcard name by {wildcards}" in page


@pytest.mark.parametrize(
    ("ca", "days", "is_acme_only"),
    [("Let's Encrypt", 90, True), ("DigiCert", 199, False), ("Litware CA", 200, False)],
)
def test_page_for_a_ca_that_issues_only_through_acme(tmp_path, ca, days, is_acme_only):
    """The page for a CA that issues only through ACME describes no portal and no e-mail.

    The validity of each request is at most the longest that the CA issues.
    """
    plan = make_plan(ca={"public": ca}, validity_days=200)
    folder = make_folder(tmp_path / "requests", plan).folder
    hand_over(folder, tmp_path / "out.zip", issuer="public", today=date(2026, 11, 28))
    (page,) = (text_of(remove_break_marks(data.decode()))
               for name, data in contents(tmp_path / "out.zip").items()
               if name.endswith("README.html"))  # fmt: skip
    assert f"Validity period: {days} days" in page
    assert "certbot certonly --csr FILE.csr" in page
    words = ("Unified Communications (multi-domain)", "If the CA supports ACME", "e-mail until")
    assert [word in page for word in words] == [not is_acme_only] * 3
    assert "have no web server" not in page


def test_page_counts_the_wildcard_names(tmp_path):
    """The page for the CA shows how many names of each request are wildcards."""
    table = topologies.TWO_SITES.replace(
        ",contoso.com,https://meet", ",contoso.com;fabrikam.com,https://meet"
    )
    table += "rp01.contoso.com,ReverseProxy,,Taipei,,,,,,,\n"
    plan = make_plan(table.encode(), wildcard=True)
    folder = make_folder(tmp_path / "requests", plan).folder
    hand_over(folder, tmp_path / "out.zip")
    pages = {name: text_of(remove_break_marks(data.decode()))
             for name, data in contents(tmp_path / "out.zip").items()
             if name.endswith("README.html")}  # fmt: skip
    two = "The certificate has 2 wildcard names"
    assert two in pages["internal/README.html"]
    assert f"{two}. A file on a web server cannot validate" in pages["public/README.html"]


def test_page_has_the_planned_date_by_default(tmp_path):
    """If no date is specified, the page for the CA shows the date that is on the cover of the
    folder's summary.
    """
    make_folder(tmp_path / "requests", make_plan(planned_issue_date=date(2026, 12, 15)))
    hand_over(tmp_path / "requests", tmp_path / "out.zip", today=date(2026, 12, 15))
    assert "<td>2026-12-15</td>" in remove_break_marks(
        contents(tmp_path / "out.zip")["internal/README.html"].decode()
    )
    hand_over(tmp_path / "requests", tmp_path / "other.zip", needed_by=TODAY)
    page = remove_break_marks(contents(tmp_path / "other.zip")["internal/README.html"].decode())
    assert f"<td>{TODAY}</td>" in page


def test_page_uses_the_current_date_after_the_planned_date(tmp_path):
    """If the planned issue date is in the past, the page for the CA shows the limits that apply on
    the current date.
    """
    options = {"planned_issue_date": date(2027, 1, 28), "issuer": {"": "public"}}
    make_folder(tmp_path / "requests", make_plan(**options))
    package = hand_over(tmp_path / "requests", tmp_path / "out.zip", today=date(2027, 6, 14))
    page = remove_break_marks(contents(tmp_path / "out.zip")["public/README.html"].decode())
    # The evaluation date appears in the table and in the margin.
    assert page.count("2027-01-28") == 2
    assert "not specified: ask the sender" in page
    assert (
        "A certificate is valid for at most 100 days, or at most 47 days if it is issued on" in page
    )
    assert "--needed-by" in package.missing


def test_page_shows_sender_date_and_files_to_return(folder, tmp_path):
    """The page for the CA shows the sender, date, product and sites, and lists the files that the
    CA must return.
    """
    hand_over(folder, tmp_path / "with.zip", sender="Ana <ana@contoso.com>", needed_by=TODAY)
    hand_over(folder, tmp_path / "without.zip")
    readme = "internal-ca01-contoso-com-contoso-issuing-ca-1/README.html"
    page = remove_break_marks(contents(tmp_path / "with.zip")[readme].decode())
    plain = remove_break_marks(contents(tmp_path / "without.zip")[readme].decode())
    assert "Ana &lt;ana@contoso.com&gt;" in page
    assert f"<td>{TODAY}</td>" in page
    assert "not specified: ask the sender" in plain
    assert "Lync Server 2013, sites " in page
    assert "What to send back" in page
    config = "ca01.contoso.com\\Contoso Issuing CA 1"
    assert f"certutil -config &#34;{config}&#34; -ca.chain chain.p7b" in page


def test_page_cites_the_products_own_documents(tmp_path):
    """If the plan is not for Lync Server 2013, the page for the CA cites no Lync Server document,
    and cites no document twice.
    """
    plan = plan_certificates(make_plan().topology, load_rules("sfb2019"))
    folder = make_folder(tmp_path / "requests", plan).folder
    hand_over(folder, tmp_path / "out.zip")
    pages = [data.decode() for name, data in contents(tmp_path / "out.zip").items()
             if name.endswith("README.html")]  # fmt: skip
    assert all("Lync" not in page for page in pages)
    assert any("System requirements for Skype for Business Server 2019" in page for page in pages)


def test_page_shows_how_each_request_is_issued(folder, tmp_path):
    """The page for the CA shows the template or certificate type, key and purpose of each request."""
    hand_over(folder, tmp_path / "out.zip", template="LyncWeb")
    entries = contents(tmp_path / "out.zip")
    internal = remove_break_marks(
        entries["internal-ca01-contoso-com-contoso-issuing-ca-1/README.html"].decode()
    )
    public = remove_break_marks(entries["public-litware-public-ca/README.html"].decode())
    assert (
        internal.count(
            "Use the template LyncWeb, and take the subject and the names from the request"
        )
        == 5
    )
    assert internal.count("Validity period: the maximum that the template and the CA allow") == 5
    assert "Requested extended key usage: serverAuth" in public
    assert "certbot certonly --csr" in public


@pytest.mark.parametrize("sender", ["two\nlines", "x" * 201, "bell\a"])
def test_sender_is_one_line(folder, tmp_path, sender):
    """A sender that contains a line break is rejected before any file is written."""
    with pytest.raises(OptionsError, match="is not a valid sender"):
        hand_over(folder, tmp_path / "out.zip", sender=sender)
    assert not (tmp_path / "out.zip").exists()


def test_names(folder, tmp_path):
    """The package lists the names of each request on one line, for CA portals that do not read the
    SAN in a CSR.
    """
    package = hand_over(folder, tmp_path / "out.zip", issuer="public")
    text = contents(tmp_path / "out.zip")["public-litware-public-ca/names.txt"].decode()
    record = package.requests[0]
    assert f"{record.files.csr}\r\n{', '.join(record.plan.san)}\r\n" in text


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"issuer": "public"}, ["Edge"]),
        ({"issuer": "Internal", "site": "kaohsiung"}, ["Mediation"]),
        # The --ca option selects the CA by its name.
        ({"issuer": "litware <public> ca"}, ["Edge"]),
        ({"pool": "EEPool.contoso.com"}, ["FrontEnd", "FrontEnd"]),
        ({"site": ""}, ["Deployment"]),
    ],
)
def test_requests_for_the_package_can_be_selected(folder, tmp_path, choice, expected):
    """A user can select requests for the package by CA, site or pool, in any letter case."""
    package = hand_over(folder, tmp_path / "out.zip", **choice)
    assert [record.plan.role for record in package.requests] == expected


def test_list_of_ids(folder, tmp_path):
    """You can select a group of requests for the package with a list of ids."""
    request_id = find_id(open_requests(folder), "med01")
    package = hand_over(folder, tmp_path / "out.zip", requests=[request_id])
    assert [record.id for record in package.requests] == [request_id]


def test_only_waiting_requests_are_packed(folder, tmp_path):
    """A request that already has its certificate is not packed again.

    If no request is left, lyncnb reports an error.
    """
    bundle = open_requests(folder)
    ca = PythonCa()
    last = find_id(bundle, "med01")
    answers = issue_all(bundle, ca, skip=[last])
    path = tmp_path / "all.p7b"
    path.write_bytes(p7b(*answers.values(), *ca.chain))
    receive(folder, path, today=TODAY)
    assert [request.id for request in hand_over(folder, tmp_path / "out.zip").requests] == [last]
    with pytest.raises(BundleError, match="none of the waiting requests in") as caught:
        hand_over(folder, tmp_path / "none.zip", issuer="public")
    assert caught.value.hint.endswith(
        'available issuers: "ca01.contoso.com\\Contoso Issuing CA 1"; available sites: "Kaohsiung"'
    )
    assert not (tmp_path / "none.zip").exists()


def test_same_bytes(folder, tmp_path):
    """If the same requests are packaged again, the package is identical, and an existing file is
    not written again.
    """
    hand_over(folder, tmp_path / "one.zip")
    hand_over(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    before = (tmp_path / "one.zip").stat().st_mtime_ns
    hand_over(folder, tmp_path / "one.zip")
    assert (tmp_path / "one.zip").stat().st_mtime_ns == before


def test_no_clobber(folder, tmp_path):
    """If the output path is the path of a file that lyncnb did not write, the handover fails and
    the file does not change.
    """
    (tmp_path / "out.zip").write_bytes(b"mine")
    with pytest.raises(OutputError, match="already exists, so lyncnb did not change it"):
        hand_over(folder, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"mine"


def test_no_key(folder, tmp_path):
    """The package contains no line of any key file in the request folder."""
    hand_over(folder, tmp_path / "out.zip")
    everything = b"".join(contents(tmp_path / "out.zip").values())
    keys = [path.read_bytes().splitlines() for path in (folder / "keys").iterdir()]
    assert keys
    assert not any(line in everything for lines in keys for line in lines[1:-1])


@pytest.mark.parametrize("key_position", ["before", "instead"])
def test_key_in_csr(folder, tmp_path, key_position):
    """If a CSR file contains a private key, it is not packed, even if the manifest records the hash
    of this file.
    """
    record = open_requests(folder).requests[0]
    path, key = folder / record.files.csr, folder / record.files.key
    csr = path.read_bytes()
    path.write_bytes(csr + key.read_bytes() if key_position == "before" else key.read_bytes())
    with pytest.raises(
        BundleError, match="contains a private key|differs from the request that lyncnb wrote"
    ):
        hand_over(folder, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_changed_request(folder, tmp_path):
    """A CSR file that differs from its record is not packed."""
    first, second, *_ = open_requests(folder).requests
    (folder / first.files.csr).write_bytes((folder / second.files.csr).read_bytes())
    with pytest.raises(BundleError, match="the file differs from the request that lyncnb wrote"):
        hand_over(folder, tmp_path / "out.zip")


def test_invalid_template_name_is_rejected_before_writing(folder, tmp_path):
    """The template name is validated before any file is written."""
    with pytest.raises(OptionsError, match="is not a valid certificate template name"):
        hand_over(folder, tmp_path / "out.zip", template="a\\nSAN:dns=x")


def test_packed_requests_are_shown(folder, tmp_path):
    """The packed requests can be shown as a table, as text and as JSON."""
    package = hand_over(folder, tmp_path / "out.zip")
    assert repr(package) == (
        '6 requests in out.zip: 5 for the CA "ca01.contoso.com\\Contoso Issuing CA 1"; '
        '1 for the CA "Litware <Public> CA"; no private keys'
    )
    assert len(package.to_frame()) == 6
    first, *_, missing, summary = package.to_text().splitlines()
    assert first.startswith("5 requests in internal-ca01")
    assert missing == (
        "the package does not include the sender (--sender) or the date by which you need the certificates (--needed-by), so the CA's administrators must ask you for this information"
    )
    assert summary == repr(package)
    assert "Litware &lt;Public&gt; CA" in package._repr_html_()
    assert package.to_document()["parts"][1]["ca"] == "Litware <Public> CA"


def test_cas_with_the_same_folder_name_have_separate_folders():
    """If two CAs would have the same folder name, the package has a separate folder for each CA."""
    from lyncnb.authorities.submission import choose_part_folder

    used_names = {"internal-a-b"}
    assert choose_part_folder("internal", "A.B", used_names) == "internal-a-b_2"
    assert (
        choose_part_folder("internal", "A.B", {*used_names, "internal-a-b_2"}) == "internal-a-b_3"
    )
    assert choose_part_folder("public", "憑證", set()) == "public"


def test_no_request_is_waiting(folder, tmp_path):
    """If every request has its certificate, the error message explains that no request is waiting."""
    bundle = open_requests(folder)
    ca = PythonCa()
    path = tmp_path / "all.p7b"
    path.write_bytes(p7b(*issue_all(bundle, ca).values(), *ca.chain))
    receive(folder, path, today=TODAY)
    with pytest.raises(BundleError, match="none of the waiting requests in") as caught:
        handover_of(folder, tmp_path)
    assert caught.value.hint == (
        "no request is waiting for a CA; lyncnb status FOLDER shows the state of each request"
    )


def test_an_interrupted_run_is_completed_before_the_handover(folder, tmp_path):
    """If an interrupted run recorded requests without creating them, the error message of the
    handover command contains the next step.
    """
    document = read_document(folder)
    for request in document["requests"]:
        request["state"] = "planned"
    put_back(folder, document)
    with pytest.raises(BundleError) as caught:
        handover_of(folder, tmp_path)
    assert "run it again to write the remaining requests" in caught.value.hint


def handover_of(folder, work_folder):
    return hand_over(folder, work_folder / "out.zip")


def test_the_next_step_knows_what_the_ca_has(folder, tmp_path):
    """The next step names the requests that are not packaged for a CA, and those that a CA has,
    since when. If the CA returns a wrong certificate, the request is not with the CA any more.
    """
    every = len(open_requests(folder).requests)
    (step,) = folder_status(folder, today=TODAY).next_steps
    assert step.startswith(f"Send the requests for {every} certificates of ")
    package = hand_over(folder, tmp_path / "public.zip", issuer="public", today=TODAY)
    sent = len(package.requests)
    send, wait = folder_status(folder, today=TODAY).next_steps
    assert send.startswith(f"Send the requests for {every - sent} certificates of ")
    assert f"(packaged for the CA on {TODAY})" in wait
    assert "handover" not in wait
    hand_over(folder, tmp_path / "rest.zip", issuer="internal", today=LATER)
    (wait,) = folder_status(folder, today=LATER).next_steps
    assert wait.startswith(f"Wait until the CA issues {every} certificates of ")
    assert f"(packaged for the CA since {TODAY})" in wait
    record = open_requests(folder).requests[0]
    csr = x509.load_pem_x509_csr((folder / record.files.csr).read_bytes())
    wrong = PythonCa().issue_for(csr, san=["wrong.contoso.com"])
    (tmp_path / "wrong.cer").write_bytes(wrong.public_bytes(Encoding.PEM))
    receive(folder, tmp_path / "wrong.cer", today=LATER)
    rows = {row.id: row for row in folder_status(folder, today=LATER).requests}
    assert rows[record.id].refused
    assert [name for name, row in rows.items() if not row.handed_over_on] == [record.id]


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", True),
        (b"text\n----- BEGIN RSA PRIVATE KEY-----", True),
        (b"PuTTY-User-Key-File-3: ssh-rsa", True),
        # The first bytes of a PKCS #8 key in DER.
        (bytes.fromhex("300902010130000400a000"), True),
        (b"0\x82 is how a sentence may begin", False),
        (b"The private key stays encrypted in the request folder.", False),
    ],
)
def test_private_keys_are_recognized(data, refused):
    """lyncnb recognizes a private key by its PEM label and its structure.

    A sentence about keys does not count.
    """
    from lyncnb.authorities.handover import refuse_private_keys

    if refused:
        with pytest.raises(
            BundleError, match="contains a private key, so lyncnb did not write a package"
        ):
            refuse_private_keys("x", data)
    else:
        refuse_private_keys("x", data)


def test_one_config_string_for_two_cas_is_rejected(tmp_path):
    """The configuration string of one CA is rejected if the requests are for two different internal
    CAs.
    """
    plan = make_plan(ca={"internal": "Contoso CA 1", "Edge": "Contoso CA 2"},
                     issuer={"Edge": "internal"})  # fmt: skip
    folder = make_folder(tmp_path / "requests", plan).folder
    config = r"ca01.contoso.com\Contoso CA 1"
    with pytest.raises(OptionsError, match="are for 2 CAs: Contoso CA 1, Contoso CA 2") as caught:
        hand_over(folder, tmp_path / "out.zip", config=config)
    assert "plan.toml" in caught.value.hint
    assert not (tmp_path / "out.zip").exists()
    package = hand_over(folder, tmp_path / "out.zip", config=config, issuer="Contoso CA 1")
    assert {part.config for part in package.parts} == {config}


def add_client_authentication(folder):
    """Add client authentication to the Mediation Server's request, and return the id of that
    request.
    """
    document = read_document(folder)
    [request] = [r for r in document["requests"] if r["plan"]["role"] == "Mediation"]
    request["plan"]["eku"] = ["serverAuth", "clientAuth"]
    document["plan_sha256"] = ""  # The request is no longer part of the current plan.
    put_back(folder, document)
    return request["id"]


def test_each_kind_of_usage_has_its_template(folder, tmp_path):
    """In the package, requests with client authentication are in a separate folder, and their batch
    file uses another template.
    """
    request_id = add_client_authentication(folder)
    with pytest.raises(OptionsError, match="must have server and client authentication") as caught:
        hand_over(folder, tmp_path / "out.zip")
    assert "--template clientAuth=NAME" in caught.value.hint
    package = hand_over(folder, tmp_path / "out.zip", client_template="LyncBoth")
    templates = {record.id: part.template for part in package.parts for record in part.requests}
    assert templates.pop(request_id) == "LyncBoth"
    assert set(templates.values()) == {"WebServer", ""}
    [subfolder] = [part.folder for part in package.parts if part.template == "LyncBoth"]
    assert b'set "TEMPLATE=LyncBoth"' in contents(tmp_path / "out.zip")[f"{subfolder}/submit.cmd"]
    alone = hand_over(folder, tmp_path / "one.zip", requests=[request_id], template="Both")
    assert [part.template for part in alone.parts] == ["Both"]


def test_page_lists_replaced_certificates(folder, tmp_path):
    """The page for the CA lists each certificate that a renewal replaces, with its serial number
    and revocation date.
    """
    bundle = open_requests(folder)
    ca = PythonCa()
    path = tmp_path / "all.p7b"
    path.write_bytes(p7b(*issue_all(bundle, ca).values(), *ca.chain))
    receive(folder, path, today=TODAY)
    before = {record.id: record.issued.serial for record in open_requests(folder).requests}
    write_requests(make_plan(ca=CAS), folder, passphrase=PASSPHRASE, renew=list(before),
                   reason="a test", accept={"oauth-key-too-small": "a test"}, today=TODAY)  # fmt: skip
    hand_over(folder, tmp_path / "out.zip")
    page = contents(tmp_path / "out.zip")[
        "internal-ca01-contoso-com-contoso-issuing-ca-1/README.html"
    ].decode()
    bare = re.sub(r"<[^>]+>", "", page)
    for request_id in (find_id(bundle, "med01"), find_id(bundle, "ee01")):
        assert f"certutil -revoke {before[request_id]} 4 (superseded)" in bare
    [oauth] = [r.id for r in bundle.requests if "OAuthTokenIssuer" in r.plan.usages]
    assert before[oauth] in bare
    assert f"-revoke {before[oauth]}" not in bare
    assert "Let it expire" in bare


def test_page_names_the_option_for_each_missing_detail(tmp_path):
    """The page for the CA shows which option adds each missing detail. If no detail is missing, it
    mentions no option.
    """
    folder = make_folder(tmp_path / "requests", make_plan()).folder
    open_points = hand_over(folder, tmp_path / "out.zip").missing
    assert all(word in open_points for word in ("--sender", "--needed-by", "[ca]"))
    complete_folder = make_folder(tmp_path / "named", make_plan(ca=CAS)).folder
    package = hand_over(complete_folder, tmp_path / "all.zip", sender="Ana Li", needed_by=TODAY)
    assert package.missing == ""
    assert "must ask" not in package.to_text()


def test_page_lists_compromised_certificates(folder, tmp_path):
    """The page for a CA lists the compromised certificates that the CA must revoke, even if no
    request is waiting.
    """
    bundle, ca = open_requests(folder), PythonCa()
    name = find_id(bundle, "med01")
    path = tmp_path / "all.p7b"
    path.write_bytes(p7b(*issue_all(bundle, ca).values(), *ca.chain))
    receive(folder, path, today=TODAY)
    serial = open_requests(folder).manifest.by_id[name].issued.serial
    choices = {"compromised": True, "passphrase": PASSPHRASE, "today": TODAY}
    renew(folder, name, **choices)
    words = (
        f"Revoke the certificate with serial number {serial} for the reason keyCompromise "
        "(RFC 5280 section 5.3.1)"
    )
    package = hand_over(folder, tmp_path / "out.zip")
    (part,) = package.parts
    page = remove_break_marks(contents(tmp_path / "out.zip")[f"{part.folder}/README.html"].decode())
    assert words in text_of(page)
    assert f"certutil -revoke {serial} 1" in text_of(page)
    assert "superseded" not in text_of(page)
    assert "1 certificate to revoke" in package.to_text()
    path.write_bytes(p7b(*issue_all(open_requests(folder), ca).values(), *ca.chain))
    receive(folder, path, today=TODAY)
    (part,) = hand_over(folder, tmp_path / "out.zip").parts
    entries = contents(tmp_path / "out.zip")
    assert (list(entries), part.requests) == ([f"{part.folder}/README.html"], ())
    page = text_of(entries[f"{part.folder}/README.html"].decode())
    assert words in page
    assert "submit.cmd" not in page


def test_page_names_withdrawn_requests(folder, tmp_path):
    """The page for the CA lists the withdrawn requests with the SHA-256 hash of each CSR, so that
    the CA does not issue certificates for them.
    """
    name = find_id(open_requests(folder), "med01")
    before = open_requests(folder).manifest.by_id[name].csr_sha256
    renew(folder, name, reason="a test", withdraw=True, passphrase=PASSPHRASE, today=TODAY)
    package = hand_over(folder, tmp_path / "out.zip")
    pages = {
        part.folder: text_of(
            remove_break_marks(
                contents(tmp_path / "out.zip")[f"{part.folder}/README.html"].decode()
            )
        )
        for part in package.parts
    }
    assert [subfolder for subfolder, page in pages.items() if before in page] == [
        package.parts[0].folder
    ]
    assert "Do not issue certificates for these requests." in pages[package.parts[0].folder]


def text_of(page: str) -> str:
    """Return the text of an HTML page without the optional line breaks in long words."""
    return html.unescape(re.sub(r"<[^>]+>", "", page)).replace("\u200b", "")


def test_stand_alone_ca_gets_no_template(tmp_path):
    """For a CA that plan.toml names as stand-alone, no page and no script mentions a template."""
    cas = {**CAS, "stand_alone": CAS["internal"].upper()}
    folder = make_folder(tmp_path / "requests", make_plan(ca=cas)).folder
    hand_over(folder, tmp_path / "out.zip")
    entries = contents(tmp_path / "out.zip")
    (script,) = (data for name, data in entries.items() if name.endswith("submit.cmd"))
    assert b"-attrib" not in script
    assert b"TEMPLATE" not in script.upper().replace(b"REPLACE", b"")
    assert b'certreq -submit -config "!CA!" "csr\\!ID!.csr"' in script
    (page,) = (
        data.decode()
        for name, data in entries.items()
        if "internal" in name and name.endswith("README.html")
    )
    text = remove_break_marks(html.unescape(page))
    assert "stand-alone AD CS certification authority" in text
    assert "Enroll permission" not in text
    assert "certutil -config" not in text.replace("-ca.chain", "") or "-CATemplates" not in text
    assert "WebServer" not in text


def test_csrs_in_the_package_have_windows_line_ends(folder, tmp_path):
    """The CSRs for a CA have the line ends of Windows, and the same content as in the folder."""
    hand_over(folder, tmp_path / "out.zip")
    requests = {n: d for n, d in contents(tmp_path / "out.zip").items() if n.endswith(".csr")}
    assert requests
    for name, data in requests.items():
        own = (folder / "csr" / name.rpartition("/")[2]).read_bytes()
        assert data.count(b"\r\n") == data.count(b"\n") == own.count(b"\n")
        assert data.replace(b"\r\n", b"\n") == own
        assert x509.load_pem_x509_csr(data) == x509.load_pem_x509_csr(own)
        read = subprocess.run(
            ["openssl", "req", "-noout", "-verify"], input=data, capture_output=True, check=False
        )
        assert read.returncode == 0, read.stderr
