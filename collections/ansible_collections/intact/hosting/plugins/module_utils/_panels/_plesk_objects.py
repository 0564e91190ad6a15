# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The objects and references that a description names: Plesk 9 to Obsidian (backup_info_*.xml), Plesk 8 (dump.xml) and Plesk 7 (sites/domain/user)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret
from ansible_collections.intact.hosting.plugins.module_utils._panels._plesk_sql import pem, record

OWNERS = ("client", "reseller", "admin")
# what a description calls the things that a reference can be of
_REFERS = {"mailuser": "mailbox", "database": "database", "maillist": "list"}


class Reader:
    """For _plesk_xml.Scan. result(): {"objects": {kind: {name: attributes}}, "references": [(kind, name, type, path, file)], "shape": "7" | "8" | ""}."""

    def __init__(self):
        self.objects, self.references, self._owners, self._shape = {}, [], [], ""

    def result(self):
        """What was read so far."""
        return {"objects": self.objects, "references": self.references, "shape": self._shape}

    def _add(self, kind, name, /, **attributes):
        if name:
            self.objects.setdefault(kind, {}).setdefault(name, {}).update({key: value for key, value in attributes.items() if value is not None})

    def began(self, node, stack):
        """An element begins: whose the domains in it are is known from here on."""
        if len(stack) == 1 and node.tag == "dump":
            self._shape = "8"
        if node.tag in OWNERS and (node.tag == "admin" or "name" in node.at) and not _inside(stack[:-1], "domain"):
            self._owners.append((node, node.at.get("name") or node.at.get("login") or "admin"))

    def ended(self, node, stack):
        """An element has ended; True when nothing of it needs to be kept."""
        if node.tag == "domain" and not _inside(stack, "domain") and node.value("name"):
            self._domain(node, self._owners[-1][1] if self._owners else None)
            return True
        if self._owners and self._owners[-1][0] is node:
            _node, login = self._owners.pop()
            owner = self._owners[-1][1] if self._owners else None
            kind = None if node.tag == "admin" else node.tag
            self._add("customer", login, type=kind, owner=owner if kind else None, password_set=_password(node, "domain", "domains", *OWNERS))
            self._limits(login, node)
            self._refer(node, "customer", login)
            return True
        if not stack:
            self._certificates(node, "server")
            self._refer(node, "setting", "server")
        return False

    def _domain(self, node, owner):
        name = node.value("name")
        users = node.kids("user")
        if any(user.kids("login") for user in users):
            self._seven(node, name, users)
            return
        self._add("domain", name, owner=owner, web="yes" if node.kids("phosting") else "no", user=_user(node), webspace="")
        self._limits(name, node)
        self._place(node, name)
        for site in node.all("site", "subdomain"):
            below = site.value("name")
            if not below:
                continue
            whole = below if site.tag == "site" else below if below.endswith("." + name) else "%s.%s" % (below, name)
            self._add("site", whole, webspace=name)
            self._place(site, whole)
        for alias in node.all("domain-alias"):
            told = {key: alias.at[key] for key in ("web", "mail", "dns") if key in alias.at}
            self._add("domain_alias", alias.value("name"), domain=name, **told)
            self._zone(alias, alias.value("name"))

    def _place(self, node, name):
        """What a domain and a site have alike; sites in a domain are told by themselves."""
        but = ("site", "subdomain")
        self._refer(node, "domain", name, but)
        self._zone(node, name, but + ("domain-alias",))
        for user in node.all("mailuser", but=but):
            self._mailuser(user, "%s@%s" % (user.value("name"), name), name)
        for one in node.all("maillist", but=but):
            self._add("list", "%s@%s" % (one.value("name").partition("@")[0], name))
            self._refer(one, "list", "%s@%s" % (one.value("name").partition("@")[0], name))
        for base in node.all("database", but=but):
            self._add("database", base.value("name"), type=base.value("type") or None, domain=name if node.tag == "domain" else None)
            self._refer(base, "database", base.value("name"))
        for user in node.all("dbuser", but=but):
            self._add("database_user", user.value("name"), password_set=_password(user))
        for user in node.all("sysuser", but=but):
            self._add("ftp_user", user.value("name"), password_set=_password(user))
        self._certificates(node, name, but)

    def _zone(self, node, name, but=()):
        zones = list(node.all("dns-zone", but=but))
        entries = [one for zone in zones for one in zone.all("dnsrec") if one.value("type") not in ("master", "none")]
        if zones:
            records = [record(_whole(one.value("src"), name), one.value("type"), one.value("opt"), one.value("dst")) for one in entries]
            self._add("dns_zone", name, records=sorted(records))

    def _mailuser(self, node, address, domain):
        boxes = list(node.all("mailbox"))
        if any(box.at.get("enabled", "true") == "true" for box in boxes):
            self._add("mailbox", address, password_set=_password(node))
        self._refer(node, "mailbox", address)
        to = [_at(one.text.strip(), domain) for one in node.all("redirect", "mailgroup-member") if one.at.get("enabled", "true") == "true"]
        if any(to):
            self._add("forward", address, to=sorted(set(to)))
        for one in node.all("alias"):
            self._add("mail_alias", _at(one.text.strip() or one.value("name"), domain), mailbox=address)

    def _certificates(self, node, owner, but=()):
        for one in node.all("certificate", but=but):
            self._add(
                "certificate", "%s/%s" % (owner, one.value("name")), cert=secret(pem(one.value("certificate-data"))), key=secret(pem(one.value("private-key")))
            )

    def _limits(self, name, node):
        for one in node.all("limit", but=("domain", "site", *OWNERS)):
            if one.at.get("name"):
                self._add("limit", "%s/%s" % (name, one.at["name"]), value=one.text.strip())

    def _refer(self, node, kind, name, but=()):
        """References of an element that are not of an element in it with a name of its own."""
        self._own(node, kind, name)
        for one in node.below:
            if one.tag not in but and one.tag not in _REFERS:
                if one.tag == "cid":
                    files = [file.text.strip() for file in one.kids("content-file")] or [one.text.strip()]
                    self.references += [(kind, name, one.at.get("type", ""), one.at.get("path", ""), file) for file in files]
                else:
                    self._refer(one, kind, name, but)

    def _own(self, node, kind, name):
        for key, value in sorted(node.at.items()):
            # Plesk 8: cid, cid_conf, cid_docroot...; Plesk 7: src="cid:..."
            if key == "cid" or key.startswith("cid_"):
                self.references.append((kind, name, key, "", value))
            elif key == "src" and value.startswith("cid:"):
                self.references.append((kind, name, node.tag, "", value[4:]))

    def _seven(self, node, name, users):
        """A domain of Plesk 7: its first user owns it, the others are mail names."""
        self._shape = "7"
        self._add("domain", name, user=_login(users[0]))
        self._own(node, "domain", name)
        for number, user in enumerate(users):
            login = _login(user)
            address = "%s@%s" % (login, name)
            if not number:
                self._add("ftp_user", login, password_set=_password(user))
                self._refer(user, "domain", name)
                continue
            services = user.kids("services")
            if not any(one.value("postbox") == "false" for one in services):
                self._add("mailbox", address, password_set=_password(user))
            to = [_at(one.text.strip(), name) for service in services for one in service.all("email") if one.text.strip()]
            if to:
                self._add("forward", address, to=sorted(set(to)))
            self._refer(user, "mailbox", address)
        for base in node.kids("data_bases"):
            self._add("database", base.value("name"), type=base.value("type") or None, domain=name)
            self._refer(base, "database", base.value("name"))
            for user in base.kids("user"):
                self._add("database_user", _login(user), password_set=_password(user))
        for one in node.kids("dns", "server"):
            self._refer(one, "domain", name)


def _inside(stack, tag):
    return any(node.tag == tag for node in stack)


def _login(user):
    login = user.kids("login")
    return login[0].value("name") if login else user.value("name")


def _user(node):
    """The system user that a domain's files belong to."""
    for place in node.kids("phosting"):
        for user in place.all("sysuser", but=("site", "sites", "subdomain", "subdomains", "ftpuser", "webuser")):
            return user.value("name")
    return ""


def _password(node, *but):
    """Whether an element has a password; None when it names none."""
    told = [one.text.strip() for one in node.all("password", but=but)] + [one.at["password"] for one in node.kids("login") if "password" in one.at]
    return None if not told else "yes" if any(told) else "no"


def _at(address, domain):
    return address if "@" in address or not address else "%s@%s" % (address, domain)


def _whole(host, domain):
    """A record's host with its domain: some descriptions name it, some don't."""
    if not host:
        return domain + "."
    return host if host.endswith(".") else "%s.%s." % (host, domain)
