# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Before an export: what drivers ask alike. R9: panels want much more room than what they write, and a full disk makes a short file at exit 0."""

from __future__ import annotations

import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._panels import _homes, _inventory, _restores
from ansible_collections.intact.hosting.plugins.module_utils._panels._export import ROOT


def space(panel, needed, why, path=ROOT, usage=shutil.disk_usage):
    """A finding unless so many bytes are free where path is, or will be. why: the panel's rule. path: what ready() is given as where."""
    there = path
    while not os.path.exists(there):
        there = os.path.dirname(there)
    free = usage(there).free
    if free >= needed:
        return []
    evidence = "%d MiB are free where %s is, %d are needed: %s" % (free >> 20, path, needed >> 20, why)
    return [_inventory.finding("panel.space", panel, "export", "", "there is no room for an export", evidence, "make room, or export to another disk")]


def rooms(system, panel, wanted):
    """A finding for each filesystem that has not the room for all that is wanted of it. wanted: [(path, bytes, the rule)]: two paths of one add up."""
    disks = {}
    for path, needed, rule in wanted:
        real = _homes.place(system, path)
        while not os.path.isdir(real):
            real = os.path.dirname(real)
        disks.setdefault(os.stat(real).st_dev, []).append((path, needed, rule))
    out = []
    for entries in disks.values():
        paths, needed = sorted({path for path, _needed, _rule in entries}), sum(needed for _path, needed, _rule in entries)
        free = min(_homes.free(system, path) for path in paths)
        if free < needed:
            rules = "; ".join("%d MiB at %s: %s" % (each >> 20, path, rule) for path, each, rule in entries)
            evidence = "%d MiB are free at %s, %d are needed (%s)" % (free >> 20, " and ".join(paths), needed >> 20, rules)
            remedy = "make room at %s, or export to another disk" % paths[0]
            out.append(_inventory.finding("panel.space", panel, "directory", paths[0], "there is no room for the export", evidence, remedy))
    return out


def packed(sizes):
    """Bytes that an export of all accounts takes where it is written, at most: all archives, and the largest once more while it is packed or encrypted."""
    held = list(sizes)
    return sum(held) + max(held, default=0)


def busy(panel, what, who):
    """The finding for a panel that works on something that an export must not meet. what: "a backup"; who: how it was seen."""
    remedy = "wait until it has ended, or say how long to wait (panel_export_wait)"
    return _inventory.finding("panel.busy", panel, "export", "", "the panel is busy with %s" % what, who, remedy)


def restores(panel, root):
    """Where the restores of a panel stand (_restores.standings): two looks that differ mean that one changed it in between."""
    return _restores.standings(panel, (_restores.RESTORES, os.path.join(root, os.path.basename(_restores.RESTORES))))


def half(panel, root):
    """A finding while a restore changes the panel, or when one was cut in the middle of it."""
    for (place, name), at in restores(panel, root).items():
        evidence = "%s, attempt %d" % (name, at["attempt"])
        if at["state"] == "changing" and _restores.under_way(place):
            return [busy(panel, "a restore of ours", evidence)]
        if at["state"] == "changing":
            title = "a restore was cut: what the panel has now is half of something"
            remedy = "run the restore again: it puts everything back first (or abandon leaves it as it is)"
            return [_inventory.finding("panel.restore.cut", panel, "export", "", title, evidence, remedy)]
    return []
