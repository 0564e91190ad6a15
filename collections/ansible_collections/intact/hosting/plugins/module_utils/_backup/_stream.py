# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One producer, many repositories: a dump is read once, and becomes a snapshot in every repository or in none of those that it was torn for."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome

CHUNK = 1 << 20
# Chunks that wait for the slowest repository; the others are never further ahead of it than this.
AHEAD = 16
TAIL = 4096
# A repository that takes nothing for so long is left behind, so that it does not hold up a dump's transaction and the other repositories.
PATIENCE = 600.0


@dataclass
class Passed:
    """What went through. whole: the producer ended well and its end was there; why: what was wrong otherwise; outcomes: {repository: Outcome}."""

    whole: bool = False
    why: str = ""
    sha256: str = ""
    bytes: int = 0
    seconds: float = 0.0
    outcomes: dict = field(default_factory=dict)


class Lane(threading.Thread):
    """One repository's part: writes what it is given, and notices when its restic died or takes nothing more."""

    def __init__(self, name, stream):
        super().__init__(daemon=True)
        self.repository, self.stream, self.dead = name, stream, ""
        self.chunks = queue.Queue(AHEAD)

    def run(self):
        """Write until the mark of the end."""
        while True:
            chunk = self.chunks.get()
            if chunk is None:
                return
            if not self.dead:
                try:
                    self.stream.write(chunk)
                except (OSError, ValueError) as exc:
                    self.dead = self.dead or "restic ended while it was written to: %s" % exc

    def give(self, chunk, patience):
        """Hand over a chunk; False when this repository is out."""
        if self.dead:
            return False
        try:
            self.chunks.put(chunk, timeout=patience)
        except queue.Full:
            self.dead = "took nothing for %d s" % patience
            # Its thread hangs in a write; killing restic lets it go.
            threading.Thread(target=self.stream.call.stop, args=("gave-up",), daemon=True).start()
            return False
        return True


def tee(source, consumers, ended, progress=None, patience=PATIENCE, clock=time.monotonic):
    """Pass source on to consumers ({repository: Stream, or the error that kept it from starting}) and return a Passed.

    source: an open binary file. ended(tail, bytes) -> why the stream is not whole, or "": called once, at the source's end, before a consumer is told of it.
    A consumer that dies does not end the others. When the stream is not whole, or the caller is interrupted, every restic is killed with its input open.
    """
    began, digest, tail, count = clock(), hashlib.sha256(), b"", 0
    lanes = [Lane(name, stream) for name, stream in sorted(consumers.items()) if not isinstance(stream, Exception)]
    passed = Passed(outcomes={name: _failed(broken) for name, broken in consumers.items() if isinstance(broken, Exception)})
    for lane in lanes:
        lane.start()
    try:
        while any(not lane.dead for lane in lanes):
            chunk = source.read1(CHUNK) if hasattr(source, "read1") else os.read(source.fileno(), CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            count += len(chunk)
            tail = (tail + chunk)[-TAIL:]
            for lane in lanes:
                lane.give(chunk, patience)
            if progress:
                progress(count)
        else:
            chunk = b"unread"
        passed.why = "no repository took it to its end" if chunk else ended(tail, count)
    except BaseException as exc:
        passed.why = "interrupted (%s)" % type(exc).__name__
        _finish(lanes, passed, patience)
        raise
    passed.whole = not passed.why
    passed.sha256, passed.bytes = digest.hexdigest(), count
    _finish(lanes, passed, patience)
    passed.seconds = round(clock() - began, 3)
    return passed


def _failed(error):
    return error.outcome if isinstance(error, _outcome.ResticError) else _outcome.Outcome("failed", -1, str(error))


def _finish(lanes, passed, patience):
    """End all lanes at the same time: each uploads what it still has."""

    def end(lane):
        if not (passed.whole and lane.give(None, patience)):
            lane.stream.call.stop("aborted")
            # Its writes fail from here on, so it comes to the mark of the end; only then may its pipe be closed.
            lane.dead = lane.dead or "the stream is unwanted"
            lane.chunks.put(None)
        lane.join()
        if passed.whole and not lane.dead:
            passed.outcomes[lane.repository] = lane.stream.finish()
            return
        outcome = lane.stream.abort()
        if outcome.kind in ("ok", "partial") or (passed.whole and outcome.kind == "interrupted"):
            outcome.kind, outcome.said = "failed", (outcome.said + "\n" + lane.dead).strip()
        passed.outcomes[lane.repository] = outcome

    threads = [threading.Thread(target=end, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
