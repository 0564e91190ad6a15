# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The lines that a migration writes into passwd, shadow, group and gshadow, by the identity map. Pure; see _backup/_identity.py for who writes them."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._migration import _accounts_weak
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_files import closed, usable
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_users import CARRIED, NOBODIES, power_of

NOLOGINS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")


def plan(identity, old, new, runs):
    """{"made": what _identity.apply() writes, "findings", "explained", "counts"}.

    identity: the Map. old, new: see _identity_files.side(). runs: whether a path is a program of the new host.
    """
    return _Plan(identity, old, new, runs).plan()


def _name(entry):
    return os.fsdecode(unescape(entry["name"]))


class _Plan:
    def __init__(self, identity, old, new, runs):
        self.identity, self.old, self.new, self.runs = identity, old, new, runs
        self.made = {"rows": {kind: [] for kind in ("passwd", "shadow", "group", "gshadow")}, "members": {}, "replace": {"shadow": {}}}
        self.findings, self.explained = [], []
        self.counts = {"created": 0, "merged": 0, "groups": 0, "left": 0, "kept": 0}
        self.live_uids, self.live_gids = {}, {}
        for user in new["users"].values():
            self.live_uids.setdefault(user["uid"], []).append(user["name"])
        for group in new["groups"].values():
            self.live_gids.setdefault(group["gid"], []).append(group["name"])
        self.nologin = next((path for path in NOLOGINS if runs(path)), NOLOGINS[0])

    def plan(self):
        ours = {}
        for entry in self.identity.users.values():
            if entry["how"] in CARRIED:
                ours.setdefault(entry["new"], set()).add(_name(entry))
        created = {_name(e) for e in self.identity.groups.values() if e["how"] == "new" and self._group_free(e)}
        for name, group in self.old["groups"].items():
            entry = self.identity.groups.get(escape(name))
            self._group(name, group, entry, created)
        for name, user in self.old["users"].items():
            entry = self.identity.users.get(escape(name))
            if entry is None:
                self._left(name, "it is not in the identity map: run identity_map_info again", True)
            elif entry["how"] == "new":
                self._new(user, entry, ours)
            elif entry["how"] in ("same", "merged") and entry["old"] != 0 and user["uid"] >= self.old["first_uid"] and user["uid"] not in NOBODIES:
                self._merged(user, entry)
            elif entry["how"] in CARRIED:
                self.counts["kept"] += 1
            else:
                self._left(name, entry["why"], any(c["kind"] == "user" and c["name"] == escape(name) for c in self.identity.document["conflicts"]))
        return {"made": self.made, "findings": self.findings, "explained": self.explained, "counts": self.counts}

    def say(self, ident, severity, subject, title, evidence="", remedy=""):
        self.findings.append(Finding("accounts." + ident, severity, escape(subject), title, escape(evidence), remedy).as_dict())

    def explain(self, subject, attribute, reason):
        """A word for the reconciliation: this attribute is not as it was."""
        line = {"class": "accounts", "subject": escape(subject), "reason": escape(reason)}
        self.explained.append(dict(line, attribute=attribute) if attribute else line)

    def _left(self, name, why, conflict):
        """An account that is not brought; a conflict is not explained away, the reconciliation has to ask for it."""
        self.counts["left"] += 1
        if not conflict:
            self.explain("user " + name, "", why)

    def _group_free(self, entry):
        there = self.new["groups"].get(_name(entry))
        return there["gid"] == entry["new"] if there else entry["new"] not in self.live_gids

    def _group(self, name, group, entry, created):
        if entry is None or entry["how"] not in CARRIED:
            conflict = entry is None or any(c["kind"] == "group" and c["name"] == escape(name) for c in self.identity.document["conflicts"])
            self._left_group(name, entry["why"] if entry else "it is not in the identity map", conflict)
            return
        target = _name(entry)
        members = [m for m in (os.fsdecode(unescape(m)) for m in entry["members"]) if m in self._accounts()]
        for member in entry["left"]:
            self.explain("group " + name, "member " + member, "%s may be more here than it was: not carried (see the finding of the identity map)" % target)
        if entry["how"] == "new":
            if target not in created:
                holder = self.live_gids.get(entry["new"], [target])[0]
                self.say(
                    "group.taken",
                    "blocker",
                    "group " + name,
                    "its number or name was taken since the map was made",
                    "%s (%d) is %s's" % (target, entry["new"], holder),
                    "run identity_map_info again, then this phase",
                )
                return
            admins = [m for m in (self.identity.user(a) for a in group["admins"]) if m]
            self.made["rows"]["group"].append(":".join([target, "x", str(entry["new"]), ",".join(members)]))
            self.made["rows"]["gshadow"].append(":".join([target, "!", ",".join(admins), ",".join(members)]))
            self.counts["groups"] += target not in self.new["groups"]
            if group["password"]:
                self.say("group.password", "warning", "group " + name, "had a password", "whoever knew it could join; it is not carried", "gpasswd %s" % target)
        if members:
            there = self.new["groups"].get(target)
            if there is None or set(members) - set(there["in_both"]):
                self.made["members"][target] = members

    def _left_group(self, name, why, conflict):
        if not conflict:
            self.explain("group " + name, "", why)

    def _accounts(self):
        """Names that are accounts of the new host, or become some."""
        return set(self.new["users"]) | {_name(e) for e in self.identity.users.values() if e["how"] == "new"}

    def _new(self, user, entry, ours):
        name, target = user["name"], _name(entry)
        there = self.new["users"].get(target)
        others = [n for n in self.live_uids.get(entry["new"], []) if n not in ours.get(entry["new"], ())]
        if there and there["uid"] != entry["new"] or others:
            self.say(
                "user.taken",
                "blocker",
                "user " + name,
                "its number or name was taken since the map was made",
                "%s has number %d, %d is %s's" % (target, there["uid"] if there else entry["new"], entry["new"], (others or [target])[0]),
                "run identity_map_info again, then this phase",
            )
            return
        shell = self._shell(user)
        # also where it is there: a run that was cut may have written passwd and not shadow
        self.made["rows"]["passwd"].append(":".join([target, "x", str(entry["new"]), str(entry["gid"]), user["gecos"], user["home"], shell]))
        self.made["rows"]["shadow"].append(":".join([target, self._password(user)] + user["aging"]))
        self.counts["created"] += there is None
        if target != name:
            self.explain("user " + name, "name", "the operator said so")
        old_group = next((g["name"] for g in self.old["groups"].values() if g["gid"] == user["gid"]), "")
        if self.identity.gid(user["gid"]) != entry["gid"]:
            self.explain("user " + name, "gid", "its primary group was %s, which may be more here, or has no name" % (old_group or user["gid"]))
        sharing = [u["name"] for u in self.new["users"].values() if u["home"] == user["home"] and u["uid"] != entry["new"] and user["home"] not in ("/", "")]
        if sharing:
            said = "%s is also the home of %s" % (user["home"], ", ".join(sharing))
            self.say("home.shared", "warning", "user " + name, "its home is somebody else's on this host", said, "give one of them another home")

    def _password(self, user):
        """The hash byte for byte; nobody gets in without one."""
        if user["hash"] == "":
            self.explain("user " + user["name"], "password", "it could log in without a password: it is locked")
            said = "the account is carried locked"
            self.say("password.empty", "warning", "user " + user["name"], "could log in without a password", said, "passwd " + escape(user["name"]))
            return "!"
        if usable(user["hash"]):
            what, weak = _accounts_weak.kind(user["hash"])
            if weak:
                advice = "chage -d 0 %s asks for a new one at the next login" % escape(user["name"])
                self.say("password.weak", "warning", "user " + user["name"], "a weak password hash, kept as it is", what, advice)
            if _accounts_weak.taken(user["hash"]) is False:
                advice = "set a new password: passwd " + escape(user["name"])
                self.say("password.unknown", "warning", "user " + user["name"], "this host can't verify such a hash", what, advice)
        return user["hash"]

    def _shell(self, user):
        """The shell, or nologin where the new host has none of that name."""
        if user["shell"] == "" or self.runs(user["shell"]):
            return user["shell"]
        self.explain("user " + user["name"], "shell", "%s is not on this host" % user["shell"])
        if not closed(user["shell"]):
            advice = "install it, then: usermod -s %s %s" % (escape(user["shell"]), escape(user["name"]))
            self.say("shell.missing", "warning", "user " + user["name"], "its shell is not on this host", "%s, now %s" % (user["shell"], self.nologin), advice)
        return self.nologin

    def _merged(self, user, entry):
        """An account that both hosts have: the host's own stays, but for a password that it never had."""
        name, live = user["name"], self.new["users"].get(_name(entry))
        if live is None or live["uid"] != entry["new"]:
            advice = "run identity_map_info again, then this phase"
            self.say("user.gone", "blocker", "user " + name, "it was on this host when the map was made, and is not now", "number %d" % entry["new"], advice)
            return
        self.counts["merged"] += 1
        for attribute in ("home", "shell"):
            if live[attribute] != user[attribute]:
                self.explain("user " + name, attribute, "the account was on this host before, and keeps its own")
        if self.identity.gid(user["gid"]) != live["gid"]:
            self.explain("user " + name, "gid", "the account was on this host before, and keeps its own")
        if live["hash"] == user["hash"]:
            return
        power = power_of(live, self.new)
        bare = live["hash"].strip("!*") == ""
        if bare and live["hash"] and user["hash"] and user["hash"].strip("!*") and not power and live["shadowed"]:
            self.made["replace"]["shadow"][live["name"]] = ":".join([live["name"], self._password(user)] + user["aging"])
        else:
            self.explain("user " + name, "password", "the account was on this host before, and keeps its own password")
            if power and usable(user["hash"]):
                advice = "passwd " + escape(live["name"])
                said = "it is in %s here" % ", ".join(power)
                self.say("password.left", "warning", "user " + name, "an old password is not given to an account with power", said, advice)
