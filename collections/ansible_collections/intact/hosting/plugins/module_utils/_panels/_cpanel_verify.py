# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""cPanel's exports read without restoring them: each archive to its last byte against pkgacct's own words, and every object against the inventory."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _account_archives,
    _accounts,
    _archives,
    _cpanel_files,
    _cpanel_live,
    _cpanel_said,
    _dumps,
    _inventory,
    _mysql_look,
    _verify,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._cpanel_export import ENDING, SERVER

PANEL = "cpanel"
ARCHIVE = re.compile(r"(?:cpmove-|backup-[0-9._-]+_)?([A-Za-z0-9_-]+)\.tar(?:\.gz|\.zst|\.bz2|\.xz)?\Z")
AGAIN = _verify.AGAIN
# Of a database the rows are judged by _mysql_look.dumps(), here only whose it is.
ATTRIBUTES = {"database": ["owner"]}


class _Summed:
    """A stream whose md5 is made while it is read."""

    def __init__(self, source):
        self._source, self.md5 = source, hashlib.md5()

    def read(self, size=-1):
        block = self._source.read(size)
        self.md5.update(block)
        return block


def verify(opened, inventory, mode):
    """Findings of an export; nothing is started and nothing written."""
    names, wanted = opened.names("artefact"), inventory["objects"].get("database", {})
    seen, found, results = _accounts_of(opened, names, mode, wanted)
    packed = {ARCHIVE.match(name).group(1) for name in archives(names)}
    found += [_unpacked(opened, user, names) for user in sorted(inventory["objects"].get("customer", {})) if user not in packed]
    if SERVER in names:
        settings, findings = _account_archives.server(opened, PANEL, SERVER, _cpanel_live.settings)
        seen.setdefault("setting", {}).update(settings)
        found += findings
    found += _mysql_look.dumps(PANEL, results, wanted)
    document = _inventory.make(PANEL, inventory["version"], inventory["host"], {"kind": "command", "of": "the export"}, seen)
    return found + _inventory.compare(inventory, document, attributes=ATTRIBUTES)


def _accounts_of(opened, names, mode, databases):
    """(objects, findings, {database: what its dump says}) of all accounts' archives."""
    results = {}
    seen, found = _account_archives.together(archives(names), lambda name: _account(opened, name, names, mode, sorted(databases), results))
    for name, result in results.items():
        seen["database"][escape(name)].update(_mysql_look.told(result))
    return seen, found, results


def packed(opened, found, host):
    """The inventory document that archives without any other word for it tell of themselves. A database that somebody has rights on is one."""
    objects, _findings, _results = _accounts_of(opened, opened.names("artefact"), "settings", {})
    return _account_archives.alone(PANEL, found, host, objects)


def archives(names):
    """Those of an export's files that are an account's archive."""
    return [name for name in names if ARCHIVE.match(name) and name != SERVER and not name.startswith("home-")]


def _account(opened, name, names, mode, databases, results):
    """(objects of one account's archive, findings). results: filled with what its dumps say."""
    user = ARCHIVE.match(name).group(1)
    contents, md5 = _read(opened, name)
    found, held = _verify.broken(contents, PANEL, name), members(contents)
    if user + ENDING in names:
        found += _transcript(opened, user, name, contents, md5, databases)
    if "home-%s.tar" % user in names:
        home = opened.contents("home-%s.tar" % user, keep=lambda path, _size: path.startswith("etc/"), enter=_never)
        found += _verify.broken(home, PANEL, "home-%s.tar" % user)
        held.update(("homedir/" + path, data) for path, data in home.kept.items())
    found += _identity(user, name, contents, held)
    if mode == "full" and not contents.broken:
        found += _home(user, name, contents)
    objects = _cpanel_files.account(user, held)
    for database, result in dumps(contents).items():
        results[database] = result
        objects.setdefault("database", {})[escape(database)] = {"owner": escape(user)}
    return objects, found


def _unpacked(opened, user, names):
    """An account that pkgacct wrote no archive for, with its reason."""
    words = opened.read(user + ENDING).decode("utf-8", "surrogateescape") if user + ENDING in names else ""
    lines = [line for line in words.split("\n") if line.strip()]
    said = [line for _ident, line in _cpanel_said.complaints(lines)] or lines[-1:] or ["it says nothing"]
    remedy = "run pkgacct for this account by hand and repair what it names; it can't pack an account without a user, or whose files are damaged"
    evidence = _accounts.redact(said[0])[:300]
    return _inventory.finding("panel.export.failed", PANEL, "customer", user, "pkgacct wrote no archive of this account", evidence, remedy)


def _never(_path):
    return False


