# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of units: what no longer runs, starts or is there, and what runs as badly as before. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._allowed import still
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._baseline._dependants import dependants
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


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
        # what did not run and nobody started at boot is missed by nobody; what did is told even when only systemd pulled it in (static)
        if not starts and not ran:
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
