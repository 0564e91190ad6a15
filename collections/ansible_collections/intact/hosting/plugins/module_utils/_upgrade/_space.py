# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How many bytes an upgrade needs on which filesystem: pure."""

from __future__ import annotations


def mount_of(path, mounts):
    """The mount point that holds a path: the longest of mounts that it starts with."""
    best = "/"
    for mount in mounts:
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) > len(best):
            best = mount
    return best


def shares(files, mounts):
    """{mount: part of 1} for a package's files [(path, bytes)]; {} when it has no bytes."""
    total = float(sum(size for _path, size in files))
    if not total:
        return {}
    out = {}
    for path, size in files:
        mount = mount_of(path, mounts)
        out[mount] = out.get(mount, 0) + size / total
    return out


def spread(changes, mounts, known, archives=(), extra=()):
    """Bytes per mount: {mount: {growth, largest, archives, initrd, backups, needed}}.

    changes: [{name, old, new}] installed sizes in bytes (0: not installed). known: {name: shares()}; a package that is not in it
    goes where /usr is, a kernel image half to /boot. archives: [(directory, bytes)]. extra: [(what, directory, bytes)], what is initrd or backups.
    dpkg unpacks beside the old files, so the largest package is needed once more; room that removals give back comes too late to count.
    """
    out = {}

    def at(mount):
        return out.setdefault(mount, {"growth": 0, "largest": 0, "archives": 0, "initrd": 0, "backups": 0})

    for change in changes:
        parts = known.get(change["name"])
        if not parts:
            parts = {mount_of("/usr", mounts): 1.0}
            if change["name"].startswith("linux-image-"):
                parts = {}
                for directory in ("/boot", "/usr"):
                    parts[mount_of(directory, mounts)] = parts.get(mount_of(directory, mounts), 0) + 0.5
        for mount, part in parts.items():
            entry = at(mount)
            entry["growth"] += int((change["new"] - change["old"]) * part)
            entry["largest"] = max(entry["largest"], int(change["new"] * part))
    for directory, size in archives:
        at(mount_of(directory, mounts))["archives"] += size
    for what, directory, size in extra:
        at(mount_of(directory, mounts))[what] += size
    for entry in out.values():
        entry["needed"] = max(entry["growth"], 0) + entry["largest"] + entry["archives"] + entry["initrd"] + entry["backups"]
    return out
