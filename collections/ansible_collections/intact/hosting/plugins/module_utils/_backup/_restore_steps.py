# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The steps of a restore in their order: who is who, settings, site by site all that a page needs, the rest, rights, and the jobs last. Pure.

A step is {name, kind, parts [{class, paths, from}], streams [{class, name}]}. Paths are escaped, as on this host; from: {path: its path in the backup}.
"""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _moves
from ansible_collections.intact.hosting.plugins.module_utils._backup._opened import ORDER, is_below, topmost
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Of the class system only this comes by itself: a newer release has its own /etc. More by site, or by system_paths.
SYSTEM_PATHS = ("/var/lib/intact/baseline.key", "/var/spool/cron/crontabs")
# What starts work by itself must not find a half restored host.
JOBS = ("/var/spool/cron", "/etc/crontab", "/etc/anacrontab", "/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly")
# Never by a wider path: accounts come by name in a step of their own, and a host keeps its own identity and disks.
OWN = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/machine-id", "/etc/fstab")
SELECTIONS = ("sites", "paths", "mailboxes", "databases", "classes")


def steps(backup, sites=(), select=None, system_paths=SYSTEM_PATHS):
    """The steps. sites: [{name, paths, databases}] in the operator's order. select: {one of SELECTIONS: [...]}, only these; empty is everything."""
    select = {key: list(value) for key, value in (select or {}).items() if value}
    unknown = set(select) - set(SELECTIONS)
    if unknown:
        raise IntactError("no such selection: %s" % ", ".join(sorted(unknown)))
    out = _selected(backup, sites, select, system_paths) if select else _everything(backup, sites, system_paths)
    _moved(backup, out)
    return [step for step in out if step["kind"] == "accounts" or step["parts"] or step["streams"]]


def is_account(name):
    """Whether a stream holds a server's accounts, and no database."""
    return ":" not in name


def _step(name, kind, parts=(), streams=()):
    return {"name": name, "kind": kind, "parts": list(parts), "streams": list(streams)}


def _everything(backup, sites, system_paths):
    known = backup.streams()
    logins = [{"class": known[name][0], "name": name} for name in sorted(known) if is_account(name)]
    first, last = _system(backup, system_paths)
    out = [_step("accounts", "accounts", streams=logins), _step("settings", "settings", first)]
    out += [_site(backup, site) for site in sites]
    held = {stream["name"] for step in out for stream in step["streams"]}
    out += [_class(backup, name, _done(out, name), held) for name in ORDER if name in backup.manifests and name != "system"]
    # once more: a right on a table can be given when the table is there
    return out + [_step("rights", "rights", streams=logins), _step("jobs", "jobs", last)]


def _done(made, name):
    """Paths that steps bring of a class. What another class has at the same place, such as a mailbox in a site's home, they do not bring."""
    return {path for step in made for part in step["parts"] if part["class"] == name for path in part["paths"]}


def _selected(backup, sites, select, system_paths):
    known, out = {site["name"]: site for site in sites}, []
    for name in select.get("sites", []):
        if name not in known:
            raise IntactError("%s is not in the list of sites: name its paths and databases there" % name)
        out.append(_site(backup, known[name]))
    for path in select.get("paths", []):
        out.append(_step(path, "path", _parts(backup, [path], every=True)))
    for user in select.get("mailboxes", []):
        boxes = (backup.manifests.get("mail", {}).get("sections", {}).get("mail") or {}).get("items", {})
        if boxes.get(escape(user), {}).get("kind") != "mailbox":
            raise IntactError("the backup holds no mailbox %s" % user)
        out.append(_step("mailbox %s" % user, "mailbox", [_part("mail", boxes[escape(user)]["paths"])]))
    for name in select.get("databases", []):
        out.append(_step(name, "database", streams=_streams(backup, [name])))
    for name in select.get("classes", []):
        if name not in backup.manifests:
            raise IntactError("the backup holds no class %s" % name)
        if name == "system":
            first, last = _system(backup, system_paths)
            out += [_step("settings", "settings", first), _step("jobs", "jobs", last)]
        else:
            out.append(_class(backup, name, set(), set()))
    return out


def _part(name, paths):
    return {"class": name, "paths": topmost(paths), "from": {}}


def _system(backup, patterns):
    """Parts of the class system: (what comes first, what comes last)."""
    paths = topmost(path for pattern in patterns for path in backup.matching("system", pattern)) if "system" in backup.manifests else []
    last = topmost(path for top in paths for path in backup.below("system", top) if path.endswith(".timer") or any(is_below(path, job) for job in JOBS))
    named = sorted(set(paths) & set(OWN))
    if named:
        raise IntactError("%s in system_paths would overwrite this host's own: accounts come by name; one file by hand: select paths" % ", ".join(named))
    first = [path for top in paths for path in _rest(backup, "system", top, set(last) | set(OWN))]
    return ([_part("system", first)] if first else []), ([_part("system", last)] if last else [])


def _site(backup, site):
    return _step("site %s" % site["name"], "site", _parts(backup, site.get("paths") or []), _streams(backup, site.get("databases") or []))


def _parts(backup, patterns, every=False):
    """Parts for paths or patterns, from the class that knows most of each; every: also what other classes have in a path and that one has not."""
    parts = {}
    for pattern in patterns:
        text = escape(os.path.normpath(pattern))
        holders = backup.holders(text) or [name for name in backup.manifests if backup.matching(name, pattern)]
        if not holders:
            raise IntactError("the backup holds nothing at %s" % pattern, path=pattern)
        parts.setdefault(holders[0], []).extend(backup.matching(holders[0], pattern))
        for name in holders[1:] if every else ():
            tops = [top for top in backup.files(name).get("trees", []) if is_below(top, text) and backup.below(name, top)] or backup.matching(name, pattern)
            parts.setdefault(name, []).extend(top for top in tops if not backup.below(holders[0], top))
    return [_part(name, paths) for name, paths in sorted(parts.items()) if paths]


def _streams(backup, names):
    known, out = backup.streams(), []
    for name in names:
        if name not in known:
            raise IntactError("the backup holds no database %s: it holds %s" % (name, ", ".join(sorted(known)) or "none"))
        out.append({"class": known[name][0], "name": name})
    return out


def _class(backup, name, done, held):
    """The rest of a class: what no step before brought."""
    paths = [path for top in backup.files(name).get("trees", []) for path in _rest(backup, name, top, done)]
    streams = [{"class": name, "name": n} for n, (owner, _stream) in sorted(backup.streams().items()) if owner == name and n not in held and not is_account(n)]
    return _step(name, "class", [_part(name, paths)] if paths else [], streams)


def _rest(backup, name, top, done):
    """top, or what is in it besides what was done."""
    if any(is_below(top, path) for path in done):
        return []
    if not any(is_below(path, top) for path in done):
        return [top] if backup.below(name, top) else []
    inside = {path for path in done if is_below(path, top)}
    return [path for child in backup.children(name, top) for path in _rest(backup, name, child, inside)]


def _moved(backup, made):
    for step in made:
        for part in step["parts"]:
            places = {}
            # of two that would be at one place the one that was there stays, else the later release's; the other one is told by restore.left
            for path in sorted(part["paths"], key=lambda path: (_moves.here(path, backup.moves) == path, path)):
                places[_moves.here(path, backup.moves)] = path
            for new in [new for new, old in places.items() if new != old and backup.below(part["class"], new)]:
                if any(is_below(new, top) for top in places if top != new):
                    del places[new]
            part["from"] = {new: old for new, old in places.items() if new != old}
            part["paths"] = sorted(places)
