# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""HestiaCP's customers as their files tell them: on a host or disk, in our archive of the settings, in the archive that v-backup-user makes."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._panels._hestia_conf import VOLATILE, Customer, lines, pairs
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

# The small files of v-backup-user's archive: what a customer has, in pieces. Vesta says vesta where HestiaCP says hestia.
PIECE = re.compile(
    r"(?:(?P<own>hestia|vesta)/(?P<file>user\.conf|backup-excludes\.conf|ssl/[^/]+\.(?:crt|key))"
    r"|(?P<kind>web|dns|mail|db)/(?P<name>[^/]+)/(?:hestia|vesta)/(?P<piece>[^/]+)"
    r"|(?P<cron>cron/cron\.conf))\Z"
)
OWN = {"user.conf": "user", "web.conf": "web", "dns.conf": "dns", "mail.conf": "mail", "db.conf": "db", "cron.conf": "cron", "backup-excludes.conf": "excludes"}


def names(view, root):
    """Names of all customers, by their directories: the panel's own list leaves out who has no @ in /etc/passwd."""
    data = root + "/data/users"
    found = []
    for name in view.listdir(data):
        if view.exists("%s/%s/user.conf" % (data, name)) or view.listdir("%s/%s" % (data, name)):
            found.append(name)
    return found


def live(view, root):
    """[Customer] of a host or a disk."""
    return [_of(name, _reader(view, "%s/data/users/%s" % (root, name)), _lister(view, "%s/data/users/%s" % (root, name))) for name in names(view, root)]


def _reader(view, data):
    return lambda path: view.read(data + "/" + path)


def _lister(view, data):
    return lambda path: view.listdir(data + "/" + path)


def settings(kept, root):
    """[Customer] of our archive of the settings. kept: {path: bytes} of its members."""
    top = root.lstrip("/") + "/data/users/"
    held = {}
    for path, data in kept.items():
        if path.startswith(top):
            name, _slash, inner = path[len(top) :].partition("/")
            held.setdefault(name, {})[inner] = data
    return [_of(_plain(name), held[name].get, _listing(held[name])) for name in sorted(held)]


def _listing(held):
    def names_in(directory):
        inside = (path[len(directory) + 1 :] for path in held if path.startswith(directory + "/"))
        return sorted({_plain(path.split("/")[0]) for path in inside if path})

    return names_in


def _plain(name):
    """A member's name as the host has it."""
    return unescape(name).decode("utf-8", "surrogateescape")


def _of(name, read, listing):
    """The Customer whose files read(path) gives, None for one that is not there; listing(path): names in a directory."""
    customer = Customer(name)
    for path, which in OWN.items():
        setattr(customer, which, _text(read(path)))
    for domain in _domains(customer.dns):
        data = read("dns/%s.conf" % domain)
        customer.records.update({domain: _text(data)} if data is not None else {})
    for domain in _domains(customer.mail):
        customer.accounts[domain] = _text(read("mail/%s.conf" % domain))
        key = read("mail/%s.pem" % domain)
        customer.dkim.update({domain: key} if key is not None else {})
    for file in listing("ssl"):
        _certificate(customer, file, read("ssl/" + file))
    return customer


def _domains(text):
    # a name becomes part of a path
    return [held["DOMAIN"] for held in lines(text) if re.match(r"[^./][^/]*\Z", held.get("DOMAIN", ""))]


def _certificate(customer, file, data):
    stem, dot, ending = file.rpartition(".")
    if dot and ending in ("crt", "key") and data is not None:
        (customer.certificates if ending == "crt" else customer.keys)[stem] = data


def _text(data):
    return (data or b"").decode("utf-8", "surrogateescape").replace("\r", "")


def archive(name, kept):
    """The Customer of one archive of v-backup-user. kept: {path: bytes} of the members that PIECE matches."""
    customer = Customer(name)
    for path in sorted(kept):
        found = PIECE.match(path)
        if not found:
            continue
        data = kept[path]
        if found.group("cron"):
            customer.cron = _text(data)
        elif found.group("own"):
            file = found.group("file")
            if file in OWN:
                setattr(customer, OWN[file], _text(data))
            else:
                _certificate(customer, file[len("ssl/") :], data)
        else:
            _piece(customer, found.group("kind"), _plain(found.group("name")), _plain(found.group("piece")), data)
    return customer


def _piece(customer, kind, name, piece, data):
    """One object's file; each object has its own line of the panel's file with all of them."""
    if piece == kind + ".conf":
        setattr(customer, kind, getattr(customer, kind) + _text(data).rstrip("\n") + "\n")
    elif kind == "dns" and piece == name + ".conf":
        customer.records[name] = _text(data)
    elif kind == "mail" and piece == name + ".conf":
        customer.accounts[name] = _text(data)
    elif kind == "mail" and piece == name + ".pem":
        customer.dkim[name] = data


def package(path, data):
    """(name, attributes) of one of the panel's own settings: a package with its values, or a configuration's digest."""
    file = path.rpartition("/")[2]
    if file.endswith(".pkg"):
        return "package/" + escape(file[: -len(".pkg")]), {key.lower(): value for key, value in pairs(_text(data)).items() if not VOLATILE.match(key)}
    return "conf/" + escape(file), {"content": secret(data)}
