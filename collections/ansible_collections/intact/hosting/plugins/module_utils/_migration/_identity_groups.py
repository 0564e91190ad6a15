# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who of the old host is who on the new one: groups, their members, and everybody's primary group. Pure."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_numbers, _identity_services
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_files import NAME, usable
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_users import CARRIED, MATCHED, NOBODIES

POWER, HARMLESS = _identity_services.POWER, _identity_services.HARMLESS


def plan(old, new, users, told, options, earlier):
    """{old name: {from old new how name why members [new names] left [names] }}; users: what _identity_users.plan() gave, whose entries get gid and group.

    options as there, and powers {old group: new group}. members are those that the group has to have on the new host; left: who is not carried into it.
    """
    deciding = _Deciding(old, new, users, options, earlier, told)
    shared, entries, leaders = {}, {}, {}
    for group in old["groups"].values():
        shared.setdefault(group["gid"], []).append(group)
    for gid, groups in shared.items():
        made = [deciding.group(group) for group in groups]
        entries.update((group["name"], entry) for group, entry in zip(groups, made))
        leaders[gid] = next((e for e in made if e["how"] in CARRIED), None)
        for entry in made:
            leader = leaders[gid]
            if leader and entry is not leader and entry["how"] in CARRIED and entry["new"] is not None and entry["new"] != leader["new"]:
                entry.update(how="orphan", why="shares number %d with %s, which is another group here" % (gid, leader["name"]), new=None)
                told.conflict(
                    "group", entry["from"], gid, entry["why"], "its files are mapped as those of %s; decide who needs the other group" % leader["name"]
                )
    _numbers(old, new, users, leaders, options, earlier, told)
    for entry in entries.values():
        leader = leaders[entry["old"]]
        if entry["new"] is None:
            entry["new"] = leader["new"] if leader else 0 if entry["old"] == 0 else _identity_numbers.orphan(entry["old"], options["range"])
    for name, entry in entries.items():
        _members(old, old["groups"][name], entry, new, users, told, options)
    _primaries(old, new, users, entries, told, options)
    return entries


def _numbers(old, new, users, leaders, options, earlier, told):
    """Numbers for new groups: a person's own group gets the person's, then whoever can keep one, then the rest in order."""
    taken = [g["gid"] for g in new["groups"].values()] + [u["gid"] for u in new["users"].values()]
    numbers = _identity_numbers.Numbers(taken, new["first_gid"], [g["gid"] for g in old["groups"].values()], span=options["range"])
    fresh = sorted((e for e in leaders.values() if e and e["how"] == "new" and e["new"] is None), key=lambda e: e["old"])
    for own in (True, False):
        for entry in fresh:
            user, before = users.get(entry["from"]), earlier.get(escape(entry["from"]), {})
            wanted = [before["new"]] if before.get("how") == "new" else []
            if own:
                wanted += [user["new"]] if user and user["how"] == "new" and user["old"] == entry["old"] else []
            else:
                wanted.append(entry["old"])
            for number in wanted:
                if entry["new"] is None and numbers.keeps(number):
                    entry["new"] = numbers.take(number)
    people = {u["new"] for u in users.values() if u["how"] == "new"}
    for entry in fresh:
        if entry["new"] is None:
            entry["new"] = numbers.fresh("the group %s" % escape(entry["from"]), people)
    told.say_moved("groups", [e for e in leaders.values() if e and e["how"] == "new"])


