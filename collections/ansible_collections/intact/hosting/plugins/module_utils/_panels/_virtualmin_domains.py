# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Virtualmin's domains as files tell them: on a host or a disk, and in an archive of these files; and as one backup of one domain tells them."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_files as files
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

MODULE = files.MODULE
CRONTABS = "/var/spool/cron/crontabs/"
ZONES = ("/var/lib/bind/%s.hosts", "/etc/bind/%s.hosts", "/var/named/%s.hosts", "/var/cache/bind/%s.hosts")
# What a rescue packs, and what the objects below are read from.
PATHS = ["/etc/webmin", "/etc/postfix", "/etc/aliases", "/etc/passwd", "/etc/shadow", "/etc/group", "/var/spool/cron/crontabs", "/var/lib/bind", "/etc/bind"]


class Read:
    """Files by their paths on the host: read(path) -> bytes or None, listing(path) -> names."""

    def __init__(self, read, listing):
        self.read, self.listing = read, listing

    def text(self, path):
        """Text of a file, "" when it is not there."""
        return (self.read(path) or b"").decode("utf-8", "surrogateescape")


def on(view):
    """A Read of a host or a disk."""
    return Read(view.read, view.listdir)


def packed(kept):
    """A Read of an archive that a rescue made. kept: {path: bytes} of its members."""
    held = {"/" + unescape(path).decode("utf-8", "surrogateescape"): data for path, data in kept.items()}

    def listing(directory):
        return sorted({path[len(directory) + 1 :].split("/")[0] for path in held if path.startswith(directory + "/")})

    return Read(held.get, listing)


def domains(source):
    """{id: what its file says} of all domains."""
    out = {}
    for ident in source.listing(MODULE + "/domains"):
        held = files.settings(source.text("%s/domains/%s" % (MODULE, ident)))
        if held.get("dom"):
            out[ident] = dict(held, id=ident)
    return out


def unreadable(source):
    """Ids of domains whose files name no domain."""
    known = domains(source)
    return [ident for ident in source.listing(MODULE + "/domains") if ident not in known]


def virtual_table(source):
    """{address: targets}, from where Postfix has it."""
    found = re.search(r"^virtual_alias_maps\s*=\s*(?:hash|texthash|lmdb|btree):(/[^\s,]+)", source.text("/etc/postfix/main.cf"), re.M)
    return files.virtuals(source.text(found.group(1) if found else "/etc/postfix/virtual"))


def objects(source):
    """{kind: {name: attributes}} of a whole host."""
    out, known, table = {}, domains(source), virtual_table(source)
    accounts = files.people(source.text("/etc/passwd"), source.text("/etc/shadow"))
    for ident in sorted(known):
        held = known[ident]
        files.merge(out, files.domain_objects(held, known))
        users, aliases = files.split_virtuals(held, list(files.users_of(held, accounts, known)), table)
        files.merge(out, files.mail_objects(held, users, aliases if held.get("mail") == "1" else {}))
        customer = escape(held.get("user", ""))
        if not held.get("parent"):
            files.merge(out, {"cron_job": files.jobs(held.get("user", ""), source.text(CRONTABS + held.get("user", "")), customer)})
        zone = next((text for text in (source.text(place % held["dom"]) for place in ZONES) if text), "")
        if zone and held.get("dns") == "1":
            out["dns_zone"][files.name_of(held)]["records"] = files.records(zone)
        if held.get("ssl") == "1" and held.get("ssl_cert") and source.read(held["ssl_cert"]):
            out.setdefault("certificate", {})[files.name_of(held)] = certificate(customer, source.read(held["ssl_cert"]), source.read(held.get("ssl_key", "")))
    files.merge(out, {"setting": own_settings(source)})
    return out


def certificate(customer, data, key):
    """A certificate's attributes; line ends are no part of it."""
    return {
        "customer": customer,
        "certificate": secret(b"".join(data.split())),
        "key": secret(b"".join(key.split())) if key else None,
    }


def own_settings(source):
    """The panel's own: its configuration, plans, templates, schedules."""
    out = {}
    config = source.read(MODULE + "/config")
    if config is not None:
        out["config"] = {"content": secret(config)}
    for directory, word in (("plans", "plan"), ("templates", "template")):
        for ident in source.listing("%s/%s" % (MODULE, directory)):
            held = files.settings(source.text("%s/%s/%s" % (MODULE, directory, ident)))
            out["%s/%s" % (word, escape(ident))] = {"name": held.get("name", "")}
    for ident in source.listing(MODULE + "/backups"):
        out["schedule/%s" % escape(ident)] = {}
    return out


def one_backup(kept, name, by_id):
    """Objects of one domain's backup. kept: {what follows the domain's name and _: bytes}."""

    def text(part):
        return (kept.get(part) or b"").decode("utf-8", "surrogateescape")

    held = files.settings(text("virtualmin"))
    if not held.get("dom"):
        return {}  # without the domain's own settings nothing of it can be restored
    out = files.domain_objects(held, by_id)
    customer = escape(held.get("user", ""))
    if "mail_users" in kept or "mail_aliases" in kept:
        aliases = files.mail_aliases(text("mail_aliases")) if held.get("mail") == "1" else {}
        files.merge(out, files.mail_objects(held, files.mail_users(text("mail_users")), aliases))
    if "unix" in kept and not held.get("parent"):
        files.merge(out, {"cron_job": files.jobs(held.get("user", ""), text("unix"), customer)})
    if "dns" in kept and out.get("dns_zone"):
        out["dns_zone"][escape(name)]["records"] = files.records(text("dns"))
    data = kept.get("ssl_cert") or kept.get("virtualmin_ssl_cert")
    if data:
        key = kept.get("ssl_key") or kept.get("virtualmin_ssl_key")
        out.setdefault("certificate", {})[escape(name)] = certificate(customer, data, key)
    return out


def global_settings(kept):
    """{name: attributes} of the panel's own settings in virtualmin.tar.gz."""
    out = {}
    for path, data in kept.items():
        held = files.settings(data.decode("utf-8", "surrogateescape"))
        if path == "virtualmin_config":
            out["config"] = {"content": secret(data)}
        for start, word in (("virtualmin_templates_plans!", "plan"), ("virtualmin_templates!", "template"), ("virtualmin_scheds!", "schedule")):
            if path.startswith(start):
                out["%s/%s" % (word, path[len(start) :])] = {"name": held.get("name", "")} if word != "schedule" else {}
    return out


def unsteady(objects):
    """Take out of the objects, and return, what an export must have and a restore writes in its own way: the panel's configuration, the schedules."""
    held = objects.get("setting", {})
    return {name: held.pop(name) for name in list(held) if name == "config" or name.startswith("schedule/")}
