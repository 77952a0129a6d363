"""The explanation of a server's names as text and table."""

from topologies import edge, plan

from lyncnb.explanation import COLUMNS


def test_as_text():
    """Certificates, their names, and for each the reason with rule and source."""
    text = str(
        plan(edge(webconf_edge_fqdn=""), sip_domains="contoso.com").explain("edge01.contoso.net")
    )
    external, internal = plan(edge()).certificates
    names = plan(edge()).rules.names

    def reason(rule):
        return [f"    {names[rule].why} [{rule}]", f"      {names[rule].source}"]

    assert text.splitlines() == [
        f"{external.id}: AccessEdgeExternal, DataEdgeExternal, AudioVideoAuthentication",
        "  sip.contoso.com (subject and SAN)",
        *reason("access-edge"),
        *reason("sip-edge"),
        f"{internal.id}: Internal",
        "  lsedge.contoso.net (subject)",
        *reason("edge-internal"),
    ]


def test_as_table():
    """One row per reason, escaped."""
    explanation = plan(edge()).explain("edge01.contoso.net")
    frame = explanation.to_frame()
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == len(explanation.names)
    assert "sip.&lt;SIP domain&gt;" in explanation._repr_html_()
    assert "Names on the certificates of edge01.contoso.net" in explanation._repr_html_()


def test_a_missing_subject_has_a_word_for_it():
    """Where the topology lacks the subject, the text says so."""
    text = str(plan(edge(access_edge_fqdn="")).explain("edge01.contoso.net"))
    assert "  (no name) (subject)\n" in text
