"""The strange deployments are what their descriptions say, and their requests can be written."""

from __future__ import annotations

import pytest
from shell_kit import make_shell

import lyncnb as ln
from strange import COMPLETE, SHORTEST, VARIABLE, choose_deployments
from strange.generations import DAYS, write_generations

shell = pytest.fixture(make_shell)


@pytest.mark.parametrize("table", [*COMPLETE, SHORTEST], ids=str)
def test_only_the_shortest_table_has_errors(shell, table):
    """`check` finds no error in a deployment whose requests the tests write."""
    result = shell("check", *table.arguments)
    assert result.status == (0 if table.is_complete else 1), result.out


def test_the_tables_contain_what_their_names_say():
    """The tables have long names, eleven pools, fifty servers, one name, and Chinese headings."""
    long, eleven, fifty, one, chinese = (deployment.plan() for deployment in COMPLETE)
    labels = [
        name.partition(".")[0] for certificate in long.certificates for name in certificate.servers
    ]
    assert {len(label) for label in labels} == {35}
    names = [str(name) for certificate in long.certificates for name in certificate.names]
    assert max(len(label) for name in names for label in name.split(".")) == 63
    assert len(eleven.topology.pools) == len(SHORTEST.plan().topology.pools) == 11
    assert len({server.fqdn for pool in fifty.topology.pools for server in pool.computers}) == 50
    edges = [certificate for certificate in one.certificates if certificate.role == "Edge"]
    assert len({certificate.subject.common_name for certificate in edges}) == 2
    assert "伺服器" in COMPLETE[4].table.read_text("utf-8-sig")
    assert all(
        server.endswith(".local")
        for certificate in chinese.certificates
        for server in certificate.servers
    )


def test_a_run_repeats_its_draw(monkeypatch):
    """The number that a run prints selects the same deployment again, and a name selects its own."""
    monkeypatch.delenv(VARIABLE)
    (chosen,) = choose_deployments()
    assert choose_deployments() == [chosen]
    monkeypatch.setenv(VARIABLE, "zh-TW")
    assert [deployment.name for deployment in choose_deployments()] == ["zh-TW"]
    monkeypatch.setenv(VARIABLE, "all")
    assert choose_deployments() == [*COMPLETE]
    monkeypatch.setenv(VARIABLE, "zh-CN")
    with pytest.raises(ValueError, match="LYNCNB_STRANGE is all, a number, or one of long-names"):
        choose_deployments()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_cipher")
def test_certificates_are_renewed_twice(deployment, tmp_path):
    """Three generations of each certificate are on record, and the third is in use everywhere."""
    folder = write_generations(deployment, tmp_path / "requests")
    records = ln.open_requests(folder).requests
    assert {len(record.generations) for record in records} == {3}
    for record in records:
        assert {place.on for place in record.deployments} == {str(DAYS[-1])}
        assert {place.server for place in record.deployments} == set(record.plan.servers)
    status = ln.folder_status(folder, today=DAYS[-1])
    assert status.counts() == {"installed": len(records), "superseded": 2 * len(records)}
