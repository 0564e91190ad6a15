# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What loading dumps into a live server has in common: what is half done is told by a file, what is there is never overwritten, the end is compared."""

from __future__ import annotations

import copy
import json
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway
from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

LOADING, LOADED, DONE = "loading", "loaded", "done"
# of a table as another version tells it
OF_VERSION = ("structure", "collation", "engine", "definition", "properties", "acl", "owner", "charset", "enabled", "type")


class Loader:
    """context: of the migration. dest: directory of a dump. States are in dest.load/, one file a database; findings, explained, brought, accounts tell."""

    kind = server = label = ""

    def __init__(self, context, dest):
        self._context, self._dest, self._states = context, dest, dest + ".load"
        self.findings, self.explained, self.brought, self.accounts = [], [], [], []
        self.live = copy.copy(context.system)
        self.live.options = dict(context.system.options, table_bytes=2**60)

    # states

    def _state_path(self, name):
        return os.path.join(self._states, _dumped.quoted(name) + ".json")

    def kept(self, name, key="state"):
        """Of a database: its state (loading, loaded with differences, done, or "" when we did not make it), or another key, "" when there is none."""
        try:
            with open(self._state_path(name), "rb") as handle:
                return json.loads(handle.read())[key]
        except (OSError, ValueError, KeyError):
            return ""

    def _set(self, name, state, **more):
        os.makedirs(self._states, mode=0o700, exist_ok=True)
        write_atomic(self._state_path(name), json.dumps(dict(more, state=state)).encode())

    def begun(self):
        """Whether anything of this dump was loaded."""
        return os.path.isdir(self._states) and bool(os.listdir(self._states))

    def _add(self, kind, severity, subject, title, evidence="", remedy=""):
        self.findings.append(
            Finding(id="databases.migrate." + kind, severity=severity, subject=subject, title=title, evidence=str(evidence)[:600], remedy=remedy)
        )

    # what kinds of servers do in their own way

    def check(self):
        """Raise an IntactError when there is no live server to load into."""
        raise NotImplementedError

    def names(self):
        """Names of the databases of the live server."""
        raise NotImplementedError

    def drop(self, name):
        """Remove a database that we made."""
        raise NotImplementedError

    def create_and_fill(self, name, kept, token):
        """[sentence] of what the server refused. The database bears the token (text) from its first moment on."""
        raise NotImplementedError

    def bears(self, name, token):
        """Whether the live database is the one that create_and_fill() made with this token."""
        raise NotImplementedError

    def clear(self, name):
        """Take the token off, when there is one."""
        raise NotImplementedError

    def items(self, name, rules):
        """{subject: item} of a live database, as the baseline sees it."""
        raise NotImplementedError

    def before(self, dumped):
        """What comes before the databases: roles."""

    def after(self, dumped):
        """What comes after the databases: accounts with rights."""

    def versions_differ(self, dumped):
        """Whether the server that was dumped tells the same things in another way than the live one."""
        raise NotImplementedError

    # the run

    def load(self, dumped):
        """Load what is not there; compare; never touch what we did not make."""
        self.live.options["identity"] = dumped["identity"]
        self._differ = self.versions_differ(dumped)
        self.before(dumped)
        for shown, kept in sorted(dumped["databases"].items()):
            name = unescape(shown).decode("utf-8", "surrogateescape")
            self._explain(shown, kept)
            try:
                self._database(shown, name, kept)
            except IntactError as exc:
                self._add(
                    "failed", "blocker", "%s:%s" % (self.label, shown), "this database was not brought", exc, "see what it says; the phase can be run again"
                )
        self.after(dumped)

    def _explain(self, shown, kept):
        for table, entry in kept["tables"].items():
            if entry["damaged"]:
                reason = "damaged on the old disk: %s" % entry["damaged"]
                self.explained.append({"class": "tables", "subject": "%s:%s.%s" % (self.label, shown, table), "reason": reason})

    def _database(self, shown, name, kept):
        subject, state, there = "%s:%s" % (self.label, shown), self.kept(name), name in self.names()
        if state == DONE and there:
            self.brought.append(shown)
            return
        if state == LOADED and there:
            # this start's predecessor may have been cut right after it wrote this down
            self.clear(name)
        elif state == LOADING and there and (self.bears(name, self.kept(name, "token")) or self._bare(name, shown)):
            self._context.tell("%s was half loaded: once more" % subject)
            self.drop(name)
            there = False
        if there:
            wrong = self.compare(shown, name, kept)
            if not wrong:
                self.brought.append(shown)
                if state == LOADED:
                    self._set(name, DONE)
                return
            if state == LOADED:
                self.findings += wrong
                remedy = "compare them by hand; to have it loaded again, drop it and run the phase again"
                self._add("differs", "blocker", subject, "this database was loaded and differs from the old one", "%d differences" % len(wrong), remedy)
                return
            if not self._empty(name, shown):
                evidence = "; ".join("%s: %s" % (finding.subject, finding.evidence or finding.title) for finding in wrong[:5])
                remedy = "rename or drop the one on this host, or leave this database out (databases_only)"
                self._add("existing", "blocker", subject, "a database of this name is there with other content: nothing was written to it", evidence, remedy)
                return
        token = os.urandom(16).hex()
        self._set(name, LOADING, token=token)
        self._context.tell("loading %s" % subject)
        refused = self.create_and_fill(name, kept, token)
        for line in refused:
            self._add("refused", "blocker", subject, "the server refused a part of this database", line, "see what it says and bring that part by hand")
        self._set(name, LOADED)
        if name in self.names():
            self.clear(name)
        wrong = self.compare(shown, name, kept)
        self.findings += wrong
        if not any(finding.severity == "blocker" for finding in wrong):
            self._set(name, DONE)
        self.brought.append(shown)

    def _bare(self, name, shown):
        """Whether nothing is lost with this database."""
        return not [item for subject, item in self.items(name, ()).items() if subject != "%s:%s" % (self.label, shown) and item.get("kind") != "extension"]

    def _empty(self, name, shown):
        """Whether this database can be filled as it is."""
        return self._bare(name, shown)

    def wanted(self, shown, kept):
        """{subject: item} of what the dump holds."""
        out = {subject: item for subject, item in kept["objects"].items() if item["kind"] != "event"}
        for table, entry in kept["tables"].items():
            if entry["kind"] == "SEQUENCE" and not entry["damaged"]:
                out["%s:%s.%s" % (self.label, shown, table)] = {"kind": "sequence", "database": shown}
            if entry.get("item"):
                out["%s:%s.%s" % (self.label, shown, table)] = {key: value for key, value in entry["item"].items() if key != "rules"}
        return out

    def compare(self, shown, name, kept):
        """[Finding] of differences between a dump's items and the live database's."""
        rules = [rule for entry in kept["tables"].values() for rule in (entry.get("item") or {}).get("rules", [])]
        before = self.wanted(shown, kept)
        after = {subject: item for subject, item in self.items(name, rules).items() if item["kind"] != "event"}
        if self._differ:
            before, after = _bytes_only(before), _bytes_only(after)
        return _throwaway.compare(before, after)


def _bytes_only(items):
    """Items without what another version tells in its own words: rows, digests and names stay."""
    return {subject: {key: value for key, value in item.items() if key not in OF_VERSION} for subject, item in items.items()}
