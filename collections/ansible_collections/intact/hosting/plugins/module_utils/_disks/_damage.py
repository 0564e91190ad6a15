# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which files of an image lie where the disk could not be read: ext2/3/4 by debugfs, of other volumes the ranges. The image is only read."""

from __future__ import annotations

import re
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _map, _table
from ansible_collections.intact.hosting.plugins.module_utils._disks._device import Device
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

EXT = ("ext2", "ext3", "ext4")
BATCH, MOST_BLOCKS = 8000, 250000  # blocks: of one debugfs, which looks through all inodes; of one volume
TOLD = 500  # findings about files; the list has them all
JOURNAL, RESERVED, ROOT = 8, 11, 2
REMEDY = "get it from a backup, or waive this finding by name and migrate it as it is, with zeros in these places"


def damaged(image, size, ranges):
    """{files [{volume path inode type bytes}] elsewhere [{volume what bytes ranges}] findings [Finding]} of ranges [(offset, size)] of an image.

    what: journal, metadata, free, metadata or free, unknown (of this filesystem nobody can tell), outside (of every volume).
    """
    files, elsewhere, rest = [], [], list(ranges)
    known = []
    for volume in _map.read(image, size) if ranges else ():
        places = _places(volume)
        known += places
        hit, rest = _cut(rest, places)
        if not hit:
            continue
        own, other = _of_volume(image, volume, hit)
        files += own
        elsewhere += other
    # A partition whose superblock is lost too is no volume any more, and the one whose files are in danger.
    for name, place in _partitions(image, size) if rest else ():
        hit, rest = _cut(rest, [place])
        if hit:
            what = "metadata or free" if _cut([place], known)[0] else "unknown"
            why = "it holds nothing that can be recognised" if what == "unknown" else "it lies beside the volumes of this partition"
            elsewhere.append({"volume": name, "what": what, "bytes": sum(s for _a, s in hit), "ranges": [list(r) for r in hit], "why": why})
    if rest:
        elsewhere.append({"volume": "", "what": "outside", "bytes": sum(s for _a, s in rest), "ranges": [list(r) for r in rest]})
    return {"files": files, "elsewhere": elsewhere, "findings": _findings(image, files, elsewhere)}


def _partitions(image, size):
    """[(name, (offset, size))] by the table, the whole disk where there is none."""
    table = _table.read(Device(System(), image, size), 512) or {}
    rows = [p for p in table.get("partitions") or () if table.get("type") != "dos" or int(p["type"], 16) not in _table.EXTENDED]
    return [("part%d" % p["number"], (p["start"], p["size"])) for p in rows] or [("disk", (0, size))]


