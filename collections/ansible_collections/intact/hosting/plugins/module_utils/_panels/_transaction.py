# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A panel's restore as a transaction: checkpoint, import, repair, check, compare, commit, or back to the checkpoint; by a journal that survives a kill.

ROOT/<id>/journal.jsonl (as _flight writes them), ROOT/<id>/attempt-<n>/{checkpoint,aside}.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _restore_services, mysql
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _checkpoint,
    _export,
    _inventory,
    _orphans,
    _restores,
    _rollback,
    _scope,
    _server,
    _signals,
    _standing,
    _trees,
)

DRILLS = "/var/lib/intact-drills"
# freed when the disk is full, so that the way back can be told
BALLAST = 1 << 20


class Transaction:
    """driver: a panel's. view: the System of the host. found: of its detect(), or None. name: the restore's id.

    drills: where servers that read dumps back have their directories; "" does not load them. accept: see _standing.judge().
    """

    def __init__(self, driver, view, found, name, root=_restores.RESTORES, drills=DRILLS, accept=(), accept_damaged=False, tell=lambda _line: None):
        self.driver, self.view, self.found, self.name, self.root = driver, view, found, _flight.check_id(name), root
        self.drills, self.accept, self.accept_damaged, self._listener = drills, list(accept), accept_damaged, tell
        self.findings, self.status, self._safe = [], "", False
        _restores.private(root)

    @property
    def events(self):
        """The journal."""
        return _flight.read(self.name, self.root)[0]

    def note(self, event, **fields):
        """Write to the journal. On the way back a full disk must not be in the way."""
        with contextlib.suppress(*((OSError,) if self._safe else ())):
            _flight.append(self.name, event, root=self.root, **fields)

    def _tell(self, line):
        """What is being done: for the journal, and for who listens."""
        self.note("note", text=_words([line])[:500])
        self._listener(line)

    def decided(self, why):
        """Write to the journal why which source was taken."""
        for line in why:
            self.note("decision", what="source", who="", why=_words([line]))

    def _place(self, attempt):
        return os.path.join(self.root, self.name, "attempt-%d" % attempt)

    def _drill(self):
        return os.path.join(self.drills, "panel-" + self.name) if self.drills else None

    def _clear(self, place):
        _restores.clear(place)
        if self._drill():
            shutil.rmtree(self._drill(), ignore_errors=True)

    @contextlib.contextmanager
    def _step(self, stage, **more):
        self.note("stage.start", stage=stage, **more)
        self._listener(stage)
        yield
        self.note("stage.end", stage=stage, result="ok")

    def run(self, opened, wanted, before, source="", why=()):
        """Restore from an opened export. wanted: its inventory; before: the host's, or None where it could not be taken. why: sentences about the choice.

        The status: restored, refused (nothing was changed), rolled-back, or failed (the way back left something; it is tried again at the next start).
        """
        what = _scope.wanted(self.view, _scope.asked(self.driver, self.view, self.found, opened), self.root)
        attempt = _standing.standing(self.events)["opened"] + 1
        place = self._place(attempt)
        # by which the processes of this very attempt are known, also beside those of a container on this host
        token = secrets.token_hex(8)
        about = {"kind": _standing.KIND, "panel": self.driver.NAME, "source": source, "attempt": attempt, "token": token}
        self.note("flight.open", host=socket.gethostname(), **about)
        self.decided(why)
        server = _server.Server(self.view, place, self._tell)
        try:
            with self._step("checkpoint"):
                document = self._checkpoint(what, place, before, server)
        except (IntactError, OSError) as exc:
            self._safe = True
            self._clear(place)
            self._find("checkpoint", "no checkpoint could be made, so nothing was changed", exc)
            self._close("failed", "nothing was changed")
            return self._end("refused")
        with _signals.interruptible():
            try:
                self._change(opened, wanted, before, document, server, token, what["data"])
            except Exception as exc:  # whatever it is, also a defect of a driver: the host goes back to the checkpoint
                if self.status == "restored":
                    return self.status
                stage = _standing.steps(self.events)[-1][0]
                self._safe = True
                self.note("stage.end", stage=stage, result="failed", note=_line(exc))
                if not isinstance(exc, _Judged):
                    self._find(stage, "%s broke off, and everything was put back" % stage, exc)
                return self.back(document, attempt, token)
        return self.status

    def _checkpoint(self, what, place, before, server):
        os.makedirs(place, mode=0o700, exist_ok=True)
        _scope.room(place, _scope.bytes_of(self.view, what, server))
        with open(os.path.join(place, "ballast"), "wb") as handle:
            os.posix_fallocate(handle.fileno(), 0, BALLAST)
        kept, drill = os.path.join(place, "checkpoint"), self._drill()
        if drill:
            os.makedirs(self.drills, mode=0o711, exist_ok=True)
            shutil.rmtree(drill, ignore_errors=True)  # of a run that was cut
        document = _checkpoint.take(self.view, what, kept, before, server, drill, self._tell, self.accept_damaged)
        late = _standing.came(before, self.driver.inventory(self.view, self.found)) if before else []
        if late:
            # neither an import nor the way back would know of it
            raise IntactError("a customer made %s while the checkpoint was made: run it again" % ", ".join(late[:5]))
        for entry in document["databases"]:
            if entry["damaged"]:
                self._find("checkpoint", "%s is damaged: only what can be read of it could come back" % entry["name"], entry["damaged"], "warning")
        for point in sorted(_trees.mounted(what["paths"])) if self.view.root == b"/" else ():
            self._find("checkpoint", "%s is mounted there: it is neither kept nor put back" % escape(point), "another filesystem", "warning")
        self.note("proof", name="checkpoint", digest=document["digest"], taken=_flight.now(), note="read back")
        return document

    def _change(self, opened, wanted, before, document, server, token, data):
        os.environ[_server.MARK] = token
        units = _restore_services.Services(stop={"": document["stop"]})
        stopped = units.running("") if document["stop"] and self.view.which("systemctl") else []
        try:
            with self._step("import"):
                self._units(units.stop(stopped), "stopped")
                done = self.driver.restore(self.view, self.found, opened, self._tell)
                if done.get("rc"):
                    self._refuse([self._finding("import", "the panel's import ended with status %s" % done["rc"], _words(done.get("said", [])[-5:]))])
                if opened.document["mode"] == "settings":
                    self._refuse(self._data(data, document, server))
            with self._step("repair"):
                if hasattr(self.driver, "repair"):
                    self._refuse(self.driver.repair(self.view, self.found))
                self._units(units.start(stopped), "started again")
        finally:
            os.environ.pop(_server.MARK, None)
        with self._step("check"):
            self._refuse(self._checked(document, server))
        with self._step("compare"):
            seen = self.driver.inventory(self.view, self.driver.detect(self.view) or self.found)
            self._refuse(_standing.judge(wanted, before, seen, self.accept))
        with _signals.deaf():
            self.note("stage.start", stage="commit")
            # this line is the end: without it the next start goes back
            self._close("intact")
            self._end("restored")
            self.note("stage.end", stage="commit", result="ok")

    def _data(self, names, document, server):
        """A source of settings brings no customers' data: what the panel's program wrote over is put back, what had no table may stay filled."""
        place = self._place(_standing.standing(self.events)["attempt"])
        way = _rollback.Back(self.view, document, os.path.join(place, "checkpoint"), os.path.join(place, "data"), server, self._tell)
        held = [entry["name"] for entry in document["databases"] if any(item.get("kind") == "table" for item in entry["items"].values())]
        way.databases([name for name in names if name in held])
        here = [path for path in document["loose"] if path in document["items"]]
        if here:
            way.configuration(here)
        return [self._finding("import", "customers' data was written over, and could not be put back", sentence) for sentence in way.wrong]

    def _units(self, wrong, what):
        self._refuse([self._finding("check", "%s could not be %s" % (unit, what), why) for unit, why in wrong])

    def _refuse(self, findings):
        self.findings += findings
        wrong = [finding for finding in findings if finding.severity == "blocker"]
        if wrong:
            raise _Judged("%d blockers; first: %s: %s" % (len(wrong), wrong[0].subject, wrong[0].title))

    def _checked(self, document, server):
        """Findings of what a panel does not look at: the tables of its databases, the server's own, and its services."""
        wrong = []
        if document["server"]:
            server.ensure(document["server"])
            names = [entry["name"] for entry in document["databases"] if entry["name"] in _scope.on_mysql(document_names(document))]
            tables = [table for name in names for table in server.tables(mysql.schema(name))]
            wrong += server.check(tables) + sorted(set(server.own_damaged()) - set(document["own_damaged"]))
        if document["running"]:
            running = _restore_services.Services(stop={"": document["running"]}).running("")
            wrong += ["%s ran before and does not run" % unit for unit in sorted(set(document["running"]) - set(running))]
        return [self._finding("check", "what was imported is damaged, or the panel does not run", sentence) for sentence in wrong[:20]]

    def back(self, document, attempt, token):
        """Go back to a checkpoint, and hold the inventory against the one of then."""
        self._safe = True
        place = self._place(attempt)
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(place, "ballast"))
        with _signals.deaf(), self._step("rollback", attempt=attempt):
            _orphans.end(token, self._tell)
            server = _server.Server(self.view, place, self._tell)
            way = _rollback.Back(self.view, document, os.path.join(place, "checkpoint"), place, server, self._tell)
            way.run()
            wrong = [self._finding("failed", "the way back left something", sentence) for sentence in way.wrong]
            wrong += [self._finding("failed", "a customer changed it while it was put back", sentence, "warning") for sentence in way.left]
            wrong += self._differences(document["inventory"])
        self.findings += wrong
        if any(finding.severity == "blocker" for finding in wrong):
            self.note("stage.end", stage="rollback", result="failed", note=_line(wrong[0].evidence))
            return self._end("failed")
        said = "the restore was undone: the host is as it was before"
        self.findings.append(
            self._finding("rolled_back", said, "attempt %d of %s" % (attempt, self.name), "warning", "see why it broke off, then run it again")
        )
        self._close("rolled-back")
        return self._end("rolled-back")

    def _differences(self, before):
        # not what was found at the start: that may have been a half of it
        found = self.driver.detect(self.view)
        if not before:
            title, why = "what the panel says can't be compared: databases and files are as they were", "its inventory could not be taken before"
            return [self._finding("failed", title, why, "warning")]
        if not found:
            return [self._finding("failed", "the panel is not found any more", "")]
        try:
            seen = self.driver.inventory(self.view, found)
        except (IntactError, OSError) as exc:
            return [self._finding("failed", "the panel can't be asked any more", str(exc))]
        out = _inventory.compare(before, seen)
        return [self._finding("failed", "after the way back: %s" % f.title, "%s: %s" % (f.subject, f.evidence), details=f.details) for f in out]

    def recover(self):
        """Bring a restore that was cut to its end; "" when there was nothing to do, else its status."""
        at = _standing.standing(self.events)
        place = self._place(at["attempt"])
        if at["state"] == "looking":
            self._safe = True
            self._clear(place)
            self._close("failed", "it was cut before anything was changed")
            return self._end("refused")
        if at["state"] != "changing":
            return ""
        self._tell("%s was cut: everything is put back first" % self.name)
        return self.back(_checkpoint.read(os.path.join(place, "checkpoint")), at["attempt"], at["token"])

    def undo(self):
        """Go back behind a restore that was committed, to the checkpoint before it: what was changed since is lost as well."""
        at = _standing.last(self.events)
        return self.back(_checkpoint.read(os.path.join(self._place(at["attempt"]), "checkpoint")), at["attempt"], at["token"])

    def abandon(self, who):
        """Leave a restore that could not be undone as it is."""
        self.note("decision", what="left as it is", who=who, why="it could not be undone")
        self._close("failed", "left as it is")

    def _close(self, verdict, note=""):
        self.note("flight.close", verdict=verdict, note=note)

    def _end(self, status):
        self.status = status
        return status

    def _finding(self, what, title, evidence, severity="blocker", remedy="", details=None):
        remedy = remedy or (
            "the checkpoint is below %s" % os.path.join(self.root, self.name) if what == "failed" else "repair what is named, then run it again"
        )
        held = dict(details or {}, panel=self.driver.NAME, restore=self.name)
        return Finding(
            id="panel.restore." + what, severity=severity, subject=self.driver.NAME, title=title, evidence=_words([str(evidence)]), remedy=remedy, details=held
        )

    def _find(self, what, title, exc, severity="blocker"):
        if getattr(exc, "errno", None) == 28 or (isinstance(exc, IntactError) and exc.details.get("space")):
            self.findings.append(Finding("panel.space", severity, self.driver.NAME, title, str(exc), "make room, then run it again"))
        else:
            self.findings.append(self._finding(what, title, exc, severity))


class _Judged(IntactError):
    """What was imported is not what was wanted; the findings say why."""


def document_names(document):
    """A checkpoint's databases in the shape of its scope."""
    return {"databases": [entry["name"] for entry in document["databases"]]}


def _words(lines):
    """What somebody said, without what looks like a secret."""
    return " | ".join(" ".join(line.split()) for line in _export.redacted(lines))


def _line(exc):
    return _words([str(exc)])[:500]
