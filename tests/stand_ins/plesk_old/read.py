# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in reads its own streams back with Python's email package, and turns old descriptions into the shape that its restore knows."""

from __future__ import annotations

import email
import email.policy
import gzip
from xml.etree import ElementTree as Tree


def parts(data):
    """{name: bytes} of a stream; KeyError when dump.xml is not there, EOFError when it is not whole."""
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    out = {}
    for part in message.walk():
        if part.is_multipart():
            if any(type(defect).__name__ in ("CloseBoundaryNotFoundDefect", "StartBoundaryNotFoundDefect") for defect in part.defects):
                raise EOFError("a closing boundary is missing")
            continue
        name = part.get_filename() or (part.get("Content-ID") or "").strip("<>") or ("dump.xml" if part.get_content_type() == "text/xml" else "")
        out[name] = part.get_payload(decode=True)
    return out


def _sub(node, tag, **more):
    return Tree.SubElement(node, tag, **more)


def _domain(old, new):
    """What Plesk 8 puts right into a domain, where a newer one has it."""
    preferences, properties, bases, certificates = (_sub(new, tag) for tag in ("preferences", "properties", "databases", "certificates"))
    preferences.extend(old.findall("domain-alias"))
    properties.extend(old.findall("dns-zone"))
    bases.extend(old.findall("database"))
    certificates.extend(old.findall("certificate"))
    _sub(new, "limits-and-permissions").extend(old.findall("limit"))
    new.extend(old.findall("maillists"))
    users = _sub(_sub(new, "mailsystem"), "mailusers")
    for user in old.findall("mailsystem/mailuser"):
        one = _sub(users, "mailuser", **user.attrib)
        _sub(one, "properties").extend(user.findall("password"))
        _sub(one, "preferences").extend([node for node in user if node.tag != "password"])
    hosting = old.find("phosting")
    if hosting is not None:
        place = _sub(new, "phosting")
        _sub(place, "preferences").extend(hosting.findall("sysuser"))
        _sub(place, "ftpusers").extend(hosting.findall("ftpuser"))
        new.extend(hosting.findall("subdomain"))


def eight(old):
    """A description of Plesk 8."""
    new = Tree.Element("migration-dump")
    admin = _sub(new, "admin")
    clients = _sub(admin, "clients")
    for client in old.findall("client"):
        one = _sub(clients, "client", **client.attrib)
        _sub(one, "properties").extend(client.findall("password") + client.findall("pinfo"))
        _sub(one, "limits-and-permissions").extend(client.findall("limit"))
        domains = _sub(one, "domains")
        for domain in client.findall("domain"):
            _domain(domain, _sub(domains, "domain", name=domain.get("name")))
    return new


def _user(node, name, login):
    one = _sub(node, name, name=login.get("name", ""))
    password = _sub(one, "password", type=login.get("PW_TYPE", "plain"))
    password.text = login.get("password", "")
    return one


def seven(old):
    """A description of Plesk 7."""
    new = Tree.Element("migration-dump")
    domains = _sub(_sub(new, "admin"), "domains")
    for domain in old.findall("sites/domain"):
        eighth = Tree.Element("domain", name=domain.get("name"))
        users = domain.findall("user")
        mail = _sub(eighth, "mailsystem")
        for user in users[1:]:
            one = _user(mail, "mailuser", user.find("login"))
            if user.findtext("services/postbox") == "true":
                _sub(one, "mailbox", enabled="true")
            for address in user.findall("services/forwarding/email"):
                _sub(one, "mailgroup-member").text = address.text
        for base in domain.findall("data_bases"):
            made = _sub(eighth, "database", name=base.get("name"), type=base.get("type"), cid=base.get("src")[4:])
            for user in base.findall("user"):
                _user(made, "dbuser", user.find("login"))
        if users[0].find("login").get("name"):
            _user(_sub(eighth, "phosting"), "sysuser", users[0].find("login"))
        _domain(eighth, _sub(domains, "domain", name=domain.get("name")))
    return new
