# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""query(database, sql) -> [tuple of text] for drivers, answered by a server that is not the live one, or by a copy of a SQLite file."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._baseline._sqlite import sqlite3
from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql, _mysql_options
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

_ESCAPED = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}
# a crash leaves in these what SQLite has to do or undo first; the index of a log is made anew
BESIDE = ("", "-wal", "-journal")


def of(system):
    """A query of a server that a System's client reaches. NULL is NULL, as in the answers of the live one's client."""

    def query(database, sql):
        argv = ["mysql", "--default-character-set=utf8mb4", "--batch", "--skip-column-names", "--quick"] + ([database] if database else [])
        done = system.run(argv, timeout=3600, stdin=(sql + ";\n").encode("utf-8", "surrogateescape"), check=False)
        if done.rc:
            lines = [line for line in done.error.splitlines() if line.startswith("ERROR")] or done.error.splitlines()[-1:]
            # the text near an error may be a customer's data
            raise IntactError("the database says: %s" % (re.sub(r"near '.*", "near (a piece of it)", lines[0]) if lines else "status %d" % done.rc))
        return [tuple(_plain(value) for value in line.split("\t")) for line in done.text.split("\n")[:-1]]

    return query


def _plain(value):
    return re.sub(r"\\([tn0\\])", lambda found: _ESCAPED[found.group(1)], value) if "\\" in value else value


class Disk:
    """A disk's databases, each opened when it is asked for first: called as query(database, sql). A database that is a path is a SQLite file.

    view: a Rooted on the disk. directory: of ours, is made when it is needed. how: see _cold._mysql.HOWS. server: that of the disk, once it was asked.
    """

    def __init__(self, view, directory, how="auto", tell=lambda _line: None):
        self._view, self._directory, self._how, self._tell = view, directory, how, tell
        self.server, self._query, self._why, self._files = None, None, "", {}

    @property
    def socket(self):
        """Where the disk's server answers, for a dump program; it is opened when it was not asked yet."""
        self._opened()
        return self.server.socket

    def __call__(self, database, sql):
        path = database.partition("sqlite:")[2] if database.startswith("sqlite:") else database
        if path.startswith("/"):
            return self._file(path, sql)
        self._opened()
        return self._query(database, sql)

    def _opened(self):
        if self._why:
            raise IntactError(self._why)
        if self._query is None:
            found = _mysql_options.locate(self._view)
            try:
                if not found:
                    raise IntactError("the disk has no data of a MySQL or MariaDB where it could be looked for")
                self.server = _mysql.Cold(self._view, found, os.path.join(self._place(), "server"), self._how, self._tell)
            except IntactError as exc:
                self._why = str(exc)
                raise
            self._query = of(self.server.system())

    def _place(self):
        if not os.path.isdir(self._directory):
            os.makedirs(self._directory, mode=0o711)
        return self._directory

    def _file(self, path, sql):
        if path not in self._files:
            self._files[path] = copied(self._view, path, tempfile.mkdtemp(prefix="sqlite-", dir=self._place()))
        try:
            rows = self._files[path].execute(sql).fetchall()
        except sqlite3.Error as exc:
            raise IntactError("%s: SQLite says: %s" % (path, exc)) from exc
        return [tuple(_text(value) for value in row) for row in rows]

    @property
    def said(self):
        """Sentences about how the databases were opened."""
        return list(self.server.said) if self.server else []

    def close(self):
        """End the server, remove every copy."""
        for connection in self._files.values():
            connection.close()
        if self.server:
            self.server.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def copied(view, path, directory):
    """A connection to a copy of a disk's SQLite file, in which a crash's leftovers are dealt with."""
    if sqlite3 is None:
        raise IntactError("Python's sqlite3 is not installed on this host: install libpython3-stdlib")
    # SQLite looks for its logs beside what a link leads to
    path, target = view.realpath(path), os.path.join(directory, "copy")
    for ending in BESIDE:
        try:
            fd = os.open(view.place(path + ending), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as exc:
            if not ending:
                raise IntactError("%s is not on the disk" % path) from exc
            continue
        with os.fdopen(fd, "rb") as source:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise IntactError("%s on the disk is no plain file" % (path + ending))
            with open(target + ending, "xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    try:
        connection = sqlite3.connect(target, isolation_level=None)
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as exc:
        raise IntactError("%s: SQLite can't read it: %s" % (path, exc)) from exc
    return connection


def _text(value):
    if value is None:
        return ""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
