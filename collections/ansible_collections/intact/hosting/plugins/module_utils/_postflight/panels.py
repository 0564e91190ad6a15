# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Do control panels still know what they knew (QF41). Mailman's lists are a section of the baseline, and a site without a panel has no other inventory."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _registry

BY_THE_BASELINE = ("mailman", _registry.NONE)
REMEDY = "look at it in the panel; the panel's own repair first, then bring the object back from the export of before the flight (restore-panel.yml)"


def look(system, drivers=None):
    """{panel's name: its inventory as it may be shown, or {"error": why}} of the panels that are on this host."""
    out = {}
    for driver, found in _registry.detected(system) if drivers is None else drivers:
        if driver.NAME in BY_THE_BASELINE:
            continue
        try:
            out[driver.NAME] = _inventory.shown(driver.inventory(system, found))
        except IntactError as exc:
            out[driver.NAME] = {"error": str(exc)}
        except Exception as exc:  # one panel must not hide the others
            out[driver.NAME] = {"error": "%s: %s (a defect in this driver)" % (type(exc).__name__, exc)}
    return out


def compare(before, after):
    """Findings about panels that are gone, can't be asked, or know less. before, after: as of look(); before is None where nobody looked. Pure."""
    found = []
    for name in sorted(set(before or {}) | set(after)):
        was, now = (before or {}).get(name), after.get(name)
        if now is None:
            if "error" not in was:
                found.append(
                    _finding("missing", "blocker", name, "the panel is no longer there", "%d objects before" % _objects(was), "install it again, or restore it")
                )
        elif "error" in now:
            same = was is not None and "error" in was
            title = "the panel can't tell what it knows" + (", nor could it before" if same else "")
            remedy = "repair what is named: the panel's own service and database first"
            found.append(_finding("unanswered", "warning" if same else "blocker", name, title, now["error"], remedy))
        elif was is None or "error" in was:
            title = "whether the panel knows what it knew can't be told"
            evidence = "nobody looked before; now: %s" % _counted(now) if was is None else "before: " + was["error"]
            found.append(
                _finding(
                    "uncompared", "info" if before is not None and was is None else "warning", name, title, evidence, "compare with its newest export by hand"
                )
            )
        else:
            for finding in _inventory.compare(was, now):
                finding.check, finding.remedy = "QF41", REMEDY
                found.append(finding)
    return found


def _objects(inventory):
    return sum(_inventory.counts(inventory).values())


def _counted(inventory):
    return ", ".join("%d %s" % (number, kind) for kind, number in _inventory.counts(inventory).items()) or "nothing"


def _finding(name, severity, panel, title, evidence, remedy):
    return Finding(id="panel." + name, severity=severity, subject=panel, check="QF41", title=title, evidence=evidence, remedy=remedy)


def inventories(context):
    """QF41: every panel knows what it knew before the flight."""
    return compare(context.before.get("panels"), look(context.host))
