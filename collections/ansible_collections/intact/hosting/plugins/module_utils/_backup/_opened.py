# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A backup that is restored: its runs, opened, and what they hold at a path, fast also for millions of files."""

from __future__ import annotations

import bisect
import fnmatch
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _looks, _moves
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ORDER = ("files", "databases", "mail", "lists", "panel", "system")


def is_below(path, above):
    """Whether a path is another one or in it."""
    return path == above or path.startswith(above.rstrip("/") + "/")


def topmost(paths):
    """Paths without those that are in another one of them, sorted."""
    out = []
    # "/" sorts after "-" and ".": compared part by part, what is in a directory follows it at once
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not out or not is_below(path, out[-1]):
            out.append(path)
    return sorted(out)


class Backup:
    """The runs that are restored: runs and manifests by class, the newest or those of a name. source: a _source.Source.

    moves: [(pattern, target)] of configuration that has another path on this host's release (see _moves).
    packages: names of this host's packages when its release is another one, whose own files stay the new release's. Both are filled by release().
    """

    def __init__(self, source, host, run=""):
        self.source, self.host, self.moves, self.packages = source, host, [], set()
        self.runs, self.manifests, self.digests, self._sorted = {}, {}, {}, {}
        for name, found in sorted(source.runs(host).items()):
            chosen = next((r for r in found if r.snapshot and run in ("", r.run)), None)
            if chosen is not None:
                self.runs[name] = chosen
                self.manifests[name], self.digests[name] = source.manifest(chosen)
        if not self.runs:
            raise IntactError("%s holds no backup of %s%s: check host, run and the address" % (source.name, host, " by the name of %s" % run if run else ""))

    def release(self, view, paths):
        """Look at this host's release, and take the known release paths: what moved between the releases comes to its new place."""
        old = next((m["os"] for m in self.manifests.values() if m.get("os")), {})
        new = _moves.release(view.text("/etc/os-release"))
        self.moves = _moves.entries(_moves.chain(paths, old, new))
        if old and new != old and view.which("dpkg-query"):
            listed = view.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\\n"]).text.splitlines()
            self.packages = {line.split()[1] for line in listed if line.startswith("installed ")}

    def of_packages(self, item):
        """Whether an item is a file of a package as the package brought it, which the other release's package brings in its own version."""
        origin = item.get("origin") if self.packages else ""
        return origin == "conffile-unmodified" or (origin == "package" and item.get("package") in self.packages)

    def files(self, name):
        """Section files of a class's manifest."""
        return (self.manifests[name]["sections"].get("files") or {}) if name in self.manifests else {}

    def below(self, name, top):
        """The class's escaped paths at or in an escaped path."""
        if name not in self._sorted:
            self._sorted[name] = sorted(self.files(name).get("items", {}))
        paths, out = self._sorted[name], []
        place = bisect.bisect_left(paths, top)
        if place < len(paths) and paths[place] == top:
            out.append(top)
        inside = top.rstrip("/") + "/"
        # "0" is the character after "/"
        return out + paths[bisect.bisect_left(paths, inside) : bisect.bisect_left(paths, inside[:-1] + "0")]

    def children(self, name, top):
        """What is directly in a directory of the class."""
        return sorted({"/".join(path.split("/")[: top.rstrip("/").count("/") + 2]) for path in self.below(name, top) if path != top})

    def holders(self, path):
        """Classes whose snapshot has an escaped path or something in it, the one that knows most of it first."""
        found = {name: len(self.below(name, path)) for name in self.manifests}
        return sorted((name for name, count in found.items() if count), key=lambda name: (-found[name], ORDER.index(name) if name in ORDER else 9))

    def matching(self, name, pattern):
        """The class's escaped paths that are a path, or match a shell pattern (whose * stays in one directory)."""
        text = escape(os.path.normpath(pattern))
        if not any(c in pattern for c in "*?[") or self.below(name, text):
            # a name that is there by itself is no pattern, whatever is in it
            return [text] if self.below(name, text) else []
        fixed = text[: min(text.index(c) for c in "*?[" if c in text)].rpartition("/")[0] or "/"
        words = text.split("/")
        parts = ((path, path.split("/")) for path in self.below(name, fixed))
        return [p for p, some in parts if len(some) == len(words) and all(fnmatch.fnmatchcase(s, w) for s, w in zip(some, words))]

    def streams(self):
        """{stream's name: (class, stream)}."""
        return {stream["name"]: (name, stream) for name, manifest in self.manifests.items() for stream in manifest.get("streams") or []}

    def part(self, part):
        """Section files of a part {class, paths, from} of a step, as the backup knows it, by the paths that it has on this host.

        left: paths in the snapshot that are left to this release's packages.
        """
        data, items, left = self.files(part["class"]), {}, []
        for path in part["paths"]:
            old = part.get("from", {}).get(path, path)
            for name in self.below(part["class"], old):
                item = dict(data["items"][name])
                if name != old and self.of_packages(item):
                    left.append(path + name[len(old) :])
                    continue
                if item.get("hardlink") and old != path and is_below(item["hardlink"], old):
                    item["hardlink"] = path + item["hardlink"][len(old) :]
                items[path + name[len(old) :]] = item
        return dict(data, items=_looks.relinked(items), trees=sorted(part["paths"]), unwalked=[p for p in data.get("unwalked", []) if p in items], left=left)
