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
# Load a table with one row per server, see every certificate the deployment needs and why, and
# write the certification requests (CSRs) with a summary table, before a single server exists.
#
# Requesting in advance is optional, and allowed under two conditions: the private key can be
# exported, and every subject alternative name that is needed is there from the start. The
# deployment then imports and assigns certificates where its guide says request and assign.
# *Source: Microsoft, Request certificates in advance (optional) for Lync Server 2013.*
#
# Press **Run > Run All Cells** to see it with the sample. For your own deployment, change the two
# names in the next cell and run it again. No table yet? `ln.GuidePanel()` in a cell of its own, or
# `lyncnb guide` in a shell, asks what you know and lays one out. Nothing is written until you press a
# button for it.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # your table: .csv, .xlsx, .ods or .tbxml
request_folder = "requests"  # keys, requests and the summary go here; made if it is not there

# %% [markdown]
# ## 1. The servers
#
# A table that cannot be right is refused here, with every problem at once: row, column, value and
# what to do. A blank cell takes the value of its pool, its site or the deployment.

# %%
import lyncnb as ln

topology = ln.read_topology(topology_file)
topology

# %% [markdown]
# ## 2. Your choices
#
# Double-click a cell, or tick servers and change them together. The tab *Deployment* holds the
# choices that no server holds. The counts above the table change at once, and running the cells
# again keeps what you changed. These are the choices to settle, and what speaks for each:
#
# | Choice | As planned without a word from you | Choose otherwise when |
# | --- | --- | --- |
# | **Combined or separate** (*Default and web certificates*) | one certificate for Default and both web usages of a server | the external web names must come from another CA, or two teams renew them: `separate` makes three |
# | **Wildcards for simple URLs** | off: every Meet and dial-in host is a name of its own | there are many SIP domains and the CA sells wildcards; it then stands among the alternative names, never as subject |
# | **Key** | RSA 2048, which every client of Lync Server 2013 can use | your CA asks for 3072 or more; each step up makes signing slower on the servers |
# | **Internal or public** (*Issuer*) | internal, but public where strangers connect: Edge external and the reverse proxy | a CA of yours is trusted by every device outside, or by none inside |
# | **Directors** (*Role* in the table) | planned like a Front End pool of its own | they are optional: without Director rows the Front End pools answer sign-in themselves |
#
# *Sources: Microsoft, Certificate requirements for internal servers in Lync Server 2013;
# Certificate requirements for external user access in Lync Server 2013; Wildcard certificate support
# in Lync Server 2013; Components required for the Director in Lync Server 2013.*

# %%
from datetime import date

rules = ln.load_rules("lync2013")
issue_date = date(2026, 12, 1)  # the day on which the CA is to issue: its rules count
options = ln.PlanOptions(
    organization="Contoso", locality="Taipei", country="TW", planned_issue_date=issue_date
)
editor = ln.PlanEditor(topology, rules, options=options)
editor

# %% [markdown]
# What the editor holds is plain values, at every moment: `editor.topology`, and these options. To
# keep your changes for another day, its tab *Save* writes them as files, or as Python for the cell
# above. A cell below that shows an older plan than the editor is marked; run it again.

# %%
editor.options

# %% [markdown]
# ## 3. The plan
#
# One row per certificate, by site, pool and server. A certificate that several servers share has
# one row: all Edge Servers of a pool carry the same external certificate, and the whole deployment
# has one OAuthTokenIssuer certificate.

# %%
plan = ln.plan_certificates(editor.topology, rules, options=editor.options)
plan

# %% [markdown]
# The same as a picture: who stands outside, in the perimeter and inside, who speaks to whom, and by
# which name on which certificate. Below it is its data as a table. The tab *Picture* of the editor
# shows it too, with a mark at what you changed; a click on a pool selects its servers there.

# %%
ln.figure(plan)

# %% [markdown]
# Which name stands on whose certificate. Read down a column to see what a pool carries, along a row
# to see who answers to a name. `ln.figure(plan, "timeline")` shows the days that matter.

# %%
ln.figure(plan, "coverage")

# %% [markdown]
# What if? Here the plan stands beside one with wildcards; `≠` marks what is other. In the editor the
# tab *Scenarios* keeps what you try under a name, as a folder of three files, and puts two or three
# beside each other. `compared.differences` says what that does to each certificate.

# %%
from dataclasses import replace

planned = ln.Scenario(name="as planned", topology=editor.topology, options=editor.options)
wild = replace(planned, name="wildcards", options=replace(editor.options, wildcard=True))
compared = ln.compare_scenarios(planned, wild)
compared

# %% [markdown]
# ## 4. Why each name is there
#
# Ask about any server: every name on each of its certificates, with the rule that put it there and
# the document that says so. Whoever approves the requests will ask the same.

# %%
plan.explain("edge01.contoso.net")

# %% [markdown]
# A certificate helps only where the root above it is trusted: which roots each server, partner and
# client needs, and what for. `ln.trust(plan).shown()` says who shows which certificate to whom.

# %%
ln.trust(plan).only("Server", "Role", "Install", "Needed for", "Source")

# %% [markdown]
# ## 5. What may go wrong
#
# An **error** stops the export, until you mend it or accept it with a reason. A **warning** has
# hurt others. A **notice** is worth knowing. What a CA may issue changes with time, so the plan is
# judged by the rules of its planned day of issue. The sample has no error and no warning; the
# notices say what its public certificates ask of the owners of the domains.

# %%
findings = ln.check_plan(plan)
findings

# %% [markdown]
# The same table with one cell broken shows what a finding looks like: the Edge pool has lost the
# name of its Access Edge service.

# %%
rows = topology.to_frame()
rows["access_edge_fqdn"] = ""
ln.check_plan(ln.plan_certificates(ln.read_topology(rows), rules, options=options))

# %% [markdown]
# The same certificates come back ever faster: a public CA gives 100 days from 2027-03-15 on, 47 from
# 2029-03-15. When each is to be ordered and by when it must be on its servers, with your freezes and
# maintenance windows (`[freezes]` and `[windows]` in `plan.toml`), and what then cannot work:

# %%
ahead = ln.forecast(plan)
ln.figure(ahead)

# %% [markdown]
# ## 6. Keys, requests and the summary
#
# The panel writes what the editor plans at the moment you press its button, and nothing before.
# Each request gets a new key, written only encrypted under one passphrase (at least 12 characters)
# that you type into the panel and that is stored nowhere. **Without it nobody can get the keys
# back.** Pressing again changes nothing that is there; after a change of the plan it replaces exactly
# the requests concerned and keeps the old keys in `archive`.

# %%
request = ln.RequestPanel(editor, request_folder)
request

# %% [markdown]
# The folder holds the requests for the CA in `csr`, the encrypted keys in `keys`, and this table as
# `summary` in four forms, for a spreadsheet, a browser or a page of your documentation.

# %%
request.bundle

# %% [markdown]
# ## 7. What comes next
#
# 1. `lyncnb handover requests contoso.zip` packs the requests for the CA: no key, and how to
#    submit each. Keep the whole folder, and the passphrase in another place.
# 2. When certificates come back, `lyncnb receive requests FILE …` compares each with its request,
#    name by name.
# 3. `lyncnb pfx requests` packs key, certificate and chain for each server, and
#    `lyncnb steps requests` writes what to do there: import, then assign.
