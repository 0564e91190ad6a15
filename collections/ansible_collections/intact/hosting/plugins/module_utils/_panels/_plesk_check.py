# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An export of Plesk, of any version, read without Plesk: archives, descriptions, references, dumps, and every object of the inventory."""

from __future__ import annotations

import datetime
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import parse_time
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _plesk_dump, _plesk_objects, _plesk_sql, _plesk_xml, _verify

# where it is established how a description names them; of the others a description that names none says nothing
KNOWN = "customer domain domain_alias subdomain dns_zone mailbox forward mail_alias database database_user certificate ftp_user".split()
GUESSED = ("list", "limit")
# what readers of Plesk 7's description find in it; and in 8's they find nothing of the server itself
SEVEN = "domain mailbox forward database database_user".split()
ELSEWHERE = ("php_handler", "subscription", "setting", "cron_job")
DESCRIPTION = re.compile(r"(?:^|[/!_])(?:(?:\w[\w.@-]*_)?info(?:_[\w.-]+)?|dump)\.xml(?:#\d+)?\Z")
STAMP = re.compile(r"_info_(\d{10})\.xml\Z")
# a backup's name tells the server's local time, and in which zone that is nobody says
ZONES = datetime.timedelta(hours=15)
# archives in these are the backup's own; in all other volumes they are customers' files, whole or not
_OWN = re.compile(r"(?:^|/)(?:backup_\d{10}\.tar|backup_ext_|backup_key|\S*_?sqldump_|[^/]*\.(?:gz|bz2|xz|zst)\Z)")
ERRORS = (
    r"(?i)\b(?:error|fatal|failed|unable to|cannot|can't|corrupt(?:ed)?)\b",
    r"(?i)not enough (?:free )?(?:disk )?space|no space left",
    r"(?i)already running",
)
HARMLESS = (r"(?i)^\W*(?:\[?\d[\d:. -]*\]?\s*)?\W*(?:warn(?:ing)?|notice|info|debug)\b", r"(?i)\b(?:0|no) errors?\b")


def enter(path):
    """Whether an archive in the export is the backup's own."""
    above = path.split("!")[:-1]
    return all(_OWN.search(part) for part in above)


def described(path):
    """Whether a member is a description of the backup's own; a customer's info.xml is none."""
    return bool(DESCRIPTION.search(path)) and enter(path)


def verify(opened, inventory, mode, panel, keyed=True):
    """Findings of an export. keyed: whether this version has key material that belongs to it."""
    found = _verify.said(panel, opened.document.get("said") or [], ERRORS, HARMLESS)
    if keyed and "secret_key" not in opened.names("key"):
        remedy = "export again with /etc/psa/private readable: without its key the passwords in the export are lost"
        found.append(
            _inventory.finding("panel.key.missing", panel, "key", "secret_key", "the panel's key is not in the export", "no file of it is secret_key", remedy)
        )
    names, known = opened.names("artefact", "dump"), 0
    for name in names:
        look = _Look(panel, name, inventory, mode)
        found += look.read(opened, opened.document)
        known += look.known
    if names and not known:
        title, evidence = "nothing in the export describes the server", ", ".join(names)
        found.append(_inventory.finding("panel.export.corrupt", panel, "export", "", title, evidence, _verify.AGAIN))
    return found


