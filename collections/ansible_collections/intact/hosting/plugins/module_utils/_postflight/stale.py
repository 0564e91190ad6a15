# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Processes that run code which is no longer on the disk, and whether the host asks for a reboot (QF34)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

# Made to be deleted: memory that programs share with themselves, code that they make while they run.
OWN = re.compile(r"^(/memfd:|/dev/(shm|zero)|/SYSV|/\[aio\]|/tmp/|/var/tmp/|/run/|/anon_hugepage|/i915|/drm|/proc/)|/\.(cache|local)/|/\.nfs[0-9a-f]+$")
# Restarting these takes more down than itself.
WITH_A_REBOOT = re.compile(r"^(dbus|dbus-broker|systemd-logind|user@\d+|gdm|lightdm|sddm)\.service$")
FLAGS = ("/run/reboot-required", "/var/run/reboot-required")
SHOWN = 4


def mapped(maps):
    """Sorted paths of deleted files that a process runs code of, from the text of /proc/PID/maps. Pure."""
    out = set()
    for line in maps.splitlines():
        parts = line.split(None, 5)
        if len(parts) == 6 and "x" in parts[1] and parts[5].endswith(" (deleted)"):
            path = parts[5][: -len(" (deleted)")]
            if path.startswith("/") and not OWN.search(path):
                out.add(path)
    return sorted(out)


def unit_of(cgroup):
    """The unit of a process, from the text of /proc/PID/cgroup; "" outside of systemd. Pure."""
    for line in cgroup.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if number == "0" or controllers == "name=systemd":
            found = next((part for part in path.split("/") if part.endswith((".service", ".scope"))), "")
            if found:
                return found
    return ""


def _depth(status):
    """How many process namespaces deep a process is, as its /proc/PID/status tells."""
    found = re.search(r"^NSpid:(.*)$", status, re.M)
    return len(found.group(1).split()) if found else 1


def processes(host):
    """{unit: {paths}, names} of processes with deleted code; those of containers are their own hosts' matter."""
    ours = _depth(host.text("/proc/1/status"))
    out = {}
    for path in host.glob("/proc/[0-9]*"):
        try:
            gone = mapped(host.text(path + "/maps"))
            if not gone or _depth(host.text(path + "/status")) > ours:
                continue
            unit = unit_of(host.text(path + "/cgroup")) or "no unit"
            name = "%s (%s)" % (host.text(path + "/comm").strip(), path.rpartition("/")[2])
        except OSError:
            continue  # it ended meanwhile
        entry = out.setdefault(unit, {"paths": set(), "names": []})
        entry["paths"].update(gone)
        entry["names"].append(escape(name))
    return out


def named(batch):
    """Units that `needrestart -b` names: it also knows scripts whose interpreter or modules were replaced. Pure."""
    return set(re.findall(r"^NEEDRESTART-SVC: (\S+)$", batch, re.M))


def restart(unit):
    """The command that lets a unit run what is on the disk. Pure."""
    if unit == "init.scope":
        return "systemctl daemon-reexec"
    if unit.endswith(".scope") or unit == "no unit":
        return "log out and in again, or end these processes"
    return "reboot: restarting %s by itself takes others down" % unit if WITH_A_REBOOT.match(unit) else "systemctl restart %s" % unit


def stale_processes(context):
    """QF34: no process runs a program or library that was replaced under it."""
    host = context.host
    seen = processes(host)
    if host.which("needrestart"):
        # r=l: only list; without it a host's own setting might restart
        said = host.run(["needrestart", "-b", "-r", "l"], timeout=180, env={"NEEDRESTART_SUSPEND": "", "HOME": "/root"}, check=False)
        for unit in named(said.text) - set(seen):
            seen[unit] = {"paths": set(), "names": []}
    found = []
    for unit, entry in sorted(seen.items()):
        paths = sorted(entry["paths"])
        more = " and %d more" % (len(paths) - SHOWN) if len(paths) > SHOWN else ""
        evidence = "%s: %s%s" % (", ".join(entry["names"][:SHOWN]), ", ".join(escape(path) for path in paths[:SHOWN]), more)
        found.append(
            Finding(
                id="processes.stale",
                # a login that was open all the time ends by itself
                severity="info" if unit.startswith("session-") else "warning",
                subject=unit,
                title="still runs code that was replaced",
                evidence=evidence if paths else "named by needrestart",
                remedy=restart(unit),
            )
        )
    return found


def reboot_asked(context):
    """QF34: nothing asks for a reboot any more."""
    host = context.host
    if not any(host.exists(path) for path in FLAGS):
        return []
    packages = sorted(set(host.text(FLAGS[0] + ".pkgs").split()))
    return [
        Finding(
            id="processes.reboot",
            severity="warning",
            subject="reboot",
            title="the host asks for a reboot",
            evidence="asked for by " + ", ".join(packages[:10]) if packages else FLAGS[0],
            remedy="reboot it in the window",
        )
    ]
