# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""All post-flight checks that a comparison of two baselines does not answer."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._postflight import databases, journal, mail, packages, release

CHECKS = (
    Check("QF01", "the target release is reached", release.target_reached),
    Check("QF02", "the newest kernel is running", release.kernel),
    Check("QF03", "the package database is clean", packages.database_clean),
    Check("QF04", "every package is the target's", packages.all_from_target),
    Check("QF14", "a message is delivered", mail.delivery),
    Check("QF19", "MariaDB is up and upgraded", databases.mariadb_upgraded),
    Check("QF19", "PostgreSQL's clusters are online", databases.postgresql_clusters),
    Check("QF32", "conffile residue is decided", packages.conffile_residue),
    Check("QF35", "the sources are the target's", release.sources_committed),
    Check("QF38", "no new kinds of errors in the journal", journal.new_errors),
)
