# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Keep other package managers and fragile services still while packages change, and let them go again."""

from __future__ import annotations

import os
import shlex

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic

# Whatever else would start a package manager or restart services in the window.
UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "apt-daily.service",
    "apt-daily-upgrade.service",
    "unattended-upgrades.service",
    "packagekit.service",
    "packagekit-offline-update.service",
    "apticron.timer",
    "apticron.service",
    "needrestart-notify.timer",
    "dnf-makecache.timer",
    "dnf-makecache.service",
    "dnf-automatic.timer",
    "dnf-automatic-download.timer",
    "dnf-automatic-install.timer",
    "dnf-automatic-notifyonly.timer",
    "dnf5-automatic.timer",
    "yum-cron.service",
    "transactional-update.timer",
    "os-update.timer",
)
CRON_JOBS = ("/etc/cron.d/cron-apt", "/etc/cron.d/apticron")
POLICY = "/usr/sbin/policy-rc.d"
MARK = "# written by the upgrade of flight "
POSTGRESQL = "/etc/postgresql-common/createcluster.d"


def policy(flight, services, previous=None):
    """Text of a policy-rc.d that forbids starting the named services, and asks the previous policy (a path) about all others. Pure."""
    names = "|".join(shlex.quote(word) for service in services for word in (service, service + ".service"))
    rest = 'exec %s "$@"' % shlex.quote(previous) if previous else "exit 0"
    lines = ["#!/bin/sh", MARK + flight + ", removed at its end", 'while [ "${1#--}" != "$1" ]; do shift; done']
    if names:
        # invoke-rc.d: 101 forbids the action. Stopping stays allowed: packages must be able to.
        lines += ['case "$1" in', "%s)" % names, '    case "$2" in *start*|*reload*) exit 101 ;; esac ;;', "esac"]
    return "\n".join(lines + [rest, ""])


def fragile(path, settings, installed):
    """Services of the release path that must wait for their new configuration on this host. installed: function name -> version or None."""
    named = settings.get("target_files_cover") or []
    out = []
    for entry in path.get("fragile_services") or []:
        if installed(entry["package"]) and any(p == entry["configuration"] or p.startswith(entry["configuration"].rstrip("/") + "/") for p in named):
            out.append(entry["service"])
    return out


def quiet(host, flight, services):
    """Mask what could interfere, remembering how it was; returns a sentence."""
    known = host.memory.recall("quiet")
    if known is None:
        known = {"units": {}, "cron": []}
        for unit in UNITS:
            enabled = host.unit_state(unit, "UnitFileState")
            if host.unit_state(unit, "LoadState") == "loaded":
                known["units"][unit] = {"enabled": enabled, "active": host.unit_state(unit)}
        known["cron"] = [path for path in CRON_JOBS if os.path.exists(path)]
        # Written before anything is changed: a cut in the middle must not make "masked" the state to go back to.
        host.memory.remember("quiet", known)
    for unit in known["units"]:
        if unit.endswith(".timer"):
            host.systemctl("stop", unit, check=False)
    # A run of theirs that is under way is left to end: stopping it would cut dpkg.
    host.wait_for_dpkg()
    for unit in known["units"]:
        host.systemctl("stop", unit, check=False, timeout=900)
        host.systemctl("mask", unit, check=False)
    for path in known["cron"]:
        if os.path.exists(path):
            # What an earlier attempt kept was given back, and may have been changed since.
            host.keep(path, "quiet", anew=True)
            os.unlink(path)
    set_policy(host, flight, services)
    if os.path.isdir(os.path.dirname(POSTGRESQL)):
        os.makedirs(POSTGRESQL, mode=0o755, exist_ok=True)
        # A new major version must not bring an empty cluster with a listener of its own.
        write_atomic(POSTGRESQL + "/intact-upgrade.conf", (MARK + flight + "\ncreate_main_cluster = false\n").encode(), 0o644)
    return "%d units masked%s" % (len(known["units"]), (", start of %s forbidden until it has its new configuration" % ", ".join(services)) if services else "")


def set_policy(host, flight, services):
    """Install our policy-rc.d; one that is there is kept and asked for everything else."""
    data, previous = read_if_exists(POLICY), None
    kept = os.path.join(host.backups, "quiet", POLICY.lstrip("/"))
    # Not ours: this is how this attempt found it, whatever an earlier one kept. Ours: we were cut, and the copy is right.
    if data is None and os.path.lexists(kept):
        os.unlink(kept)
    elif data is not None and MARK.encode() not in data:
        host.keep(POLICY, "quiet", anew=True)
    if os.path.exists(kept):
        previous = kept
    if services or previous:
        write_atomic(POLICY, policy(flight, services, previous).encode(), 0o755)


def lift_policy(host):
    """Remove our policy-rc.d and put back the one that was there."""
    data = read_if_exists(POLICY)
    kept = os.path.join(host.backups, "quiet", POLICY.lstrip("/"))
    if data is not None and MARK.encode() in data:
        if os.path.exists(kept):
            host.run(["cp", "-a", "--", kept, POLICY + ".intact"])
            os.rename(POLICY + ".intact", POLICY)
        else:
            os.unlink(POLICY)


def loud(host):
    """Give back what quiet() took; returns a sentence."""
    lift_policy(host)
    known = host.memory.recall("quiet") or {"units": {}, "cron": []}
    for unit, was in known["units"].items():
        if not was["enabled"].startswith("masked"):
            host.systemctl("unmask", unit, check=False)
    host.systemctl("daemon-reload", check=False)
    for unit, was in known["units"].items():
        if was["active"] == "active":
            host.systemctl("start", unit, check=False, timeout=300)
    for path in known["cron"]:
        kept = os.path.join(host.backups, "quiet", path.lstrip("/"))
        if not os.path.exists(path) and os.path.exists(kept):
            host.run(["cp", "-a", "--", kept, path])
    extra = POSTGRESQL + "/intact-upgrade.conf"
    if os.path.exists(extra):
        os.unlink(extra)
        if not os.listdir(POSTGRESQL):
            host.run(["rmdir", POSTGRESQL], check=False)
    return "%d units as they were" % len(known["units"])
