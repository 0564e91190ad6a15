# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What differs in one entry of two manifests, and how grave it is. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin

# Kind of change: severity, title of one, title of many. The first kind of a file that applies names its finding.
KINDS = {
    "type.changed": ("blocker", "another kind of file is in its place", "entries are of another kind now"),
    "unreadable": ("blocker", "cannot be read any more", "files cannot be read any more"),
    "content.changed": ("blocker", "the content is not what it was", "files have other content"),
    "link.changed": ("blocker", "the link points elsewhere", "links point elsewhere"),
    "owner.changed": ("blocker", "owner or group is not what it was", "entries have another owner or group"),
    "acl.changed": ("blocker", "the access list is not what it was", "access lists are not what they were"),
    "mode.changed": ("blocker", "the permissions are not what they were", "entries have other permissions"),
    "capability.lost": ("blocker", "the file capability is lost", "file capabilities are lost"),
    "capability.changed": ("blocker", "the file capability is not what it was", "file capabilities are not what they were"),
    "xattr.changed": ("blocker", "extended attributes are not what they were", "entries have other extended attributes"),
    "device.changed": ("blocker", "the device number is not what it was", "device numbers are not what they were"),
    "flags.changed": ("warning", "immutable or append-only is not set as it was", "entries have other immutable or append-only flags"),
    "hardlink.broken": ("warning", "no longer one file with its other names", "hard links are no longer one file with their other names"),
    "sparse.lost": ("warning", "holes were filled: the file takes its full size on disk", "sparse files take their full size on disk"),
    "missing": ("blocker", "gone", "entries are gone"),
    "new": ("warning", "was not there before", "entries were not there before"),
}


class Change:
    """One entry's difference: the kind that names it, and what was seen."""

    def __init__(self, kind, path, origin, evidence, before=None, after=None, kinds=(), package=None):
        self.kind, self.path, self.origin, self.evidence, self.package = kind, path, origin, evidence, package
        self.before, self.after, self.kinds = before, after, list(kinds) or [kind]
        self.trend = None  # of its size, where the content changed


class Names:
    """Owner and group names of both looks, and what is one identity under another number or name."""

    def __init__(self, before, after):
        self.tables = {"uid": (before.get("owners", {}), after.get("owners", {})), "gid": (before.get("groups", {}), after.get("groups", {}))}

    def name(self, key, number, late):
        return self.tables[key][late].get(str(number))

    def shown(self, item, late):
        return ":".join(self.name(key, item[key], late) or str(item[key]) if key in item else "?" for key in ("uid", "gid"))

    def drift(self, key, a, b):
        """The name of the account or group that itself changed (number or name), or None when this entry's owner changed or nothing did."""
        if key not in a or key not in b:
            return None
        was, now = self.name(key, a[key], 0), self.name(key, b[key], 1)
        if a[key] == b[key]:
            return None if was == now else was or now
        return was if was is not None and was == now else None

    def drifts(self, a, b):
        return self.drift("uid", a, b) is not None or self.drift("gid", a, b) is not None


def changed(path, a, b, names, strangers, was_with=None):
    """The Change of one entry, or None; files of an account whose number or name moved are collected in strangers."""
    origin, package = _origin.moved(a.get("origin"), b.get("origin")), a.get("package") or b.get("package")
    if a.get("type") != b.get("type"):
        return Change("type.changed", path, origin, "%s before, %s now" % (describe(a), describe(b)), a.get("type"), b.get("type"), package=package)
    seen = []
    for kind, was, now in _differences(a, b):
        if kind == "owner.changed":
            keys = [key for key in ("uid", "gid") if a.get(key) != b.get(key)]
            if all(names.drift(key, a, b) for key in keys):
                continue
            was, now = names.shown(a, 0), names.shown(b, 1)
        seen.append((kind, was, now))
    if was_with:
        seen.append(("hardlink.broken", was_with, None))
    for key, word in (("uid", "account"), ("gid", "group")):
        name = names.drift(key, a, b)
        if name is not None:
            strangers.setdefault((word, name), []).append(
                (path, "%s %s" % (names.name(key, a[key], 0), a[key]), "%s %s" % (names.name(key, b[key], 1), b[key]))
            )
    if not seen:
        return None
    order = list(KINDS)
    seen.sort(key=lambda entry: order.index(entry[0]))
    evidence = "; ".join(_sentence(kind, was, now, a, b) for kind, was, now in seen)
    if (a.get("origin"), b.get("origin")) in (("conffile-edited", "conffile-unmodified"), ("package-edited", "package")):
        evidence += "; it was edited here and is the package's own version now"
    change = Change(seen[0][0], path, origin, evidence, seen[0][1], seen[0][2], [kind for kind, _was, _now in seen], package)
    change.trend = size_trend(a, b) if change.kind == "content.changed" else None
    return change


