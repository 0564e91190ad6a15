# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The plan of an upgrade: built from simulations, compared with what apt would do later, shown as text. Pure."""

from __future__ import annotations

import fnmatch
import hashlib
import json

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

SCHEMA = 1
# Daemons that would take a port that something else answers on, or answer where nothing did, when a dependency pulled them in.
DAEMONS = (
    "apache2",
    "lighttpd",
    "nginx",
    "caddy",
    "haproxy",
    "varnish",
    "squid",
    "tomcat[0-9]*",
    "exim4-daemon-*",
    "postfix",
    "sendmail-bin",
    "opensmtpd",
    "courier-*",
    "dovecot-core",
    "mariadb-server",
    "mysql-server*",
    "default-mysql-server",
    "bind9",
    "unbound",
    "dnsmasq",
    "pdns-server",
    "knot",
    "proftpd-core",
    "vsftpd",
    "pure-ftpd*",
    "slapd",
    "samba",
    "rpcbind",
    "nfs-kernel-server",
    "cups-daemon",
    "avahi-daemon",
    "isc-dhcp-server",
    "xinetd",
    "*-inetd",
    "inetutils-telnetd",
    "redis-server",
    "memcached",
    # The same under the names that RPM distributions give them.
    "httpd",
    "exim",
    "bind",
    "cups",
    "avahi",
    "dhcp-server",
    "redis",
    "valkey",
    "openldap-servers",
)


def carry_over(name, source, target):
    """The name that a pattern pair gives: at most one * of source is put in place of the * in target; None without a match."""
    if not fnmatch.fnmatchcase(name, source):
        return None
    if "*" in source and "*" in target:
        head, tail = source.split("*", 1)
        return target.replace("*", name[len(head) : len(name) - len(tail)], 1)
    return target


