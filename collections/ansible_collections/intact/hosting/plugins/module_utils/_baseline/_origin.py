# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where a file comes from, as dpkg and ucf know it: an unmodified conffile may change with its package, an edited one may not."""

from __future__ import annotations

import hashlib
import re

LISTS = "/var/lib/dpkg/info/*.list"
DECLARED = "/var/lib/dpkg/info/*.conffiles"
SHIPPED = "/var/lib/dpkg/info/*.md5sums"
DIVERSIONS = "/var/lib/dpkg/diversions"
UCF = "/var/lib/ucf/hashfile"
# What dpkg, ucf and needrestart leave beside a configuration file.
LEFTOVER = re.compile(r"\.(dpkg|ucf)-(dist|new|old|tmp|bak|remove)$")


def conffiles(system):
    """{path: md5 of the version its package brought} for all conffiles of dpkg and files that ucf manages; {} without dpkg."""
    if not system.which("dpkg-query"):
        return {}
    out = {}
    for line in system.text(UCF).splitlines():
        parts = line.split(None, 1)
        if len(parts) == 2:
            out[parts[1].strip()] = parts[0]
    current = set()
    for line in system.run(["dpkg-query", "-W", "-f", "${Package}\n${Conffiles}\n"]).text.splitlines():
        # " /etc/some file MD5 [obsolete]"; the path may hold blanks, the digest is 32 hex digits or "newconffile"
        found = re.match(r" (/.*) ([0-9a-f]{32}|newconffile)((?: obsolete| remove-on-upgrade)*)$", line)
        # a package goes on listing what moved to another one (mariadb-server-10.5 to mariadb-server), with the digest of then
        if found and (not found.group(3) or found.group(1) not in current):
            out[found.group(1)] = found.group(2)
            current |= set() if found.group(3) else {found.group(1)}
    return out


def owned(system, roots):
    """{path as bytes: name of the package that installed it} for paths below roots."""
    prefixes = tuple(root.rstrip(b"/") + b"/" for root in roots)
    found = {}
    for path in system.glob(LISTS):
        package = path.rpartition("/")[2][: -len(".list")].partition(":")[0]
        data = system.read(path) or b""
        # most packages have nothing there
        for line in data.split(b"\n") if any(prefix in data for prefix in prefixes) else ():
            if line.startswith(prefixes):
                found[line] = package
    return found


def shipped(system, roots, packaged):
    """{path as bytes: MD5 that its package brought} for paths below roots; configuration files are not in it. packaged: see owned().

    A package goes on listing what another one replaced or diverted: only the owner's digest counts.
    """
    lines = (system.read(DIVERSIONS) or b"").split(b"\n")
    diverted = {path: package.decode("utf-8", "replace") for path, package in zip(lines[::3], lines[2::3]) if package != b":"}
    # dpkg may know a file by its name before the merge of /lib into /usr/lib
    below = [root.rstrip(b"/") + b"/" for root in roots]
    prefixes = tuple(root[1:] for root in below + [root[4:] for root in below if root.startswith(b"/usr/") and root != b"/usr/"])
    found = {}
    for file in system.glob(SHIPPED):
        package = file.rpartition("/")[2][: -len(".md5sums")].partition(":")[0]
        for line in (system.read(file) or b"").split(b"\n"):
            path = b"/" + line[34:]
            if line[32:34] == b"  " and line.startswith(prefixes, 34) and diverted.get(path, packaged.get(path)) == package:
                found[path if path.startswith(tuple(below)) else b"/usr" + path] = line[:32].decode("ascii", "replace")
    return found


def given_up(system):
    """{path as bytes} of configuration files that the installed version takes away or no longer brings: dpkg goes on listing them."""
    word = b"remove-on-upgrade "
    out = {line[len(word) :] for path in system.glob(DECLARED) for line in (system.read(path) or b"").split(b"\n") if line.startswith(word)}
    gone, current = set(), set()
    for line in system.run(["dpkg-query", "-W", "-f", "${Package}\n${Conffiles}\n"]).out.split(b"\n"):
        found = re.match(rb" (/.*) (?:[0-9a-f]{32}|newconffile)((?: obsolete| remove-on-upgrade)*)$", line)
        if found:
            (gone if found.group(2) else current).add(found.group(1))
    return out | (gone - current)


def classify(path, md5, known, packaged, brought=None):
    """conffile-unmodified | conffile-edited | package | package-edited | leftover | local.

    md5: of the file's content, or None. brought: of what the package brought, or None where it does not say.
    """
    if path in known:
        return "conffile-unmodified" if md5 == known[path] else "conffile-edited"
    if packaged:
        return "package-edited" if md5 and brought and md5 != brought else "package"
    return "leftover" if LEFTOVER.search(path) else "local"


def moved(before, after):
    """details.origin of a change: the earlier origin where the later one is as harmless, else "before -> after".

    So a rule for conffile-unmodified allows a new package version and the removal with the package, not an edit.
    """
    harmless = ("conffile-unmodified", "package")
    if after is None or before == after or (before in harmless and after in harmless):
        return before
    if before is None:
        return after
    return "%s -> %s" % (before, after)


def md5(content):
    """Hex MD5 of bytes as dpkg keeps it, or None where the host forbids MD5 (FIPS)."""
    try:
        return hashlib.md5(content).hexdigest()
    except ValueError:
        return None
