"""The option for the oldest client accepts only known clients, and changes the findings about hash
algorithms.
"""

from __future__ import annotations

import pytest
from topologies import edge, front_end, plan

from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import OptionsError
from lyncnb.plan.options import PlanOptions
from lyncnb.rules.rule_files import load_rules
from lyncnb.widgets.editing.forms import describe_option_groups

LISTED = ("Windows Vista", "Windows Server 2008", "Windows 7", "Windows Server 2008 R2",
          "Lync Phone Edition")  # fmt: skip


def hash_messages(**options):
    """Return the messages about the hash algorithms of the certificates in a plan."""
    planned = plan(front_end(1), edge(1), options=PlanOptions(**options))
    return {f.message for f in check_plan(planned) if f.code == "hash-not-listed-for-clients"}


def test_clients_match_the_page_of_microsoft():
    """The rules contain the five clients that Microsoft's page lists, and the input form offers the
    same clients.
    """
    rules = load_rules("lync2013")
    assert tuple(client.id for client in rules.clients) == LISTED
    (group,) = [
        candidate
        for candidate in describe_option_groups(rules)
        if candidate["title"] == "Key and hash"
    ]
    (field,) = [candidate for candidate in group["fields"] if candidate["name"] == "oldest_client"]
    assert [choice for choice, _ in field["choices"]] == ["", *LISTED]
    words = [words for _, words in field["choices"]]
    # The list of clients has no duplicates.
    assert words == ["the oldest version in the list: Windows Vista", *LISTED]


@pytest.mark.parametrize(
    ("oldest_client", "client"), [("", "Windows Vista"), ("Windows 7", "Windows 7")]
)
def test_hash_is_compared_with_the_oldest_client(oldest_client, client):
    """By default, the finding about the hash algorithm names the oldest listed client, which
    supports only SHA-256.
    """
    messages = hash_messages(hash="sha384", oldest_client=oldest_client)
    assert messages
    assert all(
        message.endswith(f"for {client}, Microsoft lists only sha256") for message in messages
    )
    assert not hash_messages(hash="sha256", oldest_client=oldest_client)


def test_option_changes_no_certificate():
    """The option for the oldest client changes only the findings and not the certificates, so the
    digest of the plan stays the same.
    """
    default_plan, other = (
        plan(front_end(1), options=PlanOptions(oldest_client=name)) for name in ("", "Windows 7")
    )
    assert default_plan.sha256 == other.sha256


def test_unknown_client_is_rejected_with_the_list():
    """The option for the oldest client rejects Windows XP, which is not in the list of clients, and
    the message contains the list.
    """
    with pytest.raises(OptionsError, match="Windows XP") as refused:
        hash_messages(oldest_client="Windows XP")
    assert "Windows Vista" in refused.value.hint