def matches(name, patterns):
    """Whether a name is one of the shell patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def replacement(name, expected):
    """(name of what takes a removed package's place or "", reason or "") by the release path's expected_removals."""
    for rule in expected:
        target = carry_over(name, rule["package"], rule.get("replacement") or "")
        if target is not None:
            return target, rule["reason"]
    return "", ""


def wanted_replacements(removed, installed, expected):
    """Sorted names that must be asked for beside full-upgrade, because apt removes their predecessors and brings nothing instead."""
    names = {replacement(entry["name"], expected)[0] for entry in removed}
    return sorted(n for n in names if n and n not in {entry["name"] for entry in installed})


def judge_removals(removed, arriving, expected, protected):
    """Removed packages with replacement, expected (a reason or "") and protected (nothing takes the place of something that must stay).

    arriving: names that are installed or upgraded by the same plan.
    """
    out = []
    for entry in removed:
        name, reason = replacement(entry["name"], expected)
        if name and name not in arriving:
            name, reason = "", ""
        if not name and entry["name"] + "t64" in arriving:
            name, reason = entry["name"] + "t64", "the same library, rebuilt for 64-bit time"
        shielded = matches(entry["name"], protected)
        out.append(dict(entry, replacement=name, expected=reason, protected=shielded and not name and not reason))
    return out


def newcomers(installed, removed):
    """Names of daemons that would arrive although nothing of theirs was asked for: installed new, and not in place of a removed package."""
    instead = {entry["replacement"] for entry in removed}
    return sorted(entry["name"] for entry in installed if matches(entry["name"], DAEMONS) and entry["name"] not in instead)


def build(path, sources, patch, minimal, full, autoremove, **facts):
    """The plan as plain data (its fields: docs/architecture.md and the module's RETURN).

    patch minimal full: transactions (see _simulate.transaction). autoremove: [{name, arch, from}].
    facts: conffiles held kept download_bytes disk packages_hash made apt replacements protected, and lists (see _simulate.fetched).
    """
    first = {(e["name"], e["arch"], e["to"]) for e in minimal["upgrade"]}
    upgrade = [dict(_short(e), stage="minimal" if (e["name"], e["arch"], e["to"]) in first else "full") for e in full["upgrade"]]
    arriving = {e["name"] for e in full["upgrade"] + full["install"]}
    plan = {
        "schema": SCHEMA,
        "release_path": path["name"],
        "source": path["source"],
        "target": path["target"],
        "made": facts["made"],
        "sources": sources,
        "patch": [_short(e) for e in patch["upgrade"] + patch["install"]],
        "upgrade": sorted(upgrade, key=_by_name),
        "install": sorted((_short(e) for e in full["install"]), key=_by_name),
        "remove": sorted(judge_removals(full["remove"], arriving, path.get("expected_removals") or [], facts["protected"]), key=_by_name),
        "autoremove": sorted(autoremove, key=_by_name),
        "replacements": facts["replacements"],
        "held": facts["held"],
        "kept": facts["kept"],
        "download_bytes": facts["download_bytes"],
        "lists": facts.get("lists") or {},
        "disk": facts["disk"],
        "disk_bytes": {mount: numbers["needed"] for mount, numbers in facts["disk"].items()},
        "conffiles": facts["conffiles"],
        "packages_hash": facts["packages_hash"],
        "apt": facts["apt"],
        "stages": list(_stages.ORDER),
    }
    return dict(plan, hash=plan_hash(plan))


def _by_name(entry):
    return entry["name"], entry.get("arch", "")


def _short(entry):
    return {key: entry[key] for key in ("name", "arch", "from", "to") if key in entry}


def plan_hash(plan):
    """SHA-256 of what the plan would do: sources, packages and versions, files that are asked about. Not of when it was made."""
    core = {key: plan[key] for key in ("release_path", "sources", "upgrade", "install", "remove", "autoremove", "held", "conffiles")}
    return hashlib.sha256(json.dumps(core, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


def check(plan):
    """Raise IntactError when a plan is not one that build() made."""
    if plan.get("schema") != SCHEMA or plan.get("hash") != plan_hash(plan):
        raise IntactError("the plan was edited, or made by another release of Intact: make a new one")


def deviations(plan, transaction, protected=(), accepted=(), present=None):
    """Sentences on where apt's intention now leaves the plan so far that somebody must look: removals. Newer versions are fine.

    transaction: the simulation of now (see _simulate.transaction). accepted: shell patterns of packages that may go all the same.
    present: names that are installed already, so that replacements count which came earlier; None for a repair, after which they come.
    """
    known = {e["name"] for e in plan["remove"] + plan["autoremove"]}
    arriving = {e["name"] for e in transaction["upgrade"] + transaction["install"]}
    out = []
    for entry in transaction["remove"]:
        if entry["name"] not in known and not matches(entry["name"], accepted):
            shielded = matches(entry["name"], protected)
            if shielded or entry["name"] + "t64" not in arriving:
                out.append("%s would be removed, which the plan does not name%s" % (entry["name"], " (and it is protected)" if shielded else ""))
    planned = {e["name"] for e in plan["install"]}
    for name in newcomers([e for e in transaction["install"] if e["name"] not in planned], plan["remove"]):
        out.append("%s would be installed, a daemon that the plan does not name" % name)
    for entry in plan["remove"] if present is not None else []:
        if entry["replacement"] and entry["replacement"] not in arriving | set(present) and any(e["name"] == entry["name"] for e in transaction["remove"]):
            out.append("%s would be removed, and %s no longer takes its place" % (entry["name"], entry["replacement"]))
    return out


def _bytes(number):
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000 or unit == "GB":
            return "%.0f %s" % (number, unit) if unit == "B" else "%.1f %s" % (number, unit)
        number /= 1000.0
    return ""


def lines(plan):
    """The plan as lines that a person reads, for --diff and the report."""
    out = ["%s %s -> %s %s" % (plan["source"]["id"], plan["source"]["version"], plan["target"]["id"], plan["target"]["version"])]
    out += ["", "sources"]
    for s in plan["sources"]:
        word = {"map": "%s -> %s" % (s["suite"], s["target_suite"]), "keep": "%s stays" % s["suite"], "disable": "%s is disabled" % s["suite"]}[s["action"]]
        out.append("  %s:%d %s: %s (%s)" % (s["path"], s["line"], s["uri"], word, s["reason"]))
    out += ["", "download %s" % _bytes(plan["download_bytes"])]
    for mount, d in sorted(plan["disk"].items()):
        out.append("space on %s: %s needed at the peak, %s free" % (mount, _bytes(d["needed"]), _bytes(d["free"])))
    for title, key in (("bring up to date on %s first" % plan["source"]["version"], "patch"), ("upgrade", "upgrade"), ("install", "install")):
        out += ["", "%s: %d packages" % (title, len(plan[key]))]
        out += ["  %s %s%s" % (e["name"], (e["from"] + " -> ") if "from" in e else "", e["to"]) for e in plan[key]]
    out += ["", "remove: %d packages" % len(plan["remove"])]
    for e in plan["remove"]:
        why = (
            "replaced by %s: %s" % (e["replacement"], e["expected"])
            if e["replacement"]
            else e["expected"] or ("PROTECTED" if e["protected"] else "nothing replaces it")
        )
        out.append("  %s %s (%s)" % (e["name"], e["from"], why))
    out += ["", "remove at the end, because nothing needs them any more: %d packages" % len(plan["autoremove"])]
    out += ["  %s %s" % (e["name"], e["from"]) for e in plan["autoremove"]]
    for key, title in (("held", "held"), ("kept", "kept back by apt")):
        if plan[key]:
            out += ["", "%s: %s" % (title, ", ".join("%s %s" % (e["name"], e["version"]) for e in plan[key]))]
    asked = [c for c in plan["conffiles"] if c["question"]]
    out += ["", "configuration files that differ on both sides: %d" % len(asked)]
    out += ["  %s (%s): %s" % (c["path"], c["package"], c["decision"] or "not decided, kept") for c in asked]
    return out