class _Deciding:
    def __init__(self, old, new, users, options, earlier, told):
        self.old, self.new, self.users, self.options, self.earlier, self.told = old, new, users, options, earlier, told
        self.targets, self.served, self.given = {}, {}, {}
        for name, group in old["groups"].items():
            if name in new["groups"] and self._candidates(name) and (group["gid"] < old["first_gid"] or group["gid"] in NOBODIES):
                self.served[name] = group["gid"]
        # as primary group of somebody carried
        self.needed = {old["users"][name]["gid"] for name, entry in users.items() if entry["how"] == "new"}

    def _candidates(self, name):
        return _identity_services.candidates(name, _identity_services.GROUPS, self.options["services"])

    def group(self, group):
        """The entry of one group; new is None where a number has to be found."""
        name, gid = group["name"], group["gid"]
        target = self.options["powers"].get(name) or self.options["rename"].get(name, name)
        entry = {"from": name, "old": gid, "new": None, "how": "orphan", "name": target, "why": "", "members": [], "left": []}
        system = gid < self.old["first_gid"] or gid in NOBODIES
        live = self.new["groups"].get(target)
        before = self.earlier.get(escape(name), {})
        if gid == 0:
            entry.update(dict(how="same", name="root") if name == "root" else {"why": "a second name of root's group is never carried"}, new=0)
        elif not NAME.match(target):
            self._refuse(entry, "%s is no name for a group" % target)
        elif live and not live["gid"]:
            self._refuse(entry, "it is a second name of root's group here")
        elif name in self.options["powers"]:
            self._found(entry, live, "said by the operator") if live else self._refuse(entry, "powers names %s, which this host does not have" % target)
        elif live and not system and before.get("how") in ("new", "same", "merged") and self._stays(before, live, target):
            entry.update(how=before["how"], new=live["gid"], why=os.fsdecode(unescape(before["why"])))
        elif live and before.get("how") == "new" and self._stays(before, live, target):
            entry.update(how="new", new=live["gid"], why=os.fsdecode(unescape(before["why"])))
        elif target in POWER and name not in self.options["carry"]:
            self._power(entry, live, system)
        elif system and self._service(entry):
            pass
        elif live and system and live["gid"] < self.new["first_gid"]:
            self._found(entry, live, "a group of both systems")
        elif live and (system or not self._unused(name, group, live)):
            self._refuse(entry, "a group called %s is here (number %d), with others in it or of the system" % (target, live["gid"]))
        elif live:
            self._found(entry, live, "the same group")
        elif not system or gid in self.needed or name in self.options["carry"] or self._carried(group):
            entry.update(how="new", why="no such group here")
        else:
            entry["why"] = "nobody who was carried is in it"
        if entry["how"] in MATCHED and entry["new"] not in NOBODIES and self.given.setdefault(entry["new"], gid) != gid:
            self._refuse(entry, "number %d of this host is another old group's already" % entry["new"])
        if entry["how"] == "new" and self.targets.setdefault(target, name) != name:
            self._refuse(entry, "%s would get the same name here" % self.targets[target])
        return entry

    @staticmethod
    def _stays(before, live, target):
        """Whether this is still the group of an earlier decision."""
        return before.get("new") == live["gid"] and before.get("name") == escape(target)

    def _found(self, entry, live, why):
        entry.update(how="same" if live["gid"] == entry["old"] else "merged", new=live["gid"], why=why)

    def _refuse(self, entry, why):
        self.told.conflict("group", entry["from"], entry["old"], why, "rename: {%s: NEWNAME}, or remove the group of this host" % escape(entry["from"]))
        entry.update(how="orphan", why=why, new=None)

    def _power(self, entry, live, system):
        """A group with power keeps its files where both systems have it; members are another matter (_members)."""
        if live and system and live["gid"] < self.new["first_gid"]:
            self._found(entry, live, "a group of both systems, with power")
        elif live:
            self._refuse(entry, "here a group of this name has power")
        else:
            entry["why"] = "groups of this name have power, and this host has none"

    def _service(self, entry):
        name, gid = entry["from"], entry["old"]
        for target in self._candidates(name):
            live = self.new["groups"].get(target)
            if live is None or not live["gid"] or live["gid"] >= self.new["first_gid"] and live["gid"] not in NOBODIES:
                continue
            if target not in _identity_services.NOBODY and self.served.setdefault(target, gid) != gid:
                self.told.say("service.second", "warning", "group " + name, "two services of the old host would become one", "%s is taken" % target, "services")
                entry["why"] = "%s is another old service's here already" % target
                return True
            entry.update(how="service", new=live["gid"], name=target, why="the service's group is called %s here" % target)
            return True
        return False

    def _unused(self, name, group, live):
        """Whether a live group is free to be the old one: the own group of an account that is the same person, or nobody's."""
        if live["gid"] < self.new["first_gid"]:
            return False
        user = self.users.get(name)
        if user and user["how"] in ("same", "merged") and user["name"] == live["name"] and self.new["users"][user["name"]]["gid"] == live["gid"]:
            return set(live["members"]) <= set(group["members"]) | {user["name"]}
        return not live["members"] and all(u["gid"] != live["gid"] for u in self.new["users"].values())

    def _carried(self, group):
        return any(self.users.get(m, {}).get("how") in CARRIED and self.users[m]["old"] != 0 for m in group["members"])


