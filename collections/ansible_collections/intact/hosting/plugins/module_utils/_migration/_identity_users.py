# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who of the old host is who on the new one: users. Pure; nobody gets access that they did not have, and where that can't be told it is a conflict."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_numbers, _identity_services
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_files import NAME, closed, usable

CARRIED = ("same", "new", "merged", "service")
MATCHED = ("same", "merged", "service")
# nobody's numbers: 16 bits, NFS, and what 32-bit systems called -2
NOBODIES = (65534, 4294967294)


class Told:
    """Findings and conflicts of one plan."""

    def __init__(self):
        self.findings, self.conflicts = [], []

    def say(self, ident, severity, subject, title, evidence="", remedy="", **details):
        """One more finding identity.IDENT."""
        self.findings.append(Finding("identity." + ident, severity, escape(subject), title, escape(evidence), remedy, details=details).as_dict())

    def say_moved(self, what, entries):
        """One finding for all that could not keep their numbers."""
        moved = ["%s %d becomes %d" % (e["from"], e["old"], e["new"]) for e in sorted(entries, key=lambda e: e["old"]) if e["old"] != e["new"]]
        if moved:
            self.say("moved", "info", what, "%d get other numbers, as theirs are not free or not for people here" % len(moved), "; ".join(moved))

    def conflict(self, kind, name, number, why, remedy):
        """One more conflict: a blocker, until the operator has said who that is."""
        self.conflicts.append({"kind": kind, "name": escape(name), "old": number, "why": escape(why)})
        said = "the same name on both hosts, and nothing says that it is the same one" if kind == "user" else "the group can't be matched"
        self.say("conflict", "blocker", "%s %s" % (kind, name), said, why, remedy, kind=kind, name=escape(name))


def plan(old, new, told, options, earlier):
    """{old name: {old new how name why}} for every user of the old side; see _identity_files.side() for the sides.

    options: {same [names] rename {old: new} services {old: new} carry [names] range}. earlier: the users of an earlier map.
    """
    numbers = _identity_numbers.Numbers(
        [u["uid"] for u in new["users"].values()], new["first_uid"], [u["uid"] for u in old["users"].values()], span=options["range"]
    )
    deciding = _Deciding(old, new, told, options, earlier)
    shared = {}
    for user in old["users"].values():
        shared.setdefault(user["uid"], []).append(user)
    entries, leaders = {}, {}
    for uid, users in shared.items():
        made = [deciding.user(user) for user in users]
        leaders[uid] = _lead(made, told, options, new["first_uid"])
        entries.update((user["name"], entry) for user, entry in zip(users, made))
    fresh = [entry for entry in leaders.values() if entry and entry["how"] == "new" and entry["new"] is None]
    live_groups = {g["gid"] for g in new["groups"].values()} | {u["gid"] for u in new["users"].values()}
    for entry in fresh:  # first whoever can keep a number, so that nobody is moved onto it
        before = earlier.get(escape(entry["from"]), {})
        for number in ([before["new"]] if before.get("how") == "new" else []) + [entry["old"]]:
            if entry["new"] is None and numbers.keeps(number):
                entry["new"] = numbers.take(number)
    for entry in sorted((e for e in fresh if e["new"] is None), key=lambda e: e["old"]):
        entry["new"] = numbers.system(entry["from"]) if entry["system"] else numbers.fresh("the account %s" % escape(entry["from"]), live_groups)
    told.say_moved("users", [e for e in leaders.values() if e and e["how"] == "new"])
    for entry in entries.values():
        leader = leaders[entry["old"]]
        if entry["new"] is None:
            entry["new"] = leader["new"] if leader else 0 if entry["old"] == 0 else _identity_numbers.orphan(entry["old"], options["range"])
        if entry["how"] == "orphan" and leader and leader is not entry:
            entry["why"] += "; its files are %s's" % leader["name"]
    return entries


