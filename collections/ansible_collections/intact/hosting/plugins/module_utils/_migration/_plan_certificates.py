# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Certificates that an old system used: which key belongs to which, until when, for which names, and whether the new host has them."""

from __future__ import annotations

import datetime
import hashlib

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _x509
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _plan_vhosts

# Where certificates lie that no virtual host names: mail and FTP servers have them here.
PLACES = (
    "/etc/ssl/certs/*.crt",
    "/etc/ssl/private/*.crt",
    "/etc/ssl/*.pem",
    "/etc/ssl/*.crt",
    "/etc/ssl/intact/*.crt",
    "/etc/pki/tls/certs/*.crt",
    "/etc/pki/dovecot/certs/*.pem",
    "/etc/apache2/ssl/*.crt",
    "/etc/apache2/ssl/*.pem",
    "/etc/httpd/conf/ssl.crt/*.crt",
    "/etc/letsencrypt/live/*/fullchain.pem",
)
SNAKEOIL = ("ssl-cert-snakeoil", "localhost", "ca-bundle", "ca-certificates", "make-dummy-cert")
LIMIT = 1 << 20
# Where they will lie on the new host, and so below plan.d.
FOLDER = "etc/ssl/intact"


def used(system, hosts=None):
    """{path: {certificate, key (SPKI digest), names, not_after, subject, key_file, hosts [names], found (bytes)}}: the first certificate of each file.

    hosts: virtual hosts, read from the system when None. A file that is no certificate has only `unreadable` and hosts.
    """
    out = {}
    for host in _plan_vhosts.vhosts(system) if hosts is None else hosts:
        if host["certificate"].startswith("/"):
            entry = out.setdefault(host["certificate"], {"key_file": host["key"] or host["certificate"], "hosts": []})
            entry["hosts"] = sorted(set(entry["hosts"]) | {name for name in host["names"] if name not in ("_", "")})
    for pattern in PLACES:
        for path in system.glob(pattern):
            if not any(word in path for word in SNAKEOIL) and path not in out:
                out[path] = {"key_file": "", "hosts": []}
    for path, entry in list(out.items()):
        data = system.read(path, LIMIT)
        try:
            told = _x509.read(_x509.from_pem((data or b"").decode("ascii", "replace"))[0])
        except (ValueError, IndexError):
            if entry["hosts"]:
                entry["unreadable"] = "there is no such file" if data is None else "there is no certificate in it"
            else:
                del out[path]
            continue
        if told["subject"] != told["issuer"] or entry["hosts"] or b"PRIVATE KEY" in data:
            entry.update(told, found=data)
        else:
            del out[path]  # an authority's own
    return out


def key_of(system, entry):
    """(state, bytes) of the key: match, other (of another certificate), encrypted, missing or unknown."""
    data = system.read(entry["key_file"], LIMIT) if entry.get("key_file") else None
    if not data or b"PRIVATE KEY" not in data:
        return "missing", b""
    if b"ENCRYPTED" in data:
        return "encrypted", data
    try:
        public = _command.run(["openssl", "pkey", "-pubout", "-outform", "DER"], stdin=data, timeout=20)
    except IntactError:
        return "unknown", data
    return ("match" if hashlib.sha256(public.out).hexdigest() == entry["key"] else "other"), data


def covers(names, host):
    """Whether a certificate with these names serves a host."""
    return any(name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:]) for name in names)


def lacks(entry, state, now=None):
    """What is wrong with a certificate as sentences."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    if "unreadable" in entry:
        return [entry["unreadable"]]
    out = {
        "match": [],
        "other": ["its key belongs to another certificate"],
        "encrypted": ["its key has a passphrase"],
        "missing": ["its key was not found"],
        "unknown": ["whether its key belongs to it could not be told (openssl)"],
    }[state][:]
    if entry["not_after"] < now:
        out.append("it ran out on %s" % entry["not_after"].date())
    elif entry["not_after"] < now + datetime.timedelta(days=30):
        out.append("it runs out on %s" % entry["not_after"].date())
    out += ["it is not for %s" % host for host in entry["hosts"] if not covers(entry["names"], host.lower())]
    return out + (["it is self-signed"] if entry["self_signed"] else [])


def one(system, path):
    """The first certificate of a file as _x509.read() tells it, or None."""
    try:
        return _x509.read(_x509.from_pem(system.text(path))[0])
    except (ValueError, IndexError):
        return None


def present(system):
    """Digests of all certificates that a host uses."""
    return {entry["certificate"] for entry in used(system).values() if "certificate" in entry}
