# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A cPanel server, or the disk of one, by its files and its database server: past pkgacct and past the API."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _cpanel_files, _homes, _inventory, _mysql_look

ROOT = "/usr/local/cpanel"
USERS, USERDATA, DATABASES = "/var/cpanel/users", "/var/cpanel/userdata", "/var/cpanel/databases"
ZONES = ("/var/named", "/etc/bind", "/var/lib/named")
CRONS = ("/var/spool/cron", "/var/spool/cron/crontabs")
LISTS = "/usr/local/cpanel/3rdparty/mailman/lists"
TLS = "/var/cpanel/ssl/apache_tls"
# The server's own settings, which no account's archive has.
SERVER = (
    "/etc/wwwacct.conf",
    "/var/cpanel/cpanel.config",
    "/var/cpanel/resellers",
    "/var/cpanel/resellers-nameservers",
    "/var/cpanel/backups/config",
    "/var/cpanel/packages/*",
    "/var/cpanel/features/*",
    "/etc/exim.conf.localopts",
    "/etc/trueuserowners",
    "/etc/localdomains",
    "/etc/remotedomains",
)
# Kept with them, and not compared: cPanel makes these again from the accounts.
MADE = ("/var/cpanel/resellers", "/var/cpanel/resellers-nameservers", "/etc/trueuserowners", "/etc/localdomains", "/etc/remotedomains")
# pkgacct leaves out what second factors are made from.
KEYS = ("/var/cpanel/authn/twofactor_auth/tfa_userdata.json",)
# Of a home, what are settings: mailboxes with their hashes, protected directories, the customer's own certificates.
HOME = ("etc", ".htpasswds", "ssl")


def detect(view):
    """{version, root}, or None."""
    if not view.exists(ROOT + "/cpanel") and not view.exists(ROOT + "/version"):
        return None
    return {"version": view.text(ROOT + "/version").strip(), "root": ROOT}


def host(view):
    """The host's own name, as its files tell it."""
    told = _accounts.settings(view.read("/etc/wwwacct.conf"), " ").get("HOST", "")
    return escape(view.text("/etc/hostname").strip() or told)


def users(view):
    """Names of all accounts: each has a file, whatever the panel's list says."""
    out = []
    for name in view.listdir(USERS):
        # "system" is cPanel's own
        if _accounts.plain(name) and name != "system" and not name.endswith(".lock") and _accounts.settings(view.read("%s/%s" % (USERS, name))):
            out.append(name)
    return out


def home(view, user):
    """An account's home, as /etc/passwd has it."""
    fields = _accounts.passwords(view.read("/etc/passwd")).get(user) or []
    return fields[5] if len(fields) > 5 and fields[5].startswith("/") else "/home/" + user


def ids(view, user):
    """(uid, gid) of an account, None when the host has no such user."""
    fields = _accounts.passwords(view.read("/etc/passwd")).get(user) or []
    return (int(fields[2]), int(fields[3])) if len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit() else None


def names(view, path, number=2):
    """{number: name} of /etc/passwd or /etc/group."""
    return {int(fields[number]): name for name, fields in _accounts.passwords(view.read(path)).items() if len(fields) > number and fields[number].isdigit()}


def held(view, user, skipped=None):
    """{member as an archive names it: bytes} of one account's small files. skipped: filled with (what, why) of those that can't be read."""
    out, skipped = {}, [] if skipped is None else skipped

    def take(member, path):
        try:
            data = view.read(path)
        except OSError as exc:
            skipped.append((path, exc.strerror or "it can't be read"))
            return
        if data is not None:
            out[member] = data

    take("cp/" + user, "%s/%s" % (USERS, user))
    for name in view.listdir("%s/%s" % (USERDATA, user)):
        if _accounts.plain(name) and not name.endswith((".cache", ".lock")) and name != "cache.json":
            take("userdata/" + name, "%s/%s/%s" % (USERDATA, user, name))
    for path in CRONS:
        if "cron/" + user not in out:
            take("cron/" + user, "%s/%s" % (path, user))
    take("proftpdpasswd", "/etc/proftpd/" + user)
    take("suspended/" + user, "/var/cpanel/suspended/" + user)
    _derived(view, user, out)
    for domain in domains(user, out):
        for member, path in (("va", "/etc/valiases"), ("vad", "/etc/vdomainaliases"), ("vf", "/etc/vfilters")):
            take("%s/%s" % (member, domain), "%s/%s" % (path, domain))
        for path in ZONES:
            if "dnszones/%s.db" % domain not in out:
                take("dnszones/%s.db" % domain, "%s/%s.db" % (path, domain))
        take("apache_tls/" + domain, "%s/%s/combined" % (TLS, domain))
        for name in view.listdir(LISTS):
            if name.endswith("_" + domain):
                take("mm/%s/config.pck" % name, "%s/%s/config.pck" % (LISTS, name))
    where = home(view, user)
    for domain in _homes.names(view, where, "etc"):
        for name in ("passwd", "shadow", "quota") if _accounts.plain(domain) else ():
            data = _homes.read(view, where, "etc/%s/%s" % (domain, name))
            if data is not None:
                out["homedir/etc/%s/%s" % (domain, name)] = data
    return out


