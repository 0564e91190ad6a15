# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A way to the machine that does not need its network (PF32): somebody has tried it, not long ago, and says so by name."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine

KEYS = ("who", "how", "when")


def attested(context):
    """PF32: a named person has confirmed the console, the rescue system or remote power, no longer ago than the settings say."""
    if context.container():
        return []
    given = context.options.get("out_of_band") or {}
    days = float(context.options.get("out_of_band_days") or 30)
    virtual = _machine.hypervisor(context)
    why = ""
    missing = [key for key in KEYS if not str(given.get(key) or "").strip()]
    if not given:
        why = "nobody has said that there is one"
    elif missing:
        why = "preflight_out_of_band lacks %s" % ", ".join(missing)
    else:
        try:
            age = (datetime.datetime.now(datetime.timezone.utc) - parse_time(given["when"])).total_seconds() / 86400
        except IntactError as exc:
            age, why = 0.0, str(exc)
        if age > days:
            why = "%s confirmed it %d days ago (%s), at most %g count" % (given["who"], age, given["when"], days)
        elif age < -1:
            why = "%s is in the future" % given["when"]
    if not why:
        evidence = "%s, on %s: %s" % (given["who"], given["when"], given["how"])
        return [Finding("access.out-of-band.attested", "info", "console", "a way in beside the network was confirmed", evidence)]
    remedy = (
        "log in by the provider's console, KVM or rescue system now, then set preflight_out_of_band: {who: NAME, how: WHICH, when: DATE}; "
        "tell the provider's monitoring, which may restart a host that is silent into its rescue system"
    )
    title = "nobody has confirmed a way in that does not need this host's network"
    evidence = why + (", this is a virtual machine (%s)" % virtual if virtual else ", this is bare metal")
    return [Finding("access.out-of-band", "warning" if virtual else "blocker", "console", title, evidence, remedy)]
