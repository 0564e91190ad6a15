# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Databases and accounts in a restore: loaded once, what the host had kept aside, and made again when a load was cut."""

from __future__ import annotations

import threading

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, _restore_plan, _snapshots
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class Streams:
    """backup: an _opened.Backup. engines: _live.Databases or the like. told: a _restore_told.Told. names: of the streams that the plan brings."""

    def __init__(self, backup, view, engines, journal, told, names, keep=(), say=lambda _line: None):
        self._backup, self._view, self.engines, self._journal = backup, view, engines, journal
        self._told, self._keep, self._say = told, list(keep), say
        self._loading = {name: threading.Lock() for name in names}

    def load(self, step, stream):
        """Load a stream of a step, unless it is there already."""
        # two sites may share a database
        with self._loading[stream["name"]]:
            self._load(step, stream)

    def _load(self, step, stream):
        name, label = stream["name"], "%s %s" % ("rights" if step["kind"] == "rights" else "database", stream["name"])
        if self._journal.has(label, "loaded") or _restore_plan.stays(name, self._keep):
            return
        if step["kind"] == "rights" and not self._journal.has("database " + name, "loaded"):
            return  # what was left in the step accounts is not overwritten here
        klass, entry = self._backup.streams()[name]
        manifest = self._backup.manifests[klass]
        state, differing = self.engines.state(name, manifest)
        # a load that was cut left something that may look whole: it is made again
        begun = self._journal.has(label, "aside")
        if state == "same" and not begun:
            self._journal.add(label, "loaded", same=True)
            return
        if step["kind"] != "rights" and not begun:
            differing = differing if state == "differs" else _restore_plan.late(self._backup, name, self._view)
            if differing and not self._told.accepted(step, name) and not all(self._told.accepted(step, what) for what in differing):
                self._told.newer(step, differing)
                return
        held = _snapshots.stream_snapshot(self._backup.runs[klass], entry)
        if held is None:
            raise IntactError("the dump of %s is not in %s" % (name, self._backup.source.name))
        self._say(label)
        if step["kind"] != "rights":
            # also what a cut load left: nobody knows who wrote to it since
            self.engines.put_aside(name, manifest)
        if not begun:
            self._journal.add(label, "aside")
        passing, failed, refused = self._backup.source.stream(held[1], held[0]), None, []
        try:
            refused = self.engines.load(name, passing.stdout)
        except IntactError as exc:
            failed = exc
        finally:
            passing.finish()
        wrong = passing.wrong(entry)
        if failed and not passing.error:
            raise failed
        if wrong:
            raise IntactError("%s: %s: %s" % (name, wrong[1], wrong[2]))
        # what a right is given on may come later: the step rights tells what then is refused
        for sentence in refused if step["kind"] != "accounts" else ():
            self._told.find("restore.database.partly", step["name"], name, "the server refused a part of the dump", sentence, "warning")
        self._journal.add(label, "loaded")

    def files(self):
        """Database files that the stream replaced, because the one that came with its directory was not whole: their rows are compared, not their bytes."""
        out = set()
        for name in self._backup.streams():
            event = self._journal.last("database " + name, "loaded")
            if event and not event.get("same") and _live.is_file(name):
                path = name.partition(":")[2]
                # its log was put aside with the old file
                out.update([path] + [path + ending for ending in _live.BESIDE])
        return out
