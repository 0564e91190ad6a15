# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the modules that read repositories back have in common: how a repository is named, and how it is opened."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _job, _live, _opened, _restic, _restore_plan, _restore_steps, _source
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

REPOSITORY = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    # a path, not a password
    "password_file": {"type": "path", "required": True, "no_log": False},
    "environment_file": {"type": "path", "default": ""},
    "ca_file": {"type": "path", "default": ""},
    "identity_file": {"type": "path", "default": ""},
    "known_hosts_file": {"type": "path", "default": ""},
    "append_only": {"type": "bool", "default": True},
    "options": {"type": "list", "elements": "str", "default": []},
}
SPEC = {
    "host": {"type": "str", "required": True},
    "program": {"type": "path", "default": "restic"},
    "cache_dir": {"type": "path", "default": _restic.CACHE},
}
SITE = {
    "name": {"type": "str", "required": True},
    "paths": {"type": "list", "elements": "str", "default": []},
    "databases": {"type": "list", "elements": "str", "default": []},
}
SELECT = {key: {"type": "list", "elements": "str", "default": []} for key in ("sites", "paths", "mailboxes", "databases", "classes")}
RESTORE = dict(
    SPEC,
    repository={"type": "dict", "required": True, "options": REPOSITORY},
    run={"type": "str", "default": ""},
    sites={"type": "list", "elements": "dict", "default": [], "options": SITE},
    select={"type": "dict", "default": {}, "options": SELECT},
    system_paths={"type": "list", "elements": "str", "default": list(_restore_steps.SYSTEM_PATHS)},
    accept={"type": "list", "elements": "str", "default": []},
    keep={"type": "list", "elements": "str", "default": []},
    release_paths={"type": "list", "elements": "dict", "default": []},
    mysql_defaults_file={"type": "path"},
)


def source(entry, params):
    """A _source.Source for an entry like REPOSITORY. Raises IntactError that names the key."""
    filled = _job.fill({key: value for key, value in entry.items() if value is not None}, _job.REPOSITORY, "repository %s" % entry.get("name"))
    if not _job.NAME.match(filled["name"]):
        raise IntactError("repository %r: a name is of a-z 0-9 _ -, at most 40" % filled["name"])
    return _source.Source(_restic.Restic(filled, params["program"], cache=params["cache_dir"]))


def opened(params):
    """(the backup that RESTORE's parameters name, opened, this host's System)."""
    view = System({"mysql_defaults_file": params["mysql_defaults_file"]})
    backup = _opened.Backup(source(params["repository"], params), params["host"], params["run"])
    backup.release(view, params["release_paths"])
    return backup, view


def plan(name, backup, view, params):
    """(plan, findings) by RESTORE's parameters."""
    wanted = (params["sites"], params["select"], params["system_paths"], params["accept"], params["keep"])
    return _restore_plan.plan(name, backup, view, *wanted, databases=_live.Databases(view, ""))
