# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mail: every mailbox with its folders and messages, aliases, filters, the mail server's settings and what its ports offer."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests, _exim, _mailboxes, _mailports
from ansible_collections.intact.hosting.plugins.module_utils._baseline._mail_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
SECTION = "mail"
MAPS = {
    "virtual_alias_maps": "alias",
    "alias_maps": "alias",
    "virtual_mailbox_maps": "address",
    "virtual_mailbox_domains": "domain",
    "transport_maps": "transport",
    "relay_domains": "domain",
    "relay_recipient_maps": "address",
    "sender_bcc_maps": "copy",
    "recipient_bcc_maps": "copy",
    "smtpd_sender_login_maps": "login",
}
FILES = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash")


def capture(system):
    """Items: mailboxes by user name, "alias NAME", "domain NAME", "port 25", "postfix SETTING" or "exim SETTING".

    Options: content_bytes (at most so much mail is read in full; above it a message is known by name and size), messages_listed (for one folder),
    ports (list, [] for none).
    """
    if not any(system.which(p) for p in ("postconf", "doveadm", "exim4", "exim", "sendmail")):
        return None
    items = {}
    items.update(_mailbox_items(system))
    if system.which("postconf"):
        items.update(_postfix(system))
    elif _exim.program(system):
        items.update(_exim.items(system))
    for port in system.options.get("ports", sorted(_mailports.PORTS)):
        answer = _mailports.look(system, int(port))
        if answer is not None:
            items["port %d" % port] = dict(answer, kind="port")
    boxes = [item for item in items.values() if item["kind"] == "mailbox"]
    folders = [f for box in boxes for f in box["folders"].values()]
    return {
        "items": items,
        "summary": {
            "mailboxes": len(boxes),
            "folders": len(folders),
            "messages": sum(f["messages"] or 0 for f in folders),
            "aliases and addresses": sum(1 for item in items.values() if item["kind"] == "map entry"),
        },
    }


def _mailbox_items(system):
    spent = [int(system.options.get("content_bytes", 20 * 2**30))]

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
        items[escape(user)] = dict(
            more,
            kind="mailbox",
            folders=folders,
            secret=_digests.keyed(system, secrets[user]) if user in secrets else "",
            home=escape(home),
            paths=sorted({escape(inbox)} | ({escape(root)} if root != home else set())),
        )
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
