# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which units failed already, and which jobs would start package work in the middle (PF48, PF49)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import accepted

TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "packagekit-offline-update.timer", "apt-listbugs.timer")
_APT_JOB = re.compile(r"(^|[\s/;&|])(apt|apt-get|aptitude|unattended-upgrades?|cron-apt|apticron|dpkg)(\s|$)")


def failed(context):
    """PF48: no unit has failed that nobody knows of: after the upgrade it would be blamed on it."""
    asked = context.host.run(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--all"], check=False)
    if asked.rc != 0:
        return [
            Finding(
                id="services.unread",
                severity="blocker",
                subject="systemd",
                title="systemd does not answer",
                evidence=asked.error[-300:],
                remedy="systemctl status, then run check-host again",
            )
        ]
    found = []
    for line in asked.text.splitlines():
        unit = line.lstrip("● *").split(" ", 1)[0]
        if not unit:
            continue
        entry = accepted(context.options.get("accepted_units"), "unit", unit)
        if entry:
            found.append(Finding(id="services.failed.accepted", severity="info", subject=unit, title="failed, accepted", evidence=str(entry.get("reason", ""))))
            continue
        shown = context.host.run(["systemctl", "show", "-p", "Result,ExecMainStatus,StateChangeTimestamp", "--", unit], check=False)
        found.append(
            Finding(
                id="services.failed",
                severity="blocker",
                subject=unit,
                title="this unit has failed before the upgrade",
                evidence=", ".join(shown.text.split("\n")).strip(", "),
                remedy="journalctl -u %s says why; repair it, systemctl reset-failed %s if it is of no use, or name it in preflight_accepted_units "
                "with the reason" % (unit, unit),
            )
        )
    return found


def quiet(context):
    """PF49: nothing starts package work or restarts services by itself during the upgrade."""
    host, found = context.host, []
    masks = "quiesce" in (context.plan.get("stages") or [])
    for timer in TIMERS:
        state = host.run(["systemctl", "is-active", "--", timer], check=False).text.strip()
        if state == "active":
            found.append(
                Finding(
                    id="schedule.timer",
                    severity="info" if masks else "warning",
                    subject=timer,
                    title="this timer may start package work during the upgrade",
                    remedy="the upgrade stops and masks it for the window" if masks else "systemctl mask --now --runtime %s for the window" % timer,
                )
            )
    for path in ["/etc/crontab", "/etc/anacrontab"] + host.glob("/etc/cron.d/*") + host.glob("/var/spool/cron/crontabs/*"):
        for number, line in enumerate(host.text(path).splitlines(), 1):
            if _APT_JOB.search(line) and not line.lstrip().startswith("#"):
                found.append(
                    Finding(
                        id="schedule.cron",
                        severity="warning",
                        subject="%s:%d" % (path, number),
                        title="a cron job works on packages",
                        evidence=" ".join(line.split())[:160],
                        remedy="comment it out for the window, and put it back after",
                    )
                )
    restart = [
        line
        for path in ["/etc/needrestart/needrestart.conf"] + host.glob("/etc/needrestart/conf.d/*.conf")
        for line in host.text(path).splitlines()
        if re.match(r"\s*\$nrconf\{restart\}\s*=\s*['\"]a", line)
    ]
    if context.installed("needrestart"):
        found.append(
            Finding(
                id="schedule.needrestart",
                severity="warning" if restart and not masks else "info",
                subject="needrestart",
                title="needrestart restarts services by itself" if restart else "needrestart is installed",
                remedy="the upgrade suspends it (NEEDRESTART_SUSPEND)"
                if masks
                else "set NEEDRESTART_SUSPEND=1 for the upgrade: its restarts can leave sshd dead",
            )
        )
    for path in host.glob("/etc/apt/apt.conf.d/*"):
        for hook in re.findall(r"(?m)^\s*(DPkg::(?:Pre-Invoke|Post-Invoke|Pre-Install-Pkgs))", host.text(path)):
            known = ("needrestart", "listchanges", "debconf", "etckeeper", "unattended", "20packagekit", "90panel")
            if not any(word in path for word in known):
                found.append(
                    Finding(
                        id="schedule.hook",
                        severity="warning",
                        subject=path,
                        title="a hook runs with every package transaction",
                        evidence=hook,
                        remedy="see that it can neither ask nor fail while packages are half upgraded, or move it aside for the window",
                    )
                )
    return found
