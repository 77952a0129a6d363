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
# Microsoft allows it under two conditions: the private key is exportable, and all needed subject
# alternative names are present. *Source: Microsoft, Request certificates in advance (optional)
# for Lync Server 2013.*
#
# Press **Run All** to see it with the sample. For your own deployment, change the two names below.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # your table, one row per server
request_folder = "requests"  # keys, CSRs and the summary go here; made if it is not there

# %% [markdown]
# ## 1. The topology
#
# Every server of the table with its role, pool and site. Blank cells take the value of their
# pool, site or deployment. A table that cannot be right is refused here, row by row.

# %%
import lyncnb as ln

topology = ln.read_topology(topology_file)
topology
