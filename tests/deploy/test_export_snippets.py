"""The PowerShell scripts that export data from a deployment run without errors."""

from __future__ import annotations

import base64

import pytest
from cas.python_ca import der
from deploy.walk import NOON, OLD_END, computers_of
from installed_certificates import Stored, authority, export_of, issue_planned
from powershell_kit import needs_pwsh
from topologies import front_end, plan
from topology_documents import URLS, make_exported_topology, make_published_topology
from topology_documents import front_end as standard_edition

from lyncnb.authorities.returned.decoding import decode
from lyncnb.authorities.returned.server_export import EXPORT_SCRIPT, parse_export
from lyncnb.topology import xml_tree
from lyncnb.topology.topology import read_topology

pytestmark = needs_pwsh

SERVER, GONE = "ee01.contoso.com", "0" * 40


def exported_files(walk, script, certificates=(), **world):
    """Run a script on a server, and return its result and the files that it wrote."""
    begun = computers_of() | world
    validity = {"begins": NOON.isoformat(), "ends": OLD_END.isoformat()}
    begun["certificates"][GONE] = {"name": "not in the store any more"} | validity
    for certificate in certificates:
        known = decode(der(certificate)).certificates[0]
        begun["certificates"][known.thumbprint] = {
            "name": "",
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "der": base64.b64encode(der(certificate)).decode(),
        } | validity
    walk.begin(begun)
    (run,) = walk.ask({"moves": [{"run": SERVER, "script": str(script), "there": True}]})
    return run, walk.read(SERVER)


@pytest.mark.parametrize("form", ["", "urn:certref:"])
def test_export_of_certificates_accepts_both_types_of_use(walk, form):
    """The certificate export contains the usages, and lyncnb can read it, for both types that the
    property `Use` can have in PowerShell.
    """
    (planned, *_) = plan(front_end(1)).certificates
    mine, issuer = issue_planned(planned), authority().chain[0]
    thumbprint, above = (decode(der(c)).certificates[0].thumbprint for c in (mine, issuer))
    server_state = {
        "name": SERVER,
        "pool": "",
        "my": [thumbprint],
        "keys": [thumbprint],
        "ca": [],
        "root": [above],
    }
    usages = ("Default", "WebServicesExternal", "WebServicesInternal")
    uses = {
        usage: {"current": thumbprint, "next": "", "since": None, "previous": ""}
        for usage in usages
    }
    uses["OAuthTokenIssuer"] = uses["Default"] | {"current": GONE}
    server_state |= {"uses": uses, "services": {}, "replica": True, "broken": []}
    run, files = exported_files(
        walk, EXPORT_SCRIPT, (mine, issuer), servers={SERVER: server_state}, useform=form
    )
    assert len(files) == 1, run
    (text,) = files.values()
    export = parse_export(text)
    assert export.absent == (("OAuthTokenIssuer", GONE),), run
    ((placed,), has_lync) = export.placements, export.has_lync
    assert (placed.types, placed.has_key, has_lync) == (usages, True, True)
    stored = [Stored(mine, usages)]
    expected = export_of(
        export.computer, stored, above=[issuer], absent=export.absent, time=export.exported_at
    )
    assert text.splitlines() == expected.decode().splitlines()
    assert run["changes"] == []


def test_exported_topology_can_be_read(walk):
    """The exported topology contains the published topology and each simple URL, in the format that
    lyncnb reads.
    """
    clusters = [standard_edition("se01.contoso.com")]
    urls = [["Global", *url] for url in URLS]
    run, files = exported_files(
        walk,
        xml_tree.EXPORT_SCRIPT,
        servers={SERVER: {"name": SERVER, "uses": {}, "services": {}}},
        topology=make_published_topology(clusters),
        urls=urls,
    )
    assert list(files) == ["topology.xml"], run
    actual = read_topology(files["topology.xml"].encode())
    expected = read_topology(make_exported_topology(clusters).encode())
    assert actual.to_frame().equals(expected.to_frame())
    assert run["changes"] == []
