# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How storage is put together, and whether the target release still supports that (PF25); mounts that are not local disks (PF22)."""

from __future__ import annotations

import fnmatch
import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine

NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "9p",
    "afs",
    "ncpfs",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.s3fs",
    "fuse.rclone",
)
EXOTIC = ("overlay", "aufs", "unionfs", "ecryptfs")
# Mounts that an engine or a desktop makes for itself, and ends by itself.
ENGINES = ("/var/lib/docker/", "/var/lib/containers/", "/var/lib/containerd/", "/run/containerd/", "/run/docker/", "/var/lib/kubelet/", "/snap/", "/run/user/")
REDHAT = ("rhel", "centos", "almalinux", "rocky", "ol", "cloudlinux")


def parse_crypttab(text):
    """[(name, shape, line number)]: shape is "crypttab luks", "crypttab plain" or, where the cipher is left to the default, "crypttab plain default". Pure."""
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) < 2 or words[0].startswith("#"):
            continue
        options = words[3].split(",") if len(words) > 3 else []
        plain = "plain" in options or "swap" in options or "tmp" in options or any(option.startswith("tmp=") for option in options)
        fixed = {option.split("=", 1)[0] for option in options}
        # a swap or a temporary one is made anew at each start: another default loses nothing
        lasting = "plain" in options and not {"swap", "tmp"} & fixed
        if not plain:
            out.append((words[0], "crypttab luks", number))
        else:
            out.append((words[0], "crypttab plain default" if lasting and not {"cipher", "hash", "size"} <= fixed else "crypttab plain", number))
    return out


def shapes(context):
    """[(shape, subject, evidence)] of all storage that can be told: file systems, LUKS, RAID, LVM, multipath, crypttab."""
    host, out = context.host, []
    for subject, item in sorted(context.items("disks").items()):
        kind, path = str(item.get("type") or ""), item.get("path", "")
        if kind == "crypto_LUKS":
            said = host.run(["cryptsetup", "luksDump", path], check=False).text if host.which("cryptsetup") else ""
            version = re.search(r"^Version:\s+(\d+)", said, re.M)
            out.append(("luks%s" % (version.group(1) if version else ""), subject, path))
        elif kind == "xfs" and item.get("mounts") and host.which("xfs_info"):
            said = host.run(["xfs_info", item["mounts"][0]], check=False).text
            for feature, shape in (("crc=0", "xfs v4"), ("ftype=0", "xfs ftype=0"), ("bigtime=0", "xfs bigtime=0")):
                if re.search(r"\b%s\b" % feature, said):
                    out.append((shape, subject, "%s says %s" % (item["mounts"][0], feature)))
        if kind:
            out.append(("fs " + kind, subject, ", ".join([path] + (item.get("mounts") or []))))
        if item.get("kind") == "raid":
            name = host.realpath(path).rsplit("/", 1)[-1]
            for file, word in (("metadata_version", "md "), ("level", "md ")):
                value = host.text("/sys/block/%s/md/%s" % (name, file)).strip()
                if value:
                    out.append((word + value, subject, path))
    for name, shape, number in parse_crypttab(host.text("/etc/crypttab")):
        out.append((shape, escape(name), "/etc/crypttab:%d" % number))
    return out + [(shape, subject, evidence) for shape, subject, evidence, _wrong in lvm(context)]


def _report(host, argv, name):
    try:
        return json.loads(host.run(argv + ["--reportformat", "json"], check=False).text or "{}")["report"][0][name]
    except (ValueError, KeyError, IndexError):
        return []


def lvm(context):
    """[(shape, subject, evidence, what is wrong with it now or "")] of volume groups and logical volumes."""

    def look():
        host, out = context.host, []
        if not host.which("vgs"):
            return out
        for row in _report(host, ["vgs", "-o", "vg_name,vg_attr,vg_fmt,vg_missing_pv_count"], "vg"):
            name, attr = row["vg_name"], row["vg_attr"]
            missing = int(row.get("vg_missing_pv_count") or 0)
            wrong = "%d of its physical volumes are missing" % missing if missing else ""
            out.append((row.get("vg_fmt") or "lvm2", "VG " + name, "format %s, attributes %s" % (row.get("vg_fmt"), attr), wrong))
            if attr[5:6] == "c":
                out.append(("lvm clustered", "VG " + name, "attributes %s" % attr, ""))
        for row in _report(host, ["lvs", "-a", "-o", "lv_full_name,lv_attr,segtype,lv_health_status"], "lv"):
            attr, state = row["lv_attr"], row["lv_attr"][4:5]
            wrong = {"I": "an invalid snapshot", "S": "an invalid snapshot", "m": "a snapshot whose merge failed", "M": "a snapshot whose merge failed"}.get(
                state, ""
            )
            if attr[0:1] == "O":
                wrong = "a snapshot is being merged into it"
            out.append(("lvm " + str(row.get("segtype")), "LV " + row["lv_full_name"], "attributes %s" % attr, wrong or str(row.get("lv_health_status") or "")))
        return out

    return context.once("lvm", look)


