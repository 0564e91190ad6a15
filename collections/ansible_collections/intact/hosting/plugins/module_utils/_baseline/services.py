# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""systemd units that do a job: services, timers, sockets and paths; started at boot or not, running or not, failed or not."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin
from ansible_collections.intact.hosting.plugins.module_utils._baseline._services_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
SECTION = "services"
TYPES = ("service", "timer", "socket", "path")
# Units that stand for a session, a device or one connection, not for a job of the host.
PASSING = re.compile(
    r"^(user@|user-runtime-dir@|session-|run-|systemd-fsck@|modprobe@|systemd-coredump@|systemd-backlight@|systemd-rfkill"
    r"|lvm2-pvscan@|ifup@|ssh@|sshd@|getty@|serial-getty@|container-getty@|autovt@|systemd-growfs@|systemd-makefs@)"
)
PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,Type,RemainAfterExit,FragmentPath,Transient,TriggeredBy,WantedBy,RequiredBy,Result,ExecMainStatus"
AT_BOOT = {
    "enabled": "enabled",
    "enabled-runtime": "enabled",
    "linked": "enabled",
    "generated": "generated",
    "masked": "masked",
    "masked-runtime": "masked",
    "disabled": "disabled",
}


def capture(system):
    """Items by unit name.

    Attributes: enabled (enabled | disabled | masked | generated | static ...), active (active | inactive | failed | activating), watched (whether it
    should be running all the time: then a stop is a finding), local (unit file made on this host), links (start links in /etc), result (of a failed unit),
    package (that brought the unit file or init script; "" where none did).
    None on a host without systemd.
    """
    if not system.which("systemctl"):
        return None
    listed = _ask(system, ["list-unit-files", "--no-pager", "--no-legend", "-o", "json", "--type=" + ",".join(TYPES)])
    items = {}
    try:
        files = json.loads(listed.text)
    except ValueError:
        # before systemd 246 the JSON output does not exist: columns UNIT STATE [PRESET]
        files = [dict(zip(("unit_file", "state"), line.split())) for line in listed.text.splitlines() if len(line.split()) > 1]
    for entry in files:
        if entry["state"] != "alias" and _counts(entry["unit_file"]):
            items[entry["unit_file"]] = _item(entry["state"])
    for unit in _loaded(system):
        name = unit.get("Id", "")
        if not _counts(name) or unit.get("Transient") == "yes" or unit.get("LoadState") == "not-found":
            continue
        item = items.setdefault(name, _item(unit.get("UnitFileState") or "static"))
        state = unit.get("ActiveState", "inactive")
        item.update(
            active="active" if state in ("active", "reloading") else state if state in ("failed", "activating") else "inactive",
            watched=_watched(name, unit, item["enabled"]),
            local=unit.get("FragmentPath", "").startswith("/etc/systemd/"),
            result="%s, exit status %s" % (unit.get("Result", ""), unit.get("ExecMainStatus", "")) if state == "failed" else "",
        )
    for path in system.glob("/etc/systemd/system/*.wants/*") + system.glob("/etc/systemd/system/*.requires/*") + system.glob("/etc/systemd/system/*.*"):
        name = path.rsplit("/", 1)[1]
        if name in items and (path.count("/") > 4 or system.readlink(path)):
            items[name]["links"].append(escape(path))
    brought = _packages(system)
    for name, item in items.items():
        item["package"] = next((brought[n] for n in (name, re.sub(r"@[^.]*", "@", name), name.rsplit(".", 1)[0]) if n in brought), "")
    for path in system.glob("/etc/systemd/system/*"):
        if path.rsplit("/", 1)[1] in items and system.readlink(path) is None:
            items[path.rsplit("/", 1)[1]]["local"] = True
    return {
        "items": items,
        "summary": {
            "units": len(items),
            "running": sum(i["active"] == "active" for i in items.values()),
            "at boot": sum(i["enabled"] in ("enabled", "generated") for i in items.values()),
            "failed": sum(i["active"] == "failed" for i in items.values()),
        },
    }


def _packages(system):
    """{unit file's or init script's name: package that brought it}."""
    roots = [b"/lib/systemd/system", b"/usr/lib/systemd/system", b"/etc/init.d"]
    out = {}
    for path, package in sorted(_origin.owned(system, roots).items()):
        directory, _slash, name = path.decode("utf-8", "replace").rpartition("/")
        if directory.encode() in roots:
            out[name] = package
    return out


def _counts(name):
    return name.rsplit(".", 1)[-1] in TYPES and "@." not in name and not PASSING.match(name)


def _item(state):
    return {"enabled": AT_BOOT.get(state, state), "active": "inactive", "watched": False, "local": False, "links": [], "result": "", "package": ""}


def _ask(system, words):
    """Result of a systemctl command; asked twice, and with patience: under load PID 1 may not answer within its usual 25 s."""
    for _attempt in (1, 2):
        result = system.run(["systemctl"] + words, timeout=150, env={"SYSTEMD_BUS_TIMEOUT": "60"}, check=False)
        if result.rc == 0:
            return result
    raise IntactError("systemd gives no answer: %s" % (result.error or "exit %d" % result.rc))


def _loaded(system):
    """Properties of every loaded unit that is active, failed or being started: list of dict."""
    text = _ask(system, ["show", "--no-pager", "-p", PROPERTIES] + ["*." + kind for kind in TYPES]).text
    for block in text.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit:
            yield unit


def _watched(name, unit, enabled):
    """Whether the unit is one that stays: started at boot or by hand, and not one that ends its work, or comes and goes on demand."""
    pulled = bool(unit.get("WantedBy") or unit.get("RequiredBy"))
    if not name.endswith(".service"):
        return pulled or enabled == "enabled"
    if unit.get("Type") == "oneshot":
        # what systemd itself does once per boot depends on conditions of that boot
        return unit.get("RemainAfterExit") == "yes" and enabled in ("enabled", "generated") and not name.startswith("systemd-")
    if pulled or enabled in ("enabled", "generated"):
        return True
    return enabled == "disabled" and not unit.get("TriggeredBy") and unit.get("Type") != "dbus"
