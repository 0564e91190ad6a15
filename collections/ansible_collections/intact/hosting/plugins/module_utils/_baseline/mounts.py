# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mounts, swap and /etc/fstab: what is mounted where, from what, how, and whether the next boot will do it again."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "mounts"
# The kernel's own interfaces: no content, and each release has others.
KERNEL = frozenset(
    "proc sysfs devtmpfs devpts cgroup cgroup2 mqueue hugetlbfs debugfs tracefs securityfs pstore bpf configfs fusectl efivarfs "
    "binfmt_misc nsfs rpc_pipefs ramfs selinuxfs autofs fuse.gvfsd-fuse fuse.portal fuse.lxcfs".split()
)
VOLATILE_TREES = ("/proc", "/sys", "/dev", "/run")
NETWORK = ("nfs", "cifs", "smb", "ceph", "gluster", "fuse.sshfs", "fuse.gluster", "9p", "virtiofs", "afs", "lustre")
# Options whose loss or gain somebody would notice; the rest are kernel defaults that each kernel words differently.
TELLING = re.compile(
    r"^(ro|rw|nosuid|nodev|noexec|noatime|nodiratime|strictatime|sync|dirsync|noacl|nouser_xattr"
    r"|usrquota|grpquota|prjquota|quota|usrjquota=.*|grpjquota=.*|uquota|gquota|pquota"
    r"|data=.*|subvol=.*|compress.*|hidepid=.*|errors=.*|credentials=.*|vers=.*|sec=.*)$"
)


def capture(system):
    """Items by mount point, or "swap NAME".

    Attributes: mounted, automount, kind (directory | file), source (UUID=... for block devices), root, fstype, options, size (bytes or None),
    fstab ({source fstype options dump pass} or None). More data: unmounted {target: names in the directory} for fstab lines that are not mounted.
    """
    table = _mounttable.mounted(system)
    planned = _mounttable.fstab(system)
    lines = {line["target"]: line for line in planned if line["fstype"] != "swap" and line["target"] not in ("none", "swap")}
    automounts = {m["target"] for m in table if m["automount"]}
    known, items, unmounted = {}, {}, {}
    for mount in table:
        target = mount["target"]
        if not _counts(mount, lines, automounts):
            continue
        line = lines.get(target)
        block = _block(system, mount, known)
        items[target] = {
            "mounted": True,
            "automount": target in automounts,
            "kind": "directory" if _mounttable.is_directory(system, target) else "file",
            "source": block["source"] or mount["source"],
            "root": mount["root"],
            "fstype": mount["fstype"],
            "options": telling(mount["options"], line),
            "size": block["size"],
            "fstab": _line(line),
        }
        if items[target]["kind"] == "file":
            # a single file that a container engine binds: where it comes from is the engine's business
            items[target].update(source="bound file", root="", options=[], size=None)
    for target, line in lines.items():
        if target in items:
            continue
        items[target] = {
            "mounted": False,
            "automount": target in automounts,
            "kind": "directory",
            "source": line["source"],
            "root": "",
            "fstype": line["fstype"],
            "options": [],
            "size": None,
            "fstab": _line(line),
        }
        unmounted[target] = len(system.listdir(os.fsdecode(unescape(target))))
    items.update(_swaps(system, planned))
    return {"items": items, "unmounted": unmounted, "summary": {"mounted": sum(1 for i in items.values() if i["mounted"]), "fstab lines": len(planned)}}


def _counts(mount, lines, automounts):
    target, fstype = mount["target"], mount["fstype"]
    if target in lines or target == "/":
        return fstype != "autofs"
    if fstype in KERNEL or (fstype == "overlay") or (fstype == "squashfs" and target.startswith("/snap/")):
        return False
    if any(target == tree or target.startswith(tree + "/") for tree in VOLATILE_TREES):
        return False
    # below an automount map, mounts come and go as people look at them
    return not any(target.startswith(auto + "/") for auto in automounts)


def _line(line):
    return {key: line[key] for key in ("source", "fstype", "options", "dump", "pass")} if line else None


