# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""All post-flight checks that a comparison of two baselines does not answer."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._postflight import (
    acme,
    boot,
    databases,
    denials,
    filters,
    journal,
    mail,
    packages,
    panels,
    release,
    stale,
    upkeep,
)

CHECKS = (
    Check("QF01", "the target release is reached", release.target_reached),
    Check("QF02", "the newest kernel is running", release.kernel),
    Check("QF03", "the package database is clean", packages.database_clean),
    Check("QF04", "every package is the target's", packages.all_from_target),
    Check("QF13", "certificates can be renewed", acme.renewal),
    Check("QF14", "a message is delivered", mail.delivery),
    Check("QF16", "mail filters answer", filters.filters),
    Check("QF16", "messages carry the marks of filters", filters.same_marks),  # after QF14, which fetched one
    Check("QF19", "MariaDB is up and upgraded", databases.mariadb_upgraded),
    Check("QF19", "PostgreSQL's clusters are online", databases.postgresql_clusters),
    Check("QF26", "nothing new is denied", denials.denials),
    Check("QF32", "conffile residue is decided", packages.conffile_residue),
    Check("QF34", "no process runs code that was replaced", stale.stale_processes),
    Check("QF34", "nothing asks for a reboot", stale.reboot_asked),
    Check("QF35", "the sources are the target's", release.sources_committed),
    Check("QF36", "the newest kernel's initramfs is whole", boot.initramfs),
    Check("QF36", "the boot loader starts the newest kernel", boot.loader),
    Check("QF36", "EFI partitions hold the same boot loader", boot.efi),
    Check("QF36", "boot sectors are on every disk", boot.sectors),
    Check("QF38", "no new kinds of errors in the journal", journal.new_errors),
    Check("QF40", "backups are started and start", upkeep.backups),
    Check("QF40", "monitoring agents run", upkeep.monitoring),
    Check("QF41", "control panels know what they knew", panels.inventories),
)
