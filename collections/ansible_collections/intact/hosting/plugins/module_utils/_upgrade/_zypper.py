# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""zypper as engine: zypper dup to the target's repositories, from a cache of its own."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _rpm, _rpm_says

# zypper(8), exit codes: information only. 107 (a script failed) is told by the log, 106 (a repository was skipped) is a failure.
GOOD = (0, 100, 101, 102, 103, 107)


class Zypper(_rpm.Manager):
    """See Manager."""

    name = "zypper"
    directory = "/etc/zypp/repos.d"

    def __init__(self, root, target, run):
        super().__init__(root, target, run)
        self.facts = {}

    def _staged(self, *first):
        words = ["zypper"] + list(first) + ["--non-interactive", "--reposd-dir", self.repos, "--cache-dir", self.cache]
        return words + ["--pkg-cache-dir", os.path.join(self.cache, "packages"), "--releasever", self.target]

    def words(self, verb):
        """See Manager."""
        dup = ["--no-refresh", "dup", "--auto-agree-with-licenses"]
        return {
            "refresh": self._staged() + ["refresh", "--force"],
            "simulate": self._staged("-x") + dup + ["--dry-run", "--details"],
            "download": self._staged() + dup + ["--download-only"],
            "upgrade": self._staged() + dup,
            "patch": ["zypper", "--non-interactive", "update", "--auto-agree-with-licenses"],
            "look-patch": ["zypper", "-x", "--non-interactive", "update", "--auto-agree-with-licenses", "--dry-run", "--details"],
        }[verb]

    def transaction(self, verb, packages):
        """See Manager."""
        text = self.run(self.words(verb), timeout=1800, check=False).text
        out, self.facts = _rpm_says.zypper(text)
        return out

    def good(self, rc, log):
        """See Manager."""
        return rc in GOOD

    def sizes(self, entries):
        """zypper tells only sums, see facts of the last transaction."""
        return {}


class Engine(_rpm.Rpm):
    """See Rpm."""

    MANAGER = Zypper
