# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Dumps out of a repository into throw-away servers, and what these servers then hold."""

from __future__ import annotations

import hashlib
import os
import threading

from ansible_collections.intact.hosting.plugins.module_utils._baseline import lists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLOCK = 1 << 16


def engine(name):
    """The server that a stream's name belongs to: mariadb, postgresql, postgresql(other), sqlite."""
    return name.partition(":")[0].partition(" ")[0]


def ordered(streams):
    """Streams in the order in which they can be loaded: PostgreSQL's accounts before its databases (owners), MariaDB's after them (rights on tables)."""

    def place(stream):
        account = ":" not in stream["name"]
        return (0 if account and engine(stream["name"]).startswith("postgresql") else 2 if account else 1, stream["name"])

    return sorted(streams, key=place)


class Passing:
    """A file of a snapshot as a pipe to read from, with the digest and the length of what passed."""

    def __init__(self, restic, snapshot, path):
        self.digest, self.length, self.error = hashlib.sha256(), 0, ""
        source, into = os.pipe()
        reading, out = os.pipe()
        self.stdout = os.fdopen(reading, "rb")
        self._threads = [
            threading.Thread(target=self._dump, args=(restic, snapshot, path, into), daemon=True),
            threading.Thread(target=self._pass, args=(source, out), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _dump(self, restic, snapshot, path, into):
        with os.fdopen(into, "wb") as handle:
            try:
                restic.dump(snapshot, path, handle)
            except (IntactError, OSError) as exc:
                self.error = str(exc)

    def _pass(self, source, out):
        with os.fdopen(source, "rb", buffering=0) as reading, os.fdopen(out, "wb", buffering=0) as writing:
            while True:
                block = reading.read(BLOCK)
                if not block:
                    return
                self.digest.update(block)
                self.length += len(block)
                try:
                    view = memoryview(block)
                    while view:
                        view = view[writing.write(view) :]
                except BrokenPipeError:
                    writing = open(os.devnull, "wb", buffering=0)  # the server gave up: the digest is wanted all the same

    def finish(self):
        """Wait for the end."""
        self.stdout.close()
        for thread in self._threads:
            thread.join()


class Servers:
    """Throw-away servers below a directory, each made when its first dump comes. identity: the machine-id that passwords were digested with."""

    def __init__(self, directory, makers=None):
        self.directory, self.identity = directory, ""
        self._makers, self._servers, self._loaded, self._again = makers, {}, [], []

    def _server(self, name):
        label = engine(name)
        if label not in self._servers:
            kind = label.partition("(")[0]
            makers = self._makers or _throwaways()
            if kind not in makers:
                raise IntactError("no throw-away server is known for %s" % label)
            place = os.path.join(self.directory, "".join(c if c.isalnum() else "_" for c in label))
            if not os.path.isdir(self.directory):
                os.mkdir(self.directory)
                os.chmod(self.directory, 0o711)  # servers run as users of their own
            self._servers[label] = makers[kind](place, machine_id=self.identity)
        return self._servers[label]

    def load(self, restic, held, stream):
        """Load one dump: [(finding id, title, evidence)] of what is wrong with it."""
        path, snapshot = held
        passing, wrong, refused = Passing(restic, snapshot, path), [], ""
        try:
            server = self._server(stream["name"])
            server.load(stream["name"], passing.stdout)
            self._loaded.append(stream["name"])
        except IntactError as exc:
            refused = str(exc)
        finally:
            passing.finish()
        if passing.error:
            wrong.append(("backup.repository.damaged", "its dump can't be read from the repository", passing.error))
        elif passing.length != stream["bytes"] or passing.digest.hexdigest() != stream["sha256"]:
            kind = "truncated" if passing.length < stream["bytes"] else "changed"
            evidence = "%d bytes with sha256 %s were backed up, %d with %s came out" % (
                stream["bytes"],
                stream["sha256"][:16],
                passing.length,
                passing.digest.hexdigest()[:16],
            )
            wrong.append(("backup.dump.truncated" if kind == "truncated" else "databases.dump.changed", "the dump is not what was backed up", evidence))
        if refused and not wrong:
            # it may need another database that comes later
            self._again.append((restic, held, stream, refused))
        return wrong

    def again(self):
        """Once more, what could not be loaded before the others were there: [(name, why)] of what still can't."""
        waiting, self._again, out = self._again, [], []
        for restic, held, stream, _why in waiting:
            if stream["name"] in self._loaded or engine(stream["name"]) in self._servers:
                try:
                    self._server(stream["name"]).drop(stream["name"])
                except IntactError:
                    pass
            if self.load(restic, held, stream):
                out.append((stream["name"], "it came out differently the second time"))
        out += [(stream["name"], why) for _restic, _held, stream, why in self._again]
        self._again = []
        return out

    def sections(self, sections):
        """{section: (before, after)} for the sections of a manifest that the loaded servers can tell of."""
        out = {}
        before = sections.get("databases")
        if before and before.get("items") and self._loaded:
            items = {}
            for name in self._loaded:
                items.update(self._server(name).section(name))
            keep = {s: i for s, i in before["items"].items() if i.get("kind") != "server"}
            out["databases"] = (dict(before, items=keep), {"items": {s: i for s, i in items.items() if i.get("kind") != "server"}})
        before = sections.get("lists")
        source = (before or {}).get("source") or {}
        name = next((n for n in self._loaded if source and engine(n).partition("(")[0] == source["kind"] and n.endswith(":" + source["database"])), None)
        if name:
            after = self._lists(self._server(name), name, source)
            out["lists"] = (dict(before, templates={}), dict(after, templates={}, source=before["source"]))
        return out

    def _lists(self, server, name, source):
        system = server.system(self.identity)
        if source["kind"] == "sqlite":
            rows, _source = lists._read(system, "sqlite:///" + source["database"])
        elif source["kind"] == "mariadb":
            rows = lists._mysql_rows(system, source["database"])
        else:
            rows, _source = lists._read(system, "postgresql:///" + source["database"])
        return {"items": lists.build(system, rows)}

    def close(self):
        """End every server."""
        for server in self._servers.values():
            server.close()
        self._servers = {}


def _throwaways():
    from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway

    return {"mariadb": _throwaway.MariaDB, "postgresql": _throwaway.PostgreSQL, "sqlite": _throwaway.SQLite}