class _Look:
    """One file of an export. known: whether it says anything of the server."""

    def __init__(self, panel, name, inventory, mode):
        self._panel, self._name, self._inventory, self._mode, self.known = panel, name, inventory, mode, False

    def _finding(self, ident, kind, name, title, evidence, remedy=_verify.AGAIN, **more):
        return _inventory.finding(ident, self._panel, kind, name, title, evidence, remedy, **more)

    def read(self, opened, document):
        """Everything in it, once."""
        self._contents = contents = opened.contents(self._name, scan=self._scanner, enter=enter)
        out = _verify.broken(contents, self._panel, self._name)
        told = {path: result for path, result in contents.scanned.items() if described(path)}
        self._dumps = {path: result for path, result in contents.scanned.items() if path not in told and result}
        lost = {path for path, _why in contents.broken} | set(contents.cut)
        self._there, self._below = lost | set(contents.members), {}
        for path in sorted(self._dumps, reverse=True):
            # by the member that a dump is, and by each archive that it is in
            parts = path.split("!")
            self._below.update({"!".join(parts[:number]): path for number in range(1, len(parts) + 1)})
        self._broken = {"!".join(path.split("!")[:number]) for path in lost for number in range(1, path.count("!") + 2)}
        for path, result in sorted(told.items()):
            if result["why"] and path not in lost:
                out.append(
                    self._finding("panel.export.corrupt", "file", "%s!%s" % (self._name, path), "a description in the export can't be read", result["why"])
                )
            if result["signature"]:
                title, evidence = "the signature of the export is not whole", result["signature"]
                out.append(self._finding("panel.export.signature", "file", "%s!%s" % (self._name, path), title, evidence))
        self.known = bool(told)
        if told:
            return out + self._stale(told, document) + self._objects(told) + self._references(told)
        for path, result in sorted(self._dumps.items()):
            if result["psa"] is not None:
                self.known = True
                out += self._rows(path, result)
        return out

    def _scanner(self, path):
        if described(path):
            return _plesk_xml.Scan(_plesk_objects.Reader())
        # a database's dump may lie in an archive in an archive; what does not begin like one is passed over
        return _plesk_dump.Scan() if path.count("!") < 3 else None

    def _stale(self, told, document):
        """Descriptions that are older than the inventory."""
        taken = parse_time(document.get("taken") or self._inventory["taken"])
        out = []
        for path in sorted(told):
            stamp = STAMP.search(path)
            try:
                made = datetime.datetime.strptime(stamp.group(1), "%y%m%d%H%M").replace(tzinfo=datetime.timezone.utc) if stamp else None
            except ValueError:
                made = None
            if made and made < taken - ZONES:
                evidence = "its name says %s, the inventory was taken %s" % (made.strftime("%Y-%m-%d %H:%M"), document.get("taken") or self._inventory["taken"])
                out.append(self._finding("panel.export.stale", "file", "%s!%s" % (self._name, path), "a description in the export is an old one", evidence))
        return out

    def _objects(self, told):
        """The inventory's objects against those that all descriptions name together."""
        seen, wanted = {}, self._inventory["objects"]
        for result in told.values():
            for kind, entries in result["objects"].items():
                for name, attributes in entries.items():
                    seen.setdefault(kind, {}).setdefault(name, {}).update(attributes)
        for name, attributes in seen.pop("site", {}).items():
            # a description calls an additional domain and a subdomain alike
            seen.setdefault("subdomain" if name in wanted.get("subdomain", {}) else "domain", {}).setdefault(name, attributes)
        if "admin" not in wanted.get("customer", {}):
            seen.get("customer", {}).pop("admin", None)
        whole = {kind: dict(entries) for kind, entries in wanted.items()}
        route = {"kind": "files", "of": "the export"}
        shown = _inventory.make(self._panel, self._inventory["version"], self._inventory["host"], route, seen)
        shapes = {result["shape"] for result in told.values()}
        kinds = SEVEN if "7" in shapes else KNOWN + [kind for kind in GUESSED if seen.get(kind)]
        blind = [(kind, "", len(wanted[kind])) for kind in _inventory.KINDS if wanted.get(kind) and kind not in kinds]
        zones = [name for name in set(whole.get("domain_alias", {})) - set(seen.get("dns_zone", {})) if whole.get("dns_zone", {}).pop(name, None)]
        blind += [("dns_zone", "of domain aliases", len(zones))] if zones and "dns_zone" in kinds else []
        certificates = whole.get("certificate", {})
        servers = [name for name in certificates if name.startswith("server/")]
        if "8" in shapes and servers and not any(name.startswith("server/") for name in seen.get("certificate", {})):
            whole["certificate"] = {name: entry for name, entry in certificates.items() if name not in servers}
            blind.append(("certificate", "server", len(servers)))
        return _inventory.compare(dict(self._inventory, objects=whole), shown, kinds) + [self._blind(*entry) for entry in blind]

    def _blind(self, kind, name, number):
        """What was not compared is not proven; what no export of any panel holds in a way that is known keeps nobody from flying."""
        severity = "info" if kind in ELSEWHERE else "warning" if kind == "limit" or name else "blocker"
        evidence = "%d in the inventory; where a description names them is not established" % number
        remedy = "compare them by hand; the panel's own dumps of its database hold them too, and so does a rescue from the disk"
        return self._finding("panel.unproven", kind, name, "whether the export holds them is not known", evidence, remedy, severity=severity)

    def _references(self, told):
        """Every reference leads to something that is not empty; in a full export every database and every site has one."""
        out, held, results, done = [], {}, {}, set()
        for base, result in sorted(told.items()):
            for kind, name, what, folder, file in result["references"]:
                # the server's description and an object's own one name the same
                if (kind, name, what, folder, file) in done:
                    continue
                done.add((kind, name, what, folder, file))
                place = self._place(base, folder, file)
                held.setdefault((kind, name), []).append(place)
                if place is None:
                    evidence = "%s: %s" % (what or "cid", posixpath.join(folder, file))
                    out.append(self._finding("panel.reference.broken", kind, name, "its content is not in the export", evidence))
                elif place in self._contents.members and not self._contents.members[place].size:
                    ident = "panel.dump.empty" if kind == "database" else "panel.object.empty"
                    out.append(self._finding(ident, kind, name, "its content in the export is empty", "%s: %s, 0 bytes" % (what or "cid", place)))
                elif kind == "database" and place in self._contents.members:
                    self._dump(name, place, results, out)
        return out + self._missing(held, results)

    def _place(self, base, folder, file):
        """The member that a reference of the description `base` means, or None."""
        chain, bang, inside = base.rpartition("!")
        here, root = chain + bang, posixpath.dirname(inside)
        for path in (posixpath.join(folder, file), posixpath.join(root, folder, file), file, posixpath.join(root, file)):
            if here + posixpath.normpath(path) in self._there:
                return here + posixpath.normpath(path)
        return None

    def _dump(self, name, place, results, out):
        """What the dump that a database's reference leads to says."""
        if place in self._below:
            results[name] = self._dumps[self._below[place]]
        elif place not in self._broken:
            out.append(self._finding("panel.dump.empty", "database", name, "there is no dump in its content", place))

    def _missing(self, held, results):
        objects = self._inventory["objects"]
        out, wanted = [], {}
        for name, entry in objects.get("database", {}).items():
            if name in results:
                wanted[name] = {"tables": entry.get("tables", 0), "rows": 1 if entry.get("filled") == "yes" else 0}
            elif self._mode == "full" and ("database", name) not in held:
                out.append(self._finding("panel.object.empty", "database", name, "the export has no content of it", "no reference in any description"))
        out += _verify.dumps(self._panel, {name: results[name] for name in wanted}, wanted)
        sites = [name for name, entry in objects.get("domain", {}).items() if entry.get("web") == "yes" and not entry.get("webspace")]
        for kind, names, severity in (("domain", sites, "blocker"), ("mailbox", objects.get("mailbox", {}), "warning")):
            for name in sorted(names) if self._mode == "full" else []:
                if (kind, name) not in held:
                    evidence = "no reference in any description"
                    out.append(self._finding("panel.object.empty", kind, name, "the export has no content of it", evidence, severity=severity))
        return out

    def _rows(self, path, result):
        """A dump of the panel's database: the same objects by its rows."""
        if not result["whole"]:
            return [self._finding("panel.dump.incomplete", "database", _plesk_sql.DATABASE, "the dump is not whole", "%s: %s" % (path, result["why"]))]
        lacking = [table for table in _plesk_sql.ESSENTIAL if table not in result["psa"]]
        if lacking:
            return [self._finding("panel.dump.incomplete", "database", _plesk_sql.DATABASE, "tables are not in the dump", ", ".join(lacking))]
        if not result["psa"]["clients"] and not result["psa"]["domains"]:
            return [self._finding("panel.dump.empty", "database", _plesk_sql.DATABASE, "the dump names neither customers nor domains", path)]
        seen, lost = _plesk_sql.objects(result["psa"])
        out = [self._finding("panel.export.corrupt", "database", _plesk_sql.DATABASE, entry["why"], entry["what"]) for entry in lost]
        shown = _inventory.make(self._panel, self._inventory["version"], self._inventory["host"], {"kind": "files", "of": "the dump"}, seen)
        kinds = [kind for kind in _inventory.KINDS if kind != "cron_job"]
        return out + _inventory.compare(self._inventory, shown, kinds)
