# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Confinement: AppArmor's profiles and SELinux's mode, and which daemons run under them (QF26). In a container it is the machine's, and not judged."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable, _origin
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "confinement"
APPARMOR = "/sys/module/apparmor/parameters/enabled"
LOADED = "/sys/kernel/security/apparmor/profiles"
PROFILES = "/etc/apparmor.d"
SELINUX = "/sys/fs/selinux"
CONTAINERS = ("/run/systemd/container", "/.dockerenv", "/run/.containerenv")
# From nothing to everything; what is not named here is as strict as enforce.
STRICTNESS = {"": 0, "off": 0, "disabled": 0, "unconfined": 0, "complain": 1, "permissive": 1, "prompt": 1}
# Types of SELinux that confine nothing.
LOOSE = re.compile(r"^(unconfined(_service)?_t|initrc_t|init_t|kernel_t|unlabeled_t)$")


def capture(system):
    """Items: "AppArmor" {state: on | off}, "AppArmor profile NAME" {mode, file, origin}, "SELinux" {state: enforcing | permissive | disabled, at boot, policy},
    "SELinux boolean NAME" {value}, "SELinux module NAME" {} (those that were put in by hand), "daemon UNIT" {label, mode} ("" where nothing confines it).
    contained: whether this is a container, where nothing is looked at.
    """
    items = {}
    contained = any(system.exists(path) for path in CONTAINERS)
    if not contained:
        items.update(_apparmor(system))
        items.update(_selinux(system))
        items.update(_daemons(system, bool(items)))
    return {
        "items": items,
        "contained": contained,
        "summary": {
            "enforced profiles": sum(1 for name, item in items.items() if name.startswith("AppArmor profile ") and strict(item["mode"]) == 2),
            "confined daemons": sum(1 for name, item in items.items() if name.startswith("daemon ") and strict(item["mode"]) == 2),
        },
    }


def strict(mode):
    """0: nothing is confined, 1: only told, 2: enforced."""
    return STRICTNESS.get(mode or "", 2)


def _apparmor(system):
    if not system.exists("/sys/module/apparmor"):
        return {}
    items = {"AppArmor": {"state": "on" if system.text(APPARMOR).strip() == "Y" else "off"}}
    if items["AppArmor"]["state"] == "off":
        return items
    try:
        loaded = system.text(LOADED)
    except OSError as exc:
        system.skip("AppArmor's profiles", "%s: %s" % (LOADED, exc.strerror))
        return items
    files, known = profile_files({path: system.text(path) for path in _profiles(system)}), None
    for line in loaded.splitlines():
        found = re.match(r"^(.*) \(([a-z]+)\)$", line)
        # a child goes with its profile; docker-default and the like are loaded by an engine when it wants them
        if not found or "//" in found.group(1):
            continue
        name, mode = found.groups()
        item = {"mode": mode, "file": escape(files.get(name, "")), "origin": ""}
        if item["file"]:
            known = _origin.conffiles(system) if known is None else known
            item["origin"] = _origin.classify(files[name], _origin.md5(system.read(files[name]) or b""), known, False)
        items["AppArmor profile " + escape(name)] = item
    return items


def _profiles(system):
    """Files that the parser reads: not the directories of abstractions and tunables."""
    return [p for p in system.glob(PROFILES + "/*") if not _origin.LEFTOVER.search(p) and not _mounttable.is_directory(system, p)]


def profile_files(texts):
    """{profile's name: file that defines it} from {path: text}. Pure."""
    out = {}
    for path, text in sorted(texts.items()):
        for line in text.splitlines():
            found = re.match(r'^\s*(profile\s+)?("[^"]+"|[^\s"]+)(\s.*)?\{\s*(#.*)?$', line)
            if found and (found.group(1) or found.group(2).lstrip('"').startswith("/")):
                out.setdefault(found.group(2).strip('"'), path)
    return out


def _selinux(system):
    if not system.exists(SELINUX + "/enforce"):
        return {}
    settings = dict(line.split("=", 1) for line in system.text("/etc/selinux/config").splitlines() if "=" in line and not line.startswith("#"))
    items = {
        "SELinux": {
            "state": "enforcing" if system.text(SELINUX + "/enforce").strip() == "1" else "permissive",
            "at boot": settings.get("SELINUX", "").strip(),
            "policy": settings.get("SELINUXTYPE", "").strip(),
        }
    }
    for name in system.listdir(SELINUX + "/booleans"):
        items["SELinux boolean " + escape(name)] = {"value": system.text("%s/booleans/%s" % (SELINUX, name)).split()[:1]}
    for path in system.glob("/var/lib/selinux/*/active/modules/400/*"):  # 400: semodule's own priority for what an administrator puts in
        items["SELinux module " + escape(path.rpartition("/")[2])] = {}
    return items


