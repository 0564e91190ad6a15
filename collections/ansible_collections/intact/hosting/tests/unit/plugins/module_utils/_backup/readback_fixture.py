# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository made of directories, for tests of what reads backups back: no restic is needed."""

from __future__ import annotations

import datetime
import hashlib
import os
import shutil
import stat

from ansible_collections.intact.hosting.plugins.module_utils._backup import _manifest, _snapshots, _source
from ansible_collections.intact.hosting.plugins.module_utils._baseline import files
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


class Memory:
    """Stands in for _source.Source. changed: {path: its change time in the snapshots, in seconds}; nothing else changed after 1970."""

    def __init__(self, name):
        self.changed = {}
        self.name, self.shots, self.trees, self.files, self.broken = name, [], {}, {}, ""

    def back_up(self, store, klass, top, run="r1", host="web1", taken="2026-11-22T15:00:00Z", change=None, streams=(), sections=None, tag=True, host_id="aa"):
        """A run of a class: a copy of top, its manifest and its streams [(name, path, bytes)]. change(manifest) is what a forger does."""
        held = dict(sections or {})
        if top is not None:
            held["files"] = files.capture(System({"trees": [str(top)], "default_excludes": False, "privileged": []}))
        entries = [{"name": n, "path": p, "sha256": _digest(data), "bytes": len(data)} for n, p, data in streams]
        looked = {"sections": held, "counts": {"files": 1}, "objects": {}, "excluded": [], "unlooked": []}
        manifest = _manifest.make(klass, {"host": host}, run, taken, host_id, looked, entries)
        if change:
            change(manifest)
        packed, digest = _manifest.pack(manifest)
        identity = "%s-%s-%s" % (self.name, klass, run)
        if top is not None:
            self.trees[identity] = os.path.join(str(store), identity)
            shutil.copytree(str(top), self.trees[identity] + str(top), symlinks=True)
        path = _snapshots.manifest_path(klass)
        self.files[identity, path] = packed
        tags = ["intact", "class:" + klass, "run:" + run]
        for number, (_name, where, data) in enumerate(streams):
            self.files["%s-%d" % (identity, number), "/intact/" + where] = data
            self.shots.append({"id": "%s-%d" % (identity, number), "time": taken, "paths": ["/intact/" + where], "hostname": host, "tags": tags})
        more = ["manifest:" + digest] if tag else []
        self.shots.append({"id": identity, "time": taken, "paths": ([str(top)] if top else []) + [path], "hostname": host, "tags": tags + more})
        return manifest

    def fresh(self, cache):
        self.cache = cache

    def runs(self, host):
        if self.broken:
            raise IntactError(self.broken)
        return _snapshots.runs(self.shots, host)

    def write(self, snapshot, path, out):
        out.write(self.files[snapshot, path])

    def read(self, snapshot, path):
        return self.files[snapshot, path]

    def manifest(self, run):
        return _snapshots.opened(self.read(run.snapshot, _snapshots.manifest_path(run.name)), run.name)

    def restore(self, snapshot, target, paths=()):
        source = self.trees[snapshot]
        for path in paths or [""]:
            place = target + path
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if os.path.isdir(source + path):
                shutil.copytree(source + path, place, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source + path, place, follow_symlinks=False)

    def entries(self, snapshot, paths):
        out = {}
        for path in paths:
            place = self.trees[snapshot] + path
            if os.path.lexists(place):
                st = os.lstat(place)
                kind = "symlink" if stat.S_ISLNK(st.st_mode) else "dir" if stat.S_ISDIR(st.st_mode) else "file"
                ctime = datetime.datetime.fromtimestamp(self.changed.get(path, 0), datetime.timezone.utc).isoformat()
                out[path] = {"type": kind, "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid, "ctime": ctime}
        return out

    def stream(self, snapshot, path):
        return _source.Passing(lambda out: self.write(snapshot, path, out))


def _digest(data):
    return hashlib.sha256(data).hexdigest()


class Server:
    """A throw-away server that takes SQL-like lines: TABLE name rows."""

    def __init__(self, _place, machine_id=""):
        self.held = {}

    def load(self, name, stream, taken=None):
        data = stream.read()
        if not data.endswith(b"-- done\n"):
            raise IntactError("%s: the dump is truncated" % name)
        self.held[name] = items(name, data)
        return []

    def section(self, name):
        return self.held[name]

    def drop(self, name):
        self.held.pop(name, None)

    def close(self):
        self.held = {}


def items(name, data):
    """Items of a database as its dump has them."""
    rows = [line.split() for line in data.decode().splitlines() if line.startswith("TABLE")]
    out = {"%s.%s" % (name, table): {"kind": "table", "database": name.partition(":")[2], "rows": int(count)} for _word, table, count in rows}
    return dict(out, **{name: {"kind": "database"}})