def _block(system, mount, known):
    """Stable name and size of the block device under a mount, from its superblock; None for others."""
    number = mount["device"]
    if number not in known:
        known[number] = {"source": "", "size": None}
        base = "/sys/dev/block/" + number
        if mount["fstype"] not in ("overlay", "tmpfs") and not mount["fstype"].startswith(NETWORK) and mount["source"].startswith("/dev/"):
            name = escape(os.path.basename(mount["source"])) if not system.text(base + "/dm/name") else "dm-" + number.split(":")[1]
            path = _mounttable.node(system, name)
            content = _mounttable.superblock(system, path) if path else {}
            size = system.text(base + "/size").strip() or system.text("/sys/class/block/%s/size" % name).strip()
            known[number] = {"source": "UUID=" + content["UUID"] if content.get("UUID") else "", "size": int(size) * 512 if size else None}
    return known[number]


def telling(options, line=None):
    """Mount options that mean something: the known ones, and those that fstab asks for."""
    asked = set(line["options"]) - {"defaults"} if line else set()
    return sorted(o for o in set(options) if TELLING.match(o) or o in asked)


def _swaps(system, planned):
    items, aliases = {}, {}
    for line in system.text("/proc/swaps").splitlines()[1:]:
        fields = line.split()
        path = fields[0] if fields else ""
        # a container sees its machine's swap in /proc/swaps; only what exists here is this host's. zram is made anew at each boot.
        if not path or system.lstat(path) is None or "/zram" in path:
            continue
        content = _mounttable.superblock(system, path) if path.startswith("/dev/") else {}
        name = "swap " + ("UUID=" + content["UUID"] if content.get("UUID") else escape(path))
        items[name] = _swap(True, int(fields[2]) * 1024 if len(fields) > 2 else None, None, name[5:])
        mapped = system.text("/sys/class/block/%s/dm/name" % os.path.basename(path)).strip()
        known = (path, "UUID=" + content.get("UUID", "?"), "LABEL=" + content.get("LABEL", "?"), "/dev/mapper/" + (mapped or "?"))
        aliases.update(dict.fromkeys(known, name))
    for line in planned:
        if line["fstype"] != "swap":
            continue
        name = "swap " + escape(line["source"])
        alias = aliases.get(line["source"]) or aliases.get(system.realpath(line["source"]))
        if alias:
            items[alias]["fstab"] = _line(line)
        else:
            items[name] = _swap(False, None, _line(line), line["source"])
    return items


def _swap(mounted, size, line, source):
    return {"mounted": mounted, "automount": False, "kind": "swap", "source": source, "root": "", "fstype": "swap", "options": [], "size": size, "fstab": line}


def compare(before, after):
    """Findings: mounts.missing new source.changed options.changed type.changed swap.* fstab.*"""
    old, new = before.get("items", {}), after.get("items", {})
    out = []
    # swap that is off is known by the name in its fstab line only, swap that is on by its UUID
    lines = [i["fstab"] for s, i in old.items() if i["kind"] == "swap" and s not in new]
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        if now and not was and now["kind"] == "swap" and not now["mounted"] and now["fstab"] in lines:
            continue
        if was and was["mounted"] and not was["automount"] and not (now and now["mounted"]):
            out.append(_gone(subject, was, now, after))
            continue
        if now and now["mounted"] and not now["automount"] and not (was and was["mounted"]):
            out.append(_come(subject, was, now))
            continue
        out += _differ(subject, was, now)
    return out


def _fstab_words(line):
    return "%s %s %s" % (line["source"], line["fstype"], ",".join(line["options"])) if line else "no line"


def _gone(subject, was, now, after):
    if was["kind"] == "swap":
        return Finding(
            id="mounts.swap.missing",
            severity="blocker",
            subject=subject,
            check="QF27",
            title="swap space is no longer in use",
            evidence="was active, fstab: %s; now fstab: %s" % (_fstab_words(was["fstab"]), _fstab_words((now or {}).get("fstab"))),
            remedy="swapon it and repair its line in /etc/fstab",
            details=details("missing", "", was["source"], None),
            covers=_fstab_covers(was, now),
        )
    names = after.get("unmounted", {}).get(subject)
    seen = (
        ""
        if names is None
        else "; the directory is empty"
        if names == 0
        else "; the directory holds %d names that are NOT the mounted content (stale files of the disk below)" % names
    )
    line = (
        "its line in /etc/fstab is still there"
        if now and now["fstab"]
        else "its line in /etc/fstab is gone too"
        if was["fstab"]
        else "it never had a line in /etc/fstab"
    )
    return Finding(
        id="mounts.missing",
        severity="blocker",
        subject=subject,
        check="QF27",
        title="not mounted any more",
        evidence="was %s (%s); %s%s" % (was["source"], was["fstype"], line, seen),
        remedy="make sure the disk is there (lsblk, blkid), then: mount %s; write nothing to the directory before" % subject,
        details=details("missing", "", was["source"], None, paths=[subject]),
        covers=[{"section": "*", "path": subject}] + _fstab_covers(was, now),
    )


