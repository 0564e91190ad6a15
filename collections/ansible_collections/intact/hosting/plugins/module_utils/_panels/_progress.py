# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What an export tells while it works: ROOT/<panel>/.progress.json (0600), and lines for the journal. A panel may be silent for hours: bytes go on counting."""

from __future__ import annotations

import contextlib
import os
import threading

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _progress
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export

NAME = ".progress"
EVERY = 5.0
KEPT = 20
# of one line, which a panel's program may make as long as it likes
LONGEST = 300
# an estimate is enough: a panel's working directory may hold a whole home
COUNTED = 5000


class Progress:
    """A context, and say(line) for drivers. work: an _export.Work. tell: who listens to each line, such as the journal.

    lines: the last of them. The document: {schema, run, panel, export, mode, began, ended, pid, status, stage, lines, bytes, updated, verdict}.
    """

    def __init__(self, work, tell=None, every=EVERY):
        self.lines, self._work, self._tell, self._every = [], work, tell, every
        document = {"schema": 1, "run": NAME, "panel": work.panel, "export": work.ident, "mode": work.mode, "began": _flight.now(), "ended": ""}
        document.update(pid=os.getpid(), status="running", stage="", lines=[], bytes=0, verdict="")
        self._document = _progress.Progress(os.path.dirname(work.path), document)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __call__(self, line):
        """A line of a driver's or of a panel's."""
        line = escape(_export.redacted([line])[0])[:LONGEST]
        self.lines.append(line)
        del self.lines[:-KEPT]
        self._keep(lines=list(self.lines))
        if self._tell:
            self._tell("%s: %s" % (self._work.panel, line))

    def stage(self, name):
        """A new part of the work begins."""
        self._keep(at_once=True, stage=name)
        self(name)

    def _keep(self, at_once=False, **more):
        # whoever looks is helped by it; the export does not depend on it
        with self._lock, contextlib.suppress(OSError):
            if at_once:
                self._document.write(**more)
            else:
                self._document.moved(more)

    def _look(self):
        while not self._over.wait(self._every):
            self._keep(at_once=True, bytes=size(self._work.path))

    def __enter__(self):
        self._keep(at_once=True)
        self._watch.start()
        return self

    def __exit__(self, *_exc):
        self._over.set()
        self._watch.join()
        if self._document.document["status"] == "running":
            self._keep(at_once=True, status="failed", ended=_flight.now())

    def end(self, verdict):
        """What came of it."""
        self._keep(at_once=True, status="ended", ended=_flight.now(), stage="", verdict=verdict)


def size(directory):
    """About how many bytes lie below a directory, which changes meanwhile."""
    total, left, waiting = 0, COUNTED, [directory]
    while waiting and left > 0:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # it went
    return total


def running(panel, root=_export.ROOT):
    """The document of an export that is under way, else None; one that was killed is not."""
    try:
        document = read_document(os.path.join(root, panel, NAME + ".json"))
    except (OSError, ValueError):
        return None
    alive = document.get("status") == "running" and os.path.isdir(os.path.join(root, panel, ".%s.part" % document.get("export")))
    return document if alive and os.path.exists("/proc/%d" % document["pid"]) else None
