# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase plan: what an operator decides about, with a proposed file for each thing. Nothing is applied.

plan.json has the lines as data, plan.txt to be read, plan.d the files as they could lie on the new host.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._migration import (
    _context,
    _files_trees,
    _plan_certificates,
    _plan_rest,
    _plan_vhosts,
    _plan_web,
    _plan_zones,
)

KINDS = ("package", "php", "vhost", "certificate", "zone", "sudoers", "firewall", "mta")
# Of a kind, lines that go into findings one by one.
MOST = 100


class Plan:
    """The lines, and the files that they propose. lines: [{kind, subject, old, lacks [sentences], proposed (below plan.d), place}]."""

    def __init__(self):
        self.lines, self.files = [], {}

    def add(self, kind, subject, old, lacks, place="", data=b""):
        """One line. place: where the proposed file (bytes) would lie on the new host."""
        line = {"kind": kind, "subject": escape(subject), "old": escape(old), "lacks": [escape(text) for text in lacks], "proposed": "", "place": place}
        if place:
            line["proposed"] = place.lstrip("/")
            self.files[line["proposed"]] = data
        self.lines.append(line)


def name_for(text):
    """A name for a file that only has plain signs, another one for each text."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:80].lstrip(".-") or "_"
    return plain if plain == text else "%s-%s" % (plain, hashlib.sha256(os.fsencode(text)).hexdigest()[:8])


def make(context):
    """The Plan of a context. It only looks."""
    old, live, plan = context.old, context.system, Plan()
    hosts = _plan_vhosts.vhosts(old)
    for name, file, package in _plan_rest.programs(old, live):
        plan.add("package", package, file, ["%s ran on the old system, and nothing of the kind is here: apt install %s" % (name, package)])
    for name, file, said in _plan_rest.extensions(old, live):
        plan.add("php", name, file, [said])
    before, now = _plan_rest.php_versions(old), _plan_rest.php_versions(live)
    if before and before[-1] not in now:
        plan.add("php", "PHP %s" % before[-1], "/etc/php", ["here it is %s: the sites' programs have to work with it" % (now[-1] if now else "not installed")])
    placed = _certificates(plan, old, live, hosts)
    _vhosts(plan, context, hosts, placed)
    _zones(plan, old, live)
    rules, here = _plan_rest.sudo_rules(old), _plan_rest.sudo_rules(live)
    new = [(rule, file) for rule, file in rules.items() if rule not in here]
    if new:
        text = "# From %s. Each line gives rights: look at it, then take the # away.\n" % ", ".join(sorted({file for _rule, file in new}))
        text += "".join("# %s\n" % rule for rule, _file in new)
        plan.add(
            "sudoers", "%d rules" % len(new), new[0][1], [rule for rule, _file in new], "/etc/sudoers.d/intact-legacy", text.encode("utf-8", "surrogateescape")
        )
    live_ports = {port for path in _plan_rest.LIVE_FIREWALL for port in _plan_rest.ports(live.text(path))}
    for path in _plan_rest.FIREWALL:
        text = old.text(path)
        if text.strip():
            missing = [port for port in _plan_rest.ports(text) if port not in live_ports]
            lacks = ["lets in %s" % ", ".join(missing)] if missing else ["look through it"]
            plan.add("firewall", os.path.basename(path), path, lacks, "/etc/intact-legacy/" + name_for(path.strip("/").replace("/", "_")), os.fsencode(text))
    _mta(plan, old, live)
    return plan


def _certificates(plan, old, live, hosts):
    """{path on the old disk: (certificate, key) as they will lie}."""
    placed, present = {}, _plan_certificates.present(live)
    for path, entry in sorted(_plan_certificates.used(old, hosts).items()):
        state, key = _plan_certificates.key_of(old, entry) if "certificate" in entry else ("missing", b"")
        lacks = _plan_certificates.lacks(entry, state)
        if "certificate" not in entry:
            plan.add("certificate", path, path, lacks)
            continue
        if entry["certificate"] not in present:
            lacks.insert(0, "it is not on this host")
        base = "/%s/%s" % (_plan_certificates.FOLDER, name_for(path.strip("/").replace("/", "_")))
        placed[path] = (base + ".crt", base + ".key")
        plan.add("certificate", entry["subject"] or path, path, lacks, base + ".crt", entry["found"])
        if key:
            plan.files[base.lstrip("/") + ".key"] = key
    return placed


def _vhosts(plan, context, hosts, placed):
    """Each virtual host for the server that is here: Apache's as it was with today's words, else a plain block for nginx."""
    live, trees = context.system, _files_trees.trees(context, hosts)
    apache, nginx = bool(live.which("apache2ctl")), bool(live.which("nginx"))
    socket, served = _plan_rest.socket(live), {name for host in _plan_vhosts.vhosts(live) for name in host["names"]}
    for host in hosts:
        name = next((n for n in host["names"] if n not in ("_", "", "_default_", "*")), "_")
        certificate, key = placed.get(host["certificate"], (host["certificate"], host["key"]))
        files = {"certificate": certificate, "key": key}
        said = [] if name in served else ["no server here answers for it"]
        ports = "-".join(str(port) for port in sorted({port for _address, port, _tls in host["listen"]}))
        file = "%s-%s.conf" % (name_for(name), ports)
        if host["server"] == "apache2" and (apache or not nginx):
            lines = _plan_vhosts.block(context.old.text(host["config"]), host["line"])
            text, more = _plan_web.apache(lines, trees, host, files, socket)
            place = "/etc/apache2/sites-available/" + file
        else:
            text, more = _plan_web.nginx(host, trees, files, socket)
            place = "/etc/nginx/sites-available/" + file
        while place.lstrip("/") in plan.files:
            place = place[: -len(".conf")] + "_.conf"
        root = _plan_web.moved(host["root"], trees)
        if host["root"] and not live.exists(root):
            more.insert(0, "%s is not on this host" % root)
        head = "# From %s of the old system, proposed by Intact. Look at it before it is switched on.\n" % host["config"]
        plan.add("vhost", "%s:%s" % (name, ports), host["config"], said + more, place, os.fsencode(head + text))


def _zones(plan, old, live):
    here, conf = _plan_zones.zones(live), []
    for name, zone in sorted(_plan_zones.zones(old).items()):
        told = _plan_zones.told(zone, name)
        lacks = [] if name in here else ["no name server here has it"]
        if "unreadable" in told:
            lacks.append("its file can't be read: %s" % told["unreadable"])
        if not _plan_zones.primary(zone):
            plan.add("zone", name, zone["config"], lacks + ["it was a %s: its records are at its primary" % zone["type"]])
            continue
        place = "/etc/bind/zones/" + name_for("db." + name)
        plan.add("zone", name, zone["file"] or zone["config"], lacks, place if zone["text"] else "", os.fsencode(zone["text"]))
        conf.append('zone "%s" { type master; file "%s"; };\n' % (name, place))
    if conf:
        plan.files["etc/bind/named.conf.intact-legacy"] = "".join(conf).encode("utf-8", "surrogateescape")


def _mta(plan, old, live):
    for path in _plan_rest.MTA:
        if not old.text(path).strip():
            continue
        if path == "/etc/postfix/main.cf":
            differing = _plan_rest.postfix(old, live)
            text = "".join("# here: %s\n%s = %s\n" % (here or "(not set)", name, value) for name, value, here in differing)
            lacks = ["%s = %s (here: %s)" % (name, value, here or "not set") for name, value, here in differing]
            plan.add("mta", "postfix", path, lacks, "/etc/intact-legacy/postfix-main.cf" if text else "", os.fsencode(text))
        else:
            plan.add("mta", os.path.basename(path), path, ["its settings have to be written for the mail server that is here"])


def text(plan):
    """The plan to be read: by kind, each line with what is lacking and the proposed file."""
    out = []
    for kind in KINDS:
        lines = [line for line in plan.lines if line["kind"] == kind]
        out += ["", "%s (%d)" % (kind, len(lines))] if lines else []
        for line in lines:
            out.append("  %s  [%s]%s" % (line["subject"], line["old"], "" if line["lacks"] else "  as it should be"))
            out += ["      - %s" % said for said in line["lacks"]]
            out += ["      proposed: plan.d/%s" % line["proposed"]] if line["proposed"] else []
    return "\n".join(out).lstrip("\n") + "\n"


def run(context, check=False):
    """Look, write plan.txt and plan.d anew, and tell. The document has `plan`, the lines. In check mode nothing is written."""
    plan = make(context)
    counts = {kind: sum(1 for line in plan.lines if line["kind"] == kind) for kind in KINDS}
    document = dict(_context.fresh("plan"), counts=dict(counts, files=len(plan.files)), plan=plan.lines, findings=findings(context, plan))
    if not check:
        directory = context.phase_directory("plan")
        shutil.rmtree(directory)
        for name, data in sorted(plan.files.items()):
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            write_atomic(path, data)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        write_atomic(context.path("plan.txt"), text(plan).encode("utf-8", "backslashreplace"))
    return document


def findings(context, plan):
    """A warning for each line that needs somebody, cut with a total."""
    out, left = [], {}
    for line in plan.lines:
        if not line["lacks"]:
            continue
        left[line["kind"]] = left.get(line["kind"], 0) + 1
        if left[line["kind"]] > MOST:
            continue
        remedy = (
            "look at %s, and put it to %s" % (context.path("plan.d", line["proposed"]), line["place"]) if line["place"] else "see %s" % context.path("plan.txt")
        )
        title = "%s of the old system that this host does not have as it was" % line["kind"]
        out.append(Finding("plan.%s" % line["kind"], "warning", line["subject"], title, evidence="; ".join(line["lacks"])[:600], remedy=remedy))
    for kind, count in sorted(left.items()):
        if count > MOST:
            out.append(
                Finding(
                    "plan.%s" % kind,
                    "warning",
                    "%d more" % (count - MOST),
                    "more of the kind %s" % kind,
                    "%d in all" % count,
                    "see %s" % context.path("plan.txt"),
                )
            )
    return out
