# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class zones: the records of each zone of the old disk against those that the live name server's files have, else those of the plan."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._migration import _plan_zones
from ansible_collections.intact.hosting.plugins.module_utils._migration.plan import name_for

NAME = "zones"
SUMS = ("records",)
RULES = [
    {
        "attribute": "serial",
        "reason": "the serial has grown, as it does when a zone is edited, and the records are the same",
        "when": lambda old, new: isinstance(old, int) and isinstance(new, int) and new > old,
    },
]


def old(context):
    """{zone: {type, records, digest, serial}}: the serial and how the file is written are not in the digest."""
    return {escape(name): _plan_zones.told(zone, name) for name, zone in _plan_zones.zones(context.old).items()}


def new(context):
    """The same of the live name server, for zones that the old system had; one that it does not have yet is read from the plan."""
    live, out = _plan_zones.zones(context.system), {}
    for name, zone in _plan_zones.zones(context.old).items():
        if name in live:
            out[escape(name)] = _plan_zones.told(live[name], name)
        elif context.finished("plan"):
            text = os.fsdecode(read_if_exists(context.path("plan.d", "etc/bind/zones", name_for("db." + name))) or b"")
            if text:
                out[escape(name)] = _plan_zones.told({"type": "master", "file": "", "text": text}, name)
            elif not _plan_zones.primary(zone):
                # a secondary has no records of its own: that the plan names it is all there is to carry
                planned = {line["subject"] for line in context.document("plan").get("plan", []) if line["kind"] == "zone"}
                out.update({escape(name): {"type": "slave"}} if escape(name) in planned else {})
    return out
