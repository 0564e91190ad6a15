# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The way back to a checkpoint. It can be cut at any point and begun again: what is as it was is left alone, what is replaced is kept aside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, _metadata, _placing, _restore_services, mysql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _checkpoint, _scope, _server, _trees

TRIES = 3
# a database's directory can't be removed while there is something in it that is no table
LEFTOVERS = re.compile(r"ERROR 1010\b")
PLAIN = re.compile(r"[A-Za-z0-9_]+\Z")


class Back:
    """document: of _checkpoint.read(). kept: its directory. directory: for staging and what goes aside. server: a _server.Server."""

    def __init__(self, view, document, kept, directory, server, tell=lambda _line: None):
        self.view, self.document, self.kept, self.server, self._tell = view, document, kept, server, tell
        self.aside, self.staging = os.path.join(directory, "aside"), os.path.join(directory, "staging")
        owners = {entry["name"]: entry.get("owner") for entry in document["databases"]}
        self.engines = _live.Databases(view, self.aside, owners.get)
        self.wrong = []  # sentences about what could not be put back
        self.left = []  # and about what customers changed again meanwhile

    def run(self):
        """Put everything back; True when anything had to be. What could not be is in self.wrong."""
        changed = False
        units = _restore_services.Services(stop={"": self.document["services"]})
        systemd = self.document["services"] and self.view.which("systemctl")
        running = units.running("") if systemd else []
        for unit, why in units.stop(running):
            self._tell("%s could not be stopped: %s" % (unit, why))
        for step in (self._server_runs, self.databases, self._accounts, self._newcomers, self.configuration):
            try:
                changed = step() or changed
            except (IntactError, OSError) as exc:
                self.wrong.append(str(exc))
        for unit, why in units.start(self.document["running"]) if systemd else []:
            self.wrong.append("%s does not run again: %s" % (unit, why))
        return changed or sorted(running) != sorted(self.document["running"])

    def _server_runs(self):
        record = self.document["server"]
        if not record:
            return False
        own = os.path.join(self.kept, self.document["own"]["file"])
        try:
            started = self.server.ensure(record)
            damaged = set(self.server.own_damaged()) - set(self.document["own_damaged"])
        except IntactError as exc:
            self._tell("the database server: %s" % exc)
            return self.server.mend(record, own)
        return self.server.mend(record, own) if damaged else started

    def databases(self, names=None):
        """Put databases back that are not as they were; only these, when names are given. True when any had to be."""
        changed = False
        for entry in self.document["databases"]:
            if (names is not None and entry["name"] not in names) or not self._differs(entry):
                continue
            self._tell("%s is put back" % entry["name"])
            changed = True
            for attempt in range(TRIES):
                try:
                    self._put_back(entry)
                    break
                except IntactError as exc:
                    # a server that dies of what is damaged is started, and asked again
                    if attempt + 1 == TRIES or not self.document["server"]:
                        self.wrong.append(str(exc))
                        break
                    self._server_runs()
            else:
                continue
            still = [] if entry["damaged"] else self._differs(entry)
            if still:
                self.wrong.append("%s is not what it was: %s" % (entry["name"], still))
        return changed

    def _differs(self, entry):
        """In what a database differs from the checkpoint's, as a sentence, or "". Exactly: for the baseline's comparison a table that has grown is none."""
        if entry["damaged"]:
            return "it was damaged when it was kept, so it can't be compared"
        try:
            now = self._now(entry)
        except IntactError as exc:
            return str(exc)
        before, now = (json.loads(json.dumps(items)) for items in (entry["items"], now or {}))
        wrong = sorted(subject for subject in set(before) | set(now) if before.get(subject) != now.get(subject))
        return ", ".join(wrong[:5]) + (" and %d more" % (len(wrong) - 5) if len(wrong) > 5 else "")

    def _now(self, entry):
        if _live.is_file(entry["name"]) or _live.engine(entry["name"]) is not mysql:
            return self.engines.now(entry["name"], {"host_id": ""})
        # by the dump's own rules: what it could not carry exactly is in none of the two
        return _mysql.database_items(self.view, _mysql.program(self.view), mysql.schema(entry["name"]), entry["rules"])

    def _put_back(self, entry):
        if not _live.is_file(entry["name"]):
            try:
                self.engines.drop(entry["name"])
            except IntactError as exc:
                if not LEFTOVERS.search(str(exc)):
                    raise
                self._clear(mysql.schema(entry["name"]))
                self.engines.drop(entry["name"])
        with open(os.path.join(self.kept, entry["file"]), "rb") as stream:
            refused = self.engines.load(entry["name"], stream)
        if refused and not entry["damaged"]:
            raise IntactError("%s: %s" % (entry["name"], refused[0]))

    def _clear(self, schema):
        """Move what is left in a database's directory aside."""
        folder = os.path.join(self.document["server"]["datadir"], schema)
        if not PLAIN.match(schema) or not os.path.isdir(folder):
            return
        placer = _placing.Placer(self.staging, self.aside)
        for name in os.listdir(folder):
            placer.remove(os.fsencode(os.path.join(folder, name)))

    def _accounts(self):
        """Accounts and rights as they were, row by row: statements would make others of them that mean the same."""
        if not self.document["server"] or self._same_accounts():
            return False
        self._tell("accounts of the database server are put back")
        with open(os.path.join(self.kept, self.document["accounts"]["file"]), "rb") as handle:
            text = handle.read().decode("utf-8", "surrogateescape")
        script = ["USE %s;" % _server.OWN] + ["DELETE FROM %s;" % _mysql.quote(table) for table in self.document["accounts"]["tables"]]
        _mysql.ask(self.view, _mysql.program(self.view), script + [text, "FLUSH PRIVILEGES;"])
        if not self._same_accounts():
            self.wrong.append("the accounts of the database server are not what they were")
        return True

    def _same_accounts(self):
        blocks, whole = _checkpoint.accounts(self.view, self.server)
        digest, tail = hashlib.sha256(), b""
        for block in blocks:
            digest.update(block)
            tail = (tail + block)[-4096:]
        return whole(tail) and digest.hexdigest() == self.document["accounts"]["sha256"]

    def _newcomers(self):
        """Databases that came since: kept aside whole, then dropped."""
        if not self.document["server"]:
            return False
        new = sorted(set(self.server.schemas()) - set(self.document["schemas"]))
        for schema in new:
            name = "%s:%s" % (_mysql.NAME, escape(schema))
            self._tell("%s came since the checkpoint: it is kept aside and dropped" % name)
            self.engines.put_aside(name, {"host_id": ""})
            with contextlib.suppress(IntactError):
                self.engines.drop(name)  # put_aside leaves an empty one
        left = sorted(set(self.server.schemas()) - set(self.document["schemas"]))
        if left:
            self.wrong.append("%s came since the checkpoint and could not be dropped" % ", ".join(left))
        return bool(new)

    def configuration(self, wanted=None):
        """Put files back; only below these of the checkpoint's paths, when some are given. What came to a customer's path since stays there."""
        paths, without = self.document["paths"] if wanted is None else wanted, self.document["without"]
        theirs = _scope.theirs(self.document)
        before = {path: item for path, item in self.document["items"].items() if wanted is None or _below(path, paths)}
        now = _trees.walk(self.view, paths, without=without)
        new = [path for path in sorted(set(now) - set(before)) if not theirs(path)]
        differing = [path for path in _trees.differing(before, now) if path in before or path in new]
        if not differing:
            return False
        self._tell("configuration: %d entries are put back" % len(differing))
        self._stage(paths)
        same = {path for path in before if path in now and path not in set(differing)}
        placer = _placing.Placer(self.staging, self.aside, same, root=self.view.root)
        gone = ""
        for path in new:
            if not gone or not path.startswith(gone + "/"):
                placer.remove(unescape(path))
                gone = path
        for path in paths:
            placer.place(unescape(path))
        _metadata.free(self.staging)
        shutil.rmtree(self.staging)
        failed = _metadata.mend(self.view.root, before, holes=False)
        after = _trees.walk(self.view, paths, without=without)
        still = [path for path in _trees.differing(before, after, ("sparse", "links")) if path in before or not theirs(path)]
        for path in sorted(set(still) | set(failed))[:20]:
            told = self.left if theirs(path) and path in after and path not in failed else self.wrong
            told.append("%s is not what it was%s" % (path, ": " + failed[path] if path in failed else ""))
        return True

    def _stage(self, paths):
        shutil.rmtree(self.staging, ignore_errors=True)
        for path in paths:
            kept, target = (os.fsencode(top) + unescape(path) for top in (os.path.join(self.kept, _checkpoint.FILES), self.staging))
            if os.path.lexists(kept):
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                run(["cp", "-a", "--no-target-directory", "--", kept, target], timeout=86400)
        os.makedirs(self.staging, mode=0o700, exist_ok=True)


def _below(path, tops):
    return any(path == top or path.startswith(top.rstrip("/") + "/") for top in tops)
