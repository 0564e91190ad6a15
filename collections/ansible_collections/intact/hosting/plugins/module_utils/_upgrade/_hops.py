# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Several releases in one flight: what a hop left is put aside, and the next one begins with stages, plan and looks of its own."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _state

# What a hop's looks and verdicts are kept in, in the flight's directory.
DOCUMENTS = ("preflight.json", "plan.json", "postflight.json", "comparison.json", "residue.json")
DOCUMENTS += ("baseline-before.json.gz", "baseline-after.json.gz", "postflight-reference.json.gz")
STATE = "state.json"
# What is being put aside, as long as it is.
STOP = "stop"
MARK = "hop.json"


def paths_between(paths, source, target):
    """The release paths that lead from one release to another, in their order, the fewest; IntactError when none do. Pure.

    paths: release paths (dicts). source, target: {id, version}. A path that starts from 8 starts from 8.10 too.
    """
    start, end = ((release["id"], str(release["version"])) for release in (source, target))
    whole = (start[0], start[1].split(".")[0])
    starts = {(path["source"]["id"], str(path["source"]["version"])) for path in paths}
    start = whole if start not in starts and whole in starts and start != end else start
    ways, seen = [(start, [])], {start}
    while ways:
        place, way = ways.pop(0)
        if place == end:
            return way
        for path in paths:
            begin, following = ((path[side]["id"], str(path[side]["version"])) for side in ("source", "target"))
            if begin == place and following not in seen:
                seen.add(following)
                ways.append((following, [*way, path]))
    raise IntactError("no release paths lead from %s %s to %s %s" % (start + end))


def begin(flight, source, target, root=_state.ROOT, flights=_flight.FLIGHTS, check=False):
    """Begin the next hop of a flight; returns its number. Cut anywhere, it is called again.

    source, target: what the journal says of it, e.g. "Debian 12". Raises IntactError when the hop before is not done, or not found good by its post-flight.
    """
    if not check:
        finish(flight, root, flights)
    events, _torn = _flight.read(flight, flights)
    number = _flight.hops(events)
    last = next((e for e in reversed(events) if e["event"] == "flight.hop"), None)
    state = _state.load(flight, root, flights)
    if state is None and last is not None and (last.get("source"), last.get("target")) == (source, target):
        return number
    if state is None or state["status"] != "done":
        raise IntactError("hop %d of flight %s is %s: it must be done before the next one begins" % (number, flight, state["status"] if state else "not begun"))
    verdict = _verdict(_flight.directory(flight, flights), number)
    if not verdict.get("go"):
        raise IntactError("the post-flight of hop %d of flight %s does not say GO: the next hop would build on what it found" % (number, flight))
    place = _state.directory(flight, root)
    stop = os.path.join(place, STOP)
    if os.path.exists(stop):
        # asked for in the last stage of this hop, which had no next one to rest before
        if not check:
            os.unlink(stop)
        raise IntactError(
            "a stop was asked for during hop %d of flight %s, which is done: start the upgrade again, and hop %d begins" % (number, flight, number + 1)
        )
    if check:
        return number + 1
    write_document(os.path.join(place, MARK), {"number": number, "source": source, "target": target})
    return _put_aside(flight, root, flights)


def finish(flight, root=_state.ROOT, flights=_flight.FLIGHTS, check=False):
    """Put aside what a cut in begin() left, before anybody looks; returns the number of the hop that has begun, 0 when there was nothing to do."""
    mark = os.path.join(_state.directory(flight, root), MARK)
    if not os.path.exists(mark):
        return 0
    return read_document(mark)["number"] + 1 if check else _put_aside(flight, root, flights)


def _put_aside(flight, root, flights):
    here, place = _flight.directory(flight, flights), _state.directory(flight, root)
    mark = os.path.join(place, MARK)
    told = read_document(mark)
    number, words = told["number"], {key: told[key] for key in ("source", "target")}
    _aside(here, [name for name in DOCUMENTS if os.path.lexists(os.path.join(here, name))], number)
    names = [name for name in sorted(os.listdir(place)) if not name.startswith("hop-") and name not in (STATE, MARK)]
    # the state goes last: without it and with a hop in the journal the new one has begun
    _aside(place, [*names, STATE], number)
    if _flight.hops(_flight.read(flight, flights)[0]) == number:
        _flight.append(flight, "flight.hop", flights, number=number + 1, **words)
    os.unlink(mark)
    fsync_directory(place)
    return number + 1


def _verdict(here, number):
    for folder in (here, os.path.join(here, "hop-%d" % number)):
        path = os.path.join(folder, "postflight.json")
        if os.path.exists(path):
            try:
                return read_document(path)
            except ValueError as exc:
                raise IntactError("%s cannot be read (%s): run the post-flight again (playbooks/verify-host.yml)" % (path, exc)) from exc
    return {}


def _aside(folder, names, number):
    """Move entries of a directory to its hop-NUMBER; what was moved already stays."""
    to = os.path.join(folder, "hop-%d" % number)
    os.makedirs(to, mode=0o700, exist_ok=True)
    for name in names:
        if os.path.lexists(os.path.join(folder, name)):
            os.rename(os.path.join(folder, name), os.path.join(to, name))
    fsync_directory(to)
    fsync_directory(folder)
