# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class files: customers' trees and the administrator's programs, content and metadata, without the mail stores, which the class mail has."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, _rules

NAME = "files"
# Customers' data and what the administrator put beside the packages. /etc and crontabs belong to the class system.
TREES = (
    "/home",
    "/srv",
    "/var/www",
    "/root",
    "/usr/local",
    "/opt",
    "/usr/lib/cgi-bin",
    "/var/lib/dokuwiki",
    "/var/lib/wordpress",
    "/var/lib/mediawiki",
    "/var/lib/roundcube",
    "/var/lib/nextcloud",
    "/var/lib/phpmyadmin",
    "/var/lib/dehydrated",
    "/var/lib/acme",
    "/var/lib/sieve",
    "/var/lib/bind",
)
EXPECTED = "files"


def in_use(system):
    """Every host has files."""
    return True


def paths(system, options):
    """Trees that are there, as restic is given them (bytes)."""
    return _eyes.there(system, list(options.get("paths") or TREES) + list(options.get("more_paths") or []))


def excluded(options):
    """What is left out and why. Option taken: [{path, class}], what other classes back up."""
    own = [
        {"patterns": [_rules.literal(entry["path"])], "reason": "the class %s has it" % entry["class"]}
        for entry in sorted(options.get("taken") or [], key=lambda entry: entry["path"])
    ]
    return list(_rules.EXCLUDED) + own + list(options.get("exclude") or [])


def sections(system, options):
    """{files: the walk of exactly what restic is given}. Option rules: excluded() and what is mounted inside."""
    return {"files": _eyes.tree(system, paths(system, options), options.get("rules", excluded(options)), options.get("cache"))}


def counts(sections):
    """Entries, files and bytes."""
    return _eyes.count_files(sections.get("files", {}))


def objects(sections):
    """{directory: files below it} of the first levels."""
    return _eyes.files_below(sections.get("files", {}))
