# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Should a disk be imaged before its files are read: always when it is dying, and when the seeks of many small files cost more than reading everything once."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SEEK = 0.02  # seconds a small file costs on an old disk: two seeks
SEQUENTIAL = 80 * 10**6  # bytes a second such a disk reads in one go


def advise(entry, files, used, sequential=SEQUENTIAL, unreadable=False):
    """{image_first, why}: of a whole disk's entry, the number of its files, bytes that they take, bytes/s read in one go. unreadable: reads failed."""
    smart = (entry.get("smart") or {}).get("verdict")
    if unreadable:
        return {"image_first": True, "why": "reads failed: each further one may be the last, and an image needs one pass"}
    if smart in ("failing", "worn"):
        return {"image_first": True, "why": "SMART says %s: an image needs one pass over the disk" % smart}
    if not entry.get("rotational") or not files:
        return {"image_first": False, "why": "the disk seems healthy%s" % ("" if entry.get("rotational") else ", and seeks cost it nothing")}
    seeks, more = files * SEEK, max(0, entry.get("size", 0) - used) / float(sequential)
    said = "%d files cost about %d s of seeks, reading the unused rest in one go %d s" % (files, seeks, more)
    return {"image_first": seeks > more, "why": said}


def findings(scene, chosen):
    """[disks.image.first] of the chosen whole disks that should be imaged first."""
    out = []
    for path in sorted(chosen):
        entry = scene.entries[path]
        if entry["kind"] != "disk":
            continue
        own = [e for e in scene.entries.values() if e["path"] == path or e.get("parent") == path]
        held = [e.get("signature") or {} for e in own]
        broken = any(scene.damage.get(e["path"]) and scene.damage[e["path"]].places for e in own)
        told = advise(entry, sum(s.get("files") or 0 for s in held), sum(s.get("used") or 0 for s in held), unreadable=broken)
        if not told["image_first"]:
            continue
        remedy = "set legacy_disk_image to a file with room for %d bytes, and the role works on that" % entry.get("size", 0)
        dying = broken or (entry.get("smart") or {}).get("verdict") in ("failing", "worn")
        out.append(Finding("disks.image.first", "warning" if dying else "info", path, "An image first", evidence=told["why"], remedy=remedy))
    return out
