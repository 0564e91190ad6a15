# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A panel's restore from beginning to end: what was cut is undone first, a source is chosen by proof, what would change is told, then the transaction."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _chain,
    _checkpoint,
    _crypt,
    _inventory,
    _login,
    _rescue,
    _restores,
    _scope,
    _sources,
    _standing,
    _transaction,
    _verify,
)

# nothing is changed by these
IDLE = ("unchanged", "refused", "would-restore")
LOGIN = "login.cnf"


class Restoring:
    """driver: a panel's, or a function name -> driver for restores that were cut. view: a System with the driver's options. settings: a _run.Settings.

    status: unchanged, restored, refused (nothing was changed), rolled-back, failed, would-restore, would-undo.
    """

    def __init__(self, driver, drivers, view, settings, name, root=_restores.RESTORES, scratch=_rescue.SCRATCH, tell=lambda _line: None):
        self.driver, self._drivers, self.view, self.settings, self.name = driver, drivers, view, settings, name
        if not _flight.ID.match(name) or ".." in name:
            raise IntactError("%r is no restore's id: 3 to 80 of a-z 0-9 . _ -" % name)
        self.root, self.scratch, self._tell = root, scratch, tell
        self.findings, self.status, self.changed = [], "", False
        self.choice, self.plan, self.recovered = None, {}, []

    def run(self, exports=(), disks=(), host="", source="", how="auto", accept=(), force=False, accept_damaged=False, load=True, abandon=False, keep=3):
        """Restore; see the module panel_restore for what these mean."""
        with self._alone():
            self._abandon(abandon)
            if not self._recover():
                return
            found = self._found()
            sources = self._sources(found, exports, disks, host, how)
            self._choose(sources, source)
            if not self.choice.taken:
                self.status = "refused"
                self._transaction(self.name, self.driver, found).decided(_chain.lines(self.choice))
                return
            # sources are proven for hours: what customers made meanwhile is theirs too
            before = self._inventory(found)
            with _verify.Opened(self.choice.path, self.settings.passphrase_file) as opened:
                wanted = self._wanted(opened)
                self._plan(opened, found, wanted, before, accept, force)
                if self.status:
                    return
                work = self._transaction(self.name, self.driver, found, accept, accept_damaged, load)
                self.status = work.run(opened, wanted, before, self.choice.taken.name, _chain.lines(self.choice))
            self.findings += work.findings
            self.changed = self.changed or self.status not in IDLE
            _restores.prune(self.root, keep)

    def undo(self, check=False):
        """Go back behind a restore that was committed."""
        at = _standing.last(_flight.read(self.name, self.root)[0])
        if at["state"] == "closed" and at["verdict"] == "rolled-back":
            self.status = "unchanged"
            return
        if at["state"] == "none" or (at["state"] == "closed" and at["verdict"] != "intact"):
            raise IntactError("%s was not committed, so there is nothing to undo" % self.name)
        if check:
            if at["state"] == "closed":
                _checkpoint.read(os.path.join(self.root, self.name, "attempt-%d" % at["attempt"], "checkpoint"))
            self.status, self.changed = "would-undo", True
            return
        with self._alone():
            if not self._recover() or self.recovered:
                self.status = self.status or "rolled-back"
                return
            work = self._transaction(self.name, self._known(at["panel"]), None)
            self.changed = True
            self.status = work.undo()
            self.findings += work.findings

    def foresee(self, exports=(), disks=(), host="", source="", how="auto", accept=(), force=False):
        """What run() would do, as far as that can be told: nothing of the host is changed, and what is made for a look is gone afterwards."""
        for name, at in _restores.cut(self.root):
            self.recovered.append({"id": name, "status": "would-roll-back" if at["state"] == "changing" else "would-close"})
            self.status, self.changed = "would-restore", True
            title, evidence = "a restore was cut: everything is put back first", "%s, attempt %d" % (name, at["attempt"])
            self.findings.append(_inventory.finding("panel.restore.cut", self.driver.NAME, "", "", title, evidence, "run it without check mode", "warning"))
        if self.recovered:
            return  # what the panel says now is half of something
        found = self._found()
        with contextlib.ExitStack() as stack:
            private = tempfile.mkdtemp(prefix=".foresee-%d-" % os.getpid(), dir=self._here())
            stack.callback(_restores.clear, private)
            sources = self._sources(found, exports, disks, host, how)
            sources.made_in(dataclasses.replace(self.settings, root=private))
            self._choose(sources, source)
            if not self.choice.taken:
                self.status = "refused"
                return
            before = self._inventory(found)
            with _verify.Opened(self.choice.path, self.settings.passphrase_file) as opened:
                self._plan(opened, found, self._wanted(opened), before, accept, force)
        self.status = self.status or "would-restore"
        self.changed = self.status == "would-restore"

    def _here(self):
        """A directory of ours for what is looked at; the restores' own where there is one already."""
        place = self.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        return place if os.stat(place).st_uid == os.getuid() and os.stat(place).st_mode & 0o777 == 0o700 else None

    def journal(self):
        """The events of this restore, for results."""
        return _flight.read(self.name, self.root)[0]

    def _abandon(self, wanted):
        for name, at in _restores.cut(self.root) if wanted else []:
            self._transaction(name, self._known(at["panel"]), None).abandon("the operator")
            title, evidence = "a restore that could not be undone was left as it is", name
            self.findings.append(_inventory.finding("panel.restore.failed", self.driver.NAME, "", "", title, evidence, "compare by hand", "warning"))

    def _recover(self):
        for name, at in _restores.cut(self.root):
            driver = self._known(at["panel"])
            work = self._transaction(name, driver, None)
            try:
                status = work.recover()
            except (IntactError, OSError) as exc:
                title, remedy = "a restore that was cut can't be undone", "see its checkpoint below %s; abandon leaves it as it is" % self.root
                work.findings.append(_inventory.finding("panel.restore.failed", driver.NAME, "", "", title, "%s: %s" % (name, exc), remedy))
                status = "failed"
            self.recovered.append({"id": name, "status": status})
            self.findings += work.findings
            self.changed = self.changed or at["state"] == "changing"
            if status == "failed":
                self.status = "failed"
                return False
        return True

    def _known(self, name):
        return self.driver if name in ("", self.driver.NAME) else self._drivers(name)

    @contextlib.contextmanager
    def _alone(self):
        """No other restore on this host; the file with the panel's login is gone afterwards."""
        with _restores.Held(self.root):
            _crypt.sweep(self.root, r"\.foresee-(\d+)-")
            try:
                yield
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.root, LOGIN))

    def _transaction(self, name, driver, found, accept=(), accept_damaged=False, load=True):
        found = found or driver.detect(self.view)
        _restores.private(os.path.join(self.root, name))
        view = _login.view(driver, self.view, found, os.path.join(self.root, LOGIN)) if found else self.view
        drills = self.scratch if load else ""
        return _transaction.Transaction(driver, view, found, name, self.root, drills, accept, accept_damaged, self._tell)

    def _found(self):
        found = self.driver.detect(self.view)
        if not found:
            raise IntactError("%s is not on this host: install it first, then restore its settings" % self.driver.TITLE, panel=self.driver.NAME)
        for word in ("restore", "checkpoint"):
            if not hasattr(self.driver, word):
                raise IntactError("the driver %s can't restore: it has no %s()" % (self.driver.NAME, word), panel=self.driver.NAME)
        return found

    def _inventory(self, found):
        try:
            return self.driver.inventory(self.view, found)
        except Exception as exc:  # it may be damaged in a way that the driver's author did not think of, and that is what a restore is for
            why = str(exc) if isinstance(exc, (IntactError, OSError)) else _verify.defect(self.driver, exc)
            title = "what the panel has now can't be told"
            remedy = "after a way back only databases and files can be compared"
            self.findings.append(_inventory.finding("panel.database.refused", self.driver.NAME, "", "", title, why, remedy, "warning"))
            return None

    def _sources(self, found, exports, disks, host, how):
        return _sources.Sources(self.driver, self.view, found, self.settings, exports, disks, host, self.scratch, how, self._tell)

    def _choose(self, sources, name):
        known = sources.all()
        if name and not _chain.only(known, name):
            raise IntactError("there is no source %s: there are %s" % (name, ", ".join(source.name for source in _chain.order(known)) or "none"))
        self.choice = _chain.choose(_chain.only(known, name) if name else known, sources.prove, self._tell)
        self.findings += _chain.findings(self.choice, self.driver.NAME) + self.choice.findings

    def _wanted(self, opened):
        """What a restore from an export has to bring. What it can't is told."""
        inventory = opened.inventory()
        kinds = self.driver.brings(opened) if hasattr(self.driver, "brings") else None
        self.findings += _standing.lacking(inventory, kinds)
        return _standing.brought(inventory, kinds, opened.document["mode"])

    def _plan(self, opened, found, wanted, before, accept, force):
        what = _scope.wanted(self.view, _scope.asked(self.driver, self.view, found, opened), self.root)
        needed = _standing.needed(wanted, before) if before else []
        own = _standing.only_here(wanted, before)["objects"] if before else {}
        self.plan = {
            "source": self.choice.taken.told(),
            "checkpoint": what,
            "objects": _inventory.counts(wanted),
            "changes": ["%s: %s" % (finding.subject, finding.title) for finding in needed],
            "only_here": sorted("%s %s %s" % (self.driver.NAME, kind, name) for kind, entries in own.items() for name in entries),
            "readable": before is not None,
        }
        if before and not needed and not force:
            self.status = "unchanged"
