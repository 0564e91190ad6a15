# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a restore would do to this host, in which order, and what it would overwrite. Looks, changes nothing.

A plan is data: {id, repository, host, runs {class: {run, snapshot, taken, manifest}}, identity, steps [{name, kind, parts [{class, paths}], streams
[{class, name}], comes, same, overwritten, newer, extra}], findings are told beside it}.
"""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity, _looks, _metadata, _snapshots
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _tree
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time

# Of the class system only this comes by itself: a newer release has its own /etc. More by site, or by system_paths.
SYSTEM_PATHS = ("/var/spool/cron/crontabs",)
ORDER = ("files", "databases", "mail", "lists", "panel", "system")
LESS = ("origin", "package")


class Backup:
    """The runs that are restored, opened: manifests by class."""

    def __init__(self, source, host, run="", classes=()):
        self.source, self.host = source, host
        self.runs, self.manifests, self.digests = {}, {}, {}
        for name, found in sorted(source.runs(host).items()):
            chosen = next((r for r in found if r.snapshot and run in ("", r.run)), None)
            if chosen is not None and (not classes or name in classes):
                self.runs[name] = chosen
                self.manifests[name], self.digests[name] = source.manifest(chosen)
        if not self.runs:
            raise IntactError("%s holds no backup of %s%s: check host, run and the address" % (source.name, host, " by the name of %s" % run if run else ""))

    def files(self, name):
        """Section files of a class's manifest."""
        return (self.manifests[name]["sections"].get("files") or {}) if name in self.manifests else {}

    def holders(self, path):
        """Classes whose snapshot has an escaped path or something below it, the one that knows most of it first."""
        found = {name: sum(1 for p in self.files(name).get("items", {}) if _looks_below(p, path)) for name in self.manifests}
        return sorted((name for name, count in found.items() if count), key=lambda name: (-found[name], ORDER.index(name) if name in ORDER else 9))

    def streams(self):
        """{stream's name: (class, stream)}."""
        return {stream["name"]: (name, stream) for name, manifest in self.manifests.items() for stream in manifest.get("streams") or []}


def _looks_below(path, above):
    return path == above or path.startswith(above.rstrip("/") + "/")


def steps(backup, sites=(), select=None, system_paths=SYSTEM_PATHS):
    """Steps in their order: [{name, kind, parts, streams}]. sites: [{name, paths, databases}] in the operator's order.

    select: {"sites" | "paths" | "mailboxes" | "databases" | "classes": [...]}, only these; empty is everything.
    """
    select = {key: list(value) for key, value in (select or {}).items() if value}
    unknown = set(select) - {"sites", "paths", "mailboxes", "databases", "classes"}
    if unknown:
        raise IntactError("no such selection: %s" % ", ".join(sorted(unknown)))
    if select:
        return _selected(backup, sites, select, system_paths)
    out = [{"name": "accounts", "kind": "accounts", "parts": [], "streams": []}]
    out += [_site(backup, site) for site in sites]
    done = {path for step in out for part in step["parts"] for path in part["paths"]}
    held = {stream["name"] for step in out for stream in step["streams"]}
    for name in ORDER:
        if name in backup.manifests:
            out.append(_class(backup, name, done, held, system_paths))
    return [step for step in out if step["kind"] == "accounts" or step["parts"] or step["streams"]]


def _selected(backup, sites, select, system_paths):
    known, out = {site["name"]: site for site in sites}, []
    for name in select.get("sites", []):
        if name not in known:
            raise IntactError("%s is not in the list of sites: name its paths and databases there" % name)
        out.append(_site(backup, known[name]))
    for path in select.get("paths", []):
        out.append({"name": path, "kind": "path", "parts": _parts(backup, [path]), "streams": []})
    for user in select.get("mailboxes", []):
        boxes = (backup.manifests.get("mail", {}).get("sections", {}).get("mail") or {}).get("items", {})
        if boxes.get(escape(user), {}).get("kind") != "mailbox":
            raise IntactError("the backup holds no mailbox %s" % user)
        part = {"class": "mail", "paths": _topmost(boxes[escape(user)]["paths"])}
        out.append({"name": "mailbox %s" % user, "kind": "mailbox", "parts": [part], "streams": []})
    for name in select.get("databases", []):
        out.append({"name": name, "kind": "database", "parts": [], "streams": _streams(backup, [name])})
    for name in select.get("classes", []):
        if name not in backup.manifests:
            raise IntactError("the backup holds no class %s" % name)
        out.append(_class(backup, name, set(), set(), system_paths))
    return out