def _lead(made, told, options, first):
    """The entry whose number the files of one old number get, or None; whoever shares it and can't have that number is a conflict."""
    leader = next((e for e in made if e["how"] in CARRIED), None)
    for entry in made:
        if leader is None or entry is leader or entry["how"] not in CARRIED or entry["old"] == 0:
            continue
        if entry["new"] is not None and entry["new"] != leader["new"]:
            why = "shares number %d with %s, which is another account here" % (entry["old"], leader["from"])
        elif (
            entry["how"] == "new"
            and leader["how"] in MATCHED
            and (leader["how"] == "service" or leader["new"] < first)
            and entry["from"] not in options["carry"]
        ):
            why = "shares number %d with the service %s: whoever logs in as it would be that service of this host" % (entry["old"], leader["name"])
        else:
            continue
        told.conflict("user", entry["from"], entry["old"], why, "name it in carry, or let it go: its files are mapped as those of %s" % escape(leader["from"]))
        entry.update(how="orphan", why=why, new=None)
    return leader


class _Deciding:
    def __init__(self, old, new, told, options, earlier):
        self.old, self.new, self.told, self.options, self.earlier = old, new, told, options, earlier
        self.targets, self.given = {}, {}
        # a service that is called the same on both hosts is nobody else's
        self.served = {n: u["uid"] for n, u in old["users"].items() if n in new["users"] and self._serves(u)}

    def _serves(self, user):
        """Whether an account of the old host is a service's by its name, and no person's of that name."""
        person = self.old["first_uid"] <= user["uid"] and user["uid"] not in NOBODIES
        # a suspended customer has a hash behind the lock, a service never had one
        return bool(self._candidates(user["name"])) and not (person and (usable(user["hash"]) or user["hash"].strip("!*")))

    def _candidates(self, name):
        return _identity_services.candidates(name, _identity_services.USERS, self.options["services"])

    def user(self, user):
        """The entry of one user: {from, old, new (None: not yet given), how, name, why, system}."""
        name, uid = user["name"], user["uid"]
        target = self.options["rename"].get(name, name)
        entry = {"from": name, "old": uid, "new": None, "how": "orphan", "name": target, "why": "", "system": False}
        if uid == 0:
            return self._root(user, entry)
        person = self.old["first_uid"] <= uid and uid not in NOBODIES
        if not NAME.match(target):
            return self._refuse(entry, "%s is no name for an account" % target)
        before, live = self.earlier.get(escape(name), {}), self.new["users"].get(target)
        # what was decided stays: by now its files and keys are here, and would make it look like somebody else
        stays = live and before.get("new") == live["uid"] and before.get("name") == escape(target)
        if stays and live["uid"] and before["how"] in ("new", "same", "merged") and (person or before["how"] == "new"):
            entry.update(how=before["how"], new=live["uid"], why=os.fsdecode(unescape(before["why"])), system=not person)
        elif self._serves(user):
            self._service(user, entry, person)
        elif person or name in self.options["carry"]:
            self._person(user, entry, live, person)
        elif live and not live["uid"]:
            self._refuse(entry, "it is a second name of root here")
        elif live and live["uid"] < self.new["first_uid"]:
            entry.update(how="same" if live["uid"] == uid else "merged", new=live["uid"], why="a service of both systems")
        elif live:
            self._refuse(entry, "a service on the old host, and a person's account here")
        else:
            entry["why"] = "a service that this host does not have"
        if entry["how"] in MATCHED and entry["new"] not in NOBODIES and self.given.setdefault(entry["new"], uid) != uid:
            self._refuse(entry, "number %d of this host is another old account's already" % entry["new"])
        if not person and usable(user["hash"]) and user["hash"] and not closed(user["shell"]):
            carried = "it is carried, as said" if entry["how"] == "new" else "the password is not carried"
            self.told.say(
                "system.login",
                "warning",
                "user " + name,
                "a system account that could log in",
                "number %d, shell %s, a password is set: %s" % (uid, user["shell"] or "/bin/sh", carried),
                "whose is it? Name it in carry when a person needs it here",
            )
        if entry["how"] == "new" and self.targets.setdefault(target, name) != name:
            self._refuse(entry, "%s would get the same name here" % self.targets[target])
        return entry

    def _root(self, user, entry):
        if user["name"] == "root":
            entry.update(how="same", new=0, name="root", why="root is root; the password of this host stays")
        else:
            entry.update(new=0, why="a second name of root is never carried")
            self.told.say(
                "root.alias",
                "warning",
                "user " + user["name"],
                "a second name of root",
                "number 0, home %s, shell %s; it is not carried" % (user["home"], user["shell"] or "/bin/sh"),
                "find out who used it; give that person an account and a rule of sudo",
            )
        return entry

    def _refuse(self, entry, why):
        remedy = "say who that is: same: [%(n)s] when it is the same, rename: {%(n)s: NEWNAME} when not" % {"n": escape(entry["from"])}
        self.told.conflict("user", entry["from"], entry["old"], why, remedy)
        entry.update(how="orphan", why=why, new=None)
        return entry

    def _service(self, user, entry, person):
        name, uid = user["name"], user["uid"]
        for target in self._candidates(name):
            live = self.new["users"].get(target)
            if live is None or not live["uid"] or live["uid"] >= self.new["first_uid"] and live["uid"] not in NOBODIES:
                continue
            if target not in _identity_services.NOBODY and self.served.setdefault(target, uid) != uid:
                entry["why"] = "%s is another old service's here already" % target
                self.told.say(
                    "service.second",
                    "warning",
                    "user " + name,
                    "two services of the old host would become one",
                    "%s is taken; the files of %s go to number %d" % (target, name, _identity_numbers.orphan(uid, self.options["range"])),
                    "say what it is: services: {%s: NAME}" % escape(name),
                )
                return
            entry.update(how="service", new=live["uid"], name=target, why="the service is called %s here" % target)
            return
        if person or name in self.options["carry"]:
            self._person(user, entry, self.new["users"].get(entry["name"]), person)
            return
        entry["why"] = "a service that this host does not have"

    def _person(self, user, entry, live, person):
        entry["system"] = not person
        if live is None:
            power = [] if user["name"] in self.options["same"] else power_of({"name": entry["name"], "gid": None}, self.new)
            if power:
                self._refuse(entry, "there is no such account here, and its name has power already (%s)" % ", ".join(power))
            else:
                entry.update(how="new", why="no such account here")
            return
        why = self._other(user, live)
        if why:
            self._refuse(entry, why)
        else:
            entry.update(how="same" if live["uid"] == user["uid"] else "merged", new=live["uid"], why="the same person")

    def _other(self, user, live):
        """Why an account of this host is not the old one's, "" when it is. The rule: said by the operator, or the same home and
        (the same password, or one that was never used: no password, no keys), and never one with power."""
        if user["name"] in self.options["same"] and live["uid"]:
            return ""
        if live["uid"] < self.new["first_uid"]:
            return "%s is a service of this host (number %d)" % (live["name"], live["uid"])
        power = power_of(live, self.new)
        if power:
            return "%s has power here (%s)" % (live["name"], ", ".join(power))
        if user["home"] != live["home"]:
            return "its home was %s and is %s here" % (user["home"], live["home"])
        if usable(live["hash"]):
            return "" if live["hash"] and live["hash"] == user["hash"] else "it has a password of its own here"
        return "it has keys here, so somebody uses it" if live["name"] in self.new.get("keyed", ()) else ""


def power_of(user, side):
    """Names of the groups with power that a user is in, and whether sudo knows the user by name."""
    groups = sorted(
        g["name"] for g in side["groups"].values() if g["name"] in _identity_services.POWER and (user["name"] in g["members"] or g["gid"] == user["gid"])
    )
    return groups + (["a rule of sudo"] if user["name"] in side.get("sudo", ()) else [])
