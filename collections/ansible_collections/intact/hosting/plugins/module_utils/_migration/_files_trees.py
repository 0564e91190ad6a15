# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which trees of an old disk are brought: homes, what virtual hosts serve, mail stores, /srv; none twice, none of the system's own."""

from __future__ import annotations

import posixpath

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _plan_vhosts

ALWAYS = (
    "/home",
    "/var/www",
    "/srv",
    "/var/vmail",
    "/var/spool/vmail",
    "/var/lib/vmail",
    "/var/qmail/mailnames",
    "/usr/local/apache/htdocs",
    "/var/spool/imap",
)
# A home or a root of a site that is one of these, or above or below of them, is the system's: to copy it would overwrite the new one.
SYSTEM = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/cache",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/log",
    "/var/run",
)
SYSTEM += (
    "/var/lib/mysql",
    "/var/lib/pgsql",
    "/var/lib/postgresql",
    "/var/lib/mailman",
    "/var/mail",
    "/var/spool",
    "/var/named",
    "/nonexistent",
    "/lost+found",
    "/root",
)
ALONE = ("/", "/var", "/var/lib", "/opt", "/mnt", "/media", "/tmp", "/var/tmp", "/usr/local")
NO_MORE = ("/usr/share", "/usr/lib", "/var/lib")
PEOPLE_FROM = 500


def trees(context, hosts=None):
    """[{from, to}] by path: the setting `trees`, else what the old system has. hosts: its virtual hosts, read when None.

    Raises IntactError for a setting that is none.
    """
    wanted = context.settings.get("trees")
    if wanted:
        return [_checked(tree) for tree in wanted]
    found = [path for path in ALWAYS if _has(context.old, path)]
    for host in _plan_vhosts.vhosts(context.old) if hosts is None else hosts:
        found += [posixpath.normpath(root) for root in host["roots"] if root.startswith("/")]
    found += homes(context)
    return [{"from": path, "to": path} for path in outermost(path for path in found if brought(path) and _has(context.old, path))]


def homes(context):
    """Homes of people, of the old passwd."""
    out = []
    for line in context.old.text("/etc/passwd").splitlines():
        parts = line.split(":")
        if len(parts) > 5 and parts[2].isdigit() and int(parts[2]) >= PEOPLE_FROM and parts[5].startswith("/"):
            out.append(posixpath.normpath(parts[5]))
    return out


def brought(path):
    """Whether a directory may be copied over the same of a living system."""
    if path in ALWAYS:
        return True
    if path in ALONE or path.startswith(NO_MORE):
        return False
    return not any(path == own or path.startswith(own + "/") or own.startswith(path + "/") for own in SYSTEM)


def outermost(paths):
    """Sorted paths without those that lie in another one."""
    out = []
    for path in sorted(set(paths)):
        if not any(path.startswith(known.rstrip("/") + "/") for known in out):
            out.append(path)
    return out


def _has(old, path):
    """Whether there is a directory with something in it, at its real place on the old disk."""
    try:
        return bool(old.listdir(path))
    except OSError:
        return True  # it is there and can't be read: that has to be told, not passed over


def _checked(tree):
    unknown = sorted(set(tree) - {"from", "to", "exclude"})
    if unknown or not str(tree.get("from") or "").startswith("/"):
        raise IntactError("the tree %s of site_migration_trees is none: it names from and to, absolute directories, and may name exclude (patterns)" % tree)
    out = {"from": posixpath.normpath(tree["from"]), "to": posixpath.normpath(tree.get("to") or tree["from"])}
    if not out["to"].startswith("/") or out["to"] == "/" or out["from"] == "/":
        raise IntactError("the tree %s of site_migration_trees: / is brought by nothing, name directories" % tree)
    if tree.get("exclude"):
        out["exclude"] = list(tree["exclude"])
    return out
