# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Plan the certificates of a Lync Server 2013 deployment
#
# <!-- author -->
# Press **Run > Run All Cells** to see the plan of the sample. To plan your own deployment, change one line: `topology_file`.
# No table yet? Run `ln.GuidePanel()` in a new cell: it asks questions and writes a table.
# What a table does not hold, such as your organization, is in `TABLE.plan.toml` in the same folder; the editor writes it.
# Edits that you do not save are kept as a draft in `.lyncnb-draft`, readable by you alone.
# Apart from the draft, lyncnb writes a file only when you press a button.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # the table: .csv, .xlsx, .ods or .tbxml
request_folder = "requests"  # keys, requests and the summary; a new one for each deployment

# %% [markdown]
# ## 1. The plan editor
#
# The servers, and how many certificates, names and findings the plan has.
#
# <!-- author -->
# Double-click a cell, or select servers and change them together. The counts follow at once.

# %%
import lyncnb as ln

topology = ln.read_topology(topology_file)
options = ln.PlanOptions.beside(topology_file)
editor = ln.PlanEditor(topology, options=options)
editor

# %% [markdown]
# The plan as a picture: who is outside, in the perimeter and inside, who connects to whom, and by
# which name on which certificate.
#
# <!-- author -->
# The tab *Picture* of the editor shows it too, with a mark at what you changed. A cell that shows an
# older plan than the editor is marked; run it again.

# %%
plan = editor.plan
ln.figure(plan)

# %% [markdown]
# ## 2. Certificates and names
#
# One row per certificate, by site, pool and server. A certificate that several servers share has
# one row: all Edge Servers of a pool carry the same external certificate, and the whole deployment
# has one OAuthTokenIssuer certificate.

# %%
plan

# %% [markdown]
# Which name is on which certificate. Read down a column to see what a pool carries, along a row
# to see which servers have a name.
#
# <!-- author -->
# `ln.figure(plan, "timeline")` shows the important days.

# %%
ln.figure(plan, "coverage")

# %% [markdown]
# How lyncnb read the table: each note names a value that is read differently from how it is
# written. A blank cell takes the value of its pool, its site or the deployment.

# %%
print(topology, *topology.notes, sep="\n")

# %% [markdown]
# How many servers has each role, and which?
#
# <!-- author -->
# The table of servers is a pandas DataFrame, too, and `ln.read_topology` reads a DataFrame as it reads a
# file.

# %%
servers = topology.to_frame()
servers.groupby("role", sort=False)["server_fqdn"].agg(servers="size", names="; ".join)

# %% [markdown]
# ## 3. The choices
#
# <!-- author -->
# The tab *Deployment* of the editor holds the choices that no server holds. Its tab *Save and open* writes
# them beside the table, so that the next session finds both.
#
# These are the choices to settle:
#
# | Choice | Default | Choose otherwise when |
# | --- | --- | --- |
# | **Combined or separate** (*Default and web certificates*) | one certificate for Default and both web usages of a server | the external web names must come from another CA, or two teams renew them: `separate` makes three |
# | **Wildcards for simple URLs** | off: every Meet and dial-in host is a name of its own | there are many SIP domains and the CA sells wildcards; it then stands among the alternative names, never as subject |
# | **Key** | RSA 2048, which every client of Lync Server 2013 can use | the CA asks for 3072 or more; each step up makes signing slower on the servers |
# | **Internal or public** (*Issuer*) | internal, but public where strangers connect: Edge external and the reverse proxy | an internal CA is trusted by every device outside, or by none inside |
# | **Directors** (*Role* in the table) | planned like a Front End pool of its own | they are optional: without Director rows the Front End pools answer sign-in themselves |
#
# *Sources: Microsoft, Certificate requirements for internal servers in Lync Server 2013;
# Certificate requirements for external user access in Lync Server 2013; Wildcard certificate support
# in Lync Server 2013; Components required for the Director in Lync Server 2013.*

# %%
options

# %% [markdown]
# <!-- author -->
# Every panel is an ipywidget, so it works together with your own controls. `editor.view` is the
# widget of the editor. Its trait `overview` holds the counts of certificates, names and findings, and
# the plan's digest. The buttons choose a scenario, and the counts beside them follow the editor.

# %% tags=["author"]
import ipywidgets

scenario = ipywidgets.ToggleButtons(
    options={"as planned": False, "wildcards": True}, value=editor.options.wildcard
)
scenario.observe(lambda change: editor.change_options(wildcard=change.new), "value")
editor.view.observe(lambda _: scenario.set_trait("value", editor.options.wildcard), "overview")
counts = ipywidgets.Label()
words = "{certificates} certificates, {names} names, {errors} errors, {warnings} warnings".format_map
ipywidgets.dlink((editor.view, "overview"), (counts, "value"), words)
ipywidgets.HBox([scenario, counts])

# %% [markdown]
# What if? This compares the plan with one that has wildcards; `≠` marks a difference.
#
# <!-- author -->
# In the editor the tab *Scenarios* keeps variants under names and compares them. `compared.differences`
# says what that does to each certificate.

# %%
from dataclasses import replace

