# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Tell a snapshot what it is: the flight's evidence, a state that says rolled back, what was saved; and no unit that would start the upgrade again."""

from __future__ import annotations

import json
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _state

UNITS = "/etc/systemd/system"
# The runner's, the rescue sshd's and the dead man's: none of them may work in the system that comes back.
OURS = ("intact-upgrade", "intact-rescue-ssh", "intact-rescue-door", "intact-dead-man")
ENDINGS = (".service", ".timer", ".socket")
KEPT = "/var/lib/intact/kept"
STATUS = "rolled-back"
LINKS = 40


def inside(tree, path):
    """Where a path of the host lies below a tree: links are followed within the tree only. Raises IntactError for one that goes round."""
    rest, done, seen = [p for p in path.split("/") if p][::-1], [], 0
    while rest:
        part = rest.pop()
        if part in (".", ".."):
            done = done[:-1] if part == ".." else done
            continue
        full = os.path.join(tree, *done, part)
        if os.path.islink(full):
            seen += 1
            if seen > LINKS:
                raise IntactError("%s goes round in links in the snapshot" % path)
            target = os.readlink(full)
            done = [] if target.startswith("/") else done
            rest += [p for p in target.split("/") if p][::-1]
        else:
            done.append(part)
    return os.path.join(tree, *done)


def tell(tree, flight, message, live=str):
    """Write all of it into the tree. live(path): where a path of the host lies now. May be repeated."""
    root, flights, kept = _state.ROOT, _flight.FLIGHTS, KEPT
    # First of all: from here on the old system can boot without harm.
    take_units_away(tree)
    there = inside(tree, flights)
    _copy(live(os.path.join(flights, flight)), os.path.join(there, flight))
    runner = inside(tree, _state.directory(flight, root))
    os.makedirs(runner, mode=0o700, exist_ok=True)
    state = json.loads(read_if_exists(os.path.join(runner, "state.json")) or b"{}") or _state.fresh(flight)
    state.update(_state.fresh(flight), memory=state.get("memory") or {}, status=STATUS, message=message, next="")
    # The journal tells the same when the state is lost: nothing of the flight is done.
    for name, fields in (
        ("runner.undone", {}),
        ("runner.rest", {"status": STATUS, "stage": "", "message": message, "next": ""}),
    ):
        _once(there, flight, name, fields)
    record = live(os.path.join(_state.directory(flight, root), "rollback.json"))
    if os.path.exists(record):
        write_atomic(os.path.join(runner, "rollback.json"), read_if_exists(record) or b"")
    saved = live(os.path.join(kept, flight))
    if os.path.isdir(saved):
        os.makedirs(inside(tree, kept), mode=0o700, exist_ok=True)
        _copy(saved, os.path.join(inside(tree, kept), flight))
    pointer = live(os.path.join(flights, _flight.CURRENT))
    if os.path.exists(pointer):
        write_atomic(os.path.join(there, _flight.CURRENT), read_if_exists(pointer) or b"")
    # The state is the last word: who finds it knows that everything before it is there.
    write_atomic(os.path.join(runner, "state.json"), json.dumps(state, sort_keys=True, indent=1).encode("utf-8", "backslashreplace"))
    os.sync()


def _once(flights, flight, name, fields):
    """Append an event unless it is the journal's word already."""
    events, _torn = _flight.read(flight, flights)
    if not any(e["event"] == name and all(e.get(k) == v for k, v in fields.items()) and e.get("rollback") for e in events):
        _flight.append(flight, name, root=flights, rollback=True, **fields)


def take_units_away(tree):
    """Remove our units and their links from a tree; the names that were there."""
    top, gone = inside(tree, UNITS), []
    if not os.path.isdir(top):
        return gone
    folders = [top] + [os.path.join(top, n) for n in sorted(os.listdir(top)) if n.endswith((".wants", ".requires")) and os.path.isdir(os.path.join(top, n))]
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            base, ending = os.path.splitext(name)
            path = os.path.join(folder, name)
            if base in OURS and ending in ENDINGS and not os.path.isdir(path):
                os.unlink(path)
                gone.append(name)
        fsync_directory(folder)
    return gone


def _copy(source, target):
    """A directory of plain files and directories, anew beside the old one, then in its place by a rename; closed to others."""
    half, aside = target + ".intact-new", target + ".intact-old"
    for path in (half, aside):
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    shutil.copytree(source, half, symlinks=True)
    os.chmod(half, 0o700)
    for folder, _folders, names in os.walk(half):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as handle:
                    os.fsync(handle.fileno())
    if os.path.lexists(target):
        os.rename(target, aside)
    os.rename(half, target)
    fsync_directory(os.path.dirname(target))
    shutil.rmtree(aside, ignore_errors=True)
