# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The identity map: who of the old host is who on the new one, and what number everything old becomes. Pure but for read() and write()."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _sudoers
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import (
    _accounts_weak,
    _identity_files,
    _identity_groups,
    _identity_map,
    _identity_numbers,
    _identity_users,
)

OPTIONS = {"same": [], "rename": {}, "services": {}, "carry": [], "powers": {}, "range": _identity_numbers.RANGE}
_SEVERITIES = {"nis": "warning", "malformed": "warning", "duplicate": "warning", "shared": "info"}


def build(old, new, owners=None, earlier=None, options=None):
    """The map's document (docs/disks.md), without a hash in it. old, new: see _identity_files.side(); new may have keyed [names], subids, held, see read_new().

    owners: {"users": {number: count}, "groups": {number: count}} of what lies on the disk. earlier: the document of an earlier run, whose numbers stay.
    options: see OPTIONS. The same input gives the same document.
    """
    options = dict(OPTIONS, **{key: value for key, value in (options or {}).items() if value is not None})
    options["range"] = tuple(options["range"])
    owners, earlier = owners or {}, earlier or {}
    told = _identity_users.Told()
    _check_range(options["range"], new, told)
    for where, host in (("the old disk", old), ("this host", new)):
        for what, kind, subject, sentence in host["troubles"]:
            if what == "shared" and host is new:
                continue  # by now it may be what this map made
            told.say("file." + what, _SEVERITIES[what], "%s on %s" % (subject, where), "%s: a line that is not as it should be" % kind, sentence)
    users = _identity_users.plan(old, new, told, options, earlier.get("users", {}))
    groups = _identity_groups.plan(old, new, users, told, options, earlier.get("groups", {}))
    uids, gids = ({str(e["old"]): e["new"] for e in entries.values()} for entries in (users, groups))
    orphans = {}
    for kind, numbers, entries in (("users", uids, users), ("groups", gids, groups)):
        counts = {int(number): int(count) for number, count in (owners.get(kind) or {}).items()}
        orphans[kind] = _orphans(kind, counts, numbers, entries, options["range"], told)
    weak = _passwords(old, users, told)
    document = {
        "schema": _identity_map.SCHEMA,
        "range": list(options["range"]),
        "users": {escape(n): _plain(e) for n, e in users.items()},
        "groups": {escape(n): _plain(e) for n, e in groups.items()},
        "uids": uids,
        "gids": gids,
        "orphans": orphans,
        "conflicts": told.conflicts,
        "weak": weak,
        "findings": told.findings,
        "counts": {
            "users": len(users),
            "groups": len(groups),
            "created": sum(e["how"] == "new" for e in users.values()),
            "conflicts": len(told.conflicts),
            "orphans": sum(len(o) for o in orphans.values()),
            "weak": len(weak),
        },
    }
    verify(document, new)
    return document


def _plain(entry):
    out = {key: entry[key] for key in ("old", "new", "how") if key in entry}
    out.update(name=escape(entry["name"]), why=escape(entry["why"]))
    if "members" in entry:
        out.update(members=[escape(m) for m in entry["members"]], left=entry["left"])
    if "gid" in entry:
        out.update(gid=entry["gid"], group=escape(entry["group"]))
    return out


def _check_range(span, new, told):
    live = [("account", u["name"], u["uid"]) for u in new["users"].values()] + [("group", g["name"], g["gid"]) for g in new["groups"].values()]
    for said in _identity_numbers.check_span(span, live, new.get("subids", ()), new.get("held", ())):
        told.say("range", "blocker", "%d-%d" % span, "the numbers for what nobody owns are not free", said, "give a free range")


def _orphans(kind, counts, numbers, entries, span, told):
    """{old: {new, count, name}} of numbers that own something and that nobody has on the new host; numbers grows by them."""
    names = {e["old"]: e["from"] for e in entries.values() if e["how"] == "orphan"}
    out = {}
    for old in sorted(counts):
        if str(old) not in numbers:
            numbers[str(old)] = 0 if old == 0 else _identity_numbers.orphan(old, span)
        if span[0] <= numbers[str(old)] <= span[1]:
            out[str(old)] = {"new": numbers[str(old)], "count": counts[old], "name": escape(names.get(old, ""))}
    if out:
        said = ", ".join("%s%s (%d)" % (old, " " + o["name"] if o["name"] else "", o["count"]) for old, o in list(out.items())[:30])
        told.say(
            "orphans",
            "warning",
            kind,
            "files that nobody on this host will own",
            "old number (files): " + said,
            "give them to somebody, or leave them as they are",
        )
    return out


