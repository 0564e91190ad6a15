# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What LVM has: volumes and groups as lvs and vgs tell them, and what they mean for going back. Pure but for look()."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

LVS = "vg_name,lv_name,lv_attr,lv_size,origin,pool_lv,data_percent,lv_tags,lv_path,lv_dm_path,segtype"
VGS = "vg_name,vg_free,vg_extent_size,vg_attr"
POOL_FULL = 80.0


def look(place):
    """({(group, volume): entry}, {group: entry}), sizes in bytes."""
    told = []
    for argv in (["lvs", "--all", "-o", LVS], ["vgs", "-o", VGS]):
        told.append(place.run(argv[:1] + ["--reportformat", "json", "--units", "b", "--nosuffix"] + argv[1:]).text)
    return volumes(told[0]), groups(told[1])


def volumes(text):
    """{(group, volume): entry} of lvs' JSON; numbers are int or float, hidden volumes are named without brackets."""
    out = {}
    for report in json.loads(text)["report"]:
        for row in report.get("lv") or []:
            name = row["lv_name"].strip("[]")
            entry = dict(row, lv_name=name, lv_size=int(row["lv_size"] or 0), origin=row["origin"].strip("[]"), pool_lv=row["pool_lv"].strip("[]"))
            entry["data_percent"] = float(row["data_percent"] or 0)
            entry["tags"] = [tag for tag in row["lv_tags"].split(",") if tag]
            out[row["vg_name"], name] = entry
    return out


def groups(text):
    """{group: entry} of vgs' JSON."""
    rows = [row for report in json.loads(text)["report"] for row in report.get("vg") or []]
    return {row["vg_name"]: dict(row, vg_free=int(row["vg_free"]), vg_extent_size=int(row["vg_extent_size"])) for row in rows}


def by_device(known, source):
    """The entry whose device a mount's source is, or None."""
    return next((entry for entry in known.values() if source in (entry["lv_dm_path"], entry["lv_path"])), None)


def thin(entry):
    """Whether a volume's snapshot takes its room from a pool."""
    return entry["segtype"] == "thin"


def merging(entry):
    """Whether a snapshot is on its way back into its origin, or an origin takes one."""
    return entry["lv_attr"][:1] in ("S", "O")


def invalid(entry):
    """Whether a snapshot is full or damaged, so that nothing can be gone back to."""
    return entry["lv_attr"][4:5] in ("I", "S") or entry["lv_attr"][:1] == "I"


def ours(entry, volume, tag):
    """Whether this is the snapshot that the facts mean: our tag, and its origin."""
    return tag in entry["tags"] and entry["origin"] in (volume["lv"], "") and entry["lv_attr"][:1] in ("s", "S", "V", "I")


def cow(size, wanted, extent):
    """Bytes for a thick snapshot: whole extents, never more than it could use (the origin, and 2 % for its tables)."""
    most = size + size // 50 + (16 << 20)
    return -(-min(max(wanted, 256 << 20), most) // extent) * extent


def shares(plan, installed, sizes):
    """{mount: bytes} that an upgrade is expected to overwrite, for these {mount: size of its volume}.

    plan: disk_bytes {mount: growth}, download_bytes. installed: bytes of the packages that are upgraded, as they lie there now.
    """
    growth, download = plan.get("disk_bytes") or {}, int(plan.get("download_bytes") or 0)
    programs = "/usr" if "/usr" in sizes else "/"
    data = next((m for m in ("/var/cache/apt", "/var/cache", "/var") if m in sizes), "/")
    out = {}
    for mount, size in sizes.items():
        want = max(1 << 30, size // 20)
        want += max(0, int(growth.get(mount, 0)))
        if mount == programs:
            want += installed + installed // 2
        if mount == data:
            want += download * 2
        if mount in ("/", "/var"):
            # what runs goes on writing: logs, databases, mail
            want += size // 10
        out[mount] = want
    return out


def judge(known, facts):
    """(why the set can't be gone back to or "", fullest percent). Pure."""
    percent, missing, bad = 0.0, [], []
    for volume in facts["volumes"]:
        entry = known.get((facts["vg"], volume["snapshot"]))
        if entry is None or not ours(entry, volume, facts["name"]):
            missing.append(volume["snapshot"])
            continue
        if invalid(entry):
            bad.append(volume["snapshot"])
        full = entry["data_percent"]
        if volume["thin"]:
            pool = known.get((facts["vg"], volume["pool"]))
            full = pool["data_percent"] if pool else 0.0
        percent = max(percent, full)
    why = []
    if missing:
        why.append("%s is not there, or not what this flight made" % ", ".join(missing))
    if bad:
        why.append("%s ran full and is invalid" % ", ".join(bad))
    return "; ".join(why), percent


def chosen(known, mounts, exclude):
    """(group, [{lv target fstype thin pool size}]) of what goes back with /: mounted volumes of its group that nobody excluded.

    IntactError when / is on none.
    """
    root = next((m for m in mounts if m["target"] == "/"), {})
    entry = by_device(known, root.get("source", ""))
    if entry is None:
        raise IntactError("/ is on %s, which is no logical volume: choose another driver for the rollback" % root.get("source", "nothing"))
    out = []
    for mount in mounts:
        volume = by_device(known, mount["source"])
        if volume is None or volume["vg_name"] != entry["vg_name"] or exclude(mount["target"]):
            continue
        if mount["fstype"] == "btrfs":
            raise IntactError(
                "%s is btrfs on %s, and two copies of one btrfs must not be seen by a kernel: use the driver btrfs" % (mount["target"], mount["source"])
            )
        # A part of it that is mounted once more is no volume of its own.
        if mount["fsroot"] != "/" or any(v["lv"] == volume["lv_name"] for v in out):
            continue
        out.append(
            {
                "lv": volume["lv_name"],
                "target": mount["target"],
                "fstype": mount["fstype"],
                "thin": thin(volume),
                "pool": volume["pool_lv"],
                "size": volume["lv_size"],
            }
        )
    return entry["vg_name"], out
