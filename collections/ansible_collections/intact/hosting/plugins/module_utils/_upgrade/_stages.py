# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The stages of an upgrade and what is known of them without looking at a host: order, share of the time, what may be undone. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# name: (share of the time in percent, does it change packages, what an operator reads)
STAGES = {
    "bind": (1, False, "check that host, plan and pre-flight result belong together"),
    "snapshot": (2, False, "keep the system as it is, to go back to"),
    "rescue-ssh": (1, False, "open a second way in"),
    "quiesce": (1, False, "keep other package managers and fragile services still"),
    "patch-source": (6, True, "bring today's release up to date"),
    "stage-sources": (2, False, "read the target release's package lists"),
    "download": (6, False, "download everything"),
    "simulate": (3, False, "simulate, and compare with the plan"),
    "point-of-no-return": (1, False, "record the point of no return"),
    "database-stop": (2, False, "shut databases down cleanly once, start them again"),
    "bootstrap": (6, True, "upgrade the package manager and sshd first"),
    "carry": (1, False, "carry configuration over to new paths"),
    "minimal": (20, True, "upgrade what needs nothing new"),
    "full": (32, True, "upgrade everything else"),
    "target-files": (3, False, "install the target's configuration, start what was kept still"),
    "database-upgrade": (3, False, "bring databases to the new version"),
    "commit-sources": (2, False, "make the target's sources the host's"),
    "residue": (1, False, "list what packages left beside changed configuration"),
    "autoremove": (4, True, "remove what nothing needs any more"),
    "reboot": (4, False, "start the new system"),
    "unquiesce": (1, False, "let timers run again"),
    "cleanup": (1, False, "remove the runner"),
}
ORDER = tuple(STAGES)
POINT_OF_NO_RETURN = "point-of-no-return"
STATUSES = ("running", "waiting-reboot", "done", "failed", "stopped", "rolled-back")
RESULTS = ("ok", "skipped")


def check(names):
    """The names once each and in the stages' order, or IntactError when one is no stage's."""
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise IntactError("no such stage: %s. The stages are: %s" % (", ".join(unknown), ", ".join(ORDER)))
    return [name for name in ORDER if name in names]


def changes_packages(stage):
    """Whether dpkg works in this stage, so that it needs a sound dpkg before it."""
    return STAGES[stage][1]


def following(stages):
    """The first stage that is not finished in {name: {status}}, or None when all are."""
    for name in ORDER:
        if (stages.get(name) or {}).get("status") not in RESULTS:
            return name
    return None


def passed(stages, name=POINT_OF_NO_RETURN):
    """Whether a stage is finished."""
    return (stages.get(name) or {}).get("status") in RESULTS


def percent(stages, fraction=0.0):
    """How far the whole is, 0 to 100. fraction: of the stage that is running, 0 to 1."""
    done = sum(share for name, (share, _changes, _text) in STAGES.items() if passed(stages, name))
    current = following(stages)
    if current:
        done += STAGES[current][0] * min(max(fraction, 0.0), 1.0)
    return round(100.0 * done / sum(share for share, _changes, _text in STAGES.values()), 1)


def after_failures(attempts, failed, limit=3):
    """Count a failure for each package; returns (attempts, packages that failed limit times). attempts: {package: times}."""
    counted = dict(attempts)
    for name in failed:
        counted[name] = counted.get(name, 0) + 1
    return counted, sorted(name for name in set(failed) if counted[name] >= limit)