def _differences(a, b):
    """(kind, before, after) of two items of the same type."""
    states = (a.get("state", ""), b.get("state", ""))
    if states[1].startswith("unreadable") and not states[0].startswith("unreadable"):
        yield "unreadable", "read", states[1]
    elif "hash" in a and "hash" in b:
        if a["hash"] != b["hash"]:
            yield "content.changed", a["hash"], b["hash"]
    elif a.get("size") != b.get("size") and "changing" not in states:
        yield "content.changed", a.get("size"), b.get("size")
    plain = (("target", "link.changed"), ("mode", "mode.changed"), ("xattr", "xattr.changed"), ("device", "device.changed"), ("flags", "flags.changed"))
    for key, kind in plain:
        if a.get(key) != b.get(key):
            yield kind, a.get(key), b.get(key)
    if (a.get("uid"), a.get("gid")) != (b.get("uid"), b.get("gid")):
        yield "owner.changed", None, None
    if (a.get("acl"), a.get("default_acl")) != (b.get("acl"), b.get("default_acl")):
        yield "acl.changed", _acls(a), _acls(b)
    if a.get("capability") != b.get("capability"):
        yield ("capability.changed" if b.get("capability") else "capability.lost"), a.get("capability"), b.get("capability")
    if a.get("sparse") and not b.get("sparse") and b.get("size") == a.get("size"):
        yield "sparse.lost", True, False


def _acls(item):
    out = item.get("acl") or ""
    return out + ((" default " + item["default_acl"]) if item.get("default_acl") else "")


def size_trend(a, b):
    """What became of a file's size, as a word."""
    x, y = a.get("size") or 0, b.get("size") or 0
    return "emptied" if x and not y else "shrunk" if y < x else "grown" if y > x else "same size, other bytes"


def _sentence(kind, was, now, a, b):
    if kind == "content.changed":
        return "content: %d bytes before, %d now (%s)" % (a.get("size") or 0, b.get("size") or 0, size_trend(a, b))
    if kind == "unreadable":
        return now
    if kind == "hardlink.broken":
        return "was one file with %s (%s names), has %s now" % (was, a.get("links", "?"), b.get("links", 1))
    if kind == "sparse.lost":
        return "sparse before, not now"
    if kind == "acl.changed":
        lost = [e for e in str(was).replace(" ", ",").split(",") if e not in str(now).replace(" ", ",").split(",")]
        return "access list: %s before, %s now%s" % (was or "none", now or "none", "; lost: " + ", ".join(lost) if lost and was else "")
    return "%s: %s before, %s now" % (kind.split(".")[0], was if was not in (None, "") else "none", now if now not in (None, "") else "none")


def describe(item):
    kind = item.get("type", "entry")
    if kind == "link":
        return "a link to %s" % item.get("target")
    if kind == "file":
        return "a file of %d bytes, mode %s" % (item.get("size", 0), item.get("mode"))
    return "a %s, mode %s" % ({"dir": "directory"}.get(kind, kind), item.get("mode"))


def new_entry(path, item, docroot):
    """What is worth a look among what is new: programs with other rights, programs a web server could run, configuration."""
    mode = int(item.get("mode", "0"), 8)
    file = item.get("type") == "file"
    origin = item.get("origin")
    if file and (mode & 0o6000 or item.get("capability")) and origin != "package":
        return Change(
            "new",
            path,
            origin,
            "%s; it gives whoever runs it other rights%s" % (describe(item), " (%s)" % item["capability"] if item.get("capability") else ""),
            None,
            item,
        )
    if file and docroot and mode & 0o111:
        return Change("new", path, origin, "%s: a program in a directory that is served" % describe(item), None, item)
    if path.startswith("/etc/") and item.get("type") != "dir" and origin in ("local", "leftover"):
        return Change("new", path, origin, describe(item), None, item)
    return None
