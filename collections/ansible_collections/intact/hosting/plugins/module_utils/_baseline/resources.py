# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Resources: memory, load, space and inodes. A warning only where the host got into need that it was not in before."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "resources"
FULL = 95  # percent used
GROWN = 5  # percentage points more than before
AVAILABLE = 10  # percent of memory
BUSY = 4  # load per processor, over 15 minutes
LEFT_OUT = {"tmpfs", "devtmpfs", "squashfs", "iso9660", "overlay", "efivarfs", "udf", "fuse.lxcfs"}


def capture(system):
    """Items: "memory" {total_mb, available_mb, swap_used_mb}, "load" {fifteen, processors}, "processes" {count},
    "space /home" {size_mb, used_percent}, "inodes /home" {used_percent}."""
    memory = _meminfo(system.text("/proc/meminfo"))
    load = system.text("/proc/loadavg").split()
    items = {
        "memory": {
            "total_mb": memory.get("MemTotal", 0) // 1024,
            "available_mb": memory.get("MemAvailable", 0) // 1024,
            "swap_used_mb": (memory.get("SwapTotal", 0) - memory.get("SwapFree", 0)) // 1024,
        },
        "load": {"fifteen": float(load[2]) if len(load) > 2 else 0.0, "processors": system.text("/proc/cpuinfo").count("processor\t:")},
        "processes": {"count": int(load[3].partition("/")[2]) if len(load) > 3 else 0},
    }
    for point, kind, size, used in _df(system, ["df", "-lkPT"]):
        if kind not in LEFT_OUT or point == "/":
            items["space " + escape(point)] = {"size_mb": size // 1024, "used_percent": used}
    for point, kind, total, used in _df(system, ["df", "-liPT"]):
        if total and (kind not in LEFT_OUT or point == "/"):  # btrfs and the like count no inodes
            items["inodes " + escape(point)] = {"used_percent": used}
    summary = {"memory available (MB)": items["memory"]["available_mb"], "file systems": sum(1 for name in items if name.startswith("space "))}
    summary.update({"%s used (percent)" % name: item["used_percent"] for name, item in items.items() if name.startswith("space ")})
    return {"items": items, "summary": summary}


def _meminfo(text):
    out = {}
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) >= 2 and words[1].isdigit():
            out[words[0]] = int(words[1])
    return out


def _df(system, argv):
    """(mount point, type, size, used percent) per file system; each device once, at its shortest mount point."""
    rows = {}
    # df ends with 1 when one mount of many cannot be read, and still lists the others
    for line in system.run(argv, check=False).text.splitlines()[1:]:
        words = line.split(None, 6)
        if len(words) == 7 and words[2].isdigit() and words[3].isdigit():
            point, total, used, free = words[6], int(words[2]), int(words[3]), int(words[4]) if words[4].isdigit() else 0
            percent = round(100.0 * used / (used + free)) if used + free else 0
            st = system.lstat(point)
            if st is not None and (st.st_mode & 0o170000) != 0o040000:
                continue  # a file bound into a container: no place where anything grows
            if words[0] not in rows or len(point) < len(rows[words[0]][0]):
                rows[words[0]] = (point, words[1], total, percent)
    return sorted(rows.values())


def compare(before, after):
    """Findings for two data dicts: warnings, and only about need."""
    old, new = before.get("items", {}), after.get("items", {})
    out = []
    a, b = old.get("memory"), new.get("memory")
    if a and b:
        total = b["total_mb"]
        if total and b["available_mb"] * 100 < total * AVAILABLE and b["available_mb"] * 2 < a["available_mb"]:
            out.append(
                _finding(
                    "resources.memory.low",
                    "memory",
                    "little memory is left",
                    "%d MB of %d available, %d before" % (b["available_mb"], total, a["available_mb"]),
                    "available_mb",
                    a["available_mb"],
                    b["available_mb"],
                    "look at what grew: ps -eo rss,args --sort=-rss",
                )
            )
        if total * 10 < a["total_mb"] * 9:
            out.append(
                _finding(
                    "resources.memory.smaller",
                    "memory",
                    "the host has less memory than before",
                    "%d MB before, %d now" % (a["total_mb"], total),
                    "total_mb",
                    a["total_mb"],
                    total,
                    "look at the machine's memory and at the kernel's boot messages",
                )
            )
    a, b = old.get("load"), new.get("load")
    if a and b and b["processors"] and b["fifteen"] > BUSY * b["processors"] and b["fifteen"] > 2 * a["fifteen"]:
        out.append(
            _finding(
                "resources.load.high",
                "load",
                "the host is busier than before",
                "%s over 15 minutes on %d processors, %s before" % (b["fifteen"], b["processors"], a["fifteen"]),
                "fifteen",
                a["fifteen"],
                b["fifteen"],
                "look at what runs: top",
            )
        )
    for name in sorted(set(old) & set(new)):
        if name.startswith(("space ", "inodes ")):
            was, now = old[name]["used_percent"], new[name]["used_percent"]
            if now >= FULL and now >= was + GROWN:
                word = "space" if name.startswith("space ") else "inodes"
                out.append(
                    _finding(
                        "resources.%s.full" % word,
                        name,
                        "the file system is nearly full",
                        "%d %% used, %d %% before" % (now, was),
                        "used_percent",
                        was,
                        now,
                        "apt-get clean, then look with du -x -d1 what grew",
                    )
                )
    return out


def _finding(finding, subject, title, evidence, attribute, was, now, remedy):
    return Finding(
        id=finding, severity="warning", subject=subject, title=title, evidence=evidence, remedy=remedy, details=details("changed", attribute, was, now)
    )
