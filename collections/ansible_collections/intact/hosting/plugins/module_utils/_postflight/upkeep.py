# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What keeps a host going when nobody looks: backup jobs and monitoring agents (QF40). Log rotation is a section of the baseline."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight import _started

# Our own programs on the host: the role, the program, words that only look, its answers when it starts, and its timers.
OWN = (
    ("host_backup", "/usr/local/lib/intact/backup/__main__.py", ["state"], (0, 1), re.compile(r"^intact-backup-[a-z]+\.timer$")),
    ("panel_export", "/usr/local/lib/intact/panel/__main__.py", ["--help"], (64,), re.compile(r"^intact-panel-export\.timer$")),
)
# Those of others: what is started without doing anything.
TOOLS = ("borgmatic", "borg", "restic", "duplicity", "rsnapshot", "rdiff-backup", "kopia", "duply", "backupninja", "zfs-auto-snapshot")
VERSION = {
    "rsnapshot": ["version"],
    "kopia": ["--version"],
    "zfs-auto-snapshot": ["--help"],
    "duply": ["version"],
    "backupninja": ["--help"],
    "restic": ["version"],
}
AGENTS = (
    "zabbix-agent zabbix-agent2 prometheus-node-exporter node_exporter node-exporter prometheus-mysqld-exporter prometheus-postgres-exporter "
    "nagios-nrpe-server nrpe icinga2 ncpa munin-node netdata telegraf datadog-agent collectd monit check-mk-agent check_mk check-mk-agent-async "
    "cmk-agent-ctl-daemon newrelic-infra elastic-agent filebeat metricbeat promtail grafana-agent alloy vector fluent-bit td-agent rsyslog syslog-ng "
    "smartmontools smartd mdmonitor auditd wazuh-agent ossec snmpd qemu-guest-agent"
).split()


def _finding(name, severity, subject, title, evidence, remedy):
    return Finding(id=name, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy)


def backups(context):
    """QF40: each backup job of this host has a next run, and its program starts with the Python that is here now."""
    host, out = context.host, []
    timers = _started.timers(host)
    for role, program, words, answers, pattern in OWN:
        ours = [timer for timer in timers if pattern.match(timer["timer"])]
        if not ours and not host.exists(program):
            continue
        remedy = "run the role %s again" % role
        for timer in ours:
            if not timer["loads"]:
                out.append(_finding("backup.unit", "blocker", timer["timer"], "the service that it starts can't be loaded", timer["unit"], remedy))
            elif not timer["next"] and not timer["state"].startswith(("disabled", "masked")):
                evidence = "it is " + timer["state"]
                out.append(
                    _finding(
                        "backup.unscheduled", "blocker", timer["timer"], "this backup has no next run", evidence, "systemctl enable --now " + timer["timer"]
                    )
                )
        if not host.exists(program):
            out.append(_finding("backup.program", "blocker", role, "its program is gone, and its timers are there", program, remedy))
        else:
            said = host.run(["python3", "-I", "-B", program] + words, timeout=120, check=False)
            # Python's own status for a program that can't be loaded is 1 as well
            if said.rc not in answers or "Traceback" in said.error:
                why = (said.error.splitlines() or ["status %d" % said.rc])[-1]
                out.append(_finding("backup.program", "blocker", role, "its program does not start", why, remedy))
    for tool in TOOLS:
        will, _idle = _started.started_by(host, tool, timers)
        if will:
            out += _tool_starts(host, tool, _started.programs(host, tool, timers) or [host.which(tool) or ""], will)
    return out


def _tool_starts(host, tool, programs, will):
    """Findings about the programs by which jobs name a tool. One that others than root can change is not started from here."""
    title, out = "the backup that is started by itself can't run", []
    for program in programs:
        if not program or not host.exists(host.realpath(program)):
            why = "%s is not there" % (program or tool)
        elif not _started.only_roots(host, program):
            continue
        else:
            why = ""
            try:
                said = host.run([program] + VERSION.get(tool, ["--version"]), timeout=60, check=False)
                if said.rc != 0:
                    why = (said.error.splitlines() or [said.text.strip()[-200:] or "status %d" % said.rc])[-1]
            except (IntactError, OSError) as exc:
                why = str(exc)
        if why:
            remedy = "install it again, or make its Python environment anew"
            out.append(_finding("backup.tool", "blocker", tool, title, "%s; named by %s" % (why, ", ".join(will)), remedy))
    return out


def monitoring(context):
    """QF40: agents that are to start by themselves do run."""
    host = context.host
    if not host.which("systemctl") or not host.exists("/run/systemd/system"):
        return []
    wanted = "Id,LoadState,ActiveState,SubState,UnitFileState,Type,ConditionResult"
    text = host.run(["systemctl", "show", "--no-pager", "-p", wanted] + [name + ".service" for name in AGENTS], timeout=60, check=False).text
    found, told = [], set()
    for unit in _started.blocks(text):
        starts = unit.get("UnitFileState") in ("enabled", "enabled-runtime", "generated")
        # a condition that does not hold (no such device) keeps it down on purpose
        if unit.get("LoadState") != "loaded" or not starts or unit.get("ConditionResult") == "no" or unit["Id"] in told or unit.get("Type") == "oneshot":
            continue
        told.add(unit["Id"])
        if unit.get("ActiveState") not in ("active", "reloading"):
            evidence = "%s (%s)" % (unit.get("ActiveState"), unit.get("SubState"))
            remedy = "journalctl -b -u %s; systemctl restart %s" % (unit["Id"], unit["Id"])
            found.append(
                _finding("monitoring.agent", "warning", unit["Id"], "this agent does not run: nobody would be told of the next fault", evidence, remedy)
            )
    return found
