# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mail: every mailbox with its folders and messages, aliases, filters, the mail server's settings and what its ports offer."""

from __future__ import annotations

import collections
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _digests, _mailboxes, _mailports
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "mail"
RESTORE = "restore it from the backup, or allow the change with a reason if the customer did it"
MAPS = {"virtual_alias_maps": "alias", "alias_maps": "alias", "virtual_mailbox_maps": "address", "virtual_mailbox_domains": "domain", "transport_maps": "transport",
        "relay_domains": "domain", "relay_recipient_maps": "address", "sender_bcc_maps": "copy", "recipient_bcc_maps": "copy", "smtpd_sender_login_maps": "login"}
FILES = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash")


def capture(system):
    """Items: mailboxes by user name, "alias NAME", "domain NAME", "port 25", "postfix SETTING".

    Options: content_bytes (at most so much mail is read in full; above it a message is known by name and size), messages_listed (for one folder),
    ports (list, [] for none).
    """
    if not any(system.which(p) for p in ("postconf", "doveadm", "exim4", "exim", "sendmail")):
        return None
    items = {}
    items.update(_mailbox_items(system))
    if system.which("postconf"):
        items.update(_postfix(system))
    for port in system.options.get("ports", sorted(_mailports.PORTS)):
        answer = _mailports.look(system, int(port))
        if answer is not None:
            items["port %d" % port] = dict(answer, kind="port")
    boxes = [item for item in items.values() if item["kind"] == "mailbox"]
    folders = [f for box in boxes for f in box["folders"].values()]
    return {"items": items, "summary": {
        "mailboxes": len(boxes), "folders": len(folders), "messages": sum(f["messages"] or 0 for f in folders),
        "aliases and addresses": sum(1 for item in items.values() if item["kind"] == "map entry")}}


def _mailbox_items(system):
    spent = [int(system.options.get("content_bytes", 20 * 2 ** 30))]

    def budget(count):
        if count > spent[0] or not system.spend(count):
            return False
        spent[0] -= count
        return True

    items, secrets = {}, _secrets(system)
    for user, (inbox, other, home) in sorted(_places(system).items()):
        system.remaining()
        root = posixpath.dirname(other)
        try:
            if system.exists(inbox + "/dbox-Mails"):
                folders = _by_dovecot(system, user)
            else:
                folders = _mailboxes.read(system, inbox, other, int(system.options.get("messages_listed", 50000)), budget)
        except OSError as exc:
            system.skip("mailbox %s" % escape(user), "%s: %s" % (escape(inbox), exc.strerror))
            continue
        more = _mailboxes.extras(system, home, root, inbox)
        if not folders and not more["filters"] and not more["active"]:
            continue
        for name, folder in folders.items():
            if folder["by"] != "content":
                system.skip("mailbox %s: %s" % (escape(user), name), "too much mail for the limit: messages are known by %s only" % folder["by"])
        items[escape(user)] = dict(more, kind="mailbox", folders=folders, secret=_digests.keyed(system, secrets[user]) if user in secrets else "",
                                   home=escape(home), paths=sorted({escape(inbox)} | ({escape(root)} if root != home else set())))
    return items


def _places(system):
    """{user: (path of INBOX, path that a folder called PROBE has, home)} as Dovecot says, or else from the accounts.

    doveadm mailbox path only computes names: unlike mailbox status it does not touch the mailbox.
    """
    accounts = {line.split(":")[0]: line.split(":")[5] for line in system.text("/etc/passwd").splitlines() if line.count(":") == 6}
    if not system.which("doveadm"):
        places = {}
        for user, home in accounts.items():
            if system.exists(home + "/Maildir/cur"):
                places[user] = (home + "/Maildir", home + "/Maildir/.intactprobe", home)
            elif system.exists("/var/mail/" + user):
                places[user] = ("/var/mail/" + user, home + "/mail/intactprobe", home)
        return places
    found = []
    for folder in ("INBOX", _mailboxes.PROBE):
        result = system.run(["doveadm", "-f", "tab", "mailbox", "path", "-t", "mailbox", "-A", folder], check=False)
        if result.rc not in (0, 65, 67, 68) and not result.out:
            raise IntactError("Dovecot can't say where its mailboxes are: %s" % (result.error.splitlines() or ["doveadm ended with status %d" % result.rc])[-1])
        found.append(dict(line.split("\t", 1) for line in result.text.split("\n")[1:] if "\t" in line))
    places = {}
    for user in set(found[0]) & set(found[1]):
        inbox, other = found[0][user], found[1][user]
        home = accounts.get(user) or (posixpath.dirname(inbox) if posixpath.basename(inbox).lower() in ("maildir", ".maildir", "mail") else inbox)
        if posixpath.isabs(inbox) and posixpath.isabs(other) and posixpath.dirname(other) not in ("/", "//", "//mail"):
            places[user] = (inbox, other, home)
    return places


