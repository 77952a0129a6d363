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
# Press **Run All Cells** to see it with the sample. For your own deployment, change the two names
# in the next cell and run it again.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # your table, one row per server
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
# Tick servers and change their role, pool or flags; below the table are the choices that no server
# holds: the size of the keys, who issues a certificate, the organization in the subject. The plan
# beside it changes at once. Everything has a default that follows Microsoft's guide, and
# everything works without the editor too.

# %%
rules = ln.load_rules("lync2013")
options = ln.PlanOptions(organization="Contoso", country="TW")
editor = ln.PlanEditor(topology, rules, options=options)
editor

# %% [markdown]
# What the editor holds is plain values, at every moment: `editor.topology`, and these options. To
# keep your changes, `editor.save("..")` writes them as files and `editor.code()` as Python.

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
# ## 4. Why each name is there
#
# Ask about any server: every name on each of its certificates, with the rule that put it there and
# the document that says so. Whoever approves the requests will ask the same.

# %%
plan.explain("edge01.contoso.net")

# %% [markdown]
# ## 5. What may go wrong
#
# An **error** stops the export, until you mend it or accept it with a reason. A **warning** has
# hurt others. A **notice** is worth knowing. The sample has nothing to say against it.

# %%
findings = ln.check_plan(plan)
findings

# %% [markdown]
# The same table with one cell broken shows what a finding looks like: the Edge pool has lost the
# name of its Access Edge service.

# %%
rows = topology.to_frame()
rows["access_edge_fqdn"] = ""
ln.check_plan(ln.plan_certificates(ln.read_topology(rows), rules))

# %% [markdown]
# ## 6. Keys, requests and the summary
#
# Each request gets a new key, written only encrypted under one passphrase (at least 12 characters)
# that you are asked for now and that is stored nowhere. **Without it nobody can get the keys back.**
# Running this cell again changes nothing that is there; after a change of the plan it replaces
# exactly the requests concerned and keeps the old keys in `archive`. In JupyterLab,
# `ln.RequestPanel(plan, request_folder)` does the same with progress and a button to cancel.

# %%
bundle = ln.write_requests(
    plan, request_folder, passphrase=ln.ask_passphrase(confirm=True), findings=findings
)
bundle

# %% [markdown]
# The folder holds the requests for the CA in `csr`, the encrypted keys in `keys`, and the summary
# table in four forms, for a spreadsheet, a browser or a page of your documentation.

# %%
sorted(path.name for path in bundle.folder.iterdir() if not path.name.startswith("."))

# %% [markdown]
# ## 7. What comes next
#
# 1. `lyncnb handover requests contoso.zip` packs the requests for the CA: no key, and how to
#    submit each. Keep the whole folder, and the passphrase in another place.
# 2. When certificates come back, `lyncnb receive requests FILE …` compares each with its request,
#    name by name.
# 3. `lyncnb pfx requests` packs key, certificate and chain for each server, and
#    `lyncnb steps requests` writes what to do there: import, then assign.
