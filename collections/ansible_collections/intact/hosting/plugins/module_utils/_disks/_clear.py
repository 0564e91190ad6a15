# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Take away whatever is left of an attachment, found by what is mounted, looped, mapped and running, whoever was killed when."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _hold, _mounts, _overlay, _overlay_dm, _replay
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def sources(state):
    """{loop device: backing} and {mapped name: dm-N} of an attachment."""
    inside = state.directory + "/"
    loops = {loop: below for loop, below in _block.loops().items() if below.startswith(inside)}
    return loops, _overlay_dm.names("intact-" + state.id)


def is_ours(entry, state, loops, mapped):
    """Whether a mount is of this attachment: by its source, or remembered and of the same source still."""
    source = entry["source"]
    if source in loops or source.rpartition("/")[2] in mapped or source.rpartition("/")[2] in mapped.values():
        return True
    if not entry["fstype"].startswith("fuse"):
        return False
    target = _mounts.path_of(entry)
    return any(held["target"] == target and held["type"] == "fuse" for held in state.document.get("mounts") or ())


def mounts(state):
    """Mounts of an attachment outside its directory, in mount order."""
    loops, mapped = sources(state)
    return [e for e in _mounts.table() if is_ours(e, state, loops, mapped) and not _mounts.below(_mounts.path_of(e), state.directory)]


def leftovers(state):
    """Everything that is there of an attachment, in words; [] when nothing is."""
    loops, mapped = sources(state)
    out = ["mount %s" % _mounts.path_of(e) for e in _mounts.table() if is_ours(e, state, loops, mapped) or _mounts.below(_mounts.path_of(e), state.directory)]
    out += ["loop device %s" % loop for loop in loops] + ["mapped device %s" % name for name in mapped]
    out += ["process %s (%d)" % (name, pid) for pid, name in _hold.processes(state.directory).items()]
    return out + (["directory %s" % state.directory] if state.exists() else [])


def unwatched(_name):
    """The step of who does not want to know."""


def clear(state, step=unwatched):
    """Take everything away but state.json and what it remembers of read-only switches. Idempotent; an IntactError names what holds it up."""
    _clear_mounts(state)
    step("unmounted")
    loops, mapped = sources(state)
    own = "intact-" + state.id
    for loop in loops:
        _replay.forget(loop)
    for name in sorted((n for n in mapped if n != own), key=lambda n: -int(mapped[n][3:])):
        _overlay_dm.remove(name)
    for loop, below in loops.items():
        if below.startswith(state.view):
            _block.unloop(loop)
    step("unlooped")
    _overlay.Overlay.stop(_overlay_dm.Snapshot(state))
    if own in mapped:
        _overlay_dm.remove(own)
    step("view gone")
    for loop in sources(state)[0]:
        _block.unloop(loop)
    for directory in state.document.get("made") or ():
        try:
            os.rmdir(directory)
        except OSError:
            continue
    for entry in sorted(os.listdir(state.directory)) if state.exists() else ():
        path = os.path.join(state.directory, entry)
        if entry != "state.json" and not os.path.isdir(path):
            os.unlink(path)
    _hold.unquiet(state)
    step("cleared")
    left = [what for what in leftovers(state) if not what.startswith("directory ")]
    if left:
        raise IntactError("%s is still there: run state absent again" % ", ".join(left), left=left)


def _clear_mounts(state):
    """Our mounts in reverse order, and inside the directory those that were only for a look."""
    for _again in range(16):
        loops, mapped = sources(state)
        found = [e for e in _mounts.table() if is_ours(e, state, loops, mapped)]
        inner = [e for e in found if not e["fstype"].startswith("fuse") or not _mounts.below(_mounts.path_of(e), state.directory)]
        # The view of a block device is a bind mount of its node and the nbd overlay's own space: both go with the overlay.
        inner = [e for e in inner if _mounts.path_of(e) not in (state.view, os.path.join(state.directory, "space"))]
        if not inner:
            return
        for entry in reversed(inner):
            _mounts.unmount(_mounts.path_of(entry))
    raise IntactError("mounts of %s come back as fast as they are taken away: who makes them?" % state.directory)
