# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class panel: the exports of the hosting panel's settings and users that panel_export put on this host; in use when there is one."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes

NAME = "panel"
DIRECTORY = "/var/lib/intact/panel"
EXPECTED = "files"


def in_use(system):
    """Whether anything was exported."""
    return bool(system.listdir(DIRECTORY))


def paths(system, options):
    """The directory of exports, and what the operator adds."""
    return _eyes.there(system, list(options.get("paths") or [DIRECTORY]) + list(options.get("more_paths") or []))


def excluded(options):
    """What the operator leaves out."""
    return list(options.get("exclude") or [])


def sections(system, options):
    """{files: the exports}."""
    return {"files": _eyes.tree(system, paths(system, options), options.get("rules", excluded(options)), options.get("cache"))}


def counts(sections):
    """Entries, files and bytes."""
    return _eyes.count_files(sections.get("files", {}))


def objects(sections):
    """{directory: files below it}."""
    return _eyes.files_below(sections.get("files", {}), depth=6)
