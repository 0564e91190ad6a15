# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups for tests of the restore: of trees that are walked, or of nothing but names; and a database server that remembers."""

from __future__ import annotations

import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity, _opened, _restore
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _tree
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake

FILE = {"type": "file", "uid": 0, "gid": 0, "mode": "0644", "size": 1, "hash": "x"}
DIRECTORY = {"type": "dir", "uid": 0, "gid": 0, "mode": "0755"}


def walked(*tops):
    """Section files of trees, without asking the package database."""
    walker = _tree.Walker(System())
    for top in tops:
        walker.tree(os.fsencode(top))
    walker.finish()
    return {"items": walker.items, "trees": [escape(str(top)) for top in tops], "owners": walker.owners, "groups": walker.groups, "unwalked": []}


def names(trees, *paths, **more):
    """Section files with these paths: directories end with /. more: {path: what its item has besides}."""
    items = {path.rstrip("/") or "/": dict(DIRECTORY if path.endswith("/") else FILE) for path in paths}
    for path, extra in more.items():
        items[path].update(extra)
    return {"items": items, "trees": list(trees), "owners": {}, "groups": {}, "unwalked": []}


def back_up(source, store, klass, *tops, streams=(), taken="2026-11-22T15:00:00Z", files=None, sections=None, **more):
    """A run of a class: a copy of these trees and their manifest, or section files as given."""
    held = dict(sections or {}, **({"files": files or walked(*tops)} if files or tops else {}))
    manifest = source.back_up(store, klass, None, streams=streams, taken=taken, sections=held, **more)
    identity = source.shots[-1]["id"]
    source.trees[identity] = os.path.join(str(store), identity)
    for top in tops:
        place = source.trees[identity] + str(top)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copytree(str(top), place, symlinks=True) if os.path.isdir(top) else shutil.copy2(str(top), place)
    return manifest


def opened(**classes):
    """A Backup of nothing but section files by class, and streams: [name]."""
    source, streams = fake.Memory("near"), classes.pop("streams", ())
    for klass, files in classes.items():
        back_up(source, "", klass, files=files)
    if streams:
        back_up(source, "", "databases", streams=[(name, "databases/%s.sql" % name.replace("/", "%2F"), name.encode()) for name in streams])
    return _opened.Backup(source, "web1")


def restore(tmp_path, made, backup, **more):
    """A Restore into tmp_path, which stages there too."""
    etc = tmp_path / "etc"
    etc.mkdir(exist_ok=True)
    for name in _identity.FILES:
        (etc / name).touch()
    one = _restore.Restore(made, backup, System(), str(tmp_path / "restores"), etc=str(etc), **more)
    # Staged beside the host's trees, and not at the root of this machine's filesystem.
    one._by_device = lambda paths: {str(tmp_path): paths}
    return one


class Engine:
    """Stands in for _live.Databases. wanted: what the dumps hold; held: what the server has; kept: what was put aside; missing: {name: why}."""

    def __init__(self, wanted, held=()):
        self.wanted, self.held, self.kept, self.loads, self.missing, self.cut = wanted, dict(held), [], [], {}, ()

    def lacking(self, name):
        return self.missing.get(name, "")

    def state(self, name, _manifest):
        if name not in self.held:
            return "absent", []
        return ("same", []) if self.held[name] == self.wanted[name] else ("differs", [name])

    def put_aside(self, name, _manifest):
        if name in self.held:
            self.kept.append((name, self.held.pop(name)))

    def load(self, name, stream):
        data = stream.read()
        self.loads.append(name)
        if name in self.cut:
            self.held[name] = data[:2]
            raise OSError("the power went")
        self.held[name] = data
        return []

    def compare(self, name, _manifest):
        if self.held.get(name) == self.wanted[name]:
            return []
        return [Finding(id="databases.rows.lost", severity="blocker", subject=name, title="rows are lost", evidence="", remedy="", details={})]


def failing(error):
    """A function that raises, whatever it is given."""

    def fail(*_given, **_more):
        raise error

    return fail