def storage(context):
    """PF25: what storage is built of is whole, and the target release supports each part of it."""
    if context.container():
        evidence = "it belongs to the machine below this %s container" % context.container()
        return [Finding("storage.unseen", "info", "storage", "how storage is put together can't be judged here", evidence)]
    found = []
    for _shape, subject, evidence, wrong in lvm(context):
        if wrong:
            remedy = "repair it (vgs, lvs -a -o +devices), or wait until the merge has ended, then run check-host again"
            found.append(Finding("storage.lvm", "blocker", subject, "the volume is not as it should be", "%s; %s" % (wrong, evidence), remedy))
    found += _multipath(context)
    there = _machine.coming(context)
    for entry in context.release_path.get("storage") or []:
        for shape, subject, evidence in shapes(context):
            if not fnmatch.fnmatchcase(shape, str(entry["shape"])):
                continue
            package = entry.get("package")
            if package and package in there:
                continue
            title = (
                "the target release needs the package %s for this (%s)" % (package, shape)
                if package
                else "the target release does not support this (%s)" % shape
            )
            remedy = str(entry.get("remedy") or ("apt-get install %s in the same transaction" % package if package else "convert it, or build it anew"))
            severity = entry.get("severity") or "blocker"
            found.append(Finding("storage.unsupported", severity, subject, title, "%s; %s" % (evidence, entry["reason"]), remedy, details={"shape": shape}))
    return found


def _multipath(context):
    host = context.host
    if not host.which("multipath") or host.run(["systemctl", "is-active", "--", "multipathd.service"], check=False).text.strip() != "active":
        return []
    said = host.run(["multipath", "-ll"], check=False).text
    bad = [" ".join(line.split()) for line in said.splitlines() if re.search(r"\bfailed\b|\bfaulty\b", line)]
    if not bad:
        return []
    remedy = "repair the path (cable, switch, controller); multipath -ll shows all of them active and ready"
    return [Finding("storage.multipath", "blocker", "multipath", "paths to a disk have failed", "; ".join(bad)[:400], remedy)]


def mounted(text):
    """[{target, source, fstype, options}] of `findmnt --json --list`. Pure."""
    try:
        return json.loads(text or "{}").get("filesystems") or []
    except ValueError:
        return []


def network(context):
    """PF22: what is mounted over the network, or by a layer that the upgrade may stop, is known."""
    host, found = context.host, []
    asked = host.run(["findmnt", "--json", "--list", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS"], check=False)
    if asked.rc != 0:
        return [Finding("mounts.unread", "warning", "mounts", "nobody could see what is mounted", asked.error[-300:], "findmnt should list it")]
    target = context.release_path.get("target") or {}
    refused = context.release_path.get("network_mounts") or ({"reason": "leapp refuses to start"} if target.get("id") in REDHAT else None)
    for mount in mounted(asked.text):
        path, kind, source = mount.get("target") or "", mount.get("fstype") or "", mount.get("source") or ""
        if kind in NETWORK:
            severity = "blocker" if refused else "warning"
            evidence = "%s from %s%s" % (kind, source, "; " + str(refused["reason"]) if refused else "")
            remedy = (
                "umount it for the window and write noauto into fstab, or be sure that its server answers all the time; nothing of the system may lie on it"
            )
            found.append(Finding("mounts.network", severity, escape(path), "a network file system is mounted", evidence, remedy))
        elif kind in EXOTIC and not (path == "/" and context.container()) and not path.startswith(ENGINES):
            remedy = "know who makes it and that it comes back after the reboot; a package's files must not lie below it"
            found.append(Finding("mounts.layer", "warning", escape(path), "a layered file system is mounted", "%s from %s" % (kind, source), remedy))
        elif kind.startswith("fuse.") and kind != "fuse.lxcfs" and not path.startswith(ENGINES + ("/run/",)):
            remedy = "umount it for the window: its program may be replaced under it"
            found.append(
                Finding("mounts.network", "warning", escape(path), "a file system made by a program is mounted", "%s from %s" % (kind, source), remedy)
            )
    return found
