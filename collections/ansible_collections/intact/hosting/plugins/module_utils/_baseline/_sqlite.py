# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""SQLite files below customers' directories: found by their header, read without leaving a trace beside them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

try:
    import sqlite3
except ImportError:
    # a minimal Python has no sqlite3: only this part does without
    sqlite3 = None

NAME = "sqlite"
TREES = ("/home", "/var/www", "/srv")
MAGIC = b"SQLite format 3\x00"
# where no database is, and many small files are
SKIPPED = {"cur", "new", "tmp", ".git", "node_modules", "proc", "sys"}


def find(system, trees):
    """Paths of SQLite files below the trees, links not followed, at most option sqlite_entries (default 2 million) entries looked at."""
    left, found = int(system.options.get("sqlite_entries", 2000000)), []
    queue = [t.rstrip("/") for t in trees]
    while queue:
        system.remaining()
        directory = queue.pop()
        try:
            names = system.listdir(directory)
        except OSError as exc:
            system.skip(escape(directory), "searched for SQLite files: %s" % exc.strerror)
            continue
        for name in names:
            left -= 1
            path = directory + "/" + name
            status = system.lstat(path)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                if name not in SKIPPED:
                    queue.append(path)
            # a database is a whole number of pages of at least 512 bytes: that spares opening nearly all other files
            elif stat.S_ISREG(status.st_mode) and status.st_size >= 512 and status.st_size % 512 == 0 and system.read(path, 16) == MAGIC:
                found.append(path)
        if left <= 0:
            system.skip(", ".join(trees), "the search for SQLite files ended after its limit of entries")
            break
    return sorted(found)


def capture(system, rules):
    """Items of every SQLite file found: one for the file, one for each table, view and trigger."""
    items = {}
    limit = int(system.options.get("sqlite_bytes", 512 * 2**20))
    for path in find(system, system.options.get("sqlite_trees", TREES)):
        subject = "%s:%s" % (NAME, escape(path))
        size = system.lstat(path).st_size
        if size > limit or not system.spend(size):
            system.skip(subject, "%d bytes are more than the limit: not looked into" % size)
            items[subject] = {"kind": "database", "path": escape(path)}
            continue
        items.update(read_file(system, path, subject, rules))
    return items or None


class Busy(IntactError):
    """The file was being written each time it was read."""


@contextlib.contextmanager
def opened(system, path):
    """A connection to a copy of the file (with its log or journal) in a private directory. Opening it in place could create
    files beside it that its owner can't write, or roll back somebody's transaction."""
    if sqlite3 is None:
        raise IntactError("Python's sqlite3 is not installed on this host: install libpython3-stdlib")
    with tempfile.TemporaryDirectory(prefix="intact-") as scratch:
        copy = os.path.join(scratch, "copy")
        for _try in range(3):
            before = [_state(system, path + suffix) for suffix in ("", "-wal", "-journal")]
            for suffix in ("", "-wal", "-journal"):
                data = system.read(path + suffix)
                if data is None:
                    if os.path.exists(copy + suffix):
                        os.unlink(copy + suffix)
                    continue
                with open(copy + suffix, "wb") as handle:
                    handle.write(data)
            if before == [_state(system, path + suffix) for suffix in ("", "-wal", "-journal")]:
                break
        else:
            raise Busy("it was being written each of the three times it was read")
        connection = sqlite3.connect(copy)
        try:
            yield connection
        finally:
            connection.close()


def read_file(system, path, subject, rules):
    """Items of one file."""
    server = {"kind": "database", "path": escape(path)}
    try:
        with opened(system, path) as connection:
            return dict(items_of(system, connection, subject, server, rules))
    except IntactError as exc:
        return {subject: dict(server, error=str(exc))}
    except sqlite3.Error as exc:
        return {subject: dict(server, error="SQLite can't read it: %s" % exc)}


def _state(system, path):
    status = system.lstat(path)
    return status and (status.st_size, status.st_mtime_ns, status.st_ino)


def items_of(system, connection, subject, server, rules):
    """(subject, item) of what an open file holds: itself (server, which is completed), then each table, view and trigger."""
    # bytes as they are stored: text that is not UTF-8 must not raise
    connection.text_factory = bytes
    check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if check != b"ok":
        server["error"] = "SQLite's check says: %s" % check.decode("utf-8", "replace")
    yield subject, server
    objects = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name").fetchall()
    for kind, name, sql in objects:
        kind, name = kind.decode(), name.decode("utf-8", "surrogateescape")
        definition = _digests.definition((sql or b"").decode("utf-8", "surrogateescape"))
        inside = {"database": server["path"], "kind": kind}
        if kind != "table":
            yield "%s#%s (%s)" % (subject, escape(name), kind), dict(inside, definition=definition)
            continue
        item = dict(inside, structure=definition)
        try:
            item.update(_rows(connection, server["path"], name, rules, _digests.until(system, "%s#%s" % (subject, escape(name)))))
        except sqlite3.OperationalError as exc:
            # a virtual table whose extension Python does not have: its shadow tables are read as tables
            if "no such module" not in str(exc):
                raise
            item.update(rows=0, stored=False)
        yield "%s#%s" % (subject, escape(name)), item


def _rows(connection, path, name, rules, until):
    quoted = '"%s"' % name.replace('"', '""')
    columns = [row[1].decode("utf-8", "surrogateescape") for row in connection.execute("PRAGMA table_info(%s)" % quoted)]
    condition, left_out, counted = _digests.volatile("%s.%s" % (path, name), columns, rules)
    if not counted:
        return {"rows": 0, "stored": False}
    wanted = ", ".join('"%s"' % c.replace('"', '""') for c in columns if c not in left_out) or "1"
    where = " WHERE NOT COALESCE(%s, 0)" % condition if condition else ""
    try:
        keys = "rowid"
        cursor = connection.execute("SELECT rowid, %s FROM %s%s" % (wanted, quoted, where))
    except sqlite3.OperationalError:
        keys = ""
        cursor = connection.execute("SELECT 0, %s FROM %s%s" % (wanted, quoted, where))
    until = until if keys else None
    top = (connection.execute("SELECT MAX(rowid) FROM %s" % quoted).fetchone()[0] or 0) if keys else 0
    chunk = 1
    while top // chunk >= _digests.GROUPS:
        chunk *= 2
    parts = {}
    for row in cursor:
        value = int.from_bytes(hashlib.md5(repr(row[1:]).encode()).digest()[:8], "big")
        early = until is None or row[0] <= until
        part = parts.setdefault((row[0] // chunk if keys else 0, early), [0, 0, None])
        part[0] += 1
        part[1] += value
        if keys:
            part[2] = row[0] if part[2] is None else max(row[0], part[2])
    return dict(
        _digests.contents([(group,) + tuple(part) + (early,) for (group, early), part in parts.items()], until),
        rows=sum(part[0] for part in parts.values()),
        chunk=chunk if keys else 0,
        key=keys,
    )
