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
# 1. Press **Run > Run All Cells** to see the plan of the sample.
# 2. To plan your own deployment, change one line: `topology_file`.
# 3. If you have no table, run `ln.GuidePanel()` in a new cell. It asks questions and writes a table.
#
# <!-- author -->
# The options that are not in the table, such as your organization, are in `TABLE.plan.toml` in the same folder.
# The editor writes this file. lyncnb keeps unsaved edits as a draft in `.lyncnb-draft`, which only you can read.
# Apart from the draft, lyncnb writes a file only when you press a button.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # the table: .csv, .xlsx, .ods or .tbxml
request_folder = "requests"  # keys, requests and the summary; a new one for each deployment

# %% [markdown]
# ## 1. The plan editor
#
# The servers, and the number of certificates, names and findings in the plan.
#
# <!-- author -->
# Double-click a cell to edit it, or select several servers and change them together. The editor updates
# the counts at once. Text that lyncnb cannot use is red: correct it, then press **Run All Cells** again. Until
# then, the plan leaves its row out, and no requests are written.

# %%
import lyncnb as ln

options = ln.PlanOptions.beside(topology_file)
editor = ln.PlanEditor(topology_file, options=options)
topology = editor.topology
editor

# %% [markdown]
# The topology: the external, perimeter and internal zones, who connects to whom, and the name and
# certificate of each connection.
#
# <!-- author -->
# The tab *Picture* of the editor also shows this picture, and marks your changes. If a cell shows an older plan
# than the editor, lyncnb marks the cell. Run it again.

# %%
plan = editor.plan
ln.figure(plan)

# %% [markdown]
# ## 2. Certificates and names
#
# The table has one row for each certificate, by site, pool and server. If several servers share a
# certificate, it has one row. For example, all Edge Servers of a pool share one external certificate, and
# the whole deployment has one OAuthTokenIssuer certificate.

# %%
plan

# %% [markdown]
# The names on each certificate. A column shows the names of a pool. A row shows the servers that need a
# name.
#
# <!-- author -->
# `ln.figure(plan, "timeline")` shows the important dates.

# %%
ln.figure(plan, "coverage")

# %% [markdown]
# The notes show each value that lyncnb does not use as it is written. For a blank cell, lyncnb uses the
# value of the pool, the site or the deployment.

# %%
print(topology, *topology.notes, sep="\n")

# %% [markdown]
# The number and the names of the servers in each role.
#
# <!-- author -->
# The table of servers is also a pandas DataFrame. `ln.read_topology` accepts a DataFrame in the same way as a
# file. [explore.ipynb](explore.ipynb) answers more questions with pandas.

# %%
servers = topology.to_frame()
servers.groupby("role", sort=False)["server_fqdn"].agg(servers="size", names="; ".join)

# %% [markdown]
# ## 3. The decisions
#
# <!-- author -->
# The tab *Deployment* of the editor contains the options of the whole deployment. The tab *Save and open* writes
# them next to the table, so that the next session finds both.
#
# These are the decisions to make:
#
# | Decision | Default | When to change it |
# | --- | --- | --- |
# | **Combined or separate** (*Default and web certificates*) | one certificate for the Default usage and both web usages of a server | The external web names need another CA, or two teams renew the certificates. `separate` plans three certificates. |
# | **Wildcards for simple URLs** | off: each Meet and dial-in host has its own name | The deployment has many SIP domains, and the CA issues wildcards. The wildcard is a subject alternative name, never the subject. |
# | **Key** | RSA 2048, which all clients of Lync Server 2013 support | The CA requires 3072 bits or more. A longer key makes signing slower on the servers. |
# | **Internal or public** (*Issuer*) | internal, but public where external users connect: Edge external and the reverse proxy | All external devices trust the internal CA, or no internal device does. |
# | **Directors** (*Role* in the table) | planned like a separate Front End pool | Directors are optional. Without them, the Front End pools authenticate users. |
#
# *Sources: Microsoft, Certificate requirements for internal servers in Lync Server 2013;
# Certificate requirements for external user access in Lync Server 2013; Wildcard certificate support
# in Lync Server 2013; Components required for the Director in Lync Server 2013.*

# %%
options

# %% [markdown]
# <!-- author -->
# Every panel is an ipywidget, so you can combine it with your own controls. `editor.view` is the
# widget of the editor. Its trait `overview` contains the numbers of certificates, names and findings, and
# the digest of the plan. Here, the buttons select a scenario, and the label shows the numbers of the editor.

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
# A scenario: the same deployment with wildcards. `≠` marks a difference.
#
# <!-- author -->
# The tab *Scenarios* of the editor keeps variants under names and compares them. `compared.differences`
# shows the changes to each certificate.

# %%
from dataclasses import replace

