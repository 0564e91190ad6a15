# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The classes of a backup, in the order in which they are backed up: what a restore needs first and what is small comes first.

A class is a module with NAME, EXPECTED (the count that must not be zero), in_use(system), paths(system, options), excluded(options),
sections(system, options), counts(sections), objects(sections), and where it has them: prepare(system, write) before the look,
refine(system, options), taken(system, options) (what the class files leaves to it), dumps(system, options) (its streams),
judged(system, options) (findings about what it would back up).
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import databases, files, lists, mail, panel, system

CLASSES = {module.NAME: module for module in (system, panel, databases, lists, mail, files)}
