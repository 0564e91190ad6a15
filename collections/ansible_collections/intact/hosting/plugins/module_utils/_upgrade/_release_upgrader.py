# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Ubuntu's engine: Debian's, with what differs. Why not do-release-upgrade: docs/engines.md."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _debian


class Ubuntu(_debian.Debian):
    """See Debian.

    do-release-upgrade -f DistUpgradeViewNonInteractive is not called: it answers yes to every removal and only logs errors, has no download or
    simulation to stop after, disables third parties' sources for good, and its hang guard kills (facts 2.7).
    """

    def _sources(self):
        """Phased updates are for running releases: a host that gets only a share of them would get a mixture of two releases."""
        return super()._sources() + ["APT::Get::Always-Include-Phased-Updates=true"]
