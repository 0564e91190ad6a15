# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is the baseline complete: what was not looked at before cannot be missed after (PF51)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, parse_time


def complete(context):
    """PF51: every section of the baseline was read, of this host, in this boot, just now."""
    document = context.baseline
    if not document or not document.get("sections"):
        return [
            Finding(
                id="baseline.missing", severity="blocker", subject="baseline", title="no baseline was captured", remedy="run check-host, which captures one"
            )
        ]
    found = []
    host = context.host.text("/proc/sys/kernel/hostname").strip()
    if document.get("host") not in (None, host):
        found.append(
            Finding(
                id="baseline.foreign",
                severity="blocker",
                subject="baseline",
                title="the baseline is another host's",
                evidence="of %s, this is %s" % (document["host"], host),
                remedy="capture it anew",
            )
        )
    if document.get("boot") and document["boot"] != _flight.boot_id():
        found.append(
            Finding(
                id="baseline.old",
                severity="blocker",
                subject="baseline",
                title="the host was started again since the baseline",
                evidence="taken %s" % document.get("taken"),
                remedy="run check-host again",
            )
        )
    hours = float(context.options.get("expiry_hours") or 4)
    age = (parse_time(_flight.now()) - parse_time(document["taken"])).total_seconds() / 3600 if document.get("taken") else 0
    if age > hours:
        found.append(
            Finding(
                id="baseline.old",
                severity="blocker",
                subject="baseline",
                title="the baseline is %d hours old" % age,
                evidence="taken %s, valid for %g hours" % (document["taken"], hours),
                remedy="run check-host again",
            )
        )
    for name, section in document["sections"].items():
        status = section.get("status")
        if status == "failed":
            found.append(
                Finding(
                    id="baseline.section.unread",
                    severity="blocker",
                    subject=name,
                    title="this section could not be read, so nobody could tell what is lost in it",
                    evidence=section.get("reason", ""),
                    remedy="repair what the reason names, then run check-host again",
                )
            )
        elif status == "off":
            found.append(
                Finding(
                    id="baseline.section.off",
                    severity="warning",
                    subject=name,
                    title="this section is switched off: what is lost in it will not be noticed",
                    remedy="take it out of preflight_baseline_off, or waive this",
                )
            )
        for entry in section.get("unlooked") or []:
            found.append(
                Finding(
                    id="baseline.unlooked",
                    severity="warning",
                    subject="%s: %s" % (name, entry["what"]),
                    title="not looked at",
                    evidence=entry["why"],
                    remedy="raise this section's limit in preflight_baseline_limits, or waive this",
                )
            )
    return found