def _site(backup, site):
    return {
        "name": "site %s" % site["name"],
        "kind": "site",
        "parts": _parts(backup, site.get("paths") or []),
        "streams": _streams(backup, site.get("databases") or []),
    }


def _parts(backup, paths):
    parts = {}
    for path in paths:
        text = escape(os.path.normpath(path))
        holders = backup.holders(text)
        if not holders:
            raise IntactError("the backup holds nothing at %s" % path, path=path)
        parts.setdefault(holders[0], []).append(text)
    return [{"class": name, "paths": _topmost(some)} for name, some in sorted(parts.items())]


def _streams(backup, names):
    known, out = backup.streams(), []
    for name in names:
        if name not in known:
            raise IntactError("the backup holds no database %s: it holds %s" % (name, ", ".join(sorted(known)) or "none"))
        out.append({"class": known[name][0], "name": name})
    return out


def _class(backup, name, done, held, system_paths):
    """The rest of a class: what no step before brought."""
    data = backup.files(name)
    items = data.get("items", {})
    tops = [escape(path) for path in system_paths] if name == "system" else list(data.get("trees", []))
    paths = [path for top in tops for path in _rest(items, top, done)]
    streams = [{"class": name, "name": n} for n, (owner, _stream) in sorted(backup.streams().items()) if owner == name and n not in held]
    parts = [{"class": name, "paths": _topmost(paths)}] if paths else []
    return {"name": name, "kind": "class", "parts": parts, "streams": streams}


def _rest(items, top, done):
    """top, or what is in it besides what was done."""
    if top in done or any(_looks_below(top, path) for path in done):
        return []
    if not any(_looks_below(path, top) for path in done):
        return [top] if any(_looks_below(path, top) for path in items) else []
    children = {top.rstrip("/") + "/" + path[len(top.rstrip("/")) + 1 :].split("/")[0] for path in items if path != top and _looks_below(path, top)}
    return [path for child in sorted(children) for path in _rest(items, child, done)]


def _topmost(paths):
    return [path for path in sorted(set(paths)) if not any(path != other and _looks_below(path, other) for other in paths)]


def identity(backup, view):
    """Who is who on this host (see _identity.plan), from the accounts in the class system; {} without it."""
    if "system" not in backup.runs:
        return _identity.plan({}, _identity.read(view))
    run, texts = backup.runs["system"], {}
    for kind in _identity.FILES:
        if "/etc/" + kind in backup.files("system").get("items", {}):
            texts[kind] = backup.source.read(run.snapshot, "/etc/" + kind).decode("utf-8", "surrogateescape")
    used = [set(), set()]
    for name in backup.manifests:
        for item in backup.files(name).get("items", {}).values():
            used[0].add(item.get("uid", 0))
            used[1].add(item.get("gid", 0))
    return _identity.plan(texts, _identity.read(view), used[0], used[1])


def part_items(backup, part, ids):
    """Section files of a part of a class, as it has to look on this host."""
    return ids.data(_looks.only_below(backup.files(part["class"]), part["paths"]))


def live(view, paths, excluded=None):
    """Section files of what is at these escaped paths on this host."""
    walker = _tree.Walker(view, excluded)
    for path in paths:
        raw = unescape(path)
        try:
            folder = _descriptors.open_directory(os.fsencode(view.realpath(os.fsdecode(os.path.dirname(raw)))), view.root)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            walker.entry(folder, os.path.basename(raw), raw)
        except FileNotFoundError:
            pass  # not there: it comes
        finally:
            os.close(folder)
    walker.finish()
    return {"items": walker.items, "owners": walker.owners, "groups": walker.groups}


