# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a difference between two accounts sections means. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _ftp, _sudoers
from ansible_collections.intact.hosting.plugins.module_utils._baseline._groups_compare import group, make, person, quota


def compare(before, after):
    """Findings: accounts.{missing,new}, accounts.{uid,gid,home,shell,password,keys,expiry,owner,name}.changed,
    accounts.group.{missing,new,gid.changed,member.lost,member.new}, accounts.sudoers.*, accounts.ftp.*, accounts.quota.changed, accounts.system.new."""
    old, new = before.get("items", {}), after.get("items", {})
    out, system = [], []
    for subject in sorted(set(old) | set(new)):
        kind = subject.split(" ", 1)[0]
        if kind == "user":
            out += _user(subject, old.get(subject), new.get(subject), system)
        elif kind == "group":
            out += group(subject, old.get(subject), new.get(subject), system)
        elif kind == "quota" and old.get(subject) != new.get(subject):
            out.append(quota(subject, old.get(subject), new.get(subject)))
    out += _sudoers.compare(old, new) + _ftp.compare(old, new)
    if system:
        out.append(
            make(
                "system.new",
                "info",
                "system accounts",
                "packages brought new system accounts and groups",
                ", ".join(system),
                "",
                "new",
                "",
                None,
                ", ".join(system),
            )
        )
    return out


def _say(item):
    return "uid %s, group %s, home %s, shell %s, password %s" % (item["uid"], item["group"], item["home"], item["shell"] or "none", item["password"]["state"])


def _belongings(name):
    """What the files section says about files whose owner is now another account or none."""
    return [{"section": "files", "id": "files.owner.*", "subject": "account " + name}, {"section": "files", "id": "files.owner.*", "subject": "group " + name}]


def _user(subject, was, now, system):
    name = subject.split(" ", 1)[1]
    if now is None:
        severity = "blocker" if person(was["uid"]) else "warning"
        covers = _belongings(name) + [
            {"section": "accounts", "details": {"member": name}},
            {"section": "accounts", "id": "accounts.group.missing", "subject": "group " + name},
        ]
        return [
            make(
                "missing",
                severity,
                subject,
                "the account is gone",
                "was " + _say(was),
                "add it again with the same number: useradd -u %d ...; its files are still there under this number" % was["uid"],
                "missing",
                "",
                _say(was),
                None,
                covers,
                member=name,
            )
        ]
    if was is None:
        if not person(now["uid"]):
            system.append(name)
            return []
        root = now["uid"] == 0
        return [
            make(
                "new",
                "blocker" if root else "warning",
                subject,
                "a second account with all rights" if root else "a new account",
                _say(now),
                "find out who made it" if root else "expected? then allow it with a reason",
                "new",
                "",
                None,
                _say(now),
                [{"section": "accounts", "details": {"member": name}}, {"section": "accounts", "id": "accounts.group.new", "subject": "group " + name}],
            )
        ]
    return _changed(subject, name, was, now)


