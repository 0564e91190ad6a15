# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The runner's part: take the snapshot as the first act, watch that it does not fill up, give it back when the flight ends before take-off."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _drivers
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

# The first stage that installs something.
FIRST_CHANGE = "patch-source"
KEY = "snapshot"
TOLD = "snapshot-told"
WARN = 80.0


def snapshot(host, job, place=None):
    """Stage `snapshot`: take what the operator decided; a sentence, "" when nothing was decided."""
    settings = job["settings"].get("rollback") or {}
    if _drivers.off(settings):
        return ""
    if _stages.passed(host.memory.state["stages"], FIRST_CHANGE):
        return "not taken: this flight has changed the host already, by a runner that knew no way back"
    place = place or Place(host.run)
    driver = _drivers.of(settings["driver"])
    known = host.memory.recall(KEY)
    if known and known.get("complete") and known["driver"] == settings["driver"]:
        state = driver.state(place, _drivers.complete(known, settings))
        if state["whole"]:
            return "snapshot %s is there" % known["name"]
    if known and (known["driver"] != settings["driver"] or known.get("undone")):
        # Decided otherwise since the cut, or of an attempt that ended: what was made goes first.
        give_back(host, job, place)
        known = None
    facts = driver.decide(place, job["flight"], dict(settings, plan=job["plan"], directory=host.directory)) if not known else _drivers.complete(known, settings)
    host.memory.remember(KEY, dict(_drivers.public(facts), complete=False))
    driver.take(place, facts)
    state = driver.state(place, facts)
    if not state["whole"]:
        raise IntactError("the snapshot was made, and can't be gone back to: %s" % state["why"])
    # A backup was taken before, if there is one; every other driver took its snapshot now.
    taken = facts["taken"] if driver.NAME == _drivers.restore.NAME else _flight.now()
    host.memory.remember(KEY, dict(_drivers.public(facts), complete=True, taken=taken))
    host.memory.journal(
        "decision",
        what="the way back: %s by %s" % (facts["name"], driver.NAME),
        who="operator",
        why="decided before take-off",
        rollback={"state": "taken", "automatic": bool(settings.get("automatic"))},
    )
    return "%s by %s" % (facts["name"], driver.NAME)


def watch(host, job, place=None):
    """A sentence when the snapshot is fuller than it was told, or can't be gone back to any more; "" else. Never raises: the upgrade goes on."""
    known = host.memory.recall(KEY)
    if not known or not known.get("complete") or not _drivers.of(known["driver"]).FILLS:
        return ""
    try:
        state = _drivers.of(known["driver"]).state(place or Place(host.run), _drivers.complete(known, job["settings"].get("rollback") or {}))
    except IntactError as exc:
        said, step = "the snapshot can't be looked at: %s" % exc, -1
    else:
        step = 100 if not state["whole"] else int(state["percent"] // 5 * 5) if state["percent"] >= WARN else 0
        said = "the snapshot %s can't be gone back to any more: %s" % (known["name"], state["why"])
        if state["whole"]:
            said = "the snapshot %s is %.0f %% full: extend it (lvextend) before it is lost" % (known["name"], state["percent"])
    if not step or host.memory.recall(TOLD) == step:
        return ""
    host.memory.remember(TOLD, step)
    host.memory.journal("note", text=said, about="snapshot")
    return said


def give_back(host, job, place=None):
    """Remove the snapshot of a flight that ended before the point of no return; a sentence. Raises IntactError, and remembers the name then."""
    known = host.memory.recall(KEY)
    if not known:
        return ""
    place, driver = place or Place(host.run), _drivers.of(known["driver"])
    facts = _drivers.complete(known, job["settings"].get("rollback") or {})
    if getattr(driver, "WAKES_INSIDE", False) and not known.get("complete") and not known.get("undone"):
        if driver.state(place, facts)["whole"]:
            raise IntactError("the snapshot %s was left alone: this may be the system that was set back to it" % known["name"])
    else:
        # No way back from here on: the host goes on, and what is written meanwhile is in no later look before the flight.
        host.memory.remember(KEY, dict(known, complete=False, undone=True))
    said = driver.drop(place, facts)
    host.memory.remember(KEY, None)
    return said