planned = ln.Scenario(name="as planned", topology=editor.topology, options=editor.options)
wild = replace(planned, name="wildcards", options=replace(editor.options, wildcard=True))
compared = ln.compare_scenarios(planned, wild)
compared

# %% [markdown]
# ## 4. Why each name is there
#
# Each name on the certificates of one server, with the rule that adds the name and the document that
# requires it. The server is the first one with a certificate from a public CA, or the first in the table.
#
# <!-- author -->
# Use the name of any server. The person who approves the requests needs the same answer.

# %%
public = [certificate.servers[0] for certificate in plan.certificates if certificate.issuer == "public"]
plan.explain((public or list(servers["server_fqdn"]))[0])

# %% [markdown]
# A certificate is useful only if the other side trusts its root. The table shows which root certificates
# each server, partner and client needs, and why.
#
# <!-- author -->
# `ln.trust(plan).shown()` shows which certificate each server presents, and to whom.

# %%
ln.trust(plan).only("Server", "Role", "Install", "Needed for", "Source")

# %% [markdown]
# ## 5. Findings
#
# An **error** prevents the requests until it is fixed, or accepted with a reason. A **warning** describes a
# likely problem. A **notice** is information only. The rules for CAs change over time, so lyncnb applies the
# rules of the planned issue date. The sample has no error and no warning. Its notices list
# what the owners of the domains must prepare for public certificates.

# %%
findings = ln.check_plan(plan)
findings

# %% [markdown]
# This is an example of an error: in a copy of the sample, the Edge pool has no name for its Access Edge
# service.

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
# Renewals become more frequent. From 2027-03-15, public certificates are valid for at most 100 days, and from
# 2029-03-15 for at most 47 days. The forecast shows when to order each certificate, when to install it, and
# which dates conflict with change freezes and maintenance windows. It starts on the planned issue date, or
# today.
#
# <!-- author -->
# Enter change freezes and maintenance windows under `[freezes]` and `[windows]` in the options.

# %%
from datetime import date

ahead = ln.forecast(plan, start=plan.options.planned_issue_date or date.today())
ln.figure(ahead)

# %% [markdown]
# ## 6. Keys, requests and the summary
#
# Requesting in advance is optional. It is allowed under two conditions: the certificates are
# exportable, and they contain all the required subject alternative names. During the deployment, administrators then
# import and assign certificates where Microsoft's guide says to request and assign them.
# *Source: Microsoft, [Request certificates in advance (optional) for Lync Server
# 2013](https://learn.microsoft.com/en-us/previous-versions/office/lync-server-2013/lync-server-2013-request-certificates-in-advance-optional).*
#
# Microsoft's page allows two methods. Use one of them:
#
# 1. **A certificate request procedure of the organization.** lyncnb creates the keys and the requests, and
#    the planner sends the requests to the CA.
# 2. **A computer with the Lync Server 2013 administrative tools.** This computer creates the
#    key. `ln.request_scripts` returns the steps for each certificate and creates no key and no folder.
#    `ln.write_request_scripts(scripts, "request-scripts")` writes a script for each certificate. The next cell
#    shows the commands for the first certificate.

# %%
scripts = ln.request_scripts(plan, today=plan.options.planned_issue_date)
print(scripts)
for request in scripts.servers[:1]:
    commands = [command for step in request.steps for command in step.commands]
    print(f"\nFor {request.server}:", *commands, sep="\n")

# %% [markdown]
# This is the first method. Each request has a new key. lyncnb encrypts the keys with one passphrase
# (at least 12 characters), which it does not store. **Without the passphrase, nobody can open the keys.**
#
# <!-- author -->
# The panel writes the current plan of the editor when you press its button. You enter
# the passphrase in the panel. After a change of the plan, the button replaces only the affected requests,
# and keeps the old keys in `archive`.

# %%
request = ln.RequestPanel(editor, request_folder)
request

# %% [markdown]
# The folder contains the requests for the CA in `csr`, the encrypted keys in `keys`, and this summary
# table in four formats: for a spreadsheet, pandas, a browser, and documentation.
#
# <!-- author -->
# The repository contains an example: [the summary and a request of the sample](../docs/sample/README.md).

# %%
request.summary

# %% [markdown]
# The summary is also a DataFrame. These are the certificates from a public CA, and their names.

# %%
summary = request.summary.to_frame()
summary[summary["Issuer"] == "public"][["Servers", "Subject name", "Subject alternative names"]]

# %% [markdown]
# ## 7. Next steps
#
# For each request: send it to the CA, match the issued certificate, package
# it with its key, and write the steps for its servers.
#
# <!-- author -->
# Keep the whole folder, and keep the passphrase in another place.
# The blue button of the panel does the next step. [receive.ipynb](receive.ipynb) shows the steps with the
# certificates of the sample.

# %%
ln.StatusPanel(editor, request_folder)
