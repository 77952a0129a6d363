"""Each of forty common mistakes in planning Lync certificates causes a finding, is covered by a
step, or has a test.

W01 to W40 are numbers only in this table. A place is ``finding CODE``, ``step ID: WORDS`` (the step
contains the words), ``handover: WORDS`` (in the files for the CA), or ``test FILE::NAME`` for a
mistake that cannot happen or that no single finding covers.
"""

from __future__ import annotations

import re

import pytest
from places import REPOSITORY
from topologies import edge, front_end, plan, row

from lyncnb.reports.compare import compare_plans
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.returned_rules import list_all_checks
from lyncnb.rules.rule_files import load_rules

RULES = load_rules("lync2013")
STEPS = {step.id: step for step in load_procedure(RULES).steps}
HANDOVER = REPOSITORY / "lyncnb" / "authorities" / "handover_wording.toml"

HERE = "test checks/test_common_mistakes.py::"
WALK = "test deploy/test_walk.py::"
STEPS_TEST = "test deploy/test_steps.py::"
TABLE = {
    "W01": ("The key of a request made elsewhere cannot be exported", ["step request-there: -PrivateKeyExportable $true", "step request-edge-there: -PrivateKeyExportable $true", "step request-edge-here: -PrivateKeyExportable $true", "step request-exportable: If the key cannot be exported, you cannot copy it"]),
    "W02": ("The subject name is not among the alternative names", ["finding subject-name-not-in-san"]),
    "W03": ("A wildcard as subject name", ["finding wildcard-in-subject-name"]),
    "W04": ("A wildcard on a role that takes none", ["finding wildcard-not-supported"]),
    "W05": ("A wildcard thought to cover what it does not", ["finding wildcard-does-not-cover"]),
    "W06": ("Not every Meet URL in the SAN", ["finding meet-url-not-covered"]),
    "W07": ("sip.<domain> missing on the pool of automatic sign-in", ["finding sip-name-not-covered"]),
    "W08": ("A SIP domain is added after issuing", [HERE + "test_a_new_sip_domain_renews_servers_edge_and_proxy", "test export/test_write.py::test_a_changed_plan_renews_exactly_the_requests_concerned"]),
    "W09": ("A Director with the external web name of a Front End pool", ["finding web-external-fqdn-shared"]),
    "W10": ("A Director's web name forgotten on the reverse proxy", ["finding web-external-fqdn-not-published"]),
    "W11": ("A Standard Edition server with another internal web name", ["finding web-internal-fqdn-overridden"]),
    "W12": ("A DNS-load-balanced pool without an internal web name", ["finding web-internal-fqdn-blank"]),
    "W13": ("Edge Servers of one pool with different certificates", ["finding edge-certificates-differ", "finding different-certificates-in-pool"]),
    "W14": ("The A/V Edge name in the SAN", ["finding av-edge-name-on-certificate"]),
    "W15": ("Single-label or internal names on a public certificate", ["finding single-label-name", "finding internal-name-on-public-certificate"]),
    "W16": ("No client authentication with AOL", ["finding aol-without-client-authentication", "finding eku-missing"]),
    "W17": ("An XMPP domain missing", ["finding xmpp-domain-not-covered"]),
    "W18": ("An OAuth certificate for each server, or imported on each", ["finding oauth-certificate-not-shared", STEPS_TEST + "test_oauth_is_imported_on_one_server_only"]),
    "W19": ("An OAuth key below 2048 bits", ["finding oauth-key-too-small"]),
    "W20": ("PSS signature, key of a Key Storage Provider, SHA-1", ["finding signature-pss", "finding signature-hash-sha1", "test deploy/test_install_script.py::test_key_in_another_provider_must_be_confirmed"]),
    "W21": ("Display name of a template; no Enrol permission", ["handover: (not the display names)", "handover: with the Enroll permission only for the people who submit", "test authorities/test_submission.py::test_display_name_of_the_built_in_template_is_refused", "step account: You do not need the Enroll permission on the CA"]),
    "W22": ("No CRL distribution point or server authentication in what came back", ["finding crl-distribution-point-absent", "finding eku-server-auth-absent"]),
    "W23": ("Two certificates of one friendly name on a computer", ["test deploy/test_request_scripts.py::test_requests_of_one_computer_have_different_names", "test deploy/test_request_scripts.py::test_requests_of_similar_pools_have_different_names", "test deploy/test_write_pfx.py::test_each_certificate_is_packaged_with_its_own_key"]),
    "W24": ("Imported into the store of a user", ["step import: into Local Computer > Personal, because the wizard does not show certificates in a user's store", WALK + "test_every_server_ends_with_the_planned_certificates"]),
    "W25": ("The key deleted when the export succeeds", ["step finish-export: Never select \"Delete the private key", "step delete-package: never select the option that deletes the private key"]),
    "W26": ("An answer accepted on another computer than that of the key", ["step finish-where: only on {server}, where the request was created", WALK + "test_certificate_on_the_wrong_computer_is_reported"]),
    "W27": ("No chain on an Edge Server outside the domain", ["step chain: On an Edge Server outside the domain, Group Policy does not install CA certificates", STEPS_TEST + "test_chain_goes_into_the_right_stores"]),
    "W28": ("Underscore or Unicode in a name; a simple URL that breaks the rules", ["finding underscore-in-name", "finding international-name", "finding simple-url-not-allowed"]),
    "W29": ("The base of simple URLs is changed after issuing", [HERE + "test_another_simple_url_requires_new_certificates"]),
    "W30": ("Autodiscover names forgotten, or of some SIP domains only", ["finding autodiscover-name-not-covered"]),
    "W31": ("A certificate of its own for a collocated role", ["finding collocated-role", "finding stand-alone-and-collocated"]),
    "W32": ("Persistent Chat from another CA", ["finding persistent-chat-other-ca"]),
    "W33": ("A roll too near, or not on all Edge Servers", [STEPS_TEST + "test_roll_over_too_close_to_the_end_is_rejected", WALK + "test_roll_over_on_only_one_edge_server_is_reported", "step roll-over-av: All servers in {pool} change to the new certificate at the same time"]),
    "W34": ("The Edge pool's name as an external one", ["finding name-leads-to-two-places"]),
    "W35": ("A shortened list of names taken for the whole", ["step assign-look: shorten long lists of names"]),
    "W36": ("Old clients thought to take the hash", ["finding hash-not-listed-for-clients"]),
    "W37": ("A trusted application certificate for each computer", ["finding trusted-application-certificate-not-shared"]),
    "W38": ("Several types assigned with a thumbprint of one", ["step assign: Never combine usages that need different certificates", STEPS_TEST + "test_commands_name_types_and_thumbprint"]),
    "W39": ("A reverse proxy without the Meet URL of a SIP domain", ["finding meet-url-not-covered", "finding meet-url-count"]),
    "W40": ("A wildcard, and desk phones not tested", ["finding wildcard-and-desk-phones"]),
}  # fmt: skip


