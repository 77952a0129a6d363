"""Check the simple URLs of sites against Microsoft's "Planning for simple URLs".

A certificate contains only the host name of a simple URL. However, a URL that breaks a rule must be
changed before the deployment is complete, and a changed host name requires a new certificate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..base.shown.tables import format_count
from ..rules.model import CheckRule
from ..topology.model import SimpleUrl, Site
from .cell_edits import fill_cell
from .found import DeploymentTest, Found
from .plan_lookups import PlanView

# The characters that Microsoft allows: letters, digits, periods, and slashes. A host name may also
# contain a hyphen, which another check reports.
_ALLOWED = re.compile(r"https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9.-]+)*/?")

_KINDS = ("meet_urls", "dialin_url", "admin_url")


def _list_urls(site: Site) -> Iterator[tuple[str, SimpleUrl]]:
    for url in site.meet_urls:
        yield "meet_urls", url
    if site.dialin_url:
        yield "dialin_url", site.dialin_url
    if site.admin_url:
        yield "admin_url", site.admin_url


def find_meet_url_missing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a site that has web services but no Meet URL."""
    for site in view.list_sites_with_web_services():
        if not site.meet_urls:
            server = view.find_first_server(site)
            # Topology Builder proposes URLs of this form, one for each SIP domain.
            urls = ";".join(f"https://meet.{name}" for name in view.plan.topology.sip_domains)
            message = f"{view.format_site(site)} has no Meet URL"
            yield Found(server, message, fill_cell(view, server, "meet_urls", urls))


def find_dialin_url_missing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a site that has web services but no Dial-in URL."""
    for site in view.list_sites_with_web_services():
        if site.dialin_url is None:
            server, domains = view.find_first_server(site), view.plan.topology.sip_domains
            url = f"https://dialin.{domains[0]}" if domains else ""
            message = f"{view.format_site(site)} has no Dial-in URL"
            yield Found(server, message, fill_cell(view, server, "dialin_url", url))


def find_simple_urls_not_all_overridden(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a site that overrides some of the simple URLs, but not all of them."""
    sites = list(view.list_sites_with_web_services())
    counts = {kind: Counter(getattr(site, kind) for site in sites) for kind in _KINDS}
    # The other sites override the URLs of the site with the most URLs, or else of the first site.
    general = max(
        sites, key=lambda site: sum(bool(getattr(site, kind)) for kind in _KINDS), default=None
    )
    for site in sites:
        if site is general:
            continue
        # Missing URLs are ignored, because other checks report them.
        present_kinds = [kind for kind in _KINDS if getattr(site, kind)]
        own_kinds = [kind for kind in present_kinds if counts[kind][getattr(site, kind)] == 1]
        if own_kinds and len(own_kinds) < len(present_kinds):
            shared = " and ".join(kind for kind in present_kinds if kind not in own_kinds)
            message = (
                f"{view.format_site(site)} has its own {' and '.join(own_kinds)}, but shares "
                f"{shared} with another site"
            )
            yield Found(view.find_first_server(site), message)


def find_site_without_admin_url(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a site with its own simple URLs that has no Admin URL, although another site has one."""
    admin_url = next((site.admin_url.url for site in view.list_sites() if site.admin_url), "")
    for site in view.list_sites_with_web_services() if admin_url else ():
        if site.admin_url is None and view.has_own_urls(site):
            message = f'{view.format_site(site)} has no Admin URL and does not use "{admin_url}"'
            yield Found(view.find_first_server(site), message)


def find_meet_url_count(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a site whose number of Meet URLs differs from the number of SIP domains."""
    domains = len(view.plan.topology.sip_domains)
    for site in view.list_sites_with_web_services():
        if site.meet_urls and len(site.meet_urls) != domains:
            counts = f"{len(site.meet_urls)} Meet URLs for {format_count(domains, 'SIP domain')}"
            yield Found(view.find_first_server(site), f"{counts} in {view.format_site(site)}")


def find_simple_url_not_allowed(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a simple URL that has a port, a query, or a character that is not allowed."""
    for site in view.list_sites():
        for column, url in _list_urls(site):
            if urlsplit(url.url).netloc.rpartition(":")[1]:
                yield Found(
                    view.find_server_with_url(site, column), f'{column} "{url.url}" has a port'
                )
            elif not _ALLOWED.fullmatch(url.url):
                yield Found(
                    view.find_server_with_url(site, column),
                    f'{column} "{url.url}" contains a character that is not allowed',
                )


def find_simple_url_has_hyphen(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a simple URL with a hyphen. Microsoft's documentation does not mention hyphens."""
    for site in view.list_sites():
        for column, url in _list_urls(site):
            if "-" in url.url:
                server = view.find_server_with_url(site, column)
                yield Found(server, f'{column} "{url.url}" has a hyphen')


def find_simple_url_overlaps(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a simple URL that is the same as another one, or the beginning of another one."""
    for site in view.list_sites():
        urls = [(column, url.url.lower().rstrip("/")) for column, url in _list_urls(site)]
        for number, (column, url) in enumerate(urls):
            for other_column, other in urls[:number] + urls[number + 1 :]:
                if other == url and urls.index((other_column, other)) < number:
                    yield Found(
                        view.find_server_with_url(site, column),
                        f'{column} and {other_column} are both "{url}"',
                    )
                elif other.startswith(url + "/"):
                    yield Found(
                        view.find_server_with_url(site, column),
                        f'{column} "{url}" is a prefix of {other_column} "{other}"',
                    )


def find_simple_url_is_sip_domain(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a simple URL whose host is a SIP domain."""
    domains = set(view.plan.topology.sip_domains)
    for site in view.list_sites_with_web_services():
        for column, url in _list_urls(site):
            if url.host in domains:
                yield Found(
                    view.find_server_with_url(site, column),
                    f"{column} {url.url} uses the SIP domain {url.host} as the host name",
                )


SIMPLE_URL_TESTS: dict[str, DeploymentTest] = {
    test.__name__.removeprefix("find_"): test
    for test in (
        find_meet_url_missing,
        find_dialin_url_missing,
        find_simple_urls_not_all_overridden,
        find_site_without_admin_url,
        find_meet_url_count,
        find_simple_url_not_allowed,
        find_simple_url_has_hyphen,
        find_simple_url_overlaps,
        find_simple_url_is_sip_domain,
    )
}
