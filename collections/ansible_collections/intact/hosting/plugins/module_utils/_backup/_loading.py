# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Dumps out of a repository into throw-away servers, and what these servers then hold."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway_mysql, _throwaway_postgresql, _throwaway_sqlite
from ansible_collections.intact.hosting.plugins.module_utils._baseline import lists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

MAKERS = {"mariadb": _throwaway_mysql.MariaDB, "postgresql": _throwaway_postgresql.PostgreSQL, "sqlite": _throwaway_sqlite.SQLite}


def engine(name):
    """The server that a stream's name belongs to: mariadb, postgresql, postgresql(other), sqlite."""
    return name.partition(":")[0].partition(" ")[0]


def ordered(streams):
    """Streams in the order in which they can be loaded: PostgreSQL's accounts before its databases (owners), MariaDB's after them (rights on tables)."""

    def place(stream):
        account = ":" not in stream["name"]
        return (0 if account and engine(stream["name"]).startswith("postgresql") else 2 if account else 1, stream["name"])

    return sorted(streams, key=place)


def dumped(items, others):
    """Items of which a dump can say something: of the server itself only its rights, no view that was broken on its host, no rows that are derived anew."""
    out = {}
    for subject, item in items.items():
        if item.get("kind") == "server":
            # only for the rights that it knew: a newer server knows more, and who had all has these too
            if subject in others:
                out[subject] = {"kind": "server", "known": item.get("known", [])}
            continue
        if item.get("kind") == "view" and (item.get("error") or others.get(subject, {}).get("error")):
            continue
        if item.get("kind") == "materialised view":
            # a dump holds its definition, and loading refreshes it; on the host it may be of yesterday
            item = dict(item, rows=0, parts=[], chunk=0)
        out[subject] = item
    return out


def older(before, after):
    """[(server, version that was dumped, version here)] of servers that are older than what was dumped: they refuse what they do not know."""
    out = []
    for subject, item in before.items():
        told = [str(side.get("version", "")) for side in (item, after.get(subject, {})) if item.get("kind") == "server"]
        numbers = [tuple(int(n) for n in match.groups()) for match in (re.match(r"(\d+)\.(\d+)", text) for text in told) if match]
        if len(numbers) == 2 and numbers[1] < numbers[0]:
            out.append((subject, told[0], told[1]))
    return out


class Servers:
    """Throw-away servers below a directory, each made when its first dump comes. identity: the machine-id that passwords were digested with."""

    def __init__(self, directory, makers=None):
        self.directory, self.identity = directory, ""
        self.older = []  # (server, its version on the host, its version here): filled by sections()
        self._makers, self._servers, self._again = makers, {}, []
        self._loaded = {}  # name: the dump's rules, with which its section is looked at

    def _server(self, name):
        label = engine(name)
        if label not in self._servers:
            kind = label.partition("(")[0]
            makers = self._makers or MAKERS
            if kind not in makers:
                raise IntactError("no throw-away server is known for %s" % label)
            place = os.path.join(self.directory, "".join(c if c.isalnum() else "_" for c in label))
            if not os.path.isdir(self.directory):
                os.mkdir(self.directory)
                os.chmod(self.directory, 0o711)  # servers run as users of their own
            self._servers[label] = makers[kind](place, machine_id=self.identity)
        return self._servers[label]

    def load(self, source, held, stream, taken=None):
        """Load one dump: (finding id, title, evidence) of what is wrong with it, or None. What the server refuses is asked once more by again()."""
        path, snapshot = held
        passing, refused, whole = source.stream(snapshot, path), [], True
        try:
            refused = self._server(stream["name"]).load(stream["name"], passing.stdout, taken) or []
            self._loaded[stream["name"]] = stream.get("rules") or ()
        except IntactError as exc:
            refused, whole = [str(exc)], False
        finally:
            passing.finish()
        wrong = passing.wrong(stream)
        if refused and not wrong:
            # it may need another database or an account that comes later
            self._again.append((source, held, stream, taken, "; ".join(refused[:3]), whole))
        return wrong

    def again(self):
        """Once more, what was not taken whole before the others were there: [(name, why, whole)] of what still is not.

        whole: the server took the dump and refused parts of it, as it does with a view that was broken on its host: the comparison tells what is missing.
        """
        waiting, self._again, out = self._again, [], []
        for source, held, stream, taken, why, _whole in waiting:
            try:
                if ":" in stream["name"]:
                    self._server(stream["name"]).drop(stream["name"])
            except IntactError:
                out.append((stream["name"], why, False))
                continue
            wrong = self.load(source, held, stream, taken)
            if wrong:
                out.append((stream["name"], wrong[2], False))
        out += [(entry[2]["name"], entry[4], entry[5]) for entry in self._again]
        self._again = []
        return out

    def sections(self, sections):
        """{section: (before, after)} for the sections of a manifest that the loaded servers can tell of."""
        out = {}
        before = sections.get("databases")
        if before and before.get("items") and self._loaded:
            items = {}
            for name, rules in sorted(self._loaded.items()):
                items.update(self._server(name).section(name, rules) if rules else self._server(name).section(name))
            self.older = older(before["items"], items)
            out["databases"] = (dict(before, items=dumped(before["items"], items)), {"items": dumped(items, before["items"])})
        before = sections.get("lists")
        source = (before or {}).get("source") or {}
        name = next((n for n in self._loaded if source and engine(n).partition("(")[0] == source["kind"] and n.endswith(":" + source["database"])), None)
        if name:
            after = self._lists(self._server(name), source, name)
            out["lists"] = (dict(before, templates={}), dict(after, templates={}, source=before["source"]))
        return out

    @staticmethod
    def _lists(server, source, name):
        if source["kind"] == "sqlite":
            # read as the baseline reads the live one
            system = System()
            rows, _source = lists._read(system, "sqlite:///" + server.path(name).lstrip("/"))
            return {"items": lists.build(system, rows)}
        system = server.system()
        if source["kind"] == "mariadb":
            rows = lists._mysql_rows(system, source["database"])
        else:
            rows, _source = lists._read(system, "postgresql:///" + source["database"])
        return {"items": lists.build(system, rows)}

    def close(self):
        """End every server."""
        for server in self._servers.values():
            server.close()
        self._servers = {}
