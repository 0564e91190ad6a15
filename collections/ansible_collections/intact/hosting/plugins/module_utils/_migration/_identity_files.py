# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The accounts of one host out of its four files, with everything in them that is not as it should be. Pure but for read().

Text is str with undecodable bytes kept as surrogates (a gecos of 2008 is latin1). Lines end at a newline only.
"""

from __future__ import annotations

import re

FILES = ("passwd", "shadow", "group", "gshadow")
WIDTH = {"passwd": 7, "shadow": 9, "group": 4, "gshadow": 4}
# What chown and setreuid take for "leave it" (32 and 16 bits), and what the kernel shows for numbers that it can't tell.
NO_NUMBERS = (4294967295, 65535)
LARGEST = 4294967294
NAME = re.compile(r"[^\x00-\x20\x7f/:,+\-~][^\x00-\x20\x7f/:,]*\Z")
# A shell that lets nobody in.
CLOSED = re.compile(r"/(nologin|false|true|sync|shutdown|halt|noshell|nosh|git-shell)\Z")


def lines(text):
    """[(number from 1, line)] without the empty ones."""
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def rows(text, kind, troubles):
    """{name: row} of one file, the first of two rows of one name. troubles grows by (what, file, subject, sentence); no sentence holds a field's content."""
    out = {}
    for number, line in lines(text):
        if line.startswith("#"):
            continue
        row, where = line.split(":"), "line %d of %s" % (number, kind)
        if line[0] in "+-":
            troubles.append(("nis", kind, where, "names accounts that come over the network: they are not on this disk"))
            continue
        if len(row) != WIDTH[kind]:
            troubles.append(("malformed", kind, where, "has %d fields instead of %d" % (len(row), WIDTH[kind])))
            continue
        if not NAME.match(row[0]):
            troubles.append(("malformed", kind, where, "has a name that no account can have" if row[0] else "has no name"))
            continue
        bad = [field for field in {"passwd": (2, 3), "group": (2,)}.get(kind, ()) if not _number(row[field])]
        if bad:
            troubles.append(("malformed", kind, where, "has no usable number in field %d" % (bad[0] + 1)))
            continue
        if row[0] in out:
            troubles.append(("duplicate", kind, row[0], "is there twice, again in line %d: the first one counts, as for the system itself" % number))
            continue
        out[row[0]] = row
    return out


def _number(text):
    return bool(re.match(r"[0-9]{1,10}\Z", text)) and int(text) <= LARGEST and int(text) not in NO_NUMBERS


def side(texts, defaults="", first=0):
    """One host's accounts: {"users": {name: user}, "groups": {name: group}, "first_uid", "first_gid", "troubles": [...]}, both dicts in the files' order.

    texts: {passwd shadow group gshadow: text}. defaults: its /etc/login.defs. first: where people begin when that says nothing.
    user: {name uid gid gecos home shell hash aging [7 texts] shadowed}.
    group: {name gid members [..] admins [..] password (has it one) in_both [members that group and gshadow say]}.
    hash is never None: "!" when there is none.
    """
    troubles = []
    tables = {kind: rows(texts.get(kind, ""), kind, troubles) for kind in FILES}
    users, groups, seen = {}, {}, {}
    for name, row in tables["passwd"].items():
        shadow = tables["shadow"].get(name)
        # only "x" sends the system to shadow; before shadow there was the password in passwd itself
        password = row[1] if row[1] != "x" else shadow[1] if shadow else "!"
        users[name] = {
            "name": name,
            "uid": int(row[2]),
            "gid": int(row[3]),
            "gecos": row[4],
            "home": row[5],
            "shell": row[6],
            "hash": password,
            "aging": shadow[2:] if shadow else ["", "0", "99999", "7", "", "", ""],
            "shadowed": shadow is not None,
        }
        seen.setdefault(("user", int(row[2])), []).append(name)
    for name, row in tables["group"].items():
        extra = tables["gshadow"].get(name, [name, "!", "", ""])
        members = [m for part in (row[3], extra[3]) for m in part.split(",") if m]
        groups[name] = {"name": name, "gid": int(row[2]), "members": list(dict.fromkeys(members)), "admins": [m for m in extra[2].split(",") if m]}
        # a run that was cut may have left the two files apart
        groups[name]["in_both"] = [m for m in row[3].split(",") if m in extra[3].split(",")] if name in tables["gshadow"] else members
        groups[name]["password"] = any(field and field != "x" and usable(field) for field in (row[1], extra[1]))
        seen.setdefault(("group", int(row[2])), []).append(name)
    for (what, number), names in seen.items():
        if len(names) > 1:
            kind = "passwd" if what == "user" else "group"
            troubles.append(("shared", kind, names[0], "shares the number %d with %s" % (number, ", ".join(names[1:]))))
    return {
        "users": users,
        "groups": groups,
        "first_uid": setting(defaults, "UID_MIN") or first or 1000,
        "first_gid": setting(defaults, "GID_MIN") or first or 1000,
        "troubles": troubles,
    }


def setting(text, name):
    """A number out of login.defs, 0 when it is not there."""
    found = re.findall(r"^[ \t]*%s[ \t]+([0-9]+)[ \t]*$" % name, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def first_of(release):
    """Where people's numbers began on a system that does not say it itself: 500 for Red Hat's before systemd, else 1000. release: its redhat-release."""
    found = re.search(r"release ([0-9]+)", release)
    return 500 if found and int(found.group(1)) < 7 or found and "Fedora" in release and int(found.group(1)) < 16 else 1000


def read(system, etc="/etc"):
    """side() of a System's files. Raises PermissionError where shadow is not readable."""
    texts = {kind: system.text("%s/%s" % (etc, kind)) for kind in FILES}
    return side(texts, system.text(etc + "/login.defs"), first_of(system.text(etc + "/redhat-release")))


def usable(password):
    """Whether a hash lets somebody in with a password; "" (everybody) counts."""
    return not password or password[0] not in "!*"


def closed(shell):
    """Whether a shell lets nobody in; an empty one is /bin/sh."""
    return bool(CLOSED.search(shell))