def _by_dovecot(system, user):
    """Folders of a format that only Dovecot can read (dbox): counted, and known by the messages' global ids."""
    result = system.run(["doveadm", "-f", "tab", "fetch", "-u", user, "mailbox guid flags", "all"], timeout=3600)
    found = {}
    for line in result.text.split("\n")[1:]:
        fields = line.split("\t")
        if len(fields) == 3:
            marks = {word.strip("\\").lower() for word in fields[2].split() if word.startswith("\\")} & set(_mailboxes.FLAGS.values())
            found.setdefault(escape(fields[0]), []).append((_digests.short(fields[1])[:10], marks))
    return {name: dict(_mailboxes.folder(messages, "content", 50000), path="") for name, messages in found.items()}


def _secrets(system):
    """{user: password hash} from Dovecot's password files."""
    out = {}
    if not system.which("doveconf"):
        return out
    text = system.run(["doveconf", "-n"], check=False).text
    paths = re.findall(r"^\s*passwd_file_path\s*=\s*(\S+)", text, re.MULTILINE)
    paths += [words[-1] for words in (a.split() for a in re.findall(r"passdb \{\s*args = ([^\n]*)\n\s*driver = passwd-file", text)) if words]
    for path in paths:
        for line in system.text(path).splitlines():
            user, _colon, rest = line.partition(":")
            if rest and not user.startswith("#"):
                out.setdefault(user, re.sub(r"^\{[^}]*\}", "", rest.split(":")[0]))
    return out


def _postfix(system):
    """Postfix's settings and the entries of its tables."""
    items, settings = {}, {}
    for line in system.run(["postconf", "-n"]).text.splitlines():
        name, equals, value = line.partition(" =")
        if equals:
            settings[name.strip()] = re.sub(r"[,\s]+", " ", value).strip()
    for name, value in settings.items():
        if MAPS.get(name) == "domain" and ":" not in value:
            # each domain is an item of its own
            continue
        items["postfix %s" % name] = {"kind": "setting", "value": value}
    asked = system.run(["postconf", "-x"] + sorted(MAPS), check=False).text
    seen = set()
    for line in asked.splitlines():
        name, equals, value = line.partition(" =")
        kind = MAPS.get(name.strip())
        if not equals or not kind:
            continue
        for word in re.split(r"[,\s]+", value.strip()):
            if not word or word.startswith("$"):
                continue
            scheme, colon, path = word.partition(":")
            if not colon and kind == "domain":
                items["domain %s" % escape(word)] = {"kind": "map entry", "value": "postfix", "path": "/etc/postfix/main.cf"}
            elif scheme in FILES and (kind, path) not in seen:
                seen.add((kind, path))
                items.update(_table(system, kind, scheme, path))
    return items


def _table(system, kind, scheme, path):
    if scheme == "texthash":
        rows = [line.split(None, 1) for line in system.text(path).splitlines() if line.strip() and not line.startswith("#")]
    else:
        result = system.run(["postmap", "-s", "%s:%s" % (scheme, path)], check=False)
        if result.rc != 0 and not result.out:
            words = (result.error.splitlines() or ["postmap ended with status %d" % result.rc])[-1]
            return {"table %s" % path: {"kind": "table", "error": re.sub(r"^postmap: (?:fatal|error|warning): ", "", words), "path": path}}
        rows = [line.split("\t", 1) for line in result.text.split("\n") if line]
    out = {"table %s" % path: {"kind": "table", "path": path, "entries": len(rows)}}
    for row in rows:
        name, value = (list(row) + [""])[:2]
        # a table made by newaliases ends its names with a zero byte
        name = escape(name.rstrip("\0").rstrip(":"))
        value = ", ".join(sorted(part for part in re.split(r",\s*", value.rstrip("\0").strip()) if part))
        if name not in ("@", "@:@", "YP_LAST_MODIFIED", "YP_MASTER_NAME"):
            out["%s %s" % (kind, name)] = {"kind": "map entry", "value": escape(value), "path": path}
    return out


def compare(before, after):
    """Findings: mailboxes, folders and messages that are gone, aliases and settings that differ, ports that offer less."""
    old, new = before.get("items", {}), after.get("items", {})
    broken = {item["path"] for item in new.values() if item["kind"] == "table" and item.get("error")}
    broken |= {item["path"] for s, item in old.items() if item["kind"] == "table" and s not in new}
    out = []
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        kind = (now or was)["kind"]
        if kind == "mailbox":
            out += _mailbox(subject, was, now)
        elif kind == "port":
            out += _port(subject, was, now)
        elif kind == "setting":
            if was != now:
                out.append(_finding("setting.changed", "warning", subject, "Postfix's setting differs", "was %s, is %s" % tuple(repr(i["value"]) if i else "not set" for i in (was, now)),
                                    "changed", "value", was and was["value"], now and now["value"], ["/etc/postfix/main.cf"], remedy="compare main.cf with the backup"))
        elif kind == "table":
            out += _table_change(subject, was, now)
        elif was != now and (now or was)["path"] not in broken:
            out.append(_entry(subject, was, now))
    return out


