# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Integrity: files of packages that are not what their packages brought (QF33). What was so before is nobody's news.

Programs, libraries and their data; configuration and the trees that section files walks are judged there.
"""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "integrity"
LISTS = "/var/lib/dpkg/info/*.list"
SETTINGS = ("/etc/dpkg/dpkg.cfg", "/etc/dpkg/dpkg.cfg.d/*")
# "??5??????  c /etc/x" and "missing    /usr/x" with dpkg; rpm tells more with the same nine places.
LINE = re.compile(rb"^(missing|[.?SM5DLUGTP]{8,9})\s+(?:([cdglr])\s+)?(/.*?)(?: \((?!.*\().*\))?$")
SHOWN = 5
CODE = ("/usr/bin/", "/usr/sbin/", "/usr/lib", "/bin/", "/sbin/", "/lib", "/boot/")


def capture(system):
    """Items: {path: {state: missing | content | unreadable | type, package}} for what differs. None without dpkg and rpm."""
    if system.which("dpkg") and system.exists("/var/lib/dpkg/status"):
        result, rpm = system.run(["dpkg", "--verify"], timeout=900, check=False), False
        if result.rc not in (0, 1):
            raise IntactError("dpkg cannot verify its packages: %s" % (result.error.splitlines() or ["status %d" % result.rc])[-1])
    elif system.which("rpm"):
        # owners and modes are told by nothing else there, but a new release may bring others: content decides
        result, rpm = system.run(["rpm", "-Va", "--nodeps", "--noscripts", "--nomtime"], timeout=1800, check=False), True
    else:
        return None
    left_out, walked = exclusions(system), tuple(os.fsencode(tree).rstrip(b"/") + b"/" for tree in _trees_data.TREES)
    seen = {path: state for path, state in parse(result.out) if not path.startswith(walked) and not (state == "missing" and left_out(path))}
    brought = {} if rpm else owners(system, seen)
    items = {escape(path): {"state": state, "package": brought.get(path, "")} for path, state in sorted(seen.items())}
    return {
        "items": items,
        "summary": {
            "files that differ": sum(1 for item in items.values() if item["state"] != "missing"),
            "files that are missing": sum(1 for item in items.values() if item["state"] == "missing"),
        },
    }


def parse(output):
    """(path as bytes, state) of lines of dpkg --verify or rpm -Va that are about content; configuration files are left out. Pure."""
    for line in output.split(b"\n"):
        found = LINE.match(line)
        if not found or found.group(2) in (b"c", b"g"):
            continue
        flags = found.group(1)
        if flags == b"missing":
            yield found.group(3), "missing"
        elif flags[2:3] == b"5" or flags[0:1] == b"S":
            yield found.group(3), "content"
        elif flags[4:5] == b"L":
            yield found.group(3), "link"
        elif b"." in flags and flags[2:3] == b"?":
            yield found.group(3), "unreadable"


def exclusions(system):
    """Whether dpkg was told not to unpack a path: function of path as bytes (path-exclude and path-include, dpkg(1); the last that matches counts)."""
    rules = []
    for path in [SETTINGS[0]] + system.glob(SETTINGS[1]):
        for line in (system.read(path) or b"").splitlines():
            found = re.match(rb"^\s*path-(exclude|include)[=\s]\s*(\S+)\s*$", line)
            if found:
                rules.append((found.group(1) == b"exclude", _pattern(found.group(2))))

    def left_out(path):
        out = False
        for exclude, match in rules:
            if match(path):
                out = exclude
        return out

    return left_out


def _pattern(pattern):
    """dpkg's patterns: as a shell's, and * crosses slashes."""
    out, index = b"", 0
    while index < len(pattern):
        char = pattern[index : index + 1]
        closed = pattern.find(b"]", index + 2)
        if char == b"*":
            out += b".*"
        elif char == b"?":
            out += b"."
        elif char == b"[" and closed > 0:
            out += b"[" + re.sub(rb"^!", b"^", pattern[index + 1 : closed]).replace(b"\\", b"\\\\") + b"]"
            index = closed
        else:
            out += re.escape(char)
        index += 1
    return re.compile(out + rb"\Z", re.S).match


def owners(system, paths):
    """{path as bytes: package} for a few paths, from dpkg's lists; a file may be listed by its name before the merge of /lib into /usr/lib."""
    wanted = {}
    for path in paths:
        wanted[path] = path
        wanted[path[4:] if path.startswith(b"/usr/") else b"/usr" + path] = path
    found = {}
    for file in system.glob(LISTS) if wanted else ():
        data = system.read(file) or b""
        package = file.rpartition("/")[2][: -len(".list")].partition(":")[0]
        for line in wanted.keys() & set(data.split(b"\n")):
            found.setdefault(wanted[line], package)
    return found


def compare(before, after):
    """One finding for each package with new differences: integrity.missing, integrity.changed."""
    old, new, told = before.get("items", {}), after.get("items", {}), {}
    for path, now in sorted(new.items()):
        was = old.get(path)
        if was is None or was["state"] != now["state"]:
            kind = "missing" if now["state"] == "missing" else "changed"
            told.setdefault((now["package"] or path, kind), []).append((path, was, now))
    return [_finding(subject, kind, rows) for (subject, kind), rows in sorted(told.items())]


def _finding(subject, kind, rows):
    paths = [path for path, _was, _now in rows]
    more = ", and %d more" % (len(paths) - SHOWN) if len(paths) > SHOWN else ""
    package = rows[0][2]["package"]
    if kind == "missing":
        title = "%d of its files are missing" % len(paths) if package else "the file of a package is missing"
    else:
        title = "%d of its files are not what the package brought" % len(paths) if package else "the file is not what its package brought"
    named = package or "the package (rpm -qf %s)" % paths[0]
    return Finding(
        id="integrity.%s" % kind,
        # a library with other content is a damaged disk or somebody's hand: nobody should go on without a look
        severity="blocker" if any(path.startswith(CODE) for path in paths) else "warning",
        subject=subject,
        check="QF33",
        title=title,
        evidence=", ".join("%s (%s)" % (path, now["state"]) for path, _was, now in rows[:SHOWN]) + more,
        remedy="apt-get install --reinstall %s, unless it was changed here on purpose; if nobody did, look at the disk and at who was on the host" % named
        if package
        else "reinstall %s, unless it was changed here on purpose" % named,
        details=details(
            "missing" if kind == "missing" else "changed",
            "content",
            rows[0][1] and rows[0][1]["state"],
            rows[0][2]["state"],
            paths=paths,
            package=package,
        ),
    )
