# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Everything that a panel's settings may come from: our exports, the panel's own dumps, disks of an old server; and the proof of each."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _chain, _export, _rescue, _run, _state, _verify


class Sources:
    """view, found: of the host that is restored; found may be None for a panel that is not there. settings: a _run.Settings; its root is where exports are, and
    where what is rescued becomes one.

    exports: more directories of exports; disks: roots of old servers. host: whose panel it is, by name or machine-id; "" is the first disk's, else this host's.
    scratch: for private servers. how: see _cold._mysql.HOWS.
    """

    def __init__(self, driver, view, found, settings, exports=(), disks=(), host="", scratch=_rescue.SCRATCH, how="auto", tell=lambda _line: None):
        self.driver, self.view, self.found, self.settings = driver, view, found, settings
        self._exports, self._disks, self._scratch, self._how, self._tell = list(exports), list(disks), scratch, how, tell
        self._origins, self._made_in = {}, settings
        self._host = host

    def made_in(self, settings):
        """Let what is made for a proof become an export elsewhere."""
        self._made_in = settings

    def all(self):
        """[_chain.Source], in no order. What can't be looked at, or is of another server, has a why."""
        whose = self._whose()
        out = [self._of(held, whose) for held in _export.held(self.settings.root, self.driver.NAME)]
        out += self._failed()
        for path in self._exports:
            out.append(self._elsewhere(path, whose))
        if self.found:
            out += self._daily(self.view, self.found, whose)
        for root in self._disks:
            try:
                view = _rescue.view_of(root)
                found = self.driver.detect(view)
                if not found:
                    raise IntactError("there is no %s on it" % self.driver.TITLE)
            except (IntactError, OSError) as exc:
                out.append(_chain.Source(_chain.DISK, root, root, why=str(exc)))
                continue
            out += self._daily(view, found, whose)
            out.append(_chain.Source(_chain.DISK, root, root))
        return out

    def _whose(self):
        """(names, machine-ids) of the server whose panel is restored: a fresh one exports its empty panel as well, and proves it."""
        if self._host:
            return {self._host}, {self._host}
        for root in self._disks:
            try:
                return _only(_rescue.view_of(root))
            except (IntactError, OSError):
                continue  # told where it is looked at
        return _only(self.view)

    @staticmethod
    def _of(held, whose):
        source = _chain.of_export(held)
        document = held.document or {}
        if held.document and not _same((document.get("host", ""), document.get("host_id", "")), whose):
            source.why = "it is of %s, and not of %s" % (document.get("host") or "another server", " or ".join(sorted(whose[0])) or "this one")
        return source

    def _failed(self):
        own = os.path.join(self.settings.root, self.driver.NAME)
        names = [name for name in os.listdir(own) if name.endswith(_export.FAILED)] if os.path.isdir(own) else []
        return [_chain.Source(_chain.UNPROVEN, name, os.path.join(own, name), why="it failed when it was made") for name in sorted(names)]

    def _elsewhere(self, path, whose):
        held = _export.Held(path, self.driver.NAME, os.path.basename(path.rstrip("/")), None)
        try:
            held.document = _export.read(path)
        except IntactError as exc:
            held.why = str(exc)
        source = self._of(held, whose)
        if held.document and held.document["panel"] != self.driver.NAME:
            source.why = "it is an export of %s" % held.document["panel"]
        return source

    def _daily(self, view, found, whose):
        out, own = [], _state.host_of(view) if view is self.view else _named(view)
        if not _same(own, whose):
            return []  # of the panel that is here, and not of the one that is restored
        try:
            entries = self.driver.daily(view, found) if hasattr(self.driver, "daily") else []
        except (IntactError, OSError) as exc:
            # the disk itself may still give its database
            where = os.fsdecode(view.root)
            return [_chain.Source(_chain.DAILY, where, where, why="the panel's own dumps can't be listed: %s" % exc)]
        for entry in entries:
            path = entry["path"] if view is self.view else view.place(entry["path"])
            self._origins[path] = (view, found, entry["path"])
            holds, lacks = ("; ".join(text) if isinstance(text, list) else text for text in (entry["holds"], entry["lacks"]))
            out.append(_chain.Source(_chain.DAILY, entry.get("name") or os.path.basename(path), path, made=entry["made"], holds=holds, lacks=lacks))
        return out

    def prove(self, source):
        """(directory of an export, findings) of a source, looked at now. What was made for it is an export of its own from then on.

        Whatever keeps it from being proven (a dying disk, damage that nobody thought of) is an IntactError: the next source has its turn.
        """
        try:
            return self._proved(source)
        except OSError as exc:
            raise IntactError("%s: %s" % (exc.filename or source.path, exc.strerror or exc), path=source.path) from exc
        except IntactError:
            raise
        except Exception as exc:  # a defect at one source must not keep the next one from its turn
            raise IntactError(_verify.defect(self.driver, exc), path=source.path) from exc

    def _proved(self, source):
        if source.kind == _chain.DISK:
            outcome = _rescue.from_disk(self.driver, source.path, self._made_in, self._scratch, self._how, self._tell)
        elif source.kind == _chain.DAILY:
            view, found, path = self._origins[source.path]
            outcome = _rescue.from_daily(self.driver, view, found, path, self._made_in, self._scratch, self._tell)
        else:
            return source.path, self._verified(source.path)
        return outcome.path, outcome.findings

    def _verified(self, path):
        document = _export.read(path)
        # a panel's own check knows its own host's exports
        own = document.get("host_id") == _state.host_of(self.view)[1] and self.settings.native
        return _run.verify(self.driver, path, self.settings.passphrase_file, self.view if own else None, self.found)[1]


def _named(view):
    """(name, machine-id) of a disk's server."""
    return view.text("/etc/hostname").strip(), view.text("/etc/machine-id").strip()


def _only(view):
    name, number = _state.host_of(view) if not isinstance(view, Rooted) else _named(view)
    return {name} - {""}, {number} - {""}


def _same(one, whose):
    """Whether (name, machine-id) is the server that is meant: by its machine-id where both are known."""
    if one[1] and whose[1] and whose[0] != whose[1]:
        return one[1] in whose[1]
    return one[0] in whose[0] or (bool(one[1]) and one[1] in whose[1]) or not (whose[0] or whose[1])