planned = ln.Scenario(name="as planned", topology=editor.topology, options=editor.options)
wild = replace(planned, name="wildcards", options=replace(editor.options, wildcard=True))
compared = ln.compare_scenarios(planned, wild)
compared

# %% [markdown]
# ## 4. Why each name is there
#
# Every name on each certificate of a server, with the rule that put it there and the document that
# says so. This is the first server with a certificate of a public CA, or the first of the table.
#
# <!-- author -->
# Ask about any server. The person who approves the requests asks the same.

# %%
public = [certificate.servers[0] for certificate in plan.certificates if certificate.issuer == "public"]
plan.explain((public or list(servers["server_fqdn"]))[0])

# %% [markdown]
# A certificate helps only where the root above it is trusted: which roots each server, partner and
# client needs, and what for.
#
# <!-- author -->
# `ln.trust(plan).shown()` says who shows which certificate to whom.

# %%
ln.trust(plan).only("Server", "Role", "Install", "Needed for", "Source")

# %% [markdown]
# ## 5. What may go wrong
#
# An **error** stops the export until it is fixed or accepted with a reason. A **warning** names a
# likely problem. A **notice** is information only. The rules for CAs change with time, so the
# rules of the planned issue date apply. The sample has no error and no warning. Its notices name
# what the owners of the domains must prepare for public certificates.

# %%
findings = ln.check_plan(plan)
findings

# %% [markdown]
# The sample with one cell removed shows what a finding looks like: the Edge pool has lost the
# name of its Access Edge service.

# %%
sample = "../data/contoso.csv"  # whatever is planned above
rows = ln.read_topology(sample).to_frame()
rows["access_edge_fqdn"] = ""
demonstration = ln.Scenario(
    name="demonstration: the sample without its Access Edge name",
    topology=ln.read_topology(rows),
    options=ln.PlanOptions.beside(sample),
)
ln.check_plan(demonstration.plan)

# %% [markdown]
# The same certificates come back ever faster: a public CA gives 100 days from 2027-03-15 on, 47 from
# 2029-03-15. The forecast shows when to order each certificate, by when it must be on its servers, and
# which dates conflict with freezes and maintenance windows. Without a planned issue date it starts today.
#
# <!-- author -->
# Enter freezes and maintenance windows under `[freezes]` and `[windows]` in the options.

# %%
from datetime import date

ahead = ln.forecast(plan, start=plan.options.planned_issue_date or date.today())
ln.figure(ahead)

# %% [markdown]
# ## 6. Keys, requests and the summary
#
# Requesting in advance is optional. It is allowed under two conditions: the certificates are
# exportable, and they contain all the required subject alternative names. The deployment then
# imports and assigns certificates where its guide says request and assign.
# *Source: Microsoft, [Request certificates in advance (optional) for Lync Server
# 2013](https://learn.microsoft.com/en-us/previous-versions/office/lync-server-2013/lync-server-2013-request-certificates-in-advance-optional).*
#
# Microsoft's page allows two routes. A deployment uses one of them:
#
# 1. **A certificate request procedure of the organization.** lyncnb makes keys and requests, and the CA
#    gets the requests.
# 2. **A computer on which the Lync Server 2013 administrative tools are installed.** The key is made
#    there. `ln.request_scripts` has the steps for each certificate, without a key or a folder, and
#    `ln.write_request_scripts(scripts, "request-scripts")` writes a script for each. The next cell
#    shows the commands for the first certificate.

# %%
scripts = ln.request_scripts(plan, today=plan.options.planned_issue_date)
print(scripts)
for request in scripts.servers[:1]:
    commands = [command for step in request.steps for command in step.commands]
    print(f"\nFor {request.server}:", *commands, sep="\n")

# %% [markdown]
# This is the first route. Each request gets a new key, written only encrypted under one passphrase
# (at least 12 characters) that is stored nowhere. **Without it nobody can get the keys back.**
#
# <!-- author -->
# The panel writes what the editor plans at the moment you press its button, and nothing before. You type
# the passphrase into the panel. After a change of the plan the button replaces exactly the requests
# concerned and keeps the old keys in `archive`.

# %%
request = ln.RequestPanel(editor, request_folder)
request

# %% [markdown]
# The folder holds the requests for the CA in `csr`, the encrypted keys in `keys`, and this summary
# table in four forms, for a spreadsheet, a browser or a page of documentation.
#
# <!-- author -->
# The repository shows them for the sample: [the summary and a request](../docs/sample/README.md).

# %%
request.summary

# %% [markdown]
# The summary is a frame, too. Which certificates does a public CA issue, and for which names?

# %%
summary = request.summary.to_frame()
summary[summary["Issuer"] == "public"][["Servers", "Subject name", "Subject alternative names"]]

# %% [markdown]
# ## 7. What comes next
#
# What each request needs: hand the requests over to the CA, match the certificates that it issues, package
# them with their keys, and write the steps for each server.
#
# <!-- author -->
# Keep the whole folder, and the passphrase in another place.
# The panel's blue button does the next step. [receive.ipynb](receive.ipynb) shows it with certificates of
# the sample.

# %%
ln.StatusPanel(editor, request_folder)
