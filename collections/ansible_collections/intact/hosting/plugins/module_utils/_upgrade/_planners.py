# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who makes the plan of a release path: by its engine, the same shape from each."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _leapp_look, _look, _rpm_look

# By the same names as _runner.ENGINES.
LOOKS = {
    "debian": (_look, {}),
    "ubuntu": (_look, {}),
    "dnf": (_rpm_look, {"engine": "dnf"}),
    "zypper": (_rpm_look, {"engine": "zypper"}),
    "leapp": (_leapp_look, {}),
}


def look(path, root, **more):
    """(plan or None, [Finding]): see _look.look. Raises IntactError for a release path whose engine there is not."""
    name = path.get("engine") or path["target"]["id"]
    if name not in LOOKS:
        raise IntactError("release path %s: no engine for %s, there are: %s" % (path["name"], name, ", ".join(sorted(LOOKS))))
    module, own = LOOKS[name]
    return module.look(path, root, **dict(more, **own))
