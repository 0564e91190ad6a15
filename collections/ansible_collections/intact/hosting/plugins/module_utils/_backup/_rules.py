# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a backup leaves out, and why: one list, told to restic as an exclude file and to the manifest's walk as a matcher, so that both see the same tree.

A pattern without a slash is a name anywhere; one that begins with a slash is a whole path, * stays within a component, ** stands for whole components.
"""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# As little as possible: what is left out here cannot be brought back.
EXCLUDED = (
    {"patterns": ["lost+found", "aquota.user", "aquota.group", ".quota.user", ".quota.group"], "reason": "kept by the file system"},
    {
        "patterns": [
            ".cache",
            "/home/*/.npm/_cacache",
            "/root/.npm/_cacache",
            "/**/wp-content/cache",
            "/**/storage/framework/cache",
            "/**/storage/framework/views",
            "/var/lib/dokuwiki/**/cache",
        ],
        "reason": "caches that the application makes again",
    },
    {"patterns": ["/**/storage/framework/sessions"], "reason": "sessions of visitors come and go"},
    {"patterns": ["/root/.ansible/tmp", "/home/*/.ansible/tmp"], "reason": "programs of the moment, made by a running playbook"},
)

# A page, which may have 64 KiB.
SWAP_HEADER = 65536


def check(rules, roots=()):
    """The rules, or IntactError for one that restic and the walk would understand differently. roots: what is walked (bytes)."""
    for rule in rules:
        if not rule.get("patterns") or not rule.get("reason"):
            raise IntactError("an entry of exclude needs patterns and a reason: %s" % rule)
        if set(rule) - {"patterns", "reason"}:
            raise IntactError("an entry of exclude has patterns and a reason and nothing else: %s" % rule)
        for pattern in rule["patterns"]:
            _check_pattern(pattern)
    names = [pattern for rule in rules for pattern in rule["patterns"] if "/" not in pattern]
    matches = _trees_data.matcher([{"patterns": names}] if names else [])
    for root in roots:
        for part in root.split(b"/"):
            # restic holds names against every component, the walk only against what is below a root
            if part and matches(part, part, "dir", b""):
                raise IntactError("the exclusion of %s would leave out all of %s: write it as a path" % (os.fsdecode(part), os.fsdecode(root)))
    return list(rules)


def _check_pattern(pattern):
    wrong = (
        "may not hold $, a backslash or a line break"
        if re.search(r"[$\\\n\r\0]", pattern)
        else "may not begin or end with a blank or #"
        if pattern != pattern.strip() or pattern.startswith("#")
        else "may not begin with !"
        if pattern.startswith("!")
        else "negates a class with !: write [^...]"
        if "[!" in pattern
        else "has a slash and does not begin with one: write a whole path or a name"
        if "/" in pattern and not pattern.startswith("/")
        else "ends with a slash"
        if pattern.endswith("/")
        else "has ** beside other characters: it stands for whole components"
        if any("**" in part and part != "**" for part in pattern.split("/"))
        else "leaves out everything"
        if pattern.strip("/*") == ""
        else ""
    )
    if wrong:
        raise IntactError("the exclusion %r %s" % (pattern, wrong))


def literal(path):
    """A pattern for exactly one path (text): characters that mean something in a pattern become ?, which both sides understand alike."""
    return re.sub(r"[*?\[\]\\$\s]", "?", path)


def exclude_file(rules):
    """The bytes of restic's exclude file, each group under its reason."""
    lines = []
    for rule in rules:
        lines.append("# " + " ".join(str(rule["reason"]).split()))
        lines += rule["patterns"]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape") if lines else b""


def nested(mounts, roots, local):
    """Rules that close what is mounted inside the roots and does not lie on this host's disks. mounts: {point (bytes): file system}."""
    out = []
    for point, kind in sorted(mounts.items()):
        inside = any(point != root and point.startswith(root.rstrip(b"/") + b"/") for root in roots)
        if inside and kind not in local:
            out.append({"patterns": [literal(os.fsdecode(point)) + "/*"], "reason": "%s is mounted there: not on this host's disks" % kind})
    return out


def swapped(system, roots):
    """Rules for swap files inside the roots (bytes): the kernel writes them behind the file system's back, so that they look untouched, or rotten."""
    out = []
    for line in system.text("/proc/swaps").splitlines()[1:]:
        fields = line.split()
        if len(fields) < 3 or fields[1] != "file" or not fields[2].isdigit():
            continue
        path = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), fields[0])
        inside = any(os.fsencode(path).startswith(root.rstrip(b"/") + b"/") for root in roots)
        held = system.lstat(path) if inside else None
        # a container sees its machine's: what has that name here is another file
        if held is not None and stat.S_ISREG(held.st_mode) and 0 <= held.st_size - int(fields[2]) * 1024 <= SWAP_HEADER:
            out.append({"patterns": [literal(path)], "reason": "swap: what is in it is of no use after a boot"})
    return out
