# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A class of paths: look, back up to every repository, look again at what changed meanwhile, until manifest and snapshots are of one moment."""

from __future__ import annotations

import contextlib
import errno
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _again, _eyes, _held_against, _late, _manifest, _moves, _outcome, _rules
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _mounttable, _tree, _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

REREAD = 2  # how often what changed is read and backed up again
PASSES = 5
FEW = 2000


class PathsRun:
    """One class of one run. run: the _run.Run that it belongs to, which knows repositories, job and progress."""

    def __init__(self, run, name, module, options):
        self.run, self.name, self.module = run, name, module
        self.system = run.system
        self.options = module.refine(self.system, options) if hasattr(module, "refine") else dict(options)
        if hasattr(module, "prepare"):
            module.prepare(self.system, run.write_directory)
        self.paths = module.paths(self.system, self.options)
        self.mounts = _mounttable.types(self.system)
        self.rules = module.excluded(self.options) + _rules.nested(self.mounts, self.paths, _tree.LOCAL) + _rules.swapped(self.system, self.paths)
        _rules.check(self.rules, self.paths)
        self.options["rules"] = self.rules
        self.options["cache"] = self.cache = run.files_cache(name, self.options["reread_days"])
        self.matcher = _trees_data.matcher(self.rules)
        self.volatile = set()
        self.sections, self.streams = {}, []
        self._since = 0

    def look(self):
        """The first look."""
        self._since = self.run.wall_ns()
        self.system.unlooked = []
        self.sections = self.module.sections(self.system, self.options)

    def manifest(self):
        """The manifest as it is now."""
        more = _late.touched(self.sections, self.volatile)
        looked = {
            "sections": self.sections,
            "counts": self.module.counts(self.sections),
            "objects": self.module.objects(self.sections),
            "excluded": self.rules,
            "unlooked": self.system.unlooked,
        }
        release = _moves.release(self.system.text("/etc/os-release"))
        return _manifest.make(
            self.name, self.run.job, self.run.id, self.run.moment(), self.run.host_id, looked, self.streams, self.volatile | more, release, self._since
        )

    def go(self):
        """(manifest, its digest, {repository: what came of it}, findings)."""
        self.look()
        roots = [path for path in self.paths if not os.path.islink(path)]
        again = _again.Again(self.system, self.matcher, self.mounts, self.cache.directories)
        excludes = _rules.exclude_file(self.rules)
        parents = {}
        for attempt in range(PASSES):
            manifest = self.manifest()
            path, digest = self.run.write_manifest(manifest)
            results = self.run.into_all(self.name, self.paths + [os.fsencode(path)], excludes, digest, parents)
            parents = {name: outcome.snapshot for name, outcome in results.items()}
            began = self.run.wall_ns()
            self.run.progress.stage(self.name, "looking again")
            changed = [p for p in again.changed(roots, self.items, self._since, began) if p not in self.volatile]
            if not changed or not any(parents.values()):
                break
            if attempt < REREAD:
                # from the beginning of that look on: what changes after it was seen there is found by the next one
                self._since = began
                self.reread(changed)
                again = _again.Again(self.system, self.matcher, self.mounts, self.cache.directories)
            else:
                self.volatile |= set(changed)
        with contextlib.suppress(OSError):
            self.cache.save()  # without it the next run reads more
        findings = _manifest.rotten(self.name, self.cache.rotten)
        findings += [_manifest.volatile_finding(self.name, path, attempt + 1) for path in sorted(self.volatile | set(changed))]
        for name, outcome in results.items():
            outcome.held = self.hold(name, outcome, set(changed)) if outcome.snapshot else []
        return manifest, digest, results, findings

    @property
    def items(self):
        """The walk's entries."""
        return self.sections.get("files", {}).get("items", {})

    def reread(self, changed):
        """Bring the look up to date for paths that changed; all of it where that is cheap, or where entries hang together."""
        linked = any(self.items.get(path, {}).get("hardlink") for path in changed)
        if set(self.sections) != {"files"} or linked or len(changed) > FEW:
            self.system.unlooked = []
            self.sections = self.module.sections(self.system, self.options)
            return
        reread(self.system, self.sections["files"], changed, self.matcher, self.mounts, self.cache)

    def hold(self, repository, outcome, changed):
        """Findings: one repository's own list of its new snapshot, held against the manifest."""
        # files that are given by themselves are in no tree
        known = [path for path in self.paths if os.path.isfile(path) and not os.path.islink(path)]
        self.run.progress.stage(self.name, "holding the snapshot against the manifest", repository)
        try:
            wrong = _held_against.differences(self.items, self.run.restic[repository].ls(outcome.snapshot), self.volatile | changed, known)
        except _outcome.ResticError as exc:
            return exc.findings(self.name)
        except IntactError as exc:
            wrong = [("snapshot " + outcome.snapshot, str(exc))]
        return _held_against.findings(self.name, repository, wrong)


def reread(system, section, changed, excluded, mounts, cache=None):
    """Replace the entries of a section files by what they are now; what was known of their origin stays. cache: a _files_cache.FilesCache."""
    items = section["items"]
    walker = _tree.Walker(system, excluded, (), mounts, cache)
    directories = cache.directories if cache else {}
    for text in changed:
        path, was = unescape(text), directories.get(text)
        try:
            parent = _descriptors.open_directory(os.path.dirname(path), system.root)
        except OSError:
            walker.items.pop(text, None)
            items.pop(text, None)
            continue
        try:
            # of a directory only its own entry: what changed in it is in the list by itself, unless all of it is new
            walker.entry(parent, os.path.basename(path), path, deep=text not in items)
        except OSError as exc:
            items.pop(text, None)
            # gone, or another one than a moment ago: the next look tells what it is then
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                walker.items[text] = {"type": "unknown", "state": "unreadable: %s" % errno.errorcode.get(exc.errno, exc.errno)}
        finally:
            os.close(parent)
        if "same_as" in items.get(text, ()) and walker.items.get(text, {}).get("type") == "dir" and directories.get(text) == was:
            walker.items[text]["same_as"] = items[text]["same_as"]
    walker.finish()
    for text, item in walker.items.items():
        old = items.get(text, {})
        items[text] = dict({key: old[key] for key in ("origin", "package") if key in old}, **item)
    section["owners"].update(walker.owners)
    section["groups"].update(walker.groups)
    summary = section["summary"]
    summary["entries"] = len(items)
    summary["files"] = sum(item["type"] == "file" for item in items.values())
    summary["bytes"] = sum(item.get("size", 0) for item in items.values() if item["type"] == "file")
    _eyes.tell_unreadable(system, items)
