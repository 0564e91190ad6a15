# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is the way back that the operator decided possible on this host (PF35)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _drivers
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place


def possible(context, place=None):
    """PF35: a way back was decided, and the host can take it: room, /boot, what would stay behind."""
    settings = context.options.get("rollback") or {}
    if settings.get("driver") == "none":
        return [Finding("rollback.declined", "info", "rollback", "it was decided that there is no way back past the point of no return")]
    if _drivers.off(settings):
        remedy = (
            "set intact_rollback (driver lvm, btrfs, hook or restore; none when that is what you want: past the point of no return there is only forward then)"
        )
        return [Finding("rollback.none", "warning", "rollback", "no way back was decided", remedy=remedy)]
    try:
        driver = _drivers.of(settings["driver"])
    except IntactError as exc:
        return [Finding("rollback.driver", "blocker", "rollback", "the way back can't be taken", str(exc), "correct intact_rollback's driver")]
    unknown = sorted(set(settings) - set(_drivers.SETTINGS))
    if unknown:
        said = "there are %s" % ", ".join(_drivers.SETTINGS)
        return [Finding("rollback.setting", "blocker", ", ".join(unknown), "intact_rollback has no such setting", said, "correct the name")]
    return driver.check(place or Place(context.host.run), dict(settings, plan=context.plan, proofs=context.proofs))
