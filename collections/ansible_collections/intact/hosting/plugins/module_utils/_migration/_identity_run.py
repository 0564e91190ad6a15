# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What identity_map_info does: read both sides and the owners, build the map, write it. Returns only what may be shown."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity, _identity_files, _identity_owners
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SHOWN = ("users", "groups", "uids", "gids", "orphans", "conflicts", "weak", "counts", "findings")


def run(params, check=False):
    """The module's result for its parameters. Raises IntactError that names the side that can't be read."""
    old = _read(Rooted(os.path.realpath(params["root"])), "the old root %s" % params["root"], _identity_files.read)
    target = params["target"]
    system = System() if os.path.realpath(target) == "/" else Rooted(os.path.realpath(target))
    new = _read(system, "this host" if target == "/" else target, _identity.read_new)
    dest = params["dest"]
    if dest and not os.path.isdir(os.path.dirname(os.path.abspath(dest))):
        raise IntactError("the directory of %s is not there: make it (0700), or take the migration's own" % dest, path=dest)
    earlier = _identity.earlier(dest) if dest else {}
    if earlier and earlier["range"] != list(params["range"]):
        said = "%s has the range %d-%d, and its numbers may own files by now: keep it, or put the map aside before anything is copied"
        raise IntactError(said % (dest, *earlier["range"]), path=dest)
    document = _identity.build(old, new, owners(params), earlier, _options(params))
    result = {key: document[key] for key in SHOWN}
    if dest:
        result.update(path=dest, written=_identity.differs(dest, document) if check else _identity.write(dest, document))
    return result


def owners(params):
    """Counts by number: those given, with what a walk of the trees found."""
    given = {}
    for kind in ("users", "groups"):
        try:
            given[kind] = {int(number): int(count) for number, count in (params["owners"].get(kind) or {}).items()}
        except (AttributeError, TypeError, ValueError) as exc:
            raise IntactError("owners has %s that are no numbers with counts: {%s: {1234: 17}} is meant" % (kind, kind)) from exc
    if params["trees"]:
        found = _identity_owners.count(os.path.realpath(params["root"]), params["trees"])
        if found["unread"]:
            raise IntactError("%d places of the trees can't be read, so their owners are unknown: %s" % (len(found["unread"]), "; ".join(found["unread"][:5])))
        for kind in ("users", "groups"):
            for number, count in found[kind].items():
                given[kind][number] = given[kind].get(number, 0) + count
    return given


def _options(params):
    if len(params["range"]) != 2:
        raise IntactError("range is a first and a last number, like [200000, 299999]")
    options = {key: params[key] for key in ("rename", "services", "powers")}
    for key, pairs in options.items():
        options[key] = {_name(old): _name(new) for old, new in pairs.items()}
    return dict(options, same=[_name(n) for n in params["same"]], carry=[_name(n) for n in params["carry"]], range=tuple(params["range"]))


def _name(text):
    """A name as the account files have it; the operator writes it as results show it (see _files.escape)."""
    return os.fsdecode(unescape(str(text)))


def _read(system, what, read):
    try:
        side = read(system)
    except PermissionError as exc:
        raise IntactError("the accounts of %s can't be read (%s): run as root" % (what, exc.strerror)) from exc
    if "root" not in side["users"]:
        raise IntactError("%s has no /etc/passwd with root in it: is it mounted, and is it a root?" % what)
    if not any(user["shadowed"] for user in side["users"].values()) and all(user["hash"] == "!" for user in side["users"].values()):
        raise IntactError(
            "%s has no password for anybody, as its /etc/shadow is missing or empty: every account would be locked; look at the disk first" % what
        )
    return side
