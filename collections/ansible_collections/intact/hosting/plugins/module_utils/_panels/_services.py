# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A site without a panel, object by object: what the baseline's probes saw of its services, in the words of an inventory. Pure."""

from __future__ import annotations

import hashlib
import json
import posixpath

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule
from ansible_collections.intact.hosting.plugins.module_utils._baseline._accounts_compare import person
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret


def objects(sites, seen):
    """{kind: {name: attributes}}. sites: what _vhosts.discover() found; seen: {section: its data in a baseline}. files: paths that tell the object."""
    out = {"domain": _domains(sites), "certificate": _certificates(sites, _items(seen, "tls")), "cron_job": _cron(_items(seen, "cron"))}
    out.update(_mail(_items(seen, "mail")))
    out["list"] = _lists(_items(seen, "lists"))
    out["dns_zone"] = _zones(_items(seen, "dns"))
    out.update(_databases(_items(seen, "databases")))
    out.update(_accounts(_items(seen, "accounts")))
    return out


def _items(seen, section):
    return (seen.get(section) or {}).get("items") or {}


def _domains(sites):
    out = {}
    for name, site in (sites or {}).items():
        listen = ["%s:%d%s" % ("[%s]" % a if ":" in a else a, p, " tls" if t else "") for a, p, t in site["listen"]]
        files = [escape(path) for path in site["config"]]
        keys = [escape(path) for path in (site["key"],) if path.startswith("/")]
        out[escape(name)] = {
            "server": site["server"],
            "roots": [escape(p) for p in site["roots"]],
            "listen": listen,
            "php": site["php"],
            "files": files,
            "keys": keys,
        }
    return out


def _certificates(sites, items):
    """Of sites: a mail server's is mostly one of these, and its files are copied all the same."""
    out = {}
    for name, site in (sites or {}).items():
        shown = next((item for subject, item in sorted(items.items()) if subject.rpartition(":")[0] == escape(name) and item.get("certificate")), None)
        if site["certificate"].startswith("/"):
            told = {key: shown[key] for key in ("names", "issuer", "not_after", "certificate")} if shown else {}
            out[escape(name)] = dict(told, files=[escape(site["certificate"])])
    return out


def raw(text):
    """What escape() was given, as text."""
    return unescape(text).decode("utf-8", "surrogateescape")


def job(user, schedule, command):
    """A cron job's name: the program, and a digest of the rest, as a command line may hold a password."""
    program = posixpath.basename(_schedule.program(command)) or "command"
    return escape("%s: %s %s (%s)" % (user, schedule, program, hashlib.sha256(command.encode("utf-8", "surrogateescape")).hexdigest()[:8]))


def _cron(items):
    out = {}
    for item in items.values():
        if item["kind"] == "at":
            continue  # gone before anybody could restore it
        if item["kind"] == "timer":
            name = "timer: %s" % item["unit"]
            out[name] = {"what": "timer", "schedule": item["schedule"], "files": [item["file"]]}
        else:
            name = job(raw(item["user"]), item["schedule"], raw(item["command"]))
            out[name] = {"what": item["kind"], "count": item["count"], "files": [item["file"]]}
    return out


def _mail(items):
    out = {"mailbox": {}, "mail_alias": {}, "setting": {}}
    for subject, item in items.items():
        if item["kind"] == "mailbox":
            out["mailbox"][subject] = {
                "home": item["home"],
                "password": secret(item["secret"]),
                "filters": sorted(item["filters"]),
                "folders": len(item["folders"]),
            }
        elif item["kind"] == "map entry":
            what, _blank, name = subject.partition(" ")
            files = [item["path"]] if item.get("path") else []
            name = name if what == "alias" else "%s %s" % (what, name)
            out["mail_alias"][name] = {"to": [part for part in item["value"].split(", ") if part], "files": files}
        elif item["kind"] == "setting":
            # such as static:user:password
            value = secret(item["value"]) if "static:" in item["value"] or "pass" in subject else item["value"]
            out["setting"][subject] = {"value": value, "files": ["/etc/postfix/main.cf"]}
    return out


def _lists(items):
    out = {}
    for name, item in items.items():
        people = {role + "s": sorted(entries) for role, entries in item["people"].items()}
        settings = json.dumps(item["settings"], sort_keys=True)
        out[name] = dict(people, bans=item["bans"], settings=secret(settings))
    return out


def _zones(items):
    out = {}
    for subject, item in items.items():
        if item["kind"] != "zone":
            continue
        name = subject.partition(" ")[2]
        sets = sorted(s for s, i in items.items() if i["kind"] == "records" and i["zone"] == name)
        primary = item.get("type") == "primary" and item["file"]
        out[name] = {"type": item.get("type", "unknown"), "records": len(sets), "sets": sets, "files": [escape(item["file"])] if primary else []}
    return out


def _databases(items):
    out = {"database": {}, "database_user": {}}
    for subject, item in items.items():
        engine = subject.split(":", 1)[0].split(" ", 1)[0]
        if item["kind"] == "database":
            base = item.get("path") or subject.partition(":")[2]
            tables = [i for s, i in items.items() if i["kind"] == "table" and s.startswith(engine) and i.get("database") == base]
            out["database"][subject] = {"tables": len(tables), "rows": sum(int(i.get("rows", 0)) for i in tables)}
        elif item["kind"] in ("user", "role"):
            rights = item.get("privileges") or {}
            told = sorted("%s on %s" % (right, target) for target, names in rights.items() for right in names)
            out["database_user"][subject] = {"rights": told, "password": secret(item.get("secret"))}
    return out


def _accounts(items):
    out = {"customer": {}, "limit": {}}
    for subject, item in items.items():
        what, _blank, name = subject.partition(" ")
        if what == "user" and person(item["uid"]):
            password = item["password"]
            told = {key: item[key] for key in ("uid", "group", "home", "shell")}
            out["customer"][name] = dict(told, password=password["state"], files=["/etc/passwd"])
        elif what == "quota":
            out["limit"][name] = dict(item)
    return out


def silent(seen):
    """[(what, why)] of what is there and did not answer: what it holds is in no object. A cluster that is stopped is somebody's choice."""
    out = []
    for section, kinds in (("databases", ("server", "database")), ("dns", ("zone",)), ("mail", ("table",))):
        for subject, item in sorted(_items(seen, section).items()):
            if item["kind"] in kinds and item.get("error") and not subject.startswith("sqlite:") and not item["error"].startswith("the cluster "):
                out.append((subject if item["kind"] != "server" else "databases of %s" % subject, item["error"]))
    return out


def named(held):
    """Sorted paths of all files that an inventory's objects name."""
    return sorted({path for entries in held.values() for item in entries.values() for key in ("files", "keys") for path in item.get(key, ())})
