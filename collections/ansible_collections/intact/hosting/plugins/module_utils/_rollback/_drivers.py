# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The drivers. One is a module with NAME, FILLS (whether it must be watched) and

decide(place, flight, settings) -> facts       what is remembered before anything is made, exact names in it; IntactError when it can't be
check(place, settings) -> [Finding]            before take-off (PF35)
take(place, facts)                             make it: all or nothing; run again after a cut it decides by what is there
state(place, facts) -> {whole, why, back, percent, room}
drop(place, facts) -> sentence                 remove what this flight made, and nothing else
opened(place, facts)                           context: the snapshot's tree, writable, or None where it can't be reached
prepare(place, facts, tree)                    what must be laid ready before the one step
boot_back(place, facts)                        the one step: before it the new system boots, after it the old one
settle(place, facts, patience) -> ([sentence] or None, progress)
                                               in the old system: wait so many seconds, put the rest back; None: still under way
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import btrfs, hook, lvm, restore

DRIVERS = {driver.NAME: driver for driver in (lvm, btrfs, hook, restore)}
OFF = ("", "none")
SETTINGS = ("driver", "automatic", "exclude", "sizes", "trees", "hook", "boot_follows_default")
# What may hold an operator's words stays in the job and out of the journal.
PRIVATE = ("hook",)


def off(settings):
    """Whether no rollback was decided."""
    return str((settings or {}).get("driver") or "") in OFF


def of(name):
    """The driver of this name, or IntactError."""
    if name not in DRIVERS:
        raise IntactError("there is no rollback driver %r; there are %s and none" % (name, ", ".join(DRIVERS)))
    return DRIVERS[name]


def public(facts):
    """The facts as they are remembered."""
    return {key: value for key, value in facts.items() if key not in PRIVATE}


def complete(facts, settings):
    """Remembered facts as the driver needs them."""
    return dict({key: settings[key] for key in PRIVATE if settings.get(key)}, **facts)
