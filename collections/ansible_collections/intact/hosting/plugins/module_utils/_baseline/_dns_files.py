# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""In which of its files named's configuration says what: a zone's entry, and the options for all zones."""

from __future__ import annotations

import posixpath
import re

MAINS = ("/etc/bind/named.conf", "/etc/named.conf")
COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|/\*.*?\*/|(?://|#)[^\n]*', re.DOTALL)
ZONE = re.compile(r'^\s*zone\s+"?([^"\s{]+)"?', re.MULTILINE | re.IGNORECASE)
INCLUDE = re.compile(r'^\s*include\s+"([^"]+)"', re.MULTILINE)
OPTIONS = re.compile(r"^\s*options\s*\{", re.MULTILINE)


def where(system):
    """({"example.test.": [paths of files with an entry for the zone]}, [paths of files with options])."""
    zones, options, todo, seen = {}, [], [path for path in MAINS if system.exists(path)][:1], set()
    while todo:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        text = COMMENT.sub(lambda match: match.group(1) or " ", system.text(path))
        for name in ZONE.findall(text):
            zones.setdefault(name.rstrip(".").lower() + ".", []).append(path)
        if OPTIONS.search(text):
            options.append(path)
        for name in INCLUDE.findall(text):
            name = posixpath.join("/etc/bind", name)
            todo += sorted(system.glob(name)) if re.search(r"[*?\[]", name) else [name]
    return zones, options