def _finding(name, severity, subject, title, evidence, change, attribute, before, after, paths, check="QF17", remedy=RESTORE, covers=None):
    files = [p for p in paths if p.startswith("/")]
    return Finding(id="mail." + name, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy, check=check,
                   details=_compare.details(change, attribute, before, after, paths=paths),
                   covers=[{"section": "files", "path": p} for p in (files if covers is None else covers)])


def _entry(subject, was, now):
    kind, name = subject.split(" ", 1)
    path = (now or was)["path"]
    covers = [path, path + ".db", path + ".lmdb", path + ".cdb"]
    if now is None:
        return _finding("%s.missing" % kind, "blocker", subject, "the %s is gone" % kind, "it led to %s" % was["value"], "missing", "", was["value"], None, [path], covers=covers)
    if was is None:
        return _finding("%s.new" % kind, "warning", subject, "%s was not there before" % name, "it leads to %s" % now["value"], "new", "", None, now["value"], [path],
                        remedy="find out who made it", covers=covers)
    return _finding("%s.changed" % kind, "blocker", subject, "the %s leads elsewhere" % kind, "was %s, is %s" % (was["value"], now["value"]), "changed", "value",
                    was["value"], now["value"], [path], covers=covers)


def _table_change(subject, was, now):
    if was and now and now.get("error") and not was.get("error"):
        return [_finding("table.unread", "blocker", subject, "the mail server's table can't be read", "%d entries before; %s" % (was.get("entries", 0), now["error"]), "changed", "error",
                         None, now["error"], [now["path"]], remedy="rebuild it with postmap, or change its type")]
    if now is None:
        return [_finding("table.missing", "blocker", subject, "the mail server no longer uses the table", "it had %d entries" % was.get("entries", 0), "missing", "", None, None,
                         [was["path"]], remedy="compare main.cf with the backup")]
    return []


def _port(subject, was, now):
    number = subject.split()[1]
    paths = ["socket:0.0.0.0:" + number, "socket:[::]:" + number, "socket:*:" + number] + ["service:" + u for u in (
        ("postfix.service", "postfix@-.service", "exim4.service") if (now or was)["protocol"] == "smtp" else ("dovecot.service", "courier-imap.service"))]
    if now is None or now.get("error"):
        if was.get("error"):
            return []
        dead = _finding("port.unanswered", "blocker", subject, "%s does not answer" % was["protocol"].upper(), (now or {}).get("error", "nothing listens"), "missing", "", None, None, paths,
                        check="QF14", remedy="start its service and look at its log", covers=[])
        # what a dead port can't show of its certificate is no second event
        dead.covers = [{"section": "tls", "path": "mailport:" + number}]
        return [dead]
    if was is None or was.get("error"):
        return [_finding("port.new", "info", subject, "%s answers where it did not before" % now["protocol"].upper(), "", "new", "", None, None, paths, check="QF14", remedy="")]
    lost = ["STARTTLS"] if was["starttls"] and not now["starttls"] else []
    lost += ["login by %s" % name for name in was["auth"] if name not in now["auth"]]
    lost += ["login"] if was.get("login") and not now.get("login") and not lost else []
    lost += ["greeting %s (now %s)" % (was["greeting"], now["greeting"])] if was["greeting"] != now["greeting"] else []
    gained = ["login by %s" % name for name in now["auth"] if name not in was["auth"]] + (["login without TLS"] if now.get("login") and was.get("login") is False else [])
    if lost:
        return [_finding("port.changed", "blocker", subject, "the server offers less than before", "gone: " + ", ".join(lost), "changed", "offers", lost, gained, paths, check="QF14",
                         remedy="compare the mail server's configuration with the backup")]
    if gained:
        return [_finding("port.more", "warning", subject, "the server offers what it did not before", ", ".join(gained), "changed", "offers", lost, gained, paths, check="QF14",
                         remedy="check that it is meant")]
    return []