def gives(entry, new, options):
    """Whether being in this group on the new host could be more than it was on the old one: "power", "system" or ""."""
    live = new["groups"].get(entry["name"])
    if entry["from"] in options["powers"]:
        return ""
    if entry["name"] in POWER:
        return "power"
    # www-data of one host is what apache was on the other: no more than they had
    system = live is not None and live["gid"] < new["first_gid"] and entry["how"] in ("same", "merged") and entry["name"] not in HARMLESS
    return "system" if system else ""


def _members(old, group, entry, new, users, told, options):
    # services in one another's groups are how the old system was made, and the new one is made its own way
    people = [m for m in group["members"] if m in users and users[m]["old"] and (usable(old["users"][m]["hash"]) or users[m]["old"] >= old["first_uid"])]
    live = new["groups"].get(entry["name"])
    of_system = live is not None and live["gid"] < new["first_gid"]
    known = people if of_system else [m for m in group["members"] if m in users and users[m]["old"]]
    carried = {m: users[m]["name"] for m in known if users[m]["how"] in CARRIED}
    unknown = [m for m in group["members"] if m not in users]
    why = gives(entry, new, options)
    if unknown:
        said = ", ".join(escape(m) for m in unknown)
        told.say("member.unknown", "info", "group " + group["name"], "has members that are no accounts", said)
    if entry["how"] not in CARRIED or why:
        entry["left"] = sorted(escape(m) for m in people)
        if entry["left"]:
            told.say(
                "member." + (why or "left"),
                "warning",
                "group " + group["name"],
                {"power": "members of a group with power are not carried", "system": "members of a group of the system are not carried"}.get(
                    why, "the group is not carried, nor are its members"
                ),
                ", ".join(entry["left"]) + ("" if why else ": " + entry["why"]),
                "powers: {%s: %s} puts them in, when they may have that" % (escape(group["name"]), escape(entry["name"])),
            )
        return
    entry["members"] = sorted(set(carried.values()))
    entry["left"] = sorted(escape(m) for m in people if m not in carried)


def _primaries(old, new, users, entries, told, options):
    """gid and group of every new user: the old primary group's, unless that would be power; then a group of its own, then nobody's."""
    by_gid = {}
    for name, group in old["groups"].items():
        if group["gid"] not in by_gid or by_gid[group["gid"]]["how"] not in CARRIED and entries[name]["how"] in CARRIED:
            by_gid[group["gid"]] = entries[name]
    for name, user in users.items():
        if user["how"] != "new":
            continue
        entry = by_gid.get(old["users"][name]["gid"])
        if entry and entry["how"] in CARRIED and entry["old"] != 0 and not gives(entry, new, options):
            user.update(gid=entry["new"], group=entry["name"])
            continue
        why = "its primary group was %d, without a name" % old["users"][name]["gid"] if entry is None else "its primary group was %s" % entry["from"]
        own = entries.get(name)
        nobody = next((new["groups"][n] for n in _identity_services.NOBODY[::-1] if new["groups"].get(n, {}).get("gid")), None)
        if own and own["how"] in ("new", "same", "merged") and not gives(own, new, options):
            user.update(gid=own["new"], group=own["name"])
        elif nobody:
            user.update(gid=nobody["gid"], group=nobody["name"])
        else:
            user.update(gid=_identity_numbers.orphan(old["users"][name]["gid"], options["range"]), group="")
        said = "%s, which it does not get here; it gets %s" % (why, user["group"] or "number %d" % user["gid"])
        told.say("primary", "warning", "user " + name, "gets another primary group", said, "usermod -g, when it needs another one")