def _changed(subject, name, was, now):
    out, mine = [], person(was["uid"]) or person(now["uid"])
    loss = "blocker" if mine else "warning"
    home = [was["home"]] if was["home"].startswith("/") else []

    def add(ident, severity, title, evidence, remedy, attribute, covers=(), **more):
        out.append(
            make(
                ident,
                severity,
                subject,
                title,
                evidence,
                remedy,
                "changed",
                attribute,
                more.pop("before", was.get(attribute)),
                more.pop("after", now.get(attribute)),
                covers,
                **more,
            )
        )

    moved = was["uid"] != now["uid"]
    if moved:
        add(
            "uid.changed",
            "blocker",
            "the account has another number",
            "before: %d; now: %d; files it owned belong to whoever has the number %d" % (was["uid"], now["uid"], was["uid"]),
            "usermod -u %d %s, or chown every file it owned" % (was["uid"], name),
            "uid",
            _belongings(name),
        )
    if was["gid"] != now["gid"]:
        add(
            "gid.changed",
            loss,
            "the account has another primary group",
            "before: %s (%d); now: %s (%d)" % (was["group"], was["gid"], now["group"], now["gid"]),
            "usermod -g %s %s" % (was["group"], name),
            "gid",
        )
    if was["home"] != now["home"]:
        add(
            "home.changed",
            loss,
            "the account has another home",
            "before: %s; now: %s" % (was["home"], now["home"]),
            "usermod -d %s %s" % (was["home"], name),
            "home",
        )
    if was["shell"] != now["shell"]:
        add(
            "shell.changed",
            loss,
            "the account has another login shell",
            "before: %s; now: %s" % (was["shell"] or "none", now["shell"] or "none"),
            "chsh -s %s %s" % (was["shell"], name),
            "shell",
        )
    elif was["shell_there"] and not now["shell_there"]:
        add(
            "shell.missing",
            loss,
            "the login shell is not installed any more: nobody can log in",
            "%s is not there" % now["shell"],
            "install the shell's package or give the account another one",
            "shell_there",
        )
    out += _password(subject, name, was, now, loss)
    if [was["expires"], was["aging"]] != [now["expires"], now["aging"]]:
        add(
            "expiry.changed",
            "blocker" if mine and was["expires"] != now["expires"] else "warning",
            "the account's expiry or password ageing has changed",
            "expires (days since 1970): %s, now %s; min, max, warn, inactive days: %s, now %s"
            % (was["expires"] or "never", now["expires"] or "never", " ".join(a or "-" for a in was["aging"]), " ".join(a or "-" for a in now["aging"])),
            "chage -l %s shows it, chage sets it" % name,
            "expires",
        )
    if not moved and was["home"] == now["home"] and was["home_state"] != now["home_state"]:
        gone = now["home_state"] == "none"
        add(
            "owner.changed",
            loss,
            "the home directory is gone"
            if gone
            else "the home directory is there now"
            if was["home_state"] == "none"
            else "the home directory has another owner or mode",
            "%s before: %s; now: %s" % (was["home"], was["home_state"], now["home_state"]),
            "restore %s with its owner and mode" % was["home"],
            "home_state",
            # what is inside is compared by itself; only the directory's own entry is told here
            [{"section": "files", "subject": path} for path in home],
            paths=home,
        )
    lost, got = sorted(set(was["keys"]) - set(now["keys"])), sorted(set(now["keys"]) - set(was["keys"]))
    if lost or got:
        files = [p + "/.ssh" for p in home]
        add(
            "keys.changed",
            "blocker" if lost else "warning",
            "SSH keys that opened the account are gone" if lost else "new SSH keys open the account",
            "; ".join(x for x in ("lost: " + ", ".join(lost) if lost else "", "new: " + ", ".join(got) if got else "") if x),
            "look at authorized_keys of %s" % name,
            "keys",
            [{"section": "files", "path": path} for path in files],
            paths=home + files,
            before=", ".join(lost),
            after=", ".join(got),
        )
    if was["gecos"] != now["gecos"] and mine:
        add(
            "name.changed",
            "warning",
            "the account's description has changed",
            "before: %s; now: %s" % (was["gecos"], now["gecos"]),
            "chfn, if it was not meant",
            "gecos",
        )
    return out


def _password(subject, name, was, now, loss):
    a, b = was["password"], now["password"]
    if "unknown" in (a["state"], b["state"]):
        return []
    other = a["digest"] and b["digest"] and a["digest"] != b["digest"]
    if a["state"] == b["state"] and not other:
        return []
    title = (
        "the account has no password now: anybody may log in"
        if b["state"] == "empty"
        else "the account is locked now"
        if b["state"] == "locked" and a["state"] != "locked"
        else "the account is no longer locked"
        if a["state"] == "locked" and b["state"] != "locked"
        else "the account has a password now"
        if a["state"] == "empty"
        else "the account has another password"
    )
    severity = "blocker" if b["state"] == "empty" or a["state"] == "locked" and b["state"] != "locked" else loss
    return [
        make(
            "password.changed",
            severity,
            subject,
            title,
            "before: %s; now: %s%s" % (a["state"], b["state"], " (another)" if other else ""),
            "put the line of %s in /etc/shadow back from the backup (vipw -s)" % name,
            "changed",
            "password",
            a["state"],
            b["state"] + (" (another)" if other else ""),
        )
    ]