def _come(subject, was, now):
    swap = now["kind"] == "swap"
    return Finding(
        id="mounts.swap.new" if swap else "mounts.new",
        severity="warning",
        subject=subject,
        check="QF27",
        title="new swap space" if swap else "newly mounted: what the directory held before is hidden",
        evidence="%s (%s), fstab: %s" % (now["source"], now["fstype"], _fstab_words(now["fstab"])),
        remedy="expected? then allow it with a reason; else find out who mounted it",
        details=details("new", "", None, now["source"], paths=[] if swap else [subject], fstype=now["fstype"]),
        covers=([] if swap else [{"section": "*", "path": subject}]) + _fstab_covers(was, now),
    )


def _fstab_covers(was, now):
    return [{"section": "files", "path": "/etc/fstab"}] if (was or {}).get("fstab") != (now or {}).get("fstab") else []


def _differ(subject, was, now):
    out, paths = [], [] if subject.startswith("swap ") else [subject]
    if was and now and was["mounted"] and now["mounted"]:
        for attribute, severity, title in (
            ("source", "blocker", "something else is mounted here"),
            ("root", "blocker", "another directory or subvolume is mounted here"),
            ("fstype", "blocker", "another file system type is mounted here"),
        ):
            if was[attribute] != now[attribute]:
                return [
                    Finding(
                        id="mounts.%s.changed" % {"fstype": "type"}.get(attribute, attribute),
                        severity=severity,
                        subject=subject,
                        check="QF27",
                        title=title,
                        evidence="before: %s %s %s; now: %s %s %s" % (was["source"], was["root"], was["fstype"], now["source"], now["root"], now["fstype"]),
                        remedy="find the former one (blkid, findmnt) and mount it here",
                        details=details("changed", attribute, was[attribute], now[attribute], paths=paths),
                        covers=[{"section": "*", "path": p} for p in paths] + _fstab_covers(was, now),
                    )
                ]
        if was["options"] != now["options"]:
            lost, got = sorted(set(was["options"]) - set(now["options"])), sorted(set(now["options"]) - set(was["options"]))
            readonly = "ro" in got
            out.append(
                Finding(
                    id="mounts.options.changed",
                    severity="blocker" if readonly or any("quota" in o for o in lost) else "warning",
                    subject=subject,
                    check="QF27",
                    title="mounted read-only now" if readonly else "mounted with other options",
                    evidence="lost: %s; new: %s" % (", ".join(lost) or "none", ", ".join(got) or "none"),
                    remedy="look in dmesg for file system errors, then check it" if readonly else "compare with /etc/fstab and remount",
                    details=details("changed", "options", ",".join(was["options"]), ",".join(now["options"]), paths=paths),
                    covers=_fstab_covers(was, now),
                )
            )
    if not out and (was or {}).get("fstab") != (now or {}).get("fstab"):
        out.append(_fstab_changed(subject, (was or {}).get("fstab"), (now or {}).get("fstab")))
    return out


def _fstab_changed(subject, was, now):
    lost = was and not now
    return Finding(
        id="mounts.fstab.missing" if lost else "mounts.fstab.changed" if was else "mounts.fstab.new",
        severity="blocker" if lost else "warning",
        subject=subject,
        check="QF27",
        title="its line in /etc/fstab is gone: the next boot won't mount it"
        if lost
        else "its line in /etc/fstab has changed"
        if was
        else "has a new line in /etc/fstab",
        evidence="before: %s; now: %s" % (_fstab_words(was), _fstab_words(now)),
        remedy="put the line back" if lost else "make sure the next boot mounts what you expect",
        details=details("missing" if lost else "changed" if was else "new", "fstab", _fstab_words(was), _fstab_words(now)),
        covers=[{"section": "files", "path": "/etc/fstab"}],
    )
