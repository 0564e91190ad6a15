# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restic made of memory: what a snapshot would list, and how a check would answer."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}


class FakeRestic:
    """Keeps what a snapshot would list. during: called while a backup reads. lose: names that the snapshot lacks."""

    def __init__(self, name, kind="ok", during=None, lose=()):
        self.name, self.kind, self.during, self.lose, self.taken, self.calls = name, kind, during, lose, {}, []
        self.repository, self.newest = {"name": name, "url": "sftp:backup@%s.example.com:/web1" % name}, []

    def unlock_stale(self):
        return [], []

    def snapshots(self, tags=(), host=""):
        return [{"time": moment} for moment in self.newest]

    def backup(self, paths, tags=(), host="", excludes=b"", parent="", progress=None):
        self.calls.append({"paths": list(paths), "tags": list(tags), "parent": parent, "excludes": excludes})
        if self.during:
            self.during(len(self.calls))
        if self.kind != "ok":
            return _outcome.Outcome(self.kind, 1, "Fatal: it said why")
        nodes = []
        for path in paths:
            nodes.append(node(path))
            for folder, folders, names in os.walk(path):
                nodes += [node(os.path.join(folder, name)) for name in folders + names if name not in self.lose]
        snapshot = "%s-%d" % (self.name, len(self.calls))
        self.taken[snapshot] = nodes
        return _outcome.Outcome("ok", 0, snapshot=snapshot, summary={"total_bytes_processed": 7})

    def ls(self, snapshot):
        return iter(self.taken[snapshot])


def node(path):
    st = os.lstat(path)
    return {"path": path, "type": KINDS[stat.S_IFMT(st.st_mode)], "size": st.st_size, "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid}