def databases(view, user):
    """Names of the databases that cPanel's own map says an account has."""
    return _cpanel_files.mapped(user, view.read("%s/%s.json" % (DATABASES, user)))[0] or []


def _derived(view, user, out):
    """What an archive has as a file of its own and the server as a line in a common one."""
    shadow = _accounts.passwords(view.read("/etc/shadow")).get(user) or []
    if len(shadow) > 1:
        out["shadow"] = (shadow[1] + "\n").encode("utf-8", "surrogateescape")
    rights = [line for line in _accounts.lines(view.read("/var/cpanel/resellers")) if line.startswith(user + ":")]
    if rights:
        out["resellerconfig/resellers"] = ("\n".join(rights) + "\n").encode("utf-8", "surrogateescape")


def domains(user, held_files):
    """All names under which an account has files."""
    main = _accounts.userdata(held_files.get("userdata/main"))
    found = [value for key, value in _accounts.settings(held_files.get("cp/" + user)).items() if key.startswith("DNS")]
    found += [main.get("main_domain") or ""]
    for key in ("addon_domains", "parked_domains", "sub_domains"):
        entries = main.get(key) or []
        found += list(entries) + (list(entries.values()) if isinstance(entries, dict) else [])
    return sorted({name for name in found if isinstance(name, str) and _accounts.plain(name)})


def server(view):
    """{path: bytes} of the server's own settings."""
    out = {}
    for pattern in SERVER:
        for path in view.glob(pattern) if "*" in pattern else [pattern]:
            data = None if path.endswith((".lock", ".cache")) else view.read(path, _homes.LARGEST)
            if data is not None:
                out[path] = data
    return out


def settings(files):
    """The server's own settings as an inventory's objects."""
    return {escape(path): {"content": _inventory.secret(data), "bytes": len(data)} for path, data in files.items() if path not in MADE}


def inventory(view, found, query):
    """The inventory document of all accounts, by files and SQL."""
    objects, unlooked, owners, user_owners = {}, [], {}, {}
    for user in users(view):
        skipped = []
        for kind, entries in _cpanel_files.account(user, held(view, user, skipped)).items():
            if kind != "database_user":
                objects.setdefault(kind, {}).update(entries)
        unlooked += [{"what": escape(what), "why": why} for what, why in skipped]
        mapped, people = _cpanel_files.mapped(user, view.read("%s/%s.json" % (DATABASES, user)))
        for name in mapped or []:
            owners[name] = user
        for name in (people or []) + [user]:
            user_owners.setdefault(name, user)
        if mapped is None:
            owners.setdefault(None, []).append(user)
    objects.setdefault("setting", {}).update(settings(server(view)))
    unlooked += _sql(query, objects, owners, user_owners)
    return _inventory.make("cpanel", found.get("version", ""), host(view), "files", objects, unlooked)


def _sql(query, objects, owners, user_owners):
    """Add databases and their users. Returns what could not be looked at."""
    unmapped = owners.pop(None, [])
    try:
        live, people = _mysql_look.databases(query), _mysql_look.users(query)
    except IntactError as exc:
        for name, user in owners.items():
            objects.setdefault("database", {})[escape(name)] = {"owner": escape(user)}
        return [{"what": "tables and users of the databases", "why": str(exc)}]
    for name in live:
        # an account without a map of cPanel's: by its prefix, as cPanel names databases
        user = next((u for u in sorted(unmapped, key=len, reverse=True) if name.startswith(u + "_")), None)
        if name not in owners and user:
            owners[name] = user
    out = []
    for name, user in owners.items():
        if name not in live:
            objects.setdefault("database", {})[escape(name)] = {"owner": escape(user)}
            out.append({"what": "database %s" % escape(name), "why": "cPanel's map has it and the database server does not"})
            continue
        objects.setdefault("database", {})[escape(name)] = _mysql_look.database(user, live[name])
        if live[name]["error"]:
            out.append({"what": "tables of database %s" % escape(name), "why": live[name]["error"]})
    for name, told in people.items():
        user = user_owners.get(name) or next((u for u in sorted(unmapped, key=len, reverse=True) if name.startswith(u + "_")), None)
        if user:
            objects.setdefault("database_user", {})[escape(name)] = _mysql_look.database_user(user, told)
    return out
