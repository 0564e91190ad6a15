# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class panel: the exports of control panels that panel_export put on this host; in use when there is one, or a panel that should have one."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry, _state

NAME = "panel"
DIRECTORY = _export.ROOT
EXPECTED = "files"
# Mailman is the class lists; what is exported of it all the same is backed up and judged here.
LISTS = "mailman"


def _panels(system):
    """Names of panels that are there or were exported."""
    there = {driver.NAME for driver, _found in _registry.detected(system) if driver.NAME != LISTS}
    return sorted(there | {held.panel for held in _export.held(DIRECTORY, view=system)})


def in_use(system):
    """Whether anything was exported, or a panel is there."""
    return bool(system.listdir(DIRECTORY)) or bool(_panels(system))


def judged(system, options):
    """Findings: a panel whose newest proven export is too old, or that has none; a backup of it would be one of nothing."""
    now = datetime.datetime.now(datetime.timezone.utc)
    host_id = _state.host_of(system)[1]
    found = []
    for name in _panels(system):
        found += _state.stale(name, _export.held(DIRECTORY, name, system), now, float(options.get("max_export_hours", 30)), host_id)
    return found


def paths(system, options):
    """The directory of exports, and what the operator adds."""
    return _eyes.there(system, list(options.get("paths") or [DIRECTORY]) + list(options.get("more_paths") or []))


def excluded(options):
    """Exports that are being made and what is opened for a look, and what the operator leaves out."""
    own = {"patterns": [DIRECTORY + "/.*", DIRECTORY + "/*/.*"], "reason": "an export that is not finished, or opened for a look"}
    return [own] + list(options.get("exclude") or [])


def sections(system, options):
    """{files: the exports}."""
    return {"files": _eyes.tree(system, paths(system, options), options.get("rules", excluded(options)), options.get("cache"))}


def counts(sections):
    """Entries, files and bytes."""
    return _eyes.count_files(sections.get("files", {}))


def objects(sections):
    """{directory: files below it}."""
    return _eyes.files_below(sections.get("files", {}), depth=6)