def changes(wanted, now, made, view):
    """{comes, same, overwritten, newer, extra}: lists of escaped paths (extra and comes: numbers). made: when the manifest was made, in seconds."""
    out = {"comes": 0, "same": [], "overwritten": [], "newer": [], "extra": len(set(now) - set(wanted))}
    differing = {path for path in wanted if path in now and _less(wanted[path]) != _less(now[path])}
    # one name of a file that is replaced while another stays would be two files
    groups = {wanted[path]["hardlink"] for path in wanted if wanted[path].get("hardlink") and (path in differing or path not in now)}
    for path, item in sorted(wanted.items()):
        if path not in now:
            out["comes"] += 1
        elif path not in differing and item.get("hardlink") not in groups:
            out["same"].append(path)
        elif item["type"] == "dir" and now[path]["type"] == "dir":
            continue  # a directory is merged: only its owner and mode are set
        else:
            content = any(item.get(key) != now[path].get(key) for key in ("type", "hash", "target", "size"))
            state = view.lstat(os.fsdecode(unescape(path)))
            late = content and state is not None and state.st_mtime > made
            out["newer" if late else "overwritten"].append(path)
    return out


def _less(item):
    return {key: value for key, value in item.items() if key not in LESS}


def judge(backup, made, view, accept=(), keep=(), there=lambda _name: False):
    """Fill every step's comes, same, overwritten, newer, extra; findings for what would be lost. accept, keep: shell patterns for paths and databases.

    there: whether the host has a database. When it was written to last nobody can tell, so that it counts as newer.
    """
    found, ids = [], _metadata.Ids(made["identity"]["users"], made["identity"]["groups"])
    for step in made["steps"]:
        step.update(comes=0, same=0, overwritten=[], newer=[], kept=[], extra=0)
        for part in step["parts"]:
            wanted = part_items(backup, part, ids)
            taken = parse_time(backup.manifests[part["class"]]["made"]).timestamp()
            told = changes(wanted["items"], live(view, part["paths"])["items"], taken, view)
            step["comes"] += told["comes"]
            step["same"] += len(told["same"])
            step["extra"] += told["extra"]
            kept = [path for path in told["newer"] + told["overwritten"] if _named(path, keep)]
            step["kept"] += kept
            step["overwritten"] += [
                path for path in told["overwritten"] + told["newer"] if path not in kept and (path not in told["newer"] or _named(path, accept))
            ]
            step["newer"] += [path for path in told["newer"] if path not in kept and not _named(path, accept)]
        step["streams"] = [stream for stream in step["streams"] if not _named(stream["name"], keep)]
        for stream in step["streams"]:
            held = ":" in stream["name"] and there(stream["name"])
            key = "comes" if not held else "overwritten" if _named(stream["name"], accept) else "newer"
            step[key] = step[key] + 1 if key == "comes" else step[key] + [stream["name"]]
        if step["newer"]:
            found.append(
                Finding(
                    id="restore.newer",
                    severity="blocker",
                    subject=step["name"],
                    title="what is on the host is newer than the backup",
                    evidence="%d: %s%s" % (len(step["newer"]), ", ".join(step["newer"][:5]), ", ..." if len(step["newer"]) > 5 else ""),
                    remedy="name them in accept (the backup's version comes, the host's is kept aside) or in keep (the host's version stays)",
                    details={"change": "newer", "paths": step["newer"], "step": step["name"]},
                )
            )
    return found


def _named(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) or _looks_below(path, pattern.rstrip("/")) for pattern in patterns)


def brings(made):
    """Whether a plan changes anything."""
    return _identity.changes(made["identity"]) or any(step["comes"] or step["overwritten"] for step in made["steps"])


def plan(name, backup, view, sites=(), select=None, system_paths=SYSTEM_PATHS, accept=(), keep=(), there=lambda _name: False):
    """(plan, findings)."""
    made = {
        "id": name,
        "repository": backup.source.name,
        "host": backup.host,
        "runs": {
            c: {"run": r.run, "snapshot": r.snapshot, "taken": _snapshots.moment(r.taken).strftime("%Y-%m-%dT%H:%M:%SZ"), "manifest": backup.digests[c]}
            for c, r in backup.runs.items()
        },
        "identity": identity(backup, view),
        "steps": steps(backup, sites, select, system_paths),
    }
    return made, judge(backup, made, view, accept, keep, there)
