# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a run tells of itself while it works: one small document, replaced at most every two seconds, with how much is done and when it will be."""

from __future__ import annotations

import os
import time

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

EVERY = 2.0
KEPT = 60


class Progress:
    """runs/<run>.json: {schema, run, host, classes, began, ended, pid, status, class, stage, repository, bytes, bytes_total, files,
    files_total, eta, done, findings}."""

    def __init__(self, directory, document, clock=time.monotonic):
        self.path = os.path.join(directory, document["run"] + ".json")
        self.document, self._clock = document, clock
        self._written = None

    def stage(self, klass, stage, repository=""):
        """A new step of a class begins: written at once."""
        self.document.update(stage=stage, repository=repository, bytes=0, bytes_total=0, files=0, files_total=0, eta=None, **{"class": klass})
        self.write()

    def moved(self, told):
        """How far the step is ({bytes, bytes_total, files, files_total, eta}); written when the last time is long enough ago."""
        self.document.update(told)
        if self._written is None or self._clock() - self._written >= EVERY:
            self.write()

    def done(self, klass, repository, entry):
        """One class is through in one repository."""
        self.document["done"].setdefault(klass, {})[repository] = entry
        self.write()

    def write(self, **more):
        """Replace the document."""
        self.document.update(more)
        self._written = self._clock()
        self.document["updated"] = _flight.now()
        write_document(self.path, self.document)


def start(directory, run, host, classes, clock=time.monotonic):
    """A new run's progress."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    document = {"schema": 1, "run": run, "host": host, "classes": list(classes), "began": _flight.now(), "ended": "", "pid": os.getpid()}
    document.update(status="running", stage="", repository="", bytes=0, bytes_total=0, files=0, files_total=0, eta=None, done={}, findings=[])
    document["class"] = ""
    progress = Progress(directory, document, clock)
    progress.write()
    return progress


def runs(directory):
    """The documents of all runs that are kept, the oldest first."""
    out = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        if name.endswith(".json"):
            try:
                out.append(read_document(os.path.join(directory, name)))
            except (OSError, ValueError):
                continue  # cut while it was first written: it says nothing
    return sorted(out, key=lambda document: document.get("began", ""))


def cut(directory):
    """The newest run, when it was killed in the middle: {run, classes, done}; else None. To be asked with the lock held, so that none can be working."""
    known = runs(directory)
    return known[-1] if known and known[-1].get("status") == "running" else None


def tidy(directory, keep=KEPT):
    """Forget the oldest runs."""
    for document in runs(directory)[:-keep]:
        os.unlink(os.path.join(directory, document["run"] + ".json"))


def read(directory, run):
    """One run's document, or IntactError."""
    try:
        return read_document(os.path.join(directory, os.path.basename(run) + ".json"))
    except (OSError, ValueError) as exc:
        raise IntactError("there is no run %s on this host: %s" % (run, exc)) from exc
