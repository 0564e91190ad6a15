# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Panels that export one archive for each account: what the archives tell together, beside the server's own settings."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _verify


def together(names, look):
    """(objects, findings) of several archives. look(name) -> (objects, findings) of one."""
    seen, found = {}, []
    for name in names:
        objects, findings = look(name)
        found += findings
        for kind, entries in objects.items():
            seen.setdefault(kind, {}).update(entries)
    return seen, found


def server(opened, panel, name, settings):
    """(objects of kind setting, findings) of the archive with the server's own files. settings({path: bytes}): what a driver reads in them."""
    contents = opened.contents(name, keep=lambda _path, _size: True, enter=lambda _path: False)
    return settings({"/" + path: data for path, data in contents.kept.items()}), _verify.broken(contents, panel, name)


def alone(panel, found, host, objects):
    """The inventory document of archives without any other word for them: a database that somebody has rights on is one."""
    for user in objects.get("database_user", {}).values():
        for name in user["databases"]:
            objects.setdefault("database", {}).setdefault(name, {"owner": user["owner"]})
    return _inventory.make(panel, found.get("version", ""), host, {"kind": "command", "of": "the panel's own backup"}, objects)
