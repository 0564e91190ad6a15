# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from one release to another, as a filter."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade._hops import paths_between


def release_hops(paths, source, target):
    """Names of the release paths that lead from a release {id, version} to a version of it, in their order; [] when it is there already."""
    try:
        return [path["name"] for path in paths_between(paths, source, {"id": source["id"], "version": str(target)})]
    except (KeyError, TypeError) as exc:
        raise AnsibleFilterError("release_hops takes release paths, {id, version} and a version: %r is missing or wrong" % exc) from exc
    except IntactError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Name to function."""
        return {"release_hops": release_hops}