def _passwords(old, users, told):
    """Names of carried accounts with a weak hash; findings name the kind, never the hash."""
    weak = []
    for name, entry in users.items():
        if entry["how"] not in ("new", "merged", "same") or entry["system"] or entry["old"] == 0:
            continue
        what, is_weak = _accounts_weak.kind(old["users"][name]["hash"])
        if what == "empty":
            told.say("password.empty", "warning", "user " + name, "could log in without a password", "the account is carried locked", "passwd " + escape(name))
        elif is_weak:
            weak.append(escape(name))
            title = "a weak password hash"
            told.say("password.weak", "warning", "user " + name, title, what, "a new password: chage -d 0 %s asks for one at the next login" % escape(name))
    return sorted(weak)


def verify(document, new):
    """Raise IntactError when a map would give one old number what another one, or somebody of this host, has: the last look before anybody uses it."""
    for table, entries, live, word in (
        ("uids", document["users"], {u["uid"]: u["name"] for u in reversed(list(new["users"].values()))}, "user"),
        ("gids", document["groups"], {g["gid"]: g["name"] for g in reversed(list(new["groups"].values()))}, "group"),
    ):
        said, given = {}, {}
        for entry in entries.values():
            if entry["how"] in _identity_users.CARRIED:
                said.setdefault(entry["old"], set()).add(entry["new"])
        for old, number in sorted((int(o), n) for o, n in document[table].items()):
            if (old == 0) != (number == 0):
                raise IntactError("the map gives the old %s %d number %d: root is only ever root's" % (word, old, number))
            if number in live and number not in said.get(old, ()):
                raise IntactError("the map gives the files of the old %s %d to %s" % (word, old, escape(live[number])))
            other = given.setdefault(number, old)
            if other != old and number not in (_identity_numbers.NOBODY, document["range"][1]) and live.get(number) not in ("nobody", "nogroup"):
                raise IntactError("the map makes one %s of the old numbers %d and %d" % (word, other, old))


def read_new(system, etc="/etc"):
    """side() of the new host, with what else decides: who has keys or rules of sudo, which numbers containers may use, which ones the host can hold."""
    side = _identity_files.read(system, etc)
    side["keyed"] = [u["name"] for u in side["users"].values() if u["uid"] >= side["first_uid"] and _keys(system, u["home"])]
    side["sudo"] = sorted(sudo_names(rule for item in _sudoers.capture(system).values() for rule in item.get("rules", ())))
    side["subids"] = []
    for name in ("subuid", "subgid"):
        for line in system.text("%s/%s" % (etc, name)).split("\n"):
            row = line.split(":")
            if len(row) == 3 and row[1].isdigit() and row[2].isdigit():
                side["subids"].append((row[0], int(row[1]), int(row[2])))
    rows = (line.split() for line in system.text("/proc/self/uid_map").splitlines())
    side["held"] = [(int(row[0]), int(row[2])) for row in rows if len(row) == 3]
    return side


def sudo_names(rules):
    """Names of accounts in rules of sudo, those of user aliases too; groups, numbers and ALL are none."""
    found = set()
    for rule in rules:
        if rule.startswith("User_Alias"):
            names = re.split(r"[\s,:=]+", rule)[1:]
        elif re.match(r"Defaults|(?:Host|Runas|Cmnd|Cmd)_Alias\b", rule):
            continue
        else:
            users = re.match(r"((?:[^\s,=]+\s*,\s*)*[^\s,=]+)\s", rule)
            names = users.group(1).split(",") if users else []
        found.update(name.strip().strip('"') for name in names)
    return {name for name in found if name and name[0] not in "%#+!@" and not name.isupper()}


def _keys(system, home):
    if not home.startswith("/"):
        return False
    entries = (system.lstat("%s/.ssh/%s" % (home.rstrip("/"), name)) for name in ("authorized_keys", "authorized_keys2"))
    return any(entry is not None and entry.st_size for entry in entries)


def earlier(path):
    """The document of an earlier run, or {}. Raises IntactError when it can't be read: its numbers own files by now."""
    return _identity_map.load(path).document if os.path.exists(path) else {}


def differs(path, document):
    """Whether the map at a path is another one, or none."""
    return not os.path.exists(path) or read_document(path) != document


def write(path, document):
    """Write the map (0600) when it differs; returns whether it did."""
    if not differs(path, document):
        return False
    write_document(path, document)
    return True
