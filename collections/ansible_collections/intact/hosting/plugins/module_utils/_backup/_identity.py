# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Accounts of a backup on a host that may have other ones: who is who goes by name, never by number. The plan is pure."""

from __future__ import annotations

import fcntl
import os

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

FILES = ("passwd", "shadow", "group", "gshadow")
WIDTH = {"passwd": 7, "shadow": 9, "group": 4, "gshadow": 4}
LOCK = "/etc/.pwd.lock"
PEOPLE, SYSTEM = range(1000, 60000), range(999, 99, -1)
# Numbers for what nobody owns. 61184-65519 is what systemd gives to services for a moment, containers begin at 100000 (systemd, UIDS-GIDS);
# the second range is for hosts that are containers themselves and have 65,536 numbers.
QUARANTINE = (*range(70000, 100000), *range(60706, 61184))
NOBODY = 65534


def table(text, kind):
    """{name: row} of one account file, the first of two rows of one name."""
    out = {}
    for line in text.split("\n"):
        row = line.split(":")
        if len(row) == WIDTH[kind] and not line.startswith(("#", "+", "-")):
            out.setdefault(row[0], row)
    return out


def plan(backup, live, used_users=(), used_groups=()):
    """What has to be written so that everybody in a backup is somebody here. backup, live: {passwd shadow group gshadow: text}.

    live may have the host's uid_map and gid_map (/proc/self): numbers that it can hold. used_users, used_groups: numbers that own something in
    the backup. Returns {"users": {old: new number}, "groups": ..., "rows": {file: [line]},
    "members": {group: [name]}, "notes": [sentence]}.
    """
    old, new = ({kind: table(side.get(kind, ""), kind) for kind in FILES} for side in (backup, live))
    out = {"users": {}, "groups": {}, "rows": {kind: [] for kind in FILES}, "members": {}, "notes": []}
    taken_groups = {int(row[2]) for row in new["group"].values()} | {int(row[3]) for row in new["passwd"].values()}
    taken_users = {int(row[2]) for row in new["passwd"].values()}
    people = {name: row for name, row in old["passwd"].items() if _wanted(int(row[2]), used_users)}
    needed = {int(row[3]) for row in people.values()} | {int(g) for g in used_groups}
    for name, row in sorted(old["group"].items(), key=lambda entry: int(entry[1][2])):
        if int(row[2]) in needed or int(row[2]) in PEOPLE:
            number = _number(out, "groups", name, int(row[2]), new["group"], taken_groups)
            if name not in new["group"]:
                members = ",".join(m for m in row[3].split(",") if m in people or m in new["passwd"])
                out["rows"]["group"].append(":".join([name, "x", str(number), members]))
                out["rows"]["gshadow"].append(":".join(old["gshadow"].get(name, [name, "!", "", ""])[:3] + [members]))
    for name, row in sorted(people.items(), key=lambda entry: int(entry[1][2])):
        number = _number(out, "users", name, int(row[2]), new["passwd"], taken_users)
        if name not in new["passwd"]:
            group = out["groups"].get(int(row[3]), int(row[3]))
            out["rows"]["passwd"].append(":".join([name, "x", str(number), str(group)] + row[4:]))
            out["rows"]["shadow"].append(":".join(old["shadow"].get(name, [name, "!", "", "0", "99999", "7", "", "", ""])))
    for name, row in sorted(old["group"].items()):
        if name in new["group"]:
            have = [m for m in new["group"][name][3].split(",") if m]
            more = [m for m in row[3].split(",") if m in people and m not in have]
            if more:
                out["members"][name] = more
    _orphans(out, "users", used_users, {int(row[2]) for row in old["passwd"].values()}, taken_users, live.get("uid_map", ""))
    _orphans(out, "groups", used_groups, {int(row[2]) for row in old["group"].values()}, taken_groups, live.get("gid_map", ""))
    return out


def _wanted(number, used):
    return number != NOBODY and number != 0 and (number in PEOPLE or number in {int(u) for u in used})


def _number(out, key, name, number, live, taken):
    """The number that a name has, or gets, on this host."""
    if name in live:
        here = int(live[name][2])
        if here != number:
            out[key][number] = here
            out["notes"].append("%s %s has number %d here and had %d" % (key[:-1], name, here, number))
        return here
    if number not in taken:
        taken.add(number)
        return number
    here = next(n for n in (PEOPLE if number in PEOPLE else SYSTEM) if n not in taken)
    taken.add(here)
    out[key][number] = here
    out["notes"].append("%s %s gets number %d: its own, %d, belongs to somebody else here" % (key[:-1], name, here, number))
    return here


def _orphans(out, key, used, named, taken, mapped):
    """Numbers that own files and that no name had: they must not become somebody's here, nor one another's."""
    used = {int(u) for u in used}
    held = [range(int(first), int(first) + int(count)) for first, _outside, count in map(str.split, mapped.splitlines())]
    for number in sorted(used - named - {0, NOBODY}):
        if number in taken and number not in out[key]:
            here = next((n for n in QUARANTINE if n not in taken and n not in used and (not held or any(n in r for r in held))), None)
            if here is None:
                raise IntactError("no number is left for the files of the nameless %s %d: free some of 60706-61183 on this host" % (key[:-1], number))
            taken.add(here)
            out[key][number] = here
            out["notes"].append("files of the nameless %s %d get number %d: %d belongs to somebody here" % (key[:-1], number, here, number))


def changes(made):
    """Whether a plan writes anything."""
    return bool(made["members"] or any(made["rows"].values()))


def read(system):
    """The account files of a host or of a restored tree, and which numbers a host can hold."""
    return dict({kind: system.text("/etc/" + kind) for kind in FILES}, **{name: system.text("/proc/self/" + name) for name in ("uid_map", "gid_map")})


def apply(made, etc="/etc", lock=LOCK):
    """Write a plan's accounts, under the lock that the account tools take. Repeatable: names that are there stay as they are. Returns files written.

    made may have replace {file: {name: line}}: whole lines of names that are there, which a migration puts in the place of locked ones.
    """
    done = []
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX)
        for kind in ("group", "gshadow", "passwd", "shadow"):
            path = os.path.join(etc, kind)
            with open(path, encoding="utf-8", errors="surrogateescape") as handle:
                text = handle.read()
            fresh = _merged(text, kind, made)
            if fresh != text:
                state = os.stat(path)
                write_atomic(path, fresh.encode("utf-8", "surrogateescape"), state.st_mode & 0o7777)
                os.chown(path, state.st_uid, state.st_gid)
                done.append(path)
    finally:
        os.close(fd)
    return done


def _merged(text, kind, made):
    there = table(text, kind)
    lines = text.rstrip("\n").split("\n")
    for name, row in made.get("replace", {}).get(kind, {}).items():
        lines = [row if name in there and line == ":".join(there[name]) else line for line in lines]
    if kind in ("group", "gshadow"):
        for name, more in made["members"].items():
            if name in there:
                row = there[name]
                members = [m for m in row[3].split(",") if m]
                fresh = row[:3] + [",".join(members + [m for m in more if m not in members])]
                lines = [":".join(fresh) if line == ":".join(row) else line for line in lines]
    lines += [row for row in made["rows"][kind] if row.split(":", 1)[0] not in there]
    return "\n".join(lines) + "\n"
