# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The baseline's probes as the eyes of a backup: what each class looks at, by the same code that compares hosts."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import files as files_probe
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def look(system, probe, options=None):
    """A probe's data with these options; {} when its thing is not there. What it can't read goes to system.unlooked with the section's name."""
    kept = system.options, system.unlooked
    system.options, system.unlooked = dict(options or {}), []
    try:
        try:
            data = probe.capture(system) or {}
        except IntactError as exc:
            # the class is backed up all the same, and says that nobody can tell what it held
            system.skip("section %s" % probe.SECTION, str(exc))
            data = {}
        return data
    finally:
        found = [dict(entry, section=probe.SECTION) for entry in system.unlooked]
        system.options, system.unlooked = kept[0], kept[1] + found


def tree(system, paths, rules, cache=None):
    """Section files for exactly these roots (bytes) and rules: what restic is given. cache: a _files_cache.FilesCache."""
    roots = [os.fsdecode(path) for path in paths]
    data = look(system, files_probe, {"trees": roots, "default_excludes": False, "exclude": rules, "privileged": [], "cache": cache})
    # the second look finds it, and reads it again or tells that it is volatile
    system.unlooked = [entry for entry in system.unlooked if entry["why"] != files_probe.CHANGING]
    return data


def tell_unreadable(system, items):
    """Bring up to date what is told of files that could not be read, after some were read again."""
    system.unlooked = [entry for entry in system.unlooked if entry["why"] != files_probe.UNREADABLE]
    told = len(system.unlooked)
    files_probe.say_unreadable(system, items)
    for entry in system.unlooked[told:]:
        entry["section"] = files_probe.SECTION


def there(system, paths):
    """What restic is given for these trees (text): those that exist, by their real place. A tree that is a link is followed once, as the walk does."""
    out = []
    for path in paths:
        path = os.path.normpath(path)
        if not path.startswith("/"):
            raise IntactError("%s is not an absolute path" % path)
        if not system.exists(path):
            continue
        real = os.fsencode(system.realpath(path))
        if system.readlink(path) is not None:
            out.append(os.fsencode(path))
        if system.exists(os.fsdecode(real)):
            out.append(real)
    return topmost(out)


def topmost(paths):
    """The paths (bytes) in order, without those that lie in another one."""
    out = []
    for path in dict.fromkeys(paths):
        if not any(path != other and path.startswith(other.rstrip(b"/") + b"/") for other in paths):
            out.append(path)
    return out


def below(path, tops):
    """Whether a path (bytes) is one of tops or lies in one."""
    return any(path == top or path.startswith(top.rstrip(b"/") + b"/") for top in tops)


def count_files(section):
    """Numbers of a section files: entries, files, bytes."""
    summary = section.get("summary") or {}
    return {name: int(summary.get(name, 0)) for name in ("entries", "files", "bytes")}


def files_below(section, depth=4):
    """{escaped directory: files in it and below} for the first levels of directories: an emptied one among many must not vanish in a sum.

    Without what packages brought and nobody touched: a new release moves it elsewhere (Debian 13 emptied /etc/iproute2).
    """
    out, inside = {}, {}
    for path, item in section.get("items", {}).items():
        if item["type"] == "file" and item.get("origin") not in ("conffile-unmodified", "package"):
            parent = path.rpartition("/")[0]
            inside[parent] = inside.get(parent, 0) + 1
        elif item["type"] == "dir" and path.count("/") <= depth:
            out.setdefault(path, 0)
    for parent, number in inside.items():
        parts = parent.split("/")
        for level in range(2, min(len(parts), depth + 1) + 1):
            top = "/".join(parts[:level])
            out[top] = out.get(top, 0) + number
    return out