def _mailbox(user, was, now):
    if now is None:
        count = sum(f["messages"] or 0 for f in was["folders"].values())
        return [_finding("mailbox.missing", "blocker", user, "the mailbox is gone", "it held %d messages in %d folders" % (count, len(was["folders"])), "missing", "", count, None, was["paths"])]
    if was is None:
        return [_finding("mailbox.new", "warning", user, "a mailbox that was not there before", "%d folders" % len(now["folders"]), "new", "", None, None, now["paths"], remedy="find out who made it")]
    out = []
    everywhere = collections.Counter(i for f in now["folders"].values() for i in f.get("ids", []))
    kept = collections.Counter()
    for name, folder in now["folders"].items():
        if name in was["folders"] and was["folders"][name]["by"] == folder["by"]:
            kept.update(collections.Counter(was["folders"][name].get("ids", [])) & collections.Counter(folder.get("ids", [])))
    # messages that stand in another folder than before were moved, not lost
    spare = everywhere - kept
    for name in sorted(was["folders"]):
        out += _folder(user, name, was["folders"][name], now["folders"].get(name), spare)
    out += _attributes(user, was, now)
    return out


def _folder(user, name, was, now, spare):
    subject, paths = "%s: %s" % (user, name), [p for p in (was.get("path"),) if p]
    if now is None:
        return [_finding("folder.missing", "blocker", subject, "the mailbox's folder is gone", "it held %s messages" % was["messages"], "missing", "", was["messages"], None, paths)]
    if was["digest"] == now["digest"] and was["by"] == now["by"] and was["messages"] == now["messages"]:
        return _flags(subject, was, now, paths)
    if was["messages"] is None or now["messages"] is None:
        if (now.get("bytes") or 0) < (was.get("bytes") or 0):
            return [_finding("messages.lost", "blocker", subject, "the folder is smaller", "%s bytes, now %s" % (was.get("bytes"), now.get("bytes")), "changed", "bytes", was.get("bytes"),
                             now.get("bytes"), paths)]
        return []
    if "ids" in was and "ids" in now and was["by"] == now["by"]:
        missing = collections.Counter(was["ids"]) - collections.Counter(now["ids"])
        moved = missing & spare
        spare.subtract(moved)
        lost = sum((missing - moved).values())
        if not lost:
            return []
        fresh = sum((collections.Counter(now["ids"]) - collections.Counter(was["ids"])).values())
        if now["messages"] == was["messages"] and fresh >= lost:
            return [_finding("messages.changed", "blocker", subject, "messages changed", "%d of %d messages have other content" % (lost, was["messages"]), "changed", "messages",
                             was["messages"], now["messages"], paths)]
        return [_finding("messages.lost", "blocker", subject, "messages are gone", "%d of %d messages, %d others came in" % (lost, was["messages"], fresh), "changed", "messages",
                         was["messages"], now["messages"], paths)]
    if now["messages"] < was["messages"]:
        return [_finding("messages.lost", "blocker", subject, "messages are gone", "%d messages, now %d" % (was["messages"], now["messages"]), "changed", "messages",
                         was["messages"], now["messages"], paths)]
    return []


def _flags(subject, was, now, paths):
    # marks that disappear from many messages at once were not taken away by a reader
    fallen = {k: (v, now["flags"].get(k, 0)) for k, v in was["flags"].items() if now["flags"].get(k, 0) < v and k != "deleted"}
    if not any(new == 0 or old - new > max(5, old // 4) for old, new in fallen.values()):
        return []
    return [_finding("flags.lost", "warning", subject, "messages lost their marks", ", ".join("%s on %d, now %d" % (k, a, b) for k, (a, b) in sorted(fallen.items())), "changed", "flags",
                     was["flags"], now["flags"], paths)]


def _attributes(user, was, now):
    out, paths = [], was["paths"]
    # a folder that is gone is told by itself
    lost = sorted(name for name in set(was["subscriptions"]) - set(now["subscriptions"]) if name in now["folders"])
    if lost:
        out.append(_finding("subscriptions.lost", "warning", user, "the mailbox lost subscriptions to folders", ", ".join(lost), "changed", "subscriptions", was["subscriptions"],
                            now["subscriptions"], paths, covers=[]))
    changes = ["%s %s" % (name, "is gone" if name not in now["filters"] else "changed") for name in sorted(was["filters"]) if now["filters"].get(name) != was["filters"][name]]
    if was["active"] != now["active"]:
        changes.append("the active one was %s, is %s" % (was["active"] or "none", now["active"] or "none"))
    if changes:
        home = was["home"]
        out.append(_finding("filter.changed", "blocker", user, "the mailbox's filter, forwarding or absence notice changed", "; ".join(changes), "changed", "filters", was["filters"],
                            now["filters"], paths, covers=[home + "/" + name for name in was["filters"]] + [home + "/.dovecot.sieve"]))
    if was["secret"] and was["secret"] != now["secret"]:
        out.append(_finding("password.changed", "blocker", user, "the mailbox's password %s" % ("changed" if now["secret"] else "is gone"), "", "changed", "secret", None, None, paths, covers=["/etc/dovecot/users"]))
    return out
