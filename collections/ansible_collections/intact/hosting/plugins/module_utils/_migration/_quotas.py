# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Quotas of the old disk: limits out of its quota files, set where the new filesystem has quotas and the files are there already, else told."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _quotas_file

NAMES = {"user": ("aquota.user", "quota.user"), "group": ("aquota.group", "quota.group")}
OPTIONS = {"user": ("usrquota", "quota", "uquota", "usrjquota", "uqnoenforce"), "group": ("grpquota", "gquota", "grpjquota", "gqnoenforce")}
COLUMNS = {"blocks_soft": "BlockSoftLimit", "blocks_hard": "BlockHardLimit", "files_soft": "FileSoftLimit", "files_hard": "FileHardLimit"}
KEYS = tuple(COLUMNS)
LARGEST = 64 << 20


def run(context, identity, old, check=False):
    """{"quotas": [{kind name old target file limits state set}], "findings", "explained", "counts", "changed"}.

    state: set, listed (with why), orphan. Limits are set after the phase files only: set before, they would stop the copy.
    """
    findings, quotas = [], []
    for kind, target, path, limits in read(context.old, findings):
        for number, limit in sorted(limits.items()):
            name = _holder(old, kind, number)
            entry = {"kind": kind, "old": number, "name": escape(name or ""), "target": target, "file": path, "limits": {k: limit[k] for k in KEYS}}
            carried = (identity.user(name) if kind == "user" else identity.group(name)) if name else None
            entry["new"] = (identity.uid(number) if kind == "user" else identity.gid(number)) if carried else None
            quotas.append(dict(entry, state="listed" if carried else "orphan"))
    wanted = _wanted(context.system, quotas)
    changed = False
    if wanted and _files_done(context):
        changed = _set(context, wanted, check)
    elif quotas:
        said = "; ".join(_say(q) for q in quotas)[:2000]
        why = "the files are not here yet" if wanted else "no filesystem of this host has quotas where they belong"
        advice = (
            "run the phase accounts again when the phase files is through"
            if wanted
            else "mount it with usrquota,grpquota, run quotacheck and quotaon, then this phase again"
        )
        findings.append(Finding("accounts.quota.listed", "warning", "quotas", "quotas of the old disk are not set: " + why, said, advice).as_dict())
    counts = {"quotas": len(quotas), "quotas_set": sum(q["state"] == "set" for q in quotas)}
    return {"quotas": quotas, "findings": findings, "explained": [], "counts": counts, "changed": changed}


def read(old, findings):
    """[(kind, mount point on the old host, file, {number: limits})]; files that can't be read, and quotas kept inside a filesystem, are findings."""
    out, mounts = [], {"/": []}
    for line in old.text("/etc/fstab").split("\n"):
        row = line.split()
        if len(row) > 3 and not row[0].startswith("#") and row[1].startswith("/"):
            mounts[row[1].rstrip("/") or "/"] = [o.split("=")[0] for o in row[3].split(",")]
    shell = old.read("/bin/sh", 5) or b""
    wide = shell[4] == 2 if shell.startswith(b"\x7fELF") and len(shell) == 5 else None
    for target, options in sorted(mounts.items()):
        for kind, names in NAMES.items():
            paths = [target.rstrip("/") + "/" + name for name in names]
            found = next((path for path in paths if old.read(path, 1)), None)
            if found is None:
                if set(options) & set(OPTIONS[kind]):
                    findings.append(_unread(kind, target, "its fstab says %s, and there is no %s" % (",".join(options), " or ".join(paths))))
                continue
            entry = old.lstat(old.realpath(found))
            if entry is None or entry.st_size > LARGEST:
                # an array by number is as long as its largest number, and nobody's was 4294967294
                findings.append(_unread(kind, target, "%s is larger than %d MiB: convertquota on a copy makes it small" % (found, LARGEST >> 20)))
                continue
            try:
                out.append((kind, target, found, _quotas_file.parse(old.read(found), wide)["limits"]))
            except ValueError as exc:
                findings.append(_unread(kind, target, "%s: %s" % (found, exc)))
    return out