def _read(opened, name):
    """(contents, md5) of an archive, read once."""
    with opened.stream(name) as source:
        summed = _Summed(source)
        contents = _archives.walk(
            name,
            keep=lambda path, _size: bool(_cpanel_files.KEPT.match(within(path))),
            scan=lambda path: _dumps.Scan() if re.match(r"mysql/[^/]+\.sql\Z", within(path)) else None,
            # a customer's own archives are the customer's matter
            enter=lambda path: not within(path).startswith("homedir/"),
            source=summed,
            work=opened.work(),
        )
    opened.digests[name] = contents.sha256
    return contents, summed.md5.hexdigest()


def within(path):
    """A member's path without the archive's top directory; a home in a tar of its own is told as one that is not."""
    path = _stripped(path).partition("/")[2]
    top, inside, rest = path.partition("homedir.tar!")
    return "homedir/" + _stripped(rest) if inside and not top else path


def _stripped(path):
    return path[2:] if path.startswith("./") else path


def members(contents):
    """{member: bytes} of what was kept, as _cpanel_files wants it."""
    return {re.sub(r"\A(apache_tls/[^/]+)/combined\Z", r"\1", within(path)): data for path, data in contents.kept.items()}


def dumps(contents):
    """{database: what its dump says}."""
    return {within(path)[len("mysql/") : -len(".sql")]: result for path, result in contents.scanned.items()}


def _transcript(opened, user, name, contents, md5, databases):
    """Findings of pkgacct's words against the file that it wrote."""
    text = opened.read(user + ENDING).decode("utf-8", "surrogateescape")
    said, found = _cpanel_said.package(text), []
    remedy = "repair what it names, then export again"
    found += _cpanel_said.told(PANEL, user, databases, said.complaints, remedy)

    def tell(ident, title, evidence):
        found.append(_inventory.finding(ident, PANEL, "customer", user, title, evidence, AGAIN, file=name))

    if said.user and said.user != user:
        tell("panel.export.stale", "pkgacct's words are about another account", "they are about %s" % escape(said.user))
    if not said.ended:
        tell(
            "panel.export.failed",
            "pkgacct did not say that it completed",
            "its last line: %s" % _accounts.redact((text.strip().splitlines() or [""])[-1])[:200],
        )
    if not said.md5 or said.size < 0:
        tell("panel.export.failed", "pkgacct told no md5 or no size of its archive", "its words can't vouch for the file")
    elif said.md5 != md5 or said.size != contents.size:
        evidence = "%d bytes with md5 %s; pkgacct wrote %d bytes with md5 %s" % (contents.size, md5, said.size, said.md5)
        if contents.size < said.size and contents.broken:
            tell("panel.export.truncated", "the archive is shorter than what pkgacct wrote", evidence)
        elif contents.broken or contents.size == said.size:
            tell("panel.export.corrupt", "the archive is not what pkgacct wrote", evidence)
        else:
            tell("panel.export.stale", "pkgacct's md5 and size are of another archive", evidence)
    return found


def _identity(user, name, contents, held):
    """An archive's name proves nothing: restorepkg goes by what is in it."""
    told_users = {escape(path[len("cp/") :]) for path in held if path.startswith("cp/")}
    told_users |= {escape(value) for path in held if path.startswith("cp/") for value in [_accounts.settings(held[path]).get("USER", "")] if value}
    told_users |= {escape(line.strip()) for line in _accounts.lines(held.get("meta/user"))[:1]}
    tops = {_stripped(path).partition("/")[0] for path in contents.members} - {""}
    found = []
    if told_users - {user}:
        title, evidence = "the archive is another account's", "it names %s" % ", ".join(sorted(told_users - {user}))
        found.append(_inventory.finding("panel.export.stale", PANEL, "customer", user, title, evidence, AGAIN, file=name))
    if len(tops) > 1:
        title, evidence = "the archive has more than one account's directory", ", ".join(sorted(escape(top) for top in tops)[:5])
        found.append(_inventory.finding("panel.export.member", PANEL, "customer", user, title, evidence, AGAIN, file=name))
    if not held.get("cp/" + user) and not contents.broken:
        title, evidence = "the archive does not say whose it is", "cp/%s is not in it, or empty" % user
        found.append(_inventory.finding("panel.export.member", PANEL, "customer", user, title, evidence, AGAIN, file=name))
    return found


def _home(user, name, contents):
    inside = [path for path, member in contents.members.items() if within(path).startswith("homedir/") and member.kind not in ("directory", "symlink")]
    if inside:
        return []
    title, evidence = "its home is not in the archive, or empty", "no file below homedir/ in %s" % name
    return [_inventory.finding("panel.object.empty", PANEL, "customer", user, title, evidence, AGAIN, file=name)]
