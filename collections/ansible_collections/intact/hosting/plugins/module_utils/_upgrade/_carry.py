# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Configuration that a versioned path would lose: copied to where the new version looks, never over a file that is there."""

from __future__ import annotations

import glob
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _questions, _simulate


def settings(text):
    """{(section, key): value} of an ini file such as php.ini; a key that is given twice keeps its last value. Pure."""
    out, section = {}, ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith((";", "#")) and "=" in line:
            key, value = line.split("=", 1)
            value = re.sub(r'^("[^"]*"|[^;]*?)\s*(;.*)?$', r"\1", value.strip())
            out[(section, key.strip())] = value
    return out


def ini_differences(text, reference, origin):
    """An ini file (text) with only what differs from a reference, "" when nothing does; sections kept. Pure."""
    have, base, sections = settings(text), settings(reference), {}
    for (section, key), value in have.items():
        if base.get((section, key)) != value:
            sections.setdefault(section, []).append("%s = %s" % (key, value))
    if not sections:
        return ""
    lines = ["; carried over from %s by the upgrade" % origin]
    for section, entries in sections.items():
        lines += (["[%s]" % section] if section else []) + entries
    return "\n".join(lines) + "\n"


def mentioned(words, directories):
    """Whether one of the words stands in a file below the directories."""
    for top in directories:
        for directory, _names, files in os.walk(top):
            for name in files:
                data = read_if_exists(os.path.join(directory, name), 1 << 20) if os.path.isfile(os.path.join(directory, name)) else None
                if data and any(word.encode() in data for word in words):
                    return True
    return False


def recorded_sums(host):
    """{path: md5} of what packages brought as configuration files, ucf's included; {} without dpkg: then every file counts as edited."""
    out = {}
    if not os.path.exists("/var/lib/dpkg/status"):
        return out
    for files in _simulate.conffiles(host.run(_questions.QUERY).text).values():
        out.update(files)
    for line in (read_if_exists("/var/lib/ucf/hashfile") or b"").decode("utf-8", "surrogateescape").splitlines():
        digest, _space, path = line.strip().partition("  ")
        out[path] = digest
    return out


def steps(entries, removed, sums):
    """What to copy: [(kind, source, target, reference)] for the release path's carry entries whose package goes. Reads the host."""
    out = []
    for entry in entries:
        if entry.get("package") and entry["package"] not in removed:
            continue
        kind = entry.get("kind", "files")
        for source in sorted(glob.glob(entry["from"])):
            if os.path.islink(source) or not (os.path.isfile(source) or (kind == "files" and os.path.isdir(source))):
                continue
            target = os.path.join(entry["to"], os.path.basename(source)) if entry["to"].endswith("/") else entry["to"]
            unedited = os.path.isfile(source) and sums.get(source) == _questions.md5(read_if_exists(source))
            if kind == "files" and entry.get("edited_only") and unedited:
                if not (entry.get("unless_mentioned") and mentioned(entry["unless_mentioned"]["words"], entry["unless_mentioned"]["in"])):
                    continue
            if not os.path.lexists(target):
                out.append((kind, source, target, entry.get("reference", "")))
    return out


def carry(host, entries, removed):
    """Do the steps; returns the list of files that were made."""
    made = []
    for kind, source, target, reference in steps(entries, removed, recorded_sums(host)):
        if kind == "ini-differences":
            text = (read_if_exists(source) or b"").decode("utf-8", "surrogateescape")
            base = (read_if_exists(reference) or b"").decode("utf-8", "surrogateescape")
            new = ini_differences(text, base, source)
            if not new or not base:
                continue
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            write_atomic(target, new.encode("utf-8", "surrogateescape"), 0o644)
        else:
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            # What a cut left of a directory would take the next copy into itself.
            host.run(["rm", "-rf", "--", target + ".intact-new"])
            host.run(["cp", "-a", "--", source, target + ".intact-new"])
            os.rename(target + ".intact-new", target)
        made.append(target)
    return made
