# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""systemd units that do a job: services, timers, sockets and paths; started at boot or not, running or not, failed or not."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin
from ansible_collections.intact.hosting.plugins.module_utils._baseline._allowed import still
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._baseline._dependants import dependants
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

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


def compare(before, after):
    """Findings: services.{failed,missing,new}, services.{active,enabled}.changed, services.failed.before; one for each unit."""
    old, new = before.get("items", {}), after.get("items", {})
    out = []
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        finding = _one(subject, was, now)
        if finding:
            finding.covers += _explains(subject, was, now, finding)
            out.append(finding)
    return out


def _one(subject, was, now):
    unit = subject if now else "%s (or its successor)" % subject
    ran = bool(was) and was["active"] == "active" and was["watched"]
    # units that only systemd pulls in (static) belong to the release; another release may not have them
    owned = bool(was) and (was["local"] or was["enabled"] in ("enabled", "generated", "disabled"))
    starts = bool(was) and was["enabled"] in ("enabled", "generated")
    if now and now["active"] == "failed" and not (was and was["active"] == "failed"):
        return _make(
            "failed",
            "blocker",
            subject,
            "QF06",
            "the unit has failed",
            "%s; before: %s" % (now["result"] or "failed", was["active"] if was else "not there"),
            "systemctl status %s; journalctl -b -u %s; repair, then systemctl restart %s" % (subject, subject, subject),
            "changed",
            "active",
            (was or {}).get("active"),
            "failed",
        )
    if now and _still_down(was, now):
        wanted = starts or was["local"]
        return _make(
            "failed.before",
            "warning" if wanted else "info",
            subject,
            "QF06",
            "does not run, nor did it before: whether it survived can't be told",
            "before: %s; now: %s%s" % (was["active"], now["active"], " (%s)" % now["result"] if now["result"] else ""),
            "systemctl status %s; repair it, or disable it when nobody needs it" % subject,
            "still",
            "active",
            was["active"],
            now["active"],
        )
    if was and not now:
        if not starts and not (ran and owned):
            return None
        return _make(
            "missing",
            "blocker",
            subject,
            "QF08",
            "the unit is gone",
            "was %s, %s%s" % (was["enabled"], was["active"], "; the package %s brought it" % was["package"] if was.get("package") else ""),
            "find the package it came from and install it, or name its successor in a rename rule",
            "missing",
            "",
            "%s, %s" % (was["enabled"], was["active"]),
            None,
            package=was.get("package", ""),
        )
    if not was:
        if now["local"] and (now["enabled"] == "enabled" or now["active"] == "active"):
            return _make(
                "new",
                "warning",
                subject,
                "QF08",
                "a new unit made on this host",
                "%s, %s" % (now["enabled"], now["active"]),
                "expected? then allow it with a reason",
                "new",
                "",
                None,
                now["enabled"],
            )
        return None
    boot = _boot_change(was["enabled"], now["enabled"])
    if ran and now["active"] != "active":
        also = "; at boot: before %s, now %s" % (was["enabled"], now["enabled"]) if boot else ""
        by_hand = was["enabled"] == "disabled"
        return _make(
            "active.changed",
            "warning" if by_hand else "blocker",
            subject,
            "QF08",
            "was running, though not started at boot, and is not running now"
            if by_hand
            else "is not running any more" + (", and will not start at boot" if boot == "lost" else ""),
            "before: active; now: %s%s" % (now["active"], also),
            "journalctl -b -u %s; systemctl %s %s" % (unit, "enable --now" if boot else "start", unit),
            "changed",
            "active",
            "active",
            now["active"],
            enabled_before=was["enabled"],
            enabled_after=now["enabled"],
        )
    if boot:
        return _make(
            "enabled.changed",
            "blocker" if boot == "lost" else "warning",
            subject,
            "QF07",
            "will not be started at boot any more" if boot == "lost" else "is started at boot now" if boot == "got" else "the unit's mask has changed",
            "before: %s; now: %s" % (was["enabled"], now["enabled"]),
            {
                "lost": "systemctl %s %s" % ("unmask" if now["enabled"] == "masked" else "enable", subject),
                "got": "systemctl disable %s, unless it is meant" % subject,
            }.get(boot, "systemctl %s %s" % ("mask" if was["enabled"] == "masked" else "unmask", subject)),
            "changed",
            "enabled",
            was["enabled"],
            now["enabled"],
        )
    return None


def _still_down(was, now):
    """Whether a unit that had failed (or was started again and again) is no better; one that ends its work may have ended it since."""
    if not was or was["active"] not in ("failed", "activating") or now["active"] == "active":
        return False
    return (was["active"] == "failed" and now["active"] == "failed") or was["watched"]


def _make(name, severity, subject, check, title, evidence, remedy, change, attribute, before, after, **more):
    return Finding(
        id="services." + name,
        severity=severity,
        subject=subject,
        check=check,
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(change, attribute, before, after, **more),
    )


def _boot_change(was, now):
    """lost, got, mask, or "" when the next boot does the same. Static, alias and indirect units are started by others."""
    if was == now:
        return ""
    if was in ("enabled", "generated"):
        return "lost" if now in ("disabled", "masked", "bad") else ""
    if now == "enabled":
        return "got" if was in ("disabled", "masked") else ""
    return "mask" if "masked" in (was, now) else ""


def _explains(subject, was, now, finding):
    """The start links of a unit; and when it does not run: its listeners and what it answers for."""
    bare = subject.rsplit(".", 1)[0]
    if still(finding):
        return dependants(subject)
    links = sorted(set((was or {}).get("links", [])) ^ set((now or {}).get("links", [])))
    out = [{"section": "files", "path": path} for path in links]
    if finding.id != "services.active.changed" or finding.details.get("enabled_before") != finding.details.get("enabled_after"):
        # systemctl hands units with an init script on to update-rc.d
        out.append({"section": "files", "match": "/etc/rc?.d/[SK][0-9][0-9]" + bare})
        out.append({"section": "cron", "subject": subject})
    if now is None or now["active"] != "active":
        # postfix.service and postgresql.service stand for their instances
        out.append({"section": "services", "match": bare + "@*.service"})
        out += [{"section": "sockets", "details": {"unit": pattern}} for pattern in (subject, bare + "@*.service")]
        if was and was["active"] == "active":
            out += dependants(subject)
    return out