def test_all_forty_mistakes_are_listed():
    """The table lists all forty mistakes, and for each mistake at least one finding, step, or test
    that covers it.
    """
    assert list(TABLE) == [f"W{number:02}" for number in range(1, 41)]
    assert all(references for _, references in TABLE.values())


@pytest.mark.parametrize("number", TABLE)
def test_entries_in_the_table_of_mistakes_exist(number):
    """The table of mistakes mentions only finding codes, steps and tests that exist."""
    for reference in TABLE[number][1]:
        kind, _, target = reference.partition(" ")
        if kind == "finding":
            assert target in list_all_checks(RULES), reference
        elif kind == "step":
            step_id, _, words = target.partition(": ")
            step = STEPS[step_id]
            assert words in "\n".join((step.text, *step.commands)), reference
        elif kind == "handover:":
            assert target in HANDOVER.read_text(encoding="utf-8"), reference
        else:
            assert kind == "test", reference
            file, _, name = target.partition("::")
            text = (REPOSITORY / "tests" / file).read_text(encoding="utf-8")
            assert re.search(rf"^ *def {name}\(", text, re.MULTILINE), reference


def list_certificates_to_renew(old, new):
    """Return the roles and usages of the certificates that must be requested again after the plan
    changes.
    """
    difference = compare_plans(
        *(
            plan(front_end(1), edge(1), row("rp01.contoso.com", "ReverseProxy"), **shared)
            for shared in (old, new)
        )
    )
    renewed = [item for item in difference.certificates if item.change == "renewed"]
    return {(item.new.role, item.new.usages[:1]) for item in renewed}


def test_a_new_sip_domain_renews_servers_edge_and_proxy():
    """A new SIP domain requires new certificates for the Front End, external Edge, and reverse
    proxy roles, but not for the internal Edge.
    """
    meet = {"meet_urls": "https://meet.contoso.com"}
    changed = list_certificates_to_renew(
        {"sip_domains": "contoso.com", **meet},
        {"sip_domains": "contoso.com;fabrikam.com", **meet},
    )
    assert {("FrontEnd", ("Default",)), ("Edge", ("AccessEdgeExternal",))} <= changed
    assert ("ReverseProxy", ()) in changed
    assert ("Edge", ("Internal",)) not in changed


def test_another_simple_url_requires_new_certificates():
    """A Meet URL with another host requires new certificates for the servers and for the reverse
    proxy.
    """
    sip = {"sip_domains": "contoso.com"}
    changed = list_certificates_to_renew(
        {"meet_urls": "https://meet.contoso.com", **sip},
        {"meet_urls": "https://lync.contoso.com/meet", **sip},
    )
    assert changed == {("FrontEnd", ("Default",)), ("ReverseProxy", ())}
