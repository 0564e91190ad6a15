# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostgreSQL's clusters as postgresql-common knows them, with and without its JSON."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils import _checks


def clusters(context):
    """[{version cluster port running, and start (auto, manual, disabled) or config {start}; socketdir where known}]; [] without the tools.

    Debian 11's pg_lsclusters needs libjson-perl for --json, which few have: there its table is read. IntactError when neither is told.
    """
    if not context.host.which("pg_lsclusters"):
        return []
    said = context.host.run(["pg_lsclusters", "--json"], check=False)
    if said.rc == 0:
        return json.loads(said.text or "[]")
    out = []
    for line in context.host.run(["pg_lsclusters", "-h"]).text.splitlines():
        words = line.split()
        if len(words) >= 6:
            out.append(
                {
                    "version": words[0],
                    "cluster": words[1],
                    "port": words[2],
                    "running": int(words[3].startswith("online")),
                    "start": _checks.cluster_start(context.host, *words[:2]),
                }
            )
    return out