def _places(volume):
    """[(offset on the disk, size)] of a volume; of one in pieces the stripes count as a whole."""
    if volume.place:
        return [volume.place]
    return [(at, size // max(1, len(areas))) for _start, size, _stripe, areas in volume.segments for at in areas]


def _cut(ranges, places):
    """(what of ranges lies in places, what does not)."""
    inside, left = [], list(ranges)
    for begin, size in places:
        outside = []
        for at, length in left:
            low, high = max(at, begin), min(at + length, begin + size)
            if low >= high:
                outside.append((at, length))
                continue
            inside.append((low, high - low))
            outside += [(a, b - a) for a, b in ((at, low), (high, at + length)) if b > a]
        left = outside
    return inside, left


def _of_volume(image, volume, ranges):
    size = sum(length for _at, length in ranges)

    def told(what, wide=size, why="", where=ranges):
        return {"volume": volume.name, "type": volume.type, "what": what, "bytes": wide, "ranges": [list(r) for r in where], "why": why}

    if volume.type == "swap":
        return [], [told("swap")]
    if volume.type not in EXT or not volume.place:
        return [], [told("unknown", why="%s is not looked into" % (volume.type or "what is there"))]
    block = volume.signature["block_size"]
    start = volume.place[0]
    numbers = sorted({n for at, length in ranges for n in range((at - start) // block, (at + length - start + block - 1) // block)})
    if len(numbers) > MOST_BLOCKS:
        return [], [told("unknown", why="%d blocks are too many to look for" % len(numbers))]
    loop = _block.loop(image, start, volume.place[1])
    try:
        owners, lost = _owners(loop, numbers)
        names, kinds = _names(loop, sorted(set(owners.values()))), _kinds(loop, sorted(set(owners.values())))
        free = _free(loop, lost)
        if block == 1024:
            free[0] = True  # the boot block, which lies before the filesystem's own data
    except IntactError as exc:
        return [], [told("unknown", why=str(exc))]
    finally:
        _block.unloop(loop)
    out, other, counts = [], {}, {}
    for inode in owners.values():
        counts[inode] = counts.get(inode, 0) + 1
    for inode, count in sorted(counts.items()):
        if inode < RESERVED and inode != ROOT:
            other["journal" if inode == JOURNAL else "metadata"] = other.get("journal" if inode == JOURNAL else "metadata", 0) + count
            continue
        for name in names.get(inode) or [b""]:
            out.append({"volume": volume.name, "path": escape(name), "inode": inode, "type": kinds.get(inode, "unknown"), "bytes": count * block})
    for number in lost:
        what = {True: "free", False: "metadata"}.get(free.get(number), "metadata or free")
        other[what] = other.get(what, 0) + 1
    return out, [told(what, count * block) for what, count in sorted(other.items())]


def _debugfs(device, request):
    """What debugfs says as bytes. Catastrophic mode: damaged bitmaps must not keep it from reading inodes."""
    result = run(["debugfs", "-c", "-R", request, device], timeout=3600)
    if b"Filesystem not open" in result.err + result.out or b"while trying to open" in result.err:
        raise IntactError("debugfs can't read %s: %s" % (device, result.error.splitlines()[-1] if result.error else "no superblock"))
    return result.out


def _owners(device, numbers):
    """({block: inode}, [blocks of no inode])."""
    owners, lost = {}, []
    for begin in range(0, len(numbers), BATCH):
        part = numbers[begin : begin + BATCH]
        seen = set()
        for line in _debugfs(device, "icheck " + " ".join(map(str, part))).splitlines():
            found = re.match(rb"(\d+)\t(\d+|<block not found>)", line)
            if not found:
                continue
            number = int(found.group(1))
            seen.add(number)
            if found.group(2).isdigit():
                owners[number] = int(found.group(2))
            else:
                lost.append(number)
        # The superblock and debugfs's own notion of block 0 are not answered: they are no file's.
        lost += [number for number in part if number not in seen]
    return owners, lost


def _names(device, inodes):
    """{inode: [paths as bytes]}; a name may have newlines, and only inodes that were asked for begin a line."""
    out, wanted, last = {}, set(inodes), None
    for begin in range(0, len(inodes), BATCH):
        for line in _debugfs(device, "ncheck " + " ".join(map(str, inodes[begin : begin + BATCH]))).split(b"\n"):
            found = re.match(rb"(\d+)\t(/.*)\Z", line, re.S)
            if found and int(found.group(1)) in wanted:
                last = out.setdefault(int(found.group(1)), [])
                last.append(re.sub(rb"\A//+", b"/", found.group(2)))
            elif last and line and not line.startswith(b"Inode\t"):
                last[-1] += b"\n" + line
    return out


def _script(device, lines, *options):
    """What debugfs says to many requests in one run, as text."""
    try:
        done = subprocess.run(
            ["debugfs", *options, "-f", "-", device], input="".join(line + "\n" for line in lines).encode(), capture_output=True, timeout=3600, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise IntactError("debugfs gave no answer about %s: %s" % (device, exc)) from exc
    return done.stdout.decode("utf-8", "replace")


def _kinds(device, inodes):
    text = _script(device, ["stat <%d>" % inode for inode in inodes], "-c")
    return {int(inode): kind for inode, kind in re.findall(r"^Inode: (\d+)\s+Type: (\w+)", text, re.M)}


def _free(device, numbers):
    """{block: whether it is free}, as far as the bitmaps tell."""
    text = _script(device, ["testb %d" % number for number in numbers])
    return {int(number): not use for number, use in re.findall(r"^Block (\d+) (?:(marked in use)|not in use)", text, re.M)}


def _findings(image, files, elsewhere):
    image = escape(image)
    out = []
    for entry in files[:TOLD]:
        name = entry["path"] or "inode %d" % entry["inode"]
        what = "directory" if entry["type"] == "directory" else "file"
        said = "%d bytes of it lie where the disk could not be read" % entry["bytes"]
        remedy = "files below it may be missing, and nothing tells which: " + REMEDY if what == "directory" else REMEDY
        out.append(_say("damaged", "blocker", "%s:%s" % (entry["volume"], name), "A %s is damaged" % what, said, remedy, **entry))
    if len(files) > TOLD:
        said = "%d damaged files, %d of them told one by one" % (len(files), TOLD)
        out.append(_say("damaged.more", "blocker", image, "More files are damaged than are told here", said, "read %s.damaged.json" % image))
    for entry in elsewhere:
        said = "%d bytes, first at byte %d" % (entry["bytes"], entry["ranges"][0][0]) + (": %s" % entry["why"] if entry.get("why") else "")
        subject = entry["volume"] or image
        if entry["what"] in ("free", "swap", "outside"):
            words = {"free": "no file", "swap": "swap space", "outside": "no volume"}[entry["what"]]
            out.append(_say("damaged.unused", "info", subject, "Bad areas belong to %s" % words, said, ""))
        elif entry["what"] == "journal":
            remedy = "the last changes before the disk was stopped may be missing: look at what was written last"
            out.append(_say("damaged.journal", "warning", subject, "The journal is damaged", said, remedy))
        elif entry["what"] == "unknown":
            remedy = "attach the image and read all files of that volume, or repair a copy of it; then waive this finding"
            out.append(_say("damaged.unknown", "blocker", subject, "Nobody can tell which files are damaged", said, remedy, **entry))
        else:
            remedy = "files may be missing as a whole: attach the image (legacy_volume checks it on the overlay) and compare it with a backup"
            severity = "blocker" if entry["what"] == "metadata" else "warning"
            out.append(_say("damaged.metadata", severity, subject, "The filesystem's own data are damaged (%s)" % entry["what"], said, remedy))
    return out


def _say(number, severity, subject, title, evidence, remedy, **details):
    return Finding("disks.image." + number, severity, subject, title, evidence=evidence, remedy=remedy, details=details)