def _daemons(system, wanted):
    """("daemon UNIT", {label, mode}) of the main processes of services, where something can confine them."""
    if not wanted or not system.which("systemctl"):
        return
    text = system.run(["systemctl", "show", "--no-pager", "-p", "Id,MainPID,Transient", "*.service"], timeout=60, check=False).text
    for block in text.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if unit.get("MainPID", "0") == "0" or unit.get("Transient") == "yes" or not unit.get("Id"):
            continue
        try:
            label = system.text("/proc/%s/attr/current" % unit["MainPID"]).strip("\0\n ")
        except OSError:
            continue  # ended meanwhile, or no module answers
        name, mode = parse_label(label)
        yield "daemon " + escape(unit["Id"]), {"label": escape(name), "mode": mode}


def parse_label(label):
    """(name, mode) of a process's label: AppArmor's "named (enforce)", SELinux's "system_u:system_r:named_t:s0"; ("", "") for what nothing confines. Pure."""
    found = re.match(r"^(.+) \(([a-z]+)\)$", label)
    if found:
        return found.groups()
    parts = label.split(":")
    if len(parts) >= 3:
        return ("", "") if LOOSE.match(parts[2]) else (parts[2], "enforce")
    return "", ""


def compare(before, after):
    """Findings: confinement.{off,weaker,lost,missing}, confinement.boolean.changed, confinement.module.missing."""
    if before.get("contained") or after.get("contained"):
        return []
    old, new, out = before.get("items", {}), after.get("items", {}), []
    off = {name for name in ("AppArmor", "SELinux") if name in old and strict(_state(old[name])) > strict(_state(new.get(name)))}
    for subject in sorted(old):
        was, now = old[subject], new.get(subject)
        if subject in ("AppArmor", "SELinux"):
            out += _whole(subject, was, now)
        elif subject.startswith("daemon "):
            out += _daemon(subject, was, now)
        elif off:
            continue  # one event
        elif subject.startswith("AppArmor profile "):
            out += _profile(subject, was, now)
        elif subject.startswith("SELinux boolean ") and now and was != now:
            out.append(
                _finding(
                    "boolean.changed",
                    "warning",
                    subject,
                    "SELinux's boolean has another value",
                    ("value", was["value"], now["value"]),
                    "setsebool -P %s %s" % (subject.rpartition(" ")[2], "on" if was["value"] == ["1"] else "off"),
                )
            )
        elif subject.startswith("SELinux module ") and now is None:
            out.append(_finding("module.missing", "blocker", subject, "a policy module of this host is gone", ("", "there", None), "semodule -i it again"))
    return out


def _state(item):
    return {"on": "enforce", "enforcing": "enforce"}.get((item or {}).get("state", ""), (item or {}).get("state", ""))


def _whole(subject, was, now):
    seen = (now or {}).get("state", "not there")
    if strict(_state(was)) > strict(_state(now)):
        title = "confines less than before" if now else "is no longer there"
        remedy = "look at the kernel's command line (security=, apparmor=, selinux=, enforcing=) and at /etc/selinux/config, then reboot"
        found = _finding("off", "blocker", subject, title, ("state", was["state"], seen), remedy)
        found.covers = [{"section": SECTION, "match": "daemon *"}]
        return [found]
    boot = [(item or {}).get("at boot", "") for item in (was, now)]
    if strict(boot[0]) > strict(boot[1]) and boot[0]:
        return [
            _finding("weaker", "blocker", subject, "will confine less after the next boot", ("at boot", boot[0], boot[1]), "put it back in /etc/selinux/config")
        ]
    return []


def _profile(subject, was, now):
    name = subject[len("AppArmor profile ") :]
    if now is None:
        # a package that takes its unedited profile along is no loss; whether its daemon is still confined is told by the daemon
        if was["origin"] in ("conffile-edited", "local"):
            return [
                _finding(
                    "missing",
                    "blocker",
                    subject,
                    "a profile that was written here is no longer loaded",
                    ("", "%s, %s" % (was["mode"], was["file"]), None),
                    "apparmor_parser -r %s says why" % was["file"],
                    paths=[was["file"]],
                )
            ]
        return []
    if strict(now["mode"]) < strict(was["mode"]):
        return [
            _finding("weaker", "blocker", subject, "the profile only confines less than before", ("mode", was["mode"], now["mode"]), "aa-enforce %s" % name)
        ]
    return []


def _daemon(subject, was, now):
    """A daemon that runs and that nothing confines any more. One that does not run is told by the services."""
    if now is None or strict(was["mode"]) < 2 or strict(now["mode"]) == 2:
        return []
    unit = subject[len("daemon ") :]
    return [
        _finding(
            "lost",
            "blocker",
            subject,
            "the daemon runs less confined than before",
            ("mode", "%s (%s)" % (was["label"], was["mode"]), "%s (%s)" % (now["label"], now["mode"]) if now["label"] else "unconfined"),
            "apparmor_parser -r %s (SELinux: restorecon on its program), then systemctl restart %s" % (PROFILES, unit),
            paths=["service:" + unit],
        )
    ]


def _finding(name, severity, subject, title, change, remedy, paths=()):
    attribute, was, now = change
    return Finding(
        id="%s.%s" % (SECTION, name),
        severity=severity,
        subject=subject,
        check="QF26",
        title=title,
        evidence="before: %s; now: %s" % (was, "gone" if now is None else now),
        remedy=remedy,
        details=details("missing" if now is None else "changed", attribute, was, now, paths=list(paths)),
    )
