# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a pre-flight result is bound to, and whether it still holds: the host, its boot, packages, sources and disks."""

from __future__ import annotations

import datetime
import hashlib
import json

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, parse_time

PACKAGES = ("dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${db:Status-Abbrev}\n")
RPM_PACKAGES = ("rpm", "-qa", "--qf", "%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\n")
# Files that apt, dnf and zypper read as sources or preferences; names that it passes over are left out.
SOURCES = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/*.list",
    "/etc/apt/sources.list.d/*.sources",
    "/etc/apt/preferences",
    "/etc/apt/preferences.d/*",
    "/etc/yum.repos.d/*.repo",
    "/etc/zypp/repos.d/*.repo",
)
KEYS = ("host_id", "boot", "packages", "sources", "disks")
AGAIN = "run check-host on it again, then start the upgrade"


def digest(data):
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def disks_digest(items):
    """Digest of the baseline's disks items, independent of their order."""
    return digest(json.dumps(items or {}, sort_keys=True, separators=(",", ":")).encode("utf-8", "backslashreplace"))


def packages_digest(host):
    """Digest of the package set: names, architectures, versions and states."""
    # dpkg wins: a Debian host may have the program rpm, whose own database is empty.
    words = PACKAGES if host.exists("/var/lib/dpkg/status") or not host.which("rpm") else RPM_PACKAGES
    return digest(b"\n".join(sorted(host.run(list(words)).out.splitlines())))


def sources_digest(host):
    """Digest of all files from which apt learns where packages come from and which it prefers."""
    total = hashlib.sha256()
    for pattern in SOURCES:
        for path in host.glob(pattern):
            data = host.read(path) or b""
            total.update(b"%s\0%d\0" % (path.encode("utf-8", "surrogateescape"), len(data)) + data)
    return total.hexdigest()


def current(host, disks):
    """{host_id, hostname, boot, packages, sources, disks} as they are now. disks: items of the baseline's section."""
    return {
        "host_id": host.text("/etc/machine-id").strip(),
        "hostname": host.text("/proc/sys/kernel/hostname").strip(),
        "boot": _flight.boot_id(),
        "packages": packages_digest(host),
        "sources": sources_digest(host),
        "disks": disks_digest(disks),
    }


def bind(now, hours, moment=None):
    """A binding: what current() said, when it was made and until when it holds (UTC ISO 8601)."""
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    return dict(now, made=_stamp(moment), expires=_stamp(moment + datetime.timedelta(hours=hours)))


def _stamp(moment):
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


_CHANGED = {
    "boot": ("preflight.rebooted", "the host was started again since the check"),
    "packages": ("preflight.packages.changed", "the set of installed packages changed since the check"),
    "sources": ("preflight.sources.changed", "apt's sources or preferences changed since the check"),
    "disks": ("preflight.disks.changed", "the disks of this host are not those that were checked"),
}


def differences(binding, now, moment=None):
    """Findings, all blockers, for each way in which a binding no longer holds; [] when it does. Pure.

    binding: what bind() gave. now: what current() says at this moment.
    """
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    host = now.get("hostname") or now.get("host_id", "this host")
    lacking = [key for key in KEYS + ("made", "expires") if not binding.get(key)]
    if lacking:
        return [_finding("preflight.unreadable", host, "the pre-flight result lacks %s" % ", ".join(lacking), "not made by this release of Intact, or edited")]
    if binding["host_id"] != now["host_id"]:
        return [
            _finding(
                "preflight.foreign",
                host,
                "the pre-flight result is another host's",
                "made for %s (machine-id %s), this host is %s (machine-id %s)" % (binding.get("hostname", "?"), binding["host_id"], host, now["host_id"]),
            )
        ]
    found = []
    if parse_time(binding["expires"]) < moment:
        found.append(
            _finding(
                "preflight.stale",
                host,
                "the pre-flight result is out of date",
                "made %s, valid until %s, now %s" % (binding["made"], binding["expires"], _stamp(moment)),
            )
        )
    if parse_time(binding["made"]) > moment + datetime.timedelta(minutes=5):
        found.append(
            _finding(
                "preflight.stale",
                host,
                "the pre-flight result is from the future",
                "made %s, this host's clock says %s: the clock was moved" % (binding["made"], _stamp(moment)),
            )
        )
    for key, (name, title) in _CHANGED.items():
        if binding[key] != now[key]:
            found.append(_finding(name, host, title, "%s then %s, now %s" % (key, binding[key][:60], now[key][:60])))
    return found


def _finding(name, subject, title, evidence):
    return Finding(id=name, severity="blocker", subject=subject, title=title, evidence=evidence, remedy=AGAIN, check="PF52")
