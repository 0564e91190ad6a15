# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where configuration of an older release belongs on this host's release: by the release paths' own entries under `carry`. Pure."""

from __future__ import annotations

import fnmatch
import re


def release(text):
    """{id, version} of an os-release file's text; {} when it says neither."""
    found = dict(re.findall(r'^(ID|VERSION_ID)=["\']?([^"\'\n]*)', text, re.M))
    return {"id": found["ID"], "version": found["VERSION_ID"]} if len(found) == 2 else {}


def chain(paths, old, new):
    """Release paths (documents) that lead from one release to another, in their order; [] when it is the same one or none lead there."""

    def same(one, other):
        return all(str(one.get(key)) == str(other.get(key)) for key in ("id", "version"))

    out, now, left = [], old, list(paths)
    while old and new and not same(now, new):
        step = next((path for path in left if same(path["source"], now)), None)
        if step is None:
            return []
        left.remove(step)
        out.append(step)
        now = step["target"]
    return out


def entries(paths):
    """[(pattern, target)] of what a chain of release paths carries over as it is; differences of ini files can only be told where both versions are."""
    return [(entry["from"], entry["to"]) for path in paths for entry in path.get("carry") or [] if entry.get("kind", "files") == "files"]


def here(path, moves):
    """The path that something has on this release."""
    for pattern, target in moves:
        wanted, parts = pattern.split("/"), path.split("/")
        head, rest = parts[: len(wanted)], parts[len(wanted) :]
        if len(head) == len(wanted) and all(fnmatch.fnmatchcase(part, word) for part, word in zip(head, wanted)):
            path = "/".join([target + head[-1] if target.endswith("/") else target] + rest)
    return path