def _unread(kind, target, said):
    return Finding(
        "accounts.quota.unread",
        "warning",
        "%s quotas of %s" % (kind, target),
        "the limits could not be read from the old disk",
        said,
        "they may be inside the filesystem (ext4's feature quota, XFS): repquota on the attached volume tells, where the kernel can",
    ).as_dict()


def _holder(old, kind, number):
    table, key = ("users", "uid") if kind == "user" else ("groups", "gid")
    return next((entry["name"] for entry in old[table].values() if entry[key] == number and number), None)


def _files_done(context):
    return context.document("files")["status"] == "done"


def _wanted(system, quotas):
    """{(kind, new number, mount point here): {"limits", "of": [quota]}}; what lay on two filesystems and now lies on one is added up."""
    if not system.which("setquota"):
        return {}
    mounts = [m for m in _mounttable.mounted(system) if m["target"].startswith("/")]
    wanted = {}
    for quota in quotas:
        if quota["state"] == "orphan":
            continue
        inside = [m for m in mounts if (quota["target"].rstrip("/") + "/").startswith(m["target"].rstrip("/") + "/")]
        here = max(inside, key=lambda m: len(m["target"]), default=None)
        if here is None or not {o.split("=")[0] for o in here["options"]} & set(OPTIONS[quota["kind"]]):
            continue
        entry = wanted.setdefault((quota["kind"], quota["new"], here["target"]), {"limits": dict(quota["limits"]), "of": []})
        if entry["of"]:
            entry["limits"] = {k: entry["limits"][k] + quota["limits"][k] if entry["limits"][k] and quota["limits"][k] else 0 for k in KEYS}
        entry["of"].append(quota)
    return wanted


def _set(context, wanted, check):
    """Set what differs; True when something did. Raises IntactError when the filesystem shows other limits afterwards."""
    before = _shown(context.system, wanted)
    todo = {key: entry for key, entry in wanted.items() if before.get(key) != entry["limits"]}
    for entry in wanted.values():
        for quota in entry["of"]:
            quota["state"] = "set"
    if check or not todo:
        return bool(todo)
    for (kind, number, target), entry in sorted(todo.items()):
        argv = ["setquota", "-u" if kind == "user" else "-g", str(number)] + [str(entry["limits"][k]) for k in KEYS] + [target]
        context.system.run(argv, timeout=60)
    after = _shown(context.system, wanted)
    wrong = sorted(key for key, entry in wanted.items() if after.get(key) != entry["limits"])
    if wrong:
        raise IntactError("%s %d on %s has other limits than were set: is quota on there? quotaon -p %s tells" % (wrong[0] + (wrong[0][2],)))
    return True


def _shown(system, wanted):
    """{(kind, number, mount point): limits} as repquota shows them, of whoever owns nothing there too (-v)."""
    out = {}
    for kind, target in sorted({(kind, target) for kind, _number, target in wanted}):
        lines = system.run(["repquota", "-vn", "-O", "csv", "-u" if kind == "user" else "-g", target], timeout=60).text.splitlines()
        columns = lines[0].split(",") if lines else []
        for line in lines[1:]:
            row = dict(zip(columns, line.split(",")))
            number = row.get("User" if kind == "user" else "Group", "").lstrip("#")
            if number.isdigit():
                out[(kind, int(number), target)] = {k: int(row.get(COLUMNS[k]) or 0) for k in KEYS}
    return out


def _say(quota):
    limits = quota["limits"]
    who = "%s %s" % (quota["kind"], quota["name"] or quota["old"])
    return "%s on %s: %d/%d KiB, %d/%d files" % ((who, quota["target"]) + tuple(limits[k] for k in KEYS))
